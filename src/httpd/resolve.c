/* resolve.c - sections become a service: names are looked up, groups built,
 * and what does not fit together is said with its file and line. */

#include "server.h"

#include <apr_strings.h>

/* One resolution: where it stands and whether a mistake was found. */
typedef struct resolve_t {
    apr_pool_t *pool;
    server_rec *server;
    llmux_service_t *service;
    int mistakes;
} resolve_t;

static void mistake(resolve_t *res, const ap_directive_t *at,
                    const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void mistake(resolve_t *res, const ap_directive_t *at,
                    const char *fmt, ...)
{
    const char *text;
    va_list ap;

    va_start(ap, fmt);
    text = apr_pvsprintf(res->pool, fmt, ap);
    va_end(ap);
    res->mistakes++;
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, 0, res->server,
                 "LX0100: %s, line %d: %s %s: %s", at->filename, at->line_num,
                 at->directive, at->args, text);
}

/* ---- providers ------------------------------------------------------- */

static void resolve_provider(resolve_t *res, provider_section_t *sec)
{
    llmux_provider_t *pr = &sec->provider;
    const char *kind_name = sec->kind_name ? sec->kind_name : pr->name;
    const char *lacks, *why;

    pr->kind = llmux_kind_named(kind_name);
    if (!pr->kind) {
        mistake(res, sec->at, "there is no kind of provider '%s'. Say one "
                "with LLMuxType, such as openai, anthropic, gemini, azure or "
                "openai-compatible", kind_name);
        return;
    }
    pr->can = (pr->kind->can | sec->can) & ~sec->cannot;
    why = llmux_provider_complete(res->pool, pr);
    if (why) {
        mistake(res, sec->at, "%s: %s", pr->kind->title, why);
        return;
    }
    if (!pr->base_url) {
        mistake(res, sec->at, "%s has no public address: say "
                "LLMuxBaseURL", pr->kind->title);
        return;
    }
    lacks = llmux_provider_lacks(pr);
    if (lacks && !sec->told) {
        sec->told = 1;
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, res->server,
                     "LX0101: %s, line %d: the provider %s has %s and will "
                     "not be asked. Give it LLMuxAPIKey.", sec->at->filename,
                     sec->at->line_num, pr->name, lacks);
    }
}

static void resolve_providers(resolve_t *res,
                              const apr_array_header_t *sections)
{
    int i;

    for (i = 0; i < sections->nelts; i++) {
        provider_section_t *sec = APR_ARRAY_IDX(sections, i,
                                                provider_section_t *);

        resolve_provider(res, sec);
        APR_ARRAY_PUSH(res->service->providers, llmux_provider_t *) =
            &sec->provider;
    }
}

/* ---- groups ---------------------------------------------------------- */

static llmux_group_t *add_group(resolve_t *res, const char *name)
{
    llmux_group_t *g = apr_pcalloc(res->pool, sizeof(*g));

    g->name = name;
    g->deployments = apr_array_make(res->pool, 4,
                                    sizeof(llmux_deployment_t *));
    g->fallbacks = apr_array_make(res->pool, 2, sizeof(llmux_group_t *));
    apr_hash_set(res->service->by_name, name, APR_HASH_KEY_STRING, g);
    APR_ARRAY_PUSH(res->service->groups, llmux_group_t *) = g;
    return g;
}

static llmux_deployment_t *add_deployment(resolve_t *res, llmux_group_t *g,
                                          const llmux_provider_t *provider,
                                          const char *model)
{
    llmux_deployment_t *d = apr_pcalloc(res->pool, sizeof(*d));

    d->provider = provider;
    d->model = model;
    d->weight = 1;
    d->series = -1;
    if (provider->base_url) {
        llmux_deployment_name(res->pool, d, 0);
    }
    APR_ARRAY_PUSH(g->deployments, llmux_deployment_t *) = d;
    return d;
}

static int has_deployment(const llmux_group_t *g,
                          const llmux_provider_t *provider,
                          const char *model)
{
    int i;

    for (i = 0; i < g->deployments->nelts; i++) {
        const llmux_deployment_t *d = APR_ARRAY_IDX(g->deployments, i,
                                                    llmux_deployment_t *);

        if (d->provider == provider && !strcmp(d->model, model)) {
            return 1;
        }
    }
    return 0;
}

static void resolve_line(resolve_t *res, llmux_group_t *g,
                         const deployment_line_t *line)
{
    const llmux_provider_t *provider =
        llmux_service_provider(res->service, llmux_slice(line->provider));
    llmux_deployment_t *d;

    if (!provider) {
        mistake(res, line->at, "there is no <LLMuxProvider %s>",
                line->provider);
        return;
    }
    if (has_deployment(g, provider, line->model)) {
        mistake(res, line->at, "the model has this deployment already: "
                "give that one a weight");
        return;
    }
    d = add_deployment(res, g, provider, line->model);
    d->weight = line->weight;
    d->tags = line->tags;
}

static void resolve_model(resolve_t *res, const model_section_t *sec)
{
    llmux_group_t *g = add_group(res, sec->name);
    int i;

    if (sec->deployments->nelts == 0) {
        mistake(res, sec->at, "it has no LLMuxDeployment");
    }
    for (i = 0; i < sec->deployments->nelts; i++) {
        resolve_line(res, g, &APR_ARRAY_IDX(sec->deployments, i,
                                            deployment_line_t));
    }
}

/* LLMuxModels makes groups of its own names, joined over providers, but for
 * names that have a section. */
static void implicit_models(resolve_t *res)
{
    apr_hash_t *explicit = apr_hash_copy(res->pool, res->service->by_name);
    int i, k;

    for (i = 0; i < res->service->providers->nelts; i++) {
        const llmux_provider_t *pr = APR_ARRAY_IDX(res->service->providers, i,
                                                   llmux_provider_t *);

        for (k = 0; k < pr->models->nelts; k++) {
            const char *name = APR_ARRAY_IDX(pr->models, k, const char *);
            llmux_group_t *g = apr_hash_get(res->service->by_name, name,
                                            APR_HASH_KEY_STRING);

            if (apr_hash_get(explicit, name, APR_HASH_KEY_STRING)) {
                continue;
            }
            if (!g) {
                g = add_group(res, name);
            }
            if (!has_deployment(g, pr, name)) {
                add_deployment(res, g, pr, name);
            }
        }
    }
}

static void resolve_fallbacks(resolve_t *res, const model_section_t *sec)
{
    llmux_group_t *g = apr_hash_get(res->service->by_name, sec->name,
                                    APR_HASH_KEY_STRING);
    int i;

    for (i = 0; g && i < sec->fallbacks->nelts; i++) {
        const char *name = APR_ARRAY_IDX(sec->fallbacks, i, const char *);
        llmux_group_t *next = apr_hash_get(res->service->by_name, name,
                                           APR_HASH_KEY_STRING);

        if (!next) {
            mistake(res, sec->at, "its fallback %s is no model", name);
        }
        else if (next == g) {
            mistake(res, sec->at, "it is its own fallback");
        }
        else {
            APR_ARRAY_PUSH(g->fallbacks, llmux_group_t *) = next;
        }
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(llmux_group_t *const *)a)->name,
                  (*(llmux_group_t *const *)b)->name);
}

llmux_service_t *service_resolve(apr_pool_t *p, server_rec *s,
                                 const server_conf_t *conf)
{
    llmux_service_t *service = apr_pcalloc(p, sizeof(*service));
    resolve_t res = { p, s, service, 0 };
    int i;

    service->providers = apr_array_make(p, 4, sizeof(llmux_provider_t *));
    service->groups = apr_array_make(p, 16, sizeof(llmux_group_t *));
    service->by_name = apr_hash_make(p);
    service->guard.master_key = conf->master_key;
    resolve_providers(&res, conf->providers);
    for (i = 0; i < conf->models->nelts; i++) {
        resolve_model(&res, APR_ARRAY_IDX(conf->models, i,
                                          model_section_t *));
    }
    implicit_models(&res);
    for (i = 0; i < conf->models->nelts; i++) {
        resolve_fallbacks(&res, APR_ARRAY_IDX(conf->models, i,
                                              model_section_t *));
    }
    qsort(service->groups->elts, (size_t)service->groups->nelts,
          sizeof(llmux_group_t *), by_name);
    return res.mistakes ? NULL : service;
}
