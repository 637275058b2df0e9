/* embeddings.c - OpenAI's embeddings as a dialect: bytes that pass, requests
 * to a provider, answers in both directions. */

#include <string.h>

#include "embed.h"
#include "embeddings.h"
#include "errors.h"
#include "head.h"
#include "openai_answer.h"

/* ---- bytes that pass -------------------------------------------------- */

/* What we look at must be what the provider looks at. */
static const char *const names[] = {
    "model", "input", "encoding_format", "dimensions", NULL
};

static void read_input(llmux_reader_t *r, const llmux_at_t *root,
                       llmux_head_t *head)
{
    const llmux_json_t *v = llmux_json_get_any(head->root, "input");
    llmux_at_t here = llmux_at(root, "input");
    int list = llmux_json_kind(v) == LLMUX_JSON_ARRAY;

    if (llmux_json_kind(v) != LLMUX_JSON_STRING && !list) {
        llmux_reader_fail(r, &here, "expected a string or an array, found %s",
                          llmux_json_kind_name(v));
    }
    if (list && !llmux_json_count(v)) {
        llmux_reader_fail(r, &here, "expected at least one input, found an "
                          "empty array");
    }
    head->messages = list && llmux_json_kind(llmux_json_first(v))
                             != LLMUX_JSON_NUMBER ? llmux_json_count(v) : 1;
}

static const llmux_error_t *head_of(apr_pool_t *p,
                                    llmux_json_parser_t *parser,
                                    llmux_slice_t body, llmux_head_t *head)
{
    llmux_reader_t r = { NULL, p, NULL };
    llmux_at_t root = llmux_at(NULL, NULL);

    llmux_head_begin(&r, parser, body, names, head);
    if (!r.err) {
        llmux_head_model(&r, &root, head);
        read_input(&r, &root, head);
        llmux_head_ours(&r, &root, names, head);
    }
    return r.err;
}

static void edit(llmux_buf_t *out, apr_pool_t *scratch,
                 const llmux_head_t *head, llmux_slice_t body,
                 const llmux_target_t *target, llmux_warnings_t *w)
{
    llmux_edits_t edits;

    llmux_edits_init(&edits, scratch, w);
    llmux_edit_model(&edits, head->root);
    llmux_edits_apply(&edits, out, head->root, body, target->model);
}

/* ---- requests --------------------------------------------------------- */

static void write_input(llmux_writer_t *w, const llmux_input_t *in)
{
    if (in->tokens.data) {
        llmux_jw_raw(&w->jw, in->tokens);
    }
    else {
        llmux_jw_str(&w->jw, llmux_embed_text(w, in));
    }
}

/* One that stood alone goes alone: "input", not "input[0]". */
static int is_alone(const llmux_chat_t *chat)
{
    const llmux_input_t *in = llmux_embed_input(chat, 0);

    return in && chat->embed->inputs->nelts == 1
        && (!in->param || !strchr(in->param, '['));
}

static void write_inputs(llmux_writer_t *w)
{
    const llmux_input_t *in;

    llmux_jw_key(&w->jw, "input");
    if (is_alone(w->chat)) {
        write_input(w, llmux_embed_input(w->chat, 0));
        return;
    }
    llmux_jw_open(&w->jw, '[');
    for (in = llmux_embed_first(w->chat); in;
         in = llmux_embed_next(w->chat, in)) {
        write_input(w, in);
    }
    llmux_jw_close(&w->jw, ']');
}

/* Numbers are what all servers give unless they are told: one word less that
 * they may not know. */
static const llmux_error_t *write_request(llmux_buf_t *out,
                                          const llmux_chat_t *chat,
                                          const llmux_target_t *target,
                                          llmux_warnings_t *warnings,
                                          apr_pool_t *scratch)
{
    llmux_writer_t w = llmux_writer(out, chat, target, warnings, scratch);
    const llmux_extra_t *e;

    llmux_jw_open(&w.jw, '{');
    llmux_jw_key(&w.jw, "model");
    llmux_jw_str(&w.jw, target->model);
    write_inputs(&w);
    llmux_jw_opt_raw(&w.jw, "dimensions", chat->embed->dimensions);
    llmux_jw_opt_str(&w.jw, "encoding_format",
                     llmux_slice(chat->embed->base64 ? "base64" : NULL));
    llmux_jw_opt_str(&w.jw, "user", chat->user_id);
    for (e = chat->extra; e; e = e->next) {
        llmux_jw_key_slice(&w.jw, e->name);
        llmux_jw_raw(&w.jw, e->json);
    }
    llmux_jw_close(&w.jw, '}');
    llmux_embed_leave_out(&w, LLMUX_EMBED_OURS);
    return llmux_writer_end(&w);
}

/* ---- answers in ------------------------------------------------------- */

/* The numbers that the elements say they have, if each is there once: some
 * servers say 0 of all. */
static int are_numbered(apr_pool_t *p, const llmux_json_t *data)
{
    int n = llmux_json_count(data);
    char *seen = apr_pcalloc(p, (apr_size_t)n + 1);
    const llmux_json_t *e;
    apr_int64_t i;

    for (e = llmux_json_first(data); e; e = llmux_json_next(data, e)) {
        i = llmux_json_int(llmux_json_get(e, "index"), -1);
        if (i < 0 || i >= n || seen[i]) {
            return 0;
        }
        seen[i] = 1;
    }
    return 1;
}

/* Voyage has the total alone; nothing comes out of an embedding model, so it
 * is the same. */
static apr_int64_t tokens_in(const llmux_json_t *usage)
{
    apr_int64_t n = llmux_json_int(llmux_json_get(usage, "prompt_tokens"),
                                   -1);

    return n >= 0 ? n : llmux_json_int(llmux_json_get(usage, "total_tokens"),
                                       -1);
}

/* Perplexity's vectors are signed bytes, and that is what its base64 holds. */
static int are_bytes(const llmux_json_t *body, apr_pool_t *p)
{
    return llmux_slice_starts(
        llmux_json_str(p, llmux_json_get(body, "model")), "pplx-embed");
}

static void read_answer(llmux_embed_decoder_t *d, const llmux_json_t *body)
{
    const llmux_json_t *data = llmux_json_get(body, "data"), *e;
    int numbered = are_numbered(d->base.scratch, data), cand;
    void (*vector)(llmux_embed_decoder_t *, int, const llmux_json_t *) =
        are_bytes(body, d->base.scratch) ? llmux_embed_vector_of_bytes
                                         : llmux_embed_vector;

    llmux_embed_start(d, llmux_json_get(body, "id"),
                      llmux_json_get(body, "model"));
    for (e = llmux_json_element(data); e && !d->base.ended;
         e = llmux_json_next(data, e)) {
        cand = numbered
            ? (int)llmux_json_int(llmux_json_get(e, "index"), 0) : d->count;
        vector(d, cand, llmux_json_get(e, "embedding"));
    }
    llmux_embed_usage(d, tokens_in(llmux_json_get(body, "usage")));
}

static llmux_decoder_t *decoder(apr_pool_t *p, const llmux_env_t *env,
                                llmux_emit_fn emit, void *baton)
{
    static const llmux_embed_answer_t answer = { 3, read_answer,
                                                 llmux_error_read };

    return llmux_embed_decoder(p, env, emit, baton, &answer);
}

/* ---- answers out ------------------------------------------------------ */

static void write_vector(llmux_jw_t *w, int index, llmux_slice_t vector)
{
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "object");
    llmux_jw_cstr(w, "embedding");
    llmux_jw_key(w, "index");
    llmux_jw_int(w, index);
    llmux_jw_key(w, "embedding");
    llmux_jw_raw(w, vector);
    llmux_jw_close(w, '}');
}

/* Clients' types know no answer without usage. */
static void write_usage(llmux_jw_t *w, apr_int64_t input)
{
    llmux_jw_key(w, "usage");
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "prompt_tokens");
    llmux_jw_int(w, input < 0 ? 0 : input);
    llmux_jw_key(w, "total_tokens");
    llmux_jw_int(w, input < 0 ? 0 : input);
    llmux_jw_close(w, '}');
}

static void write_answer(llmux_jw_t *w, const llmux_embed_said_t *said)
{
    llmux_slice_t vector;
    int i;

    llmux_jw_open(w, '{');
    llmux_jw_key(w, "object");
    llmux_jw_cstr(w, "list");
    llmux_jw_key(w, "data");
    llmux_jw_open(w, '[');
    for (i = 0; i < said->vectors->nelts; i++) {
        vector = APR_ARRAY_IDX(said->vectors, i, llmux_slice_t);
        if (vector.data) {
            write_vector(w, i, vector);
        }
    }
    llmux_jw_close(w, ']');
    llmux_jw_key(w, "model");
    llmux_jw_str(w, said->model);
    write_usage(w, said->input);
    llmux_jw_close(w, '}');
}

static llmux_encoder_t *encoder(apr_pool_t *p, const llmux_encode_t *how)
{
    const llmux_embed_t *embed = how->chat ? how->chat->embed : NULL;

    return llmux_embed_encoder(p, how, embed ? embed->base64 : -1,
                               write_answer);
}

/* ---- the table -------------------------------------------------------- */

const llmux_dialect_t llmux_dialect_embeddings = {
    .name = "embeddings",
    .op = LLMUX_OP_EMBED,
    .path = "/embeddings",
    .id_prefix = "",
    .head = head_of,
    .edit = edit,
    .read = llmux_embeddings_read,
    .write = write_request,
    .decoder = decoder,
    .encoder = encoder,
    .error_read = llmux_error_read,
    .error_write = llmux_openai_error_write
};
