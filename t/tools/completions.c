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

#include <stdio.h>

#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_general.h>

#include "../unit/transcript.h"

#define TEXT_MAX (1u << 26)

static void put_text(llmux_jw_t *w, const char *name, const llmux_buf_t *b)
{
    llmux_jw_key(w, name);
    llmux_jw_str(w, llmux_buf_slice(b));
}

static void put_error(llmux_jw_t *w, const llmux_error_t *err)
{
    llmux_jw_key(w, "error");
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "kind");
    llmux_jw_cstr(w, error_names[err->kind]);
    llmux_jw_key(w, "param");
    llmux_jw_cstr(w, err->param);
    llmux_jw_key(w, "message");
    llmux_jw_cstr(w, err->message);
    llmux_jw_close(w, '}');
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

typedef struct pipe_t {
    llmux_encoder_t *whole, *stream;
    llmux_buf_t *document, *events;
    const llmux_error_t *error;
} pipe_t;

static void encode(void *baton, const llmux_event_t *ev)
{
    pipe_t *pipe = baton;

    pipe->whole->event(pipe->whole, ev, pipe->document);
    pipe->stream->event(pipe->stream, ev, pipe->events);
    if (ev->kind == LLMUX_EV_ERROR) {
        pipe->error = ev->error;
    }
}

static void answer(apr_pool_t *p, llmux_jw_t *w, const llmux_dialect_t *d,
                   int streamed, llmux_slice_t bytes)
{
    llmux_encode_t how = { .show_thinking = 1, .id = "ours" };
    pipe_t pipe = { 0 };
    llmux_stream_t *s;

    pipe.whole = d->encoder(p, &how);
    how.streamed = 1;
    how.include_usage = 1;
    pipe.stream = d->encoder(p, &how);
    pipe.document = llmux_buf_create(p, TEXT_MAX);
    pipe.events = llmux_buf_create(p, TEXT_MAX);
    s = llmux_stream_open(p, &test_env, d, streamed, encode, NULL, &pipe);
    llmux_stream_feed(s, bytes.data, bytes.len);
    llmux_stream_end(s);
    if (pipe.error) {
        put_error(w, pipe.error);
        return;
    }
    put_text(w, "whole", pipe.document);
    put_text(w, "stream", pipe.events);
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

static int slurp(apr_pool_t *p, const char *path, llmux_slice_t *out)
{
    apr_file_t *file;
    apr_finfo_t info;
    char *data;

    if (apr_file_open(&file, path, APR_FOPEN_READ | APR_FOPEN_BINARY,
                      APR_FPROT_OS_DEFAULT, p) != APR_SUCCESS
        || apr_file_info_get(&info, APR_FINFO_SIZE, file) != APR_SUCCESS) {
        return 0;
    }
    data = apr_palloc(p, (apr_size_t)info.size + 1);
    out->data = data;
    out->len = (apr_size_t)info.size;
    return apr_file_read_full(file, data, out->len, NULL) == APR_SUCCESS;
}

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

    if (!path || !d || !slurp(p, path, &bytes)) {
        return 0;
    }
    llmux_jw_open(&w, '{');
    done(p, &w, d, mode, model, bytes);
    llmux_jw_close(&w, '}');
    llmux_buf_adds(out, "\n");
    fwrite(out->data, 1, out->len, stdout);
    return !out->failed;
}

int main(void)
{
    apr_pool_t *pool, *p;
    char line[4096];
    int good = 1;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    apr_pool_create(&p, pool);
    while (good && fgets(line, sizeof(line), stdin)) {
        good = job(p, line);
        apr_pool_clear(p);
    }
    if (!good) {
        fprintf(stderr, "completions: a job that cannot be done\n");
    }
    apr_pool_destroy(pool);
    apr_terminate();
    return !good;
}
