/* verdict.c - how an attempt went, when it did not go well: for the plan, and
 * for the client. */

#include <apr_lib.h>
#include <apr_strings.h>

#include "exchange.h"

void verdict_failed(attempt_t *a, llmux_error_e kind, const char *what)
{
    a->failed = LLMUX_FAILED_PROVIDER;
    a->error = llmux_error(a->x->pool, kind, NULL,
                           "The model's provider failed: %s.", what);
}

void verdict_wire(attempt_t *a)
{
    llmux_fail_e f = a->wire->failure;
    int timeout = f == LLMUX_FAIL_CONNECT_TIMEOUT
        || f == LLMUX_FAIL_FIRST_BYTE_TIMEOUT
        || f == LLMUX_FAIL_SILENCE_TIMEOUT || f == LLMUX_FAIL_TOTAL_TIMEOUT;

    llmux_log(a->x->env, LLMUX_LOG_DEBUG, 30, 0, "%s: %s (%s)",
              a->deployment->provider->name, llmux_fail_name(f),
              a->wire->detail);
    verdict_failed(a, timeout ? LLMUX_ERR_TIMEOUT : LLMUX_ERR_BAD_UPSTREAM,
                   llmux_fail_name(f));
}

/* The header wins over what the body says, milliseconds over seconds. */
static void read_retry_after(attempt_t *a, llmux_error_t *err)
{
    const char *ms = llmux_response_header(a->head, "retry-after-ms");
    const char *s = llmux_response_header(a->head, "retry-after");
    apr_interval_time_t t = -1;

    if (ms) {
        t = llmux_retry_after_parse(ms, llmux_now(a->x->env));
        t = t > 0 ? t / 1000 : t;
    }
    if (t < 0 && s) {
        t = llmux_retry_after_parse(s, llmux_now(a->x->env));
    }
    if (t >= 0) {
        err->retry_after = t;
    }
}

/* What a provider says of our credentials quotes them: the client learns
 * that the gateway is refused, and no more. The bill is not the client's
 * either; OpenAI's SDKs know an account that is spent by 429. */
static llmux_error_t *shield(attempt_t *a, llmux_error_t *err)
{
    switch (err->kind) {
    case LLMUX_ERR_AUTH:
    case LLMUX_ERR_PERMISSION:
        return llmux_error(a->x->pool, LLMUX_ERR_BAD_UPSTREAM, NULL,
                           "The provider refused the gateway's credentials. "
                           "The gateway's operator must look into it.");
    case LLMUX_ERR_BILLING:
        return llmux_error(a->x->pool, LLMUX_ERR_QUOTA, NULL, "%s",
                           llmux_provider_words(a->x->pool, err->message));
    default:
        err->message = llmux_provider_words(a->x->pool, err->message);
        return err;
    }
}

/* Proxies before a provider answer in plain words or in HTML. The words help
 * whoever reads them, a page does not. */
static void quote_text(attempt_t *a, llmux_error_t *err)
{
    llmux_slice_t text = llmux_buf_slice(a->refusal);
    char *message, *c;

    while (text.len && apr_isspace(*text.data)) {
        text.data++;
        text.len--;
    }
    if (!text.len || *text.data == '<') {
        return;
    }
    message = apr_pstrdup(a->x->pool, llmux_message_cut(a->pool, text));
    for (c = message; *c; c++) {
        if (apr_iscntrl(*c)) {
            *c = ' ';
        }
    }
    err->message = message;
}

/* Amazon names an error in a header, its older services in the body: that is
 * where its dialect looks. */
static const llmux_json_t *error_body(attempt_t *a, llmux_slice_t text)
{
    const char *name = llmux_response_header(a->head, "x-amzn-errortype");
    const llmux_json_t *body = llmux_json_parse(a->pool, text, 0, NULL);
    llmux_buf_t *named;
    llmux_jw_t jw;

    if (!name || llmux_json_get(body, "__type")) {
        return body;
    }
    named = llmux_buf_create(a->pool, 2 * LLMUX_ERROR_BODY_MAX);
    jw = llmux_jw(named);
    llmux_jw_open(&jw, '{');
    llmux_jw_key(&jw, "__type");
    llmux_jw_cstr(&jw, name);
    llmux_jw_opt_str(&jw, "message",
                     llmux_json_str(a->pool, llmux_json_get(body, "message")));
    llmux_jw_close(&jw, '}');
    return llmux_json_parse(a->pool, llmux_buf_slice(named), 0, NULL);
}

void verdict_refused(attempt_t *a)
{
    llmux_slice_t text = llmux_buf_slice(a->refusal);
    const llmux_json_t *body = error_body(a, text);
    llmux_error_t *err = a->dialect->error_read(a->x->pool, a->head->status,
                                                body);

    if (!body) {
        quote_text(a, err);
    }
    read_retry_after(a, err);
    a->failed = llmux_failed_class(err);
    a->error = shield(a, err);
    if (a->failed == LLMUX_FAILED_KEY && a->deployment->provider->vault) {
        llmux_vault_refused(a->deployment->provider->vault,
                            llmux_now(a->x->env), a->grant);
    }
}

/* An error inside a 200: the events brought it, see answer.c. */
void verdict_error(attempt_t *a)
{
    llmux_error_t *err = apr_pmemdup(a->x->pool, a->error, sizeof(*err));

    a->failed = llmux_failed_class(err);
    a->error = shield(a, err);
}
