/* anthropic_read.c - a Messages body into the canonical request. */

#include <string.h>

#include "anthropic_read.h"
#include "fields.h"

/* ---- what all files need --------------------------------------------- */

int llmux_anthropic_read_strict(const llmux_reader_t *r)
{
    const char *version = r->chat->version;

    return version && strcmp(version, LLMUX_ANTHROPIC_VERSION_STRICT) >= 0;
}

void llmux_anthropic_read_lost(llmux_reader_t *r, llmux_slice_t name,
                               const llmux_json_t *v)
{
    llmux_extra_t **last = &r->chat->lost, *lost;
    int n;

    for (n = 1; *last; last = &(*last)->next, n++) {
        if (llmux_slice_equal((*last)->name, name)
            || n == LLMUX_LOST_MAX) {
            return;
        }
    }
    lost = apr_pcalloc(r->pool, sizeof(*lost));
    lost->name = name;
    lost->json = llmux_json_raw(v);
    *last = lost;
}

void llmux_anthropic_read_refuse(llmux_reader_t *r, const llmux_at_t *at,
                                 const char *why)
{
    const char *param;

    if (!r->err) {
        param = llmux_at_text(r->pool, at);
        r->err = llmux_error(r->pool, LLMUX_ERR_UNSUPPORTED, param,
                             "'%s' cannot be served here: %s.",
                             param ? param : "request body", why);
    }
}

static const char *read_marker(llmux_reader_t *r, const llmux_at_t *at,
                               const llmux_json_t *v)
{
    static const char *const types[] = { "ephemeral", NULL };
    static const char *const lives[] = { "5m", "1h", NULL };
    const llmux_json_t *ttl = llmux_json_get(v, "ttl");
    llmux_at_t type = llmux_at(at, "type"), life = llmux_at(at, "ttl");
    int i = 0;

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        return NULL;
    }
    llmux_reader_word(r, &type, llmux_json_get(v, "type"), types);
    if (ttl) {
        i = llmux_reader_word(r, &life, ttl, lives);
    }
    return lives[i < 0 ? 0 : i];
}

const char *llmux_anthropic_read_marker(llmux_reader_t *r,
                                        const llmux_at_t *at,
                                        const llmux_json_t *object)
{
    const llmux_json_t *v = llmux_json_get(object, "cache_control");
    llmux_at_t here = llmux_at(at, "cache_control");

    return v ? read_marker(r, &here, v) : NULL;
}

/* ---- sampling -------------------------------------------------------- */

static int may_sample(llmux_reader_t *r, const llmux_at_t *at)
{
    int may = !llmux_anthropic_read_strict(r);

    if (!may) {
        llmux_reader_fail(r, at, "expected it not to be there, since API "
                          "version " LLMUX_ANTHROPIC_VERSION_STRICT
                          " has done away with it");
    }
    return may;
}

static void read_sampling(llmux_reader_t *r, const llmux_at_t *at,
                          const llmux_json_t *v, const llmux_field_t *f)
{
    if (may_sample(r, at)) {
        llmux_field_number(r, at, v, f);
    }
}

/* 0 is what some clients say for "off". */
static void read_top_k(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *v, const llmux_field_t *f)
{
    llmux_slice_t k = llmux_reader_integer(r, at, v, 0, APR_INT64_MAX);

    if (may_sample(r, at) && llmux_json_int(v, 0) > 0) {
        r->chat->top_k = k;
    }
}

/* ---- what needs a closer look ---------------------------------------- */

static void read_system(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, const llmux_field_t *f)
{
    llmux_anthropic_read_system(r, at, v);
}

static void read_messages(llmux_reader_t *r, const llmux_at_t *at,
                          const llmux_json_t *v, const llmux_field_t *f)
{
    llmux_anthropic_read_messages(r, at, v);
}

static void read_tools(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *v, const llmux_field_t *f)
{
    llmux_anthropic_read_tools(r, at, v);
}

static void read_choice(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, const llmux_field_t *f)
{
    llmux_anthropic_read_choice(r, at, v);
}

static void read_stream(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, const llmux_field_t *f)
{
    if (llmux_reader_expect(r, at, v, LLMUX_JSON_BOOL)) {
        r->chat->stream = llmux_json_bool(v) == LLMUX_YES;
        r->chat->include_usage = r->chat->stream;
    }
}

static void read_stops(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *v, const llmux_field_t *f)
{
    const llmux_json_t *e;
    llmux_slice_t s;
    llmux_at_t each;
    int i = 0;

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_ARRAY)) {
        return;
    }
    if (llmux_json_count(v) > LLMUX_STOPS_MAX) {
        llmux_reader_fail(r, at, "expected at most %d strings, found %d",
                          LLMUX_STOPS_MAX, llmux_json_count(v));
    }
    r->chat->stop = apr_array_make(r->pool, 4, sizeof(llmux_slice_t));
    for (e = llmux_json_first(v); e && !r->err; e = llmux_json_next(v, e)) {
        each = llmux_at_index(at, i++);
        s = llmux_json_str(r->pool, e);
        /* an empty one would stop at once; nobody means that by it */
        if (llmux_reader_expect(r, &each, e, LLMUX_JSON_STRING) && s.len) {
            APR_ARRAY_PUSH(r->chat->stop, llmux_slice_t) = s;
        }
    }
}

static void read_metadata(llmux_reader_t *r, const llmux_at_t *at,
                          const llmux_json_t *v, const llmux_field_t *f)
{
    if (llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        r->chat->user_id = llmux_reader_str(r, at, v, "user_id");
    }
}

static void read_tier(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *v, const llmux_field_t *f)
{
    static const char *const theirs[] = { "auto", "standard_only", NULL };
    static const char *const ours[] = { "auto", "default" };
    int i = llmux_reader_word(r, at, v, theirs);

    if (i >= 0) {
        r->chat->service_tier = llmux_slice(ours[i]);
    }
}

static void read_speed(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *v, const llmux_field_t *f)
{
    static const char *const words[] = { "standard", "fast", NULL };

    if (llmux_reader_word(r, at, v, words) == 1) {
        llmux_anthropic_read_lost(r, llmux_slice(f->name), v);
    }
}

/* On the request itself: the last block that can be cached is the mark. */
static void read_marked(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, const llmux_field_t *f)
{
    llmux_message_t *m = r->chat->last;
    const char *ttl = read_marker(r, at, v);

    if (m && m->last && m->last->kind != LLMUX_BLOCK_THINK
        && !m->last->cache_ttl) {
        m->last->cache_ttl = ttl;
    }
}

/* ---- thinking -------------------------------------------------------- */

static void read_budget(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *thinking)
{
    const llmux_json_t *v = llmux_reader_need(r, at, thinking,
                                              "budget_tokens",
                                              LLMUX_JSON_NUMBER);
    llmux_at_t here = llmux_at(at, "budget_tokens");

    if (v) {
        r->chat->budget = llmux_reader_integer(r, &here, v, 1,
                                               APR_INT64_MAX);
    }
}

static void read_display(llmux_reader_t *r, const llmux_at_t *at,
                         const llmux_json_t *thinking)
{
    static const char *const words[] = { "omitted", "summarized", NULL };
    const llmux_json_t *v = llmux_json_get(thinking, "display");
    llmux_at_t here = llmux_at(at, "display");
    int i = v ? llmux_reader_word(r, &here, v, words) : -1;

    if (i >= 0) {
        r->chat->show_thinking = i ? LLMUX_YES : LLMUX_NO;
    }
}

/* "adaptive" leaves it to the effort, which is high unless it is said. Only
 * models that cannot do without thinking know "between_tools": as little of
 * it as there can be. */
static void read_thinking(llmux_reader_t *r, const llmux_at_t *at,
                          const llmux_json_t *v, const llmux_field_t *f)
{
    static const char *const words[] =
        { "disabled", "between_tools", "adaptive", "enabled", NULL };
    static const llmux_effort_e efforts[] =
        { LLMUX_EFFORT_NONE, LLMUX_EFFORT_NONE, LLMUX_EFFORT_HIGH,
          LLMUX_EFFORT_UNSET };
    llmux_at_t here = llmux_at(at, "type");
    int i;

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    i = llmux_reader_word(r, &here, llmux_json_get(v, "type"), words);
    if (i < 0) {
        return;
    }
    r->chat->effort = efforts[i];
    if (i == 3) {
        read_budget(r, at, v);
    }
    read_display(r, at, v);
}

static void read_effort(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *config)
{
    static const char *const words[] =
        { "low", "medium", "high", "xhigh", "max", NULL };
    const llmux_json_t *v = llmux_json_get(config, "effort");
    llmux_at_t here = llmux_at(at, "effort");
    int i = v ? llmux_reader_word(r, &here, v, words) : -1;

    if (i >= 0 && r->chat->effort != LLMUX_EFFORT_NONE) {
        r->chat->effort = llmux_effort_of(llmux_slice(words[i]));
    }
}

/* ---- output ---------------------------------------------------------- */

static void read_format(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, const llmux_field_t *f)
{
    static const char *const words[] = { "json_schema", NULL };
    const llmux_json_t *schema;
    llmux_at_t here = llmux_at(at, "type");

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    llmux_reader_word(r, &here, llmux_json_get(v, "type"), words);
    schema = llmux_reader_need(r, at, v, "schema", LLMUX_JSON_OBJECT);
    if (schema) {
        r->chat->format = LLMUX_FORMAT_SCHEMA;
        r->chat->format_schema = llmux_json_raw(schema);
    }
}

static void read_output(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, const llmux_field_t *f)
{
    const llmux_json_t *format = llmux_json_get(v, "format");
    const llmux_json_t *budget = llmux_json_get(v, "task_budget");
    llmux_at_t here = llmux_at(at, "format");

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    read_effort(r, at, v);
    if (format) {
        read_format(r, &here, format, f);
    }
    if (budget) {
        llmux_anthropic_read_lost(r, llmux_slice("output_config.task_budget"),
                                  budget);
    }
}

/* ---- what stays at home ---------------------------------------------- */

enum { MCP_SERVERS, CONTAINER, THREAD, PLACE };

/* What it would take. */
static const char *const whys[] = {
    [MCP_SERVERS] = "only Anthropic's own servers call MCP servers",
    [CONTAINER]   = "only Anthropic's own servers have containers",
    [THREAD]      = "its messages are kept on Anthropic's own servers",
    [PLACE]       = "only Anthropic's own servers can be told where to work"
};

/* Tools, files, history and places of the vendor's own: an answer without
 * them would not be the one that was asked for. */
static void read_refused(llmux_reader_t *r, const llmux_at_t *at,
                         const llmux_json_t *v, const llmux_field_t *f)
{
    if (llmux_json_kind(v) != LLMUX_JSON_ARRAY || llmux_json_count(v)) {
        llmux_anthropic_read_refuse(r, at, whys[f->more]);
    }
}

/* ---- the table ------------------------------------------------------- */

#define DO(name, read) { name, read, 0, 0, 0, 0 }
#define REFUSE(name, why) { name, read_refused, 0, 0, 0, why }
#define SPAN(name, read, member, low, high) \
    { name, read, offsetof(llmux_chat_t, member), low, high, 0 }

static const llmux_field_t fields[] = {
    SPAN("model", llmux_field_str, model, 0, 0),
    DO("system", read_system),
    DO("messages", read_messages),
    DO("tools", read_tools),
    DO("tool_choice", read_choice),
    /* who only counts tokens leaves it out, and writers know a default */
    SPAN("max_tokens", llmux_field_integer, max_tokens, 0, 0),
    SPAN("temperature", read_sampling, temperature, 0, 1),
    SPAN("top_p", read_sampling, top_p, 0, 1),
    DO("top_k", read_top_k),
    DO("stop_sequences", read_stops),
    DO("stream", read_stream),
    DO("thinking", read_thinking),
    DO("output_config", read_output),
    DO("output_format", read_format),
    DO("metadata", read_metadata),
    DO("service_tier", read_tier),
    DO("speed", read_speed),
    DO("cache_control", read_marked),
    REFUSE("mcp_servers", MCP_SERVERS),
    REFUSE("container", CONTAINER),
    REFUSE("thread", THREAD),
    REFUSE("inference_geo", PLACE),
    /* what a cloud's variant of the API says in the body */
    DO("anthropic_version", NULL),
    /* the gateway's own */
    DO("provider", NULL),
    DO("parameters", NULL),
    DO("tags", NULL),
    DO("tag", NULL)
};

#define FIELDS ((int) (sizeof(fields) / sizeof(*fields)))

/* Sorts the members into the table's order. The API grows; what is not known
 * here is known to no other dialect either. */
static void sort_members(llmux_reader_t *r, const llmux_json_t *body,
                         const llmux_json_t **found)
{
    const llmux_json_t *m, *v;
    int i;

    for (m = llmux_json_first(body); m; m = llmux_json_next_member(body, m)) {
        v = llmux_json_value(m);
        v = llmux_json_kind(v) == LLMUX_JSON_NULL ? NULL : v;
        i = llmux_field_of(fields, FIELDS, m);
        if (i >= 0) {
            found[i] = v;
        }
        else if (v) {
            llmux_anthropic_read_lost(r, llmux_json_str(r->pool, m), v);
        }
    }
}

const llmux_error_t *llmux_anthropic_read(llmux_chat_t *chat,
                                          const llmux_json_t *body)
{
    llmux_reader_t r = { chat, chat->pool, NULL };
    const llmux_json_t *found[FIELDS] = { NULL };
    llmux_at_t root = llmux_at(NULL, NULL);

    if (!llmux_fields_expect(&r, body)) {
        return r.err;
    }
    sort_members(&r, body, found);
    llmux_reader_need(&r, &root, body, "messages", LLMUX_JSON_ARRAY);
    llmux_fields_read(&r, fields, FIELDS, found);
    return r.err;
}
