/* cohere_write.c - chats become the requests to /v2/chat that they should. */

#include "written.h"

#define CAN (LLMUX_CAN_SCHEMA | LLMUX_CAN_STRICT | LLMUX_CAN_MEDIA_URL)

/* What the API gets. */
#define TO(role, text) "{'role':'" role "','content':'" text "'}"
#define USE(id, name, args) "{'id':'" id "','type':'function'," \
    "'function':{'name':'" name "','arguments':'" args "'}}"
#define RES(id, text) "{'role':'tool','tool_call_id':'" id "','content':'" \
    text "'}"
#define SENT_TOOL(name) "{'type':'function','function':{'name':'" name \
    "','parameters':{'type':'object','properties':{}}}}"
#define SENT_HI "'messages':[" TO("user", "Hi") "]"
#define END ",'stream':false"

static const written_t cases[] = {
    { "one message; what is not said is not sent",
      HI, SENT_HI END, NULL },
    { "streamed",
      HI ",'stream':true", SENT_HI ",'stream':true", NULL },
    { "leading system messages are one",
      "'messages':[" S("s1") ",{'role':'developer','content':'s2'}," U("a")
      "]",
      "'messages':[{'role':'system','content':[" T("s1") "," T("s2") "]},"
      TO("user", "a") "]" END, NULL },
    { "later ones are the user's",
      "'messages':[" S("s") "," U("a") "," S("late") "," A("b") "]",
      "'messages':[" TO("system", "s") "," TO("user", "a") ","
      TO("user", "<system>late</system>") "," TO("assistant", "b") "]" END,
      "emulate=messages.role" },
    { "messages without a word are left out",
      "'messages':[" S("") "," U("") "," A("") "," U("a") "," S("") "]",
      "'messages':[" TO("user", "a") "]" END, NULL },
    { "images by data and by address, names",
      "'messages':[{'role':'user','name':'Al','content':[" T("look") ","
      IMAGE ",{'type':'image_url','image_url':{'detail':'low','url':"
      "'https://x.example/a.png'}}]},{'role':'user','name':'Bo','content':'b'"
      "},{'role':'assistant','name':'Cy','content':'c'}]",
      "'messages':[{'role':'user','content':[" T("Al: ") "," T("look") ","
      IMAGE ",{'type':'image_url','image_url':{'url':"
      "'https://x.example/a.png','detail':'low'}}]}," TO("user", "Bo: b") ","
      TO("assistant", "c") "]" END, "approx=name" },
    { "words beside calls are the plan",
      "'messages':[" U("a") ",{'role':'assistant','content':'I look.',"
      "'tool_calls':[" CALL("1", "f", "{\\'x\\':1}") "]}," R("1", "one") "]",
      "'messages':[" TO("user", "a") ",{'role':'assistant','tool_plan':"
      "'I look.','tool_calls':[" USE("1", "f", "{\\'x\\':1}") "]},"
      RES("1", "one") "]" END, NULL },
    { "results in the order of the calls; empty, missing",
      "'messages':[" CALLS(CALL("1", "f", "") "," CALL("2", "g", "oops") ","
      CALL("3", "h", "{}")) "," R("2", "two") ","
      R("1", "") "," U("b") "]",
      "'messages':[{'role':'assistant','tool_calls':[" USE("1", "f", "{}") ","
      USE("2", "g", "{\\'_raw\\':\\'oops\\'}") "," USE("3", "h", "{}") "]},"
      RES("1", "(empty)") "," RES("2", "two") ","
      RES("3", "Error: this call was not executed.") "," TO("user", "b") "]"
      END, "approx=tool_calls.function.arguments; "
      "emulate=messages.tool_call_id" },
    { "a result of nobody's, the name of a bot",
      "'messages':[" U("a") "," R("9", "nine") ",{'role':'assistant','name':"
      "'Cy','content':'c'}]",
      "'messages':[" TO("user", "a") "," TO("assistant", "c") "]" END,
      "drop=messages.tool_call_id,name" },
    { "a result belongs to the last call of its id before it",
      "'messages':[" U("a") "," R("1", "early") ","
      CALLS(CALL("1", "f", "{}")) "," U("b") "," CALLS(CALL("1", "g", "{}"))
      "," R("1", "two") "]",
      "'messages':[" TO("user", "a") ",{'role':'assistant','tool_calls':["
      USE("1", "f", "{}") "]}," RES("1", "Error: this call was not executed.")
      "," TO("user", "b") ",{'role':'assistant','tool_calls':["
      USE("1_2", "g", "{}") "]}," RES("1_2", "two") "]" END,
      "drop=messages.tool_call_id" },
    { "calls that nobody could answer yet",
      "'messages':[" U("a") "," CALLS(CALL("1", "f", "{}")) "]",
      "'messages':[" TO("user", "a") ",{'role':'assistant','tool_calls':["
      USE("1", "f", "{}") "]}]" END, NULL },
    { "ids that come again are made unique",
      "'messages':[" CALLS(CALL("1", "f", "{}")) "," R("1", "a") ","
      CALLS(CALL("1", "f", "{}")) "," R("1", "b") ","
      CALLS(CALL("1_2", "f", "{}")) "," R("1_2", "c") "]",
      "'messages':[{'role':'assistant','tool_calls':[" USE("1", "f", "{}")
      "]}," RES("1", "a") ",{'role':'assistant','tool_calls':["
      USE("1_2", "f", "{}") "]}," RES("1_2", "b")
      ",{'role':'assistant','tool_calls':[" USE("1_2_2", "f", "{}") "]},"
      RES("1_2_2", "c") "]" END, NULL },
    { "thoughts are not for models that do not think",
      "'messages':[{'role':'assistant','reasoning_content':'hm','content':"
      "'a'}]",
      "'messages':[" TO("assistant", "a") "]" END, "drop=reasoning_content" },
    { "tools, all of them strict",
      HI ",'tools':[{'type':'function','function':{'name':'f','description':"
      "'d','strict':true,'parameters':{'required':['x'],'z':1}}}]",
      SENT_HI ",'tools':[{'type':'function','function':{'name':'f',"
      "'description':'d','parameters':{'required':['x'],'z':1}}}],"
      "'strict_tools':true" END, NULL },
    { "tools, some of them strict, or without a parameter",
      HI ",'tools':[{'type':'function','function':{'name':'f','strict':true}},"
      TOOL("g") "],'parallel_tool_calls':false",
      SENT_HI ",'tools':[" SENT_TOOL("f") "," SENT_TOOL("g") "]" END,
      "drop=parallel_tool_calls,tools.function.strict" },
    { "no tool shall be called",
      HI ",'tools':[" TOOL("f") "],'tool_choice':'none'",
      SENT_HI ",'tools':[" SENT_TOOL("f") "],'tool_choice':'NONE'" END, NULL },
    { "a tool must be called",
      HI ",'tools':[" TOOL("f") "],'tool_choice':'required'",
      SENT_HI ",'tools':[" SENT_TOOL("f") "],'tool_choice':'REQUIRED'" END,
      NULL },
    { "this one must be called",
      HI ",'tools':[" TOOL("f") "," TOOL("g") "],'tool_choice':{'type':"
      "'function','function':{'name':'g'}}",
      SENT_HI ",'tools':[" SENT_TOOL("g") "],'tool_choice':'REQUIRED'" END,
      "emulate=tool_choice" },
    { "one of these, or none",
      HI ",'tools':[" TOOL("f") "," TOOL("g") "],'tool_choice':{'type':"
      "'allowed_tools','allowed_tools':{'mode':'auto','tools':[" TOOL("f")
      "]}}",
      SENT_HI ",'tools':[" SENT_TOOL("f") "]" END, "emulate=tool_choice" },
    { "a choice without tools",
      HI ",'tool_choice':'none'", SENT_HI END, NULL },
    { "a schema",
      HI ",'response_format':{'type':'json_schema','json_schema':{'name':'n',"
      "'schema':{'b':1,'a':2}}}",
      SENT_HI ",'response_format':{'type':'json_object','json_schema':{'b':1,"
      "'a':2}}" END, NULL },
    { "JSON, and the word for it",
      HI ",'response_format':{'type':'json_object'}",
      "'messages':[" TO("system", "Answer with one JSON "
      "object and nothing else: no other text, no code fence.") ","
      TO("user", "Hi") "],'response_format':{'type':'json_object'}" END,
      NULL },
    { "a schema beside tools",
      "'messages':[" S("s") "," U("Hi") "],'tools':[" TOOL("f")
      "],'response_format':{'type':'json_schema','json_schema':{'name':'n',"
      "'schema':{'b':1}}}",
      "'messages':[{'role':'system','content':[" T("s") "," T("Answer with "
      "one JSON value that is valid for the following JSON schema, and "
      "nothing else: no other text, no code fence.\\n{\\'b\\':1}") "]},"
      TO("user", "Hi") "],'tools':[" SENT_TOOL("f") "]" END,
      "approx=response_format" },
    { "numbers as they were spelled",
      HI ",'max_completion_tokens':5,'temperature':0.10,'top_p':5e-1,'stop':"
      "'a','seed':4294967301,'frequency_penalty':0.50,'presence_penalty':1,"
      "'logprobs':true",
      SENT_HI ",'max_tokens':5,'temperature':0.10,'p':5e-1,"
      "'frequency_penalty':0.50,'presence_penalty':1,'seed':4294967301,"
      "'stop_sequences':['a'],'logprobs':true" END, NULL },
    { "numbers beyond the API's bounds",
      HI ",'top_p':1,'seed':-1,'frequency_penalty':2,'presence_penalty':-0.5,"
      "'logprobs':true,'top_logprobs':2",
      SENT_HI ",'p':0.99,'frequency_penalty':1,'logprobs':true" END,
      "drop=presence_penalty,seed,top_logprobs; "
      "approx=top_p,frequency_penalty" },
    { "thinking off",
      HI ",'reasoning_effort':'none'",
      SENT_HI ",'thinking':{'type':'disabled'}" END, NULL },
    { "thinking a little",
      HI ",'reasoning_effort':'low'",
      SENT_HI ",'thinking':{'type':'enabled','token_budget':2048}" END,
      "approx=reasoning_effort" },
    { "thinking hard",
      HI ",'reasoning_effort':'high'",
      SENT_HI ",'thinking':{'type':'enabled'}" END,
      "approx=reasoning_effort" },
    { "what only this API has, by its own names",
      HI ",'safety_mode':'STRICT','citation_options':{'mode':'off'},'odd':1",
      SENT_HI ",'safety_mode':'STRICT','citation_options':{'mode':'off'}" END,
      "drop=odd" },
    { "of members with one name the last counts",
      HI ",'priority':1,'safety_mode':'OFF','priority':2",
      SENT_HI ",'priority':2,'safety_mode':'OFF'" END, NULL }
};

static const written_t unable = {
    "links are refused where nobody follows them; strict is a wish",
    HI ",'tools':[{'type':'function','function':{'name':'f','strict':true,"
    "'parameters':{'required':['x']}}}]",
    SENT_HI ",'tools':[{'type':'function','function':{'name':'f',"
    "'parameters':{'required':['x']}}}]" END,
    "drop=tools.function.strict"
};

static const written_t thinkers[] = {
    { "a model that thinks gets its thoughts back",
      "'messages':[{'role':'assistant','reasoning_content':'hm','content':"
      "'a'},{'role':'assistant','reasoning_content':'ho','content':null,"
      "'tool_calls':[" CALL("1", "f", "{}") "]}]",
      "'messages':[{'role':'assistant','content':[{'type':'thinking',"
      "'thinking':'hm'}," T("a") "]},{'role':'assistant','content':[{'type':"
      "'thinking','thinking':'ho'}],'tool_calls':[" USE("1", "f", "{}")
      "]}]" END, NULL }
};

static const refused_t refusals[] = {
    { "a file id",
      "'messages':[{'role':'user','content':[{'type':'file','file':{'file_id':"
      "'x'}}]}]",
      LLMUX_ERR_UNSUPPORTED, "messages[0].content[0]" },
    { "a PDF",
      "'messages':[{'role':'user','content':[{'type':'file','file':{"
      "'filename':'a.pdf','file_data':'data:application/pdf;base64,JVBERi0='}}"
      "]}]",
      LLMUX_ERR_UNSUPPORTED, "messages[0].content[0]" },
    { "several answers", HI ",'n':2", LLMUX_ERR_UNSUPPORTED, "n" },
    { "parameters that are no schema",
      HI ",'tools':[" TOOL("f") "],'tool_choice':{'type':'allowed_tools',"
      "'allowed_tools':{'mode':'auto','tools':[" TOOL("g") "]}}",
      LLMUX_ERR_INVALID, "tool_choice" }
};

/* Clients of other dialects can give a tool's result pictures, and ask for
 * thinking by tokens. */
static void others(apr_pool_t *p)
{
    llmux_chat_t *chat = chat_of(p, "'messages':["
        CALLS(CALL("1", "f", "{}")) "," R("1", "see") "]");
    llmux_block_t *b = apr_pcalloc(p, sizeof(*b));
    llmux_target_t target = { .name = "x" };
    llmux_buf_t *out = llmux_buf_create(p, WRITTEN_MAX);

    b->kind = LLMUX_BLOCK_MEDIA;
    b->media = apr_pcalloc(p, sizeof(*b->media));
    b->media->base64 = llmux_slice(PNG);
    chat->last->blocks->result->blocks->next = b;
    chat->budget = llmux_slice("5000");
    target.model = llmux_slice("m");
    llmux_dialect_cohere.write(out, chat, &target,
                               llmux_warnings_create(p, 0), p);
    is_str(out->data, quotes(p, "{'model':'m','messages':[{'role':'assistant',"
           "'tool_calls':[" USE("1", "f", "{}") "]},"
           RES("1", "see\\n[image: see the next user message]")
           ",{'role':'user','content':[" T("From the results of the tools:")
           "," IMAGE "]}],'thinking':{'type':'enabled','token_budget':5000}"
           END "}"), "a result's picture, a budget for thinking");
}

int main(void)
{
    apr_pool_t *p;
    apr_size_t i;

    apr_initialize();
    apr_pool_create(&p, NULL);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_written(p, &llmux_dialect_cohere, CAN, &cases[i]);
    }
    is_written(p, &llmux_dialect_cohere, 0, &unable);
    is_written(p, &llmux_dialect_cohere, LLMUX_CAN_REASONING, &thinkers[0]);
    for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        is_refused(p, &llmux_dialect_cohere, CAN, &refusals[i]);
    }
    others(p);
    is_too_large(p, &llmux_dialect_cohere);
    apr_pool_destroy(p);
    return tap_done();
}
