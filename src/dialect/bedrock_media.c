/* bedrock_media.c - images, documents, video and audio, as Converse has
 * them: always by their bytes. */

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include <apr_strings.h>

#include "bedrock.h"

#define NAME_MAX_LEN 200        /* of a document */

/* What a medium is to the API, by its media type. */
typedef struct format_t {
    const char *type;
    const char *block;
    const char *format;         /* and its file's ending */
} format_t;

static const format_t formats[] = {
    { "image/png",        "image", "png" },
    { "image/jpeg",       "image", "jpeg" },
    { "image/jpg",        "image", "jpeg" },
    { "image/gif",        "image", "gif" },
    { "image/webp",       "image", "webp" },
    { "application/pdf",  "document", "pdf" },
    { "text/plain",       "document", "txt" },
    { "text/csv",         "document", "csv" },
    { "text/html",        "document", "html" },
    { "text/markdown",    "document", "md" },
    { "application/msword", "document", "doc" },
    { "application/vnd.openxmlformats-officedocument.wordprocessingml."
      "document",         "document", "docx" },
    { "application/vnd.ms-excel", "document", "xls" },
    { "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                          "document", "xlsx" },
    { "video/mp4",        "video", "mp4" },
    { "video/quicktime",  "video", "mov" },
    { "video/x-matroska", "video", "mkv" },
    { "video/webm",       "video", "webm" },
    { "video/x-flv",      "video", "flv" },
    { "video/mpeg",       "video", "mpeg" },
    { "video/x-ms-wmv",   "video", "wmv" },
    { "video/3gpp",       "video", "three_gp" },
    { "audio/mpeg",       "audio", "mp3" },
    { "audio/mp3",        "audio", "mp3" },
    { "audio/wav",        "audio", "wav" },
    { "audio/x-wav",      "audio", "wav" },
    { "audio/aac",        "audio", "aac" },
    { "audio/flac",       "audio", "flac" },
    { "audio/ogg",        "audio", "ogg" },
    { "audio/opus",       "audio", "opus" },
    { "audio/mp4",        "audio", "m4a" },
    { "audio/webm",       "audio", "webm" }
};

#define FORMATS (sizeof(formats) / sizeof(formats[0]))

/* ---- formats --------------------------------------------------------- */

static const format_t *by_type(llmux_slice_t type)
{
    apr_size_t i;

    for (i = 0; i < FORMATS; i++) {
        if (llmux_slice_is(type, formats[i].type)) {
            return &formats[i];
        }
    }
    return NULL;
}

/* What stands behind the last dot of a name; absent for none. */
static llmux_slice_t ending(llmux_slice_t name)
{
    llmux_slice_t s = { NULL, 0 };
    apr_size_t i;

    for (i = name.len; i > 1; i--) {
        if (name.data[i - 1] == '.') {
            s.data = name.data + i;
            s.len = name.len - i;
            return s;
        }
    }
    return s;
}

/* Documents alone are told by their names: their types are often lost. */
static const format_t *by_ending(llmux_slice_t name)
{
    llmux_slice_t s = ending(name);
    apr_size_t i;

    for (i = 0; i < FORMATS; i++) {
        if (llmux_slice_is_nocase(s, formats[i].format)
            && !strcmp(formats[i].block, "document")) {
            return &formats[i];
        }
    }
    return NULL;
}

/* The API looks at the bytes of images, and refuses those whose type is
 * wrong: what they show counts for more than what the client says. Any other
 * text is plain text. */
static const format_t *format_of(const llmux_media_t *m)
{
    const format_t *f = by_type(llmux_slice(llmux_media_sniff(m->base64)));

    if (!f) {
        f = by_type(m->type);
    }
    if (!f) {
        f = by_ending(m->filename);
    }
    if (!f && (m->kind == LLMUX_MEDIA_TEXT
               || llmux_slice_starts(m->type, "text/"))) {
        f = by_type(llmux_slice("text/plain"));
    }
    return !f && m->kind == LLMUX_MEDIA_PDF
           ? by_type(llmux_slice("application/pdf")) : f;
}

int llmux_bedrock_is_document(const llmux_media_t *m)
{
    const format_t *f = m->base64.data ? format_of(m) : NULL;

    return f && !strcmp(f->block, "document");
}

/* ---- names of documents ---------------------------------------------- */

static int may_stand(char c)
{
    return isascii((unsigned char)c)
           && (isalnum((unsigned char)c) || strchr("-()[]", c));
}

/* Letters, digits, single spaces and -()[]: no other characters, and no
 * endings, which are what the service fears. */
static const char *plain(apr_pool_t *p, llmux_slice_t name)
{
    llmux_slice_t end = ending(name);
    apr_size_t n = 0, i;
    char *s;

    if (end.data) {
        name.len -= end.len + 1;
    }
    s = apr_palloc(p, NAME_MAX_LEN + 1);
    for (i = 0; i < name.len && n < NAME_MAX_LEN; i++) {
        if (name.data[i] && may_stand(name.data[i])) {
            s[n++] = name.data[i];
        }
        else if (n && s[n - 1] != ' ') {
            s[n++] = ' ';
        }
    }
    n -= n && s[n - 1] == ' ';
    s[n] = '\0';
    return n ? s : "Document";
}

/* The same name always gives the same: prompts are cached by their bytes. */
static const char *name_of(llmux_bedrock_out_t *o, llmux_slice_t filename)
{
    const char *base = plain(o->w.pool, filename), *name = base;
    int n = 1;

    if (!o->documents) {
        o->documents = apr_hash_make(o->w.pool);
    }
    while (apr_hash_get(o->documents, name, APR_HASH_KEY_STRING)) {
        name = apr_psprintf(o->w.pool, "%.*s %d", NAME_MAX_LEN - 12, base,
                            ++n);
    }
    apr_hash_set(o->documents, name, APR_HASH_KEY_STRING, name);
    return name;
}

/* ---- blocks ---------------------------------------------------------- */

static void refuse(llmux_bedrock_out_t *o, const llmux_media_t *m,
                   const char *param, int index)
{
    apr_pool_t *p = o->w.chat->pool;
    const char *place = param || m->param
        ? llmux_anthropic_place(p, m, param, index) : "messages";

    if (m->base64.data) {
        llmux_writer_refuse(&o->w, place, "%s takes images (PNG, JPEG, GIF, "
                            "WebP), documents (PDF, text, Word, Excel), video "
                            "and audio, but not this.", o->w.target->name);
    }
    else {
        llmux_writer_refuse(&o->w, place, "%s fetches nothing: it takes media "
                            "by their bytes only. Send them as base64.",
                            o->w.target->name);
    }
}

static void source(llmux_jw_t *jw, llmux_slice_t base64)
{
    llmux_jw_key(jw, "source");
    llmux_jw_open(jw, '{');
    llmux_jw_opt_str(jw, "bytes", base64);
    llmux_jw_close(jw, '}');
}

void llmux_bedrock_media(llmux_bedrock_out_t *o, const llmux_media_t *m,
                         const char *param, int index)
{
    const format_t *f = m->base64.data ? format_of(m) : NULL;
    llmux_jw_t *jw = &o->w.jw;

    if (!f) {
        refuse(o, m, param, index);
        return;
    }
    llmux_jw_open(jw, '{');
    llmux_jw_key(jw, f->block);
    llmux_jw_open(jw, '{');
    llmux_jw_opt_str(jw, "format", llmux_slice(f->format));
    if (!strcmp(f->block, "document")) {
        llmux_jw_opt_str(jw, "name", llmux_slice(name_of(o, m->filename)));
    }
    source(jw, m->base64);
    llmux_jw_close(jw, '}');
    llmux_jw_close(jw, '}');
    if (m->detail.len && !llmux_slice_is(m->detail, "auto")) {
        llmux_warn(o->w.warnings, LLMUX_WARN_DROP, "image_url.detail");
    }
}
