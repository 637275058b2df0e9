/* request.h - what a client of the benchmark sends. */

#ifndef BENCH_REQUEST_H
#define BENCH_REQUEST_H

#include <stddef.h>

/* A request, ready for the wire; lives as long as the process. */
typedef struct request_t {
    char *data;
    size_t len;
} request_t;

/** A POST of a file to a path of 127.0.0.1. */
void request_make(request_t *r, int port, const char *path, const char *file);

#endif
