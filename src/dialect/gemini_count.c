/* gemini_count.c - Google counts the tokens of a request to generateContent:
 * POST /v1beta/models/MODEL:countTokens.
 *
 * The body has the contents alone, or all of the request within the member
 * `generateContentRequest`. Vertex AI does not know that member, but takes
 * some others beside the contents. */

#include <string.h>

#include <apr_strings.h>

#include "count.h"
#include "gemini.h"
#include "head.h"

#define WRAPPER "generateContentRequest"
#define WRAPPER_SNAKE "generate_content_request"

/* What we look at must be what the provider looks at. */
static const char *const names[] = {
    "model", "contents", WRAPPER, WRAPPER_SNAKE, NULL
};

/* ---- the request in the request -------------------------------------- */

static const llmux_json_t *wrapped(const llmux_json_t *body)
{
    const llmux_json_t *v = llmux_json_get(body, WRAPPER);

    return v ? v : llmux_json_get(body, WRAPPER_SNAKE);
}

/* "contents[0]" is to be found in what it stands in. */
static const llmux_error_t *within(apr_pool_t *p, const llmux_error_t *err)
{
    llmux_error_t *copy;

    if (!err || !err->param) {
        return err;
    }
    copy = apr_pmemdup(p, err, sizeof(*err));
    copy->param = apr_pstrcat(p, WRAPPER ".", err->param, NULL);
    return copy;
}

/* ---- head ------------------------------------------------------------ */

/* Its model is the path's, or its own where there is no path. */
static const llmux_error_t *head_within(apr_pool_t *p, llmux_slice_t body,
                                        llmux_head_t *head)
{
    const llmux_error_t *err;
    llmux_head_t inner = { .model = head->model };

    err = llmux_gemini_head(p, llmux_json_parser_create(p), body, &inner);
    head->model = inner.model;
    head->messages = inner.messages;
    return within(p, err);
}

static void refuse_both(llmux_reader_t *r, const llmux_at_t *root,
                        const llmux_json_t *body)
{
    llmux_at_t here = llmux_at(root, "contents");

    if (llmux_json_get(body, "contents")
        || (llmux_json_get(body, WRAPPER)
            && llmux_json_get(body, WRAPPER_SNAKE))) {
        llmux_reader_fail(r, &here, "expected nothing beside '%s'", WRAPPER);
    }
}

static const llmux_error_t *head_wrapped(apr_pool_t *p, llmux_slice_t body,
                                         llmux_json_parser_t *parser,
                                         llmux_head_t *head)
{
    llmux_reader_t r = { NULL, p, NULL };
    llmux_at_t root = llmux_at(NULL, NULL), at = llmux_at(&root, WRAPPER);
    const llmux_json_t *v;

    llmux_head_begin(&r, parser, body, names, head);
    v = wrapped(head->root);
    refuse_both(&r, &root, head->root);
    if (!r.err && llmux_reader_expect(&r, &at, v, LLMUX_JSON_OBJECT)) {
        r.err = head_within(p, llmux_json_raw(v), head);
    }
    if (!r.err) {
        llmux_head_model(&r, &root, head);
        llmux_head_ours(&r, &root, names, head);
    }
    return r.err;
}

static const llmux_error_t *head(apr_pool_t *p, llmux_json_parser_t *parser,
                                 llmux_slice_t body, llmux_head_t *head)
{
    const llmux_error_t *err;

    if (wrapped(llmux_json_parse_again(parser, body, 1, NULL))) {
        err = head_wrapped(p, body, parser, head);
    }
    else {
        err = llmux_gemini_head(p, parser, body, head);
    }
    head->stream = LLMUX_NO;
    head->include_usage = 0;
    return err;
}

/* ---- edit and write --------------------------------------------------- */

/* What Vertex AI takes beside the contents. */
static const char *const taken[] = {
    "contents", "systemInstruction", "system_instruction", "tools",
    "generationConfig", "generation_config", NULL
};

/* ... and what else a chat has that counts nothing. */
static const char *const uncounted[] = {
    "model", "toolConfig", "tool_config", "safetySettings", "safety_settings",
    "serviceTier", "service_tier", "labels", "store", NULL
};

static const char *const nothing[] = { NULL };

static int contents_alone(const llmux_json_t *v)
{
    return llmux_json_count(v) == 1 && llmux_json_get_any(v, "contents");
}

/* The member `model`, with the word that Google puts before it. */
static const char *model_of(apr_pool_t *p, const llmux_target_t *target)
{
    llmux_buf_t *out = llmux_buf_create(p, LLMUX_MESSAGE_MAX);
    llmux_slice_t name = target->model;

    llmux_buf_adds(out, "\"model\":\"");
    if (!name.len || !memchr(name.data, '/', name.len)) {
        llmux_buf_adds(out, "models/");
    }
    llmux_json_escape(out, name);
    llmux_buf_adds(out, "\"");
    return llmux_slice_str(p, llmux_buf_slice(out));
}

/* A request to generateContent, in the form that the server takes. */
static void put(llmux_buf_t *out, apr_pool_t *p, llmux_slice_t chat,
                const llmux_target_t *target, int wrap)
{
    const llmux_json_t *v = llmux_json_parse(p, chat, 1, NULL);

    if (target->vertex) {
        llmux_count_keep(out, p, v, taken, NULL);
    }
    else if (wrap || !contents_alone(v)) {
        llmux_buf_adds(out, "{\"" WRAPPER "\":");
        llmux_count_drop(out, p, chat, v, nothing, model_of(p, target));
        llmux_buf_adds(out, "}");
    }
    else {
        llmux_buf_add_slice(out, chat);
    }
}

/* What Vertex AI takes of it, for a closer look. */
static llmux_slice_t cut(apr_pool_t *p, llmux_head_t *head,
                         llmux_slice_t body, llmux_warnings_t *w)
{
    llmux_buf_t *out = llmux_buf_create(p, body.len);

    llmux_count_tell(p, head->root, taken, uncounted, w);
    llmux_count_keep(out, p, head->root, taken, NULL);
    head->root = llmux_json_parse(p, llmux_buf_slice(out), 2, NULL);
    return llmux_buf_slice(out);
}

static void edit(llmux_buf_t *out, apr_pool_t *scratch,
                 const llmux_head_t *head, llmux_slice_t body,
                 const llmux_target_t *target, llmux_warnings_t *w)
{
    llmux_buf_t *chat = llmux_buf_create(scratch, out->max);
    const llmux_json_t *v = wrapped(head->root);
    llmux_head_t inner = *head;

    if (v) {
        body = llmux_json_raw(v);
        inner.root = llmux_json_parse(scratch, body, 2, NULL);
    }
    if (target->vertex) {
        body = cut(scratch, &inner, body, w);
        llmux_gemini_edit(out, scratch, &inner, body, target, w);
        return;
    }
    llmux_gemini_edit(chat, scratch, &inner, body, target, w);
    put(out, scratch, llmux_buf_slice(chat), target, v != NULL);
    out->failed |= chat->failed;
}

/* Writers say that there is nothing to configure. */
static llmux_slice_t without_empty(apr_pool_t *p, llmux_slice_t chat)
{
    static const char *const config[] = { "generationConfig", NULL };
    const llmux_json_t *v = llmux_json_parse(p, chat, 2, NULL);
    llmux_buf_t *out;

    if (!v || llmux_json_count(llmux_json_get(v, config[0]))) {
        return chat;
    }
    out = llmux_buf_create(p, chat.len);
    llmux_count_drop(out, p, chat, v, config, NULL);
    return llmux_buf_slice(out);
}

static const llmux_error_t *write_count(llmux_buf_t *out,
                                        const llmux_chat_t *chat,
                                        const llmux_target_t *target,
                                        llmux_warnings_t *w,
                                        apr_pool_t *scratch)
{
    llmux_buf_t *body = llmux_buf_create(scratch, out->max);
    llmux_chat_t plain = llmux_count_chat(chat);
    const llmux_error_t *err =
        llmux_gemini_write(body, &plain, target, w, scratch);

    if (!err) {
        put(out, scratch, without_empty(scratch, llmux_buf_slice(body)),
            target, 0);
        out->failed |= body->failed;
    }
    return err;
}

static const llmux_error_t *read_body(llmux_chat_t *chat,
                                      const llmux_json_t *body)
{
    const llmux_json_t *v = wrapped(body);

    return v ? within(chat->pool, llmux_gemini_read(chat, v))
             : llmux_gemini_read(chat, body);
}

/* ---- answers --------------------------------------------------------- */

static apr_int64_t number(const llmux_json_t *body, const char *name)
{
    apr_int64_t n = llmux_json_int(llmux_json_get(body, name), -1);

    return n < 0 ? -1 : n;
}

/* proto3 leaves out what is 0; the object is Google's all the same. */
static int read_count(llmux_usage_t *to, const llmux_json_t *body)
{
    apr_int64_t total = number(body, "totalTokens");
    apr_int64_t cached = number(body, "cachedContentTokenCount");

    if (llmux_json_kind(body) != LLMUX_JSON_OBJECT
        || (total < 0 && llmux_json_count(body))) {
        return 0;
    }
    total = total < 0 ? 0 : total;
    to->cache_read = cached > total ? total : cached;
    to->input = total - (to->cache_read > 0 ? to->cache_read : 0);
    return 1;
}

static void write_answer(llmux_jw_t *w, const llmux_usage_t *usage)
{
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "totalTokens");
    llmux_jw_int(w, llmux_usage_input(usage));
    if (usage->cache_read > 0) {
        llmux_jw_key(w, "cachedContentTokenCount");
        llmux_jw_int(w, usage->cache_read);
    }
    llmux_jw_close(w, '}');
}

static const llmux_count_t count = {
    read_count, write_answer, llmux_gemini_error_read
};

static llmux_decoder_t *decoder(apr_pool_t *p, const llmux_env_t *env,
                                llmux_emit_fn emit, void *baton)
{
    return llmux_count_decoder(p, env, emit, baton, &count);
}

static llmux_encoder_t *encoder(apr_pool_t *p, const llmux_encode_t *how)
{
    return llmux_count_encoder(p, &count);
}

const llmux_dialect_t llmux_dialect_gemini_count = {
    .name = "gemini-count",
    .op = LLMUX_OP_COUNT,
    .path = ":countTokens",
    .id_prefix = "",
    .head = head,
    .edit = edit,
    .read = read_body,
    .write = write_count,
    .decoder = decoder,
    .encoder = encoder,
    .error_read = llmux_gemini_error_read,
    .error_write = llmux_gemini_error_write,
    .error_status = llmux_gemini_error_status
};
