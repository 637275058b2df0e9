/**
 * gateway.h - a request's life. The host (httpd, or a test) brings a request,
 * a source for its body and a sink for the answer, and drives the exchange:
 *
 *     x = llmux_exchange_open(p, env, service, settings, &ingress);
 *     while (llmux_exchange_drive(x, &wait) == LLMUX_DRIVE_WAIT) {
 *         ... wait for one of wait's descriptors or its deadline ...
 *     }
 *
 * Everything an exchange needs to go on lives in the exchange, nothing on the
 * stack. One thread drives it at a time; it may be another one each time.
 */

#ifndef LLMUX_GATEWAY_H
#define LLMUX_GATEWAY_H

#include <apr_hash.h>

#include "llmux/meter.h"
#include "llmux/policy.h"
#include "llmux/route.h"
#include "llmux/seal.h"
#include "llmux/tokens.h"

/* ---- configuration --------------------------------------------------- */

#define LLMUX_TYPE_WORD  apr_int64_t
#define LLMUX_TYPE_SIZE  apr_int64_t
#define LLMUX_TYPE_TIME  apr_int64_t
#define LLMUX_TYPE_COUNT apr_int64_t
#define LLMUX_TYPE_LIST  apr_array_header_t *

/* What a location says about its requests. Read-only at run time. */
typedef struct llmux_settings_t {
#define REQUEST(member, name, kind, dflt, low, high, words, help, example) \
    LLMUX_TYPE_##kind member;
#define ACCOUNT(member, name, kind, dflt, low, high, words, help, example)
#define SPECIAL(function, name, take, where, help, example)
#include "llmux/settings.def"
#undef REQUEST
#undef ACCOUNT
#undef SPECIAL
} llmux_settings_t;

enum { LLMUX_UNSUPPORTED_TELL, LLMUX_UNSUPPORTED_REFUSE };
enum { LLMUX_MODEL_UPSTREAM, LLMUX_MODEL_REQUESTED };
enum { LLMUX_PARK_OFF, LLMUX_PARK_AUTO, LLMUX_PARK_ALWAYS };
enum { LLMUX_METRICS_OFF, LLMUX_METRICS_KEY, LLMUX_METRICS_OPEN };

/* What a virtual host offers. Read-only after configuration. */
typedef struct llmux_service_t {
    apr_array_header_t *providers;  /* llmux_provider_t * */
    apr_array_header_t *groups;     /* llmux_group_t *, sorted by name */
    apr_hash_t *by_name;            /* name -> llmux_group_t * */
    llmux_guard_t guard;
    llmux_state_t *state;           /* shared memory */
    const llmux_sealer_t *sealer;   /* of opaque tokens; never NULL */
    const llmux_bpe_t *bpe;         /* NULL = tokens are estimated */
    llmux_reach_t media_reach;      /* from where media may be fetched */
    apr_int64_t created;            /* seconds: when it was configured */
} llmux_service_t;

/** The group of this name, or NULL. */
const llmux_group_t *llmux_service_group(const llmux_service_t *s,
                                         llmux_slice_t name);

/** The account of this name, or NULL. */
const llmux_provider_t *llmux_service_provider(const llmux_service_t *s,
                                               llmux_slice_t name);

/* ---- the client's side ----------------------------------------------- */

/* Where the body comes from. */
typedef struct llmux_source_t llmux_source_t;
struct llmux_source_t {
    /* Appends what is there. APR_SUCCESS: got some; APR_EOF: that was all;
     * APR_EAGAIN: nothing now, `wait` says what to wait for; APR_ENOSPC: it
     * does not fit; anything else: the body is broken or the client gone. */
    apr_status_t (*read)(llmux_source_t *s, llmux_buf_t *into,
                         llmux_wait_t *wait);
};

/* Where the answer goes. Nothing here waits for a slow client: what he does
 * not take is held back, and the caller brings no more until drain() says
 * that there is room again. */
typedef struct llmux_sink_t llmux_sink_t;
struct llmux_sink_t {
    /* The answer's headers; what the exchange puts there lives as long as the
     * request. */
    apr_table_t *headers;
    /* The status; the headers are complete. Nothing is sent yet. Called
     * once. */
    void (*start)(llmux_sink_t *s, int status);
    /* Bytes to be sent at once.
     * @return APR_SUCCESS: they may be used again; APR_EAGAIN: they are taken,
     * but not all are sent, and stay as they are until drain() has done it;
     * else the client is gone */
    apr_status_t (*write)(llmux_sink_t *s, llmux_slice_t bytes);
    /* The last bytes (may be empty), which live as long as the request, and
     * the end of the answer. The same results. */
    apr_status_t (*end)(llmux_sink_t *s, llmux_slice_t bytes);
    /* After APR_EAGAIN: sends what can be sent. `wait` tells on entry what is
     * ready, and on APR_EAGAIN what to wait for. */
    apr_status_t (*drain)(llmux_sink_t *s, llmux_wait_t *wait);
};

/* A request as it came. Lives as long as the exchange. */
typedef struct llmux_ingress_t {
    const char *method;
    const char *path;               /* decoded */
    const char *below;              /* behind the mount point, or NULL */
    const apr_table_t *headers;
    apr_int64_t length;             /* Content-Length; -1 = not said */
    const char *query;              /* without secrets; NULL = none */
    llmux_slice_t query_key;        /* ?key=, taken out of the URL */
    apr_time_t began;
    llmux_source_t *source;
    llmux_sink_t *sink;
} llmux_ingress_t;

/* ---- driving --------------------------------------------------------- */

typedef enum { LLMUX_DRIVE_WAIT, LLMUX_DRIVE_DONE } llmux_drive_e;

typedef struct llmux_exchange_t llmux_exchange_t;

/** Whatever the path: an unknown one is answered too. */
llmux_exchange_t *llmux_exchange_open(apr_pool_t *p, const llmux_env_t *env,
                                      const llmux_service_t *service,
                                      const llmux_settings_t *settings,
                                      const llmux_ingress_t *in);

/** Goes on until it must wait or is done. On entry `wait` tells which
 * descriptors are ready; on WAIT it says what to wait for next. */
llmux_drive_e llmux_exchange_drive(llmux_exchange_t *x, llmux_wait_t *wait);

/** Nobody waits for the answer any more, LLMUX_END_CLIENT_GONE or _STOPPED:
 * lets go of the provider and settles. Done after it. */
void llmux_exchange_abandon(llmux_exchange_t *x, llmux_end_e why);

/** For the log; complete once the exchange is done. */
const llmux_record_t *llmux_exchange_record(const llmux_exchange_t *x);

/** The request id, valid from open on. */
const char *llmux_exchange_id(const llmux_exchange_t *x);

/** An error body in the dialect of this path, for errors that the host
 * itself answers (401 of another module, 413 of the server). */
const char *llmux_error_page(apr_pool_t *p, const char *path, int status,
                             const char *request_id);

/** Why nothing could be served, or NULL: for /health/ready and start-up. */
const char *llmux_service_lacks(apr_pool_t *p, const llmux_service_t *s);

/** The rows that this service's deployments count in. */
const llmux_series_t *llmux_service_series(apr_pool_t *p,
                                           const llmux_service_t *s,
                                           int *count);

#endif
