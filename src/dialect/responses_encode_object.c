/* responses_encode_object.c - the response as a whole: how it begins and
 * ends, what it repeats of the request, what it cost. */

#include "responses_encode.h"

typedef llmux_responses_encode_t encoder_t;
typedef llmux_responses_output_t item_t;

/* What the object says of the answer. */
typedef struct state_t {
    const char *status;         /* "completed" */
    const char *event;          /* that tells it */
    const char *why;            /* incomplete */
    const char *code, *message; /* failed */
} state_t;

static const state_t completed = {
    "completed", "response.completed", NULL, NULL, NULL
};
static const state_t too_long = {
    "incomplete", "response.incomplete", "max_output_tokens", NULL, NULL
};
static const state_t filtered = {
    "incomplete", "response.incomplete", "content_filter", NULL, NULL
};
static const state_t malformed = {
    "failed", "response.failed", NULL, "server_error",
    "The model tried to call a tool, and its call cannot be read."
};

/* Calls that came are there to be made, whatever became of those after
 * them; and a refusal in words is an answer. */
static const state_t *state_of(const encoder_t *e)
{
    switch (e->finish) {
    case LLMUX_FINISH_LENGTH:
    case LLMUX_FINISH_CONTEXT:
        return &too_long;
    case LLMUX_FINISH_FILTER:
        return &filtered;
    case LLMUX_FINISH_REFUSAL:
        return e->refused ? &completed : &filtered;
    case LLMUX_FINISH_MALFORMED:
        return e->calls ? &completed : &malformed;
    default:
        return &completed;
    }
}

/* ---- pieces ----------------------------------------------------------- */

static void put_str(llmux_jw_t *w, const char *name, const char *s)
{
    llmux_jw_key(w, name);
    llmux_jw_cstr(w, s);
}

/* A member as the client said it, or what it is otherwise. */
static void repeat(const encoder_t *e, llmux_jw_t *w, const char *name,
                   const char *said, const char *other)
{
    llmux_slice_t json = llmux_responses_said(e->how.chat, said);

    llmux_jw_key(w, name);
    llmux_json_one_line(w->out, json.data ? json : llmux_slice(other));
    w->comma = 1;
}

static void repeat_all(const encoder_t *e, llmux_jw_t *w,
                       const char *const (*members)[2])
{
    for (; (*members)[0]; members++) {
        repeat(e, w, (*members)[0], (*members)[0], (*members)[1]);
    }
}

static void put_reasoning(const encoder_t *e, llmux_jw_t *w)
{
    llmux_jw_key(w, "reasoning");
    llmux_jw_open(w, '{');
    repeat(e, w, "effort", "reasoning.effort", "null");
    repeat(e, w, "summary", "reasoning.summary", "null");
    llmux_jw_close(w, '}');
}

static void put_text(const encoder_t *e, llmux_jw_t *w)
{
    llmux_jw_key(w, "text");
    llmux_jw_open(w, '{');
    repeat(e, w, "format", "text.format", "{\"type\":\"text\"}");
    repeat(e, w, "verbosity", "text.verbosity", "\"medium\"");
    llmux_jw_close(w, '}');
}

static void put_count(llmux_jw_t *w, const char *name, apr_int64_t n)
{
    llmux_jw_key(w, name);
    llmux_jw_int(w, n > 0 ? n : 0);
}

/* All of its members are numbers in every client's types: 0 stands for what
 * was not reported. */
static void put_usage(llmux_jw_t *w, const llmux_usage_t *u)
{
    apr_int64_t in = llmux_usage_input(u), out = llmux_usage_output(u);

    llmux_jw_key(w, "usage");
    if (in < 0 && out < 0) {
        llmux_jw_null(w);
        return;
    }
    in = in < 0 ? 0 : in;
    out = out < 0 ? 0 : out;
    llmux_jw_open(w, '{');
    put_count(w, "input_tokens", in);
    llmux_jw_key(w, "input_tokens_details");
    llmux_jw_open(w, '{');
    put_count(w, "cached_tokens", u->cache_read);
    put_count(w, "cache_write_tokens", u->cache_write);
    llmux_jw_close(w, '}');
    put_count(w, "output_tokens", out);
    llmux_jw_key(w, "output_tokens_details");
    llmux_jw_open(w, '{');
    put_count(w, "reasoning_tokens", u->reasoning);
    llmux_jw_close(w, '}');
    put_count(w, "total_tokens",
              in > APR_INT64_MAX - out ? APR_INT64_MAX : in + out);
    llmux_jw_close(w, '}');
}

/* ---- the object ------------------------------------------------------- */

static void put_error(llmux_jw_t *w, const state_t *state)
{
    llmux_jw_key(w, "error");
    if (!state->message) {
        llmux_jw_null(w);
        return;
    }
    llmux_jw_open(w, '{');
    put_str(w, "code", state->code);
    put_str(w, "message", state->message);
    llmux_jw_close(w, '}');
}

static void put_incomplete(llmux_jw_t *w, const state_t *state)
{
    llmux_jw_key(w, "incomplete_details");
    if (!state->why) {
        llmux_jw_null(w);
        return;
    }
    llmux_jw_open(w, '{');
    put_str(w, "reason", state->why);
    llmux_jw_close(w, '}');
}

static void put_output(const encoder_t *e, llmux_jw_t *w)
{
    const item_t *item;

    llmux_jw_key(w, "output");
    llmux_jw_open(w, '[');
    for (item = e->items; item; item = item->next) {
        llmux_responses_put_item(w, item, 0);
    }
    llmux_jw_close(w, ']');
}

/* What the answer is, and how it stands. */
static void put_answer(const encoder_t *e, llmux_jw_t *w,
                       const state_t *state)
{
    static const char *const limits[][2] = {
        { "instructions",      "null" },
        { "max_output_tokens", "null" },
        { "max_tool_calls",    "null" },
        { NULL,                NULL   }
    };

    put_str(w, "id", e->id);
    put_str(w, "object", "response");
    llmux_jw_key(w, "created_at");
    llmux_jw_int(w, e->created);
    put_str(w, "status", state->status);
    llmux_jw_key(w, "background");
    llmux_jw_bool(w, 0);
    put_error(w, state);
    put_incomplete(w, state);
    repeat_all(e, w, limits);
    llmux_jw_key(w, "model");
    llmux_jw_str(w, e->model);
    put_output(e, w);
}

/* What it repeats of the request. Nothing is kept here, whatever the client
 * wanted to be kept. */
static void put_request(const encoder_t *e, llmux_jw_t *w)
{
    static const char *const calls[][2] = {
        { "parallel_tool_calls",  "true" },
        { "previous_response_id", "null" },
        { "prompt_cache_key",     "null" },
        { NULL,                   NULL   }
    };
    static const char *const rest[][2] = {
        { "tool_choice",  "\"auto\""     },
        { "tools",        "[]"           },
        { "top_logprobs", "0"            },
        { "top_p",        "1"            },
        { "truncation",   "\"disabled\"" },
        { "user",         "null"         },
        { "metadata",     "{}"           },
        { NULL,           NULL           }
    };

    repeat_all(e, w, calls);
    put_reasoning(e, w);
    repeat(e, w, "safety_identifier", "safety_identifier", "null");
    llmux_jw_key(w, "service_tier");
    llmux_jw_str(w, e->tier);
    llmux_jw_key(w, "store");
    llmux_jw_bool(w, 0);
    repeat(e, w, "temperature", "temperature", "1");
    put_text(e, w);
    repeat_all(e, w, rest);
}

static void put_response(const encoder_t *e, llmux_jw_t *w,
                         const state_t *state)
{
    llmux_jw_open(w, '{');
    put_answer(e, w, state);
    put_request(e, w);
    put_usage(w, &e->usage);
    llmux_jw_close(w, '}');
}

static void say(encoder_t *e, const char *event, const state_t *state,
                llmux_buf_t *out)
{
    llmux_jw_t w = llmux_responses_event(e, event, out);

    llmux_jw_key(&w, "response");
    put_response(e, &w, state);
    llmux_responses_event_end(&w);
}

void llmux_responses_say_begin(encoder_t *e, llmux_buf_t *out)
{
    static const state_t begun = { "in_progress", NULL, NULL, NULL, NULL };

    if (e->how.streamed) {
        say(e, "response.created", &begun, out);
        say(e, "response.in_progress", &begun, out);
    }
}

void llmux_responses_say_end(encoder_t *e, llmux_buf_t *out)
{
    const state_t *state = state_of(e);
    llmux_jw_t w;

    if (e->how.streamed) {
        say(e, state->event, state, out);
        return;
    }
    w = llmux_jw(out);
    put_response(e, &w, state);
}

/* ---- failures --------------------------------------------------------- */

/* The words that a response has for them. */
static const char *code_of(llmux_error_e kind)
{
    switch (kind) {
    case LLMUX_ERR_INVALID:
    case LLMUX_ERR_UNSUPPORTED:
    case LLMUX_ERR_BLOCKED:
        return "invalid_prompt";
    case LLMUX_ERR_CONTEXT:
        return "context_length_exceeded";
    case LLMUX_ERR_RATE_LIMIT:
        return "rate_limit_exceeded";
    case LLMUX_ERR_BILLING:
    case LLMUX_ERR_QUOTA:
        return "insufficient_quota";
    default:
        return "server_error";
    }
}

/* OpenAI's own servers nest what its types have at the top: clients look in
 * one place or the other. */
static void put_error_members(llmux_jw_t *w, const llmux_error_t *err)
{
    put_str(w, "code", err->code);
    put_str(w, "message", err->message);
    put_str(w, "param", err->param);
}

void llmux_responses_say_error(encoder_t *e, const llmux_error_t *err,
                               llmux_buf_t *out)
{
    state_t state = { "failed", "response.failed", NULL, NULL, NULL };
    llmux_jw_t w;

    if (!e->how.streamed) {
        return;
    }
    w = llmux_responses_event(e, "error", out);
    put_error_members(&w, err);
    llmux_jw_key(&w, "error");
    llmux_jw_open(&w, '{');
    put_str(&w, "type", err->type);
    put_error_members(&w, err);
    llmux_jw_close(&w, '}');
    llmux_responses_event_end(&w);
    state.code = code_of(err->kind);
    state.message = err->message;
    say(e, state.event, &state, out);
}
