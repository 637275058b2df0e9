/* json.c - fuzzes the JSON reader and writer, with json-c as the second
 * opinion. What we take, it must take and read alike. Where the two may
 * differ (json-c 0.16, strict, with validated UTF-8):
 *
 * - it takes NaN, Infinity and -Infinity, control characters in strings and
 *   anything behind a NUL behind the value;
 * - its numbers may begin with needless zeros ("-01") or the point ("-.5")
 *   and lack digits behind it ("1.");
 * - its UTF-8 may be overlong, a surrogate or beyond U+10FFFF;
 * - it may nest deeper, since it is allowed to here;
 * - a NUL ends its names, so such objects are not compared;
 * - its integers are clamped to 64 bits, so larger ones are not compared.
 *
 * covers: src/core/json.c src/core/json_value.c src/core/json_write.c
 *         src/core/json_number.c
 */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>
#include <apr_strings.h>
#include <json.h>

#include "llmux/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

enum { WRITTEN_MAX = 64 << 20, FEW = 64 };

/* ---- the readers ----------------------------------------------------- */

static void read_scalars(apr_pool_t *p, const llmux_json_t *v)
{
    llmux_slice_t s = llmux_json_str(p, v), raw = llmux_json_raw(v);
    llmux_json_e kind = llmux_json_kind(v);
    apr_int64_t n = llmux_json_int(v, 7);
    double x = llmux_json_double(v, 7);
    char *text;

    MUST(raw.len >= 1 && raw.len == v->len);
    MUST((s.data != NULL) == (kind == LLMUX_JSON_STRING));
    MUST((llmux_json_bool(v) != LLMUX_UNSET) == (kind == LLMUX_JSON_BOOL));
    MUST(isfinite(x));
    if (s.data && !memchr(s.data, 0, s.len)) {
        MUST(llmux_json_is(v, llmux_json_cstr(p, v)));
        MUST(strlen(llmux_json_cstr(p, v)) == s.len);
    }
    if (kind == LLMUX_JSON_NUMBER) {
        text = apr_pstrmemdup(p, raw.data, raw.len);
        MUST(x == strtod(text, NULL) || !isfinite(strtod(text, NULL)));
        MUST(n == llmux_json_int(v, 8) || llmux_json_int(v, 8) == 8);
        MUST(n != llmux_json_int(v, 8) || (double)n == x);
    }
    else {
        MUST(n == 7 && x == 7);
    }
}

static void check_duplicate(apr_pool_t *p, const llmux_json_t *v)
{
    const char *twice = llmux_json_duplicate(p, v);
    const llmux_json_t *a, *b;
    int found = 0;

    if (llmux_json_count(v) > FEW) {
        return;
    }
    for (a = llmux_json_first(v); a; a = llmux_json_next_member(v, a)) {
        for (b = llmux_json_next_member(v, a); b;
             b = llmux_json_next_member(v, b)) {
            found |= llmux_slice_equal(llmux_json_str(p, a),
                                       llmux_json_str(p, b));
        }
    }
    MUST(found == (twice != NULL));
}

static void read_all(apr_pool_t *p, const llmux_json_t *v)
{
    const llmux_json_t *e;
    int n = 0;

    read_scalars(p, v);
    for (e = llmux_json_first(v); e; e = llmux_json_next(v, e)) {
        MUST(e->at > v->at && e->at + e->len < v->at + v->len);
        if (llmux_json_kind(v) == LLMUX_JSON_ARRAY && n < FEW) {
            MUST(llmux_json_at(v, n) == e);
        }
        read_all(p, e);
        n++;
    }
    if (llmux_json_kind(v) == LLMUX_JSON_OBJECT) {
        MUST(llmux_json_count(v) * 2 == n);
        check_duplicate(p, v);
    }
    else {
        MUST(llmux_json_count(v) == n && !llmux_json_duplicate(p, v));
    }
}

/* ---- the writer ------------------------------------------------------ */

/* As an integer if it is one, else as it stands. */
static void write_number(llmux_jw_t *w, const llmux_json_t *v)
{
    apr_int64_t n = llmux_json_int(v, 7);

    if (n == llmux_json_int(v, 8)) {
        llmux_jw_int(w, n);
    }
    else {
        llmux_jw_raw(w, llmux_json_raw(v));
    }
}

static void write_value(apr_pool_t *p, llmux_jw_t *w, const llmux_json_t *v)
{
    const llmux_json_t *e;

    switch (llmux_json_kind(v)) {
    case LLMUX_JSON_OBJECT:
        llmux_jw_open(w, '{');
        for (e = llmux_json_first(v); e; e = llmux_json_next_member(v, e)) {
            llmux_jw_key_slice(w, llmux_json_str(p, e));
            write_value(p, w, llmux_json_value(e));
        }
        llmux_jw_close(w, '}');
        break;
    case LLMUX_JSON_ARRAY:
        llmux_jw_open(w, '[');
        for (e = llmux_json_first(v); e; e = llmux_json_next(v, e)) {
            write_value(p, w, e);
        }
        llmux_jw_close(w, ']');
        break;
    case LLMUX_JSON_STRING:
        llmux_jw_str(w, llmux_json_str(p, v));
        break;
    case LLMUX_JSON_BOOL:
        llmux_jw_bool(w, llmux_json_bool(v) == LLMUX_YES);
        break;
    case LLMUX_JSON_NUMBER:
        write_number(w, v);
        break;
    default:
        llmux_jw_null(w);
        break;
    }
}

static llmux_slice_t written(apr_pool_t *p, const llmux_json_t *v)
{
    llmux_buf_t *out = llmux_buf_create(p, WRITTEN_MAX);
    llmux_jw_t w = llmux_jw(out);

    write_value(p, &w, v);
    MUST(!out->failed);
    return llmux_buf_slice(out);
}

static void same_value(apr_pool_t *p, const llmux_json_t *a,
                       const llmux_json_t *b)
{
    const llmux_json_t *x = llmux_json_first(a), *y = llmux_json_first(b);

    MUST(llmux_json_kind(a) == llmux_json_kind(b));
    MUST(a->skip == b->skip);
    if (llmux_json_kind(a) == LLMUX_JSON_STRING) {
        MUST(llmux_slice_equal(llmux_json_str(p, a), llmux_json_str(p, b)));
    }
    else if (a->skip == 1) {
        MUST(llmux_json_count(a) == 0 && llmux_json_count(b) == 0);
        MUST(llmux_json_double(a, 0) == llmux_json_double(b, 0));
    }
    for (; x && y; x = llmux_json_next(a, x), y = llmux_json_next(b, y)) {
        same_value(p, x, y);
    }
    MUST(!x && !y);
}

static void write_and_read(apr_pool_t *p, const llmux_json_t *v)
{
    llmux_slice_t text = written(p, v);
    const llmux_json_t *again = llmux_json_parse(p, text, 0, NULL);

    MUST(again != NULL);
    same_value(p, v, again);
    MUST(llmux_slice_equal(text, written(p, again)));
}

/* Any bytes at all can be written as a string. */
static void write_bytes(apr_pool_t *p, llmux_slice_t bytes)
{
    llmux_buf_t *out = llmux_buf_create(p, WRITTEN_MAX);
    llmux_jw_t w = llmux_jw(out);
    const llmux_json_t *v;
    llmux_slice_t s;

    llmux_jw_str(&w, bytes);
    v = llmux_json_parse(p, llmux_buf_slice(out), 0, NULL);
    MUST(llmux_json_kind(v) == LLMUX_JSON_STRING);
    s = llmux_json_str(p, v);
    /* Nothing changes but what became U+FFFD. */
    MUST(llmux_slice_equal(s, bytes)
         || memmem(s.data, s.len, "\xef\xbf\xbd", 3));
}

/* A member is there when it was given, under its name. */
static void write_members(apr_pool_t *p, llmux_slice_t bytes,
                          llmux_slice_t json)
{
    const char *text = llmux_slice_str(p, bytes);
    llmux_buf_t *out = llmux_buf_create(p, WRITTEN_MAX);
    llmux_jw_t w = llmux_jw(out);
    const llmux_json_t *v;

    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "key");
    llmux_jw_cstr(&w, text);
    llmux_jw_opt_str(&w, "str", bytes);
    llmux_jw_opt_str(&w, "none", llmux_slice(NULL));
    llmux_jw_opt_raw(&w, "raw", json);
    llmux_jw_opt_bool(&w, "yes", LLMUX_YES);
    llmux_jw_opt_bool(&w, "unset", LLMUX_UNSET);
    llmux_jw_close(&w, '}');
    v = llmux_json_parse(p, llmux_buf_slice(out), 0, NULL);
    MUST(llmux_json_count(v) == (json.data ? 4 : 3));
    MUST(llmux_json_kind(llmux_json_get(v, "key")) == LLMUX_JSON_STRING);
    MUST(llmux_json_kind(llmux_json_get(v, "str")) == LLMUX_JSON_STRING);
    MUST(llmux_json_bool(llmux_json_get(v, "yes")) == LLMUX_YES);
    MUST(!json.data || llmux_json_get_any(v, "raw"));
}

/* ---- the second opinion ---------------------------------------------- */

static int has_nul_name(apr_pool_t *p, const llmux_json_t *v)
{
    const llmux_json_t *m;
    llmux_slice_t s;

    for (m = llmux_json_first(v); m; m = llmux_json_next_member(v, m)) {
        s = llmux_json_str(p, m);
        if (memchr(s.data, 0, s.len)) {
            return 1;
        }
    }
    return 0;
}

static void compare(apr_pool_t *p, const llmux_json_t *v, json_object *o);

static void compare_object(apr_pool_t *p, const llmux_json_t *v,
                           json_object *o)
{
    const llmux_json_t *m;
    const char *name;
    json_object *member;
    int n = 0;

    MUST(json_object_is_type(o, json_type_object));
    if (has_nul_name(p, v)) {
        return;
    }
    for (m = llmux_json_first(v); m; m = llmux_json_next_member(v, m)) {
        name = llmux_json_cstr(p, m);
        MUST(json_object_object_get_ex(o, name, &member));
        if (llmux_json_get_any(v, name) == llmux_json_value(m)) {
            compare(p, llmux_json_value(m), member);
            n++;
        }
    }
    MUST(n == json_object_object_length(o));
}

static void compare_array(apr_pool_t *p, const llmux_json_t *v,
                          json_object *o)
{
    const llmux_json_t *e;
    size_t i = 0;

    MUST(json_object_is_type(o, json_type_array));
    for (e = llmux_json_first(v); e; e = llmux_json_next(v, e)) {
        MUST(i < json_object_array_length(o));
        compare(p, e, json_object_array_get_idx(o, i++));
    }
    MUST(i == json_object_array_length(o));
}

static void compare_string(apr_pool_t *p, const llmux_json_t *v,
                           json_object *o)
{
    llmux_slice_t s = llmux_json_str(p, v);

    MUST(json_object_is_type(o, json_type_string));
    MUST(s.len == (apr_size_t)json_object_get_string_len(o));
    MUST(!memcmp(s.data, json_object_get_string(o), s.len));
}

static void compare_number(const llmux_json_t *v, json_object *o)
{
    apr_int64_t n = llmux_json_int(v, 7);

    MUST(json_object_is_type(o, json_type_int)
         || json_object_is_type(o, json_type_double));
    if (n != llmux_json_int(v, 8)) {
        n = json_object_get_int64(o);   /* none, or it does not fit */
    }
    MUST(!json_object_is_type(o, json_type_int)
         || n == json_object_get_int64(o));
    if (json_object_is_type(o, json_type_double)) {
        MUST(!isfinite(json_object_get_double(o))
             || llmux_json_double(v, 0) == json_object_get_double(o));
    }
}

static void compare(apr_pool_t *p, const llmux_json_t *v, json_object *o)
{
    switch (llmux_json_kind(v)) {
    case LLMUX_JSON_OBJECT:
        compare_object(p, v, o);
        break;
    case LLMUX_JSON_ARRAY:
        compare_array(p, v, o);
        break;
    case LLMUX_JSON_STRING:
        compare_string(p, v, o);
        break;
    case LLMUX_JSON_NUMBER:
        compare_number(v, o);
        break;
    case LLMUX_JSON_BOOL:
        MUST(json_object_is_type(o, json_type_boolean));
        MUST(json_object_get_boolean(o) == (llmux_json_bool(v) == LLMUX_YES));
        break;
    default:
        MUST(llmux_json_kind(v) == LLMUX_JSON_NULL && !o);
        break;
    }
}

/* Is it one of the differences above? */
static int is_known(const char *text, const llmux_json_error_t *err)
{
    static const struct {
        const char *reason;
        const char *before, *at;    /* one of these there; NULL = anything */
    } known[] = {
        { "control character in a string", NULL, NULL },
        { "invalid UTF-8", NULL, NULL },
        { "nested deeper than 100 levels", NULL, NULL },
        { "invalid number", "0", "0123456789" },
        { "invalid number", ".", NULL },
        { "invalid number", "-", "I." },
        { "unexpected character", NULL, "NI" },
        { "text after the value", NULL, "" },
        { "unexpected end of text", ".", "" }
    };
    const char *at = text + err->offset;
    size_t i;

    for (i = 0; i < sizeof(known) / sizeof(*known); i++) {
        /* strchr() finds the NUL too. */
        if (!strcmp(err->reason, known[i].reason)
            && (!known[i].at || (!*at == !*known[i].at
                                 && strchr(known[i].at, *at)))
            && (!known[i].before || (err->offset
                                     && strchr(known[i].before, at[-1])))) {
            return 1;
        }
    }
    return 0;
}

static void second_opinion(apr_pool_t *p, const char *text, size_t size,
                           const llmux_json_t *v,
                           const llmux_json_error_t *err)
{
    json_tokener *tok = json_tokener_new_ex(4 * LLMUX_JSON_DEPTH_MAX);
    json_object *o;
    int taken;

    json_tokener_set_flags(tok, JSON_TOKENER_STRICT
                                | JSON_TOKENER_VALIDATE_UTF8);
    /* The NUL tells it that a number is over. */
    o = json_tokener_parse_ex(tok, text, (int)size + 1);
    taken = json_tokener_get_error(tok) == json_tokener_success;
    if (v) {
        MUST(taken);
        compare(p, v, o);
    }
    else {
        MUST(!taken || is_known(text, err));
    }
    json_object_put(o);
    json_tokener_free(tok);
}

static void fuzz(apr_pool_t *p, llmux_slice_t text)
{
    llmux_json_error_t err = { 0 };
    const llmux_json_t *v = llmux_json_parse(p, text, 0, &err);
    int depth;

    MUST(v || (err.reason && err.offset <= text.len && err.line >= 1
               && err.column >= 1));
    for (depth = 1; depth < 4; depth++) {
        MUST(!v == !llmux_json_parse(p, text, depth, NULL));
    }
    MUST(llmux_json_is_object(p, text)
         == (llmux_json_kind(v) == LLMUX_JSON_OBJECT));
    write_bytes(p, text);
    write_members(p, text, llmux_json_raw(v));
    MUST(*llmux_json_kind_name(v));
    if (v) {
        read_all(p, v);
        write_and_read(p, v);
    }
    second_opinion(p, llmux_slice_str(p, text), text.len, v, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;
    llmux_slice_t text = { (const char *)data, size };
    apr_pool_t *p;

    if (!pool) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    if (!size) {
        text.data = "";
    }
    apr_pool_create(&p, pool);
    fuzz(p, text);
    apr_pool_destroy(p);
    return 0;
}
