/**
 * tls.h - TLS to a provider, by OpenSSL on a non-blocking socket.
 *
 * At least TLS 1.2; the certificate and its name (or IP address) are always
 * verified; sessions are resumed per context, host and port. A context is
 * shared by all who trust the same CA file and show the same certificate: a
 * session made under one is never resumed under another.
 */

#ifndef LLMUX_TRANSPORT_TLS_H
#define LLMUX_TRANSPORT_TLS_H

#include <openssl/ssl.h>

#include "llmux/transport.h"

/* All contexts of a child. Any thread. */
typedef struct llmux_tls_t llmux_tls_t;

/** Gone with `p`; connections hold what they need of it themselves. */
apr_status_t llmux_tls_create(llmux_tls_t **t, apr_pool_t *p);

/**
 * A connection's TLS, about to shake hands over `fd`, which stays the
 * caller's. Files (CA, certificate, key) are read when first needed, outside
 * any lock that others wait for longer than that.
 * @param host without brackets; an IP address is verified as such
 * @return NULL: `why` says it, in `p`
 */
SSL *llmux_tls_open(llmux_tls_t *t, apr_pool_t *p,
                    const llmux_upstream_t *up, const char *host, int port,
                    int fd, const char **why);

/** APR_SUCCESS: the handshake is done and the peer is who it should be;
 * APR_EAGAIN: `events` says what to wait for; else `why`, in `p`. */
apr_status_t llmux_tls_handshake(SSL *ssl, apr_pool_t *p, int *events,
                                 const char **why);

/** APR_SUCCESS: `*n` bytes, at least one; APR_EOF: closed in order (by
 * close_notify); APR_EAGAIN: `events`; APR_ECONNRESET and others: broken.
 * A connection cut without close_notify is broken: somebody may have cut it. */
apr_status_t llmux_tls_read(SSL *ssl, char *to, apr_size_t cap, apr_size_t *n,
                            int *events);

/** The same; may take less than `len`. Once it is broken by the peer's going
 * away, what that said before can still be read. After APR_EAGAIN it is called
 * again with the same bytes, at whatever address they are by then. */
apr_status_t llmux_tls_write(SSL *ssl, const char *data, apr_size_t len,
                             apr_size_t *n, int *events);

/** Are there bytes, or an end, that the descriptor does not tell of? Records
 * may have been read ahead: read until APR_EAGAIN, or ask this, before
 * waiting for the descriptor. */
int llmux_tls_pending(const SSL *ssl);

/** Why it is broken, such as an alert of the peer's; "" if it is not. A peer
 * of TLS 1.3 refuses our certificate only after the handshake. */
const char *llmux_tls_why(const SSL *ssl);

/** Frees it; says good-bye (without waiting) if `orderly`. NULL is fine. */
void llmux_tls_close(SSL *ssl, int orderly);

#endif
