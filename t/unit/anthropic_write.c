/* anthropic_write.c - chats become the Messages requests they should. */

#include <stdlib.h>

#include "dialect/anthropic_model.h"
#include "llmux/dialect.h"
#include "tap.h"

#define BODY_MAX (1u << 20)

#define OLD "claude-3-haiku-20240307"
#define MID "claude-sonnet-4-5"
#define NEW "claude-opus-5"

/* What clients write. ' stands for ". */
#define U(text) "{'role':'user','content':'" text "'}"
#define A(text) "{'role':'assistant','content':'" text "'}"
#define S(text) "{'role':'system','content':'" text "'}"
#define R(id, text) "{'role':'tool','tool_call_id':'" id "','content':'" \
    text "'}"
#define CALL(id, name, args) "{'id':'" id "','type':'function'," \
    "'function':{'name':'" name "','arguments':'" args "'}}"
#define TOOL(name) "{'type':'function','function':{'name':'" name "'}}"
#define HI "'messages':[" U("Hi") "]"

/* What the API gets. */
#define T(text) "{'type':'text','text':'" text "'}"
#define TO_USER "{'role':'user','content':["
#define TO_BOT "{'role':'assistant','content':["
#define USE(id, name, input) "{'type':'tool_use','id':'" id "','name':'" \
    name "','input':" input "}"
#define RES(id, text) "{'type':'tool_result','tool_use_id':'" id \
    "','content':[" T(text) "]}"
#define SENT_TOOL(name) "{'name':'" name "','input_schema':{" \
    "'type':'object','properties':{}}}"
#define SENT_HI "'messages':[" TO_USER T("Hi") "]}]"
#define MARK "'cache_control':{'type':'ephemeral'}"

/* The chat without its braces; the body behind its model. */
static const struct {
    const char *name, *model, *chat, *body, *warnings;
} cases[] = {
    /* ---- plain ---- */

    { "one message, no defaults made up", MID,
      HI,
      "'max_tokens':64000," SENT_HI "}",
      NULL },

    { "leading system and developer messages, with their markers", MID,
      "'messages':[" S("A")
      ",{'role':'developer','content':[{'type':'text','text':'B'," MARK
      "},{'type':'text','text':'C','cache_control':{"
      "'type':'ephemeral','ttl':'1h'}}]}," U("Hi") "]",
      "'max_tokens':64000,'system':[" T("A") ",{'type':'text','text':'B',"
      MARK "},{'type':'text','text':'C','cache_control':{"
      "'type':'ephemeral','ttl':'1h'}}]," SENT_HI "}",
      NULL },

    { "streamed", MID,
      HI ",'stream':true,'stream_options':{'include_usage':true}",
      "'max_tokens':64000," SENT_HI ",'stream':true}",
      NULL },

    /* ---- order ---- */

    { "turns of one role become one", MID,
      "'messages':[" U("a") "," U("b") "," A("c") "," A("d") "," U("e") "]",
      "'max_tokens':64000,'messages':[" TO_USER T("a") "," T("b") "]}," TO_BOT
      T("c") "," T("d") "]}," TO_USER T("e") "]}]}",
      NULL },

    { "a system message in the middle: native", NEW,
      "'messages':[" U("a") "," S("S") "," S("T") "," A("b") "," U("c") ","
      S("U") "]",
      "'max_tokens':128000,'messages':[" TO_USER T("a")
      "]},{'role':'system','content':[" T("S") "," T("T") "]}," TO_BOT T("b")
      "]}," TO_USER T("c") "]},{'role':'system','content':[" T("U") "]}]}",
      NULL },

    { "a system message in the middle: not before a user", NEW,
      "'messages':[" U("a") "," A("b") "," S("S") "," U("c") "]",
      "'max_tokens':128000,'messages':[" TO_USER T("a") "]}," TO_BOT T("b")
      "]}," TO_USER T("<system>S</system>") "," T("c") "]}]}",
      "emulate=messages.role" },

    { "a system message in the middle: a model that cannot", MID,
      "'messages':[" U("a") "," S("S") "," A("b") "," U("c") "]",
      "'max_tokens':64000,'messages':[" TO_USER T("a") ","
      T("<system>S</system>") "]}," TO_BOT T("b") "]}," TO_USER T("c") "]}]}",
      "emulate=messages.role" },

    { "a system message never parts calls from results", NEW,
      "'messages':[" U("a")
      ",{'role':'assistant','content':null,'tool_calls':["
      CALL("c1", "f", "{}") "]}," S("S") "," R("c1", "R") "," A("b") ","
      U("c") "],'tools':[" TOOL("f") "]",
      "'max_tokens':128000,'tools':[" SENT_TOOL("f") "],'messages':[" TO_USER
      T("a") "]}," TO_BOT USE("c1", "f", "{}") "]}," TO_USER RES("c1", "R")
      "]},{'role':'system','content':[" T("S") "]}," TO_BOT T("b") "]},"
      TO_USER T("c") "]}]}",
      NULL },

    { "the assistant began", MID,
      "'messages':[" A("Hello") "," U("Hi") "]",
      "'max_tokens':64000,'messages':[" TO_USER T("(empty message)") "]},"
      TO_BOT T("Hello") "]}," TO_USER T("Hi") "]}]}",
      "approx=messages" },

    { "nothing but a system message", MID,
      "'messages':[" S("S") "]",
      "'max_tokens':64000,'system':[" T("S") "],'messages':[" TO_USER
      T("(empty message)") "]}]}",
      "approx=messages" },

    { "blank texts go, their marker does not", MID,
      "'messages':[" TO_USER T("a") ",{'type':'text','text':' \\n'," MARK
      "}]}," A("") "," U("b") "]",
      "'max_tokens':64000,'messages':[" TO_USER "{'type':'text','text':'a',"
      MARK "}," T("b") "]}]}",
      NULL },

    { "a blank last message is still a turn", MID,
      "'messages':[" U("a") "," A("b") "," U(" ") "]",
      "'max_tokens':64000,'messages':[" TO_USER T("a") "]}," TO_BOT T("b")
      "]}," TO_USER T("(empty message)") "]}]}",
      "approx=messages" },

    { "prefill, without white space at its end", MID,
      "'messages':[" U("a") "," A("b \\n") "]",
      "'max_tokens':64000,'messages':[" TO_USER T("a") "]}," TO_BOT T("b")
      "]}]}",
      "approx=messages" },

    { "names of participants", MID,
      "'messages':[{'role':'user','name':'Ann','content':'a'},{"
      "'role':'assistant','name':'Bot','content':'b'}," U("c") "]",
      "'max_tokens':64000,'messages':[" TO_USER T("Ann: a") "]}," TO_BOT
      T("b") "]}," TO_USER T("c") "]}]}",
      "approx=name" },

    { "at most four markers: the last ones", MID,
      "'tools':[{'type':'function','function':{'name':'f'}," MARK
      "}],'messages':[{'role':'system','content':[{'type':'text',"
      "'text':'S'," MARK "}]}," TO_USER "{'type':'text','text':'a'," MARK
      "},{'type':'text','text':'b'," MARK "},{'type':'text','text':'c'," MARK
      "},{'type':'text','text':'d'," MARK "}]}]",
      "'max_tokens':64000,'tools':[" SENT_TOOL("f") "],'system':[" T("S")
      "],'messages':[" TO_USER "{'type':'text','text':'a'," MARK
      "},{'type':'text','text':'b'," MARK "},{'type':'text','text':'c'," MARK
      "},{'type':'text','text':'d'," MARK "}]}]}",
      "approx=cache_control" },

    /* ---- calls ---- */

    { "results stand first, in the order of the calls", MID,
      "'messages':[" U("a")
      ",{'role':'assistant','content':'t','tool_calls':["
      CALL("c1", "f", "{\\'x\\': 1}") "," CALL("c2", "g", "") "]},"
      R("c2", "R2") "," U("b") "," R("c1", "R1") "],'tools':[" TOOL("f") ","
      TOOL("g") "]",
      "'max_tokens':64000,'tools':[" SENT_TOOL("f") "," SENT_TOOL("g")
      "],'messages':[" TO_USER T("a") "]}," TO_BOT T("t") ","
      USE("c1", "f", "{'x': 1}") "," USE("c2", "g", "{}") "]}," TO_USER
      RES("c1", "R1") "," RES("c2", "R2") "," T("b") "]}]}",
      NULL },

    { "a result after the next answer goes back to its call", MID,
      "'messages':[" U("a")
      ",{'role':'assistant','content':null,'tool_calls':["
      CALL("c1", "f", "{}") "," CALL("c2", "f", "{}") "]}," R("c1", "R1") ","
      A("b") "," R("c2", "R2") "," U("c") "],'tools':[" TOOL("f") "]",
      "'max_tokens':64000,'tools':[" SENT_TOOL("f") "],'messages':[" TO_USER
      T("a") "]}," TO_BOT USE("c1", "f", "{}") "," USE("c2", "f", "{}") "]},"
      TO_USER RES("c1", "R1") "," RES("c2", "R2") "]}," TO_BOT T("b") "]},"
      TO_USER T("c") "]}]}",
      NULL },

    { "ids that the API does not take; repeated ones", MID,
      "'messages':[" U("a")
      ",{'role':'assistant','content':null,'tool_calls':["
      CALL("a.b", "f", "{}") "," CALL("x", "f", "{}") "," CALL("x", "f", "{}")
      "]}," R("x", "1") "," R("x", "2") "," R("a.b", "3")
      ",{'role':'assistant','content':null,'tool_calls':["
      CALL("x", "f", "{}") "]}," R("x", "4") "],'tools':[" TOOL("f") "]",
      "'max_tokens':64000,'tools':[" SENT_TOOL("f") "],'messages':[" TO_USER
      T("a") "]}," TO_BOT USE("call_e61d99190466522c", "f", "{}") ","
      USE("x", "f", "{}") "," USE("x_2", "f", "{}") "]}," TO_USER
      RES("call_e61d99190466522c", "3") "," RES("x", "1") "," RES("x_2", "2")
      "]}," TO_BOT USE("x_3", "f", "{}") "]}," TO_USER RES("x_3", "4") "]}]}",
      NULL },

    { "a repeated id: the latest call is answered first", MID,
      "'messages':[" U("a") ",{'role':'assistant','tool_calls':["
      CALL("x", "f", "{}") "]}," U("b") ",{'role':'assistant','tool_calls':["
      CALL("x", "f", "{}") "]}," R("x", "2") "," R("x", "1") "],'tools':["
      TOOL("f") "]",
      "'max_tokens':64000,'tools':[" SENT_TOOL("f") "],'messages':[" TO_USER
      T("a") "]}," TO_BOT USE("x", "f", "{}") "]}," TO_USER RES("x", "1") ","
      T("b") "]}," TO_BOT USE("x_2", "f", "{}") "]}," TO_USER RES("x_2", "2")
      "]}]}",
      NULL },

    { "no call for a result, no result for a call", MID,
      "'messages':[" U("a") "," R("c9", "R")
      ",{'role':'assistant','content':null,'tool_calls':["
      CALL("c1", "f", "{}") "]}," U("b") "],'tools':[" TOOL("f") "]",
      "'max_tokens':64000,'tools':[" SENT_TOOL("f") "],'messages':[" TO_USER
      T("a") "]}," TO_BOT USE("c1", "f", "{}") "]}," TO_USER
      "{'type':'tool_result','tool_use_id':'c1','content':["
      T("No result of this call was recorded.") "],'is_error':true}," T("b")
      "]}]}",
      "drop=tool_call_id; emulate=tool_calls" },

    { "calls at the end", MID,
      "'messages':[" U("a")
      ",{'role':'assistant','content':null,'tool_calls':["
      CALL("c1", "f", "{}") "]}],'tools':[" TOOL("f") "]",
      "'max_tokens':64000,'tools':[" SENT_TOOL("f") "],'messages':[" TO_USER
      T("a") "]}," TO_BOT USE("c1", "f", "{}") "]}," TO_USER
      "{'type':'tool_result','tool_use_id':'c1','content':["
      T("No result of this call was recorded.") "],'is_error':true}]}]}",
      "emulate=tool_calls" },

    { "arguments that are no object; a name that is none", MID,
      "'messages':[" U("a")
      ",{'role':'assistant','content':null,'tool_calls':["
      CALL("c1", "f g", "[1]") "," CALL("c2", "f", "{") "]}," R("c1", "") ","
      R("c2", "R") "],'tools':[" TOOL("f") "]",
      "'max_tokens':64000,'tools':[" SENT_TOOL("f") "],'messages':[" TO_USER
      T("a") "]}," TO_BOT USE("c1", "f_g", "{'_raw':'[1]'}")
      ",{'type':'tool_use','id':'c2','name':'f','input':{" "'_raw':'{'}}]},"
      TO_USER "{'type':'tool_result','tool_use_id':'c1'}," RES("c2", "R")
      "]}]}",
      "approx=tool_calls.function.arguments" },

    { "tools of the history only", MID,
      "'messages':[" U("a")
      ",{'role':'assistant','content':null,'tool_calls':["
      CALL("c1", "f", "{}") "," CALL("c2", "f", "{}") ","
      CALL("c3", "g", "{}") "]}," R("c1", "1") "," R("c2", "2") ","
      R("c3", "3") "]",
      "'max_tokens':64000,'tools':[" SENT_TOOL("f") "," SENT_TOOL("g")
      "],'tool_choice':{'type':'none'},'messages':[" TO_USER T("a") "]},"
      TO_BOT USE("c1", "f", "{}") "," USE("c2", "f", "{}") ","
      USE("c3", "g", "{}") "]}," TO_USER RES("c1", "1") "," RES("c2", "2") ","
      RES("c3", "3") "]}]}",
      "emulate=tools" },

    { "custom tools", MID,
      "'tools':[{'type':'custom','custom':{'name':'c',"
      "'description':'D','format':{'type':'grammar','grammar':{"
      "'syntax':'lark','definition':'x'}}}},{'type':'custom',"
      "'custom':{'name':'d','format':{'type':'text'}}}]," "'messages':["
      U("a") ",{'role':'assistant','tool_calls':[{'id':'c1',"
      "'type':'custom','custom':{'name':'c','input':'in'}}]}," R("c1", "R")
      "]",
      "'max_tokens':64000,'tools':[{'name':'c',"
      "'description':'D\\n\\nThe input must have this format: {"
      "\\'type\\':\\'grammar\\',\\'grammar\\':{"
      "\\'syntax\\':\\'lark\\',\\'definition\\':\\'x\\'}}',"
      "'input_schema':{'type':'object','properties':{'input':{"
      "'type':'string'}},'required':['input']}},{'name':'d',"
      "'input_schema':{'type':'object','properties':{'input':{"
      "'type':'string'}},'required':['input']}}],'messages':[" TO_USER T("a")
      "]}," TO_BOT USE("c1", "c", "{'input':'in'}") "]}," TO_USER
      RES("c1", "R") "]}]}",
      "approx=tools.custom" },

    /* ---- thinking in the history ---- */

    { "signed thinking goes back", MID,
      "'messages':[" U("a")
      ",{'role':'assistant','content':'t','thinking_blocks':[{"
      "'type':'thinking','thinking':'Hm','signature':'S'},{"
      "'type':'redacted_thinking','data':'R'}],'tool_calls':["
      CALL("c1", "f", "{}") "]}," R("c1", "R") "],'tools':[" TOOL("f")
      "],'reasoning_effort':'low'",
      "'max_tokens':64000,'tools':[" SENT_TOOL("f") "],'messages':[" TO_USER
      T("a") "]}," TO_BOT
      "{'type':'thinking','thinking':'Hm','signature':'S'},{"
      "'type':'redacted_thinking','data':'R'}," T("t") ","
      USE("c1", "f", "{}") "]}," TO_USER RES("c1", "R")
      "]}],'thinking':{'type':'enabled','budget_tokens':2048}}",
      NULL },

    { "foreign and unsigned thinking does not; an empty message goes", MID,
      "'messages':[" U("a") ",{'role':'assistant','content':'',"
      "'reasoning_content':'Hm'}," U("b") "]",
      "'max_tokens':64000,'messages':[" TO_USER T("a") "," T("b") "]}]}",
      "drop=reasoning_content" },

    { "no thinking after calls without it", MID,
      "'messages':[" U("a")
      ",{'role':'assistant','content':null,'tool_calls':["
      CALL("c1", "f", "{}") "]}," R("c1", "R") "],'tools':[" TOOL("f")
      "],'reasoning_effort':'low'",
      "'max_tokens':64000,'tools':[" SENT_TOOL("f") "],'messages':[" TO_USER
      T("a") "]}," TO_BOT USE("c1", "f", "{}") "]}," TO_USER RES("c1", "R")
      "]}]}",
      "approx=reasoning_effort" },

    { "adaptive models do not mind", NEW,
      "'messages':[" U("a")
      ",{'role':'assistant','content':null,'tool_calls':["
      CALL("c1", "f", "{}") "]}," R("c1", "R") "],'tools':[" TOOL("f")
      "],'reasoning_effort':'low'",
      "'max_tokens':128000,'tools':[" SENT_TOOL("f") "],'messages':[" TO_USER
      T("a") "]}," TO_BOT USE("c1", "f", "{}") "]}," TO_USER RES("c1", "R")
      "]}],'thinking':{'type':'adaptive'},'output_config':{"
      "'effort':'low'}}",
      NULL },

    /* ---- effort ---- */

    { "adaptive", NEW,
      HI ",'reasoning_effort':'xhigh','thinking':{'type':'adaptive',"
      "'display':'summarized'}",
      "'max_tokens':128000," SENT_HI
      ",'thinking':{'type':'adaptive','display':'summarized'},"
      "'output_config':{'effort':'xhigh'}}",
      NULL },

    { "adaptive: minimal is low", NEW,
      HI ",'reasoning_effort':'minimal'",
      "'max_tokens':128000," SENT_HI
      ",'thinking':{'type':'adaptive'},'output_config':{" "'effort':'low'}}",
      "approx=reasoning_effort" },

    { "adaptive: a level that the model lacks", "claude-opus-4-6",
      HI ",'reasoning_effort':'xhigh'",
      "'max_tokens':128000," SENT_HI
      ",'thinking':{'type':'adaptive'},'output_config':{" "'effort':'high'}}",
      "approx=reasoning_effort" },

    { "adaptive: none", NEW,
      HI ",'reasoning_effort':'none'",
      "'max_tokens':128000," SENT_HI ",'thinking':{'type':'disabled'}}",
      NULL },

    { "adaptive: a budget is an effort", NEW,
      HI ",'thinking':{'type':'enabled','budget_tokens':9000}",
      "'max_tokens':128000," SENT_HI
      ",'thinking':{'type':'adaptive'},'output_config':{"
      "'effort':'medium'}}",
      "approx=thinking" },

    { "always: none is low", "claude-opus-5-5",
      HI ",'reasoning_effort':'none'",
      "'max_tokens':128000," SENT_HI ",'output_config':{'effort':'low'}}",
      "approx=reasoning_effort" },

    { "always: none is between tools", "claude-sonnet-5-5",
      HI ",'reasoning_effort':'none'",
      "'max_tokens':128000," SENT_HI ",'thinking':{'type':'between_tools'}}",
      "approx=reasoning_effort" },

    { "budget: by effort, max_tokens raised", MID,
      HI ",'reasoning_effort':'high','max_tokens':100",
      "'max_tokens':16484," SENT_HI
      ",'thinking':{'type':'enabled','budget_tokens':16384}}",
      "approx=max_tokens" },

    { "budget: as given", "claude-opus-4-6",
      HI ",'thinking':{'type':'enabled','budget_tokens':3000},"
      "'max_tokens':5000",
      "'max_tokens':5000," SENT_HI
      ",'thinking':{'type':'enabled','budget_tokens':3000}}",
      NULL },

    { "budget: too small", MID,
      HI ",'thinking':{'type':'enabled','budget_tokens':5},"
      "'max_tokens':5000",
      "'max_tokens':5000," SENT_HI
      ",'thinking':{'type':'enabled','budget_tokens':1024}}",
      "approx=thinking" },

    { "budget: beyond the model", "claude-opus-4-1",
      HI ",'thinking':{'type':'enabled','budget_tokens':90000},"
      "'max_tokens':5000",
      "'max_tokens':32000," SENT_HI
      ",'thinking':{'type':'enabled','budget_tokens':16000}}",
      "approx=max_tokens,thinking" },

    { "budget: none", MID,
      HI ",'reasoning_effort':'none'",
      "'max_tokens':64000," SENT_HI ",'thinking':{'type':'disabled'}}",
      NULL },

    { "a model that does not think", OLD,
      HI ",'reasoning_effort':'high'",
      "'max_tokens':4096," SENT_HI "}",
      "drop=reasoning_effort" },

    { "no temperature beside thinking", MID,
      HI ",'reasoning_effort':'low','temperature':0.2,'top_p':0.5,"
      "'top_k':3",
      "'max_tokens':64000," SENT_HI
      ",'thinking':{'type':'enabled','budget_tokens':2048}}",
      "drop=temperature,top_p,top_k" },

    /* ---- sampling ---- */

    { "an old model takes all", OLD,
      HI ",'temperature':0.20,'top_p':0.5,'top_k':3",
      "'max_tokens':4096," SENT_HI
      ",'temperature':0.20,'top_p':0.5,'top_k':3}",
      NULL },

    { "no more than 1", OLD,
      HI ",'temperature':1.5",
      "'max_tokens':4096," SENT_HI ",'temperature':1}",
      "approx=temperature" },

    { "not both", MID,
      HI ",'temperature':0.2,'top_p':0.5",
      "'max_tokens':64000," SENT_HI ",'temperature':0.2}",
      "drop=top_p" },

    { "a default gives way", MID,
      HI ",'temperature':1.0,'top_p':0.5",
      "'max_tokens':64000," SENT_HI ",'top_p':0.5}",
      NULL },

    { "a new model takes the default only", NEW,
      HI ",'temperature':1,'top_p':0.99,'top_k':3",
      "'max_tokens':128000," SENT_HI ",'temperature':1,'top_p':0.99}",
      "drop=top_k" },

    { "a new model takes nothing else", NEW,
      HI ",'temperature':0.9,'top_p':0.9",
      "'max_tokens':128000," SENT_HI "}",
      "drop=temperature,top_p" },

    /* ---- tools ---- */

    { "schemas as they stand, completed", MID,
      HI ",'tools':[{'type':'function','function':{'name':'f',"
      "'description':'D','strict':true,'parameters':{"
      " 'type':'object','$defs':{},'properties':{'b':{},"
      "'a':1.0} }}},{'type':'function','function':{'name':'g',"
      "'parameters':{'anyOf':[]}}},{'type':'function',"
      "'function':{'name':'h','parameters':{ }}}]",
      "'max_tokens':64000,'tools':[{'name':'f','description':'D',"
      "'input_schema':{ 'type':'object','$defs':{},'properties':{"
      "'b':{},'a':1.0} },'strict':true},{'name':'g',"
      "'input_schema':{'type':'object','properties':{}," "'anyOf':[]}},"
      SENT_TOOL("h") "]," SENT_HI "}",
      NULL },

    { "strict where there is none", OLD,
      HI ",'tools':[{'type':'function','function':{'name':'f',"
      "'strict':true}}]",
      "'max_tokens':4096,'tools':[" SENT_TOOL("f") "]," SENT_HI "}",
      "drop=tools.function.strict" },

    { "choice: auto", MID,
      HI ",'tools':[" TOOL("f") "],'tool_choice':'auto'",
      "'max_tokens':64000,'tools':[" SENT_TOOL("f")
      "],'tool_choice':{'type':'auto'}," SENT_HI "}",
      NULL },

    { "choice: none, parallel off", MID,
      HI ",'tools':[" TOOL("f")
      "],'tool_choice':'none','parallel_tool_calls':false",
      "'max_tokens':64000,'tools':[" SENT_TOOL("f")
      "],'tool_choice':{'type':'none'}," SENT_HI "}",
      NULL },

    { "choice: required", MID,
      HI ",'tools':[" TOOL("f")
      "],'tool_choice':'required','parallel_tool_calls':false",
      "'max_tokens':64000,'tools':[" SENT_TOOL("f")
      "],'tool_choice':{'type':'any'," "'disable_parallel_tool_use':true},"
      SENT_HI "}",
      NULL },

    { "choice: named", MID,
      HI ",'tools':[" TOOL("f") "," TOOL("g") "],'tool_choice':" TOOL("g"),
      "'max_tokens':64000,'tools':[" SENT_TOOL("f") "," SENT_TOOL("g")
      "],'tool_choice':{'type':'tool','name':'g'}," SENT_HI "}",
      NULL },

    { "choice: named, by a model that cannot be forced", "claude-opus-5-5",
      HI ",'tools':[" TOOL("f") "," TOOL("g") "],'tool_choice':" TOOL("g"),
      "'max_tokens':128000,'tools':[" SENT_TOOL("g")
      "],'tool_choice':{'type':'auto'}," SENT_HI "}",
      "approx=tool_choice" },

    { "choice: required, while it thinks", MID,
      HI ",'tools':[" TOOL("f")
      "],'tool_choice':'required','reasoning_effort':'low'",
      "'max_tokens':64000,'tools':[" SENT_TOOL("f")
      "],'tool_choice':{'type':'auto'}," SENT_HI
      ",'thinking':{'type':'enabled','budget_tokens':2048}}",
      "approx=tool_choice" },

    { "choice: some, or none", MID,
      HI ",'tools':[" TOOL("f") "," TOOL("g")
      "],'tool_choice':{'type':'allowed_tools','allowed_tools':{"
      "'mode':'auto','tools':[" TOOL("g") "]}}",
      "'max_tokens':64000,'tools':[" SENT_TOOL("g")
      "],'tool_choice':{'type':'auto'}," SENT_HI "}",
      NULL },

    { "choice: one of some", MID,
      HI ",'tools':[" TOOL("f") "," TOOL("g")
      "],'tool_choice':{'type':'allowed_tools','allowed_tools':{"
      "'mode':'required','tools':[" TOOL("g") "]}}",
      "'max_tokens':64000,'tools':[" SENT_TOOL("g")
      "],'tool_choice':{'type':'any'}," SENT_HI "}",
      NULL },

    { "parallel off without a choice", MID,
      HI ",'tools':[" TOOL("f") "],'parallel_tool_calls':false",
      "'max_tokens':64000,'tools':[" SENT_TOOL("f")
      "],'tool_choice':{'type':'auto'," "'disable_parallel_tool_use':true},"
      SENT_HI "}",
      NULL },

    { "a choice without tools", MID,
      HI ",'tool_choice':'auto','parallel_tool_calls':false",
      "'max_tokens':64000," SENT_HI "}",
      NULL },

    { "web search", MID,
      HI ",'web_search_options':{'search_context_size':'low',"
      "'user_location':{'type':'approximate','approximate':{"
      "'city':'Ulm'}}}",
      "'max_tokens':64000,'tools':[{'type':'web_search_20250305',"
      "'name':'web_search','user_location':{'type':'approximate',"
      "'city':'Ulm'}}]," SENT_HI "}",
      "drop=web_search_options.search_context_size" },

    /* ---- media ---- */

    { "images, PDF and text", MID,
      "'messages':[" TO_USER "{'type':'image_url','image_url':{"
      "'url':'data:image/jpeg;base64,iVBORw0KGgoAAAANSUhEUg==',"
      "'detail':'high'}},{'type':'image_url','image_url':{"
      "'url':'https://x/y.png'}},{'type':'file','file':{"
      "'filename':'a.pdf',"
      "'file_data':'data:application/pdf;base64,JVBERi0xLjQ='}},{"
      "'type':'file','file':{'filename':'a.txt',"
      "'file_data':'data:text/plain;base64,SGVsbG8='}},{"
      "'type':'file','file':{'file_id':'file_1'}}]}]",
      "'max_tokens':64000,'messages':[" TO_USER
      "{'type':'image','source':{'type':'base64'," "'media_type':'image/png',"
      "'data':'iVBORw0KGgoAAAANSUhEUg=='}},{'type':'image',"
      "'source':{'type':'url','url':'https://x/y.png'}},{"
      "'type':'document','source':{'type':'base64',"
      "'media_type':'application/pdf','data':'JVBERi0xLjQ='},"
      "'title':'a.pdf'},{'type':'document','source':{"
      "'type':'text','media_type':'text/plain','data':'Hello'},"
      "'title':'a.txt'},{'type':'document','source':{"
      "'type':'file','file_id':'file_1'}}]}]}",
      "drop=image_url.detail" },

    { "images in a result", MID,
      "'messages':[" U("a")
      ",{'role':'assistant','content':null,'tool_calls':["
      CALL("c1", "f", "{}")
      "]},{'role':'tool','tool_call_id':'c1','content':[" T("see")
      ",{'type':'image_url','image_url':{" "'url':'data:image/png;base64,"
      "iVBORw0KGgoAAAANSUhEUg=='}}]}],'tools':[" TOOL("f") "]",
      "'max_tokens':64000,'tools':[" SENT_TOOL("f") "],'messages':[" TO_USER
      T("a") "]}," TO_BOT USE("c1", "f", "{}") "]}," TO_USER
      "{'type':'tool_result','tool_use_id':'c1','content':[" T("see")
      ",{'type':'image','source':{'type':'base64',"
      "'media_type':'image/png'," "'data':'iVBORw0KGgoAAAANSUhEUg=='}}]}]}]}",
      NULL },

    /* ---- output ---- */

    { "a schema, native", NEW,
      HI ",'reasoning_effort':'low','response_format':{"
      "'type':'json_schema','json_schema':{'name':'n','schema':{"
      "'type':'object', 'b':1,'a':2}}}",
      "'max_tokens':128000," SENT_HI
      ",'thinking':{'type':'adaptive'},'output_config':{"
      "'effort':'low','format':{'type':'json_schema','schema':{"
      "'type':'object', 'b':1,'a':2}}}}",
      NULL },

    { "a schema, as a hint", OLD,
      "'messages':[" S("S") "," U("Hi")
      "],'response_format':{'type':'json_schema','json_schema':{"
      "'name':'n','schema':{'type':'object'}}}",
      "'max_tokens':4096,'system':[" T("S") ","
      T("Answer with one JSON value that is valid for the following JSON "
        "schema, and nothing else: no other text, no code fence.\\n"
        "{\\'type\\':\\'object\\'}")
      "]," SENT_HI "}",
      "approx=response_format" },

    { "a JSON object", MID,
      HI ",'response_format':{'type':'json_object'}",
      "'max_tokens':64000,'system':["
      T("Answer with one JSON object and nothing else: no other text, no "
        "code fence.")
      "]," SENT_HI "}",
      "emulate=response_format" },

    /* ---- the rest ---- */

    { "what cannot be said", MID,
      HI ",'seed':1,'frequency_penalty':0.5,'presence_penalty':1,"
      "'logit_bias':{'1':2},'logprobs':true,'top_logprobs':2,"
      "'verbosity':'low','prompt_cache_key':'k','metadata':{"
      "'a':'b'},'store':true,'prediction':{'type':'content',"
      "'content':'x'},'foo':1",
      "'max_tokens':64000," SENT_HI "}",
      "drop=seed,frequency_penalty,presence_penalty,logit_bias,"
      "top_logprobs,verbosity,prompt_cache_key,metadata,prediction,"
      "logprobs,store,foo" },

    { "what asks for nothing", MID,
      HI ",'frequency_penalty':0,'presence_penalty':0.0,"
      "'logit_bias':{},'logprobs':false,'metadata':{},"
      "'store':false,'n':1,'modalities':['text'],'seed':null",
      "'max_tokens':64000," SENT_HI "}",
      NULL },

    { "stop sequences", MID,
      HI ",'stop':['a',' ','b']",
      "'max_tokens':64000," SENT_HI ",'stop_sequences':['a','b']}",
      "drop=stop" },

    { "user, tier", MID,
      HI ",'user':'u1','service_tier':'default'",
      "'max_tokens':64000," SENT_HI
      ",'service_tier':'standard_only','metadata':{" "'user_id':'u1'}}",
      NULL },

    { "an address is nobody's business", MID,
      HI ",'safety_identifier':'ann@example.org'," "'service_tier':'priority'",
      "'max_tokens':64000," SENT_HI ",'service_tier':'auto','metadata':{"
      "'user_id':'a4414de3ce1f77d2615b90c3ba16219b38193ced'}}",
      "approx=service_tier,user" },

    { "a tier that is none", MID,
      HI ",'service_tier':'flex'",
      "'max_tokens':64000," SENT_HI "}",
      "drop=service_tier" },

    { "max_tokens", OLD,
      HI ",'max_completion_tokens':1e3",
      "'max_tokens':1000," SENT_HI "}",
      NULL },
};

static const struct {
    const char *name, *model, *chat;
    llmux_error_e kind;
    const char *param;
} refusals[] = {
    { "n", MID,
      HI ",'n':2",
      LLMUX_ERR_UNSUPPORTED, "n" },

    { "audio out", MID,
      HI ",'modalities':['text','audio'],'audio':{'voice':'alloy',"
      "'format':'wav'}",
      LLMUX_ERR_UNSUPPORTED, "modalities" },

    { "audio in", MID,
      "'messages':[" TO_USER T("a") ",{'type':'input_audio','input_audio':{"
      "'data':'UklGRgAAAABXQVZF','format':'wav'}}]}]",
      LLMUX_ERR_UNSUPPORTED, "messages[0].content[1]" },

    { "video", MID,
      "'messages':[" TO_USER "{'type':'video_url','video_url':{"
      "'url':'https://x/y.mp4'}}]}]",
      LLMUX_ERR_UNSUPPORTED, "messages[0].content[0]" },

    { "an image of another type", MID,
      "'messages':[" U("x") "," TO_USER "{'type':'image_url','image_url':{"
      "'url':'data:image/tiff;base64,AAAA'}}]}]",
      LLMUX_ERR_UNSUPPORTED, "messages[1].content[0]" },

    { "prefill", NEW,
      "'messages':[" U("a") "," A("b") "]",
      LLMUX_ERR_UNSUPPORTED, "messages[1]" },

    { "no tool is left", MID,
      HI ",'tools':[" TOOL("f")
      "],'tool_choice':{'type':'allowed_tools','allowed_tools':{"
      "'mode':'auto','tools':[" TOOL("g") "]}}",
      LLMUX_ERR_INVALID, "tool_choice" },
};

static const char *quoted(apr_pool_t *p, const char *s)
{
    char *out = (char *)llmux_slice_str(p, llmux_slice(s)), *c;

    for (c = out; *c; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    return out;
}

static llmux_chat_t *chat_of(apr_pool_t *p, const char *members)
{
    llmux_buf_t *text = llmux_buf_create(p, BODY_MAX);
    llmux_chat_t *chat = llmux_chat_create(p);
    const llmux_error_t *err;

    llmux_buf_addf(text, "{\"model\":\"x\",%s}", quoted(p, members));
    err = llmux_dialect_openai.read(chat, llmux_json_parse(
        p, llmux_buf_slice(text), 0, NULL));
    if (err) {
        printf("# the chat is no good: %s\n", err->message);
    }
    return err ? NULL : chat;
}

static void test_cases(apr_pool_t *parent)
{
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        llmux_target_t target = { .name = "anthropic" };
        llmux_buf_t *body, *want;
        llmux_warnings_t *w;
        llmux_chat_t *chat;
        apr_pool_t *p;
        int round;

        apr_pool_create(&p, parent);
        target.model = llmux_slice(cases[i].model);
        body = llmux_buf_create(p, BODY_MAX);
        want = llmux_buf_create(p, BODY_MAX);
        w = llmux_warnings_create(p, 0);
        chat = chat_of(p, cases[i].chat);
        llmux_buf_addf(want, "{\"model\":\"%s\",%s", cases[i].model,
                       quoted(p, cases[i].body));
        for (round = 0; chat && round < 2; round++) {
            /* a second attempt must not see traces of the first */
            llmux_buf_reset(body);
            llmux_warnings_clear(w);
            llmux_dialect_anthropic.write(body, chat, &target, w, p);
        }
        is_str(body->data, want->data, cases[i].name);
        ok(llmux_json_parse(p, llmux_buf_slice(body), 0, NULL) != NULL,
           "  ... is JSON");
        is_str(llmux_warnings_header(p, w), cases[i].warnings,
               "  ... with its warnings");
        apr_pool_destroy(p);
    }
}

static void test_refusals(apr_pool_t *p)
{
    apr_size_t i;

    for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        llmux_target_t target = { .name = "anthropic" };
        llmux_buf_t *body = llmux_buf_create(p, BODY_MAX);
        llmux_chat_t *chat = chat_of(p, refusals[i].chat);
        const llmux_error_t *err;

        target.model = llmux_slice(refusals[i].model);
        err = llmux_dialect_anthropic.write(body, chat, &target,
                                            llmux_warnings_create(p, 0), p);
        ok(err && err->kind == refusals[i].kind, "refused: %s",
           refusals[i].name);
        is_str(err ? err->param : NULL, refusals[i].param, "  ... its place");
    }
}

/* ---- the target ------------------------------------------------------ */

static const char *written(apr_pool_t *p, const llmux_target_t *target,
                           const char *members, const char **warnings)
{
    llmux_buf_t *body = llmux_buf_create(p, BODY_MAX);
    llmux_warnings_t *w = llmux_warnings_create(p, 0);

    llmux_dialect_anthropic.write(body, chat_of(p, members), target, w, p);
    *warnings = llmux_warnings_header(p, w);
    return body->data;
}

static void test_target(apr_pool_t *p)
{
    llmux_target_t target = { .name = "anthropic", .max_tokens = 500 };
    const char *warnings;

    target.model = llmux_slice(OLD);
    is_str(written(p, &target, HI, &warnings),
           quoted(p, "{'model':'" OLD "','max_tokens':500," SENT_HI "}"),
           "the deployment's own max_tokens");
    is_str(warnings, "approx=max_tokens", "  ... which the client should know");
    target.max_tokens = 0;
    target.version = "2026-10-21";
    is_str(written(p, &target, HI ",'temperature':0.5,'top_p':0.9,'top_k':1",
                   &warnings),
           quoted(p, "{'model':'" OLD "','max_tokens':4096," SENT_HI "}"),
           "the newer API version has no sampling parameters");
    is_str(warnings, "drop=temperature,top_p,top_k", "  ... and says so");
}

/* Where the model stands in the path, as at Vertex AI. */
static void test_body_version(apr_pool_t *p)
{
    llmux_target_t target = { .name = "vertex" };
    const char *warnings;

    target.model = llmux_slice("claude-opus-4@20250514");
    target.body_version = "vertex-2023-10-16";
    is_str(written(p, &target, HI ",'max_tokens':5,'stream':true",
                   &warnings),
           quoted(p, "{'anthropic_version':'vertex-2023-10-16','max_tokens':"
                  "5," SENT_HI ",'stream':true}"),
           "a version in place of the model");
    is_str(warnings, NULL, "  ... is nothing to be told");
    is_str(written(p, &target, HI ",'max_tokens':5,'service_tier':'auto'",
                   &warnings),
           quoted(p, "{'anthropic_version':'vertex-2023-10-16','max_tokens':"
                  "5," SENT_HI "}"), "no tiers there");
    is_str(warnings, NULL, "  ... and the usual one is no loss");
    written(p, &target, HI ",'max_tokens':5,'service_tier':'priority'",
            &warnings);
    is_str(warnings, "drop=service_tier", "  ... but another one is");
}

static void test_full(apr_pool_t *p)
{
    llmux_target_t target = { .name = "anthropic" };
    llmux_buf_t *body = llmux_buf_create(p, 20);
    const llmux_error_t *err;

    target.model = llmux_slice(OLD);
    err = llmux_dialect_anthropic.write(body, chat_of(p, HI), &target,
                                        llmux_warnings_create(p, 0), p);
    ok(err && err->kind == LLMUX_ERR_TOO_LARGE,
       "a body that does not fit is an error");
}

/* ---- models ---------------------------------------------------------- */

static const struct { const char *name, *family; int since; } models[] = {
    { "claude-opus-5-5",                             "opus",    505 },
    { "claude-opus-5",                               "opus",    500 },
    { "claude-opus-4-8",                             "opus",    408 },
    { "claude-opus-4-1-20250805",                    "opus",    401 },
    { "claude-opus-4-20250514",                      "opus",    400 },
    { "claude-opus-4@20250514",                      "opus",    400 },
    { "claude-opus-9-2",                             "opus",    505 },
    { "claude-sonnet-4-6",                           "sonnet",  406 },
    { "claude-sonnet-4-0",                           "sonnet",  400 },
    { "claude-3-7-sonnet-20250219",                  "sonnet",  307 },
    { "claude-3-5-sonnet-latest",                    "sonnet",  305 },
    { "us.anthropic.claude-sonnet-4-20250514-v1:0",  "sonnet",  400 },
    { "anthropic.claude-3-sonnet-20240229-v1:0",     "sonnet",  300 },
    { "anthropic/claude-4.5-haiku-20251001",         "haiku",   405 },
    { "Claude-Haiku-4.5",                            "haiku",   405 },
    { "claude-3-opus-latest",                        "opus",    300 },
    { "claude-fable-5-1",                            "fable",   501 },
    { "claude-mythos-preview",                       "mythos",    0 },
    { "claude-instant-1.2",                          "instant",   0 },
    { "claude-2.1",                                  "claude",  100 },
    { "anthropic.claude-v2:1",                       "claude",  100 },
    { "claude-novel-7",                              "claude",    0 },
    { "deepseek-chat",                               "",          0 },
    { "",                                            "",          0 }
};

static void test_models(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        const llmux_claude_t *c
            = llmux_claude_named(llmux_slice(models[i].name));

        ok(!strcmp(c->family, models[i].family)
           && c->since == models[i].since, "%s is %s since %d (%s, %d)",
           models[i].name, models[i].family, models[i].since, c->family,
           c->since);
    }
}

int main(void)
{
    apr_pool_t *p;

    apr_initialize();
    apr_pool_create(&p, NULL);
    test_cases(p);
    test_refusals(p);
    test_target(p);
    test_body_version(p);
    test_full(p);
    test_models();
    apr_pool_destroy(p);
    return tap_done();
}
