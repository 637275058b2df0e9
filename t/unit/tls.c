/* tls.c - TLS to a provider: who is let in, what is resumed, how it ends.
 *
 * Client and server sit on both ends of a socket pair and take turns, so
 * that each wait and each end comes when the test wants it. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include <openssl/err.h>

#include "transport/tls.h"
#include "certificate.h"
#include "tap.h"

#define HOST "api.example.com"

static apr_pool_t *pool;
static llmux_tls_t *tls;
static certificate_t *ca, *other_ca, *good;

/* A connection, both ends of it. */
typedef struct pair_t {
    int fd, server_fd;
    SSL *ssl, *server;
    apr_status_t rv;            /* what the client's handshake came to */
    const char *why;
    int waits[4];               /* how often for each set of events */
} pair_t;

/* ---- both ends -------------------------------------------------------- */

static void pair_open(pair_t *c, llmux_tls_t *t, apr_pool_t *p,
                      const llmux_upstream_t *up, const char *host, int port,
                      SSL_CTX *server)
{
    int fds[2], small = 4096;

    memset(c, 0, sizeof(*c));
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds)) {
        perror("socketpair");
        exit(1);
    }
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    c->fd = fds[0];
    c->server_fd = fds[1];
    c->server = SSL_new(server);
    SSL_set_fd(c->server, c->server_fd);
    SSL_set_accept_state(c->server);
    c->ssl = llmux_tls_open(t, p, up, host, port, c->fd, &c->why);
    c->rv = c->ssl ? APR_EAGAIN : APR_EGENERAL;
}

static void client_turn(pair_t *c, apr_pool_t *p)
{
    int events = 0;

    c->rv = llmux_tls_handshake(c->ssl, p, &events, &c->why);
    if (c->rv == APR_EAGAIN) {
        c->waits[events & 3]++;
    }
}

/* The server takes its turn when the client can do no more. */
static void shake(pair_t *c, apr_pool_t *p)
{
    int i, done = 0;

    for (i = 0; i < 100 && c->rv == APR_EAGAIN; i++) {
        client_turn(c, p);
        ERR_clear_error();
        done = SSL_do_handshake(c->server) == 1;
    }
    for (i = 0; i < 100 && c->rv == APR_SUCCESS && !done; i++) {
        done = SSL_do_handshake(c->server) == 1;
    }
}

static void server_end(pair_t *c)
{
    SSL_free(c->server);
    if (c->server_fd >= 0) {
        close(c->server_fd);
    }
    c->server = NULL;
    c->server_fd = -1;
}

static void pair_close(pair_t *c)
{
    llmux_tls_close(c->ssl, 1);
    server_end(c);
    close(c->fd);
}

static int say(pair_t *c, const char *text)
{
    return SSL_write(c->server, text, (int)strlen(text));
}

/* What the client reads; "" and what it was instead. */
static const char *hear(pair_t *c, apr_status_t *rv)
{
    static __thread char text[64];
    apr_size_t n = 0;
    int events = 0;

    *rv = llmux_tls_read(c->ssl, text, sizeof(text) - 1, &n, &events);
    text[n] = '\0';
    return text;
}

/* A whole visit to this port of HOST: was its session an earlier one's? */
static int visit(llmux_tls_t *t, apr_pool_t *p, const llmux_upstream_t *up,
                 const char *host, int port, SSL_CTX *server)
{
    apr_status_t rv;
    int reused;
    pair_t c;

    pair_open(&c, t, p, up, host, port, server);
    shake(&c, p);
    if (c.rv != APR_SUCCESS || say(&c, "hello") != 5
        || strcmp(hear(&c, &rv), "hello")) {
        pair_close(&c);
        return -1;
    }
    reused = SSL_session_reused(c.ssl);
    pair_close(&c);
    return reused;
}

/* ---- whom we trust ---------------------------------------------------- */

enum { CA, OTHER_CA, SYSTEM, NO_FILE, NO_PEM, ITSELF };

/* Visits to a server of this certificate. */
static const struct {
    const char *name, *host;
    certificate_plan_t plan;
    int is_signed;              /* by our CA */
    int trust;
    const char *says;           /* NULL = good */
} visits[] = {
    { "a name", HOST, { .names = "DNS:" HOST }, 1, CA, NULL },
    { "with a dot at its end", HOST ".", { .names = "DNS:" HOST }, 1, CA,
      NULL },
    { "in capitals", "API.Example.com", { .names = "DNS:" HOST }, 1, CA,
      NULL },
    { "for a wildcard", HOST, { .names = "DNS:*.example.com" }, 1, CA, NULL },
    { "an address", "127.0.0.1", { .names = "IP:127.0.0.1" }, 1, CA, NULL },
    { "an address of IPv6", "::1", { .names = "IP:::1" }, 1, CA, NULL },
    { "one with a zone", "fe80::1%eth0", { .names = "IP:fe80::1" }, 1, CA,
      NULL },
    { "a certificate that is trusted itself", HOST,
      { .names = "DNS:" HOST }, 1, ITSELF, NULL },
    { "one of RSA", HOST, { .names = "DNS:" HOST, .rsa = 1 }, 1, CA, NULL },
    { "another name", HOST, { .names = "DNS:example.com" }, 1, CA,
      "certificate: hostname mismatch" },
    { "half a wildcard", HOST, { .names = "DNS:a*.example.com" }, 1, CA,
      "certificate: hostname mismatch" },
    { "another address", "127.0.0.1", { .names = "IP:127.0.0.2" }, 1, CA,
      "certificate: IP address mismatch" },
    { "an address as a name", "127.0.0.1", { .names = "DNS:127.0.0.1" }, 1,
      CA, "certificate: IP address mismatch" },
    { "expired", HOST, { .names = "DNS:" HOST, .from = -7200, .to = -60 }, 1,
      CA, "certificate: certificate has expired" },
    { "not yet valid", HOST, { .names = "DNS:" HOST, .from = 600 }, 1, CA,
      "certificate: certificate is not yet valid" },
    { "another CA's", HOST, { .names = "DNS:" HOST }, 1, OTHER_CA,
      "certificate: unable to get local issuer certificate" },
    { "self-signed", HOST, { .names = "DNS:" HOST }, 0, CA,
      "certificate: self-signed certificate" },
    { "not the system's", HOST, { .names = "DNS:" HOST }, 1, SYSTEM,
      "certificate: unable to get local issuer certificate" },
    { "no CA file", HOST, { .names = "DNS:" HOST }, 1, NO_FILE,
      "no certificates in /nonexistent/ca.pem" },
    { "a CA file that has none", HOST, { .names = "DNS:" HOST }, 1, NO_PEM,
      "no certificates in /" },
    { "a host without a name", "", { .names = "DNS:" HOST }, 1, CA,
      "there is no name" },
    { "nothing but a dot", ".", { .names = "DNS:" HOST }, 1, CA,
      "there is no name" }
};

static void test_trust(void)
{
    size_t i;

    for (i = 0; i < sizeof(visits) / sizeof(visits[0]); i++) {
        certificate_plan_t plan = visits[i].plan;
        certificate_t *theirs;
        const char *files[6] = { ca->cert_file, other_ca->cert_file, NULL,
                                 "/nonexistent/ca.pem", ca->key_file };
        llmux_upstream_t up = { 0 };
        SSL_CTX *server;
        pair_t c;

        plan.issuer = visits[i].is_signed ? ca : NULL;
        theirs = certificate_make(pool, plan);
        files[ITSELF] = theirs->cert_file;
        up.ca_file = files[visits[i].trust];
        server = certificate_server(theirs);
        pair_open(&c, tls, pool, &up, visits[i].host, 443, server);
        shake(&c, pool);
        ok(visits[i].says ? c.rv != APR_SUCCESS && c.rv != APR_EAGAIN && c.why
                            && strstr(c.why, visits[i].says)
                          : c.rv == APR_SUCCESS,
           "%s: %s", visits[i].name, c.why ? c.why : "good");
        pair_close(&c);
        SSL_CTX_free(server);
    }
    ok(!ERR_peek_error(), "nothing is left in OpenSSL's queue of errors");
}

/* ---- what is said ----------------------------------------------------- */

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *len,
                   const unsigned char *in, unsigned int in_len, void *baton)
{
    return SSL_select_next_proto((unsigned char **)out, len,
                                 (const unsigned char *)"\x02h2\x08http/1.1",
                                 12, in, in_len) == OPENSSL_NPN_NEGOTIATED
        ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void test_words(void)
{
    llmux_upstream_t up = { .ca_file = ca->cert_file };
    SSL_CTX *server = certificate_server(good);
    const unsigned char *chosen = NULL;
    unsigned int len = 0;
    pair_t c;

    SSL_CTX_set_alpn_select_cb(server, on_alpn, NULL);
    pair_open(&c, tls, pool, &up, HOST, 1, server);
    shake(&c, pool);
    is_str(SSL_get_servername(c.server, TLSEXT_NAMETYPE_host_name), HOST,
           "the server hears its name");
    SSL_get0_alpn_selected(c.server, &chosen, &len);
    ok(len == 8 && !memcmp(chosen, "http/1.1", 8), "and what we speak");
    pair_close(&c);
    pair_open(&c, tls, pool, &up, "127.0.0.1", 1, server);
    shake(&c, pool);
    ok(c.rv == APR_SUCCESS && !SSL_get_servername(c.server,
                                                  TLSEXT_NAMETYPE_host_name),
       "an address is no server name");
    pair_close(&c);
    SSL_CTX_free(server);
}

static void test_old(void)
{
    llmux_upstream_t up = { .ca_file = ca->cert_file };
    SSL_CTX *server = certificate_server(good);
    pair_t c;

    speak_only(server, TLS1_VERSION, TLS1_1_VERSION);
    pair_open(&c, tls, pool, &up, HOST, 1, server);
    shake(&c, pool);
    ok(c.rv == APR_EGENERAL && strstr(c.why, "protocol"),
       "TLS 1.1 is refused: %s", c.why);
    pair_close(&c);
    pair_open(&c, tls, pool, &up, HOST, 1, server);
    client_turn(&c, pool);
    ok(write(c.server_fd, "HTTP/1.1 400 No\r\n\r\n", 19) == 19, "no TLS");
    client_turn(&c, pool);
    ok(c.rv == APR_EGENERAL && strstr(c.why, "wrong version"), "is told: %s",
       c.why);
    client_turn(&c, pool);
    ok(c.rv == APR_EGENERAL, "and stays so");
    pair_close(&c);
    pair_open(&c, tls, pool, &up, HOST, 1, server);
    client_turn(&c, pool);
    server_end(&c);
    client_turn(&c, pool);
    ok(c.rv == APR_ECONNRESET, "a cut in the handshake: %s", c.why);
    pair_close(&c);
    SSL_CTX_free(server);
}

/* ---- who we are ------------------------------------------------------- */

/* A server that wants a certificate of `wanted`. */
static SSL_CTX *asking_server(int version)
{
    SSL_CTX *server = certificate_server(good);

    speak_only(server, version, version);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(server), ca->cert);
    SSL_CTX_set_verify(server, SSL_VERIFY_PEER
                               | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return server;
}

static void test_client(int version, const char *name)
{
    certificate_plan_t plan = { .issuer = ca };
    certificate_t *ours = certificate_make(pool, plan);
    llmux_upstream_t up = { .ca_file = ca->cert_file,
                            .cert_file = ours->cert_file,
                            .key_file = ours->key_file };
    SSL_CTX *server = asking_server(version);
    apr_status_t rv;
    X509 *seen;
    pair_t c;

    pair_open(&c, tls, pool, &up, HOST, 1, server);
    shake(&c, pool);
    seen = SSL_get1_peer_certificate(c.server);
    ok(c.rv == APR_SUCCESS && seen && !X509_cmp(seen, ours->cert),
       "%s: our certificate is shown (%s)", name, c.why ? c.why : "good");
    X509_free(seen);
    pair_close(&c);
    up.cert_file = up.key_file = NULL;
    pair_open(&c, tls, pool, &up, HOST, 1, server);
    shake(&c, pool);
    /* TLS 1.3 has it after the handshake. */
    rv = c.rv;
    if (rv == APR_SUCCESS) {
        hear(&c, &rv);
    }
    ok(rv == APR_EGENERAL && strstr(llmux_tls_why(c.ssl), "alert"),
       "%s: or not: %s", name, llmux_tls_why(c.ssl));
    pair_close(&c);
    SSL_CTX_free(server);
}

/* What is wrong with the files of a certificate. */
static void test_files(void)
{
    certificate_plan_t plan = { .issuer = ca };
    certificate_t *one = certificate_make(pool, plan);
    certificate_t *two = certificate_make(pool, plan);
    certificate_plan_t with_rsa = { .issuer = ca, .rsa = 1 };
    certificate_t *three = certificate_make(pool, with_rsa);
    const char *both, *secret;
    FILE *f = file_make(pool, &both);
    SSL_CTX *server = certificate_server(good);
    const struct {
        const char *cert, *key, *says;
    } cases[] = {
        { one->cert_file, one->key_file, NULL },
        { three->cert_file, three->key_file, NULL },
        { both, NULL, NULL },
        { one->cert_file, two->key_file, "is not that of the certificate" },
        { one->cert_file, three->key_file, "is not that of the certificate" },
        { one->cert_file, NULL, "no key in" },
        { one->cert_file, "/nonexistent/k.pem", "/nonexistent/k.pem: No such" },
        { "/nonexistent/c.pem", NULL, "/nonexistent/c.pem: No such" },
        { one->key_file, one->key_file, "no certificate in" },
        { one->cert_file, NULL /* secret */, "has a passphrase" }
    };
    size_t i;

    PEM_write_X509(f, one->cert);
    PEM_write_PrivateKey(f, one->key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    f = file_make(pool, &secret);
    PEM_write_PrivateKey(f, one->key, EVP_aes_128_cbc(),
                         (const unsigned char *)"word", 4, NULL, NULL);
    fclose(f);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int last = i + 1 == sizeof(cases) / sizeof(cases[0]);
        llmux_upstream_t up = { .ca_file = ca->cert_file,
                                .cert_file = cases[i].cert,
                                .key_file = last ? secret : cases[i].key };
        const char *why = llmux_tls_check_files(pool, &up);
        pair_t c;

        pair_open(&c, tls, pool, &up, HOST, 1, server);
        ok(cases[i].says ? why && strstr(why, cases[i].says) && !c.ssl
                           && !strcmp(why, c.why) : !why && c.ssl,
           "files of ours: %s", why ? why : "good");
        pair_close(&c);
    }
    SSL_CTX_free(server);
}

/* ---- sessions --------------------------------------------------------- */

static void test_sessions(int version, const char *name)
{
    certificate_plan_t plan = { .issuer = ca };
    certificate_t *ours = certificate_make(pool, plan);
    llmux_upstream_t up = { .ca_file = ca->cert_file }, elsewhere = up;
    static const llmux_reach_t anywhere = { NULL };
    const char *copied;
    FILE *f = file_make(pool, &copied);
    SSL_CTX *server = certificate_server(good);
    llmux_tls_t *t;
    int i, n = 0;

    PEM_write_X509(f, ca->cert);
    fclose(f);
    llmux_tls_create(&t, pool);
    speak_only(server, version, version);
    is_int(visit(t, pool, &up, HOST, 1, server), 0, name);
    for (i = 0; i < 4; i++) {
        n += visit(t, pool, &up, HOST, 1, server) == 1;
    }
    is_int(n, 4, "its sessions are resumed, again and again");
    is_int(visit(t, pool, &up, HOST, 2, server), 0, "not at another port");
    is_int(visit(t, pool, &up, "127.0.0.1", 1, server), 0,
           "nor for another host");
    elsewhere.ca_file = copied;
    is_int(visit(t, pool, &elsewhere, HOST, 1, server), 0,
           "nor under another CA file");
    elsewhere = up;
    elsewhere.cert_file = ours->cert_file;
    elsewhere.key_file = ours->key_file;
    is_int(visit(t, pool, &elsewhere, HOST, 1, server), 0,
           "nor with a certificate");
    is_int(visit(t, pool, &elsewhere, HOST, 1, server), 1,
           "which has sessions of its own");
    elsewhere = up;
    elsewhere.reach = &anywhere;
    is_int(visit(t, pool, &elsewhere, HOST, 1, server), 0,
           "nor by whom a stranger sends");
    is_int(visit(t, pool, &elsewhere, HOST, 3, server)
           + visit(t, pool, &elsewhere, HOST, 3, server), 0,
           "whose sessions are not kept");
    is_int(visit(t, pool, &up, HOST, 1, server), 1,
           "the first are still there");
    elsewhere = up;
    elsewhere.ca_file = other_ca->cert_file;
    is_int(visit(t, pool, &elsewhere, HOST, 1, server), -1,
           "whom we do not trust does not get in by one");
    SSL_CTX_free(server);
}

/* A ticket of TLS 1.3 is shown once; each connection brings two. */
static void test_tickets(void)
{
    llmux_upstream_t up = { .ca_file = ca->cert_file };
    SSL_CTX *server = certificate_server(good);
    pair_t c[4];
    llmux_tls_t *t;
    int i, n = 0;

    llmux_tls_create(&t, pool);
    speak_only(server, TLS1_3_VERSION, TLS1_3_VERSION);
    visit(t, pool, &up, HOST, 1, server);
    for (i = 0; i < 4; i++) {
        pair_open(&c[i], t, pool, &up, HOST, 1, server);
    }
    for (i = 0; i < 4; i++) {
        shake(&c[i], pool);
        n += SSL_session_reused(c[i].ssl);
        pair_close(&c[i]);
    }
    is_int(n, 2, "two tickets are good for two of four connections");
    SSL_CTX_free(server);
}

/* More hosts than are remembered: the one used last is. */
static void test_many(void)
{
    llmux_upstream_t up = { .ca_file = ca->cert_file };
    SSL_CTX *server = certificate_server(good);
    llmux_tls_t *t;
    int i, n = 0;

    llmux_tls_create(&t, pool);
    speak_only(server, TLS1_2_VERSION, TLS1_2_VERSION);
    for (i = 0; i <= LLMUX_TLS_PEERS_MAX; i++) {
        n += visit(t, pool, &up, HOST, 1000 + i, server) == 0;
    }
    is_int(n, LLMUX_TLS_PEERS_MAX + 1, "many hosts");
    is_int(visit(t, pool, &up, HOST, 1000 + LLMUX_TLS_PEERS_MAX, server), 1,
           "the last one is remembered");
    is_int(visit(t, pool, &up, HOST, 1000, server), 0, "the first one is not");
    SSL_CTX_free(server);
}

/* One that was cut off by us in the middle leaves a good session. */
static void test_broken_off(void)
{
    llmux_upstream_t up = { .ca_file = ca->cert_file };
    SSL_CTX *server = certificate_server(good);
    apr_status_t rv;
    llmux_tls_t *t;
    pair_t c;

    llmux_tls_create(&t, pool);
    speak_only(server, TLS1_3_VERSION, TLS1_3_VERSION);
    SSL_CTX_set_num_tickets(server, 1);
    pair_open(&c, t, pool, &up, HOST, 1, server);
    shake(&c, pool);
    say(&c, "half");
    is_str(hear(&c, &rv), "half", "a connection that we end");
    llmux_tls_close(c.ssl, 0);
    c.ssl = NULL;
    ok(SSL_read(c.server, &rv, 1) <= 0
       && !(SSL_get_shutdown(c.server) & SSL_RECEIVED_SHUTDOWN),
       "without a good-bye");
    pair_close(&c);
    is_int(visit(t, pool, &up, HOST, 1, server), 1, "is resumed all the same");
    SSL_CTX_free(server);
}

/* ---- bytes ------------------------------------------------------------ */

/* A long certificate of ours does not go into the socket at once. */
static void test_waits(void)
{
    char *text = apr_palloc(pool, 30001);
    certificate_plan_t plan = { .issuer = ca, .comment = text };
    certificate_t *ours;
    llmux_upstream_t up = { .ca_file = ca->cert_file };
    SSL_CTX *server = asking_server(TLS1_2_VERSION);
    pair_t c;

    memset(text, 'x', 30000);
    text[30000] = '\0';
    ours = certificate_make(pool, plan);
    up.cert_file = ours->cert_file;
    up.key_file = ours->key_file;
    SSL_CTX_set_max_cert_list(server, 200000);
    pair_open(&c, tls, pool, &up, HOST, 1, server);
    shake(&c, pool);
    ok(c.rv == APR_SUCCESS && c.waits[LLMUX_WAIT_READ]
       && c.waits[LLMUX_WAIT_WRITE] && !c.waits[0] && !c.waits[3],
       "a handshake waits for reading (%d) and for writing (%d)",
       c.waits[LLMUX_WAIT_READ], c.waits[LLMUX_WAIT_WRITE]);
    pair_close(&c);
    SSL_CTX_free(server);
}

/* The server reads so much when the client can write no more. */
static void drain(pair_t *c, apr_size_t *got, int *wrong)
{
    unsigned char part[3000];
    int i, n = SSL_read(c->server, part, sizeof(part));

    for (i = 0; i < n; i++) {
        *wrong += part[i] != (unsigned char)((*got + (apr_size_t)i) % 251);
    }
    *got += n > 0 ? (apr_size_t)n : 0;
}

static void test_write(void)
{
    static char body[300000], moved[300000];
    llmux_upstream_t up = { .ca_file = ca->cert_file };
    SSL_CTX *server = certificate_server(good);
    apr_size_t i, n, sent = 0, got = 0;
    int wrong = 0, again = 0, most = 0, events = 0;
    apr_status_t rv = APR_SUCCESS;
    pair_t c;

    for (i = 0; i < sizeof(body); i++) {
        body[i] = (char)(i % 251);
    }
    pair_open(&c, tls, pool, &up, HOST, 1, server);
    shake(&c, pool);
    while (sent < sizeof(body) && (rv == APR_SUCCESS || rv == APR_EAGAIN)) {
        /* The same bytes, at another address each second time. */
        char *from = again % 2 ? moved : body;

        memcpy(moved, body, sizeof(body));
        rv = llmux_tls_write(c.ssl, from + sent, sizeof(body) - sent, &n,
                             &events);
        sent += n;
        most = n > (apr_size_t)most ? (int)n : most;
        if (rv == APR_EAGAIN) {
            again += events == LLMUX_WAIT_WRITE;
            drain(&c, &got, &wrong);
        }
    }
    for (i = 0; i < 1000 && got < sent; i++) {
        drain(&c, &got, &wrong);
    }
    ok(sent == sizeof(body) && got == sent && !wrong,
       "a body arrives as it was sent");
    ok(again > 10 && most <= 16384, "in parts (%d), with pauses (%d)", most,
       again);
    rv = llmux_tls_write(c.ssl, body, 0, &n, &events);
    ok(rv == APR_SUCCESS && !n, "nothing is easily written");
    pair_close(&c);
    SSL_CTX_free(server);
}

static void test_ends(void)
{
    llmux_upstream_t up = { .ca_file = ca->cert_file };
    SSL_CTX *server = certificate_server(good);
    apr_status_t rv;
    apr_size_t n;
    int i, events = 0;
    pair_t c;

    pair_open(&c, tls, pool, &up, HOST, 1, server);
    shake(&c, pool);
    hear(&c, &rv);
    ok(rv == APR_EAGAIN && !llmux_tls_pending(c.ssl), "nothing to read yet");
    say(&c, "bye");
    SSL_shutdown(c.server);
    rv = llmux_tls_read(c.ssl, (char *)&n, 2, &n, &events);
    ok(rv == APR_SUCCESS && n == 2 && llmux_tls_pending(c.ssl),
       "a part of what came: there is more");
    is_str(hear(&c, &rv), "e", "the rest");
    hear(&c, &rv);
    is_int(rv, APR_EOF, "then it is closed in order");
    hear(&c, &rv);
    ok(rv == APR_EOF && llmux_tls_pending(c.ssl), "and stays so");
    rv = llmux_tls_write(c.ssl, "but", 3, &n, &events);
    ok(rv == APR_SUCCESS && n == 3, "though we may go on to speak");
    pair_close(&c);

    pair_open(&c, tls, pool, &up, HOST, 1, server);
    shake(&c, pool);
    say(&c, "cut");
    server_end(&c);
    is_str(hear(&c, &rv), "cut", "before a cut");
    hear(&c, &rv);
    is_int(rv, APR_ECONNRESET, "a cut is no end");
    hear(&c, &rv);
    is_int(rv, APR_ECONNRESET, "not when asked again either");
    rv = llmux_tls_write(c.ssl, "x", 1, &n, &events);
    is_int(rv, APR_ECONNRESET, "nor for writing");
    pair_close(&c);

    pair_open(&c, tls, pool, &up, HOST, 1, server);
    shake(&c, pool);
    server_end(&c);
    for (i = 0, rv = APR_SUCCESS; i < 10 && rv == APR_SUCCESS; i++) {
        rv = llmux_tls_write(c.ssl, "x", 1, &n, &events);
    }
    ok(rv == APR_ECONNRESET && *llmux_tls_why(c.ssl),
       "writing into a cut: %s", llmux_tls_why(c.ssl));
    pair_close(&c);

    pair_open(&c, tls, pool, &up, HOST, 1, server);
    shake(&c, pool);
    ok(write(c.server_fd, "\x17\x03\x03\0\x20 this is not what it should be!!",
             37) == 37, "bytes that somebody else put in");
    hear(&c, &rv);
    ok(rv == APR_EGENERAL, "break it: %s", llmux_tls_why(c.ssl));
    pair_close(&c);
    SSL_CTX_free(server);
}

static void test_good_bye(void)
{
    llmux_upstream_t up = { .ca_file = ca->cert_file };
    SSL_CTX *server = certificate_server(good);
    char byte;
    pair_t c;

    pair_open(&c, tls, pool, &up, HOST, 1, server);
    shake(&c, pool);
    llmux_tls_close(c.ssl, 1);
    c.ssl = NULL;
    ok(SSL_read(c.server, &byte, 1) <= 0
       && (SSL_get_shutdown(c.server) & SSL_RECEIVED_SHUTDOWN),
       "an orderly close says good-bye");
    ok(fcntl(c.fd, F_GETFL) != -1, "the descriptor stays open");
    pair_close(&c);
    pair_open(&c, tls, pool, &up, HOST, 1, server);
    client_turn(&c, pool);
    pair_close(&c);
    llmux_tls_close(NULL, 1);
    ok(1, "nothing can be closed, and half a handshake");
    SSL_CTX_free(server);
}

/* Renegotiation is how a server could become another one on the way. */
static void test_renegotiation(void)
{
    llmux_upstream_t up = { .ca_file = ca->cert_file };
    SSL_CTX *server = certificate_server(good);
    apr_status_t rv;
    char byte;
    pair_t c;

    speak_only(server, TLS1_2_VERSION, TLS1_2_VERSION);
    pair_open(&c, tls, pool, &up, HOST, 1, server);
    shake(&c, pool);
    SSL_renegotiate(c.server);
    SSL_do_handshake(c.server);
    hear(&c, &rv);
    ok(rv == APR_EAGAIN && SSL_read(c.server, &byte, 1) <= 0
       && ERR_GET_REASON(ERR_peek_error()) == SSL_R_NO_RENEGOTIATION,
       "no renegotiation");
    ERR_clear_error();
    pair_close(&c);
    SSL_CTX_free(server);
}

/* ---- lives ------------------------------------------------------------ */

static void test_lives(void)
{
    llmux_upstream_t up = { .ca_file = ca->cert_file };
    SSL_CTX *server = certificate_server(good);
    apr_status_t rv;
    apr_pool_t *p;
    llmux_tls_t *t;
    pair_t c;

    apr_pool_create(&p, pool);
    llmux_tls_create(&t, p);
    pair_open(&c, t, pool, &up, HOST, 1, server);
    shake(&c, pool);
    apr_pool_destroy(p);
    say(&c, "still here");
    is_str(hear(&c, &rv), "still here",
           "a connection outlives the contexts' pool");
    pair_close(&c);
    SSL_CTX_free(server);
}

#define THREADS 6

typedef struct worker_t {
    pthread_t thread;
    llmux_tls_t *tls;
    SSL_CTX *server;
    int first, good;
} worker_t;

/* Several contexts, one of them with files that are not there. */
static void *work(void *data)
{
    worker_t *w = data;
    const char *files[3];
    apr_pool_t *p;
    int i;

    files[0] = ca->cert_file;
    files[1] = good->cert_file;
    files[2] = "/nonexistent/ca.pem";
    apr_pool_create(&p, NULL);
    for (i = 0; i < 24; i++) {
        llmux_upstream_t up = { .ca_file = files[(i + w->first) % 3] };
        int n = visit(w->tls, p, &up, HOST, i % 2, w->server);

        w->good += (n >= 0) == ((i + w->first) % 3 != 2);
    }
    apr_pool_destroy(p);
    OPENSSL_thread_stop();
    return NULL;
}

static void test_threads(void)
{
    SSL_CTX *server = certificate_server(good);
    worker_t w[THREADS];
    llmux_tls_t *t;
    int i, n = 0;

    llmux_tls_create(&t, pool);
    for (i = 0; i < THREADS; i++) {
        w[i] = (worker_t) { .tls = t, .server = server, .first = i };
        pthread_create(&w[i].thread, NULL, work, &w[i]);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(w[i].thread, NULL);
        n += w[i].good;
    }
    is_int(n, THREADS * 24, "threads share contexts and sessions");
    SSL_CTX_free(server);
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    signal(SIGPIPE, SIG_IGN);
    ca = certificate_make(pool, (certificate_plan_t) { .is_ca = 1 });
    other_ca = certificate_make(pool, (certificate_plan_t) { .is_ca = 1 });
    good = certificate_make(pool, (certificate_plan_t) {
        .issuer = ca, .names = "DNS:" HOST ", IP:127.0.0.1" });
    llmux_tls_create(&tls, pool);
    test_trust();
    test_words();
    test_old();
    test_client(TLS1_2_VERSION, "TLS 1.2");
    test_client(TLS1_3_VERSION, "TLS 1.3");
    test_files();
    test_sessions(TLS1_2_VERSION, "TLS 1.2");
    test_sessions(TLS1_3_VERSION, "TLS 1.3");
    test_tickets();
    test_many();
    test_broken_off();
    test_waits();
    test_write();
    test_ends();
    test_good_bye();
    test_renegotiation();
    test_lives();
    test_threads();
    apr_pool_destroy(pool);
    return tap_done();
}
