/* completions_decode.c - answers of legacy completions, whole and streamed,
 * become events. */

#include <string.h>

#include "completions.h"
#include "openai_answer.h"

typedef struct choice_t {
    int index;
    int key;                /* of its one block of text */
    int open;               /* ... which was begun */
    int finished;
    llmux_finish_e finish;
    char reason[LLMUX_FINISH_WORD_MAX + 1];     /* the provider's word */
    llmux_slice_t stop;     /* the sequence that it met */
} choice_t;

typedef struct decoder_t {
    llmux_decoder_t base;
    choice_t **choices;     /* by index, with gaps */
    int places, room;
    int keys;               /* of blocks so far */
    int is_whole;
    apr_size_t held;        /* bytes kept, of LLMUX_ARGS_MAX */
    llmux_usage_t usage;
} decoder_t;

static void bad(decoder_t *d, const char *message)
{
    llmux_decoder_fail(&d->base, LLMUX_ERR_BAD_UPSTREAM, message);
}

/* Of the payload; absent unless it says something. */
static llmux_slice_t str(decoder_t *d, const llmux_json_t *v)
{
    llmux_slice_t s = llmux_json_str(d->base.scratch, v);

    return s.len ? s : llmux_slice(NULL);
}

/* ---- choices --------------------------------------------------------- */

/* Nearly always there is one. */
static int make_room(decoder_t *d, int places)
{
    int room = d->room ? d->room : 1;
    choice_t **more;

    if (places > LLMUX_CHOICES_MAX) {
        return 0;
    }
    while (room < places) {
        room *= 2;
    }
    if (room > d->room) {
        more = apr_pcalloc(d->base.pool, (apr_size_t)room * sizeof(*more));
        if (d->room) {
            memcpy(more, d->choices, (apr_size_t)d->room * sizeof(*more));
        }
        d->choices = more;
        d->room = room;
    }
    return 1;
}

static choice_t *find_choice(decoder_t *d, const llmux_json_t *index, int n)
{
    apr_int64_t i = llmux_json_int(index, n);

    if (i < 0 || i >= LLMUX_CHOICES_MAX || !make_room(d, (int)i + 1)) {
        bad(d, "The provider's answer has an impossible choice.");
        return NULL;
    }
    if (!d->choices[i]) {
        d->choices[i] = apr_pcalloc(d->base.pool, sizeof(choice_t));
        d->choices[i]->index = (int)i;
        d->places = i < d->places ? d->places : (int)i + 1;
    }
    return d->choices[i];
}

static void text(decoder_t *d, choice_t *c, llmux_slice_t s)
{
    llmux_event_t ev = { .kind = LLMUX_EV_BLOCK_START, .cand = c->index,
                         .block = LLMUX_BLOCK_TEXT };

    if (!s.data) {
        return;
    }
    if (!c->open) {
        c->open = 1;
        ev.key = c->key = d->keys++;
        llmux_decoder_emit(&d->base, &ev);
    }
    ev.kind = LLMUX_EV_TEXT;
    ev.key = c->key;
    ev.text = s;
    llmux_decoder_emit(&d->base, &ev);
}

static void logprobs(decoder_t *d, const choice_t *c, const llmux_json_t *v)
{
    llmux_event_t ev = { .kind = LLMUX_EV_LOGPROBS, .cand = c->index };

    ev.text = llmux_completions_logprobs_read(d->base.scratch, v);
    if (ev.text.data) {
        llmux_decoder_emit(&d->base, &ev);
    }
}

/* ---- how they end ---------------------------------------------------- */

static const struct { const char *theirs; llmux_finish_e ours; } finishes[] = {
    { "stop",           LLMUX_FINISH_STOP },
    { "eos",            LLMUX_FINISH_STOP },
    { "eos_token",      LLMUX_FINISH_STOP },
    { "stop_sequence",  LLMUX_FINISH_STOP_SEQUENCE },
    { "length",         LLMUX_FINISH_LENGTH },
    { "max_tokens",     LLMUX_FINISH_LENGTH },
    { "model_length",   LLMUX_FINISH_CONTEXT },
    { "content_filter", LLMUX_FINISH_FILTER },
    { "safety",         LLMUX_FINISH_FILTER }
};

/* The answer broke off, whatever the server calls it. */
static const char *const failures[] = {
    "error", "abort", "network_error", NULL
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
    int i = 0;

    while (failures[i] && !llmux_slice_is(reason, failures[i])) {
        i++;
    }
    return failures[i] != NULL;
}

/* vLLM tells in `stop_reason` which sequence it was; others repeat the finish
 * reason there. The first one is kept. */
static void keep_stop(decoder_t *d, choice_t *c, llmux_slice_t stop)
{
    if (!stop.data || c->stop.data || finish_of(stop) != LLMUX_FINISH_OTHER) {
        return;
    }
    if (stop.len > LLMUX_ARGS_MAX - d->held) {
        bad(d, "The provider's answer has stop sequences that are too long.");
        return;
    }
    d->held += stop.len;
    c->stop = llmux_slice_dup(d->base.pool, stop);
}

static void keep_reason(choice_t *c, llmux_slice_t reason)
{
    apr_size_t n = reason.len;

    if (n > LLMUX_FINISH_WORD_MAX) {
        n = LLMUX_FINISH_WORD_MAX;
        while (n && ((unsigned char)reason.data[n] & 0xc0) == 0x80) {
            n--;
        }
    }
    memcpy(c->reason, reason.data, n);
    c->reason[n] = '\0';
}

/* Only noted, and said when all is over: there are servers that report a
 * finish with each chunk. The last one holds. */
static void note_finish(decoder_t *d, choice_t *c, const llmux_json_t *v)
{
    llmux_slice_t reason = str(d, llmux_json_get(v, "finish_reason"));

    if (!reason.data || llmux_slice_is(reason, "null")) {
        return;
    }
    if (is_failure(reason)) {
        bad(d, "The provider broke its answer off.");
        return;
    }
    c->finish = finish_of(reason);
    c->finished = 1;
    keep_reason(c, reason);
    keep_stop(d, c, str(d, llmux_json_get(v, "stop_reason")));
}

static void emit_finish(decoder_t *d, choice_t *c)
{
    llmux_event_t ev = { .kind = LLMUX_EV_BLOCK_STOP, .cand = c->index,
                         .key = c->key };

    if (c->open) {
        c->open = 0;
        llmux_decoder_emit(&d->base, &ev);
    }
    ev.kind = LLMUX_EV_FINISH;
    ev.key = 0;
    ev.finish = !c->finished ? LLMUX_FINISH_OTHER
        : c->finish == LLMUX_FINISH_STOP && c->stop.data
              ? LLMUX_FINISH_STOP_SEQUENCE : c->finish;
    ev.text = llmux_slice(*c->reason ? c->reason : NULL);
    ev.stop = c->stop;
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
    for (i = 0; i < d->places; i++) {
        if (d->choices[i]) {
            emit_finish(d, d->choices[i]);
        }
    }
    llmux_decoder_emit(base, &end);
}

/* ---- payloads -------------------------------------------------------- */

static void start(decoder_t *d, const llmux_json_t *body)
{
    llmux_event_t ev = { .kind = LLMUX_EV_START };

    ev.id = str(d, llmux_json_get(body, "id"));
    ev.name = str(d, llmux_json_get(body, "model"));
    ev.created = llmux_json_int(llmux_json_get(body, "created"), 0);
    ev.fingerprint = str(d, llmux_json_get(body, "system_fingerprint"));
    llmux_decoder_emit(&d->base, &ev);
}

static void choice(decoder_t *d, const llmux_json_t *v, int n)
{
    choice_t *c = find_choice(d, llmux_json_get(v, "index"), n);

    if (!c) {
        return;
    }
    if (llmux_json_get(v, "error")) {
        llmux_openai_error_emit(&d->base, v);
        return;
    }
    text(d, c, str(d, llmux_json_get(v, "text")));
    logprobs(d, c, llmux_json_get(v, "logprobs"));
    note_finish(d, c, v);
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
        start(d, body);
    }
    for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
        choice(d, v, n++);
    }
    llmux_openai_usage_emit(base, &d->usage, llmux_json_get(body, "usage"));
}

static void whole(llmux_decoder_t *base, const llmux_json_t *body)
{
    decoder_t *d = (decoder_t *)base;

    d->is_whole = 1;
    payload(base, llmux_slice(NULL), body);
}

llmux_decoder_t *llmux_completions_decoder(apr_pool_t *p,
                                           const llmux_env_t *env,
                                           llmux_emit_fn emit, void *baton)
{
    static const llmux_usage_t unknown = LLMUX_USAGE_NONE;
    decoder_t *d = apr_pcalloc(p, sizeof(*d));

    llmux_decoder_init(&d->base, p, env, emit, baton);
    d->base.payload = payload;
    d->base.whole = whole;
    d->base.finish = finish;
    d->usage = unknown;
    return &d->base;
}
