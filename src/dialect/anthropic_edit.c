/* anthropic_edit.c - Messages on both sides: the client's bytes pass, but for
 * the spans that must change. */

#include <string.h>

#include "anthropic.h"
#include "head.h"

/* What we look at must be what the provider looks at. */
static const char *const names[] = { "model", "messages", "stream", NULL };

/* ---- head ------------------------------------------------------------ */

static void read_messages(llmux_reader_t *r, const llmux_at_t *root,
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

const llmux_error_t *llmux_anthropic_head(apr_pool_t *p,
                                          llmux_json_parser_t *parser,
                                          llmux_slice_t body,
                                          llmux_head_t *head)
{
    llmux_reader_t r = { NULL, p, NULL };
    llmux_at_t root = llmux_at(NULL, NULL);

    llmux_head_begin(&r, parser, body, names, head);
    if (!r.err) {
        llmux_head_model(&r, &root, head);
        read_messages(&r, &root, head);
        head->stream = llmux_reader_bool(&r, &root, head->root, "stream");
        head->include_usage = 1;        /* the API always says it */
        llmux_head_ours(&r, &root, names, head);
    }
    return r.err;
}

/* ---- edit ------------------------------------------------------------ */

static int is_strict(const llmux_target_t *target)
{
    return target->version
           && strcmp(target->version, LLMUX_ANTHROPIC_VERSION_STRICT) >= 0;
}

/* Within blocks of these types there are blocks under "content". */
static int has_blocks(const llmux_json_t *type)
{
    return llmux_json_is(type, "tool_result")
           || llmux_json_is(type, "search_result");
}

/* Empties the list of sources of each text. A result may hold what was found
 * by a search, which holds texts. */
static void uncite(llmux_edits_t *edits, const llmux_json_t *content,
                   int depth)
{
    const llmux_json_t *b, *type, *citations;

    if (llmux_json_kind(content) != LLMUX_JSON_ARRAY) {
        return;
    }
    for (b = llmux_json_first(content); b; b = llmux_json_next(content, b)) {
        type = llmux_json_get(b, "type");
        citations = llmux_json_get_any(b, "citations");
        if (llmux_json_is(type, "text") && llmux_json_count(citations)) {
            llmux_edit_replace(edits, citations, "[]");
        }
        else if (depth && has_blocks(type)) {
            uncite(edits, llmux_json_get(b, "content"), depth - 1);
        }
    }
}

/* Only few bodies have any: one look at the bytes tells. */
static void edit_citations(llmux_edits_t *edits, apr_pool_t *scratch,
                           const llmux_json_t *body)
{
    static const char word[] = "citations";
    const llmux_json_t *messages = llmux_json_get(body, "messages"), *m, *v;
    llmux_slice_t text = llmux_json_raw(messages);
    llmux_json_parser_t *parser;

    if (!text.data || !memmem(text.data, text.len, word, sizeof(word) - 1)) {
        return;
    }
    parser = llmux_json_parser_create(scratch);
    for (m = llmux_json_first(messages); m; m = llmux_json_next(messages, m)) {
        v = llmux_json_parse_again(parser, llmux_json_raw(m), 0, NULL);
        if (!llmux_json_is(llmux_json_get(v, "role"), "assistant")) {
            uncite(edits, llmux_json_get(v, "content"), 2);
        }
    }
}

void llmux_anthropic_edit(llmux_buf_t *out, apr_pool_t *scratch,
                          const llmux_head_t *head, llmux_slice_t body,
                          const llmux_target_t *target)
{
    static const char *const sampling[] = { "temperature", "top_p", "top_k" };
    llmux_edits_t edits;
    apr_size_t i;

    llmux_edits_init(&edits, scratch);
    llmux_edit_model(&edits, head->root);
    if (is_strict(target)) {
        for (i = 0; i < sizeof(sampling) / sizeof(*sampling); i++) {
            llmux_edit_drop(&edits, sampling[i]);
        }
        edit_citations(&edits, scratch, head->root);
    }
    llmux_edits_apply(&edits, out, head->root, body, target->model);
}
