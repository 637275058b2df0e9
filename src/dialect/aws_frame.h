/**
 * aws_frame.h - takes an event stream of Amazon's apart
 * (application/vnd.amazon.eventstream): messages of bytes, each with its
 * length, headers and two checksums, in place of the lines of SSE.
 */

#ifndef LLMUX_DIALECT_AWS_FRAME_H
#define LLMUX_DIALECT_AWS_FRAME_H

#include "llmux/dialect.h"

/* One message, of which both checksums are right. Slices die when the
 * callback returns; what was not said is absent. */
typedef struct llmux_aws_message_t {
    llmux_slice_t type;             /* :message-type */
    llmux_slice_t event_type;
    llmux_slice_t exception_type;
    llmux_slice_t error_code, error_message;
    llmux_slice_t content_type;
    llmux_slice_t payload;
    llmux_slice_t raw;              /* its bytes on the wire */
} llmux_aws_message_t;

/* Returning 0 ends the feed; the parser then takes no more. */
typedef int (*llmux_aws_fn)(void *baton, const llmux_aws_message_t *m);

typedef struct llmux_aws_t llmux_aws_t;

/** @param max longest message; beyond it feed() fails */
llmux_aws_t *llmux_aws_create(apr_pool_t *p, apr_size_t max, llmux_aws_fn fn,
                              void *baton);

/** @return APR_SUCCESS; APR_ENOSPC (message too long); APR_EINVAL (a wrong
 *          checksum, or no message at all); APR_EGENERAL (stopped) */
apr_status_t llmux_aws_feed(llmux_aws_t *a, const char *data, apr_size_t len);

/** The bytes ended: APR_EOF if they did so inside a message. */
apr_status_t llmux_aws_end(llmux_aws_t *a);

/** Does it lie between two messages (nothing half-read)? */
int llmux_aws_at_border(const llmux_aws_t *a);

/** The kind of error that a name of Amazon's stands for, such as
 * "ThrottlingException" or "com.amazon.x#Throttling:http://...", or `other`.
 * ASCII case aside. */
llmux_error_e llmux_aws_error_kind(llmux_slice_t name, llmux_error_e other);

/** What a message that is no event means. In `p`.
 * @param payload parsed, or NULL (no JSON) */
llmux_error_t *llmux_aws_error(apr_pool_t *p, const llmux_aws_message_t *m,
                               const llmux_json_t *payload);

#endif
