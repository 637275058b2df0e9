/* chat_dump.h - a canonical request as text, for tests to compare. */

#ifndef CHAT_DUMP_H
#define CHAT_DUMP_H

#include "llmux/dialect.h"

static void dump_slice(llmux_buf_t *out, const char *name, llmux_slice_t s)
{
    if (s.data) {
        llmux_buf_addf(out, " %s=", name);
        llmux_buf_add_slice(out, s);
    }
}

static void dump_int(llmux_buf_t *out, const char *name, int n, int absent)
{
    if (n != absent) {
        llmux_buf_addf(out, " %s=%d", name, n);
    }
}

static void dump_token(llmux_buf_t *out, const llmux_token_t *t)
{
    static const char *const names[] = {
        "none", "anthropic", "redacted", "gemini", "openai"
    };

    if (t->maker || t->bytes.data) {
        dump_slice(out, names[t->maker], t->bytes);
    }
}

static void dump_media(llmux_buf_t *out, const llmux_media_t *m)
{
    static const char *const names[] = {
        "image", "audio", "video", "pdf", "text", "other"
    };

    llmux_buf_addf(out, " %s", names[m->kind]);
    dump_slice(out, "type", m->type);
    dump_slice(out, "base64", m->base64);
    dump_slice(out, "url", m->url);
    dump_slice(out, "file_id", m->file_id);
    dump_slice(out, "filename", m->filename);
    dump_slice(out, "detail", m->detail);
}

static void dump_call(llmux_buf_t *out, const llmux_call_t *c)
{
    dump_slice(out, "id", c->id);
    dump_slice(out, "name", c->name);
    dump_slice(out, "args", c->args);
    dump_int(out, "custom", c->custom, 0);
    dump_token(out, &c->token);
}

static void dump_blocks(llmux_buf_t *out, const llmux_block_t *b,
                        const char *indent)
{
    static const char *const names[] = {
        "text", "media", "call", "result", "think", "refusal"
    };

    for (; b; b = b->next) {
        llmux_buf_addf(out, "%s%s", indent, names[b->kind]);
        dump_slice(out, "text", b->text);
        dump_token(out, &b->token);
        if (b->media) {
            dump_media(out, b->media);
        }
        if (b->call) {
            dump_call(out, b->call);
        }
        if (b->result) {
            dump_slice(out, "id", b->result->call_id);
            dump_int(out, "error", b->result->is_error, LLMUX_UNSET);
        }
        if (b->cache_ttl) {
            llmux_buf_addf(out, " cache=%s", b->cache_ttl);
        }
        llmux_buf_adds(out, "\n");
        if (b->result) {
            dump_blocks(out, b->result->blocks, "    ");
        }
    }
}

static void dump_messages(llmux_buf_t *out, const llmux_chat_t *chat)
{
    static const char *const roles[] = { "system", "user", "assistant" };
    const llmux_message_t *m;

    for (m = chat->messages; m; m = m->next) {
        llmux_buf_adds(out, roles[m->role]);
        dump_slice(out, "name", m->name);
        llmux_buf_adds(out, "\n");
        dump_blocks(out, m->blocks, "  ");
    }
}

static void dump_tools(llmux_buf_t *out, const llmux_chat_t *chat)
{
    const llmux_tool_t *t;

    for (t = chat->tools; t; t = t->next) {
        llmux_buf_adds(out, t->custom ? "custom" : "tool");
        dump_slice(out, "name", t->name);
        dump_slice(out, "description", t->description);
        dump_slice(out, "schema", t->schema);
        dump_slice(out, "grammar", t->grammar);
        dump_int(out, "strict", t->strict, LLMUX_UNSET);
        if (t->cache_ttl) {
            llmux_buf_addf(out, " cache=%s", t->cache_ttl);
        }
        llmux_buf_adds(out, "\n");
    }
}

static void dump_list(llmux_buf_t *out, const char *name,
                      const apr_array_header_t *list)
{
    int i;

    for (i = 0; list && i < list->nelts; i++) {
        dump_slice(out, name, APR_ARRAY_IDX(list, i, llmux_slice_t));
    }
}

static void dump_members(llmux_buf_t *out, const llmux_chat_t *c)
{
    const llmux_extra_t *e;

    dump_slice(out, "model", c->model);
    dump_int(out, "stream", c->stream, 0);
    dump_int(out, "choice", (int) c->choice, 0);
    dump_list(out, "choose", c->choice_names);
    dump_int(out, "parallel", c->parallel, LLMUX_UNSET);
    dump_slice(out, "max_tokens", c->max_tokens);
    dump_slice(out, "temperature", c->temperature);
    dump_slice(out, "top_p", c->top_p);
    dump_slice(out, "top_k", c->top_k);
    dump_slice(out, "frequency_penalty", c->frequency_penalty);
    dump_slice(out, "presence_penalty", c->presence_penalty);
    dump_slice(out, "seed", c->seed);
    dump_slice(out, "n", c->n);
    dump_slice(out, "logit_bias", c->logit_bias);
    dump_int(out, "logprobs", c->logprobs, LLMUX_UNSET);
    dump_slice(out, "top_logprobs", c->top_logprobs);
    dump_list(out, "stop", c->stop);
    dump_slice(out, "verbosity", c->verbosity);
    if (c->effort) {
        llmux_buf_addf(out, " effort=%s", llmux_effort_name(c->effort));
    }
    dump_slice(out, "budget", c->budget);
    dump_int(out, "show_thinking", c->show_thinking, LLMUX_UNSET);
    dump_int(out, "format", (int) c->format, 0);
    dump_slice(out, "format_name", c->format_name);
    dump_slice(out, "format_description", c->format_description);
    dump_slice(out, "format_schema", c->format_schema);
    dump_int(out, "format_strict", c->format_strict, LLMUX_UNSET);
    dump_slice(out, "user_id", c->user_id);
    dump_slice(out, "service_tier", c->service_tier);
    dump_slice(out, "cache_key", c->cache_key);
    dump_slice(out, "metadata", c->metadata);
    dump_int(out, "store", c->store, LLMUX_UNSET);
    dump_slice(out, "modalities", c->modalities);
    dump_slice(out, "audio", c->audio);
    dump_slice(out, "prediction", c->prediction);
    dump_slice(out, "moderation", c->moderation);
    dump_slice(out, "web_search", c->web_search);
    for (e = c->extra; e; e = e->next) {
        llmux_buf_adds(out, " extra:");
        llmux_buf_add_slice(out, e->name);
        dump_slice(out, "", e->json);
    }
    llmux_buf_adds(out, "\n");
}

/** All of it but include_usage: messages, tools, then the other members in
 * one line. */
__attribute__((unused))
static const char *chat_dump(apr_pool_t *p, const llmux_chat_t *chat)
{
    llmux_buf_t *out = llmux_buf_create(p, 256u << 20);

    dump_messages(out, chat);
    dump_tools(out, chat);
    dump_members(out, chat);
    return out->data;
}

#endif
