/* gemini_partial.c - fuzzes arguments that arrive as values at JSON paths: a
 * line each, and an empty line begins the next call. However they contradict
 * each other, they become an object, and cost no more than is allowed.
 *
 * covers: src/dialect/gemini_partial.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#include "dialect/gemini.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

/* Asked twice, it says the same. */
static void check_text(llmux_gemini_partial_t *a, apr_pool_t *p)
{
    llmux_slice_t text, again;
    const char *why = llmux_gemini_partial_text(a, p, &text);

    if (why) {
        MUST(*why);
        return;
    }
    MUST(llmux_json_is_object(p, text));
    text = llmux_slice_dup(p, text);
    MUST(!llmux_gemini_partial_text(a, p, &again));
    MUST(llmux_slice_equal(text, again));
}

/* A line without a path is arguments that came whole. */
static void take(llmux_gemini_partial_t *a, apr_pool_t *p, llmux_slice_t line)
{
    const llmux_json_t *v = llmux_json_parse(p, line, 0, NULL);
    const char *why;

    if (!line.len) {
        check_text(a, p);
        llmux_gemini_partial_reset(a);
        return;
    }
    why = llmux_json_get(v, "jsonPath") ? llmux_gemini_partial_add(a, p, v)
                                        : llmux_gemini_partial_whole(a, v);
    MUST(!why || *why);
}

static void fuzz(apr_pool_t *p, llmux_slice_t text)
{
    apr_size_t used = 0, before = 0;
    llmux_gemini_partial_t *a = llmux_gemini_partial_create(p, &used);
    llmux_slice_t line;
    const char *end;
    apr_pool_t *scratch;

    apr_pool_create(&scratch, p);
    while (text.len) {
        end = memchr(text.data, '\n', text.len);
        line.data = text.data;
        line.len = end ? (apr_size_t)(end - text.data) : text.len;
        take(a, scratch, line);
        MUST(used >= before && used <= LLMUX_ARGS_MAX);
        before = used;
        line.len += end != NULL;
        text.data += line.len;
        text.len -= line.len;
        apr_pool_clear(scratch);
    }
    check_text(a, scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *root;
    llmux_slice_t text = { (const char *)data, size };
    apr_pool_t *p;

    if (!root) {
        apr_initialize();
        apr_pool_create(&root, NULL);
    }
    apr_pool_create(&p, root);
    fuzz(p, text);
    apr_pool_destroy(p);
    return 0;
}
