/* openai_edit_tokens.c - sealed tokens in a conversation whose bytes pass. */

#include "head.h"
#include "openai.h"

/* One request, and where its edits go. */
typedef struct look_t {
    llmux_edits_t *edits;
    apr_pool_t *pool;
    const llmux_head_t *head;
    const llmux_target_t *target;
} look_t;

static int stays(look_t *l, const llmux_json_t *token)
{
    return llmux_edit_token(l->edits, l->pool, l->head, token,
                            LLMUX_MADE_BY_ANY, l->target);
}

/* Thoughts, one by one: without its token none is of use. */
static void look_at_thoughts(look_t *l, const llmux_json_t *list)
{
    llmux_edit_walk_t walk = { NULL, 0 };
    const llmux_json_t *v, *next;
    int goes;

    for (v = llmux_json_first(list); v; v = next) {
        next = llmux_json_next(list, v);
        goes = !stays(l, llmux_json_get(v, "signature"))
            || !stays(l, llmux_json_get(v, "data"));
        llmux_edit_walk(l->edits, &walk, v, v, next, goes);
    }
}

/* Google's member of a call. */
static void look_at_google(look_t *l, const llmux_json_t *google)
{
    llmux_edit_walk_t walk = { NULL, 0 };
    const llmux_json_t *m, *next, *v;
    int goes;

    for (m = llmux_json_first(google); m; m = next) {
        next = llmux_json_next_member(google, m);
        v = llmux_json_value(m);
        goes = llmux_json_is(m, "thought_signature") && !stays(l, v);
        llmux_edit_walk(l->edits, &walk, m, v, next, goes);
    }
}

static const llmux_json_t *of_kind(const llmux_json_t *v, llmux_json_e kind)
{
    return llmux_json_kind(v) == kind ? v : NULL;
}

static void look_at_message(look_t *l, const llmux_json_t *m)
{
    static const char *const lists[] = {
        "reasoning_details", "thinking_blocks"
    };
    const llmux_json_t *calls = of_kind(llmux_json_get(m, "tool_calls"),
                                        LLMUX_JSON_ARRAY), *v;
    int i;

    for (i = 0; i < 2; i++) {
        look_at_thoughts(l, of_kind(llmux_json_get(m, lists[i]),
                                    LLMUX_JSON_ARRAY));
    }
    for (v = llmux_json_first(calls); v; v = llmux_json_next(calls, v)) {
        look_at_google(l, of_kind(
            llmux_json_get(llmux_json_get(v, "extra_content"), "google"),
            LLMUX_JSON_OBJECT));
    }
}

/* Few histories have any: one look at the bytes tells. */
void llmux_openai_edit_tokens(llmux_edits_t *edits, apr_pool_t *scratch,
                              const llmux_head_t *head,
                              const llmux_target_t *target)
{
    const llmux_json_t *messages = llmux_json_get(head->root, "messages"), *m;
    look_t l = { edits, scratch, head, target };
    llmux_json_parser_t *parser;

    if (!llmux_seal_mentioned(llmux_json_raw(messages))) {
        return;
    }
    parser = llmux_json_parser_create(scratch);
    for (m = llmux_json_first(messages); m; m = llmux_json_next(messages, m)) {
        if (llmux_seal_mentioned(llmux_json_raw(m))) {
            look_at_message(&l, llmux_json_parse_again(
                                    parser, llmux_json_raw(m), 0, NULL));
        }
    }
}
