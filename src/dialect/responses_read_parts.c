/* responses_read_parts.c - what messages and results consist of. */

#include <apr_strings.h>

#include "openai.h"
#include "responses_read.h"

typedef struct part_t {
    const char *type;
    unsigned int of;        /* LLMUX_RESPONSES_OF_*: in whose content */
    void (*read)(llmux_reader_t *r, const llmux_at_t *at,
                 const llmux_json_t *part, llmux_message_t *m);
} part_t;

static void read_as(llmux_reader_t *r, const llmux_at_t *at,
                    const llmux_json_t *part, const char *name,
                    llmux_message_t *m, llmux_block_e kind)
{
    llmux_message_block(r->chat, m, kind)->text = llmux_json_str(
        r->pool, llmux_reader_need(r, at, part, name, LLMUX_JSON_STRING));
}

static void read_text(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *part, llmux_message_t *m)
{
    read_as(r, at, part, "text", m, LLMUX_BLOCK_TEXT);
}

static void read_refusal(llmux_reader_t *r, const llmux_at_t *at,
                         const llmux_json_t *part, llmux_message_t *m)
{
    read_as(r, at, part, "refusal", m, LLMUX_BLOCK_REFUSAL);
}

#define OF_ANY   (LLMUX_RESPONSES_OF_SYSTEM | LLMUX_RESPONSES_OF_USER \
                  | LLMUX_RESPONSES_OF_ASSISTANT | LLMUX_RESPONSES_OF_TOOL)
#define OF_MEDIA (LLMUX_RESPONSES_OF_USER | LLMUX_RESPONSES_OF_TOOL)

static const part_t parts[] = {
    { "input_text",  OF_ANY,                       read_text },
    { "output_text", LLMUX_RESPONSES_OF_ASSISTANT, read_text },
    { "refusal",     LLMUX_RESPONSES_OF_ASSISTANT, read_refusal },
    { "input_image", OF_MEDIA,                     llmux_responses_read_image },
    { "input_file",  OF_MEDIA,                     llmux_responses_read_file },
    { "input_audio", OF_MEDIA,                     llmux_responses_read_audio }
};

#define PARTS (sizeof(parts) / sizeof(*parts))

static const char *parts_listed(apr_pool_t *p, llmux_responses_of_e of)
{
    const char *list = NULL;
    apr_size_t i;

    for (i = 0; i < PARTS; i++) {
        if (parts[i].of & of) {
            list = apr_pstrcat(p, list ? list : "", list ? ", '" : "'",
                               parts[i].type, "'", NULL);
        }
    }
    return list;
}

static const part_t *part_of(llmux_reader_t *r, const llmux_at_t *at,
                             const llmux_json_t *v, llmux_responses_of_e of)
{
    const llmux_json_t *type =
        llmux_reader_need(r, at, v, "type", LLMUX_JSON_STRING);
    llmux_at_t here = llmux_at(at, "type");
    apr_size_t i;

    for (i = 0; type && i < PARTS; i++) {
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
                      const llmux_json_t *v, llmux_responses_of_e of,
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

/* An empty answer says nothing; an empty question does. */
static void read_plain(llmux_reader_t *r, const llmux_json_t *v,
                       llmux_responses_of_e of, llmux_message_t *m)
{
    llmux_slice_t text = llmux_json_str(r->pool, v);

    if (text.len || of != LLMUX_RESPONSES_OF_ASSISTANT) {
        llmux_message_block(r->chat, m, LLMUX_BLOCK_TEXT)->text = text;
    }
}

void llmux_responses_read_content(llmux_reader_t *r, const llmux_at_t *at,
                                  const llmux_json_t *v,
                                  llmux_responses_of_e of,
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
    if (!e && (of & (LLMUX_RESPONSES_OF_SYSTEM | LLMUX_RESPONSES_OF_USER))) {
        llmux_reader_fail(r, at, "expected at least one part");
    }
    for (; e && !r->err; e = llmux_json_next(v, e)) {
        each = llmux_at_index(at, i++);
        read_part(r, &each, e, of, m);
    }
}
