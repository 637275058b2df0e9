/* usage.c - counting tokens: overlaying reports, adding up the parts. */

#include <stddef.h>

#include "llmux/dialect.h"

/* Every counter, so that a new one is one more line. */
static const apr_size_t counters[] = {
    offsetof(llmux_usage_t, input),
    offsetof(llmux_usage_t, cache_read),
    offsetof(llmux_usage_t, cache_write),
    offsetof(llmux_usage_t, cache_write_1h),
    offsetof(llmux_usage_t, tool_input),
    offsetof(llmux_usage_t, output),
    offsetof(llmux_usage_t, reasoning),
    offsetof(llmux_usage_t, audio_input),
    offsetof(llmux_usage_t, audio_output),
    offsetof(llmux_usage_t, accepted_prediction),
    offsetof(llmux_usage_t, rejected_prediction)
};

void llmux_usage_merge(llmux_usage_t *to, const llmux_usage_t *from)
{
    apr_size_t i;

    for (i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        apr_int64_t n = *(const apr_int64_t *)((const char *)from
                                               + counters[i]);

        if (n >= 0) {
            *(apr_int64_t *)((char *)to + counters[i]) = n;
        }
    }
}

void llmux_usage_set(apr_int64_t *counter, const llmux_json_t *object,
                     const char *name)
{
    apr_int64_t n = llmux_json_int(llmux_json_get(object, name), -1);

    if (n >= 0) {
        *counter = n;
    }
}

/* -1 + -1 is -1, else what was not reported counts as 0. Sticks to the
 * greatest number instead of wrapping: the numbers are the provider's. */
apr_int64_t llmux_usage_plus(apr_int64_t a, apr_int64_t b)
{
    if (a < 0 || b < 0) {
        return a < 0 ? (b < 0 ? -1 : b) : a;
    }
    return a > APR_INT64_MAX - b ? APR_INT64_MAX : a + b;
}

void llmux_usage_add(llmux_usage_t *to, const llmux_usage_t *more)
{
    apr_size_t i;

    for (i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
        apr_int64_t *sum = (apr_int64_t *)((char *)to + counters[i]);

        *sum = llmux_usage_plus(*sum,
                                *(const apr_int64_t *)((const char *)more
                                                       + counters[i]));
    }
}

apr_int64_t llmux_usage_input(const llmux_usage_t *u)
{
    apr_int64_t cached = llmux_usage_plus(u->cache_read, u->cache_write);

    return llmux_usage_plus(llmux_usage_plus(u->input, cached),
                            u->tool_input);
}

apr_int64_t llmux_usage_output(const llmux_usage_t *u)
{
    return llmux_usage_plus(u->output, u->reasoning);
}

int llmux_usage_known(const llmux_usage_t *u)
{
    return llmux_usage_input(u) >= 0 || llmux_usage_output(u) >= 0;
}
