/* responses_decode_parts.c - what the items of Responses' output say: text and
 * what goes with it, refusals, thoughts, calls, pictures. */

#include <string.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "responses_decode.h"

typedef llmux_responses_decode_t decoder_t;
typedef llmux_responses_item_t item_t;
typedef llmux_responses_part_t part_t;
typedef llmux_responses_told_t told_t;

/* Between messages, and between the parts of a thought. */
#define GAP "\n\n"

/* ---- what was said --------------------------------------------------- */

apr_uint64_t llmux_responses_hash(apr_uint64_t h, llmux_slice_t s)
{
    apr_size_t i;

    for (i = 0; i < s.len; i++) {
        h = (h ^ (unsigned char)s.data[i]) * APR_UINT64_C(1099511628211);
    }
    return h;
}

static void note(told_t *said, llmux_slice_t text)
{
    said->hash = llmux_responses_hash(said->len ? said->hash
                                                : LLMUX_RESPONSES_HASH, text);
    said->len += text.len;
}

llmux_slice_t llmux_responses_unsaid(const told_t *said, llmux_slice_t whole)
{
    static const llmux_slice_t none = { NULL, 0 };
    llmux_slice_t begins = { whole.data, said->len };

    if (!whole.data || whole.len <= said->len
        || (said->len && llmux_responses_hash(LLMUX_RESPONSES_HASH, begins)
                             != said->hash)) {
        return none;
    }
    whole.data += said->len;
    whole.len -= said->len;
    return whole;
}

/* ---- events ---------------------------------------------------------- */

static void emit_text(decoder_t *d, llmux_event_e kind, int key,
                      llmux_slice_t text)
{
    llmux_event_t ev = { .kind = kind, .key = key, .text = text };

    llmux_decoder_emit(&d->base, &ev);
}

static void emit_stop(decoder_t *d, int key)
{
    llmux_event_t ev = { .kind = LLMUX_EV_BLOCK_STOP, .key = key };

    llmux_decoder_emit(&d->base, &ev);
}

/* @return the new block's key */
static int emit_start(decoder_t *d, llmux_event_t *ev, llmux_block_e block)
{
    if (d->keys >= LLMUX_BLOCKS_MAX) {
        bad(d, "The provider's answer has too many parts.");
    }
    ev->kind = LLMUX_EV_BLOCK_START;
    ev->block = block;
    ev->key = d->keys++;
    llmux_decoder_emit(&d->base, ev);
    return ev->key;
}

/* ---- messages -------------------------------------------------------- */

/* An answer has but one text where clients read it: a comment before a tool
 * and the answer after it must not run into each other. */
static void part_from(decoder_t *d, item_t *item, part_t *part)
{
    if (d->spoke && d->spoke != item) {
        emit_text(d, LLMUX_EV_TEXT, part->key, llmux_slice(GAP));
        d->points += (apr_int64_t)strlen(GAP);
    }
    d->spoke = item;
    if (!part->said.len) {
        part->start = d->points;
    }
}

static void open_part(decoder_t *d, item_t *item, part_t *part)
{
    llmux_event_t ev = { 0 };

    if (part->open) {
        return;
    }
    if (part->block == LLMUX_BLOCK_TEXT) {
        ev.name = item->phase;
    }
    part->key = emit_start(d, &ev, part->block);
    part->open = 1;
    if (part->block == LLMUX_BLOCK_TEXT) {
        part_from(d, item, part);
    }
}

void llmux_responses_speak(decoder_t *d, item_t *item, part_t *part,
                           llmux_slice_t text)
{
    if (!text.len) {
        return;
    }
    open_part(d, item, part);
    note(&part->said, text);
    if (part->block == LLMUX_BLOCK_TEXT) {
        d->points += llmux_slice_points(text);
        emit_text(d, LLMUX_EV_TEXT, part->key, text);
    }
    else {
        d->refused = 1;
        emit_text(d, LLMUX_EV_REFUSAL, part->key, text);
    }
}

/* ---- log probabilities ----------------------------------------------- */

/* A member of this kind, or else these words. */
static void put(llmux_jw_t *w, const llmux_json_t *v, const char *name,
                llmux_json_e kind, const char *other)
{
    const llmux_json_t *m = llmux_json_get(v, name);

    llmux_jw_key(w, name);
    llmux_jw_raw(w, llmux_json_kind(m) == kind ? llmux_json_raw(m)
                                               : llmux_slice(other));
}

/* Here `bytes` may be left out, in chat completions they may not. */
static void put_token(llmux_jw_t *w, const llmux_json_t *v)
{
    put(w, v, "token", LLMUX_JSON_STRING, "\"\"");
    put(w, v, "logprob", LLMUX_JSON_NUMBER, "0");
    put(w, v, "bytes", LLMUX_JSON_ARRAY, "null");
}

static void put_logprob(llmux_jw_t *w, const llmux_json_t *v)
{
    const llmux_json_t *top = llmux_json_get(v, "top_logprobs"), *t;

    llmux_jw_open(w, '{');
    put_token(w, v);
    llmux_jw_key(w, "top_logprobs");
    llmux_jw_open(w, '[');
    if (llmux_json_kind(top) == LLMUX_JSON_ARRAY) {
        for (t = llmux_json_first(top); t; t = llmux_json_next(top, t)) {
            llmux_jw_open(w, '{');
            put_token(w, t);
            llmux_jw_close(w, '}');
        }
    }
    llmux_jw_close(w, ']');
    llmux_jw_close(w, '}');
}

void llmux_responses_logprobs(decoder_t *d, part_t *part,
                              const llmux_json_t *list, int more)
{
    int n = more ? 0 : part->logprobs, i = 0;
    const llmux_json_t *v;
    llmux_buf_t *out;
    llmux_jw_t w;

    if (part->key < 0 || llmux_json_kind(list) != LLMUX_JSON_ARRAY
        || llmux_json_count(list) <= n) {
        return;
    }
    out = llmux_buf_create(d->base.scratch, LLMUX_EVENT_MAX);
    w = llmux_jw(out);
    llmux_jw_open(&w, '[');
    for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
        if (i++ >= n) {
            put_logprob(&w, v);
        }
    }
    llmux_jw_close(&w, ']');
    part->logprobs += i - n;
    if (!out->failed) {
        emit_text(d, LLMUX_EV_LOGPROBS, 0, llmux_buf_slice(out));
    }
}

/* ---- citations ------------------------------------------------------- */

/* The API counts characters of the part, we of the whole text. */
static void place(const part_t *part, const llmux_json_t *v,
                  llmux_cite_t *cite)
{
    cite->start = llmux_json_int(llmux_json_get(v, "start_index"), -1);
    cite->end = llmux_json_int(llmux_json_get(v, "end_index"), -1);
    if (cite->start < 0 || cite->end <= cite->start
        || cite->end > (apr_int64_t)LLMUX_ANSWER_MAX) {
        cite->start = cite->end = -1;
        return;
    }
    cite->start += part->start;
    cite->end += part->start;
}

void llmux_responses_cite(decoder_t *d, item_t *item, part_t *part,
                          const llmux_json_t *v)
{
    static const llmux_slice_t none = { NULL, 0 };
    llmux_cite_t cite;
    llmux_event_t ev = { .kind = LLMUX_EV_CITE, .cite = &cite };

    cite.url = member(d, v, "url");
    cite.title = member(d, v, "title");
    if (!cite.title.len) {
        cite.title = member(d, v, "filename");
    }
    cite.quote = none;
    if (!cite.url.len && !cite.title.len) {
        return;
    }
    if (part->key < 0) {
        open_part(d, item, part);
    }
    place(part, v, &cite);
    ev.key = part->key;
    llmux_decoder_emit(&d->base, &ev);
}

/* Those that were not told before. */
static void cite_all(decoder_t *d, item_t *item, part_t *part,
                     const llmux_json_t *list)
{
    const llmux_json_t *v;
    int i = 0;

    if (llmux_json_kind(list) != LLMUX_JSON_ARRAY) {
        return;
    }
    for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
        if (i++ >= part->cites) {
            part->cites++;
            llmux_responses_cite(d, item, part, v);
        }
    }
}

void llmux_responses_complete(decoder_t *d, item_t *item, part_t *part,
                              const llmux_json_t *v)
{
    int refusal = part->block == LLMUX_BLOCK_REFUSAL;

    llmux_responses_speak(d, item, part, llmux_responses_unsaid(
        &part->said, member(d, v, refusal ? "refusal" : "text")));
    if (!refusal) {
        llmux_responses_logprobs(d, part, llmux_json_get(v, "logprobs"), 0);
        cite_all(d, item, part, llmux_json_get(v, "annotations"));
    }
}

/* ---- reasoning ------------------------------------------------------- */

static void open_thought(decoder_t *d, item_t *item)
{
    llmux_event_t ev = { 0 };

    if (!item->open) {
        ev.id = d->id;
        item->key = emit_start(d, &ev, LLMUX_BLOCK_THINK);
        item->open = 1;
    }
}

void llmux_responses_think(decoder_t *d, item_t *item, part_t *part,
                           llmux_slice_t text)
{
    if (!text.len) {
        return;
    }
    open_thought(d, item);
    if (item->spoke && item->spoke != part) {
        emit_text(d, LLMUX_EV_THINK, item->key, llmux_slice(GAP));
    }
    item->spoke = part;
    note(&part->said, text);
    emit_text(d, LLMUX_EV_THINK, item->key, text);
}

void llmux_responses_token(decoder_t *d, item_t *item, llmux_slice_t bytes)
{
    llmux_event_t ev = { .kind = LLMUX_EV_TOKEN };

    if (!bytes.len || item->told) {
        return;
    }
    open_thought(d, item);
    item->told = 1;
    ev.key = item->key;
    ev.token.maker = LLMUX_MAKER_OPENAI;
    ev.token.bytes = bytes;
    llmux_decoder_emit(&d->base, &ev);
}

/* ---- calls ----------------------------------------------------------- */

void llmux_responses_begin_call(decoder_t *d, item_t *item,
                                const llmux_json_t *v, int last)
{
    llmux_event_t ev = { .custom = item->kind == LLMUX_ITEM_CUSTOM };

    ev.id = member(d, v, "call_id");
    ev.name = member(d, v, "name");
    if (item->began || !ev.name.len || (!ev.id.len && !last)) {
        return;
    }
    if (!ev.id.len) {
        ev.id = llmux_slice(llmux_random_id(d->base.env, d->base.scratch,
                                            "call_"));
    }
    item->key = emit_start(d, &ev, LLMUX_BLOCK_CALL);
    item->began = item->open = d->called = 1;
}

/* Arguments before the name are not kept: the item tells them again. */
void llmux_responses_args(decoder_t *d, item_t *item, llmux_slice_t text)
{
    if (text.len && item->open) {
        note(&item->args, text);
        emit_text(d, LLMUX_EV_ARGS, item->key, text);
    }
}

/* ---- pictures -------------------------------------------------------- */

static int is_base64(llmux_slice_t s)
{
    apr_size_t i;

    for (i = 0; i < s.len; i++) {
        if (!apr_isalnum(s.data[i]) && !memchr("+/=", s.data[i], 3)) {
            return 0;
        }
    }
    return s.len > 0;
}

/* "png", as the item says it, or what the picture itself shows. */
static const char *image_type(decoder_t *d, const llmux_json_t *v,
                              llmux_slice_t base64)
{
    const llmux_json_t *format = llmux_json_get(v, "output_format");
    const char *seen = llmux_media_sniff(base64);

    if (llmux_json_is(format, "png") || llmux_json_is(format, "jpeg")
        || llmux_json_is(format, "webp")) {
        return apr_pstrcat(d->base.scratch, "image/",
                           llmux_json_cstr(d->base.scratch, format), NULL);
    }
    return seen ? seen : "image/png";
}

void llmux_responses_image(decoder_t *d, item_t *item, const llmux_json_t *v)
{
    llmux_event_t start = { 0 }, ev = { .kind = LLMUX_EV_MEDIA };

    ev.text = member(d, v, "result");
    if (item->told || !is_base64(ev.text)) {
        return;
    }
    item->told = 1;
    ev.key = emit_start(d, &start, LLMUX_BLOCK_MEDIA);
    ev.name = llmux_slice(image_type(d, v, ev.text));
    llmux_decoder_emit(&d->base, &ev);
    emit_stop(d, ev.key);
}

/* ---- ends ------------------------------------------------------------ */

void llmux_responses_close_part(decoder_t *d, part_t *part)
{
    if (part->open) {
        part->open = 0;
        emit_stop(d, part->key);
    }
}

void llmux_responses_close(decoder_t *d, item_t *item)
{
    part_t *part;

    for (part = item->content; part; part = part->next) {
        llmux_responses_close_part(d, part);
    }
    if (item->open) {
        item->open = 0;
        emit_stop(d, item->key);
    }
}
