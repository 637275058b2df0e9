/* responses_edit.c - the same dialect on both sides: the client's bytes pass,
 * but for the spans that must change. */

#include "head.h"
#include "responses_read.h"

/* What we look at must be what the provider looks at. */
static const char *const names[] = {
    "model", "input", "stream", "background", NULL
};

/* ---- head ------------------------------------------------------------ */

/* Those who can do without input continue something that OpenAI keeps. */
static int continues(const llmux_json_t *body)
{
    return llmux_json_get(body, "previous_response_id")
           || llmux_json_get(body, "conversation")
           || llmux_json_get(body, "prompt");
}

static void read_input(llmux_reader_t *r, const llmux_at_t *root,
                       llmux_head_t *head)
{
    const llmux_json_t *v = llmux_json_get(head->root, "input");
    llmux_json_e kind = llmux_json_kind(v);
    llmux_at_t here = llmux_at(root, "input");

    head->messages = kind == LLMUX_JSON_ARRAY ? llmux_json_count(v) : v != NULL;
    if (v ? kind != LLMUX_JSON_STRING && kind != LLMUX_JSON_ARRAY
          : !continues(head->root)) {
        llmux_reader_fail(r, &here, "expected a string or an array of items, "
                          "found %s", llmux_json_kind_name(v));
    }
}

/* Such an answer comes later, by a way that does not lead through here. */
static void refuse_background(llmux_reader_t *r, const llmux_at_t *root,
                              const llmux_head_t *head)
{
    llmux_at_t here = llmux_at(root, "background");

    if (llmux_reader_bool(r, root, head->root, "background") == LLMUX_YES) {
        llmux_responses_no_background(r, &here);
    }
}

const llmux_error_t *llmux_responses_head(apr_pool_t *p,
                                          llmux_json_parser_t *parser,
                                          llmux_slice_t body,
                                          llmux_head_t *head)
{
    llmux_reader_t r = { NULL, p, NULL };
    llmux_at_t root = llmux_at(NULL, NULL);

    llmux_head_begin(&r, parser, body, names, head);
    if (!r.err) {
        llmux_head_model(&r, &root, head);
        read_input(&r, &root, head);
        head->stream = llmux_reader_bool(&r, &root, head->root, "stream");
        refuse_background(&r, &root, head);
        llmux_head_ours(&r, &root, names, head);
    }
    return r.err;
}

/* ---- edit ------------------------------------------------------------ */

/* Reasoning under a seal that OpenAI did not make goes, with its item. */
static void edit_items(llmux_edits_t *edits, apr_pool_t *scratch,
                       const llmux_head_t *head, const llmux_json_t *input,
                       const llmux_target_t *target)
{
    llmux_json_parser_t *parser = llmux_json_parser_create(scratch);
    llmux_edit_walk_t walk = { NULL, 0 };
    const llmux_json_t *v, *next, *item, *sealed;
    int goes;

    for (v = llmux_json_first(input); v; v = next) {
        next = llmux_json_next(input, v);
        item = llmux_json_parse_again(parser, llmux_json_raw(v), 1, NULL);
        sealed = llmux_json_get(item, "encrypted_content");
        goes = llmux_json_is(llmux_json_get(item, "type"), "reasoning")
            && !llmux_edit_token(edits, scratch, head, sealed,
                                 LLMUX_MADE_BY(LLMUX_MAKER_OPENAI), target);
        llmux_edit_walk(edits, &walk, v, v, next, goes);
    }
}

/* Most bodies have none: one look at the bytes tells. */
static void edit_reasoning(llmux_edits_t *edits, apr_pool_t *scratch,
                           const llmux_head_t *head,
                           const llmux_target_t *target)
{
    const llmux_json_t *input = llmux_json_get(head->root, "input");

    if (llmux_json_kind(input) == LLMUX_JSON_ARRAY
        && llmux_seal_mentioned(llmux_json_raw(input))) {
        edit_items(edits, scratch, head, input, target);
    }
}

void llmux_responses_edit(llmux_buf_t *out, apr_pool_t *scratch,
                          const llmux_head_t *head, llmux_slice_t body,
                          const llmux_target_t *target, llmux_warnings_t *w)
{
    llmux_edits_t edits;

    llmux_edits_init(&edits, scratch, w);
    llmux_edit_model(&edits, head->root);
    edit_reasoning(&edits, scratch, head, target);
    llmux_edits_apply(&edits, out, head->root, body, target->model);
}
