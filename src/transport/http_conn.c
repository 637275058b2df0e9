/* http_conn.c - a connection's bytes, plain or over TLS. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "http_pool.h"

llmux_conn_t *llmux_conn_create(llmux_origin_t *o, int fd, apr_time_t now)
{
    llmux_conn_t *c = calloc(1, sizeof(*c));

    if (!c) {
        close(fd);
        return NULL;
    }
    c->origin = o;
    c->fd = fd;
    c->id = llmux_wait_id();
    c->born = now;
    return c;
}

void llmux_conn_free(llmux_conn_t *c)
{
    if (!c) {
        return;
    }
    llmux_tls_close(c->ssl, 1);
    close(c->fd);
    free(c);
}

int llmux_conn_pending(const llmux_conn_t *c)
{
    return c->ssl && llmux_tls_pending(c->ssl);
}

/* ---- reading ---------------------------------------------------------- */

static apr_status_t again(int *events, int what)
{
    *events = what;
    return APR_EAGAIN;
}

static apr_status_t read_plain(llmux_conn_t *c, char *to, apr_size_t cap,
                               apr_size_t *n, int *events)
{
    ssize_t got;

    do {
        got = recv(c->fd, to, cap, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK
            ? again(events, LLMUX_WAIT_READ) : errno;
    }
    *n = (apr_size_t)got;
    return got ? APR_SUCCESS : APR_EOF;
}

/* A provider sends a record for each of its chunks: those that are here go
 * on together. What ends the row shows again at the next read. */
static apr_status_t read_records(llmux_conn_t *c, char *to, apr_size_t cap,
                                 apr_size_t *n, int *events)
{
    apr_size_t got = 0, more;
    apr_status_t rv;

    do {
        rv = llmux_tls_read(c->ssl, to + got, cap - got, &more, events);
        got += rv == APR_SUCCESS ? more : 0;
    } while (rv == APR_SUCCESS && got < cap && llmux_tls_pending(c->ssl));
    *n = got;
    return got ? APR_SUCCESS : rv;
}

apr_status_t llmux_conn_read(llmux_conn_t *c, char *to, apr_size_t cap,
                             apr_size_t *n, int *events)
{
    return c->ssl ? read_records(c, to, cap, n, events)
                  : read_plain(c, to, cap, n, events);
}

/* ---- writing ---------------------------------------------------------- */

/* What is left of both behind the bytes that are sent. */
static int rest(struct iovec *v, llmux_slice_t head, llmux_slice_t body,
                apr_size_t sent)
{
    int n = 0;

    if (sent < head.len) {
        v[n].iov_base = (char *)head.data + sent;
        v[n++].iov_len = head.len - sent;
        sent = head.len;
    }
    sent -= head.len;
    if (sent < body.len) {
        v[n].iov_base = (char *)body.data + sent;
        v[n++].iov_len = body.len - sent;
    }
    return n;
}

static apr_status_t write_plain(llmux_conn_t *c, struct iovec *v, int count,
                                apr_size_t *sent, int *events)
{
    struct msghdr message = { .msg_iov = v, .msg_iovlen = (size_t)count };
    ssize_t n;

    do {
        n = sendmsg(c->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK
            ? again(events, LLMUX_WAIT_WRITE) : errno;
    }
    *sent += (apr_size_t)n;
    return APR_SUCCESS;
}

#define RECORD_MAX 16384    /* RFC 8446 5.1 */

/* Head and body share a record where they fit into one: it may leave as one
 * packet. */
static apr_status_t write_record(llmux_conn_t *c, const struct iovec *v,
                                 int count, apr_size_t *sent, int *events)
{
    char both[RECORD_MAX];
    const char *data = v[0].iov_base;
    apr_size_t len = v[0].iov_len, n;
    apr_status_t rv;

    if (count == 2 && v[0].iov_len + v[1].iov_len <= sizeof(both)) {
        memcpy(both, v[0].iov_base, v[0].iov_len);
        memcpy(both + v[0].iov_len, v[1].iov_base, v[1].iov_len);
        data = both;
        len += v[1].iov_len;
    }
    rv = llmux_tls_write(c->ssl, data, len, &n, events);
    *sent += rv == APR_SUCCESS ? n : 0;
    return rv;
}

apr_status_t llmux_conn_write(llmux_conn_t *c, llmux_slice_t head,
                              llmux_slice_t body, apr_size_t *sent,
                              int *events)
{
    apr_status_t rv = APR_SUCCESS;
    struct iovec v[2];
    int count = rest(v, head, body, *sent);

    while (count && rv == APR_SUCCESS) {
        rv = c->ssl ? write_record(c, v, count, sent, events)
                    : write_plain(c, v, count, sent, events);
        count = rest(v, head, body, *sent);
    }
    return rv;
}
