/* gemini_encode.c - fuzzes the encoder of generateContent, whole, streamed and
 * as an array, with what the decoders make of the bytes: the first byte says
 * of which dialect, and whether streamed. All three must be JSON, and say the
 * same words as the events when they are decoded again.
 *
 * covers: src/dialect/gemini_encode.c src/dialect/gemini_encode_chunks.c
 *         src/dialect/gemini_encode_whole.c
 *         src/dialect/gemini_encode_pieces.c
 *         src/dialect/gemini_encode_token.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#include "llmux/dialect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

enum { OUT_MAX = 256 << 20, FORMS = 3, WHOLE = 0, SSE = 1, ARRAY = 2 };

/* What was said, by candidate and sort, and whom it is passed on to. */
typedef struct listener_t {
    apr_pool_t *pool;
    llmux_buf_t *words[2];      /* of candidate 0: text, thoughts */
    int calls, ended, failed;
    llmux_encoder_t *encoders[FORMS];
    llmux_buf_t *out[FORMS];
} listener_t;

/* ---- listening ------------------------------------------------------- */

static void take_event(void *baton, const llmux_event_t *ev)
{
    listener_t *l = baton;
    int i;

    if (ev->cand == 0 && (ev->kind == LLMUX_EV_TEXT
                          || ev->kind == LLMUX_EV_REFUSAL)) {
        llmux_buf_add_slice(l->words[0], ev->text);
    }
    if (ev->cand == 0 && ev->kind == LLMUX_EV_THINK) {
        llmux_buf_add_slice(l->words[1], ev->text);
    }
    l->calls += ev->kind == LLMUX_EV_BLOCK_START
                && ev->block == LLMUX_BLOCK_CALL;
    l->failed |= ev->kind == LLMUX_EV_ERROR;
    l->ended |= ev->kind == LLMUX_EV_ERROR || ev->kind == LLMUX_EV_END;
    for (i = 0; i < FORMS; i++) {
        if (l->encoders[i]) {
            l->encoders[i]->event(l->encoders[i], ev, l->out[i]);
        }
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

static listener_t *hear(apr_pool_t *p, const llmux_dialect_t *dialect,
                        int streamed, llmux_slice_t bytes, int encodes)
{
    static const llmux_env_t env = {
        .now = fuzz_now, .chance = fuzz_chance, .log = fuzz_log
    };
    listener_t *l = apr_pcalloc(p, sizeof(*l));
    llmux_stream_t *s;
    int i;

    l->words[0] = llmux_buf_create(p, OUT_MAX);
    l->words[1] = llmux_buf_create(p, OUT_MAX);
    for (i = 0; encodes && i < FORMS; i++) {
        llmux_encode_t how = { .streamed = i > 0, .array = i == ARRAY,
                               .show_thinking = 1, .id = "id" };

        l->encoders[i] = llmux_dialect_gemini.encoder(p, &how);
        l->out[i] = llmux_buf_create(p, OUT_MAX);
    }
    s = llmux_stream_open(p, &env, dialect, streamed, take_event, NULL, l);
    llmux_stream_feed(s, bytes.data, bytes.len);
    llmux_stream_end(s);
    MUST(l->ended);
    return l;
}

/* ---- what came of it ------------------------------------------------- */

/* Blank lines alone are pings. */
static int check_event(void *baton, const llmux_sse_event_t *ev)
{
    MUST(ev->data.data || llmux_slice_blank(ev->raw));
    if (ev->data.data) {
        MUST(llmux_json_is_object(baton, ev->data));
        MUST(!memchr(ev->data.data, '\n', ev->data.len));
    }
    return 1;
}

/* Events, and behind them an error's document once more without its event. */
static void check_sse(apr_pool_t *p, const listener_t *l)
{
    llmux_sse_t *s = llmux_sse_create(p, OUT_MAX, check_event, p);
    llmux_slice_t bytes = llmux_buf_slice(l->out[SSE]);
    static const char end[] = "\r\n\r\n{\"error\":";
    const char *bare = l->failed ? memmem(bytes.data, bytes.len, end,
                                          sizeof(end) - 1) : NULL;

    if (l->failed) {
        MUST(bare != NULL);
        bare += 4;
        MUST(llmux_json_is_object(p, llmux_slice(bare)));
        bytes.len = (apr_size_t)(bare - bytes.data);
    }
    MUST(llmux_sse_feed(s, bytes.data, bytes.len) == APR_SUCCESS);
    MUST(llmux_sse_at_border(s));
}

static void check_array(apr_pool_t *p, const listener_t *l)
{
    const llmux_json_t *v = llmux_json_parse(
        p, llmux_buf_slice(l->out[ARRAY]), 0, NULL);

    MUST(llmux_json_kind(v) == LLMUX_JSON_ARRAY && llmux_json_count(v) > 0);
}

static void check_whole(apr_pool_t *p, const listener_t *l)
{
    MUST(l->failed ? !l->out[WHOLE]->len
                   : llmux_json_is_object(p, llmux_buf_slice(l->out[WHOLE])));
}

/* Calls that are not told, since nobody could read them, may be all that
 * there was: that is an error to the decoder. */
static void check_again(apr_pool_t *p, const listener_t *l)
{
    listener_t *again;
    int i, k;

    for (i = 0; i < FORMS; i++) {
        again = hear(p, &llmux_dialect_gemini, i == SSE,
                     llmux_buf_slice(l->out[i]), 0);
        MUST(!again->failed || (l->calls && !l->words[0]->len));
        for (k = 0; k < 2 && !again->failed; k++) {
            MUST(llmux_slice_equal(llmux_buf_slice(again->words[k]),
                                   llmux_buf_slice(l->words[k])));
        }
    }
}

static void fuzz(apr_pool_t *p, unsigned int how, llmux_slice_t bytes)
{
    static const llmux_dialect_t *const dialects[] = {
        &llmux_dialect_openai, &llmux_dialect_anthropic, &llmux_dialect_gemini
    };
    listener_t *l = hear(p, dialects[how / 2 % 3], how & 1, bytes, 1);
    int i;

    for (i = 0; i < FORMS; i++) {
        MUST(!l->out[i]->failed);
    }
    check_sse(p, l);
    check_array(p, l);
    check_whole(p, l);
    if (!l->failed) {
        check_again(p, l);
    }
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
