/* anthropic_encode_stream.c - an answer as events of Messages' stream. */

#include "anthropic_encode.h"

typedef llmux_anthropic_encode_t encoder_t;
typedef llmux_anthropic_block_t block_t;

/* ---- events of the wire ---------------------------------------------- */

static llmux_jw_t begin(const char *type, llmux_buf_t *out)
{
    llmux_jw_t w;

    llmux_buf_adds(out, "event: ");
    llmux_buf_adds(out, type);
    llmux_buf_adds(out, "\ndata: ");
    w = llmux_jw(out);
    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "type");
    llmux_jw_cstr(&w, type);
    return w;
}

static void end(llmux_jw_t *w)
{
    llmux_jw_close(w, '}');
    llmux_buf_adds(w->out, "\n\n");
}

static llmux_jw_t begin_of(const char *type, int index, llmux_buf_t *out)
{
    llmux_jw_t w = begin(type, out);

    llmux_jw_key(&w, "index");
    llmux_jw_int(&w, index);
    return w;
}

void llmux_anthropic_put_ping(llmux_buf_t *out)
{
    llmux_jw_t w = begin("ping", out);

    end(&w);
}

void llmux_anthropic_put_error(const llmux_error_t *err, llmux_buf_t *out)
{
    llmux_buf_adds(out, "event: error\ndata: ");
    llmux_anthropic_error_write(out, err, NULL);
    llmux_buf_adds(out, "\n\n");
}

/* ---- the message ----------------------------------------------------- */

/* As late as can be: what is known of usage by then stands in it. */
static void start(encoder_t *e, llmux_buf_t *out)
{
    llmux_jw_t w;

    if (e->started) {
        return;
    }
    e->started = 1;
    w = begin("message_start", out);
    llmux_jw_key(&w, "message");
    llmux_jw_open(&w, '{');
    llmux_anthropic_put_head(e, &w);
    llmux_jw_key(&w, "content");
    llmux_jw_raw(&w, llmux_slice("[]"));
    llmux_jw_key(&w, "stop_reason");
    llmux_jw_null(&w);
    llmux_jw_key(&w, "stop_sequence");
    llmux_jw_null(&w);
    llmux_anthropic_put_usage(e, &w, 0);
    llmux_jw_close(&w, '}');
    end(&w);
}

static void finish(encoder_t *e, llmux_buf_t *out)
{
    llmux_jw_t w;

    start(e, out);
    w = begin("message_delta", out);
    llmux_jw_key(&w, "delta");
    llmux_jw_open(&w, '{');
    llmux_anthropic_put_stop(e, &w);
    llmux_jw_close(&w, '}');
    llmux_anthropic_put_usage(e, &w, 1);
    end(&w);
    w = begin("message_stop", out);
    end(&w);
}

/* ---- blocks ---------------------------------------------------------- */

static void open(encoder_t *e, const block_t *b, llmux_buf_t *out)
{
    llmux_jw_t w;

    start(e, out);
    w = begin_of("content_block_start", e->index, out);
    llmux_jw_key(&w, "content_block");
    llmux_jw_open(&w, '{');
    llmux_anthropic_put_block(b, &w);
    if (b->kind == LLMUX_BLOCK_CALL) {
        llmux_jw_key(&w, "input");
        llmux_jw_raw(&w, llmux_slice("{}"));
    }
    else if (b->kind != LLMUX_BLOCK_THINK) {
        llmux_jw_key(&w, "text");
        llmux_jw_cstr(&w, "");
    }
    else if (b->maker != LLMUX_MAKER_ANTHROPIC_REDACTED) {
        llmux_jw_key(&w, "thinking");
        llmux_jw_cstr(&w, "");
        llmux_jw_key(&w, "signature");
        llmux_jw_cstr(&w, "");
    }
    llmux_jw_close(&w, '}');
    end(&w);
}

static void delta(const encoder_t *e, const char *type, const char *name,
                  llmux_slice_t text, llmux_buf_t *out)
{
    llmux_jw_t w = begin_of("content_block_delta", e->index, out);

    llmux_jw_key(&w, "delta");
    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "type");
    llmux_jw_cstr(&w, type);
    llmux_jw_key(&w, name);
    llmux_jw_str(&w, text);
    llmux_jw_close(&w, '}');
    end(&w);
}

static void piece(encoder_t *e, const block_t *b, llmux_slice_t text,
                  llmux_buf_t *out)
{
    switch (b->kind) {
    case LLMUX_BLOCK_CALL:
        delta(e, "input_json_delta", "partial_json", text, out);
        break;
    case LLMUX_BLOCK_THINK:
        delta(e, "thinking_delta", "thinking", text, out);
        break;
    default:
        delta(e, "text_delta", "text", text, out);
    }
}

static void close_block(encoder_t *e, const block_t *b, llmux_slice_t seal,
                        llmux_buf_t *out)
{
    llmux_jw_t w;

    if (b->kind == LLMUX_BLOCK_THINK
        && b->maker != LLMUX_MAKER_ANTHROPIC_REDACTED) {
        delta(e, "signature_delta", "signature", seal, out);
    }
    w = begin_of("content_block_stop", e->index, out);
    end(&w);
    e->index++;
}

const llmux_anthropic_form_t llmux_anthropic_form_stream = {
    .open = open,
    .piece = piece,
    .close = close_block,
    .end = finish
};
