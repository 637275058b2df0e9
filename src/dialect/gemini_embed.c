/* gemini_embed.c - embedContent and batchEmbedContents as dialects: bytes
 * that pass, requests to Google, answers in both directions. */

#include <string.h>

#include "embed.h"
#include "gemini.h"
#include "gemini_embed.h"
#include "head.h"

/* ---- the head --------------------------------------------------------- */

/* What we look at must be what the provider looks at. */
static const char *const names[] = {
    "model", "content", "requests", "taskType", "task_type", "title",
    "outputDimensionality", "output_dimensionality", NULL
};

static llmux_reader_t begin_head(apr_pool_t *p, llmux_json_parser_t *parser,
                                 llmux_slice_t body, llmux_head_t *head)
{
    llmux_reader_t r = { NULL, p, NULL };
    llmux_at_t root = llmux_at(NULL, NULL);

    llmux_head_begin(&r, parser, body, names, head);
    if (!r.err) {
        llmux_head_model(&r, &root, head);
        llmux_gemini_bare_model(head);
        llmux_head_ours(&r, &root, names, head);
    }
    return r;
}

static const llmux_error_t *head_of_one(apr_pool_t *p,
                                        llmux_json_parser_t *parser,
                                        llmux_slice_t body,
                                        llmux_head_t *head)
{
    llmux_reader_t r = begin_head(p, parser, body, head);
    llmux_at_t root = llmux_at(NULL, NULL);

    if (!r.err) {
        llmux_reader_need(&r, &root, head->root, "content",
                          LLMUX_JSON_OBJECT);
        head->messages = 1;
    }
    return r.err;
}

static int is_model(apr_pool_t *p, const llmux_json_t *v,
                    llmux_slice_t model)
{
    llmux_head_t named = { .model = llmux_json_str(p, v) };

    llmux_gemini_bare_model(&named);
    return llmux_slice_equal(named.model, model);
}

/* All of a batch is for one model; null names none. */
static void check_request(llmux_reader_t *r, const llmux_at_t *at,
                          const llmux_json_t *request, llmux_slice_t model,
                          apr_pool_t *scratch)
{
    llmux_at_t here = llmux_at(at, "model");
    const llmux_json_t *m, *v;

    for (m = llmux_json_first(request); m;
         m = llmux_json_next_member(request, m)) {
        v = llmux_json_value(m);
        if (llmux_json_is(m, "model")
            && llmux_json_kind(v) != LLMUX_JSON_NULL
            && !is_model(scratch, v, model)) {
            llmux_reader_fail(r, &here, "expected '%.256s', which the path "
                              "names, found %s",
                              llmux_slice_str(r->pool, model),
                              llmux_reader_found(r, v));
        }
    }
}

/* What is no request is told of when the body is read. */
static void check_requests(llmux_reader_t *r, const llmux_at_t *at,
                           const llmux_json_t *list, llmux_slice_t model,
                           apr_pool_t *scratch)
{
    const llmux_json_t *e;
    llmux_at_t each;
    int i = 0;

    if (llmux_json_kind(list) == LLMUX_JSON_OBJECT) {
        check_request(r, at, list, model, scratch);
        return;
    }
    for (e = llmux_json_first(list); e && !r->err;
         e = llmux_json_next(list, e)) {
        each = llmux_at_index(at, i++);
        if (llmux_json_kind(e) == LLMUX_JSON_OBJECT) {
            check_request(r, &each, e, model, scratch);
        }
    }
}

/* Nobody's wish for another model is overruled in silence. */
static void check_models(llmux_reader_t *r, const llmux_at_t *at,
                         const llmux_json_t *requests, llmux_slice_t model)
{
    apr_pool_t *scratch;

    apr_pool_create(&scratch, r->pool);
    check_requests(r, at, llmux_json_parse(scratch, llmux_json_raw(requests),
                                           2, NULL), model, scratch);
    apr_pool_destroy(scratch);
}

static const llmux_error_t *head_of_batch(apr_pool_t *p,
                                          llmux_json_parser_t *parser,
                                          llmux_slice_t body,
                                          llmux_head_t *head)
{
    llmux_reader_t r = begin_head(p, parser, body, head);
    llmux_at_t root = llmux_at(NULL, NULL), at = llmux_at(&root, "requests");
    const llmux_json_t *v;

    if (!r.err) {
        v = llmux_json_get_any(head->root, "requests");
        head->messages = llmux_json_kind(v) == LLMUX_JSON_OBJECT
            ? 1 : llmux_json_count(v);
        if (llmux_json_kind(v) != LLMUX_JSON_OBJECT) {
            llmux_reader_expect(&r, &at, v, LLMUX_JSON_ARRAY);
        }
        if (!head->messages) {
            llmux_reader_fail(&r, &at, "expected at least one request");
        }
    }
    if (!r.err) {
        check_models(&r, &at, v, head->model);
    }
    return r.err;
}

/* ---- bytes that pass -------------------------------------------------- */

/* The path has the model. */
static void edit_one(llmux_buf_t *out, apr_pool_t *scratch,
                     const llmux_head_t *head, llmux_slice_t body,
                     const llmux_target_t *target, llmux_warnings_t *w)
{
    llmux_edits_t edits;

    llmux_edits_init(&edits, scratch, w);
    llmux_edit_drop(&edits, "model");
    llmux_edits_apply(&edits, out, head->root, body, target->model);
}

/* As requests in a batch must name it. */
static void put_model(llmux_jw_t *w, apr_pool_t *p, llmux_slice_t model)
{
    int whole = llmux_slice_starts(model, "models/")
        || llmux_slice_starts(model, "tunedModels/");
    llmux_buf_t *name = llmux_buf_create(p, sizeof("models/") + model.len);

    llmux_buf_adds(name, whole ? "" : "models/");
    llmux_buf_add_slice(name, model);
    llmux_jw_str(w, llmux_buf_slice(name));
}

/* Every model that a request names becomes the target's; one that names none
 * is given it. */
static void edit_request(llmux_edits_t *edits, const llmux_json_t *request,
                         const char *quoted, const char *member)
{
    const llmux_json_t *m;
    int named = 0;

    for (m = llmux_json_first(request); m;
         m = llmux_json_next_member(request, m)) {
        if (llmux_json_is(m, "model")) {
            llmux_edit_replace(edits, llmux_json_value(m), quoted);
            named = 1;
        }
    }
    if (!named) {
        llmux_edit_insert(edits, request, member);
    }
}

static void edit_batch(llmux_buf_t *out, apr_pool_t *scratch,
                       const llmux_head_t *head, llmux_slice_t body,
                       const llmux_target_t *target, llmux_warnings_t *w)
{
    llmux_buf_t *member = llmux_buf_create(scratch, LLMUX_BODY_DEFAULT);
    const llmux_json_t *list, *e;
    llmux_edits_t edits;
    llmux_jw_t jw = llmux_jw(member);

    llmux_jw_key(&jw, "model");
    put_model(&jw, scratch, target->model);
    list = llmux_json_parse(
        scratch, llmux_json_raw(llmux_json_get(head->root, "requests")), 2,
        NULL);
    llmux_edits_init(&edits, scratch, w);
    llmux_edit_drop(&edits, "model");
    if (llmux_json_kind(list) == LLMUX_JSON_OBJECT) {
        edit_request(&edits, list, strchr(member->data, ':') + 1,
                     member->data);
    }
    else {
        for (e = llmux_json_first(list); e; e = llmux_json_next(list, e)) {
            if (llmux_json_kind(e) == LLMUX_JSON_OBJECT) {
                edit_request(&edits, e, strchr(member->data, ':') + 1,
                             member->data);
            }
        }
    }
    llmux_edits_apply(&edits, out, head->root, body, target->model);
}

/* ---- requests --------------------------------------------------------- */

/* These take the task as a part of the text. */
static int asks_in_words(llmux_slice_t model)
{
    static const char name[] = "embedding-2";

    return model.data && memmem(model.data, model.len, name,
                                sizeof(name) - 1);
}

static void write_media(llmux_writer_t *w, const llmux_input_t *in)
{
    llmux_gemini_out_t o = { .chat = w->chat, .target = w->target };

    o.w = w->jw;
    o.model = llmux_gemini_model(w->target->model);
    o.warn = w->warnings;
    o.scratch = w->pool;
    if (!w->err) {
        w->err = llmux_gemini_media(&o, in->media, in->param);
    }
    w->jw = o.w;
}

static void write_content(llmux_writer_t *w, const llmux_input_t *in)
{
    llmux_slice_t text = asks_in_words(w->target->model)
        ? llmux_embed_prompt(w, in) : in->text;

    llmux_embed_refuse_tokens(w, in);
    llmux_jw_key(&w->jw, "content");
    llmux_jw_open(&w->jw, '{');
    llmux_jw_key(&w->jw, "parts");
    llmux_jw_open(&w->jw, '[');
    if (text.len || !in->media) {
        llmux_jw_open(&w->jw, '{');
        llmux_jw_key(&w->jw, "text");
        llmux_jw_str(&w->jw, text.data ? text : llmux_slice(""));
        llmux_jw_close(&w->jw, '}');
    }
    if (in->media) {
        write_media(w, in);
    }
    llmux_jw_close(&w->jw, ']');
    llmux_jw_close(&w->jw, '}');
}

/* The members of one request, but for its model. */
static void write_members(llmux_writer_t *w, const llmux_input_t *in)
{
    int native = !asks_in_words(w->target->model);

    write_content(w, in);
    if (native) {
        llmux_jw_opt_str(&w->jw, "taskType", in->task);
        llmux_jw_opt_str(&w->jw, "title", in->title);
    }
    llmux_jw_opt_raw(&w->jw, "outputDimensionality",
                     w->chat->embed->dimensions);
}

static const llmux_error_t *write_one(llmux_buf_t *out,
                                      const llmux_chat_t *chat,
                                      const llmux_target_t *target,
                                      llmux_warnings_t *warnings,
                                      apr_pool_t *scratch)
{
    llmux_writer_t w = llmux_writer(out, chat, target, warnings, scratch);

    if (llmux_embed_input(chat, 1)) {
        llmux_writer_refuse(&w, llmux_embed_input(chat, 1)->param,
                            "%s takes one input in a request.",
                            target->name);
    }
    llmux_jw_open(&w.jw, '{');
    write_members(&w, llmux_embed_input(chat, 0));
    llmux_jw_close(&w.jw, '}');
    llmux_embed_leave_out(&w, LLMUX_EMBED_TASK | LLMUX_EMBED_TITLE);
    return llmux_writer_end(&w);
}

static const llmux_error_t *write_batch(llmux_buf_t *out,
                                        const llmux_chat_t *chat,
                                        const llmux_target_t *target,
                                        llmux_warnings_t *warnings,
                                        apr_pool_t *scratch)
{
    llmux_writer_t w = llmux_writer(out, chat, target, warnings, scratch);
    const llmux_input_t *in;

    llmux_jw_open(&w.jw, '{');
    llmux_jw_key(&w.jw, "requests");
    llmux_jw_open(&w.jw, '[');
    for (in = llmux_embed_first(chat); in; in = llmux_embed_next(chat, in)) {
        llmux_jw_open(&w.jw, '{');
        llmux_jw_key(&w.jw, "model");
        put_model(&w.jw, scratch, target->model);
        write_members(&w, in);
        llmux_jw_close(&w.jw, '}');
    }
    llmux_jw_close(&w.jw, ']');
    llmux_jw_close(&w.jw, '}');
    llmux_embed_leave_out(&w, LLMUX_EMBED_TASK | LLMUX_EMBED_TITLE);
    return llmux_writer_end(&w);
}

/* ---- answers in ------------------------------------------------------- */

static void read_usage(llmux_embed_decoder_t *d, const llmux_json_t *body)
{
    const llmux_json_t *usage = llmux_json_get(body, "usageMetadata");

    llmux_embed_usage(d, llmux_json_int(
        llmux_json_get(usage, "promptTokenCount"), -1));
}

/* Either shape, whatever was asked for. */
static void read_answer(llmux_embed_decoder_t *d, const llmux_json_t *body)
{
    const llmux_json_t *list = llmux_json_get(body, "embeddings");
    const llmux_json_t *one = llmux_json_get(body, "embedding"), *e;

    llmux_embed_start(d, NULL, NULL);
    if (one) {
        llmux_embed_vector(d, 0, llmux_json_get(one, "values"));
    }
    for (e = one ? NULL : llmux_json_element(list); e && !d->base.ended;
         e = llmux_json_next(list, e)) {
        llmux_embed_vector(d, d->count, llmux_json_get(e, "values"));
    }
    read_usage(d, body);
}

static llmux_decoder_t *decoder(apr_pool_t *p, const llmux_env_t *env,
                                llmux_emit_fn emit, void *baton)
{
    static const llmux_embed_answer_t answer = { 3, read_answer,
                                                 llmux_gemini_error_read };

    return llmux_embed_decoder(p, env, emit, baton, &answer);
}

/* ---- answers out ------------------------------------------------------ */

static void write_vector(llmux_jw_t *w, llmux_slice_t vector)
{
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "values");
    llmux_jw_raw(w, vector.data ? vector : llmux_slice("[]"));
    llmux_jw_close(w, '}');
}

static void write_usage(llmux_jw_t *w, apr_int64_t input)
{
    if (input < 0) {
        return;
    }
    llmux_jw_key(w, "usageMetadata");
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "promptTokenCount");
    llmux_jw_int(w, input);
    llmux_jw_close(w, '}');
}

static void write_answer(llmux_jw_t *w, const llmux_embed_said_t *said)
{
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "embedding");
    write_vector(w, said->vectors->nelts
                 ? APR_ARRAY_IDX(said->vectors, 0, llmux_slice_t)
                 : llmux_slice(NULL));
    write_usage(w, said->input);
    llmux_jw_close(w, '}');
}

/* The place in the list is all that tells whose vector it is. */
static void write_answers(llmux_jw_t *w, const llmux_embed_said_t *said)
{
    int i;

    llmux_jw_open(w, '{');
    llmux_jw_key(w, "embeddings");
    llmux_jw_open(w, '[');
    for (i = 0; i < said->vectors->nelts; i++) {
        write_vector(w, APR_ARRAY_IDX(said->vectors, i, llmux_slice_t));
    }
    llmux_jw_close(w, ']');
    write_usage(w, said->input);
    llmux_jw_close(w, '}');
}

static llmux_encoder_t *encoder_of_one(apr_pool_t *p,
                                       const llmux_encode_t *how)
{
    return llmux_embed_encoder(p, how, 0, write_answer);
}

static llmux_encoder_t *encoder_of_batch(apr_pool_t *p,
                                         const llmux_encode_t *how)
{
    return llmux_embed_encoder(p, how, 0, write_answers);
}

/* ---- the tables ------------------------------------------------------- */

const llmux_dialect_t llmux_dialect_gemini_embed = {
    .name = "gemini-embed",
    .op = LLMUX_OP_EMBED,
    .path = ":embedContent",
    .id_prefix = "",
    .head = head_of_one,
    .edit = edit_one,
    .read = llmux_gemini_embed_read,
    .write = write_one,
    .decoder = decoder,
    .encoder = encoder_of_one,
    .error_read = llmux_gemini_error_read,
    .error_write = llmux_gemini_error_write,
    .error_status = llmux_gemini_error_status
};

const llmux_dialect_t llmux_dialect_gemini_batch_embed = {
    .name = "gemini-batch-embed",
    .op = LLMUX_OP_EMBED,
    .path = ":batchEmbedContents",
    .id_prefix = "",
    .head = head_of_batch,
    .edit = edit_batch,
    .read = llmux_gemini_batch_embed_read,
    .write = write_batch,
    .decoder = decoder,
    .encoder = encoder_of_batch,
    .error_read = llmux_gemini_error_read,
    .error_write = llmux_gemini_error_write,
    .error_status = llmux_gemini_error_status
};
