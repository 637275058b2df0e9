/* curl_trust.c - certificates, TLS sessions and names that handles share. */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "ca_store.h"
#include "curl_trust.h"

struct llmux_trust_t {
    char *ca_file;              /* NULL = the system's */
    char *cert_file;            /* NULL = none is shown */
    CURLSH *share;
    pthread_mutex_t locks[CURL_LOCK_DATA_LAST];
    llmux_stores_t *stores;     /* of all */
    struct llmux_trust_t *next;
};

struct llmux_trusts_t {
    pthread_mutex_t lock;
    llmux_trust_t *first;
    llmux_stores_t *stores;
};

static void on_lock(CURL *easy, curl_lock_data what, curl_lock_access how,
                    void *baton)
{
    llmux_trust_t *t = baton;

    pthread_mutex_lock(&t->locks[what]);
}

static void on_unlock(CURL *easy, curl_lock_data what, void *baton)
{
    llmux_trust_t *t = baton;

    pthread_mutex_unlock(&t->locks[what]);
}

/* @return 0: somebody still uses it, so rather leak than crash */
static int trust_free(llmux_trust_t *t)
{
    int i;

    if (t->share && curl_share_cleanup(t->share) != CURLSHE_OK) {
        return 0;
    }
    for (i = 0; i < CURL_LOCK_DATA_LAST; i++) {
        pthread_mutex_destroy(&t->locks[i]);
    }
    free(t->ca_file);
    free(t->cert_file);
    free(t);
    return 1;
}

static void share_set_up(llmux_trust_t *t)
{
    curl_share_setopt(t->share, CURLSHOPT_LOCKFUNC, on_lock);
    curl_share_setopt(t->share, CURLSHOPT_UNLOCKFUNC, on_unlock);
    curl_share_setopt(t->share, CURLSHOPT_USERDATA, t);
    curl_share_setopt(t->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    curl_share_setopt(t->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
}

static llmux_trust_t *trust_create(llmux_stores_t *stores,
                                   const char *ca_file,
                                   const char *cert_file)
{
    llmux_trust_t *t = calloc(1, sizeof(*t));
    int i;

    if (!t) {
        return NULL;
    }
    for (i = 0; i < CURL_LOCK_DATA_LAST; i++) {
        pthread_mutex_init(&t->locks[i], NULL);
    }
    t->stores = stores;
    t->ca_file = ca_file ? strdup(ca_file) : NULL;
    t->cert_file = cert_file ? strdup(cert_file) : NULL;
    t->share = curl_share_init();
    if (!t->share || (ca_file && !t->ca_file)
        || (cert_file && !t->cert_file)) {
        trust_free(t);
        return NULL;
    }
    share_set_up(t);
    return t;
}

llmux_trusts_t *llmux_trusts_create(void)
{
    llmux_trusts_t *all = calloc(1, sizeof(*all));

    if (!all) {
        return NULL;
    }
    all->stores = llmux_stores_create();
    if (!all->stores) {
        free(all);
        return NULL;
    }
    pthread_mutex_init(&all->lock, NULL);
    return all;
}

void llmux_trusts_free(llmux_trusts_t *all)
{
    llmux_trust_t *t = all->first, *next;
    int gone = 1;

    for (; t; t = next) {
        next = t->next;
        gone &= trust_free(t);
    }
    if (gone) {
        llmux_stores_free(all->stores);
    }
    pthread_mutex_destroy(&all->lock);
    free(all);
}

static int same_file(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

llmux_trust_t *llmux_trust_get(llmux_trusts_t *all, const char *ca_file,
                               const char *cert_file)
{
    llmux_trust_t *t;

    pthread_mutex_lock(&all->lock);
    t = all->first;
    while (t && !(same_file(t->ca_file, ca_file)
                  && same_file(t->cert_file, cert_file))) {
        t = t->next;
    }
    if (!t) {
        t = trust_create(all->stores, ca_file, cert_file);
        if (t) {
            t->next = all->first;
            all->first = t;
        }
    }
    pthread_mutex_unlock(&all->lock);
    return t;
}

/* libcurl would read all certificates for each connection, and keep them:
 * 20 ms and a megabyte. */
static CURLcode on_context(CURL *easy, void *context, void *baton)
{
    llmux_trust_t *t = baton;
    X509_STORE *store = llmux_store_get(t->stores, t->ca_file);

    if (!store) {
        return CURLE_SSL_CACERT_BADFILE;
    }
    SSL_CTX_set_cert_store(context, store);
    return CURLE_OK;
}

/* Our own certificates can be put into OpenSSL only. */
static int is_openssl(void)
{
    const char *name = curl_version_info(CURLVERSION_NOW)->ssl_version;

    return name && !strncmp(name, "OpenSSL/", 8);
}

/* With no file named it would read the one it was built with. */
static void files_set(CURL *easy, const char *file)
{
    curl_easy_setopt(easy, CURLOPT_CAINFO, file);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, file);
    curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL);
}

void llmux_trust_apply(llmux_trust_t *t, const char *ca_file, CURL *easy)
{
    if (t) {
        curl_easy_setopt(easy, CURLOPT_SHARE, t->share);
    }
    if (t && is_openssl()) {
        files_set(easy, NULL);
        curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_context);
        curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, t);
    }
    else if (ca_file) {
        files_set(easy, ca_file);
    }
}
