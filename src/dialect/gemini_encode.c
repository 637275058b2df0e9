/* gemini_encode.c - events become generateContent's answers: what is known of
 * the answer so far, and who says it. */

#include <apr_strings.h>
#include <string.h>

#include "gemini_encode.h"

typedef llmux_gemini_encode_t encoder_t;
typedef llmux_gemini_cand_t cand_t;
typedef llmux_gemini_block_t block_t;

/* ---- candidates ------------------------------------------------------ */

/* Nearly always there is one. */
static void make_room(encoder_t *e, int places)
{
    int room = places > 1 ? LLMUX_CANDIDATES_MAX : 1;
    cand_t **more;

    if (places <= e->room) {
        return;
    }
    more = apr_pcalloc(e->pool, (apr_size_t)room * sizeof(*more));
    if (e->room) {
        memcpy(more, e->cands, (apr_size_t)e->room * sizeof(*more));
    }
    e->cands = more;
    e->room = room;
}

static cand_t *cand_of(encoder_t *e, int number)
{
    cand_t *c;

    if (number < 0 || number >= LLMUX_CANDIDATES_MAX) {
        return NULL;
    }
    make_room(e, number + 1);
    if (!e->cands[number]) {
        c = e->cands[number] = apr_pcalloc(e->pool, sizeof(*c));
        c->index = number;
        c->sign_key = -1;
        llmux_gemini_text_init(&c->text, e->pool);
    }
    return e->cands[number];
}

static void keep_finish(encoder_t *e, const llmux_event_t *ev)
{
    cand_t *c = cand_of(e, ev->cand);

    if (c && !c->finished) {
        c->finished = 1;
        c->finish = ev->finish;
        c->blocked = ev->blocked;
        apr_cpystrn(c->word, llmux_slice_str(e->pool, ev->text),
                    sizeof(c->word));
    }
}

/* ---- blocks ---------------------------------------------------------- */

static block_t *block_of(const encoder_t *e, int key)
{
    block_t *b = e->open;

    while (b && (b->key != key || b->stopped)) {
        b = b->next;
    }
    return b;
}

static block_t *new_block(encoder_t *e)
{
    block_t *b = e->unused, keep;

    if (!b) {
        return apr_pcalloc(e->pool, sizeof(*b));
    }
    e->unused = b->next;
    keep = *b;
    memset(b, 0, sizeof(*b));
    b->id = keep.id;
    b->name = keep.name;
    b->args = keep.args;
    b->sign = keep.sign;
    return b;
}

/* Buffers are a call's, and made when there is one. */
static void set(encoder_t *e, llmux_buf_t **to, llmux_slice_t s)
{
    if (!*to) {
        *to = llmux_buf_create(e->pool, LLMUX_EVENT_MAX);
    }
    llmux_buf_reset(*to);
    llmux_buf_add_slice(*to, s);
}

static block_t *open_block(encoder_t *e, const llmux_event_t *ev)
{
    static const llmux_slice_t none = { NULL, 0 };
    cand_t *c = cand_of(e, ev->cand);
    block_t *b;

    if (!c) {
        return NULL;
    }
    b = new_block(e);
    b->cand = c;
    b->kind = ev->block;
    b->key = ev->key;
    b->custom = ev->custom;
    if (b->kind == LLMUX_BLOCK_CALL) {
        set(e, &b->id, ev->id);
        set(e, &b->name, ev->name);
        set(e, &b->args, none);
        set(e, &b->sign, none);
    }
    b->next = e->open;
    e->open = b;
    return b;
}

static void close_block(encoder_t *e, block_t *b)
{
    block_t **at = &e->open;

    while (*at != b) {
        at = &(*at)->next;
    }
    *at = b->next;
    b->next = e->unused;
    e->unused = b;
    if (b->kind == LLMUX_BLOCK_CALL) {
        e->args -= b->args->len;
        llmux_buf_reset(b->args);
    }
}

/* Gemini knows no pieces of arguments: they wait for the end of the call. */
static void keep_args(encoder_t *e, block_t *b, llmux_slice_t text)
{
    if (b->kind != LLMUX_BLOCK_CALL || b->overflow) {
        return;
    }
    if (text.len > LLMUX_ARGS_MAX - e->args) {
        b->overflow = 1;
        return;
    }
    e->args += text.len;
    llmux_buf_add_slice(b->args, text);
}

const char *llmux_gemini_call_wrong(encoder_t *e, const block_t *b)
{
    llmux_slice_t args = llmux_buf_slice(b->args);
    apr_pool_t *scratch;
    int good;

    if (b->overflow) {
        return "The arguments of a function call are too long.";
    }
    if (b->custom || llmux_slice_blank(args)) {
        return NULL;
    }
    apr_pool_create(&scratch, e->pool);
    good = llmux_json_is_object(scratch, args);
    apr_pool_destroy(scratch);
    return good ? NULL
                : "The arguments of a function call are not a JSON object.";
}

/* ---- thoughts and signatures ----------------------------------------- */

/* Google shows them to those who asked; where the request was not read, both
 * sides speak this dialect, and the provider knows. */
int llmux_gemini_shows(const encoder_t *e)
{
    return e->how.show_thinking
           && (!e->how.chat || e->how.chat->show_thinking != LLMUX_NO);
}

/* Gemini's own stand on what follows the thought. Others' belong to the words
 * of it and would be refused without them, unless there are none. */
llmux_gemini_sign_e llmux_gemini_sign_of(const encoder_t *e, const block_t *b,
                                         llmux_token_t token)
{
    if (b->kind != LLMUX_BLOCK_THINK || !token.bytes.len
        || token.maker == LLMUX_MAKER_NONE) {
        return LLMUX_GEMINI_SIGN_NOT;
    }
    if (token.maker == LLMUX_MAKER_GEMINI) {
        return LLMUX_GEMINI_SIGN_NEXT;
    }
    if (!e->how.show_thinking || (b->words && !b->shown)) {
        return LLMUX_GEMINI_SIGN_NOT;
    }
    return b->words ? LLMUX_GEMINI_SIGN_THOUGHT : LLMUX_GEMINI_SIGN_NEXT;
}

void llmux_gemini_sign_wait(encoder_t *e, cand_t *c, int key,
                            llmux_slice_t sign)
{
    set(e, &c->sign, sign);
    c->sign_key = key;
}

llmux_slice_t llmux_gemini_sign_take(cand_t *c)
{
    static const llmux_slice_t none = { NULL, 0 };

    if (c->sign_key < 0) {
        return none;
    }
    c->sign_key = -1;
    return llmux_buf_slice(c->sign);
}

static void keep_call_sign(encoder_t *e, block_t *b, llmux_token_t token)
{
    if (token.maker != LLMUX_MAKER_NONE && token.bytes.len) {
        set(e, &b->sign, token.bytes);
    }
}

/* ---- the encoder ----------------------------------------------------- */

static const char *tier_of(llmux_slice_t tier)
{
    static const struct { const char *ours, *theirs; } tiers[] = {
        { "default",  "standard" },
        { "standard", "standard" },
        { "flex",     "flex"     },
        { "priority", "priority" },
        { NULL,       NULL       }
    };
    int i;

    for (i = 0; tiers[i].ours; i++) {
        if (llmux_slice_is(tier, tiers[i].ours)) {
            break;
        }
    }
    return tiers[i].theirs;
}

/* What ends every document. A client may insist on the model's name that it
 * asked for. */
static void set_tail(encoder_t *e, const llmux_event_t *ev)
{
    llmux_buf_t *b = llmux_buf_create(e->pool, LLMUX_EVENT_MAX);
    llmux_jw_t w = llmux_jw(b);

    w.comma = 1;
    llmux_jw_opt_str(&w, "modelVersion",
                     e->how.model.data ? e->how.model : ev->name);
    llmux_jw_opt_str(&w, "responseId",
                     ev->id.len ? ev->id : llmux_slice(e->how.id));
    e->tier = tier_of(ev->tier);
    e->tail = llmux_buf_slice(b);
}

static void say(encoder_t *e, const llmux_event_t *ev, block_t *b,
                llmux_buf_t *out)
{
    if (e->how.streamed) {
        llmux_gemini_chunks(e, ev, b, out);
    }
    else {
        llmux_gemini_whole(e, ev, b, out);
    }
}

/* The open call that began first: of this candidate, or of those that are
 * complete. */
static block_t *first_call(const encoder_t *e, const cand_t *c)
{
    block_t *b, *first = NULL;

    for (b = e->open; b; b = b->next) {
        if (b->kind == LLMUX_BLOCK_CALL && (c ? b->cand == c : b->stopped)
            && (!first || b->key < first->key)) {
            first = b;
        }
    }
    return first;
}

static void stop(encoder_t *e, block_t *b, llmux_buf_t *out)
{
    llmux_event_t ev = { .kind = LLMUX_EV_BLOCK_STOP, .key = b->key };

    say(e, &ev, b, out);
    close_block(e, b);
}

/* Calls that were made together may be complete in any order. They are said
 * in that in which they began: it is how results find their calls. */
static void end_block(encoder_t *e, block_t *b, llmux_buf_t *out)
{
    const cand_t *c = b->cand;

    if (b->kind != LLMUX_BLOCK_CALL) {
        stop(e, b, out);
        return;
    }
    b->stopped = 1;
    for (b = first_call(e, c); b && b->stopped; b = first_call(e, c)) {
        stop(e, b, out);
    }
}

/* Nothing waits beyond the end. */
static void end_calls(encoder_t *e, llmux_buf_t *out)
{
    block_t *b;

    for (b = first_call(e, NULL); b; b = first_call(e, NULL)) {
        stop(e, b, out);
    }
}

/* Events that say nothing at once.
 * @return whether it was one of them */
static int keeps(encoder_t *e, const llmux_event_t *ev, block_t *b)
{
    cand_t *c;

    switch (ev->kind) {
    case LLMUX_EV_USAGE:
        llmux_usage_merge(&e->usage, ev->usage);
        return 1;
    case LLMUX_EV_FINISH:
        keep_finish(e, ev);
        return 1;
    case LLMUX_EV_CITE:
    case LLMUX_EV_LOGPROBS:
        c = cand_of(e, ev->cand);
        if (c && ev->kind == LLMUX_EV_CITE) {
            llmux_gemini_keep_cite(e, c, ev->cite);
        }
        else if (c) {
            llmux_gemini_keep_logprobs(e, c, ev->text);
        }
        return 1;
    case LLMUX_EV_ARGS:
        if (b) {
            keep_args(e, b, ev->text);
        }
        return 1;
    case LLMUX_EV_TOKEN:
        if (b && b->kind == LLMUX_BLOCK_CALL) {
            keep_call_sign(e, b, ev->token);
            return 1;
        }
        return 0;
    default:
        return 0;
    }
}

static void take(encoder_t *e, const llmux_event_t *ev, llmux_buf_t *out)
{
    block_t *b = ev->kind == LLMUX_EV_BLOCK_START ? open_block(e, ev)
                                                  : block_of(e, ev->key);

    if (keeps(e, ev, b)) {
        return;
    }
    if (b && ev->kind == LLMUX_EV_THINK && ev->text.len) {
        b->words = 1;
        b->shown = llmux_gemini_shows(e);
    }
    if (b && (ev->kind == LLMUX_EV_TEXT || ev->kind == LLMUX_EV_REFUSAL)) {
        llmux_gemini_text_add(&b->cand->text, ev->text);
    }
    if (b && ev->kind == LLMUX_EV_BLOCK_STOP) {
        end_block(e, b, out);
        return;
    }
    if (ev->kind == LLMUX_EV_END || ev->kind == LLMUX_EV_ERROR) {
        end_calls(e, out);
    }
    say(e, ev, b, out);
}

/* What is another maker's goes under a seal before anybody sees it. */
static void take_token(encoder_t *e, const llmux_event_t *ev,
                       llmux_buf_t *out)
{
    llmux_event_t closed = *ev;
    apr_pool_t *scratch;

    apr_pool_create(&scratch, e->pool);
    closed.token = llmux_gemini_token_close(scratch, &e->how, &ev->token);
    take(e, &closed, out);
    apr_pool_destroy(scratch);
}

static void event(llmux_encoder_t *base, const llmux_event_t *ev,
                  llmux_buf_t *out)
{
    static const llmux_event_t nothing = { .kind = LLMUX_EV_START };
    encoder_t *e = (encoder_t *)base;

    if (e->ended) {
        return;
    }
    e->ended = ev->kind == LLMUX_EV_ERROR || ev->kind == LLMUX_EV_END;
    if (!e->tail.data && ev->kind != LLMUX_EV_PING) {
        set_tail(e, ev->kind == LLMUX_EV_START ? ev : &nothing);
    }
    if (ev->kind == LLMUX_EV_TOKEN) {
        take_token(e, ev, out);
    }
    else if (ev->kind != LLMUX_EV_START) {
        take(e, ev, out);
    }
}

llmux_encoder_t *llmux_gemini_encoder(apr_pool_t *p,
                                      const llmux_encode_t *how)
{
    static const llmux_usage_t unknown = LLMUX_USAGE_NONE;
    encoder_t *e = apr_pcalloc(p, sizeof(*e));

    e->base.event = event;
    e->pool = p;
    e->how = *how;
    e->usage = unknown;
    e->begun = how->begun;
    return &e->base;
}
