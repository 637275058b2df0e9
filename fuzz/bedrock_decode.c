/* bedrock_decode.c - fuzzes the decoder of Bedrock's Converse. What is
 * streamed stands in lines, each the name of an event and its payload, with a
 * ! before exceptions: they are made messages with right checksums, which no
 * chance would find. A first byte of 'x' or above leaves the bytes as they
 * are.
 *
 * covers: src/dialect/bedrock.c src/dialect/bedrock_decode.c
 *         src/dialect/blocks.c
 */

#include "decode.h"

#include "../t/unit/aws_message.h"

static int fuzz_lines(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;
    llmux_slice_t lines = { (const char *)data + 1, size - 1 };
    llmux_slice_t messages;
    apr_pool_t *p;
    uint8_t *bytes;

    if (!pool) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    apr_pool_create(&p, pool);
    messages = aws_events(p, lines);
    bytes = malloc(messages.len + 1);
    MUST(bytes != NULL);
    bytes[0] = data[0];
    memcpy(bytes + 1, messages.data, messages.len);
    apr_pool_destroy(p);
    fuzz_decoder(&llmux_dialect_bedrock, bytes, messages.len + 1);
    free(bytes);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return size && (data[0] & 1) && data[0] < 'x'
           ? fuzz_lines(data, size)
           : fuzz_decoder(&llmux_dialect_bedrock, data, size);
}
