/* responses_read_parts.c - what messages and results consist of. */

#include "openai.h"
#include "responses_read.h"

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

#define OF_ANY   (LLMUX_OPENAI_OF_SYSTEM | LLMUX_OPENAI_OF_USER \
                  | LLMUX_OPENAI_OF_ASSISTANT | LLMUX_OPENAI_OF_TOOL)
#define OF_MEDIA (LLMUX_OPENAI_OF_USER | LLMUX_OPENAI_OF_TOOL)

static const llmux_openai_part_t parts[] = {
    { "input_text",  OF_ANY,                    read_text },
    { "output_text", LLMUX_OPENAI_OF_ASSISTANT, read_text },
    { "refusal",     LLMUX_OPENAI_OF_ASSISTANT, read_refusal },
    { "input_image", OF_MEDIA,                  llmux_responses_read_image },
    { "input_file",  OF_MEDIA,                  llmux_responses_read_file },
    { "input_audio", OF_MEDIA,                  llmux_responses_read_audio },
    { NULL,          0,                         NULL }
};

void llmux_responses_read_content(llmux_reader_t *r, const llmux_at_t *at,
                                  const llmux_json_t *v,
                                  llmux_openai_of_e of, llmux_message_t *m)
{
    llmux_openai_read_parts(r, at, v, of, parts, m);
}
