/* start.c - from a configuration to children that serve it. */

#include "conn.h"

#include <malloc.h>
#include <sched.h>
#include <sys/resource.h>

#include <ap_listen.h>
#include <ap_mpm.h>
#include <apr_strings.h>
#include <http_core.h>

#define STATE_DEFAULT (32 << 20)

int llmux_pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    llmux_register_log(pconf);
    settings_init(pconf);
    return OK;
}

/* ---- check_config: runs under `apachectl -t` too ----------------------- */

static int is_used(const server_conf_t *conf)
{
    return conf->providers->nelts || conf->models->nelts;
}

static int is_loopback(const apr_sockaddr_t *sa)
{
    char ip[64];

    if (apr_sockaddr_ip_getbuf(ip, sizeof(ip), (apr_sockaddr_t *)sa)
        != APR_SUCCESS) {
        return 0;
    }
    return !strncmp(ip, "127.", 4) || !strcmp(ip, "::1")
        || !strncmp(ip, "::ffff:127.", 11);
}

static const char *open_listener(apr_pool_t *p)
{
    ap_listen_rec *l;

    for (l = ap_listeners; l; l = l->next) {
        if (l->bind_addr && !is_loopback(l->bind_addr)) {
            return apr_psprintf(p, "port %d", l->bind_addr->port);
        }
    }
    return NULL;
}

/* Whoever reaches the port would spend the operator's money. */
static int check_guard(apr_pool_t *ptemp, server_rec *s,
                       const server_conf_t *conf)
{
    const char *where = open_listener(ptemp);

    if (conf->master_key || conf->no_key_meant || !is_used(conf) || !where) {
        return OK;
    }
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, 0, s,
                 "LX0102: there is no LLMuxMasterKey, and %s is not "
                 "loopback: anybody could use your provider accounts. Set "
                 "LLMuxMasterKey, or say 'LLMuxMasterKey off' when the "
                 "server's own Require guards it.", where);
    return HTTP_INTERNAL_SERVER_ERROR;
}

int llmux_check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                       server_rec *main_server)
{
    int rc = OK;
    server_rec *s;

    for (s = main_server; s; s = s->next) {
        server_conf_t *conf = server_conf(s);

        conf->service = service_resolve(pconf, s, conf);
        if (!conf->service
            || check_guard(ptemp, s, conf) != OK) {
            rc = HTTP_INTERNAL_SERVER_ERROR;
        }
    }
    return rc;
}

/* ---- post_config ----------------------------------------------------- */

/* The segment outlives configurations, so the pointer to it must too: the
 * statics of this module do not. Another version of the module, loaded by a
 * graceful restart, has another key and so a segment of its own; the old one
 * stays for the children that count in it. */
static llmux_state_t **kept_state(void)
{
    llmux_state_t **kept;
    char key[40];

    apr_snprintf(key, sizeof(key), "llmux_state_%" APR_UINT64_T_HEX_FMT,
                 llmux_state_layout());
    kept = ap_retained_data_get(key);
    return kept ? kept : ap_retained_data_create(key, sizeof(*kept));
}

static llmux_state_t *map_state(server_rec *s, apr_int64_t size)
{
    llmux_state_t **kept = kept_state();

    size = size ? size : STATE_DEFAULT;
    if (!*kept) {
        *kept = llmux_state_map((apr_size_t)size);
    }
    if (!*kept) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, errno, s,
                     "LX0103: cannot map %" APR_INT64_T_FMT " bytes of shared "
                     "memory (LLMuxSharedMemory)", size);
    }
    return *kept;
}

/* Where the operator gave no key: one for the life of the server, so that a
 * graceful restart does not end conversations. Kept as bytes, for whatever
 * lives in a configuration's pool is gone with this copy of the module. After
 * a full restart old tokens are what unknown ones always are: left out, and
 * the client is told. */
typedef struct own_key_t {
    int made;
    unsigned char bytes[32];
} own_key_t;

static const own_key_t *own_key(void)
{
    static const char name[] = "llmux_seal_key";
    own_key_t *key = ap_retained_data_get(name);

    if (!key) {
        key = ap_retained_data_create(name, sizeof(*key));
    }
    if (!key->made) {
        key->made = apr_generate_random_bytes(key->bytes, sizeof(key->bytes))
            == APR_SUCCESS;
    }
    return key->made ? key : NULL;
}

static const llmux_sealer_t *make_sealer(apr_pool_t *p)
{
    llmux_sealer_t *sealer = llmux_sealer_create(p);
    const own_key_t *key = own_key();
    const char *why = NULL;
    char hex[65];

    if (!key) {
        return NULL;
    }
    ap_bin2hex(key->bytes, sizeof(key->bytes), hex);
    return llmux_sealer_add(sealer, "own", llmux_secret_read(p, hex, &why))
        ? NULL : sealer;
}

static const llmux_sealer_t *find_sealer(apr_pool_t *pconf, server_rec *s)
{
    const llmux_sealer_t *sealer = server_conf(s)->sealer;

    if (!sealer) {
        sealer = make_sealer(pconf);
    }
    if (!sealer) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_ERR, 0, s,
                     "LX0109: there is no randomness for a key to seal "
                     "tokens with");
    }
    return sealer;
}

static void give_rows(apr_pool_t *ptemp, server_rec *s,
                      const llmux_service_t *service)
{
    int i, k, full = 0;

    for (i = 0; i < service->groups->nelts; i++) {
        const llmux_group_t *g = APR_ARRAY_IDX(service->groups, i,
                                               llmux_group_t *);

        for (k = 0; k < g->deployments->nelts; k++) {
            llmux_deployment_t *d = APR_ARRAY_IDX(g->deployments, k,
                                                  llmux_deployment_t *);
            const char *key = llmux_state_key(ptemp, g->name, d->id);

            d->series = llmux_state_row(service->state, key);
            full += d->series < 0;
        }
    }
    if (full) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     "LX0104: %d deployments are not counted: the shared "
                     "memory is full. Raise LLMuxSharedMemory and restart "
                     "the server.", full);
    }
}

/* Not to be wondered about when all threads are busy with waiting. */
static void say_how_to_wait(server_rec *s)
{
    if (!park_is_possible()) {
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, s,
                     "LX0107: requests that wait keep their worker threads, "
                     "whatever LLMuxPark says: to give them back takes the "
                     "event MPM of httpd 2.4.63 or later");
    }
}

/* Client, provider, nest and its clock: four for a request that waits. */
#define FILES_ENOUGH 4096

static void check_files(server_rec *s)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0
        && files.rlim_cur < FILES_ENOUGH) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "LX0108: each process may have %lu files open: enough "
                     "for about %lu requests at a time. Set "
                     "LimitNOFILE=65536 in httpd's systemd unit, or call "
                     "'ulimit -n 65536' before it is started",
                     (unsigned long)files.rlim_cur,
                     (unsigned long)files.rlim_cur / 4);
    }
}

/* A server can do without: then counts are estimates, and say so. */
static const llmux_bpe_t *load_bpe(apr_pool_t *pconf, server_rec *s)
{
    const char *dir = server_conf(s)->data_dir, *why = NULL;
    const llmux_bpe_t *bpe = llmux_bpe_load(pconf, dir, &why);

    if (!bpe) {
        ap_log_error(APLOG_MARK, dir ? APLOG_WARNING : APLOG_INFO, 0, s,
                     "LX0110: tokens are estimated only: %s. Say where the "
                     "tables are with LLMuxDataDir", why);
    }
    return bpe;
}

int llmux_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                      server_rec *main_server)
{
    const llmux_sealer_t *sealer;
    const llmux_bpe_t *bpe;
    llmux_state_t *state;
    server_rec *s;

    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK;
    }
    state = map_state(main_server, server_conf(main_server)->shared_memory);
    sealer = find_sealer(pconf, main_server);
    if (!state || !sealer) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    sink_init();
    bpe = load_bpe(pconf, main_server);
    for (s = main_server; s; s = s->next) {
        llmux_service_t *service = server_conf(s)->service;

        service->state = state;
        service->bpe = bpe;
        service->sealer = sealer;
        service->media_reach.networks =
            server_conf(main_server)->media_networks;
        service->created = apr_time_sec(apr_time_now());
        give_rows(ptemp, s, service);
    }
    say_how_to_wait(main_server);
    check_files(main_server);
    return OK;
}

/* ---- children -------------------------------------------------------- */

#define BLOCK_MAPPED (1 << 20)
#define ARENA_KEEPS (8 << 20)

/* Left alone, glibc takes the largest block that was ever freed for the usual
 * one and keeps as much in each thread's arena: some answers of 10 MB, and
 * hundreds of MB stay. Yet a loop's arena has the bodies of all who ride: what
 * it gives back between two rounds it must fetch again, page by page. */
static void bound_malloc(void)
{
#ifdef M_MMAP_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, BLOCK_MAPPED);
    mallopt(M_TRIM_THRESHOLD, ARENA_KEEPS);
#endif
}

/* httpd closes a connection that it watches for longer than Timeout; which
 * server's, is its own affair. So a parked request shows life twice in the
 * shortest one. */
static apr_interval_time_t shortest_patience(const server_rec *s)
{
    apr_interval_time_t shortest = s->timeout;

    for (; s; s = s->next) {
        if (s->timeout < shortest) {
            shortest = s->timeout;
        }
    }
    return shortest / 2;
}

/* As many threads as can run at the same time, for all children together. */
static int loops_fitting(void)
{
    int children = 0;
    cpu_set_t cpus;

    if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0
        || ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &children) != APR_SUCCESS
        || children < 1) {
        return 1;
    }
    return (CPU_COUNT(&cpus) + children - 1) / children;
}

static void begin_loops(apr_pool_t *pchild, server_rec *s)
{
    apr_status_t rv = APR_SUCCESS;
    int count = server_conf(s)->loops;

    if (count == LOOPS_AUTO) {
        count = loops_fitting();
    }
    count = count > LOOPS_MAX ? LOOPS_MAX : count;
    if (count && park_is_possible()) {
        rv = loops_init(pchild, count);
    }
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, rv, s,
                     "LX0111: there are fewer loops than LLMuxLoops says");
    }
}

void llmux_child_init(apr_pool_t *pchild, server_rec *s)
{
    apr_status_t rv = llmux_transport_process_init();

    bound_malloc();
    if (rv == APR_SUCCESS) {
        rv = llmux_transport_child_init(pchild);
    }
    conn_init();
    park_init(pchild, shortest_patience(s));
    if (wait_init(pchild) != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, errno, s,
                     "LX0106: requests that wait will hold up a stop");
    }
    begin_loops(pchild, s);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_ERR, rv, s,
                     "LX0105: no connections to providers can be kept");
    }
    llmux_state_child(server_conf(s)->service->state);
}

/* Runs in the parent. A number may come back as that of another process, so
 * a child's slot is closed when the child ends, not found out later. */
void llmux_child_status(server_rec *s, pid_t pid, ap_generation_t generation,
                        int slot, mpm_child_status status)
{
    llmux_state_t *state = *kept_state();

    if (status == MPM_CHILD_EXITED && state) {
        llmux_state_child_gone(state, pid);
    }
}
