/* gemini_read.c - a generateContent body means the canonical request. */

#include <apr_strings.h>

#include "seals.h"
#include "tap.h"
#include "chat_dump.h"
#include "dialect/gemini.h"

static apr_pool_t *pool;

/* Cases are written with ' for ". */
static char *quotes(const char *text)
{
    char *s = apr_pstrdup(pool, text), *c;

    for (c = s; *c; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    return s;
}

static const llmux_error_t *read_body(const char *json, llmux_chat_t **chat)
{
    const llmux_json_t *body =
        llmux_json_parse(pool, llmux_slice(json), 0, NULL);

    if (!body) {
        printf("# the test's own JSON is broken: %s\n", json);
    }
    *chat = chat_with_seals(pool);
    return llmux_gemini_read(*chat, body);
}

/* What is lost stands in a line of its own; that nothing was said on thoughts
 * goes without saying. */
static const char *meaning(const char *json)
{
    const llmux_error_t *err;
    const llmux_extra_t *e;
    llmux_chat_t *chat;
    const char *lost = "";

    err = read_body(quotes(json), &chat);
    if (err) {
        return apr_pstrcat(pool, "error: ", err->message, NULL);
    }
    for (e = chat->lost; e; e = e->next) {
        lost = apr_pstrcat(pool, lost, "lost ",
                           llmux_slice_str(pool, e->name), "\n", NULL);
    }
    if (chat->show_thinking == LLMUX_NO) {
        chat->show_thinking = LLMUX_UNSET;
    }
    chat->lost = NULL;
    return apr_pstrcat(pool, chat_dump(pool, chat), lost, NULL);
}

#define ASK "'contents':[{'parts':[{'text':'hi'}]}]"
#define HI  "user\n  text text=hi\n"
#define USER(parts) "{'contents':[{'role':'user','parts':[" parts "]}]}"
#define MODEL(parts) "{'contents':[{'role':'model','parts':[" parts "]}]}"
#define TURN(role, parts) "{'role':'" role "','parts':[" parts "]}"
#define CONFIG(members) "{" ASK ",'generationConfig':{" members "}}"

/* ---- the conversation ------------------------------------------------ */

static const struct { const char *name, *json, *dump; } talks[] = {
    { "a question", "{" ASK "}", HI "\n" },
    { "lists of one without brackets",
      "{'contents':{'role':'user','parts':{'text':'hi'}},"
      "'systemInstruction':{'role':'user','parts':{'text':'be'}},"
      "'tools':{'functionDeclarations':{'name':'f'}}}",
      "system\n  text text=be\n" HI "tool name=f\n\n" },
    { "roles, a system of parts, what is empty is nothing",
      "{'contents':[" TURN("user", "{'text':'a'},{'text':''},{'text':'b'}")
      "," TURN("model", "{'text':'c'}") ",{'role':'','parts':[{'text':'d'}]},"
      "{'role':'model'},{'role':'model','parts':[]}],"
      "'system_instruction':{'parts':[{'text':'s'},{'text':''},"
      "{'text':'t'}]}}",
      "system\n  text text=s\n  text text=t\n"
      "user\n  text text=a\n  text text=b\nassistant\n  text text=c\n"
      "user\n  text text=d\nassistant\n\n" },
    { "null is absence everywhere",
      "{'systemInstruction':null,'tools':null,'generationConfig':null,"
      "'zzz':null,'contents':[{'role':null,'parts':[{'text':'hi',"
      "'inlineData':null,'thought':null,'thoughtSignature':null}]}]}",
      HI "\n" },
    { "pieces of a streamed answer are one text again",
      "{'contents':[" TURN("model", "{'text':'Hel'},{'text':'lo'}") ","
      TURN("model", "{'text':', you'}") "," TURN("user", "{'text':'a'}") ","
      TURN("user", "{'text':'b'}") "]}",
      "assistant\n  text text=Hello, you\nuser\n  text text=a\n"
      "user\n  text text=b\n\n" },
    { "thoughts are joined until one is signed",
      MODEL("{'text':'a','thought':true},{'text':'b','thought':true,"
            "'thoughtSignature':'U0lH'},{'text':'c','thought':true},"
            "{'text':'d'}"),
      "assistant\n  think text=ab gemini=U0lH\n  think text=c\n"
      "  text text=d\n\n" },
    { "a signature on text belongs to the thought before it",
      MODEL("{'text':'a','thought':true},{'text':'b','thoughtSignature':"
            "'U0lH'},{'text':'','thought_signature':'TUVI'}"),
      "assistant\n  think text=a gemini=U0lH\n  text text=b\n"
      "  think gemini=TUVI\n\n" },
    { "a signature alone",
      MODEL("{'thoughtSignature':'U0lH'},{'text':'a'}"),
      "assistant\n  think gemini=U0lH\n  text text=a\n\n" },
    { "media: links, files of Google's, bytes that know better",
      USER("{'inlineData':{'mimeType':'image/JPG','data':'AAAA'}},"
           "{'inline_data':{'mime_type':'image/gif; q=1','data':"
           "'iVBORw0KGgo','display_name':'a.png'}},"
           "{'fileData':{'mimeType':'video/mp4','fileUri':"
           "'https://youtu.be/x'}},"
           "{'fileData':{'fileUri':'gs://b/o','mimeType':'audio/mp3'}},"
           "{'fileData':{'mimeType':'application/pdf','fileUri':"
           "'https://generativelanguage.googleapis.com/v1beta/files/x'}},"
           "{'inlineData':{'mimeType':'text/csv','data':'LV8_'}}"),
      "user\n  media image type=image/jpeg base64=AAAA\n"
      "  media image type=image/png base64=iVBORw0KGgo= filename=a.png\n"
      "  media video type=video/mp4 url=https://youtu.be/x\n"
      "  media audio type=audio/mpeg file_id=gs://b/o\n"
      "  media pdf type=application/pdf file_id=https://generativelanguage."
      "googleapis.com/v1beta/files/x\n"
      "  media text type=text/csv base64=LV8/\n\n" },
    { "how closely a picture is looked at",
      "{'contents':[" TURN("user", "{'inlineData':{'mimeType':'image/png',"
      "'data':'AAAA'},'mediaResolution':{'level':'MEDIA_RESOLUTION_HIGH'}},"
      "{'inlineData':{'mimeType':'image/png','data':'AAAA'}},"
      "{'inlineData':{'mimeType':'audio/wav','data':'AAAA'}}") "],"
      "'generationConfig':{'mediaResolution':'MEDIA_RESOLUTION_LOW'}}",
      "user\n  media image type=image/png base64=AAAA detail=high\n"
      "  media image type=image/png base64=AAAA detail=low\n"
      "  media audio type=audio/wav base64=AAAA\n\n" },
    { "code that Google ran is told as text",
      MODEL("{'text':'So:'},{'executableCode':{'language':'PYTHON','code':"
            "'print(1)'}},{'codeExecutionResult':{'outcome':'OUTCOME_FAILED',"
            "'output':'oops'}}"),
      "assistant\n  text text=So:\n```python\nprint(1)\n```\n\n"
      "```OUTCOME_FAILED\noops\n```\n\n\n" },
    { "what Google's tools were asked is lost, and said to be",
      MODEL("{'toolCall':{'id':'a','toolType':'FILE_SEARCH'}},"
            "{'toolResponse':{'id':'a'}},{'text':'x'}"),
      "assistant\n  text text=x\n\nlost contents.parts.toolCall\n"
      "lost contents.parts.toolResponse\n" }
};

/* ---- calls and results ----------------------------------------------- */

#define CALL(name, rest) "{'functionCall':{'name':'" name "'" rest "}}"
#define RESPONSE(name, response, rest) \
    "{'functionResponse':{'name':'" name "','response':" response rest "}}"

static const struct { const char *name, *json, *dump; } calls[] = {
    { "ids of the client's own",
      "{'contents':[" TURN("model", CALL("f", ",'args':{'a': 1},'id':'x'")
      "," CALL("g", ",'id':'y'")) "," TURN("user",
      RESPONSE("g", "{'output':'G'}", ",'id':'y'") ","
      RESPONSE("f", "{'error':'F'}", ",'id':'x'")) "]}",
      "assistant\n  call id=x name=f args={\"a\": 1}\n"
      "  call id=y name=g args={}\nuser\n  result id=y\n    text text=G\n"
      "  result id=x error=1\n    text text=F\n\n" },
    { "without ids: by name, then by order",
      "{'contents':[" TURN("model", "{'text':'t'}," CALL("f", "") ","
      CALL("g", "") "," CALL("f", "")) "," TURN("function",
      RESPONSE("f", "{'output':1}", "") ","
      RESPONSE("g", "{'a':1,'b':2}", "") ","
      RESPONSE("f", "{}", "")) "," TURN("model", CALL("f", "")) ","
      TURN("tool", RESPONSE("f", "{'output':{'x':[]}}", "")) "]}",
      "assistant\n  text text=t\n  call id=call_0_1 name=f args={}\n"
      "  call id=call_0_2 name=g args={}\n  call id=call_0_3 name=f args={}\n"
      "user\n  result id=call_0_1\n    text text=1\n  result id=call_0_2\n"
      "    text text={\"a\":1,\"b\":2}\n  result id=call_0_3\n"
      "assistant\n  call id=call_2_0 name=f args={}\n"
      "user\n  result id=call_2_0\n    text text={\"x\":[]}\n\n" },
    { "an id that no call has: by name",
      "{'contents':[" TURN("model", CALL("f", "")) "," TURN("user",
      RESPONSE("f", "{'output':'a','error':'b'}", ",'id':'z'")) "]}",
      "assistant\n  call id=call_0_0 name=f args={}\nuser\n"
      "  result id=call_0_0\n    text text={\"output\":\"a\",\"error\":\"b\"}"
      "\n\n" },
    { "answers to nothing, and second ones, keep or get an id of their own",
      "{'contents':[" TURN("model", CALL("f", ",'id':'x'")) "," TURN("user",
      RESPONSE("f", "{'output':''}", ",'id':'x'") ","
      RESPONSE("f", "{'output':'b'}", ",'id':'x'") ","
      RESPONSE("f", "{'output':'c'}", "")) "]}",
      "assistant\n  call id=x name=f args={}\nuser\n  result id=x\n"
      "    text text=\n  result id=x\n    text text=b\n  result id=call_1_2\n"
      "    text text=c\n\n" },
    { "media in a result, text behind it",
      "{'contents':[" TURN("model", CALL("f", "")) "," TURN("user",
      RESPONSE("f", "{'output':'a'}", ",'parts':[{'inlineData':{'mimeType':"
      "'image/png','data':'AAAA'}},{'fileData':{'fileUri':'https://x/y.pdf',"
      "'mimeType':'application/pdf'}}]") ",{'text':'go'}") "]}",
      "assistant\n  call id=call_0_0 name=f args={}\nuser\n"
      "  result id=call_0_0\n    text text=a\n"
      "    media image type=image/png base64=AAAA\n"
      "    media pdf type=application/pdf url=https://x/y.pdf\n"
      "  text text=go\n\n" },
    { "a call's signature, and the word for none",
      MODEL("{'functionCall':{'name':'f'},'thoughtSignature':'U0lH'},"
            "{'function_call':{'name':'g'},'thoughtSignature':"
            "'skip_thought_signature_validator'}"),
      "assistant\n  call id=call_0_0 name=f args={} gemini=U0lH\n"
      "  call id=call_0_1 name=g args={}\n\n" }
};

/* ---- tools ----------------------------------------------------------- */

#define TOOLS(tools) "{" ASK ",'tools':[" tools "]}"
#define CHOOSE(config) "{" ASK ",'toolConfig':{'functionCallingConfig':{" \
                       config "}}}"

static const struct { const char *name, *json, *dump; } tools[] = {
    { "functions, spread over tools",
      TOOLS("{'functionDeclarations':[{'name':'f','description':'d',"
            "'parametersJsonSchema':{'type':'object'}}]},"
            "{'function_declarations':[{'name':'g','parameters':{'type':"
            "'OBJECT'},'behavior':'BLOCKING'}]}"),
      HI "tool name=f description=d schema={\"type\":\"object\"}\n"
      "tool name=g schema={\"type\":\"object\"}\n\n"
      "lost tools.functionDeclarations.behavior\n" },
    { "Google's schemas are JSON Schema here",
      TOOLS("{'functionDeclarations':[{'name':'f','parameters':{'type':"
            "'OBJECT','property_ordering':['a'],'required':['a'],"
            "'properties':{'a':{'type':'STRING','nullable':true,'format':"
            "'enum','enum':['x','y']},'nullable':{'type':'ARRAY','items':"
            "{'type':'NUMBER'},'min_items':'1','maxItems':'5'},"
            "'c':{'any_of':[{'type':'INTEGER'}],'nullable':true},"
            "'d':{'type':'TYPE_UNSPECIFIED','example':1,'description':'D',"
            "'default':null}}}}]}"),
      HI "tool name=f schema={\"type\":\"object\",\"required\":[\"a\"],"
      "\"properties\":{\"a\":{\"type\":[\"string\",\"null\"],"
      "\"enum\":[\"x\",\"y\",null]},\"nullable\":{\"type\":\"array\",\"items\":"
      "{\"type\":\"number\"},\"minItems\":1,\"maxItems\":5},"
      "\"c\":{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"null\"}]},"
      "\"d\":{\"description\":\"D\"}}}\n\n" },
    { "a search is what others have too",
      TOOLS("{'googleSearch':{'timeRangeFilter':{}}}"),
      HI " web_search={}\nlost tools.googleSearch.timeRangeFilter\n" },
    { "modes", CHOOSE("'mode':'auto'"), HI " choice=1\n" },
    { "NONE, names or not",
      CHOOSE("'mode':'NONE','allowedFunctionNames':['f']"), HI " choice=2\n" },
    { "ANY", CHOOSE("'mode':'ANY'"), HI " choice=3\n" },
    { "ANY of one",
      CHOOSE("'mode':'ANY','allowed_function_names':'f'"),
      HI " choice=4 choose=f\n" },
    { "ANY of two",
      CHOOSE("'mode':'ANY','allowedFunctionNames':['f','g']"),
      HI " choice=6 choose=f choose=g\n" },
    { "VALIDATED", CHOOSE("'mode':'VALIDATED'"), HI " choice=1\n" },
    { "VALIDATED of one",
      CHOOSE("'mode':'VALIDATED','allowedFunctionNames':['f'],"
             "'streamFunctionCallArguments':true"),
      HI " choice=5 choose=f\n" },
    { "nothing said",
      CHOOSE("'mode':'MODE_UNSPECIFIED','allowedFunctionNames':['f']"),
      HI "\n" }
};

/* ---- the other members ----------------------------------------------- */

static const struct { const char *name, *json, *dump; } members[] = {
    { "numbers as they were spelled, ints that look otherwise",
      CONFIG("'temperature':0.10,'topP':1e0,'topK':50.0,'candidateCount':2,"
             "'maxOutputTokens':'7','seed':-5,'presencePenalty':0.5,"
             "'frequencyPenalty':-0.5,'stopSequences':['a','','b'],"
             "'responseLogprobs':true,'logprobs':3"),
      HI " max_tokens=7 temperature=0.10 top_p=1e0 top_k=50"
      " frequency_penalty=-0.5 presence_penalty=0.5 seed=-5 n=2 logprobs=1"
      " top_logprobs=3 stop=a stop=b\n" },
    { "snake_case, and what is nobody else's",
      "{" ASK ",'generation_config':{'top_p':0.5,'max_output_tokens':1,"
      "'response_logprobs':false,'logprobs':2,'imageConfig':{},"
      "'enable_enhanced_civic_answers':true},'safety_settings':[{}],"
      "'model':'models/m','service_tier':'STANDARD','labels':{'a':'b'},"
      "'store':true,'provider':'p','parameters':{}}",
      HI " max_tokens=1 top_p=0.5 logprobs=0 service_tier=default"
      " metadata={\"a\":\"b\"} store=1\nlost safety_settings\n"
      "lost generationConfig.imageConfig\n"
      "lost generationConfig.enable_enhanced_civic_answers\n" },
    { "0 tokens are no limit", CONFIG("'maxOutputTokens':0,'topK':0"),
      HI "\n" },
    { "JSON", CONFIG("'responseMimeType':'application/json'"),
      HI " format=2\n" },
    { "text is what one gets anyway",
      CONFIG("'responseMimeType':'text/plain','responseModalities':['TEXT']"),
      HI " format=1\n" },
    { "a schema of Google's kind",
      CONFIG("'responseSchema':{'type':'STRING'},'responseMimeType':"
             "'application/json'"),
      HI " format=3 format_schema={\"type\":\"string\"}\n" },
    { "JSON Schema",
      CONFIG("'responseJsonSchema':{'type':'string'}"),
      HI " format=3 format_schema={\"type\":\"string\"}\n" },
    { "pictures", CONFIG("'responseModalities':['TEXT','IMAGE']"),
      HI " modalities=[\"text\",\"image\"]\n" },
    { "sound with a voice",
      CONFIG("'responseModalities':['AUDIO'],'speechConfig':{'voiceConfig':"
             "{'prebuiltVoiceConfig':{'voiceName':'Kore'}},"
             "'languageCode':'de'}"),
      HI " modalities=[\"text\",\"audio\"]"
      " audio={\"voice\":\"Kore\",\"format\":\"pcm16\"}\n"
      "lost generationConfig.speechConfig.languageCode\n" },
    { "a budget", CONFIG("'thinkingConfig':{'thinkingBudget':1024}"),
      HI " budget=1024\n" },
    { "no thinking", CONFIG("'thinkingConfig':{'thinking_budget':0}"),
      HI " effort=none\n" },
    { "as it likes, shown",
      CONFIG("'thinkingConfig':{'thinkingBudget':-1,'includeThoughts':true}"),
      HI " show_thinking=1\n" },
    { "a level", CONFIG("'thinkingConfig':{'thinkingLevel':'low'}"),
      HI " effort=low\n" },
    { "no level",
      CONFIG("'thinkingConfig':{'thinkingLevel':"
             "'THINKING_LEVEL_UNSPECIFIED'}"), HI "\n" }
};

#define EACH(table) \
    for (i = 0; i < sizeof(table) / sizeof(*table); i++) { \
        is_str(meaning(table[i].json), table[i].dump, table[i].name); \
    }

static void test_meanings(void)
{
    apr_size_t i;

    EACH(talks);
    EACH(calls);
    EACH(tools);
    EACH(members);
}

/* ---- refusals -------------------------------------------------------- */

static const struct { const char *json, *param, *says; } bad[] = {
    { "[]", NULL, "expected an object" },
    { "{}", "contents", "found nothing" },
    { "{'contents':[]}", "contents", "at least one" },
    { "{'contents':['hi']}", "contents[0]", "expected an object" },
    { "{'contents':'hi'}", "contents", "expected an array" },
    { "{'contents':[{'role':'assistant'}]}", "contents[0].role",
      "expected one of 'model'" },
    { "{'contents':[{'role':7}]}", "contents[0].role", "a string" },
    { "{'contents':[{'parts':7}]}", "contents[0].parts", "an array" },
    { USER("7"), "contents[0].parts[0]", "an object" },
    { USER("{}"), "contents[0].parts[0]", "none of them" },
    { USER("{'video':{}}"), "contents[0].parts[0]", "none of them" },
    { USER("{'text':7}"), "contents[0].parts[0].text", "a string" },
    { USER("{'text':'a','inlineData':{}}"), "contents[0].parts[0]", "both" },
    { USER("{'text':'a','inlineData':{},'inline_data':{}}"),
      "contents[0].parts[0].inline_data", "'inlineData' as well" },
    { USER("{'inlineData':{'mimeType':'a/b'}}"),
      "contents[0].parts[0].inlineData.data", "found nothing" },
    { USER("{'inline_data':{'mime_type':'a/b','data':'*'}}"),
      "contents[0].parts[0].inline_data.data", "something else" },
    { USER("{'fileData':{'fileUri':''}}"),
      "contents[0].parts[0].fileData.fileUri", "an empty string" },
    { USER("{'thought':1,'text':'a'}"), "contents[0].parts[0].thought",
      "a boolean" },
    { USER(CALL("f", "")), "contents[0].parts[0]", "role 'model'" },
    { MODEL(RESPONSE("f", "{}", "")), "contents[0].parts[0]",
      "role 'user'" },
    { MODEL("{'functionCall':{'args':{}}}"),
      "contents[0].parts[0].functionCall.name", "found nothing" },
    { MODEL(CALL("f", ",'args':[]")),
      "contents[0].parts[0].functionCall.args", "an object" },
    { MODEL(CALL("f", ",'willContinue':true")),
      "contents[0].parts[0].functionCall.willContinue", "as one part" },
    { USER(RESPONSE("f", "'text'", "")),
      "contents[0].parts[0].functionResponse.response", "an object" },
    { USER(RESPONSE("f", "{}", ",'parts':[{'text':'a'}]")),
      "contents[0].parts[0].functionResponse.parts[0]", "'inlineData'" },
    { "{" ASK ",'systemInstruction':'be'}", "systemInstruction",
      "an object" },
    { "{" ASK ",'systemInstruction':{'parts':[{'inlineData':{}}]}}",
      "systemInstruction.parts[0]", "expected 'text'" },
    { "{" ASK ",'tools':[7]}", "tools[0]", "an object" },
    { TOOLS("{'functionDeclarations':[{'name':''}]}"),
      "tools[0].functionDeclarations[0].name", "not empty" },
    { TOOLS("{'functionDeclarations':[{'name':'f','parameters':{},"
            "'parameters_json_schema':{}}]}"),
      "tools[0].functionDeclarations[0].parameters", "found both" },
    { TOOLS("{'code_execution':{}}"), "tools[0].code_execution",
      "runs at Google" },
    { TOOLS("{'urlContext':{}}"), "tools[0].urlContext", "runs at Google" },
    { CHOOSE("'mode':'SOME'"), "toolConfig.functionCallingConfig.mode",
      "'VALIDATED'" },
    { "{" ASK ",'cachedContent':'cachedContents/x'}", "cachedContent",
      "only Google has" },
    { "{" ASK ",'generationConfig':{},'generation_config':{}}",
      "generation_config", "as well" },
    { CONFIG("'temperature':3"), "generationConfig.temperature",
      "from 0 to 2" },
    { CONFIG("'topK':1.5"), "generationConfig.topK", "an integer" },
    { CONFIG("'maxOutputTokens':'many'"), "generationConfig.maxOutputTokens",
      "a number" },
    { CONFIG("'candidateCount':129"), "generationConfig.candidateCount",
      "to 128" },
    { CONFIG("'stopSequences':[7]"), "generationConfig.stopSequences[0]",
      "a string" },
    { CONFIG("'responseMimeType':'text/x.enum'"),
      "generationConfig.responseMimeType", "text/x.enum" },
    { CONFIG("'responseMimeType':'text/plain','responseSchema':{}"),
      "generationConfig.responseSchema", "application/json" },
    { CONFIG("'responseSchema':{},'responseJsonSchema':{}"),
      "generationConfig.responseJsonSchema", "found two" },
    { CONFIG("'responseModalities':['VIDEO']"),
      "generationConfig.responseModalities[0]", "a video" },
    { CONFIG("'thinkingConfig':{'thinkingBudget':1,'thinkingLevel':'LOW'}"),
      "generationConfig.thinkingConfig.thinkingLevel", "found both" },
    { CONFIG("'thinkingConfig':{'thinkingBudget':-2}"),
      "generationConfig.thinkingConfig.thinkingBudget", "at least -1" }
};

static void test_bad(void)
{
    const llmux_error_t *err;
    llmux_chat_t *chat;
    apr_size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        err = read_body(quotes(bad[i].json), &chat);
        if (!ok(err && err->status == 400
                && strstr(err->message, bad[i].says),
                "refused: %s", bad[i].json)) {
            printf("#   message: %s\n", err ? err->message : "(none)");
        }
        is_str(err ? err->param : "(read)", bad[i].param, "  and says where");
    }
}

/* ---- signatures ------------------------------------------------------ */

/* What another maker signed comes back to that one, also in the alphabet that
 * Google's SDKs spell it in. */
static void test_seals(void)
{
    static const struct { const char *part, *dump; } cases[] = {
        { "'text':'w','thought':true,'thoughtSignature':"
          "'<<64 anthropic:To+/==>>'",
          "assistant\n  think text=w anthropic=To+/==\n\n" },
        { "'text':'x','thoughtSignature':'<<64 redacted:To>>'",
          "assistant\n  think redacted=To\n  text text=x\n\n" },
        { "'functionCall':{'name':'f'},'thoughtSignature':"
          "'<<64 openai:ToToToToToToTo>>'",
          "assistant\n  think openai=ToToToToToToTo\n"
          "  call id=call_0_0 name=f args={}\n\n" },
        { "'functionCall':{'name':'f'},'thoughtSignature':'<<64 gemini:T>>'",
          "assistant\n  call id=call_0_0 name=f args={} gemini=T\n\n" },
        { "'text':'a','thoughtSignature':'Z3cxLnguAAAA'",
          "assistant\n  text text=a\n\n" },
        { "'text':'a','thoughtSignature':'Z3cyLmsxLgAA'",
          "assistant\n  text text=a\n\n" }
    };
    const char *json;
    char *safe, *at;
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        json = sealed(pool, apr_pstrcat(pool, "{'contents':[{'role':'model',"
                                        "'parts':[{", cases[i].part, "}]}]}",
                                        NULL));
        is_str(meaning(json), cases[i].dump, "a seal is opened");
        safe = apr_pstrdup(pool, json);
        for (at = strstr(safe, "Z3c"); at && *at != '\''; at++) {
            *at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
        }
        is_str(meaning(safe), cases[i].dump, "... in the other alphabet");
    }
}

/* ---- sizes ----------------------------------------------------------- */

/* A hundred thousand of each take no longer than that. */
static void test_many(void)
{
    enum { MANY = 100000 };
    llmux_buf_t *b = llmux_buf_create(pool, 64 << 20);
    const llmux_message_t *m;
    llmux_chat_t *chat;
    int i, n = 0;

    llmux_buf_adds(b, "{\"contents\":[{\"role\":\"model\",\"parts\":[");
    for (i = 0; i < MANY; i++) {
        llmux_buf_adds(b, "{\"text\":\"x\",\"odd\":1},");
    }
    for (i = 0; i < MANY; i++) {
        llmux_buf_addf(b, "%s{\"functionCall\":{\"name\":\"f\"},\"o%d\":1}",
                       i ? "," : "", i);
    }
    llmux_buf_adds(b, "]},{\"parts\":[");
    for (i = 0; i < MANY; i++) {
        llmux_buf_addf(b, "%s{\"functionResponse\":{\"name\":\"f\"}}",
                       i ? "," : "");
    }
    llmux_buf_adds(b, "]}]}");
    ok(!read_body(b->data, &chat), "a long history is read");
    is_int((long long)chat->messages->blocks->text.len, MANY,
           "pieces of text are one");
    for (m = chat->messages; m->next; m = m->next) {
    }
    ok(llmux_slice_is(m->last->result->call_id, "call_0_199999"),
       "the last result answers the last call");
    for (; chat->lost; chat->lost = chat->lost->next) {
        n++;
    }
    is_int(n, LLMUX_LOST_MAX, "what is lost is noted up to a limit");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_meanings();
    test_bad();
    test_seals();
    test_many();
    apr_pool_destroy(pool);
    return tap_done();
}
