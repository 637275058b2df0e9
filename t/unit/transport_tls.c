/* transport_tls.c - exchanges over TLS, by both transports: whom we trust, who
 * we are, what we resume, how it ends. */

#include "certificate.h"
#include "conform.h"

static upstream_t plain, old, proxy, strict, strict_old;
static SSL_CTX *context;
static certificate_t *ca, *ours, *stranger;
static char block[4 << 20];         /* of x */

/* ---- the provider ----------------------------------------------------- */

#define OK_HEAD "HTTP/1.1 200 OK\r\n"

static int whole(conn_t *c)
{
    return say(c, OK_HEAD "Content-Length: 5\r\n\r\nhello");
}

static int big(conn_t *c)
{
    return say(c, OK_HEAD "Content-Length: 1048576\r\n\r\n")
           && say_bytes(c, block, 1 << 20);
}

/* The connection is cut without a word in the middle of the body. */
static int torn(conn_t *c)
{
    say(c, OK_HEAD "Content-Length: 50\r\n\r\nhello");
    shutdown(c->fd, SHUT_RDWR);
    return 0;
}

/* The same, of one that ends with the connection. */
static int torn_open(conn_t *c)
{
    say(c, OK_HEAD "\r\nhello");
    shutdown(c->fd, SHUT_RDWR);
    return 0;
}

/* The same, but nothing is missing. */
static int torn_behind(conn_t *c)
{
    whole(c);
    shutdown(c->fd, SHUT_RDWR);
    return 0;
}

/* What TLS says goes here instead of onto the wire. */
static BIO *divert(conn_t *c, BIO **wire)
{
    BIO *kept = BIO_new(BIO_s_mem());

    *wire = SSL_get_wbio(c->ssl);
    BIO_up_ref(*wire);
    SSL_set0_wbio(c->ssl, kept);
    return kept;
}

/* TLS ends, in the packet of its last record, and the connection does not:
 * some wait for our good-bye. */
static int ended(conn_t *c)
{
    BIO *wire, *kept = divert(c, &wire);
    char *data;
    long len;

    say(c, OK_HEAD "\r\nhello");
    SSL_shutdown(c->ssl);
    len = BIO_get_mem_data(kept, &data);
    send(c->fd, data, (size_t)len, MSG_NOSIGNAL);
    SSL_set0_wbio(c->ssl, wire);
    gone_within(c, 1500);
    return 0;
}

/* A record for each byte. */
static int bytes(conn_t *c)
{
    return say_slowly(c, OK_HEAD "Content-Length: 5\r\n\r\nhello");
}

/* A record comes in two parts, and the second one takes its time. */
static int half_record(conn_t *c)
{
    BIO *wire, *kept = divert(c, &wire);
    int on = 1;
    char *data;
    long len;

    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    whole(c);
    len = BIO_get_mem_data(kept, &data);
    send(c->fd, data, (size_t)len / 2, MSG_NOSIGNAL);
    pause_ms(200);
    send(c->fd, data + len / 2, (size_t)(len - len / 2), MSG_NOSIGNAL);
    SSL_set0_wbio(c->ssl, wire);
    return 1;
}

/* Of a request that it has not read. */
static int early(conn_t *c)
{
    int on = 1;

    /* Or it waits for TLS's tickets to be acknowledged, and is never sent. */
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    say(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n"
        "Connection: close\r\n\r\nhello");
    return 0;
}

/* Our certificate's name. */
static int who(conn_t *c)
{
    X509 *cert = SSL_get1_peer_certificate(c->ssl);
    char name[100] = "nobody", head[100];

    if (cert) {
        X509_NAME_oneline(X509_get_subject_name(cert), name, sizeof(name));
    }
    X509_free(cert);
    apr_snprintf(head, sizeof(head), OK_HEAD "Content-Length: %d\r\n\r\n",
                 (int)strlen(name));
    return say(c, head) && say(c, name);
}

/* A tunnel that ends here. */
static int tunnel(conn_t *c)
{
    if (c->ssl) {
        return whole(c);
    }
    say(c, "HTTP/1.1 200 Connected\r\nX-From: proxy\r\n\r\n");
    c->ssl = SSL_new(context);
    SSL_set_fd(c->ssl, c->fd);
    return SSL_accept(c->ssl) == 1;
}

static const script_t scripts[] = {
    { "/whole", whole }, { "/big", big }, { "/torn", torn },
    { "/torn-open", torn_open }, { "/torn-behind", torn_behind },
    { "/ended", ended }, { "/bytes", bytes }, { "/half-record", half_record },
    { "!/early", early }, { "/who", who }, { NULL, whole }
};

static const script_t tunnels[] = { { "*", tunnel }, { NULL, tunnel } };

/* ---- helpers ---------------------------------------------------------- */

static llmux_upstream_t trusting = {
    .proxy = "", .connect = MS(2000),
    .first_byte = MS(2000), .between = MS(2000), .total = MS(5000),
    .idle = MS(10000)
};

static outcome_t get_at(const llmux_upstream_t *up, const char *host,
                        int port, const char *path)
{
    return get(up, apr_psprintf(pool, "https://%s:%d%s", host, port, path));
}

static outcome_t get_it(const llmux_upstream_t *up, const char *path)
{
    return get_at(up, "127.0.0.1", server.port, path);
}

/* ---- whom we trust ---------------------------------------------------- */

static void test_trust(void)
{
    llmux_upstream_t up = trusting;
    outcome_t o = get_it(&trusting, "/whole");

    holds(o.end == LLMUX_STEP_DONE && !o.reused && o.body->len == 5,
          "a provider that the CA file vouches for (%s)", o.detail);
    o = get_it(&trusting, "/whole");
    holds(o.reused, "its connection is used again");
    up.ca_file = NULL;
    o = get_it(&up, "/whole");
    holds(o.fail == LLMUX_FAIL_TLS && !o.heads,
          "one that the system does not know: %s", o.detail);
    up.ca_file = stranger->cert_file;
    o = get_it(&up, "/whole");
    holds(o.fail == LLMUX_FAIL_TLS && !o.heads,
          "one that another CA file does not vouch for: %s", o.detail);
    o = get_at(&trusting, "localhost", server.port, "/whole");
    holds(o.fail == LLMUX_FAIL_TLS, "one with another name: %s", o.detail);
    up.ca_file = "/nonexistent/ca.pem";
    o = get_it(&up, "/whole");
    holds(o.fail == LLMUX_FAIL_TLS && strstr(o.detail, up.ca_file),
          "a CA file that is not there: %s", o.detail);
    o = get_at(&trusting, "127.0.0.1", plain.port, "/whole");
    holds(o.fail == LLMUX_FAIL_TLS, "one without TLS: %s", o.detail);
    o = get_at(&trusting, "127.0.0.1", old.port, "/whole");
    holds(o.fail == LLMUX_FAIL_TLS, "one with TLS 1.1: %s", o.detail);
}

/* Until none is left: each takes one, and does not give it back. */
static outcome_t get_anew(const llmux_upstream_t *up, const char *path)
{
    llmux_upstream_t once = *up;
    outcome_t o;

    once.idle = 0;
    do {
        o = get_it(&once, path);
    } while (o.reused);
    return o;
}

static void test_session(void)
{
    llmux_upstream_t up = trusting;
    int before;
    outcome_t o;

    get_it(&trusting, "/whole");
    before = seen(&server.resumed);
    o = get_anew(&up, "/whole");
    holds(o.end == LLMUX_STEP_DONE && seen(&server.resumed) == before + 1,
          "another connection takes the TLS session up again");
    up.ca_file = NULL;
    o = get_it(&up, "/whole");
    holds(o.fail == LLMUX_FAIL_TLS, "but not one that trusts somebody else");
    up.ca_file = trusting.ca_file;
    up.cert_file = ours->cert_file;
    up.key_file = ours->key_file;
    before = seen(&server.resumed);
    o = get_anew(&up, "/whole");
    holds(o.end == LLMUX_STEP_DONE && seen(&server.resumed) == before,
          "nor one that shows a certificate (%s)", o.detail);
}

/* ---- who we are ------------------------------------------------------- */

/* A provider that lets in only whom he knows. With TLS 1.3 we are told of it
 * behind the handshake. */
static void test_identity(upstream_t *s, const char *version)
{
    llmux_upstream_t up = trusting;
    int before;
    outcome_t o;

    up.cert_file = ours->cert_file;
    up.key_file = ours->key_file;
    o = get_at(&up, "127.0.0.1", s->port, "/who");
    holds(o.end == LLMUX_STEP_DONE && strstr(text_of(&o), "/CN="),
          "TLS %s: who shows a certificate gets in (%s)", version, o.detail);
    o = get_at(&up, "127.0.0.1", s->port, "/who");
    holds(o.reused, "its connection is used again");
    before = seen(&s->resumed);
    o = get_at(&trusting, "127.0.0.1", s->port, "/who");
    holds(!o.reused && o.end == LLMUX_STEP_FAILED && !o.heads
          && seen(&s->resumed) == before,
          "not by those who have none, nor is its session: %s",
          llmux_fail_name(o.fail));
    /* libcurl may have an older error of the socket in its words. */
    holds(is_over(CURL) || strstr(o.detail, "certificate")
          || strstr(o.detail, "handshake"), "and the log says why: %s",
          o.detail);
    up.key_file = stranger->key_file;
    o = get_at(&up, "127.0.0.1", s->port, "/who");
    holds(o.fail == LLMUX_FAIL_TLS, "a key that is not its own: %s",
          o.detail);
}

/* ---- ends ------------------------------------------------------------- */

static const struct {
    const char *path;
    int over;
    llmux_fail_e fail;
    int reused;                 /* is the connection fit for another one? */
} ends[] = {
    { "/torn",        BOTH, LLMUX_FAIL_RESET, 0 },
    /* libcurl takes the end of TCP for that of TLS. */
    { "/torn-open",   LEAN, LLMUX_FAIL_RESET, 0 },
    { "/torn-behind", BOTH, LLMUX_FAIL_NONE,  0 },
    { "/ended",       BOTH, LLMUX_FAIL_NONE,  0 },
    { "/bytes",       BOTH, LLMUX_FAIL_NONE,  1 },
    { "/half-record", BOTH, LLMUX_FAIL_NONE,  1 }
};

static void test_ends(void)
{
    outcome_t o, next;
    size_t i;

    for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (!is_over(ends[i].over)) {
            continue;
        }
        o = get_it(&trusting, ends[i].path);
        pause_ms(20);
        next = get_it(&trusting, "/whole");
        if (!holds(o.fail == ends[i].fail && !strcmp(text_of(&o), "hello")
                   && next.end == LLMUX_STEP_DONE
                   && next.reused == ends[i].reused, "%s", ends[i].path)) {
            printf("#   %s (%s), '%s', then %s%s\n", llmux_fail_name(o.fail),
                   o.detail, text_of(&o), llmux_fail_name(next.fail),
                   next.reused ? ", reused" : "");
        }
        holds(o.took < MS(1000) && o.steps < 60,
              "with neither sleep nor hurry (%d ms, %d steps)",
              (int)(o.took / 1000), o.steps);
    }
}

static void test_bodies(void)
{
    const char *url = apr_psprintf(pool, "https://127.0.0.1:%d/early",
                                   server.port);
    outcome_t o = get_it(&trusting, "/big");
    int i, good = 0;

    holds(o.end == LLMUX_STEP_DONE && o.body->len == 1 << 20, "a big body");
    holds(o.most <= 2 * 16384, "comes a read at a time (%lu bytes at most)",
          (unsigned long)o.most);
    for (i = 0; i < 20; i++) {
        o = post(&trusting, url, NULL,
                 (llmux_slice_t){ block, i % 2 ? 1 << 20 : 4 << 20 });
        good += o.end == LLMUX_STEP_DONE && o.status == 413
                && !strcmp(text_of(&o), "hello");
    }
    /* libcurl does not listen any more once it could not write. */
    holds(good == 20 || (is_over(CURL) && good),
          "an answer in the middle of the request (%d of 20: %s)", good,
          o.detail);
}

/* ---- proxies ---------------------------------------------------------- */

/* Only curl knows them. */
static void test_tunnel(void)
{
    llmux_upstream_t up = trusting;
    outcome_t o;

    up.proxy = apr_psprintf(pool, "http://127.0.0.1:%d", proxy.port);
    o = get_it(&up, "/whole");
    holds(o.end == LLMUX_STEP_DONE && o.heads == 1
          && !header_of(&o, "X-From"),
          "through a proxy's tunnel, whose head is not the answer's (%s)",
          o.detail);
    o = get_it(&up, "/whole");
    holds(o.reused && o.end == LLMUX_STEP_DONE, "and once more");
}

static void tests(void)
{
    test_trust();
    test_session();
    test_identity(&strict, "1.3");
    test_identity(&strict_old, "1.2");
    test_ends();
    test_bodies();
}

static SSL_CTX *asking(int version)
{
    SSL_CTX *ctx = certificate_server(ca);

    speak_only(ctx, version, version);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ours->cert);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                       NULL);
    return ctx;
}

int main(void)
{
    certificate_plan_t plan = { .names = "IP:127.0.0.1", .is_ca = 1,
                                .rsa = 1 };
    apr_pool_t *child;
    SSL_CTX *ancient;

    memset(block, 'x', sizeof(block));
    apr_initialize();
    apr_pool_create(&pool, NULL);
    apr_pool_create(&child, NULL);
    llmux_transport_process_init();
    ca = certificate_make(pool, plan);
    ours = certificate_make(pool, plan);
    stranger = certificate_make(pool, plan);
    trusting.ca_file = ca->cert_file;
    context = certificate_server(ca);
    ancient = certificate_server(ca);
    speak_only(ancient, TLS1_VERSION, TLS1_1_VERSION);
    upstream_start(&server, scripts, context);
    upstream_start(&plain, scripts, NULL);
    upstream_start(&old, scripts, ancient);
    upstream_start(&strict, scripts, asking(TLS1_3_VERSION));
    upstream_start(&strict_old, scripts, asking(TLS1_2_VERSION));
    upstream_start(&proxy, tunnels, NULL);
    over = &llmux_transport_curl;
    holds(get_it(&trusting, "/whole").end == LLMUX_STEP_DONE,
          "an exchange without a pool");
    llmux_transport_child_init(child);
    over_both(tests);
    over = &llmux_transport_curl;
    test_tunnel();
    apr_pool_destroy(child);
    ok(upstream_empty(&server) && upstream_empty(&old)
       && upstream_empty(&strict) && upstream_empty(&strict_old)
       && upstream_empty(&proxy), "nobody is left at the provider's");
    apr_pool_destroy(pool);
    return tap_done();
}
