/* openai.c - chat completions as a dialect. */

#include "errors.h"
#include "openai.h"
#include "openai_answer.h"

/* Files go along in the request here; only pictures have URLs. */
static int takes_url(const llmux_media_t *media, const llmux_target_t *target)
{
    return media->kind == LLMUX_MEDIA_IMAGE
        && target->can & LLMUX_CAN_MEDIA_URL;
}

const llmux_dialect_t llmux_dialect_openai = {
    .name = "openai",
    .path = "/chat/completions",
    .complete = &llmux_dialect_completions,
    .embed = &llmux_dialect_embeddings,
    .count = &llmux_dialect_responses_count,
    .id_prefix = "chatcmpl-",
    .sentinel = "data: [DONE]\n\n",
    .head = llmux_openai_head,
    .edit = llmux_openai_edit,
    .read = llmux_openai_read,
    .takes_url = takes_url,
    .write = llmux_openai_write,
    .decoder = llmux_openai_decoder,
    .encoder = llmux_openai_encoder,
    .error_read = llmux_error_read,
    .error_write = llmux_openai_error_write
};
