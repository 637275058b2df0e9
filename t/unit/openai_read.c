/* openai_read.c - a chat-completions body means the canonical request. */

#include <apr_strings.h>

#include "tap.h"
#include "chat_dump.h"
#include "dialect/openai.h"

static apr_pool_t *pool;

static const llmux_error_t *read_body(const char *json, llmux_chat_t **chat)
{
    const llmux_json_t *body =
        llmux_json_parse(pool, llmux_slice(json), 0, NULL);

    if (!body) {
        printf("# the test's own JSON is broken: %s\n", json);
    }
    *chat = llmux_chat_create(pool);
    return llmux_openai_read(*chat, body);
}

/* Cases are written with ' for ". */
static char *quotes(const char *text)
{
    char *s = apr_pstrdup(pool, text), *c;

    for (c = s; *c; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    return s;
}

#define ASK "'messages':[{'role':'user','content':'hi'}]"
#define HI  "user\n  text text=hi\n"

/* ---- what a body means ----------------------------------------------- */

static const struct { const char *name, *json, *dump; } meanings[] = {
    { "a question", "{'model':'m'," ASK "}", HI " model=m\n" },
    { "all roles",
      "{'messages':[{'role':'developer','content':'d','name':'boss'},"
      "{'role':'system','content':[{'type':'text','text':'s'}]},"
      "{'role':'user','content':'u','name':'bob'},"
      "{'role':'assistant','content':'a'}]}",
      "system name=boss\n  text text=d\nsystem\n  text text=s\n"
      "user name=bob\n  text text=u\nassistant\n  text text=a\n\n" },
    { "null is absence everywhere",
      "{'temperature':null,'tools':null,'stop':null,'zzz':null,'stream':null,"
      "'messages':[{'role':'assistant','content':null,'tool_calls':null,"
      "'refusal':null,'audio':null,'function_call':null,'name':null}]}",
      "assistant\n\n" },
    { "an image by link",
      "{'messages':[{'role':'user','content':[{'type':'image_url','image_url':"
      "{'url':'https://x/y.png','detail':'original'}}]}]}",
      "user\n  media image url=https://x/y.png detail=high\n\n" },
    { "an image by link alone",
      "{'messages':[{'role':'user','content':[{'type':'image_url',"
      "'image_url':'https://x/y.png'}]}]}",
      "user\n  media image url=https://x/y.png\n\n" },
    { "image/jpg is image/jpeg",
      "{'messages':[{'role':'user','content':[{'type':'image_url','image_url':"
      "{'url':'data:image/jpg;base64,AAAA'}}]}]}",
      "user\n  media image type=image/jpeg base64=AAAA\n\n" },
    { "the bytes of a PNG win over its label, base64 gets its padding",
      "{'messages':[{'role':'user','content':[{'type':'image_url','image_url':"
      "{'url':'DATA:image/GIF;charset=x;base64,iVBORw0KGgo'}}]}]}",
      "user\n  media image type=image/png base64=iVBORw0KGgo=\n\n" },
    { "audio",
      "{'messages':[{'role':'user','content':[{'type':'input_audio',"
      "'input_audio':{'data':'AAAA','format':'mp3'}}]}]}",
      "user\n  media audio type=audio/mpeg base64=AAAA\n\n" },
    { "a PDF as bare base64, known by its first bytes",
      "{'messages':[{'role':'user','content':[{'type':'file','file':"
      "{'file_data':'JVBERi0xLjQ'}}]}]}",
      "user\n  media pdf type=application/pdf base64=JVBERi0xLjQ=\n\n" },
    { "a text file, known by its name",
      "{'messages':[{'role':'user','content':[{'type':'file','file':"
      "{'file_data':'aGVsbG8=','filename':'A.TXT'}}]}]}",
      "user\n  media text type=text/plain base64=aGVsbG8= filename=A.TXT\n\n" },
    { "a file by id",
      "{'messages':[{'role':'user','content':[{'type':'file','file':"
      "{'file_id':'file-1','file_data':null}}]}]}",
      "user\n  media other file_id=file-1\n\n" },
    { "a video",
      "{'messages':[{'role':'user','content':[{'type':'video_url','video_url':"
      "{'url':'https://x/v.mp4'}}]}]}",
      "user\n  media video url=https://x/v.mp4\n\n" },
    { "cache markers on parts, in both spellings",
      "{'messages':[{'role':'user','content':["
      "{'type':'text','text':'a','cache_control':{'type':'ephemeral'}},"
      "{'type':'text','text':'b','cache_control':{'type':'ephemeral',"
      "'ttl':'1h'}},"
      "{'type':'text','text':'c','prompt_cache_breakpoint':"
      "{'mode':'explicit'}}]}]}",
      "user\n  text text=a cache=5m\n  text text=b cache=1h\n"
      "  text text=c cache=5m\n\n" },
    { "a cache marker on a message is on its last block",
      "{'messages':[{'role':'system','content':'s','cache_control':"
      "{'type':'ephemeral'}}]}",
      "system\n  text text=s cache=5m\n\n" },
    { "tool results and the user's next words are one turn",
      "{'messages':[{'role':'assistant','content':'','tool_calls':["
      "{'id':'a','type':'function','function':{'name':'f',"
      "'arguments':'{\\'x\\':1}'}},"
      "{'id':'b','function':{'name':'g','arguments':''}},"
      "{'id':'c','type':'custom','custom':{'name':'h','input':'free'}}]},"
      "{'role':'tool','tool_call_id':'b','content':'B'},"
      "{'role':'tool','tool_call_id':'a','content':[{'type':'text',"
      "'text':'A'}]},"
      "{'role':'tool','tool_call_id':'c','content':null},"
      "{'role':'user','content':'go','name':'bob'},"
      "{'role':'user','content':'on'}]}",
      "assistant\n  call id=a name=f args={\"x\":1}\n"
      "  call id=b name=g args={}\n  call id=c name=h args=free custom=1\n"
      "user name=bob\n  result id=b\n    text text=B\n"
      "  result id=a\n    text text=A\n  result id=c\n  text text=go\n"
      "user\n  text text=on\n\n" },
    { "legacy calls and answers get an id",
      "{'messages':[{'role':'user','content':'u'},"
      "{'role':'assistant','content':null,'function_call':{'name':'f',"
      "'arguments':'{}'}},"
      "{'role':'function','name':'f','content':'r'}]}",
      "user\n  text text=u\n"
      "assistant\n  call id=call_function_1 name=f args={}\n"
      "user\n  result id=call_function_1\n    text text=r\n\n" },
    { "refusals, as member and as part",
      "{'messages':[{'role':'assistant','refusal':'no','content':["
      "{'type':'refusal','refusal':'never'}]}]}",
      "assistant\n  refusal text=never\n  refusal text=no\n\n" },
    { "earlier speech by its id",
      "{'messages':[{'role':'assistant','audio':{'id':'audio_1'}}]}",
      "assistant\n  media audio file_id=audio_1\n\n" },
    { "thoughts stand before text and calls",
      "{'messages':[{'role':'assistant','content':'a','reasoning_content':"
      "'hm','reasoning':'hm','tool_calls':[{'id':'x','function':"
      "{'name':'f'}}]}]}",
      "assistant\n  think text=hm\n  text text=a\n"
      "  call id=x name=f args={}\n\n" },
    { "reasoning_details know who made the token",
      "{'messages':[{'role':'assistant','content':'a','reasoning_content':'z',"
      "'reasoning_details':["
      "{'type':'reasoning.text','text':'t','signature':'s1',"
      "'format':'anthropic-claude-v1','index':0},"
      "{'type':'reasoning.encrypted','data':'d1',"
      "'format':'anthropic-claude-v1'},"
      "{'type':'reasoning.text','text':'','signature':'s2'},"
      "{'type':'reasoning.encrypted','data':'d2','format':"
      "'google-gemini-v1'},"
      "{'type':'reasoning.text','text':'o','signature':'d3','format':"
      "'openai-responses-v1'},"
      "{'type':'reasoning.summary','summary':'sum'},"
      "{'type':'reasoning.encrypted','data':'d4','format':'xai-v1'},"
      "{'type':'reasoning.unheard-of'}]}]}",
      "assistant\n  think text=t anthropic=s1\n  think redacted=d1\n"
      "  think text= anthropic=s2\n  think gemini=d2\n"
      "  think text=o openai=d3\n  think text=sum\n  text text=a\n\n" },
    { "thinking_blocks",
      "{'messages':[{'role':'assistant','content':'a','thinking_blocks':["
      "{'type':'thinking','thinking':'t','signature':'s'},"
      "{'type':'redacted_thinking','data':'d'}]}]}",
      "assistant\n  think text=t anthropic=s\n  think redacted=d\n"
      "  text text=a\n\n" },
    { "thoughts as parts",
      "{'messages':[{'role':'assistant','content':[{'type':'thinking',"
      "'thinking':[{'type':'text','text':'t'},{'type':'reference'}]},"
      "{'type':'text','text':'a'}]}]}",
      "assistant\n  think text=t\n  text text=a\n\n" },
    { "a thought as a string",
      "{'messages':[{'role':'assistant','content':[{'type':'thinking',"
      "'thinking':'t'}]}]}", "assistant\n  think text=t\n\n" },
    { "a signature on a call",
      "{'messages':[{'role':'assistant','tool_calls':[{'id':'x','function':"
      "{'name':'f','arguments':'{}'},'extra_content':{'google':"
      "{'thought_signature':'sig'}}}]}]}",
      "assistant\n  call id=x name=f args={} gemini=sig\n\n" },
    { "tools of all kinds",
      "{" ASK ",'tools':[{'type':'function','function':{'name':'f',"
      "'description':'d','parameters':{'type':'object'},'strict':true}},"
      "{'function':{'name':'g'},'cache_control':{'type':'ephemeral'}},"
      "{'type':'custom','custom':{'name':'h','format':{'type':'text'}}}],"
      "'parallel_tool_calls':false}",
      HI "tool name=f description=d schema={\"type\":\"object\"} strict=1\n"
      "tool name=g cache=5m\ncustom name=h grammar={\"type\":\"text\"}\n"
      " parallel=0\n" },
    { "legacy functions are tools",
      "{" ASK ",'functions':[{'name':'f','parameters':{}}],"
      "'function_call':{'name':'f'}}",
      HI "tool name=f schema={}\n choice=4 choose=f\n" },
    { "choice: any is required", "{" ASK ",'tool_choice':'any'}",
      HI " choice=3\n" },
    { "choice: legacy", "{" ASK ",'function_call':'auto','functions':[]}",
      HI " choice=1\n" },
    { "choice: the new form wins",
      "{" ASK ",'tool_choice':'none','function_call':'auto'}",
      HI " choice=2\n" },
    { "choice: named", "{" ASK ",'tool_choice':{'type':'function',"
      "'function':{'name':'f'}}}", HI " choice=4 choose=f\n" },
    { "choice: a custom tool", "{" ASK ",'tool_choice':{'type':'custom',"
      "'custom':{'name':'f'}}}", HI " choice=4 choose=f\n" },
    { "choice: some tools", "{" ASK ",'tool_choice':{'type':'allowed_tools',"
      "'allowed_tools':{'mode':'required','tools':[{'type':'function',"
      "'function':{'name':'f'}},{'type':'custom','custom':{'name':'g'}}]}}}",
      HI " choice=6 choose=f choose=g\n" },
    { "numbers keep their text, integers become plain",
      "{" ASK ",'temperature':0.10,'top_p':1.0,'max_tokens':1e2,"
      "'seed':9223372036854775807,'frequency_penalty':-2,"
      "'presence_penalty':2e0,'n':2.0,'top_k':5,'logprobs':true,"
      "'top_logprobs':20,'logit_bias':{'1':-100},'stop':['a','','b']}",
      HI " max_tokens=100 temperature=0.10 top_p=1.0 top_k=5"
      " frequency_penalty=-2 presence_penalty=2e0 seed=9223372036854775807"
      " n=2 logit_bias={\"1\":-100} logprobs=1 top_logprobs=20 stop=a"
      " stop=b\n" },
    { "of three maxima the newest wins",
      "{" ASK ",'max_tokens':1,'max_completion_tokens':2,"
      "'max_output_tokens':3,'stop':'x','top_k':-1}",
      HI " max_tokens=2 stop=x\n" },
    { "of three users the newest wins",
      "{" ASK ",'user':'u','end_user':'e','safety_identifier':'s'}",
      HI " user_id=s\n" },
    { "effort", "{" ASK ",'reasoning_effort':'xhigh','verbosity':'low'}",
      HI " verbosity=low effort=xhigh\n" },
    { "effort as the model likes", "{" ASK ",'reasoning_effort':'default'}",
      HI "\n" },
    { "reasoning as OpenRouter has it",
      "{" ASK ",'reasoning':{'effort':'low','max_tokens':2000,"
      "'exclude':true}}",
      HI " effort=low budget=2000 show_thinking=0\n" },
    { "reasoning switched on", "{" ASK ",'reasoning':{'enabled':true}}",
      HI " effort=medium\n" },
    { "thinking as Anthropic has it",
      "{" ASK ",'thinking':{'type':'enabled','budget_tokens':1024,"
      "'display':'summarized'}}", HI " budget=1024 show_thinking=1\n" },
    { "thinking off", "{" ASK ",'thinking':{'type':'disabled'}}",
      HI " effort=none\n" },
    { "thinking of another vendor is passed on",
      "{" ASK ",'thinking':{'clear_thinking':false}}",
      HI " extra:thinking ={\"clear_thinking\":false}\n" },
    { "json_object", "{" ASK ",'response_format':{'type':'json_object'}}",
      HI " format=2\n" },
    { "json_schema",
      "{" ASK ",'response_format':{'type':'json_schema','json_schema':"
      "{'name':'n','description':'d','schema':{'a': 1},'strict':true}}}",
      HI " format=3 format_name=n format_description=d"
      " format_schema={\"a\": 1} format_strict=1\n" },
    { "json_object with a schema beside it",
      "{" ASK ",'response_format':{'type':'json_object','schema':{}}}",
      HI " format=3 format_schema={}\n" },
    { "the rest",
      "{" ASK ",'service_tier':'flex','prompt_cache_key':'k','store':true,"
      "'metadata':{'a':'b'},'modalities':['text'],'audio':{'voice':'x'},"
      "'prediction':{'type':'content'},'moderation':{'model':'m'},"
      "'web_search_options':{},'stream':true}",
      HI " stream=1 service_tier=flex cache_key=k metadata={\"a\":\"b\"}"
      " store=1 modalities=[\"text\"] audio={\"voice\":\"x\"}"
      " prediction={\"type\":\"content\"} moderation={\"model\":\"m\"}"
      " web_search={}\n" },
    { "unknown members are passed on, ours are not",
      "{" ASK ",'min_p':0.10,'provider':'x','parameters':{},'tags':['a'],"
      "'tag':'b','zz\\u0041':[1, 2]}",
      HI " extra:min_p =0.10 extra:zzA =[1, 2]\n" },
    { "an object named provider is OpenRouter's",
      "{" ASK ",'provider':{'only':['x']}}",
      HI " extra:provider ={\"only\":[\"x\"]}\n" }
};

static void test_meanings(void)
{
    const llmux_error_t *err;
    llmux_chat_t *chat;
    apr_size_t i;

    for (i = 0; i < sizeof(meanings) / sizeof(*meanings); i++) {
        err = read_body(quotes(meanings[i].json), &chat);
        is_str(err ? err->message : chat_dump(pool, chat), meanings[i].dump,
               meanings[i].name);
    }
}

/* ---- what is refused ------------------------------------------------- */

#define PART(part) "{'messages':[{'role':'user','content':[" part "]}]}"
#define CALL(call) "{'messages':[{'role':'assistant','tool_calls':[" call "]}]}"

static const struct { const char *param, *json, *says; } refusals[] = {
    { "messages", "{}", "expected an array, found nothing" },
    { "messages", "{'messages':null}", "found null" },
    { "messages", "{'messages':[]}", "at least one" },
    { "messages", "{'messages':{}}", "found an object" },
    { "messages[1]", "{'messages':[{'role':'user','content':'a'},7]}",
      "expected an object, found a number" },
    { "messages[0].role", "{'messages':[{'content':'a'}]}", "found nothing" },
    { "messages[0].role", "{'messages':[{'role':'robot'}]}",
      "'assistant', 'tool', 'function', found 'robot'" },
    { "messages[0].content", "{'messages':[{'role':'user'}]}",
      "a string or an array of parts, found nothing" },
    { "messages[0].content", "{'messages':[{'role':'user','content':[]}]}",
      "at least one part" },
    { "messages[0].content[1]",
      "{'messages':[{'role':'user','content':[{'type':'text','text':'a'},"
      "'b']}]}", "expected an object, found a string" },
    { "messages[0].content[0].type", PART("{'type':'smell'}"),
      "'image_url', 'input_audio', 'file', 'video_url' here, found 'smell'" },
    { "messages[0].content[0].type", PART("{'type':'refusal'}"), "found" },
    { "messages[0].content[0].text", PART("{'type':'text'}"), "a string" },
    { "messages[0].content[0].text", PART("{'type':'text','text':1}"),
      "expected a string, found a number" },
    { "messages[0].content[0].image_url", PART("{'type':'image_url'}"),
      "expected an object" },
    { "messages[0].content[0].image_url.url",
      PART("{'type':'image_url','image_url':{'url':'cat.png'}}"),
      "an https or data URL, found 'cat.png'" },
    { "messages[0].content[0].image_url.url",
      PART("{'type':'image_url','image_url':{'url':"
           "'data:image/png;base64,!'}}"), "data URL" },
    { "messages[0].content[0].image_url",
      PART("{'type':'image_url','image_url':'data:image/png;base64,'}"),
      "empty data URL" },
    { "messages[0].content[0].image_url.detail",
      PART("{'type':'image_url','image_url':{'url':'https://x/','detail':"
           "'huge'}}"), "found 'huge'" },
    { "messages[0].content[0].input_audio.format",
      PART("{'type':'input_audio','input_audio':{'data':'AAAA','format':"
           "'midi'}}"), "found 'midi'" },
    { "messages[0].content[0].input_audio.data",
      PART("{'type':'input_audio','input_audio':{'data':'?','format':"
           "'wav'}}"), "base64" },
    { "messages[0].content[0].file", PART("{'type':'file','file':{}}"),
      "found neither" },
    { "messages[0].content[0].file",
      PART("{'type':'file','file':{'file_id':'a','file_data':'AAAA'}}"),
      "found both" },
    { "messages[0].content[0].cache_control.ttl",
      PART("{'type':'text','text':'a','cache_control':{'ttl':'2h'}}"),
      "one of '5m', '1h'" },
    { "messages[0].tool_calls[0].id", CALL("{'function':{'name':'f'}}"),
      "found nothing" },
    { "messages[0].tool_calls[0].type", CALL("{'id':'a','type':'magic'}"),
      "'magic'" },
    { "messages[0].tool_calls[0].function.name",
      CALL("{'id':'a','function':{'name':''}}"), "not empty" },
    { "messages[0].tool_calls[0].function.arguments",
      CALL("{'id':'a','function':{'name':'f','arguments':{}}}"),
      "expected a string, found an object" },
    { "messages[0].tool_call_id",
      "{'messages':[{'role':'tool','content':'a'}]}", "found nothing" },
    { "messages[0].reasoning_details[0].text",
      "{'messages':[{'role':'assistant','reasoning_details':[{'type':"
      "'reasoning.text','text':[]}]}]}", "found an array" },
    { "temperature", "{" ASK ",'temperature':2.1}",
      "a number from 0 to 2, found 2.1" },
    { "temperature", "{" ASK ",'temperature':'1'}", "found a string" },
    { "top_p", "{" ASK ",'top_p':-0.1}", "from 0 to 1" },
    { "presence_penalty", "{" ASK ",'presence_penalty':1e999}", "found 1e999" },
    { "max_tokens", "{" ASK ",'max_tokens':0}", "at least 1, found 0" },
    { "max_completion_tokens", "{" ASK ",'max_completion_tokens':1.5}",
      "found 1.5" },
    { "seed", "{" ASK ",'seed':9223372036854775808}", "64 bits" },
    { "n", "{" ASK ",'n':129}", "from 1 to 128" },
    { "top_logprobs", "{" ASK ",'top_logprobs':21}", "from 0 to 20" },
    { "logit_bias", "{" ASK ",'logit_bias':{'1':101}}", "-100 to 100" },
    { "logprobs", "{" ASK ",'logprobs':1}", "a boolean" },
    { "stop", "{" ASK ",'stop':1}", "an array of at most" },
    { "stop[1]", "{" ASK ",'stop':['a',1]}", "expected a string" },
    { "stream", "{" ASK ",'stream':'yes'}", "a boolean" },
    { "reasoning_effort", "{" ASK ",'reasoning_effort':'some'}", "'some'" },
    { "reasoning.effort", "{" ASK ",'reasoning':{'effort':1}}", "found 1" },
    { "thinking.budget_tokens",
      "{" ASK ",'thinking':{'type':'enabled','budget_tokens':-1}}",
      "at least 0" },
    { "response_format.type", "{" ASK ",'response_format':{}}", "nothing" },
    { "response_format.json_schema",
      "{" ASK ",'response_format':{'type':'json_schema'}}", "an object" },
    { "response_format.json_schema.name",
      "{" ASK ",'response_format':{'type':'json_schema','json_schema':"
      "{'name':'a b'}}}", "letters" },
    { "tools[1].function.name",
      "{" ASK ",'tools':[{'type':'function','function':{'name':'f'}},"
      "{'type':'function','function':{'name':'a.b'}}]}", "found 'a.b'" },
    { "tools[0].type", "{" ASK ",'tools':[{'type':'web_search'}]}",
      "'function', 'custom', found 'web_search'" },
    { "tools[0].function.parameters",
      "{" ASK ",'tools':[{'type':'function','function':{'name':'f',"
      "'parameters':'{}'}}]}", "expected an object, found a string" },
    { "tool_choice", "{" ASK ",'tool_choice':'maybe'}", "found 'maybe'" },
    { "tool_choice", "{" ASK ",'tool_choice':1}", "a string or an object" },
    { "function_call", "{" ASK ",'function_call':1}", "an object" },
    { "tool_choice.function.name",
      "{" ASK ",'tool_choice':{'type':'function','function':{}}}",
      "found nothing" },
    { "tool_choice.allowed_tools.mode",
      "{" ASK ",'tool_choice':{'type':'allowed_tools','allowed_tools':{}}}",
      "'auto'" },
    { "tool_choice.allowed_tools.tools",
      "{" ASK ",'tool_choice':{'type':'allowed_tools','allowed_tools':"
      "{'mode':'auto','tools':[]}}}", "at least one" },
    { "response_format", "{" ASK ",'response_format':'json'}", "an object" },
    { "reasoning", "{" ASK ",'reasoning':true}", "an object" },
    { "thinking", "{" ASK ",'thinking':true}", "an object" },
    { "thinking.type", "{" ASK ",'thinking':{'type':'deep'}}", "'deep'" },
    { "logit_bias", "{" ASK ",'logit_bias':[]}", "an object" },
    { "modalities", "{" ASK ",'modalities':'text'}", "an array" },
    { "tools", "{" ASK ",'tools':{}}", "an array" },
    { "tools[0]", "{" ASK ",'tools':[1]}", "an object" },
    { "stream_options", "{" ASK ",'stream_options':1}", "an object" },
    { "verbosity", "{" ASK ",'verbosity':"
      "'\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4"
      "\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4"
      "\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4"
      "x\\u00e4\\u00e4\\u00e4'}", "x\xc3\xa4...'" },
    { "metadata", "{" ASK ",'metadata':[]}", "an object" },
    { "modalities[0]", "{" ASK ",'modalities':[1]}", "a string" },
    { NULL, "[]", "expected an object, found an array" }
};

static void test_refusals(void)
{
    const llmux_error_t *err;
    llmux_chat_t *chat;
    apr_size_t i;

    for (i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        err = read_body(quotes(refusals[i].json), &chat);
        if (!ok(err && err->status == 400
                && strstr(err->message, refusals[i].says),
                "refused: %s", refusals[i].json)) {
            printf("#   message: %s\n", err ? err->message : "(none)");
        }
        is_str(err ? err->param : "(read)", refusals[i].param,
               "  and says where");
    }
}

/* ---- lists that are long --------------------------------------------- */

static void test_limits(void)
{
    llmux_buf_t *json = llmux_buf_create(pool, 1 << 20);
    const llmux_error_t *err;
    llmux_chat_t *chat;
    int i;

    llmux_buf_adds(json, "{");
    for (i = 0; i < LLMUX_MEMBERS_MAX; i++) {
        llmux_buf_addf(json, "\"m%d\":1,", i);
    }
    llmux_buf_adds(json, quotes(ASK "}"));
    err = read_body(json->data, &chat);
    ok(err && !err->param && strstr(err->message, "at most 512 members"),
       "too many members are refused");

    llmux_buf_reset(json);
    llmux_buf_adds(json, quotes("{" ASK ",'tools':["));
    for (i = 0; i <= LLMUX_TOOLS_MAX; i++) {
        llmux_buf_addf(json, "%s{\"function\":{\"name\":\"f%d\"}}",
                       i ? "," : "", i);
    }
    llmux_buf_adds(json, "]}");
    err = read_body(json->data, &chat);
    ok(err && !strcmp(err->param, "tools"), "too many tools are refused");
}

/* ---- finding calls --------------------------------------------------- */

static llmux_message_t *add_turn(llmux_chat_t *chat, const char *id)
{
    llmux_message_t *m = llmux_chat_message(chat, LLMUX_ROLE_ASSISTANT);
    llmux_block_t *b = llmux_message_block(chat, m, LLMUX_BLOCK_CALL);

    b->call = apr_pcalloc(pool, sizeof(*b->call));
    b->call->id = llmux_slice(id);
    return m;
}

static void test_calls(void)
{
    llmux_chat_t *chat = llmux_chat_create(pool);
    llmux_message_t *one = add_turn(chat, "x"), *two = add_turn(chat, "y"),
        *three = add_turn(chat, "x");
    llmux_slice_t x = llmux_slice("x");

    ok(llmux_chat_call(chat, x, NULL) == three->blocks->call,
       "anywhere: the last call of that id");
    ok(llmux_chat_call(chat, x, three) == one->blocks->call,
       "before a message: the last one before it");
    ok(!llmux_chat_call(chat, llmux_slice("y"), two),
       "a call in the message itself is not before it");
    ok(!llmux_chat_call(chat, llmux_slice("z"), NULL)
       && !llmux_chat_call(chat, llmux_slice(NULL), NULL),
       "an unknown id has no call");
    add_turn(chat, "z");
    ok(llmux_chat_call(chat, llmux_slice("z"), NULL)
           == chat->last->blocks->call,
       "messages that come later are found too");
}

static void test_usage(void)
{
    static const struct { const char *json; int wanted; } asked[] = {
        { "{" ASK ",'stream':true,'stream_options':{'include_usage':true}}",
          1 },
        { "{" ASK ",'stream':true,'stream_options':{}}", 0 },
        { "{" ASK ",'stream_options':{'include_usage':true}}", 0 }
    };
    llmux_chat_t *chat;
    int i;

    for (i = 0; i < 3; i++) {
        read_body(quotes(asked[i].json), &chat);
        is_int(chat->include_usage, asked[i].wanted, asked[i].json);
    }
}

static void test_words(void)
{
    int i;

    for (i = LLMUX_EFFORT_NONE; i <= LLMUX_EFFORT_MAX; i++) {
        is_int(llmux_effort_of(llmux_slice(
                   llmux_effort_name((llmux_effort_e) i))), i,
               llmux_effort_name((llmux_effort_e) i));
    }
    is_int(llmux_effort_of(llmux_slice("lo")), LLMUX_EFFORT_UNSET,
           "no effort of that name");
    ok(!llmux_effort_name(LLMUX_EFFORT_UNSET), "nor a name for none");
    ok(llmux_dialect_named("openai") == &llmux_dialect_openai
       && llmux_dialect_named("anthropic") == &llmux_dialect_anthropic
       && llmux_dialect_named("gemini") == &llmux_dialect_gemini
       && !llmux_dialect_named("latin") && !llmux_dialect_named(NULL),
       "dialects by name");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_meanings();
    test_refusals();
    test_limits();
    test_calls();
    test_usage();
    test_words();
    apr_pool_destroy(pool);
    return tap_done();
}
