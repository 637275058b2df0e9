/* gemini_edit.c - the same dialect on both sides: the client's bytes pass, but
 * for signatures that Gemini did not make. */

#include <string.h>

#include "gemini.h"
#include "head.h"

#define SIGNATURE "\"thoughtSignature\":\"" LLMUX_GEMINI_NO_SIGNATURE "\","

/* What we look at must be what the provider looks at. */
static const char *const names[] = {
    "model", "contents", "systemInstruction", "system_instruction", "tools",
    "toolConfig", "tool_config", "generationConfig", "generation_config",
    "safetySettings", "safety_settings", "cachedContent", "cached_content",
    NULL
};

/* In both spellings. */
static const struct { const char *camel, *snake; } twins[] = {
    { "systemInstruction", "system_instruction" },
    { "toolConfig",        "tool_config"        },
    { "generationConfig",  "generation_config"  },
    { "safetySettings",    "safety_settings"    },
    { "cachedContent",     "cached_content"     }
};

/* ---- head ------------------------------------------------------------ */

static void refuse_twins(llmux_reader_t *r, const llmux_at_t *root,
                         const llmux_json_t *body)
{
    llmux_at_t here;
    apr_size_t i;

    for (i = 0; i < sizeof(twins) / sizeof(twins[0]); i++) {
        if (llmux_json_get_any(body, twins[i].camel)
            && llmux_json_get_any(body, twins[i].snake)) {
            here = llmux_at(root, twins[i].snake);
            llmux_reader_fail(r, &here, "expected it once, found '%s' as "
                              "well", twins[i].camel);
        }
    }
}

/* A list of one may come without its brackets. */
static void read_contents(llmux_reader_t *r, const llmux_at_t *root,
                          llmux_head_t *head)
{
    const llmux_json_t *v = llmux_json_get_any(head->root, "contents");
    llmux_at_t here = llmux_at(root, "contents");

    if (llmux_json_kind(v) == LLMUX_JSON_OBJECT) {
        head->messages = 1;
        return;
    }
    llmux_reader_expect(r, &here, v, LLMUX_JSON_ARRAY);
    head->messages = llmux_json_count(v);
    if (v && !head->messages) {
        llmux_reader_fail(r, &here, "expected at least one content, found an "
                          "empty array");
    }
}

/* "models/gemini-..." is how Google's API names it in a body. */
static void bare_model(llmux_head_t *head)
{
    static const char prefix[] = "models/";

    if (llmux_slice_starts(head->model, prefix)
        && head->model.len > sizeof(prefix) - 1) {
        head->model.data += sizeof(prefix) - 1;
        head->model.len -= sizeof(prefix) - 1;
    }
}

const llmux_error_t *llmux_gemini_head(apr_pool_t *p,
                                       llmux_json_parser_t *parser,
                                       llmux_slice_t body, llmux_head_t *head)
{
    llmux_reader_t r = { NULL, p, NULL };
    llmux_at_t root = llmux_at(NULL, NULL);

    llmux_head_begin(&r, parser, body, names, head);
    if (!r.err) {
        llmux_head_model(&r, &root, head);
        bare_model(head);
        refuse_twins(&r, &root, head->root);
        read_contents(&r, &root, head);
        llmux_head_ours(&r, &root, names, head);
        /* Google counts in every chunk, asked or not */
        head->include_usage = 1;
    }
    return r.err;
}

/* ---- signatures ------------------------------------------------------ */

/* One request whose history is looked through. */
typedef struct look_t {
    llmux_edits_t *edits;
    apr_pool_t *pool;
    int must_sign;          /* the model refuses calls without a signature */
    int signed_step;        /* the first call of this step is done */
} look_t;

static const llmux_json_t *either(const llmux_json_t *v, const char *camel,
                                  const char *snake)
{
    const llmux_json_t *found = llmux_json_get(v, camel);

    return found ? found : llmux_json_get(v, snake);
}

static int is_signature(const llmux_json_t *name)
{
    return llmux_json_is(name, "thoughtSignature")
           || llmux_json_is(name, "thought_signature");
}

static int is_foreign(look_t *l, const llmux_json_t *v)
{
    return llmux_gemini_token_sealed(llmux_json_str(l->pool, v));
}

/* Takes out what another maker signed, each with the comma before it or, as
 * long as nothing stays before it, the one behind it. */
static void take_foreign(look_t *l, const llmux_json_t *part)
{
    const llmux_json_t *m, *next, *before = NULL;
    const char *from, *to;
    int stays = 0;

    for (m = llmux_json_first(part); m; m = next) {
        next = llmux_json_next_member(part, m);
        if (is_signature(m) && is_foreign(l, llmux_json_value(m))) {
            from = stays ? before->at + before->len : m->at;
            to = stays || !next ? llmux_json_value(m)->at
                                  + llmux_json_value(m)->len : next->at;
            llmux_edit_at(l->edits, from, (apr_size_t)(to - from), "");
        }
        else {
            stays = 1;
        }
        before = llmux_json_value(m);
    }
}

static void look_at_part(look_t *l, const llmux_json_t *part)
{
    const llmux_json_t *signature = either(part, "thoughtSignature",
                                           "thought_signature");
    int foreign = is_foreign(l, signature);
    int call = either(part, "functionCall", "function_call") != NULL;

    take_foreign(l, part);
    if (call && l->must_sign && !l->signed_step
        && (foreign || !signature)) {
        llmux_edit_at(l->edits, part->at + 1, 0, SIGNATURE);
    }
    l->signed_step |= call;
}

/* A step is what the model says until somebody else speaks. */
static void look_at_content(look_t *l, const llmux_json_t *content)
{
    const llmux_json_t *parts = llmux_json_get(content, "parts"), *e;

    if (!llmux_json_is(llmux_json_get(content, "role"), "model")) {
        l->signed_step = 0;
        return;
    }
    if (llmux_json_kind(parts) == LLMUX_JSON_OBJECT) {
        look_at_part(l, parts);
        return;
    }
    for (e = llmux_json_first(parts); e; e = llmux_json_next(parts, e)) {
        look_at_part(l, e);
    }
}

static int mentions(llmux_slice_t text, const char *word)
{
    return text.data && memmem(text.data, text.len, word, strlen(word));
}

/* Most histories have no calls: one look at the bytes tells. A name with an
 * escape in it is missed, and Google says then what is wrong. */
static int worth_a_look(llmux_slice_t text, int must_sign)
{
    return mentions(text, LLMUX_GEMINI_ENVELOPE)
           || (must_sign && (mentions(text, "\"functionCall\"")
                             || mentions(text, "\"function_call\"")));
}

static void edit_signatures(llmux_edits_t *edits, apr_pool_t *scratch,
                            const llmux_json_t *contents,
                            const llmux_target_t *target)
{
    llmux_slice_t text = llmux_json_raw(contents);
    look_t l = { edits, scratch, 0, 0 };
    const llmux_json_t *v, *e;

    l.must_sign = (llmux_gemini_model(target->model)->can
                   & LLMUX_GEMINI_MUST_SIGN) != 0;
    if (!worth_a_look(text, l.must_sign)) {
        return;
    }
    v = llmux_json_parse(scratch, text, 0, NULL);
    if (llmux_json_kind(v) == LLMUX_JSON_OBJECT) {
        look_at_content(&l, v);
        return;
    }
    for (e = llmux_json_first(v); e; e = llmux_json_next(v, e)) {
        look_at_content(&l, e);
    }
}

/* ---- edit ------------------------------------------------------------ */

void llmux_gemini_edit(llmux_buf_t *out, apr_pool_t *scratch,
                       const llmux_head_t *head, llmux_slice_t body,
                       const llmux_target_t *target)
{
    llmux_edits_t edits;

    llmux_edits_init(&edits, scratch);
    llmux_edit_drop(&edits, "model");
    edit_signatures(&edits, scratch, llmux_json_get(head->root, "contents"),
                    target);
    llmux_edits_apply(&edits, out, head->root, body, target->model);
}
