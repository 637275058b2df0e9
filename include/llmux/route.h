/**
 * route.h - which deployment next: model groups, and the plan of one request
 * over the deployments of its group and the group's fallbacks.
 */

#ifndef LLMUX_ROUTE_H
#define LLMUX_ROUTE_H

#include "llmux/provider.h"

/* The name that clients use, and who serves it. Read-only after
 * configuration. */
typedef struct llmux_group_t {
    const char *name;
    apr_array_header_t *deployments;    /* llmux_deployment_t * */
    apr_array_header_t *fallbacks;      /* struct llmux_group_t * */
} llmux_group_t;

/* What a failure says about the next step. */
typedef enum {
    LLMUX_FAILED_REQUEST,   /* the request's own fault: nobody else helps */
    LLMUX_FAILED_TARGET,    /* this deployment cannot do it: others may */
    LLMUX_FAILED_KEY,       /* this account is refused: other accounts may */
    LLMUX_FAILED_QUOTA,     /* this account is spent: other accounts may */
    LLMUX_FAILED_MODEL,     /* this deployment does not exist there */
    LLMUX_FAILED_PROVIDER   /* will pass: others at once, this one later */
} llmux_failed_e;

/** What a provider's error is. */
llmux_failed_e llmux_failed_class(const llmux_error_t *err);

/* How often, and how long between two tries of one deployment. */
typedef struct llmux_patience_t {
    apr_int64_t attempts;           /* at most, all deployments together */
    apr_interval_time_t backoff;    /* before the second try; doubles */
    apr_interval_time_t backoff_max;
} llmux_patience_t;

/* The plan of one request. One thread at a time. */
typedef struct llmux_plan_t llmux_plan_t;

/**
 * Deployments of the group in the order of a weighted shuffle, then those of
 * its fallbacks, and theirs. Those that cannot be asked at all are left out.
 * @param provider only this account's deployments, NULL = all
 */
llmux_plan_t *llmux_plan_create(apr_pool_t *p, const llmux_env_t *env,
                                const llmux_group_t *group,
                                const llmux_provider_t *provider,
                                const llmux_patience_t *patience);

/* One attempt to be made. */
typedef struct llmux_pick_t {
    const llmux_deployment_t *deployment;
    const llmux_group_t *group;     /* the one it was picked from */
    apr_time_t not_before;          /* back off until then; 0 = now */
} llmux_pick_t;

/** The next attempt. @return 0 when there is none left. */
int llmux_plan_next(llmux_plan_t *plan, llmux_pick_t *pick);

/** What the last one came to. @param retry_after -1 = not said */
void llmux_plan_failed(llmux_plan_t *plan, llmux_failed_e failed,
                       apr_interval_time_t retry_after);

#endif
