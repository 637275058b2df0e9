/* openai_encode.c - events become chat completions: what is known of the
 * answer so far, and who says it. */

#include <string.h>

#include "openai_encode.h"

typedef llmux_openai_encode_t encoder_t;
typedef llmux_openai_choice_t choice_t;
typedef llmux_openai_block_t block_t;

/* ---- choices and blocks ---------------------------------------------- */

/* Nearly always there is one. */
static void make_room(encoder_t *e, int places)
{
    choice_t **more;
    int room = places > 1 ? LLMUX_CANDIDATES_MAX : 1;

    if (places <= e->room) {
        return;
    }
    more = apr_pcalloc(e->pool, (apr_size_t)room * sizeof(*more));
    if (e->room) {
        memcpy(more, e->choices, (apr_size_t)e->room * sizeof(*more));
    }
    e->choices = more;
    e->room = room;
}

choice_t *llmux_openai_choice(encoder_t *e, int cand)
{
    if (cand < 0 || cand >= LLMUX_CANDIDATES_MAX) {
        return NULL;
    }
    make_room(e, cand + 1);
    if (!e->choices[cand]) {
        e->choices[cand] = apr_pcalloc(e->pool, sizeof(choice_t));
        e->choices[cand]->index = cand;
    }
    return e->choices[cand];
}

block_t *llmux_openai_block(const encoder_t *e, int key)
{
    block_t *b = e->open;

    while (b && b->key != key) {
        b = b->next;
    }
    return b;
}

/* Calls are numbered as they begin, thoughts when they first show: numbers
 * that a client sees have no gaps. */
block_t *llmux_openai_block_open(encoder_t *e, choice_t *c,
                                 const llmux_event_t *ev)
{
    block_t *b = e->unused;
    llmux_buf_t *wrapping;

    if (b) {
        e->unused = b->next;
        wrapping = b->wrapping;
        memset(b, 0, sizeof(*b));
        b->wrapping = wrapping;
    }
    else {
        b = apr_pcalloc(e->pool, sizeof(*b));
    }
    b->choice = c;
    b->kind = ev->block;
    b->key = ev->key;
    b->custom = ev->custom;
    b->index = ev->block == LLMUX_BLOCK_CALL ? c->calls++ : -1;
    b->next = e->open;
    e->open = b;
    return b;
}

void llmux_openai_block_close(encoder_t *e, block_t *b, int free)
{
    block_t **at = &e->open;

    while (*at && *at != b) {
        at = &(*at)->next;
    }
    if (*at) {
        *at = b->next;
    }
    b->next = free ? e->unused : NULL;
    if (free) {
        e->unused = b;
    }
}

/* ---- words and numbers ----------------------------------------------- */

static const char *const finishes[] = {
    [LLMUX_FINISH_STOP]          = "stop",
    [LLMUX_FINISH_STOP_SEQUENCE] = "stop",
    [LLMUX_FINISH_LENGTH]        = "length",
    [LLMUX_FINISH_CONTEXT]       = "length",
    [LLMUX_FINISH_CALLS]         = "tool_calls",
    [LLMUX_FINISH_FILTER]        = "content_filter",
    [LLMUX_FINISH_REFUSAL]       = "content_filter",
    [LLMUX_FINISH_MALFORMED]     = "stop",
    [LLMUX_FINISH_PAUSE]         = "stop",
    [LLMUX_FINISH_OTHER]         = "stop"
};

/* With a refusal in words the reason is "stop", as OpenAI has it. Calls that
 * came are there to be made, whatever became of those after them. */
const char *llmux_openai_finish(const choice_t *c, llmux_finish_e finish)
{
    if (finish == LLMUX_FINISH_REFUSAL && c->refused) {
        return "stop";
    }
    if (c->calls && (finish == LLMUX_FINISH_STOP
                     || finish == LLMUX_FINISH_MALFORMED
                     || finish == LLMUX_FINISH_OTHER)) {
        return "tool_calls";
    }
    return (unsigned)finish < sizeof(finishes) / sizeof(finishes[0])
        ? finishes[finish] : "stop";
}

/* ---- the encoder ----------------------------------------------------- */

static void set_head(encoder_t *e, const llmux_event_t *ev)
{
    llmux_buf_t *b = llmux_buf_create(e->pool, LLMUX_EVENT_MAX);
    llmux_jw_t w = llmux_jw(b);

    llmux_jw_open(&w, '{');
    llmux_openai_head_write(&w, e->how.streamed ? "chat.completion.chunk"
                                                : "chat.completion",
                            &e->how, ev);
    llmux_jw_opt_str(&w, "service_tier", ev->tier);
    llmux_jw_opt_str(&w, "system_fingerprint", ev->fingerprint);
    llmux_jw_key(&w, "choices");
    llmux_jw_open(&w, '[');
    e->head = llmux_buf_slice(b);
}

void llmux_openai_say(encoder_t *e, const llmux_event_t *ev, llmux_buf_t *out)
{
    if (e->how.streamed) {
        llmux_openai_chunks(e, ev, out);
    }
    else {
        llmux_openai_whole(e, ev, out);
    }
}

static void pass(encoder_t *e, const llmux_event_t *ev, llmux_buf_t *out)
{
    if (!llmux_openai_custom(e, ev, out)) {
        llmux_openai_say(e, ev, out);
    }
}

/* The API has tokens of its own for nobody: all of them go under a seal, and
 * one that cannot is as if it had not been. */
static void pass_token(encoder_t *e, const llmux_event_t *ev,
                       llmux_buf_t *out)
{
    llmux_event_t closed = *ev;
    apr_pool_t *scratch;

    apr_pool_create(&scratch, e->pool);
    closed.token = llmux_token_close(scratch, &e->how, &ev->token, 0);
    if (closed.token.maker != LLMUX_MAKER_NONE) {
        pass(e, &closed, out);
    }
    apr_pool_destroy(scratch);
}

static void event(llmux_encoder_t *base, const llmux_event_t *ev,
                  llmux_buf_t *out)
{
    static const llmux_event_t nothing = { .kind = LLMUX_EV_START };
    encoder_t *e = (encoder_t *)base;

    if (e->ended) {
        return;
    }
    e->ended = ev->kind == LLMUX_EV_ERROR || ev->kind == LLMUX_EV_END;
    if (!e->head.data && ev->kind != LLMUX_EV_PING) {
        set_head(e, ev->kind == LLMUX_EV_START ? ev : &nothing);
    }
    if (ev->kind == LLMUX_EV_START) {
        return;
    }
    if (ev->kind == LLMUX_EV_USAGE) {
        llmux_usage_merge(&e->usage, ev->usage);
    }
    else if (ev->kind == LLMUX_EV_TOKEN) {
        pass_token(e, ev, out);
    }
    else {
        pass(e, ev, out);
    }
}

llmux_encoder_t *llmux_openai_encoder(apr_pool_t *p,
                                      const llmux_encode_t *how)
{
    static const llmux_usage_t unknown = LLMUX_USAGE_NONE;
    encoder_t *e = apr_pcalloc(p, sizeof(*e));

    e->base.event = event;
    e->pool = p;
    e->how = *how;
    e->usage = unknown;
    e->tail = llmux_openai_chunk_tail(how);
    e->held = llmux_buf_create(p, LLMUX_EVENT_MAX);
    return &e->base;
}
