/* token.c - which opaque tokens go to a client and come back from him, and to
 * whom they may go then. */

#include "llmux/seal.h"

static const llmux_token_t no_token = { .maker = LLMUX_MAKER_NONE };

llmux_token_t llmux_token_close(apr_pool_t *p, const llmux_encode_t *how,
                                const llmux_token_t *token, unsigned int own)
{
    llmux_token_t out = *token;

    if (token->maker == LLMUX_MAKER_NONE || !token->bytes.len) {
        return no_token;
    }
    if (!(own & LLMUX_MADE_BY(token->maker))) {
        out.bytes = llmux_seal(p, how->sealer, how->tenant, how->account,
                               token);
    }
    return out.bytes.data ? out : no_token;
}

llmux_token_t llmux_token_open(llmux_chat_t *chat, llmux_slice_t text,
                               llmux_maker_e maker)
{
    llmux_token_t token = { .maker = maker, .bytes = text };

    if (!text.len) {
        return no_token;
    }
    if (llmux_sealed(text)) {
        token = llmux_unseal(chat->pool, chat->sealer, chat->tenant, text);
        chat->unopened += token.maker == LLMUX_MAKER_NONE;
    }
    return token.maker == LLMUX_MAKER_NONE ? no_token : token;
}

int llmux_token_fits(const llmux_token_t *token, unsigned int makers,
                     const llmux_target_t *target)
{
    return token->maker != LLMUX_MAKER_NONE && token->bytes.len
           && !target->no_tokens && (makers & LLMUX_MADE_BY(token->maker))
           && (!token->account.data || !target->account
               || llmux_slice_is(token->account, target->account));
}

static int is_left(const llmux_token_t *token, unsigned int makers,
                   const llmux_target_t *target)
{
    return token->maker != LLMUX_MAKER_NONE
           && !llmux_token_fits(token, makers, target);
}

void llmux_tokens_tell(const llmux_chat_t *chat, unsigned int makers,
                       const llmux_target_t *target, llmux_warnings_t *w)
{
    const llmux_message_t *m;
    const llmux_block_t *b;
    int left = chat->unopened > 0;

    for (m = chat->messages; m && !left; m = m->next) {
        for (b = m->blocks; b && !left; b = b->next) {
            left = is_left(&b->token, makers, target)
                   || (b->call && is_left(&b->call->token, makers, target));
        }
    }
    if (left) {
        llmux_warn(w, LLMUX_WARN_DROP, "reasoning_content");
    }
}
