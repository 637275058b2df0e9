/* openai_whole.c - events kept, and said as one chat completion at the end. */

#include <string.h>

#include "openai_encode.h"

typedef llmux_openai_encode_t encoder_t;
typedef llmux_openai_choice_t choice_t;
typedef llmux_openai_block_t block_t;

static const llmux_slice_t none = { NULL, 0 };

/* The buffer to which `n` more bytes go, made when first needed. Their sum
 * is limited; an answer beyond it fails as a whole. */
static llmux_buf_t *room(encoder_t *e, llmux_buf_t **to, apr_size_t n)
{
    if (n > LLMUX_ANSWER_MAX - e->kept) {
        e->overflow = 1;
        return NULL;
    }
    e->kept += n;
    if (!*to) {
        *to = llmux_buf_create(e->pool, LLMUX_ANSWER_MAX);
    }
    return *to;
}

static void keep(encoder_t *e, llmux_buf_t **to, llmux_slice_t s)
{
    llmux_buf_t *b = s.data ? room(e, to, s.len) : NULL;

    if (b) {
        llmux_buf_add_slice(b, s);
    }
}

static llmux_slice_t kept(const llmux_buf_t *b)
{
    return b ? llmux_buf_slice(b) : none;
}

/* A writer for one more element of an array that is kept as JSON text. */
static int element(encoder_t *e, llmux_buf_t **to, apr_size_t n,
                   llmux_jw_t *w)
{
    llmux_buf_t *b = room(e, to, n);

    if (b) {
        *w = llmux_jw(b);
        w->comma = b->len > 0;
    }
    return b != NULL;
}

static void whole_start(encoder_t *e, const llmux_event_t *ev)
{
    choice_t *c = llmux_openai_choice(e, ev->cand);
    block_t *b;

    if (!c) {
        return;
    }
    b = llmux_openai_block_open(e, c, ev);
    if (b->kind == LLMUX_BLOCK_CALL) {
        keep(e, &b->id, ev->id);
        keep(e, &b->name, ev->name);
    }
}

/* Blocks that are shown one by one are kept when they end, in the order in
 * which they began: so chunks number them. */
static void whole_stop(encoder_t *e, block_t *b)
{
    choice_t *c = b->choice;
    int shown = b->kind == LLMUX_BLOCK_CALL || b->kind == LLMUX_BLOCK_THINK;
    block_t **at = c->last && c->last->key < b->key ? &c->last->next
                                                    : &c->blocks;

    llmux_openai_block_close(e, b, !shown);
    if (!shown) {
        return;
    }
    while (*at && (*at)->key < b->key) {
        at = &(*at)->next;
    }
    b->next = *at;
    *at = b;
    if (!b->next) {
        c->last = b;
    }
}

static void whole_think(encoder_t *e, const llmux_event_t *ev, block_t *b)
{
    if (e->how.show_thinking) {
        keep(e, &b->text, ev->text);
        keep(e, &b->choice->reasoning, ev->text);
    }
}

static void whole_token(encoder_t *e, const llmux_event_t *ev, block_t *b)
{
    if (b->token) {
        e->kept -= b->token->len;
        llmux_buf_reset(b->token);
    }
    b->maker = ev->token.maker;
    keep(e, &b->token, ev->token.bytes);
}

static void whole_cite(encoder_t *e, const llmux_event_t *ev)
{
    choice_t *c = llmux_openai_choice(e, ev->cand);
    llmux_jw_t w;

    if (c && llmux_openai_citable(ev)
        && element(e, &c->annotations, ev->cite->url.len + ev->cite->title.len
                   + ev->cite->quote.len + 128, &w)) {
        llmux_openai_put_annotation(&w, ev->cite, -1);
    }
}

/* Sound comes in pieces of base64 that cannot be joined as they are. */
static void whole_audio(encoder_t *e, const llmux_event_t *ev, block_t *b)
{
    apr_pool_t *scratch;

    apr_pool_create(&scratch, e->pool);
    keep(e, &b->choice->audio, llmux_base64_decode(scratch, ev->text));
    apr_pool_destroy(scratch);
}

static void whole_media(encoder_t *e, const llmux_event_t *ev, block_t *b)
{
    llmux_jw_t w;

    if (llmux_openai_is_audio(ev)) {
        whole_audio(e, ev, b);
    }
    else if (llmux_openai_is_image(ev)
             && element(e, &b->choice->images,
                        ev->name.len + ev->text.len + 64, &w)) {
        llmux_openai_put_image(&w, ev, -1);
    }
}

/* The array's elements, to be joined with those of other pieces. */
static void whole_logprobs(encoder_t *e, const llmux_event_t *ev)
{
    choice_t *c = llmux_openai_choice(e, ev->cand);
    llmux_slice_t inner = ev->text;
    llmux_jw_t w;

    if (!c || inner.len < 2 || inner.data[0] != '[') {
        return;
    }
    inner.data++;
    inner.len -= 2;
    if (!llmux_slice_blank(inner)
        && element(e, &c->logprobs, inner.len + 1, &w)) {
        llmux_jw_raw(&w, inner);
    }
}

static void whole_block(encoder_t *e, const llmux_event_t *ev)
{
    block_t *b = llmux_openai_block(e, ev->key);

    if (!b) {
        return;
    }
    switch (ev->kind) {
    case LLMUX_EV_TEXT:
        keep(e, &b->choice->text, ev->text);
        break;
    case LLMUX_EV_THINK:
        whole_think(e, ev, b);
        break;
    case LLMUX_EV_REFUSAL:
        b->choice->refused = 1;
        keep(e, &b->choice->refusal, ev->text);
        break;
    case LLMUX_EV_ARGS:
        keep(e, &b->text, ev->text);
        break;
    case LLMUX_EV_TOKEN:
        whole_token(e, ev, b);
        break;
    case LLMUX_EV_MEDIA:
        whole_media(e, ev, b);
        break;
    case LLMUX_EV_BLOCK_STOP:
        whole_stop(e, b);
        break;
    default:
        break;
    }
}

static void opt_array(llmux_jw_t *w, const char *name, const llmux_buf_t *b)
{
    if (b) {
        llmux_jw_key(w, name);
        llmux_jw_open(w, '[');
        llmux_jw_raw(w, llmux_buf_slice(b));
        llmux_jw_close(w, ']');
    }
}

static void write_call(llmux_jw_t *w, const block_t *b, int index)
{
    llmux_slice_t args = kept(b->text);

    llmux_jw_open(w, '{');
    llmux_jw_key(w, "id");
    llmux_jw_str(w, kept(b->id));
    llmux_jw_key(w, "type");
    llmux_jw_cstr(w, b->custom ? "custom" : "function");
    llmux_jw_key(w, b->custom ? "custom" : "function");
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "name");
    llmux_jw_str(w, kept(b->name));
    llmux_jw_key(w, b->custom ? "input" : "arguments");
    llmux_jw_str(w, args.len ? args : llmux_slice(b->custom ? "" : "{}"));
    llmux_jw_close(w, '}');
    if (b->token && b->maker == LLMUX_MAKER_GEMINI) {
        llmux_openai_put_call_token(w, kept(b->token));
    }
    llmux_jw_close(w, '}');
}

static void write_thought(llmux_jw_t *w, const block_t *b, int index)
{
    llmux_token_t token = { .maker = LLMUX_MAKER_NONE };

    if (b->token) {
        token.maker = b->maker;
        token.bytes = kept(b->token);
    }
    llmux_openai_put_detail(w, index, kept(b->text), token);
}

/* The blocks of one kind as an array; a thought that says nothing and is
 * not signed is left out. */
static void write_blocks(llmux_jw_t *w, const char *name, const choice_t *c,
                         llmux_block_e kind,
                         void (*write)(llmux_jw_t *w, const block_t *b,
                                       int index))
{
    const block_t *b;
    int n = 0;

    for (b = c->blocks; b; b = b->next) {
        if (b->kind != kind
            || (kind == LLMUX_BLOCK_THINK && !b->text && !b->token)) {
            continue;
        }
        if (!n) {
            llmux_jw_key(w, name);
            llmux_jw_open(w, '[');
        }
        write(w, b, n++);
    }
    if (n) {
        llmux_jw_close(w, ']');
    }
}

static void write_audio(encoder_t *e, llmux_jw_t *w, const choice_t *c)
{
    if (c->audio) {
        llmux_jw_key(w, "audio");
        llmux_jw_open(w, '{');
        llmux_openai_put_audio(w, &e->how);
        llmux_jw_key(w, "data");
        llmux_jw_str(w, llmux_base64_encode(e->pool, kept(c->audio)));
        llmux_jw_close(w, '}');
    }
}

static void write_message(encoder_t *e, llmux_jw_t *w, const choice_t *c)
{
    int silent = c->calls || c->refusal || c->audio
        || (c->finish && !strcmp(c->finish, "content_filter"));

    llmux_jw_open(w, '{');
    llmux_jw_key(w, "role");
    llmux_jw_cstr(w, "assistant");
    llmux_jw_key(w, "content");
    llmux_jw_str(w, c->text || silent ? kept(c->text) : llmux_slice(""));
    llmux_jw_key(w, "refusal");
    llmux_jw_str(w, kept(c->refusal));
    if (e->how.show_thinking) {
        llmux_jw_opt_str(w, "reasoning_content", kept(c->reasoning));
        write_blocks(w, "reasoning_details", c, LLMUX_BLOCK_THINK,
                     write_thought);
    }
    write_blocks(w, "tool_calls", c, LLMUX_BLOCK_CALL, write_call);
    opt_array(w, "annotations", c->annotations);
    opt_array(w, "images", c->images);
    write_audio(e, w, c);
    llmux_jw_close(w, '}');
}

static void write_choice(encoder_t *e, llmux_jw_t *w, const choice_t *c)
{
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "index");
    llmux_jw_int(w, c->index);
    llmux_jw_key(w, "message");
    write_message(e, w, c);
    llmux_jw_key(w, "logprobs");
    if (c->logprobs) {
        llmux_jw_open(w, '{');
        opt_array(w, "content", c->logprobs);
        llmux_jw_key(w, "refusal");
        llmux_jw_null(w);
        llmux_jw_close(w, '}');
    }
    else {
        llmux_jw_null(w);
    }
    llmux_jw_key(w, "finish_reason");
    llmux_jw_cstr(w, c->finish);
    llmux_jw_close(w, '}');
}

static void whole_end(encoder_t *e, llmux_buf_t *out)
{
    llmux_jw_t w;
    int i;

    if (e->overflow) {
        out->failed = 1;    /* the buffer's way to say: it did not fit */
        return;
    }
    llmux_buf_add_slice(out, e->head);
    w = llmux_jw(out);
    for (i = 0; i < e->room; i++) {
        if (e->choices[i]) {
            write_choice(e, &w, e->choices[i]);
        }
    }
    llmux_openai_whole_end(&w, &e->usage);
}

static void whole_finish(encoder_t *e, const llmux_event_t *ev)
{
    choice_t *c = llmux_openai_choice(e, ev->cand);

    if (c && !c->finish) {
        c->finish = llmux_openai_finish(c, ev->finish);
    }
}

void llmux_openai_whole(encoder_t *e, const llmux_event_t *ev,
                        llmux_buf_t *out)
{
    switch (ev->kind) {
    case LLMUX_EV_BLOCK_START:
        whole_start(e, ev);
        break;
    case LLMUX_EV_CITE:
        whole_cite(e, ev);
        break;
    case LLMUX_EV_LOGPROBS:
        whole_logprobs(e, ev);
        break;
    case LLMUX_EV_FINISH:
        whole_finish(e, ev);
        break;
    case LLMUX_EV_END:
        whole_end(e, out);
        break;
    default:
        whole_block(e, ev);
    }
}
