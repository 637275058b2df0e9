/**
 * reader.h - reading a client's request: typed members, and errors that name
 * the place.
 *
 * A reader keeps its first error and goes on giving harmless answers, so
 * that the caller looks once at the end (and before loops).
 */

#ifndef LLMUX_DIALECT_READER_H
#define LLMUX_DIALECT_READER_H

#include "llmux/dialect.h"

typedef struct llmux_reader_t {
    llmux_chat_t *chat;
    apr_pool_t *pool;
    const llmux_error_t *err;   /* the first one */
} llmux_reader_t;

/* A place in the body, such as messages[2].content: a chain on the stack,
 * spelled out only when there is something to complain of. */
typedef struct llmux_at_t {
    const struct llmux_at_t *up;    /* NULL: the body itself */
    const char *name;               /* NULL: an element */
    int index;
} llmux_at_t;

llmux_at_t llmux_at(const llmux_at_t *up, const char *name);
llmux_at_t llmux_at_index(const llmux_at_t *up, int index);

/** "messages[2].content", NULL for the body itself. */
const char *llmux_at_text(apr_pool_t *p, const llmux_at_t *at);

/** "expected <...>" at this place, unless there was an error before. */
void llmux_reader_fail(llmux_reader_t *r, const llmux_at_t *at,
                       const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** What stands there, for messages: a short string or number itself, else
 * its kind. */
const char *llmux_reader_found(llmux_reader_t *r, const llmux_json_t *v);

/** Is it of this kind? Else that is an error. */
int llmux_reader_expect(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, llmux_json_e kind);

/** Is it an array of at most `max`? Else that is an error, which calls them
 * `what`: "tools". */
int llmux_reader_expect_list(llmux_reader_t *r, const llmux_at_t *at,
                             const llmux_json_t *v, int max,
                             const char *what);

/** A member of an object: NULL if it is absent, null, or (an error) of
 * another kind. need() makes absence an error too. */
const llmux_json_t *llmux_reader_member(llmux_reader_t *r,
                                        const llmux_at_t *at,
                                        const llmux_json_t *object,
                                        const char *name, llmux_json_e kind);
const llmux_json_t *llmux_reader_need(llmux_reader_t *r, const llmux_at_t *at,
                                      const llmux_json_t *object,
                                      const char *name, llmux_json_e kind);

/** A string member: absent if there is none. need_str() demands one that is
 * not empty. */
llmux_slice_t llmux_reader_str(llmux_reader_t *r, const llmux_at_t *at,
                               const llmux_json_t *object, const char *name);
llmux_slice_t llmux_reader_need_str(llmux_reader_t *r, const llmux_at_t *at,
                                    const llmux_json_t *object,
                                    const char *name);

/** A boolean member; unset if there is none. */
llmux_tri_e llmux_reader_bool(llmux_reader_t *r, const llmux_at_t *at,
                              const llmux_json_t *object, const char *name);

/** A number in a range: its source text. Integers: in plain digits. */
llmux_slice_t llmux_reader_number(llmux_reader_t *r, const llmux_at_t *at,
                                  const llmux_json_t *v, double low,
                                  double high);
llmux_slice_t llmux_reader_integer(llmux_reader_t *r, const llmux_at_t *at,
                                   const llmux_json_t *v, apr_int64_t low,
                                   apr_int64_t high);

/** Which of these words (NULL at the end) the string is; -1 is an error. */
int llmux_reader_word(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *v, const char *const *words);

/** OpenAI's rule for names of functions and formats: at most so many letters,
 * digits, '_' and '-'. */
int llmux_reader_is_name(llmux_slice_t s, apr_size_t max);

/** ... of the object at `at`, which has it as `name`. */
void llmux_reader_check_name(llmux_reader_t *r, const llmux_at_t *at,
                             const llmux_json_t *object, llmux_slice_t name,
                             int max);

/** Base64 in the spelling that all providers know, standard and padded: the
 * text itself where it is, as it nearly always is, else in the reader's pool.
 * Empty if nothing can be decoded. */
llmux_slice_t llmux_reader_base64(llmux_reader_t *r, llmux_slice_t text);

/** Does it begin with this scheme ("https://"), case aside, and go on? */
int llmux_reader_is_url(llmux_slice_t s, const char *scheme);

#endif
