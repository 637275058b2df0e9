/* bedrock_tools.c - tools and the choice among them, as Converse has them. */

#include <string.h>

#include <apr_strings.h>

#include "bedrock.h"
#include "reader.h"

#define EMPTY_SCHEMA "{\"type\":\"object\",\"properties\":{}}"

#define CUSTOM_SCHEMA "{\"type\":\"object\",\"properties\":" \
    "{\"input\":{\"type\":\"string\"}},\"required\":[\"input\"]}"

#define QUIET "Do not call any tool now. Answer in words."

#define ANSWER "Gives the final answer. Call it once, with all of the answer."

/* ---- names ----------------------------------------------------------- */

/* One of the history, in characters that may stand already. */
llmux_slice_t llmux_bedrock_tool_name(llmux_bedrock_out_t *o,
                                      llmux_slice_t name)
{
    if (name.len > LLMUX_TOOL_NAME_MAX) {
        name.len = LLMUX_TOOL_NAME_MAX;
        llmux_warn(o->w.warnings, LLMUX_WARN_APPROX,
                   "tool_calls.function.name");
    }
    return name;
}

/* A name is not changed: the client would not know its tool again. */
static void check_name(llmux_bedrock_out_t *o, const llmux_tool_t *t,
                       int index)
{
    const char *place = apr_psprintf(o->w.chat->pool,
                                     "tools[%d].function.name", index);

    if (llmux_slice_is(t->name, LLMUX_BEDROCK_ANSWER_TOOL)) {
        llmux_writer_refuse(&o->w, place, "'%s' is a name of the gateway's "
                            "own. Call the tool something else.",
                            LLMUX_BEDROCK_ANSWER_TOOL);
    }
    else if (!t->name.len
             || !llmux_reader_is_name(t->name, LLMUX_TOOL_NAME_MAX)) {
        llmux_writer_refuse(&o->w, place, "%s takes names of tools with 1 to "
                            "64 letters, digits, '_' and '-' only.",
                            o->w.target->name);
    }
}

/* ---- which, and whether ---------------------------------------------- */

static int is_offered(const llmux_bedrock_out_t *o, const llmux_tool_t *t)
{
    return o->tools == LLMUX_BEDROCK_SHOWN || !o->r.offered
           || apr_hash_get(o->r.offered, t->name.data,
                           (apr_ssize_t)t->name.len);
}

/* A history with calls in it is refused without tools, and there is no word
 * for calling none of them: the model is asked not to. */
void llmux_bedrock_choose(llmux_bedrock_out_t *o)
{
    const llmux_chat_t *chat = o->r.chat;
    int open = chat->tools && chat->choice != LLMUX_CHOICE_NONE;

    llmux_anthropic_choose(&o->r);
    if (open) {
        o->tools = LLMUX_BEDROCK_TOOLS;
    }
    else if (o->r.turns.calls) {
        o->tools = LLMUX_BEDROCK_SHOWN;
        llmux_anthropic_hint(&o->r.turns, o->w.pool, QUIET);
        llmux_warn(o->w.warnings, LLMUX_WARN_EMULATE,
                   chat->tools ? "tool_choice" : "tools");
    }
}

static int is_serial(const llmux_bedrock_out_t *o)
{
    return o->tools == LLMUX_BEDROCK_TOOLS
           && o->r.chat->parallel == LLMUX_NO
           && llmux_bedrock_can(o, LLMUX_BEDROCK_SERIAL);
}

/* ---- one tool -------------------------------------------------------- */

/* The client's bytes; the root must call itself an object. */
static llmux_slice_t schema_of(llmux_bedrock_out_t *o, const llmux_tool_t *t,
                               int index)
{
    const llmux_json_t *v;
    llmux_slice_t raw;

    if (t->custom || llmux_slice_blank(t->schema)) {
        return llmux_slice(t->custom ? CUSTOM_SCHEMA : EMPTY_SCHEMA);
    }
    v = llmux_json_parse(o->w.pool, t->schema, 1, NULL);
    raw = llmux_json_raw(v);
    if (llmux_json_kind(v) != LLMUX_JSON_OBJECT) {
        if (!o->w.err) {
            o->w.err = llmux_error(o->w.chat->pool, LLMUX_ERR_INVALID,
                apr_psprintf(o->w.chat->pool, "tools[%d].function.parameters",
                             index),
                "The parameters of a tool must be a JSON schema: an object.");
        }
        return llmux_slice(EMPTY_SCHEMA);
    }
    if (!llmux_json_count(v)) {
        return llmux_slice(EMPTY_SCHEMA);
    }
    return llmux_json_get(v, "type") ? raw
        : llmux_slice(apr_pstrcat(o->w.pool, "{\"type\":\"object\",",
              llmux_slice_str(o->w.pool, raw) + 1, NULL));
}

/* A grammar is no more than advice here. */
static llmux_slice_t description_of(llmux_bedrock_out_t *o,
                                    const llmux_tool_t *t)
{
    const llmux_json_t *format = t->custom && t->grammar.data
        ? llmux_json_parse(o->w.pool, t->grammar, 0, NULL) : NULL;

    if (!format || llmux_json_is(llmux_json_get(format, "type"), "text")) {
        return t->description;
    }
    return llmux_slice(apr_pstrcat(o->w.pool,
        llmux_slice_str(o->w.pool, t->description),
        t->description.len ? "\n\n" : "",
        "The input must have this format: ",
        llmux_slice_str(o->w.pool, t->grammar), NULL));
}

static void spec(llmux_bedrock_out_t *o, llmux_slice_t name,
                 llmux_slice_t description, llmux_slice_t schema, int strict)
{
    llmux_jw_t *jw = &o->w.jw;

    llmux_jw_open(jw, '{');
    llmux_jw_key(jw, "toolSpec");
    llmux_jw_open(jw, '{');
    llmux_jw_opt_str(jw, "name", name);
    if (!llmux_slice_blank(description)) {
        llmux_jw_opt_str(jw, "description", description);
    }
    llmux_jw_key(jw, "inputSchema");
    llmux_jw_open(jw, '{');
    llmux_jw_opt_raw(jw, "json", schema);
    llmux_jw_close(jw, '}');
    if (strict) {
        llmux_jw_opt_bool(jw, "strict", LLMUX_YES);
    }
    llmux_jw_close(jw, '}');
    llmux_jw_close(jw, '}');
}

static void tool(llmux_bedrock_out_t *o, const llmux_tool_t *t, int index)
{
    int strict = t->strict == LLMUX_YES;

    check_name(o, t, index);
    if (t->custom) {
        llmux_warn(o->w.warnings, LLMUX_WARN_APPROX, "tools.custom");
    }
    if (strict && !llmux_bedrock_can(o, LLMUX_BEDROCK_STRICT)) {
        llmux_warn(o->w.warnings, LLMUX_WARN_DROP, "tools.function.strict");
        strict = 0;
    }
    spec(o, t->name, description_of(o, t), schema_of(o, t, index), strict);
    if (llmux_bedrock_can(o, LLMUX_BEDROCK_CACHE_TOOLS)) {
        llmux_bedrock_mark(o, t->cache_ttl);
    }
}

/* ---- all of them ----------------------------------------------------- */

static void client_tools(llmux_bedrock_out_t *o)
{
    const llmux_tool_t *t;
    int index = 0, n = 0;

    for (t = o->r.chat->tools; t; t = t->next, index++) {
        if (is_offered(o, t)) {
            tool(o, t, index);
            n++;
        }
    }
    if (!n && !o->w.err) {
        o->w.err = llmux_error(o->w.chat->pool, LLMUX_ERR_INVALID,
                               "tool_choice",
                               "'tool_choice' names no tool of 'tools'.");
    }
}

/* What was called, as far as that shows what it was. */
static void history_tools(llmux_bedrock_out_t *o)
{
    apr_hash_t *seen = apr_hash_make(o->w.pool);
    const llmux_turn_t *t;
    const llmux_part_t *part;
    llmux_slice_t name;

    for (t = o->r.turns.first; t; t = t->next) {
        for (part = t->calls ? t->parts : NULL; part; part = part->next) {
            name = llmux_bedrock_tool_name(o, part->name);
            if (name.len && !apr_hash_get(seen, name.data,
                                          (apr_ssize_t)name.len)) {
                apr_hash_set(seen, name.data, (apr_ssize_t)name.len, part);
                spec(o, name, llmux_slice(NULL), llmux_slice(EMPTY_SCHEMA),
                     0);
            }
        }
    }
}

static void choice(llmux_bedrock_out_t *o, const char *type,
                   llmux_slice_t name)
{
    llmux_jw_t *jw = &o->w.jw;

    llmux_jw_key(jw, "toolChoice");
    llmux_jw_open(jw, '{');
    llmux_jw_key(jw, type);
    llmux_jw_open(jw, '{');
    llmux_jw_opt_str(jw, "name", name);
    llmux_jw_close(jw, '}');
    llmux_jw_close(jw, '}');
}

static llmux_slice_t chosen(const llmux_bedrock_out_t *o)
{
    static const llmux_slice_t none = { NULL, 0 };
    const apr_array_header_t *names = o->r.chat->choice_names;

    return !strcmp(o->r.choice, "tool") && names && names->nelts
           ? APR_ARRAY_IDX(names, 0, llmux_slice_t) : none;
}

/* "auto" is what all models do unasked, and some refuse to be told. */
static void client_choice(llmux_bedrock_out_t *o)
{
    if (o->r.choice && strcmp(o->r.choice, "auto") && !is_serial(o)) {
        choice(o, o->r.choice, chosen(o));
    }
}

void llmux_bedrock_tools(llmux_bedrock_out_t *o)
{
    llmux_jw_t *jw = &o->w.jw;
    llmux_slice_t answer = llmux_slice(LLMUX_BEDROCK_ANSWER_TOOL);

    if (o->tools == LLMUX_BEDROCK_NO_TOOLS) {
        return;
    }
    llmux_jw_key(jw, "toolConfig");
    llmux_jw_open(jw, '{');
    llmux_jw_key(jw, "tools");
    llmux_jw_open(jw, '[');
    if (o->tools == LLMUX_BEDROCK_ANSWER) {
        spec(o, answer, llmux_slice(ANSWER), o->r.chat->format_schema, 0);
    }
    else if (o->r.chat->tools) {
        client_tools(o);
    }
    else {
        history_tools(o);
    }
    llmux_jw_close(jw, ']');
    if (o->tools == LLMUX_BEDROCK_ANSWER) {
        choice(o, "tool", answer);
    }
    else if (o->tools == LLMUX_BEDROCK_TOOLS) {
        client_choice(o);
    }
    llmux_jw_close(jw, '}');
}

/* Converse has no word for it; in the model's own words the whole choice must
 * be said, and then not by Converse's as well. */
void llmux_bedrock_serial(llmux_bedrock_out_t *o)
{
    llmux_jw_t *jw = &o->w.jw;

    if (!is_serial(o)) {
        return;
    }
    llmux_jw_key(jw, "tool_choice");
    llmux_jw_open(jw, '{');
    llmux_jw_opt_str(jw, "type", llmux_slice(o->r.choice));
    llmux_jw_opt_str(jw, "name", chosen(o));
    llmux_jw_opt_bool(jw, "disable_parallel_tool_use", LLMUX_YES);
    llmux_jw_close(jw, '}');
}
