/* conn.h - a client's connection: its worker's way with it, and the request
 * that waits on it without one.
 *
 * A connection of HTTP/2's streams has no context: there is nothing to park
 * or to linger on. */

#ifndef LLMUX_CONN_H
#define LLMUX_CONN_H

#include <ap_mmn.h>

#include "loop.h"

#if !AP_MODULE_MAGIC_AT_LEAST(20120211, 137)
#define CONN_STATE_PROCESSING CONN_STATE_READ_REQUEST_LINE
#endif

/* ---- nest.c: several descriptors behind one --------------------------- */

/* An epoll set that httpd watches in place of the client's socket: the
 * provider, the client's leaving, a clock. One thread at a time. */
typedef struct nest_t {
    int fd;                     /* -1 = not made */
    int timer;
    apr_time_t armed;           /* when the timer rings; 0 = not set */
    int client;                 /* the client's descriptor */
    unsigned int client_events; /* what of it is watched; 0 = not yet */
    int count;
    int watched[LLMUX_WAIT_FDS];
} nest_t;

void nest_init(nest_t *n, int client);

/** Watches what `wait` says, the client's leaving, and the clock: its
 * deadline, or `tick` from now when that is earlier. */
apr_status_t nest_watch(nest_t *n, const llmux_wait_t *wait,
                        apr_interval_time_t tick);

/** Fills in what is ready. @return 0: the client is gone */
int nest_look(nest_t *n, llmux_wait_t *wait);

/** `lost`: its descriptor is closed already, by somebody else. */
void nest_close(nest_t *n, int lost);

/* ---- conn.c ------------------------------------------------------------ */

typedef struct conn_ctx_t {
    conn_rec *c;
    apr_socket_t *socket;
    int fd;                     /* the client's own */
    apr_uint64_t id;            /* llmux_wait_id() */
    apr_bucket_brigade *bb;     /* conn_brigade(); NULL = not made */
    int inside;                 /* the other hooks run for it */
    int rc;                     /* what they returned */

    /* parking */
    nest_t nest;
    request_ctx_t *suspended;   /* has left its handler, and waits elsewhere */
    request_ctx_t *parked;      /* its request has no worker; NULL = none */
    int swapped;                /* the socket shows the nest */
    int parks;                  /* of the request that goes on */
    struct conn_ctx_t *prev, *next;     /* of those that are parked */

    /* lingering */
    apr_interval_time_t linger; /* for the request just answered; 0 = not */
    apr_time_t idle_since;      /* loop_now(); 0 = it is not */
    apr_interval_time_t patience;   /* the linger of that time */
    int quick;                  /* its client came back soon, the last time */

    /* riding */
    int rides;                  /* a loop may have it when it is answered */
    int boards;                 /* ... and has it next, with its request */
    int ended_aboard;           /* its last request had come with it */
    seat_t *seat;               /* NULL = it never was to */
} conn_ctx_t;

/** NULL where there is none. */
conn_ctx_t *conn_ctx(const conn_rec *c);

/** To pass something in, or take something out: empty, and to be left so. */
apr_bucket_brigade *conn_brigade(conn_ctx_t *cc);

/** Too many of this child's workers are busy to use one for that: more than
 * half; three quarters for who gets aboard a loop, where workers only sleep and
 * come back soon; seven eighths for who rides already; but half of them where
 * many are parked, five eighths for who rides. Of the first two never the last
 * two workers. */
int workers_are_scarce(use_e use);

/** In each child. */
void conn_init(void);

/** A request of ours is done: what is to be done for its connection then. */
void conn_remember(conn_ctx_t *cc, const request_ctx_t *ctx);

/** Its request has left its handler because a loop is to wait for the rest of
 * its answer. @return 0: none may */
int conn_board(conn_ctx_t *cc, const request_ctx_t *ctx);

/** Whether such a request may end in its loop: a log or another hook behind
 * the handler may be slow. */
int conn_ends_aboard(void);

/** For its loop: the turn has held it up, and what became of it. */
void conn_held_up(conn_ctx_t *cc, turn_e turn);

/** For its loop: goes on with the request that waits, or serves the next. */
turn_e conn_turn(conn_ctx_t *cc);

/* ---- park.c ------------------------------------------------------------ */

/** In each child. `tick`: how long httpd leaves a connection alone. */
void park_init(apr_pool_t *pchild, apr_interval_time_t tick);

/** Can this httpd take a connection back while its request goes on? */
int park_is_possible(void);

/** Requests of this child that are parked now. */
apr_uint32_t park_count(void);

/** Can this request leave its handler before it is done? */
int park_may(const request_ctx_t *ctx, const conn_ctx_t *cc);

/** Has the child not closed its socket, to be gone at once? */
int park_is_open(const conn_ctx_t *cc);

/** Makes ready to wait without a worker. @return 0: it cannot */
int park_prepare(request_ctx_t *ctx);

/** The worker leaves. @return 0: the child stops, so it stays */
int park(conn_ctx_t *cc, request_ctx_t *ctx);

/** A worker is back. @return the request, or NULL when there is none any
 * more */
request_ctx_t *unpark(conn_ctx_t *cc);

/** The request is about to be finished by a worker. */
void park_over(conn_ctx_t *cc);

/** The connection ends, and so does what is parked on it. */
void park_drop(conn_ctx_t *cc);

/** The child must go: every parked request is settled and logged now, for
 * httpd forgets them. Later ones do not park. */
void park_stop(void);

#endif
