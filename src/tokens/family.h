/* family.h - what models count alike. */

#ifndef LLMUX_TOKENS_FAMILY_H
#define LLMUX_TOKENS_FAMILY_H

#include "llmux/tokens.h"

typedef enum {
    LLMUX_IMAGE_TILES,          /* OpenAI: base + a * tiles of 512 */
    LLMUX_IMAGE_PATCHES,        /* OpenAI: patches of 32, a percent each */
    LLMUX_IMAGE_AREA,           /* Anthropic: a token for so many pixels */
    LLMUX_IMAGE_CROPS           /* Gemini: a for each tile of up to 768 */
} llmux_image_e;

/* Models with one arithmetic. */
typedef struct llmux_family_t {
    const char *prefix;         /* of their names */
    llmux_encoding_e encoding;
    int exact;                  /* for text: this is how they count */
    int start;                  /* what stands around all messages */
    int answer;                 /* for each message of the assistant's */
    int tools;                  /* around tools, where there are any */
    llmux_image_e image;
    int a, base;                /* of an image */
} llmux_family_t;

/** By the provider's name for a model ("gpt-4o-2024-08-06", "openai/gpt-4o",
 * "ft:gpt-4o:me::1"). Never NULL. */
const llmux_family_t *llmux_family_of(llmux_slice_t model);

/** An image's tokens. Exact where the rule is sure and the size is known.
 * @param p for scratch */
llmux_tokens_t llmux_image_tokens(const llmux_family_t *family,
                                  const llmux_media_t *media, apr_pool_t *p);

/** Width and height from the head of a PNG, JPEG, GIF or WebP. @return 0 =
 * not found. */
int llmux_image_size(llmux_slice_t base64, apr_pool_t *p, apr_int64_t *width,
                     apr_int64_t *height);

/** How OpenAI's models see tools: appends their declarations. */
void llmux_tools_text(llmux_buf_t *out, const llmux_tool_t *tools,
                      apr_pool_t *p);

#endif
