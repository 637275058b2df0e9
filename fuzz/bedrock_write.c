/* bedrock_write.c - fuzzes what is written for Bedrock's Converse. The first
 * byte says whose client the body is from and what model it is for, the
 * others are the body. What the API refuses must never be written: roles that
 * do not take turns, nothing said, calls without their results or without
 * tools, two documents of one name, more than four cache points.
 *
 * covers: src/dialect/bedrock_write.c src/dialect/bedrock_messages.c
 *         src/dialect/bedrock_tools.c src/dialect/bedrock_media.c
 *         src/dialect/bedrock_model.c
 */

#include "write.h"

enum { CACHE_POINTS_MAX = 4 };

/* One of each kind that is told apart. */
static const char *const models[] = {
    "anthropic.claude-3-haiku-20240307-v1:0",
    "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "global.anthropic.claude-opus-4-8-v1",
    "us.amazon.nova-lite-v1:0", "us.amazon.nova-2-lite-v1:0",
    "openai.gpt-oss-120b-1:0", "mistral.mistral-large-2407-v1:0"
};

/* What was met on the way. */
typedef struct met_t {
    apr_pool_t *pool;
    apr_hash_t *ids, *documents;
    int calls, points;
} met_t;

static const llmux_json_t *inside(const llmux_json_t *v, const char *name)
{
    return llmux_json_get(v, name);
}

/* ---- blocks ---------------------------------------------------------- */

static void check_new(met_t *met, apr_hash_t *seen, const llmux_json_t *v,
                      apr_size_t longest)
{
    llmux_slice_t s = llmux_json_str(met->pool, v);

    MUST(s.len && s.len <= longest);
    MUST(!apr_hash_get(seen, s.data, (apr_ssize_t)s.len));
    apr_hash_set(seen, s.data, (apr_ssize_t)s.len, "");
}

static void check_block(met_t *met, const llmux_json_t *b)
{
    const llmux_json_t *text = inside(b, "text");
    const llmux_json_t *call = inside(b, "toolUse");
    const llmux_json_t *document = inside(b, "document");

    MUST(llmux_json_count(b) == 1);
    MUST(!text || llmux_json_str(met->pool, text).len);
    if (call) {
        met->calls++;
        check_new(met, met->ids, inside(call, "toolUseId"), 64);
        MUST(llmux_json_kind(inside(call, "input")) == LLMUX_JSON_OBJECT);
        MUST(llmux_json_str(met->pool, inside(call, "name")).len <= 64);
    }
    if (document) {
        check_new(met, met->documents, inside(document, "name"), 200);
    }
    met->points += inside(b, "cachePoint") != NULL;
}

static void check_content(met_t *met, const llmux_json_t *list)
{
    const llmux_json_t *b, *result;

    MUST(llmux_json_kind(list) == LLMUX_JSON_ARRAY && llmux_json_count(list));
    for (b = llmux_json_first(list); b; b = llmux_json_next(list, b)) {
        check_block(met, b);
        result = inside(b, "toolResult");
        if (result) {
            check_content(met, inside(result, "content"));
        }
    }
}

/* ---- turns ----------------------------------------------------------- */

/* The next block of this kind from `b` on. */
static const llmux_json_t *next_of(const llmux_json_t *list,
                                   const llmux_json_t *b, const char *kind)
{
    while (b && !inside(b, kind)) {
        b = llmux_json_next(list, b);
    }
    return b;
}

/* Every call of one message has its result in the next one, in order, and
 * there are no others. */
static void check_answers(met_t *met, const llmux_json_t *calls,
                          const llmux_json_t *results)
{
    const llmux_json_t *c, *r;

    c = next_of(calls, llmux_json_first(calls), "toolUse");
    r = next_of(results, llmux_json_first(results), "toolResult");
    while (c && r) {
        MUST(llmux_slice_equal(
            llmux_json_raw(inside(inside(c, "toolUse"), "toolUseId")),
            llmux_json_raw(inside(inside(r, "toolResult"), "toolUseId"))));
        c = next_of(calls, llmux_json_next(calls, c), "toolUse");
        r = next_of(results, llmux_json_next(results, r), "toolResult");
    }
    MUST(!c && !r);
}

static void check_messages(met_t *met, const llmux_json_t *list)
{
    const llmux_json_t *m, *before = NULL;

    for (m = llmux_json_first(list); m; m = llmux_json_next(list, m)) {
        MUST(before || llmux_json_is(inside(m, "role"), "user"));
        MUST(!llmux_slice_equal(llmux_json_raw(inside(before, "role")),
                                llmux_json_raw(inside(m, "role"))));
        check_content(met, inside(m, "content"));
        check_answers(met, inside(before, "content"), inside(m, "content"));
        before = m;
    }
    MUST(before);
    check_answers(met, inside(before, "content"), NULL);
}

static void check_tools(met_t *met, const llmux_json_t *config)
{
    const llmux_json_t *list = inside(config, "tools"), *t;
    const llmux_json_t *spec;

    MUST(!config || llmux_json_count(list));
    MUST(config || !met->calls);
    for (t = llmux_json_first(list); t; t = llmux_json_next(list, t)) {
        spec = inside(t, "toolSpec");
        met->points += inside(t, "cachePoint") != NULL;
        MUST(!spec || llmux_json_count(
                 inside(inside(spec, "inputSchema"), "json")));
    }
}

static void check_written(apr_pool_t *p, const llmux_json_t *v)
{
    met_t met = { p, apr_hash_make(p), apr_hash_make(p), 0, 0 };
    const llmux_json_t *system = inside(v, "system");

    MUST(!llmux_json_get_any(v, "model") && !llmux_json_get_any(v, "stream"));
    if (system) {
        check_content(&met, system);
    }
    check_messages(&met, inside(v, "messages"));
    check_tools(&met, inside(v, "toolConfig"));
    MUST(met.points <= CACHE_POINTS_MAX);
}

/* ---- all of it ------------------------------------------------------- */

static void translate(apr_pool_t *p, int how, const llmux_json_t *body)
{
    const llmux_dialect_t *client = how & 1 ? &llmux_dialect_anthropic
                                            : &llmux_dialect_openai;
    llmux_target_t target = { .name = "fuzz", .can = how & 16 ? ~0u : 0 };
    const llmux_json_t *v;

    target.model = llmux_slice(models[how >> 1 & 7]);
    v = written(p, client, &llmux_dialect_bedrock, &target, body);
    if (v) {
        check_written(p, v);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_writer(data, size);
}
