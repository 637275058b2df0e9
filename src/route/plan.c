/* plan.c - one request's way through the deployments. */

#include "llmux/route.h"

/* A deployment that may serve the request. */
typedef struct candidate_t {
    const llmux_deployment_t *deployment;
    const llmux_group_t *group;
    int tries;
    int dead;                   /* not again in this request */
    apr_time_t not_before;
} candidate_t;

struct llmux_plan_t {
    apr_pool_t *pool;
    const llmux_env_t *env;
    const llmux_provider_t *provider;
    llmux_patience_t patience;
    apr_array_header_t *candidates;     /* candidate_t */
    candidate_t *last;
    apr_int64_t made;           /* attempts so far */
    int over;
};

/* ---- making the list ------------------------------------------------- */

/* Moves one of list[from..] to `from`, each with the chance its weight has
 * among them. */
static void draw(const llmux_env_t *env, candidate_t *list, int from, int n)
{
    apr_uint64_t sum = 0, lot;
    candidate_t drawn;
    int i;

    for (i = from; i < n; i++) {
        sum += (apr_uint64_t)list[i].deployment->weight;
    }
    lot = ((apr_uint64_t)llmux_chance(env) * sum) >> 32;
    for (i = from; i < n - 1; i++) {
        if (lot < (apr_uint64_t)list[i].deployment->weight) {
            break;
        }
        lot -= (apr_uint64_t)list[i].deployment->weight;
    }
    drawn = list[i];
    list[i] = list[from];
    list[from] = drawn;
}

static void add_deployments(llmux_plan_t *plan, const llmux_group_t *group)
{
    int first = plan->candidates->nelts;
    candidate_t *list;
    int i;

    for (i = 0; i < group->deployments->nelts; i++) {
        const llmux_deployment_t *d = APR_ARRAY_IDX(group->deployments, i,
                                                    llmux_deployment_t *);
        candidate_t *c;

        if (llmux_provider_lacks(d->provider)
            || (plan->provider && plan->provider != d->provider)) {
            continue;
        }
        c = apr_array_push(plan->candidates);
        c->deployment = d;
        c->group = group;
    }
    list = (candidate_t *)plan->candidates->elts;
    for (i = first; i < plan->candidates->nelts - 1; i++) {
        draw(plan->env, list, i, plan->candidates->nelts);
    }
}

static int has_group(const apr_array_header_t *groups,
                     const llmux_group_t *group)
{
    int i;

    for (i = 0; i < groups->nelts; i++) {
        if (APR_ARRAY_IDX(groups, i, const llmux_group_t *) == group) {
            return 1;
        }
    }
    return 0;
}

/* The group itself, then its fallbacks, then theirs: each once. */
static void add_groups(llmux_plan_t *plan, const llmux_group_t *group)
{
    apr_array_header_t *groups = apr_array_make(plan->pool, 1,
                                                sizeof(group));
    int i, k;

    APR_ARRAY_PUSH(groups, const llmux_group_t *) = group;
    for (i = 0; i < groups->nelts; i++) {
        group = APR_ARRAY_IDX(groups, i, const llmux_group_t *);
        add_deployments(plan, group);
        for (k = 0; k < group->fallbacks->nelts; k++) {
            const llmux_group_t *next = APR_ARRAY_IDX(group->fallbacks, k,
                                                      llmux_group_t *);

            if (!has_group(groups, next)) {
                APR_ARRAY_PUSH(groups, const llmux_group_t *) = next;
            }
        }
    }
}

llmux_plan_t *llmux_plan_create(apr_pool_t *p, const llmux_env_t *env,
                                const llmux_group_t *group,
                                const llmux_provider_t *provider,
                                const llmux_patience_t *patience)
{
    llmux_plan_t *plan = apr_pcalloc(p, sizeof(*plan));

    plan->pool = p;
    plan->env = env;
    plan->provider = provider;
    plan->patience = *patience;
    plan->candidates = apr_array_make(p, group->deployments->nelts,
                                      sizeof(candidate_t));
    add_groups(plan, group);
    return plan;
}

/* ---- walking it ------------------------------------------------------ */

static int may_try(const candidate_t *c)
{
    return !c->dead && c->tries <= c->deployment->provider->retries;
}

/* Whoever was not asked yet comes first, in order; then whoever may be asked
 * again soonest. */
static candidate_t *choose(llmux_plan_t *plan)
{
    candidate_t *best = NULL;
    int i;

    for (i = 0; i < plan->candidates->nelts; i++) {
        candidate_t *c = &APR_ARRAY_IDX(plan->candidates, i, candidate_t);

        if (!may_try(c)) {
            continue;
        }
        if (!c->tries) {
            return c;
        }
        if (!best || c->not_before < best->not_before) {
            best = c;
        }
    }
    return best;
}

int llmux_plan_next(llmux_plan_t *plan, llmux_pick_t *pick)
{
    candidate_t *c;

    if (plan->over || plan->made >= plan->patience.attempts) {
        return 0;
    }
    c = choose(plan);
    if (!c) {
        return 0;
    }
    plan->last = c;
    plan->made++;
    pick->deployment = c->deployment;
    pick->group = c->group;
    pick->not_before = c->tries ? c->not_before : 0;
    c->tries++;
    return 1;
}

/* Doubles with each try, up to the maximum, then 20 % more or less: so that
 * a herd of clients does not come back as a herd. */
static apr_interval_time_t backoff(const llmux_plan_t *plan, int tries)
{
    apr_interval_time_t t = plan->patience.backoff;
    apr_interval_time_t spread;

    while (--tries > 0 && t < plan->patience.backoff_max) {
        t *= 2;
    }
    if (t > plan->patience.backoff_max) {
        t = plan->patience.backoff_max;
    }
    spread = t * 2 / 5;
    t += (apr_interval_time_t)(((apr_uint64_t)llmux_chance(plan->env)
                                * (apr_uint64_t)spread) >> 32) - spread / 2;
    return t > plan->patience.backoff_max ? plan->patience.backoff_max : t;
}

static void bury_account(llmux_plan_t *plan, const llmux_provider_t *provider)
{
    int i;

    for (i = 0; i < plan->candidates->nelts; i++) {
        candidate_t *c = &APR_ARRAY_IDX(plan->candidates, i, candidate_t);

        c->dead |= c->deployment->provider == provider;
    }
}

/* A provider that wants more patience than we have is not asked again: the
 * client is told its Retry-After instead. */
static void postpone(llmux_plan_t *plan, candidate_t *c,
                     apr_interval_time_t retry_after)
{
    apr_interval_time_t pause = backoff(plan, c->tries);

    if (retry_after > plan->patience.backoff_max) {
        c->dead = 1;
        return;
    }
    if (retry_after > pause) {
        pause = retry_after;
    }
    c->not_before = llmux_now(plan->env) + pause;
}

void llmux_plan_failed(llmux_plan_t *plan, llmux_failed_e failed,
                       apr_interval_time_t retry_after)
{
    candidate_t *c = plan->last;

    switch (failed) {
    case LLMUX_FAILED_REQUEST:
        plan->over = 1;
        break;
    case LLMUX_FAILED_KEY:
    case LLMUX_FAILED_QUOTA:
        bury_account(plan, c->deployment->provider);
        break;
    case LLMUX_FAILED_TARGET:
        plan->made--;           /* nothing was sent */
        c->dead = 1;
        break;
    case LLMUX_FAILED_MODEL:
        c->dead = 1;
        break;
    case LLMUX_FAILED_PROVIDER:
        postpone(plan, c, retry_after);
        break;
    }
}

/* ---- classes --------------------------------------------------------- */

static const unsigned char classes[LLMUX_ERR_COUNT] = {
    [LLMUX_ERR_INVALID] = LLMUX_FAILED_REQUEST,
    [LLMUX_ERR_UNSUPPORTED] = LLMUX_FAILED_REQUEST,
    [LLMUX_ERR_CONTEXT] = LLMUX_FAILED_REQUEST,
    [LLMUX_ERR_BLOCKED] = LLMUX_FAILED_REQUEST,
    [LLMUX_ERR_AUTH] = LLMUX_FAILED_KEY,
    [LLMUX_ERR_BILLING] = LLMUX_FAILED_QUOTA,
    [LLMUX_ERR_PERMISSION] = LLMUX_FAILED_KEY,
    [LLMUX_ERR_NOT_FOUND] = LLMUX_FAILED_MODEL,
    [LLMUX_ERR_MODEL] = LLMUX_FAILED_MODEL,
    [LLMUX_ERR_METHOD] = LLMUX_FAILED_MODEL,
    [LLMUX_ERR_CONFLICT] = LLMUX_FAILED_PROVIDER,
    [LLMUX_ERR_TOO_LARGE] = LLMUX_FAILED_REQUEST,
    [LLMUX_ERR_MEDIA_TYPE] = LLMUX_FAILED_REQUEST,
    [LLMUX_ERR_QUOTA] = LLMUX_FAILED_QUOTA,
    [LLMUX_ERR_RATE_LIMIT] = LLMUX_FAILED_PROVIDER,
    [LLMUX_ERR_INTERNAL] = LLMUX_FAILED_PROVIDER,
    [LLMUX_ERR_BAD_UPSTREAM] = LLMUX_FAILED_PROVIDER,
    [LLMUX_ERR_OVERLOADED] = LLMUX_FAILED_PROVIDER,
    [LLMUX_ERR_TIMEOUT] = LLMUX_FAILED_PROVIDER,
};

llmux_failed_e llmux_failed_class(const llmux_error_t *err)
{
    return (llmux_failed_e)classes[err->kind];
}
