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

static const struct { const char *name, *model, *json, *edited; } edits[] = {
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
      TURN("model", "{" CALL "}") "]}" },
    { "and leave the word for none where one is needed", NEW,
      "{'contents':" TURN("model", "{" CALL "," SEAL "},{" SEAL "," CALL "}")
      "}",
      "{'contents':" TURN("model", "{" SKIP "," CALL "},{" CALL "}") "}" },
    { "words of a user are nobody's signature", NEW,
      "{'contents':[" TURN("user", "{'text':'Z3cxL \\'functionCall\\''}") "]}",
      NULL },
    { "lists without brackets, things that are none", NEW,
      "{'contents':[7,{'role':'model','parts':{" CALL "}},{'role':'model',"
      "'parts':[1,{'functionCall':null}]}]}",
      "{'contents':[7,{'role':'model','parts':{" SKIP "," CALL "}},{'role':"
      "'model','parts':[1,{'functionCall':null}]}]}" }
};

static void test_edits(void)
{
    llmux_target_t target = { "t", { NULL, 0 }, 0, 0, NULL };
    llmux_buf_t *out = llmux_buf_create(pool, 1 << 20);
    const char *body;
    llmux_head_t head;
    apr_size_t i;

    for (i = 0; i < sizeof(edits) / sizeof(*edits); i++) {
        body = quotes(edits[i].json);
        ok(!head_of(body, "alias", &head), "%s", edits[i].name);
        target.model = llmux_slice(edits[i].model);
        llmux_buf_reset(out);
        llmux_gemini_edit(out, pool, &head, llmux_slice(body), &target);
        is_str(out->data, edits[i].edited ? quotes(edits[i].edited) : body,
               "  it passes so");
        ok(llmux_json_is_object(pool, llmux_buf_slice(out)),
           "  and is JSON");
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
