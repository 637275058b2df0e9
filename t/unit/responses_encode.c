/* responses_encode.c - tests of writing Responses answers, streamed and
 * whole. */

#include "llmux/dialect.h"
#include "dialect/responses.h"
#include "responses_follow.h"
#include "seals.h"
#include "tap.h"
#include "transcript.h"

/* Events on their way into an encoder. */
typedef struct pipe_t {
    llmux_encoder_t *encoder;
    llmux_buf_t *out;
} pipe_t;

static void encode(void *baton, const llmux_event_t *ev)
{
    pipe_t *pipe = baton;

    pipe->encoder->event(pipe->encoder, ev, pipe->out);
}

static pipe_t open_pipe(apr_pool_t *p, const llmux_encode_t *how)
{
    const llmux_encode_t sealing = with_seals(*how);
    pipe_t pipe;

    pipe.encoder = llmux_responses_encoder(p, &sealing);
    pipe.out = llmux_buf_create(p, 1 << 26);
    return pipe;
}

static const llmux_tool_t tools[] = {
    { .next = (llmux_tool_t *)&tools[1], .name = { "free", 4 }, .custom = 1 },
    { .name = { "box__open", 9 }, .space = { "box", 3 } }
};

static const llmux_encode_t streamed = {
    .streamed = 1, .show_thinking = 1, .id = "resp_ours", .created = 99,
    .tools = tools
};
static const llmux_encode_t whole = {
    .show_thinking = 1, .id = "resp_ours", .created = 99, .tools = tools
};

/* ---- scripts ----------------------------------------------------------- */

/* A script is a list of events in short, a line each:
 *     open KEY KIND [ID [NAME]]    text KEY words    stop KEY
 * and so on; see play(). */
typedef struct line_t {
    const char *verb, *rest;
    int key;
} line_t;

static int read_line(apr_pool_t *p, const char *text, line_t *line)
{
    char *copy = apr_pstrdup(p, text), *space = strchr(copy, ' ');

    line->verb = copy;
    line->key = 0;
    line->rest = "";
    if (space) {
        *space = '\0';
        line->key = (int)strtol(space + 1, &space, 10);
        space = *space ? space : NULL;
        line->rest = space ? space + 1 : "";
    }
    return *copy != '\0';
}

static int word_number(const char *const *words, int n, const char *word)
{
    int i;

    for (i = 0; i < n && strcmp(words[i], word); i++) {
    }
    return i;
}

/* "call id name", "custom id name", "think id", "text phase". */
static void set_open(apr_pool_t *p, llmux_event_t *ev, const char *rest)
{
    char *last, *copy = apr_pstrdup(p, rest);
    const char *kind = apr_strtok(copy, " ", &last);
    const char *one = apr_strtok(NULL, " ", &last);
    const char *two = apr_strtok(NULL, " ", &last);

    ev->custom = !strcmp(kind, "custom");
    ev->block = ev->custom ? LLMUX_BLOCK_CALL
        : (llmux_block_e)word_number(block_names, 6, kind);
    if (ev->block == LLMUX_BLOCK_TEXT) {
        ev->name = llmux_slice(one);
    }
    else {
        ev->id = llmux_slice(one);
        ev->name = llmux_slice(two);
    }
}

static void set_cite(llmux_cite_t *cite, const char *rest)
{
    int start = -1, end = -1;

    memset(cite, 0, sizeof(*cite));
    sscanf(rest, "%d %d", &start, &end);
    cite->start = start;
    cite->end = end;
    cite->url = llmux_slice("https://e.x");
    cite->title = llmux_slice("T");
}

static const struct { const char *verb; llmux_event_e kind; } verbs[] = {
    { "start",   LLMUX_EV_START      }, { "open",     LLMUX_EV_BLOCK_START },
    { "text",    LLMUX_EV_TEXT       }, { "think",    LLMUX_EV_THINK       },
    { "refusal", LLMUX_EV_REFUSAL    }, { "args",     LLMUX_EV_ARGS        },
    { "cite",    LLMUX_EV_CITE       }, { "token",    LLMUX_EV_TOKEN       },
    { "media",   LLMUX_EV_MEDIA      }, { "logprobs", LLMUX_EV_LOGPROBS    },
    { "stop",    LLMUX_EV_BLOCK_STOP }, { "usage",    LLMUX_EV_USAGE       },
    { "finish",  LLMUX_EV_FINISH     }, { "ping",     LLMUX_EV_PING        },
    { "error",   LLMUX_EV_ERROR      }, { "end",      LLMUX_EV_END         }
};

static void play_line(apr_pool_t *p, pipe_t *pipe, const line_t *line)
{
    static const llmux_usage_t usage = {
        .input = 5, .cache_read = 3, .cache_write = 1, .cache_write_1h = -1,
        .tool_input = -1, .output = 2, .reasoning = 4, .audio_input = -1,
        .audio_output = -1, .accepted_prediction = -1,
        .rejected_prediction = -1
    };
    llmux_event_t ev = { .kind = LLMUX_EV_END, .key = line->key };
    llmux_cite_t cite;
    unsigned int i;

    for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (!strcmp(verbs[i].verb, line->verb)) {
            ev.kind = verbs[i].kind;
        }
    }
    ev.text = llmux_slice(strcmp(line->rest, "LF2") ? quotes(p, line->rest)
                                                   : "\n\n");
    ev.usage = &usage;
    ev.cite = &cite;
    switch (ev.kind) {
    case LLMUX_EV_START:
        ev.id = llmux_slice("resp_1");
        ev.name = llmux_slice("m");
        ev.created = 7;
        ev.tier = llmux_slice("default");
        break;
    case LLMUX_EV_BLOCK_START:
        set_open(p, &ev, line->rest);
        break;
    case LLMUX_EV_CITE:
        set_cite(&cite, line->rest);
        break;
    case LLMUX_EV_TOKEN:
        i = (unsigned int)word_number(maker_names, 5,
                                      apr_pstrmemdup(p, line->rest, 6));
        ev.token.maker = i < 5 ? (llmux_maker_e)i : LLMUX_MAKER_ANTHROPIC;
        ev.token.bytes = llmux_slice("TOKEN");
        break;
    case LLMUX_EV_MEDIA:
        ev.name = llmux_slice("image/png");
        break;
    case LLMUX_EV_FINISH:
        ev.cand = line->key;
        ev.finish = (llmux_finish_e)word_number(finish_names, 10, line->rest);
        break;
    case LLMUX_EV_ERROR:
        ev.error = llmux_error(p, LLMUX_ERR_RATE_LIMIT, NULL, "slow down");
        break;
    default:
        break;
    }
    if (!strcmp(line->verb, "other")) {
        ev.kind = LLMUX_EV_BLOCK_START;     /* of another candidate */
        ev.cand = 1;
        ev.block = LLMUX_BLOCK_TEXT;
    }
    encode(pipe, &ev);
}

static llmux_slice_t play(apr_pool_t *p, const llmux_encode_t *how,
                          const char *script)
{
    pipe_t pipe = open_pipe(p, how);
    char *last, *copy = apr_pstrdup(p, script), *text;
    line_t line;

    for (text = apr_strtok(copy, "\n", &last); text;
         text = apr_strtok(NULL, "\n", &last)) {
        if (read_line(p, text, &line)) {
            play_line(p, &pipe, &line);
        }
    }
    return pipe.out->failed ? llmux_buf_slice(pipe.out)
        : llmux_slice(unsealed(p, llmux_slice_str(p,
                                                  llmux_buf_slice(pipe.out))));
}

/* ---- what comes of them ------------------------------------------------ */

#define SAY(id, text) \
    "{'id':'" id "','type':'message','status':'completed','role':" \
    "'assistant','content':[" text "]}"
#define TEXT(text) \
    "{'type':'output_text','text':'" text "','annotations':[],'logprobs':[]}"
#define CITED(text, from, to) \
    "{'type':'output_text','text':'" text "','annotations':[{'type':" \
    "'url_citation','start_index':" from ",'end_index':" to \
    ",'url':'https://e.x','title':'T'}],'logprobs':[]}"
#define CALL(id, name, args) \
    "{'id':'fc_1_" id "','type':'function_call','status':'completed'," \
    "'call_id':'" name "','name':'f','arguments':'" args "'}"

static const struct {
    const char *name, *script, *status, *output;
} answers[] = {
    { "a text",
      "start\nopen 0 text\ntext 0 Hel\nping\ntext 0 lo\nstop 0\nusage\n"
      "finish 0 stop\nend", "completed",
      SAY("msg_1_0", TEXT("Hello")) },
    { "thoughts, then a text, then calls that interleave",
      "start\nopen 0 think\nthink 0 H\nthink 0 m\ntoken 0 anthro\nstop 0\n"
      "open 1 text\ntext 1 Hi\nstop 1\nopen 2 call a f\nargs 2 {\n"
      "open 3 call b f\nargs 3 {\nargs 2 }\nargs 3 }\nstop 2\nstop 3\n"
      "finish 0 calls\nusage\nend", "completed",
      "{'id':'rs_1_0','type':'reasoning','summary':[{'type':'summary_text',"
      "'text':'Hm'}],'encrypted_content':'<<anthropic:TOKEN>>'},"
      SAY("msg_1_1", TEXT("Hi")) "," CALL("2", "a", "{}") ","
      CALL("3", "b", "{}") },
    { "thoughts that are still open when the text begins",
      "start\nopen 0 think\nthink 0 a\nopen 1 text\ntext 1 b\nthink 0 c\n"
      "stop 0\nstop 1\nfinish 0 stop\nend", "completed",
      "{'id':'rs_1_0','type':'reasoning','summary':[{'type':'summary_text',"
      "'text':'ac'}]}," SAY("msg_1_1", TEXT("b")) },
    { "a call without arguments, and nothing said of usage",
      "start\nopen 0 call a f\nstop 0\nfinish 0 calls\nend", "completed",
      CALL("0", "a", "{}") },
    { "a custom tool's call, as such and as a function's",
      "start\nopen 0 custom a free\nargs 0 x\nstop 0\nopen 1 call b free\n"
      "args 1 {'input':\nargs 1 'y'}\nstop 1\nopen 2 call c free\n"
      "args 2 nonsense\nstop 2\nfinish 0 calls\nend", "completed",
      "{'id':'ctc_1_0','type':'custom_tool_call','status':'completed',"
      "'call_id':'a','name':'free','input':'x'},"
      "{'id':'ctc_1_1','type':'custom_tool_call','status':'completed',"
      "'call_id':'b','name':'free','input':'y'},"
      "{'id':'ctc_1_2','type':'custom_tool_call','status':'completed',"
      "'call_id':'c','name':'free','input':'nonsense'}" },
    { "a tool of a namespace",
      "start\nopen 0 call a box__open\nargs 0 {}\nstop 0\nfinish 0 calls\n"
      "end", "completed",
      "{'id':'fc_1_0','type':'function_call','status':'completed','call_id':"
      "'a','name':'open','namespace':'box','arguments':'{}'}" },
    { "a call's token is told before the call",
      "start\nopen 0 call a f\ntoken 0 gemini\nargs 0 {}\nstop 0\n"
      "finish 0 calls\nend", "completed",
      "{'id':'rs_1_0','type':'reasoning','summary':[],'encrypted_content':"
      "'<<gemini:TOKEN@a>>'}," CALL("1", "a", "{}") },
    { "... or behind it, if it comes late",
      "start\nopen 0 call a f\nargs 0 {}\ntoken 0 gemini\nstop 0\n"
      "finish 0 calls\nend", "completed",
      CALL("0", "a", "{}") ",{'id':'rs_1_1','type':'reasoning','summary':[],"
      "'encrypted_content':'<<gemini:TOKEN@a>>'}" },
    { "OpenAI's own reasoning keeps its id and its token",
      "start\nopen 0 think rs_9\ntoken 0 openai\nstop 0\nopen 1 text\n"
      "text 1 a\nstop 1\nfinish 0 stop\nend", "completed",
      "{'id':'rs_9','type':'reasoning','summary':[],'encrypted_content':"
      "'TOKEN'}," SAY("msg_1_1", TEXT("a")) },
    { "texts in a row are parts of a message, sources are told within them",
      "start\nopen 0 text\ntext 0 \xc3\xa4\xc3\xb6\nstop 0\nopen 1 text\n"
      "text 1 xyz\ncite 1 3 4\ncite 0 0 2\nstop 1\nfinish 0 stop\nend",
      "completed",
      SAY("msg_1_0", CITED("\xc3\xa4\xc3\xb6", "0", "2") ","
          CITED("xyz", "1", "2")) },
    { "sources that come late, with a block of their own or none",
      "start\nopen 0 text\ntext 0 abc\nstop 0\nopen 1 call a f\nstop 1\n"
      "open 2 text\ncite 2 1 2\nstop 2\nfinish 0 stop\nend", "completed",
      SAY("msg_1_0", CITED("abc", "1", "2")) "," CALL("1", "a", "{}") },
    { "sources before the text, of which no place is known",
      "start\nopen 0 text\ncite 0\ntext 0 abc\nstop 0\nfinish 0 stop\nend",
      "completed", SAY("msg_1_0", CITED("abc", "0", "0")) },
    { "messages of two phases",
      "start\nopen 0 text commentary\ntext 0 a\nstop 0\n"
      "open 1 text final_answer\ntext 1 b\nstop 1\nfinish 0 stop\nend",
      "completed",
      "{'id':'msg_1_0','type':'message','status':'completed','role':"
      "'assistant','phase':'commentary','content':[" TEXT("a") "]},"
      "{'id':'msg_1_1','type':'message','status':'completed','role':"
      "'assistant','phase':'final_answer','content':[" TEXT("b") "]}" },
    { "the line between them goes, as they are two",
      "start\nopen 0 text commentary\ntext 0 a\nstop 0\n"
      "open 1 text final_answer\ntext 1 LF2\ntext 1 bc\ncite 1 3 4\n"
      "stop 1\nfinish 0 stop\nend",
      "completed",
      "{'id':'msg_1_0','type':'message','status':'completed','role':"
      "'assistant','phase':'commentary','content':[" TEXT("a") "]},"
      "{'id':'msg_1_1','type':'message','status':'completed','role':"
      "'assistant','phase':'final_answer','content':["
      CITED("bc", "0", "1") "]}" },
    { "log probabilities",
      "start\nopen 0 text\ntext 0 a\nlogprobs 0 [{'token':'a'}]\ntext 0 b\n"
      "logprobs 0 [{'token':'b'}]\nstop 0\nfinish 0 stop\nend", "completed",
      SAY("msg_1_0", "{'type':'output_text','text':'ab','annotations':[],"
          "'logprobs':[{'token':'a'},{'token':'b'}]}") },
    { "a refusal in words",
      "start\nopen 0 refusal\nrefusal 0 No\nstop 0\nfinish 0 refusal\nend",
      "completed", SAY("msg_1_0", "{'type':'refusal','refusal':'No'}") },
    { "a picture",
      "start\nopen 0 media\nmedia 0 AAAA\nstop 0\nfinish 0 stop\nend",
      "completed",
      "{'id':'ig_1_0','type':'image_generation_call','status':'completed',"
      "'result':'AAAA','output_format':'png'}" },
    { "cut off in its last item",
      "start\nopen 0 text\ntext 0 a\nstop 0\nopen 1 call a f\nargs 1 {'x\n"
      "stop 1\nfinish 0 length\nend", "incomplete",
      SAY("msg_1_0", TEXT("a")) ",{'id':'fc_1_1','type':'function_call',"
      "'status':'incomplete','call_id':'a','name':'f','arguments':'{\\'x'}" },
    { "what never stopped ends with the answer",
      "start\nopen 0 text\ntext 0 a\nfinish 0 stop\nusage\nend",
      "completed", SAY("msg_1_0", TEXT("a")) },
    { "filtered away", "start\nfinish 0 filter\nend", "incomplete", "" },
    { "refused without a word", "start\nfinish 0 refusal\nend", "incomplete",
      "" },
    { "a call that nobody can read", "start\nfinish 0 malformed\nend",
      "failed", "" },
    { "blocks that say nothing are none",
      "start\nopen 0 think\nstop 0\nopen 1 text\nstop 1\nfinish 0 pause\nend",
      "completed", "" },
    { "of several answers the first counts",
      "start\nopen 0 text\nother 1\ntext 1 no\ntext 0 yes\nstop 0\nstop 1\n"
      "finish 1 length\nfinish 0 stop\nend", "completed",
      SAY("msg_1_0", TEXT("yes")) }
};

static void check_answer(apr_pool_t *p, const char *name, const char *script,
                         const char *status, const char *output)
{
    follow_t *f = follow(p, play(p, &streamed, script));
    llmux_slice_t document = play(p, &whole, script);
    const llmux_json_t *v = llmux_json_parse(p, document, 0, NULL);

    is_str(f->wrong, NULL, apr_pstrcat(p, name, ": a client can follow",
                                       NULL));
    is_str(llmux_slice_str(p, llmux_json_raw(llmux_json_get(v, "output"))),
           apr_pstrcat(p, "[", quotes(p, output), "]", NULL),
           apr_pstrcat(p, name, ": the output", NULL));
    is_str(llmux_json_cstr(p, llmux_json_get(v, "status")), status,
           "... its status");
    is_str(f->final, llmux_slice_str(p, document),
           "... streamed and whole are the same in the end");
}

/* A part is over before the next one begins. */
static void parts_in_order(apr_pool_t *p)
{
    const char *stream = llmux_slice_str(p, play(p, &streamed, "start\n"
        "open 0 text\ntext 0 a\nstop 0\nopen 1 text\ntext 1 b\nstop 1\n"
        "finish 0 stop\nend"));
    const char *done = strstr(stream, "response.content_part.done");
    const char *added = strstr(stream, "\"content_index\":1");

    ok(done && added && done < added, "parts of a message do not overlap");
}

/* ---- the object -------------------------------------------------------- */

#define REST(status, details) \
    "{'id':'resp_1','object':'response','created_at':7,'status':'" status \
    "','background':false,'error':null,'incomplete_details':" details

static void defaults(apr_pool_t *p)
{
    is_str(llmux_slice_str(p, play(p, &whole, "start\nusage\nfinish 0 length\n"
                                   "end")),
           quotes(p, REST("incomplete", "{'reason':'max_output_tokens'}")
           ",'instructions':null,'max_output_tokens':null,'max_tool_calls':"
           "null,'model':'m','output':[],'parallel_tool_calls':true,"
           "'previous_response_id':null,'prompt_cache_key':null,'reasoning':"
           "{'effort':null,'summary':null},'safety_identifier':null,"
           "'service_tier':'default','store':false,'temperature':1,'text':"
           "{'format':{'type':'text'},'verbosity':'medium'},'tool_choice':"
           "'auto','tools':[],'top_logprobs':0,'top_p':1,'truncation':"
           "'disabled','user':null,'metadata':{},'usage':{'input_tokens':9,"
           "'input_tokens_details':{'cached_tokens':3,'cache_write_tokens':1},"
           "'output_tokens':6,'output_tokens_details':{'reasoning_tokens':4},"
           "'total_tokens':15}}"),
           "all members, with what they are when nothing is said");
}

#define REQUEST \
    "{'model':'x','input':'hi','instructions':'be brief','tools':\n[{'type':" \
    "'function',\n'name':'f','parameters':{}}],'tool_choice':'required'," \
    "'temperature':0.5,'top_p':null,'reasoning':{'effort':'low','summary':" \
    "'auto'},'text':{'verbosity':'low'},'metadata':{'a':'b'},'user':'u'," \
    "'max_output_tokens':17,'parallel_tool_calls':false,'store':true}"

static const struct { const char *name, *member; } repeated[] = {
    { "instructions",        "\"be brief\""      },
    { "tool_choice",         "\"required\""      },
    { "tools", "[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{}}]" },
    { "temperature",         "0.5"               },
    { "top_p",               "1"                 },
    { "reasoning", "{\"effort\":\"low\",\"summary\":\"auto\"}" },
    { "text", "{\"format\":{\"type\":\"text\"},\"verbosity\":\"low\"}" },
    { "metadata",            "{\"a\":\"b\"}"     },
    { "user",                "\"u\""             },
    { "max_output_tokens",   "17"                },
    { "parallel_tool_calls", "false"             },
    { "store",               "false"             }
};

static void repeats(apr_pool_t *p)
{
    llmux_chat_t *chat = llmux_chat_create(p);
    llmux_encode_t how = streamed;
    const llmux_json_t *v;
    unsigned int i;

    ok(!llmux_responses_read(chat, llmux_json_parse(
           p, llmux_slice(quotes(p, REQUEST)), 0, NULL)), "a request");
    how.chat = chat;
    v = llmux_json_parse(p, llmux_slice(follow(p, play(p, &how, "start\n"
        "finish 0 stop\nend"))->final), 0, NULL);
    for (i = 0; i < sizeof(repeated) / sizeof(repeated[0]); i++) {
        is_str(llmux_slice_str(p, llmux_json_raw(
                   llmux_json_get_any(v, repeated[i].name))),
               repeated[i].member,
               apr_pstrcat(p, "repeated: ", repeated[i].name, NULL));
    }
}

/* ---- failures ---------------------------------------------------------- */

static void failures(apr_pool_t *p)
{
    follow_t *f = follow(p, play(p, &streamed, "start\nopen 0 text\ntext 0 a\n"
                                 "error"));
    const llmux_json_t *v;

    is_str(f->wrong, NULL, "a client can follow to an error");
    is_int(f->errors, 1, "which is told as an event of its own");
    is_str(f->end, "response.failed", "and as the end of the response");
    v = llmux_json_parse(p, llmux_slice(f->final ? f->final : "{}"), 0, NULL);
    is_str(llmux_slice_str(p, llmux_json_raw(llmux_json_get(v, "error"))),
           "{\"code\":\"rate_limit_exceeded\",\"message\":\"slow down\"}",
           "that says why");
    is_str(llmux_slice_str(p, play(p, &whole, "start\nerror")), "",
           "an error is the caller's to tell when nothing was streamed");
    f = follow(p, play(p, &streamed, "error"));
    is_str(f->wrong, NULL, "an error before all else");
    is_int(f->created, 0, "brings no beginning along: one may have been");
    ok(!strcmp(llmux_slice_str(p, play(p, &streamed, "ping")),
               ": keep-alive\n\n"), "a keep-alive is a comment");
}

/* ---- what the client asked for ----------------------------------------- */

#define LONG_ID "resp_abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrst"

static void wishes(apr_pool_t *p)
{
    static const char script[] = "open 0 think\nthink 0 Hm\ntoken 0 anthro\n"
        "stop 0\nopen 1 call a f\ntoken 1 gemini\nstop 1\nfinish 0 calls\n"
        "end";
    llmux_encode_t how = whole;
    const char *got;

    how.show_thinking = 0;
    how.model = llmux_slice("alias");
    how.id = LONG_ID;
    got = llmux_slice_str(p, play(p, &how, script));
    ok(!strstr(got, "Hm") && !strstr(got, "anthropic"),
       "thoughts only if asked for");
    ok(strstr(got, "<<gemini:TOKEN@a>>") != NULL,
       "... but tokens of calls, without which they cannot go back");
    ok(strstr(got, "\"model\":\"alias\"") != NULL,
       "the model may have another name");
    ok(strstr(got, LONG_ID) && strstr(got, "\"created_at\":99"),
       "an answer that has none gets our id and time");
    ok(strstr(got, "\"fc_mnopqrstuvwxyz0123456789abcdefghijklmnopqrst_1\"")
       != NULL, "items' ids are short enough to be sent back");
    ok(strstr(got, "\"usage\":null") != NULL,
       "usage that was not told is not known");
}

/* ---- through a decoder -------------------------------------------------- */

#define C0 "{'id':'c1','model':'m','created':7,'choices':[{'index':0,"

/* A stream of chat completions, cut anywhere, comes out the same. */
static void at_every_cut(apr_pool_t *p)
{
    const char *bytes = events(p,
        C0 "'delta':{'reasoning_content':'Hm'}}]}\n"
        C0 "'delta':{'content':'H\xc3\xa4'}}]}\n"
        C0 "'delta':{'tool_calls':[{'index':0,'id':'a','function':{'name':"
        "'f','arguments':'{}'}}]}}]}\n"
        C0 "'delta':{},'finish_reason':'tool_calls'}]}\n"
        "{'choices':[],'usage':{'prompt_tokens':9,'completion_tokens':3}}\n"
        "[DONE]");
    apr_size_t len = strlen(bytes), cut;
    const char *want = NULL, *got;
    int same = 1;

    for (cut = 0; same && cut <= len; cut++) {
        pipe_t pipe = open_pipe(p, &streamed);
        llmux_stream_t *s = llmux_stream_open(p, &test_env,
                                              &llmux_dialect_openai, 1,
                                              encode, NULL, &pipe);

        llmux_stream_feed(s, bytes, cut);
        llmux_stream_feed(s, bytes + cut, len - cut);
        llmux_stream_end(s);
        got = llmux_slice_str(p, llmux_buf_slice(pipe.out));
        want = want ? want : got;
        same = !strcmp(got, want);
    }
    ok(same, "the same wherever the provider's bytes are cut");
    is_str(follow(p, llmux_slice(want))->wrong, NULL,
           "and a client can follow");
}

/* Events by the thousand take no memory but for what they say. */
static void many_events(apr_pool_t *p)
{
    llmux_event_t ev = { .kind = LLMUX_EV_START };
    pipe_t pipe = open_pipe(p, &streamed);
    apr_size_t most = 0;
    int i;

    encode(&pipe, &ev);
    ev.kind = LLMUX_EV_BLOCK_START;
    encode(&pipe, &ev);
    ev.kind = LLMUX_EV_TEXT;
    ev.text = llmux_slice("x");
    for (i = 0; i < 20000; i++) {
        llmux_buf_reset(pipe.out);
        encode(&pipe, &ev);
        most = i && pipe.out->len > most ? pipe.out->len : most;
    }
    ok(most < 512, "an event is no longer for those before it");
}

int main(void)
{
    apr_pool_t *pool;
    unsigned int i;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        check_answer(pool, answers[i].name, answers[i].script,
                     answers[i].status, answers[i].output);
    }
    parts_in_order(pool);
    defaults(pool);
    repeats(pool);
    failures(pool);
    wishes(pool);
    at_every_cut(pool);
    many_events(pool);
    apr_pool_destroy(pool);
    return tap_done();
}
