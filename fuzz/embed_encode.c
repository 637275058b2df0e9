/* embed_encode.c - fuzzes the encoders of embeddings. The input is a script: a
 * byte says what comes next and for which input, words are what is left of the
 * line. OpenAI's clients (who want arrays, base64, or either) and Gemini's get
 * the same numbers, as near as float32 has them.
 *
 * covers: src/dialect/embed_encode.c
 */

#include "script.h"
#include "dialect/vector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FLOATS, PACKED, AS_COMES, ONE, BATCH, CLIENTS, INPUTS = 16 };

typedef struct listener_t {
    apr_pool_t *p;
    llmux_encoder_t *encoders[CLIENTS];
    llmux_buf_t *documents[CLIENTS];
    llmux_slice_t said[INPUTS];     /* float32; absent: nothing */
    int packed[INPUTS];
    llmux_usage_t usage;
    llmux_slice_t model;
} listener_t;

/* ---- numbers, as machines that fuzz have them: the little end first ---- */

static llmux_slice_t of_array(apr_pool_t *p, const llmux_json_t *list)
{
    llmux_buf_t *b = llmux_buf_create(p, OUT_MAX);
    const llmux_json_t *v;
    float x;

    MUST(llmux_json_kind(list) == LLMUX_JSON_ARRAY);
    for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
        MUST(llmux_json_kind(v) == LLMUX_JSON_NUMBER);
        x = strtof(llmux_slice_str(p, llmux_json_raw(v)), NULL);
        llmux_buf_add(b, &x, sizeof(x));
    }
    return b->len ? llmux_buf_slice(b) : llmux_slice("");
}

static llmux_slice_t of_base64(apr_pool_t *p, llmux_slice_t text)
{
    llmux_slice_t bytes = llmux_base64_decode(p, text);

    MUST(bytes.data && bytes.len % sizeof(float) == 0);
    return bytes;
}

/* ---- the script ------------------------------------------------------ */

static void tell(listener_t *l, const llmux_event_t *ev)
{
    int i;

    for (i = 0; i < CLIENTS; i++) {
        l->encoders[i]->event(l->encoders[i], ev, l->documents[i]);
    }
}

/* Decoders let no vector through that is none. */
static void say_array(listener_t *l, llmux_event_t *ev)
{
    const llmux_json_t *list = llmux_json_parse(l->p, ev->text, 0, NULL);

    if (llmux_json_kind(list) == LLMUX_JSON_ARRAY
        && !llmux_vector_check(ev->text)) {
        l->said[ev->cand] = of_array(l->p, list);
        l->packed[ev->cand] = 0;
        tell(l, ev);
    }
}

static void say_base64(listener_t *l, llmux_event_t *ev)
{
    llmux_slice_t text = llmux_base64_encode(l->p, ev->text);

    if (!llmux_vector_check_base64(l->p, text, &ev->text)) {
        ev->base64 = 1;
        l->said[ev->cand] = of_base64(l->p, text);
        l->packed[ev->cand] = 1;
        tell(l, ev);
    }
}

static void say_usage(source_t *in, listener_t *l)
{
    llmux_usage_t usage = LLMUX_USAGE_NONE;
    llmux_event_t ev = { .kind = LLMUX_EV_USAGE, .usage = &usage };

    usage.input = next(in) - 1;
    usage.cache_read = next(in) - 1;
    llmux_usage_merge(&l->usage, &usage);
    tell(l, &ev);
}

static void step(source_t *in, listener_t *l)
{
    static const llmux_event_t ping = { .kind = LLMUX_EV_PING };
    llmux_event_t ev = { .kind = LLMUX_EV_VECTOR };
    int what = next(in);

    ev.cand = what % INPUTS;
    switch (what / INPUTS % 4) {
    case 0:
        say_usage(in, l);
        break;
    case 1:
        tell(l, &ping);
        break;
    case 2:
        ev.text = bytes(in);
        say_base64(l, &ev);
        break;
    default:
        ev.text = line(in);
        say_array(l, &ev);
    }
}

/* @return whether it ends well */
static int play_vectors(source_t *in, listener_t *l)
{
    llmux_event_t ev = { .kind = LLMUX_EV_START };
    int failed = next(in) % 16 == 15;

    ev.name = l->model = line(in);
    tell(l, &ev);
    while (in->data < in->end) {
        step(in, l);
    }
    ev.kind = failed ? LLMUX_EV_ERROR : LLMUX_EV_END;
    ev.error = llmux_error(l->p, LLMUX_ERR_OVERLOADED, NULL, "no");
    tell(l, &ev);
    /* Nothing follows. */
    ev.kind = LLMUX_EV_END;
    tell(l, &ev);
    return !failed;
}

/* ---- what clients get ------------------------------------------------ */

static const llmux_json_t *document(const listener_t *l, int client)
{
    const llmux_json_t *v = llmux_json_parse(
        l->p, llmux_buf_slice(l->documents[client]), 0, NULL);

    MUST(!l->documents[client]->failed);
    MUST(llmux_json_kind(v) == LLMUX_JSON_OBJECT);
    return v;
}

static void check_vector(const listener_t *l, int i, const llmux_json_t *v,
                         int packed)
{
    llmux_slice_t got = packed ? of_base64(l->p, llmux_json_str(l->p, v))
                               : of_array(l->p, v);

    MUST(llmux_json_kind(v) == (packed ? LLMUX_JSON_STRING
                                       : LLMUX_JSON_ARRAY));
    MUST(llmux_slice_equal(got, l->said[i]));
}

/* In their order, by their numbers. */
static void check_openai(const listener_t *l, int client)
{
    const llmux_json_t *v = document(l, client);
    const llmux_json_t *list = llmux_json_get(v, "data");
    const llmux_json_t *e = llmux_json_first(list);
    int i;

    for (i = 0; i < INPUTS; i++) {
        if (l->said[i].data) {
            MUST(llmux_json_int(llmux_json_get(e, "index"), -1) == i);
            check_vector(l, i, llmux_json_get(e, "embedding"),
                         client == AS_COMES ? l->packed[i]
                                            : client == PACKED);
            e = llmux_json_next(list, e);
        }
    }
    MUST(!e);
    MUST(llmux_slice_equal(llmux_json_str(l->p, llmux_json_get(v, "model")),
                           client == PACKED ? llmux_slice("ours")
                                            : l->model));
    MUST(llmux_json_int(llmux_json_get(llmux_json_get(v, "usage"),
                                       "prompt_tokens"), 0)
         == (llmux_usage_input(&l->usage) < 0
             ? 0 : llmux_usage_input(&l->usage)));
}

static void check_values(const listener_t *l, int i, const llmux_json_t *v)
{
    const llmux_json_t *values = llmux_json_get(v, "values");

    if (l->said[i].data) {
        check_vector(l, i, values, 0);
    }
    else {
        MUST(values && !llmux_json_count(values));
    }
}

/* By their places: one that never came has a place, too. */
static void check_gemini(const listener_t *l)
{
    const llmux_json_t *list = llmux_json_get(document(l, BATCH),
                                              "embeddings");
    const llmux_json_t *e = llmux_json_first(list);
    int i;

    check_values(l, 0, llmux_json_get(document(l, ONE), "embedding"));
    for (i = 0; e; e = llmux_json_next(list, e), i++) {
        MUST(i < INPUTS);
        check_values(l, i, e);
    }
    for (; i < INPUTS; i++) {
        MUST(!l->said[i].data);
    }
}

/* ---- all of it ------------------------------------------------------- */

static void make_listener(listener_t *l, apr_pool_t *p)
{
    static const llmux_usage_t unknown = LLMUX_USAGE_NONE;
    static const llmux_embed_t floats, packed = { .base64 = 1 };
    llmux_chat_t *chat = llmux_chat_create(p), *other = llmux_chat_create(p);
    llmux_encode_t how = { .chat = NULL };
    int i;

    memset(l, 0, sizeof(*l));
    l->p = p;
    l->usage = unknown;
    chat->embed = &floats;
    other->embed = &packed;
    l->encoders[AS_COMES] = llmux_dialect_embeddings.encoder(p, &how);
    l->encoders[ONE] = llmux_dialect_gemini_embed.encoder(p, &how);
    l->encoders[BATCH] = llmux_dialect_gemini_batch_embed.encoder(p, &how);
    how.chat = chat;
    l->encoders[FLOATS] = llmux_dialect_embeddings.encoder(p, &how);
    how.chat = other;
    how.model = llmux_slice("ours");
    l->encoders[PACKED] = llmux_dialect_embeddings.encoder(p, &how);
    for (i = 0; i < CLIENTS; i++) {
        l->documents[i] = llmux_buf_create(p, OUT_MAX);
    }
}

static void check(const listener_t *l, int good)
{
    int i;

    for (i = 0; !good && i < CLIENTS; i++) {
        MUST(!l->documents[i]->len);
    }
    if (good) {
        check_openai(l, FLOATS);
        check_openai(l, PACKED);
        check_openai(l, AS_COMES);
        check_gemini(l);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    source_t in = { .data = data, .end = data + size };
    static apr_pool_t *root;
    listener_t l;

    if (!root) {
        apr_initialize();
        apr_pool_create(&root, NULL);
    }
    apr_pool_create(&in.p, root);
    make_listener(&l, in.p);
    check(&l, play_vectors(&in, &l));
    apr_pool_destroy(in.p);
    return 0;
}
