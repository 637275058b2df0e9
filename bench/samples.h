/* samples.h - durations, and what is said about them. */

#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define STEPS 9     /* classes of added latency */

typedef struct samples_t {
    uint32_t *us;   /* microseconds */
    size_t count, room;
    int sorted;
} samples_t;

/** Adds a duration of `ns` nanoseconds. */
void samples_add(samples_t *s, int64_t ns);

/** The value below which `percent` of the samples lie, in microseconds. */
double samples_percentile(samples_t *s, double percent);

/** Writes all samples, a line each. */
void samples_write(const samples_t *s, FILE *out);

/** Counts by how much samples exceed the usual, in classes with the borders
 * 1, 2, 5, 10, 20, 35, 48 and 80 ms: a delayed ACK that meets Nagle's
 * algorithm costs 40 ms and has a class of its own. */
void samples_steps(const samples_t *s, double usual_us,
                   uint64_t steps[STEPS]);

#endif
