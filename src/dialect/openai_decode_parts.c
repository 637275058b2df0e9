/* openai_decode_parts.c - what a message of chat completions says: reasoning,
 * text, refusal, citations, pictures, sound. Knows the habits of compatible
 * servers, too. */

#include "openai_decode.h"

typedef llmux_openai_decode_t decoder_t;
typedef llmux_openai_cand_t choice_t;

/* ---- blocks ---------------------------------------------------------- */

static void begin_block(decoder_t *d, choice_t *c, llmux_block_e block)
{
    llmux_event_t ev = { .kind = LLMUX_EV_BLOCK_START, .cand = c->index,
                         .block = block };

    llmux_openai_decode_close(d, c);
    c->open = 1;
    c->block = block;
    c->key = ev.key = d->keys++;
    c->detail = -1;
    llmux_openai_decode_start(d, &ev);
}

static inline void open_block(decoder_t *d, choice_t *c, llmux_block_e block)
{
    if (!c->open || c->block != block) {
        begin_block(d, c, block);
    }
}

static void block_text(decoder_t *d, choice_t *c, llmux_block_e block,
                       llmux_event_e kind, llmux_slice_t text)
{
    if (!empty(text)) {
        c->spoke |= block == LLMUX_BLOCK_TEXT;
        open_block(d, c, block);
        llmux_openai_decode_text(d, c, kind, c->key, text);
    }
}

/* ---- reasoning ------------------------------------------------------- */

static const struct {
    const char *format;
    llmux_maker_e signs, seals;     /* with text; encrypted */
} formats[] = {
    { "anthropic-claude-v1", LLMUX_MAKER_ANTHROPIC,
                             LLMUX_MAKER_ANTHROPIC_REDACTED },
    { "google-gemini-v1",    LLMUX_MAKER_GEMINI, LLMUX_MAKER_GEMINI },
    { "openai-responses-v1", LLMUX_MAKER_OPENAI, LLMUX_MAKER_OPENAI }
};

/* Tokens of unknown makers are left out: there is nobody to give them to. */
static llmux_token_t token_of(decoder_t *d, const llmux_json_t *detail)
{
    const llmux_json_t *format = llmux_json_get(detail, "format");
    llmux_slice_t data = member(d, detail, "data");
    llmux_token_t token = { .maker = LLMUX_MAKER_NONE };
    apr_size_t i;

    token.bytes = empty(data) ? member(d, detail, "signature") : data;
    for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (llmux_json_is(format, formats[i].format)) {
            token.maker = empty(data) ? formats[i].signs : formats[i].seals;
        }
    }
    return token;
}

/* Details with different numbers are different blocks. */
static void open_think(decoder_t *d, choice_t *c, apr_int64_t number)
{
    if (c->open && c->block == LLMUX_BLOCK_THINK && number >= 0
        && c->detail >= 0 && c->detail != number) {
        llmux_openai_decode_close(d, c);
    }
    open_block(d, c, LLMUX_BLOCK_THINK);
    if (number >= 0) {
        c->detail = number;
    }
}

static llmux_slice_t detail_text(decoder_t *d, const llmux_json_t *detail)
{
    llmux_slice_t text = member(d, detail, "text");

    return text.data ? text : member(d, detail, "summary");
}

static void detail(decoder_t *d, choice_t *c, const llmux_json_t *v,
                   int with_text)
{
    llmux_slice_t text = detail_text(d, v);
    llmux_token_t token = token_of(d, v);
    int spoken = with_text && !empty(text);

    if (spoken || (token.maker != LLMUX_MAKER_NONE && !empty(token.bytes))) {
        open_think(d, c, llmux_json_int(llmux_json_get(v, "index"), -1));
        if (spoken) {
            llmux_openai_decode_text(d, c, LLMUX_EV_THINK, c->key, text);
        }
        llmux_openai_decode_token(d, c, c->key, token);
    }
}

static int details_speak(decoder_t *d, const llmux_json_t *details)
{
    const llmux_json_t *v;

    for (v = llmux_json_first(details); v; v = llmux_json_next(details, v)) {
        if (!empty(detail_text(d, v))) {
            return 1;
        }
    }
    return 0;
}

/* One text under up to three names: reasoning_details holds it in pieces
 * that keep their signatures, so it is preferred where it has any text. */
void llmux_openai_decode_reasoning(decoder_t *d, choice_t *c,
                                   const llmux_json_t *m)
{
    const llmux_json_t *details = llmux_json_get(m, "reasoning_details"), *v;
    llmux_slice_t text = member(d, m, "reasoning_content");
    int speak;

    if (llmux_json_kind(details) != LLMUX_JSON_ARRAY) {
        details = NULL;
    }
    speak = details_speak(d, details);
    if (!speak) {
        block_text(d, c, LLMUX_BLOCK_THINK, LLMUX_EV_THINK,
                   empty(text) ? member(d, m, "reasoning") : text);
    }
    for (v = llmux_json_first(details); v; v = llmux_json_next(details, v)) {
        detail(d, c, v, speak);
    }
}

/* ---- content --------------------------------------------------------- */

static void image(decoder_t *d, choice_t *c, const llmux_json_t *part)
{
    llmux_event_t ev = { .kind = LLMUX_EV_MEDIA, .cand = c->index };
    const llmux_json_t *url = llmux_json_get(part, "image_url");
    llmux_data_url_t data;

    if (llmux_json_kind(url) == LLMUX_JSON_OBJECT) {
        url = llmux_json_get(url, "url");
    }
    if (!llmux_data_url(d->base.scratch, str(d, url), &data)) {
        return;
    }
    c->spoke = 1;
    llmux_openai_decode_close(d, c);
    open_block(d, c, LLMUX_BLOCK_MEDIA);
    ev.key = c->key;
    ev.name = data.type;
    ev.text = data.base64;
    llmux_decoder_emit(&d->base, &ev);
    llmux_openai_decode_close(d, c);
}

static void images(decoder_t *d, choice_t *c, const llmux_json_t *m)
{
    const llmux_json_t *list = llmux_json_get(m, "images"), *v;

    if (llmux_json_kind(list) == LLMUX_JSON_ARRAY) {
        for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
            image(d, c, v);
        }
    }
}

/* Answers do not say what they are. Whoever asks by another API is given
 * samples, and there are no others in streams. */
#define PCM "audio/pcm;rate=24000"

static llmux_slice_t type_of_sound(decoder_t *d, llmux_slice_t base64)
{
    llmux_slice_t seen = llmux_slice(llmux_media_sniff(base64));

    return d->is_whole && llmux_slice_starts(seen, "audio/")
        ? seen : llmux_slice(PCM);
}

/* It comes in many pieces, which are one block unless something else is said
 * between them. Its words are left out: they are not the answer. */
static void sound(decoder_t *d, choice_t *c, const llmux_json_t *m)
{
    llmux_event_t ev = { .kind = LLMUX_EV_MEDIA, .cand = c->index };
    llmux_slice_t data = member(d, llmux_json_get(m, "audio"), "data");
    llmux_slice_t bytes = llmux_base64_decode(d->base.scratch, data);

    if (empty(data) || empty(bytes)) {
        return;
    }
    c->spoke = 1;
    open_block(d, c, LLMUX_BLOCK_MEDIA);
    ev.key = c->key;
    ev.text = llmux_base64_encode(d->base.scratch, bytes);
    ev.name = type_of_sound(d, ev.text);
    llmux_decoder_emit(&d->base, &ev);
}

/* Mistral: {"type":"thinking","thinking":[{"type":"text","text":"..."}]} */
static void thinking_part(decoder_t *d, choice_t *c, const llmux_json_t *part)
{
    const llmux_json_t *list = llmux_json_get(part, "thinking"), *v;

    if (llmux_json_kind(list) == LLMUX_JSON_STRING) {
        block_text(d, c, LLMUX_BLOCK_THINK, LLMUX_EV_THINK, str(d, list));
        return;
    }
    for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
        block_text(d, c, LLMUX_BLOCK_THINK, LLMUX_EV_THINK,
                   member(d, v, "text"));
    }
}

static void text_part(decoder_t *d, choice_t *c, const llmux_json_t *part)
{
    block_text(d, c, LLMUX_BLOCK_TEXT, LLMUX_EV_TEXT, member(d, part, "text"));
}

static void refuse(decoder_t *d, choice_t *c, llmux_slice_t text)
{
    if (!empty(text)) {
        c->refused = 1;
        block_text(d, c, LLMUX_BLOCK_REFUSAL, LLMUX_EV_REFUSAL, text);
    }
}

static void refusal_part(decoder_t *d, choice_t *c, const llmux_json_t *part)
{
    refuse(d, c, member(d, part, "refusal"));
}

static const struct {
    const char *type;
    void (*read)(decoder_t *d, choice_t *c, const llmux_json_t *part);
} parts[] = {
    { "text", text_part },
    { "output_text", text_part },
    { "thinking", thinking_part },
    { "refusal", refusal_part },
    { "image_url", image }
};

static void content_part(decoder_t *d, choice_t *c, const llmux_json_t *part)
{
    const llmux_json_t *type = llmux_json_get(part, "type");
    apr_size_t i;

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (llmux_json_is(type, parts[i].type)) {
            parts[i].read(d, c, part);
        }
    }
}

static void content(decoder_t *d, choice_t *c, const llmux_json_t *v)
{
    const llmux_json_t *part;

    if (llmux_json_kind(v) == LLMUX_JSON_ARRAY) {
        for (part = llmux_json_first(v); part;
             part = llmux_json_next(v, part)) {
            content_part(d, c, part);
        }
        return;
    }
    block_text(d, c, LLMUX_BLOCK_TEXT, LLMUX_EV_TEXT, str(d, v));
}

static void citation(decoder_t *d, choice_t *c, const llmux_json_t *v)
{
    const llmux_json_t *u = llmux_json_get(v, "url_citation");
    llmux_cite_t cite;
    llmux_event_t ev = { .kind = LLMUX_EV_CITE, .cand = c->index,
                         .cite = &cite };

    u = u ? u : v;
    cite.url = member(d, u, "url");
    cite.title = filled(member(d, u, "title"));
    cite.quote = filled(member(d, u, "content"));
    cite.start = llmux_json_int(llmux_json_get(u, "start_index"), -1);
    cite.end = llmux_json_int(llmux_json_get(u, "end_index"), -1);
    if (cite.start < 0 || cite.end <= cite.start) {
        cite.start = cite.end = -1;
    }
    if (llmux_json_is(llmux_json_get(v, "type"), "url_citation")
        && !empty(cite.url)) {
        c->cited = 1;
        open_block(d, c, LLMUX_BLOCK_TEXT);
        ev.key = c->key;
        llmux_decoder_emit(&d->base, &ev);
    }
}

static void citations(decoder_t *d, choice_t *c, const llmux_json_t *m)
{
    const llmux_json_t *list = llmux_json_get(m, "annotations"), *v;

    if (llmux_json_kind(list) == LLMUX_JSON_ARRAY) {
        for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
            citation(d, c, v);
        }
    }
}

static void logprobs(decoder_t *d, choice_t *c, const llmux_json_t *choice)
{
    const llmux_json_t *list = llmux_json_get(
        llmux_json_get(choice, "logprobs"), "content");

    if (llmux_json_kind(list) == LLMUX_JSON_ARRAY && llmux_json_count(list)) {
        llmux_openai_decode_text(d, c, LLMUX_EV_LOGPROBS, 0,
                                 llmux_json_raw(list));
    }
}

void llmux_openai_decode_said(decoder_t *d, choice_t *c,
                              llmux_slice_t reasoning, llmux_slice_t text,
                              llmux_slice_t refusal)
{
    block_text(d, c, LLMUX_BLOCK_THINK, LLMUX_EV_THINK, reasoning);
    block_text(d, c, LLMUX_BLOCK_TEXT, LLMUX_EV_TEXT, text);
    refuse(d, c, refusal);
}

/* Log probabilities go with the text before them. */
void llmux_openai_decode_content(decoder_t *d, choice_t *c,
                                 const llmux_json_t *m,
                                 const llmux_json_t *choice)
{
    content(d, c, llmux_json_get(m, "content"));
    refuse(d, c, member(d, m, "refusal"));
    logprobs(d, c, choice);
    citations(d, c, m);
    images(d, c, m);
    sound(d, c, m);
}
