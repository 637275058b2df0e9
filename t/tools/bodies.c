/* bodies.c - takes recorded requests of clients and says which requests a
 * provider of another dialect gets for them, a line each.
 *
 * The argument names the provider's dialect. A job is a line of input: the
 * client's dialect, the path's model ("-" where the body has it), the model
 * that the provider is asked for, and a file, with a tab between them.
 *
 * The answer is a line of JSON: "bodies", each in a string, or "param" and
 * "message" of the refusal. What a client named by a URL was fetched.
 */

#include "../unit/transcript.h"
#include "jobs.h"

/* The provider's. */
static const llmux_dialect_t *to;

/* ---- media behind a URL ---------------------------------------------- */

/* What stands there, and its type. */
static const struct { const char *type, *base64; } pages[] = {
    [LLMUX_MEDIA_IMAGE] = { "image/png", "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYA"
        "AAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==" },
    [LLMUX_MEDIA_AUDIO] = { "audio/mpeg", "SUQzBAAAAAAAAA==" },
    [LLMUX_MEDIA_VIDEO] = { "video/mp4", "AAAAGGZ0eXBtcDQy" },
    [LLMUX_MEDIA_PDF]   = { "application/pdf", "JVBERi0xLjQK" },
    [LLMUX_MEDIA_TEXT]  = { "text/plain", "SGVsbG8u" },
    [LLMUX_MEDIA_OTHER] = { "application/pdf", "JVBERi0xLjQK" }
};

static void fetch(llmux_block_t *b)
{
    static const llmux_slice_t none = { NULL, 0 };

    for (; b; b = b->next) {
        if (b->result) {
            fetch(b->result->blocks);
        }
        if (b->media && llmux_slice_starts(b->media->url, "http")) {
            b->media->url = none;
            b->media->type = llmux_slice(pages[b->media->kind].type);
            b->media->base64 = llmux_slice(pages[b->media->kind].base64);
        }
    }
}

static void fetch_all(llmux_chat_t *chat)
{
    llmux_message_t *m;

    for (; chat; chat = chat->next) {
        for (m = chat->messages; m; m = m->next) {
            fetch(m->blocks);
        }
    }
}

/* ---- requests -------------------------------------------------------- */

static const llmux_error_t *read_chat(apr_pool_t *p, const llmux_dialect_t *d,
                                      const char *model, llmux_slice_t body,
                                      llmux_chat_t *chat)
{
    llmux_head_t head = { .root = NULL };
    const llmux_error_t *err;

    if (strcmp(model, "-")) {
        head.model = llmux_slice(model);
    }
    err = d->head(p, llmux_json_parser_create(p), body, &head);
    if (err) {
        return err;
    }
    err = d->read(chat, llmux_json_parse(p, body, 0, NULL));
    chat->model = head.model;
    chat->stream = head.stream == LLMUX_YES;
    return err;
}

static const llmux_error_t *write_chats(apr_pool_t *p,
                                        const char *model,
                                        const llmux_chat_t *chat,
                                        apr_array_header_t *bodies)
{
    const llmux_target_t target = {
        .name = "The provider", .model = llmux_slice(model), .can = ~0u
    };
    const llmux_error_t *err = llmux_completions_refusal(chat, &target);

    for (; chat && !err; chat = chat->next) {
        llmux_buf_t *out = llmux_buf_create(p, TEXT_MAX);

        err = to->write(out, chat, &target, llmux_warnings_create(p, 0), p);
        APR_ARRAY_PUSH(bodies, llmux_slice_t) = llmux_buf_slice(out);
    }
    return err;
}

static void request(apr_pool_t *p, llmux_jw_t *w, const llmux_dialect_t *d,
                    const char *models[2], llmux_slice_t body)
{
    apr_array_header_t *bodies = apr_array_make(p, 1, sizeof(llmux_slice_t));
    llmux_chat_t *chat = llmux_chat_create(p);
    const llmux_error_t *err = read_chat(p, d, models[0], body, chat);
    int i;

    if (!err) {
        fetch_all(chat);
        err = write_chats(p, models[1], chat, bodies);
    }
    if (err) {
        put_refusal(w, err);
        return;
    }
    llmux_jw_key(w, "bodies");
    llmux_jw_open(w, '[');
    for (i = 0; i < bodies->nelts; i++) {
        llmux_jw_str(w, APR_ARRAY_IDX(bodies, i, llmux_slice_t));
    }
    llmux_jw_close(w, ']');
}

/* ---- jobs ------------------------------------------------------------ */

static int job(apr_pool_t *p, char *line)
{
    char *last;
    const llmux_dialect_t *d
        = llmux_dialect_named(apr_strtok(line, "\t\n", &last));
    const char *from_model = apr_strtok(NULL, "\t\n", &last);
    const char *to_model = apr_strtok(NULL, "\t\n", &last);
    const char *path = apr_strtok(NULL, "\t\n", &last);
    const char *models[2] = { from_model, to_model };
    llmux_buf_t *out = llmux_buf_create(p, TEXT_MAX);
    llmux_jw_t w = llmux_jw(out);
    llmux_slice_t bytes = { NULL, 0 };

    if (!d || !d->head || !path || !read_file(p, path, &bytes)) {
        return 0;
    }
    llmux_jw_open(&w, '{');
    request(p, &w, d, models, bytes);
    llmux_jw_close(&w, '}');
    return print_line(out);
}

int main(int argc, char **argv)
{
    to = llmux_dialect_named(argc > 1 ? argv[1] : "");
    return to ? run_jobs("bodies", job) : refuse_job("bodies");
}
