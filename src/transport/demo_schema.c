/* demo_schema.c - the smallest thing that satisfies a JSON schema. */

#include <string.h>

#include <apr_strings.h>

#include "demo_answer.h"

#define DEPTH_MAX   24          /* nesting of the example */
#define HOPS_MAX    16          /* $ref to $ref, choice in choice */
#define FUEL        1000000     /* members looked at, all in all */
#define ITEMS_MAX   64
#define REF_MAX     512
#define PADDING_MAX 4096

typedef enum {
    TYPE_OBJECT, TYPE_ARRAY, TYPE_STRING, TYPE_NUMBER, TYPE_INTEGER,
    TYPE_BOOLEAN, TYPE_NULL
} type_e;

/* One example in the making. */
typedef struct making_t {
    apr_pool_t *p;
    llmux_jw_t w;
    const llmux_json_t *root;   /* what $ref starts from */
    int depth;
    int fuel;                   /* 0 = the schema asks for too much */
} making_t;

static void make(making_t *m, const llmux_json_t *s, type_e other);

/* llmux_json_get() with an eye on the time that a huge schema takes. */
static const llmux_json_t *member(making_t *m, const llmux_json_t *object,
                                  const char *name)
{
    const llmux_json_t *at;

    if (llmux_json_kind(object) != LLMUX_JSON_OBJECT) {
        return NULL;
    }
    for (at = llmux_json_first(object); at && m->fuel;
         at = llmux_json_next_member(object, at)) {
        m->fuel--;
        if (llmux_json_is(at, name)) {
            return llmux_json_value(at);
        }
    }
    return NULL;
}

/* ---- which schema ----------------------------------------------------- */

/* "#/$defs/name"; what does not lead anywhere is no schema. */
static const llmux_json_t *follow(making_t *m, const llmux_json_t *ref)
{
    const llmux_json_t *s = m->root;
    char *step, *state = NULL, *path;

    if (llmux_json_raw(ref).len > REF_MAX) {
        return NULL;
    }
    path = apr_pstrdup(m->p, llmux_json_cstr(m->p, ref));
    if (*path != '#') {
        return NULL;
    }
    for (step = apr_strtok(path + 1, "/", &state); s && step;
         step = apr_strtok(NULL, "/", &state)) {
        s = member(m, s, step);
    }
    return s;
}

static const llmux_json_t *alternative(making_t *m, const llmux_json_t *s)
{
    static const char *const words[] = { "anyOf", "oneOf", "allOf", NULL };
    const llmux_json_t *list;
    int i;

    for (i = 0; words[i]; i++) {
        list = member(m, s, words[i]);
        if (llmux_json_kind(list) == LLMUX_JSON_ARRAY) {
            return llmux_json_at(list, 0);
        }
    }
    return NULL;
}

/* Follows references and takes the first of several alternatives. */
static const llmux_json_t *settle(making_t *m, const llmux_json_t *s)
{
    const llmux_json_t *ref, *next = s;
    int i;

    for (i = 0; next && i < HOPS_MAX; i++) {
        s = next;
        ref = member(m, s, "$ref");
        next = ref ? follow(m, ref) : alternative(m, s);
    }
    return s;
}

/* ---- values ----------------------------------------------------------- */

static void make_member(making_t *m, const llmux_json_t *properties,
                        const llmux_json_t *name)
{
    const char *text = llmux_json_cstr(m->p, name);

    llmux_jw_key(&m->w, text);
    make(m, member(m, properties, text), TYPE_STRING);
}

static void make_object(making_t *m, const llmux_json_t *s)
{
    const llmux_json_t *properties = member(m, s, "properties");
    const llmux_json_t *required = member(m, s, "required"), *name = NULL;

    if (llmux_json_kind(required) == LLMUX_JSON_ARRAY) {
        name = llmux_json_first(required);
    }
    llmux_jw_open(&m->w, '{');
    for (; name && m->fuel; name = llmux_json_next(required, name)) {
        if (llmux_json_kind(name) == LLMUX_JSON_STRING) {
            make_member(m, properties, name);
        }
    }
    llmux_jw_close(&m->w, '}');
}

static void make_array(making_t *m, const llmux_json_t *s)
{
    apr_int64_t i, n = llmux_json_int(member(m, s, "minItems"), 0);
    const llmux_json_t *items = member(m, s, "items");

    if (n > ITEMS_MAX) {
        m->fuel = 0;
    }
    llmux_jw_open(&m->w, '[');
    for (i = 0; i < n && m->fuel; i++) {
        make(m, items, TYPE_STRING);
    }
    llmux_jw_close(&m->w, ']');
}

static const struct { const char *format, *example; } formats[] = {
    { "date-time", "2026-01-01T00:00:00Z" },
    { "date",      "2026-01-01" },
    { "time",      "00:00:00Z" },
    { "duration",  "PT1S" },
    { "email",     "example@example.com" },
    { "hostname",  "example.com" },
    { "uri",       "https://example.com/" },
    { "uuid",      "00000000-0000-4000-8000-000000000000" },
    { "ipv4",      "192.0.2.1" },
    { "ipv6",      "2001:db8::1" },
    { NULL,        "example" }
};

static void make_string(making_t *m, const llmux_json_t *s)
{
    const llmux_json_t *format = member(m, s, "format");
    apr_int64_t least = llmux_json_int(member(m, s, "minLength"), 0);
    apr_int64_t most = llmux_json_int(member(m, s, "maxLength"), PADDING_MAX);
    char text[PADDING_MAX];
    apr_size_t len;
    int i = 0;

    while (formats[i].format && !llmux_json_is(format, formats[i].format)) {
        i++;
    }
    if (least > PADDING_MAX) {
        m->fuel = 0;
        least = 0;
    }
    len = strlen(formats[i].example);
    memset(text, 'x', sizeof(text));
    memcpy(text, formats[i].example, len);
    len = least > (apr_int64_t)len ? (apr_size_t)least : len;
    len = most >= 0 && most < (apr_int64_t)len ? (apr_size_t)most : len;
    llmux_jw_str(&m->w, (llmux_slice_t){ text, len });
}

/* 1, unless a bound says otherwise. */
static void make_number(making_t *m, const llmux_json_t *s)
{
    const llmux_json_t *least = member(m, s, "minimum");
    const llmux_json_t *most = member(m, s, "maximum");
    apr_int64_t above = llmux_json_int(member(m, s, "exclusiveMinimum"), 0);
    apr_int64_t below = llmux_json_int(member(m, s, "exclusiveMaximum"), 2);

    if (llmux_json_double(least, 1) > 1) {
        llmux_jw_raw(&m->w, llmux_json_raw(least));
    }
    else if (llmux_json_double(most, 1) < 1) {
        llmux_jw_raw(&m->w, llmux_json_raw(most));
    }
    else if (above >= 1 && above < APR_INT64_MAX) {
        llmux_jw_int(&m->w, above + 1);
    }
    else if (below <= 1 && below > APR_INT64_MIN) {
        llmux_jw_int(&m->w, below - 1);
    }
    else {
        llmux_jw_int(&m->w, 1);
    }
}

static void make_boolean(making_t *m, const llmux_json_t *s)
{
    llmux_jw_bool(&m->w, 1);
}

static void make_null(making_t *m, const llmux_json_t *s)
{
    llmux_jw_null(&m->w);
}

static const struct {
    const char *name;
    void (*make)(making_t *m, const llmux_json_t *s);
} types[] = {
    [TYPE_OBJECT]  = { "object",  make_object },
    [TYPE_ARRAY]   = { "array",   make_array },
    [TYPE_STRING]  = { "string",  make_string },
    [TYPE_NUMBER]  = { "number",  make_number },
    [TYPE_INTEGER] = { "integer", make_number },
    [TYPE_BOOLEAN] = { "boolean", make_boolean },
    [TYPE_NULL]    = { "null",    make_null }
};

/* ---- the choice between them ------------------------------------------ */

/* `other` is for a schema that does not say. */
static type_e type_of(making_t *m, const llmux_json_t *s, type_e other)
{
    const llmux_json_t *type = member(m, s, "type");
    int i = TYPE_OBJECT;

    if (llmux_json_kind(type) == LLMUX_JSON_ARRAY) {
        type = llmux_json_at(type, 0);
    }
    if (type) {
        while (i < TYPE_NULL && !llmux_json_is(type, types[i].name)) {
            i++;
        }
        return (type_e)i;
    }
    if (member(m, s, "properties")) {
        return TYPE_OBJECT;
    }
    return member(m, s, "items") ? TYPE_ARRAY : other;
}

static void make(making_t *m, const llmux_json_t *s, type_e other)
{
    const llmux_json_t *fixed;

    if (m->depth >= DEPTH_MAX || m->w.out->failed || !m->fuel) {
        m->fuel = 0;
        llmux_jw_null(&m->w);
        return;
    }
    m->fuel--;
    s = settle(m, s);
    fixed = member(m, s, "const");
    if (!fixed) {
        fixed = llmux_json_at(member(m, s, "enum"), 0);
    }
    if (fixed) {
        llmux_jw_raw(&m->w, llmux_json_raw(fixed));
        return;
    }
    m->depth++;
    types[type_of(m, s, other)].make(m, s);
    m->depth--;
}

int llmux_demo_example(apr_pool_t *p, llmux_buf_t *out,
                       const llmux_json_t *schema)
{
    making_t m = { .root = schema, .fuel = FUEL };

    apr_pool_create(&m.p, p);
    m.w = llmux_jw(out);
    make(&m, schema, TYPE_OBJECT);
    apr_pool_destroy(m.p);
    return m.fuel > 0 && !out->failed;
}
