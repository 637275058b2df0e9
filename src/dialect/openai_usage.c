/* openai_usage.c - chat completions' usage object, read and written. */

#include "openai_answer.h"

/* Under whose names servers tell the counts. */
typedef enum {
    PROMPT, INPUT, COMPLETION, OUTPUT, TOTAL,
    HIT,                    /* DeepSeek */
    READ, CREATED,          /* Anthropic's */
    CACHED,                 /* Moonshot beside the details, Mistral instead */
    REASONING,
    COUNTS
} count_e;

typedef enum {
    PROMPT_DETAILS, INPUT_DETAILS, COMPLETION_DETAILS, OUTPUT_DETAILS,
    CREATION,
    DETAILS
} detail_e;

/* A usage object after one walk through its members. */
typedef struct counts_t {
    apr_int64_t n[COUNTS];              /* -1 = not there */
    const llmux_json_t *in[DETAILS];
} counts_t;

#define NAME(text) text, sizeof(text) - 1

static const struct { const char *name; apr_size_t len; int at; } numbers[] = {
    { NAME("prompt_tokens"), PROMPT },
    { NAME("completion_tokens"), COMPLETION },
    { NAME("total_tokens"), TOTAL },
    { NAME("input_tokens"), INPUT },
    { NAME("output_tokens"), OUTPUT },
    { NAME("prompt_cache_hit_tokens"), HIT },
    { NAME("cache_read_input_tokens"), READ },
    { NAME("cache_creation_input_tokens"), CREATED },
    { NAME("cached_tokens"), CACHED },
    { NAME("num_cached_tokens"), CACHED },
    { NAME("reasoning_tokens"), REASONING }
}, objects[] = {
    { NAME("prompt_tokens_details"), PROMPT_DETAILS },
    { NAME("completion_tokens_details"), COMPLETION_DETAILS },
    { NAME("input_tokens_details"), INPUT_DETAILS },
    { NAME("output_tokens_details"), OUTPUT_DETAILS },
    { NAME("cache_creation"), CREATION }
};

static apr_int64_t number(const llmux_json_t *v)
{
    apr_int64_t n = llmux_json_int(v, -1);

    return n < 0 ? -1 : n;
}

static apr_int64_t count(const llmux_json_t *v, const char *name)
{
    return v ? number(llmux_json_get(v, name)) : -1;
}

static void note(counts_t *c, const llmux_json_t *name)
{
    const llmux_json_t *v = llmux_json_value(name);
    llmux_json_e kind = llmux_json_kind(v);
    size_t i;

    for (i = 0; kind != LLMUX_JSON_NUMBER
             && i < sizeof(objects) / sizeof(objects[0]); i++) {
        if (llmux_json_named(name, objects[i].name, objects[i].len)) {
            c->in[objects[i].at] = kind == LLMUX_JSON_OBJECT ? v : NULL;
            return;
        }
    }
    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (llmux_json_named(name, numbers[i].name, numbers[i].len)) {
            c->n[numbers[i].at] = number(v);
            return;
        }
    }
}

/* Of members with one name the last counts. */
static counts_t walk(const llmux_json_t *usage)
{
    const llmux_json_t *m;
    counts_t c;
    int i;

    for (i = 0; i < COUNTS; i++) {
        c.n[i] = -1;
    }
    for (i = 0; i < DETAILS; i++) {
        c.in[i] = NULL;
    }
    if (llmux_json_kind(usage) == LLMUX_JSON_OBJECT) {
        for (m = llmux_json_first(usage); m;
             m = llmux_json_next_member(usage, m)) {
            note(&c, m);
        }
    }
    return c;
}

/* The first of two places that has a number. */
static apr_int64_t either(apr_int64_t a, apr_int64_t b)
{
    return a >= 0 ? a : b;
}

/* What is left of a whole: unknown parts are 0. The sums of some servers do
 * not add up; nothing is then left. */
static apr_int64_t rest(apr_int64_t whole, apr_int64_t a, apr_int64_t b)
{
    if (whole < 0) {
        return -1;
    }
    whole -= a > 0 ? a : 0;
    whole = whole < 0 ? 0 : whole;
    whole -= b > 0 ? b : 0;
    return whole < 0 ? 0 : whole;
}

/* A part is no larger than its whole, if both are known. */
static void fit(apr_int64_t *part, apr_int64_t whole)
{
    if (whole >= 0 && *part > whole) {
        *part = whole;
    }
}

/* Members named as Anthropic's beside a prompt count that is too small to
 * hold them: then it does not (as Anthropic counts). */
static int exclusive(const counts_t *c, apr_int64_t prompt)
{
    apr_int64_t read = c->n[READ], write = c->n[CREATED];

    if (read < 0 && write < 0) {
        return 0;
    }
    return c->n[PROMPT] < 0
        || (read > 0 && prompt < read)
        || (write > 0 && prompt - (read > 0 ? read : 0) < write);
}

static const llmux_json_t *prompt_details(const counts_t *c)
{
    return c->in[PROMPT_DETAILS] ? c->in[PROMPT_DETAILS]
                                 : c->in[INPUT_DETAILS];
}

static void read_input(llmux_usage_t *u, const counts_t *c,
                       apr_int64_t prompt)
{
    const llmux_json_t *details = prompt_details(c);

    u->cache_read = either(count(details, "cached_tokens"),
                           either(c->n[HIT], either(c->n[READ],
                                                    c->n[CACHED])));
    u->cache_write = either(count(details, "cache_write_tokens"),
                            c->n[CREATED]);
    u->cache_write_1h = count(c->in[CREATION], "ephemeral_1h_input_tokens");
    u->audio_input = count(details, "audio_tokens");
    u->input = prompt;
    if (!exclusive(c, prompt)) {
        fit(&u->cache_read, prompt);
        fit(&u->cache_write, rest(prompt, u->cache_read, 0));
        u->input = rest(prompt, u->cache_read, u->cache_write);
    }
}

/* What the total holds beside both counts; 0 when one of the three is not
 * told. */
static apr_int64_t beside(const counts_t *c, apr_int64_t prompt,
                          apr_int64_t completion)
{
    apr_int64_t left = c->n[TOTAL] - (prompt > 0 ? prompt : 0);

    return prompt >= 0 && completion >= 0 && left > completion
        ? left - completion : 0;
}

/* Mistral counts sound beside the words of the prompt. */
static apr_int64_t whole_prompt(const counts_t *c, apr_int64_t prompt,
                                apr_int64_t completion)
{
    apr_int64_t left = beside(c, prompt, completion);

    return left && left == count(prompt_details(c), "audio_tokens")
        ? prompt + left : prompt;
}

/* xAI counts reasoning beside the completion. Google, where it speaks this
 * dialect, does the same and tells of it in the total only; but a prompt that
 * was cached may stand there as well.
 * @return -1: it is inside, or there is none */
static apr_int64_t thought_beside(const counts_t *c, apr_int64_t prompt,
                                  apr_int64_t completion,
                                  apr_int64_t reasoning)
{
    apr_int64_t left = beside(c, prompt, completion);
    int untold = reasoning < 0 && c->n[READ] <= 0 && c->n[CREATED] <= 0;

    return left && (untold || left == reasoning) ? left : -1;
}

static void read_output(llmux_usage_t *u, const counts_t *c,
                        apr_int64_t prompt, apr_int64_t completion)
{
    const llmux_json_t *details = c->in[COMPLETION_DETAILS]
        ? c->in[COMPLETION_DETAILS] : c->in[OUTPUT_DETAILS];
    apr_int64_t thought;

    u->reasoning = either(count(details, "reasoning_tokens"),
                          c->n[REASONING]);
    u->audio_output = count(details, "audio_tokens");
    u->accepted_prediction = count(details, "accepted_prediction_tokens");
    u->rejected_prediction = count(details, "rejected_prediction_tokens");
    thought = thought_beside(c, prompt, completion, u->reasoning);
    if (thought > 0) {
        u->reasoning = thought;
        u->output = completion;
        return;
    }
    fit(&u->reasoning, completion);
    u->output = rest(completion, u->reasoning, 0);
}

int llmux_openai_usage_read(llmux_usage_t *to, const llmux_json_t *usage)
{
    llmux_usage_t u = LLMUX_USAGE_NONE;
    counts_t c = walk(usage);
    apr_int64_t prompt = either(c.n[PROMPT], c.n[INPUT]);
    apr_int64_t completion = either(c.n[COMPLETION], c.n[OUTPUT]);

    prompt = whole_prompt(&c, prompt, completion);
    read_input(&u, &c, prompt);
    read_output(&u, &c, prompt, completion);
    llmux_usage_merge(to, &u);
    return llmux_usage_input(&u) >= 0 || llmux_usage_output(&u) >= 0;
}

void llmux_openai_usage_emit(llmux_decoder_t *d, llmux_usage_t *to,
                             const llmux_json_t *usage)
{
    llmux_event_t ev = { .kind = LLMUX_EV_USAGE, .usage = to };

    if (llmux_json_kind(usage) == LLMUX_JSON_OBJECT
        && llmux_openai_usage_read(to, usage)) {
        llmux_decoder_emit(d, &ev);
    }
}

/* ---- writing --------------------------------------------------------- */

typedef struct part_t {
    const char *name;
    apr_int64_t n;
} part_t;

/* An object of those that were reported; nothing if none was. */
static void write_details(llmux_jw_t *w, const char *name,
                          const part_t *parts, int count_of)
{
    int i, open = 0;

    for (i = 0; i < count_of; i++) {
        if (parts[i].n < 0) {
            continue;
        }
        if (!open++) {
            llmux_jw_key(w, name);
            llmux_jw_open(w, '{');
        }
        llmux_jw_key(w, parts[i].name);
        llmux_jw_int(w, parts[i].n);
    }
    if (open) {
        llmux_jw_close(w, '}');
    }
}

static void write_parts(llmux_jw_t *w, const llmux_usage_t *u)
{
    const part_t prompt[] = {
        { "cached_tokens", u->cache_read },
        { "cache_write_tokens", u->cache_write },
        { "audio_tokens", u->audio_input }
    };
    const part_t completion[] = {
        { "reasoning_tokens", u->reasoning },
        { "audio_tokens", u->audio_output },
        { "accepted_prediction_tokens", u->accepted_prediction },
        { "rejected_prediction_tokens", u->rejected_prediction }
    };

    write_details(w, "prompt_tokens_details", prompt, 3);
    write_details(w, "completion_tokens_details", completion, 4);
}

static void member(llmux_jw_t *w, const char *name, apr_int64_t n)
{
    llmux_jw_key(w, name);
    llmux_jw_int(w, n);
}

/* The three totals are numbers in every client's types, so a side that was
 * not reported is written as 0. */
void llmux_openai_usage_write(llmux_jw_t *w, const llmux_usage_t *u)
{
    apr_int64_t in = llmux_usage_input(u), out = llmux_usage_output(u);

    if (in < 0 && out < 0) {
        llmux_jw_null(w);
        return;
    }
    in = in < 0 ? 0 : in;
    out = out < 0 ? 0 : out;
    llmux_jw_open(w, '{');
    member(w, "prompt_tokens", in);
    member(w, "completion_tokens", out);
    member(w, "total_tokens", in > APR_INT64_MAX - out ? APR_INT64_MAX
                                                       : in + out);
    write_parts(w, u);
    llmux_jw_close(w, '}');
}
