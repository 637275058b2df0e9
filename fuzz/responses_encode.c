/* responses_encode.c - fuzzes the encoder of Responses with what decoders make
 * of hostile providers. The first byte says which decoder, and whether the
 * answer is streamed; the others are the answer. A client must be able to
 * follow the stream, and it must end in the same response that the whole
 * answer is.
 *
 * covers: src/dialect/responses_encode.c src/dialect/responses_encode_items.c
 *         src/dialect/responses_encode_object.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#include "../t/unit/responses_follow.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

typedef struct listener_t {
    llmux_encoder_t *streamed, *whole;
    llmux_buf_t *stream, *document;
    int failed;
} listener_t;

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

static void take_event(void *baton, const llmux_event_t *ev)
{
    listener_t *l = baton;

    l->failed |= ev->kind == LLMUX_EV_ERROR;
    l->streamed->event(l->streamed, ev, l->stream);
    l->whole->event(l->whole, ev, l->document);
}

/* The client's tool "g" is a custom one, "s__f" one of a namespace. */
static void make_listener(apr_pool_t *p, listener_t *l)
{
    static const llmux_tool_t tools[] = {
        { .next = (llmux_tool_t *)&tools[1], .name = { "g", 1 },
          .custom = 1 },
        { .name = { "s__f", 4 }, .space = { "s", 1 } }
    };
    llmux_encode_t how = { .show_thinking = 1, .tools = tools, .id = "i d" };

    l->failed = 0;
    l->stream = llmux_buf_create(p, FOLLOW_MAX);
    l->document = llmux_buf_create(p, FOLLOW_MAX);
    l->whole = llmux_dialect_responses.encoder(p, &how);
    how.streamed = 1;
    l->streamed = llmux_dialect_responses.encoder(p, &how);
}

static void check(apr_pool_t *p, const listener_t *l)
{
    const follow_t *f = follow(p, llmux_buf_slice(l->stream));

    MUST(!l->stream->failed && !l->document->failed);
    MUST(!f->wrong);
    MUST(f->errors == (l->failed ? 1 : 0));
    MUST(l->failed ? !l->document->len
                   : llmux_slice_is(llmux_buf_slice(l->document), f->final));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const llmux_env_t env = {
        .now = fuzz_now, .chance = fuzz_chance, .log = fuzz_log
    };
    static const llmux_dialect_t *const dialects[] = {
        &llmux_dialect_openai, &llmux_dialect_anthropic,
        &llmux_dialect_gemini, &llmux_dialect_responses
    };
    static apr_pool_t *root;
    llmux_stream_t *s;
    listener_t l;
    apr_pool_t *p;

    if (!size) {
        return 0;
    }
    if (!root) {
        apr_initialize();
        apr_pool_create(&root, NULL);
    }
    apr_pool_create(&p, root);
    make_listener(p, &l);
    s = llmux_stream_open(p, &env, dialects[data[0] >> 1 & 3], data[0] & 1,
                          take_event, NULL, &l);
    llmux_stream_feed(s, (const char *)data + 1, size - 1);
    llmux_stream_end(s);
    check(p, &l);
    apr_pool_destroy(p);
    return 0;
}
