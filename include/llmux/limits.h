/* limits.h - every maximum, in one place. Bytes unless said otherwise. A line
 * for each, however long: it is a table. */

#ifndef LLMUX_LIMITS_H
#define LLMUX_LIMITS_H

#define LLMUX_JSON_DEPTH_MAX      100          /* nesting of objects and arrays */
#define LLMUX_JSON_TEXT_MAX       0x7fffffffu  /* one document: indexes are 32 bit */
#define LLMUX_JSON_NODES_MAX      (8u << 20)   /* values and names recorded of one document */
#define LLMUX_REQUEST_NODES_MAX   (2u << 20)   /* of a client: twice LLMUX_INPUT_TOKENS_MAX */
#define LLMUX_MODEL_NAME_MAX      256
#define LLMUX_BODY_DEFAULT        (32u << 20)  /* client's body: LLMuxMaxBody */
#define LLMUX_ANSWER_MAX          (64u << 20)  /* provider's whole answer */
#define LLMUX_EVENT_MAX           (16u << 20)  /* one event of a stream */
#define LLMUX_AWS_HEADERS_MAX     (128u << 10) /* headers of one message of Amazon's */
#define LLMUX_HELD_MAX            (256u << 10) /* stream held back before content */
#define LLMUX_ARGS_MAX            (8u << 20)   /* arguments of one stream's calls */
#define LLMUX_ERROR_BODY_MAX      (64u << 10)  /* provider's error body we read */
#define LLMUX_ERROR_WAIT_MAX      5            /* seconds: for the rest of it */
#define LLMUX_MESSAGE_MAX         2048         /* provider's words we repeat */
#define LLMUX_HEADERS_MAX         (64u << 10)  /* provider's response head */
#define LLMUX_CHUNK_EXTRA_MAX     256          /* what follows a chunk's size in its line */
#define LLMUX_HEADER_DOWN_MAX     1024         /* one of its values that a client may see */
#define LLMUX_WARNINGS_MAX        1024         /* value of X-LLMux-Warnings */
#define LLMUX_WARNING_FIELD_MAX   128          /* one field in it; longer ones are cut */
#define LLMUX_LOST_MAX            64           /* members of one request noted as lost */
#define LLMUX_SECRET_MAX          8192         /* a key, wherever it comes from */
#define LLMUX_KEY_FILE_MAX        (64u << 10)  /* Google's: credentials as JSON */
#define LLMUX_GRANT_BODY_MAX      (64 << 10)   /* what a token server answers */
#define LLMUX_GRANT_LIFE_MAX      43200        /* seconds; a grant is fetched anew then */
#define LLMUX_SEAL_KEYS_MAX       16           /* keys of one sealer */
#define LLMUX_SEAL_KID_MAX        16           /* a key's id */
#define LLMUX_SEAL_NAME_MAX       1024         /* account, call id, tenant, each */
#define LLMUX_SEAL_TOKEN_MAX      (8u << 20)   /* an opaque token */
#define LLMUX_MEDIA_FETCHES_MAX   64           /* media fetched for one request */
#define LLMUX_MEDIA_TYPE_MAX      255          /* RFC 6838: 127 "/" 127 */
#define LLMUX_RETRY_AFTER_MAX     86400        /* seconds; a longer wait is cut */
#define LLMUX_LOG_LINE_MAX        2048         /* one line of the log */
#define LLMUX_REQUEST_ID_MAX      128
#define LLMUX_CANDIDATES_MAX      128          /* n of one request */
#define LLMUX_RUNS_MAX            16           /* ... where each is asked for by itself */
#define LLMUX_EMBED_RUNS_MAX      256          /* the same for vectors */
#define LLMUX_PROMPTS_MAX         2048         /* prompts of one completion: OpenAI's limit */
#define LLMUX_CHOICES_MAX         4096         /* choices of one completion: prompts x n */
#define LLMUX_BLOCKS_MAX          4096         /* blocks of one streamed answer */
#define LLMUX_STOPS_MAX           64           /* stop sequences of one request */
#define LLMUX_MEMBERS_MAX         512          /* top-level members of one request */
#define LLMUX_TOOLS_MAX           4096         /* tools of one request */
#define LLMUX_TOOL_NAME_MAX       64           /* OpenAI's rule for function names */
#define LLMUX_RESOLVE_KEEP        60           /* seconds: addresses count as new */
#define LLMUX_RESOLVE_STALE       3600         /* seconds: ... are better than none */
#define LLMUX_RESOLVE_FAILED      2            /* seconds: a failure is not asked again */
#define LLMUX_RESOLVE_NAMES_MAX   1024         /* names remembered in a child */
#define LLMUX_RESOLVE_THREADS_MAX 16           /* looking up at the same time */
#define LLMUX_RESEND_MAX          5            /* seconds: then a request sent has arrived */
#define LLMUX_HOST_MAX            255          /* a host's name */
#define LLMUX_TLS_PEERS_MAX       256          /* hosts whose TLS sessions are kept, per context */
#define LLMUX_TLS_SESSIONS_MAX    4            /* sessions kept of one of them */
#define LLMUX_INFLATE_RATIO_MAX   100          /* gzip bomb: out / in */
#define LLMUX_ARGS_INDEX_MAX      10000        /* array index in a path of partial arguments */
#define LLMUX_ARGS_PATH_MAX       1024         /* such a path */
#define LLMUX_SCHEMA_NODES_MAX    50000        /* a request's schemas, $refs written out */
#define LLMUX_CITED_TEXT_MAX      (1u << 20)   /* answer text within which citations are located */
#define LLMUX_PARTS_MAX           64           /* parts of an answer that citations may count by */
#define LLMUX_CITES_MAX           1024         /* citations of one answer */
#define LLMUX_SOURCES_MAX         (1u << 18)   /* a list of sources beside an answer */
#define LLMUX_SIGNED_MAX          (1u << 20)   /* what AWS signs of a request, without its body */
#define LLMUX_WEB_IDENTITY_MAX    20000        /* a token that STS takes */
#define LLMUX_METADATA_TOKEN_MAX  1024         /* a session with the metadata service */
#define LLMUX_ROLE_NAME_MAX       128          /* an instance's role */
#define LLMUX_XML_DEPTH_MAX       16           /* nesting of STS's answers */
#define LLMUX_GRANT_UNSAID        900          /* seconds: a grant that does not say how long */
#define LLMUX_GRANT_STALE         600          /* seconds: an old grant that AWS still hands out */
#define LLMUX_TOKEN_MAX           (1u << 20)   /* a signature that comes in pieces */
#define LLMUX_FINISH_WORD_MAX     63           /* provider's word for why it stopped */
#define LLMUX_INPUTS_MAX          2048         /* texts to be embedded by one request */
#define LLMUX_INPUT_TOKENS_MAX    (1 << 20)    /* numbers in their place, of one request */
#define LLMUX_VECTOR_MAX          (1 << 16)    /* numbers of one vector */
#define LLMUX_TOKENS_TEXT_MAX     (2u << 20)   /* of one request encoded; the rest is estimated */
#define LLMUX_TOKENS_PIECE_MAX    16384        /* a word that is merged in one; at most 65535 */
#define LLMUX_TOKENS_STEPS_MAX    (32u << 20)  /* of PCRE2 for one piece */
#define LLMUX_TOKENS_DEPTH_MAX    1000         /* its nesting */
#define LLMUX_IMAGE_HEAD_MAX      (256u << 10) /* base64 within which its size is sought */

#endif
