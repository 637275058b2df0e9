/* pools.c - under AddressSanitizer, to be preloaded: each allocation from an
 * APR pool is a block of malloc()'s, freed when its pool is cleared or
 * destroyed. Left alone, a pool's memory is good until the process ends as far
 * as the sanitizer can see, and whoever uses it too late is not found out. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct apr_pool_t apr_pool_t;

/* What was taken from one pool since it was made or cleared. */
typedef struct taken_t {
    struct taken_t *next;       /* on its shelf */
    apr_pool_t *pool;
    void **blocks;
    size_t count, room;
} taken_t;

#define SHELVES 65536

static taken_t *shelves[SHELVES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void (*real_clear)(apr_pool_t *), (*real_destroy)(apr_pool_t *);

void *apr_palloc(apr_pool_t *pool, size_t size);
void apr_pool_clear(apr_pool_t *pool);
void apr_pool_destroy(apr_pool_t *pool);

/* A child has the lock as free as its parent had it. */
static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void init(void)
{
    real_clear = (void (*)(apr_pool_t *))dlsym(RTLD_NEXT, "apr_pool_clear");
    real_destroy = (void (*)(apr_pool_t *))dlsym(RTLD_NEXT,
                                                 "apr_pool_destroy");
    pthread_atfork(before_fork, after_fork, after_fork);
}

/* Where the pool's is, or the end of its shelf. */
static taken_t **place(apr_pool_t *pool)
{
    taken_t **at = &shelves[((uintptr_t)pool >> 4) * 2654435761u % SHELVES];

    while (*at && (*at)->pool != pool) {
        at = &(*at)->next;
    }
    return at;
}

static void note(apr_pool_t *pool, void *block)
{
    taken_t **at = place(pool), *t = *at;

    if (!t) {
        t = *at = calloc(1, sizeof(*t));
        t->pool = pool;
    }
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : 16;
        t->blocks = realloc(t->blocks, t->room * sizeof(void *));
    }
    t->blocks[t->count++] = block;
}

void *apr_palloc(apr_pool_t *pool, size_t size)
{
    void *block = malloc(size ? size : 1);

    if (!block) {
        abort();
    }
    pthread_mutex_lock(&lock);
    note(pool, block);
    pthread_mutex_unlock(&lock);
    return block;
}

static taken_t *take(apr_pool_t *pool)
{
    taken_t **at, *t;

    pthread_mutex_lock(&lock);
    at = place(pool);
    t = *at;
    if (t) {
        *at = t->next;
    }
    pthread_mutex_unlock(&lock);
    return t;
}

static void drop(taken_t *t)
{
    if (!t) {
        return;
    }
    while (t->count) {
        free(t->blocks[--t->count]);
    }
    free(t->blocks);
    free(t);
}

/* Cleanups still use what they were registered with. */
void apr_pool_clear(apr_pool_t *pool)
{
    real_clear(pool);
    drop(take(pool));
}

/* Another thread's new pool may have its address at once: what is in the book
 * is taken out before, and freed after. */
void apr_pool_destroy(apr_pool_t *pool)
{
    taken_t *t = take(pool);

    real_destroy(pool);
    drop(t);
}
