/* aws_message.h - messages of Amazon's event streams, made for tests. */

#ifndef AWS_MESSAGE_H
#define AWS_MESSAGE_H

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "llmux/core.h"

/* A string is of type 7. */
#define AWS_STRING 7

static void aws_number(llmux_buf_t *b, unsigned long n, int bytes)
{
    while (bytes--) {
        char c = (char)(n >> (8 * bytes) & 0xff);

        llmux_buf_add(b, &c, 1);
    }
}

static void aws_sum(llmux_buf_t *b, apr_size_t from)
{
    aws_number(b, crc32(0, (const Bytef *)b->data + from,
                        (uInt)(b->len - from)), 4);
}

/** A header of any type, its value as it goes over the wire. */
__attribute__((unused))
static void aws_header(llmux_buf_t *b, const char *name, int type,
                       const void *value, apr_size_t len)
{
    aws_number(b, strlen(name), 1);
    llmux_buf_adds(b, name);
    aws_number(b, (unsigned long)type, 1);
    llmux_buf_add(b, value, len);
}

__attribute__((unused))
static void aws_string(llmux_buf_t *b, const char *name, const char *value)
{
    aws_number(b, strlen(name), 1);
    llmux_buf_adds(b, name);
    aws_number(b, AWS_STRING, 1);
    aws_number(b, strlen(value), 2);
    llmux_buf_adds(b, value);
}

/** A message with these headers, both checksums right. */
__attribute__((unused))
static void aws_message(llmux_buf_t *b, llmux_slice_t headers,
                        llmux_slice_t payload)
{
    apr_size_t from = b->len;

    aws_number(b, headers.len + payload.len + 16, 4);
    aws_number(b, headers.len, 4);
    aws_sum(b, from);
    llmux_buf_add_slice(b, headers);
    llmux_buf_add_slice(b, payload);
    aws_sum(b, from);
}

/** A message of this type ("event", "exception"), whose name is in the header
 * that goes with it. */
__attribute__((unused))
static void aws_event(apr_pool_t *p, llmux_buf_t *b, const char *type,
                      const char *name, llmux_slice_t payload)
{
    llmux_buf_t *headers = llmux_buf_create(p, 1 << 16);

    aws_string(headers, !strcmp(type, "event") ? ":event-type"
                        : !strcmp(type, "error") ? ":error-code"
                        : ":exception-type", name);
    aws_string(headers, ":content-type", "application/json");
    aws_string(headers, ":message-type", type);
    aws_message(b, llmux_buf_slice(headers), payload);
}

/** Lines, each the name of an event, a space and its payload; with a ! before
 * the name it is an exception. */
__attribute__((unused))
static llmux_slice_t aws_events(apr_pool_t *p, llmux_slice_t lines)
{
    llmux_buf_t *b = llmux_buf_create(p, 1 << 26);
    const char *at = lines.data, *end = at + lines.len, *line, *space;
    char name[64];

    for (; at < end; at = line + 1) {
        llmux_slice_t payload;
        int exception = *at == '!';
        apr_size_t n;

        line = memchr(at, '\n', (apr_size_t)(end - at));
        line = line ? line : end;
        at += exception;
        space = memchr(at, ' ', (apr_size_t)(line - at));
        space = space ? space : line;
        n = (apr_size_t)(space - at) < sizeof(name) ? (apr_size_t)(space - at)
                                                : sizeof(name) - 1;
        memcpy(name, at, n);
        name[n] = '\0';
        payload.data = space < line ? space + 1 : line;
        payload.len = (apr_size_t)(line - payload.data);
        aws_event(p, b, exception ? "exception" : "event", name, payload);
        if (line == end) {
            break;
        }
    }
    return llmux_buf_slice(b);
}

#endif
