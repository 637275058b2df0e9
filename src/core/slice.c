/* slice.c - bytes in someone else's buffer. */

#include "llmux/core.h"

#include <string.h>

#include <apr_cstr.h>
#include <apr_lib.h>
#include <apr_strings.h>

llmux_slice_t llmux_slice(const char *s)
{
    llmux_slice_t out = { s, s ? strlen(s) : 0 };

    return out;
}

llmux_slice_t llmux_slice_dup(apr_pool_t *p, llmux_slice_t s)
{
    if (s.data) {
        s.data = apr_pstrmemdup(p, s.data, s.len);
    }
    return s;
}

const char *llmux_slice_str(apr_pool_t *p, llmux_slice_t s)
{
    return s.data ? apr_pstrmemdup(p, s.data, s.len) : "";
}

int llmux_slice_is(llmux_slice_t s, const char *text)
{
    return llmux_slice_equal(s, llmux_slice(text));
}

int llmux_slice_is_nocase(llmux_slice_t s, const char *text)
{
    if (!s.data || !text || s.len != strlen(text)) {
        return 0;
    }
    return !apr_cstr_casecmpn(s.data, text, s.len);
}

int llmux_slice_starts(llmux_slice_t s, const char *text)
{
    llmux_slice_t head = llmux_slice(text);

    if (!s.data || !head.data || s.len < head.len) {
        return 0;
    }
    return !memcmp(s.data, head.data, head.len);
}

int llmux_slice_equal(llmux_slice_t a, llmux_slice_t b)
{
    return a.data && b.data && a.len == b.len && !memcmp(a.data, b.data, a.len);
}

int llmux_slice_blank(llmux_slice_t s)
{
    apr_size_t i;

    for (i = 0; s.data && i < s.len; i++) {
        if (!llmux_char_is_space(s.data[i])) {
            return 0;
        }
    }
    return 1;
}

llmux_slice_t llmux_slice_trim(llmux_slice_t s)
{
    while (s.len && llmux_char_is_space(*s.data)) {
        s.data++;
        s.len--;
    }
    while (s.len && llmux_char_is_space(s.data[s.len - 1])) {
        s.len--;
    }
    return s;
}

void llmux_slice_lower(char *to, apr_size_t size, llmux_slice_t s)
{
    apr_size_t i;

    for (i = 0; i < s.len && i < size - 1; i++) {
        to[i] = (char)apr_tolower(s.data[i]);
    }
    to[i] = '\0';
}

apr_int64_t llmux_slice_points(llmux_slice_t s)
{
    apr_int64_t n = 0;
    apr_size_t i;

    for (i = 0; i < s.len; i++) {
        n += ((unsigned char)s.data[i] & 0xc0) != 0x80;
    }
    return n;
}

static int is_unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
        || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_'
        || c == '~';
}

void llmux_url_escape(llmux_buf_t *out, llmux_slice_t s)
{
    static const char digits[] = "0123456789ABCDEF";
    apr_size_t i;

    for (i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        const char code[3] = { '%', digits[c >> 4], digits[c & 15] };

        if (is_unreserved(c)) {
            llmux_buf_add(out, &s.data[i], 1);
        }
        else {
            llmux_buf_add(out, code, sizeof(code));
        }
    }
}
