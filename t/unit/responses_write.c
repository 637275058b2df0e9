/* responses_write.c - the canonical request as a Responses body: what clients
 * of chat completions say in it, and what its own clients do. */

#include <stdlib.h>
#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_fnmatch.h>
#include <apr_strings.h>

#include "tap.h"
#include "chat_dump.h"
#include "dialect/openai.h"
#include "dialect/responses.h"

static apr_pool_t *pool;
static llmux_warnings_t *warnings;

#define ALL  0xffffu
#define NONE 0u

typedef const llmux_error_t *(*read_fn)(llmux_chat_t *chat,
                                        const llmux_json_t *body);

static const llmux_error_t *write_chat(apr_pool_t *p,
                                       const llmux_chat_t *chat,
                                       unsigned int can, llmux_slice_t *body)
{
    llmux_target_t target = { "test", chat->model, can, 0, NULL };
    llmux_buf_t *out = llmux_buf_create(p, 64u << 20);
    const llmux_error_t *err;

    warnings = llmux_warnings_create(p, 0);
    err = llmux_responses_write(out, chat, &target, warnings, p);
    *body = llmux_buf_slice(out);
    return err;
}

static const llmux_error_t *read_body(apr_pool_t *p, read_fn read,
                                      llmux_slice_t json,
                                      llmux_chat_t **chat)
{
    const llmux_json_t *body = llmux_json_parse(p, json, 0, NULL);

    *chat = llmux_chat_create(p);
    return read(*chat, body);
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

/* ---- clients of chat completions ------------------------------------- */

#define U "{'role':'user','content':'hi'}"
#define MSG(list) "{'model':'m','messages':[" list "]}"
#define ASK(more) "{'model':'m','messages':[" U "]," more "}"
#define IN(list) "{'model':'m','input':[" list "],'store':false}"
#define SAYS(more) "{'model':'m','input':[" U "]," more ",'store':false}"
#define LAST(more) "{'model':'m','input':[" U "],'store':false," more "}"
#define REASONS(m, more) "{'model':'" m "','input':[" U "]," more \
    ",'store':false}"

#define TOOLCALL(id) "{'id':'" id "','type':'function','function':{" \
    "'name':'f','arguments':'{}'}}"
#define CALLS(list) "{'role':'assistant','content':null,'tool_calls':[" \
    list "]}"
#define TOOL(id, text) \
    "{'role':'tool','tool_call_id':'" id "','content':'" text "'}"
#define FC(id) "{'type':'function_call','call_id':'" id "','name':'f'," \
    "'arguments':'{}'}"
#define FO(id, text) "{'type':'function_call_output','call_id':'" id "'," \
    "'output':'" text "'}"
#define NO_ANSWER "Error: this call was not executed."
#define LONG "0123456789012345678901234567890123456789012345678901234567890" \
    "123456789"
#define SEALED "{'type':'reasoning.encrypted','data':'gA','format':" \
    "'openai-responses-v1'}"
#define SPOKEN "{'type':'reasoning.text','text':'hm','signature':'gA'," \
    "'format':'openai-responses-v1'}"
#define CLAUDE "{'type':'reasoning.text','text':'hm','signature':'s'," \
    "'format':'anthropic-claude-v1'}"
#define OWN_WORDS "'role':'assistant','content':'a'"
#define EMPTY "{'type':'object','properties':{}}"

static const struct {
    const char *name;
    unsigned int can;
    const char *json, *written, *told;
} cases[] = {
    /* messages */
    { "a question", NONE, MSG(U), IN(U), NULL },
    { "the first system message instructs", NONE,
      MSG("{'role':'system','content':'s'}," U),
      "{'model':'m','instructions':'s','input':[" U "],'store':false}",
      NULL },
    { "others stay where they are", LLMUX_CAN_DEVELOPER,
      MSG("{'role':'system','content':'s'},{'role':'system','content':'t'},"
          U ",{'role':'developer','content':'u'}"),
      "{'model':'m','instructions':'s','input':[{'role':'developer',"
      "'content':'t'}," U ",{'role':'developer','content':'u'}],"
      "'store':false}", NULL },
    { "one of several texts does not", NONE,
      MSG("{'role':'system','content':[{'type':'text','text':'s'},"
          "{'type':'text','text':'t'}]}," U),
      IN("{'role':'system','content':[{'type':'input_text','text':'s'},"
         "{'type':'input_text','text':'t'}]}," U), NULL },
    { "one that is marked for the cache neither", LLMUX_CAN_CACHE_MARK,
      MSG("{'role':'system','content':[{'type':'text','text':'s',"
          "'prompt_cache_breakpoint':{'mode':'explicit'}}]}," U),
      IN("{'role':'system','content':[{'type':'input_text','text':'s',"
         "'prompt_cache_breakpoint':{'mode':'explicit'}}]}," U), NULL },
    { "there must be something to answer", NONE,
      MSG("{'role':'system','content':'s'}"),
      IN("{'role':'system','content':'s'}"), NULL },
    { "names go before the text", NONE,
      MSG("{'role':'user','name':'Al','content':'hi'},{'role':'user','name':"
          "'Bo','content':[{'type':'image_url','image_url':{'url':"
          "'data:image/png;base64,AAAA'}}]}"),
      IN("{'role':'user','content':'Al: hi'},{'role':'user','content':["
         "{'type':'input_text','text':'Bo: '},{'type':'input_image',"
         "'image_url':'data:image/png;base64,AAAA'}]}"), "approx=name" },
    { "media of all kinds", LLMUX_CAN_FILE | LLMUX_CAN_MEDIA_URL,
      MSG("{'role':'user','content':["
          "{'type':'image_url','image_url':{'url':'https://x/','detail':"
          "'low'}},"
          "{'type':'input_audio','input_audio':{'data':'AAAA','format':"
          "'mp3'}},"
          "{'type':'file','file':{'filename':'a.pdf','file_data':"
          "'data:application/pdf;base64,AAAA'}},"
          "{'type':'file','file':{'file_data':'data:application/pdf;base64,"
          "AAAA'}},{'type':'file','file':{'file_id':'file-1'}},"
          "{'type':'file','file':{'filename':'a.txt','file_data':'aGk='}}]}"),
      IN("{'role':'user','content':["
         "{'type':'input_image','image_url':'https://x/','detail':'low'},"
         "{'type':'input_audio','input_audio':{'data':'AAAA','format':"
         "'mp3'}},"
         "{'type':'input_file','filename':'a.pdf','file_data':"
         "'data:application/pdf;base64,AAAA'},"
         "{'type':'input_file','filename':'document.pdf','file_data':"
         "'data:application/pdf;base64,AAAA'},"
         "{'type':'input_file','file_id':'file-1'},"
         "{'type':'input_text','text':'File a.txt:\\n\\nhi'}]}"), NULL },
    { "an answer, a refusal, an empty answer", NONE,
      MSG(U ",{" OWN_WORDS "},{'role':'assistant','content':null,'refusal':"
          "'no'},{'role':'assistant','content':''}"),
      IN(U ",{" OWN_WORDS "},{'role':'assistant','content':[{'type':"
         "'refusal','refusal':'no'}]},{'role':'assistant','content':''}"),
      NULL },

    /* calls */
    { "calls and their answers", NONE,
      MSG(U "," CALLS(TOOLCALL("a") "," TOOLCALL("b")) "," TOOL("b", "B") ","
          TOOL("a", "A") "," U),
      IN(U "," FC("a") "," FC("b") "," FO("b", "B") "," FO("a", "A") "," U),
      NULL },
    { "nothing is said beside a call", NONE,
      MSG("{'role':'assistant','content':'','tool_calls':[" TOOLCALL("a") "]}"
          "," TOOL("a", "A")), IN(FC("a") "," FO("a", "A")), NULL },
    { "custom calls", NONE,
      MSG("{'role':'assistant','content':'t','tool_calls':[{'id':'a','type':"
          "'custom','custom':{'name':'g','input':'free'}}]},"
          TOOL("a", "A")),
      IN("{'role':'assistant','content':'t'},{'type':'custom_tool_call',"
         "'call_id':'a','name':'g','input':'free'},{'type':"
         "'custom_tool_call_output','call_id':'a','output':'A'}"), NULL },
    { "answers that stand elsewhere come to their call", NONE,
      MSG(CALLS(TOOLCALL("a")) "," U "," TOOL("a", "A")),
      IN(FC("a") "," FO("a", "A") "," U), NULL },
    { "an id used twice is two ids", NONE,
      MSG(CALLS(TOOLCALL("a")) "," TOOL("a", "1") "," CALLS(TOOLCALL("a")) ","
          TOOL("a", "2")),
      IN(FC("a") "," FO("a", "1") "," FC("call_af63df4c8601f1a5") ","
         FO("call_af63df4c8601f1a5", "2")), NULL },
    { "and what answers the second one is not the first one's", NONE,
      MSG(CALLS(TOOLCALL("a")) "," U "," CALLS(TOOLCALL("a")) ","
          TOOL("a", "2")),
      IN(FC("a") "," FO("a", NO_ANSWER) "," U ","
         FC("call_af63df4c8601f1a5") "," FO("call_af63df4c8601f1a5", "2")),
      "emulate=messages.tool_call_id" },
    { "also side by side, paired in order", NONE,
      MSG(CALLS(TOOLCALL("a") "," TOOLCALL("a")) "," TOOL("a", "1") ","
          TOOL("a", "2")),
      IN(FC("a") "," FC("call_af63df4c8601f1a5") "," FO("a", "1") ","
         FO("call_af63df4c8601f1a5", "2")), NULL },
    { "an id that is too long is another one", NONE,
      MSG(CALLS(TOOLCALL(LONG)) "," TOOL(LONG, "1")),
      IN(FC("call_be3cee88845bf57a") "," FO("call_be3cee88845bf57a", "1")),
      NULL },
    { "a call without an answer gets one", NONE,
      MSG(CALLS(TOOLCALL("a") "," TOOLCALL("b")) "," TOOL("b", "B")),
      IN(FC("a") "," FC("b") "," FO("b", "B") "," FO("a", NO_ANSWER)),
      "emulate=messages.tool_call_id" },
    { "but not the last one", NONE, MSG(U "," CALLS(TOOLCALL("a"))),
      IN(U "," FC("a")), NULL },
    { "an answer without a call goes, and a second one", NONE,
      MSG(U "," TOOL("z", "Z") "," CALLS(TOOLCALL("a")) "," TOOL("a", "A") ","
          TOOL("a", "B")),
      IN(U "," FC("a") "," FO("a", "A")), "drop=messages.tool_call_id" },
    { "results of parts, marked and with pictures",
      LLMUX_CAN_MEDIA_URL | LLMUX_CAN_CACHE_MARK,
      MSG(CALLS(TOOLCALL("a")) ",{'role':'tool','tool_call_id':'a',"
          "'content':[{'type':'text','text':'A'},{'type':'image_url',"
          "'image_url':{'url':'https://x/'},'prompt_cache_breakpoint':{"
          "'mode':'explicit'}}]}"),
      IN(FC("a") ",{'type':'function_call_output','call_id':'a','output':["
         "{'type':'input_text','text':'A'},{'type':'input_image',"
         "'image_url':'https://x/','prompt_cache_breakpoint':{'mode':"
         "'explicit'}}]}"), NULL },

    /* thoughts */
    { "thoughts go back to their maker, with what came of them", NONE,
      MSG("{" OWN_WORDS ",'reasoning_details':[" SPOKEN "," SEALED "]}"),
      IN("{'type':'reasoning','summary':[{'type':'summary_text','text':'hm'}"
         "],'encrypted_content':'gA'},{'type':'reasoning','summary':[],"
         "'encrypted_content':'gA'},{" OWN_WORDS "}"), NULL },
    { "but not without", NONE,
      MSG("{'role':'assistant','content':'','reasoning_details':[" SEALED
          "]}," U), IN(U), "drop=reasoning_content" },
    { "and nobody else's", NONE,
      MSG("{" OWN_WORDS ",'reasoning_details':[" CLAUDE "]},{" OWN_WORDS
          ",'reasoning_content':'hm'}"),
      IN("{" OWN_WORDS "},{" OWN_WORDS "}"), "drop=reasoning_content" },
    { "unless the server takes plain ones", LLMUX_CAN_REASONING,
      MSG(U ",{" OWN_WORDS ",'reasoning_content':'hm'}"),
      IN(U ",{'type':'reasoning','id':'rs_1','summary':[],'content':[{'type':"
         "'reasoning_text','text':'hm'}]},{" OWN_WORDS "}"), NULL },

    /* tools */
    { "tools", LLMUX_CAN_STRICT,
      ASK("'tools':[{'type':'function','function':{'name':'f',"
          "'description':'d','parameters':{'b': 1,'a':2},'strict':true}},"
          "{'type':'function','function':{'name':'h'}},"
          "{'type':'custom','custom':{'name':'g','format':{'type':'grammar',"
          "'grammar':{'syntax':'lark','definition':'x'}}}}],'tool_choice':{"
          "'type':'allowed_tools','allowed_tools':{'mode':'auto','tools':[{"
          "'type':'function','function':{'name':'f'}},{'type':'custom',"
          "'custom':{'name':'g'}}]}},'parallel_tool_calls':false"),
      SAYS("'tools':[{'type':'function','name':'f','description':'d',"
           "'parameters':{'b': 1,'a':2},'strict':true},"
           "{'type':'function','name':'h','parameters':" EMPTY ",'strict':"
           "false},{'type':'custom','name':'g','format':{'type':'grammar',"
           "'syntax':'lark','definition':'x'}}],'tool_choice':{'type':"
           "'allowed_tools','mode':'auto','tools':[{'type':'function',"
           "'name':'f'},{'type':'custom','name':'g'}]},"
           "'parallel_tool_calls':false"), NULL },
    { "strict for those who know it", NONE,
      ASK("'tools':[{'type':'function','function':{'name':'f','strict':true}}"
          ",{'type':'custom','custom':{'name':'g','format':{'type':'text'}}}]"
          ",'tool_choice':{'type':'function','function':{'name':'f'}}"),
      SAYS("'tools':[{'type':'function','name':'f','parameters':" EMPTY "},"
           "{'type':'custom','name':'g','format':{'type':'text'}}],"
           "'tool_choice':{'type':'function','name':'f'}"),
      "drop=tools.function.strict" },
    { "no tools, no choice", NONE,
      ASK("'tools':[],'tool_choice':'auto','parallel_tool_calls':true"),
      IN(U), NULL },
    { "web search is a tool", NONE,
      ASK("'tool_choice':'required','web_search_options':{"
          "'search_context_size':'low','user_location':{'type':"
          "'approximate','approximate':{'city':'Bonn'}}}"),
      SAYS("'tools':[{'type':'web_search','search_context_size':'low',"
           "'user_location':{'type':'approximate','city':'Bonn'}}],"
           "'tool_choice':'required'"), NULL },

    /* numbers and words */
    { "numbers", NONE,
      ASK("'max_tokens':16,'temperature':0.10,'top_p':1.0,'logprobs':true,"
          "'top_logprobs':3"),
      SAYS("'max_output_tokens':16,'temperature':0.10,'top_p':1.0,"
           "'top_logprobs':3,'include':['message.output_text.logprobs']"),
      NULL },
    { "fewer tokens than may be asked for", NONE, ASK("'max_tokens':5"),
      SAYS("'max_output_tokens':16"), "approx=max_tokens" },
    { "what cannot be said", NONE,
      ASK("'top_k':5,'seed':7,'frequency_penalty':1,'presence_penalty':0.5,"
          "'logit_bias':{'1':2},'prediction':{'type':'content','content':"
          "'x'},'n':1,'stop':[],'modalities':['text'],'x':1"), IN(U),
      "drop=top_k,seed,frequency_penalty,presence_penalty,logit_bias,"
      "prediction,x" },
    { "what asks for nothing", NONE,
      ASK("'frequency_penalty':0,'presence_penalty':0.0,'logit_bias':{},"
          "'logprobs':false"), IN(U), NULL },
    { "who asks, and how it is kept", LLMUX_CAN_DEVELOPER,
      ASK("'user':'u','service_tier':'flex','prompt_cache_key':'k','store':"
          "true,'metadata':{'a':'b'},'moderation':{'model':'x'},'stream':"
          "true,'prompt_cache_retention':'24h'"),
      "{'model':'m','input':[" U "],'safety_identifier':'u','service_tier':"
      "'flex','prompt_cache_key':'k','store':true,'metadata':{'a':'b'},"
      "'moderation':{'model':'x'},'stream':true,"
      "'prompt_cache_retention':'24h'}", NULL },
    { "in the old word", NONE, ASK("'user':'u'"), SAYS("'user':'u'"), NULL },

    /* reasoning */
    { "effort, and the reasoning is kept for the next turn", NONE,
      ASK("'reasoning_effort':'low'"),
      SAYS("'reasoning':{'effort':'low'},'include':["
           "'reasoning.encrypted_content']"), NULL },
    { "a summary for who asks for it", NONE,
      ASK("'reasoning_effort':'low','include_reasoning':true"),
      SAYS("'reasoning':{'effort':'low','summary':'auto'},'include':["
           "'reasoning.encrypted_content']"), NULL },
    { "not for who does not want it", NONE,
      ASK("'reasoning_effort':'low','include_reasoning':false"),
      SAYS("'reasoning':{'effort':'low'}"), NULL },
    { "nor of models that do not reason", NONE,
      "{'model':'x/gpt-4o','messages':[" U "],'include_reasoning':true}",
      "{'model':'x/gpt-4o','input':[" U "],'store':false}", NULL },
    { "nor of those that shall not", NONE,
      ASK("'reasoning_effort':'none','include_reasoning':true"),
      SAYS("'reasoning':{'effort':'none'}"), NULL },
    { "a budget is the nearest effort", NONE,
      ASK("'thinking':{'type':'enabled','budget_tokens':9000}"),
      SAYS("'reasoning':{'effort':'medium'},'include':["
           "'reasoning.encrypted_content']"),
      "approx=thinking.budget_tokens" },

    /* formats */
    { "a schema", LLMUX_CAN_SCHEMA,
      ASK("'verbosity':'low','response_format':{'type':'json_schema',"
          "'json_schema':{'name':'n','description':'d','schema':{'b': 1},"
          "'strict':true}}"),
      SAYS("'text':{'format':{'type':'json_schema','name':'n',"
           "'description':'d','schema':{'b': 1},'strict':true},'verbosity':"
           "'low'}"), NULL },
    { "a schema that has to be asked for", NONE,
      "{'model':'m','messages':[{'role':'system','content':'s'}," U "],"
      "'response_format':{'type':'json_schema','json_schema':{'name':'n',"
      "'schema':{}}}}",
      "{'model':'m','input':[{'role':'system','content':'s'},{'role':"
      "'system','content':'Answer with one JSON object and nothing else. It "
      "must match this JSON Schema: {}'}," U "],'text':{'format':{'type':"
      "'json_object'}},'store':false}", "approx=response_format" },
    { "json_object needs the word", NONE,
      ASK("'response_format':{'type':'json_object'}"),
      "{'model':'m','input':[{'role':'system','content':'Answer with one "
      "JSON object and nothing else.'}," U "],'text':{'format':{'type':"
      "'json_object'}},'store':false}", NULL },
    { "which must not be among the instructions", NONE,
      "{'model':'m','messages':[{'role':'system','content':'json'}," U "],"
      "'response_format':{'type':'json_object'}}",
      "{'model':'m','input':[{'role':'system','content':'json'}," U "],"
      "'text':{'format':{'type':'json_object'}},'store':false}", NULL }
};

static void test_cases(apr_pool_t *p)
{
    llmux_chat_t *chat;
    llmux_slice_t body;
    const llmux_error_t *err;
    const char *told;
    unsigned int i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        err = read_body(p, llmux_openai_read,
                        llmux_slice(quotes(cases[i].json)), &chat);
        err = err ? err : write_chat(p, chat, cases[i].can, &body);
        is_str(err ? err->message : llmux_slice_str(p, body),
               quotes(cases[i].written), cases[i].name);
        told = llmux_warnings_header(p, warnings);
        if (told || cases[i].told) {
            is_str(told, cases[i].told, "... and what is told");
        }
    }
}

/* ---- refusals -------------------------------------------------------- */

#define PART(part) MSG("{'role':'user','content':[" part "]}")

static const struct {
    const char *json, *param;
} refused[] = {
    { ASK("'n':2"), "n" },
    { ASK("'stop':'x'"), "stop" },
    { ASK("'modalities':['text','audio'],'audio':{'voice':'x','format':"
          "'mp3'}"), "modalities" },
    { PART("{'type':'image_url','image_url':{'url':'https://x/'}}"),
      "messages[0].content[0]" },
    { PART("{'type':'video_url','video_url':{'url':'data:video/mp4;base64,"
           "AAAA'}}"), "messages[0].content[0]" },
    { PART("{'type':'file','file':{'file_id':'f'}}"),
      "messages[0].content[0]" },
    { MSG("{'role':'assistant','content':null,'audio':{'id':'x'}}"),
      "messages[0].audio" }
};

static void test_refusals(apr_pool_t *p)
{
    llmux_chat_t *chat;
    llmux_slice_t body;
    const llmux_error_t *err;
    unsigned int i;

    for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        err = read_body(p, llmux_openai_read,
                        llmux_slice(quotes(refused[i].json)), &chat);
        ok(!err, "it can be read: %s", err ? err->message : "yes");
        err = write_chat(p, chat, NONE, &body);
        ok(err && err->kind == LLMUX_ERR_UNSUPPORTED, "refused: %s",
           refused[i].json);
        is_str(err ? err->param : NULL, refused[i].param, "... and where");
    }
}

static void test_too_large(apr_pool_t *p)
{
    llmux_chat_t *chat;
    llmux_target_t target = { "test", llmux_slice("m"), 0, 0, NULL };
    const llmux_error_t *err;

    read_body(p, llmux_openai_read, llmux_slice(quotes(MSG(U))), &chat);
    err = llmux_responses_write(llmux_buf_create(p, 20), chat, &target,
                                llmux_warnings_create(p, 0), p);
    ok(err && err->kind == LLMUX_ERR_TOO_LARGE, "a body that does not fit");
}

/* ---- what neither can say -------------------------------------------- */

static llmux_block_t *add(llmux_chat_t *chat, llmux_role_e role,
                          llmux_block_e kind)
{
    return llmux_message_block(chat, llmux_chat_message(chat, role), kind);
}

static void add_call(llmux_chat_t *chat)
{
    static llmux_call_t call = { .id = { "c", 1 }, .name = { "f", 1 } };

    add(chat, LLMUX_ROLE_ASSISTANT, LLMUX_BLOCK_CALL)->call = &call;
}

/* With a text and a picture, or only one of them, or neither. */
static void add_error(llmux_chat_t *chat, int with_text, int with_picture)
{
    static llmux_media_t picture = { .base64 = { "AAAA", 4 } };
    static llmux_block_t text = { .text = { "t", 1 } }, media = {
        .kind = LLMUX_BLOCK_MEDIA, .media = &picture
    };
    llmux_block_t *b = add(chat, LLMUX_ROLE_USER, LLMUX_BLOCK_RESULT);

    b->result = apr_pcalloc(chat->pool, sizeof(*b->result));
    b->result->call_id = llmux_slice("c");
    b->result->is_error = LLMUX_YES;
    text.next = with_picture ? &media : NULL;
    b->result->blocks = with_text ? &text : with_picture ? &media : NULL;
}

#define FAILED(output) "{'input':[{'type':'function_call','call_id':'c'," \
    "'name':'f','arguments':'{}'},{'type':'function_call_output'," \
    "'call_id':'c','output':" output "}],'store':false}"
#define PICTURE "{'type':'input_image','image_url':" \
    "'data:application/octet-stream;base64,AAAA'}"

static void test_errors(apr_pool_t *p)
{
    static const struct { int text, picture; const char *want; } results[] = {
        { 0, 0, FAILED("'Error: '") },
        { 1, 0, FAILED("'Error: t'") },
        { 0, 1, FAILED("[{'type':'input_text','text':'Error:'}," PICTURE "]")
        },
        { 1, 1, FAILED("[{'type':'input_text','text':'Error:'},{'type':"
                       "'input_text','text':'t'}," PICTURE "]") }
    };
    unsigned int i;

    for (i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        llmux_chat_t *chat = llmux_chat_create(p);
        llmux_slice_t body;

        add_call(chat);
        add_error(chat, results[i].text, results[i].picture);
        write_chat(p, chat, NONE, &body);
        is_str(apr_pstrcat(p, "{", body.data + sizeof("{'model':null"), NULL),
               quotes(results[i].want), "a result that is an error");
    }
}

static void test_lost(apr_pool_t *p)
{
    static llmux_extra_t b = { NULL, { "b", 1 }, { "1", 1 } },
                         a = { &b, { "thinking.display", 16 }, { "2", 1 } };
    llmux_chat_t *chat;
    llmux_slice_t body;

    read_body(p, llmux_openai_read, llmux_slice(quotes(MSG(U))), &chat);
    chat->lost = &a;
    write_chat(p, chat, NONE, &body);
    is_str(llmux_warnings_header(p, warnings), "drop=thinking.display,b",
           "what only the client's dialect has is told");
    is_str(llmux_slice_str(p, body), quotes(IN(U)), "... and not written");
}

static void test_limits(apr_pool_t *p)
{
    llmux_chat_t *chat = llmux_chat_create(p);
    llmux_slice_t body;
    int i;

    for (i = 0; i < 20000; i++) {
        add_call(chat);
        if (i % 2) {
            add_error(chat, 0, 0);
        }
    }
    write_chat(p, chat, NONE, &body);
    ok(body.len > 20000 * 100, "a long history of calls by one id");
}

/* ---- its own clients ------------------------------------------------- */

/* Read and written, each is what it was. */
static const char *const own[] = {
    "{'model':'m','instructions':'i','input':[{'role':'user','content':'a'},"
    "{'type':'reasoning','summary':[{'type':'summary_text','text':'s'}],"
    "'encrypted_content':'gAAAA1'},{'role':'assistant','content':'wait',"
    "'phase':'commentary'},{'type':'function_call','call_id':'c','name':'f',"
    "'arguments':'{}'},{'type':'function_call_output','call_id':'c',"
    "'output':[{'type':'input_text','text':'o'},{'type':'input_image',"
    "'image_url':'https://x/','detail':'high'}]},{'role':'developer',"
    "'content':'d'},{'role':'user','content':[{'type':'input_file',"
    "'file_url':'https://x/a.pdf'},{'type':'input_image','file_id':'f'}]},"
    "{'role':'assistant','content':'end','phase':'final_answer'},{'role':"
    "'user','content':'b'}],'store':false}",

    "{'model':'m','input':[{'role':'user','content':'a'}],'tools':[{'type':"
    "'function','name':'f','parameters':{},'strict':false},{'type':"
    "'custom','name':'g','format':{'type':'grammar','syntax':'regex',"
    "'definition':'x'}},{'type':'web_search','search_context_size':'high',"
    "'filters':{'allowed_domains':['x.y']}}],'tool_choice':{'type':'custom',"
    "'name':'g'},'parallel_tool_calls':true,'max_output_tokens':99,"
    "'top_logprobs':2,'reasoning':{'effort':'high','summary':'concise',"
    "'context':'all_turns'},'text':{'format':{'type':'text'},'x':1,"
    "'verbosity':'high'},'include':['reasoning.encrypted_content',"
    "'message.output_text.logprobs'],'store':true,'metadata':{'a':'b'},"
    "'truncation':'auto','new':[1]}"
};

/* Members of both in the same order, or not. */
static int same(apr_pool_t *p, const llmux_json_t *a, const llmux_json_t *b)
{
    const llmux_json_t *x, *y;

    if (llmux_json_kind(a) != llmux_json_kind(b)
        || llmux_json_count(a) != llmux_json_count(b)) {
        return 0;
    }
    if (llmux_json_kind(a) == LLMUX_JSON_OBJECT) {
        for (x = llmux_json_first(a); x; x = llmux_json_next_member(a, x)) {
            if (!same(p, llmux_json_value(x), llmux_json_get_any(
                    b, llmux_json_cstr(p, x)))) {
                return 0;
            }
        }
        return 1;
    }
    if (llmux_json_kind(a) == LLMUX_JSON_ARRAY) {
        for (x = llmux_json_first(a), y = llmux_json_first(b); x;
             x = llmux_json_next(a, x), y = llmux_json_next(b, y)) {
            if (!same(p, x, y)) {
                return 0;
            }
        }
        return 1;
    }
    return llmux_json_kind(a) == LLMUX_JSON_STRING
        ? llmux_slice_equal(llmux_json_str(p, a), llmux_json_str(p, b))
        : llmux_slice_equal(llmux_json_raw(a), llmux_json_raw(b));
}

static void test_own(apr_pool_t *p)
{
    llmux_chat_t *chat;
    llmux_slice_t body = { NULL, 0 };
    const llmux_error_t *err;
    const char *text;
    unsigned int i;

    for (i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        text = quotes(own[i]);
        err = read_body(p, llmux_responses_read, llmux_slice(text), &chat);
        err = err ? err : write_chat(p, chat, ALL & ~LLMUX_CAN_CACHE_MARK,
                                     &body);
        ok(!err && same(p, llmux_json_parse(p, llmux_slice(text), 0, NULL),
                        llmux_json_parse(p, body, 0, NULL)),
           "request %u of its own client: %s", i,
           err ? err->message : llmux_slice_str(p, body));
        is_str(llmux_warnings_header(p, warnings), NULL,
               "... of which nothing is lost");
    }
}

/* ---- recorded requests ----------------------------------------------- */

static llmux_slice_t read_file(apr_pool_t *p, const char *path)
{
    llmux_slice_t s = { NULL, 0 };
    apr_file_t *f;
    apr_finfo_t info;
    char *data;

    if (apr_file_open(&f, path, APR_READ, APR_OS_DEFAULT, p) != APR_SUCCESS
        || apr_file_info_get(&info, APR_FINFO_SIZE, f) != APR_SUCCESS) {
        return s;
    }
    data = apr_palloc(p, (apr_size_t)info.size + 1);
    s.data = data;
    apr_file_read_full(f, data, (apr_size_t)info.size, &s.len);
    apr_file_close(f);
    return s;
}

/* What a client leaves out, and we say. */
static void say_defaults(llmux_chat_t *chat)
{
    llmux_tool_t *tool;

    chat->store = chat->store == LLMUX_YES;
    for (tool = chat->tools; tool; tool = tool->next) {
        tool->strict = tool->strict == LLMUX_YES || tool->custom
            ? tool->strict : LLMUX_NO;
    }
}

/* Not the same when written: files that are told as text or as sound, so that
 * every server understands them. */
static const char *const excused[] = {
    "openai-document-01.request.json",      /* a table */
    "openai-error-400-11.request.json",     /* a recording with a name */
    NULL
};

static int is_excused(const char *path)
{
    int i;

    for (i = 0; excused[i] && !strstr(path, excused[i]); i++) {
    }
    return excused[i] != NULL;
}

/* Of its own dialect: written and read again it is the same request. Of chat
 * completions: what is written can be read. */
static int try_recording(apr_pool_t *p, const char *path, int is_own)
{
    llmux_chat_t *chat, *again;
    llmux_slice_t text = read_file(p, path), body;
    const llmux_error_t *err;

    err = read_body(p, is_own ? llmux_responses_read : llmux_openai_read,
                    text, &chat);
    if (err) {
        return err->kind == LLMUX_ERR_UNSUPPORTED
            || err->kind == LLMUX_ERR_INVALID;
    }
    err = write_chat(p, chat, ALL, &body);
    if (err) {
        printf("# %s: %s\n", path, err->message);
        return err->kind == LLMUX_ERR_UNSUPPORTED && !is_own;
    }
    err = read_body(p, llmux_responses_read, body, &again);
    if (err) {
        printf("# %s: %s: %s\n", path, err->param, err->message);
        return 0;
    }
    say_defaults(chat);
    if (is_own && !!strcmp(chat_dump(p, chat), chat_dump(p, again))
                      != is_excused(path)) {
        printf("# %s\n# was:\n%s\n# is:\n%s\n", path, chat_dump(p, chat),
               chat_dump(p, again));
        return 0;
    }
    return 1;
}

static void test_folder(apr_pool_t *p, const char *corpus, const char *name,
                        const char *pattern, int is_own)
{
    const char *folder = apr_pstrcat(p, corpus, "/", name, NULL);
    apr_finfo_t info;
    apr_pool_t *each;
    apr_dir_t *dir;
    int all = 0, good = 0;

    if (apr_dir_open(&dir, folder, p) != APR_SUCCESS) {
        ok(0, "there is a folder %s", name);
        return;
    }
    apr_pool_create(&each, p);
    while (apr_dir_read(&info, APR_FINFO_NAME, dir) == APR_SUCCESS) {
        if (apr_fnmatch(pattern, info.name, 0) == APR_SUCCESS) {
            all++;
            good += try_recording(each, apr_pstrcat(each, folder, "/",
                                                    info.name, NULL), is_own);
        }
        apr_pool_clear(each);
    }
    apr_dir_close(dir);
    ok(all && good == all, "%d of %d recorded requests in %s", good, all,
       name);
}

static void test_recordings(apr_pool_t *p)
{
    const char *corpus = getenv("LLMUX_CORPUS");

    if (!corpus) {
        printf("# no LLMUX_CORPUS, no recorded requests\n");
        return;
    }
    test_folder(p, corpus, "openai-responses", "*.request.json", 1);
    test_folder(p, corpus, "azure", "azure*-responses-*.request.json", 1);
    test_folder(p, corpus, "openai-compat", "*-responses-*.request.json", 1);
    test_folder(p, corpus, "openai-chat", "*.request.json", 0);
    test_folder(p, corpus, "openai-compat", "*-chat-*.request.json", 0);
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_cases(pool);
    test_refusals(pool);
    test_too_large(pool);
    test_errors(pool);
    test_lost(pool);
    test_limits(pool);
    test_own(pool);
    test_recordings(pool);
    apr_pool_destroy(pool);
    return tap_done();
}
