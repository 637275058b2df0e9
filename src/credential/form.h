/**
 * form.h - application/x-www-form-urlencoded, for what token servers are sent.
 */

#ifndef LLMUX_CREDENTIAL_FORM_H
#define LLMUX_CREDENTIAL_FORM_H

#include "llmux/core.h"

/** An empty form of at most `max` bytes, all of them taken at once: what is
 * secret in it lies in one place, which is wiped with `p`. */
llmux_buf_t *llmux_form_create(apr_pool_t *p, apr_size_t max);

/** Adds a field. The form is `failed` if it does not fit. */
void llmux_form_add(llmux_buf_t *form, const char *name, llmux_slice_t value);

#endif
