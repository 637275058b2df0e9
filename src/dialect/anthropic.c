/* anthropic.c - the Anthropic Messages dialect: its table, and its errors. */

#include <string.h>

#include "anthropic.h"
#include "errors.h"

/* What the API has no word of its own for, told by how it begins to speak
 * of it. */
static const struct {
    llmux_error_e from;
    const char *begins;
    llmux_error_e to;
} meanings[] = {
    { LLMUX_ERR_NOT_FOUND, "model:",                       LLMUX_ERR_MODEL },
    { LLMUX_ERR_INVALID,   "Your credit balance is too low",
                                                         LLMUX_ERR_BILLING },
    { LLMUX_ERR_INVALID,   "Output blocked by content filtering policy",
                                                         LLMUX_ERR_BLOCKED }
};

static llmux_error_e meaning(llmux_error_e kind, const char *message)
{
    apr_size_t i;

    for (i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (meanings[i].from == kind
            && llmux_slice_starts(llmux_slice(message), meanings[i].begins)) {
            return meanings[i].to;
        }
    }
    return kind;
}

llmux_error_t *llmux_anthropic_error_read(apr_pool_t *p, int status,
                                          const llmux_json_t *body)
{
    llmux_error_t *err = llmux_error_read(p, status, body);
    llmux_error_e kind = meaning(err->kind, err->message);

    return kind == err->kind ? err
                             : llmux_error(p, kind, NULL, "%s", err->message);
}

/* By which its SDKs know that they must send all messages each time. */
static void put_no_threads(llmux_jw_t *jw)
{
    llmux_jw_key(jw, "details");
    llmux_jw_open(jw, '{');
    llmux_jw_key(jw, "error_code");
    llmux_jw_cstr(jw, "thread_unsupported_request");
    llmux_jw_key(jw, "unsupported");
    llmux_jw_open(jw, '[');
    llmux_jw_cstr(jw, "thread");
    llmux_jw_close(jw, ']');
    llmux_jw_close(jw, '}');
}

/* Anthropic's clients know an overloaded provider by a status of its own. */
int llmux_anthropic_error_status(const llmux_error_t *err)
{
    return err->kind == LLMUX_ERR_OVERLOADED ? 529 : err->status;
}

void llmux_anthropic_error_write(llmux_buf_t *out, const llmux_error_t *err,
                                 const char *request_id)
{
    llmux_jw_t jw = llmux_jw(out);

    llmux_jw_open(&jw, '{');
    llmux_jw_key(&jw, "type");
    llmux_jw_cstr(&jw, "error");
    llmux_jw_key(&jw, "error");
    llmux_jw_open(&jw, '{');
    llmux_jw_key(&jw, "type");
    llmux_jw_cstr(&jw, llmux_error_anthropic(err->kind));
    llmux_jw_key(&jw, "message");
    llmux_jw_cstr(&jw, err->message);
    if (err->param && !strcmp(err->param, "thread")) {
        put_no_threads(&jw);
    }
    llmux_jw_close(&jw, '}');
    llmux_jw_key(&jw, "request_id");
    llmux_jw_str(&jw, llmux_slice(request_id));
    llmux_jw_close(&jw, '}');
}

const llmux_dialect_t llmux_dialect_anthropic = {
    .name = "anthropic",
    .path = "/messages",
    .count = &llmux_dialect_anthropic_count,
    .single = 1,
    .id_prefix = "msg_",
    .head = llmux_anthropic_head,
    .edit = llmux_anthropic_edit,
    .read = llmux_anthropic_read,
    .write = llmux_anthropic_write,
    .decoder = llmux_anthropic_decoder,
    .encoder = llmux_anthropic_encoder,
    .error_read = llmux_anthropic_error_read,
    .error_write = llmux_anthropic_error_write,
    .error_status = llmux_anthropic_error_status
};
