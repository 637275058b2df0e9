/* anthropic_tools.c - tools and the choice among them, as Messages has them. */

#include <string.h>

#include <apr_strings.h>

#include "anthropic_request.h"

#define EMPTY_SCHEMA "{\"type\":\"object\",\"properties\":{}}"

#define CUSTOM_SCHEMA "{\"type\":\"object\",\"properties\":" \
    "{\"input\":{\"type\":\"string\"}},\"required\":[\"input\"]}"

typedef llmux_anthropic_request_t request_t;

/* ---- choice ---------------------------------------------------------- */

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

int llmux_anthropic_forces(llmux_choice_e choice)
{
    return choices[choice].forces;
}

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
void llmux_anthropic_choose(request_t *r)
{
    llmux_choice_e c = r->chat->choice;
    int soften = choices[c].forces
                 && (llmux_anthropic_thinks(r)
                     || !llmux_anthropic_can(r, LLMUX_CLAUDE_FORCED));

    r->choice = choices[c].type;
    if (soften) {
        r->choice = "auto";
        llmux_warn(r->out.w, LLMUX_WARN_APPROX, "tool_choice");
    }
    if (choices[c].picks || (soften && c == LLMUX_CHOICE_NAMED)) {
        offer(r);
    }
    if (!r->choice && r->chat->parallel == LLMUX_NO) {
        r->choice = "auto";
    }
}

/* ---- tools ----------------------------------------------------------- */

/* The client's bytes; what the API insists on is put in front. */
static const llmux_error_t *write_schema(request_t *r, llmux_slice_t schema,
                                         int index)
{
    const llmux_json_t *v = NULL;
    llmux_slice_t raw = llmux_slice(EMPTY_SCHEMA);

    if (!llmux_slice_blank(schema)) {
        v = llmux_json_parse(r->out.p, schema, 1, NULL);
        if (llmux_json_kind(v) != LLMUX_JSON_OBJECT) {
            return llmux_error(r->chat->pool, LLMUX_ERR_INVALID,
                               apr_psprintf(r->chat->pool, "tools[%d]."
                                            "function.parameters", index),
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
    const llmux_json_t *format = llmux_anthropic_json(r, t->grammar);

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
        llmux_warn(r->out.w, LLMUX_WARN_APPROX, "tools.custom");
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
    if (t->strict == LLMUX_YES && llmux_anthropic_can(r, LLMUX_CLAUDE_SCHEMA)) {
        llmux_jw_opt_bool(jw, "strict", LLMUX_YES);
    }
    else if (t->strict == LLMUX_YES) {
        llmux_warn(r->out.w, LLMUX_WARN_DROP, "tools.function.strict");
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
    const llmux_json_t *v = llmux_anthropic_json(r, r->chat->web_search);
    const llmux_json_t *place
        = llmux_json_get(llmux_json_get(v, "user_location"), "approximate");
    llmux_jw_t *jw = &r->out.jw;
    apr_size_t i;

    if (llmux_json_get(v, "search_context_size")
        && !llmux_json_is(llmux_json_get(v, "search_context_size"),
                          "medium")) {
        llmux_warn(r->out.w, LLMUX_WARN_DROP,
                   "web_search_options.search_context_size");
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
        err = llmux_error(r->chat->pool, LLMUX_ERR_INVALID, "tool_choice",
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
    llmux_warn(r->out.w, LLMUX_WARN_EMULATE, "tools");
}

const llmux_error_t *llmux_anthropic_write_tools(request_t *r)
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
