/* google_account.c - Google's credentials as they are configured: key files,
 * and the metadata server of the machine. */

#include <stdlib.h>

#include <apr_strings.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "llmux/credential.h"

#define TOKEN_URL "https://oauth2.googleapis.com/token"
#define METADATA_HOST "metadata.google.internal"
#define METADATA_PATH "/computeMetadata/v1/instance/service-accounts/" \
                      "default/token"
#define UNIVERSE "googleapis.com"
#define RSA_BITS_MAX 8192           /* more takes seconds to sign with */
#define NAME_MAX_LEN 512            /* an e-mail address, a project's id */

/* One key file that is read. */
typedef struct key_file_t {
    apr_pool_t *pool;       /* lives */
    apr_pool_t *scratch;
    const llmux_json_t *root;
    llmux_credential_t *out;
    const char *why;        /* set: it is no good */
} key_file_t;

/* Less than LLMUX_VAULT_LEASE: nobody else begins to fetch meanwhile. */
static const llmux_upstream_t patience = {
    .connect = 3 * APR_USEC_PER_SEC,
    .first_byte = 10 * APR_USEC_PER_SEC,
    .between = 10 * APR_USEC_PER_SEC,
    .total = 12 * APR_USEC_PER_SEC
};

/* ---- members ----------------------------------------------------------- */

static void spoil(key_file_t *k, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The first fault counts. */
static void spoil(key_file_t *k, const char *fmt, ...)
{
    va_list ap;

    if (!k->why) {
        va_start(ap, fmt);
        k->why = apr_pvsprintf(k->pool, fmt, ap);
        va_end(ap);
    }
}

/* A text without control characters, which may be needed. Absent otherwise:
 * it is not for a message, as it may be a secret. */
static llmux_slice_t text_of(key_file_t *k, const char *name, int needed)
{
    const llmux_json_t *v = llmux_json_get(k->root, name);
    llmux_slice_t s = llmux_json_str(k->scratch, v);
    apr_size_t i;

    if ((v || needed) && !s.len) {
        spoil(k, "It has no text as \"%s\".", name);
    }
    for (i = 0; i < s.len; i++) {
        if (s.data[i] <= ' ' || s.data[i] > '~') {
            spoil(k, "Its \"%s\" has characters in it that do not belong "
                  "there.", name);
            break;
        }
    }
    return s;
}

/* What is no secret, for as long as the credential lives. */
static const char *name_of(key_file_t *k, const char *name, int needed)
{
    llmux_slice_t s = text_of(k, name, needed);

    if (s.len > NAME_MAX_LEN) {
        spoil(k, "Its \"%s\" is longer than %d bytes.", name, NAME_MAX_LEN);
    }
    return s.len ? llmux_slice_str(k->pool, s) : NULL;
}

/* It becomes a part of a path. */
static const char *project_of(key_file_t *k)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-.:";
    const char *id = name_of(k, "project_id", 0);

    if (id && id[strspn(id, letters)]) {
        spoil(k, "Its \"project_id\" is not what Google calls a project.");
    }
    return id;
}

/* A colon is how a secret says that it lies elsewhere: "env:", "file:". */
static const llmux_secret_t *secret_of(key_file_t *k, const char *name)
{
    llmux_slice_t s = llmux_slice_dup(k->scratch, text_of(k, name, 1));
    const llmux_secret_t *secret = NULL;
    const char *err;

    if (!k->why && !memchr(s.data, ':', s.len)) {
        secret = llmux_secret_read(k->pool, s.data, &err);
    }
    OPENSSL_cleanse((char *)s.data, s.len);
    if (!secret) {
        spoil(k, "Its \"%s\" is not what Google gives.", name);
    }
    return secret;
}

/* ---- URLs -------------------------------------------------------------- */

/* Is it this host, with or without a port, and nothing else? */
static int is_host(const char *at, const char *host)
{
    apr_size_t len = strlen(host);

    if (strncmp(at, host, len)) {
        return 0;
    }
    at += len;
    if (*at == ':') {
        at += 1 + strspn(at + 1, "0123456789");
    }
    return !*at || *at == '/' || *at == '?';
}

static int is_loopback(const char *authority)
{
    return is_host(authority, "127.0.0.1") || is_host(authority, "[::1]")
           || is_host(authority, "localhost");
}

/* The assertion is worth a token: it goes over TLS, or stays here. */
static int is_token_url(const char *url)
{
    static const char secure[] = "https://", plain[] = "http://";

    if (strpbrk(url, "@\\#")) {
        return 0;
    }
    if (!strncmp(url, plain, sizeof(plain) - 1)) {
        return is_loopback(url + sizeof(plain) - 1);
    }
    return !strncmp(url, secure, sizeof(secure) - 1)
           && strcspn(url + sizeof(secure) - 1, ":/?") > 0;
}

static void read_url(key_file_t *k)
{
    const char *url = name_of(k, "token_uri", 0);

    k->out->url = url ? url : TOKEN_URL;
    if (!is_token_url(k->out->url)) {
        spoil(k, "Its \"token_uri\" must be an https URL.");
    }
}

/* ---- the private key --------------------------------------------------- */

/* Nobody is asked for a passphrase at a terminal. */
static int no_passphrase(char *out, int size, int writing, void *baton)
{
    return -1;
}

static apr_status_t free_bio(void *bio)
{
    BIO_free(bio);
    return APR_SUCCESS;
}

static apr_status_t free_key(void *key)
{
    EVP_PKEY_free(key);
    return APR_SUCCESS;
}

static EVP_PKEY *key_read(apr_pool_t *p, llmux_slice_t pem)
{
    BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    EVP_PKEY *key;

    apr_pool_cleanup_register(p, bio, free_bio, apr_pool_cleanup_null);
    key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL)
              : NULL;
    apr_pool_cleanup_register(p, key, free_key, apr_pool_cleanup_null);
    ERR_clear_error();
    return key;
}

/* In one line, as secrets are kept. */
static const llmux_secret_t *key_keep(key_file_t *k, EVP_PKEY *key)
{
    const llmux_secret_t *secret = NULL;
    unsigned char *der = NULL;
    llmux_slice_t bytes, text;
    const char *err;
    int len = i2d_PrivateKey(key, &der);

    if (len > 0) {
        bytes.data = (const char *)der;
        bytes.len = (apr_size_t)len;
        text = llmux_base64_encode(k->scratch, bytes);
        secret = llmux_secret_read(k->pool, text.data, &err);
        OPENSSL_cleanse((char *)text.data, text.len);
        OPENSSL_clear_free(der, bytes.len);
    }
    ERR_clear_error();
    return secret;
}

static void read_key(key_file_t *k)
{
    const llmux_json_t *v = llmux_json_get(k->root, "private_key");
    llmux_slice_t pem = llmux_json_str(k->scratch, v);
    EVP_PKEY *key = pem.len ? key_read(k->scratch, pem) : NULL;

    if (!pem.len) {
        spoil(k, "It has no text as \"private_key\".");
    }
    else if (!key) {
        spoil(k, "Its \"private_key\" is not a private key in PEM without a "
              "passphrase.");
    }
    else if (EVP_PKEY_base_id(key) != EVP_PKEY_RSA
             || EVP_PKEY_bits(key) > RSA_BITS_MAX) {
        spoil(k, "Its \"private_key\" is not an RSA key of at most %d bits.",
              RSA_BITS_MAX);
    }
    else {
        k->out->secret = key_keep(k, key);
        if (!k->out->secret) {
            spoil(k, "Its \"private_key\" cannot be kept.");
        }
    }
    if (pem.len) {
        OPENSSL_cleanse((char *)pem.data, v->escaped ? pem.len : 0);
    }
}

/* ---- kinds of files ---------------------------------------------------- */

/* Elsewhere the tokens are others, and so are all hosts. */
static void read_universe(key_file_t *k)
{
    const char *universe = name_of(k, "universe_domain", 0);

    if (universe && strcmp(universe, UNIVERSE)) {
        spoil(k, "Its \"universe_domain\" is not " UNIVERSE ".");
    }
}

static void read_account(key_file_t *k)
{
    k->out->kind = LLMUX_CREDENTIAL_GOOGLE_ACCOUNT;
    k->out->email = name_of(k, "client_email", 1);
    k->out->key_id = name_of(k, "private_key_id", 0);
    k->out->project = project_of(k);
    read_key(k);
}

/* What `gcloud auth application-default login` leaves behind. */
static void read_user(key_file_t *k)
{
    k->out->kind = LLMUX_CREDENTIAL_GOOGLE_USER;
    k->out->id = secret_of(k, "client_id");
    k->out->secret = secret_of(k, "client_secret");
    k->out->session = secret_of(k, "refresh_token");
}

static const struct {
    const char *type;
    void (*read)(key_file_t *k);    /* NULL: not for us */
    const char *title;
} kinds[] = {
    { "service_account", read_account, NULL },
    { "authorized_user", read_user, NULL },
    { "external_account", NULL, "workload identity federation" },
    { "external_account_authorized_user", NULL,
      "workforce identity federation" },
    { "impersonated_service_account", NULL,
      "a service account that is impersonated" },
    { "gdch_service_account", NULL, "Google Distributed Cloud" }
};

static void read_kind(key_file_t *k)
{
    const llmux_json_t *type = llmux_json_get(k->root, "type");
    apr_size_t i;

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!llmux_json_is(type, kinds[i].type)) {
            continue;
        }
        if (kinds[i].read) {
            kinds[i].read(k);
            return;
        }
        spoil(k, "It is of the type %s (%s), which is not supported. Use the "
              "key file of a service account or, on Google's machines, "
              "metadata.", kinds[i].type, kinds[i].title);
    }
    spoil(k, "Its \"type\" is neither service_account nor authorized_user.");
}

static void read_file(key_file_t *k, llmux_slice_t json)
{
    llmux_json_error_t at = { 0 };

    if (json.len > LLMUX_KEY_FILE_MAX) {
        spoil(k, "It is longer than %d bytes.", (int)LLMUX_KEY_FILE_MAX);
        return;
    }
    k->root = llmux_json_parse(k->scratch, json, 0, &at);
    if (!k->root) {
        spoil(k, "It is not JSON: line %d, column %d.", at.line, at.column);
        return;
    }
    read_kind(k);
    read_url(k);
    read_universe(k);
    k->out->quota_project = name_of(k, "quota_project_id", 0);
}

llmux_credential_t *llmux_google_account(apr_pool_t *p, llmux_slice_t json,
                                         const char **why)
{
    key_file_t k = { .pool = p };

    apr_pool_create(&k.scratch, p);
    k.out = apr_pcalloc(p, sizeof(*k.out));
    k.out->upstream = patience;
    read_file(&k, json);
    apr_pool_destroy(k.scratch);
    *why = k.why;
    return k.why ? NULL : k.out;
}

/* ---- the machine ------------------------------------------------------- */

static int is_authority(const char *host)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.:[]";

    return *host && strlen(host) <= LLMUX_HOST_MAX
           && !host[strspn(host, letters)];
}

llmux_credential_t *llmux_google_instance(apr_pool_t *p)
{
    llmux_credential_t *c = apr_pcalloc(p, sizeof(*c));
    const char *host = getenv("GCE_METADATA_HOST");

    host = host && *host ? host : METADATA_HOST;
    c->kind = LLMUX_CREDENTIAL_GOOGLE_INSTANCE;
    c->url = is_authority(host)
                 ? apr_pstrcat(p, "http://", host, METADATA_PATH, NULL)
                 : NULL;
    c->upstream = patience;
    c->upstream.proxy = "";         /* it is at the machine's own elbow */
    return c;
}
