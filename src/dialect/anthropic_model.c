/* anthropic_model.c - what a Claude model can do, by its name. */

#include <ctype.h>
#include <string.h>

#include "anthropic_model.h"

/* The generations. */
enum {
    OLD      = LLMUX_CLAUDE_SAMPLING | LLMUX_CLAUDE_PREFILL
             | LLMUX_CLAUDE_FORCED,
    BUDGET   = OLD | LLMUX_CLAUDE_BUDGET,
    V4_1     = BUDGET | LLMUX_CLAUDE_ONE_OF | LLMUX_CLAUDE_SCHEMA,
    V4_6     = (V4_1 & ~LLMUX_CLAUDE_PREFILL) | LLMUX_CLAUDE_ADAPTIVE
             | LLMUX_CLAUDE_MAX,
    V4_7     = LLMUX_CLAUDE_ADAPTIVE | LLMUX_CLAUDE_OMITS | LLMUX_CLAUDE_XHIGH
             | LLMUX_CLAUDE_MAX | LLMUX_CLAUDE_SCHEMA | LLMUX_CLAUDE_FORCED,
    V4_8     = V4_7 | LLMUX_CLAUDE_SYSTEM,
    V5       = V4_8 | LLMUX_CLAUDE_THINKS,
    V5_FABLE = V5 | LLMUX_CLAUDE_ALWAYS,
    V5_5     = V5_FABLE & ~LLMUX_CLAUDE_FORCED
};

/* By family, oldest version first.
 *
 * Source: the models list of the API (GET /v1/models: max_tokens, thinking,
 * effort, structured_outputs, as answered in 2026 for 4.1 to 5), and the
 * vendor's migration guides: 4.6 took prefill away; 4.7 sampling and budgets;
 * Opus 4.8 brought role system; 5 thinks by default; Opus 5.5, Sonnet 5.5 and
 * Fable 5.1 refuse forced tools and thinking "disabled".
 *
 * Sonnet 5 and role system: sources disagree, so it is not used there.
 * Before 4.5 a prompt plus max_tokens beyond the context window is refused,
 * so the fallback is modest there; later models stop when the window is full.
 */
static const llmux_claude_t claudes[] = {
    { "haiku",    0, V5,                                   128000, 128000 },
    { "haiku",  300, OLD,                                    4096,   4096 },
    { "haiku",  305, OLD,                                    8192,   8192 },
    { "haiku",  405, V4_1,                                  64000,  64000 },
    { "haiku",  505, V5,                                   128000, 128000 },

    { "sonnet",   0, V5_5 | LLMUX_CLAUDE_BETWEEN,          128000, 128000 },
    { "sonnet", 300, OLD,                                    4096,   4096 },
    { "sonnet", 305, OLD,                                    8192,   8192 },
    { "sonnet", 307, BUDGET,                                64000,   8192 },
    { "sonnet", 400, BUDGET,                                64000,   8192 },
    { "sonnet", 405, V4_1,                                  64000,  64000 },
    { "sonnet", 406, V4_6,                                 128000, 128000 },
    { "sonnet", 500, V5 & ~LLMUX_CLAUDE_SYSTEM,            128000, 128000 },
    { "sonnet", 505, V5_5 | LLMUX_CLAUDE_BETWEEN,          128000, 128000 },

    { "opus",     0, V5_5,                                 128000, 128000 },
    { "opus",   300, OLD,                                    4096,   4096 },
    { "opus",   400, BUDGET,                                32000,   8192 },
    { "opus",   401, V4_1,                                  32000,   8192 },
    { "opus",   405, V4_1,                                  64000,  64000 },
    { "opus",   406, V4_6,                                 128000, 128000 },
    { "opus",   407, V4_7,                                 128000, 128000 },
    { "opus",   408, V4_8,                                 128000, 128000 },
    { "opus",   500, V5,                                   128000, 128000 },
    { "opus",   505, V5_5,                                 128000, 128000 },

    { "fable",    0, V5_5,                                 128000, 128000 },
    { "fable",  500, V5_FABLE,                             128000, 128000 },
    { "fable",  501, V5_5,                                 128000, 128000 },

    { "mythos",   0, V5_5,                                 128000, 128000 },
    { "mythos", 500, V5_FABLE,                             128000, 128000 },
    { "mythos", 501, V5_5,                                 128000, 128000 },

    { "instant",  0, OLD,                                    4096,   4096 },
    { "claude",   0, V5_5,                                 128000, 128000 },
    { "claude", 100, OLD,                                    4096,   4096 },
    { "claude", 300, V5_5,                                 128000, 128000 },

    { "",         0, BUDGET,                                 8192,   8192 }
};

#define CLAUDES (sizeof(claudes) / sizeof(claudes[0]))

/* Where a word stands in a lower-case name, or NULL. */
static const char *find(const char *name, const char *word)
{
    return *word ? strstr(name, word) : name;
}

/* The number at *at, and past it; -1 if there is none, or if it is a date. */
static int number(const char **at)
{
    const char *s = *at;
    int n = 0, digits = 0;

    while (isdigit((unsigned char)*s) && digits < 6) {
        n = n * 10 + (*s++ - '0');
        digits++;
    }
    if (!digits || digits > 2) {
        return -1;
    }
    *at = s;
    return n;
}

/* "-4-6-20260101", "-4.6" or "-v2:1": 406, 406, 201. 0 if there is none. */
static int version_at(const char *s)
{
    int major, minor;

    s += *s == '-' || *s == '.';
    s += *s == 'v';
    major = number(&s);
    if (major < 0) {
        return 0;
    }
    s += *s == '-' || *s == '.' || *s == ':';
    minor = number(&s);
    return major * 100 + (minor > 0 ? minor : 0);
}

/* The version stands behind the family, in older names before it
 * ("claude-3-5-sonnet", "claude-4.5-haiku"). */
static int version_of(const char *name, const char *at, const char *family)
{
    const char *claude = strstr(name, "claude");
    int version = version_at(at + strlen(family));

    if (!version && claude && claude < at) {
        version = version_at(claude + strlen("claude"));
    }
    return version;
}

const llmux_claude_t *llmux_claude_named(llmux_slice_t model)
{
    char name[LLMUX_MODEL_NAME_MAX + 1];
    const llmux_claude_t *row, *end = claudes + CLAUDES;
    const llmux_claude_t *best = end - 1;
    const char *at = NULL;
    int version = 0;

    llmux_slice_lower(name, sizeof(name), model);
    for (row = claudes; row < end && !at; row++) {
        at = find(name, row->family);
        if (at) {
            best = row;
            version = version_of(name, at, row->family);
        }
    }
    for (row = best; row < end && !strcmp(row->family, best->family); row++) {
        if (row->since <= version) {
            best = row;
        }
    }
    return best;
}
