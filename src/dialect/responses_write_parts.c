/* responses_write_parts.c - what a message or a result consists of, as the
 * parts of Responses: text, media, cache markers. */

#include "openai.h"
#include "responses_write.h"

typedef llmux_responses_out_t out_t;

/* ---- text ------------------------------------------------------------ */

int llmux_responses_marked(const out_t *o, const llmux_block_t *b)
{
    return b->cache_ttl && llmux_writer_can(&o->w, LLMUX_CAN_CACHE_MARK);
}

static void write_marker(out_t *o, int marked)
{
    if (marked) {
        llmux_jw_key(&o->w.jw, "prompt_cache_breakpoint");
        llmux_jw_raw(&o->w.jw, llmux_slice("{\"mode\":\"explicit\"}"));
    }
}

static void open_part(out_t *o, const char *type)
{
    llmux_jw_open(&o->w.jw, '{');
    llmux_jw_key(&o->w.jw, "type");
    llmux_jw_cstr(&o->w.jw, type);
}

void llmux_responses_write_text(out_t *o, const char *type,
                                llmux_slice_t text, int marked)
{
    open_part(o, type);
    llmux_jw_key(&o->w.jw, "text");
    llmux_jw_str(&o->w.jw, text.data ? text : llmux_slice(""));
    write_marker(o, marked);
    llmux_jw_close(&o->w.jw, '}');
}

/* ---- media ----------------------------------------------------------- */

static void refuse(out_t *o, const llmux_media_t *media, const char *param,
                   const char *what)
{
    param = media->param ? media->param : param;
    llmux_writer_refuse(&o->w, param, "'%s' holds %s, which %s does not take.",
                        param ? param : "messages", what,
                        o->w.target->name);
}

/* Straight into the buffer: a copy of an image's base64 would be large. */
static void write_data_url(out_t *o, const char *name,
                           const llmux_media_t *media)
{
    const char *seen = llmux_media_sniff(media->base64);
    llmux_slice_t type = media->type.len
        ? media->type : llmux_slice(seen ? seen : "application/octet-stream");

    llmux_jw_key(&o->w.jw, name);
    llmux_jw_raw(&o->w.jw, llmux_slice("\"data:"));
    llmux_json_escape(o->w.jw.out, type);
    llmux_buf_adds(o->w.jw.out, ";base64,");
    llmux_buf_add_slice(o->w.jw.out, media->base64);
    llmux_buf_adds(o->w.jw.out, "\"");
}

/* A link goes where links are followed. */
static void write_link(out_t *o, const char *name, const llmux_media_t *media,
                       const char *param)
{
    if (!llmux_writer_can(&o->w, LLMUX_CAN_MEDIA_URL)) {
        refuse(o, media, param, "a link to a file");
    }
    llmux_jw_opt_str(&o->w.jw, name, media->url);
}

static void write_image(out_t *o, const llmux_media_t *media,
                        const char *param)
{
    open_part(o, "input_image");
    llmux_jw_opt_str(&o->w.jw, "file_id", media->file_id);
    if (media->url.data) {
        write_link(o, "image_url", media, param);
    }
    else if (media->base64.data) {
        write_data_url(o, "image_url", media);
    }
    llmux_jw_opt_str(&o->w.jw, "detail", media->detail);
}

static void write_audio(out_t *o, const llmux_media_t *media,
                        const char *param)
{
    const char *format = llmux_openai_audio_format(media->type);

    if (!media->base64.data || !format) {
        refuse(o, media, param, media->base64.data
               ? "audio of this format" : "audio by reference");
    }
    open_part(o, "input_audio");
    llmux_jw_key(&o->w.jw, "input_audio");
    llmux_jw_open(&o->w.jw, '{');
    llmux_jw_opt_str(&o->w.jw, "data", media->base64);
    llmux_jw_opt_str(&o->w.jw, "format", llmux_slice(format));
    llmux_jw_close(&o->w.jw, '}');
}

static void write_video(out_t *o, const llmux_media_t *media,
                        const char *param)
{
    refuse(o, media, param, "a video");
    open_part(o, "input_file");
}

/* Bytes are refused without a name. */
static llmux_slice_t filename(const llmux_media_t *media)
{
    if (media->filename.len || !media->base64.data) {
        return media->filename;
    }
    return llmux_slice(media->kind == LLMUX_MEDIA_PDF ? "document.pdf"
                                                      : "file");
}

static void write_file(out_t *o, const llmux_media_t *media,
                       const char *param)
{
    if (!llmux_writer_can(&o->w, LLMUX_CAN_FILE)) {
        refuse(o, media, param, "a file");
    }
    open_part(o, "input_file");
    llmux_jw_opt_str(&o->w.jw, "filename", filename(media));
    llmux_jw_opt_str(&o->w.jw, "file_id", media->file_id);
    if (media->url.data) {
        write_link(o, "file_url", media, param);
    }
    else if (media->base64.data) {
        write_data_url(o, "file_data", media);
    }
    llmux_jw_opt_str(&o->w.jw, "detail", media->detail);
}

void llmux_responses_write_part(out_t *o, const llmux_block_t *b,
                                const char *param, int marked)
{
    static void (*const writers[])(out_t *, const llmux_media_t *,
                                   const char *) = {
        [LLMUX_MEDIA_IMAGE] = write_image,
        [LLMUX_MEDIA_AUDIO] = write_audio,
        [LLMUX_MEDIA_VIDEO] = write_video,
        [LLMUX_MEDIA_PDF] = write_file,
        [LLMUX_MEDIA_TEXT] = write_file,
        [LLMUX_MEDIA_OTHER] = write_file
    };
    llmux_slice_t words = llmux_writer_words(&o->w, b);

    if (words.data || b->kind != LLMUX_BLOCK_MEDIA) {
        llmux_responses_write_text(o, "input_text", words, marked);
        return;
    }
    writers[b->media->kind](o, b->media, param);
    write_marker(o, marked);
    llmux_jw_close(&o->w.jw, '}');
}
