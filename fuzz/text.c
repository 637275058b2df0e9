/* text.c - fuzzes base64, data URLs, sniffing and numbers with units.
 *
 * covers: src/core/base64.c src/core/parse.c
 */

#include "llmux/core.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
    if (!holds) {
        abort();
    }
}

static void base64(apr_pool_t *p, llmux_slice_t in)
{
    llmux_slice_t text = llmux_base64_encode(p, in);
    llmux_slice_t out = llmux_base64_decode(p, in);

    must(llmux_slice_equal(llmux_base64_decode(p, text), in));
    if (out.data) {
        text = llmux_base64_encode(p, out);
        must(llmux_slice_equal(llmux_base64_decode(p, text), out));
    }
    llmux_media_sniff(in);
    llmux_media_sniff(text);
}

/* What comes out is good base64 and a type that can go into a header. */
static void data_url(apr_pool_t *p, llmux_slice_t in)
{
    llmux_data_url_t url;
    apr_size_t i;
    llmux_slice_t bytes;

    if (!llmux_data_url(p, in, &url)) {
        return;
    }
    bytes = llmux_base64_decode(p, url.base64);
    must(bytes.data != NULL);
    must(llmux_slice_equal(llmux_base64_encode(p, bytes), url.base64));
    must(url.type.len && url.type.len <= LLMUX_MEDIA_TYPE_MAX);
    for (i = 0; i < url.type.len; i++) {
        must(url.type.data[i] > ' ' && url.type.data[i] < 0x7f
             && !(url.type.data[i] >= 'A' && url.type.data[i] <= 'Z'));
    }
}

static void numbers(const char *text)
{
    const apr_time_t now = APR_INT64_C(1800000000) * APR_USEC_PER_SEC;
    apr_interval_time_t wait = llmux_retry_after_parse(text, now), us;
    apr_int64_t bytes;

    must(wait >= -1 && wait <= apr_time_from_sec(LLMUX_RETRY_AFTER_MAX));
    if (llmux_duration_parse(text, &us)) {
        must(us > 0 && us <= apr_time_from_sec(APR_INT64_C(365) * 24 * 3600));
    }
    if (llmux_size_parse(text, &bytes)) {
        must(bytes >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *p;
    llmux_slice_t in = { NULL, size };
    char *copy, *text;

    if (!p) {
        apr_initialize();
        apr_pool_create(&p, NULL);
    }
    /* Copies of exactly this size: a byte too far is seen. */
    copy = malloc(size ? size : 1);
    text = malloc(size + 1);
    if (copy && text) {
        if (size) {
            memcpy(copy, data, size);
            memcpy(text, data, size);
        }
        text[size] = '\0';
        in.data = copy;
        base64(p, in);
        data_url(p, in);
        numbers(text);
    }
    free(copy);
    free(text);
    apr_pool_clear(p);
    return 0;
}
