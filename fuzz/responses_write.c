/* responses_write.c - fuzzes what is written for OpenAI's Responses API. The
 * first byte says whose client the body is from and what the server can, the
 * others are the body. Every call must have one id and one answer.
 *
 * covers: src/dialect/responses_write.c src/dialect/responses_write_items.c
 *         src/dialect/responses_write_parts.c
 *         src/dialect/responses_write_tools.c
 */

#include "write.h"

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

static void translate(apr_pool_t *p, int how, const llmux_json_t *body)
{
    const llmux_dialect_t *client = how & 1 ? &llmux_dialect_responses
                                            : &llmux_dialect_openai;
    llmux_target_t target = { .name = "fuzz", .can = how & 2 ? ~0u : 0,
                              .max_tokens = 4096 };
    const llmux_json_t *v;

    target.model = llmux_slice("m");
    v = written(p, client, &llmux_dialect_responses, &target, body);
    if (!v) {
        return;
    }
    MUST(llmux_json_kind(llmux_json_get(v, "input")) == LLMUX_JSON_ARRAY);
    MUST(llmux_json_bool(llmux_json_get(v, "store")) != LLMUX_UNSET);
    check_items(p, llmux_json_get(v, "input"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_writer(data, size);
}
