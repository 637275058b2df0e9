/* completions_edit.c - legacy completions on both sides: the client's bytes
 * pass, but for the spans that must change. */

#include "completions.h"
#include "head.h"
#include "openai.h"

/* What we look at must be what the provider looks at. */
static const char *const names[] = {
    "model", "prompt", "stream", "stream_options", NULL
};

/* A list of numbers is one prompt; of all else each element is one. */
static void read_prompt(llmux_reader_t *r, const llmux_at_t *root,
                        llmux_head_t *head)
{
    const llmux_json_t *v = llmux_json_get(head->root, "prompt");
    llmux_at_t here = llmux_at(root, "prompt");

    switch (llmux_json_kind(v)) {
    case LLMUX_JSON_NONE:       /* then the model makes something up */
        break;
    case LLMUX_JSON_STRING:
        head->messages = 1;
        break;
    case LLMUX_JSON_ARRAY:
        head->messages = llmux_json_kind(llmux_json_first(v))
            == LLMUX_JSON_NUMBER ? 1 : llmux_json_count(v);
        if (!head->messages) {
            llmux_reader_fail(r, &here, "expected at least one prompt, found "
                              "an empty array");
        }
        break;
    default:
        llmux_reader_fail(r, &here, "expected a string or an array, found %s",
                          llmux_json_kind_name(v));
    }
}

const llmux_error_t *llmux_completions_head(apr_pool_t *p,
                                            llmux_json_parser_t *parser,
                                            llmux_slice_t body,
                                            llmux_head_t *head)
{
    llmux_reader_t r = { NULL, p, NULL };
    llmux_at_t root = llmux_at(NULL, NULL);

    llmux_head_begin(&r, parser, body, names, head);
    if (!r.err) {
        llmux_head_model(&r, &root, head);
        read_prompt(&r, &root, head);
        llmux_head_stream(&r, &root, names, head);
        llmux_head_ours(&r, &root, names, head);
    }
    return r.err;
}

/* The same as chat completions', where there are neither roles nor the new
 * name of the limit. */
void llmux_completions_edit(llmux_buf_t *out, apr_pool_t *scratch,
                            const llmux_head_t *head, llmux_slice_t body,
                            const llmux_target_t *target, llmux_warnings_t *w)
{
    llmux_target_t legacy = *target;

    legacy.can |= LLMUX_CAN_DEVELOPER;
    legacy.can &= ~(unsigned int)LLMUX_CAN_MAX_COMPLETION;
    llmux_openai_edit(out, scratch, head, body, &legacy, w);
}
