/* head.c - fuzzes the lines of a response's head. Names and values of one that
 * is taken are clean; folding and layers of coding are always noticed.
 *
 * covers: src/transport/curl_head.c
 */

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#include "transport/curl_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

/* Nothing that could end a line when it is written again. */
static void check_clean(const char *s)
{
    size_t i, n = strlen(s);

    for (i = 0; i < n; i++) {
        MUST((unsigned char)s[i] >= ' ' && s[i] != 0x7f);
    }
    MUST(!n || (s[0] != ' ' && s[n - 1] != ' '));
}

static int says_coding(const llmux_header_t *h)
{
    return (!strcasecmp(h->name, "Content-Encoding")
            || !strcasecmp(h->name, "Transfer-Encoding"))
        && strchr(h->value, ',');
}

static void check_head(const llmux_head_t *h, int folded)
{
    const char *objection = llmux_head_objection(h);
    const llmux_header_t *header;
    int i, layers = llmux_head_layers(h);

    MUST(layers >= 0 && layers <= 2 * h->r.headers->nelts);
    MUST(!folded || objection);
    MUST(layers < 2 || objection);
    for (i = 0; !objection && i < h->r.headers->nelts; i++) {
        header = &APR_ARRAY_IDX(h->r.headers, i, llmux_header_t);
        check_clean(header->name);
        check_clean(header->value);
        MUST(!strchr(header->name, ':'));
        MUST(!says_coding(header));
    }
}

/* Each line in memory of its own, as libcurl hands them out. */
static int take(llmux_head_t *h, const char *line, size_t len)
{
    char *copy = malloc(len);
    int ended, before = h->r.headers->nelts, inside = h->inside;

    MUST(copy != NULL);
    memcpy(copy, line, len);
    ended = llmux_head_line(h, copy, len);
    free(copy);
    MUST(inside ? h->r.headers->nelts <= before + 1 : !h->r.headers->nelts);
    MUST(ended == !h->inside);
    return ended;
}

static void fuzz(apr_pool_t *p, const char *text, size_t size)
{
    llmux_head_t h;
    const char *end;
    size_t n;
    int folded = 0;

    llmux_head_init(&h, p);
    for (; size; text += n, size -= n) {
        end = memchr(text, '\n', size);
        n = end ? (size_t)(end - text) + 1 : size;
        folded |= h.inside && (*text == ' ' || *text == '\t');
        if (take(&h, text, n)) {
            check_head(&h, folded);
        }
    }
    check_head(&h, folded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *root;
    apr_pool_t *p;

    if (!root) {
        apr_initialize();
        apr_pool_create(&root, NULL);
    }
    apr_pool_create(&p, root);
    fuzz(p, (const char *)data, size);
    apr_pool_destroy(p);
    return 0;
}
