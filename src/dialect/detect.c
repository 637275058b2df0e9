/* detect.c - a body that is plainly another dialect's than its path says. */

#include "llmux/dialect.h"

/* Top-level members that one of the two APIs has and the other has not, nor
 * any server that speaks it more or less. */
static const char *const anthropic_only[] = {
    "system", "stop_sequences", "anthropic_version", NULL
};
static const char *const openai_only[] = {
    "stop", "stream_options", "response_format", "max_completion_tokens", "n",
    "frequency_penalty", "presence_penalty", "logit_bias", "logprobs", NULL
};

static int has_any(const llmux_json_t *body, const char *const *names)
{
    int i;

    for (i = 0; names[i]; i++) {
        if (llmux_json_get(body, names[i])) {
            return 1;
        }
    }
    return 0;
}

const llmux_dialect_t *llmux_dialect_of_body(const llmux_dialect_t *said,
                                             const llmux_json_t *body)
{
    if (said == &llmux_dialect_openai && has_any(body, anthropic_only)
        && !has_any(body, openai_only)) {
        return &llmux_dialect_anthropic;
    }
    if (said == &llmux_dialect_anthropic && has_any(body, openai_only)
        && !has_any(body, anthropic_only)) {
        return &llmux_dialect_openai;
    }
    return said;
}
