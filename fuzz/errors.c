/* errors.c - fuzzes what is made of a provider's refusal. The first byte says
 * which status and dialect it came with, the others are the body.
 *
 * covers: src/dialect/errors.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#include "dialect/errors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

static const int statuses[] = {
    0, 200, 302, 400, 401, 402, 403, 404, 405, 408, 409, 413, 415, 418, 422,
    429, 498, 500, 501, 502, 503, 504, 522, 524, 529, 600
};

static const llmux_dialect_t *const dialects[] = {
    &llmux_dialect_openai, &llmux_dialect_anthropic, &llmux_dialect_gemini
};

/* A client can be told, and its JSON is JSON. */
static void check(apr_pool_t *p, const llmux_error_t *err)
{
    llmux_buf_t *out = llmux_buf_create(p, 1 << 20);

    MUST(err->kind < LLMUX_ERR_COUNT);
    MUST(err->status >= 400 && err->status < 600);
    MUST(err->type && err->message && *err->message);
    MUST(strlen(err->message) <= LLMUX_MESSAGE_MAX);
    llmux_dialect_openai.error_write(out, err, "id");
    MUST(!out->failed && llmux_json_is_object(p, llmux_buf_slice(out)));
}

static void fuzz(apr_pool_t *p, unsigned int how, llmux_slice_t body)
{
    const llmux_json_t *v = llmux_json_parse(p, body, 0, NULL);
    const int count = sizeof(statuses) / sizeof(statuses[0]);
    llmux_slice_t word = llmux_json_str(p, v);

    MUST(llmux_error_kind_of_word(word, LLMUX_ERR_COUNT) <= LLMUX_ERR_COUNT);
    MUST(strlen(llmux_message_cut(p, body)) <= LLMUX_MESSAGE_MAX);
    check(p, dialects[how % 3]->error_read(p, statuses[how / 3 % count], v));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    llmux_slice_t body = { (const char *)data + 1, size - 1 };
    static apr_pool_t *root;
    apr_pool_t *p;

    if (!size) {
        return 0;
    }
    if (!root) {
        apr_initialize();
        apr_pool_create(&root, NULL);
    }
    apr_pool_create(&p, root);
    fuzz(p, data[0], body);
    apr_pool_destroy(p);
    return 0;
}
