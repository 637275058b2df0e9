/* completions_encode.c - events become legacy completions, in chunks or whole.
 * There is text and nothing else: a refusal is text, thoughts and calls are
 * left out. */

#include <string.h>

#include "completions.h"
#include "openai_answer.h"

typedef struct choice_t {
    int index;
    int begun;              /* streamed: the prompt was repeated, if wanted */
    int refused;
    const char *finish;
    llmux_buf_t *text;      /* whole: characters */
    llmux_completions_logprobs_t logprobs;  /* streamed: where they are */
} choice_t;

/* A block of text that is open. */
typedef struct block_t {
    struct block_t *next;
    choice_t *choice;
    int key;
} block_t;

typedef struct encoder_t {
    llmux_encoder_t base;
    apr_pool_t *pool;
    llmux_encode_t how;
    llmux_slice_t head;     /* of each document, up to its choices */
    const char *tail;       /* streamed: what ends each chunk */
    llmux_usage_t usage;
    choice_t **choices;     /* by index, with gaps */
    int room;               /* of them */
    block_t *open, *unused;
    llmux_completions_logprobs_t piece;     /* streamed: of one chunk */
    llmux_json_parser_t *parser;            /* of log probabilities */
    apr_pool_t *scratch;                    /* likewise */
    apr_size_t kept;        /* whole: bytes so far */
    int overflow;           /* whole: they were too many */
    int ended;
} encoder_t;

static const llmux_slice_t none = { NULL, 0 };

/* ---- the prompt ------------------------------------------------------ */

static const llmux_chat_t *chat_of(const encoder_t *e, int index)
{
    const llmux_chat_t *chat = e->how.chat;
    int i = chat && chat->prompt ? index / llmux_completions_n(chat) : 0;

    for (; chat && chat->prompt && i; i--) {
        chat = chat->next;
    }
    return chat && chat->prompt ? chat : NULL;
}

/* What to repeat in front of the answer; absent for nothing. */
static llmux_slice_t echo_of(const encoder_t *e, const choice_t *c)
{
    const llmux_chat_t *chat = chat_of(e, c->index);

    return chat && chat->prompt->echo == LLMUX_YES
        ? llmux_completions_text(chat) : none;
}

/* ---- choices and blocks ---------------------------------------------- */

static void make_room(encoder_t *e, int places)
{
    int room = e->room ? e->room : 1;
    choice_t **more;

    while (room < places) {
        room *= 2;
    }
    if (room > e->room) {
        more = apr_pcalloc(e->pool, (apr_size_t)room * sizeof(*more));
        if (e->room) {
            memcpy(more, e->choices, (apr_size_t)e->room * sizeof(*more));
        }
        e->choices = more;
        e->room = room;
    }
}

/* Offsets count from the beginning of the prompt, repeated or not. */
static choice_t *new_choice(encoder_t *e, int index)
{
    choice_t *c = apr_pcalloc(e->pool, sizeof(*c));
    const llmux_chat_t *chat = chat_of(e, index);

    c->index = index;
    if (chat) {
        c->logprobs.at = llmux_slice_points(llmux_completions_text(chat));
    }
    return c;
}

static choice_t *find_choice(encoder_t *e, int cand)
{
    if (cand < 0 || cand >= LLMUX_CHOICES_MAX) {
        return NULL;
    }
    make_room(e, cand + 1);
    if (!e->choices[cand]) {
        e->choices[cand] = new_choice(e, cand);
    }
    return e->choices[cand];
}

static block_t *find_block(const encoder_t *e, int key)
{
    block_t *b = e->open;

    while (b && b->key != key) {
        b = b->next;
    }
    return b;
}

static void open_block(encoder_t *e, const llmux_event_t *ev)
{
    choice_t *c = find_choice(e, ev->cand);
    block_t *b = e->unused;

    if (!c || (ev->block != LLMUX_BLOCK_TEXT
               && ev->block != LLMUX_BLOCK_REFUSAL)) {
        return;
    }
    if (b) {
        e->unused = b->next;
    }
    else {
        b = apr_palloc(e->pool, sizeof(*b));
    }
    b->choice = c;
    b->key = ev->key;
    b->next = e->open;
    e->open = b;
}

static void close_block(encoder_t *e, int key)
{
    block_t *b = find_block(e, key), **at = &e->open;

    if (b) {
        while (*at != b) {
            at = &(*at)->next;
        }
        *at = b->next;
        b->next = e->unused;
        e->unused = b;
    }
}

/* ---- words ----------------------------------------------------------- */

static const char *const finishes[] = {
    [LLMUX_FINISH_STOP]          = "stop",
    [LLMUX_FINISH_STOP_SEQUENCE] = "stop",
    [LLMUX_FINISH_LENGTH]        = "length",
    [LLMUX_FINISH_CONTEXT]       = "length",
    [LLMUX_FINISH_CALLS]         = "stop",
    [LLMUX_FINISH_FILTER]        = "content_filter",
    [LLMUX_FINISH_REFUSAL]       = "content_filter",
    [LLMUX_FINISH_MALFORMED]     = "stop",
    [LLMUX_FINISH_PAUSE]         = "stop",
    [LLMUX_FINISH_OTHER]         = "stop"
};

/* With a refusal in words the reason is "stop", as in chats. */
static const char *finish_of(const choice_t *c, llmux_finish_e finish)
{
    if (finish == LLMUX_FINISH_REFUSAL && c->refused) {
        return "stop";
    }
    return (unsigned)finish < sizeof(finishes) / sizeof(finishes[0])
        ? finishes[finish] : "stop";
}

static void set_head(encoder_t *e, const llmux_event_t *ev)
{
    llmux_buf_t *b = llmux_buf_create(e->pool, LLMUX_EVENT_MAX);
    llmux_jw_t w = llmux_jw(b);

    llmux_jw_open(&w, '{');
    llmux_openai_head_write(&w, "text_completion", &e->how, ev);
    llmux_jw_opt_str(&w, "system_fingerprint", ev->fingerprint);
    llmux_jw_key(&w, "choices");
    llmux_jw_open(&w, '[');
    e->head = llmux_buf_slice(b);
}

/* ---- log probabilities ----------------------------------------------- */

/* Adds those of an event. */
static void add_logprobs(encoder_t *e, llmux_completions_logprobs_t *to,
                         llmux_slice_t list)
{
    if (!e->parser) {
        e->parser = llmux_json_parser_create(e->pool);
        apr_pool_create(&e->scratch, e->pool);
    }
    llmux_completions_logprobs_add(
        to, e->scratch, llmux_json_parse_again(e->parser, list, 0, NULL));
    apr_pool_clear(e->scratch);
}

/* ---- streamed -------------------------------------------------------- */

static void chunk(encoder_t *e, const choice_t *c, llmux_slice_t text,
                  const llmux_completions_logprobs_t *logprobs,
                  const char *finish, llmux_buf_t *out)
{
    llmux_jw_t w;

    llmux_buf_adds(out, "data: ");
    llmux_buf_add_slice(out, e->head);
    w = llmux_jw(out);
    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "text");
    llmux_jw_str(&w, text.data ? text : llmux_slice(""));
    llmux_jw_key(&w, "index");
    llmux_jw_int(&w, c->index);
    llmux_jw_key(&w, "logprobs");
    if (logprobs) {
        llmux_completions_logprobs_write(&w, logprobs);
    }
    else {
        llmux_jw_null(&w);
    }
    llmux_jw_key(&w, "finish_reason");
    llmux_jw_cstr(&w, finish);
    llmux_jw_close(&w, '}');
    llmux_buf_adds(out, e->tail);
}

static void begin(encoder_t *e, choice_t *c, llmux_buf_t *out)
{
    llmux_slice_t echo = c->begun ? none : echo_of(e, c);

    c->begun = 1;
    if (echo.len) {
        chunk(e, c, echo, NULL, NULL, out);
    }
}

static void stream_text(encoder_t *e, choice_t *c, const llmux_event_t *ev,
                        llmux_buf_t *out)
{
    begin(e, c, out);
    chunk(e, c, ev->text, NULL, NULL, out);
}

static void stream_logprobs(encoder_t *e, choice_t *c,
                            const llmux_event_t *ev, llmux_buf_t *out)
{
    if (!e->piece.tokens) {
        llmux_completions_logprobs_init(&e->piece, e->pool);
    }
    llmux_completions_logprobs_reset(&e->piece);
    e->piece.at = c->logprobs.at;
    add_logprobs(e, &e->piece, ev->text);
    c->logprobs.at = e->piece.at;
    if (e->piece.tokens->len) {
        begin(e, c, out);
        chunk(e, c, none, &e->piece, NULL, out);
    }
}

static void stream_finish(encoder_t *e, choice_t *c, const llmux_event_t *ev,
                          llmux_buf_t *out)
{
    if (!c->finish) {
        c->finish = finish_of(c, ev->finish);
        begin(e, c, out);
        chunk(e, c, none, NULL, c->finish, out);
    }
}

/* ---- whole ----------------------------------------------------------- */

/* Is there room for so many bytes more? */
static int keep(encoder_t *e, apr_size_t n)
{
    if (n > LLMUX_ANSWER_MAX - e->kept) {
        e->overflow = 1;
        return 0;
    }
    e->kept += n;
    return 1;
}

static void whole_text(encoder_t *e, choice_t *c, const llmux_event_t *ev,
                       llmux_buf_t *out)
{
    if (keep(e, ev->text.len)) {
        if (!c->text) {
            c->text = llmux_buf_create(e->pool, LLMUX_ANSWER_MAX);
        }
        llmux_buf_add_slice(c->text, ev->text);
    }
}

static void whole_logprobs(encoder_t *e, choice_t *c, const llmux_event_t *ev,
                           llmux_buf_t *out)
{
    if (keep(e, ev->text.len)) {
        if (!c->logprobs.tokens) {
            llmux_completions_logprobs_init(&c->logprobs, e->pool);
        }
        add_logprobs(e, &c->logprobs, ev->text);
    }
}

static void whole_finish(encoder_t *e, choice_t *c, const llmux_event_t *ev,
                         llmux_buf_t *out)
{
    if (!c->finish) {
        c->finish = finish_of(c, ev->finish);
    }
}

static void write_text(encoder_t *e, llmux_jw_t *w, const choice_t *c)
{
    llmux_slice_t echo = echo_of(e, c);
    llmux_slice_t text = c->text ? llmux_buf_slice(c->text) : llmux_slice("");
    llmux_buf_t *both;

    if (echo.len) {
        both = llmux_buf_create(e->pool, echo.len + text.len);
        llmux_buf_add_slice(both, echo);
        llmux_buf_add_slice(both, text);
        text = llmux_buf_slice(both);
        w->out->failed |= both->failed;
    }
    llmux_jw_key(w, "text");
    llmux_jw_str(w, text);
}

static void write_choice(encoder_t *e, llmux_jw_t *w, const choice_t *c)
{
    llmux_jw_open(w, '{');
    write_text(e, w, c);
    llmux_jw_key(w, "index");
    llmux_jw_int(w, c->index);
    llmux_jw_key(w, "logprobs");
    llmux_completions_logprobs_write(w, &c->logprobs);
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

/* ---- the encoder ----------------------------------------------------- */

static void end(encoder_t *e, llmux_buf_t *out)
{
    if (e->how.streamed) {
        llmux_openai_stream_end(out, &e->how, e->head, &e->usage);
    }
    else {
        whole_end(e, out);
    }
}

static void say_text(encoder_t *e, const llmux_event_t *ev, llmux_buf_t *out)
{
    block_t *b = find_block(e, ev->key);

    if (!b || !ev->text.len) {
        return;
    }
    b->choice->refused |= ev->kind == LLMUX_EV_REFUSAL;
    if (e->how.streamed) {
        stream_text(e, b->choice, ev, out);
    }
    else {
        whole_text(e, b->choice, ev, out);
    }
}

static void say_choice(encoder_t *e, const llmux_event_t *ev,
                       llmux_buf_t *out)
{
    static void (*const says[2][2])(encoder_t *, choice_t *,
                                    const llmux_event_t *, llmux_buf_t *) = {
        { whole_logprobs, whole_finish }, { stream_logprobs, stream_finish }
    };
    choice_t *c = find_choice(e, ev->cand);

    if (c) {
        says[!!e->how.streamed][ev->kind == LLMUX_EV_FINISH](e, c, ev, out);
    }
}

static void say(encoder_t *e, const llmux_event_t *ev, llmux_buf_t *out)
{
    switch (ev->kind) {
    case LLMUX_EV_BLOCK_START:
        open_block(e, ev);
        break;
    case LLMUX_EV_BLOCK_STOP:
        close_block(e, ev->key);
        break;
    case LLMUX_EV_TEXT:
    case LLMUX_EV_REFUSAL:
        say_text(e, ev, out);
        break;
    case LLMUX_EV_LOGPROBS:
    case LLMUX_EV_FINISH:
        say_choice(e, ev, out);
        break;
    case LLMUX_EV_USAGE:
        llmux_usage_merge(&e->usage, ev->usage);
        break;
    case LLMUX_EV_PING:
        if (e->how.streamed) {
            llmux_buf_adds(out, ": keep-alive\n\n");
        }
        break;
    case LLMUX_EV_ERROR:
        if (e->how.streamed) {
            llmux_openai_stream_error(out, ev->error);
        }
        break;
    case LLMUX_EV_END:
        end(e, out);
        break;
    default:            /* what has no place in a text */
        break;
    }
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
    if (!e->head.data && ev->kind != LLMUX_EV_PING) {
        set_head(e, ev->kind == LLMUX_EV_START ? ev : &nothing);
    }
    say(e, ev, out);
}

llmux_encoder_t *llmux_completions_encoder(apr_pool_t *p,
                                           const llmux_encode_t *how)
{
    static const llmux_usage_t unknown = LLMUX_USAGE_NONE;
    encoder_t *e = apr_pcalloc(p, sizeof(*e));

    e->base.event = event;
    e->pool = p;
    e->how = *how;
    e->usage = unknown;
    e->tail = llmux_openai_chunk_tail(how);
    return &e->base;
}
