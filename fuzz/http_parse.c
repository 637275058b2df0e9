/* http_parse.c - fuzzes the parser of responses against a plain one that has
 * all bytes at once: same verdict, same head, same body, in whatever pieces
 * they come. The first three bytes say how the body is packed (their lowest
 * two bits: not, gzip, zlib, raw) and where to cut; in the rest 0x1a and a
 * byte n stand for 512 times n letters.
 *
 * covers: src/transport/http_parse.c src/transport/http_inflate.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#include <zlib.h>

#include "transport/http_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

enum { NOTES_MAX = 64 << 20, TEXT_MAX = 96 << 10, SLACK = 16384 };

/* What one reading of a response came to. */
typedef struct reading_t {
    int good, keep, heads, status;
    int coded;              /* the body was to be inflated */
    int bomb;               /* and grew too much */
    llmux_buf_t *headers;   /* "name:value\n" each */
    llmux_buf_t *body;
} reading_t;

static reading_t *reading_create(apr_pool_t *p)
{
    reading_t *r = apr_pcalloc(p, sizeof(*r));

    r->headers = llmux_buf_create(p, NOTES_MAX);
    r->body = llmux_buf_create(p, NOTES_MAX);
    return r;
}

/* ---- the parser ------------------------------------------------------- */

static void on_head(void *baton, const llmux_response_t *head)
{
    const char *type = NULL;
    const llmux_header_t *h;
    reading_t *r = baton;
    int i;

    r->heads++;
    r->status = head->status;
    for (i = 0; i < head->headers->nelts; i++) {
        h = &APR_ARRAY_IDX(head->headers, i, llmux_header_t);
        llmux_buf_adds(r->headers, h->name);
        llmux_buf_adds(r->headers, ":");
        llmux_buf_adds(r->headers, h->value);
        llmux_buf_adds(r->headers, "\n");
        if (!type && !strcasecmp(h->name, "Content-Type")) {
            type = h->value;
        }
    }
    MUST(!strcmp(head->content_type, type ? type : ""));
}

static void on_body(void *baton, const char *data, apr_size_t len)
{
    reading_t *r = baton;

    MUST(r->heads == 1 && len);
    llmux_buf_add(r->body, data, len);
}

/* The next piece: 1 to `most` bytes, all for 0. */
static apr_size_t piece(apr_uint32_t *chance, apr_size_t most,
                        apr_size_t left)
{
    apr_size_t n;

    if (!most) {
        return left;
    }
    *chance = *chance * 1664525u + 1013904223u;
    n = 1 + (*chance >> 16) % most;
    return n < left ? n : left;
}

/* Each piece in memory of its own, as reads are. */
static void feed_all(llmux_http_parser_t *ps, llmux_slice_t text,
                     apr_uint32_t chance, apr_size_t most)
{
    apr_size_t n;
    char *copy;

    for (; text.len; text.data += n, text.len -= n) {
        n = piece(&chance, most, text.len);
        copy = malloc(n);
        MUST(copy != NULL);
        memcpy(copy, text.data, n);
        llmux_http_parse(ps, copy, n);
        free(copy);
    }
}

static reading_t *parsed(apr_pool_t *p, llmux_slice_t text,
                         apr_uint32_t chance, apr_size_t most)
{
    reading_t *r = reading_create(p);
    llmux_receiver_t to = { on_head, on_body, r };
    llmux_http_parser_t ps;

    llmux_http_parser_init(&ps, p, &to);
    feed_all(&ps, text, chance, most);
    r->good = llmux_http_parse_eof(&ps) == LLMUX_PARSE_DONE;
    r->keep = ps.keep;
    r->coded = ps.inflate != NULL;
    r->bomb = ps.problem && !strcmp(ps.problem, "inflates out of proportion");
    MUST(!r->good == (ps.problem != NULL) && (r->good || !r->keep));
    MUST(ps.begun == (text.len > 0) && ps.headed == r->heads);
    MUST(!r->headers->failed && !r->body->failed);
    return r;
}

/* ---- a plain parser --------------------------------------------------- */

/* All bytes, and how far they are read. */
typedef struct plain_t {
    const unsigned char *s;
    apr_size_t len, at;
    apr_size_t heads;           /* bytes of heads and trailers */
    apr_pool_t *p;
} plain_t;

/* A head in words. */
typedef struct words_t {
    int minor, status, lengths, transfers, types, layers;
    int chunked, close, alive;
    apr_uint64_t length;
    const char *coding;
} words_t;

/* The next line without its end; 0 for none, or one that must not be. */
static int plain_line(plain_t *c, int strict, llmux_slice_t *line)
{
    apr_size_t from = c->at, i;

    while (c->at < c->len && c->s[c->at] != '\n') {
        c->at++;
    }
    if (c->at++ == c->len) {
        return 0;
    }
    c->heads += c->at - from;
    line->data = (const char *)c->s + from;
    line->len = c->at - 1 - from;
    if (line->len && line->data[line->len - 1] == '\r') {
        line->len--;
    }
    else if (strict) {
        return 0;
    }
    for (i = 0; i < line->len; i++) {
        if (c->s[from + i] == 0x7f
            || (c->s[from + i] < 0x20 && c->s[from + i] != '\t')) {
            return 0;
        }
    }
    return c->heads <= LLMUX_HEADERS_MAX;
}

static int plain_status(llmux_slice_t line, words_t *w)
{
    const char *s = line.data;
    int i;

    if (line.len < 12 || memcmp(s, "HTTP/1.", 7) || !strchr("01", s[7])
        || s[8] != ' ' || (line.len > 12 && s[12] != ' ')) {
        return 0;
    }
    for (i = 9; i < 12; i++) {
        if (s[i] < '0' || s[i] > '9') {
            return 0;
        }
        w->status = w->status * 10 + s[i] - '0';
    }
    w->minor = s[7] == '1';
    return w->status >= 100 && w->status < 600;
}

static int plain_number(const char *value, apr_uint64_t *n)
{
    apr_size_t len = strlen(value);

    *n = strtoull(value, NULL, 10);
    return len && len <= 18 && strspn(value, "0123456789") == len;
}

static void plain_connection(char *value, words_t *w)
{
    char *state = NULL, *word = strtok_r(value, ", \t", &state);

    for (; word; word = strtok_r(NULL, ", \t", &state)) {
        w->close |= !strcasecmp(word, "close");
        w->alive |= !strcasecmp(word, "keep-alive");
    }
}

static int plain_coding(const char *value)
{
    if (!*value || !strcasecmp(value, "none")
        || !strcasecmp(value, "identity")) {
        return 0;
    }
    return !strcasecmp(value, "gzip") || !strcasecmp(value, "x-gzip")
           || !strcasecmp(value, "deflate") ? 1 : 2;
}

static int plain_meaning(plain_t *c, const char *name, const char *value,
                         words_t *w)
{
    int layers;

    if (!strcasecmp(name, "Content-Length")) {
        w->lengths++;
        return plain_number(value, &w->length);
    }
    if (!strcasecmp(name, "Transfer-Encoding")) {
        w->transfers++;
        w->chunked = !strcasecmp(value, "chunked");
        return w->chunked || !strcasecmp(value, "identity");
    }
    if (!strcasecmp(name, "Content-Encoding")) {
        layers = plain_coding(value);
        w->layers += layers;
        w->coding = layers ? value : w->coding;
    }
    if (!strcasecmp(name, "Connection")) {
        plain_connection((char *)llmux_slice_dup(c->p, llmux_slice(value)).data,
                         w);
    }
    return 1;
}

static int plain_header(plain_t *c, llmux_slice_t line, words_t *w,
                        reading_t *r)
{
    const char *colon = memchr(line.data, ':', line.len);
    llmux_slice_t name = line, value = line;
    const char *s;

    if (!colon) {
        return 0;
    }
    name.len = (apr_size_t)(colon - line.data);
    value.data = colon + 1;
    value.len -= name.len + 1;
    while (value.len && strchr(" \t", value.data[0])) {
        value.data++;
        value.len--;
    }
    while (value.len && strchr(" \t", value.data[value.len - 1])) {
        value.len--;
    }
    s = llmux_slice_str(c->p, name);
    if (!*s || s[strspn(s, "0123456789abcdefghijklmnopqrstuvwxyz"
                        "ABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&'*+-.^_`|~")]) {
        return 0;
    }
    if (r) {
        llmux_buf_add_slice(r->headers, name);
        llmux_buf_adds(r->headers, ":");
        llmux_buf_add_slice(r->headers, value);
        llmux_buf_adds(r->headers, "\n");
    }
    return !w || plain_meaning(c, s, llmux_slice_str(c->p, value), w);
}

/* All lines of it, the empty one too. */
static int plain_head(plain_t *c, words_t *w, reading_t *r)
{
    llmux_slice_t line;
    int on;

    memset(w, 0, sizeof(*w));
    llmux_buf_reset(r->headers);
    if (!plain_line(c, 0, &line) || !plain_status(line, w)) {
        return 0;
    }
    for (on = plain_line(c, 0, &line); on && line.len;
         on = plain_line(c, 0, &line)) {
        if (!plain_header(c, line, w, r)) {
            return 0;
        }
    }
    return on;
}

static int plain_objection(const words_t *w)
{
    return (w->transfers && (!w->minor || w->lengths))
           || w->transfers > 1 || w->lengths > 1 || w->status == 101
           || (w->status < 200 && (w->transfers || w->length))
           || (w->status >= 200 && w->layers > 1);
}

static int plain_is(plain_t *c, const char *text)
{
    apr_size_t len = strlen(text);

    if (c->len - c->at < len || memcmp(c->s + c->at, text, len)) {
        return 0;
    }
    c->at += len;
    return 1;
}

/* As much of `n` bytes as there is. */
static int plain_bytes(plain_t *c, apr_uint64_t n, llmux_buf_t *to)
{
    apr_size_t have = c->len - c->at;

    have = n < have ? (apr_size_t)n : have;
    llmux_buf_add(to, c->s + c->at, have);
    c->at += have;
    return have == n;
}

static int plain_count(plain_t *c, const char *of, int most)
{
    int n = 0;

    while (c->at < c->len && n <= most && c->s[c->at]
           && strchr(of, c->s[c->at])) {
        n++;
        c->at++;
    }
    return n;
}

/* A chunk's line. */
static int plain_size(plain_t *c, apr_uint64_t *size)
{
    int extra, digits;

    *size = c->at < c->len ? strtoull((const char *)c->s + c->at, NULL, 16)
                           : 0;
    digits = plain_count(c, "0123456789abcdefABCDEF", 15);
    if (!digits || digits > 15) {
        return 0;
    }
    if (plain_is(c, "\r\n")) {
        return 1;
    }
    extra = plain_count(c, " \t", LLMUX_CHUNK_EXTRA_MAX);
    if (!plain_is(c, ";")) {
        return 0;
    }
    for (; c->at < c->len && (c->s[c->at] == '\t'
                              || (c->s[c->at] >= ' ' && c->s[c->at] != 0x7f));
         c->at++) {
        extra++;
    }
    return extra <= LLMUX_CHUNK_EXTRA_MAX && plain_is(c, "\r\n");
}

static int plain_chunks(plain_t *c, llmux_buf_t *to)
{
    apr_uint64_t size;
    llmux_slice_t line;
    int on;

    for (on = plain_size(c, &size); on && size; on = plain_size(c, &size)) {
        if (!plain_bytes(c, size, to) || !plain_is(c, "\r\n")) {
            return 0;
        }
    }
    if (!on) {
        return 0;
    }
    for (on = plain_line(c, 1, &line); on && line.len;
         on = plain_line(c, 1, &line)) {
        if (!plain_header(c, line, NULL, NULL)) {
            return 0;
        }
    }
    return on;
}

/* In one go, with room for what may be and one byte more. */
static int plain_inflate(plain_t *c, const words_t *w, reading_t *r)
{
    llmux_slice_t in = llmux_buf_slice(r->body);
    apr_size_t most = in.len * LLMUX_INFLATE_RATIO_MAX + SLACK;
    llmux_buf_t *out = llmux_buf_create(c->p, NOTES_MAX);
    char *room = malloc(most + 1);
    z_stream z = { 0 };
    int gzip = strcasecmp(w->coding, "deflate") != 0, rv;

    MUST(room != NULL);
    MUST(inflateInit2(&z, gzip ? 31 : (*in.data & 0x8f) == 8 ? 15 : -15)
         == Z_OK);
    z.next_in = (Bytef *)in.data;
    z.avail_in = (uInt)in.len;
    z.next_out = (Bytef *)room;
    z.avail_out = (uInt)most + 1;
    rv = inflate(&z, Z_FINISH);
    llmux_buf_add(out, room, most + 1 - z.avail_out);
    r->body = out;
    inflateEnd(&z);
    free(room);
    return rv == Z_STREAM_END && !z.avail_in && out->len <= most;
}

static int plain_body(plain_t *c, const words_t *w, reading_t *r)
{
    int framed = w->chunked || w->lengths;

    r->keep = w->minor ? !w->close : w->alive && !w->close;
    if (w->status == 204 || w->status == 304) {
        r->keep = r->keep && !w->transfers && !w->length;
        r->coded = w->layers;
        return c->at == c->len;
    }
    r->keep = r->keep && framed;
    r->coded = w->layers;
    if (!(w->chunked ? plain_chunks(c, r->body)
          : plain_bytes(c, w->lengths ? w->length : c->len - c->at, r->body))) {
        return 0;
    }
    if (c->at != c->len) {
        return 0;
    }
    return !w->layers || !r->body->len || plain_inflate(c, w, r);
}

static reading_t *plainly(apr_pool_t *p, llmux_slice_t text)
{
    plain_t c = { (const unsigned char *)text.data, text.len, 0, 0, p };
    reading_t *r = reading_create(p);
    words_t w;

    do {
        if (!plain_head(&c, &w, r) || plain_objection(&w)) {
            llmux_buf_reset(r->headers);
            return r;
        }
    } while (w.status < 200);
    r->heads = 1;
    r->status = w.status;
    r->good = plain_body(&c, &w, r);
    r->keep = r->keep && r->good;
    return r;
}

/* ---- one input -------------------------------------------------------- */

/* What was read of a packed body before it broke depends on the pieces, and
 * so does whether one grew too much on its way to a decent size. */
static void same(const reading_t *a, const reading_t *b)
{
    MUST(a->heads == b->heads && a->status == b->status);
    MUST(llmux_slice_equal(llmux_buf_slice(a->headers),
                           llmux_buf_slice(b->headers)));
    MUST(!a->heads || !a->coded == !b->coded);
    if (a->bomb || b->bomb) {
        return;
    }
    MUST(a->good == b->good && a->keep == b->keep);
    MUST((a->coded && !a->good)
         || llmux_slice_equal(llmux_buf_slice(a->body),
                              llmux_buf_slice(b->body)));
}

static void add_packed(llmux_buf_t *b, llmux_slice_t text, int format)
{
    apr_size_t room = text.len + 1000;
    char *out = malloc(room);
    z_stream z = { 0 };

    MUST(out != NULL);
    MUST(deflateInit2(&z, 9, Z_DEFLATED, format, 8, Z_DEFAULT_STRATEGY)
         == Z_OK);
    z.next_in = (Bytef *)text.data;
    z.avail_in = (uInt)text.len;
    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)room;
    MUST(deflate(&z, Z_FINISH) == Z_STREAM_END);
    llmux_buf_add(b, out, room - z.avail_out);
    deflateEnd(&z);
    free(out);
}

/* The same bytes, where what stands behind the first empty line is packed. */
static llmux_slice_t packed(apr_pool_t *p, llmux_slice_t text, int how)
{
    static const int formats[] = { 0, 31, 15, -15 };
    const char *body = memmem(text.data, text.len, "\r\n\r\n", 4);
    llmux_buf_t *b = llmux_buf_create(p, NOTES_MAX);
    llmux_slice_t head = text;

    if (!formats[how] || !body) {
        return text;
    }
    head.len = (apr_size_t)(body + 4 - text.data);
    text.data += head.len;
    text.len -= head.len;
    llmux_buf_add_slice(b, head);
    add_packed(b, text, formats[how]);
    return llmux_buf_slice(b);
}

static llmux_slice_t expanded(apr_pool_t *p, const uint8_t *s, size_t len)
{
    static const char letters[] =
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    llmux_buf_t *b = llmux_buf_create(p, NOTES_MAX);
    size_t i, k;

    for (i = 0; i < len && b->len < TEXT_MAX; i++) {
        if (s[i] != 0x1a || i + 1 == len) {
            llmux_buf_add(b, s + i, 1);
            continue;
        }
        i++;
        for (k = 0; k < s[i] * 8u; k++) {
            llmux_buf_add(b, letters, 64);
        }
    }
    return llmux_buf_slice(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *root;
    reading_t *plain;
    llmux_slice_t text;
    apr_pool_t *p;

    if (size < 3) {
        return 0;
    }
    if (!root) {
        apr_initialize();
        apr_pool_create(&root, NULL);
    }
    apr_pool_create(&p, root);
    text = packed(p, expanded(p, data + 3, size - 3), data[0] & 3);
    plain = plainly(p, text);
    same(plain, parsed(p, text, 0, 0));
    same(plain, parsed(p, text, 0, 1));
    same(plain, parsed(p, text, data[1], (apr_size_t)data[2] + 1));
    apr_pool_destroy(p);
    return 0;
}
