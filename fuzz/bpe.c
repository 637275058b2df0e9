/* bpe.c - fuzzes the counting of tokens: any bytes as a text, a model's name,
 * an image, a tool's schema, and a request.
 *
 * Runs in the root of the tree, where the ranks are.
 *
 * covers: src/tokens/count.c src/tokens/merge.c src/tokens/estimate.c
 *         src/tokens/family.c src/tokens/image.c src/tokens/tools.c
 *         src/tokens/chat.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tokens/bpe.h"
#include "tokens/family.h"

#include <apr_general.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

enum { TOOLS_MAX = 1 << 20 };

static llmux_bpe_t *bpe;

/* A text has no more tokens than bytes, and those of its U+FFFD. */
static void text(apr_pool_t *p, llmux_slice_t s)
{
    int i;

    MUST(llmux_tokens_estimate(s) <= 2 * (apr_int64_t)s.len + 1);
    for (i = 1; i < LLMUX_ENCODINGS; i++) {
        llmux_tokens_t t = llmux_bpe_count(bpe, p, i, s);

        MUST(t.count <= (apr_int64_t)s.len * (t.exact ? 1 : 3));
        MUST(!t.count == !s.len);
    }
}

/* Two ways to the same: with PCRE2's machine code and without. */
static void without_jit(apr_pool_t *p, llmux_slice_t s)
{
    static pcre2_code *plain[LLMUX_ENCODINGS];
    int i;

    for (i = 1; i < LLMUX_ENCODINGS; i++) {
        llmux_tokens_t t = llmux_bpe_count(bpe, p, i, s), other;
        pcre2_code *jit = bpe->encodings[i].pattern;

        if (!plain[i]) {
            plain[i] = pcre2_code_copy(jit);
        }
        bpe->encodings[i].pattern = plain[i];
        other = llmux_bpe_count(bpe, p, i, s);
        bpe->encodings[i].pattern = jit;
        MUST(other.count == t.count && other.exact == t.exact);
    }
}

static void image(apr_pool_t *p, llmux_slice_t s)
{
    static const char *const models[] = { "gpt-4o", "gpt-5-mini", "claude-x",
                                          "gemini-x" };
    llmux_media_t media = { LLMUX_MEDIA_IMAGE };
    apr_size_t i;

    media.base64 = llmux_base64_encode(p, s);
    for (i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        const llmux_family_t *f = llmux_family_of(llmux_slice(models[i]));

        MUST(llmux_image_tokens(f, &media, p).count > 0);
    }
}

static void tool(apr_pool_t *p, llmux_slice_t s)
{
    llmux_buf_t *out = llmux_buf_create(p, TOOLS_MAX);
    llmux_tool_t t = { NULL };

    t.name = t.description = t.schema = t.grammar = s;
    llmux_tools_text(out, &t, p);
    MUST(out->len && out->len <= TOOLS_MAX);
}

static void chat(apr_pool_t *p, llmux_slice_t s)
{
    static const char *const models[] = { "gpt-4o", "o3", "claude-x" };
    const llmux_json_t *v = llmux_json_parse(p, s, 0, NULL);
    llmux_chat_t *c = llmux_chat_create(p);
    llmux_prompt_t prompt = { { NULL, 0 } };
    apr_size_t i;

    if (llmux_json_kind(v) != LLMUX_JSON_OBJECT
        || llmux_dialect_openai.read(c, v)) {
        return;
    }
    for (i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        llmux_slice_t model = llmux_slice(models[i]);
        llmux_tokens_t t = llmux_tokens_of_chat(bpe, c, model);

        MUST(t.count >= 0);
        MUST(!llmux_tokens_of_chat(NULL, c, model).exact);
        prompt.suffix = c->user_id;
        c->prompt = &prompt;
        MUST(llmux_tokens_of_chat(bpe, c, model).count >= 0);
        c->prompt = NULL;
    }
}

/* The same bytes as what is embedded, and as tokens that are there already. */
static void inputs(apr_pool_t *p, llmux_slice_t s)
{
    llmux_chat_t *c = llmux_chat_create(p);
    llmux_embed_t embed = { apr_array_make(p, 2, sizeof(llmux_input_t)) };
    llmux_input_t *input = apr_array_push(embed.inputs);

    memset(input, 0, sizeof(*input));
    input->text = s;
    input = apr_array_push(embed.inputs);
    memset(input, 0, sizeof(*input));
    input->tokens = s;
    c->embed = &embed;
    MUST(llmux_tokens_of_chat(bpe, c, s).count >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;
    llmux_slice_t s = { NULL, size };
    const char *why;
    apr_pool_t *p;
    char *copy;

    if (!pool) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
        bpe = llmux_bpe_load(pool, "data", &why);
        MUST(bpe != NULL);
    }
    /* Of exactly this size: a byte too far is seen. */
    copy = malloc(size ? size : 1);
    if (!copy) {
        return 0;
    }
    memcpy(copy, data, size);
    s.data = copy;
    apr_pool_create(&p, pool);
    text(p, s);
    without_jit(p, s);
    image(p, s);
    tool(p, s);
    chat(p, s);
    inputs(p, s);
    llmux_family_of(s);
    apr_pool_destroy(p);
    free(copy);
    return 0;
}
