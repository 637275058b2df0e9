/* openai_peek.c - payloads of chat completions that are read at a glance, and
 * that it makes no difference. */

#include "dialect/openai_peek.h"
#include "tap.h"
#include "transcript.h"

#define C0 "{'id':'c1','model':'m','created':7,'choices':[{'index':0,"
#define DELTA(delta) C0 "'delta':{" delta "},'finish_reason':null}]}"
#define TOOL(call) DELTA("'tool_calls':[" call "]")
#define WHOLE(message) C0 "'message':{" message "},'finish_reason':'stop'}]}"
#define STOP C0 "'delta':{},'finish_reason':'stop'}]}\n[DONE]"

/* ---- which are ordinary ---------------------------------------------- */

static const struct {
    const char *name, *payload;
    int ordinary;
} payloads[] = {
    { "OpenAI's first",
      "{'id':'c1','object':'chat.completion.chunk','created':7,'model':'m',"
      "'service_tier':'default','system_fingerprint':'fp_1','choices':[{"
      "'index':0,'delta':{'role':'assistant','content':'','refusal':null},"
      "'logprobs':null,'finish_reason':null}],'usage':null,"
      "'obfuscation':'x1'}", 1 },
    { "a text", DELTA("'content':'x'"), 1 },
    { "a text with escapes", DELTA("'content':'\\u00e9\\n'"), 1 },
    { "a thought", DELTA("'content':null,'reasoning_content':'x'"), 1 },
    { "OpenRouter's empty lists",
      DELTA("'content':'x','reasoning':null,'reasoning_details':[],"
            "'annotations':[],'images':[],'tool_calls':[]"), 1 },
    { "a refusal", DELTA("'refusal':'x'"), 1 },
    { "a piece of a call", TOOL("{'index':0,'function':{'arguments':'x'}}"),
      1 },
    { "arguments as an object",
      TOOL("{'index':0,'type':'function','id':'a','function':{'name':'f',"
           "'arguments':{'x':[1]}}}"), 1 },
    { "a reason, and what stopped it",
      C0 "'delta':{},'finish_reason':'stop','stop_reason':'##'}]}", 1 },
    { "usage alone",
      "{'id':'c1','model':'m','choices':[],'usage':{'prompt_tokens':1}}", 1 },
    { "usage without choices", "{'usage':{'prompt_tokens':1}}", 1 },
    { "Azure's filters", "{'choices':[],'prompt_filter_results':[{}]}", 1 },
    { "a whole answer",
      "{'choices':[{'index':0,'message':{'role':'assistant','content':'x',"
      "'refusal':null,'annotations':[]},'logprobs':null,'finish_reason':"
      "'stop'}],'usage':{'prompt_tokens':1}}", 1 },
    { "an error that is null", "{'error':null,'choices':[]}", 1 },

    { "an error", "{'error':{'message':'x'},'choices':[]}", 0 },
    { "an error that is a word", "{'error':'x','choices':[]}", 0 },
    { "an error in a choice", C0 "'delta':{},'error':{}}]}", 0 },
    { "a message alone", "{'message':'x'}", 0 },
    { "nothing", "{}", 0 },
    { "null for all", "{'choices':null,'usage':null}", 0 },
    { "two choices", "{'choices':[{'index':0},{'index':1}]}", 0 },
    { "choices of another kind", "{'choices':{}}", 0 },
    { "no choice in the list", "{'choices':[null]}", 0 },
    { "both of Perplexity's members",
      C0 "'delta':{},'message':{'content':'x'}}]}", 0 },
    { "a list for a delta", C0 "'delta':[{'content':'x'}]}]}", 0 },
    { "content in parts", DELTA("'content':[{'type':'text','text':'x'}]"), 0 },
    { "a number for content", DELTA("'content':1"), 0 },
    { "content twice", DELTA("'content':'x','content':'y'"), 0 },
    { "a name with escapes", DELTA("'c\\u006fntent':'x'"), 0 },
    { "reasoning in details", DELTA("'reasoning_details':[{'text':'x'}]"),
      0 },
    { "two calls", TOOL("{'index':0},{'index':1}"), 0 },
    { "a custom tool's call",
      TOOL("{'index':0,'custom':{'name':'f','input':'x'}}"), 0 },
    { "one that only says so",
      TOOL("{'index':0,'type':'\\u0063ustom','function':{'name':'f'}}"), 0 },
    { "Gemini's signature", TOOL("{'extra_content':{'google':{}}}"), 0 },
    { "a call of old", DELTA("'function_call':{'name':'f'}"), 0 },
    { "log probabilities", C0 "'delta':{},'logprobs':{'content':[]}}]}", 0 },
    { "citations", DELTA("'annotations':[{}]"), 0 },
    { "pictures", DELTA("'images':[{}]"), 0 },
    { "no sound", DELTA("'audio':null"), 1 },
    { "sound", DELTA("'audio':{}"), 0 },
    { "Moonshot's usage", C0 "'delta':{},'usage':{'prompt_tokens':1}}]}", 0 },
    { "Groq's usage", "{'choices':[],'x_groq':{'usage':{}}}", 0 },
    { "usage of another kind", "{'choices':[],'usage':7}", 0 },
    { "no JSON", "{'choices':[}", 0 },
    { "no object", "[]", 0 }
};

static void ordinary(apr_pool_t *p)
{
    llmux_json_t slots[LLMUX_PEEK_COUNT];
    unsigned int i;

    for (i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
        llmux_slice_t text = llmux_slice(quotes(p, payloads[i].payload));

        ok(llmux_openai_peek(text, slots) == payloads[i].ordinary,
           "%s: %s", payloads[i].name,
           payloads[i].ordinary ? "ordinary" : "to be parsed");
    }
}

/* ---- no difference --------------------------------------------------- */

static void same(apr_pool_t *p, int streamed, const char *bytes,
                 const char *name)
{
    apr_size_t len = strlen(bytes);

    is_str(transcribe(p, &llmux_dialect_openai, streamed, bytes, len, -1),
           transcribe(p, &parsing_openai, streamed, bytes, len, -1), name);
}

/* Each payload as a stream, at its beginning and within it, and as a whole
 * answer. */
static void each_alone(apr_pool_t *p)
{
    unsigned int i;

    for (i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
        const char *payload = payloads[i].payload;
        const char *named = apr_pstrcat(p, "event: error\ndata: ",
                                        quotes(p, payload), "\n\n", NULL);

        same(p, 1, events(p, payload), payloads[i].name);
        same(p, 1, events(p, apr_pstrcat(p, payload, "\n", STOP, NULL)),
             "... and the end");
        same(p, 1, events(p, apr_pstrcat(
                 p, TOOL("{'index':0,'id':'a','function':{'name':'f'}}"),
                 "\n", payload, "\n", payload, "\n", STOP, NULL)),
             "... within a stream");
        same(p, 1, named, "... named an error");
        same(p, 0, quotes(p, payload), "... as a whole answer");
    }
}

/* Ordinary ones and others by turns. */
static const char *const mixed[] = {
    DELTA("'role':'assistant','content':''") "\n"
    DELTA("'reasoning_content':'Hm'") "\n"
    DELTA("'reasoning_details':[{'index':0,'text':'so'}]") "\n"
    DELTA("'reasoning':'Hm','reasoning_content':''") "\n"
    DELTA("'content':[{'type':'text','text':'a'}]") "\n"
    DELTA("'content':'b'") "\n"
    C0 "'delta':{'content':'c'},'logprobs':{'content':[{'token':'c'}]}}]}\n"
    DELTA("'content':'d','refusal':'e'") "\n" STOP,

    TOOL("{'index':0,'function':{'arguments':'early'}}") "\n"
    TOOL("{'index':0,'id':'a','function':{'name':'f'}},{'index':1,'id':'b'}")
    "\n" TOOL("{'index':1,'function':{'name':'g','arguments':'x'}}") "\n"
    TOOL("{'index':0,'id':'z','function':{'name':'h','arguments':{}}}") "\n"
    TOOL("{'function':{'arguments':'y'}}") "\n"
    DELTA("'content':'then'") "\n" STOP,

    C0 "'delta':{'content':'a'},'finish_reason':'stop'}],'usage':"
    "{'prompt_tokens':1}}\n"
    "{'choices':[{'index':1,'delta':{'content':'b'}},{'delta':{}}]}\n"
    "{'choices':[{'index':1,'delta':{},'finish_reason':'length'}],"
    "'x_groq':{'usage':{'prompt_tokens':3}}}\n"
    "{'choices':[],'usage':{'prompt_tokens':5,'completion_tokens':6}}\n"
    "[DONE]",

    C0 "'delta':{'content':'a'},'finish_reason':'stop'}]}\n"
    DELTA("'content':'b'") "\n"
    C0 "'delta':{},'finish_reason':'error'}]}\n" STOP,

    TOOL("{'index':0,'id':'a','function':{'arguments':'x'}}") "\n" STOP,
    C0 "'finish_reason':'malformed_function_call'}]}\n[DONE]",
    "{'choices':[{'index':128,'delta':{'content':'a'}}]}",
    DELTA("'content':'a'") "\n[DONE]"
};

static void together(apr_pool_t *p)
{
    const llmux_dialect_t *openai = &llmux_dialect_openai;
    unsigned int i;

    for (i = 0; i < sizeof(mixed) / sizeof(mixed[0]); i++) {
        same(p, 1, events(p, mixed[i]), "by turns");
        ok(same_at_every_cut(p, openai, 1, events(p, mixed[i])),
           "... cut anywhere");
    }
    is_str(transcribe(p, openai, 1, events(p, mixed[5]),
                      strlen(events(p, mixed[5])), -1),
           "start c1 m 7\nerror BAD_UPSTREAM: The model made a tool call that "
           "is not valid.\n", "what all of it was worth");
}

int main(void)
{
    apr_pool_t *p;

    apr_initialize();
    apr_pool_create(&p, NULL);
    ordinary(p);
    each_alone(p);
    together(p);
    apr_pool_destroy(p);
    return tap_done();
}
