/* token_turns.c - opaque tokens over two turns: an answer goes out in each
 * front dialect, the client sends it back, and what the maker gets is what he
 * made, byte for byte; nobody else gets anything. */

#include "dialect/head.h"
#include "seals.h"
#include "transcript.h"

static apr_pool_t *pool;

/* ---- answers --------------------------------------------------------- */

/* A token of an answer, and where its maker expects it. */
static const struct made_t {
    const char *name;
    llmux_maker_e maker;
    const char *words;              /* of the thought; "" for none */
    const char *bytes;
    int of_call;                    /* it hangs on the call, not on a thought */
    int calls;                      /* how many */
    const char *back, *model;       /* whose API it is */
    const char *want;
} made[] = {
    { "Anthropic's signature", LLMUX_MAKER_ANTHROPIC, "Hm", "EqQB+/==", 0, 1,
      "anthropic", "claude-sonnet-4-5",
      "{'type':'thinking','thinking':'Hm','signature':'EqQB+/=='}" },
    { "... without words", LLMUX_MAKER_ANTHROPIC, "", "EqQB+/==", 0, 1,
      "anthropic", "claude-sonnet-4-5",
      "{'type':'thinking','thinking':'','signature':'EqQB+/=='}" },
    { "Anthropic's redacted thinking", LLMUX_MAKER_ANTHROPIC_REDACTED, "",
      "EmwKRR==", 0, 1, "anthropic", "claude-sonnet-4-5",
      "{'type':'redacted_thinking','data':'EmwKRR=='}" },
    { "Gemini's signature of a thought", LLMUX_MAKER_GEMINI, "Hm", "CsAB+/==",
      0, 0, "gemini", "gemini-3-pro-preview",
      "{'text':'ok','thoughtSignature':'CsAB+/=='}" },
    { "Gemini's signature of a call", LLMUX_MAKER_GEMINI, "", "CsAB+/==", 1, 1,
      "gemini", "gemini-3-pro-preview",
      "'args':{'n':1}},'thoughtSignature':'1CsAB+/=='}" },
    { "Gemini's signatures of two calls", LLMUX_MAKER_GEMINI, "", "CsAB+/==",
      1, 2, "gemini", "gemini-3-pro-preview",
      "{'functionCall':{'name':'f','args':{'n':1}},"
      "'thoughtSignature':'1CsAB+/=='},"
      "{'functionCall':{'name':'f','args':{'n':2}},"
      "'thoughtSignature':'2CsAB+/=='}" },
    { "OpenAI's encrypted reasoning", LLMUX_MAKER_OPENAI, "Hm", "gAAAAB_-x",
      0, 1, "responses", "gpt-5",
      "{'type':'reasoning','summary':[{'type':'summary_text','text':'Hm'}],"
      "'encrypted_content':'gAAAAB_-x'}" },
    { "... without words", LLMUX_MAKER_OPENAI, "", "gAAAAB_-x", 0, 1,
      "responses", "gpt-5",
      "{'type':'reasoning','summary':[],'encrypted_content':'gAAAAB_-x'}" }
};

typedef struct made_t made_t;

#define MADE ((int)(sizeof(made) / sizeof(made[0])))

/* Events on their way into an encoder. */
typedef struct pipe_t {
    llmux_encoder_t *encoder;
    llmux_buf_t *out;
    int key;
} pipe_t;

static void say(pipe_t *to, llmux_event_t ev)
{
    ev.key = to->key;
    to->encoder->event(to->encoder, &ev, to->out);
}

/* Each call has its own: the number stands in front. */
static const char *token_of(const made_t *m, int call)
{
    return call ? apr_psprintf(pool, "%d%s", call, m->bytes) : m->bytes;
}

static void say_token(pipe_t *to, const made_t *m, int call)
{
    llmux_event_t ev = { .kind = LLMUX_EV_TOKEN };

    ev.token.maker = m->maker;
    ev.token.bytes = llmux_slice(token_of(m, call));
    say(to, ev);
}

static void say_thought(pipe_t *to, const made_t *m)
{
    llmux_event_t open = { .kind = LLMUX_EV_BLOCK_START,
                           .block = LLMUX_BLOCK_THINK };
    llmux_event_t words = { .kind = LLMUX_EV_THINK };
    llmux_event_t stop = { .kind = LLMUX_EV_BLOCK_STOP };

    to->key++;
    words.text = llmux_slice(m->words);
    say(to, open);
    if (*m->words) {
        say(to, words);
    }
    say_token(to, m, 0);
    say(to, stop);
}

static void say_text(pipe_t *to)
{
    llmux_event_t open = { .kind = LLMUX_EV_BLOCK_START };
    llmux_event_t text = { .kind = LLMUX_EV_TEXT, .text = { "ok", 2 } };
    llmux_event_t stop = { .kind = LLMUX_EV_BLOCK_STOP };

    to->key++;
    say(to, open);
    say(to, text);
    say(to, stop);
}

static void say_call(pipe_t *to, const made_t *m, int n)
{
    llmux_event_t open = { .kind = LLMUX_EV_BLOCK_START,
                           .block = LLMUX_BLOCK_CALL, .name = { "f", 1 } };
    llmux_event_t args = { .kind = LLMUX_EV_ARGS };
    llmux_event_t stop = { .kind = LLMUX_EV_BLOCK_STOP };

    to->key++;
    open.id = llmux_slice(apr_psprintf(pool, "call_%d", n));
    args.text = llmux_slice(apr_psprintf(pool, "{\"n\":%d}", n));
    say(to, open);
    if (m->of_call) {
        say_token(to, m, n);
    }
    say(to, args);
    say(to, stop);
}

/* The answer as the client gets it. */
static const char *answer(const char *front, const made_t *m,
                          const llmux_encode_t *how)
{
    llmux_event_t start = { .kind = LLMUX_EV_START, .id = { "a", 1 } };
    llmux_event_t finish = { .kind = LLMUX_EV_FINISH };
    llmux_event_t end = { .kind = LLMUX_EV_END };
    pipe_t to = { llmux_dialect_named(front)->encoder(pool, how),
                  llmux_buf_create(pool, 1 << 20), 0 };
    int i;

    finish.finish = m->calls ? LLMUX_FINISH_CALLS : LLMUX_FINISH_STOP;
    say(&to, start);
    if (!m->of_call) {
        say_thought(&to, m);
    }
    say_text(&to);
    for (i = 1; i <= m->calls; i++) {
        say_call(&to, m, i);
    }
    say(&to, finish);
    say(&to, end);
    return to.out->data;
}

/* ---- clients --------------------------------------------------------- */

static const char *raw(const llmux_json_t *v)
{
    return llmux_slice_str(pool, llmux_json_raw(v));
}

static const llmux_json_t *first_of(const llmux_json_t *v, const char *name)
{
    return llmux_json_at(llmux_json_get(v, name), 0);
}

/* What stands behind the answer: a result for each of its calls, # being the
 * call's number, or a word. */
static const char *results(const char *result, int calls, const char *word)
{
    const char *out = "";
    char *copy;
    int i;

    for (i = 1; i <= calls; i++) {
        copy = apr_pstrdup(pool, result);
        *strchr(copy, '#') = (char)('0' + i);
        out = apr_pstrcat(pool, out, i > 1 ? "," : "", copy, NULL);
    }
    return calls ? out : word;
}

static const char *openai_turn(const llmux_json_t *v, int calls)
{
    return apr_pstrcat(pool, "{'model':'m','messages':[{'role':'user',"
        "'content':'q'},", raw(llmux_json_get(first_of(v, "choices"),
                                              "message")), ",",
        results("{'role':'tool','tool_call_id':'call_#','content':'r'}",
               calls, "{'role':'user','content':'go on'}"), "]}", NULL);
}

static const char *anthropic_turn(const llmux_json_t *v, int calls)
{
    return apr_pstrcat(pool, "{'model':'m','max_tokens':9000,'messages':["
        "{'role':'user','content':'q'},{'role':'assistant','content':",
        raw(llmux_json_get(v, "content")), "},{'role':'user','content':[",
        results("{'type':'tool_result','tool_use_id':'call_#','content':'r'}",
               calls, "{'type':'text','text':'go on'}"), "]}]}", NULL);
}

static const char *gemini_turn(const llmux_json_t *v, int calls)
{
    return apr_pstrcat(pool, "{'contents':[{'role':'user','parts':[{'text':"
        "'q'}]},", raw(llmux_json_get(first_of(v, "candidates"), "content")),
        ",{'role':'user','parts':[",
        results("{'functionResponse':{'id':'call_#','name':'f','response':"
               "{'output':'r'}}}", calls, "{'text':'go on'}"), "]}]}",
        NULL);
}

static const char *responses_turn(const llmux_json_t *v, int calls)
{
    const char *output = raw(llmux_json_get(v, "output"));

    return apr_pstrcat(pool, "{'model':'m','input':[{'role':'user','content':"
        "'q'},", apr_pstrmemdup(pool, output + 1, strlen(output) - 2), ",",
        results("{'type':'function_call_output','call_id':'call_#','output':"
               "'r'}", calls, "{'role':'user','content':'go on'}"), "]}",
        NULL);
}

static const struct front_t {
    const char *name;
    const char *(*turn)(const llmux_json_t *answer, int calls);
    unsigned int own;               /* makers whose tokens pass as they are */
} fronts[] = {
    { "openai", openai_turn, 0 },
    { "anthropic", anthropic_turn, LLMUX_MADE_BY_CLAUDE },
    { "gemini", gemini_turn, LLMUX_MADE_BY(LLMUX_MAKER_GEMINI) },
    { "responses", responses_turn, LLMUX_MADE_BY(LLMUX_MAKER_OPENAI) }
};

typedef struct front_t front_t;

#define FRONTS ((int)(sizeof(fronts) / sizeof(fronts[0])))

/* The client's next request, with the answer in it as it was. */
static const char *second_turn(const front_t *f, const made_t *m,
                               const llmux_encode_t *how)
{
    const char *text = answer(f->name, m, how);

    return quotes(pool, f->turn(llmux_json_parse(pool, llmux_slice(text), 0,
                                                 NULL), m->calls));
}

/* ---- providers ------------------------------------------------------- */

/* Whom a second turn is read and written for. */
typedef struct back_t {
    const llmux_sealer_t *sealer;
    llmux_slice_t tenant;
    const char *dialect, *model, *account;
} back_t;

static back_t back_of(const made_t *m)
{
    back_t b = { test_sealer(), SEAL_TENANT, m->back, m->model,
                 SEAL_ACCOUNT };

    return b;
}

typedef struct written_t {
    const char *body;
    int told;                       /* that something was left out */
} written_t;

static written_t write_turn(const front_t *f, const back_t *b,
                            const char *request)
{
    llmux_target_t target = { .name = "t", .model = llmux_slice(b->model),
                              .can = 0xfff, .account = b->account };
    llmux_buf_t *out = llmux_buf_create(pool, 1 << 20);
    llmux_warnings_t *w = llmux_warnings_create(pool, 0);
    llmux_chat_t *chat = llmux_chat_create(pool);
    const llmux_error_t *err;
    written_t result = { "", 0 };
    const char *told;

    chat->sealer = b->sealer;
    chat->tenant = b->tenant;
    err = llmux_dialect_named(f->name)->read(
        chat, llmux_json_parse(pool, llmux_slice(request), 0, NULL));
    if (!err) {
        err = llmux_dialect_named(b->dialect)->write(out, chat, &target, w,
                                                     pool);
    }
    told = llmux_warnings_header(pool, w);
    result.body = err ? err->message : out->data;
    result.told = told && strstr(told, "reasoning_content");
    return result;
}

static int holds(const char *text, const char *piece)
{
    return strstr(text, quotes(pool, piece)) != NULL;
}

/* Neither the token nor its seal. */
static int is_clean(const char *text, const made_t *m)
{
    return !strstr(text, m->bytes) && !llmux_seal_mentioned(llmux_slice(text));
}

static void shows(int good, const char *text)
{
    if (!good) {
        printf("#   %s\n", text);
    }
}

static void must_return(const front_t *f, const made_t *m, const back_t *b,
                        const char *request, const char *name)
{
    written_t w = write_turn(f, b, request);
    int good = holds(w.body, m->want) && !w.told
        && !llmux_seal_mentioned(llmux_slice(w.body));

    shows(ok(good, "%s, %s: %s", f->name, m->name, name), w.body);
}

static void must_be_left(const front_t *f, const made_t *m, const back_t *b,
                         const char *request, const char *name)
{
    written_t w = write_turn(f, b, request);
    int good = is_clean(w.body, m) && w.told && *w.body == '{';

    shows(ok(good, "%s, %s: %s", f->name, m->name, name), w.body);
}

/* ---- two turns ------------------------------------------------------- */

/* Other APIs, to which the token means nothing. */
static const struct { const char *dialect, *model; } others[] = {
    { "anthropic", "claude-sonnet-4-5" }, { "gemini", "gemini-3-pro-preview" },
    { "responses", "gpt-5" }, { "ollama", "qwen3" }, { "cohere", "command-a" }
};

static void test_others(const front_t *f, const made_t *m,
                        const char *request)
{
    back_t b = back_of(m);
    unsigned int i;

    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (strcmp(others[i].dialect, m->back)) {
            b.dialect = others[i].dialect;
            b.model = others[i].model;
            must_be_left(f, m, &b, request, "left out for another maker");
        }
    }
}

/* Another letter in the middle of each seal. */
static const char *tampered(const char *request)
{
    char *copy = apr_pstrdup(pool, request), *at = copy;
    llmux_slice_t s;

    for (; *at; at++) {
        s = llmux_slice(at);
        if (llmux_sealed(s)) {
            at += 30;
            *at = *at == 'A' ? 'B' : 'A';
        }
    }
    return copy;
}

/* What is not the client's own comes under a seal, and is good to one tenant,
 * one maker, one account. */
static void test_sealed(const front_t *f, const made_t *m,
                        const char *request)
{
    back_t b = back_of(m);

    ok(!strstr(request, m->bytes)
       && llmux_seal_mentioned(llmux_slice(request)),
       "%s, %s: the client sees a seal", f->name, m->name);
    b.account = "another";
    must_be_left(f, m, &b, request, "left out for another account");
    b.account = NULL;
    must_return(f, m, &b, request, "for an account without a name");
    b = back_of(m);
    b.tenant = llmux_slice("tenant2");
    must_be_left(f, m, &b, request, "left out for another tenant");
    b = back_of(m);
    b.sealer = NULL;
    must_be_left(f, m, &b, request, "left out without keys");
    b = back_of(m);
    must_be_left(f, m, &b, tampered(request), "left out if altered");
}

static void test_turns(const front_t *f, const made_t *m)
{
    const llmux_encode_t plain = { .show_thinking = 1, .id = "ours" };
    const llmux_encode_t how = with_seals(plain);
    const char *request = second_turn(f, m, &how);
    back_t b = back_of(m);

    must_return(f, m, &b, request, "comes back as it was made");
    test_others(f, m, request);
    if (!(f->own & LLMUX_MADE_BY(m->maker))) {
        test_sealed(f, m, request);
        ok(is_clean(answer(f->name, m, &plain), m),
           "%s, %s: nothing of it without keys", f->name, m->name);
        return;
    }
    ok(strstr(request, m->bytes)
       && !llmux_seal_mentioned(llmux_slice(request)),
       "%s, %s: the client's own passes", f->name, m->name);
    b.sealer = NULL;
    b.account = "another";
    must_return(f, m, &b, request, "as it stands");
}

/* A stream says the same token. */
static void test_streamed(const front_t *f, const made_t *m)
{
    const llmux_encode_t plain = { .streamed = 1, .show_thinking = 1,
                                   .id = "ours" };
    const llmux_encode_t how = with_seals(plain);
    const char *text = unsealed(pool, answer(f->name, m, &how));
    int own = (f->own & LLMUX_MADE_BY(m->maker)) != 0;
    const char *token = token_of(m, m->of_call);
    const char *want = own ? token
        : apr_psprintf(pool, "%s%s:%s", strcmp(f->name, "gemini") ? "<<"
                       : "<<64 ", seal_makers[m->maker], token);

    shows(ok(strstr(text, want) != NULL, "%s, %s: streamed", f->name, m->name),
          text);
    ok(is_clean(bare(pool, answer(f->name, m, &plain)), m) || own,
       "... and nothing without keys");
}

/* ---- another server of chat completions ------------------------------ */

/* It may have tokens of all makers; they go back to its account. */
static void test_openai_back(const made_t *m)
{
    const llmux_encode_t plain = { .show_thinking = 1, .id = "ours" };
    const llmux_encode_t how = with_seals(plain);
    const char *request = second_turn(&fronts[0], m, &how);
    back_t b = back_of(m);
    written_t w;

    b.dialect = "openai";
    b.model = "m";
    w = write_turn(&fronts[0], &b, request);
    shows(ok(strstr(w.body, m->bytes) && !w.told, "openai again, %s",
             m->name), w.body);
    b.account = "another";
    must_be_left(&fronts[0], m, &b, request, "left out for another server");
}

/* ---- bytes that pass ------------------------------------------------- */

#define THINK(t) "{'type':'thinking','thinking':'a','signature':'" t "'}"
#define TEXT "{'type':'text','text':'b'}"
#define SAID(content) \
    "'messages':[{'role':'assistant','content':" content "}]}"
#define DETAILS(list) \
    "'messages':[{'role':'assistant','reasoning_details':[" list "]}]}"
#define DETAIL(t) "{'type':'reasoning.text','text':'a','signature':'" t "'}"
#define ENCRYPTED(t) "{'type':'reasoning.encrypted','data':'" t "'}"
#define CALL(google) \
    "'messages':[{'role':'assistant','tool_calls':[{'id':'c'," \
    "'extra_content':{'google':{" google "}}}]}]}"
#define MODEL(parts) "'contents':[{'role':'model','parts':[" parts "]}]}"

static const struct {
    const char *name, *dialect, *body, *want, *another;
} edits[] = {
    { "a thought of another maker's goes", "anthropic",
      SAID("[" THINK("<<gemini:S>>") "," TEXT "," THINK("EqQB") "]"),
      SAID("[" TEXT "," THINK("EqQB") "]"), NULL },
    { "Anthropic's own goes to its account alone", "anthropic",
      SAID("[" TEXT "," THINK("<<anthropic:EqQB>>") ", " TEXT "]"),
      SAID("[" TEXT "," THINK("EqQB") ", " TEXT "]"),
      SAID("[" TEXT ", " TEXT "]") },
    { "redacted thinking too", "anthropic",
      SAID("[{'type':'redacted_thinking','data':'<<redacted:R>>'}," TEXT "]"),
      SAID("[{'type':'redacted_thinking','data':'R'}," TEXT "]"),
      SAID("[" TEXT "]") },
    { "a message that has nothing left says so", "anthropic",
      SAID("[" THINK("<<openai:S>>") "," THINK("<<gemini:S>>") "]"),
      SAID("[{'type':'text','text':'(empty message)'}]"), NULL },
    { "a user may speak of seals", "anthropic",
      "'messages':[{'role':'user','content':[" THINK("<<gemini:S>>") ","
      "{'type':'text','text':'gw2.'}]},{'role':'assistant','content':"
      "'gw2.k1.x'}]}", NULL, NULL },
    { "a server's own thoughts go to its account alone", "openai",
      DETAILS(DETAIL("<<anthropic:S>>") "," DETAIL("T") ","
              ENCRYPTED("<<redacted:R>>")),
      DETAILS(DETAIL("S") "," DETAIL("T") "," ENCRYPTED("R")),
      DETAILS(DETAIL("T")) },
    { "all of them may go", "openai", DETAILS(DETAIL("<<openai:S>>")),
      DETAILS(DETAIL("S")), DETAILS("") },
    { "a call's signature", "openai",
      CALL("'a':1,'thought_signature':'<<gemini:S>>'"),
      CALL("'a':1,'thought_signature':'S'"), CALL("'a':1") },
    { "things that are none", "openai",
      "'messages':[7,{'reasoning_details':{'signature':'gw2.x'},'tool_calls':"
      "[1,{'extra_content':{'google':['gw2.x']}}]},'gw2.x']}", NULL, NULL },
    { "Gemini's own goes to its account alone", "gemini",
      MODEL("{'text':'a','thoughtSignature':'<<64 gemini:S>>'},{'text':'b',"
            "'thoughtSignature':'<<gemini:T>>'}"),
      MODEL("{'text':'a','thoughtSignature':'S'},{'text':'b',"
            "'thoughtSignature':'T'}"),
      MODEL("{'text':'a'},{'text':'b'}") },
    { "others' go", "gemini",
      MODEL("{'text':'a','thoughtSignature':'<<64 anthropic:S>>'}"),
      MODEL("{'text':'a'}"), NULL },
    { "OpenAI's own goes to its account alone", "responses",
      "'input':[{'role':'user','content':'q'},{'type':'reasoning',"
      "'encrypted_content':'<<openai:S>>'}]}",
      "'input':[{'role':'user','content':'q'},{'type':'reasoning',"
      "'encrypted_content':'S'}]}",
      "'input':[{'role':'user','content':'q'}]}" }
};

static const char *told;        /* of the last one that was edited */

/* @param body without its brace and model, and that is how it comes back */
static const char *edited(const char *dialect, const char *body,
                          const char *account, const llmux_sealer_t *sealer)
{
    llmux_target_t target = { .name = "t", .model = { "m", 1 }, .can = 0xfff,
                              .account = account };
    const llmux_dialect_t *d = llmux_dialect_named(dialect);
    llmux_slice_t text = llmux_slice(sealed(pool, quotes(pool, apr_pstrcat(
        pool, strcmp(dialect, "gemini") ? "{'model':'m'," : "{", body,
        NULL))));
    llmux_warnings_t *warnings = llmux_warnings_create(pool, 0);
    llmux_buf_t *out = llmux_buf_create(pool, 1 << 20);
    llmux_head_t head = { .model = { "m", 1 } };
    const llmux_error_t *err = d->head(pool, llmux_json_parser_create(pool),
                                       text, &head);

    head.sealer = sealer;
    head.tenant = SEAL_TENANT;
    if (err) {
        return err->message;
    }
    d->edit(out, pool, &head, text, &target, warnings);
    told = llmux_warnings_header(pool, warnings);
    return strchr(out->data + 1, strcmp(dialect, "gemini") ? ',' : '"')
           + (strcmp(dialect, "gemini") ? 1 : 0);
}

/* Of each of the cases something goes, if anything changes: where nobody but
 * its maker's account may have it, to another account only. */
static void is_told(int left)
{
    is_str(told, left ? "drop=reasoning_content" : NULL,
           left ? "... which is told" : "... and nothing is told");
}

static void test_edits(void)
{
    const struct { const char *name, *account; int opens; } rounds[] = {
        { NULL,                      SEAL_ACCOUNT, 1 },
        { "... for another account", "another",    1 },
        { "... without keys",        SEAL_ACCOUNT, 0 }
    };
    const char *body, *want;
    unsigned int i, n;

    for (i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        body = edits[i].body;
        for (n = 0; n < sizeof(rounds) / sizeof(rounds[0]); n++) {
            want = n && edits[i].another ? edits[i].another
                 : edits[i].want ? edits[i].want : body;
            is_str(unsealed(pool, edited(edits[i].dialect, body,
                                         rounds[n].account,
                                         rounds[n].opens ? test_sealer()
                                                         : NULL)),
                   quotes(pool, want),
                   n ? rounds[n].name : edits[i].name);
            is_told(n ? edits[i].want != NULL : edits[i].want
                                                && !edits[i].another);
        }
    }
}

int main(void)
{
    int i, n;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    for (i = 0; i < FRONTS; i++) {
        for (n = 0; n < MADE; n++) {
            test_turns(&fronts[i], &made[n]);
            test_streamed(&fronts[i], &made[n]);
        }
    }
    for (n = 0; n < MADE; n++) {
        test_openai_back(&made[n]);
    }
    test_edits();
    apr_pool_destroy(pool);
    return tap_done();
}
