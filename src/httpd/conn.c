/* conn.c - a client's connection: requests are served, come back from
 * parking, and the next one is awaited for a moment. */

#include "conn.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <ap_mpm.h>
#include <apr_atomic.h>
#include <apr_portable.h>
#include <http_connection.h>
#include <http_core.h>
#if AP_MODULE_MAGIC_AT_LEAST(20120211, 137)
#include <http_ssl.h>
#else
#define ap_ssl_conn_is_ssl(c) 0     /* nobody rides there */
#endif
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

/* Who rides gets off later than others may get on, or each worker that is
 * busy for a moment would send home all who have something to do in it. And
 * the MPM's listener reserves a worker for itself, and accepts nobody while
 * there is no other; nor while there are more connections than
 * AsyncRequestWorkerFactor times those that are idle. So where many are
 * parked, half of the workers are to be idle. */
static const struct {
    apr_uint32_t eighths;       /* of all workers may be busy */
    apr_uint32_t crowded;       /* ... with more parked than there are workers */
    apr_uint32_t left;          /* ... and so many may not */
} limits[] = {
    [USE_WAIT]    = { 4, 4, 2 },
    [USE_BOARD]   = { 6, 4, 2 },
    [USE_RIDE]    = { 7, 5, 0 },
};

int workers_are_scarce(use_e use)
{
    apr_uint32_t now = apr_atomic_read32(&busy), all = (apr_uint32_t)workers;
    apr_uint32_t eighths = park_count() > all ? limits[use].crowded
                                              : limits[use].eighths;

    return now * 8 > all * eighths
        || now + limits[use].left > all;
}

/* ---- from thread to thread --------------------------------------------- */

/* httpd hands a connection from one of its threads to another, and its memory
 * to the next connection, in order; but it is not instrumented, so whoever
 * looks for races must be told. */
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define HAND_OVER(what) __tsan_release(what)
#define TAKE_OVER(what) __tsan_acquire(what)
#else
#define HAND_OVER(what) ((void)(what))
#define TAKE_OVER(what) ((void)(what))
#endif

static char memory;             /* of connections: its address is its name */

/* ---- contexts ---------------------------------------------------------- */

conn_ctx_t *conn_ctx(const conn_rec *c)
{
    return c->master ? NULL : ap_get_module_config(c->conn_config,
                                                   &llmux_module);
}

apr_bucket_brigade *conn_brigade(conn_ctx_t *cc)
{
    if (!cc->bb) {
        cc->bb = apr_brigade_create(cc->c->pool, cc->c->bucket_alloc);
    }
    return cc->bb;
}

static apr_status_t conn_end(void *data)
{
    conn_ctx_t *cc = data;

    TAKE_OVER(cc);
    park_drop(cc);
    nest_close(&cc->nest, 0);
    HAND_OVER(&memory);
    return APR_SUCCESS;
}

int llmux_pre_connection(conn_rec *c, void *csd)
{
    conn_ctx_t *cc;

    if (c->master || !c->cs || c->outgoing) {
        return DECLINED;
    }
    TAKE_OVER(&memory);
    cc = apr_pcalloc(c->pool, sizeof(*cc));
    cc->c = c;
    cc->socket = csd;
    cc->quick = 1;
    if (apr_os_sock_get(&cc->fd, cc->socket) != APR_SUCCESS) {
        return DECLINED;
    }
    nest_init(&cc->nest, cc->fd);
    cc->id = llmux_wait_id();
    ap_set_module_config(c->conn_config, &llmux_module, cc);
    apr_pool_pre_cleanup_register(c->pool, cc, conn_end);
    HAND_OVER(cc);
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

#define HELD_UP_MAX 3

/* Of the requests that came to a loop while they waited: how many have ended,
 * and how many of those held it up with what is done behind the handler. */
static apr_uint32_t ends, late_ends;

int conn_ends_aboard(void)
{
    apr_uint32_t late = apr_atomic_read32(&late_ends);

    return late < HELD_UP_MAX || late * 16 < apr_atomic_read32(&ends);
}

void conn_held_up(conn_ctx_t *cc, turn_e turn)
{
    cc->seat->held_up++;
    if (turn != TURN_WAITS && cc->ended_aboard) {
        apr_atomic_inc32(&late_ends);
    }
}

/* Strangers do not ride, nor who has held up others more than once or twice:
 * one of httpd's hooks is slow for him. */
static int may_ride(const conn_ctx_t *cc, const request_ctx_t *ctx)
{
    return (!cc->seat || cc->seat->held_up < HELD_UP_MAX)
        && ctx->settings->park != LLMUX_PARK_ALWAYS
        && llmux_exchange_record(ctx->exchange)->attempts > 0;
}

/* @return 0: it gets no seat */
static int take_seat(conn_ctx_t *cc, const request_rec *r)
{
    llmux_slice_t host = llmux_slice(apr_table_get(r->headers_in, "Host"));
    apr_size_t len = start_of(r->the_request);

    if (!cc->seat) {
        cc->seat = seat_make(cc->c->pool);
    }
    if (!cc->seat || len > LINE_MAX_KEPT || !host.len
        || host.len > LINE_MAX_KEPT) {
        return 0;
    }
    memcpy(cc->seat->line, r->the_request, len);
    cc->seat->line_len = len;
    memcpy(cc->seat->host, host.data, host.len);
    cc->seat->host_len = host.len;
    cc->seat->secure = ap_ssl_conn_is_ssl(cc->c);
    return 1;
}

void conn_remember(conn_ctx_t *cc, const request_ctx_t *ctx)
{
    cc->ended_aboard = ctx->aboard;
    if (ctx->aboard) {
        apr_atomic_inc32(&ends);
    }
    cc->linger = ctx->settings->linger;
    cc->rides = cc->linger && may_ride(cc, ctx)
        && take_seat(cc, ctx->r);
}

int conn_board(conn_ctx_t *cc, const request_ctx_t *ctx)
{
    cc->boards = loop_takes(cc, &ctx->wait) && may_ride(cc, ctx)
        && take_seat(cc, ctx->r);
    return cc->boards;
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
    return cc->quick && !workers_are_scarce(cc->rides ? USE_BOARD : USE_WAIT)
        && conn_push(cc->c) == APR_SUCCESS && !is_stopping();
}

/* The next request may have come with the one before. */
static turn_e answered(conn_ctx_t *cc)
{
    if (cc->rc != OK || !may_linger(cc)) {
        return TURN_OVER;
    }
    cc->idle_since = loop_now();
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
    if (c->cs->state != CONN_STATE_SUSPENDED) {
        cc->suspended = NULL;
    }
    return cc->suspended ? TURN_WAITS : answered(cc);
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
        cc->quick = loop_now() - cc->idle_since <= cc->patience;
        cc->idle_since = 0;
    }
}

/* ---- in a loop --------------------------------------------------------- */

#define HEAD_MAX 8192

/* What of the next request is there, and stays there. Empty: the end.
 * @return APR_EAGAIN: nothing */
static apr_status_t peek_plain(const conn_ctx_t *cc, char *to,
                               apr_size_t *len)
{
    ssize_t n = recv(cc->fd, to, *len, MSG_PEEK | MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return APR_EAGAIN;
    }
    *len = n > 0 ? (apr_size_t)n : 0;
    return APR_SUCCESS;
}

/* A record may be a ticket, or half of a head: only mod_ssl can tell. */
static apr_status_t peek_filters(conn_ctx_t *cc, char *to, apr_size_t *len)
{
    apr_bucket_brigade *bb = conn_brigade(cc);
    apr_status_t rv = ap_get_brigade(cc->c->input_filters, bb,
                                     AP_MODE_SPECULATIVE, APR_NONBLOCK_READ,
                                     (apr_off_t)*len);

    if (rv == APR_SUCCESS && APR_BRIGADE_EMPTY(bb)) {
        rv = APR_EAGAIN;
    }
    if (rv == APR_SUCCESS) {
        rv = apr_brigade_flatten(bb, to, len);
    }
    apr_brigade_cleanup(bb);
    if (rv != APR_SUCCESS && !APR_STATUS_IS_EAGAIN(rv)) {
        *len = 0;
        rv = APR_SUCCESS;
    }
    return rv;
}

/* The first Host of a head: httpd refuses one that has two. */
static llmux_slice_t host_of(const char *line, const char *end)
{
    static const llmux_slice_t none = { NULL, 0 };
    const char *next;

    for (; (next = memchr(line, '\n', (apr_size_t)(end - line))); line = next) {
        next++;
        if (!strncasecmp(line, "Host:", 5)) {
            llmux_slice_t host = { line + 5, (apr_size_t)(next - line - 5) };

            return llmux_slice_trim(host);
        }
    }
    return none;
}

static int is_like_before(const seat_t *s, const char *data, apr_size_t len)
{
    const llmux_slice_t before = { s->host, s->host_len };
    const char *end = memmem(data, len, "\r\n\r\n", 4);

    return end && len > s->line_len && !memcmp(data, s->line, s->line_len)
        && (data[s->line_len] == ' ' || data[s->line_len] == '?')
        && llmux_slice_equal(host_of(data, end + 2), before);
}

/* Others are at the same table, and httpd reads a head to its end, however
 * long that takes; and who knows what another path, or another server, is
 * served by. That is for a worker of its own. */
static turn_e next_in_loop(conn_ctx_t *cc)
{
    char head[HEAD_MAX];
    apr_size_t len = sizeof(head);
    apr_status_t rv = cc->seat->secure ? peek_filters(cc, head, &len)
                                 : peek_plain(cc, head, &len);

    if (APR_STATUS_IS_EAGAIN(rv)) {
        return TURN_IDLE;
    }
    return !len || is_like_before(cc->seat, head, len) ? serve_next(cc)
                                                       : TURN_NEXT;
}

turn_e conn_turn(conn_ctx_t *cc)
{
    if (!cc->suspended) {
        return next_in_loop(cc);
    }
    if (cc->seat->gone) {
        request_abandon(cc->suspended, LLMUX_END_CLIENT_GONE);
    }
    return go_on(cc);
}

static turn_e board(conn_ctx_t *cc)
{
    turn_e turn = loop_ride(cc);

    cc->boards = 0;
    return turn == TURN_WAITS ? go_on(cc) : turn;
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
        return cc->boards ? board(cc) : leave(cc);
    }
}

int llmux_process_connection(conn_rec *c)
{
    conn_ctx_t *cc = conn_ctx(c);
    turn_e turn;

    if (!cc) {
        return DECLINED;
    }
    TAKE_OVER(cc);
    if (cc->inside) {
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
    HAND_OVER(cc);
    return cc->rc;
}
