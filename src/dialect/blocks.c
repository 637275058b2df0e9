/* blocks.c - the blocks of an answer that are open while it is decoded. */

#include "blocks.h"

#define OPEN_MAX    64          /* blocks open at once; the APIs open one */

/* A citation that waits for the end of its block. */
typedef struct llmux_held_cite_t {
    struct llmux_held_cite_t *next;
    llmux_cite_t cite;
} held_t;

static void fail(llmux_blocks_t *b, const char *message)
{
    llmux_decoder_fail(b->decoder, LLMUX_ERR_BAD_UPSTREAM, message);
}

/* ---- at once --------------------------------------------------------- */

void llmux_open_piece(const llmux_open_t *o, llmux_slice_t text)
{
    llmux_event_t ev = { .kind = o->kind, .key = o->key, .text = text };

    if (!text.len || o->kind == LLMUX_EV_END) {
        return;
    }
    if (o->kind == LLMUX_EV_TEXT) {
        o->in->points += llmux_slice_points(text);
    }
    llmux_decoder_emit(o->in->decoder, &ev);
}

void llmux_open_token(const llmux_open_t *o, llmux_maker_e maker,
                      llmux_slice_t bytes)
{
    llmux_event_t ev = { .kind = LLMUX_EV_TOKEN, .key = o->key };

    if (bytes.len && o->kind == LLMUX_EV_THINK) {
        ev.token.maker = maker;
        ev.token.bytes = bytes;
        llmux_decoder_emit(o->in->decoder, &ev);
    }
}

/* ---- at the end of the block ----------------------------------------- */

/* A copy that lasts until no block is open, absent if there is no room. */
static llmux_slice_t hold(llmux_blocks_t *b, llmux_slice_t s, apr_size_t max)
{
    static const llmux_slice_t none = { NULL, 0 };

    if (s.len > max || b->held_size > max - s.len) {
        return none;
    }
    b->held_size += s.len;
    return llmux_slice_dup(b->held, s);
}

void llmux_open_cite(llmux_open_t *o, const llmux_cite_t *cite)
{
    llmux_blocks_t *b = o->in;
    held_t *h = apr_pcalloc(b->held, sizeof(*h));

    h->cite.url = hold(b, cite->url, LLMUX_CITED_TEXT_MAX);
    h->cite.title = hold(b, cite->title, LLMUX_CITED_TEXT_MAX);
    h->cite.quote = hold(b, cite->quote, LLMUX_CITED_TEXT_MAX);
    if (o->last_cite) {
        o->last_cite->next = h;
    }
    else {
        o->cites = h;
    }
    o->last_cite = h;
    o->cite_count++;
}

/* Nothing says that a signature comes in one piece. */
void llmux_open_sign(llmux_open_t *o, llmux_slice_t more)
{
    llmux_blocks_t *b = o->in;

    if (!more.len) {
        return;
    }
    if (b->held_size + more.len > LLMUX_TOKEN_MAX) {
        fail(b, "A signature in the provider's answer is too long.");
        return;
    }
    if (!o->signature) {
        o->signature = llmux_buf_create(b->held, LLMUX_TOKEN_MAX);
    }
    llmux_buf_add_slice(o->signature, more);
    b->held_size += more.len;
}

void llmux_open_input(llmux_open_t *o, llmux_slice_t input)
{
    o->input = hold(o->in, input, LLMUX_ARGS_MAX);
    if (!o->input.data) {
        fail(o->in, "The arguments of the provider's tool call are too long.");
    }
}

static void release_cites(const llmux_open_t *o)
{
    llmux_event_t ev = { .kind = LLMUX_EV_CITE, .key = o->key };
    held_t *h;

    for (h = o->cites; h; h = h->next) {
        h->cite.start = o->start;
        h->cite.end = o->in->points;
        ev.cite = &h->cite;
        llmux_decoder_emit(o->in->decoder, &ev);
    }
}

static void release(const llmux_open_t *o)
{
    if (!o->pieces) {
        llmux_open_piece(o, o->input);
    }
    if (o->signature) {
        llmux_open_token(o, LLMUX_MAKER_ANTHROPIC,
                         llmux_buf_slice(o->signature));
    }
    release_cites(o);
}

/* ---- from start to stop ---------------------------------------------- */

llmux_open_t *llmux_blocks_skip(llmux_blocks_t *b, apr_int64_t index)
{
    llmux_open_t *o = b->spare, fresh = { 0 };

    if (b->open_count == OPEN_MAX || b->keys == LLMUX_BLOCKS_MAX) {
        fail(b, "The provider's answer has too many blocks.");
        return NULL;
    }
    if (o) {
        b->spare = o->next;
    }
    else {
        o = apr_palloc(b->decoder->pool, sizeof(*o));
    }
    *o = fresh;
    o->in = b;
    o->next = b->open;
    o->index = index;
    o->kind = LLMUX_EV_END;
    b->open = o;
    b->open_count++;
    return o;
}

llmux_open_t *llmux_blocks_begin(llmux_blocks_t *b, apr_int64_t index,
                                 llmux_event_e kind, llmux_event_t *ev)
{
    llmux_open_t *o = llmux_blocks_skip(b, index);

    if (!o) {
        return NULL;
    }
    o->kind = kind;
    o->key = b->keys++;
    o->start = b->points;
    ev->kind = LLMUX_EV_BLOCK_START;
    ev->key = o->key;
    llmux_decoder_emit(b->decoder, ev);
    return o;
}

llmux_open_t *llmux_blocks_find(const llmux_blocks_t *b, apr_int64_t index)
{
    llmux_open_t *o = b->open;

    while (o && o->index != index) {
        o = o->next;
    }
    return o;
}

void llmux_open_stop(llmux_open_t *o)
{
    llmux_event_t ev = { .kind = LLMUX_EV_BLOCK_STOP, .key = o->key };
    llmux_blocks_t *b = o->in;
    llmux_open_t **at = &b->open;

    if (o->kind != LLMUX_EV_END) {
        release(o);
        llmux_decoder_emit(b->decoder, &ev);
    }
    while (*at != o) {
        at = &(*at)->next;
    }
    *at = o->next;
    o->next = b->spare;
    b->spare = o;
    b->open_count--;
    if (!b->open) {
        apr_pool_clear(b->held);
        b->held_size = 0;
    }
}

void llmux_blocks_stop_all(llmux_blocks_t *b)
{
    while (b->open) {
        llmux_open_stop(b->open);
    }
}

void llmux_blocks_init(llmux_blocks_t *b, llmux_decoder_t *decoder)
{
    static const llmux_blocks_t none;

    *b = none;
    b->decoder = decoder;
    apr_pool_create(&b->held, decoder->pool);
}
