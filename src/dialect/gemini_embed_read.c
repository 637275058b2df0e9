/* gemini_embed_read.c - bodies of embedContent and batchEmbedContents into
 * the canonical request. */

#include <string.h>

#include "embed.h"
#include "gemini_embed.h"
#include "gemini_read.h"

typedef llmux_gemini_row_t row_t;
typedef llmux_gemini_got_t got_t;
typedef llmux_gemini_part_t part_t;

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

typedef struct in_t {
    llmux_gemini_in_t g;        /* first */
    llmux_embed_t *embed;
} in_t;

/* ---- content ---------------------------------------------------------- */

/* Parts of text are one text. */
static void add_text(in_t *in, llmux_input_t *input, llmux_slice_t text)
{
    llmux_slice_t before = input->text;
    char *all;

    if (!before.data) {
        input->text = text;
        return;
    }
    all = apr_palloc(in->g.r.pool, before.len + text.len + 2);
    memcpy(all, before.data, before.len);
    all[before.len] = '\n';
    memcpy(all + before.len + 1, text.data, text.len);
    input->text.data = all;
    input->text.len = before.len + 1 + text.len;
}

static void add_media(in_t *in, llmux_input_t *input, const llmux_at_t *at,
                      const part_t *part)
{
    llmux_message_t list = { 0 };

    if (input->media) {
        llmux_gemini_refuse(&in->g, at, "Only Google's models make one "
                            "vector of several files: send one.");
        return;
    }
    llmux_gemini_read_media(&in->g, at, part, &list);
    input->media = list.blocks ? list.blocks->media : NULL;
}

static void read_part(in_t *in, llmux_input_t *input, const llmux_at_t *at,
                      const llmux_json_t *v)
{
    part_t part;

    llmux_gemini_read_part(&in->g, at, v, &part);
    if (in->g.r.err) {
        return;
    }
    switch (part.kind) {
    case LLMUX_GEMINI_PART_TEXT:
        add_text(in, input, llmux_gemini_text(&in->g, &part.got[part.kind]));
        break;
    case LLMUX_GEMINI_PART_INLINE:
    case LLMUX_GEMINI_PART_FILE:
        add_media(in, input, at, &part);
        break;
    default:
        llmux_reader_fail(&in->g.r, at, "expected 'text', 'inlineData' or "
                          "'fileData'");
    }
}

static const row_t content_rows[] = {
    { "parts", LLMUX_GEMINI_LIST },
    { "role",  LLMUX_GEMINI_STR }
};

static void read_content(in_t *in, llmux_input_t *input,
                         const llmux_at_t *at, const llmux_json_t *v)
{
    got_t got[COUNT(content_rows)];
    llmux_at_t parts, each;
    const llmux_json_t *e;
    int i = 0;

    llmux_gemini_members(&in->g, at, v, "content", content_rows,
                         COUNT(content_rows), got);
    parts = llmux_at(at, got[0].name ? got[0].name : "parts");
    for (e = llmux_gemini_first(got[0].v); e && !in->g.r.err;
         e = llmux_gemini_next(got[0].v, e)) {
        each = llmux_at_index(&parts, i++);
        read_part(in, input, &each, e);
    }
    if (!input->text.len && !input->media) {
        llmux_reader_fail(&in->g.r, &parts, "expected a text that is not "
                          "empty, or a file");
    }
}

/* ---- how it is wanted ------------------------------------------------- */

/* One input's wishes. */
typedef struct wish_t {
    llmux_slice_t dimensions;
    llmux_tri_e truncate;
} wish_t;

enum { TASK, TITLE, DIMENSIONS, TRUNCATE, WISHES };

#define WISH_ROWS \
    [TASK]       = { "taskType", LLMUX_GEMINI_STR }, \
    [TITLE]      = { "title", LLMUX_GEMINI_STR }, \
    [DIMENSIONS] = { "outputDimensionality", LLMUX_GEMINI_NUM }, \
    [TRUNCATE]   = { "autoTruncate", LLMUX_GEMINI_BOOL }

static const row_t wish_rows[] = { WISH_ROWS };

static void read_task(in_t *in, llmux_input_t *input, const llmux_at_t *at,
                      const llmux_json_t *v)
{
    static const char *const words[] = {
        "RETRIEVAL_QUERY", "RETRIEVAL_DOCUMENT", "SEMANTIC_SIMILARITY",
        "CLASSIFICATION", "CLUSTERING", "QUESTION_ANSWERING",
        "FACT_VERIFICATION", "CODE_RETRIEVAL_QUERY", NULL
    };
    int i = llmux_gemini_word(&in->g, at, v, words);

    if (i >= 0) {
        input->task = llmux_slice(words[i]);
    }
}

static void read_wishes(in_t *in, llmux_input_t *input, wish_t *wish,
                        const llmux_at_t *at, const got_t *got)
{
    llmux_at_t here;

    if (got[TASK].v) {
        here = llmux_at(at, got[TASK].name);
        read_task(in, input, &here, got[TASK].v);
    }
    if (got[TITLE].v) {
        input->title = llmux_gemini_text(&in->g, &got[TITLE]);
    }
    if (got[DIMENSIONS].v) {
        here = llmux_at(at, got[DIMENSIONS].name);
        wish->dimensions = llmux_reader_integer(
            &in->g.r, &here,
            llmux_gemini_number(&in->g, &here, got[DIMENSIONS].v), 1,
            LLMUX_VECTOR_MAX);
    }
    if (got[TRUNCATE].v) {
        wish->truncate = llmux_json_bool(got[TRUNCATE].v);
    }
}

/* Newer clients put them one deeper. */
static void read_config(in_t *in, llmux_input_t *input, wish_t *wish,
                        const llmux_at_t *at, const got_t *config)
{
    llmux_at_t here = llmux_at(at, config->name);
    got_t got[WISHES];

    if (config->v) {
        llmux_gemini_members(&in->g, &here, config->v, "embedContentConfig",
                             wish_rows, WISHES, got);
        read_wishes(in, input, wish, &here, got);
    }
}

/* ---- one request ------------------------------------------------------ */

enum { CONTENT = WISHES, CONFIG, MODEL };

static const row_t rows[] = {
    WISH_ROWS,
    [CONTENT] = { "content", LLMUX_GEMINI_OBJ },
    [CONFIG]  = { "embedContentConfig", LLMUX_GEMINI_OBJ },
    [MODEL]   = { "model", LLMUX_GEMINI_ANY },
    /* the gateway's own */
    { "provider",   LLMUX_GEMINI_ANY },
    { "parameters", LLMUX_GEMINI_ANY },
    { "tags",       LLMUX_GEMINI_ANY },
    { "tag",        LLMUX_GEMINI_ANY }
};

/* What is asked of all must be the same: a request to somebody else has one
 * place for it. */
static void agree(in_t *in, const llmux_at_t *at, const wish_t *wish)
{
    llmux_slice_t *one = &in->embed->dimensions;
    int first = in->embed->inputs->nelts == 1;

    if (!first && (one->data || wish->dimensions.data)
        && !llmux_slice_equal(*one, wish->dimensions)) {
        llmux_gemini_refuse(&in->g, at, "Only Google makes vectors of "
                            "different sizes in one request: ask for one "
                            "outputDimensionality in all of them.");
    }
    *one = wish->dimensions;
    if (wish->truncate == LLMUX_NO) {
        in->embed->truncate = 0;
    }
}

/* @param at of the request; NULL for the body itself */
static void read_one(in_t *in, const llmux_at_t *at, const llmux_json_t *v)
{
    llmux_input_t *input = apr_array_push(in->embed->inputs);
    wish_t wish = { { NULL, 0 }, LLMUX_UNSET };
    got_t got[COUNT(rows)];
    llmux_at_t here;

    memset(input, 0, sizeof(*input));
    if (!llmux_reader_expect(&in->g.r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    llmux_gemini_members(&in->g, at, v, "", rows, COUNT(rows), got);
    here = llmux_at(at, got[CONTENT].name ? got[CONTENT].name : "content");
    input->param = llmux_at_text(in->g.r.pool, &here);
    if (llmux_reader_expect(&in->g.r, &here, got[CONTENT].v,
                            LLMUX_JSON_OBJECT)) {
        read_content(in, input, &here, got[CONTENT].v);
    }
    read_wishes(in, input, &wish, at, got);
    read_config(in, input, &wish, at, &got[CONFIG]);
    agree(in, at, &wish);
}

/* ---- bodies ----------------------------------------------------------- */

/* Google cuts what is too long unless it is told not to. */
static in_t begin(llmux_chat_t *chat)
{
    in_t in = { .g = { .r = { chat, chat->pool, NULL } } };

    in.embed = apr_pcalloc(chat->pool, sizeof(*in.embed));
    in.embed->inputs = apr_array_make(chat->pool, 1, sizeof(llmux_input_t));
    in.embed->truncate = 1;
    chat->embed = in.embed;
    return in;
}

const llmux_error_t *llmux_gemini_embed_read(llmux_chat_t *chat,
                                             const llmux_json_t *body)
{
    llmux_at_t root = llmux_at(NULL, NULL);
    in_t in = begin(chat);

    read_one(&in, &root, body);
    return in.g.r.err;
}

static const row_t batch_rows[] = {
    { "requests",   LLMUX_GEMINI_LIST },
    { "model",      LLMUX_GEMINI_ANY },
    /* the gateway's own */
    { "provider",   LLMUX_GEMINI_ANY },
    { "parameters", LLMUX_GEMINI_ANY },
    { "tags",       LLMUX_GEMINI_ANY },
    { "tag",        LLMUX_GEMINI_ANY }
};

static void read_requests(in_t *in, const llmux_at_t *at,
                          const llmux_json_t *list)
{
    const llmux_json_t *e;
    llmux_at_t each;
    int i = 0;

    for (e = llmux_gemini_first(list); e && !in->g.r.err;
         e = llmux_gemini_next(list, e)) {
        if (i == LLMUX_INPUTS_MAX) {
            llmux_reader_fail(&in->g.r, at, "expected at most %d requests",
                              LLMUX_INPUTS_MAX);
            return;
        }
        each = llmux_at_index(at, i++);
        read_one(in, &each, e);
    }
    if (!i) {
        llmux_reader_fail(&in->g.r, at, "expected at least one request");
    }
}

const llmux_error_t *llmux_gemini_batch_embed_read(llmux_chat_t *chat,
                                                   const llmux_json_t *body)
{
    llmux_at_t root = llmux_at(NULL, NULL), at;
    got_t got[COUNT(batch_rows)];
    in_t in = begin(chat);

    if (llmux_reader_expect(&in.g.r, &root, body, LLMUX_JSON_OBJECT)) {
        llmux_gemini_members(&in.g, &root, body, "", batch_rows,
                             COUNT(batch_rows), got);
        at = llmux_at(&root, got[0].name ? got[0].name : "requests");
        read_requests(&in, &at, got[0].v);
    }
    return in.g.r.err;
}
