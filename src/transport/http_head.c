/* http_head.c - a request's head, as it goes over the wire. */

#include <string.h>

#include <apr_cstr.h>
#include <apr_strings.h>

#include "http_head.h"

/* No header of ours may end its line early, nor be two. */
static int sayable(const llmux_header_t *h, apr_size_t name_len,
                   apr_size_t value_len)
{
    const char *c = h->name;

    while (*c > ' ' && *c != ':') {
        c++;
    }
    return name_len && c == h->name + name_len
        && !memchr(h->value, '\r', value_len)
        && !memchr(h->value, '\n', value_len);
}

/* What we say ourselves. Two of the kind would be read differently by two
 * readers: the caller's is left out where ours must be right (no line here),
 * and takes its place where it is a matter of taste. */
#define NAME(text) text, sizeof(text) - 1

static const struct {
    const char *name;
    apr_size_t len;
    const char *line;
} ours[] = {
    { NAME("Host"),              "" },  /* comes first: llmux_http_head() */
    { NAME("Accept"),            "Accept: */*\r\n" },
    /* What must be understood is not worth packing. */
    { NAME("Accept-Encoding"),   "Accept-Encoding: identity\r\n" },
    { NAME("Content-Length"),    NULL },
    { NAME("Transfer-Encoding"), NULL },
    { NAME("Connection"),        NULL },
    { NAME("Expect"),            NULL }
};

#define OURS ((int)(sizeof(ours) / sizeof(ours[0])))
#define SAYS_HOST 1         /* the bit of its row */

/* @return its row, or OURS */
static int row_of(const char *name, apr_size_t len)
{
    int i = 0;

    while (i < OURS
           && (ours[i].len != len || apr_cstr_casecmp(ours[i].name, name))) {
        i++;
    }
    return i;
}

/* Looks at each header once: how much room all take, and which of ours are
 * said already. */
typedef struct survey_t {
    apr_size_t room;
    int said;                   /* bits of rows */
    int unfit;
} survey_t;

static survey_t survey(const apr_array_header_t *headers)
{
    survey_t s = { 0, 0, 0 };
    int i;

    for (i = 0; headers && i < headers->nelts; i++) {
        const llmux_header_t *h = &APR_ARRAY_IDX(headers, i, llmux_header_t);
        apr_size_t name = strlen(h->name), value = strlen(h->value);

        s.room += name + value + sizeof(": \r\n");
        s.said |= 1 << row_of(h->name, name);
        s.unfit |= !sayable(h, name, value);
    }
    return s;
}

static char *put(char *to, const char *data, apr_size_t len)
{
    memcpy(to, data, len);
    return to + len;
}

static char *puts_at(char *to, const char *s)
{
    return put(to, s, strlen(s));
}

static char *put_headers(char *to, const apr_array_header_t *headers)
{
    apr_size_t len;
    int i, row;

    for (i = 0; headers && i < headers->nelts; i++) {
        const llmux_header_t *h = &APR_ARRAY_IDX(headers, i, llmux_header_t);

        len = strlen(h->name);
        row = row_of(h->name, len);
        if (row == OURS || ours[row].line) {
            to = put(to, h->name, len);
            to = put(to, ": ", 2);
            to = puts_at(to, h->value);
            to = put(to, "\r\n", 2);
        }
    }
    return to;
}

static char *put_ours(char *to, int said)
{
    int i;

    for (i = 0; i < OURS; i++) {
        if (ours[i].line && !(said & 1 << i)) {
            to = puts_at(to, ours[i].line);
        }
    }
    return to;
}

static char *put_length(char *to, apr_size_t len)
{
    char digits[24];
    int i = (int)sizeof(digits);

    do {
        digits[--i] = (char)('0' + len % 10);
        len /= 10;
    } while (len);
    to = put(to, "Content-Length: ", 16);
    to = put(to, digits + i, sizeof(digits) - (apr_size_t)i);
    return put(to, "\r\n", 2);
}

/* Everything above that is not a header of the caller's. */
#define FIXED_ROOM 256

llmux_slice_t llmux_http_head(apr_pool_t *p, const llmux_request_t *rq,
                              const char *authority, llmux_slice_t path,
                              const char **why)
{
    survey_t s = survey(rq->headers);
    llmux_slice_t head = { NULL, 0 };
    char *start, *to;

    if (s.unfit) {
        *why = "a header cannot be sent as it is";
        return head;
    }
    start = to = apr_palloc(p, s.room + path.len + strlen(authority)
                               + FIXED_ROOM);
    to = puts_at(to, rq->method ? rq->method
                                : rq->body.data ? "POST" : "GET");
    *to++ = ' ';
    if (!path.len || *path.data != '/') {
        *to++ = '/';
    }
    to = put(to, path.data, path.len);
    to = puts_at(to, " HTTP/1.1\r\n");
    if (!(s.said & SAYS_HOST)) {
        to = puts_at(to, "Host: ");
        to = puts_at(to, authority);
        to = put(to, "\r\n", 2);
    }
    to = put_headers(to, rq->headers);
    to = put_ours(to, s.said);
    if (rq->body.data) {
        to = put_length(to, rq->body.len);
    }
    to = put(to, "\r\n", 2);
    head.data = start;
    head.len = (apr_size_t)(to - start);
    return head;
}
