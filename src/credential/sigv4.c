/* sigv4.c - AWS Signature Version 4, in a header. */

#include "llmux/credential.h"

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#define ALGORITHM "AWS4-HMAC-SHA256"
#define TERMINATOR "aws4_request"

/* ---- the address ------------------------------------------------------ */

/* Nothing here is normalised: a model's id is percent-encoded whole, and what
 * goes out is what is signed. AWS signs /./ and // like that for S3 only, so
 * a base URL must not have them. */
typedef struct address_t {
    llmux_slice_t scheme, host, path, query;
} address_t;

static llmux_slice_t upto(const char *s, const char *ends)
{
    llmux_slice_t out = { s, strcspn(s, ends) };

    return out;
}

static address_t take_apart(const char *url)
{
    const char *s = strstr(url, "://");
    address_t a = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 }, { NULL, 0 } };

    if (s) {
        a.scheme.data = url;
        a.scheme.len = (apr_size_t)(s - url);
        url = s + strlen("://");
    }
    a.host = upto(url, "/?#");
    a.path = upto(a.host.data + a.host.len, "?#");
    a.query = upto(a.path.data + a.path.len, "#");
    return a;
}

static int ends_with(llmux_slice_t s, const char *end)
{
    apr_size_t len = strlen(end);

    return s.len >= len && !memcmp(s.data + s.len - len, end, len);
}

/* How much of "host:443" is the scheme's own port, which one transport says
 * and the other does not. */
static apr_size_t own_port(const address_t *a)
{
    static const struct { const char *scheme, *port; } own[] = {
        { "https", ":443" }, { "http", ":80" },
        { "https", ":" },    { "http", ":" }
    };
    apr_size_t i;

    for (i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (llmux_slice_is_nocase(a->scheme, own[i].scheme)
            && ends_with(a->host, own[i].port)) {
            return strlen(own[i].port);
        }
    }
    return 0;
}

/* ---- encoding --------------------------------------------------------- */

static void add_byte(llmux_buf_t *out, unsigned char c)
{
    const llmux_slice_t byte = { (const char *)&c, 1 };

    llmux_url_escape(out, byte);
}

/* As it stands on the wire, encoded once more: AWS wants paths doubly encoded
 * everywhere but at S3. */
static void add_path(llmux_buf_t *out, llmux_slice_t path)
{
    apr_size_t i;

    if (!path.len) {
        llmux_buf_adds(out, "/");
    }
    for (i = 0; i < path.len; i++) {
        if (path.data[i] == '/') {
            llmux_buf_adds(out, "/");
        }
        else {
            add_byte(out, (unsigned char)path.data[i]);
        }
    }
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0'
        : c >= 'a' && c <= 'f' ? c - 'a' + 10
        : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Names and values in a query are encoded once, however they were written;
 * a plus sign is one. */
static const char *encoded_once(apr_pool_t *p, llmux_slice_t s)
{
    llmux_buf_t *out = llmux_buf_create(p, LLMUX_SIGNED_MAX);
    apr_size_t i;

    for (i = 0; i < s.len; i++) {
        if (s.data[i] == '%' && i + 2 < s.len && digit(s.data[i + 1]) >= 0
            && digit(s.data[i + 2]) >= 0) {
            add_byte(out, (unsigned char)(digit(s.data[i + 1]) << 4
                                          | digit(s.data[i + 2])));
            i += 2;
        }
        else {
            add_byte(out, (unsigned char)s.data[i]);
        }
    }
    return out->len ? out->data : "";
}

/* ---- the query -------------------------------------------------------- */

/* A parameter, or a header: sorted by name, then as the kind demands. */
typedef struct pair_t {
    const char *name, *value;
    int ordinal;
} pair_t;

static int by_value(const void *a, const void *b)
{
    const pair_t *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : strcmp(x->value, y->value);
}

static void add_pair(apr_array_header_t *to, const char *name,
                     const char *value)
{
    pair_t *pair = apr_array_push(to);

    pair->name = name;
    pair->value = value;
    pair->ordinal = to->nelts;
}

static void take_parameter(apr_pool_t *p, apr_array_header_t *to,
                           llmux_slice_t text)
{
    const char *equals = memchr(text.data, '=', text.len);
    llmux_slice_t name = text, value = { "", 0 };

    if (equals) {
        name.len = (apr_size_t)(equals - text.data);
        value.data = equals + 1;
        value.len = text.len - name.len - 1;
    }
    add_pair(to, encoded_once(p, name), encoded_once(p, value));
}

static void add_query(llmux_buf_t *out, apr_pool_t *p, llmux_slice_t query)
{
    apr_array_header_t *pairs = apr_array_make(p, 4, sizeof(pair_t));
    llmux_slice_t part;
    const char *and;
    int i;

    /* It begins with its question mark, or is empty. */
    while (query.len) {
        query.data++;
        query.len--;
        and = memchr(query.data, '&', query.len);
        part.data = query.data;
        part.len = and ? (apr_size_t)(and - query.data) : query.len;
        query.data += part.len;
        query.len -= part.len;
        if (part.len) {
            take_parameter(p, pairs, part);
        }
    }
    qsort(pairs->elts, (size_t)pairs->nelts, sizeof(pair_t), by_value);
    for (i = 0; i < pairs->nelts; i++) {
        const pair_t *pair = &APR_ARRAY_IDX(pairs, i, pair_t);

        llmux_buf_addf(out, "%s%s=%s", i ? "&" : "", pair->name, pair->value);
    }
}

/* ---- headers ---------------------------------------------------------- */

/* What a hop or a transport may change, and what the signature becomes. */
static const char *const unsigned_names[] = {
    "accept-encoding", "authorization", "connection", "content-length",
    "expect", "keep-alive", "proxy-authorization", "te", "traceparent",
    "tracestate", "trailer", "transfer-encoding", "upgrade", "user-agent",
    "x-amzn-trace-id", "x-request-id"
};

/* What we say anew each time. */
static const char *const own_names[] = {
    "authorization", "x-amz-date", "x-amz-security-token"
};

static int is_among(const char *name, const char *const *names, int count)
{
    int i = 0;

    while (i < count && strcasecmp(name, names[i])) {
        i++;
    }
    return i < count;
}

#define COUNT(names) ((int)(sizeof(names) / sizeof((names)[0])))

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Without space around it, and one space for many inside. */
static const char *trimmed(apr_pool_t *p, const char *value)
{
    char *out = apr_palloc(p, strlen(value) + 1), *to = out;

    for (; *value; value++) {
        if (!is_blank(*value)) {
            *to++ = *value;
        }
        else if (to > out && to[-1] != ' ') {
            *to++ = ' ';
        }
    }
    if (to > out && to[-1] == ' ') {
        to--;
    }
    *to = '\0';
    return out;
}

static const char *lower(apr_pool_t *p, const char *name)
{
    char *out = apr_pstrdup(p, name), *c;

    for (c = out; *c; c++) {
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
    }
    return out;
}

/* Headers of one name stay in their order. */
static int by_ordinal(const void *a, const void *b)
{
    const pair_t *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : x->ordinal - y->ordinal;
}

static int says_host(const apr_array_header_t *headers)
{
    static const char *const host[] = { "host" };
    int i;

    for (i = 0; i < headers->nelts; i++) {
        if (is_among(APR_ARRAY_IDX(headers, i, llmux_header_t).name, host,
                     1)) {
            return 1;
        }
    }
    return 0;
}

static apr_array_header_t *headers_to_sign(apr_pool_t *p,
                                           const llmux_request_t *rq)
{
    apr_array_header_t *pairs = apr_array_make(p, 12, sizeof(pair_t));
    address_t a = take_apart(rq->url);
    int i;

    for (i = 0; i < rq->headers->nelts; i++) {
        const llmux_header_t *h = &APR_ARRAY_IDX(rq->headers, i,
                                                 llmux_header_t);

        if (!is_among(h->name, unsigned_names, COUNT(unsigned_names))) {
            add_pair(pairs, lower(p, h->name), trimmed(p, h->value));
        }
    }
    if (!says_host(rq->headers)) {
        add_pair(pairs, "host", llmux_slice_str(p, a.host));
    }
    qsort(pairs->elts, (size_t)pairs->nelts, sizeof(pair_t), by_ordinal);
    return pairs;
}

/* Is it the first of its name? The array is sorted. */
static int is_first(const apr_array_header_t *pairs, int i)
{
    return !i || strcmp(APR_ARRAY_IDX(pairs, i, pair_t).name,
                        APR_ARRAY_IDX(pairs, i - 1, pair_t).name);
}

static void add_headers(llmux_buf_t *out, const apr_array_header_t *pairs)
{
    int i;

    for (i = 0; i < pairs->nelts; i++) {
        const pair_t *pair = &APR_ARRAY_IDX(pairs, i, pair_t);

        if (is_first(pairs, i)) {
            llmux_buf_addf(out, "%s%s:", i ? "\n" : "", pair->name);
        }
        else {
            llmux_buf_adds(out, ",");
        }
        llmux_buf_adds(out, pair->value);
    }
    llmux_buf_adds(out, "\n");
}

static const char *names_of(apr_pool_t *p, const apr_array_header_t *pairs)
{
    llmux_buf_t *out = llmux_buf_create(p, LLMUX_SIGNED_MAX);
    int i;

    for (i = 0; i < pairs->nelts; i++) {
        if (is_first(pairs, i)) {
            llmux_buf_addf(out, "%s%s", i ? ";" : "",
                           APR_ARRAY_IDX(pairs, i, pair_t).name);
        }
    }
    return out->len ? out->data : "";
}

/* ---- the signature ---------------------------------------------------- */

#define HEX_SIZE (2 * SHA256_DIGEST_LENGTH + 1)

static void to_hex(const unsigned char *bytes, char out[HEX_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    int i;

    for (i = 0; i < SHA256_DIGEST_LENGTH; i++) {
        out[2 * i] = hex[bytes[i] >> 4];
        out[2 * i + 1] = hex[bytes[i] & 15];
    }
    out[2 * SHA256_DIGEST_LENGTH] = '\0';
}

static void hex_digest(const char *data, apr_size_t len, char out[HEX_SIZE])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];

    SHA256((const unsigned char *)(data ? data : ""), data ? len : 0, digest);
    to_hex(digest, out);
}

/* `key` becomes the code of `text` under it. */
static void mac(unsigned char key[SHA256_DIGEST_LENGTH], const char *text)
{
    unsigned char out[SHA256_DIGEST_LENGTH] = { 0 };

    HMAC(EVP_sha256(), key, SHA256_DIGEST_LENGTH,
         (const unsigned char *)text, strlen(text), out, NULL);
    memcpy(key, out, sizeof(out));
    OPENSSL_cleanse(out, sizeof(out));
}

/* What a signature is good for. */
typedef struct scope_t {
    char stamp[sizeof("20150830T123600Z")];
    char day[sizeof("20150830")];
    const char *region, *service;
} scope_t;

static scope_t scope_of(const char *region, const char *service,
                        apr_time_t now)
{
    apr_time_exp_t t;
    scope_t s;

    apr_time_exp_gmt(&t, now);
    s.region = region;
    s.service = service;
    apr_snprintf(s.day, sizeof(s.day), "%04d%02d%02d", t.tm_year + 1900,
                 t.tm_mon + 1, t.tm_mday);
    apr_snprintf(s.stamp, sizeof(s.stamp), "%sT%02d%02d%02dZ", s.day,
                 t.tm_hour, t.tm_min, t.tm_sec);
    return s;
}

/* The signing key is made of the secret, step by step, and forgotten. */
static void sign(const llmux_grant_t *grant, const scope_t *s,
                 const char *text, char out[HEX_SIZE])
{
    char secret[sizeof("AWS4") + LLMUX_GRANT_SECRET_MAX];
    unsigned char key[SHA256_DIGEST_LENGTH] = { 0 };

    apr_snprintf(secret, sizeof(secret), "AWS4%s", grant->secret);
    HMAC(EVP_sha256(), secret, (int)strlen(secret),
         (const unsigned char *)s->day, strlen(s->day), key, NULL);
    mac(key, s->region);
    mac(key, s->service);
    mac(key, TERMINATOR);
    mac(key, text);
    to_hex(key, out);
    OPENSSL_cleanse(secret, sizeof(secret));
    OPENSSL_cleanse(key, sizeof(key));
}

static llmux_buf_t *canonical(apr_pool_t *p, const llmux_request_t *rq,
                              const apr_array_header_t *headers,
                              const char *names)
{
    llmux_buf_t *out = llmux_buf_create(p, LLMUX_SIGNED_MAX);
    address_t a = take_apart(rq->url);
    char body[HEX_SIZE];

    llmux_buf_addf(out, "%s\n", rq->method ? rq->method
                   : rq->body.data ? "POST" : "GET");
    add_path(out, a.path);
    llmux_buf_adds(out, "\n");
    add_query(out, p, a.query);
    llmux_buf_adds(out, "\n");
    add_headers(out, headers);
    hex_digest(rq->body.data, rq->body.len, body);
    llmux_buf_addf(out, "\n%s\n%s", names, body);
    return out;
}

/* In `p`; NULL when there is more to sign than LLMUX_SIGNED_MAX. */
static const char *authorization(apr_pool_t *p, apr_pool_t *scratch,
                                 const llmux_request_t *rq,
                                 const llmux_grant_t *grant, const scope_t *s)
{
    const apr_array_header_t *headers = headers_to_sign(scratch, rq);
    const char *names = names_of(scratch, headers), *scope;
    llmux_buf_t *text = canonical(scratch, rq, headers, names);
    char hex[HEX_SIZE];

    if (text->failed) {
        return NULL;
    }
    scope = apr_psprintf(scratch, "%s/%s/%s/" TERMINATOR, s->day, s->region,
                         s->service);
    hex_digest(text->data, text->len, hex);
    sign(grant, s, apr_psprintf(scratch, ALGORITHM "\n%s\n%s\n%s", s->stamp,
                                scope, hex), hex);
    return apr_psprintf(p, ALGORITHM " Credential=%s/%s, SignedHeaders=%s, "
                        "Signature=%s", grant->id, scope, names, hex);
}

/* ---- the request ------------------------------------------------------ */

/* A request may be signed again, and an operator's header must not stand
 * beside ours. */
static void drop_ours(apr_array_header_t *headers)
{
    int i, kept = 0;

    for (i = 0; i < headers->nelts; i++) {
        llmux_header_t h = APR_ARRAY_IDX(headers, i, llmux_header_t);

        if (!is_among(h.name, own_names, COUNT(own_names))) {
            APR_ARRAY_IDX(headers, kept++, llmux_header_t) = h;
        }
    }
    headers->nelts = kept;
}

static void settle_host(apr_pool_t *p, llmux_request_t *rq)
{
    address_t a = take_apart(rq->url);
    apr_size_t port = own_port(&a);

    if (port && !says_host(rq->headers)) {
        llmux_header_add(rq->headers, "Host",
                         apr_pstrmemdup(p, a.host.data, a.host.len - port));
    }
}

void llmux_sigv4_sign(apr_pool_t *p, llmux_request_t *rq,
                      const llmux_grant_t *grant, const char *region,
                      const char *service, apr_time_t now)
{
    scope_t s = scope_of(region, service, now);
    const char *value;
    apr_pool_t *scratch;

    if (!rq->headers) {
        rq->headers = apr_array_make(p, 4, sizeof(llmux_header_t));
    }
    drop_ours(rq->headers);
    settle_host(p, rq);
    llmux_header_add(rq->headers, "X-Amz-Date", apr_pstrdup(p, s.stamp));
    if (*grant->token) {
        llmux_header_add(rq->headers, "X-Amz-Security-Token",
                         apr_pstrdup(p, grant->token));
    }
    apr_pool_create(&scratch, p);
    value = authorization(p, scratch, rq, grant, &s);
    apr_pool_destroy(scratch);
    /* Without one AWS refuses it, which is what it deserves. */
    if (value) {
        llmux_header_add(rq->headers, "Authorization", value);
    }
}
