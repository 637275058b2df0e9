/* json_write.c - writes JSON into a buffer. */

#include <string.h>

#include "llmux/core.h"
#include "scan.h"

static void escape_control(llmux_buf_t *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char text[] = "\\u0000";

    text[4] = hex[c >> 4];
    text[5] = hex[c & 15];
    llmux_buf_add(out, text, 6);
}

static void escape_ascii(llmux_buf_t *out, char c)
{
    static const char special[] = "\"\\\b\f\n\r\t", letter[] = "\"\\bfnrt";
    const char *at = c ? strchr(special, c) : NULL;
    char text[2] = { '\\', 0 };

    if (!at) {
        escape_control(out, (unsigned char)c);
        return;
    }
    text[1] = letter[at - special];
    llmux_buf_add(out, text, 2);
}

void llmux_json_escape(llmux_buf_t *out, llmux_slice_t s)
{
    const char *p = s.len ? s.data : "", *end = p + s.len, *from = p;
    int n;

    while (p < end) {
        p = llmux_scan_plain(p, end);
        if (p == end) {
            break;
        }
        n = *p & 0x80 ? llmux_scan_utf8(p, end) : 0;
        if (n > 0) {
            p += n;     /* stands for itself: part of the run */
            continue;
        }
        llmux_buf_add(out, from, (apr_size_t)(p - from));
        if (n < 0) {
            llmux_buf_add(out, "\xef\xbf\xbd", 3);
            p -= n;
        }
        else {
            escape_ascii(out, *p++);
        }
        from = p;
    }
    llmux_buf_add(out, from, (apr_size_t)(end - from));
}

void llmux_json_one_line(llmux_buf_t *out, llmux_slice_t json)
{
    apr_size_t i, from = 0;

    for (i = 0; i <= json.len; i++) {
        if (i == json.len || json.data[i] == '\n' || json.data[i] == '\r') {
            llmux_buf_add(out, json.data + from, i - from);
            from = i + 1;
        }
    }
}

llmux_jw_t llmux_jw(llmux_buf_t *out)
{
    llmux_jw_t w = { out, 0 };

    return w;
}

/* Any value: its comma, if one is due, and its bytes. */
static void value(llmux_jw_t *w, const char *text, apr_size_t len)
{
    if (w->comma) {
        llmux_buf_add(w->out, ",", 1);
    }
    llmux_buf_add(w->out, text, len);
    w->comma = 1;
}

/* A string, `after` being its closing quote and what follows. */
static void quoted(llmux_jw_t *w, llmux_slice_t s, const char *after)
{
    value(w, "\"", 1);
    llmux_json_escape(w->out, s);
    llmux_buf_adds(w->out, after);
}

void llmux_jw_open(llmux_jw_t *w, char bracket)
{
    value(w, &bracket, 1);
    w->comma = 0;
}

void llmux_jw_close(llmux_jw_t *w, char bracket)
{
    llmux_buf_add(w->out, &bracket, 1);
    w->comma = 1;
}

void llmux_jw_key_slice(llmux_jw_t *w, llmux_slice_t name)
{
    quoted(w, name, "\":");
    w->comma = 0;
}

void llmux_jw_key(llmux_jw_t *w, const char *name)
{
    llmux_jw_key_slice(w, llmux_slice(name));
}

void llmux_jw_str(llmux_jw_t *w, llmux_slice_t s)
{
    if (!s.data) {
        llmux_jw_null(w);
        return;
    }
    quoted(w, s, "\"");
}

void llmux_jw_cstr(llmux_jw_t *w, const char *s)
{
    llmux_jw_str(w, llmux_slice(s));
}

void llmux_jw_int(llmux_jw_t *w, apr_int64_t n)
{
    apr_uint64_t rest = n < 0 ? 0 - (apr_uint64_t)n : (apr_uint64_t)n;
    char text[20], *end = text + sizeof(text), *s = end;

    do {
        *--s = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (n < 0) {
        *--s = '-';
    }
    value(w, s, (apr_size_t)(end - s));
}

void llmux_jw_bool(llmux_jw_t *w, int yes)
{
    value(w, yes ? "true" : "false", yes ? 4 : 5);
}

void llmux_jw_null(llmux_jw_t *w)
{
    value(w, "null", 4);
}

void llmux_jw_raw(llmux_jw_t *w, llmux_slice_t json)
{
    if (llmux_slice_blank(json)) {
        llmux_jw_null(w);
        return;
    }
    value(w, json.data, json.len);
}

void llmux_jw_opt_str(llmux_jw_t *w, const char *name, llmux_slice_t s)
{
    if (s.data) {
        llmux_jw_key(w, name);
        llmux_jw_str(w, s);
    }
}

void llmux_jw_opt_raw(llmux_jw_t *w, const char *name, llmux_slice_t json)
{
    if (json.data) {
        llmux_jw_key(w, name);
        llmux_jw_raw(w, json);
    }
}

void llmux_jw_opt_bool(llmux_jw_t *w, const char *name, llmux_tri_e yes)
{
    if (yes != LLMUX_UNSET) {
        llmux_jw_key(w, name);
        llmux_jw_bool(w, yes == LLMUX_YES);
    }
}
