/* demo.c - the provider inside the process says what it should. */

#include <stdlib.h>

#include <apr_strings.h>

#include "llmux/transport.h"
#include "tap.h"
#include "upstream.h"

static apr_pool_t *pool;

static const llmux_upstream_t near = { .proxy = "" };

static outcome_t ask_at(const char *url, const char *body)
{
    llmux_request_t rq = { &near, url, NULL, llmux_slice(body) };
    outcome_t o = { 0 };

    drive_to_end(pool, &rq, &o);
    return o;
}

static outcome_t ask(const char *body)
{
    return ask_at("demo:///v1/chat/completions", body);
}

#define USER(text) "\"model\":\"m-1\",\"messages\":[{\"role\":\"user\"," \
                   "\"content\":" text "}]"

static const llmux_json_t *json_of(const outcome_t *o)
{
    return llmux_json_parse(pool, llmux_buf_slice(o->body), 0, NULL);
}

/* A value by its path, such as "choices/0/message/content"; null as "". */
static const char *at(const llmux_json_t *v, const char *path)
{
    char *step, *state = NULL, *copy = apr_pstrdup(pool, path);

    for (step = apr_strtok(copy, "/", &state); step && v;
         step = apr_strtok(NULL, "/", &state)) {
        v = llmux_json_kind(v) == LLMUX_JSON_ARRAY
            ? llmux_json_at(v, (int)apr_atoi64(step))
            : llmux_json_get(v, step);
    }
    return llmux_json_kind(v) == LLMUX_JSON_STRING
           ? llmux_json_cstr(pool, v)
           : llmux_slice_str(pool, llmux_json_raw(v));
}

/* ---- whole answers ---------------------------------------------------- */

#define TEXT   "choices/0/message/content"
#define FINISH "choices/0/finish_reason"
#define CALL   "choices/0/message/tool_calls/0/"
#define TOOLS  ",\"tools\":[{\"type\":\"function\",\"function\":{" \
    "\"name\":\"weather\",\"parameters\":{\"type\":\"object\"," \
    "\"properties\":{\"city\":{\"type\":\"string\"}," \
    "\"unit\":{\"enum\":[\"C\",\"F\"]},\"days\":{\"type\":\"integer\"}}," \
    "\"required\":[\"city\",\"unit\"]}}},{\"type\":\"function\"," \
    "\"function\":{\"name\":\"clock\"}},{\"type\":\"custom\"," \
    "\"custom\":{\"name\":\"shell\"}}]"
#define NAMED(name) ",\"tool_choice\":{\"type\":\"function\"," \
    "\"function\":{\"name\":\"" name "\"}}"
#define SCHEMA(s) ",\"response_format\":{\"type\":\"json_schema\"," \
    "\"json_schema\":{\"name\":\"s\",\"schema\":" s "}}"

static const struct { const char *name, *body, *path, *want; } cases[] = {
    { "echo", "{" USER("\"hello there\"") "}", TEXT, "You said: hello there" },
    { "echo: finish", "{" USER("\"hello\"") "}", FINISH, "stop" },
    { "echo: object", "{" USER("\"x\"") "}", "object", "chat.completion" },
    { "echo: model", "{" USER("\"x\"") "}", "model", "m-1" },
    { "usage in", "{" USER("\"a b  c\"") "}", "usage/prompt_tokens", "3" },
    { "usage out", "{" USER("\"a b  c\"") "}", "usage/completion_tokens",
      "5" },
    { "usage total", "{" USER("\"a b  c\"") "}", "usage/total_tokens", "8" },
    { "parts", "{" USER("[{\"type\":\"text\",\"text\":\"a\"},"
      "{\"type\":\"text\",\"text\":\"b\"}]") "}", TEXT, "You said: a\nb" },
    { "images", "{" USER("[{\"type\":\"text\",\"text\":\"a\"},"
      "{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\"}},"
      "{\"type\":\"image_url\",\"image_url\":{\"url\":\"y\"}}]") "}", TEXT,
      "You said: a (with 2 images)" },
    { "an image alone", "{" USER("[{\"type\":\"image_url\","
      "\"image_url\":{\"url\":\"x\"}}]") "}", TEXT, "You sent 1 image." },
    { "max_tokens", "{" USER("\"a b c\"") ",\"max_tokens\":3}", TEXT,
      "You said: a" },
    { "max_tokens: finish", "{" USER("\"a b c\"") ",\"max_tokens\":3}",
      FINISH, "length" },
    { "max_completion_tokens: usage", "{" USER("\"a b c\"")
      ",\"max_completion_tokens\":2}", "usage/completion_tokens", "2" },
    { "enough is not too much", "{" USER("\"a\"") ",\"max_tokens\":3}",
      FINISH, "stop" },
    { "stop", "{" USER("\"one two three\"") ",\"stop\":\" two\"}", TEXT,
      "You said: one" },
    { "stops", "{" USER("\"one two three\"") ",\"stop\":[\"zz\",\"t\","
      "\"wo\"]}", TEXT, "You said: one " },
    { "n", "{" USER("\"x\"") ",\"n\":8}", "choices/7/message/content",
      "You said: x" },
    { "n: usage", "{" USER("\"x\"") ",\"n\":2}", "usage/completion_tokens",
      "6" },
    { "tool", "{" USER("\"x\"") TOOLS "}", CALL "function/name", "weather" },
    { "tool: arguments", "{" USER("\"x\"") TOOLS "}",
      CALL "function/arguments", "{\"city\":\"example\",\"unit\":\"C\"}" },
    { "tool: finish", "{" USER("\"x\"") TOOLS "}", FINISH, "tool_calls" },
    { "tool: no content", "{" USER("\"x\"") TOOLS "}", TEXT, "" },
    { "named tool", "{" USER("\"x\"") TOOLS NAMED("clock") "}",
      CALL "function/name", "clock" },
    { "named tool: arguments", "{" USER("\"x\"") TOOLS NAMED("clock") "}",
      CALL "function/arguments", "{}" },
    { "custom tool", "{" USER("\"x\"") TOOLS ",\"tool_choice\":{\"type\":"
      "\"custom\",\"custom\":{\"name\":\"shell\"}}}", CALL "custom/input",
      "example" },
    { "allowed tools", "{" USER("\"x\"") TOOLS ",\"tool_choice\":{\"type\":"
      "\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\",\"tools\":"
      "[{\"type\":\"function\",\"function\":{\"name\":\"clock\"}}]}}}",
      CALL "function/name", "clock" },
    { "tools, but none wanted", "{" USER("\"x\"") TOOLS
      ",\"tool_choice\":\"none\"}", TEXT, "You said: x" },
    { "a named tool that is not there", "{" USER("\"x\"") TOOLS
      NAMED("nope") "}", "error/param", "tool_choice" },
    { "tool result", "{\"model\":\"m\",\"messages\":[{\"role\":\"user\","
      "\"content\":\"x\"},{\"role\":\"assistant\",\"tool_calls\":[]},"
      "{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":"
      "\"12 degrees\"}]" TOOLS "}", TEXT, "12 degrees" },
    { "json_object", "{" USER("\"a \\\"b\\\"\"") ",\"response_format\":"
      "{\"type\":\"json_object\"}}", TEXT, "{\"echo\":\"a \\\"b\\\"\"}" },
    { "schema", "{" USER("\"x\"") SCHEMA("{\"type\":\"object\","
      "\"required\":[\"a\",\"b\",\"c\",\"d\",\"e\"],\"properties\":{"
      "\"a\":{\"type\":\"string\"},\"b\":{\"type\":\"number\"},"
      "\"c\":{\"type\":\"boolean\"},\"d\":{\"type\":\"array\",\"minItems\":2,"
      "\"items\":{\"type\":\"integer\"}},\"e\":{\"type\":[\"null\","
      "\"string\"]},\"f\":{}}}") "}", TEXT,
      "{\"a\":\"example\",\"b\":1,\"c\":true,\"d\":[1,1],\"e\":null}" },
    { "schema: references", "{" USER("\"x\"") SCHEMA("{\"$ref\":"
      "\"#/$defs/A\",\"$defs\":{\"A\":{\"type\":\"object\",\"properties\":{"
      "\"b\":{\"anyOf\":[{\"$ref\":\"#/$defs/B\"},{\"type\":\"null\"}]}},"
      "\"required\":[\"b\"]},\"B\":{\"const\":7}}}") "}", TEXT,
      "{\"b\":7}" },
    { "schema: bounds", "{" USER("\"x\"") SCHEMA("{\"required\":[\"a\","
      "\"b\",\"c\",\"d\",\"e\"],\"properties\":{\"a\":{\"minimum\":5,"
      "\"type\":\"number\"},\"b\":{\"type\":\"integer\","
      "\"exclusiveMaximum\":0},\"c\":{\"type\":\"string\",\"maxLength\":2},"
      "\"d\":{\"type\":\"string\",\"minLength\":9},\"e\":{\"type\":"
      "\"string\",\"format\":\"date\"}}}") "}", TEXT,
      "{\"a\":5,\"b\":-1,\"c\":\"ex\",\"d\":\"examplexx\","
      "\"e\":\"2026-01-01\"}" },
    { "schema without end", "{" USER("\"x\"") SCHEMA("{\"required\":[\"a\","
      "\"b\"],\"properties\":{\"a\":{\"$ref\":\"#\"},\"b\":{\"$ref\":\"#\"}}}")
      "}", "error/param", "response_format" },
    { "reference in a circle", "{" USER("\"x\"") SCHEMA("{\"$ref\":\"#\"}")
      "}", TEXT, "{}" },
    { "too many items", "{" USER("\"x\"") SCHEMA("{\"type\":\"array\","
      "\"minItems\":1000000}") "}", "error/param", "response_format" },
    { "no messages", "{\"model\":\"m\"}", "error/param", "messages" },
    { "no messages in it", "{\"model\":\"m\",\"messages\":[]}",
      "error/param", "messages" },
    { "messages of another kind", "{\"model\":\"m\",\"messages\":{}}",
      "error/param", "messages" },
    { "no role", "{\"model\":\"m\",\"messages\":[{\"role\":\"user\"},{}]}",
      "error/param", "messages[1].role" },
    { "no model", "{\"messages\":[{\"role\":\"user\"}]}", "error/param",
      "model" },
    { "n too big", "{" USER("\"x\"") ",\"n\":9}", "error/param", "n" },
    { "max_tokens too small", "{" USER("\"x\"") ",\"max_tokens\":0}",
      "error/param", "max_tokens" },
    { "not an object", "[]", "error/type", "invalid_request_error" },
    { "not JSON", "{\"model\":", "error/type", "invalid_request_error" },
    { "not JSON: param", "{\"model\":", "error/param", "" },
    { "nothing", "", "error/type", "invalid_request_error" }
};

static void test_whole(void)
{
    size_t i;
    outcome_t o;
    const llmux_json_t *v;
    int status;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        o = ask(cases[i].body);
        v = json_of(&o);
        status = strncmp(cases[i].path, "error", 5) ? 200 : 400;
        is_str(at(v, cases[i].path), cases[i].want, cases[i].name);
        if (o.end != LLMUX_STEP_DONE || o.status != status || o.heads != 1
            || strcmp(o.type, "application/json")) {
            ok(0, "%s: status %d, type %s", cases[i].name, o.status, o.type);
        }
    }
    o = ask("{" USER("null") "}");
    ok(strstr(at(json_of(&o), TEXT), "demo provider") != NULL,
       "asked nothing, it says who it is");
    o = ask_at("demo:///v1/embeddings", "{}");
    is_int(o.status, 404, "it does one thing only");
    o = ask_at("demo:///v1/chat/completions?a=b", NULL);
    is_int(o.status, 405, "and not with GET");
}

static void test_big(void)
{
    char *word = apr_palloc(pool, 200001);
    outcome_t o;

    memset(word, 'w', 200000);
    word[200000] = '\0';
    o = ask(apr_pstrcat(pool, "{\"model\":\"m\",\"messages\":[{\"role\":"
                        "\"user\",\"content\":\"", word, "\"}]}", NULL));
    ok(strlen(at(json_of(&o), TEXT)) == 200010 && o.most <= 16384
       && o.steps > 10, "a long answer comes a read at a time");
}

/* ---- streams ---------------------------------------------------------- */

/* What a client gets out of a stream. */
typedef struct stream_t {
    int chunks, roles, usages, nulls, done, bad;
    llmux_buf_t *text[2], *args, *finish;
    const char *tool, *usage;
} stream_t;

static int on_event(void *baton, const llmux_sse_event_t *ev)
{
    stream_t *s = baton;
    const llmux_json_t *v, *c, *d;
    int i;

    if (llmux_slice_is(ev->data, "[DONE]")) {
        s->done++;
        return 1;
    }
    v = llmux_json_parse(pool, llmux_slice_dup(pool, ev->data), 0, NULL);
    s->chunks++;
    s->bad += !v || s->done
              || strcmp(at(v, "object"), "chat.completion.chunk");
    s->nulls += llmux_json_get_any(v, "usage") && !llmux_json_get(v, "usage");
    if (llmux_json_get(v, "usage")) {
        s->usages++;
        s->usage = at(v, "usage/completion_tokens");
        s->bad += llmux_json_count(llmux_json_get(v, "choices"));
        return 1;
    }
    c = llmux_json_at(llmux_json_get(v, "choices"), 0);
    d = llmux_json_get(c, "delta");
    i = (int)llmux_json_int(llmux_json_get(c, "index"), 0) & 1;
    s->roles += llmux_json_get(d, "role") != NULL;
    llmux_buf_adds(s->text[i], at(d, "content"));
    llmux_buf_adds(s->args, at(d, "tool_calls/0/function/arguments"));
    llmux_buf_adds(s->finish, at(c, "finish_reason"));
    if (*at(d, "tool_calls/0/id")) {
        s->tool = at(d, "tool_calls/0/function/name");
    }
    return 1;
}

static stream_t stream_of(const outcome_t *o)
{
    stream_t s = { .tool = "", .usage = "" };
    llmux_sse_t *sse = llmux_sse_create(pool, 1 << 20, on_event, &s);
    int i;

    for (i = 0; i < 2; i++) {
        s.text[i] = llmux_buf_create(pool, 1 << 20);
    }
    s.args = llmux_buf_create(pool, 1 << 20);
    s.finish = llmux_buf_create(pool, 1 << 20);
    s.bad = llmux_sse_feed(sse, o->body->data, o->body->len) != APR_SUCCESS;
    s.bad += !llmux_sse_at_border(sse);
    return s;
}

static const char *str(const llmux_buf_t *b)
{
    return llmux_slice_str(pool, llmux_buf_slice(b));
}

static void test_stream(void)
{
    outcome_t o = ask("{" USER("\"one two three\"") ",\"stream\":true}");
    stream_t s = stream_of(&o);

    ok(!strncmp(o.type, "text/event-stream", 17) && !s.bad && s.done == 1,
       "a stream ends with [DONE]");
    is_str(str(s.text[0]), "You said: one two three", "word by word");
    is_int(s.chunks, 7, "role, five words, the end");
    ok(s.roles == 1 && !s.usages && !s.nulls, "one role, no usage unasked");
    is_str(str(s.finish), "stop", "one reason");
    ok(o.took >= 7 * 20000 && o.took < 1000000, "at its pace (%ld us)",
       (long)o.took);

    o = ask("{" USER("\"a\"") ",\"stream\":true,\"n\":2,\"max_tokens\":2,"
            "\"stream_options\":{\"include_usage\":true}}");
    s = stream_of(&o);
    is_str(str(s.text[1]), "You said:", "each choice has its words");
    is_str(str(s.finish), "lengthlength", "and its reason");
    ok(!s.bad && s.usages == 1 && s.nulls == s.chunks - 1 && s.roles == 2,
       "usage comes in a chunk of its own");
    is_str(s.usage, "4", "words of all choices");

    o = ask("{" USER("\"x\"") TOOLS ",\"stream\":true}");
    s = stream_of(&o);
    is_str(s.tool, "weather", "a call is streamed");
    is_str(str(s.args), "{\"city\":\"example\",\"unit\":\"C\"}",
           "its arguments in pieces");
    is_str(str(s.finish), "tool_calls", "and its reason");
    ok(!s.bad && s.chunks >= 5, "in several chunks");

    o = ask("{\"stream\":true}");
    ok(o.status == 400 && !strcmp(o.type, "application/json"),
       "a stream that cannot begin is an error as a whole");
}

/* A character is never cut, however long the word. */
static void test_characters(void)
{
    llmux_buf_t *b = llmux_buf_create(pool, 1 << 20);
    outcome_t o;
    stream_t s;
    int i;

    llmux_buf_adds(b, "{\"model\":\"m\",\"stream\":true,\"messages\":[{"
                      "\"role\":\"user\",\"content\":\"");
    for (i = 0; i < 1500; i++) {
        llmux_buf_adds(b, i % 2 ? "\xe2\x82\xac" : "\xf0\x9f\x98\x80");
    }
    llmux_buf_adds(b, "\"}]}");
    o = ask(b->data);
    s = stream_of(&o);
    ok(!s.bad && s.text[0]->len == 10 + 750 * 7
       && !strstr(o.body->data, "\xef\xbf\xbd"), "characters stay whole");
}

static void test_close(void)
{
    llmux_request_t rq = { &near, "demo:///v1/chat/completions", NULL,
                           llmux_slice("{" USER("\"x\"")
                                       ",\"stream\":true}") };
    outcome_t o = { .leave = 1 };

    drive_to_end(pool, &rq, &o);
    ok(o.end == LLMUX_STEP_AGAIN && o.body->len, "one may leave early");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_whole();
    test_big();
    test_stream();
    test_characters();
    test_close();
    apr_pool_destroy(pool);
    return tap_done();
}
