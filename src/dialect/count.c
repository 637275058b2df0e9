/* count.c - what dialects that count tokens share. */

#include <string.h>

#include "count.h"
#include "head.h"

/* ---- requests -------------------------------------------------------- */

llmux_chat_t llmux_count_chat(const llmux_chat_t *chat)
{
    llmux_chat_t plain = *chat;
    llmux_slice_t *const silent[] = {
        &plain.max_tokens, &plain.temperature, &plain.top_p, &plain.top_k,
        &plain.frequency_penalty, &plain.presence_penalty, &plain.seed,
        &plain.n, &plain.logit_bias, &plain.top_logprobs, &plain.user_id,
        &plain.service_tier, &plain.cache_key, &plain.metadata
    };
    apr_size_t i;

    for (i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
        *silent[i] = llmux_slice(NULL);
    }
    plain.stream = 0;
    plain.include_usage = 0;
    plain.logprobs = LLMUX_UNSET;
    plain.store = LLMUX_UNSET;
    plain.stop = NULL;
    return plain;
}

static int is_in(const char *const *names, const llmux_json_t *name)
{
    while (*names && !llmux_json_is(name, *names)) {
        names++;
    }
    return *names != NULL;
}

void llmux_count_keep(llmux_buf_t *out, apr_pool_t *p, const llmux_json_t *v,
                      const char *const *names, const char *front)
{
    llmux_jw_t w = llmux_jw(out);
    const llmux_json_t *m;

    out->failed |= !v;
    llmux_jw_open(&w, '{');
    if (front) {
        llmux_jw_raw(&w, llmux_slice(front));
    }
    for (m = llmux_json_first(v); m; m = llmux_json_next_member(v, m)) {
        if (is_in(names, m)) {
            llmux_jw_key_slice(&w, llmux_json_str(p, m));
            llmux_jw_raw(&w, llmux_json_raw(llmux_json_value(m)));
        }
    }
    llmux_jw_close(&w, '}');
}

void llmux_count_tell(apr_pool_t *p, const llmux_json_t *v,
                      const char *const *names, const char *const *silent,
                      llmux_warnings_t *w)
{
    const llmux_json_t *m;

    for (m = llmux_json_first(v); m; m = llmux_json_next_member(v, m)) {
        if (!is_in(names, m) && !is_in(silent, m)) {
            llmux_warn(w, LLMUX_WARN_DROP, llmux_json_cstr(p, m));
        }
    }
}

void llmux_count_drop(llmux_buf_t *out, apr_pool_t *p, llmux_slice_t text,
                      const llmux_json_t *v, const char *const *names,
                      const char *front)
{
    llmux_edits_t edits;

    if (!v) {
        out->failed = 1;    /* it did not fit into where it came from */
        return;
    }
    llmux_edits_init(&edits, p, NULL);
    for (; *names; names++) {
        llmux_edit_drop(&edits, *names);
    }
    if (front) {
        llmux_edit_insert(&edits, v, front);
    }
    llmux_edits_apply(&edits, out, v, text, llmux_slice(NULL));
}

/* ---- decoder --------------------------------------------------------- */

int llmux_count_input_tokens(llmux_usage_t *to, const llmux_json_t *body)
{
    to->input = llmux_json_int(llmux_json_get(body, "input_tokens"), -1);
    return to->input >= 0;
}

typedef struct decoder_t {
    llmux_decoder_t base;
    const llmux_count_t *count;
} decoder_t;

static void fail(decoder_t *d, const llmux_json_t *body)
{
    llmux_event_t ev = { .kind = LLMUX_EV_ERROR };

    ev.error = d->count->error_read(d->base.pool, 0, body);
    llmux_decoder_emit(&d->base, &ev);
}

static void whole(llmux_decoder_t *base, const llmux_json_t *body)
{
    decoder_t *d = (decoder_t *)base;
    llmux_usage_t usage = LLMUX_USAGE_NONE;
    llmux_event_t ev = { .kind = LLMUX_EV_START };

    if (llmux_json_get(body, "error")) {
        fail(d, body);
        return;
    }
    if (!d->count->read(&usage, body)) {
        llmux_decoder_fail(base, LLMUX_ERR_BAD_UPSTREAM,
                           "The provider's answer holds no count of tokens.");
        return;
    }
    llmux_decoder_emit(base, &ev);
    ev.kind = LLMUX_EV_USAGE;
    ev.usage = &usage;
    llmux_decoder_emit(base, &ev);
    ev.kind = LLMUX_EV_END;
    llmux_decoder_emit(base, &ev);
}

/* Nobody streams a number; who does, does it with one event. */
static void payload(llmux_decoder_t *base, llmux_slice_t event_name,
                    const llmux_json_t *body)
{
    whole(base, body);
}

/* The caller says that it was truncated. */
static void finish(llmux_decoder_t *base)
{
}

llmux_decoder_t *llmux_count_decoder(apr_pool_t *p, const llmux_env_t *env,
                                     llmux_emit_fn emit, void *baton,
                                     const llmux_count_t *count)
{
    decoder_t *d = apr_pcalloc(p, sizeof(*d));

    llmux_decoder_init(&d->base, p, env, emit, baton);
    d->base.payload = payload;
    d->base.whole = whole;
    d->base.finish = finish;
    d->count = count;
    return &d->base;
}

/* ---- encoder --------------------------------------------------------- */

typedef struct encoder_t {
    llmux_encoder_t base;
    const llmux_count_t *count;
    llmux_usage_t usage;
    int ended;
} encoder_t;

/* A number that nobody counted must not be taken for none at all. */
static void end(encoder_t *e, llmux_buf_t *out)
{
    llmux_jw_t w = llmux_jw(out);

    if (llmux_usage_input(&e->usage) < 0) {
        out->failed = 1;
        return;
    }
    e->count->write(&w, &e->usage);
}

static void event(llmux_encoder_t *base, const llmux_event_t *ev,
                  llmux_buf_t *out)
{
    encoder_t *e = (encoder_t *)base;

    if (e->ended) {
        return;
    }
    e->ended = ev->kind == LLMUX_EV_ERROR || ev->kind == LLMUX_EV_END;
    if (ev->kind == LLMUX_EV_USAGE) {
        llmux_usage_merge(&e->usage, ev->usage);
    }
    else if (ev->kind == LLMUX_EV_END) {
        end(e, out);
    }
}

llmux_encoder_t *llmux_count_encoder(apr_pool_t *p,
                                     const llmux_count_t *count)
{
    static const llmux_usage_t unknown = LLMUX_USAGE_NONE;
    encoder_t *e = apr_pcalloc(p, sizeof(*e));

    e->base.event = event;
    e->count = count;
    e->usage = unknown;
    return &e->base;
}
