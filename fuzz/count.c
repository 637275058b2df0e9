/* count.c - fuzzes the dialects that count tokens. The first byte says which
 * one, for which server, and whether the rest is a request or an answer.
 *
 * covers: src/dialect/count.c src/dialect/anthropic_count.c
 *         src/dialect/gemini_count.c src/dialect/responses_count.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#include "llmux/dialect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

enum { OUT_MAX = 64 << 20, ANSWER = 4, VERTEX = 8 };

static const llmux_dialect_t *const dialects[] = {
    &llmux_dialect_anthropic_count, &llmux_dialect_gemini_count,
    &llmux_dialect_responses_count, &llmux_dialect_gemini_count
};

static void check_error(const llmux_error_t *err)
{
    MUST(err->message && *err->message);
    MUST(err->status >= 400 && err->status < 600);
}

/* ---- requests -------------------------------------------------------- */

static void write_for(apr_pool_t *p, const llmux_dialect_t *d,
                      const llmux_chat_t *chat, const llmux_target_t *target)
{
    llmux_buf_t *out = llmux_buf_create(p, OUT_MAX);
    llmux_warnings_t *w = llmux_warnings_create(p, 0);
    const llmux_error_t *err = d->write(out, chat, target, w, p);

    if (err) {
        check_error(err);
    }
    else {
        MUST(!out->failed && llmux_json_is_object(p, llmux_buf_slice(out)));
    }
}

static void request(apr_pool_t *p, const llmux_dialect_t *d,
                    llmux_slice_t body, int vertex)
{
    llmux_target_t target = { .name = "fuzz", .can = ~0u, .vertex = vertex };
    llmux_buf_t *out = llmux_buf_create(p, OUT_MAX);
    llmux_chat_t *chat = llmux_chat_create(p);
    llmux_head_t head = { .model = { "m", 1 } };
    const llmux_error_t *err =
        d->head(p, llmux_json_parser_create(p), body, &head);
    size_t i;

    target.model = llmux_slice("a \"model\"");
    target.body_version = vertex ? "v \"1\"" : NULL;
    MUST(head.stream == LLMUX_NO);
    if (!err) {
        d->edit(out, p, &head, body, &target, llmux_warnings_create(p, 0));
        MUST(!out->failed && llmux_json_is_object(p, llmux_buf_slice(out)));
        err = d->read(chat, llmux_json_parse(p, body, 0, NULL));
    }
    if (err) {
        check_error(err);
        return;
    }
    for (i = 0; i < 3; i++) {
        write_for(p, dialects[i], chat, &target);
    }
}

/* ---- answers --------------------------------------------------------- */

typedef struct listener_t {
    llmux_encoder_t *encoder;
    llmux_buf_t *out;
    apr_int64_t count;
    int failed, ended;
} listener_t;

static void take_event(void *baton, const llmux_event_t *ev)
{
    listener_t *l = baton;

    MUST(!l->ended);
    l->failed |= ev->kind == LLMUX_EV_ERROR;
    l->ended = ev->kind == LLMUX_EV_ERROR || ev->kind == LLMUX_EV_END;
    if (ev->kind == LLMUX_EV_USAGE) {
        l->count = llmux_usage_input(ev->usage);
    }
    l->encoder->event(l->encoder, ev, l->out);
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

static listener_t hear(apr_pool_t *p, const llmux_dialect_t *d,
                       llmux_slice_t bytes)
{
    static const llmux_env_t env = {
        .now = fuzz_now, .chance = fuzz_chance, .log = fuzz_log
    };
    llmux_encode_t how = { .id = "id" };
    listener_t l = { .encoder = d->encoder(p, &how), .count = -1 };
    llmux_stream_t *s;

    l.out = llmux_buf_create(p, OUT_MAX);
    s = llmux_stream_open(p, &env, d, 0, take_event, NULL, &l);
    llmux_stream_feed(s, bytes.data, bytes.len);
    llmux_stream_end(s);
    MUST(l.ended && !l.out->failed);
    MUST(l.failed == !l.out->len && l.failed == (l.count < 0));
    return l;
}

static void answer(apr_pool_t *p, const llmux_dialect_t *d,
                   llmux_slice_t bytes)
{
    listener_t l = hear(p, d, bytes), again;

    if (!l.failed) {
        again = hear(p, d, llmux_buf_slice(l.out));
        MUST(again.count == l.count);
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
    if (data[0] & ANSWER) {
        answer(p, dialects[data[0] % 4], bytes);
    }
    else {
        request(p, dialects[data[0] % 4], bytes, data[0] & VERTEX);
    }
    apr_pool_destroy(p);
    return 0;
}
