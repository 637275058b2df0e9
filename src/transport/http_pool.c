/* http_pool.c - a child's origins and its idle connections to them. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <apr_hash.h>
#include <apr_strings.h>
#include <apr_thread_mutex.h>

#include "http_pool.h"

#define SHELVES 64
#define SWEEP_MAX 8     /* dropped at most in one go, beside those in our way */

typedef struct pool_t {
    llmux_http_t shared;
    apr_pool_t *p;              /* the child's: for origins, under the lock */
    apr_thread_mutex_t *lock;   /* never held across I/O */
    llmux_origin_t *shelves[SHELVES];
    int idle;
    unsigned int sweep;         /* shelf to look for old ones in next */
} pool_t;

static pool_t *pool;

const llmux_http_t *llmux_http_shared(void)
{
    return pool ? &pool->shared : NULL;
}

/* ---- origins ---------------------------------------------------------- */

typedef struct address_t {
    int secure;
    llmux_slice_t authority;    /* as written */
    llmux_slice_t host;         /* without brackets */
    int port;
    llmux_slice_t path;
} address_t;

static const struct { const char *scheme; int secure, port; } schemes[] = {
    { "http://",  0, 80 },
    { "https://", 1, 443 }
};

static int read_scheme(address_t *a, const char **url)
{
    size_t i, n;

    for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        n = strlen(schemes[i].scheme);
        if (!strncasecmp(*url, schemes[i].scheme, n)) {
            a->secure = schemes[i].secure;
            a->port = schemes[i].port;
            *url += n;
            return 1;
        }
    }
    return 0;
}

static int read_port(address_t *a, const char *text, const char *end)
{
    int port = 0;

    if (text == end) {
        return 1;       /* "host:" is the scheme's own */
    }
    for (; text < end; text++) {
        if (*text < '0' || *text > '9') {
            return 0;
        }
        port = port * 10 + (*text - '0');
        if (port > 65535) {
            return 0;
        }
    }
    a->port = port;
    return port > 0;
}

/* RFC 3986 3.2, without a user: credentials do not stand in URLs here. */
static int read_authority(address_t *a, const char *s)
{
    const char *end = s + strcspn(s, "/?#"), *host_end;

    a->authority.data = s;
    a->authority.len = (apr_size_t)(end - s);
    if (memchr(s, '@', a->authority.len)) {
        return 0;
    }
    if (*s == '[') {
        host_end = memchr(s, ']', a->authority.len);
        a->host.data = s + 1;
        a->host.len = host_end ? (apr_size_t)(host_end - s - 1) : 0;
        host_end = host_end ? host_end + 1 : end;
    }
    else {
        host_end = memchr(s, ':', a->authority.len);
        host_end = host_end ? host_end : end;
        a->host.data = s;
        a->host.len = (apr_size_t)(host_end - s);
    }
    a->path.data = end;
    a->path.len = strcspn(end, "#");
    return a->host.len && a->host.len <= LLMUX_HOST_MAX
        && (host_end == end
            || (*host_end == ':' && read_port(a, host_end + 1, end)));
}

/* What stands in the request's first line must not end it. */
static int is_clean(llmux_slice_t s)
{
    apr_size_t i;

    for (i = 0; i < s.len; i++) {
        if ((unsigned char)s.data[i] <= ' ' || s.data[i] == 0x7f) {
            return 0;
        }
    }
    return 1;
}

static int same_file(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

static int same_trust(const llmux_upstream_t *a, const llmux_upstream_t *b)
{
    return same_file(a->ca_file, b->ca_file)
        && same_file(a->cert_file, b->cert_file)
        && same_file(a->key_file, b->key_file);
}

static int is_at(const llmux_origin_t *o, const address_t *a,
                 const llmux_upstream_t *up)
{
    return o->secure == a->secure && o->port == a->port
        && !strncasecmp(o->host, a->host.data, a->host.len)
        && !o->host[a->host.len] && same_trust(&o->trust, up);
}

static llmux_origin_t *origin_create(apr_pool_t *p, const address_t *a,
                                     const llmux_upstream_t *up)
{
    llmux_origin_t *o = apr_pcalloc(p, sizeof(*o));

    o->secure = a->secure;
    o->port = a->port;
    o->host = apr_pstrmemdup(p, a->host.data, a->host.len);
    o->authority = apr_pstrmemdup(p, a->authority.data, a->authority.len);
    o->trust.ca_file = apr_pstrdup(p, up->ca_file);
    o->trust.cert_file = apr_pstrdup(p, up->cert_file);
    o->trust.key_file = apr_pstrdup(p, up->key_file);
    return o;
}

/* There are as many as the configuration has, so none is ever dropped. */
static llmux_origin_t *origin_find(const address_t *a,
                                   const llmux_upstream_t *up)
{
    apr_ssize_t len = (apr_ssize_t)a->authority.len;
    llmux_origin_t **shelf = &pool->shelves[
        apr_hashfunc_default(a->authority.data, &len) % SHELVES];
    llmux_origin_t *o;

    apr_thread_mutex_lock(pool->lock);
    o = *shelf;
    while (o && !is_at(o, a, up)) {
        o = o->next;
    }
    if (!o) {
        o = origin_create(pool->p, a, up);
        o->next = *shelf;
        *shelf = o;
    }
    apr_thread_mutex_unlock(pool->lock);
    return o;
}

llmux_origin_t *llmux_http_origin(apr_pool_t *p, const char *url,
                                  const llmux_upstream_t *up,
                                  llmux_slice_t *path)
{
    address_t a;

    memset(&a, 0, sizeof(a));
    if (!pool || !read_scheme(&a, &url) || !read_authority(&a, url)
        || !is_clean(a.authority) || !is_clean(a.path)) {
        return NULL;
    }
    *path = a.path;
    return up->reach ? origin_create(p, &a, up) : origin_find(&a, up);
}

/* ---- idle connections -------------------------------------------------- */

static void unlink_conn(llmux_conn_t *c)
{
    llmux_origin_t *o = c->origin;

    *(c->newer ? &c->newer->older : &o->newest) = c->older;
    *(c->older ? &c->older->newer : &o->oldest) = c->newer;
    c->newer = c->older = NULL;
    pool->idle--;
}

static void link_conn(llmux_conn_t *c)
{
    llmux_origin_t *o = c->origin;

    c->newer = NULL;
    c->older = o->newest;
    *(c->older ? &c->older->newer : &o->oldest) = c;
    o->newest = c;
    pool->idle++;
}

/* Moves it to a list of those to be freed once the lock is released. */
static void drop(llmux_conn_t *c, llmux_conn_t **dropped)
{
    unlink_conn(c);
    c->older = *dropped;
    *dropped = c;
}

static void free_dropped(llmux_conn_t *dropped)
{
    llmux_conn_t *next;

    for (; dropped; dropped = next) {
        next = dropped->older;
        llmux_conn_free(dropped);
    }
}

/* Each take and give looks after one shelf, so that connections which
 * nobody asks for do not stay. */
static void sweep(apr_time_t now, llmux_conn_t **dropped)
{
    llmux_origin_t *o = pool->shelves[pool->sweep++ % SHELVES];
    int n = 0;

    for (; o; o = o->next) {
        while (n < SWEEP_MAX && o->oldest && now >= o->oldest->until) {
            drop(o->oldest, dropped);
            n++;
        }
    }
}

static __thread int lane;

void llmux_transport_lane(int mine)
{
    lane = mine;
}

#define LOOK_MAX 8

/* The newest of this lane, if it is not far, or else the newest. */
static llmux_conn_t *choose(const llmux_origin_t *o, apr_time_t now)
{
    llmux_conn_t *c = o->newest;
    int n;

    for (n = 0; c && n < LOOK_MAX; n++) {
        if (c->lane == lane && now < c->until) {
            return c;
        }
        c = c->older;
    }
    return o->newest;
}

static llmux_conn_t *take_newest(llmux_origin_t *o, apr_time_t now)
{
    llmux_conn_t *c, *dropped = NULL;

    apr_thread_mutex_lock(pool->lock);
    while (o->newest && now >= o->newest->until) {
        drop(o->newest, &dropped);
    }
    c = choose(o, now);
    if (c) {
        unlink_conn(c);
    }
    sweep(now, &dropped);
    apr_thread_mutex_unlock(pool->lock);
    free_dropped(dropped);
    return c;
}

/* Nothing may come on a connection that rests, but for what TLS says to
 * itself (RFC 8446 4.6). */
static int is_quiet(llmux_conn_t *c)
{
    char byte;
    apr_size_t n;
    int events;
    ssize_t got = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    if (got < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK;
    }
    return got > 0 && c->ssl
        && llmux_tls_read(c->ssl, &byte, 1, &n, &events) == APR_EAGAIN;
}

llmux_conn_t *llmux_conn_take(llmux_origin_t *o, apr_time_t now)
{
    llmux_conn_t *c = take_newest(o, now);

    while (c && !is_quiet(c)) {
        llmux_conn_free(c);
        c = take_newest(o, now);
    }
    return c;
}

void llmux_conn_give(llmux_conn_t *c, const llmux_upstream_t *up,
                     apr_time_t now)
{
    llmux_conn_t *dropped = NULL;

    c->until = now + up->idle;
    if (up->max_age && c->born + up->max_age < c->until) {
        c->until = c->born + up->max_age;
    }
    if (!pool || now >= c->until) {
        llmux_conn_free(c);
        return;
    }
    c->lane = lane;
    apr_thread_mutex_lock(pool->lock);
    link_conn(c);
    sweep(now, &dropped);
    apr_thread_mutex_unlock(pool->lock);
    free_dropped(dropped);
}

int llmux_http_idle_count(void)
{
    int n = 0;

    if (pool) {
        apr_thread_mutex_lock(pool->lock);
        n = pool->idle;
        apr_thread_mutex_unlock(pool->lock);
    }
    return n;
}

/* ---- the child -------------------------------------------------------- */

/* Nobody waits for a provider's good-bye; the kernel says ours. */
static apr_status_t pool_close(void *data)
{
    pool_t *mine = data;
    llmux_origin_t *o;
    int i;

    for (i = 0; i < SHELVES; i++) {
        for (o = mine->shelves[i]; o; o = o->next) {
            free_dropped(o->newest);
            o->newest = o->oldest = NULL;
        }
    }
    if (pool == mine) {
        pool = NULL;
    }
    return APR_SUCCESS;
}

apr_status_t llmux_http_child_init(apr_pool_t *pchild)
{
    pool_t *made = apr_pcalloc(pchild, sizeof(*made));
    apr_status_t rv = apr_thread_mutex_create(&made->lock,
                                              APR_THREAD_MUTEX_DEFAULT,
                                              pchild);

    if (rv == APR_SUCCESS) {
        /* Its own, for others make things in the child's at the same time. */
        rv = apr_pool_create(&made->p, pchild);
    }
    if (rv == APR_SUCCESS) {
        rv = llmux_resolver_create(&made->shared.resolver, pchild);
    }
    if (rv == APR_SUCCESS) {
        rv = llmux_resolver_create(&made->shared.strangers, pchild);
    }
    if (rv == APR_SUCCESS) {
        rv = llmux_tls_create(&made->shared.tls, pchild);
    }
    if (rv != APR_SUCCESS) {
        return rv;
    }
    /* Not with the child's: that comes when the origins are gone. */
    apr_pool_cleanup_register(made->p, made, pool_close,
                              apr_pool_cleanup_null);
    pool = made;
    return APR_SUCCESS;
}
