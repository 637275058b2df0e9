/* gemini_front.c - takes recordings of generateContent through our front door
 * and out of the back door, and says what became of them, a line each.
 *
 * A job is a line of input: mode, dialect, model and path, with a tab between
 * them.
 *
 *     request  what a client sent: {"written"} or {"refused", "message"};
 *              "passes" says whether its bytes pass unchanged
 *     whole    an answer of any dialect: decoded, said anew as one document,
 *     stream   as a stream and as an array, and each of them decoded again:
 *              {"first", "whole", "stream", "array"}, which should all say the
 *              same; "fault" is what an SDK would not like about them
 */

#include "../unit/transcript.h"
#include "../../src/dialect/gemini.h"
#include "jobs.h"

static const llmux_sealer_t *keys;

/* ---- what an answer says --------------------------------------------- */

/* All that one candidate said, whatever the pieces were. */
typedef struct cand_t {
    llmux_buf_t *text, *thoughts, *tokens, *cites, *others;
    const char *finish;
} cand_t;

typedef struct call_t {
    int cand, key;
    const char *id, *name;
    llmux_buf_t *args;
} call_t;

typedef struct answer_t {
    apr_pool_t *pool;
    apr_array_header_t *calls;      /* call_t */
    cand_t cands[LLMUX_CANDIDATES_MAX];
    llmux_usage_t usage;
    const char *head, *error;
    llmux_encoder_t *encoders[3];
    llmux_buf_t *encoded[3];
} answer_t;

static cand_t *cand_of(answer_t *a, int number)
{
    cand_t *c = &a->cands[number];

    if (!c->text) {
        c->text = llmux_buf_create(a->pool, TEXT_MAX);
        c->thoughts = llmux_buf_create(a->pool, TEXT_MAX);
        c->tokens = llmux_buf_create(a->pool, TEXT_MAX);
        c->cites = llmux_buf_create(a->pool, TEXT_MAX);
        c->others = llmux_buf_create(a->pool, TEXT_MAX);
    }
    return c;
}

static void take_finish(answer_t *a, cand_t *c, const llmux_event_t *ev)
{
    c->finish = apr_psprintf(a->pool, "%s%s", finish_names[ev->finish],
                             ev->blocked ? " blocked" : "");
}

static void start_call(answer_t *a, const llmux_event_t *ev)
{
    call_t *call = apr_array_push(a->calls);

    call->cand = ev->cand;
    call->key = ev->key;
    call->id = llmux_slice_str(a->pool, ev->id);
    call->name = llmux_slice_str(a->pool, ev->name);
    call->args = llmux_buf_create(a->pool, TEXT_MAX);
}

/* Arguments without the space between their tokens. */
static void add_args(llmux_buf_t *args, llmux_slice_t text)
{
    int quoted = 0, escaped = 0;
    apr_size_t i;

    for (i = 0; i < text.len; i++) {
        quoted ^= text.data[i] == '"' && !escaped;
        escaped = text.data[i] == '\\' && !escaped;
        if (quoted || !strchr(" \r\n\t", text.data[i])) {
            llmux_buf_add(args, text.data + i, 1);
        }
    }
}

static void take_args(answer_t *a, const llmux_event_t *ev)
{
    int i;

    for (i = 0; i < a->calls->nelts; i++) {
        if (APR_ARRAY_IDX(a->calls, i, call_t).key == ev->key) {
            llmux_buf_add_slice(APR_ARRAY_IDX(a->calls, i, call_t).args,
                                ev->text);
        }
    }
}

/* No arguments are those of an empty object. */
static void write_calls(llmux_buf_t *out, const answer_t *a, int cand)
{
    int i;

    llmux_buf_adds(out, "\1calls");
    for (i = 0; i < a->calls->nelts; i++) {
        const call_t *call = &APR_ARRAY_IDX(a->calls, i, call_t);

        if (call->cand == cand) {
            llmux_buf_addf(out, " %s %s ", call->id, call->name);
            add_args(out, call->args->len ? llmux_buf_slice(call->args)
                                          : llmux_slice("{}"));
        }
    }
}

/* The list's elements, to be joined with those of other pieces. */
static void add_logprobs(llmux_buf_t *others, llmux_slice_t list)
{
    if (list.len > 2) {
        llmux_buf_adds(others, others->len ? "," : "");
        llmux_buf_add(others, list.data + 1, list.len - 2);
    }
}

/* Another maker's comes back under a seal. */
static void take_token(answer_t *a, cand_t *c, llmux_token_t token)
{
    llmux_chat_t *chat = llmux_chat_create(a->pool);

    chat->sealer = keys;
    if (token.maker == LLMUX_MAKER_GEMINI) {
        token = llmux_gemini_token_open(chat, token.bytes);
    }
    llmux_buf_addf(c->tokens, "%s ", maker_names[token.maker]);
    llmux_buf_add_slice(c->tokens, token.bytes);
    llmux_buf_adds(c->tokens, "\n");
}

static void take(answer_t *a, const llmux_event_t *ev)
{
    cand_t *c = cand_of(a, ev->cand);

    switch (ev->kind) {
    case LLMUX_EV_START:
        a->head = apr_pstrcat(a->pool, llmux_slice_str(a->pool, ev->id), " ",
                              llmux_slice_str(a->pool, ev->name), NULL);
        break;
    case LLMUX_EV_BLOCK_START:
        if (ev->block == LLMUX_BLOCK_CALL) {
            start_call(a, ev);
        }
        break;
    case LLMUX_EV_TEXT:
    case LLMUX_EV_REFUSAL:
        llmux_buf_add_slice(c->text, ev->text);
        break;
    case LLMUX_EV_THINK:
        llmux_buf_add_slice(c->thoughts, ev->text);
        break;
    case LLMUX_EV_ARGS:
        take_args(a, ev);
        break;
    case LLMUX_EV_TOKEN:
        take_token(a, c, ev->token);
        break;
    case LLMUX_EV_CITE:
        if (!ev->cite->url.len || ev->cite->start < 0) {
            break;      /* nothing leads there, or from there */
        }
        llmux_buf_add_slice(c->cites, ev->cite->url);
        llmux_buf_addf(c->cites, " %ld..%ld\n", (long)ev->cite->start,
                       (long)ev->cite->end);
        break;
    case LLMUX_EV_LOGPROBS:
        add_logprobs(c->others, ev->text);
        break;
    case LLMUX_EV_MEDIA:
        write_word(c->others, "", ev->name);
        write_word(c->others, " ", ev->text);
        break;
    case LLMUX_EV_USAGE:
        llmux_usage_merge(&a->usage, ev->usage);
        break;
    case LLMUX_EV_FINISH:
        take_finish(a, c, ev);
        break;
    case LLMUX_EV_ERROR:
        a->error = ev->error->message;
        break;
    default:
        break;
    }
}

static void on_event(void *baton, const llmux_event_t *ev)
{
    answer_t *a = baton;
    int i;

    take(a, ev);
    for (i = 0; i < 3; i++) {
        if (a->encoders[i]) {
            a->encoders[i]->event(a->encoders[i], ev, a->encoded[i]);
        }
    }
}

/* Sections with \1 between them. */
static void write_answer(llmux_buf_t *out, const answer_t *a)
{
    int i;

    llmux_buf_addf(out, "%s\1", a->head ? a->head : "");
    for (i = 0; i < LLMUX_CANDIDATES_MAX; i++) {
        const cand_t *c = &a->cands[i];

        if (!c->text || !c->finish) {
            continue;
        }
        llmux_buf_addf(out, "%d %s\n", i, c->finish);
        write_word(out, "\1text ", llmux_buf_slice(c->text));
        write_word(out, "\1thoughts ", llmux_buf_slice(c->thoughts));
        write_word(out, "\1tokens ", llmux_buf_slice(c->tokens));
        write_calls(out, a, i);
        write_word(out, "\1cites ", llmux_buf_slice(c->cites));
        write_word(out, "\1others ", llmux_buf_slice(c->others));
        llmux_buf_adds(out, "\1");
    }
    write_usage(out, &a->usage);
    llmux_buf_addf(out, "\1%s", a->error ? a->error : "");
}

static answer_t *new_answer(apr_pool_t *p)
{
    static const llmux_usage_t none = LLMUX_USAGE_NONE;
    answer_t *a = apr_pcalloc(p, sizeof(*a));

    a->pool = p;
    a->usage = none;
    a->calls = apr_array_make(p, 4, sizeof(call_t));
    return a;
}

static void decode(answer_t *a, const llmux_dialect_t *dialect, int streamed,
                   llmux_slice_t bytes)
{
    llmux_stream_t *s = llmux_stream_open(a->pool, &test_env, dialect,
                                          streamed, on_event, NULL, a);

    llmux_stream_feed(s, bytes.data, bytes.len);
    llmux_stream_end(s);
}

/* ---- what SDKs demand ------------------------------------------------ */

/* One document of a stream: Google's SDKs put an answer into the history of
 * a conversation only if each chunk has parts, and text in those of text. */
static const char *check_chunk(apr_pool_t *p, llmux_slice_t text, int last)
{
    const llmux_json_t *v = llmux_json_parse(p, text, 0, NULL);
    const llmux_json_t *cand = llmux_json_at(llmux_json_get(v, "candidates"),
                                             0);
    const llmux_json_t *parts = llmux_json_get(llmux_json_get(cand,
                                                   "content"), "parts"), *e;

    if (!v) {
        return "no JSON";
    }
    if (memchr(text.data, '\n', text.len)) {
        return "more than a line";
    }
    if (!cand) {
        return last ? NULL : "no candidate";
    }
    if (!last && !llmux_json_count(parts)) {
        return "no parts";
    }
    for (e = llmux_json_first(parts); e; e = llmux_json_next(parts, e)) {
        if (!last && llmux_json_is(llmux_json_get(e, "text"), "")) {
            return "an empty text";
        }
    }
    return last == !llmux_json_get(cand, "finishReason")
        ? "finishReason where it should not be, or not where it should" : NULL;
}

typedef struct check_t {
    apr_pool_t *pool;
    const char *fault;
    llmux_slice_t before;
} check_t;

static int on_chunk(void *baton, const llmux_sse_event_t *ev)
{
    check_t *c = baton;

    if (c->before.data && !c->fault) {
        c->fault = check_chunk(c->pool, c->before, 0);
    }
    c->before = llmux_slice_dup(c->pool, ev->data);
    return 1;
}

static const char *check_stream(apr_pool_t *p, llmux_slice_t bytes)
{
    check_t c = { p, NULL, { NULL, 0 } };
    llmux_sse_t *s = llmux_sse_create(p, TEXT_MAX, on_chunk, &c);

    llmux_sse_feed(s, bytes.data, bytes.len);
    if (!llmux_sse_at_border(s)) {
        return "an event without an end";
    }
    return c.fault ? c.fault : check_chunk(p, c.before, 1);
}

/* ---- an answer ------------------------------------------------------- */

static void put(llmux_jw_t *w, const char *name, const answer_t *a)
{
    llmux_buf_t *text = llmux_buf_create(a->pool, TEXT_MAX);

    write_answer(text, a);
    llmux_jw_key(w, name);
    llmux_jw_str(w, llmux_buf_slice(text));
}

static void answer(apr_pool_t *p, llmux_jw_t *w,
                   const llmux_dialect_t *dialect, int streamed,
                   llmux_slice_t bytes)
{
    static const char *const names[] = { "whole", "stream", "array" };
    answer_t *first = new_answer(p), *again;
    llmux_slice_t encoded;
    int i;

    for (i = 0; i < 3; i++) {
        llmux_encode_t how = { .streamed = i > 0, .show_thinking = 1,
                               .id = "ours", .array = i == 2,
                               .sealer = keys };

        first->encoders[i] = llmux_dialect_gemini.encoder(p, &how);
        first->encoded[i] = llmux_buf_create(p, TEXT_MAX);
    }
    decode(first, dialect, streamed, bytes);
    put(w, "first", first);
    for (i = 0; i < 3; i++) {
        encoded = llmux_buf_slice(first->encoded[i]);
        again = new_answer(p);
        decode(again, &llmux_dialect_gemini, i == 1, encoded);
        put(w, names[i], again);
    }
    llmux_jw_key(w, "fault");
    llmux_jw_cstr(w, first->error ? NULL
                  : check_stream(p, llmux_buf_slice(first->encoded[1])));
}

/* ---- a request ------------------------------------------------------- */

static int passes(apr_pool_t *p, llmux_slice_t bytes,
                  const llmux_target_t *target, const llmux_error_t **err)
{
    llmux_head_t head = { .model = target->model };
    llmux_buf_t *out = llmux_buf_create(p, TEXT_MAX);

    *err = llmux_dialect_gemini.head(p, llmux_json_parser_create(p), bytes,
                                     &head);
    if (*err) {
        return 0;
    }
    llmux_dialect_gemini.edit(out, p, &head, bytes, target, NULL);
    return llmux_slice_equal(llmux_buf_slice(out), bytes);
}

static void request(apr_pool_t *p, llmux_jw_t *w, const char *model,
                    llmux_slice_t bytes)
{
    llmux_target_t target = { "Gemini", llmux_slice(model), ~0u, 0, NULL };
    llmux_chat_t *chat = llmux_chat_create(p);
    llmux_buf_t *out = llmux_buf_create(p, TEXT_MAX);
    const llmux_error_t *err;
    int same = passes(p, bytes, &target, &err);

    if (!err) {
        err = llmux_dialect_gemini.read(chat, llmux_json_parse(p, bytes, 0,
                                                               NULL));
    }
    if (!err) {
        err = llmux_dialect_gemini.write(out, chat, &target,
                                         llmux_warnings_create(p, 0), p);
    }
    llmux_jw_key(w, "passes");
    llmux_jw_bool(w, same);
    if (err) {
        llmux_jw_key(w, "refused");
        llmux_jw_cstr(w, error_names[err->kind]);
        put_refusal(w, err);
        return;
    }
    llmux_jw_key(w, "written");
    llmux_jw_str(w, llmux_buf_slice(out));
}

/* ---- jobs ------------------------------------------------------------ */

static int job(apr_pool_t *p, char *line)
{
    char *last;
    const char *mode = apr_strtok(line, "\t\n", &last);
    const char *name = apr_strtok(NULL, "\t\n", &last);
    const char *model = apr_strtok(NULL, "\t\n", &last);
    const char *path = apr_strtok(NULL, "\t\n", &last);
    const llmux_dialect_t *dialect = llmux_dialect_named(name);
    llmux_buf_t *out = llmux_buf_create(p, TEXT_MAX);
    llmux_jw_t w = llmux_jw(out);
    llmux_slice_t bytes;

    if (!mode || !dialect || !model || !path
        || !read_file(p, path, &bytes)) {
        return 0;
    }
    llmux_jw_open(&w, '{');
    if (!strcmp(mode, "request")) {
        request(p, &w, model, bytes);
    }
    else {
        answer(p, &w, dialect, !strcmp(mode, "stream"), bytes);
    }
    llmux_jw_close(&w, '}');
    return print_line(out);
}

static const llmux_sealer_t *make_keys(apr_pool_t *p)
{
    llmux_sealer_t *sealer = llmux_sealer_create(p);
    const char *why;

    llmux_sealer_add(sealer, "k1", llmux_secret_read(
        p, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", &why));
    return sealer;
}

int main(void)
{
    apr_pool_t *pool;
    int status;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    keys = make_keys(pool);
    status = run_jobs("gemini_front", job);
    apr_pool_destroy(pool);
    apr_terminate();
    return status;
}
