/**
 * curl_pool.h - libcurl's handles: made, lent, kept for the next, dropped.
 *
 * A handle is a CURLM with at most one connection, and with a CURL while it
 * has an exchange. It belongs to one thread at a time; between exchanges it
 * rests in the child's pool.
 */

#ifndef LLMUX_TRANSPORT_CURL_POOL_H
#define LLMUX_TRANSPORT_CURL_POOL_H

#include <curl/curl.h>

#include "llmux/transport.h"

/* What a read of ours takes at most. */
#define LLMUX_READ_SIZE 16384

typedef struct llmux_handle_t {
    CURLM *multi;
    CURL *easy;                 /* of one exchange; NULL at rest */
    const llmux_env_t *env;     /* of the exchange that has it now */
    int fd;                     /* of its connection, at rest */
    apr_time_t timer;           /* libcurl wants to be called then; 0 = no */
    apr_time_t born;            /* when its connection was made */
    int count;
    struct { int fd; int events; } fds[LLMUX_WAIT_FDS];

    /* The pool's own. */
    char *key;                  /* whom it may speak to, and how */
    apr_time_t until;           /* no use of it after this */
    struct llmux_handle_t *newer, *older;
} llmux_handle_t;

/**
 * The newest idle handle for this URL and upstream, or a new one. The name
 * of its rest is made in `p`. NULL when memory or descriptors are out.
 */
llmux_handle_t *llmux_handle_take(apr_pool_t *p, const llmux_env_t *env,
                                  const llmux_upstream_t *up,
                                  const char *url);

/** Keeps it for the next exchange as long as `up` allows. It holds nothing
 * of the exchange any more, and its transfer is not attached. */
void llmux_handle_give(llmux_handle_t *h, const llmux_upstream_t *up);

/** Closes its connection at once and frees it. */
void llmux_handle_free(llmux_handle_t *h);

/** The pool of this child, gone with its pool. */
apr_status_t llmux_curl_child_init(apr_pool_t *pchild);

/** Handles that rest in it. */
int llmux_curl_idle_count(void);

#endif
