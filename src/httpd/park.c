/* park.c - a request waits without a worker.
 *
 * The worker goes back to the MPM, which watches one descriptor in place of
 * the client's socket until something happens, and then sends any worker
 * back. The MPM can watch sockets of connections only, so the nest's
 * descriptor is put into the client's apr_socket_t for that time; nobody
 * else looks at it then. */

#include "conn.h"

#include <unistd.h>

#include <ap_mpm.h>
#include <apr_atomic.h>
#include <apr_portable.h>
#include <apr_thread_mutex.h>
#include <http_connection.h>
#include <http_core.h>
#include <mpm_common.h>

/* This child's. */
static struct {
    apr_thread_mutex_t *lock;   /* the list, and all that is done to who is
                                 * on it; NULL = this httpd cannot park */
    conn_ctx_t *first;
    apr_uint32_t count;         /* of them: read without the lock */
    int stopping;
    apr_interval_time_t tick;   /* httpd ends who waits for twice as long */
} parked;

int park_is_possible(void)
{
#if AP_MODULE_MAGIC_AT_LEAST(20120211, 137)
    int async = 0, waits = 0;

    return ap_mpm_query(AP_MPMQ_IS_ASYNC, &async) == APR_SUCCESS && async
        && ap_mpm_query(AP_MPMQ_CAN_WAITIO, &waits) == APR_SUCCESS
        && waits == 1;
#else
    return 0;
#endif
}

static apr_status_t forget(void *unused)
{
    parked.lock = NULL;
    return APR_SUCCESS;
}

void park_init(apr_pool_t *pchild, apr_interval_time_t tick)
{
    parked.first = NULL;
    parked.count = 0;
    parked.stopping = 0;
    parked.tick = tick;
    if (park_is_possible()
        && apr_thread_mutex_create(&parked.lock, APR_THREAD_MUTEX_DEFAULT,
                                   pchild) == APR_SUCCESS) {
        apr_pool_cleanup_register(pchild, NULL, forget,
                                  apr_pool_cleanup_null);
    }
}

/* ---- the socket -------------------------------------------------------- */

static void swap(conn_ctx_t *cc)
{
    apr_os_sock_put(&cc->socket, &cc->nest.fd, cc->c->pool);
    cc->swapped = 1;
}

/* The MPM closes what it cannot watch. Then it was the nest that it closed,
 * and the client's socket is ours to close. */
static void swap_back(conn_ctx_t *cc)
{
    apr_os_sock_t now = -1;

    if (!cc->swapped) {
        return;
    }
    cc->swapped = 0;
    apr_os_sock_get(&now, cc->socket);
    if (now == cc->nest.fd) {
        apr_os_sock_put(&cc->socket, &cc->fd, cc->c->pool);
        return;
    }
    nest_close(&cc->nest, 1);
    close(cc->fd);
    cc->fd = -1;
}

/* ---- memory ------------------------------------------------------------ */

/* httpd keeps what a connection frees for its next request: rightly, unless
 * that is minutes away. A request that parks so often is a long one. */
#define TRIM_AT 3

/* The allocator gives back what is freed from now on, so what lies there from
 * before is taken and freed once more: it held the answer's head. */
static void trim(conn_ctx_t *cc)
{
    apr_pool_t *scratch;

    apr_allocator_max_free_set(apr_pool_allocator_get(cc->c->pool), 1);
    apr_pool_create(&scratch, cc->c->pool);
    apr_pool_destroy(scratch);
}

void park_over(conn_ctx_t *cc)
{
    if (cc->parks >= TRIM_AT) {
        apr_allocator_max_free_set(apr_pool_allocator_get(cc->c->pool),
                                   ap_max_mem_free);
    }
    cc->parks = 0;
}

/* ---- the list ---------------------------------------------------------- */

static void list_add(conn_ctx_t *cc, request_ctx_t *ctx)
{
    cc->parked = ctx;
    cc->prev = NULL;
    cc->next = parked.first;
    if (cc->next) {
        cc->next->prev = cc;
    }
    parked.first = cc;
    apr_atomic_inc32(&parked.count);
    llmux_state_parked(server_conf(cc->c->base_server)->service->state, 1);
}

static request_ctx_t *list_take(conn_ctx_t *cc)
{
    request_ctx_t *ctx = cc->parked;

    if (!ctx) {
        return NULL;
    }
    cc->parked = NULL;
    *(cc->prev ? &cc->prev->next : &parked.first) = cc->next;
    if (cc->next) {
        cc->next->prev = cc->prev;
    }
    apr_atomic_dec32(&parked.count);
    llmux_state_parked(server_conf(cc->c->base_server)->service->state, -1);
    return ctx;
}

apr_uint32_t park_count(void)
{
    return apr_atomic_read32(&parked.count);
}

/* ---- parking ----------------------------------------------------------- */

/* Only the request that the MPM gave to its worker itself can be taken from
 * it: not one inside another, nor behind an internal redirect. */
int park_may(const request_ctx_t *ctx, const conn_ctx_t *cc)
{
    return parked.lock && cc && cc->inside && !ctx->r->main && !ctx->r->prev;
}

int park_prepare(request_ctx_t *ctx)
{
    conn_ctx_t *cc = conn_ctx(ctx->r->connection);

    return park_may(ctx, cc)
        && nest_watch(&cc->nest, &ctx->wait, parked.tick) == APR_SUCCESS;
}

/* A child that is told to leave at once closes its workers' sockets first. */
int park_is_open(const conn_ctx_t *cc)
{
    apr_os_sock_t now = -1;

    return apr_os_sock_get(&now, cc->socket) == APR_SUCCESS && now == cc->fd;
}

int park(conn_ctx_t *cc, request_ctx_t *ctx)
{
    conn_rec *c = cc->c;
    int stays;

    if (++cc->parks == TRIM_AT) {
        trim(cc);
    }
#if AP_MODULE_MAGIC_AT_LEAST(20120211, 137)
    c->cs->state = CONN_STATE_ASYNC_WAITIO;
    c->cs->sense = CONN_SENSE_WANT_READ;
#endif
    apr_thread_mutex_lock(parked.lock);
    stays = parked.stopping || !park_is_open(cc);
    if (!stays) {
        swap(cc);
        list_add(cc, ctx);
    }
    apr_thread_mutex_unlock(parked.lock);
    return !stays;
}

request_ctx_t *unpark(conn_ctx_t *cc)
{
    request_ctx_t *ctx;

    apr_thread_mutex_lock(parked.lock);
    ctx = list_take(cc);
    swap_back(cc);
    apr_thread_mutex_unlock(parked.lock);
    return ctx;
}

/* ---- ends -------------------------------------------------------------- */

/* httpd logs a request when its last bucket goes, and this one will not send
 * any. What is still to be sent must not be: it lies in the request's pool. */
static void end_request(conn_rec *c, request_ctx_t *ctx, llmux_end_e why)
{
    c->keepalive = AP_CONN_CLOSE;
    request_abandon(ctx, why);
    apr_bucket_destroy(ap_bucket_eor_create(c->bucket_alloc, ctx->r));
}

void park_drop(conn_ctx_t *cc)
{
    request_ctx_t *ctx;

    if (!parked.lock) {
        return;
    }
    ctx = unpark(cc);
    park_over(cc);
    if (ctx) {
        end_request(cc->c, ctx, LLMUX_END_CLIENT_GONE);
    }
}

/* Under the lock from beginning to end: a worker that comes back meanwhile
 * waits, and finds its connection without a request. */
void park_stop(void)
{
    if (!parked.lock) {
        return;
    }
    apr_thread_mutex_lock(parked.lock);
    parked.stopping = 1;
    while (parked.first) {
        conn_ctx_t *cc = parked.first;

        end_request(cc->c, list_take(cc), LLMUX_END_STOPPED);
    }
    apr_thread_mutex_unlock(parked.lock);
}
