/* anthropic_write.c - a chat, written as a request to Messages. */

#include <stddef.h>
#include <string.h>

#include <apr_sha1.h>
#include <apr_strings.h>

#include "anthropic_request.h"

#define USER_ID_MAX  256        /* characters of metadata.user_id */

/* From this API version on, sampling parameters are refused. */
#define VERSION_WITHOUT_SAMPLING "2026-10-21"

typedef llmux_anthropic_request_t request_t;

int llmux_anthropic_can(const request_t *r, unsigned int ability)
{
    return (r->claude->can & ability) != 0;
}

int llmux_anthropic_thinks(const request_t *r)
{
    return r->thinking == LLMUX_THINKING_ADAPTIVE
           || r->thinking == LLMUX_THINKING_BUDGET;
}

const llmux_json_t *llmux_anthropic_json(const request_t *r,
                                         llmux_slice_t json)
{
    return json.data ? llmux_json_parse(r->out.p, json, 0, NULL) : NULL;
}

/* ---- what cannot be said at all -------------------------------------- */

/* Values in JSON that ask for nothing are not worth a warning. */
enum { TEXT, JSON, JSON_NOT_ZERO };

static const struct {
    apr_size_t at;
    int spelling;
    const char *field;
} left_out[] = {
    { offsetof(llmux_chat_t, seed),              JSON,          "seed" },
    { offsetof(llmux_chat_t, frequency_penalty), JSON_NOT_ZERO,
                                                 "frequency_penalty" },
    { offsetof(llmux_chat_t, presence_penalty),  JSON_NOT_ZERO,
                                                 "presence_penalty" },
    { offsetof(llmux_chat_t, logit_bias),        JSON,          "logit_bias" },
    { offsetof(llmux_chat_t, top_logprobs),      JSON_NOT_ZERO,
                                                 "top_logprobs" },
    { offsetof(llmux_chat_t, verbosity),         TEXT,          "verbosity" },
    { offsetof(llmux_chat_t, cache_key),         TEXT,  "prompt_cache_key" },
    { offsetof(llmux_chat_t, metadata),          JSON,          "metadata" },
    { offsetof(llmux_chat_t, prediction),        JSON,          "prediction" },
    { offsetof(llmux_chat_t, moderation),        JSON,          "moderation" },
    { offsetof(llmux_chat_t, audio),             JSON,          "audio" }
};

static int asks_nothing(const request_t *r, llmux_slice_t value, int spelling)
{
    const llmux_json_t *v;

    if (spelling == TEXT || !value.data) {
        return !value.len;
    }
    v = llmux_anthropic_json(r, value);
    if (llmux_json_kind(v) == LLMUX_JSON_OBJECT) {
        return !llmux_json_count(v);
    }
    return spelling == JSON_NOT_ZERO && llmux_json_double(v, 1) == 0;
}

static void leave_out(const request_t *r)
{
    const llmux_extra_t *extra;
    apr_size_t i;

    for (i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++) {
        const llmux_slice_t *value
            = (const void *)((const char *)r->chat + left_out[i].at);

        if (!asks_nothing(r, *value, left_out[i].spelling)) {
            llmux_warn(r->out.w, LLMUX_WARN_DROP, left_out[i].field);
        }
    }
    if (r->chat->logprobs == LLMUX_YES) {
        llmux_warn(r->out.w, LLMUX_WARN_DROP, "logprobs");
    }
    if (r->chat->store == LLMUX_YES) {
        llmux_warn(r->out.w, LLMUX_WARN_DROP, "store");
    }
    for (extra = r->chat->extra; extra; extra = extra->next) {
        llmux_warn(r->out.w, LLMUX_WARN_DROP,
                   llmux_slice_str(r->out.p, extra->name));
    }
}

/* What must not be lost in silence. */
static const llmux_error_t *refuse(const request_t *r)
{
    const llmux_json_t *modalities
        = llmux_anthropic_json(r, r->chat->modalities), *each;
    const llmux_json_t *n = llmux_anthropic_json(r, r->chat->n);

    if (n && llmux_json_int(n, 0) != 1) {
        return llmux_error(r->chat->pool, LLMUX_ERR_UNSUPPORTED, "n",
                           "The model's API gives one answer to a request. "
                           "Leave 'n' out, or ask several times.");
    }
    for (each = llmux_json_first(modalities); each;
         each = llmux_json_next(modalities, each)) {
        if (!llmux_json_is(each, "text")) {
            return llmux_error(r->chat->pool, LLMUX_ERR_UNSUPPORTED,
                               "modalities",
                               "The model's API answers with text only. "
                               "Leave 'modalities' out.");
        }
    }
    return NULL;
}

/* ---- format of the answer -------------------------------------------- */

static int native_schema(const request_t *r)
{
    return r->chat->format == LLMUX_FORMAT_SCHEMA
           && r->chat->format_schema.data
           && llmux_anthropic_can(r, LLMUX_CLAUDE_SCHEMA);
}

/* What the API cannot be told is told to the model. A forced tool would be
 * firmer, but collides with thinking and with the client's own tools. */
static void add_format_hint(request_t *r)
{
    const llmux_chat_t *chat = r->chat;
    const char *hint = "Answer with one JSON object and nothing else: no "
                       "other text, no code fence.";

    if (native_schema(r) || (chat->format != LLMUX_FORMAT_SCHEMA
                             && chat->format != LLMUX_FORMAT_JSON)) {
        return;
    }
    if (chat->format_schema.data) {
        hint = apr_pstrcat(r->out.p, "Answer with one JSON value that is "
                           "valid for the following JSON schema, and nothing "
                           "else: no other text, no code fence.\n",
                           llmux_slice_str(r->out.p, chat->format_schema),
                           NULL);
    }
    llmux_anthropic_hint(&r->turns, r->out.p, hint);
    llmux_warn(r->out.w, chat->format == LLMUX_FORMAT_SCHEMA
                             ? LLMUX_WARN_APPROX : LLMUX_WARN_EMULATE,
               "response_format");
}

static void write_output_config(request_t *r)
{
    llmux_jw_t *jw = &r->out.jw;

    if (!r->effort && !native_schema(r)) {
        return;
    }
    llmux_jw_key(jw, "output_config");
    llmux_jw_open(jw, '{');
    llmux_jw_opt_str(jw, "effort", llmux_slice(r->effort));
    if (native_schema(r)) {
        llmux_jw_key(jw, "format");
        llmux_jw_open(jw, '{');
        llmux_jw_key(jw, "type");
        llmux_jw_cstr(jw, "json_schema");
        llmux_jw_opt_raw(jw, "schema", r->chat->format_schema);
        llmux_jw_close(jw, '}');
    }
    llmux_jw_close(jw, '}');
}

/* ---- sampling -------------------------------------------------------- */

static int version_samples(const request_t *r)
{
    const char *version = r->target->version;

    return !version || strcmp(version, VERSION_WITHOUT_SAMPLING) < 0;
}

/* Values that are the API's own default are left out without a word. */
static void drop_unless(const request_t *r, int same, const char *field)
{
    if (!same) {
        llmux_warn(r->out.w, LLMUX_WARN_DROP, field);
    }
}

/* @return 1 if it was written */
static int write_temperature(request_t *r, int free)
{
    llmux_slice_t source = r->chat->temperature;
    double t = llmux_json_double(llmux_anthropic_json(r, source), 1);

    if (!source.data) {
        return 0;
    }
    if (!version_samples(r)
        || ((!free || llmux_anthropic_thinks(r)) && t != 1)) {
        drop_unless(r, t == 1, "temperature");
        return 0;
    }
    if (t == 1 && llmux_anthropic_can(r, LLMUX_CLAUDE_ONE_OF)
        && r->chat->top_p.data) {
        return 0;       /* makes room for top_p */
    }
    if (t > 1) {
        source = llmux_slice("1");
        llmux_warn(r->out.w, LLMUX_WARN_APPROX, "temperature");
    }
    llmux_jw_opt_raw(&r->out.jw, "temperature", source);
    return 1;
}

static void write_top_p(request_t *r, int free, int with_temperature)
{
    llmux_slice_t source = r->chat->top_p;
    double p = llmux_json_double(llmux_anthropic_json(r, source), 1);
    double least = !free ? 0.99 : llmux_anthropic_thinks(r) ? 0.95 : 0;

    if (!source.data) {
        return;
    }
    if (!version_samples(r) || p < least
        || (with_temperature && llmux_anthropic_can(r, LLMUX_CLAUDE_ONE_OF))) {
        drop_unless(r, p == 1, "top_p");
        return;
    }
    llmux_jw_opt_raw(&r->out.jw, "top_p", source);
}

static void write_sampling(request_t *r)
{
    int free = llmux_anthropic_can(r, LLMUX_CLAUDE_SAMPLING);
    int with_temperature = write_temperature(r, free);

    write_top_p(r, free, with_temperature);
    if (!r->chat->top_k.data) {
        return;
    }
    if (free && version_samples(r) && !llmux_anthropic_thinks(r)) {
        llmux_jw_opt_raw(&r->out.jw, "top_k", r->chat->top_k);
    }
    else {
        llmux_warn(r->out.w, LLMUX_WARN_DROP, "top_k");
    }
}

/* ---- the rest -------------------------------------------------------- */

static void write_stops(request_t *r)
{
    llmux_jw_t *jw = &r->out.jw;
    int i, n = 0;

    for (i = 0; r->chat->stop && i < r->chat->stop->nelts; i++) {
        llmux_slice_t s = APR_ARRAY_IDX(r->chat->stop, i, llmux_slice_t);

        if (llmux_slice_blank(s)) {
            llmux_warn(r->out.w, LLMUX_WARN_DROP, "stop");
            continue;
        }
        if (!n++) {
            llmux_jw_key(jw, "stop_sequences");
            llmux_jw_open(jw, '[');
        }
        llmux_jw_str(jw, s);
    }
    if (n) {
        llmux_jw_close(jw, ']');
    }
}

/* Other clouds that serve these models have tiers of their own. */
static void drop_tier(const request_t *r)
{
    if (!llmux_slice_is(r->chat->service_tier, "auto")) {
        llmux_warn(r->out.w, LLMUX_WARN_DROP, "service_tier");
    }
}

static void write_tier(request_t *r)
{
    static const struct {
        const char *ours, *theirs;
        int near;               /* not quite the same */
    } tiers[] = {
        { "auto",     "auto",          0 },
        { "default",  "standard_only", 0 },
        { "priority", "auto",          1 },
        { "fast",     "auto",          1 },
        { "scale",    "auto",          1 }
    };
    apr_size_t i;

    if (!r->chat->service_tier.len) {
        return;
    }
    if (r->target->body_version) {
        drop_tier(r);
        return;
    }
    for (i = 0; i < sizeof(tiers) / sizeof(tiers[0]); i++) {
        if (llmux_slice_is(r->chat->service_tier, tiers[i].ours)) {
            llmux_jw_opt_str(&r->out.jw, "service_tier",
                             llmux_slice(tiers[i].theirs));
            if (tiers[i].near) {
                llmux_warn(r->out.w, LLMUX_WARN_APPROX, "service_tier");
            }
            return;
        }
    }
    llmux_warn(r->out.w, LLMUX_WARN_DROP, "service_tier");
}

static llmux_slice_t sha1_hex(apr_pool_t *p, llmux_slice_t s)
{
    unsigned char digest[APR_SHA1_DIGESTSIZE];
    char *hex = apr_palloc(p, 2 * sizeof(digest) + 1);
    apr_sha1_ctx_t context;
    apr_size_t i;

    apr_sha1_init(&context);
    apr_sha1_update_binary(&context, (const unsigned char *)s.data,
                           (unsigned int)s.len);
    apr_sha1_final(digest, &context);
    for (i = 0; i < sizeof(digest); i++) {
        apr_snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    }
    return llmux_slice(hex);
}

/* The vendor asks not to be given names and addresses of people. */
static void write_user(request_t *r)
{
    llmux_slice_t id = r->chat->user_id;
    llmux_jw_t *jw = &r->out.jw;

    if (llmux_slice_blank(id)) {
        return;
    }
    if (id.len > USER_ID_MAX || memchr(id.data, '@', id.len)) {
        id = sha1_hex(r->out.p, id);
        llmux_warn(r->out.w, LLMUX_WARN_APPROX, "user");
    }
    llmux_jw_key(jw, "metadata");
    llmux_jw_open(jw, '{');
    llmux_jw_opt_str(jw, "user_id", id);
    llmux_jw_close(jw, '}');
}

/* ---- all of it ------------------------------------------------------- */

static const llmux_error_t *decide(request_t *r)
{
    const llmux_error_t *err = refuse(r);

    if (!err) {
        err = llmux_anthropic_turns(&r->turns, r->chat, r->target,
                                    r->claude, r->out.w, r->out.p);
    }
    if (!err) {
        err = llmux_anthropic_max_tokens(r);
    }
    if (!err) {
        llmux_anthropic_think(r);
        llmux_anthropic_choose(r);
        add_format_hint(r);
        leave_out(r);
        llmux_anthropic_count_marks(&r->out, r->chat->tools, &r->turns);
    }
    return err;
}

static void write_model(request_t *r)
{
    const char *version = r->target->body_version;

    if (version) {
        llmux_jw_opt_str(&r->out.jw, "anthropic_version",
                         llmux_slice(version));
    }
    else {
        llmux_jw_opt_str(&r->out.jw, "model", r->target->model);
    }
}

static const llmux_error_t *write_body(request_t *r)
{
    llmux_jw_t *jw = &r->out.jw;
    const llmux_error_t *err;

    llmux_jw_open(jw, '{');
    write_model(r);
    llmux_jw_key(jw, "max_tokens");
    llmux_jw_int(jw, r->max_tokens);
    err = llmux_anthropic_write_tools(r);
    if (!err) {
        err = llmux_anthropic_content(&r->out, &r->turns);
    }
    llmux_anthropic_write_thinking(r);
    write_output_config(r);
    write_sampling(r);
    write_stops(r);
    write_tier(r);
    write_user(r);
    if (r->chat->stream) {
        llmux_jw_opt_bool(jw, "stream", LLMUX_YES);
    }
    llmux_jw_close(jw, '}');
    return err;
}

const llmux_error_t *llmux_anthropic_write(llmux_buf_t *out,
                                           const llmux_chat_t *chat,
                                           const llmux_target_t *target,
                                           llmux_warnings_t *w,
                                           apr_pool_t *scratch)
{
    request_t r = { .chat = chat, .target = target };
    const llmux_error_t *err;

    r.claude = llmux_claude_named(target->model);
    r.out.jw = llmux_jw(out);
    r.out.w = w;
    r.out.p = scratch;
    r.out.errors = chat->pool;
    err = decide(&r);
    if (!err) {
        err = write_body(&r);
    }
    if (!err && out->failed) {
        err = llmux_error(chat->pool, LLMUX_ERR_TOO_LARGE, NULL,
                          "The request is too large. Shorten it.");
    }
    return err;
}
