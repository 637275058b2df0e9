/* bedrock_count.c - how many tokens a conversation is at Amazon Bedrock: the
 * body of Converse without what counts nothing, in an envelope. Source: AWS,
 * "CountTokens" of the Bedrock Runtime API. */

#include "bedrock.h"
#include "count.h"

/* What ConverseTokensRequest has. */
static const char *const counted[] = {
    "messages", "system", "toolConfig", "additionalModelRequestFields", NULL
};

#define OPEN  "{\"input\":{\"converse\":"
#define CLOSE "}}"

static const llmux_error_t *write_count(llmux_buf_t *out,
                                        const llmux_chat_t *chat,
                                        const llmux_target_t *target,
                                        llmux_warnings_t *w,
                                        apr_pool_t *scratch)
{
    llmux_chat_t only = llmux_count_chat(chat);
    llmux_buf_t *body = llmux_buf_create(scratch, out->max);
    const llmux_error_t *err = llmux_bedrock_write(body, &only, target, w,
                                                   scratch);

    if (!err) {
        llmux_buf_adds(out, OPEN);
        llmux_count_keep(out, scratch,
                         llmux_json_parse(scratch, llmux_buf_slice(body), 0,
                                          NULL), counted, NULL);
        llmux_buf_adds(out, CLOSE);
    }
    return err;
}

static int read_count(llmux_usage_t *to, const llmux_json_t *body)
{
    to->input = llmux_json_int(llmux_json_get(body, "inputTokens"), -1);
    return to->input >= 0;
}

/* Nobody asks us in this dialect. */
static const llmux_count_t count = {
    read_count, NULL, llmux_bedrock_error_read
};

static llmux_decoder_t *decoder(apr_pool_t *p, const llmux_env_t *env,
                                llmux_emit_fn emit, void *baton)
{
    return llmux_count_decoder(p, env, emit, baton, &count);
}

const llmux_dialect_t llmux_dialect_bedrock_count = {
    .name = "bedrock-count",
    .op = LLMUX_OP_COUNT,
    .path = "/count-tokens",
    .write = write_count,
    .decoder = decoder,
    .error_read = llmux_bedrock_error_read
};
