/* body.c - what a provider is sent: the client's bytes but for an edit, or
 * the request written anew in the provider's dialect; in several runs where
 * one request cannot say it all. */

#include <string.h>

#include <apr_strings.h>

#include "exchange.h"

/* ---- the request, read ------------------------------------------------ */

/* Its head was valid, so it can be but too much. */
static const llmux_error_t *parse(llmux_exchange_t *x,
                                  const llmux_json_t **body)
{
    llmux_json_parser_t *parser = llmux_json_parser_create(x->pool);

    llmux_json_parser_bound(parser, LLMUX_REQUEST_NODES_MAX);
    *body = llmux_json_parse_again(parser, x->text, 0, NULL);
    return *body ? NULL : llmux_error(x->pool, LLMUX_ERR_INVALID, NULL,
        "The request body has more than %u values, which is too much to be "
        "translated for this provider.", LLMUX_REQUEST_NODES_MAX);
}

const llmux_error_t *body_read(llmux_exchange_t *x)
{
    const llmux_json_t *body;
    const llmux_error_t *err;
    llmux_chat_t *chat;

    if (x->chat || x->unreadable) {
        return x->unreadable;
    }
    err = parse(x, &body);
    if (err) {
        return x->unreadable = err;
    }
    chat = llmux_chat_create(x->pool);
    chat->version = version_of(x);
    chat->sealer = x->service->sealer;
    chat->tenant = llmux_slice(x->who.id);
    err = x->dialect->read(chat, body);
    if (!err) {
        x->chat = chat;
    }
    for (; chat; chat = chat->next) {
        chat->model = x->head.model;
        chat->stream = x->record.streamed;
    }
    x->unreadable = err;
    return err;
}

/* What the client's dialect alone can say does not leave it in silence. */
static void tell_lost(attempt_t *a)
{
    const llmux_extra_t *lost;

    for (lost = a->x->chat->lost; lost; lost = lost->next) {
        llmux_warn(a->warnings, LLMUX_WARN_DROP,
                   llmux_slice_str(a->pool, lost->name));
    }
}

/* ---- runs -------------------------------------------------------------- */

static const llmux_error_t *too_many(attempt_t *a, const char *param, int max)
{
    return llmux_error(a->x->pool, LLMUX_ERR_INVALID, param,
                       "%s takes so much in several requests only, and this "
                       "gateway makes at most %d for one: say less in '%s'.",
                       a->target.name, max, param);
}

/* How many answers are wanted of each chat; their reader has bounded it. */
static int wanted(const llmux_chat_t *chat)
{
    apr_size_t i;
    int n = 0;

    for (i = 0; i < chat->n.len && n < LLMUX_CANDIDATES_MAX; i++) {
        n = 10 * n + (chat->n.data[i] - '0');
    }
    return n ? n : 1;
}

/* The chat by itself, asking for `n` answers as it did, or for one. */
static const llmux_chat_t *alone(attempt_t *a, const llmux_chat_t *chat,
                                 int keep_n)
{
    llmux_chat_t *one = apr_pmemdup(a->pool, chat, sizeof(*chat));

    one->next = NULL;
    if (!keep_n) {
        memset(&one->n, 0, sizeof(one->n));
    }
    return one;
}

static void add_run(attempt_t *a, const llmux_chat_t *chat, int candidates)
{
    run_t *run = apr_array_push(a->runs);

    run->chat = chat;
    run->candidates = candidates;
}

/* Each prompt by itself, as often as answers are wanted of it. */
static const llmux_error_t *plan_answers(attempt_t *a)
{
    const llmux_chat_t *chat;
    int n = wanted(a->x->chat), i;
    int times = a->dialect->single ? n : 1;

    for (chat = a->x->chat; chat; chat = chat->next) {
        const llmux_chat_t *one = alone(a, chat, times == 1 && n > 1);

        for (i = 0; i < times && a->runs->nelts <= LLMUX_RUNS_MAX; i++) {
            add_run(a, one, n / times);
        }
    }
    if (a->runs->nelts > LLMUX_RUNS_MAX) {
        return too_many(a, n > 1 ? "n" : "prompt", LLMUX_RUNS_MAX);
    }
    if (times > 1) {
        llmux_warn(a->warnings, LLMUX_WARN_EMULATE, "n");
    }
    return NULL;
}

static const llmux_error_t *plan_vectors(attempt_t *a)
{
    int most = llmux_embed_most(a->dialect, a->target.model);
    llmux_chat_t *chat = llmux_embed_split(a->pool, a->x->chat, most);

    for (; chat; chat = chat->next) {
        add_run(a, alone(a, chat, 0), chat->embed->inputs->nelts);
    }
    return a->runs->nelts > LLMUX_EMBED_RUNS_MAX
        ? too_many(a, "input", LLMUX_EMBED_RUNS_MAX) : NULL;
}

/* A dialect of prompts says all of them at once. */
static const llmux_error_t *plan(attempt_t *a)
{
    if (a->dialect->op == LLMUX_OP_EMBED) {
        return plan_vectors(a);
    }
    if (a->dialect->op == LLMUX_OP_CHAT) {
        return plan_answers(a);
    }
    add_run(a, a->x->chat, LLMUX_CANDIDATES_MAX);
    return NULL;
}

/* ---- the bytes --------------------------------------------------------- */

/* What a chat cannot do for a client who asks for a text to go on. */
static const llmux_error_t *check_op(attempt_t *a)
{
    const llmux_error_t *err;

    if (a->x->dialect->op != LLMUX_OP_COMPLETE
        || a->dialect->op != LLMUX_OP_CHAT) {
        return NULL;
    }
    err = llmux_completions_refusal(a->x->chat, &a->target);
    if (!err) {
        llmux_completions_emulated(a->x->chat, a->warnings);
    }
    return err;
}

const llmux_error_t *body_plan(attempt_t *a)
{
    const llmux_error_t *err;

    if (a->same) {
        return NULL;
    }
    a->runs = apr_array_make(a->pool, 1, sizeof(run_t));
    err = body_read(a->x);
    if (!err) {
        err = check_op(a);
    }
    if (!err) {
        tell_lost(a);
        err = plan(a);
    }
    return err;
}

static const llmux_error_t *write_run(attempt_t *a, llmux_buf_t *out)
{
    const llmux_error_t *err = NULL;

    if (a->same) {
        a->x->dialect->edit(out, a->pool, &a->x->head, a->x->text,
                            &a->target, a->warnings);
    }
    else {
        err = a->dialect->write(out,
                                APR_ARRAY_IDX(a->runs, a->run, run_t).chat,
                                &a->target, a->warnings, a->pool);
    }
    return err ? err : llmux_warnings_refusal(a->x->pool, a->warnings,
                                              a->target.name);
}

const llmux_error_t *body_write(attempt_t *a, llmux_buf_t *out)
{
    const llmux_error_t *err = write_run(a, out);

    if (!err && out->failed) {
        err = llmux_error(a->x->pool, LLMUX_ERR_TOO_LARGE, NULL,
                          "The request is too large for %s.",
                          a->target.name);
    }
    return err;
}
