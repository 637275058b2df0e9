/**
 * anthropic_read.h - what the files that read a client's Messages body share.
 *
 * anthropic_read.c knows the body's members, anthropic_read_messages.c the
 * system prompt and the list of messages, anthropic_read_blocks.c what they
 * consist of, anthropic_read_sources.c where media come from,
 * anthropic_read_tools.c tools and the choice among them.
 */

#ifndef LLMUX_ANTHROPIC_READ_H
#define LLMUX_ANTHROPIC_READ_H

#include "anthropic.h"
#include "reader.h"

/* Whose content it is, for what may stand in it. */
typedef enum {
    LLMUX_ANTHROPIC_OF_SYSTEM    = 1 << 0,
    LLMUX_ANTHROPIC_OF_USER      = 1 << 1,
    LLMUX_ANTHROPIC_OF_ASSISTANT = 1 << 2,
    LLMUX_ANTHROPIC_OF_RESULT    = 1 << 3,  /* a tool_result's */
    LLMUX_ANTHROPIC_OF_DOCUMENT  = 1 << 4   /* a document's, or a
                                             * search_result's */
} llmux_anthropic_of_e;

/** Is the client's API the one of 2026-10-21, or a later one? */
int llmux_anthropic_read_strict(const llmux_reader_t *r);

/** Notes in chat->lost, once, what no other dialect can say. The name is
 * kept as it is. @param v may be NULL */
void llmux_anthropic_read_lost(llmux_reader_t *r, llmux_slice_t name,
                               const llmux_json_t *v);

/** An UNSUPPORTED at this place, unless there was an error before. */
void llmux_anthropic_read_refuse(llmux_reader_t *r, const llmux_at_t *at,
                                 const char *why);

/** A cache marker: "5m", "1h", or NULL for none. */
const char *llmux_anthropic_read_marker(llmux_reader_t *r,
                                        const llmux_at_t *at,
                                        const llmux_json_t *object);

/** What a message's "content" holds: a string or an array of blocks, which
 * are appended to `m`. */
void llmux_anthropic_read_content(llmux_reader_t *r, const llmux_at_t *at,
                                  const llmux_json_t *v,
                                  llmux_anthropic_of_e of,
                                  llmux_message_t *m);

/** One block with media, appended to `m`. */
void llmux_anthropic_read_image(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *v,
                                llmux_anthropic_of_e of, llmux_message_t *m);
void llmux_anthropic_read_document(llmux_reader_t *r, const llmux_at_t *at,
                                   const llmux_json_t *v,
                                   llmux_anthropic_of_e of,
                                   llmux_message_t *m);

/* ---- members of the body --------------------------------------------- */

void llmux_anthropic_read_system(llmux_reader_t *r, const llmux_at_t *at,
                                 const llmux_json_t *v);
void llmux_anthropic_read_messages(llmux_reader_t *r, const llmux_at_t *at,
                                   const llmux_json_t *v);
void llmux_anthropic_read_tools(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *v);
void llmux_anthropic_read_choice(llmux_reader_t *r, const llmux_at_t *at,
                                 const llmux_json_t *v);

#endif
