/* sink.c - the answer, through httpd's output filters.
 *
 * httpd's rules for those who write: one brigade for each response, cleaned
 * after each pass; heed every result; never hold what could be sent. And one
 * of ours: never wait for a client who takes his time, so that he costs a
 * socket and not a worker. */

#include "server.h"

#include <apr_buckets.h>
#include <apr_strings.h>

typedef struct sink_t {
    llmux_sink_t super;
    request_rec *r;
    apr_bucket_brigade *bb;
    llmux_slice_t rest;         /* write()'s bytes: not yet passed */
    llmux_slice_t last;         /* end()'s, behind them */
    int ending;                 /* end() was called, EOS is not passed */
    apr_time_t give_up;         /* our patience with the client ends here */
} sink_t;

#define PIECE 32768             /* of a long answer */

/* What httpd wants to be told of beside the header. */
static void tell_httpd(request_rec *r)
{
    const char *type = apr_table_get(r->headers_out, "Content-Type");
    const char *length = apr_table_get(r->headers_out, "Content-Length");

    if (type) {
        ap_set_content_type(r, type);
    }
    if (length) {
        ap_set_content_length(r, apr_atoi64(length));
    }
}

/* httpd answers 500 for a status that it does not know, such as Anthropic's
 * 529, unless it is told the line. */
static const char *line_of(apr_pool_t *p, int status)
{
    const char *known = ap_get_status_line(status);

    return apr_atoi64(known) == status
        ? NULL : apr_psprintf(p, "%d Overloaded", status);
}

static void start(llmux_sink_t *super, int status)
{
    sink_t *s = (sink_t *)super;

    /* As an ErrorDocument it goes out with the error that it explains. */
    if (status != HTTP_OK || !s->r->prev) {
        s->r->status = status;
        s->r->status_line = line_of(s->r->pool, status);
    }
    request_ctx(s->r)->answering = 1;
    tell_httpd(s->r);
}

/* ---- passing on ------------------------------------------------------- */

/* A bucket without bytes that no filter knows: those that collect small
 * writes (mod_ssl) let go of them, and unlike a FLUSH it does not make the
 * last filter wait for a slow client. */
static apr_status_t mark_read(apr_bucket *b, const char **data,
                              apr_size_t *len, apr_read_type_e block)
{
    *data = "";
    *len = 0;
    return APR_SUCCESS;
}

static void mark_destroy(void *unused)
{
}

static const apr_bucket_type_t mark_type = {
    "LLMUX", 5, APR_BUCKET_METADATA, mark_destroy, mark_read,
    apr_bucket_setaside_noop, apr_bucket_split_notimpl, apr_bucket_simple_copy
};

static apr_bucket *mark_create(apr_bucket_alloc_t *list)
{
    apr_bucket *b = apr_bucket_alloc(sizeof(*b), list);

    APR_BUCKET_INIT(b);
    b->free = apr_bucket_free;
    b->list = list;
    b->type = &mark_type;
    b->length = 0;
    b->start = 0;
    b->data = NULL;
    return b;
}

/* These pass on what comes, or set it aside so that conn_push() sees it. */
static const char *const passing[] = {
    "http_header", "chunk", "core", "content_length", "byterange",
    "http_outerror", "ssl/tls filter", "ssl/tls coalescing filter"
};

#define PASSING (sizeof(passing) / sizeof(passing[0]))

/* httpd's records of them; NULL = it has none of that name. */
static const ap_filter_rec_t *passes_on[PASSING];

void sink_init(void)
{
    apr_size_t i;

    for (i = 0; i < PASSING; i++) {
        passes_on[i] = ap_get_output_filter_handle(passing[i]);
    }
}

static int passes(const ap_filter_t *f)
{
    apr_size_t i = 0;

    while (i < PASSING && f->frec != passes_on[i]) {
        i++;
    }
    return i < PASSING;
}

/* Others may keep what comes without a FLUSH, as it is, while we believe that
 * it is sent and use its memory again: mod_deflate, mod_ratelimit. And HTTP/2
 * has no socket of its own to wait for. */
int sink_must_flush(const request_rec *r)
{
    const ap_filter_t *f = r->output_filters;

    while (f && passes(f)) {
        f = f->next;
    }
    return f || client_fd(r) < 0;
}

static void insert(sink_t *s, apr_bucket *b)
{
    APR_BRIGADE_INSERT_TAIL(s->bb, b);
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

apr_status_t conn_push(conn_rec *c)
{
    ap_filter_t *last = c->output_filters;

    while (last->next) {
        last = last->next;
    }
    if (last->frec->filter_func.out_func(last, NULL) != APR_SUCCESS
        || c->aborted) {
        return APR_ECONNABORTED;
    }
    return c->data_in_output_filters ? APR_EAGAIN : APR_SUCCESS;
}

static apr_status_t flush_bytes(sink_t *s, llmux_slice_t bytes)
{
    apr_bucket_alloc_t *ba = s->r->connection->bucket_alloc;

    insert(s, apr_bucket_transient_create(bytes.data, bytes.len, ba));
    insert(s, apr_bucket_flush_create(ba));
    return pass(s);
}

/* As far as the client takes them now. What is left waits where it is: nobody
 * touches it until drain() has sent it. */
static apr_status_t push_bytes(sink_t *s, llmux_slice_t bytes)
{
    apr_bucket_alloc_t *ba = s->r->connection->bucket_alloc;
    apr_status_t rv;

    insert(s, apr_bucket_immortal_create(bytes.data, bytes.len, ba));
    insert(s, mark_create(ba));
    rv = pass(s);
    return rv == APR_SUCCESS ? conn_push(s->r->connection) : rv;
}

/* ---- the end ---------------------------------------------------------- */

/* httpd reads the rest of a body before it flushes an answer that came too
 * early, and the client might send for minutes what nobody wants. */
int request_is_early(request_rec *r)
{
    return !request_ctx(r)->body_read && ap_request_has_body(r);
}

/* The last piece goes with the end: a short answer is one packet. The bytes
 * live in the request's pool, which dies after them. */
static apr_status_t pass_last(sink_t *s)
{
    apr_bucket_alloc_t *ba = s->r->connection->bucket_alloc;

    if (s->last.len) {
        insert(s, apr_bucket_immortal_create(s->last.data, s->last.len, ba));
    }
    if (request_is_early(s->r)) {
        insert(s, apr_bucket_flush_create(ba));
    }
    insert(s, apr_bucket_eos_create(ba));
    s->ending = 0;
    return pass(s);
}

/* Piece by piece: what httpd's last filter holds beyond its threshold
 * (FlushMaxThreshold, 64 KB) it waits for, whoever the client. One event of a
 * stream may be longer than that, too. */
static apr_status_t pass_pieces(sink_t *s, llmux_slice_t *bytes,
                                apr_size_t stay)
{
    apr_status_t rv = APR_SUCCESS;

    while (rv == APR_SUCCESS && bytes->len > stay && !sink_must_flush(s->r)) {
        llmux_slice_t piece = *bytes;

        piece.len = piece.len > PIECE ? PIECE : piece.len;
        bytes->data += piece.len;
        bytes->len -= piece.len;
        rv = push_bytes(s, piece);
    }
    return rv;
}

static apr_status_t pass_rest(sink_t *s)
{
    apr_status_t rv = pass_pieces(s, &s->rest, 0);

    if (rv == APR_SUCCESS && s->ending) {
        rv = pass_pieces(s, &s->last, PIECE);
        if (rv == APR_SUCCESS) {
            rv = pass_last(s);
        }
    }
    return rv;
}

static apr_status_t write_bytes(llmux_sink_t *super, llmux_slice_t bytes)
{
    sink_t *s = (sink_t *)super;

    if (sink_must_flush(s->r)) {
        return flush_bytes(s, bytes);
    }
    s->rest = bytes;
    return pass_rest(s);
}

static apr_status_t end(llmux_sink_t *super, llmux_slice_t bytes)
{
    sink_t *s = (sink_t *)super;

    s->last = bytes;
    s->ending = 1;
    return s->rest.len ? APR_EAGAIN : pass_rest(s);
}

/* ---- slow clients ----------------------------------------------------- */

/* A client that takes nothing for as long as httpd's Timeout is given up. */
static apr_status_t wait_for_room(sink_t *s, llmux_wait_t *wait, int ready)
{
    apr_time_t now = apr_time_now();

    if (ready || !s->give_up) {
        s->give_up = now + s->r->server->timeout;
    }
    if (now >= s->give_up) {
        /* Or the rest of it would end as if it were whole. */
        s->r->connection->aborted = 1;
        return APR_TIMEUP;
    }
    wait->count = 0;
    wait->deadline = s->give_up;
    llmux_wait_fd(wait, client_fd(s->r), LLMUX_WAIT_WRITE);
    return APR_EAGAIN;
}

static int is_ready(const llmux_wait_t *wait, int fd)
{
    int i;

    for (i = 0; i < wait->count; i++) {
        if (wait->fds[i].fd == fd && wait->fds[i].ready) {
            return 1;
        }
    }
    return 0;
}

static apr_status_t drain(llmux_sink_t *super, llmux_wait_t *wait)
{
    sink_t *s = (sink_t *)super;
    int ready = is_ready(wait, client_fd(s->r));
    apr_status_t rv = conn_push(s->r->connection);

    if (rv == APR_SUCCESS) {
        rv = pass_rest(s);
    }
    if (rv == APR_EAGAIN) {
        return wait_for_room(s, wait, ready);
    }
    s->give_up = 0;
    return rv;
}

llmux_sink_t *sink_create(request_rec *r, apr_bucket_brigade *bb)
{
    sink_t *s = apr_pcalloc(r->pool, sizeof(*s));

    s->super.headers = r->headers_out;
    s->super.start = start;
    s->super.write = write_bytes;
    s->super.end = end;
    s->super.drain = drain;
    s->r = r;
    s->bb = bb;
    return &s->super;
}
