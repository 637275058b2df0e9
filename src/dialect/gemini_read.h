/**
 * gemini_read.h - what the files that read a generateContent body share.
 *
 * gemini_read.c (top-level members, tools), gemini_read_config.c (how the
 * answer is to be made), gemini_read_contents.c (the conversation),
 * gemini_read_parts.c (what it consists of), gemini_read_schema.c.
 *
 * Google's servers read proto3's JSON, so do we: members in camelCase or
 * snake_case, enumerations in any case, numbers also as strings, a list of one
 * without its brackets.
 */

#ifndef LLMUX_GEMINI_READ_H
#define LLMUX_GEMINI_READ_H

#include "gemini.h"
#include "reader.h"

typedef struct llmux_gemini_in_t {
    llmux_reader_t r;
    llmux_extra_t *last_lost;
    int lost;                       /* how many they are */
    llmux_slice_t detail;           /* of pictures that say none themselves */
} llmux_gemini_in_t;

/* ---- members ---------------------------------------------------------- */

/* A member that an object may have. */
typedef struct llmux_gemini_row_t {
    const char *name;       /* in camelCase */
    unsigned int kinds;     /* those it may be: 1 << llmux_json_e, or'ed */
} llmux_gemini_row_t;

#define LLMUX_GEMINI_STR    (1u << LLMUX_JSON_STRING)
#define LLMUX_GEMINI_NUM    (1u << LLMUX_JSON_NUMBER | LLMUX_GEMINI_STR)
#define LLMUX_GEMINI_BOOL   (1u << LLMUX_JSON_BOOL)
#define LLMUX_GEMINI_OBJ    (1u << LLMUX_JSON_OBJECT)
#define LLMUX_GEMINI_LIST   (1u << LLMUX_JSON_ARRAY | LLMUX_GEMINI_OBJ)
#define LLMUX_GEMINI_WORDS  (1u << LLMUX_JSON_ARRAY | LLMUX_GEMINI_STR)
#define LLMUX_GEMINI_ANY    (~0u)

/* What an object has of it. */
typedef struct llmux_gemini_got_t {
    const llmux_json_t *v;  /* NULL for absent and null */
    const char *name;       /* as the client spelled it */
} llmux_gemini_got_t;

/**
 * Sorts the members of `object` into `got`, one for each row. A member that
 * comes in both spellings or is of another kind is an error.
 * @param where "tools.functionDeclarations": a member that has no row is noted
 *        as lost by this name and its own; NULL: it is not
 * @return how many have no row
 */
int llmux_gemini_members(llmux_gemini_in_t *in, const llmux_at_t *at,
                         const llmux_json_t *object, const char *where,
                         const llmux_gemini_row_t *rows, int count,
                         llmux_gemini_got_t *got);

/** Notes in chat->lost, once, what no other dialect can say. */
void llmux_gemini_lose(llmux_gemini_in_t *in, const char *where,
                       llmux_slice_t name, const llmux_json_t *v);

/** Not for any other provider, and nothing to be dropped. */
void llmux_gemini_refuse(llmux_gemini_in_t *in, const llmux_at_t *at,
                         const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** Walks a list, or its one element without brackets. */
const llmux_json_t *llmux_gemini_first(const llmux_json_t *list);
const llmux_json_t *llmux_gemini_next(const llmux_json_t *list,
                                      const llmux_json_t *element);

/** A string's characters; absent for absent. */
llmux_slice_t llmux_gemini_text(llmux_gemini_in_t *in,
                                const llmux_gemini_got_t *got);

/** The number itself, also where it stands in a string. */
const llmux_json_t *llmux_gemini_number(llmux_gemini_in_t *in,
                                        const llmux_at_t *at,
                                        const llmux_json_t *v);

/** Which of these words it is, case aside; "..._UNSPECIFIED" is -1 as well as
 * what is an error. */
int llmux_gemini_word(llmux_gemini_in_t *in, const llmux_at_t *at,
                      const llmux_json_t *v, const char *const *words);

/* ---- the parts of a request ------------------------------------------- */

void llmux_gemini_read_contents(llmux_gemini_in_t *in, const llmux_at_t *at,
                                const llmux_json_t *contents);

void llmux_gemini_read_system(llmux_gemini_in_t *in, const llmux_at_t *at,
                              const llmux_json_t *content);

void llmux_gemini_read_config(llmux_gemini_in_t *in, const llmux_at_t *at,
                              const llmux_json_t *config);

/** A `Schema` (OpenAPI's subset) as JSON Schema; absent for no object. */
llmux_slice_t llmux_gemini_read_schema(llmux_gemini_in_t *in,
                                       const llmux_at_t *at,
                                       const llmux_json_t *schema);

/* ---- parts ------------------------------------------------------------ */

/* A part has one of these, but for the last three, which go along. */
enum {
    LLMUX_GEMINI_PART_TEXT, LLMUX_GEMINI_PART_INLINE, LLMUX_GEMINI_PART_FILE,
    LLMUX_GEMINI_PART_CALL, LLMUX_GEMINI_PART_RESPONSE,
    LLMUX_GEMINI_PART_CODE, LLMUX_GEMINI_PART_OUTPUT,
    LLMUX_GEMINI_PART_HOSTED, LLMUX_GEMINI_PART_HOSTED_ANSWER,
    LLMUX_GEMINI_PART_KINDS,
    LLMUX_GEMINI_PART_THOUGHT = LLMUX_GEMINI_PART_KINDS,
    LLMUX_GEMINI_PART_SIGNATURE, LLMUX_GEMINI_PART_RESOLUTION,
    LLMUX_GEMINI_PART_MEMBERS
};

/* A part, sorted. */
typedef struct llmux_gemini_part_t {
    llmux_gemini_got_t got[LLMUX_GEMINI_PART_MEMBERS];
    int kind;                       /* which of them; KINDS for none */
    int thought;
    llmux_token_t token;
} llmux_gemini_part_t;

void llmux_gemini_read_part(llmux_gemini_in_t *in, const llmux_at_t *at,
                            const llmux_json_t *v, llmux_gemini_part_t *part);

/** A medium from `inlineData` or `fileData`, appended to `m`. */
void llmux_gemini_read_media(llmux_gemini_in_t *in, const llmux_at_t *at,
                             const llmux_gemini_part_t *part,
                             llmux_message_t *m);

/** A call, its id absent if it has none. NULL is an error. */
llmux_call_t *llmux_gemini_read_call(llmux_gemini_in_t *in,
                                     const llmux_at_t *at,
                                     const llmux_gemini_part_t *part);

/** A result, its id absent if it has none; the function's name in `name`. */
llmux_result_t *llmux_gemini_read_result(llmux_gemini_in_t *in,
                                         const llmux_at_t *at,
                                         const llmux_gemini_part_t *part,
                                         llmux_slice_t *name);

/** What Google's own interpreter ran, or what came of it, as text. */
llmux_slice_t llmux_gemini_read_code(llmux_gemini_in_t *in,
                                     const llmux_at_t *at,
                                     const llmux_gemini_part_t *part);

#endif
