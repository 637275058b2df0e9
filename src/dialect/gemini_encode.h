/**
 * gemini_encode.h - what the files that write generateContent's answers share.
 *
 * gemini_encode.c takes the events in and knows candidates and blocks;
 * gemini_encode_chunks.c says them as a stream, gemini_encode_whole.c as one
 * document; gemini_encode_pieces.c holds the JSON that both say alike;
 * gemini_encode_token.c other makers' signatures.
 */

#ifndef LLMUX_GEMINI_ENCODE_H
#define LLMUX_GEMINI_ENCODE_H

#include "gemini.h"

/* ---- state ------------------------------------------------------------ */

/* What a whole answer consists of. Kept to the end. */
typedef struct llmux_gemini_piece_t {
    struct llmux_gemini_piece_t *next;
    llmux_block_e kind;     /* TEXT, THINK, CALL, MEDIA */
    llmux_buf_t *text;      /* CALL and MEDIA: the member as JSON */
    llmux_slice_t sign;
    apr_int64_t from;       /* TEXT: bytes of the answer's text before it */
} llmux_gemini_piece_t;

/* A block of the answer. Kept while it is open, then used again. */
typedef struct llmux_gemini_block_t {
    struct llmux_gemini_block_t *next;
    struct llmux_gemini_cand_t *cand;
    llmux_block_e kind;
    int key;
    int custom;
    int words;              /* a thought: it had some */
    int shown;              /* ... and they were shown */
    llmux_buf_t *id, *name, *args, *sign;   /* of a call */
    int overflow;           /* its arguments were too long */
    int stopped;            /* a call: complete, but one before it is not */
    llmux_gemini_piece_t *piece;            /* whole */
} llmux_gemini_block_t;

/* Where a passage has its sources, in code points. */
typedef struct llmux_gemini_mark_t {
    apr_int64_t start, end;
    int source;
} llmux_gemini_mark_t;

typedef struct llmux_gemini_source_t {
    const char *url, *title;
} llmux_gemini_source_t;

typedef struct llmux_gemini_cand_t {
    int index;
    int said;               /* a part was written */
    int finished, blocked;
    llmux_finish_e finish;
    char word[LLMUX_FINISH_WORD_MAX + 1];   /* the provider's */
    const char *malformed;  /* why a call could not be told, or NULL */

    /* A signature that waits for the part that it is to stand on. */
    llmux_buf_t *sign;
    int sign_key;           /* of its block; -1: none waits */

    /* Streamed: what is held back for the last chunk, since SDKs take one
     * that says nothing for a broken answer. Of text the last character. */
    llmux_buf_t *held;
    llmux_block_e held_kind;
    int holds;

    llmux_gemini_text_t text;
    apr_array_header_t *sources;    /* llmux_gemini_source_t */
    apr_array_header_t *marks;      /* llmux_gemini_mark_t */
    llmux_buf_t *chosen, *tops;     /* log probabilities not yet told */

    llmux_gemini_piece_t *pieces, *last;    /* whole */
} llmux_gemini_cand_t;

typedef struct llmux_gemini_encode_t {
    llmux_encoder_t base;
    apr_pool_t *pool;
    llmux_encode_t how;
    llmux_slice_t tail;     /* of each document: model and id */
    const char *tier;       /* in Google's word, or NULL */
    llmux_usage_t usage;
    llmux_gemini_cand_t **cands;    /* by index, with gaps */
    int room;               /* of them */
    llmux_gemini_block_t *open, *unused;
    apr_size_t args;        /* bytes of arguments held by open calls */
    apr_size_t kept;        /* whole: bytes so far */
    apr_size_t cited;       /* bytes of sources so far */
    int overflow;           /* whole: they were too many */
    int begun;              /* array: the bracket is open */
    int ended;
} llmux_gemini_encode_t;

/* ---- the two forms ---------------------------------------------------- */

/** One event, said as chunks, or kept for the document that END makes. The
 * block is the event's, NULL if there is none. */
void llmux_gemini_chunks(llmux_gemini_encode_t *e, const llmux_event_t *ev,
                         llmux_gemini_block_t *b, llmux_buf_t *out);
void llmux_gemini_whole(llmux_gemini_encode_t *e, const llmux_event_t *ev,
                        llmux_gemini_block_t *b, llmux_buf_t *out);

/* ---- what both ask ---------------------------------------------------- */

/** Are thoughts told at all? */
int llmux_gemini_shows(const llmux_gemini_encode_t *e);

/** What is to become of a thought's token. */
typedef enum {
    LLMUX_GEMINI_SIGN_NOT,      /* nobody could use it */
    LLMUX_GEMINI_SIGN_NEXT,     /* it stands on the next part */
    LLMUX_GEMINI_SIGN_THOUGHT   /* it stands on the thought itself */
} llmux_gemini_sign_e;

llmux_gemini_sign_e llmux_gemini_sign_of(const llmux_gemini_encode_t *e,
                                         const llmux_gemini_block_t *b,
                                         llmux_token_t token);

/** Lets a signature wait; there is none there. */
void llmux_gemini_sign_wait(llmux_gemini_encode_t *e, llmux_gemini_cand_t *c,
                            int key, llmux_slice_t sign);

/** The one that waits, which then does no more; absent if none does. Valid
 * until the next one waits. */
llmux_slice_t llmux_gemini_sign_take(llmux_gemini_cand_t *c);

/** Is it a call that came to nothing? It is not told. */
int llmux_gemini_is_nothing(const llmux_gemini_piece_t *piece);

/** Why the call cannot be told, or NULL. */
const char *llmux_gemini_call_wrong(llmux_gemini_encode_t *e,
                                    const llmux_gemini_block_t *b);

/* ---- pieces ----------------------------------------------------------- */

/** The member `functionCall` of a call that is complete, on one line. */
void llmux_gemini_put_call(llmux_jw_t *w, const llmux_gemini_block_t *b);

/** The member `inlineData`. */
void llmux_gemini_put_inline(llmux_jw_t *w, const llmux_event_t *ev);

/** All members of a candidate behind its content.
 * @param whole offsets count from the piece that they lie in, not from the
 *        beginning of the whole text */
void llmux_gemini_put_finish(llmux_gemini_encode_t *e, llmux_jw_t *w,
                             llmux_gemini_cand_t *c, int whole);

/** `logprobsResult`, if there is any to tell; forgets them. */
void llmux_gemini_put_logprobs(llmux_jw_t *w, llmux_gemini_cand_t *c);

/** Keeps OpenAI's list of them. */
void llmux_gemini_keep_logprobs(llmux_gemini_encode_t *e,
                                llmux_gemini_cand_t *c, llmux_slice_t list);

/** Keeps a source. */
void llmux_gemini_keep_cite(llmux_gemini_encode_t *e, llmux_gemini_cand_t *c,
                            const llmux_cite_t *cite);

/** `promptFeedback`, where no candidate came of it. */
void llmux_gemini_put_blocked(llmux_jw_t *w, const llmux_gemini_cand_t *c);

/** The end of each document: `usageMetadata`, model, id, brace. */
void llmux_gemini_put_tail(const llmux_gemini_encode_t *e, llmux_jw_t *w);

#endif
