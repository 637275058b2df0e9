/* planted.c - a bug on purpose, built in by -DLLMUX_PLANT_BUG: tools/fuzz.sh
 * must find it, or its silence about the other targets means nothing. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>

#include "llmux/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#ifdef LLMUX_PLANT_BUG
enum { TOO_FAR = 1 };
#else
enum { TOO_FAR = 0 };
#endif

/* Copies a string's span with its quotation marks, if it has
 * an escape in it: the kind of branch that no ordinary input takes. */
static void copy_escaped(apr_pool_t *p, llmux_slice_t raw)
{
    char *copy;

    if (memchr(raw.data, '\\', raw.len)) {
        copy = apr_palloc(p, raw.len + TOO_FAR);
        memcpy(copy, raw.data, raw.len + TOO_FAR);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;
    llmux_slice_t text = { NULL, size };
    const llmux_json_t *v;
    char *exact = malloc(size ? size : 1);

    if (!pool) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    if (exact && size) {
        memcpy(exact, data, size);
        text.data = exact;
        v = llmux_json_parse(pool, text, 0, NULL);
        if (llmux_json_kind(v) == LLMUX_JSON_STRING) {
            copy_escaped(pool, llmux_json_raw(v));
        }
    }
    apr_pool_clear(pool);
    free(exact);
    return 0;
}
