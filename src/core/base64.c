/* base64.c - base64 (RFC 4648), data URLs (RFC 2397), and what is in them. */

#include "llmux/core.h"

#include <string.h>

#include <apr_strings.h>

enum { BAD = 64, SPACE, PAD };

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "abcdefghijklmnopqrstuvwxyz0123456789+/";

/* The six bits of a character of either alphabet, or what else it is. */
static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    switch (c) {
    case '+': case '-':
        return 62;
    case '/': case '_':
        return 63;
    case '=':
        return PAD;
    case ' ': case '\t': case '\r': case '\n': case '\f': case '\v':
        return SPACE;
    default:
        return BAD;
    }
}

static void encode_three(char *out, const unsigned char *in, apr_size_t n)
{
    apr_uint32_t bits = (apr_uint32_t)in[0] << 16;

    bits |= n > 1 ? (apr_uint32_t)in[1] << 8 : 0;
    bits |= n > 2 ? in[2] : 0;
    out[0] = alphabet[bits >> 18];
    out[1] = alphabet[bits >> 12 & 63];
    out[2] = n > 1 ? alphabet[bits >> 6 & 63] : '=';
    out[3] = n > 2 ? alphabet[bits & 63] : '=';
}

llmux_slice_t llmux_base64_encode(apr_pool_t *p, llmux_slice_t bytes)
{
    const unsigned char *in = (const unsigned char *)bytes.data;
    llmux_slice_t out = { NULL, 0 };
    apr_size_t i;
    char *text;

    if (!in || bytes.len > ~(apr_size_t)0 / 2) {
        return out;
    }
    out.len = (bytes.len + 2) / 3 * 4;
    text = apr_palloc(p, out.len + 1);
    for (i = 0; i < bytes.len; i += 3) {
        encode_three(text + i / 3 * 4, in + i, bytes.len - i);
    }
    text[out.len] = '\0';
    out.data = text;
    return out;
}

llmux_slice_t llmux_base64url_encode(apr_pool_t *p, llmux_slice_t bytes)
{
    llmux_slice_t text = llmux_base64_encode(p, bytes);
    char *c = (char *)text.data;

    for (; c && *c && *c != '='; c++) {
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    }
    text.len = (apr_size_t)(c - text.data);
    return text;
}

/* Decodes until `size` bytes are out or the text ends.
 * @return how many came out, or -1 when it is not base64 */
static apr_ssize_t decode(llmux_slice_t text, unsigned char *out,
                          apr_size_t size)
{
    apr_size_t i, digits = 0, pads = 0, n = 0;
    apr_uint32_t bits = 0;

    for (i = 0; i < text.len && n < size; i++) {
        int v = value_of(text.data[i]);

        if (v == PAD) {
            pads++;
        }
        else if (v < 64 && !pads) {
            bits = bits << 6 | (apr_uint32_t)v;
            if (digits % 4) {
                out[n++] = (unsigned char)(bits >> (6 - 2 * (digits % 4)));
            }
            digits++;
        }
        else if (v != SPACE) {
            return -1;
        }
    }
    if (i < text.len) {
        return (apr_ssize_t)n;      /* enough was seen */
    }
    if (digits % 4 == 1 || (pads && (pads > 2 || (digits + pads) % 4))) {
        return -1;
    }
    return (apr_ssize_t)n;
}

llmux_slice_t llmux_base64_decode(apr_pool_t *p, llmux_slice_t text)
{
    llmux_slice_t out = { NULL, 0 };
    unsigned char *bytes;
    apr_ssize_t n;

    if (!text.data) {
        return out;
    }
    /* One more than can come out, so that all of the text is looked at. */
    bytes = apr_palloc(p, text.len / 4 * 3 + 4);
    n = decode(text, bytes, text.len / 4 * 3 + 4);
    if (n >= 0) {
        bytes[n] = '\0';
        out.data = (const char *)bytes;
        out.len = (apr_size_t)n;
    }
    return out;
}

/* ---- data URLs ------------------------------------------------------- */

/* Can it be sent as it stands: standard alphabet, padded, nothing else, and
 * no stray bits at the end (strict decoders refuse them)? */
static int is_canonical(llmux_slice_t s)
{
    static const int stray[] = { 0, 3, 15 };
    apr_size_t pads = 0, i;

    while (pads < 2 && pads < s.len && s.data[s.len - 1 - pads] == '=') {
        pads++;
    }
    if (s.len % 4) {
        return 0;
    }
    for (i = 0; i < s.len - pads; i++) {
        if (value_of(s.data[i]) >= 64 || s.data[i] == '-'
            || s.data[i] == '_') {
            return 0;
        }
    }
    return !s.len || !(value_of(s.data[i - 1]) & stray[pads]);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes; a percent sign that means nothing stays. */
static llmux_slice_t unescape(apr_pool_t *p, llmux_slice_t s)
{
    llmux_slice_t out = s;
    apr_size_t i;
    char *to;

    if (!s.len || !memchr(s.data, '%', s.len)) {
        return s;
    }
    to = apr_palloc(p, s.len);
    out.data = to;
    for (i = 0; i < s.len; i++) {
        if (s.data[i] == '%' && s.len - i > 2 && hex_value(s.data[i + 1]) >= 0
            && hex_value(s.data[i + 2]) >= 0) {
            *to++ = (char)(hex_value(s.data[i + 1]) << 4
                           | hex_value(s.data[i + 2]));
            i += 2;
        }
        else {
            *to++ = s.data[i];
        }
    }
    out.len = (apr_size_t)(to - out.data);
    return out;
}

static llmux_slice_t strip(llmux_slice_t s)
{
    while (s.len && value_of(s.data[0]) == SPACE) {
        s.data++;
        s.len--;
    }
    while (s.len && value_of(s.data[s.len - 1]) == SPACE) {
        s.len--;
    }
    return s;
}

/* Takes what is before `mark` off the front; all of it if there is none. */
static llmux_slice_t take(llmux_slice_t *rest, char mark)
{
    const char *end = rest->len ? memchr(rest->data, mark, rest->len) : NULL;
    llmux_slice_t head = *rest;

    head.len = end ? (apr_size_t)(end - rest->data) : rest->len;
    rest->data += head.len + (end ? 1 : 0);
    rest->len -= head.len + (end ? 1 : 0);
    return head;
}

/* Lower case in `p`; absent unless it is two RFC 9110 tokens and a slash. */
static llmux_slice_t media_type(apr_pool_t *p, llmux_slice_t s)
{
    llmux_slice_t none = { NULL, 0 };
    const char *slash = s.len ? memchr(s.data, '/', s.len) : NULL;
    apr_size_t i;
    char *out;

    if (!s.len) {
        return llmux_slice("text/plain");
    }
    if (s.len > LLMUX_MEDIA_TYPE_MAX || !slash || slash == s.data
        || slash == s.data + s.len - 1) {
        return none;
    }
    out = apr_pstrmemdup(p, s.data, s.len);
    for (i = 0; i < s.len; i++) {
        /* Letters and digits are the values below 62. */
        if (&s.data[i] != slash && value_of(out[i]) >= 62
            && (!out[i] || !strchr("!#$%&'*+-.^_`|~", out[i]))) {
            return none;
        }
        if (out[i] >= 'A' && out[i] <= 'Z') {
            out[i] = (char)(out[i] | 0x20);
        }
    }
    s.data = out;
    return s;
}

/* The data as standard base64: in place where it already is. */
static llmux_slice_t standard(apr_pool_t *p, llmux_slice_t data, int base64)
{
    apr_pool_t *scratch;

    if (base64 && is_canonical(data)) {
        return data;
    }
    apr_pool_create(&scratch, p);
    data = unescape(scratch, data);
    if (base64) {
        data = llmux_base64_decode(scratch, data);
    }
    data = llmux_base64_encode(p, data);
    apr_pool_destroy(scratch);
    return data;
}

int llmux_data_url(apr_pool_t *p, llmux_slice_t url, llmux_data_url_t *out)
{
    llmux_slice_t rest, head;
    int base64 = 0;

    if (!url.data) {
        return 0;
    }
    rest = strip(url);
    head = take(&rest, ':');
    if (!llmux_slice_is_nocase(head, "data")
        || !memchr(rest.data, ',', rest.len)) {
        return 0;
    }
    head = take(&rest, ',');
    out->type = media_type(p, strip(take(&head, ';')));
    while (head.len) {
        base64 |= llmux_slice_is_nocase(strip(take(&head, ';')), "base64");
    }
    out->base64 = standard(p, rest, base64);
    return out->type.data && out->base64.data;
}

/* ---- what the bytes show --------------------------------------------- */

static const struct {
    const char *type;
    apr_size_t len;             /* of head */
    const char *head, *at8;     /* what it starts with; four bytes at 8 */
} magics[] = {
    { "image/png",       8, "\x89PNG\r\n\x1a\n", NULL   },
    { "image/jpeg",      3, "\xff\xd8\xff",      NULL   },
    { "image/gif",       6, "GIF87a",            NULL   },
    { "image/gif",       6, "GIF89a",            NULL   },
    { "image/webp",      4, "RIFF",              "WEBP" },
    { "application/pdf", 5, "%PDF-",             NULL   },
    { "audio/wav",       4, "RIFF",              "WAVE" },
    { "audio/mpeg",      3, "ID3",               NULL   }
};

/* An MPEG audio frame, layer III, without the reserved values. */
static int is_mp3_frame(const unsigned char *b, apr_size_t n)
{
    return n >= 3 && b[0] == 0xff && (b[1] & 0xe6) == 0xe2
           && (b[1] & 0x18) != 0x08 && (b[2] & 0xf0) != 0xf0
           && (b[2] & 0x0c) != 0x0c;
}

const char *llmux_media_sniff(llmux_slice_t base64)
{
    unsigned char b[12];
    apr_ssize_t got = base64.data ? decode(base64, b, sizeof(b)) : -1;
    apr_size_t n = got < 0 ? 0 : (apr_size_t)got, i;

    for (i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
        if (n >= magics[i].len && !memcmp(b, magics[i].head, magics[i].len)
            && (!magics[i].at8
                || (n >= 12 && !memcmp(b + 8, magics[i].at8, 4)))) {
            return magics[i].type;
        }
    }
    return is_mp3_frame(b, n) ? "audio/mpeg" : NULL;
}
