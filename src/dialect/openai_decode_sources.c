/* openai_decode_sources.c - what an answer rests on, where a provider names it
 * beside the answer and not within: "search_results" with titles (Perplexity),
 * or "citations", which are addresses only (xAI, older Perplexity). */

#include "openai_decode.h"

typedef llmux_openai_decode_t decoder_t;
typedef llmux_openai_cand_t choice_t;

static const llmux_json_t *filled_list(const llmux_json_t *body,
                                       const char *name)
{
    const llmux_json_t *list = llmux_json_get(body, name);

    return llmux_json_kind(list) == LLMUX_JSON_ARRAY && llmux_json_count(list)
        ? list : NULL;
}

/* Streams name them with each payload, or with the last, or more and more of
 * them: what was said last holds. */
void llmux_openai_decode_note_sources(decoder_t *d, const llmux_json_t *body)
{
    const llmux_json_t *list = filled_list(body, "search_results");

    list = list ? list : filled_list(body, "citations");
    if (!list) {
        return;
    }
    if (!d->sources) {
        d->sources = llmux_buf_create(d->base.pool, LLMUX_SOURCES_MAX);
    }
    llmux_buf_reset(d->sources);
    llmux_buf_add_slice(d->sources, llmux_json_raw(list));
}

static void emit_source(decoder_t *d, const choice_t *c, apr_pool_t *scratch,
                        const llmux_json_t *v)
{
    int is_url = llmux_json_kind(v) == LLMUX_JSON_STRING;
    llmux_cite_t cite = { .start = -1, .end = -1 };
    llmux_event_t ev = { .kind = LLMUX_EV_CITE, .cand = c->index,
                         .key = c->key, .cite = &cite };

    cite.url = llmux_json_str(scratch, is_url ? v : llmux_json_get(v, "url"));
    cite.title = filled(llmux_json_str(scratch, llmux_json_get(v, "title")));
    cite.quote = filled(llmux_json_str(scratch, llmux_json_get(v, "snippet")));
    if (!empty(cite.url)) {
        llmux_decoder_emit(&d->base, &ev);
    }
}

/* They are of the text; the same that was said within is not said again. */
void llmux_openai_decode_emit_sources(decoder_t *d, const choice_t *c)
{
    const llmux_json_t *list, *v;
    apr_pool_t *scratch;

    if (!d->sources || c->cited || !c->open || c->block != LLMUX_BLOCK_TEXT) {
        return;
    }
    apr_pool_create(&scratch, d->base.pool);
    list = llmux_json_parse(scratch, llmux_buf_slice(d->sources), 0, NULL);
    for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
        emit_source(d, c, scratch, v);
    }
    apr_pool_destroy(scratch);
}
