/* buf.c - a growing buffer with a maximum. */

#include "llmux/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first block comes from the pool, as large as it must be: a stream that
 * is held for minutes keeps its buffers. */
#define FIRST_STEP 64
#define FIRST_MAX  2048
#define KEPT_SIZE  (8u << 10)       /* what a reset leaves allocated */
#define SIZE_LIMIT (~(apr_size_t)0 / 4)

/* malloc maps a block of a megabyte, and gives it back when it is freed; what
 * is smaller it keeps. Pages that nobody touches cost nothing. */
#define SMALL_MAX   (256u << 10)
#define MAPPED_SIZE (1u << 20)

typedef struct buf_t {
    llmux_buf_t pub;                /* first: the caller's pointer is ours */
    char *first;                    /* the pool's; all else is malloc's */
    apr_size_t first_cap;
    apr_pool_t *pool;
    int guarded;                    /* the cleanup is registered */
} buf_t;

static apr_status_t free_block(void *data)
{
    buf_t *b = data;

    if (b->pub.data != b->first) {
        free(b->pub.data);
    }
    b->pub.data = NULL;
    b->pub.len = b->pub.cap = 0;
    return APR_SUCCESS;
}

llmux_buf_t *llmux_buf_create(apr_pool_t *p, apr_size_t max)
{
    buf_t *b = apr_pcalloc(p, sizeof(*b));

    b->pool = p;
    b->pub.max = max < SIZE_LIMIT ? max : SIZE_LIMIT;
    return &b->pub;
}

static void set_block(buf_t *b, char *block, apr_size_t cap)
{
    b->pub.data = block;
    b->pub.cap = cap;
}

static void take_first(buf_t *b, apr_size_t need)
{
    if (!b->first) {
        b->first_cap = APR_ALIGN(need, FIRST_STEP);
        b->first = apr_palloc(b->pool, b->first_cap);
    }
    set_block(b, b->first, b->first_cap);
}

/* Same as realloc, but that the first block stays where it is. */
static char *bigger(buf_t *b, apr_size_t cap)
{
    char *old = b->pub.data, *block;

    if (old && old != b->first) {
        return realloc(old, cap);
    }
    block = malloc(cap);
    if (block && old) {
        memcpy(block, old, b->pub.cap);
    }
    return block;
}

static int enlarge(buf_t *b, apr_size_t need)
{
    apr_size_t cap = b->pub.cap * 2;
    char *block;

    if (!b->pub.data && need <= (b->first ? b->first_cap : FIRST_MAX)) {
        take_first(b, need);
        return 1;
    }
    cap = cap < need ? need : cap;
    if (cap > SMALL_MAX && cap < MAPPED_SIZE) {
        cap = MAPPED_SIZE;
    }
    if (cap > b->pub.max + 1) {
        cap = b->pub.max + 1;
    }
    if (!b->guarded) {
        apr_pool_cleanup_register(b->pool, b, free_block,
                                  apr_pool_cleanup_null);
        b->guarded = 1;
    }
    block = bigger(b, cap);
    if (!block) {
        return 0;
    }
    set_block(b, block, cap);
    return 1;
}

/* Makes room for `more` bytes and a NUL behind what is there. */
static int reserve(buf_t *b, apr_size_t more)
{
    apr_size_t need;

    if (b->pub.failed || more > b->pub.max - b->pub.len) {
        b->pub.failed = 1;
        return 0;
    }
    need = b->pub.len + more + 1;
    if (need > b->pub.cap && !enlarge(b, need)) {
        b->pub.failed = 1;
        return 0;
    }
    return 1;
}

void llmux_buf_add(llmux_buf_t *pub, const void *data, apr_size_t len)
{
    if (!reserve((buf_t *)pub, len)) {
        return;
    }
    if (len) {
        memcpy(pub->data + pub->len, data, len);
    }
    pub->len += len;
    pub->data[pub->len] = '\0';
}

void llmux_buf_reserve(llmux_buf_t *b, apr_size_t more)
{
    if (!b->failed && more <= b->max - b->len) {
        reserve((buf_t *)b, more);
    }
}

void llmux_buf_adds(llmux_buf_t *b, const char *s)
{
    if (s) {
        llmux_buf_add(b, s, strlen(s));
    }
}

void llmux_buf_add_slice(llmux_buf_t *b, llmux_slice_t s)
{
    if (s.data) {
        llmux_buf_add(b, s.data, s.len);
    }
}

/* Bytes of room behind the text, its NUL included. */
static apr_size_t room(const buf_t *b)
{
    apr_size_t here = b->pub.cap - b->pub.len;
    apr_size_t allowed = b->pub.max - b->pub.len + 1;

    return here < allowed ? here : allowed;
}

void llmux_buf_addf(llmux_buf_t *pub, const char *fmt, ...)
{
    buf_t *b = (buf_t *)pub;
    va_list ap;
    int n;

    if (!reserve(b, 0)) {
        return;
    }
    va_start(ap, fmt);
    n = vsnprintf(pub->data + pub->len, room(b), fmt, ap);
    va_end(ap);
    if (n >= 0 && (apr_size_t)n >= room(b) && reserve(b, (apr_size_t)n)) {
        va_start(ap, fmt);
        n = vsnprintf(pub->data + pub->len, room(b), fmt, ap);
        va_end(ap);
    }
    if (n < 0) {
        pub->failed = 1;
    }
    if (!pub->failed) {
        pub->len += (apr_size_t)n;
    }
    pub->data[pub->len] = '\0';
}

void llmux_buf_reset(llmux_buf_t *pub)
{
    buf_t *b = (buf_t *)pub;

    if (pub->cap > KEPT_SIZE) {
        free_block(b);
    }
    pub->failed = 0;
    pub->len = 0;
    if (pub->data) {
        pub->data[0] = '\0';
    }
}

llmux_slice_t llmux_buf_slice(const llmux_buf_t *b)
{
    llmux_slice_t out = { b->data ? b->data : "", b->len };

    return out;
}
