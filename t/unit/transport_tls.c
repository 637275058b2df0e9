/* transport_tls.c - exchanges over TLS: whom we trust, what we resume. */

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <apr_file_io.h>
#include <apr_strings.h>

#include "llmux/transport.h"
#include "tap.h"
#include "upstream.h"

#define MS(n) ((n) * (apr_interval_time_t)1000)

static apr_pool_t *pool;
static upstream_t server, plain, old, proxy;
static SSL_CTX *context;
static char block[1 << 20];         /* of x */

/* ---- the provider ----------------------------------------------------- */

static int whole(conn_t *c)
{
    return say(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
}

static int big(conn_t *c)
{
    return say(c, "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n")
           && say_bytes(c, block, sizeof(block));
}

/* The connection is cut without a word in the middle of the body. */
static int torn(conn_t *c)
{
    say(c, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello");
    shutdown(c->fd, SHUT_RDWR);
    return 0;
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
    { NULL, whole }
};

static const script_t tunnels[] = { { "*", tunnel }, { NULL, tunnel } };

/* ---- its certificate -------------------------------------------------- */

static void extend(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    X509_add_ext(cert, e, -1);
    X509_EXTENSION_free(e);
}

static X509 *cert_make(EVP_PKEY *key)
{
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    extend(cert, NID_basic_constraints, "CA:TRUE");
    extend(cert, NID_subject_alt_name, "IP:127.0.0.1");
    X509_sign(cert, key, EVP_sha256());
    return cert;
}

static char *temporary(void)
{
    const char *dir;

    apr_temp_dir_get(&dir, pool);
    return apr_pstrcat(pool, dir, "/llmux-ca-XXXXXX", NULL);
}

/* @param ca_file where the certificate goes: a template, filled in */
static SSL_CTX *context_make(char *ca_file)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);
    X509 *cert = cert_make(key);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    FILE *f = fdopen(mkstemp(ca_file), "w");

    PEM_write_X509(f, cert);
    fclose(f);
    SSL_CTX_use_certificate(ctx, cert);
    SSL_CTX_use_PrivateKey(ctx, key);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"t", 1);
    X509_free(cert);
    EVP_PKEY_free(key);
    return ctx;
}

/* ---- helpers ---------------------------------------------------------- */

static llmux_upstream_t trusting = {
    .proxy = "", .connect = MS(2000),
    .first_byte = MS(2000), .between = MS(2000), .total = MS(5000),
    .idle = MS(10000)
};

static outcome_t get_at(const llmux_upstream_t *up, const char *host,
                        int port, const char *path)
{
    llmux_request_t rq = { up, apr_psprintf(pool, "https://%s:%d%s", host,
                                            port, path),
                           NULL, llmux_slice("{}") };
    outcome_t o = { 0 };

    drive_to_end(pool, &rq, &o);
    return o;
}

static outcome_t get(const llmux_upstream_t *up, const char *path)
{
    return get_at(up, "127.0.0.1", server.port, path);
}

/* ---- tests ------------------------------------------------------------ */

static void test_trust(void)
{
    llmux_upstream_t up = trusting;
    outcome_t o = get(&trusting, "/whole");

    ok(o.end == LLMUX_STEP_DONE && !o.reused && o.body->len == 5,
       "a provider that the CA file vouches for (%s)", o.detail);
    o = get(&trusting, "/whole");
    ok(o.reused, "its connection is used again");
    up.ca_file = NULL;
    o = get(&up, "/whole");
    ok(o.fail == LLMUX_FAIL_TLS && !o.heads,
       "one that the system does not know: %s", o.detail);
    o = get_at(&trusting, "localhost", server.port, "/whole");
    ok(o.fail == LLMUX_FAIL_TLS, "one with another name: %s", o.detail);
    up.ca_file = "/nonexistent/ca.pem";
    o = get(&up, "/whole");
    ok(o.fail == LLMUX_FAIL_TLS && strstr(o.detail, up.ca_file),
       "a CA file that is not there: %s", o.detail);
    o = get_at(&trusting, "127.0.0.1", plain.port, "/whole");
    ok(o.fail == LLMUX_FAIL_TLS, "one without TLS: %s", o.detail);
    o = get_at(&trusting, "127.0.0.1", old.port, "/whole");
    ok(o.fail == LLMUX_FAIL_TLS, "one with TLS 1.1: %s", o.detail);
}

static void test_session(void)
{
    llmux_upstream_t up = trusting;
    int before = server.resumed;
    outcome_t o;

    up.idle = 0;
    up.no_proxy = "other handles";
    o = get(&up, "/whole");
    ok(o.end == LLMUX_STEP_DONE && !o.reused
       && server.resumed == before + 1,
       "another handle takes the TLS session up again");
    up.ca_file = NULL;
    o = get(&up, "/whole");
    ok(o.fail == LLMUX_FAIL_TLS, "but not one that trusts somebody else");
}

static void test_bodies(void)
{
    outcome_t o = get(&trusting, "/big");

    ok(o.end == LLMUX_STEP_DONE && o.body->len == 1 << 20, "a big body");
    ok(o.most <= 2 * 16384, "comes a read at a time (%lu bytes at most)",
       (unsigned long)o.most);
    o = get(&trusting, "/torn");
    ok(o.fail == LLMUX_FAIL_RESET && o.body->len == 5,
       "a cut: %s", o.detail);
}

static void test_tunnel(void)
{
    llmux_upstream_t up = trusting;
    llmux_response_t r = { 200, "", NULL };
    outcome_t o;

    up.proxy = apr_psprintf(pool, "http://127.0.0.1:%d", proxy.port);
    o = get(&up, "/whole");
    r.headers = o.headers;
    ok(o.end == LLMUX_STEP_DONE && o.heads == 1
       && !llmux_response_header(&r, "X-From"),
       "through a proxy's tunnel, whose head is not the answer's (%s)",
       o.detail);
    o = get(&up, "/whole");
    ok(o.reused && o.end == LLMUX_STEP_DONE, "and once more");
}

int main(void)
{
    apr_pool_t *child;
    SSL_CTX *ancient;
    char *ca_file, *other;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    apr_pool_create(&child, NULL);
    llmux_transport_process_init();
    memset(block, 'x', sizeof(block));
    ca_file = temporary();
    other = temporary();
    trusting.ca_file = ca_file;
    context = context_make(ca_file);
    ancient = context_make(other);
    SSL_CTX_set_security_level(ancient, 0);
    SSL_CTX_set_min_proto_version(ancient, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(ancient, TLS1_1_VERSION);
    upstream_start(&server, scripts, context);
    upstream_start(&plain, scripts, NULL);
    upstream_start(&old, scripts, ancient);
    upstream_start(&proxy, tunnels, NULL);
    ok(get(&trusting, "/whole").end == LLMUX_STEP_DONE,
       "an exchange without a pool");
    llmux_transport_child_init(child);
    test_trust();
    test_session();
    test_bodies();
    test_tunnel();
    apr_pool_destroy(child);
    upstream_empty(&server);
    upstream_empty(&old);
    upstream_empty(&proxy);
    unlink(ca_file);
    unlink(other);
    apr_pool_destroy(pool);
    return tap_done();
}
