/* gemini_config.c - how an answer is to be made: generationConfig. */

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

#include "gemini.h"

#define STOPS_MAX   5           /* the API refuses more */
#define SEED_RANGE  0x80000000u /* int32 */

/* ---- numbers --------------------------------------------------------- */

/* A whole number of any length, reduced into int32. @return 0 if it is none.
 * OpenAI's seeds are 64 bits wide, Gemini's 32. */
static int reduce(llmux_slice_t text, apr_int64_t *out, int *reduced)
{
    int negative = text.len && text.data[0] == '-';
    apr_uint64_t n = 0;
    apr_size_t i = negative ? 1 : 0;

    if (i == text.len) {
        return 0;
    }
    for (*reduced = 0; i < text.len; i++) {
        if (!apr_isdigit(text.data[i])) {
            return 0;
        }
        n = n * 10 + (apr_uint64_t)(text.data[i] - '0');
        *reduced |= n >= SEED_RANGE;
        n %= SEED_RANGE;
    }
    *out = negative && !*reduced ? -(apr_int64_t)n : (apr_int64_t)n;
    return 1;
}

static void put_seed(llmux_gemini_out_t *o)
{
    const llmux_json_t *v;
    apr_int64_t seed;
    int reduced = 0;

    if (!o->chat->seed.data) {
        return;
    }
    if (!reduce(o->chat->seed, &seed, &reduced)) {
        v = llmux_json_parse(o->scratch, o->chat->seed, 0, NULL);
        seed = llmux_json_int(v, 0) % SEED_RANGE;       /* 1.0, 1e3 */
        reduced = 1;
    }
    if (reduced) {
        llmux_warn(o->warn, LLMUX_WARN_APPROX, "seed");
    }
    llmux_jw_key(&o->w, "seed");
    llmux_jw_int(&o->w, seed);
}

static void put_stops(llmux_gemini_out_t *o)
{
    const apr_array_header_t *stops = o->chat->stop;
    int i;

    if (!stops || !stops->nelts) {
        return;
    }
    if (stops->nelts > STOPS_MAX) {
        llmux_warn(o->warn, LLMUX_WARN_DROP, "stop");
    }
    llmux_jw_key(&o->w, "stopSequences");
    llmux_jw_open(&o->w, '[');
    for (i = 0; i < stops->nelts && i < STOPS_MAX; i++) {
        llmux_jw_str(&o->w, APR_ARRAY_IDX(stops, i, llmux_slice_t));
    }
    llmux_jw_close(&o->w, ']');
}

static void put_logprobs(llmux_gemini_out_t *o)
{
    if (o->chat->logprobs != LLMUX_YES) {
        return;
    }
    llmux_jw_key(&o->w, "responseLogprobs");
    llmux_jw_bool(&o->w, 1);
    if (!llmux_slice_is(o->chat->top_logprobs, "0")) {
        llmux_jw_opt_raw(&o->w, "logprobs", o->chat->top_logprobs);
    }
}

static void put_numbers(llmux_gemini_out_t *o)
{
    const llmux_chat_t *chat = o->chat;

    llmux_jw_opt_raw(&o->w, "temperature", chat->temperature);
    llmux_jw_opt_raw(&o->w, "topP", chat->top_p);
    llmux_jw_opt_raw(&o->w, "topK", chat->top_k);
    if (!llmux_slice_is(chat->n, "1")) {
        llmux_jw_opt_raw(&o->w, "candidateCount", chat->n);
    }
    llmux_jw_opt_raw(&o->w, "maxOutputTokens", chat->max_tokens);
    put_stops(o);
    put_seed(o);
    llmux_jw_opt_raw(&o->w, "presencePenalty", chat->presence_penalty);
    llmux_jw_opt_raw(&o->w, "frequencyPenalty", chat->frequency_penalty);
    put_logprobs(o);
}

/* ---- format ---------------------------------------------------------- */

/* Old models refuse a JSON answer in a request that has tools. A schema must
 * not be lost; the mere wish for JSON may. @return whether to go on */
static int may_mix(llmux_gemini_out_t *o, const llmux_error_t **err)
{
    if (!o->chat->tools || (o->model->can & LLMUX_GEMINI_CAN_MIX)) {
        return 1;
    }
    if (o->chat->format == LLMUX_FORMAT_SCHEMA) {
        *err = llmux_error(o->chat->pool, LLMUX_ERR_UNSUPPORTED,
                           "response_format",
                           "%s does not take a response format together with "
                           "tools for the model %s: leave out one of them.",
                           o->target->name,
                           llmux_slice_str(o->scratch, o->target->model));
    }
    else {
        llmux_warn(o->warn, LLMUX_WARN_DROP, "response_format");
    }
    return 0;
}

static const llmux_error_t *put_format(llmux_gemini_out_t *o)
{
    const llmux_error_t *err = NULL;

    if (o->chat->format != LLMUX_FORMAT_JSON
        && o->chat->format != LLMUX_FORMAT_SCHEMA) {
        return NULL;
    }
    if (!may_mix(o, &err)) {
        return err;
    }
    llmux_jw_key(&o->w, "responseMimeType");
    llmux_jw_cstr(&o->w, "application/json");
    if (o->chat->format == LLMUX_FORMAT_JSON
        || llmux_slice_blank(o->chat->format_schema)) {
        return NULL;
    }
    return llmux_gemini_put_schema(o, "responseJsonSchema", "responseSchema",
                                   o->chat->format_schema,
                                   "response_format.json_schema.schema");
}

/* ---- modalities ------------------------------------------------------ */

static int has(const llmux_json_t *list, const char *word)
{
    const llmux_json_t *v;

    for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
        if (llmux_json_is(v, word)) {
            return 1;
        }
    }
    return 0;
}

/* Gemini's voices have names in capitals ("Kore"); OpenAI's, in small
 * letters, would be refused. */
static void put_voice(llmux_gemini_out_t *o)
{
    const llmux_json_t *audio = llmux_json_parse(o->scratch, o->chat->audio,
                                                 0, NULL);
    llmux_slice_t voice = llmux_json_str(o->scratch,
                                         llmux_json_get(audio, "voice"));
    const llmux_json_t *format = llmux_json_get(audio, "format");

    if (format && !llmux_json_is(format, "pcm16")) {
        llmux_warn(o->warn, LLMUX_WARN_APPROX, "audio.format");
    }
    if (!voice.len || !apr_isupper(voice.data[0])) {
        if (voice.len) {
            llmux_warn(o->warn, LLMUX_WARN_DROP, "audio.voice");
        }
        return;
    }
    llmux_jw_key(&o->w, "speechConfig");
    llmux_jw_open(&o->w, '{');
    llmux_jw_key(&o->w, "voiceConfig");
    llmux_jw_open(&o->w, '{');
    llmux_jw_key(&o->w, "prebuiltVoiceConfig");
    llmux_jw_open(&o->w, '{');
    llmux_jw_key(&o->w, "voiceName");
    llmux_jw_str(&o->w, voice);
    llmux_jw_close(&o->w, '}');
    llmux_jw_close(&o->w, '}');
    llmux_jw_close(&o->w, '}');
}

/* Text alone is what a model does anyway. One that speaks does nothing else,
 * though OpenAI's clients must ask for text as well. */
static void put_modalities(llmux_gemini_out_t *o)
{
    const llmux_json_t *list = llmux_json_parse(o->scratch,
                                                o->chat->modalities, 0, NULL);
    int audio = has(list, "audio"), image = has(list, "image");
    int text = has(list, "text") && !audio;

    if (!audio && !image) {
        return;
    }
    llmux_jw_key(&o->w, "responseModalities");
    llmux_jw_open(&o->w, '[');
    if (text) {
        llmux_jw_cstr(&o->w, "TEXT");
    }
    if (image) {
        llmux_jw_cstr(&o->w, "IMAGE");
    }
    if (audio) {
        llmux_jw_cstr(&o->w, "AUDIO");
    }
    llmux_jw_close(&o->w, ']');
    if (audio) {
        put_voice(o);
    }
}

/* ---- thinking -------------------------------------------------------- */

/* What the client wants of thinking: a number of tokens beats a word. */
typedef struct wish_t {
    llmux_effort_e effort;      /* UNSET: nothing said, or as it likes */
    apr_int64_t tokens;         /* -1 = as it likes */
    int counted;                /* tokens were given */
} wish_t;

static wish_t wish_of(llmux_gemini_out_t *o)
{
    wish_t wish = { o->chat->effort, 0, 0 };
    const llmux_json_t *v;

    if (o->chat->budget.data) {
        v = llmux_json_parse(o->scratch, o->chat->budget, 0, NULL);
        wish.tokens = llmux_json_int(v, -1);
        wish.counted = 1;
        wish.effort = llmux_gemini_effort(wish.tokens);
    }
    return wish;
}

/* Thoughts are shown to whoever asked for thinking, unless told not to. */
static int shows(const llmux_gemini_out_t *o, const wish_t *wish)
{
    int asked = wish->effort != LLMUX_EFFORT_UNSET || wish->counted;

    if (o->chat->show_thinking != LLMUX_UNSET) {
        return o->chat->show_thinking == LLMUX_YES;
    }
    return asked && wish->effort != LLMUX_EFFORT_NONE;
}

static void put_budget(llmux_gemini_out_t *o, const wish_t *wish)
{
    int exact = 1, tokens;

    if (wish->counted) {
        tokens = llmux_gemini_budget_clamp(o->model, wish->tokens, &exact);
    }
    else if (wish->effort != LLMUX_EFFORT_UNSET) {
        tokens = llmux_gemini_budget(o->model, wish->effort, &exact);
    }
    else {
        return;
    }
    if (!exact) {
        llmux_warn(o->warn, LLMUX_WARN_APPROX, "reasoning_effort");
    }
    llmux_jw_key(&o->w, "thinkingBudget");
    llmux_jw_int(&o->w, tokens);
}

static void put_level(llmux_gemini_out_t *o, const wish_t *wish)
{
    int exact = 1;
    const char *level = llmux_gemini_level(o->model, wish->effort, &exact);

    if (!level) {
        return;
    }
    if (!exact) {
        llmux_warn(o->warn, LLMUX_WARN_APPROX, "reasoning_effort");
    }
    llmux_jw_key(&o->w, "thinkingLevel");
    llmux_jw_cstr(&o->w, level);
}

static void put_thinking(llmux_gemini_out_t *o)
{
    wish_t wish = wish_of(o);
    int show = shows(o, &wish);

    if (o->model->think == LLMUX_GEMINI_FIXED) {
        if (wish.effort > LLMUX_EFFORT_NONE) {
            llmux_warn(o->warn, LLMUX_WARN_DROP, "reasoning_effort");
        }
        return;
    }
    if (wish.effort == LLMUX_EFFORT_UNSET && !wish.counted && !show) {
        return;
    }
    llmux_jw_key(&o->w, "thinkingConfig");
    llmux_jw_open(&o->w, '{');
    if (show) {
        llmux_jw_key(&o->w, "includeThoughts");
        llmux_jw_bool(&o->w, 1);
    }
    if (o->model->think == LLMUX_GEMINI_BUDGET) {
        put_budget(o, &wish);
    }
    else {
        put_level(o, &wish);
    }
    llmux_jw_close(&o->w, '}');
}

/* ---- the member ------------------------------------------------------ */

const llmux_error_t *llmux_gemini_config(llmux_gemini_out_t *o)
{
    const llmux_error_t *err;

    llmux_jw_key(&o->w, "generationConfig");
    llmux_jw_open(&o->w, '{');
    put_numbers(o);
    err = put_format(o);
    put_modalities(o);
    put_thinking(o);
    llmux_jw_close(&o->w, '}');
    return err;
}
