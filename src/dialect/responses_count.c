/* responses_count.c - OpenAI counts the tokens of a request to Responses:
 * POST /v1/responses/input_tokens. */

#include "count.h"
#include "errors.h"
#include "openai_answer.h"
#include "responses.h"

/* ---- requests -------------------------------------------------------- */

/* Chats have them, and the API does not know them here. */
static const char *const refused[] = {
    "max_output_tokens", "stream", "stream_options", "store", "include",
    "temperature", "top_p", "metadata", NULL
};

static const char *const taken[] = {
    "model", "input", "instructions", "tools", "tool_choice",
    "parallel_tool_calls", "text", "reasoning", "truncation", NULL
};

static const llmux_error_t *head(apr_pool_t *p, llmux_json_parser_t *parser,
                                 llmux_slice_t body, llmux_head_t *head)
{
    const llmux_error_t *err = llmux_responses_head(p, parser, body, head);

    head->stream = LLMUX_NO;
    head->include_usage = 0;
    return err;
}

static void edit(llmux_buf_t *out, apr_pool_t *scratch,
                 const llmux_head_t *head, llmux_slice_t body,
                 const llmux_target_t *target, llmux_warnings_t *w)
{
    llmux_buf_t *chat = llmux_buf_create(scratch, out->max);

    llmux_responses_edit(chat, scratch, head, body, target, w);
    body = llmux_buf_slice(chat);
    llmux_count_drop(out, scratch, body,
                     llmux_json_parse(scratch, body, 1, NULL), refused, NULL);
}

static const llmux_error_t *write_count(llmux_buf_t *out,
                                        const llmux_chat_t *chat,
                                        const llmux_target_t *target,
                                        llmux_warnings_t *w,
                                        apr_pool_t *scratch)
{
    llmux_buf_t *body = llmux_buf_create(scratch, out->max);
    llmux_chat_t plain = llmux_count_chat(chat);
    const llmux_error_t *err =
        llmux_responses_write(body, &plain, target, w, scratch);

    if (!err) {
        llmux_count_keep(out, scratch,
                         llmux_json_parse(scratch, llmux_buf_slice(body), 1,
                                          NULL),
                         taken, NULL);
    }
    return err;
}

/* ---- answers --------------------------------------------------------- */

static void write_answer(llmux_jw_t *w, const llmux_usage_t *usage)
{
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "object");
    llmux_jw_cstr(w, "response.input_tokens");
    llmux_jw_key(w, "input_tokens");
    llmux_jw_int(w, llmux_usage_input(usage));
    llmux_jw_close(w, '}');
}

static const llmux_count_t count = {
    llmux_count_input_tokens, write_answer, llmux_error_read
};

static llmux_decoder_t *decoder(apr_pool_t *p, const llmux_env_t *env,
                                llmux_emit_fn emit, void *baton)
{
    return llmux_count_decoder(p, env, emit, baton, &count);
}

static llmux_encoder_t *encoder(apr_pool_t *p, const llmux_encode_t *how)
{
    return llmux_count_encoder(p, &count);
}

const llmux_dialect_t llmux_dialect_responses_count = {
    .name = "responses-count",
    .op = LLMUX_OP_COUNT,
    .path = "/responses/input_tokens",
    .id_prefix = "resp_",
    .head = head,
    .edit = edit,
    .read = llmux_responses_read,
    .write = write_count,
    .decoder = decoder,
    .encoder = encoder,
    .error_read = llmux_error_read,
    .error_write = llmux_openai_error_write
};
