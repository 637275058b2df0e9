/* completions_encode.c - events as legacy completions: chunks, and whole. In
 * the tables ' stands for ". */

#include <apr_strings.h>

#include "dialect/completions.h"
#include "tap.h"
#include "transcript.h"

static apr_pool_t *pool;

typedef struct pipe_t {
    llmux_encoder_t *encoder;
    llmux_buf_t *out;
} pipe_t;

static void encode(void *baton, const llmux_event_t *ev)
{
    pipe_t *pipe = baton;

    pipe->encoder->event(pipe->encoder, ev, pipe->out);
}

/* From a provider's stream to what the client gets. */
static const char *translate(const llmux_encode_t *how,
                             const llmux_dialect_t *from, const char *lines)
{
    pipe_t pipe = { llmux_dialect_completions.encoder(pool, how),
                    llmux_buf_create(pool, 1 << 24) };
    llmux_stream_t *s = llmux_stream_open(pool, &test_env, from, 1, encode,
                                          NULL, &pipe);
    const char *bytes = events(pool, lines);

    llmux_stream_feed(s, bytes, strlen(bytes));
    llmux_stream_end(s);
    return llmux_buf_slice(pipe.out).data;
}

static const llmux_chat_t *chat_of(const char *json)
{
    llmux_chat_t *chat = llmux_chat_create(pool);
    const llmux_error_t *err = llmux_dialect_completions.read(
        chat, llmux_json_parse(pool, llmux_slice(quotes(pool, json)), 0,
                               NULL));

    if (err) {
        printf("# the request is no good: %s\n", err->message);
    }
    return chat;
}

static llmux_encode_t how_of(int streamed, const char *request)
{
    llmux_encode_t how = { .streamed = streamed, .include_usage = streamed,
                           .show_thinking = 1, .id = "ours", .created = 99 };

    how.chat = request ? chat_of(request) : NULL;
    return how;
}

/* ---- what comes in --------------------------------------------------- */

#define C0 "{'id':'c1','model':'m','created':7,'choices':[{'index':0,"
#define C(i) "{'id':'c1','model':'m','created':7,'choices':[{'index':" i ","
#define SAYS(i, text) C(i) "'delta':{'content':'" text "'}}]}\n"
#define ENDS(i, why) C(i) "'delta':{},'finish_reason':'" why "'}]}\n"
#define USAGE "{'choices':[],'usage':{'prompt_tokens':9,'completion_tokens':3}}\n"
#define PROBABLY(content) C0 "'delta':{'content':'Hi!'},'logprobs':" \
    "{'content':[" content "]}}]}\n"

/* What goes out: a chunk; and a whole answer's choice. */
#define OUT(i, text, logprobs, finish) \
    "{'id':'c1','object':'text_completion','created':7,'model':'m'," \
    "'choices':[{'text':'" text "','index':" i ",'logprobs':" logprobs \
    ",'finish_reason':" finish "}],'usage':null}\n"
#define TEXT(i, text) OUT(i, text, "null", "null")
#define END(i, why) OUT(i, "", "null", "'" why "'")
#define COUNTED "{'id':'c1','object':'text_completion','created':7," \
    "'model':'m','choices':[],'usage':{'prompt_tokens':9," \
    "'completion_tokens':3,'total_tokens':12}}\n"
#define CHOICE(i, text, logprobs, finish) \
    "{'text':'" text "','index':" i ",'logprobs':" logprobs \
    ",'finish_reason':'" finish "'}"
#define WHOLE(choices) \
    "{'id':'c1','object':'text_completion','created':7,'model':'m'," \
    "'choices':[" choices "]}"

/* ---- the same answers, both ways ------------------------------------- */

#define TOP(token, logprob) "{'token':'" token "','logprob':" logprob \
    ",'bytes':null}"
#define CONTENT \
    "{'token':'Hi','logprob':-0.5,'bytes':[72,105],'top_logprobs':[" \
    TOP("Hi", "-0.5") "," TOP("Ho", "-2e0") "]}," \
    "{'token':'!','logprob':-1,'bytes':null,'top_logprobs':[]}"
#define LEGACY(a, b) \
    "{'tokens':['Hi','!'],'token_logprobs':[-0.5,-1],'top_logprobs':" \
    "[{'Hi':-0.5,'Ho':-2e0},{'!':-1}],'text_offset':[" a "," b "]}"

static const struct {
    const char *name, *request, *lines, *chunks, *whole;
} answers[] = {
    { "text and usage", NULL,
      SAYS("0", "Hi") SAYS("0", " you") ENDS("0", "length") USAGE "[DONE]",
      TEXT("0", "Hi") TEXT("0", " you") END("0", "length") COUNTED "[DONE]",
      "{'id':'c1','object':'text_completion','created':7,'model':'m',"
      "'choices':[" CHOICE("0", "Hi you", "null", "length") "],'usage':"
      "{'prompt_tokens':9,'completion_tokens':3,'total_tokens':12}}" },
    { "nothing is said", NULL, ENDS("0", "stop") "[DONE]",
      END("0", "stop") "[DONE]", WHOLE(CHOICE("0", "", "null", "stop")) },
    { "thoughts and calls have no place, a refusal is text", NULL,
      C0 "'delta':{'reasoning_content':'Hm'}}]}\n"
      C0 "'delta':{'refusal':'No.'}}]}\n"
      C0 "'delta':{'tool_calls':[{'index':0,'id':'a','function':"
      "{'name':'f','arguments':'{}'}}]}}]}\n" ENDS("0", "tool_calls") "[DONE]",
      TEXT("0", "No.") END("0", "stop") "[DONE]",
      WHOLE(CHOICE("0", "No.", "null", "stop")) },
    { "filtered", NULL, SAYS("0", "a") ENDS("0", "content_filter") "[DONE]",
      TEXT("0", "a") END("0", "content_filter") "[DONE]",
      WHOLE(CHOICE("0", "a", "null", "content_filter")) },
    { "choices, mixed", NULL,
      SAYS("1", "b") SAYS("0", "a") SAYS("1", "c") ENDS("1", "stop")
      ENDS("0", "stop") "[DONE]",
      TEXT("1", "b") TEXT("0", "a") TEXT("1", "c") END("0", "stop")
      END("1", "stop") "[DONE]",
      WHOLE(CHOICE("0", "a", "null", "stop") ","
            CHOICE("1", "bc", "null", "stop")) },
    { "an echo is the prompt's text, once",
      "{'prompt':'Say: \\u20ac ','echo':true}",
      SAYS("0", "Hi") SAYS("0", " you") ENDS("0", "stop") "[DONE]",
      TEXT("0", "Say: \xe2\x82\xac ") TEXT("0", "Hi") TEXT("0", " you")
      END("0", "stop") "[DONE]",
      WHOLE(CHOICE("0", "Say: \xe2\x82\xac Hi you", "null", "stop")) },
    { "each choice has its own prompt's",
      "{'prompt':['a','b'],'n':2,'echo':true}",
      SAYS("0", "0") SAYS("1", "1") SAYS("2", "2") ENDS("0", "stop")
      ENDS("1", "stop") ENDS("2", "stop") ENDS("3", "stop") "[DONE]",
      TEXT("0", "a") TEXT("0", "0") TEXT("1", "a") TEXT("1", "1")
      TEXT("2", "b") TEXT("2", "2") END("0", "stop") END("1", "stop")
      END("2", "stop") TEXT("3", "b") END("3", "stop") "[DONE]",
      WHOLE(CHOICE("0", "a0", "null", "stop") ","
            CHOICE("1", "a1", "null", "stop") ","
            CHOICE("2", "b2", "null", "stop") ","
            CHOICE("3", "b", "null", "stop")) },
    { "nobody asked for an echo", "{'prompt':'a','echo':false}",
      SAYS("0", "b") ENDS("0", "stop") "[DONE]",
      TEXT("0", "b") END("0", "stop") "[DONE]",
      WHOLE(CHOICE("0", "b", "null", "stop")) },
    { "a choice beyond all prompts", "{'prompt':'a','echo':true}",
      SAYS("1", "b") ENDS("1", "stop") "[DONE]",
      TEXT("1", "b") END("1", "stop") "[DONE]",
      WHOLE(CHOICE("1", "b", "null", "stop")) },
    { "tokens cannot be repeated", "{'prompt':[1],'echo':true}",
      SAYS("0", "b") ENDS("0", "stop") "[DONE]",
      TEXT("0", "b") END("0", "stop") "[DONE]",
      WHOLE(CHOICE("0", "b", "null", "stop")) },
    { "log probabilities", NULL,
      PROBABLY(CONTENT) ENDS("0", "stop") "[DONE]",
      TEXT("0", "Hi!") OUT("0", "", LEGACY("0", "2"), "null")
      END("0", "stop") "[DONE]",
      WHOLE(CHOICE("0", "Hi!", LEGACY("0", "2"), "stop")) },
    { "offsets count from where the prompt begins",
      "{'prompt':'\\u20ac\\u20ac','logprobs':2}",
      PROBABLY(CONTENT) PROBABLY(CONTENT) ENDS("0", "stop") "[DONE]",
      TEXT("0", "Hi!") OUT("0", "", LEGACY("2", "4"), "null")
      TEXT("0", "Hi!") OUT("0", "", LEGACY("5", "7"), "null")
      END("0", "stop") "[DONE]",
      WHOLE(CHOICE("0", "Hi!Hi!",
            "{'tokens':['Hi','!','Hi','!'],'token_logprobs':[-0.5,-1,-0.5,-1],"
            "'top_logprobs':[{'Hi':-0.5,'Ho':-2e0},{'!':-1},{'Hi':-0.5,"
            "'Ho':-2e0},{'!':-1}],'text_offset':[2,4,5,7]}", "stop")) },
    { "bytes that are no character, names that come twice", NULL,
      PROBABLY("{'token':'\\\\xe2\\\\x82','logprob':-1,'bytes':[226,130],"
               "'top_logprobs':[" TOP("x", "-1") "," TOP("x", "-2") "]},"
               "{'token':'\\\\xac','logprob':null,'bytes':[172]},"
               "{'token':'\\\\xac','logprob':-3,'bytes':[92,120,97,99]}")
      ENDS("0", "stop") "[DONE]",
      NULL,
      WHOLE(CHOICE("0", "Hi!",
            "{'tokens':['bytes:\\\\xe2\\\\x82','bytes:\\\\xac','\\\\xac'],"
            "'token_logprobs':[-1,null,-3],'top_logprobs':[{'x':-1,"
            "'bytes:\\\\xe2\\\\x82':-1},{'bytes:\\\\xac':null},"
            "{'\\\\xac':-3}],'text_offset':[0,1,1]}", "stop")) }
};

static void test_answers(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        llmux_encode_t whole = how_of(0, answers[i].request);
        llmux_encode_t streamed = how_of(1, answers[i].request);

        if (answers[i].chunks) {
            is_str(translate(&streamed, &llmux_dialect_openai,
                             answers[i].lines),
                   events(pool, answers[i].chunks), answers[i].name);
        }
        is_str(translate(&whole, &llmux_dialect_openai, answers[i].lines),
               quotes(pool, answers[i].whole), "  ... whole");
    }
}

/* ---- how the client wants it ----------------------------------------- */

static void test_usage(void)
{
    llmux_encode_t how = how_of(1, NULL);

    how.include_usage = 0;
    is_str(translate(&how, &llmux_dialect_openai,
                     SAYS("0", "a") ENDS("0", "stop") USAGE "[DONE]"),
           events(pool, "{'id':'c1','object':'text_completion','created':7,"
                  "'model':'m','choices':[{'text':'a','index':0,'logprobs':"
                  "null,'finish_reason':null}]}\n{'id':'c1','object':"
                  "'text_completion','created':7,'model':'m','choices':"
                  "[{'text':'','index':0,'logprobs':null,'finish_reason':"
                  "'stop'}]}\n[DONE]"),
           "who did not ask for usage gets none");
}

static void test_names(void)
{
    llmux_encode_t how = how_of(0, NULL);

    how.model = llmux_slice("mine");
    is_str(translate(&how, &llmux_dialect_openai,
                     "{'choices':[{'index':0,'delta':{'content':'a'},"
                     "'finish_reason':'stop'}],'system_fingerprint':'fp'}"),
           quotes(pool, "{'id':'ours','object':'text_completion',"
                  "'created':99,'model':'mine','system_fingerprint':'fp',"
                  "'choices':[{'text':'a','index':0,'logprobs':null,"
                  "'finish_reason':'stop'}]}"),
           "what the provider does not say is ours");
}

#define BROKEN SAYS("0", "a") ": wait\n" \
    "{'error':{'message':'oops','type':'server_error'}}"

static void test_errors(void)
{
    llmux_encode_t streamed = how_of(1, NULL), whole = how_of(0, NULL);
    const char *got = translate(&streamed, &llmux_dialect_openai, BROKEN);
    const char *tail = strstr(got, ": keep-alive\n\n");

    ok(tail && llmux_slice_starts(llmux_slice(tail + 14),
                                  "data: {\"error\":{"),
       "a ping is a comment, an error an event");
    ok(!strstr(got, "[DONE]"), "... and the end");
    is_str(translate(&whole, &llmux_dialect_openai, BROKEN), "",
           "whole, there is nothing");
}

/* An answer of its own dialect is the same again. */
static void test_again(void)
{
    static const char lines[] =
        TEXT("0", "Hi!") OUT("0", "", LEGACY("0", "2"), "null")
        TEXT("300", "x") END("0", "stop") END("300", "length") COUNTED
        "[DONE]";
    llmux_encode_t how = how_of(1, NULL);

    is_str(translate(&how, &llmux_dialect_completions, lines),
           events(pool, lines), "its own chunks are the same again");
}

/* ---- by hand --------------------------------------------------------- */

static void say(llmux_encoder_t *e, llmux_buf_t *out, llmux_event_t ev)
{
    e->event(e, &ev, out);
}

/* Blocks that are not open, candidates that cannot be, and nothing at all
 * after the end. */
static void test_strange(void)
{
    llmux_encode_t how = how_of(1, NULL);
    llmux_encoder_t *e = llmux_dialect_completions.encoder(pool, &how);
    llmux_buf_t *out = llmux_buf_create(pool, 1 << 16);
    apr_size_t len;

    say(e, out, (llmux_event_t){ .kind = LLMUX_EV_TEXT, .key = 5,
                                 .text = llmux_slice("a") });
    say(e, out, (llmux_event_t){ .kind = LLMUX_EV_BLOCK_STOP, .key = 5 });
    say(e, out, (llmux_event_t){ .kind = LLMUX_EV_BLOCK_START, .cand = -1 });
    say(e, out, (llmux_event_t){ .kind = LLMUX_EV_FINISH,
                                 .cand = LLMUX_CHOICES_MAX });
    say(e, out, (llmux_event_t){ .kind = LLMUX_EV_LOGPROBS,
                                 .text = llmux_slice("{\"a\":1}") });
    say(e, out, (llmux_event_t){ .kind = LLMUX_EV_LOGPROBS,
                                 .text = llmux_slice("[") });
    is_int((long long)out->len, 0, "what makes no sense says nothing");
    say(e, out, (llmux_event_t){ .kind = LLMUX_EV_END });
    is_str(out->data, "data: [DONE]\n\n", "the end, once");
    len = out->len;
    say(e, out, (llmux_event_t){ .kind = LLMUX_EV_PING });
    say(e, out, (llmux_event_t){ .kind = LLMUX_EV_END });
    is_int((long long)out->len, (long long)len, "nothing behind it");
}

/* Each text reuses what the one before it needed. */
static void test_memory(void)
{
    static const llmux_event_t open = {
        .kind = LLMUX_EV_BLOCK_START, .block = LLMUX_BLOCK_TEXT
    };
    llmux_encode_t how = how_of(1, NULL);
    llmux_event_t text = { .kind = LLMUX_EV_TEXT, .text = llmux_slice("a") };
    llmux_event_t probably = { .kind = LLMUX_EV_LOGPROBS };
    llmux_buf_t *out = llmux_buf_create(pool, 1 << 16);
    const char *before = NULL, *after = NULL;
    llmux_encoder_t *e;
    apr_pool_t *p;
    int i;

    apr_pool_create(&p, pool);
    e = llmux_dialect_completions.encoder(p, &how);
    probably.text = llmux_slice("[{\"token\":\"a\\n\",\"logprob\":-1}]");
    for (i = 0; i < 2000; i++) {
        llmux_event_t stop = { .kind = LLMUX_EV_BLOCK_STOP, .key = i };
        llmux_event_t start = open;

        start.key = text.key = i;
        say(e, out, start);
        say(e, out, text);
        say(e, out, probably);
        say(e, out, stop);
        llmux_buf_reset(out);
        before = i == 1000 ? apr_palloc(p, 8) : before;
    }
    after = apr_palloc(p, 8);
    ok(are_neighbours(before, after),
       "a thousand blocks leave nothing in the pool");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_answers();
    test_usage();
    test_names();
    test_errors();
    test_again();
    test_strange();
    test_memory();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
