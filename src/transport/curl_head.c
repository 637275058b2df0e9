/* curl_head.c - the lines of a response's head. */

#include <string.h>

#include <apr_cstr.h>
#include <apr_strings.h>

#include "curl_head.h"

void llmux_head_init(llmux_head_t *h, apr_pool_t *p)
{
    memset(h, 0, sizeof(*h));
    h->p = p;
    h->r.headers = apr_array_make(p, 16, sizeof(llmux_header_t));
}

/* What is left of them without white space at both ends. */
static char *trim(char *s, char *end)
{
    while (end > s && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    *end = '\0';
    return s + strspn(s, " \t");
}

/* RFC 9110 5.6.2 */
static int is_name(const char *s)
{
    size_t len = strspn(s, "!#$%&'*+-.^_`|~0123456789"
                           "abcdefghijklmnopqrstuvwxyz"
                           "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

    return len && !s[len];
}

/* A bare CR most of all: to some it ends the line (RFC 9112 2.2). */
static int is_value(const char *s)
{
    while (*s == '\t' || ((unsigned char)*s >= ' ' && *s != 0x7f)) {
        s++;
    }
    return !*s;
}

/* RFC 9112 5.2 lets us refuse folded headers. */
static const char *line_add(llmux_head_t *h, char *line, char *end)
{
    char *colon = strchr(line, ':');
    llmux_header_t *header;

    if (*line == ' ' || *line == '\t') {
        return "a folded header";
    }
    if (!colon) {
        return "a malformed header";
    }
    *colon = '\0';
    header = apr_array_push(h->r.headers);
    header->name = line;
    header->value = trim(colon + 1, end);
    return !is_name(header->name) ? "a malformed header"
           : !is_value(header->value) ? "a control character in a header"
                                      : NULL;
}

int llmux_head_line(llmux_head_t *h, const char *line, apr_size_t len)
{
    const char *problem;
    char *copy;

    if (!h->inside) {
        h->inside = 1;
        h->old = len >= 8 && !strncmp(line, "HTTP/1.0", 8);
        apr_array_clear(h->r.headers);
        return 0;
    }
    len -= len && line[len - 1] == '\n';
    len -= len && line[len - 1] == '\r';
    if (!len) {
        h->inside = 0;
        return 1;
    }
    copy = apr_pstrmemdup(h->p, line, len);
    problem = line_add(h, copy, copy + len);
    h->problem = h->problem ? h->problem : problem;
    return 0;
}

/* One layer that comes off with little memory. Layers upon layers are how a
 * few bytes become terabytes. */
static const struct { const char *header, *coding; int layers; } codings[] = {
    { "Content-Encoding",  "gzip",     1 },
    { "Content-Encoding",  "x-gzip",   1 },
    { "Content-Encoding",  "deflate",  1 },
    { "Content-Encoding",  "identity", 0 },
    { "Content-Encoding",  "none",     0 },
    { "Content-Encoding",  "",         0 },
    { "Transfer-Encoding", "chunked",  0 },
    { "Transfer-Encoding", "identity", 0 },
    { NULL,                NULL,       2 }
};

/* How many layers this header says, more than one if we will not have it. */
static int layers(const llmux_header_t *h)
{
    int i = 0;

    if (apr_cstr_casecmp(h->name, "Content-Encoding")
        && apr_cstr_casecmp(h->name, "Transfer-Encoding")) {
        return 0;
    }
    while (codings[i].header
           && (apr_cstr_casecmp(h->name, codings[i].header)
               || apr_cstr_casecmp(h->value, codings[i].coding))) {
        i++;
    }
    return codings[i].layers;
}

int llmux_head_layers(const llmux_head_t *h)
{
    int i, n = 0;

    for (i = 0; i < h->r.headers->nelts; i++) {
        n += layers(&APR_ARRAY_IDX(h->r.headers, i, llmux_header_t));
    }
    return n;
}

/* ---- what two readers could take for two messages ---------------------- */

static int count(const llmux_head_t *h, const char *name)
{
    int i, n = 0;

    for (i = 0; i < h->r.headers->nelts; i++) {
        n += !apr_cstr_casecmp(APR_ARRAY_IDX(h->r.headers, i,
                                             llmux_header_t).name, name);
    }
    return n;
}

/* Digits alone, and so few that no counter overflows. */
static int is_plain(const char *number)
{
    size_t len = strspn(number, "0123456789");

    return len && len <= 18 && !number[len];
}

int llmux_head_announces_body(const llmux_head_t *h)
{
    const char *length = llmux_response_header(&h->r, "Content-Length");

    return count(h, "Transfer-Encoding") || (length && strcmp(length, "0"));
}

/* libcurl understands most of these one way; others would another way. */
const char *llmux_head_objection(const llmux_head_t *h)
{
    const char *length = llmux_response_header(&h->r, "Content-Length");
    int transfers = count(h, "Transfer-Encoding");

    if (h->problem) {
        return h->problem;
    }
    if (transfers && h->old) {
        return "Transfer-Encoding in HTTP/1.0";
    }
    if (transfers && length) {
        return "Transfer-Encoding and Content-Length";
    }
    if (transfers > 1 || count(h, "Content-Length") > 1) {
        return "more than one length";
    }
    if (length && !is_plain(length)) {
        return "a Content-Length that is no plain number";
    }
    return llmux_head_layers(h) > 1 ? "a body coded in a way not asked for"
                                    : NULL;
}
