/**
 * count.h - what dialects that count tokens share. They ask for a chat as the
 * vendor's chats do, without limits and the like, and are answered with a
 * number.
 */

#ifndef LLMUX_DIALECT_COUNT_H
#define LLMUX_DIALECT_COUNT_H

#include "llmux/dialect.h"

/** A copy that says only what counts: the conversation, the tools, how to
 * think and in which format to answer. It shares all of that. */
llmux_chat_t llmux_count_chat(const llmux_chat_t *chat);

/** An object with only those of its members that are in the list (NULL at its
 * end), `front` before them (a member's text, or NULL).
 * @param v an object; NULL: `out` fails. Scratch is in `p` */
void llmux_count_keep(llmux_buf_t *out, apr_pool_t *p, const llmux_json_t *v,
                      const char *const *names, const char *front);

/** Notes those members that are not kept, but for `silent` ones: those that
 * count nothing. */
void llmux_count_tell(apr_pool_t *p, const llmux_json_t *v,
                      const char *const *names, const char *const *silent,
                      llmux_warnings_t *w);

/** All members but those in the list: at most LLMUX_EDITS_GONE. They count
 * nothing, and nobody is told. All other bytes stay.
 * @param v the object that `text` is; NULL: `out` fails */
void llmux_count_drop(llmux_buf_t *out, apr_pool_t *p, llmux_slice_t text,
                      const llmux_json_t *v, const char *const *names,
                      const char *front);

/* ---- answers --------------------------------------------------------- */

/* How one dialect says it. */
typedef struct llmux_count_t {
    /** Overlays what the body reports. @return 0 if it reports nothing */
    int (*read)(llmux_usage_t *to, const llmux_json_t *body);
    /** Writes the body. */
    void (*write)(llmux_jw_t *w, const llmux_usage_t *usage);
    /** llmux_dialect_t.error_read */
    llmux_error_t *(*error_read)(apr_pool_t *p, int status,
                                 const llmux_json_t *body);
} llmux_count_t;

/** The `read` of those who call it `input_tokens`. */
int llmux_count_input_tokens(llmux_usage_t *to, const llmux_json_t *body);

/** START, USAGE, END; an ERROR for what is no count. */
llmux_decoder_t *llmux_count_decoder(apr_pool_t *p, const llmux_env_t *env,
                                     llmux_emit_fn emit, void *baton,
                                     const llmux_count_t *count);

/** The body at END. It is not written (`failed`) if nobody counted. */
llmux_encoder_t *llmux_count_encoder(apr_pool_t *p,
                                     const llmux_count_t *count);

#endif
