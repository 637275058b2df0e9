/* gemini_partial.c - arguments that arrive as values at JSON paths are put
 * together. Vertex streams calls this way:
 *
 *     {"jsonPath":"$.steps[1].name","stringValue":"Boi","willContinue":true}
 *     {"jsonPath":"$.steps[1].name","stringValue":"l"}
 *
 * A string goes on at the same path until a fragment says no more. */

#include <apr_strings.h>
#include <json-c/json.h>
#include <string.h>

#include "gemini.h"

#define TOO_LARGE "The arguments of a tool call are too large."

/* What a value costs in memory beside its text, and what an object or array
 * does with the room that it begins with. */
#define NODE_BYTES      64
#define CONTAINER_BYTES 1024

struct llmux_gemini_partial_t {
    json_object *root;
    llmux_buf_t *text;      /* the string that still grows ... */
    llmux_buf_t *path;      /* ... and where it stands; empty: none does */
    apr_size_t *used;       /* of LLMUX_ARGS_MAX */
};

/* One step of a path: a member's name or an element's number. */
typedef struct step_t {
    const char *name;       /* NULL: an element */
    int index;
} step_t;

typedef struct path_t {
    step_t steps[LLMUX_JSON_DEPTH_MAX];
    int count;
} path_t;

/* ---- paths (RFC 9535, normalised and shorthand) ---------------------- */

/* "[17]"; a number that is too large is none. */
static const char *read_index(const char *at, step_t *step)
{
    int n = 0, digits = 0;

    for (; *at >= '0' && *at <= '9'; at++, digits++) {
        n = n * 10 + (*at - '0');
        if (n > LLMUX_ARGS_INDEX_MAX) {
            return NULL;
        }
    }
    step->name = NULL;
    step->index = n;
    return digits && *at == ']' ? at + 1 : NULL;
}

static const char *read_escape(const char *at, char **to)
{
    static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
    const char *found = *at ? strchr(letters, *at) : NULL;

    if (found) {
        *(*to)++ = meant[found - letters];
    }
    else if (*at == '\'' || *at == '"' || *at == '\\' || *at == '/') {
        *(*to)++ = *at;
    }
    else {
        return NULL;        /* \u is needed for control characters only */
    }
    return at + 1;
}

/* "['name']" or "[\"name\"]" from the quote on. */
static const char *read_quoted(apr_pool_t *p, const char *at, step_t *step)
{
    char quote = *at++, *name = apr_palloc(p, strlen(at) + 1), *to = name;

    while (at && *at && *at != quote) {
        if (*at == '\\') {
            at = read_escape(at + 1, &to);
        }
        else {
            *to++ = *at++;
        }
    }
    if (!at || !*at || at[1] != ']') {
        return NULL;
    }
    *to = '\0';
    step->name = name;
    return at + 2;
}

/* ".name" from behind the dot on. */
static const char *read_name(apr_pool_t *p, const char *at, step_t *step)
{
    apr_size_t n = strcspn(at, ".[");

    step->name = apr_pstrmemdup(p, at, n);
    return n ? at + n : NULL;
}

static const char *read_step(apr_pool_t *p, const char *at, step_t *step)
{
    if (*at == '.') {
        return read_name(p, at + 1, step);
    }
    if (*at != '[') {
        return NULL;
    }
    at++;
    return *at == '\'' || *at == '"' ? read_quoted(p, at, step)
                                     : read_index(at, step);
}

/* Names with which a careless reader in JavaScript changes all objects. */
static int is_trap(const step_t *step)
{
    return step->name && !strcmp(step->name, "__proto__");
}

static int read_path(apr_pool_t *p, const char *at, path_t *path)
{
    path->count = 0;
    if (*at++ != '$') {
        return 0;
    }
    while (at && *at) {
        step_t *step = &path->steps[path->count];

        if (path->count == LLMUX_JSON_DEPTH_MAX - 1) {
            return 0;
        }
        at = read_step(p, at, step);
        if (!at || is_trap(step)) {
            return 0;
        }
        path->count++;
    }
    return at && path->count > 0 && path->steps[0].name != NULL;
}

/* ---- the tree -------------------------------------------------------- */

static int spend(llmux_gemini_partial_t *a, apr_size_t bytes)
{
    if (bytes > LLMUX_ARGS_MAX - *a->used) {
        return 0;
    }
    *a->used += bytes;
    return 1;
}

static int is(json_object *v, json_type type)
{
    return v && json_object_is_type(v, type);
}

static json_object *child_of(json_object *node, const step_t *step)
{
    json_object *v = NULL;

    if (step->name) {
        json_object_object_get_ex(node, step->name, &v);
        return v;
    }
    return json_object_array_get_idx(node, (size_t)step->index);
}

static int fits(json_object *node, const step_t *step)
{
    return is(node, step->name ? json_type_object : json_type_array);
}

/* Puts `v`, whose reference it takes, under `node`. @return 0 if it is too
 * much */
static int put_child(llmux_gemini_partial_t *a, json_object *node,
                     const step_t *step, json_object *v)
{
    apr_size_t cost = NODE_BYTES, len;

    if (step->name) {
        cost += strlen(step->name);
    }
    else {
        /* elements that were skipped are null, and cost as well */
        len = json_object_array_length(node);
        cost += (apr_size_t)step->index > len
                    ? ((apr_size_t)step->index - len) * NODE_BYTES : 0;
    }
    if (!spend(a, cost)) {
        json_object_put(v);
        return 0;
    }
    if (step->name) {
        json_object_object_add(node, step->name, v);
    }
    else {
        json_object_array_put_idx(node, (size_t)step->index, v);
    }
    return 1;
}

/* Stores a value, whose reference it takes, at the path. */
static const char *store(llmux_gemini_partial_t *a, const path_t *path,
                         json_object *value)
{
    json_object *at = a->root, *next;
    int i;

    for (i = 0; i < path->count - 1; i++) {
        if (!fits(at, &path->steps[i])) {
            break;
        }
        next = child_of(at, &path->steps[i]);
        if (!next) {
            next = path->steps[i + 1].name ? json_object_new_object()
                                           : json_object_new_array();
            if (!put_child(a, at, &path->steps[i], next)
                || !spend(a, CONTAINER_BYTES)) {
                json_object_put(value);
                return TOO_LARGE;
            }
        }
        at = next;
    }
    if (!fits(at, &path->steps[i])) {
        json_object_put(value);
        return "The paths of a tool call's arguments contradict each other.";
    }
    return put_child(a, at, &path->steps[i], value)
               ? NULL : TOO_LARGE;
}

/* ---- strings that grow ----------------------------------------------- */

/* The string that grew is put into its place. */
static const char *settle(llmux_gemini_partial_t *a, apr_pool_t *scratch)
{
    path_t path;
    const char *why = NULL;

    if (!a->path->len) {
        return NULL;
    }
    if (read_path(scratch, a->path->data, &path)) {
        why = store(a, &path, json_object_new_string_len(
                                  a->text->len ? a->text->data : "",
                                  (int)a->text->len));
    }
    llmux_buf_reset(a->path);
    llmux_buf_reset(a->text);
    return why;
}

/* What stands there already, if it is a string, is gone on with. */
static void resume(llmux_gemini_partial_t *a, const path_t *path)
{
    json_object *at = a->root;
    int i;

    for (i = 0; i < path->count; i++) {
        at = fits(at, &path->steps[i]) ? child_of(at, &path->steps[i]) : NULL;
    }
    if (is(at, json_type_string)) {
        llmux_buf_add(a->text, json_object_get_string(at),
                      (apr_size_t)json_object_get_string_len(at));
    }
}

/* Going back and forth between two strings copies them each time, so what is
 * taken up again is paid for again. */
static const char *grow(llmux_gemini_partial_t *a, apr_pool_t *scratch,
                        const char *name, const path_t *path,
                        llmux_slice_t text)
{
    const char *why;

    if (!a->path->len || strcmp(a->path->data, name)) {
        why = settle(a, scratch);
        if (why) {
            return why;
        }
        llmux_buf_adds(a->path, name);
        resume(a, path);
        if (!spend(a, a->text->len)) {
            return TOO_LARGE;
        }
    }
    llmux_buf_add_slice(a->text, text);
    return spend(a, text.len) && !a->text->failed
               ? NULL : TOO_LARGE;
}

/* A path that comes again goes on with its string, also after others came
 * in between: nothing is ever sent twice. */
static const char *add_string(llmux_gemini_partial_t *a, apr_pool_t *scratch,
                              const char *name, const path_t *path,
                              const llmux_json_t *fragment)
{
    llmux_slice_t text = llmux_json_str(scratch, llmux_json_get(
                                                     fragment, "stringValue"));
    const char *why = grow(a, scratch, name, path, text);

    if (why || llmux_json_bool(llmux_json_get(fragment, "willContinue"))
               == LLMUX_YES) {
        return why;
    }
    return settle(a, scratch);
}

/* ---- other values ---------------------------------------------------- */

/* The number keeps its spelling: 1.0 stays 1.0, and long ones stay whole. */
static json_object *number(apr_pool_t *p, const llmux_json_t *v)
{
    return json_object_new_double_s(llmux_json_double(v, 0),
                                    llmux_slice_str(p, llmux_json_raw(v)));
}

static const char *add_other(llmux_gemini_partial_t *a, apr_pool_t *scratch,
                             const path_t *path, const llmux_json_t *fragment)
{
    const llmux_json_t *v = llmux_json_get(fragment, "numberValue");
    const char *why = settle(a, scratch);

    if (why) {
        return why;
    }
    if (llmux_json_kind(v) == LLMUX_JSON_NUMBER) {
        return spend(a, llmux_json_raw(v).len)
                   ? store(a, path, number(scratch, v))
                   : TOO_LARGE;
    }
    v = llmux_json_get(fragment, "boolValue");
    if (llmux_json_kind(v) == LLMUX_JSON_BOOL) {
        return store(a, path, json_object_new_boolean(
                                  llmux_json_bool(v) == LLMUX_YES));
    }
    if (llmux_json_get_any(fragment, "nullValue")) {
        return store(a, path, NULL);
    }
    return NULL;        /* says nothing that we know */
}

/* ---- the whole ------------------------------------------------------- */

static apr_status_t drop(void *partial)
{
    llmux_gemini_partial_t *a = partial;

    json_object_put(a->root);
    a->root = NULL;
    return APR_SUCCESS;
}

llmux_gemini_partial_t *llmux_gemini_partial_create(apr_pool_t *p,
                                                    apr_size_t *used)
{
    llmux_gemini_partial_t *a = apr_pcalloc(p, sizeof(*a));

    a->used = used;
    a->root = json_object_new_object();
    apr_pool_cleanup_register(p, a, drop, apr_pool_cleanup_null);
    a->text = llmux_buf_create(p, LLMUX_ARGS_MAX);
    a->path = llmux_buf_create(p, LLMUX_ARGS_PATH_MAX);
    return a;
}

void llmux_gemini_partial_reset(llmux_gemini_partial_t *a)
{
    json_object_put(a->root);
    a->root = json_object_new_object();
    llmux_buf_reset(a->text);
    llmux_buf_reset(a->path);
}

/* Objects and arrays begin with room for members that they may never have. */
static apr_size_t cost_of(llmux_slice_t json)
{
    apr_size_t i, n = json.len;

    for (i = 0; i < json.len; i++) {
        if (json.data[i] == '{' || json.data[i] == '[') {
            n += CONTAINER_BYTES;
        }
        else if (json.data[i] == ',') {
            n += NODE_BYTES;
        }
    }
    return n;
}

const char *llmux_gemini_partial_whole(llmux_gemini_partial_t *a,
                                       const llmux_json_t *args)
{
    llmux_slice_t raw = llmux_json_raw(args);
    json_tokener *tok;
    json_object *root;

    if (llmux_json_kind(args) != LLMUX_JSON_OBJECT) {
        return NULL;
    }
    if (!spend(a, cost_of(raw))) {
        return TOO_LARGE;
    }
    tok = json_tokener_new_ex(LLMUX_JSON_DEPTH_MAX);
    root = json_tokener_parse_ex(tok, raw.data, (int)raw.len);
    json_tokener_free(tok);
    if (is(root, json_type_object)) {
        json_object_put(a->root);
        a->root = root;
    }
    return NULL;
}

const char *llmux_gemini_partial_add(llmux_gemini_partial_t *a,
                                     apr_pool_t *scratch,
                                     const llmux_json_t *fragment)
{
    llmux_slice_t name = llmux_json_str(scratch,
                                        llmux_json_get(fragment, "jsonPath"));
    const char *text = llmux_slice_str(scratch, name);
    path_t path;

    if (name.len >= LLMUX_ARGS_PATH_MAX || strlen(text) != name.len
        || !read_path(scratch, text, &path)) {
        return "A path of a tool call's arguments is not understood.";
    }
    if (llmux_json_kind(llmux_json_get(fragment, "stringValue"))
        == LLMUX_JSON_STRING) {
        return add_string(a, scratch, text, &path, fragment);
    }
    return add_other(a, scratch, &path, fragment);
}

const char *llmux_gemini_partial_text(llmux_gemini_partial_t *a,
                                      apr_pool_t *scratch,
                                      llmux_slice_t *out)
{
    const char *why = settle(a, scratch);
    size_t len = 0;

    out->data = json_object_to_json_string_length(
        a->root, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
        &len);
    out->len = len;
    return why;
}
