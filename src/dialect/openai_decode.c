/* openai_decode.c - chat completions' answers, whole and streamed, become
 * events: payloads, candidates, and how they end. */

#include "openai_decode.h"
#include "openai_peek.h"

typedef llmux_openai_decode_t decoder_t;
typedef llmux_openai_cand_t choice_t;

/* ---- reading --------------------------------------------------------- */

int llmux_openai_decode_keep(decoder_t *d, apr_size_t n)
{
    if (n > LLMUX_ARGS_MAX - d->held) {
        bad(d, "The provider's answer has tool calls that are too long.");
        return 0;
    }
    d->held += n;
    return 1;
}

void llmux_openai_decode_keep_first(decoder_t *d, llmux_slice_t *to,
                                    llmux_slice_t s)
{
    if (empty(*to) && !empty(s)
        && llmux_openai_decode_keep(d, s.len)) {
        *to = llmux_slice_dup(d->base.pool, s);
    }
}

/* ---- events ---------------------------------------------------------- */

void llmux_openai_decode_text(decoder_t *d, choice_t *c, llmux_event_e kind,
                              int key, llmux_slice_t text)
{
    llmux_event_t ev = { .kind = kind, .cand = c->index, .key = key,
                         .text = text };

    if (!empty(text)) {
        llmux_decoder_emit(&d->base, &ev);
    }
}

void llmux_openai_decode_token(decoder_t *d, choice_t *c, int key,
                               llmux_token_t token)
{
    llmux_event_t ev = { .kind = LLMUX_EV_TOKEN, .cand = c->index,
                         .key = key, .token = token };

    if (token.maker != LLMUX_MAKER_NONE && !empty(token.bytes)) {
        llmux_decoder_emit(&d->base, &ev);
    }
}

void llmux_openai_decode_stop(decoder_t *d, choice_t *c, int key)
{
    llmux_event_t ev = { .kind = LLMUX_EV_BLOCK_STOP, .cand = c->index,
                         .key = key };

    llmux_decoder_emit(&d->base, &ev);
}

void llmux_openai_decode_start(decoder_t *d, const llmux_event_t *ev)
{
    if (d->keys > LLMUX_BLOCKS_MAX) {
        bad(d, "The provider's answer has too many parts.");
        return;
    }
    llmux_decoder_emit(&d->base, ev);
}

void llmux_openai_decode_close(decoder_t *d, choice_t *c)
{
    if (c->open) {
        c->open = 0;
        llmux_openai_decode_stop(d, c, c->key);
    }
}

/* ---- the end --------------------------------------------------------- */

static const struct { const char *theirs; llmux_finish_e ours; } finishes[] = {
    { "stop",                          LLMUX_FINISH_STOP },
    { "eos",                           LLMUX_FINISH_STOP },
    { "end_turn",                      LLMUX_FINISH_STOP },
    { "stop_sequence",                 LLMUX_FINISH_STOP_SEQUENCE },
    { "length",                        LLMUX_FINISH_LENGTH },
    { "max_tokens",                    LLMUX_FINISH_LENGTH },
    { "model_length",                  LLMUX_FINISH_CONTEXT },
    { "model_context_window_exceeded", LLMUX_FINISH_CONTEXT },
    { "tool_calls",                    LLMUX_FINISH_CALLS },
    { "tool_use",                      LLMUX_FINISH_CALLS },
    { "function_call",                 LLMUX_FINISH_CALLS },
    { "content_filter",                LLMUX_FINISH_FILTER },
    { "sensitive",                     LLMUX_FINISH_FILTER },
    { "safety",                        LLMUX_FINISH_FILTER },
    { "recitation",                    LLMUX_FINISH_FILTER },
    { "refusal",                       LLMUX_FINISH_REFUSAL },
    { "malformed_function_call",       LLMUX_FINISH_MALFORMED },
    { "malformed_tool_use",            LLMUX_FINISH_MALFORMED },
    { "pause_turn",                    LLMUX_FINISH_PAUSE }
};

/* The answer broke off, whatever the server calls it. */
static const char *const failures[] = {
    "error", "abort", "network_error", "insufficient_system_resource", NULL
};

static llmux_finish_e finish_of(llmux_slice_t reason)
{
    apr_size_t i;

    for (i = 0; i < sizeof(finishes) / sizeof(finishes[0]); i++) {
        if (llmux_slice_is_nocase(reason, finishes[i].theirs)) {
            return finishes[i].ours;
        }
    }
    return LLMUX_FINISH_OTHER;
}

static int is_failure(llmux_slice_t reason)
{
    int i;

    for (i = 0; failures[i]; i++) {
        if (llmux_slice_is(reason, failures[i])) {
            return 1;
        }
    }
    return 0;
}

/* vLLM tells in `stop_reason` which sequence it was; a token's number says
 * nothing to anybody, and others repeat the finish reason there. */
static llmux_slice_t matched(decoder_t *d, const llmux_json_t *stop)
{
    static const llmux_slice_t none = { NULL, 0 };
    llmux_slice_t s = str(d, stop);

    return empty(s) || finish_of(s) != LLMUX_FINISH_OTHER ? none : s;
}

/* One that changes with each chunk must not fill the memory. */
static void keep_reason(decoder_t *d, choice_t *c, llmux_slice_t reason)
{
    if (!c->finished) {
        llmux_openai_decode_keep_first(d, &c->reason, reason);
    }
    else if (!llmux_slice_equal(reason, c->reason)) {
        if (!c->changed) {
            c->changed = llmux_buf_create(d->base.pool, LLMUX_ANSWER_MAX);
        }
        llmux_buf_reset(c->changed);
        llmux_buf_add_slice(c->changed, reason);
        c->reason = llmux_buf_slice(c->changed);
    }
}

/* Only noted, and said when all is over: there are servers that report a
 * finish with each chunk, or send more after it. The last one holds. */
static void note_finish(decoder_t *d, choice_t *c, const llmux_json_t *finish,
                        const llmux_json_t *stop)
{
    llmux_slice_t reason = str(d, finish);

    if (empty(reason) || llmux_slice_is(reason, "null")) {
        return;
    }
    if (is_failure(reason)) {
        bad(d, "The provider broke its answer off.");
        return;
    }
    c->finish = finish_of(reason);
    keep_reason(d, c, reason);
    c->finished = 1;
    llmux_openai_decode_keep_first(d, &c->stop, matched(d, stop));
}

static llmux_finish_e finish_kind(const choice_t *c)
{
    switch (c->finish) {
    case LLMUX_FINISH_STOP:
        if (!c->called && !c->refused && c->stop.data) {
            return LLMUX_FINISH_STOP_SEQUENCE;
        }
        if (!c->called && c->refused) {
            return LLMUX_FINISH_REFUSAL;
        }
        return c->called ? LLMUX_FINISH_CALLS : LLMUX_FINISH_STOP;
    case LLMUX_FINISH_OTHER:
        return c->called ? LLMUX_FINISH_CALLS : LLMUX_FINISH_OTHER;
    default:
        return c->finish;
    }
}

static void emit_finish(decoder_t *d, choice_t *c)
{
    llmux_event_t ev = { .kind = LLMUX_EV_FINISH, .cand = c->index,
                         .text = c->reason, .stop = c->stop };

    llmux_openai_decode_emit_sources(d, c);
    llmux_openai_decode_close(d, c);
    llmux_openai_decode_close_calls(d, c);
    ev.finish = finish_kind(c);
    llmux_decoder_emit(&d->base, &ev);
}

/* A whole document cannot be truncated: there a missing reason is one that
 * the server does not know. */
static int all_finished(const decoder_t *d)
{
    int i, n = 0;

    for (i = 0; i < d->places; i++) {
        if (d->choices[i]) {
            n++;
            if (!d->choices[i]->finished && !d->is_whole) {
                return 0;
            }
        }
    }
    return n > 0;
}

/* Did all that there is come to nothing, because the model called a tool in a
 * way that nobody understands? */
static int only_malformed(const decoder_t *d)
{
    const choice_t *c;
    int i;

    for (i = 0; i < d->places; i++) {
        c = d->choices[i];
        if (c && (c->spoke || c->called || c->refused
                  || c->finish != LLMUX_FINISH_MALFORMED)) {
            return 0;
        }
    }
    return 1;
}

static void finish(llmux_decoder_t *base)
{
    static const llmux_event_t end = { .kind = LLMUX_EV_END };
    decoder_t *d = (decoder_t *)base;
    int i;

    if (!all_finished(d)) {
        bad(d, d->is_whole ? "The provider's answer holds no choices."
                           : "The provider's answer was truncated.");
        return;
    }
    if (only_malformed(d)) {
        bad(d, "The model made a tool call that is not valid.");
        return;
    }
    for (i = 0; i < d->places; i++) {
        if (d->choices[i]) {
            emit_finish(d, d->choices[i]);
        }
    }
    llmux_decoder_emit(base, &end);
}

/* ---- payloads -------------------------------------------------------- */

static void start(decoder_t *d, const llmux_json_t *id,
                  const llmux_json_t *model, const llmux_json_t *created,
                  const llmux_json_t *tier, const llmux_json_t *fingerprint)
{
    llmux_event_t ev = { .kind = LLMUX_EV_START };

    ev.id = filled(str(d, id));
    ev.name = filled(str(d, model));
    ev.created = llmux_json_int(created, 0);
    ev.tier = filled(str(d, tier));
    ev.fingerprint = filled(str(d, fingerprint));
    llmux_decoder_emit(&d->base, &ev);
}

/* Nearly always there is one. */
static void make_room(decoder_t *d, int places)
{
    choice_t **more;
    int room = places > 1 ? LLMUX_CANDIDATES_MAX : 1;

    if (places <= d->room) {
        return;
    }
    more = apr_pcalloc(d->base.pool, (apr_size_t)room * sizeof(*more));
    if (d->places) {
        memcpy(more, d->choices, (apr_size_t)d->places * sizeof(*more));
    }
    d->choices = more;
    d->room = room;
}

static choice_t *find_choice(decoder_t *d, const llmux_json_t *index, int n)
{
    apr_int64_t i = llmux_json_int(index, n);

    if (i < 0 || i >= LLMUX_CANDIDATES_MAX) {
        bad(d, "The provider's answer has an impossible choice.");
        return NULL;
    }
    make_room(d, (int)i + 1);
    if (!d->choices[i]) {
        d->choices[i] = apr_pcalloc(d->base.pool, sizeof(choice_t));
        d->choices[i]->index = (int)i;
        d->places = i < d->places ? d->places : (int)i + 1;
    }
    return d->choices[i];
}

/* Order matters: models think before they speak, and speak before they
 * call. */
static void message(decoder_t *d, choice_t *c, const llmux_json_t *m,
                    const llmux_json_t *choice)
{
    /* Most deltas are a piece of text and nothing else. */
    int only_text = llmux_json_is(llmux_json_first(m), "content")
        && !llmux_json_next_member(m, llmux_json_first(m));

    if (!only_text) {
        llmux_openai_decode_reasoning(d, c, m);
    }
    llmux_openai_decode_content(d, c, m, choice);
    if (!only_text) {
        llmux_openai_decode_calls(d, c, m);
    }
}

static void usage(decoder_t *d, const llmux_json_t *v)
{
    llmux_openai_usage_emit(&d->base, &d->usage, v);
}

/* Perplexity sends both members always: in a stream the message repeats what
 * the deltas said, in a whole answer the delta is empty. */
static void choice(decoder_t *d, const llmux_json_t *v, int n)
{
    const llmux_json_t *m = llmux_json_get(v, d->is_whole ? "message"
                                                          : "delta");
    choice_t *c = find_choice(d, llmux_json_get(v, "index"), n);

    if (!m) {
        m = llmux_json_get(v, d->is_whole ? "delta" : "message");
    }
    if (!c) {
        return;
    }
    if (llmux_json_get(v, "error")) {
        llmux_openai_error_emit(&d->base, v);
        return;
    }
    message(d, c, m, v);
    note_finish(d, c, llmux_json_get(v, "finish_reason"),
                llmux_json_get(v, "stop_reason"));
    usage(d, llmux_json_get(v, "usage"));       /* Moonshot */
}

static void payload(llmux_decoder_t *base, llmux_slice_t event_name,
                    const llmux_json_t *body)
{
    decoder_t *d = (decoder_t *)base;
    const llmux_json_t *list = llmux_json_get(body, "choices"), *v;
    int n = 0;

    if (llmux_openai_is_error(event_name, body)) {
        llmux_openai_error_emit(base, body);
        return;
    }
    list = llmux_json_kind(list) == LLMUX_JSON_ARRAY ? list : NULL;
    /* Azure sends its filters' results first, with no id and no choices. */
    if (!base->started
        && (llmux_json_count(list) || llmux_json_get(body, "usage"))) {
        start(d, llmux_json_get(body, "id"), llmux_json_get(body, "model"),
              llmux_json_get(body, "created"),
              llmux_json_get(body, "service_tier"),
              llmux_json_get(body, "system_fingerprint"));
    }
    for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
        choice(d, v, n++);
    }
    llmux_openai_decode_note_sources(d, body);
    usage(d, llmux_json_get(llmux_json_get(body, "x_groq"), "usage"));
    usage(d, llmux_json_get(body, "usage"));
}

static void whole(llmux_decoder_t *base, const llmux_json_t *body)
{
    static const llmux_slice_t none = { NULL, 0 };
    decoder_t *d = (decoder_t *)base;

    d->is_whole = 1;
    payload(base, none, body);
}

/* ---- ordinary payloads ----------------------------------------------- */

static void plain_call(decoder_t *d, choice_t *c, const llmux_json_t *v)
{
    const llmux_openai_fragment_t f = {
        .index = llmux_json_int(&v[LLMUX_PEEK_CALL_INDEX], -1),
        .id = &v[LLMUX_PEEK_CALL_ID],
        .name = &v[LLMUX_PEEK_CALL_NAME],
        .args = &v[LLMUX_PEEK_CALL_ARGUMENTS]
    };

    llmux_openai_decode_fragment(d, c, &f);
}

static void plain_choice(decoder_t *d, const llmux_json_t *v)
{
    choice_t *c = find_choice(d, &v[LLMUX_PEEK_INDEX], 0);
    llmux_slice_t thought = str(d, &v[LLMUX_PEEK_REASONING_CONTENT]);

    if (!c) {
        return;
    }
    if (empty(thought)) {
        thought = str(d, &v[LLMUX_PEEK_REASONING]);
    }
    llmux_openai_decode_said(d, c, thought, str(d, &v[LLMUX_PEEK_CONTENT]),
                             str(d, &v[LLMUX_PEEK_REFUSAL]));
    if (llmux_openai_peek_filled(&v[LLMUX_PEEK_CALLS])) {
        plain_call(d, c, v);
    }
    note_finish(d, c, &v[LLMUX_PEEK_FINISH], &v[LLMUX_PEEK_STOP]);
}

/* Does for an ordinary payload what payload() does, in the same order. */
static int peek(llmux_decoder_t *base, llmux_slice_t event_name,
                llmux_slice_t text, int is_whole, llmux_json_parser_t *parser)
{
    decoder_t *d = (decoder_t *)base;
    llmux_json_t v[LLMUX_PEEK_COUNT];
    int has_choice, has_usage;

    if ((event_name.data && llmux_slice_is(event_name, "error"))
        || !llmux_openai_peek(text, v)) {
        return 0;
    }
    d->is_whole = is_whole;
    has_choice = llmux_openai_peek_filled(&v[LLMUX_PEEK_CHOICES]);
    has_usage = v[LLMUX_PEEK_USAGE].kind == LLMUX_JSON_OBJECT;
    if (!base->started && (has_choice || has_usage)) {
        start(d, &v[LLMUX_PEEK_ID], &v[LLMUX_PEEK_MODEL],
              &v[LLMUX_PEEK_CREATED], &v[LLMUX_PEEK_TIER],
              &v[LLMUX_PEEK_FINGERPRINT]);
    }
    if (has_choice) {
        plain_choice(d, v);
    }
    if (has_usage) {
        usage(d, llmux_json_parse_again(
            parser, llmux_json_raw(&v[LLMUX_PEEK_USAGE]), 0, NULL));
    }
    return 1;
}

llmux_decoder_t *llmux_openai_decoder(apr_pool_t *p, const llmux_env_t *env,
                                      llmux_emit_fn emit, void *baton)
{
    static const llmux_usage_t unknown = LLMUX_USAGE_NONE;
    decoder_t *d = apr_pcalloc(p, sizeof(*d));

    llmux_decoder_init(&d->base, p, env, emit, baton);
    d->base.payload = payload;
    d->base.sentinel = finish;
    d->base.whole = whole;
    d->base.finish = finish;
    d->base.peek = peek;
    d->usage = unknown;
    return &d->base;
}
