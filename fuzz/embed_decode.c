/* embed_decode.c - fuzzes the decoders and encoders of embeddings. The first
 * byte says whose answer the others are, whether it was to be streamed, and how
 * it is cut. Fed in pieces,
 * and with an index of all numbers, an answer gives the same events; what
 * clients get of them is JSON that means the same vectors again.
 *
 * covers: src/dialect/embed_decode.c src/dialect/embed_encode.c
 *         src/dialect/vector.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#include "llmux/dialect.h"
#include "dialect/vector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

enum { NOTES_MAX = 256 << 20, DIALECTS = 7 };

static const llmux_dialect_t *const dialects[DIALECTS] = {
    &llmux_dialect_embeddings, &llmux_dialect_gemini_embed,
    &llmux_dialect_gemini_batch_embed, &llmux_dialect_vertex_embed,
    &llmux_dialect_cohere_embed, &llmux_dialect_ollama_embed,
    &llmux_dialect_bedrock_embed
};

/* What one decoder said. */
typedef struct listener_t {
    llmux_buf_t *notes;
    llmux_buf_t *vectors;       /* all in base64, by their numbers */
    int started, ended, failed;
    apr_pool_t *pool;
    llmux_encoder_t *floats, *packed, *gemini;
    llmux_buf_t *as_floats, *as_packed, *as_gemini;
} listener_t;

static void note_slice(llmux_buf_t *b, llmux_slice_t s)
{
    llmux_buf_addf(b, "%u:", s.data ? (unsigned)s.len : ~0u);
    llmux_buf_add_slice(b, s);
}

static void note_vector(listener_t *l, const llmux_event_t *ev)
{
    llmux_slice_t packed = ev->base64 ? ev->text
        : llmux_vector_pack(l->pool, ev->text);

    MUST(packed.data != NULL);
    MUST(llmux_vector_unpack(l->pool, packed).data != NULL);
    MUST(ev->cand >= 0 && ev->cand < LLMUX_INPUTS_MAX);
    llmux_buf_addf(l->vectors, "%d ", ev->cand);
    note_slice(l->vectors, packed);
}

static void take_event(void *baton, const llmux_event_t *ev)
{
    listener_t *l = baton;

    MUST(!l->ended);
    MUST(l->started || ev->kind == LLMUX_EV_START
         || ev->kind == LLMUX_EV_ERROR || ev->kind == LLMUX_EV_PING);
    l->started |= ev->kind == LLMUX_EV_START;
    l->failed = ev->kind == LLMUX_EV_ERROR;
    l->ended = l->failed || ev->kind == LLMUX_EV_END;
    llmux_buf_addf(l->notes, "\n%d %d %d ", ev->kind, ev->cand, ev->base64);
    note_slice(l->notes, ev->text);
    note_slice(l->notes, ev->id);
    note_slice(l->notes, ev->name);
    if (ev->usage) {
        llmux_buf_add(l->notes, ev->usage, sizeof(*ev->usage));
    }
    if (ev->error) {
        MUST(ev->error->message && *ev->error->message);
        llmux_buf_adds(l->notes, ev->error->message);
    }
    if (ev->kind == LLMUX_EV_VECTOR) {
        note_vector(l, ev);
    }
    l->floats->event(l->floats, ev, l->as_floats);
    l->packed->event(l->packed, ev, l->as_packed);
    l->gemini->event(l->gemini, ev, l->as_gemini);
}

/* The model goes by another name: by its own, Perplexity's base64 is known. */
static listener_t *make_listener(apr_pool_t *p)
{
    static const llmux_embed_t floats, packed = { .base64 = 1 };
    llmux_chat_t *chat = llmux_chat_create(p);
    llmux_chat_t *other = llmux_chat_create(p);
    llmux_encode_t how = { .chat = chat, .model = llmux_slice("m") };
    listener_t *l = apr_pcalloc(p, sizeof(*l));

    chat->embed = &floats;
    other->embed = &packed;
    l->pool = p;
    l->notes = llmux_buf_create(p, NOTES_MAX);
    l->vectors = llmux_buf_create(p, NOTES_MAX);
    l->as_floats = llmux_buf_create(p, NOTES_MAX);
    l->as_packed = llmux_buf_create(p, NOTES_MAX);
    l->as_gemini = llmux_buf_create(p, NOTES_MAX);
    l->floats = llmux_dialect_embeddings.encoder(p, &how);
    l->gemini = llmux_dialect_gemini_batch_embed.encoder(p, &how);
    how.chat = other;
    l->packed = llmux_dialect_embeddings.encoder(p, &how);
    return l;
}

/* Each piece in memory of its own, as reads are. */
static listener_t *hear(apr_pool_t *p, const llmux_dialect_t *dialect,
                        int streamed, llmux_slice_t answer, apr_size_t most)
{
    listener_t *l = make_listener(p);
    llmux_stream_t *s = llmux_stream_open(p, llmux_env_process(), dialect,
                                          streamed, take_event, NULL, l);
    apr_size_t n;
    char *copy;

    for (; answer.len; answer.data += n, answer.len -= n) {
        n = answer.len < most ? answer.len : most;
        copy = malloc(n);
        MUST(copy != NULL);
        memcpy(copy, answer.data, n);
        llmux_stream_feed(s, copy, n);
        free(copy);
    }
    llmux_stream_end(s);
    MUST(l->ended && llmux_stream_ended(s));
    return l;
}

/* The dialect without its short way. */
static const llmux_dialect_t *with_peek;

static llmux_decoder_t *indexing(apr_pool_t *p, const llmux_env_t *env,
                                 llmux_emit_fn emit, void *baton)
{
    llmux_decoder_t *d = with_peek->decoder(p, env, emit, baton);

    d->peek = NULL;
    return d;
}

static void same_notes(const listener_t *a, const listener_t *b)
{
    MUST(llmux_slice_equal(llmux_buf_slice(a->notes),
                           llmux_buf_slice(b->notes)));
}

/* The vectors that a client got, by number. */
static llmux_slice_t vectors_in(apr_pool_t *p, const llmux_dialect_t *dialect,
                                const llmux_buf_t *document)
{
    const listener_t *l = hear(p, dialect, 0, llmux_buf_slice(document),
                               document->len);

    MUST(!l->failed && !l->notes->failed);
    return llmux_buf_slice(l->vectors);
}

static void check_encoded(apr_pool_t *p, const listener_t *l)
{
    llmux_slice_t floats = vectors_in(p, &llmux_dialect_embeddings,
                                      l->as_floats);

    MUST(llmux_slice_equal(floats, vectors_in(
        p, &llmux_dialect_embeddings, l->as_packed)));
    MUST(llmux_slice_equal(floats, vectors_in(
        p, &llmux_dialect_gemini_batch_embed, l->as_gemini)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t pieces[] = { 1, 2, 3, 7, 16, 64, 256, 4096 };
    const llmux_dialect_t slow = { .decoder = indexing };
    static apr_pool_t *root;
    const listener_t *one;
    llmux_slice_t answer;
    int streamed;
    apr_pool_t *p;

    if (!size) {
        return 0;
    }
    if (!root) {
        apr_initialize();
        apr_pool_create(&root, NULL);
    }
    apr_pool_create(&p, root);
    with_peek = dialects[data[0] % DIALECTS];
    answer.data = (const char *)data + 1;
    answer.len = size - 1;
    streamed = data[0] / DIALECTS / 8 & 1;
    one = hear(p, with_peek, streamed, answer, size);
    same_notes(one, hear(p, with_peek, streamed, answer,
                         pieces[data[0] / DIALECTS % 8]));
    same_notes(one, hear(p, &slow, streamed, answer, size));
    if (one->failed) {
        MUST(!one->as_floats->len && !one->as_packed->len
             && !one->as_gemini->len);
    }
    else {
        check_encoded(p, one);
    }
    apr_pool_destroy(p);
    return 0;
}
