/* aws_frame.c - fuzzes the parser of Amazon's event streams. The first byte
 * says how long a message may be, whether checksums are put right first, so
 * that it gets further than to them, and where to cut; the others are the
 * stream. Fed whole, in pieces and byte by byte it must give the same
 * messages, and their bytes, one after the other, are the stream.
 *
 * covers: src/dialect/aws_frame.c src/dialect/aws_error.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <zlib.h>

#include "dialect/aws_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

enum { NOTES_MAX = 64 << 20 };

typedef struct heard_t {
    apr_pool_t *pool;
    llmux_buf_t *notes, *raw;
    apr_size_t max;
    apr_status_t rv;
} heard_t;

static void note(llmux_buf_t *b, llmux_slice_t s)
{
    llmux_buf_addf(b, "%u:", s.data ? (unsigned)s.len : ~0u);
    llmux_buf_add_slice(b, s);
}

static int inside(llmux_slice_t part, llmux_slice_t all)
{
    return !part.data || (part.data >= all.data
                          && part.data + part.len <= all.data + all.len);
}

static int hear(void *baton, const llmux_aws_message_t *m)
{
    const llmux_slice_t parts[] = {
        m->type, m->event_type, m->exception_type, m->error_code,
        m->error_message, m->content_type, m->payload
    };
    heard_t *h = baton;
    llmux_error_t *err = llmux_aws_error(h->pool, m, NULL);
    size_t i;

    MUST(m->raw.len >= 16 && m->raw.len <= h->max && m->payload.data);
    MUST(*err->message && err->kind < LLMUX_ERR_COUNT);
    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        MUST(inside(parts[i], m->raw));
        note(h->notes, parts[i]);
    }
    llmux_buf_add_slice(h->raw, m->raw);
    return 1;
}

/* Each piece in memory of its own, as reads are. */
static heard_t hear_all(apr_pool_t *p, llmux_slice_t text, apr_size_t max,
                        apr_size_t most)
{
    heard_t h = { p, llmux_buf_create(p, NOTES_MAX),
                  llmux_buf_create(p, NOTES_MAX), max, APR_SUCCESS };
    llmux_aws_t *a = llmux_aws_create(p, max, hear, &h);
    apr_size_t n;
    char *copy;

    while (text.len && h.rv == APR_SUCCESS) {
        n = text.len < most ? text.len : most;
        copy = malloc(n);
        MUST(copy != NULL);
        memcpy(copy, text.data, n);
        h.rv = llmux_aws_feed(a, copy, n);
        free(copy);
        text.data += n;
        text.len -= n;
    }
    h.rv = llmux_aws_end(a);
    MUST(h.rv != APR_SUCCESS || llmux_aws_at_border(a));
    return h;
}

/* ---- checksums ------------------------------------------------------- */

static uint32_t number(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16
           | (uint32_t)at[2] << 8 | at[3];
}

static void put_sum(uint8_t *from, size_t len)
{
    uint32_t sum = (uint32_t)crc32(0, from, (uInt)len);
    int i;

    for (i = 0; i < 4; i++) {
        from[len + i] = (uint8_t)(sum >> (24 - 8 * i));
    }
}

static void put_right(uint8_t *at, size_t size)
{
    while (size >= 16) {
        uint32_t total = number(at);

        put_sum(at, 8);
        if (total < 16 || total > size) {
            return;
        }
        put_sum(at, total - 4);
        at += total;
        size -= total;
    }
}

static void fuzz(apr_pool_t *p, uint8_t how, llmux_slice_t text)
{
    static const apr_size_t pieces[] = { 1, 3, 16, 100 };
    apr_size_t max = how & 1 ? 64 : 1 << 20;
    heard_t one = hear_all(p, text, max, text.len + 1);
    heard_t cut = hear_all(p, text, max, pieces[how >> 2 & 3]);

    MUST(one.rv == cut.rv && !one.notes->failed && !one.raw->failed);
    MUST(llmux_slice_equal(llmux_buf_slice(one.notes),
                           llmux_buf_slice(cut.notes)));
    MUST(one.raw->len <= text.len
         && !memcmp(llmux_buf_slice(one.raw).data, text.data, one.raw->len));
    MUST(one.rv != APR_SUCCESS || one.raw->len == text.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;
    llmux_slice_t text;
    apr_pool_t *p;
    uint8_t *copy;

    if (!size) {
        return 0;
    }
    if (!pool) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    apr_pool_create(&p, pool);
    copy = malloc(size);
    MUST(copy != NULL);
    memcpy(copy, data, size);
    if (data[0] & 2) {
        put_right(copy + 1, size - 1);
    }
    text.data = (const char *)copy + 1;
    text.len = size - 1;
    fuzz(p, data[0], text);
    free(copy);
    apr_pool_destroy(p);
    return 0;
}
