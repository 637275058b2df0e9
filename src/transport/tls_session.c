/* tls_session.c - TLS sessions by peer, the one used last in front. */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "llmux/limits.h"
#include "tls_session.h"

typedef struct peer_t {
    struct peer_t *next;
    int count;
    SSL_SESSION *sessions[LLMUX_TLS_SESSIONS_MAX];  /* the newest last */
    char name[];
} peer_t;

struct llmux_sessions_t {
    pthread_mutex_t lock;
    peer_t *first;
    int count;
};

llmux_sessions_t *llmux_sessions_create(void)
{
    llmux_sessions_t *all = calloc(1, sizeof(*all));

    if (all) {
        pthread_mutex_init(&all->lock, NULL);
    }
    return all;
}

static void peer_free(peer_t *peer)
{
    while (peer->count) {
        SSL_SESSION_free(peer->sessions[--peer->count]);
    }
    free(peer);
}

void llmux_sessions_free(llmux_sessions_t *all)
{
    peer_t *peer = all->first, *next;

    for (; peer; peer = next) {
        next = peer->next;
        peer_free(peer);
    }
    pthread_mutex_destroy(&all->lock);
    free(all);
}

static void put_in_front(llmux_sessions_t *all, peer_t *peer)
{
    peer->next = all->first;
    all->first = peer;
    all->count++;
}

/* It is in front then. */
static peer_t *find(llmux_sessions_t *all, const char *name)
{
    peer_t **at = &all->first, *peer;

    while (*at && strcmp((*at)->name, name)) {
        at = &(*at)->next;
    }
    peer = *at;
    if (peer) {
        *at = peer->next;
        all->count--;
        put_in_front(all, peer);
    }
    return peer;
}

static void drop_last(llmux_sessions_t *all)
{
    peer_t **at = &all->first;

    while ((*at)->next) {
        at = &(*at)->next;
    }
    peer_free(*at);
    *at = NULL;
    all->count--;
}

static peer_t *add(llmux_sessions_t *all, const char *name)
{
    size_t len = strlen(name);
    peer_t *peer = calloc(1, sizeof(*peer) + len + 1);

    if (peer) {
        memcpy(peer->name, name, len);
        if (all->count == LLMUX_TLS_PEERS_MAX) {
            drop_last(all);
        }
        put_in_front(all, peer);
    }
    return peer;
}

static void push(peer_t *peer, SSL_SESSION *session)
{
    if (peer->count == LLMUX_TLS_SESSIONS_MAX) {
        SSL_SESSION_free(peer->sessions[0]);
        peer->count--;
        memmove(peer->sessions, peer->sessions + 1,
                sizeof(peer->sessions[0]) * (size_t)peer->count);
    }
    peer->sessions[peer->count++] = session;
}

void llmux_session_put(llmux_sessions_t *all, const char *name,
                       SSL_SESSION *session)
{
    peer_t *peer;

    pthread_mutex_lock(&all->lock);
    peer = find(all, name);
    peer = peer ? peer : add(all, name);
    if (peer) {
        push(peer, session);
    }
    else {
        SSL_SESSION_free(session);
    }
    pthread_mutex_unlock(&all->lock);
}

static int is_good(const SSL_SESSION *s, time_t now)
{
    time_t age = now - (time_t)SSL_SESSION_get_time(s);
    unsigned long hint = SSL_SESSION_get_ticket_lifetime_hint(s);

    return SSL_SESSION_is_resumable(s) && age >= 0
           && age < (time_t)SSL_SESSION_get_timeout(s)
           && (!hint || (unsigned long)age < hint);
}

/* One of TLS 1.2 stays for the next. */
static SSL_SESSION *newest(peer_t *peer, time_t now)
{
    SSL_SESSION *s;

    while (peer->count) {
        s = peer->sessions[peer->count - 1];
        if (is_good(s, now)
            && SSL_SESSION_get_protocol_version(s) < TLS1_3_VERSION) {
            return SSL_SESSION_up_ref(s) ? s : NULL;
        }
        peer->count--;
        if (is_good(s, now)) {
            return s;
        }
        SSL_SESSION_free(s);
    }
    return NULL;
}

SSL_SESSION *llmux_session_take(llmux_sessions_t *all, const char *name)
{
    SSL_SESSION *session = NULL;
    peer_t *peer;

    pthread_mutex_lock(&all->lock);
    peer = find(all, name);
    if (peer) {
        session = newest(peer, time(NULL));
    }
    pthread_mutex_unlock(&all->lock);
    return session;
}
