/* cohere_write.c - a chat, written as a request to Cohere's /v2/chat. The API
 * refuses members that it does not know. */

#include <apr_strings.h>

#include "cohere.h"

#define STOPS_MAX   5
#define TOP_K_MAX   500

typedef llmux_writer_t writer_t;

/* ---- tools ----------------------------------------------------------- */

/* Strictness is for all tools or for none, and wants a required parameter in
 * each of them. */
static int can_be_strict(const writer_t *w, const llmux_tool_t *t)
{
    const llmux_json_t *v = t->schema.data
        ? llmux_json_parse(w->pool, t->schema, 0, NULL) : NULL;

    return t->strict == LLMUX_YES && !t->custom
           && llmux_json_count(llmux_json_get(v, "required"));
}

static void write_strict(writer_t *w)
{
    int strict = 0, all = llmux_writer_can(w, LLMUX_CAN_STRICT);
    const llmux_tool_t *t;

    for (t = w->chat->tools; t; t = t->next) {
        if (llmux_writer_offers(w, t)) {
            strict |= t->strict == LLMUX_YES;
            all = all && can_be_strict(w, t);
        }
    }
    if (strict && all) {
        llmux_jw_opt_bool(&w->jw, "strict_tools", LLMUX_YES);
    }
    else if (strict) {
        llmux_warn(w->warnings, LLMUX_WARN_DROP, "tools.function.strict");
    }
}

/* A choice among some tools shows these alone. */
static void write_choice(writer_t *w)
{
    static const struct { const char *word; int emulated; } choices[] = {
        [LLMUX_CHOICE_UNSET]            = { NULL,       0 },
        [LLMUX_CHOICE_AUTO]             = { NULL,       0 },
        [LLMUX_CHOICE_NONE]             = { "NONE",     0 },
        [LLMUX_CHOICE_REQUIRED]         = { "REQUIRED", 0 },
        [LLMUX_CHOICE_NAMED]            = { "REQUIRED", 1 },
        [LLMUX_CHOICE_ALLOWED_AUTO]     = { NULL,       1 },
        [LLMUX_CHOICE_ALLOWED_REQUIRED] = { "REQUIRED", 1 }
    };
    llmux_choice_e choice = w->chat->choice;

    llmux_jw_opt_str(&w->jw, "tool_choice",
                     llmux_slice(choices[choice].word));
    if (choices[choice].emulated) {
        llmux_warn(w->warnings, LLMUX_WARN_EMULATE, "tool_choice");
    }
}

static void write_tools(writer_t *w)
{
    if (w->chat->tools) {
        llmux_writer_tools(w);
        write_strict(w);
        write_choice(w);
    }
}

/* ---- format ---------------------------------------------------------- */

static void write_format(writer_t *w)
{
    if (!llmux_writer_native_format(w)) {
        return;
    }
    llmux_jw_key(&w->jw, "response_format");
    llmux_jw_open(&w->jw, '{');
    llmux_jw_opt_str(&w->jw, "type", llmux_slice("json_object"));
    llmux_jw_opt_raw(&w->jw, "json_schema", w->chat->format_schema);
    llmux_jw_close(&w->jw, '}');
}

/* ---- numbers --------------------------------------------------------- */

/* What OpenAI's clients say within wider bounds than these. */
static const struct {
    const char *name, *field;
    double low, high;
    const char *lowest, *highest;       /* NULL: it is lost beyond */
} bounds[] = {
    { "temperature",       "temperature",       0,    2,    "0",    "2"    },
    { "p",                 "top_p",             0.01, 0.99, "0.01", "0.99" },
    { "k",                 "top_k",             0,    TOP_K_MAX, "0", "500" },
    { "frequency_penalty", "frequency_penalty", 0,    1,    NULL,   "1"    },
    { "presence_penalty",  "presence_penalty",  0,    1,    NULL,   "1"    },
    { "seed",              "seed",   0, 18446744073709551615.0, NULL, NULL }
};

static void write_bounded(writer_t *w, int row, llmux_slice_t source)
{
    const llmux_json_t *v = source.data
        ? llmux_json_parse(w->pool, source, 0, NULL) : NULL;
    double n = llmux_json_double(v, bounds[row].low);
    const char *instead = n < bounds[row].low ? bounds[row].lowest
                                              : bounds[row].highest;

    if (!source.data) {
        return;
    }
    if (n >= bounds[row].low && n <= bounds[row].high) {
        llmux_jw_opt_raw(&w->jw, bounds[row].name, source);
        return;
    }
    llmux_jw_opt_raw(&w->jw, bounds[row].name, llmux_slice(instead));
    llmux_warn(w->warnings, instead ? LLMUX_WARN_APPROX : LLMUX_WARN_DROP,
               bounds[row].field);
}

static void write_numbers(writer_t *w)
{
    const llmux_chat_t *chat = w->chat;
    const llmux_slice_t values[] = {
        chat->temperature, chat->top_p, chat->top_k, chat->frequency_penalty,
        chat->presence_penalty, chat->seed
    };
    apr_size_t i;

    llmux_jw_opt_raw(&w->jw, "max_tokens", chat->max_tokens);
    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        write_bounded(w, (int)i, values[i]);
    }
    llmux_writer_stops(w, "stop_sequences", STOPS_MAX);
    if (chat->logprobs == LLMUX_YES) {
        llmux_jw_opt_bool(&w->jw, "logprobs", LLMUX_YES);
    }
    if (chat->top_logprobs.data && !llmux_slice_is(chat->top_logprobs, "0")) {
        llmux_warn(w->warnings, LLMUX_WARN_DROP, "top_logprobs");
    }
}

/* ---- thinking -------------------------------------------------------- */

static void open_thinking(writer_t *w, const char *type)
{
    llmux_jw_key(&w->jw, "thinking");
    llmux_jw_open(&w->jw, '{');
    llmux_jw_opt_str(&w->jw, "type", llmux_slice(type));
}

/* Efforts are told as tokens; from high on the model thinks as long as it
 * wants to, which is what it does when nothing is said. */
static void write_thinking(writer_t *w)
{
    static const char *const budgets[] = {
        [LLMUX_EFFORT_MINIMAL] = "1024",
        [LLMUX_EFFORT_LOW] = "2048",
        [LLMUX_EFFORT_MEDIUM] = "8192",
        [LLMUX_EFFORT_MAX] = NULL
    };
    llmux_effort_e effort = w->chat->effort;
    llmux_slice_t budget = w->chat->budget;

    if (effort == LLMUX_EFFORT_NONE || llmux_slice_is(budget, "0")) {
        open_thinking(w, "disabled");
        llmux_jw_close(&w->jw, '}');
        return;
    }
    if (effort == LLMUX_EFFORT_UNSET && !budget.data) {
        return;
    }
    if (!budget.data) {
        budget = llmux_slice(budgets[effort]);
        llmux_warn(w->warnings, LLMUX_WARN_APPROX, "reasoning_effort");
    }
    open_thinking(w, "enabled");
    llmux_jw_opt_raw(&w->jw, "token_budget", budget);
    llmux_jw_close(&w->jw, '}');
}

/* ---- the rest -------------------------------------------------------- */

/* What only this API has may stand in a client's request by its own name. */
static void write_extra(writer_t *w)
{
    static const char *const own[] = {
        "citation_options", "priority", "safety_mode"
    };
    const llmux_extra_t *e;
    apr_size_t i;

    for (e = w->chat->extra; e; e = e->next) {
        for (i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
            if (llmux_slice_is(e->name, own[i])) {
                break;
            }
        }
        if (i < sizeof(own) / sizeof(own[0])) {
            llmux_jw_opt_raw(&w->jw, own[i], e->json);
        }
        else {
            llmux_warn(w->warnings, LLMUX_WARN_DROP,
                       llmux_slice_str(w->pool, e->name));
        }
    }
}

static void write_stream(writer_t *w)
{
    llmux_jw_key(&w->jw, "stream");
    llmux_jw_bool(&w->jw, w->chat->stream);
}

/* In this order: prompts are cached by their beginning. */
static const llmux_writer_step_fn steps[] = {
    llmux_cohere_messages,
    write_tools,
    write_format,
    write_numbers,
    write_thinking,
    write_extra,
    write_stream,
    NULL
};

const llmux_error_t *llmux_cohere_write(llmux_buf_t *out,
                                        const llmux_chat_t *chat,
                                        const llmux_target_t *target,
                                        llmux_warnings_t *warnings,
                                        apr_pool_t *scratch)
{
    return llmux_writer_run(out, chat, target, warnings, scratch, steps);
}
