/* responses_write.c - fuzzes what is written for OpenAI's Responses API. The
 * first byte says whose client the body is from and what the server can, the
 * others are the body. Every call must have one id and one answer.
 *
 * covers: src/dialect/responses_write.c src/dialect/responses_write_items.c
 *         src/dialect/responses_write_parts.c
 *         src/dialect/responses_write_tools.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>
#include <apr_hash.h>

#include "llmux/dialect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void) 0 : abort())

enum { WRITTEN_MAX = 64 << 20 };

static int is(const llmux_json_t *item, const char *type)
{
    return llmux_json_is(llmux_json_get(item, "type"), type);
}

/* ---- calls and their answers ----------------------------------------- */

static int is_call(const llmux_json_t *item)
{
    return is(item, "function_call") || is(item, "custom_tool_call");
}

static int is_answer(const llmux_json_t *item)
{
    return is(item, "function_call_output")
        || is(item, "custom_tool_call_output");
}

/* Only the calls of the last message may wait for their answer: then nothing
 * but the assistant's own stands behind them. */
static void check_items(apr_pool_t *p, const llmux_json_t *input)
{
    apr_hash_t *calls = apr_hash_make(p);
    unsigned open = 0;
    const llmux_json_t *v;

    for (v = llmux_json_first(input); v; v = llmux_json_next(input, v)) {
        llmux_slice_t id = llmux_json_str(p, llmux_json_get(v, "call_id"));
        apr_ssize_t len = (apr_ssize_t)id.len;

        if (is_call(v)) {
            MUST(id.len > 0 && id.len <= 64);
            MUST(!apr_hash_get(calls, id.data, len));
            apr_hash_set(calls, id.data, len, "open");
            open++;
        }
        else if (is_answer(v)) {
            const char *state = apr_hash_get(calls, id.data, len);

            MUST(state && !strcmp(state, "open"));
            apr_hash_set(calls, id.data, len, "answered");
            open--;
        }
        else {
            MUST(!open || llmux_json_is(llmux_json_get(v, "role"),
                                        "assistant")
                 || is(v, "reasoning") || is(v, "image_generation_call"));
        }
    }
}

/* ---- all of it ------------------------------------------------------- */

static void check_error(const llmux_error_t *err)
{
    MUST(err->message && *err->message);
    MUST(err->status >= 400 && err->status < 600);
}

static void check_written(apr_pool_t *p, llmux_slice_t text)
{
    const llmux_json_t *v = llmux_json_parse(p, text, 0, NULL);

    MUST(llmux_json_kind(v) == LLMUX_JSON_OBJECT);
    MUST(llmux_json_kind(llmux_json_get(v, "input")) == LLMUX_JSON_ARRAY);
    MUST(llmux_json_bool(llmux_json_get(v, "store")) != LLMUX_UNSET);
    check_items(p, llmux_json_get(v, "input"));
}

static void translate(apr_pool_t *p, const llmux_dialect_t *client,
                      unsigned int can, const llmux_json_t *body)
{
    llmux_chat_t *chat = llmux_chat_create(p);
    llmux_buf_t *out = llmux_buf_create(p, WRITTEN_MAX);
    llmux_warnings_t *warnings = llmux_warnings_create(p, 0);
    const llmux_error_t *err = client->read(chat, body);
    llmux_target_t target = { "fuzz", chat->model, can, 4096, NULL };

    if (!err) {
        err = llmux_dialect_responses.write(out, chat, &target, warnings, p);
        llmux_warnings_header(p, warnings);
    }
    if (err) {
        check_error(err);
    }
    else {
        check_written(p, llmux_buf_slice(out));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    llmux_slice_t text = { (const char *)data + 1, size ? size - 1 : 0 };
    static apr_pool_t *root;
    const llmux_json_t *body;
    apr_pool_t *p;

    if (!root) {
        apr_initialize();
        apr_pool_create(&root, NULL);
    }
    if (!size) {
        return 0;
    }
    apr_pool_create(&p, root);
    body = llmux_json_parse(p, text, 0, NULL);
    if (llmux_json_kind(body) == LLMUX_JSON_OBJECT) {
        translate(p, data[0] & 1 ? &llmux_dialect_responses
                                 : &llmux_dialect_openai,
                  data[0] & 2 ? ~0u : 0, body);
    }
    apr_pool_destroy(p);
    return 0;
}
