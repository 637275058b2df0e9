/* stream.c - a provider's bytes, cut anywhere, become events of an answer. */

#include <string.h>

#include "aws_frame.h"

/* ---- decoders -------------------------------------------------------- */

void llmux_decoder_init(llmux_decoder_t *d, apr_pool_t *p,
                        const llmux_env_t *env, llmux_emit_fn emit,
                        void *baton)
{
    d->pool = p;
    d->scratch = NULL;      /* see renew_scratch() */
    d->env = env;
    d->emit = emit;
    d->baton = baton;
    d->started = 0;
    d->ended = 0;
}

/* Whoever reads events relies on a START before anything of the answer, so
 * a decoder that forgot it gets an empty one. */
static void start(llmux_decoder_t *d)
{
    static const llmux_event_t ev = { .kind = LLMUX_EV_START };

    d->started = 1;
    d->emit(d->baton, &ev);
}

void llmux_decoder_emit(llmux_decoder_t *d, const llmux_event_t *ev)
{
    if (d->ended || (ev->kind == LLMUX_EV_START && d->started)) {
        return;
    }
    switch (ev->kind) {
    case LLMUX_EV_START:
        d->started = 1;
        break;
    case LLMUX_EV_PING:
        break;
    case LLMUX_EV_ERROR:
        d->ended = 1;
        break;
    default:
        if (!d->started) {
            start(d);
        }
        d->ended = ev->kind == LLMUX_EV_END;
    }
    d->emit(d->baton, ev);
}

void llmux_decoder_fail(llmux_decoder_t *d, llmux_error_e kind,
                        const char *message)
{
    llmux_event_t ev = { .kind = LLMUX_EV_ERROR };

    if (!d->ended) {
        ev.error = llmux_error(d->pool, kind, NULL, "%s", message);
        llmux_decoder_emit(d, &ev);
    }
}

llmux_slice_t llmux_decoder_event_type(llmux_decoder_t *d,
                                       llmux_slice_t event_name,
                                       const llmux_json_t *v)
{
    llmux_slice_t type = llmux_json_str(d->scratch,
                                        llmux_json_get(v, "type"));

    if (type.data) {
        return type;
    }
    return llmux_json_get(v, "error") ? llmux_slice("error") : event_name;
}

/* ---- streams --------------------------------------------------------- */

/* What the bytes turned out to be. */
typedef enum {
    SEEK,       /* streamed, nothing but white space so far */
    EVENTS,     /* streamed, an event stream */
    LINES,      /* a JSON document in each line, of a dialect that does so */
    MESSAGES,   /* streamed, an event stream as Amazon has them */
    BARE,       /* streamed, but a JSON document came instead */
    WHOLE       /* one JSON document, as asked for */
} shape_e;

struct llmux_stream_t {
    llmux_decoder_t *decoder;
    llmux_json_parser_t *parser;
    llmux_sse_t *sse;           /* streamed, but for LINES and MESSAGES */
    llmux_aws_t *aws;           /* streamed, of a dialect with MESSAGES */
    llmux_buf_t *body;          /* of WHOLE and BARE; of LINES what there is
                                 * of the line */
    llmux_frame_fn frame;
    void *baton;
    shape_e shape;
    int closing;                /* end() was called */
};

static void bad_upstream(llmux_stream_t *s, const char *message)
{
    llmux_decoder_fail(s->decoder, LLMUX_ERR_BAD_UPSTREAM, message);
}

/* For what lives as long as one payload. */
static void renew_scratch(llmux_decoder_t *d)
{
    if (d->scratch) {
        apr_pool_clear(d->scratch);
    }
    else {
        apr_pool_create(&d->scratch, d->pool);
    }
}

static const llmux_json_t *parse(llmux_stream_t *s, llmux_slice_t text)
{
    const llmux_json_t *v = llmux_json_parse_again(s->parser, text, 0, NULL);

    renew_scratch(s->decoder);

    if (!v) {
        /* The last event of a stream that broke off is cut short. */
        bad_upstream(s, s->closing && (s->shape == EVENTS
                                       || s->shape == LINES)
                     ? "The provider's answer was truncated."
                     : "The provider's answer is not valid JSON.");
    }
    return v;
}

/* Can it be done without an index? Then it is done. Strings without escapes
 * stand for themselves: most streams get along without a scratch pool, and
 * one that is held for minutes should not keep 8 KB for it. */
static int peek(llmux_stream_t *s, llmux_slice_t name, llmux_slice_t text,
                int whole)
{
    llmux_decoder_t *d = s->decoder;

    if (!d->peek) {
        return 0;
    }
    if (d->scratch || memchr(text.data, '\\', text.len)) {
        renew_scratch(d);
    }
    return d->peek(d, name, text, whole, s->parser);
}

/** @return 0 if it was no JSON */
static int payload(llmux_stream_t *s, llmux_slice_t name, llmux_slice_t text)
{
    const llmux_json_t *v;

    if (peek(s, name, text, 0)) {
        return 1;
    }
    v = parse(s, text);
    if (v) {
        s->decoder->payload(s->decoder, name, v);
    }
    return v != NULL;
}

static void ping(llmux_stream_t *s)
{
    static const llmux_event_t ev = { .kind = LLMUX_EV_PING };

    llmux_decoder_emit(s->decoder, &ev);
}

static llmux_slice_t from(llmux_slice_t s, apr_size_t n)
{
    s.data += n;
    s.len -= n;
    return s;
}

/* A JSON document that stands among events without `data:`, which is how
 * some servers report that they failed midway. Absent if there is none. */
static llmux_slice_t bare_document(llmux_slice_t raw)
{
    static const llmux_slice_t none = { NULL, 0 };
    apr_size_t i = 0;

    while (i < raw.len && raw.data[i] != '{') {
        if (raw.data[i] == ':') {
            while (i < raw.len && raw.data[i] != '\n' && raw.data[i] != '\r') {
                i++;
            }
        }
        else if (llmux_char_is_space(raw.data[i])) {
            i++;
        }
        else {
            return none;
        }
    }
    return i < raw.len ? from(raw, i) : none;
}

static int no_data(llmux_stream_t *s, const llmux_sse_event_t *ev)
{
    llmux_slice_t document = bare_document(ev->raw);

    if (document.data) {
        return payload(s, ev->name, document);
    }
    if (memchr(ev->raw.data, ':', ev->raw.len)) {
        ping(s);        /* a comment, not only blank lines */
    }
    return 1;
}

/** @return 0 if it was no JSON */
static int dispatch(llmux_stream_t *s, const llmux_sse_event_t *ev, int done)
{
    if (done) {
        if (s->decoder->sentinel) {
            s->decoder->sentinel(s->decoder);
        }
        return 1;
    }
    if (!ev->data.data) {
        return no_data(s, ev);
    }
    if (llmux_slice_blank(ev->data)) {
        ping(s);
        return 1;
    }
    return payload(s, ev->name, ev->data);
}

/* Broken JSON is not passed on: the relay ends with an ERROR instead. */
static int on_event(void *baton, const llmux_sse_event_t *ev)
{
    llmux_stream_t *s = baton;
    int done = ev->data.len >= 6 && !memcmp(ev->data.data, "[DONE]", 6);

    if (s->decoder->ended) {
        return 0;
    }
    if (dispatch(s, ev, done) && s->frame) {
        s->frame(s->baton, ev->raw, done, !ev->data.data);
    }
    return !s->decoder->ended;
}

/* ---- Amazon's messages ----------------------------------------------- */

/* An exception, or an error of the service. */
static void refused(llmux_stream_t *s, const llmux_aws_message_t *m)
{
    llmux_event_t ev = { .kind = LLMUX_EV_ERROR };
    llmux_decoder_t *d = s->decoder;
    const llmux_json_t *v = llmux_json_parse_again(s->parser, m->payload, 0,
                                                   NULL);

    ev.error = llmux_aws_error(d->pool, m, v);
    llmux_decoder_emit(d, &ev);
}

static void take_message(llmux_stream_t *s, const llmux_aws_message_t *m)
{
    if (llmux_slice_is(m->type, "exception")
        || llmux_slice_is(m->type, "error")) {
        refused(s, m);
    }
    else if (!llmux_slice_is(m->type, "event")) {
        bad_upstream(s, "The provider's answer has a message of no known "
                     "type.");
    }
    else if (llmux_slice_blank(m->payload)) {
        ping(s);
    }
    else if (payload(s, m->event_type, m->payload) && s->frame) {
        s->frame(s->baton, m->raw, 0, 0);
    }
}

static int on_message(void *baton, const llmux_aws_message_t *m)
{
    llmux_stream_t *s = baton;

    take_message(s, m);
    return !s->decoder->ended;
}

/* ---- bytes ----------------------------------------------------------- */

/* Makes what takes a stream apart. The first bytes may yet show that it is
 * none. */
static void open_stream(llmux_stream_t *s, apr_pool_t *p,
                        llmux_frame_e frame)
{
    if (frame == LLMUX_FRAME_AWS) {
        s->aws = llmux_aws_create(p, LLMUX_EVENT_MAX, on_message, s);
    }
    else {
        s->sse = llmux_sse_create(p, LLMUX_EVENT_MAX, on_event, s);
    }
}

llmux_stream_t *llmux_stream_open(apr_pool_t *p, const llmux_env_t *env,
                                  const llmux_dialect_t *dialect,
                                  int streamed, llmux_emit_fn emit,
                                  llmux_frame_fn frame, void *baton)
{
    llmux_stream_t *s = apr_pcalloc(p, sizeof(*s));

    s->decoder = dialect->decoder(p, env, emit, baton);
    s->parser = llmux_json_parser_create(p);
    s->body = llmux_buf_create(p, LLMUX_ANSWER_MAX);
    s->frame = frame;
    s->baton = baton;
    s->shape = dialect->frame == LLMUX_FRAME_LINES ? LINES
        : streamed ? SEEK : WHOLE;
    if (s->shape == SEEK) {
        open_stream(s, p, dialect->frame);
    }
    return s;
}

/* Looks at the first byte that says something: an event stream cannot begin
 * with a brace or bracket. Bytes of a BOM and white space say nothing; where
 * messages begin with their length, they are a document's already.
 * @return how many bytes it looked at */
static apr_size_t seek(llmux_stream_t *s, const char *data, apr_size_t len)
{
    apr_size_t i;

    for (i = 0; i < len; i++) {
        int says_nothing = data[i]
                           && strchr(" \t\r\n\xef\xbb\xbf", data[i]);

        if (data[i] == '{' || data[i] == '[' || (says_nothing && s->aws)) {
            s->shape = BARE;
            break;
        }
        if (!says_nothing) {
            s->shape = s->aws ? MESSAGES : EVENTS;
            break;
        }
    }
    return i;
}

/* Stopping is our own doing; what is left is an event without an end. */
static void check(llmux_stream_t *s, apr_status_t rv)
{
    if (rv == APR_ENOSPC) {
        bad_upstream(s, "An event of the provider's answer is too long.");
    }
    else if (rv == APR_EINVAL) {
        bad_upstream(s, "The provider's answer was damaged on the way.");
    }
    else if (rv == APR_EOF) {
        bad_upstream(s, "The provider's answer was truncated.");
    }
}

static void feed_events(llmux_stream_t *s, const char *data, apr_size_t len)
{
    check(s, llmux_sse_feed(s->sse, data, len));
}

static void feed_body(llmux_stream_t *s, const char *data, apr_size_t len)
{
    llmux_buf_add(s->body, data, len);
    if (s->body->failed) {
        bad_upstream(s, "The provider's answer is too long.");
    }
}

/* A first line that is no document may be the beginning of one: then all of
 * the answer is that document, as proxies like to print it. */
static void take_line(llmux_stream_t *s)
{
    static const llmux_slice_t no_name = { NULL, 0 };
    llmux_slice_t line = llmux_buf_slice(s->body);

    if (!llmux_slice_blank(line)) {
        if (!s->decoder->started
            && !llmux_json_parse_again(s->parser, line, 1, NULL)) {
            s->shape = BARE;
            return;
        }
        if (payload(s, no_name, line) && s->frame) {
            s->frame(s->baton, line, 0, 0);
        }
    }
    llmux_buf_reset(s->body);
}

static void feed_lines(llmux_stream_t *s, const char *data, apr_size_t len)
{
    const char *newline;
    apr_size_t n;

    for (; len && s->shape == LINES && !s->decoder->ended;
         data += n, len -= n) {
        newline = memchr(data, '\n', len);
        n = newline ? (apr_size_t)(newline - data) + 1 : len;
        /* The first may be a whole answer. */
        if (s->decoder->started && s->body->len + n > LLMUX_EVENT_MAX) {
            bad_upstream(s, "An event of the provider's answer is too long.");
            return;
        }
        feed_body(s, data, n);
        if (newline && !s->decoder->ended) {
            take_line(s);
        }
    }
    if (len && s->shape == BARE) {
        feed_body(s, data, len);
    }
}

void llmux_stream_feed(llmux_stream_t *s, const char *data, apr_size_t len)
{
    apr_size_t n;

    if (s->shape == SEEK) {
        n = seek(s, data, len);
        if (n) {
            feed_events(s, data, n);
        }
        data += n;
        len -= n;
    }
    if (!len || s->decoder->ended || s->closing) {
        return;
    }
    if (s->shape == EVENTS) {
        feed_events(s, data, len);
    }
    else if (s->shape == MESSAGES) {
        check(s, llmux_aws_feed(s->aws, data, len));
    }
    else if (s->shape == LINES) {
        feed_lines(s, data, len);
    }
    else {
        feed_body(s, data, len);
    }
}

/* A server that answers a streamed request with one document, be it an error
 * or the whole answer, is understood too. */
static void end_body(llmux_stream_t *s)
{
    static const llmux_slice_t no_name = { NULL, 0 };
    llmux_slice_t body = llmux_buf_slice(s->body);
    const llmux_json_t *v;

    if (peek(s, no_name, body, 1)) {
        return;
    }
    v = parse(s, body);
    if (v) {
        s->decoder->whole(s->decoder, v);
    }
}

void llmux_stream_end(llmux_stream_t *s)
{
    if (s->closing || s->decoder->ended) {
        return;
    }
    s->closing = 1;
    if (s->shape == LINES) {
        take_line(s);       /* the last may lack its end */
    }
    if (s->shape == WHOLE || s->shape == BARE) {
        end_body(s);
    }
    else if (s->aws) {
        check(s, llmux_aws_end(s->aws));
    }
    else if (s->sse) {
        check(s, llmux_sse_end(s->sse));
    }
    if (!s->decoder->ended) {
        renew_scratch(s->decoder);
        s->decoder->finish(s->decoder);
    }
    bad_upstream(s, "The provider's answer was truncated.");
}

int llmux_stream_ended(const llmux_stream_t *s)
{
    return s->decoder->ended;
}

llmux_slice_t llmux_stream_body(const llmux_stream_t *s)
{
    return llmux_buf_slice(s->body);
}
