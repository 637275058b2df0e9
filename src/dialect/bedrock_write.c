/* bedrock_write.c - a chat, written as a request to Converse. The model
 * stands in the path, and streaming too. */

#include <stddef.h>
#include <string.h>

#include <apr_strings.h>

#include "bedrock.h"

#define STOPS_MAX 2500          /* the API's own limit */

typedef llmux_bedrock_out_t out_t;

int llmux_bedrock_can(const out_t *o, unsigned int ability)
{
    return (o->model.can & ability) != 0;
}

static int claude_can(const out_t *o, unsigned int ability)
{
    return (o->model.claude->can & ability) != 0;
}

static int is_claude(const out_t *o)
{
    return o->model.effort == LLMUX_BEDROCK_CLAUDE;
}

static void drop(out_t *o, const char *field)
{
    llmux_warn(o->w.warnings, LLMUX_WARN_DROP, field);
}

static void approx(out_t *o, const char *field)
{
    llmux_warn(o->w.warnings, LLMUX_WARN_APPROX, field);
}

static const llmux_json_t *json(const out_t *o, llmux_slice_t text)
{
    return text.data ? llmux_json_parse(o->w.pool, text, 0, NULL) : NULL;
}

static int wants_none(const out_t *o)
{
    return o->r.chat->effort == LLMUX_EFFORT_NONE
           || llmux_slice_is(o->r.chat->budget, "0");
}

static int wants_thinking(const out_t *o)
{
    return !wants_none(o) && (o->r.chat->effort != LLMUX_EFFORT_UNSET
                              || o->r.chat->budget.data);
}

/* ---- members that are there only if there is something in them ------- */

/* Turns the writer to an object of its own. @return the writer as it was */
static llmux_jw_t begin(out_t *o)
{
    llmux_jw_t kept = o->w.jw;

    o->w.jw = llmux_jw(llmux_buf_create(o->w.pool, LLMUX_JSON_TEXT_MAX));
    llmux_jw_open(&o->w.jw, '{');
    return kept;
}

/* Turns it back, and writes the object as this member. */
static void finish(out_t *o, llmux_jw_t kept, const char *name)
{
    llmux_buf_t *object = o->w.jw.out;

    llmux_jw_close(&o->w.jw, '}');
    o->w.jw = kept;
    if (object->failed) {
        o->w.jw.out->failed = 1;
    }
    else if (object->len > 2) {
        llmux_jw_opt_raw(&o->w.jw, name, llmux_buf_slice(object));
    }
}

/* ---- what cannot be said --------------------------------------------- */

static const struct {
    apr_size_t at;
    const char *field;
    int zero;               /* 0 asks for nothing */
} left_out[] = {
    { offsetof(llmux_chat_t, seed),              "seed",              0 },
    { offsetof(llmux_chat_t, frequency_penalty), "frequency_penalty", 1 },
    { offsetof(llmux_chat_t, presence_penalty),  "presence_penalty",  1 },
    { offsetof(llmux_chat_t, top_logprobs),      "top_logprobs",      1 }
};

static int tools_have_marks(const out_t *o)
{
    const llmux_tool_t *t = o->r.chat->tools;

    while (t && !t->cache_ttl) {
        t = t->next;
    }
    return t != NULL;
}

static int messages_have_marks(const out_t *o)
{
    const llmux_message_t *m;
    const llmux_block_t *b;

    for (m = o->r.chat->messages; m; m = m->next) {
        for (b = m->blocks; b; b = b->next) {
            if (b->cache_ttl) {
                return 1;
            }
        }
    }
    return 0;
}

static void leave_out(out_t *o)
{
    apr_size_t i;

    llmux_writer_leave_out(&o->w);
    for (i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++) {
        const llmux_slice_t *value
            = (const void *)((const char *)o->r.chat + left_out[i].at);

        if (value->data
            && !(left_out[i].zero
                 && llmux_json_double(json(o, *value), 1) == 0)) {
            drop(o, left_out[i].field);
        }
    }
    if (o->r.chat->logprobs == LLMUX_YES) {
        drop(o, "logprobs");
    }
    if ((!llmux_bedrock_can(o, LLMUX_BEDROCK_CACHE_TOOLS)
         && tools_have_marks(o))
        || (!llmux_bedrock_can(o, LLMUX_BEDROCK_CACHE)
            && messages_have_marks(o))) {
        drop(o, "cache_control");
    }
}

/* ---- format of the answer -------------------------------------------- */

static int native_schema(const out_t *o)
{
    return o->r.chat->format == LLMUX_FORMAT_SCHEMA
           && o->r.chat->format_schema.data
           && llmux_bedrock_can(o, LLMUX_BEDROCK_SCHEMA);
}

/* A forced tool is firmer than words, but it collides with other tools, with
 * thinking and with an answer that is begun; and its input is an object. */
static int as_a_tool(const out_t *o)
{
    const llmux_json_t *v = json(o, o->r.chat->format_schema);

    return llmux_bedrock_can(o, LLMUX_BEDROCK_FORCED)
           && o->tools == LLMUX_BEDROCK_NO_TOOLS && !o->r.turns.prefill
           && !llmux_anthropic_thinks(&o->r)
           && !(o->model.effort == LLMUX_BEDROCK_NOVA && wants_thinking(o))
           && llmux_json_is(llmux_json_get(v, "type"), "object");
}

static void hint_format(out_t *o)
{
    const char *hint = "Answer with one JSON object and nothing else: no "
                       "other text, no code fence.";

    if (o->r.chat->format_schema.data) {
        hint = apr_pstrcat(o->w.pool, "Answer with one JSON value that is "
                           "valid for the following JSON schema, and nothing "
                           "else: no other text, no code fence.\n",
                           llmux_slice_str(o->w.pool,
                                           o->r.chat->format_schema), NULL);
    }
    llmux_anthropic_hint(&o->r.turns, o->w.pool, hint);
    llmux_warn(o->w.warnings, o->r.chat->format == LLMUX_FORMAT_SCHEMA
                                  ? LLMUX_WARN_APPROX : LLMUX_WARN_EMULATE,
               "response_format");
}

static void settle_format(out_t *o)
{
    llmux_format_e format = o->r.chat->format;

    if ((format != LLMUX_FORMAT_SCHEMA && format != LLMUX_FORMAT_JSON)
        || native_schema(o)) {
        return;
    }
    if (as_a_tool(o)) {
        o->tools = LLMUX_BEDROCK_ANSWER;
        llmux_warn(o->w.warnings, LLMUX_WARN_EMULATE, "response_format");
    }
    else {
        hint_format(o);
    }
}

/* The schema goes as a text. */
static void write_output_config(out_t *o)
{
    llmux_jw_t kept = begin(o), *jw = &o->w.jw;

    llmux_jw_opt_str(jw, "effort", llmux_slice(o->r.effort));
    if (native_schema(o)) {
        llmux_jw_key(jw, "textFormat");
        llmux_jw_open(jw, '{');
        llmux_jw_opt_str(jw, "type", llmux_slice("json_schema"));
        llmux_jw_key(jw, "structure");
        llmux_jw_open(jw, '{');
        llmux_jw_key(jw, "jsonSchema");
        llmux_jw_open(jw, '{');
        llmux_jw_opt_str(jw, "schema", o->r.chat->format_schema);
        llmux_jw_opt_str(jw, "name", o->r.chat->format_name);
        llmux_jw_opt_str(jw, "description", o->r.chat->format_description);
        llmux_jw_close(jw, '}');
        llmux_jw_close(jw, '}');
        llmux_jw_close(jw, '}');
    }
    finish(o, kept, "outputConfig");
}

/* Does the client say this to the model itself? */
static int is_said(const out_t *o, const char *name)
{
    return llmux_json_get_any(o->own, name) != NULL;
}

/* ---- thinking -------------------------------------------------------- */

/* The three levels that models other than Claude have. */
static const char *level(out_t *o)
{
    static const struct { llmux_effort_e effort; int budget; } rows[] = {
        { LLMUX_EFFORT_LOW, 4096 }, { LLMUX_EFFORT_MEDIUM, 12288 },
        { LLMUX_EFFORT_HIGH, 0 }
    };
    llmux_effort_e wish = o->r.chat->effort;
    apr_int64_t budget = llmux_json_int(json(o, o->r.chat->budget), -1);
    int i = 0;

    while (rows[i].budget
           && (wish == LLMUX_EFFORT_UNSET ? budget > rows[i].budget
                                          : wish > rows[i].effort)) {
        i++;
    }
    if (wish != rows[i].effort) {
        approx(o, wish == LLMUX_EFFORT_UNSET ? "thinking"
                                             : "reasoning_effort");
    }
    return llmux_effort_name(rows[i].effort);
}

/* Does Nova think as long as it wants to? It takes no other parameters
 * then, and no maximum. */
static int nova_free(const out_t *o)
{
    return o->model.effort == LLMUX_BEDROCK_NOVA
           && o->r.chat->effort >= LLMUX_EFFORT_HIGH
           && !o->r.chat->max_tokens.data;
}

static void nova_thinking(out_t *o)
{
    llmux_jw_t *jw = &o->w.jw;
    const char *effort = wants_none(o) ? NULL : level(o);

    if (effort && !strcmp(effort, "high") && !nova_free(o)) {
        effort = "medium";
        approx(o, "reasoning_effort");
    }
    llmux_jw_key(jw, "reasoningConfig");
    llmux_jw_open(jw, '{');
    llmux_jw_opt_str(jw, "type", llmux_slice(effort ? "enabled"
                                                    : "disabled"));
    llmux_jw_opt_str(jw, "maxReasoningEffort", llmux_slice(effort));
    llmux_jw_close(jw, '}');
}

/* Anthropic's part of the writer shares our place in the text for a while. */
static void claude_thinking(out_t *o)
{
    o->r.out.jw = o->w.jw;
    llmux_anthropic_write_thinking(&o->r);
    o->w.jw = o->r.out.jw;
}

static void write_thinking(out_t *o)
{
    llmux_bedrock_way_e way = o->model.effort;

    if (way == LLMUX_BEDROCK_CLAUDE) {
        if (!is_said(o, "thinking")) {
            claude_thinking(o);
        }
    }
    else if (!wants_thinking(o) && !wants_none(o)) {
        return;
    }
    else if (way == LLMUX_BEDROCK_NOVA) {
        if (!is_said(o, "reasoningConfig")) {
            nova_thinking(o);
        }
    }
    else if (way == LLMUX_BEDROCK_PLAIN) {
        if (!is_said(o, "reasoning_effort")) {
            llmux_jw_opt_str(&o->w.jw, "reasoning_effort",
                             llmux_slice(level(o)));
        }
    }
    else if (wants_thinking(o)) {
        drop(o, o->r.chat->effort == LLMUX_EFFORT_UNSET ? "thinking"
                                                   : "reasoning_effort");
    }
}

/* ---- sampling -------------------------------------------------------- */

/* @return 1 if it was written */
static int write_temperature(out_t *o)
{
    llmux_slice_t source = o->r.chat->temperature;
    double t = llmux_json_double(json(o, source), 1);
    int fixed = is_claude(o) && (!claude_can(o, LLMUX_CLAUDE_SAMPLING)
                                 || llmux_anthropic_thinks(&o->r));

    if (!source.data) {
        return 0;
    }
    if (fixed || nova_free(o)) {
        if (t != 1) {
            drop(o, "temperature");
        }
        return 0;
    }
    if (t == 1 && is_claude(o) && claude_can(o, LLMUX_CLAUDE_ONE_OF)
        && o->r.chat->top_p.data) {
        return 0;       /* makes room for top_p */
    }
    if (t > 1) {
        source = llmux_slice("1");
        approx(o, "temperature");
    }
    llmux_jw_opt_raw(&o->w.jw, "temperature", source);
    return 1;
}

static void write_top_p(out_t *o, int with_temperature)
{
    llmux_slice_t source = o->r.chat->top_p;
    double p = llmux_json_double(json(o, source), 1);
    double least = 0;

    if (!source.data) {
        return;
    }
    if (is_claude(o)) {
        least = !claude_can(o, LLMUX_CLAUDE_SAMPLING) ? 0.99
                : llmux_anthropic_thinks(&o->r) ? 0.95 : 0;
        with_temperature &= claude_can(o, LLMUX_CLAUDE_ONE_OF);
    }
    else {
        with_temperature = 0;
    }
    if (p < least || with_temperature || nova_free(o)) {
        if (p != 1) {
            drop(o, "top_p");
        }
        return;
    }
    llmux_jw_opt_raw(&o->w.jw, "topP", source);
}

static int may_top_k(const out_t *o)
{
    return o->model.top_k != LLMUX_BEDROCK_UNTOLD && !nova_free(o)
           && (!is_claude(o) || (claude_can(o, LLMUX_CLAUDE_SAMPLING)
                                 && !llmux_anthropic_thinks(&o->r)));
}

static void write_top_k(out_t *o)
{
    llmux_slice_t source = o->r.chat->top_k;

    if (!source.data) {
        return;
    }
    if (!may_top_k(o) || is_said(o, "top_k")
        || is_said(o, "inferenceConfig")) {
        drop(o, "top_k");
    }
    else if (o->model.top_k == LLMUX_BEDROCK_NOVA) {
        llmux_jw_key(&o->w.jw, "inferenceConfig");
        llmux_jw_open(&o->w.jw, '{');
        llmux_jw_opt_raw(&o->w.jw, "topK", source);
        llmux_jw_close(&o->w.jw, '}');
    }
    else {
        llmux_jw_opt_raw(&o->w.jw, "top_k", source);
    }
}

/* Without a maximum the model's own holds. */
static void write_inference(out_t *o)
{
    llmux_jw_t kept = begin(o);

    if (o->r.chat->max_tokens.data) {
        llmux_jw_key(&o->w.jw, "maxTokens");
        llmux_jw_int(&o->w.jw, o->r.max_tokens);
    }
    write_top_p(o, write_temperature(o));
    llmux_writer_stops(&o->w, "stopSequences", STOPS_MAX);
    finish(o, kept, "inferenceConfig");
}

static void settle_max_tokens(out_t *o)
{
    llmux_slice_t said = o->r.chat->max_tokens;

    o->r.max_tokens = said.data ? llmux_json_int(json(o, said), -1)
                                : o->model.claude->max_tokens;
    if (o->r.max_tokens < 0 && !o->w.err) {
        o->w.err = llmux_error(o->r.chat->pool, LLMUX_ERR_INVALID,
                               "max_tokens", "'max_tokens' must be a whole "
                               "number, not negative.");
    }
}

/* ---- the rest -------------------------------------------------------- */

static const llmux_extra_t *extra(const out_t *o, const char *name)
{
    const llmux_extra_t *e = o->r.chat->extra;

    while (e && !llmux_slice_is(e->name, name)) {
        e = e->next;
    }
    return e;
}

/* What a client says to the model in its own words comes first, and is not
 * said again. */
static void write_own_fields(out_t *o)
{
    const llmux_json_t *m;

    for (m = llmux_json_first(o->own); m;
         m = llmux_json_next_member(o->own, m)) {
        llmux_jw_key_slice(&o->w.jw, llmux_json_str(o->w.pool, m));
        llmux_jw_raw(&o->w.jw, llmux_json_raw(llmux_json_value(m)));
    }
}

static void read_own_fields(out_t *o)
{
    const llmux_extra_t *e = extra(o, "additionalModelRequestFields");
    const llmux_json_t *v = e ? json(o, e->json) : NULL;

    if (llmux_json_kind(v) == LLMUX_JSON_OBJECT) {
        o->own = v;
    }
    else if (e) {
        drop(o, "additionalModelRequestFields");
    }
}

static void write_model_fields(out_t *o)
{
    llmux_jw_t kept = begin(o);

    write_own_fields(o);
    write_thinking(o);
    write_top_k(o);
    if (!is_said(o, "tool_choice")) {
        llmux_bedrock_serial(o);
    }
    finish(o, kept, "additionalModelRequestFields");
}

/* Claude says which sequence stopped it if it is asked; in a stream it stands
 * elsewhere. A path that leads nowhere does no harm. */
static void write_paths(out_t *o)
{
    const llmux_extra_t *e = extra(o, "additionalModelResponseFieldPaths");

    if (e) {
        llmux_jw_opt_raw(&o->w.jw, "additionalModelResponseFieldPaths",
                         e->json);
    }
    else if (is_claude(o) && o->r.chat->stop && o->r.chat->stop->nelts) {
        llmux_jw_opt_raw(&o->w.jw, "additionalModelResponseFieldPaths",
                         llmux_slice("[\"/stop_sequence\","
                                     "\"/delta/stop_sequence\"]"));
    }
}

static const struct { const char *ours, *theirs; } tiers[] = {
    { "default",  "default" },
    { "flex",     "flex" },
    { "priority", "priority" },
    { "fast",     "priority" },
    { "scale",    "reserved" }
};

static const char *tier_of(llmux_slice_t tier)
{
    apr_size_t i;

    for (i = 0; i < sizeof(tiers) / sizeof(tiers[0]); i++) {
        if (llmux_slice_is(tier, tiers[i].ours)) {
            return tiers[i].theirs;
        }
    }
    return NULL;
}

static void write_tier(out_t *o)
{
    const char *tier = tier_of(o->r.chat->service_tier);

    if (tier) {
        llmux_jw_key(&o->w.jw, "serviceTier");
        llmux_jw_open(&o->w.jw, '{');
        llmux_jw_opt_str(&o->w.jw, "type", llmux_slice(tier));
        llmux_jw_close(&o->w.jw, '}');
    }
}

/* What only this API has may stand in a client's request by its own name. */
static void write_extra(out_t *o)
{
    static const char *const own[] = {
        "guardrailConfig", "performanceConfig", "promptVariables",
        "requestMetadata", "additionalModelRequestFields",
        "additionalModelResponseFieldPaths"
    };
    enum { PASSED = 4, ALL = sizeof(own) / sizeof(own[0]) };
    const llmux_extra_t *e;
    int i;

    for (e = o->r.chat->extra; e; e = e->next) {
        for (i = 0; i < ALL && !llmux_slice_is(e->name, own[i]); i++) {
        }
        if (i < PASSED) {
            llmux_jw_opt_raw(&o->w.jw, own[i], e->json);
        }
        else if (i == ALL) {
            drop(o, llmux_slice_str(o->w.pool, e->name));
        }
    }
}

/* ---- all of it ------------------------------------------------------- */

/* In this order: each looks at what the ones before found. */
static void decide(out_t *o)
{
    llmux_writer_check(&o->w);
    if (!o->w.err) {
        o->w.err = llmux_anthropic_turns(&o->r.turns, o->r.chat,
                                         o->r.target, o->r.claude,
                                         o->w.warnings, o->w.pool);
    }
    if (o->w.err) {
        return;
    }
    llmux_bedrock_forget(o);
    settle_max_tokens(o);
    if (is_claude(o)) {
        llmux_anthropic_think(&o->r);
    }
    read_own_fields(o);
    llmux_bedrock_choose(o);
    settle_format(o);
    leave_out(o);
    if (llmux_bedrock_can(o, LLMUX_BEDROCK_CACHE)) {
        llmux_anthropic_count_marks(&o->r.out,
            llmux_bedrock_can(o, LLMUX_BEDROCK_CACHE_TOOLS)
                ? o->r.chat->tools : NULL, &o->r.turns);
    }
}

static void (*const steps[])(out_t *o) = {
    llmux_bedrock_tools,
    llmux_bedrock_messages,
    write_inference,
    write_model_fields,
    write_paths,
    write_output_config,
    write_tier,
    write_extra
};

/* The request as the writer's common parts are to see it: without what they
 * would refuse or leave out, and we do not. */
static llmux_chat_t common(const llmux_chat_t *chat,
                           const llmux_bedrock_model_t *model)
{
    llmux_chat_t copy = *chat;

    copy.n.data = NULL;
    copy.n.len = 0;
    if (model->can & LLMUX_BEDROCK_SERIAL) {
        copy.parallel = LLMUX_UNSET;
    }
    if (tier_of(chat->service_tier)) {
        copy.service_tier.data = NULL;
        copy.service_tier.len = 0;
    }
    return copy;
}

const llmux_error_t *llmux_bedrock_write(llmux_buf_t *out,
                                         const llmux_chat_t *chat,
                                         const llmux_target_t *target,
                                         llmux_warnings_t *warnings,
                                         apr_pool_t *scratch)
{
    out_t o = { .model = llmux_bedrock_model(target) };
    llmux_chat_t copy = common(chat, &o.model);
    const llmux_error_t *err;
    apr_pool_t *pool;
    apr_size_t i;

    apr_pool_create(&pool, scratch);
    o.w = llmux_writer(out, &copy, target, warnings, pool);
    o.r.chat = chat;
    o.r.target = target;
    o.r.claude = o.model.claude;
    o.r.out.w = warnings;
    o.r.out.p = pool;
    o.r.out.errors = chat->pool;
    decide(&o);
    llmux_jw_open(&o.w.jw, '{');
    for (i = 0; i < sizeof(steps) / sizeof(steps[0]) && !o.w.err; i++) {
        steps[i](&o);
    }
    llmux_jw_close(&o.w.jw, '}');
    err = llmux_writer_end(&o.w);
    apr_pool_destroy(pool);
    return err;
}
