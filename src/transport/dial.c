/* dial.c - connects to the first of a host's addresses that answers. */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dial.h"

/* RFC 8305 section 8: Connection Attempt Delay. */
#define DELAY apr_time_from_msec(250)

/* ---- the order of trying ------------------------------------------------ */

/* The first from `at` on that is of this family, or is not. */
static int find(const llmux_addresses_t *in, int at, int family, int same)
{
    while (at < in->count && (in->at[at].sa.ss_family == family) != same) {
        at++;
    }
    return at;
}

/* First family, other, first, other; what is left of one comes last. */
static void interleave(llmux_addresses_t *out, const llmux_addresses_t *in)
{
    int family = in->count ? in->at[0].sa.ss_family : AF_UNSPEC;
    int at[2] = { find(in, 0, family, 0), find(in, 0, family, 1) };
    int same = 1;

    out->count = 0;
    while (out->count < in->count) {
        if (at[same] < in->count) {
            out->at[out->count++] = in->at[at[same]];
            at[same] = find(in, at[same] + 1, family, same);
        }
        same = !same;
    }
}

/* ---- one attempt -------------------------------------------------------- */

static int is_exhausted(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS
           || error == ENOMEM;
}

/* Of a socket, or of what it waits for. */
static void failed(llmux_dial_t *d, int error)
{
    /* EAGAIN would mean that it is still going on. */
    d->error = error == EAGAIN ? EADDRNOTAVAIL : error;
    d->next_at = 0;
}

static int socket_create(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    }
    return fd;
}

static void attempt(llmux_dial_t *d, apr_time_t now)
{
    const llmux_address_t *a = &d->to.at[d->next];
    int fd = socket_create(a->sa.ss_family);

    d->next_at = now + DELAY;
    if (fd < 0 && d->count && is_exhausted(errno)) {
        return;         /* later: those that connect may give one back */
    }
    d->next++;
    if (fd < 0) {
        failed(d, errno);
    }
    else if (!connect(fd, (const struct sockaddr *)&a->sa, a->len)
             || errno == EINPROGRESS || errno == EINTR) {
        d->ids[d->count] = llmux_wait_id();
        d->fds[d->count++] = fd;
    }
    else {
        failed(d, errno);
        close(fd);
    }
}

/* ---- all of them -------------------------------------------------------- */

static int take(llmux_dial_t *d, int i)
{
    int fd = d->fds[i];

    d->count--;
    memmove(&d->fds[i], &d->fds[i + 1], (d->count - i) * sizeof(d->fds[0]));
    memmove(&d->ids[i], &d->ids[i + 1], (d->count - i) * sizeof(d->ids[0]));
    return fd;
}

static int error_of(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) ? errno : error;
}

static int is_settled(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };

    return poll(&p, 1, 0) == 1 && p.revents;
}

/* The one that stands, or -1; those that failed are closed. */
static int harvest(llmux_dial_t *d)
{
    int i = 0, error;

    while (i < d->count) {
        if (!is_settled(d->fds[i])) {
            i++;
            continue;
        }
        error = error_of(d->fds[i]);
        if (!error) {
            return take(d, i);
        }
        failed(d, error);
        close(take(d, i));
    }
    return -1;
}

static int may_try(const llmux_dial_t *d)
{
    return d->next < d->to.count && d->count < LLMUX_DIAL_MAX;
}

static void wait_fill(const llmux_dial_t *d, llmux_wait_t *wait)
{
    int i;

    for (i = 0; i < d->count; i++) {
        llmux_wait_conn(wait, d->fds[i], d->ids[i], LLMUX_WAIT_WRITE);
    }
    if (may_try(d)) {
        llmux_wait_until(wait, d->next_at);
    }
}

void llmux_dial_start(llmux_dial_t *d, const llmux_env_t *env,
                      const llmux_addresses_t *to)
{
    interleave(&d->to, to);
    d->next = d->count = 0;
    d->error = EADDRNOTAVAIL;       /* of no address at all */
    d->next_at = 0;
    if (may_try(d)) {
        attempt(d, llmux_now(env));
    }
}

apr_status_t llmux_dial_step(llmux_dial_t *d, const llmux_env_t *env,
                             llmux_wait_t *wait, int *fd)
{
    apr_time_t now = llmux_now(env);

    *fd = harvest(d);
    while (*fd < 0 && may_try(d) && (!d->count || now >= d->next_at)) {
        attempt(d, now);
        *fd = harvest(d);
    }
    if (*fd >= 0) {
        llmux_dial_stop(d);
        return APR_SUCCESS;
    }
    if (!d->count) {
        return d->error;
    }
    wait_fill(d, wait);
    return APR_EAGAIN;
}

void llmux_dial_stop(llmux_dial_t *d)
{
    while (d->count) {
        close(take(d, d->count - 1));
    }
    d->next = d->to.count;
}
