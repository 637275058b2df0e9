/* curl.c - http and https: one exchange over one of libcurl's handles. */

#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <apr_cstr.h>
#include <apr_strings.h>

#include "curl_fail.h"
#include "curl_head.h"
#include "curl_pool.h"

typedef enum {
    PHASE_CONNECT,      /* names, sockets, proxy, TLS */
    PHASE_SEND,         /* connected; the request is going out */
    PHASE_SENT,         /* the head is awaited */
    PHASE_BODY          /* the head was handed out */
} phase_e;

typedef struct wire_t {
    llmux_wire_t base;
    apr_pool_t *p;
    const llmux_env_t *env;
    const llmux_request_t *rq;
    llmux_receiver_t to;
    llmux_handle_t *h;          /* NULL once given back or freed */
    llmux_step_e state;
    phase_e phase;
    apr_time_t opened;
    apr_time_t mark;            /* what its phase's clock counts from */
    curl_off_t sent;            /* bytes of our body */
    int moved;                  /* in this step, so the mark does too */

    llmux_head_t head;
    apr_size_t head_bytes;      /* of all blocks, trailers too */
    apr_uint64_t body_bytes;    /* decoded */
    int coded;                  /* the body is compressed */
    apr_size_t handed;          /* bytes of it handed out in this step */
    int paused;                 /* there is more, for the next step */
    llmux_fail_e refusal;       /* why a callback of ours ended it */
    char error[CURL_ERROR_SIZE];
} wire_t;

/* ---- ends ------------------------------------------------------------- */

/* libcurl may repeat what the provider said. */
static const char *printable(apr_pool_t *p, const char *s)
{
    char *copy = apr_pstrdup(p, s), *c;

    for (c = copy; *c; c++) {
        *c = (unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c;
    }
    return copy;
}

static void wire_fail(wire_t *w, llmux_fail_e why, const char *detail)
{
    w->state = LLMUX_STEP_FAILED;
    w->base.failure = why;
    w->base.detail = printable(w->p, detail);
    if (w->h) {
        llmux_handle_free(w->h);
        w->h = NULL;
    }
}

/* For callbacks: libcurl ends the transfer when they take nothing. */
static size_t refuse(wire_t *w, llmux_fail_e why, const char *detail)
{
    w->refusal = why;
    w->base.detail = detail;
    return 0;
}

/* ---- the head --------------------------------------------------------- */

static size_t head_deliver(wire_t *w, long status)
{
    const char *type = llmux_response_header(&w->head.r, "Content-Type");

    w->head.r.status = (int)status;
    w->head.r.content_type = type ? type : "";
    w->coded = llmux_head_layers(&w->head) > 0;
    w->phase = PHASE_BODY;
    w->moved = 1;
    if (w->to.head) {
        w->to.head(w->to.baton, &w->head.r);
    }
    return 1;
}

/* The empty line. 1xx heads are no answer yet. */
static size_t head_end(wire_t *w)
{
    const char *objection = llmux_head_objection(&w->head);
    long status = 0;

    curl_easy_getinfo(w->h->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status == 101) {
        return refuse(w, LLMUX_FAIL_PROTOCOL, "unasked switch of protocols");
    }
    if (status < 200) {
        return llmux_head_announces_body(&w->head)
            ? refuse(w, LLMUX_FAIL_PROTOCOL, "an interim answer with a body")
            : 1;
    }
    if (status == 407) {
        return refuse(w, LLMUX_FAIL_PROXY, "the proxy wants a password");
    }
    if (objection) {
        return refuse(w, LLMUX_FAIL_PROTOCOL, objection);
    }
    return head_deliver(w, status);
}

/* ---- libcurl's callbacks ---------------------------------------------- */

static size_t on_header(char *line, size_t size, size_t n, void *baton)
{
    wire_t *w = baton;
    size_t len = size * n;

    w->head_bytes += len;
    if (w->head_bytes > LLMUX_HEADERS_MAX) {
        return refuse(w, LLMUX_FAIL_PROTOCOL, "the head is too long");
    }
    if (w->phase == PHASE_BODY) {
        return len;     /* a trailer */
    }
    if (!llmux_head_line(&w->head, line, len)) {
        return len;
    }
    return head_end(w) ? len : 0;
}

/* The bytes on the wire lag behind by one read at most. */
static int is_bomb(const wire_t *w)
{
    curl_off_t wire = 0;

    curl_easy_getinfo(w->h->easy, CURLINFO_SIZE_DOWNLOAD_T, &wire);
    return w->body_bytes > ((apr_uint64_t)wire + LLMUX_READ_SIZE)
                           * LLMUX_INFLATE_RATIO_MAX;
}

static void hand_out(wire_t *w, const char *data, size_t len)
{
    w->body_bytes += len;
    w->handed += len;
    w->moved = 1;
    if (w->to.body) {
        w->to.body(w->to.baton, data, len);
    }
}

/* libcurl reads up to a hundred times as long as there is something; a pause
 * makes it stop after one. Not under compression, where it would keep what
 * a bomb becomes. */
static size_t on_body(char *data, size_t size, size_t n, void *baton)
{
    wire_t *w = baton;
    size_t len = size * n;

    if (!w->coded && w->handed >= LLMUX_READ_SIZE) {
        w->paused = 1;
        return CURL_WRITEFUNC_PAUSE;
    }
    hand_out(w, data, len);
    if (w->coded && is_bomb(w)) {
        return refuse(w, LLMUX_FAIL_PROTOCOL, "inflates out of proportion");
    }
    return len;
}

/* Connected. Comes twice when a pooled connection turns out to be dead and
 * libcurl makes another one. */
static int on_connected(void *baton, char *to, char *from, int to_port,
                        int from_port)
{
    wire_t *w = baton;
    long made = 0;

    curl_easy_getinfo(w->h->easy, CURLINFO_NUM_CONNECTS, &made);
    w->base.reused = !made;
    if (made) {
        w->h->born = llmux_now(w->env);
    }
    w->phase = PHASE_SEND;
    w->moved = 1;
    return CURL_PREREQFUNC_OK;
}

/* ---- open ------------------------------------------------------------- */

/* Does it have one of these characters? strpbrk() makes a table first. */
static int has(const char *s, char a, char b, char c)
{
    while (*s && *s != a && *s != b && *s != c) {
        s++;
    }
    return *s != '\0';
}

static int sayable(const llmux_header_t *h)
{
    return *h->name && !has(h->name, '\r', '\n', ':')
           && !has(h->value, '\r', '\n', '\n');
}

static const llmux_header_t *find(const apr_array_header_t *headers,
                                  const char *name)
{
    const llmux_header_t *h;
    int i;

    for (i = 0; headers && i < headers->nelts; i++) {
        h = &APR_ARRAY_IDX(headers, i, llmux_header_t);
        if (!apr_cstr_casecmp(h->name, name)) {
            return h;
        }
    }
    return NULL;
}

/* In front, so the last one comes first. In libcurl's words a header without
 * a value ends with a semicolon, and one with a colon alone is left out. */
static struct curl_slist *line(apr_pool_t *p, const char *name,
                               const char *between, const char *value,
                               struct curl_slist *next)
{
    struct curl_slist *s = apr_palloc(p, sizeof(*s));

    s->data = apr_pstrcat(p, name, between, value, NULL);
    s->next = next;
    return s;
}

/* What libcurl would add on its own to a body of this size, and what we say
 * instead. Each line costs it time, so none is said in vain. */
static const struct {
    const char *name, *between, *value;
    apr_size_t from;
} instead[] = {
    { "Expect",          ":",  "",         1 << 20 },
    { "Content-Type",    ":",  "",         0 },
    { "Accept-Encoding", ": ", "identity", 0 }
};

static struct curl_slist *lines(wire_t *w)
{
    const apr_array_header_t *all = w->rq->headers;
    struct curl_slist *list = NULL;
    const llmux_header_t *h;
    int i;

    for (i = 0; i < (int)(sizeof(instead) / sizeof(instead[0])); i++) {
        if (w->rq->body.len >= instead[i].from
            && !find(all, instead[i].name)) {
            list = line(w->p, instead[i].name, instead[i].between,
                        instead[i].value, list);
        }
    }
    for (i = all ? all->nelts - 1 : -1; i >= 0; i--) {
        h = &APR_ARRAY_IDX(all, i, llmux_header_t);
        if (!sayable(h)) {
            w->refusal = LLMUX_FAIL_LOCAL;
        }
        list = line(w->p, h->name, *h->value ? ": " : ";", h->value, list);
    }
    return list;
}

static void aim_body(CURL *easy, const char *method, llmux_slice_t body)
{
    if (method) {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
    }
    if (!body.data) {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
        return;
    }
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.data);
}

/* libcurl's own clock for connecting also shares the time out between a
 * host's addresses. */
static long connect_ms(const llmux_upstream_t *up)
{
    apr_interval_time_t ms = (up->connect + 999) / 1000;

    return ms <= 0 || ms > 0x7fffffff ? 0x7fffffff : (long)ms;
}

static void aim(wire_t *w, struct curl_slist *headers)
{
    CURL *easy = w->h->easy;

    curl_easy_setopt(easy, CURLOPT_URL, w->rq->url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    aim_body(easy, w->rq->method, w->rq->body);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     connect_ms(w->rq->upstream));
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, w->error);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, w);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, w);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_connected);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, w);
}

static void start(wire_t *w)
{
    struct curl_slist *headers = lines(w);

    if (w->refusal) {
        wire_fail(w, w->refusal, "a header cannot be sent as it is");
        return;
    }
    w->h = llmux_handle_take(w->p, w->env, w->rq->upstream, w->rq->url);
    if (!w->h) {
        wire_fail(w, LLMUX_FAIL_LOCAL, "no memory for a connection");
        return;
    }
    aim(w, headers);
    if (curl_multi_add_handle(w->h->multi, w->h->easy) != CURLM_OK) {
        wire_fail(w, LLMUX_FAIL_LOCAL, "libcurl does not take the request");
    }
}

static apr_status_t wire_end(void *data)
{
    wire_t *w = data;
    llmux_handle_t *h = w->h;

    w->h = NULL;
    if (!h) {
        return APR_SUCCESS;
    }
    if (w->state != LLMUX_STEP_DONE) {
        llmux_handle_free(h);
        return APR_SUCCESS;
    }
    curl_multi_remove_handle(h->multi, h->easy);
    llmux_handle_give(h, w->rq->upstream);
    return APR_SUCCESS;
}

static llmux_wire_t *curl_open(apr_pool_t *p, const llmux_env_t *env,
                               const llmux_request_t *rq,
                               const llmux_receiver_t *to)
{
    wire_t *w = apr_pcalloc(p, sizeof(*w));

    if (!w) {
        return NULL;
    }
    w->base.transport = &llmux_transport_curl;
    w->base.detail = "";
    w->p = p;
    w->env = env;
    w->rq = rq;
    w->to = *to;
    w->state = LLMUX_STEP_AGAIN;
    w->opened = w->mark = llmux_now(env);
    llmux_head_init(&w->head, p);
    apr_pool_cleanup_register(p, w, wire_end, apr_pool_cleanup_null);
    start(w);
    return &w->base;
}

/* ---- step ------------------------------------------------------------- */

static void act(llmux_handle_t *h, int fd, int events)
{
    int running, bits = (events & LLMUX_WAIT_READ ? CURL_CSELECT_IN : 0)
                        | (events & LLMUX_WAIT_WRITE ? CURL_CSELECT_OUT : 0);

    curl_multi_socket_action(h->multi, fd, bits, &running);
}

static int is_mine(const llmux_handle_t *h, int fd)
{
    int i = 0;

    while (i < h->count && h->fds[i].fd != fd) {
        i++;
    }
    return i < h->count;
}

/* The caller's wait knows nothing of our descriptors: looks for himself. */
static void look(const llmux_handle_t *h, llmux_wait_t *seen)
{
    struct pollfd fds[LLMUX_WAIT_FDS];
    int i;

    for (i = 0; i < h->count; i++) {
        fds[i].fd = h->fds[i].fd;
        fds[i].events = (h->fds[i].events & LLMUX_WAIT_READ ? POLLIN : 0)
                        | (h->fds[i].events & LLMUX_WAIT_WRITE ? POLLOUT : 0);
        fds[i].revents = 0;
    }
    poll(fds, h->count, 0);
    seen->count = h->count;
    for (i = 0; i < h->count; i++) {
        seen->fds[i].fd = h->fds[i].fd;
        seen->fds[i].ready = fds[i].revents ? h->fds[i].events : 0;
    }
}

/* How many of the wait's descriptors are ours. */
static int known(const llmux_handle_t *h, const llmux_wait_t *wait)
{
    int i, n = 0;

    for (i = 0; i < wait->count; i++) {
        n += is_mine(h, wait->fds[i].fd);
    }
    return n;
}

/* Lets libcurl do what can be done now. */
static void drive(llmux_handle_t *h, const llmux_wait_t *wait)
{
    llmux_wait_t seen;
    int i, running, acted = 0;

    if (h->count && !known(h, wait)) {
        look(h, &seen);
        wait = &seen;
    }
    for (i = 0; i < wait->count; i++) {
        if (wait->fds[i].ready && is_mine(h, wait->fds[i].fd)) {
            act(h, wait->fds[i].fd, wait->fds[i].ready);
            acted++;
        }
    }
    if (!acted) {
        curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
}

/* A connection that the provider closed is not worth keeping. */
static void finish(wire_t *w)
{
    curl_socket_t fd = CURL_SOCKET_BAD;

    w->state = LLMUX_STEP_DONE;
    curl_easy_getinfo(w->h->easy, CURLINFO_ACTIVESOCKET, &fd);
    if (fd == CURL_SOCKET_BAD) {
        llmux_handle_free(w->h);
        w->h = NULL;
        return;
    }
    w->h->fd = fd;
}

static const char *detail_of(const wire_t *w, CURLcode code)
{
    const char *ca_file = w->rq->upstream->ca_file;

    if (code == CURLE_SSL_CACERT_BADFILE) {
        return apr_psprintf(w->p, "no certificates in %s",
                            ca_file ? ca_file : "the system's CA file");
    }
    return *w->error ? w->error : curl_easy_strerror(code);
}

static void fail_with(wire_t *w, CURLcode code)
{
    wire_fail(w, llmux_curl_failure(w->h->easy, code, w->error,
                                    w->phase != PHASE_CONNECT),
              detail_of(w, code));
}

static void collect(wire_t *w)
{
    int left;
    CURLMsg *msg = curl_multi_info_read(w->h->multi, &left);

    if (!msg) {
        return;
    }
    if (w->refusal) {
        wire_fail(w, w->refusal, w->base.detail);
    }
    else if (msg->data.result != CURLE_OK) {
        fail_with(w, msg->data.result);
    }
    else if (w->phase != PHASE_BODY) {
        /* libcurl is content when the end comes inside the head. */
        wire_fail(w, LLMUX_FAIL_RESET, "ended inside the head");
    }
    else {
        finish(w);
    }
}

static int is_sending(const llmux_handle_t *h)
{
    int i = 0;

    while (i < h->count && !(h->fds[i].events & LLMUX_WAIT_WRITE)) {
        i++;
    }
    return i < h->count;
}

/* Sets the phase's clock back if there was progress: after the callbacks,
 * so that a client who takes his time does not make the provider late. */
static void track(wire_t *w)
{
    curl_off_t sent = 0;

    if (w->phase == PHASE_SEND) {
        curl_easy_getinfo(w->h->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
        w->moved |= sent != w->sent || !is_sending(w->h);
        w->sent = sent;
        w->phase = is_sending(w->h) ? PHASE_SEND : PHASE_SENT;
    }
    if (w->moved) {
        w->mark = llmux_now(w->env);
        w->moved = 0;
    }
}

/* What each phase has time for. The bounds are found in llmux_upstream_t. */
static const struct {
    size_t bound;
    llmux_fail_e fail;
    const char *detail;
} clocks[] = {
    [PHASE_CONNECT] = { offsetof(llmux_upstream_t, connect),
                        LLMUX_FAIL_CONNECT_TIMEOUT, "not connected in time" },
    [PHASE_SEND]    = { offsetof(llmux_upstream_t, first_byte),
                        LLMUX_FAIL_FIRST_BYTE_TIMEOUT,
                        "the request is not being read" },
    [PHASE_SENT]    = { offsetof(llmux_upstream_t, first_byte),
                        LLMUX_FAIL_FIRST_BYTE_TIMEOUT, "no answer in time" },
    [PHASE_BODY]    = { offsetof(llmux_upstream_t, between),
                        LLMUX_FAIL_SILENCE_TIMEOUT,
                        "silent in the middle of the answer" }
};

/* 0 when there is no bound. */
static apr_time_t phase_deadline(const wire_t *w)
{
    apr_interval_time_t bound = *(const apr_interval_time_t *)
        ((const char *)w->rq->upstream + clocks[w->phase].bound);

    return bound > 0 ? w->mark + bound : 0;
}

static apr_time_t total_deadline(const wire_t *w)
{
    apr_interval_time_t bound = w->rq->upstream->total;

    return bound > 0 ? w->opened + bound : 0;
}

static void check_clocks(wire_t *w)
{
    apr_time_t now = llmux_now(w->env), phase, total;

    /* A clock that was set back must not make anything last. */
    w->mark = now < w->mark ? now : w->mark;
    w->opened = now < w->opened ? now : w->opened;
    phase = phase_deadline(w);
    total = total_deadline(w);
    if (phase && now >= phase) {
        wire_fail(w, clocks[w->phase].fail, clocks[w->phase].detail);
    }
    else if (total && now >= total) {
        wire_fail(w, LLMUX_FAIL_TOTAL_TIMEOUT, "not finished in time");
    }
}

/* What was held back at the end of the last step. */
static void resume(wire_t *w)
{
    CURLcode code = CURLE_OK;

    w->handed = 0;
    if (w->paused) {
        w->paused = 0;
        code = curl_easy_pause(w->h->easy, CURLPAUSE_CONT);
    }
    if (code != CURLE_OK) {
        fail_with(w, code);
    }
}

static void advance(wire_t *w, const llmux_wait_t *wait)
{
    resume(w);
    if (w->state == LLMUX_STEP_AGAIN) {
        drive(w->h, wait);
        collect(w);
    }
    if (w->state == LLMUX_STEP_AGAIN) {
        track(w);
        check_clocks(w);
    }
}

static void fill(const wire_t *w, llmux_wait_t *wait)
{
    int i;

    wait->count = 0;
    wait->deadline = w->paused;     /* long ago: come back at once */
    for (i = 0; i < w->h->count; i++) {
        llmux_wait_fd(wait, w->h->fds[i].fd, w->h->fds[i].events);
    }
    llmux_wait_until(wait, w->h->timer);
    llmux_wait_until(wait, phase_deadline(w));
    llmux_wait_until(wait, total_deadline(w));
}

static llmux_step_e curl_step(llmux_wire_t *wire, llmux_wait_t *wait)
{
    wire_t *w = (wire_t *)wire;

    if (w->state != LLMUX_STEP_AGAIN) {
        return w->state;
    }
    advance(w, wait);
    if (w->state == LLMUX_STEP_AGAIN) {
        fill(w, wait);
    }
    return w->state;
}

static void curl_close(llmux_wire_t *wire)
{
    wire_t *w = (wire_t *)wire;

    apr_pool_cleanup_run(w->p, w, wire_end);
}

const llmux_transport_t llmux_transport_curl = {
    .name = "curl",
    .open = curl_open,
    .step = curl_step,
    .close = curl_close
};
