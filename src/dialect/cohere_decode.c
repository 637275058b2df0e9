/* cohere_decode.c - answers of Cohere's /v2/chat, whole or in pieces, as
 * events. */

#include <apr_strings.h>
#include <string.h>

#include "cohere.h"

/* In place of a content's number: the plan for the calls. */
#define PLAN    (-2)
#define NOWHERE (-1)

/* Where a text of the answer begins, for citations. */
typedef struct spot_t {
    int known;
    int key;
    apr_int64_t at;             /* code points before it */
} spot_t;

typedef struct decoder_t {
    llmux_decoder_t base;
    int open;                   /* a block is open ... */
    llmux_block_e kind;         /* ... of this kind ... */
    apr_int64_t index;          /* ... with this number of the API's */
    int pieces;                 /* arguments came for the open call */
    int keys;                   /* blocks so far */
    int calls;
    apr_int64_t points;         /* code points of text so far */
    spot_t first, plan, spots[LLMUX_PARTS_MAX];
    int cites;                  /* sources looked at */
    llmux_slice_t id;
} decoder_t;

static void emit(decoder_t *d, const llmux_event_t *ev)
{
    llmux_decoder_emit(&d->base, ev);
}

static void fail(decoder_t *d, const char *why)
{
    llmux_decoder_fail(&d->base, LLMUX_ERR_BAD_UPSTREAM, why);
}

static llmux_slice_t str(decoder_t *d, const llmux_json_t *object,
                         const char *name)
{
    return llmux_json_str(d->base.scratch, llmux_json_get(object, name));
}

/* ---- blocks ---------------------------------------------------------- */

static void close_block(decoder_t *d)
{
    llmux_event_t ev = { .kind = LLMUX_EV_BLOCK_STOP, .key = d->keys - 1 };

    if (d->open) {
        emit(d, &ev);
        d->open = 0;
    }
}

/* Remembers where the open text begins. */
static void mark(decoder_t *d)
{
    spot_t spot = { 1, d->keys - 1, d->points };

    if (d->index == PLAN) {
        d->plan = spot;
    }
    else {
        d->first = d->first.known ? d->first : spot;
        if (d->index >= 0 && d->index < LLMUX_PARTS_MAX) {
            d->spots[d->index] = spot;
        }
    }
}

/* Begins a block, ending the one before. @return 0 if there are too many */
static int begin(decoder_t *d, llmux_event_t *ev, apr_int64_t index)
{
    close_block(d);
    if (d->keys >= LLMUX_BLOCKS_MAX) {
        fail(d, "The provider's answer has too many parts.");
        return 0;
    }
    d->open = 1;
    d->kind = ev->block;
    d->index = index;
    d->pieces = 0;
    ev->kind = LLMUX_EV_BLOCK_START;
    ev->key = d->keys++;
    emit(d, ev);
    if (d->kind == LLMUX_BLOCK_TEXT) {
        mark(d);
    }
    return 1;
}

/* More of the open block, or of one that is begun for it: not every server
 * says that it begins. */
static void words(decoder_t *d, llmux_block_e block, apr_int64_t index,
                  llmux_slice_t text)
{
    llmux_event_t ev = { .block = block };

    if (!text.len) {
        return;
    }
    if (!(d->open && d->kind == block && d->index == index)
        && !begin(d, &ev, index)) {
        return;
    }
    ev.kind = block == LLMUX_BLOCK_TEXT ? LLMUX_EV_TEXT : LLMUX_EV_THINK;
    ev.key = d->keys - 1;
    ev.text = text;
    emit(d, &ev);
    if (block == LLMUX_BLOCK_TEXT) {
        d->points += llmux_slice_points(text);
    }
}

static void content(decoder_t *d, apr_int64_t index, const llmux_json_t *v)
{
    words(d, LLMUX_BLOCK_THINK, index, str(d, v, "thinking"));
    words(d, LLMUX_BLOCK_TEXT, index, str(d, v, "text"));
}

/* ---- calls ----------------------------------------------------------- */

/* Seen in the wild: "null" for a tool without parameters. No object begins
 * like that. */
static void args(decoder_t *d, llmux_slice_t text)
{
    llmux_event_t ev = { .kind = LLMUX_EV_ARGS, .key = d->keys - 1 };

    if (!text.len || (!d->pieces && llmux_slice_is(text, "null"))) {
        return;
    }
    d->pieces = 1;
    ev.text = text;
    emit(d, &ev);
}

static void call(decoder_t *d, apr_int64_t index, const llmux_json_t *v)
{
    const llmux_json_t *function = llmux_json_get(v, "function");
    llmux_event_t ev = { .block = LLMUX_BLOCK_CALL };

    ev.id = str(d, v, "id");
    ev.name = str(d, function, "name");
    if (!ev.id.len) {
        ev.id = llmux_slice(llmux_random_id(d->base.env, d->base.scratch,
                                            "call_"));
    }
    if (begin(d, &ev, index)) {
        d->calls++;
        args(d, str(d, function, "arguments"));
    }
}

/* ---- citations ------------------------------------------------------- */

/* Which text a citation counts from; NULL for thoughts. */
static const spot_t *spot_of(const decoder_t *d, const llmux_json_t *cite)
{
    const llmux_json_t *type = llmux_json_get(cite, "type");
    apr_int64_t index = llmux_json_int(llmux_json_get(cite, "content_index"),
                                       NOWHERE);
    const spot_t *spot = &d->first;

    if (llmux_json_is(type, "PLAN")) {
        spot = &d->plan;
    }
    else if (llmux_json_is(type, "THINKING_CONTENT")) {
        return NULL;
    }
    else if (index >= 0 && index < LLMUX_PARTS_MAX) {
        spot = &d->spots[index];
    }
    return spot->known ? spot : NULL;
}

static void emit_cite(decoder_t *d, const spot_t *spot,
                      const llmux_json_t *cite, const llmux_json_t *what)
{
    llmux_event_t ev = { .kind = LLMUX_EV_CITE, .key = spot->key };
    llmux_cite_t out = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, -1, -1 };
    apr_int64_t start = llmux_json_int(llmux_json_get(cite, "start"), -1);
    apr_int64_t end = llmux_json_int(llmux_json_get(cite, "end"), -1);

    out.url = str(d, what, "url");
    out.title = str(d, what, "title");
    if (!out.url.len) {
        return;
    }
    if (start >= 0 && end >= start && end <= d->points - spot->at) {
        out.start = spot->at + start;
        out.end = spot->at + end;
    }
    ev.cite = &out;
    emit(d, &ev);
}

/* A source is the client's own: what a tool said. Only one that is on the web
 * can be told as a citation. */
static void cite(decoder_t *d, const llmux_json_t *v)
{
    const llmux_json_t *list = llmux_json_get(v, "sources"), *source;
    const spot_t *spot = spot_of(d, v);
    const llmux_json_t *what;

    for (source = llmux_json_first(list);
         spot && source && d->cites < LLMUX_CITES_MAX;
         source = llmux_json_next(list, source)) {
        d->cites++;
        what = llmux_json_get(source, "document");
        emit_cite(d, spot, v, what ? what
                              : llmux_json_get(source, "tool_output"));
    }
}

/* ---- the end --------------------------------------------------------- */

/* What is billed is less than what was read: a server that tells only that is
 * believed, else all tokens count. */
static void usage(decoder_t *d, const llmux_json_t *v)
{
    llmux_event_t ev = { .kind = LLMUX_EV_USAGE };
    llmux_usage_t u = LLMUX_USAGE_NONE;
    const llmux_json_t *tokens = llmux_json_get(v, "tokens");
    apr_int64_t cached = llmux_json_int(llmux_json_get(v, "cached_tokens"),
                                        -1);

    if (!tokens) {
        tokens = llmux_json_get(v, "billed_units");
        cached = -1;
    }
    u.input = llmux_json_int(llmux_json_get(tokens, "input_tokens"), -1);
    u.output = llmux_json_int(llmux_json_get(tokens, "output_tokens"), -1);
    u.input = u.input < 0 ? -1 : u.input;
    u.output = u.output < 0 ? -1 : u.output;
    if (cached >= 0 && u.input >= 0) {
        u.cache_read = cached < u.input ? cached : u.input;
        u.input -= u.cache_read;
    }
    if (u.input >= 0 || u.output >= 0) {
        ev.usage = &u;
        emit(d, &ev);
    }
}

/* `failed`: no end, but an error of this kind. */
static const struct {
    const char *word;
    llmux_finish_e finish;
    int failed;
    llmux_error_e error;
} reasons[] = {
    { "COMPLETE",      LLMUX_FINISH_STOP,          0, 0 },
    { "STOP_SEQUENCE", LLMUX_FINISH_STOP_SEQUENCE, 0, 0 },
    { "MAX_TOKENS",    LLMUX_FINISH_LENGTH,        0, 0 },
    { "TOOL_CALL",     LLMUX_FINISH_CALLS,         0, 0 },
    { "ERROR_TOXIC",   LLMUX_FINISH_FILTER,        0, 0 },
    { "ERROR_LIMIT",   LLMUX_FINISH_CONTEXT,       0, 0 },
    { "ERROR",         LLMUX_FINISH_OTHER,         1, LLMUX_ERR_BAD_UPSTREAM },
    { "USER_CANCEL",   LLMUX_FINISH_OTHER,         1, LLMUX_ERR_BAD_UPSTREAM },
    { "TIMEOUT",       LLMUX_FINISH_OTHER,         1, LLMUX_ERR_TIMEOUT },
    { NULL,            LLMUX_FINISH_OTHER,         0, 0 }
};

static void end(decoder_t *d, llmux_slice_t word, llmux_slice_t error)
{
    llmux_event_t ev = { .kind = LLMUX_EV_FINISH };
    llmux_event_t last = { .kind = LLMUX_EV_END };
    int i = 0;

    close_block(d);
    if (!word.len && !error.len) {
        fail(d, "The provider's answer was truncated.");
        return;
    }
    while (reasons[i].word && !llmux_slice_is(word, reasons[i].word)) {
        i++;
    }
    if (error.len || reasons[i].failed) {
        llmux_decoder_fail(&d->base, reasons[i].failed ? reasons[i].error
                                                  : LLMUX_ERR_BAD_UPSTREAM,
                           error.len ? llmux_message_cut(d->base.pool, error)
                           : "The provider broke off its answer.");
        return;
    }
    ev.text = word;
    ev.finish = reasons[i].finish;
    if (ev.finish == LLMUX_FINISH_STOP && d->calls) {
        ev.finish = LLMUX_FINISH_CALLS;
    }
    emit(d, &ev);
    emit(d, &last);
}

static void logprobs(decoder_t *d, const llmux_json_t *v)
{
    llmux_event_t ev = { .kind = LLMUX_EV_LOGPROBS };

    ev.text = llmux_cohere_logprobs(d->base.scratch, v);
    if (ev.text.data) {
        emit(d, &ev);
    }
}

/* ---- events of a stream ---------------------------------------------- */

static apr_int64_t index_of(const llmux_json_t *v)
{
    apr_int64_t n = llmux_json_int(llmux_json_get(v, "index"), NOWHERE);

    return n < 0 ? NOWHERE : n;
}

/* What an event says under delta.message: an object, or a list of one. */
static const llmux_json_t *said(const llmux_json_t *v, const char *name)
{
    const llmux_json_t *what = llmux_json_get(
        llmux_json_get(llmux_json_get(v, "delta"), "message"), name);

    return llmux_json_kind(what) == LLMUX_JSON_ARRAY ? llmux_json_first(what)
                                                     : what;
}

static void start(decoder_t *d, const llmux_json_t *v)
{
    llmux_event_t ev = { .kind = LLMUX_EV_START };

    ev.id = str(d, v, "id");
    d->id = llmux_slice_dup(d->base.pool, ev.id);
    emit(d, &ev);
}

static void on_start(decoder_t *d, const llmux_json_t *v)
{
    if (!d->base.started) {
        start(d, v);
    }
    else if (!llmux_slice_equal(d->id, str(d, v, "id"))) {
        fail(d, "The provider began another answer inside this one.");
    }
}

static void on_content_start(decoder_t *d, const llmux_json_t *v)
{
    const llmux_json_t *what = said(v, "content");
    llmux_event_t ev = { .block = LLMUX_BLOCK_TEXT };

    if (llmux_json_is(llmux_json_get(what, "type"), "thinking")) {
        ev.block = LLMUX_BLOCK_THINK;
    }
    if (begin(d, &ev, index_of(v))) {
        content(d, index_of(v), what);
    }
}

static void on_content(decoder_t *d, const llmux_json_t *v)
{
    content(d, index_of(v), said(v, "content"));
    logprobs(d, llmux_json_get(v, "logprobs"));
}

static void on_plan(decoder_t *d, const llmux_json_t *v)
{
    words(d, LLMUX_BLOCK_TEXT, PLAN,
          llmux_json_str(d->base.scratch, said(v, "tool_plan")));
}

static void on_call_start(decoder_t *d, const llmux_json_t *v)
{
    call(d, index_of(v), said(v, "tool_calls"));
}

static void on_call_delta(decoder_t *d, const llmux_json_t *v)
{
    const llmux_json_t *function = llmux_json_get(said(v, "tool_calls"),
                                                  "function");
    apr_int64_t index = index_of(v);

    if (!d->open || d->kind != LLMUX_BLOCK_CALL
        || (index != NOWHERE && index != d->index)) {
        fail(d, "The provider's answer has arguments of no call.");
        return;
    }
    args(d, str(d, function, "arguments"));
}

static void on_stop(decoder_t *d, const llmux_json_t *v)
{
    close_block(d);
}

static void on_cite(decoder_t *d, const llmux_json_t *v)
{
    cite(d, said(v, "citations"));
}

static void on_end_event(decoder_t *d, const llmux_json_t *v)
{
    const llmux_json_t *delta = llmux_json_get(v, "delta");

    usage(d, llmux_json_get(delta, "usage"));
    end(d, str(d, delta, "finish_reason"), str(d, delta, "error"));
}

static void on_error(decoder_t *d, const llmux_json_t *v)
{
    llmux_event_t ev = { .kind = LLMUX_EV_ERROR };

    ev.error = llmux_cohere_error_read(d->base.pool, 0, v);
    emit(d, &ev);
}

static const struct {
    const char *type;
    void (*on)(decoder_t *d, const llmux_json_t *v);
} handlers[] = {
    { "content-delta",   on_content },
    { "tool-call-delta", on_call_delta },
    { "tool-plan-delta", on_plan },
    { "message-start",   on_start },
    { "content-start",   on_content_start },
    { "content-end",     on_stop },
    { "tool-call-start", on_call_start },
    { "tool-call-end",   on_stop },
    { "citation-start",  on_cite },
    { "message-end",     on_end_event }
};

static void on_payload(llmux_decoder_t *base, llmux_slice_t event_name,
                       const llmux_json_t *v)
{
    decoder_t *d = (decoder_t *)base;
    llmux_slice_t type = str(d, v, "type");
    apr_size_t i;

    type = type.data ? type : event_name;
    for (i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        if (llmux_slice_is(type, handlers[i].type)) {
            handlers[i].on(d, v);
            return;
        }
    }
    if (llmux_json_get(v, "error")
        || llmux_json_kind(llmux_json_get(v, "message"))
               == LLMUX_JSON_STRING) {
        on_error(d, v);
    }
}

/* ---- whole answers --------------------------------------------------- */

static void whole_content(decoder_t *d, const llmux_json_t *list)
{
    const llmux_json_t *v;
    apr_int64_t i = 0;

    if (llmux_json_kind(list) == LLMUX_JSON_STRING) {
        words(d, LLMUX_BLOCK_TEXT, 0, llmux_json_str(d->base.scratch, list));
        return;
    }
    for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
        content(d, i++, v);
    }
}

static void whole_message(decoder_t *d, const llmux_json_t *message)
{
    const llmux_json_t *calls = llmux_json_get(message, "tool_calls");
    const llmux_json_t *cites = llmux_json_get(message, "citations"), *v;
    apr_int64_t i = 0;

    whole_content(d, llmux_json_get(message, "content"));
    words(d, LLMUX_BLOCK_TEXT, PLAN, str(d, message, "tool_plan"));
    for (v = llmux_json_first(calls); v; v = llmux_json_next(calls, v)) {
        call(d, i++, v);
    }
    close_block(d);
    for (v = llmux_json_first(cites); v; v = llmux_json_next(cites, v)) {
        cite(d, v);
    }
}

static void on_whole(llmux_decoder_t *base, const llmux_json_t *body)
{
    decoder_t *d = (decoder_t *)base;
    const llmux_json_t *message = llmux_json_get(body, "message");

    if (llmux_json_kind(message) == LLMUX_JSON_STRING
        || llmux_json_get(body, "error")) {
        on_error(d, body);
        return;
    }
    if (llmux_json_kind(message) != LLMUX_JSON_OBJECT) {
        fail(d, "The provider's answer is not a message.");
        return;
    }
    start(d, body);
    whole_message(d, message);
    logprobs(d, llmux_json_get(body, "logprobs"));
    usage(d, llmux_json_get(body, "usage"));
    end(d, str(d, body, "finish_reason"), llmux_slice(NULL));
}

static void on_end(llmux_decoder_t *base)
{
    fail((decoder_t *)base, "The provider's answer was truncated.");
}

llmux_decoder_t *llmux_cohere_decoder(apr_pool_t *p, const llmux_env_t *env,
                                      llmux_emit_fn emit_to, void *baton)
{
    decoder_t *d = apr_pcalloc(p, sizeof(*d));

    llmux_decoder_init(&d->base, p, env, emit_to, baton);
    d->base.payload = on_payload;
    d->base.whole = on_whole;
    d->base.finish = on_end;
    return &d->base;
}
