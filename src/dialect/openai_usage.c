/* openai_usage.c - chat completions' usage object, read and written. */

#include "openai_answer.h"

static apr_int64_t count(const llmux_json_t *v, const char *name)
{
    apr_int64_t n = llmux_json_int(llmux_json_get(v, name), -1);

    return n < 0 ? -1 : n;
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
static int exclusive(const llmux_json_t *usage, apr_int64_t prompt)
{
    apr_int64_t read = count(usage, "cache_read_input_tokens");
    apr_int64_t write = count(usage, "cache_creation_input_tokens");

    if (read < 0 && write < 0) {
        return 0;
    }
    return count(usage, "prompt_tokens") < 0
        || (read > 0 && prompt < read)
        || (write > 0 && prompt - (read > 0 ? read : 0) < write);
}

static void read_input(llmux_usage_t *u, const llmux_json_t *usage,
                       apr_int64_t prompt)
{
    const llmux_json_t *details = llmux_json_get(usage,
                                                 "prompt_tokens_details");

    if (!details) {
        details = llmux_json_get(usage, "input_tokens_details");
    }
    u->cache_read = either(count(details, "cached_tokens"),
        either(count(usage, "prompt_cache_hit_tokens"),     /* DeepSeek */
        either(count(usage, "cache_read_input_tokens"),
               count(usage, "cached_tokens"))));            /* Moonshot */
    u->cache_write = either(count(details, "cache_write_tokens"),
                            count(usage, "cache_creation_input_tokens"));
    u->cache_write_1h = count(llmux_json_get(usage, "cache_creation"),
                              "ephemeral_1h_input_tokens");
    u->audio_input = count(details, "audio_tokens");
    u->input = prompt;
    if (!exclusive(usage, prompt)) {
        fit(&u->cache_read, prompt);
        fit(&u->cache_write, rest(prompt, u->cache_read, 0));
        u->input = rest(prompt, u->cache_read, u->cache_write);
    }
}

/* xAI counts reasoning beside the completion; its total tells. */
static int beside(const llmux_json_t *usage, apr_int64_t prompt,
                  apr_int64_t completion, apr_int64_t reasoning)
{
    apr_int64_t total = count(usage, "total_tokens");

    return total >= 0 && prompt >= 0 && completion >= 0 && reasoning > 0
        && total - prompt >= 0 && total - prompt - completion == reasoning;
}

static void read_output(llmux_usage_t *u, const llmux_json_t *usage,
                        apr_int64_t prompt, apr_int64_t completion)
{
    const llmux_json_t *details = llmux_json_get(usage,
                                                 "completion_tokens_details");

    if (!details) {
        details = llmux_json_get(usage, "output_tokens_details");
    }
    u->reasoning = either(count(details, "reasoning_tokens"),
                          count(usage, "reasoning_tokens"));
    u->audio_output = count(details, "audio_tokens");
    u->accepted_prediction = count(details, "accepted_prediction_tokens");
    u->rejected_prediction = count(details, "rejected_prediction_tokens");
    if (beside(usage, prompt, completion, u->reasoning)) {
        u->output = completion;
        return;
    }
    fit(&u->reasoning, completion);
    u->output = rest(completion, u->reasoning, 0);
}

int llmux_openai_usage_read(llmux_usage_t *to, const llmux_json_t *usage)
{
    llmux_usage_t u = LLMUX_USAGE_NONE;
    apr_int64_t prompt = either(count(usage, "prompt_tokens"),
                                count(usage, "input_tokens"));
    apr_int64_t completion = either(count(usage, "completion_tokens"),
                                    count(usage, "output_tokens"));

    read_input(&u, usage, prompt);
    read_output(&u, usage, prompt, completion);
    llmux_usage_merge(to, &u);
    return llmux_usage_input(&u) >= 0 || llmux_usage_output(&u) >= 0;
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
