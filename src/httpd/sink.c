/* sink.c - the answer, through httpd's output filters.
 *
 * httpd's rules for those who write: one brigade for each response, cleaned
 * after each pass; heed every result; never hold what could be sent. */

#include "server.h"

#include <apr_buckets.h>
#include <apr_strings.h>

typedef struct sink_t {
    llmux_sink_t super;
    request_rec *r;
    apr_bucket_brigade *bb;
} sink_t;

/* Headers that httpd wants to know of; all others pass. */
static int special_header(request_rec *r, const char *name, const char *value)
{
    if (!strcasecmp(name, "Content-Type")) {
        ap_set_content_type(r, value);
    }
    else if (!strcasecmp(name, "Content-Length")) {
        ap_set_content_length(r, apr_atoi64(value));
    }
    else if (!strcasecmp(name, "Vary")) {
        apr_table_merge(r->headers_out, name, value);
    }
    else {
        return 0;
    }
    return 1;
}

static int copy_header(void *rv, const char *name, const char *value)
{
    request_rec *r = rv;

    if (!strchr("CcVv", *name) || !special_header(r, name, value)) {
        apr_table_setn(r->headers_out, name, value);
    }
    return 1;
}

static void start(llmux_sink_t *super, int status, const apr_table_t *headers)
{
    sink_t *s = (sink_t *)super;

    /* As an ErrorDocument it goes out with the error that it explains. */
    if (status != HTTP_OK || !s->r->prev) {
        s->r->status = status;
        s->r->status_line = NULL;
    }
    request_ctx(s->r)->answering = 1;
    apr_table_do(copy_header, s->r, headers, NULL);
}

static apr_status_t pass(sink_t *s)
{
    apr_status_t rv = ap_pass_brigade(s->r->output_filters, s->bb);

    apr_brigade_cleanup(s->bb);
    if (rv != APR_SUCCESS || s->r->connection->aborted) {
        return APR_ECONNABORTED;
    }
    return APR_SUCCESS;
}

static apr_status_t write_bytes(llmux_sink_t *super, llmux_slice_t bytes)
{
    sink_t *s = (sink_t *)super;
    apr_bucket_alloc_t *ba = s->r->connection->bucket_alloc;

    APR_BRIGADE_INSERT_TAIL(s->bb, apr_bucket_transient_create(bytes.data,
                                                               bytes.len,
                                                               ba));
    APR_BRIGADE_INSERT_TAIL(s->bb, apr_bucket_flush_create(ba));
    return pass(s);
}

/* httpd reads the rest of a body before it flushes an answer that came too
 * early, and the client might send for minutes what nobody wants. */
static int is_early(request_rec *r)
{
    return !request_ctx(r)->body_read && ap_request_has_body(r);
}

/* The bytes live in the request's pool, which dies after them. */
static apr_status_t end(llmux_sink_t *super, llmux_slice_t bytes)
{
    sink_t *s = (sink_t *)super;
    apr_bucket_alloc_t *ba = s->r->connection->bucket_alloc;

    if (bytes.len) {
        APR_BRIGADE_INSERT_TAIL(s->bb,
                                apr_bucket_immortal_create(bytes.data,
                                                           bytes.len, ba));
    }
    if (is_early(s->r)) {
        APR_BRIGADE_INSERT_TAIL(s->bb, apr_bucket_flush_create(ba));
    }
    APR_BRIGADE_INSERT_TAIL(s->bb, apr_bucket_eos_create(ba));
    return pass(s);
}

llmux_sink_t *sink_create(request_rec *r)
{
    sink_t *s = apr_pcalloc(r->pool, sizeof(*s));

    s->super.start = start;
    s->super.write = write_bytes;
    s->super.end = end;
    s->r = r;
    s->bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    return &s->super;
}
