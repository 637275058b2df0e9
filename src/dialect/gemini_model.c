/* gemini_model.c - what each Gemini model takes, known by its name. */

#include <apr_fnmatch.h>

#include "gemini_model.h"

/* Generations. Each took what the one before it took, and more. */
#define OF_2    0
#define OF_25   (LLMUX_GEMINI_CAN_URL | LLMUX_GEMINI_CAN_SCHEMA \
                 | LLMUX_GEMINI_CAN_VALIDATE)
#define OF_3    (OF_25 | LLMUX_GEMINI_CAN_PARTS | LLMUX_GEMINI_CAN_DETAIL \
                 | LLMUX_GEMINI_CAN_MIX | LLMUX_GEMINI_MUST_SIGN)

#define LOW_HIGH    (LLMUX_GEMINI_LOW | LLMUX_GEMINI_HIGH)
#define FROM_LOW    (LOW_HIGH | LLMUX_GEMINI_MEDIUM)
#define ALL_LEVELS  (FROM_LOW | LLMUX_GEMINI_MINIMAL)

#define FIXED               LLMUX_GEMINI_FIXED, 0, 0, 0, 0
#define BUDGET(min, max, off) LLMUX_GEMINI_BUDGET, 0, min, max, off
#define LEVELS(mask)        LLMUX_GEMINI_LEVEL, mask, 0, 0, 0

/* The first row that matches counts. The last one is the newest generation:
 * a name nobody has heard of is more likely new than old. */
static const llmux_gemini_model_t models[] = {
    { "gemini-1*",              FIXED,                  OF_2 },
    { "gemini-pro",             FIXED,                  OF_2 },
    { "gemini-pro-vision",      FIXED,                  OF_2 },
    { "gemini-2.0-*",           FIXED,                  OF_2 },
    { "gemini-exp-*",           FIXED,                  OF_2 },
    { "learnlm-*",              FIXED,                  OF_2 },
    { "gemma-*",                FIXED,                  OF_2 },
    { "gemini-2.5-*-tts*",      FIXED,                  OF_25 },
    { "gemini-2.5-*image*",     FIXED,                  OF_25 },
    { "gemini-2.5-*audio*",     FIXED,                  OF_25 },
    { "gemini-2.5-pro*",        BUDGET(128, 32768, 0),  OF_25 },
    { "gemini-2.5-flash-lite*", BUDGET(512, 24576, 1),  OF_25 },
    { "gemini-2.5-*",           BUDGET(1, 24576, 1),    OF_25 },
    { "gemini-robotics-er-1*",  BUDGET(1, 24576, 1),    OF_25 },
    { "gemini-*-tts*",          FIXED,                  OF_3 },
    { "gemini-3-pro-image*",    FIXED,                  OF_3 },
    { "gemini-3-pro*",          LEVELS(LOW_HIGH),       OF_3 },
    { "gemini-*flash*",         LEVELS(ALL_LEVELS),     OF_3 },
    { "*",                      LEVELS(FROM_LOW),       OF_3 }
};

/* Efforts as tokens, on the models that count them. */
static const struct {
    llmux_effort_e effort;
    int tokens;
} budgets[] = {
    { LLMUX_EFFORT_NONE, 0 },
    { LLMUX_EFFORT_MINIMAL, 512 },
    { LLMUX_EFFORT_LOW, 1024 },
    { LLMUX_EFFORT_MEDIUM, 8192 },
    { LLMUX_EFFORT_HIGH, 24576 }
};

/* Which level an effort means, and where to go when a model lacks it. */
static const struct {
    llmux_effort_e effort;
    unsigned int first, second;
} levels[] = {
    { LLMUX_EFFORT_NONE,    LLMUX_GEMINI_MINIMAL, LLMUX_GEMINI_LOW },
    { LLMUX_EFFORT_MINIMAL, LLMUX_GEMINI_MINIMAL, LLMUX_GEMINI_LOW },
    { LLMUX_EFFORT_LOW,     LLMUX_GEMINI_LOW,     LLMUX_GEMINI_LOW },
    { LLMUX_EFFORT_MEDIUM,  LLMUX_GEMINI_MEDIUM,  LLMUX_GEMINI_HIGH },
    { LLMUX_EFFORT_HIGH,    LLMUX_GEMINI_HIGH,    LLMUX_GEMINI_HIGH },
    { LLMUX_EFFORT_XHIGH,   LLMUX_GEMINI_HIGH,    LLMUX_GEMINI_HIGH },
    { LLMUX_EFFORT_MAX,     LLMUX_GEMINI_HIGH,    LLMUX_GEMINI_HIGH }
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* The name behind the last slash, as a C string. */
static void bare_name(llmux_slice_t name, char out[LLMUX_MODEL_NAME_MAX + 1])
{
    apr_size_t from = name.len, len;

    while (from > 0 && name.data[from - 1] != '/') {
        from--;
    }
    len = name.len - from;
    if (len > LLMUX_MODEL_NAME_MAX) {
        len = LLMUX_MODEL_NAME_MAX;
    }
    if (len) {
        memcpy(out, name.data + from, len);
    }
    out[len] = '\0';
}

const llmux_gemini_model_t *llmux_gemini_model(llmux_slice_t name)
{
    char bare[LLMUX_MODEL_NAME_MAX + 1];
    apr_size_t i;

    bare_name(name, bare);
    for (i = 0; i < COUNT(models) - 1; i++) {
        if (apr_fnmatch(models[i].pattern, bare, APR_FNM_CASE_BLIND)
            == APR_SUCCESS) {
            break;
        }
    }
    return &models[i];
}

static const char *level_name(unsigned int level)
{
    switch (level) {
    case LLMUX_GEMINI_MINIMAL:
        return "MINIMAL";
    case LLMUX_GEMINI_LOW:
        return "LOW";
    case LLMUX_GEMINI_MEDIUM:
        return "MEDIUM";
    default:
        return "HIGH";
    }
}

const char *llmux_gemini_level(const llmux_gemini_model_t *m,
                               llmux_effort_e effort, int *exact)
{
    apr_size_t i;

    *exact = 1;
    for (i = 0; i < COUNT(levels); i++) {
        if (levels[i].effort == effort) {
            if (m->levels & levels[i].first) {
                return level_name(levels[i].first);
            }
            *exact = 0;
            return level_name(levels[i].second);
        }
    }
    return NULL;
}

int llmux_gemini_budget_clamp(const llmux_gemini_model_t *m,
                              apr_int64_t tokens, int *exact)
{
    *exact = 1;
    if (tokens < 0) {
        return -1;
    }
    if (tokens == 0 && m->budget_off) {
        return 0;
    }
    if (tokens < m->budget_min) {
        *exact = 0;
        return m->budget_min;
    }
    if (tokens > m->budget_max) {
        *exact = 0;
        return m->budget_max;
    }
    return (int)tokens;
}

int llmux_gemini_budget(const llmux_gemini_model_t *m, llmux_effort_e effort,
                        int *exact)
{
    apr_size_t i;

    for (i = 0; i < COUNT(budgets); i++) {
        if (budgets[i].effort == effort) {
            return llmux_gemini_budget_clamp(m, budgets[i].tokens, exact);
        }
    }
    *exact = 1;
    return -1;      /* more than high: as much as the model likes */
}

llmux_effort_e llmux_gemini_effort(apr_int64_t tokens)
{
    apr_size_t i;

    if (tokens < 0) {
        return LLMUX_EFFORT_UNSET;
    }
    if (tokens == 0) {
        return LLMUX_EFFORT_NONE;
    }
    for (i = 1; i < COUNT(budgets) - 1; i++) {
        if (tokens < (budgets[i].tokens + budgets[i + 1].tokens) / 2) {
            break;
        }
    }
    return budgets[i].effort;
}
