/* anthropic_read_sources.c - images, documents, and where their bytes are. */

#include <strings.h>

#include <apr_strings.h>

#include "anthropic_read.h"

/* A block that is read. */
typedef struct source_t {
    llmux_reader_t *r;
    llmux_media_t *media;
    const llmux_json_t *v;          /* its "source" */
    llmux_at_t at;
} source_t;

/* ---- types of media -------------------------------------------------- */

static const char *const image_types[] = {
    "image/jpeg", "image/png", "image/gif", "image/webp", NULL
};

static const struct { const char *prefix; llmux_media_e kind; } kinds[] = {
    { "image/",          LLMUX_MEDIA_IMAGE },
    { "application/pdf", LLMUX_MEDIA_PDF },
    { "text/",           LLMUX_MEDIA_TEXT }
};

static llmux_media_e kind_of(llmux_slice_t type)
{
    apr_size_t i;

    for (i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (llmux_slice_starts(type, kinds[i].prefix)) {
            return kinds[i].kind;
        }
    }
    return LLMUX_MEDIA_OTHER;
}

static llmux_slice_t lower(apr_pool_t *p, llmux_slice_t s)
{
    char *copy = apr_pstrmemdup(p, s.data ? s.data : "", s.len);
    apr_size_t i;

    for (i = 0; i < s.len; i++) {
        if (copy[i] >= 'A' && copy[i] <= 'Z') {
            copy[i] = (char) (copy[i] + ('a' - 'A'));
        }
    }
    s.data = copy;
    return s;
}

/* Clients often name the wrong type; the bytes know better. */
static void settle_type(source_t *s, llmux_slice_t said)
{
    const char *seen = llmux_media_sniff(s->media->base64);

    s->media->type = seen ? llmux_slice(seen) : lower(s->r->pool, said);
    if (llmux_slice_is(s->media->type, "image/jpg")) {
        s->media->type = llmux_slice(image_types[0]);
    }
}

/* ---- the bytes themselves -------------------------------------------- */

static void from_base64(source_t *s)
{
    const llmux_json_t *type = llmux_reader_need(
        s->r, &s->at, s->v, "media_type", LLMUX_JSON_STRING);
    llmux_slice_t text = llmux_reader_need_str(s->r, &s->at, s->v, "data");
    llmux_at_t here = llmux_at(&s->at, "data");

    s->media->base64 = llmux_reader_base64(s->r, text);
    if (text.len && !s->media->base64.len) {
        llmux_reader_fail(s->r, &here, "expected base64 data, found "
                          "something else");
    }
    settle_type(s, llmux_json_str(s->r->pool, type));
}

/* ---- the other sources ----------------------------------------------- */

/* The API takes no data URL, but clients that come from other APIs have
 * them, and they say all that there is to know. */
static void from_url(source_t *s)
{
    llmux_slice_t url = llmux_reader_need_str(s->r, &s->at, s->v, "url");
    llmux_at_t here = llmux_at(&s->at, "url");
    llmux_data_url_t data;

    if (llmux_reader_is_url(url, "https://") || llmux_reader_is_url(url, "http://")) {
        s->media->url = url;
    }
    else if (llmux_data_url(s->r->pool, url, &data) && data.base64.len) {
        s->media->base64 = data.base64;
        settle_type(s, data.type);
    }
    else {
        llmux_reader_fail(s->r, &here, "expected an https URL");
    }
}

static void from_file(source_t *s)
{
    s->media->file_id = llmux_reader_need_str(s->r, &s->at, s->v, "file_id");
}

static void from_text(source_t *s)
{
    llmux_slice_t text = llmux_reader_need_str(s->r, &s->at, s->v, "data");

    s->media->type = llmux_slice("text/plain");
    s->media->base64 = llmux_base64_encode(s->r->pool, text);
}

typedef void (*from_fn)(source_t *s);

static const char *const image_sources[] = { "base64", "url", "file", NULL };
static const char *const document_sources[] =
    { "base64", "url", "file", "text", "content", NULL };
static const from_fn froms[] = { from_base64, from_url, from_file, from_text };

/* Which of the words the source's type is; -1 is an error. */
static int open_source(source_t *s, llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *block, const char *const *words)
{
    llmux_at_t type;

    s->r = r;
    s->at = llmux_at(at, "source");
    s->v = llmux_reader_need(r, at, block, "source", LLMUX_JSON_OBJECT);
    type = llmux_at(&s->at, "type");
    return s->v ? llmux_reader_word(r, &type, llmux_json_get(s->v, "type"),
                                    words)
                : -1;
}

static void add_media(source_t *s, const llmux_at_t *at, llmux_message_t *m,
                      llmux_media_e kind)
{
    llmux_block_t *b = llmux_message_block(s->r->chat, m, LLMUX_BLOCK_MEDIA);

    b->media = s->media = apr_pcalloc(s->r->pool, sizeof(*b->media));
    s->media->kind = kind;
    s->media->param = llmux_at_text(s->r->pool, at);
}

/* ---- images ---------------------------------------------------------- */

static void check_image(source_t *s)
{
    llmux_at_t here = llmux_at(&s->at, "media_type");
    int i;

    for (i = 0; image_types[i]; i++) {
        if (llmux_slice_is(s->media->type, image_types[i])) {
            return;
        }
    }
    llmux_reader_fail(s->r, &here, "expected 'image/jpeg', 'image/png', "
                      "'image/gif' or 'image/webp'");
}

void llmux_anthropic_read_image(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *v,
                                llmux_anthropic_of_e of, llmux_message_t *m)
{
    source_t s;
    int i = open_source(&s, r, at, v, image_sources);

    if (i < 0) {
        return;
    }
    add_media(&s, at, m, LLMUX_MEDIA_IMAGE);
    froms[i](&s);
    if (s.media->base64.data) {
        check_image(&s);
    }
}

/* ---- documents ------------------------------------------------------- */

/* The newer API has done away with the model's documents. */
static void check_place(llmux_reader_t *r, const llmux_at_t *at,
                        llmux_anthropic_of_e of)
{
    if (of == LLMUX_ANTHROPIC_OF_ASSISTANT
        && llmux_anthropic_read_strict(r)) {
        llmux_reader_fail(r, at, "expected no document in an assistant's "
                          "message, since API version "
                          LLMUX_ANTHROPIC_VERSION_STRICT " takes none");
    }
}

static void say(source_t *s, llmux_message_t *m, llmux_slice_t text)
{
    if (text.len) {
        llmux_message_block(s->r->chat, m, LLMUX_BLOCK_TEXT)->text = text;
    }
}

/* A document made of blocks becomes these blocks. */
static void read_made(source_t *s, llmux_message_t *m, llmux_slice_t title)
{
    llmux_at_t here = llmux_at(&s->at, "content");

    say(s, m, title);
    llmux_anthropic_read_content(s->r, &here,
                                 llmux_json_get_any(s->v, "content"),
                                 LLMUX_ANTHROPIC_OF_DOCUMENT, m);
}

static void note_citations(llmux_reader_t *r, const llmux_json_t *v)
{
    const llmux_json_t *citations = llmux_json_get(v, "citations");

    if (llmux_json_bool(llmux_json_get(citations, "enabled")) == LLMUX_YES) {
        llmux_anthropic_read_lost(r, llmux_slice("messages.content."
                                                 "citations"), citations);
    }
}

void llmux_anthropic_read_document(llmux_reader_t *r, const llmux_at_t *at,
                                   const llmux_json_t *v,
                                   llmux_anthropic_of_e of,
                                   llmux_message_t *m)
{
    source_t s;
    int i = open_source(&s, r, at, v, document_sources);
    llmux_slice_t title = llmux_reader_str(r, at, v, "title");

    if (i < 0) {
        return;
    }
    check_place(r, at, of);
    note_citations(r, v);
    say(&s, m, llmux_reader_str(r, at, v, "context"));
    if (i == 4) {
        read_made(&s, m, title);
        return;
    }
    add_media(&s, at, m, i == 1 ? LLMUX_MEDIA_PDF : LLMUX_MEDIA_OTHER);
    s.media->filename = title;
    froms[i](&s);
    if (s.media->base64.data) {
        s.media->kind = kind_of(s.media->type);
    }
}
