/* completions_write.c - a completion for a provider that has them: all its
 * prompts in one request, in the form in which they came. */

#include "completions.h"
#include "writer.h"

enum {
    STOPS_MAX = 4           /* OpenAI's own limit */
};

typedef llmux_writer_t writer_t;

static void write_model(writer_t *w)
{
    llmux_jw_key(&w->jw, "model");
    llmux_jw_str(&w->jw, w->target->model);
}

static void write_prompt(writer_t *w, const llmux_chat_t *chat)
{
    if (chat->prompt->tokens.data) {
        llmux_jw_raw(&w->jw, chat->prompt->tokens);
    }
    else {
        llmux_jw_str(&w->jw, llmux_completions_text(chat));
    }
}

static void write_prompts(writer_t *w)
{
    const llmux_chat_t *chat = w->chat;

    if (!chat->messages) {
        return;
    }
    llmux_jw_key(&w->jw, "prompt");
    if (!chat->prompt->listed) {
        write_prompt(w, chat);
        return;
    }
    llmux_jw_open(&w->jw, '[');
    for (; chat; chat = chat->next) {
        write_prompt(w, chat);
    }
    llmux_jw_close(&w->jw, ']');
}

static void write_sampling(writer_t *w)
{
    const llmux_chat_t *chat = w->chat;

    llmux_jw_opt_str(&w->jw, "suffix", chat->prompt->suffix);
    llmux_jw_opt_raw(&w->jw, "max_tokens", chat->max_tokens);
    llmux_jw_opt_raw(&w->jw, "temperature", chat->temperature);
    llmux_jw_opt_raw(&w->jw, "top_p", chat->top_p);
    if (chat->top_k.data) {
        llmux_warn(w->warnings, LLMUX_WARN_DROP, "top_k");
    }
    llmux_jw_opt_raw(&w->jw, "n", chat->n);
    llmux_jw_opt_raw(&w->jw, "best_of", chat->prompt->best_of);
    llmux_jw_opt_bool(&w->jw, "echo", chat->prompt->echo);
    if (chat->logprobs == LLMUX_YES) {
        llmux_jw_opt_raw(&w->jw, "logprobs", chat->top_logprobs);
    }
    llmux_writer_stops(w, "stop", STOPS_MAX);
    llmux_jw_opt_raw(&w->jw, "frequency_penalty", chat->frequency_penalty);
    llmux_jw_opt_raw(&w->jw, "presence_penalty", chat->presence_penalty);
    llmux_jw_opt_raw(&w->jw, "seed", chat->seed);
    llmux_jw_opt_raw(&w->jw, "logit_bias", chat->logit_bias);
    llmux_jw_opt_str(&w->jw, "user", chat->user_id);
}

/* Usage is always asked for: the meter wants it, whatever the client does. */
static void write_stream(writer_t *w)
{
    if (!w->chat->stream) {
        return;
    }
    llmux_jw_key(&w->jw, "stream");
    llmux_jw_bool(&w->jw, 1);
    if (llmux_writer_can(w, LLMUX_CAN_STREAM_USAGE)) {
        llmux_jw_key(&w->jw, "stream_options");
        llmux_jw_raw(&w->jw, llmux_slice("{\"include_usage\":true}"));
    }
}

static void write_extra(writer_t *w)
{
    const llmux_extra_t *e;

    for (e = w->chat->extra; e; e = e->next) {
        llmux_jw_key_slice(&w->jw, e->name);
        llmux_jw_raw(&w->jw, e->json);
    }
}

const llmux_error_t *llmux_completions_write(llmux_buf_t *out,
                                             const llmux_chat_t *chat,
                                             const llmux_target_t *target,
                                             llmux_warnings_t *warnings,
                                             apr_pool_t *scratch)
{
    writer_t w = llmux_writer(out, chat, target, warnings, scratch);

    if (!chat->prompt) {
        llmux_writer_refuse(&w, NULL, "%s goes on with a text, and has no "
                            "chats here. Ask for a completion.",
                            target->name);
        return w.err;
    }
    llmux_jw_open(&w.jw, '{');
    write_model(&w);
    write_prompts(&w);
    write_sampling(&w);
    write_stream(&w);
    write_extra(&w);
    llmux_jw_close(&w.jw, '}');
    return llmux_writer_end(&w);
}
