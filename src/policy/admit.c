/* admit.c - finds the key that a client shows, and lets it in or not. */

#include <string.h>
#include <strings.h>

#include "llmux/policy.h"

/* Every vendor's SDK has its own; all of them open every door. */
static const struct {
    const char *header;
    const char *scheme;     /* word before the key, may be left out; behind
                             * another one is the key of somebody else */
} places[] = {
    { "Authorization",  "Bearer" },
    { "x-api-key",      NULL },
    { "api-key",        NULL },
    { "x-goog-api-key", NULL },
};

/* The key in a header's value, or NULL. */
static const char *key_in(const char *value, const char *scheme)
{
    apr_size_t n = scheme ? strlen(scheme) : 0;

    if (n && !strncasecmp(value, scheme, n) && value[n] == ' ') {
        value += n;
        value += strspn(value, " ");
    }
    else if (n && strchr(value, ' ')) {
        return NULL;
    }
    return *value ? value : NULL;
}

llmux_slice_t llmux_key_shown(const apr_table_t *headers)
{
    llmux_slice_t none = { NULL, 0 };
    apr_size_t i;

    for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        const char *value = apr_table_get(headers, places[i].header);

        value = value ? key_in(value, places[i].scheme) : NULL;
        if (value) {
            return llmux_slice(value);
        }
    }
    return none;
}

const llmux_error_t *llmux_admit(apr_pool_t *p, const llmux_guard_t *guard,
                                 llmux_slice_t key, llmux_identity_t *who)
{
    who->id = "anonymous";
    who->master = 0;
    if (!guard->master_key) {
        return NULL;
    }
    if (!key.data) {
        return llmux_error(p, LLMUX_ERR_AUTH, NULL, "You did not provide an "
                           "API key. Send it as 'Authorization: Bearer "
                           "KEY'.");
    }
    if (!llmux_secret_equal(guard->master_key, key)) {
        return llmux_error(p, LLMUX_ERR_AUTH, NULL, "Incorrect API key "
                           "provided. Ask the operator of this gateway for a "
                           "valid one.");
    }
    who->id = "master";
    who->master = 1;
    return NULL;
}
