/**
 * openai_decode.h - what the files that read chat completions' answers share.
 *
 * openai_decode.c takes payloads apart and sees to their end,
 * openai_decode_parts.c reads what a message says, openai_decode_calls.c the
 * calls in it, openai_decode_sources.c what is cited beside it.
 */

#ifndef LLMUX_OPENAI_DECODE_H
#define LLMUX_OPENAI_DECODE_H

#include "openai_answer.h"

/* ---- state ----------------------------------------------------------- */

/* A tool call in the making. Its BLOCK_START waits for the name; arguments
 * and token that come earlier are held. */
typedef struct llmux_openai_call_t {
    struct llmux_openai_call_t *next;   /* the one begun before it */
    apr_int64_t index;          /* as the server numbers it */
    int key;                    /* once started */
    int started, custom;
    llmux_slice_t id, name;
    llmux_buf_t *held;          /* arguments, NULL for none */
    llmux_token_t token;
} llmux_openai_call_t;

/* A candidate. At most one block that is no call is open at a time. */
typedef struct llmux_openai_cand_t {
    int index;
    int open;                   /* is there such a block? */
    llmux_block_e block;
    int key;
    apr_int64_t detail;         /* think: its number among the details */
    llmux_openai_call_t *calls; /* the latest first */
    int spoke, called, refused; /* text or an image, a call, a refusal was
                                 * emitted */
    int cited;                  /* within the message */
    int finished;
    llmux_finish_e finish;
    llmux_slice_t reason, stop;
    llmux_buf_t *changed;       /* the reason, when it is not the first */
} llmux_openai_cand_t;

typedef struct llmux_openai_decode_t {
    llmux_decoder_t base;
    llmux_openai_cand_t **choices;  /* by index, with gaps */
    int room, places;           /* of them: made, in use */
    int keys;                   /* blocks so far */
    int ncalls;                 /* calls so far, started or not */
    apr_size_t held;            /* bytes of arguments, ids and names kept */
    int is_whole;
    llmux_usage_t usage;
    llmux_buf_t *sources;       /* the latest list of them; NULL for none */
} llmux_openai_decode_t;

/* ---- reading --------------------------------------------------------- */

/** A string; a member that is one. They live as long as the payload. */
static inline llmux_slice_t str(llmux_openai_decode_t *d,
                                const llmux_json_t *v)
{
    return llmux_json_str(d->base.scratch, v);
}

static inline llmux_slice_t member(llmux_openai_decode_t *d,
                                   const llmux_json_t *v, const char *name)
{
    return str(d, llmux_json_get(v, name));
}

/** Same, but "" is absent. */
static inline llmux_slice_t filled(llmux_slice_t s)
{
    static const llmux_slice_t none = { NULL, 0 };

    return s.len ? s : none;
}

/** Absent or without characters. */
static inline int empty(llmux_slice_t s)
{
    return !s.data || !s.len;
}

/** The answer is no good. */
static inline void bad(llmux_openai_decode_t *d, const char *message)
{
    llmux_decoder_fail(&d->base, LLMUX_ERR_BAD_UPSTREAM, message);
}

/** Counts bytes that are kept as long as the answer lasts.
 * @return 0 if they are too many, and the answer failed */
int llmux_openai_decode_keep(llmux_openai_decode_t *d, apr_size_t n);

/** Keeps the first that says something; many servers repeat it. */
void llmux_openai_decode_keep_first(llmux_openai_decode_t *d,
                                    llmux_slice_t *to, llmux_slice_t s);

/* ---- events ---------------------------------------------------------- */

/** An event of this text, or with this token; nothing when it is empty. */
void llmux_openai_decode_text(llmux_openai_decode_t *d,
                              llmux_openai_cand_t *c, llmux_event_e kind,
                              int key, llmux_slice_t text);
void llmux_openai_decode_token(llmux_openai_decode_t *d,
                               llmux_openai_cand_t *c, int key,
                               llmux_token_t token);

/** A BLOCK_START, unless there were too many; a BLOCK_STOP. */
void llmux_openai_decode_start(llmux_openai_decode_t *d,
                               const llmux_event_t *ev);
void llmux_openai_decode_stop(llmux_openai_decode_t *d,
                              llmux_openai_cand_t *c, int key);

/** Ends the open block that is no call, if there is one. */
void llmux_openai_decode_close(llmux_openai_decode_t *d,
                               llmux_openai_cand_t *c);

/* ---- a message ------------------------------------------------------- */

/** Its reasoning, its content with all that goes with it, its calls. */
void llmux_openai_decode_reasoning(llmux_openai_decode_t *d,
                                   llmux_openai_cand_t *c,
                                   const llmux_json_t *message);
void llmux_openai_decode_content(llmux_openai_decode_t *d,
                                 llmux_openai_cand_t *c,
                                 const llmux_json_t *message,
                                 const llmux_json_t *choice);
void llmux_openai_decode_calls(llmux_openai_decode_t *d,
                               llmux_openai_cand_t *c,
                               const llmux_json_t *message);

/* A call, or a piece of one. Values may be NULL. */
typedef struct llmux_openai_fragment_t {
    apr_int64_t index;          /* as the server numbers it; -1 = not */
    int custom;
    const llmux_json_t *id, *name, *args, *extra;
} llmux_openai_fragment_t;

void llmux_openai_decode_fragment(llmux_openai_decode_t *d,
                                  llmux_openai_cand_t *c,
                                  const llmux_openai_fragment_t *f);

/** What the answer rests on, by a list beside its choices: kept, and told at
 * the end of a candidate's text. */
void llmux_openai_decode_note_sources(llmux_openai_decode_t *d,
                                      const llmux_json_t *body);
void llmux_openai_decode_emit_sources(llmux_openai_decode_t *d,
                                      const llmux_openai_cand_t *c);

/** Texts, where there is nothing else. */
void llmux_openai_decode_said(llmux_openai_decode_t *d,
                              llmux_openai_cand_t *c,
                              llmux_slice_t reasoning, llmux_slice_t text,
                              llmux_slice_t refusal);

/** Ends all calls of the candidate. */
void llmux_openai_decode_close_calls(llmux_openai_decode_t *d,
                                     llmux_openai_cand_t *c);

#endif
