/* gemini_edit.c - a body for the same dialect passes byte for byte, but for
 * signatures that Gemini did not make. */

#include <apr_strings.h>

#include "tap.h"
#include "dialect/gemini.h"

static apr_pool_t *pool;
static llmux_json_parser_t *parser;

/* Cases are written with ' for ". */
static const char *quotes(const char *text)
{
    char *s = apr_pstrdup(pool, text), *c;

    for (c = s; *c; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    return s;
}

static const llmux_error_t *head_of(const char *json, const char *path_model,
                                    llmux_head_t *head)
{
    head->model = llmux_slice(path_model);
    return llmux_gemini_head(pool, parser, llmux_slice(json), head);
}

#define C "'contents':[{'parts':[{'text':'hi'}]}]"

/* ---- head ------------------------------------------------------------ */

static void test_head(void)
{
    llmux_head_t head;

    ok(!head_of(quotes("{'model':'models/other','provider':'p','parameters':"
                       "{'labels':{}}," C "}"), "g", &head),
       "a full head is read");
    ok(llmux_slice_is(head.model, "g"), "the path's model counts");
    ok(llmux_slice_is(head.provider, "p"), "the provider");
    is_int(llmux_json_count(head.parameters), 1, "the parameters");
    is_int(head.messages, 1, "the number of contents");
    is_int(head.include_usage, 1, "usage is always told");
    is_int(head.stream, LLMUX_UNSET, "the path says whether to stream");
    ok(!head_of(quotes("{'model':'models/m'," C "}"), NULL, &head)
       && llmux_slice_is(head.model, "m"), "a model in the body alone");
    ok(!head_of(quotes("{'contents':{'parts':[]}}"), "m", &head)
       && head.messages == 1, "one content without brackets");
}

static const struct { const char *json, *model, *param, *says; } bad[] = {
    { "{", "m", NULL, "not valid JSON" },
    { "[]", "m", NULL, "expected an object" },
    { "{" C "}", NULL, "model", "found nothing" },
    { "{}", "m", "contents", "found nothing" },
    { "{'contents':null}", "m", "contents", "found null" },
    { "{'contents':[]}", "m", "contents", "at least one" },
    { "{'contents':'hi'}", "m", "contents", "found a string" },
    { "{" C "," C "}", "m", "contents", "twice" },
    { "{" C ",'Contents':[]}", "m", "Contents", "spelled 'contents'" },
    { "{" C ",'SystemInstruction':{}}", "m", "SystemInstruction",
      "spelled 'systemInstruction'" },
    { "{" C ",'systemInstruction':{},'system_instruction':{}}", "m",
      "system_instruction", "'systemInstruction' as well" },
    { "{" C ",'toolConfig':{},'tool_config':null}", "m", "tool_config",
      "as well" },
    { "{" C ",'provider':1}", "m", "provider", "a string" },
    { "{" C ",'parameters':[]}", "m", "parameters", "an object" },
    { "{" C ",'parameters':{'a':1,'a':2}}", "m", "parameters.a", "twice" }
};

static void test_bad(void)
{
    const llmux_error_t *err;
    llmux_head_t head;
    apr_size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        err = head_of(quotes(bad[i].json), bad[i].model, &head);
        if (!ok(err && err->status == 400
                && strstr(err->message, bad[i].says),
                "refused: %s", bad[i].json)) {
            printf("#   message: %s\n", err ? err->message : "(none)");
        }
        is_str(err ? err->param : "(read)", bad[i].param, "  and says where");
    }
}

/* ---- edit ------------------------------------------------------------ */

#define TURN(role, parts) "{'role':'" role "','parts':[" parts "]}"
#define CALL "'functionCall':{'name':'f'}"
#define SKIP "'thoughtSignature':'skip_thought_signature_validator'"
#define SEAL "'thoughtSignature':'Z3cxLmEuU0lH'"
#define OLD "gemini-2.5-flash"
#define NEW "gemini-3-pro"

#define ASKED "'contents':[{'role':'user','parts':[{'text':'hi'}]}]"

static const struct {
    const char *name, *model, *json, *edited;
    int vertex;
    const char *told;
} edits[] = {
    { "nothing to change: no byte changes", OLD,
      " { 'zzz' : 1.0 ,\n" C " , 'contents2' : [ ] }\n", NULL },
    { "a model goes, the URL has it", OLD,
      "{ 'model' : 'models/x' , " C "}", "{ " C "}" },
    { "calls without a signature pass to a model that needs none", OLD,
      "{'contents':[" TURN("model", "{" CALL "}") "]}", NULL },
    { "and get the word for none where one is needed, the first of a step",
      NEW,
      "{'contents':[" TURN("user", "{'text':'functionCall'}") ","
      TURN("model", "{'text':'a'},{" CALL "}") ","
      TURN("model", "{" CALL "}") ","
      TURN("user", "{'functionResponse':{'name':'f'}}") ","
      TURN("model", "{ 'function_call':{'name':'f'}},{" CALL "}") "]}",
      "{'contents':[" TURN("user", "{'text':'functionCall'}") ","
      TURN("model", "{'text':'a'},{" SKIP "," CALL "}") ","
      TURN("model", "{" CALL "}") ","
      TURN("user", "{'functionResponse':{'name':'f'}}") ","
      TURN("model", "{" SKIP ", 'function_call':{'name':'f'}},{" CALL "}")
      "]}" },
    { "Gemini's own signatures stay", NEW,
      "{'contents':[" TURN("model", "{" CALL ",'thoughtSignature':'U0lH'}")
      "," TURN("user", "{'text':'a'}")
      "," TURN("model", "{" CALL ",'thought_signature':'U0lH'}") "]}", NULL },
    { "others' go, wherever they stand", OLD,
      "{'contents':[" TURN("model", "{'text':'a','thought':true," SEAL "},{"
      SEAL ",'text':'b'},{'text':'c', " SEAL " ,'x':1},{" SEAL " }") ","
      TURN("model", "{" SEAL ",'thought_signature':'Z3cxLmEuU0lH'," CALL "}")
      "]}",
      "{'contents':[" TURN("model", "{'text':'a','thought':true},{"
      "'text':'b'},{'text':'c' ,'x':1},{ }") ","
      TURN("model", "{" CALL "}") "]}", 0, "drop=reasoning_content" },
    { "and leave the word for none where one is needed", NEW,
      "{'contents':" TURN("model", "{" CALL "," SEAL "},{" SEAL "," CALL "}")
      "}",
      "{'contents':" TURN("model", "{" SKIP "," CALL "},{" CALL "}") "}", 0,
      "drop=reasoning_content" },
    { "words of a user are nobody's signature", NEW,
      "{'contents':[" TURN("user", "{'text':'Z3cxL \\'functionCall\\''}") "]}",
      NULL },
    { "lists without brackets, things that are none", NEW,
      "{'contents':[7,{'role':'model','parts':{" CALL "}},{'role':'model',"
      "'parts':[1,{'functionCall':null}]}]}",
      "{'contents':[7,{'role':'model','parts':{" SKIP "," CALL "}},{'role':"
      "'model','parts':[1,{'functionCall':null}]}]}" },
    { "Vertex AI: nothing to change", NEW,
      " { 'zzz' : 1.0 ,\n" ASKED " , 'labels' : { 'a':'b' } }\n", NULL, 1 },
    { "it is told who speaks", OLD,
      "{'contents':[{'parts':[]},{'role':null,'parts':[]},{},7,{'role':'',"
      "'parts':[]}," TURN("function", "") "," TURN("model", "") "]}",
      "{'contents':[{'role':'user','parts':[]},{'role':'user','parts':[]},{"
      "'role':'user'},7,{'role':'user','parts':[]}," TURN("user", "") ","
      TURN("model", "") "]}", 1 },
    { "... also without brackets", OLD, "{'contents':{'parts':{'text':'a'}}}",
      "{'contents':{'role':'user','parts':{'text':'a'}}}", 1 },
    { "it knows no ids of calls", OLD,
      "{'contents':[" TURN("model", "{'functionCall':{'id':'1','name':'f',"
      "'args':{'id':1}}},{'function_call':{'name':'f','id':'2'}},{"
      "'functionCall':{'id':'3'}},{'functionCall':{'name':'id'}}") ","
      TURN("user", "{'functionResponse':{'name':'f' , 'id':'1','response':{"
      "'id':1}}},{'function_response':{'id':null,'name':'f'}}") "]}",
      "{'contents':[" TURN("model", "{'functionCall':{'name':'f',"
      "'args':{'id':1}}},{'function_call':{'name':'f'}},{"
      "'functionCall':{}},{'functionCall':{'name':'id'}}") ","
      TURN("user", "{'functionResponse':{'name':'f','response':{"
      "'id':1}}},{'function_response':{'name':'f'}}") "]}", 1 },
    { "... with all the rest that goes", NEW,
      "{'contents':[" TURN("model", "{" SEAL ",'partMetadata':{'a':1},"
      "'functionCall':{'id':'1','name':'f'},'part_metadata':{}}") ","
      TURN("user", "{'text':'a','partMetadata':{'a':1}," SEAL "}") "]}",
      "{'contents':[" TURN("model", "{" SKIP ",'functionCall':{'name':'f'}}")
      "," TURN("user", "{'text':'a'}") "]}", 1,
      "drop=reasoning_content,contents.parts.partMetadata" },
    { "... which nobody misses where it says nothing", OLD,
      "{'contents':[" TURN("model", "{'text':'a','partMetadata':null}") "],"
      "'serviceTier':'STANDARD','store':false,'service_tier':null,"
      "'toolConfig':{'includeServerSideToolInvocations':false}}",
      "{'contents':[" TURN("model", "{'text':'a'}") "],'toolConfig':{}}",
      1 },
    { "which others may have", OLD,
      "{'contents':[" TURN("model", "{'partMetadata':{},'functionCall':{'id':"
      "'1','name':'f'}}") "],'serviceTier':'flex','store':false,'toolConfig':"
      "{'includeServerSideToolInvocations':true}}", NULL, 0 },
    { "members that it does not know", OLD,
      "{'serviceTier':'flex'," ASKED ",'store':false,'service_tier':'a',"
      "'toolConfig':{'includeServerSideToolInvocations':true,"
      "'functionCallingConfig':{'mode':'AUTO'}},'generationConfig':{'topK':1,"
      "'enable_enhanced_civic_answers':true}}",
      "{" ASKED ",'toolConfig':{'functionCallingConfig':{'mode':'AUTO'}},"
      "'generationConfig':{'topK':1}}", 1,
      "drop=serviceTier,service_tier,toolConfig."
      "includeServerSideToolInvocations,generationConfig."
      "enable_enhanced_civic_answers" },
    { "... in the other spelling", OLD,
      "{'store':true," ASKED ",'tool_config':{'include_server_side_tool_invocations':1},"
      "'generation_config':{'enableEnhancedCivicAnswers':true}}",
      "{" ASKED ",'tool_config':{},'generation_config':{}}", 1,
      "drop=store,toolConfig.include_server_side_tool_invocations,"
      "generationConfig.enableEnhancedCivicAnswers" }
};

static void test_edits(void)
{
    llmux_target_t target = { .name = "t" };
    llmux_buf_t *out = llmux_buf_create(pool, 1 << 20);
    llmux_warnings_t *warnings;
    const char *body;
    llmux_head_t head;
    apr_size_t i;

    for (i = 0; i < sizeof(edits) / sizeof(*edits); i++) {
        body = quotes(edits[i].json);
        ok(!head_of(body, "alias", &head), "%s", edits[i].name);
        target.model = llmux_slice(edits[i].model);
        target.vertex = edits[i].vertex;
        llmux_buf_reset(out);
        warnings = llmux_warnings_create(pool, 0);
        llmux_gemini_edit(out, pool, &head, llmux_slice(body), &target,
                          warnings);
        is_str(out->data, edits[i].edited ? quotes(edits[i].edited) : body,
               "  it passes so");
        ok(llmux_json_is_object(pool, llmux_buf_slice(out)),
           "  and is JSON");
        is_str(llmux_warnings_header(pool, warnings), edits[i].told,
               "  and this is told");
    }
}

/* ---- merge ----------------------------------------------------------- */

static void test_merge(void)
{
    const char *body = quotes("{'provider':'p'," C ",'parameters':{"
                              "'generationConfig':{'topK':1}}}");
    llmux_slice_t merged;
    llmux_head_t head;

    ok(!head_of(body, "m", &head), "a body with our members");
    merged = llmux_head_merge(pool, &head, llmux_slice(body));
    is_str(llmux_slice_str(pool, merged),
           quotes("{" C ",'generationConfig':{'topK':1}}"),
           "they are merged as everywhere");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    parser = llmux_json_parser_create(pool);
    test_head();
    test_bad();
    test_edits();
    test_merge();
    apr_pool_destroy(pool);
    return tap_done();
}
