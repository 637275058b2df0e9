/* google.c - the bearer token that Google's APIs want: for an assertion that
 * a service account signed, for a refresh token, or from the machine itself. */

#include <apr_lib.h>
#include <apr_strings.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "llmux/credential.h"

#include "form.h"
#include "vendors.h"

#define SCOPE "https://www.googleapis.com/auth/cloud-platform"
#define ASSERTION "urn:ietf:params:oauth:grant-type:jwt-bearer"
#define ASSERTION_LIFE  3600        /* seconds; Google takes no more */
#define ASSERTION_EARLY 10          /* seconds; our clock may be ahead */
#define FORM_MAX (64u << 10)
#define WORD_MAX 24                 /* no plain word of a message is longer */
#define WORDS_MAX 200               /* of a message that is repeated */

/* ---- the assertion: RFC 7515, RFC 7523 --------------------------------- */

static llmux_slice_t head_of(apr_pool_t *p, const llmux_credential_t *c)
{
    llmux_buf_t *out = llmux_buf_create(p, FORM_MAX);
    llmux_jw_t w = llmux_jw(out);

    llmux_jw_open(&w, '{');
    llmux_jw_opt_str(&w, "alg", llmux_slice("RS256"));
    llmux_jw_opt_str(&w, "typ", llmux_slice("JWT"));
    llmux_jw_opt_str(&w, "kid", llmux_slice(c->key_id));
    llmux_jw_close(&w, '}');
    return llmux_buf_slice(out);
}

static llmux_slice_t claims_of(apr_pool_t *p, const llmux_credential_t *c,
                               apr_time_t now)
{
    llmux_buf_t *out = llmux_buf_create(p, FORM_MAX);
    llmux_jw_t w = llmux_jw(out);
    apr_int64_t from = apr_time_sec(now) - ASSERTION_EARLY;

    llmux_jw_open(&w, '{');
    llmux_jw_opt_str(&w, "iss", llmux_slice(c->email));
    llmux_jw_opt_str(&w, "scope", llmux_slice(SCOPE));
    llmux_jw_opt_str(&w, "aud", llmux_slice(c->url));
    llmux_jw_key(&w, "iat");
    llmux_jw_int(&w, from);
    llmux_jw_key(&w, "exp");
    llmux_jw_int(&w, from + ASSERTION_LIFE);
    llmux_jw_close(&w, '}');
    return llmux_buf_slice(out);
}

static apr_status_t free_key(void *key)
{
    EVP_PKEY_free(key);
    return APR_SUCCESS;
}

static EVP_PKEY *key_of(apr_pool_t *p, const llmux_credential_t *c)
{
    llmux_slice_t der = llmux_base64_decode(p, llmux_secret_reveal(c->secret));
    const unsigned char *at = (const unsigned char *)der.data;
    EVP_PKEY *key = NULL;

    if (der.len) {
        key = d2i_AutoPrivateKey(NULL, &at, (long)der.len);
        apr_pool_cleanup_register(p, key, free_key, apr_pool_cleanup_null);
        OPENSSL_cleanse((char *)der.data, der.len);
    }
    return key;
}

static apr_status_t free_context(void *context)
{
    EVP_MD_CTX_free(context);
    return APR_SUCCESS;
}

/* @return absent if OpenSSL cannot do it with this key */
static llmux_slice_t sign(apr_pool_t *p, EVP_PKEY *key, llmux_slice_t text)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    llmux_slice_t signature = { NULL, 0 };
    unsigned char *out;
    size_t len = 0;

    apr_pool_cleanup_register(p, context, free_context, apr_pool_cleanup_null);
    if (!context || !key
        || EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) != 1
        || EVP_DigestSign(context, NULL, &len,
                          (const unsigned char *)text.data, text.len) != 1) {
        return signature;
    }
    out = apr_palloc(p, len);
    if (EVP_DigestSign(context, out, &len, (const unsigned char *)text.data,
                       text.len) == 1) {
        signature.data = (const char *)out;
        signature.len = len;
    }
    return signature;
}

/* @return 0 if there is none to be had */
static int add_assertion(llmux_buf_t *form, apr_pool_t *p,
                         const llmux_credential_t *c, apr_time_t now)
{
    llmux_buf_t *jwt = llmux_buf_create(p, FORM_MAX);
    llmux_slice_t signature;

    llmux_buf_add_slice(jwt, llmux_base64url_encode(p, head_of(p, c)));
    llmux_buf_adds(jwt, ".");
    llmux_buf_add_slice(jwt, llmux_base64url_encode(p, claims_of(p, c, now)));
    signature = sign(p, key_of(p, c), llmux_buf_slice(jwt));
    ERR_clear_error();
    llmux_buf_adds(jwt, ".");
    llmux_buf_add_slice(jwt, llmux_base64url_encode(p, signature));
    llmux_form_add(form, "grant_type", llmux_slice(ASSERTION));
    llmux_form_add(form, "assertion", llmux_buf_slice(jwt));
    return signature.data && !jwt->failed;
}

/* ---- asking ------------------------------------------------------------ */

static llmux_fetch_e failed(llmux_fetch_t *f, const char *why)
{
    f->why = why;
    return LLMUX_FETCH_FAILED;
}

static llmux_fetch_e ask(llmux_fetch_t *f, const char *header,
                         const char *value, llmux_slice_t body)
{
    llmux_request_t *rq = apr_pcalloc(f->pool, sizeof(*rq));

    rq->upstream = &f->credential->upstream;
    rq->url = f->credential->url;
    rq->headers = apr_array_make(f->pool, 1, sizeof(llmux_header_t));
    llmux_header_add(rq->headers, header, value);
    rq->body = body;
    f->ask = rq;
    f->step++;
    return LLMUX_FETCH_ASK;
}

static llmux_fetch_e ask_form(llmux_fetch_t *f, const llmux_buf_t *form)
{
    if (form->failed) {
        return failed(f, "the credential is too long to be sent");
    }
    return ask(f, "Content-Type", "application/x-www-form-urlencoded",
               llmux_buf_slice(form));
}

static llmux_fetch_e ask_account(llmux_fetch_t *f)
{
    llmux_buf_t *form = llmux_form_create(f->pool, FORM_MAX);
    apr_pool_t *scratch;
    int signed_it;

    apr_pool_create(&scratch, f->pool);
    signed_it = add_assertion(form, scratch, f->credential,
                              llmux_now(f->env));
    apr_pool_destroy(scratch);
    return signed_it ? ask_form(f, form)
                     : failed(f, "the service account's key cannot sign");
}

static llmux_fetch_e ask_user(llmux_fetch_t *f)
{
    const llmux_credential_t *c = f->credential;
    llmux_buf_t *form = llmux_form_create(f->pool, FORM_MAX);

    llmux_form_add(form, "grant_type", llmux_slice("refresh_token"));
    llmux_form_add(form, "client_id", llmux_secret_reveal(c->id));
    llmux_form_add(form, "client_secret", llmux_secret_reveal(c->secret));
    llmux_form_add(form, "refresh_token", llmux_secret_reveal(c->session));
    return ask_form(f, form);
}

/* The header keeps a server that is made to fetch URLs from giving the
 * machine's tokens away. */
static llmux_fetch_e ask_instance(llmux_fetch_t *f)
{
    static const llmux_slice_t none = { NULL, 0 };

    if (!f->credential->url) {
        return failed(f, "GCE_METADATA_HOST is not a host, or a host and a "
                      "port");
    }
    return ask(f, "Metadata-Flavor", "Google", none);
}

/* ---- the answer -------------------------------------------------------- */

static const char *host_of(apr_pool_t *p, const char *url)
{
    const char *host = strstr(url, "://");

    host = host ? host + 3 : url;
    return apr_pstrmemdup(p, host, strcspn(host, "/?"));
}

/* What a server says is repeated if it is plain words: it may have repeated
 * what it was sent. */
static const char *plain_words(apr_pool_t *p, llmux_slice_t s)
{
    apr_size_t i, word = 0;

    if (!s.data || s.len > WORDS_MAX) {
        return "";
    }
    for (i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];

        word = apr_isalnum(c) || c == '-' || c == '_' ? word + 1 : 0;
        if (c < ' ' || c > '~' || word > WORD_MAX) {
            return "";
        }
    }
    return apr_pstrmemdup(p, s.data, s.len);
}

/* RFC 6749, 5.2; the metadata server answers with no JSON. */
static llmux_fetch_e refused(llmux_fetch_t *f, const char *host)
{
    const llmux_json_t *v = llmux_json_parse(f->pool, f->body, 0, NULL);
    const char *code, *words;

    code = plain_words(f->pool, llmux_json_str(f->pool,
                                               llmux_json_get(v, "error")));
    words = plain_words(f->pool,
                        llmux_json_str(f->pool, llmux_json_get(
                                           v, "error_description")));
    return failed(f, apr_psprintf(f->pool, "%s answered %d%s%s%s%s", host,
                                  f->status, *code ? ", " : "", code,
                                  *words ? ": " : "", words));
}

/* @return what is wrong with it, or NULL */
static const char *token_fault(llmux_slice_t token, const llmux_json_t *type,
                               llmux_slice_t type_text)
{
    if (!token.data) {
        return "no access_token";
    }
    if (!llmux_credential_plain(token, "")) {
        return "an access_token with characters that no token has";
    }
    if (token.len >= LLMUX_GRANT_TOKEN_MAX) {
        return "an access_token that is too long";
    }
    if (type && !llmux_slice_is_nocase(type_text, "Bearer")) {
        return "a token that is no bearer token";
    }
    return NULL;
}

static const char *life_fault(const llmux_json_t *expires)
{
    if (llmux_json_kind(expires) != LLMUX_JSON_NUMBER) {
        return "a token without expires_in";
    }
    return llmux_json_double(expires, 0) < 1 ? "a token that has expired"
                                             : NULL;
}

/* Longer lives are cut: sums must not overflow. */
static apr_int64_t life_of(const llmux_json_t *expires)
{
    double seconds = llmux_json_double(expires, LLMUX_GRANT_LIFE_MAX);

    return seconds < LLMUX_GRANT_LIFE_MAX ? (apr_int64_t)seconds
                                          : LLMUX_GRANT_LIFE_MAX;
}

static llmux_fetch_e take_token(llmux_fetch_t *f, const char *host)
{
    const llmux_json_t *v = llmux_json_parse(f->pool, f->body, 0, NULL);
    const llmux_json_t *type = llmux_json_get(v, "token_type");
    const llmux_json_t *expires = llmux_json_get(v, "expires_in");
    llmux_slice_t token = llmux_json_str(f->pool,
                                         llmux_json_get(v, "access_token"));
    const char *fault = token_fault(token, type, llmux_json_str(f->pool, type));

    if (!fault) {
        fault = life_fault(expires);
    }
    if (fault) {
        return failed(f, apr_psprintf(f->pool, "%s answered %s", host,
                                      fault));
    }
    memset(&f->grant, 0, sizeof(f->grant));
    memcpy(f->grant.token, token.data, token.len);
    f->grant.expires = llmux_now(f->env)
                       + apr_time_from_sec(life_of(expires));
    return LLMUX_FETCH_DONE;
}

static llmux_fetch_e take_answer(llmux_fetch_t *f)
{
    const char *host = host_of(f->pool, f->credential->url);

    if (!f->status) {
        return failed(f, apr_psprintf(f->pool, "%s did not answer", host));
    }
    if (f->body.len > LLMUX_GRANT_BODY_MAX) {
        return failed(f, apr_psprintf(f->pool, "%s answered more than %d "
                                      "bytes", host, LLMUX_GRANT_BODY_MAX));
    }
    return f->status == 200 ? take_token(f, host) : refused(f, host);
}

llmux_fetch_e llmux_google_next(llmux_fetch_t *f)
{
    if (f->step) {
        return take_answer(f);
    }
    switch (f->credential->kind) {
    case LLMUX_CREDENTIAL_GOOGLE_ACCOUNT:
        return ask_account(f);
    case LLMUX_CREDENTIAL_GOOGLE_USER:
        return ask_user(f);
    case LLMUX_CREDENTIAL_GOOGLE_INSTANCE:
        return ask_instance(f);
    default:
        return failed(f, "it is no credential of Google's");
    }
}
