/* aws_env.c - which AWS credentials the configuration or the environment
 * gives: the variables that AWS's own SDKs heed, in their order. */

#include "llmux/credential.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <openssl/crypto.h>

#include "aws_answer.h"
#include "vendors.h"

#define CONTAINER "http://169.254.170.2"

/* Several requests must fit into LLMUX_VAULT_LEASE. */
static const llmux_upstream_t patience = {
    .proxy = "",
    .connect = 2 * APR_USEC_PER_SEC,
    .first_byte = 4 * APR_USEC_PER_SEC,
    .between = 4 * APR_USEC_PER_SEC,
    .total = 4 * APR_USEC_PER_SEC,
    .idle = 10 * APR_USEC_PER_SEC,
    .max_age = 60 * APR_USEC_PER_SEC
};

static llmux_credential_t *create(apr_pool_t *p, llmux_credential_e kind)
{
    llmux_credential_t *c = apr_pcalloc(p, sizeof(*c));

    c->kind = kind;
    c->upstream = patience;
    return c;
}

/* Empty is as good as unset. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

/* ---- addresses -------------------------------------------------------- */

/* Where plain HTTP is safe: this machine, and the addresses at which ECS and
 * EKS serve what runs on it. */
static int is_near(const char *host)
{
    static const char *const services[] = {
        "169.254.170.2", "169.254.170.23", "fd00:ec2::23", "::1"
    };
    unsigned char is[16], want[16];
    apr_size_t i;
    int family = strchr(host, ':') ? AF_INET6 : AF_INET;

    if (!strcasecmp(host, "localhost")) {
        return 1;
    }
    if (inet_pton(family, host, is) != 1) {
        return 0;
    }
    if (family == AF_INET && is[0] == 127) {
        return 1;
    }
    for (i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
        if (inet_pton(family, services[i], want) == 1
            && !memcmp(is, want, family == AF_INET ? 4 : 16)) {
            return 1;
        }
    }
    return 0;
}

/* The host of what follows "http://"; "" for anything odd. */
static const char *host_of(apr_pool_t *p, const char *rest)
{
    apr_size_t len = strcspn(rest, "/?#");
    const char *end;

    if (memchr(rest, '@', len)) {
        return "";
    }
    if (*rest == '[') {
        end = memchr(rest, ']', len);
        return end && strchr(":/?#", end[1])
            ? apr_pstrmemdup(p, rest + 1, (apr_size_t)(end - rest - 1)) : "";
    }
    return apr_pstrmemdup(p, rest, strcspn(rest, ":/?#"));
}

/* A secret may be sent there, and what comes back may be believed. */
static int is_safe(apr_pool_t *p, const char *url)
{
    if (!llmux_credential_plain(llmux_slice(url), "")) {
        return 0;
    }
    if (!strncasecmp(url, "https://", 8)) {
        return *host_of(p, url + 8) != '\0';
    }
    return !strncasecmp(url, "http://", 7) && is_near(host_of(p, url + 7));
}

/* ---- the region ------------------------------------------------------- */

/* It becomes part of a host's name. */
static int is_region(const char *s)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

    return strlen(s) < 64 && *s != '-' && !s[strspn(s, letters)];
}

const char *llmux_aws_region_from_environment(apr_pool_t *p)
{
    static const char *const names[] = { "AWS_REGION", "AWS_DEFAULT_REGION" };
    const char *value;
    apr_size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        value = variable(names[i]);
        if (value && is_region(value)) {
            return apr_pstrdup(p, value);
        }
    }
    return NULL;
}

/* ---- static keys ------------------------------------------------------ */

llmux_credential_t *llmux_aws_static(apr_pool_t *p, const llmux_secret_t *id,
                                     const llmux_secret_t *secret,
                                     const llmux_secret_t *session)
{
    llmux_credential_t *c = create(p, LLMUX_CREDENTIAL_AWS_STATIC);

    c->id = id;
    c->secret = secret;
    c->session = session;
    return c;
}

/* Better said at once than with the first request. */
static const char *why_unfit(apr_pool_t *p, const llmux_credential_t *c)
{
    llmux_fetch_t f = { .pool = p, .credential = c };
    int fit = llmux_aws_next(&f) == LLMUX_FETCH_DONE;

    OPENSSL_cleanse(&f.grant, sizeof(f.grant));
    return fit ? NULL : f.why;
}

static llmux_credential_t *from_keys(apr_pool_t *p, const char **why)
{
    llmux_credential_t *c = create(p, LLMUX_CREDENTIAL_AWS_STATIC);
    apr_pool_t *scratch;

    c->id = llmux_secret_read(p, "env:AWS_ACCESS_KEY_ID", why);
    if (c->id) {
        c->secret = llmux_secret_read(p, "env:AWS_SECRET_ACCESS_KEY", why);
    }
    if (c->secret && variable("AWS_SESSION_TOKEN")) {
        c->session = llmux_secret_read(p, "env:AWS_SESSION_TOKEN", why);
    }
    if (*why) {
        return NULL;
    }
    apr_pool_create(&scratch, p);
    *why = apr_pstrdup(p, why_unfit(scratch, c));
    apr_pool_destroy(scratch);
    return *why ? NULL : c;
}

/* ---- web identities --------------------------------------------------- */

static const char *sts_url(apr_pool_t *p)
{
    const char *url = variable("AWS_ENDPOINT_URL_STS");
    const char *region = llmux_aws_region_from_environment(p);

    if (url) {
        return apr_pstrdup(p, url);
    }
    if (!region) {
        return "https://sts.amazonaws.com/";
    }
    return apr_psprintf(p, "https://sts.%s.amazonaws.com%s/", region,
                        strncmp(region, "cn-", 3) ? "" : ".cn");
}

static llmux_credential_t *from_web_identity(apr_pool_t *p, const char **why)
{
    llmux_credential_t *c = create(p, LLMUX_CREDENTIAL_AWS_WEB_IDENTITY);

    c->session_file = apr_pstrdup(p, variable("AWS_WEB_IDENTITY_TOKEN_FILE"));
    c->role = apr_pstrdup(p, variable("AWS_ROLE_ARN"));
    c->role_session = apr_pstrdup(p, variable("AWS_ROLE_SESSION_NAME"));
    c->url = sts_url(p);
    c->upstream.proxy = NULL;       /* it may be far away */
    c->upstream.connect = 5 * APR_USEC_PER_SEC;
    c->upstream.first_byte = c->upstream.total = 10 * APR_USEC_PER_SEC;
    if (!c->role) {
        *why = "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not";
    }
    else if (!is_safe(p, c->url)) {
        *why = "AWS_ENDPOINT_URL_STS must be https";
    }
    return *why ? NULL : c;
}

/* ---- containers ------------------------------------------------------- */

static llmux_credential_t *from_container(apr_pool_t *p, const char **why)
{
    llmux_credential_t *c = create(p, LLMUX_CREDENTIAL_AWS_CONTAINER);
    const char *relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");

    c->url = relative ? apr_pstrcat(p, CONTAINER, relative, NULL)
        : apr_pstrdup(p, variable("AWS_CONTAINER_CREDENTIALS_FULL_URI"));
    c->session_file = apr_pstrdup(p,
        variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"));
    if (relative && *relative != '/') {
        *why = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must begin with /";
    }
    else if (!is_safe(p, c->url)) {
        *why = relative ? "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is no path"
            : "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or http to "
              "this machine or to the address of ECS or EKS";
    }
    else if (!c->session_file
             && variable("AWS_CONTAINER_AUTHORIZATION_TOKEN")) {
        c->session = llmux_secret_read(p,
            "env:AWS_CONTAINER_AUTHORIZATION_TOKEN", why);
    }
    return *why ? NULL : c;
}

/* ---- instances -------------------------------------------------------- */

static const char *metadata_url(apr_pool_t *p)
{
    const char *url = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    const char *mode = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
    apr_size_t len;

    if (!url) {
        return mode && !strcasecmp(mode, "IPv6") ? "http://[fd00:ec2::254]"
            : "http://169.254.169.254";
    }
    for (len = strlen(url); len && url[len - 1] == '/'; len--) {
    }
    return apr_pstrmemdup(p, url, len);
}

static int is_url(apr_pool_t *p, const char *url)
{
    const char *host = !strncasecmp(url, "http://", 7) ? url + 7
        : !strncasecmp(url, "https://", 8) ? url + 8 : NULL;

    return host && llmux_credential_plain(llmux_slice(url), "?#")
        && *host_of(p, host);
}

llmux_credential_t *llmux_aws_instance(apr_pool_t *p, const char **why)
{
    llmux_credential_t *c = create(p, LLMUX_CREDENTIAL_AWS_INSTANCE);
    const char *disabled = variable("AWS_EC2_METADATA_DISABLED");

    *why = NULL;
    c->url = metadata_url(p);
    if (disabled && !strcasecmp(disabled, "true")) {
        *why = "there are no AWS credentials in the environment, and "
               "AWS_EC2_METADATA_DISABLED is true";
    }
    else if (!is_url(p, c->url)) {
        *why = "AWS_EC2_METADATA_SERVICE_ENDPOINT is no URL";
    }
    return *why ? NULL : c;
}

/* ---- all of them ------------------------------------------------------ */

/* The first of which one variable is set. A role alone is no identity. */
static const struct {
    const char *variables[2];
    llmux_credential_t *(*make)(apr_pool_t *p, const char **why);
} sources[] = {
    { { "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY" }, from_keys },
    { { "AWS_WEB_IDENTITY_TOKEN_FILE", NULL }, from_web_identity },
    { { "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI" }, from_container }
};

llmux_credential_t *llmux_aws_from_environment(apr_pool_t *p,
                                               const char **why)
{
    apr_size_t i;

    *why = NULL;
    for (i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        const char *const *names = sources[i].variables;

        if (variable(names[0]) || (names[1] && variable(names[1]))) {
            return sources[i].make(p, why);
        }
    }
    return llmux_aws_instance(p, why);
}
