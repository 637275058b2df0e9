/* openai_decode.c - tests of reading chat completions' answers, with the
 * habits of all who say they speak the dialect. */

#include "dialect/openai_answer.h"
#include "tap.h"
#include "transcript.h"

#define C0 "{'id':'c1','model':'m','created':7,'choices':[{'index':0,"
#define STOP C0 "'delta':{},'finish_reason':'stop'}]}\n[DONE]"
#define CALLS C0 "'delta':{},'finish_reason':'tool_calls'}]}\n[DONE]"
#define TOOL(fragment) C0 "'delta':{'tool_calls':[" fragment "]}}]}\n"
#define START "start c1 m 7\n"
#define TRUNCATED "error BAD_UPSTREAM: The provider's answer was truncated.\n"

/* In streams: a line for each event, ' for ". */
static const struct {
    const char *name, *lines, *want;
} streams[] = {
    { "text, as OpenAI sends it",
      "{'id':'c1','object':'chat.completion.chunk','created':7,'model':'m',"
      "'service_tier':'default','system_fingerprint':'fp_1','choices':[{"
      "'index':0,'delta':{'role':'assistant','content':'','refusal':null},"
      "'logprobs':null,'finish_reason':null}],'usage':null,"
      "'obfuscation':'x1'}\n"
      C0 "'delta':{'content':'Hi'},'finish_reason':null}],'usage':null}\n"
      C0 "'delta':{'content':' \\u00e9\\ud83d\\ude00'}}]}\n"
      C0 "'delta':{},'finish_reason':'stop'}],'usage':null}\n"
      "{'id':'c1','choices':[],'usage':{'prompt_tokens':9,"
      "'completion_tokens':3,'total_tokens':12,'prompt_tokens_details':"
      "{'cached_tokens':4,'audio_tokens':0},'completion_tokens_details':"
      "{'reasoning_tokens':1,'audio_tokens':0,"
      "'accepted_prediction_tokens':0,'rejected_prediction_tokens':2}}}\n"
      "[DONE]",
      "start c1 m 7 tier=default fp=fp_1\nopen 0 text\ntext 0 Hi\n"
      "text 0  \xc3\xa9\xf0\x9f\x98\x80\n"
      "usage in=5 read=4 out=2 reasoning=1 audio-in=0 audio-out=0 accepted=0 "
      "rejected=2\nclose 0\nfinish 0 stop as stop\nend\n" },
    { "calls side by side, in pieces",
      TOOL("{'index':0,'id':'call_1','type':'function','function':{'name':'f',"
           "'arguments':''}}")
      TOOL("{'index':0,'function':{'arguments':'{\\\"a\\\"'}}")
      TOOL("{'index':1,'id':'call_2','type':'function','function':{'name':'g'}"
           "}")
      TOOL("{'index':0,'function':{'arguments':':1}'}}") CALLS,
      START "open 0 call id=call_1 name=f\nargs 0 {\"a\"\n"
      "open 1 call id=call_2 name=g\nargs 0 :1}\nclose 0\nclose 1\n"
      "finish 0 calls as tool_calls\nend\n" },
    { "numbers from 1, with gaps, id repeated, null and empty",
      TOOL("{'index':1,'id':'call_1','type':null,'function':{'name':'f',"
           "'arguments':'{'}}")
      TOOL("{'index':1,'id':'','function':{'name':'','arguments':'}'}}")
      TOOL("{'index':4,'id':'call_2','function':{'name':'g'}}")
      TOOL("{'index':4,'id':'call_2','function':{'name':null,"
           "'arguments':'{}'}}") CALLS,
      START "open 0 call id=call_1 name=f\nargs 0 {\nargs 0 }\n"
      "open 1 call id=call_2 name=g\nargs 1 {}\nclose 0\nclose 1\n"
      "finish 0 calls as tool_calls\nend\n" },
    { "a name that comes late",
      TOOL("{'index':0,'id':'call_1','function':{'arguments':'{\\\"a'}}")
      TOOL("{'index':0,'id':'call_1','function':{'name':'','arguments':'\\\"'}"
           "}")
      TOOL("{'index':0,'function':{'name':'f','arguments':':1}'}}") CALLS,
      START "open 0 call id=call_1 name=f\nargs 0 {\"a\"\nargs 0 :1}\n"
      "close 0\nfinish 0 calls as tool_calls\nend\n" },
    { "no numbers at all",
      TOOL("{'id':'call_1','function':{'name':'f','arguments':'{'}}")
      TOOL("{'function':{'arguments':'}'}}")
      TOOL("{'id':'call_2','function':{'name':'g','arguments':'{}'}}") CALLS,
      START "open 0 call id=call_1 name=f\nargs 0 {\nargs 0 }\n"
      "open 1 call id=call_2 name=g\nargs 1 {}\nclose 0\nclose 1\n"
      "finish 0 calls as tool_calls\nend\n" },
    { "whole calls in one chunk, all numbered 0, and stop for a reason",
      TOOL("{'index':0,'id':'a','function':{'name':'f','arguments':'{}'}},"
           "{'index':0,'id':'b','function':{'name':'f','arguments':"
           "{'x':[1]}}}") STOP,
      START "open 0 call id=a name=f\nargs 0 {}\n"
      "open 1 call id=b name=f\nargs 1 {\"x\":[1]}\nclose 0\nclose 1\n"
      "finish 0 calls as stop\nend\n" },
    { "a call without an id gets one",
      TOOL("{'index':0,'function':{'name':'f'}}") CALLS,
      START "open 0 call id=call_AAAAAAAAAAAAAAAAAAAAAAAA name=f\nclose 0\n"
      "finish 0 calls as tool_calls\nend\n" },
    { "a call that never gets a name",
      TOOL("{'index':0,'id':'x','function':{'arguments':'{}'}}") CALLS,
      START
      "error BAD_UPSTREAM: The provider sent a tool call without a name.\n" },
    { "a custom tool's call",
      TOOL("{'index':0,'id':'c','type':'custom','custom':{'name':'sh',"
           "'input':''}}")
      TOOL("{'index':0,'custom':{'input':'ls'}}") CALLS,
      START "open 0 call id=c name=sh custom\nargs 0 ls\nclose 0\n"
      "finish 0 calls as tool_calls\nend\n" },
    { "function_call of old",
      C0 "'delta':{'function_call':{'name':'f','arguments':''}}}]}\n"
      C0 "'delta':{'function_call':{'arguments':'{}'}}}]}\n"
      C0 "'delta':{},'finish_reason':'function_call'}]}\n[DONE]",
      START "open 0 call id=call_AAAAAAAAAAAAAAAAAAAAAAAA name=f\nargs 0 {}\n"
      "close 0\nfinish 0 calls as function_call\nend\n" },
    { "Gemini's signature, with the call and after it",
      TOOL("{'index':0,'id':'a','extra_content':{'google':"
           "{'thought_signature':'S1'}},'function':{'name':'f'}}")
      TOOL("{'index':1,'id':'b','function':{'name':'f'}}")
      TOOL("{'index':1,'extra_content':{'google':{'thought_signature':'S2'}}}")
      CALLS,
      START "open 0 call id=a name=f\ntoken 0 gemini S1\n"
      "open 1 call id=b name=f\ntoken 1 gemini S2\nclose 0\nclose 1\n"
      "finish 0 calls as tool_calls\nend\n" },
    { "Azure's filter results come first",
      "{'id':'','model':'','created':0,'choices':[],'prompt_filter_results':["
      "{'prompt_index':0}]}\n"
      C0 "'delta':{'content':'x'},'content_filter_results':{}}]}\n" STOP,
      START "open 0 text\ntext 0 x\nclose 0\nfinish 0 stop as stop\nend\n" },
    { "usage on the finish chunk, within the choice, by Groq",
      C0 "'delta':{'role':'','content':'x'}}],'x_groq':{'id':'r'}}\n"
      C0 "'delta':{},'usage':{'prompt_tokens':1,'completion_tokens':2},"
      "'finish_reason':'stop'}],'x_groq':{'usage':{'prompt_tokens':3,"
      "'completion_tokens':4}},'usage':{'prompt_tokens':5,"
      "'completion_tokens':6}}\n[DONE]",
      START "open 0 text\ntext 0 x\nusage in=1 out=2\nusage in=3 out=4\n"
      "usage in=5 out=6\nclose 0\nfinish 0 stop as stop\nend\n" },
    { "reasoning_content before the text",
      C0 "'delta':{'role':'assistant','content':null,"
      "'reasoning_content':'Hm'}}]}\n"
      C0 "'delta':{'content':null,'reasoning_content':'m'}}]}\n"
      C0 "'delta':{'content':'Hi','reasoning_content':null}}]}\n" STOP,
      START "open 0 think\nthink 0 Hm\nthink 0 m\nclose 0\nopen 1 text\n"
      "text 1 Hi\nclose 1\nfinish 0 stop as stop\nend\n" },
    { "the same text as reasoning and in reasoning_details counts once",
      C0 "'delta':{'reasoning':'Hm','reasoning_details':[{'type':"
      "'reasoning.text','text':'Hm','format':'anthropic-claude-v1',"
      "'index':0}]}}]}\n"
      C0 "'delta':{'reasoning_details':[{'type':'reasoning.text','signature':"
      "'SIG','format':'anthropic-claude-v1','index':0}]}}]}\n"
      C0 "'delta':{'reasoning_details':[{'type':'reasoning.encrypted','data':"
      "'RED','format':'anthropic-claude-v1','index':1}]}}]}\n"
      C0 "'delta':{'reasoning_details':[{'type':'reasoning.summary',"
      "'summary':'So','index':2}]}}]}\n"
      C0 "'delta':{'reasoning_details':[{'type':'reasoning.encrypted','data':"
      "'X','format':'martian-v1','index':3}]}}]}\n" STOP,
      START "open 0 think\nthink 0 Hm\ntoken 0 anthropic SIG\nclose 0\n"
      "open 1 think\ntoken 1 redacted RED\nclose 1\nopen 2 think\n"
      "think 2 So\nclose 2\nfinish 0 stop as stop\nend\n" },
    { "Mistral's content in parts",
      C0 "'delta':{'content':[{'type':'thinking','thinking':[{'type':'text',"
      "'text':'Hm'}]}]}}]}\n"
      C0 "'delta':{'content':[{'type':'text','text':'Hi'},{'type':'reference',"
      "'reference_ids':[1]}]}}]}\n" STOP,
      START "open 0 think\nthink 0 Hm\nclose 0\nopen 1 text\ntext 1 Hi\n"
      "close 1\nfinish 0 stop as stop\nend\n" },
    { "a refusal",
      C0 "'delta':{'role':'assistant','content':''}}]}\n"
      C0 "'delta':{'refusal':'I cannot'}}]}\n" STOP,
      START "open 0 refusal\nrefusal 0 I cannot\nclose 0\n"
      "finish 0 refusal as stop\nend\n" },
    { "citations, log probabilities, images",
      C0 "'delta':{'content':'Hi'},'logprobs':{'content':[{'token':'Hi',"
      "'logprob':-0.1}],'refusal':null}}]}\n"
      C0 "'delta':{'annotations':[{'type':'url_citation','url_citation':{"
      "'url':'https://e.x','title':'t','start_index':0,'end_index':2}},"
      "{'type':'file','file':{}}]}}]}\n"
      C0 "'delta':{'images':[{'type':'image_url','image_url':{'url':"
      "'data:image/png;base64,AAAA'}}]}}]}\n" STOP,
      START "open 0 text\ntext 0 Hi\n"
      "logprobs 0 [{\"token\":\"Hi\",\"logprob\":-0.1}]\n"
      "cite 0 https://e.x title=t 0..2\nclose 0\nopen 1 media\n"
      "media 1 image/png AAAA\nclose 1\nfinish 0 stop as stop\nend\n" },
    { "sources beside the answer: the last list holds",
      "{'id':'c1','created':7,'model':'m','citations':['https://e.y'],"
      "'search_results':[{'url':'https://e.y'}],'choices':[{'index':0,'delta':{'content':'Hi'}}]}\n"
      "{'id':'c1','model':'m','citations':['https://e.x','https://e.y'],"
      "'search_results':[{'title':'t','url':'https://e.x','snippet':'q'},7,"
      "{'url':'https://e.y'},{'title':'no address'}],"
      "'choices':[{'index':0,'delta':{},'finish_reason':'stop'}]}\n" STOP,
      START "open 0 text\ntext 0 Hi\ncite 0 https://e.x title=t quote=q -1..-1\n"
      "cite 0 https://e.y -1..-1\nclose 0\nfinish 0 stop as stop\nend\n" },
    { "sources beside the answer are addresses, after its end",
      C0 "'delta':{'content':'Hi'},'finish_reason':'stop'}]}\n"
      "{'choices':[],'citations':['https://e.x']}\n[DONE]",
      START "open 0 text\ntext 0 Hi\ncite 0 https://e.x -1..-1\nclose 0\n"
      "finish 0 stop as stop\nend\n" },
    { "sources within and beside the answer are said once",
      C0 "'delta':{'content':'Hi','annotations':[{'type':'url_citation',"
      "'url_citation':{'url':'https://e.x'}}]}}]}\n"
      "{'choices':[],'citations':['https://e.x']}\n" STOP,
      START "open 0 text\ntext 0 Hi\ncite 0 https://e.x -1..-1\nclose 0\n"
      "finish 0 stop as stop\nend\n" },
    { "sound, in pieces, and its words",
      C0 "'delta':{'content':null,'audio':{'id':'a1','transcript':'Hi'}}}]}\n"
      C0 "'delta':{'audio':{'data':'//tw'}}}]}\n"
      C0 "'delta':{'audio':{'data':'AA'}}}]}\n"
      C0 "'delta':{'audio':{'data':'no:base64'}}}]}\n"
      C0 "'delta':{'audio':{'expires_at':9}}}]}\n" STOP,
      START "open 0 media\nmedia 0 audio/pcm;rate=24000 //tw\n"
      "media 0 audio/pcm;rate=24000 AA==\nclose 0\nfinish 0 stop as stop\n"
      "end\n" },
    { "candidates by turns",
      "{'id':'c1','model':'m','created':7,'choices':[{'index':0,'delta':"
      "{'content':'a'}},{'index':1,'delta':{'content':'b'}}]}\n"
      C0 "'delta':{'content':'c'},'finish_reason':'length'}]}\n"
      "{'choices':[{'index':1,'delta':{'content':'d'},"
      "'finish_reason':'content_filter'}]}\n[DONE]",
      START "open 0 text\ntext 0 a\nopen 1 text of 1\ntext 1 b\ntext 0 c\n"
      "text 1 d\nclose 0\nfinish 0 length as length\nclose 1\n"
      "finish 1 filter as content_filter\nend\n" },
    { "a finish with each chunk, and no [DONE]",
      C0 "'delta':{'content':'a'},'finish_reason':'stop'}]}\n"
      C0 "'delta':{'content':'b'},'finish_reason':'length'}]}",
      START "open 0 text\ntext 0 a\ntext 0 b\nclose 0\n"
      "finish 0 length as length\nend\n" },
    { "vLLM says which stop sequence it was",
      C0 "'delta':{'content':'a'},'finish_reason':'stop','stop_reason':'##'}]}"
      "\n[DONE]",
      START "open 0 text\ntext 0 a\nclose 0\n"
      "finish 0 sequence as stop at ##\nend\n" },
    { "an unknown reason",
      C0 "'delta':{'content':'a'},'finish_reason':'bored'}]}\n[DONE]",
      START "open 0 text\ntext 0 a\nclose 0\nfinish 0 other as bored\nend\n" },
    { "a message that repeats the deltas",
      C0 "'delta':{'content':'a'},'message':{'content':'a'}}]}\n"
      C0 "'delta':{'content':'b'},'message':{'content':'ab'}}]}\n" STOP,
      START "open 0 text\ntext 0 a\ntext 0 b\nclose 0\n"
      "finish 0 stop as stop\nend\n" },
    { "a call in both ways",
      C0 "'delta':{'tool_calls':[{'index':0,'id':'a','function':{'name':'f',"
      "'arguments':'{}'}}],'function_call':{'name':'f','arguments':'{}'}}}]}\n"
      CALLS, START "open 0 call id=a name=f\nargs 0 {}\nclose 0\n"
      "finish 0 calls as tool_calls\nend\n" },
    { "comments keep alive",
      ": OPENROUTER PROCESSING\n" C0 "'delta':{'content':'a'}}]}\n" STOP,
      "ping\n" START "open 0 text\ntext 0 a\nclose 0\nfinish 0 stop as stop\n"
      "end\n" },
    { "[DONE] without a reason", C0 "'delta':{'content':'a'}}]}\n[DONE]",
      START "open 0 text\ntext 0 a\n" TRUNCATED },
    { "the end without a reason, for one of two",
      C0 "'delta':{},'finish_reason':'stop'}]}\n"
      "{'choices':[{'index':1,'delta':{'content':'a'}}]}",
      START "open 0 text of 1\ntext 0 a\n" TRUNCATED },
    { "nothing but [DONE]", "[DONE]", TRUNCATED },
    { "an error in the stream",
      C0 "'delta':{'content':'a'}}]}\n{'error':{'message':'upstream failed',"
      "'type':'server_error','param':null,'code':null}}\n" STOP,
      START "open 0 text\ntext 0 a\nerror INTERNAL: upstream failed\n" },
    { "an error with a number", "{'error':{'message':'slow','code':429}}",
      "error RATE_LIMIT: slow\n" },
    { "an error that is a string", "{'error':'no more'}",
      "error BAD_UPSTREAM: no more\n" },
    { "vLLM's error", "{'object':'error','message':'bad','type':"
      "'BadRequestError','param':null,'code':400}", "error INVALID: bad\n" },
    { "an error within a choice",
      C0 "'delta':{'content':''},'finish_reason':'error','error':{'code':502,"
      "'message':'gone'}}]}", START "error BAD_UPSTREAM: gone\n" },
    { "a reason that is an error",
      C0 "'delta':{},'finish_reason':'insufficient_system_resource'}]}",
      START "error BAD_UPSTREAM: The provider broke its answer off.\n" },
    { "no error: null, false, empty",
      "{'error':null,'id':'c1','model':'m','created':7,'choices':[{'index':0,"
      "'delta':{'content':'a'}}]}\n{'error':{}}\n{'error':''}\n" STOP,
      START "open 0 text\ntext 0 a\nclose 0\nfinish 0 stop as stop\nend\n" },
    { "a choice that cannot be",
      "{'choices':[{'index':4096,'delta':{'content':'a'}}]}",
      "start 0\n"
      "error BAD_UPSTREAM: The provider's answer has an impossible choice.\n" },
    { "wrong types everywhere",
      "[1]\n7\n{'choices':7}\n{'choices':[7,null]}\n{'choices':[{'delta':7,"
      "'logprobs':7,'finish_reason':7}],'usage':7}\n{'choices':[{'delta':{"
      "'content':7,'tool_calls':{},'function_call':7,'annotations':[7],"
      "'images':7,'reasoning_details':7,'refusal':7}}],'usage':{"
      "'prompt_tokens':-1,'completion_tokens':'x'}}\n{'choices':[{'delta':{"
      "'content':[7,{'type':'thinking','thinking':7}],'tool_calls':[7],"
      "'reasoning_details':[7]}}]}",
      "start 0\n" TRUNCATED }
};

/* Whole answers, ' for ". */
static const struct {
    const char *name, *body, *want;
} wholes[] = {
    { "a whole answer",
      "{'id':'c1','object':'chat.completion','created':7,'model':'m',"
      "'choices':[{'index':0,'message':{'role':'assistant','content':'Hi',"
      "'refusal':null,'annotations':[{'type':'url_citation','url_citation':{"
      "'url':'u','title':'t','start_index':0,'end_index':2}}]},'logprobs':{"
      "'content':[{'token':'Hi'}],'refusal':null},'finish_reason':'stop'}],"
      "'usage':{'prompt_tokens':9,'completion_tokens':3,'total_tokens':12},"
      "'service_tier':'default','system_fingerprint':'fp'}",
      "start c1 m 7 tier=default fp=fp\nopen 0 text\ntext 0 Hi\n"
      "logprobs 0 [{\"token\":\"Hi\"}]\ncite 0 u title=t 0..2\n"
      "usage in=9 out=3\nclose 0\nfinish 0 stop as stop\nend\n" },
    { "whole calls have no numbers",
      C0 "'message':{'content':null,'reasoning_content':'Hm','tool_calls':[{"
      "'id':'a','type':'function','function':{'name':'f','arguments':'{}'}},"
      "{'id':'b','type':'custom','custom':{'name':'g','input':'x'}},"
      "{'id':'','function':{'name':'h','arguments':{}}}]},"
      "'finish_reason':'tool_calls'}]}",
      START "open 0 think\nthink 0 Hm\nclose 0\nopen 1 call id=a name=f\n"
      "args 1 {}\nopen 2 call id=b name=g custom\nargs 2 x\n"
      "open 3 call id=call_AAAAAAAAAAAAAAAAAAAAAAAA name=h\nargs 3 {}\n"
      "close 1\nclose 2\nclose 3\nfinish 0 calls as tool_calls\nend\n" },
    { "a whole answer without a reason is not truncated",
      C0 "'message':{'content':'a'},'finish_reason':null}]}",
      START "open 0 text\ntext 0 a\nclose 0\nfinish 0 stop\nend\n" },
    { "several choices, none numbered",
      "{'id':'c1','model':'m','created':7,'choices':[{'message':{'content':"
      "'a'},'finish_reason':'stop'},{'message':{'content':[{'type':'text',"
      "'text':'b'}]},'finish_reason':'model_length'}]}",
      START "open 0 text\ntext 0 a\nopen 1 text of 1\ntext 1 b\nclose 0\n"
      "finish 0 stop as stop\nclose 1\nfinish 1 context as model_length\n"
      "end\n" },
    { "empty members beside the filled ones, as Snowflake and Perplexity do",
      "{'id':'','model':'m','created':7,'service_tier':'','choices':[{'index':"
      "0,'message':{'content':'a','function_call':{'name':'','arguments':''},"
      "'refusal':'','tool_calls':[{'custom':{'name':'','input':''},'function':"
      "{'name':'f','arguments':'{}'},'id':'a','type':'function'}]},'delta':{"
      "'content':''},'finish_reason':''}]}",
      "start m 7\nopen 0 text\ntext 0 a\nclose 0\n"
      "open 1 call id=a name=f\nargs 1 {}\nclose 1\nfinish 0 calls\nend\n" },
    { "no choices", "{'id':'c1','choices':[]}",
      "error BAD_UPSTREAM: The provider's answer holds no choices.\n" },
    { "an error instead", "{'detail':'nope'}", "error BAD_UPSTREAM: nope\n" }
};

static void answers(apr_pool_t *p)
{
    const llmux_dialect_t *openai = &llmux_dialect_openai;
    unsigned int i;

    for (i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        const char *bytes = events(p, streams[i].lines);

        is_str(transcribe(p, openai, 1, bytes, strlen(bytes), -1),
               streams[i].want, streams[i].name);
        ok(same_at_every_cut(p, openai, 1, bytes), "... at every cut");
    }
    for (i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++) {
        const char *bytes = quotes(p, wholes[i].body);

        is_str(transcribe(p, openai, 0, bytes, strlen(bytes), -1),
               wholes[i].want, wholes[i].name);
        ok(same_at_every_cut(p, openai, 0, bytes), "... at every cut");
    }
}

/* ---- usage ----------------------------------------------------------- */

static const struct {
    const char *name, *json, *want;
} usages[] = {
    { "DeepSeek's cache hits", "{'prompt_tokens':10,'completion_tokens':2,"
      "'prompt_cache_hit_tokens':8,'prompt_cache_miss_tokens':2}",
      "usage in=2 read=8 out=2" },
    { "xAI counts reasoning beside the completion", "{'prompt_tokens':10,"
      "'completion_tokens':2,'total_tokens':15,'completion_tokens_details':"
      "{'reasoning_tokens':3}}", "usage in=10 out=2 reasoning=3" },
    { "Google beside it, and untold", "{'prompt_tokens':35,"
      "'completion_tokens':12,'total_tokens':109}",
      "usage in=35 out=12 reasoning=62" },
    { "a total that holds a cached prompt", "{'prompt_tokens':2,"
      "'completion_tokens':1,'total_tokens':11,'cache_read_input_tokens':8}",
      "usage in=2 read=8 out=1" },
    { "Mistral's sound beside the prompt", "{'prompt_tokens':9,"
      "'completion_tokens':201,'total_tokens':585,'prompt_tokens_details':"
      "{'audio_tokens':375}}", "usage in=384 out=201 audio-in=375" },
    { "OpenAI within it", "{'prompt_tokens':10,'completion_tokens':5,"
      "'total_tokens':15,'completion_tokens_details':{'reasoning_tokens':3}}",
      "usage in=10 out=2 reasoning=3" },
    { "cache writes", "{'prompt_tokens':10,'prompt_tokens_details':"
      "{'cached_tokens':3,'cache_write_tokens':4}}",
      "usage in=3 read=3 write=4" },
    { "Anthropic's members, prompt exclusive", "{'prompt_tokens':2,"
      "'completion_tokens':1,'cache_read_input_tokens':8,"
      "'cache_creation_input_tokens':4,'cache_creation':"
      "{'ephemeral_1h_input_tokens':1}}",
      "usage in=2 read=8 write=4 write1h=1 out=1" },
    { "Anthropic's members, prompt inclusive", "{'prompt_tokens':20,"
      "'completion_tokens':1,'cache_read_input_tokens':8}",
      "usage in=12 read=8 out=1" },
    { "Anthropic's usage altogether", "{'input_tokens':20,"
      "'cache_read_input_tokens':8,'output_tokens':1}",
      "usage in=20 read=8 out=1" },
    { "Moonshot's cached tokens", "{'prompt_tokens':20,'cached_tokens':5}",
      "usage in=15 read=5" },
    { "sums that do not add up", "{'prompt_tokens':2,'completion_tokens':1,"
      "'prompt_tokens_details':{'cached_tokens':5},"
      "'completion_tokens_details':{'reasoning_tokens':9}}",
      "usage in=0 read=2 out=0 reasoning=1" },
    { "the greatest numbers", "{'prompt_tokens':9223372036854775807,"
      "'completion_tokens':9223372036854775807,'total_tokens':"
      "9223372036854775807,'cache_read_input_tokens':9223372036854775807,"
      "'cache_creation_input_tokens':9223372036854775807}",
      "usage in=9223372036854775807 read=9223372036854775807 "
      "write=9223372036854775807 out=9223372036854775807" },
    { "null and nothing", "{'prompt_tokens':null,'total_tokens':3}", "usage" }
};

static void usage(apr_pool_t *p)
{
    unsigned int i;

    for (i = 0; i < sizeof(usages) / sizeof(usages[0]); i++) {
        llmux_usage_t u = LLMUX_USAGE_NONE;
        llmux_buf_t *b = llmux_buf_create(p, 4096);

        llmux_openai_usage_read(&u, llmux_json_parse(
            p, llmux_slice(quotes(p, usages[i].json)), 0, NULL));
        write_usage(b, &u);
        is_str(llmux_buf_slice(b).data, usages[i].want, usages[i].name);
    }
}

/* ---- errors ---------------------------------------------------------- */

#define SAID "The provider answered with an error and no explanation."

static const struct {
    int status;
    const char *body, *kind, *message, *param, *code;
} errors[] = {
    { 400, "{'error':{'message':'m','type':'invalid_request_error','param':"
      "'n','code':'unsupported_value'}}", "INVALID", "m", "n",
      "unsupported_value" },
    { 400, "{'error':{'message':'m','type':'invalid_request_error','param':"
      "'messages','code':'context_length_exceeded'}}", "CONTEXT", "m",
      "messages", "context_length_exceeded" },
    { 400, "{'error':{'message':'m','code':400,'type':'BadRequestError'}}",
      "INVALID", "m", NULL, NULL },
    { 400, "{'object':'error','message':'This model\\'s maximum context length"
      " is 4096 tokens','code':400}", "CONTEXT",
      "This model\"s maximum context length is 4096 tokens", NULL,
      "context_length_exceeded" },
    { 400, "{'error':{'message':'m','code':'content_filter','innererror':"
      "{'code':'ResponsibleAIPolicyViolation'}}}", "BLOCKED", "m", NULL,
      "content_filter" },
    { 401, "{'error':{'message':'m','code':'invalid_api_key'}}", "AUTH", "m",
      NULL, "invalid_api_key" },
    { 402, "{'error':{'message':'Insufficient Balance'}}", "BILLING",
      "Insufficient Balance", NULL, "insufficient_quota" },
    { 404, "{'error':{'message':'The model `x` does not exist','code':404}}",
      "MODEL", "The model `x` does not exist", NULL, "model_not_found" },
    { 404, "{'type':'error','error':{'type':'not_found_error','message':"
      "'model: x'}}", "MODEL", "model: x", NULL, "model_not_found" },
    { 400, "{'error':{'code':400,'message':'API key not valid.','status':"
      "'INVALID_ARGUMENT'}}", "AUTH", "API key not valid.", NULL,
      "invalid_api_key" },
    { 404, "{'error':{'message':'m','code':'model_not_found'}}", "MODEL", "m",
      NULL, "model_not_found" },
    { 404, "{'detail':'Not Found'}", "NOT_FOUND", "Not Found", NULL,
      "not_found" },
    { 422, "{'detail':[{'loc':['body'],'msg':'field required'}]}", "INVALID",
      "field required", NULL, NULL },
    { 429, "{'error':{'message':'m','type':'insufficient_quota','code':"
      "'insufficient_quota'}}", "QUOTA", "m", NULL, "insufficient_quota" },
    { 429, "{'error':{'message':'m','type':'requests','code':"
      "'rate_limit_exceeded'}}", "RATE_LIMIT", "m", NULL,
      "rate_limit_exceeded" },
    { 429, "{'message':'m','request_id':'r'}", "RATE_LIMIT", "m", NULL,
      "rate_limit_exceeded" },
    { 429, "{'statusCode':429,'message':'m'}", "RATE_LIMIT", "m", NULL,
      "rate_limit_exceeded" },
    { 429, "[{'error':{'code':429,'message':'m','status':"
      "'RESOURCE_EXHAUSTED'}}]", "RATE_LIMIT", "m", NULL,
      "rate_limit_exceeded" },
    { 500, "{'error':'boom'}", "INTERNAL", "boom", NULL, NULL },
    { 500, "{'error':{'message':{'deep':1}}}", "INTERNAL", "{\"deep\":1}",
      NULL, NULL },
    { 503, NULL, "OVERLOADED", SAID, NULL, "overloaded" },
    { 529, "{'type':'error','error':{'type':'overloaded_error','message':"
      "'Overloaded'}}", "OVERLOADED", "Overloaded", NULL, "overloaded" },
    { 408, "{}", "TIMEOUT", "{}", NULL, "upstream_timeout" },
    { 524, NULL, "TIMEOUT", SAID, NULL, "upstream_timeout" },
    { 418, NULL, "INVALID", SAID, NULL, NULL },
    { 302, NULL, "BAD_UPSTREAM", SAID, NULL, "bad_upstream" },
    { 0, "{'error':{'message':'m','code':'503'}}", "OVERLOADED", "m", NULL,
      "overloaded" },
    { 0, "{'error':{'message':'m','status':'PERMISSION_DENIED'}}",
      "PERMISSION", "m", NULL, "permission_denied" },
    { 0, "{'error':{'message':'m','type':'api_error'}}", "INTERNAL", "m",
      NULL, NULL },
    { 0, "7", "BAD_UPSTREAM", "7", NULL, "bad_upstream" }
};

static void error_bodies(apr_pool_t *p)
{
    unsigned int i;

    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        const char *body = errors[i].body ? quotes(p, errors[i].body) : NULL;
        llmux_error_t *err = llmux_dialect_openai.error_read(
            p, errors[i].status, body
                ? llmux_json_parse(p, llmux_slice(body), 0, NULL) : NULL);

        is_str(error_names[err->kind], errors[i].kind,
               apr_psprintf(p, "%d %s", errors[i].status, body ? body : "-"));
        is_str(err->message, errors[i].message, "... its message");
        is_str(err->param, errors[i].param, "... its param");
        is_str(err->code, errors[i].code, "... its code");
    }
}

static void long_message(apr_pool_t *p)
{
    char *body = apr_palloc(p, LLMUX_MESSAGE_MAX + 64);
    llmux_error_t *err;
    const char *text;

    memset(body, 'x', LLMUX_MESSAGE_MAX + 63);
    body[LLMUX_MESSAGE_MAX - 2] = '\0';
    text = apr_pstrcat(p, "{\"message\":\"", body,
                       "\xf0\x9f\x98\x80zzz\"}", NULL);
    err = llmux_dialect_openai.error_read(
        p, 500, llmux_json_parse(p, llmux_slice(text), 0, NULL));
    is_str(err->message, body,
           "a long message is cut, and not within a character");
}

static void envelope(apr_pool_t *p)
{
    llmux_buf_t *b = llmux_buf_create(p, 4096);
    llmux_error_t *err = llmux_error(p, LLMUX_ERR_INVALID, "messages[0]",
                                     "Say \"%s\".", "x");

    llmux_dialect_openai.error_write(b, err, "r1");
    is_str(llmux_buf_slice(b).data, quotes(p,
           "{'error':{'message':'Say \\'x\\'.','type':'invalid_request_error',"
           "'param':'messages[0]','code':null},'request_id':'r1'}"),
           "an error body");
}

/* ---- limits ---------------------------------------------------------- */

static const char *feed_many(apr_pool_t *p, const char *lines, int times)
{
    llmux_buf_t *b = llmux_buf_create(p, 1 << 24);
    llmux_stream_t *s = llmux_stream_open(p, &test_env, &llmux_dialect_openai,
                                          1, note_event, NULL, b);
    const char *bytes = events(p, lines), *last;

    while (times-- && !llmux_stream_ended(s)) {
        llmux_stream_feed(s, bytes, strlen(bytes));
    }
    llmux_stream_end(s);
    last = strstr(llmux_buf_slice(b).data, "error ");
    return last ? last : "";
}

static void limits(apr_pool_t *p)
{
    char *args = apr_palloc(p, (1 << 20) + 1);

    is_str(feed_many(p, C0 "'delta':{'content':'a','reasoning':'b'}}]}", 3000),
           "error BAD_UPSTREAM: The provider's answer has too many parts.\n",
           "blocks are counted");
    memset(args, 'x', 1 << 20);
    args[1 << 20] = '\0';
    is_str(feed_many(p, apr_pstrcat(p, TOOL("{'index':0,'function':{"
                                            "'arguments':'"), NULL), 0),
           TRUNCATED, "nothing is no answer");
    is_str(feed_many(p, apr_pstrcat(p, C0 "'delta':{'tool_calls':[{'index':0,"
                                    "'function':{'arguments':'", args,
                                    "'}}]}}]}", NULL), 9),
           "error BAD_UPSTREAM: The provider's answer has tool calls that are "
           "too long.\n", "arguments without a name are held up to a limit");
}

int main(void)
{
    apr_pool_t *p;

    apr_initialize();
    apr_pool_create(&p, NULL);
    answers(p);
    usage(p);
    error_bodies(p);
    long_message(p);
    envelope(p);
    limits(p);
    apr_pool_destroy(p);
    return tap_done();
}
