/* resolve.c - a host's addresses: as text, from the system, remembered. */

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <apr_strings.h>

#include "tap.h"
#include "transport/resolve.h"

static apr_pool_t *pool;

/* ---- a clock ----------------------------------------------------------- */

static apr_time_t now_is = 1000 * APR_USEC_PER_SEC;

static apr_time_t clock_now(void *host)
{
    return now_is;
}

static const llmux_env_t env = { .now = clock_now };

static void later(int seconds)
{
    now_is += seconds * APR_USEC_PER_SEC;
}

/* ---- a system that answers as told ------------------------------------- */

/* Names that begin with "bad" do not exist, "many" has 16 addresses of both
 * kinds, "empty" none, all others 10.0.0.<version>. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int shut;               /* nobody is answered while it is */
    int calls, running, most;
    int version;
    int fails;              /* this code for everybody */
} dns = { .lock = PTHREAD_MUTEX_INITIALIZER,
          .changed = PTHREAD_COND_INITIALIZER };

static void add(llmux_addresses_t *out, int family, const char *text, int last)
{
    llmux_address_t *a = &out->at[out->count++];
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

    memset(a, 0, sizeof(*a));
    inet_pton(family, text, family == AF_INET ? (void *)&v4.sin_addr
                                              : (void *)&v6.sin6_addr);
    if (family == AF_INET) {
        v4.sin_addr.s_addr |= htonl(last);
        memcpy(&a->sa, &v4, sizeof(v4));
        a->len = sizeof(v4);
        return;
    }
    v6.sin6_addr.s6_addr[15] = last;
    memcpy(&a->sa, &v6, sizeof(v6));
    a->len = sizeof(v6);
}

static int dns_lookup(const char *host, llmux_addresses_t *out)
{
    int version, fails, i;

    pthread_mutex_lock(&dns.lock);
    dns.calls++;
    dns.running++;
    dns.most = dns.running > dns.most ? dns.running : dns.most;
    pthread_cond_broadcast(&dns.changed);
    while (dns.shut) {
        pthread_cond_wait(&dns.changed, &dns.lock);
    }
    dns.running--;
    version = dns.version;
    fails = dns.fails;
    pthread_mutex_unlock(&dns.lock);
    if (fails || !strncmp(host, "bad", 3)) {
        errno = EAGAIN;
        return fails ? fails : EAI_NONAME;
    }
    if (!strcmp(host, "many")) {
        for (i = 0; i < LLMUX_ADDRESSES_MAX; i++) {
            add(out, i % 2 ? AF_INET6 : AF_INET,
                i % 2 ? "2001:db8::" : "10.0.1.0", i);
        }
    }
    else if (strcmp(host, "empty")) {
        add(out, AF_INET, "10.0.0.0", version);
    }
    return 0;
}

static void dns_set(int *what, int to)
{
    pthread_mutex_lock(&dns.lock);
    *what = to;
    pthread_cond_broadcast(&dns.changed);
    pthread_mutex_unlock(&dns.lock);
}

static int dns_get(const int *what)
{
    int value;

    pthread_mutex_lock(&dns.lock);
    value = *what;
    pthread_mutex_unlock(&dns.lock);
    return value;
}

static int dns_comes_to(const int *what, int value)
{
    int i;

    for (i = 0; i < 5000 && dns_get(what) != value; i++) {
        usleep(1000);
    }
    return dns_get(what) == value;
}

/* No more than that, also when a thread had time to start. */
static int dns_calls_stay(int many)
{
    usleep(20000);
    return dns_get(&dns.calls) == many;
}

/* ---- looking at it ------------------------------------------------------ */

static llmux_resolver_t *fresh(apr_pool_t **p)
{
    llmux_resolver_t *rs;

    apr_pool_create(p, pool);
    llmux_resolver_create(&rs, *p);
    llmux_resolver_lookup_with(rs, dns_lookup);
    dns_set(&dns.calls, 0);
    dns_set(&dns.most, 0);
    dns_set(&dns.shut, 0);
    dns_set(&dns.fails, 0);
    dns_set(&dns.version, 1);
    return rs;
}

static int count_entries(const char *path)
{
    DIR *dir = opendir(path);
    int n = 0;

    while (readdir(dir)) {
        n++;
    }
    closedir(dir);
    return n;
}

static int fds_open(void)
{
    return count_entries("/proc/self/fd");
}

/* As many threads as that, which is how it was before. */
static int threads_come_to(int many)
{
    int i;

    for (i = 0; i < 5000 && count_entries("/proc/self/task") != many; i++) {
        usleep(1000);
    }
    return count_entries("/proc/self/task") == many;
}

/* "10.0.0.1:443 [::1]:443" */
static const char *text_of(const llmux_addresses_t *a)
{
    char host[INET6_ADDRSTRLEN], port[8];
    const char *text = "";
    int i, v6;

    for (i = 0; i < a->count; i++) {
        v6 = a->at[i].sa.ss_family == AF_INET6;
        if (getnameinfo((const struct sockaddr *)&a->at[i].sa, a->at[i].len,
                        host, sizeof(host), port, sizeof(port),
                        NI_NUMERICHOST | NI_NUMERICSERV)) {
            return "not an address";
        }
        text = apr_psprintf(pool, v6 ? "%s%s[%s]:%s" : "%s%s%s:%s", text,
                            i ? " " : "", host, port);
    }
    return text;
}

/* Asks and puts it in words: the addresses, "pending", or why not. */
static const char *asked(llmux_resolver_t *rs, const char *host,
                         llmux_lookup_t **l)
{
    llmux_addresses_t out;
    llmux_lookup_t *unwanted = NULL;
    const char *why = NULL;
    apr_status_t rv = llmux_resolve(rs, &env, host, 443, &out,
                                    l ? l : &unwanted, &why);

    llmux_lookup_release(unwanted);
    return rv == APR_SUCCESS ? text_of(&out)
           : rv == APR_EAGAIN ? "pending" : why;
}

static const char *stepped(llmux_lookup_t *l, llmux_wait_t *wait)
{
    llmux_addresses_t out;
    const char *why = NULL;
    apr_status_t rv;

    memset(wait, 0, sizeof(*wait));
    rv = llmux_lookup_step(l, &env, &out, wait, &why);
    return rv == APR_SUCCESS ? text_of(&out)
           : rv == APR_EAGAIN ? "pending" : why;
}

static int is_readable(const llmux_wait_t *w, int ms)
{
    struct pollfd p = { w->fds[0].fd, POLLIN, 0 };

    return w->count == 1 && w->fds[0].events == LLMUX_WAIT_READ
           && poll(&p, 1, ms) == 1;
}

/* Waits for it, and lets go of it. */
static const char *waited(llmux_lookup_t *l)
{
    const char *text = "nothing to wait for";
    llmux_wait_t wait;

    if (l) {
        text = stepped(l, &wait);
        if (!strcmp(text, "pending")) {
            text = is_readable(&wait, 5000) ? stepped(l, &wait)
                                            : "not in five seconds";
        }
    }
    llmux_lookup_release(l);
    return text;
}

/* Asks and waits. */
static const char *resolved(llmux_resolver_t *rs, const char *host)
{
    llmux_lookup_t *l;
    const char *text = asked(rs, host, &l);

    return strcmp(text, "pending") ? text : waited(l);
}

/* Until somebody who asks for it is told this. */
static int comes_to(llmux_resolver_t *rs, const char *host, const char *text)
{
    int i;

    for (i = 0; i < 5000 && strcmp(asked(rs, host, NULL), text); i++) {
        usleep(1000);
    }
    return !strcmp(asked(rs, host, NULL), text);
}

/* ---- the tests ---------------------------------------------------------- */

static void test_text(void)
{
    static const char no_name[] = "the host has a character that no name has";
    static const char no_part[] =
        "a part of the host's name is empty or too long";
    static const char no_v6[] = "the host is not an IPv6 address";
    static const char neither[] =
        "the host is neither a name nor a whole address";
    static const struct { const char *host, *text; } cases[] = {
        { "192.0.2.7", "192.0.2.7:443" },
        { "::1", "[::1]:443" },
        { "[::1]", "[::1]:443" },
        { "[2001:DB8::A]", "[2001:db8::a]:443" },
        { "::ffff:192.0.2.7", "[::ffff:192.0.2.7]:443" },
        { "[192.0.2.7]", no_v6 },
        { "[name]", no_v6 },
        { "[]", "there is no host" },
        { "[", "the host has a bracket too many" },
        { "[::1", "the host has a bracket too many" },
        { "::1]", no_v6 },
        { "fe80::1%eth0", no_v6 },
        { "1:2", no_v6 },
        { "", "there is no host" },
        { NULL, "there is no host" },
        { ".", no_part },
        { "..", no_part },
        { ".a", no_part },
        { "a..b", no_part },
        { "a.b..", no_part },
        { "192.0.2.7.", neither },
        { "192.0.2", neither },
        { "127.1", neither },
        { "2130706433", neither },
        { "0x7F000001", neither },
        { "a.0x", neither },
        { "256.0.0.1", neither },
        { "a b", no_name },
        { "a\nb", no_name },
        { "a/b", no_name },
        { "a@b", no_name },
        { "a%41", no_name },
        { "a\x7f", no_name },
        { "\xc3\xa4.example", no_name },
        { "good.example", "10.0.0.1:443" },
        { "GOOD.Example", "10.0.0.1:443" },
        { "_x-1.0xg.1a", "10.0.0.1:443" }
    };
    static const struct { int port; const char *why; } ports[] = {
        { 0, "there is no such port" },
        { -1, "there is no such port" },
        { 65536, "there is no such port" },
        { 65535, "" }
    };
    char host[LLMUX_HOST_MAX + 2];
    llmux_addresses_t out;
    llmux_lookup_t *l;
    const char *why;
    apr_pool_t *p;
    llmux_resolver_t *rs = fresh(&p);
    size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_str(resolved(rs, cases[i].host), cases[i].text,
               apr_psprintf(p, "host %d: %s", (int)i, cases[i].text));
    }
    is_int(dns_get(&dns.calls), 2, "only names are looked up, in any case");
    resolved(rs, "good.example.");
    is_int(dns_get(&dns.calls), 3, "one with a dot at its end is another one");

    for (i = 0; i < sizeof(host) - 1; i++) {
        host[i] = i % 60 == 59 ? '.' : 'a';
    }
    host[LLMUX_HOST_MAX + 1] = '\0';
    is_str(resolved(rs, host), "the host's name is too long", "256 bytes");
    host[LLMUX_HOST_MAX] = '\0';
    is_str(resolved(rs, host), "10.0.0.1:443", "255 bytes");
    memset(host, 'a', 64);
    is_str(resolved(rs, host), no_part, "a label of more than 63 bytes");

    for (i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        llmux_resolve(rs, &env, "::1", ports[i].port, &out, &l, &why);
        is_str(why, ports[i].why, apr_psprintf(p, "port %d", ports[i].port));
    }
    apr_pool_destroy(p);
}

static void test_system(void)
{
    llmux_resolver_t *rs;
    const char *text;
    apr_pool_t *p;

    apr_pool_create(&p, pool);
    llmux_resolver_create(&rs, p);
    text = resolved(rs, "localhost");
    ok(!strncmp(text, "127.0.0.1:443", 13) || !strncmp(text, "[::1]:443", 9),
       "localhost is %s", text);
    is_str(asked(rs, "LocalHost", NULL), text, "and known from now on");
    apr_pool_destroy(p);
}

static void test_one_call(void)
{
    apr_pool_t *p;
    llmux_resolver_t *rs = fresh(&p);
    llmux_lookup_t *l[3];
    llmux_wait_t wait[3];
    int i, fds = fds_open();

    dns_set(&dns.shut, 1);
    for (i = 0; i < 3; i++) {
        is_str(asked(rs, "a.example", &l[i]), "pending", "a miss is pending");
        is_str(stepped(l[i], &wait[i]), "pending", "a step does not change it");
    }
    is_int(fds_open(), fds + 3, "each waits with a descriptor of its own");
    ok(!is_readable(&wait[1], 20), "which is silent until there is an answer");
    llmux_lookup_release(l[1]);
    dns_set(&dns.shut, 0);
    for (i = 0; i < 3; i += 2) {
        ok(is_readable(&wait[i], 5000), "then it is readable");
        is_str(stepped(l[i], &wait[i]), "10.0.0.1:443", "everybody is answered");
        is_str(stepped(l[i], &wait[i]), "10.0.0.1:443", "as often as they ask");
        llmux_lookup_release(l[i]);
    }
    is_int(fds_open(), fds, "the descriptors are closed");
    is_str(asked(rs, "a.example", NULL), "10.0.0.1:443", "it is remembered");
    ok(dns_calls_stay(1), "all that took one look-up");
    is_str(resolved(rs, "many"),
           "10.0.1.0:443 [2001:db8::1]:443 10.0.1.2:443 [2001:db8::3]:443 "
           "10.0.1.4:443 [2001:db8::5]:443 10.0.1.6:443 [2001:db8::7]:443 "
           "10.0.1.8:443 [2001:db8::9]:443 10.0.1.10:443 [2001:db8::b]:443 "
           "10.0.1.12:443 [2001:db8::d]:443 10.0.1.14:443 [2001:db8::f]:443",
           "many addresses stay in their order");
    apr_pool_destroy(p);
}

/* As parked requests do: each in a set of its own, all of them in one that is
 * httpd's. Linux lets 500 such ways lead from one descriptor. */
static void test_nests(void)
{
    enum { NESTS = 600 };
    static llmux_lookup_t *l[NESTS];
    static int nests[NESTS];
    apr_pool_t *p;
    llmux_resolver_t *rs = fresh(&p);
    struct epoll_event ev = { .events = EPOLLIN };
    int i, bad = 0, all = epoll_create1(0);
    struct rlimit limit;
    llmux_wait_t wait;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    dns_set(&dns.shut, 1);
    for (i = 0; i < NESTS; i++) {
        asked(rs, "a.example", &l[i]);
        stepped(l[i], &wait);
        nests[i] = epoll_create1(0);
        bad += epoll_ctl(nests[i], EPOLL_CTL_ADD, wait.fds[0].fd, &ev) != 0;
        bad += epoll_ctl(all, EPOLL_CTL_ADD, nests[i], &ev) != 0;
    }
    is_int(bad, 0, "600 parked requests can wait for one name");
    dns_set(&dns.shut, 0);
    for (i = 0; i < NESTS; i++) {
        bad += epoll_wait(nests[i], &ev, 1, 5000) != 1;
        llmux_lookup_release(l[i]);
        close(nests[i]);
    }
    is_int(bad, 0, "and all are told");
    close(all);
    apr_pool_destroy(p);
}

static void test_stale(void)
{
    apr_pool_t *p;
    llmux_resolver_t *rs = fresh(&p);
    llmux_lookup_t *l;
    int i;

    resolved(rs, "a.example");
    later(LLMUX_RESOLVE_KEEP - 1);
    dns_set(&dns.version, 2);
    dns_set(&dns.shut, 1);
    asked(rs, "a.example", NULL);
    ok(dns_calls_stay(1), "addresses count as new for a while");
    later(2);
    is_str(asked(rs, "a.example", NULL), "10.0.0.1:443", "old ones are told");
    ok(dns_comes_to(&dns.calls, 2), "while it is looked up anew");
    is_str(asked(rs, "a.example", NULL), "10.0.0.1:443", "also to the next");
    ok(dns_calls_stay(2), "who does not start another look-up");
    dns_set(&dns.shut, 0);
    ok(comes_to(rs, "a.example", "10.0.0.2:443"), "then the new ones");

    dns_set(&dns.fails, EAI_AGAIN);
    later(LLMUX_RESOLVE_KEEP + 1);
    is_str(asked(rs, "a.example", NULL), "10.0.0.2:443", "once more old");
    ok(dns_comes_to(&dns.calls, 3) && dns_comes_to(&dns.running, 0),
       "looked up, in vain");
    usleep(20000);
    is_str(asked(rs, "a.example", NULL), "10.0.0.2:443", "which is no harm");
    ok(dns_calls_stay(3), "and is not tried again at once");
    later(LLMUX_RESOLVE_FAILED + 1);
    is_str(asked(rs, "a.example", NULL), "10.0.0.2:443", "still there");
    for (i = 0; i < 5000 && dns_get(&dns.calls) < 4; i++) {
        asked(rs, "a.example", NULL);
        usleep(1000);
    }
    is_int(dns_get(&dns.calls), 4, "but soon");

    dns_set(&dns.shut, 1);
    later(LLMUX_RESOLVE_STALE);
    is_str(asked(rs, "a.example", &l), "pending",
           "in the end they are too old to be told");
    dns_set(&dns.shut, 0);
    is_str(waited(l), gai_strerror(EAI_AGAIN), "a failure is one then");
    apr_pool_destroy(p);
}

static void test_clock_set_back(void)
{
    apr_pool_t *p;
    llmux_resolver_t *rs = fresh(&p);
    llmux_lookup_t *l;

    later(10 * LLMUX_RESOLVE_STALE);
    resolved(rs, "a.example");
    later(-10 * LLMUX_RESOLVE_STALE);
    is_str(asked(rs, "a.example", &l), "pending",
           "a clock set back does not make addresses last");
    is_str(waited(l), "10.0.0.1:443", "they are looked up anew");
    apr_pool_destroy(p);
}

static void test_failure(void)
{
    const char *none = gai_strerror(EAI_NONAME);
    apr_pool_t *p;
    llmux_resolver_t *rs = fresh(&p);
    llmux_addresses_t out;
    llmux_lookup_t *l;
    const char *why;
    int fds = fds_open();

    is_str(resolved(rs, "bad.example"), none, "no such host");
    is_str(asked(rs, "bad.example", NULL), none, "is remembered");
    ok(dns_calls_stay(1), "without a look-up");
    is_int(llmux_resolve(rs, &env, "bad.example", 1, &out, &l, &why),
           APR_OS_START_EAIERR + abs(EAI_NONAME), "with APR's code for it");
    is_int(out.count, 0, "and no address");
    later(LLMUX_RESOLVE_FAILED + 1);
    is_str(asked(rs, "bad.example", &l), "pending", "for a short time");
    is_str(waited(l), none, "then it is looked up again");
    is_str(resolved(rs, "empty"), none, "no address is no host");
    dns_set(&dns.fails, EAI_SYSTEM);
    is_str(resolved(rs, "x.example"), gai_strerror(EAI_SYSTEM),
           "EAGAIN of the system is an end, too");
    is_int(fds_open(), fds, "descriptors are closed");
    apr_pool_destroy(p);
}

static void test_queue(void)
{
    enum { MANY = 40, LEFT = 30 };
    apr_pool_t *p;
    llmux_resolver_t *rs = fresh(&p);
    llmux_lookup_t *l[MANY];
    int i, good = 0, fds = fds_open();

    dns_set(&dns.shut, 1);
    for (i = 0; i < MANY; i++) {
        good += !strcmp(asked(rs, apr_psprintf(p, "n%d.example", i), &l[i]),
                        "pending");
    }
    is_int(good, MANY, "forty names at once are pending");
    ok(dns_comes_to(&dns.running, LLMUX_RESOLVE_THREADS_MAX),
       "sixteen of them are looked up");
    ok(dns_calls_stay(LLMUX_RESOLVE_THREADS_MAX), "and no more");
    for (i = LEFT; i < MANY; i++) {
        llmux_lookup_release(l[i]);
    }
    dns_set(&dns.shut, 0);
    for (i = good = 0; i < LEFT; i++) {
        good += !strcmp(waited(l[i]), "10.0.0.1:443");
    }
    is_int(good, LEFT, "all who wait are answered in the end");
    is_int(dns_get(&dns.most), LLMUX_RESOLVE_THREADS_MAX,
           "never more than sixteen at a time");
    ok(dns_comes_to(&dns.running, 0), "the threads are done");
    is_int(dns_get(&dns.calls), LEFT,
           "what nobody waits for any more is left out");
    is_str(resolved(rs, "n39.example"), "10.0.0.1:443",
           "until somebody asks again");
    is_int(fds_open(), fds, "descriptors are closed");
    apr_pool_destroy(p);
}

static void test_release(void)
{
    apr_pool_t *p;
    llmux_resolver_t *rs = fresh(&p);
    llmux_lookup_t *l, *second;
    int fds = fds_open();

    dns_set(&dns.shut, 1);
    asked(rs, "a.example", &l);
    ok(dns_comes_to(&dns.calls, 1), "a look-up runs");
    llmux_lookup_release(l);
    is_int(fds_open(), fds, "nobody waits: no descriptor");
    is_str(asked(rs, "a.example", &second), "pending", "somebody comes anew");
    dns_set(&dns.shut, 0);
    is_str(waited(second), "10.0.0.1:443", "and gets that one's answer");
    is_int(dns_get(&dns.calls), 1, "without a second look-up");
    llmux_lookup_release(NULL);
    apr_pool_destroy(p);
}

/* Also with what waits for a thread, and with an answer nobody has seen. */
static void test_destroy(int threads)
{
    enum { MANY = LLMUX_RESOLVE_THREADS_MAX + 2 };
    apr_pool_t *p;
    llmux_resolver_t *rs = fresh(&p);
    llmux_lookup_t *l[MANY], *seen;
    llmux_wait_t wait;
    int i, good = 0, fds = fds_open();

    dns_set(&dns.shut, 1);
    asked(rs, "early.example", &seen);
    stepped(seen, &wait);
    dns_set(&dns.shut, 0);
    ok(is_readable(&wait, 5000), "one answer is there");
    dns_set(&dns.shut, 1);
    for (i = 0; i < MANY; i++) {
        asked(rs, apr_psprintf(p, "n%d.example", i), &l[i]);
    }
    ok(dns_comes_to(&dns.running, LLMUX_RESOLVE_THREADS_MAX),
       "slow look-ups run, two more wait");
    apr_pool_destroy(p);
    for (i = 0; i < MANY; i++) {
        good += !strcmp(waited(l[i]), "the process is ending");
    }
    is_int(good, MANY, "the end of the resolver is told to all who wait");
    is_str(waited(seen), "10.0.0.1:443", "an answer stays one");
    is_int(fds_open(), fds, "descriptors are closed");
    dns_set(&dns.shut, 0);
    ok(threads_come_to(threads), "the threads come back, and go");
    ok(dns_calls_stay(LLMUX_RESOLVE_THREADS_MAX + 1),
       "without a look at the queue");
}

static void test_eviction(void)
{
    apr_pool_t *p;
    llmux_resolver_t *rs = fresh(&p);
    int i;

    resolved(rs, "oldest.example");
    later(1);
    resolved(rs, "bad.example");
    for (i = 0; i < LLMUX_RESOLVE_NAMES_MAX - 2; i++) {
        resolved(rs, apr_psprintf(p, "n%d.example", i));
    }
    dns_set(&dns.calls, 0);
    asked(rs, "oldest.example", NULL);
    asked(rs, "bad.example", NULL);
    ok(dns_calls_stay(0), "a full house is remembered");
    resolved(rs, "new1.example");
    asked(rs, "oldest.example", NULL);
    is_int(dns_get(&dns.calls), 1, "the oldest address is kept");
    resolved(rs, "bad.example");
    is_int(dns_get(&dns.calls), 2, "a failure is forgotten first");
    resolved(rs, "new2.example");
    resolved(rs, "new3.example");
    dns_set(&dns.calls, 0);
    resolved(rs, "oldest.example");
    is_int(dns_get(&dns.calls), 1, "then the oldest address");
    asked(rs, "new3.example", NULL);
    ok(dns_calls_stay(1), "not a new one");
    apr_pool_destroy(p);
}

static void test_full(void)
{
    llmux_lookup_t *l[LLMUX_RESOLVE_NAMES_MAX], *more = NULL;
    struct rlimit limit;
    apr_pool_t *p;
    llmux_resolver_t *rs = fresh(&p);
    int i, good = 0, fds = fds_open();

    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < LLMUX_RESOLVE_NAMES_MAX + 100
        && limit.rlim_max >= LLMUX_RESOLVE_NAMES_MAX + 100) {
        limit.rlim_cur = LLMUX_RESOLVE_NAMES_MAX + 100;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    dns_set(&dns.shut, 1);
    for (i = 0; i < LLMUX_RESOLVE_NAMES_MAX; i++) {
        l[i] = NULL;
        good += !strcmp(asked(rs, apr_psprintf(p, "n%d.example", i), &l[i]),
                        "pending");
    }
    is_int(good, LLMUX_RESOLVE_NAMES_MAX, "as many names as there may be");
    is_str(asked(rs, "more.example", &more), "no room for one more name",
           "one too many is refused");
    ok(!more, "and leaves nothing pending");
    for (i = 0; i < LLMUX_RESOLVE_NAMES_MAX; i++) {
        llmux_lookup_release(l[i]);
    }
    dns_set(&dns.shut, 0);
    ok(dns_comes_to(&dns.running, 0), "when they are done");
    for (i = 0; i < 200 && !strcmp(resolved(rs, "more.example"),
                                   "no room for one more name"); i++) {
        apr_sleep(apr_time_from_msec(10));      /* the last ones are put away */
    }
    is_str(resolved(rs, "more.example"), "10.0.0.1:443", "there is room");
    is_int(fds_open(), fds, "descriptors are closed");
    apr_pool_destroy(p);
}

static void test_no_descriptor(void)
{
    struct rlimit limit, none;
    apr_pool_t *p;
    llmux_resolver_t *rs = fresh(&p);
    llmux_addresses_t out;
    llmux_lookup_t *l;
    const char *why;
    apr_status_t rv;

    getrlimit(RLIMIT_NOFILE, &limit);
    none = limit;
    none.rlim_cur = 3;
    dns_set(&dns.shut, 1);
    setrlimit(RLIMIT_NOFILE, &none);
    rv = llmux_resolve(rs, &env, "a.example", 80, &out, &l, &why);
    setrlimit(RLIMIT_NOFILE, &limit);
    is_int(rv, EMFILE, "no descriptor to wait with");
    ok(!l && strstr(why, "descriptor"), "is said in words: %s", why);
    dns_set(&dns.shut, 0);
    is_str(resolved(rs, "a.example"), "10.0.0.1:443", "the next has one");
    apr_pool_destroy(p);
}

/* Many at once, for a sanitizer to look at. */
static void *herd_member(void *data)
{
    llmux_resolver_t *rs = data;
    llmux_addresses_t out;
    llmux_lookup_t *l;
    llmux_wait_t wait = { 0 };
    const char *why;
    char host[32];
    long good = 0;
    int i;

    for (i = 0; i < 200; i++) {
        apr_snprintf(host, sizeof(host), "n%d.example", i % 50);
        if (llmux_resolve(rs, &env, host, 80, &out, &l, &why) == APR_EAGAIN) {
            wait.count = 0;
            llmux_lookup_step(l, &env, &out, &wait, &why);
            if (i % 7 && wait.count) {
                is_readable(&wait, 5000);
            }
            out.count = i % 7 ? 0 : 1;
            if (!out.count) {
                llmux_lookup_step(l, &env, &out, &wait, &why);
            }
            llmux_lookup_release(l);
        }
        good += out.count == 1;
    }
    return (void *)good;
}

static void test_herd(void)
{
    enum { MANY = 8 };
    pthread_t threads[MANY];
    apr_pool_t *p;
    llmux_resolver_t *rs = fresh(&p);
    void *good;
    long sum = 0;
    int i;

    for (i = 0; i < MANY; i++) {
        pthread_create(&threads[i], NULL, herd_member, rs);
    }
    for (i = 0; i < MANY; i++) {
        pthread_join(threads[i], &good);
        sum += (long)good;
    }
    is_int(sum, MANY * 200, "a herd is answered to the last");
    apr_pool_destroy(p);
}

int main(void)
{
    int threads, fds;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    /* The first thread of all may bring some that stay (a sanitizer's). */
    test_text();
    usleep(100000);
    threads = count_entries("/proc/self/task");
    fds = fds_open();

    test_system();
    test_one_call();
    test_nests();
    test_stale();
    test_clock_set_back();
    test_failure();
    test_queue();
    test_release();
    test_destroy(threads);
    test_eviction();
    test_full();
    test_no_descriptor();
    test_herd();
    ok(threads_come_to(threads), "no thread stays behind");
    is_int(fds_open(), fds, "nor a descriptor");
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
