/* transport_pool.c - which connections both transports keep, for whom, for how
 * long; and what they do when one dies. */

#include "conform.h"

#define OK_HEAD "HTTP/1.1 200 OK\r\n"
#define WHOLE OK_HEAD "Content-Length: 5\r\n\r\nhello"

static upstream_t other;
static apr_time_t ahead;            /* how far the tests' clock is in front */

/* ---- what the provider plays ------------------------------------------ */

#define SAYS(name, keep, text) \
    static int name(conn_t *c) { return say(c, text) && keep; }

SAYS(whole, 1, WHOLE)
SAYS(chunked, 1, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"
     "5\r\nhello\r\n0\r\n\r\n")
SAYS(empty, 1, "HTTP/1.1 204 No Content\r\n\r\n")
SAYS(old_keeps, 1, "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n"
     "Content-Length: 5\r\n\r\nhello")

/* It says it closes, and does not. */
SAYS(says_close, 1, OK_HEAD "Connection: close\r\nContent-Length: 5\r\n\r\n"
     "hello")
SAYS(lists_close, 1, OK_HEAD "Connection: keep-alive, x-a, Close\r\n"
     "Content-Length: 5\r\n\r\nhello")
SAYS(old, 1, "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
SAYS(open_end, 0, OK_HEAD "\r\nhello")

/* It closes, and does not say it. */
SAYS(then_close, 0, WHOLE)
SAYS(cut, 0, OK_HEAD "Content-Length: 50\r\n\r\nhello")
SAYS(broken, 1, OK_HEAD "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello")
SAYS(mute_close, 0, "")
SAYS(one_byte, 0, "H")
SAYS(interim_only, 0, "HTTP/1.1 100 Continue\r\n\r\n")

static int then_reset(conn_t *c)
{
    return whole(c) && reset(c);
}

/* Something comes while it rests. */
static int then_more(conn_t *c)
{
    whole(c);
    pause_ms(20);
    return say(c, "HTTP/1.1 408 Request Timeout\r\n\r\n");
}

static int which(conn_t *c)
{
    char text[128];

    apr_snprintf(text, sizeof(text), OK_HEAD "Content-Length: 5\r\n\r\n%05d",
                 c->id);
    return say(c, text);
}

/* The second request on a connection is read and never answered. */
static int die_on_second(conn_t *c)
{
    return c->nth == 1 && whole(c);
}

static int reset_on_second(conn_t *c)
{
    return c->nth == 1 ? whole(c) : reset(c);
}

/* The second request is read, and when whoever asks has begun to wait, the
 * clock goes on; then the connection is gone. */
static int die_late(conn_t *c)
{
    if (c->nth == 1) {
        return whole(c);
    }
    pause_ms(250);
    __atomic_add_fetch(&ahead, apr_time_from_sec(LLMUX_RESEND_MAX),
                       __ATOMIC_SEQ_CST);
    return 0;
}

static const script_t scripts[] = {
    { "/die-late", die_late }, { "/whole", whole }, { "/chunked", chunked }, { "/204", empty },
    { "/old-keeps", old_keeps }, { "/says-close", says_close },
    { "/lists-close", lists_close }, { "/old", old },
    { "/open-end", open_end }, { "/then-close", then_close },
    { "/then-reset", then_reset }, { "/then-more", then_more },
    { "/cut", cut }, { "/broken", broken }, { "/mute-close", mute_close },
    { "/one-byte", one_byte }, { "/interim-only", interim_only },
    { "/which", which }, { "/die-on-second", die_on_second },
    { "/reset-on-second", reset_on_second }, { NULL, whole }
};

/* ---- helpers ---------------------------------------------------------- */

static apr_time_t tell(void *host)
{
    return apr_time_now() + __atomic_load_n(&ahead, __ATOMIC_SEQ_CST);
}

static apr_uint32_t chance(void *host)
{
    return 4;
}

static const llmux_env_t env = { .now = tell, .chance = chance };

/* A pool of its own for each test of each transport. */
static llmux_upstream_t anew(const char *name)
{
    return with_pool(apr_pstrcat(pool, over->name, " ", name, NULL));
}

static int is_whole(const outcome_t *o)
{
    return o->end == LLMUX_STEP_DONE && o->heads == 1
           && !strcmp(text_of(o), "hello");
}

/* ---- what is kept ----------------------------------------------------- */

static const struct { const char *path; int kept; } answers[] = {
    { "/whole",       1 }, { "/chunked",     1 }, { "/204",         1 },
    { "/old-keeps",   1 },
    { "/says-close",  0 }, { "/lists-close", 0 }, { "/old",         0 },
    { "/open-end",    0 }, { "/cut",         0 }, { "/broken",      0 },
    { "/mute-close",  0 }
};

static void test_kept(void)
{
    int before, connections;
    llmux_upstream_t up;
    outcome_t o;
    size_t i;

    for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        up = anew(answers[i].path);
        before = llmux_transport_idle_count();
        get(&up, answers[i].path);
        holds(llmux_transport_idle_count() - before == answers[i].kept,
              "%s is %skept", answers[i].path, answers[i].kept ? "" : "not ");
        connections = seen(&server.connections);
        o = get(&up, "/whole");
        holds(is_whole(&o) && o.reused == answers[i].kept
              && seen(&server.connections) - connections == !answers[i].kept,
              "the next one connects%s", answers[i].kept ? " not" : "");
    }
}

/* Left in the middle, at the end of its pool or before. */
static void test_left(void)
{
    llmux_upstream_t up = anew("left");
    llmux_request_t rq = { &up, url_of("/cut"), NULL, llmux_slice("{}") };
    int before = llmux_transport_idle_count();
    outcome_t o = { .leave = 1 };

    drive_to_end(pool, &rq, &o);
    holds(llmux_transport_idle_count() == before,
          "one left in the middle is not kept");
    o = get(&up, "/whole");
    holds(!o.reused, "nor used again");
}

/* ---- for whom --------------------------------------------------------- */

typedef struct whom_t {
    const char *ca, *cert, *key;
    const char *url;            /* NULL = the provider's */
} whom_t;

static outcome_t get_for(const whom_t *w)
{
    llmux_upstream_t up = patient;

    up.ca_file = apr_pstrcat(pool, over->name, w->ca, NULL);
    up.cert_file = w->cert;
    up.key_file = w->key;
    return get(&up, w->url ? w->url : "/which");
}

static void test_whom(void)
{
    const whom_t all[] = {
        { "a", NULL, NULL, NULL }, { "b", NULL, NULL, NULL },
        { "a", "c", NULL, NULL }, { "a", "d", NULL, NULL },
        { "a", "c", "k", NULL }, { "a", "c", "l", NULL },
        { "a", NULL, NULL, apr_psprintf(pool, "http://localhost:%d/which",
                                        server.port) },
        { "a", NULL, NULL, apr_psprintf(pool, "http://127.0.0.1:%d/which",
                                        other.port) }
    };
    const char *mine[8];
    outcome_t o;
    int i, good = 0;

    for (i = 0; i < 8; i++) {
        o = get_for(&all[i]);
        mine[i] = text_of(&o);
        good += o.end == LLMUX_STEP_DONE && !o.reused;
    }
    holds(good == 8, "other files, hosts, ports: other connections (%d)",
          good);
    for (good = 0, i = 0; i < 8; i++) {
        o = get_for(&all[i]);
        good += o.reused && !strcmp(text_of(&o), mine[i]);
    }
    holds(good == 8, "each is used again by its own (%d)", good);
}

/* ---- which, and how long ---------------------------------------------- */

/* An exchange that is done and has not given its connection back. */
static llmux_wire_t *hold(const llmux_request_t *rq, outcome_t *o)
{
    llmux_receiver_t to = { got_head, got_body, o };
    llmux_wire_t *w = over->open(pool, &env, rq, &to);
    llmux_wait_t wait = { 0 };

    o->body = llmux_buf_create(pool, 100);
    while (over->step(w, &wait) == LLMUX_STEP_AGAIN) {
        wait_poll(&wait);
    }
    return w;
}

/* The newest goes out first, so that the rest can grow old. */
static void test_order(void)
{
    llmux_upstream_t up = anew("order");
    llmux_request_t rq = { &up, url_of("/which"), NULL, llmux_slice("{}") };
    outcome_t first[3] = { { 0 } }, again[3] = { { 0 } };
    llmux_wire_t *w[3];
    int i, good = 0, before = llmux_transport_idle_count();

    for (i = 0; i < 3; i++) {
        w[i] = hold(&rq, &first[i]);
    }
    for (i = 0; i < 3; i++) {
        over->close(w[i]);
    }
    holds(llmux_transport_idle_count() == before + 3, "three at rest");
    for (i = 0; i < 3; i++) {
        w[i] = hold(&rq, &again[i]);
        good += w[i]->reused
                && !strcmp(text_of(&again[i]), text_of(&first[2 - i]));
    }
    holds(good == 3, "the newest is taken first (%d of 3)", good);
    for (i = 0; i < 3; i++) {
        over->close(w[i]);
    }
}

static void test_ages(void)
{
    llmux_upstream_t up = anew("ages");
    outcome_t o;

    get(&up, "/whole");
    ahead += MS(9900);
    o = get(&up, "/whole");
    holds(o.reused, "rested, but not too long");
    ahead += MS(10000);
    o = get(&up, "/whole");
    holds(!o.reused && is_whole(&o), "rested too long");
    up.idle = MS(60000);
    up.max_age = MS(20000);
    o = get(&up, "/whole");
    ahead += MS(15000);
    o = get(&up, "/whole");
    holds(o.reused, "lived, but not too long");
    ahead += MS(6000);
    o = get(&up, "/whole");
    holds(!o.reused && is_whole(&o), "lived too long, however busy");
    up.idle = 0;
    get(&up, "/whole");
    o = get(&up, "/whole");
    holds(!o.reused, "no rest means no pool");
    up = anew("no limit");
    up.max_age = 0;
    get(&up, "/whole");
    ahead += MS(9000);
    o = get(&up, "/whole");
    holds(o.reused, "no limit to its age means none");
}

/* Nobody asks for them any more. */
static void test_sweep(void)
{
    llmux_upstream_t lost = anew("lost"), busy = anew("busy");
    llmux_request_t rq = { &lost, url_of("/whole"), NULL, llmux_slice("{}") };
    outcome_t o[20] = { { 0 } };
    llmux_wire_t *w[20];
    int i, before, left;

    before = llmux_transport_idle_count();
    for (i = 0; i < 20; i++) {
        w[i] = hold(&rq, &o[i]);
    }
    for (i = 0; i < 20; i++) {
        over->close(w[i]);
    }
    left = llmux_transport_idle_count();
    holds(left >= 20 && left <= before + 20, "twenty at rest");
    ahead += MS(11000);
    for (i = 0; i < 200; i++) {
        get(&busy, "/whole");
    }
    left = llmux_transport_idle_count();
    holds(left <= 2, "those that nobody takes are swept away (%d left)", left);
    for (i = 0; i < 100 && seen(&server.visitors) > left; i++) {
        pause_ms(10);
    }
    holds(seen(&server.visitors) <= left, "and closed");
}

/* ---- the dead --------------------------------------------------------- */

static const struct { const char *path, *what; } deaths[] = {
    { "/then-close", "closed" },
    { "/then-reset", "reset" },
    { "/then-more",  "spoken on" }
};

static void test_dead(void)
{
    llmux_receiver_t to = { NULL, NULL, NULL };
    llmux_upstream_t up;
    llmux_request_t rq = { &up, url_of("/whole"), NULL, llmux_slice("{}") };
    llmux_wire_t *w;
    outcome_t o;
    int requests;
    size_t i;

    for (i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++) {
        up = anew(deaths[i].path);
        get(&up, deaths[i].path);
        pause_ms(60);
        requests = seen(&server.requests);
        o = get(&up, "/whole");
        holds(is_whole(&o) && !o.reused
              && seen(&server.requests) == requests + 1,
              "one %s while it rested is replaced", deaths[i].what);
        get(&up, deaths[i].path);
        pause_ms(60);
        w = over->open(pool, &env, &rq, &to);
        holds(!w->reused, "which is seen before anything is sent");
        over->close(w);
    }
}

/* A connection at rest, and then this. How many requests and connections does
 * the provider see? */
static const struct {
    const char *first, *then;
    int over;
    int whole;                  /* 0 = it fails */
    int requests, connections;
    const char *name;
} retries[] = {
    { "/whole", "/die-on-second",   BOTH, 1, 2, 1, "one that dies with our "
      "request on it is replaced" },
    { "/whole", "/reset-on-second", BOTH, 1, 2, 1, "even by a reset" },
    { "/whole", "/mute-close",      BOTH, 0, 2, 1, "once, not for ever" },
    /* libcurl does it whenever that is. */
    { "/whole", "/die-late",        LEAN, 0, 1, 0, "not when it may have been "
      "worked on" },
    /* libcurl counts whole lines. */
    { "/whole", "/one-byte",        LEAN, 0, 1, 0, "not when an answer has "
      "begun" },
    { "/whole", "/interim-only",    BOTH, 0, 1, 0, "not even one that only "
      "asks to wait" },
    { "/whole", "/cut",             BOTH, 0, 1, 0, "not in the middle of one" },
    { NULL,     "/mute-close",      BOTH, 0, 1, 1, "not when it was a new one" }
};

static void test_retry(void)
{
    int requests, connections;
    llmux_upstream_t up;
    outcome_t o;
    size_t i;

    for (i = 0; i < sizeof(retries) / sizeof(retries[0]); i++) {
        if (!is_over(retries[i].over)) {
            continue;
        }
        up = anew(retries[i].name);
        if (retries[i].first) {
            get(&up, retries[i].first);
        }
        requests = seen(&server.requests);
        connections = seen(&server.connections);
        o = get(&up, retries[i].then);
        requests = seen(&server.requests) - requests;
        connections = seen(&server.connections) - connections;
        if (!holds(retries[i].whole ? is_whole(&o) && !o.reused
                                    : o.fail == LLMUX_FAIL_RESET
                   && requests == retries[i].requests
                   && connections == retries[i].connections,
                   "%s", retries[i].name)) {
            printf("#   %s (%s), %d requests, %d connections\n",
                   llmux_fail_name(o.fail), o.detail, requests, connections);
        }
    }
}

/* With a body that is larger than what fits into any buffer. */
static void test_retry_big(void)
{
    llmux_upstream_t up = anew("retry big");
    char *body = apr_pcalloc(pool, 4 << 20);
    outcome_t o;

    get(&up, "/whole");
    o = post(&up, "/die-on-second", NULL,
             (llmux_slice_t){ body, 4 << 20 });
    holds(is_whole(&o) && !o.reused, "all of a big request is sent again: %s",
          o.detail);
}

static void tests(void)
{
    test_kept();
    test_left();
    test_whom();
    test_order();
    test_ages();
    test_dead();
    test_retry();
    test_retry_big();
    test_sweep();
}

int main(void)
{
    apr_pool_t *child = conform_start(scripts);

    upstream_start(&other, scripts, NULL);
    with_env = &env;
    over_both(tests);
    return conform_done(child);
}
