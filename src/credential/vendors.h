/**
 * vendors.h - llmux_credential_next() by vendor; a credential of another one's
 * FAILS.
 */

#ifndef LLMUX_CREDENTIAL_VENDORS_H
#define LLMUX_CREDENTIAL_VENDORS_H

#include "llmux/credential.h"

llmux_fetch_e llmux_aws_next(llmux_fetch_t *f);
llmux_fetch_e llmux_google_next(llmux_fetch_t *f);

#endif
