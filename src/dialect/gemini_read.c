/* gemini_read.c - a generateContent body into the canonical request: members
 * in general, those at the top, tools. */

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "gemini_read.h"

typedef llmux_gemini_in_t in_t;
typedef llmux_gemini_row_t row_t;
typedef llmux_gemini_got_t got_t;

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

/* ---- members --------------------------------------------------------- */

/* Is it this name, as it stands or in snake_case? */
static int is_name(llmux_slice_t s, const char *name)
{
    apr_size_t i;

    for (i = 0; i < s.len && *name; i++, name++) {
        if (apr_isupper(*name)) {
            if (s.data[i] == '_' && i + 1 < s.len
                && s.data[i + 1] == apr_tolower(*name)) {
                i++;
                continue;
            }
        }
        if (s.data[i] != *name) {
            return 0;
        }
    }
    return i == s.len && !*name;
}

static int row_of(llmux_slice_t name, const row_t *rows, int count)
{
    int i;

    for (i = 0; i < count; i++) {
        if (is_name(name, rows[i].name)) {
            return i;
        }
    }
    return -1;
}

/* Most rows allow one kind; a number may be a string, a list its element. */
static llmux_json_e expected(unsigned int kinds)
{
    static const llmux_json_e order[] = {
        LLMUX_JSON_ARRAY, LLMUX_JSON_OBJECT, LLMUX_JSON_NUMBER,
        LLMUX_JSON_BOOL, LLMUX_JSON_STRING
    };
    int i;

    for (i = 0; i < COUNT(order) - 1 && !(kinds & 1u << order[i]); i++) {
    }
    return order[i];
}

static void keep(in_t *in, const llmux_at_t *at, const llmux_json_t *v,
                 const row_t *row, got_t *got, const char *name)
{
    llmux_at_t here = llmux_at(at, name);

    if (got->v) {
        llmux_reader_fail(&in->r, &here, "expected it once, found '%s' as "
                          "well", got->name);
        return;
    }
    if (!(row->kinds & 1u << llmux_json_kind(v))) {
        llmux_reader_expect(&in->r, &here, v, expected(row->kinds));
    }
    got->v = v;
    got->name = name;
}

int llmux_gemini_members(in_t *in, const llmux_at_t *at,
                         const llmux_json_t *object, const char *where,
                         const row_t *rows, int count, got_t *got)
{
    const llmux_json_t *m, *v;
    llmux_slice_t name;
    int i, others = 0;

    memset(got, 0, (apr_size_t)count * sizeof(*got));
    for (m = llmux_json_first(object); m && !in->r.err;
         m = llmux_json_next_member(object, m)) {
        v = llmux_json_value(m);
        if (llmux_json_kind(v) == LLMUX_JSON_NULL) {
            continue;
        }
        name = llmux_json_str(in->r.pool, m);
        i = row_of(name, rows, count);
        if (i >= 0) {
            keep(in, at, v, &rows[i], &got[i],
                 llmux_slice_str(in->r.pool, name));
        }
        else {
            others++;
            if (where) {
                llmux_gemini_lose(in, where, name, v);
            }
        }
    }
    return others;
}

static int is_noted(const in_t *in, llmux_slice_t name)
{
    const llmux_extra_t *e;

    for (e = in->r.chat->lost; e; e = e->next) {
        if (llmux_slice_equal(e->name, name)) {
            return 1;
        }
    }
    return 0;
}

void llmux_gemini_lose(in_t *in, const char *where, llmux_slice_t name,
                       const llmux_json_t *v)
{
    llmux_extra_t *e;
    const char *path;

    if (in->lost >= LLMUX_LOST_MAX) {
        return;
    }
    if (name.len > LLMUX_WARNING_FIELD_MAX) {
        name.len = LLMUX_WARNING_FIELD_MAX;
    }
    path = apr_pstrcat(in->r.pool, where, *where ? "." : "",
                       llmux_slice_str(in->r.pool, name), NULL);
    if (is_noted(in, llmux_slice(path))) {
        return;
    }
    e = apr_pcalloc(in->r.pool, sizeof(*e));
    e->name = llmux_slice(path);
    e->json = llmux_json_raw(v);
    if (in->last_lost) {
        in->last_lost->next = e;
    }
    else {
        in->r.chat->lost = e;
    }
    in->last_lost = e;
    in->lost++;
}

void llmux_gemini_refuse(in_t *in, const llmux_at_t *at, const char *fmt, ...)
{
    const char *what;
    va_list ap;

    if (in->r.err) {
        return;
    }
    va_start(ap, fmt);
    what = apr_pvsprintf(in->r.pool, fmt, ap);
    va_end(ap);
    in->r.err = llmux_error(in->r.pool, LLMUX_ERR_UNSUPPORTED,
                            llmux_at_text(in->r.pool, at), "%s", what);
}

/* ---- values ---------------------------------------------------------- */

const llmux_json_t *llmux_gemini_first(const llmux_json_t *list)
{
    return llmux_json_kind(list) == LLMUX_JSON_ARRAY ? llmux_json_first(list)
                                                     : list;
}

const llmux_json_t *llmux_gemini_next(const llmux_json_t *list,
                                      const llmux_json_t *element)
{
    return llmux_json_kind(list) == LLMUX_JSON_ARRAY
        ? llmux_json_next(list, element) : NULL;
}

llmux_slice_t llmux_gemini_text(in_t *in, const got_t *got)
{
    return llmux_json_str(in->r.pool, got->v);
}

const llmux_json_t *llmux_gemini_number(in_t *in, const llmux_at_t *at,
                                        const llmux_json_t *v)
{
    const llmux_json_t *inner;

    if (llmux_json_kind(v) != LLMUX_JSON_STRING) {
        return v;
    }
    inner = llmux_json_parse(in->r.pool, llmux_json_str(in->r.pool, v), 1,
                             NULL);
    if (llmux_json_kind(inner) == LLMUX_JSON_NUMBER) {
        return inner;
    }
    llmux_reader_fail(&in->r, at, "expected a number, found %s",
                      llmux_reader_found(&in->r, v));
    return NULL;
}

static int is_unspecified(llmux_slice_t s)
{
    static const char tail[] = "_UNSPECIFIED";
    llmux_slice_t end = s;

    if (s.len >= sizeof(tail) - 1) {
        end.data += s.len - (sizeof(tail) - 1);
        end.len = sizeof(tail) - 1;
    }
    return llmux_slice_is_nocase(end, tail)
           || llmux_slice_is_nocase(s, tail + 1);
}

int llmux_gemini_word(in_t *in, const llmux_at_t *at, const llmux_json_t *v,
                      const char *const *words)
{
    llmux_slice_t s = llmux_json_str(in->r.pool, v);
    int i;

    for (i = 0; words[i]; i++) {
        if (llmux_slice_is_nocase(s, words[i])) {
            return i;
        }
    }
    return is_unspecified(s) ? -1 : llmux_reader_word(&in->r, at, v, words);
}

/* ---- tools ----------------------------------------------------------- */

enum { DECL_NAME, DECL_DESCRIPTION, DECL_SCHEMA, DECL_JSON_SCHEMA, DECLS };

static const row_t declaration[] = {
    [DECL_NAME]        = { "name", LLMUX_GEMINI_STR },
    [DECL_DESCRIPTION] = { "description", LLMUX_GEMINI_STR },
    [DECL_SCHEMA]      = { "parameters", LLMUX_GEMINI_OBJ },
    [DECL_JSON_SCHEMA] = { "parametersJsonSchema", LLMUX_GEMINI_OBJ }
};

static void read_declaration(in_t *in, const llmux_at_t *at,
                             const llmux_json_t *v)
{
    llmux_tool_t *tool = llmux_chat_tool(in->r.chat);
    got_t got[DECLS];
    llmux_at_t here;

    llmux_gemini_members(in, at, v, "tools.functionDeclarations", declaration,
                         DECLS, got);
    tool->name = llmux_reader_need_str(&in->r, at, v, "name");
    tool->description = llmux_gemini_text(in, &got[DECL_DESCRIPTION]);
    tool->schema = llmux_json_raw(got[DECL_JSON_SCHEMA].v);
    if (!got[DECL_SCHEMA].v) {
        return;
    }
    here = llmux_at(at, got[DECL_SCHEMA].name);
    if (tool->schema.data) {
        llmux_reader_fail(&in->r, &here, "expected one of it and '%s', found "
                          "both", got[DECL_JSON_SCHEMA].name);
    }
    tool->schema = llmux_gemini_read_schema(in, &here, got[DECL_SCHEMA].v);
}

static void read_declarations(in_t *in, const llmux_at_t *at,
                              const llmux_json_t *list)
{
    const llmux_json_t *e;
    llmux_at_t each;
    int i = 0;

    if (llmux_json_kind(list) == LLMUX_JSON_ARRAY
        && llmux_json_count(list) > LLMUX_TOOLS_MAX) {
        llmux_reader_fail(&in->r, at, "expected at most %d functions, found "
                          "%d", LLMUX_TOOLS_MAX, llmux_json_count(list));
    }
    for (e = llmux_gemini_first(list); e && !in->r.err;
         e = llmux_gemini_next(list, e)) {
        each = llmux_at_index(at, i++);
        if (llmux_reader_expect(&in->r, &each, e, LLMUX_JSON_OBJECT)) {
            read_declaration(in, &each, e);
        }
    }
}

enum { TOOL_FUNCTIONS, TOOL_SEARCH, TOOL_OLD_SEARCH, TOOLS };

static const row_t tool_rows[] = {
    [TOOL_FUNCTIONS]  = { "functionDeclarations", LLMUX_GEMINI_LIST },
    [TOOL_SEARCH]     = { "googleSearch", LLMUX_GEMINI_OBJ },
    [TOOL_OLD_SEARCH] = { "googleSearchRetrieval", LLMUX_GEMINI_OBJ }
};

/* The one hosted tool that others have too; how it is to search is Google's
 * own affair. */
static void read_search(in_t *in, const llmux_json_t *v)
{
    got_t none[1];

    if (v) {
        in->r.chat->web_search = llmux_slice("{}");
        llmux_gemini_members(in, NULL, v, "tools.googleSearch", NULL, 0,
                             none);
    }
}

static void refuse_hosted(in_t *in, const llmux_at_t *at,
                          const llmux_json_t *tool)
{
    const llmux_json_t *m;
    llmux_slice_t name;
    llmux_at_t here;

    for (m = llmux_json_first(tool); m; m = llmux_json_next_member(tool, m)) {
        name = llmux_json_str(in->r.pool, m);
        if (row_of(name, tool_rows, TOOLS) < 0
            && llmux_json_kind(llmux_json_value(m)) != LLMUX_JSON_NULL) {
            here = llmux_at(at, llmux_slice_str(in->r.pool, name));
            llmux_gemini_refuse(in, &here, "The tool '%.64s' runs at Google, "
                                "and this model's provider has none like it: "
                                "leave it out.",
                                llmux_slice_str(in->r.pool, name));
        }
    }
}

static void read_tool(in_t *in, const llmux_at_t *at, const llmux_json_t *v)
{
    got_t got[TOOLS];
    llmux_at_t here;

    if (!llmux_reader_expect(&in->r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    if (llmux_gemini_members(in, at, v, NULL, tool_rows, TOOLS, got)) {
        refuse_hosted(in, at, v);
    }
    read_search(in, got[TOOL_SEARCH].v);
    read_search(in, got[TOOL_OLD_SEARCH].v);
    if (got[TOOL_FUNCTIONS].v) {
        here = llmux_at(at, got[TOOL_FUNCTIONS].name);
        read_declarations(in, &here, got[TOOL_FUNCTIONS].v);
    }
}

static void read_tools(in_t *in, const llmux_at_t *at, const llmux_json_t *v)
{
    const llmux_json_t *e;
    llmux_at_t each;
    int i = 0;

    for (e = llmux_gemini_first(v); e && !in->r.err;
         e = llmux_gemini_next(v, e)) {
        each = llmux_at_index(at, i++);
        read_tool(in, &each, e);
    }
}

/* ---- choice of tool -------------------------------------------------- */

/* With names and without. VALIDATED is AUTO that holds calls to the schema. */
static const char *const modes[] = {
    "AUTO", "ANY", "NONE", "VALIDATED", NULL
};
static const struct { llmux_choice_e bare, one, several; } choices[] = {
    { LLMUX_CHOICE_AUTO, LLMUX_CHOICE_ALLOWED_AUTO,
      LLMUX_CHOICE_ALLOWED_AUTO },
    { LLMUX_CHOICE_REQUIRED, LLMUX_CHOICE_NAMED,
      LLMUX_CHOICE_ALLOWED_REQUIRED },
    { LLMUX_CHOICE_NONE, LLMUX_CHOICE_NONE, LLMUX_CHOICE_NONE },
    { LLMUX_CHOICE_AUTO, LLMUX_CHOICE_ALLOWED_AUTO,
      LLMUX_CHOICE_ALLOWED_AUTO }
};

enum { CALLING_MODE, CALLING_NAMES, CALLING_STREAM, CALLINGS };

static const row_t calling[] = {
    [CALLING_MODE]   = { "mode", LLMUX_GEMINI_STR },
    [CALLING_NAMES]  = { "allowedFunctionNames", LLMUX_GEMINI_WORDS },
    /* arguments may come in pieces: they need not */
    [CALLING_STREAM] = { "streamFunctionCallArguments", LLMUX_GEMINI_BOOL }
};

static void read_names(in_t *in, const llmux_at_t *at, const llmux_json_t *v)
{
    apr_array_header_t *names = apr_array_make(in->r.pool, 1,
                                               sizeof(llmux_slice_t));
    const llmux_json_t *e;
    llmux_at_t each;
    int i = 0;

    for (e = llmux_gemini_first(v); e && !in->r.err;
         e = llmux_gemini_next(v, e)) {
        each = llmux_at_index(at, i++);
        if (llmux_reader_expect(&in->r, &each, e, LLMUX_JSON_STRING)) {
            APR_ARRAY_PUSH(names, llmux_slice_t) =
                llmux_json_str(in->r.pool, e);
        }
    }
    in->r.chat->choice_names = names->nelts ? names : NULL;
}

static void read_calling(in_t *in, const llmux_at_t *at,
                         const llmux_json_t *v)
{
    llmux_chat_t *chat = in->r.chat;
    got_t got[CALLINGS];
    llmux_at_t here;
    int i, names;

    llmux_gemini_members(in, at, v, "toolConfig.functionCallingConfig",
                         calling, CALLINGS, got);
    if (!got[CALLING_MODE].v) {
        return;
    }
    here = llmux_at(at, got[CALLING_MODE].name);
    i = llmux_gemini_word(in, &here, got[CALLING_MODE].v, modes);
    if (i < 0) {
        return;
    }
    if (got[CALLING_NAMES].v && choices[i].bare != LLMUX_CHOICE_NONE) {
        here = llmux_at(at, got[CALLING_NAMES].name);
        read_names(in, &here, got[CALLING_NAMES].v);
    }
    names = chat->choice_names ? chat->choice_names->nelts : 0;
    chat->choice = names > 1 ? choices[i].several
                 : names ? choices[i].one : choices[i].bare;
}

static const row_t tool_config[] = {
    { "functionCallingConfig", LLMUX_GEMINI_OBJ }
};

static void read_tool_config(in_t *in, const llmux_at_t *at,
                             const llmux_json_t *v)
{
    got_t got[1];
    llmux_at_t here;

    llmux_gemini_members(in, at, v, "toolConfig", tool_config, 1, got);
    if (got[0].v) {
        here = llmux_at(at, got[0].name);
        read_calling(in, &here, got[0].v);
    }
}

/* ---- what stands alone ----------------------------------------------- */

static void read_tier(in_t *in, const llmux_at_t *at, const llmux_json_t *v)
{
    static const struct { const char *theirs, *ours; } tiers[] = {
        { "standard", "default"  },
        { "flex",     "flex"     },
        { "priority", "priority" }
    };
    llmux_slice_t s = llmux_json_str(in->r.pool, v);
    int i;

    for (i = 0; i < COUNT(tiers); i++) {
        if (llmux_slice_is_nocase(s, tiers[i].theirs)) {
            s = llmux_slice(tiers[i].ours);
        }
    }
    if (!is_unspecified(s)) {
        in->r.chat->service_tier = s;
    }
}

static void read_labels(in_t *in, const llmux_at_t *at, const llmux_json_t *v)
{
    in->r.chat->metadata = llmux_json_raw(v);
}

static void read_store(in_t *in, const llmux_at_t *at, const llmux_json_t *v)
{
    in->r.chat->store = llmux_json_bool(v);
}

/* What it holds is part of the prompt. */
static void refuse_state(in_t *in, const llmux_at_t *at,
                         const llmux_json_t *v)
{
    llmux_gemini_refuse(in, at, "'%s' names something that only Google has: "
                        "send the contents themselves.", at->name);
}

/* ---- the table ------------------------------------------------------- */

typedef void (*read_fn)(in_t *in, const llmux_at_t *at,
                        const llmux_json_t *v);

static const row_t top[] = {
    { "model",             LLMUX_GEMINI_ANY },
    { "generationConfig",  LLMUX_GEMINI_OBJ },
    { "systemInstruction", LLMUX_GEMINI_OBJ },
    { "contents",          LLMUX_GEMINI_LIST },
    { "tools",             LLMUX_GEMINI_LIST },
    { "toolConfig",        LLMUX_GEMINI_OBJ },
    { "serviceTier",       LLMUX_GEMINI_STR },
    { "labels",            LLMUX_GEMINI_OBJ },
    { "store",             LLMUX_GEMINI_BOOL },
    { "cachedContent",     LLMUX_GEMINI_STR },
    { "continuationToken", LLMUX_GEMINI_STR },
    /* the gateway's own */
    { "provider",          LLMUX_GEMINI_ANY },
    { "parameters",        LLMUX_GEMINI_ANY },
    { "tags",              LLMUX_GEMINI_ANY },
    { "tag",               LLMUX_GEMINI_ANY }
};

/* In the order of the rows: the configuration says something on pictures. */
static const read_fn readers[COUNT(top)] = {
    NULL, llmux_gemini_read_config, llmux_gemini_read_system,
    llmux_gemini_read_contents, read_tools, read_tool_config, read_tier,
    read_labels, read_store, refuse_state, refuse_state
};

#define TOP COUNT(top)
#define CONTENTS 3

const llmux_error_t *llmux_gemini_read(llmux_chat_t *chat,
                                       const llmux_json_t *body)
{
    in_t in = { .r = { chat, chat->pool, NULL } };
    llmux_at_t root = llmux_at(NULL, NULL), at;
    got_t got[TOP];
    int i;

    if (!llmux_reader_expect(&in.r, &root, body, LLMUX_JSON_OBJECT)) {
        return in.r.err;
    }
    /* thoughts are for those who ask for them: gemini_read_config.c */
    chat->show_thinking = LLMUX_NO;
    llmux_gemini_members(&in, &root, body, "", top, TOP, got);
    if (!got[CONTENTS].v) {
        llmux_reader_need(&in.r, &root, body, "contents", LLMUX_JSON_ARRAY);
    }
    for (i = 0; i < TOP && !in.r.err; i++) {
        if (got[i].v && readers[i]) {
            at = llmux_at(&root, got[i].name);
            readers[i](&in, &at, got[i].v);
        }
    }
    return in.r.err;
}
