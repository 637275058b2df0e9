/* chat.c - a request's tokens: its texts, and what stands around them. */

#include "bpe.h"
#include "family.h"

enum {
    MESSAGE = 3,                /* marks around a message */
    ROLE = 1,                   /* each role is one token */
    NAME = 1,                   /* beside the name itself */
    CALL = 7,                   /* whom it goes to, in what form */
    FORMAT = 4                  /* around the schema of an answer */
};

typedef struct sum_t {
    llmux_counter_t texts;
    const llmux_family_t *family;
} sum_t;

static void add(sum_t *s, apr_int64_t tokens)
{
    s->texts.sum.count += tokens;
}

/* Something that is not known to count so. */
static void add_about(sum_t *s, apr_int64_t tokens)
{
    add(s, tokens);
    s->texts.sum.exact = 0;
}

static void add_text(sum_t *s, llmux_slice_t text)
{
    llmux_counter_add(&s->texts, text);
}

static void add_text_about(sum_t *s, llmux_slice_t text)
{
    add_text(s, text);
    s->texts.sum.exact = 0;
}

/* ---- media ------------------------------------------------------------- */

/* What nobody can know without opening it: by its size, not less than the
 * smallest, or flat where it is not here. A page of a PDF has some 50 kB and
 * 1500 tokens; a second of sound 16 kB and 32, of a film 128 kB and 263. */
static const struct { int flat, least, bytes_per_token; } media_weights[] = {
    [LLMUX_MEDIA_AUDIO] = { 1000,  1,    500 },
    [LLMUX_MEDIA_VIDEO] = { 10000, 1,    500 },
    [LLMUX_MEDIA_PDF]   = { 5000,  1000, 33  },
    [LLMUX_MEDIA_TEXT]  = { 1000,  1,    4   },
    [LLMUX_MEDIA_OTHER] = { 1000,  1,    33  }
};

static apr_int64_t media_tokens(const llmux_media_t *media)
{
    apr_int64_t n = (apr_int64_t)(media->base64.len / 4 * 3)
                    / media_weights[media->kind].bytes_per_token;

    if (!media->base64.data) {
        return media_weights[media->kind].flat;
    }
    return n > media_weights[media->kind].least
        ? n : media_weights[media->kind].least;
}

static void add_media(sum_t *s, const llmux_media_t *media)
{
    llmux_tokens_t image;

    if (media->kind == LLMUX_MEDIA_IMAGE) {
        image = llmux_image_tokens(s->family, media, s->texts.pool);
        add(s, image.count);
        s->texts.sum.exact &= image.exact;
        return;
    }
    add_text_about(s, media->filename);
    add(s, media_tokens(media));
}

/* ---- messages ---------------------------------------------------------- */

static void add_block(sum_t *s, const llmux_block_t *b);

static void add_result(sum_t *s, const llmux_result_t *result)
{
    const llmux_block_t *b;

    add_about(s, MESSAGE + ROLE);
    for (b = result->blocks; b; b = b->next) {
        add_block(s, b);
    }
}

static void add_block(sum_t *s, const llmux_block_t *b)
{
    switch (b->kind) {
    case LLMUX_BLOCK_TEXT:
        add_text(s, b->text);
        break;
    case LLMUX_BLOCK_MEDIA:
        add_media(s, b->media);
        break;
    case LLMUX_BLOCK_CALL:
        add_about(s, CALL);
        add_text(s, b->call->name);
        add_text(s, b->call->args);
        break;
    case LLMUX_BLOCK_RESULT:
        add_result(s, b->result);
        break;
    case LLMUX_BLOCK_THINK:
        add_about(s, 0);        /* of earlier turns it is taken out */
        break;
    default:
        add_text_about(s, b->text);
        break;
    }
}

/* Results are messages of their own; all else of it is one. */
static int is_message(const llmux_message_t *m)
{
    const llmux_block_t *b = m->blocks;

    while (b && b->kind == LLMUX_BLOCK_RESULT) {
        b = b->next;
    }
    return b || !m->blocks;
}

static void add_message(sum_t *s, const llmux_message_t *m)
{
    const llmux_block_t *b;

    if (is_message(m)) {
        add(s, MESSAGE + ROLE);
    }
    if (m->role == LLMUX_ROLE_ASSISTANT) {
        add(s, s->family->answer);
    }
    if (m->name.len) {
        add(s, NAME);
        add_text(s, m->name);
    }
    if ((m->name.len && s->family->answer) || m->phase.len) {
        s->texts.sum.exact = 0;
    }
    for (b = m->blocks; b; b = b->next) {
        add_block(s, b);
    }
}

/* ---- what else a chat has ---------------------------------------------- */

static void add_tools(sum_t *s, const llmux_chat_t *chat)
{
    llmux_buf_t *text;

    if (!chat->tools) {
        return;
    }
    text = llmux_buf_create(s->texts.pool, LLMUX_TOKENS_TEXT_MAX);
    llmux_tools_text(text, chat->tools, s->texts.pool);
    add_about(s, s->family->tools);
    add_text(s, llmux_buf_slice(text));
}

static void add_format(sum_t *s, const llmux_chat_t *chat)
{
    if (chat->format == LLMUX_FORMAT_SCHEMA) {
        add_about(s, FORMAT);
        add_text(s, chat->format_name);
        add_text(s, chat->format_description);
        add_text(s, chat->format_schema);
    }
    if (chat->prediction.data || chat->web_search.data) {
        add_text_about(s, chat->prediction);
    }
}

static void add_chat(sum_t *s, const llmux_chat_t *chat)
{
    const llmux_message_t *m;

    add(s, s->family->start);
    s->texts.sum.exact &= s->family->exact;
    for (m = chat->messages; m; m = m->next) {
        add_message(s, m);
    }
    add_tools(s, chat);
    add_format(s, chat);
}

/* ---- prompts and inputs: texts alone ----------------------------------- */

/* Numbers are tokens already. */
static void add_numbers(sum_t *s, llmux_slice_t array)
{
    apr_pool_t *p;

    apr_pool_create(&p, s->texts.pool);
    add(s, llmux_json_count(llmux_json_parse(p, array, 1, NULL)));
    apr_pool_destroy(p);
}

static void add_prompt(sum_t *s, const llmux_chat_t *chat)
{
    const llmux_message_t *m;
    const llmux_block_t *b;

    if (chat->prompt->tokens.data) {
        add_numbers(s, chat->prompt->tokens);
        return;
    }
    for (m = chat->messages; m; m = m->next) {
        for (b = m->blocks; b; b = b->next) {
            add_block(s, b);
        }
    }
    if (chat->prompt->suffix.len) {
        add_text_about(s, chat->prompt->suffix);
    }
}

static void add_inputs(sum_t *s, const apr_array_header_t *inputs)
{
    int i;

    for (i = 0; i < inputs->nelts; i++) {
        const llmux_input_t *input = &APR_ARRAY_IDX(inputs, i, llmux_input_t);

        if (input->tokens.data) {
            add_numbers(s, input->tokens);
        }
        else if (input->media) {
            add_media(s, input->media);
        }
        add_text(s, input->text);
        add_text(s, input->title);
    }
}

llmux_tokens_t llmux_tokens_of_chat(const llmux_bpe_t *bpe,
                                    const llmux_chat_t *chat,
                                    llmux_slice_t model)
{
    apr_pool_t *scratch;
    sum_t s;

    apr_pool_create(&scratch, chat->pool);
    s.family = llmux_family_of(model);
    llmux_counter_init(&s.texts, bpe, scratch, s.family->encoding);
    for (; chat; chat = chat->next) {
        if (chat->embed) {
            add_inputs(&s, chat->embed->inputs);
        }
        else if (chat->prompt) {
            add_prompt(&s, chat);
        }
        else {
            add_chat(&s, chat);
        }
    }
    apr_pool_destroy(scratch);
    return s.texts.sum;
}
