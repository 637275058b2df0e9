/* buf.c - growing buffers: limits, growth, eating from the front. */

#include "llmux/core.h"
#include "tap.h"

#include <stdlib.h>

static void adding(apr_pool_t *p)
{
    llmux_buf_t *b = llmux_buf_create(p, 1000);

    ok(llmux_buf_slice(b).data && !llmux_buf_slice(b).len,
       "an empty buffer is empty, not absent");
    llmux_buf_adds(b, "one");
    llmux_buf_add(b, " two", 4);
    llmux_buf_addf(b, " %d %s %zu", 3, "four", (size_t)5);
    llmux_buf_add_slice(b, llmux_slice(" six"));
    is_str(b->data, "one two 3 four 5 six", "pieces join, NUL-terminated");
    llmux_buf_adds(b, NULL);
    llmux_buf_add_slice(b, llmux_slice(NULL));
    llmux_buf_add(b, "", 0);
    is_int((long long)b->len, 20, "nothing adds nothing");
    llmux_buf_add(b, "\0x", 2);
    is_int((long long)b->len, 22, "a NUL is a byte");
    ok(!b->failed, "all of it fitted");
}

static void maximum(apr_pool_t *p)
{
    llmux_buf_t *b = llmux_buf_create(p, 10);

    llmux_buf_adds(b, "0123456789");
    ok(!b->failed && b->len == 10, "the maximum itself fits");
    llmux_buf_adds(b, "x");
    ok(b->failed && b->len == 10, "one more fails and adds nothing");
    llmux_buf_adds(b, "");
    ok(b->failed && b->len == 10, "failure is sticky");
    llmux_buf_reset(b);
    ok(!b->failed && !b->len, "a reset clears it");
    llmux_buf_addf(b, "%s", "0123456789");
    ok(!b->failed && b->len == 10, "formatting may fill it");
    llmux_buf_reset(b);
    llmux_buf_adds(b, "abc");
    llmux_buf_addf(b, "%s", "01234567");
    ok(b->failed && b->len == 3, "formatting too much fails");
    is_str(b->data, "abc", "and leaves what was there");
    llmux_buf_reset(b);
    llmux_buf_adds(b, "abc");
    llmux_buf_add(b, "", ~(apr_size_t)0);
    ok(b->failed && b->len == 3, "a length that would overflow fails");

    b = llmux_buf_create(p, ~(apr_size_t)0);
    llmux_buf_adds(b, "abc");
    ok(!b->failed && b->len == 3, "an enormous maximum works");
    b = llmux_buf_create(p, 0);
    llmux_buf_adds(b, "");
    ok(!b->failed, "nothing fits into a buffer of nothing");
    llmux_buf_adds(b, "a");
    ok(b->failed && !llmux_buf_slice(b).len, "but nothing else");
}

/* The same pieces in a buffer and in an array must leave the same bytes. */
static void against_model(apr_pool_t *p)
{
    enum { MAX = 3000 };
    llmux_buf_t *b = llmux_buf_create(p, MAX);
    char model[MAX];
    apr_size_t len = 0, n, i;
    int step, same = 1;

    srand(1);
    for (step = 0; step < 20000 && same; step++) {
        char piece[400];

        n = (apr_size_t)rand() % sizeof(piece);
        if (rand() % 16 && len + n <= MAX) {
            for (i = 0; i < n; i++) {
                piece[i] = (char)rand();
            }
            llmux_buf_add(b, piece, n);
            memcpy(model + len, piece, n);
            len += n;
        }
        else {
            llmux_buf_reset(b);
            len = 0;
        }
        same = !b->failed && b->len == len && b->cap <= MAX + 1
               && (!len || !memcmp(b->data, model, len))
               && (!b->data || !b->data[b->len]);
    }
    ok(same, "20000 random additions and resets leave what they should");
}

static void memory(apr_pool_t *p)
{
    llmux_buf_t *b = llmux_buf_create(p, 1 << 20);
    int i;

    for (i = 0; i < 100000; i++) {
        llmux_buf_adds(b, "0123456789");
        llmux_buf_reset(b);
    }
    ok(b->cap <= 4096, "a stream through a buffer does not make it grow");
    for (i = 0; i < 50000; i++) {
        llmux_buf_adds(b, "0123456789");
    }
    ok(b->len == 500000 && b->cap == 1 << 20,
       "it grows when it must, to what malloc gives back");
    llmux_buf_reset(b);
    ok(b->cap <= 64 * 1024, "a reset keeps little");
    llmux_buf_adds(b, "again");
    is_str(b->data, "again", "and it can be used again");
    i = (int)b->cap;
    llmux_buf_reset(b);
    ok((int)b->cap == i && b->cap, "a small allocation is kept");
}

int main(void)
{
    apr_pool_t *p;

    apr_initialize();
    apr_pool_create(&p, NULL);
    adding(p);
    maximum(p);
    against_model(p);
    memory(p);
    apr_pool_destroy(p);
    return tap_done();
}
