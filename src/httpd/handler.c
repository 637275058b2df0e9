/* handler.c - a request comes in, an exchange answers it. */

#include "server.h"

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

static llmux_ingress_t *ingress(request_ctx_t *ctx, const dir_conf_t *dir)
{
    request_rec *r = ctx->r;
    llmux_ingress_t *in = apr_pcalloc(r->pool, sizeof(*in));

    in->method = r->method;
    in->path = r->uri;
    in->below = path_below(r, dir);
    in->headers = r->headers_in;
    in->length = body_length(r);
    in->query_key = llmux_slice(ctx->query_key);
    in->began = r->request_time;
    in->source = source_create(r);
    in->sink = sink_create(r);
    return in;
}

static const llmux_settings_t *settings(request_rec *r,
                                        const dir_conf_t *dir)
{
    llmux_settings_t *own = apr_palloc(r->pool, sizeof(*own));

    settings_resolve(own, &dir->settings);
    return own;
}

static void drive(request_ctx_t *ctx)
{
    llmux_wait_t wait = { 0 };

    while (llmux_exchange_drive(ctx->exchange, &wait) == LLMUX_DRIVE_WAIT) {
        if (!wait_in_worker(ctx->r, &wait)) {
            ctx->r->connection->aborted = 1;
            llmux_exchange_abandon(ctx->exchange);
        }
    }
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
    ctx->exchange = llmux_exchange_open(r->pool, &ctx->env, server->service,
                                        settings(r, dir), ingress(ctx, dir));
    drive(ctx);
    return OK;
}
