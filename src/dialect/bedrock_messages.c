/* bedrock_messages.c - system prompt and messages, written for Converse. */

#include <string.h>

#include <apr_strings.h>

#include "bedrock.h"

#define ID_MAX_LEN      64      /* of a call */

/* Stand where the API wants something that nobody said. */
#define EMPTY_TURN      "(empty message)"
#define EMPTY_RESULT    "(empty)"
#define NO_RESULT       "No result of this call was recorded."
#define DOCUMENT_ALONE  "The document is attached."

/* ---- thoughts -------------------------------------------------------- */

static int is_thought(const llmux_part_t *part)
{
    return part && part->block && part->block->kind == LLMUX_BLOCK_THINK;
}

/* @return 1 if there were any */
static int forget_in(llmux_turn_t *t)
{
    llmux_part_t **at = &t->parts;
    int found = 0;

    t->last = NULL;
    while (*at) {
        if (is_thought(*at)) {
            *at = (*at)->next;
            found = 1;
        }
        else {
            t->last = *at;
            at = &(*at)->next;
        }
    }
    return found;
}

static void fill(llmux_bedrock_out_t *o, llmux_turn_t *t)
{
    llmux_part_t *part = apr_pcalloc(o->w.pool, sizeof(*part));

    part->text = llmux_slice(EMPTY_TURN);
    part->param = t->param;
    t->parts = t->last = part;
}

void llmux_bedrock_forget(llmux_bedrock_out_t *o)
{
    llmux_turn_t *t = o->r.turns.first;

    if (llmux_bedrock_can(o, LLMUX_BEDROCK_THOUGHTS)) {
        return;
    }
    for (; t; t = t->next) {
        if (!forget_in(t)) {
            continue;
        }
        llmux_warn(o->w.warnings, LLMUX_WARN_DROP, "reasoning_content");
        if (!t->parts) {
            fill(o, t);
        }
    }
}

static void thought(llmux_bedrock_out_t *o, const llmux_block_t *b)
{
    llmux_jw_t *jw = &o->w.jw;

    llmux_jw_key(jw, "reasoningContent");
    llmux_jw_open(jw, '{');
    if (b->token.maker == LLMUX_MAKER_ANTHROPIC_REDACTED) {
        llmux_jw_opt_str(jw, "redactedContent",
                         llmux_base64_encode(o->w.pool, b->token.bytes));
    }
    else {
        llmux_jw_key(jw, "reasoningText");
        llmux_jw_open(jw, '{');
        llmux_jw_opt_str(jw, "text", b->text.data ? b->text
                                                  : llmux_slice(""));
        llmux_jw_opt_str(jw, "signature", b->token.bytes);
        llmux_jw_close(jw, '}');
    }
    llmux_jw_close(jw, '}');
}

/* ---- cache points ---------------------------------------------------- */

void llmux_bedrock_mark(llmux_bedrock_out_t *o, const char *ttl)
{
    llmux_jw_t *jw = &o->w.jw;

    if (!ttl || !llmux_bedrock_can(o, LLMUX_BEDROCK_CACHE)) {
        return;
    }
    if (o->r.out.surplus) {
        o->r.out.surplus--;
        return;
    }
    llmux_jw_open(jw, '{');
    llmux_jw_key(jw, "cachePoint");
    llmux_jw_open(jw, '{');
    llmux_jw_opt_str(jw, "type", llmux_slice("default"));
    if (!strcmp(ttl, "1h")) {
        if (llmux_bedrock_can(o, LLMUX_BEDROCK_CACHE_HOUR)) {
            llmux_jw_opt_str(jw, "ttl", llmux_slice(ttl));
        }
        else {
            llmux_warn(o->w.warnings, LLMUX_WARN_APPROX, "cache_control");
        }
    }
    llmux_jw_close(jw, '}');
    llmux_jw_close(jw, '}');
}

/* ---- texts, calls, results ------------------------------------------- */

static void text(llmux_bedrock_out_t *o, llmux_slice_t s)
{
    llmux_jw_open(&o->w.jw, '{');
    llmux_jw_opt_str(&o->w.jw, "text", s);
    llmux_jw_close(&o->w.jw, '}');
}

/* Ids are unique already; one that is too long gets a short one that is the
 * same in each request (FNV-1a). */
static llmux_slice_t short_id(llmux_bedrock_out_t *o, llmux_slice_t id)
{
    apr_uint64_t h = APR_UINT64_C(14695981039346656037);
    apr_size_t i;

    if (id.len <= ID_MAX_LEN) {
        return id;
    }
    for (i = 0; i < id.len; i++) {
        h = (h ^ (unsigned char)id.data[i]) * APR_UINT64_C(1099511628211);
    }
    return llmux_slice(apr_psprintf(o->w.pool,
                                    "call_%016" APR_UINT64_T_HEX_FMT, h));
}

static void call(llmux_bedrock_out_t *o, const llmux_part_t *part)
{
    llmux_jw_t *jw = &o->w.jw;

    llmux_jw_key(jw, "toolUse");
    llmux_jw_open(jw, '{');
    llmux_jw_opt_str(jw, "toolUseId", short_id(o, part->id));
    llmux_jw_opt_str(jw, "name", llmux_bedrock_tool_name(o, part->name));
    llmux_jw_opt_raw(jw, "input",
                     llmux_writer_args(&o->w, part->block->call));
    llmux_jw_close(jw, '}');
}

/* @return 1 if anything was said */
static int result_blocks(llmux_bedrock_out_t *o, const llmux_part_t *answer)
{
    const llmux_block_t *b = answer->block->result->blocks;
    int index = 0, n = 0;

    for (; b; b = b->next, index++) {
        if (b->kind == LLMUX_BLOCK_MEDIA) {
            llmux_bedrock_media(o, b->media, answer->param, index);
            n++;
        }
        else if (!llmux_slice_blank(b->text)) {
            text(o, b->text);
            n++;
        }
    }
    return n > 0;
}

/* The API refuses a call that nobody answered, and an answer without a
 * word. */
static void result(llmux_bedrock_out_t *o, const llmux_part_t *call_part)
{
    const llmux_part_t *answer = call_part->result;
    llmux_jw_t *jw = &o->w.jw;

    llmux_jw_open(jw, '{');
    llmux_jw_key(jw, "toolResult");
    llmux_jw_open(jw, '{');
    llmux_jw_opt_str(jw, "toolUseId", short_id(o, call_part->id));
    llmux_jw_key(jw, "content");
    llmux_jw_open(jw, '[');
    if (!answer) {
        text(o, llmux_slice(NO_RESULT));
        llmux_warn(o->w.warnings, LLMUX_WARN_EMULATE, "tool_calls");
    }
    else if (!result_blocks(o, answer)) {
        text(o, llmux_slice(EMPTY_RESULT));
    }
    llmux_jw_close(jw, ']');
    /* Not all models know the word, and success is what they expect. */
    if (!answer || answer->block->result->is_error == LLMUX_YES) {
        llmux_jw_opt_str(jw, "status", llmux_slice("error"));
    }
    llmux_jw_close(jw, '}');
    llmux_jw_close(jw, '}');
    llmux_bedrock_mark(o, answer ? answer->cache_ttl : NULL);
}

/* ---- turns ----------------------------------------------------------- */

static int is_text(const llmux_part_t *part)
{
    return !part->block || part->block->kind == LLMUX_BLOCK_TEXT
           || part->block->kind == LLMUX_BLOCK_REFUSAL;
}

static int is_media(const llmux_part_t *part)
{
    return part->block && part->block->kind == LLMUX_BLOCK_MEDIA;
}

/* A cache point must not follow a document or a video at once. */
static void media(llmux_bedrock_out_t *o, const llmux_part_t *part)
{
    const llmux_media_t *m = part->block->media;

    llmux_bedrock_media(o, m, part->param, part->index);
    if (part->cache_ttl && !o->r.out.surplus
        && llmux_bedrock_can(o, LLMUX_BEDROCK_CACHE)
        && m->kind != LLMUX_MEDIA_IMAGE) {
        text(o, llmux_slice("\n"));
    }
}

static void part(llmux_bedrock_out_t *o, const llmux_part_t *each)
{
    if (is_text(each)) {
        text(o, each->text);
    }
    else if (is_media(each)) {
        media(o, each);
    }
    else {
        llmux_jw_open(&o->w.jw, '{');
        if (is_thought(each)) {
            thought(o, each->block);
        }
        else {
            call(o, each);
        }
        llmux_jw_close(&o->w.jw, '}');
    }
    llmux_bedrock_mark(o, each->cache_ttl);
}

/* Documents want a text beside them. */
static int lacks_text(const llmux_part_t *parts)
{
    int documents = 0;

    for (; parts; parts = parts->next) {
        if (is_text(parts)) {
            return 0;
        }
        documents |= is_media(parts)
                     && llmux_bedrock_is_document(parts->block->media);
    }
    return documents;
}

static void content(llmux_bedrock_out_t *o, const llmux_turn_t *t)
{
    const llmux_part_t *each = t->answers ? t->answers->parts : NULL;

    llmux_jw_open(&o->w.jw, '[');
    for (; each && !o->w.err; each = each->next) {
        if (each->block && each->block->kind == LLMUX_BLOCK_CALL) {
            result(o, each);
        }
    }
    if (lacks_text(t->parts)) {
        text(o, llmux_slice(DOCUMENT_ALONE));
        llmux_warn(o->w.warnings, LLMUX_WARN_EMULATE, "messages");
    }
    for (each = t->parts; each && !o->w.err; each = each->next) {
        part(o, each);
    }
    llmux_jw_close(&o->w.jw, ']');
}

static void turn(llmux_bedrock_out_t *o, const llmux_turn_t *t)
{
    static const char *const roles[] = {
        [LLMUX_ROLE_SYSTEM]    = "system",
        [LLMUX_ROLE_USER]      = "user",
        [LLMUX_ROLE_ASSISTANT] = "assistant"
    };

    llmux_jw_open(&o->w.jw, '{');
    llmux_jw_opt_str(&o->w.jw, "role", llmux_slice(roles[t->role]));
    llmux_jw_key(&o->w.jw, "content");
    content(o, t);
    llmux_jw_close(&o->w.jw, '}');
}

void llmux_bedrock_messages(llmux_bedrock_out_t *o)
{
    const llmux_turn_t *t;

    if (o->r.turns.system.parts) {
        llmux_jw_key(&o->w.jw, "system");
        content(o, &o->r.turns.system);
    }
    llmux_jw_key(&o->w.jw, "messages");
    llmux_jw_open(&o->w.jw, '[');
    for (t = o->r.turns.first; t && !o->w.err; t = t->next) {
        turn(o, t);
    }
    llmux_jw_close(&o->w.jw, ']');
}
