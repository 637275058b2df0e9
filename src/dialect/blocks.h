/* blocks.h - the blocks of an answer that are open while it is decoded, and
 * what waits for their end: for APIs that number their blocks and may mix the
 * pieces of several, as Anthropic's and Amazon's do. */

#ifndef LLMUX_DIALECT_BLOCKS_H
#define LLMUX_DIALECT_BLOCKS_H

#include "llmux/dialect.h"

/* A block from its start to its stop. */
typedef struct llmux_open_t {
    struct llmux_open_t *next;
    struct llmux_blocks_t *in;
    apr_int64_t index;          /* the API's */
    int key;
    llmux_event_e kind;         /* of its pieces: TEXT, THINK, ARGS, MEDIA;
                                 * END: a block that is skipped */
    apr_int64_t start;          /* text: code points before it */
    struct llmux_held_cite_t *cites, *last_cite;
    int cite_count;
    llmux_buf_t *signature;     /* thinking: so far, or NULL */
    llmux_slice_t input;        /* calls: said at the start */
    int pieces;                 /* calls: input came in pieces, which count
                                 * instead; for the decoder to set */
    const char *type;           /* media: for the decoder alone */
} llmux_open_t;

typedef struct llmux_blocks_t {
    llmux_decoder_t *decoder;   /* what emits and fails */
    apr_pool_t *held;           /* what open blocks keep; cleared when none
                                 * is open */
    apr_size_t held_size;
    llmux_open_t *open, *spare;
    int open_count;
    int keys;                   /* blocks so far */
    apr_int64_t points;         /* code points of text so far */
} llmux_blocks_t;

void llmux_blocks_init(llmux_blocks_t *b, llmux_decoder_t *decoder);

/** Begins a block of which the client hears nothing.
 * @return it, or NULL and the answer failed */
llmux_open_t *llmux_blocks_skip(llmux_blocks_t *b, apr_int64_t index);

/** Begins a block, and emits that.
 * @param ev its block, and what there is to say of a call
 * @return it, or NULL and the answer failed */
llmux_open_t *llmux_blocks_begin(llmux_blocks_t *b, apr_int64_t index,
                                 llmux_event_e kind, llmux_event_t *ev);

/** The open block of this index, or NULL. */
llmux_open_t *llmux_blocks_find(const llmux_blocks_t *b, apr_int64_t index);

/** Emits a piece of the block's kind; nothing if it is empty. */
void llmux_open_piece(const llmux_open_t *o, llmux_slice_t text);

/** Emits a token of a thought; nothing if it is empty. */
void llmux_open_token(const llmux_open_t *o, llmux_maker_e maker,
                      llmux_slice_t bytes);

/* These wait for the end of the block; what is too long makes the answer
 * fail, but citations do without. */

/** A citation: its address, title and quote. The end of the block is the end
 * of what it supports. */
void llmux_open_cite(llmux_open_t *o, const llmux_cite_t *cite);

/** A piece of a thought's signature by Anthropic. */
void llmux_open_sign(llmux_open_t *o, llmux_slice_t more);

/** The input of a call, in case no pieces follow. */
void llmux_open_input(llmux_open_t *o, llmux_slice_t input);

/** Ends a block, or all that are open: emits what waited, and the stop. The
 * block is gone then. */
void llmux_open_stop(llmux_open_t *o);
void llmux_blocks_stop_all(llmux_blocks_t *b);

#endif
