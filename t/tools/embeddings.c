/* embeddings.c - takes recordings of embeddings through the dialects and says
 * what came out, a line each.
 *
 * A job is a line of input, with a tab between its parts:
 *
 *     request CLIENT NAMED TARGET MODEL FILE
 *                                  a client's body, whose path may name a
 *                                  model: as it passes, and read and written
 *                                  for the target
 *     answer PROVIDER FILE         decoded, and encoded for each client
 *     error PROVIDER STATUS FILE   the body of an error
 *
 * The answer is a line of JSON: {"passed", "written", "warnings"} of a
 * request, {"floats", "packed", "one", "batch"} of an answer; {"error"} of
 * all that is or became one.
 */

#include "../unit/transcript.h"
#include "jobs.h"

static void say(llmux_jw_t *w, const char *name, const llmux_buf_t *json)
{
    llmux_jw_key(w, name);
    llmux_jw_raw(w, llmux_buf_slice(json));
}

static void say_error(llmux_jw_t *w, const llmux_error_t *err)
{
    llmux_jw_key(w, "error");
    llmux_jw_cstr(w, err->message);
    llmux_jw_key(w, "kind");
    llmux_jw_cstr(w, error_names[err->kind]);
    llmux_jw_opt_str(w, "param", llmux_slice(err->param));
}

/* ---- requests ---------------------------------------------------------- */

static const llmux_error_t *pass(apr_pool_t *p, llmux_slice_t body,
                                 const llmux_dialect_t *client,
                                 const char *named,
                                 const llmux_target_t *target,
                                 llmux_buf_t *out)
{
    llmux_head_t head = { .model = llmux_slice(named) };
    const llmux_error_t *err = client->head(p, llmux_json_parser_create(p),
                                            body, &head);

    if (!err) {
        client->edit(out, p, &head, body, target, NULL);
    }
    return err;
}

static void request(apr_pool_t *p, llmux_jw_t *w, llmux_slice_t body,
                    const llmux_dialect_t *client, const char *named,
                    const llmux_dialect_t *dialect, const char *model)
{
    llmux_target_t target = { "the target", llmux_slice(model), ~0u };
    llmux_buf_t *passed = llmux_buf_create(p, TEXT_MAX);
    llmux_buf_t *written = llmux_buf_create(p, TEXT_MAX);
    llmux_warnings_t *warnings = llmux_warnings_create(p, 0);
    llmux_chat_t *chat = llmux_chat_create(p);
    const llmux_error_t *err = pass(p, body, client, named, &target, passed);

    if (!err) {
        err = client->read(chat, llmux_json_parse(p, body, 0, NULL));
    }
    if (!err) {
        err = dialect->write(written, chat, &target, warnings, p);
    }
    if (err) {
        say_error(w, err);
        return;
    }
    say(w, "passed", passed);
    say(w, "written", written);
    llmux_jw_opt_str(w, "warnings",
                     llmux_slice(llmux_warnings_header(p, warnings)));
}

/* ---- answers ----------------------------------------------------------- */

static const struct {
    const char *name;
    const llmux_dialect_t *dialect;
    int base64;
} clients[] = {
    { "floats", &llmux_dialect_embeddings,         0 },
    { "packed", &llmux_dialect_embeddings,         1 },
    { "one",    &llmux_dialect_gemini_embed,       0 },
    { "batch",  &llmux_dialect_gemini_batch_embed, 0 }
};

enum { CLIENTS = 4 };

typedef struct pipe_t {
    llmux_encoder_t *encoder[CLIENTS];
    llmux_buf_t *out[CLIENTS];
    const llmux_error_t *err;
} pipe_t;

static void encode(void *baton, const llmux_event_t *ev)
{
    pipe_t *pipe = baton;
    int i;

    pipe->err = ev->kind == LLMUX_EV_ERROR ? ev->error : pipe->err;
    for (i = 0; i < CLIENTS; i++) {
        pipe->encoder[i]->event(pipe->encoder[i], ev, pipe->out[i]);
    }
}

static void open_clients(apr_pool_t *p, pipe_t *pipe)
{
    int i;

    for (i = 0; i < CLIENTS; i++) {
        llmux_chat_t *chat = llmux_chat_create(p);
        llmux_embed_t *embed = apr_pcalloc(p, sizeof(*embed));
        llmux_encode_t how = { .chat = chat };

        embed->base64 = clients[i].base64;
        chat->embed = embed;
        pipe->encoder[i] = clients[i].dialect->encoder(p, &how);
        pipe->out[i] = llmux_buf_create(p, TEXT_MAX);
    }
}

static void answer(apr_pool_t *p, llmux_jw_t *w, llmux_slice_t bytes,
                   const llmux_dialect_t *dialect)
{
    pipe_t pipe = { { NULL } };
    llmux_stream_t *s;
    int i;

    open_clients(p, &pipe);
    s = llmux_stream_open(p, &test_env, dialect, 0, encode, NULL, &pipe);
    llmux_stream_feed(s, bytes.data, bytes.len);
    llmux_stream_end(s);
    if (pipe.err) {
        say_error(w, pipe.err);
        return;
    }
    for (i = 0; i < CLIENTS; i++) {
        say(w, clients[i].name, pipe.out[i]);
    }
}

static void error(apr_pool_t *p, llmux_jw_t *w, llmux_slice_t bytes,
                  const llmux_dialect_t *dialect, int status)
{
    say_error(w, dialect->error_read(
        p, status, llmux_json_parse(p, bytes, 0, NULL)));
}

/* ---- jobs -------------------------------------------------------------- */

enum { PARTS = 6 };

static int split(char *line, char **parts)
{
    char *last;
    int n = 0;

    for (line = apr_strtok(line, "\t\n", &last); line && n < PARTS;
         line = apr_strtok(NULL, "\t\n", &last)) {
        parts[n++] = line;
    }
    return n;
}

static int take(apr_pool_t *p, llmux_jw_t *w, char *const *job, int n)
{
    const llmux_dialect_t *dialect =
        n > 2 ? llmux_dialect_named(job[1]) : NULL;
    const llmux_dialect_t *target =
        n > 4 ? llmux_dialect_named(job[3]) : NULL;
    llmux_slice_t bytes;

    if (!dialect || !read_file(p, job[n - 1], &bytes)) {
        return 0;
    }
    if (n == 6 && target && !strcmp(job[0], "request")) {
        request(p, w, bytes, dialect, job[2], target, job[4]);
    }
    else if (n == 3 && !strcmp(job[0], "answer")) {
        answer(p, w, bytes, dialect);
    }
    else if (n == 4 && !strcmp(job[0], "error")) {
        error(p, w, bytes, dialect, (int)apr_strtoi64(job[2], NULL, 10));
    }
    else {
        return 0;
    }
    return 1;
}

static int job(apr_pool_t *p, char *line)
{
    char *parts[PARTS];
    llmux_buf_t *out = llmux_buf_create(p, TEXT_MAX);
    llmux_jw_t w = llmux_jw(out);

    llmux_jw_open(&w, '{');
    if (!take(p, &w, parts, split(line, parts)) || out->failed) {
        return 0;
    }
    llmux_jw_close(&w, '}');
    return print_line(out);
}

int main(void)
{
    return run_jobs("embeddings", job);
}
