/**
 * anthropic_request.h - what the files that write a request to Messages
 * share: anthropic_write.c (all of it), anthropic_thinking.c (tokens and
 * thinking), anthropic_tools.c (tools and the choice among them).
 */

#ifndef LLMUX_ANTHROPIC_REQUEST_H
#define LLMUX_ANTHROPIC_REQUEST_H

#include <apr_hash.h>

#include "anthropic.h"

typedef enum {
    LLMUX_THINKING_SILENT,          /* no word about it */
    LLMUX_THINKING_OFF,
    LLMUX_THINKING_BETWEEN_TOOLS,
    LLMUX_THINKING_ADAPTIVE,
    LLMUX_THINKING_BUDGET
} llmux_thinking_e;

/* One request while it is written: first decided, then put into bytes. */
typedef struct llmux_anthropic_request_t {
    const llmux_chat_t *chat;
    const llmux_target_t *target;
    const llmux_claude_t *claude;
    llmux_anthropic_out_t out;
    llmux_turns_t turns;
    apr_int64_t max_tokens;
    llmux_thinking_e thinking;
    apr_int64_t budget;
    const char *effort;         /* output_config.effort, or NULL */
    apr_hash_t *offered;        /* tools that may be called; NULL: all */
    const char *choice;         /* type of tool_choice, or NULL */
} llmux_anthropic_request_t;

/** Can the model do this (LLMUX_CLAUDE_*)? */
int llmux_anthropic_can(const llmux_anthropic_request_t *r,
                        unsigned int ability);

/** Will it think before it answers? */
int llmux_anthropic_thinks(const llmux_anthropic_request_t *r);

/** A member that is kept as JSON text; NULL if it is absent. */
const llmux_json_t *llmux_anthropic_json(const llmux_anthropic_request_t *r,
                                         llmux_slice_t text);

/** Finds `max_tokens`, which the API demands. */
const llmux_error_t *
llmux_anthropic_max_tokens(llmux_anthropic_request_t *r);

/** Decides on thinking, which may raise `max_tokens`; and writes it. */
void llmux_anthropic_think(llmux_anthropic_request_t *r);
void llmux_anthropic_write_thinking(llmux_anthropic_request_t *r);

/** Must a call be made? */
int llmux_anthropic_forces(llmux_choice_e choice);

/** Decides on the choice of tools, once thinking is; and writes both. */
void llmux_anthropic_choose(llmux_anthropic_request_t *r);
const llmux_error_t *
llmux_anthropic_write_tools(llmux_anthropic_request_t *r);

#endif
