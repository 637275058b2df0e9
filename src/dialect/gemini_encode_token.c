/* gemini_encode_token.c - signatures of other makers in the place that Gemini's
 * clients have for Gemini's. */

#include <string.h>

#include "gemini.h"

/* "gw1.", one letter for the maker, a dot, the token as its maker spelled it;
 * all of that in base64. The first five characters of it are always the same:
 * LLMUX_GEMINI_ENVELOPE. */
#define MAGIC "gw1."

enum { HEAD_LEN = sizeof(MAGIC) - 1 + 2 };

static const struct { char letter; llmux_maker_e maker; } makers[] = {
    { 'a', LLMUX_MAKER_ANTHROPIC },
    { 'd', LLMUX_MAKER_ANTHROPIC_REDACTED },
    { 'g', LLMUX_MAKER_GEMINI },
    { 'r', LLMUX_MAKER_OPENAI }
};

#define MAKERS (sizeof(makers) / sizeof(makers[0]))

/* Words that stand for "there is none": the client has them from us, or from
 * Google's documentation. */
static const char *const no_signature[] = {
    LLMUX_GEMINI_NO_SIGNATURE, "context_engineering_is_the_way_to_go"
};

int llmux_gemini_token_sealed(llmux_slice_t signature)
{
    return llmux_slice_starts(signature, LLMUX_GEMINI_ENVELOPE);
}

static llmux_token_t unseal(llmux_slice_t bytes)
{
    llmux_token_t token = { .maker = LLMUX_MAKER_NONE };
    apr_size_t i;

    if (bytes.len <= HEAD_LEN || !llmux_slice_starts(bytes, MAGIC)
        || bytes.data[HEAD_LEN - 1] != '.') {
        return token;
    }
    for (i = 0; i < MAKERS; i++) {
        if (makers[i].letter == bytes.data[HEAD_LEN - 2]) {
            token.maker = makers[i].maker;
            token.bytes.data = bytes.data + HEAD_LEN;
            token.bytes.len = bytes.len - HEAD_LEN;
        }
    }
    return token;
}

llmux_token_t llmux_gemini_token_read(apr_pool_t *p, llmux_slice_t signature)
{
    llmux_token_t token = { .maker = LLMUX_MAKER_NONE };
    apr_size_t i;

    for (i = 0; i < sizeof(no_signature) / sizeof(no_signature[0]); i++) {
        if (llmux_slice_is(signature, no_signature[i])) {
            return token;
        }
    }
    if (llmux_gemini_token_sealed(signature)) {
        return unseal(llmux_base64_decode(p, signature));
    }
    if (signature.len) {
        token.maker = LLMUX_MAKER_GEMINI;
        token.bytes = signature;
    }
    return token;
}

llmux_slice_t llmux_gemini_token_write(apr_pool_t *p, llmux_token_t token)
{
    llmux_slice_t sealed = { NULL, 0 };
    apr_size_t i;
    char *to;

    if (!token.bytes.data || token.maker == LLMUX_MAKER_GEMINI) {
        return token.bytes;
    }
    for (i = 0; i < MAKERS && makers[i].maker != token.maker; i++) {
    }
    if (i == MAKERS) {
        return sealed;
    }
    to = apr_palloc(p, HEAD_LEN + token.bytes.len);
    memcpy(to, MAGIC, HEAD_LEN - 2);
    to[HEAD_LEN - 2] = makers[i].letter;
    to[HEAD_LEN - 1] = '.';
    memcpy(to + HEAD_LEN, token.bytes.data, token.bytes.len);
    sealed.data = to;
    sealed.len = HEAD_LEN + token.bytes.len;
    return llmux_base64_encode(p, sealed);
}
