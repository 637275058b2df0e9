/* gemini_read.c - fuzzes all that happens to a client's body of
 * generateContent: as bytes that pass (head, merge, edit), and understood and
 * written anew for a provider of each dialect. What Gemini's own writer makes
 * of it must be read as the same conversation again.
 *
 * covers: src/dialect/gemini_edit.c src/dialect/gemini_read.c
 *         src/dialect/gemini_read_config.c src/dialect/gemini_read_contents.c
 *         src/dialect/gemini_read_parts.c src/dialect/gemini_read_schema.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#include "dialect/gemini.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

enum { WRITTEN_MAX = 64 << 20 };

static const llmux_json_t *object(apr_pool_t *p, llmux_slice_t text)
{
    const llmux_json_t *v = llmux_json_parse(p, text, 0, NULL);

    MUST(llmux_json_kind(v) == LLMUX_JSON_OBJECT);
    return v;
}

/* An error that a client can be told, and can read. */
static void check_error(apr_pool_t *p, const llmux_error_t *err)
{
    llmux_buf_t *out = llmux_buf_create(p, WRITTEN_MAX);

    MUST(err->message && *err->message);
    MUST(err->status >= 400 && err->status < 600);
    llmux_gemini_error_write(out, err, "id");
    object(p, llmux_buf_slice(out));
}

/* ---- bytes that pass ------------------------------------------------- */

/* All members but `model` and the conversation are as they were, and nobody
 * else's signature is left in that. */
static void check_edited(apr_pool_t *p, llmux_slice_t text,
                         const llmux_head_t *head)
{
    const llmux_json_t *v = object(p, text), *m, *other;
    llmux_slice_t name;

    MUST(!llmux_json_get_any(v, "model"));
    for (m = llmux_json_first(head->root); m;
         m = llmux_json_next_member(head->root, m)) {
        name = llmux_json_str(p, m);
        if (memchr(name.data, '\0', name.len) || llmux_slice_is(name, "model")
            || llmux_slice_is(name, "contents")) {
            continue;
        }
        other = llmux_json_get_any(v, llmux_json_cstr(p, m));
        MUST(llmux_slice_equal(llmux_json_raw(other),
                               llmux_json_raw(llmux_json_value(m))));
    }
}

static void edit(apr_pool_t *p, const llmux_head_t *head, llmux_slice_t body)
{
    static const char *const models[] = { "gemini-2.5-pro", "gemini-3-pro" };
    llmux_target_t target = { "fuzz", { NULL, 0 }, 0, 0, NULL };
    llmux_buf_t *out;
    int i;

    for (i = 0; i < 2; i++) {
        out = llmux_buf_create(p, WRITTEN_MAX);
        target.model = llmux_slice(models[i]);
        llmux_dialect_gemini.edit(out, p, head, body, &target, NULL);
        MUST(!out->failed);
        check_edited(p, llmux_buf_slice(out), head);
    }
}

static const llmux_error_t *read_head(apr_pool_t *p,
                                      llmux_json_parser_t *parser,
                                      llmux_slice_t body, llmux_head_t *head)
{
    memset(head, 0, sizeof(*head));
    head->model = llmux_slice("m");
    return llmux_dialect_gemini.head(p, parser, body, head);
}

/* What parameters bring in may make a body that is refused after all. */
static int pass(apr_pool_t *p, llmux_slice_t body)
{
    llmux_json_parser_t *parser = llmux_json_parser_create(p);
    llmux_head_t head;
    const llmux_error_t *err = read_head(p, parser, body, &head);
    llmux_slice_t merged;

    if (err) {
        check_error(p, err);
        return 0;
    }
    edit(p, &head, body);
    merged = llmux_head_merge(p, &head, body);
    object(p, merged);
    err = read_head(p, parser, merged, &head);
    if (err) {
        check_error(p, err);
        return 0;
    }
    MUST(!head.provider.data && !head.parameters);
    edit(p, &head, merged);
    return 1;
}

/* ---- understood and written anew ------------------------------------- */

/* Pieces and ids may change, the words of the conversation not. */
static void note_words(llmux_buf_t *out, const llmux_block_t *b)
{
    for (; b; b = b->next) {
        if (b->kind == LLMUX_BLOCK_TEXT) {
            llmux_buf_add_slice(out, b->text);
        }
        else if (b->kind == LLMUX_BLOCK_CALL) {
            llmux_buf_add_slice(out, b->call->name);
        }
    }
}

static llmux_slice_t words(apr_pool_t *p, const llmux_chat_t *chat)
{
    llmux_buf_t *out = llmux_buf_create(p, WRITTEN_MAX);
    const llmux_message_t *m;

    for (m = chat->messages; m; m = m->next) {
        if (m->role == LLMUX_ROLE_ASSISTANT) {
            note_words(out, m->blocks);
        }
    }
    return llmux_buf_slice(out);
}

static void read_again(apr_pool_t *p, const llmux_chat_t *chat,
                       const llmux_json_t *written)
{
    llmux_chat_t *again = llmux_chat_create(p);

    MUST(!llmux_dialect_gemini.read(again, written));
    MUST(llmux_slice_equal(words(p, again), words(p, chat)));
}

static void write_for(apr_pool_t *p, const llmux_dialect_t *dialect,
                      const llmux_chat_t *chat, unsigned int can)
{
    llmux_target_t target = { "fuzz", llmux_slice("gemini-3-pro"), can, 4096,
                              NULL };
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
    if (dialect == &llmux_dialect_gemini) {
        read_again(p, chat, written);
    }
}

static void translate(apr_pool_t *p, llmux_slice_t body)
{
    const llmux_dialect_t *const dialects[] = {
        &llmux_dialect_openai, &llmux_dialect_anthropic, &llmux_dialect_gemini
    };
    llmux_chat_t *chat = llmux_chat_create(p);
    const llmux_error_t *err =
        llmux_dialect_gemini.read(chat, llmux_json_parse(p, body, 0, NULL));
    int i;

    if (err) {
        check_error(p, err);
        return;
    }
    chat->model = llmux_slice("m");
    for (i = 0; i < 3; i++) {
        write_for(p, dialects[i], chat, 0);
        write_for(p, dialects[i], chat, ~0u);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    llmux_slice_t body = { (const char *)data, size };
    static apr_pool_t *root;
    apr_pool_t *p;

    if (!root) {
        apr_initialize();
        apr_pool_create(&root, NULL);
    }
    apr_pool_create(&p, root);
    if (pass(p, body)) {
        translate(p, body);
    }
    apr_pool_destroy(p);
    return 0;
}
