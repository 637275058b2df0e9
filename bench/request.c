/* request.c - a POST with a file as its body. */

#define _GNU_SOURCE
#include "request.h"

#include <stdio.h>
#include <stdlib.h>

#define BODY_MAX (4 << 20)

void request_make(request_t *r, int port, const char *path, const char *file)
{
    char *body = malloc(BODY_MAX);
    FILE *in = fopen(file, "rb");
    FILE *out = open_memstream(&r->data, &r->len);
    size_t n;

    if (!body || !in || !out) {
        perror(file);
        exit(1);
    }
    n = fread(body, 1, BODY_MAX, in);
    fprintf(out, "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
            "Accept: application/json\r\nContent-Type: application/json\r\n"
            "User-Agent: bench/1.0\r\nAuthorization: Bearer sk-bench\r\n"
            "Content-Length: %zu\r\n\r\n", path, port, n);
    fwrite(body, 1, n, out);
    fclose(out);
    fclose(in);
    free(body);
}
