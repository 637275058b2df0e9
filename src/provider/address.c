/* address.c - where a provider's request goes: base URL, path, query. */

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "llmux/provider.h"

#define AZURE_VERSION "2024-10-21"

/* What is to be addressed. */
typedef struct place_t {
    apr_pool_t *p;
    const llmux_provider_t *pr;
    const char *base;
    const char *model;
    const llmux_dialect_t *dialect;
    int streamed;
} place_t;

static const char *escape(apr_pool_t *p, const char *s)
{
    llmux_buf_t *out = llmux_buf_create(p, 3 * strlen(s));

    llmux_url_escape(out, llmux_slice(s));
    return out->len ? out->data : "";
}

/* Does the path of this URL end in a version such as /v1 or /v1beta? */
static int has_version(const char *url)
{
    const char *last = strrchr(url, '/');

    return last && last[1] == 'v' && apr_isdigit(last[2]);
}

/* "models/gemini-2.5-flash" is a way to say gemini-2.5-flash. */
static const char *bare_model(const char *model)
{
    return strncmp(model, "models/", 7) ? model : model + 7;
}

/* Without alt=sse the stream would be one JSON array. */
static const char *gemini_verb(const place_t *at)
{
    if (at->dialect->op != LLMUX_OP_CHAT) {
        return at->dialect->path;
    }
    return at->streamed ? ":streamGenerateContent?alt=sse"
                        : ":generateContent";
}

static const char *openai_url(const place_t *at)
{
    return apr_pstrcat(at->p, at->base, at->dialect->path, NULL);
}

static const char *anthropic_url(const place_t *at)
{
    return apr_pstrcat(at->p, at->base, has_version(at->base) ? "" : "/v1",
                       at->dialect->path, NULL);
}

static const char *gemini_url(const place_t *at)
{
    return apr_pstrcat(at->p, at->base,
                       has_version(at->base) ? "" : "/v1beta", "/models/",
                       escape(at->p, bare_model(at->model)), gemini_verb(at),
                       NULL);
}

/* Responses and what belongs to them have no path by deployment. */
static const char *azure_url(const place_t *at)
{
    const llmux_provider_t *pr = at->pr;
    int v1 = pr->azure_v1 || at->dialect == &llmux_dialect_responses
        || at->dialect->op == LLMUX_OP_COUNT;

    if (v1) {
        return apr_pstrcat(at->p, at->base, "/openai/v1", at->dialect->path,
                           pr->version ? "?api-version=" : NULL, pr->version,
                           NULL);
    }
    return apr_pstrcat(at->p, at->base, "/openai/deployments/",
                       escape(at->p, at->model), at->dialect->path,
                       "?api-version=",
                       pr->version ? pr->version : AZURE_VERSION, NULL);
}

/* In the cloud its address is given with /api. */
static const char *ollama_url(const place_t *at)
{
    const char *last = strrchr(at->base, '/');

    return apr_pstrcat(at->p, at->base,
                       last && !strcmp(last, "/api") ? "" : "/api",
                       at->dialect->path, NULL);
}

static const char *cohere_url(const place_t *at)
{
    return apr_pstrcat(at->p, at->base, has_version(at->base) ? "" : "/v2",
                       at->dialect->path, NULL);
}

/* A model may be an ARN, with slashes and colons. */
static const char *bedrock_url(const place_t *at)
{
    const char *verb = at->dialect->op == LLMUX_OP_EMBED ? "/invoke"
        : at->dialect->op == LLMUX_OP_COUNT ? at->dialect->path
        : at->streamed ? "/converse-stream" : "/converse";

    return apr_pstrcat(at->p, at->base, "/model/", escape(at->p, at->model),
                       verb, NULL);
}

/* What stands behind project and region, by who made the model. */
static const char *vertex_model(const place_t *at)
{
    const llmux_dialect_t *d = at->dialect;
    const char *model = escape(at->p, bare_model(at->model));

    if (d == &llmux_dialect_openai) {
        return apr_pstrcat(at->p, "/endpoints/openapi", d->path, NULL);
    }
    if (d == &llmux_dialect_anthropic_count) {
        return "/publishers/anthropic/models/count-tokens:rawPredict";
    }
    if (d == &llmux_dialect_anthropic) {
        return apr_pstrcat(at->p, "/publishers/anthropic/models/", model,
                           at->streamed ? ":streamRawPredict"
                                        : ":rawPredict", NULL);
    }
    return apr_pstrcat(at->p, "/publishers/google/models/", model,
                       d == &llmux_dialect_vertex_embed ? ":predict"
                                                        : gemini_verb(at),
                       NULL);
}

/* With an API key ("express mode") there is neither project nor region. */
static const char *vertex_url(const place_t *at)
{
    const char *version = has_version(at->base) ? "" : "/v1";

    if (at->pr->key) {
        return apr_pstrcat(at->p, at->base, version, vertex_model(at), NULL);
    }
    return apr_pstrcat(at->p, at->base, version, "/projects/",
                       escape(at->p, at->pr->project), "/locations/",
                       escape(at->p, at->pr->region), vertex_model(at), NULL);
}

static const char *(*const addresses[])(const place_t *at) = {
    [LLMUX_ADDRESS_OPENAI] = openai_url,
    [LLMUX_ADDRESS_ANTHROPIC] = anthropic_url,
    [LLMUX_ADDRESS_GEMINI] = gemini_url,
    [LLMUX_ADDRESS_AZURE] = azure_url,
    [LLMUX_ADDRESS_OLLAMA] = ollama_url,
    [LLMUX_ADDRESS_COHERE] = cohere_url,
    [LLMUX_ADDRESS_BEDROCK] = bedrock_url,
    [LLMUX_ADDRESS_VERTEX] = vertex_url,
};

const char *llmux_provider_url(apr_pool_t *p, const llmux_deployment_t *d,
                               const llmux_dialect_t *dialect, int streamed)
{
    const place_t at = { p, d->provider, d->provider->base_url, d->model,
                         dialect, streamed };

    return addresses[d->provider->kind->address](&at);
}
