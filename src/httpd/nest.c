/* nest.c - several descriptors behind one, which httpd can watch. */

#include "conn.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define EVENTS_MAX (LLMUX_WAIT_FDS + 2)

void nest_init(nest_t *n, int client)
{
    n->fd = n->timer = -1;
    n->armed = 0;
    n->client = client;
    n->client_events = 0;
    n->count = 0;
}

void nest_close(nest_t *n, int lost)
{
    if (n->fd >= 0 && !lost) {
        close(n->fd);
    }
    if (n->timer >= 0) {
        close(n->timer);
    }
    nest_init(n, n->client);
}

/* ---- what is watched --------------------------------------------------- */

static int set(nest_t *n, int op, int fd, unsigned int events)
{
    struct epoll_event ev = { .events = events, .data = { .fd = fd } };

    return epoll_ctl(n->fd, op, fd, &ev) == 0;
}

/* A number may have been closed since and be another connection's now: the
 * set knows files, not numbers, so it is asked each time. */
static int watch(nest_t *n, int fd, unsigned int events)
{
    return set(n, EPOLL_CTL_MOD, fd, events)
        || (errno == ENOENT && set(n, EPOLL_CTL_ADD, fd, events));
}

static int make(nest_t *n)
{
    if (n->fd >= 0) {
        return 1;
    }
    n->fd = epoll_create1(EPOLL_CLOEXEC);
    n->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (n->fd >= 0 && n->timer >= 0
        && set(n, EPOLL_CTL_ADD, n->timer, EPOLLIN)) {
        return 1;
    }
    nest_close(n, 0);
    return 0;
}

static unsigned int bits(int events)
{
    return (events & LLMUX_WAIT_READ ? EPOLLIN | EPOLLRDHUP : 0)
        | (events & LLMUX_WAIT_WRITE ? EPOLLOUT : 0);
}

static int is_waited_for(const llmux_wait_t *wait, int fd)
{
    int i = 0;

    while (i < wait->count && wait->fds[i].fd != fd) {
        i++;
    }
    return i < wait->count;
}

/* Given back to its pool, a connection speaks to others; closed, its number
 * may be another's already, which this set does not know. */
static void unwatch(nest_t *n, const llmux_wait_t *wait)
{
    int i;

    for (i = 0; i < n->count; i++) {
        if (!is_waited_for(wait, n->watched[i])) {
            set(n, EPOLL_CTL_DEL, n->watched[i], 0);
        }
    }
    n->count = 0;
}

/* Of the client always that he leaves; his bytes, or room for ours, when the
 * exchange waits for them. */
static int watch_all(nest_t *n, const llmux_wait_t *wait)
{
    unsigned int client = EPOLLRDHUP;
    int i;

    for (i = 0; i < wait->count; i++) {
        int fd = wait->fds[i].fd;

        if (fd == n->client) {
            client |= bits(wait->fds[i].events);
        }
        else if (watch(n, fd, bits(wait->fds[i].events))) {
            n->watched[n->count++] = fd;
        }
        else {
            return 0;
        }
    }
    if (client != n->client_events && !watch(n, n->client, client)) {
        return 0;
    }
    n->client_events = client;
    return 1;
}

/* Ringing too early costs one turn, setting it anew a system call each time:
 * so a clock that is early enough stays. */
static int arm(nest_t *n, const llmux_wait_t *wait, apr_interval_time_t tick)
{
    apr_time_t now = apr_time_now(), due = now + tick;
    struct itimerspec when = { { 0, 0 }, { 0, 0 } };

    if (wait->deadline && wait->deadline < due) {
        due = wait->deadline;
    }
    if (n->armed > now && n->armed <= due) {
        return 1;
    }
    n->armed = due;
    due = due > now ? due - now : 1;
    when.it_value.tv_sec = apr_time_sec(due);
    when.it_value.tv_nsec = apr_time_usec(due) * 1000;
    return timerfd_settime(n->timer, 0, &when, NULL) == 0;
}

apr_status_t nest_watch(nest_t *n, const llmux_wait_t *wait,
                        apr_interval_time_t tick)
{
    if (!make(n)) {
        return errno;
    }
    unwatch(n, wait);
    return watch_all(n, wait) && arm(n, wait, tick) ? APR_SUCCESS : errno;
}

/* ---- what has happened ------------------------------------------------- */

static void rung(nest_t *n)
{
    apr_uint64_t times;

    n->armed = 0;
    if (read(n->timer, &times, sizeof(times)) < 0) {
        return;     /* it was a false alarm */
    }
}

/* @return what was waited for there */
static int tell(llmux_wait_t *wait, int fd, unsigned int got)
{
    int i;

    for (i = 0; i < wait->count; i++) {
        if (wait->fds[i].fd == fd) {
            wait->fds[i].ready =
                (got & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)
                     ? LLMUX_WAIT_READ : 0)
                | (got & (EPOLLOUT | EPOLLERR) ? LLMUX_WAIT_WRITE : 0);
            return wait->fds[i].events;
        }
    }
    return 0;
}

/* Who still sends his body is watched by reading it. */
static int has_left(unsigned int got, int waited)
{
    return got & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)
        && !(waited & LLMUX_WAIT_READ);
}

int nest_look(nest_t *n, llmux_wait_t *wait)
{
    struct epoll_event ev[EVENTS_MAX];
    int i, here = 1, count = epoll_wait(n->fd, ev, EVENTS_MAX, 0);

    for (i = 0; i < wait->count; i++) {
        wait->fds[i].ready = 0;
    }
    for (i = 0; i < count; i++) {
        int fd = ev[i].data.fd;

        if (fd == n->timer) {
            rung(n);
        }
        else if (fd == n->client) {
            here = !has_left(ev[i].events, tell(wait, fd, ev[i].events));
        }
        else {
            tell(wait, fd, ev[i].events);
        }
    }
    return here;
}
