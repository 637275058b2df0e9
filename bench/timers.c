/* timers.c - a heap of due times, and sleeping to the microsecond. */

#define _GNU_SOURCE
#include "timers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

static bench_timer_t **heap;    /* from 1, the earliest first */
static int used, room;

int64_t bench_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

void bench_timers_init(void)
{
    /* The default of 50 microseconds would show in every latency. */
    prctl(PR_SET_TIMERSLACK, 1UL);
}

/* ---- the heap -------------------------------------------------------- */

static void put(bench_timer_t *t, int i)
{
    heap[i] = t;
    t->place = i;
}

static void rise(bench_timer_t *t, int i)
{
    while (i > 1 && heap[i / 2]->due > t->due) {
        put(heap[i / 2], i);
        i /= 2;
    }
    put(t, i);
}

static void sink(bench_timer_t *t, int i)
{
    int child;

    for (child = 2 * i; child <= used; child = 2 * i) {
        if (child < used && heap[child + 1]->due < heap[child]->due) {
            child++;
        }
        if (heap[child]->due >= t->due) {
            break;
        }
        put(heap[child], i);
        i = child;
    }
    put(t, i);
}

static void grow(void)
{
    if (used + 1 < room) {
        return;
    }
    room = room ? 2 * room : 256;
    heap = realloc(heap, room * sizeof(*heap));
    if (!heap) {
        perror("realloc");
        exit(1);
    }
}

void bench_timer_set(bench_timer_t *t, int64_t due)
{
    bench_timer_stop(t);
    grow();
    t->due = due;
    rise(t, ++used);
}

void bench_timer_stop(bench_timer_t *t)
{
    int i = t->place;
    bench_timer_t *last;

    if (!i) {
        return;
    }
    t->place = 0;
    last = heap[used--];
    if (last == t) {
        return;
    }
    if (i > 1 && heap[i / 2]->due > last->due) {
        rise(last, i);
    }
    else {
        sink(last, i);
    }
}

bench_timer_t *bench_timer_due(int64_t now)
{
    bench_timer_t *t = used ? heap[1] : NULL;

    if (!t || t->due > now) {
        return NULL;
    }
    bench_timer_stop(t);
    return t;
}

/* ---- sleeping -------------------------------------------------------- */

static int failed(void)
{
    if (errno != EINTR) {
        perror("epoll_wait");
        exit(1);
    }
    return 0;
}

/* Kernels before 5.11 know whole milliseconds only. */
static int wait_coarse(int ep, struct epoll_event *events, int max,
                       int64_t left)
{
    int n = epoll_wait(ep, events, max,
                       left == NEVER ? -1 : (int)((left + MS - 1) / MS));

    return n < 0 ? failed() : n;
}

int bench_wait(int ep, struct epoll_event *events, int max, int64_t limit)
{
    int64_t due = used && heap[1]->due < limit ? heap[1]->due : limit;
    int64_t left = due == NEVER ? NEVER : due - bench_now();
    struct timespec ts;
    int n;

    if (left < 0) {
        left = 0;
    }
    ts.tv_sec = left / (1000 * MS);
    ts.tv_nsec = left % (1000 * MS);
    n = epoll_pwait2(ep, events, max, left == NEVER ? NULL : &ts, NULL);
    if (n < 0 && errno == ENOSYS) {
        return wait_coarse(ep, events, max, left);
    }
    return n < 0 ? failed() : n;
}
