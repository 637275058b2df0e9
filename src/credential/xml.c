/* xml.c - takes a few elements out of an XML answer. */

#include "xml.h"

#include <string.h>

typedef struct reader_t {
    const char *at, *end;
    llmux_slice_t open[LLMUX_XML_DEPTH_MAX];    /* names, outermost first */
    int depth;
    int rooted;             /* there was a root */
    const char *text;       /* where the innermost element's text begins;
                             * NULL: there was more than text in it */
    llmux_xml_pick_t *picks;
    int count;
} reader_t;

static int is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
        || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'
        || c == ':';
}

static llmux_slice_t trimmed(const char *from, const char *to)
{
    llmux_slice_t s = { from, (apr_size_t)(to - from) };

    return llmux_slice_trim(s);
}

static int at_text(const reader_t *r, const char *text)
{
    apr_size_t len = strlen(text);

    return (apr_size_t)(r->end - r->at) >= len && !memcmp(r->at, text, len);
}

/* Goes behind the next `text`. @return 0 if there is none */
static int pass(reader_t *r, const char *text)
{
    while (r->at < r->end && !at_text(r, text)) {
        r->at++;
    }
    if (r->at == r->end) {
        return 0;
    }
    r->at += strlen(text);
    return 1;
}

static llmux_slice_t name(reader_t *r)
{
    llmux_slice_t s = { r->at, 0 };

    while (r->at < r->end && is_name(*r->at)) {
        r->at++;
    }
    s.len = (apr_size_t)(r->at - s.data);
    return s;
}

/* Is the innermost element the one at this path? */
static int is_at(const reader_t *r, const char *path)
{
    int i;

    for (i = 0; i < r->depth; i++) {
        if (strncmp(path, r->open[i].data, r->open[i].len)
            || path[r->open[i].len] != (i + 1 < r->depth ? '/' : '\0')) {
            return 0;
        }
        path += r->open[i].len + 1;
    }
    return 1;
}

static int keep(reader_t *r, const char *end)
{
    llmux_xml_pick_t *pick = r->picks;

    while (pick < r->picks + r->count && !is_at(r, pick->path)) {
        pick++;
    }
    if (pick == r->picks + r->count) {
        return 1;
    }
    if (pick->text.data || !r->text
        || memchr(r->text, '&', (size_t)(end - r->text))) {
        return 0;
    }
    pick->text = trimmed(r->text, end);
    return 1;
}

static int close_element(reader_t *r, const char *from)
{
    llmux_slice_t closed = name(r);

    while (r->at < r->end && llmux_char_is_space(*r->at)) {
        r->at++;
    }
    if (r->at == r->end || *r->at++ != '>' || !r->depth
        || !llmux_slice_equal(closed, r->open[r->depth - 1])
        || !keep(r, from)) {
        return 0;
    }
    r->depth--;
    r->text = NULL;
    return 1;
}

/* Attributes are not looked at, but for where they end. */
static int pass_attributes(reader_t *r)
{
    const char quotes[][2] = { "\"", "'" };

    while (r->at < r->end && *r->at != '>') {
        char c = *r->at++;

        if (c == '<' || (c == '"' && !pass(r, quotes[0]))
            || (c == '\'' && !pass(r, quotes[1]))) {
            return 0;
        }
    }
    return r->at++ < r->end;
}

static int open_element(reader_t *r)
{
    llmux_slice_t opened = name(r);

    if (!opened.len || (!r->depth && r->rooted)
        || r->depth == LLMUX_XML_DEPTH_MAX || !pass_attributes(r)) {
        return 0;
    }
    r->rooted = 1;
    r->text = NULL;
    if (r->at[-2] != '/') {
        r->open[r->depth++] = opened;
        r->text = r->at;
    }
    return 1;
}

/* Something between angle brackets, the first of which is at `from`. */
static int markup(reader_t *r, const char *from)
{
    r->at = from + 1;
    if (at_text(r, "/")) {
        r->at++;
        return close_element(r, from);
    }
    if (!at_text(r, "?") && !at_text(r, "!")) {
        return open_element(r);
    }
    r->text = NULL;
    return at_text(r, "?") ? pass(r, "?>")
        : at_text(r, "!--") && pass(r, "-->");
}

int llmux_xml_pick(llmux_slice_t doc, llmux_xml_pick_t *picks, int count)
{
    reader_t r = { .at = doc.data, .end = doc.data + doc.len,
                   .picks = picks, .count = count };
    const char *bracket;
    int i;

    for (i = 0; i < count; i++) {
        picks[i].text.data = NULL;
        picks[i].text.len = 0;
    }
    while (r.at < r.end) {
        bracket = memchr(r.at, '<', (size_t)(r.end - r.at));
        bracket = bracket ? bracket : r.end;
        if ((!r.depth && trimmed(r.at, bracket).len)
            || (bracket < r.end && !markup(&r, bracket))) {
            return 0;
        }
        r.at = bracket < r.end ? r.at : r.end;
    }
    return r.rooted && !r.depth;
}
