/* aws_frame.c - Amazon's event streams are taken apart, wherever they are
 * cut, and what was damaged is not believed. */

#include "tap.h"

#include <apr_strings.h>

#include "dialect/aws_frame.h"

#include "aws_message.h"

#define TEXT_MAX (1u << 24)

/* What was heard, a line for each message. */
typedef struct heard_t {
    llmux_buf_t *lines;
    int left;               /* messages to take before saying stop; -1: all */
} heard_t;

static void note(llmux_buf_t *b, const char *label, llmux_slice_t s)
{
    if (s.data) {
        llmux_buf_adds(b, label);
        llmux_buf_add_slice(b, s);
    }
}

static int hear(void *baton, const llmux_aws_message_t *m)
{
    heard_t *h = baton;

    note(h->lines, "type=", m->type);
    note(h->lines, " event=", m->event_type);
    note(h->lines, " exception=", m->exception_type);
    note(h->lines, " code=", m->error_code);
    note(h->lines, " says=", m->error_message);
    note(h->lines, " ", m->payload);
    llmux_buf_addf(h->lines, " (%u)\n", (unsigned)m->raw.len);
    return --h->left != 0;
}

static const char *name_of(apr_status_t rv)
{
    return rv == APR_SUCCESS ? "fine" : rv == APR_ENOSPC ? "too long"
           : rv == APR_EINVAL ? "damaged" : rv == APR_EOF ? "truncated"
           : rv == APR_EGENERAL ? "stopped" : "?";
}

/* What comes of the bytes in pieces of this size (0: all at once, or in two,
 * cut there), and how it ends. */
static const char *heard(apr_pool_t *p, llmux_slice_t bytes, apr_size_t max,
                         int left, apr_size_t size, apr_size_t cut)
{
    heard_t h = { llmux_buf_create(p, TEXT_MAX), left };
    llmux_aws_t *a = llmux_aws_create(p, max, hear, &h);
    apr_size_t at = 0, n = cut ? cut : size;

    for (; at < bytes.len; at += n, n = size) {
        n = n && n < bytes.len - at ? n : bytes.len - at;
        llmux_aws_feed(a, bytes.data + at, n);
    }
    llmux_buf_adds(h.lines, name_of(llmux_aws_end(a)));
    return h.lines->data;
}

static int same_at_every_cut(apr_pool_t *p, llmux_slice_t bytes,
                             apr_size_t max, int left)
{
    const char *want = heard(p, bytes, max, left, 0, 0);
    apr_size_t cut;
    int same = !strcmp(want, heard(p, bytes, max, left, 1, 0));

    for (cut = 1; same && cut < bytes.len; cut++) {
        apr_pool_t *scratch;

        apr_pool_create(&scratch, p);
        same = !strcmp(want, heard(scratch, bytes, max, left, 0, cut));
        apr_pool_destroy(scratch);
    }
    return same;
}

/* ---- messages as they should be -------------------------------------- */

static llmux_slice_t stream_of(apr_pool_t *p)
{
    return aws_events(p, llmux_slice("start {\"a\":1}\n"
                                     "delta {\"text\":\"caf\xc3\xa9\"}\n"
                                     "nothing\n"
                                     "!throttlingException {\"message\":"
                                     "\"slow\"}\n"));
}

#define HEARD "type=event event=start {\"a\":1} (98)\n" \
    "type=event event=delta {\"text\":\"caf\xc3\xa9\"} (107)\n" \
    "type=event event=nothing  (93)\n" \
    "type=exception exception=throttlingException {\"message\":\"slow\"} " \
    "(131)\n"

static void messages(apr_pool_t *p)
{
    llmux_slice_t bytes = stream_of(p), part = bytes;
    llmux_buf_t *more = llmux_buf_create(p, TEXT_MAX);

    is_str(heard(p, bytes, TEXT_MAX, -1, 0, 0), HEARD "fine",
           "messages one after the other");
    ok(same_at_every_cut(p, bytes, TEXT_MAX, -1), "... at every cut");
    is_str(heard(p, bytes, TEXT_MAX, 1, 0, 0),
           "type=event event=start {\"a\":1} (98)\nstopped",
           "no more than are wanted");
    ok(same_at_every_cut(p, bytes, TEXT_MAX, 2), "... at every cut");
    part.len -= 1;
    ok(strstr(heard(p, part, TEXT_MAX, -1, 0, 0), "truncated") != NULL,
       "the last byte is missing");
    part.len = 98;
    is_str(heard(p, part, TEXT_MAX, -1, 0, 0),
           "type=event event=start {\"a\":1} (98)\nfine",
           "the end of a message is an end");
    part.len = 0;
    is_str(heard(p, part, TEXT_MAX, -1, 0, 0), "fine", "nothing at all");
    is_str(heard(p, bytes, 106, -1, 0, 0),
           "type=event event=start {\"a\":1} (98)\ntoo long",
           "a message that is longer than the longest");
    llmux_buf_add_slice(more, bytes);
    llmux_buf_adds(more, "HTTP/1.1 500 Oh");
    is_str(heard(p, llmux_buf_slice(more), TEXT_MAX, -1, 0, 0),
           HEARD "damaged", "something else behind them");
}

/* ---- damage ---------------------------------------------------------- */

/* No byte of it can be another one unnoticed, and what comes out before the
 * damage is what was said. */
static void damage(apr_pool_t *p)
{
    llmux_slice_t bytes = stream_of(p);
    char *copy = apr_pstrmemdup(p, bytes.data, bytes.len);
    llmux_slice_t damaged = { copy, bytes.len };
    apr_size_t i, believed = 0, wrong = 0;
    int bit;

    for (i = 0; i < bytes.len; i++) {
        for (bit = 0; bit < 8; bit++) {
            apr_pool_t *scratch;
            const char *end, *got;

            apr_pool_create(&scratch, p);
            copy[i] = (char)(bytes.data[i] ^ (1 << bit));
            got = heard(scratch, damaged, TEXT_MAX, -1, 0, 0);
            end = strrchr(got, '\n');
            end = end ? end + 1 : got;
            believed += !strcmp(end, "fine");
            wrong += strncmp(got, HEARD, (apr_size_t)(end - got)) != 0;
            apr_pool_destroy(scratch);
        }
        copy[i] = bytes.data[i];
    }
    is_int((long long)believed, 0, "no bit can be turned unnoticed");
    is_int((long long)wrong, 0, "... nor changes what was heard before");
}

/* ---- headers --------------------------------------------------------- */

static const char *with_headers(apr_pool_t *p, const llmux_buf_t *headers)
{
    llmux_buf_t *b = llmux_buf_create(p, TEXT_MAX);

    aws_message(b, llmux_buf_slice(headers), llmux_slice("{}"));
    return heard(p, llmux_buf_slice(b), TEXT_MAX, -1, 0, 0);
}

/* One of every type, by how long its value is. */
static void types(apr_pool_t *p)
{
    static const int sizes[] = { 0, 0, 1, 2, 4, 8, -1, -1, 8, 16 };
    static const char value[16] = { 0, 3, 'a', 'b', 'c' };
    llmux_buf_t *h = llmux_buf_create(p, TEXT_MAX);
    int type;

    for (type = 0; type < 10; type++) {
        aws_header(h, "x", type, value, sizes[type] < 0 ? 5
                                        : (apr_size_t)sizes[type]);
    }
    aws_string(h, ":message-type", "error");
    aws_string(h, ":error-code", "InternalError");
    aws_string(h, ":error-message", "oh");
    is_str(with_headers(p, h),
           "type=error code=InternalError says=oh {} (167)\nfine",
           "headers of all types");
    llmux_buf_reset(h);
    is_str(with_headers(p, h), " {} (18)\nfine", "no headers");
}

static const struct {
    const char *name;
    const char *bytes;
    apr_size_t len;
} bad_headers[] = {
    { "no name", "\0\7\0\0", 4 },
    { "a name longer than all of them", "\5ab", 3 },
    { "no type", "\1a", 2 },
    { "a type that there is not", "\1a\12\0", 4 },
    { "a number cut short", "\1a\5\0\0\0\0\0\0\0", 10 },
    { "a string without its length", "\1a\7\0", 4 },
    { "a string longer than all of them", "\1a\7\0\5abcd", 9 },
    { "a type of message that is no string", "\15:message-type\0", 15 },
    { "an event of two types",
      "\13:event-type\7\0\1a\13:event-type\7\0\1b", 32 }
};

static void bad(apr_pool_t *p)
{
    llmux_buf_t *h = llmux_buf_create(p, TEXT_MAX);
    apr_size_t i;

    for (i = 0; i < sizeof(bad_headers) / sizeof(bad_headers[0]); i++) {
        llmux_buf_reset(h);
        llmux_buf_add(h, bad_headers[i].bytes, bad_headers[i].len);
        is_str(with_headers(p, h), "damaged", bad_headers[i].name);
    }
}

/* Lengths that contradict each other, in a prelude with a right checksum. */
static void lengths(apr_pool_t *p)
{
    static const struct {
        const char *name;
        unsigned long total, headers;
        const char *want;
    } cases[] = {
        { "less than nothing", 15, 0, "damaged" },
        { "more headers than message", 20, 5, "damaged" },
        { "all bits set", 0xffffffff, 0xffffffff, "damaged" },
        { "an endless message", 0xffffffff, 0, "too long" },
        { "headers without end", 8u << 20, LLMUX_AWS_HEADERS_MAX + 1,
          "too long" },
        { "the longest headers", LLMUX_AWS_HEADERS_MAX + 16,
          LLMUX_AWS_HEADERS_MAX, "truncated" }
    };
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        llmux_buf_t *b = llmux_buf_create(p, TEXT_MAX);

        aws_number(b, cases[i].total, 4);
        aws_number(b, cases[i].headers, 4);
        aws_sum(b, 0);
        is_str(heard(p, llmux_buf_slice(b), TEXT_MAX, -1, 0, 0),
               cases[i].want, cases[i].name);
    }
}

/* ---- errors ---------------------------------------------------------- */

static const struct { const char *name; llmux_error_e kind; } kinds[] = {
    { "throttlingException", LLMUX_ERR_RATE_LIMIT },
    { "ThrottlingException", LLMUX_ERR_RATE_LIMIT },
    { "validationException", LLMUX_ERR_INVALID },
    { "internalServerException", LLMUX_ERR_INTERNAL },
    { "serviceUnavailableException", LLMUX_ERR_OVERLOADED },
    { "modelStreamErrorException", LLMUX_ERR_BAD_UPSTREAM },
    { "modelTimeoutException", LLMUX_ERR_TIMEOUT },
    { "ModelNotReadyException", LLMUX_ERR_OVERLOADED },
    { "AccessDeniedException:http://internal.amazon.com/x/",
      LLMUX_ERR_PERMISSION },
    { "com.amazon.coral.service#UnrecognizedClientException",
      LLMUX_ERR_AUTH },
    { "a#ResourceNotFoundException:b", LLMUX_ERR_MODEL },
    { "InternalFailure", LLMUX_ERR_INTERNAL },
    { "Exception", LLMUX_ERR_CONFLICT },
    { "", LLMUX_ERR_CONFLICT },
    { "#", LLMUX_ERR_CONFLICT },
    { ":", LLMUX_ERR_CONFLICT }
};

static void errors(apr_pool_t *p)
{
    llmux_slice_t absent = { NULL, 0 };
    apr_size_t i;

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        is_int(llmux_aws_error_kind(llmux_slice(kinds[i].name),
                                    LLMUX_ERR_CONFLICT),
               kinds[i].kind, *kinds[i].name ? kinds[i].name : "no name");
    }
    is_int(llmux_aws_error_kind(absent, LLMUX_ERR_MODEL), LLMUX_ERR_MODEL,
           "no name at all");
}

int main(void)
{
    apr_pool_t *p;

    apr_initialize();
    apr_pool_create(&p, NULL);
    messages(p);
    damage(p);
    types(p);
    bad(p);
    lengths(p);
    errors(p);
    apr_pool_destroy(p);
    return tap_done();
}
