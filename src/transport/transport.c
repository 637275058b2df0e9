/* transport.c - what all transports share: waiting, heads, names. */

#include <string.h>

#include <curl/curl.h>

#include <apr_cstr.h>

#include "llmux/transport.h"

void llmux_wait_fd(llmux_wait_t *w, int fd, int events)
{
    if (w->count == LLMUX_WAIT_FDS) {
        /* Any moment in the past is "at once", whatever the clock. */
        w->deadline = 1;
        return;
    }
    w->fds[w->count].fd = fd;
    w->fds[w->count].events = events;
    w->fds[w->count].ready = 0;
    w->count++;
}

void llmux_wait_until(llmux_wait_t *w, apr_time_t deadline)
{
    if (deadline && (!w->deadline || deadline < w->deadline)) {
        w->deadline = deadline;
    }
}

const char *llmux_response_header(const llmux_response_t *r,
                                  const char *name)
{
    const llmux_header_t *h;
    int i;

    for (i = 0; r->headers && i < r->headers->nelts; i++) {
        h = &APR_ARRAY_IDX(r->headers, i, llmux_header_t);
        if (!apr_cstr_casecmp(h->name, name)) {
            return h->value;
        }
    }
    return NULL;
}

static const char *const fail_names[] = {
    [LLMUX_FAIL_NONE]               = "no failure",
    [LLMUX_FAIL_RESOLVE]            = "no such host",
    [LLMUX_FAIL_CONNECT]            = "cannot connect",
    [LLMUX_FAIL_TLS]                = "TLS failure",
    [LLMUX_FAIL_PROXY]              = "proxy failure",
    [LLMUX_FAIL_CONNECT_TIMEOUT]    = "connect timeout",
    [LLMUX_FAIL_FIRST_BYTE_TIMEOUT] = "first byte timeout",
    [LLMUX_FAIL_SILENCE_TIMEOUT]    = "silence timeout",
    [LLMUX_FAIL_TOTAL_TIMEOUT]      = "total timeout",
    [LLMUX_FAIL_RESET]              = "connection reset",
    [LLMUX_FAIL_PROTOCOL]           = "protocol error",
    [LLMUX_FAIL_LOCAL]              = "local failure"
};

const char *llmux_fail_name(llmux_fail_e f)
{
    size_t n = sizeof(fail_names) / sizeof(fail_names[0]);

    return (size_t)f < n ? fail_names[f] : "unknown failure";
}

static const struct {
    const char *scheme;
    const llmux_transport_t *transport;
} schemes[] = {
    { "https:", &llmux_transport_curl },
    { "http:",  &llmux_transport_curl },
    { "demo:",  &llmux_transport_demo }
};

const llmux_transport_t *llmux_transport_for(const char *url)
{
    size_t i;

    for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (!apr_cstr_casecmpn(url, schemes[i].scheme,
                               strlen(schemes[i].scheme))) {
            return schemes[i].transport;
        }
    }
    return NULL;
}

apr_status_t llmux_transport_process_init(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? APR_SUCCESS
                                                             : APR_EGENERAL;
}
