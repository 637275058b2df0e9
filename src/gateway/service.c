/* service.c - what a virtual host offers, asked by name. */

#include <apr_strings.h>

#include "llmux/gateway.h"

const llmux_group_t *llmux_service_group(const llmux_service_t *s,
                                         llmux_slice_t name)
{
    return name.data ? apr_hash_get(s->by_name, name.data,
                                    (apr_ssize_t)name.len) : NULL;
}

const llmux_provider_t *llmux_service_provider(const llmux_service_t *s,
                                               llmux_slice_t name)
{
    int i;

    for (i = 0; i < s->providers->nelts; i++) {
        const llmux_provider_t *pr = APR_ARRAY_IDX(s->providers, i,
                                                   llmux_provider_t *);

        if (llmux_slice_is(name, pr->name)) {
            return pr;
        }
    }
    return NULL;
}

/* Is there anybody in the group who can be asked? */
static int is_served(const llmux_group_t *g)
{
    int i;

    for (i = 0; i < g->deployments->nelts; i++) {
        if (!llmux_provider_lacks(APR_ARRAY_IDX(g->deployments, i,
                                      llmux_deployment_t *)->provider)) {
            return 1;
        }
    }
    return 0;
}

/* Names groups only: accounts are nobody's business here. */
const char *llmux_service_lacks(apr_pool_t *p, const llmux_service_t *s)
{
    int i;

    if (s->groups->nelts == 0) {
        return "no model is configured";
    }
    for (i = 0; i < s->groups->nelts; i++) {
        if (is_served(APR_ARRAY_IDX(s->groups, i, llmux_group_t *))) {
            return NULL;
        }
    }
    return "no provider of any model can be asked: keys are missing";
}

static void add_series(apr_array_header_t *list, const llmux_group_t *g)
{
    int i;

    for (i = 0; i < g->deployments->nelts; i++) {
        const llmux_deployment_t *d = APR_ARRAY_IDX(g->deployments, i,
                                                    llmux_deployment_t *);
        llmux_series_t *series;

        if (d->series < 0) {
            continue;
        }
        series = apr_array_push(list);
        series->group = g->name;
        series->model = d->model;
        series->provider = d->provider->name;
        series->deployment = d->id;
        series->row = d->series;
    }
}

/* The first one counts what no deployment served. */
const llmux_series_t *llmux_service_series(apr_pool_t *p,
                                           const llmux_service_t *s,
                                           int *count)
{
    apr_array_header_t *list = apr_array_make(p, 16, sizeof(llmux_series_t));
    llmux_series_t *other = apr_array_push(list);
    int i;

    other->group = other->model = other->provider = "other";
    other->deployment = "";
    for (i = 0; i < s->groups->nelts; i++) {
        add_series(list, APR_ARRAY_IDX(s->groups, i, llmux_group_t *));
    }
    *count = list->nelts;
    return (const llmux_series_t *)list->elts;
}
