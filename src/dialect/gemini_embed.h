/**
 * gemini_embed.h - what the files of embedContent and batchEmbedContents
 * share: gemini_embed.c (bytes that pass, requests to Google, answers),
 * gemini_embed_read.c (a client's request).
 */

#ifndef LLMUX_DIALECT_GEMINI_EMBED_H
#define LLMUX_DIALECT_GEMINI_EMBED_H

#include "llmux/dialect.h"

/** llmux_dialect_t.read of each. */
const llmux_error_t *llmux_gemini_embed_read(llmux_chat_t *chat,
                                             const llmux_json_t *body);
const llmux_error_t *llmux_gemini_batch_embed_read(llmux_chat_t *chat,
                                                   const llmux_json_t *body);

#endif
