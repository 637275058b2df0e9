/* sse.c - event streams, whole and cut anywhere. */

#include <stdlib.h>
#include <apr_strings.h>

#include "llmux/core.h"
#include "tap.h"

static apr_pool_t *pool;

/* What came out: "name|data;" per event, "-" for what is absent. */
typedef struct heard_t {
    llmux_buf_t *text, *raw;
    const char *low, *high;     /* the bytes fed */
    int copied;                 /* events with data from elsewhere */
    int stop_after;             /* events to take; 0 = all */
    int count;
} heard_t;

static void note(llmux_buf_t *b, llmux_slice_t s)
{
    if (s.data) {
        llmux_buf_add_slice(b, s);
    }
    else {
        llmux_buf_adds(b, "-");
    }
}

static int hear(void *baton, const llmux_sse_event_t *ev)
{
    heard_t *h = baton;

    note(h->text, ev->name);
    llmux_buf_adds(h->text, "|");
    note(h->text, ev->data);
    llmux_buf_adds(h->text, ";");
    llmux_buf_add_slice(h->raw, ev->raw);
    llmux_buf_adds(h->raw, "#");
    h->copied += ev->data.data < h->low || ev->data.data > h->high;
    return ++h->count != h->stop_after;
}

static heard_t *heard_create(void)
{
    heard_t *h = apr_pcalloc(pool, sizeof(*h));

    h->text = llmux_buf_create(pool, 1 << 20);
    h->raw = llmux_buf_create(pool, 1 << 20);
    return h;
}

/* Feeds bytes in memory of their own, freed at once. */
static apr_status_t feed(llmux_sse_t *s, const char *text, apr_size_t len)
{
    char *copy = malloc(len ? len : 1);
    apr_status_t rv;

    memcpy(copy, text, len);
    rv = llmux_sse_feed(s, copy, len);
    free(copy);
    return rv;
}

/* The stream in three reads, cut at a and b. */
static heard_t *cut_at(const char *text, apr_size_t a, apr_size_t b)
{
    heard_t *h = heard_create();
    llmux_sse_t *s = llmux_sse_create(pool, 1000, hear, h);

    feed(s, text, a);
    feed(s, text + a, b - a);
    feed(s, text + b, strlen(text) - b);
    llmux_sse_end(s);
    return h;
}

static heard_t *byte_by_byte(const char *text)
{
    heard_t *h = heard_create();
    llmux_sse_t *s = llmux_sse_create(pool, 1000, hear, h);

    for (; *text; text++) {
        feed(s, text, 1);
    }
    llmux_sse_end(s);
    return h;
}

static int same(const heard_t *a, const heard_t *b)
{
    return llmux_slice_equal(llmux_buf_slice(a->text),
                             llmux_buf_slice(b->text))
           && llmux_slice_equal(llmux_buf_slice(a->raw),
                                llmux_buf_slice(b->raw));
}

static int same_however_cut(const char *text, const heard_t *whole)
{
    apr_size_t a, b, len = strlen(text);

    for (a = 0; a <= len; a++) {
        for (b = a; b <= len; b++) {
            if (!same(whole, cut_at(text, a, b))) {
                printf("#   cut at %d and %d\n", (int)a, (int)b);
                return 0;
            }
        }
    }
    return same(whole, byte_by_byte(text));
}

/* Streams, what they say, and where their events end. */
static const struct {
    const char *text, *events, *raw;
} streams[] = {
    { "", "", "" },
    { "data: a\n\n", "-|a;", "data: a\n\n#" },
    { "data:a\n\ndata: b\n\n", "-|a;-|b;", "data:a\n\n#data: b\n\n#" },
    { "data:  a \n\n", "-| a ;", "data:  a \n\n#" },
    { "event: x\ndata: a\n\n", "x|a;", "event: x\ndata: a\n\n#" },
    { "data: a\nevent: x\nid: 1\nretry: 5\nfoo\n\n", "x|a;",
      "data: a\nevent: x\nid: 1\nretry: 5\nfoo\n\n#" },
    { "data: a\ndata: b\ndata:\ndata\n\n", "-|a\nb\n\n;",
      "data: a\ndata: b\ndata:\ndata\n\n#" },
    { "data\n\ndata:\n\ndata: \n\n", "-|;-|;-|;",
      "data\n\n#data:\n\n#data: \n\n#" },
    { "event\n\nevent:\n\nevent: p\nevent: q\n\n", "|-;|-;q|-;",
      "event\n\n#event:\n\n#event: p\nevent: q\n\n#" },
    { ": ping\n\n:\n\ndata: a\n: c\n\n", "-|-;-|-;-|a;",
      ": ping\n\n#:\n\n#data: a\n: c\n\n#" },
    { "\n\ndata: a\n\n\n", "-|-;-|-;-|a;-|-;", "\n#\n#data: a\n\n#\n#" },
    { "data: a\r\n\r\ndata: b\r\n\r\n", "-|a;-|b;",
      "data: a\r\n\r\n#data: b\r\n\r\n#" },
    { "data: a\r\rdata: b\r\r", "-|a;-|b;", "data: a\r\r#data: b\r\r#" },
    { "data: a\n\rdata: b\r\n\ndata: c\n\r\nx\r\n\r", "-|a;-|b;-|c;-|-;",
      "data: a\n\r#data: b\r\n\n#data: c\n\r\n#x\r\n\r#" },
    { "data: a\r\r\ndata: b\r\r\n", "-|a;-|b;-|-;",
      "data: a\r\r#\ndata: b\r\r#\n#" },
    { "\r\rdata: a\r\r", "-|-;-|-;-|a;", "\r#\r#data: a\r\r#" },
    { "\xef\xbb\xbf" "data: a\n\n\xef\xbb\xbf" "data: b\n\n", "-|a;-|-;",
      "\xef\xbb\xbf" "data: a\n\n#\xef\xbb\xbf" "data: b\n\n#" },
    { "\xef\xbb\xbf\n", "-|-;", "\xef\xbb\xbf\n#" },
    { "\xef\xbb", "-|-;", "\xef\xbb#" },
    { "data: a\n", "-|a;", "data: a\n#" },
    { "data: a\r", "-|a;", "data: a\r#" },
    { "data: a\ndata: b", "-|a\nb;", "data: a\ndata: b#" },
    { "data: a\n\nevent: x", "-|a;x|-;", "data: a\n\n#event: x#" },
    { "datax: a\n data: b\nDATA: c\ndat\n\n", "-|-;",
      "datax: a\n data: b\nDATA: c\ndat\n\n#" },
    { "data: {\"long\":\"enough to be scanned in blocks of bytes\"}\n\n",
      "-|{\"long\":\"enough to be scanned in blocks of bytes\"};",
      "data: {\"long\":\"enough to be scanned in blocks of bytes\"}\n\n#" }
};

static void cuts(void)
{
    heard_t *whole;
    apr_size_t i, len;

    for (i = 0; i < sizeof(streams) / sizeof(*streams); i++) {
        len = strlen(streams[i].text);
        whole = cut_at(streams[i].text, len, len);
        is_str(llmux_slice_str(pool, llmux_buf_slice(whole->text)),
               streams[i].events, "the events of a stream");
        is_str(llmux_slice_str(pool, llmux_buf_slice(whole->raw)),
               streams[i].raw, "and their bytes");
        ok(same_however_cut(streams[i].text, whole), "cut at every byte");
    }
}

static void no_copies(void)
{
    static const char text[] = "event: x\ndata: one\n\ndata: two\n\n: c\n\n";
    heard_t *h = heard_create();
    llmux_sse_t *s = llmux_sse_create(pool, 100, hear, h);

    h->low = text;
    h->high = text + sizeof(text);
    llmux_sse_feed(s, text, strlen("event: x\ndata: one\n\ndata: two\n\n"));
    is_int(h->count, 2, "two whole events");
    is_int(h->copied, 0, "are delivered where they stand");
}

static void at_once(void)
{
    heard_t *h = heard_create();
    llmux_sse_t *s = llmux_sse_create(pool, 100, hear, h);

    ok(llmux_sse_at_border(s), "at a border before the first byte");
    feed(s, "data: a\n", 8);
    ok(!llmux_sse_at_border(s), "not within an event");
    feed(s, "\n", 1);
    is_int(h->count, 1, "an event is delivered with its last byte");
    ok(llmux_sse_at_border(s), "which is a border");
    feed(s, "data: b\r\r", 9);
    feed(s, "data: c\r\r", 9);
    is_int(h->count, 3, "CR alone is not waited for, once known");
    feed(s, "data: d\n\r", 9);
    is_int(h->count, 3, "else it may be half of CRLF");
    ok(!llmux_sse_at_border(s), "and is no border");
    feed(s, "\n", 1);
    is_int(h->count, 4, "until the other half is there");
    feed(s, "data: e", 7);
    is_int(llmux_sse_end(s), APR_SUCCESS, "the end");
    is_int(h->count, 5, "delivers the rest");
    ok(llmux_sse_at_border(s), "and is a border");
    is_int(llmux_sse_end(s), APR_SUCCESS, "a second end");
    is_int(h->count, 5, "delivers nothing");
}

static void stops(void)
{
    static const char text[] = "data: a\n\ndata: b\n\ndata: c\n\n";
    heard_t *h = heard_create();
    llmux_sse_t *s = llmux_sse_create(pool, 100, hear, h);

    h->stop_after = 2;
    is_int(feed(s, text, strlen(text)), APR_EGENERAL, "stopped");
    is_int(h->count, 2, "after the second event");
    is_int(feed(s, text, strlen(text)), APR_EGENERAL, "takes no more");
    is_int(llmux_sse_end(s), APR_EGENERAL, "and has no end");
    is_int(h->count, 2, "nothing more was heard");
}

static apr_status_t feed_cut(llmux_sse_t *s, const char *text, apr_size_t cut)
{
    apr_status_t rv = feed(s, text, cut);

    if (rv == APR_SUCCESS) {
        rv = feed(s, text + cut, strlen(text) - cut);
    }
    return rv;
}

static void limits(void)
{
    static const char *const fits[] = {
        "data: 5678\n\ndata: 5678\n\n", ": 345\ndat:\n\n", "data\ndata:\n\n"
    };
    static const char *const too_long[] = {
        "data: 56789\n\n", "data: 567890", "a\nb\nc\nd\ne\nf\n\n",
        ":\n:\n:\n:\n:\n:\n:\n", "data: 5678\r\n\r\n"
    };
    apr_size_t i, cut;
    int good = 1;

    for (i = 0; i < sizeof(fits) / sizeof(*fits); i++) {
        for (cut = 0; cut <= strlen(fits[i]); cut++) {
            good &= feed_cut(llmux_sse_create(pool, 12, hear, heard_create()),
                             fits[i], cut) == APR_SUCCESS;
        }
    }
    ok(good, "events as long as they may be");
    good = 1;
    for (i = 0; i < sizeof(too_long) / sizeof(*too_long); i++) {
        for (cut = 0; cut <= strlen(too_long[i]); cut++) {
            good &= feed_cut(llmux_sse_create(pool, i == 1 ? 11 : 12, hear,
                                              heard_create()),
                             too_long[i], cut) == APR_ENOSPC;
        }
    }
    ok(good, "and too long, by a byte and by many");
}

static void long_event(void)
{
    llmux_buf_t *b = llmux_buf_create(pool, 1 << 20);
    heard_t *h = heard_create();
    llmux_sse_t *s = llmux_sse_create(pool, 1 << 20, hear, h);
    apr_size_t i;

    llmux_buf_adds(b, "data: ");
    for (i = 0; i < 20000; i++) {
        llmux_buf_adds(b, "0123456789");
    }
    llmux_buf_adds(b, "\n\n");
    for (i = 0; i < b->len; i++) {
        llmux_sse_feed(s, b->data + i, 1);
    }
    is_int(h->count, 1, "an event byte by byte");
    is_int((long long)h->text->len, 200000 + 3, "all of it");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    cuts();
    no_copies();
    at_once();
    stops();
    limits();
    long_event();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
