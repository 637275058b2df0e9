/**
 * http_parse.h - a provider's HTTP/1.1 response, byte by byte, strictly.
 *
 * The caller feeds what it read, cut anywhere; head and body reach the
 * receiver. What two readers could understand differently is refused: such
 * answers are how one response is smuggled into another (RFC 9112 section
 * 11.2). Holds one response at a time; no I/O.
 */

#ifndef LLMUX_TRANSPORT_HTTP_PARSE_H
#define LLMUX_TRANSPORT_HTTP_PARSE_H

#include "llmux/transport.h"

typedef enum {
    LLMUX_PARSE_MORE,       /* feed on */
    LLMUX_PARSE_DONE,       /* the message is complete */
    LLMUX_PARSE_BROKEN      /* see `problem` */
} llmux_parse_e;

/* Members are the parser's own but for those marked "public". */
typedef struct llmux_http_parser_t {
    const char *problem;        /* public: why it is BROKEN, for the log */
    int keep;                   /* public, after DONE: the connection may
                                 * carry another request */
    int begun;                  /* public: a byte of the response has come */
    int headed;                 /* public: the final head was handed out */
    apr_pool_t *p;
    llmux_receiver_t to;
    llmux_response_t response;
    llmux_parse_e result;
    int state;                  /* what the next byte belongs to */
    int minor;                  /* HTTP/1.<minor> */
    int persistent;             /* `keep`, if the rest is well-formed */
    apr_uint64_t left;          /* of the body or of this chunk */
    int digits, extra;          /* of a chunk's line: its size, what follows */
    apr_size_t head_bytes;      /* of all heads and trailers so far */
    llmux_buf_t *gathered;      /* lines that came in parts, or NULL */
    apr_size_t seen;            /* of these lines: searched for their end */
    int lines;                  /* ... and counted */
    struct llmux_inflate_t *inflate;    /* a coded body, or NULL */
} llmux_http_parser_t;

/** Ready for a response to a GET or a POST; results live in `p`. */
void llmux_http_parser_init(llmux_http_parser_t *ps, apr_pool_t *p,
                            const llmux_receiver_t *to);

/** Takes all of it. Bytes behind the end of the message break it: they
 * belong to no request. Callbacks must not come back here. */
llmux_parse_e llmux_http_parse(llmux_http_parser_t *ps, const char *data,
                               apr_size_t len);

/** The connection was closed in order. DONE where that is how the message
 * ends, else BROKEN. */
llmux_parse_e llmux_http_parse_eof(llmux_http_parser_t *ps);

#endif
