/* ollama_decode.c - Ollama's answers come out as events, wherever the lines
 * are cut. */

#include "tap.h"
#include "transcript.h"

/* A line; ' stands for ". */
#define L(members) "{'model':'m','created_at':'2026-08-04T08:52:19.38Z'," \
    members "}\n"
#define SAY(text) L("'message':{'role':'assistant','content':'" text \
    "'},'done':false")
#define DONE(reason, more) L("'message':{'role':'assistant','content':''}," \
    "'done':true,'done_reason':'" reason "','total_duration':5" more)
#define COUNTS ",'prompt_eval_count':26,'eval_count':9"
#define START "start m 0\n"
#define CUT "error BAD_UPSTREAM: The provider's answer was truncated.\n"
#define ID "call_AAAAAAAAAAAAAAAAAAAAAAAA"

static const struct {
    const char *name, *bytes, *want;
} cases[] = {
    { "text", SAY("Hel") SAY("lo \\u00fc") DONE("stop", COUNTS),
      START "open 0 text\ntext 0 Hel\ntext 0 lo \xc3\xbc\nclose 0\n"
      "usage in=26 out=9\nfinish 0 stop as stop\nend\n" },
    { "CRLF, blank lines, and no line end at the last",
      "{'model':'m','message':{'content':'a'}}\r\n\r\n\n  \n"
      "{'model':'m','done':true}",
      START "open 0 text\ntext 0 a\nclose 0\nfinish 0 stop\nend\n" },
    { "thoughts before the words",
      L("'message':{'content':'','thinking':'Hm'}") L("'message':{'content':"
      "'','thinking':'m'}") SAY("Hi") DONE("stop", ""),
      START "open 0 think\nthink 0 Hm\nthink 0 m\nclose 0\nopen 1 text\n"
      "text 1 Hi\nclose 1\nfinish 0 stop as stop\nend\n" },
    { "calls come whole, with and without ids, and the end says stop",
      SAY("Look:")
      L("'message':{'role':'assistant','content':'','tool_calls':[{'function':"
      "{'index':0,'name':'f','arguments':{'a': 1.50,'b':[{}]}}},{'id':'call_7"
      "','function':{'index':1,'name':'g','arguments':{}}}]},'done':false")
      L("'message':{'content':'','tool_calls':[{'function':{'name':'h',"
      "'arguments':'{\\'c\\':1}'}}]}")
      DONE("stop", COUNTS),
      START "open 0 text\ntext 0 Look:\nclose 0\n"
      "open 1 call id=" ID " name=f\nargs 1 {\"a\": 1.50,\"b\":[{}]}\n"
      "close 1\nopen 2 call id=call_7 name=g\nclose 2\n"
      "open 3 call id=" ID " name=h\nargs 3 {\"c\":1}\nclose 3\n"
      "usage in=26 out=9\nfinish 0 calls as stop\nend\n" },
    { "a limit in the middle of a call stays a limit",
      L("'message':{'content':'','tool_calls':[{'function':{'name':'f'}}]}")
      DONE("length", ""),
      START "open 0 call id=" ID " name=f\nclose 0\n"
      "finish 0 length as length\nend\n" },
    { "what was cached is part of the prompt",
      SAY("a") DONE("stop", COUNTS ",'prompt_eval_cached_count':20"),
      START "open 0 text\ntext 0 a\nclose 0\nusage in=6 read=20 out=9\n"
      "finish 0 stop as stop\nend\n" },
    { "more cached than there is, and counts that are none",
      SAY("a") DONE("stop", ",'prompt_eval_count':5,'prompt_eval_cached_count'"
      ":7,'eval_count':-3"),
      START "open 0 text\ntext 0 a\nclose 0\nusage in=0 read=5\n"
      "finish 0 stop as stop\nend\n" },
    { "a new reason, nothing said",
      DONE("bored", ""), START "finish 0 other as bored\nend\n" },
    { "a model that was only loaded",
      DONE("load", ""), START "finish 0 stop as load\nend\n" },
    { "log probabilities",
      L("'message':{'content':'Hi'},'logprobs':[{'token':'Hi','logprob':-0.10,"
      "'top_logprobs':[{'token':'H','logprob':-2,'bytes':[72]}]}]")
      DONE("stop", ""),
      START "open 0 text\ntext 0 Hi\n"
      "logprobs 0 [{\"token\":\"Hi\",\"logprob\":-0.10,\"bytes\":[72,105],"
      "\"top_logprobs\":[{\"token\":\"H\",\"logprob\":-2,\"bytes\":[72]}]}]\n"
      "close 0\nfinish 0 stop as stop\nend\n" },
    { "a picture",
      L("'message':{'content':'','images':['iVBORw0KGgo=','']}")
      DONE("stop", ""),
      START "open 0 media\nmedia 0 image/png iVBORw0KGgo=\nclose 0\n"
      "finish 0 stop as stop\nend\n" },
    { "an error in the middle",
      SAY("a") "{'error':'an error was encountered while running the model'}"
      "\n" SAY("b"),
      START "open 0 text\ntext 0 a\nerror BAD_UPSTREAM: an error was "
      "encountered while running the model\n" },
    { "an error that says its status",
      "{'error':'slow down','status':429}\n", "error RATE_LIMIT: slow down\n" },
    { "too long a prompt",
      "{'error':'prompt too long; exceeded max context length by 5 tokens'}",
      "error CONTEXT: prompt too long; exceeded max context length by 5 tokens"
      "\n" },
    { "no end", SAY("a"),
      START "open 0 text\ntext 0 a\n" CUT },
    { "cut within a line", SAY("a") "{'model':'m','mess",
      START "open 0 text\ntext 0 a\n" CUT },
    { "nothing at all", "", CUT },
    { "a line that says nothing, one of another kind",
      "{'status':'pulling'}\n[1]\n" SAY("a") DONE("stop", ""),
      START "open 0 text\ntext 0 a\nclose 0\nfinish 0 stop as stop\nend\n" },
    { "nothing after the end counts",
      DONE("stop", "") SAY("b"), START "finish 0 stop as stop\nend\n" },
    { "no JSON", SAY("a") "oops\n" SAY("b"),
      START "open 0 text\ntext 0 a\n"
      "error BAD_UPSTREAM: The provider's answer is not valid JSON.\n" },
    { "HTML", "<html>\n<body>no</body>\n</html>\n",
      "error BAD_UPSTREAM: The provider's answer is not valid JSON.\n" },
    { "a whole answer printed in several lines",
      "{\n  'model': 'm',\n  'message': {'thinking': 'Hm',\n'content': 'a'},\n"
      "  'done': true,\n  'eval_count': 1\n}\n",
      START "open 0 think\nthink 0 Hm\nclose 0\nopen 1 text\ntext 1 a\n"
      "close 1\nusage out=1\nfinish 0 stop\nend\n" }
};

/* The same message in one piece. */
static void whole(apr_pool_t *p)
{
    const char *bytes = quotes(p, "{'model':'m','message':{'role':'assistant',"
        "'content':'Hi','thinking':'Hm','tool_calls':[{'id':'c','function':{"
        "'name':'f','arguments':{'a':1}}}]},'done':true,'done_reason':'stop',"
        "'prompt_eval_count':26,'eval_count':9}");
    const char *lines = quotes(p,
        L("'message':{'content':'','thinking':'Hm'}") SAY("Hi")
        L("'message':{'tool_calls':[{'id':'c','function':{'name':'f',"
        "'arguments':{'a':1}}}]}") DONE("stop", COUNTS));
    const char *want = START "open 0 think\nthink 0 Hm\nclose 0\nopen 1 text\n"
        "text 1 Hi\nclose 1\nopen 2 call id=c name=f\nargs 2 {\"a\":1}\n"
        "close 2\nusage in=26 out=9\nfinish 0 calls as stop\nend\n";
    int streamed;

    for (streamed = 0; streamed < 2; streamed++) {
        is_str(transcribe(p, &llmux_dialect_ollama, streamed, bytes,
                          strlen(bytes), -1), want, "a whole answer");
        ok(same_at_every_cut(p, &llmux_dialect_ollama, streamed, bytes),
           "... at every cut");
        is_str(transcribe(p, &llmux_dialect_ollama, streamed, lines,
                          strlen(lines), -1), want,
               "... and the same in lines, whatever the head said");
    }
    bytes = "{\"model\":\"m\"}";
    is_str(transcribe(p, &llmux_dialect_ollama, 0, bytes, strlen(bytes), -1),
           CUT, "a document that is no answer");
}

static const struct {
    int status;
    const char *body;
    llmux_error_e kind;
    const char *message;
} errors[] = {
    { 404, "{'error':'model \\'x\\' not found'}", LLMUX_ERR_MODEL,
      "model \"x\" not found" },
    { 400, "{'error':'x does not support tools'}", LLMUX_ERR_INVALID,
      "x does not support tools" },
    { 503, "{'error':'server busy, please try again'}", LLMUX_ERR_OVERLOADED,
      "server busy, please try again" },
    { 401, "{'error':'unauthorized','signin_url':'u'}", LLMUX_ERR_AUTH,
      "unauthorized" },
    { 500, "{'error':'out of memory'}", LLMUX_ERR_INTERNAL, "out of memory" },
    { 502, "null", LLMUX_ERR_BAD_UPSTREAM, NULL }
};

static void refusals(apr_pool_t *p)
{
    apr_size_t i;

    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        const llmux_json_t *body = llmux_json_parse(
            p, llmux_slice(quotes(p, errors[i].body)), 0, NULL);
        llmux_error_t *err = llmux_dialect_ollama.error_read(
            p, errors[i].status, body);

        is_int(err->kind, errors[i].kind, errors[i].body);
        if (errors[i].message) {
            is_str(err->message, errors[i].message, "... its words");
        }
    }
}

int main(void)
{
    apr_pool_t *p;
    apr_size_t i;

    apr_initialize();
    apr_pool_create(&p, NULL);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *bytes = quotes(p, cases[i].bytes);

        is_str(transcribe(p, &llmux_dialect_ollama, 1, bytes, strlen(bytes),
                          -1), cases[i].want, cases[i].name);
        ok(same_at_every_cut(p, &llmux_dialect_ollama, 1, bytes),
           "... at every cut");
    }
    whole(p);
    refusals(p);
    apr_pool_destroy(p);
    return tap_done();
}
