/* embeddings.h - what the files of OpenAI's embeddings share. */

#ifndef LLMUX_DIALECT_EMBEDDINGS_H
#define LLMUX_DIALECT_EMBEDDINGS_H

#include "llmux/dialect.h"

/** llmux_dialect_t.read */
const llmux_error_t *llmux_embeddings_read(llmux_chat_t *chat,
                                           const llmux_json_t *body);

#endif
