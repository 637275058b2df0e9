/* responses_decode.c - fuzzes the decoder of OpenAI's Responses API.
 *
 * covers: src/dialect/responses_decode.c src/dialect/responses_decode_items.c
 *         src/dialect/responses_decode_parts.c
 */

#include "decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_decoder(&llmux_dialect_responses, data, size);
}
