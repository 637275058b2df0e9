/* ask.c - attempts, one after the other, until one has spoken. */

#include <string.h>

#include <apr_strings.h>

#include "exchange.h"

void wait_anew(llmux_wait_t *wait)
{
    wait->count = 0;
    wait->deadline = 0;
}

/* ---- while nothing comes --------------------------------------------- */

/* A stream that is silent gets a comment now and then; so does one that has
 * not begun, for a model may think for minutes.
 * @return 0: the client is gone */
static int keep_alive(llmux_exchange_t *x, llmux_wait_t *wait)
{
    apr_time_t due = x->last_write + x->settings->heartbeat;

    if (!x->record.streamed || (x->attempt && x->attempt->ended_at)) {
        return 1;
    }
    if (due <= llmux_now(x->env)) {
        if (!reply_heartbeat(x)) {
            return 0;
        }
        due = x->last_write + x->settings->heartbeat;
    }
    llmux_wait_until(wait, due);
    return 1;
}

/* A client who does not read holds up the provider, not our memory. */
static go_e make_room(llmux_exchange_t *x, llmux_wait_t *wait)
{
    go_e go = x->clogged ? reply_drain(x, wait) : GO_ON;

    x->gone = go == GO_FAIL;
    return go;
}

/* What is still to be sent to the client is waited for first: the provider
 * may have nothing more to say for minutes. */
static go_e rest(llmux_exchange_t *x, llmux_wait_t *wait)
{
    if (!x->clogged) {
        x->gone = !keep_alive(x, wait);
    }
    return x->gone || make_room(x, wait) == GO_FAIL ? GO_FAIL : GO_WAIT;
}

/* ---- the next attempt ------------------------------------------------ */

static const llmux_error_t *nobody(llmux_exchange_t *x)
{
    llmux_error_t *err = llmux_error(x->pool, LLMUX_ERR_OVERLOADED, NULL,
                                     "No deployment of '%.256s' can be asked "
                                     "now.", x->record.model);

    err->final = 1;
    return err;
}

/* What the one before it said of itself does not stand for this one. */
static void note_pick(llmux_exchange_t *x)
{
    static const llmux_usage_t nothing = LLMUX_USAGE_NONE;
    const llmux_deployment_t *d = x->pick.deployment;

    if (x->record.deployment && strcmp(x->record.deployment, d->id)) {
        x->record.switched = 1;
    }
    x->record.provider = d->provider->name;
    x->record.upstream_model = d->model;
    x->record.deployment = d->id;
    x->record.series = d->series;
    x->record.upstream_status = 0;
    x->record.upstream_id = NULL;
    x->record.finish = NULL;
    x->record.first = 0;
    x->record.usage = nothing;
}

/* Another deployment may be able to. */
static void pass_over(llmux_exchange_t *x, attempt_t *a,
                      const llmux_error_t *err, llmux_failed_e failed)
{
    err = keep_error(x, err);
    x->error = x->record.attempts ? x->error : err;
    llmux_plan_failed(x->plan, failed, -1);
    apr_pool_destroy(a->pool);
}

/* Makes what was picked ready, and asks it. */
static go_e open_coming(llmux_exchange_t *x, llmux_wait_t *wait)
{
    attempt_t *a = x->coming;
    llmux_failed_e failed = LLMUX_FAILED_TARGET;
    const llmux_error_t *err = NULL;
    go_e go = attempt_prepare(a, wait);

    if (go == GO_WAIT) {
        return GO_WAIT;
    }
    x->coming = NULL;
    if (go == GO_FAIL) {
        err = a->error;
        failed = a->failed;
    }
    else {
        err = attempt_open(a);
    }
    if (!err || !x->record.attempts) {
        note_pick(x);
    }
    x->pick.deployment = NULL;
    wait_anew(wait);
    if (err) {
        pass_over(x, a, err, failed);
    }
    else {
        x->attempt = a;
    }
    return GO_ON;
}

/* Picks a deployment and opens an attempt with it, passing over those that
 * cannot do what the request wants. What somebody answered says more to the
 * client than why another one was not asked. */
static go_e begin(llmux_exchange_t *x, llmux_wait_t *wait)
{
    while (!x->attempt) {
        if (!x->pick.deployment && !llmux_plan_next(x->plan, &x->pick)) {
            x->error = x->error ? x->error : nobody(x);
            return GO_FAIL;
        }
        if (x->pick.not_before > llmux_now(x->env)) {
            wait_anew(wait);
            llmux_wait_until(wait, x->pick.not_before);
            return rest(x, wait);
        }
        if (!x->coming) {
            x->coming = attempt_make(x, x->pick.deployment);
        }
        if (open_coming(x, wait) == GO_WAIT) {
            return rest(x, wait);
        }
    }
    return GO_ON;
}

/* ---- how it went ----------------------------------------------------- */

/* An operator must act when an account is refused; the rest passes. */
static void tell(llmux_exchange_t *x, const attempt_t *a)
{
    int refused = a->failed == LLMUX_FAILED_KEY
        || a->failed == LLMUX_FAILED_QUOTA || a->failed == LLMUX_FAILED_MODEL;

    if (a->failed == LLMUX_FAILED_REQUEST) {
        llmux_log(x->env, LLMUX_LOG_DEBUG, 20, 0,
                  "%s refused the request (status %d)",
                  a->deployment->provider->name, x->record.upstream_status);
        return;
    }
    llmux_log(x->env, refused ? LLMUX_LOG_ERR : LLMUX_LOG_WARNING, 21, 0,
              "attempt %d with %s (model %s) failed: %s%s", x->record.attempts,
              a->deployment->provider->name, a->deployment->model,
              a->failed == LLMUX_FAILED_KEY
                  ? "it refused our credentials" : a->error->message,
              x->content_sent ? "; the answer had begun" : "");
}

/* Once our own attempts are used up, those of the client's SDK would only
 * multiply them. */
static const llmux_error_t *last_word(llmux_exchange_t *x,
                                      const llmux_error_t *err)
{
    llmux_error_t *last = keep_error(x, err);

    last->final = 1;
    return last;
}

/* A client has carried a signature or an encrypted reasoning here that this
 * account did not make: after a failover, or from before there was a gateway.
 * The same deployment answers without it, once; the client is told. */
static int may_forget(const llmux_exchange_t *x, const attempt_t *a)
{
    return !x->no_tokens && !x->content_sent
        && a->failed == LLMUX_FAILED_REQUEST
        && x->dialect->op == LLMUX_OP_CHAT && llmux_error_of_token(a->error);
}

static void plan_on(llmux_exchange_t *x, const attempt_t *a)
{
    if (!may_forget(x, a)) {
        llmux_plan_failed(x->plan, a->failed, a->error->retry_after);
        return;
    }
    x->no_tokens = 1;
    x->pick.deployment = a->deployment;
    x->pick.not_before = 0;
}

/* Bedrock counts for some models, and calls the request invalid for others. */
static int has_no_count(const llmux_exchange_t *x, const attempt_t *a)
{
    return x->dialect->op == LLMUX_OP_COUNT
        && a->deployment->provider->kind->address == LLMUX_ADDRESS_BEDROCK
        && a->failed == LLMUX_FAILED_REQUEST;
}

/* @return whether another attempt may be made */
static int fail_attempt(llmux_exchange_t *x)
{
    attempt_t *a = x->attempt;

    tell(x, a);
    llmux_meter_attempt(x->service->state, a->deployment->series, 1,
                        a->error->kind);
    plan_on(x, a);
    x->uncounted |= has_no_count(x, a);
    x->error = last_word(x, a->error);
    if (x->content_sent) {
        return 0;
    }
    llmux_buf_reset(x->out);
    attempt_close(a);
    apr_pool_destroy(a->pool);
    x->attempt = NULL;
    return 1;
}

static go_e finish(llmux_exchange_t *x)
{
    llmux_meter_attempt(x->service->state, x->attempt->deployment->series, 0,
                        LLMUX_ERR_INTERNAL);
    x->content_sent = 1;
    if (!x->headers_sent) {
        reply_attempt_headers(x, x->attempt);
    }
    attempt_close(x->attempt);
    reply_end(x);
    return GO_ON;
}

go_e step_ask(llmux_exchange_t *x, llmux_wait_t *wait)
{
    for (;;) {
        llmux_step_e step;
        go_e go = make_room(x, wait);

        if (go == GO_ON) {
            go = begin(x, wait);
        }
        if (go == GO_FAIL && !x->gone && count_is_ours(x)) {
            return count_answer(x);
        }
        if (go != GO_ON) {
            return go;
        }
        step = attempt_step(x->attempt, wait);
        if (!reply_flush(x)) {
            x->gone = 1;
            return GO_FAIL;
        }
        if (step == LLMUX_STEP_AGAIN) {
            return rest(x, wait);
        }
        if (!x->attempt->error) {
            return finish(x);
        }
        if (!fail_attempt(x)) {
            return GO_FAIL;
        }
    }
}
