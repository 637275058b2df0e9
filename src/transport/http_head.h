/**
 * http_head.h - a request's head, as it goes over the wire.
 */

#ifndef LLMUX_TRANSPORT_HTTP_HEAD_H
#define LLMUX_TRANSPORT_HTTP_HEAD_H

#include "llmux/transport.h"

/** Written in one piece in `p`: POST with a body, GET without. What a caller
 * does not say (Host, Accept, Accept-Encoding, Content-Length) is added.
 * @return absent: `why` says what cannot be sent as it is */
llmux_slice_t llmux_http_head(apr_pool_t *p, const llmux_request_t *rq,
                              const char *authority, llmux_slice_t path,
                              const char **why);

#endif
