/* bedrock_model.c - what a model at Bedrock can do, by its name. */

#include <string.h>

#include "bedrock.h"

/* Answers and calls held to a schema. */
#define HELD (LLMUX_BEDROCK_SCHEMA | LLMUX_BEDROCK_STRICT)

/* The first row whose word is in the name.
 *
 * Source: the service's user guide (prompt caching, tool use, structured
 * outputs, the vendors' own parameters). A cache point, a schema, or thinking
 * in the history, is refused by models that do not know it. */
static const struct {
    const char *word;
    unsigned int can;
    llmux_bedrock_way_e effort, top_k;
} families[] = {
    { "claude",    0, LLMUX_BEDROCK_CLAUDE, LLMUX_BEDROCK_CLAUDE },
    { "anthropic", 0, LLMUX_BEDROCK_CLAUDE, LLMUX_BEDROCK_CLAUDE },
    { "nova-2",    LLMUX_BEDROCK_CACHE | LLMUX_BEDROCK_FORCED,
                   LLMUX_BEDROCK_NOVA, LLMUX_BEDROCK_NOVA },
    { "nova",      LLMUX_BEDROCK_CACHE | LLMUX_BEDROCK_FORCED,
                   LLMUX_BEDROCK_UNTOLD, LLMUX_BEDROCK_NOVA },
    { "gpt-oss",   HELD, LLMUX_BEDROCK_PLAIN, LLMUX_BEDROCK_UNTOLD },
    { "openai",    0, LLMUX_BEDROCK_PLAIN, LLMUX_BEDROCK_UNTOLD },
    { "mistral-large-3", HELD, LLMUX_BEDROCK_UNTOLD, LLMUX_BEDROCK_PLAIN },
    { "ministral", HELD, LLMUX_BEDROCK_UNTOLD, LLMUX_BEDROCK_PLAIN },
    { "magistral", HELD, LLMUX_BEDROCK_UNTOLD, LLMUX_BEDROCK_PLAIN },
    { "mistral",   0, LLMUX_BEDROCK_UNTOLD, LLMUX_BEDROCK_PLAIN },
    { "qwen3",     HELD, LLMUX_BEDROCK_UNTOLD, LLMUX_BEDROCK_UNTOLD },
    { "deepseek.v3", HELD, LLMUX_BEDROCK_UNTOLD, LLMUX_BEDROCK_UNTOLD },
    { "gemma",     HELD, LLMUX_BEDROCK_UNTOLD, LLMUX_BEDROCK_UNTOLD },
    { "minimax",   HELD, LLMUX_BEDROCK_UNTOLD, LLMUX_BEDROCK_UNTOLD },
    { "kimi",      HELD, LLMUX_BEDROCK_UNTOLD, LLMUX_BEDROCK_UNTOLD },
    { "nemotron",  HELD, LLMUX_BEDROCK_UNTOLD, LLMUX_BEDROCK_UNTOLD },
    { "",          0, LLMUX_BEDROCK_UNTOLD, LLMUX_BEDROCK_UNTOLD }
};

/* What a deployment's configuration may take away. */
static const struct { unsigned int target, ours; } granted[] = {
    { LLMUX_CAN_SCHEMA, LLMUX_BEDROCK_SCHEMA },
    { LLMUX_CAN_STRICT, LLMUX_BEDROCK_STRICT }
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* Caching came with 3.7 here; schemas, and all that the vendor tests with
 * them, with 4.5. A version of 0 is newer than all that are known. */
static unsigned int of_claude(const llmux_claude_t *c)
{
    unsigned int can = 0;

    if (c->can & (LLMUX_CLAUDE_BUDGET | LLMUX_CLAUDE_ADAPTIVE)) {
        can |= LLMUX_BEDROCK_THOUGHTS | LLMUX_BEDROCK_CACHE
               | LLMUX_BEDROCK_CACHE_TOOLS;
    }
    if ((c->can & LLMUX_CLAUDE_SCHEMA) && (!c->since || c->since >= 405)) {
        can |= LLMUX_BEDROCK_SCHEMA | LLMUX_BEDROCK_STRICT
               | LLMUX_BEDROCK_SERIAL | LLMUX_BEDROCK_CACHE_HOUR;
    }
    if (c->can & LLMUX_CLAUDE_FORCED) {
        can |= LLMUX_BEDROCK_FORCED;
    }
    return can;
}

llmux_bedrock_model_t llmux_bedrock_model(const llmux_target_t *target)
{
    llmux_bedrock_model_t model = { 0 };
    char name[LLMUX_MODEL_NAME_MAX + 1];
    apr_size_t i = 0;

    llmux_slice_lower(name, sizeof(name), target->model);
    while (!strstr(name, families[i].word)) {
        i++;
    }
    model.can = families[i].can;
    model.effort = families[i].effort;
    model.top_k = families[i].top_k;
    model.claude = llmux_claude_named(llmux_slice(""));
    if (model.effort == LLMUX_BEDROCK_CLAUDE) {
        model.claude = llmux_claude_named(target->model);
        model.can |= of_claude(model.claude);
    }
    for (i = 0; i < COUNT(granted); i++) {
        if (!(target->can & granted[i].target)) {
            model.can &= ~granted[i].ours;
        }
    }
    return model;
}
