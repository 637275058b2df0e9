/* vector.c - vectors as JSON arrays and as float32 in base64. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "vector.h"

enum {
    FLOAT = 4,              /* bytes of a number */
    PLAIN_MAX = 38,         /* so many digits are never too large */
    DIGITS_MAX = 128,       /* enough to tell which float32 is nearest */
    EXPONENT_MAX = 99999999,    /* beyond it all is nothing or too much */
    SPELLED_MAX = 32        /* a float32 in nine digits, and then some */
};

static const char no_numbers[] = "is no array of numbers";
static const char too_many[] = "has more than 65536 numbers";
static const char too_large[] = "has a number that is no float32";

/* ---- numbers --------------------------------------------------------- */

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The exponent of a number in JSON, cut where it does not matter. */
static int exponent(const char *s, const char *end)
{
    int negative = s < end && *s == '-', n = 0;

    s += s < end && (*s == '-' || *s == '+');
    for (; s < end && is_digit(*s); s++) {
        n = n < EXPONENT_MAX ? n * 10 + (*s - '0') : n;
    }
    return negative ? -n : n;
}

/* A number's digits, and ten to which power they are to be taken times. */
typedef struct digits_t {
    char text[DIGITS_MAX + 2 + SPELLED_MAX];
    int count, power;
    int cut;                /* more than zeros was left out */
} digits_t;

static void add_digit(digits_t *d, char c, int behind)
{
    if (c == '0' && !d->count) {
        d->power -= behind;
    }
    else if (d->count < DIGITS_MAX) {
        d->text[d->count++] = c;
        d->power -= behind;
    }
    else {
        d->cut |= c != '0';
        d->power += !behind;
    }
}

/* The nearest float32. Without a point strtof() is the same in every
 * locale. */
static float nearest(llmux_slice_t number)
{
    const char *s = number.data, *end = s + number.len;
    int negative = s < end && *s == '-', behind = 0;
    digits_t d;
    float x;

    d.count = d.cut = d.power = 0;
    for (s += negative; s < end && *s != 'e' && *s != 'E'; s++) {
        if (*s == '.') {
            behind = 1;
        }
        else {
            add_digit(&d, *s, behind);
        }
    }
    if (d.cut) {
        d.text[d.count++] = '1';
        d.power--;
    }
    d.power += s < end ? exponent(s + 1, end) : 0;
    if (!d.count) {
        d.text[d.count++] = '0';
    }
    apr_snprintf(d.text + d.count, SPELLED_MAX, "e%d", d.power);
    x = strtof(d.text, NULL);
    return negative ? -x : x;
}

/* Most numbers show at a glance that they are not too large. */
static int fits(llmux_slice_t number)
{
    if (number.len <= PLAIN_MAX && !memchr(number.data, 'e', number.len)
        && !memchr(number.data, 'E', number.len)) {
        return 1;
    }
    return isfinite(nearest(number));
}

/* ---- arrays ---------------------------------------------------------- */

static int is_of_number(char c)
{
    return is_digit(c) || c == '-' || c == '.' || c == '+' || c == 'e'
        || c == 'E';
}

static llmux_slice_t behind(llmux_slice_t s, apr_size_t n)
{
    s.data += n;
    s.len -= n;
    return s;
}

/* What is between the brackets; absent if it is no array. */
static llmux_slice_t inside(llmux_slice_t array)
{
    static const llmux_slice_t none = { NULL, 0 };

    if (array.len < 2 || array.data[0] != '[') {
        return none;
    }
    array.len--;
    return behind(array, 1);
}

/* Takes the next number. @return 0 at the end, -1 if it is something else */
static int next(llmux_slice_t *rest, llmux_slice_t *number)
{
    apr_size_t n = 0;

    while (rest->len
           && (llmux_char_is_space(*rest->data) || *rest->data == ',')) {
        *rest = behind(*rest, 1);
    }
    while (n < rest->len && is_of_number(rest->data[n])) {
        n++;
    }
    number->data = rest->data;
    number->len = n;
    if (rest->len && !n) {
        return -1;
    }
    *rest = behind(*rest, n);
    return n > 0;
}

const char *llmux_vector_check(llmux_slice_t array)
{
    llmux_slice_t rest = inside(array), number;
    int found, count = 0;

    if (!rest.data) {
        return no_numbers;
    }
    for (found = next(&rest, &number); found > 0;
         found = next(&rest, &number)) {
        if (++count > LLMUX_VECTOR_MAX) {
            return too_many;
        }
        if (!fits(number)) {
            return too_large;
        }
    }
    return found ? no_numbers : NULL;
}

llmux_slice_t llmux_vector_compact(apr_pool_t *p, llmux_slice_t array)
{
    llmux_slice_t out = { NULL, 0 };
    char *text = apr_palloc(p, array.len + 1);
    apr_size_t i;

    for (i = 0; i < array.len; i++) {
        if (!llmux_char_is_space(array.data[i])) {
            text[out.len++] = array.data[i];
        }
    }
    out.data = text;
    return out;
}

/* ---- float32 --------------------------------------------------------- */

static void put_float(unsigned char *to, float x)
{
    apr_uint32_t bits;
    int i;

    memcpy(&bits, &x, sizeof(bits));
    for (i = 0; i < FLOAT; i++) {
        to[i] = (unsigned char)(bits >> 8 * i);
    }
}

static float get_float(const unsigned char *from)
{
    apr_uint32_t bits = 0;
    float x;
    int i;

    for (i = 0; i < FLOAT; i++) {
        bits |= (apr_uint32_t)from[i] << 8 * i;
    }
    memcpy(&x, &bits, sizeof(x));
    return x;
}

/* How many there are at the most. */
static apr_size_t count_of(llmux_slice_t rest)
{
    apr_size_t i, n = 1;

    for (i = 0; i < rest.len; i++) {
        n += rest.data[i] == ',';
    }
    return n;
}

llmux_slice_t llmux_vector_pack(apr_pool_t *p, llmux_slice_t array)
{
    static const llmux_slice_t none = { NULL, 0 };
    llmux_slice_t rest = inside(array), number, bytes = { NULL, 0 }, out;
    apr_size_t most = count_of(rest);
    unsigned char *all;
    apr_pool_t *scratch;

    if (llmux_vector_check(array)) {
        return none;
    }
    apr_pool_create(&scratch, p);
    all = apr_palloc(scratch, most * FLOAT);
    while (bytes.len < most * FLOAT && next(&rest, &number) > 0) {
        put_float(all + bytes.len, nearest(number));
        bytes.len += FLOAT;
    }
    bytes.data = (const char *)all;
    out = llmux_base64_encode(p, bytes);
    apr_pool_destroy(scratch);
    return out;
}

/* What is wrong with these bytes. */
static const char *check_bytes(llmux_slice_t bytes)
{
    const unsigned char *all = (const unsigned char *)bytes.data;
    apr_size_t i;

    if (!all || bytes.len % FLOAT) {
        return "is no float32 in base64";
    }
    if (bytes.len > (apr_size_t)LLMUX_VECTOR_MAX * FLOAT) {
        return too_many;
    }
    for (i = 0; i < bytes.len; i += FLOAT) {
        if (!isfinite(get_float(all + i))) {
            return too_large;
        }
    }
    return NULL;
}

const char *llmux_vector_check_base64(apr_pool_t *p, llmux_slice_t base64,
                                      llmux_slice_t *out)
{
    llmux_slice_t bytes = llmux_base64_decode(p, base64), standard;
    const char *wrong = check_bytes(bytes);

    *out = base64;
    if (!wrong) {
        standard = llmux_base64_encode(p, bytes);
        *out = llmux_slice_equal(standard, base64) ? base64 : standard;
    }
    return wrong;
}

/* A locale may have spelled the point otherwise, in several bytes. */
static void mend_point(char *text)
{
    char *to = text, *from;

    for (from = text; *from; from++) {
        if (is_of_number(*from)) {
            *to++ = *from;
        }
        else if (to == text || to[-1] != '.') {
            *to++ = '.';
        }
    }
    *to = '\0';
}

/* In the fewest digits that mean the same number again; nine always do. */
static void spell(llmux_buf_t *out, float x)
{
    char text[SPELLED_MAX];
    int digits;

    for (digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, (double)x);
        mend_point(text);
        if (nearest(llmux_slice(text)) == x) {
            break;
        }
    }
    llmux_buf_adds(out, text);
}

llmux_slice_t llmux_vector_unpack(apr_pool_t *p, llmux_slice_t base64)
{
    static const llmux_slice_t none = { NULL, 0 };
    llmux_slice_t bytes = llmux_base64_decode(p, base64);
    llmux_buf_t *out;
    apr_size_t i;

    if (check_bytes(bytes)) {
        return none;
    }
    out = llmux_buf_create(p, 2 + bytes.len / FLOAT * SPELLED_MAX);
    llmux_buf_adds(out, "[");
    for (i = 0; i < bytes.len; i += FLOAT) {
        llmux_buf_adds(out, i ? "," : "");
        spell(out, get_float((const unsigned char *)bytes.data + i));
    }
    llmux_buf_adds(out, "]");
    return llmux_buf_slice(out);
}

llmux_slice_t llmux_vector_of_bytes(apr_pool_t *p, llmux_slice_t base64)
{
    llmux_slice_t bytes = llmux_base64_decode(p, base64);
    llmux_buf_t *out;
    apr_size_t i;

    if (!bytes.data) {
        return bytes;
    }
    out = llmux_buf_create(p, sizeof("[]") + bytes.len * sizeof("-128"));
    llmux_buf_adds(out, "[");
    for (i = 0; i < bytes.len; i++) {
        llmux_buf_addf(out, "%s%d", i ? "," : "",
                       (int)(signed char)bytes.data[i]);
    }
    llmux_buf_adds(out, "]");
    return llmux_buf_slice(out);
}
