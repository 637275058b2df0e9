/* gemini_read_contents.c - the conversation: turns of blocks, results with the
 * calls they answer. */

#include <apr_hash.h>
#include <apr_strings.h>

#include "gemini_read.h"

typedef llmux_gemini_in_t in_t;
typedef llmux_gemini_row_t row_t;
typedef llmux_gemini_got_t got_t;
typedef llmux_gemini_part_t part_t;

/* A call of the history. It waits in two queues: for a result with its id,
 * and for one with its function's name. */
typedef struct waiting_t {
    struct waiting_t *next_id, *next_name;
    const llmux_call_t *call;
    int answered;
} waiting_t;

typedef struct queue_t {
    waiting_t *first, *last;
} queue_t;

/* What one content must know of those before it. */
typedef struct talk_t {
    in_t *in;
    apr_hash_t *by_id, *by_name;    /* queue_t */
    llmux_message_t *model;         /* the open turn of the model, or NULL */
    apr_array_header_t *pieces;     /* llmux_slice_t: text of one kind that
                                     * may go on ... */
    llmux_block_e kind;             /* ... TEXT or THINK */
    int content, part;              /* where we are */
} talk_t;

/* ---- calls and results ----------------------------------------------- */

static queue_t *queue_of(talk_t *t, apr_hash_t *queues, llmux_slice_t key,
                         int make)
{
    queue_t *q = apr_hash_get(queues, key.data, (apr_ssize_t)key.len);

    if (!q && make) {
        q = apr_pcalloc(t->in->r.pool, sizeof(*q));
        apr_hash_set(queues, key.data, (apr_ssize_t)key.len, q);
    }
    return q;
}

/* Ids that we make depend on the place alone, so that they are the same in
 * each turn of the conversation. */
static llmux_slice_t make_id(talk_t *t)
{
    return llmux_slice(apr_psprintf(t->in->r.pool, "call_%d_%d", t->content,
                                    t->part));
}

static void await(talk_t *t, const llmux_call_t *call)
{
    queue_t *ids = queue_of(t, t->by_id, call->id, 1);
    queue_t *names = queue_of(t, t->by_name, call->name, 1);
    waiting_t *w = apr_pcalloc(t->in->r.pool, sizeof(*w));

    w->call = call;
    if (ids->last) {
        ids->last->next_id = w;
    }
    else {
        ids->first = w;
    }
    ids->last = w;
    if (names->last) {
        names->last->next_name = w;
    }
    else {
        names->first = w;
    }
    names->last = w;
}

/* The oldest one that waits there; those before it are forgotten. */
static waiting_t *oldest_by_id(queue_t *q)
{
    while (q && q->first && q->first->answered) {
        q->first = q->first->next_id;
        q->last = q->first ? q->last : NULL;
    }
    return q ? q->first : NULL;
}

static waiting_t *oldest_by_name(queue_t *q)
{
    while (q && q->first && q->first->answered) {
        q->first = q->first->next_name;
        q->last = q->first ? q->last : NULL;
    }
    return q ? q->first : NULL;
}

/* By its id, else by name and order. One that answers no call keeps its id:
 * each provider's writer knows what is to become of it. */
static llmux_slice_t pair(talk_t *t, llmux_slice_t id, llmux_slice_t name)
{
    waiting_t *w = id.data
        ? oldest_by_id(queue_of(t, t->by_id, id, 0)) : NULL;

    if (!w && !(id.data && queue_of(t, t->by_id, id, 0))) {
        w = oldest_by_name(queue_of(t, t->by_name, name, 0));
    }
    if (w) {
        w->answered = 1;
        return w->call->id;
    }
    return id.data ? id : make_id(t);
}

/* ---- text that goes on ----------------------------------------------- */

/* The pieces of a streamed answer come back as so many parts, or contents;
 * they are one text. */
static llmux_slice_t joined(talk_t *t)
{
    llmux_slice_t all = { NULL, 0 };
    char *to;
    int i;

    for (i = 0; i < t->pieces->nelts; i++) {
        all.len += APR_ARRAY_IDX(t->pieces, i, llmux_slice_t).len;
    }
    if (t->pieces->nelts == 1) {
        return APR_ARRAY_IDX(t->pieces, 0, llmux_slice_t);
    }
    all.data = to = apr_palloc(t->in->r.pool, all.len + 1);
    for (i = 0; i < t->pieces->nelts; i++) {
        llmux_slice_t *s = &APR_ARRAY_IDX(t->pieces, i, llmux_slice_t);

        memcpy(to, s->data, s->len);
        to += s->len;
    }
    *to = '\0';
    return all;
}

static void flush(talk_t *t, llmux_token_t token)
{
    llmux_block_t *b;

    if (t->pieces->nelts) {
        b = llmux_message_block(t->in->r.chat, t->model, t->kind);
        b->text = joined(t);
        b->token = token;
        t->pieces->nelts = 0;
    }
}

static const llmux_token_t no_token = { .maker = LLMUX_MAKER_NONE };

static void go_on(talk_t *t, llmux_block_e kind, llmux_slice_t text)
{
    if (t->kind != kind) {
        flush(t, no_token);
    }
    t->kind = kind;
    if (text.len) {
        APR_ARRAY_PUSH(t->pieces, llmux_slice_t) = text;
    }
}

/* A thought without words that is signed. */
static void add_token(talk_t *t, llmux_token_t token)
{
    if (token.bytes.data) {
        llmux_message_block(t->in->r.chat, t->model, LLMUX_BLOCK_THINK)->token
            = token;
    }
}

/* ---- the model's parts ----------------------------------------------- */

/* A signature ends the thought that it is on; one on anything else has the
 * thought before it, unless that is signed itself. */
static void read_thought(talk_t *t, const part_t *part)
{
    go_on(t, LLMUX_BLOCK_THINK,
          llmux_gemini_text(t->in, &part->got[LLMUX_GEMINI_PART_TEXT]));
    if (part->token.bytes.data && t->pieces->nelts) {
        flush(t, part->token);
    }
    else {
        add_token(t, part->token);
    }
}

static void read_said(talk_t *t, const part_t *part, llmux_slice_t text)
{
    if (t->kind == LLMUX_BLOCK_THINK && t->pieces->nelts) {
        flush(t, part->token);
    }
    else if (part->token.bytes.data) {
        flush(t, no_token);
        add_token(t, part->token);
    }
    go_on(t, LLMUX_BLOCK_TEXT, text);
}

static void read_call(talk_t *t, const llmux_at_t *at, const part_t *part)
{
    llmux_call_t *call = llmux_gemini_read_call(t->in, at, part);

    if (!call) {
        return;
    }
    flush(t, no_token);
    if (part->token.maker == LLMUX_MAKER_GEMINI) {
        call->token = part->token;
    }
    else {
        add_token(t, part->token);
    }
    if (!call->id.data) {
        call->id = make_id(t);
    }
    llmux_message_block(t->in->r.chat, t->model, LLMUX_BLOCK_CALL)->call =
        call;
    await(t, call);
}

static void read_model_part(talk_t *t, const llmux_at_t *at,
                            const part_t *part)
{
    const got_t *text = &part->got[LLMUX_GEMINI_PART_TEXT];

    if (part->thought) {
        read_thought(t, part);
        return;
    }
    switch (part->kind) {
    case LLMUX_GEMINI_PART_CALL:
        read_call(t, at, part);
        break;
    case LLMUX_GEMINI_PART_INLINE:
    case LLMUX_GEMINI_PART_FILE:
        flush(t, no_token);
        add_token(t, part->token);
        llmux_gemini_read_media(t->in, at, part, t->model);
        break;
    case LLMUX_GEMINI_PART_CODE:
    case LLMUX_GEMINI_PART_OUTPUT:
        read_said(t, part, llmux_gemini_read_code(t->in, at, part));
        break;
    case LLMUX_GEMINI_PART_RESPONSE:
        llmux_reader_fail(&t->in->r, at, "expected it with the role 'user', "
                          "found a result of the role 'model'");
        break;
    default:
        read_said(t, part, llmux_gemini_text(t->in, text));
    }
}

/* ---- the user's parts ------------------------------------------------ */

static void add_text(talk_t *t, llmux_message_t *m, llmux_slice_t text)
{
    if (text.len) {
        llmux_message_block(t->in->r.chat, m, LLMUX_BLOCK_TEXT)->text = text;
    }
}

static void read_result(talk_t *t, const llmux_at_t *at, const part_t *part,
                        llmux_message_t *m)
{
    llmux_slice_t name;
    llmux_result_t *result = llmux_gemini_read_result(t->in, at, part, &name);

    if (result) {
        result->call_id = pair(t, result->call_id, name);
        llmux_message_block(t->in->r.chat, m, LLMUX_BLOCK_RESULT)->result =
            result;
    }
}

static void read_user_part(talk_t *t, const llmux_at_t *at,
                           const part_t *part, llmux_message_t *m)
{
    switch (part->kind) {
    case LLMUX_GEMINI_PART_TEXT:
        add_text(t, m, llmux_gemini_text(
                           t->in, &part->got[LLMUX_GEMINI_PART_TEXT]));
        break;
    case LLMUX_GEMINI_PART_INLINE:
    case LLMUX_GEMINI_PART_FILE:
        llmux_gemini_read_media(t->in, at, part, m);
        break;
    case LLMUX_GEMINI_PART_RESPONSE:
        read_result(t, at, part, m);
        break;
    case LLMUX_GEMINI_PART_CODE:
    case LLMUX_GEMINI_PART_OUTPUT:
        add_text(t, m, llmux_gemini_read_code(t->in, at, part));
        break;
    case LLMUX_GEMINI_PART_CALL:
        llmux_reader_fail(&t->in->r, at, "expected it with the role 'model', "
                          "found a call of the role 'user'");
        break;
    default:
        break;
    }
}

/* ---- contents -------------------------------------------------------- */

enum { CONTENT_ROLE, CONTENT_PARTS, CONTENTS };

static const row_t content_rows[] = {
    [CONTENT_ROLE]  = { "role", LLMUX_GEMINI_STR },
    [CONTENT_PARTS] = { "parts", LLMUX_GEMINI_LIST }
};

static llmux_message_t *add_message(talk_t *t, llmux_role_e role)
{
    llmux_message_t *m = llmux_chat_message(t->in->r.chat, role);

    m->param = apr_psprintf(t->in->r.pool, "contents[%d]", t->content);
    return m;
}

/* Results of tools are the user's; so is what says nothing of its role. */
static int is_model(talk_t *t, const llmux_at_t *at, const got_t *role)
{
    static const char *const roles[] = {
        "model", "user", "function", "tool", NULL
    };
    llmux_at_t here;

    if (!role->v || !llmux_gemini_text(t->in, role).len) {
        return 0;
    }
    here = llmux_at(at, role->name);
    return llmux_reader_word(&t->in->r, &here, role->v, roles) == 0;
}

static void end_model(talk_t *t)
{
    if (t->model) {
        flush(t, no_token);
    }
    t->model = NULL;
}

/* What Google's own tools were asked and said: others have no place for it,
 * and what the model made of it stands beside. */
static int is_hosted(talk_t *t, const part_t *part)
{
    if (part->kind != LLMUX_GEMINI_PART_HOSTED
        && part->kind != LLMUX_GEMINI_PART_HOSTED_ANSWER) {
        return 0;
    }
    llmux_gemini_lose(t->in, "contents.parts",
                      llmux_slice(part->got[part->kind].name),
                      part->got[part->kind].v);
    return 1;
}

static void read_part(talk_t *t, const llmux_at_t *at, const part_t *part,
                      llmux_message_t *m)
{
    if (is_hosted(t, part)) {
        return;
    }
    if (m == t->model) {
        read_model_part(t, at, part);
    }
    else {
        read_user_part(t, at, part, m);
    }
}

static void read_parts(talk_t *t, const llmux_at_t *at,
                       const llmux_json_t *parts, llmux_message_t *m)
{
    const llmux_json_t *e;
    llmux_at_t each;
    part_t part;

    t->part = 0;
    for (e = llmux_gemini_first(parts); e && !t->in->r.err;
         e = llmux_gemini_next(parts, e), t->part++) {
        each = llmux_at_index(at, t->part);
        llmux_gemini_read_part(t->in, &each, e, &part);
        if (!t->in->r.err) {
            read_part(t, &each, &part, m);
        }
    }
}

static void read_content(talk_t *t, const llmux_at_t *at,
                         const llmux_json_t *v)
{
    got_t got[CONTENTS];
    llmux_at_t parts;
    llmux_message_t *m;

    if (!llmux_reader_expect(&t->in->r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    llmux_gemini_members(t->in, at, v, "contents", content_rows, CONTENTS,
                         got);
    if (is_model(t, at, &got[CONTENT_ROLE])) {
        t->model = t->model ? t->model : add_message(t, LLMUX_ROLE_ASSISTANT);
        m = t->model;
    }
    else {
        end_model(t);
        m = add_message(t, LLMUX_ROLE_USER);
    }
    if (got[CONTENT_PARTS].v) {
        parts = llmux_at(at, got[CONTENT_PARTS].name);
        read_parts(t, &parts, got[CONTENT_PARTS].v, m);
    }
}

void llmux_gemini_read_contents(in_t *in, const llmux_at_t *at,
                                const llmux_json_t *contents)
{
    talk_t t = { .in = in, .kind = LLMUX_BLOCK_TEXT };
    const llmux_json_t *e;
    llmux_at_t each;

    t.by_id = apr_hash_make(in->r.pool);
    t.by_name = apr_hash_make(in->r.pool);
    t.pieces = apr_array_make(in->r.pool, 8, sizeof(llmux_slice_t));
    if (!llmux_json_count(contents)) {
        llmux_reader_fail(&in->r, at, "expected at least one content, found "
                          "an empty array");
    }
    for (e = llmux_gemini_first(contents); e && !in->r.err;
         e = llmux_gemini_next(contents, e)) {
        each = llmux_at_index(at, t.content);
        read_content(&t, &each, e);
        t.content++;
    }
    if (!in->r.err) {
        end_model(&t);
    }
}

/* ---- system ---------------------------------------------------------- */

void llmux_gemini_read_system(in_t *in, const llmux_at_t *at,
                              const llmux_json_t *content)
{
    llmux_message_t *m = NULL;
    const llmux_json_t *e;
    llmux_at_t parts, each;
    got_t got[CONTENTS];
    llmux_slice_t text;
    part_t part;
    int i = 0;

    llmux_gemini_members(in, at, content, "systemInstruction", content_rows,
                         CONTENTS, got);
    parts = llmux_at(at, got[CONTENT_PARTS].name ? got[CONTENT_PARTS].name
                                                 : "parts");
    for (e = llmux_gemini_first(got[CONTENT_PARTS].v); e && !in->r.err;
         e = llmux_gemini_next(got[CONTENT_PARTS].v, e)) {
        each = llmux_at_index(&parts, i++);
        llmux_gemini_read_part(in, &each, e, &part);
        if (!in->r.err && part.kind != LLMUX_GEMINI_PART_TEXT) {
            llmux_reader_fail(&in->r, &each, "expected 'text'");
        }
        text = in->r.err ? llmux_slice(NULL)
            : llmux_gemini_text(in, &part.got[LLMUX_GEMINI_PART_TEXT]);
        if (!text.len) {
            continue;
        }
        if (!m) {
            m = llmux_chat_message(in->r.chat, LLMUX_ROLE_SYSTEM);
            m->param = llmux_at_text(in->r.pool, at);
        }
        llmux_message_block(in->r.chat, m, LLMUX_BLOCK_TEXT)->text = text;
    }
}
