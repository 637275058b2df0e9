/* openai_chunks.c - events as chat completions' chunks, each at once. */

#include "openai_encode.h"

typedef llmux_openai_encode_t encoder_t;
typedef llmux_openai_choice_t choice_t;
typedef llmux_openai_block_t block_t;

static const llmux_slice_t none = { NULL, 0 };

static void begin(encoder_t *e, choice_t *c, llmux_buf_t *out,
                  llmux_jw_t *w)
{
    llmux_buf_adds(out, "data: ");
    llmux_buf_add_slice(out, e->head);
    *w = llmux_jw(out);
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "index");
    llmux_jw_int(w, c->index);
    llmux_jw_key(w, "delta");
    llmux_jw_open(w, '{');
}

static void end(encoder_t *e, llmux_jw_t *w, llmux_slice_t logprobs,
                const char *finish)
{
    llmux_jw_close(w, '}');
    llmux_jw_key(w, "logprobs");
    if (logprobs.data) {
        llmux_jw_open(w, '{');
        llmux_jw_key(w, "content");
        llmux_json_one_line(w->out, logprobs);
        w->comma = 1;
        llmux_jw_key(w, "refusal");
        llmux_jw_null(w);
        llmux_jw_close(w, '}');
    }
    else {
        llmux_jw_null(w);
    }
    llmux_jw_key(w, "finish_reason");
    llmux_jw_cstr(w, finish);
    llmux_jw_close(w, '}');
    llmux_buf_adds(w->out, e->tail);
}

/* The role, once. A choice that begins with a call has no content yet. */
static void introduce(encoder_t *e, choice_t *c, llmux_buf_t *out, int speaks)
{
    llmux_jw_t w;

    if (c->introduced) {
        return;
    }
    c->introduced = 1;
    begin(e, c, out, &w);
    llmux_jw_key(&w, "role");
    llmux_jw_cstr(&w, "assistant");
    llmux_jw_key(&w, "content");
    llmux_jw_str(&w, speaks ? llmux_slice("") : none);
    llmux_jw_key(&w, "refusal");
    llmux_jw_null(&w);
    end(e, &w, none, NULL);
}

static void delta_str(encoder_t *e, choice_t *c, llmux_buf_t *out,
                      const char *name, llmux_slice_t text)
{
    llmux_jw_t w;

    begin(e, c, out, &w);
    llmux_jw_key(&w, name);
    llmux_jw_str(&w, text);
    end(e, &w, none, NULL);
}

/* The beginning of a call's first fragment, held until the next event: when
 * that is the call's token, it must stand in the same fragment. */
static void hold_call(encoder_t *e, block_t *b, const llmux_event_t *ev)
{
    llmux_jw_t w;

    llmux_buf_reset(e->held);
    w = llmux_jw(e->held);
    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "index");
    llmux_jw_int(&w, b->index);
    llmux_jw_key(&w, "id");
    llmux_jw_str(&w, ev->id);
    llmux_jw_key(&w, "type");
    llmux_jw_cstr(&w, b->custom ? "custom" : "function");
    llmux_jw_key(&w, b->custom ? "custom" : "function");
    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "name");
    llmux_jw_str(&w, ev->name);
    llmux_jw_key(&w, b->custom ? "input" : "arguments");
    llmux_jw_cstr(&w, "");
    llmux_jw_close(&w, '}');
    e->pending = b;
}

static int is_call_token(const block_t *b, const llmux_event_t *ev)
{
    return ev->kind == LLMUX_EV_TOKEN && b->kind == LLMUX_BLOCK_CALL
        && b->key == ev->key && ev->token.maker == LLMUX_MAKER_GEMINI
        && ev->token.bytes.data;
}

/* Sends what hold_call() held.
 * @return whether that took care of the event */
static int flush_call(encoder_t *e, const llmux_event_t *ev, llmux_buf_t *out)
{
    block_t *b = e->pending;
    llmux_jw_t w, fragment;
    int with_token = is_call_token(b, ev);

    e->pending = NULL;
    begin(e, b->choice, out, &w);
    llmux_jw_key(&w, "tool_calls");
    llmux_jw_open(&w, '[');
    llmux_buf_add_slice(out, llmux_buf_slice(e->held));
    fragment = llmux_jw(out);
    fragment.comma = 1;
    if (with_token) {
        llmux_openai_put_call_token(&fragment, ev->token.bytes);
    }
    llmux_jw_close(&fragment, '}');
    llmux_jw_close(&w, ']');
    end(e, &w, none, NULL);
    return with_token;
}

/* A further fragment of a call: arguments, or a token if they are absent. */
static void call_fragment(encoder_t *e, const block_t *b, llmux_buf_t *out,
                          llmux_slice_t args, llmux_slice_t token)
{
    llmux_jw_t w;

    begin(e, b->choice, out, &w);
    llmux_jw_key(&w, "tool_calls");
    llmux_jw_open(&w, '[');
    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "index");
    llmux_jw_int(&w, b->index);
    if (args.data) {
        llmux_jw_key(&w, b->custom ? "custom" : "function");
        llmux_jw_open(&w, '{');
        llmux_jw_key(&w, b->custom ? "input" : "arguments");
        llmux_jw_str(&w, args);
        llmux_jw_close(&w, '}');
    }
    if (token.data) {
        llmux_openai_put_call_token(&w, token);
    }
    llmux_jw_close(&w, '}');
    llmux_jw_close(&w, ']');
    end(e, &w, none, NULL);
}

static void stream_start(encoder_t *e, const llmux_event_t *ev,
                         llmux_buf_t *out)
{
    choice_t *c = llmux_openai_choice(e, ev->cand);
    block_t *b;

    if (!c) {
        return;
    }
    b = llmux_openai_block_open(e, c, ev);
    if (b->kind == LLMUX_BLOCK_THINK && !e->how.show_thinking) {
        return;
    }
    introduce(e, c, out, b->kind != LLMUX_BLOCK_CALL);
    if (b->kind == LLMUX_BLOCK_CALL) {
        hold_call(e, b, ev);
    }
}

static void stream_text(encoder_t *e, const llmux_event_t *ev, block_t *b,
                        llmux_buf_t *out)
{
    delta_str(e, b->choice, out, "content", ev->text);
}

static void stream_refusal(encoder_t *e, const llmux_event_t *ev, block_t *b,
                           llmux_buf_t *out)
{
    b->choice->refused = 1;
    delta_str(e, b->choice, out, "refusal", ev->text);
}

static void stream_detail(encoder_t *e, const llmux_event_t *ev, block_t *b,
                          llmux_buf_t *out)
{
    llmux_jw_t w;

    if (!e->how.show_thinking) {
        return;
    }
    if (b->index < 0) {
        b->index = b->choice->thoughts++;
    }
    begin(e, b->choice, out, &w);
    llmux_jw_opt_str(&w, "reasoning_content", ev->text);
    llmux_jw_key(&w, "reasoning_details");
    llmux_jw_open(&w, '[');
    llmux_openai_put_detail(&w, b->index, ev->text, ev->token);
    llmux_jw_close(&w, ']');
    end(e, &w, none, NULL);
}

static void stream_token(encoder_t *e, const llmux_event_t *ev, block_t *b,
                         llmux_buf_t *out)
{
    if (is_call_token(b, ev)) {
        call_fragment(e, b, out, none, ev->token.bytes);
    }
    else if (b->kind == LLMUX_BLOCK_THINK
             && ev->token.maker != LLMUX_MAKER_NONE && ev->token.bytes.data) {
        stream_detail(e, ev, b, out);
    }
}

static void stream_args(encoder_t *e, const llmux_event_t *ev, block_t *b,
                        llmux_buf_t *out)
{
    if (ev->text.len) {
        b->said = 1;
        call_fragment(e, b, out, ev->text, none);
    }
}

/* Sources may be told at the very end, when the text they belong to has long
 * been closed. */
static void stream_cite(encoder_t *e, const llmux_event_t *ev,
                        llmux_buf_t *out)
{
    choice_t *c = llmux_openai_choice(e, ev->cand);
    llmux_jw_t w;

    if (c && llmux_openai_citable(ev)) {
        introduce(e, c, out, 1);
        begin(e, c, out, &w);
        llmux_jw_key(&w, "annotations");
        llmux_jw_open(&w, '[');
        llmux_openai_put_annotation(&w, ev->cite, c->cites++);
        llmux_jw_close(&w, ']');
        end(e, &w, none, NULL);
    }
}

/* Who puts deltas together joins the strings in them, so that the id must
 * come but once. */
static void stream_audio(encoder_t *e, const llmux_event_t *ev, block_t *b,
                         llmux_buf_t *out)
{
    llmux_jw_t w;

    begin(e, b->choice, out, &w);
    llmux_jw_key(&w, "audio");
    llmux_jw_open(&w, '{');
    if (!b->choice->heard++) {
        llmux_openai_put_audio(&w, &e->how);
    }
    llmux_jw_opt_str(&w, "data", ev->text);
    llmux_jw_close(&w, '}');
    end(e, &w, none, NULL);
}

static void stream_image(encoder_t *e, const llmux_event_t *ev, block_t *b,
                         llmux_buf_t *out)
{
    llmux_jw_t w;

    begin(e, b->choice, out, &w);
    llmux_jw_key(&w, "images");
    llmux_jw_open(&w, '[');
    llmux_openai_put_image(&w, ev, b->choice->pictures++);
    llmux_jw_close(&w, ']');
    end(e, &w, none, NULL);
}

static void stream_media(encoder_t *e, const llmux_event_t *ev, block_t *b,
                         llmux_buf_t *out)
{
    if (llmux_openai_is_image(ev)) {
        stream_image(e, ev, b, out);
    }
    else if (llmux_openai_is_audio(ev)) {
        stream_audio(e, ev, b, out);
    }
}

/* A call without arguments has those of an empty object. */
static void stream_stop(encoder_t *e, const llmux_event_t *ev, block_t *b,
                        llmux_buf_t *out)
{
    if (b->kind == LLMUX_BLOCK_CALL && !b->said && !b->custom) {
        call_fragment(e, b, out, llmux_slice("{}"), none);
    }
    llmux_openai_block_close(e, b, 1);
}

static void stream_logprobs(encoder_t *e, const llmux_event_t *ev,
                            llmux_buf_t *out)
{
    choice_t *c = llmux_openai_choice(e, ev->cand);
    llmux_jw_t w;

    if (c) {
        introduce(e, c, out, 1);
        begin(e, c, out, &w);
        end(e, &w, ev->text, NULL);
    }
}

static void stream_finish(encoder_t *e, const llmux_event_t *ev,
                          llmux_buf_t *out)
{
    choice_t *c = llmux_openai_choice(e, ev->cand);
    llmux_jw_t w;

    if (c && !c->finish) {
        introduce(e, c, out, 1);
        c->finish = llmux_openai_finish(c, ev->finish);
        begin(e, c, out, &w);
        end(e, &w, none, c->finish);
    }
}

static void (*const stream_of[])(encoder_t *e, const llmux_event_t *ev,
                                 block_t *b, llmux_buf_t *out) = {
    [LLMUX_EV_TEXT]       = stream_text,
    [LLMUX_EV_THINK]      = stream_detail,
    [LLMUX_EV_REFUSAL]    = stream_refusal,
    [LLMUX_EV_ARGS]       = stream_args,
    [LLMUX_EV_TOKEN]      = stream_token,
    [LLMUX_EV_MEDIA]      = stream_media,
    [LLMUX_EV_BLOCK_STOP] = stream_stop
};

static void stream_block(encoder_t *e, const llmux_event_t *ev,
                         llmux_buf_t *out)
{
    block_t *b = llmux_openai_block(e, ev->key);

    if (b && (unsigned)ev->kind < sizeof(stream_of) / sizeof(stream_of[0])
        && stream_of[ev->kind]) {
        stream_of[ev->kind](e, ev, b, out);
    }
}

void llmux_openai_chunks(encoder_t *e, const llmux_event_t *ev,
                         llmux_buf_t *out)
{
    if (e->pending && flush_call(e, ev, out)) {
        return;
    }
    switch (ev->kind) {
    case LLMUX_EV_BLOCK_START:
        stream_start(e, ev, out);
        break;
    case LLMUX_EV_CITE:
        stream_cite(e, ev, out);
        break;
    case LLMUX_EV_LOGPROBS:
        stream_logprobs(e, ev, out);
        break;
    case LLMUX_EV_FINISH:
        stream_finish(e, ev, out);
        break;
    case LLMUX_EV_PING:
        llmux_buf_adds(out, ": keep-alive\n\n");
        break;
    case LLMUX_EV_ERROR:
        llmux_openai_stream_error(out, ev->error);
        break;
    case LLMUX_EV_END:
        llmux_openai_stream_end(out, &e->how, e->head, &e->usage);
        break;
    default:
        stream_block(e, ev, out);
    }
}
