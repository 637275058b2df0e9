/* cohere_messages.c - turns of blocks, as Cohere wants them: the system text
 * in front, every call answered right behind it, and no words beside calls but
 * as the plan for them. */

#include <apr_strings.h>

#include "cohere.h"

#define TEXT    LLMUX_WRITER_BIT(LLMUX_BLOCK_TEXT)
#define MEDIA   LLMUX_WRITER_BIT(LLMUX_BLOCK_MEDIA)
#define CALL    LLMUX_WRITER_BIT(LLMUX_BLOCK_CALL)
#define RESULT  LLMUX_WRITER_BIT(LLMUX_BLOCK_RESULT)

/* Said where a result is empty, which the API refuses, and where it holds
 * what a tool message cannot. */
#define NOTHING "(empty)"
#define STUB    "[image: see the next user message]"

typedef llmux_writer_t writer_t;

/* One conversation while it is written. */
typedef struct talk_t {
    writer_t *w;
    apr_hash_t *ids;            /* of calls so far: int *, the last number
                                 * that was put behind it */
    int system_over;            /* a message of another role was there */
} talk_t;

/* ---- content --------------------------------------------------------- */

static void open_message(writer_t *w, const char *role)
{
    llmux_jw_open(&w->jw, '{');
    llmux_jw_opt_str(&w->jw, "role", llmux_slice(role));
}

static void put_text(writer_t *w, llmux_slice_t text)
{
    llmux_jw_open(&w->jw, '{');
    llmux_jw_opt_str(&w->jw, "type", llmux_slice("text"));
    llmux_jw_opt_str(&w->jw, "text", text);
    llmux_jw_close(&w->jw, '}');
}

/* Straight into the buffer: a copy of an image would be large. */
static void put_url(writer_t *w, const llmux_media_t *media)
{
    const char *type = llmux_media_sniff(media->base64);

    llmux_jw_key(&w->jw, "url");
    if (!media->base64.data) {
        llmux_jw_str(&w->jw, media->url);
        return;
    }
    llmux_jw_raw(&w->jw, llmux_slice("\"data:"));
    llmux_json_escape(w->jw.out, media->type.len ? media->type
                      : llmux_slice(type ? type : "image/png"));
    llmux_buf_adds(w->jw.out, ";base64,");
    llmux_buf_add_slice(w->jw.out, media->base64);
    llmux_buf_adds(w->jw.out, "\"");
}

static void put_image(writer_t *w, const llmux_media_t *media,
                      const char *param)
{
    if (!llmux_writer_image(w, media, param,
                            llmux_writer_can(w, LLMUX_CAN_MEDIA_URL))) {
        return;
    }
    llmux_jw_open(&w->jw, '{');
    llmux_jw_opt_str(&w->jw, "type", llmux_slice("image_url"));
    llmux_jw_key(&w->jw, "image_url");
    llmux_jw_open(&w->jw, '{');
    put_url(w, media);
    llmux_jw_opt_str(&w->jw, "detail", media->detail);
    llmux_jw_close(&w->jw, '}');
    llmux_jw_close(&w->jw, '}');
}

static void put_user_message(writer_t *w, llmux_slice_t text)
{
    open_message(w, "user");
    llmux_jw_opt_str(&w->jw, "content", text);
    llmux_jw_close(&w->jw, '}');
}

/* ---- system ---------------------------------------------------------- */

static llmux_slice_t system_text(writer_t *w, const llmux_message_t *m)
{
    if (llmux_writer_next(m->blocks, MEDIA)) {
        llmux_writer_refuse(w, m->param, "%s takes only text in system "
                            "messages: move files to a user message.",
                            w->target->name);
    }
    return llmux_writer_text(w, m);
}

/* Those before the conversation, as far as they say something: the API
 * refuses messages without a word. */
static apr_array_header_t *leading_texts(writer_t *w, const char *hint)
{
    apr_array_header_t *texts = apr_array_make(w->pool, 1,
                                               sizeof(llmux_slice_t));
    const llmux_message_t *m = w->chat->messages;
    llmux_slice_t text;

    for (; m && m->role == LLMUX_ROLE_SYSTEM; m = m->next) {
        text = system_text(w, m);
        if (text.len) {
            APR_ARRAY_PUSH(texts, llmux_slice_t) = text;
        }
    }
    if (hint) {
        APR_ARRAY_PUSH(texts, llmux_slice_t) = llmux_slice(hint);
    }
    return texts;
}

/* All of them are one message. */
static void write_leading_system(writer_t *w, const char *hint)
{
    const apr_array_header_t *texts = leading_texts(w, hint);
    int i;

    if (!texts->nelts) {
        return;
    }
    open_message(w, "system");
    llmux_jw_key(&w->jw, "content");
    if (texts->nelts == 1) {
        llmux_jw_str(&w->jw, APR_ARRAY_IDX(texts, 0, llmux_slice_t));
    }
    else {
        llmux_jw_open(&w->jw, '[');
        for (i = 0; i < texts->nelts; i++) {
            put_text(w, APR_ARRAY_IDX(texts, i, llmux_slice_t));
        }
        llmux_jw_close(&w->jw, ']');
    }
    llmux_jw_close(&w->jw, '}');
}

/* "system turn must be the first in the list": later ones are told by the
 * user. */
static void write_system(talk_t *t, const llmux_message_t *m)
{
    writer_t *w = t->w;
    llmux_slice_t text = t->system_over ? system_text(w, m)
                                        : llmux_slice(NULL);

    if (!text.len) {
        return;
    }
    llmux_warn(w->warnings, LLMUX_WARN_EMULATE, "messages.role");
    open_message(w, "user");
    llmux_jw_key(&w->jw, "content");
    llmux_jw_raw(&w->jw, llmux_slice("\"<system>"));
    llmux_json_escape(w->jw.out, text);
    llmux_buf_adds(w->jw.out, "</system>\"");
    llmux_jw_close(&w->jw, '}');
}

/* ---- results --------------------------------------------------------- */

static void open_result(writer_t *w, llmux_slice_t id)
{
    open_message(w, "tool");
    llmux_jw_opt_str(&w->jw, "tool_call_id", id);
    llmux_jw_key(&w->jw, "content");
}

static void write_result(writer_t *w, const llmux_block_t *b,
                         llmux_slice_t id, apr_array_header_t *media)
{
    llmux_slice_t text = llmux_writer_result_text(w, b->result, media, STUB);

    open_result(w, id);
    llmux_jw_str(&w->jw, text.len ? text : llmux_slice(NOTHING));
    llmux_jw_close(&w->jw, '}');
}

/* A call that nobody answered would make the whole request a 400. */
static void write_missing(writer_t *w, llmux_slice_t id)
{
    llmux_warn(w->warnings, LLMUX_WARN_EMULATE, "messages.tool_call_id");
    open_result(w, id);
    llmux_jw_cstr(&w->jw, "Error: this call was not executed.");
    llmux_jw_close(&w->jw, '}');
}

/* The pictures of results, which tool messages do not take. */
static void write_media(writer_t *w, const apr_array_header_t *media,
                        const char *param)
{
    int i;

    if (!media->nelts) {
        return;
    }
    llmux_warn(w->warnings, LLMUX_WARN_EMULATE, "messages.tool.content");
    open_message(w, "user");
    llmux_jw_key(&w->jw, "content");
    llmux_jw_open(&w->jw, '[');
    put_text(w, llmux_slice("From the results of the tools:"));
    for (i = 0; i < media->nelts; i++) {
        put_image(w, APR_ARRAY_IDX(media, i, const llmux_block_t *)->media,
                  param);
    }
    llmux_jw_close(&w->jw, ']');
    llmux_jw_close(&w->jw, '}');
}

/* In the order of the calls, whose ids they bear. */
static void write_results(writer_t *w, const llmux_message_t *m,
                          const apr_array_header_t *ids)
{
    apr_array_header_t *media = apr_array_make(
        w->pool, 1, sizeof(const llmux_block_t *));
    const llmux_block_t *b = llmux_writer_next(m->blocks, CALL), *result;
    int i;

    for (i = 0; b; b = llmux_writer_next(b->next, CALL), i++) {
        llmux_slice_t id = APR_ARRAY_IDX(ids, i, llmux_slice_t);

        result = llmux_writer_result(w, m, b->call);
        if (result) {
            write_result(w, result, id, media);
        }
        else if (m->next) {
            write_missing(w, id);
        }
    }
    write_media(w, media, m->param);
}

/* ---- assistant ------------------------------------------------------- */

/* An id that no call before it has. */
static llmux_slice_t unique_id(talk_t *t, llmux_slice_t id)
{
    llmux_slice_t own = id.len ? id : llmux_slice("call");
    int *n = apr_hash_get(t->ids, own.data, (apr_ssize_t)own.len);

    if (n) {
        const char *stem = llmux_slice_str(t->w->pool, own);

        do {
            own = llmux_slice(apr_psprintf(t->w->pool, "%s_%d", stem, ++*n));
        } while (apr_hash_get(t->ids, own.data, (apr_ssize_t)own.len));
    }
    n = apr_palloc(t->w->pool, sizeof(*n));
    *n = 1;
    apr_hash_set(t->ids, own.data, (apr_ssize_t)own.len, n);
    return own;
}

static void write_call(writer_t *w, const llmux_call_t *call,
                       llmux_slice_t id)
{
    llmux_jw_open(&w->jw, '{');
    llmux_jw_opt_str(&w->jw, "id", id);
    llmux_jw_opt_str(&w->jw, "type", llmux_slice("function"));
    llmux_jw_key(&w->jw, "function");
    llmux_jw_open(&w->jw, '{');
    llmux_jw_opt_str(&w->jw, "name", call->name);
    llmux_jw_opt_str(&w->jw, "arguments", llmux_writer_args(w, call));
    llmux_jw_close(&w->jw, '}');
    llmux_jw_close(&w->jw, '}');
}

/* @return their ids, in order */
static apr_array_header_t *write_calls(talk_t *t, const llmux_message_t *m)
{
    apr_array_header_t *ids = apr_array_make(t->w->pool, 1,
                                             sizeof(llmux_slice_t));
    const llmux_block_t *b = llmux_writer_next(m->blocks, CALL);
    llmux_slice_t id;

    if (!b) {
        return ids;
    }
    llmux_jw_key(&t->w->jw, "tool_calls");
    llmux_jw_open(&t->w->jw, '[');
    for (; b; b = llmux_writer_next(b->next, CALL)) {
        id = unique_id(t, b->call->id);
        APR_ARRAY_PUSH(ids, llmux_slice_t) = id;
        write_call(t->w, b->call, id);
    }
    llmux_jw_close(&t->w->jw, ']');
    return ids;
}

/* The thoughts that go back: a model that does not think refuses them. */
static llmux_slice_t thoughts_of(writer_t *w, const llmux_message_t *m)
{
    static const llmux_slice_t none = { NULL, 0 };
    llmux_slice_t thoughts = llmux_writer_thoughts(w, m);

    if (thoughts.data && !llmux_writer_can(w, LLMUX_CAN_REASONING)) {
        llmux_warn(w->warnings, LLMUX_WARN_DROP, "reasoning_content");
        return none;
    }
    return thoughts;
}

static void write_content(writer_t *w, llmux_slice_t thoughts,
                          llmux_slice_t text)
{
    if (!thoughts.len && !text.len) {
        return;
    }
    llmux_jw_key(&w->jw, "content");
    if (!thoughts.len) {
        llmux_jw_str(&w->jw, text);
        return;
    }
    llmux_jw_open(&w->jw, '[');
    llmux_jw_open(&w->jw, '{');
    llmux_jw_opt_str(&w->jw, "type", llmux_slice("thinking"));
    llmux_jw_opt_str(&w->jw, "thinking", thoughts);
    llmux_jw_close(&w->jw, '}');
    if (text.len) {
        put_text(w, text);
    }
    llmux_jw_close(&w->jw, ']');
}

/* Words beside calls are refused: they are the plan. */
static void write_assistant(talk_t *t, const llmux_message_t *m)
{
    static const llmux_slice_t none = { NULL, 0 };
    writer_t *w = t->w;
    const llmux_block_t *call = llmux_writer_next(m->blocks, CALL);
    llmux_slice_t text = llmux_writer_text(w, m);
    llmux_slice_t thoughts = thoughts_of(w, m);
    apr_array_header_t *ids;

    if (llmux_writer_next(m->blocks, MEDIA)) {
        llmux_writer_refuse(w, m->param, "%s takes no media in an assistant "
                            "message.", w->target->name);
    }
    if (!call && !text.len && !thoughts.len) {
        return;
    }
    if (call && llmux_writer_next(call, TEXT)) {
        llmux_warn(w->warnings, LLMUX_WARN_APPROX, "messages.content");
    }
    open_message(w, "assistant");
    write_content(w, thoughts, call ? none : text);
    if (call && text.len) {
        llmux_jw_opt_str(&w->jw, "tool_plan", text);
    }
    ids = write_calls(t, m);
    llmux_jw_close(&w->jw, '}');
    write_results(w, m, ids);
}

/* ---- user ------------------------------------------------------------ */

static void write_user_parts(writer_t *w, const llmux_message_t *m)
{
    const char *name = llmux_writer_name(w, m);
    const llmux_block_t *b;
    llmux_slice_t words;

    open_message(w, "user");
    llmux_jw_key(&w->jw, "content");
    llmux_jw_open(&w->jw, '[');
    if (*name) {
        put_text(w, llmux_slice(name));
    }
    for (b = m->blocks; b; b = b->next) {
        words = llmux_writer_words(w, b);
        if (words.len) {
            put_text(w, words);
        }
        else if (!words.data && b->kind == LLMUX_BLOCK_MEDIA) {
            put_image(w, b->media, m->param);
        }
    }
    llmux_jw_close(&w->jw, ']');
    llmux_jw_close(&w->jw, '}');
}

/* Results that answer no call, or one that was answered already. */
static void warn_orphans(writer_t *w, const llmux_message_t *m)
{
    const llmux_block_t *b = llmux_writer_next(m->blocks, RESULT);

    for (; b; b = llmux_writer_next(b->next, RESULT)) {
        if (!llmux_writer_taken(w, b)) {
            llmux_warn(w->warnings, LLMUX_WARN_DROP, "messages.tool_call_id");
        }
    }
}

/* The API refuses messages without a word; nothing is lost with them. */
static void write_user(talk_t *t, const llmux_message_t *m)
{
    llmux_slice_t text;

    warn_orphans(t->w, m);
    if (llmux_writer_next(m->blocks, MEDIA)) {
        write_user_parts(t->w, m);
        return;
    }
    text = llmux_writer_text(t->w, m);
    if (text.len) {
        put_user_message(t->w, text);
    }
}

/* ---- the list -------------------------------------------------------- */

void llmux_cohere_messages(llmux_writer_t *w)
{
    static void (*const writers[])(talk_t *, const llmux_message_t *) = {
        [LLMUX_ROLE_SYSTEM] = write_system,
        [LLMUX_ROLE_USER] = write_user,
        [LLMUX_ROLE_ASSISTANT] = write_assistant
    };
    talk_t t = { .w = w };
    const llmux_message_t *m;

    t.ids = apr_hash_make(w->pool);
    llmux_jw_key(&w->jw, "messages");
    llmux_jw_open(&w->jw, '[');
    write_leading_system(w, llmux_writer_format_hint(w));
    for (m = w->chat->messages; m && !w->err; m = m->next) {
        t.system_over |= m->role != LLMUX_ROLE_SYSTEM;
        writers[m->role](&t, m);
    }
    llmux_jw_close(&w->jw, ']');
}
