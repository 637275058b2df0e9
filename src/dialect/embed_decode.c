/* embed_decode.c - answers with vectors become events: what all dialects do
 * alike. */

#include <apr_strings.h>

#include "embed.h"
#include "vector.h"

typedef llmux_embed_decoder_t decoder_t;

/* ---- for the dialects ------------------------------------------------- */

void llmux_embed_start(decoder_t *d, const llmux_json_t *id,
                       const llmux_json_t *model)
{
    llmux_event_t ev = { .kind = LLMUX_EV_START };

    ev.id = llmux_json_str(d->base.scratch, id);
    ev.name = llmux_json_str(d->base.scratch, model);
    llmux_decoder_emit(&d->base, &ev);
}

/* Emits it, unless something is wrong with it. */
static void put(decoder_t *d, llmux_event_t *ev, const char *wrong)
{
    if (!wrong && ev->cand >= LLMUX_INPUTS_MAX) {
        wrong = "is one too many";
    }
    if (wrong) {
        llmux_decoder_fail(&d->base, LLMUX_ERR_BAD_UPSTREAM,
                           apr_psprintf(d->base.pool, "The provider's vector "
                                        "%d %s.", ev->cand, wrong));
        return;
    }
    d->count++;
    llmux_decoder_emit(&d->base, ev);
}

void llmux_embed_vector(decoder_t *d, int cand, const llmux_json_t *v)
{
    llmux_event_t ev = { .kind = LLMUX_EV_VECTOR, .cand = cand };
    const char *wrong;

    if (d->base.ended) {
        return;
    }
    if (llmux_json_kind(v) == LLMUX_JSON_STRING) {
        ev.base64 = 1;
        wrong = llmux_vector_check_base64(
            d->base.scratch, llmux_json_str(d->base.scratch, v), &ev.text);
    }
    else {
        ev.text = llmux_json_raw(v);
        wrong = llmux_vector_check(ev.text);
    }
    put(d, &ev, wrong);
}

void llmux_embed_vector_of_bytes(decoder_t *d, int cand,
                                 const llmux_json_t *v)
{
    llmux_event_t ev = { .kind = LLMUX_EV_VECTOR, .cand = cand };

    if (llmux_json_kind(v) != LLMUX_JSON_STRING) {
        llmux_embed_vector(d, cand, v);
        return;
    }
    ev.text = llmux_vector_of_bytes(d->base.scratch,
                                    llmux_json_str(d->base.scratch, v));
    put(d, &ev, llmux_vector_check(ev.text));
}

void llmux_embed_vectors(decoder_t *d, const llmux_json_t *list)
{
    const llmux_json_t *v;

    for (v = llmux_json_element(list); v && !d->base.ended;
         v = llmux_json_next(list, v)) {
        llmux_embed_vector(d, d->count, v);
    }
}

void llmux_embed_usage(decoder_t *d, apr_int64_t input)
{
    llmux_usage_t usage = LLMUX_USAGE_NONE;
    llmux_event_t ev = { .kind = LLMUX_EV_USAGE, .usage = &usage };

    if (input >= 0) {
        usage.input = input;
        llmux_decoder_emit(&d->base, &ev);
    }
}

/* ---- the decoder ------------------------------------------------------ */

static const llmux_json_t *error_in(const llmux_json_t *body)
{
    if (llmux_json_kind(body) == LLMUX_JSON_ARRAY) {
        body = llmux_json_at(body, 0);
    }
    return llmux_json_get(body, "error");
}

static void report(decoder_t *d, const llmux_json_t *body)
{
    llmux_event_t ev = { .kind = LLMUX_EV_ERROR };

    ev.error = d->answer->error_read(d->base.pool, 0, body);
    llmux_decoder_emit(&d->base, &ev);
}

static void whole(llmux_decoder_t *base, const llmux_json_t *body)
{
    decoder_t *d = (decoder_t *)base;
    llmux_event_t end = { .kind = LLMUX_EV_END };

    if (error_in(body)) {
        report(d, body);
        return;
    }
    d->answer->read(d, body);
    if (!d->count) {
        llmux_decoder_fail(base, LLMUX_ERR_BAD_UPSTREAM,
                           "The provider's answer has no vectors.");
    }
    llmux_decoder_emit(base, &end);
}

/* Nobody streams vectors; if somebody does, the first event is all. */
static void payload(llmux_decoder_t *base, llmux_slice_t event_name,
                    const llmux_json_t *data)
{
    whole(base, data);
}

/* An end before the answer: llmux_stream_end() says so. */
static void finish(llmux_decoder_t *base)
{
}

/* Without an index of the numbers. */
static int peek(llmux_decoder_t *base, llmux_slice_t event_name,
                llmux_slice_t text, int all, llmux_json_parser_t *parser)
{
    decoder_t *d = (decoder_t *)base;
    int depth = d->answer->depth;
    const llmux_json_t *body = depth
        ? llmux_json_parse_again(parser, text, depth, NULL) : NULL;

    if (!body || error_in(body)) {
        return 0;
    }
    if (!base->scratch) {
        apr_pool_create(&base->scratch, base->pool);
    }
    whole(base, body);
    return 1;
}

llmux_decoder_t *llmux_embed_decoder(apr_pool_t *p, const llmux_env_t *env,
                                     llmux_emit_fn emit, void *baton,
                                     const llmux_embed_answer_t *answer)
{
    decoder_t *d = apr_pcalloc(p, sizeof(*d));

    llmux_decoder_init(&d->base, p, env, emit, baton);
    d->base.payload = payload;
    d->base.whole = whole;
    d->base.finish = finish;
    d->base.peek = peek;
    d->answer = answer;
    return &d->base;
}
