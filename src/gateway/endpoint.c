/* endpoint.c - which path is what, and by which methods. */

#include <string.h>

#include <apr_strings.h>

#include "exchange.h"

#define GET       "GET,HEAD"
#define KEPT      "GET,DELETE"
#define V1        "/v1/models/"
#define BETA      "/v1beta/models/"
#define AZURE     "/openai/deployments/"

/* A model is asked. */
#define ASK(name, path, dialect) \
    { name, path, NULL, LLMUX_UNSET, "POST", 0, &llmux_dialect_##dialect, NULL }

/* ... whose name is in the path, before the action. */
#define ACT(name, path, action, dialect, stream) \
    { name, path, action, LLMUX_##stream, "POST", 0, \
      &llmux_dialect_##dialect, NULL }

/* A page; one that needs no key. */
#define PAGE(name, path, methods, dialect, page) \
    { name, path, NULL, LLMUX_UNSET, methods, 0, \
      &llmux_dialect_##dialect, page }
#define OPEN(name, path, methods, dialect, page) \
    { name, path, NULL, LLMUX_UNSET, methods, 1, \
      &llmux_dialect_##dialect, page }

/* The first that fits. */
static const endpoint_t endpoints[] = {
    ASK("chat",        "/v1/chat/completions",               openai),
    ASK("messages",    "/v1/messages",                       anthropic),
    ASK("responses",   "/v1/responses",                      responses),
    ASK("completions", "/v1/completions",                    completions),
    ASK("embeddings",  "/v1/embeddings",                     embeddings),
    ASK("count",       "/v1/messages/count_tokens",          anthropic_count),
    ASK("count",       "/v1/responses/input_tokens",         responses_count),
    PAGE("responses", "/v1/responses/",        KEPT, responses, page_response),
    ACT("generate",    BETA,  ":generateContent",       gemini, NO),
    ACT("generate",    BETA,  ":streamGenerateContent", gemini, YES),
    ACT("count",       BETA,  ":countTokens",           gemini_count, NO),
    ACT("embeddings",  BETA,  ":embedContent",          gemini_embed, NO),
    ACT("embeddings",  BETA,  ":batchEmbedContents",    gemini_batch_embed, NO),
    ACT("generate",    V1,    ":generateContent",       gemini, NO),
    ACT("generate",    V1,    ":streamGenerateContent", gemini, YES),
    ACT("count",       V1,    ":countTokens",           gemini_count, NO),
    ACT("embeddings",  V1,    ":embedContent",          gemini_embed, NO),
    ACT("embeddings",  V1,    ":batchEmbedContents",    gemini_batch_embed, NO),
    ACT("chat",        AZURE, "/chat/completions",      openai, UNSET),
    ACT("completions", AZURE, "/completions",           completions, UNSET),
    ACT("embeddings",  AZURE, "/embeddings",            embeddings, UNSET),
    ASK("chat",        "/openai/v1/chat/completions",        openai),
    ASK("responses",   "/openai/v1/responses",               responses),
    ASK("completions", "/openai/v1/completions",             completions),
    ASK("embeddings",  "/openai/v1/embeddings",              embeddings),
    ASK("count",       "/openai/v1/responses/input_tokens",  responses_count),
    PAGE("responses", "/openai/v1/responses/", KEPT, responses, page_response),
    ASK("responses",   "/openai/responses",                  responses),
    ASK("count",       "/openai/responses/input_tokens",     responses_count),
    PAGE("responses", "/openai/responses/",    KEPT, responses, page_response),
    PAGE("models",    "/v1/models",            GET, openai, page_models),
    PAGE("models",    "/v1/models/",           GET, openai, page_model),
    PAGE("models",    "/openai/v1/models",     GET, openai, page_models),
    PAGE("models",    "/openai/v1/models/",    GET, openai, page_model),
    PAGE("models",    "/openai/models",        GET, openai, page_models),
    PAGE("models",    "/openai/models/",       GET, openai, page_model),
    PAGE("models",    "/v1beta/models",        GET, gemini, page_models),
    PAGE("models",    "/v1beta/models/",       GET, gemini, page_model),
    OPEN("health",    "/health",               GET, openai, page_health),
    OPEN("health",    "/health/live",          GET, openai, page_live),
    OPEN("health",    "/health/ready",         GET, openai, page_ready),
    PAGE("metrics",   "/metrics",              GET, openai, page_metrics),
};

#define ENDPOINTS (sizeof(endpoints) / sizeof(endpoints[0]))

/* The model between prefix and action, or NULL. */
static const char *between(apr_pool_t *p, const char *tail,
                           const char *action)
{
    apr_size_t n = strlen(tail), k = strlen(action);

    return n > k && !strcmp(tail + n - k, action)
        ? apr_pstrmemdup(p, tail, n - k) : NULL;
}

/* What of the path is behind the endpoint's own, or NULL. */
static const char *match(apr_pool_t *p, const endpoint_t *e, const char *path)
{
    apr_size_t n = strlen(e->path);

    if (strncmp(path, e->path, n)) {
        return NULL;
    }
    if (e->action) {
        return between(p, path + n, e->action);
    }
    if (e->path[n - 1] == '/') {
        return path[n] ? path + n : NULL;
    }
    return path[n] == '\0' || !strcmp(path + n, "/") ? path + n : NULL;
}

static int has_method(const char *methods, const char *method)
{
    apr_size_t n = strlen(method);
    const char *at = strstr(methods, method);

    return at && n && (at[n] == ',' || at[n] == '\0')
        && (at == methods || at[-1] == ',');
}

static const llmux_error_t *wrong_method(llmux_exchange_t *x)
{
    const char *allow = apr_pstrcat(x->pool, x->endpoint->methods,
                                    ",OPTIONS", NULL);

    apr_table_setn(x->headers, "Allow", allow);
    return llmux_error(x->pool, LLMUX_ERR_METHOD, NULL,
                       "%.64s is not allowed for %.512s. Use %s.",
                       x->in->method, x->in->path, x->endpoint->methods);
}

/* The endpoint of this path, or NULL. */
static const endpoint_t *lookup(apr_pool_t *p, const char *path,
                                const char **tail)
{
    apr_size_t i;

    for (i = 0; i < ENDPOINTS; i++) {
        *tail = match(p, &endpoints[i], path);
        if (*tail) {
            return &endpoints[i];
        }
    }
    return NULL;
}

/* Whose paths these are, also those that are not here. */
static const struct {
    const char *below;
    const llmux_dialect_t *dialect;
} families[] = {
    { "/v1beta/",      &llmux_dialect_gemini    },
    { "/v1/messages/", &llmux_dialect_anthropic }
};

/* @param path may be NULL
 * @return NULL: nobody's */
static const llmux_dialect_t *family_of(const char *path)
{
    apr_size_t i;

    for (i = 0; path && i < sizeof(families) / sizeof(families[0]); i++) {
        if (!strncmp(path, families[i].below, strlen(families[i].below))) {
            return families[i].dialect;
        }
    }
    return NULL;
}

const llmux_dialect_t *dialect_of_path(apr_pool_t *p, const char *path)
{
    const char *tail;
    const endpoint_t *e = path ? lookup(p, path, &tail) : NULL;
    const llmux_dialect_t *family = family_of(path);

    return e ? e->dialect : family ? family : &llmux_dialect_openai;
}

/* There is no such path; who asked still knows the answer's shape. */
static const llmux_error_t *unknown_path(llmux_exchange_t *x)
{
    const llmux_dialect_t *family = family_of(x->in->path);

    family = family ? family : family_of(x->in->below);
    if (family) {
        x->dialect = family;
    }
    return llmux_error(x->pool, LLMUX_ERR_NOT_FOUND, NULL,
                       "Unknown path %.512s. This gateway answers POST "
                       "/v1/chat/completions, /v1/responses, "
                       "/v1/completions, /v1/embeddings, /v1/messages "
                       "and /v1beta/models/MODEL:generateContent, GET "
                       "/v1/models, /health and /metrics.", x->in->path);
}

const llmux_error_t *find_endpoint(llmux_exchange_t *x)
{
    x->endpoint = lookup(x->pool, x->in->path, &x->tail);
    if (!x->endpoint && x->in->below) {
        x->endpoint = lookup(x->pool, x->in->below, &x->tail);
    }
    if ((!x->endpoint || x->endpoint->page) && version_of(x)) {
        x->dialect = &llmux_dialect_anthropic;
    }
    if (!x->endpoint) {
        return unknown_path(x);
    }
    x->record.endpoint = x->endpoint->name;
    if (!x->endpoint->page || !version_of(x)) {
        x->dialect = x->endpoint->dialect;
    }
    if (!has_method(x->endpoint->methods, x->in->method)
        && strcmp(x->in->method, "OPTIONS")) {
        return wrong_method(x);
    }
    return NULL;
}
