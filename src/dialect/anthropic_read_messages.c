/* anthropic_read_messages.c - the system prompt and the list of messages. */

#include "anthropic_read.h"

static const char *const words[] = { "user", "assistant", "system", NULL };

/* By its number among the words. */
static const struct {
    llmux_role_e role;
    llmux_anthropic_of_e of;
} roles[] = {
    { LLMUX_ROLE_USER,      LLMUX_ANTHROPIC_OF_USER },
    { LLMUX_ROLE_ASSISTANT, LLMUX_ANTHROPIC_OF_ASSISTANT },
    { LLMUX_ROLE_SYSTEM,    LLMUX_ANTHROPIC_OF_SYSTEM }
};

void llmux_anthropic_read_system(llmux_reader_t *r, const llmux_at_t *at,
                                 const llmux_json_t *v)
{
    llmux_message_t *m;

    if (llmux_json_kind(v) == LLMUX_JSON_STRING
            ? llmux_slice_blank(llmux_json_str(r->pool, v))
            : llmux_json_kind(v) == LLMUX_JSON_ARRAY
              && !llmux_json_count(v)) {
        return;
    }
    m = llmux_chat_message(r->chat, LLMUX_ROLE_SYSTEM);
    m->param = "system";
    llmux_anthropic_read_content(r, at, v, LLMUX_ANTHROPIC_OF_SYSTEM, m);
}

static void read_message(llmux_reader_t *r, const llmux_at_t *at,
                         const llmux_json_t *v)
{
    llmux_at_t role = llmux_at(at, "role"), content = llmux_at(at, "content");
    llmux_message_t *m;
    int i;

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    i = llmux_reader_word(r, &role, llmux_json_get(v, "role"), words);
    if (i < 0) {
        return;
    }
    m = llmux_chat_message(r->chat, roles[i].role);
    m->param = llmux_at_text(r->pool, at);
    llmux_anthropic_read_content(r, &content, llmux_json_get_any(v, "content"),
                                 roles[i].of, m);
}

void llmux_anthropic_read_messages(llmux_reader_t *r, const llmux_at_t *at,
                                   const llmux_json_t *v)
{
    const llmux_json_t *e;
    llmux_at_t each;
    int i = 0;

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_ARRAY)) {
        return;
    }
    if (!llmux_json_count(v)) {
        llmux_reader_fail(r, at, "expected at least one message, found an "
                          "empty array");
    }
    for (e = llmux_json_first(v); e && !r->err; e = llmux_json_next(v, e)) {
        each = llmux_at_index(at, i++);
        read_message(r, &each, e);
    }
}
