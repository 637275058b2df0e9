/* ollama_embed.c - Ollama's own /api/embed. */

#include "embed.h"
#include "errors.h"

static void write_options(llmux_writer_t *w)
{
    const llmux_extra_t *e;

    for (e = w->chat->extra; e; e = e->next) {
        if (llmux_embed_is_option(e)) {
            llmux_jw_key_slice(&w->jw, e->name);
            llmux_jw_raw(&w->jw, e->json);
        }
    }
}

/* It cuts what is too long unless it is told not to. */
static const llmux_error_t *write_request(llmux_buf_t *out,
                                          const llmux_chat_t *chat,
                                          const llmux_target_t *target,
                                          llmux_warnings_t *warnings,
                                          apr_pool_t *scratch)
{
    llmux_writer_t w = llmux_writer(out, chat, target, warnings, scratch);

    llmux_jw_open(&w.jw, '{');
    llmux_jw_key(&w.jw, "model");
    llmux_jw_str(&w.jw, target->model);
    llmux_jw_key(&w.jw, "input");
    llmux_embed_texts(&w);
    llmux_jw_key(&w.jw, "truncate");
    llmux_jw_bool(&w.jw, chat->embed->truncate);
    llmux_jw_opt_raw(&w.jw, "dimensions", chat->embed->dimensions);
    write_options(&w);
    llmux_jw_close(&w.jw, '}');
    llmux_embed_leave_out(&w, LLMUX_EMBED_OPTIONS);
    return llmux_writer_end(&w);
}

static void read_answer(llmux_embed_decoder_t *d, const llmux_json_t *body)
{
    llmux_embed_start(d, NULL, llmux_json_get(body, "model"));
    llmux_embed_vectors(d, llmux_json_get(body, "embeddings"));
    llmux_embed_usage(d, llmux_json_int(
        llmux_json_get(body, "prompt_eval_count"), -1));
}

static llmux_decoder_t *decoder(apr_pool_t *p, const llmux_env_t *env,
                                llmux_emit_fn emit, void *baton)
{
    static const llmux_embed_answer_t answer = { 2, read_answer,
                                                 llmux_error_read };

    return llmux_embed_decoder(p, env, emit, baton, &answer);
}

const llmux_dialect_t llmux_dialect_ollama_embed = {
    .name = "ollama-embed",
    .op = LLMUX_OP_EMBED,
    .path = "/embed",
    .write = write_request,
    .decoder = decoder,
    .error_read = llmux_error_read
};
