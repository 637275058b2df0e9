/**
 * aws_answer.h - what AWS's services answer, read into a grant.
 */

#ifndef LLMUX_CREDENTIAL_AWS_ANSWER_H
#define LLMUX_CREDENTIAL_AWS_ANSWER_H

#include "llmux/credential.h"

/* The parts of a grant as somebody said them; absent = did not. */
typedef struct llmux_aws_said_t {
    llmux_slice_t id, secret, token, expires;
} llmux_aws_said_t;

/**
 * Fills in the grant; `expires` is 0 when nothing was said.
 * @return NULL, or what is wrong with it, in `p`, without anything secret
 */
const char *llmux_aws_grant(apr_pool_t *p, const llmux_aws_said_t *said,
                            llmux_grant_t *grant);

/** The same from the JSON of metadata services and containers, and from the
 * XML of STS. */
const char *llmux_aws_grant_json(apr_pool_t *p, llmux_slice_t body,
                                 llmux_grant_t *grant);
const char *llmux_aws_grant_xml(apr_pool_t *p, llmux_slice_t body,
                                llmux_grant_t *grant);

/** The service's word for what is wrong, such as "AccessDenied", if its
 * answer has one that is a word; else NULL. In `p`. */
const char *llmux_aws_error_word(apr_pool_t *p, llmux_slice_t body);

#endif
