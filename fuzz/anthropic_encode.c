/* anthropic_encode.c - fuzzes the encoder of Messages. The input is a script
 * of events, in any order that decoders may bring them in. What the stream
 * says must be a sequence that a client takes, and put together the same
 * message as the whole one, of all that the events said.
 *
 * covers: src/dialect/anthropic_encode.c src/dialect/anthropic_encode_order.c
 *         src/dialect/anthropic_encode_stream.c
 *         src/dialect/anthropic_encode_whole.c
 *         src/dialect/anthropic_encode_pieces.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>
#include <apr_strings.h>

#include "llmux/dialect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

enum { OUT_MAX = 64 << 20, OPEN_MOST = 8 };

/* What the events say, and who hears it. */
typedef struct source_t {
    apr_pool_t *p;
    const uint8_t *data, *end;
    llmux_encoder_t *streamed, *whole;
    llmux_buf_t *events, *document;
    llmux_buf_t *text;          /* of texts and refusals, in order */
    int open[OPEN_MOST];        /* keys; -1: none */
    llmux_block_e kinds[OPEN_MOST];
    int keys, calls, texts_open;
    int mixed;                  /* texts were open at the same time */
    int failed;
} source_t;

static int next(source_t *s)
{
    return s->data < s->end ? *s->data++ : 0;
}

/* A line of the input. Decoders never split a character, so that there are
 * none to be split here. */
static llmux_slice_t line(source_t *s)
{
    const uint8_t *from = s->data;
    llmux_slice_t text;
    char *c;

    while (s->data < s->end && *s->data != '\n') {
        s->data++;
    }
    text.len = (size_t)(s->data - from);
    text.data = c = apr_pstrmemdup(s->p, (const char *)from, text.len);
    for (; c < text.data + text.len; c++) {
        *c &= 0x7f;
    }
    next(s);
    return text;
}

static void tell(source_t *s, const llmux_event_t *ev)
{
    s->streamed->event(s->streamed, ev, s->events);
    s->whole->event(s->whole, ev, s->document);
}

/* ---- events ---------------------------------------------------------- */

static int is_text(llmux_block_e kind)
{
    return kind == LLMUX_BLOCK_TEXT || kind == LLMUX_BLOCK_REFUSAL;
}

static void start_block(source_t *s, int slot, int what)
{
    static const llmux_block_e kinds[] = {
        LLMUX_BLOCK_TEXT, LLMUX_BLOCK_CALL, LLMUX_BLOCK_THINK,
        LLMUX_BLOCK_REFUSAL, LLMUX_BLOCK_MEDIA, LLMUX_BLOCK_CALL
    };
    llmux_event_t ev = { .kind = LLMUX_EV_BLOCK_START };

    ev.key = s->open[slot] = s->keys++;
    ev.block = s->kinds[slot] = kinds[what % 6];
    ev.custom = what % 6 == 5;
    if (ev.block == LLMUX_BLOCK_CALL) {
        ev.id = llmux_slice(apr_psprintf(s->p, "call_%d", ev.key));
        ev.name = line(s);
        s->calls++;
    }
    s->mixed |= is_text(ev.block) && s->texts_open;
    s->texts_open += is_text(ev.block);
    tell(s, &ev);
}

static void stop_block(source_t *s, int slot)
{
    llmux_event_t ev = { .kind = LLMUX_EV_BLOCK_STOP, .key = s->open[slot] };

    s->texts_open -= is_text(s->kinds[slot]);
    s->open[slot] = -1;
    tell(s, &ev);
}

static void say(source_t *s, int slot)
{
    static const llmux_event_e kinds[] = {
        [LLMUX_BLOCK_TEXT]    = LLMUX_EV_TEXT,
        [LLMUX_BLOCK_MEDIA]   = LLMUX_EV_MEDIA,
        [LLMUX_BLOCK_CALL]    = LLMUX_EV_ARGS,
        [LLMUX_BLOCK_RESULT]  = LLMUX_EV_PING,
        [LLMUX_BLOCK_THINK]   = LLMUX_EV_THINK,
        [LLMUX_BLOCK_REFUSAL] = LLMUX_EV_REFUSAL
    };
    llmux_event_t ev = { .kind = kinds[s->kinds[slot]],
                         .key = s->open[slot], .text = line(s) };

    if (is_text(s->kinds[slot])) {
        llmux_json_escape(s->text, ev.text);
    }
    tell(s, &ev);
}

static void say_token(source_t *s, int slot, int maker)
{
    llmux_event_t ev = { .kind = LLMUX_EV_TOKEN, .key = s->open[slot] };

    if (s->kinds[slot] == LLMUX_BLOCK_THINK
        || s->kinds[slot] == LLMUX_BLOCK_CALL) {
        ev.token.maker = (llmux_maker_e)(1 + maker % 4);
        ev.token.bytes = line(s);
        tell(s, &ev);
    }
}

static void say_beside(source_t *s, int what)
{
    llmux_usage_t usage = LLMUX_USAGE_NONE;
    llmux_cite_t cite = { .url = llmux_slice("https://x") };
    llmux_event_t ev = { .kind = LLMUX_EV_PING };

    if (what % 3 == 1) {
        usage.input = next(s) - 1;
        usage.output = next(s) - 1;
        usage.cache_write = next(s) - 1;
        usage.cache_write_1h = next(s) - 1;
        usage.reasoning = next(s) - 1;
        ev.kind = LLMUX_EV_USAGE;
        ev.usage = &usage;
    }
    else if (what % 3 == 2) {
        ev.kind = LLMUX_EV_CITE;
        ev.cite = &cite;
    }
    tell(s, &ev);
}

static void step(source_t *s)
{
    int what = next(s), slot = what % OPEN_MOST, detail = what / OPEN_MOST;

    if (s->open[slot] < 0) {
        if (detail % 8 < 6) {
            start_block(s, slot, detail);
        }
        else {
            say_beside(s, next(s));
        }
    }
    else if (detail % 8 < 5) {
        say(s, slot);
    }
    else if (detail % 8 == 5) {
        say_token(s, slot, next(s));
    }
    else {
        stop_block(s, slot);
    }
}

static void finish(source_t *s, int how)
{
    llmux_event_t ev = { .kind = LLMUX_EV_FINISH };
    int i;

    for (i = 0; i < OPEN_MOST; i++) {
        if (s->open[i] >= 0) {
            stop_block(s, i);
        }
    }
    if (how % 16 == 15) {
        s->failed = 1;
        ev.kind = LLMUX_EV_ERROR;
        ev.error = llmux_error(s->p, LLMUX_ERR_OVERLOADED, NULL, "no");
        tell(s, &ev);
        return;
    }
    ev.finish = (llmux_finish_e)(how % 10);
    ev.stop = llmux_slice("\n\n");
    tell(s, &ev);
    ev.kind = LLMUX_EV_END;
    tell(s, &ev);
}

/* ---- what a client makes of it --------------------------------------- */

typedef struct client_t {
    apr_pool_t *p;
    llmux_buf_t *content;       /* blocks, put together, as JSON */
    llmux_buf_t *piece;         /* of the open one */
    const llmux_json_t *open;
    llmux_slice_t signature;
    int started, finished, ended, failed, index;
    const llmux_json_t *delta;
} client_t;

static llmux_slice_t str(client_t *c, const llmux_json_t *v, const char *name)
{
    return llmux_json_str(c->p, llmux_json_get(v, name));
}

static void block_start(client_t *c, const llmux_json_t *v)
{
    MUST(c->started && !c->finished && !c->open);
    MUST(llmux_json_int(llmux_json_get(v, "index"), -1) == c->index);
    c->open = llmux_json_get(v, "content_block");
    c->signature = llmux_slice("");
    llmux_buf_reset(c->piece);
}

static void block_delta(client_t *c, const llmux_json_t *v)
{
    static const char *const rows[][3] = {
        { "text",     "text_delta",       "text" },
        { "thinking", "thinking_delta",   "thinking" },
        { "tool_use", "input_json_delta", "partial_json" }
    };
    const llmux_json_t *delta = llmux_json_get(v, "delta");
    llmux_slice_t type;
    int i;

    MUST(c->open != NULL);
    MUST(llmux_json_int(llmux_json_get(v, "index"), -1) == c->index);
    type = str(c, c->open, "type");
    if (llmux_json_is(llmux_json_get(delta, "type"), "signature_delta")) {
        MUST(llmux_slice_is(type, "thinking") && !c->signature.len);
        c->signature = str(c, delta, "signature");
        MUST(c->signature.data != NULL);
        return;
    }
    for (i = 0; i < 3 && !llmux_slice_is(type, rows[i][0]); i++) {
    }
    MUST(i < 3);
    MUST(llmux_json_is(llmux_json_get(delta, "type"), rows[i][1]));
    MUST(str(c, delta, rows[i][2]).len > 0);
    llmux_buf_add_slice(c->piece, str(c, delta, rows[i][2]));
}

/* Text in the whole answer stands as it was put together here; arguments may
 * have been cut short, and then stand in an object of their own. */
static void put_input(client_t *c, llmux_jw_t *w)
{
    llmux_slice_t text = llmux_buf_slice(c->piece);

    llmux_jw_key(w, "input");
    if (llmux_json_is_object(c->p, text)) {
        llmux_jw_raw(w, text);
        return;
    }
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "_raw");
    llmux_jw_str(w, text);
    llmux_jw_close(w, '}');
}

static void block_stop(client_t *c, const llmux_json_t *v)
{
    llmux_jw_t w = llmux_jw(c->content);
    llmux_slice_t type;

    MUST(c->open != NULL);
    MUST(llmux_json_int(llmux_json_get(v, "index"), -1) == c->index++);
    type = str(c, c->open, "type");
    w.comma = c->index > 1;
    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "type");
    llmux_jw_str(&w, type);
    if (llmux_slice_is(type, "tool_use")) {
        llmux_jw_opt_str(&w, "id", str(c, c->open, "id"));
        llmux_jw_opt_str(&w, "name", str(c, c->open, "name"));
        put_input(c, &w);
    }
    else if (llmux_slice_is(type, "redacted_thinking")) {
        llmux_jw_opt_str(&w, "data", str(c, c->open, "data"));
    }
    else {
        llmux_jw_key_slice(&w, type);
        llmux_jw_str(&w, llmux_buf_slice(c->piece));
        if (llmux_slice_is(type, "thinking")) {
            llmux_jw_opt_str(&w, "signature", c->signature);
        }
    }
    llmux_jw_close(&w, '}');
    c->open = NULL;
}

static void message_start(client_t *c, const llmux_json_t *v)
{
    const llmux_json_t *m = llmux_json_get(v, "message");

    MUST(!c->started++);
    MUST(str(c, m, "id").len && str(c, m, "model").data);
    MUST(llmux_json_int(llmux_json_get(llmux_json_get(m, "usage"),
                                       "input_tokens"), -1) >= 0);
}

static void message_delta(client_t *c, const llmux_json_t *v)
{
    MUST(c->started && !c->open && !c->finished++);
    MUST(llmux_json_int(llmux_json_get(llmux_json_get(v, "usage"),
                                       "output_tokens"), -1) >= 0);
    c->delta = llmux_json_get(v, "delta");
    MUST(str(c, c->delta, "stop_reason").len);
}

static void message_stop(client_t *c, const llmux_json_t *v)
{
    MUST(c->finished && !c->ended++);
}

static void on_error(client_t *c, const llmux_json_t *v)
{
    MUST(!c->ended);
    c->failed = c->ended = 1;
}

static void on_ping(client_t *c, const llmux_json_t *v)
{
}

static const struct {
    const char *type;
    void (*take)(client_t *c, const llmux_json_t *v);
} takes[] = {
    { "message_start",       message_start },
    { "content_block_start", block_start },
    { "content_block_delta", block_delta },
    { "content_block_stop",  block_stop },
    { "message_delta",       message_delta },
    { "message_stop",        message_stop },
    { "error",               on_error },
    { "ping",                on_ping }
};

static int take(void *baton, const llmux_sse_event_t *ev)
{
    client_t *c = baton;
    llmux_slice_t data = llmux_slice_dup(c->p, ev->data);
    const llmux_json_t *v = llmux_json_parse(c->p, data, 0, NULL);
    llmux_slice_t type = str(c, v, "type");
    int i;

    MUST(!c->ended && type.data && llmux_slice_equal(type, ev->name));
    for (i = 0; i < 8 && !llmux_slice_is(type, takes[i].type); i++) {
    }
    MUST(i < 8);
    takes[i].take(c, v);
    return 1;
}

static client_t *put_together(source_t *s)
{
    client_t *c = apr_pcalloc(s->p, sizeof(*c));
    llmux_sse_t *sse = llmux_sse_create(s->p, OUT_MAX, take, c);
    llmux_slice_t events = llmux_buf_slice(s->events);

    c->p = s->p;
    c->content = llmux_buf_create(s->p, OUT_MAX);
    c->piece = llmux_buf_create(s->p, OUT_MAX);
    llmux_buf_adds(c->content, "[");
    MUST(llmux_sse_feed(sse, events.data, events.len) == APR_SUCCESS);
    MUST(llmux_sse_at_border(sse) && c->ended);
    llmux_buf_adds(c->content, "]");
    return c;
}

/* ---- the whole one --------------------------------------------------- */

/* All that was said, and nothing else: texts that were open at the same time
 * may have changed places. */
static void check_text(source_t *s, const llmux_json_t *content)
{
    llmux_buf_t *text = llmux_buf_create(s->p, OUT_MAX);
    const llmux_json_t *b;
    int calls = 0;

    for (b = llmux_json_first(content); b; b = llmux_json_next(content, b)) {
        llmux_json_escape(text, llmux_json_str(s->p,
                                               llmux_json_get(b, "text")));
        calls += llmux_json_is(llmux_json_get(b, "type"), "tool_use");
    }
    MUST(text->len == s->text->len && calls == s->calls);
    MUST(s->mixed || !text->len || !memcmp(text->data, s->text->data,
                                           text->len));
}

/* Arguments may be as deep as a document may be, but not within one. */
static int is_deep(llmux_slice_t text)
{
    size_t i;
    int n = 0;

    for (i = 0; i < text.len; i++) {
        n += text.data[i] == '{' || text.data[i] == '[';
    }
    return n >= LLMUX_JSON_DEPTH_MAX;
}

static void compare(source_t *s, const client_t *c)
{
    const llmux_json_t *v;
    const llmux_json_t *content;

    MUST(c->failed == s->failed);
    if (s->failed) {
        MUST(!s->document->len);
        return;
    }
    v = llmux_json_parse(s->p, llmux_buf_slice(s->document), 0, NULL);
    if (!v && is_deep(llmux_buf_slice(s->document))) {
        return;
    }
    content = llmux_json_get(v, "content");
    MUST(content != NULL);
    MUST(llmux_slice_equal(llmux_json_raw(content),
                           llmux_buf_slice(c->content)));
    MUST(llmux_slice_equal(
        llmux_json_raw(llmux_json_get(v, "stop_reason")),
        llmux_json_raw(llmux_json_get(c->delta, "stop_reason"))));
    check_text(s, content);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *root;
    static const llmux_event_t start = {
        .kind = LLMUX_EV_START, .tier = { "flex", 4 }
    };
    llmux_encode_t how = { .show_thinking = 1, .id = "msg_1" };
    source_t s = { .data = data, .end = data + size };
    int how_ended;

    if (!root) {
        apr_initialize();
        apr_pool_create(&root, NULL);
    }
    apr_pool_create(&s.p, root);
    memset(s.open, -1, sizeof(s.open));
    s.whole = llmux_dialect_anthropic.encoder(s.p, &how);
    how.streamed = 1;
    s.streamed = llmux_dialect_anthropic.encoder(s.p, &how);
    s.events = llmux_buf_create(s.p, OUT_MAX);
    s.document = llmux_buf_create(s.p, OUT_MAX);
    s.text = llmux_buf_create(s.p, OUT_MAX);
    how_ended = next(&s);
    tell(&s, &start);
    while (s.data < s.end && s.keys < LLMUX_BLOCKS_MAX) {
        step(&s);
    }
    finish(&s, how_ended);
    MUST(!s.events->failed && !s.document->failed);
    compare(&s, put_together(&s));
    apr_pool_destroy(s.p);
    return 0;
}
