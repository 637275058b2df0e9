/**
 * openai.h - the request side of OpenAI's chat completions.
 *
 * The files: openai_read.c (top-level members), openai_messages.c (the list
 * of messages), openai_parts.c (what they consist of), openai_media.c (media
 * in them), openai_write.c, openai_write_messages.c and openai_write_parts.c
 * (the way back), openai_edit.c and openai_edit_tokens.c (bytes that pass).
 */

#ifndef LLMUX_DIALECT_OPENAI_H
#define LLMUX_DIALECT_OPENAI_H

#include "llmux/seal.h"

#include "reader.h"

/* ---- the dialect's two arrows ---------------------------------------- */

const llmux_error_t *llmux_openai_read(llmux_chat_t *chat,
                                       const llmux_json_t *body);

const llmux_error_t *llmux_openai_write(llmux_buf_t *out,
                                        const llmux_chat_t *chat,
                                        const llmux_target_t *target,
                                        llmux_warnings_t *warnings,
                                        apr_pool_t *scratch);

/** Bytes that pass: see head() and edit() in dialect.h. In streams usage is
 * asked for, or `stream_options` taken out where they are unknown;
 * `max_completion_tokens` and the role developer go under their older names
 * where a target knows only these. */
const llmux_error_t *llmux_openai_head(apr_pool_t *p,
                                       llmux_json_parser_t *parser,
                                       llmux_slice_t body,
                                       llmux_head_t *head);
void llmux_openai_edit(llmux_buf_t *out, apr_pool_t *scratch,
                       const llmux_head_t *head, llmux_slice_t body,
                       const llmux_target_t *target,
                       llmux_warnings_t *w);

struct llmux_edits_t;

/** ... and in openai_edit_tokens.c: tokens that we sealed go to the server
 * that made them as he spelled them, and to nobody else. */
void llmux_openai_edit_tokens(struct llmux_edits_t *edits,
                              apr_pool_t *scratch, const llmux_head_t *head,
                              const llmux_target_t *target);

/* ---- reading --------------------------------------------------------- */

/* Whose content it is, for what may stand in it. */
typedef enum {
    LLMUX_OPENAI_OF_SYSTEM    = 1 << 0,
    LLMUX_OPENAI_OF_USER      = 1 << 1,
    LLMUX_OPENAI_OF_ASSISTANT = 1 << 2,
    LLMUX_OPENAI_OF_TOOL      = 1 << 3
} llmux_openai_of_e;

/** Is this a member of a chat's request? */
int llmux_openai_knows(const llmux_json_t *name);

/** All of `messages`. */
void llmux_openai_read_messages(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *messages);

/* A kind of part. */
typedef struct llmux_openai_part_t {
    const char *type;       /* NULL behind the last */
    unsigned int of;        /* LLMUX_OPENAI_OF_*: in whose content */
    void (*read)(llmux_reader_t *r, const llmux_at_t *at,
                 const llmux_json_t *part, llmux_message_t *m);
} llmux_openai_part_t;

/** Content, a string or a list of these parts: appends blocks to `m`. */
void llmux_openai_read_parts(llmux_reader_t *r, const llmux_at_t *at,
                             const llmux_json_t *content,
                             llmux_openai_of_e of,
                             const llmux_openai_part_t *parts,
                             llmux_message_t *m);

/** The same with the parts of chat completions. */
void llmux_openai_read_content(llmux_reader_t *r, const llmux_at_t *at,
                               const llmux_json_t *content,
                               llmux_openai_of_e of, llmux_message_t *m);

/** The cache marker of a part, message or tool: "5m", "1h" or NULL. */
const char *llmux_openai_read_marker(llmux_reader_t *r, const llmux_at_t *at,
                                     const llmux_json_t *object);

/* ---- reading media, here and in Responses ----------------------------- */

/** Appends a block to `m` for what stands at `at`. */
llmux_media_t *llmux_openai_media_add(llmux_reader_t *r, const llmux_at_t *at,
                                      llmux_message_t *m, llmux_media_e kind);

/** A string that is a link or a data URL. */
void llmux_openai_media_url(llmux_reader_t *r, const llmux_at_t *at,
                            const llmux_json_t *v, llmux_media_t *media);

/** A string that is a data URL or bare base64; where `links` is set, it may
 * be a link too. */
void llmux_openai_media_data(llmux_reader_t *r, const llmux_at_t *at,
                             const llmux_json_t *v, llmux_media_t *media,
                             int links);

/** The member `detail`. */
void llmux_openai_media_detail(llmux_reader_t *r, const llmux_at_t *at,
                               const llmux_json_t *image,
                               llmux_media_t *media);

/** Type and kind, once all is read. Clients often name the wrong type: what
 * the bytes show wins. A file (kind OTHER) that has no type at all gets the
 * one of its name. */
void llmux_openai_media_settle(llmux_media_t *media);

/** "mp3" -> "audio/mpeg" and back; NULL for what has no name there. */
const char *llmux_openai_audio_type(llmux_slice_t format);
const char *llmux_openai_audio_format(llmux_slice_t type);

/* ---- writing --------------------------------------------------------- */

/* One request being written. Keeps its first error. */
typedef struct llmux_openai_out_t {
    llmux_jw_t jw;
    const llmux_chat_t *chat;
    const llmux_target_t *target;
    llmux_warnings_t *warnings;
    apr_pool_t *pool;               /* dies with the writing */
    const llmux_error_t *err;       /* in chat->pool */
} llmux_openai_out_t;

/** Can the target do this (LLMUX_CAN_*)? */
int llmux_openai_can(const llmux_openai_out_t *o, unsigned int ability);

/** Says no to a medium, unless there was an error before.
 * @param param of its message; the medium may know better
 * @param what "a file" */
void llmux_openai_refuse(llmux_openai_out_t *o, const llmux_media_t *media,
                         const char *param, const char *what);

/** One part: a text or a medium, and its cache marker. */
void llmux_openai_write_part(llmux_openai_out_t *o, const llmux_block_t *b,
                             const char *param);

/** A part of this text; the same without its braces. */
void llmux_openai_write_text_part(llmux_openai_out_t *o, llmux_slice_t text);
void llmux_openai_write_text(llmux_openai_out_t *o, llmux_slice_t text);

/** Is the block marked for the cache, and does the target know that? The
 * member that says so. */
int llmux_openai_marked(const llmux_openai_out_t *o, const llmux_block_t *b);
void llmux_openai_write_marker(llmux_openai_out_t *o);

/** The value of `messages`.
 * @param hint system text of ours to go behind the client's, or NULL */
void llmux_openai_write_messages(llmux_openai_out_t *o, const char *hint);

#endif
