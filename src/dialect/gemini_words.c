/* gemini_words.c - numbers and words of Gemini's answers: tokens, tiers, times,
 * reasons to stop. */

#include <apr_strings.h>
#include <stdio.h>
#include <string.h>

#include "gemini.h"

/* ---- tokens ---------------------------------------------------------- */

/* A count; some servers write int64 as a string, as proto3 says. */
static void keep_count(apr_pool_t *p, apr_int64_t *to, const llmux_json_t *v)
{
    apr_int64_t n = llmux_json_int(v, -1);

    if (llmux_json_kind(v) == LLMUX_JSON_STRING) {
        n = apr_strtoi64(llmux_json_cstr(p, v), NULL, 10);
    }
    if (n >= 0) {
        *to = n;
    }
}

static void keep_audio(apr_pool_t *p, apr_int64_t *to,
                       const llmux_json_t *details)
{
    const llmux_json_t *v;

    for (v = llmux_json_first(details); v; v = llmux_json_next(details, v)) {
        if (llmux_json_is(llmux_json_get(v, "modality"), "AUDIO")) {
            keep_count(p, to, llmux_json_get(v, "tokenCount"));
        }
    }
}

llmux_usage_t llmux_gemini_usage(const llmux_gemini_counts_t *n)
{
    llmux_usage_t u = LLMUX_USAGE_NONE;

    u.input = n->prompt;
    if (n->prompt >= 0 && n->cached > 0) {
        u.input = n->cached < n->prompt ? n->prompt - n->cached : 0;
    }
    u.cache_read = n->cached;
    u.tool_input = n->tools;
    u.output = n->candidates;
    u.reasoning = n->thoughts;
    u.audio_input = n->audio_prompt;
    u.audio_output = n->audio_candidates;
    return u;
}

void llmux_gemini_count(apr_pool_t *p, llmux_gemini_counts_t *n,
                        const llmux_json_t *v)
{
    keep_count(p, &n->prompt, llmux_json_get(v, "promptTokenCount"));
    keep_count(p, &n->cached, llmux_json_get(v, "cachedContentTokenCount"));
    keep_count(p, &n->tools, llmux_json_get(v, "toolUsePromptTokenCount"));
    keep_count(p, &n->candidates, llmux_json_get(v, "candidatesTokenCount"));
    keep_count(p, &n->thoughts, llmux_json_get(v, "thoughtsTokenCount"));
    keep_audio(p, &n->audio_prompt, llmux_json_get(v, "promptTokensDetails"));
    keep_audio(p, &n->audio_candidates,
               llmux_json_get(v, "candidatesTokensDetails"));
}

/* ---- tiers and times ------------------------------------------------- */

static const struct { const char *theirs, *ours; } tiers[] = {
    { "standard",               "default"  },
    { "flex",                   "flex"     },
    { "priority",               "priority" },
    { "ON_DEMAND",              "default"  },
    { "ON_DEMAND_PRIORITY",     "priority" },
    { "ON_DEMAND_FLEX",         "flex"     },
    { "OFFPEAK",                "flex"     },
    { "PROVISIONED_THROUGHPUT", "scale"    },
    { NULL,                     NULL       }
};

llmux_slice_t llmux_gemini_tier(apr_pool_t *p, const llmux_json_t *usage)
{
    const llmux_json_t *v = llmux_json_get(usage, "serviceTier");
    llmux_slice_t said;
    int i;

    said = llmux_json_str(p, v ? v : llmux_json_get(usage, "trafficType"));
    for (i = 0; tiers[i].theirs; i++) {
        if (llmux_slice_is_nocase(said, tiers[i].theirs)) {
            break;
        }
    }
    return llmux_slice(tiers[i].ours);
}

/* "2026-07-22T23:37:37.029264Z" in seconds, 0 if it is no such time. */
apr_int64_t llmux_gemini_seconds(const char *text)
{
    apr_time_exp_t t;
    apr_time_t when;

    memset(&t, 0, sizeof(t));
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d", &t.tm_year, &t.tm_mon,
               &t.tm_mday, &t.tm_hour, &t.tm_min, &t.tm_sec) != 6
        || t.tm_year < 1970 || t.tm_mon < 1 || t.tm_mon > 12) {
        return 0;
    }
    t.tm_year -= 1900;
    t.tm_mon -= 1;
    return apr_time_exp_gmt_get(&when, &t) == APR_SUCCESS
               ? apr_time_sec(when) : 0;
}

/* ---- reasons to stop ------------------------------------------------- */

/* The numbers are those that all of Google's services agree on, or nearly so:
 * 6 to 8 are kinds of content that is not allowed. */
static const struct { const char *theirs; llmux_finish_e ours; } reasons[] = {
    { "STOP",                       LLMUX_FINISH_STOP      },
    { "MAX_TOKENS",                 LLMUX_FINISH_LENGTH    },
    { "CONTINUATION",               LLMUX_FINISH_LENGTH    },
    { "SAFETY",                     LLMUX_FINISH_FILTER    },
    { "RECITATION",                 LLMUX_FINISH_FILTER    },
    { "BLOCKLIST",                  LLMUX_FINISH_FILTER    },
    { "PROHIBITED_CONTENT",         LLMUX_FINISH_FILTER    },
    { "SPII",                       LLMUX_FINISH_FILTER    },
    { "MODEL_ARMOR",                LLMUX_FINISH_FILTER    },
    { "JAILBREAK",                  LLMUX_FINISH_FILTER    },
    { "IMAGE_SAFETY",               LLMUX_FINISH_FILTER    },
    { "IMAGE_PROHIBITED_CONTENT",   LLMUX_FINISH_FILTER    },
    { "IMAGE_RECITATION",           LLMUX_FINISH_FILTER    },
    { "IMAGE_OTHER",                LLMUX_FINISH_FILTER    },
    { "MALFORMED_FUNCTION_CALL",    LLMUX_FINISH_MALFORMED },
    { "UNEXPECTED_TOOL_CALL",       LLMUX_FINISH_MALFORMED },
    { "TOO_MANY_TOOL_CALLS",        LLMUX_FINISH_MALFORMED },
    { "1",                          LLMUX_FINISH_STOP      },
    { "2",                          LLMUX_FINISH_LENGTH    },
    { "3",                          LLMUX_FINISH_FILTER    },
    { "4",                          LLMUX_FINISH_FILTER    },
    { "6",                          LLMUX_FINISH_FILTER    },
    { "7",                          LLMUX_FINISH_FILTER    },
    { "8",                          LLMUX_FINISH_FILTER    },
    { NULL,                         LLMUX_FINISH_OTHER     }
};

llmux_finish_e llmux_gemini_finish(const char *word)
{
    int i;

    for (i = 0; reasons[i].theirs; i++) {
        if (!strcmp(reasons[i].theirs, word)) {
            break;
        }
    }
    return reasons[i].ours;
}
