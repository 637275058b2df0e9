/* gemini_tools.c - tools and the choice among them, as Gemini has them. */

#include <apr_strings.h>
#include <string.h>

#include "gemini.h"

/* The one parameter of a tool that takes free text. */
#define INPUT_SCHEMA "{\"type\":\"object\",\"properties\":{\"input\":" \
                     "{\"type\":\"string\"}},\"required\":[\"input\"]}"

/* ---- schemas --------------------------------------------------------- */

/* JSON Schema as it stands but for "$schema", which Gemini refuses. */
static void put_json_schema(llmux_gemini_out_t *o, const llmux_json_t *schema)
{
    const llmux_json_t *m;

    llmux_jw_open(&o->w, '{');
    for (m = llmux_json_first(schema); m;
         m = llmux_json_next_member(schema, m)) {
        if (!llmux_json_is(m, "$schema")) {
            llmux_jw_key_slice(&o->w, llmux_json_str(o->scratch, m));
            llmux_jw_raw(&o->w, llmux_json_raw(llmux_json_value(m)));
        }
    }
    llmux_jw_close(&o->w, '}');
}

const llmux_error_t *llmux_gemini_put_schema(llmux_gemini_out_t *o,
                                             const char *json_name,
                                             const char *name,
                                             llmux_slice_t schema,
                                             const char *param)
{
    const llmux_json_t *v = llmux_json_parse(o->scratch, schema, 1, NULL);
    const char *why = "is not a JSON object";
    llmux_slice_t subset;

    if (llmux_json_kind(v) == LLMUX_JSON_OBJECT) {
        if (o->model->can & LLMUX_GEMINI_CAN_SCHEMA) {
            llmux_jw_key(&o->w, json_name);
            put_json_schema(o, v);
            return NULL;
        }
        why = llmux_gemini_schema(o->scratch, schema, &o->schema_nodes,
                                  &subset);
        if (!why) {
            llmux_jw_key(&o->w, name);
            llmux_jw_raw(&o->w, subset);
            return NULL;
        }
    }
    return llmux_error(o->chat->pool, LLMUX_ERR_INVALID, param,
                       "The schema in %s %s.", param, why);
}

/* Does a schema of parameters say anything beyond "an object"? One that does
 * not is refused, and is what a function without parameters has. */
static int says_something(apr_pool_t *p, llmux_slice_t schema)
{
    static const char *const telling[] = {
        "$ref", "anyOf", "oneOf", "allOf", "patternProperties",
        "additionalProperties", NULL
    };
    const llmux_json_t *v = llmux_json_parse(p, schema, 2, NULL), *member;
    int i;

    if (llmux_json_kind(v) != LLMUX_JSON_OBJECT) {
        return llmux_json_kind(v) != LLMUX_JSON_BOOL;   /* else: an error */
    }
    if (llmux_json_count(llmux_json_get(v, "properties"))) {
        return 1;
    }
    for (i = 0; telling[i]; i++) {
        member = llmux_json_get(v, telling[i]);
        if (member && llmux_json_kind(member) != LLMUX_JSON_BOOL) {
            return 1;
        }
    }
    return 0;
}

/* ---- declarations ---------------------------------------------------- */

/* Gemini knows no grammars: the model is told in words. */
static llmux_slice_t description_of(llmux_gemini_out_t *o,
                                    const llmux_tool_t *tool)
{
    llmux_slice_t format = tool->grammar;

    if (tool->custom) {
        llmux_warn(o->warn, LLMUX_WARN_APPROX, "tools.custom");
    }
    if (!tool->custom || llmux_slice_blank(format)) {
        return tool->description;
    }
    llmux_warn(o->warn, LLMUX_WARN_APPROX, "tools.custom.format");
    return llmux_slice(apr_pstrcat(
        o->scratch, llmux_slice_str(o->scratch, tool->description),
        tool->description.len ? "\n\n" : "",
        "The input must have this format: ",
        llmux_slice_str(o->scratch, format), NULL));
}

static const llmux_error_t *put_declaration(llmux_gemini_out_t *o,
                                            const llmux_tool_t *tool,
                                            int number)
{
    llmux_slice_t schema = tool->custom ? llmux_slice(INPUT_SCHEMA)
                                        : tool->schema;
    llmux_slice_t description = description_of(o, tool);
    const llmux_error_t *err = NULL;

    llmux_jw_open(&o->w, '{');
    llmux_jw_key(&o->w, "name");
    llmux_jw_str(&o->w, tool->name);
    if (description.len) {
        llmux_jw_key(&o->w, "description");
        llmux_jw_str(&o->w, description);
    }
    if (!llmux_slice_blank(schema) && says_something(o->scratch, schema)) {
        err = llmux_gemini_put_schema(o, "parametersJsonSchema", "parameters",
                    schema, apr_psprintf(o->chat->pool,
                        "tools[%d].function.parameters", number));
    }
    llmux_jw_close(&o->w, '}');
    return err;
}

static int named(const llmux_chat_t *chat, llmux_slice_t name)
{
    int i;

    for (i = 0; chat->choice_names && i < chat->choice_names->nelts; i++) {
        if (llmux_slice_equal(name, APR_ARRAY_IDX(chat->choice_names, i,
                                                  llmux_slice_t))) {
            return 1;
        }
    }
    return 0;
}

/* Where "one of these, or none" cannot be said, only these are shown. */
static int shows_named_only(const llmux_gemini_out_t *o)
{
    return o->chat->choice == LLMUX_CHOICE_ALLOWED_AUTO
           && !(o->model->can & LLMUX_GEMINI_CAN_VALIDATE);
}

static const llmux_error_t *put_declarations(llmux_gemini_out_t *o)
{
    const llmux_error_t *err = NULL;
    const llmux_tool_t *tool;
    int number = 0;

    llmux_jw_open(&o->w, '{');
    llmux_jw_key(&o->w, "functionDeclarations");
    llmux_jw_open(&o->w, '[');
    for (tool = o->chat->tools; tool && !err; tool = tool->next, number++) {
        if (!shows_named_only(o) || named(o->chat, tool->name)) {
            err = put_declaration(o, tool, number);
        }
    }
    llmux_jw_close(&o->w, ']');
    llmux_jw_close(&o->w, '}');
    return err;
}

/* ---- choice ---------------------------------------------------------- */

static int any_strict(const llmux_chat_t *chat)
{
    const llmux_tool_t *tool;

    for (tool = chat->tools; tool; tool = tool->next) {
        if (tool->strict == LLMUX_YES) {
            return 1;
        }
    }
    return 0;
}

/* VALIDATED holds calls to their schemas and still lets the model talk; a
 * forced choice stays ANY, which validates too. */
static const char *mode_auto(llmux_gemini_out_t *o)
{
    if (any_strict(o->chat)) {
        if (o->model->can & LLMUX_GEMINI_CAN_VALIDATE) {
            return "VALIDATED";
        }
        llmux_warn(o->warn, LLMUX_WARN_APPROX, "tools.function.strict");
    }
    return o->chat->choice == LLMUX_CHOICE_UNSET ? NULL : "AUTO";
}

static const char *mode_of(llmux_gemini_out_t *o)
{
    switch (o->chat->choice) {
    case LLMUX_CHOICE_NONE:
        return "NONE";
    case LLMUX_CHOICE_REQUIRED:
    case LLMUX_CHOICE_NAMED:
    case LLMUX_CHOICE_ALLOWED_REQUIRED:
        return "ANY";
    case LLMUX_CHOICE_ALLOWED_AUTO:
        return shows_named_only(o) ? "AUTO" : "VALIDATED";
    default:
        return mode_auto(o);
    }
}

static void put_names(llmux_gemini_out_t *o)
{
    const apr_array_header_t *names = o->chat->choice_names;
    int i;

    llmux_jw_key(&o->w, "allowedFunctionNames");
    llmux_jw_open(&o->w, '[');
    for (i = 0; i < names->nelts; i++) {
        llmux_jw_str(&o->w, APR_ARRAY_IDX(names, i, llmux_slice_t));
    }
    llmux_jw_close(&o->w, ']');
}

static void put_choice(llmux_gemini_out_t *o)
{
    const char *mode = mode_of(o);
    int names = o->chat->choice == LLMUX_CHOICE_NAMED
                || o->chat->choice == LLMUX_CHOICE_ALLOWED_REQUIRED
                || o->chat->choice == LLMUX_CHOICE_ALLOWED_AUTO;

    if (!mode) {
        return;
    }
    llmux_jw_key(&o->w, "toolConfig");
    llmux_jw_open(&o->w, '{');
    llmux_jw_key(&o->w, "functionCallingConfig");
    llmux_jw_open(&o->w, '{');
    llmux_jw_key(&o->w, "mode");
    llmux_jw_cstr(&o->w, mode);
    if (names && o->chat->choice_names && !shows_named_only(o)) {
        put_names(o);
    }
    llmux_jw_close(&o->w, '}');
    llmux_jw_close(&o->w, '}');
}

/* ---- the members ----------------------------------------------------- */

/* Search beside functions needs a flag on one of the two services and is
 * refused with it by the other, so it cannot be asked for safely. */
static const llmux_error_t *put_search(llmux_gemini_out_t *o)
{
    if (o->chat->tools) {
        return llmux_error(o->chat->pool, LLMUX_ERR_UNSUPPORTED,
                           "web_search_options",
                           "%s cannot search the web in a request that has "
                           "tools: leave out one of them.", o->target->name);
    }
    if (!llmux_slice_is(o->chat->web_search, "{}")) {
        llmux_warn(o->warn, LLMUX_WARN_APPROX, "web_search_options");
    }
    llmux_jw_open(&o->w, '{');
    llmux_jw_key(&o->w, "googleSearch");
    llmux_jw_open(&o->w, '{');
    llmux_jw_close(&o->w, '}');
    llmux_jw_close(&o->w, '}');
    return NULL;
}

const llmux_error_t *llmux_gemini_tools(llmux_gemini_out_t *o)
{
    int search = !llmux_slice_blank(o->chat->web_search);
    const llmux_error_t *err;

    if (!o->chat->tools && !search) {
        return NULL;        /* a choice among no tools is refused */
    }
    if (o->chat->parallel == LLMUX_NO) {
        llmux_warn(o->warn, LLMUX_WARN_DROP, "parallel_tool_calls");
    }
    llmux_jw_key(&o->w, "tools");
    llmux_jw_open(&o->w, '[');
    err = search ? put_search(o) : put_declarations(o);
    llmux_jw_close(&o->w, ']');
    if (!search) {
        put_choice(o);
    }
    return err;
}
