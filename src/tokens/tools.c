/* tools.c - tools as OpenAI's models see them: a namespace of functions, as
 * their "harmony" format has it.
 *
 * Whether a member is required changes a character, not the number of tokens,
 * and is left out.
 */

#include "family.h"

static void type_of(llmux_buf_t *out, const llmux_json_t *schema,
                    apr_pool_t *p);

static void comment(llmux_buf_t *out, llmux_slice_t text)
{
    if (text.len) {
        llmux_buf_adds(out, "// ");
        llmux_buf_add_slice(out, text);
        llmux_buf_adds(out, "\n");
    }
}

static void member(llmux_buf_t *out, llmux_slice_t name,
                   const llmux_json_t *schema, apr_pool_t *p)
{
    llmux_slice_t title = llmux_json_str(p, llmux_json_get(schema, "title"));
    llmux_slice_t said = llmux_json_str(p, llmux_json_get(schema,
                                                          "description"));
    const llmux_json_t *value = llmux_json_get_any(schema, "default");

    comment(out, title);
    if (title.len && said.len) {
        llmux_buf_adds(out, "//\n");
    }
    comment(out, said);
    llmux_buf_add_slice(out, name);
    llmux_buf_adds(out, ": ");
    type_of(out, schema, p);
    llmux_buf_adds(out, ",");
    if (value) {
        llmux_buf_adds(out, " // default: ");
        llmux_buf_add_slice(out, llmux_json_raw(value));
    }
    llmux_buf_adds(out, "\n");
}

static void object(llmux_buf_t *out, const llmux_json_t *properties,
                   apr_pool_t *p)
{
    const llmux_json_t *m;

    llmux_buf_adds(out, "{\n");
    if (llmux_json_kind(properties) == LLMUX_JSON_OBJECT) {
        for (m = llmux_json_first(properties); m;
             m = llmux_json_next_member(properties, m)) {
            member(out, llmux_json_str(p, m), llmux_json_value(m), p);
        }
    }
    llmux_buf_adds(out, "}");
}

/* One or the other: values as they stand, words, or what is described. */
typedef enum { VALUES, WORDS, SCHEMAS } list_e;

static void one_of(llmux_buf_t *out, const llmux_json_t *e, list_e kind,
                   apr_pool_t *p)
{
    if (kind == SCHEMAS) {
        type_of(out, e, p);
    }
    else {
        llmux_buf_add_slice(out, kind == WORDS ? llmux_json_str(p, e)
                                               : llmux_json_raw(e));
    }
}

static void either(llmux_buf_t *out, const llmux_json_t *list, list_e kind,
                   apr_pool_t *p)
{
    const llmux_json_t *e;

    for (e = llmux_json_first(list); e; e = llmux_json_next(list, e)) {
        if (e != llmux_json_first(list)) {
            llmux_buf_adds(out, " | ");
        }
        one_of(out, e, kind, p);
    }
}

static const llmux_json_t *list_of(const llmux_json_t *schema,
                                   const char *name)
{
    const llmux_json_t *v = llmux_json_get(schema, name);

    return llmux_json_kind(v) == LLMUX_JSON_ARRAY ? v : NULL;
}

static void named_type(llmux_buf_t *out, const llmux_json_t *schema,
                       apr_pool_t *p)
{
    const llmux_json_t *type = llmux_json_get(schema, "type");
    const llmux_json_t *inside = llmux_json_get(schema, "properties");

    if (inside) {
        object(out, inside, p);
    }
    else if (llmux_json_is(type, "array")) {
        type_of(out, llmux_json_get(schema, "items"), p);
        llmux_buf_adds(out, "[]");
    }
    else if (llmux_json_kind(type) == LLMUX_JSON_STRING) {
        llmux_buf_add_slice(out, llmux_json_str(p, type));
    }
    else {
        llmux_buf_adds(out, "any");
    }
}

static void type_of(llmux_buf_t *out, const llmux_json_t *schema,
                    apr_pool_t *p)
{
    static const struct { const char *name; list_e kind; } lists[] = {
        { "enum", VALUES }, { "anyOf", SCHEMAS }, { "oneOf", SCHEMAS },
        { "type", WORDS }
    };
    const llmux_json_t *list;
    apr_size_t i;

    for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        list = list_of(schema, lists[i].name);
        if (list) {
            either(out, list, lists[i].kind, p);
            return;
        }
    }
    named_type(out, schema, p);
}

static void declaration(llmux_buf_t *out, const llmux_tool_t *tool,
                        apr_pool_t *p)
{
    const llmux_json_t *schema = llmux_json_parse(p, tool->schema, 0, NULL);
    const llmux_json_t *inside = llmux_json_get(schema, "properties");

    comment(out, tool->description);
    llmux_buf_adds(out, "type ");
    llmux_buf_add_slice(out, tool->name);
    llmux_buf_adds(out, " = (");
    if (llmux_json_count(inside)) {
        llmux_buf_adds(out, "_: ");
        object(out, inside, p);
    }
    llmux_buf_adds(out, ") => any;\n\n");
    if (tool->grammar.len) {
        llmux_buf_add_slice(out, tool->grammar);
    }
}

void llmux_tools_text(llmux_buf_t *out, const llmux_tool_t *tools,
                      apr_pool_t *p)
{
    llmux_buf_adds(out,
                   "# Tools\n\n## functions\n\nnamespace functions {\n\n");
    for (; tools; tools = tools->next) {
        declaration(out, tools, p);
    }
    llmux_buf_adds(out, "} // namespace functions");
}
