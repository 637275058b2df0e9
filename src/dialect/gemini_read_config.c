/* gemini_read_config.c - how an answer is to be made: generationConfig. */

#include <stddef.h>

#include "gemini_read.h"

typedef llmux_gemini_in_t in_t;
typedef llmux_gemini_row_t row_t;
typedef llmux_gemini_got_t got_t;

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

/* ---- numbers --------------------------------------------------------- */

/* What a number sets, and its range; an integer's high 0 is no limit. */
typedef struct number_t {
    apr_size_t offset;
    int whole;
    double low, high;
} number_t;

/* 0 is what proto3 has for "not said"; of these it cannot be meant. */
static int says_nothing(const number_t *n, const llmux_json_t *v)
{
    return n->whole && n->low > 0 && llmux_json_int(v, -1) == 0;
}

static void read_number(in_t *in, const llmux_at_t *at, const llmux_json_t *v,
                        const number_t *n)
{
    llmux_slice_t *to = (llmux_slice_t *)(void *)((char *)in->r.chat
                                                  + n->offset);
    const llmux_json_t *number = llmux_gemini_number(in, at, v);

    if (!number || says_nothing(n, number)) {
        return;
    }
    if (!n->whole) {
        *to = llmux_reader_number(&in->r, at, number, n->low, n->high);
        return;
    }
    *to = llmux_reader_integer(&in->r, at, number,
                               n->high ? (apr_int64_t)n->low : APR_INT64_MIN,
                               n->high ? (apr_int64_t)n->high
                                       : APR_INT64_MAX);
}

/* ---- words ----------------------------------------------------------- */

static void read_stops(in_t *in, const llmux_at_t *at, const llmux_json_t *v)
{
    const llmux_json_t *e;
    llmux_slice_t s;
    llmux_at_t each;
    int i = 0;

    if (llmux_json_kind(v) == LLMUX_JSON_ARRAY
        && llmux_json_count(v) > LLMUX_STOPS_MAX) {
        llmux_reader_fail(&in->r, at, "expected at most %d strings, found %d",
                          LLMUX_STOPS_MAX, llmux_json_count(v));
    }
    in->r.chat->stop = apr_array_make(in->r.pool, 4, sizeof(llmux_slice_t));
    for (e = llmux_gemini_first(v); e && !in->r.err;
         e = llmux_gemini_next(v, e)) {
        each = llmux_at_index(at, i++);
        s = llmux_json_str(in->r.pool, e);
        if (llmux_reader_expect(&in->r, &each, e, LLMUX_JSON_STRING)
            && s.len) {
            APR_ARRAY_PUSH(in->r.chat->stop, llmux_slice_t) = s;
        }
    }
}

static void read_logprobs(in_t *in, const llmux_at_t *at,
                          const llmux_json_t *v)
{
    in->r.chat->logprobs = llmux_json_bool(v);
}

static void read_top_logprobs(in_t *in, const llmux_at_t *at,
                              const llmux_json_t *v)
{
    static const number_t n = {
        offsetof(llmux_chat_t, top_logprobs), 1, 0, 20
    };

    if (in->r.chat->logprobs == LLMUX_YES) {
        read_number(in, at, v, &n);
    }
}

/* Only pictures are looked at more or less closely elsewhere; `medium` is
 * what everybody does unasked. */
static void read_resolution(in_t *in, const llmux_at_t *at,
                            const llmux_json_t *v)
{
    static const char *const words[] = {
        "MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM",
        "MEDIA_RESOLUTION_HIGH", "MEDIA_RESOLUTION_ULTRA_HIGH", NULL
    };
    static const char *const details[] = { "low", "auto", "high", "high" };
    int i = llmux_gemini_word(in, at, v, words);

    if (i >= 0) {
        in->detail = llmux_slice(details[i]);
    }
}

/* ---- format ---------------------------------------------------------- */

static void read_type(in_t *in, const llmux_at_t *at, const llmux_json_t *v)
{
    llmux_slice_t s = llmux_json_str(in->r.pool, v);

    if (llmux_slice_is_nocase(s, "application/json")) {
        in->r.chat->format = LLMUX_FORMAT_JSON;
    }
    else if (llmux_slice_is_nocase(s, "text/plain")) {
        in->r.chat->format = LLMUX_FORMAT_TEXT;
    }
    else if (s.len) {
        llmux_gemini_refuse(in, at, "No provider but Google answers in the "
                            "format %s: ask for 'application/json' with a "
                            "schema.", llmux_reader_found(&in->r, v));
    }
}

static void set_schema(in_t *in, const llmux_at_t *at, llmux_slice_t schema)
{
    llmux_chat_t *chat = in->r.chat;

    if (chat->format == LLMUX_FORMAT_TEXT) {
        llmux_reader_fail(&in->r, at, "expected the responseMimeType "
                          "'application/json' with a schema, found "
                          "'text/plain'");
    }
    if (chat->format_schema.data) {
        llmux_reader_fail(&in->r, at, "expected one schema, found two");
    }
    chat->format = LLMUX_FORMAT_SCHEMA;
    chat->format_schema = schema;
}

static void read_schema(in_t *in, const llmux_at_t *at, const llmux_json_t *v)
{
    set_schema(in, at, llmux_gemini_read_schema(in, at, v));
}

static void read_json_schema(in_t *in, const llmux_at_t *at,
                             const llmux_json_t *v)
{
    set_schema(in, at, llmux_json_raw(v));
}

/* ---- modalities ------------------------------------------------------ */

enum { SPEECH_TEXT = 1, SPEECH_IMAGE = 2, SPEECH_AUDIO = 4 };

/* By what is asked for, as OpenAI's clients ask: sound never comes alone, and
 * text alone goes without saying. */
static const char *const modalities[] = {
    [SPEECH_IMAGE] = "[\"image\"]",
    [SPEECH_TEXT | SPEECH_IMAGE] = "[\"text\",\"image\"]",
    [SPEECH_AUDIO] = "[\"text\",\"audio\"]",
    [SPEECH_AUDIO | SPEECH_TEXT] = "[\"text\",\"audio\"]",
    [SPEECH_AUDIO | SPEECH_IMAGE] = "[\"text\",\"image\",\"audio\"]",
    [SPEECH_AUDIO | SPEECH_IMAGE | SPEECH_TEXT] =
        "[\"text\",\"image\",\"audio\"]"
};

static void read_modalities(in_t *in, const llmux_at_t *at,
                            const llmux_json_t *v)
{
    static const char *const words[] = { "TEXT", "IMAGE", "AUDIO", NULL };
    const llmux_json_t *e;
    llmux_at_t each;
    int i = 0, word, wants = 0;

    for (e = llmux_gemini_first(v); e && !in->r.err;
         e = llmux_gemini_next(v, e)) {
        each = llmux_at_index(at, i++);
        if (llmux_json_is(e, "VIDEO")) {
            llmux_gemini_refuse(in, &each, "No provider but Google answers "
                                "with a video.");
        }
        word = llmux_gemini_word(in, &each, e, words);
        wants |= word >= 0 ? 1 << word : 0;
    }
    in->r.chat->modalities = llmux_slice(modalities[wants]);
    if ((wants & SPEECH_AUDIO) && !in->r.chat->audio.data) {
        in->r.chat->audio =
            llmux_slice("{\"voice\":\"alloy\",\"format\":\"pcm16\"}");
    }
}

/* The voice of one speaker; the rest of it nobody else has. */
static void read_speech(in_t *in, const llmux_at_t *at, const llmux_json_t *v)
{
    static const row_t rows[] = { { "voiceConfig", LLMUX_GEMINI_OBJ } };
    static const row_t voice[] = {
        { "prebuiltVoiceConfig", LLMUX_GEMINI_OBJ }
    };
    static const row_t prebuilt[] = { { "voiceName", LLMUX_GEMINI_STR } };
    static const char where[] = "generationConfig.speechConfig";
    got_t got[1];
    llmux_buf_t *out;
    llmux_jw_t w;

    llmux_gemini_members(in, at, v, where, rows, 1, got);
    llmux_gemini_members(in, at, got[0].v, where, voice, 1, got);
    llmux_gemini_members(in, at, got[0].v, where, prebuilt, 1, got);
    if (!got[0].v) {
        return;
    }
    out = llmux_buf_create(in->r.pool, LLMUX_BODY_DEFAULT);
    w = llmux_jw(out);
    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "voice");
    llmux_jw_str(&w, llmux_gemini_text(in, got));
    llmux_jw_key(&w, "format");
    llmux_jw_cstr(&w, "pcm16");
    llmux_jw_close(&w, '}');
    in->r.chat->audio = llmux_buf_slice(out);
}

/* ---- thinking -------------------------------------------------------- */

enum { THINK_SHOW, THINK_BUDGET, THINK_LEVEL, THINKS };

static const row_t thinking[] = {
    [THINK_SHOW]   = { "includeThoughts", LLMUX_GEMINI_BOOL },
    [THINK_BUDGET] = { "thinkingBudget", LLMUX_GEMINI_NUM },
    [THINK_LEVEL]  = { "thinkingLevel", LLMUX_GEMINI_STR }
};

/* -1 is "as much as the model likes", and so is saying nothing. */
static void read_budget(in_t *in, const llmux_at_t *at, const llmux_json_t *v)
{
    const llmux_json_t *number = llmux_gemini_number(in, at, v);
    apr_int64_t n = llmux_json_int(number, -1);
    llmux_slice_t text;

    if (!number) {
        return;
    }
    text = llmux_reader_integer(&in->r, at, number, -1, APR_INT64_MAX);
    if (n == 0) {
        in->r.chat->effort = LLMUX_EFFORT_NONE;
    }
    else if (n > 0) {
        in->r.chat->budget = text;
    }
}

static void read_level(in_t *in, const llmux_at_t *at, const llmux_json_t *v)
{
    static const char *const words[] = {
        "MINIMAL", "LOW", "MEDIUM", "HIGH", NULL
    };
    int i = llmux_gemini_word(in, at, v, words);

    if (i >= 0) {
        in->r.chat->effort = (llmux_effort_e)(LLMUX_EFFORT_MINIMAL + i);
    }
}

/* Google shows thoughts to those alone who ask for them. */
static void read_thinking(in_t *in, const llmux_at_t *at,
                          const llmux_json_t *v)
{
    got_t got[THINKS];
    llmux_at_t here;

    llmux_gemini_members(in, at, v, "generationConfig.thinkingConfig",
                         thinking, THINKS, got);
    if (llmux_json_bool(got[THINK_SHOW].v) == LLMUX_YES) {
        in->r.chat->show_thinking = LLMUX_YES;
    }
    if (got[THINK_BUDGET].v) {
        here = llmux_at(at, got[THINK_BUDGET].name);
        read_budget(in, &here, got[THINK_BUDGET].v);
    }
    if (got[THINK_LEVEL].v) {
        here = llmux_at(at, got[THINK_LEVEL].name);
        if (got[THINK_BUDGET].v) {
            llmux_reader_fail(&in->r, &here, "expected one of it and '%s', "
                              "found both", got[THINK_BUDGET].name);
        }
        read_level(in, &here, got[THINK_LEVEL].v);
    }
}

/* ---- the table ------------------------------------------------------- */

typedef struct field_t {
    void (*read)(in_t *in, const llmux_at_t *at, const llmux_json_t *v);
    number_t number;        /* where there is no read() */
} field_t;

#define WHOLE(member, low, high) \
    { NULL, { offsetof(llmux_chat_t, member), 1, low, high } }
#define REAL(member, low, high) \
    { NULL, { offsetof(llmux_chat_t, member), 0, low, high } }
#define DO(read) { read, { 0, 0, 0, 0 } }

/* Side by side: what they may be, what becomes of them. The order counts: the
 * type is known before the schema, the voice before it is asked for. */
static const row_t rows[] = {
    { "temperature",        LLMUX_GEMINI_NUM },
    { "topP",               LLMUX_GEMINI_NUM },
    { "topK",               LLMUX_GEMINI_NUM },
    { "candidateCount",     LLMUX_GEMINI_NUM },
    { "maxOutputTokens",    LLMUX_GEMINI_NUM },
    { "seed",               LLMUX_GEMINI_NUM },
    { "presencePenalty",    LLMUX_GEMINI_NUM },
    { "frequencyPenalty",   LLMUX_GEMINI_NUM },
    { "stopSequences",      LLMUX_GEMINI_WORDS },
    { "responseLogprobs",   LLMUX_GEMINI_BOOL },
    { "logprobs",           LLMUX_GEMINI_NUM },
    { "responseMimeType",   LLMUX_GEMINI_STR },
    { "responseSchema",     LLMUX_GEMINI_OBJ },
    { "responseJsonSchema", LLMUX_GEMINI_OBJ },
    { "_responseJsonSchema", LLMUX_GEMINI_OBJ },
    { "speechConfig",       LLMUX_GEMINI_OBJ },
    { "responseModalities", LLMUX_GEMINI_WORDS },
    { "mediaResolution",    LLMUX_GEMINI_STR },
    { "thinkingConfig",     LLMUX_GEMINI_OBJ }
};

static const field_t fields[COUNT(rows)] = {
    REAL(temperature, 0, 2),
    REAL(top_p, 0, 1),
    WHOLE(top_k, 1, 0x7fffffff),
    WHOLE(n, 1, LLMUX_CANDIDATES_MAX),
    WHOLE(max_tokens, 1, 0x7fffffff),
    WHOLE(seed, 0, 0),
    REAL(presence_penalty, -2, 2),
    REAL(frequency_penalty, -2, 2),
    DO(read_stops),
    DO(read_logprobs),
    DO(read_top_logprobs),
    DO(read_type),
    DO(read_schema),
    DO(read_json_schema),
    DO(read_json_schema),
    DO(read_speech),
    DO(read_modalities),
    DO(read_resolution),
    DO(read_thinking)
};

#define ROWS COUNT(rows)

void llmux_gemini_read_config(in_t *in, const llmux_at_t *at,
                              const llmux_json_t *config)
{
    got_t got[ROWS];
    llmux_at_t here;
    int i;

    llmux_gemini_members(in, at, config, "generationConfig", rows, ROWS, got);
    for (i = 0; i < ROWS && !in->r.err; i++) {
        if (!got[i].v) {
            continue;
        }
        here = llmux_at(at, got[i].name);
        if (fields[i].read) {
            fields[i].read(in, &here, got[i].v);
        }
        else {
            read_number(in, &here, got[i].v, &fields[i].number);
        }
    }
}
