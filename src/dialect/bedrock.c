/* bedrock.c - the dialect of Amazon Bedrock's Converse and ConverseStream:
 * its table, and its errors. */

#include <string.h>

#include "aws_frame.h"
#include "bedrock.h"
#include "errors.h"

/* What the API tells by its words alone. The first that fits counts. */
static const struct {
    llmux_error_e from;
    const char *has;
    llmux_error_e to;
} meanings[] = {
    { LLMUX_ERR_INVALID,    "model identifier is invalid", LLMUX_ERR_MODEL },
    { LLMUX_ERR_INVALID,    "resolve the foundation model", LLMUX_ERR_MODEL },
    { LLMUX_ERR_INVALID,    "on-demand throughput isn", LLMUX_ERR_MODEL },
    { LLMUX_ERR_INVALID,    "too long for requested model",
                                                      LLMUX_ERR_CONTEXT },
    { LLMUX_ERR_INVALID,    "too many input tokens",  LLMUX_ERR_CONTEXT },
    { LLMUX_ERR_INVALID,    "blocked by our content filters",
                                                      LLMUX_ERR_BLOCKED },
    { LLMUX_ERR_NOT_FOUND,  "model",                  LLMUX_ERR_MODEL },
    { LLMUX_ERR_PERMISSION, "security token",         LLMUX_ERR_AUTH },
    { LLMUX_ERR_PERMISSION, "signature",              LLMUX_ERR_AUTH },
    { LLMUX_ERR_PERMISSION, "authentication token",   LLMUX_ERR_AUTH },
    { LLMUX_ERR_PERMISSION, "authentication failed",  LLMUX_ERR_AUTH },
    { LLMUX_ERR_PERMISSION, "api key",                LLMUX_ERR_AUTH },
    { LLMUX_ERR_RATE_LIMIT, "not ready",              LLMUX_ERR_OVERLOADED }
};

static int lower(int c)
{
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

static int has(const char *text, const char *words)
{
    apr_size_t i;

    for (; *text; text++) {
        for (i = 0; words[i] && lower(text[i]) == words[i]; i++) {
        }
        if (!words[i]) {
            return 1;
        }
    }
    return 0;
}

static llmux_error_e meaning(llmux_error_e kind, const char *message)
{
    apr_size_t i;

    for (i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (meanings[i].from == kind && has(message, meanings[i].has)) {
            return meanings[i].to;
        }
    }
    return kind;
}

/* Some of the service's doors write the word large. */
static const char *words_of(apr_pool_t *p, const llmux_json_t *body,
                            const char *other)
{
    llmux_slice_t s = llmux_json_str(p, llmux_json_get(body, "Message"));

    return llmux_json_get(body, "message") || llmux_slice_blank(s)
           ? other : llmux_message_cut(p, s);
}

llmux_error_t *llmux_bedrock_error_read(apr_pool_t *p, int status,
                                        const llmux_json_t *body)
{
    llmux_error_t *err = llmux_error_read(p, status, body);
    const char *message = words_of(p, body, err->message);
    llmux_slice_t type = llmux_json_str(p, llmux_json_get(body, "__type"));
    llmux_error_e kind = err->kind;

    if (status == 424) {
        kind = LLMUX_ERR_BAD_UPSTREAM;      /* the model failed */
    }
    if (kind != LLMUX_ERR_CONTEXT) {
        kind = meaning(llmux_aws_error_kind(type, kind), message);
    }
    return llmux_error(p, kind, NULL, "%s", message);
}

const llmux_dialect_t llmux_dialect_bedrock = {
    .name = "bedrock",
    .single = 1,
    .op = LLMUX_OP_CHAT,
    .embed = &llmux_dialect_bedrock_embed,
    .count = &llmux_dialect_bedrock_count,
    .frame = LLMUX_FRAME_AWS,
    .write = llmux_bedrock_write,
    .decoder = llmux_bedrock_decoder,
    .error_read = llmux_bedrock_error_read
};
