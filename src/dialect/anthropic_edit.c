/* anthropic_edit.c - Messages on both sides: the client's bytes pass, but for
 * the spans that must change. */

#include <string.h>

#include <apr_strings.h>

#include "anthropic.h"
#include "head.h"

/* What we look at must be what the provider looks at. */
static const char *const names[] = { "model", "messages", "stream", NULL };

/* ---- head ------------------------------------------------------------ */

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
        llmux_head_messages(&r, &root, head);
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
            llmux_warn(edits->warnings, LLMUX_WARN_DROP,
                       "messages.content.citations");
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

/* Values that are the API's own default are left out without a word. */
static void edit_sampling(llmux_edits_t *edits, const llmux_json_t *body)
{
    static const struct { const char *name; double usual; } sampling[] = {
        { "temperature", 1 }, { "top_p", 1 }, { "top_k", -1 }
    };
    const llmux_json_t *v;
    apr_size_t i;

    for (i = 0; i < sizeof(sampling) / sizeof(*sampling); i++) {
        v = llmux_json_get(body, sampling[i].name);
        if (llmux_json_double(v, 0) != sampling[i].usual) {
            llmux_edit_tell(edits, v, sampling[i].name);
        }
        llmux_edit_drop(edits, sampling[i].name);
    }
}

/* Other clouds that serve these models have tiers of their own. */
static void edit_tier(llmux_edits_t *edits, const llmux_json_t *body)
{
    const llmux_json_t *tier = llmux_json_get(body, "service_tier");

    if (!llmux_json_is(tier, "auto")) {
        llmux_edit_tell(edits, tier, "service_tier");
    }
    llmux_edit_drop(edits, "service_tier");
}

/* Where the model stands in the path, the version stands in the body: the
 * one that the target wants, whatever the client says. */
static void edit_model(llmux_edits_t *edits, apr_pool_t *scratch,
                       const llmux_json_t *body, const llmux_target_t *target)
{
    llmux_buf_t *version;
    llmux_jw_t jw;

    if (!target->body_version) {
        llmux_edit_model(edits, body);
        return;
    }
    version = llmux_buf_create(scratch, LLMUX_MESSAGE_MAX);
    jw = llmux_jw(version);
    llmux_jw_cstr(&jw, target->body_version);
    llmux_edit_drop(edits, "model");
    llmux_edit_drop(edits, "anthropic_version");
    edit_tier(edits, body);
    llmux_edit_insert(edits, body, apr_pstrcat(scratch,
                      "\"anthropic_version\":", version->data, NULL));
}

/* ---- seals ----------------------------------------------------------- */

/* What stands where a message has nothing left. */
#define NOTHING "[{\"type\":\"text\",\"text\":\"(empty message)\"}]"

/* One request, and where its edits go. */
typedef struct look_t {
    llmux_edits_t *edits;
    apr_pool_t *pool;
    const llmux_head_t *head;
    const llmux_target_t *target;
    int broken;             /* a turn of this exchange has lost the thought
                             * that it began with */
} look_t;

static int is_of_type(const llmux_json_t *block, const char *type)
{
    return llmux_json_is(llmux_json_get(block, "type"), type);
}

/* The token of a thought; NULL for other blocks. */
static const llmux_json_t *token_of(const llmux_json_t *block)
{
    const llmux_json_t *type = llmux_json_get(block, "type");

    return llmux_json_is(type, "thinking") ? llmux_json_get(block, "signature")
         : llmux_json_is(type, "redacted_thinking")
               ? llmux_json_get(block, "data") : NULL;
}

static int is_thought(const llmux_json_t *block)
{
    return is_of_type(block, "thinking")
           || is_of_type(block, "redacted_thinking");
}

static int stays(look_t *l, const llmux_json_t *block)
{
    return llmux_edit_token(l->edits, l->pool, l->head, token_of(block),
                            LLMUX_MADE_BY_CLAUDE, l->target);
}

/* Thoughts that the API did not sign, or not for this account, go. */
static void look_at(look_t *l, const llmux_json_t *content)
{
    llmux_edit_walk_t walk = { NULL, 0 };
    const llmux_json_t *b, *next, *first = NULL;
    int before = l->edits->list->nelts, goes, gone = 0;

    if (llmux_json_kind(content) != LLMUX_JSON_ARRAY) {
        return;
    }
    for (b = llmux_json_first(content); b; b = next) {
        next = llmux_json_next(content, b);
        goes = !stays(l, b);
        gone |= goes;
        first = first || goes ? first : b;
        llmux_edit_walk(l->edits, &walk, b, b, next, goes);
    }
    if (gone && !first) {
        l->edits->list->nelts = before;
        llmux_edit_replace(l->edits, content, NOTHING);
    }
    l->broken |= gone && !is_thought(first);
}

/* Results of calls go on with what the assistant began. */
static int has_result(const llmux_json_t *content)
{
    const llmux_json_t *b = NULL;

    if (llmux_json_kind(content) == LLMUX_JSON_ARRAY) {
        b = llmux_json_first(content);
    }
    while (b && !is_of_type(b, "tool_result")) {
        b = llmux_json_next(content, b);
    }
    return b != NULL;
}

static void look_at_message(look_t *l, const llmux_json_t *m)
{
    const llmux_json_t *role = llmux_json_get(m, "role");
    const llmux_json_t *content = llmux_json_get(m, "content");

    if (llmux_json_is(role, "assistant")) {
        look_at(l, content);
    }
    else if (l->broken && llmux_json_is(role, "user")
             && !has_result(content)) {
        l->broken = 0;
    }
}

/* Strategies for thoughts are refused where nobody thinks. */
static void clear_no_thinking(look_t *l)
{
    const llmux_json_t *context = llmux_json_get(l->head->root,
                                                 "context_management");
    llmux_edit_walk_t walk = { NULL, 0 };
    const llmux_json_t *list, *e, *next;
    int goes;

    list = llmux_json_parse(l->pool,
                            llmux_json_raw(llmux_json_get(context, "edits")),
                            2, NULL);
    if (llmux_json_kind(list) != LLMUX_JSON_ARRAY) {
        return;
    }
    for (e = llmux_json_first(list); e; e = next) {
        next = llmux_json_next(list, e);
        goes = llmux_slice_starts(
            llmux_json_str(l->pool, llmux_json_get(e, "type")),
            "clear_thinking");
        if (goes) {
            llmux_warn(l->edits->warnings, LLMUX_WARN_DROP,
                       "context_management.edits");
        }
        llmux_edit_walk(l->edits, &walk, e, e, next, goes);
    }
}

/* Who counts his thinking must begin with it what is not finished yet. Those
 * that think adaptively need not: see may_count() in anthropic_thinking.c. */
static void think_not(look_t *l)
{
    const llmux_json_t *body = l->head->root;

    if (is_of_type(llmux_json_get(body, "thinking"), "enabled")) {
        llmux_edit_lose(l->edits, body, "thinking");
        clear_no_thinking(l);
    }
}

/* Few histories have any: one look at the bytes tells. */
static void edit_seals(look_t *l)
{
    const llmux_json_t *messages = llmux_json_get(l->head->root, "messages");
    llmux_json_parser_t *parser;
    const llmux_json_t *m;

    if (!llmux_seal_mentioned(llmux_json_raw(messages))) {
        return;
    }
    parser = llmux_json_parser_create(l->pool);
    for (m = llmux_json_first(messages); m; m = llmux_json_next(messages, m)) {
        look_at_message(l, llmux_json_parse_again(parser, llmux_json_raw(m),
                                                  0, NULL));
    }
    if (l->broken) {
        think_not(l);
    }
}

/* ---- all of it ------------------------------------------------------- */

void llmux_anthropic_edit(llmux_buf_t *out, apr_pool_t *scratch,
                          const llmux_head_t *head, llmux_slice_t body,
                          const llmux_target_t *target, llmux_warnings_t *w)
{
    llmux_edits_t edits;
    look_t look = { &edits, scratch, head, target, 0 };

    llmux_edits_init(&edits, scratch, w);
    edit_model(&edits, scratch, head->root, target);
    edit_seals(&look);
    if (is_strict(target)) {
        edit_sampling(&edits, head->root);
        edit_citations(&edits, scratch, head->root);
    }
    llmux_edits_apply(&edits, out, head->root, body, target->model);
}
