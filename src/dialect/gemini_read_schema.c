/* gemini_read_schema.c - the subset of OpenAPI that Gemini's `Schema` is, said
 * in JSON Schema. */

#include <apr_lib.h>

#include "gemini_read.h"

typedef llmux_gemini_in_t in_t;

/* What one conversion knows. */
typedef struct schema_t {
    in_t *in;
    llmux_jw_t w;
} schema_t;

static void put_schema(schema_t *s, const llmux_json_t *v);

/* ---- kinds of members ------------------------------------------------ */

static void put_raw(schema_t *s, const llmux_json_t *v)
{
    llmux_jw_raw(&s->w, llmux_json_raw(v));
}

/* int64 is a string in proto3's JSON. */
static void put_number(schema_t *s, const llmux_json_t *v)
{
    llmux_slice_t text = llmux_json_str(s->in->r.pool, v);
    const llmux_json_t *number = llmux_json_parse(s->in->r.pool, text, 1,
                                                  NULL);

    put_raw(s, llmux_json_kind(number) == LLMUX_JSON_NUMBER ? number : v);
}

static void put_list(schema_t *s, const llmux_json_t *v)
{
    const llmux_json_t *e;

    llmux_jw_open(&s->w, '[');
    for (e = llmux_gemini_first(v); e; e = llmux_gemini_next(v, e)) {
        put_schema(s, e);
    }
    llmux_jw_close(&s->w, ']');
}

static void put_map(schema_t *s, const llmux_json_t *v)
{
    const llmux_json_t *m;

    if (llmux_json_kind(v) != LLMUX_JSON_OBJECT) {
        put_raw(s, v);
        return;
    }
    llmux_jw_open(&s->w, '{');
    for (m = llmux_json_first(v); m; m = llmux_json_next_member(v, m)) {
        llmux_jw_key_slice(&s->w, llmux_json_str(s->in->r.pool, m));
        put_schema(s, llmux_json_value(m));
    }
    llmux_jw_close(&s->w, '}');
}

/* ---- types ----------------------------------------------------------- */

static llmux_slice_t lower(schema_t *s, const llmux_json_t *v)
{
    llmux_slice_t text = llmux_slice_dup(s->in->r.pool,
                                         llmux_json_str(s->in->r.pool, v));
    apr_size_t i;

    for (i = 0; i < text.len; i++) {
        ((char *)text.data)[i] = (char)apr_tolower(text.data[i]);
    }
    return text;
}

static void put_null_type(schema_t *s)
{
    llmux_jw_raw(&s->w, llmux_slice("{\"type\":\"null\"}"));
}

/* "OBJECT" is "object"; nullable is one type more. */
static void put_type(schema_t *s, const llmux_json_t *v, int nullable)
{
    if (llmux_json_kind(v) != LLMUX_JSON_STRING) {
        put_raw(s, v);
        return;
    }
    if (nullable) {
        llmux_jw_open(&s->w, '[');
    }
    llmux_jw_str(&s->w, lower(s, v));
    if (nullable) {
        llmux_jw_cstr(&s->w, "null");
        llmux_jw_close(&s->w, ']');
    }
}

static void put_enum(schema_t *s, const llmux_json_t *v, int nullable)
{
    const llmux_json_t *e;

    llmux_jw_open(&s->w, '[');
    for (e = llmux_gemini_first(v); e; e = llmux_gemini_next(v, e)) {
        put_raw(s, e);
    }
    if (nullable) {
        llmux_jw_null(&s->w);
    }
    llmux_jw_close(&s->w, ']');
}

static void put_any_of(schema_t *s, const llmux_json_t *v, int nullable)
{
    const llmux_json_t *e;

    llmux_jw_open(&s->w, '[');
    for (e = llmux_gemini_first(v); e; e = llmux_gemini_next(v, e)) {
        put_schema(s, e);
    }
    if (nullable) {
        put_null_type(s);
    }
    llmux_jw_close(&s->w, ']');
}

/* ---- members --------------------------------------------------------- */

/* Both spellings; one without put() says nothing in JSON Schema. */
static const struct {
    const char *camel, *snake;
    void (*put)(schema_t *s, const llmux_json_t *v);
} rows[] = {
    { "items",            "items",                 put_schema },
    { "prefixItems",      "prefix_items",          put_list   },
    { "properties",       "properties",            put_map    },
    { "additionalProperties", "additional_properties", put_schema },
    { "oneOf",            "one_of",                put_list   },
    { "allOf",            "all_of",                put_list   },
    { "$defs",            "defs",                  put_map    },
    { "$ref",             "ref",                   put_raw    },
    { "minItems",         "min_items",             put_number },
    { "maxItems",         "max_items",             put_number },
    { "minLength",        "min_length",            put_number },
    { "maxLength",        "max_length",            put_number },
    { "minProperties",    "min_properties",        put_number },
    { "maxProperties",    "max_properties",        put_number },
    { "minimum",          "minimum",               put_number },
    { "maximum",          "maximum",               put_number },
    { "propertyOrdering", "property_ordering",     NULL       },
    { "nullable",         "nullable",              NULL       },
    { "example",          "example",               NULL       }
};

#define ROWS ((int)(sizeof(rows) / sizeof(rows[0])))

static int row_of(const llmux_json_t *name)
{
    int i;

    for (i = 0; i < ROWS; i++) {
        if (llmux_json_is(name, rows[i].camel)
            || llmux_json_is(name, rows[i].snake)) {
            break;
        }
    }
    return i;
}

/* Words that JSON Schema has not, and that mean nothing. */
static int is_empty_word(const llmux_json_t *name, const llmux_json_t *v)
{
    return (llmux_json_is(name, "type")
            && llmux_json_is(v, "TYPE_UNSPECIFIED"))
           || (llmux_json_is(name, "format") && llmux_json_is(v, "enum"));
}

static int is_any_of(const llmux_json_t *name)
{
    return llmux_json_is(name, "anyOf") || llmux_json_is(name, "any_of");
}

static void put_member(schema_t *s, const llmux_json_t *name, int nullable)
{
    const llmux_json_t *v = llmux_json_value(name);
    int i = row_of(name);

    if (is_empty_word(name, v) || (i < ROWS && !rows[i].put)) {
        return;
    }
    llmux_jw_key_slice(&s->w, i < ROWS ? llmux_slice(rows[i].camel)
                       : is_any_of(name) ? llmux_slice("anyOf")
                       : llmux_json_str(s->in->r.pool, name));
    if (i < ROWS) {
        rows[i].put(s, v);
    }
    else if (llmux_json_is(name, "type")) {
        put_type(s, v, nullable);
    }
    else if (llmux_json_is(name, "enum")) {
        put_enum(s, v, nullable);
    }
    else if (is_any_of(name)) {
        put_any_of(s, v, nullable);
    }
    else {
        put_raw(s, v);
    }
}

/* No deeper than the body, which is LLMUX_JSON_DEPTH_MAX. */
static void put_schema(schema_t *s, const llmux_json_t *v)
{
    int nullable = llmux_json_bool(llmux_json_get(v, "nullable"))
                   == LLMUX_YES;
    const llmux_json_t *m;

    if (llmux_json_kind(v) != LLMUX_JSON_OBJECT) {
        put_raw(s, v);
        return;
    }
    llmux_jw_open(&s->w, '{');
    for (m = llmux_json_first(v); m; m = llmux_json_next_member(v, m)) {
        if (llmux_json_kind(llmux_json_value(m)) != LLMUX_JSON_NULL) {
            put_member(s, m, nullable);
        }
    }
    llmux_jw_close(&s->w, '}');
}

/* Nothing in it becomes longer than eight times what it was: `"a":{}` with
 * `nullable` is the worst of it by far. */
llmux_slice_t llmux_gemini_read_schema(in_t *in, const llmux_at_t *at,
                                       const llmux_json_t *schema)
{
    llmux_buf_t *out = llmux_buf_create(in->r.pool,
                                        8 * (apr_size_t)schema->len);
    schema_t s = { in, llmux_jw(out) };

    put_schema(&s, schema);
    if (out->failed) {
        llmux_reader_fail(&in->r, at, "expected a smaller schema");
    }
    return llmux_buf_slice(out);
}
