/* anthropic_encode.c - events become an answer of Messages: what is known of
 * it so far, and which of the events concern it. */

#include <string.h>

#include "anthropic_encode.h"

typedef llmux_anthropic_encode_t encoder_t;
typedef llmux_anthropic_block_t block_t;

/* ---- the message ----------------------------------------------------- */

/* A client may insist on the model's name that it asked for. Clients' types
 * know neither a model nor an id that is null. */
static void on_start(encoder_t *e, const llmux_event_t *ev)
{
    llmux_slice_t id = ev->id.len ? ev->id : llmux_slice(e->how.id);
    llmux_slice_t model = e->how.model.data ? e->how.model : ev->name;

    e->id = llmux_slice_dup(e->pool, id.data ? id : llmux_slice("msg_"));
    e->model = llmux_slice_dup(e->pool,
                               model.data ? model : llmux_slice(""));
    e->tier = llmux_slice_dup(e->pool, ev->tier);
}

static void on_finish(encoder_t *e, const llmux_event_t *ev)
{
    if (e->finished) {
        return;
    }
    e->finished = 1;
    e->finish = ev->finish;
    if (ev->stop.data && ev->finish == LLMUX_FINISH_STOP_SEQUENCE) {
        e->stop = llmux_buf_create(e->pool, LLMUX_EVENT_MAX);
        llmux_buf_add_slice(e->stop, ev->stop);
    }
}

static void on_end(encoder_t *e, llmux_buf_t *out)
{
    block_t *b;

    for (b = e->open; b; b = b->next) {
        b->stopped = 1;
    }
    while (e->now) {
        llmux_anthropic_block_stop(e, e->now, out);
    }
    e->form->end(e, out);
}

/* ---- blocks ---------------------------------------------------------- */

/* The API has no word for pictures and sound in answers. */
static int is_said(const encoder_t *e, const llmux_event_t *ev)
{
    switch (ev->block) {
    case LLMUX_BLOCK_TEXT:
    case LLMUX_BLOCK_REFUSAL:
    case LLMUX_BLOCK_CALL:
        return 1;
    case LLMUX_BLOCK_THINK:
        return e->how.show_thinking;
    default:
        return 0;
    }
}

static void on_block(encoder_t *e, const llmux_event_t *ev, llmux_buf_t *out)
{
    block_t *b;

    if (!is_said(e, ev)) {
        return;
    }
    b = llmux_anthropic_block_start(e, ev, out);
    if (b->kind == LLMUX_BLOCK_CALL) {
        e->calls = 1;
        e->fresh = b;
    }
}

/* A call's beginning waits for the next event: a token that comes with it
 * must be said before. */
static void settle(encoder_t *e, const llmux_event_t *ev, llmux_buf_t *out)
{
    block_t *b = e->fresh;

    if (b && !(ev->kind == LLMUX_EV_TOKEN && ev->key == b->key)) {
        e->fresh = NULL;
        llmux_anthropic_block_say(e, b, out);
    }
}

static void on_piece(encoder_t *e, const llmux_event_t *ev, llmux_buf_t *out)
{
    block_t *b = llmux_anthropic_block(e, ev->key);

    if (b && (b->kind != LLMUX_BLOCK_THINK || llmux_anthropic_tells(e))) {
        llmux_anthropic_block_text(e, b, ev->text, out);
    }
}

static void on_token(encoder_t *e, const llmux_event_t *ev, llmux_buf_t *out)
{
    block_t *b = llmux_anthropic_block(e, ev->key);
    llmux_token_t token = ev->token;
    apr_pool_t *scratch;

    if (!b) {
        return;
    }
    if (b->kind == LLMUX_BLOCK_CALL) {
        token.call_id = llmux_buf_slice(b->id);
    }
    apr_pool_create(&scratch, e->pool);
    token = llmux_token_close(scratch, &e->how, &token, LLMUX_MADE_BY_CLAUDE);
    if (token.maker != LLMUX_MAKER_NONE) {
        llmux_anthropic_block_token(e, b, token, out);
    }
    apr_pool_destroy(scratch);
}

static void on_stop(encoder_t *e, const llmux_event_t *ev, llmux_buf_t *out)
{
    block_t *b = llmux_anthropic_block(e, ev->key);

    if (b) {
        llmux_anthropic_block_stop(e, b, out);
    }
}

/* ---- the encoder ----------------------------------------------------- */

/* Sources are left out: the API's own bear what only its servers can read,
 * and without it a client could not send them back. */
static void on_event(encoder_t *e, const llmux_event_t *ev, llmux_buf_t *out)
{
    switch (ev->kind) {
    case LLMUX_EV_BLOCK_START:
        on_block(e, ev, out);
        break;
    case LLMUX_EV_TEXT:
    case LLMUX_EV_THINK:
    case LLMUX_EV_REFUSAL:
    case LLMUX_EV_ARGS:
        on_piece(e, ev, out);
        break;
    case LLMUX_EV_TOKEN:
        on_token(e, ev, out);
        break;
    case LLMUX_EV_BLOCK_STOP:
        on_stop(e, ev, out);
        break;
    case LLMUX_EV_FINISH:
        on_finish(e, ev);
        break;
    case LLMUX_EV_END:
        on_end(e, out);
        break;
    default:
        break;
    }
}

/* What can come before the answer began, and concerns nothing in it. */
static int beside(encoder_t *e, const llmux_event_t *ev, llmux_buf_t *out)
{
    switch (ev->kind) {
    case LLMUX_EV_PING:
        if (e->how.streamed) {
            llmux_anthropic_put_ping(out);
        }
        return 1;
    case LLMUX_EV_ERROR:
        if (e->how.streamed) {
            llmux_anthropic_put_error(ev->error, out);
        }
        return 1;
    case LLMUX_EV_USAGE:
        llmux_usage_merge(&e->usage, ev->usage);
        return 1;
    default:
        return 0;
    }
}

/* There is one answer to a request. */
static void event(llmux_encoder_t *base, const llmux_event_t *ev,
                  llmux_buf_t *out)
{
    static const llmux_event_t silent = { .kind = LLMUX_EV_START };
    encoder_t *e = (encoder_t *)base;

    if (e->ended) {
        return;
    }
    e->ended = ev->kind == LLMUX_EV_ERROR || ev->kind == LLMUX_EV_END;
    if (beside(e, ev, out) || ev->cand) {
        return;
    }
    if (!e->id.data) {
        on_start(e, ev->kind == LLMUX_EV_START ? ev : &silent);
    }
    settle(e, ev, out);
    on_event(e, ev, out);
}

llmux_encoder_t *llmux_anthropic_encoder(apr_pool_t *p,
                                         const llmux_encode_t *how)
{
    static const llmux_usage_t unknown = LLMUX_USAGE_NONE;
    encoder_t *e = apr_pcalloc(p, sizeof(*e));

    e->base.event = event;
    e->pool = p;
    e->how = *how;
    e->usage = unknown;
    e->finish = LLMUX_FINISH_STOP;
    e->form = how->streamed ? &llmux_anthropic_form_stream
                            : &llmux_anthropic_form_whole;
    if (!how->streamed) {
        e->content = llmux_buf_create(p, LLMUX_ANSWER_MAX);
    }
    return &e->base;
}
