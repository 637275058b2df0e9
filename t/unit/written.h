/* written.h - chats of OpenAI's clients, and the bodies they become. In the
 * tables ' stands for ". */

#ifndef WRITTEN_H
#define WRITTEN_H

#include "tap.h"
#include "transcript.h"

#define WRITTEN_MAX (1u << 20)

/* What clients write. */
#define U(text) "{'role':'user','content':'" text "'}"
#define A(text) "{'role':'assistant','content':'" text "'}"
#define S(text) "{'role':'system','content':'" text "'}"
#define R(id, text) "{'role':'tool','tool_call_id':'" id "','content':'" \
    text "'}"
#define CALLS(calls) "{'role':'assistant','content':null,'tool_calls':[" \
    calls "]}"
#define CALL(id, name, args) "{'id':'" id "','type':'function'," \
    "'function':{'name':'" name "','arguments':'" args "'}}"
#define TOOL(name) "{'type':'function','function':{'name':'" name "'}}"
#define T(text) "{'type':'text','text':'" text "'}"
#define PNG "iVBORw0KGgo="
#define IMAGE "{'type':'image_url','image_url':{'url':'data:image/png;base64," \
    PNG "'}}"
#define LINK "{'type':'image_url','image_url':{'url':'https://x.example/a.png'}}"
#define HI "'messages':[" U("Hi") "]"

typedef struct written_t {
    const char *name;
    const char *chat;           /* without its braces */
    const char *body;           /* behind its model */
    const char *warnings;
} written_t;

typedef struct refused_t {
    const char *name, *chat;
    llmux_error_e kind;
    const char *param;
} refused_t;

__attribute__((unused))
static llmux_chat_t *chat_of(apr_pool_t *p, const char *members)
{
    const char *text = apr_psprintf(p, "{\"model\":\"x\",%s}",
                                    quotes(p, members));
    llmux_chat_t *chat = llmux_chat_create(p);
    const llmux_json_t *body = llmux_json_parse(p, llmux_slice(text), 0,
                                                NULL);
    const llmux_error_t *err = llmux_dialect_openai.read(chat, body);

    chat->stream = llmux_json_bool(llmux_json_get(body, "stream"))
                   == LLMUX_YES;
    if (err || !body) {
        printf("# the chat is no good: %s: %s\n",
               err ? err->message : "no JSON", text);
    }
    return chat;
}

/* Twice: a second attempt must not see traces of the first. */
__attribute__((unused))
static void is_written(apr_pool_t *p, const llmux_dialect_t *dialect,
                       unsigned int can, const written_t *row)
{
    llmux_target_t target = { .name = "the target", .can = can };
    llmux_buf_t *body = llmux_buf_create(p, WRITTEN_MAX);
    llmux_warnings_t *w = llmux_warnings_create(p, 0);
    llmux_chat_t *chat = chat_of(p, row->chat);
    const llmux_error_t *err = NULL;
    int round;

    target.model = llmux_slice("m");
    for (round = 0; round < 2; round++) {
        llmux_buf_reset(body);
        llmux_warnings_clear(w);
        err = dialect->write(body, chat, &target, w, p);
    }
    is_str(err ? err->message : body->data,
           quotes(p, apr_pstrcat(p, "{'model':'m',", row->body, "}", NULL)),
           row->name);
    ok(llmux_json_is_object(p, llmux_buf_slice(body)), "  ... is JSON");
    is_str(llmux_warnings_header(p, w), row->warnings, "  ... its warnings");
}

__attribute__((unused))
static void is_refused(apr_pool_t *p, const llmux_dialect_t *dialect,
                       unsigned int can, const refused_t *row)
{
    llmux_target_t target = { .name = "the target", .can = can };
    llmux_buf_t *body = llmux_buf_create(p, WRITTEN_MAX);
    const llmux_error_t *err;

    target.model = llmux_slice("m");
    err = dialect->write(body, chat_of(p, row->chat), &target,
                         llmux_warnings_create(p, 0), p);
    ok(err && err->kind == row->kind, "refused: %s", row->name);
    is_str(err ? err->param : NULL, row->param, "  ... its place");
}

/** A body that does not fit. */
__attribute__((unused))
static void is_too_large(apr_pool_t *p, const llmux_dialect_t *dialect)
{
    llmux_target_t target = { .name = "the target" };
    const llmux_error_t *err = dialect->write(
        llmux_buf_create(p, 20), chat_of(p, HI), &target,
        llmux_warnings_create(p, 0), p);

    ok(err && err->kind == LLMUX_ERR_TOO_LARGE,
       "a body that does not fit is an error");
}

#endif
