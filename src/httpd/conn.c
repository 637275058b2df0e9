/* conn.c - a client's connection in its worker: requests are served, come
 * back from parking, and the next one is awaited for a moment. */

#include "conn.h"

#include <poll.h>

#include <ap_mpm.h>
#include <apr_atomic.h>
#include <apr_portable.h>
#include <http_connection.h>
#include <http_core.h>
#include <scoreboard.h>

/* ---- workers ----------------------------------------------------------- */

static apr_uint32_t busy;       /* workers of this child with a connection */
static int workers = 1;

void conn_init(void)
{
    if (ap_mpm_query(AP_MPMQ_MAX_THREADS, &workers) != APR_SUCCESS
        || workers < 1) {
        workers = 1;
    }
}

int workers_are_scarce(void)
{
    return apr_atomic_read32(&busy) * 2 > (apr_uint32_t)workers;
}

/* ---- contexts ---------------------------------------------------------- */

conn_ctx_t *conn_ctx(const conn_rec *c)
{
    return c->master ? NULL : ap_get_module_config(c->conn_config,
                                                   &llmux_module);
}

static apr_status_t conn_end(void *data)
{
    conn_ctx_t *cc = data;

    park_drop(cc);
    nest_close(&cc->nest, 0);
    return APR_SUCCESS;
}

int llmux_pre_connection(conn_rec *c, void *csd)
{
    conn_ctx_t *cc;

    if (c->master || !c->cs || c->outgoing) {
        return DECLINED;
    }
    cc = apr_pcalloc(c->pool, sizeof(*cc));
    cc->c = c;
    cc->socket = csd;
    cc->quick = 1;
    if (apr_os_sock_get(&cc->fd, cc->socket) != APR_SUCCESS) {
        return DECLINED;
    }
    nest_init(&cc->nest, cc->fd);
    ap_set_module_config(c->conn_config, &llmux_module, cc);
    apr_pool_pre_cleanup_register(c->pool, cc, conn_end);
    return OK;
}

int llmux_pre_close_connection(conn_rec *c)
{
    conn_ctx_t *cc = conn_ctx(c);

    if (cc) {
        park_drop(cc);
    }
    return DECLINED;
}

/* ---- serving ----------------------------------------------------------- */

/* The worker leaves, or, when the child stops, the request ends here. */
static void leave(conn_ctx_t *cc, request_ctx_t *ctx)
{
    if (!park(cc, ctx)) {
        park_over(cc);
        request_abandon(ctx, LLMUX_END_STOPPED);
        request_finish(ctx);
    }
}

/* As httpd would: the other hooks, the handler among them. */
static int serve(conn_ctx_t *cc)
{
    conn_rec *c = cc->c;
    int rc;

    cc->linger = 0;
    cc->suspended = NULL;
    cc->inside = 1;
    rc = ap_run_process_connection(c);
    cc->inside = 0;
    if (cc->suspended && c->cs->state == CONN_STATE_SUSPENDED) {
        leave(cc, cc->suspended);
        return OK;
    }
    return rc;
}

/* A worker is back. */
static int resume(conn_ctx_t *cc)
{
    request_ctx_t *ctx = unpark(cc);
    int done;

    if (!ctx) {
        cc->c->cs->state = CONN_STATE_LINGER;   /* of the close, that is */
        return OK;
    }
    ap_update_child_status(cc->c->sbh, SERVER_BUSY_WRITE, NULL);
    cc->inside = 1;
    if (!nest_look(&cc->nest, &ctx->wait)) {
        request_abandon(ctx, LLMUX_END_CLIENT_GONE);
    }
    done = request_drive(ctx);
    cc->inside = 0;
    if (done) {
        park_over(cc);
        request_finish(ctx);
    }
    else {
        leave(cc, ctx);
    }
    return OK;
}

/* ---- lingering --------------------------------------------------------- */

/* Agents and batches send the next request as soon as they have an answer.
 * To wait for it here for some milliseconds costs less than the way through
 * the MPM: its listener, a queue, another thread. Who kept us waiting the
 * last time is not waited for again, and nobody is while workers are scarce. */

static int is_stopping(void)
{
    int state = 0;

    return ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS
        && state == AP_MPMQ_STOPPING;
}

static int may_linger(const conn_ctx_t *cc)
{
    const conn_rec *c = cc->c;

    return cc->linger && c->cs->state == CONN_STATE_WRITE_COMPLETION
        && c->keepalive == AP_CONN_KEEPALIVE && !c->aborted;
}

static int is_readable(int fd, apr_interval_time_t patience)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return poll(&p, 1, (int)apr_time_as_msec(patience)) == 1;
}

/* Is the next request there? It may have come with the one before. */
static int await_next(conn_ctx_t *cc)
{
    if (!cc->quick || workers_are_scarce()
        || conn_push(cc->c) != APR_SUCCESS || is_stopping()) {
        return 0;
    }
    return cc->c->data_in_input_filters
        || (is_readable(cc->fd, cc->linger) && !is_stopping());
}

static int linger(conn_ctx_t *cc)
{
    if (!may_linger(cc)) {
        return 0;
    }
    cc->idle_since = apr_time_now();
    cc->patience = cc->linger;
    if (!await_next(cc)) {
        return 0;
    }
    cc->idle_since = 0;
    cc->c->cs->state = CONN_STATE_PROCESSING;
    return 1;
}

/* How long has the client been away? */
static void greet(conn_ctx_t *cc)
{
    if (cc->idle_since) {
        cc->quick = apr_time_now() - cc->idle_since <= cc->patience;
        cc->idle_since = 0;
    }
}

/* ---- the hook ---------------------------------------------------------- */

int llmux_process_connection(conn_rec *c)
{
    conn_ctx_t *cc = conn_ctx(c);
    int rc;

    if (!cc || cc->inside) {
        return DECLINED;
    }
    apr_atomic_inc32(&busy);
    greet(cc);
    rc = cc->swapped ? resume(cc) : serve(cc);
    while (rc == OK && linger(cc)) {
        rc = serve(cc);
    }
    apr_atomic_dec32(&busy);
    return rc;
}
