/* cohere_decode.c - Cohere's answers come out as events, wherever the bytes
 * are cut. */

#include "tap.h"
#include "transcript.h"

/* Events, a line each; ' stands for ". */
#define BEGIN "{'id':'i','type':'message-start','delta':{'message':{'role':" \
    "'assistant','content':[],'tool_plan':'','tool_calls':[]}}}\n"
#define OPEN(n, kind) "{'type':'content-start','index':" n ",'delta':{" \
    "'message':{'content':{'type':'" kind "','" kind "':''}}}}\n"
#define SAY(n, kind, text) "{'type':'content-delta','index':" n ",'delta':{" \
    "'message':{'content':{'" kind "':'" text "'}}}}\n"
#define SHUT(n) "{'type':'content-end','index':" n "}\n"
#define PLAN(text) "{'type':'tool-plan-delta','delta':{'message':{" \
    "'tool_plan':'" text "'}}}\n"
#define CALL(n, id, name, args) "{'type':'tool-call-start','index':" n "," \
    "'delta':{'message':{'tool_calls':{'id':'" id "','type':'function'," \
    "'function':{'name':'" name "','arguments':'" args "'}}}}}\n"
#define ARGS(n, args) "{'type':'tool-call-delta','index':" n ",'delta':{" \
    "'message':{'tool_calls':{'function':{'arguments':'" args "'}}}}}\n"
#define CALLED(n) "{'type':'tool-call-end','index':" n "}\n"
#define CITE(cite) "{'type':'citation-start','index':0,'delta':{'message':{" \
    "'citations':" cite "}}}\n{'type':'citation-end','index':0}\n"
#define FROM(span, source) "{" span ",'text':'x','sources':[" source "]," \
    "'type':'TEXT_CONTENT'}"
#define WEB(n) "{'type':'tool','id':'f:" n "','tool_output':{'url':'u" n \
    "','title':'t'}}"
#define DONE(more) "{'type':'message-end','delta':{" more "}}\n"
#define COUNTS "'usage':{'billed_units':{'input_tokens':5,'output_tokens':2}," \
    "'tokens':{'input_tokens':500,'output_tokens':7},'cached_tokens':448}"

#define START "start i 0\n"
#define USED "usage in=52 read=448 out=7\n"
#define CUT "error BAD_UPSTREAM: The provider's answer was truncated.\n"

static const struct {
    const char *name, *lines, *want;
} cases[] = {
    { "text",
      BEGIN OPEN("0", "text") SAY("0", "text", "O") SAY("0", "text", "K")
      SHUT("0") DONE("'finish_reason':'COMPLETE'," COUNTS),
      START "open 0 text\ntext 0 O\ntext 0 K\nclose 0\n" USED
      "finish 0 stop as COMPLETE\nend\n" },
    { "thoughts before the words",
      BEGIN OPEN("0", "thinking") SAY("0", "thinking", "Hm") SHUT("0")
      OPEN("1", "text") SAY("1", "text", "Hi") SHUT("1")
      DONE("'finish_reason':'MAX_TOKENS'"),
      START "open 0 think\nthink 0 Hm\nclose 0\nopen 1 text\ntext 1 Hi\n"
      "close 1\nfinish 0 length as MAX_TOKENS\nend\n" },
    { "a plan, and calls",
      BEGIN PLAN("I ") PLAN("look.") CALL("0", "f_1", "f", "")
      ARGS("0", "{\\'x\\':") ARGS("0", " 1}") CALLED("0")
      CALL("1", "", "g", "{}") CALLED("1") CALL("2", "h_1", "h", "")
      CALLED("2") DONE("'finish_reason':'TOOL_CALL'," COUNTS),
      START "open 0 text\ntext 0 I \ntext 0 look.\nclose 0\n"
      "open 1 call id=f_1 name=f\nargs 1 {\"x\":\nargs 1  1}\nclose 1\n"
      "open 2 call id=call_AAAAAAAAAAAAAAAAAAAAAAAA name=g\nargs 2 {}\n"
      "close 2\nopen 3 call id=h_1 name=h\nclose 3\n" USED
      "finish 0 calls as TOOL_CALL\nend\n" },
    { "null for no arguments; calls that end as complete",
      BEGIN CALL("0", "c", "f", "null") CALLED("0")
      DONE("'finish_reason':'COMPLETE'"),
      START "open 0 call id=c name=f\nclose 0\n"
      "finish 0 calls as COMPLETE\nend\n" },
    { "nothing says that a text begins, or ends",
      BEGIN SAY("0", "text", "a") SAY("0", "thinking", "b")
      CALL("0", "c", "f", "") DONE("'finish_reason':'STOP_SEQUENCE'"),
      START "open 0 text\ntext 0 a\nclose 0\nopen 1 think\nthink 1 b\nclose 1"
      "\nopen 2 call id=c name=f\nclose 2\n"
      "finish 0 sequence as STOP_SEQUENCE\nend\n" },
    { "no start at all",
      SAY("0", "text", "a") DONE("'finish_reason':'COMPLETE'"),
      "start 0\nopen 0 text\ntext 0 a\nclose 0\n"
      "finish 0 stop as COMPLETE\nend\n" },
    { "sources: those that are on the web",
      BEGIN OPEN("0", "thinking") SAY("0", "thinking", "Hm") SHUT("0")
      OPEN("1", "text") SAY("1", "text", "\\u00fcber all") SHUT("1")
      OPEN("2", "text") SAY("2", "text", "more") SHUT("2")
      CITE(FROM("'start':0,'end':4", WEB("1") ",{'type':'document','id':'d',"
                "'document':{'title':'t'}}," WEB("2")))
      CITE(FROM("'start':1,'end':3,'content_index':2", WEB("3")))
      CITE(FROM("'start':5,'end':99", WEB("4")))
      CITE("{'start':0,'end':1,'type':'THINKING_CONTENT','sources':["
           WEB("5") "]}")
      DONE("'finish_reason':'COMPLETE'"),
      START "open 0 think\nthink 0 Hm\nclose 0\n"
      "open 1 text\ntext 1 \xc3\xbc" "ber all\nclose 1\n"
      "open 2 text\ntext 2 more\nclose 2\n"
      "cite 1 u1 title=t 0..4\ncite 1 u2 title=t 0..4\n"
      "cite 2 u3 title=t 9..11\ncite 1 u4 title=t -1..-1\n"
      "finish 0 stop as COMPLETE\nend\n" },
    { "a source of the plan, and one before there is any text",
      BEGIN CITE(FROM("'start':0,'end':0", WEB("1"))) PLAN("look")
      CITE("{'start':0,'end':4,'type':'PLAN','sources':[" WEB("2") "]}")
      DONE("'finish_reason':'COMPLETE'"),
      START "open 0 text\ntext 0 look\ncite 0 u2 title=t 0..4\nclose 0\n"
      "finish 0 stop as COMPLETE\nend\n" },
    { "log probabilities",
      BEGIN "{'type':'content-delta','index':0,'delta':{'message':{'content':"
      "{'text':'Hi'}}},'logprobs':{'text':'Hi','token_ids':[1,2],'logprobs':"
      "[-0.5,-0.25]}}\n" DONE("'finish_reason':'COMPLETE'"),
      START "open 0 text\ntext 0 Hi\nlogprobs 0 [{\"token\":\"Hi\",\"logprob\":"
      "-0.750000,\"bytes\":[72,105],\"top_logprobs\":[]}]\nclose 0\n"
      "finish 0 stop as COMPLETE\nend\n" },
    { "billed tokens where there are no others",
      BEGIN DONE("'finish_reason':'COMPLETE','usage':{'billed_units':{"
      "'input_tokens':5.0,'output_tokens':2},'cached_tokens':9}"),
      START "usage in=5 out=2\nfinish 0 stop as COMPLETE\nend\n" },
    { "a new reason, a new event",
      BEGIN "{'type':'debug','prompt':'x'}\n" DONE("'finish_reason':'BORED'"),
      START "finish 0 other as BORED\nend\n" },
    { "filtered",
      BEGIN DONE("'finish_reason':'ERROR_TOXIC'"),
      START "finish 0 filter as ERROR_TOXIC\nend\n" },
    { "failed in the middle",
      BEGIN SAY("0", "text", "a") DONE("'finish_reason':'ERROR','error':"
      "'the model broke'"),
      START "open 0 text\ntext 0 a\nclose 0\n"
      "error BAD_UPSTREAM: the model broke\n" },
    { "failed without a word",
      BEGIN DONE("'finish_reason':'TIMEOUT'"),
      START "error TIMEOUT: The provider broke off its answer.\n" },
    { "an error as an event",
      BEGIN "{'id':'x','message':'too many tokens: 5'}\n",
      START "error BAD_UPSTREAM: too many tokens: 5\n" },
    { "no end", BEGIN SAY("0", "text", "a"),
      START "open 0 text\ntext 0 a\n" CUT },
    { "an end without a reason", BEGIN DONE(""), START CUT },
    { "arguments of no call", BEGIN ARGS("0", "{"),
      START "error BAD_UPSTREAM: The provider's answer has arguments of no "
      "call.\n" },
    { "arguments of another call",
      BEGIN CALL("0", "c", "f", "") ARGS("1", "{"),
      START "open 0 call id=c name=f\nerror BAD_UPSTREAM: The provider's "
      "answer has arguments of no call.\n" },
    { "the start again, and another answer's",
      BEGIN BEGIN "{'id':'j','type':'message-start'}\n",
      START "error BAD_UPSTREAM: The provider began another answer inside this "
      "one.\n" },
    { "nothing after the end counts, nor [DONE]",
      BEGIN DONE("'finish_reason':'COMPLETE'") "[DONE]\n",
      START "finish 0 stop as COMPLETE\nend\n" }
};

/* The name of the event will do. */
static void named(apr_pool_t *p)
{
    const char *bytes = quotes(p, "event: message-start\ndata: {'id':'i'}\n\n"
        "event: message-end\ndata: {'delta':{'finish_reason':'COMPLETE'}}"
        "\n\n");

    is_str(transcribe(p, &llmux_dialect_cohere, 1, bytes, strlen(bytes), -1),
           START "finish 0 stop as COMPLETE\nend\n",
           "events by their names alone");
}

static const struct {
    const char *name, *body, *want;
} wholes[] = {
    { "a whole answer",
      "{'id':'i','message':{'role':'assistant','content':[{'type':'thinking',"
      "'thinking':'Hm'},{'type':'text','text':'Hi you'}],'citations':["
      FROM("'start':3,'end':6", WEB("1")) "]},'finish_reason':'COMPLETE',"
      COUNTS "}",
      START "open 0 think\nthink 0 Hm\nclose 0\nopen 1 text\ntext 1 Hi you\n"
      "close 1\ncite 1 u1 title=t 3..6\n" USED
      "finish 0 stop as COMPLETE\nend\n" },
    { "calls",
      "{'id':'i','message':{'role':'assistant','tool_plan':'I look.',"
      "'tool_calls':[{'id':'a','type':'function','function':{'name':'f',"
      "'arguments':'{\\'x\\':1}'}},{'id':'b','function':{'name':'g',"
      "'arguments':'null'}}]},'finish_reason':'TOOL_CALL'," COUNTS "}",
      START "open 0 text\ntext 0 I look.\nclose 0\nopen 1 call id=a name=f\n"
      "args 1 {\"x\":1}\nclose 1\nopen 2 call id=b name=g\nclose 2\n" USED
      "finish 0 calls as TOOL_CALL\nend\n" },
    { "one text, log probabilities",
      "{'id':'i','message':{'content':'Hi'},'finish_reason':'COMPLETE',"
      "'logprobs':[{'text':'H','logprobs':[-0.10]},{'text':'i','logprobs':["
      "-1e308,-1e308]}]}",
      START "open 0 text\ntext 0 Hi\nclose 0\nlogprobs 0 [{\"token\":\"H\","
      "\"logprob\":-0.10,\"bytes\":[72],\"top_logprobs\":[]},{\"token\":\"i\","
      "\"logprob\":-9999.000000,\"bytes\":[105],\"top_logprobs\":[]}]\n"
      "finish 0 stop as COMPLETE\nend\n" },
    { "an error", "{'message':'no'}", "error BAD_UPSTREAM: no\n" },
    { "no reason to end", "{'id':'i','message':{}}", START CUT },
    { "no message", "{'id':'i'}",
      "error BAD_UPSTREAM: The provider's answer is not a message.\n" }
};

/* A call and a plan, in one piece and in many. */
static void alike(apr_pool_t *p)
{
    const char *pieces = events(p,
        BEGIN PLAN("I look.") CALL("0", "a", "f", "{\\'x\\':1}") CALLED("0")
        CALL("1", "b", "g", "") CALLED("1")
        DONE("'finish_reason':'TOOL_CALL'," COUNTS));
    const char *whole = quotes(p, wholes[1].body);

    is_str(transcribe(p, &llmux_dialect_cohere, 1, pieces, strlen(pieces),
                      -1),
           transcribe(p, &llmux_dialect_cohere, 0, whole, strlen(whole), -1),
           "streamed and whole give the same message");
}

static const struct {
    int status;
    const char *message;
    llmux_error_e kind;
} errors[] = {
    { 400, "invalid request: message must be at least 1 token long",
      LLMUX_ERR_INVALID },
    { 400, "too many tokens: total number of tokens in the prompt cannot "
      "exceed 4081", LLMUX_ERR_CONTEXT },
    { 400, "too many tokens: max tokens must be less than or equal to 4096",
      LLMUX_ERR_INVALID },
    { 400, "invalid api token", LLMUX_ERR_AUTH },
    { 401, "invalid api token", LLMUX_ERR_AUTH },
    { 402, "Please add or update your payment method", LLMUX_ERR_BILLING },
    { 404, "model 'x' not found, make sure the correct model ID was used",
      LLMUX_ERR_MODEL },
    { 404, "model 'x' was removed", LLMUX_ERR_MODEL },
    { 404, "no such page", LLMUX_ERR_NOT_FOUND },
    { 422, "unknown field: parameter 'n' is not a valid field",
      LLMUX_ERR_INVALID },
    { 429, "You are using a Trial key, which is limited to 20 API calls / "
      "minute", LLMUX_ERR_RATE_LIMIT },
    { 429, "You are using a Trial key, which is limited to 1000 API calls / "
      "month", LLMUX_ERR_QUOTA },
    { 498, "invalid token", LLMUX_ERR_AUTH },
    { 499, "request cancelled", LLMUX_ERR_INTERNAL },
    { 500, "internal server error", LLMUX_ERR_INTERNAL },
    { 501, "not implemented", LLMUX_ERR_UNSUPPORTED }
};

static void refusals(apr_pool_t *p)
{
    apr_size_t i;

    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        const char *body = apr_psprintf(p, "{\"id\":\"x\",\"message\":\"%s\"}",
                                        errors[i].message);
        llmux_error_t *err = llmux_dialect_cohere.error_read(
            p, errors[i].status,
            llmux_json_parse(p, llmux_slice(body), 0, NULL));

        is_int(err->kind, errors[i].kind, errors[i].message);
        is_str(err->message, errors[i].message, "... its words");
    }
    is_int(llmux_dialect_cohere.error_read(p, 503, NULL)->kind,
           LLMUX_ERR_OVERLOADED, "no body at all");
}

int main(void)
{
    const llmux_dialect_t *dialect = &llmux_dialect_cohere;
    const char *bytes;
    apr_pool_t *p;
    apr_size_t i;

    apr_initialize();
    apr_pool_create(&p, NULL);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes = events(p, cases[i].lines);
        is_str(transcribe(p, dialect, 1, bytes, strlen(bytes), -1),
               cases[i].want, cases[i].name);
        ok(same_at_every_cut(p, dialect, 1, bytes), "... at every cut");
    }
    for (i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++) {
        bytes = quotes(p, wholes[i].body);
        is_str(transcribe(p, dialect, 0, bytes, strlen(bytes), -1),
               wholes[i].want, wholes[i].name);
        ok(same_at_every_cut(p, dialect, 0, bytes), "... at every cut");
    }
    named(p);
    alike(p);
    refusals(p);
    apr_pool_destroy(p);
    return tap_done();
}
