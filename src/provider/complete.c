/* complete.c - what an operator need not say: it follows from the rest, or
 * stands in the environment. */

#include <stdlib.h>
#include <string.h>

#include <apr_file_io.h>
#include <apr_strings.h>
#include <openssl/crypto.h>

#include "llmux/provider.h"

static const char *from_environment(const char *const *names)
{
    for (; *names; names++) {
        const char *value = getenv(*names);

        if (value && *value) {
            return value;
        }
    }
    return NULL;
}

/* ---- where ------------------------------------------------------------ */

static const char *const google_regions[] = {
    "GOOGLE_CLOUD_LOCATION", "CLOUD_ML_REGION", NULL
};
static const char *const google_projects[] = {
    "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", NULL
};

static void find_region(apr_pool_t *p, llmux_provider_t *pr)
{
    if (pr->region) {
        return;
    }
    if (pr->kind->auth == LLMUX_AUTH_AWS) {
        pr->region = llmux_aws_region_from_environment(p);
    }
    if (pr->kind->auth == LLMUX_AUTH_CLOUD) {
        pr->region = apr_pstrdup(p, from_environment(google_regions));
        pr->region = pr->region ? pr->region : "global";
    }
}

/* The names of hosts that do not follow the rule. */
static const char *special_host(apr_pool_t *p, const llmux_provider_t *pr)
{
    const char *r = pr->region;

    if (pr->kind->auth == LLMUX_AUTH_AWS) {
        return strncmp(r, "cn-", 3) ? NULL
            : apr_pstrcat(p, "https://bedrock-runtime.", r,
                          ".amazonaws.com.cn", NULL);
    }
    if (!strcmp(r, "global") || pr->key) {
        return "https://aiplatform.googleapis.com";
    }
    return strcmp(r, "us") && strcmp(r, "eu") ? NULL
        : apr_pstrcat(p, "https://aiplatform.", r, ".rep.googleapis.com",
                      NULL);
}

/* The kind's own, with the region in it. */
static const char *own_url(apr_pool_t *p, const llmux_provider_t *pr)
{
    const char *url = pr->kind->base_url;
    const char *hole = url ? strstr(url, "{region}") : NULL;
    const char *special;

    if (!hole) {
        return url;
    }
    if (!pr->region) {
        return NULL;
    }
    special = special_host(p, pr);
    return special ? special
        : apr_pstrcat(p, apr_pstrmemdup(p, url, (apr_size_t)(hole - url)),
                      pr->region, hole + strlen("{region}"), NULL);
}

/* ---- with what -------------------------------------------------------- */

static const char *read_file(apr_pool_t *p, const char *path,
                             llmux_slice_t *text)
{
    char *data = apr_palloc(p, LLMUX_KEY_FILE_MAX);
    apr_size_t len = LLMUX_KEY_FILE_MAX;
    apr_file_t *file;
    apr_status_t rv;

    rv = apr_file_open(&file, path, APR_FOPEN_READ, APR_FPROT_OS_DEFAULT, p);
    if (rv != APR_SUCCESS) {
        return "the file cannot be read";
    }
    rv = apr_file_read_full(file, data, LLMUX_KEY_FILE_MAX, &len);
    apr_file_close(file);
    text->data = data;
    text->len = len;
    return rv == APR_EOF ? NULL : "the file is too large";
}

static const char *google_file(apr_pool_t *p, llmux_provider_t *pr,
                               const char *path)
{
    llmux_slice_t text = { NULL, 0 };
    const char *why = read_file(p, path, &text);

    if (!why) {
        pr->credential = llmux_google_account(p, text, &why);
    }
    OPENSSL_cleanse((char *)text.data, text.len);
    return why ? apr_psprintf(p, "credentials in %s: %s", path, why) : NULL;
}

static const char *google_credential(apr_pool_t *p, llmux_provider_t *pr)
{
    static const char *const files[] = {
        "GOOGLE_APPLICATION_CREDENTIALS", NULL
    };
    const char *said = pr->credentials ? pr->credentials : "environment";

    if (!strcmp(said, "environment")) {
        const char *path = from_environment(files);

        said = path ? path : "instance";
    }
    if (!strcmp(said, "instance")) {
        pr->credential = llmux_google_instance(p);
        return NULL;
    }
    return google_file(p, pr, said);
}

/* A key of Bedrock's own, where AWS's tools look for it, comes before all
 * others. */
static const char *aws_credential(apr_pool_t *p, llmux_provider_t *pr)
{
    static const char *const bearers[] = { "AWS_BEARER_TOKEN_BEDROCK", NULL };
    const char *said = pr->credentials ? pr->credentials : "environment";
    const char *why = NULL;

    if (!strcmp(said, "instance")) {
        pr->credential = llmux_aws_instance(p, &why);
        return why;
    }
    if (strcmp(said, "environment")) {
        return "LLMuxCredentials of AWS is environment or instance; give keys "
               "with LLMuxAWSKey";
    }
    if (from_environment(bearers)) {
        pr->key = llmux_secret_read(p, "env:AWS_BEARER_TOKEN_BEDROCK", &why);
        return why;
    }
    pr->credential = llmux_aws_from_environment(p, &why);
    return why;
}

static const char *find_credential(apr_pool_t *p, llmux_provider_t *pr)
{
    if (pr->credential && pr->credential->kind == LLMUX_CREDENTIAL_AWS_STATIC
        && pr->kind->auth != LLMUX_AUTH_AWS) {
        return "LLMuxAWSKey is for bedrock";
    }
    if (pr->key || pr->credential) {
        return NULL;
    }
    switch (pr->kind->auth) {
    case LLMUX_AUTH_AWS:
        return aws_credential(p, pr);
    case LLMUX_AUTH_CLOUD:
        return google_credential(p, pr);
    default:
        return pr->credentials ? "LLMuxCredentials is for bedrock and vertex"
                               : NULL;
    }
}

static const char *find_project(apr_pool_t *p, llmux_provider_t *pr)
{
    if (pr->kind->auth != LLMUX_AUTH_CLOUD || pr->key) {
        return NULL;
    }
    if (!pr->project && pr->credential) {
        pr->project = pr->credential->project;
    }
    if (!pr->project) {
        pr->project = apr_pstrdup(p, from_environment(google_projects));
    }
    return pr->project ? NULL : "no project: set LLMuxProject";
}

/* ---- all of it -------------------------------------------------------- */

/* May be called again for another host that inherits the account. */
const char *llmux_provider_complete(apr_pool_t *p, llmux_provider_t *pr)
{
    const char *why;

    find_region(p, pr);
    if (!pr->region && pr->kind->auth == LLMUX_AUTH_AWS) {
        return "no region: set LLMuxRegion or AWS_REGION";
    }
    if (!pr->base_url) {
        pr->base_url = own_url(p, pr);
    }
    why = find_credential(p, pr);
    if (!why) {
        why = find_project(p, pr);
    }
    if (why) {
        return why;
    }
    if (!pr->vault && pr->credential
        && pr->credential->kind != LLMUX_CREDENTIAL_AWS_STATIC) {
        pr->vault = llmux_vault_create(p);
        if (!pr->vault) {
            return "there is no shared memory for its credentials";
        }
    }
    if (!pr->account) {
        pr->account = pr->name;
    }
    return NULL;
}
