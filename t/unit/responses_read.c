/* responses_read.c - a Responses body means the canonical request; and what
 * of it passes as bytes. */

#include <apr_strings.h>

#include "seals.h"
#include "tap.h"
#include "chat_dump.h"
#include "dialect/responses.h"

static apr_pool_t *pool;

/* Cases are written with ' for ". */
static const char *quotes(const char *text)
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
        llmux_json_parse(pool, llmux_slice(sealed(pool, quotes(json))), 0,
                         NULL);

    if (!body) {
        printf("# the test's own JSON is broken: %s\n", json);
    }
    *chat = chat_with_seals(pool);
    return llmux_responses_read(*chat, body);
}

#define HI "user\n  text text=hi\n"
#define INPUT(items) "{'input':[" items "]}"
#define USER(parts) "{'role':'user','content':[" parts "]}"
#define ASK "{'role':'user','content':'hi'}"

/* ---- what a body means ----------------------------------------------- */

static const struct { const char *name, *json, *dump; } meanings[] = {
    { "a question", "{'model':'m','input':'hi'}", HI " model=m\n" },
    { "instructions stand in front of messages of all roles",
      "{'input':[" ASK ",{'type':'message','role':'assistant','content':'a'},"
      "{'role':'developer','content':'d'},{'role':'system','content':["
      "{'type':'input_text','text':'s'}]}],'instructions':'i'}",
      "system\n  text text=i\n" HI "assistant\n  text text=a\n"
      "system\n  text text=d\nsystem\n  text text=s\n\n" },
    { "null is absence everywhere",
      "{'input':'hi','instructions':null,'previous_response_id':null,"
      "'conversation':null,'prompt':null,'background':null,'tools':null,"
      "'reasoning':{'effort':null,'summary':null},'text':{'format':null},"
      "'stream':null,'store':null,'background':false}", HI "\n" },
    { "pictures by link, data and id",
      INPUT(USER("{'type':'input_image','image_url':'https://x/y.png',"
                 "'detail':'original'},"
                 "{'type':'input_image','image_url':'data:image/jpg;base64,"
                 "AAAA','detail':'low'},"
                 "{'type':'input_image','file_id':'file-1','image_url':null,"
                 "'detail':'auto'}")),
      "user\n  media image url=https://x/y.png detail=high\n"
      "  media image type=image/jpeg base64=AAAA detail=low\n"
      "  media image file_id=file-1 detail=auto\n\n" },
    { "files by data, bare base64, link and id",
      INPUT(USER("{'type':'input_file','file_data':'data:application/pdf;"
                 "base64,JVBERi0xLjQ','filename':'a.pdf'},"
                 "{'type':'input_file','file_data':'aGVsbG8','filename':"
                 "'A.TXT'},"
                 "{'type':'input_file','file_url':'https://x/y.pdf'},"
                 "{'type':'input_file','file_id':'file-2'}")),
      "user\n  media pdf type=application/pdf base64=JVBERi0xLjQ= "
      "filename=a.pdf\n"
      "  media text type=text/plain base64=aGVsbG8= filename=A.TXT\n"
      "  media pdf type=application/pdf url=https://x/y.pdf\n"
      "  media other file_id=file-2\n\n" },
    { "sound and a cache marker",
      INPUT(USER("{'type':'input_audio','input_audio':{'data':'AAAA',"
                 "'format':'mp3'},'prompt_cache_breakpoint':{'mode':"
                 "'explicit'}}")),
      "user\n  media audio type=audio/mpeg base64=AAAA cache=5m\n\n" },
    { "an answer's items are one turn, and so are results and what follows",
      INPUT("{'type':'reasoning','id':'rs_1','summary':[{'type':"
            "'summary_text','text':'Hm'}],'encrypted_content':'gAAAA1'},"
            "{'type':'message','id':'msg_1','role':'assistant','status':"
            "'completed','phase':'commentary','content':[{'type':"
            "'output_text','text':'a','annotations':[]},{'type':'refusal',"
            "'refusal':'r'}]},"
            "{'type':'function_call','id':'fc_1','call_id':'a','name':'f',"
            "'arguments':'{}','status':'completed'},"
            "{'type':'custom_tool_call','call_id':'b','name':'g','input':"
            "'free'},"
            "{'type':'function_call_output','call_id':'a','output':'A'},"
            "{'type':'custom_tool_call_output','call_id':'b','output':"
            "[{'type':'input_text','text':'B'},{'type':'input_image',"
            "'image_url':'https://x/y.png'}]}," ASK "," ASK),
      "assistant\n  think text=Hm openai=gAAAA1\n  text text=a\n"
      "  refusal text=r\n  call id=a name=f args={}\n"
      "  call id=b name=g args=free custom=1\n"
      "user\n  result id=a\n    text text=A\n  result id=b\n"
      "    text text=B\n    media image url=https://x/y.png\n"
      "  text text=hi\n" HI "\n" },
    { "two messages stay two, and reasoning between them is the second's",
      INPUT("{'role':'assistant','content':'a'},{'role':'assistant',"
            "'content':'b'},{'type':'reasoning','summary':[],"
            "'encrypted_content':'gAAAA'},{'role':'assistant','content':"
            "'c'}"),
      "assistant\n  text text=a\nassistant\n  text text=b\n"
      "assistant\n  think openai=gAAAA\n  text text=c\n\n" },
    { "a call, words behind it, its result: one turn and one",
      INPUT("{'type':'function_call','call_id':'a','name':'f','arguments':"
            "''},{'role':'assistant','content':'w'},"
            "{'type':'function_call_output','call_id':'a'}"),
      "assistant\n  call id=a name=f args={}\n  text text=w\n"
      "user\n  result id=a\n\n" },
    { "summaries of several parts, reasoning in the raw, and none at all",
      INPUT("{'type':'reasoning','summary':[{'type':'summary_text','text':"
            "'a'},{'type':'summary_text','text':'b'},{'type':'summary_text',"
            "'text':'c'}]},"
            "{'type':'reasoning','summary':[],'content':[{'type':"
            "'reasoning_text','text':'raw'}]},"
            "{'type':'reasoning','id':'rs_1','summary':[]}," ASK),
      "assistant\n  think text=a\n\nb\n\nc\n  think text=raw\n" HI "\n" },
    { "other makers' tokens come back to them",
      INPUT("{'type':'reasoning','summary':[{'type':'summary_text','text':"
            "'t'}],'encrypted_content':'<<anthropic:SIG>>'},"
            "{'type':'reasoning','summary':[],'encrypted_content':"
            "'<<redacted:RED>>'},"
            "{'type':'reasoning','summary':[],'encrypted_content':"
            "'<<gemini:GEM>>'},"
            "{'type':'reasoning','summary':[{'type':'summary_text','text':"
            "'x'}],'encrypted_content':'gw1.a.NO'}," ASK),
      "assistant\n  think text=t anthropic=SIG\n  think redacted=RED\n"
      "  think gemini=GEM\n  think text=x\n" HI "\n" },
    { "a call's token, before it or behind it",
      INPUT("{'type':'reasoning','summary':[],'encrypted_content':"
            "'<<gemini:T1@a.b>>'},{'type':'function_call','call_id':'a.b',"
            "'name':'f','arguments':'{}'},"
            "{'type':'function_call','call_id':'c','name':'g','arguments':"
            "'{}'},{'type':'reasoning','summary':[],'encrypted_content':"
            "'<<gemini:T2@c>>'}"),
      "assistant\n  call id=a.b name=f args={} gemini=T1\n"
      "  call id=c name=g args={} gemini=T2\n\n" },
    { "pictures of earlier answers",
      INPUT("{'type':'image_generation_call','id':'ig_1','status':'completed'"
            ",'result':'iVBORw0KGgo='},{'type':'image_generation_call',"
            "'result':null}," ASK),
      "assistant\n  media image type=image/png base64=iVBORw0KGgo=\n" HI
      "\n" },
    { "what the model looked up by itself is left out",
      INPUT(ASK ",{'type':'web_search_call','id':'ws_1','status':'completed'"
            "},{'role':'assistant','content':'a'}"),
      HI "assistant\n  text text=a\n\n" },
    { "tools of all kinds that others have",
      "{'input':'hi','tools':[{'type':'function','name':'f','description':"
      "'d','parameters':{'type':'object'},'strict':true},"
      "{'type':'function','name':'g','parameters':null,'strict':null},"
      "{'type':'custom','name':'c','format':{'type':'text'}},"
      "{'type':'custom','name':'e','format':{'type':'grammar','syntax':"
      "'regex','definition':'a+'}},"
      "{'type':'namespace','name':'box','description':'b','tools':[{'type':"
      "'function','name':'open','parameters':{}}]},"
      "{'type':'web_search','search_context_size':'low','user_location':"
      "{'type':'approximate','city':'Ulm','country':null}}]}",
      HI "tool name=f description=d schema={\"type\":\"object\"} strict=1\n"
      "tool name=g\ncustom name=c grammar={\"type\":\"text\"}\n"
      "custom name=e grammar={\"type\":\"grammar\",\"grammar\":{\"syntax\":"
      "\"regex\",\"definition\":\"a+\"}}\n"
      "tool name=box__open schema={}\n"
      " web_search={\"search_context_size\":\"low\",\"user_location\":"
      "{\"type\":\"approximate\",\"approximate\":{\"city\":\"Ulm\"}}}\n" },
    { "calls of a namespace's tools",
      INPUT("{'type':'function_call','call_id':'a','name':'open',"
            "'namespace':'box','arguments':'{}'}"),
      "assistant\n  call id=a name=box__open args={}\n\n" },
    { "choices: a word", "{'input':'hi','tool_choice':'required'}",
      HI " choice=3\n" },
    { "choices: a function",
      "{'input':'hi','tool_choice':{'type':'function','name':'f'}}",
      HI " choice=4 choose=f\n" },
    { "choices: some of them",
      "{'input':'hi','tool_choice':{'type':'allowed_tools','mode':'required',"
      "'tools':[{'type':'function','name':'f'},{'type':'custom','name':"
      "'g'}]}}", HI " choice=6 choose=f choose=g\n" },
    { "numbers and words",
      "{'input':'hi','max_output_tokens':16,'temperature':0.5,'top_p':1,"
      "'top_logprobs':3,'parallel_tool_calls':false,'service_tier':'flex',"
      "'prompt_cache_key':'k','safety_identifier':'s','user':'u','store':"
      "true,'metadata':{'a':'b'},'stream':true,'stream_options':"
      "{'include_obfuscation':false}}",
      HI " stream=1 parallel=0 max_tokens=16 temperature=0.5 top_p=1 "
      "logprobs=1 top_logprobs=3 user_id=s service_tier=flex cache_key=k "
      "metadata={\"a\":\"b\"} store=1\n" },
    { "reasoning and text",
      "{'input':'hi','reasoning':{'effort':'xhigh','summary':'detailed'},"
      "'text':{'verbosity':'low','format':{'type':'json_schema','name':'n',"
      "'description':'d','schema':{'type':'object'},'strict':true}}}",
      HI " verbosity=low effort=xhigh show_thinking=1 format=3 format_name=n "
      "format_description=d format_schema={\"type\":\"object\"} "
      "format_strict=1\n" },
    { "log probabilities, when they are to be included",
      "{'input':'hi','include':['message.output_text.logprobs']}",
      HI " logprobs=1\n" }
};

static void bodies_mean(void)
{
    const llmux_error_t *err;
    llmux_chat_t *chat;
    unsigned int i;

    for (i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        err = read_body(meanings[i].json, &chat);
        is_str(err ? err->message : chat_dump(pool, chat), meanings[i].dump,
               meanings[i].name);
    }
}

/* ---- what is refused --------------------------------------------------- */

#define TOOL(tool) "{'input':'hi','tools':[" tool "]}"

static const struct { const char *name, *json, *param, *says; } wrongs[] = {
    { "no input", "{'model':'m'}", "input", "found nothing" },
    { "an empty input", "{'input':[]}", "input", "an empty array" },
    { "input of another kind", "{'input':{}}", "input", "an object" },
    { "an earlier answer",
      "{'input':'hi','previous_response_id':'resp_1'}",
      "previous_response_id", "Send the whole conversation in 'input'" },
    { "a conversation", "{'input':'hi','conversation':'conv_1'}",
      "conversation", "send all of its items in 'input'" },
    { "a template", "{'input':'hi','prompt':{'id':'p'}}", "prompt",
      "Leave 'prompt' out" },
    { "the background", "{'input':'hi','background':true}", "background",
      "Leave 'background' out" },
    { "a reference", INPUT("{'type':'item_reference','id':'x'}"), "input[0]",
      "Send the item itself" },
    { "an item that is OpenAI's own", INPUT(ASK ",{'type':'computer_call'}"),
      "input[1]", "'computer_call'" },
    { "an item without type or role", INPUT("{'content':'x'}"),
      "input[0].type", "expected a string" },
    { "a role that there is not", INPUT("{'role':'tool','content':'x'}"),
      "input[0].role", "found 'tool'" },
    { "a part that there is not", INPUT(USER("{'type':'text','text':'x'}")),
      "input[0].content[0].type", "'input_text', 'input_image'" },
    { "a user's output", INPUT(USER("{'type':'output_text','text':'x'}")),
      "input[0].content[0].type", "found 'output_text'" },
    { "a picture from nowhere", INPUT(USER("{'type':'input_image'}")),
      "input[0].content[0]", "'image_url' or 'file_id', found 0" },
    { "a file from two places",
      INPUT(USER("{'type':'input_file','file_id':'a','file_url':"
                 "'https://x'}")),
      "input[0].content[0]", "found 2" },
    { "a link to a file on disk",
      INPUT(USER("{'type':'input_image','image_url':'file:///etc/passwd'}")),
      "input[0].content[0].image_url", "https or data URL" },
    { "data that is none",
      INPUT(USER("{'type':'input_file','file_data':'!'}")),
      "input[0].content[0].file_data", "base64" },
    { "a call without an id",
      INPUT("{'type':'function_call','name':'f','arguments':'{}'}"),
      "input[0].call_id", "expected a string" },
    { "a hosted tool", TOOL("{'type':'code_interpreter'}"), "tools[0]",
      "'code_interpreter'" },
    { "a tool of no type", TOOL("{'name':'f'}"), "tools[0].type", "nothing" },
    { "a tool's name", TOOL("{'type':'function','name':'a b'}"),
      "tools[0].name", "'a b'" },
    { "a namespace in a namespace",
      TOOL("{'type':'namespace','name':'a','tools':[{'type':'namespace',"
           "'name':'b','tools':[]}]}"), "tools[0].tools[0]", "'namespace'" },
    { "a hosted tool's choice",
      "{'input':'hi','tool_choice':{'type':'file_search'}}", "tool_choice",
      "'file_search'" },
    { "too hot", "{'input':'hi','temperature':3}", "temperature", "0 to 2" },
    { "a schema without a name",
      "{'input':'hi','text':{'format':{'type':'json_schema','schema':{}}}}",
      "text.format.name", "nothing" },
    { "an effort that there is not",
      "{'input':'hi','reasoning':{'effort':'some'}}", "reasoning.effort",
      "'some'" },
    { "truncation", "{'input':'hi','truncation':'maybe'}", "truncation",
      "'maybe'" }
};

static void bodies_refused(void)
{
    const llmux_error_t *err;
    llmux_chat_t *chat;
    unsigned int i;

    for (i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
        err = read_body(wrongs[i].json, &chat);
        is_str(err ? err->param : "taken", wrongs[i].param, wrongs[i].name);
        ok(err && strstr(err->message, wrongs[i].says),
           "... %s", err ? err->message : "not refused");
        ok(err && err->status == 400, "... as the client's mistake");
    }
}

/* ---- what only OpenAI can do with it ------------------------------------ */

static const struct { const char *name, *json, *lost; } losses[] = {
    { "what asks for nothing is not lost",
      "{'input':'hi','truncation':'disabled','include':["
      "'reasoning.encrypted_content'],'reasoning':{'effort':'low','summary':"
      "'auto','context':'auto'},'store':false,'context_management':[]}", "" },
    { "what does is",
      "{'input':'hi','truncation':'auto','max_tool_calls':3,'zzz':1,"
      "'include':['file_search_call.results'],'reasoning':{'context':"
      "'all_turns'}}",
      "zzz include reasoning.context truncation max_tool_calls " },
    { "items that are left out are told of once",
      INPUT("{'type':'web_search_call'},{'type':'web_search_call'},"
            "{'type':'mcp_list_tools'}," ASK),
      "input.web_search_call input.mcp_list_tools " }
};

/* In the order of the request; they are kept the other way round. */
static const char *lost_names(const llmux_chat_t *chat)
{
    const llmux_extra_t *e;
    const char *names = "";

    for (e = chat->lost; e; e = e->next) {
        names = apr_pstrcat(pool, llmux_slice_str(pool, e->name), " ", names,
                            NULL);
    }
    return names;
}

static void bodies_lose(void)
{
    llmux_chat_t *chat;
    unsigned int i;

    for (i = 0; i < sizeof(losses) / sizeof(losses[0]); i++) {
        ok(!read_body(losses[i].json, &chat), "%s: read", losses[i].name);
        is_str(lost_names(chat), losses[i].lost, losses[i].name);
    }
    read_body("{'input':'hi','reasoning':{'summary':'detailed'},'include':"
              "['x']}", &chat);
    is_str(llmux_slice_str(pool, llmux_responses_said(chat,
                                                      "reasoning.summary")),
           "\"detailed\"", "what was said is kept as it stood");
    is_str(llmux_slice_str(pool, llmux_responses_said(chat, "include")),
           "[\"x\"]", "... also whole members");
    ok(!llmux_responses_said(chat, "truncation").data,
       "... and nothing else");
}

/* What a message keeps that has no line in the dump. */
static void phases(void)
{
    llmux_chat_t *chat;

    read_body(INPUT("{'role':'assistant','phase':'final_answer','content':"
                    "'a'}"), &chat);
    ok(llmux_slice_is(chat->messages->phase, "final_answer"),
       "a message has its phase");
    is_str(chat->messages->param, "input[0]", "and knows its place");
}

/* ---- the head ---------------------------------------------------------- */

static const struct { const char *name, *json, *param; } heads[] = {
    { "a body", "{'model':'m','input':'hi'}", NULL },
    { "one that continues", "{'model':'m','previous_response_id':'r'}",
      NULL },
    { "one without a model", "{'input':'hi'}", "model" },
    { "one without input", "{'model':'m'}", "input" },
    { "input of another kind", "{'model':'m','input':1}", "input" },
    { "a member twice", "{'model':'m','input':'a','input':'b'}", "input" },
    { "a member in disguise", "{'model':'m','input':'a','Model':'x'}",
      "Model" },
    { "the background", "{'model':'m','input':'a','background':true}",
      "background" },
    { "the background in disguise",
      "{'model':'m','input':'a','Background':true}", "Background" }
};

static void heads_read(void)
{
    llmux_json_parser_t *parser = llmux_json_parser_create(pool);
    const llmux_error_t *err;
    llmux_head_t head;
    unsigned int i;

    for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        memset(&head, 0, sizeof(head));
        err = llmux_responses_head(pool, parser,
                                   llmux_slice(quotes(heads[i].json)), &head);
        is_str(err ? err->param : NULL, heads[i].param, heads[i].name);
    }
    llmux_responses_head(pool, parser, llmux_slice(quotes(
        "{'model':'m','input':[{},{}],'stream':true,'provider':'p'}")), &head);
    ok(head.stream == LLMUX_YES && head.messages == 2
       && llmux_slice_is(head.provider, "p"), "what the gateway must know");
}

/* ---- bytes that pass --------------------------------------------------- */

#define FOREIGN "{'type':'reasoning','encrypted_content':'<<anthropic:X>>'}"
#define OWN "{'type':'reasoning', 'encrypted_content':'gAAAA'}"

static const struct { const char *name, *json, *want, *told; } edits[] = {
    { "the model alone changes",
      "{ 'input' : 'gw1.' ,\n 'model':'m', 'zzz':{'a':1.0} }",
      "{ 'input' : 'gw1.' ,\n 'model':'up', 'zzz':{'a':1.0} }" },
    { "a model from the path goes in front", "{'input':'hi'}",
      "{'model':'up','input':'hi'}" },
    { "other makers' tokens are taken out, OpenAI's stay",
      "{'model':'m','input':[" FOREIGN "," FOREIGN ", " ASK "," FOREIGN ","
      OWN "]}",
      "{'model':'up','input':[" ASK "," OWN "]}", "drop=reasoning_content" },
    { "what OpenAI made goes to it, whoever carried it",
      "{'model':'m','input':[{'type':'reasoning','encrypted_content':"
      "'<<openai:gAAAA>>'}," ASK "]}",
      "{'model':'up','input':[{'type':'reasoning','encrypted_content':"
      "'gAAAA'}," ASK "]}" },
    { "at the end as well", "{'model':'m','input':[" OWN ", " FOREIGN " ]}",
      "{'model':'up','input':[" OWN " ]}", "drop=reasoning_content" },
    { "a text that looks like one stays",
      "{'model':'m','input':[{'role':'user','content':'gw1.a.X'}]}",
      "{'model':'up','input':[{'role':'user','content':'gw1.a.X'}]}" }
};

static void bytes_pass(void)
{
    llmux_json_parser_t *parser = llmux_json_parser_create(pool);
    llmux_target_t target = { "test", llmux_slice("up"), 0, 0, NULL };
    llmux_buf_t *out = llmux_buf_create(pool, 1 << 20);
    llmux_warnings_t *warnings;
    llmux_slice_t body;
    llmux_head_t head;
    unsigned int i;

    for (i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        memset(&head, 0, sizeof(head));
        head.model = llmux_slice("path");
        body = llmux_slice(sealed(pool, quotes(edits[i].json)));
        ok(!llmux_responses_head(pool, parser, body, &head), "a head");
        head.sealer = test_sealer();
        head.tenant = SEAL_TENANT;
        llmux_buf_reset(out);
        warnings = llmux_warnings_create(pool, 0);
        llmux_responses_edit(out, pool, &head, body, &target, warnings);
        is_str(out->data, quotes(edits[i].want), edits[i].name);
        is_str(llmux_warnings_header(pool, warnings), edits[i].told,
               "  ... and this is told");
    }
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    bodies_mean();
    bodies_refused();
    bodies_lose();
    phases();
    heads_read();
    bytes_pass();
    apr_pool_destroy(pool);
    return tap_done();
}
