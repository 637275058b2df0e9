/* gemini_encode_token.c - signatures of other makers in the place that Gemini's
 * clients have for Gemini's. */

#include "gemini.h"

/* Words that stand for "there is none": the client has them from us, or from
 * Google's documentation. */
static const char *const no_signature[] = {
    LLMUX_GEMINI_NO_SIGNATURE, "context_engineering_is_the_way_to_go"
};

llmux_token_t llmux_gemini_token_open(llmux_chat_t *chat,
                                      llmux_slice_t signature)
{
    static const llmux_token_t none = { .maker = LLMUX_MAKER_NONE };
    apr_size_t i;

    for (i = 0; i < sizeof(no_signature) / sizeof(no_signature[0]); i++) {
        if (llmux_slice_is(signature, no_signature[i])) {
            return none;
        }
    }
    return llmux_token_open(chat, signature, LLMUX_MAKER_GEMINI);
}

llmux_token_t llmux_gemini_token_close(apr_pool_t *p,
                                       const llmux_encode_t *how,
                                       const llmux_token_t *token)
{
    llmux_token_t out = *token;

    if (token->maker != LLMUX_MAKER_GEMINI) {
        out.bytes = llmux_seal_base64(p, how->sealer, how->tenant,
                                      how->account, token);
    }
    if (!out.bytes.len) {
        out.maker = LLMUX_MAKER_NONE;
    }
    return out;
}
