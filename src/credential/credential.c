/* credential.c - which vendor's steps a fetch takes, and what vendors share. */

#include <string.h>

#include "vendors.h"

int llmux_credential_plain(llmux_slice_t s, const char *without)
{
    apr_size_t i;

    for (i = 0; i < s.len; i++) {
        if (s.data[i] <= ' ' || s.data[i] >= 0x7f
            || strchr(without, s.data[i])) {
            return 0;
        }
    }
    return s.len > 0;
}

static llmux_fetch_e (*const vendors[])(llmux_fetch_t *f) = {
    [LLMUX_CREDENTIAL_AWS_STATIC]       = llmux_aws_next,
    [LLMUX_CREDENTIAL_AWS_CONTAINER]    = llmux_aws_next,
    [LLMUX_CREDENTIAL_AWS_INSTANCE]     = llmux_aws_next,
    [LLMUX_CREDENTIAL_AWS_WEB_IDENTITY] = llmux_aws_next,
    [LLMUX_CREDENTIAL_GOOGLE_ACCOUNT]   = llmux_google_next,
    [LLMUX_CREDENTIAL_GOOGLE_USER]      = llmux_google_next,
    [LLMUX_CREDENTIAL_GOOGLE_INSTANCE]  = llmux_google_next
};

llmux_fetch_e llmux_credential_next(llmux_fetch_t *f)
{
    return vendors[f->credential->kind](f);
}
