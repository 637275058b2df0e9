/* openai_edit.c - the same dialect on both sides: the client's bytes pass,
 * but for the spans that must change. */

#include <string.h>

#include <apr_strings.h>

#include "head.h"
#include "openai.h"

#define USAGE "\"include_usage\":true"

/* What we look at must be what the provider looks at. */
static const char *const names[] = {
    "model", "messages", "stream", "stream_options", NULL
};

/* ---- head ------------------------------------------------------------ */

const llmux_error_t *llmux_openai_head(apr_pool_t *p,
                                       llmux_json_parser_t *parser,
                                       llmux_slice_t body, llmux_head_t *head)
{
    llmux_reader_t r = { NULL, p, NULL };
    llmux_at_t root = llmux_at(NULL, NULL);

    llmux_head_begin(&r, parser, body, names, head);
    if (!r.err) {
        llmux_head_model(&r, &root, head);
        llmux_head_messages(&r, &root, head);
        llmux_head_stream(&r, &root, names, head);
        llmux_head_ours(&r, &root, names, head);
    }
    return r.err;
}

/* ---- edit ------------------------------------------------------------ */

/* What makes `stream_options` ask for usage; a duplicate there was refused.
 * Without the member it goes in right behind the model. */
static void ask_usage(llmux_edits_t *edits, const llmux_json_t *body)
{
    const llmux_json_t *v = llmux_json_get_any(body, "stream_options");
    const llmux_json_t *asked = llmux_json_get_any(v, "include_usage");
    const llmux_json_t *model = llmux_json_get_any(body, "model");

    if (!v && !model) {
        llmux_edit_insert(edits, body, "\"stream_options\":{" USAGE "}");
    }
    else if (!v) {
        llmux_edit_at(edits, model->at + model->len, 0,
                      ",\"stream_options\":{" USAGE "}");
    }
    else if (llmux_json_kind(v) == LLMUX_JSON_NULL) {
        llmux_edit_replace(edits, v, "{" USAGE "}");
    }
    else if (asked) {
        llmux_edit_replace(edits, asked, "true");
    }
    else {
        llmux_edit_at(edits, v->at + 1, 0,
                      llmux_json_count(v) ? USAGE "," : USAGE);
    }
}

/* Usage is told to the client all the same; other wishes are lost. */
static void tell_options(llmux_edits_t *edits, apr_pool_t *scratch,
                         const llmux_json_t *options)
{
    const llmux_json_t *m;

    if (llmux_json_kind(options) != LLMUX_JSON_OBJECT) {
        return;
    }
    for (m = llmux_json_first(options); m;
         m = llmux_json_next_member(options, m)) {
        if (!llmux_json_is(m, "include_usage")) {
            llmux_edit_tell(edits, llmux_json_value(m),
                            apr_pstrcat(scratch, "stream_options.",
                                        llmux_json_cstr(scratch, m), NULL));
        }
    }
}

static void edit_stream(llmux_edits_t *edits, apr_pool_t *scratch,
                        const llmux_head_t *head, unsigned int can)
{
    if (!(can & LLMUX_CAN_STREAM_USAGE)) {
        tell_options(edits, scratch,
                     llmux_json_get(head->root, "stream_options"));
        llmux_edit_drop(edits, "stream_options");
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
static void rename_limit(llmux_edits_t *edits, const llmux_json_t *body,
                         const char *from, const char *quoted,
                         const char *to)
{
    const llmux_json_t *m;

    if (!llmux_json_get(body, from) || llmux_json_get(body, to)) {
        return;
    }
    llmux_edit_drop(edits, to);
    for (m = llmux_json_first(body); m; m = llmux_json_next_member(body, m)) {
        if (llmux_json_is(m, from)) {
            llmux_edit_replace(edits, m, quoted);
        }
    }
}

/* Older servers know the limit by its older name only. */
static void edit_limit(llmux_edits_t *edits, const llmux_json_t *body,
                       const llmux_target_t *target)
{
    if (!(target->can & LLMUX_CAN_MAX_COMPLETION)) {
        rename_limit(edits, body, "max_completion_tokens",
                     "\"max_tokens\"", "max_tokens");
    }
    else if (reasons(target->model)) {
        rename_limit(edits, body, "max_tokens",
                     "\"max_completion_tokens\"", "max_completion_tokens");
    }
}

/* ... and know no developer, which is what a system message is called now.
 * Most bodies have none: one look at the bytes tells. */
static void edit_roles(llmux_edits_t *edits, apr_pool_t *scratch,
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
            llmux_edit_replace(edits, role, "\"system\"");
        }
    }
}

void llmux_openai_edit(llmux_buf_t *out, apr_pool_t *scratch,
                       const llmux_head_t *head, llmux_slice_t body,
                       const llmux_target_t *target, llmux_warnings_t *w)
{
    llmux_edits_t edits;

    llmux_edits_init(&edits, scratch, w);
    llmux_edit_model(&edits, head->root);
    edit_stream(&edits, scratch, head, target->can);
    edit_limit(&edits, head->root, target);
    if (!(target->can & LLMUX_CAN_DEVELOPER)) {
        edit_roles(&edits, scratch, head->root);
    }
    llmux_openai_edit_tokens(&edits, scratch, head, target);
    llmux_edits_apply(&edits, out, head->root, body, target->model);
}
