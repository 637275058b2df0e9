/* vertex_embed.c - Vertex AI's older text embeddings, by :predict. */

#include "embed.h"
#include "gemini.h"

/* ---- requests --------------------------------------------------------- */

static void write_instance(llmux_writer_t *w, const llmux_input_t *in)
{
    llmux_jw_open(&w->jw, '{');
    llmux_jw_key(&w->jw, "content");
    llmux_jw_str(&w->jw, llmux_embed_text(w, in));
    llmux_jw_opt_str(&w->jw, "task_type", in->task);
    llmux_jw_opt_str(&w->jw, "title", in->title);
    llmux_jw_close(&w->jw, '}');
}

/* It cuts what is too long unless it is told not to. */
static void write_parameters(llmux_writer_t *w)
{
    llmux_jw_key(&w->jw, "parameters");
    llmux_jw_open(&w->jw, '{');
    llmux_jw_key(&w->jw, "autoTruncate");
    llmux_jw_bool(&w->jw, w->chat->embed->truncate);
    llmux_jw_opt_raw(&w->jw, "outputDimensionality",
                     w->chat->embed->dimensions);
    llmux_jw_close(&w->jw, '}');
}

static const llmux_error_t *write_request(llmux_buf_t *out,
                                          const llmux_chat_t *chat,
                                          const llmux_target_t *target,
                                          llmux_warnings_t *warnings,
                                          apr_pool_t *scratch)
{
    llmux_writer_t w = llmux_writer(out, chat, target, warnings, scratch);
    const llmux_input_t *in;

    llmux_jw_open(&w.jw, '{');
    llmux_jw_key(&w.jw, "instances");
    llmux_jw_open(&w.jw, '[');
    for (in = llmux_embed_first(chat); in; in = llmux_embed_next(chat, in)) {
        write_instance(&w, in);
    }
    llmux_jw_close(&w.jw, ']');
    write_parameters(&w);
    llmux_jw_close(&w.jw, '}');
    llmux_embed_leave_out(&w, LLMUX_EMBED_TASK | LLMUX_EMBED_TITLE);
    return llmux_writer_end(&w);
}

/* ---- answers ---------------------------------------------------------- */

static void read_answer(llmux_embed_decoder_t *d, const llmux_json_t *body)
{
    const llmux_json_t *list = llmux_json_get(body, "predictions"), *e, *each;
    apr_int64_t tokens = -1;

    llmux_embed_start(d, NULL, NULL);
    for (e = llmux_json_element(list); e && !d->base.ended;
         e = llmux_json_next(list, e)) {
        each = llmux_json_get(e, "embeddings");
        llmux_embed_vector(d, d->count, llmux_json_get(each, "values"));
        tokens = llmux_usage_plus(tokens, llmux_json_int(
            llmux_json_get(llmux_json_get(each, "statistics"),
                           "token_count"), -1));
    }
    llmux_embed_usage(d, tokens);
}

/* What is counted stands as deep as the numbers: all is looked at. */
static llmux_decoder_t *decoder(apr_pool_t *p, const llmux_env_t *env,
                                llmux_emit_fn emit, void *baton)
{
    static const llmux_embed_answer_t answer = { 0, read_answer,
                                                 llmux_gemini_error_read };

    return llmux_embed_decoder(p, env, emit, baton, &answer);
}

const llmux_dialect_t llmux_dialect_vertex_embed = {
    .name = "vertex-embed",
    .op = LLMUX_OP_EMBED,
    .path = ":predict",
    .write = write_request,
    .decoder = decoder,
    .error_read = llmux_gemini_error_read
};
