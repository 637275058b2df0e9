/* anthropic_decode.c - answers of Messages, whole or in pieces, as events. */

#include "anthropic.h"
#include "blocks.h"

#define CITES_MAX   256         /* citations of one block */
#define REASON_MAX  4096        /* why it stopped: a word, a sequence */

#define WHOLE       (-1)        /* index of a block that comes in one piece */

typedef struct anthropic_decoder_t {
    llmux_decoder_t base;
    llmux_blocks_t blocks;
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

/* ---- blocks ---------------------------------------------------------- */

static void cite(anthropic_decoder_t *d, llmux_open_t *o,
                 const llmux_json_t *c)
{
    llmux_cite_t found = { .url = str(d, c, "url") };

    if (o->kind != LLMUX_EV_TEXT || o->cite_count == CITES_MAX
        || llmux_json_kind(c) != LLMUX_JSON_OBJECT) {
        return;
    }
    if (!found.url.data && llmux_json_is(llmux_json_get(c, "type"),
                                         "search_result_location")) {
        found.url = str(d, c, "source");
    }
    found.title = str(d, c, "title");
    if (!found.title.data) {
        found.title = str(d, c, "document_title");
    }
    found.quote = str(d, c, "cited_text");
    llmux_open_cite(o, &found);
}

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
static void open_with(anthropic_decoder_t *d, llmux_open_t *o,
                      const llmux_json_t *b)
{
    const llmux_json_t *cites = llmux_json_get(b, "citations"), *c;
    llmux_slice_t input = input_of(d, b);

    if (o->kind == LLMUX_EV_ARGS) {
        if (o->index == WHOLE) {
            llmux_open_piece(o, input);
        }
        else if (input.len) {
            llmux_open_input(o, input);
        }
        return;
    }
    llmux_open_piece(o, str(d, b, o->kind == LLMUX_EV_TEXT ? "text"
                                                           : "thinking"));
    llmux_open_token(o, LLMUX_MAKER_ANTHROPIC, str(d, b, "signature"));
    llmux_open_token(o, LLMUX_MAKER_ANTHROPIC_REDACTED, str(d, b, "data"));
    for (c = llmux_json_first(cites); c; c = llmux_json_next(cites, c)) {
        cite(d, o, c);
    }
}

static llmux_open_t *block_start(anthropic_decoder_t *d, apr_int64_t index,
                                 const llmux_json_t *b)
{
    llmux_event_t ev = { .block = LLMUX_BLOCK_TEXT };
    llmux_open_t *o;
    apr_size_t i;

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (llmux_json_is(llmux_json_get(b, "type"), types[i].type)) {
            break;
        }
    }
    if (i == sizeof(types) / sizeof(types[0])) {
        return llmux_blocks_skip(&d->blocks, index);
    }
    ev.block = types[i].block;
    if (ev.block == LLMUX_BLOCK_CALL) {
        ev.id = str(d, b, "id");
        ev.name = str(d, b, "name");
    }
    o = llmux_blocks_begin(&d->blocks, index, types[i].kind, &ev);
    if (o) {
        open_with(d, o, b);
    }
    return o;
}

static void whole_block(anthropic_decoder_t *d, const llmux_json_t *b)
{
    llmux_open_t *o = block_start(d, WHOLE, b);

    if (o) {
        llmux_open_stop(o);
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
    llmux_blocks_stop_all(&d->blocks);
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

static apr_int64_t index_of(const llmux_json_t *v)
{
    return llmux_json_int(llmux_json_get(v, "index"), -1);
}

static void on_block_start(anthropic_decoder_t *d, const llmux_json_t *v)
{
    apr_int64_t index = index_of(v);
    llmux_open_t *before = llmux_blocks_find(&d->blocks, index);

    if (index < 0) {
        return;
    }
    if (before) {
        llmux_open_stop(before);
    }
    block_start(d, index, llmux_json_get(v, "content_block"));
}

static void on_delta(anthropic_decoder_t *d, const llmux_json_t *v)
{
    const llmux_json_t *delta = llmux_json_get(v, "delta");
    llmux_open_t *o = llmux_blocks_find(&d->blocks, index_of(v));

    if (!o) {
        return;
    }
    switch (o->kind) {
    case LLMUX_EV_TEXT:
        llmux_open_piece(o, str(d, delta, "text"));
        cite(d, o, llmux_json_get(delta, "citation"));
        break;
    case LLMUX_EV_THINK:
        llmux_open_piece(o, str(d, delta, "thinking"));
        llmux_open_token(o, LLMUX_MAKER_ANTHROPIC, str(d, delta, "signature"));
        break;
    case LLMUX_EV_ARGS:
        o->pieces |= str(d, delta, "partial_json").len > 0;
        llmux_open_piece(o, str(d, delta, "partial_json"));
        break;
    default:
        break;
    }
}

static void on_block_stop(anthropic_decoder_t *d, const llmux_json_t *v)
{
    llmux_open_t *o = llmux_blocks_find(&d->blocks, index_of(v));

    if (o) {
        llmux_open_stop(o);
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
    llmux_slice_t type = llmux_decoder_event_type(base, event_name, v);
    apr_size_t i;

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
    llmux_blocks_init(&d->blocks, &d->base);
    d->base.payload = payload;
    d->base.whole = whole;
    d->base.finish = finish;
    d->reason = llmux_buf_create(p, REASON_MAX);
    d->sequence = llmux_buf_create(p, REASON_MAX);
    d->usage = none;
    d->output = d->thinking = -1;
    return &d->base;
}
