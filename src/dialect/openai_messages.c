/* openai_messages.c - the list of messages, into turns of blocks. */

#include <string.h>

#include <apr_strings.h>

#include "openai.h"

/* What one message must know of those before it. */
typedef struct history_t {
    llmux_reader_t *r;
    llmux_message_t *open;      /* user turn of tool results: more may come */
    llmux_slice_t legacy_name;  /* function_call that waits for its answer */
    llmux_slice_t legacy_id;
    int index;
} history_t;

typedef void (*role_fn)(history_t *h, const llmux_at_t *at,
                        const llmux_json_t *v);

/* ---- what all messages have ------------------------------------------ */

static llmux_message_t *add_message(history_t *h, llmux_role_e role,
                                    const llmux_json_t *v,
                                    const llmux_at_t *at)
{
    llmux_message_t *m = llmux_chat_message(h->r->chat, role);
    llmux_slice_t name = llmux_reader_str(h->r, at, v, "name");

    m->param = apr_psprintf(h->r->pool, "messages[%d]", h->index);
    if (name.len) {
        m->name = name;
    }
    return m;
}

/* Some clients mark a whole message: its last block, that is. */
static void mark_message(history_t *h, const llmux_at_t *at,
                         const llmux_json_t *v, llmux_message_t *m)
{
    const char *ttl = llmux_openai_read_marker(h->r, at, v);

    if (ttl && m->last) {
        m->last->cache_ttl = ttl;
    }
}

static void read_content(history_t *h, const llmux_at_t *at,
                         const llmux_json_t *v, llmux_openai_of_e of,
                         llmux_message_t *m)
{
    llmux_at_t here = llmux_at(at, "content");

    llmux_openai_read_content(h->r, &here, llmux_json_get_any(v, "content"),
                              of, m);
}

static int has_content(const llmux_json_t *v)
{
    return llmux_json_get(v, "content") != NULL;
}

/* ---- system and user ------------------------------------------------- */

static void read_system(history_t *h, const llmux_at_t *at,
                        const llmux_json_t *v)
{
    llmux_message_t *m = add_message(h, LLMUX_ROLE_SYSTEM, v, at);

    h->open = NULL;
    read_content(h, at, v, LLMUX_OPENAI_OF_SYSTEM, m);
    mark_message(h, at, v, m);
}

/* Directly behind tool results it is the rest of the same turn. */
static void read_user(history_t *h, const llmux_at_t *at,
                      const llmux_json_t *v)
{
    llmux_message_t *m = h->open;

    if (m) {
        m->name = llmux_reader_str(h->r, at, v, "name");
    }
    else {
        m = add_message(h, LLMUX_ROLE_USER, v, at);
    }
    h->open = NULL;
    read_content(h, at, v, LLMUX_OPENAI_OF_USER, m);
    mark_message(h, at, v, m);
}

/* ---- tool results ---------------------------------------------------- */

static void add_result(history_t *h, const llmux_at_t *at,
                       const llmux_json_t *v, llmux_slice_t id)
{
    llmux_message_t list = { 0 };
    llmux_block_t *b;

    if (has_content(v)) {
        read_content(h, at, v, LLMUX_OPENAI_OF_TOOL, &list);
    }
    if (!h->open) {
        h->open = llmux_chat_message(h->r->chat, LLMUX_ROLE_USER);
        h->open->param = apr_psprintf(h->r->pool, "messages[%d]", h->index);
    }
    b = llmux_message_block(h->r->chat, h->open, LLMUX_BLOCK_RESULT);
    b->result = apr_pcalloc(h->r->pool, sizeof(*b->result));
    b->result->call_id = id;
    b->result->is_error = LLMUX_UNSET;
    b->result->blocks = list.blocks;
    b->cache_ttl = llmux_openai_read_marker(h->r, at, v);
}

static void read_tool(history_t *h, const llmux_at_t *at,
                      const llmux_json_t *v)
{
    add_result(h, at, v,
               llmux_reader_need_str(h->r, at, v, "tool_call_id"));
}

/* Legacy calls have no ids: what we make up depends on the place alone, so
 * that it is the same in each turn of the conversation. */
static llmux_slice_t legacy_id(history_t *h)
{
    return llmux_slice(apr_psprintf(h->r->pool, "call_function_%d",
                                    h->index));
}

static void read_function(history_t *h, const llmux_at_t *at,
                          const llmux_json_t *v)
{
    llmux_slice_t name = llmux_reader_need_str(h->r, at, v, "name");
    llmux_slice_t id = legacy_id(h);

    if (llmux_slice_equal(name, h->legacy_name)) {
        id = h->legacy_id;
        h->legacy_name = llmux_slice(NULL);
    }
    add_result(h, at, v, id);
}

/* ---- reasoning ------------------------------------------------------- */

static const struct { const char *prefix; llmux_maker_e maker; } formats[] = {
    { "anthropic-", LLMUX_MAKER_ANTHROPIC },
    { "google-",    LLMUX_MAKER_GEMINI    },
    { "openai-",    LLMUX_MAKER_OPENAI    }
};

/* Servers that do not name the format pass Anthropic's blocks on. */
static llmux_maker_e maker_of(llmux_slice_t format)
{
    apr_size_t i;

    if (!format.data) {
        return LLMUX_MAKER_ANTHROPIC;
    }
    for (i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
        if (llmux_slice_starts(format, formats[i].prefix)) {
            return formats[i].maker;
        }
    }
    return LLMUX_MAKER_NONE;
}

/* A token of an unknown maker can go back to nobody; its text still may. Ours
 * are sealed; one that is not is another server's, whose word counts. */
static void add_think(llmux_reader_t *r, llmux_message_t *m,
                      llmux_slice_t text, llmux_maker_e maker,
                      llmux_slice_t sealed)
{
    llmux_token_t token = llmux_token_open(r->chat, sealed, maker);
    llmux_block_t *b;

    if (text.len || token.bytes.len) {
        b = llmux_message_block(r->chat, m, LLMUX_BLOCK_THINK);
        b->text = text;
        b->token = token;
    }
}

typedef void (*detail_fn)(llmux_reader_t *r, const llmux_at_t *at,
                          const llmux_json_t *v, llmux_message_t *m);

typedef struct detail_t {
    const char *type;
    detail_fn read;
} detail_t;

static void read_detail_text(llmux_reader_t *r, const llmux_at_t *at,
                             const llmux_json_t *v, llmux_message_t *m)
{
    llmux_slice_t text = llmux_reader_str(r, at, v, "text");
    llmux_slice_t signature = llmux_reader_str(r, at, v, "signature");

    add_think(r, m, text, maker_of(llmux_reader_str(r, at, v, "format")),
              signature);
}

static void read_detail_summary(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *v, llmux_message_t *m)
{
    add_think(r, m, llmux_reader_str(r, at, v, "summary"), LLMUX_MAKER_NONE,
              llmux_slice(NULL));
}

static void read_detail_encrypted(llmux_reader_t *r, const llmux_at_t *at,
                                  const llmux_json_t *v, llmux_message_t *m)
{
    llmux_maker_e maker = maker_of(llmux_reader_str(r, at, v, "format"));

    if (maker == LLMUX_MAKER_ANTHROPIC) {
        maker = LLMUX_MAKER_ANTHROPIC_REDACTED;
    }
    add_think(r, m, llmux_slice(NULL), maker,
              llmux_reader_str(r, at, v, "data"));
}

static void read_block_thinking(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *v, llmux_message_t *m)
{
    add_think(r, m, llmux_reader_str(r, at, v, "thinking"),
              LLMUX_MAKER_ANTHROPIC, llmux_reader_str(r, at, v, "signature"));
}

static void read_block_redacted(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *v, llmux_message_t *m)
{
    add_think(r, m, llmux_slice(NULL), LLMUX_MAKER_ANTHROPIC_REDACTED,
              llmux_reader_str(r, at, v, "data"));
}

/* OpenRouter's shape, and the one that our own answers have. */
static const detail_t reasoning_details[] = {
    { "reasoning.text",      read_detail_text      },
    { "reasoning.summary",   read_detail_summary   },
    { "reasoning.encrypted", read_detail_encrypted },
    { NULL,                  NULL                  }
};

/* LiteLLM's shape. */
static const detail_t thinking_blocks[] = {
    { "thinking",          read_block_thinking },
    { "redacted_thinking", read_block_redacted },
    { NULL,                NULL                }
};

/* Reasoning is a hint: types we do not know are skipped. */
static void read_details(llmux_reader_t *r, const llmux_at_t *at,
                         const llmux_json_t *list, const detail_t *types,
                         llmux_message_t *m)
{
    const llmux_json_t *e;
    const detail_t *t;
    llmux_at_t each;
    int i = 0;

    for (e = llmux_json_first(list); e && !r->err;
         e = llmux_json_next(list, e)) {
        each = llmux_at_index(at, i++);
        if (!llmux_reader_expect(r, &each, e, LLMUX_JSON_OBJECT)) {
            return;
        }
        for (t = types; t->type; t++) {
            if (llmux_json_is(llmux_json_get(e, "type"), t->type)) {
                t->read(r, &each, e, m);
            }
        }
    }
}

/* The same thoughts often come in several members: the one that tells most
 * is taken. */
static void read_thoughts(llmux_reader_t *r, const llmux_at_t *at,
                          const llmux_json_t *v, llmux_message_t *m)
{
    static const struct { const char *name; const detail_t *types; } lists[] = {
        { "reasoning_details", reasoning_details },
        { "thinking_blocks",   thinking_blocks   }
    };
    static const char *const texts[] = { "reasoning_content", "reasoning" };
    const llmux_json_t *list;
    llmux_at_t here;
    int i;

    for (i = 0; i < 2 && !m->blocks; i++) {
        here = llmux_at(at, lists[i].name);
        list = llmux_reader_member(r, at, v, lists[i].name, LLMUX_JSON_ARRAY);
        read_details(r, &here, list, lists[i].types, m);
    }
    for (i = 0; i < 2 && !m->blocks; i++) {
        add_think(r, m, llmux_reader_str(r, at, v, texts[i]),
                  LLMUX_MAKER_NONE, llmux_slice(NULL));
    }
}

/* ---- assistant ------------------------------------------------------- */

static llmux_call_t *add_call(llmux_reader_t *r, llmux_message_t *m)
{
    llmux_block_t *b = llmux_message_block(r->chat, m, LLMUX_BLOCK_CALL);

    b->call = apr_pcalloc(r->pool, sizeof(*b->call));
    return b->call;
}

/* Calls without arguments come with "", null or nothing. */
static llmux_slice_t read_args(llmux_reader_t *r, const llmux_at_t *at,
                               const llmux_json_t *function)
{
    llmux_slice_t args = llmux_reader_str(r, at, function, "arguments");

    return llmux_slice_blank(args) ? llmux_slice("{}") : args;
}

static void read_function_call(llmux_reader_t *r, const llmux_at_t *at,
                               const llmux_json_t *v, llmux_call_t *call)
{
    const llmux_json_t *function =
        llmux_reader_need(r, at, v, "function", LLMUX_JSON_OBJECT);
    llmux_at_t here = llmux_at(at, "function");

    if (function) {
        call->name = llmux_reader_need_str(r, &here, function, "name");
        call->args = read_args(r, &here, function);
    }
}

static void read_custom_call(llmux_reader_t *r, const llmux_at_t *at,
                             const llmux_json_t *v, llmux_call_t *call)
{
    const llmux_json_t *custom =
        llmux_reader_need(r, at, v, "custom", LLMUX_JSON_OBJECT);
    llmux_at_t here = llmux_at(at, "custom");
    const llmux_json_t *input;

    if (custom) {
        call->custom = 1;
        call->name = llmux_reader_need_str(r, &here, custom, "name");
        input = llmux_reader_need(r, &here, custom, "input",
                                  LLMUX_JSON_STRING);
        call->args = llmux_json_str(r->pool, input);
    }
}

/* Where Google's own compatible server puts it. */
static void read_call_token(llmux_reader_t *r, const llmux_json_t *v,
                            llmux_call_t *call)
{
    const llmux_json_t *google =
        llmux_json_get(llmux_json_get(v, "extra_content"), "google");

    call->token = llmux_token_open(
        r->chat, llmux_json_str(r->pool, llmux_json_get(google,
                                                        "thought_signature")),
        LLMUX_MAKER_GEMINI);
}

static void read_call(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *v, llmux_message_t *m)
{
    static const char *const types[] = { "function", "custom", NULL };
    const llmux_json_t *type;
    llmux_at_t here = llmux_at(at, "type");
    llmux_call_t *call;

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    call = add_call(r, m);
    call->id = llmux_reader_need_str(r, at, v, "id");
    type = llmux_json_get(v, "type");
    if (type && llmux_reader_word(r, &here, type, types) == 1) {
        read_custom_call(r, at, v, call);
    }
    else {
        read_function_call(r, at, v, call);
    }
    read_call_token(r, v, call);
}

static void read_calls(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *v, llmux_message_t *m)
{
    const llmux_json_t *calls = llmux_reader_member(r, at, v, "tool_calls",
                                                    LLMUX_JSON_ARRAY), *e;
    llmux_at_t here = llmux_at(at, "tool_calls"), each;
    int i = 0;

    for (e = llmux_json_first(calls); e && !r->err;
         e = llmux_json_next(calls, e)) {
        each = llmux_at_index(&here, i++);
        read_call(r, &each, e, m);
    }
}

static void read_legacy_call(history_t *h, const llmux_at_t *at,
                             const llmux_json_t *v, llmux_message_t *m)
{
    const llmux_json_t *function = llmux_reader_member(
        h->r, at, v, "function_call", LLMUX_JSON_OBJECT);
    llmux_at_t here = llmux_at(at, "function_call");
    llmux_call_t *call;

    if (!function) {
        return;
    }
    call = add_call(h->r, m);
    call->id = legacy_id(h);
    call->name = llmux_reader_need_str(h->r, &here, function, "name");
    call->args = read_args(h->r, &here, function);
    h->legacy_id = call->id;
    h->legacy_name = call->name;
}

/* An earlier answer in sound, by its id: a medium that only its maker can
 * look up, so that nobody else's writer passes over it. */
static void read_spoken(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, llmux_message_t *m)
{
    const llmux_json_t *audio =
        llmux_reader_member(r, at, v, "audio", LLMUX_JSON_OBJECT);
    llmux_at_t here = llmux_at(at, "audio");
    llmux_block_t *b;

    if (audio) {
        b = llmux_message_block(r->chat, m, LLMUX_BLOCK_MEDIA);
        b->media = apr_pcalloc(r->pool, sizeof(*b->media));
        b->media->kind = LLMUX_MEDIA_AUDIO;
        b->media->param = llmux_at_text(r->pool, &here);
        b->media->file_id = llmux_reader_need_str(r, &here, audio, "id");
    }
}

/* Pictures of an earlier answer, in the shape that ours have. */
static void read_images(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, llmux_message_t *m)
{
    const llmux_json_t *images =
        llmux_reader_member(r, at, v, "images", LLMUX_JSON_ARRAY);
    llmux_at_t here = llmux_at(at, "images");

    if (llmux_json_count(images)) {
        llmux_openai_read_content(r, &here, images, LLMUX_OPENAI_OF_USER, m);
    }
}

static void read_said_no(llmux_reader_t *r, const llmux_at_t *at,
                         const llmux_json_t *v, llmux_message_t *m)
{
    llmux_slice_t refusal = llmux_reader_str(r, at, v, "refusal");

    if (refusal.len) {
        llmux_message_block(r->chat, m, LLMUX_BLOCK_REFUSAL)->text = refusal;
    }
}

static void read_assistant(history_t *h, const llmux_at_t *at,
                           const llmux_json_t *v)
{
    llmux_message_t *m = add_message(h, LLMUX_ROLE_ASSISTANT, v, at);

    h->open = NULL;
    read_thoughts(h->r, at, v, m);
    if (has_content(v)) {
        read_content(h, at, v, LLMUX_OPENAI_OF_ASSISTANT, m);
    }
    read_said_no(h->r, at, v, m);
    read_spoken(h->r, at, v, m);
    read_images(h->r, at, v, m);
    read_calls(h->r, at, v, m);
    read_legacy_call(h, at, v, m);
    mark_message(h, at, v, m);
}

/* ---- the list -------------------------------------------------------- */

static const char *const roles[] = {
    "developer", "system", "user", "assistant", "tool", "function", NULL
};

static const role_fn readers[] = {
    read_system, read_system, read_user, read_assistant, read_tool,
    read_function
};

static void read_message(history_t *h, const llmux_at_t *at,
                         const llmux_json_t *v)
{
    const llmux_json_t *role;
    llmux_at_t here = llmux_at(at, "role");
    int i;

    if (!llmux_reader_expect(h->r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    role = llmux_reader_need(h->r, at, v, "role", LLMUX_JSON_STRING);
    i = role ? llmux_reader_word(h->r, &here, role, roles) : -1;
    if (i >= 0) {
        readers[i](h, at, v);
    }
}

void llmux_openai_read_messages(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *messages)
{
    history_t h = { .r = r };
    const llmux_json_t *e;
    llmux_at_t each;

    if (!llmux_reader_expect(r, at, messages, LLMUX_JSON_ARRAY)) {
        return;
    }
    if (!llmux_json_count(messages)) {
        llmux_reader_fail(r, at, "expected at least one message, found an "
                          "empty array");
    }
    for (e = llmux_json_first(messages); e && !r->err;
         e = llmux_json_next(messages, e)) {
        each = llmux_at_index(at, h.index);
        read_message(&h, &each, e);
        h.index++;
    }
}
