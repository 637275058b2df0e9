/* responses_write_items.c - turns of blocks, as the flat list of items that
 * Responses takes: each call answered, each answer directly behind its
 * message. */

#include <apr_strings.h>

#include "responses_write.h"

enum { CALL_ID_MAX = 64 };      /* the API's own limit */

#define BIT(kind) LLMUX_WRITER_BIT(kind)
#define SPOKEN    (BIT(LLMUX_BLOCK_TEXT) | BIT(LLMUX_BLOCK_REFUSAL))

typedef llmux_responses_out_t out_t;

/* A call, and what the tool said. */
typedef struct turn_call_t {
    const llmux_call_t *call;
    llmux_slice_t id;               /* as it goes out */
    int answered;
} turn_call_t;

typedef struct answer_t {
    struct answer_t *next;
    const llmux_block_t *result;
    const llmux_message_t *message;
    turn_call_t *call;
} answer_t;

/* The calls of the latest message that used an id, in order: parallel calls
 * may have the same one, and a later turn may use it again. */
typedef struct use_t {
    const llmux_message_t *message;
    apr_array_header_t *calls;      /* turn_call_t * */
    int next;                       /* of them to be answered */
    int times;                      /* that the id was used */
} use_t;

typedef struct list_t {
    out_t *o;
    apr_hash_t *uses;               /* by id */
    apr_array_header_t *calls;      /* turn_call_t *, all in order */
    int next;                       /* of them to be written */
    answer_t **answers, **last;     /* by the number of the calls' message */
    const llmux_block_t *sequel;    /* what was found behind a thought */
    int barren;                     /* nothing was, up to the next turn */
} list_t;

/* ---- calls and their answers ----------------------------------------- */

/* One that the API takes, and that no other call has; the same in each
 * request, which keeps the prompt's prefix the same for the cache. */
static llmux_slice_t outgoing_id(list_t *t, llmux_slice_t id, int times)
{
    apr_uint64_t h = APR_UINT64_C(14695981039346656037) + (unsigned)times;
    apr_size_t i;

    if (!times && id.len && id.len <= CALL_ID_MAX) {
        return id;
    }
    for (i = 0; i < id.len; i++) {
        h = (h ^ (unsigned char)id.data[i]) * APR_UINT64_C(1099511628211);
    }
    return llmux_slice(apr_psprintf(t->o->w.pool,
                                    "call_%016" APR_UINT64_T_HEX_FMT, h));
}

static use_t *use_of(list_t *t, llmux_slice_t id, int make)
{
    use_t *use = apr_hash_get(t->uses, id.data ? id.data : "",
                              (apr_ssize_t)id.len);

    if (!use && make) {
        use = apr_pcalloc(t->o->w.pool, sizeof(*use));
        use->calls = apr_array_make(t->o->w.pool, 1, sizeof(turn_call_t *));
        apr_hash_set(t->uses, id.data ? id.data : "", (apr_ssize_t)id.len,
                     use);
    }
    return use;
}

static void note_call(list_t *t, const llmux_message_t *m,
                      const llmux_call_t *call)
{
    use_t *use = use_of(t, call->id, 1);
    turn_call_t *c = apr_pcalloc(t->o->w.pool, sizeof(*c));

    if (use->message != m) {
        use->message = m;
        use->next = 0;
        apr_array_clear(use->calls);
    }
    c->call = call;
    c->id = outgoing_id(t, call->id, use->times++);
    APR_ARRAY_PUSH(use->calls, turn_call_t *) = c;
    APR_ARRAY_PUSH(t->calls, turn_call_t *) = c;
}

/* A result that answers no call, or one that was answered already, would be
 * refused with all the rest. */
static void note_result(list_t *t, const llmux_message_t *m,
                        const llmux_block_t *b)
{
    use_t *use = use_of(t, b->result->call_id, 0);
    answer_t *a;
    int at;

    if (!use || use->next == use->calls->nelts) {
        llmux_warn(t->o->w.warnings, LLMUX_WARN_DROP,
                   "messages.tool_call_id");
        return;
    }
    a = apr_pcalloc(t->o->w.pool, sizeof(*a));
    a->result = b;
    a->message = m;
    a->call = APR_ARRAY_IDX(use->calls, use->next++, turn_call_t *);
    a->call->answered = 1;
    at = use->message->number;
    if (t->last[at]) {
        t->last[at]->next = a;
    }
    else {
        t->answers[at] = a;
    }
    t->last[at] = a;
}

static void pair(list_t *t)
{
    const llmux_chat_t *chat = t->o->w.chat;
    apr_size_t count = chat->last ? (apr_size_t)chat->last->number + 1 : 0;
    const llmux_message_t *m;
    const llmux_block_t *b;

    t->uses = apr_hash_make(t->o->w.pool);
    t->calls = apr_array_make(t->o->w.pool, 8, sizeof(turn_call_t *));
    t->answers = apr_pcalloc(t->o->w.pool, 2 * count * sizeof(answer_t *));
    t->last = t->answers + count;
    for (m = chat->messages; m; m = m->next) {
        for (b = m->blocks; b; b = b->next) {
            if (b->kind == LLMUX_BLOCK_CALL) {
                note_call(t, m, b->call);
            }
            else if (b->kind == LLMUX_BLOCK_RESULT) {
                note_result(t, m, b);
            }
        }
    }
}

/* ---- results --------------------------------------------------------- */

static void open_result(list_t *t, const turn_call_t *c)
{
    llmux_jw_t *jw = &t->o->w.jw;

    llmux_jw_open(jw, '{');
    llmux_jw_key(jw, "type");
    llmux_jw_cstr(jw, c->call->custom ? "custom_tool_call_output"
                                      : "function_call_output");
    llmux_jw_key(jw, "call_id");
    llmux_jw_str(jw, c->id);
    llmux_jw_key(jw, "output");
}

/* A string with something in front of it. */
static void write_prefixed(out_t *o, const char *prefix, llmux_slice_t text)
{
    llmux_jw_raw(&o->w.jw, llmux_slice("\""));
    llmux_json_escape(o->w.jw.out, llmux_slice(prefix));
    llmux_json_escape(o->w.jw.out, text);
    llmux_buf_adds(o->w.jw.out, "\"");
}

static void write_result_parts(list_t *t, const answer_t *a)
{
    const llmux_block_t *b = a->result->result->blocks;
    out_t *o = t->o;

    llmux_jw_open(&o->w.jw, '[');
    if (a->result->result->is_error == LLMUX_YES) {
        llmux_responses_write_text(o, "input_text", llmux_slice("Error:"), 0);
    }
    for (; b; b = b->next) {
        llmux_responses_write_part(o, b, a->message->param,
            llmux_responses_marked(o, b)
                || (!b->next && llmux_responses_marked(o, a->result)));
    }
    llmux_jw_close(&o->w.jw, ']');
}

static void write_result(list_t *t, const answer_t *a)
{
    const llmux_block_t *b = a->result->result->blocks;
    int error = a->result->result->is_error == LLMUX_YES;

    open_result(t, a->call);
    if (b && (b->next || b->kind != LLMUX_BLOCK_TEXT
              || llmux_responses_marked(t->o, b)
              || llmux_responses_marked(t->o, a->result))) {
        write_result_parts(t, a);
    }
    else {
        write_prefixed(t->o, error ? "Error: " : "",
                       b ? b->text : llmux_slice(""));
    }
    llmux_jw_close(&t->o->w.jw, '}');
}

/* A call that nobody answered would make the whole request a 400. */
static void write_missing(list_t *t, const turn_call_t *c)
{
    llmux_warn(t->o->w.warnings, LLMUX_WARN_EMULATE, "messages.tool_call_id");
    open_result(t, c);
    llmux_jw_cstr(&t->o->w.jw, "Error: this call was not executed.");
    llmux_jw_close(&t->o->w.jw, '}');
}

/* @param first the message's calls are those from here to t->next */
static void write_results(list_t *t, const llmux_message_t *m, int first)
{
    const answer_t *a;
    int i;

    for (a = t->answers[m->number]; a; a = a->next) {
        write_result(t, a);
    }
    for (i = first; i < t->next && m->next; i++) {
        if (!APR_ARRAY_IDX(t->calls, i, turn_call_t *)->answered) {
            write_missing(t, APR_ARRAY_IDX(t->calls, i, turn_call_t *));
        }
    }
}

/* ---- system and user ------------------------------------------------- */

static void open_message(out_t *o, const char *role)
{
    llmux_jw_open(&o->w.jw, '{');
    llmux_jw_key(&o->w.jw, "role");
    llmux_jw_cstr(&o->w.jw, role);
    llmux_jw_key(&o->w.jw, "content");
}

/* One text is a string, which every server takes; else an array. */
static void write_content(out_t *o, const llmux_message_t *m, unsigned kinds)
{
    const llmux_block_t *b = llmux_writer_next(m->blocks, kinds);
    const char *name = llmux_writer_name(&o->w, m);

    if (!b || (b->kind == LLMUX_BLOCK_TEXT && !llmux_responses_marked(o, b)
               && !llmux_writer_next(b->next, kinds))) {
        write_prefixed(o, name, b ? b->text : llmux_slice(""));
        return;
    }
    llmux_jw_open(&o->w.jw, '[');
    if (*name) {
        llmux_responses_write_text(o, "input_text", llmux_slice(name), 0);
    }
    for (; b; b = llmux_writer_next(b->next, kinds)) {
        llmux_responses_write_part(o, b, m->param,
                                   llmux_responses_marked(o, b));
    }
    llmux_jw_close(&o->w.jw, ']');
}

static const char *system_role(const out_t *o)
{
    return llmux_writer_can(&o->w, LLMUX_CAN_DEVELOPER) ? "developer"
                                                        : "system";
}

static void write_system(list_t *t, const llmux_message_t *m)
{
    open_message(t->o, system_role(t->o));
    write_content(t->o, m, BIT(LLMUX_BLOCK_TEXT));
    llmux_jw_close(&t->o->w.jw, '}');
}

static void write_hint(out_t *o)
{
    open_message(o, system_role(o));
    llmux_jw_cstr(&o->w.jw, o->hint);
    llmux_jw_close(&o->w.jw, '}');
    o->hint = NULL;
}

/* Results stand behind their calls already. */
static void write_user(list_t *t, const llmux_message_t *m)
{
    unsigned kinds = BIT(LLMUX_BLOCK_TEXT) | BIT(LLMUX_BLOCK_MEDIA);

    if (llmux_writer_next(m->blocks, kinds) || !m->blocks) {
        open_message(t->o, "user");
        write_content(t->o, m, kinds);
        llmux_jw_close(&t->o->w.jw, '}');
    }
}

/* ---- assistant ------------------------------------------------------- */

/* The block behind a run of texts and refusals. */
static const llmux_block_t *end_of_run(const llmux_block_t *b)
{
    while (b && (BIT(b->kind) & SPOKEN)) {
        b = b->next;
    }
    return b;
}

static void write_spoken_part(out_t *o, const llmux_block_t *b)
{
    if (b->kind == LLMUX_BLOCK_TEXT) {
        llmux_responses_write_text(o, "output_text", b->text, 0);
        return;
    }
    llmux_jw_open(&o->w.jw, '{');
    llmux_jw_key(&o->w.jw, "type");
    llmux_jw_cstr(&o->w.jw, "refusal");
    llmux_jw_key(&o->w.jw, "refusal");
    llmux_jw_str(&o->w.jw, b->text.data ? b->text : llmux_slice(""));
    llmux_jw_close(&o->w.jw, '}');
}

/* @return the block behind it */
static const llmux_block_t *write_run(list_t *t, const llmux_message_t *m,
                                      const llmux_block_t *b)
{
    const llmux_block_t *end = end_of_run(b);
    llmux_jw_t *jw = &t->o->w.jw;

    if (b->kind == LLMUX_BLOCK_TEXT && b->next == end && !b->text.len
        && (b != m->blocks || end)) {
        return end;         /* nothing, beside something */
    }
    open_message(t->o, "assistant");
    if (b->kind == LLMUX_BLOCK_TEXT && b->next == end) {
        llmux_jw_str(jw, b->text.data ? b->text : llmux_slice(""));
    }
    else {
        llmux_jw_open(jw, '[');
        for (; b != end; b = b->next) {
            write_spoken_part(t->o, b);
        }
        llmux_jw_close(jw, ']');
    }
    llmux_jw_opt_str(jw, "phase", m->phase);
    llmux_jw_close(jw, '}');
    return end;
}

static void write_call(list_t *t, const llmux_call_t *call)
{
    const turn_call_t *c = APR_ARRAY_IDX(t->calls, t->next++, turn_call_t *);
    llmux_jw_t *jw = &t->o->w.jw;

    llmux_jw_open(jw, '{');
    llmux_jw_key(jw, "type");
    llmux_jw_cstr(jw, call->custom ? "custom_tool_call" : "function_call");
    llmux_jw_key(jw, "call_id");
    llmux_jw_str(jw, c->id);
    llmux_jw_key(jw, "name");
    llmux_jw_str(jw, call->name);
    llmux_jw_key(jw, call->custom ? "input" : "arguments");
    llmux_jw_str(jw, call->args.data ? call->args
                                     : llmux_slice(call->custom ? "" : "{}"));
    llmux_jw_close(jw, '}');
}

static const llmux_block_t *find_sequel(const llmux_message_t *m,
                                        const llmux_block_t *b)
{
    unsigned kinds = SPOKEN | BIT(LLMUX_BLOCK_CALL) | BIT(LLMUX_BLOCK_MEDIA);

    for (b = b->next; m && m->role == LLMUX_ROLE_ASSISTANT;
         m = m->next, b = m ? m->blocks : NULL) {
        for (b = llmux_writer_next(b, kinds); b;
             b = llmux_writer_next(b->next, kinds)) {
            if (b->kind != LLMUX_BLOCK_TEXT || b->text.len) {
                return b;
            }
        }
    }
    return NULL;
}

/* Does the assistant say or call anything behind this thought? A client may
 * send thoughts by the hundred thousand, so what was found holds for those
 * behind it too, until it is passed. */
static int has_sequel(list_t *t, const llmux_message_t *m,
                      const llmux_block_t *b)
{
    if (!t->sequel && !t->barren) {
        t->sequel = find_sequel(m, b);
        t->barren = !t->sequel;
    }
    return t->sequel != NULL;
}

static void pass(list_t *t, const llmux_block_t *from,
                 const llmux_block_t *end)
{
    for (; t->sequel && from != end; from = from->next) {
        if (from == t->sequel) {
            t->sequel = NULL;
        }
    }
}

static void open_thought(list_t *t)
{
    llmux_jw_open(&t->o->w.jw, '{');
    llmux_jw_key(&t->o->w.jw, "type");
    llmux_jw_cstr(&t->o->w.jw, "reasoning");
}

/* Without an id: that is for answers which are kept. */
static void write_sealed(list_t *t, const llmux_block_t *b)
{
    llmux_jw_t *jw = &t->o->w.jw;

    open_thought(t);
    llmux_jw_key(jw, "summary");
    llmux_jw_open(jw, '[');
    if (b->text.len) {
        llmux_responses_write_text(t->o, "summary_text", b->text, 0);
    }
    llmux_jw_close(jw, ']');
    llmux_jw_key(jw, "encrypted_content");
    llmux_jw_str(jw, b->token.bytes);
    llmux_jw_close(jw, '}');
}

/* For servers that take plain thoughts back; some insist on an id. */
static void write_plain(list_t *t, const llmux_message_t *m,
                        const llmux_block_t *b)
{
    llmux_jw_t *jw = &t->o->w.jw;

    open_thought(t);
    llmux_jw_key(jw, "id");
    llmux_jw_cstr(jw, apr_psprintf(t->o->w.pool, "rs_%d", m->number));
    llmux_jw_key(jw, "summary");
    llmux_jw_raw(jw, llmux_slice("[]"));
    llmux_jw_key(jw, "content");
    llmux_jw_open(jw, '[');
    llmux_responses_write_text(t->o, "reasoning_text", b->text, 0);
    llmux_jw_close(jw, ']');
    llmux_jw_close(jw, '}');
}

/* OpenAI refuses thoughts that it did not have, and such as nothing came
 * of. */
static void write_thought(list_t *t, const llmux_message_t *m,
                          const llmux_block_t *b)
{
    int fits = llmux_token_fits(&b->token, LLMUX_MADE_BY(LLMUX_MAKER_OPENAI),
                                t->o->w.target);

    if (fits && has_sequel(t, m, b)) {
        write_sealed(t, b);
    }
    else if (!fits && b->text.len
             && llmux_writer_can(&t->o->w, LLMUX_CAN_REASONING)) {
        write_plain(t, m, b);
    }
    else {
        llmux_warn(t->o->w.warnings, LLMUX_WARN_DROP, "reasoning_content");
    }
}

/* A picture that the model made. */
static void write_picture(list_t *t, const llmux_message_t *m,
                          const llmux_block_t *b)
{
    const llmux_media_t *media = b->media;
    llmux_jw_t *jw = &t->o->w.jw;

    if (media->kind != LLMUX_MEDIA_IMAGE || !media->base64.data) {
        llmux_writer_refuse(&t->o->w, media->param ? media->param : m->param,
                            "The message holds media of an assistant, which "
                            "%s does not take back.", t->o->w.target->name);
        return;
    }
    llmux_jw_open(jw, '{');
    llmux_jw_key(jw, "type");
    llmux_jw_cstr(jw, "image_generation_call");
    llmux_jw_key(jw, "id");
    llmux_jw_cstr(jw, apr_psprintf(t->o->w.pool, "ig_%d", m->number));
    llmux_jw_key(jw, "status");
    llmux_jw_cstr(jw, "completed");
    llmux_jw_key(jw, "result");
    llmux_jw_str(jw, media->base64);
    llmux_jw_close(jw, '}');
}

static void write_assistant(list_t *t, const llmux_message_t *m)
{
    const llmux_block_t *b = m->blocks;
    int first = t->next;

    llmux_writer_name(&t->o->w, m);
    if (!b) {
        open_message(t->o, "assistant");
        llmux_jw_cstr(&t->o->w.jw, "");
        llmux_jw_close(&t->o->w.jw, '}');
    }
    while (b) {
        if (BIT(b->kind) & SPOKEN) {
            const llmux_block_t *run = b;

            b = write_run(t, m, b);
            pass(t, run, b);
            continue;
        }
        pass(t, b, b->next);
        if (b->kind == LLMUX_BLOCK_CALL) {
            write_call(t, b->call);
        }
        else if (b->kind == LLMUX_BLOCK_THINK) {
            write_thought(t, m, b);
        }
        else if (b->kind == LLMUX_BLOCK_MEDIA) {
            write_picture(t, m, b);
        }
        b = b->next;
    }
    write_results(t, m, first);
}

/* ---- the list -------------------------------------------------------- */

void llmux_responses_write_input(out_t *o)
{
    static void (*const writers[])(list_t *, const llmux_message_t *) = {
        [LLMUX_ROLE_SYSTEM] = write_system,
        [LLMUX_ROLE_USER] = write_user,
        [LLMUX_ROLE_ASSISTANT] = write_assistant
    };
    list_t t = { .o = o };
    const llmux_message_t *m = o->w.chat->messages;

    pair(&t);
    if (m && o->instructed) {
        m = m->next;
    }
    llmux_jw_key(&o->w.jw, "input");
    llmux_jw_open(&o->w.jw, '[');
    for (; m && !o->w.err; m = m->next) {
        if (o->hint && m->role != LLMUX_ROLE_SYSTEM) {
            write_hint(o);
        }
        t.barren &= m->role == LLMUX_ROLE_ASSISTANT;
        writers[m->role](&t, m);
    }
    if (o->hint) {
        write_hint(o);
    }
    llmux_jw_close(&o->w.jw, ']');
}
