/* estimate.c - tokens of a text without ranks: characters weighed.
 *
 * The weights are 32nds of a token and come from o200k_base: prose in the
 * languages of each row, and source code for what is ASCII. Of the texts that
 * they were taken from each is within 30 % of its count.
 */

#include "llmux/tokens.h"

enum { TOKEN = 32 };

/* Outside ASCII: up to this code point, so many 32nds. */
static const struct { apr_uint32_t last; int weight; } scripts[] = {
    { 0x024f, 24 },     /* Latin with marks */
    { 0x058f, 12 },     /* Greek, Cyrillic, Armenian */
    { 0x10ff, 14 },     /* Hebrew, Arabic, Indic, Thai, Georgian */
    { 0x1dff, 20 },
    { 0x1fff, 18 },     /* Vietnamese letters, polytonic Greek */
    { 0x303f, 28 },     /* punctuation, symbols */
    { 0x30ff, 25 },     /* Kana */
    { 0xabff, 26 },     /* Chinese characters */
    { 0xd7af, 24 },     /* Hangul */
    { 0xffff, 28 },
    { 0xffffffffu, 64 } /* emoji and rare scripts */
};

static int is_space(unsigned char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* White space goes with the word behind it, however much it is. */
static int ascii_weight(unsigned char c, unsigned char before)
{
    if (c >= 'a' && c <= 'z') {
        return 7;
    }
    if (is_space(c)) {
        return is_space(before) ? 0 : 4;
    }
    if (c >= 'A' && c <= 'Z') {
        return 14;
    }
    return c >= '0' && c <= '9' ? 20 : 23;
}

/* The character that a lead byte leads to, as far as its row needs it: bytes
 * behind the third say nothing about the script. */
static apr_uint32_t script_of(const unsigned char *s, apr_size_t left)
{
    if (s[0] >= 0xf0) {
        return 0x10000;
    }
    if (s[0] >= 0xe0) {
        return (apr_uint32_t)(s[0] & 15) << 12
               | (left > 1 ? (apr_uint32_t)(s[1] & 63) << 6 : 0)
               | (left > 2 ? s[2] & 63u : 0);
    }
    return (apr_uint32_t)(s[0] & 31) << 6 | (left > 1 ? s[1] & 63u : 0);
}

static int wide_weight(const unsigned char *s, apr_size_t left)
{
    apr_uint32_t c = script_of(s, left);
    int i = 0;

    while (c > scripts[i].last) {
        i++;
    }
    return scripts[i].weight;
}

apr_int64_t llmux_tokens_estimate(llmux_slice_t text)
{
    const unsigned char *s = (const unsigned char *)text.data;
    apr_int64_t sum = 0;
    apr_size_t i;

    for (i = 0; i < text.len; i++) {
        if (s[i] < 0x80) {
            sum += ascii_weight(s[i], i ? s[i - 1] : 0);
        }
        else if (s[i] >= 0xc0) {
            sum += wide_weight(s + i, text.len - i);
        }
    }
    return (sum + TOKEN - 1) / TOKEN;
}
