/**
 * tls_session.h - TLS sessions that may be resumed, by the peer they were
 * made with: whose name was verified is part of a session.
 */

#ifndef LLMUX_TRANSPORT_TLS_SESSION_H
#define LLMUX_TRANSPORT_TLS_SESSION_H

#include <openssl/ssl.h>

/* The newest few of each of the peers asked last. Any thread. */
typedef struct llmux_sessions_t llmux_sessions_t;

/** NULL when memory is out. */
llmux_sessions_t *llmux_sessions_create(void);
void llmux_sessions_free(llmux_sessions_t *all);

/** Takes it over. */
void llmux_session_put(llmux_sessions_t *all, const char *peer,
                       SSL_SESSION *session);

/** The peer's newest that is still good, to be freed by the caller, or NULL.
 * One of TLS 1.3 is given to one caller only: who resumes it a second time
 * can be recognised (RFC 8446 C.4). */
SSL_SESSION *llmux_session_take(llmux_sessions_t *all, const char *peer);

#endif
