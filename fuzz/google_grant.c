/* google_grant.c - fuzzes Google's key files and what token servers answer.
 * The first byte says which of them it is: even, a key file, in which @ stands
 * for a private key; odd, an answer. The second says with which status it came.
 *
 * covers: src/credential/google.c src/credential/google_account.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "credential/vendors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())
#define NOW apr_time_from_sec(1700000000)
#define INPUT_MAX (128u << 10)

static const char user[] =
    "{\"type\":\"authorized_user\",\"client_id\":\"id\",\"client_secret\":"
    "\"sec+ret\",\"refresh_token\":\"1//token\"}";

static const int statuses[] = { 200, 200, 200, 0, 302, 400, 401, 404, 503 };

static apr_time_t now_of(void *host)
{
    return NOW;
}

static const llmux_env_t env = { .now = now_of };

/* A private key as a JSON string, without the quotes. */
static const char *make_key(apr_pool_t *p)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);
    BIO *bio = BIO_new(BIO_s_mem());
    llmux_buf_t *out = llmux_buf_create(p, 1 << 16);
    llmux_slice_t pem;
    char *text;

    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    pem.len = (apr_size_t)BIO_get_mem_data(bio, &text);
    pem.data = text;
    llmux_json_escape(out, pem);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return out->data;
}

static llmux_slice_t with_key(apr_pool_t *p, llmux_slice_t in,
                              const char *key)
{
    llmux_buf_t *out = llmux_buf_create(p, INPUT_MAX);
    apr_size_t i;
    int once = 0;

    for (i = 0; i < in.len; i++) {
        if (in.data[i] == '@' && !once) {
            llmux_buf_adds(out, key);
            once = 1;
        }
        else {
            llmux_buf_add(out, in.data + i, 1);
        }
    }
    return llmux_buf_slice(out);
}

/* One line of plain characters. */
static void check_line(const char *s)
{
    for (; s && *s; s++) {
        MUST(*s >= ' ' && *s <= '~');
    }
}

static llmux_fetch_t fetch_of(apr_pool_t *p, const llmux_credential_t *c)
{
    llmux_fetch_t f;

    memset(&f, 0, sizeof(f));
    f.pool = p;
    f.credential = c;
    f.env = &env;
    return f;
}

/* Whoever gets a credential can ask with it. */
static void check_credential(apr_pool_t *p, const llmux_credential_t *c)
{
    llmux_fetch_t f = fetch_of(p, c);
    int https = !strncmp(c->url, "https://", 8);

    MUST(https || !strncmp(c->url, "http://127.0.0.1", 16)
         || !strncmp(c->url, "http://[::1]", 12)
         || !strncmp(c->url, "http://localhost", 16));
    MUST(!strpbrk(c->url, " \r\n@"));
    check_line(c->url);
    check_line(c->email);
    check_line(c->project);
    check_line(c->quota_project);
    MUST(c->secret);
    if (llmux_google_next(&f) == LLMUX_FETCH_ASK) {
        MUST(f.ask && f.ask->url == c->url && f.ask->body.len);
        MUST(!memchr(f.ask->body.data, ' ', f.ask->body.len));
    }
    else {
        MUST(f.why);
    }
}

static void fuzz_file(apr_pool_t *p, llmux_slice_t json)
{
    const char *why = NULL;
    llmux_credential_t *c = llmux_google_account(p, json, &why);

    MUST(!c == (why != NULL));
    check_line(why);
    if (c) {
        check_credential(p, c);
    }
}

static void check_grant(const llmux_grant_t *grant)
{
    const char *s;

    MUST(*grant->token && strlen(grant->token) < LLMUX_GRANT_TOKEN_MAX);
    for (s = grant->token; *s; s++) {
        MUST(*s > ' ' && *s <= '~');
    }
    MUST(grant->expires > NOW && grant->expires
         <= NOW + apr_time_from_sec(LLMUX_GRANT_LIFE_MAX));
}

static void fuzz_answer(apr_pool_t *p, unsigned int how, llmux_slice_t body)
{
    static const size_t count = sizeof(statuses) / sizeof(statuses[0]);
    const char *why;
    llmux_credential_t *c = how % 2
        ? llmux_google_instance(p)
        : llmux_google_account(p, llmux_slice(user), &why);
    llmux_fetch_t f = fetch_of(p, c ? c : llmux_google_instance(p));
    llmux_fetch_e got;

    MUST(llmux_google_next(&f) == LLMUX_FETCH_ASK);
    f.status = statuses[how / 2 % count];
    f.body = body;
    got = llmux_google_next(&f);
    MUST(got == LLMUX_FETCH_DONE || (got == LLMUX_FETCH_FAILED && f.why));
    check_line(f.why);
    if (got == LLMUX_FETCH_DONE) {
        MUST(f.status == 200);
        check_grant(&f.grant);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *key;
    static apr_pool_t *root;
    llmux_slice_t rest = { (const char *)data + 2, size - 2 };
    apr_pool_t *p;

    if (size < 2) {
        return 0;
    }
    if (!root) {
        apr_initialize();
        apr_pool_create(&root, NULL);
        key = make_key(root);
    }
    apr_pool_create(&p, root);
    if (data[0] % 2 == 0) {
        fuzz_file(p, with_key(p, rest, key));
    }
    else {
        fuzz_answer(p, data[1], rest);
    }
    apr_pool_destroy(p);
    return 0;
}
