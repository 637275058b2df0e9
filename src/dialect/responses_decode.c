/* responses_decode.c - answers of OpenAI's Responses API, whole and streamed,
 * become events: payloads, and how they end. */

#include "errors.h"
#include "openai_answer.h"
#include "responses.h"
#include "responses_decode.h"

typedef llmux_responses_decode_t decoder_t;
typedef llmux_responses_item_t item_t;
typedef llmux_responses_part_t part_t;

/* ---- start and usage ------------------------------------------------- */

/* "auto" is what was asked for, not what it came to be. */
static void start(decoder_t *d, const llmux_json_t *response)
{
    llmux_event_t ev = { .kind = LLMUX_EV_START };

    ev.id = member(d, response, "id");
    ev.name = member(d, response, "model");
    ev.created = llmux_json_int(llmux_json_get(response, "created_at"), 0);
    ev.tier = member(d, response, "service_tier");
    if (!ev.tier.len || llmux_slice_is(ev.tier, "auto")) {
        ev.tier.data = NULL;
    }
    llmux_decoder_emit(&d->base, &ev);
}

static void usage(decoder_t *d, const llmux_json_t *response)
{
    llmux_openai_usage_emit(&d->base, &d->usage,
                            llmux_json_get(response, "usage"));
}

/* ---- errors ---------------------------------------------------------- */

/* Words that only this API has. */
static const struct { const char *code; llmux_error_e kind; } codes[] = {
    { "invalid_prompt",                 LLMUX_ERR_BLOCKED },
    { "bio_policy",                     LLMUX_ERR_BLOCKED },
    { "image_content_policy_violation", LLMUX_ERR_BLOCKED },
    { "vector_store_timeout",           LLMUX_ERR_TIMEOUT },
    { "data_residency_mismatch",        LLMUX_ERR_INVALID },
    { "invalid_image",                  LLMUX_ERR_INVALID },
    { "invalid_image_format",           LLMUX_ERR_INVALID },
    { "invalid_base64_image",           LLMUX_ERR_INVALID },
    { "invalid_image_url",              LLMUX_ERR_INVALID },
    { "invalid_image_mode",             LLMUX_ERR_INVALID },
    { "image_too_large",                LLMUX_ERR_INVALID },
    { "image_too_small",                LLMUX_ERR_INVALID },
    { "image_parse_error",              LLMUX_ERR_INVALID },
    { "image_file_too_large",           LLMUX_ERR_INVALID },
    { "unsupported_image_media_type",   LLMUX_ERR_INVALID },
    { "empty_image_file",               LLMUX_ERR_INVALID },
    { "failed_to_download_image",       LLMUX_ERR_INVALID },
    { "image_file_not_found",           LLMUX_ERR_INVALID }
};

static llmux_error_e kind_of(const llmux_json_t *code, llmux_error_e other)
{
    apr_size_t i;

    for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (llmux_json_is(code, codes[i].code)) {
            return codes[i].kind;
        }
    }
    return other;
}

/* `v` is or holds the error: vendor's types and servers do not agree. */
static void fail(decoder_t *d, const llmux_json_t *v)
{
    const llmux_json_t *inner = llmux_json_get(v, "error");
    llmux_event_t ev = { .kind = LLMUX_EV_ERROR };
    llmux_error_t *err = llmux_error_read(d->base.pool, 0, v);
    llmux_error_e kind = kind_of(llmux_json_get(inner ? inner : v, "code"),
                                 err->kind);

    ev.error = kind == err->kind ? err
                                 : llmux_error(d->base.pool, kind, err->param,
                                               "%s", err->message);
    llmux_decoder_emit(&d->base, &ev);
}

/* An answer that came to nothing. */
static void failed(decoder_t *d, const llmux_json_t *response)
{
    if (llmux_json_get(response, "id")) {
        start(d, response);
    }
    usage(d, response);
    if (llmux_json_get(response, "error")) {
        fail(d, response);
    }
    else if (llmux_json_is(llmux_json_get(response, "status"),
                           "cancelled")) {
        bad(d, "The provider cancelled its answer.");
    }
    else {
        bad(d, "The provider failed to answer.");
    }
}

/* ---- the end --------------------------------------------------------- */

static llmux_finish_e finish_of(const decoder_t *d, llmux_slice_t reason,
                                int incomplete)
{
    static const struct { const char *theirs; llmux_finish_e ours; } all[] = {
        { "max_output_tokens", LLMUX_FINISH_LENGTH },
        { "max_tokens",        LLMUX_FINISH_LENGTH },
        { "content_filter",    LLMUX_FINISH_FILTER }
    };
    apr_size_t i;

    if (!incomplete) {
        return d->called ? LLMUX_FINISH_CALLS
            : d->refused ? LLMUX_FINISH_REFUSAL : LLMUX_FINISH_STOP;
    }
    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (llmux_slice_is(reason, all[i].theirs)) {
            return all[i].ours;
        }
    }
    return LLMUX_FINISH_OTHER;
}

/* In the provider's own words: why it is incomplete, or that it is not. */
static void emit_finish(decoder_t *d, const llmux_json_t *response,
                        int incomplete)
{
    llmux_event_t ev = { .kind = LLMUX_EV_FINISH };
    llmux_slice_t reason = member(
        d, llmux_json_get(response, "incomplete_details"), "reason");
    llmux_slice_t status = member(d, response, "status");

    incomplete |= reason.len > 0;
    ev.text = reason.len ? reason
        : status.len ? status
        : llmux_slice(incomplete ? "incomplete" : "completed");
    ev.finish = finish_of(d, ev.text, incomplete);
    llmux_decoder_emit(&d->base, &ev);
}

static void ended(decoder_t *d, const llmux_json_t *response, int incomplete)
{
    static const llmux_event_t end = { .kind = LLMUX_EV_END };

    if (llmux_json_get(response, "error")) {
        failed(d, response);
        return;
    }
    start(d, response);
    llmux_responses_output(d, llmux_json_get(response, "output"));
    usage(d, response);
    emit_finish(d, response, incomplete);
    llmux_decoder_emit(&d->base, &end);
}

/* ---- events of a stream: the answer ---------------------------------- */

/* Some servers forget to wrap it. */
static const llmux_json_t *response_of(const llmux_json_t *v)
{
    const llmux_json_t *response = llmux_json_get(v, "response");

    return llmux_json_kind(response) == LLMUX_JSON_OBJECT ? response : v;
}

static void on_created(decoder_t *d, const llmux_json_t *v)
{
    start(d, response_of(v));
    usage(d, response_of(v));
}

static void on_completed(decoder_t *d, const llmux_json_t *v)
{
    ended(d, response_of(v), 0);
}

static void on_incomplete(decoder_t *d, const llmux_json_t *v)
{
    ended(d, response_of(v), 1);
}

static void on_failed(decoder_t *d, const llmux_json_t *v)
{
    failed(d, response_of(v));
}

static void on_ping(decoder_t *d, const llmux_json_t *v)
{
    static const llmux_event_t ev = { .kind = LLMUX_EV_PING };

    llmux_decoder_emit(&d->base, &ev);
}

/* ---- events of a stream: messages ------------------------------------ */

/* The part of a message that an event means.
 * @return NULL if the answer failed */
static part_t *part_of(decoder_t *d, const llmux_json_t *v,
                       llmux_block_e block, item_t **item)
{
    apr_int64_t index = llmux_json_int(llmux_json_get(v, "content_index"), 0);

    *item = llmux_responses_item(d, v, LLMUX_ITEM_MESSAGE);
    return *item ? llmux_responses_part(d, &(*item)->content,
                                        index < 0 ? 0 : index, block)
                 : NULL;
}

static void on_text(decoder_t *d, const llmux_json_t *v)
{
    item_t *item;
    part_t *part = part_of(d, v, LLMUX_BLOCK_TEXT, &item);

    if (part) {
        llmux_responses_speak(d, item, part, member(d, v, "delta"));
        llmux_responses_logprobs(d, part, llmux_json_get(v, "logprobs"), 1);
    }
}

static void on_refusal(decoder_t *d, const llmux_json_t *v)
{
    item_t *item;
    part_t *part = part_of(d, v, LLMUX_BLOCK_REFUSAL, &item);

    if (part) {
        llmux_responses_speak(d, item, part, member(d, v, "delta"));
    }
}

static void on_text_done(decoder_t *d, const llmux_json_t *v)
{
    item_t *item;
    part_t *part = part_of(d, v, LLMUX_BLOCK_TEXT, &item);

    if (part) {
        llmux_responses_complete(d, item, part, v);
    }
}

static void on_refusal_done(decoder_t *d, const llmux_json_t *v)
{
    item_t *item;
    part_t *part = part_of(d, v, LLMUX_BLOCK_REFUSAL, &item);

    if (part) {
        llmux_responses_complete(d, item, part, v);
    }
}

static void on_annotation(decoder_t *d, const llmux_json_t *v)
{
    item_t *item;
    part_t *part = part_of(d, v, LLMUX_BLOCK_TEXT, &item);

    if (part) {
        part->cites++;
        llmux_responses_cite(d, item, part, llmux_json_get(v, "annotation"));
    }
}

/* ---- events of a stream: reasoning ----------------------------------- */

static part_t *thought_of(decoder_t *d, const llmux_json_t *v,
                          const char *number, item_t **item)
{
    apr_int64_t index = llmux_json_int(llmux_json_get(v, number), 0);
    int summary = number[0] == 's';

    *item = llmux_responses_item(d, v, LLMUX_ITEM_REASONING);
    return *item ? llmux_responses_part(
        d, summary ? &(*item)->summary : &(*item)->content,
        index < 0 ? 0 : index, LLMUX_BLOCK_THINK) : NULL;
}

static void think(decoder_t *d, const llmux_json_t *v, const char *number)
{
    item_t *item;
    part_t *part = thought_of(d, v, number, &item);

    if (part) {
        llmux_responses_think(d, item, part, member(d, v, "delta"));
    }
}

/* The whole of it: in the event, or in the part that the event has. */
static void think_whole(decoder_t *d, const llmux_json_t *v,
                        const llmux_json_t *whole, const char *number)
{
    item_t *item;
    part_t *part = thought_of(d, v, number, &item);

    if (part) {
        llmux_responses_think(d, item, part, llmux_responses_unsaid(
            &part->said, member(d, whole, "text")));
    }
}

static void on_summary(decoder_t *d, const llmux_json_t *v)
{
    think(d, v, "summary_index");
}

static void on_summary_done(decoder_t *d, const llmux_json_t *v)
{
    const llmux_json_t *part = llmux_json_get(v, "part");

    think_whole(d, v, part ? part : v, "summary_index");
}

static void on_thought(decoder_t *d, const llmux_json_t *v)
{
    think(d, v, "content_index");
}

static void on_thought_done(decoder_t *d, const llmux_json_t *v)
{
    const llmux_json_t *part = llmux_json_get(v, "part");

    think_whole(d, v, part ? part : v, "content_index");
}

/* Parts of any kind of item end alike. */
static void on_part_done(decoder_t *d, const llmux_json_t *v)
{
    const llmux_json_t *whole = llmux_json_get(v, "part");
    const llmux_json_t *type = llmux_json_get(whole, "type");
    int refusal = llmux_json_is(type, "refusal");
    item_t *item;
    part_t *part;

    if (llmux_json_is(type, "reasoning_text")) {
        on_thought_done(d, v);
    }
    else if (refusal || llmux_json_is(type, "output_text")
             || llmux_json_is(type, "text")) {
        part = part_of(d, v, refusal ? LLMUX_BLOCK_REFUSAL
                                     : LLMUX_BLOCK_TEXT, &item);
        if (part) {
            llmux_responses_complete(d, item, part, whole);
            llmux_responses_close_part(d, part);
        }
    }
}

/* ---- events of a stream: calls --------------------------------------- */

static void on_args(decoder_t *d, const llmux_json_t *v)
{
    item_t *item = llmux_responses_item(d, v, LLMUX_ITEM_CALL);

    if (item) {
        llmux_responses_args(d, item, member(d, v, "delta"));
    }
}

static void on_args_done(decoder_t *d, const llmux_json_t *v)
{
    item_t *item = llmux_responses_item(d, v, LLMUX_ITEM_CALL);

    if (item) {
        llmux_responses_args(d, item, llmux_responses_unsaid(
            &item->args, member(d, v, "arguments")));
    }
}

static void on_input(decoder_t *d, const llmux_json_t *v)
{
    item_t *item = llmux_responses_item(d, v, LLMUX_ITEM_CUSTOM);

    if (item) {
        llmux_responses_args(d, item, member(d, v, "delta"));
    }
}

static void on_input_done(decoder_t *d, const llmux_json_t *v)
{
    item_t *item = llmux_responses_item(d, v, LLMUX_ITEM_CUSTOM);

    if (item) {
        llmux_responses_args(d, item, llmux_responses_unsaid(
            &item->args, member(d, v, "input")));
    }
}

/* ---- payloads -------------------------------------------------------- */

static const struct {
    const char *type;
    void (*on)(decoder_t *d, const llmux_json_t *v);
} handlers[] = {
    { "response.output_text.delta",            on_text },
    { "response.function_call_arguments.delta", on_args },
    { "response.reasoning_summary_text.delta", on_summary },
    { "response.reasoning_text.delta",         on_thought },
    { "response.output_item.added",            llmux_responses_item_added },
    { "response.output_item.done",             llmux_responses_item_done },
    { "response.content_part.done",            on_part_done },
    { "response.output_text.done",             on_text_done },
    { "response.output_text.annotation.added", on_annotation },
    { "response.function_call_arguments.done", on_args_done },
    { "response.custom_tool_call_input.delta", on_input },
    { "response.custom_tool_call_input.done",  on_input_done },
    { "response.refusal.delta",                on_refusal },
    { "response.refusal.done",                 on_refusal_done },
    { "response.reasoning_summary_text.done",  on_summary_done },
    { "response.reasoning_summary_part.done",  on_summary_done },
    { "response.reasoning_text.done",          on_thought_done },
    { "response.reasoning_part.done",          on_thought_done },
    { "response.queued",                       on_created },
    { "response.created",                      on_created },
    { "response.in_progress",                  on_created },
    { "response.completed",                    on_completed },
    { "response.incomplete",                   on_incomplete },
    { "response.failed",                       on_failed },
    { "response.cancelled",                    on_failed },
    { "keepalive",                             on_ping },
    { "ping",                                  on_ping },
    { "error",                                 fail }
};

static void payload(llmux_decoder_t *base, llmux_slice_t event_name,
                    const llmux_json_t *v)
{
    decoder_t *d = (decoder_t *)base;
    llmux_slice_t type = llmux_decoder_event_type(base, event_name, v);
    apr_size_t i;

    for (i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        if (llmux_slice_is(type, handlers[i].type)) {
            handlers[i].on(d, v);
            return;
        }
    }
}

/* ---- whole answers --------------------------------------------------- */

static void whole(llmux_decoder_t *base, const llmux_json_t *body)
{
    decoder_t *d = (decoder_t *)base;
    const llmux_json_t *status = llmux_json_get(body, "status");
    int has_output = llmux_json_kind(llmux_json_get(body, "output"))
        == LLMUX_JSON_ARRAY;

    if (llmux_json_get(body, "error") || llmux_json_is(status, "failed")
        || llmux_json_is(status, "cancelled")) {
        failed(d, body);
    }
    else if (llmux_json_is(status, "queued")
             || llmux_json_is(status, "in_progress")) {
        bad(d, "The provider put off its answer.");
    }
    else if (!has_output) {
        bad(d, "The provider's answer is not a response.");
    }
    else {
        ended(d, body, llmux_json_is(status, "incomplete"));
    }
}

static void finish(llmux_decoder_t *base)
{
    bad((decoder_t *)base, "The provider's answer was truncated.");
}

llmux_decoder_t *llmux_responses_decoder(apr_pool_t *p,
                                         const llmux_env_t *env,
                                         llmux_emit_fn emit, void *baton)
{
    static const llmux_usage_t unknown = LLMUX_USAGE_NONE;
    decoder_t *d = apr_pcalloc(p, sizeof(*d));

    llmux_decoder_init(&d->base, p, env, emit, baton);
    d->base.payload = payload;
    d->base.whole = whole;
    d->base.finish = finish;
    d->usage = unknown;
    return &d->base;
}
