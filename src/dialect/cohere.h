/* cohere.h - what the files of Cohere's chat dialect (v2) share. */

#ifndef LLMUX_DIALECT_COHERE_H
#define LLMUX_DIALECT_COHERE_H

#include "writer.h"

/** llmux_dialect_t.write */
const llmux_error_t *llmux_cohere_write(llmux_buf_t *out,
                                        const llmux_chat_t *chat,
                                        const llmux_target_t *target,
                                        llmux_warnings_t *warnings,
                                        apr_pool_t *scratch);

/** The member `messages`. */
void llmux_cohere_messages(llmux_writer_t *w);

/** llmux_dialect_t.decoder */
llmux_decoder_t *llmux_cohere_decoder(apr_pool_t *p, const llmux_env_t *env,
                                      llmux_emit_fn emit, void *baton);

/** llmux_dialect_t.error_read; status 0: not said. */
llmux_error_t *llmux_cohere_error_read(apr_pool_t *p, int status,
                                       const llmux_json_t *body);

/** Cohere's log probabilities, one object or a list of them, as the JSON
 * array that OpenAI has; absent for none. */
llmux_slice_t llmux_cohere_logprobs(apr_pool_t *p, const llmux_json_t *v);

#endif
