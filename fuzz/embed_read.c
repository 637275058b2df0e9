/* embed_read.c - fuzzes all that happens to a client's body of embeddings: as
 * bytes that pass (head, edit), and understood and written anew for a provider
 * of each dialect. The first byte says whose body the others are, and which
 * model it is for.
 *
 * covers: src/dialect/embed.c src/dialect/embeddings_read.c
 *         src/dialect/gemini_embed_read.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#include "llmux/dialect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

enum { WRITTEN_MAX = 64 << 20 };

static const llmux_dialect_t *const dialects[] = {
    &llmux_dialect_embeddings, &llmux_dialect_gemini_embed,
    &llmux_dialect_gemini_batch_embed, &llmux_dialect_vertex_embed,
    &llmux_dialect_cohere_embed, &llmux_dialect_ollama_embed,
    &llmux_dialect_bedrock_embed
};

enum { FRONTS = 3, DIALECTS = 7 };

static const char *const models[] = {
    "gemini-embedding-2", "amazon.titan-embed-text-v1",
    "amazon.titan-embed-text-v2:0", "amazon.titan-embed-image-v1",
    "cohere.embed-english-v3", "cohere.embed-v4:0", "models/\"x\""
};

#define MODELS (sizeof(models) / sizeof(models[0]))

/* An error that a client can be told. */
static void check_error(const llmux_error_t *err)
{
    MUST(err->message && *err->message);
    MUST(err->status >= 400 && err->status < 600);
}

static const llmux_json_t *object(apr_pool_t *p, llmux_slice_t text)
{
    const llmux_json_t *v = llmux_json_parse(p, text, 0, NULL);

    MUST(llmux_json_kind(v) == LLMUX_JSON_OBJECT);
    return v;
}

/* ---- bytes that pass --------------------------------------------------- */

/* No request of a batch names a model but the target's. */
static void check_batch(apr_pool_t *p, const llmux_json_t *v)
{
    const llmux_json_t *list = llmux_json_get(v, "requests"), *e;

    MUST(!llmux_json_get_any(v, "model"));
    for (e = llmux_json_first(list); e; e = llmux_json_next(list, e)) {
        MUST(llmux_json_kind(list) != LLMUX_JSON_ARRAY
             || llmux_json_kind(e) != LLMUX_JSON_OBJECT
             || llmux_slice_starts(
                 llmux_json_str(p, llmux_json_get_any(e, "model")),
                 "models/"));
    }
}

static int pass(apr_pool_t *p, const llmux_dialect_t *client,
                llmux_slice_t body, const llmux_target_t *target)
{
    llmux_head_t head = { .model = llmux_slice("m") };
    const llmux_error_t *err = client->head(p, llmux_json_parser_create(p),
                                            body, &head);
    llmux_buf_t *out = llmux_buf_create(p, WRITTEN_MAX);
    const llmux_json_t *v;

    if (err) {
        check_error(err);
        return 0;
    }
    MUST(head.messages > 0);
    client->edit(out, p, &head, body, target, NULL);
    v = object(p, llmux_buf_slice(out));
    if (client == &llmux_dialect_gemini_batch_embed) {
        check_batch(p, v);
    }
    if (client == &llmux_dialect_embeddings) {
        MUST(llmux_slice_equal(llmux_json_str(p, llmux_json_get(v, "model")),
                               target->model));
    }
    return 1;
}

/* ---- understood and written anew --------------------------------------- */

/* What we wrote for one of the front doors can come in by it. */
static void read_again(apr_pool_t *p, const llmux_dialect_t *dialect,
                       const llmux_json_t *written, int inputs)
{
    llmux_chat_t *chat = llmux_chat_create(p);

    MUST(!dialect->read(chat, written));
    MUST(chat->embed->inputs->nelts == inputs);
}

static void write_for(apr_pool_t *p, int i, const llmux_chat_t *chat,
                      const llmux_target_t *target)
{
    llmux_buf_t *out = llmux_buf_create(p, WRITTEN_MAX);
    llmux_warnings_t *warnings = llmux_warnings_create(p, 0);
    const llmux_error_t *err = dialects[i]->write(out, chat, target,
                                                  warnings, p);
    const llmux_json_t *written;

    llmux_warnings_header(p, warnings);
    if (err) {
        check_error(err);
        return;
    }
    written = object(p, llmux_buf_slice(out));
    if (i < FRONTS) {
        read_again(p, dialects[i], written, chat->embed->inputs->nelts);
    }
}

static void split(apr_pool_t *p, int i, llmux_chat_t *chat,
                  const llmux_target_t *target)
{
    int most = llmux_embed_most(dialects[i], target->model), inputs = 0;
    llmux_chat_t *part = llmux_embed_split(p, chat, most);

    for (; part; part = part->next) {
        MUST(part->embed->inputs->nelts <= most);
        inputs += part->embed->inputs->nelts;
        write_for(p, i, part, target);
    }
    MUST(inputs == chat->embed->inputs->nelts);
}

static void translate(apr_pool_t *p, const llmux_dialect_t *client,
                      llmux_slice_t body, const llmux_target_t *target)
{
    llmux_chat_t *chat = llmux_chat_create(p);
    const llmux_error_t *err =
        client->read(chat, llmux_json_parse(p, body, 0, NULL));
    int i;

    if (err) {
        check_error(err);
        return;
    }
    for (i = 0; i < DIALECTS; i++) {
        write_for(p, i, chat, target);
        split(p, i, chat, target);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    llmux_target_t target = { .name = "fuzz" };
    const llmux_dialect_t *client;
    static apr_pool_t *root;
    llmux_slice_t body;
    apr_pool_t *p;

    if (!size) {
        return 0;
    }
    if (!root) {
        apr_initialize();
        apr_pool_create(&root, NULL);
    }
    apr_pool_create(&p, root);
    client = dialects[data[0] % FRONTS];
    target.model = llmux_slice(models[data[0] / FRONTS % MODELS]);
    body.data = (const char *)data + 1;
    body.len = size - 1;
    if (pass(p, client, body, &target)) {
        translate(p, client, body, &target);
    }
    apr_pool_destroy(p);
    return 0;
}
