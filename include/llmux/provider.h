/**
 * provider.h - who answers: kinds of providers (rows), the operator's
 * accounts with them, deployments, and how a request is addressed and signed.
 */

#ifndef LLMUX_PROVIDER_H
#define LLMUX_PROVIDER_H

#include "llmux/credential.h"
#include "llmux/dialect.h"
#include "llmux/transport.h"

/* How URLs are made from the base URL; those of chats stand here. */
typedef enum {
    LLMUX_ADDRESS_OPENAI,       /* BASE/chat/completions */
    LLMUX_ADDRESS_ANTHROPIC,    /* BASE/v1/messages */
    LLMUX_ADDRESS_GEMINI,       /* BASE/v1beta/models/MODEL:generateContent */
    LLMUX_ADDRESS_AZURE,        /* BASE/openai/deployments/MODEL/... or v1 */
    LLMUX_ADDRESS_OLLAMA,       /* BASE/api/chat */
    LLMUX_ADDRESS_COHERE,       /* BASE/v2/chat */
    LLMUX_ADDRESS_BEDROCK,      /* BASE/model/MODEL/converse */
    LLMUX_ADDRESS_VERTEX        /* BASE/v1/projects/P/locations/R/... */
} llmux_address_e;

/* Where the key goes. */
typedef enum {
    LLMUX_AUTH_NONE,
    LLMUX_AUTH_OPTIONAL,        /* Authorization: Bearer, if there is a key */
    LLMUX_AUTH_BEARER,          /* Authorization: Bearer */
    LLMUX_AUTH_ANTHROPIC,       /* x-api-key */
    LLMUX_AUTH_GOOGLE,          /* x-goog-api-key */
    LLMUX_AUTH_AZURE,           /* api-key */
    LLMUX_AUTH_AWS,             /* Signature Version 4; a key is a bearer's */
    LLMUX_AUTH_CLOUD            /* Google Cloud: Authorization: Bearer with a
                                 * token that is fetched; a key goes as
                                 * x-goog-api-key */
} llmux_auth_e;

/* A kind of provider: a row of providers.def. */
typedef struct llmux_kind_t {
    const char *name;
    const char *title;
    const char *base_url;       /* NULL = the operator must say; may have
                                 * {region} in it */
    const llmux_dialect_t *dialect;
    llmux_address_e address;
    llmux_auth_e auth;
    unsigned int can;           /* LLMUX_CAN_* */
} llmux_kind_t;

/** By name or alias ("together_ai" is together), or NULL. */
const llmux_kind_t *llmux_kind_named(const char *name);

/** LLMUX_CAN_* by the name that LLMuxAbility uses, 0 if unknown. */
unsigned int llmux_ability_named(const char *name);

/** The names, for messages: "stream-usage, max-completion-tokens, ...". */
const char *llmux_ability_names(apr_pool_t *p);

/* An account with a provider. Built at configuration, read-only after. */
typedef struct llmux_provider_t {
    const char *name;           /* of the section */
    const llmux_kind_t *kind;
    const char *base_url;       /* without a slash at its end */
    const llmux_secret_t *key;  /* NULL = none */
    const char *credentials;    /* where to find one: "environment",
                                 * "instance" or a file; NULL = environment */
    const llmux_credential_t *credential;   /* what signs without a key */
    llmux_vault_t *vault;       /* of the credential; NULL = it is static */
    const char *region;         /* AWS, Google Cloud; or NULL */
    const char *project;        /* Google Cloud; or NULL */
    const char *account;        /* opaque tokens go back to whoever bears the
                                 * same; never NULL once resolved */
    unsigned int can;           /* the kind's, changed by LLMuxAbility */
    const char *version;        /* API version: Azure, Anthropic; or NULL */
    int azure_v1;               /* Azure: the path without deployments */
    apr_array_header_t *headers;    /* llmux_header_t, from LLMuxHeader */
    apr_array_header_t *models;     /* const char *, from LLMuxModels */
    apr_int64_t retries;        /* tries after the first, in one request */
    apr_int64_t max_tokens;     /* default where the dialect demands one */
    llmux_upstream_t upstream;
} llmux_provider_t;

/** Fills in what follows from the rest, once all is said: base URL, region,
 * project, credentials from the environment, account.
 * @return NULL, or why it cannot be used, for the operator */
const char *llmux_provider_complete(apr_pool_t *p, llmux_provider_t *pr);

/** Can it be asked at all? NULL, or why not ("no key"). */
const char *llmux_provider_lacks(const llmux_provider_t *pr);

/* A provider's model as a group uses it. Read-only after configuration. */
typedef struct llmux_deployment_t {
    char id[17];                /* stable: 16 hex of a SHA-256, and NUL */
    const llmux_provider_t *provider;
    const char *model;          /* what the provider calls it */
    int weight;                 /* share in a weighted shuffle, 1..10000 */
    apr_array_header_t *tags;   /* const char * */
    int series;                 /* its counters in shared memory, or -1 */
} llmux_deployment_t;

/** @param ordinal among deployments with the same provider URL and model */
void llmux_deployment_name(apr_pool_t *p, llmux_deployment_t *d, int ordinal);

/** In which dialect it is asked for somebody who speaks `client`: the same
 * one where it can, else its own for the same operation. NULL: it does not
 * offer that (embeddings, counting). */
const llmux_dialect_t *llmux_deployment_dialect(const llmux_deployment_t *d,
                                                const llmux_dialect_t *client);

/** A copy of what the dialect's writer must know. */
llmux_target_t llmux_deployment_target(const llmux_deployment_t *d,
                                       const llmux_dialect_t *dialect);

/* ---- one request ----------------------------------------------------- */

/* What of the client's request concerns the provider's. */
typedef struct llmux_outgoing_t {
    int streamed;
    const llmux_dialect_t *dialect;     /* of the body */
    llmux_slice_t body;
    const char *request_id;     /* the client's or ours: X-Request-ID */
    const char *exchange_id;    /* ours, said apart where they differ */
    const apr_table_t *client_headers;  /* filtered by the allow-list */
    int same_dialect;           /* vendor headers make sense to it */
    const llmux_grant_t *grant; /* where the account has a credential */
    apr_time_t now;             /* which a signature bears */
} llmux_outgoing_t;

/** Addressed and signed, in `p`; nothing of it may be logged. */
llmux_request_t *llmux_provider_request(apr_pool_t *p,
                                        const llmux_deployment_t *d,
                                        const llmux_outgoing_t *out);

/** The same URL without anything secret, for logs. */
const char *llmux_provider_url(apr_pool_t *p, const llmux_deployment_t *d,
                               const llmux_dialect_t *dialect, int streamed);

/* Under which name the provider's own request id reaches the client. */
#define LLMUX_UPSTREAM_ID "X-Upstream-Request-ID"

/** The provider's own id of this request, or NULL. */
const char *llmux_provider_answer_id(const llmux_response_t *r);

/** Puts those response headers that the client may see into `to`, which in the
 * same dialect must not outlive the response's memory. */
void llmux_provider_headers_down(apr_table_t *to, const llmux_response_t *r,
                                 int same_dialect);

/** What a provider says, with the names of accounts, projects and keys in it
 * cut short: to be told to clients and logs. A copy in `p`. */
const char *llmux_provider_words(apr_pool_t *p, const char *text);

/** May a header of this name be set by LLMuxHeader? NULL, or why not. */
const char *llmux_provider_header_refused(const char *name,
                                          const char *value);

/** Is this a base URL we can use? NULL, or why not. */
const char *llmux_provider_url_refused(apr_pool_t *p, const char *url);

#endif
