/* race.c - sixteen threads at once over all that a child shares: connections
 * of both transports, names, TLS contexts and sessions, counters, randomness.
 * `make race` runs it under ThreadSanitizer, which sees what here only goes
 * wrong by chance. */

#include <netdb.h>

#include "llmux/state.h"
#include "transport/http_pool.h"
#include "certificate.h"
#include "conform.h"

#define THREADS 16
#define IDS 4096                    /* of each thread, at most */

static upstream_t secure;
static certificate_t *cert;
static const char *again;           /* its file by another name */
static llmux_state_t *state;
static apr_time_t until;

/* ---- what the provider plays ------------------------------------------ */

#define OK_HEAD "HTTP/1.1 200 OK\r\n"

static int whole(conn_t *c)
{
    return say(c, OK_HEAD "Content-Length: 5\r\n\r\nhello");
}

static int chunked(conn_t *c)
{
    return say(c, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"
               "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
}

static int closing(conn_t *c)
{
    return say(c, OK_HEAD "\r\nhello") && 0;
}

/* Without a word: somebody finds it dead. */
static int then_close(conn_t *c)
{
    return whole(c) && 0;
}

static int die_on_second(conn_t *c)
{
    return c->nth == 1 && whole(c);
}

static const script_t scripts[] = {
    { "/whole", whole }, { "/chunked", chunked }, { "/closing", closing },
    { "/then-close", then_close }, { "/die-on-second", die_on_second },
    { NULL, whole }
};

static const char *const paths[] = { "whole", "chunked", "closing", "whole",
                                     "then-close", "whole", "die-on-second" };

/* Names are looked up again each time one is new. */
static int look_up(const char *host, llmux_addresses_t *out)
{
    struct sockaddr_in *a = (struct sockaddr_in *)&out->at[0].sa;

    memset(&out->at[0], 0, sizeof(out->at[0]));
    a->sin_family = AF_INET;
    a->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    out->at[0].len = sizeof(*a);
    out->count = 1;
    pause_ms(1);
    return strstr(host, "nowhere") ? EAI_NONAME : 0;
}

/* ---- what a thread does ----------------------------------------------- */

typedef struct worker_t {
    int number, rounds;
    int asked, answered, refused;
    int ids;
    char id[IDS][37];
    pthread_t thread;
} worker_t;

static worker_t workers[THREADS];

static outcome_t ask(apr_pool_t *p, worker_t *w,
                     const llmux_transport_t *t, const llmux_upstream_t *up,
                     const char *url, int leave)
{
    llmux_request_t rq = { up, url, NULL, llmux_slice("{}") };
    outcome_t o = { .leave = leave, .over = t };

    drive_to_end(p, &rq, &o);
    w->asked++;
    w->answered += o.body->len == 5;
    return o;
}

/* By each transport, plainly and over TLS, with two sorts of trust; some
 * leave in the middle. The names are many, and the same for all. */
static void exchange(apr_pool_t *p, worker_t *w)
{
    static const llmux_transport_t *const both[] = { &llmux_transport_http,
                                                     &llmux_transport_curl };
    int n = w->rounds * THREADS + w->number, tls = n / 2 % 2;
    int curl = n % 4 == 3;
    llmux_upstream_t up = patient;

    up.ca_file = n / 4 % 2 ? cert->cert_file : again;
    up.idle = n % 3 ? MS(10000) : MS(1);
    ask(p, w, both[curl], &up,
        apr_psprintf(p, "%s://%s:%d/%s", tls ? "https" : "http",
                     curl ? "127.0.0.1"
                          : apr_psprintf(p, "n%d.race.test", w->rounds % 50),
                     tls ? secure.port : server.port,
                     paths[n % (sizeof(paths) / sizeof(paths[0]))]),
        n % 7 == 6);
}

/* Nobody is there: a name that is none, and one that is left at once. */
static void miss(apr_pool_t *p, worker_t *w)
{
    llmux_request_t rq = { &patient, NULL, NULL, llmux_slice("{}") };
    llmux_receiver_t to = { NULL, NULL, NULL };
    llmux_wait_t wait = { 0 };
    llmux_wire_t *wire;
    outcome_t o = { .over = &llmux_transport_http };

    rq.url = apr_psprintf(p, "http://nowhere%d.test/", w->rounds % 9);
    drive_to_end(p, &rq, &o);
    w->refused += o.fail == LLMUX_FAIL_RESOLVE;
    rq.url = apr_psprintf(p, "http://left%d.test/", w->rounds);
    wire = llmux_transport_http.open(p, llmux_env_process(), &rq, &to);
    wire->transport->step(wire, &wait);
    wire->transport->close(wire);
}

static void count(worker_t *w)
{
    llmux_row_t *row = llmux_state_at(state, 1 + w->number % 2);

    llmux_state_in_flight(state, 1);
    llmux_state_parked(state, 1);
    llmux_state_add(&row->count[0], 1);
    llmux_state_observe(&row->time[0], 1000);
    llmux_state_get(&row->count[0]);
    llmux_state_in_flight_all(state);
    llmux_state_parked(state, -1);
    llmux_state_in_flight(state, -1);
}

static void draw(apr_pool_t *p, worker_t *w)
{
    const char *id = llmux_random_id(llmux_env_process(), p, "");

    if (w->ids + 2 <= IDS) {
        llmux_uuid(llmux_env_process(), w->id[w->ids++]);
        apr_cpystrn(w->id[w->ids++], id, 37);
    }
}

static void *work(void *data)
{
    worker_t *w = data;
    apr_pool_t *p;

    apr_pool_create(&p, NULL);
    while (apr_time_now() < until) {
        exchange(p, w);
        miss(p, w);
        count(w);
        draw(p, w);
        llmux_transport_idle_count();
        w->rounds++;
        apr_pool_clear(p);
    }
    apr_pool_destroy(p);
    return NULL;
}

/* The same file, and yet another trust. */
static const char *same_file_again(const char *file)
{
    const char *name = strrchr(file, '/');

    return apr_psprintf(pool, "%.*s/.%s", (int)(name - file), file, name);
}

/* ---- what has come of it ---------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int doubles(void)
{
    static const char *all[THREADS * IDS];
    int i, j, n = 0, same = 0;

    for (i = 0; i < THREADS; i++) {
        for (j = 0; j < workers[i].ids; j++) {
            all[n++] = workers[i].id[j];
        }
    }
    qsort(all, (size_t)n, sizeof(all[0]), by_text);
    for (i = 1; i < n; i++) {
        same += !strcmp(all[i - 1], all[i]);
    }
    return same;
}

static apr_uint64_t counted(llmux_state_t *s, int row)
{
    llmux_row_t sum;

    llmux_state_read(s, row, &sum);
    return sum.count[0];
}

static void run(void)
{
    int i, rounds = 0, asked = 0, answered = 0, refused = 0;

    for (i = 0; i < THREADS; i++) {
        workers[i].number = i;
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        rounds += workers[i].rounds;
        asked += workers[i].asked;
        answered += workers[i].answered;
        refused += workers[i].refused;
    }
    ok(asked >= THREADS && asked == answered,
       "each of %d exchanges has its answer (%d)", asked, answered);
    ok(refused == rounds, "no name is found that is none (%d of %d)", refused,
       rounds);
    is_int((long long)(counted(state, 1) + counted(state, 2)),
           rounds, "nothing is counted twice, nor lost");
    ok(!llmux_state_in_flight_all(state) && !llmux_state_parked_all(state),
       "nothing is left in flight");
    is_int(doubles(), 0, "no two ids are the same");
}

int main(void)
{
    const char *seconds = getenv("LLMUX_RACE_SECONDS");
    apr_pool_t *child = conform_start(scripts);
    llmux_request_t rq = { &patient, "http://late.test/", NULL,
                           llmux_slice("{}") };
    llmux_receiver_t to = { NULL, NULL, NULL };
    llmux_wait_t wait = { 0 };
    llmux_wire_t *late;

    cert = certificate_make(pool, (certificate_plan_t){
        .names = "DNS:*.race.test, IP:127.0.0.1", .is_ca = 1 });
    again = same_file_again(cert->cert_file);
    llmux_resolver_lookup_with(llmux_http_shared()->resolver, look_up);
    upstream_start(&secure, scripts, certificate_server(cert));
    state = llmux_state_map(LLMUX_STATE_SIZE_MIN);
    llmux_state_row(state, "one");
    llmux_state_row(state, "two");
    llmux_state_child(state);
    until = apr_time_now()
            + apr_time_from_sec(seconds ? strtol(seconds, NULL, 10) : 1);
    run();
    /* Somebody asks for a name while the child ends. */
    late = llmux_transport_http.open(pool, llmux_env_process(), &rq, &to);
    late->transport->step(late, &wait);
    apr_pool_destroy(child);
    is_int(llmux_transport_idle_count(), 0, "the child's end closes them all");
    late->transport->close(late);
    ok(upstream_empty(&server) && upstream_empty(&secure),
       "nobody is left at the provider's");
    apr_pool_destroy(pool);
    return tap_done();
}
