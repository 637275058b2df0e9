/* image.c - how large an image is, and what that costs. */

#include "family.h"

enum {
    HEAD = 64,                  /* base64 that shows what it is */
    UNKNOWN = 1024,             /* a side, where it is not known */
    SIDE_MAX = 65535,
    FIT = 2048, SHORT = 768, TILE = 512,        /* OpenAI, tiles */
    PATCH = 32, PATCHES_MAX = 1536,             /* OpenAI, patches */
    LONG = 1568,                                /* Anthropic */
    SMALL = 384, CROP_MIN = 256, CROP_MAX = 768 /* Gemini */
};

/* ---- the size ---------------------------------------------------------- */

static apr_int64_t be(const unsigned char *b, int n)
{
    apr_int64_t v = 0;

    while (n--) {
        v = v << 8 | *b++;
    }
    return v;
}

static apr_int64_t le(const unsigned char *b, int n)
{
    apr_int64_t v = 0;

    while (n--) {
        v = v << 8 | b[n];
    }
    return v;
}

static int png_size(const unsigned char *b, apr_size_t n, apr_int64_t *w,
                    apr_int64_t *h)
{
    if (n < 24 || memcmp(b + 12, "IHDR", 4)) {
        return 0;
    }
    *w = be(b + 16, 4);
    *h = be(b + 20, 4);
    return 1;
}

static int gif_size(const unsigned char *b, apr_size_t n, apr_int64_t *w,
                    apr_int64_t *h)
{
    if (n < 10) {
        return 0;
    }
    *w = le(b + 6, 2);
    *h = le(b + 8, 2);
    return 1;
}

/* Lossy, lossless or extended (RFC 9649). */
static int webp_size(const unsigned char *b, apr_size_t n, apr_int64_t *w,
                     apr_int64_t *h)
{
    if (n < 30) {
        return 0;
    }
    if (!memcmp(b + 12, "VP8 ", 4)) {
        *w = le(b + 26, 2) & 0x3fff;
        *h = le(b + 28, 2) & 0x3fff;
        return 1;
    }
    if (!memcmp(b + 12, "VP8L", 4)) {
        *w = (le(b + 21, 4) & 0x3fff) + 1;
        *h = (le(b + 21, 4) >> 14 & 0x3fff) + 1;
        return 1;
    }
    *w = le(b + 24, 3) + 1;
    *h = le(b + 27, 3) + 1;
    return !memcmp(b + 12, "VP8X", 4);
}

/* A start of frame; C4, C8 and CC are something else. */
static int is_frame(unsigned char mark)
{
    return mark >= 0xc0 && mark <= 0xcf && mark != 0xc4 && mark != 0xc8
           && mark != 0xcc;
}

/* Segments until the frame's, fill bytes between them. */
static int jpeg_size(const unsigned char *b, apr_size_t n, apr_int64_t *w,
                     apr_int64_t *h)
{
    apr_size_t at = 2;

    while (n >= 9 && at <= n - 9 && b[at] == 0xff) {
        if (b[at + 1] == 0xff) {
            at++;
            continue;
        }
        if (is_frame(b[at + 1])) {
            *h = be(b + at + 5, 2);
            *w = be(b + at + 7, 2);
            return 1;
        }
        at += 2 + (apr_size_t)be(b + at + 2, 2);
    }
    return 0;
}

static const struct {
    const char *type;
    int (*size)(const unsigned char *b, apr_size_t n, apr_int64_t *w,
                apr_int64_t *h);
    apr_size_t head;            /* base64 that is needed */
} sizes[] = {
    { "image/png",  png_size,  HEAD },
    { "image/jpeg", jpeg_size, LLMUX_IMAGE_HEAD_MAX },
    { "image/gif",  gif_size,  HEAD },
    { "image/webp", webp_size, HEAD }
};

static int size_of(int i, llmux_slice_t base64, apr_pool_t *p,
                   apr_int64_t *w, apr_int64_t *h)
{
    llmux_slice_t bytes;

    if (base64.len > sizes[i].head) {
        base64.len = sizes[i].head;
    }
    bytes = llmux_base64_decode(p, base64);
    return bytes.data
           && sizes[i].size((const unsigned char *)bytes.data, bytes.len, w, h)
           && *w > 0 && *h > 0 && *w <= SIDE_MAX && *h <= SIDE_MAX;
}

int llmux_image_size(llmux_slice_t base64, apr_pool_t *p, apr_int64_t *width,
                     apr_int64_t *height)
{
    const char *type = llmux_media_sniff(base64);
    apr_pool_t *scratch;
    int i, found = 0;

    if (!type) {
        return 0;
    }
    apr_pool_create(&scratch, p);
    for (i = 0; i < (int)(sizeof(sizes) / sizeof(sizes[0])); i++) {
        if (!strcmp(type, sizes[i].type)) {
            found = size_of(i, base64, scratch, width, height);
        }
    }
    apr_pool_destroy(scratch);
    return found;
}

/* ---- what it costs ----------------------------------------------------- */

static apr_int64_t pieces(double length, int of)
{
    apr_int64_t n = (apr_int64_t)(length / of);

    return n * of < length ? n + 1 : n;
}

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

/* Square roots without libm: Newton, from above. */
static double root(double x)
{
    double r = x > 1 ? x : 1, next = (r + x / r) / 2;

    while (next < r) {
        r = next;
        next = (r + x / r) / 2;
    }
    return r;
}

/* In whole pixels, at least one. */
static apr_int64_t tiles_of(double side)
{
    apr_int64_t n = (apr_int64_t)(side + 0.5);

    return pieces(n > 0 ? n : 1, TILE);
}

/* Made to fit a square, then its shorter side made 768; never larger. */
static apr_int64_t tiles(apr_int64_t w, apr_int64_t h)
{
    double by = smaller(1, smaller((double)FIT / w, (double)FIT / h));

    by *= smaller(1, SHORT / (by * smaller(w, h)));
    return tiles_of(w * by) * tiles_of(h * by);
}

/* Made so small that the patches fit, in whole ones of one side. */
static apr_int64_t patches(apr_int64_t w, apr_int64_t h)
{
    apr_int64_t n = pieces(w, PATCH) * pieces(h, PATCH);
    double by, across, down;

    if (n <= PATCHES_MAX) {
        return n;
    }
    by = root((double)PATCHES_MAX * PATCH * PATCH / ((double)w * h));
    across = w * by / PATCH;
    down = h * by / PATCH;
    by = 1;
    if (across >= 1 && down >= 1) {
        by = smaller((double)(apr_int64_t)across / across,
                     (double)(apr_int64_t)down / down);
    }
    n = pieces(across * by, 1) * pieces(down * by, 1);
    return n < PATCHES_MAX ? n : PATCHES_MAX;
}

static apr_int64_t area(apr_int64_t w, apr_int64_t h)
{
    double by = smaller(1, smaller((double)LONG / w, (double)LONG / h));

    return (apr_int64_t)(w * by * h * by);
}

static apr_int64_t crops(apr_int64_t w, apr_int64_t h)
{
    apr_int64_t unit = (w < h ? w : h) * 2 / 3;

    if (w <= SMALL && h <= SMALL) {
        return 1;
    }
    unit = unit < CROP_MIN ? CROP_MIN : unit > CROP_MAX ? CROP_MAX : unit;
    return pieces(w, (int)unit) * pieces(h, (int)unit);
}

static apr_int64_t cost(const llmux_family_t *f, apr_int64_t w, apr_int64_t h)
{
    switch (f->image) {
    case LLMUX_IMAGE_PATCHES:
        return (patches(w, h) * f->a + 99) / 100;
    case LLMUX_IMAGE_AREA:
        return area(w, h) / f->a + 1;
    case LLMUX_IMAGE_CROPS:
        return crops(w, h) * f->a;
    default:
        return f->base + tiles(w, h) * f->a;
    }
}

llmux_tokens_t llmux_image_tokens(const llmux_family_t *family,
                                  const llmux_media_t *media, apr_pool_t *p)
{
    llmux_tokens_t t = { 0, family->exact };
    apr_int64_t w = UNKNOWN, h = UNKNOWN;

    t.exact = t.exact && family->image == LLMUX_IMAGE_TILES;
    if (t.exact && llmux_slice_is(media->detail, "low")) {
        t.count = family->base;
        return t;
    }
    if (!llmux_image_size(media->base64, p, &w, &h)) {
        w = h = UNKNOWN;
        t.exact = 0;
    }
    t.count = cost(family, w, h);
    return t;
}
