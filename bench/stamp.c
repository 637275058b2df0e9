/* stamp.c - times inside chunks: written by the mock, read by the clients. */

#include "stamp.h"

#include <string.h>

static const char digits_of[] = "0123456789abcdef";

void stamp_write(char *digits, int64_t ns)
{
    uint64_t left = (uint64_t)ns;
    int i;

    for (i = STAMP_DIGITS - 1; i >= 0; i--) {
        digits[i] = digits_of[left % 16];
        left /= 16;
    }
}

/* A digit's value, -1 for what is none. */
static int value_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* To behind the next mark. */
static void find_mark(stamp_t *s, const char **data, size_t *len)
{
    const char *mark = memchr(*data, STAMP_TEXT[0], *len);
    size_t n = mark ? (size_t)(mark + 1 - *data) : *len;

    s->place = mark != NULL;
    s->value = 0;
    *data += n;
    *len -= n;
}

int64_t stamp_next(stamp_t *s, const char **data, size_t *len)
{
    while (*len) {
        int value;

        if (!s->place) {
            find_mark(s, data, len);
            continue;
        }
        value = value_of(**data);
        if (value < 0) {
            s->place = 0;
            continue;
        }
        s->value = s->value * 16 + value;
        s->place++;
        (*data)++;
        (*len)--;
        if (s->place > STAMP_DIGITS) {
            s->place = 0;
            return (int64_t)s->value;
        }
    }
    return -1;
}
