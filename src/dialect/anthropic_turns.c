/* anthropic_turns.c - a conversation in the order that Messages demands. */

#include <string.h>

#include <apr_hash.h>
#include <apr_strings.h>

#include "anthropic.h"

/* Stands where the API wants a turn that the client did not write. */
#define PLACEHOLDER "(empty message)"

#define NAME_MAX_LEN 128        /* of a tool */

/* Calls of one id in one stretch of the assistant's messages, oldest first,
 * that wait for their results. */
typedef struct waiting_t {
    struct waiting_t *below;        /* an earlier stretch */
    int stretch;
    apr_array_header_t *calls;      /* llmux_part_t * */
    int answered;                   /* so many of them */
} waiting_t;

/* What building needs; `out` is the result so far. */
typedef struct builder_t {
    llmux_turns_t *out;
    const llmux_target_t *target;
    const llmux_claude_t *claude;
    llmux_warnings_t *w;
    apr_pool_t *p, *errors;
    llmux_turn_t *last;
    llmux_part_t *markable;         /* takes the marker of what is left out */
    apr_hash_t *waiting;            /* id of the client -> waiting_t */
    apr_hash_t *taken;              /* id that goes out -> int, occurrences */
    int stretch;
} builder_t;

/* ---- lists ----------------------------------------------------------- */

static llmux_turn_t *turn_make(builder_t *b, llmux_role_e role,
                               const char *param)
{
    llmux_turn_t *t = apr_pcalloc(b->p, sizeof(*t));

    t->role = role;
    t->param = param;
    return t;
}

static llmux_turn_t *turn_append(builder_t *b, llmux_role_e role,
                                 const char *param)
{
    llmux_turn_t *t = turn_make(b, role, param);

    if (b->last) {
        b->last->next = t;
    }
    else {
        b->out->first = t;
    }
    b->last = t;
    return t;
}

static void part_link(llmux_turn_t *t, llmux_part_t *part)
{
    if (t->last) {
        t->last->next = part;
    }
    else {
        t->parts = part;
    }
    t->last = part;
}

static llmux_part_t *text_append(apr_pool_t *p, llmux_turn_t *t,
                                 llmux_slice_t text)
{
    llmux_part_t *part = apr_pcalloc(p, sizeof(*part));

    part->text = text;
    part->param = t->param;
    part_link(t, part);
    return part;
}

void llmux_anthropic_hint(llmux_turns_t *turns, apr_pool_t *p,
                          const char *text)
{
    text_append(p, &turns->system, llmux_slice(text));
}

/* ---- calls and their results ----------------------------------------- */

static int is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static int all_plain(llmux_slice_t s)
{
    apr_size_t i;

    for (i = 0; i < s.len && is_plain(s.data[i]); i++) {
    }
    return s.len && i == s.len;
}

/* FNV-1a: the same id gives the same name in each request, which keeps the
 * prompt's prefix the same for the API's cache. */
static llmux_slice_t hashed(apr_pool_t *p, llmux_slice_t id)
{
    apr_uint64_t h = APR_UINT64_C(14695981039346656037);
    apr_size_t i;

    for (i = 0; i < id.len; i++) {
        h = (h ^ (unsigned char)id.data[i]) * APR_UINT64_C(1099511628211);
    }
    return llmux_slice(apr_psprintf(p, "call_%016" APR_UINT64_T_HEX_FMT, h));
}

/* @return how often the id was taken before, to be changed by the caller */
static int *occurrences(builder_t *b, llmux_slice_t id)
{
    int *n = apr_hash_get(b->taken, id.data, (apr_ssize_t)id.len);

    if (!n) {
        n = apr_pcalloc(b->p, sizeof(*n));
        apr_hash_set(b->taken, id.data, (apr_ssize_t)id.len, n);
    }
    return n;
}

/* An id that the API takes, and that no other call has. */
static llmux_slice_t outgoing_id(builder_t *b, llmux_slice_t id)
{
    llmux_slice_t base = all_plain(id) ? id : hashed(b->p, id);
    llmux_slice_t out = base;
    int *n = occurrences(b, base);

    if (!*n) {
        *n = 1;
        return base;
    }
    do {
        ++*n;
        out = llmux_slice(apr_psprintf(b->p, "%s_%d",
                                       llmux_slice_str(b->p, base), *n));
    } while ((*occurrences(b, out))++);
    return out;
}

/* A model may have called a tool by a name that no tool can have. */
static llmux_slice_t outgoing_name(apr_pool_t *p, llmux_slice_t name)
{
    llmux_slice_t out;
    apr_size_t i;
    char *s;

    if (all_plain(name) && name.len <= NAME_MAX_LEN) {
        return name;
    }
    if (!name.len) {
        return llmux_slice("unnamed");
    }
    out.len = name.len < NAME_MAX_LEN ? name.len : NAME_MAX_LEN;
    s = apr_pstrmemdup(p, name.data, out.len);
    for (i = 0; i < out.len; i++) {
        if (!is_plain(s[i])) {
            s[i] = '_';
        }
    }
    out.data = s;
    return out;
}

static void call_waits(builder_t *b, llmux_part_t *part, llmux_slice_t id)
{
    waiting_t *top = apr_hash_get(b->waiting, id.data, (apr_ssize_t)id.len);
    waiting_t *now = top;

    if (!top || top->stretch != b->stretch) {
        now = apr_pcalloc(b->p, sizeof(*now));
        now->below = top;
        now->stretch = b->stretch;
        now->calls = apr_array_make(b->p, 1, sizeof(llmux_part_t *));
        apr_hash_set(b->waiting, id.data, (apr_ssize_t)id.len, now);
    }
    APR_ARRAY_PUSH(now->calls, llmux_part_t *) = part;
}

/* The call that a result belongs to: ids may repeat, so it is the latest
 * stretch that counts, and in it the first call without a result. */
static llmux_part_t *call_of(builder_t *b, llmux_slice_t id)
{
    waiting_t *top = id.data ? apr_hash_get(b->waiting, id.data,
                                            (apr_ssize_t)id.len) : NULL;

    while (top && top->answered == top->calls->nelts) {
        top = top->below;
    }
    if (!top) {
        return NULL;
    }
    apr_hash_set(b->waiting, id.data, (apr_ssize_t)id.len, top);
    return APR_ARRAY_IDX(top->calls, top->answered++, llmux_part_t *);
}

/* ---- messages to turns ----------------------------------------------- */

static llmux_part_t *part_make(builder_t *b, const llmux_message_t *m,
                               const llmux_block_t *block, int index)
{
    llmux_part_t *part = apr_pcalloc(b->p, sizeof(*part));

    part->block = block;
    part->text = block->text;
    part->cache_ttl = block->cache_ttl;
    part->param = m->param;
    part->index = index;
    return part;
}

/* A marker says "cache all until here": it survives what it stood on. */
static void pass_marker(builder_t *b, const char *ttl)
{
    if (ttl && b->markable && !b->markable->cache_ttl) {
        b->markable->cache_ttl = ttl;
    }
}

static void add_result(builder_t *b, llmux_part_t *part)
{
    llmux_part_t *call = call_of(b, part->block->result->call_id);
    const llmux_block_t *inner;

    if (!call) {
        llmux_warn(b->w, LLMUX_WARN_DROP, "tool_call_id");
        pass_marker(b, part->cache_ttl);
        return;
    }
    for (inner = part->block->result->blocks; inner; inner = inner->next) {
        part->cache_ttl = inner->cache_ttl ? inner->cache_ttl
                                           : part->cache_ttl;
    }
    call->result = part;
    b->markable = part;
}

static const llmux_error_t *add_call(builder_t *b, llmux_turn_t *t,
                                     llmux_part_t *part)
{
    const llmux_call_t *call = part->block->call;

    if (!call->id.len) {
        return llmux_error(b->errors, LLMUX_ERR_INVALID, part->param,
                           "A tool call in the history has no id. Send the "
                           "calls back as the model made them.");
    }
    part->id = outgoing_id(b, call->id);
    part->name = outgoing_name(b->p, call->name);
    t->calls = b->out->calls = 1;
    call_waits(b, part, call->id);
    part_link(t, part);
    b->markable = part;
    return NULL;
}

static void add_text(builder_t *b, llmux_turn_t *t, llmux_part_t *part)
{
    if (llmux_slice_blank(part->text)) {
        pass_marker(b, part->cache_ttl);
        return;
    }
    if (part->block->kind == LLMUX_BLOCK_REFUSAL) {
        llmux_warn(b->w, LLMUX_WARN_APPROX, "refusal");
    }
    part_link(t, part);
    b->markable = part;
}

static void add_thinking(builder_t *b, llmux_turn_t *t, llmux_part_t *part)
{
    if (llmux_token_fits(&part->block->token, LLMUX_MADE_BY_CLAUDE, b->target)
        && t->role == LLMUX_ROLE_ASSISTANT) {
        part->cache_ttl = NULL;     /* the API takes none here */
        part_link(t, part);
    }
    else {
        llmux_warn(b->w, LLMUX_WARN_DROP, "reasoning_content");
        pass_marker(b, part->cache_ttl);
    }
}

static const llmux_error_t *add_media(builder_t *b, llmux_turn_t *t,
                                      llmux_part_t *part)
{
    if (t->role != LLMUX_ROLE_USER) {
        return llmux_error(b->errors, LLMUX_ERR_UNSUPPORTED,
                           llmux_anthropic_place(b->errors,
                                                 part->block->media,
                                                 part->param, part->index),
                           "The model's API takes media in user messages "
                           "only. Move it there.");
    }
    part_link(t, part);
    b->markable = part;
    return NULL;
}

static const llmux_error_t *add_block(builder_t *b, llmux_turn_t *t,
                                      llmux_part_t *part)
{
    switch (part->block->kind) {
    case LLMUX_BLOCK_TEXT:
    case LLMUX_BLOCK_REFUSAL:
        add_text(b, t, part);
        return NULL;
    case LLMUX_BLOCK_THINK:
        add_thinking(b, t, part);
        return NULL;
    case LLMUX_BLOCK_RESULT:
        add_result(b, part);
        return NULL;
    case LLMUX_BLOCK_CALL:
        return add_call(b, t, part);
    case LLMUX_BLOCK_MEDIA:
        return add_media(b, t, part);
    }
    return NULL;
}

/* The API has no names of participants: a user's stands before the text. */
static void add_name(builder_t *b, llmux_turn_t *t, const llmux_message_t *m)
{
    llmux_part_t *part;
    const char *name;

    if (!m->name.len || !t->parts) {
        return;
    }
    if (m->role != LLMUX_ROLE_USER) {
        llmux_warn(b->w, LLMUX_WARN_DROP, "name");
        return;
    }
    llmux_warn(b->w, LLMUX_WARN_APPROX, "name");
    name = llmux_slice_str(b->p, m->name);
    if (t->parts->text.data) {
        t->parts->text = llmux_slice(apr_pstrcat(b->p, name, ": ",
            llmux_slice_str(b->p, t->parts->text), NULL));
        return;
    }
    part = apr_pcalloc(b->p, sizeof(*part));
    part->text = llmux_slice(apr_pstrcat(b->p, name, ":", NULL));
    part->next = t->parts;
    t->parts = part;
}

static int is_thinking(const llmux_part_t *part)
{
    return part && part->block && part->block->kind == LLMUX_BLOCK_THINK;
}

/* The API wants an assistant's turn to begin with its thinking. Where it
 * does, the order is the model's own and stays. */
static void thinking_first(llmux_turn_t *t)
{
    llmux_part_t *part = t->parts, *next;
    llmux_turn_t rest = { 0 };

    if (is_thinking(part)) {
        return;
    }
    t->parts = t->last = NULL;
    for (; part; part = next) {
        next = part->next;
        part->next = NULL;
        part_link(is_thinking(part) ? t : &rest, part);
    }
    if (rest.parts) {
        part_link(t, rest.parts);
        t->last = rest.last;
    }
}

/* Does it count among a message's content parts? */
static int is_content(const llmux_block_t *block)
{
    return block->kind == LLMUX_BLOCK_TEXT
           || block->kind == LLMUX_BLOCK_MEDIA
           || block->kind == LLMUX_BLOCK_REFUSAL;
}

static const llmux_error_t *add_message(builder_t *b, llmux_turn_t *t,
                                        const llmux_message_t *m)
{
    const llmux_error_t *err = NULL;
    const llmux_block_t *block;
    int index = 0;

    for (block = m->blocks; block && !err; block = block->next) {
        err = add_block(b, t, part_make(b, m, block, index));
        index += is_content(block);
    }
    if (!err) {
        add_name(b, t, m);
        thinking_first(t);
    }
    return err;
}

/* One turn for each message. Those of users stay even when nothing is left
 * of them: their results tell one stretch of calls from the next. */
static const llmux_error_t *collect(builder_t *b, const llmux_chat_t *chat)
{
    const llmux_error_t *err = NULL;
    const llmux_message_t *m = chat->messages;

    for (; m && m->role == LLMUX_ROLE_SYSTEM && !err; m = m->next) {
        err = add_message(b, &b->out->system, m);
    }
    for (; m && !err; m = m->next) {
        b->stretch += m->role != LLMUX_ROLE_ASSISTANT;
        err = add_message(b, turn_append(b, m->role, m->param), m);
    }
    return err;
}

/* ---- order ----------------------------------------------------------- */

static void swallow(llmux_turn_t *t, llmux_turn_t *next)
{
    if (next->parts) {
        part_link(t, next->parts);
        t->last = next->last;
    }
    t->calls |= next->calls;
    t->next = next->next;
}

static void merge(llmux_turns_t *turns)
{
    llmux_turn_t *t = turns->first;

    while (t && t->next) {
        if (t->role == t->next->role) {
            swallow(t, t->next);
        }
        else {
            t = t->next;
        }
    }
}

/* Takes empty turns out, but for those that are about to get results. */
static void prune(llmux_turns_t *turns)
{
    llmux_turn_t **at = &turns->first, *before = NULL;

    while (*at) {
        int waits = before && before->calls
                    && (*at)->role == LLMUX_ROLE_USER;

        if ((*at)->parts || waits) {
            before = *at;
            at = &(*at)->next;
        }
        else {
            *at = (*at)->next;
        }
    }
}

/* Results stand first in the turn right after their calls. */
static void answer(builder_t *b)
{
    llmux_turn_t *t, *reply;

    for (t = b->out->first; t; t = t->next) {
        if (!t->calls) {
            continue;
        }
        if (!t->next || t->next->role != LLMUX_ROLE_USER) {
            reply = turn_make(b, LLMUX_ROLE_USER, t->param);
            reply->next = t->next;
            t->next = reply;
        }
        t->next->answers = t;
    }
}

static void wrap(builder_t *b, llmux_turn_t *t)
{
    llmux_part_t *part;

    t->role = LLMUX_ROLE_USER;
    for (part = t->parts; part; part = part->next) {
        part->text = llmux_slice(apr_pstrcat(b->p, "<system>",
            llmux_slice_str(b->p, part->text), "</system>", NULL));
    }
    llmux_warn(b->w, LLMUX_WARN_EMULATE, "messages.role");
}

/* "role 'system' must follow a 'user' message" and "must precede an
 * 'assistant' message or end the array", says the API; elsewhere, and for
 * models that do not know it, it becomes text of the user. */
static void settle_system(builder_t *b)
{
    llmux_turn_t *t, *before = NULL;

    for (t = b->out->first; t; before = t, t = t->next) {
        int placed = before && before->role == LLMUX_ROLE_USER
                     && (!t->next || t->next->role == LLMUX_ROLE_ASSISTANT);

        if (t->role == LLMUX_ROLE_SYSTEM
            && !(placed && (b->claude->can & LLMUX_CLAUDE_SYSTEM))) {
            wrap(b, t);
        }
    }
}

static llmux_turn_t *placeholder(builder_t *b)
{
    llmux_turn_t *t = turn_make(b, LLMUX_ROLE_USER, NULL);

    text_append(b->p, t, llmux_slice(PLACEHOLDER));
    llmux_warn(b->w, LLMUX_WARN_APPROX, "messages");
    return t;
}

static void user_begins(builder_t *b)
{
    llmux_turn_t *t;

    if (b->out->first && b->out->first->role == LLMUX_ROLE_USER) {
        return;
    }
    t = placeholder(b);
    t->next = b->out->first;
    b->out->first = t;
}

/* ---- the end --------------------------------------------------------- */

/* "final assistant content cannot end with trailing whitespace" */
static void trim(builder_t *b, llmux_turn_t *t)
{
    llmux_slice_t *text = &t->last->text;
    apr_size_t len = text->len;

    while (len && llmux_char_is_space(text->data[len - 1])) {
        len--;
    }
    if (len && len < text->len && !is_thinking(t->last)) {
        text->len = len;
        llmux_warn(b->w, LLMUX_WARN_APPROX, "messages");
    }
}

/* A last turn of the assistant asks to go on with its words. A user's message
 * that was blank is no such wish. */
static const llmux_error_t *settle_end(builder_t *b,
                                       const llmux_chat_t *chat)
{
    llmux_turn_t *last = b->out->first;

    while (last->next) {
        last = last->next;
    }
    if (last->role != LLMUX_ROLE_ASSISTANT) {
        return NULL;
    }
    if (chat->last && chat->last->role == LLMUX_ROLE_USER) {
        last->next = placeholder(b);
        return NULL;
    }
    if (!(b->claude->can & LLMUX_CLAUDE_PREFILL)) {
        return llmux_error(b->errors, LLMUX_ERR_UNSUPPORTED, last->param,
                           "This model cannot continue an assistant message "
                           "that was begun for it. End with a user message.");
    }
    b->out->prefill = 1;
    trim(b, last);
    return NULL;
}

static void find_unsigned(llmux_turns_t *turns)
{
    const llmux_turn_t *t;

    for (t = turns->first; t; t = t->next) {
        turns->unsigned_calls |= t->calls && !is_thinking(t->parts);
    }
}

const llmux_error_t *llmux_anthropic_turns(llmux_turns_t *out,
                                           const llmux_chat_t *chat,
                                           const llmux_target_t *target,
                                           const llmux_claude_t *claude,
                                           llmux_warnings_t *w,
                                           apr_pool_t *p)
{
    builder_t b = { .out = out, .target = target, .claude = claude, .w = w,
                    .p = p, .errors = chat->pool };
    const llmux_error_t *err;

    memset(out, 0, sizeof(*out));
    out->system.role = LLMUX_ROLE_SYSTEM;
    b.waiting = apr_hash_make(p);
    b.taken = apr_hash_make(p);
    llmux_tokens_tell(chat, LLMUX_MADE_BY_CLAUDE, target, w);
    err = collect(&b, chat);
    if (err) {
        return err;
    }
    merge(out);
    prune(out);
    merge(out);
    answer(&b);
    settle_system(&b);
    merge(out);
    user_begins(&b);
    find_unsigned(out);
    return settle_end(&b, chat);
}
