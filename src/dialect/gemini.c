/* gemini.c - the dialect of generateContent (Gemini API and Vertex AI). */

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

#include "errors.h"
#include "gemini.h"

/* google.rpc.Code: the word, what it means here, and its HTTP status. */
static const struct {
    const char *word;
    llmux_error_e kind;
    int status;
} codes[] = {
    { "INVALID_ARGUMENT",    LLMUX_ERR_INVALID,     400 },
    { "FAILED_PRECONDITION", LLMUX_ERR_INVALID,     400 },
    { "OUT_OF_RANGE",        LLMUX_ERR_INVALID,     400 },
    { "UNAUTHENTICATED",     LLMUX_ERR_AUTH,        401 },
    { "PERMISSION_DENIED",   LLMUX_ERR_PERMISSION,  403 },
    { "NOT_FOUND",           LLMUX_ERR_NOT_FOUND,   404 },
    { "ABORTED",             LLMUX_ERR_CONFLICT,    409 },
    { "ALREADY_EXISTS",      LLMUX_ERR_CONFLICT,    409 },
    { "RESOURCE_EXHAUSTED",  LLMUX_ERR_RATE_LIMIT,  429 },
    { "CANCELLED",           LLMUX_ERR_INTERNAL,    499 },
    { "INTERNAL",            LLMUX_ERR_INTERNAL,    500 },
    { "UNKNOWN",             LLMUX_ERR_INTERNAL,    500 },
    { "DATA_LOSS",           LLMUX_ERR_INTERNAL,    500 },
    { "UNIMPLEMENTED",       LLMUX_ERR_UNSUPPORTED, 501 },
    { "UNAVAILABLE",         LLMUX_ERR_OVERLOADED,  503 },
    { "DEADLINE_EXCEEDED",   LLMUX_ERR_TIMEOUT,     504 }
};

/* What Google says in words alone: `has` is in the message. */
static const struct {
    llmux_error_e from;
    const char *has;
    llmux_error_e to;
} hints[] = {
    { LLMUX_ERR_INVALID,    "input token count",       LLMUX_ERR_CONTEXT },
    { LLMUX_ERR_INVALID,    "of tokens allowed",       LLMUX_ERR_CONTEXT },
    { LLMUX_ERR_INVALID,    "payload size exceeds",    LLMUX_ERR_TOO_LARGE },
    { LLMUX_ERR_INVALID,    "API key not valid",       LLMUX_ERR_AUTH },
    { LLMUX_ERR_INVALID,    "API key expired",         LLMUX_ERR_AUTH },
    { LLMUX_ERR_INVALID,    "enable billing",          LLMUX_ERR_BILLING },
    { LLMUX_ERR_PERMISSION, "enable billing",          LLMUX_ERR_BILLING },
    { LLMUX_ERR_RATE_LIMIT, "credits are depleted",    LLMUX_ERR_BILLING },
    { LLMUX_ERR_NOT_FOUND,  "models/",                 LLMUX_ERR_MODEL },
    { LLMUX_ERR_NOT_FOUND,  "Publisher Model",         LLMUX_ERR_MODEL }
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* ---- reading --------------------------------------------------------- */

/* The object that says it. On streams it may stand in an array of one. */
static const llmux_json_t *error_in(const llmux_json_t *body)
{
    if (llmux_json_kind(body) == LLMUX_JSON_ARRAY) {
        body = llmux_json_first(body);
    }
    return llmux_json_get(body, "error");
}

static llmux_error_e kind_of(apr_pool_t *p, const llmux_json_t *error,
                             int status)
{
    llmux_slice_t word = llmux_json_str(p, llmux_json_get(error, "status"));
    apr_size_t i;

    for (i = 0; i < COUNT(codes); i++) {
        if (llmux_slice_is_nocase(word, codes[i].word)) {
            return codes[i].kind;
        }
    }
    if (status < 400) {
        status = (int)llmux_json_int(llmux_json_get(error, "code"), 0);
    }
    return llmux_error_kind_of(status);
}

static llmux_error_e by_words(llmux_error_e kind, const char *message)
{
    apr_size_t i;

    for (i = 0; i < COUNT(hints); i++) {
        if (hints[i].from == kind && strstr(message, hints[i].has)) {
            return hints[i].to;
        }
    }
    return kind;
}

/* One element of `details` of this type, NULL if there is none. */
static const llmux_json_t *detail(apr_pool_t *p, const llmux_json_t *error,
                                  const char *type)
{
    const llmux_json_t *list = llmux_json_get(error, "details"), *v;

    for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
        if (strstr(llmux_json_cstr(p, llmux_json_get(v, "@type")), type)) {
            return v;
        }
    }
    return NULL;
}

/* A day's quota does not come back within the life of a request. */
static int daily(apr_pool_t *p, const llmux_json_t *error)
{
    const llmux_json_t *list = llmux_json_get(
        detail(p, error, "rpc.QuotaFailure"), "violations"), *v;

    for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
        if (strstr(llmux_json_cstr(p, llmux_json_get(v, "quotaId")),
                   "PerDay")) {
            return 1;
        }
    }
    return 0;
}

static llmux_error_e by_details(apr_pool_t *p, const llmux_json_t *error,
                                llmux_error_e kind)
{
    const llmux_json_t *reason = llmux_json_get(
        detail(p, error, "rpc.ErrorInfo"), "reason");

    if (llmux_json_is(reason, "API_KEY_INVALID")
        || llmux_json_is(reason, "API_KEY_EXPIRED")) {
        return LLMUX_ERR_AUTH;
    }
    return kind == LLMUX_ERR_RATE_LIMIT && daily(p, error)
               ? LLMUX_ERR_QUOTA : kind;
}

/* "34.4s", a protobuf Duration; -1 if it is none. */
static apr_interval_time_t duration_of(const char *text)
{
    apr_interval_time_t n = 0, unit = APR_USEC_PER_SEC;
    const char *at;

    for (at = text; apr_isdigit(*at) && n < 1000000000; at++) {
        n = n * 10 + (*at - '0');
    }
    n *= APR_USEC_PER_SEC;
    if (*at == '.') {
        for (at++; apr_isdigit(*at); at++) {
            unit /= 10;
            n += unit * (*at - '0');
        }
    }
    return at > text && !strcmp(at, "s") ? n : -1;
}

static const char *message_of(apr_pool_t *p, int status,
                              const llmux_json_t *error)
{
    llmux_slice_t text = llmux_json_str(p, llmux_json_get(error, "message"));

    if (!llmux_slice_blank(text)) {
        return llmux_message_cut(p, text);
    }
    return status >= 400
               ? apr_psprintf(p, "The provider answered with status %d and "
                                 "said no more.", status)
               : "The provider reported an error and said no more.";
}

llmux_error_t *llmux_gemini_error_read(apr_pool_t *p, int status,
                                       const llmux_json_t *body)
{
    const llmux_json_t *error = error_in(body);
    const char *message;
    llmux_error_e kind;
    llmux_error_t *err;

    if (llmux_json_kind(error) != LLMUX_JSON_OBJECT) {
        return llmux_error_read(p, status, body);   /* not Google's words */
    }
    message = message_of(p, status, error);
    kind = by_details(p, error, by_words(kind_of(p, error, status), message));
    err = llmux_error(p, kind, NULL, "%s", message);
    err->retry_after = duration_of(llmux_json_cstr(p, llmux_json_get(
                           detail(p, error, "rpc.RetryInfo"), "retryDelay")));
    return err;
}

/* ---- writing --------------------------------------------------------- */

static void open_detail(llmux_jw_t *w, const char *type)
{
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "@type");
    llmux_jw_cstr(w, type);
}

static void put_retry(llmux_jw_t *w, apr_interval_time_t delay)
{
    char text[64];

    open_detail(w, "type.googleapis.com/google.rpc.RetryInfo");
    apr_snprintf(text, sizeof(text), "%" APR_INT64_T_FMT "s",
                 (delay + APR_USEC_PER_SEC - 1) / APR_USEC_PER_SEC);
    llmux_jw_key(w, "retryDelay");
    llmux_jw_cstr(w, text);
    llmux_jw_close(w, '}');
}

/* Which member of the body is at fault. */
static void put_violation(llmux_jw_t *w, const llmux_error_t *err)
{
    open_detail(w, "type.googleapis.com/google.rpc.BadRequest");
    llmux_jw_key(w, "fieldViolations");
    llmux_jw_open(w, '[');
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "field");
    llmux_jw_cstr(w, err->param);
    llmux_jw_key(w, "description");
    llmux_jw_cstr(w, err->message);
    llmux_jw_close(w, '}');
    llmux_jw_close(w, ']');
    llmux_jw_close(w, '}');
}

static void put_details(llmux_jw_t *w, const llmux_error_t *err,
                        const char *request_id)
{
    llmux_jw_key(w, "details");
    llmux_jw_open(w, '[');
    if (err->param) {
        put_violation(w, err);
    }
    if (err->retry_after >= 0) {
        put_retry(w, err->retry_after);
    }
    if (request_id) {
        open_detail(w, "type.googleapis.com/google.rpc.RequestInfo");
        llmux_jw_key(w, "requestId");
        llmux_jw_cstr(w, request_id);
        llmux_jw_close(w, '}');
    }
    llmux_jw_close(w, ']');
}

/* Google has no 402 and no 413: an account that is spent is a quota, and a
 * body too large is an argument at fault. */
int llmux_gemini_error_status(const llmux_error_t *err)
{
    switch (err->kind) {
    case LLMUX_ERR_BILLING:
        return 429;
    case LLMUX_ERR_TOO_LARGE:
        return 400;
    default:
        return err->status;
    }
}

void llmux_gemini_error_write(llmux_buf_t *out, const llmux_error_t *err,
                              const char *request_id)
{
    const char *word = llmux_error_gemini(err->kind);
    llmux_jw_t w = llmux_jw(out);

    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "error");
    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "code");
    llmux_jw_int(&w, llmux_gemini_error_status(err));
    llmux_jw_key(&w, "message");
    llmux_jw_cstr(&w, err->message);
    llmux_jw_key(&w, "status");
    llmux_jw_cstr(&w, word);
    if (request_id || err->param || err->retry_after >= 0) {
        put_details(&w, err, request_id);
    }
    llmux_jw_close(&w, '}');
    llmux_jw_close(&w, '}');
}

const llmux_dialect_t llmux_dialect_gemini = {
    .name = "gemini",
    .path = ":generateContent",
    .embed = &llmux_dialect_gemini_batch_embed,
    .count = &llmux_dialect_gemini_count,
    .id_prefix = "",
    .head = llmux_gemini_head,
    .edit = llmux_gemini_edit,
    .read = llmux_gemini_read,
    .takes_url = llmux_gemini_takes_url,
    .write = llmux_gemini_write,
    .decoder = llmux_gemini_decoder,
    .encoder = llmux_gemini_encoder,
    .error_read = llmux_gemini_error_read,
    .error_write = llmux_gemini_error_write,
    .error_status = llmux_gemini_error_status
};
