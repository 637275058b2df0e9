/* openai_parts.c - what a message's content consists of: text, media. */

#include <string.h>
#include <strings.h>

#include <apr_strings.h>

#include "openai.h"

typedef struct part_t {
    const char *type;
    unsigned int of;        /* LLMUX_OPENAI_OF_*: in whose content */
    void (*read)(llmux_reader_t *r, const llmux_at_t *at,
                 const llmux_json_t *part, llmux_message_t *m);
} part_t;

/* ---- kinds and types of media ---------------------------------------- */

static const struct { const char *format, *type; } audio_formats[] = {
    { "wav",   "audio/wav"  },
    { "mp3",   "audio/mpeg" },
    { "flac",  "audio/flac" },
    { "ogg",   "audio/ogg"  },
    { "opus",  "audio/opus" },
    { "aac",   "audio/aac"  },
    { "aiff",  "audio/aiff" },
    { "m4a",   "audio/mp4"  },
    { "webm",  "audio/webm" },
    { "pcm16", "audio/pcm"  }
};

static const struct { const char *alias, *type; } aliases[] = {
    { "image/jpg",         "image/jpeg"      },
    { "image/pjpeg",       "image/jpeg"      },
    { "image/x-png",       "image/png"       },
    { "audio/mp3",         "audio/mpeg"      },
    { "audio/x-wav",       "audio/wav"       },
    { "audio/wave",        "audio/wav"       },
    { "audio/x-m4a",       "audio/mp4"       },
    { "application/x-pdf", "application/pdf" }
};

static const struct { const char *prefix; llmux_media_e kind; } kinds[] = {
    { "image/",          LLMUX_MEDIA_IMAGE },
    { "audio/",          LLMUX_MEDIA_AUDIO },
    { "video/",          LLMUX_MEDIA_VIDEO },
    { "application/pdf", LLMUX_MEDIA_PDF   },
    { "text/",           LLMUX_MEDIA_TEXT  }
};

static const struct { const char *suffix, *type; } suffixes[] = {
    { ".pdf",  "application/pdf" },
    { ".txt",  "text/plain"      },
    { ".md",   "text/markdown"   },
    { ".csv",  "text/csv"        },
    { ".html", "text/html"       },
    { ".png",  "image/png"       },
    { ".jpg",  "image/jpeg"      },
    { ".jpeg", "image/jpeg"      },
    { ".gif",  "image/gif"       },
    { ".webp", "image/webp"      }
};

#define COUNT(table) (sizeof(table) / sizeof(*(table)))

const char *llmux_openai_audio_type(llmux_slice_t format)
{
    apr_size_t i;

    for (i = 0; i < COUNT(audio_formats); i++) {
        if (llmux_slice_is_nocase(format, audio_formats[i].format)) {
            return audio_formats[i].type;
        }
    }
    return NULL;
}

const char *llmux_openai_audio_format(llmux_slice_t type)
{
    apr_size_t i;

    for (i = 0; i < COUNT(audio_formats); i++) {
        if (llmux_slice_is(type, audio_formats[i].type)) {
            return audio_formats[i].format;
        }
    }
    return NULL;
}

static llmux_slice_t type_by_name(llmux_slice_t filename)
{
    apr_size_t i, n;

    for (i = 0; filename.data && i < COUNT(suffixes); i++) {
        n = strlen(suffixes[i].suffix);
        if (filename.len > n
            && !strncasecmp(filename.data + filename.len - n,
                            suffixes[i].suffix, n)) {
            return llmux_slice(suffixes[i].type);
        }
    }
    return llmux_slice(NULL);
}

/* Clients often name the wrong type; the bytes know better. */
static void settle_type(llmux_media_t *media)
{
    const char *seen = llmux_media_sniff(media->base64);
    apr_size_t i;

    if (seen) {
        media->type = llmux_slice(seen);
    }
    for (i = 0; i < COUNT(aliases); i++) {
        if (llmux_slice_is(media->type, aliases[i].alias)) {
            media->type = llmux_slice(aliases[i].type);
        }
    }
}

static llmux_media_e kind_of(llmux_slice_t type, llmux_media_e other)
{
    apr_size_t i;

    for (i = 0; i < COUNT(kinds); i++) {
        if (llmux_slice_starts(type, kinds[i].prefix)) {
            return kinds[i].kind;
        }
    }
    return other;
}

/* ---- where the bytes come from --------------------------------------- */

static int has_scheme(llmux_slice_t url, const char *scheme)
{
    apr_size_t n = strlen(scheme);

    return url.len > n && !strncasecmp(url.data, scheme, n);
}

static int is_remote(llmux_slice_t url)
{
    return has_scheme(url, "https://") || has_scheme(url, "http://")
           || has_scheme(url, "gs://");
}

static void take_data_url(llmux_reader_t *r, const llmux_at_t *at,
                          llmux_slice_t url, llmux_media_t *media)
{
    llmux_data_url_t data;

    if (!llmux_data_url(r->pool, url, &data)) {
        llmux_reader_fail(r, at, "expected a data URL such as "
                          "'data:image/png;base64,...', found one that "
                          "cannot be decoded");
        return;
    }
    if (!data.base64.len) {
        llmux_reader_fail(r, at, "expected data, found an empty data URL");
        return;
    }
    media->type = data.type;
    media->base64 = data.base64;
}

static void take_url(llmux_reader_t *r, const llmux_at_t *at,
                     const llmux_json_t *v, llmux_media_t *media)
{
    llmux_slice_t url = llmux_json_str(r->pool, v);

    if (has_scheme(url, "data:")) {
        take_data_url(r, at, url, media);
    }
    else if (is_remote(url)) {
        media->url = url;
    }
    else {
        llmux_reader_fail(r, at, "expected an https or data URL, found %s",
                          llmux_reader_found(r, v));
    }
}

static int is_base64_char(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
           || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

/* Standard alphabet and padded, which nearly all of it is: no copy then. */
static int is_standard(llmux_slice_t s)
{
    apr_size_t n = s.len, i;

    if (!n || n % 4) {
        return 0;
    }
    n -= s.data[n - 1] != '=' ? 0 : s.data[n - 2] != '=' ? 1 : 2;
    for (i = 0; i < n; i++) {
        if (!is_base64_char((unsigned char) s.data[i])) {
            return 0;
        }
    }
    return 1;
}

static void take_base64(llmux_reader_t *r, const llmux_at_t *at,
                        llmux_slice_t text, llmux_media_t *media)
{
    media->base64 = text;
    if (!is_standard(text)) {
        media->base64 = llmux_base64_encode(
            r->pool, llmux_base64_decode(r->pool, text));
    }
    if (!media->base64.len) {
        llmux_reader_fail(r, at, "expected base64 data, found %s",
                          text.len ? "something else" : "an empty string");
    }
}

/* A data URL, a link, or bare base64. */
static void take_data(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *v, llmux_media_t *media)
{
    llmux_slice_t text = llmux_json_str(r->pool, v);

    if (has_scheme(text, "data:") || is_remote(text)) {
        take_url(r, at, v, media);
    }
    else {
        take_base64(r, at, text, media);
    }
}

/* ---- one reader per part --------------------------------------------- */

static llmux_media_t *add_media(llmux_reader_t *r, const llmux_at_t *at,
                                llmux_message_t *m, llmux_media_e kind)
{
    llmux_block_t *b = llmux_message_block(r->chat, m, LLMUX_BLOCK_MEDIA);

    b->media = apr_pcalloc(r->pool, sizeof(*b->media));
    b->media->kind = kind;
    b->media->param = llmux_at_text(r->pool, at);
    return b->media;
}

static void read_text(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *part, llmux_message_t *m)
{
    const llmux_json_t *text =
        llmux_reader_need(r, at, part, "text", LLMUX_JSON_STRING);
    llmux_block_t *b = llmux_message_block(r->chat, m, LLMUX_BLOCK_TEXT);

    b->text = llmux_json_str(r->pool, text);
}

static void read_refusal(llmux_reader_t *r, const llmux_at_t *at,
                         const llmux_json_t *part, llmux_message_t *m)
{
    const llmux_json_t *text =
        llmux_reader_need(r, at, part, "refusal", LLMUX_JSON_STRING);
    llmux_block_t *b = llmux_message_block(r->chat, m, LLMUX_BLOCK_REFUSAL);

    b->text = llmux_json_str(r->pool, text);
}

/* Either {"url": ...} as OpenAI has it, or the URL alone, as some clients
 * of compatible servers do. */
static void read_link(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *v, llmux_media_t *media)
{
    llmux_at_t url = llmux_at(at, "url");

    if (llmux_json_kind(v) == LLMUX_JSON_STRING) {
        take_url(r, at, v, media);
    }
    else if (llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        v = llmux_reader_need(r, at, v, "url", LLMUX_JSON_STRING);
        if (v) {
            take_url(r, &url, v, media);
        }
    }
    settle_type(media);
    media->kind = kind_of(media->type, media->kind);
}

static void read_detail(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *image, llmux_media_t *media)
{
    static const char *const words[] =
        { "auto", "low", "high", "original", NULL };
    const llmux_json_t *v = llmux_json_get(image, "detail");
    llmux_at_t here = llmux_at(at, "detail");
    int i = v ? llmux_reader_word(r, &here, v, words) : -1;

    if (i >= 0) {
        /* a word of the Responses API; here it is high */
        media->detail = llmux_slice(i == 3 ? "high" : words[i]);
    }
}

static void read_image(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *part, llmux_message_t *m)
{
    const llmux_json_t *image = llmux_json_get(part, "image_url");
    llmux_media_t *media = add_media(r, at, m, LLMUX_MEDIA_IMAGE);
    llmux_at_t here = llmux_at(at, "image_url");

    read_link(r, &here, image, media);
    read_detail(r, &here, image, media);
}

static void read_video(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *part, llmux_message_t *m)
{
    llmux_media_t *media = add_media(r, at, m, LLMUX_MEDIA_VIDEO);
    llmux_at_t here = llmux_at(at, "video_url");

    read_link(r, &here, llmux_json_get(part, "video_url"), media);
}

static void read_audio_format(llmux_reader_t *r, const llmux_at_t *at,
                              const llmux_json_t *audio, llmux_media_t *media)
{
    const llmux_json_t *v =
        llmux_reader_need(r, at, audio, "format", LLMUX_JSON_STRING);
    const char *type = llmux_openai_audio_type(llmux_json_str(r->pool, v));
    llmux_at_t here = llmux_at(at, "format");

    if (v && !type) {
        llmux_reader_fail(r, &here, "expected 'wav', 'mp3' or another audio "
                          "format, found %s", llmux_reader_found(r, v));
    }
    media->type = llmux_slice(type);
}

static void read_audio(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *part, llmux_message_t *m)
{
    const llmux_json_t *audio = llmux_reader_need(r, at, part, "input_audio",
                                                  LLMUX_JSON_OBJECT);
    llmux_media_t *media = add_media(r, at, m, LLMUX_MEDIA_AUDIO);
    llmux_at_t here = llmux_at(at, "input_audio");
    llmux_at_t data = llmux_at(&here, "data");
    const llmux_json_t *v;

    if (!audio) {
        return;
    }
    v = llmux_reader_need(r, &here, audio, "data", LLMUX_JSON_STRING);
    if (v) {
        take_data(r, &data, v, media);
    }
    read_audio_format(r, &here, audio, media);
    settle_type(media);
}

static void read_file_data(llmux_reader_t *r, const llmux_at_t *at,
                           const llmux_json_t *v, llmux_media_t *media)
{
    llmux_at_t here = llmux_at(at, "file_data");

    take_data(r, &here, v, media);
    if (!media->type.data) {
        media->type = type_by_name(media->filename);
    }
    settle_type(media);
    media->kind = kind_of(media->type, LLMUX_MEDIA_OTHER);
}

static void read_file(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *part, llmux_message_t *m)
{
    const llmux_json_t *file =
        llmux_reader_need(r, at, part, "file", LLMUX_JSON_OBJECT);
    llmux_media_t *media = add_media(r, at, m, LLMUX_MEDIA_OTHER);
    llmux_at_t here = llmux_at(at, "file");
    const llmux_json_t *data =
        llmux_reader_member(r, &here, file, "file_data", LLMUX_JSON_STRING);

    media->filename = llmux_reader_str(r, &here, file, "filename");
    media->file_id = llmux_reader_str(r, &here, file, "file_id");
    if (file && !data == !media->file_id.len) {
        llmux_reader_fail(r, &here, "expected either 'file_data' or "
                          "'file_id', found %s", data ? "both" : "neither");
    }
    else if (data) {
        media->file_id = llmux_slice(NULL);
        read_file_data(r, &here, data, media);
    }
}

/* Mistral's form of reasoning: {"type":"thinking","thinking":[parts]}. */
static void read_thinking(llmux_reader_t *r, const llmux_at_t *at,
                          const llmux_json_t *part, llmux_message_t *m)
{
    const llmux_json_t *v = llmux_json_get(part, "thinking"), *e;
    llmux_at_t here = llmux_at(at, "thinking"), each;
    llmux_message_t list = { 0 };
    llmux_block_t *b;
    int i = 0;

    if (llmux_json_kind(v) == LLMUX_JSON_STRING) {
        b = llmux_message_block(r->chat, m, LLMUX_BLOCK_THINK);
        b->text = llmux_json_str(r->pool, v);
        return;
    }
    if (!llmux_reader_expect(r, &here, v, LLMUX_JSON_ARRAY)) {
        return;
    }
    for (e = llmux_json_first(v); e && !r->err; e = llmux_json_next(v, e)) {
        each = llmux_at_index(&here, i++);
        if (llmux_json_is(llmux_json_get(e, "type"), "text")) {
            read_text(r, &each, e, &list);
            list.last->kind = LLMUX_BLOCK_THINK;
        }
    }
    if (list.blocks) {
        *(m->last ? &m->last->next : &m->blocks) = list.blocks;
        m->last = list.last;
    }
}

/* ---- content --------------------------------------------------------- */

#define OF_ANY   (LLMUX_OPENAI_OF_SYSTEM | LLMUX_OPENAI_OF_USER \
                  | LLMUX_OPENAI_OF_ASSISTANT | LLMUX_OPENAI_OF_TOOL)
/* OpenAI's tools answer with text alone, other servers' with media too. */
#define OF_MEDIA (LLMUX_OPENAI_OF_USER | LLMUX_OPENAI_OF_TOOL)

static const part_t parts[] = {
    { "text",        OF_ANY,                    read_text     },
    { "image_url",   OF_MEDIA,                  read_image    },
    { "input_audio", OF_MEDIA,                  read_audio    },
    { "file",        OF_MEDIA,                  read_file     },
    { "video_url",   OF_MEDIA,                  read_video    },
    { "refusal",     LLMUX_OPENAI_OF_ASSISTANT, read_refusal  },
    { "thinking",    LLMUX_OPENAI_OF_ASSISTANT, read_thinking }
};

static const char *parts_listed(apr_pool_t *p, llmux_openai_of_e of)
{
    const char *list = NULL;
    apr_size_t i;

    for (i = 0; i < COUNT(parts); i++) {
        if (parts[i].of & of) {
            list = apr_pstrcat(p, list ? list : "", list ? ", '" : "'",
                               parts[i].type, "'", NULL);
        }
    }
    return list;
}

static const part_t *part_of(llmux_reader_t *r, const llmux_at_t *at,
                             const llmux_json_t *v, llmux_openai_of_e of)
{
    const llmux_json_t *type =
        llmux_reader_need(r, at, v, "type", LLMUX_JSON_STRING);
    llmux_at_t here = llmux_at(at, "type");
    apr_size_t i;

    for (i = 0; type && i < COUNT(parts); i++) {
        if ((parts[i].of & of) && llmux_json_is(type, parts[i].type)) {
            return &parts[i];
        }
    }
    if (type) {
        llmux_reader_fail(r, &here, "expected one of %s here, found %s",
                          parts_listed(r->pool, of),
                          llmux_reader_found(r, type));
    }
    return NULL;
}

static void read_part(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *v, llmux_openai_of_e of,
                      llmux_message_t *m)
{
    const llmux_block_t *before = m->last;
    const part_t *part;

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    part = part_of(r, at, v, of);
    if (part) {
        part->read(r, at, v, m);
    }
    if (m->last != before) {
        m->last->cache_ttl = llmux_openai_read_marker(r, at, v);
    }
}

/* An empty answer beside tool calls says nothing; an empty question does. */
static void read_plain(llmux_reader_t *r, const llmux_json_t *v,
                       llmux_openai_of_e of, llmux_message_t *m)
{
    llmux_slice_t text = llmux_json_str(r->pool, v);

    if (text.len || !(of & LLMUX_OPENAI_OF_ASSISTANT)) {
        llmux_message_block(r->chat, m, LLMUX_BLOCK_TEXT)->text = text;
    }
}

void llmux_openai_read_content(llmux_reader_t *r, const llmux_at_t *at,
                               const llmux_json_t *v, llmux_openai_of_e of,
                               llmux_message_t *m)
{
    const llmux_json_t *e = llmux_json_first(v);
    llmux_at_t each;
    int i = 0;

    if (llmux_json_kind(v) == LLMUX_JSON_STRING) {
        read_plain(r, v, of, m);
        return;
    }
    if (llmux_json_kind(v) != LLMUX_JSON_ARRAY) {
        llmux_reader_fail(r, at, "expected a string or an array of parts, "
                          "found %s", llmux_json_kind_name(v));
        return;
    }
    if (!e && (of & (LLMUX_OPENAI_OF_SYSTEM | LLMUX_OPENAI_OF_USER))) {
        llmux_reader_fail(r, at, "expected at least one part");
    }
    for (; e && !r->err; e = llmux_json_next(v, e)) {
        each = llmux_at_index(at, i++);
        read_part(r, &each, e, of, m);
    }
}

const char *llmux_openai_read_marker(llmux_reader_t *r, const llmux_at_t *at,
                                     const llmux_json_t *object)
{
    static const char *const lives[] = { "5m", "1h", NULL };
    const llmux_json_t *marker = llmux_reader_member(
        r, at, object, "cache_control", LLMUX_JSON_OBJECT);
    const llmux_json_t *ttl = llmux_json_get(marker, "ttl");
    llmux_at_t up = llmux_at(at, "cache_control"), here = llmux_at(&up, "ttl");
    int i = ttl ? llmux_reader_word(r, &here, ttl, lives) : 0;

    if (!marker) {
        marker = llmux_reader_member(r, at, object, "prompt_cache_breakpoint",
                                     LLMUX_JSON_OBJECT);
    }
    return marker ? lives[i < 0 ? 0 : i] : NULL;
}
