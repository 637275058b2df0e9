/* ollama.c - the dialect of Ollama's /api/chat: its table. Errors are a
 * sentence under "error", which everybody's reader knows. */

#include "errors.h"
#include "ollama.h"

const llmux_dialect_t llmux_dialect_ollama = {
    .name = "ollama",
    .path = "/chat",
    .embed = &llmux_dialect_ollama_embed,
    .single = 1,
    .frame = LLMUX_FRAME_LINES,
    .write = llmux_ollama_write,
    .decoder = llmux_ollama_decoder,
    .error_read = llmux_error_read
};
