/* reader.c - typed members of a client's request, errors with their place. */

#include <math.h>
#include <apr_strings.h>

#include "reader.h"

enum {
    FOUND_MAX = 64      /* bytes of a client's value or name in a message */
};

/* ---- places ---------------------------------------------------------- */

llmux_at_t llmux_at(const llmux_at_t *up, const char *name)
{
    llmux_at_t at = { up, name, -1 };

    return at;
}

llmux_at_t llmux_at_index(const llmux_at_t *up, int index)
{
    llmux_at_t at = { up, NULL, index };

    return at;
}

/* Where to cut, so that no code point is split. */
static apr_size_t cut_at(llmux_slice_t s)
{
    apr_size_t n = s.len;

    if (n > FOUND_MAX) {
        n = FOUND_MAX;
        while (n && ((unsigned char) s.data[n] & 0xc0) == 0x80) {
            n--;
        }
    }
    return n;
}

const char *llmux_at_text(apr_pool_t *p, const llmux_at_t *at)
{
    const char *up, *name;

    if (!at || !at->up) {
        return NULL;
    }
    up = llmux_at_text(p, at->up);
    if (!at->name) {
        return apr_psprintf(p, "%s[%d]", up ? up : "", at->index);
    }
    /* a name may be the client's own, of any length */
    name = apr_pstrmemdup(p, at->name, cut_at(llmux_slice(at->name)));
    return up ? apr_pstrcat(p, up, ".", name, NULL) : name;
}

/* ---- errors ---------------------------------------------------------- */

void llmux_reader_fail(llmux_reader_t *r, const llmux_at_t *at,
                       const char *fmt, ...)
{
    const char *param, *what;
    va_list ap;

    if (r->err) {
        return;
    }
    va_start(ap, fmt);
    what = apr_pvsprintf(r->pool, fmt, ap);
    va_end(ap);
    param = llmux_at_text(r->pool, at);
    r->err = llmux_error(r->pool, LLMUX_ERR_INVALID, param,
                         "Invalid '%s': %s.", param ? param : "request body",
                         what);
}

const char *llmux_reader_found(llmux_reader_t *r, const llmux_json_t *v)
{
    llmux_slice_t s;
    apr_size_t n;

    if (llmux_json_kind(v) == LLMUX_JSON_NUMBER && v->len <= FOUND_MAX) {
        return apr_pstrmemdup(r->pool, v->at, v->len);
    }
    if (llmux_json_kind(v) != LLMUX_JSON_STRING) {
        return llmux_json_kind_name(v);
    }
    s = llmux_json_str(r->pool, v);
    n = cut_at(s);
    return apr_pstrcat(r->pool, "'", apr_pstrmemdup(r->pool, s.data, n),
                       n < s.len ? "...'" : "'", NULL);
}

int llmux_reader_expect(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, llmux_json_e kind)
{
    static const char *const kinds[] = {
        [LLMUX_JSON_BOOL] = "a boolean",
        [LLMUX_JSON_NUMBER] = "a number",
        [LLMUX_JSON_STRING] = "a string",
        [LLMUX_JSON_ARRAY] = "an array",
        [LLMUX_JSON_OBJECT] = "an object"
    };

    if (llmux_json_kind(v) == kind) {
        return 1;
    }
    llmux_reader_fail(r, at, "expected %s, found %s", kinds[kind],
                      llmux_json_kind_name(v));
    return 0;
}

int llmux_reader_expect_list(llmux_reader_t *r, const llmux_at_t *at,
                             const llmux_json_t *v, int max,
                             const char *what)
{
    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_ARRAY)) {
        return 0;
    }
    if (llmux_json_count(v) > max) {
        llmux_reader_fail(r, at, "expected at most %d %s, found %d", max,
                          what, llmux_json_count(v));
        return 0;
    }
    return 1;
}

/* ---- members --------------------------------------------------------- */

const llmux_json_t *llmux_reader_member(llmux_reader_t *r,
                                        const llmux_at_t *at,
                                        const llmux_json_t *object,
                                        const char *name, llmux_json_e kind)
{
    const llmux_json_t *v = llmux_json_get(object, name);
    llmux_at_t here = llmux_at(at, name);

    return v && llmux_reader_expect(r, &here, v, kind) ? v : NULL;
}

const llmux_json_t *llmux_reader_need(llmux_reader_t *r, const llmux_at_t *at,
                                      const llmux_json_t *object,
                                      const char *name, llmux_json_e kind)
{
    const llmux_json_t *v = llmux_json_get_any(object, name);
    llmux_at_t here = llmux_at(at, name);

    return llmux_reader_expect(r, &here, v, kind) ? v : NULL;
}

llmux_slice_t llmux_reader_str(llmux_reader_t *r, const llmux_at_t *at,
                               const llmux_json_t *object, const char *name)
{
    return llmux_json_str(r->pool, llmux_reader_member(r, at, object, name,
                                                       LLMUX_JSON_STRING));
}

llmux_slice_t llmux_reader_need_str(llmux_reader_t *r, const llmux_at_t *at,
                                    const llmux_json_t *object,
                                    const char *name)
{
    llmux_slice_t s = llmux_json_str(
        r->pool, llmux_reader_need(r, at, object, name, LLMUX_JSON_STRING));
    llmux_at_t here = llmux_at(at, name);

    if (s.data && !s.len) {
        llmux_reader_fail(r, &here, "expected a string that is not empty");
    }
    return s;
}

llmux_tri_e llmux_reader_bool(llmux_reader_t *r, const llmux_at_t *at,
                              const llmux_json_t *object, const char *name)
{
    return llmux_json_bool(
        llmux_reader_member(r, at, object, name, LLMUX_JSON_BOOL));
}

/* ---- values ---------------------------------------------------------- */

llmux_slice_t llmux_reader_number(llmux_reader_t *r, const llmux_at_t *at,
                                  const llmux_json_t *v, double low,
                                  double high)
{
    double x = llmux_json_double(v, NAN);

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_NUMBER)) {
        return llmux_slice(NULL);
    }
    if (!(x >= low && x <= high)) {
        llmux_reader_fail(r, at, "expected a number from %g to %g, found %s",
                          low, high, llmux_reader_found(r, v));
    }
    return llmux_json_raw(v);
}

static const char *range(llmux_reader_t *r, apr_int64_t low, apr_int64_t high)
{
    if (high != APR_INT64_MAX) {
        return apr_psprintf(r->pool, "from %" APR_INT64_T_FMT
                            " to %" APR_INT64_T_FMT, low, high);
    }
    if (low != APR_INT64_MIN) {
        return apr_psprintf(r->pool, "of at least %" APR_INT64_T_FMT, low);
    }
    return "of 64 bits";
}

llmux_slice_t llmux_reader_integer(llmux_reader_t *r, const llmux_at_t *at,
                                   const llmux_json_t *v, apr_int64_t low,
                                   apr_int64_t high)
{
    apr_int64_t n = llmux_json_int(v, 0);

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_NUMBER)) {
        return llmux_slice(NULL);
    }
    /* two different defaults tell "no integer" from the default itself */
    if (n < low || n > high || llmux_json_int(v, 1) != n) {
        llmux_reader_fail(r, at, "expected an integer %s, found %s",
                          range(r, low, high), llmux_reader_found(r, v));
    }
    return llmux_slice(apr_psprintf(r->pool, "%" APR_INT64_T_FMT, n));
}

static const char *words_listed(apr_pool_t *p, const char *const *words)
{
    const char *list = words[1] ? "one of " : "";
    int i;

    for (i = 0; words[i]; i++) {
        list = apr_pstrcat(p, list, i ? ", '" : "'", words[i], "'", NULL);
    }
    return list;
}

int llmux_reader_word(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *v, const char *const *words)
{
    int i;

    for (i = 0; words[i]; i++) {
        if (llmux_json_is(v, words[i])) {
            return i;
        }
    }
    llmux_reader_fail(r, at, "expected %s, found %s",
                      words_listed(r->pool, words), llmux_reader_found(r, v));
    return -1;
}

int llmux_reader_is_name(llmux_slice_t s, apr_size_t max)
{
    apr_size_t i;
    char c;

    for (i = 0; i < s.len; i++) {
        c = s.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '0' && c <= '9') || c == '_' || c == '-')) {
            return 0;
        }
    }
    return s.len <= max;
}

void llmux_reader_check_name(llmux_reader_t *r, const llmux_at_t *at,
                             const llmux_json_t *object, llmux_slice_t name,
                             int max)
{
    llmux_at_t here = llmux_at(at, "name");

    if (!llmux_reader_is_name(name, (apr_size_t)max)) {
        llmux_reader_fail(r, &here, "expected at most %d letters, digits, "
                          "'_' and '-', found %s", max,
                          llmux_reader_found(r, llmux_json_get(object,
                                                               "name")));
    }
}

static int is_base64_char(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
        || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

static int is_standard(llmux_slice_t s)
{
    apr_size_t n = s.len, i;

    if (!n || n % 4) {
        return 0;
    }
    n -= s.data[n - 1] != '=' ? 0 : s.data[n - 2] != '=' ? 1 : 2;
    for (i = 0; i < n; i++) {
        if (!is_base64_char((unsigned char)s.data[i])) {
            return 0;
        }
    }
    return 1;
}

llmux_slice_t llmux_reader_base64(llmux_reader_t *r, llmux_slice_t text)
{
    llmux_slice_t base64;
    apr_pool_t *scratch;

    if (!text.len || is_standard(text)) {
        return text;
    }
    apr_pool_create(&scratch, r->pool);
    base64 = llmux_base64_encode(r->pool, llmux_base64_decode(scratch, text));
    apr_pool_destroy(scratch);
    return base64;
}

int llmux_reader_is_url(llmux_slice_t s, const char *scheme)
{
    apr_size_t n = strlen(scheme);

    return s.len > n && !strncasecmp(s.data, scheme, n);
}
