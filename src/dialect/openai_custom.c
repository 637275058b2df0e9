/* openai_custom.c - calls of custom tools, which take free text. A provider
 * that knows functions alone got such a tool as a function of one member,
 * `input`; its calls are unwrapped here. */

#include "openai_encode.h"

typedef llmux_openai_encode_t encoder_t;
typedef llmux_openai_block_t block_t;

static int is_custom(const llmux_tool_t *tools, llmux_slice_t name)
{
    while (tools && !llmux_slice_equal(tools->name, name)) {
        tools = tools->next;
    }
    return tools && tools->custom;
}

static void start(encoder_t *e, const llmux_event_t *ev, llmux_buf_t *out)
{
    llmux_event_t custom = *ev;
    block_t *b;

    custom.custom = 1;
    llmux_openai_say(e, &custom, out);
    b = llmux_openai_block(e, ev->key);
    if (b) {
        b->wrapped = 1;
        if (!b->wrapping) {
            b->wrapping = llmux_buf_create(e->pool, LLMUX_ARGS_MAX);
        }
    }
}

/* The text in `input`; what is no such object goes to the client as it came,
 * since nobody else could make more of it. */
static void unwrap(encoder_t *e, block_t *b, llmux_buf_t *out)
{
    llmux_slice_t text = llmux_buf_slice(b->wrapping);
    llmux_event_t ev = { .kind = LLMUX_EV_ARGS, .key = b->key };
    const llmux_json_t *input;
    apr_pool_t *scratch;

    apr_pool_create(&scratch, e->pool);
    input = llmux_json_get(llmux_json_parse(scratch, text, 0, NULL), "input");
    ev.text = llmux_json_kind(input) == LLMUX_JSON_STRING
        ? llmux_json_str(scratch, input) : text;
    if (b->wrapping->failed) {
        out->failed = 1;    /* the buffer's way to say: it did not fit */
    }
    llmux_openai_say(e, &ev, out);
    apr_pool_destroy(scratch);
    llmux_buf_reset(b->wrapping);
}

int llmux_openai_custom(encoder_t *e, const llmux_event_t *ev,
                        llmux_buf_t *out)
{
    block_t *b;

    if (ev->kind == LLMUX_EV_BLOCK_START) {
        if (ev->block != LLMUX_BLOCK_CALL || ev->custom
            || !is_custom(e->how.tools, ev->name)) {
            return 0;
        }
        start(e, ev, out);
        return 1;
    }
    if (ev->kind != LLMUX_EV_ARGS && ev->kind != LLMUX_EV_BLOCK_STOP) {
        return 0;
    }
    b = llmux_openai_block(e, ev->key);
    if (!b || !b->wrapped) {
        return 0;
    }
    if (ev->kind == LLMUX_EV_ARGS) {
        llmux_buf_add_slice(b->wrapping, ev->text);
        return 1;
    }
    unwrap(e, b, out);
    return 0;
}
