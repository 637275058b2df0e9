/* gemini_text.c - from bytes of an answer's text to its code points. */

#include <string.h>

#include "gemini.h"

void llmux_gemini_text_init(llmux_gemini_text_t *t, apr_pool_t *p)
{
    t->begins = llmux_buf_create(p, LLMUX_CITED_TEXT_MAX / 8);
    t->bits = 0;
    t->bytes = 0;
}

void llmux_gemini_text_add(llmux_gemini_text_t *t, llmux_slice_t text)
{
    apr_size_t i;

    for (i = 0; i < text.len; i++) {
        int begins = (text.data[i] & 0xc0) != 0x80;

        t->bits |= (unsigned char)(begins << (t->bytes & 7));
        if ((++t->bytes & 7) == 0) {
            llmux_buf_add(t->begins, &t->bits, 1);
            t->bits = 0;
        }
    }
}

static int ones(const char *bytes, apr_size_t len)
{
    unsigned long long word;
    apr_size_t i;
    int n = 0;

    for (i = 0; i + sizeof(word) <= len; i += sizeof(word)) {
        memcpy(&word, bytes + i, sizeof(word));
        n += __builtin_popcountll(word);
    }
    for (; i < len; i++) {
        n += __builtin_popcount((unsigned char)bytes[i]);
    }
    return n;
}

apr_int64_t llmux_gemini_text_points(const llmux_gemini_text_t *t,
                                     apr_int64_t byte)
{
    llmux_slice_t begins = llmux_buf_slice(t->begins);
    apr_int64_t whole = byte >> 3, noted = (apr_int64_t)begins.len;
    int mask = (1 << (byte & 7)) - 1;   /* of the bits before it */
    unsigned int last;

    if (byte < 0 || byte > t->bytes || whole > noted) {
        return -1;
    }
    if (whole == noted && mask && noted != t->bytes >> 3) {
        return -1;                      /* the buffer was full before */
    }
    last = whole < noted ? (unsigned char)begins.data[whole] : t->bits;
    return ones(begins.data, (apr_size_t)whole)
           + __builtin_popcount(last & (unsigned int)mask);
}
