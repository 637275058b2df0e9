/* responses_read_tools.c - tools, and which of them may be called. */

#include <string.h>

#include <apr_strings.h>

#include "responses_read.h"

typedef struct kind_t {
    const char *type;
    void (*read)(llmux_reader_t *r, const llmux_at_t *at,
                 const llmux_json_t *v);
} kind_t;

/* ---- names ----------------------------------------------------------- */

llmux_slice_t llmux_responses_name(apr_pool_t *p, llmux_slice_t space,
                                   llmux_slice_t name)
{
    llmux_slice_t full;
    char *at;

    if (!space.len || !name.data) {
        return name;
    }
    full.len = space.len + 2 + name.len;
    full.data = at = apr_palloc(p, full.len);
    memcpy(at, space.data, space.len);
    memcpy(at + space.len, "__", 2);
    memcpy(at + space.len + 2, name.data, name.len);
    return full;
}

/* ---- functions and custom tools --------------------------------------- */

static llmux_tool_t *add_tool(llmux_reader_t *r, const llmux_at_t *at,
                              const llmux_json_t *v)
{
    llmux_tool_t *tool = llmux_chat_tool(r->chat);

    tool->name = llmux_reader_need_str(r, at, v, "name");
    llmux_reader_check_name(r, at, v, tool->name, LLMUX_TOOL_NAME_MAX);
    tool->description = llmux_reader_str(r, at, v, "description");
    return tool;
}

static void read_function(llmux_reader_t *r, const llmux_at_t *at,
                          const llmux_json_t *v)
{
    llmux_tool_t *tool = add_tool(r, at, v);

    tool->schema = llmux_json_raw(
        llmux_reader_member(r, at, v, "parameters", LLMUX_JSON_OBJECT));
    tool->strict = llmux_reader_bool(r, at, v, "strict");
}

/* Chat completions have one more object around what a grammar says. */
static llmux_slice_t nested_grammar(llmux_reader_t *r, const llmux_at_t *at,
                                    const llmux_json_t *format)
{
    llmux_buf_t *b = llmux_buf_create(r->pool, LLMUX_JSON_TEXT_MAX);
    llmux_jw_t w = llmux_jw(b);

    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "type");
    llmux_jw_cstr(&w, "grammar");
    llmux_jw_key(&w, "grammar");
    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "syntax");
    llmux_jw_str(&w, llmux_reader_need_str(r, at, format, "syntax"));
    llmux_jw_key(&w, "definition");
    llmux_jw_str(&w, llmux_reader_need_str(r, at, format, "definition"));
    llmux_jw_close(&w, '}');
    llmux_jw_close(&w, '}');
    return llmux_buf_slice(b);
}

static void read_custom(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v)
{
    static const char *const words[] = { "text", "grammar", NULL };
    llmux_tool_t *tool = add_tool(r, at, v);
    const llmux_json_t *format =
        llmux_reader_member(r, at, v, "format", LLMUX_JSON_OBJECT);
    llmux_at_t here = llmux_at(at, "format"), type = llmux_at(&here, "type");
    int i = -1;

    tool->custom = 1;
    if (format) {
        i = llmux_reader_word(r, &type, llmux_json_get(format, "type"),
                              words);
    }
    if (i >= 0) {
        tool->grammar = i ? nested_grammar(r, &here, format)
                          : llmux_json_raw(format);
    }
}

/* ---- web search: the one hosted tool that others have as well --------- */

static void put_place(llmux_reader_t *r, llmux_jw_t *w, const llmux_at_t *at,
                      const llmux_json_t *place)
{
    static const char *const members[] =
        { "city", "region", "country", "timezone" };
    apr_size_t i;

    llmux_jw_key(w, "user_location");
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "type");
    llmux_jw_cstr(w, "approximate");
    llmux_jw_key(w, "approximate");
    llmux_jw_open(w, '{');
    for (i = 0; i < sizeof(members) / sizeof(*members); i++) {
        llmux_jw_opt_str(w, members[i],
                         llmux_reader_str(r, at, place, members[i]));
    }
    llmux_jw_close(w, '}');
    llmux_jw_close(w, '}');
}

/* As chat completions' web_search_options. */
static void read_web_search(llmux_reader_t *r, const llmux_at_t *at,
                            const llmux_json_t *v)
{
    const llmux_json_t *place =
        llmux_reader_member(r, at, v, "user_location", LLMUX_JSON_OBJECT);
    const llmux_json_t *filters = llmux_json_get(v, "filters");
    llmux_at_t here = llmux_at(at, "user_location");
    llmux_buf_t *b = llmux_buf_create(r->pool, LLMUX_JSON_TEXT_MAX);
    llmux_jw_t w = llmux_jw(b);

    llmux_jw_open(&w, '{');
    llmux_jw_opt_str(&w, "search_context_size",
                     llmux_reader_str(r, at, v, "search_context_size"));
    if (place) {
        put_place(r, &w, &here, place);
    }
    llmux_jw_close(&w, '}');
    r->chat->web_search = llmux_buf_slice(b);
    if (filters) {
        llmux_responses_lost(r, llmux_slice("tools.filters"), filters);
    }
}

/* ---- the list --------------------------------------------------------- */

static const kind_t functions[] = {
    { "function", read_function },
    { "custom",   read_custom   },
    { NULL,       NULL          }
};

static void read_namespace(llmux_reader_t *r, const llmux_at_t *at,
                           const llmux_json_t *v);

static const kind_t kinds[] = {
    { "function",                      read_function   },
    { "custom",                        read_custom     },
    { "namespace",                     read_namespace  },
    { "web_search",                    read_web_search },
    { "web_search_2025_08_26",         read_web_search },
    { "web_search_preview",            read_web_search },
    { "web_search_preview_2025_03_11", read_web_search },
    { NULL,                            NULL            }
};

static void read_tool(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *v, const kind_t *kind)
{
    const llmux_json_t *type;

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    type = llmux_reader_need(r, at, v, "type", LLMUX_JSON_STRING);
    while (kind->type && !llmux_json_is(type, kind->type)) {
        kind++;
    }
    if (kind->type) {
        kind->read(r, at, v);
    }
    else if (type) {
        llmux_responses_refuse(r, at, "Tools of type %s are run by OpenAI, "
                               "for its own models. Leave it out, or offer a "
                               "tool of type 'function' and run it yourself.",
                               llmux_reader_found(r, type));
    }
}

static void read_list(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *v, const kind_t *kind)
{
    const llmux_json_t *e;
    llmux_at_t each;
    int i = 0;

    llmux_reader_expect_list(r, at, v, LLMUX_TOOLS_MAX, "tools");
    for (e = llmux_json_first(v); e && !r->err; e = llmux_json_next(v, e)) {
        each = llmux_at_index(at, i++);
        read_tool(r, &each, e, kind);
    }
}

/* Those in namespaces count as well. */
static void check_count(llmux_reader_t *r, const llmux_at_t *at)
{
    const llmux_tool_t *tool = r->chat->tools;
    int n = 0;

    for (; tool; tool = tool->next) {
        n++;
    }
    if (n > LLMUX_TOOLS_MAX) {
        llmux_reader_fail(r, at, "expected at most %d tools in all, found "
                          "more", LLMUX_TOOLS_MAX);
    }
}

/* A namespace's tools have its name in front of theirs, so that others tell
 * them apart as well. */
static void read_namespace(llmux_reader_t *r, const llmux_at_t *at,
                           const llmux_json_t *v)
{
    llmux_slice_t space = llmux_reader_need_str(r, at, v, "name");
    llmux_tool_t *before = r->chat->last_tool, *tool;
    llmux_at_t here = llmux_at(at, "tools");

    llmux_reader_check_name(r, at, v, space, LLMUX_TOOL_NAME_MAX);
    read_list(r, &here, llmux_json_get(v, "tools"), functions);
    check_count(r, &here);
    tool = before ? before->next : r->chat->tools;
    for (; tool && !r->err; tool = tool->next) {
        tool->space = space;
        tool->name = llmux_responses_name(r->pool, space, tool->name);
        if (!llmux_reader_is_name(tool->name, LLMUX_TOOL_NAME_MAX)) {
            llmux_reader_fail(r, at, "expected names that have at most %d "
                              "characters together with the namespace's, "
                              "found '%s'", LLMUX_TOOL_NAME_MAX,
                              llmux_slice_str(r->pool, tool->name));
        }
    }
}

void llmux_responses_read_tools(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *v)
{
    read_list(r, at, v, kinds);
}

/* ---- choice of tool -------------------------------------------------- */

static void choose(llmux_reader_t *r, const llmux_at_t *at,
                   const llmux_json_t *v)
{
    llmux_slice_t space = llmux_reader_str(r, at, v, "namespace");
    llmux_slice_t name = llmux_reader_need_str(r, at, v, "name");

    if (!r->chat->choice_names) {
        r->chat->choice_names =
            apr_array_make(r->pool, 1, sizeof(llmux_slice_t));
    }
    APR_ARRAY_PUSH(r->chat->choice_names, llmux_slice_t) =
        llmux_responses_name(r->pool, space, name);
}

static const kind_t choosable[] = {
    { "function", choose },
    { "custom",   choose },
    { NULL,       NULL   }
};

static void choose_word(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v)
{
    static const char *const words[] = { "none", "auto", "required", NULL };
    static const llmux_choice_e choices[] =
        { LLMUX_CHOICE_NONE, LLMUX_CHOICE_AUTO, LLMUX_CHOICE_REQUIRED };
    int i = llmux_reader_word(r, at, v, words);

    if (i >= 0) {
        r->chat->choice = choices[i];
    }
}

static void choose_among(llmux_reader_t *r, const llmux_at_t *at,
                         const llmux_json_t *v)
{
    static const char *const modes[] = { "auto", "required", NULL };
    llmux_at_t mode = llmux_at(at, "mode"), tools = llmux_at(at, "tools");
    int i = llmux_reader_word(r, &mode, llmux_json_get(v, "mode"), modes);

    r->chat->choice = i == 1 ? LLMUX_CHOICE_ALLOWED_REQUIRED
                             : LLMUX_CHOICE_ALLOWED_AUTO;
    read_list(r, &tools, llmux_json_get(v, "tools"), choosable);
    if (!r->chat->choice_names) {
        llmux_reader_fail(r, &tools, "expected at least one tool");
    }
}

void llmux_responses_read_choice(llmux_reader_t *r, const llmux_at_t *at,
                                 const llmux_json_t *v)
{
    if (llmux_json_kind(v) == LLMUX_JSON_STRING) {
        choose_word(r, at, v);
    }
    else if (llmux_json_kind(v) != LLMUX_JSON_OBJECT) {
        llmux_reader_fail(r, at, "expected a string or an object, found %s",
                          llmux_json_kind_name(v));
    }
    else if (llmux_json_is(llmux_json_get(v, "type"), "allowed_tools")) {
        choose_among(r, at, v);
    }
    else {
        r->chat->choice = LLMUX_CHOICE_NAMED;
        read_tool(r, at, v, choosable);
    }
}
