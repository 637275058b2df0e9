/**
 * http_inflate.h - a compressed body becomes plain again (gzip, deflate).
 */

#ifndef LLMUX_TRANSPORT_HTTP_INFLATE_H
#define LLMUX_TRANSPORT_HTTP_INFLATE_H

#include "llmux/transport.h"

typedef struct llmux_inflate_t llmux_inflate_t;

/** @param coding "gzip", "x-gzip" or "deflate", case aside.
 * @return NULL: not one of them. Freed with `p`. */
llmux_inflate_t *llmux_inflate_open(apr_pool_t *p, const char *coding);

/** Takes all of it and hands plain bytes to the receiver's body(), in pieces
 * of at most 16 KB, out of a buffer on the stack.
 * @return NULL, or what is wrong with it: words, for the log. Growing more
 * than LLMUX_INFLATE_RATIO_MAX fold is wrong too. */
const char *llmux_inflate_feed(llmux_inflate_t *f, const char *data,
                               apr_size_t len, const llmux_receiver_t *to);

/** Whether the compressed data ended where it says it does. No data at all
 * is an empty body, whatever the head called it. */
int llmux_inflate_complete(const llmux_inflate_t *f);

#endif
