/* openai_write_parts.c - what a message consists of, as chat completions'
 * parts: text, media, cache markers. */

#include "openai.h"

/* ---- media ----------------------------------------------------------- */

void llmux_openai_refuse(llmux_openai_out_t *o, const llmux_media_t *media,
                         const char *param, const char *what)
{
    param = media->param ? media->param : param;
    if (!o->err) {
        o->err = llmux_error(o->chat->pool, LLMUX_ERR_UNSUPPORTED, param,
                             "'%s' holds %s, which %s does not take",
                             param ? param : "messages", what,
                             o->target->name);
    }
}

/* Straight into the buffer: a copy of an image's base64 would be large. */
static void write_data_url(llmux_openai_out_t *o, const llmux_media_t *media)
{
    llmux_slice_t type = media->type.len
        ? media->type : llmux_slice("application/octet-stream");

    llmux_jw_raw(&o->jw, llmux_slice("\"data:"));
    llmux_json_escape(o->jw.out, type);
    llmux_buf_adds(o->jw.out, ";base64,");
    llmux_buf_add_slice(o->jw.out, media->base64);
    llmux_buf_adds(o->jw.out, "\"");
}

/* An image or a video: a link or the data, as {"url": ...}. */
static void write_link(llmux_openai_out_t *o, const llmux_media_t *media,
                       const char *param, const char *name)
{
    if (media->file_id.data) {
        llmux_openai_refuse(o, media, param, "a file id in place of the file");
    }
    if (media->url.data && !llmux_openai_can(o, LLMUX_CAN_MEDIA_URL)) {
        llmux_openai_refuse(o, media, param, "a link to a file");
    }
    llmux_jw_key(&o->jw, "type");
    llmux_jw_cstr(&o->jw, name);
    llmux_jw_key(&o->jw, name);
    llmux_jw_open(&o->jw, '{');
    llmux_jw_key(&o->jw, "url");
    if (media->url.data) {
        llmux_jw_str(&o->jw, media->url);
    }
    else {
        write_data_url(o, media);
    }
    llmux_jw_opt_str(&o->jw, "detail", media->detail);
    llmux_jw_close(&o->jw, '}');
}

static void write_image(llmux_openai_out_t *o, const llmux_media_t *media,
                        const char *param)
{
    write_link(o, media, param, "image_url");
}

/* No part of OpenAI's own, but what all servers that take videos have. */
static void write_video(llmux_openai_out_t *o, const llmux_media_t *media,
                        const char *param)
{
    write_link(o, media, param, "video_url");
}

static void write_audio(llmux_openai_out_t *o, const llmux_media_t *media,
                        const char *param)
{
    const char *format = llmux_openai_audio_format(media->type);

    if (!media->base64.data || !format) {
        llmux_openai_refuse(o, media, param, media->base64.data
                            ? "audio of this format" : "audio by reference");
    }
    llmux_jw_key(&o->jw, "type");
    llmux_jw_cstr(&o->jw, "input_audio");
    llmux_jw_key(&o->jw, "input_audio");
    llmux_jw_open(&o->jw, '{');
    llmux_jw_opt_str(&o->jw, "data", media->base64);
    llmux_jw_opt_str(&o->jw, "format", llmux_slice(format));
    llmux_jw_close(&o->jw, '}');
}

static void write_file(llmux_openai_out_t *o, const llmux_media_t *media,
                       const char *param)
{
    if (!llmux_openai_can(o, LLMUX_CAN_FILE)) {
        llmux_openai_refuse(o, media, param, "a file");
    }
    if (media->url.data) {
        llmux_openai_refuse(o, media, param, "a link to a document");
    }
    llmux_jw_key(&o->jw, "type");
    llmux_jw_cstr(&o->jw, "file");
    llmux_jw_key(&o->jw, "file");
    llmux_jw_open(&o->jw, '{');
    llmux_jw_opt_str(&o->jw, "filename", media->filename);
    llmux_jw_opt_str(&o->jw, "file_id", media->file_id);
    if (media->base64.data) {
        llmux_jw_key(&o->jw, "file_data");
        write_data_url(o, media);
    }
    llmux_jw_close(&o->jw, '}');
}

/* Text files are told as text: the file part is made for PDF. */
static void write_text_file(llmux_openai_out_t *o, const llmux_media_t *media,
                            const char *param)
{
    llmux_slice_t text;

    if (!media->base64.data) {
        write_file(o, media, param);
        return;
    }
    text = llmux_base64_decode(o->pool, media->base64);
    llmux_jw_key(&o->jw, "type");
    llmux_jw_cstr(&o->jw, "text");
    llmux_jw_key(&o->jw, "text");
    llmux_jw_raw(&o->jw, llmux_slice("\"File "));
    llmux_json_escape(o->jw.out, media->filename);
    llmux_buf_adds(o->jw.out, ":\\n\\n");
    llmux_json_escape(o->jw.out, text);
    llmux_buf_adds(o->jw.out, "\"");
}

/* ---- parts ----------------------------------------------------------- */

void llmux_openai_write_text(llmux_openai_out_t *o, llmux_slice_t text)
{
    llmux_jw_key(&o->jw, "type");
    llmux_jw_cstr(&o->jw, "text");
    llmux_jw_key(&o->jw, "text");
    llmux_jw_str(&o->jw, text.data ? text : llmux_slice(""));
}

void llmux_openai_write_text_part(llmux_openai_out_t *o, llmux_slice_t text)
{
    llmux_jw_open(&o->jw, '{');
    llmux_openai_write_text(o, text);
    llmux_jw_close(&o->jw, '}');
}

int llmux_openai_marked(const llmux_openai_out_t *o, const llmux_block_t *b)
{
    return b->cache_ttl && llmux_openai_can(o, LLMUX_CAN_CACHE_MARK);
}

void llmux_openai_write_marker(llmux_openai_out_t *o)
{
    llmux_jw_key(&o->jw, "prompt_cache_breakpoint");
    llmux_jw_raw(&o->jw, llmux_slice("{\"mode\":\"explicit\"}"));
}

void llmux_openai_write_part(llmux_openai_out_t *o, const llmux_block_t *b,
                             const char *param)
{
    static void (*const writers[])(llmux_openai_out_t *,
                                   const llmux_media_t *, const char *) = {
        [LLMUX_MEDIA_IMAGE] = write_image,
        [LLMUX_MEDIA_AUDIO] = write_audio,
        [LLMUX_MEDIA_VIDEO] = write_video,
        [LLMUX_MEDIA_PDF] = write_file,
        [LLMUX_MEDIA_TEXT] = write_text_file,
        [LLMUX_MEDIA_OTHER] = write_file
    };

    llmux_jw_open(&o->jw, '{');
    if (b->kind == LLMUX_BLOCK_MEDIA) {
        writers[b->media->kind](o, b->media, param);
    }
    else {
        llmux_openai_write_text(o, b->text);
    }
    if (llmux_openai_marked(o, b)) {
        llmux_openai_write_marker(o);
    }
    llmux_jw_close(&o->jw, '}');
}
