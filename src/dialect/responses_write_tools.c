/* responses_write_tools.c - tools in Responses' flat shape, and which of them
 * are to be called. */

#include "responses_write.h"

typedef llmux_responses_out_t out_t;

/* ---- tools ----------------------------------------------------------- */

/* Left out, it would mean: strict, if the schema allows. */
static void write_strict(out_t *o, llmux_tri_e strict)
{
    if (llmux_writer_can(&o->w, LLMUX_CAN_STRICT)) {
        llmux_jw_key(&o->w.jw, "strict");
        llmux_jw_bool(&o->w.jw, strict == LLMUX_YES);
    }
    else if (strict == LLMUX_YES) {
        llmux_warn(o->w.warnings, LLMUX_WARN_DROP, "tools.function.strict");
    }
}

/* Without the object that chat completions have around it. */
static void write_grammar(out_t *o, llmux_slice_t format)
{
    const llmux_json_t *inner = llmux_json_get(
        llmux_responses_json(o, format), "grammar");

    if (llmux_json_kind(inner) != LLMUX_JSON_OBJECT) {
        llmux_jw_opt_raw(&o->w.jw, "format", format);
        return;
    }
    llmux_jw_key(&o->w.jw, "format");
    llmux_jw_open(&o->w.jw, '{');
    llmux_jw_key(&o->w.jw, "type");
    llmux_jw_cstr(&o->w.jw, "grammar");
    llmux_jw_opt_raw(&o->w.jw, "syntax",
                     llmux_json_raw(llmux_json_get(inner, "syntax")));
    llmux_jw_opt_raw(&o->w.jw, "definition",
                     llmux_json_raw(llmux_json_get(inner, "definition")));
    llmux_jw_close(&o->w.jw, '}');
}

static void write_tool(out_t *o, const llmux_tool_t *tool)
{
    llmux_jw_t *jw = &o->w.jw;

    llmux_jw_open(jw, '{');
    llmux_jw_key(jw, "type");
    llmux_jw_cstr(jw, tool->custom ? "custom" : "function");
    llmux_jw_key(jw, "name");
    llmux_jw_str(jw, tool->name);
    llmux_jw_opt_str(jw, "description", tool->description);
    if (tool->custom) {
        write_grammar(o, tool->grammar);
    }
    else {
        llmux_jw_key(jw, "parameters");
        llmux_jw_raw(jw, llmux_slice_blank(tool->schema)
                         ? llmux_slice("{\"type\":\"object\","
                                       "\"properties\":{}}")
                         : tool->schema);
        write_strict(o, tool->strict);
    }
    llmux_jw_close(jw, '}');
}

/* ---- web search ------------------------------------------------------ */

static void write_place(out_t *o, const llmux_json_t *place)
{
    const llmux_json_t *about = llmux_json_get(place, "approximate"), *m;

    if (llmux_json_kind(about) != LLMUX_JSON_OBJECT) {
        return;
    }
    llmux_jw_key(&o->w.jw, "user_location");
    llmux_jw_open(&o->w.jw, '{');
    llmux_jw_key(&o->w.jw, "type");
    llmux_jw_cstr(&o->w.jw, "approximate");
    for (m = llmux_json_first(about); m;
         m = llmux_json_next_member(about, m)) {
        if (!llmux_json_is(m, "type")) {
            llmux_jw_key_slice(&o->w.jw, llmux_json_str(o->w.pool, m));
            llmux_jw_raw(&o->w.jw, llmux_json_raw(llmux_json_value(m)));
        }
    }
    llmux_jw_close(&o->w.jw, '}');
}

/* Which sites: only clients of this API can say that. */
static llmux_slice_t filters(const out_t *o)
{
    static const llmux_slice_t none = { NULL, 0 };
    const llmux_extra_t *e = o->w.chat->lost;

    while (e && !llmux_slice_is(e->name, "tools.filters")) {
        e = e->next;
    }
    return e ? e->json : none;
}

/* What chat completions have as an option is a tool here. */
static void write_web_search(out_t *o)
{
    const llmux_json_t *v = llmux_responses_json(o, o->w.chat->web_search);

    if (!v) {
        return;
    }
    llmux_jw_open(&o->w.jw, '{');
    llmux_jw_key(&o->w.jw, "type");
    llmux_jw_cstr(&o->w.jw, "web_search");
    llmux_jw_opt_raw(&o->w.jw, "search_context_size",
                     llmux_json_raw(llmux_json_get(v, "search_context_size")));
    write_place(o, llmux_json_get(v, "user_location"));
    llmux_jw_opt_raw(&o->w.jw, "filters", filters(o));
    llmux_jw_close(&o->w.jw, '}');
}

/* ---- choice ---------------------------------------------------------- */

static void write_named(out_t *o, llmux_slice_t name)
{
    llmux_jw_open(&o->w.jw, '{');
    llmux_jw_key(&o->w.jw, "type");
    llmux_jw_cstr(&o->w.jw, llmux_writer_is_custom(o->w.chat, name)
                                ? "custom" : "function");
    llmux_jw_key(&o->w.jw, "name");
    llmux_jw_str(&o->w.jw, name);
    llmux_jw_close(&o->w.jw, '}');
}

static void write_allowed(out_t *o)
{
    const apr_array_header_t *names = o->w.chat->choice_names;
    int required = o->w.chat->choice == LLMUX_CHOICE_ALLOWED_REQUIRED, i;

    llmux_jw_open(&o->w.jw, '{');
    llmux_jw_key(&o->w.jw, "type");
    llmux_jw_cstr(&o->w.jw, "allowed_tools");
    llmux_jw_key(&o->w.jw, "mode");
    llmux_jw_cstr(&o->w.jw, required ? "required" : "auto");
    llmux_jw_key(&o->w.jw, "tools");
    llmux_jw_open(&o->w.jw, '[');
    for (i = 0; names && i < names->nelts; i++) {
        write_named(o, APR_ARRAY_IDX(names, i, llmux_slice_t));
    }
    llmux_jw_close(&o->w.jw, ']');
    llmux_jw_close(&o->w.jw, '}');
}

static void write_choice(out_t *o)
{
    static const char *const words[] = {
        [LLMUX_CHOICE_AUTO] = "auto",
        [LLMUX_CHOICE_NONE] = "none",
        [LLMUX_CHOICE_REQUIRED] = "required"
    };
    const llmux_chat_t *chat = o->w.chat;

    if (chat->choice == LLMUX_CHOICE_UNSET) {
        return;
    }
    llmux_jw_key(&o->w.jw, "tool_choice");
    if (chat->choice <= LLMUX_CHOICE_REQUIRED) {
        llmux_jw_cstr(&o->w.jw, words[chat->choice]);
    }
    else if (chat->choice == LLMUX_CHOICE_NAMED) {
        write_named(o, APR_ARRAY_IDX(chat->choice_names, 0, llmux_slice_t));
    }
    else {
        write_allowed(o);
    }
}

/* A choice where there is nothing to choose from would be refused. */
void llmux_responses_write_tools(out_t *o)
{
    const llmux_chat_t *chat = o->w.chat;
    const llmux_tool_t *tool;

    if (!chat->tools && !chat->web_search.data) {
        return;
    }
    llmux_jw_key(&o->w.jw, "tools");
    llmux_jw_open(&o->w.jw, '[');
    for (tool = chat->tools; tool; tool = tool->next) {
        write_tool(o, tool);
    }
    write_web_search(o);
    llmux_jw_close(&o->w.jw, ']');
    write_choice(o);
    llmux_jw_opt_bool(&o->w.jw, "parallel_tool_calls", chat->parallel);
}
