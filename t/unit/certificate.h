/* certificate.h - certificates made by a test, and where their files are. */

#ifndef CERTIFICATE_H
#define CERTIFICATE_H

#include <stdlib.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <apr_file_io.h>
#include <apr_strings.h>

/* A certificate, its key, and a file of each that is gone with the pool. */
typedef struct certificate_t {
    X509 *cert;
    EVP_PKEY *key;
    const char *cert_file, *key_file;
} certificate_t;

/* What is said of one; what is left out has a default. */
typedef struct certificate_plan_t {
    const certificate_t *issuer;    /* NULL = itself */
    const char *names;              /* "DNS:..., IP:..." */
    const char *comment;            /* makes it long */
    long from, to;                  /* seconds from now; 0 = an hour */
    int is_ca;
    int rsa;                        /* else an elliptic curve's */
} certificate_plan_t;

static apr_status_t file_gone(void *path)
{
    unlink(path);
    return APR_SUCCESS;
}

/** A file of this pool, and where it is. */
static FILE *file_make(apr_pool_t *p, const char **path)
{
    const char *dir;
    char *name;

    apr_temp_dir_get(&dir, p);
    name = apr_pstrcat(p, dir, "/llmux-pem-XXXXXX", NULL);
    *path = name;
    apr_pool_cleanup_register(p, name, file_gone, apr_pool_cleanup_null);
    return fdopen(mkstemp(name), "w");
}

static void extend(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *e = value ? X509V3_EXT_conf_nid(NULL, NULL, nid, value)
                              : NULL;

    if (e) {
        X509_add_ext(cert, e, -1);
    }
    X509_EXTENSION_free(e);
}

static X509 *cert_make(const certificate_plan_t *plan, EVP_PKEY *key)
{
    static long serial;
    const certificate_t *by = plan->issuer;
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);
    char text[40];

    snprintf(text, sizeof(text), "test %ld", ++serial);
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial);
    X509_gmtime_adj(X509_getm_notBefore(cert),
                    plan->from ? plan->from : -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), plan->to ? plan->to : 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               (const unsigned char *)text, -1, -1, 0);
    X509_set_issuer_name(cert, by ? X509_get_subject_name(by->cert) : name);
    extend(cert, NID_basic_constraints, plan->is_ca ? "CA:TRUE" : NULL);
    extend(cert, NID_subject_alt_name, plan->names);
    extend(cert, NID_netscape_comment, plan->comment);
    X509_sign(cert, by ? by->key : key, EVP_sha256());
    return cert;
}

static apr_status_t certificate_gone(void *data)
{
    certificate_t *c = data;

    X509_free(c->cert);
    EVP_PKEY_free(c->key);
    return APR_SUCCESS;
}

/** Lives in `p`, its files too. */
static certificate_t *certificate_make(apr_pool_t *p, certificate_plan_t plan)
{
    certificate_t *c = apr_pcalloc(p, sizeof(*c));
    FILE *f;

    c->key = plan.rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    c->cert = cert_make(&plan, c->key);
    apr_pool_cleanup_register(p, c, certificate_gone, apr_pool_cleanup_null);
    f = file_make(p, &c->cert_file);
    PEM_write_X509(f, c->cert);
    fclose(f);
    f = file_make(p, &c->key_file);
    PEM_write_PrivateKey(f, c->key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    return c;
}

/** A server with this certificate; to be freed by the caller. */
static SSL_CTX *certificate_server(const certificate_t *c)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    SSL_CTX_use_certificate(ctx, c->cert);
    SSL_CTX_use_PrivateKey(ctx, c->key);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"t", 1);
    return ctx;
}

/** The server speaks the versions from `low` to `high` only. */
__attribute__((unused))
static void speak_only(SSL_CTX *ctx, int low, int high)
{
    if (low < TLS1_2_VERSION) {
        SSL_CTX_set_security_level(ctx, 0);
    }
    SSL_CTX_set_min_proto_version(ctx, low);
    SSL_CTX_set_max_proto_version(ctx, high);
}

#endif
