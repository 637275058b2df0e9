/**
 * completions.h - OpenAI's legacy completions: POST /v1/completions.
 *
 * The files: completions_read.c (a client's request), completions_edit.c
 * (bytes that pass), completions_write.c and completions_decode.c (the way to
 * a provider and back), completions_encode.c (events for a client),
 * completions_logprobs.c (log probabilities, both ways), completions.c (the
 * table, and what a chat cannot stand in for). Errors are those of chat
 * completions: errors.h, openai_answer.h.
 */

#ifndef LLMUX_DIALECT_COMPLETIONS_H
#define LLMUX_DIALECT_COMPLETIONS_H

#include "llmux/dialect.h"

/* ---- arrows ---------------------------------------------------------- */

const llmux_error_t *llmux_completions_head(apr_pool_t *p,
                                            llmux_json_parser_t *parser,
                                            llmux_slice_t body,
                                            llmux_head_t *head);
void llmux_completions_edit(llmux_buf_t *out, apr_pool_t *scratch,
                            const llmux_head_t *head, llmux_slice_t body,
                            const llmux_target_t *target,
                            llmux_warnings_t *w);

/** Each prompt becomes a chat of one user message, the first one `chat`
 * itself, the others those in `next`: they share all else. Without any prompt
 * there is no message. */
const llmux_error_t *llmux_completions_read(llmux_chat_t *chat,
                                            const llmux_json_t *body);

/** All prompts of the list in one request. What is no completion is
 * refused. */
const llmux_error_t *llmux_completions_write(llmux_buf_t *out,
                                             const llmux_chat_t *chat,
                                             const llmux_target_t *target,
                                             llmux_warnings_t *warnings,
                                             apr_pool_t *scratch);

llmux_decoder_t *llmux_completions_decoder(apr_pool_t *p,
                                           const llmux_env_t *env,
                                           llmux_emit_fn emit, void *baton);
llmux_encoder_t *llmux_completions_encoder(apr_pool_t *p,
                                           const llmux_encode_t *how);

/* ---- prompts --------------------------------------------------------- */

/** The text of a chat's prompt; absent for tokens, and for none at all. */
llmux_slice_t llmux_completions_text(const llmux_chat_t *chat);

/** How many choices each prompt has. */
int llmux_completions_n(const llmux_chat_t *chat);

/* ---- log probabilities ----------------------------------------------- */

/** A legacy `logprobs` as the JSON array that chat completions have; absent
 * for none. In `p`. */
llmux_slice_t llmux_completions_logprobs_read(apr_pool_t *p,
                                              const llmux_json_t *legacy);

/* The way back, piece by piece. */
typedef struct llmux_completions_logprobs_t {
    llmux_buf_t *tokens, *numbers, *tops, *offsets; /* JSON elements */
    apr_int64_t at;         /* code points before the next token, from the
                             * beginning of the prompt */
} llmux_completions_logprobs_t;

void llmux_completions_logprobs_init(llmux_completions_logprobs_t *l,
                                     apr_pool_t *p);

/** Forgets the tokens, but not where they ended. */
void llmux_completions_logprobs_reset(llmux_completions_logprobs_t *l);

/** Takes the tokens of such an array. Scratch is in `p`. */
void llmux_completions_logprobs_add(llmux_completions_logprobs_t *l,
                                    apr_pool_t *p, const llmux_json_t *list);

/** The value of `logprobs`: null if there is no token. */
void llmux_completions_logprobs_write(llmux_jw_t *w,
                                      const llmux_completions_logprobs_t *l);

#endif
