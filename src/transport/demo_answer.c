/* demo_answer.c - the demo provider reads a request and thinks of an answer.
 *
 * It repeats what it is told, calls the first tool it is offered, and says
 * what a tool said. */

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "demo_answer.h"

#define CHOICES_MAX 8
#define EXAMPLE_MAX 65536

#define GREETING "Hello! I am the demo provider of mod_llmux. I repeat what " \
                 "I am told, without a network and without a key."

/* ---- words ------------------------------------------------------------ */

static const char *skip(const char *at, const char *end, int space)
{
    while (at < end && !apr_isspace(*at) == !space) {
        at++;
    }
    return at;
}

/* Bytes of the first `max` words. */
static apr_size_t words_span(llmux_slice_t s, apr_int64_t max)
{
    const char *at = s.data, *end = s.data + s.len, *word = at;

    for (; max > 0 && at < end; max--) {
        at = skip(skip(at, end, 1), end, 0);
        word = at;
    }
    return word - s.data;
}

static apr_int64_t words_count(llmux_slice_t s)
{
    const char *at = s.data, *end = s.data + s.len;
    apr_int64_t n = 0;

    for (at = skip(at, end, 1); at < end; n++) {
        at = skip(skip(at, end, 0), end, 1);
    }
    return n;
}

/* ---- messages --------------------------------------------------------- */

static int is_list(const llmux_json_t *v)
{
    return llmux_json_kind(v) == LLMUX_JSON_ARRAY;
}

/* The text of a message, its parts on lines of their own. */
static void text_add(apr_pool_t *p, llmux_buf_t *out,
                     const llmux_json_t *content)
{
    const llmux_json_t *part;

    if (!is_list(content)) {
        llmux_buf_add_slice(out, llmux_json_str(p, content));
        return;
    }
    for (part = llmux_json_first(content); part;
         part = llmux_json_next(content, part)) {
        llmux_slice_t text = llmux_json_str(p, llmux_json_get(part, "text"));

        if (text.len && out->len) {
            llmux_buf_adds(out, "\n");
        }
        llmux_buf_add_slice(out, text);
    }
}

static int images_in(const llmux_json_t *content)
{
    const llmux_json_t *part = is_list(content) ? llmux_json_first(content)
                                                : NULL;
    int n = 0;

    for (; part; part = llmux_json_next(content, part)) {
        n += llmux_json_is(llmux_json_get(part, "type"), "image_url");
    }
    return n;
}

/* The last of the user's messages, and the last of all. */
typedef struct talk_t {
    const llmux_json_t *user, *last;
    apr_int64_t words;
} talk_t;

static void talk_read(apr_pool_t *p, const llmux_json_t *messages,
                      talk_t *talk)
{
    const llmux_json_t *m;
    apr_pool_t *scratch;
    llmux_buf_t *text;

    apr_pool_create(&scratch, p);
    text = llmux_buf_create(scratch, LLMUX_ANSWER_MAX);
    for (m = llmux_json_first(messages); m;
         m = llmux_json_next(messages, m)) {
        text_add(scratch, text, llmux_json_get(m, "content"));
        talk->words += words_count(llmux_buf_slice(text));
        llmux_buf_reset(text);
        talk->last = m;
        if (llmux_json_is(llmux_json_get(m, "role"), "user")) {
            talk->user = m;
        }
    }
    apr_pool_destroy(scratch);
}

/* ---- what is wrong with it -------------------------------------------- */

static const char *const roles[] = {
    "system", "developer", "user", "assistant", "tool", "function", NULL
};

static const llmux_error_t *check_message(apr_pool_t *p, int i,
                                          const llmux_json_t *m)
{
    const llmux_json_t *role = llmux_json_get(m, "role");
    int r = 0;

    while (roles[r] && !llmux_json_is(role, roles[r])) {
        r++;
    }
    return roles[r] ? NULL
                    : llmux_error(p, LLMUX_ERR_INVALID,
                                  apr_psprintf(p, "messages[%d].role", i),
                                  "messages[%d] needs a role: system, "
                                  "developer, user, assistant or tool.", i);
}

static const llmux_error_t *check_messages(apr_pool_t *p,
                                           const llmux_json_t *messages)
{
    const llmux_error_t *err = NULL;
    const llmux_json_t *m;
    int i = 0;

    if (!messages) {
        return llmux_error(p, LLMUX_ERR_INVALID, "messages",
                           "Missing required parameter: 'messages'.");
    }
    if (!is_list(messages) || !llmux_json_first(messages)) {
        return llmux_error(p, LLMUX_ERR_INVALID, "messages",
                           "'messages' must be an array with at least one "
                           "message.");
    }
    for (m = llmux_json_first(messages); m && !err;
         m = llmux_json_next(messages, m)) {
        err = check_message(p, i++, m);
    }
    return err;
}

static const llmux_error_t *check_range(apr_pool_t *p, const llmux_json_t *rq,
                                        const char *name, apr_int64_t least,
                                        apr_int64_t most)
{
    const llmux_json_t *v = llmux_json_get(rq, name);
    apr_int64_t n = llmux_json_int(v, least - 1);

    if (!v || (n >= least && n <= most)) {
        return NULL;
    }
    return llmux_error(p, LLMUX_ERR_INVALID, name,
                       "'%s' must be an integer from %" APR_INT64_T_FMT
                       " to %" APR_INT64_T_FMT ".", name, least, most);
}

static const struct { const char *name; apr_int64_t least, most; } ranges[] = {
    { "n", 1, CHOICES_MAX },
    { "max_tokens", 1, APR_INT32_MAX },
    { "max_completion_tokens", 1, APR_INT32_MAX },
    { NULL, 0, 0 }
};

static const llmux_error_t *check_request(apr_pool_t *p,
                                          const llmux_json_t *rq)
{
    llmux_slice_t model = llmux_json_str(p, llmux_json_get(rq, "model"));
    const llmux_error_t *err = NULL;
    int i;

    if (llmux_json_kind(rq) != LLMUX_JSON_OBJECT) {
        return llmux_error(p, LLMUX_ERR_INVALID, NULL,
                           "The request's body must be a JSON object.");
    }
    if (!model.len || model.len > LLMUX_MODEL_NAME_MAX) {
        return llmux_error(p, LLMUX_ERR_INVALID, "model",
                           "You must provide a model parameter of at most "
                           "%d bytes.", LLMUX_MODEL_NAME_MAX);
    }
    for (i = 0; ranges[i].name && !err; i++) {
        err = check_range(p, rq, ranges[i].name, ranges[i].least,
                          ranges[i].most);
    }
    return err ? err : check_messages(p, llmux_json_get(rq, "messages"));
}

/* ---- tools ------------------------------------------------------------ */

/* The part of a tool or of a choice that has its name. */
static const llmux_json_t *named_part(const llmux_json_t *tool)
{
    const llmux_json_t *part = llmux_json_get(tool, "function");

    return part ? part : llmux_json_get(tool, "custom");
}

static const llmux_json_t *tool_named(apr_pool_t *p,
                                      const llmux_json_t *tools,
                                      const llmux_json_t *name)
{
    const char *text = llmux_json_cstr(p, name);
    const llmux_json_t *t = llmux_json_first(tools);

    while (t && !llmux_json_is(llmux_json_get(named_part(t), "name"), text)) {
        t = llmux_json_next(tools, t);
    }
    return t;
}

/* Which tool is to be called: NULL for none. */
static const llmux_json_t *tool_choose(apr_pool_t *p, const llmux_json_t *rq)
{
    const llmux_json_t *tools = llmux_json_get(rq, "tools");
    const llmux_json_t *choice = llmux_json_get(rq, "tool_choice"), *some;

    if (!is_list(tools) || llmux_json_is(choice, "none")) {
        return NULL;
    }
    if (llmux_json_kind(choice) != LLMUX_JSON_OBJECT) {
        return llmux_json_at(tools, 0);
    }
    some = llmux_json_get(llmux_json_get(choice, "allowed_tools"), "tools");
    if (some) {
        choice = llmux_json_at(some, 0);
    }
    return tool_named(p, tools,
                      llmux_json_get(named_part(choice), "name"));
}

static int names_a_tool(const llmux_json_t *rq)
{
    return llmux_json_kind(llmux_json_get(rq, "tool_choice"))
           == LLMUX_JSON_OBJECT;
}

static llmux_slice_t example(apr_pool_t *p, const llmux_json_t *schema)
{
    llmux_buf_t *out = llmux_buf_create(p, EXAMPLE_MAX);
    int good = llmux_demo_example(p, out, schema);

    return good ? llmux_buf_slice(out) : llmux_slice(NULL);
}

static void answer_call(apr_pool_t *p, const llmux_json_t *tool,
                        llmux_demo_t *out)
{
    const llmux_json_t *part = named_part(tool);

    out->tool = llmux_json_str(p, llmux_json_get(part, "name"));
    out->custom = llmux_json_get(tool, "custom") != NULL;
    out->args = out->custom ? llmux_slice("example")
                            : example(p, llmux_json_get(part, "parameters"));
    out->finish = "tool_calls";
    out->words_out = 1;
    if (!out->tool.len) {
        out->error = llmux_error(p, LLMUX_ERR_INVALID, "tools",
                                 "The tool to be called has no name.");
    }
    else if (!out->args.data) {
        out->error = llmux_error(p, LLMUX_ERR_INVALID, "tools",
                                 "The tool's schema asks for more than the "
                                 "demo provider makes.");
    }
}

/* ---- texts ------------------------------------------------------------ */

static void answer_echo(apr_pool_t *p, const talk_t *talk, llmux_buf_t *out)
{
    const llmux_json_t *content = llmux_json_get(talk->user, "content");
    llmux_buf_t *said = llmux_buf_create(p, LLMUX_ANSWER_MAX);
    int images = images_in(content);
    const char *s = images == 1 ? "" : "s";

    text_add(p, said, content);
    if (said->len) {
        llmux_buf_addf(out, "You said: ");
        llmux_buf_add_slice(out, llmux_buf_slice(said));
        if (images) {
            llmux_buf_addf(out, " (with %d image%s)", images, s);
        }
    }
    else if (images) {
        llmux_buf_addf(out, "You sent %d image%s.", images, s);
    }
    else {
        llmux_buf_adds(out, GREETING);
    }
}

static void answer_object(apr_pool_t *p, const talk_t *talk, llmux_buf_t *out)
{
    llmux_buf_t *said = llmux_buf_create(p, LLMUX_ANSWER_MAX);
    llmux_jw_t w = llmux_jw(out);

    text_add(p, said, llmux_json_get(talk->user, "content"));
    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "echo");
    llmux_jw_str(&w, llmux_buf_slice(said));
    llmux_jw_close(&w, '}');
}

static void answer_schema(apr_pool_t *p, const llmux_json_t *format,
                          llmux_demo_t *answer, llmux_buf_t *out)
{
    const llmux_json_t *part = llmux_json_get(format, "json_schema");
    llmux_slice_t text = example(p, llmux_json_get(part, "schema"));

    llmux_buf_add_slice(out, text);
    if (!text.data) {
        answer->error = llmux_error(p, LLMUX_ERR_INVALID, "response_format",
                                    "The schema asks for more than the demo "
                                    "provider makes.");
    }
}

/* Text up to the first of the stop sequences. */
static llmux_slice_t stop_at(apr_pool_t *p, llmux_slice_t text,
                             const llmux_json_t *stop)
{
    llmux_slice_t word = llmux_json_str(p, stop);
    const char *at = word.len ? memmem(text.data, text.len, word.data,
                                       word.len) : NULL;

    text.len = at ? (apr_size_t)(at - text.data) : text.len;
    return text;
}

static llmux_slice_t stop_at_any(apr_pool_t *p, llmux_slice_t text,
                                 const llmux_json_t *stops)
{
    const llmux_json_t *stop = is_list(stops) ? llmux_json_first(stops)
                                              : NULL;
    int n;

    for (n = 0; stop && n < LLMUX_STOPS_MAX; n++) {
        text = stop_at(p, text, stop);
        stop = llmux_json_next(stops, stop);
    }
    return stop_at(p, text, stops);
}

static void text_cut(apr_pool_t *p, const llmux_json_t *rq, llmux_demo_t *out)
{
    const llmux_json_t *max = llmux_json_get(rq, "max_completion_tokens");
    apr_int64_t words = llmux_json_int(max ? max : llmux_json_get(rq,
                                       "max_tokens"), APR_INT64_MAX);

    out->text = stop_at_any(p, out->text, llmux_json_get(rq, "stop"));
    out->words_out = words_count(out->text);
    out->finish = "stop";
    if (out->words_out > words) {
        out->text.len = words_span(out->text, words);
        out->words_out = words;
        out->finish = "length";
    }
}

static void answer_text(apr_pool_t *p, const llmux_json_t *rq,
                        const talk_t *talk, llmux_demo_t *out)
{
    const llmux_json_t *format = llmux_json_get(rq, "response_format");
    const llmux_json_t *type = llmux_json_get(format, "type");
    llmux_buf_t *text = llmux_buf_create(p, LLMUX_ANSWER_MAX);

    if (llmux_json_is(llmux_json_get(talk->last, "role"), "tool")) {
        text_add(p, text, llmux_json_get(talk->last, "content"));
    }
    else if (llmux_json_is(type, "json_schema")) {
        answer_schema(p, format, out, text);
    }
    else if (llmux_json_is(type, "json_object")) {
        answer_object(p, talk, text);
    }
    else {
        answer_echo(p, talk, text);
    }
    out->text = llmux_buf_slice(text);
    text_cut(p, rq, out);
}

/* ---- all of it -------------------------------------------------------- */

static void answer_request(apr_pool_t *p, const llmux_json_t *rq,
                           llmux_demo_t *out)
{
    const llmux_json_t *tool = tool_choose(p, rq);
    talk_t talk = { 0 };

    talk_read(p, llmux_json_get(rq, "messages"), &talk);
    out->model = llmux_json_str(p, llmux_json_get(rq, "model"));
    out->stream = llmux_json_bool(llmux_json_get(rq, "stream")) == LLMUX_YES;
    out->usage = llmux_json_bool(llmux_json_get(llmux_json_get(rq,
                     "stream_options"), "include_usage")) == LLMUX_YES;
    out->choices = (int)llmux_json_int(llmux_json_get(rq, "n"), 1);
    out->words_in = talk.words;
    if (!tool && names_a_tool(rq)) {
        out->error = llmux_error(p, LLMUX_ERR_INVALID, "tool_choice",
                                 "'tool_choice' names a tool that is not in "
                                 "'tools'.");
    }
    else if (tool && !llmux_json_is(llmux_json_get(talk.last, "role"),
                                    "tool")) {
        answer_call(p, tool, out);
    }
    else {
        answer_text(p, rq, &talk, out);
    }
}

static const llmux_error_t *check_target(apr_pool_t *p,
                                         const llmux_request_t *rq)
{
    static const char path[] = "/chat/completions";
    apr_size_t len = strcspn(rq->url, "?#"), n = sizeof(path) - 1;

    if (len < n || memcmp(rq->url + len - n, path, n)) {
        return llmux_error(p, LLMUX_ERR_NOT_FOUND, NULL,
                           "The demo provider has /chat/completions only.");
    }
    if (!rq->body.data) {
        return llmux_error(p, LLMUX_ERR_METHOD, NULL,
                           "Use POST for /chat/completions.");
    }
    return NULL;
}

void llmux_demo_answer(apr_pool_t *p, const llmux_request_t *rq,
                       llmux_demo_t *out)
{
    llmux_json_error_t where;
    const llmux_json_t *body;

    memset(out, 0, sizeof(*out));
    out->error = check_target(p, rq);
    if (out->error) {
        return;
    }
    body = llmux_json_parse(p, rq->body, 0, &where);
    if (!body) {
        out->error = llmux_error(p, LLMUX_ERR_INVALID, NULL,
                                 "We could not parse the JSON body of your "
                                 "request: %s in line %d, column %d.",
                                 where.reason, where.line, where.column);
        return;
    }
    out->error = check_request(p, body);
    if (!out->error) {
        answer_request(p, body, out);
    }
}
