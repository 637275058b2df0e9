/* responses_read.c - a Responses body into the canonical request. */

#include <string.h>

#include <apr_strings.h>

#include "fields.h"
#include "responses_read.h"

/* How a member is kept in chat->said: llmux_field_t's `more`. */
typedef enum {
    QUIET,          /* not */
    SAID,
    OWN,            /* ... and others must leave it out */
    MEMBERS         /* its own members are, each by itself */
} keep_e;

void llmux_responses_refuse(llmux_reader_t *r, const llmux_at_t *at,
                            const char *fmt, ...)
{
    const char *message;
    va_list ap;

    if (r->err) {
        return;
    }
    va_start(ap, fmt);
    message = apr_pvsprintf(r->pool, fmt, ap);
    va_end(ap);
    r->err = llmux_error(r->pool, LLMUX_ERR_UNSUPPORTED,
                         llmux_at_text(r->pool, at), "%s", message);
}

void llmux_responses_no_background(llmux_reader_t *r, const llmux_at_t *at)
{
    llmux_responses_refuse(r, at, "Answers in the background are not offered "
                           "here. Leave 'background' out; with 'stream' a "
                           "long answer keeps its connection alive.");
}

static void add_extra(llmux_reader_t *r, llmux_extra_t **list,
                      llmux_slice_t name, const llmux_json_t *v)
{
    llmux_extra_t *e = apr_pcalloc(r->pool, sizeof(*e));

    e->name = name;
    e->json = llmux_json_raw(v);
    e->next = *list;
    *list = e;
}

void llmux_responses_lost(llmux_reader_t *r, llmux_slice_t name,
                          const llmux_json_t *v)
{
    add_extra(r, &r->chat->lost, name, v);
}

/* What was said, and lost where `own` is set. */
static void say(llmux_reader_t *r, llmux_slice_t name, const llmux_json_t *v,
                int own)
{
    add_extra(r, &r->chat->said, name, v);
    if (own) {
        llmux_responses_lost(r, name, v);
    }
}

/* ---- what has no place in the canonical request ----------------------- */

static void check_list(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *v, const llmux_field_t *f)
{
    llmux_reader_expect(r, at, v, LLMUX_JSON_ARRAY);
}

static void check_object(llmux_reader_t *r, const llmux_at_t *at,
                         const llmux_json_t *v, const llmux_field_t *f)
{
    llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT);
}

static void check_string(llmux_reader_t *r, const llmux_at_t *at,
                         const llmux_json_t *v, const llmux_field_t *f)
{
    llmux_reader_expect(r, at, v, LLMUX_JSON_STRING);
}

static void check_count(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, const llmux_field_t *f)
{
    llmux_reader_integer(r, at, v, 0, APR_INT64_MAX);
}

static void check_truncation(llmux_reader_t *r, const llmux_at_t *at,
                             const llmux_json_t *v, const llmux_field_t *f)
{
    static const char *const words[] = { "disabled", "auto", NULL };

    llmux_reader_word(r, at, v, words);
}

static void refuse_previous(llmux_reader_t *r, const llmux_at_t *at,
                            const llmux_json_t *v, const llmux_field_t *f)
{
    llmux_responses_refuse(r, at, "'previous_response_id' refers to an answer "
                           "that is not kept here. Send the whole "
                           "conversation in 'input' instead: the earlier "
                           "messages, and the items of each answer's "
                           "'output'.");
}

static void refuse_conversation(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *v, const llmux_field_t *f)
{
    llmux_responses_refuse(r, at, "Conversations are not kept here. Leave "
                           "'conversation' out and send all of its items in "
                           "'input'.");
}

static void refuse_prompt(llmux_reader_t *r, const llmux_at_t *at,
                          const llmux_json_t *v, const llmux_field_t *f)
{
    llmux_responses_refuse(r, at, "Prompt templates are kept by OpenAI, for "
                           "its own models. Leave 'prompt' out and send its "
                           "text in 'instructions' and 'input'.");
}

static void refuse_background(llmux_reader_t *r, const llmux_at_t *at,
                              const llmux_json_t *v, const llmux_field_t *f)
{
    if (llmux_reader_expect(r, at, v, LLMUX_JSON_BOOL)
        && llmux_json_bool(v) == LLMUX_YES) {
        llmux_responses_no_background(r, at);
    }
}

/* ---- what needs a closer look ---------------------------------------- */

static void read_instructions(llmux_reader_t *r, const llmux_at_t *at,
                              const llmux_json_t *v, const llmux_field_t *f)
{
    llmux_message_t *m;

    if (llmux_reader_expect(r, at, v, LLMUX_JSON_STRING)
        && !llmux_json_is(v, "")) {
        m = llmux_chat_message(r->chat, LLMUX_ROLE_SYSTEM);
        m->param = "instructions";
        llmux_message_block(r->chat, m, LLMUX_BLOCK_TEXT)->text =
            llmux_json_str(r->pool, v);
    }
}

static void read_input(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *v, const llmux_field_t *f)
{
    llmux_responses_read_input(r, at, v);
}

static void read_tools(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *v, const llmux_field_t *f)
{
    llmux_responses_read_tools(r, at, v);
}

static void read_choice(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, const llmux_field_t *f)
{
    llmux_responses_read_choice(r, at, v);
}

/* Probabilities come only where they are asked for in two ways; elsewhere
 * the number alone is taken as the wish. */
static void read_top_logprobs(llmux_reader_t *r, const llmux_at_t *at,
                              const llmux_json_t *v, const llmux_field_t *f)
{
    llmux_slice_t n = llmux_reader_integer(r, at, v, 0, 20);

    if (llmux_json_int(v, 0) > 0) {
        r->chat->top_logprobs = n;
        r->chat->logprobs = LLMUX_YES;
    }
}

/* Encrypted reasoning is always given; of the rest only this has an effect. */
static void read_include(llmux_reader_t *r, const llmux_at_t *at,
                         const llmux_json_t *v, const llmux_field_t *f)
{
    const llmux_json_t *e;
    llmux_at_t each;
    int i = 0;

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_ARRAY)) {
        return;
    }
    for (e = llmux_json_first(v); e && !r->err; e = llmux_json_next(v, e)) {
        each = llmux_at_index(at, i++);
        llmux_reader_expect(r, &each, e, LLMUX_JSON_STRING);
        if (llmux_json_is(e, "message.output_text.logprobs")) {
            r->chat->logprobs = LLMUX_YES;
        }
    }
}

/* ---- reasoning ------------------------------------------------------- */

static void read_effort(llmux_reader_t *r, const llmux_at_t *up,
                        const llmux_json_t *v)
{
    static const char *const words[] = {
        "none", "minimal", "low", "medium", "high", "xhigh", "max", NULL
    };
    llmux_at_t at = llmux_at(up, "effort");
    int i = v ? llmux_reader_word(r, &at, v, words) : -1;

    if (i >= 0) {
        r->chat->effort = llmux_effort_of(llmux_slice(words[i]));
    }
}

static void read_summary(llmux_reader_t *r, const llmux_at_t *up,
                         const llmux_json_t *v, const char *name)
{
    static const char *const words[] =
        { "auto", "concise", "detailed", NULL };
    const llmux_json_t *summary = llmux_json_get(v, name);
    llmux_at_t at = llmux_at(up, name);

    if (summary && llmux_reader_word(r, &at, summary, words) >= 0) {
        r->chat->show_thinking = LLMUX_YES;
    }
}

static void read_reasoning(llmux_reader_t *r, const llmux_at_t *at,
                           const llmux_json_t *v, const llmux_field_t *f)
{
    if (llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        read_effort(r, at, llmux_json_get(v, "effort"));
        read_summary(r, at, v, "summary");
        read_summary(r, at, v, "generate_summary");
    }
}

/* ---- text ------------------------------------------------------------- */

static void read_schema(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v)
{
    llmux_chat_t *chat = r->chat;

    chat->format_name = llmux_reader_need_str(r, at, v, "name");
    llmux_reader_check_name(r, at, v, chat->format_name,
                            LLMUX_TOOL_NAME_MAX);
    chat->format_description = llmux_reader_str(r, at, v, "description");
    chat->format_schema = llmux_json_raw(
        llmux_reader_need(r, at, v, "schema", LLMUX_JSON_OBJECT));
    chat->format_strict = llmux_reader_bool(r, at, v, "strict");
}

static void read_format(llmux_reader_t *r, const llmux_at_t *up,
                        const llmux_json_t *v)
{
    static const char *const words[] =
        { "text", "json_object", "json_schema", NULL };
    static const llmux_format_e formats[] =
        { LLMUX_FORMAT_TEXT, LLMUX_FORMAT_JSON, LLMUX_FORMAT_SCHEMA };
    llmux_at_t at = llmux_at(up, "format"), type = llmux_at(&at, "type");
    int i;

    if (!llmux_reader_expect(r, &at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    i = llmux_reader_word(r, &type, llmux_json_get(v, "type"), words);
    if (i >= 0) {
        r->chat->format = formats[i];
    }
    if (i == 2) {
        read_schema(r, &at, v);
    }
}

static void read_verbosity(llmux_reader_t *r, const llmux_at_t *up,
                           const llmux_json_t *v)
{
    static const char *const words[] = { "low", "medium", "high", NULL };
    llmux_at_t at = llmux_at(up, "verbosity");
    int i = llmux_reader_word(r, &at, v, words);

    if (i >= 0) {
        r->chat->verbosity = llmux_slice(words[i]);
    }
}

static void read_text(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *v, const llmux_field_t *f)
{
    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    if (llmux_json_get(v, "format")) {
        read_format(r, at, llmux_json_get(v, "format"));
    }
    if (llmux_json_get(v, "verbosity")) {
        read_verbosity(r, at, llmux_json_get(v, "verbosity"));
    }
}

/* ---- the table ------------------------------------------------------- */

#define DO(name, read, keep) { name, read, 0, 0, 0, keep }
#define SET(name, read, member) \
    { name, read, offsetof(llmux_chat_t, member), 0, 0, SAID }
#define SPAN(name, read, member, low, high) \
    { name, read, offsetof(llmux_chat_t, member), low, high, SAID }

static const llmux_field_t fields[] = {
    { "model", llmux_field_str, offsetof(llmux_chat_t, model), 0, 0, QUIET },
    DO("background", refuse_background, QUIET),
    DO("previous_response_id", refuse_previous, QUIET),
    DO("conversation", refuse_conversation, QUIET),
    DO("prompt", refuse_prompt, QUIET),
    DO("instructions", read_instructions, SAID),
    DO("input", read_input, QUIET),
    DO("tools", read_tools, SAID),
    DO("tool_choice", read_choice, SAID),
    SET("parallel_tool_calls", llmux_field_tri, parallel),
    SPAN("max_output_tokens", llmux_field_integer, max_tokens, 1, 0),
    SPAN("temperature", llmux_field_number, temperature, 0, 2),
    SPAN("top_p", llmux_field_number, top_p, 0, 1),
    DO("top_logprobs", read_top_logprobs, SAID),
    DO("include", read_include, OWN),
    DO("reasoning", read_reasoning, MEMBERS),
    DO("text", read_text, MEMBERS),
    SET("safety_identifier", llmux_field_str, user_id),
    SET("user", llmux_field_str, user_id),
    SET("service_tier", llmux_field_str, service_tier),
    SET("prompt_cache_key", llmux_field_str, cache_key),
    SET("store", llmux_field_tri, store),
    SET("metadata", llmux_field_object, metadata),
    SET("moderation", llmux_field_object, moderation),
    DO("stream", llmux_field_stream, QUIET),
    DO("stream_options", check_object, QUIET),
    DO("truncation", check_truncation, OWN),
    DO("max_tool_calls", check_count, OWN),
    DO("context_management", check_list, OWN),
    DO("prompt_cache_options", check_object, OWN),
    DO("prompt_cache_retention", check_string, OWN),
    /* the gateway's own */
    DO("provider", NULL, QUIET),
    DO("parameters", NULL, QUIET),
    DO("tags", NULL, QUIET),
    DO("tag", NULL, QUIET)
};

#define FIELDS ((int) (sizeof(fields) / sizeof(*fields)))

/* ---- what was said --------------------------------------------------- */

/* Values that ask for nothing: nobody need be told that they are lost. */
static const struct { const char *name, *value; } idle[] = {
    { "truncation",        "disabled"     },
    { "reasoning.context", "auto"         },
    { "reasoning.context", "current_turn" },
    { "reasoning.mode",    "standard"     }
};

/* What has a place in the canonical request. */
static const char *const placed[] = {
    "reasoning.effort", "reasoning.summary", "reasoning.generate_summary",
    "text.format", "text.verbosity", NULL
};

/* What is given also to those who do not ask. */
static const char *const given[] = {
    "reasoning.encrypted_content", "message.output_text.logprobs",
    "message.input_image.image_url", NULL
};

static int is_among(const llmux_json_t *v, const char *const *words)
{
    int i;

    for (i = 0; words[i]; i++) {
        if (llmux_json_is(v, words[i])) {
            return 1;
        }
    }
    return 0;
}

/* An array of nothing but what is given. */
static int asks_nothing(const llmux_json_t *list)
{
    const llmux_json_t *e = llmux_json_first(list);

    while (e && is_among(e, given)) {
        e = llmux_json_next(list, e);
    }
    return !e;
}

static int is_idle(const char *name, const llmux_json_t *v)
{
    apr_size_t i;

    for (i = 0; i < sizeof(idle) / sizeof(*idle); i++) {
        if (!strcmp(idle[i].name, name) && llmux_json_is(v, idle[i].value)) {
            return 1;
        }
    }
    return llmux_json_kind(v) == LLMUX_JSON_ARRAY && asks_nothing(v);
}

static int is_placed(const char *name)
{
    int i;

    for (i = 0; placed[i] && strcmp(placed[i], name); i++) {
    }
    return placed[i] != NULL;
}

/* Each member of `reasoning` or `text` as "reasoning.effort". */
static void note_members(llmux_reader_t *r, const llmux_at_t *at,
                         const llmux_json_t *object)
{
    const llmux_json_t *m, *v;
    const char *name;

    if (llmux_json_count(object) > LLMUX_MEMBERS_MAX) {
        llmux_reader_fail(r, at, "expected at most %d members, found %d",
                          LLMUX_MEMBERS_MAX, llmux_json_count(object));
    }
    for (m = llmux_json_first(object); m && !r->err;
         m = llmux_json_next_member(object, m)) {
        v = llmux_json_value(m);
        if (llmux_json_kind(v) != LLMUX_JSON_NULL) {
            name = apr_pstrcat(r->pool, at->name, ".",
                               llmux_json_cstr(r->pool, m), NULL);
            say(r, llmux_slice(name), v,
                !is_placed(name) && !is_idle(name, v));
        }
    }
}

static void note(llmux_reader_t *r, const llmux_at_t *at,
                 const llmux_json_t *v, int keep)
{
    if (keep == MEMBERS) {
        note_members(r, at, v);
    }
    else if (keep != QUIET) {
        say(r, llmux_slice(at->name), v,
            keep == OWN && !is_idle(at->name, v));
    }
}

/* Sorts the members into the table's order; of those that are not in it
 * nobody but OpenAI can know what they mean. */
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
        if (llmux_field_means(fields, i, v)) {
            found[i] = v;
        }
        else {
            say(r, llmux_json_str(r->pool, m), v, 1);
        }
    }
}

const llmux_error_t *llmux_responses_read(llmux_chat_t *chat,
                                          const llmux_json_t *body)
{
    llmux_reader_t r = { chat, chat->pool, NULL };
    const llmux_json_t *found[FIELDS] = { NULL };
    llmux_at_t root = llmux_at(NULL, NULL), at;
    int i;

    if (!llmux_fields_expect(&r, body)) {
        return r.err;
    }
    sort_members(&r, body, found);
    for (i = 0; i < FIELDS && !r.err; i++) {
        if (found[i] && fields[i].read) {
            at = llmux_at(&root, fields[i].name);
            fields[i].read(&r, &at, found[i], &fields[i]);
            note(&r, &at, found[i], fields[i].more);
        }
    }
    if (!r.err && !llmux_json_get(body, "input")) {
        at = llmux_at(&root, "input");
        llmux_reader_fail(&r, &at, "expected a string or an array of items, "
                          "found nothing");
    }
    return r.err;
}
