/* hold.c - many clients in one thread, each with one stream, all at once.
 *
 *     hold -a port -u path -b file... -n streams -p chunks -l life_ms
 *          [-s spread_ms] [-i addresses] [-d first_ms] [-e end]
 *
 * Streams begin one after the other during -s, ask for the files in turn, and
 * come from 127.0.0.2 and the addresses behind it, -i of them, so that no
 * address runs out of ports. Each brings -p chunks that say when they were
 * written, and takes -l from the request to the end; -e is what its last bytes
 * must hold. A client leaves when its stream has ended.
 *
 * Prints a line that begins with "up" when all streams run, and one with
 * "streams" after the last; times in microseconds. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "reply.h"
#include "request.h"
#include "samples.h"
#include "stamp.h"
#include "timers.h"

#define EVENTS_MAX  512
#define STREAMS_MAX 65536
#define FILES_MAX   16
#define PATIENCE    (15000 * MS)    /* beyond the time that streams take */

static struct {
    int port, files, streams, addresses;
    long chunks;
    const char *path, *end;
    const char *file[FILES_MAX];
    int64_t life, spread, first;
} opt = { .addresses = 1 };

typedef enum {
    STREAM_AHEAD,       /* has not begun */
    STREAM_ASKING,      /* connects, sends, waits for the first bytes */
    STREAM_HELD,
    STREAM_OVER
} stream_state_e;

typedef struct stream_t {
    bench_timer_t timer;    /* first: a timer is its stream */
    int number, fd;
    stream_state_e state;
    const request_t *request;
    size_t sent;            /* of the request */
    int64_t asked, written; /* when it began, when its last chunk was written */
    long chunks;            /* that have come */
    stamp_t stamp;
    reply_t reply;
} stream_t;

static int ep;
static request_t requests[FILES_MAX];
static int64_t read_at;     /* when the bytes in hand came */

static struct {
    samples_t first, delay;
    long begun, held, held_most, over, completed, chunks, errors;
    int told;               /* that all are up */
} seen;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- a stream's end -------------------------------------------------- */

static void leave(stream_t *s)
{
    seen.held -= s->state == STREAM_HELD;
    seen.over++;
    s->state = STREAM_OVER;
    if (s->fd >= 0) {
        close(s->fd);
    }
    s->fd = -1;
}

static void give_up(stream_t *s, const char *why)
{
    if (seen.errors++ == 0) {
        fprintf(stderr, "%s: stream %d: %s: status %d, %ld chunks, ending in "
                "'%s'\n", opt.path, s->number, why, s->reply.status, s->chunks,
                s->reply.tail);
    }
    leave(s);
}

static void finish(stream_t *s)
{
    if (s->reply.status != 200) {
        give_up(s, "not a 200");
    }
    else if (opt.end && !strstr(s->reply.tail, opt.end)) {
        give_up(s, "the end is missing");
    }
    else if (s->chunks != opt.chunks) {
        give_up(s, "chunks are missing, or too many");
    }
    else {
        seen.completed++;
        leave(s);
    }
}

/* ---- its beginning --------------------------------------------------- */

static void watch(stream_t *s, int op, uint32_t events)
{
    struct epoll_event ev = { .events = events, .data.ptr = s };

    if (epoll_ctl(ep, op, s->fd, &ev) < 0) {
        fail("epoll_ctl");
    }
}

/* The kernel chooses the port when it knows the other end: the same port may
 * then serve towards another one. */
static int bind_source(const stream_t *s)
{
    struct sockaddr_in sa = { .sin_family = AF_INET };
    int one = 1;

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1
                               + s->number % opt.addresses);
    setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    return bind(s->fd, (struct sockaddr *)&sa, sizeof(sa));
}

static int join(stream_t *s)
{
    struct sockaddr_in sa = { .sin_family = AF_INET };
    int one = 1;

    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0) {
        fail("socket");
    }
    sa.sin_port = htons(opt.port);
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (bind_source(s) < 0
        || (connect(s->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0
            && errno != EINPROGRESS)) {
        return 0;
    }
    watch(s, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
    return 1;
}

static void begin(stream_t *s, int64_t now)
{
    reply_reset(&s->reply);
    s->state = STREAM_ASKING;
    s->asked = now;
    seen.begun++;
    if (!join(s)) {
        give_up(s, strerror(errno));
    }
}

/* A connection that is gone is told by the next read. */
static void send_rest(stream_t *s)
{
    const request_t *r = s->request;
    ssize_t n = send(s->fd, r->data + s->sent, r->len - s->sent,
                     MSG_NOSIGNAL | MSG_DONTWAIT);

    s->sent += n > 0 ? n : 0;
    if (s->sent == r->len || (n < 0 && errno != EAGAIN)) {
        watch(s, EPOLL_CTL_MOD, EPOLLIN);
    }
}

/* ---- its chunks ------------------------------------------------------ */

static void note_chunk(stream_t *s, int64_t written)
{
    if (written < s->written && seen.errors++ == 0) {
        fprintf(stderr, "stream %d: chunks out of order\n", s->number);
    }
    s->written = written;
    s->chunks++;
    seen.chunks++;
    samples_add(&seen.delay, read_at - written);
}

static void note_body(void *stream, const char *data, size_t len)
{
    stream_t *s = stream;
    int64_t written;

    if (s->state == STREAM_ASKING) {
        s->state = STREAM_HELD;
        samples_add(&seen.first, read_at - s->asked);
        if (++seen.held > seen.held_most) {
            seen.held_most = seen.held;
        }
    }
    for (;;) {
        written = stamp_next(&s->stamp, &data, &len);
        if (written < 0) {
            return;
        }
        note_chunk(s, written);
    }
}

static void receive(stream_t *s)
{
    static char data[65536];
    ssize_t n = recv(s->fd, data, sizeof(data), MSG_DONTWAIT);

    read_at = bench_now();
    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n <= 0) {
        give_up(s, "connection lost");
        return;
    }
    reply_feed(&s->reply, data, n);
    if (s->reply.state == REPLY_DONE) {
        finish(s);
    }
    else if (s->reply.state == REPLY_BROKEN) {
        give_up(s, "not HTTP");
    }
}

/* ---- the loop -------------------------------------------------------- */

static void wake(stream_t *s, uint32_t events)
{
    if (s->fd >= 0 && (events & EPOLLOUT)) {
        send_rest(s);
    }
    if (s->fd >= 0 && (events & ~EPOLLOUT)) {
        receive(s);
    }
}

static void tell_up(void)
{
    printf("up held=%ld\n", seen.held);
    fflush(stdout);
    seen.told = 1;
}

/* All have begun, and none waits for its first bytes or for a free server. */
static int all_up(void)
{
    return seen.begun == opt.streams
        && seen.begun - seen.over - seen.held == 0;
}

static void run(void)
{
    struct epoll_event events[EVENTS_MAX];
    int64_t began = bench_now();
    int64_t up_limit = began + opt.spread + opt.life / 2;
    int64_t limit = began + opt.spread + opt.life + PATIENCE;
    int64_t now = began;
    bench_timer_t *t;
    int i, n;

    while (seen.over < opt.streams && now < limit) {
        n = bench_wait(ep, events, EVENTS_MAX, now + 100 * MS);
        for (i = 0; i < n; i++) {
            wake(events[i].data.ptr, events[i].events);
        }
        now = bench_now();
        while ((t = bench_timer_due(now)) != NULL) {
            begin((stream_t *)t, now);
        }
        if (!seen.told && (all_up() || now > up_limit)) {
            tell_up();
        }
    }
    if (!seen.told) {
        tell_up();
    }
}

static void start(stream_t *streams)
{
    int64_t now = bench_now();
    int i;

    for (i = 0; i < opt.files; i++) {
        request_make(&requests[i], opt.port, opt.path, opt.file[i]);
    }
    for (i = 0; i < opt.streams; i++) {
        stream_t *s = &streams[i];

        s->number = i;
        s->fd = -1;
        s->request = &requests[i % opt.files];
        s->reply.take = note_body;
        s->reply.owner = s;
        bench_timer_set(&s->timer, now + opt.spread * i / opt.streams);
    }
}

/* ---- in and out ------------------------------------------------------ */

static void report(void)
{
    uint64_t steps[STEPS] = { 0 };
    long all = opt.streams * opt.chunks;
    int i;

    samples_steps(&seen.first, opt.first / 1000, steps);
    samples_steps(&seen.delay, 0, steps);
    printf("streams=%d held=%ld completed=%ld unfinished=%ld errors=%ld ",
           opt.streams, seen.held_most, seen.completed,
           opt.streams - seen.over, seen.errors);
    printf("chunks=%ld lost=%ld first_p50=%.0f first_p99=%.0f ", seen.chunks,
           all - seen.chunks, samples_percentile(&seen.first, 50),
           samples_percentile(&seen.first, 99));
    printf("delay_p50=%.0f delay_p99=%.0f delay_max=%.0f",
           samples_percentile(&seen.delay, 50),
           samples_percentile(&seen.delay, 99),
           samples_percentile(&seen.delay, 100));
    for (i = 0; i < STEPS; i++) {
        printf("%s%" PRIu64, i ? "," : " steps=", steps[i]);
    }
    printf("\n");
}

static int usage(void)
{
    fprintf(stderr, "usage: hold -a port -u path -b file... -n streams "
            "-p chunks -l life_ms [-s spread_ms] [-i addresses] "
            "[-d first_ms] [-e end]\n");
    return 2;
}

static int read_option(int letter, const char *arg)
{
    switch (letter) {
    case 'a':
        opt.port = (int)strtol(arg, NULL, 10);
        break;
    case 'u':
        opt.path = arg;
        break;
    case 'b':
        if (opt.files == FILES_MAX) {
            return 0;
        }
        opt.file[opt.files++] = arg;
        break;
    case 'n':
        opt.streams = (int)strtol(arg, NULL, 10);
        break;
    case 'p':
        opt.chunks = strtol(arg, NULL, 10);
        break;
    case 'l':
        opt.life = strtol(arg, NULL, 10) * MS;
        break;
    case 's':
        opt.spread = strtol(arg, NULL, 10) * MS;
        break;
    case 'i':
        opt.addresses = (int)strtol(arg, NULL, 10);
        break;
    case 'd':
        opt.first = strtol(arg, NULL, 10) * MS;
        break;
    case 'e':
        opt.end = arg;
        break;
    default:
        return 0;
    }
    return 1;
}

static int is_complete(void)
{
    return opt.port && opt.path && opt.files && opt.chunks > 0 && opt.life > 0
        && opt.streams > 0 && opt.streams <= STREAMS_MAX
        && opt.addresses > 0 && opt.addresses < 250;
}

int main(int argc, char **argv)
{
    stream_t *streams;
    int letter;

    while ((letter = getopt(argc, argv, "a:u:b:n:p:l:s:i:d:e:")) != -1) {
        if (!read_option(letter, optarg)) {
            return usage();
        }
    }
    if (!is_complete()) {
        return usage();
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    bench_timers_init();
    ep = epoll_create1(EPOLL_CLOEXEC);
    streams = calloc(opt.streams, sizeof(*streams));
    if (!streams || ep < 0) {
        fail("hold");
    }
    start(streams);
    run();
    report();
    return 0;
}
