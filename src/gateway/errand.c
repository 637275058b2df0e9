/* errand.c - a small request of our own, through the same transports. */

#include <apr_strings.h>

#include "exchange.h"

static void on_head(void *baton, const llmux_response_t *r)
{
    errand_t *e = baton;

    e->status = r->status;
    e->type = apr_pstrdup(e->pool, r->content_type);
}

static void on_body(void *baton, const char *data, apr_size_t len)
{
    errand_t *e = baton;

    llmux_buf_add(e->body, data, len);
    e->too_large |= e->body->failed;
}

errand_t *errand_open(apr_pool_t *p, const llmux_env_t *env,
                      const llmux_transport_t *transport,
                      const llmux_request_t *rq, apr_size_t max)
{
    errand_t *e = apr_pcalloc(p, sizeof(*e));
    const llmux_receiver_t to = { on_head, on_body, e };

    e->pool = p;
    e->type = "";
    e->body = llmux_buf_create(p, max);
    e->wire = transport ? transport->open(p, env, rq, &to) : NULL;
    return e;
}

/* Who cannot be answered by the rest does not wait for it. */
go_e errand_step(errand_t *e, llmux_wait_t *wait)
{
    llmux_step_e step = LLMUX_STEP_FAILED;

    if (e->wire) {
        step = e->wire->transport->step(e->wire, wait);
    }
    if (step == LLMUX_STEP_AGAIN && !e->too_large) {
        return GO_WAIT;
    }
    if (step == LLMUX_STEP_FAILED) {
        e->status = 0;
        e->why = e->wire ? apr_psprintf(e->pool, "%s (%s)",
                                        llmux_fail_name(e->wire->failure),
                                        e->wire->detail)
                         : "it cannot be reached from here";
    }
    if (e->wire) {
        e->wire->transport->close(e->wire);
        e->wire = NULL;
    }
    return GO_ON;
}
