/* chat.c - the canonical request: building it and finding things in it. */

#include <string.h>

#include <apr_hash.h>
#include <apr_tables.h>

#include "llmux/dialect.h"

/* One place where an id was used for a call. */
typedef struct use_t {
    const llmux_call_t *call;
    int number;             /* of the message */
} use_t;

/* Ids to their uses in order, so that pairing all results of a long history
 * takes no quadratic time. Made when it is first asked for, and again when
 * messages came after that. */
typedef struct llmux_calls_t {
    apr_pool_t *pool;
    apr_hash_t *by_id;              /* apr_array_header_t of use_t */
    const llmux_message_t *upto;
} llmux_calls_t;

llmux_chat_t *llmux_chat_create(apr_pool_t *p)
{
    llmux_chat_t *chat = apr_pcalloc(p, sizeof(*chat));

    chat->pool = p;
    chat->parallel = LLMUX_UNSET;
    chat->logprobs = LLMUX_UNSET;
    chat->show_thinking = LLMUX_UNSET;
    chat->format_strict = LLMUX_UNSET;
    chat->store = LLMUX_UNSET;
    chat->calls = apr_pcalloc(p, sizeof(*chat->calls));
    chat->calls->pool = p;
    return chat;
}

llmux_message_t *llmux_chat_message(llmux_chat_t *chat, llmux_role_e role)
{
    llmux_message_t *m = apr_pcalloc(chat->pool, sizeof(*m));

    m->role = role;
    if (chat->last) {
        m->number = chat->last->number + 1;
        chat->last->next = m;
    }
    else {
        chat->messages = m;
    }
    chat->last = m;
    return m;
}

llmux_block_t *llmux_message_block(llmux_chat_t *chat, llmux_message_t *m,
                                   llmux_block_e kind)
{
    llmux_block_t *b = apr_pcalloc(chat->pool, sizeof(*b));

    b->kind = kind;
    if (m->last) {
        m->last->next = b;
    }
    else {
        m->blocks = b;
    }
    m->last = b;
    return b;
}

llmux_tool_t *llmux_chat_tool(llmux_chat_t *chat)
{
    llmux_tool_t *tool = apr_pcalloc(chat->pool, sizeof(*tool));

    tool->strict = LLMUX_UNSET;
    if (chat->last_tool) {
        chat->last_tool->next = tool;
    }
    else {
        chat->tools = tool;
    }
    chat->last_tool = tool;
    return tool;
}

/* ---- calls by id ----------------------------------------------------- */

static void note_use(llmux_calls_t *calls, const llmux_call_t *call,
                     int number)
{
    apr_array_header_t *uses;
    use_t *use;

    if (!call || !call->id.data) {
        return;
    }
    uses = apr_hash_get(calls->by_id, call->id.data,
                        (apr_ssize_t) call->id.len);
    if (!uses) {
        uses = apr_array_make(calls->pool, 1, sizeof(use_t));
        apr_hash_set(calls->by_id, call->id.data, (apr_ssize_t) call->id.len,
                     uses);
    }
    use = apr_array_push(uses);
    use->call = call;
    use->number = number;
}

static void index_calls(llmux_calls_t *calls, const llmux_chat_t *chat)
{
    const llmux_message_t *m;
    const llmux_block_t *b;

    calls->by_id = apr_hash_make(calls->pool);
    calls->upto = chat->last;
    for (m = chat->messages; m; m = m->next) {
        for (b = m->blocks; b; b = b->next) {
            if (b->kind == LLMUX_BLOCK_CALL) {
                note_use(calls, b->call, m->number);
            }
        }
    }
}

/* The last use before message `number`: they stand in rising order. */
static const llmux_call_t *last_before(const apr_array_header_t *uses,
                                       int number)
{
    const use_t *all = (const use_t *) uses->elts;
    int low = 0, high = uses->nelts, mid;

    while (low < high) {
        mid = low + (high - low) / 2;
        if (all[mid].number < number) {
            low = mid + 1;
        }
        else {
            high = mid;
        }
    }
    return low ? all[low - 1].call : NULL;
}

const llmux_call_t *llmux_chat_call(const llmux_chat_t *chat,
                                    llmux_slice_t id,
                                    const llmux_message_t *before)
{
    llmux_calls_t *calls = chat->calls;
    const apr_array_header_t *uses;

    if (!id.data || !chat->last) {
        return NULL;
    }
    if (calls->upto != chat->last) {
        index_calls(calls, chat);
    }
    uses = apr_hash_get(calls->by_id, id.data, (apr_ssize_t) id.len);
    if (!uses) {
        return NULL;
    }
    return last_before(uses, before ? before->number : chat->last->number + 1);
}

/* ---- words ----------------------------------------------------------- */

static const char *const efforts[] = {
    [LLMUX_EFFORT_NONE] = "none",
    [LLMUX_EFFORT_MINIMAL] = "minimal",
    [LLMUX_EFFORT_LOW] = "low",
    [LLMUX_EFFORT_MEDIUM] = "medium",
    [LLMUX_EFFORT_HIGH] = "high",
    [LLMUX_EFFORT_XHIGH] = "xhigh",
    [LLMUX_EFFORT_MAX] = "max"
};

llmux_effort_e llmux_effort_of(llmux_slice_t s)
{
    int i;

    for (i = LLMUX_EFFORT_NONE; i <= LLMUX_EFFORT_MAX; i++) {
        if (llmux_slice_is(s, efforts[i])) {
            return (llmux_effort_e) i;
        }
    }
    return LLMUX_EFFORT_UNSET;
}

const char *llmux_effort_name(llmux_effort_e e)
{
    return e >= LLMUX_EFFORT_NONE && e <= LLMUX_EFFORT_MAX ? efforts[e] : NULL;
}

const llmux_dialect_t *llmux_dialect_named(const char *name)
{
    static const llmux_dialect_t *const all[] = {
        &llmux_dialect_openai,
        &llmux_dialect_anthropic,
        &llmux_dialect_gemini,
        &llmux_dialect_responses,
        &llmux_dialect_completions,
        &llmux_dialect_anthropic_count,
        &llmux_dialect_gemini_count,
        &llmux_dialect_responses_count,
        &llmux_dialect_bedrock_count,
        &llmux_dialect_embeddings,
        &llmux_dialect_gemini_embed,
        &llmux_dialect_gemini_batch_embed,
        &llmux_dialect_vertex_embed,
        &llmux_dialect_cohere_embed,
        &llmux_dialect_ollama_embed,
        &llmux_dialect_bedrock_embed,
        &llmux_dialect_ollama,
        &llmux_dialect_cohere,
        &llmux_dialect_bedrock
    };
    apr_size_t i;

    for (i = 0; name && i < sizeof(all) / sizeof(*all); i++) {
        if (!strcmp(all[i]->name, name)) {
            return all[i];
        }
    }
    return NULL;
}
