/**
 * curl_head.h - the lines of a response's head, and whether we will have
 * its body.
 */

#ifndef LLMUX_TRANSPORT_CURL_HEAD_H
#define LLMUX_TRANSPORT_CURL_HEAD_H

#include "llmux/transport.h"

/* Between its first line and the empty one. Memory is in `p`; who feeds it
 * bounds how much. */
typedef struct llmux_head_t {
    apr_pool_t *p;
    int inside;
    int old;                    /* HTTP/1.0 */
    const char *problem;        /* with one of its lines, or NULL */
    llmux_response_t r;
} llmux_head_t;

void llmux_head_init(llmux_head_t *h, apr_pool_t *p);

/** Takes one line, its end included. A status line begins a new head and
 * drops what came before (1xx).
 * @return 1 if it was the empty line that ends the head */
int llmux_head_line(llmux_head_t *h, const char *line, apr_size_t len);

/** How many codings lie over the body that are to be taken off. */
int llmux_head_layers(const llmux_head_t *h);

/** Whether something is to follow it. */
int llmux_head_announces_body(const llmux_head_t *h);

/** Why we will not have it: words, or NULL when it is fine. */
const char *llmux_head_objection(const llmux_head_t *h);

#endif
