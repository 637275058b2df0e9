/* openai_encode.c - fuzzes the encoder of chat completions. The input is a
 * script of events, as events.h has them. What the stream says must be chunks
 * that a client can put together, and these the same answer as the whole one,
 * of all that the events said.
 *
 * covers: src/dialect/openai_encode.c src/dialect/openai_chunks.c
 *         src/dialect/openai_whole.c src/dialect/openai_pieces.c
 *         src/dialect/openai_custom.c
 */

#include "answers.h"
#include "llmux/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CALLS_MAX = LLMUX_BLOCKS_MAX };

/* What is said by words, in the order of the message's members. */
enum { CONTENT, REFUSAL, REASONING, WORDS };
static const char *const words[] = { "content", "refusal",
                                     "reasoning_content" };

/* Lists whose elements have numbers, and one that is counted alone. */
enum { CALLS, DETAILS, ANNOTATIONS, IMAGES, LISTS };
static const char *const lists[] = { "tool_calls", "reasoning_details",
                                     "annotations", "images" };

/* One choice as a client knows it. */
typedef struct choice_t {
    int introduced, finished;
    llmux_buf_t *words[WORDS];
    int counts[LISTS];
    llmux_buf_t *args[CALLS_MAX];
    llmux_buf_t *sound;
    int logprobs;               /* tokens of them */
    llmux_slice_t finish;
} choice_t;

typedef struct client_t {
    answer_t base;
    choice_t *choices[CANDS];
} client_t;

/* ---- whom the events are told ---------------------------------------- */

typedef struct listener_t {
    apr_pool_t *p;
    llmux_encoder_t *streamed, *whole;
    llmux_buf_t *stream, *document;
    llmux_buf_t *said[CANDS][2];        /* texts and refusals */
} listener_t;

static void hear(void *baton, const llmux_event_t *ev)
{
    listener_t *l = baton;

    if (ev->kind == LLMUX_EV_TEXT || ev->kind == LLMUX_EV_REFUSAL) {
        llmux_buf_add_slice(l->said[ev->cand][ev->kind == LLMUX_EV_REFUSAL],
                            ev->text);
    }
    l->streamed->event(l->streamed, ev, l->stream);
    l->whole->event(l->whole, ev, l->document);
}

static const llmux_sealer_t *sealer(void)
{
    static const char key[] = "000102030405060708090a0b0c0d0e0f"
                              "101112131415161718191a1b1c1d1e1f";
    static llmux_sealer_t *s;
    const char *why;
    apr_pool_t *p;

    if (!s) {
        apr_pool_create(&p, NULL);
        s = llmux_sealer_create(p);
        MUST(!llmux_sealer_add(s, "k", llmux_secret_read(p, key, &why)));
    }
    return s;
}

/* The client's tool "g" is a custom one. */
static void make_listener(listener_t *l, apr_pool_t *p)
{
    static const llmux_tool_t tools[] = {
        { .name = { "g", 1 }, .custom = 1 }
    };
    llmux_encode_t how = { .show_thinking = 1, .include_usage = 1,
                           .tools = tools, .id = "ours" };
    int i;

    how.sealer = sealer();
    l->p = p;
    l->stream = llmux_buf_create(p, OUT_MAX);
    l->document = llmux_buf_create(p, OUT_MAX);
    l->whole = llmux_dialect_openai.encoder(p, &how);
    how.streamed = 1;
    l->streamed = llmux_dialect_openai.encoder(p, &how);
    for (i = 0; i < 2 * CANDS; i++) {
        l->said[i / 2][i % 2] = llmux_buf_create(p, OUT_MAX);
    }
}

/* ---- what both forms are put together to ----------------------------- */

static choice_t *choice_of(client_t *c, const llmux_json_t *v)
{
    int i = (int)llmux_json_int(llmux_json_get(v, "index"), -1), k;
    choice_t *choice;

    MUST(i >= 0 && i < CANDS);
    if (!c->choices[i]) {
        choice = c->choices[i] = apr_pcalloc(c->base.p, sizeof(*choice));
        for (k = 0; k < WORDS; k++) {
            choice->words[k] = llmux_buf_create(c->base.p, OUT_MAX);
        }
        choice->sound = llmux_buf_create(c->base.p, OUT_MAX);
    }
    return c->choices[i];
}

static void add_call(answer_t *a, choice_t *choice, int i,
                     const llmux_json_t *v)
{
    const llmux_json_t *f = llmux_json_get(v, "function");
    const llmux_json_t *custom = llmux_json_get(v, "custom");
    llmux_slice_t id = str(a, v, "id");

    if (!choice->args[i]) {
        choice->args[i] = llmux_buf_create(a->p, OUT_MAX);
        MUST(id.len && str(a, custom ? custom : f, "name").data);
        MUST(llmux_json_is(llmux_json_get(v, "type"),
                           custom ? "custom" : "function"));
    }
    else {
        MUST(!id.data);
    }
    llmux_buf_add_slice(choice->args[i], custom ? str(a, custom, "input")
                                                : str(a, f, "arguments"));
}

/* Those of a chunk are numbered: old ones go on, new ones have the next
 * number. In a document the calls have none. */
static void add_list(answer_t *a, choice_t *choice, int which,
                     const llmux_json_t *list)
{
    const llmux_json_t *v;
    int i;

    MUST(!list || (llmux_json_kind(list) == LLMUX_JSON_ARRAY
                   && llmux_json_count(list)));
    for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
        MUST(!a->streamed || llmux_json_get(v, "index"));
        i = (int)llmux_json_int(llmux_json_get(v, "index"),
                                choice->counts[which]);
        MUST(i >= 0 && i <= choice->counts[which] && i < CALLS_MAX);
        if (which == CALLS) {
            add_call(a, choice, i, v);
        }
        choice->counts[which] += i == choice->counts[which];
    }
}

static void add_message(answer_t *a, choice_t *choice, const llmux_json_t *m)
{
    int i;

    MUST(!llmux_json_get(m, "role") == !!choice->introduced);
    choice->introduced = 1;
    for (i = 0; i < WORDS; i++) {
        llmux_buf_add_slice(choice->words[i], str(a, m, words[i]));
    }
    for (i = 0; i < LISTS; i++) {
        add_list(a, choice, i, llmux_json_get(m, lists[i]));
    }
    llmux_buf_add_slice(choice->sound, llmux_base64_decode(
        a->p, str(a, llmux_json_get(m, "audio"), "data")));
}

static void add_choice(answer_t *a, const llmux_json_t *v)
{
    choice_t *choice = choice_of((client_t *)a, v);
    const llmux_json_t *finish = llmux_json_get_any(v, "finish_reason");
    const llmux_json_t *m = llmux_json_get(v, a->streamed ? "delta"
                                                          : "message");

    MUST(finish && m);
    add_message(a, choice, m);
    choice->logprobs += llmux_json_count(
        llmux_json_get(llmux_json_get(v, "logprobs"), "content"));
    if (llmux_json_kind(finish) == LLMUX_JSON_STRING) {
        MUST(!choice->finished++);
        choice->finish = llmux_json_str(a->p, finish);
    }
}

/* ---- both of them ---------------------------------------------------- */

static void compare_choices(const choice_t *a, const choice_t *b)
{
    int i;

    MUST(a->finished && b->finished);
    MUST(llmux_slice_equal(a->finish, b->finish));
    for (i = 0; i < WORDS; i++) {
        MUST(is_same(a->words[i], b->words[i]));
    }
    for (i = 0; i < LISTS; i++) {
        MUST(a->counts[i] == b->counts[i]);
    }
    for (i = 0; i < a->counts[CALLS]; i++) {
        MUST(is_same(a->args[i], b->args[i]));
    }
    MUST(is_same(a->sound, b->sound));
    MUST(a->logprobs == b->logprobs);
}

static void compare(const listener_t *l, const client_t *streamed)
{
    client_t whole = { .base = { .p = l->p, .object = "chat.completion",
                                 .choice = add_choice } };
    int i;

    take_whole(&whole.base, l->document);
    MUST(is_same_usage(&whole.base, &streamed->base));
    for (i = 0; i < CANDS; i++) {
        MUST(whole.choices[i] && streamed->choices[i]);
        compare_choices(whole.choices[i], streamed->choices[i]);
        MUST(is_same(whole.choices[i]->words[CONTENT], l->said[i][0]));
        MUST(is_same(whole.choices[i]->words[REFUSAL], l->said[i][1]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    script_t s = { .in = { .data = data, .end = data + size } };
    client_t c = { .base = { .object = "chat.completion.chunk",
                             .choice = add_choice } };
    static apr_pool_t *root;
    listener_t l;

    if (!root) {
        apr_initialize();
        apr_pool_create(&root, NULL);
    }
    apr_pool_create(&s.in.p, root);
    make_listener(&l, s.in.p);
    play(&s, hear, &l);
    c.base.p = s.in.p;
    take_stream(&c.base, l.stream);
    MUST(c.base.failed == s.failed);
    if (s.failed) {
        MUST(!l.document->len);
    }
    else {
        compare(&l, &c);
    }
    apr_pool_destroy(s.in.p);
    return 0;
}
