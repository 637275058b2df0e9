/* http.c - http and https: one exchange over a connection of our own. */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "dial.h"
#include "http_head.h"
#include "http_parse.h"
#include "http_pool.h"

/* What a read takes at most. On the stack: a stream that waits holds none. */
#define READ_SIZE 16384

/* In this order; a failed reuse goes back to the first. */
typedef enum {
    PHASE_RESOLVE,
    PHASE_DIAL,
    PHASE_SHAKE,        /* TLS */
    PHASE_SEND,         /* connected; the request is going out */
    PHASE_RECEIVE
} phase_e;

/* What is needed until the connection stands, and not while an answer may
 * take minutes. */
typedef struct opening_t {
    llmux_lookup_t *lookup;
    llmux_addresses_t found;
    llmux_dial_t dial;
    int dialling;
} opening_t;

typedef struct wire_t {
    llmux_wire_t base;
    apr_pool_t *p;
    const llmux_env_t *env;
    const llmux_upstream_t *up;
    llmux_slice_t head, body;   /* of the request */
    llmux_origin_t *origin;
    opening_t *opening;
    llmux_conn_t *conn;
    llmux_step_e state;
    phase_e phase;
    apr_size_t sent;            /* bytes of head and body */
    int blocked;                /* ... and no room for more of them */
    int retried;
    int moved;                  /* in this step, so the mark does too */
    apr_time_t opened;
    apr_time_t mark;            /* what its phase's clock counts from */
    llmux_http_parser_t parser;
} wire_t;

/* ---- ends ------------------------------------------------------------- */

static void opening_end(wire_t *w)
{
    if (!w->opening) {
        return;
    }
    llmux_lookup_release(w->opening->lookup);
    if (w->opening->dialling) {
        llmux_dial_stop(&w->opening->dial);
    }
    free(w->opening);
    w->opening = NULL;
}

static void let_go(wire_t *w)
{
    opening_end(w);
    llmux_conn_free(w->conn);
    w->conn = NULL;
}

static apr_status_t wire_fail(wire_t *w, llmux_fail_e why,
                              const char *detail)
{
    w->state = LLMUX_STEP_FAILED;
    w->base.failure = why;
    w->base.detail = detail;
    let_go(w);
    return APR_EGENERAL;
}

static const char *words(wire_t *w, apr_status_t rv)
{
    char text[128];

    return apr_pstrdup(w->p, apr_strerror(rv, text, sizeof(text)));
}

/* TLS may know more than the system: a provider refuses our certificate only
 * behind the handshake. */
static const char *why_broken(wire_t *w, apr_status_t rv)
{
    const char *why = w->conn->ssl ? llmux_tls_why(w->conn->ssl) : "";

    return *why ? apr_pstrdup(w->p, why) : words(w, rv);
}

static int may_keep(const wire_t *w)
{
    return w->state == LLMUX_STEP_DONE && w->parser.keep
        && w->sent == w->head.len + w->body.len && !llmux_conn_pending(w->conn);
}

static apr_status_t wire_end(void *data)
{
    wire_t *w = data;

    if (w->conn && may_keep(w)) {
        llmux_conn_give(w->conn, w->up, llmux_now(w->env));
        w->conn = NULL;
    }
    let_go(w);
    if (w->state == LLMUX_STEP_AGAIN) {
        wire_fail(w, LLMUX_FAIL_LOCAL, "closed");
    }
    return APR_SUCCESS;
}

/* ---- the connection --------------------------------------------------- */

static void connected(wire_t *w, int reused)
{
    w->base.reused = reused;
    w->phase = PHASE_SEND;
    w->sent = 0;
    w->blocked = 0;
    w->moved = 1;
}

static apr_status_t begin(wire_t *w)
{
    w->opening = calloc(1, sizeof(*w->opening));
    w->phase = PHASE_RESOLVE;
    return w->opening ? APR_SUCCESS
                      : wire_fail(w, LLMUX_FAIL_LOCAL, "out of memory");
}

/* What may not be connected to is not there. */
static void keep_reachable(const wire_t *w, llmux_addresses_t *found)
{
    int i, n = 0;

    for (i = 0; i < found->count; i++) {
        if (llmux_reach_allows(w->up->reach,
                               (const struct sockaddr *)&found->at[i].sa)) {
            found->at[n++] = found->at[i];
        }
    }
    found->count = n;
}

static apr_status_t resolve(wire_t *w, llmux_wait_t *wait)
{
    const llmux_http_t *shared = llmux_http_shared();
    opening_t *o = w->opening;
    const char *why = NULL;
    apr_status_t rv = APR_EAGAIN;

    if (!o->lookup) {
        rv = llmux_resolve(w->up->reach ? shared->strangers
                                        : shared->resolver, w->env,
                           w->origin->host, w->origin->port, &o->found,
                           &o->lookup, &why);
    }
    if (rv == APR_EAGAIN) {
        rv = llmux_lookup_step(o->lookup, w->env, &o->found, wait, &why);
    }
    if (rv == APR_SUCCESS && w->up->reach) {
        keep_reachable(w, &o->found);
        if (!o->found.count) {
            return wire_fail(w, LLMUX_FAIL_ADDRESS, "not a public address");
        }
    }
    if (rv == APR_SUCCESS) {
        llmux_dial_start(&o->dial, w->env, &o->found);
        o->dialling = 1;
        w->phase = PHASE_DIAL;
    }
    return rv == APR_SUCCESS || rv == APR_EAGAIN
        ? rv : wire_fail(w, LLMUX_FAIL_RESOLVE, why ? why : words(w, rv));
}

static apr_status_t secure(wire_t *w)
{
    const char *why = NULL;

    w->conn->ssl = llmux_tls_open(llmux_http_shared()->tls, w->p, w->up,
                                  w->origin->host, w->origin->port,
                                  w->conn->fd, &why);
    w->phase = PHASE_SHAKE;
    return w->conn->ssl ? APR_SUCCESS : wire_fail(w, LLMUX_FAIL_TLS, why);
}

/* Out of descriptors is nobody's fault but our own. */
static llmux_fail_e dial_failure(apr_status_t rv)
{
    return rv == EMFILE || rv == ENFILE || rv == ENOMEM || rv == ENOBUFS
        ? LLMUX_FAIL_LOCAL : LLMUX_FAIL_CONNECT;
}

static apr_status_t dial(wire_t *w, llmux_wait_t *wait)
{
    int fd;
    apr_status_t rv = llmux_dial_step(&w->opening->dial, w->env, wait, &fd);

    if (rv == APR_EAGAIN) {
        return rv;
    }
    if (rv != APR_SUCCESS) {
        return wire_fail(w, dial_failure(rv), words(w, rv));
    }
    opening_end(w);
    w->conn = llmux_conn_create(w->origin, fd, llmux_now(w->env));
    if (!w->conn) {
        return wire_fail(w, LLMUX_FAIL_LOCAL, "out of memory");
    }
    if (w->up->reach && !llmux_reach_leaves(w->up->reach, fd)) {
        return wire_fail(w, LLMUX_FAIL_ADDRESS, "an address of our own");
    }
    if (w->origin->secure) {
        return secure(w);
    }
    connected(w, 0);
    return APR_SUCCESS;
}

static apr_status_t shake(wire_t *w, llmux_wait_t *wait)
{
    const char *why = NULL;
    int events = 0;
    apr_status_t rv = llmux_tls_handshake(w->conn->ssl, w->p, &events, &why);

    if (rv == APR_EAGAIN) {
        llmux_wait_fd(wait, w->conn->fd, events);
        return rv;
    }
    if (rv != APR_SUCCESS) {
        return wire_fail(w, LLMUX_FAIL_TLS, why);
    }
    connected(w, 0);
    return APR_SUCCESS;
}

/* The provider may close a connection that rests at the moment in which we
 * take it. Then nothing of the request was answered, and a new connection is
 * tried, once (RFC 9112 9.3.1). That shows at once: when it breaks later, he
 * has read the request and may have done what it asks for. */
static int may_resend(const wire_t *w)
{
    return w->base.reused && !w->retried && !w->parser.begun
        && llmux_now(w->env) < w->mark + apr_time_from_sec(LLMUX_RESEND_MAX);
}

static apr_status_t broken(wire_t *w, const char *detail)
{
    if (may_resend(w)) {
        w->retried = 1;
        let_go(w);
        w->base.reused = 0;
        w->mark = llmux_now(w->env);
        return begin(w);
    }
    return wire_fail(w, LLMUX_FAIL_RESET, detail);
}

/* ---- the exchange ----------------------------------------------------- */

/* Lines of a head do not put off its end. */
static apr_status_t parsed(wire_t *w, llmux_parse_e result)
{
    w->moved |= w->parser.headed;
    switch (result) {
    case LLMUX_PARSE_DONE:
        w->state = LLMUX_STEP_DONE;
        return APR_SUCCESS;
    case LLMUX_PARSE_BROKEN:
        return wire_fail(w, LLMUX_FAIL_PROTOCOL, w->parser.problem);
    default:
        return APR_EAGAIN;
    }
}

/* The end of the connection: of the message too, or in the middle of it. */
static apr_status_t closed(wire_t *w, apr_status_t rv)
{
    if (!w->parser.begun) {
        return broken(w, rv == APR_EOF ? "closed without an answer"
                                       : why_broken(w, rv));
    }
    if (rv == APR_EOF
        && llmux_http_parse_eof(&w->parser) == LLMUX_PARSE_DONE) {
        return parsed(w, LLMUX_PARSE_DONE);
    }
    return wire_fail(w, LLMUX_FAIL_RESET,
                     rv == APR_EOF ? w->parser.problem : why_broken(w, rv));
}

/* One read, so that the caller can flush what came of it. */
static apr_status_t receive(wire_t *w, llmux_wait_t *wait)
{
    char data[READ_SIZE];
    apr_size_t n = 0;
    int events = LLMUX_WAIT_READ;
    int more = 0;
    apr_status_t rv = llmux_conn_read(w->conn, data, sizeof(data), &n,
                                      &events);

    if (rv == APR_SUCCESS) {
        more = llmux_conn_pending(w->conn);
        rv = parsed(w, llmux_http_parse(&w->parser, data, n));
    }
    else if (rv != APR_EAGAIN) {
        return closed(w, rv);
    }
    if (rv == APR_EAGAIN) {
        llmux_wait_conn(wait, w->conn->fd, w->conn->id, events);
        wait->deadline = more;      /* long ago: come back at once */
    }
    return rv;
}

/* A provider that does not like a request may answer before it has all of
 * it, and close. What it said is still there to be read, but not over TLS once
 * a write has failed: so who had to wait listens first. */
static apr_status_t listen_first(wire_t *w, llmux_wait_t *wait)
{
    return w->blocked ? receive(w, wait) : APR_EAGAIN;
}

/* An answer takes its time: there is nothing to be read yet. */
static apr_status_t send_request(wire_t *w, llmux_wait_t *wait)
{
    apr_size_t before = w->sent;
    int events = LLMUX_WAIT_WRITE;
    apr_status_t rv = listen_first(w, wait);

    if (rv != APR_EAGAIN) {
        return rv;
    }
    rv = llmux_conn_write(w->conn, w->head, w->body, &w->sent, &events);
    w->moved |= w->sent > before;
    if (rv != APR_SUCCESS && rv != APR_EAGAIN) {
        w->phase = PHASE_RECEIVE;
        return APR_SUCCESS;
    }
    w->blocked = rv == APR_EAGAIN;
    w->phase = w->blocked ? PHASE_SEND : PHASE_RECEIVE;
    wait->count = 0;
    wait->deadline |= !w->blocked && llmux_conn_pending(w->conn);
    llmux_wait_conn(wait, w->conn->fd, w->conn->id,
                    LLMUX_WAIT_READ | (w->blocked ? events : 0));
    return APR_EAGAIN;
}

static apr_status_t (*const phases[])(wire_t *w, llmux_wait_t *wait) = {
    [PHASE_RESOLVE] = resolve,
    [PHASE_DIAL]    = dial,
    [PHASE_SHAKE]   = shake,
    [PHASE_SEND]    = send_request,
    [PHASE_RECEIVE] = receive
};

/* ---- clocks ----------------------------------------------------------- */

/* What each phase has time for. The bounds are found in llmux_upstream_t. */
typedef struct clock_row_t {
    size_t bound;
    llmux_fail_e fail;
    const char *detail;
} clock_row_t;

static const clock_row_t clocks[] = {
    { offsetof(llmux_upstream_t, connect), LLMUX_FAIL_CONNECT_TIMEOUT,
      "not connected in time" },
    { offsetof(llmux_upstream_t, first_byte), LLMUX_FAIL_FIRST_BYTE_TIMEOUT,
      "the request is not being read" },
    { offsetof(llmux_upstream_t, first_byte), LLMUX_FAIL_FIRST_BYTE_TIMEOUT,
      "no answer in time" },
    { offsetof(llmux_upstream_t, between), LLMUX_FAIL_SILENCE_TIMEOUT,
      "silent in the middle of the answer" }
};

static const clock_row_t *clock_of(const wire_t *w)
{
    if (w->phase < PHASE_SEND) {
        return &clocks[0];
    }
    if (w->parser.headed) {
        return &clocks[3];
    }
    return &clocks[w->phase == PHASE_SEND ? 1 : 2];
}

/* 0 when there is no bound. */
static apr_time_t phase_deadline(const wire_t *w)
{
    apr_interval_time_t bound = *(const apr_interval_time_t *)
        ((const char *)w->up + clock_of(w)->bound);

    return bound > 0 ? w->mark + bound : 0;
}

static apr_time_t total_deadline(const wire_t *w)
{
    return w->up->total > 0 ? w->opened + w->up->total : 0;
}

/* After the callbacks, so that a client who takes his time does not make the
 * provider late. */
static void check_clocks(wire_t *w, llmux_wait_t *wait)
{
    apr_time_t now = llmux_now(w->env), phase, total;

    /* A clock that was set back must not make anything last. */
    if (w->moved || now < w->mark) {
        w->mark = now;
    }
    if (now < w->opened) {
        w->opened = now;
    }
    phase = phase_deadline(w);
    total = total_deadline(w);
    if (phase && now >= phase) {
        wire_fail(w, clock_of(w)->fail, clock_of(w)->detail);
    }
    else if (total && now >= total) {
        wire_fail(w, LLMUX_FAIL_TOTAL_TIMEOUT, "not finished in time");
    }
    llmux_wait_until(wait, phase);
    llmux_wait_until(wait, total);
}

/* ---- the transport ---------------------------------------------------- */

static llmux_step_e http_step(llmux_wire_t *wire, llmux_wait_t *wait)
{
    wire_t *w = (wire_t *)wire;
    apr_status_t rv = APR_SUCCESS;

    wait->count = 0;
    wait->deadline = 0;
    w->moved = 0;
    while (w->state == LLMUX_STEP_AGAIN && rv == APR_SUCCESS) {
        rv = phases[w->phase](w, wait);
    }
    if (w->state == LLMUX_STEP_AGAIN) {
        check_clocks(w, wait);
    }
    return w->state;
}

/* On the way of a pooled connection, or at the beginning of a new one. */
static void start(wire_t *w, const llmux_request_t *rq)
{
    llmux_slice_t path;
    const char *why = NULL;

    w->origin = llmux_http_origin(w->p, rq->url, rq->upstream, &path);
    if (!w->origin) {
        wire_fail(w, LLMUX_FAIL_LOCAL, "the URL cannot be asked");
        return;
    }
    w->head = llmux_http_head(w->p, rq, w->origin->authority, path, &why);
    if (why) {
        wire_fail(w, LLMUX_FAIL_LOCAL, why);
        return;
    }
    w->conn = llmux_conn_take(w->origin, w->opened);
    if (w->conn) {
        connected(w, 1);
    }
    else {
        begin(w);
    }
}

static llmux_wire_t *http_open(apr_pool_t *p, const llmux_env_t *env,
                               const llmux_request_t *rq,
                               const llmux_receiver_t *to)
{
    wire_t *w = apr_pcalloc(p, sizeof(*w));

    if (!w) {
        return NULL;
    }
    w->base.transport = &llmux_transport_http;
    w->base.detail = "";
    w->p = p;
    w->env = env;
    w->up = rq->upstream;
    w->body = rq->body;
    w->state = LLMUX_STEP_AGAIN;
    w->opened = w->mark = llmux_now(env);
    llmux_http_parser_init(&w->parser, p, to);
    apr_pool_cleanup_register(p, w, wire_end, apr_pool_cleanup_null);
    start(w, rq);
    return &w->base;
}

static void http_close(llmux_wire_t *wire)
{
    wire_t *w = (wire_t *)wire;

    apr_pool_cleanup_run(w->p, w, wire_end);
}

const llmux_transport_t llmux_transport_http = {
    .name = "http",
    .open = http_open,
    .step = http_step,
    .close = http_close
};
