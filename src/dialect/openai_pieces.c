/* openai_pieces.c - JSON that chat completions' chunks and whole answers have
 * in common: reasoning, annotations, pictures, sound. */

#include "openai_encode.h"

static const char *const formats[] = {
    [LLMUX_MAKER_NONE]               = NULL,
    [LLMUX_MAKER_ANTHROPIC]          = "anthropic-claude-v1",
    [LLMUX_MAKER_ANTHROPIC_REDACTED] = "anthropic-claude-v1",
    [LLMUX_MAKER_GEMINI]             = "google-gemini-v1",
    [LLMUX_MAKER_OPENAI]             = "openai-responses-v1"
};

void llmux_openai_put_detail(llmux_jw_t *w, int index, llmux_slice_t text,
                             llmux_token_t token)
{
    int sealed = token.maker == LLMUX_MAKER_ANTHROPIC_REDACTED;

    llmux_jw_open(w, '{');
    llmux_jw_key(w, "type");
    llmux_jw_cstr(w, sealed ? "reasoning.encrypted" : "reasoning.text");
    llmux_jw_opt_str(w, "text", text);
    if (token.maker != LLMUX_MAKER_NONE) {
        llmux_jw_opt_str(w, sealed ? "data" : "signature", token.bytes);
        llmux_jw_opt_str(w, "format", llmux_slice(formats[token.maker]));
    }
    llmux_jw_key(w, "index");
    llmux_jw_int(w, index);
    llmux_jw_close(w, '}');
}

/* Google's own way to hang a signature on a call. */
void llmux_openai_put_call_token(llmux_jw_t *w, llmux_slice_t token)
{
    llmux_jw_key(w, "extra_content");
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "google");
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "thought_signature");
    llmux_jw_str(w, token);
    llmux_jw_close(w, '}');
    llmux_jw_close(w, '}');
}

/* SDKs that put deltas together find list elements by their number, and
 * OpenAI's own for Python gives up on those that have none. */
static void put_index(llmux_jw_t *w, int index)
{
    if (index >= 0) {
        llmux_jw_key(w, "index");
        llmux_jw_int(w, index);
    }
}

/* Clients' types have title and offsets always: "" and 0 when not known. */
void llmux_openai_put_annotation(llmux_jw_t *w, const llmux_cite_t *cite,
                                 int index)
{
    int known = cite->start >= 0 && cite->end >= cite->start;

    llmux_jw_open(w, '{');
    put_index(w, index);
    llmux_jw_key(w, "type");
    llmux_jw_cstr(w, "url_citation");
    llmux_jw_key(w, "url_citation");
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "url");
    llmux_jw_str(w, cite->url);
    llmux_jw_key(w, "title");
    llmux_jw_str(w, cite->title.data ? cite->title : llmux_slice(""));
    llmux_jw_opt_str(w, "content", cite->quote);
    llmux_jw_key(w, "start_index");
    llmux_jw_int(w, known ? cite->start : 0);
    llmux_jw_key(w, "end_index");
    llmux_jw_int(w, known ? cite->end : 0);
    llmux_jw_close(w, '}');
    llmux_jw_close(w, '}');
}

int llmux_openai_citable(const llmux_event_t *ev)
{
    return ev->cite && ev->cite->url.data && ev->cite->url.len;
}

void llmux_openai_put_image(llmux_jw_t *w, const llmux_event_t *ev,
                            int index)
{
    llmux_jw_open(w, '{');
    put_index(w, index);
    llmux_jw_key(w, "type");
    llmux_jw_cstr(w, "image_url");
    llmux_jw_key(w, "image_url");
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "url");
    /* A string made of three: written by hand. */
    llmux_buf_adds(w->out, "\"data:");
    llmux_json_escape(w->out, ev->name);
    llmux_buf_adds(w->out, ";base64,");
    llmux_json_escape(w->out, ev->text);
    llmux_buf_adds(w->out, "\"");
    llmux_jw_close(w, '}');
    llmux_jw_close(w, '}');
}

int llmux_openai_is_image(const llmux_event_t *ev)
{
    return llmux_slice_starts(ev->name, "image/") && ev->text.data;
}

int llmux_openai_is_audio(const llmux_event_t *ev)
{
    return llmux_slice_starts(ev->name, "audio/") && ev->text.data;
}

/* Nobody keeps the sound, so its id leads nowhere from the beginning. */
void llmux_openai_put_audio(llmux_jw_t *w, const llmux_encode_t *how)
{
    llmux_jw_key(w, "id");
    llmux_jw_raw(w, llmux_slice("\"audio-"));
    llmux_json_escape(w->out, llmux_slice(how->id));
    llmux_buf_adds(w->out, "\"");
    llmux_jw_key(w, "expires_at");
    llmux_jw_int(w, how->created);
    llmux_jw_key(w, "transcript");
    llmux_jw_cstr(w, "");
}
