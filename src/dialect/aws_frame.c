/* aws_frame.c - takes an event stream of Amazon's apart, however it was cut
 * into reads. */

#include <string.h>

#include <zlib.h>

#include "aws_frame.h"

/*
 * Big-endian numbers all through:
 *
 *     4  length of the message        4  length of the headers
 *     4  CRC-32 of these 8 bytes      .. headers    .. payload
 *     4  CRC-32 of all before it
 *
 * A header: 1 length of its name, the name, 1 type, the value.
 */
#define PRELUDE     12
#define SUM         4
#define OVERHEAD    (PRELUDE + SUM)

struct llmux_aws_t {
    apr_size_t max;
    llmux_aws_fn fn;
    void *baton;
    apr_status_t rv;        /* not APR_SUCCESS: takes no more */
    llmux_buf_t *part;      /* what there is of a message cut in two */
    apr_size_t need;        /* of that message; 0: its prelude is due */
};

llmux_aws_t *llmux_aws_create(apr_pool_t *p, apr_size_t max, llmux_aws_fn fn,
                              void *baton)
{
    llmux_aws_t *a = apr_pcalloc(p, sizeof(*a));

    a->max = max;
    a->fn = fn;
    a->baton = baton;
    a->part = llmux_buf_create(p, max > PRELUDE ? max : PRELUDE);
    return a;
}

static apr_size_t number(const char *at, int bytes)
{
    const unsigned char *p = (const unsigned char *)at;
    apr_size_t n = 0;

    while (bytes--) {
        n = n << 8 | *p++;
    }
    return n;
}

/* Is what stands behind these bytes their checksum? */
static int sum_right(const char *at, apr_size_t len)
{
    return crc32(0, (const Bytef *)at, (uInt)len) == number(at + len, SUM);
}

/* ---- headers --------------------------------------------------------- */

/* By their type: how long a value is, or how many bytes say so. */
static const struct { unsigned char size, prefix; } types[] = {
    { 0, 0 },       /* true */
    { 0, 0 },       /* false */
    { 1, 0 },       /* byte */
    { 2, 0 },       /* short */
    { 4, 0 },       /* integer */
    { 8, 0 },       /* long */
    { 0, 2 },       /* bytes */
    { 0, 2 },       /* string */
    { 8, 0 },       /* timestamp */
    { 16, 0 }       /* UUID */
};

#define TYPE_STRING 7

/* What may still be read of the headers. */
typedef struct rest_t {
    const char *at;
    apr_size_t len;
} rest_t;

/* @return the next bytes, NULL if there are not so many */
static const char *take(rest_t *r, apr_size_t n)
{
    const char *at = r->at;

    if (n > r->len) {
        return NULL;
    }
    r->at += n;
    r->len -= n;
    return at;
}

/* Where a header's value goes; NULL: nobody asks for it. */
static llmux_slice_t *place(llmux_aws_message_t *m, llmux_slice_t name)
{
    const struct { const char *name; llmux_slice_t *at; } places[] = {
        { ":message-type",   &m->type },
        { ":event-type",     &m->event_type },
        { ":exception-type", &m->exception_type },
        { ":error-code",     &m->error_code },
        { ":error-message",  &m->error_message },
        { ":content-type",   &m->content_type }
    };
    apr_size_t i;

    for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (llmux_slice_is(name, places[i].name)) {
            return places[i].at;
        }
    }
    return NULL;
}

/* @return 0 if it is of no type there is, or longer than the headers */
static int read_value(rest_t *r, unsigned char *type, llmux_slice_t *value)
{
    const char *at = take(r, 1);
    apr_size_t len;

    *type = at ? (unsigned char)*at : 0xff;
    if (*type >= sizeof(types) / sizeof(types[0])) {
        return 0;
    }
    len = types[*type].size;
    if (types[*type].prefix) {
        at = take(r, types[*type].prefix);
        if (!at) {
            return 0;
        }
        len = number(at, types[*type].prefix);
    }
    value->data = take(r, len);
    value->len = len;
    return value->data != NULL;
}

/* A header that matters, twice or as no string, could be read in two ways. */
static int read_header(rest_t *r, llmux_aws_message_t *m)
{
    llmux_slice_t name, value, *to;
    const char *at = take(r, 1);
    unsigned char type;

    if (!at) {
        return 0;
    }
    name.len = (unsigned char)*at;
    name.data = take(r, name.len);
    if (!name.len || !name.data || !read_value(r, &type, &value)) {
        return 0;
    }
    to = place(m, name);
    if (!to) {
        return 1;
    }
    if (type != TYPE_STRING || to->data) {
        return 0;
    }
    *to = value;
    return 1;
}

static int read_headers(llmux_aws_message_t *m, const char *at,
                        apr_size_t len)
{
    rest_t rest = { at, len };

    while (rest.len) {
        if (!read_header(&rest, m)) {
            return 0;
        }
    }
    return 1;
}

/* ---- messages -------------------------------------------------------- */

/* How long the message is that begins so; 0 and `rv` is set: no message. */
static apr_size_t read_prelude(llmux_aws_t *a, const char *at)
{
    apr_size_t total = number(at, 4), headers = number(at + 4, 4);

    if (!sum_right(at, 8) || total < OVERHEAD || headers > total - OVERHEAD) {
        a->rv = APR_EINVAL;
        return 0;
    }
    if (total > a->max || headers > LLMUX_AWS_HEADERS_MAX) {
        a->rv = APR_ENOSPC;
        return 0;
    }
    return total;
}

static void deliver(llmux_aws_t *a, const char *at, apr_size_t len)
{
    apr_size_t headers = number(at + 4, 4);
    llmux_aws_message_t m = { .raw = { at, len } };

    m.payload.data = at + PRELUDE + headers;
    m.payload.len = len - OVERHEAD - headers;
    if (!sum_right(at, len - SUM)
        || !read_headers(&m, at + PRELUDE, headers)) {
        a->rv = APR_EINVAL;
    }
    else if (!a->fn(a->baton, &m)) {
        a->rv = APR_EGENERAL;
    }
}

/* More of the message in `part`, until it has `goal` bytes.
 * @return how many bytes were taken */
static apr_size_t gather(llmux_aws_t *a, const char *data, apr_size_t len,
                         apr_size_t goal)
{
    apr_size_t n = goal - a->part->len;

    n = n < len ? n : len;
    llmux_buf_add(a->part, data, n);
    if (a->part->failed) {
        a->rv = APR_ENOSPC;
    }
    return n;
}

static apr_size_t feed_part(llmux_aws_t *a, const char *data, apr_size_t len)
{
    apr_size_t n = gather(a, data, len, a->need ? a->need : PRELUDE);

    if (a->rv != APR_SUCCESS) {
        return n;
    }
    if (!a->need && a->part->len == PRELUDE) {
        a->need = read_prelude(a, a->part->data);
    }
    else if (a->need && a->part->len == a->need) {
        deliver(a, a->part->data, a->need);
        llmux_buf_reset(a->part);
        a->need = 0;
    }
    return n;
}

/* A message that is there in one piece is read where it stands.
 * @return its length; 0: it is not, or it is none */
static apr_size_t feed_whole(llmux_aws_t *a, const char *data, apr_size_t len)
{
    apr_size_t total = len < PRELUDE ? 0 : read_prelude(a, data);

    if (!total || total > len) {
        return 0;
    }
    deliver(a, data, total);
    return total;
}

apr_status_t llmux_aws_feed(llmux_aws_t *a, const char *data, apr_size_t len)
{
    apr_size_t n;

    while (len && a->rv == APR_SUCCESS) {
        n = a->part->len ? 0 : feed_whole(a, data, len);
        if (!n && a->rv == APR_SUCCESS) {
            n = feed_part(a, data, len);
        }
        data += n;
        len -= n;
    }
    return a->rv;
}

apr_status_t llmux_aws_end(llmux_aws_t *a)
{
    if (a->rv == APR_SUCCESS && a->part->len) {
        a->rv = APR_EOF;
    }
    return a->rv;
}

int llmux_aws_at_border(const llmux_aws_t *a)
{
    return !a->part->len;
}
