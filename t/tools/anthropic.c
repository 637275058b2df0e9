/* anthropic.c - Messages read and written, decoded and encoded, a line each.
 *
 * A job is a line of input: mode, path and, for answers, the dialect that
 * they are in; with tabs between them.
 *
 *     request   a client's body: read, and written for the same model
 *     whole     an answer in one document: encoded whole and streamed
 *     stream    a streamed answer: likewise
 *
 * The answer is a line of JSON: "written" and "lost", or "whole" and
 * "stream", or "error".
 */

#include <stdio.h>

#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_general.h>

#include "../unit/transcript.h"

#define TEXT_MAX (1u << 26)

/* ---- requests -------------------------------------------------------- */

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

static void put_lost(llmux_jw_t *w, const llmux_chat_t *chat)
{
    const llmux_extra_t *lost;

    llmux_jw_key(w, "lost");
    llmux_jw_open(w, '[');
    for (lost = chat->lost; lost; lost = lost->next) {
        llmux_jw_str(w, lost->name);
    }
    llmux_jw_close(w, ']');
}

/* JSON in one line: what stands between values cannot stand within them. */
static void put_line(llmux_jw_t *w, const char *name, llmux_slice_t json)
{
    apr_size_t i;

    llmux_jw_key(w, name);
    for (i = 0; i < json.len; i++) {
        if (json.data[i] != '\n' && json.data[i] != '\r') {
            llmux_buf_add(w->out, json.data + i, 1);
        }
    }
    w->comma = 1;
}

static void request(apr_pool_t *p, llmux_jw_t *w, llmux_slice_t body)
{
    const llmux_dialect_t *d = &llmux_dialect_anthropic;
    llmux_buf_t *out = llmux_buf_create(p, TEXT_MAX);
    llmux_warnings_t *warnings = llmux_warnings_create(p, 0);
    llmux_chat_t *chat = llmux_chat_create(p);
    llmux_target_t target = { .name = "Anthropic" };
    llmux_head_t head = { 0 };
    const llmux_error_t *err;

    err = d->head(p, llmux_json_parser_create(p), body, &head);
    if (!err) {
        err = d->read(chat, llmux_json_parse(p, body, 0, NULL));
    }
    if (!err) {
        target.model = head.model;
        err = d->write(out, chat, &target, warnings, p);
    }
    if (err) {
        put_error(w, err);
        return;
    }
    put_line(w, "written", llmux_buf_slice(out));
    put_lost(w, chat);
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

static void answer(apr_pool_t *p, llmux_jw_t *w,
                   const llmux_dialect_t *from, int streamed,
                   llmux_slice_t bytes)
{
    const llmux_dialect_t *d = &llmux_dialect_anthropic;
    llmux_encode_t how = { .show_thinking = 1, .id = "msg_ours" };
    pipe_t pipe = { 0 };
    llmux_stream_t *s;

    pipe.whole = d->encoder(p, &how);
    how.streamed = 1;
    pipe.stream = d->encoder(p, &how);
    pipe.document = llmux_buf_create(p, TEXT_MAX);
    pipe.events = llmux_buf_create(p, TEXT_MAX);
    s = llmux_stream_open(p, &test_env, from, streamed, encode, NULL, &pipe);
    llmux_stream_feed(s, bytes.data, bytes.len);
    llmux_stream_end(s);
    if (pipe.error) {
        put_error(w, pipe.error);
    }
    else {
        put_line(w, "whole", llmux_buf_slice(pipe.document));
    }
    llmux_jw_key(w, "stream");
    llmux_jw_str(w, llmux_buf_slice(pipe.events));
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

static int job(apr_pool_t *p, char *line)
{
    llmux_buf_t *out = llmux_buf_create(p, TEXT_MAX);
    llmux_jw_t w = llmux_jw(out);
    char *last, *mode = apr_strtok(line, "\t\n", &last);
    char *path = mode ? apr_strtok(NULL, "\t\n", &last) : NULL;
    char *name = path ? apr_strtok(NULL, "\t\n", &last) : NULL;
    const llmux_dialect_t *from = llmux_dialect_named(name);
    llmux_slice_t bytes;

    if (!path || !slurp(p, path, &bytes)) {
        return 0;
    }
    llmux_jw_open(&w, '{');
    if (!strcmp(mode, "request")) {
        request(p, &w, bytes);
    }
    else if (from) {
        answer(p, &w, from, !strcmp(mode, "stream"), bytes);
    }
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
        fprintf(stderr, "anthropic: a job that cannot be done\n");
    }
    apr_pool_destroy(pool);
    apr_terminate();
    return !good;
}
