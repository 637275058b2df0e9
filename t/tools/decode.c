/* decode.c - decodes recordings and says what came out, a line each.
 *
 * A job is a line of input: dialect, mode and path, with a tab between them.
 *
 *     whole   the file is one document
 *     stream  it came in a streamed answer: decoded whole, then byte by byte,
 *             then cut at every byte; all must bring the same events
 *     error   {"status", "body"} of a refused request
 *
 * What OpenAI's dialect reads at a glance is parsed as well; that must make
 * no difference. The answer is a line of JSON. Streams are cut at several
 * bytes at a time, which are as far apart as the argument says (default
 * CUTS_APART).
 */

#include "../unit/transcript.h"
#include "jobs.h"

#define CUTS_APART  2048

static apr_size_t apart;

/* ---- one answer, put together ---------------------------------------- */

typedef struct block_t {
    int key, cand, open;
    llmux_block_e kind;
    const char *id, *name;      /* of a call */
    int custom;
    llmux_buf_t *args;
} block_t;

typedef struct cand_t {
    int seen, finished;
    llmux_buf_t *text, *reasoning, *refusal;
    const char *reason, *stop;
    llmux_finish_e finish;
    int cites, media, tokens;
} cand_t;

typedef struct answer_t {
    apr_pool_t *pool;
    apr_array_header_t *blocks;         /* block_t, by rising key */
    cand_t cands[LLMUX_CANDIDATES_MAX];
    llmux_usage_t usage;
    const char *id, *model;
    const llmux_error_t *error;
    int started, ended, pings;
    const char *fault;          /* the first rule of dialect.h that it broke */
} answer_t;

static void fault(answer_t *a, const char *what)
{
    if (!a->fault) {
        a->fault = what;
    }
}

static block_t *find_block(answer_t *a, int key)
{
    int i;

    for (i = a->blocks->nelts - 1; i >= 0; i--) {
        block_t *b = &APR_ARRAY_IDX(a->blocks, i, block_t);

        if (b->key == key) {
            return b;
        }
    }
    return NULL;
}

static void append(answer_t *a, llmux_buf_t **to, llmux_slice_t s)
{
    if (!*to) {
        *to = llmux_buf_create(a->pool, TEXT_MAX);
    }
    llmux_buf_add_slice(*to, s);
}

/* Does the piece begin and end between two characters of UTF-8? */
static int whole_characters(llmux_slice_t s)
{
    static const unsigned char lengths[16] = {
        1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 2, 2, 3, 4
    };
    apr_size_t i = 0;

    while (i < s.len) {
        unsigned char n = lengths[(unsigned char)s.data[i] >> 4];

        if (!n || i + n > s.len) {
            return 0;
        }
        i += n;
    }
    return 1;
}

/* Which blocks an event may speak of; events not listed have no block. */
static const struct { llmux_event_e event; unsigned int blocks; } fits[] = {
    { LLMUX_EV_TEXT,       1u << LLMUX_BLOCK_TEXT },
    { LLMUX_EV_THINK,      1u << LLMUX_BLOCK_THINK },
    { LLMUX_EV_REFUSAL,    1u << LLMUX_BLOCK_REFUSAL },
    { LLMUX_EV_ARGS,       1u << LLMUX_BLOCK_CALL },
    { LLMUX_EV_CITE,       1u << LLMUX_BLOCK_TEXT },
    { LLMUX_EV_TOKEN,      1u << LLMUX_BLOCK_THINK | 1u << LLMUX_BLOCK_CALL },
    { LLMUX_EV_MEDIA,      1u << LLMUX_BLOCK_MEDIA },
    { LLMUX_EV_BLOCK_STOP, ~0u }
};

/* The open block that an event speaks of, NULL where it needs none. */
static block_t *block_of(answer_t *a, const llmux_event_t *ev)
{
    block_t *b = NULL;
    apr_size_t i;

    for (i = 0; i < sizeof(fits) / sizeof(fits[0]); i++) {
        if (fits[i].event == ev->kind) {
            b = find_block(a, ev->key);
            if (!b || !b->open || !(fits[i].blocks & 1u << b->kind)) {
                fault(a, "an event of a block that is not open");
                return NULL;
            }
        }
    }
    return b;
}

static void take_start(answer_t *a, const llmux_event_t *ev)
{
    block_t *b;

    if (a->blocks->nelts && APR_ARRAY_IDX(a->blocks, a->blocks->nelts - 1,
                                          block_t).key >= ev->key) {
        fault(a, "keys of blocks do not rise");
    }
    b = apr_array_push(a->blocks);
    memset(b, 0, sizeof(*b));
    b->key = ev->key;
    b->cand = ev->cand;
    b->open = 1;
    b->kind = ev->block;
    b->custom = ev->custom;
    b->id = apr_pstrmemdup(a->pool, ev->id.data, ev->id.len);
    b->name = apr_pstrmemdup(a->pool, ev->name.data, ev->name.len);
}

static void take_finish(answer_t *a, cand_t *c, const llmux_event_t *ev)
{
    if (c->finished) {
        fault(a, "a candidate finished twice");
    }
    c->finished = 1;
    c->finish = ev->finish;
    c->reason = ev->text.data ? apr_pstrmemdup(a->pool, ev->text.data,
                                               ev->text.len) : NULL;
    c->stop = ev->stop.data ? apr_pstrmemdup(a->pool, ev->stop.data,
                                             ev->stop.len) : NULL;
}

static void take_end(answer_t *a)
{
    int i;

    for (i = 0; i < a->blocks->nelts; i++) {
        if (APR_ARRAY_IDX(a->blocks, i, block_t).open) {
            fault(a, "a block is open at the end");
        }
    }
    for (i = 0; i < LLMUX_CANDIDATES_MAX; i++) {
        if (a->cands[i].seen && !a->cands[i].finished) {
            fault(a, "a candidate has not finished at the end");
        }
    }
}

static void take(answer_t *a, const llmux_event_t *ev)
{
    cand_t *c = &a->cands[ev->cand];
    block_t *b = block_of(a, ev);

    switch (ev->kind) {
    case LLMUX_EV_START:
        a->id = apr_pstrmemdup(a->pool, ev->id.data, ev->id.len);
        a->model = apr_pstrmemdup(a->pool, ev->name.data, ev->name.len);
        return;
    case LLMUX_EV_USAGE:
        llmux_usage_merge(&a->usage, ev->usage);
        return;
    case LLMUX_EV_PING:
        a->pings++;
        return;
    case LLMUX_EV_ERROR:
        a->error = ev->error;
        return;
    case LLMUX_EV_END:
        take_end(a);
        return;
    default:
        break;
    }
    c->seen = 1;
    switch (ev->kind) {
    case LLMUX_EV_BLOCK_START:
        take_start(a, ev);
        break;
    case LLMUX_EV_TEXT:
        append(a, &c->text, ev->text);
        break;
    case LLMUX_EV_THINK:
        append(a, &c->reasoning, ev->text);
        break;
    case LLMUX_EV_REFUSAL:
        append(a, &c->refusal, ev->text);
        break;
    case LLMUX_EV_ARGS:
        if (b) {
            append(a, &b->args, ev->text);
        }
        break;
    case LLMUX_EV_FINISH:
        take_finish(a, c, ev);
        break;
    case LLMUX_EV_BLOCK_STOP:
        if (b) {
            b->open = 0;
        }
        break;
    case LLMUX_EV_CITE:
        c->cites++;
        break;
    case LLMUX_EV_MEDIA:
        c->media++;
        break;
    case LLMUX_EV_TOKEN:
        c->tokens++;
        break;
    default:
        break;
    }
}

static void collect(void *baton, const llmux_event_t *ev)
{
    answer_t *a = baton;

    if (a->ended) {
        fault(a, "an event after the end");
    }
    if (!a->started && ev->kind != LLMUX_EV_START
        && ev->kind != LLMUX_EV_PING && ev->kind != LLMUX_EV_ERROR) {
        fault(a, "an event before the start");
    }
    if (a->started && ev->kind == LLMUX_EV_START) {
        fault(a, "two starts");
    }
    if (!whole_characters(ev->text)) {
        fault(a, "a character was split");
    }
    a->started |= ev->kind == LLMUX_EV_START;
    a->ended |= ev->kind == LLMUX_EV_ERROR || ev->kind == LLMUX_EV_END;
    take(a, ev);
}

/* ---- the answer as JSON ---------------------------------------------- */

static void write_buf(llmux_jw_t *w, const char *name, const llmux_buf_t *b)
{
    if (b) {
        llmux_jw_key(w, name);
        llmux_jw_str(w, llmux_buf_slice(b));
    }
}

static void write_cstr(llmux_jw_t *w, const char *name, const char *s)
{
    llmux_jw_key(w, name);
    llmux_jw_cstr(w, s);
}

static void write_int(llmux_jw_t *w, const char *name, apr_int64_t n)
{
    llmux_jw_key(w, name);
    llmux_jw_int(w, n);
}

static void write_calls(llmux_jw_t *w, const answer_t *a, int cand)
{
    int i;

    llmux_jw_key(w, "tool_calls");
    llmux_jw_open(w, '[');
    for (i = 0; i < a->blocks->nelts; i++) {
        const block_t *b = &APR_ARRAY_IDX(a->blocks, i, block_t);

        if (b->cand != cand || b->kind != LLMUX_BLOCK_CALL) {
            continue;
        }
        llmux_jw_open(w, '{');
        write_cstr(w, "id", b->id);
        write_cstr(w, "name", b->name);
        write_int(w, "custom", b->custom);
        write_buf(w, "arguments", b->args);
        llmux_jw_close(w, '}');
    }
    llmux_jw_close(w, ']');
}

static void write_cand(llmux_jw_t *w, const answer_t *a, int number)
{
    const cand_t *c = &a->cands[number];

    llmux_jw_open(w, '{');
    write_int(w, "index", number);
    write_buf(w, "text", c->text);
    write_buf(w, "reasoning", c->reasoning);
    write_buf(w, "refusal", c->refusal);
    write_calls(w, a, number);
    write_cstr(w, "reason", c->reason);
    write_cstr(w, "stop", c->stop);
    write_cstr(w, "finish", c->finished ? finish_names[c->finish] : NULL);
    write_int(w, "cites", c->cites);
    write_int(w, "media", c->media);
    write_int(w, "tokens", c->tokens);
    llmux_jw_close(w, '}');
}

static void write_counts(llmux_jw_t *w, const llmux_usage_t *u)
{
    const struct { const char *name; apr_int64_t n; } all[] = {
        { "input", u->input }, { "cache_read", u->cache_read },
        { "cache_write", u->cache_write }, { "tool_input", u->tool_input },
        { "output", u->output }, { "reasoning", u->reasoning }
    };
    apr_size_t i;

    llmux_jw_key(w, "usage");
    llmux_jw_open(w, '{');
    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i].n >= 0) {
            write_int(w, all[i].name, all[i].n);
        }
    }
    llmux_jw_close(w, '}');
}

static void write_error(llmux_jw_t *w, const llmux_error_t *err)
{
    llmux_jw_key(w, "error");
    if (!err) {
        llmux_jw_null(w);
        return;
    }
    llmux_jw_open(w, '{');
    write_cstr(w, "kind", error_names[err->kind]);
    write_int(w, "status", err->status);
    write_cstr(w, "message", err->message);
    write_cstr(w, "code", err->code);
    write_cstr(w, "type", err->type);
    write_cstr(w, "param", err->param);
    llmux_jw_close(w, '}');
}

static void write_answer(llmux_jw_t *w, const answer_t *a)
{
    int i;

    write_cstr(w, "id", a->id);
    write_cstr(w, "model", a->model);
    llmux_jw_key(w, "choices");
    llmux_jw_open(w, '[');
    for (i = 0; i < LLMUX_CANDIDATES_MAX; i++) {
        if (a->cands[i].seen) {
            write_cand(w, a, i);
        }
    }
    llmux_jw_close(w, ']');
    write_counts(w, &a->usage);
    write_error(w, a->error);
    write_int(w, "pings", a->pings);
    write_cstr(w, "fault", a->fault);
}

static void decode(apr_pool_t *p, llmux_jw_t *w,
                   const llmux_dialect_t *dialect, int streamed,
                   llmux_slice_t bytes)
{
    static const llmux_usage_t none = LLMUX_USAGE_NONE;
    answer_t *a = apr_pcalloc(p, sizeof(*a));
    llmux_stream_t *s;

    a->pool = p;
    a->usage = none;
    a->blocks = apr_array_make(p, 16, sizeof(block_t));
    s = llmux_stream_open(p, &test_env, dialect, streamed, collect, NULL, a);
    llmux_stream_feed(s, bytes.data, bytes.len);
    llmux_stream_end(s);
    if (!a->ended) {
        fault(a, "no end");
    }
    write_answer(w, a);
}

/* ---- cuts ------------------------------------------------------------ */

/* What a relay passes on belongs to what must be the same. */
static void note_frame(void *baton, llmux_slice_t raw, int done, int comment)
{
    llmux_buf_addf(baton, "frame %d %d ", done, comment);
    llmux_buf_add_slice(baton, raw);
    llmux_buf_adds(baton, "\n");
}

/* What comes of the bytes in pieces: the first ends at `cut`, the others are
 * so many bytes long. */
static llmux_buf_t *events_of(apr_pool_t *p, const llmux_dialect_t *dialect,
                              int streamed, llmux_slice_t bytes,
                              apr_size_t cut, apr_size_t length)
{
    llmux_buf_t *b = llmux_buf_create(p, TEXT_MAX);
    llmux_stream_t *s = llmux_stream_open(p, &test_env, dialect, streamed,
                                          note_event, note_frame, b);
    apr_size_t at = 0, end = cut;

    while (at < bytes.len) {
        end = end < bytes.len ? end : bytes.len;
        llmux_stream_feed(s, bytes.data + at, end - at);
        at = end;
        end += length;
    }
    llmux_stream_end(s);
    return b;
}

static int same_events(apr_pool_t *p, const llmux_buf_t *want,
                       const llmux_dialect_t *dialect, llmux_slice_t bytes,
                       apr_size_t cut, apr_size_t length)
{
    const llmux_buf_t *got;
    apr_pool_t *scratch;
    int same;

    apr_pool_create(&scratch, p);
    got = events_of(scratch, dialect, 1, bytes, cut, length);
    same = got->len == want->len && !got->failed
        && !memcmp(got->data, want->data, want->len);
    apr_pool_destroy(scratch);
    return same;
}

/* Which of the cuts of one pass it is, 0 if only several at once do it. */
static apr_size_t culprit(apr_pool_t *p, const llmux_buf_t *want,
                          const llmux_dialect_t *dialect, llmux_slice_t bytes,
                          apr_size_t first)
{
    apr_size_t cut;

    for (cut = first; cut < bytes.len; cut += apart) {
        if (!same_events(p, want, dialect, bytes, cut, bytes.len)) {
            return cut;
        }
    }
    return 0;
}

/* Every byte is a place to cut. One cut is forgotten when the event that it
 * was in is over, so one pass takes many of them, far apart. */
static void try_cuts(apr_pool_t *p, llmux_jw_t *w,
                     const llmux_dialect_t *dialect, llmux_slice_t bytes)
{
    const llmux_buf_t *want = events_of(p, dialect, 1, bytes, bytes.len, 1);
    apr_size_t first, cuts = 0, wrong = 0;
    int same = same_events(p, want, dialect, bytes, 1, 1);

    for (first = 0; same && first < apart && first < bytes.len; first++) {
        same = same_events(p, want, dialect, bytes, first, apart);
        cuts += (bytes.len - first + apart - 1) / apart;
        if (!same) {
            wrong = culprit(p, want, dialect, bytes, first);
        }
    }
    write_int(w, "cuts", (apr_int64_t)cuts);
    llmux_jw_key(w, "differs");
    if (same) {
        llmux_jw_null(w);
    }
    else {
        llmux_jw_int(w, (apr_int64_t)wrong);
    }
}

/* ---- peeking --------------------------------------------------------- */

/* Payloads, and how many of them needed no index. */
static int payloads, peeked;
static int (*openai_peek)(llmux_decoder_t *d, llmux_slice_t event_name,
                          llmux_slice_t text, int whole,
                          llmux_json_parser_t *parser);

static int counting_peek(llmux_decoder_t *d, llmux_slice_t event_name,
                         llmux_slice_t text, int whole,
                         llmux_json_parser_t *parser)
{
    int done = openai_peek(d, event_name, text, whole, parser);

    payloads++;
    peeked += done;
    return done;
}

static llmux_decoder_t *counting_decoder(apr_pool_t *p,
                                         const llmux_env_t *env,
                                         llmux_emit_fn emit, void *baton)
{
    llmux_decoder_t *d = llmux_dialect_openai.decoder(p, env, emit, baton);

    openai_peek = d->peek;
    d->peek = counting_peek;
    return d;
}

static const llmux_dialect_t counting_openai = {
    .name = "openai", .decoder = counting_decoder
};

static void try_parsing(apr_pool_t *p, llmux_jw_t *w, int streamed,
                        llmux_slice_t bytes)
{
    const llmux_buf_t *peeking, *parsing;

    payloads = peeked = 0;
    peeking = events_of(p, &counting_openai, streamed, bytes, bytes.len, 1);
    parsing = events_of(p, &parsing_openai, streamed, bytes, bytes.len, 1);
    write_int(w, "payloads", payloads);
    write_int(w, "peeked", peeked);
    write_int(w, "parsed_alike", llmux_slice_equal(llmux_buf_slice(peeking),
                                                   llmux_buf_slice(parsing)));
}

/* ---- jobs ------------------------------------------------------------ */

static void read_error(apr_pool_t *p, llmux_jw_t *w,
                       const llmux_dialect_t *dialect, llmux_slice_t bytes)
{
    const llmux_json_t *file = llmux_json_parse(p, bytes, 0, NULL);
    const llmux_json_t *body = llmux_json_get(file, "body");
    int status = (int)llmux_json_int(llmux_json_get(file, "status"), 0);

    if (llmux_json_kind(body) == LLMUX_JSON_STRING) {
        body = llmux_json_parse(p, llmux_json_str(p, body), 0, NULL);
    }
    write_error(w, dialect->error_read(p, status, body));
}

static int job(apr_pool_t *p, char *line)
{
    char *last;
    const char *name = apr_strtok(line, "\t\n", &last);
    const char *mode = apr_strtok(NULL, "\t\n", &last);
    const char *path = apr_strtok(NULL, "\t\n", &last);
    const llmux_dialect_t *dialect = name ? llmux_dialect_named(name) : NULL;
    llmux_buf_t *out = llmux_buf_create(p, TEXT_MAX);
    llmux_jw_t w = llmux_jw(out);
    llmux_slice_t bytes = { NULL, 0 };

    if (!dialect || !mode || !path || !read_file(p, path, &bytes)) {
        return 0;
    }
    llmux_jw_open(&w, '{');
    if (!strcmp(mode, "error")) {
        read_error(p, &w, dialect, bytes);
    }
    else {
        decode(p, &w, dialect, !strcmp(mode, "stream"), bytes);
    }
    if (!strcmp(mode, "stream")) {
        try_cuts(p, &w, dialect, bytes);
    }
    if (strcmp(mode, "error") && dialect == &llmux_dialect_openai) {
        try_parsing(p, &w, !strcmp(mode, "stream"), bytes);
    }
    llmux_jw_close(&w, '}');
    return print_line(out);
}

int main(int argc, char **argv)
{
    apart = argc > 1 ? (apr_size_t)atol(argv[1]) : CUTS_APART;
    return run_jobs("decode", job);
}
