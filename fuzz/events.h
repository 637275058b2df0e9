/* events.h - events made of bytes, for targets that fuzz encoders: in any
 * order that decoders may bring them in. One byte says what comes next, and
 * for which of eight blocks; words are what is left of the line. */

#ifndef FUZZ_EVENTS_H
#define FUZZ_EVENTS_H

#include "script.h"

enum { OPEN_MOST = 8, CANDS = 3 };

typedef struct script_t {
    source_t in;
    llmux_emit_fn tell;
    void *baton;
    struct {
        int key;                /* -1: none */
        int cand;
        llmux_block_e kind;
    } open[OPEN_MOST];
    int keys;
    int failed;                 /* it ended with an error */
} script_t;

/* ---- blocks ---------------------------------------------------------- */

static void start_block(script_t *s, int slot, int what)
{
    static const llmux_block_e kinds[] = {
        LLMUX_BLOCK_TEXT, LLMUX_BLOCK_CALL, LLMUX_BLOCK_THINK,
        LLMUX_BLOCK_REFUSAL, LLMUX_BLOCK_MEDIA, LLMUX_BLOCK_CALL
    };
    llmux_event_t ev = { .kind = LLMUX_EV_BLOCK_START };

    ev.cand = s->open[slot].cand = slot % CANDS;
    ev.key = s->open[slot].key = s->keys++;
    ev.block = s->open[slot].kind = kinds[what % 6];
    ev.custom = what % 6 == 5;
    if (ev.block == LLMUX_BLOCK_CALL) {
        ev.id = llmux_slice(apr_psprintf(s->in.p, "call_%d", ev.key));
        ev.name = line(&s->in);
    }
    s->tell(s->baton, &ev);
}

static void stop_block(script_t *s, int slot)
{
    llmux_event_t ev = { .kind = LLMUX_EV_BLOCK_STOP };

    ev.key = s->open[slot].key;
    ev.cand = s->open[slot].cand;
    s->open[slot].key = -1;
    s->tell(s->baton, &ev);
}

/* Base64 of the line. */
static void set_medium(script_t *s, llmux_event_t *ev)
{
    static const char *const types[] = {
        "image/png", "audio/pcm16", "video/mp4"
    };

    ev->name = llmux_slice(types[next(&s->in) % 3]);
    ev->text = llmux_base64_encode(s->in.p, line(&s->in));
}

static void say(script_t *s, int slot)
{
    static const llmux_event_e kinds[] = {
        [LLMUX_BLOCK_TEXT]    = LLMUX_EV_TEXT,
        [LLMUX_BLOCK_MEDIA]   = LLMUX_EV_MEDIA,
        [LLMUX_BLOCK_CALL]    = LLMUX_EV_ARGS,
        [LLMUX_BLOCK_RESULT]  = LLMUX_EV_PING,
        [LLMUX_BLOCK_THINK]   = LLMUX_EV_THINK,
        [LLMUX_BLOCK_REFUSAL] = LLMUX_EV_REFUSAL
    };
    llmux_event_t ev = { .kind = kinds[s->open[slot].kind] };

    ev.key = s->open[slot].key;
    ev.cand = s->open[slot].cand;
    if (ev.kind == LLMUX_EV_MEDIA) {
        set_medium(s, &ev);
    }
    else {
        ev.text = line(&s->in);
    }
    s->tell(s->baton, &ev);
}

static void say_token(script_t *s, int slot)
{
    llmux_event_t ev = { .kind = LLMUX_EV_TOKEN };

    if (s->open[slot].kind == LLMUX_BLOCK_THINK
        || s->open[slot].kind == LLMUX_BLOCK_CALL) {
        ev.key = s->open[slot].key;
        ev.cand = s->open[slot].cand;
        ev.token.maker = (llmux_maker_e)(next(&s->in) % 5);
        ev.token.bytes = line(&s->in);
        s->tell(s->baton, &ev);
    }
}

/* ---- beside them ----------------------------------------------------- */

static void say_usage(script_t *s)
{
    llmux_usage_t usage = LLMUX_USAGE_NONE;
    llmux_event_t ev = { .kind = LLMUX_EV_USAGE, .usage = &usage };

    usage.input = next(&s->in) - 1;
    usage.output = next(&s->in) - 1;
    usage.cache_read = next(&s->in) - 1;
    usage.cache_write = next(&s->in) - 1;
    usage.reasoning = next(&s->in) - 1;
    s->tell(s->baton, &ev);
}

static void say_cite(script_t *s, int cand)
{
    llmux_cite_t cite = { .start = -1, .end = -1 };
    llmux_event_t ev = { .kind = LLMUX_EV_CITE, .cite = &cite };

    ev.cand = cand;
    cite.start = next(&s->in) - 1;
    cite.end = next(&s->in) - 1;
    cite.url = line(&s->in);
    if (next(&s->in) & 1) {
        cite.title = line(&s->in);
        cite.quote = cite.title;
    }
    s->tell(s->baton, &ev);
}

/* What is no array of objects has no token: decoders let it through. */
static void say_logprobs(script_t *s, int cand)
{
    llmux_event_t ev = { .kind = LLMUX_EV_LOGPROBS };

    ev.cand = cand;
    ev.text = line(&s->in);
    if (llmux_json_kind(llmux_json_parse(s->in.p, ev.text, 0, NULL))
        == LLMUX_JSON_ARRAY) {
        s->tell(s->baton, &ev);
    }
}

static void say_finish(script_t *s, int cand)
{
    llmux_event_t ev = { .kind = LLMUX_EV_FINISH };

    ev.cand = cand;
    ev.finish = (llmux_finish_e)(next(&s->in) % 10);
    ev.stop = llmux_slice("\n\n");
    s->tell(s->baton, &ev);
}

static void say_beside(script_t *s, int cand)
{
    static const llmux_event_t ping = { .kind = LLMUX_EV_PING };

    switch (next(&s->in) % 5) {
    case 0:
        s->tell(s->baton, &ping);
        break;
    case 1:
        say_usage(s);
        break;
    case 2:
        say_cite(s, cand);
        break;
    case 3:
        say_logprobs(s, cand);
        break;
    default:
        say_finish(s, cand);
    }
}

/* ---- all of it ------------------------------------------------------- */

static void step(script_t *s)
{
    int what = next(&s->in), slot = what % OPEN_MOST;
    int detail = what / OPEN_MOST % 8;

    if (s->open[slot].key < 0) {
        if (detail < 6) {
            start_block(s, slot, detail);
        }
        else {
            say_beside(s, slot % CANDS);
        }
    }
    else if (detail < 4) {
        say(s, slot);
    }
    else if (detail == 4) {
        say_beside(s, slot % CANDS);
    }
    else if (detail == 5) {
        say_token(s, slot);
    }
    else {
        stop_block(s, slot);
    }
}

/* The rest is due before the end, which one in sixteen does not reach. */
static void finish(script_t *s, int how)
{
    llmux_event_t ev = { .kind = LLMUX_EV_END };
    int i;

    s->failed = how % 16 == 15;
    if (s->failed) {
        ev.kind = LLMUX_EV_ERROR;
        ev.error = llmux_error(s->in.p, LLMUX_ERR_OVERLOADED, NULL, "no");
        s->tell(s->baton, &ev);
        return;
    }
    for (i = 0; i < OPEN_MOST; i++) {
        if (s->open[i].key >= 0) {
            stop_block(s, i);
        }
    }
    for (i = 0; i < CANDS; i++) {
        ev.kind = LLMUX_EV_FINISH;
        ev.cand = i;
        ev.finish = LLMUX_FINISH_OTHER;
        s->tell(s->baton, &ev);
    }
    ev.kind = LLMUX_EV_END;
    s->tell(s->baton, &ev);
}

/* Tells what the bytes say; the first of them how it begins and ends. */
static void play(script_t *s, llmux_emit_fn tell, void *baton)
{
    llmux_event_t start = { .kind = LLMUX_EV_START };
    int how = next(&s->in), i;

    s->tell = tell;
    s->baton = baton;
    for (i = 0; i < OPEN_MOST; i++) {
        s->open[i].key = -1;
    }
    if (how & 16) {
        start.id = llmux_slice("theirs");
        start.name = line(&s->in);
        start.created = 1;
        start.tier = start.fingerprint = llmux_slice("\"flex\"");
    }
    tell(baton, &start);
    while (s->in.data < s->in.end && s->keys < LLMUX_BLOCKS_MAX) {
        step(s);
    }
    finish(s, how);
}

#endif
