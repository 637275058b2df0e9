/**
 * openai_answer.h - the answer side of chat completions: decoder, encoder,
 * usage and errors; the legacy completions share most of it. The request side
 * is in openai.h.
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

/** The same, and tells what is known then; nothing if that object reports
 * nothing, or is none. */
void llmux_openai_usage_emit(llmux_decoder_t *d, llmux_usage_t *to,
                             const llmux_json_t *usage);

/** The `usage` object for a client; null if nothing was reported. */
void llmux_openai_usage_write(llmux_jw_t *w, const llmux_usage_t *usage);

/** {"error":{...}}, the body that clients expect. */
void llmux_openai_error_write(llmux_buf_t *out, const llmux_error_t *err,
                              const char *request_id);

/** Is it an error in the place of an answer, in one of the shapes that are
 * about? */
int llmux_openai_is_error(llmux_slice_t event_name, const llmux_json_t *body);

/** Ends the answer with the error that `body` is or holds. */
void llmux_openai_error_emit(llmux_decoder_t *d, const llmux_json_t *body);

/** The members that begin every document, `id` to `model`. A client may insist
 * on the model's name that it asked for; a model without a name has an empty
 * one, since clients' types know no other. */
void llmux_openai_head_write(llmux_jw_t *w, const char *object,
                             const llmux_encode_t *how,
                             const llmux_event_t *ev);

/** What ends each chunk of a stream, behind its choices. */
const char *llmux_openai_chunk_tail(const llmux_encode_t *how);

/** The chunk of the usage, where it is wanted and known, and [DONE].
 * @param head of each document, up to its choices */
void llmux_openai_stream_end(llmux_buf_t *out, const llmux_encode_t *how,
                             llmux_slice_t head, const llmux_usage_t *usage);
void llmux_openai_stream_error(llmux_buf_t *out, const llmux_error_t *err);

/** What ends a whole document, behind its last choice: the usage, if it is
 * known, and the brace. */
void llmux_openai_whole_end(llmux_jw_t *w, const llmux_usage_t *usage);

#endif
