/**
 * vector.h - vectors as they travel: a JSON array of numbers, or base64 of
 * float32, the little end first.
 */

#ifndef LLMUX_DIALECT_VECTOR_H
#define LLMUX_DIALECT_VECTOR_H

#include "llmux/core.h"

/**
 * May this be a vector? float32 must have room for each of the numbers.
 * @param array the text of a JSON value, which is known to be valid
 * @return NULL, or what is wrong with it: "has more than 65536 numbers"
 */
const char *llmux_vector_check(llmux_slice_t array);

/** The same of base64, which has no room for what is no number.
 * @param out standard base64, padded: in place, or in `p` */
const char *llmux_vector_check_base64(apr_pool_t *p, llmux_slice_t base64,
                                      llmux_slice_t *out);

/** A JSON array in base64, each number the nearest float32. In `p`; absent if
 * it is none, or one of them is out of range. */
llmux_slice_t llmux_vector_pack(apr_pool_t *p, llmux_slice_t array);

/** Base64 as a JSON array, each number as short as it can be said. In `p`;
 * absent if one of them is no number. */
llmux_slice_t llmux_vector_unpack(apr_pool_t *p, llmux_slice_t base64);

/** Base64 of signed bytes, as some quantise their vectors, as a JSON array. In
 * `p`; absent if it is no base64. */
llmux_slice_t llmux_vector_of_bytes(apr_pool_t *p, llmux_slice_t base64);

/** A JSON array without white space, the numbers as they are spelled. */
llmux_slice_t llmux_vector_compact(apr_pool_t *p, llmux_slice_t array);

#endif
