/* cohere_embed.c - Cohere's /v2/embed. */

#include <apr_strings.h>

#include "cohere.h"
#include "cohere_embed.h"

/* ---- requests --------------------------------------------------------- */

static int has_media(const llmux_chat_t *chat)
{
    const llmux_input_t *in;

    for (in = llmux_embed_first(chat); in; in = llmux_embed_next(chat, in)) {
        if (in->media) {
            return 1;
        }
    }
    return 0;
}

static void write_image(llmux_writer_t *w, const llmux_input_t *in)
{
    const llmux_media_t *media = in->media;

    if (!llmux_writer_image(w, media, in->param, 0)) {
        return;
    }
    llmux_jw_open(&w->jw, '{');
    llmux_jw_key(&w->jw, "type");
    llmux_jw_cstr(&w->jw, "image_url");
    llmux_jw_key(&w->jw, "image_url");
    llmux_jw_open(&w->jw, '{');
    llmux_jw_key(&w->jw, "url");
    llmux_jw_str(&w->jw, llmux_slice(apr_pstrcat(
        w->pool, "data:", llmux_slice_str(w->pool, media->type), ";base64,",
        llmux_slice_str(w->pool, media->base64), NULL)));
    llmux_jw_close(&w->jw, '}');
    llmux_jw_close(&w->jw, '}');
}

static void write_content(llmux_writer_t *w, const llmux_input_t *in)
{
    llmux_embed_refuse_tokens(w, in);
    llmux_jw_open(&w->jw, '{');
    llmux_jw_key(&w->jw, "content");
    llmux_jw_open(&w->jw, '[');
    if (in->text.len) {
        llmux_jw_open(&w->jw, '{');
        llmux_jw_key(&w->jw, "type");
        llmux_jw_cstr(&w->jw, "text");
        llmux_jw_key(&w->jw, "text");
        llmux_jw_str(&w->jw, in->text);
        llmux_jw_close(&w->jw, '}');
    }
    if (in->media) {
        write_image(w, in);
    }
    llmux_jw_close(&w->jw, ']');
    llmux_jw_close(&w->jw, '}');
}

static void write_contents(llmux_writer_t *w)
{
    const llmux_input_t *in;

    llmux_jw_key(&w->jw, "inputs");
    llmux_jw_open(&w->jw, '[');
    for (in = llmux_embed_first(w->chat); in;
         in = llmux_embed_next(w->chat, in)) {
        write_content(w, in);
    }
    llmux_jw_close(&w->jw, ']');
}

void llmux_cohere_embed_members(llmux_writer_t *w, int sizes)
{
    const llmux_embed_t *embed = w->chat->embed;

    if (has_media(w->chat)) {
        write_contents(w);
    }
    else {
        llmux_jw_key(&w->jw, "texts");
        llmux_embed_texts(w);
    }
    llmux_jw_key(&w->jw, "input_type");
    llmux_jw_cstr(&w->jw, llmux_embed_cohere_task(w));
    llmux_jw_key(&w->jw, "embedding_types");
    llmux_jw_raw(&w->jw, llmux_slice("[\"float\"]"));
    llmux_jw_key(&w->jw, "truncate");
    llmux_jw_cstr(&w->jw, embed->truncate ? "END" : "NONE");
    if (sizes) {
        llmux_jw_opt_raw(&w->jw, "output_dimension", embed->dimensions);
    }
    else if (embed->dimensions.data) {
        llmux_writer_refuse(w, "dimensions", "This model of %s makes vectors "
                            "of one size. Leave 'dimensions' out.",
                            w->target->name);
    }
}

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
    llmux_cohere_embed_members(&w, 1);
    llmux_jw_close(&w.jw, '}');
    llmux_embed_leave_out(&w, LLMUX_EMBED_TASK);
    return llmux_writer_end(&w);
}

/* ---- answers ---------------------------------------------------------- */

static apr_int64_t tokens_in(const llmux_json_t *body)
{
    const llmux_json_t *meta = llmux_json_get(body, "meta");
    const llmux_json_t *units = llmux_json_get(meta, "billed_units");
    apr_int64_t n = llmux_json_int(llmux_json_get(units, "input_tokens"), -1);

    return n >= 0 ? n : llmux_json_int(
        llmux_json_get(llmux_json_get(meta, "tokens"), "input_tokens"), -1);
}

/* By type, or as the first version had it: floats alone. */
void llmux_cohere_embed_answer(llmux_embed_decoder_t *d,
                               const llmux_json_t *body)
{
    const llmux_json_t *list = llmux_json_get(body, "embeddings");

    if (llmux_json_kind(list) == LLMUX_JSON_OBJECT) {
        list = llmux_json_get(list, "float");
    }
    llmux_embed_start(d, llmux_json_get(body, "id"), NULL);
    llmux_embed_vectors(d, list);
    llmux_embed_usage(d, tokens_in(body));
}

static llmux_decoder_t *decoder(apr_pool_t *p, const llmux_env_t *env,
                                llmux_emit_fn emit, void *baton)
{
    static const llmux_embed_answer_t answer = {
        3, llmux_cohere_embed_answer, llmux_cohere_error_read
    };

    return llmux_embed_decoder(p, env, emit, baton, &answer);
}

const llmux_dialect_t llmux_dialect_cohere_embed = {
    .name = "cohere-embed",
    .op = LLMUX_OP_EMBED,
    .path = "/embed",
    .write = write_request,
    .decoder = decoder,
    .error_read = llmux_cohere_error_read
};
