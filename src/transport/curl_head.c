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

/* Cuts white space at both ends and blanks what RFC 9110 5.5 forbids; letters
 * are told from the rest by one comparison. */
static char *clean(char *s, char *end)
{
    char *c;

    for (c = s; c < end; c++) {
        if ((unsigned char)(*c - ' ') > '~' - ' '
            && ((unsigned char)*c < ' ' || *c == 0x7f)) {
            *c = ' ';
        }
    }
    while (*s == ' ') {
        s++;
    }
    while (end > s && end[-1] == ' ') {
        *--end = '\0';
    }
    return s;
}

static void line_add(llmux_head_t *h, char *line)
{
    char *end = line + strlen(line), *colon = strchr(line, ':');
    llmux_header_t *header;

    if (colon) {
        *colon = '\0';
        header = apr_array_push(h->r.headers);
        header->name = clean(line, colon);
        header->value = clean(colon + 1, end);
    }
}

int llmux_head_line(llmux_head_t *h, const char *line, apr_size_t len)
{
    if (!h->inside) {
        h->inside = 1;
        apr_array_clear(h->r.headers);
        return 0;
    }
    if (!len || *line == '\r' || *line == '\n') {
        h->inside = 0;
        return 1;
    }
    h->folded |= *line == ' ' || *line == '\t';
    line_add(h, apr_pstrmemdup(h->p, line, len));
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

const char *llmux_head_objection(const llmux_head_t *h)
{
    if (h->folded) {
        return "a folded header";   /* RFC 9112 5.2 lets us */
    }
    return llmux_head_layers(h) > 1 ? "a body coded in a way not asked for"
                                    : NULL;
}
