/**
 * tokens.h - how many tokens a text or a request is: exactly, by byte-pair
 * encoding, for OpenAI's models; by a rule of thumb for others.
 *
 * No I/O but for the loading. What was loaded is read-only and mapped: all
 * children and threads share it.
 */

#ifndef LLMUX_TOKENS_H
#define LLMUX_TOKENS_H

#include "llmux/dialect.h"

/* Where `make install` puts data/. */
#ifndef LLMUX_DATA_DIR
#define LLMUX_DATA_DIR "/usr/local/share/llmux/data"
#endif

typedef enum {
    LLMUX_ENCODING_NONE,        /* not one that we have */
    LLMUX_ENCODING_CL100K,
    LLMUX_ENCODING_O200K,
    LLMUX_ENCODINGS
} llmux_encoding_e;

typedef struct llmux_tokens_t {
    apr_int64_t count;
    int exact;                  /* the provider will count the same; else it
                                 * is an estimate, and must be called so */
} llmux_tokens_t;

/* ---- texts ------------------------------------------------------------ */

/* The ranks of all encodings. */
typedef struct llmux_bpe_t llmux_bpe_t;

/**
 * Maps the files of data/ until the pool is cleared.
 * @param dir their folder; NULL = LLMUX_DATA_DIR
 * @param why a sentence, if that fails
 * @return NULL on failure; then everything is an estimate
 */
llmux_bpe_t *llmux_bpe_load(apr_pool_t *p, const char *dir, const char **why);

/**
 * A text's tokens. Time grows with the length, whatever the text.
 *
 * Not exact is the count of a text of more than LLMUX_TOKENS_TEXT_MAX bytes,
 * of one that has a word of more than LLMUX_TOKENS_PIECE_MAX, or that is no
 * UTF-8 (each fault is read as U+FFFD). Special tokens such as
 * "<|endoftext|>" are text, as they are to the API.
 *
 * @param bpe NULL: an estimate
 * @param p for scratch
 */
llmux_tokens_t llmux_bpe_count(const llmux_bpe_t *bpe, apr_pool_t *p,
                               llmux_encoding_e encoding, llmux_slice_t text);

/** The rule of thumb: characters weighed by their script. */
apr_int64_t llmux_tokens_estimate(llmux_slice_t text);

/* ---- requests --------------------------------------------------------- */

/**
 * What a request's input will be counted as: messages, prompts of completions
 * or inputs to be embedded.
 *
 * Exact for OpenAI's models, as far as their arithmetic is published or shown
 * by what they report: text, and images that were sent along in those models
 * that count by tiles. Tools, schemas, calls, files and sound, and other
 * vendors' models, make it an estimate.
 *
 * @param bpe NULL: an estimate
 * @param model the provider's name for it
 */
llmux_tokens_t llmux_tokens_of_chat(const llmux_bpe_t *bpe,
                                    const llmux_chat_t *chat,
                                    llmux_slice_t model);

#endif
