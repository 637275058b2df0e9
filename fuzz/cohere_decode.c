/* cohere_decode.c - fuzzes the decoder of Cohere's /v2/chat.
 *
 * covers: src/dialect/cohere.c src/dialect/cohere_decode.c
 *         src/dialect/cohere_logprobs.c
 */

#include "decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_decoder(&llmux_dialect_cohere, data, size);
}
