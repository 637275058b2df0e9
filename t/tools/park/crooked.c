/* crooked.c - TLS in front of a provider, that goes wrong as it is told.
 *
 * crooked <listener's descriptor> <port> <certificate> <key>
 *
 * One process for each connection. A request that names "/fault/<what>,<n>/"
 * in its path gets n bytes of the answer as they are, and then:
 *   reset    the connection is reset        cut      it is closed, no farewell
 *   bye      it is closed, with TLS's own farewell
 *   garbage  bytes that are no record       stall    nothing more
 *   half     half a record, then nothing    torn     ... then it is closed
 *   late     half a record, the other half after 1.2 s; all else is good
 *   crumbs   from there on, each byte has a record of its own, and each byte
 *            of the record a packet */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

typedef struct line_t {
    SSL *ssl;
    BIO *out;                   /* records before they are sent */
    int client, provider;
    char fault[16];
    long left;                  /* bytes until it goes wrong; < 0 = never */
    int crumbs;
} line_t;

/* ---- sending ----------------------------------------------------------- */

static void put(int fd, const char *bytes, long n)
{
    while (n > 0) {
        ssize_t sent = send(fd, bytes, (size_t)n, MSG_NOSIGNAL);

        if (sent <= 0) {
            _exit(0);
        }
        bytes += sent;
        n -= sent;
    }
}

/* What TLS has made and nobody has sent. */
static char *take_records(line_t *l, long *n)
{
    char *bytes;

    *n = BIO_get_mem_data(l->out, &bytes);
    return bytes;
}

static void flush(line_t *l)
{
    long n;
    char *bytes = take_records(l, &n);

    while (l->crumbs && n > 0) {
        put(l->client, bytes++, 1);
        n--;
    }
    put(l->client, bytes, n);
    BIO_reset(l->out);
}

static void say(line_t *l, const char *bytes, long n)
{
    long size = l->crumbs ? 1 : n;

    for (; n > 0; bytes += size, n -= size) {
        if (SSL_write(l->ssl, bytes, (int)size) != size) {
            _exit(0);
        }
        flush(l);
    }
}

/* ---- faults ------------------------------------------------------------ */

static void reset(int fd)
{
    struct linger hard = { 1, 0 };

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    _exit(0);
}

/* Until the client leaves; what he says is not heard. */
static void stall(line_t *l)
{
    char bytes[256];

    while (recv(l->client, bytes, sizeof(bytes), 0) > 0) {
        ;
    }
    _exit(0);
}

static void half(line_t *l, const char *bytes, long n)
{
    char *record;
    long size;

    if (SSL_write(l->ssl, bytes, (int)n) != n) {
        _exit(0);
    }
    record = take_records(l, &size);
    put(l->client, record, size / 2);
    if (!strcmp(l->fault, "half")) {
        stall(l);
    }
    if (!strcmp(l->fault, "torn")) {
        _exit(0);
    }
    usleep(1200000);
    put(l->client, record + size / 2, size - size / 2);
    BIO_reset(l->out);
    l->left = -1;
}

static void go_wrong(line_t *l, const char *bytes, long n)
{
    const char *f = l->fault;

    if (!strcmp(f, "reset")) {
        usleep(20000);      /* what was sent is to arrive first */
        reset(l->client);
    }
    else if (!strcmp(f, "cut")) {
        _exit(0);
    }
    else if (!strcmp(f, "bye")) {
        SSL_shutdown(l->ssl);
        flush(l);
        _exit(0);
    }
    else if (!strcmp(f, "garbage")) {
        put(l->client, "HTTP/1.1 200 this is no record\r\n\r\n", 34);
        stall(l);
    }
    else if (!strcmp(f, "stall")) {
        stall(l);
    }
    else if (!strcmp(f, "crumbs")) {
        l->crumbs = 1;
        l->left = -1;
        say(l, bytes, n);
    }
    else {
        half(l, bytes, n);
    }
}

/* ---- the line ---------------------------------------------------------- */

static void understand(line_t *l, const char *request)
{
    const char *at = strstr(request, "/fault/");

    l->left = -1;
    l->crumbs = 0;
    if (at) {
        sscanf(at + 7, "%15[a-z],%ld", l->fault, &l->left);
    }
}

static void from_provider(line_t *l)
{
    char bytes[8192];
    ssize_t n = recv(l->provider, bytes, sizeof(bytes), 0);
    ssize_t good = l->left >= 0 && l->left < n ? l->left : n;

    if (n <= 0) {
        SSL_shutdown(l->ssl);
        flush(l);
        _exit(0);
    }
    say(l, bytes, good);
    if (good < n) {
        go_wrong(l, bytes + good, n - good);
    }
    else if (l->left >= 0) {
        l->left -= n;
    }
}

static void feed(line_t *l, const char *bytes, ssize_t n)
{
    if (n <= 0) {
        _exit(0);
    }
    BIO_write(SSL_get_rbio(l->ssl), bytes, (int)n);
}

static void from_client(line_t *l)
{
    char bytes[16385];
    int n;

    feed(l, bytes, recv(l->client, bytes, sizeof(bytes) - 1, 0));
    if (!SSL_is_init_finished(l->ssl)) {
        SSL_accept(l->ssl);
        flush(l);
    }
    while ((n = SSL_read(l->ssl, bytes, sizeof(bytes) - 1)) > 0) {
        bytes[n] = 0;
        if (!strncmp(bytes, "POST ", 5)) {
            understand(l, bytes);
        }
        put(l->provider, bytes, n);
    }
    flush(l);
}

static int connect_to(int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET };
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    to.sin_port = htons((unsigned short)port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        _exit(1);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

static void serve(SSL_CTX *ctx, int client, int port)
{
    line_t l = { .client = client, .left = -1 };
    struct pollfd fds[2] = { { client, POLLIN, 0 }, { -1, POLLIN, 0 } };
    int one = 1;

    l.provider = fds[1].fd = connect_to(port);
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    l.ssl = SSL_new(ctx);
    l.out = BIO_new(BIO_s_mem());
    SSL_set_bio(l.ssl, BIO_new(BIO_s_mem()), l.out);
    SSL_set_accept_state(l.ssl);
    while (poll(fds, 2, -1) > 0) {
        if (fds[0].revents) {
            from_client(&l);
        }
        if (fds[1].revents) {
            from_provider(&l);
        }
    }
    _exit(1);
}

static int number(const char *text)
{
    return (int)strtol(text, NULL, 10);
}

int main(int argc, char **argv)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    int listener = argc > 4 ? number(argv[1]) : -1, client;

    signal(SIGCHLD, SIG_IGN);
    if (listener < 0 || SSL_CTX_use_certificate_chain_file(ctx, argv[3]) != 1
        || SSL_CTX_use_PrivateKey_file(ctx, argv[4], SSL_FILETYPE_PEM) != 1) {
        return 1;
    }
    while ((client = accept(listener, NULL, NULL)) >= 0) {
        if (fork() == 0) {
            close(listener);
            serve(ctx, client, number(argv[2]));
        }
        close(client);
    }
    return 1;
}
