/* gemini_edit.c - the same dialect on both sides: the client's bytes pass, but
 * for signatures that Gemini did not make, and for what Vertex AI refuses. */

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

void llmux_gemini_bare_model(llmux_head_t *head)
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
        llmux_gemini_bare_model(head);
        refuse_twins(&r, &root, head->root);
        read_contents(&r, &root, head);
        llmux_head_ours(&r, &root, names, head);
        /* Google counts in every chunk, asked or not */
        head->include_usage = 1;
    }
    return r.err;
}

/* ---- members --------------------------------------------------------- */

/* One request whose history is looked through. */
typedef struct look_t {
    llmux_edits_t *edits;
    apr_pool_t *pool;
    const llmux_head_t *head;
    const llmux_target_t *target;
    int foreign;            /* this part's signature had to go */
    int vertex;             /* the server is Vertex AI */
    int must_sign;          /* the model refuses calls without a signature */
    int signed_step;        /* the first call of this step is done */
} look_t;

static const llmux_json_t *either(const llmux_json_t *v, const char *camel,
                                  const char *snake)
{
    const llmux_json_t *found = llmux_json_get(v, camel);

    return found ? found : llmux_json_get(v, snake);
}

/* Takes out those members that go, each with the comma before it or, as long
 * as nothing stays before it, the one behind it. */
static void take_out(look_t *l, const llmux_json_t *object,
                     int (*goes)(look_t *l, const llmux_json_t *name))
{
    const llmux_json_t *m, *next, *before = NULL;
    const char *from, *to;
    int stays = 0;

    if (llmux_json_kind(object) != LLMUX_JSON_OBJECT) {
        return;
    }
    for (m = llmux_json_first(object); m; m = next) {
        next = llmux_json_next_member(object, m);
        if (goes(l, m)) {
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

/* One that Vertex AI does not know, as it may be spelled, and where it is. */
typedef struct spelled_t {
    const char *name, *path;
} spelled_t;

static int is_lost(look_t *l, const llmux_json_t *m, const spelled_t *two)
{
    int i;

    for (i = 0; i < 2; i++) {
        if (llmux_json_is(m, two[i].name)) {
            llmux_edit_tell(l->edits, llmux_json_value(m), two[i].path);
            return 1;
        }
    }
    return 0;
}

/* ---- signatures ------------------------------------------------------ */

static int is_signature(const llmux_json_t *name)
{
    return llmux_json_is(name, "thoughtSignature")
           || llmux_json_is(name, "thought_signature");
}

/* A seal; one of Gemini's own is opened where it stands instead. */
static int is_foreign(look_t *l, const llmux_json_t *v)
{
    return !llmux_edit_token(l->edits, l->pool, l->head, v,
                             LLMUX_MADE_BY(LLMUX_MAKER_GEMINI), l->target);
}

/* Also what only Google's other service takes. */
static int part_goes(look_t *l, const llmux_json_t *m)
{
    static const spelled_t metadata[] = {
        { "partMetadata",  "contents.parts.partMetadata" },
        { "part_metadata", "contents.parts.part_metadata" }
    };
    int foreign = is_signature(m) && is_foreign(l, llmux_json_value(m));

    l->foreign |= foreign;
    return foreign || (l->vertex && is_lost(l, m, metadata));
}

/* Vertex knows no ids: results stand in the order of their calls, and nobody
 * misses them. */
static int id_goes(look_t *l, const llmux_json_t *m)
{
    return llmux_json_is(m, "id");
}

static void take_ids(look_t *l, const llmux_json_t *part)
{
    take_out(l, either(part, "functionCall", "function_call"), id_goes);
    take_out(l, either(part, "functionResponse", "function_response"),
             id_goes);
}

static void clean_part(look_t *l, const llmux_json_t *part)
{
    take_out(l, part, part_goes);
    if (l->vertex) {
        take_ids(l, part);
    }
}

static void look_at_part(look_t *l, const llmux_json_t *part)
{
    const llmux_json_t *signature = either(part, "thoughtSignature",
                                           "thought_signature");
    int call = either(part, "functionCall", "function_call") != NULL;

    l->foreign = 0;
    clean_part(l, part);
    if (call && l->must_sign && !l->signed_step
        && (l->foreign || !signature)) {
        llmux_edit_at(l->edits, part->at + 1, 0, SIGNATURE);
    }
    l->signed_step |= call;
}

/* Vertex insists on being told who speaks, and knows two of them. */
static void say_role(look_t *l, const llmux_json_t *content)
{
    const llmux_json_t *role = llmux_json_get_any(content, "role");

    if (!role) {
        llmux_edit_insert(l->edits, content, "\"role\":\"user\"");
    }
    else if (llmux_json_kind(role) == LLMUX_JSON_NULL
             || llmux_json_is(role, "") || llmux_json_is(role, "function")) {
        llmux_edit_replace(l->edits, role, "\"user\"");
    }
}

static void each_part(look_t *l, const llmux_json_t *content,
                      void (*look)(look_t *l, const llmux_json_t *part))
{
    const llmux_json_t *parts = llmux_json_get(content, "parts"), *e;

    if (llmux_json_kind(parts) == LLMUX_JSON_OBJECT) {
        look(l, parts);
        return;
    }
    for (e = llmux_json_first(parts); e; e = llmux_json_next(parts, e)) {
        look(l, e);
    }
}

/* A step is what the model says until somebody else speaks. */
static void look_at_content(look_t *l, const llmux_json_t *content)
{
    int model = llmux_json_is(llmux_json_get(content, "role"), "model");

    if (l->vertex && llmux_json_kind(content) == LLMUX_JSON_OBJECT) {
        say_role(l, content);
    }
    if (model) {
        each_part(l, content, look_at_part);
        return;
    }
    l->signed_step = 0;
    if (l->vertex) {
        each_part(l, content, clean_part);
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
    return llmux_seal_mentioned(text)
           || (must_sign && (mentions(text, "\"functionCall\"")
                             || mentions(text, "\"function_call\"")));
}

static void edit_contents(look_t *l, const llmux_json_t *contents)
{
    llmux_slice_t text = llmux_json_raw(contents);
    const llmux_json_t *v, *e;

    if (!l->vertex && !worth_a_look(text, l->must_sign)) {
        return;
    }
    v = llmux_json_parse(l->pool, text, 0, NULL);
    if (llmux_json_kind(v) == LLMUX_JSON_OBJECT) {
        look_at_content(l, v);
        return;
    }
    for (e = llmux_json_first(v); e; e = llmux_json_next(v, e)) {
        look_at_content(l, e);
    }
}

/* ---- Vertex AI ------------------------------------------------------- */

static int invocations_go(look_t *l, const llmux_json_t *m)
{
    static const spelled_t invocations[] = {
        { "includeServerSideToolInvocations",
          "toolConfig.includeServerSideToolInvocations" },
        { "include_server_side_tool_invocations",
          "toolConfig.include_server_side_tool_invocations" }
    };

    return is_lost(l, m, invocations);
}

static int civic_goes(look_t *l, const llmux_json_t *m)
{
    static const spelled_t civic[] = {
        { "enableEnhancedCivicAnswers",
          "generationConfig.enableEnhancedCivicAnswers" },
        { "enable_enhanced_civic_answers",
          "generationConfig.enable_enhanced_civic_answers" }
    };

    return is_lost(l, m, civic);
}

/* Tiers it wants in a header; the usual one needs none. */
static void edit_tier(look_t *l, const llmux_json_t *body, const char *name)
{
    const llmux_json_t *tier = llmux_json_get(body, name);
    llmux_slice_t s = llmux_json_str(l->pool, tier);

    if (!llmux_slice_is_nocase(s, "standard")
        && !llmux_slice_is_nocase(s, "unspecified")) {
        llmux_edit_tell(l->edits, tier, name);
    }
    llmux_edit_drop(l->edits, name);
}

/* What it does not know is a mistake to it. */
static void edit_for_vertex(look_t *l, const llmux_json_t *body)
{
    edit_tier(l, body, "serviceTier");
    edit_tier(l, body, "service_tier");
    llmux_edit_lose(l->edits, body, "store");
    take_out(l, either(body, "toolConfig", "tool_config"), invocations_go);
    take_out(l, either(body, "generationConfig", "generation_config"),
             civic_goes);
}

/* ---- edit ------------------------------------------------------------ */

void llmux_gemini_edit(llmux_buf_t *out, apr_pool_t *scratch,
                       const llmux_head_t *head, llmux_slice_t body,
                       const llmux_target_t *target, llmux_warnings_t *w)
{
    llmux_edits_t edits;
    look_t l = { .edits = &edits, .pool = scratch, .head = head,
                 .target = target, .vertex = target->vertex };

    l.must_sign = (llmux_gemini_model(target->model)->can
                   & LLMUX_GEMINI_MUST_SIGN) != 0;
    llmux_edits_init(&edits, scratch, w);
    llmux_edit_drop(&edits, "model");
    edit_contents(&l, llmux_json_get(head->root, "contents"));
    if (l.vertex) {
        edit_for_vertex(&l, head->root);
    }
    llmux_edits_apply(&edits, out, head->root, body, target->model);
}
