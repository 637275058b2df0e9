/**
 * credential.h - keys that do not last: AWS and Google sign requests with
 * grants that are fetched, kept for an hour or so, and fetched anew.
 *
 * Nothing here does I/O. llmux_credential_next() says what to ask next and
 * takes the answer; whoever has a transport asks. Thread: any; a credential is
 * read-only after configuration.
 */

#ifndef LLMUX_CREDENTIAL_H
#define LLMUX_CREDENTIAL_H

#include "llmux/transport.h"

/* Where grants come from. */
typedef enum {
    LLMUX_CREDENTIAL_AWS_STATIC,    /* keys in the configuration or the
                                     * environment: nothing to fetch */
    LLMUX_CREDENTIAL_AWS_CONTAINER, /* AWS_CONTAINER_CREDENTIALS_*_URI: ECS,
                                     * EKS pod identity */
    LLMUX_CREDENTIAL_AWS_INSTANCE,  /* EC2 metadata, IMDSv2 */
    LLMUX_CREDENTIAL_GOOGLE_ACCOUNT,    /* a service account's key file: a
                                         * signed JWT for an OAuth token */
    LLMUX_CREDENTIAL_GOOGLE_INSTANCE    /* GCE, GKE, Cloud Run metadata */
} llmux_credential_e;

/* Built at configuration from a file, the environment or directives. Secrets
 * are typed; nothing of it may be printed. */
typedef struct llmux_credential_t {
    llmux_credential_e kind;
    const char *url;                /* whom to ask: metadata or token server;
                                     * the kind's own unless configured */
    const llmux_secret_t *id;       /* AWS static: access key id */
    const llmux_secret_t *secret;   /* AWS static: secret access key; Google
                                     * account: private key, PEM */
    const llmux_secret_t *session;  /* AWS static: session token, or NULL;
                                     * container: authorization token */
    const char *session_file;       /* container: that token's file, read anew
                                     * each time; NULL = none */
    const char *email;              /* Google account: client_email */
    const char *key_id;             /* Google account: private_key_id */
    const char *project;            /* Google account: project_id, or NULL */
    llmux_upstream_t upstream;      /* how `url` is reached */
} llmux_credential_t;

/* A grant. Flat, so that it can lie in shared memory. Texts end in NUL. */
#define LLMUX_GRANT_ID_MAX     128
#define LLMUX_GRANT_SECRET_MAX 256
#define LLMUX_GRANT_TOKEN_MAX  8192

typedef struct llmux_grant_t {
    apr_time_t expires;             /* microseconds since 1970; 0 = never */
    char id[LLMUX_GRANT_ID_MAX];            /* AWS: access key id */
    char secret[LLMUX_GRANT_SECRET_MAX];    /* AWS: secret access key */
    char token[LLMUX_GRANT_TOKEN_MAX];      /* AWS: session token, may be "";
                                             * Google: the bearer token */
} llmux_grant_t;

/* Fetching one: the caller sets all to zero, then pool, credential and env,
 * and calls next() until it does not say ASK; between, it makes the request
 * and puts the answer in. */
typedef struct llmux_fetch_t {
    apr_pool_t *pool;               /* lives as long as the fetch */
    const llmux_credential_t *credential;
    const llmux_env_t *env;
    int step;                       /* next()'s own: how many were asked */
    const llmux_request_t *ask;     /* out, on ASK: what to ask */
    int status;                     /* in: the answer's, 0 = none came */
    llmux_slice_t body;             /* in: the answer's, at most
                                     * LLMUX_GRANT_BODY_MAX bytes */
    llmux_grant_t grant;            /* out, on DONE */
    const char *why;                /* out, on FAILED: for the log, without
                                     * anything secret */
} llmux_fetch_t;

typedef enum {
    LLMUX_FETCH_ASK, LLMUX_FETCH_DONE, LLMUX_FETCH_FAILED
} llmux_fetch_e;

#define LLMUX_GRANT_BODY_MAX (64 * 1024)

llmux_fetch_e llmux_credential_next(llmux_fetch_t *f);

/* One function per vendor behind it: aws.c, google.c. */
llmux_fetch_e llmux_aws_next(llmux_fetch_t *f);
llmux_fetch_e llmux_google_next(llmux_fetch_t *f);

/** The credential that the environment gives (AWS_ACCESS_KEY_ID ...,
 * AWS_CONTAINER_CREDENTIALS_RELATIVE_URI ..., else the instance), in `p`.
 * @param why set when NULL is returned */
llmux_credential_t *llmux_aws_from_environment(apr_pool_t *p,
                                               const char **why);

/** Static keys. `session` may be NULL. */
llmux_credential_t *llmux_aws_static(apr_pool_t *p, const llmux_secret_t *id,
                                     const llmux_secret_t *secret,
                                     const llmux_secret_t *session);

/** From the JSON text of a service account's key file; `metadata` from where
 * there is none. @param why set when NULL is returned */
llmux_credential_t *llmux_google_account(apr_pool_t *p, llmux_slice_t json,
                                         const char **why);
llmux_credential_t *llmux_google_instance(apr_pool_t *p);

/**
 * Signs with AWS Signature Version 4: adds Host's value to what is signed,
 * and the headers X-Amz-Date, X-Amz-Security-Token (where the grant has one)
 * and Authorization to `rq->headers`. Headers that httpd's or our transport
 * adds itself are not signed; those in `rq->headers` are, but for User-Agent,
 * X-Request-ID and traceparent, which what lies between may change.
 * Source: AWS, "Create a signed AWS API request".
 *
 * @param p where the headers' texts live
 * @param now the request's time; AWS allows five minutes of difference
 */
void llmux_sigv4_sign(apr_pool_t *p, llmux_request_t *rq,
                      const llmux_grant_t *grant, const char *region,
                      const char *service, apr_time_t now);

#endif
