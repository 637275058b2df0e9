/* reply.c - as little of HTTP/1.1 as a load generator must understand. */

#define _GNU_SOURCE
#include "reply.h"

#include <stdlib.h>
#include <string.h>

void reply_reset(reply_t *r)
{
    r->state = REPLY_HEAD;
    r->status = 0;
    r->closes = 0;
    r->left = r->line = r->body = 0;
    r->tail_len = r->head_len = 0;
    r->tail[0] = '\0';
}

/* ---- header ---------------------------------------------------------- */

static const char *header(const reply_t *r, const char *name)
{
    const char *at = strcasestr(r->head, name);

    return at ? at + strlen(name) : NULL;
}

static reply_state_e framing(reply_t *r)
{
    const char *length = header(r, "\ncontent-length:");
    const char *coding = header(r, "\ntransfer-encoding: chunked");

    if (coding) {
        return REPLY_SIZE;
    }
    if (!length) {
        return REPLY_BROKEN;
    }
    r->left = strtoul(length, NULL, 10);
    return r->left ? REPLY_LENGTH : REPLY_DONE;
}

/* @return how many of the bytes belong to the header */
static size_t feed_head(reply_t *r, const char *data, size_t len)
{
    size_t old = r->head_len;
    size_t n = len < HEAD_MAX - old ? len : HEAD_MAX - old;
    char *end;

    memcpy(r->head + old, data, n);
    r->head_len += n;
    r->head[r->head_len] = '\0';
    end = strstr(r->head + (old > 3 ? old - 3 : 0), "\r\n\r\n");
    if (!end) {
        r->state = r->head_len == HEAD_MAX ? REPLY_BROKEN : REPLY_HEAD;
        return n;
    }
    end[2] = '\0';
    r->head_len = end + 4 - r->head;
    if (strncmp(r->head, "HTTP/1.", 7)) {
        r->state = REPLY_BROKEN;
        return len;
    }
    r->status = (int)strtol(r->head + 9, NULL, 10);
    r->closes = header(r, "\nconnection: close") != NULL;
    r->state = framing(r);
    return r->head_len - old;
}

/* ---- body ------------------------------------------------------------ */

static void keep_tail(reply_t *r, const char *data, size_t len)
{
    size_t old;

    if (len > TAIL_MAX) {
        data += len - TAIL_MAX;
        len = TAIL_MAX;
    }
    old = r->tail_len < TAIL_MAX - len ? r->tail_len : TAIL_MAX - len;
    memmove(r->tail, r->tail + r->tail_len - old, old);
    memcpy(r->tail + old, data, len);
    r->tail_len = old + len;
    r->tail[r->tail_len] = '\0';
}

static size_t feed_data(reply_t *r, const char *data, size_t len)
{
    size_t n = len < r->left ? len : r->left;

    keep_tail(r, data, n);
    if (r->take) {
        r->take(r->owner, data, n);
    }
    r->body += n;
    r->left -= n;
    if (!r->left) {
        r->state = r->state == REPLY_LENGTH ? REPLY_DONE : REPLY_BREAK;
    }
    return n;
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

static int is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f');
}

/* Hexadecimal digits; what else the line holds does not count. */
static void feed_size(reply_t *r, char c)
{
    if (c == '\n') {
        r->state = r->line == 0 ? REPLY_BROKEN
                 : r->left ? REPLY_DATA : REPLY_TRAILER;
        r->line = 0;
    }
    else if (r->line < 8 && is_hex(c)) {
        r->left = r->left * 16 + hex(c);
        r->line++;
    }
    else if (c != '\r') {
        r->line = 8;
    }
}

static void feed_line(reply_t *r, char c)
{
    switch (r->state) {
    case REPLY_SIZE:
        feed_size(r, c);
        break;
    case REPLY_BREAK:
        r->state = c == '\n' ? REPLY_SIZE
                 : c == '\r' ? REPLY_BREAK : REPLY_BROKEN;
        break;
    default:    /* an empty line ends the trailer */
        if (c == '\n') {
            r->state = r->line ? REPLY_TRAILER : REPLY_DONE;
            r->line = 0;
        }
        else {
            r->line += c != '\r';
        }
    }
}

static size_t feed_some(reply_t *r, const char *data, size_t len)
{
    switch (r->state) {
    case REPLY_HEAD:
        return feed_head(r, data, len);
    case REPLY_LENGTH:
    case REPLY_DATA:
        return feed_data(r, data, len);
    case REPLY_DONE:
        r->state = REPLY_BROKEN;
        return len;
    case REPLY_BROKEN:
        return len;
    default:
        feed_line(r, *data);
        return 1;
    }
}

size_t reply_feed(reply_t *r, const char *data, size_t len)
{
    size_t before = r->body;
    size_t n;

    while (len) {
        n = feed_some(r, data, len);
        data += n;
        len -= n;
    }
    return r->body - before;
}
