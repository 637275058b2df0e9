/* gemini_encode_whole.c - events kept, and said as one generateContent answer
 * at the end. */

#include <apr_strings.h>

#include "gemini_encode.h"

typedef llmux_gemini_encode_t encoder_t;
typedef llmux_gemini_cand_t cand_t;
typedef llmux_gemini_block_t block_t;
typedef llmux_gemini_piece_t piece_t;

/* ---- keeping --------------------------------------------------------- */

/* Is there room for `n` more bytes? Their sum is limited; an answer beyond it
 * fails as a whole. */
static int room(encoder_t *e, apr_size_t n)
{
    if (n > LLMUX_ANSWER_MAX - e->kept) {
        e->overflow = 1;
        return 0;
    }
    e->kept += n;
    return 1;
}

static void sign_piece(encoder_t *e, piece_t *piece, llmux_slice_t sign)
{
    if (sign.len && room(e, sign.len)) {
        piece->sign = llmux_slice_dup(e->pool, sign);
    }
}

/* A new piece, with the signature that waited for one. */
static piece_t *add_piece(encoder_t *e, cand_t *c, llmux_block_e kind)
{
    piece_t *piece = apr_pcalloc(e->pool, sizeof(*piece));

    piece->kind = kind;
    piece->from = c->text.bytes;
    piece->text = llmux_buf_create(e->pool, LLMUX_ANSWER_MAX);
    sign_piece(e, piece, llmux_gemini_sign_take(c));
    if (c->last) {
        c->last->next = piece;
    }
    else {
        c->pieces = piece;
    }
    c->last = piece;
    return piece;
}

static void keep_text(encoder_t *e, block_t *b, llmux_block_e kind,
                      llmux_slice_t text)
{
    if (!text.len || !room(e, text.len)) {
        return;
    }
    if (!b->piece) {
        b->piece = add_piece(e, b->cand, kind);
        /* the text was counted before it came here */
        b->piece->from -= kind == LLMUX_BLOCK_TEXT ? (apr_int64_t)text.len
                                                   : 0;
    }
    llmux_buf_add_slice(b->piece->text, text);
}

/* A call that turns out to have a signature of its own leaves the one that
 * waited for it to a piece before it. */
static void make_way(encoder_t *e, block_t *b)
{
    piece_t *before = b->piece;
    piece_t *piece = apr_pmemdup(e->pool, before, sizeof(*before));

    before->kind = LLMUX_BLOCK_TEXT;
    before->text = llmux_buf_create(e->pool, LLMUX_ANSWER_MAX);
    before->next = piece;
    piece->sign.data = NULL;
    b->piece = piece;
    if (b->cand->last == before) {
        b->cand->last = piece;
    }
}

/* A call has its place from the beginning, and what it says at its end. */
static void keep_call(encoder_t *e, block_t *b)
{
    const char *wrong = llmux_gemini_call_wrong(e, b);
    llmux_jw_t w;

    if (wrong) {
        b->cand->malformed = wrong;
        return;
    }
    if (b->sign->len && b->piece->sign.data) {
        make_way(e, b);
    }
    w = llmux_jw(b->piece->text);
    llmux_gemini_put_call(&w, b);
    room(e, b->piece->text->len);
    sign_piece(e, b->piece, llmux_buf_slice(b->sign));
}

static void keep_media(encoder_t *e, block_t *b, const llmux_event_t *ev)
{
    piece_t *piece;
    llmux_jw_t w;

    if (room(e, ev->text.len + ev->name.len)) {
        piece = add_piece(e, b->cand, LLMUX_BLOCK_MEDIA);
        w = llmux_jw(piece->text);
        llmux_gemini_put_inline(&w, ev);
    }
}

/* A signature that no piece came for has one of its own. */
static void keep_waiting(encoder_t *e, cand_t *c)
{
    if (c->sign_key >= 0) {
        add_piece(e, c, LLMUX_BLOCK_TEXT);
    }
}

static void keep_token(encoder_t *e, block_t *b, llmux_token_t token)
{
    llmux_gemini_sign_e where = llmux_gemini_sign_of(e, b, token);

    if (where == LLMUX_GEMINI_SIGN_NEXT) {
        if (b->cand->sign_key != b->key) {
            keep_waiting(e, b->cand);
        }
        llmux_gemini_sign_wait(e, b->cand, b->key, token.bytes);
    }
    else if (where == LLMUX_GEMINI_SIGN_THOUGHT && b->piece) {
        sign_piece(e, b->piece, token.bytes);
    }
}

/* ---- the document ---------------------------------------------------- */

static void put_piece(llmux_jw_t *w, const piece_t *piece)
{
    llmux_jw_open(w, '{');
    if (piece->kind == LLMUX_BLOCK_TEXT || piece->kind == LLMUX_BLOCK_THINK) {
        llmux_jw_key(w, "text");
        llmux_jw_str(w, llmux_buf_slice(piece->text));
    }
    else {
        llmux_jw_raw(w, llmux_buf_slice(piece->text));
    }
    if (piece->kind == LLMUX_BLOCK_THINK) {
        llmux_jw_key(w, "thought");
        llmux_jw_bool(w, 1);
    }
    llmux_jw_opt_str(w, "thoughtSignature", piece->sign);
    llmux_jw_close(w, '}');
}

/* The last signature goes on the text before it, as Gemini itself has it. */
static void put_parts(encoder_t *e, llmux_jw_t *w, cand_t *c)
{
    const piece_t *piece;
    int n = 0;

    if (c->sign_key >= 0 && c->last && !c->last->sign.data
        && c->last->kind == LLMUX_BLOCK_TEXT) {
        c->last->sign = llmux_gemini_sign_take(c);
    }
    keep_waiting(e, c);
    for (piece = c->pieces; piece; piece = piece->next) {
        if (llmux_gemini_is_nothing(piece)) {
            continue;
        }
        if (!n++) {
            llmux_jw_key(w, "parts");
            llmux_jw_open(w, '[');
        }
        put_piece(w, piece);
    }
    if (n) {
        llmux_jw_close(w, ']');
    }
}

static void put_candidate(encoder_t *e, llmux_jw_t *w, cand_t *c)
{
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "content");
    llmux_jw_open(w, '{');
    put_parts(e, w, c);
    llmux_jw_key(w, "role");
    llmux_jw_cstr(w, "model");
    llmux_jw_close(w, '}');
    llmux_gemini_put_finish(e, w, c, 1);
    llmux_jw_close(w, '}');
}

static int is_blocked(const encoder_t *e)
{
    return e->room == 1 && e->cands[0]->blocked && !e->cands[0]->pieces;
}

static void put_document(encoder_t *e, llmux_buf_t *out)
{
    llmux_jw_t w = llmux_jw(out);
    int i;

    if (e->overflow) {
        out->failed = 1;    /* the buffer's way to say: it did not fit */
        return;
    }
    llmux_jw_open(&w, '{');
    if (is_blocked(e)) {
        llmux_gemini_put_blocked(&w, e->cands[0]);
    }
    else {
        llmux_jw_key(&w, "candidates");
        llmux_jw_open(&w, '[');
        for (i = 0; i < e->room; i++) {
            if (e->cands[i]) {
                put_candidate(e, &w, e->cands[i]);
            }
        }
        llmux_jw_close(&w, ']');
    }
    llmux_gemini_put_tail(e, &w);
}

/* ---- events ---------------------------------------------------------- */

static void keep_block(encoder_t *e, const llmux_event_t *ev, block_t *b)
{
    switch (ev->kind) {
    case LLMUX_EV_BLOCK_START:
        if (b->kind == LLMUX_BLOCK_CALL) {
            b->piece = add_piece(e, b->cand, b->kind);
        }
        break;
    case LLMUX_EV_TEXT:
    case LLMUX_EV_REFUSAL:
        keep_text(e, b, LLMUX_BLOCK_TEXT, ev->text);
        break;
    case LLMUX_EV_THINK:
        if (llmux_gemini_shows(e)) {
            keep_text(e, b, LLMUX_BLOCK_THINK, ev->text);
        }
        break;
    case LLMUX_EV_TOKEN:
        keep_token(e, b, ev->token);
        break;
    case LLMUX_EV_MEDIA:
        keep_media(e, b, ev);
        break;
    case LLMUX_EV_BLOCK_STOP:
        if (b->kind == LLMUX_BLOCK_CALL) {
            keep_call(e, b);
        }
        break;
    default:
        break;
    }
}

void llmux_gemini_whole(encoder_t *e, const llmux_event_t *ev, block_t *b,
                        llmux_buf_t *out)
{
    if (ev->kind == LLMUX_EV_END) {
        put_document(e, out);
    }
    else if (b) {
        keep_block(e, ev, b);
    }
}
