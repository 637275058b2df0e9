/* driver.c - the threads of a loop: one leads, one is its deputy, and there
 * may be a spare. */

#include "loop.h"

#include <pthread.h>
#include <signal.h>

#include <mpm_common.h>

/* How often the deputy looks after the leader. A turn that has lasted for
 * longer holds up the others, who get another leader. */
#define LOOK_AFTER apr_time_from_msec(10)

/* A thread that is held up in a connection does not come back for that. */
#define FAREWELL apr_time_from_sec(3)

/* ---- hiring -------------------------------------------------------------- */

static void *drive(void *data);

/* Signals are for httpd's own threads. */
static int start_thread(pthread_t *t, drivers_t *d)
{
    sigset_t all, before;
    pthread_attr_t attr;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (ap_thread_stacksize) {
        pthread_attr_setstacksize(&attr, ap_thread_stacksize);
    }
    rc = pthread_create(t, &attr, drive, d);
    if (!rc) {
        pthread_setname_np(*t, "llmux-loop");
    }
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0;
}

static int hire(drivers_t *d)
{
    pthread_t t;

    if (d->quit || !start_thread(&t, d)) {
        return 0;
    }
    d->count++;
    return 1;
}

int drivers_call(drivers_t *d)
{
    if (d->count < 2) {
        hire(d);
    }
    if (d->idle) {
        apr_thread_cond_broadcast(d->change);
    }
    return d->count && !d->quit;
}

/* ---- turns --------------------------------------------------------------- */

unsigned int drivers_begin_turn(drivers_t *d)
{
    d->turning = 1;
    return ++d->turns;
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
static int look_after(drivers_t *d)
{
    unsigned int seen = d->turns;
    int was_turning = d->turning;

    if (d->idle) {
        apr_thread_cond_wait(d->change, d->lock);
        return 0;
    }
    return apr_thread_cond_timedwait(d->change, d->lock, LOOK_AFTER)
               == APR_TIMEUP
        && was_turning && d->turning && d->turns == seen;
}

/* Somebody is to be the new one; without one, too, it goes on. */
static void replace_deputy(drivers_t *d)
{
    d->deputy = 0;
    if (d->spare) {
        apr_thread_cond_broadcast(d->change);
    }
    else {
        hire(d);
    }
}

static void be_deputy(drivers_t *d, unsigned int me)
{
    d->deputy = me;
    while (!d->quit && d->leader && !look_after(d)) {
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
        apr_thread_cond_wait(d->change, d->lock);
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
    apr_thread_mutex_lock(d->lock);
    me = ++d->hired;
    while (!d->quit && (!d->deputy || be_spare(d, me))) {
        be_deputy(d, me);
        lead(d, me);
    }
    d->count--;
    apr_thread_cond_broadcast(d->change);
    apr_thread_mutex_unlock(d->lock);
    return NULL;
}

/* ---- the end -------------------------------------------------------------- */

void drivers_dismiss(drivers_t *d)
{
    apr_time_t until = apr_time_now() + FAREWELL, now;

    apr_thread_mutex_lock(d->lock);
    d->quit = 1;
    apr_thread_cond_broadcast(d->change);
    while (d->count && (now = apr_time_now()) < until) {
        apr_thread_cond_timedwait(d->change, d->lock, until - now);
    }
    apr_thread_mutex_unlock(d->lock);
}
