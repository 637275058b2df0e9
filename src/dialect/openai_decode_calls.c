/* openai_decode_calls.c - tool calls in chat completions' answers: whole, in
 * fragments, and in the shapes that compatible servers give them. */

#include "openai_decode.h"

typedef llmux_openai_decode_t decoder_t;
typedef llmux_openai_cand_t choice_t;
typedef llmux_openai_call_t call_t;

static call_t *add_call(decoder_t *d, choice_t *c, apr_int64_t index)
{
    call_t *call;

    if (++d->ncalls > LLMUX_BLOCKS_MAX) {
        bad(d, "The provider's answer has too many tool calls.");
        return NULL;
    }
    call = apr_pcalloc(d->base.pool, sizeof(*call));
    call->index = index;
    call->next = c->calls;
    c->calls = call;
    return call;
}

/* Does a fragment with this id and name begin another call, though it has
 * the number of one that stands? Servers that send each call whole number
 * all of them 0 at times. */
static int another(const call_t *call, llmux_slice_t id, llmux_slice_t name)
{
    return !empty(id) && !empty(name) && !empty(call->id)
        && !llmux_slice_equal(id, call->id);
}

/* Whose fragment is it? Without a number: the latest's, unless it has an id
 * of its own. NULL if nobody's yet. */
static call_t *find_call(choice_t *c, apr_int64_t index, llmux_slice_t id,
                         llmux_slice_t name)
{
    call_t *call;

    for (call = c->calls; call; call = call->next) {
        if (index < 0 ? empty(id) || empty(call->id)
                        || llmux_slice_equal(id, call->id)
                      : call->index == index) {
            return another(call, id, name) ? NULL : call;
        }
    }
    return NULL;
}

static void start_call(decoder_t *d, choice_t *c, call_t *call)
{
    llmux_event_t ev = { .kind = LLMUX_EV_BLOCK_START, .cand = c->index,
                         .block = LLMUX_BLOCK_CALL, .name = call->name,
                         .custom = call->custom };

    llmux_openai_decode_close(d, c);
    if (empty(call->id)) {
        call->id = llmux_slice(llmux_random_id(d->base.env, d->base.pool,
                                               "call_"));
    }
    call->started = c->called = 1;
    call->key = ev.key = d->keys++;
    ev.id = call->id;
    llmux_openai_decode_start(d, &ev);
    llmux_openai_decode_token(d, c, call->key, call->token);
    if (call->held) {
        llmux_openai_decode_text(d, c, LLMUX_EV_ARGS, call->key,
                                 llmux_buf_slice(call->held));
        d->held -= call->held->len;
        llmux_buf_reset(call->held);
    }
}

static void call_args(decoder_t *d, choice_t *c, call_t *call,
                      llmux_slice_t args)
{
    if (call->started) {
        llmux_openai_decode_text(d, c, LLMUX_EV_ARGS, call->key, args);
        return;
    }
    if (empty(args) || !llmux_openai_decode_keep(d, args.len)) {
        return;
    }
    if (!call->held) {
        call->held = llmux_buf_create(d->base.pool, LLMUX_ARGS_MAX);
    }
    llmux_buf_add_slice(call->held, args);
}

/* Gemini's signature, as Google's own compatible endpoint spells it. */
static void call_token(decoder_t *d, choice_t *c, call_t *call,
                       const llmux_json_t *extra)
{
    const llmux_json_t *google = llmux_json_get(extra, "google");
    llmux_token_t token = { .maker = LLMUX_MAKER_GEMINI, .bytes =
                            member(d, google, "thought_signature") };

    if (empty(token.bytes)) {
        return;
    }
    if (call->started) {
        llmux_openai_decode_token(d, c, call->key, token);
        return;
    }
    call->token.maker = token.maker;
    llmux_openai_decode_keep_first(d, &call->token.bytes, token.bytes);
}

/* Some servers send the arguments as an object instead of a string. */
static llmux_slice_t args_of(decoder_t *d, const llmux_json_t *v)
{
    return llmux_json_kind(v) == LLMUX_JSON_OBJECT ? llmux_json_raw(v)
                                                   : str(d, v);
}

void llmux_openai_decode_fragment(decoder_t *d, choice_t *c,
                                  const llmux_openai_fragment_t *f)
{
    llmux_slice_t id = str(d, f->id), name = str(d, f->name);
    call_t *call = find_call(c, f->index, id, name);

    if (!call) {
        call = add_call(d, c, f->index);
    }
    if (!call) {
        return;
    }
    call->custom |= f->custom;
    llmux_openai_decode_keep_first(d, &call->id, id);
    llmux_openai_decode_keep_first(d, &call->name, name);
    call_token(d, c, call, f->extra);
    if (!call->started && !empty(call->name)) {
        start_call(d, c, call);
    }
    call_args(d, c, call, args_of(d, f->args));
}

/* `f` is {"name","arguments"} or {"name","input"}; `v` holds it. */
static void call_fragment(decoder_t *d, choice_t *c, apr_int64_t index,
                          const llmux_json_t *v, const llmux_json_t *f,
                          int custom)
{
    const llmux_openai_fragment_t fragment = {
        .index = index,
        .custom = custom,
        .id = llmux_json_get(v, "id"),
        .name = llmux_json_get(f, "name"),
        .args = llmux_json_get(f, custom ? "input" : "arguments"),
        .extra = llmux_json_get(v, "extra_content")
    };

    llmux_openai_decode_fragment(d, c, &fragment);
}

/* Snowflake sends an empty `custom` with each function's call. */
static int is_custom(const llmux_json_t *fragment)
{
    return llmux_json_is(llmux_json_get(fragment, "type"), "custom")
        || (llmux_json_get(fragment, "custom")
            && !llmux_json_get(fragment, "function"));
}

static void call_list(decoder_t *d, choice_t *c, const llmux_json_t *m)
{
    const llmux_json_t *list = llmux_json_get(m, "tool_calls"), *v;
    apr_int64_t index, n = 0;

    if (llmux_json_kind(list) != LLMUX_JSON_ARRAY) {
        return;
    }
    for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
        int custom = is_custom(v);

        /* In a whole message each element is a call, numbered or not. */
        index = d->is_whole ? n++
                            : llmux_json_int(llmux_json_get(v, "index"), -1);
        call_fragment(d, c, index, v,
                      llmux_json_get(v, custom ? "custom" : "function"),
                      custom);
    }
}

/* The one call of old, which had neither number nor id. Beside tool_calls it
 * says the same again, or nothing. */
static void function_call(decoder_t *d, choice_t *c, const llmux_json_t *m)
{
    const llmux_json_t *f = llmux_json_get(m, "function_call");

    if (llmux_json_kind(f) == LLMUX_JSON_OBJECT
        && !llmux_json_count(llmux_json_get(m, "tool_calls"))) {
        call_fragment(d, c, 0, NULL, f, 0);
    }
}

/* Ends the calls in the order they began. A call that never got a name
 * cannot be made; one that never said anything is none. */
void llmux_openai_decode_close_calls(decoder_t *d, choice_t *c)
{
    call_t *call, *done = NULL;

    while (c->calls) {
        call = c->calls;
        c->calls = call->next;
        call->next = done;
        done = call;
    }
    for (call = done; call; call = call->next) {
        if (call->started) {
            llmux_openai_decode_stop(d, c, call->key);
        }
        else if (call->held || !empty(call->id)) {
            bad(d, "The provider sent a tool call without a name.");
        }
    }
}

void llmux_openai_decode_calls(decoder_t *d, choice_t *c,
                               const llmux_json_t *m)
{
    call_list(d, c, m);
    function_call(d, c, m);
}
