/* parse.c - durations, sizes and Retry-After. */

#include "llmux/core.h"

#include <string.h>

#include <apr_cstr.h>
#include <apr_date.h>

#define YEAR (APR_INT64_C(365) * 24 * 3600 * APR_USEC_PER_SEC)

typedef struct unit_t {
    const char *name;
    apr_int64_t factor;
} unit_t;

static const unit_t duration_units[] = {
    { "",   APR_USEC_PER_SEC        },
    { "s",  APR_USEC_PER_SEC        },
    { "ms", 1000                    },
    { "m",  60 * APR_USEC_PER_SEC   },
    { "h",  3600 * APR_USEC_PER_SEC },
    { NULL, 0                       }
};

static const unit_t size_units[] = {
    { "",   1       },
    { "k",  1 << 10 },
    { "m",  1 << 20 },
    { "g",  1 << 30 },
    { NULL, 0       }
};

/* Digits off the front of `*text`. @return -1 without any or beyond `max` */
static apr_int64_t take_digits(const char **text, apr_int64_t max)
{
    apr_int64_t n = 0;
    const char *s = *text;

    if (*s < '0' || *s > '9') {
        return -1;
    }
    for (; *s >= '0' && *s <= '9'; s++) {
        if (n > (max - (*s - '0')) / 10) {
            return -1;
        }
        n = n * 10 + (*s - '0');
    }
    *text = s;
    return n;
}

/* A whole number and one of the units. @return -1 unless it is one */
static apr_int64_t with_unit(const char *text, const unit_t *units,
                             apr_int64_t max)
{
    apr_int64_t n = text ? take_digits(&text, max) : -1;
    const unit_t *u;

    for (u = units; n >= 0 && u->name; u++) {
        if (!apr_cstr_casecmp(text, u->name)) {
            return n <= max / u->factor ? n * u->factor : -1;
        }
    }
    return -1;
}

int llmux_duration_parse(const char *text, apr_interval_time_t *out)
{
    apr_int64_t n = with_unit(text, duration_units, YEAR);

    if (n < 0) {
        return 0;
    }
    *out = n;
    return 1;
}

int llmux_size_parse(const char *text, apr_int64_t *out)
{
    apr_int64_t n = with_unit(text, size_units, APR_INT64_MAX);

    if (n < 0) {
        return 0;
    }
    *out = n;
    return 1;
}

/* Digits, and what may come behind a decimal point.
 * @return microseconds, cut at the maximum; -1 unless it is that */
static apr_interval_time_t decimal_seconds(const char *s)
{
    apr_interval_time_t whole = 0, part = 0, scale = APR_USEC_PER_SEC;

    if (*s < '0' || *s > '9') {
        return -1;
    }
    for (; *s >= '0' && *s <= '9'; s++) {
        if (whole < LLMUX_RETRY_AFTER_MAX) {
            whole = whole * 10 + (*s - '0');
        }
    }
    if (*s == '.' && s[1] >= '0' && s[1] <= '9') {
        for (s++; *s >= '0' && *s <= '9'; s++) {
            scale /= 10;
            part += (*s - '0') * scale;
        }
    }
    return *s ? -1 : whole * APR_USEC_PER_SEC + part;
}

static apr_interval_time_t clamp(apr_interval_time_t wait)
{
    const apr_interval_time_t max = apr_time_from_sec(LLMUX_RETRY_AFTER_MAX);

    if (wait < 0) {
        return 0;
    }
    return wait < max ? wait : max;
}

apr_interval_time_t llmux_retry_after_parse(const char *value, apr_time_t now)
{
    char text[64];
    apr_time_t when;
    apr_size_t len;
    apr_interval_time_t wait;

    value = value ? value + strspn(value, " \t") : "";
    len = strcspn(value, "\r\n");
    while (len && strchr(" \t", value[len - 1])) {
        len--;
    }
    if (!len || len >= sizeof(text)) {
        return -1;
    }
    memcpy(text, value, len);
    text[len] = '\0';
    wait = decimal_seconds(text);
    if (wait >= 0) {
        return clamp(wait);
    }
    when = apr_date_parse_http(text);
    return when == APR_DATE_BAD ? -1 : clamp(when - now);
}
