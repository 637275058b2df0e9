/* responses.c - takes recordings through OpenAI's Responses and says what came
 * out, a line each.
 *
 * A job is a line of input: mode, path and dialect (responses, if it is left
 * out), with a tab between them.
 *
 *     request  the file is a client's body: read, and written for OpenAI
 *     whole    the file is an answer: decoded, and encoded for a client
 *     stream   the same of a streamed one
 *
 * The answer is a line of JSON: {"written"} or {"error"} of a request; of an
 * answer "events" (the stream that a client gets), "response" (what a client
 * who follows it ends with) and "wrong" (why he cannot, or null).
 */

#include "../unit/responses_follow.h"
#include "../unit/transcript.h"
#include "jobs.h"

/* ---- requests ---------------------------------------------------------- */

static const llmux_error_t *write_again(apr_pool_t *p, llmux_slice_t body,
                                        llmux_buf_t *out)
{
    llmux_target_t target = { "OpenAI", { NULL, 0 }, ~0u, 0, NULL };
    llmux_chat_t *chat = llmux_chat_create(p);
    const llmux_error_t *err = llmux_dialect_responses.read(
        chat, llmux_json_parse(p, body, 0, NULL));

    target.model = chat->model;
    return err ? err : llmux_dialect_responses.write(
        out, chat, &target, llmux_warnings_create(p, 0), p);
}

static void request(apr_pool_t *p, llmux_jw_t *w, llmux_slice_t body)
{
    llmux_buf_t *out = llmux_buf_create(p, TEXT_MAX);
    const llmux_error_t *err = write_again(p, body, out);

    if (err) {
        llmux_jw_key(w, "error");
        llmux_jw_cstr(w, err->message);
    }
    else {
        llmux_jw_key(w, "written");
        llmux_jw_raw(w, llmux_buf_slice(out));
    }
}

/* ---- answers ----------------------------------------------------------- */

typedef struct pipe_t {
    llmux_encoder_t *encoder;
    llmux_buf_t *out;
} pipe_t;

static void encode(void *baton, const llmux_event_t *ev)
{
    pipe_t *pipe = baton;

    pipe->encoder->event(pipe->encoder, ev, pipe->out);
}

static llmux_slice_t encode_again(apr_pool_t *p,
                                  const llmux_dialect_t *dialect,
                                  llmux_slice_t bytes, int streamed,
                                  int as_stream)
{
    llmux_encode_t how = { .streamed = as_stream, .show_thinking = 1,
                           .id = "resp_ours" };
    pipe_t pipe = { llmux_dialect_responses.encoder(p, &how),
                    llmux_buf_create(p, TEXT_MAX) };
    llmux_stream_t *s = llmux_stream_open(p, &test_env, dialect, streamed,
                                          encode, NULL, &pipe);

    llmux_stream_feed(s, bytes.data, bytes.len);
    llmux_stream_end(s);
    return llmux_buf_slice(pipe.out);
}

/* Encoded whole and as a stream: both end in the same response, unless it
 * failed. */
static void answer(apr_pool_t *p, llmux_jw_t *w,
                   const llmux_dialect_t *dialect, llmux_slice_t bytes,
                   int streamed)
{
    llmux_slice_t events = encode_again(p, dialect, bytes, streamed, 1);
    llmux_slice_t whole = encode_again(p, dialect, bytes, streamed, 0);
    follow_t *f = follow(p, events);
    const char *wrong = f->wrong;

    if (!wrong && whole.len && !llmux_slice_is(whole, f->final)) {
        wrong = "streamed and whole are not the same";
    }
    llmux_jw_key(w, "events");
    llmux_jw_str(w, events);
    llmux_jw_key(w, "response");
    llmux_jw_raw(w, llmux_slice(f->final));
    llmux_jw_key(w, "wrong");
    llmux_jw_cstr(w, wrong);
}

/* ---- jobs -------------------------------------------------------------- */

static int job(apr_pool_t *p, char *line)
{
    char *last, *mode = apr_strtok(line, "\t\n", &last);
    char *path = apr_strtok(NULL, "\t\n", &last);
    char *name = apr_strtok(NULL, "\t\n", &last);
    const llmux_dialect_t *dialect =
        name ? llmux_dialect_named(name) : &llmux_dialect_responses;
    llmux_buf_t *out = llmux_buf_create(p, TEXT_MAX);
    llmux_jw_t w = llmux_jw(out);
    llmux_slice_t bytes = { NULL, 0 };

    if (!dialect || !mode || !path || !read_file(p, path, &bytes)) {
        return 0;
    }
    llmux_jw_open(&w, '{');
    if (!strcmp(mode, "request")) {
        request(p, &w, bytes);
    }
    else {
        answer(p, &w, dialect, bytes, !strcmp(mode, "stream"));
    }
    llmux_jw_close(&w, '}');
    return print_line(out);
}

int main(void)
{
    return run_jobs("responses", job);
}
