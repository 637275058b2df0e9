/* google.c - credentials of Google's: what a key file says, what is asked
 * with it, and what is made of the answers. */

#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "tap.h"
#include "transcript.h"
#include "credential/vendors.h"

static apr_pool_t *pool;
static const char *pem;             /* of a key that this test makes */
static EVP_PKEY *key;

/* ---- a key, and files with it ----------------------------------------- */

static const char *pem_of(EVP_PKEY *k, const char *passphrase)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const char *text;
    char *data;
    long len;

    PEM_write_bio_PKCS8PrivateKey(bio, k,
                                  passphrase ? EVP_aes_128_cbc() : NULL,
                                  passphrase, passphrase ? 2 : 0, NULL, NULL);
    len = BIO_get_mem_data(bio, &data);
    text = apr_pstrmemdup(pool, data, (apr_size_t)len);
    BIO_free(bio);
    return text;
}

/* As a JSON string, with quotes: the line ends are escaped. */
static const char *quoted(const char *text)
{
    llmux_buf_t *out = llmux_buf_create(pool, 1 << 16);
    llmux_jw_t w = llmux_jw(out);

    llmux_jw_cstr(&w, text);
    return out->data;
}

/* A file as Google gives it, and more members behind: the last one counts.
 * @param type with "rest": of members, in single quotes */
static llmux_slice_t account_file(const char *rest)
{
    return llmux_slice(apr_pstrcat(
        pool, quotes(pool, "{'type':'service_account','project_id':'my-proj',"
                     "'private_key_id':'kid1','client_email':"
                     "'me@my-proj.iam.gserviceaccount.com','client_id':'1',"
                     "'auth_uri':'https://accounts.google.com/o/oauth2/auth',"
                     "'token_uri':'https://oauth2.googleapis.com/token',"
                     "'universe_domain':'googleapis.com','private_key':"),
        quoted(pem), quotes(pool, rest), "}", NULL));
}

#define USER "{'type':'authorized_user','client_id':'76.apps','client_secret'" \
             ":'d-FL95Q+','refresh_token':'1//0gdfdkdffgjdkfg'," \
             "'quota_project_id':'billed','account':''"

static llmux_slice_t user_file(const char *rest)
{
    return llmux_slice(quotes(pool, apr_pstrcat(pool, USER, rest, "}", NULL)));
}

/* ---- files ------------------------------------------------------------ */

static void test_account(void)
{
    const char *why = "?";
    llmux_credential_t *c = llmux_google_account(pool, account_file(""),
                                                 &why);

    ok(c && !why, "a key file is read");
    is_int(c->kind, LLMUX_CREDENTIAL_GOOGLE_ACCOUNT, "... an account's");
    is_str(c->url, "https://oauth2.googleapis.com/token", "whom to ask");
    is_str(c->email, "me@my-proj.iam.gserviceaccount.com", "its e-mail");
    is_str(c->key_id, "kid1", "its key's id");
    is_str(c->project, "my-proj", "its project");
    ok(!c->quota_project, "nobody else is charged");
    ok(c->secret && c->upstream.total > 0, "it has a key and patience");
    c = llmux_google_account(pool, user_file(""), &why);
    ok(c && !why, "a person's file is read");
    is_int(c->kind, LLMUX_CREDENTIAL_GOOGLE_USER, "... a person's");
    is_str(c->url, "https://oauth2.googleapis.com/token",
           "whom to ask when nothing is said");
    is_str(c->quota_project, "billed", "who is charged");
}

/* What follows the members of a good file; NULL: it is still good. */
static const struct { const char *rest, *why; } files[] = {
    { "", NULL },
    { ",'token_uri':'https://sts.example:8443/t?x=1'", NULL },
    { ",'token_uri':'http://127.0.0.1:8080/token'", NULL },
    { ",'token_uri':'http://localhost/token'", NULL },
    { ",'token_uri':'http://[::1]:1/token'", NULL },
    { ",'token_uri':null,'project_id':null,'private_key_id':null", NULL },
    { ",'project_id':'example.com:proj-1'", NULL },
    { ",'token_uri':'http://oauth2.googleapis.com/token'", "token_uri" },
    { ",'token_uri':'http://localhost.example/token'", "token_uri" },
    { ",'token_uri':'http://127.0.0.1@example/token'", "token_uri" },
    { ",'token_uri':'http://127.0.0.1:80x/token'", "token_uri" },
    { ",'token_uri':'http://127.0.0.1\\\\x'", "token_uri" },
    { ",'token_uri':'https://'", "token_uri" },
    { ",'token_uri':'https:///t'", "token_uri" },
    { ",'token_uri':'https://a b/'", "token_uri" },
    { ",'token_uri':'https://user@x.example/t'", "token_uri" },
    { ",'token_uri':'https://x.example/t#f'", "token_uri" },
    { ",'token_uri':'https://a/\\r\\nX: y'", "token_uri" },
    { ",'token_uri':'file:///etc/passwd'", "token_uri" },
    { ",'token_uri':7", "token_uri" },
    { ",'universe_domain':'s3nsapis.fr'", "universe_domain" },
    { ",'client_email':''", "client_email" },
    { ",'client_email':null", "client_email" },
    { ",'client_email':'a\\u0000b'", "client_email" },
    { ",'project_id':'../x'", "project_id" },
    { ",'private_key':null", "private_key" },
    { ",'private_key':''", "private_key" },
    { ",'private_key':'SECRET'", "private_key" },
    { ",'private_key':'-----BEGIN PRIVATE KEY-----\\nSECRET\\n-----END "
      "PRIVATE KEY-----\\n'", "private_key" },
    { ",'type':'external_account'", "workload identity" },
    { ",'type':'external_account_authorized_user'", "workforce identity" },
    { ",'type':'impersonated_service_account'", "impersonated" },
    { ",'type':'gdch_service_account'", "Distributed" },
    { ",'type':'SECRET'", "type" },
    { ",'type':1", "type" }
};

static void test_files(void)
{
    const char *why;
    apr_size_t i;

    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        int good = llmux_google_account(pool, account_file(files[i].rest),
                                        &why) != NULL;

        ok(good == !files[i].why && good == !why, "a file with %s",
           *files[i].rest ? files[i].rest : "nothing odd");
        ok(good || (why && strstr(why, files[i].why)
                    && !strstr(why, "SECRET")), "... is told: %s",
           why ? why : "-");
    }
}

static const struct { const char *rest, *why; } people[] = {
    { "", NULL },
    { ",'refresh_token':''", "refresh_token" },
    { ",'refresh_token':'env:HOME'", "refresh_token" },
    { ",'client_secret':'file:/etc/passwd'", "client_secret" },
    { ",'client_id':{}", "client_id" },
    { ",'quota_project_id':'a\\nb'", "quota_project_id" }
};

static void test_people(void)
{
    const char *why;
    apr_size_t i;

    for (i = 0; i < sizeof(people) / sizeof(people[0]); i++) {
        int good = llmux_google_account(pool, user_file(people[i].rest),
                                        &why) != NULL;

        ok(good == !people[i].why
           && (good || strstr(why, people[i].why)), "a person's file with %s",
           *people[i].rest ? people[i].rest : "nothing odd");
    }
}

static void refused_file(llmux_slice_t file, const char *word)
{
    const char *why = NULL;

    ok(!llmux_google_account(pool, file, &why) && why && strstr(why, word),
       "refused: %s", why ? why : "-");
}

static void test_no_files(void)
{
    const char *plain = pem;
    EVP_PKEY *curve = EVP_EC_gen("P-256");
    char *large = apr_pcalloc(pool, LLMUX_KEY_FILE_MAX + 2);
    llmux_slice_t absent = { NULL, 0 };

    refused_file(absent, "JSON");
    refused_file(llmux_slice(""), "JSON");
    refused_file(llmux_slice("{\"type\":\n \"service_account\""), "line 2");
    refused_file(llmux_slice("[]"), "type");
    memset(large, ' ', LLMUX_KEY_FILE_MAX + 1);
    refused_file(llmux_slice(large), "longer");
    pem = pem_of(curve, NULL);
    refused_file(account_file(""), "RSA");
    pem = pem_of(key, "pw");
    refused_file(account_file(""), "passphrase");
    pem = plain;
    EVP_PKEY_free(curve);
}

/* ---- asking ----------------------------------------------------------- */

#define NOW 1700000000

static apr_time_t now_of(void *host)
{
    return apr_time_from_sec(NOW);
}

static const llmux_env_t env = { .now = now_of };

static llmux_fetch_t fetch_of(const llmux_credential_t *c)
{
    llmux_fetch_t f;

    memset(&f, 0, sizeof(f));
    f.pool = pool;
    f.credential = c;
    f.env = &env;
    return f;
}

static const llmux_credential_t *account(void)
{
    const char *why;

    return llmux_google_account(pool, account_file(""), &why);
}

static const llmux_credential_t *person(void)
{
    const char *why;

    return llmux_google_account(pool, user_file(""), &why);
}

static const char *header_of(const llmux_request_t *rq, const char *name)
{
    int i;

    for (i = 0; i < rq->headers->nelts; i++) {
        const llmux_header_t *h = &APR_ARRAY_IDX(rq->headers, i,
                                                 llmux_header_t);

        if (!strcmp(h->name, name)) {
            return h->value;
        }
    }
    return NULL;
}

/* A part of the assertion, its base64 undone. */
static const char *part_of(const char *jwt, int number)
{
    const char *at = jwt;

    for (; number; number--) {
        at = strchr(at, '.') + 1;
    }
    return llmux_slice_str(pool, llmux_base64_decode(pool, llmux_slice(
                           apr_pstrmemdup(pool, at, strcspn(at, ".")))));
}

/* With the public half, which Google has. */
static int verifies(const char *jwt)
{
    const char *end = strrchr(jwt, '.');
    llmux_slice_t s = llmux_base64_decode(pool, llmux_slice(end + 1));
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char *der = NULL;
    const unsigned char *at;
    EVP_PKEY *half;
    int len = i2d_PUBKEY(key, &der), good;

    at = der;
    half = d2i_PUBKEY(NULL, &at, len);
    good = EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, half) == 1
           && EVP_DigestVerify(ctx, (const unsigned char *)s.data, s.len,
                               (const unsigned char *)jwt,
                               (size_t)(end - jwt)) == 1;
    EVP_PKEY_free(half);
    OPENSSL_free(der);
    EVP_MD_CTX_free(ctx);
    return good;
}

static void test_ask_account(void)
{
    static const char form[] = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3A"
                               "grant-type%3Ajwt-bearer&assertion=";
    llmux_fetch_t f = fetch_of(account());
    const char *jwt;

    is_int(llmux_google_next(&f), LLMUX_FETCH_ASK, "an account asks");
    is_str(f.ask->url, "https://oauth2.googleapis.com/token", "... there");
    ok(f.ask->upstream == &f.credential->upstream, "... that way");
    is_str(header_of(f.ask, "Content-Type"),
           "application/x-www-form-urlencoded", "... with a form");
    ok(llmux_slice_starts(f.ask->body, form), "... which holds an assertion");
    jwt = llmux_slice_str(pool, f.ask->body) + sizeof(form) - 1;
    is_str(part_of(jwt, 0),
           quotes(pool, "{'alg':'RS256','typ':'JWT','kid':'kid1'}"),
           "its head");
    is_str(part_of(jwt, 1),
           quotes(pool, "{'iss':'me@my-proj.iam.gserviceaccount.com','scope':"
                  "'https://www.googleapis.com/auth/cloud-platform','aud':"
                  "'https://oauth2.googleapis.com/token','iat':1699999990,"
                  "'exp':1700003590}"), "its claims");
    ok(verifies(jwt), "the public key says that it is genuine");
    ok(!strpbrk(jwt, "+/="), "it is spelled for URLs");
}

static void test_ask_person(void)
{
    llmux_fetch_t f = fetch_of(person());

    is_int(llmux_credential_next(&f), LLMUX_FETCH_ASK, "a person asks");
    is_str(llmux_slice_str(pool, f.ask->body),
           "grant_type=refresh_token&client_id=76.apps&client_secret="
           "d-FL95Q%2B&refresh_token=1%2F%2F0gdfdkdffgjdkfg", "... with this");
}

static const struct { const char *host, *url; } machines[] = {
    { NULL,             "http://metadata.google.internal" },
    { "",               "http://metadata.google.internal" },
    { "127.0.0.1:8080", "http://127.0.0.1:8080" },
    { "[fd20::1]:80",   "http://[fd20::1]:80" },
    { "a/b",            NULL },
    { "a@b",            NULL },
    { "a\r\nb",         NULL }
};

static void test_ask_machine(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
        llmux_fetch_t f;
        int asks;

        unsetenv("GCE_METADATA_HOST");
        if (machines[i].host) {
            setenv("GCE_METADATA_HOST", machines[i].host, 1);
        }
        f = fetch_of(llmux_google_instance(pool));
        asks = llmux_google_next(&f) == LLMUX_FETCH_ASK;
        ok(asks == (machines[i].url != NULL), "a machine with its server at "
           "%s", machines[i].host ? machines[i].host : "the usual place");
        is_str(asks ? f.ask->url : f.why,
               asks ? apr_pstrcat(pool, machines[i].url, "/computeMetadata/v1"
                                  "/instance/service-accounts/default/token",
                                  NULL)
                    : "GCE_METADATA_HOST is not a host, or a host and a port",
               "... asks there");
        if (asks) {
            is_str(header_of(f.ask, "Metadata-Flavor"), "Google",
                   "... and says who it is");
            ok(!f.ask->body.data && !*f.credential->upstream.proxy,
               "... by a GET, past any proxy");
        }
    }
    unsetenv("GCE_METADATA_HOST");
}

static void test_others(void)
{
    llmux_credential_t c = { .kind = LLMUX_CREDENTIAL_AWS_STATIC };
    llmux_fetch_t f = fetch_of(&c);

    is_int(llmux_google_next(&f), LLMUX_FETCH_FAILED, "AWS's are not ours");
    c = *account();
    c.secret = llmux_secret_read(pool, "bm8ga2V5", &f.why);
    f = fetch_of(&c);
    is_int(llmux_google_next(&f), LLMUX_FETCH_FAILED, "no key, no assertion");
}

/* ---- answers ---------------------------------------------------------- */

#define T "'access_token':'ya29.SECRET-x'"

/* Seconds that the grant lives, or why there is none. */
static const struct {
    int status;
    const char *body;
    int life;
    const char *why;
} answers[] = {
    { 200, "{" T ",'expires_in':3599,'token_type':'Bearer'}", 3599, NULL },
    { 200, "{" T ",'expires_in':1,'token_type':'bearer','x':[]}", 1, NULL },
    { 200, "{" T ",'expires_in':3600.9}", 3600, NULL },
    { 200, "{" T ",'expires_in':9e18}", LLMUX_GRANT_LIFE_MAX, NULL },
    { 200, "{" T ",'expires_in':0}", 0, "has expired" },
    { 200, "{" T ",'expires_in':-5}", 0, "has expired" },
    { 200, "{" T ",'expires_in':'3599'}", 0, "without expires_in" },
    { 200, "{" T "}", 0, "without expires_in" },
    { 200, "{" T ",'expires_in':9,'token_type':'mac'}", 0, "bearer" },
    { 200, "{" T ",'expires_in':9,'token_type':1}", 0, "bearer" },
    { 200, "{'access_token':'SECRET\\r\\nX: y','expires_in':9}", 0, "token" },
    { 200, "{'access_token':'SECRET\\u0000','expires_in':9}", 0, "token" },
    { 200, "{'access_token':'SECRET\\u00e4','expires_in':9}", 0, "token" },
    { 200, "{'access_token':'','expires_in':9}", 0, "token" },
    { 200, "{'access_token':['SECRET'],'expires_in':9}", 0, "no access" },
    { 200, "{'id_token':'SECRET'}", 0, "no access_token" },
    { 200, "[]", 0, "no access_token" },
    { 200, "", 0, "no access_token" },
    { 200, "SECRET", 0, "no access_token" },
    { 0, "", 0, "oauth2.googleapis.com did not answer" },
    { 302, "{" T ",'expires_in':9}", 0, "answered 302" },
    { 400, "{'error':'invalid_grant','error_description':'Invalid JWT "
      "Signature.'}", 0, "oauth2.googleapis.com answered 400, invalid_grant: "
      "Invalid JWT Signature." },
    { 400, "{'error':'invalid_grant'}", 0, "answered 400, invalid_grant" },
    { 400, "{'error':{'message':'SECRET'}}", 0, "answered 400" },
    { 401, "{'error':'e','error_description':'not "
      "abcdefghijklmnopqrstuvwxySECRET'}", 0, "answered 401, e" },
    { 401, "{'error':'a\\nSECRET'}", 0, "answered 401" },
    { 503, "<html>SECRET", 0, "answered 503" }
};

static void answer(llmux_fetch_t *f, int status, llmux_slice_t body)
{
    llmux_google_next(f);
    f->status = status;
    f->body = body;
}

static void test_answers(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        llmux_fetch_t f = fetch_of(person());
        llmux_fetch_e got;

        answer(&f, answers[i].status,
               llmux_slice(quotes(pool, answers[i].body)));
        got = llmux_google_next(&f);
        is_int(got, answers[i].why ? LLMUX_FETCH_FAILED : LLMUX_FETCH_DONE,
               apr_psprintf(pool, "%d %s", answers[i].status,
                            answers[i].body));
        if (got == LLMUX_FETCH_DONE) {
            is_str(f.grant.token, "ya29.SECRET-x", "... gives this token");
            is_int(apr_time_sec(f.grant.expires) - NOW, answers[i].life,
                   "... which lives so long");
        }
        else {
            ok(f.why && answers[i].why && strstr(f.why, answers[i].why)
               && !strstr(f.why, "SECRET"), "... says why: %s", f.why);
        }
    }
}

/* A token of `len` characters in an answer with `pad` blanks behind. */
static llmux_fetch_e long_answer(llmux_fetch_t *f, int len, int pad)
{
    char *token = apr_pcalloc(pool, (apr_size_t)len + 1);
    char *blanks = apr_pcalloc(pool, (apr_size_t)pad + 1);

    memset(token, 't', (size_t)len);
    memset(blanks, ' ', (size_t)pad);
    *f = fetch_of(person());
    answer(f, 200, llmux_slice(apr_psprintf(
        pool, "{\"access_token\":\"%s\",\"expires_in\":60}%s", token,
        blanks)));
    return llmux_google_next(f);
}

static void test_lengths(void)
{
    llmux_fetch_t f;

    is_int(long_answer(&f, LLMUX_GRANT_TOKEN_MAX - 1, 0), LLMUX_FETCH_DONE,
           "the longest token");
    is_int((long long)strlen(f.grant.token), LLMUX_GRANT_TOKEN_MAX - 1,
           "... whole");
    is_int(long_answer(&f, LLMUX_GRANT_TOKEN_MAX, 0), LLMUX_FETCH_FAILED,
           "one longer");
    is_int(long_answer(&f, 10, LLMUX_GRANT_BODY_MAX), LLMUX_FETCH_FAILED,
           "an answer that is too long");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    key = EVP_RSA_gen(2048);
    pem = pem_of(key, NULL);
    test_account();
    test_files();
    test_people();
    test_no_files();
    test_ask_account();
    test_ask_person();
    test_ask_machine();
    test_others();
    test_answers();
    test_lengths();
    EVP_PKEY_free(key);
    apr_pool_destroy(pool);
    return tap_done();
}
