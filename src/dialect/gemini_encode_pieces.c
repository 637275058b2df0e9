/* gemini_encode_pieces.c - JSON that generateContent's chunks and whole answers
 * have in common: calls, media, usage, sources, why it ended. */

#include <apr_strings.h>
#include <string.h>

#include "gemini_encode.h"

typedef llmux_gemini_encode_t encoder_t;
typedef llmux_gemini_cand_t cand_t;
typedef llmux_gemini_block_t block_t;
typedef llmux_gemini_piece_t piece_t;
typedef llmux_gemini_mark_t mark_t;
typedef llmux_gemini_source_t source_t;

/* ---- calls and media ------------------------------------------------- */

/* Free text is the one argument of a tool that takes it. */
static void put_input(llmux_jw_t *w, llmux_slice_t text)
{
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "input");
    llmux_jw_str(w, text);
    llmux_jw_close(w, '}');
}

void llmux_gemini_put_call(llmux_jw_t *w, const block_t *b)
{
    llmux_slice_t args = llmux_buf_slice(b->args);

    llmux_jw_key(w, "functionCall");
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "name");
    llmux_jw_str(w, llmux_buf_slice(b->name));
    llmux_jw_key(w, "args");
    if (b->custom) {
        put_input(w, args);
    }
    else {
        llmux_json_one_line(w->out, llmux_slice_blank(args)
                                        ? llmux_slice("{}") : args);
        w->comma = 1;
    }
    if (b->id->len) {
        llmux_jw_key(w, "id");
        llmux_jw_str(w, llmux_buf_slice(b->id));
    }
    llmux_jw_close(w, '}');
}

void llmux_gemini_put_inline(llmux_jw_t *w, const llmux_event_t *ev)
{
    llmux_jw_key(w, "inlineData");
    llmux_jw_open(w, '{');
    llmux_jw_opt_str(w, "mimeType", ev->name);
    llmux_jw_key(w, "data");
    llmux_jw_str(w, ev->text.data ? ev->text : llmux_slice(""));
    llmux_jw_close(w, '}');
}

/* ---- usage ----------------------------------------------------------- */

/* -1 only if all of them are. */
static apr_int64_t sum(const apr_int64_t *n, int count)
{
    apr_int64_t all = -1;
    int i;

    for (i = 0; i < count; i++) {
        if (n[i] >= 0) {
            all = all < 0 ? n[i]
                : all > APR_INT64_MAX - n[i] ? APR_INT64_MAX : all + n[i];
        }
    }
    return all;
}

static void put_count(llmux_jw_t *w, const char *name, apr_int64_t n)
{
    if (n >= 0) {
        llmux_jw_key(w, name);
        llmux_jw_int(w, n);
    }
}

/* How much of a count is sound. */
static void put_audio(llmux_jw_t *w, const char *name, apr_int64_t n)
{
    if (n <= 0) {
        return;
    }
    llmux_jw_key(w, name);
    llmux_jw_open(w, '[');
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "modality");
    llmux_jw_cstr(w, "AUDIO");
    put_count(w, "tokenCount", n);
    llmux_jw_close(w, '}');
    llmux_jw_close(w, ']');
}

/* What Google counts as the prompt: the cache's part is in it, what its tools
 * read is not. */
static void put_usage(const encoder_t *e, llmux_jw_t *w)
{
    const llmux_usage_t *u = &e->usage;
    const apr_int64_t prompt[] = { u->input, u->cache_read, u->cache_write };
    const apr_int64_t all[] = {
        sum(prompt, 3), u->tool_input, u->output, u->reasoning
    };

    if (sum(all, 4) < 0) {
        return;
    }
    llmux_jw_key(w, "usageMetadata");
    llmux_jw_open(w, '{');
    put_count(w, "promptTokenCount", all[0]);
    put_count(w, "candidatesTokenCount", u->output);
    put_count(w, "totalTokenCount", sum(all, 4));
    put_count(w, "cachedContentTokenCount", u->cache_read);
    put_count(w, "toolUsePromptTokenCount", u->tool_input);
    put_count(w, "thoughtsTokenCount", u->reasoning);
    put_audio(w, "promptTokensDetails", u->audio_input);
    put_audio(w, "candidatesTokensDetails", u->audio_output);
    llmux_jw_opt_str(w, "serviceTier", llmux_slice(e->tier));
    llmux_jw_close(w, '}');
}

void llmux_gemini_put_tail(const encoder_t *e, llmux_jw_t *w)
{
    put_usage(e, w);
    if (!w->comma && e->tail.len) {
        llmux_buf_add(w->out, e->tail.data + 1, e->tail.len - 1);
    }
    else {
        llmux_buf_add_slice(w->out, e->tail);
    }
    llmux_jw_close(w, '}');
}

/* ---- log probabilities ----------------------------------------------- */

static void put_token(llmux_jw_t *w, apr_pool_t *p, const llmux_json_t *v)
{
    const llmux_json_t *logprob = llmux_json_get(v, "logprob");

    llmux_jw_open(w, '{');
    llmux_jw_opt_str(w, "token", llmux_json_str(p, llmux_json_get(v,
                                                                  "token")));
    if (llmux_json_kind(logprob) == LLMUX_JSON_NUMBER) {
        llmux_jw_key(w, "logProbability");
        llmux_jw_raw(w, llmux_json_raw(logprob));
    }
    llmux_jw_close(w, '}');
}

static void put_top(llmux_jw_t *w, apr_pool_t *p, const llmux_json_t *list)
{
    const llmux_json_t *v;

    llmux_jw_open(w, '{');
    llmux_jw_key(w, "candidates");
    llmux_jw_open(w, '[');
    for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
        put_token(w, p, v);
    }
    llmux_jw_close(w, ']');
    llmux_jw_close(w, '}');
}

/* All of it or nothing: half of an element would break the document. */
static void append(encoder_t *e, llmux_buf_t **to, const llmux_buf_t *more)
{
    if (!*to) {
        *to = llmux_buf_create(e->pool, LLMUX_EVENT_MAX);
    }
    if (!more->failed && more->len < LLMUX_EVENT_MAX - (*to)->len) {
        if ((*to)->len) {
            llmux_buf_adds(*to, ",");
        }
        llmux_buf_add_slice(*to, llmux_buf_slice(more));
    }
}

void llmux_gemini_keep_logprobs(encoder_t *e, cand_t *c, llmux_slice_t text)
{
    const llmux_json_t *list, *v;
    llmux_buf_t *chosen, *tops;
    llmux_jw_t w, top;
    apr_pool_t *p;

    apr_pool_create(&p, e->pool);
    list = llmux_json_parse(p, text, 0, NULL);
    chosen = llmux_buf_create(p, LLMUX_EVENT_MAX);
    tops = llmux_buf_create(p, LLMUX_EVENT_MAX);
    w = llmux_jw(chosen);
    top = llmux_jw(tops);
    for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
        put_token(&w, p, v);
        put_top(&top, p, llmux_json_get(v, "top_logprobs"));
    }
    if (chosen->len) {
        append(e, &c->chosen, chosen);
        append(e, &c->tops, tops);
    }
    apr_pool_destroy(p);
}

static void put_elements(llmux_jw_t *w, const char *name, llmux_buf_t *b)
{
    llmux_jw_key(w, name);
    llmux_jw_open(w, '[');
    llmux_buf_add_slice(w->out, llmux_buf_slice(b));
    llmux_jw_close(w, ']');
    llmux_buf_reset(b);
}

void llmux_gemini_put_logprobs(llmux_jw_t *w, cand_t *c)
{
    if (c->chosen && c->chosen->len) {
        llmux_jw_key(w, "logprobsResult");
        llmux_jw_open(w, '{');
        put_elements(w, "topCandidates", c->tops);
        put_elements(w, "chosenCandidates", c->chosen);
        llmux_jw_close(w, '}');
    }
}

/* ---- sources --------------------------------------------------------- */

static int is_source(const source_t *s, llmux_slice_t url,
                     llmux_slice_t title)
{
    return llmux_slice_is(url, s->url)
           && (title.data ? s->title && llmux_slice_is(title, s->title)
                          : !s->title);
}

/* The number of the source, a new one where it is new. */
static int source_of(encoder_t *e, cand_t *c, const llmux_cite_t *cite)
{
    source_t *s;
    int i;

    for (i = 0; i < c->sources->nelts; i++) {
        if (is_source(&APR_ARRAY_IDX(c->sources, i, source_t), cite->url,
                      cite->title)) {
            return i;
        }
    }
    e->cited += cite->url.len + cite->title.len;
    s = apr_array_push(c->sources);
    s->url = llmux_slice_str(e->pool, cite->url);
    s->title = cite->title.data ? llmux_slice_str(e->pool, cite->title)
                                : NULL;
    return i;
}

void llmux_gemini_keep_cite(encoder_t *e, cand_t *c, const llmux_cite_t *cite)
{
    mark_t *mark;

    if (!c->marks) {
        c->sources = apr_array_make(e->pool, 4, sizeof(source_t));
        c->marks = apr_array_make(e->pool, 4, sizeof(mark_t));
    }
    if (!cite->url.len || c->marks->nelts >= LLMUX_CITES_MAX
        || cite->url.len + cite->title.len
               > LLMUX_CITED_TEXT_MAX - e->cited) {
        return;
    }
    mark = apr_array_push(c->marks);
    mark->start = cite->start;
    mark->end = cite->end;
    mark->source = source_of(e, c, cite);
}

/* Where the code point of this number begins; -1 if that is not known. */
static apr_int64_t byte_of(const llmux_gemini_text_t *t, apr_int64_t point)
{
    llmux_slice_t begins = llmux_buf_slice(t->begins);
    apr_int64_t seen = 0, at;
    int bit, n, last = (int)(t->bytes & 7);
    apr_size_t i;

    if ((apr_int64_t)begins.len != t->bytes >> 3 || point < 0) {
        return -1;              /* too long: llmux_gemini_text_t */
    }
    for (i = 0; i <= begins.len; i++) {
        unsigned int bits = i < begins.len ? (unsigned char)begins.data[i]
                                           : t->bits;

        n = __builtin_popcount(bits);
        if (seen + n <= point) {
            seen += n;
            continue;
        }
        for (bit = 0; seen <= point; bit++) {
            seen += bits >> bit & 1;
        }
        at = (apr_int64_t)i * 8 + bit - 1;
        return i < begins.len || bit - 1 < last ? at : -1;
    }
    return seen == point ? t->bytes : -1;
}

static void put_sources(llmux_jw_t *w, const cand_t *c)
{
    int i;

    llmux_jw_key(w, "groundingChunks");
    llmux_jw_open(w, '[');
    for (i = 0; i < c->sources->nelts; i++) {
        const source_t *s = &APR_ARRAY_IDX(c->sources, i, source_t);

        llmux_jw_open(w, '{');
        llmux_jw_key(w, "web");
        llmux_jw_open(w, '{');
        llmux_jw_key(w, "uri");
        llmux_jw_cstr(w, s->url);
        llmux_jw_opt_str(w, "title", llmux_slice(s->title));
        llmux_jw_close(w, '}');
        llmux_jw_close(w, '}');
    }
    llmux_jw_close(w, ']');
}

int llmux_gemini_is_nothing(const piece_t *piece)
{
    return piece->kind == LLMUX_BLOCK_CALL && !piece->text->len;
}

/* The last piece of text that begins before this byte, and its number. */
static const piece_t *piece_at(const cand_t *c, apr_int64_t byte, int *number)
{
    const piece_t *p, *found = NULL;
    int i = 0;

    for (p = c->pieces; p; p = p->next) {
        if (p->kind == LLMUX_BLOCK_TEXT && p->from <= byte && p->text->len) {
            found = p;
            *number = i;
        }
        i += !llmux_gemini_is_nothing(p);
    }
    return found;
}

static void put_support(llmux_jw_t *w, const cand_t *c, const mark_t *mark,
                        int whole)
{
    apr_int64_t start = byte_of(&c->text, mark->start);
    apr_int64_t end = byte_of(&c->text, mark->end);
    const piece_t *piece;
    int number = 0;

    if (start < 0 || end < start) {
        return;
    }
    piece = whole ? piece_at(c, start, &number) : NULL;
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "segment");
    llmux_jw_open(w, '{');
    put_count(w, "partIndex", number ? number : -1);
    put_count(w, "startIndex", start - (piece ? piece->from : 0));
    put_count(w, "endIndex", end - (piece ? piece->from : 0));
    llmux_jw_close(w, '}');
    llmux_jw_key(w, "groundingChunkIndices");
    llmux_jw_open(w, '[');
    llmux_jw_int(w, mark->source);
    llmux_jw_close(w, ']');
    llmux_jw_close(w, '}');
}

static void put_grounding(llmux_jw_t *w, const cand_t *c, int whole)
{
    int i;

    if (!c->marks || !c->marks->nelts) {
        return;
    }
    llmux_jw_key(w, "groundingMetadata");
    llmux_jw_open(w, '{');
    put_sources(w, c);
    llmux_jw_key(w, "groundingSupports");
    llmux_jw_open(w, '[');
    for (i = 0; i < c->marks->nelts; i++) {
        put_support(w, c, &APR_ARRAY_IDX(c->marks, i, mark_t), whole);
    }
    llmux_jw_close(w, ']');
    llmux_jw_close(w, '}');
}

/* ---- why it ended ---------------------------------------------------- */

static const char *const finishes[] = {
    [LLMUX_FINISH_STOP]          = "STOP",
    [LLMUX_FINISH_STOP_SEQUENCE] = "STOP",
    [LLMUX_FINISH_LENGTH]        = "MAX_TOKENS",
    [LLMUX_FINISH_CONTEXT]       = "MAX_TOKENS",
    [LLMUX_FINISH_CALLS]         = "STOP",
    [LLMUX_FINISH_FILTER]        = "SAFETY",
    [LLMUX_FINISH_REFUSAL]       = "SAFETY",
    [LLMUX_FINISH_MALFORMED]     = "MALFORMED_FUNCTION_CALL",
    [LLMUX_FINISH_PAUSE]         = "STOP",
    [LLMUX_FINISH_OTHER]         = "OTHER"
};

/* Words of Gemini's own that say more than ours, and pass. */
static const char *const own_words[] = {
    "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
    "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT", "NO_IMAGE", "IMAGE_RECITATION",
    "IMAGE_OTHER", "MODEL_ARMOR", NULL
};

static const char *const block_words[] = {
    "SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY",
    "MODEL_ARMOR", "JAILBREAK", NULL
};

static const char *listed(const char *const *words, const char *word)
{
    int i;

    for (i = 0; words[i] && strcmp(words[i], word); i++) {
    }
    return words[i];
}

/* A call that nobody could read is the reason, unless the answer was cut off
 * in the middle of it. */
static int is_malformed(const cand_t *c)
{
    return c->malformed
           && (c->finish == LLMUX_FINISH_STOP
               || c->finish == LLMUX_FINISH_CALLS
               || c->finish == LLMUX_FINISH_OTHER);
}

static const char *reason_of(const cand_t *c)
{
    const char *own = listed(own_words, c->word);

    if (is_malformed(c)) {
        return finishes[LLMUX_FINISH_MALFORMED];
    }
    if (own) {
        return own;
    }
    return (unsigned)c->finish < sizeof(finishes) / sizeof(finishes[0])
        ? finishes[c->finish] : "OTHER";
}

void llmux_gemini_put_finish(encoder_t *e, llmux_jw_t *w, cand_t *c,
                             int whole)
{
    if (c->finished) {
        llmux_jw_key(w, "finishReason");
        llmux_jw_cstr(w, reason_of(c));
        if (is_malformed(c)) {
            llmux_jw_key(w, "finishMessage");
            llmux_jw_cstr(w, c->malformed);
        }
    }
    llmux_jw_key(w, "index");
    llmux_jw_int(w, c->index);
    put_grounding(w, c, whole);
    llmux_gemini_put_logprobs(w, c);
}

void llmux_gemini_put_blocked(llmux_jw_t *w, const cand_t *c)
{
    const char *word = listed(block_words, c->word);

    llmux_jw_key(w, "promptFeedback");
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "blockReason");
    llmux_jw_cstr(w, word ? word : "OTHER");
    llmux_jw_close(w, '}');
}
