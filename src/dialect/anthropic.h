/**
 * anthropic.h - what the parts of the Anthropic Messages dialect share.
 */

#ifndef LLMUX_ANTHROPIC_H
#define LLMUX_ANTHROPIC_H

#include "llmux/seal.h"

#include "anthropic_model.h"

/* ---- a conversation as the API wants it ------------------------------ */

/* A block of a turn. Points into the chat; made anew for each request. */
typedef struct llmux_part_t {
    struct llmux_part_t *next;
    const llmux_block_t *block;     /* NULL: a text of our own */
    llmux_slice_t text;             /* of texts and refusals */
    llmux_slice_t id, name;         /* of a call, as they go out */
    const struct llmux_part_t *result;  /* of a call: what the tool said;
                                         * NULL: nobody did */
    const char *cache_ttl;
    const char *param;              /* its message: "messages[3]" */
    int index;                      /* in that message */
} llmux_part_t;

typedef struct llmux_turn_t {
    struct llmux_turn_t *next;
    llmux_role_e role;
    llmux_part_t *parts, *last;
    int calls;                      /* has calls among its parts */
    const struct llmux_turn_t *answers; /* user: begins with the results of
                                         * this turn's calls */
    const char *param;
} llmux_turn_t;

typedef struct llmux_turns_t {
    llmux_turn_t system;            /* the prompt before the messages */
    llmux_turn_t *first;
    int prefill;                    /* it ends with the assistant */
    int calls;                      /* there are calls in it */
    int unsigned_calls;             /* a turn with calls does not begin with
                                     * thinking that the API signed */
} llmux_turns_t;

/** Puts the messages into an order that the API takes: roles alternate,
 * results follow their calls, no text is blank. All of it is in `p`, an
 * error in the chat's pool. */
const llmux_error_t *llmux_anthropic_turns(llmux_turns_t *out,
                                           const llmux_chat_t *chat,
                                           const llmux_target_t *target,
                                           const llmux_claude_t *claude,
                                           llmux_warnings_t *w,
                                           apr_pool_t *p);

/** Appends a text of our own to the system prompt. */
void llmux_anthropic_hint(llmux_turns_t *turns, apr_pool_t *p,
                          const char *text);

/* ---- content, written ------------------------------------------------ */

typedef struct llmux_anthropic_out_t {
    llmux_jw_t jw;
    llmux_warnings_t *w;
    apr_pool_t *p;          /* dies with the writing ... */
    apr_pool_t *errors;     /* ... which errors outlive */
    int surplus;            /* cache markers to leave out, from the front:
                             * the API takes four, the last ones count most */
} llmux_anthropic_out_t;

/** Counts the markers on tools, system prompt and messages. */
void llmux_anthropic_count_marks(llmux_anthropic_out_t *o,
                                 const llmux_tool_t *tools,
                                 const llmux_turns_t *turns);

/** Writes a cache marker; nothing for NULL or a surplus one. */
void llmux_anthropic_mark(llmux_anthropic_out_t *o, const char *ttl);

/** Where a medium stood, for an error: itself, or its message says. */
const char *llmux_anthropic_place(apr_pool_t *p, const llmux_media_t *m,
                                  const char *param, int index);

/** Writes the members "system" (if there is any) and "messages". */
const llmux_error_t *llmux_anthropic_content(llmux_anthropic_out_t *o,
                                             const llmux_turns_t *turns);

/* ---- arrows ---------------------------------------------------------- */

/* From this version of the API on, sampling parameters, documents of the
 * assistant's and citations in what is no answer are refused. */
#define LLMUX_ANTHROPIC_VERSION_STRICT "2026-10-21"

/** Bytes that pass: see head() and edit() in dialect.h. For a server that
 * speaks the version above, what it refuses is left out: sampling parameters,
 * and citations that are no answer's; for another cloud's, the tier. Where a
 * thought goes that an unfinished turn began with, `thinking` goes as well. */
const llmux_error_t *llmux_anthropic_head(apr_pool_t *p,
                                          llmux_json_parser_t *parser,
                                          llmux_slice_t body,
                                          llmux_head_t *head);
void llmux_anthropic_edit(llmux_buf_t *out, apr_pool_t *scratch,
                          const llmux_head_t *head, llmux_slice_t body,
                          const llmux_target_t *target,
                          llmux_warnings_t *w);

const llmux_error_t *llmux_anthropic_read(llmux_chat_t *chat,
                                          const llmux_json_t *body);

llmux_encoder_t *llmux_anthropic_encoder(apr_pool_t *p,
                                         const llmux_encode_t *how);

const llmux_error_t *llmux_anthropic_write(llmux_buf_t *out,
                                           const llmux_chat_t *chat,
                                           const llmux_target_t *target,
                                           llmux_warnings_t *w,
                                           apr_pool_t *scratch);

llmux_decoder_t *llmux_anthropic_decoder(apr_pool_t *p,
                                         const llmux_env_t *env,
                                         llmux_emit_fn emit, void *baton);

/** What {"type":"error","error":{...}} means; `status` 0: not said. */
llmux_error_t *llmux_anthropic_error_read(apr_pool_t *p, int status,
                                          const llmux_json_t *body);

/** {"type":"error","error":{...},"request_id":...} */
void llmux_anthropic_error_write(llmux_buf_t *out, const llmux_error_t *err,
                                 const char *request_id);

/** llmux_dialect_t.error_status */
int llmux_anthropic_error_status(const llmux_error_t *err);

#endif
