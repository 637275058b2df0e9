/* responses.c - OpenAI's Responses API as a dialect, and what its two doors
 * have in common. */

#include "errors.h"
#include "openai_answer.h"
#include "responses.h"

llmux_slice_t llmux_responses_said(const llmux_chat_t *chat, const char *name)
{
    const llmux_extra_t *e = chat ? chat->said : NULL;

    while (e && !llmux_slice_is(e->name, name)) {
        e = e->next;
    }
    return e ? e->json : llmux_slice(NULL);
}

/* ---- the table -------------------------------------------------------- */

const llmux_dialect_t llmux_dialect_responses = {
    .name = "responses",
    .single = 1,
    .path = "/responses",
    .embed = &llmux_dialect_embeddings,
    .count = &llmux_dialect_responses_count,
    .id_prefix = "resp_",
    .head = llmux_responses_head,
    .edit = llmux_responses_edit,
    .read = llmux_responses_read,
    .write = llmux_responses_write,
    .decoder = llmux_responses_decoder,
    .encoder = llmux_responses_encoder,
    .error_read = llmux_error_read,
    .error_write = llmux_openai_error_write
};
