/* driver.c - the threads of a loop: one leads, one is its deputy, and there
 * may be a spare. */

#include "loop.h"

#include <signal.h>
#include <time.h>

#include <mpm_common.h>

/* How often the deputy looks after the leader: a turn that he finds twice
 * holds up the others, who get another leader. A leader found asleep has
 * little to do, and is looked after less often. */
#define LOOK_AFTER apr_time_from_msec(10)
#define LOOK_AFTER_MAX apr_time_from_msec(40)

/* ---- the clock ----------------------------------------------------------- */

apr_time_t loop_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return apr_time_from_sec(t.tv_sec) + t.tv_nsec / 1000;
}

/* @return 0: nothing came until then */
static int wait_until(drivers_t *d, apr_time_t when)
{
    struct timespec t = {
        .tv_sec = (time_t)apr_time_sec(when),
        .tv_nsec = (long)apr_time_usec(when) * 1000
    };

    return pthread_cond_timedwait(&d->change, d->lock, &t) == 0;
}

apr_status_t drivers_init(drivers_t *d, pthread_mutex_t *lock)
{
    pthread_condattr_t attr;
    int rv = pthread_condattr_init(&attr);

    if (!rv) {
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        rv = pthread_cond_init(&d->change, &attr);
        pthread_condattr_destroy(&attr);
    }
    d->lock = lock;
    d->empty = 1;
    return rv;
}

/* ---- hiring -------------------------------------------------------------- */

static void *drive(void *data);

/* Signals are for httpd's own threads, but for those that say what this one
 * has done itself. */
static void mask_signals(sigset_t *before)
{
    static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT,
                               SIGTRAP, SIGSYS };
    sigset_t all;
    apr_size_t i;

    sigfillset(&all);
    for (i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        sigdelset(&all, own[i]);
    }
    pthread_sigmask(SIG_SETMASK, &all, before);
}

static int start_thread(drivers_t *d)
{
    sigset_t before;
    pthread_attr_t attr;
    pthread_t t;
    int rc;

    mask_signals(&before);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (ap_thread_stacksize) {
        pthread_attr_setstacksize(&attr, ap_thread_stacksize);
    }
    rc = pthread_create(&t, &attr, drive, d);
    if (!rc) {
        pthread_setname_np(t, "llmux-loop");
    }
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0;
}

static void hire(drivers_t *d)
{
    if (!d->quit && start_thread(d)) {
        d->count++;
        d->coming++;
    }
}

/* Where there was no thread to be had, there may be one now. */
static void fill_up(drivers_t *d)
{
    if (!d->deputy && !d->spare && !d->coming) {
        hire(d);
    }
}

int drivers_call(drivers_t *d)
{
    fill_up(d);
    if (d->empty) {
        pthread_cond_broadcast(&d->change);
    }
    return d->count && !d->quit;
}

/* ---- turns --------------------------------------------------------------- */

#define FILL_UP_EVERY 64

unsigned int drivers_begin_turn(drivers_t *d)
{
    d->turning = 1;
    if (++d->turns % FILL_UP_EVERY == 0) {
        fill_up(d);
    }
    return d->turns;
}

/* A new leader begins with another number. */
int drivers_end_turn(drivers_t *d, unsigned int turn)
{
    if (d->turns != turn) {
        return 0;
    }
    d->turning = 0;
    return 1;
}

/* ---- the deputy ----------------------------------------------------------- */

/* @return 1: the leader is in the turn that he was in before */
static int look_after(drivers_t *d, apr_interval_time_t *patience)
{
    unsigned int seen = d->turns;
    int was_turning = d->turning;

    if (d->empty) {
        pthread_cond_wait(&d->change, d->lock);
        return 0;
    }
    if (wait_until(d, loop_now() + *patience)) {
        return 0;
    }
    if (!d->turning) {
        *patience = *patience * 2 < LOOK_AFTER_MAX ? *patience * 2
                                                   : LOOK_AFTER_MAX;
        return 0;
    }
    *patience = LOOK_AFTER;
    return was_turning && d->turns == seen;
}

/* Somebody is to be the new one; without one, too, it goes on. */
static void replace_deputy(drivers_t *d)
{
    d->deputy = 0;
    if (d->spare) {
        pthread_cond_broadcast(&d->change);
    }
    else {
        fill_up(d);
    }
}

static void be_deputy(drivers_t *d, unsigned int me)
{
    apr_interval_time_t patience = LOOK_AFTER;

    d->deputy = me;
    while (!d->quit && d->leader && !look_after(d, &patience)) {
    }
    if (d->quit) {
        return;
    }
    d->leader = me;
    d->turning = 0;
    d->turns++;         /* so that the one before sees it */
    replace_deputy(d);
}

/* Whoever was held up finds that others have taken over. One of them stays:
 * on a busy machine it happens to everybody now and then.
 * @return 0: there are enough */
static int be_spare(drivers_t *d, unsigned int me)
{
    if (d->spare) {
        return 0;
    }
    d->spare = me;
    while (!d->quit && d->deputy) {
        pthread_cond_wait(&d->change, d->lock);
    }
    d->spare = 0;
    return 1;
}

static void lead(drivers_t *d, unsigned int me)
{
    while (!d->quit && d->leader == me) {
        d->step(d->loop);
    }
}

static void *drive(void *data)
{
    drivers_t *d = data;
    unsigned int me;

    llmux_transport_lane(d->lane);
    pthread_mutex_lock(d->lock);
    d->coming--;
    me = ++d->hired;
    while (!d->quit && (!d->deputy || be_spare(d, me))) {
        be_deputy(d, me);
        lead(d, me);
    }
    d->count--;
    pthread_cond_broadcast(&d->change);
    pthread_mutex_unlock(d->lock);
    return NULL;
}

/* ---- the end -------------------------------------------------------------- */

void drivers_dismiss(drivers_t *d)
{
    d->quit = 1;
    pthread_cond_broadcast(&d->change);
}

void drivers_await_end(drivers_t *d, apr_time_t deadline)
{
    pthread_mutex_lock(d->lock);
    while (d->count && loop_now() < deadline) {
        wait_until(d, deadline);
    }
    pthread_mutex_unlock(d->lock);
}
