/* openai_decode.c - chat completions' answers, whole and streamed, become
 * events. Knows the habits of compatible servers, too. */

#include <string.h>

#include "errors.h"
#include "openai_answer.h"

/* ---- state ----------------------------------------------------------- */

/* A tool call in the making. Its BLOCK_START waits for the name; arguments
 * and token that come earlier are held. */
typedef struct call_t {
    struct call_t *next;        /* the one begun before it */
    apr_int64_t index;          /* as the server numbers it */
    int key;                    /* once started */
    int started, custom;
    llmux_slice_t id, name;
    llmux_buf_t *held;          /* arguments, NULL for none */
    llmux_token_t token;
} call_t;

/* A candidate. At most one block that is no call is open at a time. */
typedef struct choice_t {
    int index;
    int open;                   /* is there such a block? */
    llmux_block_e block;
    int key;
    apr_int64_t detail;         /* think: its number among the details */
    call_t *calls;              /* the latest first */
    int spoke, called, refused; /* text or an image, a call, a refusal was
                                 * emitted */
    int finished;
    llmux_finish_e finish;
    llmux_slice_t reason, stop;
} choice_t;

typedef struct decoder_t {
    llmux_decoder_t base;
    choice_t *choices[LLMUX_CANDIDATES_MAX];
    int keys;                   /* blocks so far */
    int ncalls;                 /* calls so far, started or not */
    apr_size_t held;            /* bytes of arguments, ids and names kept */
    int is_whole;
    llmux_usage_t usage;
} decoder_t;

static void bad(decoder_t *d, const char *message)
{
    llmux_decoder_fail(&d->base, LLMUX_ERR_BAD_UPSTREAM, message);
}

static llmux_slice_t str(decoder_t *d, const llmux_json_t *v)
{
    return llmux_json_str(d->base.scratch, v);
}

static llmux_slice_t member(decoder_t *d, const llmux_json_t *v,
                            const char *name)
{
    return str(d, llmux_json_get(v, name));
}

static int empty(llmux_slice_t s)
{
    return !s.data || !s.len;
}

/* Same as member(), but "" is absent. */
static llmux_slice_t filled(decoder_t *d, const llmux_json_t *v,
                            const char *name)
{
    static const llmux_slice_t none = { NULL, 0 };
    llmux_slice_t s = member(d, v, name);

    return empty(s) ? none : s;
}

/* ---- blocks ---------------------------------------------------------- */

static void emit_text(decoder_t *d, choice_t *c, llmux_event_e kind, int key,
                      llmux_slice_t text)
{
    llmux_event_t ev = { .kind = kind, .cand = c->index, .key = key,
                         .text = text };

    if (!empty(text)) {
        llmux_decoder_emit(&d->base, &ev);
    }
}

static void emit_token(decoder_t *d, choice_t *c, int key,
                       llmux_token_t token)
{
    llmux_event_t ev = { .kind = LLMUX_EV_TOKEN, .cand = c->index,
                         .key = key, .token = token };

    if (token.maker != LLMUX_MAKER_NONE && !empty(token.bytes)) {
        llmux_decoder_emit(&d->base, &ev);
    }
}

static void stop_block(decoder_t *d, choice_t *c, int key)
{
    llmux_event_t ev = { .kind = LLMUX_EV_BLOCK_STOP, .cand = c->index,
                         .key = key };

    llmux_decoder_emit(&d->base, &ev);
}

static void start_block(decoder_t *d, const llmux_event_t *ev)
{
    if (d->keys > LLMUX_BLOCKS_MAX) {
        bad(d, "The provider's answer has too many parts.");
        return;
    }
    llmux_decoder_emit(&d->base, ev);
}

static void close_block(decoder_t *d, choice_t *c)
{
    if (c->open) {
        c->open = 0;
        stop_block(d, c, c->key);
    }
}

static void open_block(decoder_t *d, choice_t *c, llmux_block_e block)
{
    llmux_event_t ev = { .kind = LLMUX_EV_BLOCK_START, .cand = c->index,
                         .block = block };

    if (c->open && c->block == block) {
        return;
    }
    close_block(d, c);
    c->open = 1;
    c->block = block;
    c->key = ev.key = d->keys++;
    c->detail = -1;
    start_block(d, &ev);
}

static void block_text(decoder_t *d, choice_t *c, llmux_block_e block,
                       llmux_event_e kind, llmux_slice_t text)
{
    if (!empty(text)) {
        c->spoke |= block == LLMUX_BLOCK_TEXT;
        open_block(d, c, block);
        emit_text(d, c, kind, c->key, text);
    }
}

/* ---- reasoning ------------------------------------------------------- */

static const struct {
    const char *format;
    llmux_maker_e signs, seals;     /* with text; encrypted */
} formats[] = {
    { "anthropic-claude-v1", LLMUX_MAKER_ANTHROPIC,
                             LLMUX_MAKER_ANTHROPIC_REDACTED },
    { "google-gemini-v1",    LLMUX_MAKER_GEMINI, LLMUX_MAKER_GEMINI },
    { "openai-responses-v1", LLMUX_MAKER_OPENAI, LLMUX_MAKER_OPENAI }
};

/* Tokens of unknown makers are left out: there is nobody to give them to. */
static llmux_token_t token_of(decoder_t *d, const llmux_json_t *detail)
{
    const llmux_json_t *format = llmux_json_get(detail, "format");
    llmux_slice_t data = member(d, detail, "data");
    llmux_token_t token = { LLMUX_MAKER_NONE, { NULL, 0 } };
    apr_size_t i;

    token.bytes = empty(data) ? member(d, detail, "signature") : data;
    for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (llmux_json_is(format, formats[i].format)) {
            token.maker = empty(data) ? formats[i].signs : formats[i].seals;
        }
    }
    return token;
}

/* Details with different numbers are different blocks. */
static void open_think(decoder_t *d, choice_t *c, apr_int64_t number)
{
    if (c->open && c->block == LLMUX_BLOCK_THINK && number >= 0
        && c->detail >= 0 && c->detail != number) {
        close_block(d, c);
    }
    open_block(d, c, LLMUX_BLOCK_THINK);
    if (number >= 0) {
        c->detail = number;
    }
}

static llmux_slice_t detail_text(decoder_t *d, const llmux_json_t *detail)
{
    llmux_slice_t text = member(d, detail, "text");

    return text.data ? text : member(d, detail, "summary");
}

static void detail(decoder_t *d, choice_t *c, const llmux_json_t *v,
                   int with_text)
{
    llmux_slice_t text = detail_text(d, v);
    llmux_token_t token = token_of(d, v);
    int spoken = with_text && !empty(text);

    if (spoken || (token.maker != LLMUX_MAKER_NONE && !empty(token.bytes))) {
        open_think(d, c, llmux_json_int(llmux_json_get(v, "index"), -1));
        if (spoken) {
            emit_text(d, c, LLMUX_EV_THINK, c->key, text);
        }
        emit_token(d, c, c->key, token);
    }
}

static int details_speak(decoder_t *d, const llmux_json_t *details)
{
    const llmux_json_t *v;

    for (v = llmux_json_first(details); v; v = llmux_json_next(details, v)) {
        if (!empty(detail_text(d, v))) {
            return 1;
        }
    }
    return 0;
}

/* One text under up to three names: reasoning_details holds it in pieces
 * that keep their signatures, so it is preferred where it has any text. */
static void reasoning(decoder_t *d, choice_t *c, const llmux_json_t *m)
{
    const llmux_json_t *details = llmux_json_get(m, "reasoning_details"), *v;
    llmux_slice_t text = member(d, m, "reasoning_content");
    int speak;

    if (llmux_json_kind(details) != LLMUX_JSON_ARRAY) {
        details = NULL;
    }
    speak = details_speak(d, details);
    if (!speak) {
        block_text(d, c, LLMUX_BLOCK_THINK, LLMUX_EV_THINK,
                   empty(text) ? member(d, m, "reasoning") : text);
    }
    for (v = llmux_json_first(details); v; v = llmux_json_next(details, v)) {
        detail(d, c, v, speak);
    }
}

/* ---- content --------------------------------------------------------- */

static void image(decoder_t *d, choice_t *c, const llmux_json_t *part)
{
    llmux_event_t ev = { .kind = LLMUX_EV_MEDIA, .cand = c->index };
    const llmux_json_t *url = llmux_json_get(part, "image_url");
    llmux_data_url_t data;

    if (llmux_json_kind(url) == LLMUX_JSON_OBJECT) {
        url = llmux_json_get(url, "url");
    }
    if (!llmux_data_url(d->base.scratch, str(d, url), &data)) {
        return;
    }
    c->spoke = 1;
    close_block(d, c);
    open_block(d, c, LLMUX_BLOCK_MEDIA);
    ev.key = c->key;
    ev.name = data.type;
    ev.text = data.base64;
    llmux_decoder_emit(&d->base, &ev);
    close_block(d, c);
}

static void images(decoder_t *d, choice_t *c, const llmux_json_t *m)
{
    const llmux_json_t *list = llmux_json_get(m, "images"), *v;

    if (llmux_json_kind(list) == LLMUX_JSON_ARRAY) {
        for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
            image(d, c, v);
        }
    }
}

/* Mistral: {"type":"thinking","thinking":[{"type":"text","text":"..."}]} */
static void thinking_part(decoder_t *d, choice_t *c, const llmux_json_t *part)
{
    const llmux_json_t *list = llmux_json_get(part, "thinking"), *v;

    if (llmux_json_kind(list) == LLMUX_JSON_STRING) {
        block_text(d, c, LLMUX_BLOCK_THINK, LLMUX_EV_THINK, str(d, list));
        return;
    }
    for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
        block_text(d, c, LLMUX_BLOCK_THINK, LLMUX_EV_THINK,
                   member(d, v, "text"));
    }
}

static void text_part(decoder_t *d, choice_t *c, const llmux_json_t *part)
{
    block_text(d, c, LLMUX_BLOCK_TEXT, LLMUX_EV_TEXT, member(d, part, "text"));
}

static void refuse(decoder_t *d, choice_t *c, llmux_slice_t text)
{
    if (!empty(text)) {
        c->refused = 1;
        block_text(d, c, LLMUX_BLOCK_REFUSAL, LLMUX_EV_REFUSAL, text);
    }
}

static void refusal_part(decoder_t *d, choice_t *c, const llmux_json_t *part)
{
    refuse(d, c, member(d, part, "refusal"));
}

static const struct {
    const char *type;
    void (*read)(decoder_t *d, choice_t *c, const llmux_json_t *part);
} parts[] = {
    { "text", text_part },
    { "output_text", text_part },
    { "thinking", thinking_part },
    { "refusal", refusal_part },
    { "image_url", image }
};

static void content_part(decoder_t *d, choice_t *c, const llmux_json_t *part)
{
    const llmux_json_t *type = llmux_json_get(part, "type");
    apr_size_t i;

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (llmux_json_is(type, parts[i].type)) {
            parts[i].read(d, c, part);
        }
    }
}

static void content(decoder_t *d, choice_t *c, const llmux_json_t *v)
{
    const llmux_json_t *part;

    if (llmux_json_kind(v) == LLMUX_JSON_ARRAY) {
        for (part = llmux_json_first(v); part;
             part = llmux_json_next(v, part)) {
            content_part(d, c, part);
        }
        return;
    }
    block_text(d, c, LLMUX_BLOCK_TEXT, LLMUX_EV_TEXT, str(d, v));
}

static void citation(decoder_t *d, choice_t *c, const llmux_json_t *v)
{
    const llmux_json_t *u = llmux_json_get(v, "url_citation");
    llmux_cite_t cite;
    llmux_event_t ev = { .kind = LLMUX_EV_CITE, .cand = c->index,
                         .cite = &cite };

    u = u ? u : v;
    cite.url = member(d, u, "url");
    cite.title = filled(d, u, "title");
    cite.quote = filled(d, u, "content");
    cite.start = llmux_json_int(llmux_json_get(u, "start_index"), -1);
    cite.end = llmux_json_int(llmux_json_get(u, "end_index"), -1);
    if (cite.start < 0 || cite.end <= cite.start) {
        cite.start = cite.end = -1;
    }
    if (llmux_json_is(llmux_json_get(v, "type"), "url_citation")
        && !empty(cite.url)) {
        open_block(d, c, LLMUX_BLOCK_TEXT);
        ev.key = c->key;
        llmux_decoder_emit(&d->base, &ev);
    }
}

static void citations(decoder_t *d, choice_t *c, const llmux_json_t *m)
{
    const llmux_json_t *list = llmux_json_get(m, "annotations"), *v;

    if (llmux_json_kind(list) == LLMUX_JSON_ARRAY) {
        for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
            citation(d, c, v);
        }
    }
}

static void logprobs(decoder_t *d, choice_t *c, const llmux_json_t *choice)
{
    const llmux_json_t *list = llmux_json_get(
        llmux_json_get(choice, "logprobs"), "content");

    if (llmux_json_kind(list) == LLMUX_JSON_ARRAY && llmux_json_count(list)) {
        emit_text(d, c, LLMUX_EV_LOGPROBS, 0, llmux_json_raw(list));
    }
}

/* ---- calls ----------------------------------------------------------- */

/* Keeps `n` more bytes for as long as the answer lasts, if that is allowed */
static int keep(decoder_t *d, apr_size_t n)
{
    if (n > LLMUX_ARGS_MAX - d->held) {
        bad(d, "The provider's answer has tool calls that are too long.");
        return 0;
    }
    d->held += n;
    return 1;
}

/* The first that says something holds; many servers repeat it. */
static void keep_first(decoder_t *d, llmux_slice_t *to, llmux_slice_t s)
{
    if (empty(*to) && !empty(s) && keep(d, s.len)) {
        *to = llmux_slice_dup(d->base.pool, s);
    }
}

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

    close_block(d, c);
    if (empty(call->id)) {
        call->id = llmux_slice(llmux_random_id(d->base.env, d->base.pool,
                                               "call_"));
    }
    call->started = c->called = 1;
    call->key = ev.key = d->keys++;
    ev.id = call->id;
    start_block(d, &ev);
    emit_token(d, c, call->key, call->token);
    if (call->held) {
        emit_text(d, c, LLMUX_EV_ARGS, call->key,
                  llmux_buf_slice(call->held));
        d->held -= call->held->len;
        llmux_buf_reset(call->held);
    }
}

static void call_args(decoder_t *d, choice_t *c, call_t *call,
                      llmux_slice_t args)
{
    if (call->started) {
        emit_text(d, c, LLMUX_EV_ARGS, call->key, args);
        return;
    }
    if (empty(args) || !keep(d, args.len)) {
        return;
    }
    if (!call->held) {
        call->held = llmux_buf_create(d->base.pool, LLMUX_ARGS_MAX);
    }
    llmux_buf_add_slice(call->held, args);
}

/* Gemini's signature, as Google's own compatible endpoint spells it. */
static void call_token(decoder_t *d, choice_t *c, call_t *call,
                       const llmux_json_t *fragment)
{
    const llmux_json_t *google = llmux_json_get(
        llmux_json_get(fragment, "extra_content"), "google");
    llmux_token_t token = { LLMUX_MAKER_GEMINI,
                            member(d, google, "thought_signature") };

    if (empty(token.bytes)) {
        return;
    }
    if (call->started) {
        emit_token(d, c, call->key, token);
        return;
    }
    call->token.maker = token.maker;
    keep_first(d, &call->token.bytes, token.bytes);
}

/* Some servers send the arguments as an object instead of a string. */
static llmux_slice_t args_of(decoder_t *d, const llmux_json_t *v)
{
    return llmux_json_kind(v) == LLMUX_JSON_OBJECT ? llmux_json_raw(v)
                                                   : str(d, v);
}

/* `f` is {"name","arguments"} or {"name","input"}; `fragment` holds it. */
static void call_fragment(decoder_t *d, choice_t *c, apr_int64_t index,
                          const llmux_json_t *fragment, const llmux_json_t *f,
                          int custom)
{
    llmux_slice_t id = member(d, fragment, "id"), name = member(d, f, "name");
    call_t *call = find_call(c, index, id, name);

    if (!call) {
        call = add_call(d, c, index);
    }
    if (!call) {
        return;
    }
    call->custom |= custom;
    keep_first(d, &call->id, id);
    keep_first(d, &call->name, name);
    call_token(d, c, call, fragment);
    if (!call->started && !empty(call->name)) {
        start_call(d, c, call);
    }
    call_args(d, c, call, args_of(d, llmux_json_get(f, custom ? "input"
                                                              : "arguments")));
}

/* Snowflake sends an empty `custom` with each function's call. */
static int is_custom(const llmux_json_t *fragment)
{
    return llmux_json_is(llmux_json_get(fragment, "type"), "custom")
        || (llmux_json_get(fragment, "custom")
            && !llmux_json_get(fragment, "function"));
}

static void calls(decoder_t *d, choice_t *c, const llmux_json_t *m)
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
static void close_calls(decoder_t *d, choice_t *c)
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
            stop_block(d, c, call->key);
        }
        else if (call->held || !empty(call->id)) {
            bad(d, "The provider sent a tool call without a name.");
        }
    }
}

/* ---- the end --------------------------------------------------------- */

static const struct { const char *theirs; llmux_finish_e ours; } finishes[] = {
    { "stop",                          LLMUX_FINISH_STOP },
    { "eos",                           LLMUX_FINISH_STOP },
    { "end_turn",                      LLMUX_FINISH_STOP },
    { "stop_sequence",                 LLMUX_FINISH_STOP_SEQUENCE },
    { "length",                        LLMUX_FINISH_LENGTH },
    { "max_tokens",                    LLMUX_FINISH_LENGTH },
    { "model_length",                  LLMUX_FINISH_CONTEXT },
    { "model_context_window_exceeded", LLMUX_FINISH_CONTEXT },
    { "tool_calls",                    LLMUX_FINISH_CALLS },
    { "tool_use",                      LLMUX_FINISH_CALLS },
    { "function_call",                 LLMUX_FINISH_CALLS },
    { "content_filter",                LLMUX_FINISH_FILTER },
    { "sensitive",                     LLMUX_FINISH_FILTER },
    { "safety",                        LLMUX_FINISH_FILTER },
    { "recitation",                    LLMUX_FINISH_FILTER },
    { "refusal",                       LLMUX_FINISH_REFUSAL },
    { "malformed_function_call",       LLMUX_FINISH_MALFORMED },
    { "malformed_tool_use",            LLMUX_FINISH_MALFORMED },
    { "pause_turn",                    LLMUX_FINISH_PAUSE }
};

/* The answer broke off, whatever the server calls it. */
static const char *const failures[] = {
    "error", "abort", "network_error", "insufficient_system_resource", NULL
};

static llmux_finish_e finish_of(llmux_slice_t reason)
{
    apr_size_t i;

    for (i = 0; i < sizeof(finishes) / sizeof(finishes[0]); i++) {
        if (llmux_slice_is_nocase(reason, finishes[i].theirs)) {
            return finishes[i].ours;
        }
    }
    return LLMUX_FINISH_OTHER;
}

static int is_failure(llmux_slice_t reason)
{
    int i;

    for (i = 0; failures[i]; i++) {
        if (llmux_slice_is(reason, failures[i])) {
            return 1;
        }
    }
    return 0;
}

/* vLLM tells in `stop_reason` which sequence it was; a token's number says
 * nothing to anybody, and others repeat the finish reason there. */
static llmux_slice_t matched(decoder_t *d, const llmux_json_t *choice)
{
    static const llmux_slice_t none = { NULL, 0 };
    llmux_slice_t s = member(d, choice, "stop_reason");

    return empty(s) || finish_of(s) != LLMUX_FINISH_OTHER ? none : s;
}

/* Only noted, and said when all is over: there are servers that report a
 * finish with each chunk, or send more after it. The last one holds. */
static void note_finish(decoder_t *d, choice_t *c, const llmux_json_t *choice)
{
    llmux_slice_t reason = member(d, choice, "finish_reason");

    if (empty(reason) || llmux_slice_is(reason, "null")) {
        return;
    }
    if (is_failure(reason)) {
        bad(d, "The provider broke its answer off.");
        return;
    }
    c->finish = finish_of(reason);
    if (!c->finished || !llmux_slice_equal(reason, c->reason)) {
        c->reason = keep(d, reason.len)
            ? llmux_slice_dup(d->base.pool, reason) : c->reason;
    }
    c->finished = 1;
    keep_first(d, &c->stop, matched(d, choice));
}

static llmux_finish_e finish_kind(const choice_t *c)
{
    switch (c->finish) {
    case LLMUX_FINISH_STOP:
        if (!c->called && !c->refused && c->stop.data) {
            return LLMUX_FINISH_STOP_SEQUENCE;
        }
        if (!c->called && c->refused) {
            return LLMUX_FINISH_REFUSAL;
        }
        return c->called ? LLMUX_FINISH_CALLS : LLMUX_FINISH_STOP;
    case LLMUX_FINISH_OTHER:
        return c->called ? LLMUX_FINISH_CALLS : LLMUX_FINISH_OTHER;
    default:
        return c->finish;
    }
}

static void emit_finish(decoder_t *d, choice_t *c)
{
    llmux_event_t ev = { .kind = LLMUX_EV_FINISH, .cand = c->index,
                         .text = c->reason, .stop = c->stop };

    close_block(d, c);
    close_calls(d, c);
    ev.finish = finish_kind(c);
    llmux_decoder_emit(&d->base, &ev);
}

/* A whole document cannot be truncated: there a missing reason is one that
 * the server does not know. */
static int all_finished(const decoder_t *d)
{
    int i, n = 0;

    for (i = 0; i < LLMUX_CANDIDATES_MAX; i++) {
        if (d->choices[i]) {
            n++;
            if (!d->choices[i]->finished && !d->is_whole) {
                return 0;
            }
        }
    }
    return n > 0;
}

/* Did all that there is come to nothing, because the model called a tool in a
 * way that nobody understands? */
static int only_malformed(const decoder_t *d)
{
    const choice_t *c;
    int i;

    for (i = 0; i < LLMUX_CANDIDATES_MAX; i++) {
        c = d->choices[i];
        if (c && (c->spoke || c->called || c->refused
                  || c->finish != LLMUX_FINISH_MALFORMED)) {
            return 0;
        }
    }
    return 1;
}

static void finish(llmux_decoder_t *base)
{
    static const llmux_event_t end = { .kind = LLMUX_EV_END };
    decoder_t *d = (decoder_t *)base;
    int i;

    if (!all_finished(d)) {
        bad(d, d->is_whole ? "The provider's answer holds no choices."
                           : "The provider's answer was truncated.");
        return;
    }
    if (only_malformed(d)) {
        bad(d, "The model made a tool call that is not valid.");
        return;
    }
    for (i = 0; i < LLMUX_CANDIDATES_MAX; i++) {
        if (d->choices[i]) {
            emit_finish(d, d->choices[i]);
        }
    }
    llmux_decoder_emit(base, &end);
}

/* ---- payloads -------------------------------------------------------- */

static void start(decoder_t *d, const llmux_json_t *body)
{
    llmux_event_t ev = { .kind = LLMUX_EV_START };

    if (!d->base.started) {
        ev.id = filled(d, body, "id");
        ev.name = filled(d, body, "model");
        ev.created = llmux_json_int(llmux_json_get(body, "created"), 0);
        ev.tier = filled(d, body, "service_tier");
        ev.fingerprint = filled(d, body, "system_fingerprint");
        llmux_decoder_emit(&d->base, &ev);
    }
}

static choice_t *find_choice(decoder_t *d, const llmux_json_t *choice, int n)
{
    apr_int64_t i = llmux_json_int(llmux_json_get(choice, "index"), n);

    if (i < 0 || i >= LLMUX_CANDIDATES_MAX) {
        bad(d, "The provider's answer has an impossible choice.");
        return NULL;
    }
    if (!d->choices[i]) {
        d->choices[i] = apr_pcalloc(d->base.pool, sizeof(choice_t));
        d->choices[i]->index = (int)i;
    }
    return d->choices[i];
}

/* Order matters: models think before they speak, and speak before they
 * call. Log probabilities go with the text before them. */
static void message(decoder_t *d, choice_t *c, const llmux_json_t *m,
                    const llmux_json_t *choice)
{
    reasoning(d, c, m);
    content(d, c, llmux_json_get(m, "content"));
    refuse(d, c, member(d, m, "refusal"));
    logprobs(d, c, choice);
    citations(d, c, m);
    images(d, c, m);
    calls(d, c, m);
    function_call(d, c, m);
}

static void fail(decoder_t *d, const llmux_json_t *body)
{
    llmux_event_t ev = { .kind = LLMUX_EV_ERROR };

    ev.error = llmux_error_read(d->base.pool, 0, body);
    llmux_decoder_emit(&d->base, &ev);
}

static void usage(decoder_t *d, const llmux_json_t *v)
{
    llmux_event_t ev = { .kind = LLMUX_EV_USAGE, .usage = &d->usage };

    if (llmux_json_kind(v) == LLMUX_JSON_OBJECT
        && llmux_openai_usage_read(&d->usage, v)) {
        llmux_decoder_emit(&d->base, &ev);
    }
}

/* Perplexity sends both members always: in a stream the message repeats what
 * the deltas said, in a whole answer the delta is empty. */
static void choice(decoder_t *d, const llmux_json_t *v, int n)
{
    const llmux_json_t *m = llmux_json_get(v, d->is_whole ? "message"
                                                          : "delta");
    choice_t *c = find_choice(d, v, n);

    if (!m) {
        m = llmux_json_get(v, d->is_whole ? "delta" : "message");
    }
    if (!c) {
        return;
    }
    if (llmux_json_get(v, "error")) {
        fail(d, v);
        return;
    }
    message(d, c, m, v);
    note_finish(d, c, v);
    usage(d, llmux_json_get(v, "usage"));       /* Moonshot */
}

static int truthy(const llmux_json_t *v)
{
    switch (llmux_json_kind(v)) {
    case LLMUX_JSON_STRING:
        return !llmux_json_is(v, "");
    case LLMUX_JSON_OBJECT:
        return llmux_json_count(v) > 0;
    case LLMUX_JSON_BOOL:
        return llmux_json_bool(v) == LLMUX_YES;
    default:
        return 0;
    }
}

/* An error in the place of an answer, in one of the shapes that are about. */
static int is_error(llmux_slice_t event_name, const llmux_json_t *body)
{
    if (truthy(llmux_json_get(body, "error"))
        || llmux_slice_is(event_name, "error")) {
        return 1;
    }
    return !llmux_json_get(body, "choices") && !llmux_json_get(body, "usage")
        && (llmux_json_is(llmux_json_get(body, "object"), "error")
            || llmux_json_get(body, "detail")
            || llmux_json_get(body, "statusCode")
            || llmux_json_kind(llmux_json_get(body, "message"))
                   == LLMUX_JSON_STRING);
}

static void payload(llmux_decoder_t *base, llmux_slice_t event_name,
                    const llmux_json_t *body)
{
    decoder_t *d = (decoder_t *)base;
    const llmux_json_t *list = llmux_json_get(body, "choices"), *v;
    int n = 0;

    if (is_error(event_name, body)) {
        fail(d, body);
        return;
    }
    list = llmux_json_kind(list) == LLMUX_JSON_ARRAY ? list : NULL;
    /* Azure sends its filters' results first, with no id and no choices. */
    if (llmux_json_count(list) || llmux_json_get(body, "usage")) {
        start(d, body);
    }
    for (v = llmux_json_first(list); v; v = llmux_json_next(list, v)) {
        choice(d, v, n++);
    }
    usage(d, llmux_json_get(llmux_json_get(body, "x_groq"), "usage"));
    usage(d, llmux_json_get(body, "usage"));
}

static void whole(llmux_decoder_t *base, const llmux_json_t *body)
{
    static const llmux_slice_t none = { NULL, 0 };
    decoder_t *d = (decoder_t *)base;

    d->is_whole = 1;
    payload(base, none, body);
}

llmux_decoder_t *llmux_openai_decoder(apr_pool_t *p, const llmux_env_t *env,
                                      llmux_emit_fn emit, void *baton)
{
    static const llmux_usage_t unknown = LLMUX_USAGE_NONE;
    decoder_t *d = apr_pcalloc(p, sizeof(*d));

    llmux_decoder_init(&d->base, p, env, emit, baton);
    d->base.payload = payload;
    d->base.sentinel = finish;
    d->base.whole = whole;
    d->base.finish = finish;
    d->usage = unknown;
    return &d->base;
}
