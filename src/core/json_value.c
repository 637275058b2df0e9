/* json_value.c - finds values in a parsed text and compares strings. */

#include <stdlib.h>
#include <string.h>
#include <apr_strings.h>

#include "llmux/core.h"

enum {
    FEW = 16    /* so few names are faster compared than sorted */
};

llmux_json_e llmux_json_kind(const llmux_json_t *v)
{
    return v ? (llmux_json_e)v->kind : LLMUX_JSON_NONE;
}

const char *llmux_json_kind_name(const llmux_json_t *v)
{
    static const char *const names[] = {
        [LLMUX_JSON_NONE] = "nothing",
        [LLMUX_JSON_NULL] = "null",
        [LLMUX_JSON_BOOL] = "a boolean",
        [LLMUX_JSON_NUMBER] = "a number",
        [LLMUX_JSON_STRING] = "a string",
        [LLMUX_JSON_ARRAY] = "an array",
        [LLMUX_JSON_OBJECT] = "an object"
    };

    return names[llmux_json_kind(v)];
}

llmux_slice_t llmux_json_raw(const llmux_json_t *v)
{
    llmux_slice_t raw = { NULL, 0 };

    if (v) {
        raw.data = v->at;
        raw.len = v->len;
    }
    return raw;
}

/* ---- strings --------------------------------------------------------- */

/* What stands between the quotes of a string. */
static llmux_slice_t inside(const llmux_json_t *v)
{
    llmux_slice_t s = { v->at + 1, v->len - 2 };

    return s;
}

static unsigned hex_digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* The four digits of a \u escape, already validated. */
static unsigned hex_unit(const char *s)
{
    return hex_digit(s[0]) << 12 | hex_digit(s[1]) << 8
           | hex_digit(s[2]) << 4 | hex_digit(s[3]);
}

/* @return the bytes written */
static int put_utf8(unsigned c, char out[4])
{
    static const unsigned char lead[] = { 0, 0xc0, 0xe0, 0xf0 };
    int more = (c >= 0x80) + (c >= 0x800) + (c >= 0x10000);
    int i;

    out[0] = (char)(lead[more] | c >> 6 * more);
    for (i = 1; i <= more; i++) {
        out[i] = (char)(0x80 | (c >> 6 * (more - i) & 0x3f));
    }
    return more + 1;
}

/* Decodes the escape at `*s` (the backslash) and goes behind it. */
static int decode(const char **s, const char *end, char out[4])
{
    static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    unsigned c, low;

    if ((*s)[1] != 'u') {
        out[0] = meant[strchr(plain, (*s)[1]) - plain];
        *s += 2;
        return 1;
    }
    c = hex_unit(*s + 2);
    *s += 6;
    if (c >= 0xd800 && c < 0xdc00 && end - *s >= 6 && (*s)[0] == '\\'
        && (*s)[1] == 'u') {
        low = hex_unit(*s + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            *s += 6;
            return put_utf8(0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00),
                            out);
        }
    }
    return put_utf8(c >= 0xd800 && c < 0xe000 ? 0xfffd : c, out);
}

/* Decoding never makes a string longer: \uXXXX is at most 3 bytes. */
static llmux_slice_t decode_all(apr_pool_t *p, llmux_slice_t from)
{
    const char *s = from.data, *end = s + from.len, *stop;
    char *text = apr_palloc(p, from.len + 1), *out = text, utf8[4];
    llmux_slice_t decoded;
    int n;

    while (s < end) {
        stop = memchr(s, '\\', (apr_size_t)(end - s));
        stop = stop ? stop : end;
        memcpy(out, s, (apr_size_t)(stop - s));
        out += stop - s;
        s = stop;
        if (s < end) {
            n = decode(&s, end, utf8);
            memcpy(out, utf8, (apr_size_t)n);
            out += n;
        }
    }
    *out = '\0';
    decoded.data = text;
    decoded.len = (apr_size_t)(out - text);
    return decoded;
}

/* Compares while decoding, so that a look-up needs no memory. */
static int decodes_to(llmux_slice_t from, const char *text, apr_size_t len)
{
    const char *s = from.data, *end = s + from.len, *stop = text + len;
    char utf8[4];
    int n;

    while (s < end) {
        if (*s == '\\') {
            n = decode(&s, end, utf8);
        }
        else {
            utf8[0] = *s++;
            n = 1;
        }
        if (stop - text < n || memcmp(text, utf8, (apr_size_t)n)) {
            return 0;
        }
        text += n;
    }
    return text == stop;
}

static inline int is_text(const llmux_json_t *v, const char *text,
                          apr_size_t len)
{
    if (v->escaped) {
        return decodes_to(inside(v), text, len);
    }
    return v->len == len + 2 && !memcmp(v->at + 1, text, len);
}

llmux_slice_t llmux_json_str(apr_pool_t *p, const llmux_json_t *v)
{
    llmux_slice_t none = { NULL, 0 };

    if (llmux_json_kind(v) != LLMUX_JSON_STRING) {
        return none;
    }
    return v->escaped ? decode_all(p, inside(v)) : inside(v);
}

const char *llmux_json_cstr(apr_pool_t *p, const llmux_json_t *v)
{
    if (llmux_json_kind(v) != LLMUX_JSON_STRING) {
        return "";
    }
    /* Decoded text has its NUL already. */
    return v->escaped ? decode_all(p, inside(v)).data
                      : apr_pstrmemdup(p, v->at + 1, v->len - 2);
}

int llmux_json_is(const llmux_json_t *v, const char *text)
{
    return llmux_json_kind(v) == LLMUX_JSON_STRING
           && is_text(v, text, strlen(text));
}

/* ---- containers ------------------------------------------------------ */

static int is_object(const llmux_json_t *v)
{
    return llmux_json_kind(v) == LLMUX_JSON_OBJECT;
}

const llmux_json_t *llmux_json_first(const llmux_json_t *v)
{
    return v && v->skip > 1 ? v + 1 : NULL;
}

const llmux_json_t *llmux_json_element(const llmux_json_t *v)
{
    return llmux_json_kind(v) == LLMUX_JSON_ARRAY ? llmux_json_first(v)
                                                  : NULL;
}

const llmux_json_t *llmux_json_next(const llmux_json_t *v,
                                    const llmux_json_t *child)
{
    if (!v || !child) {
        return NULL;
    }
    child += child->skip;
    return child < v + v->skip ? child : NULL;
}

const llmux_json_t *llmux_json_value(const llmux_json_t *name)
{
    return name ? name + 1 : NULL;
}

const llmux_json_t *llmux_json_next_member(const llmux_json_t *v,
                                           const llmux_json_t *name)
{
    return llmux_json_next(v, llmux_json_value(name));
}

/* Is this member's name these characters? Escapes are rare, so that most are
 * told apart by their length. */
static inline int is_named(const llmux_json_t *m, const char *name,
                           apr_size_t len)
{
    if (m->escaped) {
        return is_text(m, name, len);
    }
    return m->len == len + 2 && !memcmp(m->at + 1, name, len);
}

int llmux_json_named(const llmux_json_t *m, const char *name, apr_size_t len)
{
    return is_named(m, name, len);
}

const llmux_json_t *llmux_json_member(const llmux_json_t *v, const char *name,
                                      apr_size_t len)
{
    const llmux_json_t *m, *end, *found = NULL;

    if (!is_object(v)) {
        return NULL;
    }
    end = v + v->skip;
    for (m = v + 1; m < end; m += 1 + m[1].skip) {
        if (is_named(m, name, len)) {
            found = m + 1;
        }
    }
    return found;
}

const llmux_json_t *llmux_json_at(const llmux_json_t *v, int index)
{
    const llmux_json_t *e = NULL;

    if (index >= 0 && llmux_json_kind(v) == LLMUX_JSON_ARRAY) {
        e = llmux_json_first(v);
        while (e && index--) {
            e = llmux_json_next(v, e);
        }
    }
    return e;
}

int llmux_json_count(const llmux_json_t *v)
{
    const llmux_json_t *e;
    int n = 0;

    for (e = llmux_json_first(v); e; e = llmux_json_next(v, e)) {
        n++;
    }
    return is_object(v) ? n / 2 : n;
}

/* ---- names that come twice ------------------------------------------- */

static int by_text(const void *one, const void *other)
{
    const llmux_slice_t *a = one, *b = other;

    if (a->len != b->len) {
        return a->len < b->len ? -1 : 1;
    }
    return memcmp(a->data, b->data, a->len);
}

static const llmux_slice_t *twice_among_few(const llmux_slice_t *names, int n)
{
    int i, j;

    for (i = 1; i < n; i++) {
        for (j = 0; j < i; j++) {
            if (!by_text(&names[i], &names[j])) {
                return &names[i];
            }
        }
    }
    return NULL;
}

/* Sorted rather than hashed: nobody can choose names that make it slow. */
static const llmux_slice_t *twice_among_many(llmux_slice_t *names, int n)
{
    int i;

    qsort(names, (apr_size_t)n, sizeof(*names), by_text);
    for (i = 1; i < n; i++) {
        if (!by_text(&names[i - 1], &names[i])) {
            return &names[i];
        }
    }
    return NULL;
}

const char *llmux_json_duplicate(apr_pool_t *p, const llmux_json_t *object)
{
    const llmux_json_t *m = is_object(object) ? llmux_json_first(object) : NULL;
    llmux_slice_t few[FEW], *names = few;
    const llmux_slice_t *twice;
    const char *name = NULL;
    apr_pool_t *scratch;
    int count = llmux_json_count(object), n = 0;

    if (!m || count < 2) {
        return NULL;
    }
    apr_pool_create(&scratch, p);
    if (count > FEW) {
        names = apr_palloc(scratch, (apr_size_t)count * sizeof(*names));
    }
    for (; m; m = llmux_json_next_member(object, m)) {
        names[n++] = llmux_json_str(scratch, m);
    }
    twice = n > FEW ? twice_among_many(names, n) : twice_among_few(names, n);
    if (twice) {
        name = apr_pstrmemdup(p, twice->data, twice->len);
    }
    apr_pool_destroy(scratch);
    return name;
}
