/* gemini_write.c - a request as generateContent takes it. The model and
 * whether to stream are in the URL, not in the body. */

#include <apr_strings.h>
#include <string.h>

#include "gemini.h"

/* ---- what Gemini cannot say ------------------------------------------ */

static int said(llmux_slice_t json)
{
    return !llmux_slice_blank(json);
}

/* Markers say what is worth caching; Gemini finds that out by itself. */
static int is_marked(const llmux_chat_t *chat)
{
    const llmux_message_t *m;
    const llmux_block_t *b;
    const llmux_tool_t *t;

    for (t = chat->tools; t; t = t->next) {
        if (t->cache_ttl) {
            return 1;
        }
    }
    for (m = chat->messages; m; m = m->next) {
        for (b = m->blocks; b; b = b->next) {
            if (b->cache_ttl) {
                return 1;
            }
        }
    }
    return 0;
}

static void warn_dropped(llmux_gemini_out_t *o)
{
    const llmux_chat_t *chat = o->chat;
    const struct { int said; const char *field; } fields[] = {
        { said(chat->logit_bias),           "logit_bias" },
        { said(chat->verbosity),            "verbosity" },
        { said(chat->user_id),              "user" },
        { said(chat->metadata) && !o->target->vertex, "metadata" },
        { chat->store == LLMUX_YES,         "store" },
        { said(chat->prediction),           "prediction" },
        { said(chat->moderation),           "moderation" },
        { said(chat->cache_key),            "prompt_cache_key" }
    };
    apr_size_t i;

    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (fields[i].said) {
            llmux_warn(o->warn, LLMUX_WARN_DROP, fields[i].field);
        }
    }
    if (is_marked(chat)) {
        llmux_warn(o->warn, LLMUX_WARN_APPROX, "cache_control");
    }
}

static int is_safety(llmux_slice_t name)
{
    return llmux_slice_is(name, "safety_settings")
           || llmux_slice_is(name, "safetySettings");
}

/* Members that are not OpenAI's. Gemini's own safety settings are what its
 * users send along; the rest has no place here. */
static void put_extra(llmux_gemini_out_t *o)
{
    const llmux_extra_t *e;
    int safety = 0;

    for (e = o->chat->extra; e; e = e->next) {
        if (is_safety(e->name) && !safety && e->json.len
            && e->json.data[0] == '[') {
            llmux_jw_key(&o->w, "safetySettings");
            llmux_jw_raw(&o->w, e->json);
            safety = 1;
        }
        else {
            llmux_warn(o->warn, LLMUX_WARN_DROP,
                       llmux_slice_str(o->scratch, e->name));
        }
    }
}

/* ---- labels ---------------------------------------------------------- */

/* Vertex AI counts requests by labels: Google Cloud, "Add labels to API
 * calls". Keys begin with a letter; values may be empty. */
#define LABELS_MAX 64
#define LABEL_LEN  63

static int is_label(llmux_slice_t s)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    apr_size_t i;

    for (i = 0; i < s.len; i++) {
        if (!memchr(letters, s.data[i], sizeof(letters) - 1)) {
            return 0;
        }
    }
    return s.data && s.len <= LABEL_LEN;
}

static int is_label_key(llmux_slice_t s)
{
    return is_label(s) && s.len && s.data[0] >= 'a' && s.data[0] <= 'z';
}

/* @return 0 if it cannot be said */
static int put_label(llmux_gemini_out_t *o, const llmux_json_t *name)
{
    llmux_slice_t key = llmux_json_str(o->scratch, name);
    llmux_slice_t value = llmux_json_str(o->scratch, llmux_json_value(name));

    if (!is_label_key(key) || !is_label(value)) {
        return 0;
    }
    llmux_jw_key_slice(&o->w, key);
    llmux_jw_str(&o->w, value);
    return 1;
}

static void put_labels(llmux_gemini_out_t *o)
{
    const llmux_json_t *v, *m;
    int n = 0;

    v = llmux_json_parse(o->scratch, o->chat->metadata, 0, NULL);
    if (llmux_json_kind(v) != LLMUX_JSON_OBJECT || !llmux_json_count(v)) {
        return;
    }
    llmux_jw_key(&o->w, "labels");
    llmux_jw_open(&o->w, '{');
    for (m = llmux_json_first(v); m; m = llmux_json_next_member(v, m)) {
        if (n < LABELS_MAX && put_label(o, m)) {
            n++;
        }
        else {
            llmux_warn(o->warn, LLMUX_WARN_DROP, "metadata");
        }
    }
    llmux_jw_close(&o->w, '}');
}

/* ---- the body -------------------------------------------------------- */

static const struct { const char *ours, *theirs; } tiers[] = {
    { "auto",     NULL       },
    { "default",  "standard" },
    { "standard", "standard" },
    { "flex",     "flex"     },
    { "priority", "priority" },
    { "fast",     "priority" }
};

/* Vertex AI takes a tier in a header, and refuses it here. */
static void say_tier(llmux_gemini_out_t *o, const char *tier)
{
    if (!o->target->vertex) {
        llmux_jw_opt_str(&o->w, "serviceTier", llmux_slice(tier));
    }
    else if (tier && strcmp(tier, "standard")) {
        llmux_warn(o->warn, LLMUX_WARN_DROP, "service_tier");
    }
}

static void put_tier(llmux_gemini_out_t *o)
{
    apr_size_t i;

    if (!o->chat->service_tier.data) {
        return;
    }
    for (i = 0; i < sizeof(tiers) / sizeof(tiers[0]); i++) {
        if (llmux_slice_is(o->chat->service_tier, tiers[i].ours)) {
            say_tier(o, tiers[i].theirs);
            return;
        }
    }
    llmux_warn(o->warn, LLMUX_WARN_DROP, "service_tier");
}

const llmux_error_t *llmux_gemini_write(llmux_buf_t *out,
                                        const llmux_chat_t *chat,
                                        const llmux_target_t *target,
                                        llmux_warnings_t *w,
                                        apr_pool_t *scratch)
{
    llmux_gemini_out_t o;
    const llmux_error_t *err;

    o.w = llmux_jw(out);
    o.chat = chat;
    o.target = target;
    o.model = llmux_gemini_model(target->model);
    o.warn = w;
    o.scratch = scratch;
    o.schema_nodes = 0;
    llmux_tokens_tell(chat, LLMUX_MADE_BY(LLMUX_MAKER_GEMINI), target, w);
    llmux_jw_open(&o.w, '{');
    err = llmux_gemini_contents(&o);
    if (!err) {
        err = llmux_gemini_tools(&o);
    }
    if (!err) {
        err = llmux_gemini_config(&o);
    }
    if (err) {
        return err;
    }
    put_extra(&o);
    put_tier(&o);
    if (target->vertex && said(chat->metadata)) {
        put_labels(&o);
    }
    warn_dropped(&o);
    llmux_jw_close(&o.w, '}');
    return NULL;
}
