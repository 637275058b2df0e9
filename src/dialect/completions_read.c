/* completions_read.c - a body of legacy completions into the canonical
 * request: a chat for each prompt. */

#include <stddef.h>
#include <string.h>

#include <apr_strings.h>

#include "completions.h"
#include "openai.h"
#include "reader.h"

enum {
    LOGPROBS_MAX = 5        /* OpenAI's own limit */
};

typedef struct field_t field_t;

/* A top-level member; they are read in the table's order. */
struct field_t {
    const char *name;
    void (*read)(llmux_reader_t *r, const llmux_at_t *at,
                 const llmux_json_t *v, const field_t *f);  /* NULL: skip */
    apr_size_t offset;      /* of what it sets in llmux_chat_t */
    double low, high;       /* numbers; integers: both 0 is any, high 0 is no
                             * limit */
};

#define FIELD(f, type) \
    ((type *) (void *) ((char *) r->chat + (f)->offset))

/* ---- plain kinds ----------------------------------------------------- */

static void read_str(llmux_reader_t *r, const llmux_at_t *at,
                     const llmux_json_t *v, const field_t *f)
{
    if (llmux_reader_expect(r, at, v, LLMUX_JSON_STRING)) {
        *FIELD(f, llmux_slice_t) = llmux_json_str(r->pool, v);
    }
}

static void read_number(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, const field_t *f)
{
    *FIELD(f, llmux_slice_t) = llmux_reader_number(r, at, v, f->low, f->high);
}

static void read_any(llmux_reader_t *r, const llmux_at_t *at,
                     const llmux_json_t *v, const field_t *f)
{
    *FIELD(f, llmux_slice_t) =
        llmux_reader_integer(r, at, v, APR_INT64_MIN, APR_INT64_MAX);
}

static void read_integer(llmux_reader_t *r, const llmux_at_t *at,
                         const llmux_json_t *v, const field_t *f)
{
    *FIELD(f, llmux_slice_t) = llmux_reader_integer(
        r, at, v, (apr_int64_t)f->low,
        f->high ? (apr_int64_t)f->high : APR_INT64_MAX);
}

/* ---- what needs a closer look ---------------------------------------- */

/* vLLM and its kin say 0 or -1 for "off". */
static void read_top_k(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *v, const field_t *f)
{
    llmux_slice_t k = llmux_reader_integer(r, at, v, -1, APR_INT64_MAX);

    if (llmux_json_int(v, 0) > 0) {
        r->chat->top_k = k;
    }
}

/* So many beside the token itself, of which there is word even with 0. */
static void read_logprobs(llmux_reader_t *r, const llmux_at_t *at,
                          const llmux_json_t *v, const field_t *f)
{
    r->chat->top_logprobs = llmux_reader_integer(r, at, v, 0, LOGPROBS_MAX);
    r->chat->logprobs = LLMUX_YES;
}

static void read_logit_bias(llmux_reader_t *r, const llmux_at_t *at,
                            const llmux_json_t *v, const field_t *f)
{
    const llmux_json_t *m;

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    for (m = llmux_json_first(v); m && !r->err;
         m = llmux_json_next_member(v, m)) {
        llmux_reader_number(r, at, llmux_json_value(m), -100, 100);
    }
    r->chat->logit_bias = llmux_json_raw(v);
}

static void add_stop(llmux_reader_t *r, const llmux_at_t *at,
                     const llmux_json_t *v)
{
    llmux_slice_t s = llmux_json_str(r->pool, v);

    /* an empty one would stop at once; no provider means that by it */
    if (llmux_reader_expect(r, at, v, LLMUX_JSON_STRING) && s.len) {
        if (!r->chat->stop) {
            r->chat->stop = apr_array_make(r->pool, 4, sizeof(llmux_slice_t));
        }
        APR_ARRAY_PUSH(r->chat->stop, llmux_slice_t) = s;
    }
}

static void read_stop(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *v, const field_t *f)
{
    const llmux_json_t *e;
    llmux_at_t each;
    int i = 0;

    if (llmux_json_kind(v) == LLMUX_JSON_STRING) {
        add_stop(r, at, v);
        return;
    }
    if (llmux_json_kind(v) != LLMUX_JSON_ARRAY
        || llmux_json_count(v) > LLMUX_STOPS_MAX) {
        llmux_reader_fail(r, at, "expected a string or an array of at most "
                          "%d strings, found %s", LLMUX_STOPS_MAX,
                          llmux_json_kind_name(v));
        return;
    }
    for (e = llmux_json_first(v); e && !r->err; e = llmux_json_next(v, e)) {
        each = llmux_at_index(at, i++);
        add_stop(r, &each, e);
    }
}

static void read_stream(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, const field_t *f)
{
    if (llmux_reader_expect(r, at, v, LLMUX_JSON_BOOL)) {
        r->chat->stream = llmux_json_bool(v) == LLMUX_YES;
    }
}

static void read_stream_options(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *v, const field_t *f)
{
    if (llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        r->chat->include_usage = r->chat->stream
            & (llmux_reader_bool(r, at, v, "include_usage") == LLMUX_YES);
    }
}

/* ---- prompts --------------------------------------------------------- */

/* What is the same for all prompts of the request. */
static llmux_prompt_t *read_common(llmux_reader_t *r, const llmux_at_t *root,
                                   const llmux_json_t *body)
{
    llmux_prompt_t *prompt = apr_pcalloc(r->pool, sizeof(*prompt));
    const llmux_json_t *best = llmux_json_get(body, "best_of");
    llmux_at_t at = llmux_at(root, "best_of");

    prompt->suffix = llmux_reader_str(r, root, body, "suffix");
    prompt->echo = llmux_reader_bool(r, root, body, "echo");
    if (best) {
        prompt->best_of = llmux_reader_integer(r, &at, best, 1,
                                               LLMUX_CANDIDATES_MAX);
        if (llmux_json_int(best, 1) < llmux_completions_n(r->chat)) {
            llmux_reader_fail(r, &at, "expected at least as many as 'n', "
                              "found %s", llmux_reader_found(r, best));
        }
    }
    return prompt;
}

/* A chat that shares all but the prompt with the first one. */
static llmux_chat_t *add_chat(const llmux_chat_t *first, llmux_chat_t *before)
{
    llmux_chat_t *chat = llmux_chat_create(first->pool);
    struct llmux_calls_t *calls = chat->calls;

    *chat = *first;
    chat->calls = calls;
    chat->messages = NULL;
    chat->last = NULL;
    chat->next = NULL;
    before->next = chat;
    return chat;
}

static void check_tokens(llmux_reader_t *r, const llmux_at_t *at,
                         const llmux_json_t *v)
{
    const llmux_json_t *e;
    llmux_at_t each;
    int i = 0;

    if (!llmux_json_count(v)) {
        llmux_reader_fail(r, at, "expected at least one token, found an empty "
                          "array");
    }
    for (e = llmux_json_first(v); e && !r->err; e = llmux_json_next(v, e)) {
        each = llmux_at_index(at, i++);
        if (llmux_json_int(e, -1) < 0
            || llmux_json_int(e, -1) > APR_INT32_MAX) {
            llmux_reader_fail(r, &each, "expected the number of a token, "
                              "found %s", llmux_reader_found(r, e));
        }
    }
}

static void set_prompt(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *v, llmux_chat_t *chat, int listed)
{
    llmux_prompt_t *prompt = apr_pmemdup(r->pool, r->chat->prompt,
                                         sizeof(*prompt));
    llmux_message_t *m = llmux_chat_message(chat, LLMUX_ROLE_USER);

    m->param = llmux_at_text(r->pool, at);
    prompt->listed = listed;
    if (llmux_json_kind(v) == LLMUX_JSON_STRING) {
        llmux_message_block(chat, m, LLMUX_BLOCK_TEXT)->text =
            llmux_json_str(r->pool, v);
    }
    else {
        check_tokens(r, at, v);
        prompt->tokens = llmux_json_raw(v);
    }
    chat->prompt = prompt;
}

static int fits(llmux_reader_t *r, const llmux_at_t *at, int prompts)
{
    if (prompts > LLMUX_PROMPTS_MAX) {
        llmux_reader_fail(r, at, "expected at most %d prompts, found %d",
                          LLMUX_PROMPTS_MAX, prompts);
    }
    else if (prompts * llmux_completions_n(r->chat) > LLMUX_CHOICES_MAX) {
        llmux_reader_fail(r, at, "expected prompts for at most %d choices, "
                          "found %d for 'n' of them each", LLMUX_CHOICES_MAX,
                          prompts);
    }
    return !r->err;
}

/* Either texts or lists of tokens, not both. */
static void read_list(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *v, llmux_json_e kind)
{
    llmux_chat_t *chat = r->chat;
    const llmux_json_t *e;
    llmux_at_t each;
    int i;

    if (!fits(r, at, llmux_json_count(v))) {
        return;
    }
    for (e = llmux_json_first(v), i = 0; e && !r->err;
         e = llmux_json_next(v, e), i++) {
        each = llmux_at_index(at, i);
        if (llmux_reader_expect(r, &each, e, kind)) {
            chat = i ? add_chat(r->chat, chat) : chat;
            set_prompt(r, &each, e, chat, 1);
        }
    }
}

static void read_prompts(llmux_reader_t *r, const llmux_at_t *at,
                         const llmux_json_t *v)
{
    llmux_json_e kind = llmux_json_kind(v);
    llmux_json_e first = llmux_json_kind(llmux_json_first(v));

    if (kind == LLMUX_JSON_STRING
        || (kind == LLMUX_JSON_ARRAY && first == LLMUX_JSON_NUMBER)) {
        set_prompt(r, at, v, r->chat, 0);
    }
    else if (kind == LLMUX_JSON_ARRAY
             && (first == LLMUX_JSON_STRING || first == LLMUX_JSON_ARRAY)) {
        read_list(r, at, v, first);
    }
    else {
        llmux_reader_fail(r, at, "expected a string, or an array of strings, "
                          "tokens or arrays of tokens, found %s",
                          kind != LLMUX_JSON_ARRAY ? llmux_json_kind_name(v)
                          : first == LLMUX_JSON_NONE ? "an empty array"
                          : "something else in it");
    }
}

/* ---- the table ------------------------------------------------------- */

#define DO(name, read) { name, read, 0, 0, 0 }
#define SPAN(name, read, member, low, high) \
    { name, read, offsetof(llmux_chat_t, member), low, high }

static const field_t fields[] = {
    SPAN("model", read_str, model, 0, 0),
    SPAN("max_tokens", read_integer, max_tokens, 0, 0),
    SPAN("temperature", read_number, temperature, 0, 2),
    SPAN("top_p", read_number, top_p, 0, 1),
    DO("top_k", read_top_k),
    SPAN("n", read_integer, n, 1, LLMUX_CANDIDATES_MAX),
    DO("logprobs", read_logprobs),
    DO("stop", read_stop),
    SPAN("frequency_penalty", read_number, frequency_penalty, -2, 2),
    SPAN("presence_penalty", read_number, presence_penalty, -2, 2),
    SPAN("seed", read_any, seed, 0, 0),
    DO("logit_bias", read_logit_bias),
    SPAN("user", read_str, user_id, 0, 0),
    DO("stream", read_stream),
    DO("stream_options", read_stream_options),
    /* read on their own */
    DO("prompt", NULL),
    DO("suffix", NULL),
    DO("echo", NULL),
    DO("best_of", NULL),
    /* the gateway's own */
    DO("provider", NULL),
    DO("parameters", NULL),
    DO("tags", NULL),
    DO("tag", NULL)
};

#define FIELDS ((int) (sizeof(fields) / sizeof(*fields)))

static int field_of(const llmux_json_t *name)
{
    int i = 0;

    while (i < FIELDS && !llmux_json_is(name, fields[i].name)) {
        i++;
    }
    return i;
}

/* At the end of the list. */
static void add_extra(llmux_reader_t *r, llmux_extra_t **list,
                      const llmux_json_t *m, const llmux_json_t *v)
{
    while (*list) {
        list = &(*list)->next;
    }
    *list = apr_pcalloc(r->pool, sizeof(**list));
    (*list)->name = llmux_json_str(r->pool, m);
    (*list)->json = llmux_json_raw(v);
}

/* Sorts the members into the table's order; unknown ones become extras, in
 * their own order. Those of a chat are none: where a chat stands in for the
 * completion, they would stand beside what we write by the same name. */
static void sort_members(llmux_reader_t *r, const llmux_json_t *body,
                         const llmux_json_t **found)
{
    const llmux_json_t *m, *v;
    int i;

    for (m = llmux_json_first(body); m; m = llmux_json_next_member(body, m)) {
        v = llmux_json_value(m);
        i = field_of(m);
        if (llmux_json_kind(v) == LLMUX_JSON_NULL) {
            continue;
        }
        if (i < FIELDS) {
            found[i] = v;
            continue;
        }
        add_extra(r, llmux_openai_knows(m) ? &r->chat->lost
                                           : &r->chat->extra, m, v);
    }
}

const llmux_error_t *llmux_completions_read(llmux_chat_t *chat,
                                            const llmux_json_t *body)
{
    llmux_reader_t r = { chat, chat->pool, NULL };
    const llmux_json_t *found[FIELDS] = { NULL };
    llmux_at_t root = llmux_at(NULL, NULL), at;
    int i;

    if (!llmux_reader_expect(&r, &root, body, LLMUX_JSON_OBJECT)) {
        return r.err;
    }
    if (llmux_json_count(body) > LLMUX_MEMBERS_MAX) {
        llmux_reader_fail(&r, &root, "expected at most %d members, found %d",
                          LLMUX_MEMBERS_MAX, llmux_json_count(body));
        return r.err;
    }
    sort_members(&r, body, found);
    for (i = 0; i < FIELDS && !r.err; i++) {
        if (found[i] && fields[i].read) {
            at = llmux_at(&root, fields[i].name);
            fields[i].read(&r, &at, found[i], &fields[i]);
        }
    }
    chat->prompt = read_common(&r, &root, body);
    at = llmux_at(&root, "prompt");
    if (!r.err && llmux_json_get(body, "prompt")) {
        read_prompts(&r, &at, llmux_json_get(body, "prompt"));
    }
    return r.err;
}
