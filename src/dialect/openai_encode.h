/**
 * openai_encode.h - what the files that write chat completions' answers share.
 *
 * openai_encode.c takes the events in and knows choices and blocks;
 * openai_chunks.c says them as chunks, openai_whole.c as one document;
 * openai_pieces.c holds the JSON that both say alike, openai_custom.c gives
 * custom tools' calls their form back.
 */

#ifndef LLMUX_OPENAI_ENCODE_H
#define LLMUX_OPENAI_ENCODE_H

#include "llmux/seal.h"

#include "openai_answer.h"

/* ---- state ----------------------------------------------------------- */

/* A block of the answer. Streamed: kept while it is open, then used again,
 * so that memory does not grow with the answer. Whole: kept to the end. */
typedef struct llmux_openai_block_t {
    struct llmux_openai_block_t *next;
    struct llmux_openai_choice_t *choice;
    llmux_block_e kind;
    int key;
    int index;              /* of a call among calls; streamed: of a thought
                             * among thoughts, -1 = not shown yet */
    int custom;
    int wrapped;            /* custom, but called as a function: see
                             * openai_custom.c */
    llmux_buf_t *wrapping;  /* ... its arguments so far */
    int said;               /* arguments came */
    llmux_buf_t *id, *name, *text, *token;  /* whole only */
    llmux_maker_e maker;    /* of the token */
} llmux_openai_block_t;

typedef struct llmux_openai_choice_t {
    int index;
    int introduced;         /* streamed: the role was said */
    int calls;              /* so far */
    int thoughts, cites, pictures;          /* streamed: said so far */
    int heard;              /* streamed: sound was begun */
    int refused;
    llmux_openai_block_t *blocks, *last;    /* whole: calls and thoughts in
                                             * order */
    llmux_buf_t *text, *reasoning, *refusal;        /* whole: characters */
    llmux_buf_t *annotations, *images, *logprobs;   /* whole: JSON elements */
    llmux_buf_t *audio;                             /* whole: bytes */
    const char *finish;
} llmux_openai_choice_t;

typedef struct llmux_openai_encode_t {
    llmux_encoder_t base;
    apr_pool_t *pool;
    llmux_encode_t how;
    llmux_slice_t head;     /* of each document, up to its choices */
    const char *tail;       /* streamed: what ends each chunk */
    llmux_usage_t usage;
    llmux_openai_choice_t **choices;    /* by index, with gaps */
    int room;               /* of them */
    llmux_openai_block_t *open, *unused;
    llmux_openai_block_t *pending;  /* a call whose first fragment is in
                                     * `held` */
    llmux_buf_t *held;
    apr_size_t kept;        /* whole: bytes so far */
    int overflow;           /* whole: they were too many */
    int ended;
} llmux_openai_encode_t;

/** The candidate, made when first asked for; NULL if there is no such one. */
llmux_openai_choice_t *llmux_openai_choice(llmux_openai_encode_t *e,
                                           int cand);

/** The open block with this key, or NULL. */
llmux_openai_block_t *llmux_openai_block(const llmux_openai_encode_t *e,
                                         int key);

/** A new open block, as a BLOCK_START says. */
llmux_openai_block_t *llmux_openai_block_open(llmux_openai_encode_t *e,
                                              llmux_openai_choice_t *c,
                                              const llmux_event_t *ev);

/** Takes it out of the open ones; free: to be used again. */
void llmux_openai_block_close(llmux_openai_encode_t *e,
                              llmux_openai_block_t *b, int free);

/** Our `finish_reason`. */
const char *llmux_openai_finish(const llmux_openai_choice_t *c,
                                llmux_finish_e finish);

/* ---- the two forms --------------------------------------------------- */

/** One event, said as chunks, or kept for the document that END makes. */
void llmux_openai_chunks(llmux_openai_encode_t *e, const llmux_event_t *ev,
                         llmux_buf_t *out);
void llmux_openai_whole(llmux_openai_encode_t *e, const llmux_event_t *ev,
                        llmux_buf_t *out);

/** Either of the two, as the client wants it. */
void llmux_openai_say(llmux_openai_encode_t *e, const llmux_event_t *ev,
                      llmux_buf_t *out);

/** The same, for an event of a call that may be one of a custom tool.
 * @return 0 if it is none, and nothing was said */
int llmux_openai_custom(llmux_openai_encode_t *e, const llmux_event_t *ev,
                        llmux_buf_t *out);

/* ---- pieces ---------------------------------------------------------- */

/** One entry of reasoning_details. */
void llmux_openai_put_detail(llmux_jw_t *w, int index, llmux_slice_t text,
                             llmux_token_t token);

/** The member that hangs Gemini's signature on a call. */
void llmux_openai_put_call_token(llmux_jw_t *w, llmux_slice_t token);

/** One annotation. @param index -1: it has no number */
void llmux_openai_put_annotation(llmux_jw_t *w, const llmux_cite_t *cite,
                                 int index);

/** Has the source an address, without which no annotation can name it? */
int llmux_openai_citable(const llmux_event_t *ev);

/** One picture, and whether the medium is one. Likewise for sound. */
void llmux_openai_put_image(llmux_jw_t *w, const llmux_event_t *ev,
                            int index);
int llmux_openai_is_image(const llmux_event_t *ev);
int llmux_openai_is_audio(const llmux_event_t *ev);

/** The members of `audio`, but for the data. */
void llmux_openai_put_audio(llmux_jw_t *w, const llmux_encode_t *how);

#endif
