/* watch.c - the descriptors of many connections in one epoll set. */

#include "loop.h"

#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

/* Of a number: one above that is not watched. */
#define FILES_BITS 16
#define FILES_MAX (1 << FILES_BITS)

apr_status_t watches_make(watches_t *ws)
{
    ws->at = mmap(NULL, FILES_MAX * sizeof(*ws->at), PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (ws->at == MAP_FAILED) {
        ws->fd = -1;
        return errno;
    }
    ws->fd = epoll_create1(EPOLL_CLOEXEC);
    return ws->fd >= 0 ? APR_SUCCESS : errno;
}

void watches_end(watches_t *ws)
{
    if (ws->fd >= 0) {
        close(ws->fd);
    }
    if (ws->at != MAP_FAILED) {
        munmap(ws->at, FILES_MAX * sizeof(*ws->at));
    }
}

/* ---- what is watched --------------------------------------------------- */

static int control(const watches_t *ws, int op, int fd, apr_uint64_t id,
                   unsigned int events)
{
    struct epoll_event ev = {
        .events = events,
        .data = { .u64 = id << FILES_BITS | (apr_uint64_t)fd }
    };

    return epoll_ctl(ws->fd, op, fd, &ev) == 0;
}

/* The set forgets a file when it is closed; one that goes on under another
 * id, connected now, it still knows. (Where another process has the file too,
 * it knows it for as long: somebody forked without exec, and we cannot help
 * it.) */
static int put(const watches_t *ws, int fd, apr_uint64_t id,
               unsigned int before, unsigned int events)
{
    int ops[] = { EPOLL_CTL_ADD, EPOLL_CTL_MOD }, known = before != 0;

    return control(ws, ops[known], fd, id, events)
        || (errno == (known ? ENOENT : EEXIST)
            && control(ws, ops[!known], fd, id, events));
}

int watch_want(watches_t *ws, int fd, apr_uint64_t id,
               struct conn_ctx_t *who, unsigned int events)
{
    watch_t *w;

    if (fd < 0 || fd >= FILES_MAX) {
        return 0;
    }
    w = &ws->at[fd];
    if (w->id != id) {
        w->id = id;
        w->events = 0;
    }
    w->who = who;
    if ((w->events & events) == events) {
        return 1;
    }
    w->events = put(ws, fd, id, w->events, events) ? events : 0;
    if (!w->events) {
        w->who = NULL;
    }
    return w->events != 0;
}

void watch_narrow(watches_t *ws, int fd, apr_uint64_t id,
                  unsigned int events)
{
    watch_t *w;

    if (fd < 0 || fd >= FILES_MAX) {
        return;         /* it never was */
    }
    w = &ws->at[fd];
    if (w->id != id) {
        return;         /* another's now, who may want more */
    }
    if (w->events != events
        && !control(ws, events ? EPOLL_CTL_MOD : EPOLL_CTL_DEL, fd, w->id,
                    events)) {
        events = 0;     /* it is closed */
    }
    w->events = events;
}

void watch_leave(watches_t *ws, int fd, const struct conn_ctx_t *who)
{
    if (fd >= 0 && fd < FILES_MAX && ws->at[fd].who == who) {
        ws->at[fd].who = NULL;
    }
}

apr_status_t watch_own(watches_t *ws, int fd)
{
    if (fd >= FILES_MAX) {
        return EMFILE;
    }
    return control(ws, EPOLL_CTL_ADD, fd, 0, EPOLLIN) ? APR_SUCCESS : errno;
}

void watch_disown(watches_t *ws, int fd)
{
    control(ws, EPOLL_CTL_DEL, fd, 0, 0);
}

/* ---- what has happened -------------------------------------------------- */

int watch_listen(const watches_t *ws, heard_t heard[HEARD_MAX])
{
    struct epoll_event ev[HEARD_MAX];
    int i, count = epoll_wait(ws->fd, ev, HEARD_MAX, -1);

    for (i = 0; i < count; i++) {
        heard[i].id = ev[i].data.u64 >> FILES_BITS;
        heard[i].fd = (int)(ev[i].data.u64 & (FILES_MAX - 1));
        heard[i].events = ev[i].events;
    }
    return i;
}

watch_t *watch_of(const watches_t *ws, const heard_t *heard)
{
    watch_t *w = &ws->at[heard->fd];

    return w->id == heard->id ? w : NULL;
}
