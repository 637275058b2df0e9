/**
 * responses_read.h - what the files share that read a Responses request:
 * responses_read.c (top-level members), responses_read_items.c (the input),
 * responses_read_parts.c (what messages and results consist of),
 * responses_read_media.c (bytes and links in them), responses_read_tools.c.
 */

#ifndef LLMUX_DIALECT_RESPONSES_READ_H
#define LLMUX_DIALECT_RESPONSES_READ_H

#include "openai.h"
#include "responses.h"

/** "Not with this gateway" at this place: a 400, unless there was an error
 * before. The message is all that is said. */
void llmux_responses_refuse(llmux_reader_t *r, const llmux_at_t *at,
                            const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** The same for `background`, which is refused whoever the provider is. */
void llmux_responses_no_background(llmux_reader_t *r, const llmux_at_t *at);

/** What nobody but OpenAI can do with it, to be told of: chat->lost. */
void llmux_responses_lost(llmux_reader_t *r, llmux_slice_t name,
                          const llmux_json_t *v);

/* ---- input ------------------------------------------------------------ */

/** A string, or the list of items. */
void llmux_responses_read_input(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *v);

/** Content or output, string or parts: appends blocks to `m`. */
void llmux_responses_read_content(llmux_reader_t *r, const llmux_at_t *at,
                                  const llmux_json_t *v,
                                  llmux_openai_of_e of, llmux_message_t *m);

/** The parts that are media: input_image, input_file, input_audio. Each
 * appends a block to `m`. */
void llmux_responses_read_image(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *part, llmux_message_t *m);
void llmux_responses_read_file(llmux_reader_t *r, const llmux_at_t *at,
                               const llmux_json_t *part, llmux_message_t *m);
void llmux_responses_read_audio(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *part, llmux_message_t *m);

/** A picture of an earlier answer: the item image_generation_call. */
void llmux_responses_read_picture(llmux_reader_t *r, const llmux_at_t *at,
                                  const llmux_json_t *item,
                                  llmux_message_t *m);

/* ---- tools ------------------------------------------------------------ */

void llmux_responses_read_tools(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *v);
void llmux_responses_read_choice(llmux_reader_t *r, const llmux_at_t *at,
                                 const llmux_json_t *v);

/** A tool's name behind its namespace: "space__name"; the name alone where
 * the space is absent or empty. */
llmux_slice_t llmux_responses_name(apr_pool_t *p, llmux_slice_t space,
                                   llmux_slice_t name);

#endif
