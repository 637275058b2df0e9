/* transport.c - exchanges over both transports: what goes out, how it comes
 * in, who leaves in the middle, many at once; and curl's proxies. */

#include "conform.h"

static int saw_gone;                /* the provider saw the client leave: 1,
                                     * or in vain: -1; atomic */
static char block[16 << 20];        /* of x */
static upstream_t six;              /* on ::1 */

/* ---- what the provider plays ------------------------------------------ */

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"

/* A script that says one thing. */
#define SAYS(name, keep, text) \
    static int name(conn_t *c) { return say(c, text) && keep; }

SAYS(whole, 1, OK_HEAD "Content-Length: 5\r\n\r\nhello")
SAYS(chunked, 1, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"
     "5\r\nhello\r\n0\r\n\r\n")
SAYS(forbidden, 0, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")

#define TOO_LARGE "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nhello"

/* Before it has the body, which it will not read; closing then makes the
 * kernel say that bytes were lost. */
SAYS(early, 0, TOO_LARGE)

/* The same, but it stays to hear how the client goes. */
static int early_stay(conn_t *c)
{
    say(c, TOO_LARGE);
    pause_ms(150);
    return 0;
}

/* It has all of the body after all. */
static int early_read(conn_t *c)
{
    return say(c, "HTTP/1.1 200 OK\r\n") && hear_body(c)
           && say(c, "Content-Length: 5\r\n\r\nhello");
}

static int big_body(conn_t *c, const char *head)
{
    return say(c, head) && say_bytes(c, block, 1 << 20);
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

static int echo(conn_t *c)
{
    char head[256];

    apr_snprintf(head, sizeof(head),
                 OK_HEAD "Content-Length: %d\r\nX-Body: %d\r\n\r\n",
                 (int)strlen(c->head), (int)c->body);
    return say(c, head) && say(c, c->head);
}

static const script_t scripts[] = {
    { "/whole", whole }, { "/chunked", chunked },
    { "!/early", early }, { "!/early-stay", early_stay },
    { "!/early-read", early_read },
    { "/big", big }, { "/big-closing", big_closing }, { "/big-cut", big_cut },
    { "/big-chunked", big_chunked }, { "/watched", watched },
    { "/pieces", pieces }, { "/echo*", echo }, { "/", echo }, { "/?*", echo },
    { "!*", forbidden }, { NULL, forbidden }
};

/* ---- words ------------------------------------------------------------ */

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
    ok(!strcmp(llmux_fail_name(LLMUX_FAIL_CONNECT_TIMEOUT), "connect timeout")
       && llmux_fail_name((llmux_fail_e)99) != NULL, "failures have names");
}

static void test_choice(void)
{
    llmux_upstream_t direct = { .proxy = "" };
    llmux_upstream_t proxied = { .proxy = "http://p" };
    llmux_upstream_t told = { .proxy = "", .use_curl = 1 };
    llmux_upstream_t environment = { 0 };
    static const char *const urls[] = { "http://x", "HTTPS://x/v1" };
    int i;

    for (i = 0; i < 2; i++) {
        ok(llmux_transport_for(urls[i], &direct) == &llmux_transport_http
           && llmux_transport_for(urls[i], &environment)
              == &llmux_transport_http, "%s goes over the lean one", urls[i]);
        ok(llmux_transport_for(urls[i], &proxied) == &llmux_transport_curl
           && llmux_transport_for(urls[i], &told) == &llmux_transport_curl,
           "over curl if there is a proxy, or it is told so");
    }
    setenv("https_proxy", "http://p", 1);
    llmux_transport_process_init();
    ok(llmux_transport_for(urls[0], &environment) == &llmux_transport_curl
       && llmux_transport_for(urls[0], &direct) == &llmux_transport_http,
       "a proxy of the environment counts unless one is told to use none");
    unsetenv("https_proxy");
    llmux_transport_process_init();
    ok(llmux_transport_for("demo:///v1", &proxied) == &llmux_transport_demo
       && !llmux_transport_for("file:///etc/passwd", &direct)
       && !llmux_transport_for("", &direct), "and other schemes");
}

/* ---- what goes out ---------------------------------------------------- */

static apr_array_header_t *headers_of(const char *name, const char *value)
{
    apr_array_header_t *h = apr_array_make(pool, 2, sizeof(llmux_header_t));

    *(llmux_header_t *)apr_array_push(h) = (llmux_header_t){ name, value };
    return h;
}

/* Does this line stand in it, once, whatever white space is around? */
static int says(const char *head, const char *name, const char *value)
{
    const char *at, *line = apr_pstrcat(pool, "\r\n", name, ":", NULL);
    size_t len = strlen(value);

    at = strcasestr(head, line);
    if (!at || strcasestr(at + 1, line)) {
        return 0;
    }
    at += strlen(line);
    at += strspn(at, " ");
    return !strncmp(at, value, len) && !strncmp(at + len, "\r\n", 2);
}

static void test_request(void)
{
    apr_array_header_t *h = headers_of("Content-Type", "application/json");
    llmux_slice_t two = { block, 2 << 20 };
    outcome_t o;
    const char *said;

    *(llmux_header_t *)apr_array_push(h) = (llmux_header_t){ "X-Empty", "" };
    o = post(&patient, "/echo", h, two);
    said = text_of(&o);
    holds(!strncmp(said, "POST /echo HTTP/1.1\r\n", 21)
          && says(said, "Content-Type", "application/json")
          && says(said, "X-Empty", "")
          && says(said, "Content-Length", "2097152")
          && says(said, "Host", apr_psprintf(pool, "127.0.0.1:%d",
                                             server.port)),
          "our headers go out");
    holds(says(said, "Accept-Encoding", "identity")
          && !strcasestr(said, "\r\nExpect:")
          && !strcasestr(said, "\r\nUser-Agent:"), "and hardly others");
    holds(!strcmp(header_of(&o, "X-Body"), "2097152"), "all of the body");
    o = post(&patient, "/echo", NULL, (llmux_slice_t){ NULL, 0 });
    said = text_of(&o);
    holds(!strncmp(said, "GET /echo", 9) && !strcasestr(said, "\r\nContent-"),
          "no body is a GET");
    o = post(&patient, "/echo", NULL, llmux_slice(""));
    said = text_of(&o);
    holds(!strncmp(said, "POST /echo", 10) && says(said, "Content-Length", "0")
          && !strcasestr(said, "\r\nContent-Type:"), "an empty one is a POST");
    o = post(&patient, "/echo", headers_of("Host", "provider.example"),
             llmux_slice("{}"));
    holds(says(text_of(&o), "Host", "provider.example"),
          "a Host of the caller's is the only one");
    o = post(&patient, "/echo", headers_of("accept", "text/event-stream"),
             llmux_slice("{}"));
    holds(says(text_of(&o), "Accept", "text/event-stream"),
          "so is what it accepts");
}

static const struct { const char *name, *value; } unsayable[] = {
    { "X-A", "b\r\nX-Injected: 1" }, { "X-A", "b\nc" }, { "X-A", "b\r" },
    { "X-A\r\nX-Injected", "1" }, { "X-A: b\nX", "1" }, { "X:", "1" },
    { "", "1" }
};

static void test_unsayable(void)
{
    int i, before = seen(&server.requests);
    outcome_t o;

    for (i = 0; i < (int)(sizeof(unsayable) / sizeof(unsayable[0])); i++) {
        o = post(&patient, "/echo", headers_of(unsayable[i].name,
                                               unsayable[i].value),
                 llmux_slice("{}"));
        holds(o.fail == LLMUX_FAIL_LOCAL && *o.detail
              && !strstr(o.detail, "Injected"),
              "header %d cannot be sent: %s", i, o.detail);
    }
    holds(seen(&server.requests) == before, "and nothing is");
}

/* The first line of what comes of a URL; NULL: it cannot be asked. */
static const struct { const char *before, *behind, *line; } urls[] = {
    { "http://127.0.0.1:%d", "/echo",          "POST /echo " },
    { "HTTP://127.0.0.1:%d", "/echo",          "POST /echo " },
    { "http://127.0.0.1:%d", "",               "POST / " },
    { "http://127.0.0.1:%d", "/",              "POST / " },
    { "http://127.0.0.1:%d", "?a=b",           "POST /?a=b " },
    { "http://127.0.0.1:%d", "/echo?a=b&c=%20d", "POST /echo?a=b&c=%20d " },
    { "http://127.0.0.1:%d", "/echo?u=http://x/@", "POST /echo?u=http://x/@ " },
    { "http://127.0.0.1:%d", "/echo/../x/./y", "POST /echo/../x/./y " },
    { "http://127.0.0.1:%d", "/echo#part",     "POST /echo " },
    { "http://user@127.0.0.1:%d", "/echo",     NULL },
    { "http://user:word@127.0.0.1:%d", "/echo", NULL },
    { "http://@127.0.0.1:%d", "/echo",         NULL },
    { "http://127.0.0.1:%d", "0000/echo",      NULL },
    { "http://127.0.0.1:%dx", "/echo",         NULL },
    { "http://127.0.0.1:%d", "/echo /x",       NULL },
    { "http://127.0.0.1:%d", "/echo\r\nX-A: b", NULL },
    { "http://[127.0.0.1:%d", "/echo",         NULL },
    { "http://:%d", "/echo",                   NULL },
    { "http://", "",                           NULL },
    { "http://#", "",                          NULL }
};

static void test_urls(void)
{
    const char *url;
    outcome_t o;
    size_t i;

    for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        /* One without a port does not look at it. */
        url = strstr(urls[i].before, "%d")
            ? apr_psprintf(pool, urls[i].before[strlen(urls[i].before) - 1]
                                 == 'x' ? "%s%dx" : "%s%d",
                           apr_pstrndup(pool, urls[i].before,
                                        strcspn(urls[i].before, "%")),
                           server.port)
            : urls[i].before;
        url = apr_pstrcat(pool, url, urls[i].behind, NULL);
        o = get(&patient, url);
        if (!holds(urls[i].line ? !strncmp(text_of(&o), urls[i].line,
                                           strlen(urls[i].line))
                                : o.fail == LLMUX_FAIL_LOCAL && *o.detail,
                   "'%s%s' %s", urls[i].before,
                   apr_pstrndup(pool, urls[i].behind,
                                strcspn(urls[i].behind, "\r")),
                   urls[i].line ? "is asked" : "cannot be asked")) {
            printf("#   %s (%s), %.30s\n", llmux_fail_name(o.fail), o.detail,
                   text_of(&o));
        }
    }
}

/* @return 0: this machine has no IPv6 */
static int six_start(void)
{
    struct sockaddr_in6 a = { .sin6_family = AF_INET6,
                              .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET6, SOCK_STREAM, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) || listen(fd, 8)
        || getsockname(fd, (struct sockaddr *)&a, &len)) {
        return 0;
    }
    upstream_run(&six, scripts, NULL, fd, ntohs(a.sin6_port));
    return 1;
}

static void test_six(void)
{
    outcome_t o;

    if (!six.port) {
        ok(1, "an IPv6 address # SKIP no IPv6 here");
        return;
    }
    o = get(&patient, apr_psprintf(pool, "http://[::1]:%d/echo", six.port));
    holds(says(text_of(&o), "Host", apr_psprintf(pool, "[::1]:%d", six.port)),
          "an IPv6 address (%s)", o.detail);
}

/* ---- how it comes in -------------------------------------------------- */

static void test_steps(void)
{
    static const char *const paths[] = {
        "/big", "/big-closing", "/big-chunked", "/big-cut"
    };
    outcome_t o;
    int i;

    for (i = 0; i < 4; i++) {
        o = get(&patient, paths[i]);
        if (!holds(o.end == (i < 3 ? LLMUX_STEP_DONE : LLMUX_STEP_FAILED)
                   && o.body->len == 1 << 20
                   && strspn(text_of(&o), "x") == 1 << 20, "%s", paths[i])) {
            printf("#   %lu bytes, %s\n", (unsigned long)o.body->len,
                   o.detail);
        }
        holds(o.most <= 2 * 16384, "%s comes a read at a time "
              "(%lu bytes at most)", paths[i], (unsigned long)o.most);
    }
}

/* Some providers answer a request that is too large before they have it. Too
 * large for the kernel, too: what it has taken whole is no such request. */
static void test_early(void)
{
    llmux_slice_t some = { block, 4 << 20 }, all = { block, 16 << 20 };
    llmux_upstream_t up = with_pool("early");
    int i, good = 0, kept = llmux_transport_idle_count();
    outcome_t o;

    for (i = 0; i < 20; i++) {
        o = post(&up, i % 2 ? "/early" : "/early-stay", NULL,
                 i % 4 < 2 ? some : all);
        good += o.end == LLMUX_STEP_DONE && o.status == 413
                && !strcmp(text_of(&o), "hello");
    }
    /* libcurl does not listen any more once it could not write. */
    holds(good == 20 || (is_over(CURL) && good),
          "an answer in the middle of the request (%d of 20)", good);
    holds(llmux_transport_idle_count() == kept,
          "whose connection is not kept (%d, %d before)",
          llmux_transport_idle_count(), kept);
    o = post(&up, "/early-read", NULL, some);
    holds(o.end == LLMUX_STEP_DONE && !strcmp(text_of(&o), "hello"),
          "one that begins early and ends late (%s)", o.detail);
}

static void test_slow_client(void)
{
    llmux_upstream_t up = patient;
    llmux_request_t rq = { &up, url_of("/pieces"), NULL,
                           llmux_slice("{}") };
    outcome_t o = { .nap = 200 };

    up.between = MS(150);
    drive_to_end(pool, &rq, &o);
    holds(o.end == LLMUX_STEP_DONE && o.body->len == 60,
          "a client slower than the silence allowed is not the provider's "
          "fault");
}

/* A wait that says nothing of our descriptors is as good as one that does. */
static void test_fresh_wait(void)
{
    llmux_request_t rq = { &patient, url_of("/pieces"), NULL,
                           llmux_slice("{}") };
    outcome_t o = { .body = llmux_buf_create(pool, 100) };
    llmux_receiver_t to = { got_head, got_body, &o };
    llmux_wire_t *w = over->open(pool, llmux_env_process(), &rq, &to);
    llmux_wait_t wait;

    do {
        memset(&wait, 0, sizeof(wait));
        o.end = over->step(w, &wait);
        usleep(1000);
    } while (o.end == LLMUX_STEP_AGAIN && ++o.steps < 2000);
    holds(o.end == LLMUX_STEP_DONE && o.body->len == 60,
          "a fresh wait each time");
    holds(over->step(w, &wait) == LLMUX_STEP_DONE && o.body->len == 60,
          "done stays done");
    over->close(w);
    holds(over->step(w, &wait) == LLMUX_STEP_DONE,
          "so it does when it is closed");
}

/* Its connection is given back once, or two would have it at a time. */
static void test_close_twice(void)
{
    llmux_upstream_t up = with_pool("twice");
    llmux_request_t rq = { &up, url_of("/whole"), NULL, llmux_slice("{}") };
    llmux_receiver_t to = { NULL, NULL, NULL };
    int before = llmux_transport_idle_count();
    llmux_wait_t wait = { 0 };
    apr_pool_t *p;
    llmux_wire_t *w;

    apr_pool_create(&p, pool);
    w = over->open(p, llmux_env_process(), &rq, &to);
    while (over->step(w, &wait) == LLMUX_STEP_AGAIN) {
        wait_poll(&wait);
    }
    over->close(w);
    over->close(w);
    apr_pool_destroy(p);
    holds(llmux_transport_idle_count() == before + 1,
          "closed twice, and its pool destroyed: kept once");
}

/* ---- leaving ---------------------------------------------------------- */

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
    holds(provider_saw_it(),
          "close in the middle ends the connection at once");
    holds(llmux_transport_idle_count() <= idle, "and it is not kept");

    apr_pool_create(&p, pool);
    o.body = llmux_buf_create(pool, 100);
    w = over->open(p, llmux_env_process(), &rq, &to);
    while (over->step(w, &wait) == LLMUX_STEP_AGAIN && !o.body->len) {
        wait_poll(&wait);
    }
    apr_pool_destroy(p);
    holds(provider_saw_it(), "so does the end of the pool");
}

/* After so many steps, whatever it is about then; names are looked up. */
static void leave_after(int steps, const char *host)
{
    llmux_upstream_t up = with_pool("leaving");
    llmux_request_t rq = { &up, apr_psprintf(pool, "http://%s:%d/pieces", host,
                                             server.port),
                           NULL, llmux_slice("{}") };
    llmux_receiver_t to = { NULL, NULL, NULL };
    llmux_wait_t wait = { 0 };
    llmux_wire_t *w;
    apr_pool_t *p;

    apr_pool_create(&p, pool);
    w = over->open(p, llmux_env_process(), &rq, &to);
    while (steps-- && over->step(w, &wait) == LLMUX_STEP_AGAIN) {
        wait_poll(&wait);
    }
    apr_pool_destroy(p);
}

static void test_leave_anywhere(void)
{
    int i, idle = llmux_transport_idle_count();

    for (i = 0; i < 8; i++) {
        leave_after(i, "127.0.0.1");
        leave_after(i, "localhost");
    }
    holds(llmux_transport_idle_count() <= idle,
          "who leaves early leaves nothing behind");
}

/* ---- proxies ---------------------------------------------------------- */

/* Only curl knows them: whoever has one gets curl. */
static void test_proxy(void)
{
    llmux_upstream_t up = patient;
    outcome_t o;

    up.proxy = url_of("");
    o = get(&up, "http://provider.invalid/echo");
    holds(o.end == LLMUX_STEP_DONE
       && strstr(text_of(&o), "POST http://provider.invalid/echo HTTP/1.1"),
       "a proxy is asked for the whole URL");
    o = get(&up, "https://provider.invalid/whole");
    holds(o.fail == LLMUX_FAIL_PROXY && !o.heads, "it refuses a tunnel: %s",
       o.detail);
    up.no_proxy = "127.0.0.1";
    o = get(&up, "/echo");
    holds(strstr(text_of(&o), "POST /echo HTTP/1.1") != NULL,
       "not for hosts on the list");
    setenv("http_proxy", up.proxy, 1);
    up.proxy = NULL;
    up.no_proxy = NULL;
    o = get(&up, "http://provider.invalid/echo");
    holds(strstr(text_of(&o), "POST http://provider.invalid/echo") != NULL,
       "the environment's proxy is used when none is configured");
    setenv("no_proxy", "127.0.0.1", 1);
    o = get(&up, "/echo");
    holds(strstr(text_of(&o), "POST /echo HTTP/1.1") != NULL,
       "and its list of exceptions");
    unsetenv("no_proxy");
    up.proxy = "";
    o = get(&up, "/echo");
    holds(strstr(text_of(&o), "POST /echo HTTP/1.1") != NULL,
       "unless it is told to use none");
    unsetenv("http_proxy");
}

/* Before there is a child: only curl can, for there is nothing to share. */
static void test_no_child(void)
{
    outcome_t o;

    over = &llmux_transport_curl;
    o = get(&patient, "/whole");
    holds(!strcmp(text_of(&o), "hello"), "an exchange without a pool");
    over = &llmux_transport_http;
    o = get(&patient, "/whole");
    holds(o.fail == LLMUX_FAIL_LOCAL && *o.detail, "none without a child: %s",
          o.detail);
}

/* ---- many ------------------------------------------------------------- */

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
    holds(all == 240, "six threads share the pool (%d of 240)", all);
}

static void tests(void)
{
    test_request();
    test_unsayable();
    test_urls();
    test_six();
    test_steps();
    test_early();
    test_slow_client();
    test_fresh_wait();
    test_close_twice();
    test_leave();
    test_leave_anywhere();
    test_threads();
}

int main(void)
{
    apr_pool_t *child;
    int open_before;

    memset(block, 'x', sizeof(block));
    apr_initialize();
    apr_pool_create(&pool, NULL);
    upstream_start(&server, scripts, NULL);
    six_start();
    open_before = descriptors();
    is_int(llmux_transport_process_init(), APR_SUCCESS, "process init");
    is_int(llmux_transport_idle_count(), 0, "no child, nothing idle");
    test_no_child();
    apr_pool_create(&child, NULL);
    is_int(llmux_transport_child_init(child), APR_SUCCESS, "child init");
    test_words();
    test_choice();
    over_both(tests);
    over = &llmux_transport_curl;
    test_proxy();
    apr_pool_destroy(child);
    is_int(llmux_transport_idle_count(), 0, "the child's end closes them all");
    ok(upstream_empty(&server) && upstream_empty(&six),
       "nobody is left at the provider's");
    is_int(descriptors(), open_before, "nor a descriptor with us");
    apr_pool_destroy(pool);
    return tap_done();
}
