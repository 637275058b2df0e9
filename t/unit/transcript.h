/* transcript.h - events written down, one line each, to be compared. */

#ifndef TRANSCRIPT_H
#define TRANSCRIPT_H

#include <stdlib.h>
#include <string.h>

#include <apr_strings.h>

#include "llmux/dialect.h"

/* The environment of tests: nothing in it changes. */
static apr_time_t test_now(void *host)
{
    return 0;
}

static apr_uint32_t test_chance(void *host)
{
    return 0;
}

static void test_log(void *host, llmux_log_e level, int number,
                     apr_status_t rv, const char *message)
{
}

static const llmux_env_t test_env = {
    .now = test_now, .chance = test_chance, .log = test_log
};

/* Names by number, as the lines say them. */
static const char *const block_names[] = {
    "text", "media", "call", "result", "think", "refusal"
};
static const char *const maker_names[] = {
    "none", "anthropic", "redacted", "gemini", "openai"
};
static const char *const finish_names[] = {
    "stop", "sequence", "length", "context", "calls", "filter", "refusal",
    "malformed", "pause", "other"
};
static const char *const error_names[] = {
#define X(kind, status, type, code, atype, gstatus) #kind,
#include "llmux/errors.def"
#undef X
};

static void write_word(llmux_buf_t *b, const char *label, llmux_slice_t s)
{
    if (s.data) {
        llmux_buf_adds(b, label);
        llmux_buf_add_slice(b, s);
    }
}

static void write_key(llmux_buf_t *b, const char *verb,
                      const llmux_event_t *ev, llmux_slice_t rest)
{
    llmux_buf_addf(b, "%s %d", verb, ev->key);
    write_word(b, " ", rest);
}

static void write_usage(llmux_buf_t *b, const llmux_usage_t *u)
{
    const struct { const char *name; apr_int64_t n; } all[] = {
        { "in", u->input }, { "read", u->cache_read },
        { "write", u->cache_write }, { "write1h", u->cache_write_1h },
        { "tool", u->tool_input }, { "out", u->output },
        { "reasoning", u->reasoning }, { "audio-in", u->audio_input },
        { "audio-out", u->audio_output },
        { "accepted", u->accepted_prediction },
        { "rejected", u->rejected_prediction }
    };
    unsigned int i;

    llmux_buf_adds(b, "usage");
    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i].n >= 0) {
            llmux_buf_addf(b, " %s=%ld", all[i].name, (long)all[i].n);
        }
    }
}

static void write_start(llmux_buf_t *b, const llmux_event_t *ev)
{
    llmux_buf_adds(b, "start");
    write_word(b, " ", ev->id);
    write_word(b, " ", ev->name);
    llmux_buf_addf(b, " %ld", (long)ev->created);
    write_word(b, " tier=", ev->tier);
    write_word(b, " fp=", ev->fingerprint);
}

static void write_open(llmux_buf_t *b, const llmux_event_t *ev)
{
    llmux_buf_addf(b, "open %d %s", ev->key, block_names[ev->block]);
    write_word(b, " id=", ev->id);
    write_word(b, " name=", ev->name);
    llmux_buf_adds(b, ev->custom ? " custom" : "");
    if (ev->cand) {
        llmux_buf_addf(b, " of %d", ev->cand);
    }
}

/** An event as a line. */
static void write_event(llmux_buf_t *b, const llmux_event_t *ev)
{
    switch (ev->kind) {
    case LLMUX_EV_START:
        write_start(b, ev);
        break;
    case LLMUX_EV_BLOCK_START:
        write_open(b, ev);
        break;
    case LLMUX_EV_TEXT:
        write_key(b, "text", ev, ev->text);
        break;
    case LLMUX_EV_THINK:
        write_key(b, "think", ev, ev->text);
        break;
    case LLMUX_EV_REFUSAL:
        write_key(b, "refusal", ev, ev->text);
        break;
    case LLMUX_EV_ARGS:
        write_key(b, "args", ev, ev->text);
        break;
    case LLMUX_EV_CITE:
        write_key(b, "cite", ev, ev->cite->url);
        write_word(b, " title=", ev->cite->title);
        write_word(b, " quote=", ev->cite->quote);
        llmux_buf_addf(b, " %ld..%ld", (long)ev->cite->start,
                       (long)ev->cite->end);
        break;
    case LLMUX_EV_TOKEN:
        llmux_buf_addf(b, "token %d %s ", ev->key,
                       maker_names[ev->token.maker]);
        llmux_buf_add_slice(b, ev->token.bytes);
        break;
    case LLMUX_EV_MEDIA:
        write_key(b, "media", ev, ev->name);
        write_word(b, " ", ev->text);
        break;
    case LLMUX_EV_LOGPROBS:
        llmux_buf_addf(b, "logprobs %d ", ev->cand);
        llmux_buf_add_slice(b, ev->text);
        break;
    case LLMUX_EV_BLOCK_STOP:
        llmux_buf_addf(b, "close %d", ev->key);
        break;
    case LLMUX_EV_VECTOR:
        llmux_buf_addf(b, "vector %d%s ", ev->cand,
                       ev->base64 ? " base64" : "");
        llmux_buf_add_slice(b, ev->text);
        break;
    case LLMUX_EV_USAGE:
        write_usage(b, ev->usage);
        break;
    case LLMUX_EV_FINISH:
        llmux_buf_addf(b, "finish %d %s", ev->cand, finish_names[ev->finish]);
        write_word(b, " as ", ev->text);
        write_word(b, " at ", ev->stop);
        break;
    case LLMUX_EV_PING:
        llmux_buf_adds(b, "ping");
        break;
    case LLMUX_EV_ERROR:
        llmux_buf_addf(b, "error %s: %s", error_names[ev->error->kind],
                       ev->error->message);
        break;
    case LLMUX_EV_END:
        llmux_buf_adds(b, "end");
        break;
    }
    llmux_buf_adds(b, "\n");
}

/** An llmux_emit_fn whose baton is an llmux_buf_t. */
__attribute__((unused))
static void note_event(void *baton, const llmux_event_t *ev)
{
    write_event(baton, ev);
}

/* OpenAI's dialect when every payload is parsed, the ordinary ones too. */
static llmux_decoder_t *parsing_decoder(apr_pool_t *p, const llmux_env_t *env,
                                        llmux_emit_fn emit, void *baton)
{
    llmux_decoder_t *d = llmux_dialect_openai.decoder(p, env, emit, baton);

    d->peek = NULL;
    return d;
}

__attribute__((unused))
static const llmux_dialect_t parsing_openai = {
    .name = "openai", .decoder = parsing_decoder
};

/** Test data with ' for ", and in streams a line for each event. */
__attribute__((unused))
static const char *quotes(apr_pool_t *p, const char *text)
{
    char *s = apr_pstrdup(p, text), *c;

    for (c = s; *c; c++) {
        if (*c == '\'') {
            *c = '"';
        }
    }
    return s;
}

/** Lines, each as an event; those with a colon before any brace stand. */
__attribute__((unused))
static const char *events(apr_pool_t *p, const char *lines)
{
    char *last, *line, *all = apr_pstrdup(p, quotes(p, lines));
    const char *out = "";

    for (line = apr_strtok(all, "\n", &last); line;
         line = apr_strtok(NULL, "\n", &last)) {
        out = apr_pstrcat(p, out, *line == ':' ? "" : "data: ", line, "\n\n",
                          NULL);
    }
    return out;
}

/**
 * What a dialect's decoder makes of the bytes.
 * @param cut where to cut the bytes in two; -1: not; -2: into single bytes
 */
__attribute__((unused))
static const char *transcribe(apr_pool_t *p, const llmux_dialect_t *dialect,
                              int streamed, const char *bytes, apr_size_t len,
                              long cut)
{
    llmux_buf_t *b = llmux_buf_create(p, 1 << 24);
    llmux_stream_t *s = llmux_stream_open(p, &test_env, dialect, streamed,
                                          note_event, NULL, b);
    apr_size_t i;

    if (cut >= 0) {
        llmux_stream_feed(s, bytes, (apr_size_t)cut);
        llmux_stream_feed(s, bytes + cut, len - (apr_size_t)cut);
    }
    else if (cut == -1) {
        llmux_stream_feed(s, bytes, len);
    }
    else {
        for (i = 0; i < len; i++) {
            llmux_stream_feed(s, bytes + i, 1);
        }
    }
    llmux_stream_end(s);
    return apr_pstrdup(p, llmux_buf_slice(b).data);
}

/** Is the transcript the same wherever the bytes are cut? */
__attribute__((unused))
static int same_at_every_cut(apr_pool_t *p, const llmux_dialect_t *dialect,
                             int streamed, const char *bytes)
{
    apr_size_t len = strlen(bytes);
    const char *want = transcribe(p, dialect, streamed, bytes, len, -1);
    long cut;
    int same = 1;

    for (cut = -2; same && cut <= (long)len; cut++) {
        apr_pool_t *scratch;

        apr_pool_create(&scratch, p);
        same = !strcmp(want, transcribe(scratch, dialect, streamed, bytes,
                                        len, cut));
        apr_pool_destroy(scratch);
    }
    return same;
}

#endif
