/* attempt.c - one try with one deployment: its request, and what came. */

#include <string.h>
#include <strings.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "exchange.h"

/* How long the end of the HTTP message may trail behind the end of the
 * answer, so that the connection can be kept. */
#define TAIL_MAX apr_time_from_msec(250)

/* ---- the request ----------------------------------------------------- */

/* The request as a tree of the core's own, made once, when the first
 * provider of another dialect needs it. One that cannot be read is not tried
 * again for the next: a tree is large. */
static const llmux_error_t *read_chat(llmux_exchange_t *x)
{
    const llmux_json_t *body;
    const llmux_error_t *err;
    llmux_chat_t *chat;

    if (x->chat || x->unreadable) {
        return x->unreadable;
    }
    body = llmux_json_parse(x->pool, x->text, 0, NULL);
    chat = llmux_chat_create(x->pool);
    chat->version = version_of(x);
    err = x->dialect->read(chat, body);
    chat->model = x->head.model;
    chat->stream = x->record.streamed;
    if (!err) {
        x->chat = chat;
    }
    x->unreadable = err;
    return err;
}

/* What the client's dialect alone can say does not leave it in silence. */
static void tell_lost(attempt_t *a)
{
    const llmux_extra_t *lost;

    for (lost = a->x->chat->lost; lost; lost = lost->next) {
        llmux_warn(a->warnings, LLMUX_WARN_DROP,
                   llmux_slice_str(a->pool, lost->name));
    }
}

static const llmux_error_t *translate(attempt_t *a, llmux_buf_t *out)
{
    const llmux_error_t *err = read_chat(a->x);

    if (!err) {
        tell_lost(a);
        err = a->dialect->write(out, a->x->chat, &a->target, a->warnings,
                             a->pool);
    }
    if (!err) {
        err = llmux_warnings_refusal(a->x->pool, a->warnings,
                                     a->target.name);
    }
    return err;
}

static const llmux_error_t *write_body(attempt_t *a, llmux_buf_t *out)
{
    const llmux_error_t *err = NULL;

    if (a->same) {
        a->x->dialect->edit(out, a->pool, &a->x->head, a->x->text,
                            &a->target);
    }
    else {
        err = translate(a, out);
    }
    if (!err && out->failed) {
        err = llmux_error(a->x->pool, LLMUX_ERR_TOO_LARGE, NULL,
                          "The request is too large for %s.",
                          a->target.name);
    }
    return err;
}

static llmux_request_t *sign(attempt_t *a, const llmux_buf_t *body)
{
    llmux_exchange_t *x = a->x;
    const llmux_outgoing_t out = {
        .streamed = x->record.streamed,
        .dialect = a->dialect,
        .body = llmux_buf_slice(body),
        .request_id = x->record.request_id,
        .exchange_id = x->record.exchange_id,
        .client_headers = x->in->headers,
        .same_dialect = a->same,
    };

    return llmux_provider_request(a->pool, a->deployment, &out);
}

/* ---- the response ---------------------------------------------------- */

static int is_stream(const llmux_response_t *r)
{
    return !strncasecmp(r->content_type, "text/event-stream", 17);
}

/* Bytes pass as they are when both sides speak one dialect in one mode, and
 * nothing is wanted that the provider did not put into them, nor hidden that
 * he may have. */
static int may_relay(const attempt_t *a, int streamed)
{
    const llmux_exchange_t *x = a->x;
    int own_usage = streamed && x->head.include_usage
        && !(a->target.can & LLMUX_CAN_STREAM_USAGE);

    return a->same && streamed == x->record.streamed && !own_usage
        && !x->array && x->settings->reasoning
        && x->settings->response_model == LLMUX_MODEL_UPSTREAM;
}

static void expect_answer(attempt_t *a)
{
    llmux_exchange_t *x = a->x;
    int streamed = is_stream(a->head);
    llmux_encode_t how;

    a->relay = may_relay(a, streamed);
    if (a->same && !a->relay && x->dialect == &llmux_dialect_responses) {
        read_chat(x);       /* its answers repeat what was asked */
    }
    how = answer_how(x);
    a->stream = llmux_stream_open(a->pool, x->env,
                                  a->dialect,
                                  streamed, answer_event,
                                  a->relay && streamed ? answer_frame : NULL,
                                  a);
    if (!a->relay) {
        a->encoder = a->x->dialect->encoder(a->pool, &how);
    }
}

static void on_head(void *baton, const llmux_response_t *r)
{
    attempt_t *a = baton;
    llmux_exchange_t *x = a->x;
    const char *id = llmux_provider_answer_id(r);

    a->head = r;
    x->record.upstream_status = r->status;
    x->record.upstream_id = id ? apr_pstrndup(x->pool, id,
                                              LLMUX_REQUEST_ID_MAX) : NULL;
    if (r->status >= 200 && r->status < 300) {
        expect_answer(a);
    }
    else {
        a->refusal = llmux_buf_create(a->pool, LLMUX_ERROR_BODY_MAX);
    }
}

static void on_body(void *baton, const char *data, apr_size_t len)
{
    attempt_t *a = baton;

    if (a->stream) {
        llmux_stream_feed(a->stream, data, len);
    }
    else if (a->refusal) {
        apr_size_t room = LLMUX_ERROR_BODY_MAX - a->refusal->len;

        llmux_buf_add(a->refusal, data, len < room ? len : room);
    }
}

static attempt_t *make(llmux_exchange_t *x, const llmux_deployment_t *d)
{
    const llmux_usage_t nothing = LLMUX_USAGE_NONE;
    apr_pool_t *pool;
    attempt_t *a;

    apr_pool_create(&pool, x->pool);
    apr_pool_tag(pool, "llmux_attempt");
    a = apr_pcalloc(pool, sizeof(*a));
    a->x = x;
    a->pool = pool;
    a->deployment = d;
    a->target = llmux_deployment_target(d);
    a->dialect = llmux_provider_dialect(d->provider, x->dialect);
    a->same = a->dialect == x->dialect;
    a->usage = nothing;
    a->warnings = llmux_warnings_create(
        pool, x->settings->unsupported == LLMUX_UNSUPPORTED_REFUSE);
    return a;
}

static void ask_provider(attempt_t *a, const llmux_buf_t *body)
{
    const llmux_deployment_t *d = a->deployment;
    const llmux_receiver_t to = { on_head, on_body, a };
    llmux_exchange_t *x = a->x;

    x->record.asked = llmux_now(x->env);
    x->record.attempts++;
    llmux_log(x->env, LLMUX_LOG_DEBUG, 31, 0,
              "attempt %d: '%s' by %s as %s (%" APR_SIZE_T_FMT " bytes%s)",
              x->record.attempts, x->pick.group->name, d->provider->name,
              d->model, body->len, a->same ? "" : ", translated");
    a->wire = llmux_transport_for(d->provider->base_url,
                                  &d->provider->upstream)->open(
        a->pool, x->env, sign(a, body), &to);
}

const llmux_error_t *attempt_open(llmux_exchange_t *x, attempt_t **attempt)
{
    attempt_t *a = make(x, x->pick.deployment);
    llmux_buf_t *body = llmux_buf_create(a->pool,
                                         2 * (apr_size_t)x->settings->max_body);
    const llmux_error_t *err = write_body(a, body);

    if (err) {
        err = keep_error(x, err);
        apr_pool_destroy(a->pool);
        return err;
    }
    if (!x->out) {
        x->out = reply_buf(x);
    }
    ask_provider(a, body);
    *attempt = a;
    return NULL;
}

/* ---- how it went ----------------------------------------------------- */

static void failed(attempt_t *a, llmux_error_e kind, const char *what)
{
    a->failed = LLMUX_FAILED_PROVIDER;
    a->error = llmux_error(a->x->pool, kind, NULL,
                           "The model's provider failed: %s.", what);
}

static void wire_failed(attempt_t *a)
{
    llmux_fail_e f = a->wire->failure;
    int timeout = f == LLMUX_FAIL_CONNECT_TIMEOUT
        || f == LLMUX_FAIL_FIRST_BYTE_TIMEOUT
        || f == LLMUX_FAIL_SILENCE_TIMEOUT || f == LLMUX_FAIL_TOTAL_TIMEOUT;

    llmux_log(a->x->env, LLMUX_LOG_DEBUG, 30, 0, "%s: %s (%s)",
              a->deployment->provider->name, llmux_fail_name(f),
              a->wire->detail);
    failed(a, timeout ? LLMUX_ERR_TIMEOUT : LLMUX_ERR_BAD_UPSTREAM,
           llmux_fail_name(f));
}

/* The header wins over what the body says, milliseconds over seconds. */
static void read_retry_after(attempt_t *a, llmux_error_t *err)
{
    const char *ms = llmux_response_header(a->head, "retry-after-ms");
    const char *s = llmux_response_header(a->head, "retry-after");
    apr_interval_time_t t = -1;

    if (ms) {
        t = llmux_retry_after_parse(ms, llmux_now(a->x->env));
        t = t > 0 ? t / 1000 : t;
    }
    if (t < 0 && s) {
        t = llmux_retry_after_parse(s, llmux_now(a->x->env));
    }
    if (t >= 0) {
        err->retry_after = t;
    }
}

/* What a provider says of our credentials quotes them: the client learns
 * that the gateway is refused, and no more. The bill is not the client's
 * either; OpenAI's SDKs know an account that is spent by 429. */
static llmux_error_t *shield(attempt_t *a, llmux_error_t *err)
{
    switch (err->kind) {
    case LLMUX_ERR_AUTH:
    case LLMUX_ERR_PERMISSION:
        return llmux_error(a->x->pool, LLMUX_ERR_BAD_UPSTREAM, NULL,
                           "The provider refused the gateway's credentials. "
                           "The gateway's operator must look into it.");
    case LLMUX_ERR_BILLING:
        return llmux_error(a->x->pool, LLMUX_ERR_QUOTA, NULL, "%s",
                           llmux_provider_words(a->x->pool, err->message));
    default:
        err->message = llmux_provider_words(a->x->pool, err->message);
        return err;
    }
}

/* Proxies before a provider answer in plain words or in HTML. The words help
 * whoever reads them, a page does not. */
static void quote_text(attempt_t *a, llmux_error_t *err)
{
    llmux_slice_t text = llmux_buf_slice(a->refusal);
    char *message, *c;

    while (text.len && apr_isspace(*text.data)) {
        text.data++;
        text.len--;
    }
    if (!text.len || *text.data == '<') {
        return;
    }
    message = apr_pstrdup(a->x->pool, llmux_message_cut(a->pool, text));
    for (c = message; *c; c++) {
        if (apr_iscntrl(*c)) {
            *c = ' ';
        }
    }
    err->message = message;
}

static void refused(attempt_t *a)
{
    llmux_slice_t text = llmux_buf_slice(a->refusal);
    const llmux_json_t *body = llmux_json_parse(a->pool, text, 0, NULL);
    llmux_error_t *err = a->dialect->error_read(a->x->pool, a->head->status,
                                                body);

    if (!body) {
        quote_text(a, err);
    }
    read_retry_after(a, err);
    a->failed = llmux_failed_class(err);
    a->error = shield(a, err);
}

/* An error inside a 200: the events brought it, see answer.c. */
static void classify(attempt_t *a)
{
    llmux_error_t *err = apr_pmemdup(a->x->pool, a->error, sizeof(*err));

    a->failed = llmux_failed_class(err);
    a->error = shield(a, err);
}

/* Announced as a stream, but one document came: there are no frames to pass
 * on, so it is encoded like any other. */
static void unrelay(attempt_t *a)
{
    llmux_encode_t how = answer_how(a->x);

    if (a->relay && a->x->record.streamed
        && llmux_stream_body(a->stream).len) {
        a->relay = 0;
        a->encoder = a->x->dialect->encoder(a->pool, &how);
    }
}

/* The provider has said all. */
static void end_stream(attempt_t *a)
{
    unrelay(a);
    llmux_stream_end(a->stream);
    if (!a->error && !a->ended_at) {
        failed(a, LLMUX_ERR_BAD_UPSTREAM, "the answer was cut off");
    }
}

/* An error that an event brought counts, also when the connection broke
 * right behind it. */
static void conclude(attempt_t *a, llmux_step_e step)
{
    if (a->refusal) {
        refused(a);
        return;
    }
    if (!a->error && step == LLMUX_STEP_FAILED) {
        wire_failed(a);
        return;
    }
    if (!a->stream) {
        failed(a, LLMUX_ERR_BAD_UPSTREAM, "no response");
        return;
    }
    if (!a->error) {
        end_stream(a);
    }
    if (a->error) {
        classify(a);
    }
}

llmux_step_e attempt_step(attempt_t *a, llmux_wait_t *wait)
{
    llmux_step_e step;

    if (!a->wire) {
        failed(a, LLMUX_ERR_INTERNAL, "out of memory");
        return LLMUX_STEP_FAILED;
    }
    step = a->wire->transport->step(a->wire, wait);
    if (step == LLMUX_STEP_AGAIN && a->error) {
        step = LLMUX_STEP_DONE;     /* nothing more is wanted of it */
    }
    if (step == LLMUX_STEP_AGAIN && a->ended_at) {
        if (llmux_now(a->x->env) >= a->ended_at + TAIL_MAX) {
            return LLMUX_STEP_DONE;
        }
        llmux_wait_until(wait, a->ended_at + TAIL_MAX);
    }
    if (step != LLMUX_STEP_AGAIN && !a->ended_at) {
        conclude(a, step);
    }
    if (!a->error && a->x->out->failed) {
        failed(a, LLMUX_ERR_BAD_UPSTREAM, "the answer was too large");
        step = LLMUX_STEP_FAILED;
    }
    return step;
}

void attempt_close(attempt_t *a)
{
    if (a->wire) {
        a->wire->transport->close(a->wire);
        a->wire = NULL;
    }
}
