/* openai_write_messages.c - turns of blocks, as chat completions wants them:
 * each call answered by a tool message directly behind it. */

#include <apr_hash.h>
#include <apr_strings.h>

#include "openai.h"

/* A tool's medium that waits for the next user message. */
typedef struct medium_t {
    llmux_slice_t call_id;
    const llmux_block_t *block;
    const char *param;
} medium_t;

/* Results that did not follow their call, in order of messages. */
typedef struct late_t {
    const llmux_block_t *block;
    const llmux_message_t *message;
} late_t;

typedef struct late_list_t {
    apr_array_header_t *all;    /* late_t */
    int next;                   /* those before it are of no use any more */
} late_list_t;

typedef struct thread_t {
    llmux_openai_out_t *o;
    apr_hash_t *written;        /* results, by the block's address */
    apr_hash_t *late;           /* id -> late_list_t; NULL until needed */
    apr_array_header_t *media;  /* medium_t */
} thread_t;

/* ---- content --------------------------------------------------------- */

/* Kinds of blocks, as bits. */
#define BIT(kind) (1u << (kind))
#define TEXT      BIT(LLMUX_BLOCK_TEXT)
#define MEDIA     BIT(LLMUX_BLOCK_MEDIA)

/* The first block of these kinds from here on. */
static const llmux_block_t *of_kinds(const llmux_block_t *b, unsigned kinds)
{
    while (b && !(BIT(b->kind) & kinds)) {
        b = b->next;
    }
    return b;
}

static void write_parts(llmux_openai_out_t *o, const llmux_message_t *m,
                        unsigned kinds)
{
    const llmux_block_t *b;

    for (b = of_kinds(m->blocks, kinds); b; b = of_kinds(b->next, kinds)) {
        llmux_openai_write_part(o, b, m->param);
    }
}

/* One text is a string, which every server takes; else an array. */
static void write_content(llmux_openai_out_t *o, const llmux_message_t *m,
                          unsigned kinds)
{
    const llmux_block_t *b = of_kinds(m->blocks, kinds);

    llmux_jw_key(&o->jw, "content");
    if (!b) {
        llmux_jw_cstr(&o->jw, "");
    }
    else if (b->kind == LLMUX_BLOCK_TEXT && !llmux_openai_marked(o, b)
             && !of_kinds(b->next, kinds)) {
        llmux_jw_str(&o->jw, b->text.data ? b->text : llmux_slice(""));
    }
    else {
        llmux_jw_open(&o->jw, '[');
        write_parts(o, m, kinds);
        llmux_jw_close(&o->jw, ']');
    }
}

static void open_message(llmux_openai_out_t *o, const char *role,
                         llmux_slice_t name)
{
    llmux_jw_open(&o->jw, '{');
    llmux_jw_key(&o->jw, "role");
    llmux_jw_cstr(&o->jw, role);
    llmux_jw_opt_str(&o->jw, "name", name);
}

/* ---- system ---------------------------------------------------------- */

static const char *system_role(const llmux_openai_out_t *o)
{
    return llmux_openai_can(o, LLMUX_CAN_DEVELOPER) ? "developer" : "system";
}

static void write_system(thread_t *t, const llmux_message_t *m)
{
    open_message(t->o, system_role(t->o), m->name);
    write_content(t->o, m, TEXT);
    llmux_jw_close(&t->o->jw, '}');
}

static void write_hint(llmux_openai_out_t *o, const char *hint)
{
    open_message(o, system_role(o), llmux_slice(NULL));
    llmux_jw_key(&o->jw, "content");
    llmux_jw_cstr(&o->jw, hint);
    llmux_jw_close(&o->jw, '}');
}

/* ---- tool results ---------------------------------------------------- */

static const char *stub_of(const llmux_media_t *media)
{
    static const char *const stubs[] = {
        [LLMUX_MEDIA_IMAGE] = "[image: see the next user message]",
        [LLMUX_MEDIA_AUDIO] = "[audio: see the next user message]",
        [LLMUX_MEDIA_VIDEO] = "[video: see the next user message]",
        [LLMUX_MEDIA_PDF] = "[document: see the next user message]",
        [LLMUX_MEDIA_TEXT] = "[document: see the next user message]",
        [LLMUX_MEDIA_OTHER] = "[file: see the next user message]"
    };

    return stubs[media->kind];
}

/* Tool messages take text alone: media go to the user message behind. */
static llmux_slice_t result_text(thread_t *t, const llmux_result_t *result,
                                 const llmux_block_t *b, const char *param)
{
    medium_t *medium;

    if (b->kind != LLMUX_BLOCK_MEDIA) {
        return b->text.data ? b->text : llmux_slice("");
    }
    llmux_warn(t->o->warnings, LLMUX_WARN_EMULATE, "messages.tool.content");
    medium = apr_array_push(t->media);
    medium->call_id = result->call_id;
    medium->block = b;
    medium->param = param;
    return llmux_slice(stub_of(b->media));
}

static void write_result_parts(thread_t *t, const llmux_block_t *rb,
                               const char *param)
{
    llmux_openai_out_t *o = t->o;
    const llmux_block_t *b;

    llmux_jw_open(&o->jw, '[');
    if (rb->result->is_error == LLMUX_YES) {
        llmux_openai_write_text_part(o, llmux_slice("Error:"));
    }
    for (b = rb->result->blocks; b; b = b->next) {
        llmux_jw_open(&o->jw, '{');
        llmux_openai_write_text(o, result_text(t, rb->result, b, param));
        if (llmux_openai_marked(o, b)
            || (!b->next && llmux_openai_marked(o, rb))) {
            llmux_openai_write_marker(o);
        }
        llmux_jw_close(&o->jw, '}');
    }
    llmux_jw_close(&o->jw, ']');
}

static void write_result_string(thread_t *t, const llmux_block_t *rb,
                                const char *param)
{
    llmux_openai_out_t *o = t->o;
    const llmux_block_t *b = rb->result->blocks;
    const char *before = rb->result->is_error == LLMUX_YES ? "Error: " : "";

    llmux_jw_raw(&o->jw, llmux_slice("\""));
    llmux_buf_adds(o->jw.out, before);
    if (b) {
        llmux_json_escape(o->jw.out, result_text(t, rb->result, b, param));
    }
    llmux_buf_adds(o->jw.out, "\"");
}

static void open_result(llmux_openai_out_t *o, llmux_slice_t id)
{
    open_message(o, "tool", llmux_slice(NULL));
    llmux_jw_key(&o->jw, "tool_call_id");
    llmux_jw_str(&o->jw, id);
    llmux_jw_key(&o->jw, "content");
}

static void write_result(thread_t *t, const llmux_block_t *rb,
                         const char *param)
{
    const llmux_block_t **key = apr_palloc(t->o->pool, sizeof(*key));
    const llmux_block_t *b = rb->result->blocks;

    open_result(t->o, rb->result->call_id);
    if (b && (b->next || llmux_openai_marked(t->o, b)
              || llmux_openai_marked(t->o, rb))) {
        write_result_parts(t, rb, param);
    }
    else {
        write_result_string(t, rb, param);
    }
    llmux_jw_close(&t->o->jw, '}');
    *key = rb;
    apr_hash_set(t->written, key, sizeof(*key), "");
}

/* A call that nobody answered would make the whole request a 400. */
static void write_missing(thread_t *t, const llmux_call_t *call)
{
    llmux_warn(t->o->warnings, LLMUX_WARN_EMULATE, "messages.tool_call_id");
    open_result(t->o, call->id);
    llmux_jw_cstr(&t->o->jw, "Error: this call was not executed.");
    llmux_jw_close(&t->o->jw, '}');
}

/* ---- results that stand elsewhere ------------------------------------ */

static void note_late(thread_t *t, const llmux_message_t *m,
                      const llmux_block_t *b)
{
    llmux_slice_t id = b->result->call_id;
    late_list_t *list = apr_hash_get(t->late, id.data, (apr_ssize_t) id.len);
    late_t *late;

    if (!list) {
        list = apr_pcalloc(t->o->pool, sizeof(*list));
        list->all = apr_array_make(t->o->pool, 1, sizeof(late_t));
        apr_hash_set(t->late, id.data, (apr_ssize_t) id.len, list);
    }
    late = apr_array_push(list->all);
    late->block = b;
    late->message = m;
}

static void index_late(thread_t *t)
{
    const llmux_message_t *m;
    const llmux_block_t *b;

    t->late = apr_hash_make(t->o->pool);
    for (m = t->o->chat->messages; m; m = m->next) {
        b = of_kinds(m->blocks, BIT(LLMUX_BLOCK_RESULT));
        for (; b; b = of_kinds(b->next, BIT(LLMUX_BLOCK_RESULT))) {
            note_late(t, m, b);
        }
    }
}

/* The first result behind message `m` that answers this call and not a
 * later one of the same id. Calls come in order, so that the list is walked
 * but once. */
static const late_t *find_late(thread_t *t, const llmux_message_t *m,
                               const llmux_call_t *call)
{
    late_list_t *list;
    late_t *late;

    if (!t->late) {
        index_late(t);
    }
    list = apr_hash_get(t->late, call->id.data, (apr_ssize_t) call->id.len);
    for (; list && list->next < list->all->nelts; list->next++) {
        late = &APR_ARRAY_IDX(list->all, list->next, late_t);
        if (late->message->number <= m->number
            || apr_hash_get(t->written, &late->block, sizeof(late->block))) {
            continue;
        }
        return llmux_chat_call(t->o->chat, call->id, late->message) == call
            ? late : NULL;
    }
    return NULL;
}

static void write_late(thread_t *t, const llmux_message_t *m,
                       const llmux_call_t *call)
{
    const late_t *late = find_late(t, m, call);

    if (late) {
        write_result(t, late->block, late->message->param);
    }
    else {
        write_missing(t, call);
    }
}

/* The results that the next user message brings, in its order. */
static void write_next_results(thread_t *t, const llmux_message_t *m,
                               apr_hash_t *open)
{
    const unsigned kinds = BIT(LLMUX_BLOCK_RESULT);
    const llmux_block_t *b = of_kinds(m->blocks, kinds);
    llmux_slice_t id;

    for (; b; b = of_kinds(b->next, kinds)) {
        id = b->result->call_id;
        if (apr_hash_get(open, id.data, (apr_ssize_t) id.len)) {
            write_result(t, b, m->param);
            apr_hash_set(open, id.data, (apr_ssize_t) id.len, NULL);
        }
    }
}

/* All answers to the calls of this message, wherever they stand. */
static void write_results(thread_t *t, const llmux_message_t *m)
{
    const unsigned kinds = BIT(LLMUX_BLOCK_CALL);
    apr_hash_t *open = apr_hash_make(t->o->pool);
    const llmux_block_t *b;
    llmux_slice_t id;

    for (b = of_kinds(m->blocks, kinds); b; b = of_kinds(b->next, kinds)) {
        apr_hash_set(open, b->call->id.data, (apr_ssize_t) b->call->id.len,
                     b->call);
    }
    if (!m->next || !apr_hash_count(open)) {
        return;
    }
    if (m->next->role == LLMUX_ROLE_USER) {
        write_next_results(t, m->next, open);
    }
    for (b = of_kinds(m->blocks, kinds); b; b = of_kinds(b->next, kinds)) {
        id = b->call->id;
        if (apr_hash_get(open, id.data, (apr_ssize_t) id.len)) {
            write_late(t, m, b->call);
            apr_hash_set(open, id.data, (apr_ssize_t) id.len, NULL);
        }
    }
}

/* ---- user ------------------------------------------------------------ */

static void write_media(thread_t *t)
{
    const medium_t *medium;
    int i;

    for (i = 0; i < t->media->nelts; i++) {
        medium = &APR_ARRAY_IDX(t->media, i, medium_t);
        llmux_openai_write_text_part(t->o, llmux_slice(apr_psprintf(
            t->o->pool, "From the result of tool call %s:",
            llmux_slice_str(t->o->pool, medium->call_id))));
        llmux_openai_write_part(t->o, medium->block, medium->param);
    }
    apr_array_clear(t->media);
}

/* The media of results, and the user's own content behind them. */
static void write_media_message(thread_t *t, const llmux_message_t *m)
{
    open_message(t->o, "user", m ? m->name : llmux_slice(NULL));
    llmux_jw_key(&t->o->jw, "content");
    llmux_jw_open(&t->o->jw, '[');
    write_media(t);
    if (m) {
        write_parts(t->o, m, TEXT | MEDIA);
    }
    llmux_jw_close(&t->o->jw, ']');
    llmux_jw_close(&t->o->jw, '}');
}

/* Results that answer no call, or one that was answered already. */
static void warn_orphans(thread_t *t, const llmux_message_t *m)
{
    const unsigned kinds = BIT(LLMUX_BLOCK_RESULT);
    const llmux_block_t *b = of_kinds(m->blocks, kinds);

    for (; b; b = of_kinds(b->next, kinds)) {
        if (!apr_hash_get(t->written, &b, sizeof(b))) {
            llmux_warn(t->o->warnings, LLMUX_WARN_DROP,
                       "messages.tool_call_id");
        }
    }
}

static void write_user(thread_t *t, const llmux_message_t *m)
{
    warn_orphans(t, m);
    if (t->media->nelts) {
        write_media_message(t, m);
    }
    else if (of_kinds(m->blocks, TEXT | MEDIA) || !m->blocks) {
        open_message(t->o, "user", m->name);
        write_content(t->o, m, TEXT | MEDIA);
        llmux_jw_close(&t->o->jw, '}');
    }
}

/* ---- assistant ------------------------------------------------------- */

static void write_function_call(llmux_openai_out_t *o,
                                const llmux_call_t *call)
{
    llmux_jw_key(&o->jw, "function");
    llmux_jw_open(&o->jw, '{');
    llmux_jw_key(&o->jw, "name");
    llmux_jw_str(&o->jw, call->name);
    llmux_jw_key(&o->jw, "arguments");
    llmux_jw_str(&o->jw, call->args.data ? call->args : llmux_slice("{}"));
    llmux_jw_close(&o->jw, '}');
}

static void write_custom_call(llmux_openai_out_t *o, const llmux_call_t *call)
{
    llmux_jw_key(&o->jw, "custom");
    llmux_jw_open(&o->jw, '{');
    llmux_jw_key(&o->jw, "name");
    llmux_jw_str(&o->jw, call->name);
    llmux_jw_key(&o->jw, "input");
    llmux_jw_str(&o->jw, call->args.data ? call->args : llmux_slice(""));
    llmux_jw_close(&o->jw, '}');
}

static void write_call_token(llmux_openai_out_t *o, const llmux_call_t *call)
{
    if (!llmux_token_fits(&call->token, LLMUX_MADE_BY(LLMUX_MAKER_GEMINI),
                          o->target)
        || !llmux_openai_can(o, LLMUX_CAN_REASONING)) {
        return;
    }
    llmux_jw_key(&o->jw, "extra_content");
    llmux_jw_open(&o->jw, '{');
    llmux_jw_key(&o->jw, "google");
    llmux_jw_open(&o->jw, '{');
    llmux_jw_key(&o->jw, "thought_signature");
    llmux_jw_str(&o->jw, call->token.bytes);
    llmux_jw_close(&o->jw, '}');
    llmux_jw_close(&o->jw, '}');
}

static void write_call(llmux_openai_out_t *o, const llmux_call_t *call)
{
    llmux_jw_open(&o->jw, '{');
    llmux_jw_key(&o->jw, "id");
    llmux_jw_str(&o->jw, call->id);
    llmux_jw_key(&o->jw, "type");
    llmux_jw_cstr(&o->jw, call->custom ? "custom" : "function");
    if (call->custom) {
        write_custom_call(o, call);
    }
    else {
        write_function_call(o, call);
    }
    write_call_token(o, call);
    llmux_jw_close(&o->jw, '}');
}

static void write_calls(llmux_openai_out_t *o, const llmux_message_t *m)
{
    const unsigned kinds = BIT(LLMUX_BLOCK_CALL);
    const llmux_block_t *b = of_kinds(m->blocks, kinds);

    if (!b) {
        return;
    }
    if (of_kinds(b->next, TEXT)) {
        llmux_warn(o->warnings, LLMUX_WARN_APPROX, "messages.content");
    }
    llmux_jw_key(&o->jw, "tool_calls");
    llmux_jw_open(&o->jw, '[');
    for (; b; b = of_kinds(b->next, kinds)) {
        write_call(o, b->call);
    }
    llmux_jw_close(&o->jw, ']');
}

static const struct { const char *format, *token; } makers[] = {
    [LLMUX_MAKER_ANTHROPIC] = { "anthropic-claude-v1", "signature" },
    [LLMUX_MAKER_ANTHROPIC_REDACTED] = { "anthropic-claude-v1", "data" },
    [LLMUX_MAKER_GEMINI] = { "google-gemini-v1", "signature" },
    [LLMUX_MAKER_OPENAI] = { "openai-responses-v1", "signature" }
};

/* The maker of a thought's token, if it goes to this server; NONE if not. */
static llmux_maker_e maker_of(const llmux_openai_out_t *o,
                              const llmux_block_t *b)
{
    return llmux_token_fits(&b->token, LLMUX_MADE_BY_ANY, o->target)
               ? b->token.maker : LLMUX_MAKER_NONE;
}

/* OpenRouter's shape, which our own answers have too. */
static void write_detail(llmux_openai_out_t *o, const llmux_block_t *b,
                         int index)
{
    llmux_maker_e maker = maker_of(o, b);
    int sealed = maker == LLMUX_MAKER_ANTHROPIC_REDACTED
        || (!b->text.len && maker != LLMUX_MAKER_ANTHROPIC);

    llmux_jw_open(&o->jw, '{');
    llmux_jw_key(&o->jw, "type");
    llmux_jw_cstr(&o->jw, sealed ? "reasoning.encrypted" : "reasoning.text");
    if (!sealed) {
        llmux_jw_key(&o->jw, "text");
        llmux_jw_str(&o->jw, b->text.data ? b->text : llmux_slice(""));
    }
    if (maker != LLMUX_MAKER_NONE) {
        llmux_jw_key(&o->jw, sealed ? "data" : makers[maker].token);
        llmux_jw_str(&o->jw, b->token.bytes);
        llmux_jw_key(&o->jw, "format");
        llmux_jw_cstr(&o->jw, makers[maker].format);
    }
    llmux_jw_key(&o->jw, "index");
    llmux_jw_int(&o->jw, index);
    llmux_jw_close(&o->jw, '}');
}

static void write_details(llmux_openai_out_t *o, const llmux_message_t *m)
{
    const unsigned kinds = BIT(LLMUX_BLOCK_THINK);
    const llmux_block_t *b = of_kinds(m->blocks, kinds);
    int i = 0;

    llmux_jw_key(&o->jw, "reasoning_details");
    llmux_jw_open(&o->jw, '[');
    for (; b; b = of_kinds(b->next, kinds)) {
        if (b->text.len || maker_of(o, b) != LLMUX_MAKER_NONE) {
            write_detail(o, b, i++);
        }
    }
    llmux_jw_close(&o->jw, ']');
}

/* The texts of all blocks of one kind as one string. */
static void write_joined(llmux_openai_out_t *o, const char *name,
                         const llmux_message_t *m, llmux_block_e kind)
{
    const llmux_block_t *b = of_kinds(m->blocks, BIT(kind));

    if (!b) {
        return;
    }
    llmux_jw_key(&o->jw, name);
    llmux_jw_raw(&o->jw, llmux_slice("\""));
    for (; b; b = of_kinds(b->next, BIT(kind))) {
        llmux_json_escape(o->jw.out, b->text);
    }
    llmux_buf_adds(o->jw.out, "\"");
}

/* They are left out where nobody reads them. */
static void write_thoughts(llmux_openai_out_t *o, const llmux_message_t *m)
{
    const unsigned kinds = BIT(LLMUX_BLOCK_THINK);
    const llmux_block_t *b = of_kinds(m->blocks, kinds);

    if (!b) {
        return;
    }
    if (!llmux_openai_can(o, LLMUX_CAN_REASONING)) {
        llmux_warn(o->warnings, LLMUX_WARN_DROP, "reasoning_content");
        return;
    }
    write_joined(o, "reasoning_content", m, LLMUX_BLOCK_THINK);
    while (b && maker_of(o, b) == LLMUX_MAKER_NONE) {
        b = of_kinds(b->next, kinds);
    }
    if (b) {
        write_details(o, m);
    }
}

/* Of media an assistant has none but its own speech, told by its id. */
static void write_spoken(llmux_openai_out_t *o, const llmux_message_t *m)
{
    const llmux_block_t *b = of_kinds(m->blocks, MEDIA);

    if (!b) {
        return;
    }
    if (b->media->kind != LLMUX_MEDIA_AUDIO || !b->media->file_id.data
        || of_kinds(b->next, MEDIA)) {
        llmux_openai_refuse(o, b->media, m->param,
                            "media in an assistant message");
    }
    llmux_jw_key(&o->jw, "audio");
    llmux_jw_open(&o->jw, '{');
    llmux_jw_key(&o->jw, "id");
    llmux_jw_str(&o->jw, b->media->file_id);
    llmux_jw_close(&o->jw, '}');
}

static void write_assistant(thread_t *t, const llmux_message_t *m)
{
    const unsigned instead = BIT(LLMUX_BLOCK_CALL) | MEDIA
        | BIT(LLMUX_BLOCK_REFUSAL);

    open_message(t->o, "assistant", m->name);
    if (!of_kinds(m->blocks, TEXT) && of_kinds(m->blocks, instead)) {
        llmux_jw_key(&t->o->jw, "content");
        llmux_jw_null(&t->o->jw);
    }
    else {
        write_content(t->o, m, TEXT);
    }
    write_joined(t->o, "refusal", m, LLMUX_BLOCK_REFUSAL);
    write_thoughts(t->o, m);
    write_spoken(t->o, m);
    write_calls(t->o, m);
    llmux_jw_close(&t->o->jw, '}');
    write_results(t, m);
    if (t->media->nelts && m->next->role != LLMUX_ROLE_USER) {
        write_media_message(t, NULL);
    }
}

/* ---- the list -------------------------------------------------------- */

void llmux_openai_write_messages(llmux_openai_out_t *o, const char *hint)
{
    static void (*const writers[])(thread_t *, const llmux_message_t *) = {
        [LLMUX_ROLE_SYSTEM] = write_system,
        [LLMUX_ROLE_USER] = write_user,
        [LLMUX_ROLE_ASSISTANT] = write_assistant
    };
    thread_t t = { .o = o };
    const llmux_message_t *m;

    t.written = apr_hash_make(o->pool);
    t.media = apr_array_make(o->pool, 1, sizeof(medium_t));
    llmux_jw_open(&o->jw, '[');
    for (m = o->chat->messages; m && !o->err; m = m->next) {
        if (hint && m->role != LLMUX_ROLE_SYSTEM) {
            write_hint(o, hint);
            hint = NULL;
        }
        writers[m->role](&t, m);
    }
    if (hint) {
        write_hint(o, hint);
    }
    llmux_jw_close(&o->jw, ']');
}
