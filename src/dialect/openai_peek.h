/**
 * openai_peek.h - chat completions' answers as most of them are: one choice,
 * that says a text or a piece of one call's arguments. They are read without
 * an index; all that is out of the ordinary is left to openai_decode.c.
 */

#ifndef LLMUX_DIALECT_OPENAI_PEEK_H
#define LLMUX_DIALECT_OPENAI_PEEK_H

#include "llmux/dialect.h"

/* The members that matter, or must not be there. */
typedef enum {
    /* of the payload */
    LLMUX_PEEK_ID, LLMUX_PEEK_MODEL, LLMUX_PEEK_CREATED, LLMUX_PEEK_TIER,
    LLMUX_PEEK_FINGERPRINT, LLMUX_PEEK_CHOICES, LLMUX_PEEK_USAGE,
    LLMUX_PEEK_ERROR, LLMUX_PEEK_GROQ, LLMUX_PEEK_OBJECT, LLMUX_PEEK_PADDING,
    LLMUX_PEEK_CITATIONS, LLMUX_PEEK_RESULTS,
    /* of the choice */
    LLMUX_PEEK_INDEX, LLMUX_PEEK_DELTA, LLMUX_PEEK_MESSAGE,
    LLMUX_PEEK_FINISH, LLMUX_PEEK_STOP, LLMUX_PEEK_LOGPROBS,
    LLMUX_PEEK_CHOICE_ERROR, LLMUX_PEEK_CHOICE_USAGE,
    /* of what it says */
    LLMUX_PEEK_ROLE, LLMUX_PEEK_CONTENT, LLMUX_PEEK_REFUSAL,
    LLMUX_PEEK_REASONING,
    LLMUX_PEEK_REASONING_CONTENT, LLMUX_PEEK_DETAILS,
    LLMUX_PEEK_ANNOTATIONS, LLMUX_PEEK_IMAGES, LLMUX_PEEK_SOUND,
    LLMUX_PEEK_CALLS, LLMUX_PEEK_OLD_CALL,
    /* of the call */
    LLMUX_PEEK_CALL_INDEX, LLMUX_PEEK_CALL_ID, LLMUX_PEEK_CALL_TYPE,
    LLMUX_PEEK_CALL_FUNCTION, LLMUX_PEEK_CALL_CUSTOM, LLMUX_PEEK_CALL_EXTRA,
    LLMUX_PEEK_CALL_NAME, LLMUX_PEEK_CALL_ARGUMENTS,
    LLMUX_PEEK_COUNT
} llmux_peek_e;

/** Takes a payload apart, or a whole answer.
 * @param slots LLMUX_PEEK_COUNT of them; void unless it is ordinary
 * @return is it ordinary? */
int llmux_openai_peek(llmux_slice_t text, llmux_json_t *slots);

/** Is there something in this array of a payload that is ordinary? */
int llmux_openai_peek_filled(const llmux_json_t *list);

#endif
