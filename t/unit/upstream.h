/* upstream.h - a provider for tests: one thread per connection, on the
 * loopback, that plays what the request's path asks for. */

#ifndef UPSTREAM_H
#define UPSTREAM_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "llmux/transport.h"
#include "tap.h"

/* A connection as the provider sees it. */
typedef struct conn_t {
    int fd;
    SSL *ssl;               /* NULL = plain */
    int id;                 /* which connection to this provider, from 1 */
    int nth;                /* request on this connection, 1 = first */
    char head[65536];       /* request's head, NUL-terminated */
    size_t body;            /* bytes of its body */
    char extra[65536];      /* read beyond the head */
    size_t extra_len;
} conn_t;

/* Plays one answer; returns 0 to close the connection after it. */
typedef int (*play_fn)(conn_t *c);

/* One beginning with '!' does not have its request's body read; one ending
 * with '*' is for all paths that begin so. */
typedef struct script_t {
    const char *path;
    play_fn play;
} script_t;

typedef struct upstream_t {
    int listener, port;
    const script_t *scripts;    /* ends with a NULL path */
    SSL_CTX *tls;               /* NULL = plain */
    int connections, requests;  /* seen so far; atomic */
    int visitors;               /* still there; atomic */
    int resumed;                /* TLS sessions taken up again */
} upstream_t;

typedef struct visit_t {
    upstream_t *server;
    conn_t c;
} visit_t;

/* ---- what scripts are made of ----------------------------------------- */

__attribute__((unused))
static void pause_ms(int ms)
{
    usleep(ms * 1000);
}

__attribute__((unused))
static int say_bytes(conn_t *c, const void *data, size_t len)
{
    const char *at = data;
    ssize_t n = 1;

    for (; len && n > 0; at += n, len -= n) {
        n = c->ssl ? SSL_write(c->ssl, at, (int)len)
                   : send(c->fd, at, len, MSG_NOSIGNAL);
    }
    return n > 0;
}

__attribute__((unused))
static int say(conn_t *c, const char *text)
{
    return say_bytes(c, text, strlen(text));
}

/* Each byte in a packet of its own, as far as the other side keeps up. */
__attribute__((unused))
static int say_slowly(conn_t *c, const char *text)
{
    int on = 1;

    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    for (; *text && on; text++) {
        on = say_bytes(c, text, 1);
        usleep(40);
    }
    return on;
}

/* The connection ends with a reset: to be closed after it. */
__attribute__((unused))
static int reset(conn_t *c)
{
    struct linger none = { 1, 0 };

    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    return 0;
}

/* Has the other side gone within this time? */
__attribute__((unused))
static int gone_within(conn_t *c, int ms)
{
    struct pollfd p = { c->fd, POLLIN, 0 };
    char byte;

    return poll(&p, 1, ms) == 1 && recv(c->fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

/* ---- requests --------------------------------------------------------- */

static ssize_t hear_some(conn_t *c, char *to, size_t max)
{
    return c->ssl ? SSL_read(c->ssl, to, (int)max) : recv(c->fd, to, max, 0);
}

__attribute__((unused))
static int hear_head(conn_t *c)
{
    size_t len = 0, rest;
    char *end = NULL;
    ssize_t n;

    while (!end) {
        n = hear_some(c, c->head + len, sizeof(c->head) - 1 - len);
        if (n <= 0) {
            return 0;
        }
        if (!c->ssl && *c->head == 0x16) {
            say(c, "HTTP/1.1 400 No TLS Here\r\n\r\n");
            return 0;
        }
        len += n;
        c->head[len] = '\0';
        end = strstr(c->head, "\r\n\r\n");
    }
    rest = len - (end + 4 - c->head);
    memcpy(c->extra, end + 4, rest);
    c->extra_len = rest;
    end[4] = '\0';
    return 1;
}

__attribute__((unused))
static int hear_body(conn_t *c)
{
    const char *length = strcasestr(c->head, "\r\nContent-Length:");
    size_t want = length ? strtoul(length + 17, NULL, 10) : 0;
    ssize_t n = 1;

    for (c->body = c->extra_len; c->body < want && n > 0; c->body += n) {
        n = hear_some(c, c->extra, sizeof(c->extra));
    }
    return c->body == want;
}

static int is_for(const script_t *line, const char *path)
{
    const char *want = line->path + (*line->path == '!');
    size_t len = strcspn(want, "*");

    return want[len] ? !strncmp(want, path, len) : !strcmp(want, path);
}

static play_fn script_for(const upstream_t *s, conn_t *c)
{
    char path[256] = "";
    const script_t *line = s->scripts;
    const char *at;

    sscanf(c->head, "%*s %255s", path);
    /* A proxy is asked for a whole URL. */
    at = *path == '/' ? NULL : strstr(path, "://");
    at = at ? strchr(at + 3, '/') : path;
    at = at ? at : "/";
    while (line->path && !is_for(line, at)) {
        line++;
    }
    if (line->path && *line->path != '!' && !hear_body(c)) {
        return NULL;
    }
    return line->play;
}

static void *visit(void *data)
{
    visit_t *v = data;
    conn_t *c = &v->c;
    play_fn play;
    int on = 1;

    if (v->server->tls) {
        c->ssl = SSL_new(v->server->tls);
        SSL_set_fd(c->ssl, c->fd);
        on = SSL_accept(c->ssl) == 1;
        if (on && SSL_session_reused(c->ssl)) {
            __sync_add_and_fetch(&v->server->resumed, 1);
        }
    }
    while (on && hear_head(c)) {
        c->nth++;
        __sync_add_and_fetch(&v->server->requests, 1);
        play = script_for(v->server, c);
        on = play && play(c);
    }
    SSL_free(c->ssl);
    OPENSSL_thread_stop();
    close(c->fd);
    __sync_sub_and_fetch(&v->server->visitors, 1);
    free(v);
    return NULL;
}

static void *accept_all(void *data)
{
    upstream_t *s = data;
    pthread_t thread;
    visit_t *v;
    int fd;

    for (;;) {
        fd = accept(s->listener, NULL, NULL);
        if (fd < 0) {
            return NULL;
        }
        v = calloc(1, sizeof(*v));
        v->server = s;
        v->c.fd = fd;
        v->c.id = __sync_add_and_fetch(&s->connections, 1);
        __sync_add_and_fetch(&s->visitors, 1);
        pthread_create(&thread, NULL, visit, v);
        pthread_detach(thread);
    }
}

/* ---- the server ------------------------------------------------------- */

/** A listener on a port of its own; @return the port. */
static int listen_somewhere(int *fd, int backlog)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t len = sizeof(a);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(*fd, (struct sockaddr *)&a, len) || listen(*fd, backlog)
        || getsockname(*fd, (struct sockaddr *)&a, &len)) {
        perror("listen");
        exit(1);
    }
    return ntohs(a.sin_port);
}

/* On this listener, until the program ends. */
static void upstream_run(upstream_t *s, const script_t *scripts, SSL_CTX *tls,
                         int listener, int port)
{
    pthread_t thread;

    signal(SIGPIPE, SIG_IGN);
    memset(s, 0, sizeof(*s));
    s->scripts = scripts;
    s->tls = tls;
    s->listener = listener;
    s->port = port;
    pthread_create(&thread, NULL, accept_all, s);
    pthread_detach(thread);
}

/** Starts it; it runs until the program ends. */
__attribute__((unused))
static void upstream_start(upstream_t *s, const script_t *scripts,
                           SSL_CTX *tls)
{
    int fd, port = listen_somewhere(&fd, 64);

    upstream_run(s, scripts, tls, fd, port);
}

/** Waits until all who came have gone: OpenSSL cleans up when the program
 * ends, and nobody may use it by then.
 * @return whether they have */
__attribute__((unused))
static int upstream_empty(upstream_t *s)
{
    int i, here = 1;

    for (i = 0; i < 500 && here; i++) {
        here = __sync_add_and_fetch(&s->visitors, 0);
        pause_ms(here ? 10 : 0);
    }
    return !here;
}

/* A counter of the server's. */
__attribute__((unused))
static int seen(int *counter)
{
    return __sync_add_and_fetch(counter, 0);
}

/* ---- the client's side ------------------------------------------------ */

/* The one that exchanges go over; NULL = the one that is for their URL. */
static const llmux_transport_t *over;

/* Whose clock they go by; NULL = the process's. */
static const llmux_env_t *with_env;

/* What came of an exchange. */
typedef struct outcome_t {
    llmux_step_e end;
    llmux_fail_e fail;
    const char *detail;
    int status, heads, steps, reused;
    const char *type;
    apr_array_header_t *headers;
    llmux_buf_t *body;
    apr_size_t most;            /* body bytes in one step */
    apr_interval_time_t took;

    apr_size_t now;             /* body bytes in this step */
    int nap;                    /* ms the client takes for what a step brings */
    int leave;                  /* close once a body byte came */
    const llmux_transport_t *over;  /* this one; NULL = as below */
} outcome_t;

static void got_head(void *baton, const llmux_response_t *r)
{
    outcome_t *o = baton;

    o->heads++;
    o->status = r->status;
    o->type = r->content_type;
    o->headers = r->headers;
}

static void got_body(void *baton, const char *data, apr_size_t len)
{
    outcome_t *o = baton;

    llmux_buf_add(o->body, data, len);
    o->now += len;
}

static const llmux_env_t *env_now(void)
{
    return with_env ? with_env : llmux_env_process();
}

/** Waits as a caller would. */
static void wait_poll(llmux_wait_t *w)
{
    struct pollfd fds[LLMUX_WAIT_FDS];
    apr_interval_time_t left = w->deadline - llmux_now(env_now());
    int i, ms = left > 0 ? (int)((left + 999) / 1000) : 0;

    for (i = 0; i < w->count; i++) {
        fds[i].fd = w->fds[i].fd;
        fds[i].events = (w->fds[i].events & LLMUX_WAIT_READ ? POLLIN : 0)
                        | (w->fds[i].events & LLMUX_WAIT_WRITE ? POLLOUT : 0);
        fds[i].revents = 0;
    }
    poll(fds, w->count, w->deadline ? ms : -1);
    for (i = 0; i < w->count; i++) {
        w->fds[i].ready = fds[i].revents ? w->fds[i].events : 0;
    }
}

/** Drives an exchange to its end. `o` may bring `nap`, `leave`, `over`. */
__attribute__((unused))
static void drive_to_end(apr_pool_t *p, const llmux_request_t *rq,
                         outcome_t *o)
{
    const llmux_transport_t *t = o->over ? o->over : over ? over
        : llmux_transport_for(rq->url, rq->upstream);
    llmux_receiver_t to = { got_head, got_body, o };
    apr_time_t start = apr_time_now();
    llmux_wait_t wait = { 0 };
    llmux_wire_t *w;

    o->body = llmux_buf_create(p, 64 << 20);
    w = t->open(p, env_now(), rq, &to);
    do {
        o->now = 0;
        o->end = t->step(w, &wait);
        o->steps++;
        o->most = o->now > o->most ? o->now : o->most;
        usleep(o->now ? o->nap * 1000 : 0);
        if (o->end == LLMUX_STEP_AGAIN && !(o->leave && o->body->len)) {
            wait_poll(&wait);
        }
    } while (o->end == LLMUX_STEP_AGAIN && !(o->leave && o->body->len));
    o->fail = w->failure;
    o->detail = w->detail;
    o->reused = w->reused;
    o->took = apr_time_now() - start;
    t->close(w);
}

#endif
