/* stream.c - tests of framing: bytes cut anywhere, and what is no event. */

#include "tap.h"
#include "transcript.h"

/* A dialect that only repeats what it is given. */
static void repeat(llmux_decoder_t *d, const char *verb, llmux_slice_t name,
                   const llmux_json_t *v)
{
    llmux_event_t ev = { .kind = LLMUX_EV_TEXT };

    ev.text = llmux_slice(apr_psprintf(d->scratch, "%s %s: %s", verb,
        llmux_slice_str(d->scratch, name),
        llmux_slice_str(d->scratch, llmux_json_raw(v))));
    llmux_decoder_emit(d, &ev);
}

static void toy_payload(llmux_decoder_t *d, llmux_slice_t name,
                        const llmux_json_t *v)
{
    repeat(d, "payload", name, v);
}

static void toy_whole(llmux_decoder_t *d, const llmux_json_t *v)
{
    repeat(d, "whole", llmux_slice(""), v);
}

static void toy_end(llmux_decoder_t *d)
{
    static const llmux_event_t end = { .kind = LLMUX_EV_END };

    llmux_decoder_emit(d, &end);
}

static void toy_forget(llmux_decoder_t *d)
{
}

static llmux_decoder_t *make(apr_pool_t *p, const llmux_env_t *env,
                             llmux_emit_fn emit, void *baton,
                             void (*finish)(llmux_decoder_t *d))
{
    llmux_decoder_t *d = apr_pcalloc(p, sizeof(*d));

    llmux_decoder_init(d, p, env, emit, baton);
    d->payload = toy_payload;
    d->whole = toy_whole;
    d->sentinel = toy_end;
    d->finish = finish;
    return d;
}

static llmux_decoder_t *toy_decoder(apr_pool_t *p, const llmux_env_t *env,
                                    llmux_emit_fn emit, void *baton)
{
    return make(p, env, emit, baton, toy_end);
}

static llmux_decoder_t *lazy_decoder(apr_pool_t *p, const llmux_env_t *env,
                                     llmux_emit_fn emit, void *baton)
{
    return make(p, env, emit, baton, toy_forget);
}

static const llmux_dialect_t toy = { .name = "toy", .decoder = toy_decoder };
static const llmux_dialect_t lazy = { .name = "lazy",
                                      .decoder = lazy_decoder };

static const llmux_dialect_t liner = { .name = "liner",
                                       .frame = LLMUX_FRAME_LINES,
                                       .decoder = toy_decoder };

#define START "start 0\n"

static const struct {
    const char *name;
    int streamed;
    const char *bytes, *want;
} cases[] = {
    { "an event", 1, "data: {\"a\":1}\n\n",
      START "text 0 payload : {\"a\":1}\nend\n" },
    { "a name, CRLF, no space", 1, "event: x\r\ndata:[1]\r\n\r\n",
      START "text 0 payload x: [1]\nend\n" },
    { "CR alone", 1, "data: 1\r\rdata: 2\r\r",
      START "text 0 payload : 1\ntext 0 payload : 2\nend\n" },
    { "data of two lines", 1, "data: {\ndata: }\n\n",
      START "text 0 payload : {\n}\nend\n" },
    { "a BOM and blank lines first", 1, "\xef\xbb\xbf\n\ndata: 1\n\n",
      START "text 0 payload : 1\nend\n" },
    { "the last event may lack its blank line", 1, "data: 1\n\ndata: 2",
      START "text 0 payload : 1\ntext 0 payload : 2\nend\n" },
    { "nothing after [DONE] counts", 1,
      "data: 1\n\ndata: [DONE]\n\ndata: 2\n\n",
      START "text 0 payload : 1\nend\n" },
    { "[DONE] with something behind it", 1, "data: [DONE] \n\ndata: 2\n\n",
      START "end\n" },
    { "comments and empty data are pings", 1,
      ": hello\n\ndata:\n\ndata: 1\n\n",
      "ping\nping\n" START "text 0 payload : 1\nend\n" },
    { "no JSON", 1, "data: 1\n\ndata: oops\n\ndata: 2\n\n",
      START "text 0 payload : 1\n"
      "error BAD_UPSTREAM: The provider's answer is not valid JSON.\n" },
    { "cut short", 1, "data: 1\n\ndata: {\"a\":",
      START "text 0 payload : 1\n"
      "error BAD_UPSTREAM: The provider's answer was truncated.\n" },
    { "a document instead of events", 1, " \n{\"a\":\n\n1}\n",
      START "text 0 whole : {\"a\":\n\n1}\nend\n" },
    { "an array instead of events", 1, "\xef\xbb\xbf[1]",
      START "text 0 whole : [1]\nend\n" },
    { "a document after events", 1,
      "data: 1\n\n: x\n{\"error\":{}}",
      START "text 0 payload : 1\ntext 0 payload : {\"error\":{}}\nend\n" },
    { "a document between events", 1, "data: 1\n\n{\"a\":2}\n\ndata: 3\n\n",
      START "text 0 payload : 1\ntext 0 payload : {\"a\":2}\n"
      "text 0 payload : 3\nend\n" },
    { "HTML instead of events", 1, "<html>\n<body>no\n\n",
      START "end\n" },
    { "nothing at all", 1, "", START "end\n" },
    { "a whole document", 0, " {\"a\":[1]} ",
      START "text 0 whole : {\"a\":[1]}\nend\n" },
    { "a whole document that is none", 0, "<html>",
      "error BAD_UPSTREAM: The provider's answer is not valid JSON.\n" },
    { "a whole document that is cut", 0, "{\"a\":[1",
      "error BAD_UPSTREAM: The provider's answer is not valid JSON.\n" },
    { "an empty whole document", 0, "",
      "error BAD_UPSTREAM: The provider's answer is not valid JSON.\n" }
};

static void framing(apr_pool_t *p)
{
    unsigned int i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *bytes = cases[i].bytes;

        is_str(transcribe(p, &toy, cases[i].streamed, bytes, strlen(bytes),
                          -1), cases[i].want, cases[i].name);
        ok(same_at_every_cut(p, &toy, cases[i].streamed, bytes),
           "... at every cut");
    }
}

/* ---- lines ----------------------------------------------------------- */

#define NO_JSON "error BAD_UPSTREAM: The provider's answer is not valid JSON.\n"

static const struct {
    const char *name, *bytes, *want;
} liners[] = {
    { "lines", "{\"a\":1}\n[2]\n",
      START "text 0 payload : {\"a\":1}\ntext 0 payload : [2]\nend\n" },
    { "CRLF, blank lines, spaces", "\r\n1 \r\n\n \t\n 2\r\n",
      START "text 0 payload : 1\ntext 0 payload : 2\nend\n" },
    { "the last line may lack its end", "1\n2",
      START "text 0 payload : 1\ntext 0 payload : 2\nend\n" },
    { "the last line is cut short", "1\n{\"a\":",
      START "text 0 payload : 1\n"
      "error BAD_UPSTREAM: The provider's answer was truncated.\n" },
    { "a line that is none", "1\n{\"a\":\n1}\n",
      START "text 0 payload : 1\n" NO_JSON },
    { "a document in several lines", "\n{\"a\":\n\n1}\n",
      START "text 0 whole : {\"a\":\n\n1}\nend\n" },
    { "several lines that are none", "{\"a\":\n1\n", NO_JSON },
    { "an event stream is none", "data: 1\n\n", NO_JSON },
    { "nothing", "", START "end\n" }
};

/* The head's word for it makes no difference. */
static void lines(apr_pool_t *p)
{
    unsigned int i;
    int streamed;

    for (i = 0; i < sizeof(liners) / sizeof(liners[0]); i++) {
        const char *bytes = liners[i].bytes;

        for (streamed = 0; streamed < 2; streamed++) {
            is_str(transcribe(p, &liner, streamed, bytes, strlen(bytes), -1),
                   liners[i].want, liners[i].name);
            ok(same_at_every_cut(p, &liner, streamed, bytes),
               "... at every cut");
        }
    }
}

/* ---- frames ---------------------------------------------------------- */

static void drop(void *baton, const llmux_event_t *ev)
{
}

static void note_frame(void *baton, llmux_slice_t raw, int done, int comment)
{
    llmux_buf_addf(baton, "%s%s[", done ? "done" : "",
                   comment ? "comment" : "");
    llmux_buf_add_slice(baton, raw);
    llmux_buf_adds(baton, "]");
}

static const char *frames(apr_pool_t *p, const llmux_dialect_t *dialect,
                          const char *bytes)
{
    llmux_buf_t *b = llmux_buf_create(p, 4096);
    llmux_stream_t *s = llmux_stream_open(p, &test_env, dialect, 1, drop,
                                          note_frame, b);

    llmux_stream_feed(s, bytes, strlen(bytes));
    llmux_stream_end(s);
    return llmux_buf_slice(b).data;
}

static void raw_bytes(apr_pool_t *p)
{
    is_str(frames(p, &toy, ": c\n\nevent: a\ndata: 1\r\n\r\ndata: [DONE]\n\nx"),
           "comment[: c\n\n][event: a\ndata: 1\r\n\r\n]"
           "done[data: [DONE]\n\n]",
           "each event of the wire is shown as it came, up to the end");
    is_str(frames(p, &toy, "data: 1\n\ndata: {\n\ndata: 2\n\n"),
           "[data: 1\n\n]", "an event that is no JSON is not passed on");
    is_str(frames(p, &liner, "1\r\n\n2"), "[1\r\n][2]",
           "of lines each that says something");
}

/* ---- the rules of order ---------------------------------------------- */

static void order(apr_pool_t *p)
{
    llmux_buf_t *b = llmux_buf_create(p, 4096);
    llmux_decoder_t *d = toy_decoder(p, &test_env, note_event, b);
    llmux_event_t start = { .kind = LLMUX_EV_START };
    llmux_event_t text = { .kind = LLMUX_EV_TEXT };

    start.id = llmux_slice("a");
    llmux_decoder_emit(d, &start);
    llmux_decoder_emit(d, &start);
    llmux_decoder_emit(d, &text);
    llmux_decoder_fail(d, LLMUX_ERR_TIMEOUT, "late");
    llmux_decoder_fail(d, LLMUX_ERR_INTERNAL, "later");
    toy_end(d);
    is_str(llmux_buf_slice(b).data,
           "start a 0\ntext 0\nerror TIMEOUT: late\n",
           "one START, one end, nothing after it");
    is_str(transcribe(p, &lazy, 1, "data: 1\n\n", 9, -1),
           START "text 0 payload : 1\n"
           "error BAD_UPSTREAM: The provider's answer was truncated.\n",
           "a decoder that forgets the end is helped out");
}

static void state(apr_pool_t *p)
{
    llmux_stream_t *s = llmux_stream_open(p, &test_env, &toy, 1, drop, NULL,
                                          NULL);

    llmux_stream_feed(s, "data: 1\n\n", 9);
    ok(!llmux_stream_ended(s), "after an event it has not ended");
    llmux_stream_feed(s, "data: [DONE]\n\n", 14);
    ok(llmux_stream_ended(s), "with [DONE] it has");

    s = llmux_stream_open(p, &test_env, &toy, 0, drop, NULL, NULL);
    llmux_stream_feed(s, "{\"a\"", 4);
    llmux_stream_feed(s, ":1}", 3);
    is_str(llmux_slice_str(p, llmux_stream_body(s)), "{\"a\":1}",
           "a whole body can be had as it came");
}

/* ---- limits ---------------------------------------------------------- */

static const char *flood(apr_pool_t *p, const llmux_dialect_t *dialect,
                         int streamed, const char *first, apr_size_t max)
{
    llmux_buf_t *b = llmux_buf_create(p, 4096);
    llmux_stream_t *s = llmux_stream_open(p, &test_env, dialect, streamed,
                                          note_event, NULL, b);
    apr_size_t n, chunk = 1 << 20;
    char *fill = apr_palloc(p, chunk);

    memset(fill, 'x', chunk);
    llmux_stream_feed(s, first, strlen(first));
    for (n = 0; n <= max; n += chunk) {
        llmux_stream_feed(s, fill, chunk);
    }
    llmux_stream_end(s);
    return llmux_buf_slice(b).data;
}

static void limits(apr_pool_t *p)
{
    is_str(flood(p, &toy, 1, "data: \"", LLMUX_EVENT_MAX),
           "error BAD_UPSTREAM: An event of the provider's answer is too "
           "long.\n", "an event has a maximum");
    is_str(flood(p, &liner, 1, "1\n\"", LLMUX_EVENT_MAX),
           START "text 0 payload : 1\nerror BAD_UPSTREAM: An event of the "
           "provider's answer is too long.\n", "and so has a line");
    is_str(flood(p, &toy, 0, "\"", LLMUX_ANSWER_MAX),
           "error BAD_UPSTREAM: The provider's answer is too long.\n",
           "a whole answer has a maximum");
    is_str(flood(p, &liner, 1, "\"", LLMUX_ANSWER_MAX),
           "error BAD_UPSTREAM: The provider's answer is too long.\n",
           "... also in one line");
}

/* ---- usage ----------------------------------------------------------- */

static void usage(void)
{
    llmux_usage_t a = LLMUX_USAGE_NONE, b = LLMUX_USAGE_NONE;

    is_int(llmux_usage_input(&a), -1, "nothing reported is not 0");
    is_int(llmux_usage_output(&a), -1, "... on either side");
    a.input = 10;
    a.cache_read = 5;
    b.cache_read = 7;
    b.reasoning = 0;
    llmux_usage_merge(&a, &b);
    is_int(a.cache_read, 7, "a later report replaces");
    is_int(a.input, 10, "... but only what it reports");
    is_int(llmux_usage_input(&a), 17, "the parts add up");
    is_int(llmux_usage_output(&a), 0, "0 reported is 0");
    a.input = a.cache_write = APR_INT64_MAX;
    is_int(llmux_usage_input(&a), APR_INT64_MAX, "sums do not overflow");
}

int main(void)
{
    apr_pool_t *p;

    apr_initialize();
    apr_pool_create(&p, NULL);
    framing(p);
    lines(p);
    raw_bytes(p);
    order(p);
    state(p);
    limits(p);
    usage();
    apr_pool_destroy(p);
    return tap_done();
}
