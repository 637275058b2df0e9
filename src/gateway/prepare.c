/* prepare.c - a grant for an account whose keys do not last: the one that all
 * children share, or a new one. */

#include <string.h>

#include <apr_strings.h>

#include "exchange.h"

/* How often somebody looks whether another one has fetched it. */
#define LOOK_AGAIN apr_time_from_msec(20)

static const llmux_provider_t *provider_of(const attempt_t *a)
{
    return a->deployment->provider;
}

/* The operator learns why, the client does not. */
static go_e no_grant(attempt_t *a)
{
    a->failed = LLMUX_FAILED_KEY;
    a->error = llmux_error(a->x->pool, LLMUX_ERR_BAD_UPSTREAM, NULL,
                           "The gateway has no credentials for the provider "
                           "now. The gateway's operator must look into it.");
    return GO_FAIL;
}

/* ---- fetching one ------------------------------------------------------ */

/* Whoever gives up in the middle lets the next one try. */
static apr_status_t give_up(void *data)
{
    llmux_vault_drop(data);
    return APR_SUCCESS;
}

static llmux_fetch_t *fetch_make(attempt_t *a)
{
    llmux_fetch_t *f = apr_pcalloc(a->pool, sizeof(*f));

    f->pool = a->pool;
    f->credential = provider_of(a)->credential;
    f->env = a->x->env;
    return f;
}

static go_e fetched(attempt_t *a)
{
    llmux_vault_t *vault = provider_of(a)->vault;

    apr_pool_cleanup_kill(a->pool, vault, give_up);
    llmux_vault_put(vault, llmux_now(a->x->env), &a->fetch->grant);
    a->grant = &a->fetch->grant;
    return GO_ON;
}

static go_e not_fetched(attempt_t *a)
{
    llmux_vault_t *vault = provider_of(a)->vault;
    int usable;

    apr_pool_cleanup_kill(a->pool, vault, give_up);
    usable = llmux_vault_fail(vault, llmux_now(a->x->env), &a->fetch->grant);
    llmux_log(a->x->env, usable ? LLMUX_LOG_WARNING : LLMUX_LOG_ERR, 22, 0,
              "credentials of %s cannot be fetched%s: %s",
              provider_of(a)->name, usable ? " anew" : "", a->fetch->why);
    if (!usable) {
        return no_grant(a);
    }
    a->grant = &a->fetch->grant;
    return GO_ON;
}

/* The path may be all that keeps strangers from a container's keys. */
static const char *server_of(apr_pool_t *p, const char *url)
{
    const char *host = strstr(url, "://");
    apr_size_t n = host ? (apr_size_t)(host + 3 - url) : 0;

    return apr_pstrmemdup(p, url, n + strcspn(url + n, "/?#"));
}

static void take_answer(attempt_t *a)
{
    llmux_fetch_t *f = a->fetch;

    f->status = a->errand->too_large ? 0 : a->errand->status;
    f->body = llmux_buf_slice(a->errand->body);
    if (!f->status) {
        llmux_log(a->x->env, LLMUX_LOG_WARNING, 23, 0,
                  "credentials of %s: %s does not answer: %s",
                  provider_of(a)->name, server_of(a->pool, f->ask->url),
                  a->errand->why ? a->errand->why : "too much came");
    }
}

static void ask(attempt_t *a)
{
    const llmux_request_t *rq = a->fetch->ask;

    a->errand = errand_open(a->pool, a->x->env,
                            llmux_transport_for(rq->url, rq->upstream), rq,
                            LLMUX_GRANT_BODY_MAX);
}

static go_e fetch(attempt_t *a, llmux_wait_t *wait)
{
    for (;;) {
        if (a->errand) {
            if (errand_step(a->errand, wait) == GO_WAIT) {
                return GO_WAIT;
            }
            take_answer(a);
            a->errand = NULL;
        }
        switch (llmux_credential_next(a->fetch)) {
        case LLMUX_FETCH_ASK:
            ask(a);
            break;
        case LLMUX_FETCH_DONE:
            return fetched(a);
        case LLMUX_FETCH_FAILED:
            return not_fetched(a);
        }
        wait_anew(wait);
    }
}

/* ---- taking one -------------------------------------------------------- */

/* Keys that last need nobody to be asked. */
static go_e standing_grant(attempt_t *a)
{
    if (llmux_credential_next(a->fetch) != LLMUX_FETCH_DONE) {
        return no_grant(a);
    }
    a->grant = &a->fetch->grant;
    return GO_ON;
}

static go_e take(attempt_t *a, llmux_wait_t *wait)
{
    llmux_vault_t *vault = provider_of(a)->vault;

    switch (llmux_vault_take(vault, llmux_now(a->x->env),
                             &a->fetch->grant)) {
    case LLMUX_VAULT_HAVE:
        a->grant = &a->fetch->grant;
        return GO_ON;
    case LLMUX_VAULT_FETCH:
        apr_pool_cleanup_register(a->pool, vault, give_up,
                                  apr_pool_cleanup_null);
        a->fetching = 1;
        wait_anew(wait);
        return fetch(a, wait);
    case LLMUX_VAULT_FAILED:
        return no_grant(a);
    default:
        wait_anew(wait);
        llmux_wait_until(wait, llmux_now(a->x->env) + LOOK_AGAIN);
        return GO_WAIT;
    }
}

static go_e get_grant(attempt_t *a, llmux_wait_t *wait)
{
    if (a->grant || !provider_of(a)->credential) {
        return GO_ON;
    }
    if (!a->fetch) {
        a->fetch = fetch_make(a);
    }
    if (a->fetching) {
        return fetch(a, wait);
    }
    return provider_of(a)->vault ? take(a, wait) : standing_grant(a);
}

/* What cannot be asked anyway waits for nobody. */
static go_e plan(attempt_t *a)
{
    a->error = a->planned ? NULL : attempt_plan(a);
    a->planned = 1;
    a->failed = LLMUX_FAILED_TARGET;
    return a->error ? GO_FAIL : GO_ON;
}

go_e attempt_prepare(attempt_t *a, llmux_wait_t *wait)
{
    go_e go = plan(a);

    if (go == GO_ON) {
        go = get_grant(a, wait);
    }
    return go == GO_ON ? media_fetch(a, wait) : go;
}
