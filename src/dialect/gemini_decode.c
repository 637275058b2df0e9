/* gemini_decode.c - Gemini's answer becomes events.
 *
 * Each payload is a whole GenerateContentResponse whose parts continue those
 * before it. Nothing says that a part or the answer is complete: blocks end
 * when another kind begins, and the finish reason is kept until the end of
 * the bytes, since text, citations and usage may come after it. */

#include <apr_strings.h>
#include <string.h>

#include "gemini.h"

/* One answer of several. */
typedef struct cand_t {
    int number;
    int open;                   /* a block is open ... */
    llmux_block_e kind;         /* ... of this kind ... */
    int key;                    /* ... and this key */
    int text_key;               /* the last text's, -1 before any */
    int calls;                  /* tool calls so far */
    int media;                  /* pictures and sounds so far */
    llmux_gemini_partial_t *partial;
    int assembling;             /* the open call's arguments come in pieces */
    llmux_gemini_text_t text;   /* where its code points are */
    apr_int64_t cited;          /* citations up to here were told */
    apr_int64_t part_at[LLMUX_PARTS_MAX];   /* where each part of the first
                                             * payload begins in the text */
    int payloads;               /* that had parts */
    char finish[LLMUX_FINISH_WORD_MAX + 1]; /* "": none yet */
} cand_t;

typedef struct decoder_t {
    llmux_decoder_t base;
    cand_t *cands[LLMUX_CANDIDATES_MAX];
    int count;                  /* highest candidate and one */
    int keys;                   /* blocks so far */
    int cites;                  /* citations looked at */
    apr_size_t args;            /* arguments assembled so far */
    llmux_gemini_counts_t counts;
    char blocked[LLMUX_FINISH_WORD_MAX + 1];    /* why the prompt was */
} decoder_t;

#define TOO_MANY_BLOCKS "The provider's answer has too many parts."

/* A word of an enumeration. Some front ends write its number instead; 0 is
 * "not said" in each of them. */
static void keep_word(char out[LLMUX_FINISH_WORD_MAX + 1], apr_pool_t *p,
                      const llmux_json_t *v)
{
    const char *word = llmux_json_cstr(p, v);

    if (llmux_json_int(v, 0) > 0) {
        word = llmux_slice_str(p, llmux_json_raw(v));
    }
    if (*word) {
        apr_cpystrn(out, word, LLMUX_FINISH_WORD_MAX + 1);
    }
}

/* ---- events ---------------------------------------------------------- */

static void emit(decoder_t *d, const llmux_event_t *ev)
{
    llmux_decoder_emit(&d->base, ev);
}

/* An event of the open block with nothing but this text. */
static void emit_text(decoder_t *d, const cand_t *c, llmux_event_e kind,
                      llmux_slice_t text)
{
    llmux_event_t ev = { .kind = kind, .cand = c->number, .key = c->key };

    ev.block = c->kind;
    ev.text = text;
    emit(d, &ev);
}

static void emit_token(decoder_t *d, const cand_t *c, int key,
                       llmux_slice_t signature)
{
    llmux_event_t ev = { .kind = LLMUX_EV_TOKEN, .cand = c->number };

    ev.key = key;
    ev.token.maker = LLMUX_MAKER_GEMINI;
    ev.token.bytes = signature;
    emit(d, &ev);
}

static void fail(decoder_t *d, const char *why)
{
    llmux_decoder_fail(&d->base, LLMUX_ERR_BAD_UPSTREAM, why);
}

/* ---- blocks ---------------------------------------------------------- */

static void close_block(decoder_t *d, cand_t *c);

/* Begins a block, ending the one before. @return 0 if there are too many */
static int begin(decoder_t *d, cand_t *c, llmux_event_t *ev)
{
    close_block(d, c);
    if (d->keys >= LLMUX_BLOCKS_MAX) {
        fail(d, TOO_MANY_BLOCKS);
        return 0;
    }
    c->open = 1;
    c->kind = ev->block;
    c->key = d->keys++;
    ev->kind = LLMUX_EV_BLOCK_START;
    ev->cand = c->number;
    ev->key = c->key;
    emit(d, ev);
    return 1;
}

/* Goes on with the open block if it is of this kind. */
static int begin_kind(decoder_t *d, cand_t *c, llmux_block_e kind)
{
    llmux_event_t ev = { .block = kind };

    return (c->open && c->kind == kind) || begin(d, c, &ev);
}

/* The arguments that came in pieces are told as one. */
static void close_assembled(decoder_t *d, cand_t *c)
{
    llmux_slice_t args;
    const char *why = llmux_gemini_partial_text(c->partial, d->base.scratch,
                                                &args);

    c->assembling = 0;
    if (why) {
        fail(d, why);
    }
    else if (args.len > 2) {
        emit_text(d, c, LLMUX_EV_ARGS, args);
    }
    llmux_gemini_partial_reset(c->partial);
}

static void close_block(decoder_t *d, cand_t *c)
{
    static const llmux_slice_t none = { NULL, 0 };

    if (!c->open) {
        return;
    }
    if (c->assembling) {
        close_assembled(d, c);
    }
    emit_text(d, c, LLMUX_EV_BLOCK_STOP, none);
    c->open = 0;
}

/* A signature that belongs to no call goes on the thinking before it, or on
 * a thought without words. That one leaves an open text open: the text goes
 * on, and citations need it. */
static void sign(decoder_t *d, cand_t *c, llmux_slice_t signature)
{
    llmux_event_t ev = { .kind = LLMUX_EV_BLOCK_START, .cand = c->number };

    if (!signature.len) {
        return;
    }
    if (c->open && c->kind == LLMUX_BLOCK_THINK) {
        emit_token(d, c, c->key, signature);
        return;
    }
    if (d->keys >= LLMUX_BLOCKS_MAX) {
        return;
    }
    ev.key = d->keys++;
    ev.block = LLMUX_BLOCK_THINK;
    emit(d, &ev);
    emit_token(d, c, ev.key, signature);
    ev.kind = LLMUX_EV_BLOCK_STOP;
    emit(d, &ev);
}

/* ---- text and thoughts ----------------------------------------------- */

static void on_text(decoder_t *d, cand_t *c, llmux_slice_t text,
                    llmux_slice_t signature)
{
    sign(d, c, signature);
    if (text.len && begin_kind(d, c, LLMUX_BLOCK_TEXT)) {
        c->text_key = c->key;
        llmux_gemini_text_add(&c->text, text);
        emit_text(d, c, LLMUX_EV_TEXT, text);
    }
}

static void on_thought(decoder_t *d, cand_t *c, llmux_slice_t text,
                       llmux_slice_t signature)
{
    if (text.len && begin_kind(d, c, LLMUX_BLOCK_THINK)) {
        emit_text(d, c, LLMUX_EV_THINK, text);
    }
    sign(d, c, signature);
}

/* ---- calls ----------------------------------------------------------- */

/* JSON without the white space between its tokens: answers that are not
 * streamed come indented, and arguments are text to the client. */
static llmux_slice_t compact(apr_pool_t *p, llmux_slice_t json)
{
    char *to = apr_palloc(p, json.len + 1);
    llmux_slice_t out = { to, 0 };
    int quoted = 0;
    apr_size_t i;

    for (i = 0; i < json.len; i++) {
        char c = json.data[i];

        if (c == '"') {
            quoted = !quoted;
        }
        else if (c == '\\') {
            *to++ = c;
            c = json.data[++i];
        }
        if (quoted || !strchr(" \t\r\n", c)) {
            *to++ = c;
        }
    }
    out.len = (apr_size_t)(to - out.data);
    return out;
}

/* The server's own id, or one that is as good: clients pair by it. */
static int begin_call(decoder_t *d, cand_t *c, const llmux_json_t *call,
                      llmux_slice_t name, llmux_slice_t signature)
{
    llmux_event_t ev = { .block = LLMUX_BLOCK_CALL };

    ev.id = llmux_json_str(d->base.scratch, llmux_json_get(call, "id"));
    ev.name = name;
    if (!ev.id.len) {
        ev.id = llmux_slice(llmux_random_id(d->base.env, d->base.scratch,
                                            "call_"));
    }
    if (!begin(d, c, &ev)) {
        return 0;
    }
    c->calls++;
    if (signature.len) {
        emit_token(d, c, c->key, signature);
    }
    return 1;
}

/* A fragment of the arguments. Without `willContinue` it is the last. */
static void assemble(decoder_t *d, cand_t *c, const llmux_json_t *call)
{
    const llmux_json_t *list = llmux_json_get(call, "partialArgs"), *v;
    const char *why = NULL;

    for (v = llmux_json_first(list); v && !why; v = llmux_json_next(list, v)) {
        why = llmux_gemini_partial_add(c->partial, d->base.scratch, v);
    }
    if (why) {
        fail(d, why);
    }
    else if (llmux_json_bool(llmux_json_get(call, "willContinue"))
             != LLMUX_YES) {
        close_block(d, c);
    }
}

static void begin_assembly(decoder_t *d, cand_t *c, const llmux_json_t *call)
{
    const char *why;

    if (!c->partial) {
        c->partial = llmux_gemini_partial_create(d->base.pool, &d->args);
    }
    c->assembling = 1;
    why = llmux_gemini_partial_whole(c->partial, llmux_json_get(call, "args"));
    if (why) {
        fail(d, why);
    }
    assemble(d, c, call);
}

static void on_whole_call(decoder_t *d, cand_t *c, const llmux_json_t *call)
{
    const llmux_json_t *args = llmux_json_get(call, "args");

    if (llmux_json_count(args)
        && llmux_json_kind(args) == LLMUX_JSON_OBJECT) {
        emit_text(d, c, LLMUX_EV_ARGS,
                  compact(d->base.scratch, llmux_json_raw(args)));
    }
    close_block(d, c);
}

static void on_call(decoder_t *d, cand_t *c, const llmux_json_t *call,
                    llmux_slice_t signature)
{
    llmux_slice_t name = llmux_json_str(d->base.scratch,
                                        llmux_json_get(call, "name"));

    if (!name.len) {
        /* more of the call that is open, or the end of none */
        if (c->assembling) {
            if (signature.len) {
                emit_token(d, c, c->key, signature);
            }
            assemble(d, c, call);
        }
    }
    else if (begin_call(d, c, call, name, signature)) {
        if (llmux_json_get(call, "partialArgs")
            || llmux_json_bool(llmux_json_get(call, "willContinue"))
                   == LLMUX_YES) {
            begin_assembly(d, c, call);
        }
        else {
            on_whole_call(d, c, call);
        }
    }
}

/* ---- parts ----------------------------------------------------------- */

static void on_media(decoder_t *d, cand_t *c, const llmux_json_t *data,
                     llmux_slice_t signature)
{
    llmux_event_t ev = { .block = LLMUX_BLOCK_MEDIA };

    sign(d, c, signature);
    if (!begin(d, c, &ev)) {
        return;
    }
    c->media++;
    ev.kind = LLMUX_EV_MEDIA;
    ev.name = llmux_json_str(d->base.scratch,
                             llmux_json_get(data, "mimeType"));
    ev.text = llmux_json_str(d->base.scratch, llmux_json_get(data, "data"));
    emit(d, &ev);
    close_block(d, c);
}

/* Hosted tools run inside the provider: their code, calls and results are
 * not the client's, who would try to run them. */
static int is_hosted(const llmux_json_t *part)
{
    return llmux_json_get(part, "executableCode")
           || llmux_json_get(part, "codeExecutionResult")
           || llmux_json_get(part, "toolCall")
           || llmux_json_get(part, "toolResponse");
}

static void on_part(decoder_t *d, cand_t *c, const llmux_json_t *part)
{
    apr_pool_t *p = d->base.scratch;
    llmux_slice_t signature = llmux_json_str(p, llmux_json_get(
                                                    part, "thoughtSignature"));
    llmux_slice_t text = llmux_json_str(p, llmux_json_get(part, "text"));
    const llmux_json_t *call = llmux_json_get(part, "functionCall");
    const llmux_json_t *data = llmux_json_get(part, "inlineData");
    int thought = llmux_json_bool(llmux_json_get(part, "thought"))
                  == LLMUX_YES;

    if (call) {
        on_call(d, c, call, signature);
    }
    else if (thought) {
        on_thought(d, c, text, signature);  /* drafts of pictures are not
                                             * part of the answer */
    }
    else if (data) {
        on_media(d, c, data, signature);
    }
    else if (!is_hosted(part)) {
        on_text(d, c, text, signature);
    }
}

static void on_parts(decoder_t *d, cand_t *c, const llmux_json_t *parts)
{
    const llmux_json_t *part;
    int i = 0;

    for (part = llmux_json_first(parts); part && !d->base.ended;
         part = llmux_json_next(parts, part), i++) {
        if (!c->payloads && i < LLMUX_PARTS_MAX) {
            c->part_at[i] = c->text.bytes;
        }
        on_part(d, c, part);
    }
    c->payloads += i > 0;
}

/* ---- citations ------------------------------------------------------- */

/* From where a segment's offsets count. Streamed, the parts of all payloads
 * are one text; whole, it says which part it means. */
static apr_int64_t segment_base(const cand_t *c, const llmux_json_t *segment)
{
    apr_int64_t part = llmux_json_int(llmux_json_get(segment, "partIndex"), 0);

    return c->payloads == 1 && part >= 0 && part < LLMUX_PARTS_MAX
               ? c->part_at[part] : 0;
}

static void emit_cite(decoder_t *d, cand_t *c, llmux_cite_t *cite,
                      apr_int64_t start, apr_int64_t end)
{
    llmux_event_t ev = { .kind = LLMUX_EV_CITE, .cand = c->number };

    if (!cite->url.len || c->text_key < 0) {
        return;
    }
    cite->start = llmux_gemini_text_points(&c->text, start);
    cite->end = llmux_gemini_text_points(&c->text, end);
    if (cite->start < 0 || cite->end < cite->start) {
        cite->start = cite->end = -1;
    }
    ev.key = c->text_key;
    ev.cite = cite;
    emit(d, &ev);
}

/* The page, map place or document that a support names. */
static llmux_cite_t source_of(apr_pool_t *p, const llmux_json_t *chunk)
{
    static const char *const kinds[] = {
        "web", "retrievedContext", "maps", NULL
    };
    llmux_cite_t cite = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, -1, -1 };
    const llmux_json_t *v = NULL;
    int i;

    for (i = 0; !v && kinds[i]; i++) {
        v = llmux_json_get(chunk, kinds[i]);
    }
    cite.url = llmux_json_str(p, llmux_json_get(v, "uri"));
    cite.title = llmux_json_str(p, llmux_json_get(v, "title"));
    cite.quote = llmux_json_str(p, llmux_json_get(v, "text"));
    return cite;
}

static void on_support(decoder_t *d, cand_t *c, const llmux_json_t *support,
                       const llmux_json_t *chunks, apr_int64_t *told)
{
    const llmux_json_t *segment = llmux_json_get(support, "segment");
    const llmux_json_t *list = llmux_json_get(support,
                                              "groundingChunkIndices"), *v;
    apr_int64_t start = llmux_json_int(llmux_json_get(segment, "startIndex"),
                                       0);
    apr_int64_t end = llmux_json_int(llmux_json_get(segment, "endIndex"), -1);
    apr_int64_t base = segment_base(c, segment);
    llmux_cite_t cite;

    if (start < 0 || start > LLMUX_ANSWER_MAX || end < start
        || end > LLMUX_ANSWER_MAX || base + end <= c->cited) {
        return;     /* broken, or told before: the lists may be cumulative */
    }
    *told = base + end > *told ? base + end : *told;
    for (v = llmux_json_first(list); v && d->cites < LLMUX_CITES_MAX;
         v = llmux_json_next(list, v)) {
        apr_int64_t n = llmux_json_int(v, -1);

        d->cites++;
        if (n >= 0 && n < LLMUX_CITES_MAX) {
            cite = source_of(d->base.scratch, llmux_json_at(chunks, (int)n));
            emit_cite(d, c, &cite, base + start, base + end);
        }
    }
}

static void on_grounding(decoder_t *d, cand_t *c, const llmux_json_t *meta)
{
    const llmux_json_t *chunks = llmux_json_get(meta, "groundingChunks");
    const llmux_json_t *list = llmux_json_get(meta, "groundingSupports"), *v;
    apr_int64_t told = c->cited;

    for (v = llmux_json_first(list); v && d->cites < LLMUX_CITES_MAX;
         v = llmux_json_next(list, v)) {
        on_support(d, c, v, chunks, &told);
    }
    c->cited = told;
}

/* Passages that the model recited from a source. */
static void on_recitation(decoder_t *d, cand_t *c, const llmux_json_t *meta)
{
    const llmux_json_t *list = llmux_json_get(meta, "citationSources"), *v;
    apr_pool_t *p = d->base.scratch;

    list = list ? list : llmux_json_get(meta, "citations");
    for (v = llmux_json_first(list); v && d->cites < LLMUX_CITES_MAX;
         v = llmux_json_next(list, v)) {
        llmux_cite_t cite = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, -1, -1 };

        d->cites++;
        cite.url = llmux_json_str(p, llmux_json_get(v, "uri"));
        cite.title = llmux_json_str(p, llmux_json_get(v, "title"));
        emit_cite(d, c, &cite,
                  llmux_json_int(llmux_json_get(v, "startIndex"), 0),
                  llmux_json_int(llmux_json_get(v, "endIndex"), -1));
    }
}

static void on_logprobs(decoder_t *d, cand_t *c, const llmux_json_t *result)
{
    llmux_event_t ev = { .kind = LLMUX_EV_LOGPROBS, .cand = c->number };

    ev.text = llmux_gemini_logprobs(d->base.scratch, result);
    if (ev.text.data) {
        emit(d, &ev);
    }
}

/* ---- candidates ------------------------------------------------------ */

static cand_t *cand_numbered(decoder_t *d, apr_int64_t number)
{
    cand_t *c;

    if (number < 0 || number >= LLMUX_CANDIDATES_MAX) {
        fail(d, "The provider's answer has a candidate with an impossible "
                "number.");
        return NULL;
    }
    c = d->cands[number];
    if (!c) {
        c = d->cands[number] = apr_pcalloc(d->base.pool, sizeof(*c));
        c->number = (int)number;
        c->text_key = -1;
        llmux_gemini_text_init(&c->text, d->base.pool);
        d->count = (int)number >= d->count ? (int)number + 1 : d->count;
    }
    return c;
}

static void on_candidate(decoder_t *d, const llmux_json_t *v)
{
    const llmux_json_t *content = llmux_json_get(v, "content");
    cand_t *c = cand_numbered(d, llmux_json_int(llmux_json_get(v, "index"),
                                                0));

    if (!c) {
        return;
    }
    on_parts(d, c, llmux_json_get(content, "parts"));
    on_logprobs(d, c, llmux_json_get(v, "logprobsResult"));
    on_recitation(d, c, llmux_json_get(v, "citationMetadata"));
    on_grounding(d, c, llmux_json_get(v, "groundingMetadata"));
    keep_word(c->finish, d->base.scratch, llmux_json_get(v, "finishReason"));
}

/* ---- usage ----------------------------------------------------------- */

/* It stands in every payload and grows; a payload that repeats it says
 * nothing new. */
static void on_usage(decoder_t *d, const llmux_json_t *v)
{
    llmux_gemini_counts_t *n = &d->counts, before = *n;
    llmux_event_t ev = { .kind = LLMUX_EV_USAGE };
    llmux_usage_t usage;

    llmux_gemini_count(d->base.scratch, n, v);
    if (memcmp(&before, n, sizeof(before))) {
        usage = llmux_gemini_usage(n);
        ev.usage = &usage;
        emit(d, &ev);
    }
}

/* ---- the answer ------------------------------------------------------ */

/* @return 0 if the payload says nothing of an answer */
static int start(decoder_t *d, const llmux_json_t *v)
{
    apr_pool_t *p = d->base.scratch;
    const llmux_json_t *usage = llmux_json_get(v, "usageMetadata");
    llmux_event_t ev = { .kind = LLMUX_EV_START };

    if (!usage && !llmux_json_get(v, "candidates")
        && !llmux_json_get(v, "promptFeedback")
        && !llmux_json_get(v, "responseId")) {
        return 0;
    }
    if (!d->base.started) {
        ev.id = llmux_json_str(p, llmux_json_get(v, "responseId"));
        ev.name = llmux_json_str(p, llmux_json_get(v, "modelVersion"));
        ev.created = llmux_gemini_seconds(
            llmux_json_cstr(p, llmux_json_get(v, "createTime")));
        ev.tier = llmux_gemini_tier(p, usage);
        emit(d, &ev);
    }
    return 1;
}

static void on_error(decoder_t *d, const llmux_json_t *v)
{
    llmux_event_t ev = { .kind = LLMUX_EV_ERROR };

    ev.error = llmux_gemini_error_read(d->base.pool, 0, v);
    emit(d, &ev);
}

static void on_payload(llmux_decoder_t *base, llmux_slice_t event_name,
                       const llmux_json_t *v)
{
    decoder_t *d = (decoder_t *)base;
    const llmux_json_t *list = llmux_json_get(v, "candidates"), *c;
    const llmux_json_t *feedback = llmux_json_get(v, "promptFeedback");

    if (llmux_json_get(v, "error")) {
        on_error(d, v);
        return;
    }
    if (!start(d, v)) {
        return;
    }
    for (c = llmux_json_first(list); c && !base->ended;
         c = llmux_json_next(list, c)) {
        on_candidate(d, c);
    }
    keep_word(d->blocked, base->scratch,
              llmux_json_get(feedback, "blockReason"));
    on_usage(d, llmux_json_get(v, "usageMetadata"));
}

/* One response, or the array of them that a stream without alt=sse is. */
static void on_whole(llmux_decoder_t *base, const llmux_json_t *body)
{
    static const llmux_slice_t none = { NULL, 0 };
    const llmux_json_t *v;

    if (llmux_json_kind(body) != LLMUX_JSON_ARRAY) {
        on_payload(base, none, body);
        return;
    }
    for (v = llmux_json_first(body); v && !base->ended;
         v = llmux_json_next(body, v)) {
        on_payload(base, none, v);
    }
}

/* ---- the end --------------------------------------------------------- */

/* Calls end with STOP as well, and often in an earlier payload. */
static llmux_finish_e finish_of(const cand_t *c)
{
    llmux_finish_e finish = llmux_gemini_finish(c->finish);

    return finish == LLMUX_FINISH_STOP && c->calls ? LLMUX_FINISH_CALLS
                                                   : finish;
}

static void emit_finish(decoder_t *d, int number, llmux_finish_e finish,
                        const char *word)
{
    llmux_event_t ev = { .kind = LLMUX_EV_FINISH, .cand = number };

    ev.finish = finish;
    ev.text = llmux_slice(word);
    emit(d, &ev);
}

/* No candidate at all: the prompt did not come through. */
static void emit_blocked(decoder_t *d)
{
    llmux_event_t ev = { .kind = LLMUX_EV_FINISH, .blocked = 1 };

    ev.finish = LLMUX_FINISH_FILTER;
    ev.text = llmux_slice(d->blocked);
    emit(d, &ev);
}

/* Did every candidate say why it stopped? */
static int complete(const decoder_t *d)
{
    int i;

    for (i = 0; i < d->count; i++) {
        if (d->cands[i] && !d->cands[i]->finish[0]) {
            return 0;
        }
    }
    return d->count > 0 || d->blocked[0];
}

/* Did all that there is come to nothing, because the model called a tool in a
 * way that nobody understands? */
static int only_malformed(const decoder_t *d)
{
    const cand_t *c;
    int i;

    for (i = 0; i < d->count; i++) {
        c = d->cands[i];
        if (c && (c->text_key >= 0 || c->calls || c->media
                  || finish_of(c) != LLMUX_FINISH_MALFORMED)) {
            return 0;
        }
    }
    return d->count > 0;
}

static void on_end(llmux_decoder_t *base)
{
    decoder_t *d = (decoder_t *)base;
    llmux_event_t ev = { .kind = LLMUX_EV_END };
    int i;

    if (!complete(d)) {
        fail(d, "The provider's answer was truncated.");
        return;
    }
    if (only_malformed(d)) {
        fail(d, "The model made a tool call that is not valid.");
        return;
    }
    for (i = 0; i < d->count; i++) {
        if (d->cands[i]) {
            close_block(d, d->cands[i]);
            emit_finish(d, i, finish_of(d->cands[i]), d->cands[i]->finish);
        }
    }
    if (!d->count) {
        emit_blocked(d);
    }
    emit(d, &ev);
}

llmux_decoder_t *llmux_gemini_decoder(apr_pool_t *p, const llmux_env_t *env,
                                      llmux_emit_fn emit_to, void *baton)
{
    decoder_t *d = apr_pcalloc(p, sizeof(*d));

    llmux_decoder_init(&d->base, p, env, emit_to, baton);
    d->base.payload = on_payload;
    d->base.whole = on_whole;
    d->base.finish = on_end;
    memset(&d->counts, 0xff, sizeof(d->counts));    /* -1 each */
    return &d->base;
}
