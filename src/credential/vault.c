/* vault.c - one grant for all children, fetched by one of them at a time. */

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "llmux/credential.h"

/* The lock is held for copies only. */
struct llmux_vault_t {
    pthread_mutex_t lock;
    int filled;
    apr_time_t leased_until;    /* somebody fetches; 0 = nobody */
    pid_t holder;               /* the process that does */
    apr_time_t failed_at;       /* the last fetch did; 0 = it did not */
    apr_time_t put_at;
    apr_time_t refused_since;   /* the first of so many refusals */
    int refusals;
    llmux_grant_t grant;
};

static apr_status_t unmap(void *data)
{
    munmap(data, sizeof(llmux_vault_t));
    return APR_SUCCESS;
}

/* A child may die with the lock held. */
static int init_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attr;
    int rc;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    rc = pthread_mutex_init(lock, &attr);
    pthread_mutexattr_destroy(&attr);
    return rc;
}

llmux_vault_t *llmux_vault_create(apr_pool_t *p)
{
    llmux_vault_t *v = mmap(NULL, sizeof(*v), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (v == MAP_FAILED) {
        return NULL;
    }
    apr_pool_cleanup_register(p, v, unmap, apr_pool_cleanup_null);
    madvise(v, sizeof(*v), MADV_DONTDUMP);
    return init_lock(&v->lock) ? NULL : v;
}

/* What a dead child left half written is not used. */
static void lock(llmux_vault_t *v)
{
    if (pthread_mutex_lock(&v->lock) == EOWNERDEAD) {
        pthread_mutex_consistent(&v->lock);
        v->filled = 0;
        v->leased_until = 0;
    }
}

static void unlock(llmux_vault_t *v)
{
    pthread_mutex_unlock(&v->lock);
}

static int lasts(const llmux_vault_t *v, apr_time_t until)
{
    return v->filled && (!v->grant.expires || v->grant.expires > until);
}

/* Nobody waits for a child that was killed. */
static int is_leased(const llmux_vault_t *v, apr_time_t now)
{
    return v->leased_until > now
        && (kill(v->holder, 0) == 0 || errno != ESRCH);
}

/* A server that hands out what it keeps itself may give grants that are
 * about to expire: these are not asked for with every request. */
static llmux_vault_e decide(llmux_vault_t *v, apr_time_t now)
{
    int usable = lasts(v, now);

    if (lasts(v, now + LLMUX_VAULT_EARLY)
        || (usable && now < v->put_at + LLMUX_VAULT_REST)) {
        return LLMUX_VAULT_HAVE;
    }
    if (is_leased(v, now)) {
        return usable ? LLMUX_VAULT_HAVE : LLMUX_VAULT_WAIT;
    }
    if (v->failed_at && now < v->failed_at + LLMUX_VAULT_PAUSE) {
        return usable ? LLMUX_VAULT_HAVE : LLMUX_VAULT_FAILED;
    }
    v->leased_until = now + LLMUX_VAULT_LEASE;
    v->holder = getpid();
    return LLMUX_VAULT_FETCH;
}

llmux_vault_e llmux_vault_take(llmux_vault_t *v, apr_time_t now,
                               llmux_grant_t *grant)
{
    llmux_vault_e what;

    lock(v);
    what = decide(v, now);
    if (what == LLMUX_VAULT_HAVE) {
        *grant = v->grant;
    }
    unlock(v);
    return what;
}

void llmux_vault_put(llmux_vault_t *v, apr_time_t now,
                     const llmux_grant_t *grant)
{
    lock(v);
    v->grant = *grant;
    v->put_at = now;
    v->filled = 1;
    v->leased_until = 0;
    v->failed_at = 0;
    unlock(v);
}

int llmux_vault_fail(llmux_vault_t *v, apr_time_t now, llmux_grant_t *grant)
{
    int usable;

    lock(v);
    v->leased_until = 0;
    v->failed_at = now;
    usable = lasts(v, now);
    if (usable) {
        *grant = v->grant;
    }
    unlock(v);
    return usable;
}

void llmux_vault_drop(llmux_vault_t *v)
{
    lock(v);
    v->leased_until = 0;
    unlock(v);
}

/* What a client may make a provider refuse, such as a model that the account
 * does not have, looks the same as a grant that is no good: who asks for it
 * again and again must not keep us fetching, and all others waiting. */
static int counts(llmux_vault_t *v, apr_time_t now)
{
    if (now >= v->refused_since + LLMUX_VAULT_REST) {
        v->refused_since = now;
        v->refusals = 0;
    }
    v->refusals += v->refusals <= LLMUX_VAULT_REFUSALS;
    return v->refusals <= LLMUX_VAULT_REFUSALS;
}

/* Another one may have been put meanwhile: that stays. */
void llmux_vault_refused(llmux_vault_t *v, apr_time_t now,
                         const llmux_grant_t *grant)
{
    lock(v);
    if (v->filled && !strcmp(v->grant.id, grant->id)
        && !strcmp(v->grant.token, grant->token) && counts(v, now)) {
        OPENSSL_cleanse(&v->grant, sizeof(v->grant));
        v->filled = 0;
    }
    unlock(v);
}
