/**
 * responses_encode.h - what the files share that write Responses' answers.
 *
 * responses_encode.c takes the events in and knows the answer's items;
 * responses_encode_items.c says them, as events and as JSON;
 * responses_encode_object.c says the response as a whole.
 */

#ifndef LLMUX_DIALECT_RESPONSES_ENCODE_H
#define LLMUX_DIALECT_RESPONSES_ENCODE_H

#include "responses.h"

/* A part of a message: a text or a refusal. */
typedef struct llmux_responses_said_t {
    struct llmux_responses_said_t *next;
    int index;
    int refusal;
    int stopped;                /* nothing more comes, but for citations */
    int closed;                 /* the client knows */
    llmux_buf_t *text;
    llmux_buf_t *annotations, *logprobs;    /* JSON elements */
    int cites;
    apr_int64_t from, points;   /* its code points in the answer's text */
} llmux_responses_said_t;

typedef enum {
    LLMUX_OUTPUT_MESSAGE, LLMUX_OUTPUT_REASONING, LLMUX_OUTPUT_FUNCTION,
    LLMUX_OUTPUT_CUSTOM, LLMUX_OUTPUT_IMAGE
} llmux_responses_output_e;

/* An item of the answer's output. Kept to the end, which repeats it all. */
typedef struct llmux_responses_output_t {
    struct llmux_responses_output_t *next;
    llmux_responses_output_e kind;
    int index;
    int stopped, closed;
    int incomplete;             /* the answer was cut off in it */
    const char *id;
    llmux_slice_t phase;        /* messages */
    llmux_responses_said_t *parts, *last;
    llmux_slice_t call_id, name, space;     /* calls */
    int wrapped;                /* a custom tool's call that came as that of
                                 * a function with one member, `input` */
    llmux_buf_t *text;          /* arguments, summary, or base64 */
    llmux_slice_t format;       /* pictures: "png" */
    llmux_buf_t *token;         /* reasoning: as the client has it */
} llmux_responses_output_t;

/* An open block of the answer; used again when it is over. */
typedef struct llmux_responses_block_t {
    struct llmux_responses_block_t *next;
    llmux_block_e kind;
    int key;
    llmux_slice_t phase;
    llmux_responses_output_t *item;     /* not in the list before it says
                                         * something */
    llmux_responses_said_t *part;
    int linked;
} llmux_responses_block_t;

typedef struct llmux_responses_encode_t {
    llmux_encoder_t base;
    apr_pool_t *pool;
    llmux_encode_t how;
    const char *id;
    llmux_slice_t model, tier;
    apr_int64_t created;
    apr_int64_t number;         /* of the next event */
    llmux_usage_t usage;
    llmux_responses_output_t *items, *last;
    llmux_responses_output_t *open;     /* none before it is open */
    int count;                  /* of items */
    llmux_responses_said_t *text;       /* the last one, and where it is */
    llmux_responses_output_t *text_item;
    apr_int64_t points;         /* code points of all texts */
    llmux_responses_block_t *blocks, *unused;
    llmux_responses_block_t *pending;   /* a call not yet told of: its token
                                         * is to stand before it */
    int calls, refused;
    llmux_finish_e finish;
    int begun, finished, ended;
    apr_size_t kept;            /* bytes so far */
    int overflow;               /* they were too many */
} llmux_responses_encode_t;

/* ---- events: nothing is written unless streamed ------------------------ */

/** The response begins: created, in_progress. */
void llmux_responses_say_begin(llmux_responses_encode_t *e, llmux_buf_t *out);

/** An item is new, and says nothing yet; or complete with all that is in
 * it. */
void llmux_responses_say_item(llmux_responses_encode_t *e,
                              const llmux_responses_output_t *item,
                              llmux_buf_t *out);
void llmux_responses_say_item_done(llmux_responses_encode_t *e,
                                   const llmux_responses_output_t *item,
                                   llmux_buf_t *out);

/** A message's part is new, goes on, or is complete. */
void llmux_responses_say_part(llmux_responses_encode_t *e,
                              const llmux_responses_output_t *item,
                              const llmux_responses_said_t *part,
                              llmux_buf_t *out);
void llmux_responses_say_text(llmux_responses_encode_t *e,
                              const llmux_responses_output_t *item,
                              const llmux_responses_said_t *part,
                              llmux_slice_t text, llmux_buf_t *out);
void llmux_responses_say_part_done(llmux_responses_encode_t *e,
                                   const llmux_responses_output_t *item,
                                   const llmux_responses_said_t *part,
                                   llmux_buf_t *out);

/** The part got a source, or log probabilities: the last ones in its lists,
 * from this byte on. */
void llmux_responses_say_cite(llmux_responses_encode_t *e,
                              const llmux_responses_output_t *item,
                              const llmux_responses_said_t *part,
                              apr_size_t from, llmux_buf_t *out);
void llmux_responses_say_logprobs(llmux_responses_encode_t *e,
                                  const llmux_responses_output_t *item,
                                  const llmux_responses_said_t *part,
                                  apr_size_t from, llmux_buf_t *out);

/** More of a summary or of arguments; the summary's beginning, too, if it is
 * the first. */
void llmux_responses_say_more(llmux_responses_encode_t *e,
                              const llmux_responses_output_t *item,
                              llmux_slice_t text, llmux_buf_t *out);

/** How it ends: completed, incomplete or failed. */
void llmux_responses_say_end(llmux_responses_encode_t *e, llmux_buf_t *out);
void llmux_responses_say_error(llmux_responses_encode_t *e,
                               const llmux_error_t *err, llmux_buf_t *out);

/** Opens and closes an event of this type: between the two come its other
 * members. */
llmux_jw_t llmux_responses_event(llmux_responses_encode_t *e,
                                 const char *type, llmux_buf_t *out);
void llmux_responses_event_end(llmux_jw_t *w);

/* ---- JSON -------------------------------------------------------------- */

/** A citation as an annotation of this part. */
void llmux_responses_put_cite(llmux_jw_t *w, const llmux_cite_t *cite,
                              const llmux_responses_said_t *part);

/** An item.
 * @param begun it has just begun, and is in progress */
void llmux_responses_put_item(llmux_jw_t *w,
                              const llmux_responses_output_t *item, int begun);

#endif
