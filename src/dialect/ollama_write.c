/* ollama_write.c - a chat, written as a request to Ollama's /api/chat. */

#include <apr_strings.h>
#include <string.h>

#include "ollama.h"
#include "writer.h"

typedef llmux_writer_t writer_t;

/* ---- messages -------------------------------------------------------- */

static void open_message(writer_t *w, const char *role, llmux_slice_t content)
{
    llmux_jw_open(&w->jw, '{');
    llmux_jw_opt_str(&w->jw, "role", llmux_slice(role));
    llmux_jw_opt_str(&w->jw, "content", content);
}

/* The server puts images before the words, wherever they stood. */
static int scattered(const llmux_message_t *m)
{
    int words = 0, image = 0;
    const llmux_block_t *b;

    for (b = m->blocks; b; b = b->next) {
        if (b->kind == LLMUX_BLOCK_TEXT) {
            if (image) {
                return 1;
            }
            words = 1;
        }
        else if (b->kind == LLMUX_BLOCK_MEDIA
                 && b->media->kind != LLMUX_MEDIA_TEXT) {
            image = words;
        }
    }
    return 0;
}

static void write_images(writer_t *w, const apr_array_header_t *media,
                         const char *param)
{
    int i;

    if (!media->nelts) {
        return;
    }
    llmux_jw_key(&w->jw, "images");
    llmux_jw_open(&w->jw, '[');
    for (i = 0; i < media->nelts; i++) {
        const llmux_media_t *m = APR_ARRAY_IDX(media, i,
                                               const llmux_block_t *)->media;

        if (llmux_writer_image(w, m, param, 0)) {
            llmux_jw_str(&w->jw, m->base64);
        }
        if (m->detail.len && !llmux_slice_is(m->detail, "auto")) {
            llmux_warn(w->warnings, LLMUX_WARN_DROP, "image_url.detail");
        }
    }
    llmux_jw_close(&w->jw, ']');
}

/* What cannot be told as words. */
static apr_array_header_t *media_of(writer_t *w, const llmux_message_t *m)
{
    apr_array_header_t *media = apr_array_make(
        w->pool, 1, sizeof(const llmux_block_t *));
    const llmux_block_t *b = m->blocks;

    for (b = llmux_writer_next(b, LLMUX_WRITER_BIT(LLMUX_BLOCK_MEDIA)); b;
         b = llmux_writer_next(b->next,
                               LLMUX_WRITER_BIT(LLMUX_BLOCK_MEDIA))) {
        if (b->media->kind != LLMUX_MEDIA_TEXT || !b->media->base64.data) {
            APR_ARRAY_PUSH(media, const llmux_block_t *) = b;
        }
    }
    return media;
}

/* Without ids the server goes by the order and the tool's name. */
static void write_result(writer_t *w, const llmux_block_t *b,
                         const llmux_call_t *call, const char *param)
{
    apr_array_header_t *media = apr_array_make(
        w->pool, 1, sizeof(const llmux_block_t *));
    llmux_slice_t text = llmux_writer_result_text(w, b->result, media, NULL);

    open_message(w, "tool", text);
    write_images(w, media, param);
    if (call) {
        llmux_jw_opt_str(&w->jw, "tool_name", call->name);
    }
    llmux_jw_opt_str(&w->jw, "tool_call_id", b->result->call_id);
    llmux_jw_close(&w->jw, '}');
}

static void write_call(writer_t *w, const llmux_call_t *call, int index)
{
    llmux_jw_open(&w->jw, '{');
    llmux_jw_opt_str(&w->jw, "id", call->id);
    llmux_jw_opt_str(&w->jw, "type", llmux_slice("function"));
    llmux_jw_key(&w->jw, "function");
    llmux_jw_open(&w->jw, '{');
    llmux_jw_key(&w->jw, "index");
    llmux_jw_int(&w->jw, index);
    llmux_jw_opt_str(&w->jw, "name", call->name);
    llmux_jw_opt_raw(&w->jw, "arguments", llmux_writer_args(w, call));
    llmux_jw_close(&w->jw, '}');
    llmux_jw_close(&w->jw, '}');
}

static void write_calls(writer_t *w, const llmux_message_t *m)
{
    const unsigned int kinds = LLMUX_WRITER_BIT(LLMUX_BLOCK_CALL);
    const llmux_block_t *b = llmux_writer_next(m->blocks, kinds);
    int index = 0;

    if (!b) {
        return;
    }
    llmux_jw_key(&w->jw, "tool_calls");
    llmux_jw_open(&w->jw, '[');
    for (; b; b = llmux_writer_next(b->next, kinds)) {
        write_call(w, b->call, index++);
    }
    llmux_jw_close(&w->jw, ']');
}

static void write_thoughts(writer_t *w, const llmux_message_t *m)
{
    llmux_slice_t thoughts = llmux_writer_thoughts(w, m);

    if (thoughts.data && !llmux_writer_can(w, LLMUX_CAN_REASONING)) {
        llmux_warn(w->warnings, LLMUX_WARN_DROP, "reasoning_content");
    }
    else {
        llmux_jw_opt_str(&w->jw, "thinking", thoughts);
    }
}

/* The results of its calls come right behind, in the order of the calls. */
static void write_results(writer_t *w, const llmux_message_t *m)
{
    const unsigned int kinds = LLMUX_WRITER_BIT(LLMUX_BLOCK_CALL);
    const llmux_block_t *b = llmux_writer_next(m->blocks, kinds), *result;

    for (; b; b = llmux_writer_next(b->next, kinds)) {
        result = llmux_writer_result(w, m, b->call);
        if (result) {
            write_result(w, result, b->call, m->param);
        }
    }
}

static void write_assistant(writer_t *w, const llmux_message_t *m)
{
    const apr_array_header_t *media = media_of(w, m);

    if (media->nelts) {
        llmux_writer_refuse(w, m->param, "%s takes no media in an assistant "
                            "message.", w->target->name);
    }
    open_message(w, "assistant", llmux_writer_text(w, m));
    write_thoughts(w, m);
    write_calls(w, m);
    llmux_jw_close(&w->jw, '}');
    write_results(w, m);
}

/* Results that no call asked for are told all the same. */
static void write_user(writer_t *w, const llmux_message_t *m)
{
    const unsigned int results = LLMUX_WRITER_BIT(LLMUX_BLOCK_RESULT);
    const llmux_block_t *b = llmux_writer_next(m->blocks, results);

    for (; b; b = llmux_writer_next(b->next, results)) {
        if (!llmux_writer_taken(w, b)) {
            write_result(w, b, NULL, m->param);
        }
    }
    if (m->blocks && !llmux_writer_next(m->blocks, ~results)) {
        return;
    }
    if (scattered(m)) {
        llmux_warn(w->warnings, LLMUX_WARN_APPROX, "messages.content");
    }
    open_message(w, "user", llmux_writer_text(w, m));
    write_images(w, media_of(w, m), m->param);
    llmux_jw_close(&w->jw, '}');
}

static void write_system(writer_t *w, const llmux_message_t *m)
{
    if (media_of(w, m)->nelts) {
        llmux_writer_refuse(w, m->param, "%s takes only text in system "
                            "messages: move files to a user message.",
                            w->target->name);
    }
    open_message(w, "system", llmux_writer_text(w, m));
    llmux_jw_close(&w->jw, '}');
}

static void write_hint(writer_t *w, const char *hint)
{
    if (hint) {
        open_message(w, "system", llmux_slice(hint));
        llmux_jw_close(&w->jw, '}');
    }
}

static void write_messages(writer_t *w)
{
    static void (*const writers[])(writer_t *, const llmux_message_t *) = {
        [LLMUX_ROLE_SYSTEM] = write_system,
        [LLMUX_ROLE_USER] = write_user,
        [LLMUX_ROLE_ASSISTANT] = write_assistant
    };
    const char *hint = llmux_writer_format_hint(w);
    const llmux_message_t *m;

    llmux_jw_key(&w->jw, "messages");
    llmux_jw_open(&w->jw, '[');
    for (m = w->chat->messages; m && !w->err; m = m->next) {
        if (m->role != LLMUX_ROLE_SYSTEM) {
            write_hint(w, hint);
            hint = NULL;
        }
        writers[m->role](w, m);
    }
    write_hint(w, hint);
    llmux_jw_close(&w->jw, ']');
}

/* ---- tools and format ------------------------------------------------ */

/* The server knows no choice: tools that must not be called are not shown,
 * and the others are called if the model likes. */
static void write_tools(writer_t *w)
{
    static const struct { int note; llmux_warn_e kind; } notes[] = {
        [LLMUX_CHOICE_UNSET]            = { 0, LLMUX_WARN_DROP },
        [LLMUX_CHOICE_AUTO]             = { 0, LLMUX_WARN_DROP },
        [LLMUX_CHOICE_NONE]             = { 1, LLMUX_WARN_EMULATE },
        [LLMUX_CHOICE_REQUIRED]         = { 1, LLMUX_WARN_APPROX },
        [LLMUX_CHOICE_NAMED]            = { 1, LLMUX_WARN_APPROX },
        [LLMUX_CHOICE_ALLOWED_AUTO]     = { 1, LLMUX_WARN_EMULATE },
        [LLMUX_CHOICE_ALLOWED_REQUIRED] = { 1, LLMUX_WARN_APPROX }
    };
    const llmux_chat_t *chat = w->chat;
    const llmux_tool_t *t;

    if (chat->tools && notes[chat->choice].note) {
        llmux_warn(w->warnings, notes[chat->choice].kind, "tool_choice");
    }
    if (!llmux_writer_has_tools(w)) {
        return;
    }
    for (t = chat->tools; t; t = t->next) {
        if (t->strict == LLMUX_YES && llmux_writer_offers(w, t)) {
            llmux_warn(w->warnings, LLMUX_WARN_DROP, "tools.function.strict");
        }
    }
    llmux_writer_tools(w);
}

static void write_format(writer_t *w)
{
    if (!llmux_writer_native_format(w)) {
        return;
    }
    llmux_jw_key(&w->jw, "format");
    if (w->chat->format_schema.data) {
        llmux_jw_raw(&w->jw, w->chat->format_schema);
    }
    else {
        llmux_jw_cstr(&w->jw, "json");
    }
}

/* ---- options --------------------------------------------------------- */

/* What only this server has may stand in a client's request by its own name,
 * for its model parameters also in an object "options". */
static const char *const own_options[] = {
    "min_p", "mirostat", "mirostat_eta", "mirostat_tau", "num_batch",
    "num_ctx", "num_gpu", "num_keep", "num_thread", "repeat_last_n",
    "repeat_penalty", "typical_p", NULL
};
static const char *const own_members[] = {
    "keep_alive", "shift", "truncate", NULL
};

static int is_among(llmux_slice_t name, const char *const *names)
{
    for (; *names; names++) {
        if (llmux_slice_is(name, *names)) {
            return 1;
        }
    }
    return 0;
}

static void put(writer_t *w, apr_hash_t *said, const char *name,
                llmux_slice_t value)
{
    if (value.data) {
        llmux_jw_opt_raw(&w->jw, name, value);
        apr_hash_set(said, name, APR_HASH_KEY_STRING, "");
    }
}

/* What the client said in the common words wins over its "options". */
static void put_options(writer_t *w, apr_hash_t *said, llmux_slice_t json)
{
    const llmux_json_t *v = llmux_json_parse(w->pool, json, 0, NULL), *m;

    if (llmux_json_kind(v) != LLMUX_JSON_OBJECT) {
        llmux_writer_refuse(w, "options", "'options' must be an object.");
        return;
    }
    for (m = llmux_json_first(v); m; m = llmux_json_next_member(v, m)) {
        const char *name = llmux_json_cstr(w->pool, m);

        if (!apr_hash_get(said, name, APR_HASH_KEY_STRING)) {
            llmux_jw_key(&w->jw, name);
            llmux_jw_raw(&w->jw, llmux_json_raw(llmux_json_value(m)));
            apr_hash_set(said, name, APR_HASH_KEY_STRING, "");
        }
    }
}

static void put_extra_options(writer_t *w, apr_hash_t *said)
{
    const llmux_extra_t *e, *options = NULL;

    for (e = w->chat->extra; e; e = e->next) {
        if (is_among(e->name, own_options)) {
            put(w, said, llmux_slice_str(w->pool, e->name), e->json);
        }
        else if (llmux_slice_is(e->name, "options")) {
            options = e;
        }
    }
    if (options) {
        put_options(w, said, options->json);
    }
}

static void write_options(writer_t *w)
{
    const llmux_chat_t *chat = w->chat;
    apr_hash_t *said = apr_hash_make(w->pool);

    llmux_jw_key(&w->jw, "options");
    llmux_jw_open(&w->jw, '{');
    put(w, said, "num_predict", chat->max_tokens);
    put(w, said, "temperature", chat->temperature);
    put(w, said, "top_p", chat->top_p);
    put(w, said, "top_k", chat->top_k);
    put(w, said, "frequency_penalty", chat->frequency_penalty);
    put(w, said, "presence_penalty", chat->presence_penalty);
    put(w, said, "seed", chat->seed);
    if (chat->stop && chat->stop->nelts) {
        llmux_writer_stops(w, "stop", LLMUX_STOPS_MAX);
        apr_hash_set(said, "stop", APR_HASH_KEY_STRING, "");
    }
    put_extra_options(w, said);
    llmux_jw_close(&w->jw, '}');
}

/* ---- the rest -------------------------------------------------------- */

/* The server has three levels; some models only on and off. */
static void write_think(writer_t *w)
{
    static const char *const levels[] = {
        [LLMUX_EFFORT_MINIMAL] = "low",
        [LLMUX_EFFORT_LOW] = "low",
        [LLMUX_EFFORT_MEDIUM] = "medium",
        [LLMUX_EFFORT_HIGH] = "high",
        [LLMUX_EFFORT_XHIGH] = "high",
        [LLMUX_EFFORT_MAX] = "high"
    };
    llmux_effort_e effort = w->chat->effort;
    llmux_slice_t budget = w->chat->budget;
    int off = effort == LLMUX_EFFORT_NONE || llmux_slice_is(budget, "0");

    if (off) {
        llmux_jw_opt_bool(&w->jw, "think", LLMUX_NO);
    }
    else if (effort != LLMUX_EFFORT_UNSET) {
        llmux_jw_opt_str(&w->jw, "think", llmux_slice(levels[effort]));
        if (strcmp(levels[effort], llmux_effort_name(effort))) {
            llmux_warn(w->warnings, LLMUX_WARN_APPROX, "reasoning_effort");
        }
    }
    else if (budget.data) {
        llmux_jw_opt_bool(&w->jw, "think", LLMUX_YES);
        llmux_warn(w->warnings, LLMUX_WARN_APPROX, "thinking.budget_tokens");
    }
}

static void write_logprobs(writer_t *w)
{
    if (w->chat->logprobs == LLMUX_YES) {
        llmux_jw_opt_bool(&w->jw, "logprobs", LLMUX_YES);
        llmux_jw_opt_raw(&w->jw, "top_logprobs", w->chat->top_logprobs);
    }
}

static void write_extra(writer_t *w)
{
    const llmux_extra_t *e;

    for (e = w->chat->extra; e; e = e->next) {
        if (is_among(e->name, own_members)) {
            llmux_jw_key_slice(&w->jw, e->name);
            llmux_jw_raw(&w->jw, e->json);
        }
        else if (!is_among(e->name, own_options)
                 && !llmux_slice_is(e->name, "options")) {
            llmux_warn(w->warnings, LLMUX_WARN_DROP,
                       llmux_slice_str(w->pool, e->name));
        }
    }
}

/* Unlike everywhere else, silence means a stream. */
static void write_stream(writer_t *w)
{
    llmux_jw_key(&w->jw, "stream");
    llmux_jw_bool(&w->jw, w->chat->stream);
}

/* In this order: prompts are cached by their beginning. */
static const llmux_writer_step_fn steps[] = {
    write_messages,
    write_tools,
    write_format,
    write_options,
    write_think,
    write_logprobs,
    write_extra,
    write_stream,
    NULL
};

const llmux_error_t *llmux_ollama_write(llmux_buf_t *out,
                                        const llmux_chat_t *chat,
                                        const llmux_target_t *target,
                                        llmux_warnings_t *warnings,
                                        apr_pool_t *scratch)
{
    return llmux_writer_run(out, chat, target, warnings, scratch, steps);
}
