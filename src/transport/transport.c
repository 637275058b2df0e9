/* transport.c - what all transports share: waiting, heads, names, and which
 * of them is taken. */

#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include <apr_atomic.h>
#include <apr_cstr.h>

#include "curl_pool.h"
#include "http_pool.h"

void llmux_wait_conn(llmux_wait_t *w, int fd, apr_uint64_t id, int events)
{
    if (w->count == LLMUX_WAIT_FDS) {
        /* Any moment in the past is "at once", whatever the clock. */
        w->deadline = 1;
        return;
    }
    w->fds[w->count].fd = fd;
    w->fds[w->count].id = id;
    w->fds[w->count].events = (short)events;
    w->fds[w->count].ready = 0;
    w->count++;
}

void llmux_wait_fd(llmux_wait_t *w, int fd, int events)
{
    llmux_wait_conn(w, fd, 0, events);
}

apr_uint64_t llmux_wait_id(void)
{
    static apr_uint64_t last;

    return apr_atomic_inc64(&last) + 1;
}

void llmux_wait_until(llmux_wait_t *w, apr_time_t deadline)
{
    if (deadline && (!w->deadline || deadline < w->deadline)) {
        w->deadline = deadline;
    }
}

void llmux_header_add(apr_array_header_t *headers, const char *name,
                      const char *value)
{
    llmux_header_t *h = apr_array_push(headers);

    h->name = name;
    h->value = value;
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
    [LLMUX_FAIL_ADDRESS]            = "address not allowed",
    [LLMUX_FAIL_LOCAL]              = "local failure"
};

const char *llmux_fail_name(llmux_fail_e f)
{
    size_t n = sizeof(fail_names) / sizeof(fail_names[0]);

    return (size_t)f < n ? fail_names[f] : "unknown failure";
}

/* ---- which one -------------------------------------------------------- */

/* libcurl's variables; it takes HTTP_PROXY from nobody, for a CGI's client
 * could have set it. */
static const char *const proxy_variables[] = {
    "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"
};

/* Looked up once: an environment does not change. */
static int environment_has_proxy;

static int find_proxy(void)
{
    size_t i;

    for (i = 0; i < sizeof(proxy_variables) / sizeof(proxy_variables[0]);
         i++) {
        const char *value = getenv(proxy_variables[i]);

        if (value && *value) {
            return 1;
        }
    }
    return 0;
}

/* Whether the host is one that a proxy is not asked for, libcurl knows. */
static const llmux_transport_t *for_http(const llmux_upstream_t *up)
{
    int proxied = up->proxy ? *up->proxy != '\0' : environment_has_proxy;

    return proxied || up->use_curl ? &llmux_transport_curl
                                   : &llmux_transport_http;
}

static const llmux_transport_t *for_demo(const llmux_upstream_t *up)
{
    return &llmux_transport_demo;
}

static const struct {
    const char *scheme;
    const llmux_transport_t *(*transport)(const llmux_upstream_t *up);
} schemes[] = {
    { "https:", for_http },
    { "http:",  for_http },
    { "demo:",  for_demo }
};

const llmux_transport_t *llmux_transport_for(const char *url,
                                             const llmux_upstream_t *up)
{
    size_t i;

    for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (!apr_cstr_casecmpn(url, schemes[i].scheme,
                               strlen(schemes[i].scheme))) {
            return schemes[i].transport(up);
        }
    }
    return NULL;
}

/* ---- processes -------------------------------------------------------- */

apr_status_t llmux_transport_process_init(void)
{
    environment_has_proxy = find_proxy();
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? APR_SUCCESS
                                                             : APR_EGENERAL;
}

apr_status_t llmux_transport_child_init(apr_pool_t *pchild)
{
    apr_status_t rv = llmux_http_child_init(pchild);

    return rv == APR_SUCCESS ? llmux_curl_child_init(pchild) : rv;
}

int llmux_transport_idle_count(void)
{
    return llmux_http_idle_count() + llmux_curl_idle_count();
}
