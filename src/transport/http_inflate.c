/* http_inflate.c - a compressed body becomes plain again. */

#include <string.h>

#include <apr_cstr.h>

#define ZLIB_CONST
#include <zlib.h>

#include "http_inflate.h"

enum {
    PIECE = 16384,              /* plain bytes handed out at once */
    MOUTHFUL = 1 << 30,         /* what zlib's counter of input surely takes */
    GZIP = MAX_WBITS + 16,      /* zlib's names for its three formats */
    ZLIB = MAX_WBITS,
    RAW = -MAX_WBITS
};

struct llmux_inflate_t {
    z_stream z;
    apr_pool_t *p;
    int format;                 /* 0 = the first byte will tell */
    int begun, ended;
    apr_uint64_t in, out;
};

static const struct { const char *coding; int format; } codings[] = {
    { "gzip",    GZIP },
    { "x-gzip",  GZIP },
    { "deflate", 0 }
};

llmux_inflate_t *llmux_inflate_open(apr_pool_t *p, const char *coding)
{
    llmux_inflate_t *f;
    size_t i;

    for (i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
        if (!apr_cstr_casecmp(coding, codings[i].coding)) {
            f = apr_pcalloc(p, sizeof(*f));
            f->p = p;
            f->format = codings[i].format;
            return f;
        }
    }
    return NULL;
}

static apr_status_t end(void *data)
{
    llmux_inflate_t *f = data;

    inflateEnd(&f->z);
    return APR_SUCCESS;
}

/* "deflate" means zlib's wrapping, but some servers leave that away, so all
 * clients take both. zlib begins with method 8 and a window of at most 32 KB;
 * read as raw, such a byte is a stored block whose padding is not zero, which
 * nobody writes. */
static int deflate_format(char first)
{
    return (first & 0x0f) == Z_DEFLATED && !(first & 0x80) ? ZLIB : RAW;
}

static const char *begin(llmux_inflate_t *f, char first)
{
    if (!f->format) {
        f->format = deflate_format(first);
    }
    if (inflateInit2(&f->z, f->format) != Z_OK) {
        return "no memory to inflate the body";
    }
    apr_pool_cleanup_register(f->p, f, end, apr_pool_cleanup_null);
    f->begun = 1;
    return NULL;
}

/* One piece's worth may come of anything: short texts can be very even. */
static int is_bomb(const llmux_inflate_t *f)
{
    return f->out > f->in * LLMUX_INFLATE_RATIO_MAX + PIECE;
}

/* All is well as long as it moves; zlib calls it Z_BUF_ERROR when there was
 * nothing to do. */
static const char *verdict(const llmux_inflate_t *f, int rv)
{
    if (is_bomb(f)) {
        return "inflates out of proportion";
    }
    return rv == Z_OK || rv == Z_STREAM_END
           || (rv == Z_BUF_ERROR && !f->z.avail_in)
               ? NULL : "a damaged compressed body";
}

static const char *piece(llmux_inflate_t *f, const llmux_receiver_t *to)
{
    char plain[PIECE];
    uInt before = f->z.avail_in, n;
    int rv;

    f->z.next_out = (Bytef *)plain;
    f->z.avail_out = PIECE;
    rv = inflate(&f->z, Z_SYNC_FLUSH);
    n = PIECE - f->z.avail_out;
    f->in += before - f->z.avail_in;
    f->out += n;
    f->ended = rv == Z_STREAM_END;
    if (n && to->body && !is_bomb(f)) {
        to->body(to->baton, plain, n);
    }
    return verdict(f, rv);
}

/* Until it is eaten, and until it leaves room in a piece: zlib may hold more
 * plain bytes than it has input. */
static const char *mouthful(llmux_inflate_t *f, const char *data,
                            apr_size_t len, const llmux_receiver_t *to)
{
    const char *problem;

    f->z.next_in = (const Bytef *)data;
    f->z.avail_in = (uInt)len;
    do {
        problem = piece(f, to);
    } while (!problem && !f->ended && (f->z.avail_in || !f->z.avail_out));
    if (!problem && f->z.avail_in) {
        problem = "bytes behind the compressed body";
    }
    return problem;
}

/* A second gzip member behind the first is refused like any other bytes
 * there: RFC 1952 would append it, libcurl fails, browsers leave it out, and
 * what readers disagree on is not for relaying. */
const char *llmux_inflate_feed(llmux_inflate_t *f, const char *data,
                               apr_size_t len, const llmux_receiver_t *to)
{
    const char *problem = len && !f->begun ? begin(f, *data) : NULL;
    apr_size_t n;

    for (; len && !problem; data += n, len -= n) {
        n = len < MOUTHFUL ? len : MOUTHFUL;
        problem = f->ended ? "bytes behind the compressed body"
                           : mouthful(f, data, n, to);
    }
    return problem;
}

/* Servers that pack everything by habit say "gzip" over empty bodies too. */
int llmux_inflate_complete(const llmux_inflate_t *f)
{
    return !f->begun || f->ended;
}
