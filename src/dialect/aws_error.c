/* aws_error.c - what Amazon's names of errors mean. */

#include <string.h>
#include <strings.h>

#include "aws_frame.h"
#include "errors.h"

/* Without the ending "Exception", which not all of them have. */
static const struct { const char *name; llmux_error_e kind; } names[] = {
    { "Validation",              LLMUX_ERR_INVALID },
    { "Serialization",           LLMUX_ERR_INVALID },
    { "AccessDenied",            LLMUX_ERR_PERMISSION },
    { "NotAuthorized",           LLMUX_ERR_PERMISSION },
    { "OptInRequired",           LLMUX_ERR_PERMISSION },
    { "UnrecognizedClient",      LLMUX_ERR_AUTH },
    { "InvalidSignature",        LLMUX_ERR_AUTH },
    { "IncompleteSignature",     LLMUX_ERR_AUTH },
    { "SignatureDoesNotMatch",   LLMUX_ERR_AUTH },
    { "ExpiredToken",            LLMUX_ERR_AUTH },
    { "InvalidClientTokenId",    LLMUX_ERR_AUTH },
    { "MissingAuthenticationToken", LLMUX_ERR_AUTH },
    { "RequestExpired",          LLMUX_ERR_AUTH },
    { "ResourceNotFound",        LLMUX_ERR_MODEL },
    { "UnknownOperation",        LLMUX_ERR_NOT_FOUND },
    { "Conflict",                LLMUX_ERR_CONFLICT },
    { "ServiceQuotaExceeded",    LLMUX_ERR_QUOTA },
    { "Throttling",              LLMUX_ERR_RATE_LIMIT },
    { "ThrottledRequest",        LLMUX_ERR_RATE_LIMIT },
    { "TooManyRequests",         LLMUX_ERR_RATE_LIMIT },
    { "RequestEntityTooLarge",   LLMUX_ERR_TOO_LARGE },
    { "ModelNotReady",           LLMUX_ERR_OVERLOADED },
    { "ServiceUnavailable",      LLMUX_ERR_OVERLOADED },
    { "ModelTimeout",            LLMUX_ERR_TIMEOUT },
    { "RequestTimeout",          LLMUX_ERR_TIMEOUT },
    { "ModelError",              LLMUX_ERR_BAD_UPSTREAM },
    { "ModelStreamError",        LLMUX_ERR_BAD_UPSTREAM },
    { "InternalServer",          LLMUX_ERR_INTERNAL },
    { "InternalServerError",     LLMUX_ERR_INTERNAL },
    { "InternalFailure",         LLMUX_ERR_INTERNAL },
    { "InternalError",           LLMUX_ERR_INTERNAL }
};

/* "com.amazon.coral.service#XException:http://..." is X: a namespace before
 * it, an address behind it. */
static llmux_slice_t bare(llmux_slice_t s)
{
    static const char ending[] = "Exception";
    apr_size_t n = sizeof(ending) - 1;
    const char *mark = s.data ? memchr(s.data, ':', s.len) : NULL;

    if (mark) {
        s.len = (apr_size_t)(mark - s.data);
    }
    mark = s.data ? memchr(s.data, '#', s.len) : NULL;
    if (mark) {
        s.len -= (apr_size_t)(mark + 1 - s.data);
        s.data = mark + 1;
    }
    if (s.len > n && !strncasecmp(s.data + s.len - n, ending, n)) {
        s.len -= n;
    }
    return s;
}

llmux_error_e llmux_aws_error_kind(llmux_slice_t name, llmux_error_e other)
{
    llmux_slice_t s = bare(name);
    apr_size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (llmux_slice_is_nocase(s, names[i].name)) {
            return names[i].kind;
        }
    }
    return other;
}

/* A model's failure may say what status lies behind it: one that another
 * attempt can mend is worth knowing. */
static llmux_error_e behind(llmux_error_e kind, const llmux_json_t *payload)
{
    apr_int64_t status = llmux_json_int(
        llmux_json_get(payload, "originalStatusCode"), 0);

    return kind == LLMUX_ERR_BAD_UPSTREAM
           && (status == 429 || (status >= 500 && status < 600))
           ? llmux_error_kind_of((int)status) : kind;
}

static llmux_slice_t words_of(apr_pool_t *p, const llmux_aws_message_t *m,
                              const llmux_json_t *payload)
{
    llmux_slice_t s = llmux_json_str(p, llmux_json_get(payload, "message"));

    if (llmux_slice_blank(s)) {
        s = llmux_json_str(p, llmux_json_get(payload, "Message"));
    }
    return llmux_slice_blank(s) ? m->error_message : s;
}

llmux_error_t *llmux_aws_error(apr_pool_t *p, const llmux_aws_message_t *m,
                               const llmux_json_t *payload)
{
    llmux_slice_t words = words_of(p, m, payload);
    llmux_slice_t name = m->exception_type.data ? m->exception_type
                                                : m->error_code;
    llmux_error_e kind = behind(
        llmux_aws_error_kind(name, LLMUX_ERR_BAD_UPSTREAM), payload);

    return llmux_error(p, kind, NULL, "%s", llmux_slice_blank(words)
        ? "The provider broke off its answer and did not say why."
        : llmux_message_cut(p, words));
}
