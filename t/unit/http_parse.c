/* http_parse.c - responses of providers: what is taken for one and what is
 * not, however the bytes come in; and compressed bodies. */

#include <stdlib.h>
#include <apr_strings.h>

#include <zlib.h>

#include "transport/http_parse.h"
#include "tap.h"

#define COUNT(table) (sizeof(table) / sizeof(table[0]))
#define OK "HTTP/1.1 200 OK\r\n"
#define SIZED OK "Content-Length: 5\r\n"
#define CHUNKED OK "Transfer-Encoding: chunked\r\n\r\n"

static apr_pool_t *pool;

/* ---- one response ----------------------------------------------------- */

/* What came out of the parser. */
typedef struct heard_t {
    llmux_buf_t *body;
    const llmux_response_t *head;
    int heads, pieces;
    const char *low, *high;     /* the bytes fed */
    int copied;                 /* pieces of the body from elsewhere */
} heard_t;

static void on_head(void *baton, const llmux_response_t *r)
{
    heard_t *h = baton;

    h->head = r;
    h->heads++;
}

static void on_body(void *baton, const char *data, apr_size_t len)
{
    heard_t *h = baton;

    llmux_buf_add(h->body, data, len);
    h->pieces++;
    h->copied += data < h->low || data + len > h->high;
}

static llmux_http_parser_t *begin(apr_pool_t *p, heard_t *h)
{
    llmux_receiver_t to = { on_head, on_body, h };
    llmux_http_parser_t *ps = apr_palloc(p, sizeof(*ps));

    memset(h, 0, sizeof(*h));
    h->body = llmux_buf_create(p, 64 << 20);
    llmux_http_parser_init(ps, p, &to);
    return ps;
}

/* Feeds bytes in memory of their own, freed at once. */
static llmux_parse_e feed(llmux_http_parser_t *ps, heard_t *h,
                          const char *text, apr_size_t len)
{
    char *copy = malloc(len ? len : 1);
    llmux_parse_e result;

    memcpy(copy, text, len);
    h->low = copy;
    h->high = copy + len;
    result = llmux_http_parse(ps, copy, len);
    free(copy);
    return result;
}

static const char *verdict(llmux_http_parser_t *ps, const heard_t *h,
                           apr_pool_t *p)
{
    llmux_parse_e result = llmux_http_parse_eof(ps);
    const char *how = result == LLMUX_PARSE_BROKEN ? ps->problem
                      : ps->keep ? "keep" : "close";

    if (result == LLMUX_PARSE_BROKEN ? !how || ps->keep : ps->problem != NULL) {
        return "the verdict and its members disagree";
    }
    return apr_psprintf(p, "%d '%s' %s", h->heads ? h->head->status : 0,
                        llmux_slice_str(p, llmux_buf_slice(h->body)), how);
}

/* Status, body and end of what comes in pieces of `size` after `first`. */
static const char *outcome(apr_pool_t *p, llmux_slice_t text,
                           apr_size_t first, apr_size_t size)
{
    heard_t h;
    llmux_http_parser_t *ps = begin(p, &h);
    apr_size_t n = first;

    for (; text.len; text.data += n, text.len -= n, n = size) {
        n = n < text.len ? n : text.len;
        feed(ps, &h, text.data, n);
    }
    return verdict(ps, &h, p);
}

static int same_however_cut(llmux_slice_t text, const char *want)
{
    apr_pool_t *p;
    const char *got;
    apr_size_t i;
    int same = 1;

    apr_pool_create(&p, pool);
    for (i = 0; i <= text.len && same; i++) {
        /* Nothing in front means byte by byte. */
        got = outcome(p, text, i, i ? text.len : 1);
        same = !strcmp(got, want);
        if (!same) {
            printf("#   cut at %d: %s\n#   wanted: %s\n", (int)i, got, want);
        }
    }
    apr_pool_destroy(p);
    return same;
}

/* ---- tables ----------------------------------------------------------- */

typedef struct case_t {
    const char *name, *text;
    apr_size_t len;             /* 0 = to its NUL */
    const char *want;
} case_t;

static const case_t taken[] = {
    { "a length", SIZED "\r\nhello", 0, "200 'hello' keep" },
    { "no length", OK "\r\nhello", 0, "200 'hello' close" },
    { "nothing, until closed", OK "\r\n", 0, "200 '' close" },
    { "a length of nothing", OK "Content-Length: 0\r\n\r\n", 0,
      "200 '' keep" },
    { "leading zeros", OK "Content-Length: 0005\r\n\r\nhello", 0,
      "200 'hello' keep" },
    { "chunks", CHUNKED "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 0,
      "200 'hello' keep" },
    { "no chunk", CHUNKED "0\r\n\r\n", 0, "200 '' keep" },
    { "long numbers of chunks",
      CHUNKED "00000000000000A\r\n0123456789\r\n000\r\n\r\n", 0,
      "200 '0123456789' keep" },
    { "extensions of chunks",
      CHUNKED "5;a=b;c=\"d;\te\"\r\nhello\r\n0 \t ; last\r\n\r\n", 0,
      "200 'hello' keep" },
    { "trailers", CHUNKED "5\r\nhello\r\n0\r\nX-A: b\r\nContent-Length: x\r\n"
      "\r\n", 0, "200 'hello' keep" },
    { "chunked, shouted", OK "TRANSFER-ENCODING:CHUNKED\r\n\r\n"
      "1\r\nx\r\n0\r\n\r\n", 0, "200 'x' keep" },
    { "a transfer coding that is none", OK "Transfer-Encoding: identity\r\n"
      "\r\nhello", 0, "200 'hello' close" },
    { "lines that end with LF", "HTTP/1.1 200 OK\nContent-Length: 5\r\n"
      "X: y\n\nhello", 0, "200 'hello' keep" },
    { "an empty reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", 0,
      "200 '' keep" },
    { "no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 0,
      "200 '' keep" },
    { "a strange reason", "HTTP/1.1 599 \t\xc3\xa4!\r\nContent-Length: 0\r\n"
      "\r\n", 0, "599 '' keep" },
    { "interim answers", "HTTP/1.1 100 Continue\r\n\r\n"
      "HTTP/1.1 103 Early\r\nLink: </x>\r\nConnection: close\r\n"
      "Content-Encoding: br\r\nContent-Length: 0\r\n\r\n" SIZED "\r\nhello",
      0, "200 'hello' keep" },
    { "a 204", "HTTP/1.1 204 No\r\n\r\n", 0, "204 '' keep" },
    { "a 204 with a length of nothing",
      "HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", 0, "204 '' keep" },
    { "a 304", "HTTP/1.1 304 No\r\nContent-Encoding: gzip\r\n\r\n", 0,
      "304 '' keep" },
    { "a 204 that announces a body",
      "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", 0,
      "204 '' close" },
    { "a 304 that announces a body",
      "HTTP/1.1 304 No\r\nContent-Length: 7\r\n\r\n", 0, "304 '' close" },
    { "close", SIZED "Connection: close\r\n\r\nhello", 0,
      "200 'hello' close" },
    { "close in a list", SIZED "Connection: te ,\tCLOSE\r\n\r\nhello", 0,
      "200 'hello' close" },
    { "close in the second list", SIZED "Connection: x\r\nconnection: close"
      "\r\n\r\nhello", 0, "200 'hello' close" },
    { "not quite close", SIZED "Connection: closed, clos,,\r\n\r\nhello", 0,
      "200 'hello' keep" },
    { "HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 0,
      "200 'hello' close" },
    { "HTTP/1.0 that stays", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n"
      "Content-Length: 5\r\n\r\nhello", 0, "200 'hello' keep" },
    { "HTTP/1.0 that cannot decide", "HTTP/1.0 200 OK\r\nContent-Length: 5"
      "\r\nConnection: close, keep-alive\r\n\r\nhello", 0,
      "200 'hello' close" },
    { "no coding", SIZED "Content-Encoding: Identity\r\nContent-Encoding:\r\n"
      "\r\nhello", 0, "200 'hello' keep" },
    { "a coded body of nothing", OK "Content-Encoding: gzip\r\n"
      "Content-Length: 0\r\n\r\n", 0, "200 '' keep" },
    { "coded chunks of nothing", OK "Content-Encoding: gzip\r\n"
      "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, "200 '' keep" },
    { "nothing coded until closed", OK "Content-Encoding: gzip\r\n\r\n", 0,
      "200 '' close" },
    { "names that look like others", SIZED "Content-Lengths: 7\r\n"
      "Xontent-Length: 7\r\nContent-Lenght: 7\r\nTransfer-Encodinx: z\r\n"
      "!#$%&'*+-.^_`|~09azAZ: 1\r\n\r\nhello", 0, "200 'hello' keep" }
};

#define NO_HTTP "0 '' not the answer of an HTTP/1.1 server"
#define NO_NUMBER "0 '' a Content-Length that is no plain number"
#define BAD_HEADER "0 '' a malformed header"
#define BAD_VALUE "0 '' a control character in a header"
#define BAD_CODING "0 '' a body coded in a way not asked for"
#define BAD_CHUNK "200 '' a malformed chunk"
#define EARLY "0 '' closed before the answer"

static const case_t refused[] = {
    { "nothing", "", 0, EARLY },
    { "half a head", OK, 0, EARLY },
    { "an interim answer alone", "HTTP/1.1 100 Continue\r\n\r\n", 0, EARLY },
    { "half a body", SIZED "\r\nhell", 0,
      "200 'hell' closed inside the answer" },
    { "a body without its last chunk", CHUNKED "5\r\nhello\r\n", 0,
      "200 'hello' closed inside the answer" },
    { "a body without the end of its trailers", CHUNKED "0\r\nX: y\r\n", 0,
      "200 '' closed inside the answer" },
    { "bytes behind a body", SIZED "\r\nhello!", 0,
      "200 'hello' bytes behind the answer" },
    { "bytes behind the last chunk", CHUNKED "0\r\n\r\n\n", 0,
      "200 '' bytes behind the answer" },
    { "bytes behind a 204", "HTTP/1.1 204 No\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
      0, "204 '' bytes behind the answer" },

    { "TLS", "\x16\x03\x01 I am not HTTP", 0, NO_HTTP },
    { "another protocol without lines", "SSH-2.0-x", 0, NO_HTTP },
    { "an empty line first", "\r\n" SIZED "\r\nhello", 0, NO_HTTP },
    { "HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", 0, NO_HTTP },
    { "HTTP/2", "HTTP/2 200\r\n\r\n", 0, NO_HTTP },
    { "http/1.1", "http/1.1 200 OK\r\n\r\n", 0, NO_HTTP },
    { "a version of ten", "HTTP/1.10 200 OK\r\n\r\n", 0, NO_HTTP },
    { "two spaces", "HTTP/1.1  200 OK\r\n\r\n", 0, NO_HTTP },
    { "a tab for a space", "HTTP/1.1\t200 OK\r\n\r\n", 0, NO_HTTP },
    { "status 99", "HTTP/1.1 099 OK\r\n\r\n", 0, NO_HTTP },
    { "status 600", "HTTP/1.1 600 OK\r\n\r\n", 0, NO_HTTP },
    { "status 20", "HTTP/1.1 20 OK\r\n\r\n", 0, NO_HTTP },
    { "status 2000", "HTTP/1.1 2000 OK\r\n\r\n", 0, NO_HTTP },
    { "a bare CR in the reason", "HTTP/1.1 200 O\rK\r\n\r\n", 0, NO_HTTP },
    { "only a version", "HTTP/1.1\r\n\r\n", 0, NO_HTTP },
    { "101", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nhi", 0,
      "0 '' unasked switch of protocols" },
    { "an interim answer with a length", "HTTP/1.1 103 Early\r\n"
      "Content-Length: 5\r\n\r\n" SIZED "\r\nhello", 0,
      "0 '' an interim answer with a body" },
    { "an interim answer in chunks", "HTTP/1.1 100 Continue\r\n"
      "Transfer-Encoding: chunked\r\n\r\n" SIZED "\r\nhello", 0,
      "0 '' an interim answer with a body" },

    { "folding", SIZED "X-A: b\r\n c\r\n\r\nhello", 0, "0 '' a folded header" },
    { "folding by a tab", SIZED "X-A: b\r\n\tc: d\r\n\r\nhello", 0,
      "0 '' a folded header" },
    { "folding of the first line", OK " X-A: b\r\n\r\n", 0,
      "0 '' a folded header" },
    { "a space before the colon", OK "Content-Length : 5\r\n\r\nhello", 0,
      BAD_HEADER },
    { "no colon", OK "Content-Length\r\n\r\n", 0, BAD_HEADER },
    { "no name", OK ": 5\r\n\r\n", 0, BAD_HEADER },
    { "a name with a space", OK "Content Length: 5\r\n\r\n", 0, BAD_HEADER },
    { "a name with a NUL", OK "A\0B: c\r\n\r\n", sizeof(OK) + 9, BAD_HEADER },
    { "a name beyond ASCII", OK "\xc3\xa4: 5\r\n\r\n", 0, BAD_HEADER },
    { "a bare CR for a line", OK "\rA: b\r\n\r\n", 0, BAD_HEADER },
    { "a CR too many", OK "A: b\r\n\r\r\n\r\n", 0, BAD_HEADER },
    { "a bare CR in a value", SIZED "A: b\rX: c\r\n\r\nhello", 0, BAD_VALUE },
    { "two CRs behind a value", SIZED "A: b\r\r\n\r\nhello", 0, BAD_VALUE },
    { "a NUL in a value", OK "A: b\0c\r\n\r\n", sizeof(OK) + 9, BAD_VALUE },
    { "a bell in a long value", OK "A: 0123456789abcdef\a\r\n\r\n", 0,
      BAD_VALUE },
    { "DEL in a long value",
      OK "A: 01234567\t89abcde\x7f" "f0123456789\r\n\r\n", 0, BAD_VALUE },

    { "two lengths", SIZED "Content-Length: 6\r\n\r\nhello", 0,
      "0 '' more than one Content-Length" },
    { "the same length twice", SIZED "content-length: 5\r\n\r\nhello", 0,
      "0 '' more than one Content-Length" },
    { "a list of lengths", OK "Content-Length: 5, 5\r\n\r\nhello", 0,
      NO_NUMBER },
    { "a length with a sign", OK "Content-Length: +5\r\n\r\nhello", 0,
      NO_NUMBER },
    { "a negative length", OK "Content-Length: -5\r\n\r\nhello", 0,
      NO_NUMBER },
    { "a length in hexadecimal", OK "Content-Length: 0x5\r\n\r\nhello", 0,
      NO_NUMBER },
    { "an empty length", OK "Content-Length:\r\n\r\nhello", 0, NO_NUMBER },
    { "a length and a letter", OK "Content-Length: 5b\r\n\r\nhello", 0,
      NO_NUMBER },
    { "2^64 and 5", OK "Content-Length: 18446744073709551621\r\n\r\nhello", 0,
      NO_NUMBER },
    { "a length and chunks", SIZED "Transfer-Encoding: chunked\r\n\r\n"
      "0\r\n\r\n", 0, "0 '' Transfer-Encoding and Content-Length" },
    { "chunks and no length", OK "Transfer-Encoding: identity\r\n"
      "Content-Length: 0\r\n\r\n", 0,
      "0 '' Transfer-Encoding and Content-Length" },
    { "chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\n"
      "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0,
      "0 '' Transfer-Encoding in HTTP/1.0" },
    { "chunked twice", OK "Transfer-Encoding: chunked\r\n"
      "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0,
      "0 '' more than one Transfer-Encoding" },
    { "chunked, chunked", OK "Transfer-Encoding: chunked, chunked\r\n\r\n", 0,
      BAD_CODING },
    { "gzip, chunked", OK "Transfer-Encoding: gzip, chunked\r\n\r\n", 0,
      BAD_CODING },
    { "a vertical tab and chunked", OK "Transfer-Encoding: \vchunked\r\n\r\n",
      0, BAD_VALUE },
    { "xchunked", OK "Transfer-Encoding: xchunked\r\n\r\n", 0, BAD_CODING },
    { "an empty transfer coding", OK "Transfer-Encoding:\r\n\r\n", 0,
      BAD_CODING },
    { "two layers in a list", OK "Content-Encoding: gzip, gzip\r\n\r\n", 0,
      BAD_CODING },
    { "two layers in two headers", OK "Content-Encoding: gzip\r\n"
      "Content-Encoding: deflate\r\n\r\n", 0, BAD_CODING },
    { "brotli", OK "Content-Encoding: br\r\n\r\n", 0, BAD_CODING },

    { "no chunk size", CHUNKED "\r\n", 0, "200 '' a chunk without a size" },
    { "a chunk size in letters", CHUNKED "zz\r\nhello\r\n", 0,
      "200 '' a chunk without a size" },
    { "a space before the size", CHUNKED " 5\r\nhello\r\n", 0,
      "200 '' a chunk without a size" },
    { "a signed chunk size", CHUNKED "+5\r\nhello\r\n", 0,
      "200 '' a chunk without a size" },
    { "a chunk size of 0x5", CHUNKED "0x5\r\nhello\r\n", 0, BAD_CHUNK },
    { "a space behind the size", CHUNKED "5 \r\nhello\r\n", 0, BAD_CHUNK },
    { "a chunk size that overflows", CHUNKED "10000000000000005\r\nhello", 0,
      BAD_CHUNK },
    { "sixteen digits of chunk size", CHUNKED "0000000000000005\r\nhello", 0,
      BAD_CHUNK },
    { "LF behind the size", CHUNKED "5\nhello\r\n0\r\n\r\n", 0, BAD_CHUNK },
    { "LF in an extension", CHUNKED "5;a\nhello\r\n0\r\n\r\n", 0, BAD_CHUNK },
    { "CR in an extension", CHUNKED "5;a\rb\r\nhello\r\n0\r\n\r\n", 0,
      BAD_CHUNK },
    { "NUL in an extension", CHUNKED "5;a\0b\r\nhello", sizeof(CHUNKED) + 11,
      BAD_CHUNK },
    { "a chunk too long", CHUNKED "5\r\nhello!\r\n0\r\n\r\n", 0,
      "200 'hello' a malformed chunk" },
    { "a chunk too short", CHUNKED "6\r\nhello\r\n0\r\n\r\n", 0,
      "200 'hello\r' a malformed chunk" },
    { "LF behind a chunk", CHUNKED "5\r\nhello\n0\r\n\r\n", 0,
      "200 'hello' a malformed chunk" },
    { "CR behind a chunk", CHUNKED "5\r\nhello\r0\r\n\r\n", 0,
      "200 'hello' a malformed chunk" },
    { "LF for the end of trailers", CHUNKED "0\r\n\n", 0,
      "200 '' a malformed header" },
    { "LF behind a trailer", CHUNKED "0\r\nX: y\n\r\n", 0,
      "200 '' a control character in a header" },
    { "a folded trailer", CHUNKED "0\r\nX: y\r\n z\r\n\r\n", 0,
      "200 '' a folded header" },
    { "a trailer without a colon", CHUNKED "0\r\nHTTP/1.1 200 OK\r\n\r\n", 0,
      "200 '' a malformed header" }
};

static void test_table(const case_t *cases, size_t count, const char *which)
{
    llmux_slice_t text;
    size_t i;

    for (i = 0; i < count; i++) {
        text = llmux_slice(cases[i].text);
        text.len = cases[i].len ? cases[i].len : text.len;
        ok(same_however_cut(text, cases[i].want), "%s: %s", which,
           cases[i].name);
    }
}

/* ---- what the receiver sees ------------------------------------------- */

static const char answer[] =
    OK "Content-Type: \t text/event-stream; x=y \t\r\n"
    "X-Empty:\r\nx-request-id:req_1\r\nX-Tab: a\tb\r\nX-Utf: \xc3\xa4\r\n"
    "Content-Type: second\r\nTransfer-Encoding: chunked\r\n\r\n"
    "5\r\nhello\r\n7\r\n, world\r\n0\r\nX-Trailer: 1\r\n\r\n";

static void test_head(void)
{
    heard_t h;
    llmux_http_parser_t *ps = begin(pool, &h);

    ok(!ps->begun && !ps->headed, "nothing has come");
    feed(ps, &h, answer, 1);
    ok(ps->begun && !ps->headed, "a byte has come");
    feed(ps, &h, answer + 1, sizeof(answer) - 2);
    ok(ps->headed && h.heads == 1, "the head has come, once");
    is_int(llmux_http_parse_eof(ps), LLMUX_PARSE_DONE, "and the rest of it");
    is_int(llmux_http_parse(ps, "", 0), LLMUX_PARSE_DONE,
           "which no more bytes change");
    is_str(h.head->content_type, "text/event-stream; x=y",
           "the first content type stands by itself, trimmed");
    is_int(h.head->headers->nelts, 7, "all headers, and no trailers");
    is_str(llmux_response_header(h.head, "X-REQUEST-ID"), "req_1",
           "one is found");
    is_str(llmux_response_header(h.head, "X-Empty"), "", "an empty value");
    is_str(llmux_response_header(h.head, "X-Tab"), "a\tb", "a tab inside");
    is_str(llmux_response_header(h.head, "X-Utf"), "\xc3\xa4", "UTF-8");
    is_str(APR_ARRAY_IDX(h.head->headers, 2, llmux_header_t).name,
           "x-request-id", "names stay as they were written");
}

static void test_pieces(void)
{
    static const char sized[] = SIZED "\r\nhello";
    heard_t h;
    llmux_http_parser_t *ps = begin(pool, &h);

    feed(ps, &h, answer, sizeof(answer) - 1);
    ok(h.pieces == 2 && !h.copied, "a chunk in one read is handed out as is");
    ps = begin(pool, &h);
    feed(ps, &h, sized, sizeof(sized) - 1);
    ok(h.pieces == 1 && !h.copied, "so is a whole body");
    is_str(h.head->content_type, "", "no content type is an empty one");
}

static void test_broken_stays(void)
{
    heard_t h;
    llmux_http_parser_t *ps = begin(pool, &h);

    feed(ps, &h, CHUNKED "x", sizeof(CHUNKED));
    is_int(feed(ps, &h, "1\r\nx\r\n0\r\n\r\n", 11), LLMUX_PARSE_BROKEN,
           "what is broken stays so");
    ok(!h.pieces && llmux_http_parse_eof(ps) == LLMUX_PARSE_BROKEN,
       "and says nothing more");
    ps = begin(pool, &h);
    feed(ps, &h, SIZED "\r\nhello", sizeof(SIZED "\r\nhello") - 1);
    ok(ps->keep && feed(ps, &h, "!", 1) == LLMUX_PARSE_BROKEN && !ps->keep,
       "a byte behind the end takes its promise away");
}

static void test_nobody_listens(void)
{
    llmux_receiver_t to = { NULL, NULL, NULL };
    llmux_http_parser_t ps;

    llmux_http_parser_init(&ps, pool, &to);
    is_int(llmux_http_parse(&ps, answer, sizeof(answer) - 1),
           LLMUX_PARSE_DONE, "nobody needs to listen");
}

/* ---- maxima ----------------------------------------------------------- */

/* All heads and trailers of a response are that long together. */
static llmux_slice_t with_head_of(apr_pool_t *p, const char *before,
                                  const char *after, apr_size_t size)
{
    llmux_buf_t *b = llmux_buf_create(p, 1 << 20);

    size -= strlen(after);
    llmux_buf_adds(b, before);
    llmux_buf_adds(b, "X-Long: ");
    while (b->len < size) {
        llmux_buf_adds(b, "y");
    }
    llmux_buf_adds(b, after);
    return llmux_buf_slice(b);
}

static const struct {
    const char *name, *before, *after;
    apr_size_t more;        /* bytes of it that are no head */
    const char *fits, *does_not;
} longs[] = {
    { "a head", OK, "\r\n\r\n", 0, "200 '' close",
      "0 '' the head is too long" },
    { "interim heads", "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 100 C\r\n",
      "\r\n\r\nHTTP/1.1 204 N\r\n\r\n", 0, "204 '' keep",
      "0 '' the head is too long" },
    { "trailers", CHUNKED "0\r\n", "\r\n\r\n", 3, "200 '' keep",
      "200 '' the head is too long" },
    { "no line's end", OK, "", 0, "0 '' the head is too long",
      "0 '' the head is too long" }
};

static void test_long_heads(void)
{
    static const apr_size_t cuts[] = { 1 << 20, 1000, 1 };
    llmux_slice_t fits, too_long;
    apr_pool_t *p;
    size_t i, k;

    apr_pool_create(&p, pool);
    for (i = 0; i < COUNT(longs) * COUNT(cuts); i++) {
        k = i % COUNT(longs);
        fits = with_head_of(p, longs[k].before, longs[k].after,
                            LLMUX_HEADERS_MAX + longs[k].more);
        too_long = with_head_of(p, longs[k].before, longs[k].after,
                                LLMUX_HEADERS_MAX + longs[k].more + 1);
        ok(!strcmp(outcome(p, fits, cuts[i / COUNT(longs)],
                           cuts[i / COUNT(longs)]), longs[k].fits),
           "%s as long as may be, in pieces of %d", longs[k].name,
           (int)cuts[i / COUNT(longs)]);
        ok(!strcmp(outcome(p, too_long, cuts[i / COUNT(longs)],
                           cuts[i / COUNT(longs)]), longs[k].does_not),
           "... and a byte longer");
    }
    apr_pool_destroy(p);
}

/* White space and extension count together. */
static void test_long_extension(void)
{
    char *blanks = apr_palloc(pool, LLMUX_CHUNK_EXTRA_MAX + 1);
    const char *text;
    int i;

    memset(blanks, ' ', LLMUX_CHUNK_EXTRA_MAX);
    blanks[LLMUX_CHUNK_EXTRA_MAX] = '\0';
    for (i = 0; i < 2; i++) {
        text = apr_pstrcat(pool, CHUNKED "5", blanks + 100, ";", blanks + 156,
                           i ? "x" : "", "\r\nhello\r\n0;x\r\n\r\n", NULL);
        ok(same_however_cut(llmux_slice(text),
                            i ? BAD_CHUNK : "200 'hello' keep"),
           i ? "... and a byte longer" : "an extension as long as may be");
    }
}

/* ---- compressed bodies ------------------------------------------------ */

enum { GZIP = 31, ZLIB = 15, RAW = -15 };

/* Text under one of zlib's formats. */
static llmux_slice_t packed(llmux_slice_t text, int format)
{
    apr_size_t room = text.len + 1000;
    char *out = apr_palloc(pool, room);
    z_stream z = { 0 };
    llmux_slice_t s = { out, 0 };

    deflateInit2(&z, 9, Z_DEFLATED, format, 8, Z_DEFAULT_STRATEGY);
    z.next_in = (Bytef *)text.data;
    z.avail_in = (uInt)text.len;
    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)room;
    deflate(&z, Z_FINISH);
    s.len = z.total_out;
    deflateEnd(&z);
    return s;
}

/* An answer with this body, which ends with the connection. */
static llmux_slice_t coded(const char *coding, llmux_slice_t body,
                           llmux_slice_t more)
{
    llmux_buf_t *b = llmux_buf_create(pool, 64 << 20);

    llmux_buf_addf(b, OK "Content-Encoding: %s\r\n\r\n", coding);
    llmux_buf_add_slice(b, body);
    llmux_buf_add_slice(b, more);
    return llmux_buf_slice(b);
}

static const struct {
    const char *coding;
    int format;
} formats[] = {
    { "gzip", GZIP }, { "X-GZip", GZIP }, { "deflate", ZLIB },
    { "deflate", RAW }
};

#define TEXT "hello, hello, hello"
#define DAMAGED "200 '' a damaged compressed body"
#define BEHIND "200 '" TEXT "' bytes behind the compressed body"

static void test_formats(void)
{
    llmux_slice_t none = { NULL, 0 }, body;
    size_t i;

    for (i = 0; i < COUNT(formats); i++) {
        body = packed(llmux_slice(TEXT), formats[i].format);
        ok(same_however_cut(coded(formats[i].coding, body, none),
                            "200 '" TEXT "' close"), "%s, format %d",
           formats[i].coding, formats[i].format);
        ok(same_however_cut(coded(formats[i].coding, body, llmux_slice("!")),
                            BEHIND), "... and something behind it");
        ok(same_however_cut(coded(formats[i].coding, body, body), BEHIND),
           "... and another one behind it");
    }
    ok(same_however_cut(coded("gzip", packed(llmux_slice(TEXT), ZLIB), none),
                        DAMAGED), "what says gzip is gzip");
    ok(same_however_cut(coded("deflate", packed(llmux_slice(TEXT), GZIP),
                              none), DAMAGED), "what says deflate is not");
    ok(same_however_cut(coded("gzip", llmux_slice(TEXT), none), DAMAGED),
       "plain text is neither");
}

/* Whatever is missing at the end or wrong in it. */
static void test_damage(void)
{
    llmux_slice_t none = { NULL, 0 }, body, part;
    const char *got;
    size_t i, k;
    int cut = 1, wrong = 1;

    for (i = 0; i < COUNT(formats); i++) {
        body = packed(llmux_slice(TEXT), formats[i].format);
        for (k = 1; k < body.len; k++) {
            part = body;
            part.len = k;
            got = outcome(pool, coded(formats[i].coding, part, none), 1 << 20,
                          1);
            cut &= strstr(got, "' a compressed body that ends too early")
                   != NULL;
        }
        for (k = body.len - 4; k < body.len && formats[i].format != RAW; k++) {
            ((char *)body.data)[k] ^= 1;
            got = outcome(pool, coded(formats[i].coding, body, none), 1 << 20,
                          1);
            wrong &= strstr(got, "' a damaged compressed body") != NULL;
            ((char *)body.data)[k] ^= 1;
        }
    }
    ok(cut, "a body cut anywhere is refused");
    ok(wrong, "so is one with a wrong sum or size");
}

/* Much text out of few bytes, and how far that goes. */
static void test_bomb(void)
{
    static const apr_size_t cuts[] = { 1 << 20, 1000, 1 };
    llmux_slice_t even = { apr_pcalloc(pool, 4 << 20), 16000 }, none = { 0 };
    llmux_slice_t text = coded("gzip", packed(even, GZIP), none);
    heard_t h;
    llmux_http_parser_t *ps = begin(pool, &h);
    size_t i;

    feed(ps, &h, text.data, text.len);
    ok(llmux_http_parse_eof(ps) == LLMUX_PARSE_DONE && h.body->len == 16000,
       "a short even text is no bomb");
    even.len = 4 << 20;
    text = coded("gzip", packed(even, GZIP), none);
    for (i = 0; i < COUNT(cuts); i++) {
        ps = begin(pool, &h);
        while (text.len > cuts[i]
               && feed(ps, &h, text.data, cuts[i]) == LLMUX_PARSE_MORE) {
            text.data += cuts[i];
            text.len -= cuts[i];
        }
        feed(ps, &h, text.data, text.len);
        ok(ps->problem && !strcmp(ps->problem, "inflates out of proportion")
           && h.body->len <= 1 << 20, "a long one is, in pieces of %d",
           (int)cuts[i]);
        text = coded("gzip", packed(even, GZIP), none);
    }
}

/* Much that does not repeat: more pieces than one, all of them there. */
static void test_long_body(void)
{
    llmux_buf_t *b = llmux_buf_create(pool, 1 << 20);
    llmux_slice_t none = { NULL, 0 }, text;
    heard_t h;
    llmux_http_parser_t *ps = begin(pool, &h);
    int i;

    for (i = 0; i < 40000; i++) {
        llmux_buf_addf(b, "%d,", i * 7919 % 40009);
    }
    text = coded("gzip", packed(llmux_buf_slice(b), GZIP), none);
    feed(ps, &h, text.data, text.len);
    ok(llmux_http_parse_eof(ps) == LLMUX_PARSE_DONE
       && llmux_slice_equal(llmux_buf_slice(b), llmux_buf_slice(h.body)),
       "a long body comes out whole");
    ok(h.pieces >= (int)(b->len / 16384), "in pieces of at most 16 KB");
}

/* How much can be read of a body that goes on. */
static apr_size_t readable(llmux_slice_t part, char *room, apr_size_t size)
{
    z_stream z = { 0 };

    inflateInit2(&z, GZIP);
    z.next_in = (Bytef *)part.data;
    z.avail_in = (uInt)part.len;
    z.next_out = (Bytef *)room;
    z.avail_out = (uInt)size;
    inflate(&z, Z_SYNC_FLUSH);
    inflateEnd(&z);
    return size - z.avail_out;
}

/* An event must not wait for the next one, not even where what zlib has read
 * is many times as long as a piece. */
static void test_events(void)
{
    llmux_buf_t *b = llmux_buf_create(pool, 1 << 20);
    llmux_slice_t none = { NULL, 0 }, body, text;
    char *run = apr_pcalloc(pool, 100000);
    llmux_http_parser_t *ps;
    unsigned i;
    heard_t h;
    int all = 1;

    for (i = 0; i < 3000; i++) {
        llmux_buf_addf(b, "%x", i * i * 2654435761u);
    }
    llmux_buf_add(b, run, 50000);
    body = packed(llmux_buf_slice(b), GZIP);
    for (i = 0; i < 80; i++, body.len--) {
        ps = begin(pool, &h);
        text = coded("gzip", body, none);
        feed(ps, &h, text.data, text.len);
        all &= h.body->len == readable(body, run, 100000);
    }
    ok(all, "what can be read of a coded body is handed out at once");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_table(taken, COUNT(taken), "taken");
    test_table(refused, COUNT(refused), "refused");
    test_head();
    test_pieces();
    test_broken_stays();
    test_nobody_listens();
    test_long_heads();
    test_long_extension();
    test_formats();
    test_damage();
    test_bomb();
    test_long_body();
    test_events();
    apr_pool_destroy(pool);
    return tap_done();
}
