/* json_number.c - what numbers and booleans of a parsed text mean. */

#include <math.h>
#include <stdlib.h>
#include <apr_strings.h>

#include "llmux/core.h"

enum {
    /* The nearest double hangs on 768 digits at most (IEEE 754 binary64);
     * one more stands for all that follow. */
    DIGITS_MAX = 768,
    EXPONENT_ROOM = 24
};

/* A number's parts. The point may be anywhere among the digits. */
typedef struct decimal_t {
    int negative;
    const char *digits, *end;
    apr_int64_t power;      /* of ten, that the last digit stands for */
} decimal_t;

/* Stops growing where no number of digits could make up for it. */
static apr_int64_t exponent(const char *s, const char *end)
{
    int negative = *s == '-';
    apr_int64_t n = 0;

    for (s += negative || *s == '+'; s < end; s++) {
        if (n <= LLMUX_JSON_TEXT_MAX) {
            n = n * 10 + (*s - '0');
        }
    }
    return negative ? -n : n;
}

static decimal_t split(const llmux_json_t *v)
{
    const char *s = v->at, *end = s + v->len, *point = NULL;
    decimal_t d = { .negative = *s == '-' };

    d.digits = s + d.negative;
    for (s = d.digits; s < end && *s != 'e' && *s != 'E'; s++) {
        if (*s == '.') {
            point = s;
        }
    }
    d.end = s;
    d.power = s < end ? exponent(s + 1, end) : 0;
    d.power -= point ? s - point - 1 : 0;
    return d;
}

/* @return 0 if it does not fit */
static int times_ten_plus(apr_uint64_t *n, unsigned digit)
{
    if (*n > (APR_UINT64_MAX - digit) / 10) {
        return 0;
    }
    *n = *n * 10 + digit;
    return 1;
}

/* @return 0 unless it is a whole number that fits */
static int whole(decimal_t d, apr_uint64_t *n)
{
    apr_int64_t zeros = 0;
    const char *s;

    *n = 0;
    for (s = d.digits; s < d.end; s++) {
        if (*s == '0') {
            zeros++;
        }
        else if (*s != '.') {
            /* Zeros count once it is known that they are not the last. */
            for (; zeros && *n; zeros--) {
                if (!times_ten_plus(n, 0)) {
                    return 0;
                }
            }
            zeros = 0;
            if (!times_ten_plus(n, (unsigned)(*s - '0'))) {
                return 0;
            }
        }
    }
    for (d.power += zeros; d.power > 0 && *n; d.power--) {
        if (!times_ten_plus(n, 0)) {
            return 0;
        }
    }
    return !*n || !d.power;
}

apr_int64_t llmux_json_int(const llmux_json_t *v, apr_int64_t other)
{
    apr_uint64_t n;
    decimal_t d;

    if (llmux_json_kind(v) != LLMUX_JSON_NUMBER) {
        return other;
    }
    if (v->len == 1) {
        return *v->at - '0';
    }
    d = split(v);
    if (!whole(d, &n) || n > (apr_uint64_t)APR_INT64_MAX + d.negative) {
        return other;
    }
    return (apr_int64_t)(d.negative ? 0 - n : n);
}

/* Without a point in it strtod() is the same in every locale. */
double llmux_json_double(const llmux_json_t *v, double other)
{
    char text[DIGITS_MAX + 1 + EXPONENT_ROOM];
    int n = 0, cut = 0;
    const char *s;
    decimal_t d;
    double x;

    if (llmux_json_kind(v) != LLMUX_JSON_NUMBER) {
        return other;
    }
    d = split(v);
    for (s = d.digits; s < d.end; s++) {
        if (*s == '.' || (*s == '0' && !n)) {
            continue;
        }
        if (n < DIGITS_MAX) {
            text[n++] = *s;
        }
        else {
            cut |= *s != '0';
            d.power++;
        }
    }
    if (cut) {
        text[n++] = '1';
        d.power--;
    }
    text[n] = '0';
    apr_snprintf(text + (n ? n : 1), EXPONENT_ROOM, "e%" APR_INT64_T_FMT,
                 d.power);
    x = strtod(text, NULL);
    if (!isfinite(x)) {
        return other;
    }
    return d.negative ? -x : x;
}

llmux_tri_e llmux_json_bool(const llmux_json_t *v)
{
    if (llmux_json_kind(v) != LLMUX_JSON_BOOL) {
        return LLMUX_UNSET;
    }
    return *v->at == 't' ? LLMUX_YES : LLMUX_NO;
}
