/* ollama.h - what the files of Ollama's own chat dialect share. */

#ifndef LLMUX_DIALECT_OLLAMA_H
#define LLMUX_DIALECT_OLLAMA_H

#include "llmux/dialect.h"

/** llmux_dialect_t.write */
const llmux_error_t *llmux_ollama_write(llmux_buf_t *out,
                                        const llmux_chat_t *chat,
                                        const llmux_target_t *target,
                                        llmux_warnings_t *warnings,
                                        apr_pool_t *scratch);

/** llmux_dialect_t.decoder */
llmux_decoder_t *llmux_ollama_decoder(apr_pool_t *p, const llmux_env_t *env,
                                      llmux_emit_fn emit, void *baton);

#endif
