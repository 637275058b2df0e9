/* anthropic_encode_order.c - blocks of an answer, one behind the other. Who
 * comes while another is said waits in a queue, unless that one can be ended
 * or interrupted without loss. */

#include <string.h>

#include "anthropic_encode.h"

typedef llmux_anthropic_encode_t encoder_t;
typedef llmux_anthropic_block_t block_t;

static const llmux_slice_t nothing = { "", 0 };

/* ---- blocks ---------------------------------------------------------- */

block_t *llmux_anthropic_block(const encoder_t *e, int key)
{
    block_t *b = e->open;

    while (b && b->key != key) {
        b = b->next;
    }
    return b;
}

static block_t *make(encoder_t *e)
{
    block_t *b = apr_pcalloc(e->pool, sizeof(*b));

    b->id = llmux_buf_create(e->pool, LLMUX_ANSWER_MAX);
    b->name = llmux_buf_create(e->pool, LLMUX_ANSWER_MAX);
    b->text = llmux_buf_create(e->pool, LLMUX_ANSWER_MAX);
    b->token = llmux_buf_create(e->pool, LLMUX_ANSWER_MAX);
    return b;
}

/* As new, but for the room that its buffers have. */
static void renew(block_t *b)
{
    block_t fresh = { .id = b->id, .name = b->name, .text = b->text,
                      .token = b->token };

    *b = fresh;
}

/* ---- what is kept ---------------------------------------------------- */

static void keep(encoder_t *e, llmux_buf_t *to, llmux_slice_t s,
                 llmux_buf_t *out)
{
    apr_size_t most = e->how.streamed ? LLMUX_ARGS_MAX : LLMUX_ANSWER_MAX;

    if (s.len > most - e->kept) {
        out->failed = 1;        /* the buffer's way to say: it did not fit */
        return;
    }
    e->kept += s.len;
    llmux_buf_add_slice(to, s);
}

static void forget(encoder_t *e, llmux_buf_t *kept)
{
    e->kept -= kept->len;
    llmux_buf_reset(kept);
}

static void drop(encoder_t *e, block_t *b)
{
    block_t **at = &e->open;

    forget(e, b->id);
    forget(e, b->name);
    forget(e, b->text);
    forget(e, b->token);
    while (*at != b) {
        at = &(*at)->next;
    }
    *at = b->next;
    b->next = e->unused;
    e->unused = b;
}

block_t *llmux_anthropic_block_start(encoder_t *e, const llmux_event_t *ev,
                                     llmux_buf_t *out)
{
    block_t *b = e->unused;

    if (b) {
        e->unused = b->next;
        renew(b);
    }
    else {
        b = make(e);
    }
    b->kind = ev->block;
    b->key = ev->key;
    b->custom = ev->custom;
    keep(e, b->id, ev->id, out);
    keep(e, b->name, ev->name, out);
    b->next = e->open;
    e->open = b;
    return b;
}

/* ---- the end of arguments -------------------------------------------- */

static void scan_string(llmux_args_scan_t *s, char c)
{
    if (s->escaped) {
        s->escaped = 0;
    }
    else if (c == '\\') {
        s->escaped = 1;
    }
    else if (c == '"') {
        s->in_string = 0;
    }
}

static void scan_outside(llmux_args_scan_t *s, char c)
{
    if (llmux_char_is_space(c)) {
        return;
    }
    if (!s->depth && (s->whole || c != '{')) {
        s->bad = 1;
    }
    else if (c == '"') {
        s->in_string = 1;
    }
    else if (c == '{' || c == '[') {
        s->depth++;
    }
    else if (c == '}' || c == ']') {
        s->whole = !--s->depth;
    }
}

static void scan(llmux_args_scan_t *s, llmux_slice_t text)
{
    apr_size_t i;

    for (i = 0; i < text.len && !s->bad; i++) {
        if (s->in_string) {
            scan_string(s, text.data[i]);
        }
        else {
            scan_outside(s, text.data[i]);
        }
    }
}

/* ---- saying ---------------------------------------------------------- */

/* A call cannot bear a token, but thinking before it can. */
static void say_token(encoder_t *e, const block_t *call, llmux_buf_t *out)
{
    const block_t think = { .kind = LLMUX_BLOCK_THINK };

    if (call->token->len && e->how.show_thinking) {
        e->form->open(e, &think, out);
        e->form->close(e, &think, llmux_buf_slice(call->token), out);
    }
}

static void open(encoder_t *e, block_t *b, llmux_buf_t *out)
{
    if (!b->opened) {
        if (b->kind == LLMUX_BLOCK_CALL) {
            say_token(e, b, out);
        }
        b->opened = 1;
        e->form->open(e, b, out);
    }
}

/* Redacted thinking has no words: those that come nevertheless stand in a
 * block of their own. */
static void say(encoder_t *e, block_t *b, llmux_slice_t text,
                llmux_buf_t *out)
{
    if (!b->opened && b->maker == LLMUX_MAKER_ANTHROPIC_REDACTED
        && b->kind == LLMUX_BLOCK_THINK) {
        e->form->open(e, b, out);
        e->form->close(e, b, nothing, out);
        forget(e, b->token);
        b->maker = LLMUX_MAKER_NONE;
    }
    open(e, b, out);
    e->form->piece(e, b, text, out);
}

/* Arguments that begin like an object go out as they come. */
static int goes_out(const encoder_t *e, block_t *b)
{
    apr_size_t i = 0;

    if (b->kind != LLMUX_BLOCK_CALL || b->live) {
        return 1;
    }
    while (i < b->text->len && llmux_char_is_space(b->text->data[i])) {
        i++;
    }
    b->live = e->how.streamed && !b->custom && i < b->text->len
              && b->text->data[i] == '{';
    return b->live;
}

static void flush(encoder_t *e, block_t *b, llmux_buf_t *out)
{
    if (b->text->len && goes_out(e, b)) {
        say(e, b, llmux_buf_slice(b->text), out);
        forget(e, b->text);
    }
}

static void end_call(encoder_t *e, block_t *b, llmux_buf_t *out)
{
    apr_pool_t *scratch;

    if (!b->live) {
        apr_pool_create(&scratch, e->pool);
        e->form->piece(e, b, llmux_anthropic_args(scratch, b), out);
        apr_pool_destroy(scratch);
    }
    e->form->close(e, b, nothing, out);
}

/* Thinking that was told and then sealed as a whole becomes two blocks. */
static void end_think(encoder_t *e, block_t *b, llmux_buf_t *out)
{
    llmux_maker_e maker = b->maker;

    if (b->opened && maker == LLMUX_MAKER_ANTHROPIC_REDACTED) {
        b->maker = LLMUX_MAKER_NONE;
        e->form->close(e, b, nothing, out);
        b->maker = maker;
        b->opened = 0;
    }
    if (b->token->len) {
        open(e, b, out);
    }
    if (b->opened) {
        e->form->close(e, b, llmux_buf_slice(b->token), out);
    }
}

/* Its turn is over. Texts may have another one. */
static void end(encoder_t *e, llmux_buf_t *out)
{
    block_t *b = e->now;

    e->now = NULL;
    b->turn = LLMUX_TURN_OVER;
    switch (b->kind) {
    case LLMUX_BLOCK_CALL:
        end_call(e, b, out);
        break;
    case LLMUX_BLOCK_THINK:
        end_think(e, b, out);
        break;
    default:
        if (b->opened) {
            e->form->close(e, b, nothing, out);
        }
        b->turn = LLMUX_TURN_NOT_YET;
    }
    b->opened = 0;
}

/* ---- turns ----------------------------------------------------------- */

/* Can another begin before its events are over? A text can be gone on with
 * in a new block; arguments that are whole have nothing more to come. */
static int gives_way(const block_t *b)
{
    return b->kind == LLMUX_BLOCK_CALL
               ? b->scan.whole && !b->scan.bad && !b->custom
               : b->kind != LLMUX_BLOCK_THINK;
}

static void take_turn(encoder_t *e, block_t *b, llmux_buf_t *out)
{
    e->now = b;
    b->turn = LLMUX_TURN_NOW;
    if (b->kind == LLMUX_BLOCK_CALL) {
        open(e, b, out);
    }
    flush(e, b, out);
}

static void enqueue(encoder_t *e, block_t *b)
{
    b->turn = LLMUX_TURN_WAITS;
    b->queued = NULL;
    if (e->queue) {
        e->queue_last->queued = b;
    }
    else {
        e->queue = b;
    }
    e->queue_last = b;
}

/* Lets in who waits, as far as that goes now. */
static void advance(encoder_t *e, llmux_buf_t *out)
{
    block_t *b;

    while (e->queue && (!e->now || gives_way(e->now))) {
        if (e->now) {
            end(e, out);
        }
        b = e->queue;
        e->queue = b->queued;
        take_turn(e, b, out);
        if (b->stopped) {
            end(e, out);
            drop(e, b);
        }
    }
}

void llmux_anthropic_block_say(encoder_t *e, block_t *b, llmux_buf_t *out)
{
    if (b->turn == LLMUX_TURN_NOT_YET) {
        enqueue(e, b);
        advance(e, out);
    }
}

void llmux_anthropic_block_text(encoder_t *e, block_t *b, llmux_slice_t text,
                                llmux_buf_t *out)
{
    if (!text.len) {
        return;
    }
    llmux_anthropic_block_say(e, b, out);
    if (b->kind == LLMUX_BLOCK_CALL) {
        scan(&b->scan, text);
    }
    if (b->turn == LLMUX_TURN_NOW
        && (b->kind != LLMUX_BLOCK_CALL || b->live)) {
        say(e, b, text, out);
    }
    else if (b->turn != LLMUX_TURN_OVER) {
        keep(e, b->text, text, out);
    }
    if (b->turn == LLMUX_TURN_NOW) {
        flush(e, b, out);
        advance(e, out);
    }
}

void llmux_anthropic_block_token(encoder_t *e, block_t *b,
                                 llmux_token_t token, llmux_buf_t *out)
{
    if (b->turn == LLMUX_TURN_OVER || !token.bytes.len) {
        return;
    }
    if (b->kind == LLMUX_BLOCK_THINK) {
        llmux_anthropic_block_say(e, b, out);
    }
    forget(e, b->token);
    b->maker = token.maker;
    keep(e, b->token, token.bytes, out);
}

void llmux_anthropic_block_stop(encoder_t *e, block_t *b, llmux_buf_t *out)
{
    b->stopped = 1;
    if (b->turn == LLMUX_TURN_WAITS) {
        return;
    }
    if (b->turn == LLMUX_TURN_NOW) {
        end(e, out);
    }
    drop(e, b);
    advance(e, out);
}
