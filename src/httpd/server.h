/* server.h - what the files of this folder share: configuration as it is
 * read, a request of ours, and the hooks that mod_llmux.c lists.
 *
 * mod_llmux.c must not include this header: AP_DECLARE_MODULE already says
 * what APLOG_USE_MODULE says here. It includes hooks.h. */

#ifndef LLMUX_SERVER_H
#define LLMUX_SERVER_H

#include <httpd.h>
#include <http_config.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>

#include "llmux/gateway.h"
#include "hooks.h"

extern module AP_MODULE_DECLARE_DATA llmux_module;
APLOG_USE_MODULE(llmux);

/* ---- configuration as it is read -------------------------------------- */

/* A location's settings, unset where it says nothing. */
typedef struct dir_conf_t {
    llmux_settings_t settings;
    const char *mount;          /* path of the <Location> that says SetHandler
                                 * llmux, without a slash at its end; NULL
                                 * for none or "/" */
} dir_conf_t;

/* <LLMuxProvider>, with where it stands for messages. */
typedef struct provider_section_t {
    llmux_provider_t provider;
    const char *kind_name;      /* LLMuxType, or NULL */
    unsigned int can, cannot;   /* LLMuxAbility */
    int told;                   /* what it lacks: once for all hosts */
    const ap_directive_t *at;
} provider_section_t;

/* One LLMuxDeployment line. */
typedef struct deployment_line_t {
    const char *provider, *model;
    int weight;
    apr_array_header_t *tags;
    const ap_directive_t *at;
} deployment_line_t;

/* <LLMuxModel> */
typedef struct model_section_t {
    const char *name;
    apr_array_header_t *deployments;    /* deployment_line_t */
    apr_array_header_t *fallbacks;      /* const char * */
    const ap_directive_t *at;
} model_section_t;

#define LOOPS_MAX 64
#define LOOPS_AUTO (-1)

/* A server's own sections and, after merging, those it inherits. */
typedef struct server_conf_t {
    apr_array_header_t *providers;      /* provider_section_t * */
    apr_array_header_t *models;         /* model_section_t * */
    const llmux_secret_t *master_key;
    int no_key_meant;                   /* LLMuxMasterKey off */
    apr_int64_t shared_memory;          /* 0 = unset */
    int loops;                          /* LLMuxLoops; LOOPS_AUTO = unset */
    apr_array_header_t *media_networks; /* apr_ipsubnet_t *, or NULL */
    const char *data_dir;               /* LLMuxDataDir, or NULL */
    llmux_sealer_t *sealer;             /* of LLMuxSealKey, or NULL */
    provider_section_t *provider;       /* section being read, or NULL */
    model_section_t *model;             /* likewise */
    llmux_service_t *service;           /* made by check_config */
} server_conf_t;

server_conf_t *server_conf(const server_rec *s);

/* values.c: one reader for each kind of value in settings.def */
typedef struct setting_t {
    const char *name;
    enum { KIND_WORD, KIND_SIZE, KIND_TIME, KIND_COUNT, KIND_LIST } kind;
    apr_size_t offset;
    const char *dflt;
    apr_int64_t low, high;
    const char *words;
} setting_t;

#define SETTING_UNSET APR_INT64_MIN

/** The row of a REQUEST or an ACCOUNT directive. */
const setting_t *request_setting(const char *name);
const setting_t *account_setting(const char *name);

/** Reads the words into the struct. @return a sentence on a mistake */
const char *setting_read(apr_pool_t *p, const setting_t *row, void *base,
                         int argc, char *const argv[]);

/** Every member unset. */
void settings_unset(llmux_settings_t *s);
void settings_merge(llmux_settings_t *to, const llmux_settings_t *base,
                    const llmux_settings_t *add);

/** Reads the defaults of the table, once for each configuration. */
void settings_init(apr_pool_t *pconf);

/** What is said, and the default where nothing is. */
void settings_resolve(llmux_settings_t *to, const llmux_settings_t *said);
void account_default(llmux_provider_t *pr, apr_pool_t *p);

/* resolve.c: sections become a service; mistakes are logged with their file
 * and line. @return NULL after a mistake */
llmux_service_t *service_resolve(apr_pool_t *p, server_rec *s,
                                 const server_conf_t *conf);

/* ---- a request of ours ------------------------------------------------ */

typedef struct llmux_request_ctx_t {
    request_rec *r;
    int ours;                   /* marked in translate_name */
    int answering;              /* the body is ours, also that of an error */
    int body_read;              /* to its end */
    const char *query_key;      /* cut from the URL */
    const llmux_settings_t *settings;
    llmux_exchange_t *exchange;
    llmux_wait_t wait;          /* what the exchange waits for */
    int tired;                  /* it has waited for as long as is worth a
                                 * worker */
    int waits;                  /* so often, and never long, for more of the
                                 * answer */
    int aboard;                 /* it came to its loop while it waited */
    llmux_env_t env;
} request_ctx_t;

/** The request's context, made when there is none. */
request_ctx_t *request_ctx(request_rec *r);

/** The same, or NULL when there is none. */
request_ctx_t *request_ctx_if_any(request_rec *r);

/** Does its path fall into a location of ours? For the time before httpd has
 * looked for itself. */
int will_be_ours(request_rec *r);

/* handler.c: a request that has come to our handler */

/** Goes on with it. @return 0: it waits: in the loop that drives it or is to
 * drive it (conn_ctx_t.boards), or else it is ready to be parked */
int request_drive(request_ctx_t *ctx);

/* What a worker is used for. */
typedef enum {
    USE_WAIT,           /* it waits itself */
    USE_BOARD,          /* it is about to lend its connection to a loop */
    USE_RIDE            /* it has done so */
} use_e;

/** How long its wait is worth a worker: 0 = for ever, < 0 = not at all */
apr_interval_time_t request_patience(const request_ctx_t *ctx, use_e use);

/** It is about to be answered without its body having been read to its end:
 * httpd reads the rest, and waits for it. */
int request_is_early(request_rec *r);

/** The client is gone, or the child must go. */
void request_abandon(request_ctx_t *ctx, llmux_end_e why);

/** After its handler has returned SUSPENDED: what httpd does behind one that
 * returned OK. The request may be freed by it. */
void request_finish(request_ctx_t *ctx);

/* source.c, sink.c */

/** `bb` may be one for both: it is empty whenever they return. */
llmux_source_t *source_create(request_rec *r, apr_bucket_brigade *bb);
llmux_sink_t *sink_create(request_rec *r, apr_bucket_brigade *bb);

/** Does a filter of another module stand in the way? Then each write waits for
 * the client. */
int sink_must_flush(const request_rec *r);

/** When all modules are loaded: learns which filters keep nothing back. */
void sink_init(void);

/** Lets httpd's last filter send what it can of what it holds.
 * @return APR_EAGAIN: the client takes no more yet */
apr_status_t conn_push(conn_rec *c);

/* wait.c */

/** In each child, before its first request. */
apr_status_t wait_init(apr_pool_t *pchild);

/** Readable once this child must go and takes its requests along; -1 = there
 * is none. */
int wait_stop_fd(void);

typedef enum {
    WAIT_OVER,          /* something is ready, or the deadline is past */
    WAIT_GONE,          /* the client is gone */
    WAIT_STOPPED,       /* the child must go */
    WAIT_LONG           /* nothing for as long as `patience` */
} waited_e;

/** Waits in this worker. patience: 0 = for ever */
waited_e wait_in_worker(request_rec *r, llmux_wait_t *wait,
                        apr_interval_time_t patience);

/** The client's descriptor, or -1 where it has none of its own (HTTP/2). */
int client_fd(const request_rec *r);

#endif
