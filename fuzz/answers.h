/* answers.h - answers of OpenAI's APIs as a client takes them, streamed and
 * whole, for targets that fuzz their encoders. What all documents have is
 * looked at here, their choices by the target. */

#ifndef FUZZ_ANSWERS_H
#define FUZZ_ANSWERS_H

#include "events.h"

typedef struct answer_t {
    apr_pool_t *p;
    const char *object;         /* what each document says it is */
    void (*choice)(struct answer_t *a, const llmux_json_t *choice);
    int streamed;
    llmux_slice_t usage;
    int ended, failed;
} answer_t;

static llmux_slice_t str(const answer_t *a, const llmux_json_t *v,
                         const char *name)
{
    return llmux_json_str(a->p, llmux_json_get(v, name));
}

/* ---- documents ------------------------------------------------------- */

static void take_document(answer_t *a, const llmux_json_t *v)
{
    const llmux_json_t *list = llmux_json_get(v, "choices"), *choice;

    MUST(llmux_json_is(llmux_json_get(v, "object"), a->object));
    MUST(str(a, v, "id").len && str(a, v, "model").data);
    MUST(llmux_json_int(llmux_json_get(v, "created"), -1) >= 0);
    MUST(llmux_json_kind(list) == LLMUX_JSON_ARRAY);
    for (choice = llmux_json_first(list); choice;
         choice = llmux_json_next(list, choice)) {
        a->choice(a, choice);
    }
    if (llmux_json_get(v, "usage")) {
        MUST(!a->usage.data);
        a->usage = llmux_json_raw(llmux_json_get(v, "usage"));
    }
}

/* Blocks without data are keep-alives. After the usage, and after an error,
 * there is nothing but the end. */
static int take_chunk(void *baton, const llmux_sse_event_t *ev)
{
    answer_t *a = baton;
    const llmux_json_t *v;

    MUST(!a->ended);
    if (!ev->data.data) {
        return 1;
    }
    if (llmux_slice_is(ev->data, "[DONE]")) {
        a->ended = 1;
        return 1;
    }
    MUST(!a->failed && !a->usage.data);
    v = llmux_json_parse(a->p, llmux_slice_dup(a->p, ev->data), 0, NULL);
    MUST(llmux_json_kind(v) == LLMUX_JSON_OBJECT);
    if (llmux_json_get(v, "error")) {
        a->failed = 1;
        return 1;
    }
    take_document(a, v);
    return 1;
}

static void take_stream(answer_t *a, const llmux_buf_t *bytes)
{
    llmux_sse_t *sse = llmux_sse_create(a->p, OUT_MAX, take_chunk, a);

    a->streamed = 1;
    MUST(!bytes->failed);
    MUST(llmux_sse_feed(sse, bytes->data, bytes->len) == APR_SUCCESS);
    MUST(llmux_sse_at_border(sse) && (a->ended || a->failed));
}

static void take_whole(answer_t *a, const llmux_buf_t *bytes)
{
    MUST(!bytes->failed);
    take_document(a, llmux_json_parse(a->p, llmux_buf_slice(bytes), 0, NULL));
}

/* ---- both ------------------------------------------------------------ */

static int is_same(const llmux_buf_t *a, const llmux_buf_t *b)
{
    return llmux_slice_equal(llmux_buf_slice(a), llmux_buf_slice(b));
}

static int is_same_usage(const answer_t *a, const answer_t *b)
{
    return !a->usage.data ? !b->usage.data
                          : llmux_slice_equal(a->usage, b->usage);
}

#endif
