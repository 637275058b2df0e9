/* demo.c - a provider inside the process: OpenAI's wire format without a
 * network, for a first try and for tests. */

#include <apr_lib.h>
#include <apr_strings.h>

#include "demo_answer.h"

#define PACE      (20 * (apr_interval_time_t)1000)  /* between two chunks */
#define READ_MAX  16384     /* body handed out in one step */
#define PIECE_MAX 1024      /* bytes of a word in one chunk */

typedef struct wire_t wire_t;

/* Writes what comes next into the buffer; returns what comes after that,
 * or NULL when all was said. */
typedef struct stage_t {
    const struct stage_t *(*say)(wire_t *w);
} stage_t;

struct wire_t {
    llmux_wire_t base;
    const llmux_env_t *env;
    llmux_receiver_t to;
    llmux_demo_t answer;
    llmux_response_t head;
    const stage_t *stage;       /* NULL = all was said */
    apr_size_t at;              /* bytes of the text or arguments said */
    llmux_buf_t *out;           /* what is being said */
    apr_size_t handed;          /* bytes of it handed out */
    apr_time_t due;             /* nothing more before this */
    apr_time_t created;
    const char *id, *call_id;
    int headed;
    llmux_step_e state;
};

/* ---- JSON that whole answers and chunks have in common ----------------- */

static void write_int(llmux_jw_t *j, const char *name, apr_int64_t n)
{
    llmux_jw_key(j, name);
    llmux_jw_int(j, n);
}

static void write_str(llmux_jw_t *j, const char *name, const char *s)
{
    llmux_jw_key(j, name);
    llmux_jw_cstr(j, s);
}

static void write_null(llmux_jw_t *j, const char *name)
{
    llmux_jw_key(j, name);
    llmux_jw_null(j);
}

static void write_top(const wire_t *w, llmux_jw_t *j, const char *object)
{
    llmux_jw_open(j, '{');
    write_str(j, "id", w->id);
    write_str(j, "object", object);
    write_int(j, "created", apr_time_sec(w->created));
    llmux_jw_key(j, "model");
    llmux_jw_str(j, w->answer.model);
    write_str(j, "system_fingerprint", "fp_demo");
}

static void write_usage(const wire_t *w, llmux_jw_t *j)
{
    apr_int64_t in = w->answer.words_in;
    apr_int64_t out = w->answer.words_out * w->answer.choices;

    llmux_jw_key(j, "usage");
    llmux_jw_open(j, '{');
    write_int(j, "prompt_tokens", in);
    write_int(j, "completion_tokens", out);
    write_int(j, "total_tokens", in + out);
    llmux_jw_key(j, "prompt_tokens_details");
    llmux_jw_raw(j, llmux_slice("{\"cached_tokens\":0}"));
    llmux_jw_key(j, "completion_tokens_details");
    llmux_jw_raw(j, llmux_slice("{\"reasoning_tokens\":0}"));
    llmux_jw_close(j, '}');
}

/* A call, or with `first` unset more of its arguments. Each choice has a
 * call of its own, so the ids differ in the last letter. */
static void write_call(const wire_t *w, llmux_jw_t *j, int choice, int first,
                       llmux_slice_t args)
{
    const char *kind = w->answer.custom ? "custom" : "function";
    char id[64];

    if (first) {
        apr_snprintf(id, sizeof(id), "%s%c", w->call_id, 'a' + choice);
        write_str(j, "id", id);
        write_str(j, "type", kind);
    }
    llmux_jw_key(j, kind);
    llmux_jw_open(j, '{');
    if (first) {
        llmux_jw_key(j, "name");
        llmux_jw_str(j, w->answer.tool);
    }
    llmux_jw_key(j, w->answer.custom ? "input" : "arguments");
    llmux_jw_str(j, args);
    llmux_jw_close(j, '}');
}

/* ---- a whole answer --------------------------------------------------- */

static void write_message(const wire_t *w, llmux_jw_t *j, int choice)
{
    llmux_jw_key(j, "message");
    llmux_jw_open(j, '{');
    write_str(j, "role", "assistant");
    llmux_jw_key(j, "content");
    llmux_jw_str(j, w->answer.text);
    write_null(j, "refusal");
    if (w->answer.tool.data) {
        llmux_jw_key(j, "tool_calls");
        llmux_jw_open(j, '[');
        llmux_jw_open(j, '{');
        write_call(w, j, choice, 1, w->answer.args);
        llmux_jw_close(j, '}');
        llmux_jw_close(j, ']');
    }
    llmux_jw_close(j, '}');
}

static const stage_t *say_whole(wire_t *w)
{
    llmux_jw_t j = llmux_jw(w->out);
    int i;

    write_top(w, &j, "chat.completion");
    llmux_jw_key(&j, "choices");
    llmux_jw_open(&j, '[');
    for (i = 0; i < w->answer.choices; i++) {
        llmux_jw_open(&j, '{');
        write_int(&j, "index", i);
        write_message(w, &j, i);
        write_null(&j, "logprobs");
        write_str(&j, "finish_reason", w->answer.finish);
        llmux_jw_close(&j, '}');
    }
    llmux_jw_close(&j, ']');
    write_usage(w, &j);
    llmux_jw_close(&j, '}');
    return NULL;
}

static const stage_t *say_error(wire_t *w)
{
    const llmux_error_t *e = w->answer.error;
    llmux_jw_t j = llmux_jw(w->out);

    llmux_jw_open(&j, '{');
    llmux_jw_key(&j, "error");
    llmux_jw_open(&j, '{');
    write_str(&j, "message", e->message);
    write_str(&j, "type", e->type);
    write_str(&j, "param", e->param);
    write_str(&j, "code", e->code);
    llmux_jw_close(&j, '}');
    llmux_jw_close(&j, '}');
    return NULL;
}

/* ---- a stream --------------------------------------------------------- */

/* Up to and into the delta; chunk_close() is its other half. */
static llmux_jw_t chunk_open(const wire_t *w, int choice)
{
    llmux_jw_t j = llmux_jw(w->out);

    llmux_buf_adds(w->out, "data: ");
    write_top(w, &j, "chat.completion.chunk");
    llmux_jw_key(&j, "choices");
    llmux_jw_open(&j, '[');
    llmux_jw_open(&j, '{');
    write_int(&j, "index", choice);
    llmux_jw_key(&j, "delta");
    llmux_jw_open(&j, '{');
    return j;
}

static void chunk_close(const wire_t *w, llmux_jw_t *j, const char *finish)
{
    llmux_jw_close(j, '}');
    write_null(j, "logprobs");
    write_str(j, "finish_reason", finish);
    llmux_jw_close(j, '}');
    llmux_jw_close(j, ']');
    if (w->answer.usage) {
        write_null(j, "usage");
    }
    llmux_jw_close(j, '}');
    llmux_buf_adds(w->out, "\n\n");
}

static const stage_t *say_done(wire_t *w)
{
    llmux_buf_adds(w->out, "data: [DONE]\n\n");
    return NULL;
}

static const stage_t done = { say_done };

static const stage_t *say_usage(wire_t *w)
{
    llmux_jw_t j = llmux_jw(w->out);

    llmux_buf_adds(w->out, "data: ");
    write_top(w, &j, "chat.completion.chunk");
    llmux_jw_key(&j, "choices");
    llmux_jw_raw(&j, llmux_slice("[]"));
    write_usage(w, &j);
    llmux_jw_close(&j, '}');
    llmux_buf_adds(w->out, "\n\n");
    return &done;
}

static const stage_t usage = { say_usage };

static const stage_t *say_finish(wire_t *w)
{
    llmux_jw_t j;
    int i;

    for (i = 0; i < w->answer.choices; i++) {
        j = chunk_open(w, i);
        chunk_close(w, &j, w->answer.finish);
    }
    return w->answer.usage ? &usage : &done;
}

static const stage_t finish = { say_finish };

/* A word and the space behind it; a long one in pieces, none of which ends
 * inside a character. */
static llmux_slice_t next_piece(llmux_slice_t all, apr_size_t at)
{
    llmux_slice_t s = { all.data + at, all.len - at };
    apr_size_t n = 0, max = s.len < PIECE_MAX ? s.len : PIECE_MAX;

    while (n < max && !apr_isspace(s.data[n])) {
        n++;
    }
    while (n < max && apr_isspace(s.data[n])) {
        n++;
    }
    while (n < s.len && n > 1 && ((unsigned char)s.data[n] & 0xc0) == 0x80) {
        n--;
    }
    s.len = n;
    return s;
}

static const stage_t *say_text(wire_t *w)
{
    llmux_slice_t piece = next_piece(w->answer.text, w->at);
    llmux_jw_t j;
    int i;

    for (i = 0; i < w->answer.choices && piece.len; i++) {
        j = chunk_open(w, i);
        llmux_jw_key(&j, "content");
        llmux_jw_str(&j, piece);
        chunk_close(w, &j, NULL);
    }
    w->at += piece.len;
    return w->at < w->answer.text.len ? w->stage : &finish;
}

static const stage_t text = { say_text };

static void write_call_chunk(const wire_t *w, int choice, int first,
                             llmux_slice_t args)
{
    llmux_jw_t j = chunk_open(w, choice);

    llmux_jw_key(&j, "tool_calls");
    llmux_jw_open(&j, '[');
    llmux_jw_open(&j, '{');
    write_int(&j, "index", 0);
    write_call(w, &j, choice, first, args);
    llmux_jw_close(&j, '}');
    llmux_jw_close(&j, ']');
    chunk_close(w, &j, NULL);
}

/* Arguments come in small pieces, as they do elsewhere. */
static const stage_t *say_args(wire_t *w)
{
    llmux_slice_t all = w->answer.args, piece;
    int i;

    piece = next_piece(all, w->at);
    piece.len = piece.len > 12 ? 12 : piece.len;
    while (w->at + piece.len < all.len && piece.len > 1
           && ((unsigned char)piece.data[piece.len] & 0xc0) == 0x80) {
        piece.len--;
    }
    for (i = 0; i < w->answer.choices; i++) {
        write_call_chunk(w, i, 0, piece);
    }
    w->at += piece.len;
    return w->at < all.len ? w->stage : &finish;
}

static const stage_t args = { say_args };

static const stage_t *say_call(wire_t *w)
{
    int i;

    for (i = 0; i < w->answer.choices; i++) {
        write_call_chunk(w, i, 1, llmux_slice(""));
    }
    return &args;
}

static const stage_t call = { say_call };

static const stage_t *say_role(wire_t *w)
{
    llmux_jw_t j;
    int i;

    for (i = 0; i < w->answer.choices; i++) {
        j = chunk_open(w, i);
        write_str(&j, "role", "assistant");
        write_str(&j, "content", w->answer.tool.data ? NULL : "");
        write_null(&j, "refusal");
        chunk_close(w, &j, NULL);
    }
    return w->answer.tool.data ? &call : &text;
}

static const stage_t role = { say_role };
static const stage_t whole = { say_whole };
static const stage_t error = { say_error };

/* ---- the wire --------------------------------------------------------- */

static void prepare(wire_t *w, apr_pool_t *p)
{
    const llmux_error_t *e = w->answer.error;
    int streamed = !e && w->answer.stream;

    w->stage = e ? &error : streamed ? &role : &whole;
    w->head.status = e ? e->status : 200;
    w->head.content_type = streamed ? "text/event-stream; charset=utf-8"
                                    : "application/json";
    w->head.headers = apr_array_make(p, 2, sizeof(llmux_header_t));
    llmux_header_add(w->head.headers, "Content-Type", w->head.content_type);
    llmux_header_add(w->head.headers, "x-request-id",
                     llmux_random_id(w->env, p, "req_"));
}

static llmux_wire_t *demo_open(apr_pool_t *p, const llmux_env_t *env,
                               const llmux_request_t *rq,
                               const llmux_receiver_t *to)
{
    wire_t *w = apr_pcalloc(p, sizeof(*w));

    if (!w) {
        return NULL;
    }
    w->base.transport = &llmux_transport_demo;
    w->base.detail = "";
    w->env = env;
    w->to = *to;
    w->state = LLMUX_STEP_AGAIN;
    w->created = llmux_now(env);
    w->id = llmux_random_id(env, p, "chatcmpl-");
    w->call_id = llmux_random_id(env, p, "call_");
    w->out = llmux_buf_create(p, LLMUX_ANSWER_MAX);
    llmux_demo_answer(p, rq, &w->answer);
    prepare(w, p);
    return &w->base;
}

static int has_more(const wire_t *w)
{
    return w->handed < w->out->len;
}

/* The head on the first step, what was said, a read's worth at a time. */
static void hand_out(wire_t *w)
{
    apr_size_t len = w->out->len - w->handed;

    len = len < READ_MAX ? len : READ_MAX;
    if (!w->headed && w->to.head) {
        w->to.head(w->to.baton, &w->head);
    }
    w->headed = 1;
    if (len && w->to.body) {
        w->to.body(w->to.baton, w->out->data + w->handed, len);
    }
    w->handed += len;
}

static void speak(wire_t *w)
{
    if (!has_more(w) && w->stage) {
        llmux_buf_reset(w->out);
        w->handed = 0;
        w->stage = w->stage->say(w);
        w->due = llmux_now(w->env) + PACE;
    }
    if (w->out->failed) {
        w->base.failure = LLMUX_FAIL_LOCAL;
        w->base.detail = "the answer is too long";
        w->state = LLMUX_STEP_FAILED;
        return;
    }
    hand_out(w);
    if (!has_more(w) && !w->stage) {
        w->state = LLMUX_STEP_DONE;
    }
}

static llmux_step_e demo_step(llmux_wire_t *wire, llmux_wait_t *wait)
{
    wire_t *w = (wire_t *)wire;

    if (w->state == LLMUX_STEP_AGAIN
        && (has_more(w) || llmux_now(w->env) >= w->due)) {
        speak(w);
    }
    if (w->state == LLMUX_STEP_AGAIN) {
        wait->count = 0;
        wait->deadline = has_more(w) ? 1 : w->due;
    }
    return w->state;
}

/* Nobody is told: there is no other side. */
static void demo_close(llmux_wire_t *wire)
{
    wire_t *w = (wire_t *)wire;

    if (w->state == LLMUX_STEP_AGAIN) {
        w->state = LLMUX_STEP_FAILED;
        w->base.failure = LLMUX_FAIL_RESET;
        w->base.detail = "closed";
    }
}

const llmux_transport_t llmux_transport_demo = {
    .name = "demo",
    .open = demo_open,
    .step = demo_step,
    .close = demo_close
};
