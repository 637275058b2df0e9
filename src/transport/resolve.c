/* resolve.c - a host's addresses, remembered, and looked up in threads. */

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <apr_hash.h>

#include "resolve.h"

#define SHELVES 256
#define STACK (256u << 10)      /* of a thread that looks up */
#define LABEL_MAX 63            /* RFC 1035 */

#define KEEP (LLMUX_RESOLVE_KEEP * APR_USEC_PER_SEC)
#define STALE (LLMUX_RESOLVE_STALE * APR_USEC_PER_SEC)
#define FAILED (LLMUX_RESOLVE_FAILED * APR_USEC_PER_SEC)

/* What the system said. */
typedef struct answer_t {
    apr_status_t rv;
    const char *why;            /* static words; "" with addresses */
    int count;
    llmux_address_t *at;        /* malloc'ed, without ports */
} answer_t;

/* One question to the system. Under the resolver's lock, but for the host,
 * which stays as it is. */
typedef struct query_t {
    int refs;                   /* queue or thread; name; each lookup */
    llmux_lookup_t *waiting;    /* the latest first */
    int done;
    answer_t answer;            /* once it is done */
    apr_time_t when;            /* it was asked, or once done: answered */
    apr_time_t since;           /* asked, on a clock that threads can read */
    struct name_t *name;        /* until it is done */
    struct query_t *next;       /* in the queue for a thread */
    char host[LLMUX_HOST_MAX + 1];
} query_t;

/* A name somebody asked for. Never dropped while it is looked up. */
typedef struct name_t {
    query_t *good;              /* the last one with addresses, or NULL */
    query_t *bad;               /* a failure since then, or NULL */
    query_t *open;              /* not answered yet, or NULL */
    struct name_t *next;        /* on its shelf */
    char host[];
} name_t;

/* Not in a pool: threads and lookups may outlive the one it was made for. */
struct llmux_resolver_t {
    pthread_mutex_t lock;       /* all below; never across I/O */
    int refs;                   /* pool; threads; lookups */
    int threads, names;
    query_t *first, *last;      /* waiting for a thread */
    name_t *shelves[SHELVES];
    llmux_lookup_fn lookup;
};

/* Each has a descriptor of its own: the kernel lets 500 sets at most, each
 * within another, watch the same one, and parked requests wait in such. */
struct llmux_lookup_t {
    llmux_resolver_t *rs;
    query_t *query;
    llmux_lookup_t *prev, *next;    /* of the query's */
    int fd;                     /* eventfd: it is done */
    int port;
};

/* ---- hosts as text ----------------------------------------------------- */

/* Letters, digits, '-', and '_', which names in containers' networks have. */
static int is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'
           || c == '_';
}

/* 127.1, 0x7f000001 and 2130706433 are addresses to getaddrinfo(), and
 * something else to whoever checked the host before. */
static int is_number(const char *label, size_t len)
{
    if (len > 1 && label[0] == '0' && label[1] == 'x') {
        return strspn(label + 2, "0123456789abcdef") >= len - 2;
    }
    return strspn(label, "0123456789") >= len;
}

/* One dot at the end is fine: it keeps search domains away. */
static const char *name_problem(const char *name)
{
    const char *label = name;
    size_t len;

    for (;;) {
        for (len = 0; is_name_char(label[len]); len++) {
        }
        if (label[len] && label[len] != '.') {
            return "the host has a character that no name has";
        }
        if (!len || len > LABEL_MAX) {
            return "a part of the host's name is empty or too long";
        }
        if (!label[len] || !label[len + 1]) {
            break;
        }
        label += len + 1;
    }
    return is_number(label, len)
           ? "the host is neither a name nor a whole address" : NULL;
}

/* In lower case and without brackets; what they held is told. */
static const char *host_read(char name[LLMUX_HOST_MAX + 1], const char *host,
                             int *bracketed)
{
    size_t len = host ? strlen(host) : 0, i;

    *bracketed = len && *host == '[';
    if (*bracketed && host[len - 1] != ']') {
        return "the host has a bracket too many";
    }
    host += *bracketed;
    len -= *bracketed ? 2 : 0;
    if (!len || len > LLMUX_HOST_MAX) {
        return len ? "the host's name is too long" : "there is no host";
    }
    for (i = 0; i < len; i++) {
        name[i] = host[i] >= 'A' && host[i] <= 'Z' ? host[i] | 0x20 : host[i];
    }
    name[len] = '\0';
    return NULL;
}

static void add_v4(llmux_addresses_t *out, const struct in_addr *ip)
{
    struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr = *ip };
    llmux_address_t *a = &out->at[out->count++];

    memset(a, 0, sizeof(*a));
    memcpy(&a->sa, &sa, sizeof(sa));
    a->len = sizeof(sa);
}

static void add_v6(llmux_addresses_t *out, const struct in6_addr *ip)
{
    struct sockaddr_in6 sa = { .sin6_family = AF_INET6, .sin6_addr = *ip };
    llmux_address_t *a = &out->at[out->count++];

    memset(a, 0, sizeof(*a));
    memcpy(&a->sa, &sa, sizeof(sa));
    a->len = sizeof(sa);
}

static int is_numeric(const char *name, int bracketed,
                      llmux_addresses_t *out)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (!bracketed && inet_pton(AF_INET, name, &v4) == 1) {
        add_v4(out, &v4);
    }
    else if (inet_pton(AF_INET6, name, &v6) == 1) {
        add_v6(out, &v6);
    }
    return out->count;
}

static void set_port(llmux_address_t *a, int port)
{
    if (a->sa.ss_family == AF_INET) {
        ((struct sockaddr_in *)&a->sa)->sin_port = htons(port);
    }
    else {
        ((struct sockaddr_in6 *)&a->sa)->sin6_port = htons(port);
    }
}

/* ---- the system's answer ------------------------------------------------ */

/* localhost and what is below it (RFC 6761). */
static int is_local(const char *host)
{
    static const char local[] = "localhost";
    size_t len = strlen(host), tail = sizeof(local) - 1;

    len -= len && host[len - 1] == '.';
    return len >= tail && !strncmp(host + len - tail, local, tail)
           && (len == tail || host[len - tail - 1] == '.');
}

static int is_known(const llmux_addresses_t *out, const struct addrinfo *ai)
{
    int i = 0;

    while (i < out->count
           && (out->at[i].len != ai->ai_addrlen
               || memcmp(&out->at[i].sa, ai->ai_addr, ai->ai_addrlen))) {
        i++;
    }
    return i < out->count;
}

/* glibc says 127.0.0.1 twice where the hosts file has both kinds. */
static void add_info(llmux_addresses_t *out, const struct addrinfo *ai)
{
    llmux_address_t *a = &out->at[out->count];

    if ((ai->ai_family != AF_INET && ai->ai_family != AF_INET6)
        || ai->ai_addrlen > sizeof(a->sa) || is_known(out, ai)) {
        return;
    }
    memset(a, 0, sizeof(*a));
    memcpy(&a->sa, ai->ai_addr, ai->ai_addrlen);
    a->len = ai->ai_addrlen;
    out->count++;
}

/* AI_ADDRCONFIG spares hosts without IPv6 the question for it, which some
 * name servers do not answer. As the manual has it the loopback's addresses do
 * not count for that: localhost could lack the kind that only it has. */
static int ask_system(const char *host, llmux_addresses_t *out)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC,
                              .ai_socktype = SOCK_STREAM };
    struct addrinfo *list = NULL, *ai;
    int failed;

    hints.ai_flags = is_local(host) ? 0 : AI_ADDRCONFIG;
    failed = getaddrinfo(host, NULL, &hints, &list);
    if (failed) {
        return failed;
    }
    for (ai = list; ai && out->count < LLMUX_ADDRESSES_MAX; ai = ai->ai_next) {
        add_info(out, ai);
    }
    freeaddrinfo(list);
    return 0;
}

/* EAGAIN would mean that it is still going on. */
static apr_status_t status_of(int failed)
{
    if (failed == EAI_SYSTEM && errno && errno != EAGAIN) {
        return errno;
    }
    return failed == EAI_MEMORY ? APR_ENOMEM
                                : APR_OS_START_EAIERR + abs(failed);
}

/* May take as long as name servers do. */
static answer_t answer_get(llmux_lookup_fn lookup, const char *host)
{
    answer_t answer = { APR_SUCCESS, "", 0, NULL };
    llmux_addresses_t found;
    int failed;

    found.count = 0;
    failed = lookup(host, &found);
    if (!failed && !found.count) {
        failed = EAI_NONAME;
    }
    if (failed) {
        answer.rv = status_of(failed);
        answer.why = gai_strerror(failed);
        return answer;
    }
    answer.at = malloc(found.count * sizeof(*found.at));
    if (!answer.at) {
        answer.rv = APR_ENOMEM;
        answer.why = gai_strerror(EAI_MEMORY);
        return answer;
    }
    memcpy(answer.at, found.at, found.count * sizeof(*found.at));
    answer.count = found.count;
    return answer;
}

/* ---- queries; all of it under the lock ---------------------------------- */

/* The asker's clock is his alone: others measure how long it took. */
static apr_time_t steady(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return apr_time_from_sec(t.tv_sec) + t.tv_nsec / 1000;
}

static void query_drop(query_t *q)
{
    if (q && !--q->refs) {
        free(q->answer.at);
        free(q);
    }
}

static void queue_push(llmux_resolver_t *rs, query_t *q)
{
    *(rs->first ? &rs->last->next : &rs->first) = q;
    rs->last = q;
}

static query_t *queue_pop(llmux_resolver_t *rs)
{
    query_t *q = rs->first;

    if (q) {
        rs->first = q->next;
        q->next = NULL;
    }
    return q;
}

static query_t *query_open(llmux_resolver_t *rs, name_t *n, apr_time_t now)
{
    query_t *q = calloc(1, sizeof(*q));

    if (q) {
        memcpy(q->host, n->host, strlen(n->host) + 1);
        q->when = now;
        q->since = steady();
        q->refs = 2;
        q->name = n;
        n->open = q;
        queue_push(rs, q);
    }
    return q;
}

/* Takes the answer over. A failure leaves the addresses known before. */
static void query_end(query_t *q, const answer_t *answer)
{
    name_t *n = q->name;
    llmux_lookup_t *l;

    q->answer = *answer;
    q->when += steady() - q->since;
    q->done = 1;
    q->name = NULL;
    for (l = q->waiting; l; l = l->next) {
        eventfd_write(l->fd, 1);
    }
    n->open = NULL;
    query_drop(n->bad);
    n->bad = NULL;
    if (answer->rv == APR_SUCCESS) {
        query_drop(n->good);
        n->good = q;
    }
    else {
        n->bad = q;
    }
}

/* Ends what has no thread. */
static void queue_fail(llmux_resolver_t *rs, const answer_t *answer)
{
    query_t *q;

    for (q = queue_pop(rs); q; q = queue_pop(rs)) {
        query_end(q, answer);
        query_drop(q);
    }
}

/* The next that somebody still waits for, or that makes old addresses new. */
static query_t *queue_take(llmux_resolver_t *rs)
{
    query_t *q = queue_pop(rs);

    while (q && !q->waiting && !q->name->good) {
        q->name->open = NULL;
        q->refs--;
        query_drop(q);
        q = queue_pop(rs);
    }
    return q;
}

/* ---- names; all of it under the lock ------------------------------------ */

static apr_interval_time_t age(const query_t *q, apr_time_t now)
{
    /* A clock that was set back must not make anything last. */
    return now > q->when ? now - q->when : q->when - now;
}

static int is_younger(const query_t *q, apr_time_t now,
                      apr_interval_time_t than)
{
    return q && age(q, now) < than;
}

/* Until when it is worth remembering. */
static apr_time_t name_until(const name_t *n)
{
    return n->good ? n->good->when + STALE
                   : n->bad ? n->bad->when + FAILED : 0;
}

static name_t **shelf_of(llmux_resolver_t *rs, const char *host)
{
    apr_ssize_t len = APR_HASH_KEY_STRING;

    return &rs->shelves[apr_hashfunc_default(host, &len) % SHELVES];
}

static void name_free(llmux_resolver_t *rs, name_t *n)
{
    query_drop(n->good);
    query_drop(n->bad);
    free(n);
    rs->names--;
}

/* Drops the name that has been of no use for longest, or will be first.
 * @return 0 if all of them are being looked up */
static int name_evict(llmux_resolver_t *rs)
{
    name_t **at, **oldest = NULL, *n;
    int i;

    for (i = 0; i < SHELVES; i++) {
        for (at = &rs->shelves[i]; *at; at = &(*at)->next) {
            if (!(*at)->open
                && (!oldest || name_until(*at) < name_until(*oldest))) {
                oldest = at;
            }
        }
    }
    if (!oldest) {
        return 0;
    }
    n = *oldest;
    *oldest = n->next;
    name_free(rs, n);
    return 1;
}

/* NULL when there is no room for one more. */
static name_t *name_get(llmux_resolver_t *rs, const char *host)
{
    name_t **shelf = shelf_of(rs, host), *n = *shelf;
    size_t size = strlen(host) + 1;

    while (n && strcmp(n->host, host)) {
        n = n->next;
    }
    if (n || (rs->names >= LLMUX_RESOLVE_NAMES_MAX && !name_evict(rs))) {
        return n;
    }
    n = calloc(1, sizeof(*n) + size);
    if (n) {
        memcpy(n->host, host, size);
        n->next = *shelf;
        *shelf = n;
        rs->names++;
    }
    return n;
}

static int is_due(const name_t *n, apr_time_t now)
{
    return !n->open && !is_younger(n->good, now, KEEP)
           && !is_younger(n->bad, now, FAILED);
}

static const query_t *name_answered(const name_t *n, apr_time_t now)
{
    return is_younger(n->good, now, STALE) ? n->good
           : is_younger(n->bad, now, FAILED) ? n->bad : NULL;
}

/* ---- the resolver ------------------------------------------------------- */

/* Lets go of the lock and of one reference. */
static void resolver_leave(llmux_resolver_t *rs)
{
    int last = !--rs->refs;

    pthread_mutex_unlock(&rs->lock);
    if (last) {
        pthread_mutex_destroy(&rs->lock);
        free(rs);
    }
}

static apr_status_t resolver_close(void *data)
{
    static const answer_t over = { ECANCELED, "the process is ending", 0,
                                   NULL };
    llmux_resolver_t *rs = data;
    name_t *n;
    int i;

    pthread_mutex_lock(&rs->lock);
    queue_fail(rs, &over);
    for (i = 0; i < SHELVES; i++) {
        for (n = rs->shelves[i]; n; n = rs->shelves[i]) {
            if (n->open) {
                query_end(n->open, &over);
            }
            rs->shelves[i] = n->next;
            name_free(rs, n);
        }
    }
    resolver_leave(rs);
    return APR_SUCCESS;
}

/* A thread's whole life. Answers that come after the end are for nobody. */
static void *work(void *data)
{
    llmux_resolver_t *rs = data;
    answer_t answer;
    query_t *q;

    pthread_mutex_lock(&rs->lock);
    for (q = queue_take(rs); q; q = queue_take(rs)) {
        pthread_mutex_unlock(&rs->lock);
        answer = answer_get(rs->lookup, q->host);
        pthread_mutex_lock(&rs->lock);
        if (q->done) {
            free(answer.at);
        }
        else {
            query_end(q, &answer);
        }
        query_drop(q);
    }
    rs->threads--;
    resolver_leave(rs);
    return NULL;
}

static int thread_create(llmux_resolver_t *rs)
{
    pthread_attr_t attr;
    sigset_t all, before;
    pthread_t thread;
    int failed;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK);
    /* Signals are for the threads that httpd made for them. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&thread, &attr, work, rs);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return failed;
}

/* One that was counted already. Without it the others take what is queued. */
static void thread_start(llmux_resolver_t *rs)
{
    static const answer_t none = { APR_ENOTHREAD,
                                   "no thread to look it up in", 0, NULL };

    if (thread_create(rs)) {
        pthread_mutex_lock(&rs->lock);
        if (!--rs->threads) {
            queue_fail(rs, &none);
        }
        resolver_leave(rs);
    }
}

static int thread_count(llmux_resolver_t *rs)
{
    if (rs->threads == LLMUX_RESOLVE_THREADS_MAX) {
        return 0;
    }
    rs->threads++;
    rs->refs++;
    return 1;
}

/* httpd unloads its modules when a child ends: a thread that a name server
 * keeps waiting would come back to nowhere. */
static void stay_loaded(void)
{
    Dl_info us;

    if (dladdr((void *)work, &us) && us.dli_fname) {
        dlopen(us.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    }
}

apr_status_t llmux_resolver_create(llmux_resolver_t **rs, apr_pool_t *p)
{
    llmux_resolver_t *made = calloc(1, sizeof(*made));

    *rs = NULL;
    if (!made) {
        return APR_ENOMEM;
    }
    pthread_mutex_init(&made->lock, NULL);
    made->refs = 1;
    made->lookup = ask_system;
    apr_pool_cleanup_register(p, made, resolver_close, apr_pool_cleanup_null);
    stay_loaded();
    *rs = made;
    return APR_SUCCESS;
}

void llmux_resolver_lookup_with(llmux_resolver_t *rs, llmux_lookup_fn fn)
{
    rs->lookup = fn;
}

/* ---- asking ------------------------------------------------------------- */

static apr_status_t answer_give(const answer_t *answer, int port,
                                llmux_addresses_t *out, const char **why)
{
    int i;

    for (i = 0; i < answer->count; i++) {
        out->at[i] = answer->at[i];
        set_port(&out->at[i], port);
    }
    out->count = answer->count;
    *why = answer->why;
    return answer->rv;
}

static void lookup_link(llmux_lookup_t *l)
{
    l->next = l->query->waiting;
    if (l->next) {
        l->next->prev = l;
    }
    l->query->waiting = l;
}

static void lookup_unlink(llmux_lookup_t *l)
{
    *(l->prev ? &l->prev->next : &l->query->waiting) = l->next;
    if (l->next) {
        l->next->prev = l->prev;
    }
}

static apr_status_t lookup_create(llmux_lookup_t **pending,
                                  llmux_resolver_t *rs, query_t *q, int port,
                                  const char **why)
{
    llmux_lookup_t *l = calloc(1, sizeof(*l));

    if (!l) {
        *why = gai_strerror(EAI_MEMORY);
        return APR_ENOMEM;
    }
    l->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->fd < 0) {
        apr_status_t rv = errno;

        free(l);
        *why = "no descriptor to wait for its addresses with";
        return rv;
    }
    rs->refs++;
    q->refs++;
    l->rs = rs;
    l->query = q;
    l->port = port;
    lookup_link(l);
    *pending = l;
    return APR_EAGAIN;
}

/* Under the lock. `start` says whether one more thread is wanted. */
static apr_status_t ask(llmux_resolver_t *rs, const char *host, int port,
                        apr_time_t now, llmux_addresses_t *out,
                        llmux_lookup_t **pending, const char **why,
                        int *start)
{
    name_t *n = name_get(rs, host);
    const query_t *known;

    if (n && is_due(n, now) && query_open(rs, n, now)) {
        *start = thread_count(rs);
    }
    known = n ? name_answered(n, now) : NULL;
    if (known) {
        return answer_give(&known->answer, port, out, why);
    }
    if (n && n->open) {
        return lookup_create(pending, rs, n->open, port, why);
    }
    *why = "no room for one more name";
    return APR_ENOMEM;
}

apr_status_t llmux_resolve(llmux_resolver_t *rs, const llmux_env_t *env,
                           const char *host, int port,
                           llmux_addresses_t *out, llmux_lookup_t **pending,
                           const char **why)
{
    char name[LLMUX_HOST_MAX + 1];
    int bracketed, start = 0;
    apr_status_t rv;

    *pending = NULL;
    out->count = 0;
    *why = port < 1 || port > 65535 ? "there is no such port"
                                    : host_read(name, host, &bracketed);
    if (!*why && is_numeric(name, bracketed, out)) {
        set_port(out->at, port);
        *why = "";
        return APR_SUCCESS;
    }
    if (!*why) {
        *why = bracketed || strchr(name, ':')
               ? "the host is not an IPv6 address" : name_problem(name);
    }
    if (*why) {
        return APR_EINVAL;
    }
    *why = "";
    pthread_mutex_lock(&rs->lock);
    rv = ask(rs, name, port, llmux_now(env), out, pending, why, &start);
    pthread_mutex_unlock(&rs->lock);
    if (start) {
        thread_start(rs);
    }
    return rv;
}

apr_status_t llmux_lookup_step(llmux_lookup_t *l, const llmux_env_t *env,
                               llmux_addresses_t *out, llmux_wait_t *wait,
                               const char **why)
{
    apr_status_t rv = APR_EAGAIN;

    out->count = 0;
    *why = "";
    pthread_mutex_lock(&l->rs->lock);
    if (l->query->done) {
        rv = answer_give(&l->query->answer, l->port, out, why);
    }
    else {
        llmux_wait_fd(wait, l->fd, LLMUX_WAIT_READ);
    }
    pthread_mutex_unlock(&l->rs->lock);
    return rv;
}

void llmux_lookup_release(llmux_lookup_t *l)
{
    if (!l) {
        return;
    }
    pthread_mutex_lock(&l->rs->lock);
    lookup_unlink(l);
    query_drop(l->query);
    resolver_leave(l->rs);
    close(l->fd);
    free(l);
}
