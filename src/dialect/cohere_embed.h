/* cohere_embed.h - Cohere's embeddings, which others host too. */

#ifndef LLMUX_DIALECT_COHERE_EMBED_H
#define LLMUX_DIALECT_COHERE_EMBED_H

#include "embed.h"

/** The members of a request but for its model.
 * @param sizes it can make vectors of several sizes */
void llmux_cohere_embed_members(llmux_writer_t *w, int sizes);

/** START, VECTORs and USAGE of an answer. */
void llmux_cohere_embed_answer(llmux_embed_decoder_t *d,
                               const llmux_json_t *body);

#endif
