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

#include "answers.h"

/* ---- requests -------------------------------------------------------- */

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
    llmux_jw_key(w, "written");
    llmux_jw_raw(w, llmux_buf_slice(out));
    put_lost(w, chat);
}

/* ---- answers --------------------------------------------------------- */

static void answer(apr_pool_t *p, llmux_jw_t *w,
                   const llmux_dialect_t *from, int streamed,
                   llmux_slice_t bytes)
{
    const llmux_encode_t how = { .show_thinking = 1, .id = "msg_ours" };
    const said_t *said = say_again(p, from, streamed, bytes,
                                   &llmux_dialect_anthropic, how);

    if (said->error) {
        put_error(w, said->error);
    }
    else {
        llmux_jw_key(w, "whole");
        llmux_jw_raw(w, llmux_buf_slice(said->document));
    }
    llmux_jw_key(w, "stream");
    llmux_jw_str(w, llmux_buf_slice(said->events));
}

/* ---- jobs ------------------------------------------------------------ */

static int job(apr_pool_t *p, char *line)
{
    llmux_buf_t *out = llmux_buf_create(p, TEXT_MAX);
    llmux_jw_t w = llmux_jw(out);
    char *last, *mode = apr_strtok(line, "\t\n", &last);
    char *path = mode ? apr_strtok(NULL, "\t\n", &last) : NULL;
    char *name = path ? apr_strtok(NULL, "\t\n", &last) : NULL;
    const llmux_dialect_t *from = llmux_dialect_named(name);
    llmux_slice_t bytes;

    if (!path || !read_file(p, path, &bytes)) {
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
    return print_line(out);
}

int main(void)
{
    return run_jobs("anthropic", job);
}
