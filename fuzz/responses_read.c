/* responses_read.c - fuzzes all that happens to a client's body of Responses:
 * as bytes that pass (head, merge, edit), and understood and written anew for
 * a provider of each dialect.
 *
 * covers: src/dialect/responses.c src/dialect/responses_edit.c
 *         src/dialect/responses_read.c src/dialect/responses_read_items.c
 *         src/dialect/responses_read_parts.c
 *         src/dialect/responses_read_media.c src/dialect/openai_media.c
 *         src/dialect/responses_read_tools.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#include "llmux/dialect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void) 0 : abort())

enum { WRITTEN_MAX = 64 << 20 };

/* An error that a client can be told. */
static void check_error(const llmux_error_t *err)
{
    MUST(err->message && *err->message);
    MUST(err->status >= 400 && err->status < 600);
}

/* ---- bytes that pass ------------------------------------------------- */

/* Our model, and all other members but the input as they were. */
static void check_edited(apr_pool_t *p, llmux_slice_t text,
                         const llmux_head_t *head,
                         const llmux_target_t *target)
{
    const llmux_json_t *v = llmux_json_parse(p, text, 0, NULL), *m;
    llmux_slice_t name;

    MUST(llmux_json_kind(v) == LLMUX_JSON_OBJECT);
    MUST(llmux_slice_equal(llmux_json_str(p, llmux_json_get(v, "model")),
                           target->model));
    MUST(llmux_json_kind(llmux_json_get(v, "input"))
         == llmux_json_kind(llmux_json_get(head->root, "input")));
    for (m = llmux_json_first(head->root); m;
         m = llmux_json_next_member(head->root, m)) {
        name = llmux_json_str(p, m);
        if (!memchr(name.data, '\0', name.len)
            && !llmux_slice_is(name, "model")
            && !llmux_slice_is(name, "input")) {
            MUST(llmux_slice_equal(
                llmux_json_raw(llmux_json_get_any(v, llmux_json_cstr(p, m))),
                llmux_json_raw(llmux_json_value(m))));
        }
    }
}

static void edit(apr_pool_t *p, const llmux_head_t *head, llmux_slice_t body)
{
    llmux_target_t target = { "fuzz", llmux_slice("a \"model\""), 0, 0,
                              NULL };
    llmux_buf_t *out = llmux_buf_create(p, WRITTEN_MAX);

    llmux_dialect_responses.edit(out, p, head, body, &target, NULL);
    MUST(!out->failed);
    check_edited(p, llmux_buf_slice(out), head, &target);
}

/* What parameters bring in may make a body that is refused after all. */
static int pass(apr_pool_t *p, llmux_slice_t body)
{
    llmux_json_parser_t *parser = llmux_json_parser_create(p);
    llmux_head_t head = { 0 };
    const llmux_error_t *err =
        llmux_dialect_responses.head(p, parser, body, &head);
    llmux_slice_t merged;

    if (err) {
        check_error(err);
        return 0;
    }
    edit(p, &head, body);
    merged = llmux_head_merge(p, &head, body);
    head.model = llmux_slice(NULL);
    err = llmux_dialect_responses.head(p, parser, merged, &head);
    if (err) {
        check_error(err);
        return 0;
    }
    edit(p, &head, merged);
    return 1;
}

/* ---- understood and written anew ------------------------------------- */

/* What we write ourselves, we can read. */
static void read_again(apr_pool_t *p, const llmux_json_t *written)
{
    if (llmux_json_count(llmux_json_get(written, "input"))) {
        MUST(!llmux_dialect_responses.read(llmux_chat_create(p), written));
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

    if (err) {
        check_error(err);
        return;
    }
    written = llmux_json_parse(p, llmux_buf_slice(out), 0, NULL);
    MUST(llmux_json_kind(written) == LLMUX_JSON_OBJECT);
    if (dialect == &llmux_dialect_responses) {
        read_again(p, written);
    }
}

static void translate(apr_pool_t *p, llmux_slice_t body)
{
    const llmux_dialect_t *const dialects[] = {
        &llmux_dialect_openai, &llmux_dialect_anthropic,
        &llmux_dialect_gemini, &llmux_dialect_responses
    };
    llmux_chat_t *chat = llmux_chat_create(p);
    const llmux_error_t *err = llmux_dialect_responses.read(
        chat, llmux_json_parse(p, body, 0, NULL));
    unsigned int i;

    if (err) {
        check_error(err);
        return;
    }
    for (i = 0; i < sizeof(dialects) / sizeof(*dialects); i++) {
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
