/* anthropic_encode_pieces.c - JSON that Messages' streams and whole answers
 * have in common. */

#include "anthropic_encode.h"

typedef llmux_anthropic_encode_t encoder_t;
typedef llmux_anthropic_block_t block_t;

int llmux_anthropic_tells(const encoder_t *e)
{
    return !e->how.chat || e->how.chat->show_thinking != LLMUX_NO;
}

void llmux_anthropic_put_head(const encoder_t *e, llmux_jw_t *w)
{
    llmux_jw_key(w, "id");
    llmux_jw_str(w, e->id);
    llmux_jw_key(w, "type");
    llmux_jw_cstr(w, "message");
    llmux_jw_key(w, "role");
    llmux_jw_cstr(w, "assistant");
    llmux_jw_key(w, "model");
    llmux_jw_str(w, e->model);
}

/* ---- why it stopped -------------------------------------------------- */

static const char *const reasons[] = {
    [LLMUX_FINISH_STOP]          = "end_turn",
    [LLMUX_FINISH_STOP_SEQUENCE] = "stop_sequence",
    [LLMUX_FINISH_LENGTH]        = "max_tokens",
    [LLMUX_FINISH_CONTEXT]       = "model_context_window_exceeded",
    [LLMUX_FINISH_CALLS]         = "tool_use",
    [LLMUX_FINISH_FILTER]        = "refusal",
    [LLMUX_FINISH_REFUSAL]       = "refusal",
    [LLMUX_FINISH_MALFORMED]     = "end_turn",
    [LLMUX_FINISH_PAUSE]         = "pause_turn",
    [LLMUX_FINISH_OTHER]         = "end_turn"
};

static int is_refusal(const encoder_t *e)
{
    return e->finish == LLMUX_FINISH_FILTER
           || e->finish == LLMUX_FINISH_REFUSAL;
}

/* Calls that came are there to be made, whatever became of those after
 * them. */
static const char *reason_of(const encoder_t *e)
{
    if (e->calls && (e->finish == LLMUX_FINISH_STOP
                     || e->finish == LLMUX_FINISH_MALFORMED
                     || e->finish == LLMUX_FINISH_OTHER)) {
        return "tool_use";
    }
    return (unsigned)e->finish < sizeof(reasons) / sizeof(reasons[0])
        ? reasons[e->finish] : "end_turn";
}

void llmux_anthropic_put_stop(const encoder_t *e, llmux_jw_t *w)
{
    static const llmux_slice_t none = { NULL, 0 };

    llmux_jw_key(w, "stop_reason");
    llmux_jw_cstr(w, reason_of(e));
    llmux_jw_key(w, "stop_sequence");
    llmux_jw_str(w, e->stop ? llmux_buf_slice(e->stop) : none);
    if (is_refusal(e)) {
        llmux_jw_key(w, "stop_details");
        llmux_jw_raw(w, llmux_slice("{\"type\":\"refusal\",\"category\":null,"
                                    "\"explanation\":null}"));
    }
}

/* ---- usage ----------------------------------------------------------- */

static const struct { const char *ours, *theirs; } tiers[] = {
    { "default",  "standard" },
    { "standard", "standard" },
    { "priority", "priority" },
    { "fast",     "priority" },
    { "scale",    "priority" },
    { "flex",     "batch" },
    { "batch",    "batch" }
};

static void put_tier(const encoder_t *e, llmux_jw_t *w)
{
    apr_size_t i;

    for (i = 0; i < sizeof(tiers) / sizeof(tiers[0]); i++) {
        if (llmux_slice_is(e->tier, tiers[i].ours)) {
            llmux_jw_opt_str(w, "service_tier",
                             llmux_slice(tiers[i].theirs));
            return;
        }
    }
}

static apr_int64_t sum(apr_int64_t a, apr_int64_t b)
{
    if (a < 0 || b < 0) {
        return a < 0 ? b : a;
    }
    return a > APR_INT64_MAX - b ? APR_INT64_MAX : a + b;
}

static void put_count(llmux_jw_t *w, const char *name, apr_int64_t n)
{
    if (n >= 0) {
        llmux_jw_key(w, name);
        llmux_jw_int(w, n);
    }
}

/* What lives an hour is a part of all that was written. */
static void put_creation(const llmux_usage_t *u, llmux_jw_t *w)
{
    apr_int64_t longer = u->cache_write_1h;

    if (longer < 0 || u->cache_write < longer) {
        return;
    }
    llmux_jw_key(w, "cache_creation");
    llmux_jw_open(w, '{');
    put_count(w, "ephemeral_5m_input_tokens", u->cache_write - longer);
    put_count(w, "ephemeral_1h_input_tokens", longer);
    llmux_jw_close(w, '}');
}

static void put_thinking(const llmux_usage_t *u, llmux_jw_t *w)
{
    if (u->reasoning >= 0) {
        llmux_jw_key(w, "output_tokens_details");
        llmux_jw_open(w, '{');
        put_count(w, "thinking_tokens", u->reasoning);
        llmux_jw_close(w, '}');
    }
}

/* Clients' types have the two sums always; what nobody counted is 0. But a
 * message_delta replaces what a client knows, so it does not claim that of
 * the input. */
void llmux_anthropic_put_usage(const encoder_t *e, llmux_jw_t *w, int delta)
{
    const llmux_usage_t *u = &e->usage;
    apr_int64_t input = sum(u->input, u->tool_input);
    apr_int64_t output = llmux_usage_output(u);

    llmux_jw_key(w, "usage");
    llmux_jw_open(w, '{');
    put_count(w, "input_tokens", input < 0 && !delta ? 0 : input);
    put_count(w, "cache_creation_input_tokens", u->cache_write);
    put_count(w, "cache_read_input_tokens", u->cache_read);
    put_creation(u, w);
    put_count(w, "output_tokens", output < 0 ? 0 : output);
    put_thinking(u, w);
    if (!delta) {
        put_tier(e, w);
    }
    llmux_jw_close(w, '}');
}

/* ---- blocks ---------------------------------------------------------- */

void llmux_anthropic_put_block(const block_t *b, llmux_jw_t *w)
{
    int redacted = b->maker == LLMUX_MAKER_ANTHROPIC_REDACTED;

    llmux_jw_key(w, "type");
    switch (b->kind) {
    case LLMUX_BLOCK_CALL:
        llmux_jw_cstr(w, "tool_use");
        llmux_jw_key(w, "id");
        llmux_jw_str(w, llmux_buf_slice(b->id));
        llmux_jw_key(w, "name");
        llmux_jw_str(w, llmux_buf_slice(b->name));
        break;
    case LLMUX_BLOCK_THINK:
        llmux_jw_cstr(w, redacted ? "redacted_thinking" : "thinking");
        if (redacted) {
            llmux_jw_key(w, "data");
            llmux_jw_str(w, llmux_buf_slice(b->token));
        }
        break;
    default:
        llmux_jw_cstr(w, "text");
    }
}

/* ---- arguments ------------------------------------------------------- */

static llmux_slice_t one_member(apr_pool_t *p, const char *name,
                                llmux_slice_t text)
{
    llmux_buf_t *b = llmux_buf_create(p, LLMUX_ANSWER_MAX);
    llmux_jw_t w = llmux_jw(b);

    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, name);
    llmux_jw_str(&w, text);
    llmux_jw_close(&w, '}');
    return llmux_buf_slice(b);
}

/* The API has objects only; what is none stands in one, since nobody else
 * could make more of it. */
llmux_slice_t llmux_anthropic_args(apr_pool_t *p, const block_t *b)
{
    llmux_slice_t text = llmux_buf_slice(b->text);

    if (b->custom) {
        return one_member(p, "input", text);
    }
    if (llmux_slice_blank(text)) {
        return llmux_slice("{}");
    }
    return llmux_json_is_object(p, text) ? text
                                         : one_member(p, "_raw", text);
}
