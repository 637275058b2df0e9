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
    LLMUX_CREDENTIAL_AWS_WEB_IDENTITY,  /* a signed token in a file, shown to
                                         * STS for a role: EKS IRSA */
    LLMUX_CREDENTIAL_GOOGLE_ACCOUNT,    /* a service account's key file: a
                                         * signed JWT for an OAuth token */
    LLMUX_CREDENTIAL_GOOGLE_USER,       /* a person's refresh token, as
                                         * gcloud leaves it on his machine */
    LLMUX_CREDENTIAL_GOOGLE_INSTANCE    /* GCE, GKE, Cloud Run metadata */
} llmux_credential_e;

/* Built at configuration from a file, the environment or directives. Secrets
 * are typed; nothing of it may be printed. */
typedef struct llmux_credential_t {
    llmux_credential_e kind;
    const char *url;                /* whom to ask: metadata or token server;
                                     * the kind's own unless configured */
    const llmux_secret_t *id;       /* AWS static: access key id; Google user:
                                     * client id */
    const llmux_secret_t *secret;   /* AWS static: secret access key; Google
                                     * account: private key, DER in base64;
                                     * user: client secret */
    const llmux_secret_t *session;  /* AWS static: session token, or NULL;
                                     * container: authorization token; Google
                                     * user: refresh token */
    const char *session_file;       /* container: that token's file, read anew
                                     * each time; NULL = none. Web identity:
                                     * the identity's */
    const char *role;               /* web identity: the role's ARN */
    const char *role_session;       /* web identity: what AWS's logs call us */
    const char *email;              /* Google account: client_email */
    const char *key_id;             /* Google account: private_key_id */
    const char *project;            /* Google account: project_id, or NULL */
    const char *quota_project;      /* Google: whom requests are counted for,
                                     * in x-goog-user-project; or NULL */
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

/** The next step: what to ask, or how it ended. Does no I/O but for reading
 * files that the credential names. */
llmux_fetch_e llmux_credential_next(llmux_fetch_t *f);

/** The credential that the environment gives (AWS_ACCESS_KEY_ID ...,
 * AWS_WEB_IDENTITY_TOKEN_FILE, AWS_CONTAINER_CREDENTIALS_RELATIVE_URI ...,
 * else the instance), in `p`.
 * @param why set when NULL is returned */
llmux_credential_t *llmux_aws_from_environment(apr_pool_t *p,
                                               const char **why);

/** AWS_REGION or AWS_DEFAULT_REGION, in `p`; NULL where neither is a region's
 * name. */
const char *llmux_aws_region_from_environment(apr_pool_t *p);

/** The machine's own role alone. @param why set when NULL is returned */
llmux_credential_t *llmux_aws_instance(apr_pool_t *p, const char **why);

/** Static keys. `session` may be NULL. */
llmux_credential_t *llmux_aws_static(apr_pool_t *p, const llmux_secret_t *id,
                                     const llmux_secret_t *secret,
                                     const llmux_secret_t *session);

/** From the JSON text of a key file, of a service account or of a person;
 * nothing of it need live on. @param why set when NULL is returned: a sentence
 * about the file, without anything secret */
llmux_credential_t *llmux_google_account(apr_pool_t *p, llmux_slice_t json,
                                         const char **why);

/** From the metadata server; GCE_METADATA_HOST says where it is, if not where
 * it always is. A fault in that shows when a grant is fetched. */
llmux_credential_t *llmux_google_instance(apr_pool_t *p);

/**
 * Signs with AWS Signature Version 4: adds Host's value to what is signed,
 * and the headers X-Amz-Date, X-Amz-Security-Token (where the grant has one)
 * and Authorization to `rq->headers`. Headers that httpd's or our transport
 * adds itself are not signed; those in `rq->headers` are, but for User-Agent,
 * X-Request-ID, traceparent and others that what lies between may change.
 * Signing the same request again replaces what was added. A Host header is
 * added where the URL names its scheme's own port, which transports treat
 * differently.
 * Source: AWS, "Create a signed AWS API request".
 *
 * @param p where the headers' texts live
 * @param now the request's time; AWS allows five minutes of difference
 */
void llmux_sigv4_sign(apr_pool_t *p, llmux_request_t *rq,
                      const llmux_grant_t *grant, const char *region,
                      const char *service, apr_time_t now);

/* ---- kept for all children ------------------------------------------- */

/* Where a grant lies that all children use: one of them fetches it, the
 * others go on with the old one or wait. In memory that is shared with
 * children forked later; any process, any thread. Nobody waits for a child
 * that died while it fetched, nor longer than LLMUX_VAULT_LEASE. */
typedef struct llmux_vault_t llmux_vault_t;

#define LLMUX_VAULT_LEASE apr_time_from_sec(15)     /* to fetch one */
#define LLMUX_VAULT_EARLY apr_time_from_sec(300)    /* before it expires */
#define LLMUX_VAULT_PAUSE apr_time_from_sec(2)      /* after a failure */
#define LLMUX_VAULT_REST  apr_time_from_sec(30)     /* after a success */
#define LLMUX_VAULT_REFUSALS 5                      /* heeded in that time */

/** Empty; unmapped with `p`, in the process that has it.
 * @return NULL when memory is out */
llmux_vault_t *llmux_vault_create(apr_pool_t *p);

typedef enum {
    LLMUX_VAULT_HAVE,       /* `grant` is filled in */
    LLMUX_VAULT_FETCH,      /* it is the caller's to fetch one, and to say
                             * put(), fail() or drop() then */
    LLMUX_VAULT_WAIT,       /* somebody fetches: ask again in a while */
    LLMUX_VAULT_FAILED      /* it has just failed: not again so soon */
} llmux_vault_e;

/** Early before the old one expires one caller is told FETCH. */
llmux_vault_e llmux_vault_take(llmux_vault_t *v, apr_time_t now,
                               llmux_grant_t *grant);

/** How the caller's fetch went. fail(): the old grant is good for as long as
 * it lasts, @return whether there is one, in `grant`; drop(): it was given
 * up, somebody else may. */
void llmux_vault_put(llmux_vault_t *v, apr_time_t now,
                     const llmux_grant_t *grant);
int llmux_vault_fail(llmux_vault_t *v, apr_time_t now, llmux_grant_t *grant);
void llmux_vault_drop(llmux_vault_t *v);

/** A provider did not take this grant: it is not given out again, unless that
 * has been said too often lately. */
void llmux_vault_refused(llmux_vault_t *v, apr_time_t now,
                         const llmux_grant_t *grant);

#endif
