/* anthropic_decode.c - answers of Messages, whole or in pieces, as events. */

#include <string.h>

#include "anthropic.h"

#define OPEN_MAX    64          /* blocks open at once; the API opens one */
#define CITES_MAX   256         /* citations of one block */
#define CITED_MAX   (1u << 20)  /* bytes that wait for the end of blocks */
#define REASON_MAX  4096        /* why it stopped: a word, a sequence */

#define WHOLE       (-1)        /* index of a block that comes in one piece */

/* A citation that waits for the end of its block. */
typedef struct held_t {
    struct held_t *next;
    llmux_cite_t cite;
} held_t;

typedef struct open_t {
    struct open_t *next;
    apr_int64_t index;          /* the API's */
    int key;
    llmux_event_e kind;         /* of its pieces: TEXT, THINK or ARGS; END:
                                 * a block that is skipped */
    apr_int64_t start;          /* text: code points before it */
    held_t *cites, *last_cite;
    int cite_count;
    llmux_slice_t input;        /* calls: said at the start */
    int pieces;                 /* calls: input came in pieces */
} open_t;

typedef struct anthropic_decoder_t {
    llmux_decoder_t base;
    apr_pool_t *held;           /* what open blocks keep; cleared when none
                                 * is open */
    apr_size_t held_size;
    open_t *open, *spare;
    int open_count;
    int keys;                   /* blocks so far */
    apr_int64_t points;         /* code points of text so far */
    llmux_slice_t id;
    llmux_usage_t usage;
    apr_int64_t output, thinking;   /* output counts thinking too */
    llmux_buf_t *reason, *sequence; /* why it stopped; empty: not yet */
} anthropic_decoder_t;

static void emit(anthropic_decoder_t *d, const llmux_event_t *ev)
{
    llmux_decoder_emit(&d->base, ev);
}

static void fail(anthropic_decoder_t *d, const char *message)
{
    llmux_decoder_fail(&d->base, LLMUX_ERR_BAD_UPSTREAM, message);
}

static llmux_slice_t str(anthropic_decoder_t *d, const llmux_json_t *object,
                         const char *name)
{
    return llmux_json_str(d->base.scratch, llmux_json_get(object, name));
}

/* ---- usage ----------------------------------------------------------- */

/* The API counts thinking in its output; here they are apart. */
static void split_output(anthropic_decoder_t *d)
{
    apr_int64_t thinking = d->thinking > 0 ? d->thinking : 0;

    d->usage.reasoning = d->thinking;
    if (d->output >= 0) {
        d->usage.output = d->output > thinking ? d->output - thinking : 0;
        if (d->thinking > d->output) {
            d->usage.reasoning = d->output;
        }
    }
}

/* Sent twice or more often; each time it is the state so far. */
static void usage(anthropic_decoder_t *d, const llmux_json_t *u)
{
    llmux_event_t ev = { .kind = LLMUX_EV_USAGE };
    const llmux_json_t *creation = llmux_json_get(u, "cache_creation");
    apr_int64_t short_lived = -1, long_lived;

    if (llmux_json_kind(u) != LLMUX_JSON_OBJECT) {
        return;
    }
    llmux_usage_set(&d->usage.input, u, "input_tokens");
    llmux_usage_set(&d->usage.cache_read, u, "cache_read_input_tokens");
    llmux_usage_set(&d->usage.cache_write_1h, creation,
                    "ephemeral_1h_input_tokens");
    llmux_usage_set(&short_lived, creation, "ephemeral_5m_input_tokens");
    if (llmux_json_get(u, "cache_creation_input_tokens")) {
        llmux_usage_set(&d->usage.cache_write, u,
                        "cache_creation_input_tokens");
    }
    else if (short_lived >= 0) {
        long_lived = d->usage.cache_write_1h > 0 ? d->usage.cache_write_1h : 0;
        d->usage.cache_write = short_lived <= APR_INT64_MAX - long_lived
                               ? short_lived + long_lived : APR_INT64_MAX;
    }
    llmux_usage_set(&d->output, u, "output_tokens");
    llmux_usage_set(&d->thinking, llmux_json_get(u, "output_tokens_details"),
                    "thinking_tokens");
    split_output(d);
    ev.usage = &d->usage;
    emit(d, &ev);
}

/* ---- pieces ---------------------------------------------------------- */

static void piece(anthropic_decoder_t *d, const open_t *o, llmux_slice_t text)
{
    llmux_event_t ev = { .kind = o->kind, .key = o->key, .text = text };

    if (!text.len || o->kind == LLMUX_EV_END) {
        return;
    }
    if (o->kind == LLMUX_EV_TEXT) {
        d->points += llmux_slice_points(text);
    }
    emit(d, &ev);
}

static void token(anthropic_decoder_t *d, const open_t *o,
                  llmux_maker_e maker, llmux_slice_t bytes)
{
    llmux_event_t ev = { .kind = LLMUX_EV_TOKEN, .key = o->key };

    if (bytes.len && o->kind == LLMUX_EV_THINK) {
        ev.token.maker = maker;
        ev.token.bytes = bytes;
        emit(d, &ev);
    }
}

/* A copy that lasts until no block is open, absent if there is no room. */
static llmux_slice_t hold(anthropic_decoder_t *d, llmux_slice_t s,
                          apr_size_t max)
{
    static const llmux_slice_t none = { NULL, 0 };

    if (s.len > max || d->held_size > max - s.len) {
        return none;
    }
    d->held_size += s.len;
    return llmux_slice_dup(d->held, s);
}

/* Kept until the end of the block, which is the end of what it supports. */
static void hold_cite(anthropic_decoder_t *d, open_t *o,
                      const llmux_json_t *c)
{
    held_t *h;
    llmux_slice_t url = str(d, c, "url");
    llmux_slice_t title = str(d, c, "title");

    if (o->kind != LLMUX_EV_TEXT || o->cite_count == CITES_MAX
        || llmux_json_kind(c) != LLMUX_JSON_OBJECT) {
        return;
    }
    if (!url.data && llmux_json_is(llmux_json_get(c, "type"),
                                   "search_result_location")) {
        url = str(d, c, "source");
    }
    if (!title.data) {
        title = str(d, c, "document_title");
    }
    h = apr_pcalloc(d->held, sizeof(*h));
    h->cite.url = hold(d, url, CITED_MAX);
    h->cite.title = hold(d, title, CITED_MAX);
    h->cite.quote = hold(d, str(d, c, "cited_text"), CITED_MAX);
    if (o->last_cite) {
        o->last_cite->next = h;
    }
    else {
        o->cites = h;
    }
    o->last_cite = h;
    o->cite_count++;
}

static void release_cites(anthropic_decoder_t *d, open_t *o)
{
    llmux_event_t ev = { .kind = LLMUX_EV_CITE, .key = o->key };
    held_t *h;

    for (h = o->cites; h; h = h->next) {
        h->cite.start = o->start;
        h->cite.end = d->points;
        ev.cite = &h->cite;
        emit(d, &ev);
    }
}

/* ---- blocks ---------------------------------------------------------- */

/* Everything else is the server's own business (its tools and their results,
 * compaction, fallback ...), and no client could do anything with it. */
static const struct {
    const char *type;
    llmux_block_e block;
    llmux_event_e kind;
} types[] = {
    { "text",              LLMUX_BLOCK_TEXT,  LLMUX_EV_TEXT },
    { "thinking",          LLMUX_BLOCK_THINK, LLMUX_EV_THINK },
    { "redacted_thinking", LLMUX_BLOCK_THINK, LLMUX_EV_THINK },
    { "tool_use",          LLMUX_BLOCK_CALL,  LLMUX_EV_ARGS }
};

/* @return a fresh one in the list, or NULL and the answer failed */
static open_t *open_make(anthropic_decoder_t *d)
{
    open_t *o = d->spare, fresh = { 0 };

    if (d->open_count == OPEN_MAX || d->keys == LLMUX_BLOCKS_MAX) {
        fail(d, "The provider's answer has too many blocks.");
        return NULL;
    }
    if (o) {
        d->spare = o->next;
    }
    else {
        o = apr_palloc(d->base.pool, sizeof(*o));
    }
    *o = fresh;
    o->next = d->open;
    o->kind = LLMUX_EV_END;
    d->open = o;
    d->open_count++;
    return o;
}

/* An input that is said at the start, in case no pieces follow. */
static void hold_input(anthropic_decoder_t *d, open_t *o, llmux_slice_t raw)
{
    o->input = hold(d, raw, LLMUX_ARGS_MAX);
    if (!o->input.data) {
        fail(d, "The arguments of the provider's tool call are too long.");
    }
}

/* The arguments in a block; empty for {}, which is what no arguments at all
 * mean too. Seen in the wild: their text in a string. */
static llmux_slice_t input_of(anthropic_decoder_t *d, const llmux_json_t *b)
{
    static const llmux_slice_t none = { NULL, 0 };
    const llmux_json_t *input = llmux_json_get(b, "input");

    if (llmux_json_kind(input) == LLMUX_JSON_STRING) {
        return llmux_json_str(d->base.scratch, input);
    }
    return llmux_json_count(input) ? llmux_json_raw(input) : none;
}

/* What the block says at its start. A whole block lives longer than it is
 * open. */
static void open_with(anthropic_decoder_t *d, open_t *o,
                      const llmux_json_t *b)
{
    const llmux_json_t *cites = llmux_json_get(b, "citations"), *c;
    llmux_slice_t input = input_of(d, b);

    if (o->kind == LLMUX_EV_ARGS) {
        if (o->index == WHOLE) {
            piece(d, o, input);
        }
        else if (input.len) {
            hold_input(d, o, input);
        }
        return;
    }
    piece(d, o, str(d, b, o->kind == LLMUX_EV_TEXT ? "text" : "thinking"));
    token(d, o, LLMUX_MAKER_ANTHROPIC, str(d, b, "signature"));
    token(d, o, LLMUX_MAKER_ANTHROPIC_REDACTED, str(d, b, "data"));
    for (c = llmux_json_first(cites); c; c = llmux_json_next(cites, c)) {
        hold_cite(d, o, c);
    }
}

static open_t *block_start(anthropic_decoder_t *d, apr_int64_t index,
                           const llmux_json_t *b)
{
    llmux_event_t ev = { .kind = LLMUX_EV_BLOCK_START };
    open_t *o = open_make(d);
    apr_size_t i;

    if (!o) {
        return NULL;
    }
    o->index = index;
    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (llmux_json_is(llmux_json_get(b, "type"), types[i].type)) {
            break;
        }
    }
    if (i == sizeof(types) / sizeof(types[0])) {
        return o;
    }
    o->kind = types[i].kind;
    o->key = d->keys++;
    o->start = d->points;
    ev.key = o->key;
    ev.block = types[i].block;
    if (ev.block == LLMUX_BLOCK_CALL) {
        ev.id = str(d, b, "id");
        ev.name = str(d, b, "name");
    }
    emit(d, &ev);
    open_with(d, o, b);
    return o;
}

static void block_stop(anthropic_decoder_t *d, open_t *o)
{
    llmux_event_t ev = { .kind = LLMUX_EV_BLOCK_STOP, .key = o->key };
    open_t **at = &d->open;

    if (o->kind != LLMUX_EV_END) {
        if (!o->pieces) {
            piece(d, o, o->input);
        }
        release_cites(d, o);
        emit(d, &ev);
    }
    while (*at != o) {
        at = &(*at)->next;
    }
    *at = o->next;
    o->next = d->spare;
    d->spare = o;
    d->open_count--;
    if (!d->open) {
        apr_pool_clear(d->held);
        d->held_size = 0;
    }
}

static void stop_all(anthropic_decoder_t *d)
{
    while (d->open) {
        block_stop(d, d->open);
    }
}

static open_t *find(anthropic_decoder_t *d, apr_int64_t index)
{
    open_t *o = d->open;

    while (o && o->index != index) {
        o = o->next;
    }
    return o;
}

static void whole_block(anthropic_decoder_t *d, const llmux_json_t *b)
{
    open_t *o = block_start(d, WHOLE, b);

    if (o) {
        block_stop(d, o);
    }
}

static void whole_content(anthropic_decoder_t *d, const llmux_json_t *message)
{
    const llmux_json_t *content = llmux_json_get(message, "content"), *b;

    if (llmux_json_kind(content) != LLMUX_JSON_ARRAY) {
        return;
    }
    for (b = llmux_json_first(content); b; b = llmux_json_next(content, b)) {
        whole_block(d, b);
    }
}

/* ---- start and end --------------------------------------------------- */

static llmux_slice_t tier_of(llmux_slice_t s)
{
    static const struct { const char *theirs, *ours; } tiers[] = {
        { "standard", "default" }, { "priority", "priority" },
        { "batch",    "flex" }
    };
    apr_size_t i;

    for (i = 0; i < sizeof(tiers) / sizeof(tiers[0]); i++) {
        if (llmux_slice_is(s, tiers[i].theirs)) {
            return llmux_slice(tiers[i].ours);
        }
    }
    return s;
}

static void start(anthropic_decoder_t *d, const llmux_json_t *message)
{
    llmux_event_t ev = { .kind = LLMUX_EV_START };

    ev.id = str(d, message, "id");
    ev.name = str(d, message, "model");
    ev.tier = tier_of(str(d, llmux_json_get(message, "usage"),
                          "service_tier"));
    d->id = llmux_slice_dup(d->base.pool, ev.id);
    emit(d, &ev);
}

/* The last one counts. */
static void keep(llmux_buf_t *to, llmux_slice_t s)
{
    if (s.data) {
        llmux_buf_reset(to);
        llmux_buf_add_slice(to, s);
    }
}

static void reason(anthropic_decoder_t *d, const llmux_json_t *v)
{
    keep(d->reason, str(d, v, "stop_reason"));
    keep(d->sequence, str(d, v, "stop_sequence"));
}

static llmux_finish_e finish_of(llmux_slice_t s)
{
    static const struct { const char *theirs; llmux_finish_e ours; } reasons[]
    = {
        { "end_turn",                      LLMUX_FINISH_STOP },
        { "stop_sequence",                 LLMUX_FINISH_STOP_SEQUENCE },
        { "max_tokens",                    LLMUX_FINISH_LENGTH },
        { "model_context_window_exceeded", LLMUX_FINISH_CONTEXT },
        { "tool_use",                      LLMUX_FINISH_CALLS },
        { "refusal",                       LLMUX_FINISH_REFUSAL },
        { "pause_turn",                    LLMUX_FINISH_PAUSE }
    };
    apr_size_t i;

    for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (llmux_slice_is(s, reasons[i].theirs)) {
            return reasons[i].ours;
        }
    }
    return LLMUX_FINISH_OTHER;
}

/* An answer that does not say why it ended was cut off. */
static void end(anthropic_decoder_t *d)
{
    llmux_event_t ev = { .kind = LLMUX_EV_FINISH };
    llmux_event_t last = { .kind = LLMUX_EV_END };

    if (!d->base.started || !d->reason->len) {
        fail(d, "The provider's answer was truncated.");
        return;
    }
    stop_all(d);
    ev.text = llmux_buf_slice(d->reason);
    ev.finish = finish_of(ev.text);
    if (d->sequence->len) {
        ev.stop = llmux_buf_slice(d->sequence);
    }
    emit(d, &ev);
    emit(d, &last);
}

/* ---- events of a stream ---------------------------------------------- */

/* Seen in the wild: the same start twice, and two answers in one stream. */
static void on_start(anthropic_decoder_t *d, const llmux_json_t *v)
{
    const llmux_json_t *message = llmux_json_get(v, "message");

    if (d->base.started) {
        if (!llmux_slice_equal(d->id, str(d, message, "id"))) {
            fail(d, "The provider began another answer inside this one.");
        }
        return;
    }
    start(d, message);
    whole_content(d, message);
    usage(d, llmux_json_get(message, "usage"));
    reason(d, message);
}

static void on_block_start(anthropic_decoder_t *d, const llmux_json_t *v)
{
    apr_int64_t index = llmux_json_int(llmux_json_get(v, "index"), -1);
    open_t *before = find(d, index);

    if (index < 0) {
        return;
    }
    if (before) {
        block_stop(d, before);
    }
    block_start(d, index, llmux_json_get(v, "content_block"));
}

static void on_delta(anthropic_decoder_t *d, const llmux_json_t *v)
{
    const llmux_json_t *delta = llmux_json_get(v, "delta");
    open_t *o = find(d, llmux_json_int(llmux_json_get(v, "index"), -1));

    if (!o) {
        return;
    }
    switch (o->kind) {
    case LLMUX_EV_TEXT:
        piece(d, o, str(d, delta, "text"));
        hold_cite(d, o, llmux_json_get(delta, "citation"));
        break;
    case LLMUX_EV_THINK:
        piece(d, o, str(d, delta, "thinking"));
        token(d, o, LLMUX_MAKER_ANTHROPIC, str(d, delta, "signature"));
        break;
    case LLMUX_EV_ARGS:
        o->pieces |= str(d, delta, "partial_json").len > 0;
        piece(d, o, str(d, delta, "partial_json"));
        break;
    default:
        break;
    }
}

static void on_block_stop(anthropic_decoder_t *d, const llmux_json_t *v)
{
    open_t *o = find(d, llmux_json_int(llmux_json_get(v, "index"), -1));

    if (o) {
        block_stop(d, o);
    }
}

static void on_message_delta(anthropic_decoder_t *d, const llmux_json_t *v)
{
    reason(d, llmux_json_get(v, "delta"));
    usage(d, llmux_json_get(v, "usage"));
}

static void on_stop(anthropic_decoder_t *d, const llmux_json_t *v)
{
    end(d);
}

static void on_ping(anthropic_decoder_t *d, const llmux_json_t *v)
{
    llmux_event_t ev = { .kind = LLMUX_EV_PING };

    emit(d, &ev);
}

static void on_error(anthropic_decoder_t *d, const llmux_json_t *v)
{
    llmux_event_t ev = { .kind = LLMUX_EV_ERROR };

    ev.error = llmux_anthropic_error_read(d->base.pool, 0, v);
    emit(d, &ev);
}

static const struct {
    const char *type;
    void (*on)(anthropic_decoder_t *d, const llmux_json_t *v);
} handlers[] = {
    { "content_block_delta", on_delta },
    { "message_start",       on_start },
    { "content_block_start", on_block_start },
    { "content_block_stop",  on_block_stop },
    { "message_delta",       on_message_delta },
    { "message_stop",        on_stop },
    { "ping",                on_ping },
    { "error",               on_error }
};

static void payload(llmux_decoder_t *base, llmux_slice_t event_name,
                    const llmux_json_t *v)
{
    anthropic_decoder_t *d = (anthropic_decoder_t *)base;
    llmux_slice_t type = str(d, v, "type");
    apr_size_t i;

    if (!type.data) {
        type = llmux_json_get(v, "error") ? llmux_slice("error") : event_name;
    }
    for (i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        if (llmux_slice_is(type, handlers[i].type)) {
            handlers[i].on(d, v);
            return;
        }
    }
}

/* ---- whole answers --------------------------------------------------- */

static void whole(llmux_decoder_t *base, const llmux_json_t *body)
{
    anthropic_decoder_t *d = (anthropic_decoder_t *)base;

    if (llmux_json_get(body, "error")) {
        on_error(d, body);
        return;
    }
    if (llmux_json_kind(llmux_json_get(body, "content"))
        != LLMUX_JSON_ARRAY) {
        fail(d, "The provider's answer is not a message.");
        return;
    }
    start(d, body);
    whole_content(d, body);
    usage(d, llmux_json_get(body, "usage"));
    reason(d, body);
    end(d);
}

static void finish(llmux_decoder_t *base)
{
    end((anthropic_decoder_t *)base);
}

llmux_decoder_t *llmux_anthropic_decoder(apr_pool_t *p,
                                         const llmux_env_t *env,
                                         llmux_emit_fn emit_fn, void *baton)
{
    static const llmux_usage_t none = LLMUX_USAGE_NONE;
    anthropic_decoder_t *d = apr_pcalloc(p, sizeof(*d));

    llmux_decoder_init(&d->base, p, env, emit_fn, baton);
    d->base.payload = payload;
    d->base.whole = whole;
    d->base.finish = finish;
    apr_pool_create(&d->held, p);
    d->reason = llmux_buf_create(p, REASON_MAX);
    d->sequence = llmux_buf_create(p, REASON_MAX);
    d->usage = none;
    d->output = d->thinking = -1;
    return &d->base;
}
