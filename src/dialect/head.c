/* head.c - what all front doors do with a body before it is understood, and
 * how its bytes pass with some spans changed. */

#include <stdlib.h>
#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "head.h"

static const char *const ours[] = { "provider", "parameters", "tags", "tag" };

/* ---- reading ---------------------------------------------------------- */

static const llmux_error_t *no_json(apr_pool_t *p,
                                    const llmux_json_error_t *e)
{
    llmux_error_t *err = llmux_error(
        p, LLMUX_ERR_INVALID, NULL,
        "The request body is not valid JSON: line %d, column %d (byte %"
        APR_SIZE_T_FMT "): %s", e->line, e->column, e->offset, e->reason);

    err->code = "invalid_json";
    return err;
}

/* Two members of one name, and servers differ in which of them counts: what
 * we check would not be what they do. */
static void refuse_twice(llmux_reader_t *r, const llmux_at_t *at,
                         const llmux_json_t *object)
{
    const char *name = llmux_json_duplicate(r->pool, object);
    llmux_at_t here = llmux_at(at, name);

    if (name) {
        llmux_reader_fail(r, &here, "expected it once, found it twice");
    }
}

/* Servers written in Go match names without regard to case, so that "Model"
 * would override the "model" that we look at. */
static void refuse_disguise(llmux_reader_t *r, const llmux_at_t *root,
                            const llmux_json_t *body,
                            const char *const *names)
{
    const llmux_json_t *m;
    llmux_slice_t name;
    llmux_at_t here;
    int i;

    for (m = llmux_json_first(body); m; m = llmux_json_next_member(body, m)) {
        name = llmux_json_str(r->pool, m);
        for (i = 0; names[i]; i++) {
            if (llmux_slice_is_nocase(name, names[i])
                && !llmux_slice_is(name, names[i])) {
                here = llmux_at(root, llmux_slice_str(r->pool, name));
                llmux_reader_fail(r, &here, "expected it to be spelled '%s'",
                                  names[i]);
            }
        }
    }
}

void llmux_head_check(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *object, const char *const *names)
{
    int n = llmux_json_count(object);

    if (n > LLMUX_MEMBERS_MAX) {
        llmux_reader_fail(r, at, "expected at most %d members, found %d",
                          LLMUX_MEMBERS_MAX, n);
        return;
    }
    refuse_twice(r, at, object);
    refuse_disguise(r, at, object, names);
}

void llmux_head_model(llmux_reader_t *r, const llmux_at_t *root,
                      llmux_head_t *head)
{
    llmux_at_t here = llmux_at(root, "model");

    if (!head->model.data) {
        head->model = llmux_reader_need_str(r, root, head->root, "model");
    }
    if (head->model.len > LLMUX_MODEL_NAME_MAX) {
        llmux_reader_fail(r, &here, "expected at most %d bytes, found %"
                          APR_SIZE_T_FMT, LLMUX_MODEL_NAME_MAX,
                          head->model.len);
    }
    else if (head->model.len
             && memchr(head->model.data, '\0', head->model.len)) {
        llmux_reader_fail(r, &here, "expected a name without NUL");
    }
}

void llmux_head_messages(llmux_reader_t *r, const llmux_at_t *root,
                         llmux_head_t *head)
{
    const llmux_json_t *v = llmux_reader_need(r, root, head->root, "messages",
                                              LLMUX_JSON_ARRAY);
    llmux_at_t here = llmux_at(root, "messages");

    head->messages = llmux_json_count(v);
    if (v && !head->messages) {
        llmux_reader_fail(r, &here, "expected at least one message, found an "
                          "empty array");
    }
}

void llmux_head_stream(llmux_reader_t *r, const llmux_at_t *root,
                       const char *const *names, llmux_head_t *head)
{
    const llmux_json_t *options = llmux_reader_member(
        r, root, head->root, "stream_options", LLMUX_JSON_OBJECT);
    llmux_at_t here = llmux_at(root, "stream_options");

    head->stream = llmux_reader_bool(r, root, head->root, "stream");
    llmux_head_check(r, &here, options, names);
    head->include_usage =
        llmux_reader_bool(r, &here, options, "include_usage") == LLMUX_YES;
}

/* Is it `provider` in OpenRouter's sense? Then it is none of ours. */
static int is_routing(const llmux_json_t *v)
{
    return llmux_json_kind(v) == LLMUX_JSON_OBJECT;
}

void llmux_head_ours(llmux_reader_t *r, const llmux_at_t *root,
                     const char *const *names, llmux_head_t *head)
{
    llmux_at_t here = llmux_at(root, "parameters");
    const llmux_json_t *v = llmux_json_get(head->root, "provider");

    if (v && !is_routing(v)) {
        head->provider = llmux_reader_need_str(r, root, head->root,
                                               "provider");
    }
    head->parameters = llmux_reader_member(r, root, head->root, "parameters",
                                           LLMUX_JSON_OBJECT);
    llmux_head_check(r, &here, head->parameters, names);
}

void llmux_head_begin(llmux_reader_t *r, llmux_json_parser_t *parser,
                      llmux_slice_t body, const char *const *names,
                      llmux_head_t *head)
{
    llmux_at_t root = llmux_at(NULL, NULL);
    llmux_slice_t model = head->model;
    llmux_json_error_t wrong;

    memset(head, 0, sizeof(*head));
    head->model = model;
    head->stream = LLMUX_UNSET;
    head->root = llmux_json_parse_again(parser, body, 2, &wrong);
    if (!head->root) {
        r->err = no_json(r->pool, &wrong);
        return;
    }
    if (llmux_reader_expect(r, &root, head->root, LLMUX_JSON_OBJECT)) {
        llmux_head_check(r, &root, head->root, names);
    }
}

/* ---- merge ----------------------------------------------------------- */

static int is_ours(const llmux_json_t *name)
{
    apr_size_t i;

    for (i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
        if (llmux_json_is(name, ours[i])) {
            return i || !is_routing(llmux_json_value(name));
        }
    }
    return 0;
}

/* The value of the member that has the same name there. */
static const llmux_json_t *same_named(apr_pool_t *p,
                                      const llmux_json_t *object,
                                      const llmux_json_t *name)
{
    return llmux_json_get_any(object, llmux_json_cstr(p, name));
}

static int is_null(const llmux_json_t *v)
{
    return llmux_json_kind(v) == LLMUX_JSON_NULL;
}

static void add_bytes(llmux_buf_t *out, const char *from, const char *to)
{
    llmux_buf_add(out, from, (apr_size_t) (to - from));
}

static const char *end_of(const llmux_json_t *v)
{
    return v->at + v->len;
}

/* The value that the client's explicit one has, unless it is null: then
 * what `parameters` says. */
static const llmux_json_t *merged_value(apr_pool_t *p,
                                        const llmux_head_t *head,
                                        const llmux_json_t *name)
{
    const llmux_json_t *v = llmux_json_value(name);
    const llmux_json_t *other =
        is_null(v) ? same_named(p, head->parameters, name) : NULL;

    return other ? other : v;
}

/* Members of the client that stay, with all that stands around them; what
 * goes takes the comma and the space before it along.
 * @return where the client's bytes go on, at the end of the last member */
static const char *add_explicit(llmux_buf_t *out, apr_pool_t *p,
                                const llmux_head_t *head,
                                const char *from)
{
    const llmux_json_t *body = head->root, *m, *v;
    int first = 1, skipped = 0;

    for (m = llmux_json_first(body); m; m = llmux_json_next_member(body, m)) {
        v = llmux_json_value(m);
        if (is_ours(m)) {
            /* gone as the first: its successor inherits the place */
            if (first && !skipped) {
                add_bytes(out, from, m->at);
            }
            skipped = 1;
        }
        else {
            add_bytes(out, first && skipped ? m->at : from, m->at);
            add_bytes(out, m->at, llmux_json_value(m)->at);
            llmux_buf_add_slice(out, llmux_json_raw(merged_value(p, head, m)));
            first = 0;
        }
        from = end_of(v);
    }
    return from;
}

static void add_parameters(llmux_buf_t *out, apr_pool_t *p,
                           const llmux_head_t *head)
{
    const llmux_json_t *from = head->parameters, *m;

    for (m = llmux_json_first(from); m; m = llmux_json_next_member(from, m)) {
        if (is_ours(m) || is_null(llmux_json_value(m))
            || same_named(p, head->root, m)) {
            continue;
        }
        llmux_buf_adds(out, ",");
        llmux_buf_add_slice(out, llmux_json_raw(m));
        llmux_buf_adds(out, ":");
        llmux_buf_add_slice(out, llmux_json_raw(llmux_json_value(m)));
    }
}

static int has_ours(const llmux_json_t *body)
{
    const llmux_json_t *m;

    for (m = llmux_json_first(body); m; m = llmux_json_next_member(body, m)) {
        if (is_ours(m)) {
            return 1;
        }
    }
    return 0;
}

llmux_slice_t llmux_head_merge(apr_pool_t *p, const llmux_head_t *head,
                               llmux_slice_t body)
{
    llmux_buf_t *out;
    const char *rest;

    if (!has_ours(head->root)) {
        return body;
    }
    out = llmux_buf_create(p, body.len);
    rest = add_explicit(out, p, head, body.data);
    add_parameters(out, p, head);
    add_bytes(out, rest, body.data + body.len);
    return llmux_buf_slice(out);
}

/* ---- edits ------------------------------------------------------------ */

void llmux_edits_init(llmux_edits_t *e, apr_pool_t *scratch,
                      llmux_warnings_t *w)
{
    e->list = apr_array_make(scratch, 4, sizeof(llmux_edit_t));
    e->ngone = 0;
    e->warnings = w;
}

void llmux_edit_at(llmux_edits_t *e, const char *at, apr_size_t len,
                   const char *text)
{
    llmux_edit_t *edit = apr_array_push(e->list);

    edit->at = at;
    edit->len = len;
    edit->text = text;
    edit->number = e->list->nelts;
}

void llmux_edit_insert(llmux_edits_t *e, const llmux_json_t *root,
                       const char *text)
{
    llmux_edit_at(e, root->at + 1, 0, text);
    if (llmux_json_count(root)) {
        llmux_edit_at(e, root->at + 1, 0, ",");
    }
}

void llmux_edit_model(llmux_edits_t *e, const llmux_json_t *root)
{
    const llmux_json_t *v = llmux_json_get_any(root, "model");

    if (v) {
        llmux_edit_replace(e, v, NULL);
        return;
    }
    llmux_edit_at(e, root->at + 1, 0, "\"model\":");
    llmux_edit_at(e, root->at + 1, 0, NULL);
    if (llmux_json_count(root)) {
        llmux_edit_at(e, root->at + 1, 0, ",");
    }
}

void llmux_edit_replace(llmux_edits_t *e, const llmux_json_t *v,
                        const char *text)
{
    llmux_edit_at(e, v->at, v->len, text);
}

void llmux_edit_walk(llmux_edits_t *e, llmux_edit_walk_t *walk,
                     const llmux_json_t *name, const llmux_json_t *value,
                     const llmux_json_t *next, int goes)
{
    const char *from = walk->stays ? end_of(walk->before) : name->at;
    const char *to = walk->stays || !next ? end_of(value) : next->at;

    if (goes) {
        llmux_edit_at(e, from, (apr_size_t)(to - from), "");
    }
    walk->stays |= !goes;
    walk->before = value;
}

static const char *quoted(apr_pool_t *p, llmux_slice_t text)
{
    llmux_buf_t *b = llmux_buf_create(p, LLMUX_JSON_TEXT_MAX);
    llmux_jw_t w = llmux_jw(b);

    llmux_jw_str(&w, text);
    return llmux_slice_str(p, llmux_buf_slice(b));
}

int llmux_edit_token(llmux_edits_t *e, apr_pool_t *scratch,
                     const llmux_head_t *head, const llmux_json_t *value,
                     unsigned int makers, const llmux_target_t *target)
{
    llmux_slice_t text = llmux_json_str(scratch, value);
    llmux_token_t token;

    if (!llmux_sealed(text)) {
        return 1;
    }
    token = llmux_unseal(scratch, head->sealer, head->tenant, text);
    if (!llmux_token_fits(&token, makers, target)) {
        llmux_warn(e->warnings, LLMUX_WARN_DROP, "reasoning_content");
        return 0;
    }
    llmux_edit_replace(e, value, quoted(scratch, token.bytes));
    return 1;
}

void llmux_edit_drop(llmux_edits_t *e, const char *name)
{
    if (e->ngone < LLMUX_EDITS_GONE) {
        e->gone[e->ngone++] = name;
    }
}

/* By its bytes: what lies too deep is not counted. */
static int is_empty(llmux_slice_t list)
{
    apr_size_t i;

    for (i = 1; i + 1 < list.len && apr_isspace(list.data[i]); i++) {
    }
    return i + 1 >= list.len;
}

static int asks_nothing(const llmux_json_t *v)
{
    switch (llmux_json_kind(v)) {
    case LLMUX_JSON_NONE:
    case LLMUX_JSON_NULL:
        return 1;
    case LLMUX_JSON_BOOL:
        return llmux_json_bool(v) == LLMUX_NO;
    case LLMUX_JSON_ARRAY:
    case LLMUX_JSON_OBJECT:
        return is_empty(llmux_json_raw(v));
    default:
        return 0;
    }
}

void llmux_edit_tell(llmux_edits_t *e, const llmux_json_t *value,
                     const char *name)
{
    if (!asks_nothing(value)) {
        llmux_warn(e->warnings, LLMUX_WARN_DROP, name);
    }
}

void llmux_edit_lose(llmux_edits_t *e, const llmux_json_t *root,
                     const char *name)
{
    llmux_edit_tell(e, llmux_json_get_any(root, name), name);
    llmux_edit_drop(e, name);
}

static int is_gone(const llmux_edits_t *e, const llmux_json_t *m)
{
    int i;

    for (i = 0; i < e->ngone; i++) {
        if (llmux_json_is(m, e->gone[i])) {
            return 1;
        }
    }
    return 0;
}

static void take_out(llmux_edits_t *e, const llmux_json_t *body)
{
    llmux_edit_walk_t walk = { NULL, 0 };
    const llmux_json_t *m, *next;

    for (m = e->ngone ? llmux_json_first(body) : NULL; m; m = next) {
        next = llmux_json_next_member(body, m);
        llmux_edit_walk(e, &walk, m, llmux_json_value(m), next,
                        is_gone(e, m));
    }
}

/* What goes in at a place comes before what is taken out from there on, and
 * in the order in which it was said. */
static int by_place(const void *a, const void *b)
{
    const llmux_edit_t *x = a, *y = b;

    if (x->at != y->at) {
        return x->at < y->at ? -1 : 1;
    }
    if (x->len != y->len) {
        return x->len < y->len ? -1 : 1;
    }
    return x->number - y->number;
}

static const char *apply(llmux_buf_t *out, const char *from,
                         const llmux_edit_t *edit, llmux_slice_t model)
{
    llmux_jw_t jw = llmux_jw(out);

    add_bytes(out, from, edit->at);
    if (edit->text) {
        llmux_buf_adds(out, edit->text);
    }
    else {
        llmux_jw_str(&jw, model);
    }
    return edit->at + edit->len;
}

/* What the edits mostly add at the most. */
#define EDITS_ROOM 256

void llmux_edits_apply(llmux_edits_t *e, llmux_buf_t *out,
                       const llmux_json_t *root, llmux_slice_t body,
                       llmux_slice_t model)
{
    const char *from = body.data;
    int i;

    llmux_buf_reserve(out, body.len + EDITS_ROOM);
    take_out(e, root);
    qsort(e->list->elts, (size_t)e->list->nelts, sizeof(llmux_edit_t),
          by_place);
    for (i = 0; i < e->list->nelts; i++) {
        from = apply(out, from, &APR_ARRAY_IDX(e->list, i, llmux_edit_t),
                     model);
    }
    add_bytes(out, from, body.data + body.len);
}
