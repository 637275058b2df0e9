/* completions_decode.c - answers of legacy completions, as events. In the
 * tables ' stands for ". */

#include <apr_strings.h>

#include "dialect/completions.h"
#include "tap.h"
#include "transcript.h"

static apr_pool_t *pool;

#define D &llmux_dialect_completions
#define HEAD "{'id':'c1','object':'text_completion','created':7,'model':'m',"
#define ONE(i, text, finish) HEAD "'choices':[{'text':'" text "','index':" i \
    ",'logprobs':null,'finish_reason':" finish "}]}\n"
#define USAGE "{'choices':[],'usage':{'prompt_tokens':9,'completion_tokens':3," \
    "'total_tokens':12}}\n"
#define START "start c1 m 7\n"

/* ---- streamed -------------------------------------------------------- */

static const struct { const char *name, *lines, *want; } streams[] = {
    { "text, and how it ends",
      ONE("0", "Hi", "null") ONE("0", " you", "'length'") USAGE "[DONE]",
      START "open 0 text\ntext 0 Hi\ntext 0  you\nusage in=9 out=3\n"
      "close 0\nfinish 0 length as length\nend\n" },
    { "choices of several prompts, mixed",
      ONE("1", "b", "null") ONE("0", "a", "'stop'") ONE("1", "c", "'stop'")
      "[DONE]",
      START "open 0 text of 1\ntext 0 b\nopen 1 text\ntext 1 a\ntext 0 c\n"
      "close 1\nfinish 0 stop as stop\nclose 0\nfinish 1 stop as stop\nend\n" },
    { "nothing is said", ONE("0", "", "'stop'") "[DONE]",
      START "finish 0 stop as stop\nend\n" },
    { "a finish with each chunk: the last one holds",
      ONE("0", "a", "'stop'") ONE("0", "b", "'length'") "[DONE]",
      START "open 0 text\ntext 0 a\ntext 0 b\nclose 0\n"
      "finish 0 length as length\nend\n" },
    { "which sequence it met",
      HEAD "'choices':[{'text':'a','index':0,'finish_reason':'stop',"
      "'stop_reason':'###'}]}\n[DONE]",
      START "open 0 text\ntext 0 a\nclose 0\n"
      "finish 0 sequence as stop at ###\nend\n" },
    { "filtered, and a word that nobody knows",
      ONE("0", "a", "'content_filter'") ONE("1", "b", "'gone'") "[DONE]",
      START "open 0 text\ntext 0 a\nopen 1 text of 1\ntext 1 b\nclose 0\n"
      "finish 0 filter as content_filter\nclose 1\n"
      "finish 1 other as gone\nend\n" },
    { "no [DONE]", ONE("0", "a", "'stop'"),
      START "open 0 text\ntext 0 a\nclose 0\nfinish 0 stop as stop\nend\n" },
    { "Azure's filters come first, and pings",
      "{'id':'','object':'','model':'','choices':[],"
      "'prompt_filter_results':[]}\n: hello\n" ONE("0", "a", "'stop'"),
      "ping\n" START
      "open 0 text\ntext 0 a\nclose 0\nfinish 0 stop as stop\nend\n" },
    { "a stream that broke off", ONE("0", "a", "null"),
      START "open 0 text\ntext 0 a\n"
      "error BAD_UPSTREAM: The provider's answer was truncated.\n" },
    { "one of two that broke off",
      ONE("0", "a", "'stop'") ONE("1", "b", "null") "[DONE]",
      START "open 0 text\ntext 0 a\nopen 1 text of 1\ntext 1 b\n"
      "error BAD_UPSTREAM: The provider's answer was truncated.\n" },
    { "an error midway",
      ONE("0", "a", "null")
      "{'error':{'message':'slow down','type':'rate_limit_error'}}\n",
      START "open 0 text\ntext 0 a\nerror RATE_LIMIT: slow down\n" },
    { "an error in a choice",
      HEAD "'choices':[{'index':0,'text':'','error':{'message':'oops',"
      "'code':500}}]}\n",
      START "error INTERNAL: oops\n" },
    { "it broke off, and says so", ONE("0", "a", "'abort'") "[DONE]",
      START "open 0 text\ntext 0 a\n"
      "error BAD_UPSTREAM: The provider broke its answer off.\n" },
    { "a choice that cannot be", ONE("4096", "a", "null"),
      START "error BAD_UPSTREAM: The provider's answer has an impossible "
      "choice.\n" },
    { "one below 0", ONE("-1", "a", "null"),
      START "error BAD_UPSTREAM: The provider's answer has an impossible "
      "choice.\n" },
    { "the highest one", ONE("4095", "a", "'stop'") "[DONE]",
      START "open 0 text of 4095\ntext 0 a\nclose 0\n"
      "finish 4095 stop as stop\nend\n" },
    { "of the wrong kinds",
      HEAD "'choices':[1,{'index':0,'text':7,'logprobs':[],'finish_reason':"
      "{}}],'usage':[]}\n" ONE("0", "a", "'stop'") ONE("1", "", "'stop'"),
      START "open 0 text\ntext 0 a\nclose 0\nfinish 0 stop as stop\n"
      "finish 1 stop as stop\nend\n" }
};

static void test_streams(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        const char *bytes = events(pool, streams[i].lines);

        is_str(transcribe(pool, D, 1, bytes, strlen(bytes), -1),
               streams[i].want, streams[i].name);
        ok(same_at_every_cut(pool, D, 1, bytes), "  ... cut anywhere");
    }
}

/* ---- whole ----------------------------------------------------------- */

static const struct { const char *name, *body, *want; } wholes[] = {
    { "two choices",
      HEAD "'system_fingerprint':'fp','choices':[{'text':'a','index':0,"
      "'logprobs':null,'finish_reason':'stop'},{'text':'b','index':1,"
      "'finish_reason':'length'}],'usage':{'prompt_tokens':9,"
      "'completion_tokens':3,'total_tokens':12,'prompt_tokens_details':"
      "{'cached_tokens':4}}}",
      "start c1 m 7 fp=fp\nopen 0 text\ntext 0 a\nopen 1 text of 1\n"
      "text 1 b\nusage in=5 read=4 out=3\nclose 0\n"
      "finish 0 stop as stop\nclose 1\nfinish 1 length as length\nend\n" },
    { "choices without numbers or reasons",
      HEAD "'choices':[{'text':'a'},{'text':'b','finish_reason':null}]}",
      START "open 0 text\ntext 0 a\nopen 1 text of 1\ntext 1 b\nclose 0\n"
      "finish 0 other\nclose 1\nfinish 1 other\nend\n" },
    { "no choices", HEAD "'choices':[]}",
      "error BAD_UPSTREAM: The provider's answer holds no choices.\n" },
    { "an error", "{'error':{'message':'no','code':'model_not_found'}}",
      "error MODEL: no\n" },
    { "another's error", "{'object':'error','message':'too long','code':400}",
      "error INVALID: too long\n" },
    { "not even an object", "[1]",
      "error BAD_UPSTREAM: The provider's answer holds no choices.\n" },
    { "no JSON", "{'id':",
      "error BAD_UPSTREAM: The provider's answer is not valid JSON.\n" }
};

static void test_wholes(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++) {
        const char *bytes = quotes(pool, wholes[i].body);

        is_str(transcribe(pool, D, 0, bytes, strlen(bytes), -1),
               wholes[i].want, wholes[i].name);
        ok(same_at_every_cut(pool, D, 0, bytes), "  ... cut anywhere");
    }
}

/* A long word of the provider's is cut between code points. */
static void test_long_reason(void)
{
    const char *body = apr_psprintf(pool, "%s%s%s", HEAD
        "'choices':[{'text':'','finish_reason':'1234567890123456789012345678"
        "901234567890123456789012345678901", "\xe2\x82\xac\xe2\x82\xac",
        "'}]}");
    const char *got = transcribe(pool, D, 0, quotes(pool, body), strlen(body),
                                 -1);

    is_str(strstr(got, "finish"), "finish 0 other as 12345678901234567890"
           "12345678901234567890123456789012345678901\nend\n",
           "a long reason is cut between two characters");
}

/* ---- log probabilities ----------------------------------------------- */

static const struct { const char *name, *legacy, *want; } logprobs[] = {
    { "lists side by side",
      "{'tokens':['Hi','!'],'token_logprobs':[-0.5,-1e-3],'top_logprobs':"
      "[{'Hi':-0.5,'Ho':-2},null],'text_offset':[0,2]}",
      "[{'token':'Hi','logprob':-0.5,'bytes':[72,105],'top_logprobs':"
      "[{'token':'Hi','logprob':-0.5,'bytes':[72,105]},"
      "{'token':'Ho','logprob':-2,'bytes':[72,111]}]},"
      "{'token':'!','logprob':-1e-3,'bytes':[33],'top_logprobs':[]}]" },
    { "bytes that are no character",
      "{'tokens':['bytes: \\\\xf0\\\\x9f','bytes:\\\\xzz'],'token_logprobs':"
      "[-1,-2]}",
      "[{'token':'bytes: \\\\xf0\\\\x9f','logprob':-1,'bytes':[32,240,159],"
      "'top_logprobs':[]},{'token':'bytes:\\\\xzz','logprob':-2,'bytes':"
      "[92,120,122,122],'top_logprobs':[]}]" },
    { "the first of a prompt, and lists that are too short",
      "{'tokens':['a','b'],'token_logprobs':[null],'top_logprobs':7}",
      "[{'token':'a','logprob':null,'bytes':[97],'top_logprobs':[]},"
      "{'token':'b','logprob':null,'bytes':[98],'top_logprobs':[]}]" },
    { "of the wrong kinds",
      "{'tokens':[1],'token_logprobs':['x'],'top_logprobs':[[1]]}",
      "[{'token':'','logprob':null,'bytes':[],'top_logprobs':[]}]" },
    { "none", "{'tokens':[]}", NULL },
    { "as chats have them", "{'content':[]}", NULL },
    { "null", "null", NULL }
};

static void test_logprobs(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(logprobs) / sizeof(logprobs[0]); i++) {
        const char *body = apr_pstrcat(pool, HEAD "'choices':[{'text':'Hi!',"
            "'index':3,'finish_reason':'stop','logprobs':",
            logprobs[i].legacy, "}]}", NULL);
        const char *want = apr_pstrcat(pool, START
            "open 0 text of 3\ntext 0 Hi!\n",
            logprobs[i].want ? "logprobs 3 " : "",
            logprobs[i].want ? quotes(pool, logprobs[i].want) : "",
            logprobs[i].want ? "\n" : "",
            "close 0\nfinish 3 stop as stop\nend\n", NULL);

        body = quotes(pool, body);
        is_str(transcribe(pool, D, 0, body, strlen(body), -1), want,
               logprobs[i].name);
    }
}

/* ---- memory ---------------------------------------------------------- */

static void ignore(void *baton, const llmux_event_t *ev)
{
    (*(int *)baton)++;
}

/* What it allocates must not grow with the stream: some events are sent
 * through, then many, and the pool must not have asked for more. */
static void test_memory(void)
{
    const char *line = events(pool, HEAD "'choices':[{'index':0,'text':'a\\n',"
        "'finish_reason':'x','stop_reason':'y','logprobs':{'tokens':['a'],"
        "'token_logprobs':[-1]}}],'usage':{'prompt_tokens':1}}");
    llmux_stream_t *s;
    apr_pool_t *p;
    int count = 0, i;
    const char *before, *after;

    apr_pool_create(&p, pool);
    s = llmux_stream_open(p, &test_env, D, 1, ignore, NULL, &count);
    for (i = 0; i < 100; i++) {
        llmux_stream_feed(s, line, strlen(line));
    }
    before = apr_palloc(p, 8);
    for (i = 0; i < 5000; i++) {
        llmux_stream_feed(s, line, strlen(line));
    }
    after = apr_palloc(p, 8);
    ok(are_neighbours(before, after), "5000 events leave nothing in the pool");
    ok(count > 10000, "... and they were heard");
    apr_pool_destroy(p);
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_streams();
    test_wholes();
    test_long_reason();
    test_logprobs();
    test_memory();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
