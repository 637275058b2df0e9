/* mock.c - a provider for the benchmark: one thread, epoll, almost no work.
 *
 *     mock [-p port] [-l addresses] [-f recording]...
 *
 * Listens on 127.0.0.1 and, with -l 4, on the three addresses behind it,
 * prints its port, ends on SIGTERM or with its parent. answers.h says which
 * models it has. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "answers.h"
#include "stamp.h"
#include "timers.h"

#define REQUEST_MAX (4 << 20)
#define EVENTS_MAX  256
#define LISTEN_MAX  16      /* addresses */

typedef struct conn_t {
    bench_timer_t timer;    /* first: a timer is its connection */
    int fd;
    int blocked;            /* waits until the socket takes more */
    int spent;              /* closed; freed at the end of the round */
    char *in;
    size_t have, room;
    size_t request;         /* bytes of the request being answered */
    const answer_t *answer; /* NULL between requests */
    int64_t began;          /* when the first part is due */
    int part;
    size_t sent;            /* of that part */
    int64_t written;        /* when its first byte was, if it says so */
    struct conn_t *next;    /* in the list of spent ones */
} conn_t;

static int ep;
static int listeners[LISTEN_MAX], listener_count;
static conn_t *spent;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- connections ----------------------------------------------------- */

static void watch(conn_t *c, int op, uint32_t events)
{
    struct epoll_event ev = { .events = events, .data.ptr = c };

    if (epoll_ctl(ep, op, c->fd, &ev) < 0) {
        fail("epoll_ctl");
    }
}

/* Events of this round may still point to the connection. */
static void drop(conn_t *c)
{
    if (c->spent) {
        return;
    }
    bench_timer_stop(&c->timer);
    close(c->fd);
    c->spent = 1;
    c->next = spent;
    spent = c;
}

static void bury(void)
{
    while (spent) {
        conn_t *c = spent;

        spent = c->next;
        free(c->in);
        free(c);
    }
}

static void accept_from(int listener)
{
    int one = 1, fd;

    for (;;) {
        conn_t *c;

        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        c = calloc(1, sizeof(*c));
        if (!c) {
            fail("calloc");
        }
        c->fd = fd;
        watch(c, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void accept_all(void)
{
    int i;

    for (i = 0; i < listener_count; i++) {
        accept_from(listeners[i]);
    }
}

/* ---- requests -------------------------------------------------------- */

/* What follows the member's name and its colon; NULL when it is not there.
 * No prompt of the benchmark quotes these names. */
static const char *member(const char *body, size_t len, const char *name)
{
    const char *at = memmem(body, len, name, strlen(name));
    const char *end = body + len;

    if (!at) {
        return NULL;
    }
    at += strlen(name);
    while (at < end && (*at == ' ' || *at == ':')) {
        at++;
    }
    return at < end ? at : NULL;
}

static int is_true(const char *body, size_t len, const char *name)
{
    const char *value = member(body, len, name);

    return value && *value == 't';
}

static void read_model(char *model, const char *body, size_t len)
{
    const char *value = member(body, len, "\"model\"");
    size_t i;

    for (i = 0; value && i < MODEL_MAX - 1; i++) {
        const char *c = value + 1 + i;

        if (c >= body + len || *c == '"') {
            break;
        }
        model[i] = *c;
    }
}

static const answer_t *understand(const char *head, const char *body,
                                  size_t len)
{
    question_t q;

    memset(&q, 0, sizeof(q));
    read_model(q.model, body, len);
    q.stream = is_true(body, len, "\"stream\"");
    q.usage = is_true(body, len, "\"include_usage\"");
    q.anthropic = memmem(head, strcspn(head, "\r"), "/messages", 9) != NULL;
    return answers_find(&q);
}

static void refuse(conn_t *c, const char *status)
{
    static const char body[] = "{\"error\":{\"message\":\"not for me\"}}\n";
    char text[256];
    int n = snprintf(text, sizeof(text), "HTTP/1.1 %s\r\ncontent-type: "
                     "application/json\r\ncontent-length: %zu\r\n"
                     "connection: close\r\n\r\n%s", status,
                     sizeof(body) - 1, body);

    if (send(c->fd, text, n, MSG_NOSIGNAL) < 0) {
        perror("send");
    }
    drop(c);
}

/* The length of the body, -1 when the request is none for us. */
static long body_length(const char *head)
{
    const char *at = strcasestr(head, "\ncontent-length:");

    if (strncmp(head, "POST ", 5) || !at) {
        return -1;
    }
    return atol(at + 16);
}

/* Is there a whole request? Then it has its answer and its time. */
static int begin(conn_t *c)
{
    char *end = memmem(c->in, c->have, "\r\n\r\n", 4);
    long len;

    if (!end) {
        return 0;
    }
    end[2] = '\0';
    len = body_length(c->in);
    end[2] = '\r';
    if (len < 0 || len > REQUEST_MAX) {
        refuse(c, len < 0 ? "411 Length Required" : "413 Too Large");
        return 0;
    }
    c->request = end + 4 - c->in + len;
    if (c->have < c->request) {
        return 0;
    }
    c->answer = understand(c->in, end + 4, len);
    if (!c->answer) {
        refuse(c, "404 Not Found");
        return 0;
    }
    c->began = bench_now() + c->answer->delay;
    c->part = 0;
    c->sent = 0;
    return 1;
}

/* ---- answers --------------------------------------------------------- */

static void finish(conn_t *c)
{
    c->have -= c->request;
    memmove(c->in, c->in + c->request, c->have);
    c->answer = NULL;
}

static void unblock(conn_t *c, int blocked)
{
    if (c->blocked != blocked) {
        c->blocked = blocked;
        watch(c, EPOLL_CTL_MOD, blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

/* The part's bytes; one that carries the time has it from its first byte on. */
static const char *bytes_of(conn_t *c, const part_t *part)
{
    static char copy[STAMPED_MAX];

    if (!part->stamp) {
        return part->data;
    }
    if (!c->sent) {
        c->written = bench_now();
    }
    memcpy(copy, part->data, part->len);
    stamp_write(copy + part->stamp, c->written);
    return copy;
}

/* @return 0: not all of this part could be written now */
static int write_part(conn_t *c)
{
    const part_t *part = &c->answer->parts[c->part];
    ssize_t n = send(c->fd, bytes_of(c, part) + c->sent, part->len - c->sent,
                     MSG_NOSIGNAL);

    if (n < 0 && errno != EAGAIN) {
        drop(c);
        return 0;
    }
    c->sent += n > 0 ? n : 0;
    unblock(c, c->sent < part->len);
    return !c->blocked;
}

/* Writes what is due, each part with a call of its own. */
static void advance(conn_t *c)
{
    const answer_t *a = c->answer;

    while (c->part < a->count) {
        int64_t due = c->began + c->part * a->gap;

        if (due && due > bench_now()) {
            bench_timer_set(&c->timer, due);
            return;
        }
        if (!write_part(c)) {
            return;
        }
        c->part++;
        c->sent = 0;
    }
    finish(c);
}

static void serve(conn_t *c)
{
    while (!c->spent && !c->answer && begin(c)) {
        advance(c);
    }
}

/* ---- the loop -------------------------------------------------------- */

static int make_room(conn_t *c)
{
    if (c->have < c->room) {
        return 1;
    }
    if (c->room >= 2 * REQUEST_MAX) {
        return 0;
    }
    c->room = c->room ? 2 * c->room : 4096;
    c->in = realloc(c->in, c->room);
    if (!c->in) {
        fail("realloc");
    }
    return 1;
}

static void receive(conn_t *c)
{
    ssize_t n;

    if (!make_room(c)) {
        drop(c);
        return;
    }
    n = recv(c->fd, c->in + c->have, c->room - c->have, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        drop(c);
        return;
    }
    c->have += n > 0 ? n : 0;
    serve(c);
}

static void wake(conn_t *c, uint32_t events)
{
    if (!c->spent && (events & EPOLLOUT) && c->answer) {
        advance(c);
        serve(c);
    }
    if (!c->spent && (events & ~EPOLLOUT)) {
        receive(c);
    }
}

static void run(void)
{
    struct epoll_event events[EVENTS_MAX];
    bench_timer_t *t;
    int i, n;

    for (;;) {
        n = bench_wait(ep, events, EVENTS_MAX, NEVER);
        for (i = 0; i < n; i++) {
            if (events[i].data.ptr) {
                wake(events[i].data.ptr, events[i].events);
            }
            else {
                accept_all();
            }
        }
        while ((t = bench_timer_due(bench_now())) != NULL) {
            advance((conn_t *)t);
            serve((conn_t *)t);
        }
        bury();
    }
}

/* Listeners are those without a connection. @return the port */
static int open_listener(int port)
{
    struct sockaddr_in sa = { .sin_family = AF_INET };
    struct epoll_event ev = { .events = EPOLLIN };
    socklen_t len = sizeof(sa);
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    sa.sin_port = htons(port);
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK + listener_count);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0
        || listen(fd, 4096) < 0
        || getsockname(fd, (struct sockaddr *)&sa, &len) < 0) {
        fail("listen");
    }
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
    listeners[listener_count++] = fd;
    return ntohs(sa.sin_port);
}

static void open_listeners(int port, int count)
{
    int i;

    ep = epoll_create1(EPOLL_CLOEXEC);
    if (ep < 0) {
        fail("epoll_create1");
    }
    for (i = 0; i < count; i++) {
        port = open_listener(port);
    }
    printf("%d\n", port);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    int port = 0, addresses = 1, opt;

    while ((opt = getopt(argc, argv, "p:l:f:")) != -1) {
        switch (opt) {
        case 'p':
            port = (int)strtol(optarg, NULL, 10);
            break;
        case 'l':
            addresses = (int)strtol(optarg, NULL, 10);
            break;
        case 'f':
            answers_file(optarg);
            break;
        default:
            fprintf(stderr, "usage: mock [-p port] [-l addresses] "
                    "[-f recording]...\n");
            return 2;
        }
    }
    if (addresses < 1 || addresses > LISTEN_MAX) {
        fprintf(stderr, "mock: 1 to %d addresses\n", LISTEN_MAX);
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    bench_timers_init();
    open_listeners(port, addresses);
    run();
    return 0;
}
