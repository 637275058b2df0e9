/* openai_write.c - the canonical request into a chat-completions body. */

#include <string.h>

#include <apr_strings.h>

#include "openai.h"
#include "writer.h"

enum {
    STOPS_MAX = 4,          /* OpenAI's own limit */
    IDENTIFIER_MAX = 64     /* of safety_identifier */
};

int llmux_openai_can(const llmux_openai_out_t *o, unsigned int ability)
{
    return (o->target->can & ability) != 0;
}

/* ---- output format --------------------------------------------------- */

/* System text of ours that makes the model answer in the format asked for
 * where a member cannot; OpenAI itself refuses json_object unless the prompt
 * has the word. */
static const char *format_hint(llmux_openai_out_t *o)
{
    const llmux_chat_t *chat = o->chat;

    if (chat->format == LLMUX_FORMAT_SCHEMA
        && !llmux_openai_can(o, LLMUX_CAN_SCHEMA)) {
        llmux_warn(o->warnings, LLMUX_WARN_APPROX, "response_format");
        return apr_pstrcat(o->pool, "Answer with one JSON object and nothing "
                           "else. It must match this JSON Schema: ",
                           llmux_slice_str(o->pool,
                                           chat->format_schema.data
                                               ? chat->format_schema
                                               : llmux_slice("{}")),
                           NULL);
    }
    if (chat->format == LLMUX_FORMAT_JSON
        && !llmux_writer_mentions_json(chat)) {
        return "Answer with one JSON object and nothing else.";
    }
    return NULL;
}

static void write_schema(llmux_openai_out_t *o)
{
    const llmux_chat_t *chat = o->chat;

    llmux_jw_key(&o->jw, "json_schema");
    llmux_jw_open(&o->jw, '{');
    llmux_jw_key(&o->jw, "name");
    llmux_jw_str(&o->jw, chat->format_name.len ? chat->format_name
                                               : llmux_slice("output"));
    llmux_jw_opt_str(&o->jw, "description", chat->format_description);
    llmux_jw_opt_raw(&o->jw, "schema", chat->format_schema);
    llmux_jw_opt_bool(&o->jw, "strict", chat->format_strict);
    llmux_jw_close(&o->jw, '}');
}

static void write_format(llmux_openai_out_t *o)
{
    static const char *const types[] = {
        [LLMUX_FORMAT_TEXT] = "text",
        [LLMUX_FORMAT_JSON] = "json_object",
        [LLMUX_FORMAT_SCHEMA] = "json_schema"
    };
    llmux_format_e format = o->chat->format;

    if (format == LLMUX_FORMAT_UNSET) {
        return;
    }
    if (format == LLMUX_FORMAT_SCHEMA
        && !llmux_openai_can(o, LLMUX_CAN_SCHEMA)) {
        format = LLMUX_FORMAT_JSON;
    }
    llmux_jw_key(&o->jw, "response_format");
    llmux_jw_open(&o->jw, '{');
    llmux_jw_key(&o->jw, "type");
    llmux_jw_cstr(&o->jw, types[format]);
    if (format == LLMUX_FORMAT_SCHEMA) {
        write_schema(o);
    }
    llmux_jw_close(&o->jw, '}');
}

/* ---- model and messages ---------------------------------------------- */

static void write_model(llmux_openai_out_t *o)
{
    llmux_jw_key(&o->jw, "model");
    llmux_jw_str(&o->jw, o->target->model);
}

static void write_messages(llmux_openai_out_t *o)
{
    llmux_jw_key(&o->jw, "messages");
    llmux_openai_write_messages(o, format_hint(o));
}

/* ---- tools ----------------------------------------------------------- */

static void write_strict(llmux_openai_out_t *o, llmux_tri_e strict)
{
    if (llmux_openai_can(o, LLMUX_CAN_STRICT)) {
        llmux_jw_opt_bool(&o->jw, "strict", strict);
    }
    else if (strict == LLMUX_YES) {
        llmux_warn(o->warnings, LLMUX_WARN_DROP, "tools.function.strict");
    }
}

static void write_tool(llmux_openai_out_t *o, const llmux_tool_t *tool)
{
    const char *type = tool->custom ? "custom" : "function";

    llmux_jw_open(&o->jw, '{');
    llmux_jw_key(&o->jw, "type");
    llmux_jw_cstr(&o->jw, type);
    llmux_jw_key(&o->jw, type);
    llmux_jw_open(&o->jw, '{');
    llmux_jw_key(&o->jw, "name");
    llmux_jw_str(&o->jw, tool->name);
    llmux_jw_opt_str(&o->jw, "description", tool->description);
    if (tool->custom) {
        llmux_jw_opt_raw(&o->jw, "format", tool->grammar);
    }
    else {
        llmux_jw_opt_raw(&o->jw, "parameters", tool->schema);
        write_strict(o, tool->strict);
    }
    llmux_jw_close(&o->jw, '}');
    llmux_jw_close(&o->jw, '}');
}

static void write_tools(llmux_openai_out_t *o)
{
    const llmux_tool_t *tool = o->chat->tools;

    if (!tool) {
        return;
    }
    llmux_jw_key(&o->jw, "tools");
    llmux_jw_open(&o->jw, '[');
    for (; tool; tool = tool->next) {
        write_tool(o, tool);
    }
    llmux_jw_close(&o->jw, ']');
}

static void write_named(llmux_openai_out_t *o, llmux_slice_t name)
{
    const char *type = llmux_writer_is_custom(o->chat, name) ? "custom"
                                                             : "function";

    llmux_jw_open(&o->jw, '{');
    llmux_jw_key(&o->jw, "type");
    llmux_jw_cstr(&o->jw, type);
    llmux_jw_key(&o->jw, type);
    llmux_jw_open(&o->jw, '{');
    llmux_jw_key(&o->jw, "name");
    llmux_jw_str(&o->jw, name);
    llmux_jw_close(&o->jw, '}');
    llmux_jw_close(&o->jw, '}');
}

static void write_allowed(llmux_openai_out_t *o)
{
    const apr_array_header_t *names = o->chat->choice_names;
    int required = o->chat->choice == LLMUX_CHOICE_ALLOWED_REQUIRED, i;

    llmux_jw_open(&o->jw, '{');
    llmux_jw_key(&o->jw, "type");
    llmux_jw_cstr(&o->jw, "allowed_tools");
    llmux_jw_key(&o->jw, "allowed_tools");
    llmux_jw_open(&o->jw, '{');
    llmux_jw_key(&o->jw, "mode");
    llmux_jw_cstr(&o->jw, required ? "required" : "auto");
    llmux_jw_key(&o->jw, "tools");
    llmux_jw_open(&o->jw, '[');
    for (i = 0; names && i < names->nelts; i++) {
        write_named(o, APR_ARRAY_IDX(names, i, llmux_slice_t));
    }
    llmux_jw_close(&o->jw, ']');
    llmux_jw_close(&o->jw, '}');
    llmux_jw_close(&o->jw, '}');
}

/* Both are refused where there are no tools to choose from. */
static void write_choice(llmux_openai_out_t *o)
{
    static const char *const words[] = {
        [LLMUX_CHOICE_AUTO] = "auto",
        [LLMUX_CHOICE_NONE] = "none",
        [LLMUX_CHOICE_REQUIRED] = "required"
    };
    const llmux_chat_t *chat = o->chat;

    if (!chat->tools) {
        return;
    }
    if (chat->choice != LLMUX_CHOICE_UNSET) {
        llmux_jw_key(&o->jw, "tool_choice");
        if (chat->choice <= LLMUX_CHOICE_REQUIRED) {
            llmux_jw_cstr(&o->jw, words[chat->choice]);
        }
        else if (chat->choice == LLMUX_CHOICE_NAMED) {
            write_named(o, APR_ARRAY_IDX(chat->choice_names, 0,
                                         llmux_slice_t));
        }
        else {
            write_allowed(o);
        }
    }
    llmux_jw_opt_bool(&o->jw, "parallel_tool_calls", chat->parallel);
}

/* ---- numbers --------------------------------------------------------- */

static void write_stop(llmux_openai_out_t *o)
{
    const apr_array_header_t *stop = o->chat->stop;
    int i;

    if (!stop || !stop->nelts) {
        return;
    }
    if (stop->nelts > STOPS_MAX) {
        llmux_warn(o->warnings, LLMUX_WARN_DROP, "stop");
    }
    llmux_jw_key(&o->jw, "stop");
    llmux_jw_open(&o->jw, '[');
    for (i = 0; i < stop->nelts && i < STOPS_MAX; i++) {
        llmux_jw_str(&o->jw, APR_ARRAY_IDX(stop, i, llmux_slice_t));
    }
    llmux_jw_close(&o->jw, ']');
}

static void write_sampling(llmux_openai_out_t *o)
{
    const llmux_chat_t *chat = o->chat;
    const char *max = llmux_openai_can(o, LLMUX_CAN_MAX_COMPLETION)
        ? "max_completion_tokens" : "max_tokens";

    llmux_jw_opt_raw(&o->jw, max, chat->max_tokens);
    llmux_jw_opt_raw(&o->jw, "temperature", chat->temperature);
    llmux_jw_opt_raw(&o->jw, "top_p", chat->top_p);
    if (chat->top_k.data) {
        llmux_warn(o->warnings, LLMUX_WARN_DROP, "top_k");
    }
    llmux_jw_opt_raw(&o->jw, "frequency_penalty", chat->frequency_penalty);
    llmux_jw_opt_raw(&o->jw, "presence_penalty", chat->presence_penalty);
    llmux_jw_opt_raw(&o->jw, "seed", chat->seed);
    llmux_jw_opt_raw(&o->jw, "n", chat->n);
    write_stop(o);
    llmux_jw_opt_raw(&o->jw, "logit_bias", chat->logit_bias);
    llmux_jw_opt_bool(&o->jw, "logprobs", chat->logprobs);
    llmux_jw_opt_raw(&o->jw, "top_logprobs", chat->top_logprobs);
}

/* ---- reasoning ------------------------------------------------------- */

static void write_effort(llmux_openai_out_t *o)
{
    llmux_effort_e effort = o->chat->effort;
    llmux_slice_t budget = o->chat->budget;

    if (budget.data) {
        llmux_warn(o->warnings, LLMUX_WARN_APPROX, "thinking.budget_tokens");
        if (effort == LLMUX_EFFORT_UNSET) {
            effort = llmux_writer_effort(
                apr_atoi64(llmux_slice_str(o->pool, budget)));
        }
    }
    llmux_jw_opt_str(&o->jw, "reasoning_effort",
                     llmux_slice(llmux_effort_name(effort)));
    llmux_jw_opt_str(&o->jw, "verbosity", o->chat->verbosity);
}

/* ---- who asks, and how it is kept ------------------------------------ */

/* `user` is the old name, which every server knows and which has no limit;
 * who knows developers knows the new one too. */
static void write_user_id(llmux_openai_out_t *o)
{
    llmux_slice_t id = o->chat->user_id;
    int modern = llmux_openai_can(o, LLMUX_CAN_DEVELOPER)
        && id.len <= IDENTIFIER_MAX;

    llmux_jw_opt_str(&o->jw, modern ? "safety_identifier" : "user", id);
}

/* OpenAI refuses metadata on what it is not to store. */
static void write_keeping(llmux_openai_out_t *o)
{
    const llmux_chat_t *chat = o->chat;

    llmux_jw_opt_str(&o->jw, "service_tier", chat->service_tier);
    llmux_jw_opt_str(&o->jw, "prompt_cache_key", chat->cache_key);
    llmux_jw_opt_bool(&o->jw, "store", chat->store);
    if (chat->store == LLMUX_YES) {
        llmux_jw_opt_raw(&o->jw, "metadata", chat->metadata);
    }
    else if (chat->metadata.data) {
        llmux_warn(o->warnings, LLMUX_WARN_DROP, "metadata");
    }
}

static void write_special(llmux_openai_out_t *o)
{
    const llmux_chat_t *chat = o->chat;

    llmux_jw_opt_raw(&o->jw, "modalities", chat->modalities);
    llmux_jw_opt_raw(&o->jw, "audio", chat->audio);
    llmux_jw_opt_raw(&o->jw, "prediction", chat->prediction);
    llmux_jw_opt_raw(&o->jw, "moderation", chat->moderation);
    llmux_jw_opt_raw(&o->jw, "web_search_options", chat->web_search);
}

/* Usage is always asked for: the meter wants it, whatever the client does. */
static void write_stream(llmux_openai_out_t *o)
{
    if (!o->chat->stream) {
        return;
    }
    llmux_jw_key(&o->jw, "stream");
    llmux_jw_bool(&o->jw, 1);
    if (llmux_openai_can(o, LLMUX_CAN_STREAM_USAGE)) {
        llmux_jw_key(&o->jw, "stream_options");
        llmux_jw_raw(&o->jw, llmux_slice("{\"include_usage\":true}"));
    }
}

static void write_extra(llmux_openai_out_t *o)
{
    const llmux_extra_t *e;

    for (e = o->chat->extra; e; e = e->next) {
        llmux_jw_key_slice(&o->jw, e->name);
        llmux_jw_raw(&o->jw, e->json);
    }
}

/* ---- all of it ------------------------------------------------------- */

/* The order is fixed: providers cache prompts by their first bytes. */
static void (*const steps[])(llmux_openai_out_t *o) = {
    write_model,
    write_messages,
    write_tools,
    write_choice,
    write_sampling,
    write_effort,
    write_format,
    write_user_id,
    write_keeping,
    write_special,
    write_stream,
    write_extra
};

const llmux_error_t *llmux_openai_write(llmux_buf_t *out,
                                        const llmux_chat_t *chat,
                                        const llmux_target_t *target,
                                        llmux_warnings_t *warnings,
                                        apr_pool_t *scratch)
{
    llmux_openai_out_t o = { llmux_jw(out), chat, target, warnings, NULL,
                             NULL };
    apr_size_t i;

    apr_pool_create(&o.pool, scratch);
    llmux_tokens_tell(chat, llmux_openai_can(&o, LLMUX_CAN_REASONING)
                                ? LLMUX_MADE_BY_ANY : 0, target, warnings);
    llmux_jw_open(&o.jw, '{');
    for (i = 0; i < sizeof(steps) / sizeof(*steps) && !o.err; i++) {
        steps[i](&o);
    }
    llmux_jw_close(&o.jw, '}');
    apr_pool_destroy(o.pool);
    if (!o.err && out->failed) {
        o.err = llmux_error(chat->pool, LLMUX_ERR_TOO_LARGE, NULL,
                            "The request is too large for %s once it is "
                            "translated", target->name);
    }
    return o.err;
}
