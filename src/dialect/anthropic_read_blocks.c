/* anthropic_read_blocks.c - what a message of Messages consists of. */

#include <string.h>

#include <apr_strings.h>

#include "anthropic_read.h"

typedef struct block_type_t {
    const char *type;
    unsigned int of;        /* LLMUX_ANTHROPIC_OF_*: in whose content */
    void (*read)(llmux_reader_t *r, const llmux_at_t *at,
                 const llmux_json_t *v, llmux_anthropic_of_e of,
                 llmux_message_t *m);
} block_type_t;

#define COUNT(table) (sizeof(table) / sizeof(*(table)))

static llmux_block_t *add_text(llmux_reader_t *r, llmux_message_t *m,
                               llmux_slice_t text)
{
    llmux_block_t *b = llmux_message_block(r->chat, m, LLMUX_BLOCK_TEXT);

    b->text = text;
    return b;
}

static llmux_slice_t need_text(llmux_reader_t *r, const llmux_at_t *at,
                               const llmux_json_t *v, const char *name)
{
    return llmux_json_str(r->pool, llmux_reader_need(r, at, v, name,
                                                     LLMUX_JSON_STRING));
}

/* ---- text ------------------------------------------------------------ */

/* Sources that an answer named say nothing to another model, and the newer
 * API refuses them in what the client says. */
static void check_citations(llmux_reader_t *r, const llmux_at_t *at,
                            const llmux_json_t *v, llmux_anthropic_of_e of)
{
    llmux_at_t here = llmux_at(at, "citations");

    if (of != LLMUX_ANTHROPIC_OF_ASSISTANT && llmux_anthropic_read_strict(r)
        && llmux_json_count(llmux_json_get(v, "citations"))) {
        llmux_reader_fail(r, &here, "expected none here, since API version "
                          LLMUX_ANTHROPIC_VERSION_STRICT
                          " takes them in answers alone");
    }
}

static void read_text(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *v, llmux_anthropic_of_e of,
                      llmux_message_t *m)
{
    check_citations(r, at, v, of);
    add_text(r, m, need_text(r, at, v, "text"));
}

/* What was said before the messages were cut down to it. */
static void read_compaction(llmux_reader_t *r, const llmux_at_t *at,
                            const llmux_json_t *v, llmux_anthropic_of_e of,
                            llmux_message_t *m)
{
    llmux_slice_t text = llmux_reader_str(r, at, v, "content");

    if (text.len) {
        add_text(r, m, text);
    }
    else {
        llmux_anthropic_read_lost(r, llmux_slice("messages.content."
                                                 "compaction"), v);
    }
}

/* ---- what was found -------------------------------------------------- */

static void join(llmux_buf_t *to, llmux_slice_t s, const char *behind)
{
    if (s.len) {
        llmux_buf_add_slice(to, s);
        llmux_buf_adds(to, behind);
    }
}

/* Title, source and texts in one: no other dialect keeps them apart. */
static void read_search_result(llmux_reader_t *r, const llmux_at_t *at,
                               const llmux_json_t *v, llmux_anthropic_of_e of,
                               llmux_message_t *m)
{
    const llmux_json_t *content = llmux_reader_need(r, at, v, "content",
                                                    LLMUX_JSON_ARRAY);
    llmux_buf_t *text = llmux_buf_create(r->pool, LLMUX_JSON_TEXT_MAX);
    llmux_at_t here = llmux_at(at, "content");
    llmux_message_t list = { 0 };
    const llmux_block_t *b;

    join(text, llmux_reader_str(r, at, v, "title"), "\n");
    join(text, need_text(r, at, v, "source"), "\n\n");
    if (content) {
        llmux_anthropic_read_content(r, &here, content,
                                     LLMUX_ANTHROPIC_OF_DOCUMENT, &list);
    }
    for (b = list.blocks; b; b = b->next) {
        join(text, b->text, b->next ? "\n" : "");
    }
    add_text(r, m, llmux_buf_slice(text));
}

static void read_tool_reference(llmux_reader_t *r, const llmux_at_t *at,
                                const llmux_json_t *v,
                                llmux_anthropic_of_e of, llmux_message_t *m)
{
    llmux_slice_t name = llmux_reader_need_str(r, at, v, "tool_name");

    add_text(r, m, llmux_slice(apr_pstrcat(r->pool, "Tool: ",
                               llmux_slice_str(r->pool, name), NULL)));
}

/* ---- calls and results ----------------------------------------------- */

/* A call's token came as thinking right before it, since a call has no place
 * for one: that block becomes the call's. */
static llmux_block_t *add_call(llmux_reader_t *r, llmux_message_t *m,
                               llmux_slice_t id)
{
    llmux_call_t *call = apr_pcalloc(r->pool, sizeof(*call));
    llmux_block_t *b = m->last;

    if (b && b->kind == LLMUX_BLOCK_THINK && !b->text.len
        && llmux_slice_equal(b->token.call_id, id)) {
        call->token = b->token;
        memset(&b->token, 0, sizeof(b->token));
        b->kind = LLMUX_BLOCK_CALL;
    }
    else {
        b = llmux_message_block(r->chat, m, LLMUX_BLOCK_CALL);
    }
    call->id = id;
    b->call = call;
    return b;
}

static void read_call(llmux_reader_t *r, const llmux_at_t *at,
                      const llmux_json_t *v, llmux_anthropic_of_e of,
                      llmux_message_t *m)
{
    llmux_block_t *b = add_call(r, m, llmux_reader_need_str(r, at, v, "id"));

    b->call->name = llmux_reader_need_str(r, at, v, "name");
    b->call->args = llmux_json_raw(
        llmux_reader_need(r, at, v, "input", LLMUX_JSON_OBJECT));
}

static void read_result(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, llmux_anthropic_of_e of,
                        llmux_message_t *m)
{
    llmux_block_t *b = llmux_message_block(r->chat, m, LLMUX_BLOCK_RESULT);
    const llmux_json_t *content = llmux_json_get(v, "content");
    llmux_at_t here = llmux_at(at, "content");
    llmux_message_t list = { 0 };

    b->result = apr_pcalloc(r->pool, sizeof(*b->result));
    b->result->call_id = llmux_reader_need_str(r, at, v, "tool_use_id");
    b->result->is_error = llmux_reader_bool(r, at, v, "is_error");
    if (content) {
        llmux_anthropic_read_content(r, &here, content,
                                     LLMUX_ANTHROPIC_OF_RESULT, &list);
    }
    b->result->blocks = list.blocks;
}

/* ---- thinking -------------------------------------------------------- */

static void read_thinking(llmux_reader_t *r, const llmux_at_t *at,
                          const llmux_json_t *v, llmux_anthropic_of_e of,
                          llmux_message_t *m)
{
    llmux_block_t *b = llmux_message_block(r->chat, m, LLMUX_BLOCK_THINK);

    b->text = need_text(r, at, v, "thinking");
    b->token = llmux_token_open(
        r->chat, llmux_reader_str(r, at, v, "signature"),
        LLMUX_MAKER_ANTHROPIC);
}

static void read_redacted(llmux_reader_t *r, const llmux_at_t *at,
                          const llmux_json_t *v, llmux_anthropic_of_e of,
                          llmux_message_t *m)
{
    llmux_block_t *b = llmux_message_block(r->chat, m, LLMUX_BLOCK_THINK);

    b->token = llmux_token_open(
        r->chat, llmux_reader_need_str(r, at, v, "data"),
        LLMUX_MAKER_ANTHROPIC_REDACTED);
}

/* ---- the vendor's own ------------------------------------------------ */

/* What the vendor's servers did for the model. The model's words about it
 * stand behind it, and remain. */
static void read_served(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, llmux_anthropic_of_e of,
                        llmux_message_t *m)
{
    llmux_slice_t type = llmux_json_str(r->pool, llmux_json_get(v, "type"));

    llmux_anthropic_read_lost(r, llmux_slice(apr_pstrcat(r->pool,
        "messages.content.", llmux_slice_str(r->pool, type), NULL)), v);
}

static void read_upload(llmux_reader_t *r, const llmux_at_t *at,
                        const llmux_json_t *v, llmux_anthropic_of_e of,
                        llmux_message_t *m)
{
    llmux_anthropic_read_refuse(r, at, "only Anthropic's own servers have "
                                "containers to put a file in");
}

/* ---- all of them ----------------------------------------------------- */

#define OF_ANY    (LLMUX_ANTHROPIC_OF_SYSTEM | LLMUX_ANTHROPIC_OF_USER \
                   | LLMUX_ANTHROPIC_OF_ASSISTANT | LLMUX_ANTHROPIC_OF_RESULT \
                   | LLMUX_ANTHROPIC_OF_DOCUMENT)
#define OF_USER   LLMUX_ANTHROPIC_OF_USER
#define OF_MODEL  LLMUX_ANTHROPIC_OF_ASSISTANT
#define OF_RESULT LLMUX_ANTHROPIC_OF_RESULT

static const block_type_t types[] = {
    { "text",              OF_ANY,               read_text },
    { "tool_use",          OF_MODEL,             read_call },
    { "tool_result",       OF_USER,              read_result },
    { "thinking",          OF_MODEL,             read_thinking },
    { "redacted_thinking", OF_MODEL,             read_redacted },
    { "image",             OF_USER | OF_RESULT | LLMUX_ANTHROPIC_OF_DOCUMENT,
                                                 llmux_anthropic_read_image },
    { "document",          OF_USER | OF_RESULT | OF_MODEL,
                                              llmux_anthropic_read_document },
    { "search_result",     OF_USER | OF_RESULT,  read_search_result },
    { "tool_reference",    OF_RESULT,            read_tool_reference },
    { "compaction",        OF_USER | OF_MODEL,   read_compaction },
    { "container_upload",  OF_USER,              read_upload },
    { "server_tool_use",   OF_MODEL,             read_served },
    { "mcp_tool_use",      OF_MODEL,             read_served },
    { "fallback",          OF_MODEL,             read_served }
};

/* The results of the vendor's tools, of which there are ever more. */
static const block_type_t served = {
    "*_tool_result", OF_MODEL | OF_USER, read_served
};

static int is_served(llmux_slice_t type)
{
    static const char end[] = "_tool_result";
    apr_size_t n = sizeof(end) - 1;

    return type.len > n && !memcmp(type.data + type.len - n, end, n);
}

static const char *types_listed(apr_pool_t *p, llmux_anthropic_of_e of)
{
    const char *list = NULL;
    apr_size_t i;

    for (i = 0; i < COUNT(types); i++) {
        if ((types[i].of & of) && types[i].read != read_served) {
            list = apr_pstrcat(p, list ? list : "", list ? ", '" : "'",
                               types[i].type, "'", NULL);
        }
    }
    return list;
}

static const block_type_t *type_of(llmux_reader_t *r, const llmux_at_t *at,
                                   const llmux_json_t *v,
                                   llmux_anthropic_of_e of)
{
    const llmux_json_t *type =
        llmux_reader_need(r, at, v, "type", LLMUX_JSON_STRING);
    llmux_at_t here = llmux_at(at, "type");
    apr_size_t i;

    for (i = 0; type && i < COUNT(types); i++) {
        if ((types[i].of & of) && llmux_json_is(type, types[i].type)) {
            return &types[i];
        }
    }
    if (type && (served.of & of)
        && is_served(llmux_json_str(r->pool, type))) {
        return &served;
    }
    if (type) {
        llmux_reader_fail(r, &here, "expected one of %s here, found %s",
                          types_listed(r->pool, of),
                          llmux_reader_found(r, type));
    }
    return NULL;
}

static void read_block(llmux_reader_t *r, const llmux_at_t *at,
                       const llmux_json_t *v, llmux_anthropic_of_e of,
                       llmux_message_t *m)
{
    const llmux_block_t *before = m->last;
    const block_type_t *type;
    const char *ttl;

    if (!llmux_reader_expect(r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    type = type_of(r, at, v, of);
    if (!type) {
        return;
    }
    type->read(r, at, v, of, m);
    ttl = llmux_anthropic_read_marker(r, at, v);
    if (ttl && m->last && (m->last != before || !before->cache_ttl)) {
        m->last->cache_ttl = ttl;
    }
}

static int may_be_empty(llmux_anthropic_of_e of)
{
    return of == LLMUX_ANTHROPIC_OF_RESULT
           || of == LLMUX_ANTHROPIC_OF_ASSISTANT;
}

void llmux_anthropic_read_content(llmux_reader_t *r, const llmux_at_t *at,
                                  const llmux_json_t *v,
                                  llmux_anthropic_of_e of,
                                  llmux_message_t *m)
{
    const llmux_json_t *e;
    llmux_at_t each;
    int i = 0;

    if (llmux_json_kind(v) == LLMUX_JSON_STRING) {
        add_text(r, m, llmux_json_str(r->pool, v));
        return;
    }
    if (llmux_json_kind(v) != LLMUX_JSON_ARRAY) {
        llmux_reader_fail(r, at, "expected a string or an array of blocks, "
                          "found %s", llmux_json_kind_name(v));
        return;
    }
    if (!llmux_json_count(v) && !may_be_empty(of)) {
        llmux_reader_fail(r, at, "expected at least one block");
    }
    for (e = llmux_json_first(v); e && !r->err; e = llmux_json_next(v, e)) {
        each = llmux_at_index(at, i++);
        read_block(r, &each, e, of, m);
    }
}
