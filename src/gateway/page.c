/* page.c - models, health and metrics: answered at once, from memory. */

#include <string.h>
#include <strings.h>

#include <apr_strings.h>

#include "exchange.h"

#define JSON_TYPE "application/json"
#define PAGE_MAX  (16u << 20)

/* ---- models ---------------------------------------------------------- */

/* Who owns it: the kind of the first provider that serves it. */
static const char *owner(const llmux_group_t *g)
{
    if (g->deployments->nelts == 0) {
        return "llmux";
    }
    return APR_ARRAY_IDX(g->deployments, 0,
                         llmux_deployment_t *)->provider->kind->name;
}

static void write_model(llmux_jw_t *w, const llmux_exchange_t *x,
                        const llmux_group_t *g)
{
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "id");
    llmux_jw_cstr(w, g->name);
    llmux_jw_key(w, "object");
    llmux_jw_cstr(w, "model");
    llmux_jw_key(w, "created");
    llmux_jw_int(w, x->service->created);
    llmux_jw_key(w, "owned_by");
    llmux_jw_cstr(w, owner(g));
    llmux_jw_close(w, '}');
}

const llmux_error_t *page_models(llmux_exchange_t *x)
{
    const apr_array_header_t *groups = x->service->groups;
    llmux_buf_t *out = llmux_buf_create(x->pool, PAGE_MAX);
    llmux_jw_t w = llmux_jw(out);
    int i;

    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "object");
    llmux_jw_cstr(&w, "list");
    llmux_jw_key(&w, "data");
    llmux_jw_open(&w, '[');
    for (i = 0; i < groups->nelts; i++) {
        write_model(&w, x, APR_ARRAY_IDX(groups, i, llmux_group_t *));
    }
    llmux_jw_close(&w, ']');
    llmux_jw_close(&w, '}');
    reply_page(x, 200, JSON_TYPE, llmux_buf_slice(out));
    return NULL;
}

/* A name may have slashes, which SDKs escape; httpd hands them on as they are
 * where AllowEncodedSlashes NoDecode lets it. */
static const char *unescape_slashes(apr_pool_t *p, const char *s)
{
    char *out = apr_pstrdup(p, s), *to = out;

    while (*s) {
        if (!strncasecmp(s, "%2F", 3)) {
            *to++ = '/';
            s += 3;
        }
        else {
            *to++ = *s++;
        }
    }
    *to = '\0';
    return out;
}

const llmux_error_t *page_model(llmux_exchange_t *x)
{
    const char *name = unescape_slashes(x->pool, x->tail);
    const llmux_group_t *g = llmux_service_group(x->service,
                                                 llmux_slice(name));
    llmux_buf_t *out;
    llmux_jw_t w;

    if (!g) {
        return llmux_error(x->pool, LLMUX_ERR_MODEL, "model",
                           "The model '%.256s' does not exist.", name);
    }
    out = llmux_buf_create(x->pool, PAGE_MAX);
    w = llmux_jw(out);
    write_model(&w, x, g);
    reply_page(x, 200, JSON_TYPE, llmux_buf_slice(out));
    return NULL;
}

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
    llmux_metrics_write(out, x->service->state, series, count);
    if (out->failed) {
        return llmux_error(x->pool, LLMUX_ERR_INTERNAL, NULL,
                           "There are more deployments than a page of metrics "
                           "has room for.");
    }
    reply_page(x, 200, LLMUX_METRICS_TYPE, llmux_buf_slice(out));
    return NULL;
}
