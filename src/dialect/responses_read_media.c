/* responses_read_media.c - pictures, files and sound: links, ids and bytes. */

#include "openai.h"
#include "responses_read.h"

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

void llmux_responses_read_image(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *part, llmux_message_t *m)
{
    static const char *const sources[] = { "image_url", "file_id", NULL };
    llmux_media_t *media = llmux_openai_media_add(r, at, m,
                                                  LLMUX_MEDIA_IMAGE);
    llmux_at_t here = llmux_at(at, "image_url");
    int i = source_of(r, at, part, sources);

    if (i == 0) {
        llmux_openai_media_url(r, &here, llmux_json_get(part, "image_url"),
                               media);
        llmux_openai_media_settle(media);
    }
    else if (i > 0) {
        media->file_id = llmux_reader_need_str(r, at, part, "file_id");
    }
    llmux_openai_media_detail(r, at, part, media);
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
        media = llmux_openai_media_add(r, at, m, LLMUX_MEDIA_IMAGE);
        llmux_openai_media_data(r, &here, result, media, 0);
        llmux_openai_media_settle(media);
    }
}

/* ---- files ------------------------------------------------------------ */

void llmux_responses_read_file(llmux_reader_t *r, const llmux_at_t *at,
                               const llmux_json_t *part, llmux_message_t *m)
{
    static const char *const sources[] =
        { "file_data", "file_url", "file_id", NULL };
    llmux_media_t *media = llmux_openai_media_add(r, at, m,
                                                  LLMUX_MEDIA_OTHER);
    int i = source_of(r, at, part, sources);
    llmux_at_t here = llmux_at(at, i < 0 ? "" : sources[i]);

    media->filename = llmux_reader_str(r, at, part, "filename");
    if (i == 0) {
        llmux_openai_media_data(r, &here, llmux_json_get(part, "file_data"),
                                media, 0);
    }
    else if (i == 1) {
        llmux_openai_media_url(r, &here, llmux_json_get(part, "file_url"),
                               media);
    }
    else if (i == 2) {
        media->file_id = llmux_reader_need_str(r, at, part, "file_id");
    }
    llmux_openai_media_settle(media);
}

/* ---- sound ------------------------------------------------------------ */

void llmux_responses_read_audio(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *part, llmux_message_t *m)
{
    const llmux_json_t *audio = llmux_reader_need(r, at, part, "input_audio",
                                                  LLMUX_JSON_OBJECT);
    llmux_media_t *media = llmux_openai_media_add(r, at, m,
                                                  LLMUX_MEDIA_AUDIO);
    llmux_at_t here = llmux_at(at, "input_audio");
    llmux_at_t data = llmux_at(&here, "data");
    llmux_at_t format = llmux_at(&here, "format");
    llmux_slice_t word = llmux_reader_need_str(r, &here, audio, "format");
    const llmux_json_t *v =
        llmux_reader_need(r, &here, audio, "data", LLMUX_JSON_STRING);

    if (v) {
        llmux_openai_media_data(r, &data, v, media, 0);
    }
    media->type = llmux_slice(llmux_openai_audio_type(word));
    if (word.data && !media->type.data) {
        llmux_reader_fail(r, &format, "expected 'wav', 'mp3' or another audio "
                          "format, found %s", llmux_reader_found(
                              r, llmux_json_get(audio, "format")));
    }
    llmux_openai_media_settle(media);
}
