/* check.c - mistakes of an operator, found before the server starts. */

#include <string.h>
#include <strings.h>

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_uri.h>

#include "llmux/provider.h"

/* Headers that are ours or the transport's to set. */
static const char *const reserved[] = {
    "host", "content-length", "content-type", "transfer-encoding",
    "connection", "accept-encoding", "expect", "x-request-id", NULL
};

static int is_token(const char *s)
{
    if (!*s) {
        return 0;
    }
    for (; *s; s++) {
        if (!apr_isalnum(*s) && !strchr("!#$%&'*+-.^_`|~", *s)) {
            return 0;
        }
    }
    return 1;
}

const char *llmux_provider_header_refused(const char *name, const char *value)
{
    int i;

    if (!is_token(name)) {
        return "the name is not that of an HTTP header";
    }
    for (i = 0; reserved[i]; i++) {
        if (!strcasecmp(name, reserved[i])) {
            return "this header is set by the gateway itself";
        }
    }
    for (; *value; value++) {
        if (apr_iscntrl(*value) && *value != '\t') {
            return "the value has a control character";
        }
    }
    return NULL;
}

const char *llmux_provider_url_refused(apr_pool_t *p, const char *url)
{
    static const llmux_upstream_t plain = { 0 };
    apr_uri_t uri;

    if (apr_uri_parse(p, url, &uri) != APR_SUCCESS || !uri.scheme) {
        return "it must look like https://host/path";
    }
    if (!llmux_transport_for(url, &plain)) {
        return "the scheme must be http or https";
    }
    if (strcasecmp(uri.scheme, "demo") && (!uri.hostname || !*uri.hostname)) {
        return "it has no host";
    }
    if (uri.user || uri.password) {
        return "credentials do not belong into it: use LLMuxAPIKey";
    }
    if (uri.query || uri.fragment) {
        return "it must have no query and no fragment";
    }
    return NULL;
}
