/* anthropic_count.c - Anthropic counts the tokens of a request to Messages:
 * POST /v1/messages/count_tokens. */

#include <apr_strings.h>

#include "anthropic.h"
#include "count.h"

/* More than any model: writers then have nothing to decide about it. */
#define NO_LIMIT (1 << 30)

/* ---- requests -------------------------------------------------------- */

/* Chats have them, and the API refuses them here. */
static const char *const refused[] = {
    "max_tokens", "stream", "stop_sequences", "metadata", "temperature",
    "top_p", "top_k", "service_tier", NULL
};

static const char *const taken[] = {
    "model", "messages", "system", "tools", "tool_choice", "thinking",
    "output_config", "cache_control", "speed", NULL
};

static const llmux_error_t *head(apr_pool_t *p, llmux_json_parser_t *parser,
                                 llmux_slice_t body, llmux_head_t *head)
{
    const llmux_error_t *err = llmux_anthropic_head(p, parser, body, head);

    head->stream = LLMUX_NO;
    head->include_usage = 0;
    return err;
}

/* The same clouds that have the model of a chat in the path have it in the
 * body here, and the version as well. */
static const char *version_of(apr_pool_t *p, const llmux_target_t *target)
{
    llmux_buf_t *out;
    llmux_jw_t w;

    if (!target->body_version) {
        return NULL;
    }
    out = llmux_buf_create(p, LLMUX_MESSAGE_MAX);
    w = llmux_jw(out);
    llmux_jw_key(&w, "anthropic_version");
    llmux_jw_cstr(&w, target->body_version);
    return out->failed ? NULL : apr_pstrdup(p, out->data);
}

static void edit(llmux_buf_t *out, apr_pool_t *scratch,
                 const llmux_head_t *head, llmux_slice_t body,
                 const llmux_target_t *target, llmux_warnings_t *w)
{
    int said = llmux_json_get_any(head->root, "anthropic_version") != NULL;
    llmux_buf_t *rest = llmux_buf_create(scratch, out->max);
    llmux_head_t inner = *head;
    llmux_target_t plain = *target;

    llmux_count_drop(rest, scratch, body, head->root, refused,
                     said ? NULL : version_of(scratch, target));
    body = llmux_buf_slice(rest);
    inner.root = llmux_json_parse(scratch, body, 2, NULL);
    if (!inner.root) {
        out->failed = 1;    /* it did not fit */
        return;
    }
    plain.body_version = NULL;
    llmux_anthropic_edit(out, scratch, &inner, body, &plain, w);
}

static const llmux_error_t *write_count(llmux_buf_t *out,
                                        const llmux_chat_t *chat,
                                        const llmux_target_t *target,
                                        llmux_warnings_t *w,
                                        apr_pool_t *scratch)
{
    llmux_buf_t *body = llmux_buf_create(scratch, out->max);
    llmux_chat_t plain = llmux_count_chat(chat);
    llmux_target_t unlimited = *target;
    const llmux_error_t *err;

    unlimited.max_tokens = NO_LIMIT;
    unlimited.body_version = NULL;
    err = llmux_anthropic_write(body, &plain, &unlimited, w, scratch);
    if (!err) {
        llmux_count_keep(out, scratch,
                         llmux_json_parse(scratch, llmux_buf_slice(body), 1,
                                          NULL),
                         taken, version_of(scratch, target));
    }
    return err;
}

/* ---- answers --------------------------------------------------------- */

static void write_answer(llmux_jw_t *w, const llmux_usage_t *usage)
{
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "input_tokens");
    llmux_jw_int(w, llmux_usage_input(usage));
    llmux_jw_close(w, '}');
}

static const llmux_count_t count = {
    llmux_count_input_tokens, write_answer, llmux_anthropic_error_read
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

const llmux_dialect_t llmux_dialect_anthropic_count = {
    .name = "anthropic-count",
    .op = LLMUX_OP_COUNT,
    .path = "/messages/count_tokens",
    .id_prefix = "msg_",
    .head = head,
    .edit = edit,
    .read = llmux_anthropic_read,
    .write = write_count,
    .decoder = decoder,
    .encoder = encoder,
    .error_read = llmux_anthropic_error_read,
    .error_write = llmux_anthropic_error_write,
    .error_status = llmux_anthropic_error_status
};
