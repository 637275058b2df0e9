/* writer.c - what writers of requests share: tools, results, texts, and what
 * cannot be said. */

#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include <apr_strings.h>

#include "llmux/seal.h"
#include "writer.h"

#define EMPTY_SCHEMA "{\"type\":\"object\",\"properties\":{}}"

#define CUSTOM_SCHEMA "{\"type\":\"object\",\"properties\":" \
    "{\"input\":{\"type\":\"string\"}},\"required\":[\"input\"]}"

#define BIT(kind) LLMUX_WRITER_BIT(kind)

/* ---- the writer ------------------------------------------------------ */

static apr_hash_t *offered(const llmux_chat_t *chat, apr_pool_t *p)
{
    apr_hash_t *names;
    int i;

    if (chat->choice < LLMUX_CHOICE_NAMED) {
        return NULL;
    }
    names = apr_hash_make(p);
    for (i = 0; chat->choice_names && i < chat->choice_names->nelts; i++) {
        llmux_slice_t *name = &APR_ARRAY_IDX(chat->choice_names, i,
                                             llmux_slice_t);

        apr_hash_set(names, name->data, (apr_ssize_t)name->len, name);
    }
    return names;
}

llmux_writer_t llmux_writer(llmux_buf_t *out, const llmux_chat_t *chat,
                            const llmux_target_t *target,
                            llmux_warnings_t *warnings, apr_pool_t *pool)
{
    llmux_writer_t w = { .chat = chat, .target = target };

    w.jw = llmux_jw(out);
    w.warnings = warnings;
    w.pool = pool;
    w.offered = offered(chat, pool);
    w.taken = apr_hash_make(pool);
    return w;
}

const llmux_error_t *llmux_writer_end(llmux_writer_t *w)
{
    if (!w->err && w->jw.out->failed) {
        w->err = llmux_error(w->chat->pool, LLMUX_ERR_TOO_LARGE, NULL,
                             "The request is too large for %s once it is "
                             "translated.", w->target->name);
    }
    return w->err;
}

const llmux_error_t *llmux_writer_run(llmux_buf_t *out,
                                      const llmux_chat_t *chat,
                                      const llmux_target_t *target,
                                      llmux_warnings_t *warnings,
                                      apr_pool_t *scratch,
                                      const llmux_writer_step_fn *steps)
{
    const llmux_error_t *err;
    apr_pool_t *pool;
    llmux_writer_t w;

    apr_pool_create(&pool, scratch);
    w = llmux_writer(out, chat, target, warnings, pool);
    llmux_writer_check(&w);
    llmux_writer_leave_out(&w);
    llmux_tokens_tell(chat, 0, target, w.warnings);
    llmux_jw_open(&w.jw, '{');
    llmux_jw_opt_str(&w.jw, "model", target->model);
    for (; *steps && !w.err; steps++) {
        (*steps)(&w);
    }
    llmux_jw_close(&w.jw, '}');
    err = llmux_writer_end(&w);
    apr_pool_destroy(pool);
    return err;
}

int llmux_writer_can(const llmux_writer_t *w, unsigned int ability)
{
    return (w->target->can & ability) != 0;
}

void llmux_writer_refuse(llmux_writer_t *w, const char *param,
                         const char *fmt, ...)
{
    va_list ap;

    if (w->err) {
        return;
    }
    va_start(ap, fmt);
    w->err = llmux_error(w->chat->pool, LLMUX_ERR_UNSUPPORTED, param, "%s",
                         apr_pvsprintf(w->pool, fmt, ap));
    va_end(ap);
}

static const llmux_json_t *json(const llmux_writer_t *w, llmux_slice_t text)
{
    return text.data ? llmux_json_parse(w->pool, text, 0, NULL) : NULL;
}

/* ---- what cannot be said at all -------------------------------------- */

void llmux_writer_check(llmux_writer_t *w)
{
    const llmux_chat_t *chat = w->chat;
    const llmux_json_t *modalities = json(w, chat->modalities), *each;

    if (chat->n.data && llmux_json_int(json(w, chat->n), 0) != 1) {
        llmux_writer_refuse(w, "n", "%s gives one answer to a request. Leave "
                            "'n' out, or ask several times.",
                            w->target->name);
    }
    for (each = llmux_json_first(modalities); each;
         each = llmux_json_next(modalities, each)) {
        if (!llmux_json_is(each, "text")) {
            llmux_writer_refuse(w, "modalities", "%s answers with text only. "
                                "Leave 'modalities' out.", w->target->name);
        }
    }
    if (chat->web_search.data) {
        llmux_writer_refuse(w, "web_search_options", "%s does not search the "
                            "web. Leave 'web_search_options' out.",
                            w->target->name);
    }
}

static const struct {
    apr_size_t at;
    const char *field;
} left_out[] = {
    { offsetof(llmux_chat_t, logit_bias), "logit_bias" },
    { offsetof(llmux_chat_t, verbosity),  "verbosity" },
    { offsetof(llmux_chat_t, user_id),    "user" },
    { offsetof(llmux_chat_t, cache_key),  "prompt_cache_key" },
    { offsetof(llmux_chat_t, metadata),   "metadata" },
    { offsetof(llmux_chat_t, audio),      "audio" },
    { offsetof(llmux_chat_t, prediction), "prediction" },
    { offsetof(llmux_chat_t, moderation), "moderation" }
};

/* An empty text or object asks for nothing. */
static int asks_nothing(llmux_slice_t value)
{
    return !value.len || llmux_slice_is(value, "{}");
}

void llmux_writer_leave_out(llmux_writer_t *w)
{
    const llmux_chat_t *chat = w->chat;
    const llmux_extra_t *lost;
    apr_size_t i;

    for (i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++) {
        const llmux_slice_t *value
            = (const void *)((const char *)chat + left_out[i].at);

        if (!asks_nothing(*value)) {
            llmux_warn(w->warnings, LLMUX_WARN_DROP, left_out[i].field);
        }
    }
    if (chat->store == LLMUX_YES) {
        llmux_warn(w->warnings, LLMUX_WARN_DROP, "store");
    }
    if (chat->service_tier.len && !llmux_slice_is(chat->service_tier, "auto")
        && !llmux_slice_is(chat->service_tier, "default")) {
        llmux_warn(w->warnings, LLMUX_WARN_DROP, "service_tier");
    }
    if (chat->parallel == LLMUX_NO && llmux_writer_has_tools(w)) {
        llmux_warn(w->warnings, LLMUX_WARN_DROP, "parallel_tool_calls");
    }
    for (lost = chat->lost; lost; lost = lost->next) {
        llmux_warn(w->warnings, LLMUX_WARN_DROP,
                   llmux_slice_str(w->pool, lost->name));
    }
}

/* ---- tools ----------------------------------------------------------- */

int llmux_writer_offers(const llmux_writer_t *w, const llmux_tool_t *tool)
{
    return !w->offered || apr_hash_get(w->offered, tool->name.data,
                                       (apr_ssize_t)tool->name.len);
}

int llmux_writer_is_custom(const llmux_chat_t *chat, llmux_slice_t name)
{
    const llmux_tool_t *tool = chat->tools;

    while (tool && !llmux_slice_equal(tool->name, name)) {
        tool = tool->next;
    }
    return tool && tool->custom;
}

int llmux_writer_has_tools(const llmux_writer_t *w)
{
    return w->chat->tools && w->chat->choice != LLMUX_CHOICE_NONE;
}

/* The client's bytes; what servers insist on is put in front. */
static llmux_slice_t schema_of(llmux_writer_t *w, const llmux_tool_t *tool,
                               int index)
{
    const llmux_json_t *v;

    if (tool->custom) {
        return llmux_slice(CUSTOM_SCHEMA);
    }
    if (llmux_slice_blank(tool->schema)) {
        return llmux_slice(EMPTY_SCHEMA);
    }
    v = llmux_json_parse(w->pool, tool->schema, 1, NULL);
    if (llmux_json_kind(v) != LLMUX_JSON_OBJECT && !w->err) {
        w->err = llmux_error(w->chat->pool, LLMUX_ERR_INVALID,
                             apr_psprintf(w->chat->pool, "tools[%d].function."
                                          "parameters", index),
                             "The parameters of a tool must be a JSON schema: "
                             "an object.");
    }
    if (!llmux_json_count(v)) {
        return llmux_slice(EMPTY_SCHEMA);
    }
    return llmux_json_raw(v);
}

/* A grammar is no more than advice here. */
static llmux_slice_t description_of(llmux_writer_t *w, const llmux_tool_t *t)
{
    if (!t->custom || !t->grammar.data
        || llmux_json_is(llmux_json_get(json(w, t->grammar), "type"),
                         "text")) {
        return t->description;
    }
    return llmux_slice(apr_pstrcat(w->pool,
        llmux_slice_str(w->pool, t->description),
        t->description.len ? "\n\n" : "",
        "The input must have this format: ",
        llmux_slice_str(w->pool, t->grammar), NULL));
}

static void write_tool(llmux_writer_t *w, const llmux_tool_t *t, int index)
{
    llmux_slice_t description = description_of(w, t);

    if (t->custom) {
        llmux_warn(w->warnings, LLMUX_WARN_APPROX, "tools.custom");
    }
    llmux_jw_open(&w->jw, '{');
    llmux_jw_opt_str(&w->jw, "type", llmux_slice("function"));
    llmux_jw_key(&w->jw, "function");
    llmux_jw_open(&w->jw, '{');
    llmux_jw_opt_str(&w->jw, "name", t->name);
    if (description.len) {
        llmux_jw_opt_str(&w->jw, "description", description);
    }
    llmux_jw_opt_raw(&w->jw, "parameters", schema_of(w, t, index));
    llmux_jw_close(&w->jw, '}');
    llmux_jw_close(&w->jw, '}');
}

void llmux_writer_tools(llmux_writer_t *w)
{
    const llmux_tool_t *t;
    int index = 0, n = 0;

    if (!w->chat->tools) {
        return;
    }
    llmux_jw_key(&w->jw, "tools");
    llmux_jw_open(&w->jw, '[');
    for (t = w->chat->tools; t; t = t->next, index++) {
        if (llmux_writer_offers(w, t)) {
            write_tool(w, t, index);
            n++;
        }
    }
    llmux_jw_close(&w->jw, ']');
    if (!n && !w->err) {
        w->err = llmux_error(w->chat->pool, LLMUX_ERR_INVALID, "tool_choice",
                             "'tool_choice' names no tool of 'tools'.");
    }
}

/* ---- reasoning ------------------------------------------------------- */

llmux_effort_e llmux_writer_effort(apr_int64_t tokens)
{
    static const struct { apr_int64_t below; llmux_effort_e effort; } rows[] = {
        { 1,     LLMUX_EFFORT_NONE    },
        { 1536,  LLMUX_EFFORT_MINIMAL },    /* 1024 */
        { 5120,  LLMUX_EFFORT_LOW     },    /* 2048 */
        { 12288, LLMUX_EFFORT_MEDIUM  },    /* 8192 */
        { 24576, LLMUX_EFFORT_HIGH    }     /* 16384 */
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (tokens < rows[i].below) {
            return rows[i].effort;
        }
    }
    return LLMUX_EFFORT_XHIGH;              /* 32768 */
}

/* ---- the format of the answer ---------------------------------------- */

static int wants_json(const llmux_writer_t *w)
{
    return w->chat->format == LLMUX_FORMAT_JSON
           || w->chat->format == LLMUX_FORMAT_SCHEMA;
}

int llmux_writer_native_format(const llmux_writer_t *w)
{
    return wants_json(w) && !llmux_writer_has_tools(w)
           && (w->chat->format == LLMUX_FORMAT_JSON
               || llmux_writer_can(w, LLMUX_CAN_SCHEMA));
}

static int has_json(llmux_slice_t s)
{
    apr_size_t i;

    for (i = 0; i + 4 <= s.len; i++) {
        if (!strncasecmp(s.data + i, "json", 4)) {
            return 1;
        }
    }
    return 0;
}

int llmux_writer_mentions_json(const llmux_chat_t *chat)
{
    const llmux_message_t *m;
    const llmux_block_t *b;

    for (m = chat->messages; m; m = m->next) {
        for (b = m->blocks; b; b = b->next) {
            if (b->kind == LLMUX_BLOCK_TEXT && has_json(b->text)) {
                return 1;
            }
        }
    }
    return 0;
}

const char *llmux_writer_format_hint(llmux_writer_t *w)
{
    const llmux_chat_t *chat = w->chat;
    const char *hint = "Answer with one JSON object and nothing else: no "
                       "other text, no code fence.";

    if (!wants_json(w)) {
        return NULL;
    }
    if (llmux_writer_native_format(w)) {
        return chat->format_schema.data || llmux_writer_mentions_json(chat)
            ? NULL : hint;
    }
    llmux_warn(w->warnings, chat->format == LLMUX_FORMAT_SCHEMA
                                ? LLMUX_WARN_APPROX : LLMUX_WARN_EMULATE,
               "response_format");
    if (!chat->format_schema.data) {
        return hint;
    }
    return apr_pstrcat(w->pool, "Answer with one JSON value that is valid for "
                       "the following JSON schema, and nothing else: no other "
                       "text, no code fence.\n",
                       llmux_slice_str(w->pool, chat->format_schema), NULL);
}

void llmux_writer_stops(llmux_writer_t *w, const char *name, int max)
{
    const apr_array_header_t *stops = w->chat->stop;
    int i, n = 0;

    for (i = 0; stops && i < stops->nelts; i++) {
        llmux_slice_t s = APR_ARRAY_IDX(stops, i, llmux_slice_t);

        if (!s.len || n == max) {
            llmux_warn(w->warnings, LLMUX_WARN_DROP, "stop");
            continue;
        }
        if (!n++) {
            llmux_jw_key(&w->jw, name);
            llmux_jw_open(&w->jw, '[');
        }
        llmux_jw_str(&w->jw, s);
    }
    if (n) {
        llmux_jw_close(&w->jw, ']');
    }
}

/* ---- texts ----------------------------------------------------------- */

const llmux_block_t *llmux_writer_next(const llmux_block_t *b,
                                       unsigned int kinds)
{
    while (b && !(BIT(b->kind) & kinds)) {
        b = b->next;
    }
    return b;
}

/* Text files are told as text: none of these servers reads files. */
static llmux_slice_t file_text(llmux_writer_t *w, const llmux_media_t *media)
{
    llmux_slice_t text = llmux_base64_decode(w->pool, media->base64);
    llmux_buf_t *b = llmux_buf_create(w->pool, LLMUX_JSON_TEXT_MAX);

    llmux_buf_adds(b, "File ");
    llmux_buf_add_slice(b, media->filename);
    llmux_buf_adds(b, ":\n\n");
    llmux_buf_add_slice(b, text);
    return llmux_buf_slice(b);
}

llmux_slice_t llmux_writer_words(llmux_writer_t *w, const llmux_block_t *b)
{
    static const llmux_slice_t none = { NULL, 0 };

    switch (b->kind) {
    case LLMUX_BLOCK_REFUSAL:
        llmux_warn(w->warnings, LLMUX_WARN_APPROX, "refusal");
        /* fall through */
    case LLMUX_BLOCK_TEXT:
        return b->text.data ? b->text : llmux_slice("");
    case LLMUX_BLOCK_MEDIA:
        return b->media->kind == LLMUX_MEDIA_TEXT && b->media->base64.data
                   ? file_text(w, b->media) : none;
    default:
        return none;
    }
}

/* One text after another; most messages have one, which is not copied. */
typedef struct joined_t {
    apr_pool_t *pool;
    llmux_slice_t text;     /* absent: nothing yet */
    llmux_buf_t *buf;       /* of more than one */
} joined_t;

static void join(joined_t *j, llmux_slice_t text, const char *between)
{
    if (!text.data) {
        return;
    }
    if (!j->text.data) {
        j->text = text;
        return;
    }
    if (!j->buf) {
        j->buf = llmux_buf_create(j->pool, LLMUX_JSON_TEXT_MAX);
        llmux_buf_add_slice(j->buf, j->text);
    }
    llmux_buf_adds(j->buf, between);
    llmux_buf_add_slice(j->buf, text);
    j->text = llmux_buf_slice(j->buf);
}

/* Never absent, with this in front. */
static llmux_slice_t prefixed(const char *prefix, joined_t *j)
{
    joined_t all = { .pool = j->pool };

    if (!*prefix) {
        return j->text.data ? j->text : llmux_slice("");
    }
    join(&all, llmux_slice(prefix), "");
    join(&all, j->text, "");
    return all.text;
}

llmux_slice_t llmux_writer_text(llmux_writer_t *w, const llmux_message_t *m)
{
    joined_t j = { .pool = w->pool };
    const llmux_block_t *b;

    for (b = m->blocks; b; b = b->next) {
        join(&j, llmux_writer_words(w, b), "\n");
    }
    return prefixed(llmux_writer_name(w, m), &j);
}

llmux_slice_t llmux_writer_thoughts(llmux_writer_t *w,
                                    const llmux_message_t *m)
{
    joined_t j = { .pool = w->pool };
    const llmux_block_t *b;

    for (b = m->blocks; b; b = b->next) {
        if (b->kind == LLMUX_BLOCK_THINK && b->text.len) {
            join(&j, b->text, "\n");
        }
    }
    return j.text;
}

const char *llmux_writer_name(llmux_writer_t *w, const llmux_message_t *m)
{
    int user = m->role == LLMUX_ROLE_USER;

    if (!m->name.len) {
        return "";
    }
    llmux_warn(w->warnings, user ? LLMUX_WARN_APPROX : LLMUX_WARN_DROP,
               "name");
    return user ? apr_pstrcat(w->pool, llmux_slice_str(w->pool, m->name),
                              ": ", NULL) : "";
}

/* ---- calls and results ----------------------------------------------- */

llmux_slice_t llmux_writer_args(llmux_writer_t *w, const llmux_call_t *call)
{
    const char *name = call->custom ? "input" : "_raw";
    llmux_buf_t *b;

    if (!call->custom) {
        if (llmux_slice_blank(call->args)) {
            return llmux_slice("{}");
        }
        if (llmux_json_is_object(w->pool, call->args)) {
            return call->args;
        }
        llmux_warn(w->warnings, LLMUX_WARN_APPROX,
                   "tool_calls.function.arguments");
    }
    b = llmux_buf_create(w->pool, LLMUX_JSON_TEXT_MAX);
    llmux_buf_addf(b, "{\"%s\":\"", name);
    llmux_json_escape(b, call->args);
    llmux_buf_adds(b, "\"}");
    return llmux_buf_slice(b);
}

/* Results of one id in order, and where they stand. */
typedef struct answer_t {
    struct answer_t *next;
    const llmux_block_t *block;
    const llmux_message_t *message;
} answer_t;

typedef struct answers_t {
    answer_t *first, *last;
} answers_t;

static void note_answer(llmux_writer_t *w, const llmux_message_t *m,
                        const llmux_block_t *b)
{
    llmux_slice_t id = b->result->call_id;
    answers_t *list;
    answer_t *a;

    if (!id.data) {
        return;
    }
    list = apr_hash_get(w->results, id.data, (apr_ssize_t)id.len);
    if (!list) {
        list = apr_pcalloc(w->pool, sizeof(*list));
        apr_hash_set(w->results, id.data, (apr_ssize_t)id.len, list);
    }
    a = apr_pcalloc(w->pool, sizeof(*a));
    a->block = b;
    a->message = m;
    if (list->last) {
        list->last->next = a;
    }
    else {
        list->first = a;
    }
    list->last = a;
}

static void index_results(llmux_writer_t *w)
{
    const llmux_message_t *m;
    const llmux_block_t *b;

    w->results = apr_hash_make(w->pool);
    for (m = w->chat->messages; m; m = m->next) {
        for (b = m->blocks; b; b = b->next) {
            if (b->kind == LLMUX_BLOCK_RESULT) {
                note_answer(w, m, b);
            }
        }
    }
}

static void take(llmux_writer_t *w, const llmux_block_t *b)
{
    const llmux_block_t **key = apr_palloc(w->pool, sizeof(*key));

    *key = b;
    apr_hash_set(w->taken, key, sizeof(*key), b);
}

int llmux_writer_taken(const llmux_writer_t *w, const llmux_block_t *result)
{
    return apr_hash_get(w->taken, &result, sizeof(result)) != NULL;
}

/* Ids may come again in a long history: a result belongs to the last call of
 * its id before it. Calls are asked about in order, so what stands before
 * them is of no use any more. */
const llmux_block_t *llmux_writer_result(llmux_writer_t *w,
                                         const llmux_message_t *m,
                                         const llmux_call_t *call)
{
    answers_t *list;
    answer_t *a;

    if (!w->results) {
        index_results(w);
    }
    list = call->id.data ? apr_hash_get(w->results, call->id.data,
                                        (apr_ssize_t)call->id.len) : NULL;
    while (list && list->first) {
        a = list->first;
        if (a->message->number > m->number) {
            if (llmux_chat_call(w->chat, call->id, a->message) != call) {
                return NULL;
            }
            list->first = a->next;
            take(w, a->block);
            return a->block;
        }
        list->first = a->next;
    }
    return NULL;
}

llmux_slice_t llmux_writer_result_text(llmux_writer_t *w,
                                       const llmux_result_t *result,
                                       apr_array_header_t *media,
                                       const char *instead)
{
    joined_t j = { .pool = w->pool };
    const llmux_block_t *b;
    llmux_slice_t words;

    for (b = result->blocks; b; b = b->next) {
        words = llmux_writer_words(w, b);
        if (!words.data && b->kind == LLMUX_BLOCK_MEDIA) {
            APR_ARRAY_PUSH(media, const llmux_block_t *) = b;
            words = llmux_slice(instead);
        }
        join(&j, words, "\n");
    }
    return prefixed(result->is_error == LLMUX_YES ? "Error: " : "", &j);
}

/* ---- media ----------------------------------------------------------- */

int llmux_writer_image(llmux_writer_t *w, const llmux_media_t *media,
                       const char *param, int links)
{
    static const char *const what[] = {
        [LLMUX_MEDIA_IMAGE] = "a link to an image",
        [LLMUX_MEDIA_AUDIO] = "audio",
        [LLMUX_MEDIA_VIDEO] = "a video",
        [LLMUX_MEDIA_PDF] = "a PDF document",
        [LLMUX_MEDIA_TEXT] = "a link to a document",
        [LLMUX_MEDIA_OTHER] = "a file"
    };

    if (media->kind == LLMUX_MEDIA_IMAGE
        && (media->base64.data || (links && media->url.data))) {
        return 1;
    }
    param = media->param ? media->param : param;
    llmux_writer_refuse(w, param, "'%s' holds %s, which %s does not take.",
                        param ? param : "messages",
                        media->file_id.data ? "a file id in place of the file"
                                            : what[media->kind],
                        w->target->name);
    return 0;
}
