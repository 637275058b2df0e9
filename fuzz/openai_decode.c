/* openai_decode.c - fuzzes the decoder of chat completions.
 *
 * covers: src/dialect/openai_decode.c src/dialect/openai_decode_calls.c
 *         src/dialect/openai_decode_parts.c src/dialect/openai_decode_sources.c
 *         src/dialect/openai_custom.c
 *         src/dialect/stream.c src/dialect/openai_encode.c
 *         src/dialect/openai_chunks.c src/dialect/openai_whole.c
 *         src/dialect/openai_pieces.c src/dialect/openai_usage.c
 */

#include "decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_decoder(&llmux_dialect_openai, data, size);
}
