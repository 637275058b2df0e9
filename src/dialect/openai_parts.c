/* openai_parts.c - what a message's content consists of: text, media. */

#include <apr_strings.h>

#include "openai.h"

/* ---- one reader per part --------------------------------------------- */

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
        llmux_openai_media_url(r, at, v, media);
    }
    else if (llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        v = llmux_reader_need(r, at, v, "url", LLMUX_JSON_STRING);
        if (v) {
            llmux_openai_media_url(r, &url, v, media);
        }
    }
    llmux_openai_media_settle(media);
}

static void read_image(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *part, llmux_message_t *m)
{
    const llmux_json_t *image = llmux_json_get(part, "image_url");
    llmux_media_t *media = llmux_openai_media_add(r, at, m,
                                                  LLMUX_MEDIA_IMAGE);
    llmux_at_t here = llmux_at(at, "image_url");

    read_link(r, &here, image, media);
    llmux_openai_media_detail(r, &here, image, media);
}

static void read_video(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *part, llmux_message_t *m)
{
    llmux_media_t *media = llmux_openai_media_add(r, at, m,
                                                  LLMUX_MEDIA_VIDEO);
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
    llmux_media_t *media = llmux_openai_media_add(r, at, m,
                                                  LLMUX_MEDIA_AUDIO);
    llmux_at_t here = llmux_at(at, "input_audio");
    llmux_at_t data = llmux_at(&here, "data");
    const llmux_json_t *v;

    if (!audio) {
        return;
    }
    v = llmux_reader_need(r, &here, audio, "data", LLMUX_JSON_STRING);
    if (v) {
        llmux_openai_media_data(r, &data, v, media, 1);
    }
    read_audio_format(r, &here, audio, media);
    llmux_openai_media_settle(media);
}

static void read_file_data(llmux_reader_t *r, const llmux_at_t *at,
                           const llmux_json_t *v, llmux_media_t *media)
{
    llmux_at_t here = llmux_at(at, "file_data");

    llmux_openai_media_data(r, &here, v, media, 1);
    llmux_openai_media_settle(media);
}

static void read_file(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *part, llmux_message_t *m)
{
    const llmux_json_t *file =
        llmux_reader_need(r, at, part, "file", LLMUX_JSON_OBJECT);
    llmux_media_t *media = llmux_openai_media_add(r, at, m,
                                                  LLMUX_MEDIA_OTHER);
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

static const char *parts_listed(apr_pool_t *p, llmux_openai_of_e of,
                                const llmux_openai_part_t *part)
{
    const char *list = NULL;

    for (; part->type; part++) {
        if (part->of & of) {
            list = apr_pstrcat(p, list ? list : "", list ? ", '" : "'",
                               part->type, "'", NULL);
        }
    }
    return list;
}

static const llmux_openai_part_t *part_of(llmux_reader_t *r,
                                          const llmux_at_t *at,
                                          const llmux_json_t *v,
                                          llmux_openai_of_e of,
                                          const llmux_openai_part_t *parts)
{
    const llmux_json_t *type =
        llmux_reader_need(r, at, v, "type", LLMUX_JSON_STRING);
    llmux_at_t here = llmux_at(at, "type");
    const llmux_openai_part_t *part;

    for (part = parts; type && part->type; part++) {
        if ((part->of & of) && llmux_json_is(type, part->type)) {
            return part;
        }
    }
    if (type) {
        llmux_reader_fail(r, &here, "expected one of %s here, found %s",
                          parts_listed(r->pool, of, parts),
                          llmux_reader_found(r, type));
    }
    return NULL;
}

static void read_part(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *v, llmux_openai_of_e of,
                      const llmux_openai_part_t *parts, llmux_message_t *m)
{
    const llmux_block_t *before = m->last;
    const llmux_openai_part_t *part;

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    part = part_of(r, at, v, of, parts);
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

void llmux_openai_read_parts(llmux_reader_t *r, const llmux_at_t *at,
                             const llmux_json_t *v, llmux_openai_of_e of,
                             const llmux_openai_part_t *parts,
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
        read_part(r, &each, e, of, parts, m);
    }
}

#define OF_ANY   (LLMUX_OPENAI_OF_SYSTEM | LLMUX_OPENAI_OF_USER \
                  | LLMUX_OPENAI_OF_ASSISTANT | LLMUX_OPENAI_OF_TOOL)
/* OpenAI's tools answer with text alone, other servers' with media too. */
#define OF_MEDIA (LLMUX_OPENAI_OF_USER | LLMUX_OPENAI_OF_TOOL)

static const llmux_openai_part_t parts[] = {
    { "text",        OF_ANY,                    read_text     },
    { "image_url",   OF_MEDIA,                  read_image    },
    { "input_audio", OF_MEDIA,                  read_audio    },
    { "file",        OF_MEDIA,                  read_file     },
    { "video_url",   OF_MEDIA,                  read_video    },
    { "refusal",     LLMUX_OPENAI_OF_ASSISTANT, read_refusal  },
    { "thinking",    LLMUX_OPENAI_OF_ASSISTANT, read_thinking },
    { NULL,          0,                         NULL          }
};

void llmux_openai_read_content(llmux_reader_t *r, const llmux_at_t *at,
                               const llmux_json_t *v, llmux_openai_of_e of,
                               llmux_message_t *m)
{
    llmux_openai_read_parts(r, at, v, of, parts, m);
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
