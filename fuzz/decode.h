/*
 * decode.h - fuzzes a dialect's decoder. The first byte says whether the
 * answer is streamed and how it is cut, the others are the answer. Fed in
 * pieces it must give the same events as in one, in the order that dialect.h
 * promises, and both of OpenAI's encoders must make valid JSON of them. If the
 * decoder has a short way for ordinary payloads, the long one must bring the
 * same.
 */

#ifndef FUZZ_DECODE_H
#define FUZZ_DECODE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#include "llmux/dialect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

enum { NOTES_MAX = 256 << 20 };

/* All that one decoder said, and what must be known to find fault with it. */
typedef struct listener_t {
    llmux_buf_t *notes;
    apr_array_header_t *blocks; /* by key: kind + 1, minus it when
                                 * closed, 0 when never open */
    int seen[LLMUX_CANDIDATES_MAX], finished[LLMUX_CANDIDATES_MAX];
    int open;                   /* blocks */
    int started, ended, failed;
    llmux_encoder_t *streamed, *whole;
    llmux_buf_t *chunks, *document;
} listener_t;

/* ---- what was said --------------------------------------------------- */

static void note_slice(llmux_buf_t *b, llmux_slice_t s)
{
    llmux_buf_addf(b, "%u:", s.data ? (unsigned)s.len : ~0u);
    llmux_buf_add_slice(b, s);
}

/* Every byte of an event is read, so that sanitizers see stale slices. */
static void note_event(llmux_buf_t *b, const llmux_event_t *ev)
{
    llmux_buf_addf(b, "\n%d %d %d %d %d %d %d %ld ", ev->kind, ev->cand,
                   ev->key, ev->block, ev->custom, ev->token.maker,
                   ev->finish, (long)ev->created);
    note_slice(b, ev->text);
    note_slice(b, ev->id);
    note_slice(b, ev->name);
    note_slice(b, ev->tier);
    note_slice(b, ev->fingerprint);
    note_slice(b, ev->token.bytes);
    note_slice(b, ev->stop);
    if (ev->cite) {
        note_slice(b, ev->cite->url);
        note_slice(b, ev->cite->title);
        note_slice(b, ev->cite->quote);
        llmux_buf_addf(b, "%ld %ld", (long)ev->cite->start,
                       (long)ev->cite->end);
    }
    if (ev->usage) {
        llmux_buf_add(b, ev->usage, sizeof(*ev->usage));
    }
    if (ev->error) {
        llmux_buf_addf(b, "%d %s", ev->error->kind, ev->error->message);
    }
}

/* ---- the rules of order ---------------------------------------------- */

static int *block_at(listener_t *l, int key)
{
    MUST(key >= 0 && key < l->blocks->nelts);
    return &APR_ARRAY_IDX(l->blocks, key, int);
}

static void must_be_open(listener_t *l, int key, llmux_block_e kind)
{
    MUST(*block_at(l, key) == (int)kind + 1);
}

static void check_open(listener_t *l, const llmux_event_t *ev)
{
    MUST(ev->key >= l->blocks->nelts && ev->key < 1 << 24);
    while (l->blocks->nelts <= ev->key) {
        APR_ARRAY_PUSH(l->blocks, int) = 0;
    }
    *block_at(l, ev->key) = (int)ev->block + 1;
    l->open++;
    MUST(!l->finished[ev->cand]);
    l->seen[ev->cand] = 1;
}

static void check_close(listener_t *l, const llmux_event_t *ev)
{
    int *block = block_at(l, ev->key);

    MUST(*block > 0);
    *block = -*block;
    l->open--;
}

static void check_token(listener_t *l, const llmux_event_t *ev)
{
    int block = *block_at(l, ev->key);

    MUST(block == LLMUX_BLOCK_THINK + 1 || block == LLMUX_BLOCK_CALL + 1);
    MUST(ev->token.maker != LLMUX_MAKER_NONE && ev->token.bytes.data);
}

/* Sources may be told when the text is over. */
static void check_cite(listener_t *l, const llmux_event_t *ev)
{
    MUST(abs(*block_at(l, ev->key)) == LLMUX_BLOCK_TEXT + 1);
    MUST(ev->cite != NULL && !l->finished[ev->cand]);
}

static void check_finish(listener_t *l, const llmux_event_t *ev)
{
    MUST(!l->finished[ev->cand]);
    l->seen[ev->cand] = l->finished[ev->cand] = 1;
}

static void check_end(listener_t *l)
{
    int i;

    MUST(!l->open);
    for (i = 0; i < LLMUX_CANDIDATES_MAX; i++) {
        MUST(l->seen[i] == l->finished[i]);
    }
    l->ended = 1;
}

static void check(listener_t *l, const llmux_event_t *ev)
{
    MUST(!l->ended);
    MUST(ev->cand >= 0 && ev->cand < LLMUX_CANDIDATES_MAX);
    MUST(l->started || ev->kind == LLMUX_EV_START || ev->kind == LLMUX_EV_PING
         || ev->kind == LLMUX_EV_ERROR);
    switch (ev->kind) {
    case LLMUX_EV_START:
        MUST(!l->started);
        l->started = 1;
        break;
    case LLMUX_EV_BLOCK_START:
        check_open(l, ev);
        break;
    case LLMUX_EV_TEXT:
        must_be_open(l, ev->key, LLMUX_BLOCK_TEXT);
        break;
    case LLMUX_EV_CITE:
        check_cite(l, ev);
        break;
    case LLMUX_EV_THINK:
        must_be_open(l, ev->key, LLMUX_BLOCK_THINK);
        break;
    case LLMUX_EV_REFUSAL:
        must_be_open(l, ev->key, LLMUX_BLOCK_REFUSAL);
        break;
    case LLMUX_EV_ARGS:
        must_be_open(l, ev->key, LLMUX_BLOCK_CALL);
        break;
    case LLMUX_EV_MEDIA:
        must_be_open(l, ev->key, LLMUX_BLOCK_MEDIA);
        break;
    case LLMUX_EV_TOKEN:
        check_token(l, ev);
        break;
    case LLMUX_EV_BLOCK_STOP:
        check_close(l, ev);
        break;
    case LLMUX_EV_USAGE:
        MUST(ev->usage != NULL);
        break;
    case LLMUX_EV_FINISH:
        check_finish(l, ev);
        break;
    case LLMUX_EV_ERROR:
        MUST(ev->error && ev->error->message && *ev->error->message);
        l->failed = l->ended = 1;
        break;
    case LLMUX_EV_END:
        check_end(l);
        break;
    default:
        break;
    }
}

static void take_event(void *baton, const llmux_event_t *ev)
{
    listener_t *l = baton;

    check(l, ev);
    note_event(l->notes, ev);
    l->streamed->event(l->streamed, ev, l->chunks);
    l->whole->event(l->whole, ev, l->document);
}

/* ---- the encoders' work ---------------------------------------------- */

/* Chunks are JSON; "[DONE]" is the last of them, and only after END. */
typedef struct chunks_t {
    apr_pool_t *pool;
    int done;
} chunks_t;

static int check_chunk(void *baton, const llmux_sse_event_t *ev)
{
    chunks_t *c = baton;

    MUST(!c->done);
    if (llmux_slice_is(ev->data, "[DONE]")) {
        c->done = 1;
    }
    else if (ev->data.data) {
        MUST(llmux_json_is_object(c->pool, ev->data));
    }
    return 1;
}

static void check_encoded(apr_pool_t *p, listener_t *l)
{
    chunks_t c = { p, 0 };
    llmux_sse_t *s = llmux_sse_create(p, NOTES_MAX, check_chunk, &c);
    llmux_slice_t chunks = llmux_buf_slice(l->chunks);

    MUST(!l->chunks->failed && !l->document->failed && !l->notes->failed);
    MUST(llmux_sse_feed(s, chunks.data, chunks.len) == APR_SUCCESS);
    MUST(llmux_sse_at_border(s));
    MUST(c.done == !l->failed);
    MUST(l->failed ? !l->document->len
                   : llmux_json_is_object(p, llmux_buf_slice(l->document)));
}

/* ---- one answer ------------------------------------------------------ */

static apr_time_t fuzz_now(void *host)
{
    return 0;
}

static apr_uint32_t fuzz_chance(void *host)
{
    return 7;
}

static void fuzz_log(void *host, llmux_log_e level, int number,
                     apr_status_t rv, const char *message)
{
}

/* The client's tool "g" is a custom one, whatever the provider took it for. */
static listener_t *make_listener(apr_pool_t *p)
{
    static const llmux_tool_t tool = { .name = { "g", 1 }, .custom = 1 };
    llmux_encode_t how = { .include_usage = 1, .show_thinking = 1,
                           .tools = &tool, .id = "id" };
    listener_t *l = apr_pcalloc(p, sizeof(*l));

    l->notes = llmux_buf_create(p, NOTES_MAX);
    l->chunks = llmux_buf_create(p, NOTES_MAX);
    l->document = llmux_buf_create(p, NOTES_MAX);
    l->blocks = apr_array_make(p, 16, sizeof(int));
    l->whole = llmux_dialect_openai.encoder(p, &how);
    how.streamed = 1;
    l->streamed = llmux_dialect_openai.encoder(p, &how);
    return l;
}

/* Each piece in memory of its own, as reads are. */
static listener_t *hear(apr_pool_t *p, const llmux_dialect_t *dialect,
                        int streamed, const uint8_t *data, size_t size,
                        size_t most)
{
    static const llmux_env_t env = {
        .now = fuzz_now, .chance = fuzz_chance, .log = fuzz_log
    };
    listener_t *l = make_listener(p);
    llmux_stream_t *s = llmux_stream_open(p, &env, dialect, streamed,
                                          take_event, NULL, l);
    size_t n;
    char *copy;

    for (; size; data += n, size -= n) {
        n = size < most ? size : most;
        copy = malloc(n);
        MUST(copy != NULL);
        memcpy(copy, data, n);
        llmux_stream_feed(s, copy, n);
        free(copy);
    }
    llmux_stream_end(s);
    MUST(l->ended && llmux_stream_ended(s));
    return l;
}

/* The dialect without its short way. */
static const llmux_dialect_t *with_peek;

static llmux_decoder_t *parsing_decoder(apr_pool_t *p, const llmux_env_t *env,
                                        llmux_emit_fn emit, void *baton)
{
    llmux_decoder_t *d = with_peek->decoder(p, env, emit, baton);

    d->peek = NULL;
    return d;
}

static void parse_all(apr_pool_t *p, const llmux_dialect_t *dialect,
                      const uint8_t *data, size_t size,
                      const listener_t *peeking)
{
    const llmux_dialect_t parsing = { .frame = dialect->frame,
                                      .decoder = parsing_decoder };
    listener_t *l;

    with_peek = dialect;
    l = hear(p, &parsing, data[0] & 1, data + 1, size - 1, size);
    MUST(llmux_slice_equal(llmux_buf_slice(peeking->notes),
                           llmux_buf_slice(l->notes)));
}

static int fuzz_decoder(const llmux_dialect_t *dialect, const uint8_t *data,
                        size_t size)
{
    static const size_t pieces[] = { 1, 2, 3, 7, 16, 64, 256, 4096 };
    static apr_pool_t *pool;
    listener_t *one, *cut;
    apr_pool_t *p;

    if (!size) {
        return 0;
    }
    if (!pool) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    apr_pool_create(&p, pool);
    one = hear(p, dialect, data[0] & 1, data + 1, size - 1, size);
    cut = hear(p, dialect, data[0] & 1, data + 1, size - 1,
               pieces[(data[0] >> 1) % 8]);
    MUST(llmux_slice_equal(llmux_buf_slice(one->notes),
                           llmux_buf_slice(cut->notes)));
    parse_all(p, dialect, data, size, one);
    check_encoded(p, one);
    apr_pool_destroy(p);
    return 0;
}

#endif
