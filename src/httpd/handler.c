/* handler.c - a request comes in, an exchange answers it. */

#include "conn.h"

#include <apr_strings.h>
#include <http_core.h>

/* ---- what the core asks of httpd -------------------------------------- */

static apr_time_t env_now(void *host)
{
    return apr_time_now();
}

static apr_uint32_t env_chance(void *host)
{
    return llmux_chance(llmux_env_process());
}

static const int levels[] = {
    [LLMUX_LOG_ERR] = APLOG_ERR,
    [LLMUX_LOG_WARNING] = APLOG_WARNING,
    [LLMUX_LOG_INFO] = APLOG_INFO,
    [LLMUX_LOG_DEBUG] = APLOG_DEBUG,
    [LLMUX_LOG_TRACE] = APLOG_TRACE1,
};

static void env_log(void *host, llmux_log_e level, int number,
                    apr_status_t rv, const char *message)
{
    request_ctx_t *ctx = host;

    ap_log_rerror(APLOG_MARK, levels[level], rv, ctx->r, "LX%04d: [%s] %s",
                  number, ctx->exchange ? llmux_exchange_id(ctx->exchange)
                                        : "-", message);
}

static int finest_level(request_rec *r)
{
    int level = LLMUX_LOG_TRACE;

    while (level > LLMUX_LOG_ERR && !APLOG_R_IS_LEVEL(r, levels[level])) {
        level--;
    }
    return level;
}

static void make_env(request_ctx_t *ctx)
{
    ctx->env.now = env_now;
    ctx->env.chance = env_chance;
    ctx->env.log = env_log;
    ctx->env.log_level = finest_level(ctx->r);
    ctx->env.host = ctx;
}

/* ---- the request ----------------------------------------------------- */

/* The path behind that of our <Location>, or NULL: so that <Location "/llm">
 * makes /llm/v1/models work too. Only one that says SetHandler itself counts:
 * others may have an easier Require than the path that the API has, and would
 * be a way around it. */
static const char *path_below(const request_rec *r, const dir_conf_t *dir)
{
    apr_size_t n = dir->mount ? strlen(dir->mount) : 0;

    return n && !strncmp(r->uri, dir->mount, n) && r->uri[n] == '/'
        ? r->uri + n : NULL;
}

static apr_int64_t body_length(request_rec *r)
{
    const char *text = apr_table_get(r->headers_in, "Content-Length");
    apr_off_t n;

    return text && ap_parse_strict_length(&n, text) ? (apr_int64_t)n : -1;
}

/* One for all requests of a connection. */
static apr_bucket_brigade *brigade(request_rec *r)
{
    conn_ctx_t *cc = conn_ctx(r->connection);

    return cc ? conn_brigade(cc)
              : apr_brigade_create(r->pool, r->connection->bucket_alloc);
}

static llmux_ingress_t *ingress(request_ctx_t *ctx, const dir_conf_t *dir)
{
    request_rec *r = ctx->r;
    llmux_ingress_t *in = apr_pcalloc(r->pool, sizeof(*in));
    apr_bucket_brigade *bb;

    in->method = r->method;
    in->path = r->uri;
    in->below = path_below(r, dir);
    in->headers = r->headers_in;
    in->length = body_length(r);
    in->query = r->args;
    in->query_key = llmux_slice(ctx->query_key);
    in->began = r->request_time;
    bb = brigade(r);
    in->source = source_create(r, bb);
    in->sink = sink_create(r, bb);
    return in;
}

static const llmux_settings_t *settings(request_rec *r,
                                        const dir_conf_t *dir)
{
    llmux_settings_t *own = apr_palloc(r->pool, sizeof(*own));

    settings_resolve(own, &dir->settings);
    return own;
}

/* ---- driving ---------------------------------------------------------- */

/* Silence longer than this is not worth a worker. */
#define PARK_AFTER apr_time_from_sec(1)

void request_abandon(request_ctx_t *ctx, llmux_end_e why)
{
    ctx->r->connection->aborted = 1;
    llmux_exchange_abandon(ctx->exchange, why);
}

/* Does the exchange wait for the client to take what it has? */
static int is_clogged(const request_ctx_t *ctx)
{
    const llmux_wait_t *wait = &ctx->wait;

    return wait->count == 1 && wait->fds[0].events == LLMUX_WAIT_WRITE
        && wait->fds[0].fd == client_fd(ctx->r);
}

/* To wait in a worker or in a loop is cheaper for each chunk than to park, as
 * long as there are workers; a slow client's are never worth it. */
apr_interval_time_t request_patience(const request_ctx_t *ctx, use_e use)
{
    if (ctx->tired) {
        return -1;
    }
    switch (ctx->settings->park) {
    case LLMUX_PARK_OFF:
        return 0;
    case LLMUX_PARK_ALWAYS:
        return -1;
    default:
        return workers_are_scarce(use) || is_clogged(ctx) ? -1 : PARK_AFTER;
    }
}

/* A deadline that is past is no wait. */
static int is_due(const llmux_wait_t *wait)
{
    return wait->deadline && wait->deadline <= apr_time_now();
}

static int rides(const request_ctx_t *ctx)
{
    const conn_ctx_t *cc = conn_ctx(ctx->r->connection);

    return loop_drives(cc) && park_may(ctx, cc);
}

static int answer_has_begun(const request_ctx_t *ctx)
{
    return llmux_exchange_record(ctx->exchange)->upstream_status != 0;
}

/* Who waits for more of his answer for the second time gets it in pieces:
 * then a loop waits for the rest, with others. An answer in one piece is not
 * worth the way from the loop back to the worker. */
#define WAITS_ALONE 1

static int try_to_board(request_ctx_t *ctx)
{
    conn_ctx_t *cc = conn_ctx(ctx->r->connection);

    if (!answer_has_begun(ctx) || ++ctx->waits <= WAITS_ALONE) {
        return 0;
    }
    ctx->waits = 0;
    ctx->aboard = park_may(ctx, cc) && request_patience(ctx, USE_BOARD) >= 0
        && !sink_must_flush(ctx->r) && conn_board(cc, ctx);
    return ctx->aboard;
}

/* By this child, which is told to leave at once, not by the client. */
static int is_cut_off(const request_ctx_t *ctx)
{
    const conn_ctx_t *cc = conn_ctx(ctx->r->connection);

    return cc && !park_is_open(cc);
}

/* @return 0: not by this thread */
static int wait_for_it(request_ctx_t *ctx)
{
    apr_interval_time_t patience = 0;
    waited_e how = WAIT_LONG;

    if (!is_due(&ctx->wait)) {
        if (rides(ctx) || try_to_board(ctx)) {
            return 0;
        }
        patience = request_patience(ctx, USE_WAIT);
        ctx->tired = 0;
    }
    if (patience >= 0) {
        how = wait_in_worker(ctx->r, &ctx->wait, patience);
        ctx->waits = how == WAIT_LONG ? 0 : ctx->waits;
    }
    if (how == WAIT_LONG) {
        if (park_prepare(ctx)) {
            return 0;
        }
        how = wait_in_worker(ctx->r, &ctx->wait, 0);
    }
    if (how == WAIT_GONE || how == WAIT_STOPPED) {
        request_abandon(ctx, how == WAIT_GONE && !is_cut_off(ctx)
                                 ? LLMUX_END_CLIENT_GONE : LLMUX_END_STOPPED);
    }
    return 1;
}

/* A loop's thread must not wait for a body that nobody wants: the worker
 * does. Nor for a log that is slow for everybody: who is new everywhere would
 * hold up each loop once. */
static int ends_here(request_ctx_t *ctx)
{
    ctx->tired = rides(ctx) && (request_is_early(ctx->r)
                                || (ctx->aboard && !conn_ends_aboard()));
    return !ctx->tired;
}

int request_drive(request_ctx_t *ctx)
{
    conn_ctx_t *cc = conn_ctx(ctx->r->connection);

    while (llmux_exchange_drive(ctx->exchange, &ctx->wait)
           == LLMUX_DRIVE_WAIT) {
        if (!wait_for_it(ctx)) {
            return 0;
        }
    }
    if (!ends_here(ctx)) {
        return 0;
    }
    if (cc) {
        conn_remember(cc, ctx);
    }
    return 1;
}

void request_finish(request_ctx_t *ctx)
{
    ap_die(OK, ctx->r);
    ap_process_request_after_handler(ctx->r);
}

/* ---- the hook --------------------------------------------------------- */

/* @return SUSPENDED, or OK when this worker has seen it to its end */
static int serve(request_ctx_t *ctx)
{
    if (request_drive(ctx)) {
        return OK;
    }
    conn_ctx(ctx->r->connection)->suspended = ctx;
    return SUSPENDED;
}

int llmux_handler(request_rec *r)
{
    const dir_conf_t *dir = ap_get_module_config(r->per_dir_config,
                                                 &llmux_module);
    const server_conf_t *server = server_conf(r->server);
    request_ctx_t *ctx;

    if (!r->handler || strcmp(r->handler, "llmux")) {
        return DECLINED;
    }
    ctx = request_ctx(r);
    make_env(ctx);
    ctx->settings = settings(r, dir);
    ctx->exchange = llmux_exchange_open(r->pool, &ctx->env, server->service,
                                        ctx->settings, ingress(ctx, dir));
    return serve(ctx);
}
