/* dial.c - the first of several addresses that answers. */

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <apr_strings.h>

#include "tap.h"
#include "transport/dial.h"

#define MS (APR_USEC_PER_SEC / 1000)

/* ---- a clock ----------------------------------------------------------- */

static apr_time_t now_is = 1000 * APR_USEC_PER_SEC;

static apr_time_t clock_now(void *host)
{
    return now_is;
}

static const llmux_env_t env = { .now = clock_now };

/* ---- places to dial ----------------------------------------------------- */

static int port_of(int fd)
{
    struct sockaddr_in a;
    socklen_t len = sizeof(a);

    getsockname(fd, (struct sockaddr *)&a, &len);
    return ntohs(a.sin_port);
}

static void add(llmux_addresses_t *to, int port)
{
    struct sockaddr_in sa = { .sin_family = AF_INET };
    llmux_address_t *a = &to->at[to->count++];

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sa.sin_port = htons(port);
    memset(a, 0, sizeof(*a));
    memcpy(&a->sa, &sa, sizeof(sa));
    a->len = sizeof(sa);
}

/* A socket of this kind on a port of its own; listens if backlog >= 0. */
static int bound(int backlog)
{
    llmux_addresses_t any = { 0 };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    add(&any, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&any.at[0].sa, any.at[0].len)
        || (backlog >= 0 && listen(fd, backlog))) {
        perror("bound");
    }
    return fd;
}

static int nudge(int port)
{
    llmux_addresses_t to = { 0 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    add(&to, port);
    connect(fd, (struct sockaddr *)&to.at[0].sa, to.at[0].len);
    return fd;
}

static int is_up(int fd, int ms)
{
    struct pollfd p = { fd, POLLOUT, 0 };

    return poll(&p, 1, ms) == 1;
}

/* A listener whose queue is full does not answer any more. */
static struct {
    int listener, port, count;
    int held[16];
} hole;

static int hole_dig(void)
{
    int up = 1;

    hole.listener = bound(0);
    hole.port = port_of(hole.listener);
    while (up && hole.count < 16) {
        hole.held[hole.count] = nudge(hole.port);
        up = is_up(hole.held[hole.count++], 100);
    }
    return !up;
}

/* Lets those in who wait. */
static void hole_open(void)
{
    struct pollfd p = { hole.listener, POLLIN, 0 };

    while (poll(&p, 1, 0) == 1) {
        close(accept(hole.listener, NULL, NULL));
    }
}

static int good, good_port, refusing;

/* ---- looking at it ------------------------------------------------------ */

static int fds_open(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(dir)) {
        n++;
    }
    closedir(dir);
    return n;
}

static apr_status_t step(llmux_dial_t *d, llmux_wait_t *wait, int *fd)
{
    memset(wait, 0, sizeof(*wait));
    return llmux_dial_step(d, &env, wait, fd);
}

/* Steps as long as a descriptor becomes ready; time stands still. */
static apr_status_t settle(llmux_dial_t *d, llmux_wait_t *wait, int *fd)
{
    struct pollfd fds[LLMUX_WAIT_FDS];
    apr_status_t rv = step(d, wait, fd);
    int i, n = 1;

    while (rv == APR_EAGAIN && n > 0) {
        for (i = 0; i < wait->count; i++) {
            fds[i].fd = wait->fds[i].fd;
            fds[i].events = POLLOUT;
        }
        n = poll(fds, wait->count, 100);
        rv = n > 0 ? step(d, wait, fd) : rv;
    }
    return rv;
}

static int peer_port(int fd)
{
    struct sockaddr_in a;
    socklen_t len = sizeof(a);

    return getpeername(fd, (struct sockaddr *)&a, &len) ? -errno
                                                        : ntohs(a.sin_port);
}

static int option(int fd, int level, int name)
{
    int value = 0;
    socklen_t len = sizeof(value);

    getsockopt(fd, level, name, &value, &len);
    return value;
}

/* ---- the tests ---------------------------------------------------------- */

static void test_success(void)
{
    llmux_addresses_t to = { 0 };
    int fd, fds = fds_open();
    llmux_wait_t wait;
    llmux_dial_t d;

    add(&to, good_port);
    llmux_dial_start(&d, &env, &to);
    is_int(settle(&d, &wait, &fd), APR_SUCCESS, "a listener is reached");
    is_int(peer_port(fd), good_port, "the connection stands");
    ok(fcntl(fd, F_GETFL) & O_NONBLOCK, "it does not block");
    ok(fcntl(fd, F_GETFD) & FD_CLOEXEC, "it is closed on exec");
    ok(option(fd, IPPROTO_TCP, TCP_NODELAY), "it sends at once");
    ok(option(fd, SOL_SOCKET, SO_KEEPALIVE), "it notices a dead peer");
    llmux_dial_stop(&d);
    is_int(peer_port(fd), good_port, "the winner is not ours to close");
    is_int(close(fd), 0, "but the caller's");
    is_int(fds_open(), fds, "there is nothing else");
}

static void test_refused(void)
{
    llmux_addresses_t to = { 0 };
    int fd, i, fds = fds_open();
    llmux_wait_t wait;
    llmux_dial_t d;

    add(&to, refusing);
    add(&to, good_port);
    llmux_dial_start(&d, &env, &to);
    is_int(settle(&d, &wait, &fd), APR_SUCCESS,
           "after a refusal the next is tried at once");
    is_int(peer_port(fd), good_port, "and wins");
    close(fd);

    to.count = 0;
    for (i = 0; i < LLMUX_ADDRESSES_MAX; i++) {
        add(&to, refusing);
    }
    llmux_dial_start(&d, &env, &to);
    is_int(settle(&d, &wait, &fd), ECONNREFUSED, "all refuse: that is it");
    is_int(fd, -1, "there is no connection");
    is_int(step(&d, &wait, &fd), ECONNREFUSED, "now and later");
    is_int(fds_open(), fds, "all sockets are closed");

    to.count = 0;
    llmux_dial_start(&d, &env, &to);
    is_int(step(&d, &wait, &fd), EADDRNOTAVAIL, "no address is a failure");
}

/* connect() itself says no to these. */
static void test_at_once(void)
{
    llmux_addresses_t to = { 0 };
    int fd, fds = fds_open();
    llmux_wait_t wait;
    llmux_dial_t d;
    apr_status_t rv;

    add(&to, good_port);
    ((struct sockaddr_in *)&to.at[0].sa)->sin_addr.s_addr = INADDR_BROADCAST;
    add(&to, good_port);
    to.at[1].sa.ss_family = AF_MAX;
    add(&to, refusing);
    add(&to, good_port);
    llmux_dial_start(&d, &env, &to);
    is_int(d.count, 0, "connect() fails at once");
    is_int(settle(&d, &wait, &fd), APR_SUCCESS, "the others are tried");
    is_int(peer_port(fd), good_port, "until one stands");
    close(fd);

    to.count = 2;
    llmux_dial_start(&d, &env, &to);
    rv = step(&d, &wait, &fd);
    is_int(rv, EAFNOSUPPORT, "all fail at once: one step says it");
    is_int(wait.count, 0, "and waits for nothing");
    is_int(fds_open(), fds, "all sockets are closed");
}

static void test_silence(void)
{
    llmux_addresses_t to = { 0 };
    int fd, fds = fds_open();
    llmux_wait_t wait = { .count = 1, .deadline = now_is + 100 * MS };
    llmux_dial_t d;

    add(&to, hole.port);
    add(&to, good_port);
    wait.fds[0].fd = 999;
    llmux_dial_start(&d, &env, &to);
    is_int(llmux_dial_step(&d, &env, &wait, &fd), APR_EAGAIN,
           "silence is waited for");
    is_int(wait.count, 2, "with a descriptor beside what was there");
    is_int(wait.fds[0].fd, 999, "which stays");
    is_int(wait.fds[1].events, LLMUX_WAIT_WRITE, "to become writable");
    ok(wait.deadline == now_is + 100 * MS, "an earlier deadline stays");
    is_int(settle(&d, &wait, &fd), APR_EAGAIN, "nothing happens");
    ok(wait.deadline == now_is + 250 * MS, "until 250 ms are over");
    now_is += 249 * MS;
    step(&d, &wait, &fd);
    is_int(d.count, 1, "not a moment before");
    now_is += MS;
    is_int(settle(&d, &wait, &fd), APR_SUCCESS, "then the next is tried");
    is_int(peer_port(fd), good_port, "and wins");
    is_int(fds_open(), fds + 1, "the silent one is closed");
    close(fd);
}

static void test_silence_and_refusal(void)
{
    llmux_addresses_t to = { 0 };
    llmux_wait_t wait;
    llmux_dial_t d;
    int fd;

    add(&to, hole.port);
    add(&to, refusing);
    add(&to, good_port);
    llmux_dial_start(&d, &env, &to);
    is_int(settle(&d, &wait, &fd), APR_EAGAIN, "silence, once more");
    now_is += 250 * MS;
    is_int(settle(&d, &wait, &fd), APR_SUCCESS,
           "a refusal beside it: the next is tried at once");
    is_int(peer_port(fd), good_port, "and wins");
    close(fd);
}

static void test_slow_winner(void)
{
    llmux_addresses_t to = { 0 };
    llmux_wait_t wait;
    llmux_dial_t d;
    int fd, i;

    add(&to, hole.port);
    add(&to, refusing);
    llmux_dial_start(&d, &env, &to);
    settle(&d, &wait, &fd);
    now_is += 250 * MS;
    is_int(settle(&d, &wait, &fd), APR_EAGAIN,
           "a refusal does not end what is silent");
    is_int(wait.count, 1, "it is waited for alone");
    ok(!wait.deadline, "without a time");
    hole_open();
    for (i = 0; i < 50 && !is_up(d.fds[0], 100); i++) {
        hole_open();
    }
    is_int(step(&d, &wait, &fd), APR_SUCCESS, "when it answers it wins");
    is_int(peer_port(fd), hole.port, "late as it is");
    close(fd);
}

static void test_slots(void)
{
    llmux_addresses_t to = { 0 };
    int fd, i, fds = fds_open();
    llmux_wait_t wait;
    llmux_dial_t d;

    for (i = 0; i < LLMUX_DIAL_MAX; i++) {
        add(&to, hole.port);
    }
    add(&to, good_port);
    llmux_dial_start(&d, &env, &to);
    for (i = 1; i < LLMUX_DIAL_MAX; i++) {
        step(&d, &wait, &fd);
        ok(d.count == i && wait.deadline == now_is + 250 * MS,
           "%d wait, and the next one's time is known", i);
        now_is += 250 * MS;
    }
    step(&d, &wait, &fd);
    now_is += 1000 * MS;
    is_int(step(&d, &wait, &fd), APR_EAGAIN, "all slots are silent");
    is_int(wait.count, LLMUX_DIAL_MAX, "all are waited for");
    ok(!wait.deadline, "no other one is due");
    is_int(fds_open(), fds + LLMUX_DIAL_MAX, "they have a socket each");
    llmux_dial_stop(&d);
    is_int(fds_open(), fds, "stop closes all of them");
    llmux_dial_stop(&d);
    is_int(fds_open(), fds, "twice is fine");
    is_int(step(&d, &wait, &fd) == APR_EAGAIN, 0, "nothing goes on then");
}

static void test_no_descriptors(void)
{
    llmux_addresses_t to = { 0 };
    int fd, fds = fds_open();
    struct rlimit limit, none;
    llmux_wait_t wait;
    llmux_dial_t d;
    apr_status_t rv;

    getrlimit(RLIMIT_NOFILE, &limit);
    none = limit;
    none.rlim_cur = 3;
    add(&to, hole.port);
    add(&to, good_port);
    setrlimit(RLIMIT_NOFILE, &none);
    llmux_dial_start(&d, &env, &to);
    rv = step(&d, &wait, &fd);
    setrlimit(RLIMIT_NOFILE, &limit);
    is_int(rv, EMFILE, "without descriptors it fails");
    is_int(fds_open(), fds, "and holds none");

    llmux_dial_start(&d, &env, &to);
    setrlimit(RLIMIT_NOFILE, &none);
    now_is += 250 * MS;
    rv = step(&d, &wait, &fd);
    setrlimit(RLIMIT_NOFILE, &limit);
    is_int(rv, APR_EAGAIN, "while one connects there is hope");
    ok(wait.count == 1 && wait.deadline == now_is + 250 * MS,
       "the next is tried later");
    now_is += 250 * MS;
    is_int(settle(&d, &wait, &fd), APR_SUCCESS, "with a descriptor then");
    is_int(peer_port(fd), good_port, "it wins");
    close(fd);
    is_int(fds_open(), fds, "nothing is left open");
}

/* Addresses are numbered by their ports. */
static void test_order(void)
{
    static const struct { const char *in, *out; } cases[] = {
        { "6666", "0123" },
        { "4444", "0123" },
        { "6644", "0213" },
        { "4466", "0213" },
        { "66664", "04123" },
        { "46666", "01234" },
        { "4646", "0123" },
        { "466446", "013245" },
        { "6", "0" }
    };
    llmux_addresses_t to;
    llmux_dial_t d;
    char out[8];
    size_t i;
    int k;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        to.count = 0;
        for (k = 0; cases[i].in[k]; k++) {
            add(&to, k);
            to.at[k].sa.ss_family = cases[i].in[k] == '6' ? AF_INET6
                                                          : AF_INET;
            /* Too short for either: connect() refuses to look at it. */
            to.at[k].len = 2;
        }
        llmux_dial_start(&d, &env, &to);
        for (k = 0; k < d.to.count; k++) {
            out[k] = '0' + ntohs(((struct sockaddr_in *)&d.to.at[k].sa)
                                 ->sin_port);
        }
        out[k] = '\0';
        is_str(out, cases[i].out, cases[i].in);
        llmux_dial_stop(&d);
    }
}

int main(void)
{
    int refuser;

    apr_initialize();
    good = bound(64);
    good_port = port_of(good);
    refuser = bound(-1);
    refusing = port_of(refuser);

    test_success();
    test_refused();
    test_at_once();
    test_order();
    if (ok(hole_dig(), "there is a place that does not answer")) {
        test_silence();
        test_silence_and_refusal();
        test_slots();
        test_no_descriptors();
        test_slow_winner();
    }
    close(good);
    close(refuser);
    close(hole.listener);
    while (hole.count) {
        close(hole.held[--hole.count]);
    }
    apr_terminate();
    return tap_done();
}
