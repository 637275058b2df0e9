/* bpe.h - mapped ranks, and what the files of this folder share. */

#ifndef LLMUX_TOKENS_BPE_H
#define LLMUX_TOKENS_BPE_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "llmux/tokens.h"

#define LLMUX_RANK_NONE 0xffffffffu

/* One encoding: a file of data/, see README.md there. */
typedef struct llmux_ranks_t {
    const unsigned char *offsets;   /* buckets + 1 of them, 32 bits each */
    const unsigned char *entries;
    apr_uint32_t size;              /* of the entries, in bytes */
    apr_uint32_t mask;              /* buckets - 1 */
    apr_uint32_t longest;           /* token, in bytes */
    pcre2_code *pattern;            /* cuts a text into pieces */
} llmux_ranks_t;

struct llmux_bpe_t {
    llmux_ranks_t encodings[LLMUX_ENCODINGS];
    pcre2_match_context *limits;
};

/** The token's rank, LLMUX_RANK_NONE if it is none. */
apr_uint32_t llmux_ranks_find(const llmux_ranks_t *r, const char *token,
                              apr_size_t len);

/** Lets PCRE2 take its memory from a pool, which does not fail and has none
 * back before it is cleared. */
pcre2_general_context *llmux_pcre2_of_pool(apr_pool_t *p);

/** Prepares the pattern of an encoding. 0 = failed. */
int llmux_pattern_compile(llmux_ranks_t *r, apr_pool_t *p,
                          llmux_encoding_e encoding);

/* ---- merging ----------------------------------------------------------- */

/* A pair of neighbours that could be merged: rank, and where it begins. */
typedef apr_uint64_t llmux_pair_t;

/* Scratch for one piece after the other. */
typedef struct llmux_merge_t {
    apr_pool_t *pool;
    apr_uint32_t room;          /* bytes of the longest piece so far */
    apr_uint16_t *next, *prev;  /* of the part that begins there */
    apr_uint32_t *rank;         /* of the part and its next in one */
    llmux_pair_t *heap;
    apr_uint32_t pairs;         /* in the heap */
} llmux_merge_t;

/** The number of tokens of a piece, 1 to LLMUX_TOKENS_PIECE_MAX bytes. */
apr_uint32_t llmux_merge_count(llmux_merge_t *m, const llmux_ranks_t *r,
                               const char *piece, apr_size_t len);

/* ---- counting ---------------------------------------------------------- */

/* Adds up the texts of one request. */
typedef struct llmux_counter_t {
    const llmux_bpe_t *bpe;
    const llmux_ranks_t *ranks;     /* NULL: estimates */
    apr_pool_t *pool;
    apr_size_t left;                /* bytes that may still be encoded */
    llmux_merge_t merge;
    pcre2_match_data *match;
    llmux_tokens_t sum;
} llmux_counter_t;

/** @param p scratch, as long as the counter */
void llmux_counter_init(llmux_counter_t *c, const llmux_bpe_t *bpe,
                        apr_pool_t *p, llmux_encoding_e encoding);

/** Adds a text's tokens to `sum`. */
void llmux_counter_add(llmux_counter_t *c, llmux_slice_t text);

#endif
