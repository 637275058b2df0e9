/* chat_write.c - fuzzes what is written for Cohere's /v2/chat and Ollama's
 * /api/chat. The first byte says for which of them, whose client the body is
 * from and what the server can; the others are the body. What the servers
 * refuse, or take for something else, must never be written.
 *
 * covers: src/dialect/cohere_write.c src/dialect/cohere_messages.c
 *         src/dialect/ollama_write.c
 */

#include "write.h"

enum { STOPS_MAX = 5, COHERE = 1, CAN = 8 };

static const llmux_dialect_t *const clients[] = {
    &llmux_dialect_openai, &llmux_dialect_anthropic,
    &llmux_dialect_responses, &llmux_dialect_gemini
};

static const llmux_json_t *inside(const llmux_json_t *v, const char *name)
{
    return llmux_json_get(v, name);
}

static int is_word(const llmux_json_t *v, const char *const *words)
{
    while (*words && !llmux_json_is(v, *words)) {
        words++;
    }
    return *words != NULL;
}

/* Members that the server knows, if they are listed, each of them once. */
static void check_members(apr_pool_t *p, const llmux_json_t *v,
                          const char *const *known)
{
    apr_hash_t *seen = apr_hash_make(p);
    const llmux_json_t *m;
    llmux_slice_t name;

    MUST(llmux_json_kind(v) == LLMUX_JSON_OBJECT);
    for (m = llmux_json_first(v); m; m = llmux_json_next_member(v, m)) {
        name = llmux_json_str(p, m);
        MUST(!known || is_word(m, known));
        MUST(!apr_hash_get(seen, name.data, (apr_ssize_t)name.len));
        apr_hash_set(seen, name.data, (apr_ssize_t)name.len, "");
    }
}

static void check_tools(apr_pool_t *p, const llmux_json_t *list)
{
    const llmux_json_t *t, *f;

    MUST(!list || llmux_json_count(list));
    for (t = llmux_json_first(list); t; t = llmux_json_next(list, t)) {
        f = inside(t, "function");
        MUST(llmux_json_str(p, inside(f, "name")).data);
        MUST(llmux_json_count(inside(f, "parameters")));
    }
}

static void check_stops(apr_pool_t *p, const llmux_json_t *list, int most)
{
    const llmux_json_t *v;

    MUST(!list || (llmux_json_count(list) && llmux_json_count(list) <= most));
    for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
        MUST(llmux_json_str(p, v).len);
    }
}

/* ---- Cohere's messages ----------------------------------------------- */

/* Calls whose results are due, right behind them and in their order. */
typedef struct talk_t {
    apr_pool_t *p;
    apr_hash_t *ids;
    const llmux_json_t *calls, *due;
    int messages;
} talk_t;

/* @return whether there are words in it, and not thoughts alone */
static int check_content(talk_t *t, const llmux_json_t *content)
{
    const llmux_json_t *part, *type;
    int words = llmux_json_kind(content) == LLMUX_JSON_STRING;

    MUST(!words || llmux_json_str(t->p, content).len);
    MUST(words || !content || llmux_json_count(content));
    for (part = words ? NULL : llmux_json_first(content); part;
         part = llmux_json_next(content, part)) {
        type = inside(part, "type");
        words |= !llmux_json_is(type, "thinking");
        MUST(llmux_json_is(type, "image_url")
             ? llmux_json_str(t->p, inside(inside(part, "image_url"),
                                           "url")).len
             : llmux_json_str(t->p, inside(part, llmux_json_cstr(
                                                t->p, type))).len);
    }
    return words;
}

static void check_call(talk_t *t, const llmux_json_t *call)
{
    llmux_slice_t id = llmux_json_str(t->p, inside(call, "id"));
    const llmux_json_t *f = inside(call, "function");

    MUST(id.len && !apr_hash_get(t->ids, id.data, (apr_ssize_t)id.len));
    apr_hash_set(t->ids, id.data, (apr_ssize_t)id.len, "");
    MUST(llmux_json_str(t->p, inside(f, "name")).data);
    MUST(llmux_json_is_object(t->p, llmux_json_str(
                                  t->p, inside(f, "arguments"))));
}

static void check_assistant(talk_t *t, const llmux_json_t *m)
{
    const llmux_json_t *calls = inside(m, "tool_calls"), *c;
    int words = check_content(t, inside(m, "content"));

    MUST(calls ? !words : inside(m, "content") != NULL);
    MUST(!inside(m, "tool_plan") || calls);
    for (c = llmux_json_first(calls); c; c = llmux_json_next(calls, c)) {
        check_call(t, c);
    }
    t->calls = calls;
    t->due = llmux_json_first(calls);
}

static void check_result(talk_t *t, const llmux_json_t *m)
{
    MUST(llmux_slice_equal(llmux_json_raw(inside(t->due, "id")),
                           llmux_json_raw(inside(m, "tool_call_id"))));
    MUST(llmux_json_str(t->p, inside(m, "content")).len);
    t->due = llmux_json_next(t->calls, t->due);
}

static void check_message(talk_t *t, const llmux_json_t *m)
{
    static const char *const roles[] = { "system", "user", NULL };

    if (llmux_json_is(inside(m, "role"), "tool")) {
        MUST(t->due != NULL);
        check_result(t, m);
        return;
    }
    MUST(!t->due);
    if (llmux_json_is(inside(m, "role"), "assistant")) {
        check_assistant(t, m);
        return;
    }
    MUST(is_word(inside(m, "role"), roles + (t->messages > 0)));
    MUST(check_content(t, inside(m, "content")));
}

static void check_talk(apr_pool_t *p, const llmux_json_t *list)
{
    talk_t t = { .p = p, .ids = apr_hash_make(p) };
    const llmux_json_t *m;

    MUST(llmux_json_kind(list) == LLMUX_JSON_ARRAY);
    for (m = llmux_json_first(list); m; m = llmux_json_next(list, m)) {
        check_message(&t, m);
        t.messages++;
    }
}

/* ---- Cohere ---------------------------------------------------------- */

static void check_bounds(const llmux_json_t *v)
{
    static const struct { const char *name; double low, high; } bounds[] = {
        { "temperature",       0,    2    },
        { "p",                 0.01, 0.99 },
        { "k",                 0,    500  },
        { "frequency_penalty", 0,    1    },
        { "presence_penalty",  0,    1    }
    };
    const llmux_json_t *n;
    size_t i;

    for (i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        n = inside(v, bounds[i].name);
        MUST(!n || (llmux_json_double(n, -1) >= bounds[i].low
                    && llmux_json_double(n, -1) <= bounds[i].high));
    }
}

static void check_cohere(apr_pool_t *p, const llmux_json_t *v)
{
    static const char *const known[] = {
        "model", "messages", "tools", "strict_tools", "tool_choice",
        "response_format", "max_tokens", "temperature", "p", "k",
        "frequency_penalty", "presence_penalty", "seed", "stop_sequences",
        "logprobs", "thinking", "citation_options", "priority",
        "safety_mode", "stream", NULL
    };
    static const char *const choices[] = { "NONE", "REQUIRED", NULL };
    static const char *const thinks[] = { "enabled", "disabled", NULL };
    const llmux_json_t *choice = inside(v, "tool_choice");
    const llmux_json_t *thinking = inside(v, "thinking");

    check_members(p, v, known);
    check_talk(p, inside(v, "messages"));
    check_tools(p, inside(v, "tools"));
    check_stops(p, inside(v, "stop_sequences"), STOPS_MAX);
    check_bounds(v);
    MUST(!choice || (inside(v, "tools") && is_word(choice, choices)));
    MUST(!thinking || is_word(inside(thinking, "type"), thinks));
    MUST(inside(v, "tools") == NULL || !inside(v, "response_format")
         || llmux_json_is(choice, "NONE"));
}

/* ---- Ollama ---------------------------------------------------------- */

static void check_images(apr_pool_t *p, const llmux_json_t *list)
{
    const llmux_json_t *v;

    for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
        MUST(llmux_base64_decode(p, llmux_json_str(p, v)).data);
    }
}

/* Calls are numbered, and their arguments an object, not its text. */
static void check_calls(apr_pool_t *p, const llmux_json_t *list)
{
    const llmux_json_t *c, *f;
    int n = 0;

    MUST(!list || llmux_json_count(list));
    for (c = llmux_json_first(list); c; c = llmux_json_next(list, c)) {
        f = inside(c, "function");
        MUST(llmux_json_int(inside(f, "index"), -1) == n++);
        MUST(llmux_json_str(p, inside(f, "name")).data);
        MUST(llmux_json_kind(inside(f, "arguments")) == LLMUX_JSON_OBJECT);
    }
}

static void check_messages(apr_pool_t *p, const llmux_json_t *list)
{
    static const char *const roles[] = {
        "system", "user", "assistant", "tool", NULL
    };
    const llmux_json_t *m;

    MUST(llmux_json_kind(list) == LLMUX_JSON_ARRAY);
    for (m = llmux_json_first(list); m; m = llmux_json_next(list, m)) {
        MUST(is_word(inside(m, "role"), roles));
        MUST(llmux_json_str(p, inside(m, "content")).data);
        check_images(p, inside(m, "images"));
        check_calls(p, inside(m, "tool_calls"));
    }
}

static void check_ollama(apr_pool_t *p, const llmux_json_t *v)
{
    static const char *const known[] = {
        "model", "messages", "tools", "format", "options", "think",
        "logprobs", "top_logprobs", "keep_alive", "shift", "truncate",
        "stream", NULL
    };
    static const char *const levels[] = { "low", "medium", "high", NULL };
    const llmux_json_t *think = inside(v, "think");

    check_members(p, v, known);
    check_messages(p, inside(v, "messages"));
    check_tools(p, inside(v, "tools"));
    check_members(p, inside(v, "options"), NULL);
    MUST(!think || llmux_json_kind(think) == LLMUX_JSON_BOOL
         || is_word(think, levels));
}

/* ---- all of it ------------------------------------------------------- */

static void translate(apr_pool_t *p, int how, const llmux_json_t *body)
{
    const llmux_dialect_t *server = how & COHERE ? &llmux_dialect_cohere
                                                 : &llmux_dialect_ollama;
    llmux_target_t target = { .name = "fuzz", .can = how & CAN ? ~0u : 0 };
    const llmux_json_t *v;

    target.model = llmux_slice("m");
    v = written(p, clients[how / 2 % 4], server, &target, body);
    if (!v) {
        return;
    }
    MUST(llmux_json_is(inside(v, "model"), "m"));
    MUST(llmux_json_kind(inside(v, "stream")) == LLMUX_JSON_BOOL);
    if (how & COHERE) {
        check_cohere(p, v);
    }
    else {
        check_ollama(p, v);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_writer(data, size);
}
