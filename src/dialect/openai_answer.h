/**
 * openai_answer.h - the answer side of chat completions: decoder, encoder,
 * usage and errors. The request side is in openai.h.
 */

#ifndef LLMUX_DIALECT_OPENAI_ANSWER_H
#define LLMUX_DIALECT_OPENAI_ANSWER_H

#include "llmux/dialect.h"

/** Decoder and encoder, as in the dialect's table. */
llmux_decoder_t *llmux_openai_decoder(apr_pool_t *p, const llmux_env_t *env,
                                      llmux_emit_fn emit, void *baton);
llmux_encoder_t *llmux_openai_encoder(apr_pool_t *p,
                                      const llmux_encode_t *how);

/** Overlays what a `usage` object reports, made disjoint.
 * @return 0 if it reports nothing */
int llmux_openai_usage_read(llmux_usage_t *to, const llmux_json_t *usage);

/** The `usage` object for a client; null if nothing was reported. */
void llmux_openai_usage_write(llmux_jw_t *w, const llmux_usage_t *usage);

/** {"error":{...}}, the body that clients expect. */
void llmux_openai_error_write(llmux_buf_t *out, const llmux_error_t *err,
                              const char *request_id);

#endif
