/* reply.h - reads an HTTP/1.1 response as it comes. */

#ifndef BENCH_REPLY_H
#define BENCH_REPLY_H

#include <stddef.h>

#define HEAD_MAX 16384
#define TAIL_MAX 32

typedef enum {
    REPLY_HEAD,         /* the header is not complete */
    REPLY_LENGTH,       /* a body with Content-Length */
    REPLY_SIZE,         /* a chunk's size line */
    REPLY_DATA,         /* a chunk's bytes */
    REPLY_BREAK,        /* the line break after them */
    REPLY_TRAILER,      /* lines after the last chunk */
    REPLY_DONE,
    REPLY_BROKEN
} reply_state_e;

typedef struct reply_t {
    reply_state_e state;
    int status;
    int closes;             /* the server said Connection: close */
    size_t left;            /* of the body or of this chunk */
    size_t line;            /* bytes of this line so far */
    size_t body;            /* bytes of the body so far */
    char tail[TAIL_MAX + 1];    /* the body's last bytes */
    size_t tail_len;
    void (*take)(void *owner, const char *data, size_t len);
    void *owner;            /* of take, which gets the body, or is NULL */
    size_t head_len;
    char head[HEAD_MAX + 1];    /* last: most of it is never touched */
} reply_t;

/** Makes ready for the next response; take and owner stay. */
void reply_reset(reply_t *r);

/**
 * Takes what was read.
 * @return how many bytes of body were in it; r->state says how far it is.
 * Bytes behind the end make the reply broken: nothing is pipelined here.
 */
size_t reply_feed(reply_t *r, const char *data, size_t len);

#endif
