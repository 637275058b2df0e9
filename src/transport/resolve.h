/**
 * resolve.h - a host's addresses, without making a worker wait for a name
 * server.
 *
 * Numeric hosts need no look-up. Others are looked up by getaddrinfo() (so
 * /etc/hosts, nsswitch and search domains hold) in a thread of their own, and
 * kept for LLMUX_RESOLVE_KEEP. Who asks for a name that is too old is given
 * the old addresses at once while it is looked up anew, for
 * LLMUX_RESOLVE_STALE at most. A failure is remembered for
 * LLMUX_RESOLVE_FAILED, so that a herd does not ask one by one.
 */

#ifndef LLMUX_TRANSPORT_RESOLVE_H
#define LLMUX_TRANSPORT_RESOLVE_H

#include <sys/socket.h>

#include "llmux/transport.h"

#define LLMUX_ADDRESSES_MAX 16

typedef struct llmux_address_t {
    socklen_t len;
    struct sockaddr_storage sa;     /* the port is set */
} llmux_address_t;

/* In the order of getaddrinfo() (RFC 6724). */
typedef struct llmux_addresses_t {
    int count;
    llmux_address_t at[LLMUX_ADDRESSES_MAX];
} llmux_addresses_t;

/* All names of a child. Any thread. */
typedef struct llmux_resolver_t llmux_resolver_t;

/* Somebody's wait for a name. One thread at a time. */
typedef struct llmux_lookup_t llmux_lookup_t;

/* What asks the system: fills in addresses without ports, or returns one of
 * getaddrinfo()'s codes. Called in threads of its own, may block. */
typedef int (*llmux_lookup_fn)(const char *host, llmux_addresses_t *out);

/** Gone with `p`; threads that still wait for a name server are left alone
 * and touch nothing of it any more. */
apr_status_t llmux_resolver_create(llmux_resolver_t **rs, apr_pool_t *p);

/** Has something else than getaddrinfo() asked; before the first question. */
void llmux_resolver_lookup_with(llmux_resolver_t *rs, llmux_lookup_fn fn);

/**
 * Asks for a host ("example.com", "192.0.2.1", "::1", "[::1]").
 * @return APR_SUCCESS: `out` is filled; APR_EAGAIN: `pending` is to be
 * stepped until it says something else, and released; anything else: there
 * is no such host, or it cannot be looked up (`why` says it in words).
 */
apr_status_t llmux_resolve(llmux_resolver_t *rs, const llmux_env_t *env,
                           const char *host, int port,
                           llmux_addresses_t *out, llmux_lookup_t **pending,
                           const char **why);

/** The same answers; on APR_EAGAIN `wait` is told the descriptor. */
apr_status_t llmux_lookup_step(llmux_lookup_t *l, const llmux_env_t *env,
                               llmux_addresses_t *out, llmux_wait_t *wait,
                               const char **why);

/** Whatever came of it. NULL is fine. */
void llmux_lookup_release(llmux_lookup_t *l);

#endif
