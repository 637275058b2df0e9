/* edge_cases.c - what gateways get wrong, one case each: a client's request on
 * its way to a provider, or a provider's answer on its way to the client.
 *
 * The numbers are those of the list of edge cases that the dialects were built
 * from (its section 7), "5" is the mapping tables before it. Numbers that are
 * missing here, and why:
 *
 *   32, 36, 92 (half)    clients that speak Anthropic's dialect
 *   34, 75-84, 86        the Responses API, on either side
 *   38-40, 42, 45, 64, 74, 99, 100     Bedrock and Claude on Vertex
 *   23                   text/x.enum: nobody asks Gemini for it
 *   72                   files are not fetched, so no type has to be guessed
 *   91, 101              the gateway's own work: t/20-stream.t
 *   105                  every provider here stops by itself
 *   107-109              embeddings and counting tokens
 */

#include <json-c/json.h>

#include "dialect/openai_answer.h"
#include "seals.h"
#include "tap.h"
#include "transcript.h"

static apr_pool_t *pool;

/* What api.openai.com can, and what the simplest server can. */
#define ALL 0x1ffu
#define OLD 0

/* ---- fragments ------------------------------------------------------- */

/* Are these in the text, in this order? Pieces end at '~', ' is ". */
static int has(const char *text, const char *pieces)
{
    char *last, *piece;

    if (!pieces) {
        return 1;
    }
    piece = apr_strtok(apr_pstrdup(pool, quotes(pool, pieces)), "~", &last);
    for (; piece && text; piece = apr_strtok(NULL, "~", &last)) {
        text = strstr(text, piece);
        text = text ? text + strlen(piece) : NULL;
    }
    return text != NULL;
}

static int has_none(const char *text, const char *pieces)
{
    char *last, *piece;

    if (!pieces) {
        return 1;
    }
    piece = apr_strtok(apr_pstrdup(pool, quotes(pool, pieces)), "~", &last);
    for (; piece; piece = apr_strtok(NULL, "~", &last)) {
        if (strstr(text, piece)) {
            return 0;
        }
    }
    return 1;
}

static void check(const char *name, const char *got, const char *want,
                  const char *absent)
{
    if (!ok(has(got, want) && has_none(got, absent), "%s", name)) {
        printf("#   got:    %s\n#   want:   %s\n#   absent: %s\n", got,
               want ? want : "", absent ? absent : "");
    }
}

/* ---- requests -------------------------------------------------------- */

#define M(messages) "{'model':'m','messages':[" messages "]"
#define USER        "{'role':'user','content':'q'}"
#define HI          M(USER)
#define CALL(id, name, args) \
    "{'id':'" id "','type':'function','function':{'name':'" name \
    "','arguments':'" args "'}}"
#define CALLS(more, calls) \
    "{'role':'assistant'," more "'tool_calls':[" calls "]}"
#define RESULT(id, text) \
    "{'role':'tool','tool_call_id':'" id "','content':'" text "'}"
#define SAID(more)  "{'role':'assistant','content':'a'" more "}"
#define PART(part)  M("{'role':'user','content':[" part "]}") "}"
#define IMAGE(url)  "{'type':'image_url','image_url':{'url':'" url "'}}"
#define TOOL(more)  "{'type':'function','function':{'name':'f'" more "}}"
#define PNG         "iVBORw0KGgo="

static const struct {
    const char *name;
    const char *dialect;    /* "edit": OpenAI's bytes, edited */
    const char *model;
    unsigned int can;
    const char *body;
    const char *want;       /* fragments in order, NULL: refused */
    const char *absent;
    const char *told;       /* warnings; of a refusal, the place */
} requests[] = {
    { "7.6 thinking without words keeps its signature",
      "anthropic", "claude-sonnet-4-5", ALL,
      M(USER "," SAID(",'reasoning_details':[{'type':'reasoning.text',"
        "'signature':'S','format':'anthropic-claude-v1'}]") "," USER) "}",
      "[{'type':'thinking','thinking':'','signature':'S'},{'type':'text'",
      NULL, NULL },
    { "7.7 unsigned and foreign thoughts stay away from Anthropic",
      "anthropic", "claude-opus-5", ALL,
      M(USER "," SAID(",'reasoning_details':[{'type':'reasoning.text',"
        "'text':'hm'},{'type':'reasoning.text','text':'hm','signature':'S',"
        "'format':'google-gemini-v1'}]") "," USER) "}",
      "{'role':'assistant','content':[{'type':'text','text':'a'}]}",
      "thinking", "drop=reasoning_content" },
    { "7.8 a message of such thoughts alone is gone",
      "anthropic", "claude-opus-5", ALL,
      M(USER ",{'role':'assistant','content':null,'reasoning_content':'hm'},"
        USER) "}",
      "{'role':'user','content':[{'type':'text','text':'q'},", "assistant~[]",
      "drop=reasoning_content" },
    { "7.9 no thinking where a call of the history has none before it",
      "anthropic", "claude-sonnet-4-5", ALL,
      M(USER "," CALLS("", CALL("c", "f", "{}")) "," RESULT("c", "r"))
      ",'reasoning_effort':'low','tools':[" TOOL("") "]}",
      "'tool_use'", "thinking", "approx=reasoning_effort" },
    { "7.9 but with it, if the thinking came back",
      "anthropic", "claude-sonnet-4-5", ALL,
      M(USER "," CALLS("'thinking_blocks':[{'type':'thinking','thinking':'t',"
        "'signature':'S'}],", CALL("c", "f", "{}")) "," RESULT("c", "r"))
      ",'reasoning_effort':'low','tools':[" TOOL("") "]}",
      "[{'type':'thinking','thinking':'t','signature':'S'},{'type':'tool_use'~"
      "'thinking':{'type':'enabled','budget_tokens':2048}",
      NULL, NULL },
    { "7.10 redacted thinking is carried as it is",
      "anthropic", "claude-opus-5", ALL,
      M(USER "," SAID(",'thinking_blocks':[{'type':'redacted_thinking',"
        "'data':'EmwK/+='}]") "," USER) "}",
      "[{'type':'redacted_thinking','data':'EmwK/+='},{'type':'text'",
      NULL, NULL },
    { "7.11 each signature stays with its own thought",
      "anthropic", "claude-opus-5", ALL,
      M(USER "," SAID(",'reasoning_details':["
        "{'type':'reasoning.text','text':'1','signature':'S1','format':"
        "'anthropic-claude-v1','index':0},"
        "{'type':'reasoning.encrypted','data':'R','format':"
        "'anthropic-claude-v1','index':1},"
        "{'type':'reasoning.text','text':'2','signature':'S2','format':"
        "'anthropic-claude-v1','index':2}]") "," USER) "}",
      "{'type':'thinking','thinking':'1','signature':'S1'},"
      "{'type':'redacted_thinking','data':'R'},"
      "{'type':'thinking','thinking':'2','signature':'S2'}",
      NULL, NULL },
    { "7.13 a lost signature: the stand-in, on a step's first call only",
      "gemini", "gemini-3-pro-preview", ALL,
      M(USER "," CALLS("", CALL("a", "f", "{}") "," CALL("b", "g", "{}")) ","
        RESULT("a", "1") "," RESULT("b", "2") ","
        CALLS("", CALL("c", "f", "{}")) "," RESULT("c", "3")) "}",
      "{'functionCall':{'name':'f','args':{}},'thoughtSignature':"
      "'skip_thought_signature_validator'},"
      "{'functionCall':{'name':'g','args':{}}}]~"
      "'thoughtSignature':'skip_thought_signature_validator'}]",
      NULL, NULL },
    { "7.18 calls and results go to Gemini without ids",
      "gemini", "gemini-2.5-flash", ALL,
      M(USER "," CALLS("", CALL("call_1", "f", "{\\'a\\':1}")) ","
        RESULT("call_1", "r")) "}",
      "{'functionCall':{'name':'f','args':{'a':1}}}~"
      "{'functionResponse':{'name':'f','response':{'output':'r'}}}",
      "call_1~'id'~thoughtSignature", NULL },
    { "7.19 a forced choice stays ANY beside a strict tool",
      "gemini", "gemini-2.5-flash", ALL,
      HI ",'tools':[" TOOL(",'strict':true") "],'tool_choice':'required'}",
      "{'mode':'ANY'}", "VALIDATED", NULL },
    { "7.19 a free one becomes VALIDATED",
      "gemini", "gemini-2.5-flash", ALL,
      HI ",'tools':[" TOOL(",'strict':true") "]}",
      "{'mode':'VALIDATED'}", NULL, NULL },
    { "7.20 Gemini gets JSON Schema as it stands, but for $schema",
      "gemini", "gemini-2.5-flash", ALL,
      HI ",'tools':[" TOOL(",'parameters':{'$schema':'x','type':'object',"
        "'properties':{'a':{'const':1},'b':{'$ref':'#/$defs/b'}},"
        "'additionalProperties':false,'$defs':{'b':{'type':'array',"
        "'uniqueItems':true}}}") "]}",
      "'parametersJsonSchema':{'type':'object','properties':{'a':{'const':1},"
      "'b':{'$ref':'#/$defs/b'}},'additionalProperties':false,'$defs':",
      "$schema", NULL },
    { "7.20 an old model gets what it knows, a cycle becomes an object",
      "gemini", "gemini-2.0-flash", ALL,
      HI ",'tools':[" TOOL(",'parameters':{'type':'object','properties':{"
        "'n':{'type':'integer','exclusiveMinimum':3},'t':{'$ref':'#/$defs/t'}"
        "},'additionalProperties':false,'$defs':{'t':{'type':'object',"
        "'properties':{'kid':{'$ref':'#/$defs/t'}}}}}") "]}",
      "'parameters':{'type':'OBJECT','properties':{'n':{'type':'INTEGER',"
      "'minimum':4},'t':{'type':'OBJECT','properties':{'kid':{'type':"
      "'OBJECT'}}}}}",
      "$~additionalProperties~exclusive", NULL },
    { "7.21 a result that is JSON with $ref stays a string",
      "gemini", "gemini-2.5-flash", ALL,
      M(USER "," CALLS("", CALL("c", "f", "{}")) ","
        RESULT("c", "{\\'$ref\\':\\'x\\',\\'name\\':1}")) "}",
      "'response':{'output':'{\\'$ref\\':\\'x\\',\\'name\\':1}'}", NULL,
      NULL },
    { "7.22 an enum of numbers becomes one of strings",
      "gemini", "gemini-2.0-flash", ALL,
      HI ",'tools':[" TOOL(",'parameters':{'type':'object','properties':{'n':"
        "{'type':'integer','enum':[1,2]}}}") "]}",
      "'n':{'type':'STRING','enum':['1','2']}", NULL, NULL },
    { "7.41 tools of the history are declared, and not offered",
      "anthropic", "claude-opus-5", ALL,
      M(USER "," CALLS("", CALL("c", "f", "{}")) "," RESULT("c", "r")) "}",
      "'tools':[{'name':'f','input_schema':{'type':'object','properties':{}}}]"
      ",'tool_choice':{'type':'none'}",
      NULL, "emulate=tools" },
    { "7.43 blank texts are left out, an empty result has no content",
      "anthropic", "claude-opus-5", ALL,
      M("{'role':'user','content':[{'type':'text','text':' \\n'},"
        "{'type':'text','text':'q'}]},"
        CALLS("'content':'',", CALL("c", "f", "{}")) "," RESULT("c", ""))
      ",'tools':[" TOOL("") "]}",
      "{'role':'user','content':[{'type':'text','text':'q'}]},"
      "{'role':'assistant','content':[{'type':'tool_use'~"
      "{'type':'tool_result','tool_use_id':'c'}]",
      NULL, NULL },
    { "7.44 a cache mark on a blank text moves to the one before",
      "anthropic", "claude-opus-5", ALL,
      PART("{'type':'text','text':'q'},{'type':'text','text':' ',"
           "'cache_control':{'type':'ephemeral'}}"),
      "{'type':'text','text':'q','cache_control':{'type':'ephemeral'}}]",
      NULL, NULL },
    { "7.46 system messages stay blocks with their cache marks",
      "anthropic", "claude-opus-5", ALL,
      M("{'role':'system','content':[{'type':'text','text':'a',"
        "'cache_control':{'type':'ephemeral','ttl':'1h'}}]},"
        "{'role':'developer','content':'b'}," USER) "}",
      "'system':[{'type':'text','text':'a','cache_control':{'type':"
      "'ephemeral','ttl':'1h'}},{'type':'text','text':'b'}]",
      NULL, NULL },
    { "7.48 a system message in the middle, native",
      "anthropic", "claude-opus-5", ALL,
      M(USER ",{'role':'system','content':'s'}") "}",
      "'text':'q'}]},{'role':'system','content':[{'type':'text','text':'s'}]}",
      NULL, NULL },
    { "7.48 ... as text of the user in its place",
      "anthropic", "claude-sonnet-4-5", ALL,
      M(USER "," SAID("") ",{'role':'system','content':'s'}," USER) "}",
      "'text':'a'}]},{'role':'user','content':[{'type':'text','text':"
      "'<system>s</system>'},{'type':'text','text':'q'}]}",
      NULL, "emulate=messages.role" },
    { "7.48 ... never between a call and its result",
      "anthropic", "claude-sonnet-4-5", ALL,
      M(USER "," CALLS("", CALL("c", "f", "{}"))
        ",{'role':'system','content':'s'}," RESULT("c", "r"))
      ",'tools':[" TOOL("") "]}",
      "{'role':'user','content':[{'type':'tool_result','tool_use_id':'c',"
      "'content':[{'type':'text','text':'r'}]},{'type':'text','text':"
      "'<system>s</system>'}]}",
      NULL, "emulate=messages.role" },
    { "7.48 Gemini: likewise",
      "gemini", "gemini-2.5-flash", ALL,
      M(USER "," SAID("") ",{'role':'system','content':'s'}," USER) "}",
      "{'role':'user','parts':[{'text':'<system>s</system>'},{'text':'q'}]}",
      "systemInstruction", "emulate=messages.role" },
    { "7.49 results first, in the order of calls, the user's text behind",
      "anthropic", "claude-opus-5", ALL,
      M(USER "," CALLS("", CALL("a", "f", "{}") "," CALL("b", "g", "{}")) ","
        RESULT("b", "2") "," USER "," RESULT("a", "1"))
      ",'tools':[" TOOL("") "]}",
      "'content':[{'type':'tool_result','tool_use_id':'a'~'text':'1'~"
      "{'type':'tool_result','tool_use_id':'b'~'text':'2'~"
      "{'type':'text','text':'q'}]}",
      NULL, NULL },
    { "7.50 an answer to no call is left out, a call without one gets it",
      "anthropic", "claude-opus-5", ALL,
      M(USER "," CALLS("", CALL("c", "f", "{}")) "," RESULT("x", "r") ","
        USER) ",'tools':[" TOOL("") "]}",
      "{'type':'tool_result','tool_use_id':'c','content':[{'type':'text',~"
      "'is_error':true},{'type':'text','text':'q'}",
      "'x'", "drop=tool_call_id; emulate=tool_calls" },
    { "7.50 Gemini refuses an answer to no call",
      "gemini", "gemini-2.5-flash", ALL,
      M(USER "," RESULT("x", "r")) "}", NULL, NULL, "messages[1]" },
    { "7.51 ids that come twice are made unique and paired in order",
      "anthropic", "claude-opus-5", ALL,
      M(USER "," CALLS("", CALL("c", "f", "{}")) "," RESULT("c", "1") ","
        CALLS("", CALL("c", "f", "{}")) "," RESULT("c", "2"))
      ",'tools':[" TOOL("") "]}",
      "'type':'tool_use','id':'c',~'tool_use_id':'c','content':[{'type':"
      "'text','text':'1'}~'type':'tool_use','id':'c_2',~"
      "'tool_use_id':'c_2','content':[{'type':'text','text':'2'}",
      NULL, NULL },
    { "7.54 a turn of calls alone has null for content",
      "openai", "gpt-5", ALL,
      M(USER "," CALLS("'content':'',", CALL("c", "f", "{}")) ","
        RESULT("c", "r")) "}",
      "{'role':'assistant','content':null,'tool_calls':[", NULL, NULL },
    { "7.55 arguments that are no object are wrapped",
      "anthropic", "claude-opus-5", ALL,
      M(USER "," CALLS("", CALL("c", "f", "{\\'a\\':")) "," RESULT("c", "r"))
      ",'tools':[" TOOL("") "]}",
      "'input':{'_raw':'{\\'a\\':'}", NULL,
      "approx=tool_calls.function.arguments" },
    { "7.57 an impossible name of a tool is written with what may be",
      "anthropic", "claude-opus-5", ALL,
      M(USER "," CALLS("", CALL("c", "a.b c", "{}")) "," RESULT("c", "r"))
      ",'tools':[" TOOL("") "]}",
      "'name':'a_b_c'", "a.b", NULL },
    { "7.58 Anthropic demands max_tokens: the model's own",
      "anthropic", "claude-3-5-sonnet", ALL, HI "}", "'max_tokens':8192", NULL,
      NULL },
    { "7.59 a model that reasons gets the limit's new name",
      "edit", "gpt-5-mini", ALL, HI ",'max_tokens':7}",
      "'max_completion_tokens':7}", "'max_tokens'", NULL },
    { "7.59 an older server its old one",
      "edit", "llama", OLD, HI ",'max_completion_tokens':7}",
      "'max_tokens':7}", "completion", NULL },
    { "7.59 ... and not twice, when the client says null",
      "edit", "llama", OLD,
      "{'max_tokens':null,'stream_options':null,'model':'m',"
      "'max_completion_tokens':7,'messages':[" USER "]}",
      "{'model':'llama','max_tokens':7,'messages'", "null", NULL },
    { "7.60 sampling is left out where models refuse it",
      "anthropic", "claude-opus-4-7", ALL,
      HI ",'temperature':0.5,'top_p':0.5,'top_k':5}", "'messages'",
      "temperature~top_p~top_k", "drop=temperature,top_p,top_k" },
    { "7.60 ... and sent, to at most 1, where they take it",
      "anthropic", "claude-3-5-sonnet", ALL,
      HI ",'temperature':1.5,'top_p':0.50,'top_k':5}",
      "'temperature':1,'top_p':0.50,'top_k':5", NULL, "approx=temperature" },
    { "7.61 nothing is said that the client did not say",
      "gemini", "gemini-2.5-flash", ALL, HI "}",
      "{'contents':[{'role':'user','parts':[{'text':'q'}]}],"
      "'generationConfig':{}}", NULL, NULL },
    { "7.62 null is absent",
      "anthropic", "claude-opus-5", ALL,
      HI ",'temperature':null,'tools':null,'stop':null,'user':null,"
      "'response_format':null,'seed':null,'foo':null}",
      "'messages'", "null~temperature~foo", NULL },
    { "7.63 no choice where there are no tools: Anthropic",
      "anthropic", "claude-opus-5", ALL, HI ",'tool_choice':'auto'}",
      "'messages'", "tool_choice", NULL },
    { "7.63 ... Gemini",
      "gemini", "gemini-2.5-flash", ALL, HI ",'tool_choice':'auto'}",
      "'contents'", "toolConfig", NULL },
    { "7.65 no parallel calls: a choice is made to say it in",
      "anthropic", "claude-opus-5", ALL,
      HI ",'tools':[" TOOL("") "],'parallel_tool_calls':false}",
      "'tool_choice':{'type':'auto','disable_parallel_tool_use':true}", NULL,
      NULL },
    { "7.66 a tool of an unknown type is refused",
      "anthropic", "claude-opus-5", ALL,
      HI ",'tools':[{'type':'web_search'}]}", NULL, NULL, "tools[0].type" },
    { "7.67 a tool's schema is copied as it is",
      "anthropic", "claude-opus-5", ALL,
      HI ",'tools':[" TOOL(",'parameters':{'type':'object','$defs':{'d':{}},"
        "'properties':{'z':{'$ref':'#/$defs/d'},'a':{}},"
        "'additionalProperties':false,'x-y':1.0}") "]}",
      "'input_schema':{'type':'object','$defs':{'d':{}},'properties':{'z':"
      "{'$ref':'#/$defs/d'},'a':{}},'additionalProperties':false,'x-y':1.0}",
      NULL, NULL },
    { "7.68 strict goes to models that know it",
      "anthropic", "claude-opus-5", ALL,
      HI ",'tools':[" TOOL(",'strict':true") "]}", "'strict':true", NULL,
      NULL },
    { "7.68 ... to no others",
      "anthropic", "claude-3-5-sonnet", ALL,
      HI ",'tools':[" TOOL(",'strict':true") "]}", "'tools'", "strict",
      "drop=tools.function.strict" },
    { "7.69 a schema of the answer is native, beside tools and thinking",
      "anthropic", "claude-opus-5", ALL,
      HI ",'tools':[" TOOL("") "],'reasoning_effort':'high','response_format':"
      "{'type':'json_schema','json_schema':{'name':'n','schema':{'type':"
      "'object','b':1,'a':2}}}}",
      "'thinking':{'type':'adaptive'},'output_config':{'effort':'high',"
      "'format':{'type':'json_schema','schema':{'type':'object','b':1,'a':2}}}",
      "tool_choice", NULL },
    { "7.69 ... and told in words where it is not",
      "anthropic", "claude-3-5-sonnet", ALL,
      HI ",'response_format':{'type':'json_schema','json_schema':{'name':'n',"
      "'schema':{'b':1}}}}",
      "'system':[{'type':'text','text':'~{\\'b\\':1}", "output_config",
      "approx=response_format" },
    { "7.70 the type of an image is what its bytes say",
      "anthropic", "claude-opus-5", ALL,
      PART(IMAGE("data:image/jpg;base64," PNG)),
      "'media_type':'image/png','data':'" PNG "'", NULL, NULL },
    { "7.70 image/jpg is image/jpeg",
      "gemini", "gemini-2.5-flash", ALL,
      PART(IMAGE("data:image/jpg;base64,AAAA")), "'mimeType':'image/jpeg'",
      NULL, NULL },
    { "7.70 no drawings for Anthropic",
      "anthropic", "claude-opus-5", ALL,
      PART("{'type':'text','text':'q'},"
           IMAGE("data:image/svg+xml;base64,AAAA")),
      NULL, NULL, "messages[0].content[1]" },
    { "7.70 ... nor for Gemini",
      "gemini", "gemini-2.5-flash", ALL,
      PART(IMAGE("data:image/tiff;base64,AAAA")), NULL, NULL,
      "messages[0].content[0]" },
    { "7.71 a link goes to whom can follow it: Anthropic",
      "anthropic", "claude-opus-5", ALL, PART(IMAGE("https://x/y.png")),
      "'source':{'type':'url','url':'https://x/y.png'}", NULL, NULL },
    { "7.71 ... a Gemini of today",
      "gemini", "gemini-2.5-flash", OLD, PART(IMAGE("https://x/y.png")),
      "'fileData':{'mimeType':'image/png','fileUri':'https://x/y.png'}", NULL,
      NULL },
    { "7.71 ... and is refused for an older one, with its place",
      "gemini", "gemini-2.0-flash", OLD,
      M(USER "," CALLS("", CALL("c", "f", "{}")) "," RESULT("c", "r") ","
        "{'role':'user','content':[{'type':'text','text':'q'},"
        IMAGE("https://x/y.png") "]}") "}",
      NULL, NULL, "messages[3].content[1]" },
    { "7.73 data URLs of all sorts",
      "gemini", "gemini-2.5-flash", ALL,
      PART(IMAGE("DATA:Image/WebP;charset=x;BASE64,_-8")),
      "'mimeType':'image/webp','data':'/+8='", NULL, NULL },
    { "7.103 seeds beyond 2^53 keep their digits: OpenAI",
      "edit", "gpt-4o", ALL, HI ",'seed':9223372036854775807}",
      "'seed':9223372036854775807", NULL, NULL },
    { "7.103 ... through the tree as well, and 1.0 stays 1.0",
      "openai", "gpt-4o", ALL,
      HI ",'seed':9007199254740993,'temperature':1.0}",
      "'temperature':1.0~'seed':9007199254740993", NULL, NULL },
    { "7.103 ... and lose the upper ones for Gemini",
      "gemini", "gemini-2.5-flash", ALL, HI ",'seed':9007199254740993}",
      "'seed':1}", NULL, "approx=seed" },
    { "7.104 the order of keys and tools stands, bytes and all",
      "anthropic", "claude-opus-5", ALL,
      HI ",'tools':[{'type':'function','function':{'name':'z','parameters':"
      "{'type':'object','properties':{ 'b' : {}, 'a':{} }}}}," TOOL("") "]}",
      "'tools':[{'name':'z','input_schema':{'type':'object','properties':{ "
      "'b' : {}, 'a':{} }}},{'name':'f'", NULL, NULL },
    { "7.110 an address of a person does not go to another vendor",
      "anthropic", "claude-opus-5", ALL, HI ",'user':'me@x.org'}",
      "'metadata':{'user_id':'", "me@x", "approx=user" },

    /* what a target cannot say is told in the client's words */
    { "5.1 Anthropic: what is dropped is told",
      "anthropic", "claude-opus-5", ALL,
      HI ",'seed':1,'frequency_penalty':1,'presence_penalty':1,'logit_bias':"
      "{'1':1},'logprobs':true,'top_logprobs':2,'verbosity':'low',"
      "'prompt_cache_key':'k','metadata':{'a':'b'},'store':true,'prediction':"
      "{'type':'content','content':'x'},'service_tier':'flex','foo':1}",
      "'messages'", "seed~foo~flex~penalty",
      "drop=seed,frequency_penalty,presence_penalty,logit_bias,top_logprobs,"
      "verbosity,prompt_cache_key,metadata,prediction,logprobs,store,foo,"
      "service_tier" },
    { "5.1 Gemini: what is dropped is told",
      "gemini", "gemini-2.5-flash", ALL,
      HI ",'frequency_penalty':1,'logit_bias':{'1':1},'verbosity':'low',"
      "'user':'u','prompt_cache_key':'k','metadata':{'a':'b'},'store':true,"
      "'stop':['1','2','3','4','5','6'],'parallel_tool_calls':false,'tools':["
      TOOL("") "],'foo':1}",
      "'stopSequences':['1','2','3','4','5']~'frequencyPenalty':1", "'6'",
      "drop=parallel_tool_calls,stop,foo,logit_bias,verbosity,user,metadata,"
      "store,prompt_cache_key" },
    { "5.1 Gemini: names, thoughts of others, cache marks",
      "gemini", "gemini-2.5-flash", ALL,
      M("{'role':'system','name':'s','content':'a'},"
        "{'role':'user','name':'Bo','content':[" IMAGE("data:image/png;base64,"
        PNG) ",{'type':'text','text':'b','cache_control':{'type':"
        "'ephemeral'}}]}," SAID(",'reasoning_content':'hm'") "," USER) "}",
      "{'text':'Bo:'},{'inlineData'~{'text':'b'}]~"
      "{'role':'model','parts':[{'text':'a'}]}",
      "hm", "drop=name,reasoning_content; approx=cache_control" },
    { "5.1 thoughts go to those who read them",
      "openai", "deepseek-reasoner", LLMUX_CAN_REASONING,
      M(USER "," SAID(",'reasoning_content':'hm'") "," USER) "}",
      "'reasoning_content':'hm'", NULL, NULL },
    { "5.1 ... and to nobody else",
      "openai", "gpt-5", LLMUX_CAN_DEVELOPER,
      M(USER "," SAID(",'reasoning_content':'hm'") "," USER) "}",
      "'content':'a'", "hm", "drop=reasoning_content" },
    { "5.1 n is refused where it cannot be said",
      "anthropic", "claude-opus-5", ALL, HI ",'n':2}", NULL, NULL, "n" },
    { "5.1 ... and said where it can",
      "gemini", "gemini-2.5-flash", ALL, HI ",'n':2}", "'candidateCount':2",
      NULL, NULL },
    { "5.1 sound is refused where nobody listens",
      "anthropic", "claude-opus-5", ALL,
      M(USER ",{'role':'user','content':[{'type':'input_audio','input_audio':"
        "{'data':'AAAA','format':'wav'}}]}") "}",
      NULL, NULL, "messages[1].content[0]" },
    { "5.1 ... as is an answer in sound",
      "anthropic", "claude-opus-5", ALL,
      HI ",'modalities':['text','audio'],'audio':{'voice':'a','format':'wav'}}",
      NULL, NULL, "modalities" },
    { "5.1 ids of somebody else's files are refused",
      "gemini", "gemini-2.5-flash", ALL,
      PART("{'type':'file','file':{'file_id':'file-1'}}"), NULL, NULL,
      "messages[0].content[0]" },
    { "5.1 media in a tool's result: Anthropic",
      "anthropic", "claude-opus-5", ALL,
      M(USER "," CALLS("", CALL("c", "f", "{}")) ",{'role':'tool',"
        "'tool_call_id':'c','content':[{'type':'text','text':'r'},"
        IMAGE("data:image/png;base64," PNG) "]}") ",'tools':[" TOOL("") "]}",
      "'tool_use_id':'c','content':[{'type':'text','text':'r'},{'type':"
      "'image'", NULL, NULL },
    { "5.1 ... Gemini 3",
      "gemini", "gemini-3-pro-preview", ALL,
      M(USER "," CALLS("", CALL("c", "f", "{}")) ",{'role':'tool',"
        "'tool_call_id':'c','content':[" IMAGE("data:image/png;base64," PNG)
        "]}") "}",
      "'functionResponse':{'name':'f','response':{'output':''},'parts':["
      "{'inlineData'", NULL, NULL },
    { "5.1 ... Gemini before: behind the results",
      "gemini", "gemini-2.5-flash", ALL,
      M(USER "," CALLS("", CALL("c", "f", "{}")) ",{'role':'tool',"
        "'tool_call_id':'c','content':[" IMAGE("data:image/png;base64," PNG)
        "]}") "}",
      "'output':''}}},{'text':'What f returned:'},{'inlineData'", NULL, NULL },
    { "5.1 a picture of an earlier answer goes back to who may have made it",
      "gemini", "gemini-2.5-flash-image", ALL,
      M(USER "," SAID(",'images':[" IMAGE("data:image/png;base64," PNG) "]")
        "," USER) "}",
      "{'role':'model','parts':[{'text':'a'},{'inlineData'", NULL, NULL },
    { "5.1 ... and is refused where answers have none",
      "anthropic", "claude-opus-5", ALL,
      M(USER "," SAID(",'images':[" IMAGE("data:image/png;base64," PNG) "]")
        "," USER) "}",
      NULL, NULL, "messages[1].images[0]" },
    { "5.1 the role developer is system for older servers",
      "edit", "llama", OLD,
      M("{'role':'developer','content':'d'}," USER) "}",
      "{'role':'system','content':'d'}", "developer", NULL },
    { "5.1 usage is asked for in every stream",
      "edit", "gpt-4o", ALL, HI ",'stream':true}",
      "'stream_options':{'include_usage':true}", NULL, NULL },
    { "5.3 effort on models that count, and on those that do not",
      "gemini", "gemini-2.5-flash", ALL, HI ",'reasoning_effort':'low'}",
      "'thinkingConfig':{'includeThoughts':true,'thinkingBudget':1024}",
      "thinkingLevel", NULL },
    { "5.3 ... Gemini 3",
      "gemini", "gemini-3-flash", ALL, HI ",'reasoning_effort':'minimal'}",
      "'thinkingLevel':'MINIMAL'", "thinkingBudget", NULL },
    { "5.3 ... Anthropic, where thinking softens a forced choice",
      "anthropic", "claude-opus-5", ALL,
      HI ",'reasoning_effort':'max','tools':[" TOOL("") "],'tool_choice':"
      "'required'}",
      "'tool_choice':{'type':'auto'}~'thinking':{'type':'adaptive'},"
      "'output_config':{'effort':'max'}",
      NULL, "approx=tool_choice" },
    { "U+2028 passes as it is",
      "anthropic", "claude-opus-5", ALL,
      M("{'role':'user','content':'a\xe2\x80\xa8z'}") "}", "a\xe2\x80\xa8z",
      NULL, NULL }
};

/* Bytes of a request as the gateway makes them, NULL when refused. */
static const char *edit(const char *text, const llmux_target_t *target,
                        llmux_warnings_t *warnings,
                        const llmux_error_t **err)
{
    llmux_json_parser_t *parser = llmux_json_parser_create(pool);
    llmux_buf_t *out = llmux_buf_create(pool, 1 << 20);
    llmux_slice_t body = llmux_slice(text);
    llmux_head_t head = { 0 };

    *err = llmux_dialect_openai.head(pool, parser, body, &head);
    if (*err) {
        return NULL;
    }
    llmux_dialect_openai.edit(out, pool, &head, body, target, warnings);
    return out->data;
}

/* What was scratch is something else now: an error must not be in it. */
static void soil(void)
{
    apr_pool_t *p;
    int i;

    apr_pool_create(&p, pool);
    for (i = 0; i < 8; i++) {
        memset(apr_palloc(p, 8000), '#', 8000);
    }
    apr_pool_destroy(p);
}

static const char *write_as(const llmux_dialect_t *dialect, const char *text,
                            const llmux_target_t *target,
                            llmux_warnings_t *warnings,
                            const llmux_error_t **err)
{
    const llmux_json_t *json = llmux_json_parse(pool, llmux_slice(text), 0,
                                                NULL);
    llmux_chat_t *chat = chat_with_seals(pool);
    llmux_buf_t *out = llmux_buf_create(pool, 1 << 20);
    llmux_buf_t *again = llmux_buf_create(pool, 1 << 20);
    apr_pool_t *scratch;

    *err = llmux_dialect_openai.read(chat, json);
    if (!*err) {
        apr_pool_create(&scratch, pool);
        *err = dialect->write(out, chat, target, warnings, scratch);
        apr_pool_destroy(scratch);
        soil();
    }
    if (*err) {
        return NULL;
    }
    /* 7.47: a pure function of what the client sent */
    dialect->write(again, chat, target, NULL, pool);
    return strcmp(out->data, again->data) ? "not the same twice" : out->data;
}

static int is_json(const char *text)
{
    return llmux_json_parse(pool, llmux_slice(text), 0, NULL) != NULL;
}

/* Every server of OpenAI's dialect may have a base of max_tokens; only
 * Anthropic's writer looks at it. */
static const char *write_request(const char *dialect, const char *model,
                                 unsigned int can, const char *body,
                                 llmux_warnings_t *warnings,
                                 const llmux_error_t **err)
{
    const llmux_target_t target = {
        .name = "Test", .model = llmux_slice(model), .can = can
    };
    const char *text = quotes(pool, body);

    return !strcmp(dialect, "edit")
        ? edit(text, &target, warnings, err)
        : write_as(llmux_dialect_named(dialect), text, &target, warnings, err);
}

static void test_request(int i)
{
    llmux_warnings_t *warnings = llmux_warnings_create(pool, 0);
    const llmux_error_t *err;
    const char *got = write_request(requests[i].dialect, requests[i].model,
                                    requests[i].can, requests[i].body,
                                    warnings, &err);

    if (!requests[i].want) {
        is_str(err ? apr_psprintf(pool, "%d %s", err->status, err->param)
                   : "not refused",
               apr_psprintf(pool, "400 %s", requests[i].told),
               requests[i].name);
        return;
    }
    if (err || !is_json(got)) {
        ok(0, "%s: %s", requests[i].name, err ? err->message : got);
        return;
    }
    check(requests[i].name, got, requests[i].want, requests[i].absent);
    is_str(llmux_warnings_header(pool, warnings), requests[i].told,
           "... and what is told of it");
}

/* ---- answers --------------------------------------------------------- */

/* Anthropic */
#define START   "{'type':'message_start','message':{'id':'m1','model':'c'," \
                "'content':[],'usage':{'input_tokens':12," \
                "'cache_read_input_tokens':3,'output_tokens':1}}}\n"
#define BEGIN(n, block) "{'type':'content_block_start','index':" n "," \
                        "'content_block':{" block "}}\n"
#define DELTA(n, delta) "{'type':'content_block_delta','index':" n "," \
                        "'delta':{" delta "}}\n"
#define END(n)          "{'type':'content_block_stop','index':" n "}\n"
#define TEXT(n, text)   BEGIN(n, "'type':'text','text':''") \
                        DELTA(n, "'type':'text_delta','text':'" text "'") \
                        END(n)
#define USE(n, id, name, args) \
    BEGIN(n, "'type':'tool_use','id':'" id "','name':'" name "','input':{}") \
    DELTA(n, "'type':'input_json_delta','partial_json':'" args "'") END(n)
#define STOP(why)       "{'type':'message_delta','delta':{'stop_reason':'" \
                        why "'},'usage':{'output_tokens':30}}\n" \
                        "{'type':'message_stop'}\n"
#define WHOLE(content, why) "{'id':'m1','type':'message','model':'c'," \
                        "'content':[" content "],'stop_reason':'" why "'," \
                        "'usage':{'input_tokens':1,'output_tokens':2}}"

/* Gemini */
#define PARTS(parts)    "{'candidates':[{'content':{'parts':[" parts "]}}]}\n"
#define FINISH(why)     "{'candidates':[{'finishReason':'" why "'}]}\n"

/* OpenAI */
#define CHUNK(delta)    "{'id':'c1','choices':[{'index':0,'delta':{" delta \
                        "}}]}\n"
#define FRAG(fragment)  CHUNK("'tool_calls':[{" fragment "}]")
#define DONE(why)       "{'id':'c1','choices':[{'index':0,'delta':{}," \
                        "'finish_reason':'" why "'}]}\n[DONE]\n"

static const struct {
    const char *name;
    const char *dialect;
    int streamed;
    const char *bytes;
    const char *want;       /* fragments in order; "!KIND" is an error */
    const char *absent;
} answers[] = {
    { "7.1 parallel Anthropic calls get indexes of their own",
      "anthropic", 1,
      START USE("0", "a", "f", "{\\'x\\':1}") USE("1", "b", "g", "{}")
      STOP("tool_use"),
      "'index':0,'id':'a'~'index':0,'function':{'arguments':'{\\'x\\':1}'}~"
      "'index':1,'id':'b'~'index':1,'function':{'arguments':'{}'}~"
      "'finish_reason':'tool_calls'", NULL },
    { "7.2 all calls of a whole answer are there",
      "anthropic", 0,
      WHOLE("{'type':'tool_use','id':'a','name':'f','input':{'x':1}},"
            "{'type':'tool_use','id':'b','name':'g','input':{}}", "tool_use"),
      "'id':'a','type':'function','function':{'name':'f','arguments':"
      "'{\\'x\\':1}'}},{'id':'b','type':'function','function':{'name':'g',"
      "'arguments':'{}'}}]~'finish_reason':'tool_calls'", NULL },
    { "7.3 calls behind a text are numbered from 0",
      "anthropic", 1,
      START TEXT("0", "hi") USE("1", "a", "f", "{}") STOP("tool_use"),
      "'content':'hi'~'tool_calls':[{'index':0,'id':'a'", "'index':1" },
    { "7.3 gaps in a server's own numbers are none for the client",
      "openai", 1,
      FRAG("'index':1,'id':'a','function':{'name':'f','arguments':'{}'}")
      FRAG("'index':4,'id':'b','function':{'name':'g','arguments':'{}'}")
      DONE("tool_calls"),
      "'index':0,'id':'a'~'index':1,'id':'b'", "'index':4" },
    { "7.4 what the server's own tools do is no call of the client's",
      "anthropic", 1,
      START BEGIN("0", "'type':'server_tool_use','id':'s','name':'web_search',"
                  "'input':{}")
      DELTA("0", "'type':'input_json_delta','partial_json':'{}'") END("0")
      BEGIN("1", "'type':'web_search_tool_result','tool_use_id':'s',"
            "'content':[]") END("1") TEXT("2", "hi") STOP("end_turn"),
      "'content':'hi'~'finish_reason':'stop'", "tool_calls~web_search" },
    { "7.5 thinking is read from its own field",
      "anthropic", 1,
      START BEGIN("0", "'type':'thinking','thinking':'','signature':''")
      DELTA("0", "'type':'thinking_delta','thinking':'Hm'")
      DELTA("0", "'type':'signature_delta','signature':'S'") END("0")
      TEXT("1", "hi") STOP("end_turn"),
      "'reasoning_content':'Hm'~'signature':'S','format':'anthropic-claude-v1'"
      ",'index':0~'content':'hi'", NULL },
    { "7.6 a signature without words is shown",
      "anthropic", 0,
      WHOLE("{'type':'thinking','thinking':'','signature':'S'},"
            "{'type':'text','text':'hi'}", "end_turn"),
      "'reasoning_details':[{'type':'reasoning.text','signature':'S'", NULL },
    { "7.12 a signature on an empty text is not lost",
      "gemini", 1,
      PARTS("{'text':'hi'}") PARTS("{'text':'','thoughtSignature':'S'}")
      FINISH("STOP"),
      "'content':'hi'~'signature':'S','format':'google-gemini-v1'", NULL },
    { "7.14 calls, and STOP in a later chunk",
      "gemini", 1,
      PARTS("{'functionCall':{'name':'f','args':{'a':1}}}")
      PARTS("{'text':''}") FINISH("STOP"),
      "'name':'f'~'arguments':'{\\'a\\':1}'~'finish_reason':'tool_calls'",
      NULL },
    { "7.15 a finish without content",
      "gemini", 1,
      "{'candidates':[{'finishReason':'MAX_TOKENS'}],'usageMetadata':"
      "{'promptTokenCount':9,'thoughtsTokenCount':5}}\n",
      "'finish_reason':'length'~'completion_tokens':5~'reasoning_tokens':5",
      NULL },
    { "7.16 a prompt that is blocked is an answer that is filtered",
      "gemini", 0,
      "{'promptFeedback':{'blockReason':'SAFETY'},'usageMetadata':"
      "{'promptTokenCount':9}}",
      "'index':0,'message':{'role':'assistant','content':null~"
      "'finish_reason':'content_filter'~'prompt_tokens':9", NULL },
    { "7.17 a call without arguments has an empty object",
      "gemini", 0,
      "{'candidates':[{'content':{'parts':[{'functionCall':{'name':'f'}}]},"
      "'finishReason':'STOP'}]}",
      "'arguments':'{}'", NULL },
    { "7.27 usage is set, not added; 28 cache tokens of the last report count",
      "anthropic", 1,
      "{'type':'message_start','message':{'id':'m1','model':'c','content':[],"
      "'usage':{'input_tokens':10,'output_tokens':1}}}\n" TEXT("0", "hi")
      "{'type':'message_delta','delta':{'stop_reason':'end_turn'},'usage':"
      "{'input_tokens':10,'cache_read_input_tokens':100,"
      "'cache_creation_input_tokens':7,'output_tokens':30}}\n"
      "{'type':'message_delta','delta':{}}\n{'type':'message_stop'}\n",
      "'usage':{'prompt_tokens':117,'completion_tokens':30,'total_tokens':147,"
      "'prompt_tokens_details':{'cached_tokens':100,'cache_write_tokens':7}}",
      NULL },
    { "7.29 a second report without usage leaves the first",
      "anthropic", 1,
      START TEXT("0", "hi")
      "{'type':'message_delta','delta':{'stop_reason':'end_turn'},'usage':"
      "{'output_tokens':30}}\n{'type':'message_delta','delta':{},'usage':"
      "{'output_tokens':null}}\n{'type':'message_stop'}\n",
      "'prompt_tokens':15,'completion_tokens':30", NULL },
    { "7.30 Anthropic's input, cache read and write add up, thinking does not",
      "anthropic", 0,
      "{'id':'m1','type':'message','content':[],'stop_reason':'end_turn',"
      "'usage':{'input_tokens':1,'cache_read_input_tokens':20,'cache_creation':"
      "{'ephemeral_5m_input_tokens':300},'output_tokens':50,"
      "'output_tokens_details':{'thinking_tokens':40}}}",
      "'prompt_tokens':321,'completion_tokens':50,'total_tokens':371,"
      "'prompt_tokens_details':{'cached_tokens':20,'cache_write_tokens':300},"
      "'completion_tokens_details':{'reasoning_tokens':40}", NULL },
    { "7.31 Gemini's thoughts count among what was made, tools among input",
      "gemini", 0,
      "{'candidates':[{'content':{'parts':[{'text':'a'}]},'finishReason':"
      "'STOP'}],'usageMetadata':{'promptTokenCount':100,"
      "'cachedContentTokenCount':60,'candidatesTokenCount':4,"
      "'thoughtsTokenCount':5,'toolUsePromptTokenCount':7,"
      "'totalTokenCount':116}}",
      "'prompt_tokens':107,'completion_tokens':9,'total_tokens':116,"
      "'prompt_tokens_details':{'cached_tokens':60}", NULL },
    { "7.33 usage on the finish chunk comes in a chunk of its own",
      "openai", 1,
      CHUNK("'content':'a'")
      "{'id':'c1','choices':[{'index':0,'delta':{},'finish_reason':'stop'}],"
      "'usage':{'prompt_tokens':1,'completion_tokens':2}}\n[DONE]\n",
      "'finish_reason':'stop'}],'usage':null}~'choices':[],'usage':"
      "{'prompt_tokens':1,'completion_tokens':2,'total_tokens':3}}~[DONE]",
      NULL },
    { "7.35 Azure's first chunk has no choices and no id: it is not the start",
      "openai", 1,
      "{'choices':[],'created':0,'id':'','model':'','object':'',"
      "'prompt_filter_results':[{'prompt_index':0}]}\n"
      CHUNK("'role':'assistant','content':''") CHUNK("'content':'a'")
      DONE("stop"),
      "{'id':'c1',~'role':'assistant'~'content':'a'", "'id':''~ours" },
    { "7.37 an end without a reason is a truncated answer: OpenAI",
      "openai", 1, CHUNK("'content':'a'") "[DONE]\n",
      "!BAD_UPSTREAM 502~{'error':{'message'", "'finish_reason':'stop'" },
    { "7.37 ... Anthropic",
      "anthropic", 1, START TEXT("0", "a"), "!BAD_UPSTREAM 502",
      "'finish_reason':'stop'" },
    { "7.37 ... Gemini",
      "gemini", 1, PARTS("{'text':'a'}"), "!BAD_UPSTREAM 502",
      "'finish_reason':'stop'" },
    { "7.52 a call waits for its name, an empty id says nothing",
      "openai", 1,
      FRAG("'index':0,'id':'a','function':{'arguments':'{'}")
      FRAG("'index':0,'id':'','function':{'name':'f','arguments':'}'}")
      DONE("tool_calls"),
      "'index':0,'id':'a','type':'function','function':{'name':'f',"
      "'arguments':''}~'arguments':'{'~'arguments':'}'", NULL },
    { "7.53 null for a type and an empty role are borne",
      "openai", 1,
      CHUNK("'role':'','content':null")
      FRAG("'index':0,'id':'a','type':null,'function':{'name':'f',"
           "'arguments':'{}'}") DONE("tool_calls"),
      "'role':'assistant'~'type':'function'", "'role':''" },
    { "7.56 arguments cut off at the limit stay as they are",
      "anthropic", 1,
      START USE("0", "a", "f", "{\\'x\\':[1,") STOP("max_tokens"),
      "'arguments':'{\\'x\\':[1,'~'finish_reason':'length'", "tool_use" },
    { "7.85 a call named parallel is a call",
      "openai", 0,
      "{'id':'c1','choices':[{'index':0,'message':{'content':null,"
      "'tool_calls':[{'id':'a','type':'function','function':{'name':"
      "'parallel','arguments':'{\\'tool_uses\\':[]}'}}]},'finish_reason':"
      "'tool_calls'}]}",
      "'name':'parallel','arguments':'{\\'tool_uses\\':[]}'", NULL },
    { "7.87 an error before any content is one that others may answer to",
      "anthropic", 1,
      START "{'type':'error','error':{'type':'overloaded_error','message':"
      "'Overloaded'}}\n",
      "!OVERLOADED 503", "'role'" },
    { "7.88 an error behind content is told in the stream, and ends it",
      "gemini", 1,
      PARTS("{'text':'a'}") "{'error':{'code':503,'message':'busy','status':"
      "'UNAVAILABLE'}}\n" FINISH("STOP"),
      "'content':'a'~!OVERLOADED 503~data: {'error':{'message':'busy'",
      "[DONE]~finish_reason':'" },
    { "7.95 a ping is a comment and takes no role away",
      "anthropic", 1,
      START "{'type':'ping'}\n" TEXT("0", "a") STOP("end_turn"),
      ": keep-alive\n\n~'role':'assistant'~'content':'a'", NULL },
    { "7.97 a start that comes twice is ignored",
      "anthropic", 1, START START TEXT("0", "a") STOP("end_turn"),
      "'content':'a'~'finish_reason':'stop'", NULL },
    { "7.97 another answer inside this one is an error",
      "anthropic", 1,
      START TEXT("0", "a") "{'type':'message_start','message':{'id':'m2',"
      "'content':[]}}\n" STOP("end_turn"),
      "!BAD_UPSTREAM 502", "'finish_reason':'stop'" },
    { "7.98 an unknown reason to stop is one: Anthropic",
      "anthropic", 0,
      WHOLE("{'type':'text','text':'a'}", "model_context_window_exceeded"),
      "'finish_reason':'length'", NULL },
    { "7.98 ... Gemini",
      "gemini", 0,
      "{'candidates':[{'content':{'parts':[{'text':'a'}]},'finishReason':"
      "'NEW_REASON'}]}",
      "'finish_reason':'stop'", NULL },
    { "7.102 several candidates keep their numbers",
      "gemini", 0,
      "{'candidates':[{'index':1,'content':{'parts':[{'text':'b'}]},"
      "'finishReason':'STOP'},{'content':{'parts':[{'text':'a'}]},"
      "'finishReason':'MAX_TOKENS'}]}",
      "'index':0,~'content':'a'~'length'~'index':1,~'content':'b'~'stop'",
      NULL },
    { "7.106 Anthropic cites a block: its place in the whole text",
      "anthropic", 0,
      WHOLE("{'type':'text','text':'\xe2\x98\x82\xef\xb8\x8f '},"
            "{'type':'text','text':'d\xc3\xa9j\xc3\xa0','citations':[{'type':"
            "'web_search_result_location','url':'u','title':'t','cited_text':"
            "'q','encrypted_index':'E'}]}", "end_turn"),
      "'annotations':[{'type':'url_citation','url_citation':{'url':'u','title'"
      ":'t','content':'q','start_index':3,'end_index':7}}]", "'E'" },
    { "7.106 Gemini cites bytes: characters",
      "gemini", 0,
      "{'candidates':[{'content':{'parts':[{'text':'\xe2\x98\x82 "
      "d\xc3\xa9j\xc3\xa0'}]},'finishReason':'STOP','groundingMetadata':{"
      "'groundingChunks':[{'web':{'uri':'u','title':'t'}}],"
      "'groundingSupports':[{'segment':{'startIndex':4,'endIndex':10},"
      "'groundingChunkIndices':[0]}]}}]}",
      "'start_index':2,'end_index':6", NULL },
    { "7.106 citations of a stream are numbered, as SDKs that join deltas want",
      "gemini", 1,
      PARTS("{'text':'ab'}")
      "{'candidates':[{'finishReason':'STOP','groundingMetadata':{"
      "'groundingChunks':[{'web':{'uri':'u'}},{'web':{'uri':'v'}}],"
      "'groundingSupports':[{'segment':{'endIndex':2},"
      "'groundingChunkIndices':[0,1]}]}}]}\n",
      "'annotations':[{'index':0,'type':'url_citation','url_citation':{'url':"
      "'u'~'annotations':[{'index':1,'type':'url_citation','url_citation':"
      "{'url':'v'", NULL },
    { "sources beside an answer become citations of its text",
      "openai", 0,
      "{'citations':['u'],'search_results':[{'title':'t','url':'u'}],"
      "'choices':[{'message':{'content':'d\xc3\xa9j\xc3\xa0'},'finish_reason':"
      "'stop'}]}",
      "'annotations':[{'type':'url_citation','url_citation':{'url':'u','title'"
      ":'t','start_index':0,'end_index':0}}]", NULL },
    { "5.2 sound is not lost",
      "gemini", 0,
      "{'candidates':[{'content':{'parts':[{'inlineData':{'mimeType':"
      "'audio/L16;rate=24000','data':'AAE='}},{'inlineData':{'mimeType':"
      "'audio/L16;rate=24000','data':'AgM='}}]},'finishReason':'STOP'}]}",
      "'content':null~'audio':{'id':'audio-ours'~'data':'AAECAw=='", NULL },
    { "5.2 ... streamed, its id comes once",
      "gemini", 1,
      PARTS("{'inlineData':{'mimeType':'audio/L16','data':'AAE='}}")
      PARTS("{'inlineData':{'mimeType':'audio/L16','data':'AgM='}}")
      FINISH("STOP"),
      "'delta':{'audio':{'id':'audio-ours'~'data':'AAE='~"
      "'delta':{'audio':{'data':'AgM='}}", NULL },
    { "5.5 a malformed call without a word is an error",
      "gemini", 1,
      PARTS("{'text':'hm','thought':true}") FINISH("MALFORMED_FUNCTION_CALL"),
      "!BAD_UPSTREAM 502", "'finish_reason':'stop'" },
    { "5.5 ... also from those who speak OpenAI's dialect",
      "openai", 0,
      "{'choices':[{'message':{'content':null},'finish_reason':"
      "'malformed_function_call'}]}",
      "!BAD_UPSTREAM 502", "choices" },
    { "5.5 ... and behind a text the end of it",
      "gemini", 0,
      "{'candidates':[{'content':{'parts':[{'text':'a'}]},'finishReason':"
      "'UNEXPECTED_TOOL_CALL'}]}",
      "'content':'a'~'finish_reason':'stop'", NULL },
    { "5.5 ... and behind calls, which stand",
      "gemini", 0,
      "{'candidates':[{'content':{'parts':[{'functionCall':{'name':'f'}}]},"
      "'finishReason':'TOO_MANY_TOOL_CALLS'}]}",
      "'name':'f'~'finish_reason':'tool_calls'", NULL },
    { "5.5 Anthropic's refusal without words is filtered content",
      "anthropic", 0, WHOLE("", "refusal"),
      "'content':null~'finish_reason':'content_filter'", NULL },
    { "5.5 recitation is filtered content",
      "gemini", 0,
      "{'candidates':[{'content':{'parts':[{'text':'a'}]},'finishReason':"
      "'RECITATION'}]}",
      "'finish_reason':'content_filter'", NULL },
    { "5.4 tiers in OpenAI's words",
      "anthropic", 0,
      "{'id':'m1','type':'message','content':[],'stop_reason':'end_turn',"
      "'usage':{'input_tokens':1,'output_tokens':1,'service_tier':'standard'}}",
      "'service_tier':'default'", NULL },
    { "U+2028 in a stream ends no event",
      "openai", 1, CHUNK("'content':'a\xe2\x80\xa8z'") DONE("stop"),
      "'content':'a\xe2\x80\xa8z'~[DONE]", NULL }
};

typedef struct client_t {
    llmux_encoder_t *encoder;
    llmux_buf_t *out;
} client_t;

static void to_client(void *baton, const llmux_event_t *ev)
{
    client_t *c = baton;

    if (ev->kind == LLMUX_EV_ERROR) {
        llmux_buf_addf(c->out, "!%s %d\n", error_names[ev->error->kind],
                       ev->error->status);
    }
    c->encoder->event(c->encoder, ev, c->out);
}

/* From the provider's bytes, fed `step` at a time, to the client's. */
static const char *answer(const char *dialect, const llmux_encode_t *how,
                          const char *bytes, apr_size_t step)
{
    const llmux_encode_t sealing = with_seals(*how);
    client_t c = { llmux_dialect_openai.encoder(pool, &sealing),
                   llmux_buf_create(pool, 1 << 20) };
    llmux_stream_t *s = llmux_stream_open(pool, &test_env,
                                          llmux_dialect_named(dialect),
                                          how->streamed, to_client, NULL, &c);
    apr_size_t len = strlen(bytes), i;

    for (i = 0; i < len; i += step) {
        llmux_stream_feed(s, bytes + i, step < len - i ? step : len - i);
    }
    llmux_stream_end(s);
    return apr_pstrdup(pool, c.out->data ? c.out->data : "");
}

/* What the client gets, with the tokens that are under seal. */
static const char *shown(const char *dialect, const llmux_encode_t *how,
                         const char *bytes, apr_size_t step)
{
    return bare(pool, unsealed(pool, answer(dialect, how, bytes, step)));
}

static void test_answer(int i)
{
    const llmux_encode_t how = {
        .streamed = answers[i].streamed, .include_usage = 1,
        .show_thinking = 1, .id = "ours", .created = 99
    };
    const char *bytes = how.streamed ? events(pool, answers[i].bytes)
                                     : quotes(pool, answers[i].bytes);
    const char *got = shown(answers[i].dialect, &how, bytes, strlen(bytes));
    const char *once = strstr(got, "\"role\"");

    check(answers[i].name, got, answers[i].want, answers[i].absent);
    /* 7.26, 7.96 */
    ok(!strcmp(got, shown(answers[i].dialect, &how, bytes, 1)),
       "... however it is cut");
    ok(!once || strstr(got, "\"index\":1,\"message\"")
       || !strstr(once + 1, "\"role\""), "... and with one role");
}

/* 7.24 and 7.25: line ends of three kinds, no space behind the colon. */
static void test_framing(void)
{
    static const char *const ends[] = { "\n\n", "\r\n\r\n", "\r\r" };
    const llmux_encode_t how = { .streamed = 1, .id = "ours" };
    const char *bytes, *got;
    int i;

    for (i = 0; i < 3; i++) {
        bytes = quotes(pool, apr_pstrcat(pool,
            "data:{'choices':[{'delta':{'content':'a'}}]}", ends[i],
            "data: {'choices':[{'delta':{},'finish_reason':'stop'}]}", ends[i],
            "data:[DONE]", ends[i], NULL));
        got = answer("openai", &how, bytes, 1);
        check("7.24 line ends of every kind, 7.25 with and without a space",
              got, "'content':'a'~'finish_reason':'stop'~[DONE]", "usage");
    }
}

/* 7.33: nobody who did not ask sees a usage chunk. */
static void test_usage_unasked(void)
{
    const llmux_encode_t how = { .streamed = 1, .id = "ours" };

    check("7.33 usage that nobody asked for is not told",
          answer("openai", &how,
                 events(pool, CHUNK("'content':'a'")
                        "{'choices':[],'usage':{'prompt_tokens':1}}\n"
                        DONE("stop")), 7),
          "'content':'a'~'finish_reason':'stop'~[DONE]", "usage");
}

/* 5.1: a custom tool goes to Anthropic and Gemini as a function; its call
 * comes back to the client as one of a custom tool. */
static void test_custom(void)
{
    const llmux_tool_t other = { .name = llmux_slice("f") };
    const llmux_tool_t sql = { .next = (llmux_tool_t *)&other,
                               .name = llmux_slice("sql"), .custom = 1 };
    const llmux_encode_t how = { .streamed = 1, .id = "ours", .tools = &sql };
    const llmux_encode_t whole = { .id = "ours", .tools = &sql };

    check("5.1 the call of a custom tool has its free text, streamed",
          answer("anthropic", &how, events(pool,
                     START USE("0", "a", "sql", "{\\'input\\':\\'x\\\\n\\'}")
                     USE("1", "b", "f", "{\\'input\\':1}") STOP("tool_use")),
                 9),
          "'id':'a','type':'custom','custom':{'name':'sql','input':''}~"
          "'custom':{'input':'x\\n'}~'id':'b','type':'function'~"
          "'arguments':'{\\'input\\':1}'", "'index':0,'function'");
    check("5.1 ... and whole",
          answer("gemini", &whole, quotes(pool,
                     "{'candidates':[{'content':{'parts':[{'functionCall':"
                     "{'name':'sql','args':{'input':'x'}}},{'functionCall':"
                     "{'name':'sql','args':{'no':1}}}]},'finishReason':'STOP'"
                     "}]}"), 9),
          "'type':'custom','custom':{'name':'sql','input':'x'}}~"
          "'input':'{\\'no\\':1}'", "function'");
}

/* ---- two turns ------------------------------------------------------- */

static void join(json_object *to, json_object *delta);

/* As OpenAI's SDK for Python joins lists: by the elements' numbers. */
static void join_list(json_object *to, json_object *delta)
{
    json_object *e, *number, *mine;
    size_t i, n;

    for (i = 0; i < json_object_array_length(delta); i++) {
        e = json_object_array_get_idx(delta, i);
        if (!json_object_object_get_ex(e, "index", &number)) {
            ok(0, "an element has its number");
            return;
        }
        n = (size_t)json_object_get_int(number);
        mine = json_object_array_get_idx(to, n);
        if (mine) {
            join(mine, e);
        }
        else {
            json_object_array_add(to, json_object_get(e));
        }
    }
}

static void join(json_object *to, json_object *delta)
{
    json_object *mine;

    json_object_object_foreach(delta, name, v) {
        mine = json_object_object_get(to, name);
        if (!mine || !strcmp(name, "index") || !strcmp(name, "type")) {
            json_object_object_add(to, name, json_object_get(v));
        }
        else if (json_object_is_type(v, json_type_string)) {
            json_object_object_add(to, name, json_object_new_string(
                apr_pstrcat(pool, json_object_get_string(mine),
                            json_object_get_string(v), NULL)));
        }
        else if (json_object_is_type(v, json_type_array)) {
            join_list(mine, v);
        }
        else if (json_object_is_type(v, json_type_object)) {
            join(mine, v);
        }
    }
}

/* The message of choice 0, as text. */
static const char *message_of(const char *bytes, int streamed)
{
    json_object *message = json_object_new_object(), *body, *choice, *part;
    const char *text, *at = bytes;

    while (at) {
        at = streamed ? strstr(at, "data: {") : at;
        body = at ? json_tokener_parse(streamed ? at + 6 : at) : NULL;
        choice = body ? json_object_array_get_idx(
                            json_object_object_get(body, "choices"), 0) : NULL;
        part = choice ? json_object_object_get(
                            choice, streamed ? "delta" : "message") : NULL;
        if (part) {
            join(message, part);
        }
        json_object_put(body);
        at = at && streamed ? at + 6 : NULL;
    }
    text = apr_pstrdup(pool, json_object_to_json_string_ext(
        message, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(message);
    return text;
}

/* The tool's answers to the calls of a message. */
static const char *results_of(const char *message)
{
    const llmux_json_t *m = llmux_json_parse(pool, llmux_slice(message), 0,
                                             NULL), *call;
    const llmux_json_t *list = llmux_json_get(m, "tool_calls");
    const char *out = "";

    for (call = llmux_json_first(list); call;
         call = llmux_json_next(list, call)) {
        out = apr_pstrcat(pool, out, ",{'role':'tool','content':'r',"
                          "'tool_call_id':'",
                          llmux_json_cstr(pool, llmux_json_get(call, "id")),
                          "'}", NULL);
    }
    return *out ? out : "," USER;
}

#define THOUGHT(n) \
    BEGIN(n, "'type':'thinking','thinking':'','signature':''") \
    DELTA(n, "'type':'thinking_delta','thinking':'Hm, '") \
    DELTA(n, "'type':'thinking_delta','thinking':'so.'") \
    DELTA(n, "'type':'signature_delta','signature':'Eq+/=='") END(n)
#define SILENT(n) \
    BEGIN(n, "'type':'thinking','thinking':'','signature':''") \
    DELTA(n, "'type':'signature_delta','signature':'Zz=='") END(n)
#define EMPTY(n) BEGIN(n, "'type':'thinking','thinking':''") END(n)
#define SEALED(n) BEGIN(n, "'type':'redacted_thinking','data':'RR=='") END(n)

static const struct {
    const char *name, *dialect, *model;
    int streamed;
    const char *bytes;
    const char *want;       /* of the second request */
    const char *absent;
} turns[] = {
    { "Anthropic, streamed: thinking, sealed thinking, calls",
      "anthropic", "claude-sonnet-4-5", 1,
      START THOUGHT("0") SEALED("1") SILENT("2") TEXT("3", "ok")
      USE("4", "t1", "f", "{\\'a\\':1}") USE("5", "t2", "g", "")
      STOP("tool_use"),
      "[{'type':'thinking','thinking':'Hm, so.','signature':'Eq+/=='},"
      "{'type':'redacted_thinking','data':'RR=='},"
      "{'type':'thinking','thinking':'','signature':'Zz=='},"
      "{'type':'text','text':'ok'},"
      "{'type':'tool_use','id':'t1','name':'f','input':{'a':1}},"
      "{'type':'tool_use','id':'t2','name':'g','input':{}}]~"
      "'tool_use_id':'t1'~'tool_use_id':'t2'~"
      "'thinking':{'type':'enabled'", NULL },
    { "Anthropic, streamed: a thought that says nothing leaves no gap",
      "anthropic", "claude-opus-5", 1,
      START EMPTY("0") THOUGHT("1") USE("2", "t1", "f", "{}")
      STOP("tool_use"),
      "[{'type':'thinking','thinking':'Hm, so.','signature':'Eq+/=='},"
      "{'type':'tool_use'", NULL },
    { "Anthropic, whole: the same",
      "anthropic", "claude-sonnet-4-5", 0,
      WHOLE("{'type':'thinking','thinking':''},"
            "{'type':'thinking','thinking':'Hm','signature':'S'},"
            "{'type':'redacted_thinking','data':'R'},"
            "{'type':'tool_use','id':'t1','name':'f','input':{'a':1}}",
            "tool_use"),
      "[{'type':'thinking','thinking':'Hm','signature':'S'},"
      "{'type':'redacted_thinking','data':'R'},"
      "{'type':'tool_use','id':'t1','name':'f','input':{'a':1}}]~"
      "'thinking':{'type':'enabled'", NULL },
    { "Gemini, streamed: signatures of calls",
      "gemini", "gemini-3-pro-preview", 1,
      PARTS("{'text':'Hm','thought':true}")
      PARTS("{'functionCall':{'name':'f','args':{'a':1}},"
            "'thoughtSignature':'S1+/='}")
      PARTS("{'functionCall':{'name':'g','args':{}}}") FINISH("STOP"),
      "{'functionCall':{'name':'f','args':{'a':1}},'thoughtSignature':'S1+/='}"
      ",{'functionCall':{'name':'g','args':{}}}]~"
      "{'functionResponse':{'name':'f'~{'functionResponse':{'name':'g'",
      "skip_thought" },
    { "Gemini, whole: signatures of calls",
      "gemini", "gemini-3-pro-preview", 0,
      "{'candidates':[{'content':{'parts':[{'functionCall':{'name':'f','args':"
      "{'a':1}},'thoughtSignature':'S1'},{'functionCall':{'name':'g'}}]},"
      "'finishReason':'STOP'}]}",
      "{'functionCall':{'name':'f','args':{'a':1}},'thoughtSignature':'S1'},"
      "{'functionCall':{'name':'g','args':{}}}]", "skip_thought" },
    { "7.12 Gemini, streamed: the signature of a text",
      "gemini", "gemini-3-pro-preview", 1,
      PARTS("{'text':'Hm','thought':true}") PARTS("{'text':'one '}")
      PARTS("{'text':'two'}") PARTS("{'text':'','thoughtSignature':'S2'}")
      FINISH("STOP"),
      "{'text':'one two','thoughtSignature':'S2'}", NULL },
    { "7.12 Gemini, whole: the signature of a text",
      "gemini", "gemini-3-pro-preview", 0,
      "{'candidates':[{'content':{'parts':[{'text':'Hm','thought':true},"
      "{'text':'one','thoughtSignature':'S2'}]},'finishReason':'STOP'}]}",
      "{'text':'one','thoughtSignature':'S2'}", NULL },
    { "Gemini's signatures mean nothing to Anthropic",
      "gemini", "claude-opus-5", 1,
      PARTS("{'functionCall':{'name':'f','args':{}},'thoughtSignature':'S'}")
      FINISH("STOP"),
      "{'type':'tool_use'", "'S'" }
};

/* A client that sends back the message it got, with all that is in it. */
static void test_turns(int i)
{
    const llmux_encode_t how = {
        .streamed = turns[i].streamed, .show_thinking = 1, .id = "ours"
    };
    const char *bytes = how.streamed ? events(pool, turns[i].bytes)
                                     : quotes(pool, turns[i].bytes);
    const char *target = strncmp(turns[i].model, "claude", 6) ? "gemini"
                                                              : "anthropic";
    const char *message, *got;
    const llmux_error_t *err;

    message = message_of(answer(turns[i].dialect, &how, bytes, strlen(bytes)),
                         how.streamed);
    got = write_request(target, turns[i].model, ALL, apr_pstrcat(pool,
        "{'model':'m','reasoning_effort':'low','tools':[" TOOL("") "],"
        "'messages':[" USER ",", message, results_of(message), "]}", NULL),
        NULL, &err);
    check(turns[i].name, got ? got : err->message, turns[i].want,
          turns[i].absent);
}

/* ---- refusals -------------------------------------------------------- */

#define GOOGLE(code, status, more) "{'error':{'code':" code ",'message':'x'," \
                                   "'status':'" status "'" more "}}"
#define DETAIL(type, more) ",'details':[{'@type':" \
    "'type.googleapis.com/google.rpc." type "'," more "}]"

/* What the kind means is errors.def's business; AUTH and PERMISSION are what
 * the gateway tells nobody. */
static const struct {
    const char *name, *dialect;
    int status;
    const char *body;       /* NULL: no JSON */
    const char *want;       /* kind, status, param, code, seconds to wait */
} refusals[] = {
    { "7.89 a code that is a number", "openai", 400,
      "{'error':{'message':'x','code':17}}", "INVALID 400 - - -1" },
    { "7.89 an error that is a string", "openai", 500, "{'error':'x'}",
      "INTERNAL 500 - - -1" },
    { "7.90 no JSON at all", "openai", 503, NULL,
      "OVERLOADED 503 - overloaded -1" },
    { "7.91 somebody else's key", "openai", 401,
      "{'error':{'message':'x','type':'invalid_request_error','code':"
      "'invalid_api_key'}}",
      "AUTH 401 - invalid_api_key -1" },
    { "7.91 ... Google says 400 to it", "gemini", 400,
      GOOGLE("400", "INVALID_ARGUMENT",
             DETAIL("ErrorInfo", "'reason':'API_KEY_INVALID'")),
      "AUTH 401 - invalid_api_key -1" },
    { "7.91 ... and in its copy of OpenAI's dialect", "openai", 400,
      "[{'error':{'code':400,'message':'API key expired. Please renew the API "
      "key.','status':'INVALID_ARGUMENT'}}]",
      "AUTH 401 - invalid_api_key -1" },
    { "7.91 ... as does xAI", "openai", 400,
      "{'code':'Client specified an invalid argument','error':'Incorrect API "
      "key provided: xa***gk'}",
      "AUTH 401 - invalid_api_key -1" },
    { "7.91 ... Azure, with a number in a string", "openai", 401,
      "{'error':{'code':'401','message':'Access denied'}}",
      "AUTH 401 - invalid_api_key -1" },
    { "7.91 ... Azure, from the layer before it", "openai", 401,
      "{'statusCode':401,'message':'Unauthorized'}",
      "AUTH 401 - invalid_api_key -1" },
    { "7.91 ... Azure, inside an answer", "openai", 200,
      "{'statusCode':401,'message':'Unauthorized'}",
      "AUTH 401 - invalid_api_key -1" },
    { "7.92 overloaded is 503 to OpenAI's clients", "anthropic", 529,
      "{'type':'error','error':{'type':'overloaded_error','message':'x'}}",
      "OVERLOADED 503 - overloaded -1" },
    { "7.93 when to come back stands in Google's body", "gemini", 429,
      GOOGLE("429", "RESOURCE_EXHAUSTED",
             DETAIL("RetryInfo", "'retryDelay':'34.4s'")),
      "RATE_LIMIT 429 - rate_limit_exceeded 34" },
    { "7.94 a quota that is used up is no rate limit", "openai", 429,
      "{'error':{'message':'x','type':'insufficient_quota','code':"
      "'insufficient_quota'}}",
      "QUOTA 429 - insufficient_quota -1" },
    { "5.5 Azure: a prompt that is filtered", "openai", 400,
      "{'error':{'message':'x','type':null,'param':'prompt','code':"
      "'content_filter','status':400,'innererror':{'code':"
      "'ResponsibleAIPolicyViolation'}}}",
      "BLOCKED 400 prompt content_filter -1" },
    { "5.5 Azure: no such deployment", "openai", 404,
      "{'error':{'code':'DeploymentNotFound','message':'x'}}",
      "MODEL 404 - model_not_found -1" },
    { "5.5 Anthropic: a prompt that is too long", "anthropic", 400,
      "{'type':'error','error':{'type':'invalid_request_error','message':"
      "'prompt is too long: 9 tokens > 8 maximum'}}",
      "CONTEXT 400 - context_length_exceeded -1" },
    { "5.5 Anthropic: no such model", "anthropic", 404,
      "{'type':'error','error':{'type':'not_found_error','message':"
      "'model: x'}}",
      "MODEL 404 - model_not_found -1" },
    { "5.5 Anthropic: no money", "anthropic", 402,
      "{'type':'error','error':{'type':'billing_error','message':'x'}}",
      "BILLING 402 - insufficient_quota -1" },
    { "5.5 Gemini: not allowed", "gemini", 403,
      GOOGLE("403", "PERMISSION_DENIED", ""),
      "PERMISSION 403 - permission_denied -1" },
    { "5.5 Gemini: too late", "gemini", 504,
      GOOGLE("504", "DEADLINE_EXCEEDED", ""),
      "TIMEOUT 504 - upstream_timeout -1" },
    { "5.5 OpenAI: what is wrong, and where", "openai", 400,
      "{'error':{'message':'x','type':'invalid_request_error','param':"
      "'temperature','code':'unsupported_value'}}",
      "INVALID 400 temperature unsupported_value -1" }
};

static void test_refusal(int i)
{
    const llmux_json_t *body = refusals[i].body
        ? llmux_json_parse(pool, llmux_slice(quotes(pool, refusals[i].body)),
                           0, NULL) : NULL;
    const llmux_error_t *err = llmux_dialect_named(refusals[i].dialect)
        ->error_read(pool, refusals[i].status, body);

    is_str(apr_psprintf(pool, "%s %d %s %s %d", error_names[err->kind],
                        err->status, err->param ? err->param : "-",
                        err->code ? err->code : "-",
                        err->retry_after < 0 ? -1
                            : (int)apr_time_sec(err->retry_after)),
           refusals[i].want, refusals[i].name);
}

/* A provider's words are cut between characters, in each dialect. */
static void test_cut(void)
{
    static const char *const dialects[] = { "openai", "anthropic", "gemini" };
    llmux_buf_t *b = llmux_buf_create(pool, 1 << 16);
    const llmux_error_t *err;
    int i;

    llmux_buf_adds(b, "{\"error\":{\"message\":\"x");
    for (i = 0; i < LLMUX_MESSAGE_MAX; i++) {
        llmux_buf_adds(b, "\xe2\x98\x82");
    }
    llmux_buf_adds(b, "\"}}");
    for (i = 0; i < 3; i++) {
        err = llmux_dialect_named(dialects[i])->error_read(
            pool, 400, llmux_json_parse(pool, llmux_buf_slice(b), 0, NULL));
        ok(strlen(err->message) <= LLMUX_MESSAGE_MAX
           && strlen(err->message) > LLMUX_MESSAGE_MAX - 3
           && strlen(err->message) % 3 == 1,
           "a long message of %s is cut between characters", dialects[i]);
    }
}

#define EACH(table, test) \
    for (i = 0; i < (int)(sizeof(table) / sizeof(*(table))); i++) { \
        test(i); \
    }

int main(void)
{
    int i;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    EACH(requests, test_request)
    EACH(answers, test_answer)
    test_framing();
    test_usage_unasked();
    test_custom();
    EACH(turns, test_turns)
    EACH(refusals, test_refusal)
    test_cut();
    apr_pool_destroy(pool);
    return tap_done();
}
