/* state.c - the segment: rows by key, slots of children, atomic numbers. */

#include "llmux/state.h"

#include <errno.h>
#include <stddef.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <apr_strings.h>
#include <openssl/sha.h>

const apr_int64_t llmux_bucket_bounds[LLMUX_BUCKETS] = {
    5000, 6250, 12500, 25000, 50000, 100000, 500000,
    1000000, 1500000, 2000000, 2500000, 3000000, 3500000, 4000000, 4500000,
    5000000, 5500000, 6000000, 6500000, 7000000, 7500000, 8000000, 8500000,
    9000000, 9500000, 10000000, 15000000, 20000000, 25000000, 30000000,
    60000000, 120000000, 180000000, 300000000
};

typedef struct child_t {
    apr_int64_t pid;            /* 0 = free */
    apr_int64_t in_flight;
    apr_int64_t parked;         /* of them */
} __attribute__((aligned(LLMUX_STATE_LINE))) child_t;

struct llmux_state_t {
    apr_uint64_t size;
    apr_int64_t capacity;       /* rows that fit */
    apr_int64_t count;          /* rows given out */
    child_t child[LLMUX_STATE_CHILDREN];
    llmux_row_t row[];          /* all shards of one, then of the next */
};

/* The slot of this process; -1 outside a child. Set before its threads. */
static int own_slot = -1;

/* Members, in their order. */
static const char members[] =
#define COUNTER(member, name, help) name "\n"
#define HISTOGRAM(member, name, help) name "\n"
#include "llmux/metrics.def"
#undef COUNTER
#undef HISTOGRAM
#define X(kind, status, type, code, atype, gstatus) #kind "\n"
#include "llmux/errors.def"
#undef X
    ;

/* FNV-1a: it must tell versions apart, not adversaries. */
static apr_uint64_t mix(apr_uint64_t hash, const void *data, apr_size_t len)
{
    const unsigned char *at = data;

    while (len-- > 0) {
        hash = (hash ^ *at++) * APR_UINT64_C(1099511628211);
    }
    return hash;
}

apr_uint64_t llmux_state_layout(void)
{
    const apr_uint64_t sizes[] = {
        LLMUX_STATE_VERSION, LLMUX_STATE_SHARDS, sizeof(llmux_state_t),
        sizeof(child_t), sizeof(llmux_row_t)
    };
    apr_uint64_t hash = APR_UINT64_C(14695981039346656037);

    hash = mix(hash, sizes, sizeof(sizes));
    hash = mix(hash, llmux_bucket_bounds, sizeof(llmux_bucket_bounds));
    return mix(hash, members, sizeof(members));
}

llmux_state_t *llmux_state_map(apr_size_t size)
{
    llmux_state_t *s = mmap(NULL, size, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (s == MAP_FAILED) {
        return NULL;
    }
    s->size = size;
    s->capacity = (apr_int64_t)((size - sizeof(*s))
                                / (LLMUX_STATE_SHARDS * sizeof(llmux_row_t)));
    s->count = 1;
    return s;
}

const char *llmux_state_key(apr_pool_t *p, const char *group,
                            const char *deployment)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    char *key = apr_palloc(p, 33);
    int i;

    SHA256((const unsigned char *)group, strlen(group), hash);
    for (i = 0; i < 8; i++) {
        apr_snprintf(key + 2 * i, 3, "%02x", hash[i]);
    }
    return apr_pstrcat(p, key, deployment, NULL);
}

static llmux_row_t *shards_of(llmux_state_t *s, apr_int64_t index)
{
    return &s->row[index * LLMUX_STATE_SHARDS];
}

int llmux_state_row(llmux_state_t *s, const char *key)
{
    apr_int64_t i;

    for (i = 1; i < s->count; i++) {
        if (!strcmp(shards_of(s, i)->key, key)) {
            return (int)i;
        }
    }
    if (s->count >= s->capacity || strlen(key) >= sizeof(s->row[0].key)) {
        return -1;
    }
    memcpy(shards_of(s, i)->key, key, strlen(key) + 1);
    s->count++;
    return (int)i;
}

llmux_row_t *llmux_state_at(llmux_state_t *s, int index)
{
    return shards_of(s, index > 0 && index < s->count ? index : 0)
        + (own_slot > 0 ? own_slot % LLMUX_STATE_SHARDS : 0);
}

/* A row is nothing but counters behind its key. */
void llmux_state_read(llmux_state_t *s, int index, llmux_row_t *sum)
{
    const llmux_row_t *row = shards_of(s, index > 0 && index < s->count
                                              ? index : 0);
    apr_size_t words = (sizeof(*row) - offsetof(llmux_row_t, count))
        / sizeof(apr_uint64_t), i;
    apr_uint64_t *to = (apr_uint64_t *)((char *)sum
                                        + offsetof(llmux_row_t, count));
    int k;

    memset(sum, 0, sizeof(*sum));
    for (k = 0; k < LLMUX_STATE_SHARDS; k++) {
        const apr_uint64_t *from = (const apr_uint64_t *)
            ((const char *)&row[k] + offsetof(llmux_row_t, count));

        for (i = 0; i < words; i++) {
            to[i] += llmux_state_get(&from[i]);
        }
    }
}

void llmux_state_add(apr_uint64_t *counter, apr_uint64_t n)
{
    __atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

apr_uint64_t llmux_state_get(const apr_uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void llmux_state_observe(llmux_histogram_t *h, apr_interval_time_t t)
{
    int i = 0;

    if (t < 0) {
        t = 0;
    }
    while (i < LLMUX_BUCKETS && t > llmux_bucket_bounds[i]) {
        i++;
    }
    llmux_state_add(&h->bucket[i], 1);
    llmux_state_add(&h->sum, (apr_uint64_t)t);
}

/* ---- children -------------------------------------------------------- */

static int is_dead(apr_int64_t pid)
{
    return pid == 0 || (kill((pid_t)pid, 0) != 0 && errno == ESRCH);
}

/* A child that was killed leaves its slot; whoever needs one takes it. One
 * under our own number is a namesake's. */
void llmux_state_child(llmux_state_t *s)
{
    int i;

    llmux_state_child_gone(s, getpid());
    for (i = 0; i < LLMUX_STATE_CHILDREN; i++) {
        apr_int64_t pid = __atomic_load_n(&s->child[i].pid, __ATOMIC_ACQUIRE);

        if (is_dead(pid)
            && __atomic_compare_exchange_n(&s->child[i].pid, &pid,
                                           (apr_int64_t)getpid(), 0,
                                           __ATOMIC_ACQ_REL,
                                           __ATOMIC_RELAXED)) {
            __atomic_store_n(&s->child[i].in_flight, 0, __ATOMIC_RELAXED);
            __atomic_store_n(&s->child[i].parked, 0, __ATOMIC_RELAXED);
            own_slot = i;
            return;
        }
    }
}

void llmux_state_child_gone(llmux_state_t *s, pid_t pid)
{
    int i;

    for (i = 0; i < LLMUX_STATE_CHILDREN; i++) {
        apr_int64_t theirs = pid;

        __atomic_compare_exchange_n(&s->child[i].pid, &theirs, 0, 0,
                                    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    }
}

void llmux_state_in_flight(llmux_state_t *s, int change)
{
    if (own_slot >= 0) {
        __atomic_fetch_add(&s->child[own_slot].in_flight, change,
                           __ATOMIC_RELAXED);
    }
}

void llmux_state_parked(llmux_state_t *s, int change)
{
    if (own_slot >= 0) {
        __atomic_fetch_add(&s->child[own_slot].parked, change,
                           __ATOMIC_RELAXED);
    }
}

/* Of the children that are alive; `first` is the number in child 0. */
static apr_int64_t sum_of(llmux_state_t *s, const apr_int64_t *first)
{
    const char *at = (const char *)first;
    apr_int64_t sum = 0;
    int i;

    for (i = 0; i < LLMUX_STATE_CHILDREN; i++, at += sizeof(child_t)) {
        if (!is_dead(__atomic_load_n(&s->child[i].pid, __ATOMIC_ACQUIRE))) {
            sum += __atomic_load_n((const apr_int64_t *)at,
                                   __ATOMIC_RELAXED);
        }
    }
    return sum;
}

apr_int64_t llmux_state_in_flight_all(llmux_state_t *s)
{
    return sum_of(s, &s->child[0].in_flight);
}

apr_int64_t llmux_state_parked_all(llmux_state_t *s)
{
    return sum_of(s, &s->child[0].parked);
}
