/* endpoint.c - which path is what, and by which methods. */

#include <string.h>

#include <apr_strings.h>

#include "exchange.h"

#define GET "GET,HEAD"
#define OPENAI    &llmux_dialect_openai
#define RESPONSES &llmux_dialect_responses
#define ANTHROPIC &llmux_dialect_anthropic
#define GEMINI    &llmux_dialect_gemini
#define COMPLETE  &llmux_dialect_completions
#define EMBED     &llmux_dialect_embeddings
#define COUNT     &llmux_dialect_anthropic_count
#define COUNTED   &llmux_dialect_responses_count
#define PAGE      NULL, LLMUX_UNSET
#define CHAT      NULL, LLMUX_UNSET
#define WHOLE     ":generateContent", LLMUX_NO
#define STREAM    ":streamGenerateContent", LLMUX_YES
#define COUNTS    ":countTokens", LLMUX_NO
#define VECTOR    ":embedContent", LLMUX_NO
#define VECTORS   ":batchEmbedContents", LLMUX_NO
#define AZURE     "/openai/deployments/"
#define BETA      "/v1beta/models/"

/* The first that fits. */
static const endpoint_t endpoints[] = {
    { "chat",      "/v1/chat/completions", CHAT,  "POST", 0, OPENAI,    NULL },
    { "messages",  "/v1/messages",         CHAT,  "POST", 0, ANTHROPIC, NULL },
    { "responses", "/v1/responses",        CHAT,  "POST", 0, RESPONSES, NULL },
    { "completions", "/v1/completions",    CHAT,  "POST", 0, COMPLETE,  NULL },
    { "embeddings", "/v1/embeddings",      CHAT,  "POST", 0, EMBED,     NULL },
    { "count",     "/v1/messages/count_tokens", CHAT, "POST", 0, COUNT, NULL },
    { "count",     "/v1/responses/input_tokens", CHAT, "POST", 0, COUNTED,
      NULL },
    { "generate",  BETA,                  WHOLE,  "POST", 0, GEMINI,    NULL },
    { "generate",  BETA,                  STREAM, "POST", 0, GEMINI,    NULL },
    { "count",     BETA,                  COUNTS, "POST", 0,
      &llmux_dialect_gemini_count, NULL },
    { "embeddings", BETA,                 VECTOR, "POST", 0,
      &llmux_dialect_gemini_embed, NULL },
    { "embeddings", BETA,                 VECTORS, "POST", 0,
      &llmux_dialect_gemini_batch_embed, NULL },
    { "generate",  "/v1/models/",         WHOLE,  "POST", 0, GEMINI,    NULL },
    { "generate",  "/v1/models/",         STREAM, "POST", 0, GEMINI,    NULL },
    { "chat",      AZURE, "/chat/completions", LLMUX_UNSET, "POST", 0, OPENAI,
      NULL },
    { "completions", AZURE, "/completions", LLMUX_UNSET, "POST", 0, COMPLETE,
      NULL },
    { "embeddings", AZURE, "/embeddings", LLMUX_UNSET, "POST", 0, EMBED,
      NULL },
    { "chat",      "/openai/v1/chat/completions", CHAT, "POST", 0, OPENAI,
      NULL },
    { "responses", "/openai/v1/responses", CHAT,  "POST", 0, RESPONSES, NULL },
    { "completions", "/openai/v1/completions", CHAT, "POST", 0, COMPLETE,
      NULL },
    { "embeddings", "/openai/v1/embeddings", CHAT, "POST", 0, EMBED, NULL },
    { "count",     "/openai/v1/responses/input_tokens", CHAT, "POST", 0,
      COUNTED, NULL },
    { "models",    "/v1/models",           PAGE,  GET, 0, OPENAI, page_models },
    { "models",    "/v1/models/",          PAGE,  GET, 0, OPENAI, page_model },
    { "models",    "/openai/v1/models",    PAGE,  GET, 0, OPENAI, page_models },
    { "models",    "/openai/v1/models/",   PAGE,  GET, 0, OPENAI, page_model },
    { "models",    "/v1beta/models",       PAGE,  GET, 0, GEMINI, page_models },
    { "models",    "/v1beta/models/",      PAGE,  GET, 0, GEMINI, page_model },
    { "health",    "/health",              PAGE,  GET, 1, OPENAI, page_health },
    { "health",    "/health/live",         PAGE,  GET, 1, OPENAI, page_live },
    { "health",    "/health/ready",        PAGE,  GET, 1, OPENAI, page_ready },
    { "metrics",   "/metrics",             PAGE,  GET, 0, OPENAI,
      page_metrics },
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

const llmux_dialect_t *dialect_of_path(apr_pool_t *p, const char *path)
{
    const char *tail;
    const endpoint_t *e = path ? lookup(p, path, &tail) : NULL;

    return e ? e->dialect : &llmux_dialect_openai;
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
        return llmux_error(x->pool, LLMUX_ERR_NOT_FOUND, NULL,
                           "Unknown path %.512s. This gateway answers POST "
                           "/v1/chat/completions, /v1/responses, "
                           "/v1/completions, /v1/embeddings, /v1/messages "
                           "and /v1beta/models/MODEL:generateContent, GET "
                           "/v1/models, /health and /metrics.", x->in->path);
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
