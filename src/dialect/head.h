/**
 * head.h - what all front doors do with a body before it is understood, and
 * how its bytes pass with some spans changed: for the dialects' head() and
 * edit().
 */

#ifndef LLMUX_DIALECT_HEAD_H
#define LLMUX_DIALECT_HEAD_H

#include "llmux/seal.h"

#include "reader.h"

/* ---- reading ---------------------------------------------------------- */

/** Parses the body and checks its members. Mistakes are in r->err.
 * @param names members that must be spelled exactly so; ends with NULL */
void llmux_head_begin(llmux_reader_t *r, llmux_json_parser_t *parser,
                      llmux_slice_t body, const char *const *names,
                      llmux_head_t *head);

/** The member `model`, where a dialect has it in the body. */
void llmux_head_model(llmux_reader_t *r, const llmux_at_t *root,
                      llmux_head_t *head);

/** The array `messages`, which must not be empty. */
void llmux_head_messages(llmux_reader_t *r, const llmux_at_t *root,
                         llmux_head_t *head);

/** `stream` and `stream_options`, as OpenAI has them.
 * @param names within the options, as for begin() */
void llmux_head_stream(llmux_reader_t *r, const llmux_at_t *root,
                       const char *const *names, llmux_head_t *head);

/** Those that are ours and never go up: `provider`, `parameters`. */
void llmux_head_ours(llmux_reader_t *r, const llmux_at_t *root,
                     const char *const *names, llmux_head_t *head);

/** Not too many members, none of them twice, none in disguise. */
void llmux_head_check(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *object, const char *const *names);

/* ---- edits ------------------------------------------------------------ */

/* Bytes to be replaced. */
typedef struct llmux_edit_t {
    const char *at;
    apr_size_t len;
    const char *text;       /* with its quotes; NULL: the model */
    int number;
} llmux_edit_t;

#define LLMUX_EDITS_GONE 8

typedef struct llmux_edits_t {
    apr_array_header_t *list;               /* llmux_edit_t */
    const char *gone[LLMUX_EDITS_GONE];     /* top-level members to go */
    int ngone;
    llmux_warnings_t *warnings;             /* NULL: nobody is told */
} llmux_edits_t;

void llmux_edits_init(llmux_edits_t *e, apr_pool_t *scratch,
                      llmux_warnings_t *w);

/** Puts `text` in the place of `len` bytes at `at`. */
void llmux_edit_at(llmux_edits_t *e, const char *at, apr_size_t len,
                   const char *text);
void llmux_edit_replace(llmux_edits_t *e, const llmux_json_t *v,
                        const char *text);

/** Puts a member, or several, in front of the first one. */
void llmux_edit_insert(llmux_edits_t *e, const llmux_json_t *root,
                       const char *text);

/** The target's model in the place of the client's, or in front where the
 * client has it in the path. */
void llmux_edit_model(llmux_edits_t *e, const llmux_json_t *root);

/* What goes from an array, or from an object, while it is walked. Each goes
 * with the comma before it or, as long as nothing stays before it, the one
 * behind it. */
typedef struct llmux_edit_walk_t {
    const llmux_json_t *before;     /* the value before this one */
    int stays;                      /* something stayed so far */
} llmux_edit_walk_t;

/** One element or member, and what becomes of it.
 * @param name of a member, else its value again
 * @param next the next element, or the next member's name; NULL: the last */
void llmux_edit_walk(llmux_edits_t *e, llmux_edit_walk_t *walk,
                     const llmux_json_t *name, const llmux_json_t *value,
                     const llmux_json_t *next, int goes);

/**
 * A token where it stands, for this target: one that is sealed is opened and
 * put in as its maker spelled it.
 * @param makers whose tokens may stand there
 * @return 0 if it cannot, and has to go: that is noted
 */
int llmux_edit_token(llmux_edits_t *e, apr_pool_t *scratch,
                     const llmux_head_t *head, const llmux_json_t *value,
                     unsigned int makers, const llmux_target_t *target);

/** Takes the top-level member out, with its comma. */
void llmux_edit_drop(llmux_edits_t *e, const char *name);

/** Notes that this value goes, unless it asks for nothing: null, false, none
 * of something. */
void llmux_edit_tell(llmux_edits_t *e, const llmux_json_t *value,
                     const char *name);

/** Both. */
void llmux_edit_lose(llmux_edits_t *e, const llmux_json_t *root,
                     const char *name);

/** Appends the body with all of them made. */
void llmux_edits_apply(llmux_edits_t *e, llmux_buf_t *out,
                       const llmux_json_t *root, llmux_slice_t body,
                       llmux_slice_t model);

#endif
