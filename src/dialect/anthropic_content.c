/* anthropic_content.c - system prompt and messages, written for Messages. */

#include <string.h>

#include <apr_strings.h>

#include "anthropic.h"

#define MARKS_MAX 4             /* cache markers in one request */

#define NO_RESULT "No result of this call was recorded."

/* ---- cache markers --------------------------------------------------- */

static int marks_of(const llmux_part_t *part)
{
    int n = 0;

    for (; part; part = part->next) {
        n += part->cache_ttl != NULL;
        n += part->result && part->result->cache_ttl;
    }
    return n;
}

void llmux_anthropic_count_marks(llmux_anthropic_out_t *o,
                                 const llmux_tool_t *tools,
                                 const llmux_turns_t *turns)
{
    const llmux_turn_t *t;
    int n = marks_of(turns->system.parts);

    for (; tools; tools = tools->next) {
        n += tools->cache_ttl != NULL;
    }
    for (t = turns->first; t; t = t->next) {
        n += marks_of(t->parts);
    }
    o->surplus = n > MARKS_MAX ? n - MARKS_MAX : 0;
    if (o->surplus) {
        llmux_warn(o->w, LLMUX_WARN_APPROX, "cache_control");
    }
}

void llmux_anthropic_mark(llmux_anthropic_out_t *o, const char *ttl)
{
    if (!ttl) {
        return;
    }
    if (o->surplus) {
        o->surplus--;
        return;
    }
    llmux_jw_key(&o->jw, "cache_control");
    llmux_jw_open(&o->jw, '{');
    llmux_jw_key(&o->jw, "type");
    llmux_jw_cstr(&o->jw, "ephemeral");
    if (!strcmp(ttl, "1h")) {
        llmux_jw_key(&o->jw, "ttl");
        llmux_jw_cstr(&o->jw, ttl);
    }
    llmux_jw_close(&o->jw, '}');
}

/* ---- media ----------------------------------------------------------- */

static const char *const image_types[] = {
    "image/jpeg", "image/png", "image/gif", "image/webp", NULL
};

static const char *known_image(const char *type)
{
    int i;

    for (i = 0; type && image_types[i]; i++) {
        if (!strcmp(image_types[i], type)) {
            return image_types[i];
        }
    }
    return NULL;
}

/* What the bytes say counts for more than what the client says: the API
 * refuses an image whose type is wrong. */
static const char *image_type(apr_pool_t *p, const llmux_media_t *m)
{
    const char *type = known_image(llmux_media_sniff(m->base64));

    if (!type && llmux_slice_is(m->type, "image/jpg")) {
        type = image_types[0];
    }
    return type ? type : known_image(llmux_slice_str(p, m->type));
}

static void source_open(llmux_jw_t *jw, const char *block, const char *source)
{
    llmux_jw_key(jw, "type");
    llmux_jw_cstr(jw, block);
    llmux_jw_key(jw, "source");
    llmux_jw_open(jw, '{');
    llmux_jw_key(jw, "type");
    llmux_jw_cstr(jw, source);
}

static void base64_source(llmux_jw_t *jw, const char *block,
                          const char *type, llmux_slice_t base64)
{
    source_open(jw, block, "base64");
    llmux_jw_key(jw, "media_type");
    llmux_jw_cstr(jw, type);
    llmux_jw_key(jw, "data");
    llmux_jw_str(jw, base64);
    llmux_jw_close(jw, '}');
}

static void text_source(llmux_jw_t *jw, llmux_slice_t text)
{
    source_open(jw, "document", "text");
    llmux_jw_key(jw, "media_type");
    llmux_jw_cstr(jw, "text/plain");
    llmux_jw_key(jw, "data");
    llmux_jw_str(jw, text);
    llmux_jw_close(jw, '}');
}

/* By address or by id: the API looks at the bytes itself. */
static void remote_source(llmux_jw_t *jw, const llmux_media_t *m)
{
    const char *block = m->kind == LLMUX_MEDIA_IMAGE ? "image" : "document";

    if (m->url.data) {
        source_open(jw, block, "url");
        llmux_jw_opt_str(jw, "url", m->url);
    }
    else {
        source_open(jw, block, "file");
        llmux_jw_opt_str(jw, "file_id", m->file_id);
    }
    llmux_jw_close(jw, '}');
}

/* What a file is that the client did not name well. */
static llmux_media_e kind_of(const llmux_media_t *m)
{
    const char *type = llmux_media_sniff(m->base64);

    if (m->kind != LLMUX_MEDIA_OTHER || !m->base64.data) {
        return m->kind;
    }
    if (known_image(type)) {
        return LLMUX_MEDIA_IMAGE;
    }
    if (type && !strcmp(type, "application/pdf")) {
        return LLMUX_MEDIA_PDF;
    }
    return llmux_slice_starts(m->type, "text/") ? LLMUX_MEDIA_TEXT
                                                : LLMUX_MEDIA_OTHER;
}

/* @return 0 if the API has no block for it */
static int embedded(llmux_anthropic_out_t *o, const llmux_media_t *m)
{
    llmux_slice_t text;
    const char *type;

    switch (kind_of(m)) {
    case LLMUX_MEDIA_IMAGE:
        type = image_type(o->p, m);
        if (type) {
            base64_source(&o->jw, "image", type, m->base64);
        }
        return type != NULL;
    case LLMUX_MEDIA_PDF:
        base64_source(&o->jw, "document", "application/pdf", m->base64);
        return 1;
    case LLMUX_MEDIA_TEXT:
        text = llmux_base64_decode(o->p, m->base64);
        text_source(&o->jw, text);
        return text.data != NULL;
    default:
        return 0;
    }
}

static int has_block(const llmux_media_t *m)
{
    return m->kind != LLMUX_MEDIA_AUDIO && m->kind != LLMUX_MEDIA_VIDEO;
}

const char *llmux_anthropic_place(apr_pool_t *p, const llmux_media_t *m,
                                  const char *param, int index)
{
    return m->param ? m->param
                    : apr_psprintf(p, "%s.content[%d]", param, index);
}

static const llmux_error_t *media(llmux_anthropic_out_t *o,
                                  const llmux_media_t *m,
                                  const char *param, int index)
{
    int fine = has_block(m);

    if (fine && m->base64.data) {
        fine = embedded(o, m);
    }
    else if (fine) {
        remote_source(&o->jw, m);
    }
    if (!fine) {
        return llmux_error(o->errors, LLMUX_ERR_UNSUPPORTED,
                           llmux_anthropic_place(o->errors, m, param, index),
                           "The model's API takes JPEG, PNG, GIF and WebP "
                           "images, PDF and plain text, but not this.");
    }
    if (m->kind != LLMUX_MEDIA_IMAGE) {
        llmux_jw_opt_str(&o->jw, "title", m->filename);
    }
    if (m->detail.len && !llmux_slice_is(m->detail, "auto")) {
        llmux_warn(o->w, LLMUX_WARN_DROP, "image_url.detail");
    }
    return NULL;
}

/* ---- blocks ---------------------------------------------------------- */

static void text(llmux_jw_t *jw, llmux_slice_t s)
{
    llmux_jw_key(jw, "type");
    llmux_jw_cstr(jw, "text");
    llmux_jw_key(jw, "text");
    llmux_jw_str(jw, s);
}

static void thinking(llmux_jw_t *jw, const llmux_block_t *b)
{
    llmux_jw_key(jw, "type");
    if (b->token.maker == LLMUX_MAKER_ANTHROPIC_REDACTED) {
        llmux_jw_cstr(jw, "redacted_thinking");
        llmux_jw_opt_str(jw, "data", b->token.bytes);
        return;
    }
    llmux_jw_cstr(jw, "thinking");
    llmux_jw_key(jw, "thinking");
    llmux_jw_str(jw, b->text.data ? b->text : llmux_slice(""));
    llmux_jw_opt_str(jw, "signature", b->token.bytes);
}

static void one_member(llmux_jw_t *jw, const char *name, llmux_slice_t value)
{
    llmux_jw_open(jw, '{');
    llmux_jw_key(jw, name);
    llmux_jw_str(jw, value.data ? value : llmux_slice(""));
    llmux_jw_close(jw, '}');
}

/* The API takes an object and nothing else. */
static void input(llmux_anthropic_out_t *o, const llmux_call_t *c)
{
    llmux_jw_key(&o->jw, "input");
    if (c->custom) {
        one_member(&o->jw, "input", c->args);
    }
    else if (llmux_slice_blank(c->args)) {
        llmux_jw_raw(&o->jw, llmux_slice("{}"));
    }
    else if (llmux_json_is_object(o->p, c->args)) {
        llmux_jw_raw(&o->jw, c->args);
    }
    else {
        one_member(&o->jw, "_raw", c->args);
        llmux_warn(o->w, LLMUX_WARN_APPROX, "tool_calls.function.arguments");
    }
}

static void call(llmux_anthropic_out_t *o, const llmux_part_t *part)
{
    llmux_jw_key(&o->jw, "type");
    llmux_jw_cstr(&o->jw, "tool_use");
    llmux_jw_opt_str(&o->jw, "id", part->id);
    llmux_jw_opt_str(&o->jw, "name", part->name);
    input(o, part->block->call);
}

static const llmux_error_t *part(llmux_anthropic_out_t *o,
                                 const llmux_part_t *part)
{
    const llmux_block_t *b = part->block;
    const llmux_error_t *err = NULL;

    llmux_jw_open(&o->jw, '{');
    if (!b || b->kind == LLMUX_BLOCK_TEXT || b->kind == LLMUX_BLOCK_REFUSAL) {
        text(&o->jw, part->text);
    }
    else if (b->kind == LLMUX_BLOCK_THINK) {
        thinking(&o->jw, b);
    }
    else if (b->kind == LLMUX_BLOCK_CALL) {
        call(o, part);
    }
    else {
        err = media(o, b->media, part->param, part->index);
    }
    llmux_anthropic_mark(o, part->cache_ttl);
    llmux_jw_close(&o->jw, '}');
    return err;
}

/* ---- results --------------------------------------------------------- */

static int says_something(const llmux_block_t *b)
{
    return b->kind == LLMUX_BLOCK_MEDIA || !llmux_slice_blank(b->text);
}

static const llmux_error_t *result_content(llmux_anthropic_out_t *o,
                                           const llmux_part_t *answer)
{
    const llmux_block_t *b = answer->block->result->blocks;
    const llmux_error_t *err = NULL;
    int index = 0;

    while (b && !says_something(b)) {
        b = b->next;
        index++;
    }
    if (!b) {
        return NULL;
    }
    llmux_jw_key(&o->jw, "content");
    llmux_jw_open(&o->jw, '[');
    for (; b && !err; b = b->next, index++) {
        if (!says_something(b)) {
            continue;
        }
        llmux_jw_open(&o->jw, '{');
        if (b->kind == LLMUX_BLOCK_MEDIA) {
            err = media(o, b->media, answer->param, index);
        }
        else {
            text(&o->jw, b->text);
        }
        llmux_jw_close(&o->jw, '}');
    }
    llmux_jw_close(&o->jw, ']');
    return err;
}

/* The API refuses a call that nobody answered. */
static void no_result(llmux_anthropic_out_t *o)
{
    llmux_jw_key(&o->jw, "content");
    llmux_jw_open(&o->jw, '[');
    llmux_jw_open(&o->jw, '{');
    text(&o->jw, llmux_slice(NO_RESULT));
    llmux_jw_close(&o->jw, '}');
    llmux_jw_close(&o->jw, ']');
    llmux_warn(o->w, LLMUX_WARN_EMULATE, "tool_calls");
}

static const llmux_error_t *result(llmux_anthropic_out_t *o,
                                   const llmux_part_t *call_part)
{
    const llmux_part_t *answer = call_part->result;
    const llmux_error_t *err = NULL;
    int failed = !answer || answer->block->result->is_error == LLMUX_YES;

    llmux_jw_open(&o->jw, '{');
    llmux_jw_key(&o->jw, "type");
    llmux_jw_cstr(&o->jw, "tool_result");
    llmux_jw_opt_str(&o->jw, "tool_use_id", call_part->id);
    if (answer) {
        err = result_content(o, answer);
    }
    else {
        no_result(o);
    }
    if (failed) {
        llmux_jw_opt_bool(&o->jw, "is_error", LLMUX_YES);
    }
    llmux_anthropic_mark(o, answer ? answer->cache_ttl : NULL);
    llmux_jw_close(&o->jw, '}');
    return err;
}

/* ---- turns ----------------------------------------------------------- */

static const llmux_error_t *parts(llmux_anthropic_out_t *o,
                                  const llmux_turn_t *t)
{
    const llmux_error_t *err = NULL;
    const llmux_part_t *each = t->answers ? t->answers->parts : NULL;

    llmux_jw_open(&o->jw, '[');
    for (; each && !err; each = each->next) {
        if (each->block && each->block->kind == LLMUX_BLOCK_CALL) {
            err = result(o, each);
        }
    }
    for (each = t->parts; each && !err; each = each->next) {
        err = part(o, each);
    }
    llmux_jw_close(&o->jw, ']');
    return err;
}

static const llmux_error_t *turn(llmux_anthropic_out_t *o,
                                 const llmux_turn_t *t)
{
    static const char *const roles[] = {
        [LLMUX_ROLE_SYSTEM]    = "system",
        [LLMUX_ROLE_USER]      = "user",
        [LLMUX_ROLE_ASSISTANT] = "assistant"
    };
    const llmux_error_t *err;

    llmux_jw_open(&o->jw, '{');
    llmux_jw_key(&o->jw, "role");
    llmux_jw_cstr(&o->jw, roles[t->role]);
    llmux_jw_key(&o->jw, "content");
    err = parts(o, t);
    llmux_jw_close(&o->jw, '}');
    return err;
}

const llmux_error_t *llmux_anthropic_content(llmux_anthropic_out_t *o,
                                             const llmux_turns_t *turns)
{
    const llmux_error_t *err = NULL;
    const llmux_turn_t *t;

    if (turns->system.parts) {
        llmux_jw_key(&o->jw, "system");
        err = parts(o, &turns->system);
    }
    llmux_jw_key(&o->jw, "messages");
    llmux_jw_open(&o->jw, '[');
    for (t = turns->first; t && !err; t = t->next) {
        err = turn(o, t);
    }
    llmux_jw_close(&o->jw, ']');
    return err;
}
