/* bedrock_decode.c - answers of Converse, whole or in pieces, as events. */

#include "bedrock.h"
#include "blocks.h"

#define STOP_MAX    4096        /* bytes of the sequence that stopped it */

typedef struct decoder_t {
    llmux_decoder_t base;
    llmux_blocks_t blocks;
    int cites;                  /* of the whole answer */
    int calls;
    llmux_usage_t usage;
    llmux_buf_t *reason;        /* why it stopped; empty: not yet */
    llmux_buf_t *sequence;      /* the one that stopped it, if that is said */
} decoder_t;

static void emit(decoder_t *d, const llmux_event_t *ev)
{
    llmux_decoder_emit(&d->base, ev);
}

static void fail(decoder_t *d, const char *message)
{
    llmux_decoder_fail(&d->base, LLMUX_ERR_BAD_UPSTREAM, message);
}

static llmux_slice_t str(decoder_t *d, const llmux_json_t *object,
                         const char *name)
{
    return llmux_json_str(d->base.scratch, llmux_json_get(object, name));
}

/* ---- usage ----------------------------------------------------------- */

/* Counts of the cache stand apart from the input here. */
static void usage(decoder_t *d, const llmux_json_t *u)
{
    llmux_event_t ev = { .kind = LLMUX_EV_USAGE, .usage = &d->usage };
    const llmux_json_t *details = llmux_json_get(u, "cacheDetails"), *each;

    if (llmux_json_kind(u) != LLMUX_JSON_OBJECT) {
        return;
    }
    llmux_usage_set(&d->usage.input, u, "inputTokens");
    llmux_usage_set(&d->usage.output, u, "outputTokens");
    llmux_usage_set(&d->usage.cache_read, u, "cacheReadInputTokenCount");
    llmux_usage_set(&d->usage.cache_read, u, "cacheReadInputTokens");
    llmux_usage_set(&d->usage.cache_write, u, "cacheWriteInputTokenCount");
    llmux_usage_set(&d->usage.cache_write, u, "cacheWriteInputTokens");
    for (each = llmux_json_element(details); each;
         each = llmux_json_next(details, each)) {
        if (llmux_json_is(llmux_json_get(each, "ttl"), "1h")) {
            llmux_usage_set(&d->usage.cache_write_1h, each, "inputTokens");
        }
    }
    emit(d, &ev);
}

/* ---- pieces ---------------------------------------------------------- */

static int is_ascii(llmux_slice_t s)
{
    apr_size_t i;

    for (i = 0; i < s.len; i++) {
        if (s.data[i] < 0x20 || s.data[i] > 0x7e) {
            return 0;
        }
    }
    return s.len != 0;
}

/* Bytes are in base64 here, and Anthropic's are base64 themselves. What is
 * not is of no use to anybody else. */
static void redacted(decoder_t *d, const llmux_open_t *o, llmux_slice_t base64)
{
    llmux_slice_t bytes = llmux_base64_decode(d->base.scratch, base64);

    if (is_ascii(bytes)) {
        llmux_open_token(o, LLMUX_MAKER_ANTHROPIC_REDACTED, bytes);
    }
}

/* ---- citations ------------------------------------------------------- */

static llmux_slice_t address(decoder_t *d, const llmux_json_t *c)
{
    static const llmux_slice_t none = { NULL, 0 };
    llmux_slice_t source = str(d, c, "source");
    llmux_slice_t url = str(d, llmux_json_get(llmux_json_get(c, "location"),
                                              "web"), "url");

    if (url.len) {
        return url;
    }
    return llmux_slice_starts(source, "http") ? source : none;
}

static void cite(decoder_t *d, llmux_open_t *o, const llmux_json_t *c)
{
    const llmux_json_t *quotes = llmux_json_get(c, "sourceContent");
    llmux_cite_t found = { .url = { NULL, 0 } };

    if (o->kind != LLMUX_EV_TEXT || d->cites == LLMUX_CITES_MAX
        || llmux_json_kind(c) != LLMUX_JSON_OBJECT) {
        return;
    }
    d->cites++;
    found.url = address(d, c);
    found.title = str(d, c, "title");
    found.quote = str(d, llmux_json_at(quotes, 0), "text");
    llmux_open_cite(o, &found);
}

/* ---- blocks ---------------------------------------------------------- */

/* The block of this index for pieces of this kind. Texts and thoughts begin
 * without a word; NULL if the answer failed. */
static llmux_open_t *block_for(decoder_t *d, apr_int64_t index,
                               llmux_event_e kind)
{
    llmux_event_t ev = { .block = kind == LLMUX_EV_TEXT ? LLMUX_BLOCK_TEXT
                                                        : LLMUX_BLOCK_THINK };
    llmux_open_t *o = llmux_blocks_find(&d->blocks, index);

    if (o && (o->kind == kind || o->kind == LLMUX_EV_END)) {
        return o;
    }
    if (o) {
        llmux_open_stop(o);
    }
    return llmux_blocks_begin(&d->blocks, index, kind, &ev);
}

/* A call: of a tool of the client's, of ours that is the answer itself, or of
 * the service's own, which is no business of the client's. */
static llmux_open_t *call_start(decoder_t *d, apr_int64_t index,
                                const llmux_json_t *v)
{
    llmux_event_t ev = { .block = LLMUX_BLOCK_CALL };

    if (llmux_json_is(llmux_json_get(v, "type"), "server_tool_use")) {
        return llmux_blocks_skip(&d->blocks, index);
    }
    ev.id = str(d, v, "toolUseId");
    ev.name = str(d, v, "name");
    if (llmux_slice_is(ev.name, LLMUX_BEDROCK_ANSWER_TOOL)) {
        llmux_event_t text = { .block = LLMUX_BLOCK_TEXT };

        return llmux_blocks_begin(&d->blocks, index, LLMUX_EV_TEXT, &text);
    }
    if (!ev.id.len) {
        ev.id = llmux_slice(llmux_random_id(d->base.env, d->base.scratch,
                                            "call_"));
    }
    d->calls++;
    return llmux_blocks_begin(&d->blocks, index, LLMUX_EV_ARGS, &ev);
}

/* ---- media ----------------------------------------------------------- */

static const struct { const char *format, *type; } formats[] = {
    { "png", "image/png" }, { "jpeg", "image/jpeg" }, { "gif", "image/gif" },
    { "webp", "image/webp" }
};

static llmux_open_t *image_start(decoder_t *d, apr_int64_t index,
                                 const llmux_json_t *v)
{
    llmux_event_t ev = { .block = LLMUX_BLOCK_MEDIA };
    llmux_open_t *o = llmux_blocks_begin(&d->blocks, index, LLMUX_EV_MEDIA,
                                         &ev);
    apr_size_t i;

    for (i = 0; o && i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (llmux_json_is(llmux_json_get(v, "format"), formats[i].format)) {
            o->type = formats[i].type;
        }
    }
    return o;
}

static void image(decoder_t *d, const llmux_open_t *o, const llmux_json_t *v)
{
    llmux_event_t ev = { .kind = LLMUX_EV_MEDIA, .key = o->key };
    const char *type = o->type;

    ev.text = str(d, llmux_json_get(v, "source"), "bytes");
    if (!type) {
        type = llmux_media_sniff(ev.text);
    }
    if (o->kind == LLMUX_EV_MEDIA && ev.text.len && type) {
        ev.name = llmux_slice(type);
        emit(d, &ev);
    }
}

/* ---- start and end --------------------------------------------------- */

static llmux_slice_t tier_of(decoder_t *d, const llmux_json_t *v)
{
    llmux_slice_t tier = str(d, llmux_json_get(v, "serviceTier"), "type");

    return llmux_slice_is(tier, "reserved") ? llmux_slice("scale") : tier;
}

/* The last one counts. What is too long is nothing that we know. */
static void keep(llmux_buf_t *to, llmux_slice_t s, const char *instead)
{
    if (s.len) {
        llmux_buf_reset(to);
        llmux_buf_add_slice(to, s.len > to->max ? llmux_slice(instead) : s);
    }
}

/* Which sequence it was is said by the models that were asked for it, and in
 * streams one level deeper. */
static void reason(decoder_t *d, const llmux_json_t *v)
{
    const llmux_json_t *more = llmux_json_get(v,
                                              "additionalModelResponseFields");

    keep(d->reason, str(d, v, "stopReason"), "unknown");
    keep(d->sequence, str(d, more, "stop_sequence"), "");
    keep(d->sequence, str(d, llmux_json_get(more, "delta"), "stop_sequence"),
         "");
}

static llmux_finish_e finish_of(llmux_slice_t s)
{
    static const struct { const char *theirs; llmux_finish_e ours; } reasons[]
    = {
        { "end_turn",                      LLMUX_FINISH_STOP },
        { "tool_use",                      LLMUX_FINISH_CALLS },
        { "max_tokens",                    LLMUX_FINISH_LENGTH },
        { "stop_sequence",                 LLMUX_FINISH_STOP_SEQUENCE },
        { "guardrail_intervened",          LLMUX_FINISH_FILTER },
        { "content_filtered",              LLMUX_FINISH_FILTER },
        { "malformed_model_output",        LLMUX_FINISH_MALFORMED },
        { "malformed_tool_use",            LLMUX_FINISH_MALFORMED },
        { "model_context_window_exceeded", LLMUX_FINISH_CONTEXT }
    };
    apr_size_t i;

    for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (llmux_slice_is(s, reasons[i].theirs)) {
            return reasons[i].ours;
        }
    }
    return LLMUX_FINISH_OTHER;
}

/* Calls are why it stopped even if it says otherwise; and where the only call
 * was the answer itself, it just stopped. */
static llmux_finish_e settle(const decoder_t *d, llmux_finish_e finish)
{
    if (finish == LLMUX_FINISH_CALLS && !d->calls) {
        return LLMUX_FINISH_STOP;
    }
    return d->calls && (finish == LLMUX_FINISH_STOP
                        || finish == LLMUX_FINISH_OTHER)
           ? LLMUX_FINISH_CALLS : finish;
}

/* An answer that does not say why it ended was cut off. */
static void end(decoder_t *d)
{
    llmux_event_t ev = { .kind = LLMUX_EV_FINISH };
    llmux_event_t last = { .kind = LLMUX_EV_END };

    if (!d->base.started || !d->reason->len) {
        fail(d, "The provider's answer was truncated.");
        return;
    }
    llmux_blocks_stop_all(&d->blocks);
    ev.text = llmux_buf_slice(d->reason);
    ev.finish = settle(d, finish_of(ev.text));
    if (ev.finish == LLMUX_FINISH_STOP_SEQUENCE && d->sequence->len) {
        ev.stop = llmux_buf_slice(d->sequence);
    }
    emit(d, &ev);
    emit(d, &last);
}

/* ---- events of a stream ---------------------------------------------- */

static apr_int64_t index_of(const llmux_json_t *v)
{
    return llmux_json_int(llmux_json_get(v, "contentBlockIndex"), 0);
}

static void on_start(decoder_t *d, const llmux_json_t *v)
{
    llmux_event_t ev = { .kind = LLMUX_EV_START };

    if (d->base.started) {
        fail(d, "The provider began another answer inside this one.");
        return;
    }
    ev.tier = tier_of(d, v);
    emit(d, &ev);
}

static void on_block_start(decoder_t *d, const llmux_json_t *v)
{
    const llmux_json_t *what = llmux_json_get(v, "start");
    const llmux_json_t *call = llmux_json_get(what, "toolUse");
    const llmux_json_t *picture = llmux_json_get(what, "image");
    llmux_open_t *o = llmux_blocks_find(&d->blocks, index_of(v));

    if (o) {
        llmux_open_stop(o);
    }
    if (call) {
        call_start(d, index_of(v), call);
    }
    else if (picture) {
        image_start(d, index_of(v), picture);
    }
    else if (llmux_json_get(what, "toolResult")) {
        /* the service's own tool */
        llmux_blocks_skip(&d->blocks, index_of(v));
    }
}

static void more_thinking(decoder_t *d, apr_int64_t index,
                          const llmux_json_t *v)
{
    llmux_open_t *o = block_for(d, index, LLMUX_EV_THINK);

    if (o && o->kind == LLMUX_EV_THINK) {
        llmux_open_piece(o, str(d, v, "text"));
        llmux_open_sign(o, str(d, v, "signature"));
        redacted(d, o, str(d, v, "redactedContent"));
    }
}

static void more_text(decoder_t *d, apr_int64_t index, const llmux_json_t *v)
{
    llmux_slice_t text = llmux_json_str(d->base.scratch, v);
    llmux_open_t *o = text.len ? block_for(d, index, LLMUX_EV_TEXT) : NULL;

    if (o) {
        llmux_open_piece(o, text);
    }
}

static void more_input(decoder_t *d, apr_int64_t index, const llmux_json_t *v)
{
    llmux_open_t *o = llmux_blocks_find(&d->blocks, index);

    if (!o) {
        fail(d, "The provider's answer has arguments of no call.");
        return;
    }
    if (o->kind == LLMUX_EV_ARGS || o->kind == LLMUX_EV_TEXT) {
        llmux_open_piece(o, str(d, v, "input"));
    }
}

static void on_delta(decoder_t *d, const llmux_json_t *v)
{
    const llmux_json_t *delta = llmux_json_get(v, "delta");
    const llmux_json_t *text = llmux_json_get(delta, "text");
    const llmux_json_t *thinking = llmux_json_get(delta, "reasoningContent");
    const llmux_json_t *input = llmux_json_get(delta, "toolUse");
    const llmux_json_t *source = llmux_json_get(delta, "citation");
    const llmux_json_t *picture = llmux_json_get(delta, "image");
    apr_int64_t index = index_of(v);
    llmux_open_t *o;

    if (thinking) {
        more_thinking(d, index, thinking);
    }
    if (text) {
        more_text(d, index, text);
    }
    if (input) {
        more_input(d, index, input);
    }
    o = source ? block_for(d, index, LLMUX_EV_TEXT) : NULL;
    if (o) {
        cite(d, o, source);
    }
    o = picture ? llmux_blocks_find(&d->blocks, index) : NULL;
    if (picture && !o) {
        o = image_start(d, index, picture);
    }
    if (o) {
        image(d, o, picture);
    }
}

static void on_block_stop(decoder_t *d, const llmux_json_t *v)
{
    llmux_open_t *o = llmux_blocks_find(&d->blocks, index_of(v));

    if (o) {
        llmux_open_stop(o);
    }
}

static void on_stop(decoder_t *d, const llmux_json_t *v)
{
    reason(d, v);
}

/* Before the end of the message or after it: all is over when the bytes
 * are. */
static void on_metadata(decoder_t *d, const llmux_json_t *v)
{
    usage(d, llmux_json_get(v, "usage"));
}

static const struct {
    const char *name;
    void (*on)(decoder_t *d, const llmux_json_t *v);
} handlers[] = {
    { "contentBlockDelta", on_delta },
    { "contentBlockStart", on_block_start },
    { "contentBlockStop",  on_block_stop },
    { "messageStart",      on_start },
    { "messageStop",       on_stop },
    { "metadata",          on_metadata }
};

static void on_payload(llmux_decoder_t *base, llmux_slice_t event_name,
                       const llmux_json_t *v)
{
    decoder_t *d = (decoder_t *)base;
    apr_size_t i;

    for (i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        if (llmux_slice_is(event_name, handlers[i].name)) {
            handlers[i].on(d, v);
            return;
        }
    }
}

/* ---- whole answers --------------------------------------------------- */

/* Blocks that come whole are open for a moment only. */
static void whole_text(decoder_t *d, llmux_slice_t text,
                       const llmux_json_t *cites)
{
    llmux_open_t *o = block_for(d, 0, LLMUX_EV_TEXT);
    const llmux_json_t *c;

    if (!o) {
        return;
    }
    llmux_open_piece(o, text);
    for (c = llmux_json_element(cites); c; c = llmux_json_next(cites, c)) {
        cite(d, o, c);
    }
    llmux_open_stop(o);
}

/* One text, and what supports it. */
static void whole_cited(decoder_t *d, const llmux_json_t *v)
{
    const llmux_json_t *list = llmux_json_get(v, "content"), *each;
    llmux_buf_t *text = llmux_buf_create(d->base.scratch, LLMUX_ANSWER_MAX);

    for (each = llmux_json_element(list); each;
         each = llmux_json_next(list, each)) {
        llmux_buf_add_slice(text, str(d, each, "text"));
    }
    whole_text(d, llmux_buf_slice(text), llmux_json_get(v, "citations"));
}

static void whole_thinking(decoder_t *d, const llmux_json_t *v)
{
    const llmux_json_t *said = llmux_json_get(v, "reasoningText");
    llmux_open_t *o = block_for(d, 0, LLMUX_EV_THINK);

    if (o) {
        llmux_open_piece(o, str(d, said, "text"));
        llmux_open_token(o, LLMUX_MAKER_ANTHROPIC, str(d, said, "signature"));
        redacted(d, o, str(d, v, "redactedContent"));
        llmux_open_stop(o);
    }
}

static void whole_call(decoder_t *d, const llmux_json_t *v)
{
    const llmux_json_t *input = llmux_json_get(v, "input");
    llmux_open_t *o = call_start(d, 0, v);

    if (!o) {
        return;
    }
    if (llmux_json_count(input) || o->kind == LLMUX_EV_TEXT) {
        llmux_open_piece(o, llmux_json_raw(input));
    }
    llmux_open_stop(o);
}

static void whole_image(decoder_t *d, const llmux_json_t *v)
{
    llmux_open_t *o = image_start(d, 0, v);

    if (o) {
        image(d, o, v);
        llmux_open_stop(o);
    }
}

static void whole_block(decoder_t *d, const llmux_json_t *b)
{
    const llmux_json_t *text = llmux_json_get(b, "text");
    const llmux_json_t *cited = llmux_json_get(b, "citationsContent");
    const llmux_json_t *thinking = llmux_json_get(b, "reasoningContent");
    const llmux_json_t *call = llmux_json_get(b, "toolUse");
    const llmux_json_t *picture = llmux_json_get(b, "image");

    if (text) {
        whole_text(d, llmux_json_str(d->base.scratch, text), NULL);
    }
    else if (cited) {
        whole_cited(d, cited);
    }
    else if (thinking) {
        whole_thinking(d, thinking);
    }
    else if (call) {
        whole_call(d, call);
    }
    else if (picture) {
        whole_image(d, picture);
    }
}

static void on_whole(llmux_decoder_t *base, const llmux_json_t *body)
{
    decoder_t *d = (decoder_t *)base;
    const llmux_json_t *message = llmux_json_get(
        llmux_json_get(body, "output"), "message");
    const llmux_json_t *content = llmux_json_get(message, "content"), *b;
    llmux_event_t ev = { .kind = LLMUX_EV_START };

    if (llmux_json_kind(message) != LLMUX_JSON_OBJECT) {
        ev.kind = LLMUX_EV_ERROR;
        ev.error = llmux_bedrock_error_read(d->base.pool, 0, body);
        emit(d, &ev);
        return;
    }
    ev.tier = tier_of(d, body);
    emit(d, &ev);
    for (b = llmux_json_element(content); b; b = llmux_json_next(content, b)) {
        whole_block(d, b);
    }
    usage(d, llmux_json_get(body, "usage"));
    reason(d, body);
    end(d);
}

static void on_end(llmux_decoder_t *base)
{
    end((decoder_t *)base);
}

llmux_decoder_t *llmux_bedrock_decoder(apr_pool_t *p, const llmux_env_t *env,
                                       llmux_emit_fn emit_to, void *baton)
{
    static const llmux_usage_t none = LLMUX_USAGE_NONE;
    decoder_t *d = apr_pcalloc(p, sizeof(*d));

    llmux_decoder_init(&d->base, p, env, emit_to, baton);
    llmux_blocks_init(&d->blocks, &d->base);
    d->base.payload = on_payload;
    d->base.whole = on_whole;
    d->base.finish = on_end;
    d->usage = none;
    d->reason = llmux_buf_create(p, LLMUX_FINISH_WORD_MAX);
    d->sequence = llmux_buf_create(p, STOP_MAX);
    return &d->base;
}
