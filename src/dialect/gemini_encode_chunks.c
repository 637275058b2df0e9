/* gemini_encode_chunks.c - events as a stream of generateContent's answers,
 * each at once but for the last character. */

#include "gemini_encode.h"

typedef llmux_gemini_encode_t encoder_t;
typedef llmux_gemini_cand_t cand_t;
typedef llmux_gemini_block_t block_t;

static const llmux_slice_t none = { NULL, 0 };

/* ---- documents ------------------------------------------------------- */

static void begin_document(encoder_t *e, llmux_buf_t *out)
{
    if (e->how.array) {
        llmux_buf_adds(out, e->begun ? "," : "[");
        e->begun = 1;
    }
    else {
        llmux_buf_adds(out, "data: ");
    }
}

static void end_document(encoder_t *e, llmux_buf_t *out)
{
    llmux_buf_adds(out, e->how.array ? "\r\n" : "\r\n\r\n");
}

/* A chunk of one candidate, begun with its first part. */
typedef struct chunk_t {
    encoder_t *e;
    cand_t *c;
    llmux_jw_t w;
    llmux_buf_t *out;
    int begun;
} chunk_t;

static void open_content(llmux_jw_t *w)
{
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "content");
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "parts");
    llmux_jw_open(w, '[');
}

static void close_content(llmux_jw_t *w)
{
    llmux_jw_close(w, ']');
    llmux_jw_key(w, "role");
    llmux_jw_cstr(w, "model");
    llmux_jw_close(w, '}');
}

static void begin_chunk(chunk_t *k)
{
    if (k->begun++) {
        return;
    }
    k->c->said = 1;
    begin_document(k->e, k->out);
    k->w = llmux_jw(k->out);
    llmux_jw_open(&k->w, '{');
    llmux_jw_key(&k->w, "candidates");
    llmux_jw_open(&k->w, '[');
    open_content(&k->w);
}

static void end_chunk(chunk_t *k)
{
    if (!k->begun) {
        return;
    }
    close_content(&k->w);
    llmux_jw_key(&k->w, "index");
    llmux_jw_int(&k->w, k->c->index);
    llmux_gemini_put_logprobs(&k->w, k->c);
    llmux_jw_close(&k->w, '}');
    llmux_jw_close(&k->w, ']');
    llmux_gemini_put_tail(k->e, &k->w);
    end_document(k->e, k->out);
}

/* ---- parts ----------------------------------------------------------- */

/* A text made of two. */
static void put_text(llmux_jw_t *w, llmux_slice_t first, llmux_slice_t second,
                     llmux_block_e kind, llmux_slice_t sign)
{
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "text");
    llmux_jw_raw(w, llmux_slice("\""));
    llmux_json_escape(w->out, first);
    llmux_json_escape(w->out, second);
    llmux_buf_adds(w->out, "\"");
    if (kind == LLMUX_BLOCK_THINK) {
        llmux_jw_key(w, "thought");
        llmux_jw_bool(w, 1);
    }
    llmux_jw_opt_str(w, "thoughtSignature", sign);
    llmux_jw_close(w, '}');
}

static void add_text(chunk_t *k, llmux_slice_t first, llmux_slice_t second,
                     llmux_block_e kind, llmux_slice_t sign)
{
    begin_chunk(k);
    put_text(&k->w, first, second, kind, sign);
}

/* ---- what is held back ----------------------------------------------- */

static void hold(encoder_t *e, cand_t *c, llmux_block_e kind,
                 llmux_slice_t bytes)
{
    if (!c->held) {
        c->held = llmux_buf_create(e->pool, LLMUX_EVENT_MAX);
    }
    llmux_buf_reset(c->held);
    llmux_buf_add_slice(c->held, bytes);
    c->held_kind = kind;
    c->holds = 1;
}

static int holds_text(const cand_t *c)
{
    return c->holds && c->held_kind != LLMUX_BLOCK_CALL;
}

/* @param sign for a text that is held; a call has its own */
static void put_held(llmux_jw_t *w, cand_t *c, llmux_slice_t sign)
{
    if (holds_text(c)) {
        put_text(w, llmux_buf_slice(c->held), none, c->held_kind, sign);
    }
    else {
        llmux_jw_raw(w, llmux_buf_slice(c->held));
    }
    c->holds = 0;
}

static void add_held(chunk_t *k)
{
    if (k->c->holds) {
        begin_chunk(k);
        put_held(&k->w, k->c, none);
    }
}

/* A signature that no part came for gets one of its own, or the text that is
 * held, which was not signed. */
static void add_waiting(chunk_t *k)
{
    llmux_slice_t sign = llmux_gemini_sign_take(k->c);

    if (!sign.data) {
        return;
    }
    begin_chunk(k);
    if (holds_text(k->c)) {
        put_held(&k->w, k->c, sign);
        return;
    }
    add_held(k);
    put_text(&k->w, none, none, LLMUX_BLOCK_TEXT, sign);
}

/* ---- text ------------------------------------------------------------ */

/* Where its last character begins. */
static apr_size_t last_of(llmux_slice_t s)
{
    apr_size_t n = s.len - 1;

    while (n && ((unsigned char)s.data[n] & 0xc0) == 0x80) {
        n--;
    }
    return n;
}

static void say_text(encoder_t *e, cand_t *c, llmux_block_e kind,
                     llmux_slice_t text, llmux_buf_t *out)
{
    chunk_t k = { .e = e, .c = c, .out = out };
    llmux_slice_t body = text, last = text, before = none;

    if (!text.len) {
        return;
    }
    if (c->holds && c->held_kind != kind) {
        add_held(&k);
    }
    if (c->holds) {
        before = llmux_buf_slice(c->held);
    }
    body.len = last_of(text);
    last.data += body.len;
    last.len -= body.len;
    if (before.len + body.len) {
        add_text(&k, before, body, kind, llmux_gemini_sign_take(c));
    }
    end_chunk(&k);
    hold(e, c, kind, last);
}

/* ---- calls and media ------------------------------------------------- */

/* The signature of the call itself; else one that waited for it. */
static llmux_slice_t call_sign(chunk_t *k, const block_t *b)
{
    if (!b->sign->len) {
        return llmux_gemini_sign_take(k->c);
    }
    add_waiting(k);
    return llmux_buf_slice(b->sign);
}

static void hold_call(encoder_t *e, const block_t *b, llmux_slice_t sign)
{
    llmux_jw_t w;

    hold(e, b->cand, LLMUX_BLOCK_CALL, none);
    w = llmux_jw(b->cand->held);
    llmux_jw_open(&w, '{');
    llmux_gemini_put_call(&w, b);
    llmux_jw_opt_str(&w, "thoughtSignature", sign);
    llmux_jw_close(&w, '}');
    if (b->cand->held->failed) {
        b->cand->holds = 0;
        b->cand->malformed = "A function call is too long.";
    }
}

static void say_call(encoder_t *e, const block_t *b, llmux_buf_t *out)
{
    chunk_t k = { .e = e, .c = b->cand, .out = out };
    const char *wrong = llmux_gemini_call_wrong(e, b);
    llmux_slice_t sign;

    if (wrong) {
        b->cand->malformed = wrong;
        return;
    }
    sign = call_sign(&k, b);
    add_held(&k);
    end_chunk(&k);
    hold_call(e, b, sign);
}

static void say_media(encoder_t *e, const block_t *b, const llmux_event_t *ev,
                      llmux_buf_t *out)
{
    chunk_t k = { .e = e, .c = b->cand, .out = out };

    add_held(&k);
    begin_chunk(&k);
    llmux_jw_open(&k.w, '{');
    llmux_gemini_put_inline(&k.w, ev);
    llmux_jw_opt_str(&k.w, "thoughtSignature",
                     llmux_gemini_sign_take(b->cand));
    llmux_jw_close(&k.w, '}');
    end_chunk(&k);
}

/* ---- thoughts -------------------------------------------------------- */

static void say_thought_sign(encoder_t *e, cand_t *c, llmux_slice_t sign,
                             llmux_buf_t *out)
{
    chunk_t k = { .e = e, .c = c, .out = out };

    if (c->holds && c->held_kind == LLMUX_BLOCK_THINK) {
        begin_chunk(&k);
        put_held(&k.w, c, sign);
    }
    else {
        add_held(&k);
        add_text(&k, none, none, LLMUX_BLOCK_THINK, sign);
    }
    end_chunk(&k);
}

/* One block's second token takes the place of its first. */
static void await_part(encoder_t *e, const block_t *b, llmux_slice_t sign,
                       llmux_buf_t *out)
{
    chunk_t k = { .e = e, .c = b->cand, .out = out };

    if (b->cand->sign_key != b->key) {
        add_waiting(&k);
        end_chunk(&k);
    }
    llmux_gemini_sign_wait(e, b->cand, b->key, sign);
}

static void say_token(encoder_t *e, const block_t *b, llmux_token_t token,
                      llmux_buf_t *out)
{
    llmux_gemini_sign_e where = llmux_gemini_sign_of(e, b, token);

    if (where == LLMUX_GEMINI_SIGN_THOUGHT) {
        say_thought_sign(e, b->cand, token.bytes, out);
    }
    else if (where == LLMUX_GEMINI_SIGN_NEXT) {
        await_part(e, b, token.bytes, out);
    }
}

/* ---- the end --------------------------------------------------------- */

/* SDKs take a chunk without a part for a broken answer, so the last one has
 * what was held; an answer of nothing has none. */
static void put_last_parts(llmux_jw_t *w, cand_t *c)
{
    llmux_slice_t sign = llmux_gemini_sign_take(c);

    if (c->holds) {
        int text = holds_text(c);

        put_held(w, c, sign);
        if (text || !sign.data) {
            return;
        }
    }
    if (sign.data || c->said) {
        put_text(w, none, none, LLMUX_BLOCK_TEXT, sign);
    }
}

static void put_last(encoder_t *e, llmux_jw_t *w, cand_t *c)
{
    if (c->holds || c->said || c->sign_key >= 0) {
        open_content(w);
        put_last_parts(w, c);
        close_content(w);
    }
    else {
        llmux_jw_open(w, '{');
        llmux_jw_key(w, "content");
        llmux_jw_raw(w, llmux_slice("{\"role\":\"model\"}"));
    }
    llmux_gemini_put_finish(e, w, c, 0);
    llmux_jw_close(w, '}');
}

static int is_blocked(const encoder_t *e)
{
    return e->room == 1 && e->cands[0]->blocked && !e->cands[0]->said
           && !e->cands[0]->holds;
}

static void say_end(encoder_t *e, llmux_buf_t *out)
{
    llmux_jw_t w = llmux_jw(out);
    int i;

    begin_document(e, out);
    llmux_jw_open(&w, '{');
    if (is_blocked(e)) {
        llmux_gemini_put_blocked(&w, e->cands[0]);
    }
    else {
        llmux_jw_key(&w, "candidates");
        llmux_jw_open(&w, '[');
        for (i = 0; i < e->room; i++) {
            if (e->cands[i]) {
                put_last(e, &w, e->cands[i]);
            }
        }
        llmux_jw_close(&w, ']');
    }
    llmux_gemini_put_tail(e, &w);
    end_document(e, out);
    if (e->how.array) {
        llmux_buf_adds(out, "]");
    }
}

/* What was held has been said by the model, after all. */
static void say_all_held(encoder_t *e, llmux_buf_t *out)
{
    int i;

    for (i = 0; i < e->room; i++) {
        chunk_t k = { .e = e, .c = e->cands[i], .out = out };

        if (k.c) {
            add_held(&k);
            end_chunk(&k);
        }
    }
}

/* Twice, as an event and as the bare document that Google sends: older SDKs
 * for JavaScript pass over events with errors, newer ones know a bare document
 * only when it comes alone. */
static void say_error(encoder_t *e, const llmux_error_t *err,
                      llmux_buf_t *out)
{
    say_all_held(e, out);
    if (e->how.array) {
        begin_document(e, out);
    }
    else {
        llmux_buf_adds(out, "data: ");
        llmux_gemini_error_write(out, err, NULL);
        llmux_buf_adds(out, "\r\n\r\n");
    }
    llmux_gemini_error_write(out, err, NULL);
    llmux_buf_adds(out, e->how.array ? "\r\n]" : "\r\n");
}

/* Gemini has no ping, and Google's SDKs fail on comments and on events that
 * say nothing. They all skip blank lines; JSON skips them too. */
static void say_ping(encoder_t *e, llmux_buf_t *out)
{
    llmux_buf_adds(out, e->how.array ? "\r\n" : "\r\n\r\n");
}

/* ---- events ---------------------------------------------------------- */

static void say_block(encoder_t *e, const llmux_event_t *ev, block_t *b,
                      llmux_buf_t *out)
{
    switch (ev->kind) {
    case LLMUX_EV_TEXT:
    case LLMUX_EV_REFUSAL:
        say_text(e, b->cand, LLMUX_BLOCK_TEXT, ev->text, out);
        break;
    case LLMUX_EV_THINK:
        if (llmux_gemini_shows(e)) {
            say_text(e, b->cand, LLMUX_BLOCK_THINK, ev->text, out);
        }
        break;
    case LLMUX_EV_TOKEN:
        say_token(e, b, ev->token, out);
        break;
    case LLMUX_EV_MEDIA:
        say_media(e, b, ev, out);
        break;
    case LLMUX_EV_BLOCK_STOP:
        if (b->kind == LLMUX_BLOCK_CALL) {
            say_call(e, b, out);
        }
        break;
    default:
        break;
    }
}

void llmux_gemini_chunks(encoder_t *e, const llmux_event_t *ev, block_t *b,
                         llmux_buf_t *out)
{
    switch (ev->kind) {
    case LLMUX_EV_PING:
        say_ping(e, out);
        break;
    case LLMUX_EV_ERROR:
        say_error(e, ev->error, out);
        break;
    case LLMUX_EV_END:
        say_end(e, out);
        break;
    default:
        if (b) {
            say_block(e, ev, b, out);
        }
    }
}
