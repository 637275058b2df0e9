/* anthropic_token.c - opaque tokens of other makers, carried by a client who
 * knows signatures of Anthropic's alone: wrapped so that they are known again,
 * and never taken for Anthropic's. */

#include <string.h>

#include <apr_strings.h>

#include "anthropic.h"

#define ENVELOPE "gw1."

static const struct {
    llmux_maker_e maker;
    const char *prefix;
} envelopes[] = {
    { LLMUX_MAKER_GEMINI, ENVELOPE "g." },
    { LLMUX_MAKER_OPENAI, ENVELOPE "r." }
};

#define ENVELOPES (sizeof(envelopes) / sizeof(*envelopes))

static const llmux_slice_t none = { NULL, 0 };

/* The alphabet that is safe anywhere, unpadded. */
static llmux_slice_t wrap(apr_pool_t *p, const char *prefix,
                          llmux_slice_t bytes)
{
    llmux_slice_t base64 = llmux_base64_encode(p, bytes);
    char *text = apr_pstrcat(p, prefix, base64.data, NULL), *c;

    for (c = text; *c && *c != '='; c++) {
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    }
    *c = '\0';
    return llmux_slice(text);
}

llmux_slice_t llmux_anthropic_token_seal(apr_pool_t *p, llmux_token_t token)
{
    apr_size_t i;

    if (token.maker == LLMUX_MAKER_ANTHROPIC) {
        return token.bytes;
    }
    for (i = 0; i < ENVELOPES; i++) {
        if (token.maker == envelopes[i].maker && token.bytes.len) {
            return wrap(p, envelopes[i].prefix, token.bytes);
        }
    }
    return none;
}

llmux_token_t llmux_anthropic_token_open(apr_pool_t *p,
                                         llmux_slice_t signature)
{
    llmux_token_t token = { .maker = LLMUX_MAKER_NONE };
    apr_size_t i, n;

    if (!llmux_slice_starts(signature, ENVELOPE)) {
        token.maker = signature.len ? LLMUX_MAKER_ANTHROPIC
                                    : LLMUX_MAKER_NONE;
        token.bytes = signature.len ? signature : none;
        return token;
    }
    for (i = 0; i < ENVELOPES; i++) {
        n = strlen(envelopes[i].prefix);
        if (llmux_slice_starts(signature, envelopes[i].prefix)) {
            signature.data += n;
            signature.len -= n;
            token.bytes = llmux_base64_decode(p, signature);
            token.maker = token.bytes.len ? envelopes[i].maker
                                          : LLMUX_MAKER_NONE;
        }
    }
    if (token.maker == LLMUX_MAKER_NONE) {
        token.bytes = none;
    }
    return token;
}
