/**
 * responses_write.h - what the files share that write a Responses request:
 * responses_write.c (top-level members), responses_write_tools.c (tools and
 * the choice among them), responses_write_items.c (the input),
 * responses_write_parts.c (what messages and results consist of).
 */

#ifndef LLMUX_DIALECT_RESPONSES_WRITE_H
#define LLMUX_DIALECT_RESPONSES_WRITE_H

#include "responses.h"
#include "writer.h"

/* One request being written. */
typedef struct llmux_responses_out_t {
    llmux_writer_t w;
    llmux_format_e format;          /* as it goes out */
    const char *hint;               /* system text of ours, or NULL */
    int instructed;                 /* the first message is `instructions` */
} llmux_responses_out_t;

/** A value of ours as JSON; NULL for absent. */
const llmux_json_t *llmux_responses_json(const llmux_responses_out_t *o,
                                         llmux_slice_t text);

/** The members `tools`, `tool_choice` and `parallel_tool_calls`. */
void llmux_responses_write_tools(llmux_responses_out_t *o);

/** The member `input`. */
void llmux_responses_write_input(llmux_responses_out_t *o);

/** Is the block marked for the cache, and does the target know that? */
int llmux_responses_marked(const llmux_responses_out_t *o,
                           const llmux_block_t *b);

/** An object of this type with a text in it. */
void llmux_responses_write_text(llmux_responses_out_t *o, const char *type,
                                llmux_slice_t text, int marked);

/** A part of a user's message or of a result: a text or a medium.
 * @param param of its message
 * @param marked for the cache */
void llmux_responses_write_part(llmux_responses_out_t *o,
                                const llmux_block_t *b, const char *param,
                                int marked);

#endif
