/* anthropic_encode.c - tests of writing answers of Messages, streamed and
 * whole. */

#include <stdlib.h>

#include "seals.h"
#include "tap.h"
#include "transcript.h"

/* ---- events in, bytes out -------------------------------------------- */

/* Events of a script, a letter each:
 *
 *     S id model      start               U in out        usage
 *     o key kind ...  a block begins: text, think, refusal, media,
 *                     call id name, custom id name
 *     t key text      text                h key text      thinking
 *     r key text      a refusal           a key text      arguments
 *     k key maker x   a token             . key           the block ends
 *     c key url       a source            b key type x    a medium
 *     f finish stop   finish              p               ping
 *     ! message       error               E               end
 *
 * A line is an event; an underscore is a space. */
typedef struct line_t {
    char *words[5];
    int count;
} line_t;

static llmux_slice_t word(const line_t *l, int i)
{
    char *c;

    if (i >= l->count) {
        return llmux_slice(NULL);
    }
    for (c = l->words[i]; *c; c++) {
        if (*c == '_') {
            *c = ' ';
        }
    }
    return llmux_slice(l->words[i]);
}

static int number(const char *digits)
{
    return (int)apr_atoi64(digits);
}

static int number_of(const char *const *names, int count, const char *name)
{
    int i;

    for (i = 0; i < count && strcmp(names[i], name); i++) {
    }
    return i;
}

static void block_event(const line_t *l, llmux_event_t *ev)
{
    int custom = !strcmp(l->words[2], "custom");

    ev->kind = LLMUX_EV_BLOCK_START;
    ev->custom = custom;
    ev->block = (llmux_block_e)number_of(block_names, 6,
                                         custom ? "call" : l->words[2]);
    ev->id = word(l, 3);
    ev->name = word(l, 4);
}

static void token_event(const line_t *l, llmux_event_t *ev)
{
    ev->kind = LLMUX_EV_TOKEN;
    ev->token.maker = (llmux_maker_e)number_of(maker_names, 5, l->words[2]);
    ev->token.bytes = word(l, 3);
}

static const struct { char letter; llmux_event_e kind; } letters[] = {
    { 't', LLMUX_EV_TEXT }, { 'h', LLMUX_EV_THINK },
    { 'r', LLMUX_EV_REFUSAL }, { 'a', LLMUX_EV_ARGS },
    { '.', LLMUX_EV_BLOCK_STOP }, { 'p', LLMUX_EV_PING },
    { 'E', LLMUX_EV_END }
};

static llmux_event_t event_of(apr_pool_t *p, const line_t *l)
{
    static llmux_usage_t usage;
    static llmux_cite_t cite;
    static const llmux_usage_t none = LLMUX_USAGE_NONE;
    llmux_event_t ev = { .kind = LLMUX_EV_PING };
    apr_size_t i;

    ev.key = l->count > 1 ? number(l->words[1]) : 0;
    switch (*l->words[0]) {
    case 'S':
        ev.kind = LLMUX_EV_START;
        ev.id = word(l, 1);
        ev.name = word(l, 2);
        ev.tier = word(l, 3);
        break;
    case 'U':
        ev.kind = LLMUX_EV_USAGE;
        usage = none;
        usage.input = number(l->words[1]);
        usage.output = number(l->words[2]);
        ev.usage = &usage;
        break;
    case 'o':
        block_event(l, &ev);
        break;
    case 'k':
        token_event(l, &ev);
        break;
    case 'c':
        ev.kind = LLMUX_EV_CITE;
        cite.url = word(l, 2);
        ev.cite = &cite;
        break;
    case 'b':
        ev.kind = LLMUX_EV_MEDIA;
        ev.name = word(l, 2);
        ev.text = word(l, 3);
        break;
    case 'f':
        ev.kind = LLMUX_EV_FINISH;
        ev.key = 0;
        ev.finish = (llmux_finish_e)number_of(finish_names, 10, l->words[1]);
        ev.stop = word(l, 2);
        break;
    case '!':
        ev.kind = LLMUX_EV_ERROR;
        ev.error = llmux_error(p, LLMUX_ERR_OVERLOADED, NULL, "%s",
                               llmux_slice_str(p, word(l, 1)));
        break;
    default:
        for (i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
            if (letters[i].letter == *l->words[0]) {
                ev.kind = letters[i].kind;
                ev.text = word(l, 2);
            }
        }
    }
    return ev;
}

static const char *play(apr_pool_t *p, const llmux_encode_t *how,
                        const char *script)
{
    const llmux_encode_t sealing = with_seals(*how);
    llmux_encoder_t *e = llmux_dialect_anthropic.encoder(p, &sealing);
    llmux_buf_t *out = llmux_buf_create(p, 1 << 26);
    char *all = apr_pstrdup(p, quotes(p, script)), *last, *text, *end;
    llmux_event_t ev;
    line_t line;

    for (text = apr_strtok(all, "\n", &last); text;
         text = apr_strtok(NULL, "\n", &last)) {
        memset(&line, 0, sizeof(line));
        for (text = apr_strtok(text, " ", &end); text && line.count < 5;
             text = apr_strtok(NULL, " ", &end)) {
            line.words[line.count++] = text;
        }
        ev = event_of(p, &line);
        e->event(e, &ev, out);
    }
    return out->failed ? "failed"
        : unsealed(p, llmux_slice_str(p, llmux_buf_slice(out)));
}

static const llmux_encode_t streamed = {
    .streamed = 1, .show_thinking = 1, .id = "msg_ours"
};
static const llmux_encode_t whole = {
    .show_thinking = 1, .id = "msg_ours"
};

/* ---- streamed -------------------------------------------------------- */

/* Expected events: a line each, as "type {...}" with the type left out of the
 * object. */
static const char *wire(apr_pool_t *p, const char *lines)
{
    char *all = apr_pstrdup(p, quotes(p, lines)), *last, *line, *rest;
    const char *out = "";

    for (line = apr_strtok(all, "\n", &last); line;
         line = apr_strtok(NULL, "\n", &last)) {
        rest = strchr(line, ' ');
        if (rest) {
            *rest++ = '\0';
        }
        out = apr_pstrcat(p, out, "event: ", line, "\ndata: {\"type\":\"",
                          line, "\"", rest ? "," : "", rest ? rest : "",
                          "}\n\n", NULL);
    }
    return out;
}

#define START(usage) \
    "message_start 'message':{'id':'i','type':'message','role':'assistant'," \
    "'model':'m','content':[],'stop_reason':null,'stop_sequence':null," \
    "'usage':{" usage "}}\n"
#define NO_USAGE START("'input_tokens':0,'output_tokens':0")
#define OPEN(i, block) \
    "content_block_start 'index':" i ",'content_block':{" block "}\n"
#define DELTA(i, delta) \
    "content_block_delta 'index':" i ",'delta':{" delta "}\n"
#define STOP(i) "content_block_stop 'index':" i "\n"
#define TEXT(i, text) \
    OPEN(i, "'type':'text','text':''") \
    DELTA(i, "'type':'text_delta','text':'" text "'")
#define MORE(i, text) DELTA(i, "'type':'text_delta','text':'" text "'")
#define CALL(i, id, name) \
    OPEN(i, "'type':'tool_use','id':'" id "','name':'" name "','input':{}")
#define ARGS(i, text) \
    DELTA(i, "'type':'input_json_delta','partial_json':'" text "'")
#define THINK(i) OPEN(i, "'type':'thinking','thinking':'','signature':''")
#define THOUGHT(i, text) \
    DELTA(i, "'type':'thinking_delta','thinking':'" text "'")
#define SIGNED(i, s) \
    DELTA(i, "'type':'signature_delta','signature':'" s "'") STOP(i)
#define END_WITH(stop, usage) \
    "message_delta 'delta':{'stop_reason':" stop "},'usage':{" usage "}\n" \
    "message_stop\n"
#define END(stop) END_WITH("'" stop "','stop_sequence':null", \
                           "'output_tokens':0")

static const struct { const char *name, *script, *want; } streams[] = {
    { "text and usage; a ping in between",
      "S i m default\nU 12 1\np\no 0 text\nt 0 Hi\np\nt 0 _you\n. 0\nU 12 30\n"
      "f stop\nE",
      "ping\n" START("'input_tokens':12,'output_tokens':1,'service_tier':"
                     "'standard'")
      TEXT("0", "Hi") "ping\n" MORE("0", " you") STOP("0")
      END_WITH("'end_turn','stop_sequence':null",
               "'input_tokens':12,'output_tokens':30") },
    { "no usage, no content, no id",
      "S\nf length\nE",
      "message_start 'message':{'id':'msg_ours','type':'message','role':"
      "'assistant','model':'','content':[],'stop_reason':null,"
      "'stop_sequence':null,'usage':{'input_tokens':0,'output_tokens':0}}\n"
      END("max_tokens") },
    { "a text that says nothing is none",
      "S i m\no 0 text\n. 0\no 1 text\nt 1 a\n. 1\nf stop\nE",
      NO_USAGE TEXT("0", "a") STOP("0") END("end_turn") },
    { "thinking, signed; redacted; only signed",
      "S i m\no 0 think\nh 0 Hm\nk 0 anthropic OLD\nk 0 anthropic SIG\n. 0\n"
      "o 1 think\nk 1 redacted EmwK\n. 1\no 2 think\nk 2 anthropic S2\n. 2\n"
      "f stop\nE",
      NO_USAGE THINK("0") THOUGHT("0", "Hm") SIGNED("0", "SIG")
      OPEN("1", "'type':'redacted_thinking','data':'EmwK'") STOP("1")
      THINK("2") SIGNED("2", "S2") END("end_turn") },
    { "thinking in words and redacted, however they come",
      "S i m\no 0 think\nh 0 a\nk 0 redacted R\n. 0\no 1 think\n"
      "k 1 redacted R\nh 1 b\nk 1 anthropic S\n. 1\nf stop\nE",
      NO_USAGE THINK("0") THOUGHT("0", "a") SIGNED("0", "")
      OPEN("1", "'type':'redacted_thinking','data':'R'") STOP("1")
      OPEN("2", "'type':'redacted_thinking','data':'R'") STOP("2")
      THINK("3") THOUGHT("3", "b") SIGNED("3", "S") END("end_turn") },
    { "thinking of others, with their tokens or without",
      "S i m\no 0 think\nh 0 Hm\n. 0\no 1 think\nh 1 So\nk 1 openai SIG\n. 1\n"
      "o 2 think\n. 2\nf stop\nE",
      NO_USAGE THINK("0") THOUGHT("0", "Hm") SIGNED("0", "")
      THINK("1") THOUGHT("1", "So") SIGNED("1", "<<openai:SIG>>")
      END("end_turn") },
    { "a call's token stands before it",
      "S i m\no 0 call a f\nk 0 gemini SIG\na 0 {}\n. 0\no 1 call b g\na 1 {}\n"
      "k 1 gemini LATE\n. 1\nf calls\nE",
      NO_USAGE THINK("0") SIGNED("0", "<<gemini:SIG@a>>")
      CALL("1", "a", "f") ARGS("1", "{}") STOP("1")
      CALL("2", "b", "g") ARGS("2", "{}") STOP("2") END("tool_use") },
    { "a call as it comes, one without arguments, text around them",
      "S i m\no 0 text\nt 0 a\n. 0\no 1 call x f\na 1 {'k':\na 1 1}\n. 1\n"
      "o 2 call y g\n. 2\no 3 text\nt 3 b\n. 3\nf calls\nE",
      NO_USAGE TEXT("0", "a") STOP("0")
      CALL("1", "x", "f") ARGS("1", "{\\'k\\':") ARGS("1", "1}") STOP("1")
      CALL("2", "y", "g") ARGS("2", "{}") STOP("2")
      TEXT("3", "b") STOP("3") END("tool_use") },
    { "calls in turns: the second waits for the first",
      "S i m\no 0 call x f\no 1 call y g\na 0 {'a'\na 1 {'b':2\na 0 :1}\n"
      "a 1 }\n. 0\n. 1\nf calls\nE",
      NO_USAGE CALL("0", "x", "f") ARGS("0", "{\\'a\\'") ARGS("0", ":1}")
      STOP("0") CALL("1", "y", "g") ARGS("1", "{\\'b\\':2") ARGS("1", "}")
      STOP("1") END("tool_use") },
    { "calls that are open to the end go out as they come, if they are whole",
      "S i m\no 0 call x f\na 0 {'a':'}'}\no 1 call y g\na 1 {}\no 2 text\n"
      "t 2 z\n. 2\n. 0\n. 1\nf calls\nE",
      NO_USAGE CALL("0", "x", "f") ARGS("0", "{\\'a\\':\\'}\\'}") STOP("0")
      CALL("1", "y", "g") ARGS("1", "{}") STOP("1") TEXT("2", "z") STOP("2")
      END("tool_use") },
    { "a text interrupted by a call goes on behind it",
      "S i m\no 0 text\nt 0 a\no 1 call x f\na 1 {\nt 0 b\nt 0 c\na 1 }\n. 1\n"
      "t 0 d\n. 0\nf calls\nE",
      NO_USAGE TEXT("0", "a") STOP("0")
      CALL("1", "x", "f") ARGS("1", "{") ARGS("1", "}") STOP("1")
      TEXT("2", "bc") MORE("2", "d") STOP("2") END("tool_use") },
    { "texts wait for thinking, whoever ends first",
      "S i m\no 0 think\nh 0 Hm\no 1 text\nt 1 a\n. 1\no 2 text\nt 2 b\n"
      "k 0 anthropic S\n. 0\nt 2 c\n. 2\nf stop\nE",
      NO_USAGE THINK("0") THOUGHT("0", "Hm") SIGNED("0", "S")
      TEXT("1", "a") STOP("1") TEXT("2", "b") MORE("2", "c") STOP("2")
      END("end_turn") },
    { "arguments that are no object stand in one",
      "S i m\no 0 call x f\na 0 [1]\n. 0\no 1 call y f\na 1 _\na 1 not\n. 1\n"
      "o 2 custom z p\na 2 {patch\n. 2\nf calls\nE",
      NO_USAGE CALL("0", "x", "f") ARGS("0", "{\\'_raw\\':\\'[1]\\'}")
      STOP("0")
      CALL("1", "y", "f") ARGS("1", "{\\'_raw\\':\\' not\\'}") STOP("1")
      CALL("2", "z", "p") ARGS("2", "{\\'input\\':\\'{patch\\'}") STOP("2")
      END("tool_use") },
    { "a refusal in words; pictures and sources are left out",
      "S i m\no 0 refusal\nr 0 no\n. 0\no 1 media\nb 1 image/png AA\n. 1\n"
      "c 0 https://x\nf refusal\nE",
      NO_USAGE TEXT("0", "no") STOP("0")
      END_WITH("'refusal','stop_sequence':null,'stop_details':{'type':"
               "'refusal','category':null,'explanation':null}",
               "'output_tokens':0") },
    { "usage at the very end, the stop that matched",
      "S i m\no 0 text\nt 0 a\n. 0\nf sequence END\nU 7 3\nE",
      NO_USAGE TEXT("0", "a") STOP("0")
      END_WITH("'stop_sequence','stop_sequence':'END'",
               "'input_tokens':7,'output_tokens':3") },
    { "an error in the middle is the end",
      "S i m\no 0 text\nt 0 a\n! too_much\nt 0 b\nE",
      NO_USAGE TEXT("0", "a")
      "error 'error':{'type':'overloaded_error','message':'too much'},"
      "'request_id':null\n" },
    { "a ping or an error may come alone", "p\n! no",
      "ping\nerror 'error':{'type':'overloaded_error','message':'no'},"
      "'request_id':null\n" }
};

static void test_streams(apr_pool_t *p)
{
    apr_size_t i;

    for (i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        is_str(play(p, &streamed, streams[i].script),
               wire(p, streams[i].want), streams[i].name);
    }
}

/* ---- why it stopped -------------------------------------------------- */

static const struct { const char *finish, *want, *with_calls; } finishes[] = {
    { "stop",      "end_turn",      "tool_use" },
    { "sequence",  "stop_sequence", "stop_sequence" },
    { "length",    "max_tokens",    "max_tokens" },
    { "context",   "model_context_window_exceeded",
                   "model_context_window_exceeded" },
    { "calls",     "tool_use",      "tool_use" },
    { "filter",    "refusal",       "refusal" },
    { "refusal",   "refusal",       "refusal" },
    { "malformed", "end_turn",      "tool_use" },
    { "pause",     "pause_turn",    "pause_turn" },
    { "other",     "end_turn",      "tool_use" }
};

static void test_finishes(apr_pool_t *p)
{
    apr_size_t i;

    for (i = 0; i < sizeof(finishes) / sizeof(finishes[0]); i++) {
        const char *script = apr_psprintf(p, "f %s\nE", finishes[i].finish);
        const char *call = apr_pstrcat(p, "S\no 0 call a f\n. 0\n", script,
                                       NULL);

        ok(strstr(play(p, &streamed, script), apr_psprintf(p,
               "\"stop_reason\":\"%s\"", finishes[i].want)) != NULL,
           "%s is %s", finishes[i].finish, finishes[i].want);
        ok(strstr(play(p, &whole, call), apr_psprintf(p,
               "\"stop_reason\":\"%s\"", finishes[i].with_calls)) != NULL,
           "with calls it is %s", finishes[i].with_calls);
    }
}

/* ---- whole ----------------------------------------------------------- */

#define MESSAGE(content, rest) \
    "{'id':'i','type':'message','role':'assistant','model':'m','content':[" \
    content "],'stop_reason':'" rest "}"
#define ZERO "','stop_sequence':null,'usage':{'input_tokens':0," \
             "'output_tokens':0}"

static const struct { const char *name, *script, *want; } wholes[] = {
    { "nothing but an end", "S i m\nf stop\nE", MESSAGE("", "end_turn" ZERO) },
    { "thinking, text, calls",
      "S i m priority\nU 5 6\no 0 think\nh 0 Hm\nh 0 ,\nk 0 anthropic SIG\n"
      ". 0\no 1 text\nt 1 a'b\nt 1 c\n. 1\no 2 call x f\na 2 {'k':\na 2 1}\n. 2\n"
      "o 3 call y g\n. 3\no 4 think\nk 4 redacted R\n. 4\nf calls\nE",
      MESSAGE("{'type':'thinking','thinking':'Hm,','signature':'SIG'},"
              "{'type':'text','text':'a\\'bc'},{'type':'tool_use','id':'x',"
              "'name':'f','input':{'k':1}},{'type':'tool_use','id':'y',"
              "'name':'g','input':{}},{'type':'redacted_thinking','data':'R'}",
              "tool_use','stop_sequence':null,'usage':{'input_tokens':5,"
              "'output_tokens':6,'service_tier':'priority'}") },
    { "calls in turns, cut short, of free text",
      "S i m\no 0 call x f\no 1 call y g\no 2 custom z p\na 1 {'b':\na 0 {}\n"
      "a 2 _x\n. 0\n. 1\n. 2\nf length\nE",
      MESSAGE("{'type':'tool_use','id':'x','name':'f','input':{}},{'type':"
              "'tool_use','id':'y','name':'g','input':{'_raw':'{\\'b\\':'}},"
              "{'type':'tool_use','id':'z','name':'p','input':{'input':' x'}}",
              "max_tokens" ZERO) },
    { "a ping and an error say nothing", "p\n! no", "" }
};

static void test_wholes(apr_pool_t *p)
{
    apr_size_t i;

    for (i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++) {
        is_str(play(p, &whole, wholes[i].script), quotes(p, wholes[i].want),
               wholes[i].name);
    }
}

/* ---- as the client wants it ------------------------------------------ */

static void test_wishes(apr_pool_t *p)
{
    static const char thinks[] =
        "S i m\no 0 think\nh 0 Hm\nk 0 anthropic S\n. 0\no 1 think\nh 1 x\n"
        ". 1\no 2 call a f\nk 2 gemini G\n. 2\nf stop\nE";
    llmux_encode_t how = whole;
    llmux_chat_t *chat = llmux_chat_create(p);

    how.show_thinking = 0;
    ok(!strstr(play(p, &how, thinks), "thinking"),
       "no thinking where the server shows none");
    how.show_thinking = 1;
    how.chat = chat;
    chat->show_thinking = LLMUX_NO;
    is_str(play(p, &how, thinks), quotes(p, MESSAGE(
        "{'type':'thinking','thinking':'','signature':'S'},"
        "{'type':'thinking','thinking':'','signature':'<<gemini:G@a>>'},"
        "{'type':'tool_use','id':'a','name':'f','input':{}}",
        "tool_use" ZERO)), "no words of it where the client wants none");
    how.model = llmux_slice("asked");
    ok(strstr(play(p, &how, "S i m\nf stop\nE"), "\"model\":\"asked\"")
       != NULL, "the model that was asked for");
}

/* ---- usage ----------------------------------------------------------- */

static void test_usage(apr_pool_t *p)
{
    llmux_usage_t u = LLMUX_USAGE_NONE;
    llmux_event_t events[] = {
        { .kind = LLMUX_EV_START }, { .kind = LLMUX_EV_USAGE, .usage = &u },
        { .kind = LLMUX_EV_FINISH }, { .kind = LLMUX_EV_END }
    };
    llmux_encoder_t *e = llmux_dialect_anthropic.encoder(p, &whole);
    llmux_buf_t *out = llmux_buf_create(p, 1 << 16);
    apr_size_t i;

    u.input = 10;
    u.tool_input = 5;
    u.cache_read = 3;
    u.cache_write = 4;
    u.cache_write_1h = 1;
    u.output = 7;
    u.reasoning = 2;
    for (i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        e->event(e, &events[i], out);
    }
    is_str(strstr(out->data, "\"usage\""), quotes(p,
        "'usage':{'input_tokens':15,'cache_creation_input_tokens':4,"
        "'cache_read_input_tokens':3,'cache_creation':{"
        "'ephemeral_5m_input_tokens':3,'ephemeral_1h_input_tokens':1},"
        "'output_tokens':9,'output_tokens_details':{'thinking_tokens':2}}}"),
        "counters that share nothing");
}

/* ---- other candidates ------------------------------------------------ */

static void test_candidates(apr_pool_t *p)
{
    llmux_event_t events[] = {
        { .kind = LLMUX_EV_START },
        { .kind = LLMUX_EV_BLOCK_START, .cand = 1, .key = 0 },
        { .kind = LLMUX_EV_TEXT, .cand = 1, .key = 0,
          .text = { "other", 5 } },
        { .kind = LLMUX_EV_BLOCK_STOP, .cand = 1, .key = 0 },
        { .kind = LLMUX_EV_FINISH, .cand = 1, .finish = LLMUX_FINISH_LENGTH },
        { .kind = LLMUX_EV_FINISH },
        { .kind = LLMUX_EV_END }
    };
    llmux_encoder_t *e = llmux_dialect_anthropic.encoder(p, &whole);
    llmux_buf_t *out = llmux_buf_create(p, 1 << 16);
    apr_size_t i;

    for (i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        e->event(e, &events[i], out);
    }
    ok(strstr(out->data, "\"content\":[]") && strstr(out->data, "end_turn"),
       "there is one answer to a request");
}

/* ---- streams of other dialects --------------------------------------- */

static void encode(void *baton, const llmux_event_t *ev)
{
    llmux_encoder_t **e = baton;

    (*e)->event(*e, ev, (llmux_buf_t *)(void *)e[1]);
}

static const char *translate(apr_pool_t *p, const llmux_dialect_t *from,
                             int is_streamed, const char *bytes, long cut)
{
    void *pipe[2];
    llmux_stream_t *s;
    apr_size_t len = strlen(bytes), first = cut < 0 ? len : (apr_size_t)cut;

    pipe[0] = llmux_dialect_anthropic.encoder(p, is_streamed ? &streamed
                                                             : &whole);
    pipe[1] = llmux_buf_create(p, 1 << 24);
    s = llmux_stream_open(p, &test_env, from, 1, encode, NULL, pipe);
    llmux_stream_feed(s, bytes, first);
    llmux_stream_feed(s, bytes + first, len - first);
    llmux_stream_end(s);
    return llmux_slice_str(p, llmux_buf_slice(pipe[1]));
}

#define CHUNK(delta) "{'id':'i','model':'m','choices':[{'index':0,'delta':{" \
    delta "}}]}\n"
#define TOOL(i, inner) CHUNK("'tool_calls':[{'index':" i "," inner "}]")

static const char openai_calls[] =
    CHUNK("'role':'assistant','content':'Hi'")
    TOOL("0", "'id':'a','function':{'name':'f','arguments':''}")
    TOOL("0", "'function':{'arguments':'{\\'x\\':'}")
    TOOL("1", "'id':'b','function':{'name':'g','arguments':'{}'}")
    TOOL("0", "'function':{'arguments':'1}'}")
    "{'choices':[{'index':0,'delta':{},'finish_reason':'tool_calls'}]}\n"
    "{'choices':[],'usage':{'prompt_tokens':9,'completion_tokens':3}}\n[DONE]";

static void test_translation(apr_pool_t *p)
{
    const char *bytes = events(p, openai_calls);
    const char *want = translate(p, &llmux_dialect_openai, 1, bytes, -1);
    apr_pool_t *scratch;
    long cut;
    int same = 1;

    is_str(want, wire(p, NO_USAGE TEXT("0", "Hi") STOP("0")
        CALL("1", "a", "f") ARGS("1", "{\\'x\\':") ARGS("1", "1}") STOP("1")
        CALL("2", "b", "g") ARGS("2", "{}") STOP("2")
        END_WITH("'tool_use','stop_sequence':null",
                 "'input_tokens':9,'output_tokens':3")),
        "calls of OpenAI's in fragments that take turns");
    for (cut = 0; same && cut <= (long)strlen(bytes); cut++) {
        apr_pool_create(&scratch, p);
        same = !strcmp(want, translate(scratch, &llmux_dialect_openai, 1,
                                       bytes, cut));
        apr_pool_destroy(scratch);
    }
    ok(same, "the same at every cut");
    is_str(translate(p, &llmux_dialect_openai, 0, bytes, -1), quotes(p,
        MESSAGE("{'type':'text','text':'Hi'},{'type':'tool_use','id':'a',"
                "'name':'f','input':{'x':1}},{'type':'tool_use','id':'b',"
                "'name':'g','input':{}}",
                "tool_use','stop_sequence':null,'usage':{'input_tokens':9,"
                "'output_tokens':3}")), "and whole");
}

/* ---- there and back -------------------------------------------------- */

/* What we stream, our own decoder takes for the same events; keys and pieces
 * aside, so it is encoded whole both times. */
static void test_there_and_back(apr_pool_t *p)
{
    apr_size_t i;

    for (i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        const char *bytes = play(p, &streamed, streams[i].script);

        if (strstr(bytes, "event: error") || strstr(bytes, "<<")
            || !strstr(bytes, "message_stop")) {
            continue;       /* nothing whole; tokens would not be its own */
        }
        is_str(translate(p, &llmux_dialect_anthropic, 0, bytes, -1),
               play(p, &whole, streams[i].script), streams[i].name);
    }
}

/* ---- memory ---------------------------------------------------------- */

/* More waits than there is room for. */
static void test_limits(apr_pool_t *p)
{
    llmux_encoder_t *e = llmux_dialect_anthropic.encoder(p, &streamed);
    llmux_buf_t *out = llmux_buf_create(p, 1 << 26);
    char *mb = apr_pcalloc(p, 1 << 20);
    llmux_event_t ev = { .kind = LLMUX_EV_BLOCK_START,
                         .block = LLMUX_BLOCK_CALL };
    int i;

    e->event(e, &ev, out);
    ev.key = 1;
    e->event(e, &ev, out);
    memset(mb, 'x', 1 << 20);
    ev.kind = LLMUX_EV_ARGS;
    ev.text.data = mb;
    ev.text.len = 1 << 20;
    for (i = 0; i < 8; i++) {
        e->event(e, &ev, out);
    }
    ok(!out->failed, "8 MB may wait");
    e->event(e, &ev, out);
    ok(out->failed, "more is too much");
}

/* A stream with many blocks keeps none of them. */
static void test_many_blocks(apr_pool_t *p)
{
    llmux_encoder_t *e = llmux_dialect_anthropic.encoder(p, &streamed);
    llmux_buf_t *out = llmux_buf_create(p, 1 << 26);
    llmux_event_t ev = { .kind = LLMUX_EV_START };
    char *early = NULL, *late;
    int i;

    e->event(e, &ev, out);
    for (i = 0; i < 20000; i++) {
        ev.key = i;
        ev.kind = LLMUX_EV_BLOCK_START;
        ev.block = i % 2 ? LLMUX_BLOCK_CALL : LLMUX_BLOCK_THINK;
        e->event(e, &ev, out);
        ev.kind = i % 2 ? LLMUX_EV_ARGS : LLMUX_EV_THINK;
        ev.text = llmux_slice("{}");
        e->event(e, &ev, out);
        ev.kind = LLMUX_EV_BLOCK_STOP;
        e->event(e, &ev, out);
        llmux_buf_reset(out);
        if (i == 10) {
            early = apr_palloc(p, 8);
        }
    }
    late = apr_palloc(p, 8);
    ok(are_neighbours(early, late),
       "twenty thousand blocks leave nothing behind");
}

int main(void)
{
    apr_pool_t *p, *own;

    apr_initialize();
    apr_pool_create(&p, NULL);
    test_streams(p);
    test_finishes(p);
    test_wholes(p);
    test_wishes(p);
    test_usage(p);
    test_candidates(p);
    test_translation(p);
    test_there_and_back(p);
    test_limits(p);
    apr_pool_create(&own, NULL);
    test_many_blocks(own);
    apr_pool_destroy(own);
    apr_pool_destroy(p);
    return tap_done();
}
