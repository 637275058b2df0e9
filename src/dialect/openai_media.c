/* openai_media.c - pictures, files and sound in requests of OpenAI's APIs:
 * where their bytes are, and what they are. */

#include <string.h>
#include <strings.h>

#include "openai.h"

/* ---- kinds and types ------------------------------------------------- */

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
    { ".pdf",  "application/pdf"  },
    { ".txt",  "text/plain"       },
    { ".md",   "text/markdown"    },
    { ".csv",  "text/csv"         },
    { ".html", "text/html"        },
    { ".json", "application/json" },
    { ".png",  "image/png"        },
    { ".jpg",  "image/jpeg"       },
    { ".jpeg", "image/jpeg"       },
    { ".gif",  "image/gif"        },
    { ".webp", "image/webp"       }
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

static int ends_with(llmux_slice_t s, const char *suffix)
{
    apr_size_t n = strlen(suffix);

    return s.len > n && !strncasecmp(s.data + s.len - n, suffix, n);
}

/* By the end of a name. */
static llmux_slice_t type_of(llmux_slice_t name)
{
    apr_size_t i;

    for (i = 0; i < COUNT(suffixes); i++) {
        if (ends_with(name, suffixes[i].suffix)) {
            return llmux_slice(suffixes[i].type);
        }
    }
    return llmux_slice(NULL);
}

static llmux_slice_t without_alias(llmux_slice_t type)
{
    apr_size_t i;

    for (i = 0; i < COUNT(aliases); i++) {
        if (llmux_slice_is(type, aliases[i].alias)) {
            return llmux_slice(aliases[i].type);
        }
    }
    return type;
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

void llmux_openai_media_settle(llmux_media_t *media)
{
    const char *shown = llmux_media_sniff(media->base64);

    if (shown) {
        media->type = llmux_slice(shown);
    }
    if (!media->type.data && media->kind == LLMUX_MEDIA_OTHER) {
        media->type = type_of(media->filename);
    }
    if (!media->type.data && media->kind == LLMUX_MEDIA_OTHER) {
        media->type = type_of(media->url);
    }
    media->type = without_alias(media->type);
    media->kind = kind_of(media->type, media->kind);
}

/* ---- where the bytes are --------------------------------------------- */

llmux_media_t *llmux_openai_media_add(llmux_reader_t *r, const llmux_at_t *at,
                                      llmux_message_t *m, llmux_media_e kind)
{
    llmux_block_t *b = llmux_message_block(r->chat, m, LLMUX_BLOCK_MEDIA);

    b->media = apr_pcalloc(r->pool, sizeof(*b->media));
    b->media->kind = kind;
    b->media->param = llmux_at_text(r->pool, at);
    return b->media;
}

static int is_remote(llmux_slice_t url)
{
    return llmux_reader_is_url(url, "https://")
        || llmux_reader_is_url(url, "http://")
        || llmux_reader_is_url(url, "gs://");
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

void llmux_openai_media_url(llmux_reader_t *r, const llmux_at_t *at,
                            const llmux_json_t *v, llmux_media_t *media)
{
    llmux_slice_t url = llmux_json_str(r->pool, v);

    if (llmux_reader_is_url(url, "data:")) {
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

static void take_base64(llmux_reader_t *r, const llmux_at_t *at,
                        llmux_slice_t text, llmux_media_t *media)
{
    media->base64 = llmux_reader_base64(r, text);
    if (!media->base64.len) {
        llmux_reader_fail(r, at, "expected base64 data, found %s",
                          text.len ? "something else" : "an empty string");
    }
}

void llmux_openai_media_data(llmux_reader_t *r, const llmux_at_t *at,
                             const llmux_json_t *v, llmux_media_t *media,
                             int links)
{
    llmux_slice_t text = llmux_json_str(r->pool, v);

    if (llmux_reader_is_url(text, "data:") || (links && is_remote(text))) {
        llmux_openai_media_url(r, at, v, media);
    }
    else {
        take_base64(r, at, text, media);
    }
}

void llmux_openai_media_detail(llmux_reader_t *r, const llmux_at_t *at,
                               const llmux_json_t *image,
                               llmux_media_t *media)
{
    static const char *const words[] =
        { "auto", "low", "high", "original", NULL };
    const llmux_json_t *v = llmux_json_get(image, "detail");
    llmux_at_t here = llmux_at(at, "detail");
    int i = v ? llmux_reader_word(r, &here, v, words) : -1;

    if (i >= 0) {
        /* others know no finer one than high */
        media->detail = llmux_slice(i == 3 ? "high" : words[i]);
    }
}
