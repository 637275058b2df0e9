/* openai_peek.c - fuzzes reading chat completions' payloads at a glance. The
 * first byte says whether it is a whole answer or a stream; then each line is
 * a payload, and "[DONE]" the end. Whoever peeks must come to the same events
 * as whoever parses everything, after each line.
 *
 * covers: src/dialect/openai_peek.c src/dialect/openai_decode.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#include "../t/unit/transcript.h"
#include "dialect/openai_peek.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

enum { NOTES_MAX = 64 << 20 };

typedef struct reader_t {
    llmux_decoder_t *d;
    llmux_json_parser_t *parser;
    llmux_buf_t *notes;
} reader_t;

static reader_t make_reader(apr_pool_t *p, const llmux_dialect_t *dialect)
{
    reader_t r;

    r.notes = llmux_buf_create(p, NOTES_MAX);
    r.d = dialect->decoder(p, &test_env, note_event, r.notes);
    r.parser = llmux_json_parser_create(p);
    return r;
}

static void renew_scratch(llmux_decoder_t *d)
{
    if (d->scratch) {
        apr_pool_clear(d->scratch);
    }
    else {
        apr_pool_create(&d->scratch, d->pool);
    }
}

/* Does what stream.c does. @return was it read at a glance? */
static int read_payload(reader_t *r, llmux_slice_t text, int whole)
{
    static const llmux_slice_t none = { NULL, 0 };
    const llmux_json_t *v;

    renew_scratch(r->d);
    if (r->d->peek && r->d->peek(r->d, none, text, whole, r->parser)) {
        return 1;
    }
    v = llmux_json_parse_again(r->parser, text, 0, NULL);
    if (!v) {
        llmux_decoder_fail(r->d, LLMUX_ERR_BAD_UPSTREAM, "no JSON");
    }
    else if (whole) {
        r->d->whole(r->d, v);
    }
    else {
        r->d->payload(r->d, none, v);
    }
    return 0;
}

static void must_agree(const reader_t *a, const reader_t *b)
{
    MUST(!a->notes->failed && !b->notes->failed);
    MUST(llmux_slice_equal(llmux_buf_slice(a->notes),
                           llmux_buf_slice(b->notes)));
    MUST(a->d->ended == b->d->ended && a->d->started == b->d->started);
}

/* In memory of its own, so that sanitizers see every byte beyond it. */
static void read_both(apr_pool_t *p, reader_t *peeking, reader_t *parsing,
                      const uint8_t *line, size_t len, int whole)
{
    llmux_json_t slots[LLMUX_PEEK_COUNT];
    llmux_slice_t text;
    char *copy = malloc(len + !len);

    MUST(copy != NULL);
    memcpy(copy, line, len);
    text.data = copy;
    text.len = len;
    if (llmux_openai_peek(text, slots)) {
        MUST(llmux_json_is_object(p, text));
    }
    read_payload(peeking, text, whole);
    MUST(!read_payload(parsing, text, whole));
    must_agree(peeking, parsing);
    free(copy);
}

static void fuzz(apr_pool_t *p, const uint8_t *data, size_t size, int whole)
{
    reader_t peeking = make_reader(p, &llmux_dialect_openai);
    reader_t parsing = make_reader(p, &parsing_openai);
    const uint8_t *end = data + size, *eol;

    for (; data < end && !peeking.d->ended; data = eol + 1) {
        eol = whole ? NULL : memchr(data, '\n', (size_t)(end - data));
        eol = eol ? eol : end;
        if (eol - data == 6 && !memcmp(data, "[DONE]", 6)) {
            break;
        }
        read_both(p, &peeking, &parsing, data, (size_t)(eol - data), whole);
    }
    peeking.d->finish(peeking.d);
    parsing.d->finish(parsing.d);
    must_agree(&peeking, &parsing);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;
    apr_pool_t *p;

    if (!size) {
        return 0;
    }
    if (!pool) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    apr_pool_create(&p, pool);
    fuzz(p, data + 1, size - 1, data[0] == 'w');
    apr_pool_destroy(p);
    return 0;
}
