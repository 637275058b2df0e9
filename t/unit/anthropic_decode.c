/* anthropic_decode.c - answers of Messages become the events they should. */

#include <stdlib.h>

#include "llmux/dialect.h"
#include "tap.h"

#define SIZE_MAX_TEST (1u << 20)

/* ---- a trace of events ----------------------------------------------- */

static void add(llmux_buf_t *out, const char *name, llmux_slice_t s)
{
    if (s.data) {
        llmux_buf_addf(out, " %s=", name);
        llmux_buf_add_slice(out, s);
    }
}

static void add_usage(llmux_buf_t *out, const llmux_usage_t *u)
{
    const struct { const char *name; apr_int64_t n; } counters[] = {
        { "in", u->input }, { "read", u->cache_read },
        { "write", u->cache_write }, { "1h", u->cache_write_1h },
        { "out", u->output }, { "think", u->reasoning }
    };
    int i;

    for (i = 0; i < 6; i++) {
        if (counters[i].n >= 0) {
            llmux_buf_addf(out, " %s=%d", counters[i].name,
                           (int)counters[i].n);
        }
    }
}

static void trace(void *baton, const llmux_event_t *ev)
{
    static const char *const names[] = {
        "start", "block", "text", "think", "refusal", "args", "cite",
        "token", "media", "logprobs", "stop", "usage", "finish", "ping",
        "error", "end"
    };
    llmux_buf_t *out = baton;

    llmux_buf_adds(out, names[ev->kind]);
    if (ev->kind >= LLMUX_EV_BLOCK_START && ev->kind <= LLMUX_EV_BLOCK_STOP) {
        llmux_buf_addf(out, " %d", ev->key);
    }
    if (ev->kind == LLMUX_EV_BLOCK_START || ev->kind == LLMUX_EV_FINISH) {
        llmux_buf_addf(out, " %d", ev->kind == LLMUX_EV_FINISH
                       ? (int)ev->finish : (int)ev->block);
    }
    if (ev->kind == LLMUX_EV_TOKEN) {
        llmux_buf_addf(out, " %d", ev->token.maker);
        add(out, "token", ev->token.bytes);
    }
    add(out, "id", ev->id);
    add(out, "name", ev->name);
    add(out, "tier", ev->tier);
    add(out, "text", ev->text);
    add(out, "stop", ev->stop);
    if (ev->usage) {
        add_usage(out, ev->usage);
    }
    if (ev->cite) {
        llmux_buf_addf(out, " %d-%d", (int)ev->cite->start,
                       (int)ev->cite->end);
        add(out, "url", ev->cite->url);
        add(out, "title", ev->cite->title);
        add(out, "quote", ev->cite->quote);
    }
    if (ev->error) {
        llmux_buf_addf(out, " %d %s", ev->error->kind, ev->error->message);
    }
    llmux_buf_adds(out, "\n");
}

/* The trace of an answer that arrives in pieces: up to `first` bytes, then
 * `step` bytes each. */
static const char *decode(apr_pool_t *p, const char *bytes, int streamed,
                          apr_size_t first, apr_size_t step)
{
    llmux_buf_t *out = llmux_buf_create(p, SIZE_MAX_TEST);
    llmux_stream_t *s = llmux_stream_open(p, llmux_env_process(),
                                          &llmux_dialect_anthropic, streamed,
                                          trace, NULL, out);
    apr_size_t len = strlen(bytes), at = 0, n = first;

    while (at < len) {
        n = n < len - at ? n : len - at;
        llmux_stream_feed(s, bytes + at, n);
        at += n;
        n = step;
    }
    llmux_stream_end(s);
    return llmux_slice_str(p, llmux_buf_slice(out));
}

/* ---- streams --------------------------------------------------------- */

#define EV(name, json) "event: " name "\ndata: {\"type\":\"" name "\"" json \
    "}\n\n"
#define BEGIN EV("message_start", ",\"message\":{\"id\":\"msg_1\",\"type\":" \
    "\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[]," \
    "\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{" \
    "\"input_tokens\":12,\"output_tokens\":1,\"service_tier\":\"standard\"}}")
#define OPEN(i, block) EV("content_block_start", ",\"index\":" #i \
    ",\"content_block\":{" block "}")
#define DELTA(i, delta) EV("content_block_delta", ",\"index\":" #i \
    ",\"delta\":{" delta "}")
#define CLOSE(i) EV("content_block_stop", ",\"index\":" #i)
#define TEXT(s) "\"type\":\"text_delta\",\"text\":\"" s "\""
#define ARGS(s) "\"type\":\"input_json_delta\",\"partial_json\":\"" s "\""
#define REASON(r, s, usage) EV("message_delta", ",\"delta\":{" \
    "\"stop_reason\":\"" r "\",\"stop_sequence\":" s "},\"usage\":{" usage \
    "}")
#define DONE EV("message_stop", "")
#define STARTED "start id=msg_1 name=m tier=default\nusage in=12 out=1\n"
#define HI OPEN(0, "\"type\":\"text\",\"text\":\"\"") DELTA(0, TEXT("Hi")) \
    CLOSE(0)
#define SAID_HI "block 0 0\ntext 0 text=Hi\nstop 0\n"
#define TRUNCATED "error 16 The provider's answer was truncated.\n"

static const struct { const char *name, *bytes, *events; } streams[] = {
    { "text, with pings and a multibyte character",
      BEGIN EV("ping", "") OPEN(0, "\"type\":\"text\",\"text\":\"\"")
      DELTA(0, TEXT("Gr\xc3\xbc\xc3\x9f")) EV("ping", "")
      DELTA(0, TEXT("\\ud83d\\ude00")) CLOSE(0)
      REASON("end_turn", "null", "\"output_tokens\":30") DONE,
      STARTED "ping\nblock 0 0\ntext 0 text=Gr\xc3\xbc\xc3\x9f\nping\n"
      "text 0 text=\xf0\x9f\x98\x80\nstop 0\nusage in=12 out=30\n"
      "finish 0 text=end_turn\nend\n" },

    { "thinking with its signature, a redacted one, then text",
      BEGIN OPEN(0, "\"type\":\"thinking\",\"thinking\":\"\",\"signature\":"
                 "\"\"")
      DELTA(0, "\"type\":\"thinking_delta\",\"thinking\":\"Hm\"")
      DELTA(0, "\"type\":\"signature_delta\",\"signature\":\"EqQB\"")
      CLOSE(0) OPEN(1, "\"type\":\"redacted_thinking\",\"data\":\"EmwK\"")
      CLOSE(1) OPEN(2, "\"type\":\"text\",\"text\":\"\"") DELTA(2, TEXT("x"))
      CLOSE(2)
      REASON("end_turn", "null", "\"output_tokens\":30,"
             "\"output_tokens_details\":{\"thinking_tokens\":20}") DONE,
      STARTED "block 0 4\nthink 0 text=Hm\ntoken 0 1 token=EqQB\nstop 0\n"
      "block 1 4\ntoken 1 2 token=EmwK\nstop 1\nblock 2 0\ntext 2 text=x\n"
      "stop 2\nusage in=12 out=10 think=20\nfinish 0 text=end_turn\nend\n" },

    { "a signature without a word of thinking is kept",
      BEGIN OPEN(0, "\"type\":\"thinking\",\"thinking\":\"\"")
      DELTA(0, "\"type\":\"signature_delta\",\"signature\":\"S\"") CLOSE(0)
      REASON("end_turn", "null", "") DONE,
      STARTED "block 0 4\ntoken 0 1 token=S\nstop 0\nusage in=12 out=1\n"
      "finish 0 text=end_turn\nend\n" },

    { "parallel calls, interleaved; one without arguments, one said at once",
      BEGIN OPEN(1, "\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\","
                 "\"input\":{}")
      OPEN(2, "\"type\":\"tool_use\",\"id\":\"b\",\"name\":\"g\",\"input\":{}")
      DELTA(1, ARGS("")) DELTA(1, ARGS("{\\\"x\\\":")) DELTA(2, ARGS(""))
      DELTA(1, ARGS("1}")) CLOSE(1) CLOSE(2)
      OPEN(3, "\"type\":\"tool_use\",\"id\":\"c\",\"name\":\"h\","
           "\"input\":{\"y\": 2}") CLOSE(3)
      REASON("tool_use", "null", "\"output_tokens\":9") DONE,
      STARTED "block 0 2 id=a name=f\nblock 1 2 id=b name=g\n"
      "args 0 text={\"x\":\nargs 0 text=1}\nstop 0\nstop 1\n"
      "block 2 2 id=c name=h\nargs 2 text={\"y\": 2}\nstop 2\n"
      "usage in=12 out=9\nfinish 4 text=tool_use\nend\n" },

    { "pieces count for more than what the start said",
      BEGIN OPEN(0, "\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\","
                 "\"input\":{\"x\":1}")
      DELTA(0, ARGS("{\\\"x\\\":2}")) CLOSE(0)
      REASON("tool_use", "null", "") DONE,
      STARTED "block 0 2 id=a name=f\nargs 0 text={\"x\":2}\nstop 0\n"
      "usage in=12 out=1\nfinish 4 text=tool_use\nend\n" },

    { "what the server runs for itself is none of the client's calls",
      BEGIN OPEN(0, "\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":"
                 "\"web_search\",\"input\":{\"q\":1}")
      DELTA(0, ARGS("{}")) CLOSE(0)
      OPEN(1, "\"type\":\"web_search_tool_result\",\"content\":[]") CLOSE(1)
      OPEN(2, "\"type\":\"novelty\",\"text\":\"no\"")
      DELTA(2, "\"type\":\"text_delta\",\"text\":\"no\"") CLOSE(2)
      OPEN(3, "\"type\":\"text\",\"text\":\"yes\"") CLOSE(3)
      REASON("pause_turn", "null", "") DONE,
      STARTED "block 0 0\ntext 0 text=yes\nstop 0\nusage in=12 out=1\n"
      "finish 8 text=pause_turn\nend\n" },

    { "citations stand for their block, counted in characters",
      BEGIN OPEN(0, "\"type\":\"text\",\"text\":\"\"")
      DELTA(0, TEXT("\xc3\xbc\xc3\xbc")) CLOSE(0)
      OPEN(1, "\"type\":\"text\",\"text\":\"\",\"citations\":[]")
      DELTA(1, "\"type\":\"citations_delta\",\"citation\":{\"type\":"
            "\"web_search_result_location\",\"url\":\"http://u\",\"title\":"
            "\"T\",\"cited_text\":\"q\"}")
      DELTA(1, TEXT("abc"))
      DELTA(1, "\"type\":\"citations_delta\",\"citation\":{\"type\":"
            "\"char_location\",\"document_title\":\"D\",\"cited_text\":\"r\","
            "\"start_char_index\":7}") CLOSE(1)
      REASON("end_turn", "null", "") DONE,
      STARTED "block 0 0\ntext 0 text=\xc3\xbc\xc3\xbc\nstop 0\nblock 1 0\n"
      "text 1 text=abc\ncite 1 2-5 url=http://u title=T quote=q\n"
      "cite 1 2-5 title=D quote=r\nstop 1\nusage in=12 out=1\n"
      "finish 0 text=end_turn\nend\n" },

    { "usage is set, not added; what is absent or null stays",
      BEGIN REASON("end_turn", "null", "\"input_tokens\":13,"
                   "\"cache_read_input_tokens\":5,"
                   "\"cache_creation_input_tokens\":7,\"cache_creation\":{"
                   "\"ephemeral_1h_input_tokens\":3},\"output_tokens\":30")
      EV("message_delta", ",\"delta\":{},\"usage\":{\"input_tokens\":null,"
         "\"output_tokens\":31}")
      EV("message_delta", ",\"delta\":{\"stop_reason\":null}") DONE,
      STARTED "usage in=13 read=5 write=7 1h=3 out=30\n"
      "usage in=13 read=5 write=7 1h=3 out=31\nfinish 0 text=end_turn\n"
      "end\n" },

    { "the stop sequence that matched",
      BEGIN HI REASON("stop_sequence", "\"END\"", "") DONE,
      STARTED SAID_HI "usage in=12 out=1\n"
      "finish 1 text=stop_sequence stop=END\nend\n" },

    { "a refusal without content",
      BEGIN REASON("refusal", "null", "") DONE,
      STARTED "usage in=12 out=1\nfinish 6 text=refusal\nend\n" },

    { "out of tokens", BEGIN HI REASON("max_tokens", "null", "") DONE,
      STARTED SAID_HI "usage in=12 out=1\nfinish 2 text=max_tokens\nend\n" },

    { "out of context",
      BEGIN REASON("model_context_window_exceeded", "null", "") DONE,
      STARTED "usage in=12 out=1\n"
      "finish 3 text=model_context_window_exceeded\nend\n" },

    { "a reason that nobody knows yet",
      BEGIN REASON("bored", "null", "") DONE,
      STARTED "usage in=12 out=1\nfinish 9 text=bored\nend\n" },

    { "the same start again is ignored",
      BEGIN BEGIN HI REASON("end_turn", "null", "") DONE,
      STARTED SAID_HI "usage in=12 out=1\nfinish 0 text=end_turn\nend\n" },

    { "the start of another answer is not",
      BEGIN HI EV("message_start", ",\"message\":{\"id\":\"msg_2\"}") HI,
      STARTED SAID_HI
      "error 16 The provider began another answer inside this one.\n" },

    { "overloaded in the middle",
      BEGIN HI EV("error", ",\"error\":{\"type\":\"overloaded_error\","
                  "\"message\":\"Overloaded\"}") HI,
      STARTED SAID_HI "error 17 Overloaded\n" },

    { "an error before anything else",
      EV("error", ",\"error\":{\"type\":\"rate_limit_error\",\"message\":"
         "\"Slow down\"}"),
      "error 14 Slow down\n" },

    { "cut off inside the text", BEGIN
      OPEN(0, "\"type\":\"text\",\"text\":\"\"") DELTA(0, TEXT("H")),
      STARTED "block 0 0\ntext 0 text=H\n" TRUNCATED },

    { "an end without a reason is none", BEGIN HI DONE,
      STARTED SAID_HI TRUNCATED },

    { "a reason is enough of an end",
      BEGIN HI REASON("end_turn", "null", ""),
      STARTED SAID_HI "usage in=12 out=1\nfinish 0 text=end_turn\nend\n" },

    { "blocks that nobody opened or closed",
      BEGIN DELTA(5, TEXT("lost")) CLOSE(5)
      EV("content_block_start", ",\"content_block\":{\"type\":\"text\"}")
      OPEN(0, "\"type\":\"text\",\"text\":\"a\"")
      OPEN(0, "\"type\":\"text\",\"text\":\"b\"")
      EV("novelty", ",\"x\":[1]") REASON("end_turn", "null", "") DONE,
      STARTED "block 0 0\ntext 0 text=a\nstop 0\nblock 1 0\ntext 1 text=b\n"
      "usage in=12 out=1\nstop 1\nfinish 0 text=end_turn\nend\n" },

    { "a start that brings content",
      EV("message_start", ",\"message\":{\"id\":\"i\",\"model\":\"m\","
         "\"content\":[{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\","
         "\"input\":{\"x\":1}}],\"stop_reason\":\"tool_use\"}") DONE,
      "start id=i name=m\nblock 0 2 id=a name=f\nargs 0 text={\"x\":1}\n"
      "stop 0\nfinish 4 text=tool_use\nend\n" },

    { "nothing at all", "", TRUNCATED },
};

static void test_streams(apr_pool_t *parent)
{
    apr_size_t i, cut;
    apr_pool_t *p;

    for (i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        const char *bytes = streams[i].bytes, *want = streams[i].events;
        apr_size_t len = strlen(bytes), good = 0;

        apr_pool_create(&p, parent);
        is_str(decode(p, bytes, 1, len, 1), want, streams[i].name);
        for (cut = 0; cut < len; cut++) {
            apr_pool_clear(p);
            good += !strcmp(decode(p, bytes, 1, cut, len), want);
        }
        good += !strcmp(decode(p, bytes, 1, 1, 1), want);
        is_int((int)good, (int)len + 1, "  ... wherever it is cut");
        apr_pool_destroy(p);
    }
}

/* ---- whole answers --------------------------------------------------- */

#define MESSAGE(content, rest) "{\"id\":\"msg_1\",\"type\":\"message\"," \
    "\"role\":\"assistant\",\"model\":\"m\",\"content\":[" content "]," rest \
    ",\"usage\":{\"input_tokens\":12,\"output_tokens\":1," \
    "\"service_tier\":\"priority\"}}"
#define BEGUN "start id=msg_1 name=m tier=priority\n"

static const struct { const char *name, *bytes, *events; } wholes[] = {
    { "all kinds of blocks in one document",
      MESSAGE("{\"type\":\"thinking\",\"thinking\":\"Hm\",\"signature\":"
              "\"S\"},{\"type\":\"redacted_thinking\",\"data\":\"R\"},"
              "{\"type\":\"text\",\"text\":\"Hi\",\"citations\":[{\"type\":"
              "\"search_result_location\",\"source\":\"s\",\"title\":null,"
              "\"cited_text\":\"q\"}]},{\"type\":\"server_tool_use\"},"
              "{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":"
              "{\"x\":1}},{\"type\":\"tool_use\",\"id\":\"b\",\"name\":"
              "\"g\",\"input\":{}}", "\"stop_reason\":\"tool_use\""),
      BEGUN "block 0 4\nthink 0 text=Hm\ntoken 0 1 token=S\nstop 0\n"
      "block 1 4\ntoken 1 2 token=R\nstop 1\nblock 2 0\ntext 2 text=Hi\n"
      "cite 2 0-2 url=s quote=q\nstop 2\nblock 3 2 id=a name=f\n"
      "args 3 text={\"x\":1}\nstop 3\nblock 4 2 id=b name=g\nstop 4\n"
      "usage in=12 out=1\nfinish 4 text=tool_use\nend\n" },
    { "a refusal", MESSAGE("", "\"stop_reason\":\"refusal\""),
      BEGUN "usage in=12 out=1\nfinish 6 text=refusal\nend\n" },
    { "no reason to stop", MESSAGE("", "\"stop_reason\":null"),
      BEGUN "usage in=12 out=1\n" TRUNCATED },
    { "an error with status 200", "{\"type\":\"error\",\"error\":{\"type\":"
      "\"api_error\",\"message\":\"Oops\"}}", "error 15 Oops\n" },
    { "something else", "{\"hello\":1}",
      "error 16 The provider's answer is not a message.\n" },
    { "no object", "[1]",
      "error 16 The provider's answer is not a message.\n" }
};

static void test_wholes(apr_pool_t *p)
{
    apr_size_t i;

    for (i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++) {
        is_str(decode(p, wholes[i].bytes, 0, 7, 5), wholes[i].events,
               wholes[i].name);
    }
}

/* ---- limits ---------------------------------------------------------- */

static void test_limits(apr_pool_t *p)
{
    llmux_buf_t *all = llmux_buf_create(p, SIZE_MAX_TEST);
    const char *got;
    int i;

    llmux_buf_adds(all, BEGIN);
    for (i = 0; i <= LLMUX_BLOCKS_MAX; i++) {
        llmux_buf_adds(all, OPEN(0, "\"type\":\"text\""));
    }
    got = decode(p, all->data, 1, all->len, all->len);
    ok(strstr(got, "error 16 The provider's answer has too many blocks.\n")
       != NULL, "blocks without end are refused");

    llmux_buf_reset(all);
    llmux_buf_adds(all, BEGIN);
    for (i = 0; i < 100; i++) {
        llmux_buf_addf(all, EV("content_block_start", ",\"index\":%d,"
                               "\"content_block\":{\"type\":\"text\"}"), i);
    }
    got = decode(p, all->data, 1, all->len, all->len);
    ok(strstr(got, "too many blocks") != NULL, "so are open ones");
}

/* ---- errors ---------------------------------------------------------- */

#define ERROR(type, message) "{\"type\":\"error\",\"error\":{\"type\":\"" \
    type "\",\"message\":\"" message "\"},\"request_id\":\"req_1\"}"

static const struct {
    int status;
    const char *body;
    llmux_error_e kind;
    const char *message;
} errors[] = {
    { 400, ERROR("invalid_request_error", "x"), LLMUX_ERR_INVALID, "x" },
    { 400, ERROR("invalid_request_error", "prompt is too long: 9 > 8"),
      LLMUX_ERR_CONTEXT, "prompt is too long: 9 > 8" },
    { 400, ERROR("invalid_request_error", "input length and `max_tokens` "
                 "exceed context limit: 1 + 2 > 2"), LLMUX_ERR_CONTEXT,
      "input length and `max_tokens` exceed context limit: 1 + 2 > 2" },
    { 400, ERROR("invalid_request_error", "Your credit balance is too low"),
      LLMUX_ERR_BILLING, "Your credit balance is too low" },
    { 400, ERROR("invalid_request_error", "Output blocked by content "
                 "filtering policy"), LLMUX_ERR_BLOCKED,
      "Output blocked by content filtering policy" },
    { 401, ERROR("authentication_error", "x"), LLMUX_ERR_AUTH, "x" },
    { 402, ERROR("billing_error", "x"), LLMUX_ERR_BILLING, "x" },
    { 403, ERROR("permission_error", "x"), LLMUX_ERR_PERMISSION, "x" },
    { 404, ERROR("not_found_error", "model: m"), LLMUX_ERR_MODEL,
      "model: m" },
    { 404, ERROR("not_found_error", "x"), LLMUX_ERR_NOT_FOUND, "x" },
    { 409, ERROR("conflict_error", "x"), LLMUX_ERR_CONFLICT, "x" },
    { 413, ERROR("request_too_large", "x"), LLMUX_ERR_TOO_LARGE, "x" },
    { 413, NULL, LLMUX_ERR_TOO_LARGE, NULL },
    { 429, ERROR("rate_limit_error", "x"), LLMUX_ERR_RATE_LIMIT, "x" },
    { 500, ERROR("api_error", "x"), LLMUX_ERR_INTERNAL, "x" },
    { 504, ERROR("timeout_error", "x"), LLMUX_ERR_TIMEOUT, "x" },
    { 529, ERROR("overloaded_error", "x"), LLMUX_ERR_OVERLOADED, "x" },
    { 529, NULL, LLMUX_ERR_OVERLOADED, NULL },
    { 0, ERROR("overloaded_error", "x"), LLMUX_ERR_OVERLOADED, "x" },
    { 0, ERROR("api_error", "x"), LLMUX_ERR_INTERNAL, "x" },
    { 418, "{\"error\":\"teapot\"}", LLMUX_ERR_INVALID, "teapot" },
    { 503, "[]", LLMUX_ERR_OVERLOADED, NULL }
};

static void test_errors(apr_pool_t *p)
{
    apr_size_t i;

    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        const llmux_json_t *body = errors[i].body
            ? llmux_json_parse(p, llmux_slice(errors[i].body), 0, NULL)
            : NULL;
        llmux_error_t *err
            = llmux_dialect_anthropic.error_read(p, errors[i].status, body);

        ok(err->kind == errors[i].kind
           && (!errors[i].message
               || !strcmp(err->message, errors[i].message)),
           "status %d %s is kind %d (%d: %s)", errors[i].status,
           errors[i].body ? errors[i].body : "without a body",
           errors[i].kind, err->kind, err->message);
    }
}

static void test_error_write(apr_pool_t *p)
{
    llmux_buf_t *out = llmux_buf_create(p, SIZE_MAX_TEST);
    llmux_error_t *err = llmux_error(p, LLMUX_ERR_OVERLOADED, NULL,
                                     "%s", "Say \"please\".");

    llmux_dialect_anthropic.error_write(out, err, "req_1");
    is_str(out->data, "{\"type\":\"error\",\"error\":{\"type\":"
           "\"overloaded_error\",\"message\":\"Say \\\"please\\\".\"},"
           "\"request_id\":\"req_1\"}", "an error body");
    llmux_buf_reset(out);
    llmux_dialect_anthropic.error_write(out, err, NULL);
    ok(strstr(out->data, "\"request_id\":null}") != NULL,
       "an error body without a request id");
}

int main(void)
{
    apr_pool_t *p;

    apr_initialize();
    apr_pool_create(&p, NULL);
    test_streams(p);
    test_wholes(p);
    test_limits(p);
    test_errors(p);
    test_error_write(p);
    apr_pool_destroy(p);
    return tap_done();
}
