/* curl_pool.c - a child's idle handles, last in first out. */

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <apr_hash.h>
#include <apr_strings.h>
#include <apr_thread_mutex.h>

#include "curl_pool.h"
#include "curl_trust.h"

#define SHELVES 64
#define SWEEP_MAX 8     /* dropped at most in one go, beside those in our way */

/* Idle handles whose keys hash alike, in the order they were given. */
typedef struct shelf_t {
    llmux_handle_t *newest, *oldest;
} shelf_t;

typedef struct pool_t {
    apr_thread_mutex_t *lock;   /* shelves, idle, sweep; never across I/O */
    shelf_t shelves[SHELVES];
    int idle;
    unsigned int sweep;         /* shelf to look for old ones in next */
    llmux_trusts_t *trusts;
} pool_t;

/* Made in child_init, gone with pchild. Without one nothing is kept. */
static pool_t *pool;

/* ---- libcurl's callbacks ---------------------------------------------- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *baton,
                     void *unused)
{
    llmux_handle_t *h = baton;
    int i = 0;

    while (i < h->count && h->fds[i].fd != fd) {
        i++;
    }
    if (what == CURL_POLL_REMOVE) {
        if (i < h->count) {
            h->fds[i] = h->fds[--h->count];
        }
        return 0;
    }
    if (i == LLMUX_WAIT_FDS) {
        return 0;       /* libcurl has five for one transfer at most */
    }
    h->count = i == h->count ? i + 1 : h->count;
    h->fds[i].fd = fd;
    h->fds[i].events = (what & CURL_POLL_IN ? LLMUX_WAIT_READ : 0)
                       | (what & CURL_POLL_OUT ? LLMUX_WAIT_WRITE : 0);
    return 0;
}

static int on_timer(CURLM *multi, long ms, void *baton)
{
    llmux_handle_t *h = baton;

    h->timer = ms < 0 || !h->env ? 0
                                 : llmux_now(h->env) + ms * (apr_time_t)1000;
    return 0;
}

/* ---- handles ---------------------------------------------------------- */

static long seconds(apr_interval_time_t t)
{
    return (long)((t + APR_USEC_PER_SEC - 1) / APR_USEC_PER_SEC);
}

static void set_up_multi(llmux_handle_t *h)
{
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, 1L);
    curl_multi_setopt(h->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
}

static const struct { CURLoption option; long value; } constants[] = {
    { CURLOPT_NOSIGNAL, 1 },
    /* A name server that is silent must not hold up who goes away. */
    { CURLOPT_QUICK_EXIT, 1 },
    { CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1 },
    { CURLOPT_FOLLOWLOCATION, 0 },
    { CURLOPT_PATH_AS_IS, 1 },
    /* Credentials do not stand in URLs here. */
    { CURLOPT_DISALLOW_USERNAME_IN_URL, 1 },
    { CURLOPT_SUPPRESS_CONNECT_HEADERS, 1 },
    { CURLOPT_HEADEROPT, CURLHEADER_SEPARATE },
    { CURLOPT_TCP_NODELAY, 1 },
    { CURLOPT_TCP_KEEPALIVE, 1 },
    { CURLOPT_BUFFERSIZE, LLMUX_READ_SIZE },
    { CURLOPT_SSL_VERIFYPEER, 1 },
    { CURLOPT_SSL_VERIFYHOST, 2 },
    { CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },
    { CURLOPT_PROXY_SSL_VERIFYPEER, 1 },
    { CURLOPT_PROXY_SSL_VERIFYHOST, 2 },
    { CURLOPT_PROXY_SSLVERSION, CURL_SSLVERSION_TLSv1_2 }
};

/* libcurl looks into the environment before each request; once is enough to
 * know that there is nothing to be found. */
static const char *proxy_of(const llmux_upstream_t *up)
{
    static const char *const names[] = {
        "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
        NULL
    };
    int i;

    if (up->proxy) {
        return up->proxy;
    }
    for (i = 0; names[i]; i++) {
        const char *value = getenv(names[i]);

        if (value && *value) {
            return NULL;
        }
    }
    return "";
}

/* For the provider; a proxy is shown nothing. */
static void set_up_identity(CURL *easy, const llmux_upstream_t *up)
{
    curl_easy_setopt(easy, CURLOPT_SSLCERTTYPE, "PEM");
    curl_easy_setopt(easy, CURLOPT_SSLCERT, up->cert_file);
    curl_easy_setopt(easy, CURLOPT_SSLKEYTYPE, "PEM");
    curl_easy_setopt(easy, CURLOPT_SSLKEY,
                     up->key_file ? up->key_file : up->cert_file);
}

static void set_up_easy(CURL *easy, const llmux_upstream_t *up)
{
    size_t i;

    for (i = 0; i < sizeof(constants) / sizeof(constants[0]); i++) {
        curl_easy_setopt(easy, constants[i].option, constants[i].value);
    }
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
    curl_easy_setopt(easy, CURLOPT_PROXY, proxy_of(up));
    curl_easy_setopt(easy, CURLOPT_NOPROXY, up->no_proxy);
    if (up->cert_file) {
        set_up_identity(easy, up);
    }
}

void llmux_handle_free(llmux_handle_t *h)
{
    h->env = NULL;
    if (h->easy) {
        curl_multi_remove_handle(h->multi, h->easy);
    }
    curl_easy_cleanup(h->easy);
    curl_multi_cleanup(h->multi);
    free(h->key);
    free(h);
}

static llmux_handle_t *handle_create(const char *key)
{
    llmux_handle_t *h = calloc(1, sizeof(*h));

    if (!h) {
        return NULL;
    }
    h->key = strdup(key);
    h->multi = curl_multi_init();
    if (!h->key || !h->multi) {
        llmux_handle_free(h);
        return NULL;
    }
    set_up_multi(h);
    return h;
}

/* A new one for each exchange: libcurl before 8.3 keeps a pointer to the last
 * answer's headers, which are gone, and follows it when the next answer's
 * first header begins with white space (curl/curl issue 11620).
 * @return 0 when memory is out */
static int easy_create(llmux_handle_t *h, const llmux_upstream_t *up)
{
    llmux_trust_t *trust = pool ? llmux_trust_get(pool->trusts, up->ca_file,
                                                  up->cert_file) : NULL;

    h->easy = curl_easy_init();
    if (!h->easy) {
        return 0;
    }
    set_up_easy(h->easy, up);
    llmux_trust_apply(trust, up->ca_file, h->easy);
    curl_easy_setopt(h->easy, CURLOPT_MAXAGE_CONN, seconds(up->idle));
    curl_easy_setopt(h->easy, CURLOPT_MAXLIFETIME_CONN,
                     seconds(up->max_age));
    return 1;
}

/* ---- the pool --------------------------------------------------------- */

static shelf_t *shelf_of(const char *key)
{
    apr_ssize_t len = APR_HASH_KEY_STRING;

    return &pool->shelves[apr_hashfunc_default(key, &len) % SHELVES];
}

static void unlink_handle(shelf_t *s, llmux_handle_t *h)
{
    *(h->newer ? &h->newer->older : &s->newest) = h->older;
    *(h->older ? &h->older->newer : &s->oldest) = h->newer;
    pool->idle--;
}

static void link_handle(shelf_t *s, llmux_handle_t *h)
{
    h->newer = NULL;
    h->older = s->newest;
    *(h->older ? &h->older->newer : &s->oldest) = h;
    s->newest = h;
    pool->idle++;
}

/* Moves it to a list of those to be freed once the lock is released. */
static void drop(shelf_t *s, llmux_handle_t *h, llmux_handle_t **dropped)
{
    unlink_handle(s, h);
    h->older = *dropped;
    *dropped = h;
}

static void free_dropped(llmux_handle_t *dropped)
{
    llmux_handle_t *next;

    for (; dropped; dropped = next) {
        next = dropped->older;
        llmux_handle_free(dropped);
    }
}

/* Each take and give looks after one shelf, so that connections which
 * nobody asks for do not stay. */
static void sweep(apr_time_t now, llmux_handle_t **dropped)
{
    shelf_t *s = &pool->shelves[pool->sweep++ % SHELVES];
    int n;

    for (n = 0; n < SWEEP_MAX && s->oldest && now >= s->oldest->until; n++) {
        drop(s, s->oldest, dropped);
    }
}

static llmux_handle_t *newest(const shelf_t *s, const char *key)
{
    llmux_handle_t *h = s->newest;

    while (h && strcmp(h->key, key)) {
        h = h->older;
    }
    return h;
}

static llmux_handle_t *pool_take(const char *key, apr_time_t now)
{
    shelf_t *s = shelf_of(key);
    llmux_handle_t *h, *dropped = NULL;

    apr_thread_mutex_lock(pool->lock);
    h = newest(s, key);
    while (h && now >= h->until) {
        drop(s, h, &dropped);
        h = newest(s, key);
    }
    if (h) {
        unlink_handle(s, h);
    }
    sweep(now, &dropped);
    apr_thread_mutex_unlock(pool->lock);
    free_dropped(dropped);
    return h;
}

static void pool_give(llmux_handle_t *h, apr_time_t now)
{
    llmux_handle_t *dropped = NULL;

    apr_thread_mutex_lock(pool->lock);
    link_handle(shelf_of(h->key), h);
    sweep(now, &dropped);
    apr_thread_mutex_unlock(pool->lock);
    free_dropped(dropped);
}

/* Nothing may come on a connection that rests: libcurl would take it for the
 * next answer. Over TLS it may be TLS's own, which only libcurl can tell. */
static int is_quiet(const llmux_handle_t *h)
{
    char byte;
    ssize_t got = recv(h->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    return got < 0 ? errno == EAGAIN || errno == EWOULDBLOCK
                   : got > 0 && !strncasecmp(h->key, "https:", 6);
}

/* The newest that still stands. */
static llmux_handle_t *take_quiet(const char *key, apr_time_t now)
{
    llmux_handle_t *h = pool_take(key, now);

    while (h && !is_quiet(h)) {
        llmux_handle_free(h);
        h = pool_take(key, now);
    }
    return h;
}

/* NULL and "" are not the same: environment and none. */
static const char *part(apr_pool_t *p, const char *s)
{
    return s ? apr_pstrcat(p, "\n=", s, NULL) : "\n";
}

/* Everything that makes a connection unfit for somebody else's request. */
static const char *key_of(apr_pool_t *p, const llmux_upstream_t *up,
                          const char *url)
{
    const char *host = strstr(url, "://");
    const char *end = host ? host + 3 + strcspn(host + 3, "/?#")
                           : url + strlen(url);

    return apr_pstrcat(p, apr_pstrmemdup(p, url, end - url),
                       part(p, up->proxy), part(p, up->no_proxy),
                       part(p, up->ca_file), part(p, up->cert_file),
                       part(p, up->key_file), NULL);
}

llmux_handle_t *llmux_handle_take(apr_pool_t *p, const llmux_env_t *env,
                                  const llmux_upstream_t *up,
                                  const char *url)
{
    const char *key = key_of(p, up, url);
    llmux_handle_t *h = pool ? take_quiet(key, llmux_now(env)) : NULL;

    if (!h) {
        h = handle_create(key);
    }
    if (h && !easy_create(h, up)) {
        llmux_handle_free(h);
        return NULL;
    }
    if (h) {
        h->env = env;
    }
    return h;
}

void llmux_handle_give(llmux_handle_t *h, const llmux_upstream_t *up)
{
    apr_time_t now = llmux_now(h->env);

    curl_easy_cleanup(h->easy);
    h->easy = NULL;
    h->until = now + up->idle;
    if (up->max_age && h->born + up->max_age < h->until) {
        h->until = h->born + up->max_age;
    }
    if (!pool || now >= h->until) {
        llmux_handle_free(h);
        return;
    }
    h->env = NULL;
    pool_give(h, now);
}

/* ---- the child -------------------------------------------------------- */

static apr_status_t pool_close(void *data)
{
    pool_t *mine = data;
    int i;

    for (i = 0; i < SHELVES; i++) {
        free_dropped(mine->shelves[i].newest);
    }
    llmux_trusts_free(mine->trusts);
    if (pool == mine) {
        pool = NULL;
    }
    return APR_SUCCESS;
}

apr_status_t llmux_curl_child_init(apr_pool_t *pchild)
{
    pool_t *made = apr_pcalloc(pchild, sizeof(*made));
    apr_status_t rv = apr_thread_mutex_create(&made->lock,
                                              APR_THREAD_MUTEX_DEFAULT,
                                              pchild);

    if (rv != APR_SUCCESS) {
        return rv;
    }
    made->trusts = llmux_trusts_create();
    if (!made->trusts) {
        return APR_ENOMEM;
    }
    apr_pool_cleanup_register(pchild, made, pool_close,
                              apr_pool_cleanup_null);
    pool = made;
    return APR_SUCCESS;
}

int llmux_curl_idle_count(void)
{
    int n = 0;

    if (pool) {
        apr_thread_mutex_lock(pool->lock);
        n = pool->idle;
        apr_thread_mutex_unlock(pool->lock);
    }
    return n;
}
