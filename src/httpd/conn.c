/* conn.c - a client's connection: requests are served, come back from
 * parking, and the next one is awaited for a moment. */

#include "conn.h"

#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

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
    sem_destroy(&cc->seat.back);
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
    cc->id = llmux_wait_id();
    sem_init(&cc->seat.back, 0, 0);
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

/* ---- turns ------------------------------------------------------------- */

/* "POST /v1/messages": without a query, which may hold a key. */
static apr_size_t start_of(const char *line)
{
    apr_size_t method = strcspn(line, " ");

    return line[method] ? method + 1 + strcspn(line + method + 1, " ?")
                        : method;
}

void conn_expect(conn_ctx_t *cc, const request_ctx_t *ctx)
{
    const char *line = ctx->r->the_request;
    apr_size_t len = start_of(line);

    cc->linger = ctx->settings->linger;
    cc->rides = ctx->settings->park != LLMUX_PARK_ALWAYS
        && len <= sizeof(cc->line);
    if (cc->rides) {
        memcpy(cc->line, line, len);
        cc->line_len = len;
    }
}

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

static int is_worth_it(const conn_ctx_t *cc)
{
    return cc->quick && !workers_are_scarce()
        && conn_push(cc->c) == APR_SUCCESS && !is_stopping();
}

/* The next request may have come with the one before. */
static turn_e answered(conn_ctx_t *cc)
{
    if (cc->rc != OK || !may_linger(cc)) {
        return TURN_OVER;
    }
    cc->idle_since = apr_time_now();
    cc->patience = cc->linger;
    if (!is_worth_it(cc)) {
        return TURN_OVER;
    }
    return cc->c->data_in_input_filters ? TURN_NEXT : TURN_IDLE;
}

/* As httpd would: the other hooks, the handler among them. */
static turn_e serve(conn_ctx_t *cc)
{
    conn_rec *c = cc->c;

    cc->linger = 0;
    cc->suspended = NULL;
    cc->idle_since = 0;
    cc->inside = 1;
    cc->rc = ap_run_process_connection(c);
    cc->inside = 0;
    return cc->suspended && c->cs->state == CONN_STATE_SUSPENDED
        ? TURN_WAITS : answered(cc);
}

static turn_e serve_next(conn_ctx_t *cc)
{
    cc->c->cs->state = CONN_STATE_PROCESSING;
    return serve(cc);
}

/* With the request that has left its handler. */
static turn_e go_on(conn_ctx_t *cc)
{
    request_ctx_t *ctx = cc->suspended;
    int done;

    cc->inside = 1;
    done = request_drive(ctx);
    cc->inside = 0;
    if (!done) {
        return TURN_WAITS;
    }
    cc->rc = OK;
    cc->suspended = NULL;
    park_over(cc);
    request_finish(ctx);
    return answered(cc);
}

/* A worker is back. */
static turn_e resume(conn_ctx_t *cc)
{
    cc->suspended = unpark(cc);
    if (!cc->suspended) {
        cc->c->cs->state = CONN_STATE_LINGER;   /* of the close, that is */
        return TURN_OVER;
    }
    ap_update_child_status(cc->c->sbh, SERVER_BUSY_WRITE, NULL);
    if (!nest_look(&cc->nest, &cc->suspended->wait)) {
        request_abandon(cc->suspended, LLMUX_END_CLIENT_GONE);
    }
    return go_on(cc);
}

/* The worker leaves, or, when the child stops, the request ends here. */
static turn_e leave(conn_ctx_t *cc)
{
    request_ctx_t *ctx = cc->suspended;

    cc->suspended = NULL;
    if (!park(cc, ctx)) {
        park_over(cc);
        request_abandon(ctx, LLMUX_END_STOPPED);
        request_finish(ctx);
    }
    return TURN_OVER;
}

/* ---- lingering --------------------------------------------------------- */

/* Agents and batches send the next request as soon as they have an answer.
 * To wait for it for some milliseconds costs less than the way through the
 * MPM: its listener, a queue, another thread. Who kept us waiting the last
 * time is not waited for again, and nobody is while workers are scarce. */

static int is_readable(int fd, apr_interval_time_t patience)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return poll(&p, 1, (int)apr_time_as_msec(patience)) == 1;
}

/* Best in a loop, with others. */
static turn_e linger(conn_ctx_t *cc)
{
    turn_e turn = cc->rides ? loop_ride(cc) : TURN_IDLE;

    if (turn == TURN_WAITS) {
        return go_on(cc);
    }
    if (turn == TURN_IDLE) {
        turn = is_readable(cc->fd, cc->patience) && !is_stopping()
            ? TURN_NEXT : TURN_OVER;
    }
    return turn;
}

/* How long has the client been away? */
static void greet(conn_ctx_t *cc)
{
    if (cc->idle_since) {
        cc->quick = apr_time_now() - cc->idle_since <= cc->patience;
        cc->idle_since = 0;
    }
}

/* ---- in a loop --------------------------------------------------------- */

#define HEAD_MAX 8192
#define TLS_APPLICATION_DATA 23     /* RFC 8446 5.1 */
#define TLS_HEADER 5

/* A record may be longer than what we look at. */
static int is_whole_record(int fd, const unsigned char *data, apr_size_t len)
{
    int there = 0;

    return len >= TLS_HEADER && ioctl(fd, FIONREAD, &there) == 0
        && there >= TLS_HEADER + (data[3] << 8 | data[4]);
}

static int is_whole_head(const conn_ctx_t *cc, const char *data,
                         apr_size_t len)
{
    return len > cc->line_len && !memcmp(data, cc->line, cc->line_len)
        && (data[cc->line_len] == ' ' || data[cc->line_len] == '?')
        && memmem(data, len, "\r\n\r\n", 4);
}

/* Others are at the same table, and httpd reads a head to its end, however
 * long that takes; and who knows what another path is served by: that is for
 * a worker of its own. Of TLS we see the frame only, and what is no request
 * is httpd's to see. */
static turn_e next_in_loop(conn_ctx_t *cc)
{
    char head[HEAD_MAX];
    ssize_t n = recv(cc->fd, head, sizeof(head), MSG_PEEK | MSG_DONTWAIT);
    int whole = 1;

    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return TURN_IDLE;
    }
    if (n > 0) {
        whole = head[0] == TLS_APPLICATION_DATA
            ? is_whole_record(cc->fd, (const unsigned char *)head,
                              (apr_size_t)n)
            : is_whole_head(cc, head, (apr_size_t)n);
    }
    return whole ? serve_next(cc) : TURN_NEXT;
}

turn_e conn_turn(conn_ctx_t *cc)
{
    if (!cc->suspended) {
        return next_in_loop(cc);
    }
    if (cc->seat.gone) {
        request_abandon(cc->suspended, LLMUX_END_CLIENT_GONE);
    }
    return go_on(cc);
}

/* ---- the hook ---------------------------------------------------------- */

static turn_e next_turn(conn_ctx_t *cc, turn_e turn)
{
    switch (turn) {
    case TURN_IDLE:
        return linger(cc);
    case TURN_NEXT:
        return serve_next(cc);
    default:
        return leave(cc);
    }
}

int llmux_process_connection(conn_rec *c)
{
    conn_ctx_t *cc = conn_ctx(c);
    turn_e turn;

    if (!cc || cc->inside) {
        return DECLINED;
    }
    apr_atomic_inc32(&busy);
    greet(cc);
    cc->rc = OK;
    turn = cc->swapped ? resume(cc) : serve(cc);
    while (turn != TURN_OVER) {
        turn = next_turn(cc, turn);
    }
    apr_atomic_dec32(&busy);
    return cc->rc;
}
