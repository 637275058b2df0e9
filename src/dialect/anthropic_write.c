/* anthropic_write.c - a chat, written as a request to Messages. */

#include <stddef.h>
#include <string.h>

#include <apr_hash.h>
#include <apr_sha1.h>
#include <apr_strings.h>

#include "anthropic.h"

#define BUDGET_MIN   1024       /* thinking tokens: the API's least */
#define USER_ID_MAX  256        /* characters of metadata.user_id */

/* From this API version on, sampling parameters are refused. */
#define VERSION_WITHOUT_SAMPLING "2026-10-21"

typedef enum {
    SILENT,         /* no word about thinking */
    OFF, BETWEEN_TOOLS, ADAPTIVE, BUDGET
} thinking_e;

/* One request while it is written. */
typedef struct request_t {
    const llmux_chat_t *chat;
    const llmux_target_t *target;
    const llmux_claude_t *claude;
    llmux_anthropic_out_t out;
    llmux_turns_t turns;
    apr_int64_t max_tokens;
    thinking_e thinking;
    apr_int64_t budget;
    const char *effort;         /* output_config.effort, or NULL */
    apr_hash_t *offered;        /* tools that may be called; NULL: all */
    const char *choice;         /* type of tool_choice, or NULL */
} request_t;

static int can(const request_t *r, unsigned int ability)
{
    return (r->claude->can & ability) != 0;
}

static void warn(const request_t *r, llmux_warn_e kind, const char *field)
{
    llmux_warn(r->out.w, kind, field);
}

static int thinks(const request_t *r)
{
    return r->thinking == ADAPTIVE || r->thinking == BUDGET;
}

static const llmux_json_t *parsed(const request_t *r, llmux_slice_t json)
{
    return json.data ? llmux_json_parse(r->out.p, json, 0, NULL) : NULL;
}

/* ---- what cannot be said at all -------------------------------------- */

/* Values in JSON that ask for nothing are not worth a warning. */
enum { TEXT, JSON, JSON_NOT_ZERO };

static const struct {
    apr_size_t at;
    int spelling;
    const char *field;
} left_out[] = {
    { offsetof(llmux_chat_t, seed),              JSON,          "seed" },
    { offsetof(llmux_chat_t, frequency_penalty), JSON_NOT_ZERO,
                                                 "frequency_penalty" },
    { offsetof(llmux_chat_t, presence_penalty),  JSON_NOT_ZERO,
                                                 "presence_penalty" },
    { offsetof(llmux_chat_t, logit_bias),        JSON,          "logit_bias" },
    { offsetof(llmux_chat_t, top_logprobs),      JSON_NOT_ZERO,
                                                 "top_logprobs" },
    { offsetof(llmux_chat_t, verbosity),         TEXT,          "verbosity" },
    { offsetof(llmux_chat_t, cache_key),         TEXT,  "prompt_cache_key" },
    { offsetof(llmux_chat_t, metadata),          JSON,          "metadata" },
    { offsetof(llmux_chat_t, prediction),        JSON,          "prediction" },
    { offsetof(llmux_chat_t, moderation),        JSON,          "moderation" },
    { offsetof(llmux_chat_t, audio),             JSON,          "audio" }
};

static int asks_nothing(const request_t *r, llmux_slice_t value, int spelling)
{
    const llmux_json_t *v;

    if (spelling == TEXT || !value.data) {
        return !value.len;
    }
    v = parsed(r, value);
    if (llmux_json_kind(v) == LLMUX_JSON_OBJECT) {
        return !llmux_json_count(v);
    }
    return spelling == JSON_NOT_ZERO && llmux_json_double(v, 1) == 0;
}

static void leave_out(const request_t *r)
{
    const llmux_extra_t *extra;
    apr_size_t i;

    for (i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++) {
        const llmux_slice_t *value
            = (const void *)((const char *)r->chat + left_out[i].at);

        if (!asks_nothing(r, *value, left_out[i].spelling)) {
            warn(r, LLMUX_WARN_DROP, left_out[i].field);
        }
    }
    if (r->chat->logprobs == LLMUX_YES) {
        warn(r, LLMUX_WARN_DROP, "logprobs");
    }
    if (r->chat->store == LLMUX_YES) {
        warn(r, LLMUX_WARN_DROP, "store");
    }
    for (extra = r->chat->extra; extra; extra = extra->next) {
        warn(r, LLMUX_WARN_DROP, llmux_slice_str(r->out.p, extra->name));
    }
}

/* What must not be lost in silence. */
static const llmux_error_t *refuse(const request_t *r)
{
    const llmux_json_t *modalities = parsed(r, r->chat->modalities), *each;

    if (r->chat->n.data && llmux_json_int(parsed(r, r->chat->n), 0) != 1) {
        return llmux_error(r->out.p, LLMUX_ERR_UNSUPPORTED, "n",
                           "The model's API gives one answer to a request. "
                           "Leave 'n' out, or ask several times.");
    }
    for (each = llmux_json_first(modalities); each;
         each = llmux_json_next(modalities, each)) {
        if (!llmux_json_is(each, "text")) {
            return llmux_error(r->out.p, LLMUX_ERR_UNSUPPORTED, "modalities",
                               "The model's API answers with text only. "
                               "Leave 'modalities' out.");
        }
    }
    return NULL;
}

/* By llmux_choice_e. */
static const struct {
    const char *type;
    int forces;             /* a call must be made */
    int picks;              /* among some tools only: the rest is left out */
} choices[] = {
    [LLMUX_CHOICE_UNSET]            = { NULL,   0, 0 },
    [LLMUX_CHOICE_AUTO]             = { "auto", 0, 0 },
    [LLMUX_CHOICE_NONE]             = { "none", 0, 0 },
    [LLMUX_CHOICE_REQUIRED]         = { "any",  1, 0 },
    [LLMUX_CHOICE_NAMED]            = { "tool", 1, 0 },
    [LLMUX_CHOICE_ALLOWED_AUTO]     = { "auto", 0, 1 },
    [LLMUX_CHOICE_ALLOWED_REQUIRED] = { "any",  1, 1 }
};

/* ---- tokens and thinking --------------------------------------------- */

static const llmux_error_t *find_max_tokens(request_t *r)
{
    const llmux_chat_t *chat = r->chat;

    if (chat->max_tokens.data) {
        r->max_tokens = llmux_json_int(parsed(r, chat->max_tokens), -1);
        if (r->max_tokens < 0) {
            return llmux_error(r->out.p, LLMUX_ERR_INVALID, "max_tokens",
                               "'max_tokens' must be a whole number, not "
                               "negative.");
        }
        return NULL;
    }
    r->max_tokens = r->target->max_tokens > 0 ? r->target->max_tokens
                                              : r->claude->fallback;
    if (r->max_tokens < r->claude->max_tokens) {
        warn(r, LLMUX_WARN_APPROX, "max_tokens");
    }
    return NULL;
}

/* How much thinking an effort is worth, for models that count it. */
static const apr_int64_t budgets[] = {
    [LLMUX_EFFORT_MINIMAL] = 1024,
    [LLMUX_EFFORT_LOW]     = 2048,
    [LLMUX_EFFORT_MEDIUM]  = 8192,
    [LLMUX_EFFORT_HIGH]    = 16384,
    [LLMUX_EFFORT_XHIGH]   = 32768,
    [LLMUX_EFFORT_MAX]     = 32768
};

static llmux_effort_e nearest_effort(apr_int64_t budget)
{
    int e;

    for (e = LLMUX_EFFORT_LOW; e < LLMUX_EFFORT_XHIGH; e++) {
        if (budget <= (budgets[e] + budgets[e + 1]) / 2) {
            break;
        }
    }
    return e;
}

/* The highest level that the model has and that does not exceed the wish. */
static const char *level(const request_t *r, llmux_effort_e wish)
{
    llmux_effort_e e = wish;

    if (e == LLMUX_EFFORT_MAX && !can(r, LLMUX_CLAUDE_MAX)) {
        e = LLMUX_EFFORT_XHIGH;
    }
    if (e == LLMUX_EFFORT_XHIGH && !can(r, LLMUX_CLAUDE_XHIGH)) {
        e = LLMUX_EFFORT_HIGH;
    }
    if (e < LLMUX_EFFORT_LOW) {
        e = LLMUX_EFFORT_LOW;
    }
    if (e != wish) {
        warn(r, LLMUX_WARN_APPROX, "reasoning_effort");
    }
    return llmux_effort_name(e);
}

static void think_not(request_t *r)
{
    if (can(r, LLMUX_CLAUDE_BETWEEN)) {
        r->thinking = BETWEEN_TOOLS;
    }
    else if (can(r, LLMUX_CLAUDE_ALWAYS)) {
        r->effort = llmux_effort_name(LLMUX_EFFORT_LOW);
    }
    else {
        r->thinking = OFF;
        return;
    }
    warn(r, LLMUX_WARN_APPROX, "reasoning_effort");
}

/* Room for thinking and for the answer: the budget is part of max_tokens. */
static void think_counted(request_t *r, apr_int64_t wish, const char *field)
{
    apr_int64_t most = r->claude->max_tokens;
    apr_int64_t n = wish < BUDGET_MIN ? BUDGET_MIN : wish;

    n = n < most ? n : most;
    if (r->max_tokens <= n) {
        r->max_tokens = r->max_tokens + n < most ? r->max_tokens + n : most;
        if (r->chat->max_tokens.data) {
            warn(r, LLMUX_WARN_APPROX, "max_tokens");
        }
    }
    if (n >= r->max_tokens) {
        n = r->max_tokens / 2;
    }
    if (n != wish) {
        warn(r, LLMUX_WARN_APPROX, field);
    }
    r->thinking = BUDGET;
    r->budget = n;
}

static void think_adaptively(request_t *r, llmux_effort_e effort,
                             apr_int64_t budget)
{
    if (effort == LLMUX_EFFORT_UNSET) {
        effort = nearest_effort(budget);
        warn(r, LLMUX_WARN_APPROX, "thinking");
    }
    r->thinking = ADAPTIVE;
    r->effort = level(r, effort);
}

/* A model that counts its thinking refuses calls in the history without the
 * thinking before them, which chat clients seldom keep, and prefill. */
static int may_count(const request_t *r)
{
    return !r->turns.unsigned_calls && !r->turns.prefill;
}

static void think(request_t *r, llmux_effort_e effort, apr_int64_t budget)
{
    const char *field = effort == LLMUX_EFFORT_UNSET ? "thinking"
                                                     : "reasoning_effort";

    if (can(r, LLMUX_CLAUDE_BUDGET) && may_count(r)
        && (budget > 0 || !can(r, LLMUX_CLAUDE_ADAPTIVE))) {
        think_counted(r, budget > 0 ? budget : budgets[effort], field);
    }
    else if (can(r, LLMUX_CLAUDE_ADAPTIVE)) {
        think_adaptively(r, effort, budget);
    }
    else if (can(r, LLMUX_CLAUDE_BUDGET)) {
        warn(r, LLMUX_WARN_APPROX, field);
    }
    else {
        warn(r, LLMUX_WARN_DROP, field);
    }
}

static void decide_thinking(request_t *r)
{
    const llmux_chat_t *chat = r->chat;
    apr_int64_t budget = llmux_json_int(parsed(r, chat->budget), -1);

    if (chat->effort == LLMUX_EFFORT_NONE || budget == 0) {
        if (can(r, LLMUX_CLAUDE_BUDGET | LLMUX_CLAUDE_ADAPTIVE)) {
            think_not(r);
        }
    }
    else if (chat->effort != LLMUX_EFFORT_UNSET || budget > 0) {
        think(r, chat->effort, budget);
    }
    else if (chat->show_thinking == LLMUX_YES
             && can(r, LLMUX_CLAUDE_THINKS) && !choices[chat->choice].forces) {
        r->thinking = ADAPTIVE;
    }
}

static void write_thinking(request_t *r)
{
    static const char *const types[] = {
        [OFF]           = "disabled",
        [BETWEEN_TOOLS] = "between_tools",
        [ADAPTIVE]      = "adaptive",
        [BUDGET]        = "enabled"
    };
    llmux_jw_t *jw = &r->out.jw;

    if (r->thinking == SILENT) {
        return;
    }
    llmux_jw_key(jw, "thinking");
    llmux_jw_open(jw, '{');
    llmux_jw_key(jw, "type");
    llmux_jw_cstr(jw, types[r->thinking]);
    if (r->thinking == BUDGET) {
        llmux_jw_key(jw, "budget_tokens");
        llmux_jw_int(jw, r->budget);
    }
    if (thinks(r) && r->chat->show_thinking == LLMUX_YES
        && can(r, LLMUX_CLAUDE_OMITS)) {
        llmux_jw_key(jw, "display");
        llmux_jw_cstr(jw, "summarized");
    }
    llmux_jw_close(jw, '}');
}

/* ---- tools ----------------------------------------------------------- */

static void offer(request_t *r)
{
    int i;

    r->offered = apr_hash_make(r->out.p);
    for (i = 0; r->chat->choice_names && i < r->chat->choice_names->nelts;
         i++) {
        llmux_slice_t *name = &APR_ARRAY_IDX(r->chat->choice_names, i,
                                             llmux_slice_t);

        apr_hash_set(r->offered, name->data, (apr_ssize_t)name->len, name);
    }
}

static int is_offered(const request_t *r, const llmux_tool_t *tool)
{
    return !r->offered || apr_hash_get(r->offered, tool->name.data,
                                       (apr_ssize_t)tool->name.len);
}

/* A model that thinks, and the newest ones always, cannot be forced. Then
 * there is at least nothing else to call. */
static void decide_choice(request_t *r)
{
    llmux_choice_e c = r->chat->choice;
    int soften = choices[c].forces
                 && (thinks(r) || !can(r, LLMUX_CLAUDE_FORCED));

    r->choice = choices[c].type;
    if (soften) {
        r->choice = "auto";
        warn(r, LLMUX_WARN_APPROX, "tool_choice");
    }
    if (choices[c].picks || (soften && c == LLMUX_CHOICE_NAMED)) {
        offer(r);
    }
    if (!r->choice && r->chat->parallel == LLMUX_NO) {
        r->choice = "auto";
    }
}

#define EMPTY_SCHEMA "{\"type\":\"object\",\"properties\":{}}"

#define CUSTOM_SCHEMA "{\"type\":\"object\",\"properties\":" \
    "{\"input\":{\"type\":\"string\"}},\"required\":[\"input\"]}"

/* The client's bytes; what the API insists on is put in front. */
static const llmux_error_t *write_schema(request_t *r, llmux_slice_t schema,
                                         int index)
{
    const llmux_json_t *v = NULL;
    llmux_slice_t raw = llmux_slice(EMPTY_SCHEMA);

    if (!llmux_slice_blank(schema)) {
        v = llmux_json_parse(r->out.p, schema, 1, NULL);
        if (llmux_json_kind(v) != LLMUX_JSON_OBJECT) {
            return llmux_error(r->out.p, LLMUX_ERR_INVALID,
                               apr_psprintf(r->out.p, "tools[%d].function."
                                            "parameters", index),
                               "The parameters of a tool must be a JSON "
                               "schema: an object.");
        }
    }
    if (llmux_json_count(v)) {
        const char *type = llmux_json_get_any(v, "type")
                           ? "" : "\"type\":\"object\",";
        const char *properties = llmux_json_get_any(v, "properties")
                                 ? "" : "\"properties\":{},";

        raw = llmux_json_raw(v);
        if (*type || *properties) {
            raw = llmux_slice(apr_psprintf(r->out.p, "{%s%s%.*s", type,
                                           properties, (int)raw.len - 1,
                                           raw.data + 1));
        }
    }
    llmux_jw_key(&r->out.jw, "input_schema");
    llmux_jw_raw(&r->out.jw, raw);
    return NULL;
}

/* A grammar is no more than advice here. */
static llmux_slice_t custom_description(request_t *r, const llmux_tool_t *t)
{
    const llmux_json_t *format = parsed(r, t->grammar);

    if (!format || llmux_json_is(llmux_json_get(format, "type"), "text")) {
        return t->description;
    }
    return llmux_slice(apr_pstrcat(r->out.p,
        llmux_slice_str(r->out.p, t->description),
        t->description.len ? "\n\n" : "",
        "The input must have this format: ",
        llmux_slice_str(r->out.p, t->grammar), NULL));
}

static const llmux_error_t *write_tool(request_t *r, const llmux_tool_t *t,
                                       int index)
{
    llmux_jw_t *jw = &r->out.jw;
    const llmux_error_t *err = NULL;
    llmux_slice_t description = t->description;

    if (t->custom) {
        description = custom_description(r, t);
        warn(r, LLMUX_WARN_APPROX, "tools.custom");
    }
    llmux_jw_open(jw, '{');
    llmux_jw_opt_str(jw, "name", t->name);
    if (description.len) {
        llmux_jw_opt_str(jw, "description", description);
    }
    if (t->custom) {
        llmux_jw_opt_raw(jw, "input_schema", llmux_slice(CUSTOM_SCHEMA));
    }
    else {
        err = write_schema(r, t->schema, index);
    }
    if (t->strict == LLMUX_YES && can(r, LLMUX_CLAUDE_SCHEMA)) {
        llmux_jw_opt_bool(jw, "strict", LLMUX_YES);
    }
    else if (t->strict == LLMUX_YES) {
        warn(r, LLMUX_WARN_DROP, "tools.function.strict");
    }
    llmux_anthropic_mark(&r->out, t->cache_ttl);
    llmux_jw_close(jw, '}');
    return err;
}

/* web_search_options: the one hosted tool that chat clients can ask for. */
static void write_web_search(request_t *r)
{
    static const char *const members[] = {
        "city", "region", "country", "timezone"
    };
    const llmux_json_t *v = parsed(r, r->chat->web_search);
    const llmux_json_t *place
        = llmux_json_get(llmux_json_get(v, "user_location"), "approximate");
    llmux_jw_t *jw = &r->out.jw;
    apr_size_t i;

    if (llmux_json_get(v, "search_context_size")
        && !llmux_json_is(llmux_json_get(v, "search_context_size"),
                          "medium")) {
        warn(r, LLMUX_WARN_DROP, "web_search_options.search_context_size");
    }
    llmux_jw_raw(jw, llmux_slice("{\"type\":\"web_search_20250305\","
                                 "\"name\":\"web_search\""));
    if (llmux_json_count(place)) {
        jw->comma = 1;
        llmux_jw_key(jw, "user_location");
        llmux_jw_open(jw, '{');
        llmux_jw_key(jw, "type");
        llmux_jw_cstr(jw, "approximate");
        for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
            llmux_jw_opt_str(jw, members[i],
                             llmux_json_str(r->out.p,
                                 llmux_json_get(place, members[i])));
        }
        llmux_jw_close(jw, '}');
    }
    llmux_jw_close(jw, '}');
}

static const llmux_error_t *write_tool_list(request_t *r)
{
    const llmux_error_t *err = NULL;
    const llmux_tool_t *t;
    int index = 0, n = 0;

    llmux_jw_key(&r->out.jw, "tools");
    llmux_jw_open(&r->out.jw, '[');
    for (t = r->chat->tools; t && !err; t = t->next, index++) {
        if (is_offered(r, t)) {
            err = write_tool(r, t, index);
            n++;
        }
    }
    if (r->chat->web_search.data) {
        write_web_search(r);
        n++;
    }
    llmux_jw_close(&r->out.jw, ']');
    if (!err && !n) {
        err = llmux_error(r->out.p, LLMUX_ERR_INVALID, "tool_choice",
                          "'tool_choice' names no tool of 'tools'.");
    }
    return err;
}

static void write_choice(request_t *r)
{
    llmux_jw_t *jw = &r->out.jw;

    if (!r->choice) {
        return;
    }
    llmux_jw_key(jw, "tool_choice");
    llmux_jw_open(jw, '{');
    llmux_jw_key(jw, "type");
    llmux_jw_cstr(jw, r->choice);
    if (!strcmp(r->choice, "tool") && r->chat->choice_names
        && r->chat->choice_names->nelts) {
        llmux_jw_opt_str(jw, "name", APR_ARRAY_IDX(r->chat->choice_names, 0,
                                                   llmux_slice_t));
    }
    if (r->chat->parallel == LLMUX_NO && strcmp(r->choice, "none")) {
        llmux_jw_opt_bool(jw, "disable_parallel_tool_use", LLMUX_YES);
    }
    llmux_jw_close(jw, '}');
}

/* "Requests which include `tool_use` or `tool_result` blocks must define
 * tools": those of the history then, without leave to call them. */
static void write_history_tools(request_t *r)
{
    llmux_jw_t *jw = &r->out.jw;
    apr_hash_t *seen = apr_hash_make(r->out.p);
    const llmux_turn_t *t;
    const llmux_part_t *part;

    llmux_jw_key(jw, "tools");
    llmux_jw_open(jw, '[');
    for (t = r->turns.first; t; t = t->next) {
        for (part = t->calls ? t->parts : NULL; part; part = part->next) {
            if (!part->name.len
                || apr_hash_get(seen, part->name.data,
                                (apr_ssize_t)part->name.len)) {
                continue;
            }
            apr_hash_set(seen, part->name.data, (apr_ssize_t)part->name.len,
                         part);
            llmux_jw_open(jw, '{');
            llmux_jw_opt_str(jw, "name", part->name);
            llmux_jw_opt_raw(jw, "input_schema", llmux_slice(EMPTY_SCHEMA));
            llmux_jw_close(jw, '}');
        }
    }
    llmux_jw_close(jw, ']');
    llmux_jw_opt_raw(jw, "tool_choice", llmux_slice("{\"type\":\"none\"}"));
    warn(r, LLMUX_WARN_EMULATE, "tools");
}

static const llmux_error_t *write_tools(request_t *r)
{
    const llmux_error_t *err = NULL;

    if (r->chat->tools || r->chat->web_search.data) {
        err = write_tool_list(r);
        write_choice(r);
    }
    else if (r->turns.calls) {
        write_history_tools(r);
    }
    return err;
}

/* ---- format of the answer -------------------------------------------- */

static int native_schema(const request_t *r)
{
    return r->chat->format == LLMUX_FORMAT_SCHEMA
           && r->chat->format_schema.data && can(r, LLMUX_CLAUDE_SCHEMA);
}

/* What the API cannot be told is told to the model. A forced tool would be
 * firmer, but collides with thinking and with the client's own tools. */
static void add_format_hint(request_t *r)
{
    const llmux_chat_t *chat = r->chat;
    const char *hint = "Answer with one JSON object and nothing else: no "
                       "other text, no code fence.";

    if (native_schema(r) || (chat->format != LLMUX_FORMAT_SCHEMA
                             && chat->format != LLMUX_FORMAT_JSON)) {
        return;
    }
    if (chat->format_schema.data) {
        hint = apr_pstrcat(r->out.p, "Answer with one JSON value that is "
                           "valid for the following JSON schema, and nothing "
                           "else: no other text, no code fence.\n",
                           llmux_slice_str(r->out.p, chat->format_schema),
                           NULL);
    }
    llmux_anthropic_hint(&r->turns, r->out.p, hint);
    warn(r, chat->format == LLMUX_FORMAT_SCHEMA ? LLMUX_WARN_APPROX
                                                : LLMUX_WARN_EMULATE,
         "response_format");
}

static void write_output_config(request_t *r)
{
    llmux_jw_t *jw = &r->out.jw;

    if (!r->effort && !native_schema(r)) {
        return;
    }
    llmux_jw_key(jw, "output_config");
    llmux_jw_open(jw, '{');
    llmux_jw_opt_str(jw, "effort", llmux_slice(r->effort));
    if (native_schema(r)) {
        llmux_jw_key(jw, "format");
        llmux_jw_open(jw, '{');
        llmux_jw_key(jw, "type");
        llmux_jw_cstr(jw, "json_schema");
        llmux_jw_opt_raw(jw, "schema", r->chat->format_schema);
        llmux_jw_close(jw, '}');
    }
    llmux_jw_close(jw, '}');
}

/* ---- sampling -------------------------------------------------------- */

static int version_samples(const request_t *r)
{
    const char *version = r->target->version;

    return !version || strcmp(version, VERSION_WITHOUT_SAMPLING) < 0;
}

/* Values that are the API's own default are left out without a word. */
static void drop_unless(const request_t *r, int same, const char *field)
{
    if (!same) {
        warn(r, LLMUX_WARN_DROP, field);
    }
}

/* @return 1 if it was written */
static int write_temperature(request_t *r, int free)
{
    llmux_slice_t source = r->chat->temperature;
    double t = llmux_json_double(parsed(r, source), 1);

    if (!source.data) {
        return 0;
    }
    if (!version_samples(r) || ((!free || thinks(r)) && t != 1)) {
        drop_unless(r, t == 1, "temperature");
        return 0;
    }
    if (t == 1 && can(r, LLMUX_CLAUDE_ONE_OF) && r->chat->top_p.data) {
        return 0;       /* makes room for top_p */
    }
    if (t > 1) {
        source = llmux_slice("1");
        warn(r, LLMUX_WARN_APPROX, "temperature");
    }
    llmux_jw_opt_raw(&r->out.jw, "temperature", source);
    return 1;
}

static void write_top_p(request_t *r, int free, int with_temperature)
{
    llmux_slice_t source = r->chat->top_p;
    double p = llmux_json_double(parsed(r, source), 1);
    double least = !free ? 0.99 : thinks(r) ? 0.95 : 0;

    if (!source.data) {
        return;
    }
    if (!version_samples(r) || p < least
        || (with_temperature && can(r, LLMUX_CLAUDE_ONE_OF))) {
        drop_unless(r, p == 1, "top_p");
        return;
    }
    llmux_jw_opt_raw(&r->out.jw, "top_p", source);
}

static void write_sampling(request_t *r)
{
    int free = can(r, LLMUX_CLAUDE_SAMPLING);
    int with_temperature = write_temperature(r, free);

    write_top_p(r, free, with_temperature);
    if (!r->chat->top_k.data) {
        return;
    }
    if (free && version_samples(r) && !thinks(r)) {
        llmux_jw_opt_raw(&r->out.jw, "top_k", r->chat->top_k);
    }
    else {
        warn(r, LLMUX_WARN_DROP, "top_k");
    }
}

/* ---- the rest -------------------------------------------------------- */

static void write_stops(request_t *r)
{
    llmux_jw_t *jw = &r->out.jw;
    int i, n = 0;

    for (i = 0; r->chat->stop && i < r->chat->stop->nelts; i++) {
        llmux_slice_t s = APR_ARRAY_IDX(r->chat->stop, i, llmux_slice_t);

        if (llmux_slice_blank(s)) {
            warn(r, LLMUX_WARN_DROP, "stop");
            continue;
        }
        if (!n++) {
            llmux_jw_key(jw, "stop_sequences");
            llmux_jw_open(jw, '[');
        }
        llmux_jw_str(jw, s);
    }
    if (n) {
        llmux_jw_close(jw, ']');
    }
}

static void write_tier(request_t *r)
{
    static const struct {
        const char *ours, *theirs;
        int near;               /* not quite the same */
    } tiers[] = {
        { "auto",     "auto",          0 },
        { "default",  "standard_only", 0 },
        { "priority", "auto",          1 },
        { "fast",     "auto",          1 },
        { "scale",    "auto",          1 }
    };
    apr_size_t i;

    if (!r->chat->service_tier.len) {
        return;
    }
    for (i = 0; i < sizeof(tiers) / sizeof(tiers[0]); i++) {
        if (llmux_slice_is(r->chat->service_tier, tiers[i].ours)) {
            llmux_jw_opt_str(&r->out.jw, "service_tier",
                             llmux_slice(tiers[i].theirs));
            if (tiers[i].near) {
                warn(r, LLMUX_WARN_APPROX, "service_tier");
            }
            return;
        }
    }
    warn(r, LLMUX_WARN_DROP, "service_tier");
}

static llmux_slice_t sha1_hex(apr_pool_t *p, llmux_slice_t s)
{
    unsigned char digest[APR_SHA1_DIGESTSIZE];
    char *hex = apr_palloc(p, 2 * sizeof(digest) + 1);
    apr_sha1_ctx_t context;
    apr_size_t i;

    apr_sha1_init(&context);
    apr_sha1_update_binary(&context, (const unsigned char *)s.data,
                           (unsigned int)s.len);
    apr_sha1_final(digest, &context);
    for (i = 0; i < sizeof(digest); i++) {
        apr_snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
    return llmux_slice(hex);
}

/* The vendor asks not to be given names and addresses of people. */
static void write_user(request_t *r)
{
    llmux_slice_t id = r->chat->user_id;
    llmux_jw_t *jw = &r->out.jw;

    if (llmux_slice_blank(id)) {
        return;
    }
    if (id.len > USER_ID_MAX || memchr(id.data, '@', id.len)) {
        id = sha1_hex(r->out.p, id);
        warn(r, LLMUX_WARN_APPROX, "user");
    }
    llmux_jw_key(jw, "metadata");
    llmux_jw_open(jw, '{');
    llmux_jw_opt_str(jw, "user_id", id);
    llmux_jw_close(jw, '}');
}

/* ---- all of it ------------------------------------------------------- */

static const llmux_error_t *decide(request_t *r)
{
    const llmux_error_t *err = refuse(r);

    if (!err) {
        err = llmux_anthropic_turns(&r->turns, r->chat, r->claude, r->out.w,
                                    r->out.p);
    }
    if (!err) {
        err = find_max_tokens(r);
    }
    if (!err) {
        decide_thinking(r);
        decide_choice(r);
        add_format_hint(r);
        leave_out(r);
        llmux_anthropic_count_marks(&r->out, r->chat->tools, &r->turns);
    }
    return err;
}

static const llmux_error_t *write_body(request_t *r)
{
    llmux_jw_t *jw = &r->out.jw;
    const llmux_error_t *err;

    llmux_jw_open(jw, '{');
    llmux_jw_opt_str(jw, "model", r->target->model);
    llmux_jw_key(jw, "max_tokens");
    llmux_jw_int(jw, r->max_tokens);
    err = write_tools(r);
    if (!err) {
        err = llmux_anthropic_content(&r->out, &r->turns);
    }
    write_thinking(r);
    write_output_config(r);
    write_sampling(r);
    write_stops(r);
    write_tier(r);
    write_user(r);
    if (r->chat->stream) {
        llmux_jw_opt_bool(jw, "stream", LLMUX_YES);
    }
    llmux_jw_close(jw, '}');
    return err;
}

const llmux_error_t *llmux_anthropic_write(llmux_buf_t *out,
                                           const llmux_chat_t *chat,
                                           const llmux_target_t *target,
                                           llmux_warnings_t *w,
                                           apr_pool_t *scratch)
{
    request_t r = { .chat = chat, .target = target };
    const llmux_error_t *err;

    r.claude = llmux_claude_named(target->model);
    r.out.jw = llmux_jw(out);
    r.out.w = w;
    r.out.p = scratch;
    err = decide(&r);
    if (!err) {
        err = write_body(&r);
    }
    if (!err && out->failed) {
        err = llmux_error(scratch, LLMUX_ERR_TOO_LARGE, NULL,
                          "The request is too large. Shorten it.");
    }
    return err;
}
