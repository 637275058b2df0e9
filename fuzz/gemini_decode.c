/* gemini_decode.c - fuzzes the decoder of Gemini's generateContent. */

#include "decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_decoder(&llmux_dialect_gemini, data, size);
}
