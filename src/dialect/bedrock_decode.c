/* bedrock_decode.c - answers of Converse, whole or in pieces, as events. */

#include <string.h>

#include "bedrock.h"

#define OPEN_MAX    64          /* blocks open at once; the API opens one */
#define STOP_MAX    4096        /* bytes of the sequence that stopped it */

/* A citation that waits for the end of its block. */
typedef struct held_t {
    struct held_t *next;
    llmux_cite_t cite;
} held_t;

typedef struct open_t {
    struct open_t *next;
    apr_int64_t index;          /* the API's */
    int key;
    llmux_event_e kind;         /* of its pieces: TEXT, THINK, ARGS, MEDIA;
                                 * END: a block that is skipped */
    apr_int64_t start;          /* text: code points before it */
    held_t *cites, *last_cite;
    llmux_buf_t *token;         /* thinking: its signature so far, or NULL */
    const char *type;           /* media: their type */
} open_t;

typedef struct decoder_t {
    llmux_decoder_t base;
    apr_pool_t *held;           /* what open blocks keep; cleared when none
                                 * is open */
    apr_size_t held_size;
    int cites;                  /* of the whole answer */
    open_t *open, *spare;
    int open_count;
    int keys;                   /* blocks so far */
    int calls;
    apr_int64_t points;         /* code points of text so far */
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

static void piece(decoder_t *d, const open_t *o, llmux_slice_t text)
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

static void token(decoder_t *d, const open_t *o, llmux_maker_e maker,
                  llmux_slice_t bytes)
{
    llmux_event_t ev = { .kind = LLMUX_EV_TOKEN, .key = o->key };

    if (bytes.len) {
        ev.token.maker = maker;
        ev.token.bytes = bytes;
        emit(d, &ev);
    }
}

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
static void redacted(decoder_t *d, const open_t *o, llmux_slice_t base64)
{
    llmux_slice_t bytes = llmux_base64_decode(d->base.scratch, base64);

    if (is_ascii(bytes)) {
        token(d, o, LLMUX_MAKER_ANTHROPIC_REDACTED, bytes);
    }
}

/* Nothing says that a signature comes in one piece. */
static void sign(decoder_t *d, open_t *o, llmux_slice_t more)
{
    if (!more.len) {
        return;
    }
    if (d->held_size + more.len > LLMUX_TOKEN_MAX) {
        fail(d, "A signature in the provider's answer is too long.");
        return;
    }
    if (!o->token) {
        o->token = llmux_buf_create(d->held, LLMUX_TOKEN_MAX);
    }
    llmux_buf_add_slice(o->token, more);
    d->held_size += more.len;
}

/* ---- citations ------------------------------------------------------- */

/* A copy that lasts until no block is open, absent if there is no room. */
static llmux_slice_t hold(decoder_t *d, llmux_slice_t s)
{
    static const llmux_slice_t none = { NULL, 0 };

    if (d->held_size + s.len > LLMUX_CITED_TEXT_MAX) {
        return none;
    }
    d->held_size += s.len;
    return llmux_slice_dup(d->held, s);
}

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

/* Kept until the end of the block, which is the end of what it supports. */
static void hold_cite(decoder_t *d, open_t *o, const llmux_json_t *c)
{
    const llmux_json_t *quotes = llmux_json_get(c, "sourceContent");
    held_t *h;

    if (o->kind != LLMUX_EV_TEXT || d->cites == LLMUX_CITES_MAX
        || llmux_json_kind(c) != LLMUX_JSON_OBJECT) {
        return;
    }
    d->cites++;
    h = apr_pcalloc(d->held, sizeof(*h));
    h->cite.url = hold(d, address(d, c));
    h->cite.title = hold(d, str(d, c, "title"));
    h->cite.quote = hold(d, str(d, llmux_json_at(quotes, 0), "text"));
    if (o->last_cite) {
        o->last_cite->next = h;
    }
    else {
        o->cites = h;
    }
    o->last_cite = h;
}

static void release_cites(decoder_t *d, open_t *o)
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

/* @return a fresh one in the list, or NULL and the answer failed */
static open_t *open_make(decoder_t *d, apr_int64_t index)
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
    o->index = index;
    o->kind = LLMUX_EV_END;
    d->open = o;
    d->open_count++;
    return o;
}

/* @param ev its block, and what there is to say of a call */
static open_t *begin(decoder_t *d, apr_int64_t index, llmux_event_e kind,
                     llmux_event_t *ev)
{
    open_t *o = open_make(d, index);

    if (!o) {
        return NULL;
    }
    o->kind = kind;
    o->key = d->keys++;
    o->start = d->points;
    ev->kind = LLMUX_EV_BLOCK_START;
    ev->key = o->key;
    emit(d, ev);
    return o;
}

static void stop(decoder_t *d, open_t *o)
{
    llmux_event_t ev = { .kind = LLMUX_EV_BLOCK_STOP, .key = o->key };
    open_t **at = &d->open;

    if (o->kind != LLMUX_EV_END) {
        if (o->token) {
            token(d, o, LLMUX_MAKER_ANTHROPIC, llmux_buf_slice(o->token));
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

static open_t *find(decoder_t *d, apr_int64_t index)
{
    open_t *o = d->open;

    while (o && o->index != index) {
        o = o->next;
    }
    return o;
}

/* The block of this index for pieces of this kind. Texts and thoughts begin
 * without a word; NULL if the answer failed. */
static open_t *block_for(decoder_t *d, apr_int64_t index, llmux_event_e kind)
{
    llmux_event_t ev = { .block = kind == LLMUX_EV_TEXT ? LLMUX_BLOCK_TEXT
                                                        : LLMUX_BLOCK_THINK };
    open_t *o = find(d, index);

    if (o && (o->kind == kind || o->kind == LLMUX_EV_END)) {
        return o;
    }
    if (o) {
        stop(d, o);
    }
    return begin(d, index, kind, &ev);
}

/* A call: of a tool of the client's, of ours that is the answer itself, or of
 * the service's own, which is no business of the client's. */
static open_t *call_start(decoder_t *d, apr_int64_t index,
                          const llmux_json_t *v)
{
    llmux_event_t ev = { .block = LLMUX_BLOCK_CALL };

    if (llmux_json_is(llmux_json_get(v, "type"), "server_tool_use")) {
        return open_make(d, index);
    }
    ev.id = str(d, v, "toolUseId");
    ev.name = str(d, v, "name");
    if (llmux_slice_is(ev.name, LLMUX_BEDROCK_ANSWER_TOOL)) {
        llmux_event_t text = { .block = LLMUX_BLOCK_TEXT };

        return begin(d, index, LLMUX_EV_TEXT, &text);
    }
    if (!ev.id.len) {
        ev.id = llmux_slice(llmux_random_id(d->base.env, d->base.scratch,
                                            "call_"));
    }
    d->calls++;
    return begin(d, index, LLMUX_EV_ARGS, &ev);
}

/* ---- media ----------------------------------------------------------- */

static const struct { const char *format, *type; } formats[] = {
    { "png", "image/png" }, { "jpeg", "image/jpeg" }, { "gif", "image/gif" },
    { "webp", "image/webp" }
};

static open_t *image_start(decoder_t *d, apr_int64_t index,
                           const llmux_json_t *v)
{
    llmux_event_t ev = { .block = LLMUX_BLOCK_MEDIA };
    open_t *o = begin(d, index, LLMUX_EV_MEDIA, &ev);
    apr_size_t i;

    for (i = 0; o && i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (llmux_json_is(llmux_json_get(v, "format"), formats[i].format)) {
            o->type = formats[i].type;
        }
    }
    return o;
}

static void image(decoder_t *d, const open_t *o, const llmux_json_t *v)
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
    while (d->open) {
        stop(d, d->open);
    }
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
    open_t *o = find(d, index_of(v));

    if (o) {
        stop(d, o);
    }
    if (call) {
        call_start(d, index_of(v), call);
    }
    else if (picture) {
        image_start(d, index_of(v), picture);
    }
    else if (llmux_json_get(what, "toolResult")) {
        open_make(d, index_of(v));      /* the service's own tool */
    }
}

static void more_thinking(decoder_t *d, apr_int64_t index,
                          const llmux_json_t *v)
{
    open_t *o = block_for(d, index, LLMUX_EV_THINK);

    if (o && o->kind == LLMUX_EV_THINK) {
        piece(d, o, str(d, v, "text"));
        sign(d, o, str(d, v, "signature"));
        redacted(d, o, str(d, v, "redactedContent"));
    }
}

static void more_text(decoder_t *d, apr_int64_t index, const llmux_json_t *v)
{
    llmux_slice_t text = llmux_json_str(d->base.scratch, v);
    open_t *o = text.len ? block_for(d, index, LLMUX_EV_TEXT) : NULL;

    if (o) {
        piece(d, o, text);
    }
}

static void more_input(decoder_t *d, apr_int64_t index, const llmux_json_t *v)
{
    open_t *o = find(d, index);

    if (!o) {
        fail(d, "The provider's answer has arguments of no call.");
        return;
    }
    if (o->kind == LLMUX_EV_ARGS || o->kind == LLMUX_EV_TEXT) {
        piece(d, o, str(d, v, "input"));
    }
}

static void on_delta(decoder_t *d, const llmux_json_t *v)
{
    const llmux_json_t *delta = llmux_json_get(v, "delta");
    const llmux_json_t *text = llmux_json_get(delta, "text");
    const llmux_json_t *thinking = llmux_json_get(delta, "reasoningContent");
    const llmux_json_t *input = llmux_json_get(delta, "toolUse");
    const llmux_json_t *cite = llmux_json_get(delta, "citation");
    const llmux_json_t *picture = llmux_json_get(delta, "image");
    apr_int64_t index = index_of(v);
    open_t *o;

    if (thinking) {
        more_thinking(d, index, thinking);
    }
    if (text) {
        more_text(d, index, text);
    }
    if (input) {
        more_input(d, index, input);
    }
    o = cite ? block_for(d, index, LLMUX_EV_TEXT) : NULL;
    if (o) {
        hold_cite(d, o, cite);
    }
    o = picture ? find(d, index) : NULL;
    if (picture && !o) {
        o = image_start(d, index, picture);
    }
    if (o) {
        image(d, o, picture);
    }
}

static void on_block_stop(decoder_t *d, const llmux_json_t *v)
{
    open_t *o = find(d, index_of(v));

    if (o) {
        stop(d, o);
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
    open_t *o = block_for(d, 0, LLMUX_EV_TEXT);
    const llmux_json_t *c;

    if (!o) {
        return;
    }
    piece(d, o, text);
    for (c = llmux_json_element(cites); c; c = llmux_json_next(cites, c)) {
        hold_cite(d, o, c);
    }
    stop(d, o);
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
    open_t *o = block_for(d, 0, LLMUX_EV_THINK);

    if (o) {
        piece(d, o, str(d, said, "text"));
        token(d, o, LLMUX_MAKER_ANTHROPIC, str(d, said, "signature"));
        redacted(d, o, str(d, v, "redactedContent"));
        stop(d, o);
    }
}

static void whole_call(decoder_t *d, const llmux_json_t *v)
{
    const llmux_json_t *input = llmux_json_get(v, "input");
    open_t *o = call_start(d, 0, v);

    if (!o) {
        return;
    }
    if (llmux_json_count(input) || o->kind == LLMUX_EV_TEXT) {
        piece(d, o, llmux_json_raw(input));
    }
    stop(d, o);
}

static void whole_image(decoder_t *d, const llmux_json_t *v)
{
    open_t *o = image_start(d, 0, v);

    if (o) {
        image(d, o, v);
        stop(d, o);
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
    d->base.payload = on_payload;
    d->base.whole = on_whole;
    d->base.finish = on_end;
    d->usage = none;
    d->reason = llmux_buf_create(p, LLMUX_FINISH_WORD_MAX);
    d->sequence = llmux_buf_create(p, STOP_MAX);
    apr_pool_create(&d->held, p);
    return &d->base;
}
