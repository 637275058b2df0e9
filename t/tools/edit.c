/* edit.c - takes recorded requests through the door where both sides speak one
 * dialect, and says what the provider gets, a line each.
 *
 * A job is a line of input: dialect, the path's model ("-" where the body has
 * it), another model and file, with a tab between them. The answer is a line of
 * JSON: "same", the bytes for the model that was asked for, "other", those for
 * the other one, and of chats "written", the request read and written anew, or
 * "unwritten", why that cannot be; or "param" and "message" of the refusal.
 */

#include "../unit/transcript.h"
#include "jobs.h"

static void put_edited(apr_pool_t *p, llmux_jw_t *w, const char *name,
                       const llmux_dialect_t *d, const llmux_head_t *head,
                       llmux_slice_t body, llmux_slice_t model)
{
    const llmux_target_t target = {
        .name = "The provider", .model = model, .can = ~0u
    };
    llmux_buf_t *out = llmux_buf_create(p, TEXT_MAX);

    d->edit(out, p, head, body, &target, NULL);
    llmux_jw_key(w, name);
    llmux_jw_str(w, llmux_buf_slice(out));
}

/* What a translation knows of it. */
static void put_written(apr_pool_t *p, llmux_jw_t *w,
                        const llmux_dialect_t *d, const llmux_head_t *head,
                        llmux_slice_t body)
{
    const llmux_target_t target = {
        .name = "The provider", .model = head->model, .can = ~0u
    };
    llmux_buf_t *out = llmux_buf_create(p, TEXT_MAX);
    llmux_chat_t *chat = llmux_chat_create(p);
    const llmux_error_t *err = d->read(chat, llmux_json_parse(p, body, 0,
                                                              NULL));

    if (!err) {
        chat->model = head->model;
        chat->stream = head->stream == LLMUX_YES;
        err = d->write(out, chat, &target, llmux_warnings_create(p, 0), p);
    }
    llmux_jw_key(w, err ? "unwritten" : "written");
    llmux_jw_str(w, err ? llmux_slice(err->message) : llmux_buf_slice(out));
}

static void request(apr_pool_t *p, llmux_jw_t *w, const llmux_dialect_t *d,
                    const char *model, const char *other,
                    llmux_slice_t body)
{
    llmux_head_t head = { .root = NULL };
    const llmux_error_t *err;

    if (strcmp(model, "-")) {
        head.model = llmux_slice(model);
    }
    err = d->head(p, llmux_json_parser_create(p), body, &head);
    if (err) {
        put_refusal(w, err);
        return;
    }
    put_edited(p, w, "same", d, &head, body, head.model);
    put_edited(p, w, "other", d, &head, body, llmux_slice(other));
    if (d->op == LLMUX_OP_CHAT) {
        put_written(p, w, d, &head, body);
    }
}

/* ---- jobs ------------------------------------------------------------ */

static int job(apr_pool_t *p, char *line)
{
    char *last;
    const char *name = apr_strtok(line, "\t\n", &last);
    const char *model = apr_strtok(NULL, "\t\n", &last);
    const char *other = apr_strtok(NULL, "\t\n", &last);
    const char *path = apr_strtok(NULL, "\t\n", &last);
    const llmux_dialect_t *d = llmux_dialect_named(name);
    llmux_buf_t *out = llmux_buf_create(p, TEXT_MAX);
    llmux_jw_t w = llmux_jw(out);
    llmux_slice_t bytes = { NULL, 0 };

    if (!d || !d->head || !path || !read_file(p, path, &bytes)) {
        return 0;
    }
    llmux_jw_open(&w, '{');
    request(p, &w, d, model, other, bytes);
    llmux_jw_close(&w, '}');
    return print_line(out);
}

int main(void)
{
    return run_jobs("edit", job);
}
