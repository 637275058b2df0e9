/* gemini_media.c - pictures, sounds and documents as parts of a request. */

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

#include "gemini.h"

/* Files that clients gave to the Gemini API. Vertex AI cannot see them. */
#define FILES_HOST "https://generativelanguage.googleapis.com/"

#define FILES_API FILES_HOST "v1beta/"

/* What the API fetches by itself, whatever the model. */
static const char *const known_places[] = {
    "gs://",
    FILES_HOST,
    "https://www.youtube.com/",
    "https://youtube.com/",
    "https://m.youtube.com/",
    "https://youtu.be/",
    NULL
};

/* fileData needs a media type, and a URL shows it only by its ending. */
static const struct { const char *ending, *type; } endings[] = {
    { ".png",  "image/png"       }, { ".jpg",  "image/jpeg"      },
    { ".jpeg", "image/jpeg"      }, { ".webp", "image/webp"      },
    { ".gif",  "image/gif"       }, { ".heic", "image/heic"      },
    { ".heif", "image/heif"      }, { ".bmp",  "image/bmp"       },
    { ".wav",  "audio/wav"       }, { ".mp3",  "audio/mp3"       },
    { ".m4a",  "audio/m4a"       }, { ".aac",  "audio/aac"       },
    { ".ogg",  "audio/ogg"       }, { ".flac", "audio/flac"      },
    { ".aiff", "audio/aiff"      }, { ".mp4",  "video/mp4"       },
    { ".mov",  "video/quicktime" }, { ".webm", "video/webm"      },
    { ".mpeg", "video/mpeg"      }, { ".mpg",  "video/mpeg"      },
    { ".avi",  "video/avi"       }, { ".wmv",  "video/wmv"       },
    { ".3gp",  "video/3gpp"      }, { ".flv",  "video/x-flv"     },
    { ".pdf",  "application/pdf" }, { ".txt",  "text/plain"      },
    { ".md",   "text/plain"      }, { ".html", "text/html"       },
    { ".csv",  "text/csv"        }, { ".xml",  "text/xml"        },
    { NULL,    NULL              }
};

/* When nothing else tells. */
static const char *const usual_types[] = {
    [LLMUX_MEDIA_IMAGE] = "image/jpeg",
    [LLMUX_MEDIA_AUDIO] = "audio/mp3",
    [LLMUX_MEDIA_VIDEO] = "video/mp4",
    [LLMUX_MEDIA_PDF]   = "application/pdf",
    [LLMUX_MEDIA_TEXT]  = "text/plain",
    [LLMUX_MEDIA_OTHER] = NULL
};

static int known_place(llmux_slice_t url)
{
    int i;

    for (i = 0; known_places[i]; i++) {
        if (llmux_slice_starts(url, known_places[i])) {
            return 1;
        }
    }
    return 0;
}

static int is_youtube(llmux_slice_t url)
{
    return known_place(url) && !llmux_slice_starts(url, "gs://")
           && !llmux_slice_starts(url, FILES_HOST);
}

/* The media type by the name's ending, before any query. */
static const char *type_by_ending(llmux_slice_t name)
{
    apr_size_t len, n;
    int i;

    for (len = 0; len < name.len; len++) {
        if (name.data[len] == '?' || name.data[len] == '#') {
            break;
        }
    }
    for (i = 0; endings[i].ending; i++) {
        llmux_slice_t tail;

        n = strlen(endings[i].ending);
        tail.data = len >= n ? name.data + len - n : NULL;
        tail.len = n;
        if (llmux_slice_is_nocase(tail, endings[i].ending)) {
            return endings[i].type;
        }
    }
    return NULL;
}

/* Names that clients use and Gemini does not know. */
static llmux_slice_t usual_spelling(llmux_slice_t type, llmux_media_e kind)
{
    if (llmux_slice_is(type, "image/jpg")) {
        return llmux_slice("image/jpeg");
    }
    if (kind == LLMUX_MEDIA_TEXT && !llmux_slice_starts(type, "text/")) {
        return llmux_slice("text/plain");
    }
    return type;
}

/* A media type to send, absent if nothing tells it. What the bytes show
 * counts more than what the client says: Gemini refuses a mismatch. */
static llmux_slice_t type_of(const llmux_media_t *m, llmux_slice_t base64,
                             llmux_slice_t url)
{
    const char *type = base64.data ? llmux_media_sniff(base64) : NULL;

    if (!type && m->type.len) {
        return usual_spelling(m->type, m->kind);
    }
    if (!type && is_youtube(url)) {
        type = "video/mp4";
    }
    if (!type) {
        type = type_by_ending(url);
    }
    if (!type) {
        type = type_by_ending(m->filename);
    }
    return llmux_slice(type ? type : usual_types[m->kind]);
}

/* Pictures that no model of Gemini's looks at. */
static int is_alien(llmux_slice_t type)
{
    return llmux_slice_starts(type, "image/svg")
           || llmux_slice_starts(type, "image/tiff");
}

static const llmux_error_t *no_alien(const llmux_gemini_out_t *o,
                                     const char *param)
{
    return llmux_error(o->chat->pool, LLMUX_ERR_UNSUPPORTED, param,
                       "%s takes PNG, JPEG, WebP, HEIC and HEIF images, but "
                       "not this.", o->target->name);
}

static int wants_type(const llmux_gemini_out_t *o, llmux_slice_t type,
                      const char *param, const llmux_error_t **err)
{
    if (!type.data) {
        *err = llmux_error(o->chat->pool, LLMUX_ERR_INVALID, param,
                           "Say the media type of this file: send it as a "
                           "data URL with its type, or with a filename.");
    }
    return !type.data;
}

static void put_detail(llmux_gemini_out_t *o, const llmux_media_t *m)
{
    static const struct { const char *ours, *theirs; } details[] = {
        { "low",      "MEDIA_RESOLUTION_LOW"    },
        { "medium",   "MEDIA_RESOLUTION_MEDIUM" },
        { "high",     "MEDIA_RESOLUTION_HIGH"   },
        { "original", "MEDIA_RESOLUTION_HIGH"   },
        { NULL,       NULL                      }
    };
    int i;

    for (i = 0; details[i].ours; i++) {
        if (!llmux_slice_is(m->detail, details[i].ours)) {
            continue;
        }
        if (!(o->model->can & LLMUX_GEMINI_CAN_DETAIL)) {
            llmux_warn(o->warn, LLMUX_WARN_DROP, "image_url.detail");
            return;
        }
        llmux_jw_key(&o->w, "mediaResolution");
        llmux_jw_open(&o->w, '{');
        llmux_jw_key(&o->w, "level");
        llmux_jw_cstr(&o->w, details[i].theirs);
        llmux_jw_close(&o->w, '}');
    }
}

static const llmux_error_t *put_inline(llmux_gemini_out_t *o,
                                       const llmux_media_t *m,
                                       llmux_slice_t base64,
                                       const char *param)
{
    static const llmux_slice_t none = { NULL, 0 };
    llmux_slice_t type = type_of(m, base64, none);
    const llmux_error_t *err = NULL;

    if (wants_type(o, type, param, &err)) {
        return err;
    }
    if (is_alien(type)) {
        return no_alien(o, param);
    }
    llmux_jw_open(&o->w, '{');
    llmux_jw_key(&o->w, "inlineData");
    llmux_jw_open(&o->w, '{');
    llmux_jw_key(&o->w, "mimeType");
    llmux_jw_str(&o->w, type);
    llmux_jw_key(&o->w, "data");
    llmux_jw_str(&o->w, base64);
    llmux_jw_close(&o->w, '}');
    put_detail(o, m);
    llmux_jw_close(&o->w, '}');
    return NULL;
}

static const llmux_error_t *put_file(llmux_gemini_out_t *o,
                                     const llmux_media_t *m,
                                     llmux_slice_t url, const char *param)
{
    static const llmux_slice_t none = { NULL, 0 };
    llmux_slice_t type = type_of(m, none, url);
    const llmux_error_t *err = NULL;

    if (wants_type(o, type, param, &err)) {
        return err;
    }
    llmux_jw_open(&o->w, '{');
    llmux_jw_key(&o->w, "fileData");
    llmux_jw_open(&o->w, '{');
    llmux_jw_key(&o->w, "mimeType");
    llmux_jw_str(&o->w, type);
    llmux_jw_key(&o->w, "fileUri");
    llmux_jw_str(&o->w, url);
    llmux_jw_close(&o->w, '}');
    put_detail(o, m);
    llmux_jw_close(&o->w, '}');
    return NULL;
}

/* Vertex AI fetches for all its models. */
static int fetches(const llmux_target_t *target,
                   const llmux_gemini_model_t *model, llmux_slice_t url)
{
    if (target->vertex && llmux_slice_starts(url, FILES_HOST)) {
        return 0;
    }
    return known_place(url)
           || (llmux_slice_starts(url, "https://")
               && (target->vertex
                   || (model->can & LLMUX_GEMINI_CAN_URL)
                   || (target->can & LLMUX_CAN_MEDIA_URL)));
}

/* One whose type nothing tells is better fetched than refused. */
int llmux_gemini_takes_url(const llmux_media_t *media,
                           const llmux_target_t *target)
{
    static const llmux_slice_t none = { NULL, 0 };

    return fetches(target, llmux_gemini_model(target->model), media->url)
        && type_of(media, none, media->url).data;
}

static const llmux_error_t *put_url(llmux_gemini_out_t *o,
                                    const llmux_media_t *m,
                                    const char *param)
{
    llmux_data_url_t inside;

    if (llmux_data_url(o->scratch, m->url, &inside)) {
        llmux_media_t copy = *m;

        copy.type = inside.type;
        return put_inline(o, &copy, inside.base64, param);
    }
    if (fetches(o->target, o->model, m->url)) {
        return put_file(o, m, m->url, param);
    }
    return llmux_error(o->chat->pool, LLMUX_ERR_UNSUPPORTED, param,
                       "%s does not fetch this URL for the model %s: send it "
                       "as a data URL.", o->target->name,
                       llmux_slice_str(o->scratch, o->target->model));
}

/* Ids of other vendors' file stores mean nothing here. */
static const llmux_error_t *put_file_id(llmux_gemini_out_t *o,
                                        const llmux_media_t *m,
                                        const char *param)
{
    if (llmux_slice_starts(m->file_id, "files/") && !o->target->vertex) {
        return put_file(o, m, llmux_slice(apr_pstrcat(o->scratch, FILES_API,
                            llmux_slice_str(o->scratch, m->file_id), NULL)),
                        param);
    }
    if (known_place(m->file_id) && fetches(o->target, o->model, m->file_id)) {
        return put_file(o, m, m->file_id, param);
    }
    return llmux_error(o->chat->pool, LLMUX_ERR_UNSUPPORTED, param,
                       "%s cannot read this file id: send the file as a data "
                       "URL.", o->target->name);
}

const llmux_error_t *llmux_gemini_media(llmux_gemini_out_t *o,
                                        const llmux_media_t *media,
                                        const char *param)
{
    param = media->param ? media->param : param;
    if (media->base64.data) {
        return put_inline(o, media, media->base64, param);
    }
    if (media->url.data) {
        return put_url(o, media, param);
    }
    return put_file_id(o, media, param);
}
