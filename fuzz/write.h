/*
 * write.h - fuzzes what is written for a provider. The first byte says whose
 * client the body is from, and more that the target likes to know; the others
 * are the body. Whatever it says, it is written as the provider takes it, or
 * refused with an error that has a status and words.
 */

#ifndef FUZZ_WRITE_H
#define FUZZ_WRITE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>
#include <apr_hash.h>

#include "llmux/dialect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

enum { WRITTEN_MAX = 64 << 20 };

/* The target's own: writes the body, which is an object, and looks at what
 * has come of it. */
static void translate(apr_pool_t *p, int how, const llmux_json_t *body);

static void check_error(const llmux_error_t *err)
{
    MUST(err->message && *err->message);
    MUST(err->status >= 400 && err->status < 600);
}

/* @return NULL when it was refused */
static const llmux_json_t *written(apr_pool_t *p,
                                   const llmux_dialect_t *client,
                                   const llmux_dialect_t *server,
                                   const llmux_target_t *target,
                                   const llmux_json_t *body)
{
    llmux_chat_t *chat = llmux_chat_create(p);
    llmux_buf_t *out = llmux_buf_create(p, WRITTEN_MAX);
    llmux_warnings_t *warnings = llmux_warnings_create(p, 0);
    const llmux_error_t *err = client->read(chat, body);
    const llmux_json_t *v;

    if (!err) {
        err = server->write(out, chat, target, warnings, p);
        llmux_warnings_header(p, warnings);
    }
    if (err) {
        check_error(err);
        return NULL;
    }
    v = llmux_json_parse(p, llmux_buf_slice(out), 0, NULL);
    MUST(llmux_json_kind(v) == LLMUX_JSON_OBJECT);
    return v;
}

static int fuzz_writer(const uint8_t *data, size_t size)
{
    llmux_slice_t text = { (const char *)data + 1, size ? size - 1 : 0 };
    static apr_pool_t *root;
    const llmux_json_t *body;
    apr_pool_t *p;

    if (!root) {
        apr_initialize();
        apr_pool_create(&root, NULL);
    }
    if (!size) {
        return 0;
    }
    apr_pool_create(&p, root);
    body = llmux_json_parse(p, text, 0, NULL);
    if (llmux_json_kind(body) == LLMUX_JSON_OBJECT) {
        translate(p, data[0], body);
    }
    apr_pool_destroy(p);
    return 0;
}

#endif
