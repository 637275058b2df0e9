/* error.c - what the API's caller must be told, and in whose words. */

#include "llmux/core.h"

#include <stdio.h>

/* In the order of llmux_error_e: both come from errors.def. */
static const struct {
    int status;
    const char *name, *type, *code, *anthropic, *gemini;
} rows[] = {
#define X(kind, status, type, code, atype, gstatus)                            \
    { status, #kind, type, code, atype, gstatus },
#include "llmux/errors.def"
#undef X
};

/* Whoever passes nonsense meant that we are broken. */
static llmux_error_e known(llmux_error_e kind)
{
    return (unsigned)kind < LLMUX_ERR_COUNT ? kind : LLMUX_ERR_INTERNAL;
}

/* libc's own: APR's formatter does not know %zu. */
__attribute__((format(printf, 2, 0)))
static const char *format(apr_pool_t *p, const char *fmt, va_list ap)
{
    va_list again;
    char *out;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0) {
        return "unknown error";
    }
    out = apr_palloc(p, (apr_size_t)n + 1);
    vsnprintf(out, (apr_size_t)n + 1, fmt, ap);
    return out;
}

llmux_error_t *llmux_error(apr_pool_t *p, llmux_error_e kind,
                           const char *param, const char *fmt, ...)
{
    llmux_error_t *err = apr_pcalloc(p, sizeof(*err));
    va_list ap;

    err->kind = known(kind);
    err->status = rows[err->kind].status;
    err->type = rows[err->kind].type;
    err->code = rows[err->kind].code;
    err->param = param;
    err->retry_after = -1;
    va_start(ap, fmt);
    err->message = format(p, fmt, ap);
    va_end(ap);
    return err;
}

const char *llmux_error_name(llmux_error_e kind)
{
    return rows[known(kind)].name;
}

const char *llmux_error_anthropic(llmux_error_e kind)
{
    return rows[known(kind)].anthropic;
}

const char *llmux_error_gemini(llmux_error_e kind)
{
    return rows[known(kind)].gemini;
}
