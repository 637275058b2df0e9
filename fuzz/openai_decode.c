/* openai_decode.c - fuzzes the decoder of chat completions. */

#include "decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_decoder(&llmux_dialect_openai, data, size);
}
