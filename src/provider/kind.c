/* kind.c - the table of kinds of providers, and their abilities by name. */

#include <string.h>
#include <strings.h>

#include <apr_strings.h>

#include "llmux/provider.h"

static const llmux_kind_t kinds[] = {
#define X(name, title, url, dialect, address, auth, can)                      \
    { name, title, url, &llmux_dialect_##dialect, LLMUX_ADDRESS_##address,    \
      LLMUX_AUTH_##auth, can },
#include "llmux/providers.def"
#undef X
};

#define KINDS ((int)(sizeof(kinds) / sizeof(kinds[0])))

/* What other gateways and the vendors themselves call the same thing. */
static const struct {
    const char *alias, *name;
} aliases[] = {
    { "amazon",         "bedrock" },
    { "aws",            "bedrock" },
    { "azure_openai",   "azure" },
    { "azure-openai",   "azure" },
    { "claude",         "anthropic" },
    { "cohere_chat",    "cohere-v2" },
    { "custom",         "openai-compatible" },
    { "fireworks_ai",   "fireworks" },
    { "google",         "gemini" },
    { "hosted_vllm",    "vllm" },
    { "kimi",           "moonshot" },
    { "llama.cpp",      "llamacpp" },
    { "llamafile",      "llamacpp" },
    { "lm_studio",      "lmstudio" },
    { "nvidia_nim",     "nvidia" },
    { "ollama_chat",    "ollama-native" },
    { "openai_like",    "openai-compatible" },
    { "openai-like",    "openai-compatible" },
    { "together_ai",    "together" },
    { "vercel_ai_gateway", "vercel" },
    { "vertex_ai",      "vertex" },
    { "vertexai",       "vertex" },
};

static const struct {
    const char *name;
    unsigned int bit;
} abilities[] = {
    { "stream-usage",       LLMUX_CAN_STREAM_USAGE },
    { "max-completion",     LLMUX_CAN_MAX_COMPLETION },
    { "developer-role",     LLMUX_CAN_DEVELOPER },
    { "json-schema",        LLMUX_CAN_SCHEMA },
    { "strict-tools",       LLMUX_CAN_STRICT },
    { "reasoning-input",    LLMUX_CAN_REASONING },
    { "file-input",         LLMUX_CAN_FILE },
    { "media-url",          LLMUX_CAN_MEDIA_URL },
    { "cache-marks",        LLMUX_CAN_CACHE_MARK },
    { "responses",          LLMUX_CAN_RESPONSES },
    { "completions",        LLMUX_CAN_COMPLETIONS },
    { "embeddings",         LLMUX_CAN_EMBEDDINGS },
};

#define ABILITIES ((int)(sizeof(abilities) / sizeof(abilities[0])))

static const llmux_kind_t *find(const char *name)
{
    int i;

    for (i = 0; i < KINDS; i++) {
        if (!strcasecmp(kinds[i].name, name)) {
            return &kinds[i];
        }
    }
    return NULL;
}

const llmux_kind_t *llmux_kind_named(const char *name)
{
    const llmux_kind_t *kind = find(name);
    apr_size_t i;

    for (i = 0; !kind && i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (!strcasecmp(aliases[i].alias, name)) {
            kind = find(aliases[i].name);
        }
    }
    return kind;
}

unsigned int llmux_ability_named(const char *name)
{
    int i;

    for (i = 0; i < ABILITIES; i++) {
        if (!strcasecmp(abilities[i].name, name)) {
            return abilities[i].bit;
        }
    }
    return 0;
}

const char *llmux_ability_names(apr_pool_t *p)
{
    const char *all = abilities[0].name;
    int i;

    for (i = 1; i < ABILITIES; i++) {
        all = apr_pstrcat(p, all, ", ", abilities[i].name, NULL);
    }
    return all;
}
