/* count.c - tokens of a request that is not sent: for clients who ask what it
 * would be, where no provider can be asked. */

#include "exchange.h"

#define HOW_COUNTED "X-LLMux-Token-Count"

/* The name that decides how it is counted. */
static llmux_slice_t model_of(const llmux_exchange_t *x)
{
    return x->group->deployments->nelts
        ? llmux_slice(APR_ARRAY_IDX(x->group->deployments, 0,
                                    llmux_deployment_t *)->model)
        : x->head.model;
}

static void say(llmux_exchange_t *x, llmux_tokens_t tokens)
{
    const llmux_encode_t how = answer_how(x);
    llmux_encoder_t *encoder = x->dialect->encoder(x->pool, &how);
    llmux_usage_t usage = LLMUX_USAGE_NONE;
    llmux_event_t ev;

    usage.input = tokens.count;
    memset(&ev, 0, sizeof(ev));
    ev.kind = LLMUX_EV_START;
    encoder->event(encoder, &ev, x->out);
    ev.kind = LLMUX_EV_USAGE;
    ev.usage = &usage;
    encoder->event(encoder, &ev, x->out);
    ev.kind = LLMUX_EV_END;
    encoder->event(encoder, &ev, x->out);
}

/* OpenAI's Responses add words of their own that nobody has published. */
static int is_exact(const llmux_exchange_t *x, llmux_tokens_t tokens)
{
    return tokens.exact && x->dialect != &llmux_dialect_responses_count;
}

int count_is_ours(const llmux_exchange_t *x)
{
    return x->dialect->op == LLMUX_OP_COUNT
        && (!x->record.attempts || x->uncounted);
}

go_e count_answer(llmux_exchange_t *x)
{
    llmux_tokens_t tokens;

    x->error = body_read(x);
    if (x->error) {
        return GO_FAIL;
    }
    tokens = llmux_tokens_of_chat(x->service->bpe, x->chat, model_of(x));
    if (!x->out) {
        x->out = reply_buf(x);
    }
    say(x, tokens);
    apr_table_setn(x->headers, HOW_COUNTED,
                   is_exact(x, tokens) ? "exact" : "estimate");
    reply_page(x, 200, "application/json", llmux_buf_slice(x->out));
    return GO_ON;
}
