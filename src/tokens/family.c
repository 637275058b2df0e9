/* family.c - models, by their names. */

#include "family.h"

#define CL LLMUX_ENCODING_CL100K
#define O2 LLMUX_ENCODING_O200K
#define NO LLMUX_ENCODING_NONE
#define TILES LLMUX_IMAGE_TILES
#define PATCHES LLMUX_IMAGE_PATCHES
#define AREA LLMUX_IMAGE_AREA
#define CROPS LLMUX_IMAGE_CROPS

/* The first that fits. A prefix ends where a word of the name does.
 *
 * `start` is 3 where the answer begins with a role and a mark, 2 where it
 * begins with a role and a channel follows ("harmony"); there messages of the
 * assistant's have a channel, too. Those rows are exact of which reports of
 * usage have shown it. Who serves gpt-oss puts a system message in front. */
static const llmux_family_t families[] = {
    { "gpt-4o-search",          O2, 0, 3, 0, 0,  TILES,   170,  85 },
    { "gpt-4o-mini-search",     O2, 0, 3, 0, 0,  TILES,   5667, 2833 },
    { "gpt-4o-mini",            O2, 1, 3, 0, 0,  TILES,   5667, 2833 },
    { "gpt-4o",                 O2, 1, 3, 0, 0,  TILES,   170,  85 },
    { "chatgpt-4o",             O2, 1, 3, 0, 0,  TILES,   170,  85 },
    { "gpt-4.1-mini",           O2, 1, 3, 0, 0,  PATCHES, 162,  0 },
    { "gpt-4.1-nano",           O2, 1, 3, 0, 0,  PATCHES, 246,  0 },
    { "gpt-4.1",                O2, 1, 3, 0, 0,  TILES,   170,  85 },
    { "gpt-4.",                 O2, 0, 3, 0, 0,  TILES,   170,  85 },
    { "gpt-4",                  CL, 1, 3, 0, 0,  TILES,   170,  85 },
    { "gpt-3.5",                CL, 1, 3, 0, 0,  TILES,   170,  85 },
    { "gpt-35",                 CL, 1, 3, 0, 0,  TILES,   170,  85 },
    { "gpt-5-mini",             O2, 1, 2, 2, 83, PATCHES, 162,  0 },
    { "gpt-5-nano",             O2, 1, 2, 2, 83, PATCHES, 246,  0 },
    { "gpt-5.",                 O2, 1, 2, 2, 83, PATCHES, 120,  0 },
    { "gpt-5",                  O2, 1, 2, 2, 83, TILES,   140,  70 },
    { "o1",                     O2, 0, 2, 2, 0,  TILES,   150,  75 },
    { "o3",                     O2, 1, 2, 2, 0,  TILES,   150,  75 },
    { "o4-mini",                O2, 1, 2, 2, 0,  PATCHES, 172,  0 },
    { "o4",                     O2, 0, 2, 2, 0,  TILES,   150,  75 },
    { "codex",                  O2, 0, 2, 2, 0,  PATCHES, 172,  0 },
    { "computer-use-preview",   O2, 0, 3, 0, 0,  TILES,   129,  65 },
    { "gpt-oss",                O2, 0, 63, 2, 3, TILES,   170,  85 },
    { "text-embedding-3",       CL, 1, 0, 0, 0,  TILES,   170,  85 },
    { "text-embedding-ada-002", CL, 1, 0, 0, 0,  TILES,   170,  85 },
    { "davinci-002",            CL, 1, 0, 0, 0,  TILES,   170,  85 },
    { "babbage-002",            CL, 1, 0, 0, 0,  TILES,   170,  85 },
    { "claude-3",               NO, 0, 3, 0, 330, AREA,   750,  0 },
    { "claude-sonnet-4-20250514", NO, 0, 3, 0, 330, AREA, 750,  0 },
    { "claude-opus-4-20250514", NO, 0, 3, 0, 330, AREA,   750,  0 },
    { "claude",                 NO, 0, 3, 0, 500, AREA,   750,  0 },
    { "gemini",                 NO, 0, 0, 0, 0,  CROPS,   258,  0 },
    { "",                       NO, 0, 3, 0, 0,  TILES,   170,  85 }
};

static int is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
           || (c >= 'A' && c <= 'Z');
}

static int fits(llmux_slice_t name, const char *prefix)
{
    apr_size_t len = strlen(prefix);

    return llmux_slice_starts(name, prefix)
           && (!len || name.len == len || !is_word(prefix[len - 1])
               || !is_word(name.data[len]));
}

/* Without who makes it ("openai/", "us.anthropic.") or tuned it ("ft:"). */
static llmux_slice_t bare(llmux_slice_t model)
{
    static const char *const fronts[] = { "ft:", "openai.", "anthropic." };
    apr_size_t i;

    for (i = model.len; i > 0; i--) {
        if (model.data[i - 1] == '/') {
            break;
        }
    }
    model.data += i;
    model.len -= i;
    if (model.len > 3 && model.data[2] == '.') {
        model.data += 3;
        model.len -= 3;
    }
    for (i = 0; i < sizeof(fronts) / sizeof(fronts[0]); i++) {
        if (llmux_slice_starts(model, fronts[i])) {
            model.data += strlen(fronts[i]);
            model.len -= strlen(fronts[i]);
        }
    }
    return model;
}

const llmux_family_t *llmux_family_of(llmux_slice_t model)
{
    const llmux_family_t *f = families;

    if (!model.data) {
        model = llmux_slice("");
    }
    model = bare(model);
    while (!fits(model, f->prefix)) {
        f++;
    }
    return f;
}
