/**
 * dialect.h - wire formats: four arrows each, over one canonical request and
 * one vocabulary of events.
 *
 *     read     a client's request body           -> llmux_chat_t
 *     write    llmux_chat_t                      -> a provider's request body
 *     decode   a provider's bytes, cut anywhere  -> events
 *     encode   events                            -> the client's bytes
 *
 * No function here does I/O or keeps a loop. Objects belong to one request
 * and one thread at a time; memory is the pool's that they were made in.
 * Slices in a request point into the client's body or its pool and live as
 * long as the exchange; slices in an event die when the callback returns.
 */

#ifndef LLMUX_DIALECT_H
#define LLMUX_DIALECT_H

#include "llmux/core.h"

/* ---- the canonical request ------------------------------------------- */

typedef enum {
    LLMUX_ROLE_SYSTEM,      /* system and developer, anywhere in the list */
    LLMUX_ROLE_USER,        /* tool results are blocks of user messages */
    LLMUX_ROLE_ASSISTANT
} llmux_role_e;

typedef enum {
    LLMUX_BLOCK_TEXT,       /* text */
    LLMUX_BLOCK_MEDIA,      /* media */
    LLMUX_BLOCK_CALL,       /* call: the model asks for a tool */
    LLMUX_BLOCK_RESULT,     /* result: what the tool said */
    LLMUX_BLOCK_THINK,      /* text (may be empty) and token */
    LLMUX_BLOCK_REFUSAL     /* text */
} llmux_block_e;

/* Who made an opaque token (signature, encrypted reasoning): it goes back to
 * the same maker only; anybody else answers 400 to it. */
typedef enum {
    LLMUX_MAKER_NONE,
    LLMUX_MAKER_ANTHROPIC,          /* thinking.signature */
    LLMUX_MAKER_ANTHROPIC_REDACTED, /* redacted_thinking.data */
    LLMUX_MAKER_GEMINI,             /* thoughtSignature */
    LLMUX_MAKER_OPENAI              /* encrypted_content */
} llmux_maker_e;

typedef struct llmux_token_t {
    llmux_maker_e maker;
    llmux_slice_t bytes;    /* as the maker spelled it */
    llmux_slice_t account;  /* whose it is, where a seal said so; absent: the
                             * maker alone decides */
    llmux_slice_t call_id;  /* of the call that it belongs to, where it is
                             * carried apart from it; absent for none */
} llmux_token_t;

typedef enum {
    LLMUX_MEDIA_IMAGE, LLMUX_MEDIA_AUDIO, LLMUX_MEDIA_VIDEO, LLMUX_MEDIA_PDF,
    LLMUX_MEDIA_TEXT, LLMUX_MEDIA_OTHER
} llmux_media_e;

/* Exactly one of base64, url and file_id is present. */
typedef struct llmux_media_t {
    llmux_media_e kind;
    llmux_slice_t type;     /* media type, lower case; absent if unknown */
    llmux_slice_t base64;   /* standard alphabet, padded */
    llmux_slice_t url;
    llmux_slice_t file_id;
    llmux_slice_t filename;
    llmux_slice_t detail;   /* images: auto, low, high */
    const char *param;      /* where it stood: "messages[3].content[0]";
                             * NULL = as its message */
} llmux_media_t;

typedef struct llmux_call_t {
    llmux_slice_t id;
    llmux_slice_t name;
    llmux_slice_t args;     /* text of a JSON object (custom: any text);
                             * what the client sent, maybe no valid JSON */
    int custom;             /* OpenAI custom tool: args is free text */
    llmux_token_t token;    /* Gemini hangs its signature on the call */
} llmux_call_t;

typedef struct llmux_result_t {
    llmux_slice_t call_id;
    struct llmux_block_t *blocks;   /* text and media */
    llmux_tri_e is_error;
} llmux_result_t;

typedef struct llmux_block_t {
    struct llmux_block_t *next;
    llmux_block_e kind;
    llmux_slice_t text;
    llmux_token_t token;            /* of THINK */
    llmux_media_t *media;
    llmux_call_t *call;
    llmux_result_t *result;
    const char *cache_ttl;          /* cache marker: "5m", "1h", or NULL */
} llmux_block_t;

typedef struct llmux_message_t {
    struct llmux_message_t *next;
    llmux_role_e role;
    llmux_slice_t name;             /* participant */
    llmux_slice_t phase;            /* OpenAI: commentary, final_answer */
    llmux_block_t *blocks, *last;
    const char *param;              /* where it stood: "messages[3]" */
    int number;                     /* its place in the list, from 0 */
} llmux_message_t;

typedef struct llmux_tool_t {
    struct llmux_tool_t *next;
    llmux_slice_t name;
    llmux_slice_t description;
    llmux_slice_t schema;           /* JSON text of the parameters */
    llmux_slice_t space;            /* namespace that the name begins with,
                                     * before "__" (Responses) */
    llmux_tri_e strict;
    int custom;                     /* free-text input */
    llmux_slice_t grammar;          /* custom: JSON text of `format` */
    const char *cache_ttl;
} llmux_tool_t;

typedef enum {
    LLMUX_CHOICE_UNSET, LLMUX_CHOICE_AUTO, LLMUX_CHOICE_NONE,
    LLMUX_CHOICE_REQUIRED,
    LLMUX_CHOICE_NAMED,             /* names holds one */
    LLMUX_CHOICE_ALLOWED_AUTO,      /* one of names, or none */
    LLMUX_CHOICE_ALLOWED_REQUIRED   /* one of names */
} llmux_choice_e;

typedef enum {
    LLMUX_FORMAT_UNSET, LLMUX_FORMAT_TEXT, LLMUX_FORMAT_JSON,
    LLMUX_FORMAT_SCHEMA
} llmux_format_e;

typedef enum {
    LLMUX_EFFORT_UNSET, LLMUX_EFFORT_NONE, LLMUX_EFFORT_MINIMAL,
    LLMUX_EFFORT_LOW, LLMUX_EFFORT_MEDIUM, LLMUX_EFFORT_HIGH,
    LLMUX_EFFORT_XHIGH, LLMUX_EFFORT_MAX
} llmux_effort_e;

/* A member that the reader did not know, with its raw JSON. */
typedef struct llmux_extra_t {
    struct llmux_extra_t *next;
    llmux_slice_t name;
    llmux_slice_t json;
} llmux_extra_t;

/* /v1/completions: what a chat does not have. The prompt itself is the user
 * message of the chat; its further prompts are further chats. */
typedef struct llmux_prompt_t {
    llmux_slice_t tokens;           /* JSON array of numbers, in place of
                                     * text: only OpenAI can read them */
    llmux_slice_t suffix;
    llmux_slice_t best_of;
    llmux_tri_e echo;
    int listed;                     /* it stood in a list of prompts */
} llmux_prompt_t;

/* One thing to be embedded. */
typedef struct llmux_input_t {
    llmux_slice_t text;
    llmux_slice_t tokens;           /* JSON array of numbers, or absent */
    llmux_media_t *media;           /* or NULL */
    llmux_slice_t task;             /* Gemini: "RETRIEVAL_QUERY" ... */
    llmux_slice_t title;
    const char *param;              /* where it stood: "input[3]" */
} llmux_input_t;

/* What is asked of an embedding model. */
typedef struct llmux_embed_t {
    apr_array_header_t *inputs;     /* llmux_input_t, at least one */
    llmux_slice_t dimensions;       /* source text of a number, or absent */
    int base64;                     /* the client wants float32 in base64 */
    int truncate;                   /* an input that is too long may be cut,
                                     * in place of an error */
} llmux_embed_t;

/* A client's request, understood. Read once, then never changed: a writer
 * takes it as it is, so that each attempt can write it anew. Numbers are
 * source text; absent is absent (JSON null counts as absent). */
typedef struct llmux_chat_t {
    apr_pool_t *pool;
    llmux_slice_t model;
    const char *version;            /* of the client's API; NULL = default */
    int stream;
    int include_usage;              /* the client wants usage in the stream */

    llmux_message_t *messages, *last;
    llmux_tool_t *tools, *last_tool;
    struct llmux_calls_t *calls;    /* llmux_chat_call()'s index */
    llmux_choice_e choice;
    apr_array_header_t *choice_names;       /* llmux_slice_t */
    llmux_tri_e parallel;           /* parallel tool calls */

    llmux_slice_t max_tokens, temperature, top_p, top_k;
    llmux_slice_t frequency_penalty, presence_penalty, seed, n;
    llmux_slice_t logit_bias;       /* JSON text */
    llmux_tri_e logprobs;
    llmux_slice_t top_logprobs;
    apr_array_header_t *stop;       /* llmux_slice_t; NULL for none */
    llmux_slice_t verbosity;

    llmux_effort_e effort;
    llmux_slice_t budget;           /* thinking tokens asked for */
    llmux_tri_e show_thinking;

    llmux_format_e format;
    llmux_slice_t format_name, format_description, format_schema;
    llmux_tri_e format_strict;

    llmux_slice_t user_id, service_tier, cache_key;
    llmux_slice_t metadata;         /* JSON text */
    llmux_tri_e store;
    llmux_slice_t modalities, audio, prediction, moderation, web_search;
                                    /* JSON text each */
    llmux_extra_t *extra;
    llmux_extra_t *said;            /* Responses: members as they stood, for
                                     * the answer that repeats them */
    const llmux_prompt_t *prompt;   /* NULL unless it is a completion */
    const llmux_embed_t *embed;     /* NULL unless vectors are wanted */
    const struct llmux_sealer_t *sealer;    /* opens sealed tokens, or NULL;
                                     * set by the caller before read() */
    llmux_slice_t tenant;           /* whose seals count; likewise */
    int unopened;                   /* sealed tokens that were of no use */
    struct llmux_chat_t *next;      /* asked in the same request, answered as
                                     * the candidates that follow */
    llmux_extra_t *lost;            /* what only the client's own dialect can
                                     * say: each is to be noted as dropped */
} llmux_chat_t;

/** An empty request in `p`. */
llmux_chat_t *llmux_chat_create(apr_pool_t *p);

/** Append to the end of the list, and return the new one, zeroed. */
llmux_message_t *llmux_chat_message(llmux_chat_t *chat, llmux_role_e role);
llmux_block_t *llmux_message_block(llmux_chat_t *chat, llmux_message_t *m,
                                   llmux_block_e kind);
llmux_tool_t *llmux_chat_tool(llmux_chat_t *chat);

/** The call with this id, before message `before` (NULL: anywhere). */
const llmux_call_t *llmux_chat_call(const llmux_chat_t *chat,
                                    llmux_slice_t id,
                                    const llmux_message_t *before);

/** "low" and so on; UNSET for anything else. And back. */
llmux_effort_e llmux_effort_of(llmux_slice_t s);
const char *llmux_effort_name(llmux_effort_e e);

struct llmux_dialect_t;

/** How many inputs this model takes in one request: at least 1. */
int llmux_embed_most(const struct llmux_dialect_t *dialect,
                     llmux_slice_t model);

/** Chats with at most so many of the inputs each, in their order, chained by
 * `next`; the chat itself where it has no more. */
llmux_chat_t *llmux_embed_split(apr_pool_t *p, llmux_chat_t *chat,
                                int per_request);

/* ---- the target ------------------------------------------------------ */

/* What a deployment's server can do beside its dialect's common ground.
 * Set by its row in providers.def, changed by LLMuxAbility. */
enum {
    LLMUX_CAN_STREAM_USAGE  = 1 << 0,   /* stream_options.include_usage */
    LLMUX_CAN_MAX_COMPLETION= 1 << 1,   /* max_completion_tokens */
    LLMUX_CAN_DEVELOPER     = 1 << 2,   /* role developer */
    LLMUX_CAN_SCHEMA        = 1 << 3,   /* response_format json_schema */
    LLMUX_CAN_STRICT        = 1 << 4,   /* strict tools */
    LLMUX_CAN_REASONING     = 1 << 5,   /* takes reasoning_content back */
    LLMUX_CAN_FILE          = 1 << 6,   /* file parts */
    LLMUX_CAN_MEDIA_URL     = 1 << 7,   /* fetches https media by itself */
    LLMUX_CAN_CACHE_MARK    = 1 << 8,   /* prompt_cache_breakpoint on parts */
    LLMUX_CAN_RESPONSES     = 1 << 9,   /* speaks the Responses API too */
    LLMUX_CAN_COMPLETIONS   = 1 << 10,  /* ... and the legacy completions */
    LLMUX_CAN_EMBEDDINGS    = 1 << 11   /* ... and embeddings */
};

/* Whom a request is written for. */
typedef struct llmux_target_t {
    const char *name;           /* for messages: the provider's title */
    llmux_slice_t model;        /* what the provider calls the model */
    unsigned int can;           /* LLMUX_CAN_* */
    apr_int64_t max_tokens;     /* where the dialect demands one: default */
    const char *version;        /* API version header; NULL = the default */
    const char *body_version;   /* the model stands in the path, and this in
                                 * the body as `anthropic_version`: Anthropic's
                                 * models at Vertex; NULL = elsewhere */
    const char *account;        /* of the provider: tokens made by another one
                                 * do not go to it; NULL = any */
    int vertex;                 /* Gemini's models are served by Vertex AI,
                                 * which differs in some members */
    int no_tokens;              /* it has refused those of earlier turns */
} llmux_target_t;

/* ---- usage ----------------------------------------------------------- */

/* Disjoint counters: they add up to all tokens. -1 = not reported,
 * which is another thing than 0. Audio counts are parts of input and
 * output, not additions to them. */
typedef struct llmux_usage_t {
    apr_int64_t input;          /* not from cache */
    apr_int64_t cache_read;
    apr_int64_t cache_write;    /* all kinds together */
    apr_int64_t cache_write_1h; /* the part of it that lives an hour */
    apr_int64_t tool_input;     /* prompt tokens of hosted tools */
    apr_int64_t output;         /* without reasoning */
    apr_int64_t reasoning;
    apr_int64_t audio_input, audio_output;
    apr_int64_t accepted_prediction, rejected_prediction;
} llmux_usage_t;

#define LLMUX_USAGE_NONE { -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1 }

/** Overlays what `from` reports on `to`: set, never add. */
void llmux_usage_merge(llmux_usage_t *to, const llmux_usage_t *from);

/** Adds: for several requests that make one answer. */
void llmux_usage_add(llmux_usage_t *to, const llmux_usage_t *more);

/** Sets a counter from a member of an object; one that is absent, or no count
 * at all, leaves it as it is. */
void llmux_usage_set(apr_int64_t *counter, const llmux_json_t *object,
                     const char *name);

/** Is a prompt or an answer counted? */
int llmux_usage_known(const llmux_usage_t *u);

/** Two counts together, -1 when neither was reported. */
apr_int64_t llmux_usage_plus(apr_int64_t a, apr_int64_t b);

/** Whole prompt and whole answer, -1 when nothing of it was reported. */
apr_int64_t llmux_usage_input(const llmux_usage_t *u);
apr_int64_t llmux_usage_output(const llmux_usage_t *u);

/* ---- events ---------------------------------------------------------- */

typedef enum {
    LLMUX_EV_START,         /* id, name (the model), created, tier: once,
                             * before all but PING and ERROR */
    LLMUX_EV_BLOCK_START,   /* cand, key, block; calls: id, name, custom */
    LLMUX_EV_TEXT,          /* key, text: never splits a code point */
    LLMUX_EV_THINK,         /* key, text */
    LLMUX_EV_REFUSAL,       /* key, text */
    LLMUX_EV_ARGS,          /* key, text: a piece of the argument text */
    LLMUX_EV_CITE,          /* cand, key, cite: its block may be closed */
    LLMUX_EV_TOKEN,         /* key (of a think or call block), token */
    LLMUX_EV_MEDIA,         /* key, type in `name`, base64 in `text`: whole */
    LLMUX_EV_LOGPROBS,      /* cand, text: JSON array as OpenAI's content[];
                             * goes with the text before it */
    LLMUX_EV_BLOCK_STOP,    /* key */
    LLMUX_EV_USAGE,         /* usage so far (cumulative: set, do not add) */
    LLMUX_EV_FINISH,        /* cand, finish, text: provider's own spelling,
                             * stop: the sequence that matched */
    LLMUX_EV_PING,          /* provider's keep-alive */
    LLMUX_EV_ERROR,         /* error; nothing follows */
    LLMUX_EV_END,           /* every candidate finished; nothing follows */
    LLMUX_EV_VECTOR         /* cand (the input's number), text: JSON array of
                             * numbers, or base64 of little-endian float32 if
                             * `base64` is set: whole */
} llmux_event_e;

typedef enum {
    LLMUX_FINISH_STOP, LLMUX_FINISH_STOP_SEQUENCE, LLMUX_FINISH_LENGTH,
    LLMUX_FINISH_CONTEXT,           /* context window exceeded */
    LLMUX_FINISH_CALLS, LLMUX_FINISH_FILTER, LLMUX_FINISH_REFUSAL,
    LLMUX_FINISH_MALFORMED,         /* malformed or unexpected tool call */
    LLMUX_FINISH_PAUSE, LLMUX_FINISH_OTHER
} llmux_finish_e;

typedef struct llmux_cite_t {
    llmux_slice_t url, title, quote;
    apr_int64_t start, end;         /* code points in the candidate's whole
                                     * text; -1 = not known */
} llmux_cite_t;

typedef struct llmux_event_t {
    llmux_event_e kind;
    int cand;               /* candidate ("choice"), from 0 */
    int key;                /* block: unique in the answer, rising */
    llmux_block_e block;
    llmux_slice_t text;
    llmux_slice_t id, name;
    int custom;             /* BLOCK_START of a custom tool's call */
    apr_int64_t created;    /* seconds since 1970; 0 = not said */
    llmux_slice_t tier;     /* OpenAI's spelling of the service tier */
    llmux_slice_t fingerprint;
    llmux_token_t token;
    llmux_finish_e finish;
    llmux_slice_t stop;
    int base64;             /* VECTOR: how its text is spelled */
    int blocked;            /* FINISH: it was the prompt that was filtered */
    const llmux_cite_t *cite;
    const llmux_usage_t *usage;
    const llmux_error_t *error;
} llmux_event_t;

/* Takes one event. Must not keep its slices. */
typedef void (*llmux_emit_fn)(void *baton, const llmux_event_t *ev);

/* ---- decoders -------------------------------------------------------- */

/* What a dialect's decoder shares with the machinery in stream.c, which
 * does framing, limits and JSON. The dialect embeds it first. Exactly one
 * of payload() (streamed) and whole() is used on one decoder; where there is
 * peek(), it is asked first whether it can do without an index, and does the
 * same then, event for event.
 *
 * Rules for dialects: emit START before anything else; a payload that says
 * nothing emits nothing; unknown members and types are skipped; a provider's
 * error object becomes ERROR; after ERROR or END emit nothing (llmux_decode_
 * emit() sees to it). At the end of the bytes, finish() emits what is due:
 * END only if every candidate has had its FINISH, else ERROR (truncated). */
typedef struct llmux_decoder_t llmux_decoder_t;
struct llmux_decoder_t {
    void (*payload)(llmux_decoder_t *d, llmux_slice_t event_name,
                    const llmux_json_t *data);
    void (*sentinel)(llmux_decoder_t *d);       /* "[DONE]"; may be NULL */
    void (*whole)(llmux_decoder_t *d, const llmux_json_t *body);
    void (*finish)(llmux_decoder_t *d);
    /* May be NULL. The text may be anything; the parser is for parts of it.
     * @return 0: parse it; nothing was done */
    int (*peek)(llmux_decoder_t *d, llmux_slice_t event_name,
                llmux_slice_t text, int whole, llmux_json_parser_t *parser);
    /* filled in by llmux_decoder_init() */
    apr_pool_t *pool;       /* lives as long as the answer */
    apr_pool_t *scratch;    /* cleared before each payload; in peek() it may
                             * be NULL when the text has no escapes */
    const llmux_env_t *env;
    llmux_emit_fn emit;
    void *baton;
    int started, ended;     /* START was emitted; ERROR or END was */
};

void llmux_decoder_init(llmux_decoder_t *d, apr_pool_t *p,
                        const llmux_env_t *env, llmux_emit_fn emit,
                        void *baton);

/** Passes an event on unless the answer has ended; keeps the flags. */
void llmux_decoder_emit(llmux_decoder_t *d, const llmux_event_t *ev);

/** An ERROR event of this kind. */
void llmux_decoder_fail(llmux_decoder_t *d, llmux_error_e kind,
                        const char *message);

/** What an event of the wire is, for APIs that say it in its "type", and some
 * servers in the SSE event's name alone. */
llmux_slice_t llmux_decoder_event_type(llmux_decoder_t *d,
                                       llmux_slice_t event_name,
                                       const llmux_json_t *v);

/* One event of the wire, after the events decoded from it were emitted: what
 * a relay needs that passes the provider's bytes on. The slice dies when the
 * callback returns. `done` marks the sentinel ("[DONE]"), `comment` a block
 * without data. */
typedef void (*llmux_frame_fn)(void *baton, llmux_slice_t raw, int done,
                               int comment);

/* Framing and decoding in one: bytes in, events out. */
typedef struct llmux_stream_t llmux_stream_t;
struct llmux_dialect_t;

/**
 * @param streamed text/event-stream, else one JSON document; does not matter
 *        to a dialect of lines
 * @param frame may be NULL; called for streamed answers only
 */
llmux_stream_t *llmux_stream_open(apr_pool_t *p, const llmux_env_t *env,
                                  const struct llmux_dialect_t *dialect,
                                  int streamed, llmux_emit_fn emit,
                                  llmux_frame_fn frame, void *baton);

/** Bytes as they come, cut anywhere. Faults come out as ERROR events. */
void llmux_stream_feed(llmux_stream_t *s, const char *data, apr_size_t len);

/** The provider closed properly: emits END or ERROR. */
void llmux_stream_end(llmux_stream_t *s);

/** Has END or ERROR been emitted? */
int llmux_stream_ended(const llmux_stream_t *s);

/** The whole body's bytes so far (not streamed), for passing them on. */
llmux_slice_t llmux_stream_body(const llmux_stream_t *s);

/* ---- encoders -------------------------------------------------------- */

/* How the client wants to be answered. */
typedef struct llmux_encode_t {
    int streamed;
    int include_usage;          /* streamed: a usage chunk at the end */
    int show_thinking;          /* reasoning_content and reasoning_details */
    llmux_slice_t model;        /* overrides the provider's, if present */
    const llmux_tool_t *tools;  /* the client's: who knows functions alone
                                 * calls custom ones as such; NULL = as it
                                 * comes */
    const char *id;             /* for the answer, if the provider has none */
    apr_int64_t created;        /* seconds, likewise */
    const llmux_chat_t *chat;   /* the request, for answers that repeat parts
                                 * of it; NULL when it was not read */
    const char *version;        /* of the client's API; NULL = the default */
    const struct llmux_sealer_t *sealer;    /* closes tokens of other
                                 * dialects; NULL = they are left out */
    llmux_slice_t tenant;       /* to whom alone they are good */
    const char *account;        /* of the provider that makes them */
    int array;                  /* streamed as a JSON array, not as SSE */
    int begun;                  /* streamed: another encoder has said part of
                                 * the answer before (an array is open) */
} llmux_encode_t;

/* Appends the client's bytes for each event to `out`. Whole: all of it at
 * END. For ERROR when streamed: an error event in the client's dialect; when
 * whole: nothing (the caller answers with an error body). PING: the dialect's
 * keep-alive when streamed. */
typedef struct llmux_encoder_t llmux_encoder_t;
struct llmux_encoder_t {
    void (*event)(llmux_encoder_t *e, const llmux_event_t *ev,
                  llmux_buf_t *out);
};

/* ---- a request before it is understood -------------------------------- */

/* What the gateway must know of a client's body without a tree, in one
 * validating pass: members as they stand. Slices point into the body. */
typedef struct llmux_head_t {
    const llmux_json_t *root;       /* indexed to depth 2 */
    llmux_slice_t model;            /* decoded; one that is set before head()
                                     * is the path's, and counts */
    llmux_tri_e stream;
    llmux_slice_t provider;         /* ours: decoded; never sent upstream */
    const llmux_json_t *parameters; /* ours: an object */
    int include_usage;              /* usage is wanted in the stream */
    int messages;                   /* number of messages, 0 = none */
    const struct llmux_sealer_t *sealer;    /* opens sealed tokens in what
                                     * passes, or NULL; set by the caller
                                     * between head() and edit() */
    llmux_slice_t tenant;           /* whose seals count; likewise */
} llmux_head_t;

/** The client's body with `parameters` merged into it (explicit members win)
 * and `provider` taken out; the body itself when there is neither. */
llmux_slice_t llmux_head_merge(apr_pool_t *p, const llmux_head_t *head,
                               llmux_slice_t body);

/* ---- dialects -------------------------------------------------------- */

/* What its requests want. */
typedef enum {
    LLMUX_OP_CHAT,
    LLMUX_OP_COMPLETE,      /* text that goes on: a chat will do, too */
    LLMUX_OP_EMBED,         /* chat->embed in, VECTOR and USAGE out */
    LLMUX_OP_COUNT          /* a chat in; out comes USAGE alone, its input */
} llmux_op_e;

/* How the answers of a stream are told apart. */
typedef enum {
    LLMUX_FRAME_SSE,        /* text/event-stream */
    LLMUX_FRAME_LINES,      /* JSON documents, one in each line */
    LLMUX_FRAME_AWS         /* application/vnd.amazon.eventstream */
} llmux_frame_e;

typedef struct llmux_dialect_t {
    const char *name;
    llmux_op_e op;

    /* Behind the base URL of those who address it so: "/chat/completions",
     * ":embedContent"; NULL for those that are addressed otherwise. */
    const char *path;

    /* The same vendor's dialect for another op; NULL = it has none. */
    const struct llmux_dialect_t *complete, *embed, *count;

    const char *id_prefix;      /* of ids that we make for its answers */

    int single;                 /* gives one answer to a request: more are
                                 * asked for one by one */
    llmux_frame_e frame;        /* of its streams */

    /* What a relayed stream must end with when the provider left it out, as
     * the client is to see it; NULL for nothing. */
    const char *sentinel;

    /* Finds and checks the head. The parser is the caller's, to be kept as
     * long. NULL: no front door. */
    const llmux_error_t *(*head)(apr_pool_t *p, llmux_json_parser_t *parser,
                                 llmux_slice_t body, llmux_head_t *head);

    /* The same dialect on both sides: appends the body with the model
     * replaced and what else this target demands; all other bytes stay. Notes
     * in `w`, by the client's own names, what this target cannot take; not
     * what it is told by another name, nor what asks for nothing. NULL:
     * nobody is told. */
    void (*edit)(llmux_buf_t *out, apr_pool_t *scratch,
                 const llmux_head_t *head, llmux_slice_t body,
                 const llmux_target_t *target, llmux_warnings_t *w);

    /* Reads a client's body, already valid JSON and an object, of which
     * head() approved. The caller has set `version`, and sets `model` and
     * `stream` afterwards. Wrong types are LLMUX_ERR_INVALID with `param`.
     * NULL: no front door. */
    const llmux_error_t *(*read)(llmux_chat_t *chat, const llmux_json_t *body);

    /* Does this target take media by this URL (http, https) as it stands?
     * NULL: as LLMUX_CAN_MEDIA_URL says. */
    int (*takes_url)(const llmux_media_t *media,
                     const llmux_target_t *target);

    /* Appends a provider's request body. Notes in `w` what the target cannot
     * say; refuses what must not be lost. */
    const llmux_error_t *(*write)(llmux_buf_t *out, const llmux_chat_t *chat,
                                  const llmux_target_t *target,
                                  llmux_warnings_t *w, apr_pool_t *scratch);

    llmux_decoder_t *(*decoder)(apr_pool_t *p, const llmux_env_t *env,
                                llmux_emit_fn emit, void *baton);

    /* NULL: no front door. */
    llmux_encoder_t *(*encoder)(apr_pool_t *p, const llmux_encode_t *how);

    /* What a provider's error answer means. `body` may be NULL (no JSON). */
    llmux_error_t *(*error_read)(apr_pool_t *p, int status,
                                 const llmux_json_t *body);

    /* The error body for a client. */
    void (*error_write)(llmux_buf_t *out, const llmux_error_t *err,
                        const char *request_id);

    /* The HTTP status its clients know such an error by. NULL: the error's
     * own. */
    int (*error_status)(const llmux_error_t *err);
} llmux_dialect_t;

extern const llmux_dialect_t llmux_dialect_openai;      /* chat completions */
extern const llmux_dialect_t llmux_dialect_responses;   /* OpenAI responses */
extern const llmux_dialect_t llmux_dialect_anthropic;   /* messages */
extern const llmux_dialect_t llmux_dialect_gemini;      /* generateContent */
extern const llmux_dialect_t llmux_dialect_ollama;      /* /api/chat */
extern const llmux_dialect_t llmux_dialect_cohere;      /* /v2/chat */
extern const llmux_dialect_t llmux_dialect_bedrock;     /* Converse */

extern const llmux_dialect_t llmux_dialect_completions; /* OpenAI's legacy */

extern const llmux_dialect_t llmux_dialect_anthropic_count;
extern const llmux_dialect_t llmux_dialect_gemini_count;
extern const llmux_dialect_t llmux_dialect_responses_count;
extern const llmux_dialect_t llmux_dialect_bedrock_count;

extern const llmux_dialect_t llmux_dialect_embeddings;  /* OpenAI's */
extern const llmux_dialect_t llmux_dialect_gemini_embed;
extern const llmux_dialect_t llmux_dialect_gemini_batch_embed;
extern const llmux_dialect_t llmux_dialect_vertex_embed;
extern const llmux_dialect_t llmux_dialect_cohere_embed;
extern const llmux_dialect_t llmux_dialect_ollama_embed;
extern const llmux_dialect_t llmux_dialect_bedrock_embed;

/** What of a completion (with all that follow it in `next`) no chat can do:
 * prompts of tokens, `suffix`, the best of several. Each chat of the list may
 * else be written in a dialect of chats; the encoder of completions is given
 * the first one, and puts the prompt in front where `echo` asks for it. (If
 * the provider speaks completions, it does that itself: no chat then.)
 * @return NULL, also for what is no completion */
const llmux_error_t *llmux_completions_refusal(const llmux_chat_t *chat,
                                               const llmux_target_t *target);

/** Notes what is emulated when chats stand in for it: `echo`, and several
 * prompts. */
void llmux_completions_emulated(const llmux_chat_t *chat,
                                llmux_warnings_t *w);

/** By name, or NULL. */
const llmux_dialect_t *llmux_dialect_named(const char *name);

/** The dialect that a client's body is plainly in, OpenAI's chat or
 * Anthropic's, when the path said the other one; else what the path said. */
const llmux_dialect_t *llmux_dialect_of_body(const llmux_dialect_t *said,
                                             const llmux_json_t *body);

/* What an OpenAI error body and its status mean; shared by all who speak it
 * more or less. In errors.c. */

/** What a provider said, for people: at most LLMUX_MESSAGE_MAX bytes of it, cut
 * between code points, in `p`. */
const char *llmux_message_cut(apr_pool_t *p, llmux_slice_t text);

/** Does it refuse a signature or an encrypted reasoning of an earlier turn? */
int llmux_error_of_token(const llmux_error_t *err);

/** Kind by HTTP status alone: 401 AUTH, 404 NOT_FOUND, 529 OVERLOADED ... */
llmux_error_e llmux_error_kind_of(int status);

#endif
