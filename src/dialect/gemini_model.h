/* gemini_model.h - what each Gemini model takes, known by its name. */

#ifndef LLMUX_GEMINI_MODEL_H
#define LLMUX_GEMINI_MODEL_H

#include "llmux/dialect.h"

/* How a model is told how much to think. */
typedef enum {
    LLMUX_GEMINI_FIXED,     /* it is not told */
    LLMUX_GEMINI_BUDGET,    /* thinkingBudget: tokens, 0 = off, -1 = its own */
    LLMUX_GEMINI_LEVEL      /* thinkingLevel; both at once is an error */
} llmux_gemini_think_e;

/* Levels a model knows, lowest first. */
enum {
    LLMUX_GEMINI_MINIMAL = 1 << 0,
    LLMUX_GEMINI_LOW     = 1 << 1,
    LLMUX_GEMINI_MEDIUM  = 1 << 2,
    LLMUX_GEMINI_HIGH    = 1 << 3
};

enum {
    LLMUX_GEMINI_CAN_URL     = 1 << 0,  /* fetches https in fileData */
    LLMUX_GEMINI_CAN_SCHEMA  = 1 << 1,  /* *JsonSchema, not only Schema */
    LLMUX_GEMINI_CAN_VALIDATE= 1 << 2,  /* mode VALIDATED */
    LLMUX_GEMINI_CAN_PARTS   = 1 << 3,  /* media in functionResponse.parts */
    LLMUX_GEMINI_CAN_DETAIL  = 1 << 4,  /* mediaResolution of one part */
    LLMUX_GEMINI_CAN_MIX     = 1 << 5,  /* JSON answers while tools are on */
    LLMUX_GEMINI_MUST_SIGN   = 1 << 6   /* a call in history needs its
                                         * signature, else 400 */
};

typedef struct llmux_gemini_model_t {
    const char *pattern;            /* shell pattern over the bare name */
    llmux_gemini_think_e think;
    unsigned int levels;            /* LEVEL */
    int budget_min, budget_max;     /* BUDGET, without the 0 and -1 */
    int budget_off;                 /* BUDGET: is 0 allowed? */
    unsigned int can;
} llmux_gemini_model_t;

/** The row for a name as the provider spells it ("models/..." and publisher
 * paths too). Never NULL: unknown names are taken for the newest. */
const llmux_gemini_model_t *llmux_gemini_model(llmux_slice_t name);

/** The model's word for this effort, NULL for UNSET.
 * @param exact set to 0 when the model has no such level and gets another */
const char *llmux_gemini_level(const llmux_gemini_model_t *m,
                               llmux_effort_e effort, int *exact);

/** The model's number of tokens for this effort (not UNSET). */
int llmux_gemini_budget(const llmux_gemini_model_t *m, llmux_effort_e effort,
                        int *exact);

/** A number of tokens within what the model takes. */
int llmux_gemini_budget_clamp(const llmux_gemini_model_t *m,
                              apr_int64_t tokens, int *exact);

/** The effort whose usual number of tokens is nearest; UNSET for less than
 * none, which means "as the model likes". */
llmux_effort_e llmux_gemini_effort(apr_int64_t tokens);

#endif
