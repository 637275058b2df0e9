/* request.c - from the first byte to knowing who may serve it. */

#include <string.h>
#include <strings.h>

#include <apr_strings.h>

#include "exchange.h"

static go_e fail(llmux_exchange_t *x, const llmux_error_t *err)
{
    x->error = err;
    return err ? GO_FAIL : GO_ON;
}

/* ---- identify: who asks, and for what -------------------------------- */

/* A browser asks before it sends anything: no key comes with that. */
static int is_preflight(const llmux_exchange_t *x)
{
    return !strcmp(x->in->method, "OPTIONS");
}

static int needs_key(const llmux_exchange_t *x)
{
    if (is_preflight(x)) {
        return 0;
    }
    if (x->endpoint->page == page_metrics) {
        return x->settings->metrics == LLMUX_METRICS_KEY;
    }
    return !x->endpoint->open;
}

static llmux_slice_t shown_key(const llmux_exchange_t *x)
{
    llmux_slice_t key = llmux_key_shown(x->in->headers);

    return key.data ? key : x->in->query_key;
}

/* A page of another site makes a browser ask, with the cookies and passwords
 * that it holds for us, and without a preflight where it sends plain text. No
 * page knows a key, so whoever shows one is no such page. Fetch standard,
 * "Sec-Fetch-Site". */
static const llmux_error_t *check_site(llmux_exchange_t *x)
{
    const char *site = apr_table_get(x->in->headers, "Sec-Fetch-Site");

    if (x->endpoint->page || is_preflight(x) || shown_key(x).data || !site
        || strcasecmp(site, "cross-site") || reply_origin_allowed(x)) {
        return NULL;
    }
    return llmux_error(x->pool, LLMUX_ERR_PERMISSION, NULL,
                       "This page may not call the gateway. Its origin must "
                       "be named in LLMuxCORSOrigins.");
}

go_e step_identify(llmux_exchange_t *x, llmux_wait_t *wait)
{
    const llmux_error_t *err;

    reply_headers(x);
    err = find_endpoint(x);
    if (!err && needs_key(x)) {
        err = llmux_admit(x->pool, &x->service->guard, shown_key(x),
                          &x->who);
    }
    if (!err) {
        err = check_site(x);
    }
    return fail(x, err);
}

/* ---- page: what is answered at once ---------------------------------- */

go_e step_page(llmux_exchange_t *x, llmux_wait_t *wait)
{
    llmux_slice_t nothing = { "", 0 };

    if (is_preflight(x)) {
        apr_table_setn(x->headers, "Allow",
                       apr_pstrcat(x->pool, x->endpoint->methods, ",OPTIONS",
                                   NULL));
        reply_page(x, 204, NULL, nothing);
        return GO_ON;
    }
    if (x->endpoint->page) {
        return fail(x, x->endpoint->page(x));
    }
    return GO_ON;
}

/* ---- read: the body, under its limit --------------------------------- */

static const llmux_error_t *too_large(llmux_exchange_t *x)
{
    return llmux_error(x->pool, LLMUX_ERR_TOO_LARGE, NULL,
                       "The request body is larger than the %" APR_INT64_T_FMT
                       " bytes that this gateway takes.",
                       x->settings->max_body);
}

/* Checked at the end of the body: a filter such as mod_deflate's takes the
 * header away once it has inflated. */
static const llmux_error_t *still_encoded(llmux_exchange_t *x)
{
    const char *encoding = apr_table_get(x->in->headers, "Content-Encoding");

    if (!encoding || !strcasecmp(encoding, "identity")) {
        return NULL;
    }
    return llmux_error(x->pool, LLMUX_ERR_MEDIA_TYPE, NULL,
                       "The request body has Content-Encoding %.40s. Send it "
                       "uncompressed.", encoding);
}

static const llmux_error_t *incomplete(llmux_exchange_t *x, apr_status_t rv)
{
    llmux_error_t *err = llmux_error(x->pool, LLMUX_ERR_INVALID, NULL,
                                     "The request body ended before it was "
                                     "complete.");

    llmux_log(x->env, LLMUX_LOG_DEBUG, 10, rv, "the body did not arrive");
    if (APR_STATUS_IS_TIMEUP(rv)) {
        err->status = 408;
        err->message = "The request body did not arrive in time.";
    }
    return err;
}

/* A length that is only said costs no more than this. */
#define BELIEVED_MAX (256 * 1024 - 1)

static llmux_buf_t *body_buf(llmux_exchange_t *x)
{
    llmux_buf_t *body = llmux_buf_create(x->pool,
                                         (apr_size_t)x->settings->max_body);

    if (x->in->length > 0) {
        llmux_buf_reserve(body, x->in->length < BELIEVED_MAX
                          ? (apr_size_t)x->in->length : BELIEVED_MAX);
    }
    return body;
}

go_e step_read(llmux_exchange_t *x, llmux_wait_t *wait)
{
    apr_status_t rv;

    if (x->in->length > x->settings->max_body) {
        return fail(x, too_large(x));
    }
    if (!x->body) {
        x->body = body_buf(x);
    }
    do {
        rv = x->in->source->read(x->in->source, x->body, wait);
    } while (rv == APR_SUCCESS);
    if (rv == APR_EAGAIN) {
        return GO_WAIT;
    }
    if (rv == APR_ENOSPC) {
        return fail(x, too_large(x));
    }
    if (rv != APR_EOF) {
        return fail(x, incomplete(x, rv));
    }
    return fail(x, still_encoded(x));
}

/* ---- understand: what is asked --------------------------------------- */

/* Members that are ours and never go up; dialect.h says what becomes of
 * them. */
static int has_our_members(const llmux_head_t *head)
{
    static const char *const names[] = {
        "provider", "parameters", "tags", "tag", NULL
    };
    int i;

    for (i = 0; names[i]; i++) {
        if (llmux_json_get_any(head->root, names[i])) {
            return 1;
        }
    }
    return 0;
}

/* Google's way to stream without "alt=sse". */
static int wants_array(const llmux_exchange_t *x)
{
    const char *alt = x->in->query ? strstr(x->in->query, "alt=sse") : NULL;

    return x->dialect == &llmux_dialect_gemini
        && !(alt && (alt == x->in->query || alt[-1] == '&')
             && (alt[7] == '\0' || alt[7] == '&'));
}

go_e step_understand(llmux_exchange_t *x, llmux_wait_t *wait)
{
    const llmux_dialect_t *other;
    const llmux_error_t *err;

    x->parser = llmux_json_parser_create(x->pool);
    llmux_json_parser_bound(x->parser, LLMUX_REQUEST_NODES_MAX);
    x->text = llmux_buf_slice(x->body);
    if (x->endpoint->action) {
        x->head.model = llmux_slice(model_of_path(x->pool, x->tail));
    }
    err = x->dialect->head(x->pool, x->parser, x->text, &x->head);
    other = llmux_dialect_of_body(x->dialect, x->head.root);
    if (other != x->dialect && other->head) {
        x->dialect = other;
        err = x->dialect->head(x->pool, x->parser, x->text, &x->head);
    }
    if (!err && has_our_members(&x->head)) {
        x->provider = x->head.provider;
        x->text = llmux_head_merge(x->pool, &x->head, x->text);
        err = x->dialect->head(x->pool, x->parser, x->text, &x->head);
    }
    if (err) {
        return fail(x, err);
    }
    x->head.sealer = x->service->sealer;
    x->head.tenant = llmux_slice(x->who.id);
    if (x->endpoint->stream != LLMUX_UNSET) {
        x->head.stream = x->endpoint->stream;
    }
    x->record.model = llmux_slice_str(x->pool, x->head.model);
    x->record.streamed = x->head.stream == LLMUX_YES;
    x->array = x->record.streamed && wants_array(x);
    return GO_ON;
}

/* ---- route: who could serve it --------------------------------------- */

#define NAMES_SHOWN 20

static const char *known_models(llmux_exchange_t *x)
{
    const apr_array_header_t *groups = x->service->groups;
    const char *names = "";
    int i;

    if (groups->nelts == 0) {
        return "no model is configured";
    }
    for (i = 0; i < groups->nelts && i < NAMES_SHOWN; i++) {
        names = apr_pstrcat(x->pool, names, i ? ", " : "available: ",
                            APR_ARRAY_IDX(groups, i, llmux_group_t *)->name,
                            NULL);
    }
    if (groups->nelts > NAMES_SHOWN) {
        names = apr_psprintf(x->pool, "%s and %d more (GET /v1/models)",
                             names, groups->nelts - NAMES_SHOWN);
    }
    return names;
}

static const llmux_error_t *unknown_model(llmux_exchange_t *x)
{
    return llmux_error(x->pool, LLMUX_ERR_MODEL, "model",
                       "The model '%.256s' does not exist; %s.",
                       x->record.model, known_models(x));
}

/* The name becomes a segment of a path at some providers, where dots alone
 * would lead elsewhere. */
static int may_be_model(llmux_slice_t name)
{
    return name.len && !llmux_slice_is(name, ".")
        && !llmux_slice_is(name, "..");
}

/* A group of one, for a model that is addressed directly. */
static const llmux_group_t *direct_group(llmux_exchange_t *x,
                                         const llmux_provider_t *provider,
                                         llmux_slice_t model)
{
    llmux_group_t *group = apr_pcalloc(x->pool, sizeof(*group));
    llmux_deployment_t *d = apr_pcalloc(x->pool, sizeof(*d));

    d->provider = provider;
    d->model = llmux_slice_str(x->pool, model);
    d->weight = 1;
    d->series = -1;
    llmux_deployment_name(x->pool, d, 0);
    group->name = apr_pstrcat(x->pool, provider->name, "/", d->model, NULL);
    group->deployments = apr_array_make(x->pool, 1, sizeof(d));
    APR_ARRAY_PUSH(group->deployments, llmux_deployment_t *) = d;
    group->fallbacks = apr_array_make(x->pool, 1, sizeof(group));
    return group;
}

/* "provider/model" as prefix and rest. An unknown prefix is no prefix: the
 * bare model is looked up, as LLMux does. */
static void route_by_prefix(llmux_exchange_t *x)
{
    const char *slash = memchr(x->head.model.data, '/', x->head.model.len);
    llmux_slice_t prefix = x->head.model, rest;
    const llmux_provider_t *provider;

    if (!slash) {
        return;
    }
    prefix.len = (apr_size_t)(slash - prefix.data);
    rest.data = slash + 1;
    rest.len = x->head.model.len - prefix.len - 1;
    provider = llmux_service_provider(x->service, prefix);
    if (provider && may_be_model(rest)) {
        x->group = direct_group(x, provider, rest);
    }
    else {
        x->group = llmux_service_group(x->service, rest);
    }
}

/* The body's `provider`: that account's deployments of the group, or, where
 * it has none there, the model by the provider's own name. */
static const llmux_error_t *route_by_member(llmux_exchange_t *x,
                                            llmux_slice_t name)
{
    int i;

    x->only = llmux_service_provider(x->service, name);
    if (!x->only) {
        return llmux_error(x->pool, LLMUX_ERR_INVALID, "provider",
                           "The provider '%.64s' does not exist.",
                           llmux_slice_str(x->pool, name));
    }
    for (i = 0; x->group && i < x->group->deployments->nelts; i++) {
        if (APR_ARRAY_IDX(x->group->deployments, i,
                          llmux_deployment_t *)->provider == x->only) {
            return NULL;
        }
    }
    if (!may_be_model(x->head.model)) {
        return unknown_model(x);
    }
    x->group = direct_group(x, x->only, x->head.model);
    return NULL;
}

static const llmux_error_t *find_group(llmux_exchange_t *x,
                                       llmux_slice_t provider)
{
    x->group = llmux_service_group(x->service, x->head.model);
    if (provider.data && !x->settings->direct) {
        return llmux_error(x->pool, LLMUX_ERR_PERMISSION, "provider",
                           "Choosing a provider is not allowed here. Leave "
                           "'provider' out.");
    }
    if (provider.data) {
        return route_by_member(x, provider);
    }
    if (!x->group && x->settings->direct) {
        route_by_prefix(x);
    }
    return x->group ? NULL : unknown_model(x);
}

go_e step_route(llmux_exchange_t *x, llmux_wait_t *wait)
{
    llmux_patience_t patience;
    const llmux_error_t *err = find_group(x, x->provider);

    if (err) {
        return fail(x, err);
    }
    x->record.group = x->group->name;
    patience.attempts = x->settings->attempts;
    patience.backoff = x->settings->backoff;
    patience.backoff_max = x->settings->backoff_max;
    x->plan = llmux_plan_create(x->pool, x->env, x->group, x->only,
                                &patience);
    return GO_ON;
}
