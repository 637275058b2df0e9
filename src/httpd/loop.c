/* loop.c - many connections, and the one thread that goes from one to the
 * next. */

#include "conn.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <apr_atomic.h>

struct loop_t {
    drivers_t drivers;
    pthread_mutex_t lock;       /* all of it but what a driver drives */
    watches_t watches;
    conn_ctx_t *members;
    conn_ctx_t *first, *last;   /* the queue: who can go on */
    apr_time_t due;             /* loop_now() before which nobody is to be
                                 * looked after; 0 = never */
    int clock;                  /* wakes the leader then, or earlier */
    apr_time_t set_to;          /* when it rings; 0 = it is not set */
    int bell;                   /* wakes him now */
    int stopping;               /* nobody stays */
};

static loop_t *loops;
static int loop_count;
static apr_uint32_t next_loop;

/* ---- seats ----------------------------------------------------------------- */

static apr_status_t seat_end(void *data)
{
    seat_t *s = data;

    sem_destroy(&s->back);
    return APR_SUCCESS;
}

seat_t *seat_make(apr_pool_t *p)
{
    seat_t *s = apr_pcalloc(p, sizeof(*s));

    if (sem_init(&s->back, 0, 0) < 0) {
        return NULL;
    }
    apr_pool_cleanup_register(p, s, seat_end, apr_pool_cleanup_null);
    return s;
}

/* ---- members --------------------------------------------------------------- */

static void add_member(loop_t *l, conn_ctx_t *cc)
{
    cc->seat->prev = NULL;
    cc->seat->next = l->members;
    if (l->members) {
        l->members->seat->prev = cc;
    }
    l->members = cc;
    l->drivers.empty = 0;
}

static void drop_member(loop_t *l, conn_ctx_t *cc)
{
    seat_t *s = cc->seat;

    *(s->prev ? &s->prev->seat->next : &l->members) = s->next;
    if (s->next) {
        s->next->seat->prev = s->prev;
    }
    l->drivers.empty = !l->members;
}

/* Nobody waits there for its request any more. */
static void leave_all(loop_t *l, const conn_ctx_t *cc)
{
    const llmux_wait_t *wait = &cc->suspended->wait;
    int i;

    for (i = 0; i < wait->count; i++) {
        if (wait->fds[i].fd != cc->fd) {
            watch_leave(&l->watches, wait->fds[i].fd, cc);
        }
    }
}

static void forget(loop_t *l, conn_ctx_t *cc)
{
    if (cc->suspended) {
        leave_all(l, cc);
    }
    watch_leave(&l->watches, cc->fd, cc);
    watch_narrow(&l->watches, cc->fd, cc->id, 0);
    drop_member(l, cc);
}

/* Its worker has it again: nothing of it is touched after this. */
static void give_back(loop_t *l, conn_ctx_t *cc, turn_e turn)
{
    forget(l, cc);
    cc->seat->turn = turn;
    sem_post(&cc->seat->back);
}

/* ---- the queue ------------------------------------------------------------- */

static void enqueue(loop_t *l, conn_ctx_t *cc)
{
    if (cc->seat->queued) {
        return;
    }
    cc->seat->queued = 1;
    cc->seat->after = NULL;
    *(l->last ? &l->last->seat->after : &l->first) = cc;
    l->last = cc;
}

static conn_ctx_t *dequeue(loop_t *l)
{
    conn_ctx_t *cc = l->first;

    if (cc) {
        l->first = cc->seat->after;
        l->last = l->first ? l->last : NULL;
        cc->seat->queued = 0;
    }
    return cc;
}

/* ---- waiting --------------------------------------------------------------- */

static unsigned int bits(int events)
{
    return (events & LLMUX_WAIT_READ ? EPOLLIN | EPOLLRDHUP : 0)
        | (events & LLMUX_WAIT_WRITE ? EPOLLOUT : 0);
}

static apr_time_t earlier(apr_time_t a, apr_time_t b)
{
    return !a || (b && b < a) ? b : a;
}

/* A time limit for each sleep would set a timer of the kernel's each time;
 * this one is set when it must ring earlier, and after it has rung. */
static void set_clock(loop_t *l)
{
    struct itimerspec t = {
        .it_value = { .tv_sec = (time_t)apr_time_sec(l->due),
                      .tv_nsec = (long)apr_time_usec(l->due) * 1000 }
    };

    if (l->due && (!l->set_to || l->due < l->set_to)
        && timerfd_settime(l->clock, TFD_TIMER_ABSTIME, &t, NULL) == 0) {
        l->set_to = l->due;
    }
}

static void wait_until(loop_t *l, conn_ctx_t *cc, apr_time_t due)
{
    cc->seat->due = due;
    l->due = earlier(l->due, due);
    set_clock(l);
}

/* @return 0: it has been waited for, or cannot be watched */
static int await_client(loop_t *l, conn_ctx_t *cc)
{
    apr_time_t until = cc->idle_since + cc->patience;

    if (until <= loop_now()
        || !watch_want(&l->watches, cc->fd, cc->id, cc, EPOLLIN | EPOLLRDHUP)) {
        return 0;
    }
    wait_until(l, cc, until);
    return 1;
}

/* A connection without an id is looked up, or shakes hands, or is libcurl's:
 * its number says nothing the next time. */
static int have_ids(const conn_ctx_t *cc, const llmux_wait_t *wait)
{
    int i;

    for (i = 0; i < wait->count; i++) {
        if (wait->fds[i].fd != cc->fd && !wait->fds[i].id) {
            return 0;
        }
    }
    return 1;
}

static int want_all(loop_t *l, conn_ctx_t *cc, llmux_wait_t *wait)
{
    unsigned int client = EPOLLRDHUP;
    int i;

    for (i = 0; i < wait->count; i++) {
        int fd = wait->fds[i].fd;

        wait->fds[i].ready = 0;
        if (fd == cc->fd) {
            client |= bits(wait->fds[i].events);
        }
        else if (!watch_want(&l->watches, fd, wait->fds[i].id, cc,
                             bits(wait->fds[i].events))) {
            return 0;
        }
    }
    return watch_want(&l->watches, cc->fd, cc->id, cc, client);
}

/* A request's deadline is one of the clock on the wall. */
static apr_time_t on_our_clock(apr_time_t deadline, apr_time_t now)
{
    apr_interval_time_t left = deadline - apr_time_now();

    return !deadline ? 0 : left > 0 ? now + left : now;
}

/* @return 0: it is not to wait here */
static int await_answer(loop_t *l, conn_ctx_t *cc)
{
    request_ctx_t *ctx = cc->suspended;
    apr_interval_time_t patience = request_patience(ctx, USE_RIDE);
    apr_time_t now = loop_now();

    if (patience < 0 || l->stopping || !have_ids(cc, &ctx->wait)
        || !want_all(l, cc, &ctx->wait)) {
        return 0;
    }
    cc->seat->gone = 0;
    cc->seat->long_at = patience ? now + patience : 0;
    wait_until(l, cc, earlier(on_our_clock(ctx->wait.deadline, now),
                              cc->seat->long_at));
    return 1;
}

/* ---- what has happened ------------------------------------------------------ */

/* Of a member's descriptor, as things are. */
static unsigned int wanted(const conn_ctx_t *cc, int fd)
{
    const request_ctx_t *ctx = cc->suspended;
    unsigned int events = 0;
    int i;

    if (cc->seat->driven) {
        return 0;
    }
    if (!ctx) {
        return fd == cc->fd ? EPOLLIN | EPOLLRDHUP : 0;
    }
    for (i = 0; i < ctx->wait.count; i++) {
        if (ctx->wait.fds[i].fd == fd) {
            events |= bits(ctx->wait.fds[i].events);
        }
    }
    return events | (fd == cc->fd ? EPOLLRDHUP : 0);
}

/* @return what of it the request waits for */
static int make_ready(request_ctx_t *ctx, int fd, unsigned int got)
{
    llmux_wait_t *wait = &ctx->wait;
    int i, events = 0;

    for (i = 0; i < wait->count; i++) {
        if (wait->fds[i].fd == fd) {
            events |= wait->fds[i].events;
            wait->fds[i].ready |=
                (got & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)
                     ? LLMUX_WAIT_READ : 0)
                | (got & (EPOLLOUT | EPOLLERR) ? LLMUX_WAIT_WRITE : 0);
        }
    }
    return events;
}

/* Who still sends his body is watched by reading it. */
static void tell(conn_ctx_t *cc, const heard_t *heard)
{
    int events;

    if (cc->suspended) {
        events = make_ready(cc->suspended, heard->fd, heard->events);
        cc->seat->gone |= heard->fd == cc->fd && !(events & LLMUX_WAIT_READ)
            && heard->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    }
}

static void hear(loop_t *l, const heard_t *heard)
{
    watch_t *w = watch_of(&l->watches, heard);
    unsigned int want;

    if (!w) {
        return;
    }
    want = w->who ? wanted(w->who, heard->fd) : 0;
    if (want && heard->events & (want | EPOLLHUP | EPOLLERR)) {
        tell(w->who, heard);
        enqueue(l, w->who);
    }
    else {
        watch_narrow(&l->watches, heard->fd, heard->id, want);
    }
}

/* An event's or a timer's: how often it rang. */
static void silence(int fd)
{
    apr_uint64_t times;

    if (read(fd, &times, sizeof(times)) < 0) {
        return;     /* it was a false alarm */
    }
}

/* The bell or the clock rang, or the child must go: then all go home, and
 * their workers know what to do. */
static void hear_own(loop_t *l, const heard_t *heard)
{
    if (heard->fd == l->bell) {
        silence(l->bell);
    }
    else if (heard->fd == l->clock) {
        silence(l->clock);
        l->set_to = 0;
    }
    else {
        watch_disown(&l->watches, heard->fd);
        l->stopping = 1;
        l->due = 1;
    }
}

/* ---- clocks ----------------------------------------------------------------- */

static int is_past(apr_time_t when, apr_time_t now)
{
    return when && when <= now;
}

/* Its time is over: the request's own deadline is for the request to see,
 * the rest is for its worker. */
static void expire(loop_t *l, conn_ctx_t *cc, apr_time_t now)
{
    if (cc->suspended && !l->stopping && !is_past(cc->seat->long_at, now)) {
        enqueue(l, cc);
        return;
    }
    if (cc->suspended) {
        cc->suspended->tired = is_past(cc->seat->long_at, now);
    }
    give_back(l, cc, cc->suspended ? TURN_WAITS : TURN_OVER);
}

static void look_at_clocks(loop_t *l, apr_time_t now)
{
    conn_ctx_t *cc, *next;

    if (!is_past(l->due, now)) {
        return;
    }
    l->due = 0;
    for (cc = l->members; cc; cc = next) {
        next = cc->seat->next;
        if (cc->seat->driven || cc->seat->queued) {
            continue;
        }
        if (l->stopping || is_past(cc->seat->due, now)) {
            expire(l, cc, now);
        }
        else {
            l->due = earlier(l->due, cc->seat->due);
        }
    }
}

/* ---- one step ----------------------------------------------------------------- */

static void listen_to_all(loop_t *l)
{
    heard_t heard[HEARD_MAX];
    int i, count;

    pthread_mutex_unlock(&l->lock);
    count = watch_listen(&l->watches, heard);
    pthread_mutex_lock(&l->lock);
    for (i = 0; i < count; i++) {
        if (heard[i].id) {
            hear(l, &heard[i]);
        }
        else {
            hear_own(l, &heard[i]);
        }
    }
    look_at_clocks(l, loop_now());
    set_clock(l);
}

/* After a turn. Who has held up the others goes home. */
static void settle(loop_t *l, conn_ctx_t *cc, turn_e turn, int in_time)
{
    int stays = 0;

    if (turn == TURN_IDLE) {
        stays = in_time && cc->rides && !l->stopping && await_client(l, cc);
        turn = TURN_OVER;
    }
    else if (turn == TURN_WAITS) {
        stays = in_time && await_answer(l, cc);
    }
    if (!stays) {
        give_back(l, cc, turn);
    }
}

static void take_turn(loop_t *l, conn_ctx_t *cc)
{
    unsigned int number = drivers_begin_turn(&l->drivers);
    int in_time;
    turn_e turn;

    if (cc->suspended) {
        leave_all(l, cc);
    }
    cc->seat->driven = 1;
    pthread_mutex_unlock(&l->lock);
    turn = conn_turn(cc);
    pthread_mutex_lock(&l->lock);
    cc->seat->driven = 0;
    in_time = drivers_end_turn(&l->drivers, number);
    if (!in_time) {
        conn_held_up(cc, turn);
    }
    settle(l, cc, turn, in_time);
}

static void step(void *data)
{
    loop_t *l = data;
    conn_ctx_t *cc = dequeue(l);

    if (cc) {
        take_turn(l, cc);
    }
    else {
        listen_to_all(l);
    }
}

/* ---- riding ------------------------------------------------------------------- */

int loop_drives(const conn_ctx_t *cc)
{
    return cc && cc->seat && cc->seat->driven;
}

int loop_takes(const conn_ctx_t *cc, const llmux_wait_t *wait)
{
    return loop_count && have_ids(cc, wait);
}

static int lend(loop_t *l, conn_ctx_t *cc)
{
    int lent = 0;

    pthread_mutex_lock(&l->lock);
    if (!l->stopping && drivers_call(&l->drivers)) {
        add_member(l, cc);
        lent = cc->suspended ? await_answer(l, cc) : await_client(l, cc);
        if (!lent) {
            forget(l, cc);
        }
    }
    pthread_mutex_unlock(&l->lock);
    return lent;
}

turn_e loop_ride(conn_ctx_t *cc)
{
    turn_e as_before = cc->suspended ? TURN_WAITS : TURN_IDLE;
    loop_t *l;

    if (!loop_count) {
        return as_before;
    }
    l = &loops[apr_atomic_inc32(&next_loop) % (apr_uint32_t)loop_count];
    if (!lend(l, cc)) {
        return as_before;
    }
    while (sem_wait(&cc->seat->back) < 0) {
    }
    return cc->seat->turn;
}

/* ---- the child ------------------------------------------------------------------ */

/* A thread that is held up in a connection does not come back for that. */
#define FAREWELL apr_time_from_sec(3)

static void ring(const loop_t *l)
{
    apr_uint64_t one = 1;

    if (write(l->bell, &one, sizeof(one)) < 0) {
        return;     /* it rings already */
    }
}

static void dismiss(loop_t *l)
{
    pthread_mutex_lock(&l->lock);
    drivers_dismiss(&l->drivers);
    ring(l);
    pthread_mutex_unlock(&l->lock);
}

static apr_status_t loops_end(void *unused)
{
    apr_time_t deadline = loop_now() + FAREWELL;
    int i, count = loop_count;

    loop_count = 0;
    for (i = 0; i < count; i++) {
        dismiss(&loops[i]);
    }
    for (i = 0; i < count; i++) {
        drivers_await_end(&loops[i].drivers, deadline);
    }
    return APR_SUCCESS;
}

static apr_status_t make_alarms(loop_t *l)
{
    apr_status_t rv;

    l->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->bell < 0) {
        return errno;
    }
    l->clock = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (l->clock < 0) {
        return errno;
    }
    rv = watch_own(&l->watches, l->bell);
    return rv == APR_SUCCESS ? watch_own(&l->watches, l->clock) : rv;
}

static void unmake(loop_t *l)
{
    watches_end(&l->watches);
    if (l->bell >= 0) {
        close(l->bell);
    }
    if (l->clock >= 0) {
        close(l->clock);
    }
}

static apr_status_t make(loop_t *l, int lane)
{
    apr_status_t rv = pthread_mutex_init(&l->lock, NULL);

    l->bell = l->clock = -1;
    l->drivers.step = step;
    l->drivers.loop = l;
    l->drivers.lane = lane;
    if (rv == APR_SUCCESS) {
        rv = drivers_init(&l->drivers, &l->lock);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = watches_make(&l->watches);
    if (rv == APR_SUCCESS) {
        rv = make_alarms(l);
    }
    if (rv == APR_SUCCESS && wait_stop_fd() >= 0) {
        rv = watch_own(&l->watches, wait_stop_fd());
    }
    if (rv != APR_SUCCESS) {
        unmake(l);
    }
    return rv;
}

apr_status_t loops_init(apr_pool_t *pchild, int count)
{
    apr_status_t rv = APR_SUCCESS;

    loop_count = 0;
    loops = apr_pcalloc(pchild, (apr_size_t)count * sizeof(*loops));
    while (loop_count < count && rv == APR_SUCCESS) {
        rv = make(&loops[loop_count], loop_count + 1);
        loop_count += rv == APR_SUCCESS;
    }
    apr_pool_pre_cleanup_register(pchild, NULL, loops_end);
    return rv;
}
