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

#define VERTEX "'anthropic_version':'vertex-\\t1'"

/* The last: what stands in the body in place of a model; and what the client
 * is told to be left out. */
static const struct {
    const char *name, *version, *json, *want, *body_version, *told;
} edits[] = {
    { "the model, and nothing else", NULL,
      "{ 'model' : 'claude',\n'temperature':0.50,'new':[1, 2 ]," M " }",
      "{ 'model' : 'up\\t',\n'temperature':0.50,'new':[1, 2 ]," M " }" },
    { "the older version likewise", "2023-06-01",
      "{'model':'claude','top_k':1," M "}",
      "{'model':'up\\t','top_k':1," M "}" },
    { "the newer one takes no sampling", STRICT,
      "{'temperature':1,'model':'claude', 'top_p':1.0," M ",'top_k':null}",
      "{'model':'up\\t'," M "}" },
    { "... and what it takes away is told", STRICT,
      "{'temperature':0.5,'model':'claude','top_p':0," M ",'top_k':1}",
      "{'model':'up\\t'," M "}", NULL, "drop=temperature,top_p,top_k" },
    { "... also where it is no number", STRICT,
      "{'temperature':'x','model':'claude'," M "}",
      "{'model':'up\\t'," M "}", NULL, "drop=temperature" },
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
      ":'citations'}]}", NULL, "drop=messages.content.citations" },
    { "... which the older one takes", NULL,
      "{'model':'m','messages':[{'role':'user','content':[" CITED "]}]}",
      "{'model':'up\\t','messages':[{'role':'user','content':[" CITED "]}]}" },
    { "a version in place of the model", NULL,
      "{ 'model' : 'claude',\n'stream':true,'new':[1, 2 ]," M " }",
      "{" VERTEX ", 'stream':true,'new':[1, 2 ]," M " }", "vertex-\t1" },
    { "... which the path had", NULL, "{" M ",'model':'m'}",
      "{" VERTEX "," M "}", "vertex-\t1" },
    { "... not the client's own", NULL,
      "{'anthropic_version':'x','model':'m'," M ",'anthropic_beta':['b']}",
      "{" VERTEX "," M ",'anthropic_beta':['b']}", "vertex-\t1" },
    { "... nor behind", NULL,
      "{'model':'m'," M ",'anthropic_version':{'x':[]}}",
      "{" VERTEX "," M "}", "vertex-\t1" },
    { "... of a newer version", STRICT,
      "{'top_k':1,'model':'m','temperature':1," M ",'anthropic_version':1}",
      "{" VERTEX "," M "}", "vertex-\t1", "drop=top_k" },
    { "another cloud has tiers of its own", NULL,
      "{'model':'m','service_tier':'standard_only'," M "}",
      "{" VERTEX "," M "}", "vertex-\t1", "drop=service_tier" },
    { "... and nobody misses the usual one", NULL,
      "{'model':'m'," M ",'service_tier':'auto'}",
      "{" VERTEX "," M "}", "vertex-\t1" },
    { "the vendor's own tier passes", NULL,
      "{'model':'m'," M ",'service_tier':'standard_only'}",
      "{'model':'up\\t'," M ",'service_tier':'standard_only'}" }
};

static void test_edits(void)
{
    llmux_target_t target = { .name = "x", .model = llmux_slice("up\t") };
    llmux_warnings_t *warnings;
    llmux_buf_t *out;
    llmux_head_t head;
    const char *json;
    apr_size_t i;

    for (i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        json = quotes(pool, edits[i].json);
        out = llmux_buf_create(pool, 1 << 16);
        warnings = llmux_warnings_create(pool, 0);
        target.version = edits[i].version;
        target.body_version = edits[i].body_version;
        ok(!head_of(json, &head), "a body");
        llmux_dialect_anthropic.edit(out, pool, &head, llmux_slice(json),
                                     &target, warnings);
        is_str(out->data, quotes(pool, edits[i].want), edits[i].name);
        is_str(llmux_warnings_header(pool, warnings), edits[i].told,
               "  ... and this is told");
    }
}

/* ---- thoughts that go -------------------------------------------------- */

#define THOUGHT "{'type':'thinking','thinking':'a','signature':'EqQB'}"
#define FOREIGN "{'type':'thinking','thinking':'a','signature':'gw2.k.x'}"
#define HIDDEN  "{'type':'redacted_thinking','data':'gw2.k.x'}"
#define USE     "{'type':'tool_use','id':'t','name':'f','input':{}}"
#define WORDS   "{'type':'text','text':'b'}"
#define EMPTY   "{'type':'text','text':'(empty message)'}"
#define HE(blocks) "{'role':'assistant','content':[" blocks "]}"
#define RESULT  "{'role':'user','content':[{'type':'text','text':'c'}," \
                "{'type':'tool_result','tool_use_id':'t'}]}"
#define ASK     "{'role':'user','content':'tool_result'}"
#define COUNTED "'thinking':{'type':'enabled','budget_tokens':1024}"
#define LEFT    "drop=reasoning_content"
#define STOPPED LEFT ",thinking"

/* The messages, before and after; and whether they still think. */
static const struct {
    const char *name, *rest, *json, *want, *left, *told;
} thoughts[] = {
    { "what was begun with a thought cannot go on without", "," COUNTED,
      ASK "," HE(FOREIGN "," USE) "," RESULT,
      ASK "," HE(USE) "," RESULT, "", STOPPED },
    { "... nor with a hidden one", "," COUNTED,
      ASK "," HE(HIDDEN "," WORDS "," USE) "," RESULT,
      ASK "," HE(WORDS "," USE) "," RESULT, "", STOPPED },
    { "... nor some calls later", "," COUNTED,
      ASK "," HE(FOREIGN "," USE) "," RESULT "," HE(USE) "," RESULT,
      ASK "," HE(USE) "," RESULT "," HE(USE) "," RESULT, "", STOPPED },
    { "... nor with the words of an answer that paused", "," COUNTED,
      ASK "," HE(FOREIGN "," WORDS), ASK "," HE(WORDS), "", STOPPED },
    { "... nor with none at all", "," COUNTED,
      ASK "," HE(FOREIGN) "," RESULT, ASK "," HE(EMPTY) "," RESULT, "",
      STOPPED },
    { "with a thought of its own it can", "," COUNTED,
      ASK "," HE(FOREIGN "," THOUGHT "," USE) "," RESULT,
      ASK "," HE(THOUGHT "," USE) "," RESULT, "," COUNTED, LEFT },
    { "... also with a hidden one", "," COUNTED,
      ASK "," HE(FOREIGN ",{'type':'redacted_thinking','data':'R'}," USE) ","
      RESULT,
      ASK "," HE("{'type':'redacted_thinking','data':'R'}," USE) "," RESULT,
      "," COUNTED, LEFT },
    { "... and so can what was finished", "," COUNTED,
      ASK "," HE(FOREIGN "," USE) "," RESULT "," HE(WORDS) "," ASK,
      ASK "," HE(USE) "," RESULT "," HE(WORDS) "," ASK, "," COUNTED, LEFT },
    { "... before a turn that is not", "," COUNTED,
      ASK "," HE(FOREIGN "," WORDS) "," ASK "," HE(THOUGHT "," USE) ","
      RESULT,
      ASK "," HE(WORDS) "," ASK "," HE(THOUGHT "," USE) "," RESULT,
      "," COUNTED, LEFT },
    { "nothing went, nothing stops", "," COUNTED,
      ASK "," HE(USE) ",{'role':'user','content':[{'type':'tool_result',"
      "'content':'gw2.'}]}",
      ASK "," HE(USE) ",{'role':'user','content':[{'type':'tool_result',"
      "'content':'gw2.'}]}", "," COUNTED, NULL },
    { "who thinks adaptively need not begin with it",
      ",'thinking':{'type':'adaptive'}",
      ASK "," HE(FOREIGN "," USE) "," RESULT, ASK "," HE(USE) "," RESULT,
      ",'thinking':{'type':'adaptive'}", LEFT },
    { "... nor who does not think", ",'thinking':null",
      ASK "," HE(FOREIGN "," USE) "," RESULT, ASK "," HE(USE) "," RESULT,
      ",'thinking':null", LEFT },
    { "what clears thoughts goes with them, and nothing else",
      "," COUNTED ",'output_config':{'effort':'low'},'context_management':{"
      "'edits':[{'type':'clear_thinking_20251015'},{'type':'clear_tool_uses',"
      "'keep':{'type':'clear_thinking'}}]}",
      ASK "," HE(FOREIGN "," USE) "," RESULT, ASK "," HE(USE) "," RESULT,
      ",'output_config':{'effort':'low'},'context_management':{"
      "'edits':[{'type':'clear_tool_uses',"
      "'keep':{'type':'clear_thinking'}}]}",
      STOPPED ",context_management.edits" },
    { "things that are none of that", "," COUNTED ",'context_management':7",
      ASK "," HE(FOREIGN "," USE) ",7," HE("7") "," RESULT,
      ASK "," HE(USE) ",7," HE("7") "," RESULT, ",'context_management':7",
      STOPPED }
};

static const char *body_of(const char *messages, const char *rest)
{
    return quotes(pool, apr_pstrcat(pool, "{'model':'m','messages':[",
                                    messages, "]", rest, "}", NULL));
}

static void test_thoughts(void)
{
    llmux_target_t target = { .name = "x", .model = llmux_slice("m") };
    llmux_warnings_t *warnings;
    llmux_buf_t *out;
    llmux_head_t head;
    const char *json;
    apr_size_t i;

    for (i = 0; i < sizeof(thoughts) / sizeof(thoughts[0]); i++) {
        json = body_of(thoughts[i].json, thoughts[i].rest);
        out = llmux_buf_create(pool, 1 << 16);
        warnings = llmux_warnings_create(pool, 0);
        ok(!head_of(json, &head), "a body");
        llmux_dialect_anthropic.edit(out, pool, &head, llmux_slice(json),
                                     &target, warnings);
        is_str(out->data, body_of(thoughts[i].want, thoughts[i].left),
               thoughts[i].name);
        is_str(llmux_warnings_header(pool, warnings), thoughts[i].told,
               "  ... and this is told");
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
    test_thoughts();
    test_errors();
    apr_pool_destroy(pool);
    return tap_done();
}
