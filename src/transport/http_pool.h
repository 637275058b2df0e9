/**
 * http_pool.h - connections to providers: lent to one exchange at a time,
 * kept for the next one, dropped when old; last in first out, but for those
 * of one's own lane, which come before others.
 */

#ifndef LLMUX_TRANSPORT_HTTP_POOL_H
#define LLMUX_TRANSPORT_HTTP_POOL_H

#include "resolve.h"
#include "tls.h"

/* Where requests go, and everything that makes a connection unfit for
 * somebody else's: made once for each in a child, never changed. */
typedef struct llmux_origin_t {
    int secure;                 /* https */
    const char *host;           /* without brackets */
    int port;
    const char *authority;      /* for the Host header */
    llmux_upstream_t trust;     /* its files; nothing else is set */

    /* The pool's own, under its lock. */
    struct llmux_conn_t *newest, *oldest;
    struct llmux_origin_t *next;
} llmux_origin_t;

/* One connection. It belongs to one thread at a time. */
typedef struct llmux_conn_t {
    llmux_origin_t *origin;
    int fd;
    apr_uint64_t id;            /* llmux_wait_id() */
    SSL *ssl;                   /* NULL over plain TCP */
    apr_time_t born;

    /* The pool's own. */
    apr_time_t until;           /* no use of it after this */
    int lane;                   /* llmux_transport_lane() of its last use */
    struct llmux_conn_t *newer, *older;
} llmux_conn_t;

/** What all exchanges of a child share: names, TLS, connections. Made in
 * child_init, gone with its pool. NULL before. */
typedef struct llmux_http_t {
    llmux_resolver_t *resolver;
    llmux_resolver_t *strangers;    /* of names in their URLs: slow ones hold
                                     * up nobody else, many push out none */
    llmux_tls_t *tls;
} llmux_http_t;

apr_status_t llmux_http_child_init(apr_pool_t *pchild);
const llmux_http_t *llmux_http_shared(void);

/**
 * The origin of a URL. `path` gets what is to be asked for there, in the
 * URL, up to a fragment; "" means "/". Kept for all, but for one that
 * strangers have named (`up->reach`): that lives in `p`.
 * @return NULL if it is no URL that can be asked
 */
llmux_origin_t *llmux_http_origin(apr_pool_t *p, const char *url,
                                  const llmux_upstream_t *up,
                                  llmux_slice_t *path);

/** An idle connection that still stands: the newest, or a nearly as new one
 * of this thread's lane. NULL: there is none */
llmux_conn_t *llmux_conn_take(llmux_origin_t *o, apr_time_t now);

/** A connection over `fd`, which it closes. NULL (and `fd` is closed) when
 * memory is out. */
llmux_conn_t *llmux_conn_create(llmux_origin_t *o, int fd, apr_time_t now);

/** Keeps it for the next exchange as long as `up` allows. */
void llmux_conn_give(llmux_conn_t *c, const llmux_upstream_t *up,
                     apr_time_t now);

/** Closes it. NULL is fine. */
void llmux_conn_free(llmux_conn_t *c);

/** Idle connections of this child. */
int llmux_http_idle_count(void);

/* ---- its bytes: never blocking ---------------------------------------- */

/** APR_SUCCESS: `*n` bytes, at least one; APR_EOF: closed in order;
 * APR_EAGAIN: `*events` says what to wait for; else broken. Over TLS it takes
 * what has come in several records, as far as there is room. */
apr_status_t llmux_conn_read(llmux_conn_t *c, char *to, apr_size_t cap,
                             apr_size_t *n, int *events);

/** Writes of two slices what there is room for, behind `*sent` bytes of
 * them, and counts it there. */
apr_status_t llmux_conn_write(llmux_conn_t *c, llmux_slice_t head,
                              llmux_slice_t body, apr_size_t *sent,
                              int *events);

/** Are there bytes that the descriptor does not tell of? */
int llmux_conn_pending(const llmux_conn_t *c);

#endif
