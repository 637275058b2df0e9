/* cohere_logprobs.c - Cohere's log probabilities in OpenAI's shape. Cohere
 * has one text for what may be several tokens. */

#include <math.h>

#include <apr_strings.h>

#include "cohere.h"

/* OpenAI's own word for very unlikely, which is the least it says. */
#define UNLIKELY 9999

/* Six digits behind the point, whatever the locale. */
static void put_number(llmux_jw_t *w, double n)
{
    double size = fabs(n);
    apr_int64_t millionths = (size < UNLIKELY ? size : UNLIKELY) * 1e6 + 0.5;
    char text[64];

    apr_snprintf(text, sizeof(text), "%s%d.%06d", n < 0 ? "-" : "",
                 (int)(millionths / 1000000), (int)(millionths % 1000000));
    llmux_jw_raw(w, llmux_slice(text));
}

/* The probability of a text is the product of its tokens'. */
static void put_sum(llmux_jw_t *w, const llmux_json_t *list)
{
    const llmux_json_t *v = llmux_json_first(list);
    double sum = 0;

    if (llmux_json_count(list) == 1
        && llmux_json_kind(v) == LLMUX_JSON_NUMBER) {
        llmux_jw_raw(w, llmux_json_raw(v));     /* as it was spelled */
        return;
    }
    for (; v; v = llmux_json_next(list, v)) {
        sum += llmux_json_double(v, 0);
    }
    put_number(w, sum);
}

static void put_item(llmux_jw_t *w, apr_pool_t *p, const llmux_json_t *v)
{
    llmux_slice_t token = llmux_json_str(p, llmux_json_get(v, "text"));
    apr_size_t i;

    llmux_jw_open(w, '{');
    llmux_jw_key(w, "token");
    llmux_jw_str(w, token.data ? token : llmux_slice(""));
    llmux_jw_key(w, "logprob");
    put_sum(w, llmux_json_get(v, "logprobs"));
    llmux_jw_key(w, "bytes");
    llmux_jw_open(w, '[');
    for (i = 0; i < token.len; i++) {
        llmux_jw_int(w, (unsigned char)token.data[i]);
    }
    llmux_jw_close(w, ']');
    llmux_jw_opt_raw(w, "top_logprobs", llmux_slice("[]"));
    llmux_jw_close(w, '}');
}

llmux_slice_t llmux_cohere_logprobs(apr_pool_t *p, const llmux_json_t *v)
{
    static const llmux_slice_t none = { NULL, 0 };
    const llmux_json_t *each;
    llmux_buf_t *out;
    llmux_jw_t w;

    if (!llmux_json_count(v)) {
        return none;
    }
    out = llmux_buf_create(p, LLMUX_ANSWER_MAX);
    w = llmux_jw(out);
    llmux_jw_open(&w, '[');
    if (llmux_json_kind(v) == LLMUX_JSON_OBJECT) {
        put_item(&w, p, v);
    }
    else {
        for (each = llmux_json_first(v); each;
             each = llmux_json_next(v, each)) {
            put_item(&w, p, each);
        }
    }
    llmux_jw_close(&w, ']');
    return out->failed ? none : llmux_buf_slice(out);
}
