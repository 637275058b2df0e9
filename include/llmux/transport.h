/**
 * transport.h - one HTTP exchange with a provider as a resumable machine.
 *
 * open(), then step() until it says DONE or FAILED. No step blocks: each
 * takes what is there, hands it to the callbacks, and tells in a
 * llmux_wait_t which descriptors and which deadline it waits for. Who waits,
 * and how, is the caller's business.
 *
 * A wire belongs to one thread at a time. Connections are pooled per child
 * across threads, nearly last in first out: see llmux_transport_lane().
 */

#ifndef LLMUX_TRANSPORT_H
#define LLMUX_TRANSPORT_H

#include "llmux/core.h"

/* ---- waiting --------------------------------------------------------- */

#define LLMUX_WAIT_FDS 6

enum { LLMUX_WAIT_READ = 1, LLMUX_WAIT_WRITE = 2 };

/* What somebody waits for: any of the descriptors, or the deadline. */
typedef struct llmux_wait_t {
    int count;
    struct {
        apr_uint64_t id;            /* of the connection behind it, for who
                                     * watches it for longer; 0 = unknown */
        int fd;
        short events, ready;
    } fds[LLMUX_WAIT_FDS];
    apr_time_t deadline;            /* 0 = none */
} llmux_wait_t;

/** Adds a descriptor (a full set is a deadline of now: poll again). */
void llmux_wait_fd(llmux_wait_t *w, int fd, int events);

/** The same, of a connection that is kept. */
void llmux_wait_conn(llmux_wait_t *w, int fd, apr_uint64_t id, int events);

/** An id for a connection: no other of this process ever gets it, while the
 * numbers of descriptors are given again. */
apr_uint64_t llmux_wait_id(void);

/** Takes the earlier one. */
void llmux_wait_until(llmux_wait_t *w, apr_time_t deadline);

/* ---- what goes out --------------------------------------------------- */

/* Which addresses may be connected to when strangers say the URL: those of
 * the public Internet, and networks that the operator has named. Built at
 * configuration, read-only after. */
typedef struct llmux_reach_t {
    apr_array_header_t *networks;   /* apr_ipsubnet_t *; NULL = none */
} llmux_reach_t;

struct sockaddr;

/** IPv4 addresses inside IPv6 ones count as what they are. */
int llmux_reach_allows(const llmux_reach_t *reach,
                       const struct sockaddr *address);

/** Does this connection leave the machine, if the operator has not named its
 * other end? A public address of our own is public; but what listens there
 * may trust whoever comes from it ("Require local"). */
int llmux_reach_leaves(const llmux_reach_t *reach, int fd);

/* How a provider is reached. Built at configuration, read-only after. */
typedef struct llmux_upstream_t {
    const char *ca_file;            /* NULL = the system's */
    const char *cert_file;          /* ours, PEM with its chain; or NULL */
    const char *key_file;           /* its key; NULL = in cert_file */
    apr_int64_t use_curl;           /* LLMuxTransport curl */
    const char *proxy;              /* URL; NULL = environment; "" = none */
    const char *no_proxy;           /* list; NULL = environment */
    const llmux_reach_t *reach;     /* NULL = any address. Else nothing of the
                                     * host is remembered beside what others
                                     * need, and `idle` is to be 0 */
    apr_interval_time_t connect;    /* until connected, TLS included */
    apr_interval_time_t first_byte; /* from sent to the response's head */
    apr_interval_time_t between;    /* silence inside the response */
    apr_interval_time_t total;      /* all of it */
    apr_interval_time_t idle;       /* a pooled connection's rest */
    apr_interval_time_t max_age;    /* a pooled connection's life */
} llmux_upstream_t;

typedef struct llmux_header_t {
    const char *name;
    const char *value;
} llmux_header_t;

/** Appends one to an array of llmux_header_t, which keeps both pointers. */
void llmux_header_add(apr_array_header_t *headers, const char *name,
                      const char *value);

/* One request. All of it lives at least as long as the wire. */
typedef struct llmux_request_t {
    const llmux_upstream_t *upstream;
    const char *url;                /* http, https or demo */
    apr_array_header_t *headers;    /* llmux_header_t; no CR or LF inside */
    llmux_slice_t body;             /* absent = none */
    const char *method;             /* a short word, such as PUT; NULL: POST
                                     * with a body, else GET */
} llmux_request_t;

/* ---- what comes back ------------------------------------------------- */

/* The response's head. Valid until the wire is closed. */
typedef struct llmux_response_t {
    int status;
    const char *content_type;       /* "" when there is none */
    apr_array_header_t *headers;    /* llmux_header_t, as received */
} llmux_response_t;

/** First value of a header, case aside, or NULL. */
const char *llmux_response_header(const llmux_response_t *r,
                                  const char *name);

/* Called from step() only, never from open() or close(). The body's bytes
 * are decoded (chunking, gzip) and die when the callback returns. */
typedef struct llmux_receiver_t {
    void (*head)(void *baton, const llmux_response_t *r);
    void (*body)(void *baton, const char *data, apr_size_t len);
    void *baton;
} llmux_receiver_t;

typedef enum {
    LLMUX_STEP_AGAIN,       /* the wait is filled in */
    LLMUX_STEP_DONE,        /* the response is complete and well-formed */
    LLMUX_STEP_FAILED       /* see llmux_wire_t.failure */
} llmux_step_e;

typedef enum {
    LLMUX_FAIL_NONE,
    LLMUX_FAIL_RESOLVE,     /* no such host */
    LLMUX_FAIL_CONNECT,     /* refused, unreachable */
    LLMUX_FAIL_TLS,         /* handshake or certificate */
    LLMUX_FAIL_PROXY,
    LLMUX_FAIL_CONNECT_TIMEOUT,
    LLMUX_FAIL_FIRST_BYTE_TIMEOUT,
    LLMUX_FAIL_SILENCE_TIMEOUT,
    LLMUX_FAIL_TOTAL_TIMEOUT,
    LLMUX_FAIL_RESET,       /* connection lost before or inside the response */
    LLMUX_FAIL_PROTOCOL,    /* not HTTP, broken framing, bomb */
    LLMUX_FAIL_ADDRESS,     /* it may not be connected to: llmux_reach_t */
    LLMUX_FAIL_LOCAL        /* our own: memory, descriptors, bad URL */
} llmux_fail_e;

/** "connect timeout", "connection reset" ... for logs and messages. */
const char *llmux_fail_name(llmux_fail_e f);

typedef struct llmux_transport_t llmux_transport_t;

/* Each transport embeds this first. */
typedef struct llmux_wire_t {
    const llmux_transport_t *transport;
    llmux_fail_e failure;
    const char *detail;     /* more about it, for the log; may be "" */
    int reused;             /* went over a pooled connection */
} llmux_wire_t;

struct llmux_transport_t {
    const char *name;
    /* Starts an exchange; `to` is copied. NULL only when memory is out.
     * Failures show in the first step. The wire lives in `p`; a pool cleanup
     * closes it. */
    llmux_wire_t *(*open)(apr_pool_t *p, const llmux_env_t *env,
                          const llmux_request_t *rq,
                          const llmux_receiver_t *to);
    /* At most one read's worth of body is handed out in one step, so that
     * the caller can flush after each. `wait` says on entry which descriptors
     * are ready (it may be a fresh one), and on AGAIN what to wait for. */
    llmux_step_e (*step)(llmux_wire_t *w, llmux_wait_t *wait);
    /* Ends it now, done or not. The connection is kept only after DONE. */
    void (*close)(llmux_wire_t *w);
};

/* Our own HTTP/1.1 for the hot path, and libcurl for what needs its reach:
 * forward proxies. Both answer to the same tests. */
extern const llmux_transport_t llmux_transport_http;    /* http, https */
extern const llmux_transport_t llmux_transport_curl;    /* http, https */
extern const llmux_transport_t llmux_transport_demo;    /* demo: */

/** Which one reaches this URL, or NULL for a scheme unknown. */
const llmux_transport_t *llmux_transport_for(const char *url,
                                             const llmux_upstream_t *up);

/** Reads `cert_file` and `key_file`, as a connection would.
 * @return NULL, or why they cannot be shown to a provider, in `p` */
const char *llmux_tls_check_files(apr_pool_t *p, const llmux_upstream_t *up);

/** Once per process, before threads (curl_global_init). */
apr_status_t llmux_transport_process_init(void);

/** Once per child after fork: makes the pools of connections. Their
 * connections are closed with `pchild`. */
apr_status_t llmux_transport_child_init(apr_pool_t *pchild);

/** Who watches connections beyond one exchange likes to get those again that
 * it watches: this thread's come from its lane first. Any number but 0, which
 * everybody else has. */
void llmux_transport_lane(int lane);

/* ---- to be looked at ------------------------------------------------- */

/** Idle connections that this child keeps. */
int llmux_transport_idle_count(void);

#endif
