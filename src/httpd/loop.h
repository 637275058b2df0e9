/* loop.h - one thread drives many connections.
 *
 * A client that asks one request after the other is driven by a loop, and so
 * is one whose answer comes in pieces: the worker that brought its connection
 * lends it and sleeps, and gets it back when the client pauses, when its
 * request is to be parked, and when the connection ends. So nothing changes
 * for the MPM, which sees a worker that is busy with it; but the thread of the
 * loop goes from one connection to the next without a sleep in between, which
 * costs more than all else that a short request or a chunk costs.
 *
 * A loop has a thread that leads and a deputy who takes over when the leader
 * is held up in a connection (a module's hook may ask a directory or a
 * database), so that it holds up nobody else; after that one thread more. */

#ifndef LLMUX_LOOP_H
#define LLMUX_LOOP_H

#include <pthread.h>
#include <semaphore.h>

#include "server.h"

struct conn_ctx_t;

/** Microseconds of a clock that nobody sets. */
apr_time_t loop_now(void);

/* What a connection wants after somebody has done something for it. */
typedef enum {
    TURN_OVER,      /* httpd goes on with it */
    TURN_IDLE,      /* answered; the next request may come soon */
    TURN_NEXT,      /* ... it is here, for its worker to serve */
    TURN_WAITS      /* its request waits: see conn_ctx_t.suspended */
} turn_e;

#define LINE_MAX_KEPT 256       /* a path that is longer never rides */

/* A connection's place in its loop, made when it may ride: a stream that is
 * held for minutes, and seldom says something, does without. */
typedef struct seat_t {
    char line[LINE_MAX_KEPT];   /* method and path of the request before */
    char host[LINE_MAX_KEPT];   /* and its Host, which chooses the server */
    apr_size_t line_len, host_len;
    int secure;                 /* TLS */
    int held_up;                /* turns in which it held up a leader */
    turn_e turn;                /* what its worker is to do with it */
    sem_t back;                 /* posted when its worker has it again */

    /* Under the loop's lock. */
    struct conn_ctx_t *prev, *next;     /* of all members */
    struct conn_ctx_t *after;   /* in the queue */
    int queued;
    int driven;                 /* a thread of the loop has it: its alone */
    int gone;                   /* the client is */
    apr_time_t due;             /* loop_now() to look after it; 0 = never */
    apr_time_t long_at;         /* ... its request is to park; 0 = never */
} seat_t;

/** In `p`, and gone with it. NULL: it cannot be had */
seat_t *seat_make(apr_pool_t *p);

/* ---- watch.c: the descriptors of many connections in one epoll set ----- */

/* One of them, found by its number. Numbers are given to others after a
 * close, the ids of connections never are. */
typedef struct watch_t {
    apr_uint64_t id;
    struct conn_ctx_t *who;     /* waits for it; NULL = nobody */
    unsigned int events;        /* registered; 0 = not */
} watch_t;

typedef struct watches_t {
    int fd;                     /* of the set */
    watch_t *at;
} watches_t;

/* What has happened. */
typedef struct heard_t {
    apr_uint64_t id;            /* 0 = a descriptor of the loop's own */
    int fd;
    unsigned int events;
} heard_t;

#define HEARD_MAX 64

apr_status_t watches_make(watches_t *ws);

/** Also of what was made in part. */
void watches_end(watches_t *ws);

/** At least these events are heard of from now on. It stays registered, so
 * that the next wait costs no system call; what then happens to it without
 * anybody waiting is to be narrowed.
 * @return 0: it cannot be watched */
int watch_want(watches_t *ws, int fd, apr_uint64_t id,
               struct conn_ctx_t *who, unsigned int events);

/** No other events of it than these; 0 = none, not even its end. */
void watch_narrow(watches_t *ws, int fd, apr_uint64_t id,
                  unsigned int events);

/** `who` does not wait for it any more. */
void watch_leave(watches_t *ws, int fd, const struct conn_ctx_t *who);

/** A descriptor of the loop's own, heard with the id 0. */
apr_status_t watch_own(watches_t *ws, int fd);
void watch_disown(watches_t *ws, int fd);

/** Waits until something has happened; needs no lock.
 * @return how many were heard */
int watch_listen(const watches_t *ws, heard_t heard[HEARD_MAX]);

/** NULL: it was closed meanwhile, and is another's now. */
watch_t *watch_of(const watches_t *ws, const heard_t *heard);

/* ---- loop.c -------------------------------------------------------------- */

typedef struct loop_t loop_t;

/** In each child: makes `count` of them, or as many as can be had. Their
 * threads begin when there is something to do, and end before `pchild` does.
 * @return why there are fewer */
apr_status_t loops_init(apr_pool_t *pchild, int count);

/** Lends a connection to a loop, one that is idle or whose request waits, and
 * sleeps until it is back.
 * @return what the worker is to do with it; where it was not lent TURN_IDLE
 * or TURN_WAITS, as it was */
turn_e loop_ride(struct conn_ctx_t *cc);

/** Could a loop wait for that? */
int loop_takes(const struct conn_ctx_t *cc, const llmux_wait_t *wait);

/** The thread that drives this connection is a loop's, so its request waits
 * there. */
int loop_drives(const struct conn_ctx_t *cc);

/* ---- driver.c: the threads of a loop -------------------------------------- */

typedef struct drivers_t {
    pthread_mutex_t *lock;      /* the loop's: for all of this */
    pthread_cond_t change;      /* of any of these */
    unsigned int leader;        /* who drives; 0 = nobody */
    unsigned int deputy;        /* looks after him */
    unsigned int spare;         /* for when there is no deputy */
    unsigned int hired;         /* so far: the number of the newest */
    int coming;                 /* hired, and not here yet */
    int count;                  /* that have not ended */
    int quit;
    int empty;                  /* the loop has no members */
    int turning;                /* the leader is in a turn ... */
    unsigned int turns;         /* ... and this is its number */
    int lane;                   /* llmux_transport_lane() of its threads */
    void (*step)(void *loop);   /* one turn, or one sleep; under the lock,
                                 * which it opens for that */
    void *loop;
} drivers_t;

apr_status_t drivers_init(drivers_t *d, pthread_mutex_t *lock);

/** Under the lock: makes sure that there is somebody to drive.
 * @return 0: there is no thread to be had */
int drivers_call(drivers_t *d);

/** Under the lock, before a turn. @return its number */
unsigned int drivers_begin_turn(drivers_t *d);

/** Under the lock, after it. @return 0: it took so long that another one
 * leads now */
int drivers_end_turn(drivers_t *d, unsigned int turn);

/** Under the lock: they are to end. */
void drivers_dismiss(drivers_t *d);

/** Waits for that, until `deadline` of loop_now(). Nobody may hold the
 * lock. */
void drivers_await_end(drivers_t *d, apr_time_t deadline);

#endif
