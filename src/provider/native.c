/* native.c - in which dialect a deployment is asked. */

#include <string.h>

#include "llmux/provider.h"

/* The last models of OpenAI's that go on with a text instead of answering. */
static const char *const completing[] = {
    "gpt-3.5-turbo-instruct", "davinci-002", "babbage-002", NULL
};

static int starts_with_any(const char *s, const char *const *list)
{
    for (; *list; list++) {
        if (!strncmp(s, *list, strlen(*list))) {
            return 1;
        }
    }
    return 0;
}

/* Vertex serves each maker's models in its maker's dialect; those of others
 * bear their maker's name ("meta/llama-4-maverick"). */
static const llmux_dialect_t *own_dialect(const llmux_deployment_t *d)
{
    const llmux_kind_t *kind = d->provider->kind;
    const char *slash = strchr(d->model, '/');

    if (kind->address != LLMUX_ADDRESS_VERTEX) {
        return kind->dialect;
    }
    if (!strncmp(d->model, "claude", 6)) {
        return &llmux_dialect_anthropic;
    }
    return slash && strncmp(d->model, "models/", 7) ? &llmux_dialect_openai
                                                    : kind->dialect;
}

/* ---- by what is wanted ------------------------------------------------ */

static const llmux_dialect_t *to_chat(const llmux_deployment_t *d,
                                      const llmux_dialect_t *own,
                                      const llmux_dialect_t *client)
{
    return client == &llmux_dialect_responses
        && d->provider->can & LLMUX_CAN_RESPONSES ? client : own;
}

/* A chat can go on with a text, too. */
static const llmux_dialect_t *to_complete(const llmux_deployment_t *d,
                                          const llmux_dialect_t *own,
                                          const llmux_dialect_t *client)
{
    int can = d->provider->can & LLMUX_CAN_COMPLETIONS
        || starts_with_any(d->model, completing);

    return own->complete && can ? own->complete : own;
}

/* Vertex's newer models take one content, its older ones instances. Source:
 * Google's own SDK, which tells them apart like this. */
static int is_embedded_by_content(const char *model)
{
    return strstr(model, "maas")
        || (strstr(model, "gemini") && strcmp(model, "gemini-embedding-001"));
}

static const llmux_dialect_t *to_embed(const llmux_deployment_t *d,
                                       const llmux_dialect_t *own,
                                       const llmux_dialect_t *client)
{
    if (own == &llmux_dialect_openai
        && !(d->provider->can & LLMUX_CAN_EMBEDDINGS)) {
        return NULL;
    }
    if (d->provider->kind->address == LLMUX_ADDRESS_VERTEX) {
        return own != &llmux_dialect_gemini ? NULL
            : is_embedded_by_content(d->model) ? &llmux_dialect_gemini_embed
                                               : &llmux_dialect_vertex_embed;
    }
    return own == &llmux_dialect_gemini
        && client == &llmux_dialect_gemini_embed ? client : own->embed;
}

static const llmux_dialect_t *to_count(const llmux_deployment_t *d,
                                       const llmux_dialect_t *own,
                                       const llmux_dialect_t *client)
{
    if (own == &llmux_dialect_openai
        && !(d->provider->can & LLMUX_CAN_RESPONSES)) {
        return NULL;
    }
    return own->count;
}

static const llmux_dialect_t *(*const natives[])(
    const llmux_deployment_t *d, const llmux_dialect_t *own,
    const llmux_dialect_t *client) = {
    [LLMUX_OP_CHAT] = to_chat,
    [LLMUX_OP_COMPLETE] = to_complete,
    [LLMUX_OP_EMBED] = to_embed,
    [LLMUX_OP_COUNT] = to_count,
};

const llmux_dialect_t *llmux_deployment_dialect(const llmux_deployment_t *d,
                                                const llmux_dialect_t *client)
{
    return natives[client->op](d, own_dialect(d), client);
}
