/* transport_clock.c - what both transports make of providers that are slow,
 * silent, or not there. The clock is the test's, and stands still until all
 * that can happen has happened. */

#include <sys/ioctl.h>
#include "conform.h"

static char block[16 << 20];        /* of 0 */

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"

/* ---- the clock -------------------------------------------------------- */

static apr_time_t now;

static apr_time_t tell(void *host)
{
    return now;
}

static apr_uint32_t chance(void *host)
{
    return 4;
}

static const llmux_env_t fake = { .now = tell, .chance = chance };

/* ---- what the provider plays ------------------------------------------ */

static int whole(conn_t *c)
{
    return say(c, OK_HEAD "Content-Length: 5\r\n\r\nhello");
}

static int mute(conn_t *c)
{
    gone_within(c, 5000);
    return 0;
}

static int half_head(conn_t *c)
{
    return say(c, OK_HEAD) && mute(c);
}

static int interim(conn_t *c)
{
    return say(c, "HTTP/1.1 100 Continue\r\n\r\n") && mute(c);
}

static int head(conn_t *c)
{
    return say(c, OK_HEAD "Content-Length: 50\r\n\r\n") && mute(c);
}

static int stall(conn_t *c)
{
    return say(c, OK_HEAD "Content-Length: 50\r\n\r\nhello") && mute(c);
}

/* In a chunk, between chunks, in a trailer. */
static int stall_chunk(conn_t *c)
{
    return say(c, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhel")
           && mute(c);
}

static int stall_trailer(conn_t *c)
{
    return say(c, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
               "0\r\nX-Trai") && mute(c);
}

/* Reads nothing until the client's end, which it cannot see: that stands
 * behind what it does not read. */
static int closed;                  /* exchanges that are over; atomic */

static int stay(conn_t *c)
{
    int i, before = seen(&closed);

    for (i = 0; i < 500 && seen(&closed) == before; i++) {
        pause_ms(10);
    }
    return 0;
}

/* It answers, and does not read what we still send. */
static int head_unread(conn_t *c)
{
    return say(c, OK_HEAD "Content-Length: 50\r\n\r\nhello") && stay(c);
}

/* A piece each time a byte comes on this pipe. */
static int tick[2];

static int pieces(conn_t *c)
{
    char byte;

    say(c, OK_HEAD "\r\n");
    while (read(tick[0], &byte, 1) == 1 && byte == '+'
           && say(c, "data: x\n\n")) {
    }
    return 0;
}

/* So is a piece of the head. */
static int slow_head(conn_t *c)
{
    char byte;

    say(c, OK_HEAD);
    while (read(tick[0], &byte, 1) == 1 && byte == '+'
           && say(c, "X-Slow: 1\r\n")) {
    }
    return 0;
}

static int slow_reader(conn_t *c)
{
    size_t want = 16 << 20, have = c->extra_len;
    ssize_t n = 1;

    for (; have < want && n > 0; have += n) {
        n = hear_some(c, c->extra, sizeof(c->extra));
        usleep(100);
    }
    return whole(c);
}

static const script_t scripts[] = {
    { "/whole", whole }, { "/mute", mute }, { "/half-head", half_head },
    { "/interim", interim }, { "/head", head }, { "/stall", stall },
    { "/stall-chunk", stall_chunk }, { "/stall-trailer", stall_trailer },
    { "!/unread", stay }, { "!/head-unread", head_unread },
    { "/pieces", pieces }, { "/slow-head", slow_head },
    { "!/slow-reader", slow_reader }, { NULL, whole }
};

/* ---- an exchange on this clock ---------------------------------------- */

typedef struct exchange_t {
    apr_pool_t *p;
    llmux_upstream_t up;
    llmux_request_t rq;
    outcome_t o;
    llmux_wait_t wait;
    llmux_wire_t *w;
} exchange_t;

/* All bounds are minutes apart, so each is known by when it comes. */
#define MINUTES(n) ((n) * 60 * APR_USEC_PER_SEC)

static const llmux_upstream_t bounds = {
    .proxy = "", .connect = MINUTES(1), .first_byte = MINUTES(3),
    .between = MINUTES(2), .total = MINUTES(59)
};

static void exchange_open(exchange_t *x, const char *url, llmux_slice_t body)
{
    llmux_receiver_t to = { got_head, got_body, &x->o };

    memset(x, 0, sizeof(*x));
    now = APR_USEC_PER_SEC * 1000;
    apr_pool_create(&x->p, pool);
    x->up = bounds;
    x->rq = (llmux_request_t){ &x->up, url, NULL, body };
    x->o.body = llmux_buf_create(x->p, 1 << 20);
    x->w = over->open(x->p, &fake, &x->rq, &to);
}

static llmux_step_e exchange_step(exchange_t *x)
{
    x->o.end = over->step(x->w, &x->wait);
    x->o.fail = x->w->failure;
    x->o.detail = x->w->detail;
    return x->o.end;
}

/* Whether one of its descriptors is ready within this time (real ms). */
static int is_ready(exchange_t *x, int ms)
{
    llmux_wait_t *w = &x->wait;
    struct pollfd fds[LLMUX_WAIT_FDS];
    int i, n;

    for (i = 0; i < w->count; i++) {
        fds[i].fd = w->fds[i].fd;
        fds[i].events = (w->fds[i].events & LLMUX_WAIT_READ ? POLLIN : 0)
                        | (w->fds[i].events & LLMUX_WAIT_WRITE ? POLLOUT : 0);
    }
    n = poll(fds, w->count, ms);
    for (i = 0; i < w->count; i++) {
        w->fds[i].ready = n > 0 && fds[i].revents ? w->fds[i].events : 0;
    }
    return n > 0;
}

/* Goes on until nothing more happens by itself. What is not read still moves
 * a little, from one of the system's buffers into the next. */
static void settle(exchange_t *x)
{
    int quiet = 0, enough = x->rq.body.len > 2 ? 20 : 3;

    while (quiet < enough && exchange_step(x) == LLMUX_STEP_AGAIN) {
        quiet = is_ready(x, 15) ? 0 : quiet + 1;
    }
}

static void exchange_close(exchange_t *x)
{
    over->close(x->w);
    apr_pool_destroy(x->p);
    __sync_add_and_fetch(&closed, 1);
}

/* It waits until then, not longer, and says so before. */
static int ends_at(exchange_t *x, apr_time_t when, llmux_fail_e fail)
{
    int early;

    if (x->o.end != LLMUX_STEP_AGAIN || !x->wait.deadline
        || x->wait.deadline > when) {
        return 0;
    }
    now = when - 1;
    early = exchange_step(x) == LLMUX_STEP_AGAIN
            && x->wait.deadline && x->wait.deadline <= when;
    now = when;
    return early && exchange_step(x) == LLMUX_STEP_FAILED
           && x->o.fail == fail && *x->o.detail
           && exchange_step(x) == LLMUX_STEP_FAILED;
}

/* ---- tests ------------------------------------------------------------ */

static const struct {
    const char *path;
    apr_interval_time_t bound;  /* from the beginning: the clock stood */
    llmux_fail_e fail;
    size_t body;                /* 0 = small */
} silences[] = {
    { "/mute",          MINUTES(3), LLMUX_FAIL_FIRST_BYTE_TIMEOUT, 0 },
    { "/half-head",     MINUTES(3), LLMUX_FAIL_FIRST_BYTE_TIMEOUT, 0 },
    { "/interim",       MINUTES(3), LLMUX_FAIL_FIRST_BYTE_TIMEOUT, 0 },
    { "/unread",        MINUTES(3), LLMUX_FAIL_FIRST_BYTE_TIMEOUT, 16 << 20 },
    { "/head",          MINUTES(2), LLMUX_FAIL_SILENCE_TIMEOUT, 0 },
    { "/stall",         MINUTES(2), LLMUX_FAIL_SILENCE_TIMEOUT, 0 },
    { "/stall-chunk",   MINUTES(2), LLMUX_FAIL_SILENCE_TIMEOUT, 0 },
    { "/stall-trailer", MINUTES(2), LLMUX_FAIL_SILENCE_TIMEOUT, 0 },
    { "/head-unread",   MINUTES(2), LLMUX_FAIL_SILENCE_TIMEOUT, 16 << 20 }
};

static void test_silences(void)
{
    exchange_t x;
    size_t i, n;

    for (i = 0; i < sizeof(silences) / sizeof(silences[0]); i++) {
        n = silences[i].body ? silences[i].body : 2;
        exchange_open(&x, url_of(silences[i].path),
                      (llmux_slice_t){ block, n });
        settle(&x);
        if (!holds(ends_at(&x, now + silences[i].bound, silences[i].fail),
                   "%s: %s", silences[i].path,
                   llmux_fail_name(silences[i].fail))) {
            printf("#   at %+d s, deadline %+d s: %s (%s)\n",
                   (int)apr_time_sec(now) - 1000,
                   (int)apr_time_sec(x.wait.deadline) - 1000,
                   llmux_fail_name(x.o.fail), x.o.detail);
        }
        exchange_close(&x);
    }
}

/* Where nobody accepts, and the queue of those who wait is full. */
static void test_black_hole(void)
{
    int i, fd, fds[8], port = listen_somewhere(&fd, 0);
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons(port) };
    exchange_t x;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (i = 0; i < 8; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fds[i], (struct sockaddr *)&a, sizeof(a));
    }
    exchange_open(&x, apr_psprintf(pool, "http://127.0.0.1:%d/", port),
                  llmux_slice("{}"));
    settle(&x);
    holds(ends_at(&x, now + MINUTES(1), LLMUX_FAIL_CONNECT_TIMEOUT),
          "a black hole: %s", x.o.detail);
    exchange_close(&x);

    exchange_open(&x, apr_psprintf(pool, "https://127.0.0.1:%d/", port),
                  llmux_slice("{}"));
    x.up.connect = 0;
    settle(&x);
    holds(ends_at(&x, now + MINUTES(59), LLMUX_FAIL_TOTAL_TIMEOUT),
          "one for whom there is all the time of the exchange: %s",
          x.o.detail);
    exchange_close(&x);
    for (i = 0; i < 8; i++) {
        close(fds[i]);
    }
    close(fd);
}

/* A connection stands, but nobody shakes hands. */
static void test_no_handshake(void)
{
    int fd, port = listen_somewhere(&fd, 8);
    exchange_t x;

    exchange_open(&x, apr_psprintf(pool, "https://127.0.0.1:%d/", port),
                  llmux_slice("{}"));
    settle(&x);
    holds(ends_at(&x, now + MINUTES(1), LLMUX_FAIL_CONNECT_TIMEOUT),
          "TLS is a part of connecting: %s", x.o.detail);
    exchange_close(&x);
    close(fd);
}

/* Ends the server's script. One that saw the connection go has ended already,
 * and its successor must not read what was meant for it. */
static void enough(void)
{
    char c;
    int i, left = 1;

    holds(write(tick[1], ".", 1) == 1, "enough");
    for (i = 0; i < 100 && left; i++) {
        usleep(10000);
        left = 0;
        ioctl(tick[0], FIONREAD, &left);
    }
    holds(!left || read(tick[0], &c, 1) == 1, "... of all");
}

/* Each piece gives the next one time, and the whole has its bound. */
static void test_pieces(void)
{
    exchange_t x;
    apr_time_t start;
    int i;

    exchange_open(&x, url_of("/pieces"), llmux_slice("{}"));
    start = now;
    settle(&x);
    for (i = 0; i < 31 && x.o.end == LLMUX_STEP_AGAIN; i++) {
        now += MINUTES(2) - 1;
        holds(i > 28 || write(tick[1], "+", 1) == 1, "piece %d", i);
        now = i > 28 ? start + MINUTES(59) - 1 : now;
        is_ready(&x, i > 28 ? 15 : 500);
        exchange_step(&x);
    }
    holds(x.o.body->len == 29 * 9,
          "pieces come in time for nearly an hour (%d)", (int)x.o.body->len);
    now = start + MINUTES(59);
    holds(x.o.end == LLMUX_STEP_AGAIN
          && exchange_step(&x) == LLMUX_STEP_FAILED
          && x.o.fail == LLMUX_FAIL_TOTAL_TIMEOUT,
          "but not for longer: %s", x.o.detail);
    exchange_close(&x);
    enough();
}

/* Lines of a head do not. */
static void test_slow_head(void)
{
    exchange_t x;
    apr_time_t start;

    exchange_open(&x, url_of("/slow-head"), llmux_slice("{}"));
    start = now;
    settle(&x);
    now += MINUTES(2);
    holds(write(tick[1], "+", 1) == 1, "one more line of the head");
    settle(&x);
    holds(ends_at(&x, start + MINUTES(3), LLMUX_FAIL_FIRST_BYTE_TIMEOUT),
          "does not put its end off: %s", x.o.detail);
    exchange_close(&x);
    enough();
}

/* As long as it is being read, a request may take its time. */
static void test_slow_reader(void)
{
    exchange_t x;
    apr_time_t start;

    exchange_open(&x, url_of("/slow-reader"),
                  (llmux_slice_t){ block, 16 << 20 });
    start = now;
    while (exchange_step(&x) == LLMUX_STEP_AGAIN && is_ready(&x, 2000)) {
        now += MINUTES(2);
        now = now < start + MINUTES(50) ? now : start + MINUTES(50);
    }
    holds(x.o.end == LLMUX_STEP_DONE && now > start + MINUTES(3),
          "a request that is read slowly (%d s): %s",
          (int)apr_time_sec(now - start), x.o.detail);
    exchange_close(&x);
}

/* A clock that is set back by an hour does not make a silence an hour longer. */
static void test_set_back(void)
{
    exchange_t x;

    exchange_open(&x, url_of("/stall"), llmux_slice("{}"));
    settle(&x);
    now -= MINUTES(60);
    exchange_step(&x);
    holds(ends_at(&x, now + MINUTES(2), LLMUX_FAIL_SILENCE_TIMEOUT),
          "a clock that is set back: %s", x.o.detail);
    exchange_close(&x);
}

/* Bounds of 0 are none. */
static void test_unbounded(void)
{
    exchange_t x;

    exchange_open(&x, url_of("/stall"), llmux_slice("{}"));
    x.up.connect = x.up.first_byte = x.up.between = x.up.total = 0;
    settle(&x);
    now += MINUTES(60 * 24 * 20);
    holds(exchange_step(&x) == LLMUX_STEP_AGAIN
          && (!x.wait.deadline || x.wait.deadline > now),
          "without bounds it waits for weeks");
    exchange_close(&x);
}

/* ---- nobody there ------------------------------------------------------ */

static void test_unreachable(void)
{
    int fd, port = listen_somewhere(&fd, 1);
    char label[80];
    outcome_t o;

    close(fd);
    o = get(&patient, apr_psprintf(pool, "http://127.0.0.1:%d/", port));
    holds(o.fail == LLMUX_FAIL_CONNECT && !o.heads, "refused: %s", o.detail);
    o = get(&patient, apr_psprintf(pool, "https://127.0.0.1:%d/", port));
    holds(o.fail == LLMUX_FAIL_CONNECT, "over TLS: %s", o.detail);
    memset(label, 'a', 70);
    label[70] = '\0';
    o = get(&patient, apr_psprintf(pool, "http://%s.invalid/", label));
    holds(o.fail == LLMUX_FAIL_RESOLVE, "no such host: %s", o.detail);
}

static void tests(void)
{
    test_silences();
    test_black_hole();
    test_no_handshake();
    test_pieces();
    test_slow_head();
    test_slow_reader();
    test_set_back();
    test_unbounded();
    test_unreachable();
}

int main(void)
{
    apr_pool_t *child = conform_start(scripts);

    if (pipe(tick)) {
        return 1;
    }
    over_both(tests);
    return conform_done(child);
}
