/* page.c - health and metrics: answered at once, from memory. */

#include <string.h>
#include <strings.h>

#include <apr_strings.h>

#include "exchange.h"

#define JSON_TYPE "application/json"
#define PAGE_MAX  (16u << 20)

/* ---- health ---------------------------------------------------------- */

static const llmux_error_t *status_page(llmux_exchange_t *x, int status,
                                        const char *word, const char *reason)
{
    llmux_buf_t *out = llmux_buf_create(x->pool, PAGE_MAX);
    llmux_jw_t w = llmux_jw(out);

    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "status");
    llmux_jw_cstr(&w, word);
    llmux_jw_key(&w, "service");
    llmux_jw_cstr(&w, "llmux");
    if (reason) {
        llmux_jw_key(&w, "reason");
        llmux_jw_cstr(&w, reason);
    }
    llmux_jw_close(&w, '}');
    reply_page(x, status, JSON_TYPE, llmux_buf_slice(out));
    return NULL;
}

const llmux_error_t *page_health(llmux_exchange_t *x)
{
    return status_page(x, 200, "healthy", NULL);
}

const llmux_error_t *page_live(llmux_exchange_t *x)
{
    return status_page(x, 200, "ok", NULL);
}

const llmux_error_t *page_ready(llmux_exchange_t *x)
{
    const char *reason = llmux_service_lacks(x->pool, x->service);

    return reason ? status_page(x, 503, "unavailable", reason)
                  : status_page(x, 200, "ok", NULL);
}

/* ---- metrics --------------------------------------------------------- */

const llmux_error_t *page_metrics(llmux_exchange_t *x)
{
    const llmux_series_t *series;
    llmux_buf_t *out;
    int count;

    if (x->settings->metrics == LLMUX_METRICS_OFF) {
        return llmux_error(x->pool, LLMUX_ERR_NOT_FOUND, NULL,
                           "Metrics are switched off here (LLMuxMetrics).");
    }
    out = llmux_buf_create(x->pool, PAGE_MAX);
    series = llmux_service_series(x->pool, x->service, &count);
    llmux_metrics_write(x->pool, out, x->service->state, series, count);
    if (out->failed) {
        return llmux_error(x->pool, LLMUX_ERR_INTERNAL, NULL,
                           "There are more deployments than a page of metrics "
                           "has room for.");
    }
    reply_page(x, 200, LLMUX_METRICS_TYPE, llmux_buf_slice(out));
    return NULL;
}

/* ---- responses -------------------------------------------------------- */

/* OpenAI keeps answers for a month; here they pass. */
const llmux_error_t *page_response(llmux_exchange_t *x)
{
    return llmux_error(x->pool, LLMUX_ERR_NOT_FOUND, NULL,
                       "The response '%.128s' is not kept here: this gateway "
                       "stores no answers. Send 'store' as false, and the "
                       "whole conversation each time.", x->tail);
}
