/**
 * policy.h - who may ask. Keys, teams and budgets will stand behind the same
 * door; today a master key or nobody guards it.
 */

#ifndef LLMUX_POLICY_H
#define LLMUX_POLICY_H

#include "llmux/core.h"

/* Who asks. Lives as long as the request. */
typedef struct llmux_identity_t {
    const char *id;         /* "anonymous", "master" */
    int master;
} llmux_identity_t;

/* What guards a server. Read-only after configuration. */
typedef struct llmux_guard_t {
    const llmux_secret_t *master_key;   /* NULL = everybody may */
} llmux_guard_t;

/** The key that the client shows, in whichever header its SDK uses
 * (Authorization, x-api-key, api-key, x-goog-api-key); absent for none. */
llmux_slice_t llmux_key_shown(const apr_table_t *headers);

/**
 * Lets the request in, or says why not (401).
 * @param key what llmux_key_shown() found
 * Constant time in the key's content.
 */
const llmux_error_t *llmux_admit(apr_pool_t *p, const llmux_guard_t *guard,
                                 llmux_slice_t key, llmux_identity_t *who);

#endif
