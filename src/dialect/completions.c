/* completions.c - legacy completions as a dialect, and what no chat can do in
 * their place. */

#include <apr_strings.h>

#include "completions.h"
#include "errors.h"
#include "openai_answer.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* ---- prompts --------------------------------------------------------- */

llmux_slice_t llmux_completions_text(const llmux_chat_t *chat)
{
    const llmux_block_t *b = chat->messages ? chat->messages->blocks : NULL;

    return b ? b->text : llmux_slice(NULL);
}

/* Its reader made it a number. */
static apr_int64_t number(const llmux_chat_t *chat, llmux_slice_t text,
                          apr_int64_t other)
{
    return text.data ? apr_strtoi64(llmux_slice_str(chat->pool, text), NULL,
                                    10) : other;
}

int llmux_completions_n(const llmux_chat_t *chat)
{
    apr_int64_t n = number(chat, chat->n, 1);

    return n < 1 || n > LLMUX_CANDIDATES_MAX ? 1 : (int)n;
}

/* ---- what a chat cannot do ------------------------------------------- */

static int has_tokens(const llmux_chat_t *chat)
{
    return chat->prompt->tokens.data != NULL;
}

static int has_no_prompt(const llmux_chat_t *chat)
{
    return !chat->messages;
}

static int has_suffix(const llmux_chat_t *chat)
{
    return chat->prompt->suffix.len > 0;
}

static int chooses(const llmux_chat_t *chat)
{
    return number(chat, chat->prompt->best_of, 0) > llmux_completions_n(chat);
}

/* Those of the prompt itself are what is wanted then. */
static int scores(const llmux_chat_t *chat)
{
    return chat->prompt->echo == LLMUX_YES && chat->logprobs == LLMUX_YES;
}

static int says_nothing(const llmux_chat_t *chat)
{
    return chat->max_tokens.data && number(chat, chat->max_tokens, 1) == 0;
}

static const struct {
    int (*asks)(const llmux_chat_t *chat);
    const char *param, *why;
} refusals[] = {
    { has_tokens, "prompt",
      "does not know the tokens in 'prompt'. Send text." },
    { has_no_prompt, "prompt",
      "answers a prompt. Say one in 'prompt'." },
    { has_suffix, "suffix",
      "cannot write what stands before a 'suffix'. Leave it out." },
    { chooses, "best_of",
      "does not choose the best of several completions. Leave 'best_of' "
      "out." },
    { scores, "echo",
      "does not tell the log probabilities of a prompt. Leave 'echo' or "
      "'logprobs' out." },
    { says_nothing, "max_tokens",
      "does not answer with no token at all. Set 'max_tokens' to 1 or "
      "more." }
};

/* All prompts of a request are of one kind, and share the rest. */
const llmux_error_t *llmux_completions_refusal(const llmux_chat_t *chat,
                                               const llmux_target_t *target)
{
    apr_size_t i;

    for (i = 0; chat->prompt && i < COUNT(refusals); i++) {
        if (refusals[i].asks(chat)) {
            return llmux_error(chat->pool, LLMUX_ERR_UNSUPPORTED,
                               refusals[i].param, "%s %s", target->name,
                               refusals[i].why);
        }
    }
    return NULL;
}

void llmux_completions_emulated(const llmux_chat_t *chat,
                                llmux_warnings_t *w)
{
    if (chat->prompt && chat->prompt->echo == LLMUX_YES) {
        llmux_warn(w, LLMUX_WARN_EMULATE, "echo");
    }
    if (chat->prompt && chat->next) {
        llmux_warn(w, LLMUX_WARN_EMULATE, "prompt");
    }
}

/* ---- the table ------------------------------------------------------- */

const llmux_dialect_t llmux_dialect_completions = {
    .name = "completions",
    .op = LLMUX_OP_COMPLETE,
    .path = "/completions",
    .id_prefix = "cmpl-",
    .sentinel = "data: [DONE]\n\n",
    .head = llmux_completions_head,
    .edit = llmux_completions_edit,
    .read = llmux_completions_read,
    .write = llmux_completions_write,
    .decoder = llmux_completions_decoder,
    .encoder = llmux_completions_encoder,
    .error_read = llmux_error_read,
    .error_write = llmux_openai_error_write
};
