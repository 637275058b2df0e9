/* deployment.c - a provider's model, with an id that outlives a reload. */

#include <string.h>

#include <apr_strings.h>
#include <openssl/sha.h>

#include "llmux/provider.h"

/* Google, "Request predictions with Claude models": anthropic_version. */
#define VERTEX_VERSION "vertex-2023-10-16"

/* Key, weight and price are left out on purpose: to change them must not
 * make it another deployment. */
void llmux_deployment_name(apr_pool_t *p, llmux_deployment_t *d, int ordinal)
{
    static const char digits[] = "0123456789abcdef";
    const char *text = apr_psprintf(p, "%s\n%s\n%s\n%d", d->provider->name,
                                    d->provider->base_url, d->model, ordinal);
    unsigned char hash[SHA256_DIGEST_LENGTH];
    int i;

    SHA256((const unsigned char *)text, strlen(text), hash);
    for (i = 0; i < 8; i++) {
        d->id[2 * i] = digits[hash[i] >> 4];
        d->id[2 * i + 1] = digits[hash[i] & 15];
    }
    d->id[16] = '\0';
}

llmux_target_t llmux_deployment_target(const llmux_deployment_t *d,
                                       const llmux_dialect_t *dialect)
{
    int vertex = d->provider->kind->address == LLMUX_ADDRESS_VERTEX;
    llmux_target_t target;

    memset(&target, 0, sizeof(target));
    target.name = d->provider->kind->title;
    target.model = llmux_slice(d->model);
    target.can = d->provider->can;
    target.max_tokens = d->provider->max_tokens;
    target.version = d->provider->version;
    target.account = d->provider->account;
    target.vertex = vertex;
    if (vertex && dialect == &llmux_dialect_anthropic) {
        target.body_version = VERTEX_VERSION;
    }
    return target;
}

const char *llmux_provider_lacks(const llmux_provider_t *pr)
{
    if (!pr->base_url) {
        return "no base URL";
    }
    if (!pr->key && !pr->credential && pr->kind->auth != LLMUX_AUTH_NONE
        && pr->kind->auth != LLMUX_AUTH_OPTIONAL) {
        return "no key";
    }
    return NULL;
}
