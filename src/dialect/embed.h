/**
 * embed.h - what the dialects of embeddings share.
 *
 * embed.c (inputs, tasks, how many at once), embed_decode.c (answers as
 * events), embed_encode.c (events as answers).
 */

#ifndef LLMUX_DIALECT_EMBED_H
#define LLMUX_DIALECT_EMBED_H

#include "llmux/dialect.h"
#include "writer.h"

/* ---- inputs ----------------------------------------------------------- */

/** One of the request's by its number, NULL outside. */
const llmux_input_t *llmux_embed_input(const llmux_chat_t *chat, int i);

/** Walks them: for (in = first(chat); in; in = next(chat, in)). */
const llmux_input_t *llmux_embed_first(const llmux_chat_t *chat);
const llmux_input_t *llmux_embed_next(const llmux_chat_t *chat,
                                      const llmux_input_t *in);

/** Its words, for a target that takes nothing else: numbers in their place
 * and media are refused. */
llmux_slice_t llmux_embed_text(llmux_writer_t *w, const llmux_input_t *in);

/** The words of all inputs, as an array. */
void llmux_embed_texts(llmux_writer_t *w);

/** Numbers in the place of words: only OpenAI knows them. */
void llmux_embed_refuse_tokens(llmux_writer_t *w, const llmux_input_t *in);

/** What a client may say beside OpenAI's members, and others understand: what
 * the inputs are for, and whether they may be cut. */
void llmux_embed_read_extra(llmux_chat_t *chat, llmux_embed_t *embed);

/* ---- what they are for ------------------------------------------------ */

/** The one task of all inputs as Cohere says it. */
const char *llmux_embed_cohere_task(llmux_writer_t *w);

/** The text in the words that say its task, where a model knows no other way;
 * the text itself without a task. In the writer's pool. */
llmux_slice_t llmux_embed_prompt(llmux_writer_t *w, const llmux_input_t *in);

/* What a target can say. */
enum {
    LLMUX_EMBED_TASK  = 1 << 0,
    LLMUX_EMBED_TITLE = 1 << 1,
    LLMUX_EMBED_OURS  = 1 << 2,     /* all that OpenAI's clients say */
    LLMUX_EMBED_OPTIONS = 1 << 3    /* how Ollama is to run a model */
};

/** Is it a member that Ollama's users send along? */
int llmux_embed_is_option(const llmux_extra_t *e);

/** Notes what is lost: all that is not in this mask. */
void llmux_embed_leave_out(llmux_writer_t *w, unsigned int can);

/* ---- decoding --------------------------------------------------------- */

typedef struct llmux_embed_decoder_t llmux_embed_decoder_t;

/* How a dialect answers. */
typedef struct llmux_embed_answer_t {
    /* How deep the index goes: the numbers themselves lie deeper, and there
     * may be millions. 0: all. */
    int depth;
    /* Emits START, VECTORs and USAGE by the functions below. */
    void (*read)(llmux_embed_decoder_t *d, const llmux_json_t *body);
    llmux_error_t *(*error_read)(apr_pool_t *p, int status,
                                 const llmux_json_t *body);
} llmux_embed_answer_t;

struct llmux_embed_decoder_t {
    llmux_decoder_t base;
    const llmux_embed_answer_t *answer;
    int count;                      /* vectors that were emitted */
};

llmux_decoder_t *llmux_embed_decoder(apr_pool_t *p, const llmux_env_t *env,
                                     llmux_emit_fn emit, void *baton,
                                     const llmux_embed_answer_t *answer);

/** START; either may be NULL. */
void llmux_embed_start(llmux_embed_decoder_t *d, const llmux_json_t *id,
                       const llmux_json_t *model);

/** VECTOR of input `cand`: an array of numbers, or base64. */
void llmux_embed_vector(llmux_embed_decoder_t *d, int cand,
                        const llmux_json_t *v);

/** The same where base64 holds signed bytes. */
void llmux_embed_vector_of_bytes(llmux_embed_decoder_t *d, int cand,
                                 const llmux_json_t *v);

/** One VECTOR for each element, in their order. */
void llmux_embed_vectors(llmux_embed_decoder_t *d, const llmux_json_t *list);

/** USAGE; nothing for a negative number. */
void llmux_embed_usage(llmux_embed_decoder_t *d, apr_int64_t input);

/* ---- encoding --------------------------------------------------------- */

/* All that was said, when END comes. */
typedef struct llmux_embed_said_t {
    llmux_slice_t model;            /* never absent */
    const apr_array_header_t *vectors;  /* llmux_slice_t, by input: a JSON
                                         * value; absent for one that never
                                         * came */
    apr_int64_t input;              /* tokens, -1 = not reported */
} llmux_embed_said_t;

typedef void (*llmux_embed_write_fn)(llmux_jw_t *w,
                                     const llmux_embed_said_t *said);

/** @param base64 1: so shall all vectors be; 0: arrays; -1: as they come */
llmux_encoder_t *llmux_embed_encoder(apr_pool_t *p, const llmux_encode_t *how,
                                     int base64, llmux_embed_write_fn write);

#endif
