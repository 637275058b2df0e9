/* anthropic_encode_whole.c - an answer kept, and said as one message at the
 * end. */

#include "anthropic_encode.h"

typedef llmux_anthropic_encode_t encoder_t;
typedef llmux_anthropic_block_t block_t;

/* The content is kept as the JSON that it will be; a block that is open ends
 * within a string, a call's in its arguments. */
static void open(encoder_t *e, const block_t *b, llmux_buf_t *out)
{
    llmux_jw_t w = llmux_jw(e->content);

    w.comma = e->index > 0;
    llmux_jw_open(&w, '{');
    llmux_anthropic_put_block(b, &w);
    if (b->kind == LLMUX_BLOCK_CALL) {
        llmux_jw_key(&w, "input");
    }
    else if (b->kind != LLMUX_BLOCK_THINK) {
        llmux_jw_key(&w, "text");
        llmux_buf_adds(e->content, "\"");
    }
    else if (b->maker != LLMUX_MAKER_ANTHROPIC_REDACTED) {
        llmux_jw_key(&w, "thinking");
        llmux_buf_adds(e->content, "\"");
    }
}

static void piece(encoder_t *e, const block_t *b, llmux_slice_t text,
                  llmux_buf_t *out)
{
    if (b->kind == LLMUX_BLOCK_CALL) {
        llmux_buf_add_slice(e->content, text);
    }
    else {
        llmux_json_escape(e->content, text);
    }
}

static void close_block(encoder_t *e, const block_t *b, llmux_slice_t seal,
                        llmux_buf_t *out)
{
    llmux_jw_t w = llmux_jw(e->content);
    int redacted = b->maker == LLMUX_MAKER_ANTHROPIC_REDACTED;

    if (b->kind != LLMUX_BLOCK_CALL
        && !(b->kind == LLMUX_BLOCK_THINK && redacted)) {
        llmux_buf_adds(e->content, "\"");
    }
    w.comma = 1;
    if (b->kind == LLMUX_BLOCK_THINK && !redacted) {
        llmux_jw_key(&w, "signature");
        llmux_jw_str(&w, seal);
    }
    llmux_jw_close(&w, '}');
    e->index++;
}

static void finish(encoder_t *e, llmux_buf_t *out)
{
    llmux_jw_t w = llmux_jw(out);

    if (e->content->failed) {
        out->failed = 1;        /* the buffer's way to say: it did not fit */
        return;
    }
    llmux_jw_open(&w, '{');
    llmux_anthropic_put_head(e, &w);
    llmux_jw_key(&w, "content");
    llmux_jw_open(&w, '[');
    llmux_buf_add_slice(out, llmux_buf_slice(e->content));
    llmux_jw_close(&w, ']');
    llmux_anthropic_put_stop(e, &w);
    llmux_anthropic_put_usage(e, &w, 0);
    llmux_jw_close(&w, '}');
}

const llmux_anthropic_form_t llmux_anthropic_form_whole = {
    .open = open,
    .piece = piece,
    .close = close_block,
    .end = finish
};
