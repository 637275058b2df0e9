/* fields.c - the top-level members of a client's request as a table. */

#include <string.h>

#include "fields.h"

/* ---- a table --------------------------------------------------------- */

int llmux_field_of(const llmux_field_t *fields, int count,
                   const llmux_json_t *name)
{
    int i;

    for (i = 0; i < count; i++) {
        if (llmux_json_is(name, fields[i].name)) {
            return i;
        }
    }
    return -1;
}

int llmux_field_means(const llmux_field_t *fields, int i,
                      const llmux_json_t *v)
{
    return i >= 0 && (fields[i].read || strcmp(fields[i].name, "provider")
                      || llmux_json_kind(v) != LLMUX_JSON_OBJECT);
}

int llmux_fields_expect(llmux_reader_t *r, const llmux_json_t *body)
{
    llmux_at_t root = llmux_at(NULL, NULL);

    if (!llmux_reader_expect(r, &root, body, LLMUX_JSON_OBJECT)) {
        return 0;
    }
    if (llmux_json_count(body) > LLMUX_MEMBERS_MAX) {
        llmux_reader_fail(r, &root, "expected at most %d members, found %d",
                          LLMUX_MEMBERS_MAX, llmux_json_count(body));
    }
    return !r->err;
}

void llmux_fields_read(llmux_reader_t *r, const llmux_field_t *fields,
                       int count, const llmux_json_t *const *found)
{
    llmux_at_t root = llmux_at(NULL, NULL), at;
    int i;

    for (i = 0; i < count && !r->err; i++) {
        if (found[i] && fields[i].read) {
            at = llmux_at(&root, fields[i].name);
            fields[i].read(r, &at, found[i], &fields[i]);
        }
    }
}

void llmux_extra_add(llmux_reader_t *r, llmux_extra_t **list,
                     llmux_slice_t name, const llmux_json_t *v)
{
    while (*list && !llmux_slice_equal((*list)->name, name)) {
        list = &(*list)->next;
    }
    if (!*list) {
        *list = apr_pcalloc(r->pool, sizeof(**list));
        (*list)->name = name;
    }
    (*list)->json = llmux_json_raw(v);
}

/* ---- plain kinds ----------------------------------------------------- */

static void *place_of(llmux_reader_t *r, const llmux_field_t *f)
{
    return (char *)r->chat + f->offset;
}

static void set_slice(llmux_reader_t *r, const llmux_field_t *f,
                      llmux_slice_t s)
{
    llmux_slice_t *to = place_of(r, f);

    if (!to->data) {
        *to = s;
    }
}

void llmux_field_str(llmux_reader_t *r, const llmux_at_t *at,
                     const llmux_json_t *v, const llmux_field_t *f)
{
    if (llmux_reader_expect(r, at, v, LLMUX_JSON_STRING)) {
        set_slice(r, f, llmux_json_str(r->pool, v));
    }
}

void llmux_field_object(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, const llmux_field_t *f)
{
    if (llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        set_slice(r, f, llmux_json_raw(v));
    }
}

void llmux_field_number(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, const llmux_field_t *f)
{
    set_slice(r, f, llmux_reader_number(r, at, v, f->low, f->high));
}

void llmux_field_integer(llmux_reader_t *r, const llmux_at_t *at,
                         const llmux_json_t *v, const llmux_field_t *f)
{
    apr_int64_t high = f->high ? (apr_int64_t)f->high : APR_INT64_MAX;

    set_slice(r, f, llmux_reader_integer(r, at, v, (apr_int64_t)f->low,
                                         high));
}

void llmux_field_any_integer(llmux_reader_t *r, const llmux_at_t *at,
                             const llmux_json_t *v, const llmux_field_t *f)
{
    set_slice(r, f, llmux_reader_integer(r, at, v, APR_INT64_MIN,
                                         APR_INT64_MAX));
}

void llmux_field_tri(llmux_reader_t *r, const llmux_at_t *at,
                     const llmux_json_t *v, const llmux_field_t *f)
{
    llmux_tri_e *to = place_of(r, f);

    if (llmux_reader_expect(r, at, v, LLMUX_JSON_BOOL)
        && *to == LLMUX_UNSET) {
        *to = llmux_json_bool(v);
    }
}

/* ---- members of OpenAI's --------------------------------------------- */

void llmux_field_stream(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, const llmux_field_t *f)
{
    if (llmux_reader_expect(r, at, v, LLMUX_JSON_BOOL)) {
        r->chat->stream = llmux_json_bool(v) == LLMUX_YES;
    }
}

void llmux_field_stream_options(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *v,
                                const llmux_field_t *f)
{
    if (llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        r->chat->include_usage = r->chat->stream
            & (llmux_reader_bool(r, at, v, "include_usage") == LLMUX_YES);
    }
}

/* vLLM and its kin say 0 or -1 for "off". */
void llmux_field_top_k(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *v, const llmux_field_t *f)
{
    llmux_slice_t k = llmux_reader_integer(r, at, v, -1, APR_INT64_MAX);

    if (llmux_json_int(v, 0) > 0) {
        r->chat->top_k = k;
    }
}

void llmux_field_logit_bias(llmux_reader_t *r, const llmux_at_t *at,
                            const llmux_json_t *v, const llmux_field_t *f)
{
    const llmux_json_t *m;

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    for (m = llmux_json_first(v); m && !r->err;
         m = llmux_json_next_member(v, m)) {
        llmux_reader_number(r, at, llmux_json_value(m), -100, 100);
    }
    r->chat->logit_bias = llmux_json_raw(v);
}

static void add_stop(llmux_reader_t *r, const llmux_at_t *at,
                     const llmux_json_t *v)
{
    llmux_slice_t s = llmux_json_str(r->pool, v);

    /* an empty one would stop at once; no provider means that by it */
    if (llmux_reader_expect(r, at, v, LLMUX_JSON_STRING) && s.len) {
        if (!r->chat->stop) {
            r->chat->stop = apr_array_make(r->pool, 4, sizeof(llmux_slice_t));
        }
        APR_ARRAY_PUSH(r->chat->stop, llmux_slice_t) = s;
    }
}

void llmux_field_stop(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *v, const llmux_field_t *f)
{
    const llmux_json_t *e;
    llmux_at_t each;
    int i = 0;

    if (llmux_json_kind(v) == LLMUX_JSON_STRING) {
        add_stop(r, at, v);
        return;
    }
    if (llmux_json_kind(v) != LLMUX_JSON_ARRAY
        || llmux_json_count(v) > LLMUX_STOPS_MAX) {
        llmux_reader_fail(r, at, "expected a string or an array of at most "
                          "%d strings, found %s", LLMUX_STOPS_MAX,
                          llmux_json_kind_name(v));
        return;
    }
    for (e = llmux_json_first(v); e && !r->err; e = llmux_json_next(v, e)) {
        each = llmux_at_index(at, i++);
        add_stop(r, &each, e);
    }
}
