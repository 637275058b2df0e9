/* sse.c - takes an event stream apart, however it was cut into reads. */

#include <string.h>

#include "llmux/core.h"
#include "scan.h"

/* Where a field's value stands in its event, while the event may move. */
typedef struct field_t {
    apr_size_t off, len;
    int lines;              /* how many lines gave it; 0 = absent */
} field_t;

/*
 * An event is read line by line where it stands in the bytes fed. Only what
 * is unfinished when they end is kept in `part`, and then all of the event
 * is gathered there. Offsets count from the event's first byte.
 */
struct llmux_sse_t {
    apr_size_t max;
    llmux_sse_fn fn;
    void *baton;
    apr_status_t rv;        /* not APR_SUCCESS: takes no more */
    llmux_buf_t *part;      /* the event's bytes of earlier reads */
    const char *from;       /* bytes fed that are not in `part` */
    apr_size_t line;        /* where the current line begins */
    field_t name, data;
    llmux_buf_t *joined;    /* data of several lines */
    int begun;              /* the first line is over, and with it the BOM */
    int cr;                 /* the last byte was CR: LF may belong to it */
    int held;               /* that CR made a blank line */
    int cr_only;            /* the last line ended with CR alone */
};

llmux_sse_t *llmux_sse_create(apr_pool_t *p, apr_size_t max,
                              llmux_sse_fn fn, void *baton)
{
    llmux_sse_t *s = apr_pcalloc(p, sizeof(*s));

    s->max = max;
    s->fn = fn;
    s->baton = baton;
    s->part = llmux_buf_create(p, max);
    s->joined = llmux_buf_create(p, max);
    return s;
}

/* The event's first byte; bytes up to `p` are there in one piece. */
static const char *gather(llmux_sse_t *s, const char *p)
{
    if (!s->part->len) {
        return s->from;
    }
    llmux_buf_add(s->part, s->from, (apr_size_t)(p - s->from));
    if (s->part->failed) {
        s->rv = APR_ENOSPC;
    }
    s->from = p;
    return s->part->data;
}

static apr_size_t offset(const llmux_sse_t *s, const char *p)
{
    return s->part->len + (apr_size_t)(p - s->from);
}

static llmux_slice_t value_of(const llmux_sse_t *s, field_t f,
                              const char *event)
{
    llmux_slice_t value = { NULL, 0 };

    if (f.lines > 1) {
        return llmux_buf_slice(s->joined);
    }
    if (f.lines) {
        value.data = event + f.off;
        value.len = f.len;
    }
    return value;
}

static void forget(llmux_sse_t *s)
{
    static const field_t absent = { 0, 0, 0 };

    if (s->part->len) {
        llmux_buf_reset(s->part);
    }
    if (s->data.lines > 1) {
        llmux_buf_reset(s->joined);
    }
    s->name = s->data = absent;
    s->line = 0;
    s->held = 0;
}

/* The event ends before `p`. */
static void deliver(llmux_sse_t *s, const char *p)
{
    const char *event = gather(s, p);
    llmux_sse_event_t ev;

    ev.raw.data = event;
    ev.raw.len = offset(s, p);
    if (ev.raw.len > s->max) {
        s->rv = APR_ENOSPC;
    }
    if (s->rv != APR_SUCCESS) {
        return;
    }
    ev.name = value_of(s, s->name, event);
    ev.data = value_of(s, s->data, event);
    if (!s->fn(s->baton, &ev)) {
        s->rv = APR_EGENERAL;
    }
    forget(s);
    s->from = p;
}

/* A `data:` line after the first: only now is a copy needed. */
static void join(llmux_sse_t *s, const char *event, const char *value,
                 apr_size_t len)
{
    if (s->data.lines == 1) {
        llmux_buf_add(s->joined, event + s->data.off, s->data.len);
    }
    llmux_buf_add(s->joined, "\n", 1);
    llmux_buf_add(s->joined, value, len);
    if (s->joined->failed) {
        s->rv = APR_ENOSPC;
    }
}

static int is_field(const char *text, apr_size_t len, const char *name,
                    apr_size_t name_len)
{
    return len >= name_len && !memcmp(text, name, name_len)
           && (len == name_len || text[name_len] == ':');
}

/* A line that is not blank, at `text` in the event. */
static void read_field(llmux_sse_t *s, const char *event, const char *text,
                       apr_size_t len)
{
    const char *value, *end = text + len;
    field_t *f;

    if (is_field(text, len, "data", 4)) {
        f = &s->data;
        value = text + 4;
    }
    else if (is_field(text, len, "event", 5)) {
        f = &s->name;
        value = text + 5;
    }
    else {
        return;
    }
    value += value < end;
    value += value < end && *value == ' ';
    if (f == &s->data && f->lines) {
        join(s, event, value, (apr_size_t)(end - value));
    }
    f->off = (apr_size_t)(value - event);
    f->len = (apr_size_t)(end - value);
    f->lines = f == &s->data ? f->lines + 1 : 1;
}

/* The line ends before `p`, `eol` bytes of which are its end.
 * @return is it blank? */
static int read_line(llmux_sse_t *s, const char *p, apr_size_t eol)
{
    const char *event = gather(s, p), *text;
    apr_size_t len;

    if (s->rv != APR_SUCCESS) {
        return 0;
    }
    text = event + s->line;
    len = offset(s, p) - s->line - eol;
    if (!s->begun && len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
        text += 3;
        len -= 3;
    }
    s->begun = 1;
    s->line = offset(s, p);
    if (len) {
        read_field(s, event, text, len);
    }
    return !len;
}

/* A line's end, CR or LF, stands right before `p`. */
static void end_line(llmux_sse_t *s, const char *p)
{
    int blank = read_line(s, p, 1);

    s->cr = p[-1] == '\r';
    /* A CR may be half of CRLF and the other half not here yet. Where lines
     * end with CR alone nothing is waited for: the event would be late. */
    if (blank && s->cr && !s->cr_only) {
        s->held = 1;
    }
    else if (blank) {
        deliver(s, p);
    }
    s->cr_only = s->cr_only && s->cr;
}

/* The first byte after a CR.
 * @return what follows the line's end */
static const char *after_cr(llmux_sse_t *s, const char *p)
{
    s->cr = 0;
    s->cr_only = *p != '\n';
    p += *p == '\n';
    s->line = offset(s, p);
    if (s->held) {
        deliver(s, p);
    }
    return p;
}

apr_status_t llmux_sse_feed(llmux_sse_t *s, const char *data, apr_size_t len)
{
    const char *p = len ? data : "", *end = p + len;

    s->from = p;
    while (p < end && s->rv == APR_SUCCESS) {
        if (s->cr) {
            p = after_cr(s, p);
            continue;
        }
        p = llmux_scan_line(p, end);
        if (p < end) {
            end_line(s, ++p);
        }
    }
    if (s->rv == APR_SUCCESS && s->from < end) {
        llmux_buf_add(s->part, s->from, (apr_size_t)(end - s->from));
        s->rv = s->part->failed ? APR_ENOSPC : APR_SUCCESS;
    }
    return s->rv;
}

apr_status_t llmux_sse_end(llmux_sse_t *s)
{
    s->from = "";
    if (s->rv == APR_SUCCESS && s->line < s->part->len) {
        read_line(s, s->from, 0);
    }
    if (s->rv == APR_SUCCESS && s->part->len) {
        deliver(s, s->from);
    }
    return s->rv;
}

int llmux_sse_at_border(const llmux_sse_t *s)
{
    return !s->part->len;
}
