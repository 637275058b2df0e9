/* env.c - clock, chance and log, ids made of them, and the plain process. */

#include "llmux/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>
#include <sys/random.h>

#include <apr_errno.h>
#include <apr_strings.h>
#include <openssl/rand.h>

#define ID_LENGTH    24
#define RANDOM_BATCH 256

apr_time_t llmux_now(const llmux_env_t *env)
{
    return env->now(env->host);
}

apr_uint32_t llmux_chance(const llmux_env_t *env)
{
    return env->chance(env->host);
}

void llmux_log(const llmux_env_t *env, llmux_log_e level, int number,
               apr_status_t rv, const char *fmt, ...)
{
    char line[LLMUX_LOG_LINE_MAX];
    va_list ap;

    if (!env || !env->log || (int)level > env->log_level) {
        return;
    }
    va_start(ap, fmt);
    if (vsnprintf(line, sizeof(line), fmt, ap) < 0) {
        line[0] = '\0';
    }
    va_end(ap);
    env->log(env->host, level, number, rv, line);
}

/* ---- the plain process ----------------------------------------------- */

static apr_time_t process_now(void *host)
{
    return apr_time_now();
}

/* Random bytes of this thread, fetched in batches: an id for each request is
 * not worth a system call. A fork must not share them. */
static __thread struct {
    unsigned char bytes[RANDOM_BATCH];
    apr_size_t left;
    int of_process;
} lots;

static pthread_once_t watching = PTHREAD_ONCE_INIT;
static int this_process = 1;

static void count_fork(void)
{
    this_process++;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, count_fork);
}

/* Up to 256 bytes come whole or not at all; not at all means a kernel or a
 * sandbox without the call. Guessable ids are worse than no process. */
static void draw_lots(void)
{
    pthread_once(&watching, watch_forks);
    if (getrandom(lots.bytes, RANDOM_BATCH, 0) != RANDOM_BATCH
        && RAND_bytes(lots.bytes, RANDOM_BATCH) != 1) {
        abort();
    }
    lots.left = RANDOM_BATCH;
    lots.of_process = this_process;
}

static apr_uint32_t process_chance(void *host)
{
    apr_uint32_t bits;

    if (lots.left < sizeof(bits) || lots.of_process != this_process) {
        draw_lots();
    }
    lots.left -= sizeof(bits);
    memcpy(&bits, lots.bytes + lots.left, sizeof(bits));
    return bits;
}

/* A line stays a line, whatever a provider put into it. */
static void flatten(char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s < ' ' || *s == 0x7f) {
            *s = ' ';
        }
    }
}

static void process_log(void *host, llmux_log_e level, int number,
                        apr_status_t rv, const char *message)
{
    static const char *const names[] = { "error", "warning", "info", "debug",
                                         "trace" };
    char line[LLMUX_LOG_LINE_MAX], why[128] = "", tag[16] = "";

    if (number > 0) {
        snprintf(tag, sizeof(tag), "LX%04d: ", number);
    }
    if (rv != APR_SUCCESS) {
        apr_strerror(rv, why, sizeof(why));
    }
    snprintf(line, sizeof(line), "%s%s%s%s", tag, why, *why ? ": " : "",
             message);
    flatten(line);
    fprintf(stderr, "llmux: %s: %s\n",
            (unsigned)level <= LLMUX_LOG_TRACE ? names[level] : "log", line);
}

const llmux_env_t *llmux_env_process(void)
{
    static const llmux_env_t env = {
        .now = process_now,
        .chance = process_chance,
        .log = process_log,
        .log_level = LLMUX_LOG_INFO
    };

    return &env;
}

/* ---- ids ------------------------------------------------------------- */

/* The lowest `digits` hex digits of `n`, in front of `end`. */
static void put_hex(char *end, apr_uint64_t n, int digits)
{
    static const char hex[] = "0123456789abcdef";

    while (digits--) {
        *--end = hex[n & 15];
        n >>= 4;
    }
}

void llmux_uuid(const llmux_env_t *env, char out[37])
{
    apr_time_t now = llmux_now(env);
    apr_uint64_t us = (apr_uint64_t)(now > 0 ? now : 0);
    apr_uint64_t ms = us / 1000;
    /* RFC 9562, 6.2, method 3: rand_a is the millisecond's fraction, so that
     * ids of one process sort by time to the microsecond. */
    apr_uint64_t fraction = us % 1000 * 4096 / 1000;
    apr_uint64_t high = llmux_chance(env), low = llmux_chance(env);

    memcpy(out, "00000000-0000-7000-8000-000000000000", 37);
    put_hex(out + 8, ms >> 16, 8);
    put_hex(out + 13, ms, 4);
    put_hex(out + 18, fraction, 3);
    put_hex(out + 23, 0x8000 | (high >> 16 & 0x3fff), 4);
    put_hex(out + 28, high, 4);
    put_hex(out + 36, low, 8);
}

/* A number below 62^5, all equally likely: five letters' worth. */
static apr_uint32_t five_letters(const llmux_env_t *env)
{
    const apr_uint32_t below = 916132832u;
    apr_uint32_t n = llmux_chance(env);
    int tries;

    /* One in seven is thrown away. A broken source must not hang us. */
    for (tries = 0; n >= 4 * below && tries < 100; tries++) {
        n = llmux_chance(env);
    }
    return n % below;
}

const char *llmux_random_id(const llmux_env_t *env, apr_pool_t *p,
                            const char *prefix)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz0123456789";
    char id[ID_LENGTH + 1];
    apr_uint32_t n = 0;
    int i;

    for (i = 0; i < ID_LENGTH; i++) {
        n = i % 5 ? n / 62 : five_letters(env);
        id[i] = letters[n % 62];
    }
    id[ID_LENGTH] = '\0';
    return apr_pstrcat(p, prefix ? prefix : "", id, NULL);
}
