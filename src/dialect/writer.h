/**
 * writer.h - writing a provider's request: what dialects share that are much
 * like chat completions, and yet not the same. The counterpart of reader.h.
 *
 * A writer keeps its first error and goes on writing harmlessly, so that the
 * caller looks once at the end.
 */

#ifndef LLMUX_DIALECT_WRITER_H
#define LLMUX_DIALECT_WRITER_H

#include <apr_hash.h>

#include "llmux/dialect.h"

typedef struct llmux_writer_t {
    llmux_jw_t jw;
    const llmux_chat_t *chat;
    const llmux_target_t *target;
    llmux_warnings_t *warnings;
    apr_pool_t *pool;               /* dies with the writing */
    const llmux_error_t *err;       /* the first one, in chat->pool */
    apr_hash_t *offered;            /* tools to choose from; NULL: all */
    apr_hash_t *results;            /* by id; NULL until one is asked for */
    apr_hash_t *taken;              /* results that were, by address */
} llmux_writer_t;

llmux_writer_t llmux_writer(llmux_buf_t *out, const llmux_chat_t *chat,
                            const llmux_target_t *target,
                            llmux_warnings_t *warnings, apr_pool_t *pool);

/** All is written: the first error, and be it that it did not fit. */
const llmux_error_t *llmux_writer_end(llmux_writer_t *w);

/* Writes some members of the request. */
typedef void (*llmux_writer_step_fn)(llmux_writer_t *w);

/** A whole request, for a dialect whose requests are an object with its model
 * at the top and whose servers bear no token: the steps (NULL at their end) in
 * their order, up to the first error. */
const llmux_error_t *llmux_writer_run(llmux_buf_t *out,
                                      const llmux_chat_t *chat,
                                      const llmux_target_t *target,
                                      llmux_warnings_t *warnings,
                                      apr_pool_t *scratch,
                                      const llmux_writer_step_fn *steps);

/** Can the target do this (LLMUX_CAN_*)? */
int llmux_writer_can(const llmux_writer_t *w, unsigned int ability);

/** The target cannot do it and it must not be lost. */
void llmux_writer_refuse(llmux_writer_t *w, const char *param,
                         const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- what none of these APIs has ------------------------------------- */

/** Refuses several answers, answers other than text, and hosted tools. */
void llmux_writer_check(llmux_writer_t *w);

/** Notes all that is lost on the way: the end user, the metadata and so on;
 * not the members in `chat->extra`. */
void llmux_writer_leave_out(llmux_writer_t *w);

/* ---- tools ----------------------------------------------------------- */

/** Are there any that the model may call? */
int llmux_writer_has_tools(const llmux_writer_t *w);

/** Is this one among them? */
int llmux_writer_offers(const llmux_writer_t *w, const llmux_tool_t *tool);

/** Is the tool of this name a custom one? */
int llmux_writer_is_custom(const llmux_chat_t *chat, llmux_slice_t name);

/** The member `tools`, as functions; nothing if there is none to offer. */
void llmux_writer_tools(llmux_writer_t *w);

/* ---- reasoning ------------------------------------------------------- */

/** The effort whose usual budget is the nearest to so many tokens. */
llmux_effort_e llmux_writer_effort(apr_int64_t tokens);

/* ---- the format of the answer ---------------------------------------- */

/** Does any text of the conversation have the word "JSON"? Without it OpenAI
 * refuses to answer in JSON, and others write blanks for ever. */
int llmux_writer_mentions_json(const llmux_chat_t *chat);

/** Is it to be asked for by a member of the request? These APIs take none
 * together with tools. */
int llmux_writer_native_format(const llmux_writer_t *w);

/** System text of ours that asks for it, instead of the member or beside
 * it; NULL for none. */
const char *llmux_writer_format_hint(llmux_writer_t *w);

/** The member `stop` under this name, with so many sequences at most; empty
 * ones are left out. */
void llmux_writer_stops(llmux_writer_t *w, const char *name, int max);

/* ---- messages -------------------------------------------------------- */

/* Kinds of blocks, as bits. */
#define LLMUX_WRITER_BIT(kind) (1u << (kind))

/** The first block of these kinds from here on. */
const llmux_block_t *llmux_writer_next(const llmux_block_t *b,
                                       unsigned int kinds);

/** What a block says in words: texts, refusals, files of text. Absent for
 * all others. */
llmux_slice_t llmux_writer_words(llmux_writer_t *w, const llmux_block_t *b);

/** A message's words as one text, a line break between two blocks, the name
 * of a user in front. Never absent. */
llmux_slice_t llmux_writer_text(llmux_writer_t *w, const llmux_message_t *m);

/** The same of the thoughts in it; absent for none. */
llmux_slice_t llmux_writer_thoughts(llmux_writer_t *w,
                                    const llmux_message_t *m);

/** What goes before the words of a user who has a name: "Al: "; "" for all
 * others, whose name is lost. */
const char *llmux_writer_name(llmux_writer_t *w, const llmux_message_t *m);

/** A call's arguments: always the text of an object. */
llmux_slice_t llmux_writer_args(llmux_writer_t *w, const llmux_call_t *call);

/** The block with the result of this call of message `m`, wherever it
 * stands; NULL if there is none. It counts as taken. */
const llmux_block_t *llmux_writer_result(llmux_writer_t *w,
                                         const llmux_message_t *m,
                                         const llmux_call_t *call);
int llmux_writer_taken(const llmux_writer_t *w, const llmux_block_t *result);

/**
 * A result as one text. Media in it, but for files of text, are appended to
 * `media` (const llmux_block_t *).
 * @param instead what to say in their place, NULL for nothing
 */
llmux_slice_t llmux_writer_result_text(llmux_writer_t *w,
                                       const llmux_result_t *result,
                                       apr_array_header_t *media,
                                       const char *instead);

/** Is it an image that may be sent: by its data, or where `links` is set by
 * its address? Everything else is refused.
 * @param param of its message; the medium may know better */
int llmux_writer_image(llmux_writer_t *w, const llmux_media_t *media,
                       const char *param, int links);

#endif
