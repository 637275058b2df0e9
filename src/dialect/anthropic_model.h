/**
 * anthropic_model.h - what a Claude model can do, by its name.
 */

#ifndef LLMUX_ANTHROPIC_MODEL_H
#define LLMUX_ANTHROPIC_MODEL_H

#include "llmux/core.h"

enum {
    LLMUX_CLAUDE_BUDGET     = 1 << 0,   /* thinking with budget_tokens */
    LLMUX_CLAUDE_ADAPTIVE   = 1 << 1,   /* thinking of type adaptive */
    LLMUX_CLAUDE_THINKS     = 1 << 2,   /* ... when the request is silent */
    LLMUX_CLAUDE_ALWAYS     = 1 << 3,   /* ... and cannot be told not to */
    LLMUX_CLAUDE_BETWEEN    = 1 << 4,   /* at the least: type between_tools */
    LLMUX_CLAUDE_OMITS      = 1 << 5,   /* thinking's text only on demand */
    LLMUX_CLAUDE_XHIGH      = 1 << 6,   /* effort xhigh */
    LLMUX_CLAUDE_MAX        = 1 << 7,   /* effort max */
    LLMUX_CLAUDE_SAMPLING   = 1 << 8,   /* temperature, top_p, top_k */
    LLMUX_CLAUDE_ONE_OF     = 1 << 9,   /* ... not temperature and top_p */
    LLMUX_CLAUDE_PREFILL    = 1 << 10,  /* a last turn of the assistant */
    LLMUX_CLAUDE_SYSTEM     = 1 << 11,  /* role system among the messages */
    LLMUX_CLAUDE_SCHEMA     = 1 << 12,  /* output_config.format, strict tools */
    LLMUX_CLAUDE_FORCED     = 1 << 13   /* tool_choice any and tool */
};

typedef struct llmux_claude_t {
    const char *family;         /* word in the name; "" = any other name */
    int since;                  /* from this version on: 405 is 4.5 */
    unsigned int can;           /* LLMUX_CLAUDE_* */
    apr_int64_t max_tokens;     /* most tokens of one answer */
    apr_int64_t fallback;       /* max_tokens where nobody says any */
} llmux_claude_t;

/** Never NULL. A version newer than all that are known is taken for the
 * newest of its family, a new family for the newest of all; a name that is
 * no Claude's for somebody else's server that speaks the dialect. */
const llmux_claude_t *llmux_claude_named(llmux_slice_t model);

#endif
