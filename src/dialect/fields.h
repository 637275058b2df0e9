/**
 * fields.h - the top-level members of a client's request as a table: how it
 * is read, the plain kinds of values, and the members that several of
 * OpenAI's APIs have alike.
 */

#ifndef LLMUX_DIALECT_FIELDS_H
#define LLMUX_DIALECT_FIELDS_H

#include <stddef.h>

#include "reader.h"

typedef struct llmux_field_t llmux_field_t;

typedef void (*llmux_field_fn)(llmux_reader_t *r, const llmux_at_t *at,
                               const llmux_json_t *v, const llmux_field_t *f);

/* A member. Rows are read in their order, and of several that set the same
 * the first one present wins. */
struct llmux_field_t {
    const char *name;
    llmux_field_fn read;    /* NULL: it is passed over */
    apr_size_t offset;      /* of what it sets in llmux_chat_t */
    double low, high;       /* numbers; integers: high 0 is no limit */
    int more;               /* whatever else its dialect has to say of it */
};

/* ---- a table -------------------------------------------------------- */

/** The row of this name, -1 if there is none. */
int llmux_field_of(const llmux_field_t *fields, int count,
                   const llmux_json_t *name);

/** Is row `i` what this member means? Names of the gateway's own are, but an
 * object `provider` is OpenRouter's way to choose. */
int llmux_field_means(const llmux_field_t *fields, int i,
                      const llmux_json_t *v);

/** Is it an object with a bearable number of members? Else that is an error. */
int llmux_fields_expect(llmux_reader_t *r, const llmux_json_t *body);

/** Reads what was found, row by row, until there is an error.
 * @param found the rows' values, NULL for absent ones */
void llmux_fields_read(llmux_reader_t *r, const llmux_field_t *fields,
                       int count, const llmux_json_t *const *found);

/** A member as it stands, at the end of the list. Of those with one name the
 * last counts. */
void llmux_extra_add(llmux_reader_t *r, llmux_extra_t **list,
                     llmux_slice_t name, const llmux_json_t *v);

/* ---- plain kinds: into a slice, or a llmux_tri_e -------------------- */

void llmux_field_str(llmux_reader_t *r, const llmux_at_t *at,
                     const llmux_json_t *v, const llmux_field_t *f);
void llmux_field_object(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, const llmux_field_t *f);
void llmux_field_number(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, const llmux_field_t *f);
void llmux_field_integer(llmux_reader_t *r, const llmux_at_t *at,
                         const llmux_json_t *v, const llmux_field_t *f);
void llmux_field_any_integer(llmux_reader_t *r, const llmux_at_t *at,
                             const llmux_json_t *v, const llmux_field_t *f);
void llmux_field_tri(llmux_reader_t *r, const llmux_at_t *at,
                     const llmux_json_t *v, const llmux_field_t *f);

/* ---- members of OpenAI's -------------------------------------------- */

void llmux_field_stream(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, const llmux_field_t *f);

/** Behind `stream`. */
void llmux_field_stream_options(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *v,
                                const llmux_field_t *f);
void llmux_field_top_k(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *v, const llmux_field_t *f);
void llmux_field_logit_bias(llmux_reader_t *r, const llmux_at_t *at,
                            const llmux_json_t *v, const llmux_field_t *f);
void llmux_field_stop(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *v, const llmux_field_t *f);

#endif
