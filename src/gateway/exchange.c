/* exchange.c - a request's life, from the first step to the books. */

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "exchange.h"

/* The whole way. The first one that fails ends it. */
static const struct {
    const char *name;
    go_e (*run)(llmux_exchange_t *x, llmux_wait_t *wait);
} steps[] = {
    { "identify",   step_identify },
    { "page",       step_page },
    { "read",       step_read },
    { "understand", step_understand },
    { "route",      step_route },
    { "ask",        step_ask },
};

#define STEPS ((int)(sizeof(steps) / sizeof(steps[0])))

/* The client's own id is for its logs and ours; it keys nothing. */
static const char *accepted_id(const char *id)
{
    apr_size_t i, n = id ? strlen(id) : 0;

    if (n == 0 || n > LLMUX_REQUEST_ID_MAX) {
        return NULL;
    }
    for (i = 0; i < n; i++) {
        if (!apr_isalnum(id[i]) && !strchr("._-", id[i])) {
            return NULL;
        }
    }
    return id;
}

static void name_it(llmux_exchange_t *x)
{
    char *id = apr_palloc(x->pool, 37);

    llmux_uuid(x->env, id);
    x->record.exchange_id = id;
    x->record.request_id = accepted_id(apr_table_get(x->in->headers,
                                                     "X-Request-ID"));
    if (!x->record.request_id) {
        x->record.request_id = id;
    }
}

/* The net below settle(): whatever tears the request down, the provider is
 * let go and the books are closed. */
static apr_status_t net(void *data)
{
    llmux_exchange_abandon(data, LLMUX_END_CLIENT_GONE);
    return APR_SUCCESS;
}

llmux_exchange_t *llmux_exchange_open(apr_pool_t *p, const llmux_env_t *env,
                                      const llmux_service_t *service,
                                      const llmux_settings_t *settings,
                                      const llmux_ingress_t *in)
{
    static const llmux_usage_t nothing = LLMUX_USAGE_NONE;
    llmux_exchange_t *x = apr_pcalloc(p, sizeof(*x));

    x->pool = p;
    x->env = env;
    x->service = service;
    x->settings = settings;
    x->in = in;
    x->record.usage = nothing;
    x->record.series = -1;
    x->record.began = in->began;
    x->last_write = in->began;
    x->headers = in->sink->headers;
    x->dialect = &llmux_dialect_openai;
    name_it(x);
    llmux_state_in_flight(service->state, 1);
    apr_pool_pre_cleanup_register(p, x, net);
    return x;
}

/* The books are closed; what is left is between the client and his line. */
static llmux_drive_e deliver(llmux_exchange_t *x, llmux_wait_t *wait)
{
    return x->clogged && reply_drain(x, wait) == GO_WAIT ? LLMUX_DRIVE_WAIT
                                                         : LLMUX_DRIVE_DONE;
}

llmux_drive_e llmux_exchange_drive(llmux_exchange_t *x, llmux_wait_t *wait)
{
    while (x->step < STEPS && !x->settled) {
        go_e go = steps[x->step].run(x, wait);

        if (x->gone) {
            llmux_exchange_abandon(x, LLMUX_END_CLIENT_GONE);
            break;
        }
        if (go == GO_WAIT) {
            return LLMUX_DRIVE_WAIT;
        }
        if (go == GO_FAIL) {
            reply_error(x);
            break;
        }
        x->step++;
    }
    return deliver(x, wait);
}

/* Has the client all of it? Many hang up right behind the last event, while
 * we wait for the end of the provider's message. */
static int is_answered(const llmux_exchange_t *x)
{
    return !x->settled && x->content_sent && x->attempt
        && x->attempt->ended_at && !x->attempt->error && !x->out->len;
}

/* 499 is what proxies write for a client that was not answered to the end. */
void llmux_exchange_abandon(llmux_exchange_t *x, llmux_end_e why)
{
    int answered = is_answered(x);

    if (answered) {
        llmux_meter_attempt(x->service->state, x->record.series, 0,
                            LLMUX_ERR_INTERNAL);
        settle(x, LLMUX_END_OK);
    }
    if (x->attempt) {
        attempt_close(x->attempt);
        x->attempt = NULL;
    }
    if (!x->settled) {
        x->record.status = 499;
        settle(x, why);
    }
    x->step = STEPS;
    x->clogged = 0;
}

llmux_error_t *keep_error(llmux_exchange_t *x, const llmux_error_t *err)
{
    llmux_error_t *kept = apr_pmemdup(x->pool, err, sizeof(*err));

    kept->message = apr_pstrdup(x->pool, err->message);
    kept->param = apr_pstrdup(x->pool, err->param);
    kept->code = apr_pstrdup(x->pool, err->code);
    kept->type = apr_pstrdup(x->pool, err->type);
    return kept;
}

void settle(llmux_exchange_t *x, llmux_end_e end)
{
    if (x->settled) {
        return;
    }
    x->settled = 1;
    x->record.end = end;
    x->record.ended = llmux_now(x->env);
    llmux_state_in_flight(x->service->state, -1);
    llmux_meter_request(x->service->state, &x->record);
}

const llmux_record_t *llmux_exchange_record(const llmux_exchange_t *x)
{
    return &x->record;
}

const char *llmux_exchange_id(const llmux_exchange_t *x)
{
    return x->record.request_id;
}
