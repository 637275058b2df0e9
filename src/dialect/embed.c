/* embed.c - what is to be embedded: the inputs, what they are for, and how
 * many a request may have. */

#include <string.h>

#include <apr_strings.h>

#include "embed.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* ---- how many --------------------------------------------------------- */

/* The first row that fits counts; what is not here takes as many as anybody
 * may ask for. */
static const struct {
    const llmux_dialect_t *dialect;
    const char *in_name;            /* of the model; NULL: any */
    int most;
} limits[] = {
    { &llmux_dialect_gemini_embed,       NULL,               1   },
    { &llmux_dialect_gemini_batch_embed, NULL,               100 },
    { &llmux_dialect_vertex_embed,       "gemini-embedding", 1   },
    { &llmux_dialect_vertex_embed,       NULL,               250 },
    { &llmux_dialect_cohere_embed,       NULL,               96  },
    { &llmux_dialect_bedrock_embed,      "cohere.embed",     96  },
    { &llmux_dialect_bedrock_embed,      NULL,               1   }
};

static int has(llmux_slice_t name, const char *part)
{
    return name.data && memmem(name.data, name.len, part, strlen(part));
}

int llmux_embed_most(const llmux_dialect_t *dialect, llmux_slice_t model)
{
    apr_size_t i;

    for (i = 0; i < COUNT(limits); i++) {
        if (limits[i].dialect == dialect
            && (!limits[i].in_name || has(model, limits[i].in_name))) {
            return limits[i].most;
        }
    }
    return LLMUX_INPUTS_MAX;
}

/* The same request for `n` of the inputs, from `from` on. */
static llmux_chat_t *part_of(apr_pool_t *p, const llmux_chat_t *chat,
                             int from, int n)
{
    llmux_chat_t *part = apr_pmemdup(p, chat, sizeof(*part));
    llmux_embed_t *embed = apr_pmemdup(p, chat->embed, sizeof(*embed));
    int i;

    embed->inputs = apr_array_make(p, n, sizeof(llmux_input_t));
    for (i = from; i < from + n; i++) {
        APR_ARRAY_PUSH(embed->inputs, llmux_input_t) =
            APR_ARRAY_IDX(chat->embed->inputs, i, llmux_input_t);
    }
    part->embed = embed;
    part->next = NULL;
    return part;
}

llmux_chat_t *llmux_embed_split(apr_pool_t *p, llmux_chat_t *chat,
                                int per_request)
{
    int all = chat->embed ? chat->embed->inputs->nelts : 0, from, n;
    llmux_chat_t *first = NULL, **last = &first;

    if (per_request <= 0 || all <= per_request) {
        return chat;
    }
    for (from = 0; from < all; from += n) {
        n = all - from < per_request ? all - from : per_request;
        *last = part_of(p, chat, from, n);
        last = &(*last)->next;
    }
    *last = chat->next;
    return first;
}

/* ---- inputs ----------------------------------------------------------- */

const llmux_input_t *llmux_embed_input(const llmux_chat_t *chat, int i)
{
    const apr_array_header_t *all = chat->embed ? chat->embed->inputs : NULL;

    return all && i < all->nelts ? &APR_ARRAY_IDX(all, i, llmux_input_t)
                                 : NULL;
}

const llmux_input_t *llmux_embed_first(const llmux_chat_t *chat)
{
    return llmux_embed_input(chat, 0);
}

const llmux_input_t *llmux_embed_next(const llmux_chat_t *chat,
                                      const llmux_input_t *in)
{
    const llmux_input_t *first = llmux_embed_input(chat, 0);

    return llmux_embed_input(chat, (int)(in - first) + 1);
}

void llmux_embed_refuse_tokens(llmux_writer_t *w, const llmux_input_t *in)
{
    if (in->tokens.data && !w->err) {
        w->err = llmux_error(w->chat->pool, LLMUX_ERR_INVALID, in->param,
                             "%s has other tokens than OpenAI: send '%s' as "
                             "text.", w->target->name, in->param);
    }
}

llmux_slice_t llmux_embed_text(llmux_writer_t *w, const llmux_input_t *in)
{
    llmux_embed_refuse_tokens(w, in);
    if (in->media) {
        llmux_writer_refuse(w, in->media->param ? in->media->param
                                                : in->param,
                            "%s makes vectors of text only.",
                            w->target->name);
    }
    return in->text.data ? in->text : llmux_slice("");
}

void llmux_embed_texts(llmux_writer_t *w)
{
    const llmux_input_t *in;

    llmux_jw_open(&w->jw, '[');
    for (in = llmux_embed_first(w->chat); in;
         in = llmux_embed_next(w->chat, in)) {
        llmux_jw_str(&w->jw, llmux_embed_text(w, in));
    }
    llmux_jw_close(&w->jw, ']');
}

/* ---- tasks ------------------------------------------------------------ */

/* What inputs are for, as Google says it, as Cohere says it, and in words
 * for models that know no other way. */
static const struct {
    const char *google, *cohere;
    int near;                       /* Cohere's is not quite the same */
    const char *words;
} tasks[] = {
    { "RETRIEVAL_DOCUMENT", "search_document", 0, NULL },
    { "RETRIEVAL_QUERY", "search_query", 0, "search result" },
    { "CLASSIFICATION", "classification", 0, "classification" },
    { "CLUSTERING", "clustering", 0, "clustering" },
    { "SEMANTIC_SIMILARITY", "clustering", 1, "sentence similarity" },
    { "QUESTION_ANSWERING", "search_query", 1, "question answering" },
    { "FACT_VERIFICATION", "search_query", 1, "fact checking" },
    { "CODE_RETRIEVAL_QUERY", "search_query", 1, "code retrieval" }
};

/* As others say the first two. */
static const struct { const char *word, *google; } words[] = {
    { "query",    "RETRIEVAL_QUERY"    },
    { "document", "RETRIEVAL_DOCUMENT" },
    { "passage",  "RETRIEVAL_DOCUMENT" }
};

/* @return its row, -1 for none */
static int row_of(llmux_slice_t google)
{
    apr_size_t i;

    for (i = 0; i < COUNT(tasks); i++) {
        if (llmux_slice_is_nocase(google, tasks[i].google)) {
            return (int)i;
        }
    }
    return -1;
}

/* A task in Google's words, from anybody's; NULL if unknown. */
static const char *task_of(llmux_slice_t word)
{
    apr_size_t i;

    for (i = 0; i < COUNT(words); i++) {
        if (llmux_slice_is(word, words[i].word)) {
            return words[i].google;
        }
    }
    for (i = 0; i < COUNT(tasks); i++) {
        if (llmux_slice_is_nocase(word, tasks[i].google)
            || (llmux_slice_is(word, tasks[i].cohere) && !tasks[i].near)) {
            return tasks[i].google;
        }
    }
    return NULL;
}

const char *llmux_embed_cohere_task(llmux_writer_t *w)
{
    const llmux_input_t *in;
    const char *first = NULL, *task;
    int row;

    for (in = llmux_embed_first(w->chat); in;
         in = llmux_embed_next(w->chat, in)) {
        row = row_of(in->task);
        task = row < 0 ? tasks[0].cohere : tasks[row].cohere;
        if (row >= 0 && tasks[row].near) {
            llmux_warn(w->warnings, LLMUX_WARN_APPROX, "taskType");
        }
        first = first ? first : task;
        if (strcmp(task, first)) {
            llmux_writer_refuse(w, in->param, "%s takes inputs of one kind "
                                "in a request. Send those of another "
                                "taskType in a request of their own.",
                                w->target->name);
        }
    }
    return first;
}

/* The text behind this. */
static llmux_slice_t prefixed(apr_pool_t *p, const char *prefix,
                              llmux_slice_t text)
{
    apr_size_t n = strlen(prefix);
    char *all = apr_palloc(p, n + text.len + 1);

    memcpy(all, prefix, n);
    if (text.len) {
        memcpy(all + n, text.data, text.len);
    }
    text.data = all;
    text.len += n;
    return text;
}

llmux_slice_t llmux_embed_prompt(llmux_writer_t *w, const llmux_input_t *in)
{
    int row = row_of(in->task);
    const char *title = in->title.len ? llmux_slice_str(w->pool, in->title)
                                      : "none";

    if (row < 0 || !in->text.len) {
        return in->text;
    }
    llmux_warn(w->warnings, LLMUX_WARN_EMULATE, "taskType");
    return prefixed(w->pool, tasks[row].words
        ? apr_pstrcat(w->pool, "task: ", tasks[row].words, " | query: ", NULL)
        : apr_pstrcat(w->pool, "title: ", title, " | text: ", NULL),
        in->text);
}

/* ---- what clients say beside ------------------------------------------ */

/* A string's characters, if there are no escapes in it. */
static llmux_slice_t word_in(llmux_slice_t json)
{
    static const llmux_slice_t none = { NULL, 0 };

    if (json.len < 2 || json.data[0] != '"'
        || memchr(json.data, '\\', json.len)) {
        return none;
    }
    json.data++;
    json.len -= 2;
    return json;
}

static const char *task_in(const llmux_extra_t *e)
{
    return llmux_slice_is(e->name, "input_type") ? task_of(word_in(e->json))
                                                 : NULL;
}

/* 1: may be cut, 0: must not, -1: that is not what it says. */
static int truncate_in(const llmux_extra_t *e)
{
    if (!llmux_slice_is(e->name, "truncate")
        && !llmux_slice_is(e->name, "truncation")) {
        return -1;
    }
    if (llmux_slice_is(e->json, "true")
        || llmux_slice_is(e->json, "\"END\"")) {
        return 1;
    }
    return llmux_slice_is(e->json, "false")
        || llmux_slice_is(e->json, "\"NONE\"") ? 0 : -1;
}

void llmux_embed_read_extra(llmux_chat_t *chat, llmux_embed_t *embed)
{
    const llmux_extra_t *e;
    const char *task;
    int i;

    for (e = chat->extra; e; e = e->next) {
        task = task_in(e);
        for (i = 0; task && i < embed->inputs->nelts; i++) {
            APR_ARRAY_IDX(embed->inputs, i, llmux_input_t).task =
                llmux_slice(task);
        }
        embed->truncate = truncate_in(e) >= 0 ? truncate_in(e)
                                              : embed->truncate;
    }
}

static void drop(llmux_writer_t *w, const char *field)
{
    llmux_warn(w->warnings, LLMUX_WARN_DROP, field);
}

int llmux_embed_is_option(const llmux_extra_t *e)
{
    return llmux_slice_is(e->name, "keep_alive")
        || llmux_slice_is(e->name, "options");
}

static int is_said(const llmux_extra_t *e, unsigned int can)
{
    return can & LLMUX_EMBED_OURS || truncate_in(e) >= 0
        || (can & LLMUX_EMBED_TASK && task_in(e))
        || (can & LLMUX_EMBED_OPTIONS && llmux_embed_is_option(e));
}

/* @return whether one of them says the task */
static int leave_out_extra(llmux_writer_t *w, unsigned int can)
{
    const llmux_extra_t *e;
    int tasked = 0;

    for (e = w->chat->extra; e; e = e->next) {
        tasked |= task_in(e) != NULL;
        if (!is_said(e, can)) {
            drop(w, llmux_slice_str(w->pool, e->name));
        }
    }
    return tasked;
}

void llmux_embed_leave_out(llmux_writer_t *w, unsigned int can)
{
    int tasked = leave_out_extra(w, can);
    const llmux_input_t *in;
    const llmux_extra_t *lost;

    for (in = llmux_embed_first(w->chat); in;
         in = llmux_embed_next(w->chat, in)) {
        if (in->task.len && !tasked && !(can & LLMUX_EMBED_TASK)) {
            drop(w, "taskType");
        }
        if (in->title.len && !(can & LLMUX_EMBED_TITLE)) {
            drop(w, "title");
        }
    }
    if (w->chat->user_id.len && !(can & LLMUX_EMBED_OURS)) {
        drop(w, "user");
    }
    for (lost = w->chat->lost; lost; lost = lost->next) {
        drop(w, llmux_slice_str(w->pool, lost->name));
    }
}
