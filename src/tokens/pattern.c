/* pattern.c - where a text may be cut before its bytes are merged. */

#include "bpe.h"

/* The class \s of the encodings' authors is Unicode's White_Space, which is
 * not quite PCRE2's. */
#define SPACES "\\t-\\r\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}" \
               "\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define SPACE "[" SPACES "]"
#define OTHER "[^" SPACES "\\p{L}\\p{N}]"   /* neither letter nor digit */
#define LEAD "[^\\r\\n\\p{L}\\p{N}]"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define SHORT "(?i:'s|'t|'re|'ve|'m|'ll|'d)"

/* White space: up to the last line end; all but the last before a word. */
#define BLANKS SPACE "*[\\r\\n]++|" SPACE "+(?!" "[^" SPACES "])|" SPACE "++"

/* Every character is in one of the alternatives, so that a match at the place
 * where the last one ended finds all pieces. */
static const char *const patterns[LLMUX_ENCODINGS] = {
    [LLMUX_ENCODING_CL100K] =
        SHORT "|" LEAD "?+\\p{L}++|\\p{N}{1,3}+| ?" OTHER "++[\\r\\n]*+|"
        BLANKS,
    [LLMUX_ENCODING_O200K] =
        LEAD "?" UPPER "*" LOWER "++" SHORT "?+|"
        LEAD "?" UPPER "++" LOWER "*+" SHORT "?+|"
        "\\p{N}{1,3}+| ?" OTHER "++[\\r\\n/]*+|" BLANKS
};

static void *take(PCRE2_SIZE size, void *pool)
{
    return apr_palloc(pool, size);
}

static void leave(void *memory, void *pool)
{
}

pcre2_general_context *llmux_pcre2_of_pool(apr_pool_t *p)
{
    return pcre2_general_context_create(take, leave, p);
}

/* The machine code is not in the pool. */
static apr_status_t free_pattern(void *pattern)
{
    pcre2_code_free(pattern);
    return APR_SUCCESS;
}

int llmux_pattern_compile(llmux_ranks_t *r, apr_pool_t *p,
                          llmux_encoding_e encoding)
{
    pcre2_general_context *memory = llmux_pcre2_of_pool(p);
    pcre2_compile_context *how = pcre2_compile_context_create(memory);
    PCRE2_SIZE offset;
    int error;

    r->pattern = how
        ? pcre2_compile((PCRE2_SPTR)patterns[encoding], PCRE2_ZERO_TERMINATED,
                        PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &error,
                        &offset, how)
        : NULL;
    if (!r->pattern) {
        return 0;
    }
    apr_pool_cleanup_register(p, r->pattern, free_pattern,
                              apr_pool_cleanup_null);
    /* Where memory may not be made executable it goes without. */
    pcre2_jit_compile(r->pattern, PCRE2_JIT_COMPLETE);
    return 1;
}
