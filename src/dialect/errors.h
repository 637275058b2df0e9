/**
 * errors.h - reading what providers say when they refuse.
 *
 * One reader for the shapes of OpenAI and its many imitators; it knows
 * Anthropic's and Google's as well, since compatible servers pass those on.
 */

#ifndef LLMUX_DIALECT_ERRORS_H
#define LLMUX_DIALECT_ERRORS_H

#include "llmux/dialect.h"

/** The kind that a provider's word (a code, a type, a status) stands for, or
 * `other`. ASCII case aside. */
llmux_error_e llmux_error_kind_of_word(llmux_slice_t word,
                                       llmux_error_e other);

/**
 * What an error body means.
 * @param status HTTP status; below 400 for an error inside an answer, where
 *        the words alone decide
 * @param body may be NULL (no JSON)
 */
llmux_error_t *llmux_error_read(apr_pool_t *p, int status,
                                const llmux_json_t *body);

#endif
