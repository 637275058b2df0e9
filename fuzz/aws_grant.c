/* aws_grant.c - fuzzes what AWS's services answer. Whatever they say, a fetch
 * comes to its end, a grant is fit for headers, and what goes wrong is said
 * in plain words.
 *
 * The input's first letter is whom to ask (c, i, w); then answers follow, each
 * three digits of status and a body, apart by a line with "--" alone.
 *
 * covers: src/credential/aws_answer.c src/credential/xml.c
 */

#include "credential/vendors.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())
#define ANSWERS_MAX 4

static apr_time_t fixed_now(void *host)
{
    return apr_time_from_sec(APR_INT64_C(1767225600));  /* 2026-01-01 */
}

static const llmux_env_t env = { .now = fixed_now };

static const llmux_credential_t credentials[] = {
    { .kind = LLMUX_CREDENTIAL_AWS_CONTAINER, .url = "http://127.0.0.1/" },
    { .kind = LLMUX_CREDENTIAL_AWS_INSTANCE },
    { .kind = LLMUX_CREDENTIAL_AWS_WEB_IDENTITY, .role = "arn",
      .session_file = "/proc/sys/kernel/ostype" }
};

/* Visible ASCII that ends within `size` bytes. */
static void check_text(const char *s, size_t size, int needed)
{
    size_t i, len = strnlen(s, size);

    MUST(len < size && (len || !needed));
    for (i = 0; i < len; i++) {
        MUST(s[i] > ' ' && s[i] < 0x7f);
    }
}

static void check_grant(const llmux_grant_t *g)
{
    check_text(g->id, sizeof(g->id), 1);
    check_text(g->secret, sizeof(g->secret), 1);
    check_text(g->token, sizeof(g->token), 0);
    MUST(g->expires > fixed_now(NULL));
}

/* Nothing that could end a line, of the log or of a head. */
static void check_line(const char *s)
{
    for (; *s; s++) {
        MUST((unsigned char)*s >= ' ' && *s != 0x7f);
    }
}

static void check_request(const llmux_request_t *rq)
{
    int i;

    check_line(rq->url);
    for (i = 0; i < rq->headers->nelts; i++) {
        check_line(APR_ARRAY_IDX(rq->headers, i, llmux_header_t).name);
        check_line(APR_ARRAY_IDX(rq->headers, i, llmux_header_t).value);
    }
}

static void check_end(const llmux_fetch_t *f, llmux_fetch_e end)
{
    static const llmux_grant_t none;

    if (end == LLMUX_FETCH_DONE) {
        check_grant(&f->grant);
    }
    if (end == LLMUX_FETCH_FAILED) {
        MUST(f->why != NULL);
        check_line(f->why);
        MUST(!memcmp(&f->grant, &none, sizeof(none)));
    }
}

static const char *find_end(const char *text, const char *end)
{
    for (; end - text >= 4; text++) {
        if (!memcmp(text, "\n--\n", 4)) {
            return text;
        }
    }
    return end;
}

static int status_of(const char *s)
{
    return s[0] < '0' || s[0] > '9' ? 0
        : (s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0');
}

/* A signature must take any grant. */
static void sign(apr_pool_t *p, const llmux_fetch_t *f)
{
    llmux_request_t rq = { .url = "https://a.test/b%2Fc?d=e" };

    llmux_sigv4_sign(p, &rq, &f->grant, "us-east-1", "bedrock",
                     fixed_now(NULL));
    MUST(rq.headers->nelts == (*f->grant.token ? 3 : 2));
    check_request(&rq);
}

static void fuzz(apr_pool_t *p, const char *text, const char *end)
{
    llmux_fetch_t f = { .pool = p, .env = &env };
    llmux_fetch_e got;
    const char *stop;
    int asked = 0;

    f.credential = &credentials[*text == 'c' ? 0 : *text == 'i' ? 1 : 2];
    got = llmux_aws_next(&f);
    for (text++; got == LLMUX_FETCH_ASK && end - text >= 3;
         text = end - stop >= 4 ? stop + 4 : end) {
        MUST(++asked < ANSWERS_MAX);
        check_request(f.ask);
        stop = find_end(text, end);
        f.status = stop - text >= 3 ? status_of(text) : 0;
        f.body.data = stop - text >= 3 ? text + 3 : stop;
        f.body.len = (apr_size_t)(stop - f.body.data);
        got = llmux_aws_next(&f);
    }
    check_end(&f, got);
    if (got == LLMUX_FETCH_DONE) {
        sign(p, &f);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *root;
    apr_pool_t *p;
    char *copy;

    if (!root) {
        apr_initialize();
        apr_pool_create(&root, NULL);
    }
    if (!size) {
        return 0;
    }
    /* A copy of exactly this size: a byte too far is seen. */
    copy = malloc(size);
    MUST(copy != NULL);
    memcpy(copy, data, size);
    apr_pool_create(&p, root);
    fuzz(p, copy, copy + size);
    apr_pool_destroy(p);
    free(copy);
    return 0;
}
