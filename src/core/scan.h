/* scan.h - the inner loops: runs of plain bytes, of a line, of UTF-8. */

#ifndef LLMUX_SCAN_H
#define LLMUX_SCAN_H

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Eight times the same byte. */
#define LLMUX_EIGHT(byte) ((uint64_t)(byte) * UINT64_C(0x0101010101010101))

/* Does any byte of `x` equal `byte`? For x without bytes above 0x7f. */
#define LLMUX_HAS(x, byte) \
    (((x) ^ LLMUX_EIGHT(byte)) - LLMUX_EIGHT(1)) & LLMUX_EIGHT(0x80)

/* Stands in a JSON string for itself: ASCII, no control, quote, backslash. */
static inline int llmux_scan_is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/** The first byte from `s` on that is not plain, or `end`. */
static inline const char *llmux_scan_plain(const char *s, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), back = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(0x20);

    for (; end - s >= 16; s += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)s);
        /* Compared as signed, bytes above 0x7f are below a space too. */
        __m128i hit = _mm_or_si128(_mm_cmplt_epi8(x, space),
                                   _mm_or_si128(_mm_cmpeq_epi8(x, quote),
                                                _mm_cmpeq_epi8(x, back)));
        int mask = _mm_movemask_epi8(hit);

        if (mask) {
            return s + __builtin_ctz((unsigned)mask);
        }
    }
#else
    for (; end - s >= 8; s += 8) {
        uint64_t x, hit;

        memcpy(&x, s, sizeof(x));
        hit = (x | (x - LLMUX_EIGHT(0x20))) & LLMUX_EIGHT(0x80);
        hit |= LLMUX_HAS(x, '"');
        hit |= LLMUX_HAS(x, '\\');
        if (hit) {
            break;
        }
    }
#endif
    while (s < end && llmux_scan_is_plain((unsigned char)*s)) {
        s++;
    }
    return s;
}

#ifdef __SSE2__
/* Which of the 16 bytes at `s` are CR or LF. */
static inline __m128i llmux_scan_ends(const char *s)
{
    __m128i x = _mm_loadu_si128((const __m128i *)s);

    return _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('\r')),
                        _mm_cmpeq_epi8(x, _mm_set1_epi8('\n')));
}
#endif

/** The first CR or LF from `s` on, or `end`. */
static inline const char *llmux_scan_line(const char *s, const char *end)
{
#ifdef __SSE2__
    /* Lines are long. */
    for (; end - s >= 64; s += 64) {
        __m128i a = _mm_or_si128(llmux_scan_ends(s), llmux_scan_ends(s + 16));
        __m128i b = _mm_or_si128(llmux_scan_ends(s + 32),
                                 llmux_scan_ends(s + 48));

        if (_mm_movemask_epi8(_mm_or_si128(a, b))) {
            break;
        }
    }
    for (; end - s >= 16; s += 16) {
        int mask = _mm_movemask_epi8(llmux_scan_ends(s));

        if (mask) {
            return s + __builtin_ctz((unsigned)mask);
        }
    }
#endif
    while (s < end && *s != '\n' && *s != '\r') {
        s++;
    }
    return s;
}

/* What may follow a lead byte: the length of the sequence and the range of
 * its second byte (Unicode 15, table 3-7). Length 0 leads nothing. */
typedef struct llmux_scan_lead_t {
    unsigned char len, low, high;
} llmux_scan_lead_t;

static inline llmux_scan_lead_t llmux_scan_lead(unsigned char c)
{
    static const llmux_scan_lead_t none = { 0, 0, 0 };
    static const llmux_scan_lead_t two = { 2, 0x80, 0xbf };
    static const llmux_scan_lead_t three[16] = {
        { 3, 0xa0, 0xbf }, { 3, 0x80, 0xbf }, { 3, 0x80, 0xbf },
        { 3, 0x80, 0xbf }, { 3, 0x80, 0xbf }, { 3, 0x80, 0xbf },
        { 3, 0x80, 0xbf }, { 3, 0x80, 0xbf }, { 3, 0x80, 0xbf },
        { 3, 0x80, 0xbf }, { 3, 0x80, 0xbf }, { 3, 0x80, 0xbf },
        { 3, 0x80, 0xbf }, { 3, 0x80, 0x9f }, { 3, 0x80, 0xbf },
        { 3, 0x80, 0xbf }
    };
    static const llmux_scan_lead_t four[5] = {
        { 4, 0x90, 0xbf }, { 4, 0x80, 0xbf }, { 4, 0x80, 0xbf },
        { 4, 0x80, 0xbf }, { 4, 0x80, 0x8f }
    };

    if (c < 0xc2 || c > 0xf4) {
        return none;
    }
    if (c < 0xe0) {
        return two;
    }
    return c < 0xf0 ? three[c - 0xe0] : four[c - 0xf0];
}

/**
 * One character outside ASCII at `s`, where s < end.
 * @return its bytes, or minus the bytes that make one U+FFFD (the longest
 *         part that could have become a character, at least 1)
 */
static inline int llmux_scan_utf8(const char *s, const char *end)
{
    const unsigned char *u = (const unsigned char *)s;
    llmux_scan_lead_t lead = llmux_scan_lead(*u);
    int i;

    if (!lead.len || end - s < 2 || u[1] < lead.low || u[1] > lead.high) {
        return -1;
    }
    for (i = 2; i < lead.len; i++) {
        if (s + i == end || (u[i] & 0xc0) != 0x80) {
            return -i;
        }
    }
    return lead.len;
}

#endif
