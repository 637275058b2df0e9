/* reply.c - status, headers and the last bytes of every answer. */

#include <string.h>
#include <strings.h>

#include <apr_strings.h>

#include "exchange.h"

#define STREAM_TYPE "text/event-stream"
#define JSON_TYPE   "application/json"

/* ---- headers --------------------------------------------------------- */

static int is_allowed_origin(const apr_array_header_t *origins,
                             const char *origin)
{
    int i;

    for (i = 0; i < origins->nelts; i++) {
        const char *allowed = APR_ARRAY_IDX(origins, i, const char *);

        if (!strcmp(allowed, "*") || !strcasecmp(allowed, origin)) {
            return 1;
        }
    }
    return 0;
}

int reply_origin_allowed(const llmux_exchange_t *x)
{
    const char *origin = apr_table_get(x->in->headers, "Origin");

    return origin && is_allowed_origin(x->settings->cors_origins, origin);
}

/* Fetch standard, "CORS protocol". A page of another origin reads nothing
 * without these headers. */
static void cors_headers(llmux_exchange_t *x)
{
    const char *wanted = apr_table_get(x->in->headers,
                                       "Access-Control-Request-Headers");

    if (x->settings->cors_origins->nelts) {
        apr_table_mergen(x->headers, "Vary", "Origin");
    }
    if (!reply_origin_allowed(x)) {
        return;
    }
    apr_table_setn(x->headers, "Access-Control-Allow-Origin",
                   apr_table_get(x->in->headers, "Origin"));
    apr_table_setn(x->headers, "Access-Control-Expose-Headers",
                   "X-Request-ID, X-LLMux-Warnings, X-Upstream-Request-ID, "
                   "Retry-After, X-Should-Retry");
    if (!strcmp(x->in->method, "OPTIONS")) {
        apr_table_setn(x->headers, "Access-Control-Allow-Methods",
                       "GET, POST, OPTIONS");
        apr_table_setn(x->headers, "Access-Control-Max-Age", "600");
        apr_table_setn(x->headers, "Access-Control-Allow-Headers",
                       wanted ? wanted : "Authorization, Content-Type");
    }
}

void reply_headers(llmux_exchange_t *x)
{
    apr_table_setn(x->headers, "X-Request-ID", x->record.request_id);
    cors_headers(x);
}

/* Before the first content another attempt may follow, and the provider's
 * headers die with this one. */
void reply_attempt_headers(llmux_exchange_t *x, attempt_t *a)
{
    const char *warnings = llmux_warnings_header(x->pool, a->warnings);

    if (a->told) {
        return;
    }
    a->told = x->content_sent;
    if (a->head && x->content_sent) {
        llmux_provider_headers_down(x->headers, a->head, a->same);
    }
    if (warnings) {
        apr_table_setn(x->headers, "X-LLMux-Warnings", warnings);
    }
}

static void start(llmux_exchange_t *x, int status, const char *type,
                  const llmux_slice_t *whole)
{
    if (type) {
        apr_table_setn(x->headers, "Content-Type", type);
    }
    if (whole && status != 204) {
        apr_table_setn(x->headers, "Content-Length",
                       apr_psprintf(x->pool, "%" APR_SIZE_T_FMT, whole->len));
    }
    if (x->dialect == &llmux_dialect_anthropic) {
        apr_table_setn(x->headers, "request-id", x->record.request_id);
    }
    x->record.status = status;
    x->headers_sent = 1;
    x->in->sink->start(x->in->sink, status);
}

static void start_stream(llmux_exchange_t *x)
{
    if (x->headers_sent) {
        return;
    }
    if (x->attempt) {
        reply_attempt_headers(x, x->attempt);
    }
    apr_table_setn(x->headers, "Cache-Control", "no-cache");
    apr_table_setn(x->headers, "X-Accel-Buffering", "no");
    start(x, 200, x->array ? JSON_TYPE : STREAM_TYPE, NULL);
}

/* ---- bytes ----------------------------------------------------------- */

llmux_buf_t *reply_buf(llmux_exchange_t *x)
{
    llmux_buf_t *b = x->spare;

    x->spare = NULL;
    return b ? b : llmux_buf_create(x->pool, LLMUX_ANSWER_MAX);
}

/* The buffer is the sink's until it has sent all of it.
 * @return 0: client gone */
static int pass(llmux_exchange_t *x, llmux_buf_t *bytes)
{
    apr_status_t rv = x->in->sink->write(x->in->sink, llmux_buf_slice(bytes));

    x->last_write = llmux_now(x->env);
    x->clogged = rv == APR_EAGAIN;
    if (x->clogged) {
        x->sending = bytes;
        return 1;
    }
    llmux_buf_reset(bytes);
    return rv == APR_SUCCESS;
}

go_e reply_drain(llmux_exchange_t *x, llmux_wait_t *wait)
{
    apr_status_t rv = x->in->sink->drain(x->in->sink, wait);

    x->clogged = rv == APR_EAGAIN;
    x->last_write = llmux_now(x->env);
    if (x->clogged) {
        return GO_WAIT;
    }
    if (x->sending) {
        llmux_buf_reset(x->sending);
        x->spare = x->sending;
        x->sending = NULL;
    }
    return rv == APR_SUCCESS ? GO_ON : GO_FAIL;
}

static int may_flush(const llmux_exchange_t *x)
{
    return x->record.streamed && x->out && x->out->len
        && (x->content_sent || x->attempt->content
            || x->out->len >= LLMUX_HELD_MAX);
}

int reply_flush(llmux_exchange_t *x)
{
    int here;

    if (!may_flush(x)) {
        return 1;
    }
    x->content_sent = 1;
    start_stream(x);
    here = pass(x, x->out);
    if (x->clogged) {
        x->out = reply_buf(x);
    }
    return here;
}

/* What is held back stays behind it: it belongs to an attempt that has not
 * said anything yet. */
int reply_heartbeat(llmux_exchange_t *x)
{
    const llmux_encode_t how = answer_how(x);
    llmux_event_t ping = { .kind = LLMUX_EV_PING };
    llmux_buf_t *bytes = reply_buf(x);
    llmux_encoder_t *encoder;
    apr_pool_t *scratch;
    int here;

    apr_pool_create(&scratch, x->pool);
    encoder = x->dialect->encoder(scratch, &how);
    encoder->event(encoder, &ping, bytes);
    apr_pool_destroy(scratch);
    start_stream(x);
    here = pass(x, bytes);
    if (!x->clogged) {
        x->spare = bytes;
    }
    return here;
}

static void end(llmux_exchange_t *x, llmux_slice_t bytes, llmux_end_e how)
{
    settle(x, how);
    x->clogged = x->in->sink->end(x->in->sink, bytes) == APR_EAGAIN;
}

void reply_page(llmux_exchange_t *x, int status, const char *type,
                llmux_slice_t bytes)
{
    start(x, status, type, &bytes);
    end(x, bytes, status < 400 ? LLMUX_END_OK : LLMUX_END_ERROR);
}

void reply_end(llmux_exchange_t *x)
{
    const attempt_t *a = x->attempt;
    llmux_slice_t whole;

    if (x->record.streamed) {
        if (a->relay && !a->done_sent && x->dialect->sentinel) {
            llmux_buf_adds(x->out, x->dialect->sentinel);
        }
        start_stream(x);
        end(x, llmux_buf_slice(x->out), LLMUX_END_OK);
        return;
    }
    whole = a->relay ? llmux_stream_body(a->stream) : llmux_buf_slice(x->out);
    start(x, 200, JSON_TYPE, &whole);
    end(x, whole, LLMUX_END_OK);
}

/* ---- errors ---------------------------------------------------------- */

static void error_headers(llmux_exchange_t *x, const llmux_error_t *err)
{
    if (err->retry_after >= 0) {
        apr_table_setn(x->headers, "Retry-After",
                       apr_psprintf(x->pool, "%" APR_TIME_T_FMT,
                                    apr_time_sec(err->retry_after
                                                 + APR_USEC_PER_SEC - 1)));
    }
    if (err->final) {
        apr_table_setn(x->headers, "X-Should-Retry", "false");
    }
    if (err->kind == LLMUX_ERR_AUTH) {
        apr_table_setn(x->headers, "WWW-Authenticate",
                       "Bearer realm=\"llmux\"");
    }
}

/* Never a bare cut: the stream says in its own dialect what happened. It may
 * have had heartbeats alone, and nobody may have been asked yet. */
static void error_event(llmux_exchange_t *x)
{
    const llmux_encode_t how = answer_how(x);
    const llmux_event_t ev = { .kind = LLMUX_EV_ERROR, .error = x->error };
    llmux_encoder_t *encoder = x->attempt ? x->attempt->encoder : NULL;

    if (!x->out) {
        x->out = reply_buf(x);
    }
    /* Some number their events. */
    encoder = encoder ? encoder : x->dialect->encoder(x->pool, &how);
    encoder->event(encoder, &ev, x->out);
    end(x, llmux_buf_slice(x->out), LLMUX_END_ERROR);
}

static int status_of(const llmux_exchange_t *x)
{
    return x->dialect->error_status ? x->dialect->error_status(x->error)
                                    : x->error->status;
}

static void error_body(llmux_exchange_t *x)
{
    llmux_buf_t *body = llmux_buf_create(x->pool, LLMUX_ERROR_BODY_MAX);
    llmux_slice_t bytes;

    x->dialect->error_write(body, x->error, x->record.request_id);
    bytes = llmux_buf_slice(body);
    error_headers(x, x->error);
    start(x, status_of(x), JSON_TYPE, &bytes);
    end(x, bytes, LLMUX_END_ERROR);
}

void reply_error(llmux_exchange_t *x)
{
    x->record.error = llmux_error_name(x->error->kind);
    if (x->attempt) {
        attempt_close(x->attempt);
    }
    if (x->headers_sent) {
        error_event(x);
    }
    else {
        error_body(x);
    }
}

const char *llmux_error_page(apr_pool_t *p, const char *path, int status,
                             const char *request_id)
{
    llmux_buf_t *body = llmux_buf_create(p, LLMUX_ERROR_BODY_MAX);
    llmux_error_t *err = llmux_error(p, llmux_error_kind_of(status), NULL,
                                     "The server refused the request "
                                     "(status %d).", status);

    err->status = status;
    dialect_of_path(p, path)->error_write(body, err, request_id);
    return body->data;
}
