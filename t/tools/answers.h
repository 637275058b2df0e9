/* answers.h - a recorded answer, said again in one dialect, whole and as a
 * stream; and errors, as those jobs answer them. */

#ifndef ANSWERS_H
#define ANSWERS_H

#include "../unit/transcript.h"
#include "jobs.h"

typedef struct said_t {
    llmux_encoder_t *whole, *stream;
    llmux_buf_t *document, *events;
    const llmux_error_t *error;
} said_t;

static void say_event(void *baton, const llmux_event_t *ev)
{
    said_t *said = baton;

    said->whole->event(said->whole, ev, said->document);
    said->stream->event(said->stream, ev, said->events);
    if (ev->kind == LLMUX_EV_ERROR) {
        said->error = ev->error;
    }
}

/** @param how as for a whole answer; a stream of it has its usage, too */
static said_t *say_again(apr_pool_t *p, const llmux_dialect_t *from,
                         int streamed, llmux_slice_t bytes,
                         const llmux_dialect_t *to, llmux_encode_t how)
{
    said_t *said = apr_pcalloc(p, sizeof(*said));
    llmux_stream_t *s;

    said->whole = to->encoder(p, &how);
    how.streamed = 1;
    how.include_usage = 1;
    said->stream = to->encoder(p, &how);
    said->document = llmux_buf_create(p, TEXT_MAX);
    said->events = llmux_buf_create(p, TEXT_MAX);
    s = llmux_stream_open(p, &test_env, from, streamed, say_event, NULL,
                          said);
    llmux_stream_feed(s, bytes.data, bytes.len);
    llmux_stream_end(s);
    return said;
}

static void put_error(llmux_jw_t *w, const llmux_error_t *err)
{
    llmux_jw_key(w, "error");
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "kind");
    llmux_jw_cstr(w, error_names[err->kind]);
    put_refusal(w, err);
    llmux_jw_close(w, '}');
}

#endif
