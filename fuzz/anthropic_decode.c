/* anthropic_decode.c - fuzzes the decoder of Anthropic messages.
 *
 * covers: src/dialect/anthropic_decode.c
 */

#include "decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_decoder(&llmux_dialect_anthropic, data, size);
}
