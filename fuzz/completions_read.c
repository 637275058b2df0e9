/* completions_read.c - fuzzes all that happens to a client's body of legacy
 * completions: as bytes that pass, understood and written again (which must
 * say the same), and each prompt written for providers of chats.
 *
 * covers: src/dialect/fields.c src/dialect/completions_read.c
 *         src/dialect/completions_edit.c
 *         src/dialect/completions_write.c src/dialect/completions.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#include "llmux/dialect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

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

static void edit(apr_pool_t *p, const llmux_head_t *head, llmux_slice_t body,
                 unsigned int can)
{
    llmux_target_t target = { .name = "fuzz", .can = can };
    llmux_buf_t *out = llmux_buf_create(p, WRITTEN_MAX);
    const llmux_json_t *v;

    target.model = llmux_slice("a \"model\"");
    llmux_dialect_completions.edit(out, p, head, body, &target,
                                  llmux_warnings_create(p, 0));
    MUST(!out->failed);
    v = object(p, llmux_buf_slice(out));
    MUST(llmux_slice_equal(llmux_json_str(p, llmux_json_get(v, "model")),
                           target.model));
    MUST(llmux_slice_equal(
             llmux_json_raw(llmux_json_get_any(v, "prompt")),
             llmux_json_raw(llmux_json_get_any(head->root, "prompt")))
         || !llmux_json_get_any(head->root, "prompt"));
}

static int pass(apr_pool_t *p, llmux_slice_t body)
{
    llmux_head_t head = { 0 };
    const llmux_error_t *err = llmux_dialect_completions.head(
        p, llmux_json_parser_create(p), body, &head);

    if (err) {
        check_error(err);
        return 0;
    }
    MUST(head.messages >= 0);
    edit(p, &head, body, 0);
    edit(p, &head, body, ~0u);
    return 1;
}

/* ---- understood ------------------------------------------------------ */

static void check_chain(const llmux_chat_t *first)
{
    const llmux_chat_t *chat;
    int n = 0;

    for (chat = first; chat; chat = chat->next) {
        MUST(chat->prompt && chat->stop == first->stop);
        MUST(!chat->messages || (chat->messages == chat->last
             && !chat->messages->blocks == (chat->prompt->tokens.data
                                            != NULL)));
        MUST(chat->messages || !first->next);
        MUST(chat->prompt->listed || !first->next);
        n++;
    }
    MUST(n <= LLMUX_PROMPTS_MAX);
}

static llmux_slice_t written(apr_pool_t *p, const llmux_dialect_t *dialect,
                             const llmux_chat_t *chat)
{
    llmux_target_t target = { .name = "fuzz", .can = ~0u, .max_tokens = 99 };
    llmux_buf_t *out = llmux_buf_create(p, WRITTEN_MAX);
    llmux_warnings_t *w = llmux_warnings_create(p, 0);
    const llmux_error_t *err;

    target.model = llmux_slice("m");
    err = dialect->write(out, chat, &target, w, p);
    llmux_warnings_header(p, w);
    if (err) {
        check_error(err);
        return llmux_slice(NULL);
    }
    object(p, llmux_buf_slice(out));
    return llmux_buf_slice(out);
}

/* What was written is read, and written again, as it stands. */
static void write_twice(apr_pool_t *p, const llmux_chat_t *chat)
{
    llmux_slice_t once = written(p, &llmux_dialect_completions, chat);
    llmux_chat_t *again = llmux_chat_create(p);

    MUST(once.data != NULL);
    MUST(!llmux_dialect_completions.read(again, object(p, once)));
    MUST(llmux_slice_equal(once, written(p, &llmux_dialect_completions,
                                         again)));
}

static void translate(apr_pool_t *p, llmux_slice_t body)
{
    static const llmux_target_t target = { .name = "fuzz" };
    llmux_chat_t *chat = llmux_chat_create(p);
    const llmux_error_t *err =
        llmux_dialect_completions.read(chat, object(p, body));
    int n;

    if (err) {
        check_error(err);
        return;
    }
    check_chain(chat);
    write_twice(p, chat);
    llmux_completions_emulated(chat, llmux_warnings_create(p, 0));
    err = llmux_completions_refusal(chat, &target);
    if (err) {
        check_error(err);
        return;
    }
    for (n = 0; chat && n < 8; chat = chat->next, n++) {
        written(p, &llmux_dialect_openai, chat);
        written(p, &llmux_dialect_anthropic, chat);
        written(p, &llmux_dialect_gemini, chat);
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
