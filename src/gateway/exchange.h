/* exchange.h - what the files of this folder share: the exchange, its
 * attempt, and the steps they are made of. */

#ifndef LLMUX_EXCHANGE_H
#define LLMUX_EXCHANGE_H

#include "llmux/gateway.h"

/* What a step says. */
typedef enum {
    GO_ON,          /* this step is finished, the next one may begin */
    GO_WAIT,        /* call again when the wait is over */
    GO_FAIL         /* x->error says why; the answer is an error */
} go_e;

typedef struct endpoint_t endpoint_t;
typedef struct attempt_t attempt_t;
typedef struct errand_t errand_t;

struct llmux_exchange_t {
    apr_pool_t *pool;
    const llmux_env_t *env;
    const llmux_service_t *service;
    const llmux_settings_t *settings;
    const llmux_ingress_t *in;
    llmux_record_t record;
    const endpoint_t *endpoint;
    const llmux_dialect_t *dialect; /* the client's */
    const char *tail;               /* path behind the endpoint's prefix,
                                     * without the action */
    int step;                       /* where drive() goes on */
    const llmux_error_t *error;
    llmux_identity_t who;

    /* the request, understood */
    llmux_buf_t *body;
    llmux_json_parser_t *parser;
    llmux_head_t head;
    llmux_slice_t text;             /* the body with `parameters` merged */
    llmux_slice_t provider;         /* the body's own choice, or absent */
    llmux_chat_t *chat;             /* made when a provider needs it */
    const llmux_error_t *unreadable;    /* ... or why it cannot be */
    apr_array_header_t *media;      /* llmux_media_t *: those by URL, or once
                                     * so; NULL = not looked for */
    apr_int64_t media_bytes;        /* of those that were fetched */
    const llmux_error_t *media_error;   /* one cannot be had */

    /* the way to a provider */
    const llmux_group_t *group;
    const llmux_provider_t *only;   /* addressed directly, or NULL */
    llmux_plan_t *plan;
    llmux_pick_t pick;
    attempt_t *coming;              /* the one being prepared, or NULL */
    attempt_t *attempt;             /* the one under way, or NULL */

    /* the answer */
    apr_table_t *headers;           /* the sink's */
    const char *answer_id;          /* where the provider gives none */
    llmux_buf_t *out;               /* not yet handed to the sink */
    llmux_buf_t *sending;           /* the one that the sink has */
    llmux_buf_t *spare;             /* two take turns */
    apr_time_t last_write;          /* what the heartbeat counts from */

    unsigned array : 1;             /* streamed as a JSON array */
    unsigned uncounted : 1;         /* a provider who counts for some of its
                                     * models does not for this one */
    unsigned no_tokens : 1;         /* those of earlier turns were refused:
                                     * they are left out */
    unsigned headers_sent : 1;      /* no other status any more */
    unsigned content_sent : 1;      /* no other deployment any more */
    unsigned settled : 1;
    unsigned clogged : 1;           /* the client takes no more yet */
    unsigned gone : 1;              /* the client left */
};

/* One request of an attempt: most need no more than one. */
typedef struct run_t {
    const llmux_chat_t *chat;       /* what it asks */
    int candidates;                 /* how many answers come of it */
} run_t;

/* One try with one deployment. Its pool dies with it. */
struct attempt_t {
    llmux_exchange_t *x;
    apr_pool_t *pool;
    const llmux_deployment_t *deployment;
    const llmux_dialect_t *dialect; /* in which it is asked; NULL = it cannot
                                     * be asked for such a thing */
    llmux_target_t target;
    llmux_warnings_t *warnings;
    int same;                       /* client and provider speak one dialect */
    int relay;                      /* the provider's bytes pass as they are */
    errand_t *errand;               /* what must be fetched before, or NULL */
    int planned;                    /* it can be made: attempt_plan() */
    llmux_fetch_t *fetch;           /* of a grant */
    int fetching;                   /* it is ours to fetch it */
    const llmux_grant_t *grant;     /* what signs, or NULL */
    apr_array_header_t *runs;       /* run_t; NULL = one, the client's own */
    int run;                        /* the one under way */
    apr_pool_t *run_pool;
    llmux_wire_t *wire;
    const llmux_response_t *head;
    int told;                       /* its headers are the client's now */
    llmux_stream_t *stream;         /* the body of a 2xx */
    llmux_encoder_t *encoder;       /* unless relayed */
    llmux_buf_t *refusal;           /* the body of anything else */
    const llmux_error_t *error;     /* in the exchange's pool */
    llmux_failed_e failed;
    llmux_usage_t usage;            /* of this run */
    llmux_usage_t *spent;           /* by those before it; NULL = nothing */
    int cand_base, key_base, keys;  /* where this run's are to be put */
    int vectors;                    /* of this run */
    apr_time_t run_ended_at;        /* END was decoded; 0 = not yet */
    apr_time_t refused_at;          /* the head of `refusal` came */
    apr_time_t ended_at;            /* ... and it was the last run's */
    int content;                    /* something worth sending was decoded */
    int frame_usage, frame_other;   /* what the current frame was about */
    int done_sent;                  /* [DONE] was passed on */
};

/* ---- endpoint.c ------------------------------------------------------ */

/* A page is answered at once; a chat runs through the steps. */
struct endpoint_t {
    const char *name;
    const char *path;       /* "/v1/models/" is a prefix: ends in a slash */
    const char *action;     /* behind the model that follows the prefix, such
                             * as ":generateContent"; NULL = no model there */
    llmux_tri_e stream;     /* said by the path; UNSET = by the body */
    const char *methods;    /* "GET,HEAD" */
    int open;               /* needs no key */
    const llmux_dialect_t *dialect;     /* in which it is answered */
    const llmux_error_t *(*page)(llmux_exchange_t *x);     /* NULL: chat */
};

/** Finds x->endpoint, or says 404 or 405. */
const llmux_error_t *find_endpoint(llmux_exchange_t *x);

/** In which an error on this path is told. */
const llmux_dialect_t *dialect_of_path(apr_pool_t *p, const char *path);

/* ---- request.c: the steps before a provider is asked ------------------ */

go_e step_identify(llmux_exchange_t *x, llmux_wait_t *wait);
go_e step_page(llmux_exchange_t *x, llmux_wait_t *wait);
go_e step_read(llmux_exchange_t *x, llmux_wait_t *wait);
go_e step_understand(llmux_exchange_t *x, llmux_wait_t *wait);
go_e step_route(llmux_exchange_t *x, llmux_wait_t *wait);

/* ---- ask.c ----------------------------------------------------------- */

/** Forgets what was waited for. */
void wait_anew(llmux_wait_t *wait);

go_e step_ask(llmux_exchange_t *x, llmux_wait_t *wait);

/* ---- errand.c: a request of our own, on the way to an attempt ---------- */

/* Small, whole, not retried. */
struct errand_t {
    apr_pool_t *pool;
    llmux_wire_t *wire;
    llmux_buf_t *body;
    int status;                     /* 0 = no answer came */
    const char *type;               /* Content-Type, "" = none */
    const char *why;                /* no answer came: for the log */
    int too_large;
};

/** Everything in `p`, which may end it at any time. */
errand_t *errand_open(apr_pool_t *p, const llmux_env_t *env,
                      const llmux_transport_t *transport,
                      const llmux_request_t *rq, apr_size_t max);

/** @return GO_WAIT or GO_ON, and then the rest is filled in */
go_e errand_step(errand_t *e, llmux_wait_t *wait);

/* ---- prepare.c: what an attempt needs before it can ask ---------------- */

/** A grant, and what stands behind URLs.
 * @return GO_FAIL: a->error and a->failed say why */
go_e attempt_prepare(attempt_t *a, llmux_wait_t *wait);

/* ---- media.c ------------------------------------------------------------ */

/** Pictures and documents by URL, for a provider who does not fetch them.
 * The same results. */
go_e media_fetch(attempt_t *a, llmux_wait_t *wait);

/** Is there a URL that this deployment could not take as it stands, and that
 * may be fetched? Then the client's bytes cannot pass as they are. */
int media_is_wanted(const attempt_t *a);

/* ---- count.c ------------------------------------------------------------ */

/** Was a count wanted, and nobody could be asked? */
int count_is_ours(const llmux_exchange_t *x);

/** Counts here, and answers. */
go_e count_answer(llmux_exchange_t *x);

/* ---- body.c ------------------------------------------------------------ */

/** The request as a tree of the core's own, made once, when the first
 * provider of another dialect needs it: x->chat. One that cannot be read is
 * not tried again for the next: a tree is large. */
const llmux_error_t *body_read(llmux_exchange_t *x);

/** Which requests the attempt is made of. */
const llmux_error_t *body_plan(attempt_t *a);

/** The request under way, for this deployment. */
const llmux_error_t *body_write(attempt_t *a, llmux_buf_t *out);

/* ---- attempt.c ------------------------------------------------------- */

attempt_t *attempt_make(llmux_exchange_t *x, const llmux_deployment_t *d);

/** Which requests it is made of: before anybody is asked for anything.
 * @return NULL, or why it cannot be made */
const llmux_error_t *attempt_plan(attempt_t *a);

/** Writes the first request and opens the wire.
 * @return NULL, or why it cannot be asked (nothing was sent) */
const llmux_error_t *attempt_open(attempt_t *a);

/** Takes what has come. DONE: attempt->error tells how it went. */
llmux_step_e attempt_step(attempt_t *a, llmux_wait_t *wait);

/** Is there another request to be made for the same answer? */
int attempt_has_more(const attempt_t *a);

/** Lets go of the provider; kept alive only after a complete answer. */
void attempt_close(attempt_t *a);

/* ---- verdict.c: a->error and a->failed ---------------------------------- */

void verdict_failed(attempt_t *a, llmux_error_e kind, const char *what);

/** No answer, or only a part. */
void verdict_wire(attempt_t *a);

/** Another status than 2xx. */
void verdict_refused(attempt_t *a);

/** An error inside a 200: the events brought it. */
void verdict_error(attempt_t *a);

/* ---- answer.c: events and frames to the client's bytes ---------------- */

/** The baton of both is the attempt. */
void answer_event(void *baton, const llmux_event_t *ev);
void answer_frame(void *baton, llmux_slice_t raw, int done, int comment);

/** Which version of its API the client speaks; NULL = it does not say. */
const char *version_of(const llmux_exchange_t *x);

/** What the client's encoder must know. */
llmux_encode_t answer_how(llmux_exchange_t *x);

/** The answer to the request under way is complete, another one follows. */
void answer_next_run(attempt_t *a);

/* ---- reply.c --------------------------------------------------------- */

/** The headers that every answer has; the request id, CORS. */
void reply_headers(llmux_exchange_t *x);

/** Does it come from a web page that may call us (LLMuxCORSOrigins)? */
int reply_origin_allowed(const llmux_exchange_t *x);

/** The headers of a successful chat; the provider's as long as its wire is
 * open. */
void reply_attempt_headers(llmux_exchange_t *x, attempt_t *a);

/** An empty buffer for the answer's bytes. */
llmux_buf_t *reply_buf(llmux_exchange_t *x);

/** Hands on what has been encoded, if it may be; may set x->clogged.
 * @return 0: client gone */
int reply_flush(llmux_exchange_t *x);

/** While x->clogged: brings on what is held back.
 * @return GO_FAIL: client gone */
go_e reply_drain(llmux_exchange_t *x, llmux_wait_t *wait);

/** A comment for a stream that is silent. @return 0: client gone */
int reply_heartbeat(llmux_exchange_t *x);

/** The end of a chat that went well. */
void reply_end(llmux_exchange_t *x);

/** The end of anything that went wrong: x->error as a body or an event. */
void reply_error(llmux_exchange_t *x);

/** The end of a page: `bytes` live as long as the exchange. */
void reply_page(llmux_exchange_t *x, int status, const char *type,
                llmux_slice_t bytes);

/* ---- models.c -------------------------------------------------------- */

const llmux_error_t *page_models(llmux_exchange_t *x);
const llmux_error_t *page_model(llmux_exchange_t *x);

/** A model's name in a path: slashes that SDKs have escaped. */
const char *model_of_path(apr_pool_t *p, const char *s);

/* ---- page.c ---------------------------------------------------------- */

const llmux_error_t *page_health(llmux_exchange_t *x);
const llmux_error_t *page_live(llmux_exchange_t *x);
const llmux_error_t *page_ready(llmux_exchange_t *x);
const llmux_error_t *page_metrics(llmux_exchange_t *x);
const llmux_error_t *page_response(llmux_exchange_t *x);

/* ---- exchange.c ------------------------------------------------------ */

/** A copy that lives as long as the exchange, whoever made it. */
llmux_error_t *keep_error(llmux_exchange_t *x, const llmux_error_t *err);

/** Closes the books, once: the end, the times, the counters. */
void settle(llmux_exchange_t *x, llmux_end_e end);

#endif
