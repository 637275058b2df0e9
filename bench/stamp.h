/* stamp.h - the time at which the mock wrote a chunk, inside its text: what
 * the client reads there tells how long the chunk was under way. */

#ifndef BENCH_STAMP_H
#define BENCH_STAMP_H

#include <stddef.h>
#include <stdint.h>

/* The place of a stamp in a text: a mark and the digits behind it. */
#define STAMP_TEXT   "@0000000000000000"
#define STAMP_DIGITS 16

/* A reader of one stream. Zeroes are its beginning. */
typedef struct stamp_t {
    int place;          /* 0: no mark; else 1 + digits seen behind it */
    uint64_t value;
} stamp_t;

/** Writes nanoseconds (as bench_now()) over the digits of a place. */
void stamp_write(char *digits, int64_t ns);

/**
 * The next stamp in a stream's bytes, however they are cut; moves on in them.
 * @return nanoseconds, or -1 when these bytes hold no further whole one
 */
int64_t stamp_next(stamp_t *s, const char **data, size_t *len);

#endif
