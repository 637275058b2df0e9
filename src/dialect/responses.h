/**
 * responses.h - OpenAI's Responses API: POST /v1/responses.
 *
 * The files: responses_read*.c (a client's request), responses_edit.c (bytes
 * that pass), responses_encode*.c (events for a client), responses_write*.c
 * and responses_decode*.c (the way to a provider and back). Errors are those
 * of chat completions: errors.h, openai_answer.h.
 */

#ifndef LLMUX_DIALECT_RESPONSES_H
#define LLMUX_DIALECT_RESPONSES_H

#include "llmux/seal.h"

/* ---- what both doors agree on ----------------------------------------- */

/* Where an event begins a block (LLMUX_EV_BLOCK_START), the decoder says and
 * the encoder repeats, if present:
 *     THINK   `id`: the reasoning item's, since OpenAI checks
 *             encrypted_content against it
 *     TEXT    `name`: the message's phase
 * A message of the canonical request has its phase as well. Several parts of
 * one summary are one thought, with an empty line between them. Before the
 * second message with text the decoder says an empty line: clients of other
 * dialects have but one text. */

/** A member of the client's request as it stood (raw JSON, never null), from
 * chat->said: members that have no place of their own in llmux_chat_t, and
 * those that an answer repeats. Names of nested ones have a dot:
 * "reasoning.summary", "reasoning.context", "text.verbosity", "text.format";
 * others stand for themselves: "truncation", "include", "max_tool_calls".
 * @return absent if the client did not say it */
llmux_slice_t llmux_responses_said(const llmux_chat_t *chat,
                                   const char *name);

/* Tokens that others made stand in `encrypted_content`, too, sealed; OpenAI's
 * own stand there as they are (and begin with "gAAAA"). */

/* ---- the front door --------------------------------------------------- */

/** A client's body into the canonical request. What needs a store of earlier
 * answers (previous_response_id, conversation, item_reference) or a worker of
 * OpenAI's (background, prompt, hosted tools but for web search) is refused. */
const llmux_error_t *llmux_responses_read(llmux_chat_t *chat,
                                          const llmux_json_t *body);

/** Bytes that pass: see head() and edit() in dialect.h. Reasoning with another
 * maker's token is taken out, since OpenAI would refuse all for it. */
const llmux_error_t *llmux_responses_head(apr_pool_t *p,
                                          llmux_json_parser_t *parser,
                                          llmux_slice_t body,
                                          llmux_head_t *head);
void llmux_responses_edit(llmux_buf_t *out, apr_pool_t *scratch,
                          const llmux_head_t *head, llmux_slice_t body,
                          const llmux_target_t *target,
                          llmux_warnings_t *w);

llmux_encoder_t *llmux_responses_encoder(apr_pool_t *p,
                                         const llmux_encode_t *how);

/* ---- the back door ---------------------------------------------------- */

const llmux_error_t *llmux_responses_write(llmux_buf_t *out,
                                           const llmux_chat_t *chat,
                                           const llmux_target_t *target,
                                           llmux_warnings_t *warnings,
                                           apr_pool_t *scratch);

llmux_decoder_t *llmux_responses_decoder(apr_pool_t *p,
                                         const llmux_env_t *env,
                                         llmux_emit_fn emit, void *baton);

#endif
