/* secret.c - keys and passwords: read once, compared, wiped, never printed. */

#include "llmux/core.h"

#include <stdlib.h>
#include <string.h>

#include <apr_file_io.h>
#include <apr_strings.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

struct llmux_secret_t {
    apr_size_t len;
    unsigned char digest[SHA256_DIGEST_LENGTH];
    char bytes[];                   /* and a NUL */
};

static apr_status_t wipe(void *data)
{
    llmux_secret_t *s = data;

    OPENSSL_cleanse(s, sizeof(*s) + s->len);
    return APR_SUCCESS;
}

/* A key travels in a header: it cannot have line ends in it. */
static int has_control(llmux_slice_t s)
{
    apr_size_t i;

    for (i = 0; i < s.len; i++) {
        if ((unsigned char)s.data[i] < ' ' || s.data[i] == 0x7f) {
            return 1;
        }
    }
    return 0;
}

/* What an editor or `echo` left behind the key. */
static llmux_slice_t trimmed(llmux_slice_t s)
{
    while (s.len && strchr(" \t\r\n\v\f", s.data[s.len - 1])
           && s.data[s.len - 1]) {
        s.len--;
    }
    return s;
}

/* @param source what a message calls it; never the secret */
static const llmux_secret_t *keep(apr_pool_t *p, llmux_slice_t value,
                                  const char *source, const char **err)
{
    llmux_secret_t *s;

    *err = NULL;
    if (!value.len) {
        *err = apr_psprintf(p, "%s is empty.", source);
    }
    else if (value.len > LLMUX_SECRET_MAX) {
        *err = apr_psprintf(p, "%s is longer than %d bytes.", source,
                            LLMUX_SECRET_MAX);
    }
    else if (has_control(value)) {
        *err = apr_psprintf(p, "%s has control characters in it; a key is "
                            "one line of text.", source);
    }
    if (*err) {
        return NULL;
    }
    s = apr_pcalloc(p, sizeof(*s) + value.len + 1);
    apr_pool_cleanup_register(p, s, wipe, apr_pool_cleanup_null);
    s->len = value.len;
    memcpy(s->bytes, value.data, value.len);
    SHA256((const unsigned char *)s->bytes, s->len, s->digest);
    return s;
}

/* Refused where variables are expected: httpd leaves ${NAME} as it stands
 * when it is not defined, and it would be sent as the key. A file may have
 * any characters. */
static int has_variable(const char *text)
{
    return strstr(text, "${") != NULL;
}

/* Somebody may write env:sk-... by mistake: only what can be a variable's
 * name is repeated in a message. */
static int is_name(const char *s)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

    return *s && !(*s >= '0' && *s <= '9') && !s[strspn(s, letters)];
}

static const llmux_secret_t *from_env(apr_pool_t *p, const char *name,
                                      const char **err)
{
    const char *source = apr_psprintf(p, "The environment variable %s", name);
    const char *value;

    if (!is_name(name)) {
        *err = "What follows env: is not the name of an environment variable "
               "(letters, digits and underscores).";
        return NULL;
    }
    value = getenv(name);
    if (!value) {
        *err = apr_psprintf(p, "%s is not set.", source);
        return NULL;
    }
    if (has_variable(value)) {
        *err = apr_psprintf(p, "%s has an unresolved ${...} in it.", source);
        return NULL;
    }
    return keep(p, trimmed(llmux_slice(value)), source, err);
}

/* Reads a little more than a secret may have, to see that it has more. */
static apr_status_t read_head(apr_pool_t *p, const char *path, char *out,
                              apr_size_t size, apr_size_t *len)
{
    apr_pool_t *scratch;
    apr_file_t *file;
    apr_status_t rv;

    *len = 0;
    apr_pool_create(&scratch, p);
    rv = apr_file_open(&file, path, APR_FOPEN_READ, APR_FPROT_OS_DEFAULT,
                       scratch);
    if (rv == APR_SUCCESS) {
        rv = apr_file_read_full(file, out, size, len);
    }
    apr_pool_destroy(scratch);
    return APR_STATUS_IS_EOF(rv) ? APR_SUCCESS : rv;
}

static const llmux_secret_t *from_file(apr_pool_t *p, const char *path,
                                       const char **err)
{
    const char *source = apr_psprintf(p, "The first line of %s", path);
    const llmux_secret_t *s = NULL;
    char head[2 * LLMUX_SECRET_MAX], why[128];
    llmux_slice_t line = { head, 0 };
    const char *end;
    apr_status_t rv;

    if (!*path) {
        *err = "A path must follow file:.";
        return NULL;
    }
    rv = read_head(p, path, head, sizeof(head), &line.len);
    if (rv == APR_SUCCESS) {
        end = memchr(head, '\n', line.len);
        line.len = end ? (apr_size_t)(end - head) : line.len;
        s = keep(p, trimmed(line), source, err);
    }
    else {
        *err = apr_psprintf(p, "Cannot read %s: %s.", path,
                            apr_strerror(rv, why, sizeof(why)));
    }
    OPENSSL_cleanse(head, sizeof(head));
    return s;
}

const llmux_secret_t *llmux_secret_read(apr_pool_t *p, const char *spec,
                                        const char **err)
{
    llmux_slice_t s = llmux_slice(spec);
    const char *ignored = NULL;

    err = err ? err : &ignored;
    *err = NULL;
    if (spec && has_variable(spec)) {
        *err = "It has an unresolved ${...} in it: define the variable, or "
               "use env:NAME or file:PATH.";
        return NULL;
    }
    if (llmux_slice_starts(s, "env:")) {
        return from_env(p, spec + strlen("env:"), err);
    }
    if (llmux_slice_starts(s, "file:")) {
        return from_file(p, spec + strlen("file:"), err);
    }
    return keep(p, s, "The secret", err);
}

llmux_slice_t llmux_secret_reveal(const llmux_secret_t *s)
{
    llmux_slice_t out = { s ? s->bytes : NULL, s ? s->len : 0 };

    return out;
}

int llmux_secret_equal(const llmux_secret_t *s, llmux_slice_t with)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    int same;

    if (!s || !with.data) {
        return 0;
    }
    /* Digests are of one length: the time tells nothing about either's. */
    SHA256((const unsigned char *)with.data, with.len, digest);
    same = !CRYPTO_memcmp(digest, s->digest, sizeof(digest));
    OPENSSL_cleanse(digest, sizeof(digest));
    return same;
}
