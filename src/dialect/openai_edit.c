/* openai_edit.c - the same dialect on both sides: the client's bytes pass,
 * but for the spans that must change. */

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "openai.h"

/* Bytes to be replaced. */
typedef struct edit_t {
    const char *at;
    apr_size_t len;
    const char *text;       /* with its quotes; NULL: the model */
} edit_t;

static const char *const ours[] = { "provider", "parameters", "tags", "tag" };

#define USAGE "\"include_usage\":true"

#define EDITS_ROOM 256      /* what the edits mostly add at the most */

/* ---- head ------------------------------------------------------------ */

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
                            const llmux_json_t *body)
{
    static const char *const names[] =
        { "model", "messages", "stream", "stream_options" };
    const llmux_json_t *m;
    llmux_slice_t name;
    llmux_at_t here;
    int i;

    for (m = llmux_json_first(body); m; m = llmux_json_next_member(body, m)) {
        name = llmux_json_str(r->pool, m);
        for (i = 0; i < 4; i++) {
            if (llmux_slice_is_nocase(name, names[i])
                && !llmux_slice_is(name, names[i])) {
                here = llmux_at(root, llmux_slice_str(r->pool, name));
                llmux_reader_fail(r, &here, "expected it to be spelled '%s'",
                                  names[i]);
            }
        }
    }
}

static void check_members(llmux_reader_t *r, const llmux_at_t *at,
                          const llmux_json_t *object)
{
    int n = llmux_json_count(object);

    if (n > LLMUX_MEMBERS_MAX) {
        llmux_reader_fail(r, at, "expected at most %d members, found %d",
                          LLMUX_MEMBERS_MAX, n);
        return;
    }
    refuse_twice(r, at, object);
    refuse_disguise(r, at, object);
}

static void read_model(llmux_reader_t *r, const llmux_at_t *root,
                       llmux_openai_head_t *head)
{
    llmux_at_t here = llmux_at(root, "model");

    head->model = llmux_reader_need_str(r, root, head->root, "model");
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

static void read_messages(llmux_reader_t *r, const llmux_at_t *root,
                          llmux_openai_head_t *head)
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

static void read_stream(llmux_reader_t *r, const llmux_at_t *root,
                        llmux_openai_head_t *head)
{
    const llmux_json_t *options = llmux_reader_member(
        r, root, head->root, "stream_options", LLMUX_JSON_OBJECT);
    llmux_at_t here = llmux_at(root, "stream_options");

    head->stream = llmux_reader_bool(r, root, head->root, "stream");
    check_members(r, &here, options);
    head->include_usage =
        llmux_reader_bool(r, &here, options, "include_usage") == LLMUX_YES;
}

/* Is it `provider` in OpenRouter's sense? Then it is none of ours. */
static int is_routing(const llmux_json_t *v)
{
    return llmux_json_kind(v) == LLMUX_JSON_OBJECT;
}

static void read_ours(llmux_reader_t *r, const llmux_at_t *root,
                      llmux_openai_head_t *head)
{
    llmux_at_t here = llmux_at(root, "parameters");
    const llmux_json_t *v = llmux_json_get(head->root, "provider");

    if (v && !is_routing(v)) {
        head->provider = llmux_reader_need_str(r, root, head->root,
                                               "provider");
    }
    head->parameters = llmux_reader_member(r, root, head->root, "parameters",
                                           LLMUX_JSON_OBJECT);
    check_members(r, &here, head->parameters);
}

const llmux_error_t *llmux_openai_head(apr_pool_t *p,
                                       llmux_json_parser_t *parser,
                                       llmux_slice_t body,
                                       llmux_openai_head_t *head)
{
    llmux_reader_t r = { NULL, p, NULL };
    llmux_at_t root = llmux_at(NULL, NULL);
    llmux_json_error_t wrong;

    memset(head, 0, sizeof(*head));
    head->stream = LLMUX_UNSET;
    head->root = llmux_json_parse_again(parser, body, 2, &wrong);
    if (!head->root) {
        return no_json(p, &wrong);
    }
    if (llmux_reader_expect(&r, &root, head->root, LLMUX_JSON_OBJECT)) {
        check_members(&r, &root, head->root);
    }
    if (!r.err) {
        read_model(&r, &root, head);
        read_messages(&r, &root, head);
        read_stream(&r, &root, head);
        read_ours(&r, &root, head);
    }
    return r.err;
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
                                        const llmux_openai_head_t *head,
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
                                const llmux_openai_head_t *head,
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
                           const llmux_openai_head_t *head)
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

llmux_slice_t llmux_openai_merge(apr_pool_t *p,
                                 const llmux_openai_head_t *head,
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

/* ---- edit ------------------------------------------------------------ */

static void add_edit(apr_array_header_t *edits, const char *at,
                     apr_size_t len, const char *text)
{
    edit_t *edit = apr_array_push(edits);

    edit->at = at;
    edit->len = len;
    edit->text = text;
}

static void replace(apr_array_header_t *edits, const llmux_json_t *v,
                    const char *text)
{
    add_edit(edits, v->at, v->len, text);
}

/* What makes `stream_options` ask for usage; a duplicate there was refused.
 * Without the member it goes in right behind the model. */
static void ask_usage(apr_array_header_t *edits, const llmux_json_t *body)
{
    const llmux_json_t *v = llmux_json_get_any(body, "stream_options");
    const llmux_json_t *asked = llmux_json_get_any(v, "include_usage");

    if (!v) {
        add_edit(edits, end_of(llmux_json_get(body, "model")), 0,
                 ",\"stream_options\":{" USAGE "}");
    }
    else if (is_null(v)) {
        replace(edits, v, "{" USAGE "}");
    }
    else if (asked) {
        replace(edits, asked, "true");
    }
    else {
        add_edit(edits, v->at + 1, 0, llmux_json_count(v) ? USAGE ","
                                                          : USAGE);
    }
}

/* What is to be taken out, by name: NULL at the end. */
typedef struct gone_t {
    const char *names[3];
} gone_t;

static void add_gone(gone_t *gone, const char *name)
{
    int i = 0;

    while (gone->names[i]) {
        i++;
    }
    gone->names[i] = name;
}

static int is_gone(const gone_t *gone, const llmux_json_t *m)
{
    int i;

    for (i = 0; gone->names[i]; i++) {
        if (llmux_json_is(m, gone->names[i])) {
            return 1;
        }
    }
    return 0;
}

/* Each goes with the comma before it or, as long as nothing stays before it,
 * the one behind it. */
static void take_out(apr_array_header_t *edits, const llmux_json_t *body,
                     const gone_t *gone)
{
    const llmux_json_t *m, *next, *before = NULL;
    const char *from, *to;
    int stays = 0;

    for (m = llmux_json_first(body); m; m = next) {
        next = llmux_json_next_member(body, m);
        if (is_gone(gone, m)) {
            from = stays ? end_of(before) : m->at;
            to = stays || !next ? end_of(llmux_json_value(m)) : next->at;
            add_edit(edits, from, (apr_size_t)(to - from), "");
        }
        else {
            stays = 1;
        }
        before = llmux_json_value(m);
    }
}

static void edit_stream(apr_array_header_t *edits, gone_t *gone,
                        const llmux_openai_head_t *head, unsigned int can)
{
    if (!(can & LLMUX_CAN_STREAM_USAGE)) {
        add_gone(gone, "stream_options");
    }
    else if (head->stream == LLMUX_YES && !head->include_usage) {
        ask_usage(edits, head->root);
    }
}

/* OpenAI's models that reason refuse the limit under its older name. */
static int reasons(llmux_slice_t model)
{
    static const char *const begins[] = { "o1", "o3", "o4", "gpt-5", NULL };
    int i;

    for (i = 0; begins[i] && !llmux_slice_starts(model, begins[i]); i++) {
    }
    return begins[i] != NULL;
}

/* Gives the member another name, unless one of that name says a number
 * already; one that says null has to go. */
static void rename_limit(apr_array_header_t *edits, gone_t *gone,
                         const llmux_json_t *body, const char *from,
                         const char *quoted, const char *to)
{
    const llmux_json_t *m;

    if (!llmux_json_get(body, from) || llmux_json_get(body, to)) {
        return;
    }
    add_gone(gone, to);
    for (m = llmux_json_first(body); m; m = llmux_json_next_member(body, m)) {
        if (llmux_json_is(m, from)) {
            replace(edits, m, quoted);
        }
    }
}

/* Older servers know the limit by its older name only. */
static void edit_limit(apr_array_header_t *edits, gone_t *gone,
                       const llmux_json_t *body, const llmux_target_t *target)
{
    if (!(target->can & LLMUX_CAN_MAX_COMPLETION)) {
        rename_limit(edits, gone, body, "max_completion_tokens",
                     "\"max_tokens\"", "max_tokens");
    }
    else if (reasons(target->model)) {
        rename_limit(edits, gone, body, "max_tokens",
                     "\"max_completion_tokens\"", "max_completion_tokens");
    }
}

/* ... and know no developer, which is what a system message is called now.
 * Most bodies have none: one look at the bytes tells. */
static void edit_roles(apr_array_header_t *edits, apr_pool_t *scratch,
                       const llmux_json_t *body)
{
    static const char word[] = "developer";
    const llmux_json_t *messages = llmux_json_get(body, "messages"), *m, *role;
    llmux_slice_t text = llmux_json_raw(messages);
    llmux_json_parser_t *parser;

    if (!text.data || !memmem(text.data, text.len, word, sizeof(word) - 1)) {
        return;
    }
    parser = llmux_json_parser_create(scratch);
    for (m = llmux_json_first(messages); m; m = llmux_json_next(messages, m)) {
        role = llmux_json_get(llmux_json_parse_again(parser,
                                                     llmux_json_raw(m), 1,
                                                     NULL), "role");
        if (llmux_json_is(role, word)) {
            replace(edits, role, "\"system\"");
        }
    }
}

/* What goes in at a place comes before what is taken out from there on. */
static int by_place(const void *a, const void *b)
{
    const edit_t *x = a, *y = b;

    if (x->at != y->at) {
        return x->at < y->at ? -1 : 1;
    }
    return x->len < y->len ? -1 : x->len > y->len;
}

static const char *apply(llmux_buf_t *out, const char *from,
                         const edit_t *edit, llmux_slice_t model)
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

void llmux_openai_edit(llmux_buf_t *out, apr_pool_t *scratch,
                       const llmux_openai_head_t *head, llmux_slice_t body,
                       const llmux_target_t *target)
{
    apr_array_header_t *edits = apr_array_make(scratch, 4, sizeof(edit_t));
    const char *from = body.data;
    gone_t gone = { { NULL } };
    int i;

    llmux_buf_reserve(out, body.len + EDITS_ROOM);
    replace(edits, llmux_json_get(head->root, "model"), NULL);
    edit_stream(edits, &gone, head, target->can);
    edit_limit(edits, &gone, head->root, target);
    take_out(edits, head->root, &gone);
    if (!(target->can & LLMUX_CAN_DEVELOPER)) {
        edit_roles(edits, scratch, head->root);
    }
    qsort(edits->elts, (size_t)edits->nelts, sizeof(edit_t), by_place);
    for (i = 0; i < edits->nelts; i++) {
        from = apply(out, from, &APR_ARRAY_IDX(edits, i, edit_t),
                     target->model);
    }
    add_bytes(out, from, body.data + body.len);
}
