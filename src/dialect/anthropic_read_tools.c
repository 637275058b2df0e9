/* anthropic_read_tools.c - tools, and the choice among them. */

#include <string.h>

#include <apr_strings.h>

#include "anthropic_read.h"

#define NAME_MAX_LEN 128        /* of a tool */

typedef struct tool_type_t {
    const char *begins;         /* the type, up to its date; of the
                                 * first row: all of it */
    void (*read)(llmux_reader_t *r, const llmux_at_t *at,
                 const llmux_json_t *v, const struct tool_type_t *t);
    const char *description, *schema;       /* of those that clients run */
} tool_type_t;

/* ---- functions ------------------------------------------------------- */

static llmux_tool_t *add_tool(llmux_reader_t *r, const llmux_at_t *at,
                              const llmux_json_t *v)
{
    llmux_tool_t *tool = llmux_chat_tool(r->chat);

    tool->name = llmux_reader_need_str(r, at, v, "name");
    llmux_reader_check_name(r, at, v, tool->name, NAME_MAX_LEN);
    tool->cache_ttl = llmux_anthropic_read_marker(r, at, v);
    return tool;
}

/* Who may call it and what it is called with, beside the schema. */
static void note_hints(llmux_reader_t *r, const llmux_json_t *v)
{
    static const char *const hints[][2] = {
        { "input_examples",  "tools.input_examples" },
        { "allowed_callers", "tools.allowed_callers" }
    };
    const llmux_json_t *hint;
    apr_size_t i;

    for (i = 0; i < sizeof(hints) / sizeof(*hints); i++) {
        hint = llmux_json_get(v, hints[i][0]);
        if (llmux_json_count(hint)) {
            llmux_anthropic_read_lost(r, llmux_slice(hints[i][1]), hint);
        }
    }
}

static void read_function(llmux_reader_t *r, const llmux_at_t *at,
                          const llmux_json_t *v, const tool_type_t *t)
{
    llmux_tool_t *tool = add_tool(r, at, v);

    tool->description = llmux_reader_str(r, at, v, "description");
    tool->schema = llmux_json_raw(
        llmux_reader_need(r, at, v, "input_schema", LLMUX_JSON_OBJECT));
    tool->strict = llmux_reader_bool(r, at, v, "strict");
    note_hints(r, v);
}

/* ---- the vendor's ---------------------------------------------------- */

/* Tools that the client runs and the vendor's models know by heart; others
 * are told what they are. */
static void read_known(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *v, const tool_type_t *t)
{
    llmux_tool_t *tool = add_tool(r, at, v);

    tool->description = llmux_slice(t->description);
    tool->schema = llmux_slice(t->schema);
}

static void read_foreign(llmux_reader_t *r, const llmux_at_t *at,
                         const llmux_json_t *v, const tool_type_t *t)
{
    llmux_anthropic_read_refuse(r, at, "only Anthropic's own models and "
                                "servers have this tool");
}

/* It finds tools that the model was not shown; here it is shown all. */
static void read_tool_search(llmux_reader_t *r, const llmux_at_t *at,
                             const llmux_json_t *v, const tool_type_t *t)
{
    llmux_anthropic_read_lost(r, llmux_slice("tools.tool_search"), v);
}

/* The user's place, as web_search_options has it. */
static llmux_slice_t search_options(llmux_reader_t *r, const llmux_at_t *at,
                                    const llmux_json_t *place)
{
    static const char *const members[] = {
        "city", "region", "country", "timezone"
    };
    llmux_buf_t *b = llmux_buf_create(r->pool, LLMUX_JSON_TEXT_MAX);
    llmux_jw_t w = llmux_jw(b);
    apr_size_t i;

    llmux_jw_open(&w, '{');
    if (place) {
        llmux_jw_key(&w, "user_location");
        llmux_jw_open(&w, '{');
        llmux_jw_key(&w, "type");
        llmux_jw_cstr(&w, "approximate");
        llmux_jw_key(&w, "approximate");
        llmux_jw_open(&w, '{');
        for (i = 0; i < sizeof(members) / sizeof(*members); i++) {
            llmux_jw_opt_str(&w, members[i],
                             llmux_reader_str(r, at, place, members[i]));
        }
        llmux_jw_close(&w, '}');
        llmux_jw_close(&w, '}');
    }
    llmux_jw_close(&w, '}');
    return llmux_buf_slice(b);
}

/* Where it may look must not be forgotten; how often, may. */
static void read_web_search(llmux_reader_t *r, const llmux_at_t *at,
                            const llmux_json_t *v, const tool_type_t *t)
{
    static const char *const limits[] = {
        "allowed_domains", "blocked_domains"
    };
    llmux_at_t place = llmux_at(at, "user_location"), here;
    const llmux_json_t *uses = llmux_json_get(v, "max_uses");
    apr_size_t i;

    for (i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
        here = llmux_at(at, limits[i]);
        if (llmux_json_count(llmux_reader_member(r, at, v, limits[i],
                                                 LLMUX_JSON_ARRAY))) {
            llmux_anthropic_read_refuse(r, &here, "other web searches cannot "
                                        "be told where to look");
        }
    }
    if (uses) {
        llmux_anthropic_read_lost(r, llmux_slice("tools.max_uses"), uses);
    }
    r->chat->web_search = search_options(
        r, &place, llmux_reader_member(r, at, v, "user_location",
                                       LLMUX_JSON_OBJECT));
}

/* ---- all of them ----------------------------------------------------- */

#define SHELL \
    "Runs commands in a bash shell that lives on from call to call."
#define SHELL_SCHEMA \
    "{\"type\":\"object\",\"properties\":{" \
    "\"command\":{\"type\":\"string\",\"description\":\"What to run. Leave " \
    "it out to restart.\"}," \
    "\"restart\":{\"type\":\"boolean\",\"description\":\"Begin a new " \
    "shell.\"}}}"

#define EDITOR \
    "Shows, creates and changes text files. 'view' shows a file, or lines " \
    "view_range[0] to view_range[1] of it (-1: to the end), or what is in a " \
    "folder; 'create' writes file_text; 'str_replace' puts new_str in the " \
    "place of old_str, which must stand in the file exactly once; 'insert' " \
    "puts new_str behind line insert_line (0: at the beginning)."
#define EDITOR_SCHEMA \
    "{\"type\":\"object\",\"properties\":{" \
    "\"command\":{\"type\":\"string\",\"enum\":[\"view\",\"create\"," \
    "\"str_replace\",\"insert\"]}," \
    "\"path\":{\"type\":\"string\"},\"file_text\":{\"type\":\"string\"}," \
    "\"old_str\":{\"type\":\"string\"},\"new_str\":{\"type\":\"string\"}," \
    "\"insert_line\":{\"type\":\"integer\"}," \
    "\"view_range\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}}," \
    "\"required\":[\"command\",\"path\"]}"

#define MEMORY \
    "Keeps files under /memories from one conversation to the next: look " \
    "there before the work, and note there what is worth knowing later. " \
    "'view' shows a folder or a file, 'create' writes file_text, " \
    "'str_replace' puts new_str in the place of old_str, 'insert' puts " \
    "insert_text at line insert_line, 'delete' removes path, 'rename' moves " \
    "old_path to new_path."
#define MEMORY_SCHEMA \
    "{\"type\":\"object\",\"properties\":{" \
    "\"command\":{\"type\":\"string\",\"enum\":[\"view\",\"create\"," \
    "\"str_replace\",\"insert\",\"delete\",\"rename\"]}," \
    "\"path\":{\"type\":\"string\"},\"file_text\":{\"type\":\"string\"}," \
    "\"old_str\":{\"type\":\"string\"},\"new_str\":{\"type\":\"string\"}," \
    "\"insert_line\":{\"type\":\"integer\"}," \
    "\"insert_text\":{\"type\":\"string\"}," \
    "\"old_path\":{\"type\":\"string\"},\"new_path\":{\"type\":\"string\"}," \
    "\"view_range\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}}," \
    "\"required\":[\"command\"]}"

static const tool_type_t types[] = {
    { "custom",            read_function,    NULL,   NULL },
    { "bash_20",           read_known,       SHELL,  SHELL_SCHEMA },
    { "text_editor_20",    read_known,       EDITOR, EDITOR_SCHEMA },
    { "memory_20",         read_known,       MEMORY, MEMORY_SCHEMA },
    { "web_search_20",     read_web_search,  NULL,   NULL },
    { "tool_search_tool_", read_tool_search, NULL,   NULL },
    { "",                  read_foreign,     NULL,   NULL }
};

static const tool_type_t *type_of(llmux_slice_t type)
{
    const tool_type_t *t = types;

    if (!type.data || llmux_slice_is(type, t->begins)) {
        return t;
    }
    do {
        t++;
    } while (!llmux_slice_starts(type, t->begins));
    return t;
}

void llmux_anthropic_read_tools(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *v)
{
    const tool_type_t *t;
    const llmux_json_t *e;
    llmux_at_t each;
    int i = 0;

    llmux_reader_expect_list(r, at, v, LLMUX_TOOLS_MAX, "tools");
    for (e = llmux_json_first(v); e && !r->err; e = llmux_json_next(v, e)) {
        each = llmux_at_index(at, i++);
        if (llmux_reader_expect(r, &each, e, LLMUX_JSON_OBJECT)) {
            t = type_of(llmux_reader_str(r, &each, e, "type"));
            t->read(r, &each, e, t);
        }
    }
}

/* ---- choice ---------------------------------------------------------- */

static int has_tool(const llmux_chat_t *chat, llmux_slice_t name)
{
    const llmux_tool_t *tool = chat->tools;

    while (tool && !llmux_slice_equal(tool->name, name)) {
        tool = tool->next;
    }
    return tool != NULL;
}

static void read_named(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *v)
{
    llmux_slice_t name = llmux_reader_need_str(r, at, v, "name");
    llmux_at_t here = llmux_at(at, "name");

    if (!has_tool(r->chat, name)) {
        llmux_reader_fail(r, &here, "expected the name of one of the tools, "
                          "found %s",
                          llmux_reader_found(r, llmux_json_get(v, "name")));
    }
    r->chat->choice_names = apr_array_make(r->pool, 1, sizeof(llmux_slice_t));
    APR_ARRAY_PUSH(r->chat->choice_names, llmux_slice_t) = name;
}

void llmux_anthropic_read_choice(llmux_reader_t *r, const llmux_at_t *at,
                                 const llmux_json_t *v)
{
    static const char *const words[] = { "auto", "any", "tool", "none", NULL };
    static const llmux_choice_e choices[] =
        { LLMUX_CHOICE_AUTO, LLMUX_CHOICE_REQUIRED, LLMUX_CHOICE_NAMED,
          LLMUX_CHOICE_NONE };
    llmux_at_t type = llmux_at(at, "type");
    int i;

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    i = llmux_reader_word(r, &type, llmux_json_get(v, "type"), words);
    if (i < 0) {
        return;
    }
    r->chat->choice = choices[i];
    if (choices[i] == LLMUX_CHOICE_NAMED) {
        read_named(r, at, v);
    }
    if (llmux_reader_bool(r, at, v, "disable_parallel_tool_use")
        == LLMUX_YES) {
        r->chat->parallel = LLMUX_NO;
    }
}
