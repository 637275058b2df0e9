/* request.c - a provider's request: its headers, and what signs it. */

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "llmux/provider.h"

#define ANTHROPIC_VERSION "2023-06-01"

/* ---- headers up ------------------------------------------------------ */

static const struct {
    const char *header, *prefix;
} auths[] = {
    [LLMUX_AUTH_NONE]      = { NULL, NULL },
    [LLMUX_AUTH_OPTIONAL]  = { "Authorization", "Bearer " },
    [LLMUX_AUTH_BEARER]    = { "Authorization", "Bearer " },
    [LLMUX_AUTH_ANTHROPIC] = { "x-api-key", "" },
    [LLMUX_AUTH_GOOGLE]    = { "x-goog-api-key", "" },
    [LLMUX_AUTH_AZURE]     = { "api-key", "" },
    [LLMUX_AUTH_AWS]       = { "Authorization", "Bearer " },
    [LLMUX_AUTH_CLOUD]     = { "x-goog-api-key", "" },
};

static void sign_by_key(apr_pool_t *p, const llmux_provider_t *pr,
                        apr_array_header_t *headers)
{
    llmux_slice_t key;

    if (!pr->key || !auths[pr->kind->auth].header) {
        return;
    }
    key = llmux_secret_reveal(pr->key);
    llmux_header_add(headers, auths[pr->kind->auth].header,
                     apr_psprintf(p, "%s%.*s", auths[pr->kind->auth].prefix,
                                  (int)key.len, key.data));
}

/* Comes last: AWS signs what all other headers say. */
static void sign_by_grant(apr_pool_t *p, const llmux_provider_t *pr,
                          const llmux_outgoing_t *out, llmux_request_t *rq)
{
    if (pr->kind->auth == LLMUX_AUTH_AWS) {
        llmux_sigv4_sign(p, rq, out->grant, pr->region, "bedrock", out->now);
    }
    else {
        llmux_header_add(rq->headers, "Authorization",
                         apr_pstrcat(p, "Bearer ", out->grant->token, NULL));
        if (pr->credential->quota_project) {
            llmux_header_add(rq->headers, "x-goog-user-project",
                             pr->credential->quota_project);
        }
    }
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
            llmux_header_add(headers, up[i].name, value);
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
            llmux_header_add(headers, h->name, h->value);
        }
    }
}

static const char *const streams[] = {
    [LLMUX_FRAME_SSE]   = "text/event-stream",
    [LLMUX_FRAME_LINES] = "application/x-ndjson",
    [LLMUX_FRAME_AWS]   = "application/vnd.amazon.eventstream",
};

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
    rq->headers = apr_array_make(p, 8, sizeof(llmux_header_t));
    llmux_header_add(rq->headers, "Content-Type", "application/json");
    if (out->streamed) {
        llmux_header_add(rq->headers, "Accept", streams[out->dialect->frame]);
    }
    llmux_header_add(rq->headers, "User-Agent", "mod_llmux");
    llmux_header_add(rq->headers, "X-Request-ID", out->request_id);
    if (strcmp(out->request_id, out->exchange_id)) {
        llmux_header_add(rq->headers, "X-LLMux-Exchange-ID", out->exchange_id);
    }
    if (pr->kind->address == LLMUX_ADDRESS_ANTHROPIC) {
        llmux_header_add(rq->headers, "anthropic-version",
                         anthropic_version(pr, out));
    }
    sign_by_key(p, pr, rq->headers);
    pass_up(rq->headers, out);
    configured(pr, rq->headers);
    if (out->grant) {
        sign_by_grant(p, pr, out, rq);
    }
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

/* An answer that is translated may be made of several responses: `to` then
 * outlives the first of them, whose headers it has. */
void llmux_provider_headers_down(apr_table_t *to, const llmux_response_t *r,
                                 int same_dialect)
{
    void (*put)(apr_table_t *, const char *, const char *) =
        same_dialect ? apr_table_setn : apr_table_set;
    int i;

    for (i = 0; i < r->headers->nelts; i++) {
        const llmux_header_t *h = &APR_ARRAY_IDX(r->headers, i,
                                                 llmux_header_t);
        const down_t *d = find_down(h->name);

        if (d && (same_dialect || !d->vendor) && is_tame(h, d)) {
            put(to, d->as ? d->as : h->name, h->value);
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
