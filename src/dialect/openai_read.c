/* openai_read.c - a chat-completions body into the canonical request. */

#include <string.h>

#include <apr_strings.h>

#include "fields.h"
#include "openai.h"

/* ---- what needs a closer look ---------------------------------------- */

static void read_messages(llmux_reader_t *r, const llmux_at_t *at,
                          const llmux_json_t *v, const llmux_field_t *f)
{
    llmux_openai_read_messages(r, at, v);
}

static void read_verbosity(llmux_reader_t *r, const llmux_at_t *at,
                           const llmux_json_t *v, const llmux_field_t *f)
{
    static const char *const words[] = { "low", "medium", "high", NULL };
    int i = llmux_reader_word(r, at, v, words);

    if (i >= 0) {
        r->chat->verbosity = llmux_slice(words[i]);
    }
}

static void read_modalities(llmux_reader_t *r, const llmux_at_t *at,
                            const llmux_json_t *v, const llmux_field_t *f)
{
    const llmux_json_t *e;
    llmux_at_t each;
    int i = 0;

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_ARRAY)) {
        return;
    }
    for (e = llmux_json_first(v); e && !r->err; e = llmux_json_next(v, e)) {
        each = llmux_at_index(at, i++);
        llmux_reader_expect(r, &each, e, LLMUX_JSON_STRING);
    }
    r->chat->modalities = llmux_json_raw(v);
}

/* ---- reasoning ------------------------------------------------------- */

static void set_effort(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *v)
{
    static const char *const words[] = {
        "none", "minimal", "low", "medium", "high", "xhigh", "max",
        "default",      /* Groq: as the model likes */
        NULL
    };
    int i = llmux_reader_word(r, at, v, words);

    if (i >= 0 && r->chat->effort == LLMUX_EFFORT_UNSET) {
        r->chat->effort = llmux_effort_of(llmux_slice(words[i]));
    }
}

static void read_effort(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, const llmux_field_t *f)
{
    set_effort(r, at, v);
}

static void set_budget(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *object, const char *name)
{
    const llmux_json_t *v = llmux_json_get(object, name);
    llmux_at_t here = llmux_at(at, name);
    llmux_slice_t n;

    if (v) {
        n = llmux_reader_integer(r, &here, v, 0, APR_INT64_MAX);
        r->chat->budget = r->chat->budget.data ? r->chat->budget : n;
    }
}

static void default_effort(llmux_reader_t *r, llmux_effort_e effort)
{
    if (r->chat->effort == LLMUX_EFFORT_UNSET && !r->chat->budget.data) {
        r->chat->effort = effort;
    }
}

/* OpenRouter's member. */
static void read_reasoning(llmux_reader_t *r, const llmux_at_t *at,
                           const llmux_json_t *v, const llmux_field_t *f)
{
    const llmux_json_t *effort = llmux_json_get(v, "effort");
    llmux_at_t here = llmux_at(at, "effort");
    llmux_tri_e enabled, exclude;

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    if (effort) {
        set_effort(r, &here, effort);
    }
    set_budget(r, at, v, "max_tokens");
    enabled = llmux_reader_bool(r, at, v, "enabled");
    if (enabled != LLMUX_UNSET) {
        default_effort(r, enabled ? LLMUX_EFFORT_MEDIUM : LLMUX_EFFORT_NONE);
    }
    exclude = llmux_reader_bool(r, at, v, "exclude");
    if (exclude != LLMUX_UNSET) {
        r->chat->show_thinking = exclude ? LLMUX_NO : LLMUX_YES;
    }
}

static void read_display(llmux_reader_t *r, const llmux_at_t *at,
                         const llmux_json_t *v)
{
    static const char *const words[] = { "omitted", "summarized", NULL };
    const llmux_json_t *display = llmux_json_get(v, "display");
    llmux_at_t here = llmux_at(at, "display");
    int i = display ? llmux_reader_word(r, &here, display, words) : -1;

    if (i >= 0 && r->chat->show_thinking == LLMUX_UNSET) {
        r->chat->show_thinking = i ? LLMUX_YES : LLMUX_NO;
    }
}

/* Anthropic's member, which DeepSeek, Zhipu and others have as well. What
 * has no type is another vendor's invention. */
static void read_thinking(llmux_reader_t *r, const llmux_at_t *at,
                          const llmux_json_t *v, const llmux_field_t *f)
{
    static const char *const words[] =
        { "disabled", "enabled", "adaptive", NULL };
    static const llmux_effort_e efforts[] =
        { LLMUX_EFFORT_NONE, LLMUX_EFFORT_MEDIUM, LLMUX_EFFORT_HIGH };
    const llmux_json_t *type = llmux_json_get(v, "type");
    llmux_at_t here = llmux_at(at, "type");
    int i;

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    if (!type) {
        llmux_extra_add(r, &r->chat->extra, llmux_slice(f->name), v);
        return;
    }
    i = llmux_reader_word(r, &here, type, words);
    set_budget(r, at, v, "budget_tokens");
    default_effort(r, i >= 0 ? efforts[i] : LLMUX_EFFORT_UNSET);
    read_display(r, at, v);
}

/* ---- output format --------------------------------------------------- */

static void read_format_name(llmux_reader_t *r, const llmux_at_t *at,
                             const llmux_json_t *schema)
{
    r->chat->format_name = llmux_reader_str(r, at, schema, "name");
    llmux_reader_check_name(r, at, schema, r->chat->format_name,
                            LLMUX_TOOL_NAME_MAX);
    r->chat->format_description =
        llmux_reader_str(r, at, schema, "description");
    r->chat->format_strict = llmux_reader_bool(r, at, schema, "strict");
}

static void read_schema(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *holder)
{
    r->chat->format = LLMUX_FORMAT_SCHEMA;
    r->chat->format_schema = llmux_json_raw(
        llmux_reader_member(r, at, holder, "schema", LLMUX_JSON_OBJECT));
    read_format_name(r, at, holder);
}

/* Together and Fireworks have the schema beside the type, also with
 * json_object; OpenAI one level further down. */
static void read_format(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, const llmux_field_t *f)
{
    static const char *const words[] =
        { "text", "json_object", "json_schema", NULL };
    static const llmux_format_e formats[] =
        { LLMUX_FORMAT_TEXT, LLMUX_FORMAT_JSON, LLMUX_FORMAT_SCHEMA };
    llmux_at_t type = llmux_at(at, "type"), inner = llmux_at(at, "json_schema");
    int i;

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    i = llmux_reader_word(r, &type, llmux_json_get(v, "type"), words);
    if (i < 0) {
        return;
    }
    r->chat->format = formats[i];
    if (i > 0 && llmux_json_get(v, "schema")) {
        read_schema(r, at, v);
    }
    else if (i == 2) {
        v = llmux_reader_need(r, at, v, "json_schema", LLMUX_JSON_OBJECT);
        read_schema(r, &inner, v);
    }
}

/* ---- tools ----------------------------------------------------------- */

static void read_tool_name(llmux_reader_t *r, const llmux_at_t *at,
                           const llmux_json_t *v, llmux_tool_t *tool)
{
    tool->name = llmux_reader_need_str(r, at, v, "name");
    llmux_reader_check_name(r, at, v, tool->name, LLMUX_TOOL_NAME_MAX);
    tool->description = llmux_reader_str(r, at, v, "description");
}

static void read_function(llmux_reader_t *r, const llmux_at_t *at,
                          const llmux_json_t *v)
{
    llmux_tool_t *tool = llmux_chat_tool(r->chat);

    read_tool_name(r, at, v, tool);
    tool->schema = llmux_json_raw(
        llmux_reader_member(r, at, v, "parameters", LLMUX_JSON_OBJECT));
    tool->strict = llmux_reader_bool(r, at, v, "strict");
    tool->cache_ttl = llmux_openai_read_marker(r, at, v);
}

static void read_custom(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v)
{
    llmux_tool_t *tool = llmux_chat_tool(r->chat);

    tool->custom = 1;
    read_tool_name(r, at, v, tool);
    tool->grammar = llmux_json_raw(
        llmux_reader_member(r, at, v, "format", LLMUX_JSON_OBJECT));
    tool->cache_ttl = llmux_openai_read_marker(r, at, v);
}

static const char *const tool_types[] = { "function", "custom", NULL };

/* Which of tool_types: Mistral's clients leave the type of functions out. */
static int tool_type(llmux_reader_t *r, const llmux_at_t *at,
                     const llmux_json_t *v)
{
    const llmux_json_t *type = llmux_json_get(v, "type");
    llmux_at_t here = llmux_at(at, "type");

    if (!type && llmux_json_get(v, "function")) {
        return 0;
    }
    return llmux_reader_word(r, &here, type, tool_types);
}

static void read_tool(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *v)
{
    static void (*const reads[])(llmux_reader_t *, const llmux_at_t *,
                                 const llmux_json_t *) =
        { read_function, read_custom };
    const llmux_json_t *inner;
    const char *ttl;
    llmux_at_t here;
    int i;

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    i = tool_type(r, at, v);
    if (i < 0) {
        return;
    }
    here = llmux_at(at, tool_types[i]);
    inner = llmux_reader_need(r, at, v, tool_types[i], LLMUX_JSON_OBJECT);
    if (inner) {
        reads[i](r, &here, inner);
        ttl = llmux_openai_read_marker(r, at, v);
        r->chat->last_tool->cache_ttl =
            ttl ? ttl : r->chat->last_tool->cache_ttl;
    }
}

/* An array of at most LLMUX_TOOLS_MAX, each to the reader given. */
static void read_list(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *v,
                      void (*read)(llmux_reader_t *, const llmux_at_t *,
                                   const llmux_json_t *))
{
    const llmux_json_t *e;
    llmux_at_t each;
    int i = 0;

    llmux_reader_expect_list(r, at, v, LLMUX_TOOLS_MAX, "tools");
    for (e = llmux_json_first(v); e && !r->err; e = llmux_json_next(v, e)) {
        each = llmux_at_index(at, i++);
        if (llmux_reader_expect(r, &each, e, LLMUX_JSON_OBJECT)) {
            read(r, &each, e);
        }
    }
}

static void read_tools(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *v, const llmux_field_t *f)
{
    read_list(r, at, v, read_tool);
}

static void read_functions(llmux_reader_t *r, const llmux_at_t *at,
                           const llmux_json_t *v, const llmux_field_t *f)
{
    read_list(r, at, v, read_function);
}

/* ---- choice of tool -------------------------------------------------- */

static void add_choice_name(llmux_reader_t *r, llmux_slice_t name)
{
    if (!r->chat->choice_names) {
        r->chat->choice_names =
            apr_array_make(r->pool, 1, sizeof(llmux_slice_t));
    }
    APR_ARRAY_PUSH(r->chat->choice_names, llmux_slice_t) = name;
}

/* {"type":"function","function":{"name":...}}, and custom likewise. */
static void read_named(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *v)
{
    int i = tool_type(r, at, v);
    const llmux_json_t *inner;
    llmux_at_t here;

    if (i >= 0) {
        here = llmux_at(at, tool_types[i]);
        inner = llmux_reader_need(r, at, v, tool_types[i], LLMUX_JSON_OBJECT);
        if (inner) {
            add_choice_name(r, llmux_reader_need_str(r, &here, inner, "name"));
        }
    }
}

static void read_allowed(llmux_reader_t *r, const llmux_at_t *up,
                         const llmux_json_t *v)
{
    static const char *const modes[] = { "auto", "required", NULL };
    const llmux_json_t *allowed =
        llmux_reader_need(r, up, v, "allowed_tools", LLMUX_JSON_OBJECT);
    llmux_at_t at = llmux_at(up, "allowed_tools");
    llmux_at_t mode = llmux_at(&at, "mode"), tools = llmux_at(&at, "tools");
    int i;

    if (!allowed) {
        return;
    }
    i = llmux_reader_word(r, &mode, llmux_json_get(allowed, "mode"), modes);
    r->chat->choice = i ? LLMUX_CHOICE_ALLOWED_REQUIRED
                        : LLMUX_CHOICE_ALLOWED_AUTO;
    read_list(r, &tools, llmux_json_get(allowed, "tools"), read_named);
    if (!r->chat->choice_names) {
        llmux_reader_fail(r, &tools, "expected at least one tool");
    }
}

static void read_choice_word(llmux_reader_t *r, const llmux_at_t *at,
                             const llmux_json_t *v)
{
    static const char *const words[] =
        { "none", "auto", "required", "any", NULL };    /* any: Mistral's */
    static const llmux_choice_e choices[] =
        { LLMUX_CHOICE_NONE, LLMUX_CHOICE_AUTO, LLMUX_CHOICE_REQUIRED,
          LLMUX_CHOICE_REQUIRED };
    int i = llmux_reader_word(r, at, v, words);

    if (i >= 0) {
        r->chat->choice = choices[i];
    }
}

static void read_choice(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, const llmux_field_t *f)
{
    if (llmux_json_kind(v) == LLMUX_JSON_STRING) {
        read_choice_word(r, at, v);
    }
    else if (llmux_json_kind(v) != LLMUX_JSON_OBJECT) {
        llmux_reader_fail(r, at, "expected a string or an object, found %s",
                          llmux_json_kind_name(v));
    }
    else if (llmux_json_is(llmux_json_get(v, "type"), "allowed_tools")) {
        read_allowed(r, at, v);
    }
    else {
        r->chat->choice = LLMUX_CHOICE_NAMED;
        read_named(r, at, v);
    }
}

static void read_legacy_choice(llmux_reader_t *r, const llmux_at_t *at,
                               const llmux_json_t *v, const llmux_field_t *f)
{
    if (r->chat->choice != LLMUX_CHOICE_UNSET) {
        return;
    }
    if (llmux_json_kind(v) == LLMUX_JSON_STRING) {
        read_choice_word(r, at, v);
    }
    else if (llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        r->chat->choice = LLMUX_CHOICE_NAMED;
        add_choice_name(r, llmux_reader_need_str(r, at, v, "name"));
    }
}

/* ---- the table ------------------------------------------------------- */

#define DO(name, read) { name, read, 0, 0, 0, 0 }
#define SET(name, read, member) \
    { name, read, offsetof(llmux_chat_t, member), 0, 0, 0 }
#define SPAN(name, read, member, low, high) \
    { name, read, offsetof(llmux_chat_t, member), low, high, 0 }
#define OBJECT(name, member) \
    { name, llmux_field_object, offsetof(llmux_chat_t, member), 0, 0, 0 }

static const llmux_field_t fields[] = {
    SET("model", llmux_field_str, model),
    DO("messages", read_messages),
    DO("tools", read_tools),
    DO("functions", read_functions),
    DO("tool_choice", read_choice),
    DO("function_call", read_legacy_choice),
    SET("parallel_tool_calls", llmux_field_tri, parallel),
    SPAN("max_completion_tokens", llmux_field_integer, max_tokens, 1, 0),
    SPAN("max_tokens", llmux_field_integer, max_tokens, 1, 0),
    SPAN("max_output_tokens", llmux_field_integer, max_tokens, 1, 0),
    SPAN("temperature", llmux_field_number, temperature, 0, 2),
    SPAN("top_p", llmux_field_number, top_p, 0, 1),
    DO("top_k", llmux_field_top_k),
    SPAN("frequency_penalty", llmux_field_number, frequency_penalty, -2, 2),
    SPAN("presence_penalty", llmux_field_number, presence_penalty, -2, 2),
    SET("seed", llmux_field_any_integer, seed),
    SPAN("n", llmux_field_integer, n, 1, LLMUX_CANDIDATES_MAX),
    DO("logit_bias", llmux_field_logit_bias),
    SET("logprobs", llmux_field_tri, logprobs),
    SPAN("top_logprobs", llmux_field_integer, top_logprobs, 0, 20),
    DO("stop", llmux_field_stop),
    DO("verbosity", read_verbosity),
    DO("reasoning_effort", read_effort),
    DO("reasoning", read_reasoning),
    DO("thinking", read_thinking),
    SET("include_reasoning", llmux_field_tri, show_thinking),
    DO("response_format", read_format),
    SET("safety_identifier", llmux_field_str, user_id),
    SET("user", llmux_field_str, user_id),
    SET("end_user", llmux_field_str, user_id),
    SET("service_tier", llmux_field_str, service_tier),
    SET("prompt_cache_key", llmux_field_str, cache_key),
    SET("store", llmux_field_tri, store),
    OBJECT("metadata", metadata),
    DO("modalities", read_modalities),
    OBJECT("audio", audio),
    OBJECT("prediction", prediction),
    OBJECT("moderation", moderation),
    OBJECT("web_search_options", web_search),
    DO("stream", llmux_field_stream),
    DO("stream_options", llmux_field_stream_options),
    /* the gateway's own */
    DO("provider", NULL),
    DO("parameters", NULL),
    DO("tags", NULL),
    DO("tag", NULL)
};

#define FIELDS ((int) (sizeof(fields) / sizeof(*fields)))

int llmux_openai_knows(const llmux_json_t *name)
{
    return llmux_field_of(fields, FIELDS, name) >= 0;
}

/* Sorts the members into the table's order; unknown ones become extras. */
static void sort_members(llmux_reader_t *r, const llmux_json_t *body,
                         const llmux_json_t **found)
{
    const llmux_json_t *m, *v;
    int i;

    for (m = llmux_json_first(body); m; m = llmux_json_next_member(body, m)) {
        v = llmux_json_value(m);
        v = llmux_json_kind(v) == LLMUX_JSON_NULL ? NULL : v;
        i = llmux_field_of(fields, FIELDS, m);
        if (llmux_field_means(fields, i, v)) {
            found[i] = v;
        }
        else if (v) {
            llmux_extra_add(r, &r->chat->extra, llmux_json_str(r->pool, m),
                            v);
        }
    }
}

const llmux_error_t *llmux_openai_read(llmux_chat_t *chat,
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
