/* embed_encode.c - events become an answer with vectors: they are gathered,
 * and said at the end. */

#include <apr_strings.h>

#include "embed.h"
#include "vector.h"

typedef struct encoder_t {
    llmux_encoder_t base;
    apr_pool_t *pool;
    int base64;
    int named;                      /* the client's name for the model counts */
    int ended;
    llmux_usage_t usage;
    apr_array_header_t *vectors;    /* llmux_slice_t */
    apr_size_t kept;                /* their bytes so far */
    llmux_embed_said_t said;
    llmux_embed_write_fn write;
} encoder_t;

static llmux_slice_t quoted(apr_pool_t *p, llmux_slice_t base64)
{
    return llmux_slice(apr_pstrcat(p, "\"", llmux_slice_str(p, base64), "\"",
                                   NULL));
}

/* A vector as the client wants it. Decoders let none through that cannot be
 * converted. */
static llmux_slice_t convert(const encoder_t *e, const llmux_event_t *ev,
                             apr_pool_t *p)
{
    int base64 = e->base64 < 0 ? ev->base64 : e->base64;

    if (base64) {
        return quoted(p, ev->base64 ? ev->text
                                    : llmux_vector_pack(p, ev->text));
    }
    return ev->base64 ? llmux_vector_unpack(p, ev->text)
                      : llmux_vector_compact(p, ev->text);
}

/* Several answers may make one, so that theirs is not its limit. */
static void keep(encoder_t *e, const llmux_event_t *ev, llmux_buf_t *out)
{
    llmux_slice_t *at, vector;
    apr_pool_t *scratch;

    if (ev->cand < 0 || ev->cand >= LLMUX_INPUTS_MAX) {
        return;
    }
    while (e->vectors->nelts <= ev->cand) {
        APR_ARRAY_PUSH(e->vectors, llmux_slice_t) = llmux_slice(NULL);
    }
    at = &APR_ARRAY_IDX(e->vectors, ev->cand, llmux_slice_t);
    apr_pool_create(&scratch, e->pool);
    vector = convert(e, ev, scratch);
    if (vector.len > LLMUX_ANSWER_MAX - e->kept) {
        out->failed = 1;    /* the buffer's way to say: it did not fit */
    }
    else {
        e->kept += vector.len;
        *at = llmux_slice_dup(e->pool, vector);
    }
    apr_pool_destroy(scratch);
}

static void end(encoder_t *e, llmux_buf_t *out)
{
    llmux_jw_t w = llmux_jw(out);

    e->said.input = llmux_usage_input(&e->usage);
    e->write(&w, &e->said);
}

static void event(llmux_encoder_t *base, const llmux_event_t *ev,
                  llmux_buf_t *out)
{
    encoder_t *e = (encoder_t *)base;

    if (e->ended) {
        return;
    }
    e->ended = ev->kind == LLMUX_EV_ERROR || ev->kind == LLMUX_EV_END;
    switch (ev->kind) {
    case LLMUX_EV_START:
        if (!e->named && ev->name.data) {
            e->said.model = llmux_slice_dup(e->pool, ev->name);
        }
        break;
    case LLMUX_EV_VECTOR:
        keep(e, ev, out);
        break;
    case LLMUX_EV_USAGE:
        llmux_usage_merge(&e->usage, ev->usage);
        break;
    case LLMUX_EV_END:
        end(e, out);
        break;
    default:
        break;
    }
}

llmux_encoder_t *llmux_embed_encoder(apr_pool_t *p, const llmux_encode_t *how,
                                     int base64, llmux_embed_write_fn write)
{
    static const llmux_usage_t unknown = LLMUX_USAGE_NONE;
    encoder_t *e = apr_pcalloc(p, sizeof(*e));

    e->base.event = event;
    e->pool = p;
    e->base64 = base64;
    e->usage = unknown;
    e->named = how->model.data != NULL;
    e->vectors = apr_array_make(p, 1, sizeof(llmux_slice_t));
    e->said.model = e->named ? how->model : llmux_slice("");
    e->said.vectors = e->vectors;
    e->write = write;
    return &e->base;
}
