/* bedrock_embed.c - embedding models at Amazon Bedrock, by InvokeModel: each
 * maker has a body of his own, and the model's name tells whose it is. */

#include <string.h>

#include "cohere_embed.h"
#include "errors.h"

/* ---- Titan ------------------------------------------------------------ */

/* It takes one text at a time. */
static const llmux_input_t *the_one(llmux_writer_t *w)
{
    const llmux_input_t *second = llmux_embed_input(w->chat, 1);

    if (second) {
        llmux_writer_refuse(w, second->param, "%s takes one input in a "
                            "request.", w->target->name);
    }
    return llmux_embed_input(w->chat, 0);
}

static void write_titan_1(llmux_writer_t *w)
{
    llmux_jw_key(&w->jw, "inputText");
    llmux_jw_str(&w->jw, llmux_embed_text(w, the_one(w)));
    if (w->chat->embed->dimensions.data) {
        llmux_writer_refuse(w, "dimensions", "This model of %s makes vectors "
                            "of one size. Leave 'dimensions' out.",
                            w->target->name);
    }
}

static void write_titan_2(llmux_writer_t *w)
{
    llmux_jw_key(&w->jw, "inputText");
    llmux_jw_str(&w->jw, llmux_embed_text(w, the_one(w)));
    llmux_jw_opt_raw(&w->jw, "dimensions", w->chat->embed->dimensions);
}

static void write_titan_image(llmux_writer_t *w)
{
    const llmux_input_t *in = the_one(w);

    llmux_embed_refuse_tokens(w, in);
    if (in->text.len || !in->media) {
        llmux_jw_key(&w->jw, "inputText");
        llmux_jw_str(&w->jw, in->text);
    }
    if (in->media && llmux_writer_image(w, in->media, in->param, 0)) {
        llmux_jw_key(&w->jw, "inputImage");
        llmux_jw_str(&w->jw, in->media->base64);
    }
    if (w->chat->embed->dimensions.data) {
        llmux_jw_key(&w->jw, "embeddingConfig");
        llmux_jw_open(&w->jw, '{');
        llmux_jw_opt_raw(&w->jw, "outputEmbeddingLength",
                         w->chat->embed->dimensions);
        llmux_jw_close(&w->jw, '}');
    }
}

/* ---- Cohere ----------------------------------------------------------- */

static void write_cohere_3(llmux_writer_t *w)
{
    llmux_cohere_embed_members(w, 0);
}

static void write_cohere_4(llmux_writer_t *w)
{
    llmux_cohere_embed_members(w, 1);
}

/* ---- by model --------------------------------------------------------- */

/* The first that is in the name counts: before it may stand a region, or all
 * of an ARN. */
static const struct {
    const char *in_name;
    void (*write)(llmux_writer_t *w);
    unsigned int can;
} models[] = {
    { "titan-embed-text-v1",    write_titan_1,     0                },
    { "titan-embed-g1-text",    write_titan_1,     0                },
    { "titan-embed-text",       write_titan_2,     0                },
    { "titan-embed-image",      write_titan_image, 0                },
    { "cohere.embed-english",   write_cohere_3,    LLMUX_EMBED_TASK },
    { "cohere.embed-multiling", write_cohere_3,    LLMUX_EMBED_TASK },
    { "cohere.embed",           write_cohere_4,    LLMUX_EMBED_TASK }
};

#define MODELS (sizeof(models) / sizeof(models[0]))

static apr_size_t row_of(llmux_slice_t model)
{
    apr_size_t i;

    for (i = 0; i < MODELS; i++) {
        if (model.data && memmem(model.data, model.len, models[i].in_name,
                                 strlen(models[i].in_name))) {
            break;
        }
    }
    return i;
}

static const llmux_error_t *write_request(llmux_buf_t *out,
                                          const llmux_chat_t *chat,
                                          const llmux_target_t *target,
                                          llmux_warnings_t *warnings,
                                          apr_pool_t *scratch)
{
    llmux_writer_t w = llmux_writer(out, chat, target, warnings, scratch);
    apr_size_t row = row_of(target->model);

    if (row == MODELS) {
        llmux_writer_refuse(&w, "model", "Of the models at %s those named "
                            "'titan-embed-...' and 'cohere.embed-...' make "
                            "vectors.", target->name);
        return w.err;
    }
    llmux_jw_open(&w.jw, '{');
    models[row].write(&w);
    llmux_jw_close(&w.jw, '}');
    llmux_embed_leave_out(&w, models[row].can);
    return llmux_writer_end(&w);
}

/* ---- answers ---------------------------------------------------------- */

/* They do not say whose they are, and need not: their members differ. */
static void read_answer(llmux_embed_decoder_t *d, const llmux_json_t *body)
{
    const llmux_json_t *one = llmux_json_get(body, "embedding");

    if (!one) {
        llmux_cohere_embed_answer(d, body);
        return;
    }
    llmux_embed_start(d, NULL, NULL);
    llmux_embed_vector(d, 0, one);
    llmux_embed_usage(d, llmux_json_int(
        llmux_json_get(body, "inputTextTokenCount"), -1));
}

static llmux_decoder_t *decoder(apr_pool_t *p, const llmux_env_t *env,
                                llmux_emit_fn emit, void *baton)
{
    static const llmux_embed_answer_t answer = { 3, read_answer,
                                                 llmux_error_read };

    return llmux_embed_decoder(p, env, emit, baton, &answer);
}

const llmux_dialect_t llmux_dialect_bedrock_embed = {
    .name = "bedrock-embed",
    .op = LLMUX_OP_EMBED,
    .write = write_request,
    .decoder = decoder,
    .error_read = llmux_error_read
};
