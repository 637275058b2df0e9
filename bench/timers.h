/* timers.h - what the mock provider and the load generator wait with. */

#ifndef BENCH_TIMERS_H
#define BENCH_TIMERS_H

#include <stdint.h>
#include <sys/epoll.h>

#define MS INT64_C(1000000)
#define NEVER INT64_MAX

/* Embedded as the first member of whatever waits. */
typedef struct bench_timer_t {
    int64_t due;    /* nanoseconds, as bench_now() */
    int place;      /* in the heap, from 1; 0: not waiting */
} bench_timer_t;

/** Nanoseconds of the monotonic clock. */
int64_t bench_now(void);

/** Wakes as soon after a due time as the kernel can. Call it once. */
void bench_timers_init(void);

/** Starts a timer, or moves one that runs already. */
void bench_timer_set(bench_timer_t *t, int64_t due);

/** Stops a timer; one that does not run is left alone. */
void bench_timer_stop(bench_timer_t *t);

/** Takes out the first timer that is due at `now`, NULL when none is. */
bench_timer_t *bench_timer_due(int64_t now);

/**
 * Waits for descriptors until the first timer or `limit`, whichever is
 * earlier.
 * @return as epoll_wait(), 0 when interrupted
 */
int bench_wait(int ep, struct epoll_event *events, int max, int64_t limit);

#endif
