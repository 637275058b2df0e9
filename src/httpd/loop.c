/* loop.c - many connections, and the one thread that goes from one to the
 * next. */

#include "conn.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <apr_atomic.h>

struct loop_t {
    drivers_t drivers;
    apr_thread_mutex_t *lock;
    watches_t watches;
    conn_ctx_t *members;
    conn_ctx_t *first, *last;   /* the queue: who can go on */
    apr_time_t due;             /* nobody's comes before this; 0 = never */
    apr_time_t wakes;           /* when the leader does; 0 = he is awake */
    int bell;                   /* wakes him */
    int stopping;               /* nobody stays */
};

static loop_t *loops;
static int loop_count;
static apr_uint32_t next_loop;

#define FOREVER APR_INT64_MAX

/* ---- members --------------------------------------------------------------- */

static void add_member(loop_t *l, conn_ctx_t *cc)
{
    cc->seat.prev = NULL;
    cc->seat.next = l->members;
    if (l->members) {
        l->members->seat.prev = cc;
    }
    l->members = cc;
    l->drivers.idle = 0;
}

static void take_member(loop_t *l, conn_ctx_t *cc)
{
    seat_t *s = &cc->seat;

    *(s->prev ? &s->prev->seat.next : &l->members) = s->next;
    if (s->next) {
        s->next->seat.prev = s->prev;
    }
    l->drivers.idle = !l->members;
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

/* Its worker has it again: nothing of it is touched after this. */
static void give_back(loop_t *l, conn_ctx_t *cc, turn_e turn)
{
    if (cc->suspended) {
        leave_all(l, cc);
    }
    watch_leave(&l->watches, cc->fd, cc);
    watch_narrow(&l->watches, cc->fd, 0);
    take_member(l, cc);
    cc->seat.turn = turn;
    sem_post(&cc->seat.back);
}

/* ---- the queue ------------------------------------------------------------- */

static void enqueue(loop_t *l, conn_ctx_t *cc)
{
    if (cc->seat.queued) {
        return;
    }
    cc->seat.queued = 1;
    cc->seat.after = NULL;
    *(l->last ? &l->last->seat.after : &l->first) = cc;
    l->last = cc;
}

static conn_ctx_t *dequeue(loop_t *l)
{
    conn_ctx_t *cc = l->first;

    if (cc) {
        l->first = cc->seat.after;
        l->last = l->first ? l->last : NULL;
        cc->seat.queued = 0;
    }
    return cc;
}

/* ---- waiting --------------------------------------------------------------- */

static unsigned int bits(int events)
{
    return (events & LLMUX_WAIT_READ ? EPOLLIN | EPOLLRDHUP : 0)
        | (events & LLMUX_WAIT_WRITE ? EPOLLOUT : 0);
}

/* Who sleeps for longer than that is woken. */
static void wait_until(loop_t *l, conn_ctx_t *cc, apr_time_t due)
{
    apr_uint64_t one = 1;

    cc->seat.due = due;
    if (due && (!l->due || due < l->due)) {
        l->due = due;
    }
    if (l->wakes && (l->first || (due && due < l->wakes))
        && write(l->bell, &one, sizeof(one)) == sizeof(one)) {
        l->wakes = 0;
    }
}

/* @return 0: it cannot be watched */
static int await_client(loop_t *l, conn_ctx_t *cc)
{
    if (!watch_want(&l->watches, cc->fd, cc->id, cc, EPOLLIN | EPOLLRDHUP)) {
        return 0;
    }
    wait_until(l, cc, cc->idle_since + cc->patience);
    return 1;
}

/* A connection without an id is about to be made, or libcurl's: its number
 * says nothing the next time. */
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
        else if (!wait->fds[i].id
                 || !watch_want(&l->watches, fd, wait->fds[i].id, cc,
                                bits(wait->fds[i].events))) {
            return 0;
        }
    }
    return watch_want(&l->watches, cc->fd, cc->id, cc, client);
}

static apr_time_t earlier(apr_time_t a, apr_time_t b)
{
    return !a || (b && b < a) ? b : a;
}

/* @return 0: it is not to wait here */
static int await_answer(loop_t *l, conn_ctx_t *cc)
{
    request_ctx_t *ctx = cc->suspended;
    apr_interval_time_t patience = request_patience(ctx);

    if (patience < 0 || l->stopping || !want_all(l, cc, &ctx->wait)) {
        return 0;
    }
    cc->seat.gone = 0;
    cc->seat.long_at = patience ? apr_time_now() + patience : 0;
    wait_until(l, cc, earlier(ctx->wait.deadline, cc->seat.long_at));
    return 1;
}

/* ---- what has happened ------------------------------------------------------ */

/* Of a member's descriptor, as things are. */
static unsigned int wanted(const conn_ctx_t *cc, int fd)
{
    const request_ctx_t *ctx = cc->suspended;
    unsigned int events = 0;
    int i;

    if (cc->seat.driven) {
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
        cc->seat.gone |= heard->fd == cc->fd && !(events & LLMUX_WAIT_READ)
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
        watch_narrow(&l->watches, heard->fd, want);
    }
}

/* The bell rang, or the child must go: then all go home, and their workers
 * know what to do. */
static void hear_own(loop_t *l, const heard_t *heard)
{
    apr_uint64_t times;

    if (heard->fd != l->bell) {
        watch_disown(&l->watches, heard->fd);
        l->stopping = 1;
        l->due = 1;
    }
    else if (read(l->bell, &times, sizeof(times)) < 0) {
        return;     /* it was a false alarm */
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
    if (cc->suspended && !l->stopping && !is_past(cc->seat.long_at, now)) {
        enqueue(l, cc);
        return;
    }
    if (cc->suspended) {
        cc->suspended->tired = is_past(cc->seat.long_at, now);
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
        next = cc->seat.next;
        if (cc->seat.driven || cc->seat.queued) {
            continue;
        }
        if (l->stopping || is_past(cc->seat.due, now)) {
            expire(l, cc, now);
        }
        else {
            l->due = earlier(l->due, cc->seat.due);
        }
    }
}

/* ---- one step ----------------------------------------------------------------- */

static int sleep_time(const loop_t *l, apr_time_t now)
{
    if (!l->due) {
        return -1;
    }
    return l->due <= now ? 0 : (int)((l->due - now + 999) / 1000);
}

static void listen_to_all(loop_t *l)
{
    heard_t heard[HEARD_MAX];
    int i, count, ms = sleep_time(l, apr_time_now());

    l->wakes = l->due ? l->due : FOREVER;
    apr_thread_mutex_unlock(l->lock);
    count = watch_listen(&l->watches, heard, ms);
    apr_thread_mutex_lock(l->lock);
    l->wakes = 0;
    for (i = 0; i < count; i++) {
        if (heard[i].id) {
            hear(l, &heard[i]);
        }
        else {
            hear_own(l, &heard[i]);
        }
    }
    look_at_clocks(l, apr_time_now());
}

/* After a turn. */
static void settle(loop_t *l, conn_ctx_t *cc, turn_e turn)
{
    int stays = 0;

    if (turn == TURN_IDLE) {
        stays = !l->stopping && await_client(l, cc);
        turn = TURN_OVER;
    }
    else if (turn == TURN_WAITS) {
        stays = await_answer(l, cc);
    }
    if (!stays) {
        give_back(l, cc, turn);
    }
}

static void take_turn(loop_t *l, conn_ctx_t *cc)
{
    unsigned int number = drivers_begin_turn(&l->drivers);
    turn_e turn;

    if (cc->suspended) {
        leave_all(l, cc);
    }
    cc->seat.driven = 1;
    apr_thread_mutex_unlock(l->lock);
    turn = conn_turn(cc);
    apr_thread_mutex_lock(l->lock);
    cc->seat.driven = 0;
    drivers_end_turn(&l->drivers, number);
    settle(l, cc, turn);
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
    return cc && cc->seat.driven;
}

static int lend(loop_t *l, conn_ctx_t *cc)
{
    int lent = 0;

    apr_thread_mutex_lock(l->lock);
    if (!l->stopping && drivers_call(&l->drivers)) {
        add_member(l, cc);
        lent = await_client(l, cc);
        if (!lent) {
            take_member(l, cc);
        }
    }
    apr_thread_mutex_unlock(l->lock);
    return lent;
}

turn_e loop_ride(conn_ctx_t *cc)
{
    loop_t *l;

    if (!loop_count) {
        return TURN_IDLE;
    }
    l = &loops[apr_atomic_inc32(&next_loop) % (apr_uint32_t)loop_count];
    if (!lend(l, cc)) {
        return TURN_IDLE;
    }
    while (sem_wait(&cc->seat.back) < 0) {
    }
    return cc->seat.turn;
}

/* ---- the child ------------------------------------------------------------------ */

static apr_status_t loops_end(void *unused)
{
    int i;

    for (i = 0; i < loop_count; i++) {
        apr_uint64_t one = 1;

        apr_thread_mutex_lock(loops[i].lock);
        loops[i].drivers.quit = 1;
        apr_thread_mutex_unlock(loops[i].lock);
        if (write(loops[i].bell, &one, sizeof(one)) < 0) {
            continue;   /* it rings already */
        }
        drivers_dismiss(&loops[i].drivers);
    }
    loop_count = 0;
    return APR_SUCCESS;
}

static apr_status_t make(loop_t *l, int lane, apr_pool_t *pchild)
{
    drivers_t *d = &l->drivers;
    apr_status_t rv = apr_thread_mutex_create(&l->lock,
                                              APR_THREAD_MUTEX_DEFAULT,
                                              pchild);

    if (rv == APR_SUCCESS) {
        rv = apr_thread_cond_create(&d->change, pchild);
    }
    if (rv == APR_SUCCESS) {
        rv = watches_make(&l->watches);
    }
    l->bell = rv == APR_SUCCESS ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
    if (rv == APR_SUCCESS && (l->bell < 0
                              || !watch_own(&l->watches, l->bell))) {
        rv = errno;
    }
    if (wait_stop_fd() >= 0) {
        watch_own(&l->watches, wait_stop_fd());
    }
    d->lock = l->lock;
    d->lane = lane;
    d->step = step;
    d->loop = l;
    d->idle = 1;
    return rv;
}

apr_status_t loops_init(apr_pool_t *pchild, int count)
{
    apr_status_t rv = APR_SUCCESS;
    int i;

    loop_count = 0;
    loops = apr_pcalloc(pchild, (apr_size_t)count * sizeof(*loops));
    for (i = 0; i < count && rv == APR_SUCCESS; i++) {
        rv = make(&loops[i], i + 1, pchild);
    }
    if (rv == APR_SUCCESS) {
        loop_count = count;
        apr_pool_pre_cleanup_register(pchild, NULL, loops_end);
    }
    return rv;
}
