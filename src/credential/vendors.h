/**
 * vendors.h - llmux_credential_next() by vendor, and what vendors share.
 */

#ifndef LLMUX_CREDENTIAL_VENDORS_H
#define LLMUX_CREDENTIAL_VENDORS_H

#include "llmux/credential.h"

/** A credential of another vendor's FAILS. */
llmux_fetch_e llmux_aws_next(llmux_fetch_t *f);
llmux_fetch_e llmux_google_next(llmux_fetch_t *f);

/** Can this stand in a header: visible ASCII, without these? Not if empty. */
int llmux_credential_plain(llmux_slice_t s, const char *without);

#endif
