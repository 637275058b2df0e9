/* error_page.c - errors that httpd itself answers for our locations (401 of
 * an auth module, 413 of the server) become JSON: an SDK reads no HTML. */

#include "server.h"

#include <apr_buckets.h>

#define FILTER "LLMUX_ERROR"

static void replace_headers(request_rec *r, apr_size_t len)
{
    apr_table_unset(r->headers_out, "Content-Length");
    apr_table_unset(r->err_headers_out, "Content-Length");
    apr_table_unset(r->headers_out, "Last-Modified");
    apr_table_unset(r->headers_out, "ETag");
    ap_set_content_type(r, "application/json");
    ap_set_content_length(r, (apr_off_t)len);
}

/* The first brigade brings the page: ours goes out instead, the rest of
 * httpd's is dropped. */
static apr_status_t error_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;
    apr_bucket_alloc_t *ba = r->connection->bucket_alloc;
    apr_bucket *b, *next;
    const char *body;

    for (b = APR_BRIGADE_FIRST(bb); b != APR_BRIGADE_SENTINEL(bb); b = next) {
        next = APR_BUCKET_NEXT(b);
        if (!APR_BUCKET_IS_METADATA(b)) {
            apr_bucket_delete(b);
        }
    }
    if (!f->ctx) {
        f->ctx = f;
        body = llmux_error_page(r->pool, r->uri, r->status, NULL);
        replace_headers(r, strlen(body));
        APR_BRIGADE_INSERT_HEAD(bb, apr_bucket_immortal_create(
                                        body, strlen(body), ba));
    }
    return ap_pass_brigade(f->next, bb);
}

void llmux_register_filters(void)
{
    ap_register_output_filter(FILTER, error_filter, NULL, AP_FTYPE_RESOURCE);
}

/* Some errors, such as one in the escapes of the path, come before the request
 * could be marked. */
void llmux_insert_error_filter(request_rec *r)
{
    request_ctx_t *ctx = request_ctx_if_any(r);

    if (r->status < 400 || (ctx && ctx->answering)) {
        return;
    }
    if ((ctx && ctx->ours) || will_be_ours(r)) {
        ap_add_output_filter(FILTER, NULL, r, r->connection);
    }
}
