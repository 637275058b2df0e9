/* ollama_write.c - chats become the requests to /api/chat that they should. */

#include "written.h"

#define CAN (LLMUX_CAN_SCHEMA | LLMUX_CAN_REASONING)

/* What the server gets. */
#define TO(role, text) "{'role':'" role "','content':'" text "'}"
#define USE(id, index, name, args) "{'id':'" id "','type':'function'," \
    "'function':{'index':" index ",'name':'" name "','arguments':" args "}}"
#define RES(id, name, text) "{'role':'tool','content':'" text \
    "','tool_name':'" name "','tool_call_id':'" id "'}"
#define SENT_TOOL(name) "{'type':'function','function':{'name':'" name \
    "','parameters':{'type':'object','properties':{}}}}"
#define SENT_HI "'messages':[" TO("user", "Hi") "]"
#define END "'options':{},'stream':false"

static const written_t cases[] = {
    { "one message; what is not said is not sent, but for the stream",
      HI, SENT_HI "," END, NULL },
    { "streamed",
      HI ",'stream':true", SENT_HI ",'options':{},'stream':true", NULL },
    { "roles, parts, a name",
      "'messages':[" S("s") "," U("a") "," A("b") "," S("late")
      ",{'role':'user','name':'Al','content':[" T("c") "," T("d") "]}]",
      "'messages':[" TO("system", "s") "," TO("user", "a") ","
      TO("assistant", "b") "," TO("system", "late") ","
      TO("user", "Al: c\\nd") "]," END, "approx=name" },
    { "images as a list of base64",
      "'messages':[{'role':'user','content':[" T("look") "," IMAGE ","
      IMAGE "]}]",
      "'messages':[{'role':'user','content':'look','images':['" PNG "','" PNG
      "']}]," END, NULL },
    { "an image between words, and its detail",
      "'messages':[{'role':'user','content':[" T("a") ",{'type':'image_url',"
      "'image_url':{'detail':'low','url':'data:image/png;base64," PNG "'}},"
      T("b") "]}]",
      "'messages':[{'role':'user','content':'a\\nb','images':['" PNG
      "']}]," END, "drop=image_url.detail; approx=messages.content" },
    { "a text file is told as text",
      "'messages':[{'role':'user','content':[" T("a") ",{'type':'file','file':"
      "{'filename':'x.txt','file_data':'data:text/plain;base64,SGk='}}," T("b")
      "]}]",
      "'messages':[" TO("user", "a\\nFile x.txt:\\n\\nHi\\nb") "]," END,
      NULL },
    { "calls and results in the order of the calls",
      "'messages':[" U("a") "," CALLS(CALL("1", "f", "{}") ","
      CALL("2", "g", "{\\'x\\':1}")) "," R("2", "two") "," R("1", "one") ","
      U("b") "]",
      "'messages':[" TO("user", "a") ",{'role':'assistant','content':'',"
      "'tool_calls':[" USE("1", "0", "f", "{}") ","
      USE("2", "1", "g", "{'x':1}") "]}," RES("1", "f", "one") ","
      RES("2", "g", "two") "," TO("user", "b") "]," END, NULL },
    { "ids that come again, a late result, one of nobody's",
      "'messages':[" CALLS(CALL("1", "f", "")) "," U("wait") ","
      R("1", "one") "," CALLS(CALL("1", "g", "")) "," R("1", "two") ","
      R("9", "nine") "]",
      "'messages':[{'role':'assistant','content':'','tool_calls':["
      USE("1", "0", "f", "{}") "]}," RES("1", "f", "one") ","
      TO("user", "wait") ",{'role':'assistant','content':'','tool_calls':["
      USE("1", "0", "g", "{}") "]}," RES("1", "g", "two")
      ",{'role':'tool','content':'nine','tool_call_id':'9'}]," END, NULL },
    { "arguments that are no object, a custom call",
      "'messages':[" CALLS(CALL("1", "f", "oops") ",{'id':'2','type':'custom',"
      "'custom':{'name':'g','input':'say hi'}}") "]",
      "'messages':[{'role':'assistant','content':'','tool_calls':["
      USE("1", "0", "f", "{'_raw':'oops'}") ","
      USE("2", "1", "g", "{'input':'say hi'}") "]}]," END,
      "approx=tool_calls.function.arguments" },
    { "thoughts go back, a refusal as text",
      "'messages':[{'role':'assistant','reasoning_content':'hm','content':"
      "'a'},{'role':'assistant','content':null,'refusal':'no'}]",
      "'messages':[{'role':'assistant','content':'a','thinking':'hm'},"
      TO("assistant", "no") "]," END, "approx=refusal" },
    { "tools",
      HI ",'tools':[{'type':'function','function':{'name':'f','description':"
      "'d','strict':true,'parameters':{'z':1,'type':'object'}}}," TOOL("g")
      ",{'type':'custom','custom':{'name':'h'}}],'parallel_tool_calls':false",
      SENT_HI ",'tools':[{'type':'function','function':{'name':'f',"
      "'description':'d','parameters':{'z':1,'type':'object'}}},"
      SENT_TOOL("g") ",{'type':'function','function':{'name':'h',"
      "'parameters':{'type':'object','properties':{'input':{'type':"
      "'string'}},'required':['input']}}}]," END,
      "drop=parallel_tool_calls,tools.function.strict; approx=tools.custom" },
    { "no tool shall be called",
      HI ",'tools':[" TOOL("f") "],'tool_choice':'none'",
      SENT_HI "," END, "emulate=tool_choice" },
    { "a tool must be called",
      HI ",'tools':[" TOOL("f") "],'tool_choice':'required'",
      SENT_HI ",'tools':[" SENT_TOOL("f") "]," END, "approx=tool_choice" },
    { "this one must be called",
      HI ",'tools':[" TOOL("f") "," TOOL("g") "],'tool_choice':{'type':"
      "'function','function':{'name':'g'}}",
      SENT_HI ",'tools':[" SENT_TOOL("g") "]," END, "approx=tool_choice" },
    { "a schema",
      HI ",'response_format':{'type':'json_schema','json_schema':{'name':'n',"
      "'schema':{'b':1,'a':2}}}",
      SENT_HI ",'format':{'b':1,'a':2}," END, NULL },
    { "JSON, and the word for it",
      HI ",'response_format':{'type':'json_object'}",
      "'messages':[{'role':'system','content':'Answer with one JSON object "
      "and nothing else: no other text, no code fence.'}," TO("user", "Hi")
      "],'format':'json'," END, NULL },
    { "JSON that was spoken of",
      "'messages':[" U("some json") "],'response_format':{'type':"
      "'json_object'}",
      "'messages':[" TO("user", "some json") "],'format':'json'," END, NULL },
    { "a schema beside tools",
      HI ",'tools':[" TOOL("f") "],'response_format':{'type':'json_schema',"
      "'json_schema':{'name':'n','schema':{'b':1}}}",
      "'messages':[{'role':'system','content':'Answer with one JSON value that "
      "is valid for the following JSON schema, and nothing else: no other "
      "text, no code fence.\\n{\\'b\\':1}'}," TO("user", "Hi")
      "],'tools':[" SENT_TOOL("f") "]," END, "approx=response_format" },
    { "options as they were spelled",
      HI ",'max_completion_tokens':5,'temperature':0.10,'top_p':1e0,'stop':"
      "['a','b','c','d'],'seed':4294967301,'frequency_penalty':-0.5,"
      "'presence_penalty':0.5,'logprobs':true,'top_logprobs':3",
      SENT_HI ",'options':{'num_predict':5,'temperature':0.10,'top_p':1e0,"
      "'frequency_penalty':-0.5,'presence_penalty':0.5,'seed':4294967301,"
      "'stop':['a','b','c','d']},'logprobs':true,'top_logprobs':3,"
      "'stream':false", NULL },
    { "what only this server has, by its own names",
      HI ",'temperature':0.5,'num_ctx':8192,'keep_alive':'10m','options':{"
      "'temperature':1,'num_ctx':1,'min_p':0.1},'odd':1",
      SENT_HI ",'options':{'temperature':0.5,'num_ctx':8192,'min_p':0.1},"
      "'keep_alive':'10m','stream':false", "drop=odd" },
    { "thinking off",
      HI ",'reasoning_effort':'none'",
      SENT_HI ",'options':{},'think':false,'stream':false", NULL },
    { "thinking on",
      HI ",'reasoning_effort':'medium'",
      SENT_HI ",'options':{},'think':'medium','stream':false", NULL },
    { "thinking hard",
      HI ",'reasoning_effort':'xhigh'",
      SENT_HI ",'options':{},'think':'high','stream':false",
      "approx=reasoning_effort" },
    { "what has no place there",
      HI ",'logit_bias':{'1':2},'verbosity':'low','user':'u','metadata':{'a':"
      "'b'},'store':true,'prompt_cache_key':'k','service_tier':'flex'",
      SENT_HI "," END,
      "drop=logit_bias,verbosity,user,prompt_cache_key,metadata,store,"
      "service_tier" },
    { "what asks for nothing is no loss",
      HI ",'n':1,'logit_bias':{},'store':false,'service_tier':'auto',"
      "'modalities':['text'],'parallel_tool_calls':false",
      SENT_HI "," END, NULL }
};

static const written_t unable[] = {
    { "thoughts that nobody reads, a schema that is a wish",
      "'messages':[" U("a") ",{'role':'assistant','reasoning_content':'hm',"
      "'content':'b'}],'response_format':{'type':'json_schema',"
      "'json_schema':{'name':'n','schema':{}}}",
      "'messages':[{'role':'system','content':'Answer with one JSON value that "
      "is valid for the following JSON schema, and nothing else: no other "
      "text, no code fence.\\n{}'}," TO("user", "a") ","
      TO("assistant", "b") "]," END,
      "drop=reasoning_content; approx=response_format" }
};

static const refused_t refusals[] = {
    { "an image by its address",
      "'messages':[{'role':'user','content':[" T("a") "," LINK "]}]",
      LLMUX_ERR_UNSUPPORTED, "messages[0].content[1]" },
    { "audio",
      "'messages':[{'role':'user','content':[{'type':'input_audio',"
      "'input_audio':{'data':'AAAA','format':'wav'}}]}]",
      LLMUX_ERR_UNSUPPORTED, "messages[0].content[0]" },
    { "several answers", HI ",'n':2", LLMUX_ERR_UNSUPPORTED, "n" },
    { "speech", HI ",'modalities':['text','audio'],'audio':{'voice':'x',"
      "'format':'wav'}", LLMUX_ERR_UNSUPPORTED, "modalities" },
    { "a search of the web", HI ",'web_search_options':{}",
      LLMUX_ERR_UNSUPPORTED, "web_search_options" },
    { "options that are none", HI ",'options':1", LLMUX_ERR_UNSUPPORTED,
      "options" },
    { "a choice of no tool",
      HI ",'tools':[" TOOL("f") "],'tool_choice':{'type':'allowed_tools',"
      "'allowed_tools':{'mode':'auto','tools':[" TOOL("g") "]}}",
      LLMUX_ERR_INVALID, "tool_choice" }
};

/* Clients of other dialects can give a tool's result pictures. */
static void pictures(apr_pool_t *p)
{
    llmux_chat_t *chat = chat_of(p, "'messages':["
        CALLS(CALL("1", "f", "{}")) "," R("1", "see") "]");
    llmux_block_t *b = apr_pcalloc(p, sizeof(*b));
    llmux_target_t target = { .name = "x" };
    llmux_buf_t *out = llmux_buf_create(p, WRITTEN_MAX);
    llmux_result_t *result = chat->last->blocks->result;

    b->kind = LLMUX_BLOCK_MEDIA;
    b->media = apr_pcalloc(p, sizeof(*b->media));
    b->media->base64 = llmux_slice(PNG);
    result->blocks->next = b;
    result->is_error = LLMUX_YES;
    target.model = llmux_slice("m");
    llmux_dialect_ollama.write(out, chat, &target,
                               llmux_warnings_create(p, 0), p);
    ok(strstr(out->data, quotes(p, "{'role':'tool','content':'Error: see',"
                                "'images':['" PNG "'],'tool_name':'f',"
                                "'tool_call_id':'1'}")) != NULL,
       "a result's picture, and that it failed");
}

int main(void)
{
    apr_pool_t *p;
    apr_size_t i;

    apr_initialize();
    apr_pool_create(&p, NULL);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_written(p, &llmux_dialect_ollama, CAN, &cases[i]);
    }
    is_written(p, &llmux_dialect_ollama, 0, &unable[0]);
    for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        is_refused(p, &llmux_dialect_ollama, CAN, &refusals[i]);
    }
    pictures(p);
    is_too_large(p, &llmux_dialect_ollama);
    apr_pool_destroy(p);
    return tap_done();
}
