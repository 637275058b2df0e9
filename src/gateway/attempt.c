/* attempt.c - one try with one deployment: its requests, and what came. */

#include <string.h>
#include <strings.h>

#include <apr_strings.h>

#include "exchange.h"

/* How long the end of the HTTP message may trail behind the end of the
 * answer, so that the connection can be kept. */
#define TAIL_MAX apr_time_from_msec(250)

/* ---- the request ----------------------------------------------------- */

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
        .grant = a->grant,
        .now = llmux_now(x->env),
    };

    return llmux_provider_request(a->run_pool, a->deployment, &out);
}

/* ---- the response ---------------------------------------------------- */

static int is_stream(const llmux_response_t *r)
{
    return !strncasecmp(r->content_type, "text/event-stream", 17)
        || !strncasecmp(r->content_type, "application/vnd.amazon.eventstream",
                        34);
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

/* Answers that repeat what was asked, or are spelled as it was asked. */
static int needs_request(const llmux_dialect_t *dialect)
{
    return dialect == &llmux_dialect_responses
        || dialect == &llmux_dialect_embeddings;
}

static void make_encoder(attempt_t *a)
{
    llmux_encode_t how;

    if (a->same && needs_request(a->x->dialect)) {
        body_read(a->x);
    }
    how = answer_how(a->x);
    a->encoder = a->x->dialect->encoder(a->pool, &how);
}

static void expect_answer(attempt_t *a)
{
    llmux_exchange_t *x = a->x;
    int streamed = is_stream(a->head);

    a->relay = may_relay(a, streamed);
    a->stream = llmux_stream_open(a->run_pool, x->env, a->dialect, streamed,
                                  answer_event,
                                  a->relay && streamed ? answer_frame : NULL,
                                  a);
    if (!a->relay && !a->encoder) {
        make_encoder(a);
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
        a->refusal = llmux_buf_create(a->run_pool, LLMUX_ERROR_BODY_MAX);
        a->refused_at = llmux_now(x->env);
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

attempt_t *attempt_make(llmux_exchange_t *x, const llmux_deployment_t *d)
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
    a->dialect = llmux_deployment_dialect(d, x->dialect);
    a->target = llmux_deployment_target(d, a->dialect);
    a->target.no_tokens = x->no_tokens;
    a->same = a->dialect == x->dialect && !x->no_tokens
        && !media_is_wanted(a);
    a->usage = nothing;
    a->warnings = llmux_warnings_create(
        pool, x->settings->unsupported == LLMUX_UNSUPPORTED_REFUSE);
    return a;
}

static void note_request(attempt_t *a, apr_size_t bytes)
{
    const llmux_deployment_t *d = a->deployment;
    llmux_exchange_t *x = a->x;

    if (a->run) {
        return;
    }
    x->record.asked = llmux_now(x->env);
    x->record.attempts++;
    llmux_log(x->env, LLMUX_LOG_DEBUG, 31, 0,
              "attempt %d: '%s' by %s as %s (%" APR_SIZE_T_FMT " bytes%s)",
              x->record.attempts, x->pick.group->name, d->provider->name,
              d->model, bytes, a->same ? "" : ", translated");
}

/* One of several requests has a pool of its own. */
static void renew_pool(attempt_t *a)
{
    if (!a->runs || a->runs->nelts < 2) {
        a->run_pool = a->pool;
        return;
    }
    if (a->run_pool) {
        apr_pool_clear(a->run_pool);
        return;
    }
    apr_pool_create(&a->run_pool, a->pool);
    apr_pool_tag(a->run_pool, "llmux_run");
}

static const llmux_error_t *ask_provider(attempt_t *a)
{
    const llmux_receiver_t to = { on_head, on_body, a };
    const llmux_provider_t *pr = a->deployment->provider;
    llmux_exchange_t *x = a->x;
    const llmux_error_t *err;
    llmux_buf_t *body;

    renew_pool(a);
    body = llmux_buf_create(a->run_pool,
                            2 * (apr_size_t)x->settings->max_body);
    err = body_write(a, body);
    if (err) {
        return err;
    }
    note_request(a, body->len);
    a->wire = llmux_transport_for(pr->base_url, &pr->upstream)->open(
        a->run_pool, x->env, sign(a, body), &to);
    return NULL;
}

static const llmux_error_t *not_offered(const attempt_t *a)
{
    return llmux_error(a->x->pool, LLMUX_ERR_UNSUPPORTED, "model",
                       "%s does not offer this for '%.256s'.",
                       a->deployment->provider->kind->title,
                       a->x->record.model);
}

const llmux_error_t *attempt_plan(attempt_t *a)
{
    return a->dialect ? body_plan(a) : not_offered(a);
}

const llmux_error_t *attempt_open(attempt_t *a)
{
    if (!a->x->out) {
        a->x->out = reply_buf(a->x);
    }
    return ask_provider(a);
}

/* ---- the end --------------------------------------------------------- */

/* OpenAI's clients ask for base64 without being told to. */
static int wants_base64(const llmux_exchange_t *x)
{
    return x->dialect == &llmux_dialect_embeddings
        && llmux_slice_is(llmux_json_str(x->pool, llmux_json_get_any(
               x->head.root, "encoding_format")), "base64");
}

/* Some servers do not know the word, and those clients then read nothing. */
static int has_numbers(const attempt_t *a)
{
    const llmux_json_t *body, *first;
    apr_pool_t *scratch;
    int has;

    apr_pool_create(&scratch, a->pool);
    body = llmux_json_parse(scratch, llmux_stream_body(a->stream), 3, NULL);
    first = llmux_json_at(llmux_json_get(body, "data"), 0);
    has = llmux_json_kind(llmux_json_get(first, "embedding"))
          == LLMUX_JSON_ARRAY;
    apr_pool_destroy(scratch);
    return has;
}

/* Announced as a stream, but one document came: there are no frames to pass
 * on. Or it is not spelled as the client wants it. */
static int is_unfit(const attempt_t *a)
{
    return a->x->record.streamed ? llmux_stream_body(a->stream).len > 0
                                 : wants_base64(a->x) && has_numbers(a);
}

/* What cannot pass as it is, is encoded like any other. */
static void unrelay(attempt_t *a)
{
    if (a->relay && is_unfit(a)) {
        a->relay = 0;
        make_encoder(a);
    }
}

/* The provider has said all. */
static void end_stream(attempt_t *a)
{
    unrelay(a);
    llmux_stream_end(a->stream);
    if (!a->error && !a->run_ended_at) {
        verdict_failed(a, LLMUX_ERR_BAD_UPSTREAM, "the answer was cut off");
    }
}

/* An error that an event brought counts, also when the connection broke
 * right behind it. */
static void conclude(attempt_t *a, llmux_step_e step)
{
    if (a->refusal) {
        verdict_refused(a);
        return;
    }
    if (!a->error && step == LLMUX_STEP_FAILED) {
        verdict_wire(a);
        return;
    }
    if (!a->stream) {
        verdict_failed(a, LLMUX_ERR_BAD_UPSTREAM, "no response");
        return;
    }
    if (!a->error) {
        end_stream(a);
    }
    if (a->error) {
        verdict_error(a);
    }
}

/* Until when what is left of the response is waited for; 0: to its end. */
static apr_time_t patience(const attempt_t *a)
{
    if (a->run_ended_at) {
        return a->run_ended_at + TAIL_MAX;
    }
    return a->refusal
        ? a->refused_at + apr_time_from_sec(LLMUX_ERROR_WAIT_MAX) : 0;
}

/* Nothing more is wanted of it, or has not come in time: the status says
 * enough, and another provider may be waiting to be asked. */
static int is_enough(const attempt_t *a, llmux_wait_t *wait)
{
    apr_time_t until = patience(a);

    if (a->error || (a->refusal && a->refusal->len == LLMUX_ERROR_BODY_MAX)) {
        return 1;
    }
    if (until) {
        llmux_wait_until(wait, until);
    }
    return until && llmux_now(a->x->env) >= until;
}

/* One step of the request under way. */
static llmux_step_e step_wire(attempt_t *a, llmux_wait_t *wait)
{
    llmux_step_e step = a->wire->transport->step(a->wire, wait);

    if (step == LLMUX_STEP_AGAIN && is_enough(a, wait)) {
        step = LLMUX_STEP_DONE;
    }
    if (step != LLMUX_STEP_AGAIN && !a->run_ended_at) {
        conclude(a, step);
    }
    /* However it breaks off behind its end: the answer was whole. */
    return step == LLMUX_STEP_FAILED && a->run_ended_at ? LLMUX_STEP_DONE
                                                        : step;
}

int attempt_has_more(const attempt_t *a)
{
    return a->runs && a->run + 1 < a->runs->nelts;
}

void attempt_close(attempt_t *a)
{
    if (a->wire) {
        a->wire->transport->close(a->wire);
        a->wire = NULL;
    }
}

/* The next of several requests that make one answer.
 * @return 0: there is none */
static int next_run(attempt_t *a, llmux_wait_t *wait)
{
    const llmux_error_t *err;

    if (a->error || !attempt_has_more(a)) {
        return 0;
    }
    attempt_close(a);
    answer_next_run(a);
    a->stream = NULL;
    a->head = NULL;
    a->run_ended_at = 0;
    a->run++;
    wait_anew(wait);
    err = ask_provider(a);
    if (err) {
        a->error = keep_error(a->x, err);
        a->failed = LLMUX_FAILED_TARGET;
    }
    return !err;
}

llmux_step_e attempt_step(attempt_t *a, llmux_wait_t *wait)
{
    llmux_step_e step;

    do {
        if (!a->wire) {
            verdict_failed(a, LLMUX_ERR_INTERNAL, "out of memory");
            return LLMUX_STEP_FAILED;
        }
        step = step_wire(a, wait);
        if (!a->error && a->x->out->failed) {
            verdict_failed(a, LLMUX_ERR_BAD_UPSTREAM,
                           "the answer was too large");
            step = LLMUX_STEP_FAILED;
        }
    } while (step == LLMUX_STEP_DONE && next_run(a, wait));
    return step;
}
