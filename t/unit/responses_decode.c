/* responses_decode.c - answers of OpenAI's Responses API become the events
 * they should, with the habits of all who say they speak it. */

#include "dialect/responses.h"
#include "tap.h"
#include "transcript.h"

static const llmux_dialect_t responses = {
    .name = "responses", .decoder = llmux_responses_decoder
};

/* Test data has ' for "; in streams a line is an event. */
#define R(more) "'id':'resp_1','object':'response','created_at':7," \
    "'model':'m'" more
#define BEGIN "{'type':'response.created','sequence_number':0,'response':{" \
    R(",'status':'in_progress','service_tier':'auto','output':[]," \
      "'usage':null") "}}\n"
#define DONE_WITH(output) "{'type':'response.completed','response':{" \
    R(",'status':'completed','error':null,'incomplete_details':null," \
      "'output':[" output "]") "}}\n"
#define DONE DONE_WITH("")
#define ADDED(i, item) "{'type':'response.output_item.added'," \
    "'output_index':" #i ",'item':{" item "}}\n"
#define ENDED(i, item) "{'type':'response.output_item.done'," \
    "'output_index':" #i ",'item':{" item "}}\n"
#define PIECE(type, i, id, more) "{'type':'response." type "'," \
    "'output_index':" #i ",'item_id':'" id "'," more "}\n"

#define MSG(id, content) "'id':'" id "','type':'message','role':" \
    "'assistant','status':'completed','content':[" content "]"
#define OUT(text) "{'type':'output_text','text':'" text "'," \
    "'annotations':[],'logprobs':[]}"
#define TEXT(i, id, n, text) PIECE("output_text.delta", i, id, \
    "'content_index':" #n ",'delta':'" text "','logprobs':[]")
#define CALL(id, call, name, args) "'id':'" id "','type':'function_call'," \
    "'call_id':'" call "','name':'" name "','arguments':'" args "'"
#define CUSTOM(input) "'id':'ct','type':'custom_tool_call','call_id':'c'," \
    "'name':'sql','input':'" input "'"
#define ARGS(i, id, text) PIECE("function_call_arguments.delta", i, id, \
    "'delta':'" text "'")
#define THOUGHT(summary, content, sealed) "'id':'rs','type':'reasoning'," \
    "'summary':[" summary "],'content':[" content "]," \
    "'encrypted_content':" sealed
#define SUM(text) "{'type':'summary_text','text':'" text "'}"
#define RAW(text) "{'type':'reasoning_text','text':'" text "'}"
#define SUMMARY(n, text) PIECE("reasoning_summary_text.delta", 0, "rs", \
    "'summary_index':" #n ",'delta':'" text "'")

#define START "start resp_1 m 7\n"
#define STOPPED "finish 0 stop as completed\nend\n"
#define CALLED "finish 0 calls as completed\nend\n"
#define HI "open 0 text\ntext 0 Hi\nclose 0\n"
#define TRUNCATED "error BAD_UPSTREAM: The provider's answer was truncated.\n"

static const struct {
    const char *name, *lines, *want;
} streams[] = {
    { "text, as OpenAI sends it: all of it five times",
      BEGIN "{'type':'response.in_progress','response':{" R("") "}}\n"
      ADDED(0, MSG("msg", ""))
      PIECE("content_part.added", 0, "msg", "'content_index':0,'part':"
            OUT(""))
      TEXT(0, "msg", 0, "H\\u00e9") TEXT(0, "msg", 0, "\\ud83d\\ude00")
      PIECE("output_text.done", 0, "msg", "'content_index':0,'text':"
            "'H\\u00e9\\ud83d\\ude00','logprobs':[]")
      PIECE("content_part.done", 0, "msg", "'content_index':0,'part':"
            OUT("H\\u00e9\\ud83d\\ude00"))
      ENDED(0, MSG("msg", OUT("H\\u00e9\\ud83d\\ude00")))
      "{'type':'response.completed','response':{" R(",'status':'completed',"
      "'service_tier':'default','output':[{" MSG("msg",
      OUT("H\\u00e9\\ud83d\\ude00")) "}],'usage':{'input_tokens':9,"
      "'input_tokens_details':{'cached_tokens':4,'cache_write_tokens':2},"
      "'output_tokens':5,'output_tokens_details':{'reasoning_tokens':3},"
      "'total_tokens':14}") "}}\n",
      START "open 0 text\ntext 0 H\xc3\xa9\ntext 0 \xf0\x9f\x98\x80\n"
      "close 0\nusage in=3 read=4 write=2 out=2 reasoning=3\n" STOPPED },

    { "text only in output_text.done",
      BEGIN PIECE("output_text.done", 0, "msg", "'content_index':0,"
                  "'text':'Hi'") DONE, START HI STOPPED },
    { "text only in its part",
      BEGIN PIECE("content_part.done", 0, "msg", "'content_index':0,'part':"
                  OUT("Hi")) DONE, START HI STOPPED },
    { "text only in its item",
      BEGIN ENDED(0, MSG("msg", OUT("Hi"))) DONE, START HI STOPPED },
    { "text only in the answer",
      BEGIN DONE_WITH("{" MSG("msg", OUT("Hi")) "}"), START HI STOPPED },
    { "text without any of that",
      BEGIN TEXT(0, "msg", 0, "Hi") DONE, START HI STOPPED },
    { "the end of a text that was sent in part",
      BEGIN TEXT(0, "msg", 0, "H") ENDED(0, MSG("msg", OUT("Hi"))) DONE,
      START "open 0 text\ntext 0 H\ntext 0 i\nclose 0\n" STOPPED },
    { "a text that is told otherwise at the end stays as it was",
      BEGIN TEXT(0, "msg", 0, "Hi") ENDED(0, MSG("msg", OUT("Hello"))) DONE,
      START HI STOPPED },
    { "ids that change with every event",
      BEGIN ADDED(0, MSG("a", "")) TEXT(0, "b", 0, "H") TEXT(0, "c", 0, "i")
      ENDED(0, MSG("d", OUT("Hi"))) DONE_WITH("{" MSG("e", OUT("Hi")) "}"),
      START "open 0 text\ntext 0 H\ntext 0 i\nclose 0\n" STOPPED },
    { "a part that is number 1, and alone",
      BEGIN ADDED(1, MSG("m", "")) TEXT(1, "m", 1, "Hi")
      ENDED(1, MSG("m", OUT("Hi"))) DONE_WITH("{" MSG("m", OUT("Hi")) "}"),
      START HI STOPPED },
    { "places that are other ones in the answer",
      BEGIN ADDED(0, "'type':'web_search_call','id':'ws'")
      "{'type':'response.web_search_call.searching','output_index':0}\n"
      ENDED(0, "'type':'web_search_call','id':'ws'")
      TEXT(1, "m", 0, "Hi") ENDED(1, MSG("m", OUT("Hi")))
      DONE_WITH("{" MSG("m", OUT("Hi")) "}"), START HI STOPPED },
    { "and other ids, too",
      BEGIN TEXT(1, "m", 0, "Hi") ENDED(1, MSG("m", OUT("Hi")))
      DONE_WITH("{" MSG("x", OUT("Hi")) "}"), START HI STOPPED },
    { "no places at all",
      BEGIN "{'type':'response.output_item.added','item':{" CALL("f", "c",
      "f", "") "}}\n{'type':'response.function_call_arguments.delta',"
      "'item_id':'f','delta':'{}'}\n" DONE,
      START "open 0 call id=c name=f\nargs 0 {}\nclose 0\n" CALLED },
    { "two messages do not run into each other",
      BEGIN ADDED(0, "'id':'a','type':'message','phase':'commentary'")
      TEXT(0, "a", 0, "Wait.") ENDED(0, MSG("a", OUT("Wait.")))
      ADDED(1, "'id':'b','type':'message','phase':'final_answer'")
      TEXT(1, "b", 0, "Hi") ENDED(1, MSG("b", OUT("Hi"))) DONE,
      START "open 0 text name=commentary\ntext 0 Wait.\nclose 0\n"
      "open 1 text name=final_answer\ntext 1 \n\n\ntext 1 Hi\nclose 1\n"
      STOPPED },
    { "refusal",
      BEGIN ADDED(0, MSG("m", ""))
      PIECE("refusal.delta", 0, "m", "'content_index':0,'delta':'I '")
      PIECE("refusal.delta", 0, "m", "'content_index':0,'delta':'cannot'")
      PIECE("refusal.done", 0, "m", "'content_index':0,'refusal':'I cannot'")
      ENDED(0, MSG("m", "{'type':'refusal','refusal':'I cannot'}")) DONE,
      START "open 0 refusal\nrefusal 0 I \nrefusal 0 cannot\nclose 0\n"
      "finish 0 refusal as completed\nend\n" },
    { "refusal only at its end",
      BEGIN PIECE("refusal.done", 0, "m", "'content_index':0,'refusal':'No'")
      DONE, START "open 0 refusal\nrefusal 0 No\nclose 0\n"
      "finish 0 refusal as completed\nend\n" },

    { "calls side by side",
      BEGIN ADDED(0, CALL("fc_1", "call_1", "f", ""))
      ADDED(1, CALL("fc_2", "call_2", "g", "")) ARGS(0, "fc_1", "{")
      ARGS(1, "fc_2", "[") ARGS(0, "fc_1", "}") ARGS(1, "fc_2", "]")
      ENDED(1, CALL("fc_2", "call_2", "g", "[]"))
      ENDED(0, CALL("fc_1", "call_1", "f", "{}")) DONE,
      START "open 0 call id=call_1 name=f\nopen 1 call id=call_2 name=g\n"
      "args 0 {\nargs 1 [\nargs 0 }\nargs 1 ]\nclose 1\nclose 0\n" CALLED },
    { "arguments only at their end",
      BEGIN ADDED(0, CALL("f", "c", "f", ""))
      PIECE("function_call_arguments.done", 0, "f", "'arguments':'{}'")
      ENDED(0, CALL("f", "c", "f", "{}")) DONE,
      START "open 0 call id=c name=f\nargs 0 {}\nclose 0\n" CALLED },
    { "a call only in its item, one only in the answer",
      BEGIN ENDED(0, CALL("f", "c", "f", "{}"))
      DONE_WITH("{" CALL("f", "c", "f", "{}") "},{" CALL("g", "d", "g", "[]")
                "}"),
      START "open 0 call id=c name=f\nargs 0 {}\nclose 0\n"
      "open 1 call id=d name=g\nargs 1 []\nclose 1\n" CALLED },
    { "arguments before the call, which then tells them again",
      BEGIN ARGS(0, "f", "{}") ENDED(0, CALL("f", "c", "f", "{}")) DONE,
      START "open 0 call id=c name=f\nargs 0 {}\nclose 0\n" CALLED },
    { "arguments of a call that never comes",
      BEGIN ARGS(0, "f", "{}") DONE,
      START
      "error BAD_UPSTREAM: The provider sent a tool call without a name.\n" },
    { "a call without an id gets one",
      BEGIN ENDED(0, "'type':'function_call','name':'f','arguments':{'a':1}")
      DONE, START "open 0 call id=call_AAAAAAAAAAAAAAAAAAAAAAAA name=f\n"
      "args 0 {\"a\":1}\nclose 0\n" CALLED },
    { "all numbered 0",
      BEGIN ADDED(0, CALL("f", "c", "f", "")) ARGS(0, "f", "{}")
      ENDED(0, CALL("f", "c", "f", "{}"))
      ADDED(0, CALL("g", "d", "g", "")) ARGS(0, "g", "[]")
      ENDED(0, CALL("g", "d", "g", "[]")) DONE,
      START "open 0 call id=c name=f\nargs 0 {}\nclose 0\n"
      "open 1 call id=d name=g\nargs 1 []\nclose 1\n" CALLED },
    { "a custom tool's call",
      BEGIN ADDED(0, CUSTOM(""))
      PIECE("custom_tool_call_input.delta", 0, "ct", "'delta':'SEL'")
      PIECE("custom_tool_call_input.done", 0, "ct", "'input':'SELECT'")
      ENDED(0, CUSTOM("SELECT")) DONE,
      START "open 0 call id=c name=sql custom\nargs 0 SEL\nargs 0 ECT\n"
      "close 0\n" CALLED },

    { "a summary in parts, and the token as it was last",
      BEGIN ADDED(0, THOUGHT("", "", "'gA1'")) SUMMARY(0, "A") SUMMARY(1, "B")
      PIECE("reasoning_summary_text.done", 0, "rs", "'summary_index':1,"
            "'text':'Bc'")
      PIECE("reasoning_summary_part.done", 0, "rs", "'summary_index':1,"
            "'part':" SUM("Bcd"))
      ENDED(0, THOUGHT(SUM("A") "," SUM("Bcde"), "", "'gA2'"))
      DONE_WITH("{" THOUGHT(SUM("A") "," SUM("Bcde"), "", "'gA3'") "}"),
      START "open 0 think id=rs\nthink 0 A\nthink 0 \n\n\nthink 0 B\n"
      "think 0 c\nthink 0 d\nthink 0 e\ntoken 0 openai gA2\nclose 0\n"
      STOPPED },
    { "reasoning itself, which ends behind the text",
      BEGIN ADDED(0, THOUGHT("", "", "null"))
      PIECE("reasoning_text.delta", 0, "rs", "'content_index':0,'delta':'T'")
      TEXT(1, "m", 0, "Hi") ENDED(1, MSG("m", OUT("Hi")))
      PIECE("reasoning_text.done", 0, "rs", "'content_index':0,'text':'T!'")
      PIECE("content_part.done", 0, "rs", "'content_index':0,'part':"
            RAW("T!?"))
      PIECE("reasoning_part.done", 0, "rs", "'content_index':0,'part':"
            RAW("T!?."))
      ENDED(0, THOUGHT("", RAW("T!?."), "null")) DONE,
      START "open 0 think id=rs\nthink 0 T\nopen 1 text\ntext 1 Hi\nclose 1\n"
      "think 0 !\nthink 0 ?\nthink 0 .\nclose 0\n" STOPPED },
    { "a token without a word, and a thought without either",
      BEGIN ENDED(0, THOUGHT("", "", "'gA'"))
      ENDED(1, "'id':'r2','type':'reasoning','summary':[]") DONE,
      START "open 0 think id=rs\ntoken 0 openai gA\nclose 0\n" STOPPED },

    { "sources, by the place in the whole text",
      BEGIN TEXT(0, "a", 0, "\\u00e9.") ENDED(0, MSG("a", OUT("\\u00e9.")))
      TEXT(1, "b", 0, "Hi")
      PIECE("output_text.annotation.added", 1, "b", "'content_index':0,"
            "'annotation':{'type':'url_citation','start_index':0,"
            "'end_index':2,'url':'u','title':'t'}")
      ENDED(1, MSG("b", "{'type':'output_text','text':'Hi','annotations':["
                   "{'type':'url_citation','start_index':0,'end_index':2,"
                   "'url':'u','title':'t'},{'type':'file_citation','file_id':"
                   "'f','filename':'n','index':1},{'type':'file_path',"
                   "'file_id':'f','index':0}]}")) DONE,
      START "open 0 text\ntext 0 \xc3\xa9.\nclose 0\nopen 1 text\n"
      "text 1 \n\n\ntext 1 Hi\ncite 1 u title=t 4..6\n"
      "cite 1 title=n -1..-1\nclose 1\n" STOPPED },
    { "probabilities, those that were told and those that were not",
      BEGIN PIECE("output_text.delta", 0, "m", "'content_index':0,'delta':"
            "'A','logprobs':[{'token':'A','logprob':-0.5,'top_logprobs':[{"
            "'token':'B','logprob':-2,'bytes':[66]}]}]")
      PIECE("output_text.done", 0, "m", "'content_index':0,'text':'AB',"
            "'logprobs':[{'token':'A','logprob':-0.5},{'token':'B',"
            "'logprob':0,'bytes':[66]}]") DONE,
      START "open 0 text\ntext 0 A\n"
      "logprobs 0 [{\"token\":\"A\",\"logprob\":-0.5,\"bytes\":null,"
      "\"top_logprobs\":[{\"token\":\"B\",\"logprob\":-2,\"bytes\":[66]}]}]\n"
      "text 0 B\nlogprobs 0 [{\"token\":\"B\",\"logprob\":0,\"bytes\":[66],"
      "\"top_logprobs\":[]}]\nclose 0\n" STOPPED },
    { "a picture, once",
      BEGIN "{'type':'response.image_generation_call.partial_image',"
      "'output_index':0,'partial_image_b64':'AAAA'}\n"
      ENDED(0, "'type':'image_generation_call','id':'ig','output_format':"
            "'webp','result':'AAAA'")
      DONE_WITH("{'type':'image_generation_call','id':'ig','result':'AAAA'}"),
      START "open 0 media\nmedia 0 image/webp AAAA\nclose 0\n" STOPPED },
    { "hosted tools and whatever comes to their mind",
      BEGIN ADDED(0, "'type':'code_interpreter_call','id':'ci'")
      "{'type':'response.code_interpreter_call_code.delta','delta':'x'}\n"
      ENDED(1, "'type':'mcp_call','id':'mc','name':'f','arguments':'{}'")
      ENDED(2, "'type':'compaction','encrypted_content':'x'")
      "{'type':'response.of_2030','x':[]}\n{'type':'keepalive'}\n[]\n7\n"
      DONE, START "ping\n" STOPPED },

    { "cut off by its own limit",
      BEGIN TEXT(0, "m", 0, "Hi")
      "{'type':'response.incomplete','response':{" R(",'status':'incomplete',"
      "'incomplete_details':{'reason':'max_output_tokens'},'usage':{"
      "'input_tokens':1,'output_tokens':2}") "}}\n",
      START "open 0 text\ntext 0 Hi\nclose 0\nusage in=1 out=2\n"
      "finish 0 length as max_output_tokens\nend\n" },
    { "cut off in the middle of a call",
      BEGIN ADDED(0, CALL("f", "c", "f", "")) ARGS(0, "f", "{\\'")
      "{'type':'response.incomplete','response':{" R(",'incomplete_details':"
      "{'reason':'content_filter'}") "}}\n",
      START "open 0 call id=c name=f\nargs 0 {\"\nclose 0\n"
      "finish 0 filter as content_filter\nend\n" },
    { "incomplete for reasons of its own",
      BEGIN "{'type':'response.incomplete','response':{" R("") "}}\n",
      START "finish 0 other as incomplete\nend\n" },
    { "failed, with what it had cost",
      BEGIN "{'type':'response.failed','response':{" R(",'status':'failed',"
      "'usage':{'input_tokens':3,'output_tokens':0},'error':{'code':"
      "'server_error','message':'boom'}") "}}\n",
      START "usage in=3 out=0\nerror INTERNAL: boom\n" },
    { "failed without a word",
      BEGIN "{'type':'response.failed','response':{" R(",'error':null") "}}\n",
      START "error BAD_UPSTREAM: The provider failed to answer.\n" },
    { "a prompt that is not wanted",
      BEGIN "{'type':'response.failed','response':{" R(",'error':{'code':"
      "'invalid_prompt','message':'no'}") "}}\n",
      START "error BLOCKED: no\n" },
    { "an error within, then the same again",
      BEGIN "{'type':'error','sequence_number':2,'error':{'type':"
      "'insufficient_quota','code':'insufficient_quota','message':'quota',"
      "'param':null}}\n{'type':'response.failed','response':{" R("") "}}\n",
      START "error QUOTA: quota\n" },
    { "an error that is flat",
      "{'type':'error','code':'rate_limit_exceeded','message':'slow down',"
      "'param':null}\n", "error RATE_LIMIT: slow down\n" },
    { "an error that is no event of the API",
      "{'error':{'message':'gone'}}\n", "error BAD_UPSTREAM: gone\n" },
    { "the stream just ends",
      BEGIN TEXT(0, "m", 0, "Hi"), START "open 0 text\ntext 0 Hi\n" TRUNCATED },
    { "or says it is done when it is not",
      BEGIN TEXT(0, "m", 0, "Hi") "[DONE]",
      START "open 0 text\ntext 0 Hi\n" TRUNCATED },
    { "[DONE] behind the end does no harm",
      BEGIN DONE "[DONE]", START STOPPED },
    { "an answer that is not wrapped",
      "{'type':'response.created'," R("") "}\n"
      "{'type':'response.completed'," R(",'output':[{" MSG("m", OUT("Hi"))
      "}]") "}\n", START HI STOPPED },
    { "nothing but the end",
      DONE_WITH("{" MSG("m", OUT("Hi")) "}"), START HI STOPPED },
    { "members of the wrong kind",
      BEGIN "{'type':'response.output_text.delta','output_index':'x',"
      "'content_index':-1,'delta':7,'logprobs':{}}\n"
      ENDED(0, "'type':'message','content':'x'")
      ENDED(1, "'type':'message','content':[7,{'type':'output_text','text':{}"
            ",'annotations':{}}]")
      ENDED(2, "'type':'reasoning','summary':7,'encrypted_content':[]")
      ENDED(3, "'type':7") "{'type':'response.output_item.done','item':[]}\n"
      "{'type':'response.completed','response':{" R(",'output':{},'usage':[]")
      "}}\n", START STOPPED }
};

static void test_streams(apr_pool_t *p)
{
    unsigned int i;

    for (i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        const char *bytes = events(p, streams[i].lines);

        is_str(transcribe(p, &responses, 1, bytes, strlen(bytes), -1),
               streams[i].want, streams[i].name);
        ok(same_at_every_cut(p, &responses, 1, bytes), "... at every cut");
    }
}

/* ---- whole ----------------------------------------------------------- */

#define WHOLE(output) "{" R(",'status':'completed','error':null,'output':[" \
    output "]") "}"

static const struct {
    const char *name, *body, *want;
} wholes[] = {
    { "all that there is",
      "{" R(",'status':'completed','service_tier':'flex','output':[{"
      THOUGHT(SUM("A") "," SUM("B"), RAW("C"), "'gA'") "},{"
      MSG("m", OUT("Hi") ",{'type':'refusal','refusal':'No'}") "},{"
      "'type':'web_search_call'},{" CALL("f", "c", "f", "{}") "},{"
      CUSTOM("ls") "},{'type':'image_generation_call','result':'AAAA'}],"
      "'usage':{'input_tokens':1,'output_tokens':2}") "}",
      "start resp_1 m 7 tier=flex\nopen 0 think id=rs\nthink 0 A\n"
      "think 0 \n\n\nthink 0 B\nthink 0 \n\n\nthink 0 C\n"
      "token 0 openai gA\nclose 0\nopen 1 text\ntext 1 Hi\nclose 1\n"
      "open 2 refusal\nrefusal 2 No\nclose 2\nopen 3 call id=c name=f\n"
      "args 3 {}\nclose 3\nopen 4 call id=c name=sql custom\nargs 4 ls\n"
      "close 4\nopen 5 media\nmedia 5 image/png AAAA\nclose 5\n"
      "usage in=1 out=2\n" CALLED },
    { "items that all have one id",
      WHOLE("{" MSG("x", OUT("Hi")) "},{" MSG("x", OUT("Hi")) "},{"
            CALL("x", "c", "f", "{}") "},{" CALL("x", "d", "f", "{}") "}"),
      START HI "open 1 text\ntext 1 \n\n\ntext 1 Hi\nclose 1\n"
      "open 2 call id=c name=f\nargs 2 {}\nclose 2\n"
      "open 3 call id=d name=f\nargs 3 {}\nclose 3\n" CALLED },
    { "nothing at all", WHOLE(""), START STOPPED },
    { "no status", "{" R(",'output':[]") "}", START STOPPED },
    { "another word for it", "{" R(",'status':'complete','output':[]") "}",
      START "finish 0 stop as complete\nend\n" },
    { "incomplete",
      "{" R(",'status':'incomplete','incomplete_details':{'reason':"
      "'max_output_tokens'},'output':[{" MSG("m", OUT("Hi")) "}]") "}",
      START HI "finish 0 length as max_output_tokens\nend\n" },
    { "failed",
      "{" R(",'status':'failed','error':{'code':'rate_limit_exceeded',"
      "'message':'slow'},'usage':{'input_tokens':1}") "}",
      START "usage in=1\nerror RATE_LIMIT: slow\n" },
    { "cancelled", "{" R(",'status':'cancelled','output':[]") "}",
      START "error BAD_UPSTREAM: The provider cancelled its answer.\n" },
    { "text by another name",
      WHOLE("{'type':'message','content':[{'type':'text','text':'Hi'}]}"),
      START HI STOPPED },
    { "not begun yet", "{" R(",'status':'queued','output':[]") "}",
      "error BAD_UPSTREAM: The provider put off its answer.\n" },
    { "an error", "{'error':{'message':'x','code':'model_not_found'}}",
      "error MODEL: x\n" },
    { "something else", "{'choices':[]}",
      "error BAD_UPSTREAM: The provider's answer is not a response.\n" },
    { "no object", "[1]",
      "error BAD_UPSTREAM: The provider's answer is not a response.\n" },
    { "a picture that is none",
      WHOLE("{'type':'image_generation_call','result':'https://x/'}"),
      START STOPPED }
};

static void test_wholes(apr_pool_t *p)
{
    unsigned int i;

    for (i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++) {
        const char *bytes = quotes(p, wholes[i].body);

        is_str(transcribe(p, &responses, 0, bytes, strlen(bytes), -1),
               wholes[i].want, wholes[i].name);
        ok(same_at_every_cut(p, &responses, 0, bytes), "... at every cut");
    }
}

/* ---- limits ---------------------------------------------------------- */

/* So many events, with a number between two texts. */
static const char *many(apr_pool_t *p, int count, const char *before,
                        const char *after)
{
    llmux_buf_t *b = llmux_buf_create(p, 64 << 20);
    int i;

    for (i = 0; i < count; i++) {
        llmux_buf_addf(b, "data: %s%d%s\n\n", quotes(p, before), i,
                       quotes(p, after));
    }
    return b->data;
}

static void test_limits(apr_pool_t *p)
{
    static const char item[] = "{'type':'response.output_item.added',"
        "'item':{'type':'message'},'output_index':";
    static const char part[] = "{'type':'response.output_text.delta',"
        "'output_index':0,'delta':'x','content_index':";
    static const char too_many[] =
        "error BAD_UPSTREAM: The provider's answer has too many parts.\n";
    const char *bytes = many(p, LLMUX_BLOCKS_MAX, item, "}");

    is_str(transcribe(p, &responses, 1, bytes, strlen(bytes), -1),
           TRUNCATED, "as many items as there may be");
    bytes = many(p, LLMUX_BLOCKS_MAX + 1, item, "}");
    is_str(transcribe(p, &responses, 1, bytes, strlen(bytes), -1),
           too_many, "one more is too many");
    bytes = many(p, 2000, part, "}");
    ok(strstr(transcribe(p, &responses, 1, bytes, strlen(bytes), -1),
              too_many) != NULL, "too many parts");
}

int main(void)
{
    apr_pool_t *p;

    apr_initialize();
    apr_pool_create(&p, NULL);
    test_streams(p);
    test_wholes(p);
    test_limits(p);
    apr_pool_destroy(p);
    return tap_done();
}
