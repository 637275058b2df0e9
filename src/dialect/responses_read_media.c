/* responses_read_media.c - pictures, files and sound: links, ids and bytes. */

#include <string.h>
#include <strings.h>

#include "openai.h"
#include "responses_read.h"

/* ---- what they are ---------------------------------------------------- */

#define COUNT(table) (sizeof(table) / sizeof(*(table)))

/* By the end of a name; what bytes show by themselves is not needed here. */
static const struct { const char *suffix, *type; } suffixes[] = {
    { ".pdf",  "application/pdf"  },
    { ".txt",  "text/plain"       },
    { ".md",   "text/markdown"    },
    { ".csv",  "text/csv"         },
    { ".html", "text/html"        },
    { ".json", "application/json" }
};

static const struct { const char *begin; llmux_media_e kind; } kinds[] = {
    { "application/pdf", LLMUX_MEDIA_PDF   },
    { "text/",           LLMUX_MEDIA_TEXT  },
    { "image/",          LLMUX_MEDIA_IMAGE },
    { "audio/",          LLMUX_MEDIA_AUDIO },
    { "video/",          LLMUX_MEDIA_VIDEO }
};

static int ends_with(llmux_slice_t s, const char *suffix)
{
    apr_size_t n = strlen(suffix);

    return s.len > n && !strncasecmp(s.data + s.len - n, suffix, n);
}

static void settle_kind(llmux_media_t *m)
{
    apr_size_t i;

    for (i = 0; i < COUNT(kinds); i++) {
        if (llmux_slice_starts(m->type, kinds[i].begin)) {
            m->kind = kinds[i].kind;
        }
    }
}

/* Clients often name the wrong type; the bytes know better. */
static void settle_type(llmux_media_t *m)
{
    const char *seen = llmux_media_sniff(m->base64);
    apr_size_t i;

    if (seen) {
        m->type = llmux_slice(seen);
    }
    for (i = 0; !m->type.data && i < COUNT(suffixes); i++) {
        if (ends_with(m->filename, suffixes[i].suffix)
            || ends_with(m->url, suffixes[i].suffix)) {
            m->type = llmux_slice(suffixes[i].type);
        }
    }
    if (llmux_slice_is(m->type, "image/jpg")) {
        m->type = llmux_slice("image/jpeg");
    }
    settle_kind(m);
}

/* ---- where they come from --------------------------------------------- */

static llmux_media_t *add_media(llmux_reader_t *r, const llmux_at_t *at,
                                llmux_message_t *m, llmux_media_e kind)
{
    llmux_block_t *b = llmux_message_block(r->chat, m, LLMUX_BLOCK_MEDIA);

    b->media = apr_pcalloc(r->pool, sizeof(*b->media));
    b->media->kind = kind;
    b->media->param = llmux_at_text(r->pool, at);
    return b->media;
}

static int has_scheme(llmux_slice_t url, const char *scheme)
{
    apr_size_t n = strlen(scheme);

    return url.len > n && !strncasecmp(url.data, scheme, n);
}

static void take_data_url(llmux_reader_t *r, const llmux_at_t *at,
                          llmux_slice_t url, llmux_media_t *m)
{
    llmux_data_url_t data;

    if (!llmux_data_url(r->pool, url, &data) || !data.base64.len) {
        llmux_reader_fail(r, at, "expected a data URL such as "
                          "'data:image/png;base64,...', found one that has "
                          "no data or cannot be decoded");
        return;
    }
    m->type = data.type;
    m->base64 = data.base64;
}

static void take_url(llmux_reader_t *r, const llmux_at_t *at,
                     const llmux_json_t *v, llmux_media_t *m)
{
    llmux_slice_t url = llmux_json_str(r->pool, v);

    if (has_scheme(url, "data:")) {
        take_data_url(r, at, url, m);
    }
    else if (has_scheme(url, "https://") || has_scheme(url, "http://")
             || has_scheme(url, "gs://")) {
        m->url = url;
    }
    else {
        llmux_reader_fail(r, at, "expected an https or data URL, found %s",
                          llmux_reader_found(r, v));
    }
}

static void take_base64(llmux_reader_t *r, const llmux_at_t *at,
                        llmux_slice_t text, llmux_media_t *m)
{
    apr_pool_t *scratch;

    apr_pool_create(&scratch, r->pool);
    m->base64 = llmux_base64_encode(r->pool,
                                    llmux_base64_decode(scratch, text));
    apr_pool_destroy(scratch);
    if (!m->base64.len) {
        llmux_reader_fail(r, at, "expected base64 data, found %s",
                          text.len ? "something else" : "an empty string");
    }
}

/* A data URL, or bare base64. */
static void take_data(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *v, llmux_media_t *m)
{
    llmux_slice_t text = llmux_json_str(r->pool, v);

    if (has_scheme(text, "data:")) {
        take_data_url(r, at, text, m);
    }
    else {
        take_base64(r, at, text, m);
    }
}

/* Exactly one of these members says where it is.
 * @param sources ends with NULL
 * @return its number, or -1, which is an error */
static int source_of(llmux_reader_t *r, const llmux_at_t *at,
                     const llmux_json_t *part, const char *const *sources)
{
    const char *more = sources[2] ? "' or '" : "", *third = sources[2];
    int i, found = -1, n = 0;

    for (i = 0; sources[i]; i++) {
        if (llmux_reader_member(r, at, part, sources[i], LLMUX_JSON_STRING)) {
            found = i;
            n++;
        }
    }
    if (n != 1) {
        llmux_reader_fail(r, at, "expected one of '%s' or '%s%s%s', found %d",
                          sources[0], sources[1], more, third ? third : "",
                          n);
    }
    return n == 1 ? found : -1;
}

/* ---- pictures --------------------------------------------------------- */

static void read_detail(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *part, llmux_media_t *m)
{
    static const char *const words[] =
        { "auto", "low", "high", "original", NULL };
    const llmux_json_t *v = llmux_json_get(part, "detail");
    llmux_at_t here = llmux_at(at, "detail");
    int i = v ? llmux_reader_word(r, &here, v, words) : -1;

    if (i >= 0) {
        /* others know no finer one than high */
        m->detail = llmux_slice(i == 3 ? "high" : words[i]);
    }
}

void llmux_responses_read_image(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *part, llmux_message_t *m)
{
    static const char *const sources[] = { "image_url", "file_id", NULL };
    llmux_media_t *media = add_media(r, at, m, LLMUX_MEDIA_IMAGE);
    llmux_at_t here = llmux_at(at, "image_url");
    int i = source_of(r, at, part, sources);

    if (i == 0) {
        take_url(r, &here, llmux_json_get(part, "image_url"), media);
        settle_type(media);
    }
    else if (i > 0) {
        media->file_id = llmux_reader_need_str(r, at, part, "file_id");
    }
    read_detail(r, at, part, media);
}

void llmux_responses_read_picture(llmux_reader_t *r, const llmux_at_t *at,
                                  const llmux_json_t *item,
                                  llmux_message_t *m)
{
    const llmux_json_t *result =
        llmux_reader_member(r, at, item, "result", LLMUX_JSON_STRING);
    llmux_at_t here = llmux_at(at, "result");
    llmux_media_t *media;

    if (result) {
        media = add_media(r, at, m, LLMUX_MEDIA_IMAGE);
        take_data(r, &here, result, media);
        settle_type(media);
    }
}

/* ---- files ------------------------------------------------------------ */

void llmux_responses_read_file(llmux_reader_t *r, const llmux_at_t *at,
                               const llmux_json_t *part, llmux_message_t *m)
{
    static const char *const sources[] =
        { "file_data", "file_url", "file_id", NULL };
    llmux_media_t *media = add_media(r, at, m, LLMUX_MEDIA_OTHER);
    int i = source_of(r, at, part, sources);
    llmux_at_t here = llmux_at(at, i < 0 ? "" : sources[i]);

    media->filename = llmux_reader_str(r, at, part, "filename");
    if (i == 0) {
        take_data(r, &here, llmux_json_get(part, "file_data"), media);
    }
    else if (i == 1) {
        take_url(r, &here, llmux_json_get(part, "file_url"), media);
    }
    else if (i == 2) {
        media->file_id = llmux_reader_need_str(r, at, part, "file_id");
    }
    settle_type(media);
}

/* ---- sound ------------------------------------------------------------ */

void llmux_responses_read_audio(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *part, llmux_message_t *m)
{
    const llmux_json_t *audio = llmux_reader_need(r, at, part, "input_audio",
                                                  LLMUX_JSON_OBJECT);
    llmux_media_t *media = add_media(r, at, m, LLMUX_MEDIA_AUDIO);
    llmux_at_t here = llmux_at(at, "input_audio");
    llmux_at_t data = llmux_at(&here, "data");
    llmux_at_t format = llmux_at(&here, "format");
    llmux_slice_t word = llmux_reader_need_str(r, &here, audio, "format");
    const llmux_json_t *v =
        llmux_reader_need(r, &here, audio, "data", LLMUX_JSON_STRING);

    if (v) {
        take_data(r, &data, v, media);
    }
    media->type = llmux_slice(llmux_openai_audio_type(word));
    if (word.data && !media->type.data) {
        llmux_reader_fail(r, &format, "expected 'wav', 'mp3' or another audio "
                          "format, found %s", llmux_reader_found(
                              r, llmux_json_get(audio, "format")));
    }
    settle_type(media);
}
