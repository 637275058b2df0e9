/* gemini.h - what the files of the Gemini dialect share among themselves. */

#ifndef LLMUX_GEMINI_H
#define LLMUX_GEMINI_H

#include "llmux/seal.h"

#include "gemini_model.h"

/* ---- a client's request ------------------------------------------------ */

/** Does the server fetch this by itself, and know what it is? */
int llmux_gemini_takes_url(const llmux_media_t *media,
                           const llmux_target_t *target);

/** llmux_dialect_t.head and .edit. The path has the model and says whether to
 * stream; a `model` in the body counts where there is no path. Bytes pass but
 * for that member, and for what a model that insists on signatures would
 * refuse: other makers' go, calls without any get the word for that. */
const llmux_error_t *llmux_gemini_head(apr_pool_t *p,
                                       llmux_json_parser_t *parser,
                                       llmux_slice_t body,
                                       llmux_head_t *head);
void llmux_gemini_edit(llmux_buf_t *out, apr_pool_t *scratch,
                       const llmux_head_t *head, llmux_slice_t body,
                       const llmux_target_t *target,
                       llmux_warnings_t *w);

/** Google's APIs name a model "models/..." in a body: takes the front off. */
void llmux_gemini_bare_model(llmux_head_t *head);

/** llmux_dialect_t.read: gemini_read.h */
const llmux_error_t *llmux_gemini_read(llmux_chat_t *chat,
                                       const llmux_json_t *body);

/** llmux_dialect_t.encoder: gemini_encode.h */
llmux_encoder_t *llmux_gemini_encoder(apr_pool_t *p,
                                      const llmux_encode_t *how);

/** llmux_dialect_t.error_write */
void llmux_gemini_error_write(llmux_buf_t *out, const llmux_error_t *err,
                              const char *request_id);

/** llmux_dialect_t.error_status */
int llmux_gemini_error_status(const llmux_error_t *err);

/* ---- signatures --------------------------------------------------------
 *
 * `thoughtSignature` has room for bytes as base64, and for no word on who made
 * them. So what is not Gemini's goes under a seal, all of it in base64: clients
 * decode the member and encode it anew.
 */

/* What Google accepts in place of a signature that does not exist. */
#define LLMUX_GEMINI_NO_SIGNATURE "skip_thought_signature_validator"

/** Whose is it? MAKER_NONE for what stands in place of one, too. */
llmux_token_t llmux_gemini_token_open(llmux_chat_t *chat,
                                      llmux_slice_t signature);

/** The token as a signature: Gemini's own as it is, another's sealed, in `p`;
 * MAKER_NONE if it cannot be. */
llmux_token_t llmux_gemini_token_close(apr_pool_t *p,
                                       const llmux_encode_t *how,
                                       const llmux_token_t *token);

/* ---- writing a request ----------------------------------------------- */

/* Everything that a part of the request is written from and to. */
typedef struct llmux_gemini_out_t {
    llmux_jw_t w;
    const llmux_chat_t *chat;
    const llmux_target_t *target;
    const llmux_gemini_model_t *model;
    llmux_warnings_t *warn;
    apr_pool_t *scratch;
    int schema_nodes;           /* of LLMUX_SCHEMA_NODES_MAX */
} llmux_gemini_out_t;

/** llmux_dialect_t.write */
const llmux_error_t *llmux_gemini_write(llmux_buf_t *out,
                                        const llmux_chat_t *chat,
                                        const llmux_target_t *target,
                                        llmux_warnings_t *w,
                                        apr_pool_t *scratch);

/** The members `systemInstruction` and `contents`. */
const llmux_error_t *llmux_gemini_contents(llmux_gemini_out_t *o);

/** The members `tools` and `toolConfig`. */
const llmux_error_t *llmux_gemini_tools(llmux_gemini_out_t *o);

/** The member `generationConfig`. */
const llmux_error_t *llmux_gemini_config(llmux_gemini_out_t *o);

/** One part with a picture, a sound, a document.
 * @param param where the client put it, unless the medium says it */
const llmux_error_t *llmux_gemini_media(llmux_gemini_out_t *o,
                                        const llmux_media_t *media,
                                        const char *param);

/**
 * A schema as the member `json_name`, or `name` where the model takes only
 * the small OpenAPI subset.
 * @param param where the client put it
 */
const llmux_error_t *llmux_gemini_put_schema(llmux_gemini_out_t *o,
                                             const char *json_name,
                                             const char *name,
                                             llmux_slice_t schema,
                                             const char *param);

/**
 * JSON Schema said in the subset that old models take.
 * @param nodes how much of LLMUX_SCHEMA_NODES_MAX is used up by all schemas
 *        of the request, kept up here
 * @param out the JSON text, in `p`
 * @return NULL, or why it cannot be said (static words)
 */
const char *llmux_gemini_schema(apr_pool_t *p, llmux_slice_t schema,
                                int *nodes, llmux_slice_t *out);

/* ---- reading an answer ----------------------------------------------- */

/** llmux_dialect_t.decoder */
llmux_decoder_t *llmux_gemini_decoder(apr_pool_t *p, const llmux_env_t *env,
                                      llmux_emit_fn emit, void *baton);

/* Usage as reported, last value of each; -1 = never. */
typedef struct llmux_gemini_counts_t {
    apr_int64_t prompt, cached, tools, candidates, thoughts;
    apr_int64_t audio_prompt, audio_candidates;
} llmux_gemini_counts_t;

/** Takes what a `usageMetadata` reports. */
void llmux_gemini_count(apr_pool_t *p, llmux_gemini_counts_t *n,
                        const llmux_json_t *usage);

/** The same in disjoint counters. */
llmux_usage_t llmux_gemini_usage(const llmux_gemini_counts_t *n);

/** The tier of a `usageMetadata` in OpenAI's spelling; absent if unknown. */
llmux_slice_t llmux_gemini_tier(apr_pool_t *p, const llmux_json_t *usage);

/** "2026-07-22T23:37:37.029264Z" in seconds, 0 if it is no such time. */
apr_int64_t llmux_gemini_seconds(const char *text);

/** What a `finishReason` means; of calls it says STOP. */
llmux_finish_e llmux_gemini_finish(const char *word);

/** llmux_dialect_t.error_read; status 0 takes the body's own code. */
llmux_error_t *llmux_gemini_error_read(apr_pool_t *p, int status,
                                       const llmux_json_t *body);

/* Where code points begin in a text that is not kept itself, one bit for each
 * byte: citations come with offsets in bytes. */
typedef struct llmux_gemini_text_t {
    llmux_buf_t *begins;    /* whole bytes of such bits */
    unsigned char bits;     /* the last bits, less than eight */
    apr_int64_t bytes;      /* of text so far */
} llmux_gemini_text_t;

void llmux_gemini_text_init(llmux_gemini_text_t *t, apr_pool_t *p);

/** The text goes on with this. */
void llmux_gemini_text_add(llmux_gemini_text_t *t, llmux_slice_t text);

/** Code points before this byte; -1 when it lies outside of the text, or
 * beyond LLMUX_CITED_TEXT_MAX. */
apr_int64_t llmux_gemini_text_points(const llmux_gemini_text_t *t,
                                     apr_int64_t byte);

/** `logprobsResult` as the JSON array that OpenAI has; absent for none. */
llmux_slice_t llmux_gemini_logprobs(apr_pool_t *p, const llmux_json_t *result);

/* Arguments of one call that arrive as values at JSON paths. */
typedef struct llmux_gemini_partial_t llmux_gemini_partial_t;

/**
 * A new one. It frees itself with `p`.
 * @param used how much of LLMUX_ARGS_MAX is used up: shared by all calls of
 *        an answer, kept up by the functions below
 */
llmux_gemini_partial_t *llmux_gemini_partial_create(apr_pool_t *p,
                                                    apr_size_t *used);

/** Empties it for the next call, giving its memory back. */
void llmux_gemini_partial_reset(llmux_gemini_partial_t *a);

/** Takes what came whole: an object of arguments to begin with.
 * @return NULL, or what is wrong with it (static words) */
const char *llmux_gemini_partial_whole(llmux_gemini_partial_t *a,
                                       const llmux_json_t *args);

/**
 * Takes one element of `partialArgs`.
 * @return NULL, or what is wrong with it (static words)
 */
const char *llmux_gemini_partial_add(llmux_gemini_partial_t *a,
                                     apr_pool_t *scratch,
                                     const llmux_json_t *fragment);

/**
 * The arguments as the text of an object.
 * @param out valid until the next change
 * @return NULL, or what is wrong with them (static words)
 */
const char *llmux_gemini_partial_text(llmux_gemini_partial_t *a,
                                      apr_pool_t *scratch,
                                      llmux_slice_t *out);

#endif
