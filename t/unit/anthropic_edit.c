/* anthropic_edit.c - a Messages body for the same dialect passes byte for
 * byte, but for what must change. */

#include "tap.h"
#include "transcript.h"

static apr_pool_t *pool;
static llmux_json_parser_t *parser;

static const llmux_error_t *head_of(const char *json, llmux_head_t *head)
{
    memset(head, 0, sizeof(*head));
    return llmux_dialect_anthropic.head(pool, parser, llmux_slice(json),
                                        head);
}

#define M "'messages':[{'role':'user','content':'hi'}]"

/* ---- head ------------------------------------------------------------ */

static void test_head(void)
{
    llmux_head_t head;

    ok(!head_of(quotes(pool, "{'model':'claude','max_tokens':1,'stream':true,"
                       "'provider':'p','parameters':{'top_k':1},"
                       "'messages':[1,{}]}"), &head), "a full head is read");
    ok(llmux_slice_is(head.model, "claude"), "the model");
    is_int(head.stream, LLMUX_YES, "it streams");
    is_int(head.include_usage, 1, "usage is part of every stream");
    ok(llmux_slice_is(head.provider, "p"), "the provider");
    is_int(llmux_json_count(head.parameters), 1, "the parameters");
    is_int(head.messages, 2, "the number of messages");
    ok(!head_of(quotes(pool, "{'model':'m','stream':null," M "}"), &head)
       && head.stream == LLMUX_UNSET, "null is absence");
}

static const struct { const char *json, *param; } bad[] = {
    { "{'model':", NULL },
    { "[]", NULL },
    { "{" M "}", "model" },
    { "{'model':''," M "}", "model" },
    { "{'model':'m'}", "messages" },
    { "{'model':'m','messages':[]}", "messages" },
    { "{'model':'m','messages':'hi'}", "messages" },
    { "{'model':'m','stream':1," M "}", "stream" },
    { "{'model':'m','model':'n'," M "}", "model" },
    { "{'model':'m','Model':'n'," M "}", "Model" },
    { "{'model':'m','STREAM':true," M "}", "STREAM" },
    { "{'model':'m','provider':1," M "}", "provider" },
    { "{'model':'m','parameters':{'a':1,'a':2}," M "}", "parameters.a" }
};

static void test_bad(void)
{
    const llmux_error_t *err;
    llmux_head_t head;
    apr_size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        err = head_of(quotes(pool, bad[i].json), &head);
        ok(err && err->kind == LLMUX_ERR_INVALID, "refused: %s", bad[i].json);
        is_str(err ? err->param : "", bad[i].param, "at its place");
    }
}

/* ---- edit ------------------------------------------------------------ */

#define STRICT "2026-10-21"
#define CITED "{'type':'text','text':'a','citations':[{'x':1}]}"
#define UNCITED "{'type':'text','text':'a','citations':[]}"

static const struct { const char *name, *version, *json, *want; } edits[] = {
    { "the model, and nothing else", NULL,
      "{ 'model' : 'claude',\n'temperature':0.50,'new':[1, 2 ]," M " }",
      "{ 'model' : 'up\\t',\n'temperature':0.50,'new':[1, 2 ]," M " }" },
    { "the older version likewise", "2023-06-01",
      "{'model':'claude','top_k':1," M "}",
      "{'model':'up\\t','top_k':1," M "}" },
    { "the newer one takes no sampling", STRICT,
      "{'temperature':1,'model':'claude', 'top_p':1," M ",'top_k':null}",
      "{'model':'up\\t'," M "}" },
    { "no sources in what the client says", STRICT,
      "{'model':'m','messages':[{'role':'user','content':[" CITED ",{'type':"
      "'tool_result','tool_use_id':'t','content':[" CITED ",{'type':"
      "'search_result','content':[" CITED "],'citations':{'enabled':true}}]}"
      "]},{'role':'assistant','content':[" CITED "]},{'role':'user','content':"
      "'citations'}]}",
      "{'model':'up\\t','messages':[{'role':'user','content':[" UNCITED ","
      "{'type':'tool_result','tool_use_id':'t','content':[" UNCITED ",{'type':"
      "'search_result','content':[" UNCITED "],'citations':{'enabled':true}}]"
      "}]},{'role':'assistant','content':[" CITED "]},{'role':'user','content'"
      ":'citations'}]}" },
    { "... which the older one takes", NULL,
      "{'model':'m','messages':[{'role':'user','content':[" CITED "]}]}",
      "{'model':'up\\t','messages':[{'role':'user','content':[" CITED "]}]}" }
};

static void test_edits(void)
{
    llmux_target_t target = { .name = "x", .model = llmux_slice("up\t") };
    llmux_buf_t *out;
    llmux_head_t head;
    const char *json;
    apr_size_t i;

    for (i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        json = quotes(pool, edits[i].json);
        out = llmux_buf_create(pool, 1 << 16);
        target.version = edits[i].version;
        ok(!head_of(json, &head), "a body");
        llmux_dialect_anthropic.edit(out, pool, &head, llmux_slice(json),
                                     &target);
        is_str(out->data, quotes(pool, edits[i].want), edits[i].name);
    }
}

/* ---- errors ---------------------------------------------------------- */

static const struct { llmux_error_e kind; const char *type; } types[] = {
    { LLMUX_ERR_INVALID,    "invalid_request_error" },
    { LLMUX_ERR_AUTH,       "authentication_error" },
    { LLMUX_ERR_BILLING,    "billing_error" },
    { LLMUX_ERR_PERMISSION, "permission_error" },
    { LLMUX_ERR_MODEL,      "not_found_error" },
    { LLMUX_ERR_TOO_LARGE,  "request_too_large" },
    { LLMUX_ERR_RATE_LIMIT, "rate_limit_error" },
    { LLMUX_ERR_INTERNAL,   "api_error" },
    { LLMUX_ERR_OVERLOADED, "overloaded_error" },
    { LLMUX_ERR_TIMEOUT,    "timeout_error" }
};

static void test_errors(void)
{
    llmux_buf_t *out;
    apr_size_t i;

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        out = llmux_buf_create(pool, 1024);
        llmux_dialect_anthropic.error_write(
            out, llmux_error(pool, types[i].kind, "p", "a \"b\""),
            i ? "req_1" : NULL);
        is_str(out->data, apr_psprintf(pool, "{\"type\":\"error\",\"error\":{"
               "\"type\":\"%s\",\"message\":\"a \\\"b\\\"\"},\"request_id\":"
               "%s}", types[i].type, i ? "\"req_1\"" : "null"),
               types[i].type);
    }
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    parser = llmux_json_parser_create(pool);
    test_head();
    test_bad();
    test_edits();
    test_errors();
    apr_pool_destroy(pool);
    return tap_done();
}
