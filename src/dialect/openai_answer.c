/* openai_answer.c - what answers of chat completions and of the legacy
 * completions have alike. */

#include "errors.h"
#include "openai_answer.h"

/* ---- in -------------------------------------------------------------- */

/* "error":"" and the like are none. */
static int says_something(const llmux_json_t *v)
{
    switch (llmux_json_kind(v)) {
    case LLMUX_JSON_STRING:
        return !llmux_json_is(v, "");
    case LLMUX_JSON_OBJECT:
        return llmux_json_count(v) > 0;
    case LLMUX_JSON_BOOL:
        return llmux_json_bool(v) == LLMUX_YES;
    default:
        return 0;
    }
}

int llmux_openai_is_error(llmux_slice_t event_name, const llmux_json_t *body)
{
    if (says_something(llmux_json_get(body, "error"))
        || llmux_slice_is(event_name, "error")) {
        return 1;
    }
    return !llmux_json_get(body, "choices") && !llmux_json_get(body, "usage")
        && (llmux_json_is(llmux_json_get(body, "object"), "error")
            || llmux_json_get(body, "detail")
            || llmux_json_get(body, "statusCode")
            || llmux_json_kind(llmux_json_get(body, "message"))
                   == LLMUX_JSON_STRING);
}

void llmux_openai_error_emit(llmux_decoder_t *d, const llmux_json_t *body)
{
    llmux_event_t ev = { .kind = LLMUX_EV_ERROR };

    ev.error = llmux_error_read(d->pool, 0, body);
    llmux_decoder_emit(d, &ev);
}

/* ---- out ------------------------------------------------------------- */

void llmux_openai_head_write(llmux_jw_t *w, const char *object,
                             const llmux_encode_t *how,
                             const llmux_event_t *ev)
{
    llmux_jw_key(w, "id");
    llmux_jw_str(w, ev->id.len ? ev->id : llmux_slice(how->id));
    llmux_jw_key(w, "object");
    llmux_jw_cstr(w, object);
    llmux_jw_key(w, "created");
    llmux_jw_int(w, ev->created > 0 ? ev->created : how->created);
    llmux_jw_key(w, "model");
    llmux_jw_str(w, how->model.data ? how->model
                    : ev->name.data ? ev->name : llmux_slice(""));
}

const char *llmux_openai_chunk_tail(const llmux_encode_t *how)
{
    return how->include_usage ? "],\"usage\":null}\n\n" : "]}\n\n";
}

void llmux_openai_stream_end(llmux_buf_t *out, const llmux_encode_t *how,
                             llmux_slice_t head, const llmux_usage_t *usage)
{
    llmux_jw_t w;

    if (how->include_usage && llmux_usage_known(usage)) {
        llmux_buf_adds(out, "data: ");
        llmux_buf_add_slice(out, head);
        llmux_buf_adds(out, "],\"usage\":");
        w = llmux_jw(out);
        llmux_openai_usage_write(&w, usage);
        llmux_buf_adds(out, "}\n\n");
    }
    llmux_buf_adds(out, "data: [DONE]\n\n");
}

void llmux_openai_stream_error(llmux_buf_t *out, const llmux_error_t *err)
{
    llmux_buf_adds(out, "data: ");
    llmux_openai_error_write(out, err, NULL);
    llmux_buf_adds(out, "\n\n");
}

void llmux_openai_whole_end(llmux_jw_t *w, const llmux_usage_t *usage)
{
    llmux_jw_close(w, ']');
    if (llmux_usage_known(usage)) {
        llmux_jw_key(w, "usage");
        llmux_openai_usage_write(w, usage);
    }
    llmux_jw_close(w, '}');
}
