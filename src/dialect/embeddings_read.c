/* embeddings_read.c - a body of OpenAI's embeddings into the canonical
 * request. */

#include <string.h>

#include "embed.h"
#include "embeddings.h"
#include "reader.h"

typedef struct in_t {
    llmux_reader_t r;
    llmux_embed_t *embed;
    int tokens;                 /* numbers so far, in all arrays */
} in_t;

/* ---- inputs ----------------------------------------------------------- */

static llmux_input_t *add(in_t *in, const llmux_at_t *at)
{
    llmux_input_t *input = apr_array_push(in->embed->inputs);

    memset(input, 0, sizeof(*input));
    input->param = llmux_at_text(in->r.pool, at);
    return input;
}

static void read_text(in_t *in, const llmux_at_t *at, const llmux_json_t *v)
{
    llmux_slice_t text = llmux_json_str(in->r.pool, v);

    if (!text.len) {
        llmux_reader_fail(&in->r, at, "expected a string that is not empty");
    }
    add(in, at)->text = text;
}

/* Numbers that stand for words, all of them looked at. */
static void read_tokens(in_t *in, const llmux_at_t *at, const llmux_json_t *v)
{
    const llmux_json_t *e;
    llmux_at_t each;
    int i = 0;

    in->tokens += llmux_json_count(v);
    if (!llmux_json_count(v)) {
        llmux_reader_fail(&in->r, at, "expected at least one token, found an "
                          "empty array");
    }
    if (in->tokens > LLMUX_INPUT_TOKENS_MAX) {
        llmux_reader_fail(&in->r, at, "expected at most %d tokens in all",
                          LLMUX_INPUT_TOKENS_MAX);
    }
    for (e = llmux_json_first(v); e && !in->r.err;
         e = llmux_json_next(v, e)) {
        each = llmux_at_index(at, i++);
        llmux_reader_integer(&in->r, &each, e, 0, APR_INT32_MAX);
    }
    add(in, at)->tokens = llmux_json_raw(v);
}

/* One of several: all are texts, or all are arrays of tokens. */
static void read_element(in_t *in, const llmux_at_t *at,
                         const llmux_json_t *v, llmux_json_e kind)
{
    if (llmux_json_kind(v) != kind) {
        llmux_reader_fail(&in->r, at, kind == LLMUX_JSON_ARRAY
                          ? "expected an array of tokens, found %s"
                          : "expected a string, found %s",
                          llmux_json_kind_name(v));
    }
    else if (kind == LLMUX_JSON_ARRAY) {
        read_tokens(in, at, v);
    }
    else {
        read_text(in, at, v);
    }
}

static void read_list(in_t *in, const llmux_at_t *at, const llmux_json_t *v)
{
    llmux_json_e kind = llmux_json_kind(llmux_json_first(v));
    const llmux_json_t *e;
    llmux_at_t each;
    int i = 0;

    if (llmux_json_count(v) > LLMUX_INPUTS_MAX) {
        llmux_reader_fail(&in->r, at, "expected at most %d inputs, found %d",
                          LLMUX_INPUTS_MAX, llmux_json_count(v));
    }
    kind = kind == LLMUX_JSON_ARRAY ? kind : LLMUX_JSON_STRING;
    for (e = llmux_json_first(v); e && !in->r.err;
         e = llmux_json_next(v, e)) {
        each = llmux_at_index(at, i++);
        read_element(in, &each, e, kind);
    }
}

static void read_input(in_t *in, const llmux_at_t *at, const llmux_json_t *v)
{
    llmux_json_e first = llmux_json_kind(llmux_json_first(v));

    if (llmux_json_kind(v) == LLMUX_JSON_STRING) {
        read_text(in, at, v);
    }
    else if (llmux_json_kind(v) != LLMUX_JSON_ARRAY) {
        llmux_reader_fail(&in->r, at, "expected a string or an array, found "
                          "%s", llmux_json_kind_name(v));
    }
    else if (first == LLMUX_JSON_NONE) {
        llmux_reader_fail(&in->r, at, "expected at least one input, found an "
                          "empty array");
    }
    else if (first == LLMUX_JSON_NUMBER) {
        read_tokens(in, at, v);
    }
    else {
        read_list(in, at, v);
    }
}

/* ---- how they are wanted ---------------------------------------------- */

static void read_dimensions(in_t *in, const llmux_at_t *at,
                            const llmux_json_t *v)
{
    in->embed->dimensions = llmux_reader_integer(&in->r, at, v, 1,
                                                 LLMUX_VECTOR_MAX);
}

static void read_encoding(in_t *in, const llmux_at_t *at,
                          const llmux_json_t *v)
{
    static const char *const formats[] = { "float", "base64", NULL };

    in->embed->base64 = llmux_reader_word(&in->r, at, v, formats) == 1;
}

static void read_user(in_t *in, const llmux_at_t *at, const llmux_json_t *v)
{
    if (llmux_reader_expect(&in->r, at, v, LLMUX_JSON_STRING)) {
        in->r.chat->user_id = llmux_json_str(in->r.pool, v);
    }
}

static void read_model(in_t *in, const llmux_at_t *at, const llmux_json_t *v)
{
    if (llmux_reader_expect(&in->r, at, v, LLMUX_JSON_STRING)) {
        in->r.chat->model = llmux_json_str(in->r.pool, v);
    }
}

/* ---- the table -------------------------------------------------------- */

typedef void (*read_fn)(in_t *in, const llmux_at_t *at,
                        const llmux_json_t *v);

static const struct { const char *name; read_fn read; } fields[] = {
    { "model",           read_model },
    { "input",           read_input },
    { "encoding_format", read_encoding },
    { "dimensions",      read_dimensions },
    { "user",            read_user },
    /* the gateway's own */
    { "provider",        NULL },
    { "parameters",      NULL },
    { "tags",            NULL },
    { "tag",             NULL }
};

#define FIELDS ((int)(sizeof(fields) / sizeof(fields[0])))

/* @return its row, -1 for none; an object named provider is OpenRouter's */
static int row_of(const llmux_json_t *name)
{
    int i;

    for (i = 0; i < FIELDS; i++) {
        if (llmux_json_is(name, fields[i].name)) {
            return llmux_json_is(name, "provider")
                && llmux_json_kind(llmux_json_value(name)) == LLMUX_JSON_OBJECT
                ? -1 : i;
        }
    }
    return -1;
}

static llmux_extra_t *add_extra(in_t *in, llmux_extra_t *last,
                                const llmux_json_t *name)
{
    llmux_extra_t *e = apr_pcalloc(in->r.pool, sizeof(*e));

    e->name = llmux_json_str(in->r.pool, name);
    e->json = llmux_json_raw(llmux_json_value(name));
    if (last) {
        last->next = e;
    }
    else {
        in->r.chat->extra = e;
    }
    return e;
}

static void read_members(in_t *in, const llmux_at_t *root,
                         const llmux_json_t *body)
{
    llmux_extra_t *last = NULL;
    const llmux_json_t *m, *v;
    llmux_at_t at;
    int i;

    for (m = llmux_json_first(body); m && !in->r.err;
         m = llmux_json_next_member(body, m)) {
        v = llmux_json_value(m);
        i = row_of(m);
        if (llmux_json_kind(v) == LLMUX_JSON_NULL) {
            continue;
        }
        if (i < 0) {
            last = add_extra(in, last, m);
        }
        else if (fields[i].read) {
            at = llmux_at(root, fields[i].name);
            fields[i].read(in, &at, v);
        }
    }
}

const llmux_error_t *llmux_embeddings_read(llmux_chat_t *chat,
                                           const llmux_json_t *body)
{
    in_t in = { .r = { chat, chat->pool, NULL } };
    llmux_at_t root = llmux_at(NULL, NULL), at = llmux_at(&root, "input");

    in.embed = apr_pcalloc(chat->pool, sizeof(*in.embed));
    in.embed->inputs = apr_array_make(chat->pool, 1, sizeof(llmux_input_t));
    if (!llmux_reader_expect(&in.r, &root, body, LLMUX_JSON_OBJECT)) {
        return in.r.err;
    }
    if (llmux_json_count(body) > LLMUX_MEMBERS_MAX) {
        llmux_reader_fail(&in.r, &root, "expected at most %d members, found "
                          "%d", LLMUX_MEMBERS_MAX, llmux_json_count(body));
    }
    read_members(&in, &root, body);
    if (!in.embed->inputs->nelts) {
        llmux_reader_fail(&in.r, &at, "expected a string or an array, found "
                          "%s", llmux_json_kind_name(
                              llmux_json_get_any(body, "input")));
    }
    llmux_embed_read_extra(chat, in.embed);
    chat->embed = in.embed;
    return in.r.err;
}
