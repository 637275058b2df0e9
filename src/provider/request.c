/* request.c - where a provider's request goes, and what signs it. */

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "llmux/provider.h"

#define ANTHROPIC_VERSION "2023-06-01"
#define AZURE_VERSION     "2024-10-21"

/* ---- addresses ------------------------------------------------------- */

/* Percent-encodes all but RFC 3986's unreserved characters. */
static const char *path_escape(apr_pool_t *p, const char *s)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = apr_palloc(p, 3 * strlen(s) + 1);
    char *to = out;

    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if (apr_isalnum(c) || strchr("-._~", c)) {
            *to++ = (char)c;
        }
        else {
            *to++ = '%';
            *to++ = digits[c >> 4];
            *to++ = digits[c & 15];
        }
    }
    *to = '\0';
    return out;
}

/* Does the path of this URL end in a version such as /v1 or /v1beta? */
static int has_version(const char *url)
{
    const char *last = strrchr(url, '/');

    return last && last[1] == 'v' && apr_isdigit(last[2]);
}

static const char *openai_url(apr_pool_t *p, const llmux_deployment_t *d,
                              const llmux_dialect_t *dialect, int streamed)
{
    return apr_pstrcat(p, d->provider->base_url, dialect->path, NULL);
}

static const char *anthropic_url(apr_pool_t *p, const llmux_deployment_t *d,
                                 const llmux_dialect_t *dialect, int streamed)
{
    const char *base = d->provider->base_url;

    return apr_pstrcat(p, base, has_version(base) ? "" : "/v1", "/messages",
                       NULL);
}

/* Without alt=sse the stream would be one JSON array. */
static const char *gemini_url(apr_pool_t *p, const llmux_deployment_t *d,
                              const llmux_dialect_t *dialect, int streamed)
{
    const char *base = d->provider->base_url;
    const char *model = d->model;

    if (!strncmp(model, "models/", 7)) {
        model += 7;
    }
    return apr_pstrcat(p, base, has_version(base) ? "" : "/v1beta",
                       "/models/", path_escape(p, model),
                       streamed ? ":streamGenerateContent?alt=sse"
                                : ":generateContent", NULL);
}

static const char *azure_url(apr_pool_t *p, const llmux_deployment_t *d,
                             const llmux_dialect_t *dialect, int streamed)
{
    const llmux_provider_t *pr = d->provider;

    if (pr->azure_v1 || dialect != &llmux_dialect_openai) {
        return apr_pstrcat(p, pr->base_url, "/openai/v1", dialect->path,
                           pr->version ? "?api-version=" : NULL, pr->version,
                           NULL);
    }
    return apr_pstrcat(p, pr->base_url, "/openai/deployments/",
                       path_escape(p, d->model),
                       "/chat/completions?api-version=",
                       pr->version ? pr->version : AZURE_VERSION, NULL);
}

/* In the cloud its address is given with /api. */
static const char *ollama_url(apr_pool_t *p, const llmux_deployment_t *d,
                              const llmux_dialect_t *dialect, int streamed)
{
    const char *base = d->provider->base_url;
    const char *last = strrchr(base, '/');

    return apr_pstrcat(p, base, last && !strcmp(last, "/api") ? "" : "/api",
                       "/chat", NULL);
}

static const char *cohere_url(apr_pool_t *p, const llmux_deployment_t *d,
                              const llmux_dialect_t *dialect, int streamed)
{
    const char *base = d->provider->base_url;

    return apr_pstrcat(p, base, has_version(base) ? "" : "/v2", "/chat",
                       NULL);
}

static const char *(*const addresses[])(apr_pool_t *p,
                                        const llmux_deployment_t *d,
                                        const llmux_dialect_t *dialect,
                                        int streamed) = {
    [LLMUX_ADDRESS_OPENAI] = openai_url,
    [LLMUX_ADDRESS_ANTHROPIC] = anthropic_url,
    [LLMUX_ADDRESS_GEMINI] = gemini_url,
    [LLMUX_ADDRESS_AZURE] = azure_url,
    [LLMUX_ADDRESS_OLLAMA] = ollama_url,
    [LLMUX_ADDRESS_COHERE] = cohere_url,
};

const char *llmux_provider_url(apr_pool_t *p, const llmux_deployment_t *d,
                               const llmux_dialect_t *dialect, int streamed)
{
    return addresses[d->provider->kind->address](p, d, dialect, streamed);
}

/* ---- headers up ------------------------------------------------------ */

static void add(apr_array_header_t *headers, const char *name,
                const char *value)
{
    llmux_header_t *h = apr_array_push(headers);

    h->name = name;
    h->value = value;
}

static const struct {
    const char *header, *prefix;
} auths[] = {
    [LLMUX_AUTH_NONE]      = { NULL, NULL },
    [LLMUX_AUTH_OPTIONAL]  = { "Authorization", "Bearer " },
    [LLMUX_AUTH_BEARER]    = { "Authorization", "Bearer " },
    [LLMUX_AUTH_ANTHROPIC] = { "x-api-key", "" },
    [LLMUX_AUTH_GOOGLE]    = { "x-goog-api-key", "" },
    [LLMUX_AUTH_AZURE]     = { "api-key", "" },
};

static void sign(apr_pool_t *p, const llmux_provider_t *pr,
                 apr_array_header_t *headers)
{
    llmux_slice_t key;

    if (!pr->key || !auths[pr->kind->auth].header) {
        return;
    }
    key = llmux_secret_reveal(pr->key);
    add(headers, auths[pr->kind->auth].header,
        apr_psprintf(p, "%s%.*s", auths[pr->kind->auth].prefix, (int)key.len,
                     key.data));
}

/* What of the client's headers may go up (DECISIONS: allow-lists both ways).
 * Vendor headers only make sense to a provider of the same dialect. */
static const struct {
    const char *name;
    int vendor;
} up[] = {
    { "traceparent", 0 },
    { "tracestate", 0 },
    { "idempotency-key", 1 },
    { "openai-beta", 1 },
    { "anthropic-beta", 1 },
};

static void pass_up(apr_array_header_t *headers, const llmux_outgoing_t *out)
{
    apr_size_t i;

    for (i = 0; i < sizeof(up) / sizeof(up[0]); i++) {
        const char *value = apr_table_get(out->client_headers, up[i].name);

        if (value && (out->same_dialect || !up[i].vendor)) {
            add(headers, up[i].name, value);
        }
    }
}

/* The operator's own headers replace ours of the same name. */
static void configured(const llmux_provider_t *pr,
                       apr_array_header_t *headers)
{
    int i, k;

    for (i = 0; i < pr->headers->nelts; i++) {
        const llmux_header_t *h = &APR_ARRAY_IDX(pr->headers, i,
                                                 llmux_header_t);

        for (k = 0; k < headers->nelts; k++) {
            llmux_header_t *old = &APR_ARRAY_IDX(headers, k, llmux_header_t);

            if (!strcasecmp(old->name, h->name)) {
                break;
            }
        }
        if (k < headers->nelts) {
            APR_ARRAY_IDX(headers, k, llmux_header_t) = *h;
        }
        else {
            add(headers, h->name, h->value);
        }
    }
}

/* The operator's, or that in which the client wrote what passes. */
static const char *anthropic_version(const llmux_provider_t *pr,
                                     const llmux_outgoing_t *out)
{
    const char *client = apr_table_get(out->client_headers,
                                       "anthropic-version");

    if (pr->version) {
        return pr->version;
    }
    return client && out->same_dialect ? client : ANTHROPIC_VERSION;
}

llmux_request_t *llmux_provider_request(apr_pool_t *p,
                                        const llmux_deployment_t *d,
                                        const llmux_outgoing_t *out)
{
    const llmux_provider_t *pr = d->provider;
    llmux_request_t *rq = apr_pcalloc(p, sizeof(*rq));

    rq->upstream = &pr->upstream;
    rq->url = llmux_provider_url(p, d, out->dialect, out->streamed);
    rq->body = out->body;
    rq->headers = apr_array_make(p, 12, sizeof(llmux_header_t));
    add(rq->headers, "Content-Type", "application/json");
    if (out->streamed) {
        add(rq->headers, "Accept", out->dialect->frame == LLMUX_FRAME_LINES
            ? "application/x-ndjson" : "text/event-stream");
    }
    add(rq->headers, "User-Agent", "mod_llmux");
    add(rq->headers, "X-Request-ID", out->request_id);
    if (strcmp(out->request_id, out->exchange_id)) {
        add(rq->headers, "X-LLMux-Exchange-ID", out->exchange_id);
    }
    if (pr->kind->address == LLMUX_ADDRESS_ANTHROPIC) {
        add(rq->headers, "anthropic-version", anthropic_version(pr, out));
    }
    sign(p, pr, rq->headers);
    pass_up(rq->headers, out);
    configured(pr, rq->headers);
    return rq;
}

/* ---- headers down ---------------------------------------------------- */

/* What of a provider's answer the client may see, and under which name.
 * prefix: all headers that begin so. vendor: only in the same dialect. */
typedef struct down_t {
    const char *name;
    apr_size_t len;
    const char *as;
    int prefix, vendor;
} down_t;

#define NAME(text) text, sizeof(text) - 1

static const down_t down[] = {
    { NAME("x-ratelimit-"),         NULL,              1, 1 },  /* the most */
    { NAME("x-request-id"),         LLMUX_UPSTREAM_ID, 0, 0 },
    { NAME("request-id"),           LLMUX_UPSTREAM_ID, 0, 0 },
    { NAME("apim-request-id"),      LLMUX_UPSTREAM_ID, 0, 0 },
    { NAME("openai-processing-ms"), NULL,              0, 1 },
    { NAME("openai-version"),       NULL,              0, 1 },
    { NAME("retry-after-ms"),       NULL,              0, 1 },
};

#define DOWN_LETTERS "xraoXRAO"     /* what their names begin with */

static const down_t *find_down(const char *name)
{
    apr_size_t k, len;

    if (!strchr(DOWN_LETTERS, *name)) {
        return NULL;
    }
    len = strlen(name);
    for (k = 0; k < sizeof(down) / sizeof(down[0]); k++) {
        if ((down[k].prefix ? len > down[k].len : len == down[k].len)
            && !strncasecmp(name, down[k].name, down[k].len)) {
            return &down[k];
        }
    }
    return NULL;
}

static int is_name(const char *s)
{
    while (apr_isalnum(*s) || *s == '-' || *s == '_') {
        s++;
    }
    return !*s;
}

/* httpd answers 500 rather than send a name that is none. */
static int is_tame(const llmux_header_t *h, const down_t *d)
{
    return (!d->prefix || is_name(h->name + d->len))
        && strlen(h->value) <= LLMUX_HEADER_DOWN_MAX;
}

void llmux_provider_headers_down(apr_table_t *to, const llmux_response_t *r,
                                 int same_dialect)
{
    int i;

    for (i = 0; i < r->headers->nelts; i++) {
        const llmux_header_t *h = &APR_ARRAY_IDX(r->headers, i,
                                                 llmux_header_t);
        const down_t *d = find_down(h->name);

        if (d && (same_dialect || !d->vendor) && is_tame(h, d)) {
            apr_table_setn(to, d->as ? d->as : h->name, h->value);
        }
    }
}

/* All names for it end so. */
static int ends_as_id(const char *name)
{
    apr_size_t n = strlen(name);

    return n > 3 && name[n - 3] == '-' && (name[n - 1] | 0x20) == 'd';
}

const char *llmux_provider_answer_id(const llmux_response_t *r)
{
    const char *id = NULL;
    int i;

    for (i = 0; i < r->headers->nelts; i++) {
        const llmux_header_t *h = &APR_ARRAY_IDX(r->headers, i,
                                                 llmux_header_t);
        const down_t *d = ends_as_id(h->name) ? find_down(h->name) : NULL;

        if (d && d->as && is_tame(h, d)) {
            id = h->value;
        }
    }
    return id;
}
