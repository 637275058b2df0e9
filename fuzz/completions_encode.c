/* completions_encode.c - fuzzes the encoder of legacy completions. The first
 * line is the client's request, the rest a script of events, as events.h has
 * them. The choices of the stream, put together, are those of the whole
 * answer: the prompt if it is to be repeated, and all texts that the events
 * said. Each token of the log probabilities has its place in four lists.
 *
 * covers: src/dialect/completions_encode.c
 */

#include "answers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TOKENS, NUMBERS, TOPS, OFFSETS, LISTS };
static const char *const lists[] = { "tokens", "token_logprobs",
                                     "top_logprobs", "text_offset" };

/* One choice as a client knows it. */
typedef struct choice_t {
    llmux_buf_t *text;
    llmux_buf_t *lists[LISTS];  /* a line for each element */
    int tokens;
    apr_int64_t first, at;      /* offsets: of the first token, the last */
    llmux_slice_t finish;
    int finished;
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
    llmux_buf_t *said[CANDS];
} listener_t;

static void hear(void *baton, const llmux_event_t *ev)
{
    listener_t *l = baton;

    if (ev->kind == LLMUX_EV_TEXT || ev->kind == LLMUX_EV_REFUSAL) {
        llmux_buf_add_slice(l->said[ev->cand], ev->text);
    }
    l->streamed->event(l->streamed, ev, l->stream);
    l->whole->event(l->whole, ev, l->document);
}

static void make_listener(listener_t *l, apr_pool_t *p,
                          const llmux_chat_t *chat)
{
    llmux_encode_t how = { .include_usage = 1, .id = "ours", .chat = chat };
    int i;

    l->p = p;
    l->stream = llmux_buf_create(p, OUT_MAX);
    l->document = llmux_buf_create(p, OUT_MAX);
    l->whole = llmux_dialect_completions.encoder(p, &how);
    how.streamed = 1;
    l->streamed = llmux_dialect_completions.encoder(p, &how);
    for (i = 0; i < CANDS; i++) {
        l->said[i] = llmux_buf_create(p, OUT_MAX);
    }
}

/* ---- the request ----------------------------------------------------- */

/* NULL: it is not known, or was none. */
static const llmux_chat_t *read_request(source_t *in)
{
    const llmux_json_t *body = llmux_json_parse(in->p, line(in), 0, NULL);
    llmux_chat_t *chat = llmux_chat_create(in->p);

    return llmux_json_kind(body) != LLMUX_JSON_OBJECT
        || llmux_dialect_completions.read(chat, body) || !chat->messages
        ? NULL : chat;
}

/* The prompt that this choice goes on with: there are `n` for each of them.
 * None for those beyond the last. */
static const llmux_chat_t *asked(apr_pool_t *p, const llmux_chat_t *chat,
                                 int choice)
{
    int n = chat && chat->n.data ? (int)llmux_json_int(
        llmux_json_parse(p, chat->n, 0, NULL), 1) : 1;

    for (; chat && choice >= n; choice -= n) {
        chat = chat->next;
    }
    return chat;
}

static llmux_slice_t prompt_of(const llmux_chat_t *chat)
{
    return chat && chat->messages->blocks ? chat->messages->blocks->text
                                          : llmux_slice("");
}

/* ---- what both forms are put together to ----------------------------- */

static choice_t *choice_of(client_t *c, const llmux_json_t *v)
{
    int i = (int)llmux_json_int(llmux_json_get(v, "index"), -1), k;
    choice_t *choice;

    MUST(i >= 0 && i < CANDS);
    if (!c->choices[i]) {
        choice = c->choices[i] = apr_pcalloc(c->base.p, sizeof(*choice));
        choice->text = llmux_buf_create(c->base.p, OUT_MAX);
        choice->first = -1;
        for (k = 0; k < LISTS; k++) {
            choice->lists[k] = llmux_buf_create(c->base.p, OUT_MAX);
        }
    }
    return c->choices[i];
}

static void add_elements(choice_t *choice, int which,
                         const llmux_json_t *list)
{
    const llmux_json_t *v;
    apr_int64_t at;

    MUST(llmux_json_kind(list) == LLMUX_JSON_ARRAY);
    for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
        llmux_buf_add_slice(choice->lists[which], llmux_json_raw(v));
        llmux_buf_adds(choice->lists[which], "\n");
        if (which == OFFSETS) {
            at = llmux_json_int(v, -1);
            MUST(at >= choice->at);
            choice->first = choice->first < 0 ? at : choice->first;
            choice->at = at;
        }
    }
}

/* The token itself is one of the likely ones. */
static void check_tops(answer_t *a, const llmux_json_t *tokens,
                       const llmux_json_t *tops)
{
    const llmux_json_t *t = llmux_json_first(tokens);
    const llmux_json_t *top = llmux_json_first(tops), *m;

    for (; t; t = llmux_json_next(tokens, t)) {
        m = llmux_json_first(top);
        while (m && !llmux_slice_equal(llmux_json_str(a->p, m),
                                       llmux_json_str(a->p, t))) {
            m = llmux_json_next_member(top, m);
        }
        MUST(m != NULL);
        top = llmux_json_next(tops, top);
    }
}

static void add_logprobs(answer_t *a, choice_t *choice, const llmux_json_t *v)
{
    int i, n = llmux_json_count(llmux_json_get(v, lists[TOKENS]));

    MUST(n > 0);
    for (i = 0; i < LISTS; i++) {
        MUST(llmux_json_count(llmux_json_get(v, lists[i])) == n);
        add_elements(choice, i, llmux_json_get(v, lists[i]));
    }
    check_tops(a, llmux_json_get(v, lists[TOKENS]),
               llmux_json_get(v, lists[TOPS]));
    choice->tokens += n;
}

static void add_choice(answer_t *a, const llmux_json_t *v)
{
    choice_t *choice = choice_of((client_t *)a, v);
    const llmux_json_t *finish = llmux_json_get_any(v, "finish_reason");
    llmux_slice_t text = str(a, v, "text");

    MUST(finish && text.data && llmux_json_get_any(v, "logprobs"));
    llmux_buf_add_slice(choice->text, text);
    if (llmux_json_get(v, "logprobs")) {
        add_logprobs(a, choice, llmux_json_get(v, "logprobs"));
    }
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
    MUST(is_same(a->text, b->text));
    for (i = 0; i < LISTS; i++) {
        MUST(is_same(a->lists[i], b->lists[i]));
    }
}

/* Offsets count from the beginning of the prompt, repeated or not. */
static void check_choice(const listener_t *l, const choice_t *c,
                         const llmux_chat_t *chat, const llmux_buf_t *said)
{
    llmux_buf_t *want = llmux_buf_create(l->p, OUT_MAX);

    if (chat && chat->prompt->echo == LLMUX_YES) {
        llmux_buf_add_slice(want, prompt_of(chat));
    }
    llmux_buf_add_slice(want, llmux_buf_slice(said));
    MUST(is_same(c->text, want));
    MUST(!c->tokens || c->first == llmux_slice_points(prompt_of(chat)));
}

static void compare(const listener_t *l, const client_t *streamed,
                    const llmux_chat_t *chat)
{
    client_t whole = { .base = { .p = l->p, .object = "text_completion",
                                 .choice = add_choice } };
    int i;

    take_whole(&whole.base, l->document);
    MUST(is_same_usage(&whole.base, &streamed->base));
    for (i = 0; i < CANDS; i++) {
        MUST(whole.choices[i] && streamed->choices[i]);
        compare_choices(whole.choices[i], streamed->choices[i]);
        check_choice(l, whole.choices[i], asked(l->p, chat, i), l->said[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    script_t s = { .in = { .data = data, .end = data + size } };
    client_t c = { .base = { .object = "text_completion",
                             .choice = add_choice } };
    const llmux_chat_t *chat;
    static apr_pool_t *root;
    listener_t l;

    if (!root) {
        apr_initialize();
        apr_pool_create(&root, NULL);
    }
    apr_pool_create(&s.in.p, root);
    chat = read_request(&s.in);
    make_listener(&l, s.in.p, chat);
    play(&s, hear, &l);
    c.base.p = s.in.p;
    take_stream(&c.base, l.stream);
    MUST(c.base.failed == s.failed);
    if (s.failed) {
        MUST(!l.document->len);
    }
    else {
        compare(&l, &c, chat);
    }
    apr_pool_destroy(s.in.p);
    return 0;
}
