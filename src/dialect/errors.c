/* errors.c - what a provider's error answer means. */

#include <apr_strings.h>
#include <string.h>

#include "errors.h"
#include "openai_answer.h"

/* ---- by status ------------------------------------------------------- */

static const struct { int status; llmux_error_e kind; } statuses[] = {
    { 400, LLMUX_ERR_INVALID },
    { 401, LLMUX_ERR_AUTH },
    { 402, LLMUX_ERR_BILLING },
    { 403, LLMUX_ERR_PERMISSION },
    { 404, LLMUX_ERR_NOT_FOUND },
    { 405, LLMUX_ERR_METHOD },
    { 408, LLMUX_ERR_TIMEOUT },
    { 409, LLMUX_ERR_CONFLICT },
    { 413, LLMUX_ERR_TOO_LARGE },
    { 415, LLMUX_ERR_MEDIA_TYPE },
    { 429, LLMUX_ERR_RATE_LIMIT },
    { 498, LLMUX_ERR_OVERLOADED },      /* Groq: no capacity */
    { 502, LLMUX_ERR_BAD_UPSTREAM },
    { 503, LLMUX_ERR_OVERLOADED },
    { 504, LLMUX_ERR_TIMEOUT },
    { 522, LLMUX_ERR_TIMEOUT },         /* Cloudflare before the provider */
    { 524, LLMUX_ERR_TIMEOUT },
    { 529, LLMUX_ERR_OVERLOADED }       /* Anthropic */
};

llmux_error_e llmux_error_kind_of(int status)
{
    apr_size_t i;

    for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (statuses[i].status == status) {
            return statuses[i].kind;
        }
    }
    if (status >= 500 && status < 600) {
        return LLMUX_ERR_INTERNAL;
    }
    return status >= 400 && status < 500 ? LLMUX_ERR_INVALID
                                         : LLMUX_ERR_BAD_UPSTREAM;
}

/* ---- by words -------------------------------------------------------- */

/* Sharp words say more than any status; the others count only when there is
 * no status to go by. */
static const struct {
    const char *word;
    llmux_error_e kind;
    int sharp;
} words[] = {
    { "context_length_exceeded",       LLMUX_ERR_CONTEXT,    1 },
    { "context_window_exceeded",       LLMUX_ERR_CONTEXT,    1 },
    { "model_context_window_exceeded", LLMUX_ERR_CONTEXT,    1 },
    { "exceed_context_size_error",     LLMUX_ERR_CONTEXT,    1 },
    { "content_filter",                LLMUX_ERR_BLOCKED,    1 },
    { "content_policy_violation",      LLMUX_ERR_BLOCKED,    1 },
    { "ResponsibleAIPolicyViolation",  LLMUX_ERR_BLOCKED,    1 },
    { "moderation_blocked",            LLMUX_ERR_BLOCKED,    1 },
    { "insufficient_quota",            LLMUX_ERR_QUOTA,      1 },
    { "billing_hard_limit_reached",    LLMUX_ERR_QUOTA,      1 },
    { "billing_not_active",            LLMUX_ERR_BILLING,    1 },
    { "billing_error",                 LLMUX_ERR_BILLING,    1 },
    { "model_not_found",               LLMUX_ERR_MODEL,      1 },
    { "DeploymentNotFound",            LLMUX_ERR_MODEL,      1 },
    { "unknown_model",                 LLMUX_ERR_MODEL,      1 },
    { "invalid_model",                 LLMUX_ERR_MODEL,      1 },
    { "invalid_api_key",               LLMUX_ERR_AUTH,       1 },
    { "overloaded_error",              LLMUX_ERR_OVERLOADED, 1 },
    { "engine_overloaded_error",       LLMUX_ERR_OVERLOADED, 1 },
    { "rate_limit_exceeded",           LLMUX_ERR_RATE_LIMIT, 1 },
    { "rate_limit_error",              LLMUX_ERR_RATE_LIMIT, 1 },
    { "rate_limited",                  LLMUX_ERR_RATE_LIMIT, 0 },
    { "rate_limit",                    LLMUX_ERR_RATE_LIMIT, 0 },
    { "too_many_requests",             LLMUX_ERR_RATE_LIMIT, 0 },
    { "RESOURCE_EXHAUSTED",            LLMUX_ERR_RATE_LIMIT, 0 },
    { "requests",                      LLMUX_ERR_RATE_LIMIT, 0 },
    { "tokens",                        LLMUX_ERR_RATE_LIMIT, 0 },
    { "authentication_error",          LLMUX_ERR_AUTH,       0 },
    { "UNAUTHENTICATED",               LLMUX_ERR_AUTH,       0 },
    { "permission_error",              LLMUX_ERR_PERMISSION, 0 },
    { "PERMISSION_DENIED",             LLMUX_ERR_PERMISSION, 0 },
    { "not_found_error",               LLMUX_ERR_NOT_FOUND,  0 },
    { "NOT_FOUND",                     LLMUX_ERR_NOT_FOUND,  0 },
    { "request_too_large",             LLMUX_ERR_TOO_LARGE,  0 },
    { "conflict_error",                LLMUX_ERR_CONFLICT,   0 },
    { "ABORTED",                       LLMUX_ERR_CONFLICT,   0 },
    { "overloaded",                    LLMUX_ERR_OVERLOADED, 0 },
    { "UNAVAILABLE",                   LLMUX_ERR_OVERLOADED, 0 },
    { "service_unavailable",           LLMUX_ERR_OVERLOADED, 0 },
    { "timeout_error",                 LLMUX_ERR_TIMEOUT,    0 },
    { "timeout",                       LLMUX_ERR_TIMEOUT,    0 },
    { "DEADLINE_EXCEEDED",             LLMUX_ERR_TIMEOUT,    0 },
    { "invalid_request_error",         LLMUX_ERR_INVALID,    0 },
    { "BadRequestError",               LLMUX_ERR_INVALID,    0 },
    { "INVALID_ARGUMENT",              LLMUX_ERR_INVALID,    0 },
    { "FAILED_PRECONDITION",           LLMUX_ERR_INVALID,    0 },
    { "api_error",                     LLMUX_ERR_INTERNAL,   0 },
    { "server_error",                  LLMUX_ERR_INTERNAL,   0 },
    { "internal_server_error",         LLMUX_ERR_INTERNAL,   0 },
    { "internal_error",                LLMUX_ERR_INTERNAL,   0 },
    { "INTERNAL",                      LLMUX_ERR_INTERNAL,   0 }
};

static llmux_error_e word(llmux_slice_t s, int sharp, llmux_error_e other)
{
    apr_size_t i;

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (words[i].sharp >= sharp
            && llmux_slice_is_nocase(s, words[i].word)) {
            return words[i].kind;
        }
    }
    return other;
}

llmux_error_e llmux_error_kind_of_word(llmux_slice_t s, llmux_error_e other)
{
    return word(s, 0, other);
}

/* What the three makers say of a token that is not theirs, is another
 * account's, or belongs to words that were changed since. */
static const char *const token_words[] = {
    "invalid_encrypted_content", "Invalid `signature` in `thinking` block",
    "Thought signature is not valid", "Invalid thought signature",
    "Expected `thinking` or `redacted_thinking`",
    "without its required 'reasoning' item"
};

int llmux_error_of_token(const llmux_error_t *err)
{
    apr_size_t i;

    if (err->kind != LLMUX_ERR_INVALID) {
        return 0;
    }
    for (i = 0; i < sizeof(token_words) / sizeof(token_words[0]); i++) {
        if (strcasestr(err->message, token_words[i])
            || (err->code && !strcmp(err->code, token_words[i]))) {
            return 1;
        }
    }
    return 0;
}

/* Servers that have no code for a prompt that is too long say it in words.
 * Lower case. */
static const char *const too_long[] = {
    "maximum context length",
    "max context length",
    "context length exceeded",
    "exceeds the context window",
    "exceed context limit",
    "context window of this model",
    "prompt is too long",
    "prompt too long",
    "length of all messages is too long",
    "input token count",
    NULL
};

static int has_nocase(llmux_slice_t s, const char *lower)
{
    apr_size_t n = strlen(lower), i, k;

    for (i = 0; s.data && i + n <= s.len; i++) {
        for (k = 0; k < n; k++) {
            char c = s.data[i + k];

            if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != lower[k]) {
                break;
            }
        }
        if (k == n) {
            return 1;
        }
    }
    return 0;
}

static int says_any(llmux_slice_t message, const char *const *phrases)
{
    int i;

    for (i = 0; phrases[i]; i++) {
        if (has_nocase(message, phrases[i])) {
            return 1;
        }
    }
    return 0;
}

/* ---- bodies ---------------------------------------------------------- */

/* What a body says, wherever it says it. */
typedef struct said_t {
    llmux_slice_t message, type, code, param, status, inner;
    int number;             /* numeric code or status, 0 for none */
} said_t;

/* A NUL would end it early, or leave nothing of it. */
static char *without_nul(char *s, apr_size_t len)
{
    apr_size_t i;

    for (i = 0; i < len; i++) {
        s[i] = s[i] ? s[i] : ' ';
    }
    return s;
}

const char *llmux_message_cut(apr_pool_t *p, llmux_slice_t text)
{
    if (text.data && text.len > LLMUX_MESSAGE_MAX) {
        text.len = LLMUX_MESSAGE_MAX;
        while (text.len && (text.data[text.len] & 0xc0) == 0x80) {
            text.len--;
        }
    }
    return text.data ? without_nul(apr_pstrmemdup(p, text.data, text.len),
                                   text.len) : "";
}

/* A string's characters, any other value as it stands; blank is absent. */
static llmux_slice_t words_of(apr_pool_t *p, const llmux_json_t *v)
{
    static const llmux_slice_t none = { NULL, 0 };
    llmux_slice_t s = llmux_json_kind(v) == LLMUX_JSON_STRING
        ? llmux_json_str(p, v) : llmux_json_raw(v);

    return llmux_slice_blank(s) ? none : s;
}

/* FastAPI lists what it dislikes: [{"loc":..., "msg":"field required"}]. */
static const llmux_json_t *first_words(const llmux_json_t *v)
{
    const llmux_json_t *msg = llmux_json_get(llmux_json_at(v, 0), "msg");

    return msg ? msg : v;
}

static const llmux_json_t *message_in(const llmux_json_t *e)
{
    static const char *const names[] = {
        "message", "detail", "msg", "error_msg", "error_message", NULL
    };
    const llmux_json_t *v = NULL;
    int i;

    for (i = 0; !v && names[i]; i++) {
        v = llmux_json_get(e, names[i]);
    }
    return first_words(v);
}

/* A number, also as a string ("429"), that is an HTTP error status. */
static int status_in(apr_pool_t *p, const llmux_json_t *e)
{
    static const char *const names[] = {
        "code", "statusCode", "status_code", "status", NULL
    };
    int i;

    for (i = 0; names[i]; i++) {
        const llmux_json_t *v = llmux_json_get(e, names[i]);
        apr_int64_t n = llmux_json_kind(v) == LLMUX_JSON_STRING
            ? apr_strtoi64(llmux_json_cstr(p, v), NULL, 10)
            : llmux_json_int(v, 0);

        if (n >= 400 && n < 600) {
            return (int)n;
        }
    }
    return 0;
}

static void read_object(apr_pool_t *p, const llmux_json_t *e, said_t *said)
{
    const llmux_json_t *inner = llmux_json_get(e, "innererror");

    said->message = words_of(p, message_in(e));
    said->type = llmux_json_str(p, llmux_json_get(e, "type"));
    said->code = llmux_json_str(p, llmux_json_get(e, "code"));
    said->param = llmux_json_str(p, llmux_json_get(e, "param"));
    said->status = llmux_json_str(p, llmux_json_get(e, "status"));
    said->inner = llmux_json_str(p, llmux_json_get(inner, "code"));
    said->number = status_in(p, e);
}

/* The object that describes the error: `error` in the body, the body itself,
 * or the same in an array of one, as Google sends at times. */
static void read_body(apr_pool_t *p, const llmux_json_t *body, said_t *said)
{
    const llmux_json_t *e;

    if (llmux_json_kind(body) == LLMUX_JSON_ARRAY) {
        body = llmux_json_at(body, 0);
    }
    e = llmux_json_get(body, "error");
    if (llmux_json_kind(e) == LLMUX_JSON_OBJECT) {
        read_object(p, e, said);
    }
    else {
        read_object(p, body, said);
        if (e && !said->message.data) {
            said->message = words_of(p, e);
        }
    }
    if (!said->message.data) {
        said->message = words_of(p, body);
    }
}

static llmux_error_e kind_of(const said_t *said, int status)
{
    llmux_error_e kind = LLMUX_ERR_COUNT;
    int sharp = status >= 400;

    kind = word(said->type, 1, kind);
    kind = word(said->code, 1, kind);
    kind = word(said->inner, 1, kind);
    if (kind != LLMUX_ERR_COUNT) {
        return kind;
    }
    if (sharp || said->number) {
        return llmux_error_kind_of(sharp ? status : said->number);
    }
    kind = word(said->type, 0, LLMUX_ERR_BAD_UPSTREAM);
    kind = word(said->status, 0, kind);
    return word(said->code, 0, kind);
}

/* Google and xAI answer 400 to a key that they do not take. Their words must
 * be known for what they are: they may repeat the key. Lower case. */
static const char *const bad_keys[] = {
    "api key not valid",
    "api key not found",
    "api key expired",
    "incorrect api key",
    "invalid api key",
    "pass a valid api key",
    NULL
};

/* "The model `x` does not exist", and Anthropic's "model: x": otherwise a 404
 * may mean the URL. */
static int says_no_model(llmux_slice_t message)
{
    return llmux_slice_starts(message, "model: ")
        || (has_nocase(message, "model")
            && (has_nocase(message, "not exist")
                || has_nocase(message, "not found")));
}

static llmux_error_e refine(llmux_error_e kind, llmux_slice_t message)
{
    switch (kind) {
    case LLMUX_ERR_INVALID:
        if (says_any(message, bad_keys)) {
            return LLMUX_ERR_AUTH;
        }
        /* fall through */
    case LLMUX_ERR_TOO_LARGE:
    case LLMUX_ERR_BAD_UPSTREAM:
        return says_any(message, too_long) ? LLMUX_ERR_CONTEXT : kind;
    case LLMUX_ERR_NOT_FOUND:
        return says_no_model(message) ? LLMUX_ERR_MODEL : kind;
    default:
        return kind;
    }
}

llmux_error_t *llmux_error_read(apr_pool_t *p, int status,
                                const llmux_json_t *body)
{
    said_t said;
    llmux_error_t *err;
    llmux_error_e kind;

    memset(&said, 0, sizeof(said));
    read_body(p, body, &said);
    kind = refine(kind_of(&said, status), said.message);
    err = llmux_error(p, kind, NULL, "%s", said.message.data
        ? llmux_message_cut(p, said.message)
        : "The provider answered with an error and no explanation.");
    if (!llmux_slice_blank(said.param)) {
        err->param = llmux_message_cut(p, said.param);
    }
    /* "unsupported_value" and its like tell a client what to change. */
    if (kind == LLMUX_ERR_INVALID && !llmux_slice_blank(said.code)
        && !said.number) {
        err->code = llmux_message_cut(p, said.code);
    }
    return err;
}

/* ---- OpenAI's envelope ----------------------------------------------- */

void llmux_openai_error_write(llmux_buf_t *out, const llmux_error_t *err,
                              const char *request_id)
{
    llmux_jw_t w = llmux_jw(out);

    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "error");
    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "message");
    llmux_jw_cstr(&w, err->message);
    llmux_jw_key(&w, "type");
    llmux_jw_cstr(&w, err->type);
    llmux_jw_key(&w, "param");
    llmux_jw_cstr(&w, err->param);
    llmux_jw_key(&w, "code");
    llmux_jw_cstr(&w, err->code);
    llmux_jw_close(&w, '}');
    llmux_jw_opt_str(&w, "request_id", llmux_slice(request_id));
    llmux_jw_close(&w, '}');
}
