/* gemini_logprobs.c - Gemini's log probabilities in OpenAI's shape. */

#include "gemini.h"

/* token, logprob and bytes. */
static void put_token(llmux_jw_t *w, apr_pool_t *p, const llmux_json_t *v)
{
    llmux_slice_t token = llmux_json_str(p, llmux_json_get(v, "token"));
    const llmux_json_t *logprob = llmux_json_get(v, "logProbability");
    apr_size_t i;

    llmux_jw_key(w, "token");
    llmux_jw_str(w, token.data ? token : llmux_slice(""));
    llmux_jw_key(w, "logprob");
    if (llmux_json_kind(logprob) == LLMUX_JSON_NUMBER) {
        llmux_jw_raw(w, llmux_json_raw(logprob));
    }
    else {
        llmux_jw_int(w, 0);     /* proto3 leaves out what is 0 */
    }
    llmux_jw_key(w, "bytes");
    llmux_jw_open(w, '[');
    for (i = 0; i < token.len; i++) {
        llmux_jw_int(w, (unsigned char)token.data[i]);
    }
    llmux_jw_close(w, ']');
}

static void put_top(llmux_jw_t *w, apr_pool_t *p, const llmux_json_t *top)
{
    const llmux_json_t *list = llmux_json_get(top, "candidates"), *v;

    llmux_jw_key(w, "top_logprobs");
    llmux_jw_open(w, '[');
    for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
        llmux_jw_open(w, '{');
        put_token(w, p, v);
        llmux_jw_close(w, '}');
    }
    llmux_jw_close(w, ']');
}

llmux_slice_t llmux_gemini_logprobs(apr_pool_t *p, const llmux_json_t *result)
{
    static const llmux_slice_t none = { NULL, 0 };
    const llmux_json_t *list = llmux_json_get(result, "chosenCandidates"), *v;
    const llmux_json_t *tops = llmux_json_get(result, "topCandidates"), *top;
    llmux_buf_t *out;
    llmux_jw_t w;

    if (!llmux_json_first(list)) {
        return none;
    }
    out = llmux_buf_create(p, LLMUX_ANSWER_MAX);
    w = llmux_jw(out);
    top = llmux_json_first(tops);
    llmux_jw_open(&w, '[');
    for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
        llmux_jw_open(&w, '{');
        put_token(&w, p, v);
        put_top(&w, p, top);
        llmux_jw_close(&w, '}');
        top = top ? llmux_json_next(tops, top) : NULL;
    }
    llmux_jw_close(&w, ']');
    return out->failed ? none : llmux_buf_slice(out);
}
