/* completions_read.c - a body of legacy completions into the canonical
 * request: a chat for each prompt. */

#include <string.h>

#include <apr_strings.h>

#include "completions.h"
#include "fields.h"
#include "openai.h"

enum {
    LOGPROBS_MAX = 5        /* OpenAI's own limit */
};

/* So many beside the token itself, of which there is word even with 0. */
static void read_logprobs(llmux_reader_t *r, const llmux_at_t *at,
                          const llmux_json_t *v, const llmux_field_t *f)
{
    r->chat->top_logprobs = llmux_reader_integer(r, at, v, 0, LOGPROBS_MAX);
    r->chat->logprobs = LLMUX_YES;
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

static const llmux_field_t fields[] = {
    SPAN("model", llmux_field_str, model, 0, 0),
    SPAN("max_tokens", llmux_field_integer, max_tokens, 0, 0),
    SPAN("temperature", llmux_field_number, temperature, 0, 2),
    SPAN("top_p", llmux_field_number, top_p, 0, 1),
    DO("top_k", llmux_field_top_k),
    SPAN("n", llmux_field_integer, n, 1, LLMUX_CANDIDATES_MAX),
    DO("logprobs", read_logprobs),
    DO("stop", llmux_field_stop),
    SPAN("frequency_penalty", llmux_field_number, frequency_penalty, -2, 2),
    SPAN("presence_penalty", llmux_field_number, presence_penalty, -2, 2),
    SPAN("seed", llmux_field_any_integer, seed, 0, 0),
    DO("logit_bias", llmux_field_logit_bias),
    SPAN("user", llmux_field_str, user_id, 0, 0),
    DO("stream", llmux_field_stream),
    DO("stream_options", llmux_field_stream_options),
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
        i = llmux_field_of(fields, FIELDS, m);
        if (llmux_json_kind(v) == LLMUX_JSON_NULL) {
            continue;
        }
        if (i >= 0) {
            found[i] = v;
            continue;
        }
        llmux_extra_add(r, llmux_openai_knows(m) ? &r->chat->lost
                                                 : &r->chat->extra,
                        llmux_json_str(r->pool, m), v);
    }
}

const llmux_error_t *llmux_completions_read(llmux_chat_t *chat,
                                            const llmux_json_t *body)
{
    llmux_reader_t r = { chat, chat->pool, NULL };
    const llmux_json_t *found[FIELDS] = { NULL };
    llmux_at_t root = llmux_at(NULL, NULL), at = llmux_at(&root, "prompt");

    if (!llmux_fields_expect(&r, body)) {
        return r.err;
    }
    sort_members(&r, body, found);
    llmux_fields_read(&r, fields, FIELDS, found);
    chat->prompt = read_common(&r, &root, body);
    if (!r.err && llmux_json_get(body, "prompt")) {
        read_prompts(&r, &at, llmux_json_get(body, "prompt"));
    }
    return r.err;
}
