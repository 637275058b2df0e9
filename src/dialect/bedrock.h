/* bedrock.h - what the files of Amazon Bedrock's Converse dialect share. */

#ifndef LLMUX_DIALECT_BEDROCK_H
#define LLMUX_DIALECT_BEDROCK_H

#include "anthropic_request.h"
#include "writer.h"

/* ---- models ---------------------------------------------------------- */

enum {
    LLMUX_BEDROCK_CACHE       = 1 << 0, /* cache points */
    LLMUX_BEDROCK_CACHE_TOOLS = 1 << 1, /* ... among tools too */
    LLMUX_BEDROCK_CACHE_HOUR  = 1 << 2, /* ... that live an hour */
    LLMUX_BEDROCK_THOUGHTS    = 1 << 3, /* takes signed thinking back */
    LLMUX_BEDROCK_FORCED      = 1 << 4, /* can be made to call one tool */
    LLMUX_BEDROCK_SCHEMA      = 1 << 5, /* outputConfig.textFormat */
    LLMUX_BEDROCK_STRICT      = 1 << 6, /* strict tools */
    LLMUX_BEDROCK_SERIAL      = 1 << 7  /* can be told: one call at a time */
};

/* How a model is told something that Converse has no word of its own for. */
typedef enum {
    LLMUX_BEDROCK_UNTOLD,       /* not at all */
    LLMUX_BEDROCK_CLAUDE,
    LLMUX_BEDROCK_NOVA,
    LLMUX_BEDROCK_PLAIN         /* as OpenAI and its like have it */
} llmux_bedrock_way_e;

typedef struct llmux_bedrock_model_t {
    unsigned int can;                   /* LLMUX_BEDROCK_* */
    llmux_bedrock_way_e effort, top_k;
    const llmux_claude_t *claude;       /* of no Claude: what of it may be
                                         * taken for granted anywhere */
} llmux_bedrock_model_t;

/** What the target's model can do, by its name: an id, the id of an inference
 * profile, or an ARN (one without a model's name is a model of no family). */
llmux_bedrock_model_t llmux_bedrock_model(const llmux_target_t *target);

/* ---- a request while it is written ----------------------------------- */

/* The tool by which an answer of a certain form is asked for where no member
 * of the request does it. To call it is to answer. */
#define LLMUX_BEDROCK_ANSWER_TOOL "llmux_final_answer"

typedef enum {
    LLMUX_BEDROCK_NO_TOOLS,
    LLMUX_BEDROCK_TOOLS,        /* the client's */
    LLMUX_BEDROCK_SHOWN,        /* those of the history: none may be called */
    LLMUX_BEDROCK_ANSWER        /* LLMUX_BEDROCK_ANSWER_TOOL */
} llmux_bedrock_tools_e;

typedef struct llmux_bedrock_out_t {
    llmux_writer_t w;               /* all is written by this one */
    llmux_anthropic_request_t r;    /* order and thinking are Anthropic's */
    llmux_bedrock_model_t model;
    llmux_bedrock_tools_e tools;
    apr_hash_t *documents;          /* names that are taken */
    const llmux_json_t *own;        /* what the client says to the model in
                                     * the model's own words, or NULL */
} llmux_bedrock_out_t;

int llmux_bedrock_can(const llmux_bedrock_out_t *o, unsigned int ability);

/** The members `messages` and `system`. */
void llmux_bedrock_messages(llmux_bedrock_out_t *o);

/** Takes thoughts out if the model would refuse them. */
void llmux_bedrock_forget(llmux_bedrock_out_t *o);

/** One medium as a block of content. */
void llmux_bedrock_media(llmux_bedrock_out_t *o, const llmux_media_t *m,
                         const char *param, int index);

/** Will it be a document, which must not stand alone? */
int llmux_bedrock_is_document(const llmux_media_t *m);

/** A cache point of its own, if there is to be one. */
void llmux_bedrock_mark(llmux_bedrock_out_t *o, const char *ttl);

/** A name that a tool can have. */
llmux_slice_t llmux_bedrock_tool_name(llmux_bedrock_out_t *o,
                                      llmux_slice_t name);

/** Which tools there are to be; and writes the member `toolConfig`. */
void llmux_bedrock_choose(llmux_bedrock_out_t *o);
void llmux_bedrock_tools(llmux_bedrock_out_t *o);

/** The member `tool_choice` among the model's own fields, where it says what
 * `toolConfig` cannot. */
void llmux_bedrock_serial(llmux_bedrock_out_t *o);

/* ---- arrows ---------------------------------------------------------- */

/** llmux_dialect_t.write */
const llmux_error_t *llmux_bedrock_write(llmux_buf_t *out,
                                         const llmux_chat_t *chat,
                                         const llmux_target_t *target,
                                         llmux_warnings_t *warnings,
                                         apr_pool_t *scratch);

/** llmux_dialect_t.decoder */
llmux_decoder_t *llmux_bedrock_decoder(apr_pool_t *p, const llmux_env_t *env,
                                       llmux_emit_fn emit, void *baton);

/** llmux_dialect_t.error_read; status 0: not said. */
llmux_error_t *llmux_bedrock_error_read(apr_pool_t *p, int status,
                                        const llmux_json_t *body);

#endif
