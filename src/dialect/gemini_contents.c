/* gemini_contents.c - the conversation as Gemini takes it: turns of user and
 * model that alternate, each step's results right behind its calls. */

#include <apr_hash.h>
#include <apr_strings.h>
#include <string.h>

#include "gemini.h"

/* Accepted in place of a signature that was lost; without any, models that
 * sign their calls answer 400 to a history with calls. */
#define NO_SIGNATURE "skip_thought_signature_validator"

#define NO_RESULT "The tool gave no result."

/* A conversation must not begin with the model's calls. */
#define BEGINNING "Begin."

/* A call of the history and what the tool said: NULL when nothing did. */
typedef struct answer_t {
    struct answer_t *next;          /* waiting under the same id */
    const llmux_call_t *call;
    const llmux_result_t *result;
    const char *param;              /* where the result stood */
} answer_t;

/* Calls of one id that wait for their results, oldest first. Ids may come
 * twice: some models number their calls anew in each step. */
typedef struct waiting_t {
    answer_t *first, *last;
} waiting_t;

typedef struct turn_t {
    int model;
    apr_array_header_t *messages;   /* const llmux_message_t * */
    int first, count;               /* calls (model), results (user) in
                                     * talk_t.answers */
} turn_t;

typedef struct talk_t {
    llmux_gemini_out_t *o;
    const llmux_message_t *begin;   /* behind the leading system messages */
    apr_array_header_t *answers;    /* answer_t *, in the order of calls */
    apr_hash_t *ids;                /* id to waiting_t */
    apr_array_header_t *turns;      /* turn_t */
} talk_t;

/* ---- results to calls ------------------------------------------------ */

static waiting_t *waiting_for(talk_t *t, llmux_slice_t id)
{
    return apr_hash_get(t->ids, id.data ? id.data : "",
                        (apr_ssize_t)id.len);
}

static void add_call(talk_t *t, const llmux_call_t *call)
{
    waiting_t *w = waiting_for(t, call->id);
    answer_t *a = apr_pcalloc(t->o->scratch, sizeof(*a));

    if (!w) {
        w = apr_pcalloc(t->o->scratch, sizeof(*w));
        apr_hash_set(t->ids, call->id.data ? call->id.data : "",
                     (apr_ssize_t)call->id.len, w);
    }
    a->call = call;
    if (w->first) {
        w->last->next = a;
    }
    else {
        w->first = a;
    }
    w->last = a;
    APR_ARRAY_PUSH(t->answers, answer_t *) = a;
}

static const llmux_error_t *add_result(talk_t *t, const llmux_message_t *m,
                                       const llmux_result_t *result)
{
    waiting_t *w = waiting_for(t, result->call_id);

    if (!w) {
        return llmux_error(t->o->chat->pool, LLMUX_ERR_INVALID, m->param,
                           "No tool call before %s has the id \"%.64s\": send "
                           "the assistant's message with the call as well.",
                           m->param ? m->param : "this result",
                           llmux_slice_str(t->o->scratch, result->call_id));
    }
    if (!w->first) {
        llmux_warn(t->o->warn, LLMUX_WARN_DROP, "tool_call_id");
        return NULL;        /* answered before */
    }
    w->first->result = result;
    w->first->param = m->param;
    w->first = w->first->next;
    return NULL;
}

static const llmux_error_t *pair(talk_t *t)
{
    const llmux_error_t *err = NULL;
    const llmux_message_t *m;
    const llmux_block_t *b;

    for (m = t->begin; m && !err; m = m->next) {
        for (b = m->blocks; b && !err; b = b->next) {
            if (b->kind == LLMUX_BLOCK_CALL) {
                add_call(t, b->call);
            }
            else if (b->kind == LLMUX_BLOCK_RESULT) {
                err = add_result(t, m, b->result);
            }
        }
    }
    return err;
}

/* ---- turns ----------------------------------------------------------- */

/* Does it become a part? Blank texts are refused; results go with their
 * calls, signatures with other parts. */
static int sendable(const llmux_block_t *b)
{
    switch (b->kind) {
    case LLMUX_BLOCK_TEXT:
    case LLMUX_BLOCK_REFUSAL:
        return b->text.len > 0;
    case LLMUX_BLOCK_MEDIA:
    case LLMUX_BLOCK_CALL:
        return 1;
    default:
        return 0;
    }
}

static int says_nothing(const llmux_message_t *m)
{
    const llmux_block_t *b;

    for (b = m->blocks; b; b = b->next) {
        if (sendable(b)) {
            return 0;
        }
    }
    return 1;
}

static int count_calls(const llmux_message_t *m)
{
    const llmux_block_t *b;
    int n = 0;

    for (b = m->blocks; b; b = b->next) {
        n += b->kind == LLMUX_BLOCK_CALL;
    }
    return n;
}

static turn_t *last_turn(const talk_t *t)
{
    return t->turns->nelts
        ? &APR_ARRAY_IDX(t->turns, t->turns->nelts - 1, turn_t) : NULL;
}

static turn_t *turn_of(talk_t *t, int model)
{
    turn_t *turn = last_turn(t);

    if (!turn || turn->model != model) {
        turn = apr_array_push(t->turns);
        turn->model = model;
        turn->messages = apr_array_make(t->o->scratch, 2,
                                        sizeof(const llmux_message_t *));
        turn->first = turn->count = 0;
    }
    return turn;
}

/* A signature behind the words of an answer stands on them, also when the
 * client keeps it as a message of its own. */
static void keep_thoughts(talk_t *t, const llmux_message_t *m)
{
    turn_t *turn = last_turn(t);

    if (turn && turn->model && m->role == LLMUX_ROLE_ASSISTANT) {
        APR_ARRAY_PUSH(turn->messages, const llmux_message_t *) = m;
    }
}

/* Calls end their turn: a turn with the results must follow, and does so
 * even if the client sent none. */
static void make_turns(talk_t *t)
{
    const llmux_message_t *m;
    turn_t *turn;
    int calls, seen = 0;

    for (m = t->begin; m; m = m->next) {
        calls = count_calls(m);
        if (says_nothing(m)) {
            keep_thoughts(t, m);
            continue;
        }
        turn = turn_of(t, m->role == LLMUX_ROLE_ASSISTANT);
        APR_ARRAY_PUSH(turn->messages, const llmux_message_t *) = m;
        if (calls && turn->model) {
            turn->first = seen;
            turn->count = calls;
            turn = turn_of(t, 0);
            turn->first = seen;
            turn->count = calls;
        }
        seen += calls;
    }
}

/* ---- parts ----------------------------------------------------------- */

static void open_text(llmux_gemini_out_t *o, llmux_slice_t text)
{
    llmux_jw_open(&o->w, '{');
    llmux_jw_key(&o->w, "text");
    llmux_jw_str(&o->w, text);
}

static void put_text(llmux_gemini_out_t *o, llmux_slice_t text)
{
    open_text(o, text);
    llmux_jw_close(&o->w, '}');
}

/* Gemini takes an object. What is none goes along as text, so that nothing
 * of the history is lost. */
static void put_args(llmux_gemini_out_t *o, const llmux_call_t *call)
{
    const char *name = call->custom ? "input" : "_raw";

    if (!call->custom && llmux_slice_blank(call->args)) {
        llmux_jw_open(&o->w, '{');
        llmux_jw_close(&o->w, '}');
        return;
    }
    if (!call->custom && llmux_json_is_object(o->scratch, call->args)) {
        llmux_jw_raw(&o->w, call->args);
        return;
    }
    if (!call->custom) {
        llmux_warn(o->warn, LLMUX_WARN_APPROX, "tool_calls.function.arguments");
    }
    llmux_jw_open(&o->w, '{');
    llmux_jw_key(&o->w, name);
    llmux_jw_str(&o->w, call->args.data ? call->args : llmux_slice(""));
    llmux_jw_close(&o->w, '}');
}

/* No ids are sent, neither here nor in results: Vertex refuses the member,
 * and ids that other models made mean nothing to Gemini. It pairs results
 * with calls by name and order, which is the order they are written in. */
static void put_call(llmux_gemini_out_t *o, const llmux_call_t *call,
                     llmux_slice_t signature)
{
    llmux_jw_open(&o->w, '{');
    llmux_jw_key(&o->w, "functionCall");
    llmux_jw_open(&o->w, '{');
    llmux_jw_key(&o->w, "name");
    llmux_jw_str(&o->w, call->name);
    llmux_jw_key(&o->w, "args");
    put_args(o, call);
    llmux_jw_close(&o->w, '}');
    llmux_jw_opt_str(&o->w, "thoughtSignature", signature);
    llmux_jw_close(&o->w, '}');
}

/* ---- the model's turns ----------------------------------------------- */

/* Which signatures of a turn stand where. The API demands one on the first
 * call of a step; one on the text is welcome. */
typedef struct signs_t {
    const llmux_target_t *target;
    int known;                              /* the model knows signatures */
    const llmux_block_t *call, *text;       /* that bear one */
    llmux_slice_t on_call, on_text;
} signs_t;

static llmux_slice_t own(llmux_token_t token, const llmux_target_t *target)
{
    static const llmux_slice_t none = { NULL, 0 };

    return llmux_token_fits(&token, LLMUX_MADE_BY(LLMUX_MAKER_GEMINI), target)
               ? token.bytes : none;
}

static void note_signs(signs_t *s, const llmux_block_t *b,
                       llmux_slice_t *thought)
{
    if (b->kind == LLMUX_BLOCK_THINK && own(b->token, s->target).data) {
        *thought = own(b->token, s->target);
    }
    else if (b->kind == LLMUX_BLOCK_TEXT && sendable(b)) {
        s->text = b;
    }
    else if (b->kind == LLMUX_BLOCK_CALL && !s->call) {
        s->call = b;
        s->on_call = own(b->call->token, s->target);
        if (!s->on_call.data) {
            s->on_call = *thought;      /* a client that keeps them there */
            thought->data = NULL;
        }
    }
}

static signs_t signs_of(llmux_gemini_out_t *o, const turn_t *turn)
{
    signs_t s;
    llmux_slice_t thought = { NULL, 0 };
    const llmux_block_t *b;
    int i;

    memset(&s, 0, sizeof(s));
    s.target = o->target;
    if (o->model->think == LLMUX_GEMINI_FIXED
        && !(o->model->can & LLMUX_GEMINI_MUST_SIGN)) {
        return s;
    }
    s.known = 1;
    for (i = 0; i < turn->messages->nelts; i++) {
        b = APR_ARRAY_IDX(turn->messages, i, const llmux_message_t *)->blocks;
        for (; b; b = b->next) {
            note_signs(&s, b, &thought);
        }
    }
    s.on_text = thought;
    if (s.call && !s.on_call.data
        && (o->model->can & LLMUX_GEMINI_MUST_SIGN)) {
        s.on_call = llmux_slice(NO_SIGNATURE);
    }
    return s;
}

static llmux_slice_t sign_of(const signs_t *signs, const llmux_block_t *b)
{
    static const llmux_slice_t none = { NULL, 0 };

    if (!signs->known) {
        return none;
    }
    return b == signs->call ? signs->on_call
                            : own(b->call->token, signs->target);
}

static void drop_name(llmux_gemini_out_t *o, const llmux_message_t *m)
{
    if (m->name.len) {
        llmux_warn(o->warn, LLMUX_WARN_DROP, "name");
    }
}

/* Thoughts are not sent back. A signature says for the model what its own
 * were; without one they are lost, and so are other models' thoughts. */
static void drop_thoughts(llmux_gemini_out_t *o, const turn_t *turn)
{
    const llmux_block_t *b;
    int i, thought = 0;

    for (i = 0; i < turn->messages->nelts; i++) {
        b = APR_ARRAY_IDX(turn->messages, i, const llmux_message_t *)->blocks;
        for (; b; b = b->next) {
            if (own(b->token, o->target).data
                || (b->call && own(b->call->token, o->target).data)) {
                return;
            }
            thought |= b->kind == LLMUX_BLOCK_THINK;
        }
    }
    if (thought) {
        llmux_warn(o->warn, LLMUX_WARN_DROP, "reasoning_content");
    }
}

static const llmux_error_t *put_model_block(llmux_gemini_out_t *o,
                                            const llmux_message_t *m,
                                            const llmux_block_t *b,
                                            const signs_t *signs)
{
    switch (b->kind) {
    case LLMUX_BLOCK_REFUSAL:
        llmux_warn(o->warn, LLMUX_WARN_APPROX, "refusal");
        put_text(o, b->text);
        return NULL;
    case LLMUX_BLOCK_TEXT:
        open_text(o, b->text);
        if (b == signs->text) {
            llmux_jw_opt_str(&o->w, "thoughtSignature", signs->on_text);
        }
        llmux_jw_close(&o->w, '}');
        return NULL;
    case LLMUX_BLOCK_CALL:
        put_call(o, b->call, sign_of(signs, b));
        return NULL;
    default:
        return llmux_gemini_media(o, b->media, m->param);
    }
}

static const llmux_error_t *put_model_turn(llmux_gemini_out_t *o,
                                           const turn_t *turn)
{
    signs_t signs = signs_of(o, turn);
    const llmux_error_t *err = NULL;
    const llmux_message_t *m;
    const llmux_block_t *b;
    int i;

    drop_thoughts(o, turn);
    for (i = 0; i < turn->messages->nelts; i++) {
        m = APR_ARRAY_IDX(turn->messages, i, const llmux_message_t *);
        drop_name(o, m);
        for (b = m->blocks; b && !err; b = b->next) {
            if (sendable(b)) {
                err = put_model_block(o, m, b, &signs);
            }
        }
    }
    return err;
}

/* ---- results --------------------------------------------------------- */

/* The texts of a result as one. They stay a string even if they are JSON: an
 * object with a member "$ref" or "name" would be misread. */
static llmux_slice_t result_text(apr_pool_t *p, const llmux_result_t *r)
{
    llmux_slice_t text = { "", 0 };
    const llmux_block_t *b;
    apr_size_t len = 0;
    char *to;

    for (b = r->blocks; b; b = b->next) {
        len += b->kind == LLMUX_BLOCK_TEXT ? b->text.len + 1 : 0;
    }
    if (!len) {
        return text;
    }
    text.data = to = apr_palloc(p, len);
    text.len = len - 1;
    for (b = r->blocks; b; b = b->next) {
        if (b->kind == LLMUX_BLOCK_TEXT) {
            if (b->text.len) {
                memcpy(to, b->text.data, b->text.len);
            }
            to += b->text.len;
            *to++ = '\n';
        }
    }
    return text;
}

/* Can this stand in a functionResponse? */
static int fits_response(const llmux_gemini_out_t *o, const llmux_media_t *m)
{
    return (o->model->can & LLMUX_GEMINI_CAN_PARTS)
           && (m->kind == LLMUX_MEDIA_IMAGE || m->kind == LLMUX_MEDIA_PDF
               || m->kind == LLMUX_MEDIA_TEXT);
}

static const llmux_error_t *put_response_parts(llmux_gemini_out_t *o,
                                               const answer_t *a)
{
    const llmux_error_t *err = NULL;
    const llmux_block_t *b;
    llmux_media_t bare;
    int n = 0;

    for (b = a->result->blocks; b && !err; b = b->next) {
        if (b->kind != LLMUX_BLOCK_MEDIA || !fits_response(o, b->media)) {
            continue;
        }
        if (!n++) {
            llmux_jw_key(&o->w, "parts");
            llmux_jw_open(&o->w, '[');
        }
        bare = *b->media;
        bare.detail.data = NULL;    /* these parts have no such member */
        err = llmux_gemini_media(o, &bare, a->param);
    }
    if (n) {
        llmux_jw_close(&o->w, ']');
    }
    return err;
}

static const llmux_error_t *put_result(llmux_gemini_out_t *o,
                                       const answer_t *a)
{
    int bad = !a->result || a->result->is_error == LLMUX_YES;
    const llmux_error_t *err = NULL;

    if (!a->result) {
        llmux_warn(o->warn, LLMUX_WARN_EMULATE, "tool_calls");
    }
    llmux_jw_open(&o->w, '{');
    llmux_jw_key(&o->w, "functionResponse");
    llmux_jw_open(&o->w, '{');
    llmux_jw_key(&o->w, "name");
    llmux_jw_str(&o->w, a->call->name);
    llmux_jw_key(&o->w, "response");
    llmux_jw_open(&o->w, '{');
    llmux_jw_key(&o->w, bad ? "error" : "output");
    llmux_jw_str(&o->w, a->result ? result_text(o->scratch, a->result)
                                  : llmux_slice(NO_RESULT));
    llmux_jw_close(&o->w, '}');
    if (a->result) {
        err = put_response_parts(o, a);
    }
    llmux_jw_close(&o->w, '}');
    llmux_jw_close(&o->w, '}');
    return err;
}

/* What a functionResponse cannot hold stands behind all of them. */
static const llmux_error_t *put_result_media(llmux_gemini_out_t *o,
                                             const answer_t *a)
{
    const llmux_error_t *err = NULL;
    const llmux_block_t *b;
    int n = 0;

    for (b = a->result ? a->result->blocks : NULL; b && !err; b = b->next) {
        if (b->kind != LLMUX_BLOCK_MEDIA || fits_response(o, b->media)) {
            continue;
        }
        if (!n++) {
            put_text(o, llmux_slice(apr_pstrcat(o->scratch, "What ",
                         llmux_slice_str(o->scratch, a->call->name),
                         " returned:", NULL)));
        }
        err = llmux_gemini_media(o, b->media, a->param);
    }
    return err;
}

static const llmux_error_t *put_results(talk_t *t, const turn_t *turn)
{
    const llmux_error_t *err = NULL;
    int i;

    for (i = 0; i < turn->count && !err; i++) {
        err = put_result(t->o, APR_ARRAY_IDX(t->answers, turn->first + i,
                                             answer_t *));
    }
    for (i = 0; i < turn->count && !err; i++) {
        err = put_result_media(t->o, APR_ARRAY_IDX(t->answers,
                                                   turn->first + i,
                                                   answer_t *));
    }
    return err;
}

/* ---- the user's turns ------------------------------------------------ */

/* Gemini has one place for system texts, at the beginning. */
static void put_system_text(talk_t *t, const llmux_message_t *m,
                            llmux_slice_t text)
{
    llmux_gemini_out_t *o = t->o;
    int alone = m == t->begin;      /* there are no other messages */

    llmux_warn(o->warn, LLMUX_WARN_EMULATE, "messages.role");
    if (alone) {
        put_text(o, text);
        return;
    }
    put_text(o, llmux_slice(apr_pstrcat(o->scratch, "<system>",
                 llmux_slice_str(o->scratch, text), "</system>", NULL)));
}

static const llmux_error_t *no_system_media(llmux_gemini_out_t *o,
                                            const llmux_message_t *m)
{
    return llmux_error(o->chat->pool, LLMUX_ERR_UNSUPPORTED, m->param,
                       "%s takes only text in system messages: move files to "
                       "a user message.", o->target->name);
}

static const llmux_error_t *put_user_block(talk_t *t,
                                           const llmux_message_t *m,
                                           const llmux_block_t *b)
{
    if (b->kind == LLMUX_BLOCK_MEDIA) {
        return m->role == LLMUX_ROLE_SYSTEM
                   ? no_system_media(t->o, m)
                   : llmux_gemini_media(t->o, b->media, m->param);
    }
    if (m->role == LLMUX_ROLE_SYSTEM) {
        put_system_text(t, m, b->text);
    }
    else {
        put_text(t->o, b->text);
    }
    return NULL;
}

/* A participant's name goes before what he says: into the text where that
 * comes first. @return whether it stands in the text of `b` */
static int put_name(llmux_gemini_out_t *o, const llmux_message_t *m,
                    const llmux_block_t *b)
{
    const char *name = llmux_slice_str(o->scratch, m->name);

    llmux_warn(o->warn, LLMUX_WARN_APPROX, "name");
    if (b->kind != LLMUX_BLOCK_TEXT) {
        put_text(o, llmux_slice(apr_pstrcat(o->scratch, name, ":", NULL)));
        return 0;
    }
    put_text(o, llmux_slice(apr_pstrcat(o->scratch, name, ": ",
                                        llmux_slice_str(o->scratch, b->text),
                                        NULL)));
    return 1;
}

static const llmux_error_t *put_user_message(talk_t *t,
                                             const llmux_message_t *m)
{
    int named = !m->name.len || m->role != LLMUX_ROLE_USER;
    const llmux_error_t *err = NULL;
    const llmux_block_t *b;

    if (m->role == LLMUX_ROLE_SYSTEM) {
        drop_name(t->o, m);
    }
    for (b = m->blocks; b && !err; b = b->next) {
        if (!sendable(b) || b->kind == LLMUX_BLOCK_CALL) {
            continue;
        }
        if (named++ || !put_name(t->o, m, b)) {
            err = put_user_block(t, m, b);
        }
    }
    return err;
}

static const llmux_error_t *put_user_turn(talk_t *t, const turn_t *turn)
{
    const llmux_error_t *err = put_results(t, turn);
    int i;

    for (i = 0; i < turn->messages->nelts && !err; i++) {
        err = put_user_message(t, APR_ARRAY_IDX(turn->messages, i,
                                                const llmux_message_t *));
    }
    return err;
}

/* ---- the members ----------------------------------------------------- */

/* Where the conversation begins. A request of system messages alone needs
 * one of them as its first turn: Gemini takes no empty conversation. */
static const llmux_message_t *after_system(const llmux_chat_t *chat)
{
    const llmux_message_t *m;

    for (m = chat->messages; m && m->next; m = m->next) {
        if (m->role != LLMUX_ROLE_SYSTEM) {
            break;
        }
    }
    return m;
}

static const llmux_error_t *put_system_parts(llmux_gemini_out_t *o,
                                             const llmux_message_t *m,
                                             int *parts)
{
    const llmux_block_t *b;

    for (b = m->blocks; b; b = b->next) {
        if (b->kind == LLMUX_BLOCK_MEDIA) {
            return no_system_media(o, m);
        }
        if (!sendable(b) || b->kind == LLMUX_BLOCK_CALL) {
            continue;
        }
        if (!(*parts)++) {
            llmux_jw_key(&o->w, "systemInstruction");
            llmux_jw_open(&o->w, '{');
            llmux_jw_key(&o->w, "parts");
            llmux_jw_open(&o->w, '[');
        }
        put_text(o, b->text);
    }
    return NULL;
}

static const llmux_error_t *put_system(talk_t *t)
{
    llmux_gemini_out_t *o = t->o;
    const llmux_error_t *err = NULL;
    const llmux_message_t *m;
    int parts = 0;

    for (m = o->chat->messages; m && m != t->begin && !err; m = m->next) {
        drop_name(o, m);
        err = put_system_parts(o, m, &parts);
    }
    if (parts) {
        llmux_jw_close(&o->w, ']');
        llmux_jw_close(&o->w, '}');
    }
    return err;
}

static void open_turn(llmux_jw_t *w, const char *role)
{
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "role");
    llmux_jw_cstr(w, role);
    llmux_jw_key(w, "parts");
    llmux_jw_open(w, '[');
}

static void close_turn(llmux_jw_t *w)
{
    llmux_jw_close(w, ']');
    llmux_jw_close(w, '}');
}

static void put_beginning(llmux_gemini_out_t *o, const turn_t *first)
{
    if (first->model && first->count) {
        llmux_warn(o->warn, LLMUX_WARN_APPROX, "messages");
        open_turn(&o->w, "user");
        put_text(o, llmux_slice(BEGINNING));
        close_turn(&o->w);
    }
}

static const llmux_error_t *put_turns(talk_t *t)
{
    llmux_jw_t *w = &t->o->w;
    const llmux_error_t *err = NULL;
    const turn_t *turn;
    int i;

    llmux_jw_key(w, "contents");
    llmux_jw_open(w, '[');
    put_beginning(t->o, &APR_ARRAY_IDX(t->turns, 0, turn_t));
    for (i = 0; i < t->turns->nelts && !err; i++) {
        turn = &APR_ARRAY_IDX(t->turns, i, turn_t);
        open_turn(w, turn->model ? "model" : "user");
        err = turn->model ? put_model_turn(t->o, turn)
                          : put_user_turn(t, turn);
        close_turn(w);
    }
    llmux_jw_close(w, ']');
    return err;
}

const llmux_error_t *llmux_gemini_contents(llmux_gemini_out_t *o)
{
    talk_t t = { o, after_system(o->chat), NULL, NULL, NULL };
    const llmux_error_t *err;

    t.answers = apr_array_make(o->scratch, 8, sizeof(answer_t *));
    t.ids = apr_hash_make(o->scratch);
    t.turns = apr_array_make(o->scratch, 16, sizeof(turn_t));
    err = pair(&t);
    if (err) {
        return err;
    }
    make_turns(&t);
    if (!t.turns->nelts) {
        return llmux_error(o->chat->pool, LLMUX_ERR_INVALID, "messages",
                           "The messages are empty: send at least one with "
                           "content.");
    }
    err = put_system(&t);
    return err ? err : put_turns(&t);
}
