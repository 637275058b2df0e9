/* openai_read.c - fuzzes all that happens to a client's body of chat
 * completions: as bytes that pass (head, merge, edit), and understood and
 * written anew for a provider of each dialect.
 *
 * covers: src/dialect/head.c src/dialect/openai_edit.c src/dialect/openai_read.c
 *         src/dialect/openai_messages.c src/dialect/openai_parts.c
 *         src/dialect/openai_media.c
 *         src/dialect/reader.c src/dialect/fields.c src/dialect/chat.c
 *         src/dialect/openai_write.c src/dialect/openai_write_messages.c
 *         src/dialect/openai_write_parts.c src/dialect/anthropic_write.c
 *         src/dialect/anthropic_thinking.c src/dialect/anthropic_tools.c
 *         src/dialect/anthropic_turns.c src/dialect/anthropic_content.c
 *         src/dialect/gemini_write.c
 *         src/dialect/gemini_config.c src/dialect/gemini_contents.c
 *         src/dialect/gemini_media.c src/dialect/gemini_tools.c
 *         src/dialect/writer.c src/dialect/ollama_write.c
 *         src/dialect/cohere_write.c src/dialect/cohere_messages.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#include "llmux/dialect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void) 0 : abort())

enum { WRITTEN_MAX = 64 << 20 };

static const llmux_json_t *object(apr_pool_t *p, llmux_slice_t text)
{
    const llmux_json_t *v = llmux_json_parse(p, text, 0, NULL);

    MUST(llmux_json_kind(v) == LLMUX_JSON_OBJECT);
    return v;
}

/* An error that a client can be told. */
static void check_error(const llmux_error_t *err)
{
    MUST(err->message && *err->message);
    MUST(err->status >= 400 && err->status < 600);
}

/* ---- bytes that pass ------------------------------------------------- */

/* Our model, usage asked for, and all other members as they were. */
static void check_edited(apr_pool_t *p, llmux_slice_t text,
                         const llmux_head_t *head,
                         const llmux_target_t *target)
{
    const llmux_json_t *v = object(p, text), *m, *other;
    llmux_slice_t name;

    MUST(llmux_slice_equal(llmux_json_str(p, llmux_json_get(v, "model")),
                           target->model));
    MUST(head->stream != LLMUX_YES
         || llmux_json_bool(llmux_json_get(
                llmux_json_get(v, "stream_options"), "include_usage"))
                == LLMUX_YES);
    for (m = llmux_json_first(head->root); m;
         m = llmux_json_next_member(head->root, m)) {
        name = llmux_json_str(p, m);
        if (memchr(name.data, '\0', name.len) || llmux_slice_is(name, "model")
            || llmux_slice_is(name, "stream_options")) {
            continue;
        }
        other = llmux_json_get_any(v, llmux_json_cstr(p, m));
        MUST(llmux_slice_equal(llmux_json_raw(other),
                               llmux_json_raw(llmux_json_value(m))));
    }
}

/* Roles and the limit's name stay, so that the two can be compared. */
#define ALL_EDITS (LLMUX_CAN_STREAM_USAGE | LLMUX_CAN_MAX_COMPLETION \
                   | LLMUX_CAN_DEVELOPER)

static void edit(apr_pool_t *p, const llmux_head_t *head,
                 llmux_slice_t body)
{
    llmux_target_t target = { "fuzz", llmux_slice("a \"model\""),
                              ALL_EDITS, 0, NULL };
    llmux_buf_t *out = llmux_buf_create(p, WRITTEN_MAX);

    llmux_dialect_openai.edit(out, p, head, body, &target,
                              llmux_warnings_create(p, 0));
    MUST(!out->failed);
    check_edited(p, llmux_buf_slice(out), head, &target);
    target.can = 0;
    llmux_buf_reset(out);
    llmux_dialect_openai.edit(out, p, head, body, &target,
                              llmux_warnings_create(p, 0));
    MUST(!out->failed && llmux_json_is_object(p, llmux_buf_slice(out)));
}

/* What parameters bring in may make a body that is refused after all. */
static int pass(apr_pool_t *p, llmux_slice_t body)
{
    llmux_json_parser_t *parser = llmux_json_parser_create(p);
    llmux_head_t head = { 0 };
    const llmux_error_t *err = llmux_dialect_openai.head(p, parser, body, &head);
    llmux_slice_t merged;

    if (err) {
        check_error(err);
        return 0;
    }
    edit(p, &head, body);
    merged = llmux_head_merge(p, &head, body);
    object(p, merged);
    MUST(merged.len <= body.len);
    err = llmux_dialect_openai.head(p, parser, merged, &head);
    if (err) {
        check_error(err);
        return 0;
    }
    MUST(!head.provider.data && !head.parameters);
    edit(p, &head, merged);
    return 1;
}

/* ---- understood and written anew ------------------------------------- */

static void read_again(apr_pool_t *p, const llmux_json_t *written)
{
    const llmux_error_t *err;

    /* only an answer to no call, which is dropped, leaves no message */
    if (llmux_json_count(llmux_json_get(written, "messages"))) {
        err = llmux_dialect_openai.read(llmux_chat_create(p), written);
        MUST(!err);
    }
}

static void write_for(apr_pool_t *p, const llmux_dialect_t *dialect,
                      const llmux_chat_t *chat, unsigned int can)
{
    llmux_target_t target = { "fuzz", chat->model, can, 4096, NULL };
    llmux_buf_t *out = llmux_buf_create(p, WRITTEN_MAX);
    llmux_warnings_t *warnings = llmux_warnings_create(p, 0);
    const llmux_error_t *err =
        dialect->write(out, chat, &target, warnings, p);
    const llmux_json_t *written;

    llmux_warnings_header(p, warnings);
    if (err) {
        check_error(err);
        return;
    }
    written = object(p, llmux_buf_slice(out));
    if (dialect == &llmux_dialect_openai) {
        read_again(p, written);
    }
}

static void translate(apr_pool_t *p, llmux_slice_t body)
{
    const llmux_dialect_t *const dialects[] = {
        &llmux_dialect_openai, &llmux_dialect_anthropic, &llmux_dialect_gemini,
        &llmux_dialect_ollama, &llmux_dialect_cohere
    };
    llmux_chat_t *chat = llmux_chat_create(p);
    const llmux_error_t *err =
        llmux_dialect_openai.read(chat, llmux_json_parse(p, body, 0, NULL));
    size_t i;

    if (err) {
        check_error(err);
        return;
    }
    for (i = 0; i < sizeof(dialects) / sizeof(dialects[0]); i++) {
        write_for(p, dialects[i], chat, 0);
        write_for(p, dialects[i], chat, ~0u);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    llmux_slice_t body = { (const char *) data, size };
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
