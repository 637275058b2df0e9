/**
 * anthropic_encode.h - what the files that write a Messages answer share.
 *
 * The API has one block open at a time, while events may speak of several.
 * anthropic_encode.c takes the events in, anthropic_encode_order.c brings
 * their blocks one behind the other; what comes of it is said as events of a
 * stream by anthropic_encode_stream.c, or as one document by
 * anthropic_encode_whole.c. anthropic_encode_pieces.c holds the JSON that
 * both say alike.
 */

#ifndef LLMUX_ANTHROPIC_ENCODE_H
#define LLMUX_ANTHROPIC_ENCODE_H

#include "anthropic.h"

/* Where a block stands. */
typedef enum {
    LLMUX_TURN_NOT_YET,         /* nothing of it must be said now */
    LLMUX_TURN_NOW,             /* the one that is said */
    LLMUX_TURN_WAITS,           /* in the queue */
    LLMUX_TURN_OVER             /* said; nothing can be added */
} llmux_turn_e;

/* How much of a call's arguments was there, so as to know their end. */
typedef struct llmux_args_scan_t {
    int depth;
    int in_string, escaped;
    int whole;                  /* one object, and nothing but space behind */
    int bad;                    /* more than that, or something else */
} llmux_args_scan_t;

/* A block of the answer, while its events come; used again afterwards. */
typedef struct llmux_anthropic_block_t {
    struct llmux_anthropic_block_t *next;   /* of those that are open */
    struct llmux_anthropic_block_t *queued; /* behind this one */
    llmux_block_e kind;
    int key;
    int custom;                 /* call of a custom tool */
    llmux_turn_e turn;
    int opened;                 /* its beginning was said */
    int stopped;                /* its events are over */
    int live;                   /* calls: arguments go out as they come */
    llmux_args_scan_t scan;
    llmux_buf_t *id, *name;     /* calls */
    llmux_buf_t *text;          /* what waits to be said */
    llmux_buf_t *token;
    llmux_maker_e maker;        /* of the token */
} llmux_anthropic_block_t;

typedef struct llmux_anthropic_encode_t llmux_anthropic_encode_t;

/* The two forms. Calls come in the order of the answer: open, pieces, close,
 * of one block after the other; `end` last. */
typedef struct llmux_anthropic_form_t {
    void (*open)(llmux_anthropic_encode_t *e,
                 const llmux_anthropic_block_t *b, llmux_buf_t *out);
    void (*piece)(llmux_anthropic_encode_t *e,
                  const llmux_anthropic_block_t *b, llmux_slice_t text,
                  llmux_buf_t *out);
    /* `seal`: thinking's signature, "" for none */
    void (*close)(llmux_anthropic_encode_t *e,
                  const llmux_anthropic_block_t *b, llmux_slice_t seal,
                  llmux_buf_t *out);
    void (*end)(llmux_anthropic_encode_t *e, llmux_buf_t *out);
} llmux_anthropic_form_t;

struct llmux_anthropic_encode_t {
    llmux_encoder_t base;
    apr_pool_t *pool;
    llmux_encode_t how;
    const llmux_anthropic_form_t *form;
    llmux_slice_t id, model, tier;
    llmux_usage_t usage;
    int started;                /* streamed: message_start is out */
    int index;                  /* of the next block */
    int calls;                  /* were there any? */
    llmux_anthropic_block_t *open, *unused;
    llmux_anthropic_block_t *now;           /* that is said, or NULL */
    llmux_anthropic_block_t *queue, *queue_last;
    llmux_anthropic_block_t *fresh;         /* a call whose token may come
                                             * with the next event */
    apr_size_t kept;            /* bytes of blocks */
    llmux_buf_t *content;       /* whole: the blocks, as JSON */
    llmux_finish_e finish;
    llmux_buf_t *stop;          /* the sequence that matched, NULL for none */
    int finished, ended;
};

/* ---- order ----------------------------------------------------------- */

/** The block with this key, or NULL. */
llmux_anthropic_block_t *
llmux_anthropic_block(const llmux_anthropic_encode_t *e, int key);

/** A new one, as a BLOCK_START says. */
llmux_anthropic_block_t *
llmux_anthropic_block_start(llmux_anthropic_encode_t *e,
                            const llmux_event_t *ev, llmux_buf_t *out);

/** It has something to say: it gets its turn, or stands in the queue. */
void llmux_anthropic_block_say(llmux_anthropic_encode_t *e,
                               llmux_anthropic_block_t *b, llmux_buf_t *out);

/** ... and that is what. */
void llmux_anthropic_block_text(llmux_anthropic_encode_t *e,
                                llmux_anthropic_block_t *b,
                                llmux_slice_t text, llmux_buf_t *out);

/** The last token counts. It is as the client is to have it. */
void llmux_anthropic_block_token(llmux_anthropic_encode_t *e,
                                 llmux_anthropic_block_t *b,
                                 llmux_token_t token, llmux_buf_t *out);

/** Its events are over. */
void llmux_anthropic_block_stop(llmux_anthropic_encode_t *e,
                                llmux_anthropic_block_t *b,
                                llmux_buf_t *out);

/* ---- forms and pieces ------------------------------------------------ */

extern const llmux_anthropic_form_t llmux_anthropic_form_stream;
extern const llmux_anthropic_form_t llmux_anthropic_form_whole;

/** Streamed: an event that says nothing but its name. */
void llmux_anthropic_put_ping(llmux_buf_t *out);

/** Streamed: what went wrong. */
void llmux_anthropic_put_error(const llmux_error_t *err, llmux_buf_t *out);

/** Does the thinking's text go to the client? */
int llmux_anthropic_tells(const llmux_anthropic_encode_t *e);

/** Members of a message up to its content. */
void llmux_anthropic_put_head(const llmux_anthropic_encode_t *e,
                              llmux_jw_t *w);

/** "stop_reason" and what goes with it. */
void llmux_anthropic_put_stop(const llmux_anthropic_encode_t *e,
                              llmux_jw_t *w);

/** "usage": of a message, or what of it a message_delta repeats. */
void llmux_anthropic_put_usage(const llmux_anthropic_encode_t *e,
                               llmux_jw_t *w, int delta);

/** A block's type and what of it is known at its beginning. */
void llmux_anthropic_put_block(const llmux_anthropic_block_t *b,
                               llmux_jw_t *w);

/** A call's arguments as a JSON object, whatever they are. In `p`. */
llmux_slice_t llmux_anthropic_args(apr_pool_t *p,
                                   const llmux_anthropic_block_t *b);

#endif
