/* gemini_schema.c - JSON Schema said in the subset of OpenAPI that Gemini's
 * `Schema` is. Anything else in it is answered with 400 "Unknown name". */

#include <json-c/json.h>
#include <string.h>
#include <strings.h>

#include "gemini.h"

/* What one conversion knows. */
typedef struct schema_t {
    json_object *root;                          /* the client's schema */
    json_object *open[LLMUX_JSON_DEPTH_MAX];    /* $ref targets we are in */
    int refs;                                   /* how many of them */
    int *nodes;                                 /* made so far; 64 bytes of
                                                 * text count as one */
    const char *why;                            /* what went wrong, or NULL */
} schema_t;

static json_object *convert(schema_t *s, json_object *node, int depth);

static json_object *get(json_object *node, const char *name)
{
    json_object *v = NULL;

    json_object_object_get_ex(node, name, &v);
    return v;
}

static int is(json_object *v, json_type type)
{
    return v && json_object_is_type(v, type);
}

/* Notes what will be written. A schema of a few kilobytes can name one
 * description a million times, so texts count too. */
static int charge(schema_t *s, size_t bytes)
{
    *s->nodes += bytes / 64 < LLMUX_SCHEMA_NODES_MAX
                     ? 1 + (int)(bytes / 64) : LLMUX_SCHEMA_NODES_MAX;
    if (*s->nodes > LLMUX_SCHEMA_NODES_MAX) {
        *s->nodes = LLMUX_SCHEMA_NODES_MAX;
        s->why = "becomes too large when its $refs are written out";
    }
    return !s->why;
}

static json_object *typed(const char *type)
{
    json_object *to = json_object_new_object();

    json_object_object_add(to, "type", json_object_new_string(type));
    return to;
}

static int charge_value(schema_t *s, json_object *v)
{
    size_t len;

    json_object_to_json_string_length(v, JSON_C_TO_STRING_PLAIN, &len);
    return charge(s, len);
}

static void copy(schema_t *s, json_object *to, json_object *node,
                 const char *name, json_type type)
{
    json_object *v = get(node, name);

    if (is(v, type) && charge_value(s, v)) {
        json_object_object_add(to, name, json_object_get(v));
    }
}

/* ---- references ------------------------------------------------------ */

/* One step of a JSON pointer (RFC 6901) into `name`; what is left of it. */
static const char *pointer_step(const char *at, char *name, size_t size)
{
    size_t n = 0;

    for (; *at && *at != '/' && n + 1 < size; at++) {
        if (at[0] == '~' && (at[1] == '0' || at[1] == '1')) {
            name[n++] = at[1] == '0' ? '~' : '/';
            at++;
        }
        else {
            name[n++] = *at;
        }
    }
    name[n] = '\0';
    return at;
}

/* What "#/$defs/Node" points to, NULL for nothing. */
static json_object *resolve(schema_t *s, const char *ref)
{
    json_object *at = s->root;
    char name[256];

    if (*ref++ != '#') {
        return NULL;
    }
    while (*ref == '/' && at) {
        ref = pointer_step(ref + 1, name, sizeof(name));
        if (is(at, json_type_array)) {
            at = json_object_array_get_idx(at, strtoul(name, NULL, 10));
        }
        else {
            at = is(at, json_type_object) ? get(at, name) : NULL;
        }
    }
    return *ref ? NULL : at;
}

static int is_open(const schema_t *s, const json_object *target)
{
    int i;

    for (i = 0; i < s->refs; i++) {
        if (s->open[i] == target) {
            return 1;
        }
    }
    return 0;
}

/* A schema that contains itself has no finite form without $ref: from the
 * second time on it is any object. */
static json_object *inlined(schema_t *s, json_object *node, json_object *ref,
                            int depth)
{
    json_object *target = resolve(s, json_object_get_string(ref));
    json_object *to;

    if (!target) {
        s->why = "has a $ref that leads nowhere inside the schema";
        return typed("OBJECT");
    }
    if (is_open(s, target) || s->refs == LLMUX_JSON_DEPTH_MAX) {
        return typed("OBJECT");
    }
    s->open[s->refs++] = target;
    to = convert(s, target, depth + 1);
    s->refs--;
    if (!get(to, "anyOf")) {
        copy(s, to, node, "description", json_type_string);
    }
    return to;
}

/* ---- types ----------------------------------------------------------- */

static const struct { const char *ours, *theirs; } types[] = {
    { "string",  "STRING"  },
    { "number",  "NUMBER"  },
    { "integer", "INTEGER" },
    { "boolean", "BOOLEAN" },
    { "array",   "ARRAY"   },
    { "object",  "OBJECT"  },
    { NULL,      NULL      }
};

static const char *type_named(json_object *name)
{
    int i;

    if (!is(name, json_type_string)) {
        return NULL;
    }
    for (i = 0; types[i].ours; i++) {
        if (!strcasecmp(types[i].ours, json_object_get_string(name))) {
            return types[i].theirs;
        }
    }
    return NULL;
}

static int is_null_type(json_object *name)
{
    return is(name, json_type_string)
           && !strcasecmp(json_object_get_string(name), "null");
}

/* How many types but null a node allows; the first of them in `type`. */
static int types_of(json_object *node, const char **type, int *nullable)
{
    json_object *name = get(node, "type"), *one;
    size_t i, n = is(name, json_type_array) ? json_object_array_length(name)
                                            : 1;
    int found = 0;

    for (i = 0; name && i < n; i++) {
        one = is(name, json_type_array) ? json_object_array_get_idx(name, i)
                                        : name;
        *nullable |= is_null_type(one);
        if (type_named(one)) {
            *type = found++ ? *type : type_named(one);
        }
    }
    return found;
}

/* The type of a node that does not say it. */
static const char *type_guess(json_object *node)
{
    if (get(node, "properties") || get(node, "additionalProperties")
        || get(node, "required")) {
        return "OBJECT";
    }
    if (get(node, "items") || get(node, "prefixItems")) {
        return "ARRAY";
    }
    if (get(node, "minimum") || get(node, "maximum")
        || get(node, "exclusiveMinimum") || get(node, "exclusiveMaximum")) {
        return "NUMBER";
    }
    return "STRING";
}

/* ---- members --------------------------------------------------------- */

/* Gemini refuses formats that it does not know. */
static void put_format(json_object *to, json_object *node, const char *type)
{
    static const struct { const char *type, *format; } known[] = {
        { "STRING", "date-time" },
        { "NUMBER", "float" },
        { "NUMBER", "double" },
        { "INTEGER", "int32" },
        { "INTEGER", "int64" },
        { NULL, NULL }
    };
    json_object *format = get(node, "format");
    int i;

    for (i = 0; is(format, json_type_string) && known[i].type; i++) {
        if (!strcmp(known[i].type, type)
            && !strcmp(known[i].format, json_object_get_string(format))) {
            json_object_object_add(to, "format", json_object_get(format));
        }
    }
}

/* A value as an enum's string: Gemini has no other enums. */
static json_object *enum_string(json_object *v)
{
    return json_object_new_string(
        is(v, json_type_string) ? json_object_get_string(v)
            : json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN));
}

/* Adds what an enum may be. @return whether null is among it */
static int put_enum(schema_t *s, json_object *to, json_object *values)
{
    json_object *list = json_object_new_array(), *v;
    size_t i, n = json_object_array_length(values);
    int null = 0;

    for (i = 0; i < n; i++) {
        v = json_object_array_get_idx(values, i);
        null |= v == NULL;
        /* an empty string in an enum is refused */
        if (v && !(is(v, json_type_string) && !json_object_get_string_len(v))
            && charge_value(s, v)) {
            json_object_array_add(list, enum_string(v));
        }
    }
    if (json_object_array_length(list)) {
        json_object_object_add(to, "enum", list);
    }
    else {
        json_object_put(list);
    }
    return null;
}

/* The values that `enum` or `const` allow, as an array of its own. */
static json_object *enum_values(json_object *node)
{
    json_object *v = get(node, "enum"), *list;

    if (is(v, json_type_array)) {
        return json_object_get(v);
    }
    if (!json_object_object_get_ex(node, "const", &v)) {
        return NULL;
    }
    list = json_object_new_array();
    json_object_array_add(list, json_object_get(v));
    return list;
}

static void put_items(schema_t *s, json_object *to, json_object *node,
                      int depth)
{
    json_object *items = get(node, "items"), *first;

    if (!is(items, json_type_object)) {
        /* A tuple: the first member's type is the best that can be said. */
        first = is(items, json_type_array) ? items : get(node, "prefixItems");
        items = is(first, json_type_array)
                    ? json_object_array_get_idx(first, 0) : NULL;
    }
    json_object_object_add(to, "items", is(items, json_type_object)
                               ? convert(s, items, depth + 1)
                               : typed("STRING"));
    copy(s, to, node, "minItems", json_type_int);
    copy(s, to, node, "maxItems", json_type_int);
}

static void put_required(schema_t *s, json_object *to,
                         json_object *properties, json_object *names)
{
    json_object *list = json_object_new_array(), *name;
    size_t i, n = is(names, json_type_array) ? json_object_array_length(names)
                                             : 0;

    for (i = 0; i < n; i++) {
        name = json_object_array_get_idx(names, i);
        if (is(name, json_type_string)
            && get(properties, json_object_get_string(name))
            && charge_value(s, name)) {
            json_object_array_add(list, json_object_get(name));
        }
    }
    if (json_object_array_length(list)) {
        json_object_object_add(to, "required", list);
    }
    else {
        json_object_put(list);
    }
}

/* An OBJECT without properties is any object; empty ones are refused. */
static void put_properties(schema_t *s, json_object *to, json_object *node,
                           int depth)
{
    json_object *from = get(node, "properties"), *properties;

    if (is(from, json_type_object) && json_object_object_length(from)) {
        properties = json_object_new_object();
        json_object_object_add(to, "properties", properties);
        json_object_object_foreach(from, name, v) {
            if (charge(s, strlen(name))) {
                json_object_object_add(properties, name,
                                       convert(s, v, depth + 1));
            }
        }
        put_required(s, to, properties, get(node, "required"));
    }
    copy(s, to, node, "minProperties", json_type_int);
    copy(s, to, node, "maxProperties", json_type_int);
}

/* A limit that is a number, in either of JSON's two kinds. */
static int copy_number(schema_t *s, json_object *to, json_object *node,
                       const char *from, const char *name)
{
    json_object *v = get(node, from);

    if ((!is(v, json_type_int) && !is(v, json_type_double))
        || !charge_value(s, v)) {
        return 0;
    }
    json_object_object_add(to, name, json_object_get(v));
    return 1;
}

/* "More than 3" is "4 or more" for integers; for others the limit itself
 * comes nearest. */
static void put_limit(schema_t *s, json_object *to, json_object *node,
                      const char *type, const char *from, const char *name,
                      int step)
{
    json_object *v = get(node, from);

    if (copy_number(s, to, node, name, name)
        || !copy_number(s, to, node, from, name)) {
        return;
    }
    if (!strcmp(type, "INTEGER") && is(v, json_type_int)
        && json_object_get_int64(v) > INT32_MIN
        && json_object_get_int64(v) < INT32_MAX) {
        json_object_object_add(to, name, json_object_new_int64(
                                   json_object_get_int64(v) + step));
    }
}

static void put_string(schema_t *s, json_object *to, json_object *node)
{
    copy(s, to, node, "minLength", json_type_int);
    copy(s, to, node, "maxLength", json_type_int);
    copy(s, to, node, "pattern", json_type_string);
}

/* ---- nodes ----------------------------------------------------------- */

/* One node as this one type. */
static json_object *as_type(schema_t *s, json_object *node, const char *type,
                            int nullable, int depth)
{
    json_object *values = enum_values(node);
    json_object *to = typed(values ? "STRING" : type);

    if (values) {
        nullable |= put_enum(s, to, values);
        json_object_put(values);
    }
    else {
        put_format(to, node, type);
    }
    copy(s, to, node, "title", json_type_string);
    copy(s, to, node, "description", json_type_string);
    if (nullable || json_object_get_boolean(get(node, "nullable"))) {
        json_object_object_add(to, "nullable", json_object_new_boolean(1));
    }
    if (!strcmp(type, "OBJECT") && !values) {
        put_properties(s, to, node, depth);
    }
    else if (!strcmp(type, "ARRAY") && !values) {
        put_items(s, to, node, depth);
    }
    else if (!values && strcmp(type, "STRING")) {
        put_limit(s, to, node, type, "exclusiveMinimum", "minimum", 1);
        put_limit(s, to, node, type, "exclusiveMaximum", "maximum", -1);
    }
    else if (!values) {
        put_string(s, to, node);
    }
    return to;
}

/* { "anyOf": [...] } must stand alone, so null goes into each variant. */
static json_object *any_of(json_object *list, int nullable)
{
    json_object *to, *one;
    size_t i, n = json_object_array_length(list);

    for (i = 0; nullable && i < n; i++) {
        one = json_object_array_get_idx(list, i);
        json_object_object_add(one, "nullable", json_object_new_boolean(1));
    }
    if (n == 1) {
        to = json_object_get(json_object_array_get_idx(list, 0));
        json_object_put(list);
        return to;
    }
    to = json_object_new_object();
    json_object_object_add(to, "anyOf", list);
    return to;
}

static json_object *variants(schema_t *s, json_object *node,
                             json_object *from, int depth)
{
    json_object *list = json_object_new_array(), *v, *to;
    size_t i, n = json_object_array_length(from);
    int nullable = 0;

    for (i = 0; i < n; i++) {
        v = json_object_array_get_idx(from, i);
        if (is(v, json_type_object) && is_null_type(get(v, "type"))) {
            nullable = 1;
        }
        else {
            json_object_array_add(list, convert(s, v, depth + 1));
        }
    }
    if (!json_object_array_length(list)) {
        json_object_array_add(list, typed("STRING"));
    }
    to = any_of(list, nullable);
    if (!get(to, "anyOf") && !get(to, "description")) {
        copy(s, to, node, "description", json_type_string);
    }
    return to;
}

static json_object *several_types(schema_t *s, json_object *node,
                                  int nullable, int depth)
{
    json_object *list = json_object_new_array(), *name = get(node, "type");
    const char *type;
    size_t i, n = json_object_array_length(name);

    for (i = 0; i < n; i++) {
        type = type_named(json_object_array_get_idx(name, i));
        if (type && charge(s, 0)) {
            json_object_array_add(list, as_type(s, node, type, 0, depth));
        }
    }
    return any_of(list, nullable);
}

/* Joins what one schema of an allOf says into the whole. */
static void merge(json_object *to, json_object *part)
{
    json_object *mine, *v;
    size_t i;

    json_object_object_foreach(part, name, theirs) {
        mine = get(to, name);
        if (!mine) {
            json_object_object_add(to, name, json_object_get(theirs));
        }
        else if (!strcmp(name, "properties")) {
            json_object_object_foreach(theirs, key, property) {
                json_object_object_add(mine, key, json_object_get(property));
            }
        }
        else if (!strcmp(name, "required")) {
            for (i = 0; i < json_object_array_length(theirs); i++) {
                v = json_object_array_get_idx(theirs, i);
                json_object_array_add(mine, json_object_get(v));
            }
        }
    }
}

static json_object *all_of(schema_t *s, json_object *node, json_object *from,
                           int depth)
{
    json_object *to, *part, *v;
    const char *type = NULL;
    size_t i, n = json_object_array_length(from);
    int nullable = 0;

    to = types_of(node, &type, &nullable) || get(node, "properties")
             ? as_type(s, node, type ? type : "OBJECT", nullable, depth)
             : json_object_new_object();
    for (i = 0; i < n; i++) {
        v = json_object_array_get_idx(from, i);
        part = convert(s, v, depth + 1);
        merge(to, part);
        json_object_put(part);
    }
    /* Variants stand alone or not at all; the rest says more. */
    if (get(to, "anyOf") && json_object_object_length(to) > 1) {
        json_object_object_del(to, "anyOf");
    }
    if (!get(to, "anyOf")) {
        copy(s, to, node, "description", json_type_string);
    }
    return to;
}

/* A list of schemas under this name, NULL unless there is one. */
static json_object *list_of(json_object *node, const char *name)
{
    json_object *v = get(node, name);

    return is(v, json_type_array) && json_object_array_length(v) ? v : NULL;
}

static json_object *plain(schema_t *s, json_object *node, int depth)
{
    const char *type = NULL;
    int nullable = 0, n = types_of(node, &type, &nullable);

    if (n > 1 && !get(node, "enum")) {
        return several_types(s, node, nullable, depth);
    }
    return as_type(s, node, n ? type : type_guess(node), nullable, depth);
}

static json_object *convert(schema_t *s, json_object *node, int depth)
{
    json_object *list;

    if (!charge(s, 0) || depth > LLMUX_JSON_DEPTH_MAX) {
        return typed("OBJECT");
    }
    if (!is(node, json_type_object)) {
        return typed("STRING");     /* true, false: anything */
    }
    if (is(get(node, "$ref"), json_type_string)) {
        return inlined(s, node, get(node, "$ref"), depth);
    }
    list = list_of(node, "allOf");
    if (list) {
        return all_of(s, node, list, depth);
    }
    list = list_of(node, "anyOf") ? list_of(node, "anyOf")
                                  : list_of(node, "oneOf");
    /* Beside properties, variants only refine what the properties say. */
    if (list && !is(get(node, "properties"), json_type_object)) {
        return variants(s, node, list, depth);
    }
    return plain(s, node, depth);
}

/* ---- the whole ------------------------------------------------------- */

/* How many values a text has, or a few more. A tree of them takes up to some
 * hundred times the room of the text, so this is asked before it is made. */
static apr_size_t count_values(llmux_slice_t text)
{
    apr_size_t i, n = 0;
    int quoted = 0;

    for (i = 0; i < text.len; i++) {
        switch (text.data[i]) {
        case '\\':
            i++;
            break;
        case '"':
            quoted = !quoted;
            break;
        case '{':
        case '[':
        case ',':
            n += !quoted;
            break;
        default:
            break;
        }
    }
    return n;
}

static apr_status_t put(void *object)
{
    json_object_put(object);
    return APR_SUCCESS;
}

static json_object *parse(apr_pool_t *p, llmux_slice_t text)
{
    json_tokener *tok;
    json_object *root;

    if (!text.data || text.len > LLMUX_JSON_TEXT_MAX) {
        return NULL;
    }
    tok = json_tokener_new_ex(LLMUX_JSON_DEPTH_MAX);
    if (!tok) {
        return NULL;
    }
    root = json_tokener_parse_ex(tok, text.data, (int)text.len);
    json_tokener_free(tok);
    if (root) {
        apr_pool_cleanup_register(p, root, put, apr_pool_cleanup_null);
    }
    return root;
}

/* The trees are in `ptemp`, the text of the result in `p`. */
static const char *translate(apr_pool_t *p, apr_pool_t *ptemp,
                             llmux_slice_t schema, int *nodes,
                             llmux_slice_t *out)
{
    schema_t s;
    json_object *to;
    llmux_slice_t text;
    size_t len;

    memset(&s, 0, sizeof(s));
    s.nodes = nodes;
    s.root = parse(ptemp, schema);
    if (!is(s.root, json_type_object)) {
        return "is not a JSON object";
    }
    to = convert(&s, s.root, 1);
    apr_pool_cleanup_register(ptemp, to, put, apr_pool_cleanup_null);
    if (!s.why) {
        text.data = json_object_to_json_string_length(
            to, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
            &len);
        text.len = len;
        *out = llmux_slice_dup(p, text);
    }
    return s.why;
}

const char *llmux_gemini_schema(apr_pool_t *p, llmux_slice_t schema,
                                int *nodes, llmux_slice_t *out)
{
    apr_pool_t *ptemp;
    const char *why;

    if (count_values(schema) > LLMUX_SCHEMA_NODES_MAX) {
        return "is too large";
    }
    apr_pool_create(&ptemp, p);
    why = translate(p, ptemp, schema, nodes, out);
    apr_pool_destroy(ptemp);
    return why;
}
