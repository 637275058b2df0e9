/* http.c - what our own transport does and libcurl does not, or does in ways
 * that cannot be seen from here: names, framing that is ours alone, the end of
 * descriptors. */

#include <netdb.h>
#include <sys/resource.h>

#include <apr_network_io.h>

#include "transport/http_pool.h"
#include "certificate.h"
#include "conform.h"

static upstream_t secure;

/* ---- what the provider plays ------------------------------------------ */

static int whole(conn_t *c)
{
    return say(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
}

static int echo(conn_t *c)
{
    char head[100];

    apr_snprintf(head, sizeof(head),
                 "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n",
                 (int)strlen(c->head));
    return say(c, head) && say(c, c->head);
}

static const script_t scripts[] = {
    { "/whole", whole }, { "/echo", echo }, { NULL, whole }
};

/* ---- names ------------------------------------------------------------ */

static int asked, strange;          /* times; atomic */
static int silent;                  /* the name server is; atomic */

static void add(llmux_addresses_t *out, const char *ip)
{
    struct sockaddr_in *a = (struct sockaddr_in *)&out->at[out->count].sa;

    memset(&out->at[out->count], 0, sizeof(out->at[0]));
    a->sin_family = AF_INET;
    inet_pton(AF_INET, ip, &a->sin_addr);
    out->at[out->count++].len = sizeof(*a);
}

/* "two.test" has an address where nobody is, and the provider's. */
static int look_up(const char *host, llmux_addresses_t *out)
{
    __sync_add_and_fetch(&asked, 1);
    while (seen(&silent)) {
        pause_ms(5);
    }
    if (strstr(host, "nowhere")) {
        return EAI_NONAME;
    }
    if (strstr(host, "two")) {
        add(out, "127.0.0.99");
    }
    add(out, "127.0.0.1");
    pause_ms(20);
    return 0;
}

/* For names that strangers say. */
static int look_up_strange(const char *host, llmux_addresses_t *out)
{
    __sync_add_and_fetch(&strange, 1);
    add(out, strstr(host, "inside") ? "10.1.2.3" : "127.0.0.1");
    return 0;
}

static const char *at(const char *scheme, const char *host, int port)
{
    return apr_psprintf(pool, "%s://%s:%d/whole", scheme, host, port);
}

static void test_names(void)
{
    llmux_upstream_t up = patient;
    outcome_t o = get(&patient, at("http", "one.test", server.port));
    int before;

    ok(o.end == LLMUX_STEP_DONE, "a name is looked up (%s)", o.detail);
    before = seen(&asked);
    up.idle = 0;
    get(&up, at("http", "one.test", server.port));
    o = get(&up, at("http", "ONE.test", server.port));
    ok(o.end == LLMUX_STEP_DONE && !o.reused && seen(&asked) == before,
       "once");
    o = get(&patient, at("http", "two.test", server.port));
    ok(o.end == LLMUX_STEP_DONE, "one of its addresses is enough (%s)",
       o.detail);
    o = get(&patient, at("http", "nowhere.test", server.port));
    ok(o.fail == LLMUX_FAIL_RESOLVE && *o.detail, "no such name: %s",
       o.detail);
    o = get(&patient, at("http", "x_y..test", server.port));
    ok(o.fail == LLMUX_FAIL_RESOLVE && *o.detail, "no name at all: %s",
       o.detail);
}

/* Many who ask for the same at once. */
static void test_herd(void)
{
    llmux_request_t rq = { &patient, at("http", "herd.test", server.port),
                           NULL, llmux_slice("{}") };
    llmux_receiver_t to = { NULL, NULL, NULL };
    llmux_wait_t wait[8] = { { 0 } };
    llmux_wire_t *w[8];
    int i, good = 0, before = seen(&asked);

    for (i = 0; i < 8; i++) {
        w[i] = over->open(pool, llmux_env_process(), &rq, &to);
        over->step(w[i], &wait[i]);
    }
    for (i = 0; i < 8; i++) {
        while (over->step(w[i], &wait[i]) == LLMUX_STEP_AGAIN) {
            wait_poll(&wait[i]);
        }
        good += !w[i]->failure;
        over->close(w[i]);
    }
    ok(good == 8 && seen(&asked) == before + 1,
       "a herd asks once (%d good, asked %d times)", good,
       seen(&asked) - before);
}

static void test_silent(void)
{
    llmux_upstream_t up = patient;
    llmux_request_t rq = { &up, at("http", "left.test", server.port), NULL,
                           llmux_slice("{}") };
    llmux_receiver_t to = { NULL, NULL, NULL };
    llmux_wait_t wait = { 0 };
    llmux_wire_t *w;
    apr_time_t start;
    outcome_t o;

    __sync_add_and_fetch(&silent, 1);
    up.connect = MS(100);
    o = get(&up, at("http", "silent.test", server.port));
    ok(o.fail == LLMUX_FAIL_CONNECT_TIMEOUT && o.took < MS(1000),
       "a silent name server is part of connecting: %s", o.detail);
    w = over->open(pool, llmux_env_process(), &rq, &to);
    ok(over->step(w, &wait) == LLMUX_STEP_AGAIN && wait.count == 1
       && wait.deadline, "a lookup is waited for by a descriptor");
    start = apr_time_now();
    over->close(w);
    ok(apr_time_now() - start < MS(500), "who leaves does not wait for it");
    __sync_sub_and_fetch(&silent, 1);
}

/* A URL of a stranger's: what he makes us look up stays apart, what he makes
 * us connect to is looked at, and nothing of it is kept. */
static void test_strangers(void)
{
    apr_ipsubnet_t *net;
    llmux_reach_t none = { NULL }, named;
    llmux_upstream_t up = patient;
    int before = seen(&asked), idle = llmux_transport_idle_count();
    outcome_t o;

    named.networks = apr_array_make(pool, 1, sizeof(net));
    apr_ipsubnet_create(&net, "127.0.0.0", "8", pool);
    APR_ARRAY_PUSH(named.networks, apr_ipsubnet_t *) = net;
    up.idle = 0;
    up.reach = &named;
    o = get(&up, at("http", "far.test", server.port));
    ok(o.end == LLMUX_STEP_DONE && seen(&strange) == 1
       && seen(&asked) == before, "a stranger's name has its own resolver");
    o = get(&up, at("http", "inside.test", server.port));
    ok(o.fail == LLMUX_FAIL_ADDRESS, "a private address is not asked: %s",
       o.detail);
    up.reach = &none;
    o = get(&up, at("http", "far.test", server.port));
    ok(o.fail == LLMUX_FAIL_ADDRESS, "nor is loopback: %s", o.detail);
    o = get(&up, apr_psprintf(pool, "http://me@127.0.0.1:%d/", server.port));
    ok(o.fail == LLMUX_FAIL_LOCAL, "no user stands in a URL: %s", o.detail);
    is_int(llmux_transport_idle_count(), idle, "no connection is kept");
}

/* ---- framing ---------------------------------------------------------- */

/* Two of a kind would be read differently by two readers. libcurl believes
 * the caller, who is us, and says what he said. */
static void test_framing(void)
{
    static const char *const names[] = { "Content-Length",
                                         "transfer-encoding", "Connection",
                                         "Expect" };
    apr_array_header_t *h = apr_array_make(pool, 1, sizeof(llmux_header_t));
    const char *said;
    outcome_t o;
    int i;

    for (i = 0; i < 4; i++) {
        h->nelts = 0;
        *(llmux_header_t *)apr_array_push(h) = (llmux_header_t){ names[i],
                                                                 "170171" };
        o = post(&patient, "/echo", h, llmux_slice("{}"));
        said = text_of(&o);
        ok(strstr(said, "\r\nContent-Length: 2\r\n") && !strstr(said, "170171"),
           "a caller's %s is not said", names[i]);
    }
}

/* ---- origins ---------------------------------------------------------- */

/* There are more of them than the pool has shelves. */
static void test_origins(void)
{
    static const char *const hosts[] = { "a.test", "b.test", "A.TEST" };
    llmux_origin_t *first[3][200], *o;
    llmux_slice_t path;
    int i, h, good = 0, same = 0;

    for (i = 0; i < 600; i++) {
        h = i / 200;
        o = llmux_http_origin(pool, at("http", hosts[h], 1 + i % 200), &patient,
                              &path);
        good += o->port == 1 + i % 200 && !strcasecmp(o->host, hosts[h])
                && !strncmp(path.data, "/whole", path.len) && path.len == 6;
        first[h][i % 200] = o;
    }
    for (i = 0; i < 600; i++) {
        same += first[i / 200][i % 200]
                == llmux_http_origin(pool, at("http", hosts[i / 200], 1 + i % 200),
                                     &patient, &path);
    }
    ok(good == 600, "each host and port has an origin (%d of 600)", good);
    ok(same == 600, "the same one each time (%d of 600)", same);
}

/* ---- TLS -------------------------------------------------------------- */

static void test_tls_names(const certificate_t *cert)
{
    llmux_upstream_t up = patient;
    outcome_t o;

    up.ca_file = cert->cert_file;
    up.idle = 0;
    o = get(&up, at("https", "provider.test", secure.port));
    ok(o.end == LLMUX_STEP_DONE, "the certificate is for the URL's host (%s)",
       o.detail);
    o = get(&up, at("https", "Provider.TEST", secure.port));
    ok(o.end == LLMUX_STEP_DONE, "case aside (%s)", o.detail);
    o = get(&up, at("https", "provider.test.", secure.port));
    ok(o.end == LLMUX_STEP_DONE, "and the root's dot (%s)", o.detail);
    o = get(&up, at("https", "other.test", secure.port));
    ok(o.fail == LLMUX_FAIL_TLS && !o.heads, "not for another: %s", o.detail);
    o = get(&up, at("https", "127.0.0.1", secure.port));
    ok(o.fail == LLMUX_FAIL_TLS && !o.heads, "nor for its address: %s",
       o.detail);
}

/* ---- no more descriptors ----------------------------------------------- */

/* Nobody accepts here, so that only our own side needs one. */
static void test_exhausted(void)
{
    int last, fd, port = listen_somewhere(&fd, 8);
    struct rlimit before, none;
    outcome_t o;

    last = dup(fd);
    close(last);
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = (rlim_t)last;
    setrlimit(RLIMIT_NOFILE, &none);
    o = get(&patient, at("http", "127.0.0.1", port));
    setrlimit(RLIMIT_NOFILE, &before);
    ok(o.fail == LLMUX_FAIL_LOCAL && *o.detail,
       "that we are out of descriptors is not the provider's fault: %s",
       o.detail);
    close(fd);
}

int main(void)
{
    apr_pool_t *child = conform_start(scripts);
    certificate_t *cert = certificate_make(pool, (certificate_plan_t){
        .names = "DNS:provider.test", .is_ca = 1 });

    over = &llmux_transport_http;
    llmux_resolver_lookup_with(llmux_http_shared()->resolver, look_up);
    llmux_resolver_lookup_with(llmux_http_shared()->strangers,
                               look_up_strange);
    upstream_start(&secure, scripts, certificate_server(cert));
    test_names();
    test_herd();
    test_silent();
    test_strangers();
    test_framing();
    test_origins();
    test_tls_names(cert);
    test_exhausted();
    upstream_empty(&secure);
    return conform_done(child);
}
