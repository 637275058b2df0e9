/* responses_read_items.c - the input's items, into turns of blocks.
 *
 * Items are finer than turns: an answer's reasoning, message and calls are
 * one turn of the assistant, the results of its calls and what the user says
 * next are one turn of the user. */

#include <string.h>

#include <apr_strings.h>

#include "openai.h"
#include "responses_read.h"

/* What one item must know of those before it. */
typedef struct history_t {
    llmux_reader_t *r;
    llmux_message_t *answer;    /* the assistant's turn: more may come */
    int spoke;                  /* it has text, and no call yet */
    llmux_call_t *call;         /* the last one in it */
    llmux_slice_t early_id;     /* a call's token that came before the call */
    llmux_token_t early;
    llmux_message_t *results;   /* a user's turn of results, likewise open */
    unsigned int skipped;       /* kinds of items that were left out */
    int index;
} history_t;

typedef void (*item_fn)(history_t *h, const llmux_at_t *at,
                        const llmux_json_t *v);

/* ---- turns ------------------------------------------------------------ */

static llmux_message_t *add_message(history_t *h, llmux_role_e role)
{
    llmux_message_t *m = llmux_chat_message(h->r->chat, role);

    m->param = apr_psprintf(h->r->pool, "input[%d]", h->index);
    h->answer = role == LLMUX_ROLE_ASSISTANT ? m : NULL;
    h->spoke = 0;
    h->call = NULL;
    h->early_id = llmux_slice(NULL);
    h->results = NULL;
    return m;
}

/* The assistant's turn that calls, pictures and reasoning belong to. */
static llmux_message_t *answer_of(history_t *h)
{
    return h->answer ? h->answer : add_message(h, LLMUX_ROLE_ASSISTANT);
}

/* Two messages in a row stay two, as their phases may differ, and reasoning
 * between them is the second one's. With calls between them they are one
 * turn: results must follow right behind it. */
static llmux_message_t *next_answer(history_t *h)
{
    if (h->spoke && !h->call) {
        h->answer = NULL;
    }
    return answer_of(h);
}

/* ---- messages --------------------------------------------------------- */

static void read_content(history_t *h, const llmux_at_t *at,
                         const llmux_json_t *v, llmux_openai_of_e of,
                         llmux_message_t *m)
{
    llmux_at_t here = llmux_at(at, "content");

    llmux_responses_read_content(h->r, &here,
                                 llmux_json_get_any(v, "content"), of, m);
}

static void read_system(history_t *h, const llmux_at_t *at,
                        const llmux_json_t *v)
{
    read_content(h, at, v, LLMUX_OPENAI_OF_SYSTEM,
                 add_message(h, LLMUX_ROLE_SYSTEM));
}

/* Directly behind tool results it is the rest of the same turn. */
static void read_user(history_t *h, const llmux_at_t *at,
                      const llmux_json_t *v)
{
    llmux_message_t *m = h->results;

    if (!m) {
        m = add_message(h, LLMUX_ROLE_USER);
    }
    h->results = NULL;
    read_content(h, at, v, LLMUX_OPENAI_OF_USER, m);
}

static void read_assistant(history_t *h, const llmux_at_t *at,
                           const llmux_json_t *v)
{
    llmux_slice_t phase = llmux_reader_str(h->r, at, v, "phase");
    llmux_message_t *m = next_answer(h);

    h->spoke = 1;
    if (phase.len) {
        m->phase = phase;
    }
    read_content(h, at, v, LLMUX_OPENAI_OF_ASSISTANT, m);
}

static void read_message(history_t *h, const llmux_at_t *at,
                         const llmux_json_t *v)
{
    static const char *const roles[] =
        { "user", "assistant", "system", "developer", NULL };
    static const item_fn readers[] =
        { read_user, read_assistant, read_system, read_system };
    const llmux_json_t *role =
        llmux_reader_need(h->r, at, v, "role", LLMUX_JSON_STRING);
    llmux_at_t here = llmux_at(at, "role");
    int i = role ? llmux_reader_word(h->r, &here, role, roles) : -1;

    if (i >= 0) {
        readers[i](h, at, v);
    }
}

/* ---- calls ------------------------------------------------------------ */

static llmux_call_t *add_call(history_t *h, const llmux_at_t *at,
                              const llmux_json_t *v)
{
    llmux_message_t *m = answer_of(h);
    llmux_block_t *b = llmux_message_block(h->r->chat, m, LLMUX_BLOCK_CALL);
    llmux_slice_t space = llmux_reader_str(h->r, at, v, "namespace");

    b->call = apr_pcalloc(h->r->pool, sizeof(*b->call));
    b->call->id = llmux_reader_need_str(h->r, at, v, "call_id");
    b->call->name = llmux_responses_name(
        h->r->pool, space, llmux_reader_need_str(h->r, at, v, "name"));
    if (llmux_slice_equal(h->early_id, b->call->id)) {
        b->call->token = h->early;
    }
    h->call = b->call;
    return b->call;
}

/* Calls without arguments come with "", null or nothing. */
static void read_call(history_t *h, const llmux_at_t *at,
                      const llmux_json_t *v)
{
    llmux_call_t *call = add_call(h, at, v);

    call->args = llmux_reader_str(h->r, at, v, "arguments");
    if (llmux_slice_blank(call->args)) {
        call->args = llmux_slice("{}");
    }
}

static void read_custom_call(history_t *h, const llmux_at_t *at,
                             const llmux_json_t *v)
{
    llmux_call_t *call = add_call(h, at, v);

    call->custom = 1;
    call->args = llmux_json_str(h->r->pool,
                                llmux_reader_need(h->r, at, v, "input",
                                                  LLMUX_JSON_STRING));
}

/* ---- results ---------------------------------------------------------- */

static void read_result(history_t *h, const llmux_at_t *at,
                        const llmux_json_t *v)
{
    llmux_slice_t id = llmux_reader_need_str(h->r, at, v, "call_id");
    const llmux_json_t *output = llmux_json_get(v, "output");
    llmux_at_t here = llmux_at(at, "output");
    llmux_message_t list = { 0 };
    llmux_block_t *b;

    if (output) {
        llmux_responses_read_content(h->r, &here, output,
                                     LLMUX_OPENAI_OF_TOOL, &list);
    }
    if (!h->results) {
        llmux_message_t *m = add_message(h, LLMUX_ROLE_USER);

        h->results = m;
    }
    b = llmux_message_block(h->r->chat, h->results, LLMUX_BLOCK_RESULT);
    b->result = apr_pcalloc(h->r->pool, sizeof(*b->result));
    b->result->call_id = id;
    b->result->is_error = LLMUX_UNSET;
    b->result->blocks = list.blocks;
}

/* ---- reasoning -------------------------------------------------------- */

/* The parts' texts, with an empty line between them. */
static llmux_slice_t joined(history_t *h, const llmux_at_t *up,
                            const llmux_json_t *v, const char *name)
{
    const llmux_json_t *list = llmux_reader_member(h->r, up, v, name,
                                                   LLMUX_JSON_ARRAY), *e;
    llmux_at_t at = llmux_at(up, name), each;
    llmux_slice_t text = { NULL, 0 };
    llmux_buf_t *b = NULL;
    int i = 0;

    for (e = llmux_json_first(list); e && !h->r->err;
         e = llmux_json_next(list, e)) {
        if (i == 1) {
            b = llmux_buf_create(h->r->pool, LLMUX_JSON_TEXT_MAX);
            llmux_buf_add_slice(b, text);
        }
        each = llmux_at_index(&at, i++);
        text = llmux_json_str(h->r->pool, llmux_reader_need(
            h->r, &each, e, "text", LLMUX_JSON_STRING));
        if (b) {
            llmux_buf_adds(b, "\n\n");
            llmux_buf_add_slice(b, text);
        }
    }
    return b ? llmux_buf_slice(b) : text;
}

/* It stands right before its call or right behind it. */
static void keep_call_token(history_t *h, llmux_slice_t call_id,
                            llmux_token_t token)
{
    if (h->call && llmux_slice_equal(h->call->id, call_id)) {
        h->call->token = token;
        return;
    }
    answer_of(h);
    h->early_id = call_id;
    h->early = token;
}

static void add_think(history_t *h, llmux_slice_t text, llmux_token_t token)
{
    llmux_block_t *b;

    if (!token.bytes.len || token.maker == LLMUX_MAKER_NONE) {
        token.maker = LLMUX_MAKER_NONE;
        token.bytes = llmux_slice(NULL);
    }
    if (!text.len && !token.bytes.len) {
        return;     /* known to whoever keeps it, by its id */
    }
    b = llmux_message_block(h->r->chat, next_answer(h), LLMUX_BLOCK_THINK);
    b->text = text;
    b->token = token;
}

static void read_reasoning(history_t *h, const llmux_at_t *at,
                           const llmux_json_t *v)
{
    llmux_slice_t sealed =
        llmux_reader_str(h->r, at, v, "encrypted_content");
    llmux_token_t token = llmux_token_open(h->r->chat, sealed,
                                           LLMUX_MAKER_OPENAI);
    llmux_slice_t text = joined(h, at, v, "summary");

    if (!text.len) {
        text = joined(h, at, v, "content");
    }
    if (token.call_id.data) {
        keep_call_token(h, token.call_id, token);
    }
    else {
        add_think(h, text, token);
    }
}

/* ---- what others did -------------------------------------------------- */

static void read_picture(history_t *h, const llmux_at_t *at,
                         const llmux_json_t *v)
{
    llmux_responses_read_picture(h->r, at, v, answer_of(h));
}

/* What the model looked up by itself is told in the message behind it. */
static void skip(history_t *h, const llmux_at_t *at, const llmux_json_t *v)
{
    static const struct { const char *type, *name; } skips[] = {
        { "web_search_call",  "input.web_search_call"  },
        { "file_search_call", "input.file_search_call" },
        { "mcp_list_tools",   "input.mcp_list_tools"   }
    };
    const llmux_json_t *type = llmux_json_get(v, "type");
    unsigned int i;

    for (i = 0; i < sizeof(skips) / sizeof(*skips); i++) {
        if (llmux_json_is(type, skips[i].type)
            && !(h->skipped & (1u << i))) {
            h->skipped |= 1u << i;
            llmux_responses_lost(h->r, llmux_slice(skips[i].name), v);
        }
    }
}

static void refuse_reference(history_t *h, const llmux_at_t *at,
                             const llmux_json_t *v)
{
    llmux_responses_refuse(h->r, at, "An item_reference names an item that "
                           "is not kept here. Send the item itself: SDKs do "
                           "so when 'store' is false.");
}

/* ---- the list -------------------------------------------------------- */

static const struct { const char *type; item_fn read; } items[] = {
    { "message",                 read_message     },
    { "function_call",           read_call        },
    { "function_call_output",    read_result      },
    { "custom_tool_call",        read_custom_call },
    { "custom_tool_call_output", read_result      },
    { "reasoning",               read_reasoning   },
    { "image_generation_call",   read_picture     },
    { "web_search_call",         skip             },
    { "file_search_call",        skip             },
    { "mcp_list_tools",          skip             },
    { "item_reference",          refuse_reference }
};

static void read_item(history_t *h, const llmux_at_t *at,
                      const llmux_json_t *v)
{
    const llmux_json_t *type;
    apr_size_t i;

    if (!llmux_reader_expect(h->r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    if (!llmux_json_get(v, "type") && llmux_json_get(v, "role")) {
        read_message(h, at, v);
        return;
    }
    type = llmux_reader_need(h->r, at, v, "type", LLMUX_JSON_STRING);
    for (i = 0; type && i < sizeof(items) / sizeof(*items); i++) {
        if (llmux_json_is(type, items[i].type)) {
            items[i].read(h, at, v);
            return;
        }
    }
    if (type) {
        llmux_responses_refuse(h->r, at, "Items of type %s can be understood "
                               "by OpenAI's own models alone. Leave it out.",
                               llmux_reader_found(h->r, type));
    }
}

static void read_plain(llmux_reader_t *r, const llmux_json_t *v)
{
    llmux_message_t *m = llmux_chat_message(r->chat, LLMUX_ROLE_USER);

    m->param = "input";
    llmux_message_block(r->chat, m, LLMUX_BLOCK_TEXT)->text =
        llmux_json_str(r->pool, v);
}

void llmux_responses_read_input(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *v)
{
    history_t h = { .r = r };
    const llmux_json_t *e;
    llmux_at_t each;

    if (llmux_json_kind(v) == LLMUX_JSON_STRING) {
        read_plain(r, v);
        return;
    }
    if (llmux_json_kind(v) != LLMUX_JSON_ARRAY || !llmux_json_count(v)) {
        llmux_reader_fail(r, at, "expected a string or an array of items, "
                          "found %s", llmux_json_kind(v) == LLMUX_JSON_ARRAY
                              ? "an empty array" : llmux_json_kind_name(v));
        return;
    }
    for (e = llmux_json_first(v); e && !r->err; e = llmux_json_next(v, e)) {
        each = llmux_at_index(at, h.index);
        read_item(&h, &each, e);
        h.index++;
    }
}
