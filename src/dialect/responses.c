/* responses.c - OpenAI's Responses API as a dialect, and what its two doors
 * have in common. */

#include <string.h>

#include "errors.h"
#include "openai_answer.h"
#include "responses.h"

llmux_slice_t llmux_responses_said(const llmux_chat_t *chat, const char *name)
{
    const llmux_extra_t *e = chat ? chat->said : NULL;

    while (e && !llmux_slice_is(e->name, name)) {
        e = e->next;
    }
    return e ? e->json : llmux_slice(NULL);
}

/* ---- tokens ----------------------------------------------------------- */

#define FOREIGN LLMUX_RESPONSES_FOREIGN

static const struct { const char *prefix; llmux_maker_e maker; } makers[] = {
    { FOREIGN "a.", LLMUX_MAKER_ANTHROPIC          },
    { FOREIGN "d.", LLMUX_MAKER_ANTHROPIC_REDACTED },
    { FOREIGN "g.", LLMUX_MAKER_GEMINI             }
};

/* ... of a call, whose id stands before the token, with a dot between. */
static const char of_call[] = FOREIGN "c.";

static const char *prefix_of(llmux_maker_e maker)
{
    apr_size_t i;

    for (i = 0; i < sizeof(makers) / sizeof(*makers); i++) {
        if (makers[i].maker == maker) {
            return makers[i].prefix;
        }
    }
    return "";
}

void llmux_responses_token_write(llmux_jw_t *w, llmux_token_t token,
                                 llmux_slice_t call_id)
{
    llmux_jw_raw(w, llmux_slice("\""));
    llmux_buf_adds(w->out, call_id.data ? of_call : prefix_of(token.maker));
    if (call_id.data) {
        llmux_json_escape(w->out, call_id);
        llmux_buf_adds(w->out, ".");
    }
    llmux_json_escape(w->out, token.bytes);
    llmux_buf_adds(w->out, "\"");
}

static llmux_slice_t behind(llmux_slice_t s, apr_size_t n)
{
    s.data += n;
    s.len -= n;
    return s;
}

/* Tokens have no dot; ids may. */
static llmux_token_t token_of_call(llmux_slice_t text, llmux_slice_t *call_id)
{
    llmux_token_t token = { .maker = LLMUX_MAKER_NONE };
    const char *dot = text.len ? memrchr(text.data, '.', text.len) : NULL;

    if (dot) {
        call_id->data = text.data;
        call_id->len = (apr_size_t)(dot - text.data);
        token.maker = LLMUX_MAKER_GEMINI;
        token.bytes = behind(text, call_id->len + 1);
    }
    return token;
}

llmux_token_t llmux_responses_token_read(llmux_slice_t text,
                                         llmux_slice_t *call_id)
{
    llmux_token_t token = { .maker = LLMUX_MAKER_OPENAI, .bytes = text };
    apr_size_t i;

    *call_id = llmux_slice(NULL);
    if (!llmux_slice_starts(text, FOREIGN)) {
        return token;
    }
    if (llmux_slice_starts(text, of_call)) {
        return token_of_call(behind(text, strlen(of_call)), call_id);
    }
    token.maker = LLMUX_MAKER_NONE;
    for (i = 0; i < sizeof(makers) / sizeof(*makers); i++) {
        if (llmux_slice_starts(text, makers[i].prefix)) {
            token.maker = makers[i].maker;
            token.bytes = behind(text, strlen(makers[i].prefix));
        }
    }
    return token;
}

/* ---- the table -------------------------------------------------------- */

const llmux_dialect_t llmux_dialect_responses = {
    .name = "responses",
    .path = "/responses",
    .id_prefix = "resp_",
    .head = llmux_responses_head,
    .edit = llmux_responses_edit,
    .read = llmux_responses_read,
    .write = llmux_responses_write,
    .decoder = llmux_responses_decoder,
    .encoder = llmux_responses_encoder,
    .error_read = llmux_error_read,
    .error_write = llmux_openai_error_write
};
