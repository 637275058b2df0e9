/* cohere.c - the dialect of Cohere's /v2/chat: its table, and its errors. */

#include <string.h>

#include "cohere.h"
#include "errors.h"

/* What others say otherwise. */
static const struct { int status; llmux_error_e kind; } statuses[] = {
    { 498, LLMUX_ERR_AUTH },            /* "invalid token" */
    { 499, LLMUX_ERR_INTERNAL },        /* cancelled, and not by us */
    { 501, LLMUX_ERR_UNSUPPORTED }
};

/* The API has no codes: all it says, it says in words. The first that fits
 * counts. */
static const struct {
    llmux_error_e from;
    const char *has;
    llmux_error_e to;
} meanings[] = {
    { LLMUX_ERR_INVALID,    "too many tokens: max tokens", LLMUX_ERR_INVALID },
    { LLMUX_ERR_INVALID,    "too many tokens",     LLMUX_ERR_CONTEXT },
    { LLMUX_ERR_INVALID,    "size limit exceeded", LLMUX_ERR_CONTEXT },
    { LLMUX_ERR_INVALID,    "invalid api token",   LLMUX_ERR_AUTH },
    { LLMUX_ERR_INVALID,    "no api key supplied", LLMUX_ERR_AUTH },
    { LLMUX_ERR_INVALID,    "blocked ",            LLMUX_ERR_BLOCKED },
    { LLMUX_ERR_NOT_FOUND,  "model '",             LLMUX_ERR_MODEL },
    { LLMUX_ERR_RATE_LIMIT, "/ month",             LLMUX_ERR_QUOTA }
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static llmux_error_e meaning(llmux_error_e kind, int status,
                             const char *message)
{
    apr_size_t i;

    for (i = 0; i < COUNT(statuses); i++) {
        if (statuses[i].status == status) {
            return statuses[i].kind;
        }
    }
    for (i = 0; i < COUNT(meanings); i++) {
        if (meanings[i].from == kind && strstr(message, meanings[i].has)) {
            return meanings[i].to;
        }
    }
    return kind;
}

llmux_error_t *llmux_cohere_error_read(apr_pool_t *p, int status,
                                       const llmux_json_t *body)
{
    llmux_error_t *err = llmux_error_read(p, status, body);
    llmux_error_e kind = meaning(err->kind, status, err->message);

    return kind == err->kind ? err
                             : llmux_error(p, kind, NULL, "%s", err->message);
}

const llmux_dialect_t llmux_dialect_cohere = {
    .name = "cohere",
    .path = "/chat",
    .embed = &llmux_dialect_cohere_embed,
    .single = 1,
    .write = llmux_cohere_write,
    .decoder = llmux_cohere_decoder,
    .error_read = llmux_cohere_error_read
};
