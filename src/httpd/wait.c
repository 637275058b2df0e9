/* wait.c - how an exchange waits in its worker: on the provider and on the
 * client at the same time. */

#include "conn.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <apr_portable.h>
#include <http_core.h>

/* How late a client's leaving may be noticed where it has no descriptor. */
#define TICK_MS 100

/* ---- the end of the child --------------------------------------------- */

/* Readable once this child must go and takes its requests along; -1 without
 * one. httpd itself only closes their sockets then, which wakes nobody who
 * sleeps on them: a silent provider would hold up the whole server. */
static int stop_fd = -1;

int wait_stop_fd(void)
{
    return stop_fd;
}

static apr_status_t forget_stop(void *unused)
{
    close(stop_fd);
    stop_fd = -1;
    return APR_SUCCESS;
}

apr_status_t wait_init(apr_pool_t *pchild)
{
    stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop_fd < 0) {
        return errno;
    }
    apr_pool_cleanup_register(pchild, NULL, forget_stop,
                              apr_pool_cleanup_null);
    return APR_SUCCESS;
}

/* May run in a signal handler (prefork). */
void llmux_child_stopping(apr_pool_t *pchild, int graceful)
{
    apr_uint64_t one = 1;

    if (graceful) {
        return;
    }
    park_stop();
    if (stop_fd >= 0 && write(stop_fd, &one, sizeof(one)) < 0) {
        return;     /* it is readable already */
    }
}

/* ---- waiting ---------------------------------------------------------- */

int client_fd(const request_rec *r)
{
    apr_socket_t *socket = ap_get_conn_socket(r->connection);
    apr_os_sock_t fd = -1;

    if (r->connection->master || !socket) {
        return -1;
    }
    return apr_os_sock_get(&fd, socket) == APR_SUCCESS ? fd : -1;
}

static int reads_from(const llmux_wait_t *wait, int fd)
{
    int i;

    for (i = 0; i < wait->count; i++) {
        if (wait->fds[i].fd == fd && wait->fds[i].events & LLMUX_WAIT_READ) {
            return 1;
        }
    }
    return 0;
}

static int milliseconds(apr_interval_time_t t)
{
    return t <= 0 ? 0 : t > apr_time_from_sec(86400) ? 86400000
                          : (int)((t + 999) / 1000);
}

/* What poll() is to be told: the deadline, or patience or the tick where
 * they end earlier; -1 for ever. */
static int timeout_of(const llmux_wait_t *wait, apr_interval_time_t patience,
                      int ticking)
{
    int ms = wait->deadline ? milliseconds(wait->deadline - apr_time_now())
                            : -1;

    if (patience && (ms < 0 || ms > milliseconds(patience))) {
        ms = milliseconds(patience);
    }
    return ticking && (ms < 0 || ms > TICK_MS) ? TICK_MS : ms;
}

static int add(struct pollfd *fds, int n, int fd, int events)
{
    fds[n].fd = fd;
    fds[n].events = (short)events;
    fds[n].revents = 0;
    return n;
}

static int fill(struct pollfd *fds, const llmux_wait_t *wait)
{
    int i;

    for (i = 0; i < wait->count; i++) {
        int events = wait->fds[i].events;

        add(fds, i, wait->fds[i].fd,
            (events & LLMUX_WAIT_READ ? POLLIN : 0)
            | (events & LLMUX_WAIT_WRITE ? POLLOUT : 0));
    }
    return i;
}

static void tell(llmux_wait_t *wait, const struct pollfd *fds)
{
    int i;

    for (i = 0; i < wait->count; i++) {
        int got = fds[i].revents;

        wait->fds[i].ready =
            (got & (POLLIN | POLLHUP | POLLERR) ? LLMUX_WAIT_READ : 0)
            | (got & (POLLOUT | POLLERR) ? LLMUX_WAIT_WRITE : 0);
    }
}

static int is_aborted(const request_rec *r)
{
    const conn_rec *c = r->connection;

    return c->aborted || (c->master && c->master->aborted);
}

static waited_e result(const llmux_wait_t *wait, int events,
                       apr_interval_time_t patience)
{
    if (events || !patience
        || (wait->deadline && wait->deadline <= apr_time_now())) {
        return WAIT_OVER;
    }
    return WAIT_LONG;
}

/* A client that is still sending its body is watched by reading it. For all
 * others a closed direction means that nobody wants the answer: a provider
 * bills each second of it. Who is stopped has no client any more. */
waited_e wait_in_worker(request_rec *r, llmux_wait_t *wait,
                        apr_interval_time_t patience)
{
    struct pollfd fds[LLMUX_WAIT_FDS + 2];
    int fd = client_fd(r), n = fill(fds, wait), watch, stop, rc;

    watch = add(fds, n++, reads_from(wait, fd) ? -1 : fd, POLLRDHUP);
    stop = add(fds, n++, stop_fd, POLLIN);
    do {
        rc = poll(fds, (nfds_t)n, timeout_of(wait, patience, fd < 0));
    } while (rc < 0 && errno == EINTR);
    tell(wait, fds);
    if (fds[stop].revents) {
        return WAIT_STOPPED;
    }
    if (is_aborted(r) || fds[watch].revents) {
        return WAIT_GONE;
    }
    return result(wait, rc, patience);
}
