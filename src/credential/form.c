/* form.c - forms with secrets in them. */

#include <openssl/crypto.h>

#include "form.h"

static apr_status_t wipe(void *data)
{
    llmux_buf_t *form = data;

    OPENSSL_cleanse(form->data, form->data ? form->len : 0);
    return APR_SUCCESS;
}

/* A buffer that grows leaves its old bytes behind. */
llmux_buf_t *llmux_form_create(apr_pool_t *p, apr_size_t max)
{
    llmux_buf_t *form = llmux_buf_create(p, max);

    apr_pool_cleanup_register(p, form, wipe, apr_pool_cleanup_null);
    llmux_buf_reserve(form, max);
    return form;
}

void llmux_form_add(llmux_buf_t *form, const char *name, llmux_slice_t value)
{
    llmux_buf_addf(form, "%s%s=", form->len ? "&" : "", name);
    llmux_url_escape(form, value);
}
