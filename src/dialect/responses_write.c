/* responses_write.c - the canonical request into a body for OpenAI's Responses
 * API. */

#include <stddef.h>
#include <string.h>

#include <apr_strings.h>

#include "responses_write.h"

enum {
    OUTPUT_MIN = 16,        /* max_output_tokens, and */
    IDENTIFIER_MAX = 64     /* safety_identifier: OpenAI's own limits */
};

typedef llmux_responses_out_t out_t;

const llmux_json_t *llmux_responses_json(const out_t *o, llmux_slice_t text)
{
    return text.data ? llmux_json_parse(o->w.pool, text, 0, NULL) : NULL;
}

/* ---- what cannot be said --------------------------------------------- */

/* Values that ask for nothing are not worth a warning. */
enum { ANY, NOT_ZERO, NOT_EMPTY };

static const struct {
    apr_size_t at;
    int spelling;
    const char *field;
} left_out[] = {
    { offsetof(llmux_chat_t, top_k),             ANY,       "top_k" },
    { offsetof(llmux_chat_t, seed),              ANY,       "seed" },
    { offsetof(llmux_chat_t, frequency_penalty), NOT_ZERO,
                                                 "frequency_penalty" },
    { offsetof(llmux_chat_t, presence_penalty),  NOT_ZERO,
                                                 "presence_penalty" },
    { offsetof(llmux_chat_t, logit_bias),        NOT_EMPTY, "logit_bias" },
    { offsetof(llmux_chat_t, audio),             NOT_EMPTY, "audio" },
    { offsetof(llmux_chat_t, prediction),        NOT_EMPTY, "prediction" }
};

static int asks_nothing(const out_t *o, llmux_slice_t value, int spelling)
{
    const llmux_json_t *v;

    if (!value.data || spelling == ANY) {
        return !value.data;
    }
    v = llmux_responses_json(o, value);
    return spelling == NOT_ZERO ? llmux_json_double(v, 1) == 0
                                : !llmux_json_count(v);
}

static const llmux_extra_t *find(const llmux_extra_t *e, llmux_slice_t name)
{
    while (e && !llmux_slice_equal(e->name, name)) {
        e = e->next;
    }
    return e;
}

/* What a client of the same API said is not lost here: it is written. */
static int is_lost(const out_t *o, llmux_slice_t name)
{
    return !find(o->w.chat->said, name)
        && !llmux_slice_is(name, "tools.filters");
}

static void leave_out(out_t *o)
{
    const llmux_extra_t *lost;
    apr_size_t i;

    llmux_tokens_tell(o->w.chat, LLMUX_MADE_BY(LLMUX_MAKER_OPENAI),
                      o->w.target, o->w.warnings);
    for (i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++) {
        const llmux_slice_t *value
            = (const void *)((const char *)o->w.chat + left_out[i].at);

        if (!asks_nothing(o, *value, left_out[i].spelling)) {
            llmux_warn(o->w.warnings, LLMUX_WARN_DROP, left_out[i].field);
        }
    }
    for (lost = o->w.chat->lost; lost; lost = lost->next) {
        if (is_lost(o, lost->name)) {
            llmux_warn(o->w.warnings, LLMUX_WARN_DROP,
                       llmux_slice_str(o->w.pool, lost->name));
        }
    }
}

/* What would change the answer if it went missing. */
static void refuse(out_t *o)
{
    const llmux_chat_t *chat = o->w.chat;
    const llmux_json_t *modalities = llmux_responses_json(o, chat->modalities);
    const llmux_json_t *each;

    if (chat->n.data && llmux_json_int(llmux_responses_json(o, chat->n), 0)
                            != 1) {
        llmux_writer_refuse(&o->w, "n", "%s gives one answer to a request "
                            "here. Leave 'n' out, or ask several times.",
                            o->w.target->name);
    }
    if (chat->stop && chat->stop->nelts) {
        llmux_writer_refuse(&o->w, "stop", "%s knows no stop sequences for "
                            "this model. Leave 'stop' out, or choose another "
                            "model.", o->w.target->name);
    }
    for (each = llmux_json_first(modalities); each;
         each = llmux_json_next(modalities, each)) {
        if (!llmux_json_is(each, "text")) {
            llmux_writer_refuse(&o->w, "modalities", "%s answers with text "
                                "only here. Leave 'modalities' out.",
                                o->w.target->name);
        }
    }
}

/* ---- output format --------------------------------------------------- */

/* Where a schema cannot be said it is told to the model; and json_object is
 * refused unless the input has the word. */
static void decide_format(out_t *o)
{
    const llmux_chat_t *chat = o->w.chat;

    o->format = chat->format;
    if (chat->format == LLMUX_FORMAT_SCHEMA
        && !llmux_writer_can(&o->w, LLMUX_CAN_SCHEMA)) {
        llmux_warn(o->w.warnings, LLMUX_WARN_APPROX, "response_format");
        o->format = LLMUX_FORMAT_JSON;
        o->hint = apr_pstrcat(o->w.pool, "Answer with one JSON object and "
                              "nothing else. It must match this JSON Schema: ",
                              chat->format_schema.data
                                  ? llmux_slice_str(o->w.pool,
                                                    chat->format_schema)
                                  : "{}", NULL);
    }
    else if (chat->format == LLMUX_FORMAT_JSON
             && !llmux_writer_mentions_json(chat)) {
        o->hint = "Answer with one JSON object and nothing else.";
    }
}

static void write_schema(out_t *o)
{
    const llmux_chat_t *chat = o->w.chat;
    llmux_jw_t *jw = &o->w.jw;

    llmux_jw_key(jw, "name");
    llmux_jw_str(jw, chat->format_name.len ? chat->format_name
                                           : llmux_slice("output"));
    llmux_jw_opt_str(jw, "description", chat->format_description);
    llmux_jw_key(jw, "schema");
    llmux_jw_raw(jw, chat->format_schema.data ? chat->format_schema
                                              : llmux_slice("{}"));
    llmux_jw_opt_bool(jw, "strict", chat->format_strict);
}

static void write_format(out_t *o)
{
    static const char *const types[] = {
        [LLMUX_FORMAT_TEXT] = "text",
        [LLMUX_FORMAT_JSON] = "json_object",
        [LLMUX_FORMAT_SCHEMA] = "json_schema"
    };

    llmux_jw_key(&o->w.jw, "format");
    llmux_jw_open(&o->w.jw, '{');
    llmux_jw_key(&o->w.jw, "type");
    llmux_jw_cstr(&o->w.jw, types[o->format]);
    if (o->format == LLMUX_FORMAT_SCHEMA) {
        write_schema(o);
    }
    llmux_jw_close(&o->w.jw, '}');
}

/* ---- what a client of the same API said ------------------------------ */

static const char *behind(llmux_slice_t name, const char *prefix)
{
    apr_size_t n = strlen(prefix);

    return llmux_slice_starts(name, prefix) && name.len > n ? name.data + n
                                                            : NULL;
}

/* Members of `reasoning` or `text` that have no place in the request. */
static void write_nested(out_t *o, const char *prefix,
                         const char *const *known)
{
    const llmux_extra_t *e;
    llmux_slice_t name;
    int i;

    for (e = o->w.chat->said; e; e = e->next) {
        name.data = behind(e->name, prefix);
        if (!name.data) {
            continue;
        }
        name.len = e->name.len - strlen(prefix);
        for (i = 0; known[i] && !llmux_slice_is(name, known[i]); i++) {
        }
        if (!known[i]) {
            llmux_jw_key_slice(&o->w.jw, name);
            llmux_jw_raw(&o->w.jw, e->json);
        }
    }
}

static int any_nested(const out_t *o, const char *prefix)
{
    const llmux_extra_t *e = o->w.chat->said;

    while (e && !behind(e->name, prefix)) {
        e = e->next;
    }
    return e != NULL;
}

/* ---- text ------------------------------------------------------------ */

static void write_text(out_t *o)
{
    static const char *const known[] = { "format", "verbosity", NULL };
    const llmux_chat_t *chat = o->w.chat;

    if (o->format == LLMUX_FORMAT_UNSET && !chat->verbosity.data
        && !any_nested(o, "text.")) {
        return;
    }
    llmux_jw_key(&o->w.jw, "text");
    llmux_jw_open(&o->w.jw, '{');
    if (o->format != LLMUX_FORMAT_UNSET) {
        write_format(o);
    }
    llmux_jw_opt_str(&o->w.jw, "verbosity", chat->verbosity);
    write_nested(o, "text.", known);
    llmux_jw_close(&o->w.jw, '}');
}

/* ---- reasoning ------------------------------------------------------- */

static llmux_effort_e effort_of(const out_t *o)
{
    const llmux_chat_t *chat = o->w.chat;

    return chat->effort == LLMUX_EFFORT_UNSET && chat->budget.data
        ? llmux_writer_effort(llmux_json_int(
              llmux_responses_json(o, chat->budget), 0))
        : chat->effort;
}

/* Models that do not reason refuse to be asked how. */
static int may_reason(llmux_slice_t model)
{
    static const char *const plain[] = {
        "gpt-3", "gpt-4", "chatgpt-", "ft:gpt-3", "ft:gpt-4", NULL
    };
    const char *slash = model.len ? memrchr(model.data, '/', model.len)
                                  : NULL;
    int i;

    if (slash) {
        model.len -= (apr_size_t)(slash + 1 - model.data);
        model.data = slash + 1;
    }
    for (i = 0; plain[i]; i++) {
        if (llmux_slice_starts(model, plain[i])) {
            return 0;
        }
    }
    return 1;
}

/* Does the client want the reasoning back, be it only to send it again? That
 * is who asked for it, unless told not to. */
static int shows(const out_t *o)
{
    const llmux_chat_t *chat = o->w.chat;
    llmux_effort_e effort = effort_of(o);

    if (effort == LLMUX_EFFORT_NONE || !may_reason(o->w.target->model)) {
        return 0;
    }
    return chat->show_thinking != LLMUX_UNSET
        ? chat->show_thinking == LLMUX_YES : effort != LLMUX_EFFORT_UNSET;
}

/* Summaries are given to accounts alone that have shown who they are, so
 * they are asked for only if the client did. */
static llmux_slice_t summary_of(const out_t *o)
{
    static const llmux_slice_t none = { NULL, 0 };
    llmux_slice_t said = llmux_responses_said(o->w.chat,
                                              "reasoning.summary");

    if (!shows(o) || o->w.chat->show_thinking != LLMUX_YES) {
        return none;
    }
    return said.data ? said : llmux_slice("\"auto\"");
}

static void write_reasoning(out_t *o)
{
    static const char *const known[] = {
        "effort", "summary", "generate_summary", NULL
    };
    const char *effort = llmux_effort_name(effort_of(o));
    llmux_slice_t summary = summary_of(o);

    if (o->w.chat->budget.data) {
        llmux_warn(o->w.warnings, LLMUX_WARN_APPROX, "thinking.budget_tokens");
    }
    if (!effort && !summary.data && !any_nested(o, "reasoning.")) {
        return;
    }
    llmux_jw_key(&o->w.jw, "reasoning");
    llmux_jw_open(&o->w.jw, '{');
    llmux_jw_opt_str(&o->w.jw, "effort", llmux_slice(effort));
    llmux_jw_opt_raw(&o->w.jw, "summary", summary);
    write_nested(o, "reasoning.", known);
    llmux_jw_close(&o->w.jw, '}');
}

/* ---- include --------------------------------------------------------- */

#define SEALED   "reasoning.encrypted_content"
#define LOGPROBS "message.output_text.logprobs"

static void include(out_t *o, int *open, llmux_slice_t json)
{
    if (!(*open)++) {
        llmux_jw_key(&o->w.jw, "include");
        llmux_jw_open(&o->w.jw, '[');
    }
    llmux_jw_raw(&o->w.jw, json);
}

static void write_include(out_t *o)
{
    const llmux_json_t *said = llmux_responses_json(
        o, llmux_responses_said(o->w.chat, "include")), *e;
    int open = 0;

    if (shows(o)) {
        include(o, &open, llmux_slice("\"" SEALED "\""));
    }
    if (o->w.chat->logprobs == LLMUX_YES) {
        include(o, &open, llmux_slice("\"" LOGPROBS "\""));
    }
    for (e = llmux_json_first(said); e; e = llmux_json_next(said, e)) {
        if (!llmux_json_is(e, SEALED) && !llmux_json_is(e, LOGPROBS)) {
            include(o, &open, llmux_json_raw(e));
        }
    }
    if (open) {
        llmux_jw_close(&o->w.jw, ']');
    }
}

/* ---- numbers --------------------------------------------------------- */

static void write_max_tokens(out_t *o)
{
    llmux_slice_t max = o->w.chat->max_tokens;

    if (max.data && llmux_json_int(llmux_responses_json(o, max), OUTPUT_MIN)
                        < OUTPUT_MIN) {
        llmux_warn(o->w.warnings, LLMUX_WARN_APPROX, "max_tokens");
        llmux_jw_key(&o->w.jw, "max_output_tokens");
        llmux_jw_int(&o->w.jw, OUTPUT_MIN);
        return;
    }
    llmux_jw_opt_raw(&o->w.jw, "max_output_tokens", max);
}

static void write_sampling(out_t *o)
{
    const llmux_chat_t *chat = o->w.chat;

    write_max_tokens(o);
    llmux_jw_opt_raw(&o->w.jw, "temperature", chat->temperature);
    llmux_jw_opt_raw(&o->w.jw, "top_p", chat->top_p);
    if (chat->logprobs == LLMUX_YES) {
        llmux_jw_opt_raw(&o->w.jw, "top_logprobs", chat->top_logprobs);
    }
}

/* ---- who asks, and how it is kept ------------------------------------ */

static void write_user_id(out_t *o)
{
    llmux_slice_t id = o->w.chat->user_id;
    int modern = llmux_writer_can(&o->w, LLMUX_CAN_DEVELOPER)
        && id.len <= IDENTIFIER_MAX;

    llmux_jw_opt_str(&o->w.jw, modern ? "safety_identifier" : "user", id);
}

/* The API keeps answers unless told not to; other APIs' clients do not expect
 * that. */
static void write_keeping(out_t *o)
{
    const llmux_chat_t *chat = o->w.chat;

    llmux_jw_opt_str(&o->w.jw, "service_tier", chat->service_tier);
    llmux_jw_opt_str(&o->w.jw, "prompt_cache_key", chat->cache_key);
    llmux_jw_key(&o->w.jw, "store");
    llmux_jw_bool(&o->w.jw, chat->store == LLMUX_YES);
    llmux_jw_opt_raw(&o->w.jw, "metadata", chat->metadata);
    llmux_jw_opt_raw(&o->w.jw, "moderation", chat->moderation);
    if (chat->stream) {
        llmux_jw_key(&o->w.jw, "stream");
        llmux_jw_bool(&o->w.jw, 1);
    }
}

/* ---- what the client said beside that -------------------------------- */

static int is_nested(llmux_slice_t name)
{
    return behind(name, "reasoning.") || behind(name, "text.")
        || llmux_slice_is(name, "include");
}

/* Members of chat completions that are the same here. */
static int is_common(llmux_slice_t name)
{
    static const char *const names[] = {
        "prompt_cache_options", "prompt_cache_retention", "truncation",
        "max_tool_calls", "context_management", NULL
    };
    int i = 0;

    while (names[i] && !llmux_slice_is(name, names[i])) {
        i++;
    }
    return names[i] != NULL;
}

static void write_member(out_t *o, const llmux_extra_t *e)
{
    llmux_jw_key_slice(&o->w.jw, e->name);
    llmux_jw_raw(&o->w.jw, e->json);
}

static void write_extra(out_t *o)
{
    const llmux_chat_t *chat = o->w.chat;
    const llmux_extra_t *e;

    for (e = chat->said; e; e = e->next) {
        if (is_common(e->name)
            || (!is_nested(e->name) && find(chat->lost, e->name))) {
            write_member(o, e);
        }
    }
    for (e = chat->extra; e; e = e->next) {
        if (is_common(e->name)) {
            write_member(o, e);
        }
        else {
            llmux_warn(o->w.warnings, LLMUX_WARN_DROP,
                       llmux_slice_str(o->w.pool, e->name));
        }
    }
}

/* ---- all of it ------------------------------------------------------- */

/* The first message, if it is one plain text of the system's. Not where the
 * input must have the word "json", which is not looked for there; and not if
 * nothing were left for the input. */
static void write_instructions(out_t *o)
{
    const llmux_message_t *m = o->w.chat->messages;
    const llmux_block_t *b = m ? m->blocks : NULL;

    if (!b || m->role != LLMUX_ROLE_SYSTEM || !m->next || b->next
        || b->kind != LLMUX_BLOCK_TEXT || !b->text.len
        || llmux_responses_marked(o, b) || o->format == LLMUX_FORMAT_JSON) {
        return;
    }
    o->instructed = 1;
    llmux_writer_name(&o->w, m);
    llmux_jw_key(&o->w.jw, "instructions");
    llmux_jw_str(&o->w.jw, b->text);
}

static void write_model(out_t *o)
{
    llmux_jw_key(&o->w.jw, "model");
    llmux_jw_str(&o->w.jw, o->w.target->model);
}

/* The order is fixed: providers cache prompts by their first bytes. */
static void (*const steps[])(out_t *o) = {
    refuse,
    leave_out,
    decide_format,
    write_model,
    write_instructions,
    llmux_responses_write_input,
    llmux_responses_write_tools,
    write_sampling,
    write_reasoning,
    write_text,
    write_include,
    write_user_id,
    write_keeping,
    write_extra
};

const llmux_error_t *llmux_responses_write(llmux_buf_t *out,
                                           const llmux_chat_t *chat,
                                           const llmux_target_t *target,
                                           llmux_warnings_t *warnings,
                                           apr_pool_t *scratch)
{
    out_t o = { .format = LLMUX_FORMAT_UNSET };
    const llmux_error_t *err;
    apr_pool_t *pool;
    apr_size_t i;

    apr_pool_create(&pool, scratch);
    o.w = llmux_writer(out, chat, target, warnings, pool);
    llmux_jw_open(&o.w.jw, '{');
    for (i = 0; i < sizeof(steps) / sizeof(*steps) && !o.w.err; i++) {
        steps[i](&o);
    }
    llmux_jw_close(&o.w.jw, '}');
    err = llmux_writer_end(&o.w);
    apr_pool_destroy(pool);
    return err;
}
