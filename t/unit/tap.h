/* tap.h - a test in C says ok and not ok, and how many there were. */

#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <apr_general.h>
#include <apr_pools.h>

static int tap_count, tap_failed;

/** One test; prints the name, returns whether it held. */
#define ok(cond, ...) tap_ok((cond) ? 1 : 0, __FILE__, __LINE__, __VA_ARGS__)

__attribute__((format(printf, 4, 5), unused))
static int tap_ok(int good, const char *file, int line, const char *fmt, ...)
{
    va_list ap;

    tap_count++;
    tap_failed += !good;
    printf("%sok %d - ", good ? "" : "not ", tap_count);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    if (!good) {
        printf("#   failed at %s line %d\n", file, line);
    }
    fflush(stdout);
    return good;
}

/** Two texts are the same; shows both when they are not. */
__attribute__((unused))
static int is_str(const char *got, const char *want, const char *name)
{
    int good = got && want ? !strcmp(got, want) : got == want;

    tap_ok(good, __FILE__, __LINE__, "%s", name);
    if (!good) {
        printf("#   got:  %s\n#   want: %s\n", got ? got : "(null)",
               want ? want : "(null)");
    }
    return good;
}

/** Was nothing taken from the pool between these two blocks of 8 bytes? Cannot
 * be seen where each allocation is one of malloc()'s (t/lib/pools.c). */
__attribute__((unused))
static int are_neighbours(const char *before, const char *after)
{
    return getenv("LLMUX_ASAN") || after - before == 8;
}

/** Two numbers are the same. */
__attribute__((unused))
static int is_int(long long got, long long want, const char *name)
{
    int good = got == want;

    tap_ok(good, __FILE__, __LINE__, "%s", name);
    if (!good) {
        printf("#   got:  %lld\n#   want: %lld\n", got, want);
    }
    return good;
}

/** The last line of main(): return tap_done(); */
__attribute__((unused))
static int tap_done(void)
{
    printf("1..%d\n", tap_count);
    return tap_failed ? 1 : 0;
}

#endif
