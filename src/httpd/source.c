/* source.c - the request's body, read without blocking the worker. */

#include "server.h"

#include <apr_buckets.h>
#include <http_core.h>

#define READ_SIZE 65536

typedef struct source_t {
    llmux_source_t super;
    request_rec *r;
    apr_bucket_brigade *bb;
    apr_time_t give_up;         /* the client's silence ends here */
    int ended;
} source_t;

/* Appends the brigade's data. @return APR_EOF when EOS was in it */
static apr_status_t take(source_t *s, llmux_buf_t *into)
{
    apr_status_t rv = APR_EAGAIN;
    apr_bucket *b;

    for (b = APR_BRIGADE_FIRST(s->bb); b != APR_BRIGADE_SENTINEL(s->bb);
         b = APR_BUCKET_NEXT(b)) {
        const char *data;
        apr_size_t len;

        if (APR_BUCKET_IS_EOS(b)) {
            s->ended = 1;
            request_ctx(s->r)->body_read = 1;
            rv = APR_EOF;
            break;
        }
        if (APR_BUCKET_IS_METADATA(b)) {
            continue;
        }
        rv = apr_bucket_read(b, &data, &len, APR_BLOCK_READ);
        if (rv != APR_SUCCESS) {
            break;
        }
        llmux_buf_add(into, data, len);
        if (into->failed) {
            rv = APR_ENOSPC;
            break;
        }
        rv = APR_SUCCESS;
    }
    apr_brigade_cleanup(s->bb);
    return rv;
}

/* HTTP/2 has no descriptor of its own to wait for: it blocks. */
static apr_read_type_e read_type(const request_rec *r)
{
    return client_fd(r) < 0 ? APR_BLOCK_READ : APR_NONBLOCK_READ;
}

/* "Expect: 100-continue". httpd says it by itself only to those who read
 * with blocking. */
static void invite(request_rec *r)
{
    const char *line = r->status_line;
    int status = r->status;

    r->status = HTTP_CONTINUE;
    r->status_line = NULL;
    ap_send_interim_response(r, 0);
    r->status = status;
    r->status_line = line;
}

static apr_status_t wait_for_more(source_t *s, llmux_wait_t *wait)
{
    apr_time_t now = apr_time_now();

    if (s->r->expecting_100) {
        invite(s->r);
    }
    if (!s->give_up) {
        s->give_up = now + s->r->server->timeout;
    }
    if (now >= s->give_up) {
        return APR_TIMEUP;
    }
    wait->count = 0;
    wait->deadline = s->give_up;
    llmux_wait_fd(wait, client_fd(s->r), LLMUX_WAIT_READ);
    return APR_EAGAIN;
}

/* A filter of others (mod_deflate) may take a piece and give nothing for it
 * yet. What comes behind may have left the socket long ago, which says no more
 * of it then. */
static int holds_more(source_t *s)
{
    const request_rec *r = s->r;
    int more;

    if (r->input_filters == r->proto_input_filters) {
        return 0;
    }
    more = ap_get_brigade(r->connection->input_filters, s->bb,
                          AP_MODE_SPECULATIVE, APR_NONBLOCK_READ, 1)
               == APR_SUCCESS
        && !APR_BRIGADE_EMPTY(s->bb);
    apr_brigade_cleanup(s->bb);
    return more;
}

static apr_status_t read_some(source_t *s, llmux_buf_t *into)
{
    apr_status_t rv = ap_get_brigade(s->r->input_filters, s->bb,
                                     AP_MODE_READBYTES, read_type(s->r),
                                     READ_SIZE);

    if (rv == APR_SUCCESS) {
        return take(s, into);
    }
    apr_brigade_cleanup(s->bb);
    return rv;
}

static apr_status_t read_body(llmux_source_t *super, llmux_buf_t *into,
                              llmux_wait_t *wait)
{
    source_t *s = (source_t *)super;
    apr_status_t rv;

    if (s->ended) {
        return APR_EOF;
    }
    do {
        rv = read_some(s, into);
    } while (APR_STATUS_IS_EAGAIN(rv) && holds_more(s));
    if (APR_STATUS_IS_EAGAIN(rv)) {
        return wait_for_more(s, wait);
    }
    s->give_up = 0;
    return rv;
}

llmux_source_t *source_create(request_rec *r, apr_bucket_brigade *bb)
{
    source_t *s = apr_pcalloc(r->pool, sizeof(*s));

    s->super.read = read_body;
    s->r = r;
    s->bb = bb;
    return &s->super;
}
