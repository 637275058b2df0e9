/**
 * state.h - the one segment of shared memory: numbers and indexes, never
 * pointers. Mapped once per server life, so it outlives graceful restarts;
 * children of two generations use it at the same time.
 *
 *     +--------+----------------+--------------------------------------+
 *     | header | child[512]     | row[0] row[1] ... row[capacity-1]    |
 *     +--------+----------------+--------------------------------------+
 *               pid, in flight,   key, counters, histograms
 *
 * Row 0 counts what no deployment served. A row belongs to one deployment in
 * one group for the server's life and is found again by its key. Rows are
 * given out by the parent only (one thread); counting is atomic, any child,
 * any thread, no lock. Each row is there LLMUX_STATE_SHARDS times: children
 * count in different ones, so that their processors do not take the lines of
 * memory from each other, and who reads adds them up.
 */

#ifndef LLMUX_STATE_H
#define LLMUX_STATE_H

#include <sys/types.h>

#include "llmux/core.h"

/* To be raised when a number gets another meaning without another place, such
 * as that of a status. */
#define LLMUX_STATE_VERSION  1
#define LLMUX_STATE_CHILDREN 512
#define LLMUX_STATE_SHARDS   4
#define LLMUX_STATE_LINE     64     /* bytes that a processor takes at once */
#define LLMUX_STATE_SIZE_MIN (1 << 20)

/* Upper bounds in microseconds; what is above all goes into one more. */
#define LLMUX_BUCKETS 34
extern const apr_int64_t llmux_bucket_bounds[LLMUX_BUCKETS];

typedef struct llmux_histogram_t {
    apr_uint64_t bucket[LLMUX_BUCKETS + 1];
    apr_uint64_t sum;           /* microseconds */
} llmux_histogram_t;

typedef enum {
#define COUNTER(member, name, help) LLMUX_COUNT_##member,
#define HISTOGRAM(member, name, help)
#include "llmux/metrics.def"
#undef COUNTER
#undef HISTOGRAM
    LLMUX_COUNTERS
} llmux_counter_e;

typedef enum {
#define COUNTER(member, name, help)
#define HISTOGRAM(member, name, help) LLMUX_TIME_##member,
#include "llmux/metrics.def"
#undef COUNTER
#undef HISTOGRAM
    LLMUX_HISTOGRAMS
} llmux_histogram_e;

/* Statuses that get a counter of their own; the rest is the last. */
#define LLMUX_STATUSES 24
#define LLMUX_FAILURES 20       /* kinds of failed attempts */

typedef struct llmux_row_t {
    char key[48];               /* whose it is; "" = free */
    apr_uint64_t count[LLMUX_COUNTERS];
    apr_uint64_t status[LLMUX_STATUSES];    /* requests by their status */
    apr_uint64_t failure[LLMUX_FAILURES];   /* attempts by what failed */
    llmux_histogram_t time[LLMUX_HISTOGRAMS];
} __attribute__((aligned(LLMUX_STATE_LINE))) llmux_row_t;

typedef struct llmux_state_t llmux_state_t;

/** What is where in a segment, as a number: after an upgrade of the module a
 * graceful restart finds the segment of its predecessor. */
apr_uint64_t llmux_state_layout(void);

/** Maps a segment (anonymous, shared with children forked later).
 * @return NULL when memory is out */
llmux_state_t *llmux_state_map(apr_size_t size);

/** The key of a deployment's row in a group: a hash, so any name fits. */
const char *llmux_state_key(apr_pool_t *p, const char *group,
                            const char *deployment);

/** Finds or makes the row of `key`. Parent only.
 * @return its index, or -1 when the segment is full */
int llmux_state_row(llmux_state_t *s, const char *key);

/** The row to count in, for this child; row 0 for -1. */
llmux_row_t *llmux_state_at(llmux_state_t *s, int index);

/** What all children have counted in it. */
void llmux_state_read(llmux_state_t *s, int index, llmux_row_t *sum);

/** Adds one, or `n`. */
void llmux_state_add(apr_uint64_t *counter, apr_uint64_t n);
apr_uint64_t llmux_state_get(const apr_uint64_t *counter);
void llmux_state_observe(llmux_histogram_t *h, apr_interval_time_t t);

/** This process is a child now: takes a slot for its requests in flight. */
void llmux_state_child(llmux_state_t *s);

/** The child of this number has ended: its slot is free. */
void llmux_state_child_gone(llmux_state_t *s, pid_t pid);

/** A request of this child began (+1) or ended (-1). */
void llmux_state_in_flight(llmux_state_t *s, int change);

/** Requests in flight of all children that are alive. */
apr_int64_t llmux_state_in_flight_all(llmux_state_t *s);

/** One of them waits without a worker (+1), or does no longer (-1). */
void llmux_state_parked(llmux_state_t *s, int change);
apr_int64_t llmux_state_parked_all(llmux_state_t *s);

#endif
