/* ollama_decode.c - answers of Ollama's /api/chat, whole or a line at a time,
 * as events.
 *
 * Each line is a message of its own that continues those before it; the last
 * one says so ("done") and brings the counts. A whole answer is such a last
 * line with everything in it. Times are not read: they are those of the line,
 * which is now. */

#include <string.h>

#include "ollama.h"
#include "errors.h"

typedef struct decoder_t {
    llmux_decoder_t base;
    int open;                   /* a block is open ... */
    llmux_block_e kind;         /* ... of this kind; calls and pictures come
                                 * whole and do not stay open */
    int keys;                   /* blocks so far */
    int calls;
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

/* Begins a block, ending the one before. @return 0 if there are too many */
static int begin(decoder_t *d, llmux_event_t *ev)
{
    close_block(d);
    if (d->keys >= LLMUX_BLOCKS_MAX) {
        fail(d, "The provider's answer has too many parts.");
        return 0;
    }
    d->open = 1;
    d->kind = ev->block;
    ev->kind = LLMUX_EV_BLOCK_START;
    ev->key = d->keys++;
    emit(d, ev);
    return 1;
}

static void piece(decoder_t *d, llmux_block_e block, llmux_event_e kind,
                  llmux_slice_t text)
{
    llmux_event_t ev = { .block = block };

    if (!text.len || (!(d->open && d->kind == block) && !begin(d, &ev))) {
        return;
    }
    ev.kind = kind;
    ev.key = d->keys - 1;
    ev.text = text;
    emit(d, &ev);
}

/* Arguments are an object; proxies have been seen to send its text. */
static llmux_slice_t args_of(decoder_t *d, const llmux_json_t *function)
{
    static const llmux_slice_t none = { NULL, 0 };
    const llmux_json_t *args = llmux_json_get(function, "arguments");

    if (llmux_json_kind(args) == LLMUX_JSON_STRING) {
        return llmux_json_str(d->base.scratch, args);
    }
    return llmux_json_count(args) ? llmux_json_raw(args) : none;
}

/* A call comes whole. Only new servers give it an id. */
static void on_call(decoder_t *d, const llmux_json_t *call)
{
    const llmux_json_t *function = llmux_json_get(call, "function");
    llmux_event_t ev = { .block = LLMUX_BLOCK_CALL };

    ev.id = str(d, call, "id");
    ev.name = str(d, function, "name");
    if (!ev.name.len) {
        return;
    }
    if (!ev.id.len) {
        ev.id = llmux_slice(llmux_random_id(d->base.env, d->base.scratch,
                                            "call_"));
    }
    if (!begin(d, &ev)) {
        return;
    }
    d->calls++;
    piece(d, LLMUX_BLOCK_CALL, LLMUX_EV_ARGS, args_of(d, function));
    close_block(d);
}

static void on_image(decoder_t *d, const llmux_json_t *image)
{
    llmux_event_t ev = { .block = LLMUX_BLOCK_MEDIA };
    llmux_slice_t base64 = llmux_json_str(d->base.scratch, image);
    const char *type = llmux_media_sniff(base64);

    if (!base64.len || !begin(d, &ev)) {
        return;
    }
    ev.kind = LLMUX_EV_MEDIA;
    ev.name = llmux_slice(type ? type : "application/octet-stream");
    ev.text = base64;
    emit(d, &ev);
    close_block(d);
}

static void on_message(decoder_t *d, const llmux_json_t *message)
{
    const llmux_json_t *calls = llmux_json_get(message, "tool_calls"), *v;
    const llmux_json_t *images = llmux_json_get(message, "images");

    piece(d, LLMUX_BLOCK_THINK, LLMUX_EV_THINK, str(d, message, "thinking"));
    piece(d, LLMUX_BLOCK_TEXT, LLMUX_EV_TEXT, str(d, message, "content"));
    for (v = llmux_json_first(images); v; v = llmux_json_next(images, v)) {
        on_image(d, v);
    }
    for (v = llmux_json_first(calls); v; v = llmux_json_next(calls, v)) {
        on_call(d, v);
    }
}

/* ---- log probabilities ----------------------------------------------- */

/* token, logprob and bytes, as OpenAI has them. */
static void put_token(llmux_jw_t *w, apr_pool_t *p, const llmux_json_t *v)
{
    llmux_slice_t token = llmux_json_str(p, llmux_json_get(v, "token"));
    const llmux_json_t *logprob = llmux_json_get(v, "logprob");
    apr_size_t i;

    llmux_jw_key(w, "token");
    llmux_jw_str(w, token.data ? token : llmux_slice(""));
    llmux_jw_key(w, "logprob");
    llmux_jw_raw(w, llmux_json_kind(logprob) == LLMUX_JSON_NUMBER
                        ? llmux_json_raw(logprob) : llmux_slice("0"));
    llmux_jw_key(w, "bytes");
    if (llmux_json_kind(llmux_json_get(v, "bytes")) == LLMUX_JSON_ARRAY) {
        llmux_jw_raw(w, llmux_json_raw(llmux_json_get(v, "bytes")));
        return;
    }
    llmux_jw_open(w, '[');
    for (i = 0; i < token.len; i++) {
        llmux_jw_int(w, (unsigned char)token.data[i]);
    }
    llmux_jw_close(w, ']');
}

static void put_logprob(llmux_jw_t *w, apr_pool_t *p, const llmux_json_t *v)
{
    const llmux_json_t *tops = llmux_json_get(v, "top_logprobs"), *top;

    llmux_jw_open(w, '{');
    put_token(w, p, v);
    llmux_jw_key(w, "top_logprobs");
    llmux_jw_open(w, '[');
    for (top = llmux_json_first(tops); top; top = llmux_json_next(tops, top)) {
        llmux_jw_open(w, '{');
        put_token(w, p, top);
        llmux_jw_close(w, '}');
    }
    llmux_jw_close(w, ']');
    llmux_jw_close(w, '}');
}

static void on_logprobs(decoder_t *d, const llmux_json_t *list)
{
    llmux_event_t ev = { .kind = LLMUX_EV_LOGPROBS };
    const llmux_json_t *v = llmux_json_first(list);
    llmux_buf_t *out;
    llmux_jw_t w;

    if (llmux_json_kind(list) != LLMUX_JSON_ARRAY || !v) {
        return;
    }
    out = llmux_buf_create(d->base.scratch, LLMUX_ANSWER_MAX);
    w = llmux_jw(out);
    llmux_jw_open(&w, '[');
    for (; v; v = llmux_json_next(list, v)) {
        put_logprob(&w, d->base.scratch, v);
    }
    llmux_jw_close(&w, ']');
    ev.text = llmux_buf_slice(out);
    if (!out->failed) {
        emit(d, &ev);
    }
}

/* ---- the end --------------------------------------------------------- */

/* The prompt's count has what came from the cache in it. */
static void on_usage(decoder_t *d, const llmux_json_t *v)
{
    llmux_event_t ev = { .kind = LLMUX_EV_USAGE };
    llmux_usage_t usage = LLMUX_USAGE_NONE;

    usage.input = llmux_json_int(llmux_json_get(v, "prompt_eval_count"), -1);
    usage.cache_read = llmux_json_int(
        llmux_json_get(v, "prompt_eval_cached_count"), -1);
    usage.output = llmux_json_int(llmux_json_get(v, "eval_count"), -1);
    usage.input = usage.input < 0 ? -1 : usage.input;
    usage.output = usage.output < 0 ? -1 : usage.output;
    if (usage.cache_read < 0 || usage.input < 0) {
        usage.cache_read = -1;
    }
    else {
        usage.cache_read = usage.cache_read < usage.input ? usage.cache_read
                                                          : usage.input;
        usage.input -= usage.cache_read;
    }
    if (usage.input >= 0 || usage.output >= 0) {
        ev.usage = &usage;
        emit(d, &ev);
    }
}

/* Old servers do not say why they stopped. "load" and "unload" answer a
 * request without messages. */
static llmux_finish_e finish_of(llmux_slice_t reason)
{
    static const struct { const char *theirs; llmux_finish_e ours; } reasons[]
    = {
        { "stop",       LLMUX_FINISH_STOP },
        { "length",     LLMUX_FINISH_LENGTH },
        { "tool_calls", LLMUX_FINISH_CALLS },
        { "load",       LLMUX_FINISH_STOP },
        { "unload",     LLMUX_FINISH_STOP }
    };
    apr_size_t i;

    if (!reason.len) {
        return LLMUX_FINISH_STOP;
    }
    for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (llmux_slice_is(reason, reasons[i].theirs)) {
            return reasons[i].ours;
        }
    }
    return LLMUX_FINISH_OTHER;
}

static void on_done(decoder_t *d, const llmux_json_t *v)
{
    llmux_event_t ev = { .kind = LLMUX_EV_FINISH };
    llmux_event_t last = { .kind = LLMUX_EV_END };

    close_block(d);
    on_usage(d, v);
    ev.text = str(d, v, "done_reason");
    ev.finish = finish_of(ev.text);
    if (ev.finish == LLMUX_FINISH_STOP && d->calls) {
        ev.finish = LLMUX_FINISH_CALLS;
    }
    emit(d, &ev);
    emit(d, &last);
}

/* ---- answers --------------------------------------------------------- */

static void on_error(decoder_t *d, const llmux_json_t *v)
{
    llmux_event_t ev = { .kind = LLMUX_EV_ERROR };

    ev.error = llmux_error_read(d->base.pool, 0, v);
    emit(d, &ev);
}

static void start(decoder_t *d, const llmux_json_t *v)
{
    llmux_event_t ev = { .kind = LLMUX_EV_START };

    if (!d->base.started) {
        ev.name = str(d, v, "model");
        emit(d, &ev);
    }
}

/* A line that is neither a message nor the end says nothing. */
static void on_payload(llmux_decoder_t *base, llmux_slice_t event_name,
                       const llmux_json_t *v)
{
    decoder_t *d = (decoder_t *)base;
    const llmux_json_t *message = llmux_json_get(v, "message");
    int done = llmux_json_bool(llmux_json_get(v, "done")) == LLMUX_YES;

    if (llmux_json_get(v, "error")) {
        on_error(d, v);
        return;
    }
    if (!message && !done) {
        return;
    }
    start(d, v);
    on_message(d, message);
    on_logprobs(d, llmux_json_get(v, "logprobs"));
    if (done) {
        on_done(d, v);
    }
}

static void on_whole(llmux_decoder_t *base, const llmux_json_t *body)
{
    static const llmux_slice_t none = { NULL, 0 };

    on_payload(base, none, body);
    if (!base->started) {
        fail((decoder_t *)base, "The provider's answer is not a message.");
    }
}

static void on_end(llmux_decoder_t *base)
{
    fail((decoder_t *)base, "The provider's answer was truncated.");
}

llmux_decoder_t *llmux_ollama_decoder(apr_pool_t *p, const llmux_env_t *env,
                                      llmux_emit_fn emit_to, void *baton)
{
    decoder_t *d = apr_pcalloc(p, sizeof(*d));

    llmux_decoder_init(&d->base, p, env, emit_to, baton);
    d->base.payload = on_payload;
    d->base.whole = on_whole;
    d->base.finish = on_end;
    return &d->base;
}
