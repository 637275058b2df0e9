/* script.h - input that is read as a script: a byte says what comes next,
 * words are what is left of the line. For targets that fuzz encoders. */

#ifndef FUZZ_SCRIPT_H
#define FUZZ_SCRIPT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_strings.h>

#include "llmux/dialect.h"

#define MUST(cond) ((cond) ? (void)0 : abort())

enum { OUT_MAX = 64 << 20 };

typedef struct source_t {
    apr_pool_t *p;
    const uint8_t *data, *end;
} source_t;

static int next(source_t *in)
{
    return in->data < in->end ? *in->data++ : 0;
}

/* The rest of a line, as it stands. */
static llmux_slice_t bytes(source_t *in)
{
    llmux_slice_t rest = { (const char *)in->data, 0 };

    while (in->data < in->end && *in->data != '\n') {
        in->data++;
        rest.len++;
    }
    next(in);
    return rest.len ? rest : llmux_slice("");
}

/* The same as text. Decoders never split a character, so that there are none
 * to be split here. */
static llmux_slice_t line(source_t *in)
{
    llmux_slice_t text = bytes(in);
    char *c = apr_pstrmemdup(in->p, text.data, text.len);
    apr_size_t i;

    text.data = c;
    for (i = 0; i < text.len; i++) {
        c[i] &= 0x7f;
    }
    return text;
}

#endif
