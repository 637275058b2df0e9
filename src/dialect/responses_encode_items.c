/* responses_encode_items.c - an answer's items, as events and as JSON. */

#include <string.h>

#include "responses_encode.h"

typedef llmux_responses_encode_t encoder_t;
typedef llmux_responses_output_t item_t;
typedef llmux_responses_said_t part_t;

static const llmux_slice_t nothing = { "", 0 };

/* ---- events ----------------------------------------------------------- */

llmux_jw_t llmux_responses_event(encoder_t *e, const char *type,
                                 llmux_buf_t *out)
{
    llmux_jw_t w;

    llmux_buf_adds(out, "event: ");
    llmux_buf_adds(out, type);
    llmux_buf_adds(out, "\ndata: ");
    w = llmux_jw(out);
    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "type");
    llmux_jw_cstr(&w, type);
    llmux_jw_key(&w, "sequence_number");
    llmux_jw_int(&w, e->number++);
    return w;
}

void llmux_responses_event_end(llmux_jw_t *w)
{
    llmux_jw_close(w, '}');
    llmux_buf_adds(w->out, "\n\n");
}

/* An event of something within an item.
 * @param place "content_index", "summary_index", or NULL */
static llmux_jw_t within(encoder_t *e, const char *type, const item_t *item,
                         const char *place, int index, llmux_buf_t *out)
{
    llmux_jw_t w = llmux_responses_event(e, type, out);

    llmux_jw_key(&w, "item_id");
    llmux_jw_cstr(&w, item->id);
    llmux_jw_key(&w, "output_index");
    llmux_jw_int(&w, item->index);
    if (place) {
        llmux_jw_key(&w, place);
        llmux_jw_int(&w, index);
    }
    return w;
}

/* ... that has but one more member. */
static void say_str(encoder_t *e, const char *type, const item_t *item,
                    const char *place, const char *name, llmux_slice_t text,
                    llmux_buf_t *out)
{
    llmux_jw_t w = within(e, type, item, place, 0, out);

    llmux_jw_key(&w, name);
    llmux_jw_str(&w, text);
    llmux_responses_event_end(&w);
}

/* ---- JSON ------------------------------------------------------------- */

static llmux_slice_t kept(const llmux_buf_t *b)
{
    return b ? llmux_buf_slice(b) : nothing;
}

static void put_str(llmux_jw_t *w, const char *name, llmux_slice_t s)
{
    llmux_jw_key(w, name);
    llmux_jw_str(w, s.data ? s : nothing);
}

/* An array of elements that are kept as JSON text. */
static void put_list(llmux_jw_t *w, const char *name, llmux_slice_t elements)
{
    llmux_jw_key(w, name);
    llmux_jw_open(w, '[');
    if (elements.len) {
        llmux_jw_raw(w, elements);
    }
    llmux_jw_close(w, ']');
}

static void put_part(llmux_jw_t *w, const part_t *part)
{
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "type");
    llmux_jw_cstr(w, part->refusal ? "refusal" : "output_text");
    put_str(w, part->refusal ? "refusal" : "text", kept(part->text));
    if (!part->refusal) {
        put_list(w, "annotations", kept(part->annotations));
        put_list(w, "logprobs", kept(part->logprobs));
    }
    llmux_jw_close(w, '}');
}

void llmux_responses_put_cite(llmux_jw_t *w, const llmux_cite_t *cite,
                              const part_t *part)
{
    int known = cite->start >= part->from && cite->end >= cite->start;
    apr_int64_t from = known ? cite->start - part->from : 0;
    apr_int64_t to = known ? cite->end - part->from : part->points;

    llmux_jw_open(w, '{');
    llmux_jw_key(w, "type");
    llmux_jw_cstr(w, "url_citation");
    llmux_jw_key(w, "start_index");
    llmux_jw_int(w, from < part->points ? from : part->points);
    llmux_jw_key(w, "end_index");
    llmux_jw_int(w, to < part->points ? to : part->points);
    put_str(w, "url", cite->url);
    put_str(w, "title", cite->title);
    llmux_jw_close(w, '}');
}

static void put_message(llmux_jw_t *w, const item_t *item)
{
    const part_t *part;

    llmux_jw_key(w, "role");
    llmux_jw_cstr(w, "assistant");
    llmux_jw_opt_str(w, "phase", item->phase);
    llmux_jw_key(w, "content");
    llmux_jw_open(w, '[');
    for (part = item->parts; part; part = part->next) {
        put_part(w, part);
    }
    llmux_jw_close(w, ']');
}

static void put_summary(llmux_jw_t *w, llmux_slice_t text)
{
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "type");
    llmux_jw_cstr(w, "summary_text");
    put_str(w, "text", text);
    llmux_jw_close(w, '}');
}

static void put_reasoning(llmux_jw_t *w, const item_t *item)
{
    llmux_jw_key(w, "summary");
    llmux_jw_open(w, '[');
    if (item->text) {
        put_summary(w, kept(item->text));
    }
    llmux_jw_close(w, ']');
    if (item->token && item->token->len) {
        llmux_jw_opt_str(w, "encrypted_content", kept(item->token));
    }
}

static void put_call(llmux_jw_t *w, const item_t *item)
{
    put_str(w, "call_id", item->call_id);
    put_str(w, "name", item->name);
    llmux_jw_opt_str(w, "namespace", item->space);
    put_str(w, item->kind == LLMUX_OUTPUT_CUSTOM ? "input" : "arguments",
            kept(item->text));
}

static void put_image(llmux_jw_t *w, const item_t *item)
{
    llmux_jw_key(w, "result");
    llmux_jw_str(w, item->text ? kept(item->text) : llmux_slice(NULL));
    llmux_jw_opt_str(w, "output_format", item->format);
}

static const struct {
    const char *type;
    void (*put)(llmux_jw_t *w, const item_t *item);
} kinds[] = {
    [LLMUX_OUTPUT_MESSAGE]   = { "message",               put_message   },
    [LLMUX_OUTPUT_REASONING] = { "reasoning",             put_reasoning },
    [LLMUX_OUTPUT_FUNCTION]  = { "function_call",         put_call      },
    [LLMUX_OUTPUT_CUSTOM]    = { "custom_tool_call",      put_call      },
    [LLMUX_OUTPUT_IMAGE]     = { "image_generation_call", put_image     }
};

/* Those that the answer broke off in are not complete, either. */
static const char *status_of(const item_t *item, int begun)
{
    return begun ? "in_progress"
           : item->incomplete || !item->closed ? "incomplete" : "completed";
}

void llmux_responses_put_item(llmux_jw_t *w, const item_t *item, int begun)
{
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "id");
    llmux_jw_cstr(w, item->id);
    llmux_jw_key(w, "type");
    llmux_jw_cstr(w, kinds[item->kind].type);
    if (item->kind != LLMUX_OUTPUT_REASONING) {
        llmux_jw_key(w, "status");
        llmux_jw_cstr(w, status_of(item, begun));
    }
    kinds[item->kind].put(w, item);
    llmux_jw_close(w, '}');
}

/* ---- items ------------------------------------------------------------ */

static void say_whole(encoder_t *e, const char *type, const item_t *item,
                      int begun, llmux_buf_t *out)
{
    llmux_jw_t w = llmux_responses_event(e, type, out);

    llmux_jw_key(&w, "output_index");
    llmux_jw_int(&w, item->index);
    llmux_jw_key(&w, "item");
    llmux_responses_put_item(&w, item, begun);
    llmux_responses_event_end(&w);
}

static void say_state(encoder_t *e, const char *type, const item_t *item,
                      llmux_buf_t *out)
{
    llmux_jw_t w = within(e, type, item, NULL, 0, out);

    llmux_responses_event_end(&w);
}

void llmux_responses_say_item(encoder_t *e, const item_t *item,
                              llmux_buf_t *out)
{
    if (!e->how.streamed) {
        return;
    }
    say_whole(e, "response.output_item.added", item, 1, out);
    if (item->kind == LLMUX_OUTPUT_IMAGE) {
        say_state(e, "response.image_generation_call.in_progress", item, out);
    }
}

static void end_summary(encoder_t *e, const item_t *item, llmux_buf_t *out)
{
    llmux_jw_t w;

    if (!item->text) {
        return;
    }
    say_str(e, "response.reasoning_summary_text.done", item, "summary_index",
            "text", kept(item->text), out);
    w = within(e, "response.reasoning_summary_part.done", item,
               "summary_index", 0, out);
    llmux_jw_key(&w, "part");
    put_summary(&w, kept(item->text));
    llmux_responses_event_end(&w);
}

static void end_function(encoder_t *e, const item_t *item, llmux_buf_t *out)
{
    llmux_jw_t w = within(e, "response.function_call_arguments.done", item,
                          NULL, 0, out);

    put_str(&w, "name", item->name);
    put_str(&w, "arguments", kept(item->text));
    llmux_responses_event_end(&w);
}

void llmux_responses_say_item_done(encoder_t *e, const item_t *item,
                                   llmux_buf_t *out)
{
    if (!e->how.streamed) {
        return;
    }
    switch (item->kind) {
    case LLMUX_OUTPUT_REASONING:
        end_summary(e, item, out);
        break;
    case LLMUX_OUTPUT_FUNCTION:
        end_function(e, item, out);
        break;
    case LLMUX_OUTPUT_CUSTOM:
        say_str(e, "response.custom_tool_call_input.done", item, NULL,
                "input", kept(item->text), out);
        break;
    case LLMUX_OUTPUT_IMAGE:
        say_state(e, "response.image_generation_call.completed", item, out);
        break;
    default:
        break;
    }
    say_whole(e, "response.output_item.done", item, 0, out);
}

static void begin_summary(encoder_t *e, const item_t *item, llmux_buf_t *out)
{
    llmux_jw_t w = within(e, "response.reasoning_summary_part.added", item,
                          "summary_index", 0, out);

    llmux_jw_key(&w, "part");
    put_summary(&w, nothing);
    llmux_responses_event_end(&w);
}

void llmux_responses_say_more(encoder_t *e, const item_t *item,
                              llmux_slice_t text, llmux_buf_t *out)
{
    static const struct { const char *type, *place; } deltas[] = {
        [LLMUX_OUTPUT_REASONING] =
            { "response.reasoning_summary_text.delta", "summary_index" },
        [LLMUX_OUTPUT_FUNCTION] =
            { "response.function_call_arguments.delta", NULL },
        [LLMUX_OUTPUT_CUSTOM] =
            { "response.custom_tool_call_input.delta", NULL }
    };

    if (!e->how.streamed) {
        return;
    }
    if (item->kind == LLMUX_OUTPUT_REASONING
        && item->text && item->text->len == text.len) {
        begin_summary(e, item, out);
    }
    say_str(e, deltas[item->kind].type, item, deltas[item->kind].place,
            "delta", text, out);
}

/* ---- parts ------------------------------------------------------------ */

static void say_part_whole(encoder_t *e, const char *type, const item_t *item,
                           const part_t *part, llmux_buf_t *out)
{
    llmux_jw_t w = within(e, type, item, "content_index", part->index, out);

    llmux_jw_key(&w, "part");
    put_part(&w, part);
    llmux_responses_event_end(&w);
}

void llmux_responses_say_part(encoder_t *e, const item_t *item,
                              const part_t *part, llmux_buf_t *out)
{
    if (e->how.streamed) {
        say_part_whole(e, "response.content_part.added", item, part, out);
    }
}

static void say_delta(encoder_t *e, const item_t *item, const part_t *part,
                      llmux_slice_t text, llmux_slice_t logprobs,
                      llmux_buf_t *out)
{
    llmux_jw_t w = within(e, part->refusal ? "response.refusal.delta"
                                           : "response.output_text.delta",
                          item, "content_index", part->index, out);

    put_str(&w, "delta", text);
    if (!part->refusal) {
        put_list(&w, "logprobs", logprobs);
    }
    llmux_responses_event_end(&w);
}

void llmux_responses_say_text(encoder_t *e, const item_t *item,
                              const part_t *part, llmux_slice_t text,
                              llmux_buf_t *out)
{
    if (e->how.streamed) {
        say_delta(e, item, part, text, nothing, out);
    }
}

static llmux_slice_t kept_from(const llmux_buf_t *b, apr_size_t from)
{
    llmux_slice_t s = llmux_buf_slice(b);

    if (from > s.len) {
        return nothing;     /* it did not fit */
    }
    s.data += from;
    s.len -= from;
    return s;
}

/* They come behind their text, which has been said. */
void llmux_responses_say_logprobs(encoder_t *e, const item_t *item,
                                  const part_t *part, apr_size_t from,
                                  llmux_buf_t *out)
{
    if (e->how.streamed) {
        say_delta(e, item, part, nothing, kept_from(part->logprobs, from),
                  out);
    }
}

void llmux_responses_say_part_done(encoder_t *e, const item_t *item,
                                   const part_t *part, llmux_buf_t *out)
{
    llmux_jw_t w;

    if (!e->how.streamed) {
        return;
    }
    w = within(e, part->refusal ? "response.refusal.done"
                                : "response.output_text.done",
               item, "content_index", part->index, out);
    put_str(&w, part->refusal ? "refusal" : "text", kept(part->text));
    if (!part->refusal) {
        put_list(&w, "logprobs", kept(part->logprobs));
    }
    llmux_responses_event_end(&w);
    say_part_whole(e, "response.content_part.done", item, part, out);
}

void llmux_responses_say_cite(encoder_t *e, const item_t *item,
                              const part_t *part, apr_size_t from,
                              llmux_buf_t *out)
{
    llmux_jw_t w;

    if (!e->how.streamed) {
        return;
    }
    w = within(e, "response.output_text.annotation.added", item,
               "content_index", part->index, out);
    llmux_jw_key(&w, "annotation_index");
    llmux_jw_int(&w, part->cites);
    llmux_jw_key(&w, "annotation");
    llmux_jw_raw(&w, kept_from(part->annotations, from));
    llmux_responses_event_end(&w);
}
