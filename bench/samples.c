/* samples.c - a growing array and its percentiles. */

#include "samples.h"

#include <stdlib.h>

void samples_add(samples_t *s, int64_t ns)
{
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 4096;
        s->us = realloc(s->us, s->room * sizeof(*s->us));
        if (!s->us) {
            perror("realloc");
            exit(1);
        }
    }
    s->us[s->count++] = ns < 0 ? 0 : (uint32_t)(ns / 1000);
    s->sorted = 0;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

double samples_percentile(samples_t *s, double percent)
{
    size_t rank;

    if (!s->count) {
        return 0;
    }
    if (!s->sorted) {
        qsort(s->us, s->count, sizeof(*s->us), compare);
        s->sorted = 1;
    }
    rank = (size_t)(percent / 100 * s->count);
    return s->us[rank < s->count ? rank : s->count - 1];
}

void samples_write(const samples_t *s, FILE *out)
{
    size_t i;

    for (i = 0; i < s->count; i++) {
        fprintf(out, "%u\n", (unsigned int)s->us[i]);
    }
}

static int class_of(double added_us)
{
    static const int borders[STEPS - 1] = { 1, 2, 5, 10, 20, 35, 48, 80 };
    int i = 0;

    while (i < STEPS - 1 && added_us >= borders[i] * 1000) {
        i++;
    }
    return i;
}

void samples_steps(const samples_t *s, double usual_us,
                   uint64_t steps[STEPS])
{
    size_t i;

    for (i = 0; i < s->count; i++) {
        steps[class_of(s->us[i] - usual_us)]++;
    }
}
