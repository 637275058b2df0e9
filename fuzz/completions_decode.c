/* completions_decode.c - fuzzes answers of legacy completions: the first byte
 * says whether they are streamed, in which pieces they come and whether they
 * are chats' answers. Fed in pieces they must give the same; as chunks and
 * whole they must be JSON that says the same words when decoded again.
 *
 * covers: src/dialect/completions_decode.c src/dialect/completions_encode.c
 *         src/dialect/completions_logprobs.c src/dialect/openai_answer.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#include "llmux/dialect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

enum { OUT_MAX = 256 << 20, STREAMED = 1, CHATS = 2 };

/* What was said, and whom it is passed on to. */
typedef struct listener_t {
    llmux_buf_t *words;         /* of candidate 0 */
    llmux_buf_t *notes;         /* of all events */
    int key;                    /* of candidate 0's last block */
    int open, started, ended, failed;
    llmux_encoder_t *encoders[2];
    llmux_buf_t *out[2];        /* whole, chunks */
} listener_t;

static void note(llmux_buf_t *b, const llmux_event_t *ev)
{
    llmux_buf_addf(b, "\n%d %d %d %d %d ", ev->kind, ev->cand, ev->key,
                   ev->block, ev->finish);
    llmux_buf_add_slice(b, ev->text);
    llmux_buf_add_slice(b, ev->id);
    llmux_buf_add_slice(b, ev->name);
    llmux_buf_add_slice(b, ev->stop);
    if (ev->usage) {
        llmux_buf_add(b, ev->usage, sizeof(*ev->usage));
    }
    if (ev->error) {
        llmux_buf_adds(b, ev->error->message);
    }
}

static void check(listener_t *l, const llmux_event_t *ev)
{
    MUST(!l->ended && ev->cand >= 0 && ev->cand < LLMUX_CHOICES_MAX);
    MUST(l->started || ev->kind == LLMUX_EV_START || ev->kind == LLMUX_EV_PING
         || ev->kind == LLMUX_EV_ERROR);
    l->started |= ev->kind == LLMUX_EV_START;
    l->open += (ev->kind == LLMUX_EV_BLOCK_START)
               - (ev->kind == LLMUX_EV_BLOCK_STOP);
    l->failed |= ev->kind == LLMUX_EV_ERROR;
    l->ended = ev->kind == LLMUX_EV_ERROR || ev->kind == LLMUX_EV_END;
    MUST(ev->kind != LLMUX_EV_END || !l->open);
}

static void take_event(void *baton, const llmux_event_t *ev)
{
    listener_t *l = baton;
    int i;

    check(l, ev);
    note(l->notes, ev);
    if (ev->kind == LLMUX_EV_BLOCK_START && !ev->cand
        && (ev->block == LLMUX_BLOCK_TEXT
            || ev->block == LLMUX_BLOCK_REFUSAL)) {
        l->key = ev->key;
    }
    if ((ev->kind == LLMUX_EV_TEXT || ev->kind == LLMUX_EV_REFUSAL)
        && ev->key == l->key) {
        llmux_buf_add_slice(l->words, ev->text);
    }
    for (i = 0; i < 2; i++) {
        l->encoders[i]->event(l->encoders[i], ev, l->out[i]);
    }
}

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

/* Each piece in memory of its own, as reads are. */
static listener_t *hear(apr_pool_t *p, const llmux_dialect_t *dialect,
                        int streamed, llmux_slice_t bytes, size_t most)
{
    static const llmux_env_t env = {
        .now = fuzz_now, .chance = fuzz_chance, .log = fuzz_log
    };
    llmux_encode_t how = { .include_usage = 1, .id = "id" };
    listener_t *l = apr_pcalloc(p, sizeof(*l));
    llmux_stream_t *s;
    size_t n;
    char *copy;

    l->key = -1;
    l->words = llmux_buf_create(p, OUT_MAX);
    l->notes = llmux_buf_create(p, OUT_MAX);
    for (how.streamed = 0; how.streamed < 2; how.streamed++) {
        l->encoders[how.streamed] =
            llmux_dialect_completions.encoder(p, &how);
        l->out[how.streamed] = llmux_buf_create(p, OUT_MAX);
    }
    s = llmux_stream_open(p, &env, dialect, streamed, take_event, NULL, l);
    for (; bytes.len; bytes.data += n, bytes.len -= n) {
        n = bytes.len < most ? bytes.len : most;
        copy = malloc(n);
        MUST(copy != NULL);
        memcpy(copy, bytes.data, n);
        llmux_stream_feed(s, copy, n);
        free(copy);
    }
    llmux_stream_end(s);
    MUST(l->ended);
    return l;
}

/* ---- what came of it ------------------------------------------------- */

static int check_chunk(void *baton, const llmux_sse_event_t *ev)
{
    if (ev->data.data && !llmux_slice_is(ev->data, "[DONE]")) {
        MUST(llmux_json_is_object(baton, ev->data));
    }
    return 1;
}

static void check_encoded(apr_pool_t *p, const listener_t *l)
{
    llmux_sse_t *s = llmux_sse_create(p, OUT_MAX, check_chunk, p);

    MUST(!l->out[0]->failed && !l->out[1]->failed);
    MUST(llmux_sse_feed(s, llmux_buf_slice(l->out[1]).data, l->out[1]->len)
         == APR_SUCCESS);
    MUST(llmux_sse_at_border(s));
    MUST(l->failed ? !l->out[0]->len
                   : llmux_json_is_object(p, llmux_buf_slice(l->out[0])));
}

static void check_again(apr_pool_t *p, const listener_t *l)
{
    listener_t *again;
    int i;

    for (i = 0; i < 2 && !l->failed; i++) {
        again = hear(p, &llmux_dialect_completions, i,
                     llmux_buf_slice(l->out[i]), OUT_MAX);
        MUST(!again->failed);
        MUST(llmux_slice_equal(llmux_buf_slice(again->words),
                               llmux_buf_slice(l->words)));
    }
}

static void fuzz(apr_pool_t *p, unsigned int how, llmux_slice_t bytes)
{
    static const size_t pieces[] = { 1, 2, 3, 7, 16, 64, 256, 4096 };
    const llmux_dialect_t *dialect = how & CHATS ? &llmux_dialect_openai
                                                 : &llmux_dialect_completions;
    listener_t *one = hear(p, dialect, how & STREAMED, bytes, OUT_MAX);
    listener_t *cut = hear(p, dialect, how & STREAMED, bytes,
                           pieces[how / 4 % 8]);

    MUST(llmux_slice_equal(llmux_buf_slice(one->notes),
                           llmux_buf_slice(cut->notes)));
    check_encoded(p, one);
    check_again(p, one);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    llmux_slice_t bytes = { (const char *)data + 1, size - 1 };
    static apr_pool_t *root;
    apr_pool_t *p;

    if (!size) {
        return 0;
    }
    if (!root) {
        apr_initialize();
        apr_pool_create(&root, NULL);
    }
    apr_pool_create(&p, root);
    fuzz(p, data[0], bytes);
    apr_pool_destroy(p);
    return 0;
}
