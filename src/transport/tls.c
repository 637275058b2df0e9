/* tls.c - TLS to a provider: contexts, connections, and what went wrong. */

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <apr_atomic.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "ca_store.h"
#include "tls.h"
#include "tls_session.h"

/* Whom we trust and who we are. */
typedef struct context_t {
    char *ca_file, *cert_file, *key_file;
    apr_uint32_t users;         /* connections, and the list; atomic */
    pthread_mutex_t reading;    /* held while the files are read, once */
    SSL_CTX *ctx;               /* NULL until then */
    llmux_sessions_t *sessions;
    struct context_t *next;
} context_t;

struct llmux_tls_t {
    pthread_mutex_t lock;       /* the list; never across I/O */
    context_t *first;
    llmux_stores_t *stores;
};

/* Of each SSL: its app_data. */
typedef struct conn_t {
    context_t *context;
    apr_status_t broken;        /* what every call says from then on */
    int unheard;                /* the peer does not take any more of ours */
    const char *why;            /* ... static */
    int remembered;             /* its sessions are */
    char peer[];                /* host:port, to find sessions by */
} conn_t;

/* ---- words ------------------------------------------------------------ */

static const char *words(apr_pool_t *p, unsigned long code,
                         const char *otherwise)
{
    const char *reason = NULL;
    char text[120];

    if (code && ERR_SYSTEM_ERROR(code)) {
        return apr_pstrdup(p, apr_strerror(ERR_GET_REASON(code), text,
                                           sizeof(text)));
    }
    if (code) {
        reason = ERR_reason_error_string(code);
    }
    return reason ? reason : otherwise;
}

/* What began it: the later ones only say who passed it on. */
static const char *first_words(apr_pool_t *p)
{
    const char *text = words(p, ERR_peek_error(), "it cannot be read");

    ERR_clear_error();
    return text;
}

/* ---- our certificate -------------------------------------------------- */

/* Nobody is there to type it. */
static int no_passphrase(char *to, int size, int writing, void *baton)
{
    if (baton) {
        *(int *)baton = 1;
    }
    return -1;
}

static EVP_PKEY *key_read(apr_pool_t *p, const char *file, const char **why)
{
    BIO *in = BIO_new_file(file, "r");
    EVP_PKEY *key = NULL;
    int asked = 0;

    if (in) {
        key = PEM_read_bio_PrivateKey(in, NULL, no_passphrase, &asked);
    }
    if (!in) {
        *why = apr_psprintf(p, "no key in %s: %s", file, first_words(p));
    }
    else if (asked) {
        *why = apr_pstrcat(p, "the key in ", file, " has a passphrase",
                           NULL);
    }
    else if (!key) {
        *why = apr_pstrcat(p, "no key in ", file, NULL);
    }
    BIO_free(in);
    return key;
}

static const char *use_key(SSL_CTX *ctx, apr_pool_t *p, const char *file,
                           const char *cert_file)
{
    const char *why = NULL;
    EVP_PKEY *key = key_read(p, file, &why);

    if (key && X509_check_private_key(SSL_CTX_get0_certificate(ctx), key)
               != 1) {
        why = apr_psprintf(p, "the key in %s is not that of the certificate "
                           "in %s", file, cert_file);
    }
    else if (key && SSL_CTX_use_PrivateKey(ctx, key) != 1) {
        why = apr_psprintf(p, "the key in %s is of no use: %s", file,
                           first_words(p));
    }
    EVP_PKEY_free(key);
    return why;
}

/* @return what is wrong with them, in `p` */
static const char *use_identity(SSL_CTX *ctx, apr_pool_t *p,
                                const char *cert_file, const char *key_file)
{
    if (!cert_file) {
        return NULL;
    }
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1) {
        return apr_psprintf(p, "no certificate in %s: %s", cert_file,
                            first_words(p));
    }
    return use_key(ctx, p, key_file ? key_file : cert_file, cert_file);
}

const char *llmux_tls_check_files(apr_pool_t *p, const llmux_upstream_t *up)
{
    SSL_CTX *ctx;
    const char *why = "no memory for TLS";

    ERR_clear_error();
    ctx = SSL_CTX_new(TLS_client_method());
    if (ctx) {
        why = use_identity(ctx, p, up->cert_file, up->key_file);
    }
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return why;
}

/* ---- contexts --------------------------------------------------------- */

static void context_release(context_t *c)
{
    if (apr_atomic_dec32(&c->users)) {
        return;
    }
    SSL_CTX_free(c->ctx);
    if (c->sessions) {
        llmux_sessions_free(c->sessions);
    }
    pthread_mutex_destroy(&c->reading);
    free(c->ca_file);
    free(c->cert_file);
    free(c->key_file);
    free(c);
}

/* @return 0 when memory is out */
static int copy(char **to, const char *file)
{
    *to = file ? strdup(file) : NULL;
    return !file || *to;
}

static context_t *context_create(const llmux_upstream_t *up)
{
    context_t *c = calloc(1, sizeof(*c));

    if (!c) {
        return NULL;
    }
    apr_atomic_set32(&c->users, 1);
    pthread_mutex_init(&c->reading, NULL);
    c->sessions = llmux_sessions_create();
    if (!c->sessions || !copy(&c->ca_file, up->ca_file)
        || !copy(&c->cert_file, up->cert_file)
        || !copy(&c->key_file, up->key_file)) {
        context_release(c);
        return NULL;
    }
    return c;
}

static int same_file(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static int is_for(const context_t *c, const llmux_upstream_t *up)
{
    return same_file(c->ca_file, up->ca_file)
           && same_file(c->cert_file, up->cert_file)
           && same_file(c->key_file, up->key_file);
}

/* As many as the configuration has; the caller becomes a user of it. */
static context_t *context_get(llmux_tls_t *t, const llmux_upstream_t *up)
{
    context_t *c;

    pthread_mutex_lock(&t->lock);
    c = t->first;
    while (c && !is_for(c, up)) {
        c = c->next;
    }
    if (!c) {
        c = context_create(up);
        if (c) {
            c->next = t->first;
            t->first = c;
        }
    }
    if (c) {
        apr_atomic_inc32(&c->users);
    }
    pthread_mutex_unlock(&t->lock);
    return c;
}

static conn_t *conn_of(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

/* @return 1: we keep it */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    const conn_t *conn = conn_of(ssl);

    if (conn->remembered) {
        llmux_session_put(conn->context->sessions, conn->peer, session);
    }
    return conn->remembered;
}

static SSL_CTX *ctx_create(void)
{
    static const unsigned char protocols[] = "\x08http/1.1";
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    if (!ctx) {
        return NULL;
    }
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION
                             | SSL_OP_NO_RENEGOTIATION);
    /* One read for a record's head and body. */
    SSL_CTX_set_read_ahead(ctx, 1);
    /* A connection that waits has no buffers. */
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE
                          | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
                          | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_alpn_protos(ctx, protocols, sizeof(protocols) - 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT
                                        | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
    return ctx;
}

/* @return what is wrong, in `p` */
static const char *set_up(SSL_CTX *ctx, llmux_tls_t *t, apr_pool_t *p,
                          const context_t *c)
{
    X509_STORE *store = llmux_store_get(t->stores, c->ca_file);

    if (!store) {
        return apr_psprintf(p, "no certificates in %s",
                            c->ca_file ? c->ca_file
                                       : "the system's CA file");
    }
    SSL_CTX_set_cert_store(ctx, store);
    return use_identity(ctx, p, c->cert_file, c->key_file);
}

/* What failed is tried again by the next one: somebody may have put the file
 * right. */
static const char *context_read(context_t *c, llmux_tls_t *t, apr_pool_t *p)
{
    const char *why = NULL;
    SSL_CTX *ctx;

    pthread_mutex_lock(&c->reading);
    if (!c->ctx) {
        ctx = ctx_create();
        why = ctx ? set_up(ctx, t, p, c) : "no memory for TLS";
        if (why) {
            SSL_CTX_free(ctx);
        }
        else {
            c->ctx = ctx;
        }
    }
    pthread_mutex_unlock(&c->reading);
    return why;
}

static apr_status_t tls_free(void *data)
{
    llmux_tls_t *t = data;
    context_t *c = t->first, *next;

    for (; c; c = next) {
        next = c->next;
        context_release(c);
    }
    llmux_stores_free(t->stores);
    pthread_mutex_destroy(&t->lock);
    return APR_SUCCESS;
}

apr_status_t llmux_tls_create(llmux_tls_t **made, apr_pool_t *p)
{
    llmux_tls_t *t = apr_pcalloc(p, sizeof(*t));

    t->stores = llmux_stores_create();
    if (!t->stores) {
        return APR_ENOMEM;
    }
    pthread_mutex_init(&t->lock, NULL);
    apr_pool_cleanup_register(p, t, tls_free, apr_pool_cleanup_null);
    *made = t;
    return APR_SUCCESS;
}

/* ---- opening ---------------------------------------------------------- */

/* As certificates have it: in lower case, without a root's dot or a zone. An
 * empty name would be verified by nobody. NULL if there is none. */
static char *name_of(apr_pool_t *p, const char *host)
{
    apr_size_t i, len = strcspn(host, "%");
    char *name;

    if (len && host[len - 1] == '.') {
        len--;
    }
    if (!len || len > LLMUX_HOST_MAX) {
        return NULL;
    }
    name = apr_pstrmemdup(p, host, len);
    for (i = 0; i < len; i++) {
        name[i] = (char)apr_tolower(name[i]);
    }
    return name;
}

/* @return the bytes of the address; 0: it is a name */
static size_t address_of(const char *host, unsigned char *bytes)
{
    if (inet_pton(AF_INET, host, bytes) == 1) {
        return 4;
    }
    return inet_pton(AF_INET6, host, bytes) == 1 ? 16 : 0;
}

/* Whom the certificate must name. An address is no server name: RFC 6066 3. */
static int expect(SSL *ssl, const char *host)
{
    unsigned char bytes[16];
    size_t len = address_of(host, bytes);

    if (len) {
        return X509_VERIFY_PARAM_set1_ip(SSL_get0_param(ssl), bytes, len);
    }
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) && SSL_set_tlsext_host_name(ssl, host);
}

static void resume(SSL *ssl, const conn_t *conn)
{
    SSL_SESSION *s = conn->remembered
        ? llmux_session_take(conn->context->sessions, conn->peer) : NULL;

    if (s) {
        SSL_set_session(ssl, s);
        SSL_SESSION_free(s);
    }
}

/* Hosts that strangers name are not worth their place among ours. */
static conn_t *conn_create(context_t *c, const llmux_upstream_t *up,
                           const char *host, int port)
{
    size_t size = strlen(host) + sizeof(":-2147483648");
    conn_t *conn = calloc(1, sizeof(*conn) + size);

    if (conn) {
        conn->context = c;
        conn->remembered = !up->reach;
        conn->why = "";
        apr_snprintf(conn->peer, size, "%s:%d", host, port);
    }
    return conn;
}

/* Takes over the use of the context if it returns one. */
static SSL *ssl_create(context_t *c, const llmux_upstream_t *up,
                       const char *host, int port, int fd)
{
    SSL *ssl = SSL_new(c->ctx);
    conn_t *conn = conn_create(c, up, host, port);

    if (!ssl || !conn || !expect(ssl, host) || !SSL_set_fd(ssl, fd)) {
        SSL_free(ssl);
        free(conn);
        return NULL;
    }
    SSL_set_app_data(ssl, conn);
    SSL_set_connect_state(ssl);
    resume(ssl, conn);
    return ssl;
}

SSL *llmux_tls_open(llmux_tls_t *t, apr_pool_t *p,
                    const llmux_upstream_t *up, const char *host, int port,
                    int fd, const char **why)
{
    const char *name = name_of(p, host);
    context_t *c;
    SSL *ssl = NULL;

    if (!name) {
        *why = "there is no name that a certificate could be for";
        return NULL;
    }
    *why = "no memory for TLS";
    c = context_get(t, up);
    if (!c) {
        return NULL;
    }
    ERR_clear_error();
    *why = context_read(c, t, p);
    if (!*why) {
        ssl = ssl_create(c, up, name, port, fd);
        *why = ssl ? NULL : first_words(p);
    }
    ERR_clear_error();
    if (!ssl) {
        context_release(c);
    }
    return ssl;
}

/* ---- what a call came to ---------------------------------------------- */

static apr_status_t give_up(conn_t *conn, apr_status_t rv, const char *why)
{
    conn->broken = rv;
    conn->why = why;
    return rv;
}

/* Is it the end of the connection, without the end of TLS? */
static int is_cut(int error, unsigned long code)
{
    return error == SSL_ERROR_SYSCALL
           || (ERR_GET_LIB(code) == ERR_LIB_SSL
               && ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING);
}

/* Before it the queue of errors was empty, and so it is afterwards. */
static apr_status_t outcome(SSL *ssl, int result, int *events)
{
    conn_t *conn = conn_of(ssl);
    int error = SSL_get_error(ssl, result);
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    ERR_clear_error();
    switch (error) {
    case SSL_ERROR_NONE:
        return APR_SUCCESS;
    case SSL_ERROR_WANT_READ:
        *events = LLMUX_WAIT_READ;
        return APR_EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        *events = LLMUX_WAIT_WRITE;
        return APR_EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return give_up(conn, APR_EOF, "closed by the peer");
    default:
        return is_cut(error, code)
            ? give_up(conn, APR_ECONNRESET, "the connection was lost")
            : give_up(conn, APR_EGENERAL, reason ? reason : "TLS failed");
    }
}

apr_status_t llmux_tls_handshake(SSL *ssl, apr_pool_t *p, int *events,
                                 const char **why)
{
    conn_t *conn = conn_of(ssl);
    apr_status_t rv;

    if (conn->broken) {
        *why = conn->why;
        return conn->broken;
    }
    ERR_clear_error();
    rv = outcome(ssl, SSL_do_handshake(ssl), events);
    if (conn->broken && SSL_get_verify_result(ssl) != X509_V_OK) {
        conn->why = X509_verify_cert_error_string(SSL_get_verify_result(ssl));
        *why = apr_pstrcat(p, "certificate: ", conn->why, NULL);
    }
    else if (conn->broken) {
        *why = apr_pstrcat(p, "handshake: ", conn->why, NULL);
    }
    return rv;
}

apr_status_t llmux_tls_read(SSL *ssl, char *to, apr_size_t cap, apr_size_t *n,
                            int *events)
{
    const conn_t *conn = conn_of(ssl);
    apr_status_t rv;

    *n = 0;
    if (conn->broken) {
        return conn->broken;
    }
    if (!cap) {
        return APR_EINVAL;
    }
    ERR_clear_error();
    rv = outcome(ssl, SSL_read_ex(ssl, to, cap, n), events);
    /* OpenSSL 3.0 forgets to release what it wrote with: 16 KB. Not between a
     * record's header and its body: before 3.0.14 it would take the header
     * away, too, and look at it later (CVE-2024-4741). */
    if (rv == APR_EAGAIN && !strcmp(SSL_rstate_string(ssl), "RH")) {
        SSL_free_buffers(ssl);
    }
    return rv;
}

/* A peer that went away may have said why: that is still to be read. OpenSSL
 * was not told but by the system, so nothing of its own is broken. */
static apr_status_t written(conn_t *conn, apr_status_t rv)
{
    if (rv == APR_ECONNRESET) {
        conn->broken = APR_SUCCESS;
        conn->unheard = 1;
    }
    return rv;
}

/* That the peer will send no more does not keep us from sending. One record
 * at a time, or OpenSSL keeps to itself how far it has come. */
apr_status_t llmux_tls_write(SSL *ssl, const char *data, apr_size_t len,
                             apr_size_t *n, int *events)
{
    conn_t *conn = conn_of(ssl);

    *n = 0;
    if (conn->unheard) {
        return APR_ECONNRESET;
    }
    if (conn->broken && conn->broken != APR_EOF) {
        return conn->broken;
    }
    if (!len) {
        return APR_SUCCESS;
    }
    if (len > SSL3_RT_MAX_PLAIN_LENGTH) {
        len = SSL3_RT_MAX_PLAIN_LENGTH;
    }
    ERR_clear_error();
    return written(conn, outcome(ssl, SSL_write_ex(ssl, data, len, n),
                                 events));
}

int llmux_tls_pending(const SSL *ssl)
{
    return conn_of(ssl)->broken || SSL_has_pending(ssl);
}

const char *llmux_tls_why(const SSL *ssl)
{
    return conn_of(ssl)->why;
}

/* ---- closing ---------------------------------------------------------- */

static int may_say_good_bye(const SSL *ssl)
{
    const conn_t *conn = conn_of(ssl);

    return SSL_is_init_finished(ssl) && !conn->unheard
           && (!conn->broken || conn->broken == APR_EOF);
}

void llmux_tls_close(SSL *ssl, int orderly)
{
    conn_t *conn;

    if (!ssl) {
        return;
    }
    conn = conn_of(ssl);
    ERR_clear_error();
    if (orderly && may_say_good_bye(ssl)) {
        SSL_shutdown(ssl);
    }
    /* Or OpenSSL spoils the session, which is as good as ever. */
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl);
    ERR_clear_error();
    context_release(conn->context);
    free(conn);
}
