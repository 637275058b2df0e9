/* load.c - many clients in one thread: asks, waits, measures.
 *
 *     load -a port -u path -b file [-c clients] [-t seconds | -n count]
 *          [-r rate] [-k think_ms] [-s spread_ms] [-d first_ms] [-g gap_ms]
 *          [-e end] [-o file] [-w]
 *
 * Closed loop: each client asks again when it has its answer and has thought
 * for -k. With -r an open loop: requests fall due at that rate, and their
 * latency counts from then on, whether or not a client was free. -s spreads
 * the clients' first requests, -d and -g say how long the provider takes, so
 * that what was added can be told (without -d: beyond the median), -e is what
 * the last bytes of every body must hold, -o takes the times to the first
 * byte. With -w the chunks say when they were written, and how long each
 * was under way is told too.
 *
 * Prints one line of name=value, times in microseconds. */

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

#define EVENTS_MAX   256
#define CLIENTS_MAX  8192
#define ERRORS_MAX   1000
#define PATIENCE     (10000 * MS)   /* for answers after the last request */

static struct {
    int port;
    const char *path, *body, *end, *out;
    int clients, written;
    double seconds, rate;
    long count;
    int64_t think, spread, first, gap;
} opt = { .clients = 1, .seconds = 1, .first = -1 };

typedef struct client_t {
    bench_timer_t timer;    /* first: a timer is its client */
    int fd;                 /* -1: not connected */
    int busy;               /* waits for an answer */
    size_t sent;            /* of the request */
    int64_t asked, last;    /* when it fell due, when bytes came last */
    int seen;               /* a byte of this body has come */
    struct client_t *next;  /* in the list of idle ones, open loop */
    stamp_t stamp;
    reply_t reply;
} client_t;

static int ep;
static request_t request;
static int64_t read_at;         /* when these bytes came */
static client_t *idle;

static int64_t began, limit;    /* when the first and the last may ask */
static long asked, busy;

static struct {
    samples_t latency, first, gap, delay;
    long responses, errors, reconnects;
    size_t body_min, body_max;
    int64_t last;
} seen = { .body_min = SIZE_MAX };

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- connections ----------------------------------------------------- */

static void watch(client_t *c, int op, uint32_t events)
{
    struct epoll_event ev = { .events = events, .data.ptr = c };

    if (epoll_ctl(ep, op, c->fd, &ev) < 0) {
        fail("epoll_ctl");
    }
}

static void join(client_t *c)
{
    struct sockaddr_in sa = { .sin_family = AF_INET };
    int one = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sa.sin_port = htons(opt.port);
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
        fail("connect");
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

static void leave(client_t *c)
{
    close(c->fd);
    c->fd = -1;
    seen.reconnects++;
}

/* ---- asking ---------------------------------------------------------- */

static void complain(const client_t *c, const char *why)
{
    if (seen.errors++ == 0) {
        fprintf(stderr, "%s: %s: status %d, %zu bytes of body, ending in "
                "'%s'\n", opt.path, why, c->reply.status, c->reply.body,
                c->reply.tail);
    }
}

static void send_rest(client_t *c)
{
    ssize_t n = send(c->fd, request.data + c->sent, request.len - c->sent,
                     MSG_NOSIGNAL | MSG_DONTWAIT);

    /* A connection that is gone is told by the next read. */
    c->sent += n > 0 ? n : 0;
    if (c->sent < request.len) {
        watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    }
}

static void ask(client_t *c, int64_t due)
{
    if (c->fd < 0) {
        join(c);
    }
    reply_reset(&c->reply);
    c->busy = 1;
    c->sent = 0;
    c->seen = 0;
    c->stamp.place = 0;
    c->asked = due;
    asked++;
    busy++;
    send_rest(c);
}

static int may_ask(int64_t now)
{
    return opt.count ? asked < opt.count
                     : now < limit && seen.errors < ERRORS_MAX;
}

static int64_t arrival(long i)
{
    return began + (int64_t)(i * 1e9 / opt.rate);
}

/* When the open loop's next request falls due. */
static int64_t next_arrival(int64_t now)
{
    return opt.rate > 0 && idle && may_ask(now) ? arrival(asked) : NEVER;
}

static void ask_arrived(int64_t now)
{
    while (next_arrival(now) <= now) {
        client_t *c = idle;

        idle = c->next;
        ask(c, arrival(asked));
    }
}

/* The client has nothing to wait for: what does it do next? */
static void go_on(client_t *c, int64_t now)
{
    if (opt.rate > 0) {
        c->next = idle;
        idle = c;
        ask_arrived(now);
    }
    else if (!may_ask(now)) {
        return;
    }
    else if (opt.think) {
        bench_timer_set(&c->timer, now + opt.think);
    }
    else {
        ask(c, now);
    }
}

/* ---- answers --------------------------------------------------------- */

static void note_bytes(client_t *c, int64_t now)
{
    if (c->seen) {
        samples_add(&seen.gap, now - c->last);
    }
    else {
        samples_add(&seen.first, now - c->asked);
    }
    c->seen = 1;
    c->last = now;
}

/* How long was what just came under way? */
static void note_stamps(void *client, const char *data, size_t len)
{
    client_t *c = client;
    int64_t written;

    for (;;) {
        written = stamp_next(&c->stamp, &data, &len);
        if (written < 0) {
            return;
        }
        samples_add(&seen.delay, read_at - written);
    }
}

static void judge(client_t *c, int64_t now)
{
    const reply_t *r = &c->reply;

    if (r->status != 200) {
        complain(c, "not a 200");
    }
    else if (opt.end && !strstr(r->tail, opt.end)) {
        complain(c, "the end is missing");
    }
    else {
        seen.responses++;
        samples_add(&seen.latency, now - c->asked);
        seen.body_min = r->body < seen.body_min ? r->body : seen.body_min;
        seen.body_max = r->body > seen.body_max ? r->body : seen.body_max;
    }
    seen.last = now;
}

static void finish(client_t *c, int64_t now)
{
    c->busy = 0;
    busy--;
    if (c->reply.closes || c->reply.state != REPLY_DONE
        || c->sent < request.len) {
        leave(c);
    }
    go_on(c, now);
}

static void lost(client_t *c, int64_t now)
{
    if (!c->busy) {
        leave(c);
        return;
    }
    complain(c, "connection lost");
    c->reply.state = REPLY_BROKEN;
    finish(c, now);
}

static void receive(client_t *c)
{
    static char data[65536];
    ssize_t n = recv(c->fd, data, sizeof(data), MSG_DONTWAIT);
    int64_t now = bench_now();

    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n <= 0) {
        lost(c, now);
        return;
    }
    if (!c->busy) {
        complain(c, "bytes that nobody asked for");
        leave(c);
        return;
    }
    read_at = now;
    if (reply_feed(&c->reply, data, n)) {
        note_bytes(c, now);
    }
    if (c->reply.state == REPLY_DONE) {
        judge(c, now);
        finish(c, now);
    }
    else if (c->reply.state == REPLY_BROKEN) {
        complain(c, "not HTTP");
        finish(c, now);
    }
}

/* ---- the loop -------------------------------------------------------- */

static void wake(client_t *c, uint32_t events)
{
    if (c->fd >= 0 && (events & EPOLLOUT)) {
        watch(c, EPOLL_CTL_MOD, EPOLLIN);
        send_rest(c);
    }
    if (c->fd >= 0 && (events & ~EPOLLOUT)) {
        receive(c);
    }
}

static void ask_due(int64_t now)
{
    bench_timer_t *t;

    while ((t = bench_timer_due(now)) != NULL) {
        if (may_ask(now)) {
            ask((client_t *)t, now);
        }
    }
    ask_arrived(now);
}

static void run(void)
{
    struct epoll_event events[EVENTS_MAX];
    int64_t now = bench_now();
    int i, n;

    while (busy || may_ask(now)) {
        int64_t due = next_arrival(now);

        if (!may_ask(now) && now > limit + PATIENCE) {
            seen.errors += busy;
            fprintf(stderr, "%s: %ld answers never came\n", opt.path, busy);
            return;
        }
        if (due > now + 100 * MS) {
            due = now + 100 * MS;
        }
        n = bench_wait(ep, events, EVENTS_MAX, due);
        for (i = 0; i < n; i++) {
            wake(events[i].data.ptr, events[i].events);
        }
        now = bench_now();
        ask_due(now);
    }
}

/* Whoever has no client left to ask waits for the end of the time too. */
static void start(client_t *clients)
{
    int i;

    for (i = 0; i < opt.clients; i++) {
        clients[i].fd = -1;
        clients[i].reply.take = opt.written ? note_stamps : NULL;
        clients[i].reply.owner = &clients[i];
        join(&clients[i]);
    }
    began = seen.last = bench_now();
    limit = began + (int64_t)(opt.seconds * 1e9);
    for (i = 0; i < opt.clients; i++) {
        if (opt.rate > 0) {
            clients[i].next = idle;
            idle = &clients[i];
        }
        else {
            bench_timer_set(&clients[i].timer,
                            began + opt.spread * i / opt.clients);
        }
    }
}

/* ---- in and out ------------------------------------------------------ */

static void report_steps(void)
{
    uint64_t steps[STEPS] = { 0 };
    double usual = opt.first < 0 ? samples_percentile(&seen.first, 50)
                                 : opt.first / 1000;
    int i;

    samples_steps(&seen.first, usual, steps);
    if (opt.written) {
        samples_steps(&seen.delay, 0, steps);
    }
    else {
        samples_steps(&seen.gap, opt.gap / 1000, steps);
    }
    for (i = 0; i < STEPS; i++) {
        printf("%s%" PRIu64, i ? "," : " steps=", steps[i]);
    }
    printf("\n");
}

static void report(void)
{
    samples_t *l = &seen.latency, *f = &seen.first, *g = &seen.gap;
    samples_t *d = &seen.delay;

    printf("responses=%ld errors=%ld reconnects=%ld seconds=%.3f ",
           seen.responses, seen.errors, seen.reconnects,
           (seen.last - began) / 1e9);
    printf("p50=%.0f p99=%.0f max=%.0f ", samples_percentile(l, 50),
           samples_percentile(l, 99), samples_percentile(l, 100));
    printf("first_p50=%.0f first_p99=%.0f gap_p50=%.0f gap_p99=%.0f ",
           samples_percentile(f, 50), samples_percentile(f, 99),
           samples_percentile(g, 50), samples_percentile(g, 99));
    printf("delays=%zu delay_p50=%.0f delay_p99=%.0f delay_max=%.0f ",
           d->count, samples_percentile(d, 50), samples_percentile(d, 99),
           samples_percentile(d, 100));
    printf("reads=%zu body_min=%zu body_max=%zu", f->count + g->count,
           seen.responses ? seen.body_min : 0, seen.body_max);
    report_steps();
}

static void write_out(void)
{
    FILE *out = opt.out ? fopen(opt.out, "w") : NULL;

    if (opt.out && !out) {
        fail(opt.out);
    }
    if (out) {
        samples_write(&seen.first, out);
        fclose(out);
    }
}

static int usage(void)
{
    fprintf(stderr, "usage: load -a port -u path -b file [-c clients] "
            "[-t seconds | -n count] [-r rate] [-k think_ms] [-s spread_ms] "
            "[-d first_ms] [-g gap_ms] [-e end] [-o file] [-w]\n");
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
        opt.body = arg;
        break;
    case 'c':
        opt.clients = (int)strtol(arg, NULL, 10);
        break;
    case 't':
        opt.seconds = atof(arg);
        break;
    case 'n':
        opt.count = atol(arg);
        break;
    case 'r':
        opt.rate = atof(arg);
        break;
    case 'k':
        opt.think = atol(arg) * MS;
        break;
    case 's':
        opt.spread = atol(arg) * MS;
        break;
    case 'd':
        opt.first = atol(arg) * MS;
        break;
    case 'g':
        opt.gap = atol(arg) * MS;
        break;
    case 'e':
        opt.end = arg;
        break;
    case 'o':
        opt.out = arg;
        break;
    case 'w':
        opt.written = 1;
        break;
    default:
        return 0;
    }
    return 1;
}

int main(int argc, char **argv)
{
    client_t *clients;
    int letter;

    while ((letter = getopt(argc, argv, "a:u:b:c:t:n:r:k:s:d:g:e:o:w")) != -1) {
        if (!read_option(letter, optarg)) {
            return usage();
        }
    }
    if (!opt.port || !opt.path || !opt.body || opt.clients < 1
        || opt.clients > CLIENTS_MAX) {
        return usage();
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    bench_timers_init();
    ep = epoll_create1(EPOLL_CLOEXEC);
    clients = calloc(opt.clients, sizeof(*clients));
    if (!clients || ep < 0) {
        fail("load");
    }
    request_make(&request, opt.port, opt.path, opt.body);
    start(clients);
    run();
    report();
    write_out();
    return 0;
}
