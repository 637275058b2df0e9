/* gemini_decode.c - fuzzes the decoder of Gemini's generateContent.
 *
 * covers: src/dialect/gemini_decode.c src/dialect/gemini_logprobs.c
 *         src/dialect/gemini_text.c src/dialect/gemini_words.c
 */

#include "decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_decoder(&llmux_dialect_gemini, data, size);
}
