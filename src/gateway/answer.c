/* answer.c - events become the client's bytes, and the request's record. */

#include <string.h>

#include <apr_strings.h>

#include "exchange.h"

llmux_encode_t answer_how(llmux_exchange_t *x)
{
    llmux_encode_t how;

    if (!x->answer_id) {
        x->answer_id = apr_pstrcat(x->pool, "chatcmpl-",
                                   x->record.exchange_id, NULL);
    }
    memset(&how, 0, sizeof(how));
    how.streamed = x->record.streamed;
    how.include_usage = x->head.include_usage;
    how.show_thinking = x->settings->reasoning != 0;
    if (x->settings->response_model == LLMUX_MODEL_REQUESTED) {
        how.model = x->head.model;
    }
    how.id = x->answer_id;
    how.created = apr_time_sec(x->record.began);
    return how;
}

/* Is it worth settling on this deployment? Beginnings, pings and counts are
 * not: a provider may say 200 and then fail. */
static int is_content(const llmux_event_t *ev)
{
    switch (ev->kind) {
    case LLMUX_EV_TEXT:
    case LLMUX_EV_THINK:
    case LLMUX_EV_REFUSAL:
    case LLMUX_EV_ARGS:
        return ev->text.len > 0;
    case LLMUX_EV_BLOCK_START:
        return ev->block == LLMUX_BLOCK_CALL;
    case LLMUX_EV_TOKEN:
    case LLMUX_EV_MEDIA:
    case LLMUX_EV_FINISH:
        return 1;
    default:
        return 0;
    }
}

static void note_content(attempt_t *a)
{
    a->content = 1;
    if (!a->x->record.first) {
        a->x->record.first = llmux_now(a->x->env);
    }
}

static void note_usage(attempt_t *a, const llmux_usage_t *usage)
{
    llmux_usage_merge(&a->usage, usage);
    a->x->record.usage = a->usage;
    a->frame_usage = 1;
}

static void note_finish(llmux_exchange_t *x, const llmux_event_t *ev)
{
    if (ev->cand == 0 && !x->record.finish) {
        x->record.finish = llmux_slice_str(x->pool, ev->text);
    }
}

/* The event's error dies with it. */
static void note_error(attempt_t *a, const llmux_error_t *err)
{
    llmux_exchange_t *x = a->x;
    llmux_error_t *own = apr_pmemdup(x->pool, err, sizeof(*err));

    own->message = apr_pstrdup(x->pool, err->message);
    own->param = apr_pstrdup(x->pool, err->param);
    own->code = apr_pstrdup(x->pool, err->code);
    own->type = apr_pstrdup(x->pool, err->type);
    a->error = own;
}

static void note(attempt_t *a, const llmux_event_t *ev)
{
    switch (ev->kind) {
    case LLMUX_EV_USAGE:
        note_usage(a, ev->usage);
        return;
    case LLMUX_EV_ERROR:
        note_error(a, ev->error);
        return;
    case LLMUX_EV_END:
        a->ended_at = llmux_now(a->x->env);
        return;
    case LLMUX_EV_FINISH:
        note_finish(a->x, ev);
        break;
    default:
        break;
    }
    if (ev->kind != LLMUX_EV_START) {
        a->frame_other = 1;
    }
    if (is_content(ev)) {
        note_content(a);
    }
}

void answer_event(void *baton, const llmux_event_t *ev)
{
    attempt_t *a = baton;

    note(a, ev);
    if (a->relay || ev->kind == LLMUX_EV_ERROR
        || (ev->kind == LLMUX_EV_PING && !a->x->headers_sent)) {
        return;
    }
    a->encoder->event(a->encoder, ev, a->x->out);
}

/* The chunk that brings nothing but the usage we asked for ourselves. */
static int is_unwanted(const attempt_t *a)
{
    return a->frame_usage && !a->frame_other && !a->x->head.include_usage;
}

void answer_frame(void *baton, llmux_slice_t raw, int done, int comment)
{
    attempt_t *a = baton;
    llmux_exchange_t *x = a->x;
    int pass = !a->error && !a->done_sent
        && (comment ? x->headers_sent : !is_unwanted(a));

    if (done) {
        pass = pass && a->ended_at;
        a->done_sent |= pass;
    }
    if (pass) {
        llmux_buf_add_slice(x->out, raw);
    }
    a->frame_usage = 0;
    a->frame_other = 0;
}
