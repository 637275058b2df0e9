/* answer.c - events become the client's bytes, and the request's record. */

#include <string.h>

#include <apr_strings.h>

#include "exchange.h"

const char *version_of(const llmux_exchange_t *x)
{
    return apr_table_get(x->in->headers, "anthropic-version");
}

/* A provider of completions has put the prompt before his text himself where
 * that was wanted. */
static int says_all(const llmux_exchange_t *x)
{
    return x->attempt && x->attempt->dialect->op == LLMUX_OP_COMPLETE;
}

llmux_encode_t answer_how(llmux_exchange_t *x)
{
    llmux_encode_t how;

    if (!x->answer_id) {
        x->answer_id = apr_pstrcat(x->pool, x->dialect->id_prefix,
                                   x->record.exchange_id, NULL);
    }
    memset(&how, 0, sizeof(how));
    how.streamed = x->record.streamed;
    how.include_usage = x->head.include_usage;
    how.show_thinking = x->settings->reasoning != 0;
    if (x->settings->response_model == LLMUX_MODEL_REQUESTED) {
        how.model = x->head.model;
    }
    how.tools = x->chat ? x->chat->tools : NULL;
    how.chat = says_all(x) ? NULL : x->chat;
    how.version = version_of(x);
    how.array = x->array;
    how.sealer = x->service->sealer;
    how.tenant = llmux_slice(x->who.id);
    how.account = x->attempt ? x->attempt->target.account : NULL;
    how.id = x->answer_id;
    how.created = apr_time_sec(x->record.began);
    return how;
}

/* Is it worth settling on this deployment? Beginnings, pings and counts are
 * not: a provider may say 200 and then fail. */
static int is_content(const llmux_event_t *ev)
{
    switch (ev->kind) {
    case LLMUX_EV_TEXT:
    case LLMUX_EV_THINK:
    case LLMUX_EV_REFUSAL:
    case LLMUX_EV_ARGS:
        return ev->text.len > 0;
    case LLMUX_EV_BLOCK_START:
        return ev->block == LLMUX_BLOCK_CALL;
    case LLMUX_EV_TOKEN:
    case LLMUX_EV_MEDIA:
    case LLMUX_EV_VECTOR:
    case LLMUX_EV_FINISH:
        return 1;
    default:
        return 0;
    }
}

static void note_content(attempt_t *a)
{
    a->content = 1;
    if (!a->x->record.first) {
        a->x->record.first = llmux_now(a->x->env);
    }
}

static void note_usage(attempt_t *a, const llmux_usage_t *usage)
{
    llmux_usage_merge(&a->usage, usage);
    a->x->record.usage = a->usage;
    if (a->spent) {
        llmux_usage_add(&a->x->record.usage, a->spent);
    }
    a->frame_usage = 1;
}

static void note_finish(llmux_exchange_t *x, const llmux_event_t *ev)
{
    if (ev->cand == 0 && !x->record.finish) {
        x->record.finish = llmux_slice_str(x->pool, ev->text);
    }
}

/* Who asked for three vectors cannot tell which of two are missing. */
static void check_vectors(attempt_t *a)
{
    if (a->runs && a->dialect->op == LLMUX_OP_EMBED
        && a->vectors < APR_ARRAY_IDX(a->runs, a->run, run_t).candidates) {
        verdict_failed(a, LLMUX_ERR_BAD_UPSTREAM, "vectors are missing");
    }
}

static void note(attempt_t *a, const llmux_event_t *ev)
{
    switch (ev->kind) {
    case LLMUX_EV_USAGE:
        note_usage(a, ev->usage);
        return;
    case LLMUX_EV_ERROR:
        a->error = keep_error(a->x, ev->error);
        return;
    case LLMUX_EV_VECTOR:
        a->vectors++;
        break;
    case LLMUX_EV_END:
        check_vectors(a);
        a->run_ended_at = llmux_now(a->x->env);
        a->ended_at = attempt_has_more(a) ? 0 : a->run_ended_at;
        return;
    case LLMUX_EV_FINISH:
        note_finish(a->x, ev);
        break;
    default:
        break;
    }
    if (ev->kind != LLMUX_EV_START) {
        a->frame_other = 1;
    }
    if (is_content(ev)) {
        note_content(a);
    }
}

/* ---- several requests, one answer ------------------------------------- */

/* The candidates and blocks of those before it come first; one beginning,
 * one end, and what all of them cost. */
static void encode_run(attempt_t *a, const llmux_event_t *ev)
{
    llmux_event_t moved = *ev;

    if ((ev->kind == LLMUX_EV_START && a->run)
        || (ev->kind == LLMUX_EV_END && attempt_has_more(a))) {
        return;
    }
    moved.cand += a->cand_base;
    moved.key += a->key_base;
    if (ev->kind == LLMUX_EV_BLOCK_START && ev->key >= a->keys) {
        a->keys = ev->key + 1;
    }
    if (ev->kind == LLMUX_EV_USAGE) {
        moved.usage = &a->x->record.usage;
    }
    a->encoder->event(a->encoder, &moved, a->x->out);
}

void answer_next_run(attempt_t *a)
{
    const llmux_usage_t nothing = LLMUX_USAGE_NONE;

    a->cand_base += APR_ARRAY_IDX(a->runs, a->run, run_t).candidates;
    a->key_base += a->keys;
    a->keys = 0;
    a->vectors = 0;
    if (!a->spent) {
        a->spent = apr_palloc(a->pool, sizeof(*a->spent));
    }
    *a->spent = a->x->record.usage;
    a->usage = nothing;
}

/* Who does not say which model answers (Bedrock, Gemini's vectors) is the one
 * that was asked. */
static const llmux_event_t *named(const attempt_t *a, const llmux_event_t *ev,
                                  llmux_event_t *own)
{
    if (ev->kind != LLMUX_EV_START || ev->name.len) {
        return ev;
    }
    *own = *ev;
    own->name = a->target.model;
    return own;
}

void answer_event(void *baton, const llmux_event_t *ev)
{
    attempt_t *a = baton;
    llmux_event_t own;

    note(a, ev);
    ev = named(a, ev, &own);
    if (a->relay || a->error
        || (ev->kind == LLMUX_EV_PING && !a->x->headers_sent)) {
        return;
    }
    if (a->runs && a->runs->nelts > 1) {
        encode_run(a, ev);
    }
    else {
        a->encoder->event(a->encoder, ev, a->x->out);
    }
}

/* Does this event of the wire speak of a choice? The decoder keeps a finish
 * for later, so events alone do not tell. What cannot be read counts as one. */
static int has_choice(attempt_t *a, llmux_slice_t raw)
{
    const char *at = memchr(raw.data, '{', raw.len);
    const llmux_json_t *chunk;
    apr_pool_t *scratch;
    int has;

    if (!at) {
        return 1;
    }
    raw.len -= (apr_size_t)(at - raw.data);
    raw.data = at;
    apr_pool_create(&scratch, a->pool);
    chunk = llmux_json_parse(scratch, raw, 2, NULL);
    has = !chunk || llmux_json_count(llmux_json_get(chunk, "choices")) > 0;
    apr_pool_destroy(scratch);
    return has;
}

/* The chunk that brings nothing but the usage we asked for ourselves. */
static int is_unwanted(attempt_t *a, llmux_slice_t raw)
{
    return a->x->dialect == &llmux_dialect_openai && a->frame_usage
        && !a->frame_other && !a->x->head.include_usage
        && !has_choice(a, raw);
}

void answer_frame(void *baton, llmux_slice_t raw, int done, int comment)
{
    attempt_t *a = baton;
    llmux_exchange_t *x = a->x;
    int pass = !a->error && !a->done_sent
        && (comment ? x->headers_sent : !is_unwanted(a, raw));

    if (done) {
        pass = pass && a->ended_at;
        a->done_sent |= pass;
    }
    if (pass) {
        llmux_buf_add_slice(x->out, raw);
    }
    a->frame_usage = 0;
    a->frame_other = 0;
}
