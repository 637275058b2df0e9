/**
 * responses_decode.h - what the files that read Responses' answers share.
 *
 * responses_decode.c takes payloads apart and sees to their end,
 * responses_decode_items.c knows the items of the output and which was meant,
 * responses_decode_parts.c says what is in them.
 *
 * The API says everything several times: in pieces, as the whole text, in its
 * part, in its item, in the answer; and compatible servers leave out any of
 * these. So what was said of each text is remembered, by its length and a
 * hash, and each repetition is asked for what is missing.
 */

#ifndef LLMUX_DIALECT_RESPONSES_DECODE_H
#define LLMUX_DIALECT_RESPONSES_DECODE_H

#include "llmux/dialect.h"

/* Parts of all items of one answer. */
#define LLMUX_RESPONSES_PARTS_MAX 1024

/* A message's phase; a longer word is left out. */
#define LLMUX_RESPONSES_PHASE_MAX 63

/* ---- state ----------------------------------------------------------- */

/* How much of a text was said, and what it was (FNV-1a). */
typedef struct llmux_responses_told_t {
    apr_size_t len;
    apr_uint64_t hash;
} llmux_responses_told_t;

/* A piece of a message's content (then it is a block), of a summary or of
 * the reasoning itself (then it is a piece of its item's block). */
typedef struct llmux_responses_part_t {
    struct llmux_responses_part_t *next;    /* rising index */
    apr_int64_t index;          /* the API's */
    llmux_responses_told_t said;
    llmux_block_e block;
    int key, open;              /* key -1: it never was */
    apr_int64_t start;          /* text: code points before it */
    int cites, logprobs;        /* told so far */
} llmux_responses_part_t;

typedef enum {
    LLMUX_ITEM_MESSAGE, LLMUX_ITEM_REASONING, LLMUX_ITEM_CALL,
    LLMUX_ITEM_CUSTOM, LLMUX_ITEM_IMAGE,
    LLMUX_ITEM_KINDS            /* and others, of no use to a client */
} llmux_responses_kind_e;

typedef struct llmux_responses_item_t {
    struct llmux_responses_item_t *next;    /* the one that began before it */
    llmux_responses_kind_e kind;
    apr_int64_t index;          /* place in the output; -1 = not said */
    apr_uint64_t id;            /* its hash; 0 = not said */
    llmux_slice_t phase;        /* messages */
    int announced, done;        /* its beginning, its end was told */
    int recalled;               /* found in the whole output */
    llmux_responses_part_t *content, *summary;
    const llmux_responses_part_t *spoke;    /* reasoning: the last to speak */
    int key, open;              /* block of anything but messages */
    int began;                  /* calls: its name is known */
    int told;                   /* its token or picture was */
    llmux_responses_told_t args;
} llmux_responses_item_t;

typedef struct llmux_responses_decode_t {
    llmux_decoder_t base;
    llmux_responses_item_t *items;          /* the latest first */
    int count, seen[LLMUX_ITEM_KINDS];
    int parts, keys;
    apr_int64_t points;         /* code points of text so far */
    const llmux_responses_item_t *spoke;    /* the last message with text */
    int called, refused;        /* a call, a refusal was emitted */
    llmux_slice_t id;           /* the item's, as this payload has it */
    llmux_usage_t usage;
} llmux_responses_decode_t;

/* ---- reading --------------------------------------------------------- */

/** A member that is a string; it lives as long as the payload. */
static inline llmux_slice_t member(llmux_responses_decode_t *d,
                                   const llmux_json_t *v, const char *name)
{
    return llmux_json_str(d->base.scratch, llmux_json_get(v, name));
}

static inline void bad(llmux_responses_decode_t *d, const char *message)
{
    llmux_decoder_fail(&d->base, LLMUX_ERR_BAD_UPSTREAM, message);
}

/** FNV-1a of more bytes; begin with LLMUX_RESPONSES_HASH. */
#define LLMUX_RESPONSES_HASH APR_UINT64_C(14695981039346656037)
apr_uint64_t llmux_responses_hash(apr_uint64_t h, llmux_slice_t s);

/* ---- items ----------------------------------------------------------- */

/** The item that an event means, made if it is new; NULL and the answer
 * failed if there are too many. */
llmux_responses_item_t *llmux_responses_item(llmux_responses_decode_t *d,
                                             const llmux_json_t *event,
                                             llmux_responses_kind_e kind);

/** Events that carry a whole item: its beginning, its end. */
void llmux_responses_item_added(llmux_responses_decode_t *d,
                                const llmux_json_t *event);
void llmux_responses_item_done(llmux_responses_decode_t *d,
                               const llmux_json_t *event);

/** The whole output: says what was not said before, and ends every item. */
void llmux_responses_output(llmux_responses_decode_t *d,
                            const llmux_json_t *output);

/** The part with this number, made if it is new; NULL and the answer failed
 * if there are too many. */
llmux_responses_part_t *llmux_responses_part(llmux_responses_decode_t *d,
                                             llmux_responses_part_t **list,
                                             apr_int64_t index,
                                             llmux_block_e block);

/* ---- what they say --------------------------------------------------- */

/** A further piece of text, refusal, thought or arguments. */
void llmux_responses_speak(llmux_responses_decode_t *d,
                           llmux_responses_item_t *item,
                           llmux_responses_part_t *part, llmux_slice_t text);
void llmux_responses_think(llmux_responses_decode_t *d,
                           llmux_responses_item_t *item,
                           llmux_responses_part_t *part, llmux_slice_t text);
void llmux_responses_args(llmux_responses_decode_t *d,
                          llmux_responses_item_t *item, llmux_slice_t text);

/** What is missing of this whole text; absent if nothing is, or if it is
 * another text. */
llmux_slice_t llmux_responses_unsaid(const llmux_responses_told_t *said,
                                     llmux_slice_t whole);

/** All of a part of a message ({"type","text","annotations",...}). */
void llmux_responses_complete(llmux_responses_decode_t *d,
                              llmux_responses_item_t *item,
                              llmux_responses_part_t *part,
                              const llmux_json_t *v);

/** Log probabilities, all of them or (`more`) further ones. */
void llmux_responses_logprobs(llmux_responses_decode_t *d,
                              llmux_responses_part_t *part,
                              const llmux_json_t *list, int more);

/** A citation. */
void llmux_responses_cite(llmux_responses_decode_t *d,
                          llmux_responses_item_t *item,
                          llmux_responses_part_t *part,
                          const llmux_json_t *v);

/** Begins a call, if all is known that it takes.
 * @param last this is all there will be */
void llmux_responses_begin_call(llmux_responses_decode_t *d,
                                llmux_responses_item_t *item,
                                const llmux_json_t *v, int last);

/** What only a whole item has: encrypted reasoning, a picture. */
void llmux_responses_token(llmux_responses_decode_t *d,
                           llmux_responses_item_t *item,
                           llmux_slice_t bytes);
void llmux_responses_image(llmux_responses_decode_t *d,
                           llmux_responses_item_t *item,
                           const llmux_json_t *v);

/** Ends a part's block, an item's and those of its parts, if open. */
void llmux_responses_close_part(llmux_responses_decode_t *d,
                                llmux_responses_part_t *part);
void llmux_responses_close(llmux_responses_decode_t *d,
                           llmux_responses_item_t *item);

#endif
