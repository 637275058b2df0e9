/* conform.h - what tests of both transports share: a provider, and somebody
 * who asks it over one of them. Each case is run over each of them; where one
 * cannot do it, a table says so, and why. */

#ifndef CONFORM_H
#define CONFORM_H

#include <fcntl.h>

#include <apr_strings.h>

#include "llmux/transport.h"
#include "tap.h"
#include "upstream.h"

#define MS(n) ((n) * (apr_interval_time_t)1000)

/* Who is to pass a case. */
enum { LEAN = 1, CURL = 2, BOTH = LEAN | CURL };

/** ok(), with the transport's name in front. */
#define holds(cond, fmt, ...) \
    ok(cond, "%s: " fmt, over->name, ##__VA_ARGS__)

static apr_pool_t *pool;
static upstream_t server;

static const llmux_upstream_t patient = {
    .proxy = "", .connect = MS(2000), .first_byte = MS(2000),
    .between = MS(2000), .total = MS(5000), .idle = MS(10000),
    .max_age = MS(60000)
};

/** Runs the tests over one transport after the other. */
__attribute__((unused))
static void over_both(void (*tests)(void))
{
    over = &llmux_transport_http;
    tests();
    over = &llmux_transport_curl;
    tests();
    over = NULL;
}

__attribute__((unused))
static int is_over(int whom)
{
    return whom & (over == &llmux_transport_http ? LEAN : CURL);
}

/** With connections of its own: whom a connection trusts is part of what it
 * is, and over plain HTTP nobody reads the file. */
__attribute__((unused))
static llmux_upstream_t with_pool(const char *name)
{
    llmux_upstream_t up = patient;

    up.ca_file = name;
    return up;
}

static const char *url_of(const char *path)
{
    return apr_psprintf(pool, "http://127.0.0.1:%d%s", server.port, path);
}

/** @param path at the provider, or a whole URL */
static outcome_t post(const llmux_upstream_t *up, const char *path,
                      apr_array_header_t *headers, llmux_slice_t body)
{
    llmux_request_t rq = { up, *path == '/' ? url_of(path) : path, headers,
                           body };
    outcome_t o = { 0 };

    drive_to_end(pool, &rq, &o);
    return o;
}

__attribute__((unused))
static outcome_t get(const llmux_upstream_t *up, const char *path)
{
    return post(up, path, NULL, llmux_slice("{}"));
}

__attribute__((unused))
static const char *text_of(const outcome_t *o)
{
    return llmux_slice_str(pool, llmux_buf_slice(o->body));
}

/** What a header of the answer says, or NULL. */
__attribute__((unused))
static const char *header_of(const outcome_t *o, const char *name)
{
    llmux_response_t r = { o->status, "", o->headers };

    return llmux_response_header(&r, name);
}

/** Descriptors that this process has open. */
__attribute__((unused))
static int descriptors(void)
{
    int fd, n = 0;

    for (fd = 0; fd < 1024; fd++) {
        n += fcntl(fd, F_GETFD) >= 0;
    }
    return n;
}

/** Both are ready, and the provider plays this. */
__attribute__((unused))
static apr_pool_t *conform_start(const script_t *scripts)
{
    apr_pool_t *child;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    apr_pool_create(&child, NULL);
    upstream_start(&server, scripts, NULL);
    ok(llmux_transport_process_init() == APR_SUCCESS
       && llmux_transport_child_init(child) == APR_SUCCESS,
       "the transports are ready");
    return child;
}

/** Ends the child; all that it had is closed. */
__attribute__((unused))
static int conform_done(apr_pool_t *child)
{
    apr_pool_destroy(child);
    is_int(llmux_transport_idle_count(), 0, "the child's end closes them all");
    ok(upstream_empty(&server), "nobody is left at the provider's");
    apr_pool_destroy(pool);
    return tap_done();
}

#endif
