/* openai.c - chat completions as a dialect. */

#include "errors.h"
#include "openai.h"
#include "openai_answer.h"

const llmux_dialect_t llmux_dialect_openai = {
    .name = "openai",
    .path = "/chat/completions",
    .id_prefix = "chatcmpl-",
    .sentinel = "data: [DONE]\n\n",
    .head = llmux_openai_head,
    .edit = llmux_openai_edit,
    .read = llmux_openai_read,
    .write = llmux_openai_write,
    .decoder = llmux_openai_decoder,
    .encoder = llmux_openai_encoder,
    .error_read = llmux_error_read,
    .error_write = llmux_openai_error_write
};
