/* anthropic_thinking.c - how many tokens an answer may have, and how many of
 * them are for thinking. */

#include "anthropic_request.h"

#define BUDGET_MIN 1024         /* thinking tokens: the API's least */

typedef llmux_anthropic_request_t request_t;

/* ---- tokens ---------------------------------------------------------- */

const llmux_error_t *llmux_anthropic_max_tokens(request_t *r)
{
    const llmux_chat_t *chat = r->chat;

    if (chat->max_tokens.data) {
        r->max_tokens = llmux_json_int(
            llmux_anthropic_json(r, chat->max_tokens), -1);
        if (r->max_tokens < 0) {
            return llmux_error(r->chat->pool, LLMUX_ERR_INVALID, "max_tokens",
                               "'max_tokens' must be a whole number, not "
                               "negative.");
        }
        return NULL;
    }
    r->max_tokens = r->target->max_tokens > 0 ? r->target->max_tokens
                                              : r->claude->fallback;
    if (r->max_tokens < r->claude->max_tokens) {
        llmux_warn(r->out.w, LLMUX_WARN_APPROX, "max_tokens");
    }
    return NULL;
}

/* ---- thinking -------------------------------------------------------- */

/* How much thinking an effort is worth, for models that count it. */
static const apr_int64_t budgets[] = {
    [LLMUX_EFFORT_MINIMAL] = 1024,
    [LLMUX_EFFORT_LOW]     = 2048,
    [LLMUX_EFFORT_MEDIUM]  = 8192,
    [LLMUX_EFFORT_HIGH]    = 16384,
    [LLMUX_EFFORT_XHIGH]   = 32768,
    [LLMUX_EFFORT_MAX]     = 32768
};

static llmux_effort_e nearest_effort(apr_int64_t budget)
{
    int e;

    for (e = LLMUX_EFFORT_LOW; e < LLMUX_EFFORT_XHIGH; e++) {
        if (budget <= (budgets[e] + budgets[e + 1]) / 2) {
            break;
        }
    }
    return e;
}

/* The highest level that the model has and that does not exceed the wish. */
static const char *level(const request_t *r, llmux_effort_e wish)
{
    llmux_effort_e e = wish;

    if (e == LLMUX_EFFORT_MAX && !llmux_anthropic_can(r, LLMUX_CLAUDE_MAX)) {
        e = LLMUX_EFFORT_XHIGH;
    }
    if (e == LLMUX_EFFORT_XHIGH
        && !llmux_anthropic_can(r, LLMUX_CLAUDE_XHIGH)) {
        e = LLMUX_EFFORT_HIGH;
    }
    if (e < LLMUX_EFFORT_LOW) {
        e = LLMUX_EFFORT_LOW;
    }
    if (e != wish) {
        llmux_warn(r->out.w, LLMUX_WARN_APPROX, "reasoning_effort");
    }
    return llmux_effort_name(e);
}

static void think_not(request_t *r)
{
    if (llmux_anthropic_can(r, LLMUX_CLAUDE_BETWEEN)) {
        r->thinking = LLMUX_THINKING_BETWEEN_TOOLS;
    }
    else if (llmux_anthropic_can(r, LLMUX_CLAUDE_ALWAYS)) {
        r->effort = llmux_effort_name(LLMUX_EFFORT_LOW);
    }
    else {
        r->thinking = LLMUX_THINKING_OFF;
        return;
    }
    llmux_warn(r->out.w, LLMUX_WARN_APPROX, "reasoning_effort");
}

/* Room for thinking and for the answer: the budget is part of max_tokens. */
static void think_counted(request_t *r, apr_int64_t wish, const char *field)
{
    apr_int64_t most = r->claude->max_tokens;
    apr_int64_t n = wish < BUDGET_MIN ? BUDGET_MIN : wish;

    n = n < most ? n : most;
    if (r->max_tokens <= n) {
        r->max_tokens = r->max_tokens + n < most ? r->max_tokens + n : most;
        if (r->chat->max_tokens.data) {
            llmux_warn(r->out.w, LLMUX_WARN_APPROX, "max_tokens");
        }
    }
    if (n >= r->max_tokens) {
        n = r->max_tokens / 2;
    }
    if (n != wish) {
        llmux_warn(r->out.w, LLMUX_WARN_APPROX, field);
    }
    r->thinking = LLMUX_THINKING_BUDGET;
    r->budget = n;
}

static void think_adaptively(request_t *r, llmux_effort_e effort,
                             apr_int64_t budget)
{
    if (effort == LLMUX_EFFORT_UNSET) {
        effort = nearest_effort(budget);
        llmux_warn(r->out.w, LLMUX_WARN_APPROX, "thinking");
    }
    r->thinking = LLMUX_THINKING_ADAPTIVE;
    r->effort = level(r, effort);
}

/* A model that counts its thinking refuses calls in the history without the
 * thinking before them, which chat clients seldom keep, and prefill. */
static int may_count(const request_t *r)
{
    return !r->turns.unsigned_calls && !r->turns.prefill;
}

static void think(request_t *r, llmux_effort_e effort, apr_int64_t budget)
{
    const char *field = effort == LLMUX_EFFORT_UNSET ? "thinking"
                                                     : "reasoning_effort";

    if (llmux_anthropic_can(r, LLMUX_CLAUDE_BUDGET) && may_count(r)
        && (budget > 0 || !llmux_anthropic_can(r, LLMUX_CLAUDE_ADAPTIVE))) {
        think_counted(r, budget > 0 ? budget : budgets[effort], field);
    }
    else if (llmux_anthropic_can(r, LLMUX_CLAUDE_ADAPTIVE)) {
        think_adaptively(r, effort, budget);
    }
    else if (llmux_anthropic_can(r, LLMUX_CLAUDE_BUDGET)) {
        llmux_warn(r->out.w, LLMUX_WARN_APPROX, field);
    }
    else {
        llmux_warn(r->out.w, LLMUX_WARN_DROP, field);
    }
}

void llmux_anthropic_think(request_t *r)
{
    const llmux_chat_t *chat = r->chat;
    apr_int64_t budget = llmux_json_int(
        llmux_anthropic_json(r, chat->budget), -1);

    if (chat->effort == LLMUX_EFFORT_NONE || budget == 0) {
        if (llmux_anthropic_can(r, LLMUX_CLAUDE_BUDGET
                                   | LLMUX_CLAUDE_ADAPTIVE)) {
            think_not(r);
        }
    }
    else if (chat->effort != LLMUX_EFFORT_UNSET || budget > 0) {
        think(r, chat->effort, budget);
    }
    else if (chat->show_thinking == LLMUX_YES
             && llmux_anthropic_can(r, LLMUX_CLAUDE_THINKS)
             && !llmux_anthropic_forces(chat->choice)) {
        r->thinking = LLMUX_THINKING_ADAPTIVE;
    }
}

void llmux_anthropic_write_thinking(request_t *r)
{
    static const char *const types[] = {
        [LLMUX_THINKING_OFF]           = "disabled",
        [LLMUX_THINKING_BETWEEN_TOOLS] = "between_tools",
        [LLMUX_THINKING_ADAPTIVE]      = "adaptive",
        [LLMUX_THINKING_BUDGET]        = "enabled"
    };
    llmux_jw_t *jw = &r->out.jw;

    if (r->thinking == LLMUX_THINKING_SILENT) {
        return;
    }
    llmux_jw_key(jw, "thinking");
    llmux_jw_open(jw, '{');
    llmux_jw_key(jw, "type");
    llmux_jw_cstr(jw, types[r->thinking]);
    if (r->thinking == LLMUX_THINKING_BUDGET) {
        llmux_jw_key(jw, "budget_tokens");
        llmux_jw_int(jw, r->budget);
    }
    if (llmux_anthropic_thinks(r) && r->chat->show_thinking == LLMUX_YES
        && llmux_anthropic_can(r, LLMUX_CLAUDE_OMITS)) {
        llmux_jw_key(jw, "display");
        llmux_jw_cstr(jw, "summarized");
    }
    llmux_jw_close(jw, '}');
}
