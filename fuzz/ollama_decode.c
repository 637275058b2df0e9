/* ollama_decode.c - fuzzes the decoder of Ollama's /api/chat.
 *
 * covers: src/dialect/ollama_decode.c
 */

#include "decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_decoder(&llmux_dialect_ollama, data, size);
}
