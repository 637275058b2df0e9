/* anthropic_read.c - fuzzes all that happens to a client's body of Messages:
 * as bytes that pass (head, merge, edit), and understood and written anew for
 * a provider of each dialect. The first byte says which version of the API.
 *
 * covers: src/dialect/anthropic_edit.c src/dialect/anthropic_read.c
 *         src/dialect/anthropic_read_messages.c
 *         src/dialect/anthropic_read_blocks.c
 *         src/dialect/anthropic_read_sources.c
 *         src/dialect/anthropic_read_tools.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#include "llmux/dialect.h"
#include "llmux/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void) 0 : abort())

enum { WRITTEN_MAX = 64 << 20 };

static const char *const versions[] = { NULL, "2023-06-01", "2026-10-21" };

static const llmux_json_t *object(apr_pool_t *p, llmux_slice_t text)
{
    const llmux_json_t *v = llmux_json_parse(p, text, 0, NULL);

    MUST(llmux_json_kind(v) == LLMUX_JSON_OBJECT);
    return v;
}

/* An error that a client can be told, and is. */
static void check_error(apr_pool_t *p, const llmux_error_t *err)
{
    llmux_buf_t *out = llmux_buf_create(p, WRITTEN_MAX);

    MUST(err->message && *err->message);
    MUST(err->status >= 400 && err->status < 600);
    llmux_dialect_anthropic.error_write(out, err, err->param);
    object(p, llmux_buf_slice(out));
}

/* ---- bytes that pass ------------------------------------------------- */

/* Members that an edit may change or take out: some for a strict version,
 * some where sealed tokens are among the messages. */
static int may_change(llmux_slice_t name, int strict, int sealed)
{
    static const struct { const char *name; int strict, sealed; } members[] = {
        { "model", 0, 0 }, { "temperature", 1, 0 }, { "top_p", 1, 0 },
        { "top_k", 1, 0 }, { "messages", 1, 0 },    { "messages", 0, 1 },
        { "thinking", 0, 1 }, { "output_config", 0, 1 },
        { "context_management", 0, 1 }
    };
    apr_size_t i;

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (llmux_slice_is(name, members[i].name)
            && members[i].strict <= strict && members[i].sealed <= sealed) {
            return 1;
        }
    }
    return memchr(name.data, '\0', name.len) != NULL;
}

static void check_edited(apr_pool_t *p, llmux_slice_t text,
                         const llmux_head_t *head,
                         const llmux_target_t *target, int strict)
{
    int sealed = llmux_seal_mentioned(llmux_json_raw(head->root));
    const llmux_json_t *v = object(p, text), *m, *other;

    MUST(llmux_slice_equal(llmux_json_str(p, llmux_json_get(v, "model")),
                           target->model));
    MUST(!strict || !llmux_json_get_any(v, "temperature"));
    for (m = llmux_json_first(head->root); m;
         m = llmux_json_next_member(head->root, m)) {
        if (!may_change(llmux_json_str(p, m), strict, sealed)) {
            other = llmux_json_get_any(v, llmux_json_cstr(p, m));
            MUST(llmux_slice_equal(llmux_json_raw(other),
                                   llmux_json_raw(llmux_json_value(m))));
        }
    }
}

static void edit(apr_pool_t *p, const llmux_head_t *head, llmux_slice_t body)
{
    llmux_target_t target = { .name = "fuzz",
                              .model = llmux_slice("a \"model\"") };
    llmux_buf_t *out;
    int i;

    for (i = 0; i < 3; i++) {
        out = llmux_buf_create(p, WRITTEN_MAX);
        target.version = versions[i];
        llmux_dialect_anthropic.edit(out, p, head, body, &target,
                                     llmux_warnings_create(p, 0));
        MUST(!out->failed);
        check_edited(p, llmux_buf_slice(out), head, &target, i == 2);
    }
}

/* What parameters bring in may make a body that is refused after all. */
static int pass(apr_pool_t *p, llmux_slice_t body)
{
    llmux_json_parser_t *parser = llmux_json_parser_create(p);
    llmux_head_t head = { 0 };
    const llmux_error_t *err =
        llmux_dialect_anthropic.head(p, parser, body, &head);
    llmux_slice_t merged;

    if (err) {
        check_error(p, err);
        return 0;
    }
    edit(p, &head, body);
    merged = llmux_head_merge(p, &head, body);
    memset(&head, 0, sizeof(head));
    err = llmux_dialect_anthropic.head(p, parser, merged, &head);
    if (err) {
        check_error(p, err);
        return 0;
    }
    MUST(!head.provider.data && !head.parameters && head.include_usage);
    edit(p, &head, merged);
    return 1;
}

/* ---- understood and written anew ------------------------------------- */

/* What its own dialect writes, its front door reads. */
static void read_again(apr_pool_t *p, const llmux_json_t *written)
{
    const llmux_error_t *err =
        llmux_dialect_anthropic.read(llmux_chat_create(p), written);

    MUST(!err);
}

static void write_for(apr_pool_t *p, const llmux_dialect_t *dialect,
                      const llmux_chat_t *chat, unsigned int can)
{
    llmux_target_t target = { .name = "fuzz", .model = chat->model,
                              .can = can, .max_tokens = 4096 };
    llmux_buf_t *out = llmux_buf_create(p, WRITTEN_MAX);
    llmux_warnings_t *warnings = llmux_warnings_create(p, 0);
    const llmux_error_t *err =
        dialect->write(out, chat, &target, warnings, p);
    const llmux_json_t *written;

    llmux_warnings_header(p, warnings);
    if (err) {
        check_error(p, err);
        return;
    }
    written = object(p, llmux_buf_slice(out));
    if (dialect == &llmux_dialect_anthropic) {
        read_again(p, written);
    }
}

static void check_lost(const llmux_chat_t *chat)
{
    const llmux_extra_t *lost, *other;

    for (lost = chat->lost; lost; lost = lost->next) {
        MUST(lost->name.data != NULL);
        for (other = lost->next; other; other = other->next) {
            MUST(!llmux_slice_equal(lost->name, other->name));
        }
    }
}

static void translate(apr_pool_t *p, const char *version, llmux_slice_t body)
{
    const llmux_dialect_t *const dialects[] = {
        &llmux_dialect_openai, &llmux_dialect_anthropic, &llmux_dialect_gemini
    };
    llmux_chat_t *chat = llmux_chat_create(p);
    const llmux_error_t *err;
    int i;

    chat->version = version;
    err = llmux_dialect_anthropic.read(chat,
                                       llmux_json_parse(p, body, 0, NULL));
    if (err) {
        check_error(p, err);
        return;
    }
    check_lost(chat);
    for (i = 0; i < 3; i++) {
        write_for(p, dialects[i], chat, 0);
        write_for(p, dialects[i], chat, ~0u);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
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
    body.data = (const char *) data + 1;
    body.len = size - 1;
    if (pass(p, body)) {
        translate(p, versions[data[0] % 3], body);
    }
    apr_pool_destroy(p);
    return 0;
}
