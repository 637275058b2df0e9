/* sse.c - fuzzes the event stream parser. The first three bytes say how long
 * an event may be and where to cut, the others are the stream. Fed whole, in
 * pieces and byte by byte it must give the same events, those a plain
 * reading of the standard gives, and every byte of the stream in one of
 * them.
 *
 * covers: src/core/sse.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#include "llmux/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

enum { NOTES_MAX = 64 << 20 };

/* All that was heard: events with their lengths, and their bytes. */
typedef struct heard_t {
    llmux_buf_t *events, *raw;
    apr_size_t max;
    apr_status_t rv;
    int left;               /* events to take before saying stop */
} heard_t;

static void note(llmux_buf_t *b, llmux_slice_t s)
{
    if (!s.data) {
        llmux_buf_adds(b, "-;");
        return;
    }
    llmux_buf_addf(b, "%u:", (unsigned)s.len);
    llmux_buf_add_slice(b, s);
    llmux_buf_adds(b, ";");
}

static int hear(void *baton, const llmux_sse_event_t *ev)
{
    heard_t *h = baton;

    MUST(ev->raw.len && ev->raw.len <= h->max);
    note(h->events, ev->name);
    note(h->events, ev->data);
    llmux_buf_addf(h->raw, "%u:", (unsigned)ev->raw.len);
    llmux_buf_add_slice(h->raw, ev->raw);
    return --h->left != 0;
}

/* The next piece: 1 to `most` bytes, all for 0. */
static apr_size_t piece(apr_uint32_t *chance, apr_size_t most,
                        apr_size_t left)
{
    apr_size_t n;

    if (!most) {
        return left;
    }
    *chance = *chance * 1664525u + 1013904223u;
    n = 1 + (*chance >> 16) % most;
    return n < left ? n : left;
}

/* Each piece in memory of its own, as reads are. */
static heard_t hear_all(apr_pool_t *p, llmux_slice_t text, apr_size_t max,
                        int stop, apr_uint32_t chance, apr_size_t most)
{
    heard_t h = { llmux_buf_create(p, NOTES_MAX),
                  llmux_buf_create(p, NOTES_MAX), max, APR_SUCCESS, stop };
    llmux_sse_t *s = llmux_sse_create(p, max, hear, &h);
    apr_size_t n;
    char *copy;

    while (text.len && h.rv == APR_SUCCESS) {
        n = piece(&chance, most, text.len);
        copy = malloc(n);
        MUST(copy != NULL);
        memcpy(copy, text.data, n);
        h.rv = llmux_sse_feed(s, copy, n);
        free(copy);
        text.data += n;
        text.len -= n;
    }
    h.rv = llmux_sse_end(s);
    MUST(h.rv != APR_SUCCESS || llmux_sse_at_border(s));
    MUST(!h.events->failed && !h.raw->failed);
    return h;
}

static void same(const heard_t *a, const heard_t *b)
{
    MUST(a->rv == b->rv);
    MUST(llmux_slice_equal(llmux_buf_slice(a->events),
                           llmux_buf_slice(b->events)));
    MUST(llmux_slice_equal(llmux_buf_slice(a->raw), llmux_buf_slice(b->raw)));
}

/* The bytes of all events are the stream, or how it begins. */
static void covers(const heard_t *h, llmux_slice_t text)
{
    llmux_slice_t raw = llmux_buf_slice(h->raw);
    const char *at = raw.data, *end = at + raw.len;
    apr_size_t n, off = 0;
    char *bytes;

    while (at < end) {
        n = strtoul(at, &bytes, 10);
        bytes++;
        MUST(off + n <= text.len && !memcmp(bytes, text.data + off, n));
        off += n;
        at = bytes + n;
    }
    MUST(off == text.len || h->rv != APR_SUCCESS);
}

/* ---- a plain reading of the standard --------------------------------- */

/* One event on its way. */
typedef struct plain_t {
    llmux_buf_t *out, *data;
    llmux_slice_t name;
    int lines;
    int bytes;              /* anything read since the last event? */
} plain_t;

static void plain_event(plain_t *e)
{
    llmux_slice_t absent = { NULL, 0 };

    note(e->out, e->name);
    note(e->out, e->lines ? llmux_buf_slice(e->data) : absent);
    llmux_buf_reset(e->data);
    e->name = absent;
    e->lines = 0;
    e->bytes = 0;
}

static void plain_line(plain_t *e, llmux_slice_t line)
{
    const char *colon = memchr(line.data, ':', line.len);
    llmux_slice_t name = line, value = { "", 0 };

    if (colon) {
        name.len = (apr_size_t)(colon - line.data);
        value.data = colon + 1;
        value.len = line.len - name.len - 1;
    }
    if (value.len && *value.data == ' ') {
        value.data++;
        value.len--;
    }
    if (llmux_slice_is(name, "event")) {
        e->name = value;
    }
    if (llmux_slice_is(name, "data")) {
        llmux_buf_adds(e->data, e->lines++ ? "\n" : "");
        llmux_buf_add_slice(e->data, value);
    }
}

static void plain_reading(apr_pool_t *p, llmux_slice_t text,
                          const heard_t *heard)
{
    plain_t e = { llmux_buf_create(p, NOTES_MAX),
                  llmux_buf_create(p, NOTES_MAX), { NULL, 0 }, 0, 0 };
    const char *at = text.data, *end = at + text.len;
    int cr_only = 0, eaten;
    llmux_slice_t line;

    if (llmux_slice_starts(text, "\xef\xbb\xbf")) {
        at += 3;
        e.bytes = 1;
    }
    while (at < end) {
        line.data = at;
        while (at < end && *at != '\r' && *at != '\n') {
            at++;
        }
        line.len = (apr_size_t)(at - line.data);
        e.bytes = 1;
        if (line.len) {
            plain_line(&e, line);
        }
        if (at == end) {
            break;
        }
        eaten = at + 1 < end && at[0] == '\r' && at[1] == '\n';
        at += 1 + eaten;
        if (!line.len) {
            plain_event(&e);
            /* This LF came after the event had to be delivered. */
            e.bytes = cr_only && eaten;
        }
        cr_only = at[-1] == '\r';
    }
    if (e.bytes) {
        plain_event(&e);
    }
    MUST(llmux_slice_equal(llmux_buf_slice(e.out),
                           llmux_buf_slice(heard->events)));
}

static void fuzz(apr_pool_t *p, const uint8_t *head, llmux_slice_t text)
{
    apr_size_t max = head[0] < 128 ? 1 << 20 : (apr_size_t)head[0] - 127;
    int stop = head[1] < 128 ? 0 : head[1] - 127;
    static const apr_size_t pieces[] = { 1, 16, 256 };
    heard_t whole = hear_all(p, text, max, stop, 0, 0), cut;
    int i;

    covers(&whole, text);
    if (whole.rv == APR_SUCCESS) {
        plain_reading(p, text, &whole);
    }
    for (i = 0; i < 3; i++) {
        cut = hear_all(p, text, max, stop, head[2], pieces[i]);
        same(&whole, &cut);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;
    llmux_slice_t text = { (const char *)data + 3, size - 3 };
    apr_pool_t *p;

    if (size < 3) {
        return 0;
    }
    if (!pool) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    apr_pool_create(&p, pool);
    fuzz(p, data, text);
    apr_pool_destroy(p);
    return 0;
}
