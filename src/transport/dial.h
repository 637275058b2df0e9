/**
 * dial.h - a TCP connection to one of a host's addresses, without blocking.
 *
 * Families alternate, and the next address is tried when one has failed or
 * been silent for 250 ms, the earlier ones still going (RFC 8305, "Happy
 * Eyeballs"); the first that stands wins.
 */

#ifndef LLMUX_TRANSPORT_DIAL_H
#define LLMUX_TRANSPORT_DIAL_H

#include "resolve.h"

/* Sockets that connect at the same time: fewer than a wait can hold. */
#define LLMUX_DIAL_MAX 4

/* In the caller's memory, which also bounds the time as a whole. */
typedef struct llmux_dial_t {
    llmux_addresses_t to;           /* in the order of trying */
    int next;                       /* the first one not tried yet */
    int count;
    int fds[LLMUX_DIAL_MAX];
    apr_uint64_t ids[LLMUX_DIAL_MAX];   /* llmux_wait_id(), of each */
    apr_time_t next_at;             /* when the next may be tried */
    int error;                      /* errno of the last failure */
} llmux_dial_t;

/** Starts with the first address. */
void llmux_dial_start(llmux_dial_t *d, const llmux_env_t *env,
                      const llmux_addresses_t *to);

/**
 * @return APR_SUCCESS: `fd` is connected, non-blocking, close-on-exec,
 * TCP_NODELAY and SO_KEEPALIVE set, and the caller's own; APR_EAGAIN: `wait`
 * is filled in (what it held before stays); else the last failure.
 */
apr_status_t llmux_dial_step(llmux_dial_t *d, const llmux_env_t *env,
                             llmux_wait_t *wait, int *fd);

/** Closes what is still connecting. Harmless at any time after start. */
void llmux_dial_stop(llmux_dial_t *d);

#endif
