/* ca_store.c - the certificates of CA files, read once. */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <openssl/err.h>

#include "ca_store.h"

typedef struct entry_t {
    char *ca_file;              /* NULL = the system's */
    pthread_mutex_t reading;    /* held while the file is read, once */
    X509_STORE *store;          /* NULL until then */
    struct entry_t *next;
} entry_t;

struct llmux_stores_t {
    pthread_mutex_t lock;       /* the list; never across I/O */
    entry_t *first;
};

static void entry_free(entry_t *e)
{
    pthread_mutex_destroy(&e->reading);
    X509_STORE_free(e->store);
    free(e->ca_file);
    free(e);
}

static entry_t *entry_create(const char *ca_file)
{
    entry_t *e = calloc(1, sizeof(*e));

    if (!e) {
        return NULL;
    }
    pthread_mutex_init(&e->reading, NULL);
    e->ca_file = ca_file ? strdup(ca_file) : NULL;
    if (ca_file && !e->ca_file) {
        entry_free(e);
        return NULL;
    }
    return e;
}

llmux_stores_t *llmux_stores_create(void)
{
    llmux_stores_t *all = calloc(1, sizeof(*all));

    if (all) {
        pthread_mutex_init(&all->lock, NULL);
    }
    return all;
}

void llmux_stores_free(llmux_stores_t *all)
{
    entry_t *e = all->first, *next;

    for (; e; e = next) {
        next = e->next;
        entry_free(e);
    }
    pthread_mutex_destroy(&all->lock);
    free(all);
}

static int same_file(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static entry_t *entry_get(llmux_stores_t *all, const char *ca_file)
{
    entry_t *e;

    pthread_mutex_lock(&all->lock);
    e = all->first;
    while (e && !same_file(e->ca_file, ca_file)) {
        e = e->next;
    }
    if (!e) {
        e = entry_create(ca_file);
        if (e) {
            e->next = all->first;
            all->first = e;
        }
    }
    pthread_mutex_unlock(&all->lock);
    return e;
}

/* The places that libcurl was built to look at. */
static int read_system(X509_STORE *store)
{
    const curl_version_info_data *v = curl_version_info(CURLVERSION_NOW);
    int good = 0;

    if (v->cainfo) {
        good |= X509_STORE_load_locations(store, v->cainfo, NULL);
    }
    if (v->capath) {
        good |= X509_STORE_load_locations(store, NULL, v->capath);
    }
    return good || X509_STORE_set_default_paths(store);
}

static X509_STORE *store_read(const char *ca_file)
{
    X509_STORE *store = X509_STORE_new();
    int good;

    if (!store) {
        return NULL;
    }
    good = ca_file ? X509_STORE_load_locations(store, ca_file, NULL)
                   : read_system(store);
    ERR_clear_error();
    if (!good) {
        X509_STORE_free(store);
        return NULL;
    }
    /* libcurl sets the same; now it will change nothing that others read. */
    X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST
                                | X509_V_FLAG_PARTIAL_CHAIN);
    return store;
}

X509_STORE *llmux_store_get(llmux_stores_t *all, const char *ca_file)
{
    entry_t *e = entry_get(all, ca_file);
    X509_STORE *store = NULL;

    if (!e) {
        return NULL;
    }
    pthread_mutex_lock(&e->reading);
    if (!e->store) {
        e->store = store_read(e->ca_file);
    }
    if (e->store && X509_STORE_up_ref(e->store)) {
        store = e->store;
    }
    pthread_mutex_unlock(&e->reading);
    return store;
}
