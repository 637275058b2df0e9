/* transport.c - exchanges over plain HTTP: answers, cuts, clocks, the pool. */

#include <apr_strings.h>

#include "llmux/transport.h"
#include "tap.h"
#include "upstream.h"

#define MS(n) ((n) * (apr_interval_time_t)1000)

static apr_pool_t *pool;
static upstream_t server;
static int saw_gone;                /* the provider saw the client leave: 1,
                                     * or in vain: -1; atomic */
static char block[1 << 20];         /* of x */

/* ---- what the provider plays ------------------------------------------ */

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"

/* A script that says one thing. */
#define SAYS(name, keep, text) \
    static int name(conn_t *c) { return say(c, text) && keep; }

SAYS(whole, 1, OK_HEAD "Content-Length: 5\r\n\r\nhello")
SAYS(chunked, 1, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"
     "3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nX-Trailer: 1\r\n\r\n")
SAYS(closing, 0, OK_HEAD "\r\nhello")
SAYS(old, 0, "HTTP/1.0 200 OK\r\n\r\nhello")
SAYS(nothing_more, 1, "HTTP/1.1 204 No Content\r\n\r\n")
SAYS(interim, 1, "HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\n"
     "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
     OK_HEAD "Content-Length: 5\r\n\r\nhello")
SAYS(redirect, 1, "HTTP/1.1 302 Found\r\nLocation: /whole\r\n"
     "Content-Length: 5\r\n\r\nhello")
SAYS(unhappy, 1, "HTTP/1.1 429 Slow Down\r\nRetry-After: 7\r\n"
     "Content-Length: 5\r\n\r\nhello")
SAYS(cut_length, 0, OK_HEAD "Content-Length: 50\r\n\r\nhello")
SAYS(cut_chunked, 0, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
SAYS(cut_head, 0, OK_HEAD)
SAYS(mute_close, 0, "")
SAYS(garbage, 0, "\x16\x03\x01 I am not HTTP at all\r\n\r\nhello")
SAYS(bad_chunk, 0, OK_HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n")
SAYS(layered, 0, OK_HEAD "Content-Encoding: gzip, gzip\r\n\r\nhello")
SAYS(layered_te, 0, OK_HEAD "Transfer-Encoding: gzip, chunked\r\n\r\nhello")
SAYS(folded, 0, OK_HEAD "X-A: b\r\n c\r\n\r\nhello")
SAYS(switching, 0, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nhi")
SAYS(wants_password, 0, "HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n")
SAYS(control, 1, "HTTP/1.1 200 OK\r\nX-Odd:  a\rb\x01" "c \r\n"
     "Content-Length: 5\r\n\r\nhello")

static int dribble(conn_t *c)
{
    const char *at = OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"
                     "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";

    while (*at && say_bytes(c, at, 1)) {
        usleep(300);
        at++;
    }
    return 1;
}

static int zipped(conn_t *c)
{
    static const char bytes[] =
        "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\xd7\x51"
        "\x48\xaf\xca\x2c\x00\x00\x4a\x9b\xb1\x5c\x0b\x00\x00\x00";

    return say(c, OK_HEAD "Content-Encoding: gzip\r\nContent-Length: 31\r\n"
               "\r\n") && say_bytes(c, bytes, 31);
}

/* One fixed block of "258 times the byte before", 13 bits each. */
static int bomb(conn_t *c)
{
    static const char start[] = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03";
    unsigned char bits[16384] = { 0 };
    const char *run = "1100010100000";
    size_t at = 3, i;
    int on;

    bits[0] = 3;        /* last block, fixed codes; then a literal 0 */
    bits[0] |= 1 << 5 | 1 << 6;
    for (at = 11; at + 13 < sizeof(bits) * 8; at += 13) {
        for (i = 0; i < 13; i++) {
            bits[(at + i) / 8] |= (run[i] == '1') << ((at + i) % 8);
        }
    }
    on = say(c, OK_HEAD "Content-Encoding: gzip\r\n\r\n")
         && say_bytes(c, start, 10) && say_bytes(c, bits, 13 * 1024);
    /* The runs go on over the seam: 13 times 16 KiB is whole again. */
    for (i = 0; i < 40 && on; i++) {
        on = say_bytes(c, bits + 13, 13 * 1024);
    }
    return 0;
}

static int many_headers(conn_t *c)
{
    char line[64];
    int i;

    say(c, OK_HEAD);
    for (i = 0; i < 500; i++) {
        apr_snprintf(line, sizeof(line), "X-Header-%d: value %d\r\n", i, i);
        say(c, line);
    }
    return say(c, "Content-Length: 5\r\n\r\nhello");
}

static int endless_head(conn_t *c)
{
    say(c, OK_HEAD);
    while (say(c, "X-More: and more and more and more and more\r\n")) {
    }
    return 0;
}

static int endless_line(conn_t *c)
{
    say(c, OK_HEAD "X-More: ");
    while (say(c, "and more and more and more and more ")) {
    }
    return 0;
}

static int endless_interim(conn_t *c)
{
    while (say(c, "HTTP/1.1 100 Continue\r\nX-More: and more\r\n\r\n")) {
    }
    return 0;
}

static int big_body(conn_t *c, const char *head)
{
    return say(c, head) && say_bytes(c, block, sizeof(block));
}

static int big(conn_t *c)
{
    return big_body(c, OK_HEAD "Content-Length: 1048576\r\n\r\n");
}

static int big_closing(conn_t *c)
{
    return big_body(c, OK_HEAD "\r\n") && 0;
}

static int big_cut(conn_t *c)
{
    return big_body(c, OK_HEAD "Content-Length: 1048577\r\n\r\n") && 0;
}

static int big_chunked(conn_t *c)
{
    int i, on = say(c, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n");

    for (i = 0; i < 128 && on; i++) {
        on = say(c, "2000\r\n") && say_bytes(c, block, 8192)
             && say(c, "\r\n");
    }
    return say(c, "0\r\n\r\n");
}

static int mute(conn_t *c)
{
    gone_within(c, 2000);
    return 0;
}

static int unread(conn_t *c)
{
    pause_ms(1200);
    return 0;
}

static int slow_head(conn_t *c)
{
    say(c, OK_HEAD);
    while (say(c, "X-Slow: 1\r\n")) {
        pause_ms(40);
    }
    return 0;
}

static int stall(conn_t *c)
{
    say(c, OK_HEAD "Content-Length: 50\r\n\r\nhello");
    gone_within(c, 2000);
    return 0;
}

static int drip(conn_t *c)
{
    say(c, OK_HEAD "\r\n");
    while (say(c, "hello ")) {
        pause_ms(20);
    }
    return 0;
}

static int watched(conn_t *c)
{
    say(c, OK_HEAD "\r\nhello");
    __atomic_store_n(&saw_gone, gone_within(c, 250) ? 1 : -1,
                     __ATOMIC_SEQ_CST);
    return 0;
}

/* Twelve pieces, in a bit more than a third of a second. */
static int pieces(conn_t *c)
{
    int i;

    say(c, OK_HEAD "Content-Length: 60\r\n\r\n");
    for (i = 0; i < 12; i++) {
        say(c, "hello");
        pause_ms(30);
    }
    return 1;
}

static int then_close(conn_t *c)
{
    whole(c);
    return 0;
}

/* The second request on a connection is read and never answered. */
static int die_on_second(conn_t *c)
{
    return c->nth == 1 && whole(c);
}

static int echo(conn_t *c)
{
    char head[256];

    apr_snprintf(head, sizeof(head),
                 OK_HEAD "Content-Length: %d\r\nX-Body: %d\r\n\r\n",
                 (int)strlen(c->head), (int)c->body);
    return say(c, head) && say(c, c->head);
}

SAYS(forbidden, 0, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")

static const script_t scripts[] = {
    { "/whole", whole }, { "/chunked", chunked }, { "/closing", closing },
    { "/old", old }, { "/204", nothing_more }, { "/interim", interim },
    { "/redirect", redirect }, { "/unhappy", unhappy },
    { "/cut-length", cut_length }, { "/cut-chunked", cut_chunked },
    { "/cut-head", cut_head }, { "/mute-close", mute_close },
    { "/garbage", garbage }, { "/bad-chunk", bad_chunk },
    { "/layered", layered }, { "/layered-te", layered_te },
    { "/folded", folded }, { "/switching", switching },
    { "/wants-password", wants_password }, { "/control", control },
    { "/dribble", dribble }, { "/zipped", zipped }, { "/bomb", bomb },
    { "/many-headers", many_headers }, { "/endless-head", endless_head },
    { "/endless-line", endless_line }, { "/endless-interim", endless_interim },
    { "/big", big },
    { "/big-closing", big_closing }, { "/big-cut", big_cut },
    { "/big-chunked", big_chunked }, { "/mute", mute }, { "!/unread", unread },
    { "/slow-head", slow_head }, { "/stall", stall }, { "/drip", drip },
    { "/watched", watched }, { "/pieces", pieces },
    { "/then-close", then_close }, { "/die-on-second", die_on_second },
    { "/echo", echo }, { "!*", forbidden }, { NULL, forbidden }
};

/* ---- helpers ---------------------------------------------------------- */

static const llmux_upstream_t patient = {
    .proxy = "", .connect = MS(2000), .first_byte = MS(2000),
    .between = MS(2000), .total = MS(5000), .idle = MS(10000),
    .max_age = MS(60000)
};

static const char *url_of(const char *path)
{
    return apr_psprintf(pool, "http://127.0.0.1:%d%s", server.port, path);
}

static outcome_t post(const llmux_upstream_t *up, const char *path,
                      apr_array_header_t *headers, llmux_slice_t body)
{
    llmux_request_t rq = { up, *path == '/' ? url_of(path) : path, headers,
                           body };
    outcome_t o = { 0 };

    drive_to_end(pool, &rq, &o);
    return o;
}

static outcome_t get(const llmux_upstream_t *up, const char *path)
{
    return post(up, path, NULL, llmux_slice("{}"));
}

static const char *text_of(const outcome_t *o)
{
    return llmux_slice_str(pool, llmux_buf_slice(o->body));
}

/* ---- tests ------------------------------------------------------------ */

static void test_words(void)
{
    llmux_wait_t w = { 0 };
    int i;

    for (i = 0; i < LLMUX_WAIT_FDS; i++) {
        llmux_wait_fd(&w, i, LLMUX_WAIT_READ);
    }
    llmux_wait_until(&w, 900);
    llmux_wait_until(&w, 0);
    llmux_wait_until(&w, 800);
    llmux_wait_until(&w, 950);
    ok(w.count == LLMUX_WAIT_FDS && w.deadline == 800,
       "a wait holds the earliest deadline");
    llmux_wait_fd(&w, 99, LLMUX_WAIT_READ);
    ok(w.count == LLMUX_WAIT_FDS && w.deadline && w.deadline < 800,
       "a descriptor too many means poll at once");
    ok(llmux_transport_for("HTTPS://x") == &llmux_transport_curl
       && llmux_transport_for("demo:///v1") == &llmux_transport_demo
       && !llmux_transport_for("file:///etc/passwd")
       && !llmux_transport_for(""), "schemes have their transports");
    ok(!strcmp(llmux_fail_name(LLMUX_FAIL_CONNECT_TIMEOUT), "connect timeout")
       && llmux_fail_name((llmux_fail_e)99) != NULL, "failures have names");
}

static const struct {
    const char *path;
    int status;                 /* 0 = no head is handed out */
    const char *body;
    llmux_fail_e fail;
} answers[] = {
    { "/whole",           200, "hello",       LLMUX_FAIL_NONE },
    { "/chunked",         200, "hello",       LLMUX_FAIL_NONE },
    { "/closing",         200, "hello",       LLMUX_FAIL_NONE },
    { "/old",             200, "hello",       LLMUX_FAIL_NONE },
    { "/204",             204, "",            LLMUX_FAIL_NONE },
    { "/interim",         200, "hello",       LLMUX_FAIL_NONE },
    { "/redirect",        302, "hello",       LLMUX_FAIL_NONE },
    { "/unhappy",         429, "hello",       LLMUX_FAIL_NONE },
    { "/dribble",         200, "hello",       LLMUX_FAIL_NONE },
    { "/zipped",          200, "hello, gzip", LLMUX_FAIL_NONE },
    { "/many-headers",    200, "hello",       LLMUX_FAIL_NONE },
    { "/control",         200, "hello",       LLMUX_FAIL_NONE },
    { "/cut-length",      200, "hello",       LLMUX_FAIL_RESET },
    { "/cut-chunked",     200, "hello",       LLMUX_FAIL_RESET },
    { "/cut-head",        0,   "",            LLMUX_FAIL_RESET },
    { "/mute-close",      0,   "",            LLMUX_FAIL_RESET },
    { "/garbage",         0,   "",            LLMUX_FAIL_PROTOCOL },
    { "/bad-chunk",       200, "",            LLMUX_FAIL_PROTOCOL },
    { "/layered",         0,   "",            LLMUX_FAIL_PROTOCOL },
    { "/layered-te",      0,   "",            LLMUX_FAIL_PROTOCOL },
    { "/folded",          0,   "",            LLMUX_FAIL_PROTOCOL },
    { "/switching",       0,   "",            LLMUX_FAIL_PROTOCOL },
    { "/endless-head",    0,   "",            LLMUX_FAIL_PROTOCOL },
    { "/endless-line",    0,   "",            LLMUX_FAIL_PROTOCOL },
    { "/endless-interim", 0,   "",            LLMUX_FAIL_PROTOCOL },
    { "/wants-password",  0,   "",            LLMUX_FAIL_PROXY }
};

static void test_answers(void)
{
    outcome_t o;
    size_t i;
    int good;

    for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        o = get(&patient, answers[i].path);
        good = o.fail == answers[i].fail && o.status == answers[i].status
               && o.heads == !!answers[i].status
               && (o.end == LLMUX_STEP_DONE) == !answers[i].fail
               && !strcmp(text_of(&o), answers[i].body)
               && !*o.detail == !o.fail;
        if (!ok(good, "%s", answers[i].path)) {
            printf("#   %s (%s), status %d, body '%s'\n",
                   llmux_fail_name(o.fail), o.detail, o.status, text_of(&o));
        }
    }
}

static void test_head(void)
{
    outcome_t o = get(&patient, "/many-headers");
    llmux_response_t r = { 200, "", o.headers };

    ok(o.headers->nelts == 502, "all headers arrive");
    is_str(llmux_response_header(&r, "x-hEADER-499"), "value 499",
           "a header is found, case aside");
    ok(!llmux_response_header(&r, "X-Header"), "and no other");
    is_str(o.type, "text/plain", "the content type stands by itself");
    o = get(&patient, "/interim");
    r.headers = o.headers;
    ok(!llmux_response_header(&r, "X-Interim"),
       "headers of 1xx are not the answer's");
    o = get(&patient, "/chunked");
    r.headers = o.headers;
    ok(!llmux_response_header(&r, "X-Trailer"), "neither are trailers");
    o = get(&patient, "/control");
    r.headers = o.headers;
    is_str(llmux_response_header(&r, "X-Odd"), "a b c",
           "control characters in a value are blanked");
    is_str(o.type, "", "no content type is an empty one");
}

static void test_request(void)
{
    apr_array_header_t *h = apr_array_make(pool, 2, sizeof(llmux_header_t));
    char *body = apr_pcalloc(pool, 2 << 20);
    llmux_slice_t two = { body, 2 << 20 };
    llmux_response_t r = { 200, "", NULL };
    outcome_t o;
    const char *said;

    *(llmux_header_t *)apr_array_push(h) =
        (llmux_header_t){ "Content-Type", "application/json" };
    *(llmux_header_t *)apr_array_push(h) = (llmux_header_t){ "X-Empty", "" };
    o = post(&patient, "/echo", h, two);
    said = text_of(&o);
    ok(!strncmp(said, "POST /echo HTTP/1.1\r\n", 21)
       && strstr(said, "\r\nContent-Type: application/json\r\n")
       && strstr(said, "\r\nX-Empty:\r\n"), "our headers go out");
    ok(strstr(said, "\r\nAccept-Encoding: identity\r\n")
       && !strcasestr(said, "Expect") && !strcasestr(said, "User-Agent"),
       "libcurl's own do not");
    r.headers = o.headers;
    is_str(llmux_response_header(&r, "X-Body"), "2097152", "all of the body");
    o = post(&patient, "/echo", NULL, (llmux_slice_t){ NULL, 0 });
    said = text_of(&o);
    ok(!strncmp(said, "GET /echo", 9) && !strcasestr(said, "Content-"),
       "no body is a GET");
    o = post(&patient, "/echo", NULL, llmux_slice(""));
    said = text_of(&o);
    ok(!strncmp(said, "POST /echo", 10)
       && strstr(said, "\r\nContent-Length: 0\r\n")
       && !strcasestr(said, "Content-Type"), "an empty one is a POST");
    h->nelts = 0;
    *(llmux_header_t *)apr_array_push(h) =
        (llmux_header_t){ "X-A", "b\r\nX-Injected: 1" };
    o = post(&patient, "/echo", h, two);
    ok(o.fail == LLMUX_FAIL_LOCAL && !strstr(o.detail, "Injected"),
       "a header with a line break is not sent");
}

static void test_bomb(void)
{
    outcome_t o = get(&patient, "/bomb");

    ok(o.fail == LLMUX_FAIL_PROTOCOL && strstr(o.detail, "proportion")
       && o.body->len > (1 << 20), "a bomb is put out (%s, %lu bytes)",
       o.detail, (unsigned long)o.body->len);
}

static void test_steps(void)
{
    static const char *const paths[] = {
        "/big", "/big-closing", "/big-chunked", "/big-cut"
    };
    outcome_t o;
    int i;

    for (i = 0; i < 4; i++) {
        o = get(&patient, paths[i]);
        if (!ok(o.end == (i < 3 ? LLMUX_STEP_DONE : LLMUX_STEP_FAILED)
           && o.body->len == 1 << 20
           && strspn(text_of(&o), "x") == 1 << 20, "%s", paths[i])) {
            printf("#   %lu bytes, %s\n", (unsigned long)o.body->len,
                   o.detail);
        }
        ok(o.most <= 2 * 16384, "comes a read at a time (%lu bytes at most)",
           (unsigned long)o.most);
    }
}

/* Clocks run down in 150 ms; all others have seconds. */
static void test_clocks(void)
{
    llmux_upstream_t up = patient;
    char *body = apr_pcalloc(pool, 16 << 20);
    int i, fd, fds[8], port = listen_somewhere(&fd, 0);
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons(port) };
    outcome_t o;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (i = 0; i < 8; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(fds[i], (struct sockaddr *)&a, sizeof(a));
    }
    up.connect = MS(150);
    o = get(&up, apr_psprintf(pool, "http://127.0.0.1:%d/", port));
    ok(o.fail == LLMUX_FAIL_CONNECT_TIMEOUT && o.took > MS(140)
       && o.took < MS(700), "connect timeout: %s", o.detail);

    up = patient;
    up.first_byte = MS(150);
    o = get(&up, "/mute");
    ok(o.fail == LLMUX_FAIL_FIRST_BYTE_TIMEOUT && o.took > MS(140)
       && o.took < MS(700), "first byte timeout: %s", o.detail);
    o = get(&up, "/slow-head");
    ok(o.fail == LLMUX_FAIL_FIRST_BYTE_TIMEOUT && o.took < MS(700),
       "and a head that never ends does not put it off");
    o = post(&up, "/unread", NULL, (llmux_slice_t){ body, 16 << 20 });
    ok(o.fail == LLMUX_FAIL_FIRST_BYTE_TIMEOUT && o.took < MS(900),
       "a request that is not read: %s", o.detail);

    up = patient;
    up.between = MS(150);
    o = get(&up, "/stall");
    ok(o.fail == LLMUX_FAIL_SILENCE_TIMEOUT && o.took > MS(140)
       && o.took < MS(700) && o.status == 200, "silence timeout: %s",
       o.detail);

    up = patient;
    up.total = MS(200);
    o = get(&up, "/drip");
    ok(o.fail == LLMUX_FAIL_TOTAL_TIMEOUT && o.took > MS(190)
       && o.took < MS(800) && o.body->len, "total timeout: %s", o.detail);

    for (i = 0; i < 8; i++) {
        close(fds[i]);
    }
    close(fd);
}

static void test_slow_client(void)
{
    llmux_upstream_t up = patient;
    llmux_request_t rq = { &up, url_of("/pieces"), NULL,
                           llmux_slice("{}") };
    outcome_t o = { .nap = 200 };

    up.between = MS(150);
    drive_to_end(pool, &rq, &o);
    ok(o.end == LLMUX_STEP_DONE && o.body->len == 60,
       "a client slower than the silence allowed is not the provider's fault");
}

/* A wait that says nothing of our descriptors is as good as one that does. */
static void test_fresh_wait(void)
{
    llmux_request_t rq = { &patient, url_of("/pieces"), NULL,
                           llmux_slice("{}") };
    outcome_t o = { .body = llmux_buf_create(pool, 100) };
    llmux_receiver_t to = { got_head, got_body, &o };
    llmux_wire_t *w = llmux_transport_curl.open(pool, llmux_env_process(),
                                                &rq, &to);
    llmux_wait_t wait;

    do {
        memset(&wait, 0, sizeof(wait));
        o.end = w->transport->step(w, &wait);
        usleep(1000);
    } while (o.end == LLMUX_STEP_AGAIN && ++o.steps < 2000);
    ok(o.end == LLMUX_STEP_DONE && o.body->len == 60, "a fresh wait each time");
    is_int(w->transport->step(w, &wait), LLMUX_STEP_DONE, "done stays done");
    w->transport->close(w);
    w->transport->close(w);
    ok(1, "closing twice is fine");
}

static void test_unreachable(void)
{
    int fd, port = listen_somewhere(&fd, 1);
    char label[80];
    outcome_t o;

    close(fd);
    o = get(&patient, apr_psprintf(pool, "http://127.0.0.1:%d/", port));
    ok(o.fail == LLMUX_FAIL_CONNECT, "refused: %s", o.detail);
    memset(label, 'a', 70);
    label[70] = '\0';
    o = get(&patient, apr_psprintf(pool, "http://%s.invalid/", label));
    ok(o.fail == LLMUX_FAIL_RESOLVE, "no such host: %s", o.detail);
    o = get(&patient, "http://");
    ok(o.fail == LLMUX_FAIL_LOCAL, "not a URL: %s", o.detail);
}

static int provider_saw_it(void)
{
    int i, saw = 0;

    for (i = 0; i < 60 && !saw; i++) {
        pause_ms(10);
        saw = __atomic_exchange_n(&saw_gone, 0, __ATOMIC_SEQ_CST);
    }
    return saw == 1;
}

static void test_leave(void)
{
    llmux_request_t rq = { &patient, url_of("/watched"), NULL,
                           llmux_slice("{}") };
    outcome_t o = { .leave = 1 };
    llmux_receiver_t to = { got_head, got_body, &o };
    llmux_wait_t wait = { 0 };
    apr_pool_t *p;
    llmux_wire_t *w;
    int idle = llmux_transport_idle_count();

    drive_to_end(pool, &rq, &o);
    ok(provider_saw_it(), "close in the middle ends the connection at once");
    ok(llmux_transport_idle_count() <= idle, "and it is not kept");

    apr_pool_create(&p, pool);
    o.body = llmux_buf_create(pool, 100);
    w = llmux_transport_curl.open(p, llmux_env_process(), &rq, &to);
    while (!o.body->len && w->transport->step(w, &wait) == LLMUX_STEP_AGAIN) {
        wait_poll(&wait);
    }
    apr_pool_destroy(p);
    ok(provider_saw_it(), "so does the end of the pool");
}

static void test_pool(void)
{
    llmux_upstream_t up = patient;
    int before;
    outcome_t o;

    up.no_proxy = "a pool of its own";
    before = server.connections;
    o = get(&up, "/whole");
    ok(!o.reused, "the first exchange connects");
    o = get(&up, "/chunked");
    ok(o.reused && server.connections == before + 1,
       "the second goes over the same connection");
    o = get(&patient, "/whole");
    up.no_proxy = "yet another";
    o = get(&up, "/whole");
    ok(!o.reused, "one made with other settings is not for it");

    before = llmux_transport_idle_count();
    o = get(&up, "/closing");
    ok(o.reused && llmux_transport_idle_count() == before - 1,
       "what the provider closed does not count as idle");

    up.idle = MS(60);
    get(&up, "/whole");
    pause_ms(80);
    o = get(&up, "/whole");
    ok(!o.reused, "rested too long");
    up.idle = MS(10000);
    up.max_age = MS(60);
    get(&up, "/whole");
    pause_ms(80);
    o = get(&up, "/whole");
    ok(!o.reused && o.end == LLMUX_STEP_DONE, "lived too long");
    up.idle = 0;
    get(&up, "/whole");
    o = get(&up, "/whole");
    ok(!o.reused, "no rest means no pool");
}

static void test_dead(void)
{
    llmux_upstream_t up = patient;
    outcome_t o;

    up.no_proxy = "dead ones";
    get(&up, "/then-close");
    pause_ms(50);
    o = get(&up, "/whole");
    ok(o.end == LLMUX_STEP_DONE && !o.reused,
       "a connection closed while it rested is replaced");
    o = get(&up, "/die-on-second");
    ok(o.end == LLMUX_STEP_DONE && o.heads == 1 && !o.reused
       && !strcmp(text_of(&o), "hello"),
       "one that dies with our request on it, too");
    up.no_proxy = "cut in the middle";
    get(&up, "/whole");
    o = get(&up, "/cut-length");
    ok(o.reused && o.fail == LLMUX_FAIL_RESET,
       "but not once an answer has begun");
}

/* The newest goes out first, so that the rest can grow old. */
static void test_order(void)
{
    llmux_upstream_t up = patient;
    llmux_receiver_t to = { NULL, NULL, NULL };
    llmux_request_t rq = { &up, url_of("/whole"), NULL, llmux_slice("{}") };
    llmux_wire_t *w[3];
    llmux_wait_t wait;
    int i, before = llmux_transport_idle_count();

    up.no_proxy = "order";
    for (i = 0; i < 3; i++) {
        w[i] = llmux_transport_curl.open(pool, llmux_env_process(), &rq, &to);
    }
    for (i = 0; i < 3; i++) {
        memset(&wait, 0, sizeof(wait));
        while (w[i]->transport->step(w[i], &wait) == LLMUX_STEP_AGAIN) {
            wait_poll(&wait);
        }
    }
    for (i = 0; i < 3; i++) {
        up.idle = i < 2 ? MS(50) : MS(10000);
        w[i]->transport->close(w[i]);
    }
    is_int(llmux_transport_idle_count(), before + 3, "three at rest");
    up.idle = MS(10000);
    pause_ms(60);
    ok(get(&up, "/whole").reused, "the newest is taken");
    for (i = 0; i < 64; i++) {
        get(&up, "/whole");
    }
    ok(llmux_transport_idle_count() <= before + 1,
       "and those that nobody took are swept away");
}

static void test_proxy(void)
{
    llmux_upstream_t up = patient;
    outcome_t o;

    up.proxy = url_of("");
    o = get(&up, "http://provider.invalid/echo");
    ok(o.end == LLMUX_STEP_DONE
       && strstr(text_of(&o), "POST http://provider.invalid/echo HTTP/1.1"),
       "a proxy is asked for the whole URL");
    o = get(&up, "https://provider.invalid/whole");
    ok(o.fail == LLMUX_FAIL_PROXY && !o.heads, "it refuses a tunnel: %s",
       o.detail);
    up.no_proxy = "127.0.0.1";
    o = get(&up, "/echo");
    ok(strstr(text_of(&o), "POST /echo HTTP/1.1") != NULL,
       "not for hosts on the list");
    setenv("http_proxy", up.proxy, 1);
    up.proxy = NULL;
    up.no_proxy = NULL;
    o = get(&up, "http://provider.invalid/echo");
    ok(strstr(text_of(&o), "POST http://provider.invalid/echo") != NULL,
       "the environment's proxy is used when none is configured");
    setenv("no_proxy", "127.0.0.1", 1);
    o = get(&up, "/echo");
    ok(strstr(text_of(&o), "POST /echo HTTP/1.1") != NULL,
       "and its list of exceptions");
    unsetenv("no_proxy");
    up.proxy = "";
    o = get(&up, "/echo");
    ok(strstr(text_of(&o), "POST /echo HTTP/1.1") != NULL,
       "unless it is told to use none");
    unsetenv("http_proxy");
}

static void *customer(void *data)
{
    apr_pool_t *p;
    int i, *good = data;
    llmux_request_t rq = { &patient, NULL, NULL, llmux_slice("{}") };

    apr_pool_create(&p, NULL);
    for (i = 0; i < 40; i++) {
        outcome_t o = { .leave = i % 5 == 4 };

        rq.url = apr_psprintf(p, "http://127.0.0.1:%d/%s", server.port,
                              i % 2 ? "whole" : "chunked");
        drive_to_end(p, &rq, &o);
        *good += o.body->len == 5;
        apr_pool_clear(p);
    }
    apr_pool_destroy(p);
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[6];
    int i, all = 0, good[6] = { 0 };

    for (i = 0; i < 6; i++) {
        pthread_create(&threads[i], NULL, customer, &good[i]);
    }
    for (i = 0; i < 6; i++) {
        pthread_join(threads[i], NULL);
        all += good[i];
    }
    is_int(all, 240, "six threads share the pool");
}

int main(void)
{
    apr_pool_t *child;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    apr_pool_create(&child, NULL);
    is_int(llmux_transport_process_init(), APR_SUCCESS, "process init");
    is_int(llmux_transport_idle_count(), 0, "no child, nothing idle");
    memset(block, 'x', sizeof(block));
    upstream_start(&server, scripts, NULL);
    is_str(text_of((outcome_t[]){ get(&patient, "/whole") }), "hello",
           "an exchange without a pool");
    is_int(llmux_transport_child_init(child), APR_SUCCESS, "child init");
    test_words();
    test_answers();
    test_head();
    test_request();
    test_bomb();
    test_steps();
    test_clocks();
    test_slow_client();
    test_fresh_wait();
    test_unreachable();
    test_leave();
    test_pool();
    test_dead();
    test_order();
    test_proxy();
    test_threads();
    apr_pool_destroy(child);
    is_int(llmux_transport_idle_count(), 0, "the child's end closes them all");
    apr_pool_destroy(pool);
    return tap_done();
}
