/* completions.c - completions and counts of tokens, read and written, decoded
 * and encoded in their own dialects, a line each.
 *
 * A job is a line of input: mode, dialect, model and path, with tabs between
 * them. A model "vertex:NAME" is served by Vertex AI.
 *
 *     request   a client's body: edited, and read and written for the model
 *     whole     an answer in one document: encoded whole and streamed
 *     stream    a streamed answer: likewise
 *     error     an error body with status 404: read and written
 *
 * The answer is a line of JSON: "edited" and "written" (texts), "whole" and
 * "stream" (texts), or "error".
 */

#include "answers.h"

static void put_text(llmux_jw_t *w, const char *name, const llmux_buf_t *b)
{
    llmux_jw_key(w, name);
    llmux_jw_str(w, llmux_buf_slice(b));
}

/* ---- requests -------------------------------------------------------- */

static llmux_target_t target_of(const char *model)
{
    llmux_target_t target = { .name = "the provider", .can = ~0u };
    const char *bare = strncmp(model, "vertex:", 7) ? model : model + 7;

    target.vertex = bare != model;
    target.model = llmux_slice(bare);
    return target;
}

static void request(apr_pool_t *p, llmux_jw_t *w, const llmux_dialect_t *d,
                    const char *model, llmux_slice_t body)
{
    llmux_buf_t *edited = llmux_buf_create(p, TEXT_MAX);
    llmux_buf_t *written = llmux_buf_create(p, TEXT_MAX);
    llmux_warnings_t *warnings = llmux_warnings_create(p, 0);
    llmux_chat_t *chat = llmux_chat_create(p);
    llmux_target_t target = target_of(model);
    llmux_head_t head = { 0 };
    const llmux_error_t *err;

    head.model = target.model;
    err = d->head(p, llmux_json_parser_create(p), body, &head);
    if (!err) {
        d->edit(edited, p, &head, body, &target, NULL);
        err = d->read(chat, llmux_json_parse(p, body, 0, NULL));
    }
    if (!err) {
        err = d->write(written, chat, &target, warnings, p);
    }
    if (err) {
        put_error(w, err);
        return;
    }
    put_text(w, "edited", edited);
    put_text(w, "written", written);
    llmux_jw_key(w, "warnings");
    llmux_jw_cstr(w, llmux_warnings_header(p, warnings));
}

/* ---- answers --------------------------------------------------------- */

static void answer(apr_pool_t *p, llmux_jw_t *w, const llmux_dialect_t *d,
                   int streamed, llmux_slice_t bytes)
{
    const llmux_encode_t how = { .show_thinking = 1, .id = "ours" };
    const said_t *said = say_again(p, d, streamed, bytes, d, how);

    if (said->error) {
        put_error(w, said->error);
        return;
    }
    put_text(w, "whole", said->document);
    put_text(w, "stream", said->events);
}

/* The recording has the body in `body`. */
static void failure(apr_pool_t *p, llmux_jw_t *w, const llmux_dialect_t *d,
                    llmux_slice_t text)
{
    const llmux_json_t *v = llmux_json_parse(p, text, 0, NULL);
    llmux_buf_t *out = llmux_buf_create(p, TEXT_MAX);

    d->error_write(out, d->error_read(p, 404, llmux_json_get(v, "body")),
                   NULL);
    put_text(w, "whole", out);
}

/* ---- jobs ------------------------------------------------------------ */

static void done(apr_pool_t *p, llmux_jw_t *w, const llmux_dialect_t *d,
                 const char *mode, const char *model, llmux_slice_t bytes)
{
    if (!strcmp(mode, "request")) {
        request(p, w, d, model, bytes);
    }
    else if (!strcmp(mode, "error")) {
        failure(p, w, d, bytes);
    }
    else {
        answer(p, w, d, !strcmp(mode, "stream"), bytes);
    }
}

static int job(apr_pool_t *p, char *line)
{
    llmux_buf_t *out = llmux_buf_create(p, TEXT_MAX);
    llmux_jw_t w = llmux_jw(out);
    char *last, *mode = apr_strtok(line, "\t\n", &last);
    char *name = mode ? apr_strtok(NULL, "\t\n", &last) : NULL;
    char *model = name ? apr_strtok(NULL, "\t\n", &last) : NULL;
    char *path = model ? apr_strtok(NULL, "\t\n", &last) : NULL;
    const llmux_dialect_t *d = llmux_dialect_named(name);
    llmux_slice_t bytes;

    if (!path || !d || !read_file(p, path, &bytes)) {
        return 0;
    }
    llmux_jw_open(&w, '{');
    done(p, &w, d, mode, model, bytes);
    llmux_jw_close(&w, '}');
    return print_line(out);
}

int main(void)
{
    return run_jobs("completions", job);
}
