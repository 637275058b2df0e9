/* detect.c - a body that is plainly another dialect's than its path says. */

#include <string.h>

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

/* What the first tool has in one of them: {"type":"function","function":...}
 * here, {"name":...,"input_schema":...} there. The body is open two levels
 * deep, so an element of a list is text. */
static const char *const anthropic_tool[] = { "\"input_schema\"", NULL };
static const char *const openai_tool[] = { "\"function\"", NULL };

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

static int tool_has(const llmux_json_t *body, const char *const *words)
{
    llmux_slice_t tool = llmux_json_raw(llmux_json_first(
                             llmux_json_get(body, "tools")));
    int i;

    for (i = 0; tool.data && words[i]; i++) {
        if (memmem(tool.data, tool.len, words[i], strlen(words[i]))) {
            return 1;
        }
    }
    return 0;
}

static int is_anthropic(const llmux_json_t *body)
{
    return has_any(body, anthropic_only)
        || (tool_has(body, anthropic_tool) && !tool_has(body, openai_tool));
}

static int is_openai(const llmux_json_t *body)
{
    return has_any(body, openai_only)
        || (tool_has(body, openai_tool) && !tool_has(body, anthropic_tool));
}

const llmux_dialect_t *llmux_dialect_of_body(const llmux_dialect_t *said,
                                             const llmux_json_t *body)
{
    if (said == &llmux_dialect_openai && is_anthropic(body)
        && !is_openai(body)) {
        return &llmux_dialect_anthropic;
    }
    if (said == &llmux_dialect_anthropic && is_openai(body)
        && !is_anthropic(body)) {
        return &llmux_dialect_openai;
    }
    return said;
}
