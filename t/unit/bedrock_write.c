/* bedrock_write.c - chats become the requests to Converse that they should. */

#include "written.h"

#define CAN (LLMUX_CAN_SCHEMA | LLMUX_CAN_STRICT)

/* Models, by what they can do. */
#define OLD     "anthropic.claude-3-haiku-20240307-v1:0"
#define MIDDLE  "us.anthropic.claude-3-7-sonnet-20250219-v1:0"
#define SONNET  "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
#define OPUS    "global.anthropic.claude-opus-4-8-v1"
#define NOVA    "us.amazon.nova-lite-v1:0"
#define NOVA_2  "us.amazon.nova-2-lite-v1:0"
#define LLAMA   "us.meta.llama4-maverick-17b-instruct-v1:0"
#define GPT     "openai.gpt-oss-120b-1:0"
#define ARN     "arn:aws:bedrock:us-east-1:1:application-inference-profile/x"

/* What the API gets. */
#define TX(text) "{'text':'" text "'}"
#define US(content) "{'role':'user','content':[" content "]}"
#define AS(content) "{'role':'assistant','content':[" content "]}"
#define USE(id, name, args) "{'toolUse':{'toolUseId':'" id "','name':'" name \
    "','input':" args "}}"
#define RES(id, content) "{'toolResult':{'toolUseId':'" id "','content':[" \
    content "]}}"
#define BAD(id, content) "{'toolResult':{'toolUseId':'" id "','content':[" \
    content "],'status':'error'}}"
#define SPEC(name) "{'toolSpec':{'name':'" name "','inputSchema':{'json':" \
    "{'type':'object','properties':{}}}}}"
#define POINT "{'cachePoint':{'type':'default'}}"
#define SENT_HI "'messages':[" US(TX("Hi")) "]"

#define MARK "'cache_control':{'type':'ephemeral'}"
#define HOUR "'cache_control':{'type':'ephemeral','ttl':'1h'}"
#define FILE_OF(name, type) "{'type':'file','file':{'filename':'" name \
    "','file_data':'data:" type ";base64,SGk='}}"
#define DOC(format, name) "{'document':{'format':'" format "','name':'" name \
    "','source':{'bytes':'SGk='}}}"
#define SCHEMA "'response_format':{'type':'json_schema','json_schema':{" \
    "'name':'n','schema':{'type':'object','properties':{'a':{}}}}}"

typedef struct case_t {
    const char *name, *model;
    const char *chat;           /* without its braces */
    const char *body;           /* likewise */
    const char *warnings;
} case_t;

/* Chats of OpenAI's clients. */
static const case_t cases[] = {
    { "one message; what is not said is not sent", LLAMA,
      HI, SENT_HI, NULL },
    { "how it is streamed stands in the path", LLAMA,
      HI ",'stream':true,'n':2", SENT_HI, NULL },
    { "system texts stay apart, roles take turns", LLAMA,
      "'messages':[" S("s1") "," S("s2") "," U("a") "," U("b") "," A("c") ","
      A("d") "," U("e") "]",
      "'system':[" TX("s1") "," TX("s2") "],'messages':[" US(TX("a") ","
      TX("b")) "," AS(TX("c") "," TX("d")) "," US(TX("e")) "]", NULL },
    { "a late system text, where it is not known", NOVA,
      "'messages':[" U("a") "," A("b") "," U("c") "," S("late") "]",
      "'messages':[" US(TX("a")) "," AS(TX("b")) "," US(TX("c") ","
      TX("<system>late</system>")) "]", "emulate=messages.role" },
    { "a late system text, where it is known", OPUS,
      "'messages':[" U("a") "," A("b") "," U("c") "," S("late") "]",
      "'messages':[" US(TX("a")) "," AS(TX("b")) "," US(TX("c")) ","
      "{'role':'system','content':[" TX("late") "]}]", NULL },
    { "blank texts are left out, the assistant does not begin", LLAMA,
      "'messages':[" A("b") "," U(" ") "," U("c") "]",
      "'messages':[" US(TX("(empty message)")) "," AS(TX("b")) ","
      US(TX("c")) "]", "approx=messages" },
    { "calls and results", LLAMA,
      "'messages':[" U("a") ",{'role':'assistant','content':'I look.',"
      "'tool_calls':[" CALL("1", "f", "{\\'x\\':1}") "," CALL("2", "g", "")
      "]}," R("2", "two") "," R("1", "") "," U("b") "],'tools':[" TOOL("f")
      "]",
      "'toolConfig':{'tools':[" SPEC("f") "]},'messages':[" US(TX("a")) ","
      AS(TX("I look.") "," USE("1", "f", "{'x':1}") ","
         USE("2", "g", "{}")) ","
      US(RES("1", TX("(empty)")) "," RES("2", TX("two")) "," TX("b")) "]",
      NULL },
    { "a call that nobody answered, a result of nobody's, no JSON", LLAMA,
      "'messages':[" U("a") "," CALLS(CALL("1", "f", "oops")) ","
      R("9", "nine") "," U("b") "],'tools':[" TOOL("f") "]",
      "'toolConfig':{'tools':[" SPEC("f") "]},'messages':[" US(TX("a")) ","
      AS(USE("1", "f", "{'_raw':'oops'}")) ","
      US(BAD("1", TX("No result of this call was recorded.")) "," TX("b"))
      "]", "drop=tool_call_id; approx=tool_calls.function.arguments; "
      "emulate=tool_calls" },
    { "ids and names that cannot stand", LLAMA,
      "'messages':[" U("a") "," CALLS(CALL("a.b", "f.g", "{}")) ","
      R("a.b", "x") "," CALLS(CALL("c123456789012345678901234567890123456789"
      "012345678901234567890123456789", "f", "{}")) "," R("c1234567890123456"
      "78901234567890123456789012345678901234567890123456789", "y")
      "],'tools':[" TOOL("f") "]",
      "'toolConfig':{'tools':[" SPEC("f") "]},'messages':[" US(TX("a")) ","
      AS(USE("call_e61d99190466522c", "f_g", "{}")) ","
      US(RES("call_e61d99190466522c", TX("x"))) ","
      AS(USE("call_66893295c539bf99", "f", "{}")) ","
      US(RES("call_66893295c539bf99", TX("y"))) "]", NULL },
    { "tools: descriptions, schemas, choice", NOVA,
      HI ",'tools':[{'type':'function','function':{'name':'f','description':"
      "'d','parameters':{'properties':{},'$defs':{}}}},{'type':'function',"
      "'function':{'name':'g','description':'','parameters':{'type':"
      "'object'}}}],'tool_choice':'required'",
      "'toolConfig':{'tools':[{'toolSpec':{'name':'f','description':'d',"
      "'inputSchema':{'json':{'type':'object','properties':{},'$defs':{}}}}}"
      ",{'toolSpec':{'name':'g','inputSchema':{'json':{'type':'object'}}}}],"
      "'toolChoice':{'any':{}}}," SENT_HI, NULL },
    { "one tool by its name", SONNET,
      HI ",'tools':[" TOOL("f") "," TOOL("g") "],'tool_choice':{'type':"
      "'function','function':{'name':'g'}}",
      "'toolConfig':{'tools':[" SPEC("f") "," SPEC("g") "],'toolChoice':{"
      "'tool':{'name':'g'}}}," SENT_HI, NULL },
    { "auto is not worth a word", SONNET,
      HI ",'tools':[" TOOL("f") "],'tool_choice':'auto'",
      "'toolConfig':{'tools':[" SPEC("f") "]}," SENT_HI, NULL },
    { "some of the tools", SONNET,
      HI ",'tools':[" TOOL("f") "," TOOL("g") "],'tool_choice':{'type':"
      "'allowed_tools','allowed_tools':{'mode':'required','tools':["
      TOOL("g") "]}}",
      "'toolConfig':{'tools':[" SPEC("g") "],'toolChoice':{'any':{}}},"
      SENT_HI, NULL },
    { "none of the tools, and none in the history", SONNET,
      HI ",'tools':[" TOOL("f") "],'tool_choice':'none'", SENT_HI, NULL },
    { "none of the tools, but the history has some", SONNET,
      "'messages':[" U("a") "," CALLS(CALL("1", "f", "{}")) "," R("1", "x")
      "],'tools':[" TOOL("f") "],'tool_choice':'none'",
      "'toolConfig':{'tools':[" SPEC("f") "]},'system':["
      TX("Do not call any tool now. Answer in words.") "],'messages':["
      US(TX("a")) "," AS(USE("1", "f", "{}")) "," US(RES("1", TX("x"))) "]",
      "emulate=tool_choice" },
    { "tools in the history alone", SONNET,
      "'messages':[" S("s") "," U("a") "," CALLS(CALL("1", "f", "{}") ","
      CALL("2", "f", "{}") "," CALL("3", "g", "{}")) "," R("1", "x") ","
      R("2", "y") "," R("3", "z") "]",
      "'toolConfig':{'tools':[" SPEC("f") "," SPEC("g") "]},'system':["
      TX("s") "," TX("Do not call any tool now. Answer in words.")
      "],'messages':[" US(TX("a")) "," AS(USE("1", "f", "{}") ","
      USE("2", "f", "{}") "," USE("3", "g", "{}")) "," US(RES("1", TX("x"))
      "," RES("2", TX("y")) "," RES("3", TX("z"))) "]", "emulate=tools" },
    { "a choice without tools", SONNET, HI ",'tool_choice':'required'",
      SENT_HI, NULL },
    { "one call at a time", SONNET,
      HI ",'tools':[" TOOL("f") "],'parallel_tool_calls':false",
      "'toolConfig':{'tools':[" SPEC("f") "]}," SENT_HI
      ",'additionalModelRequestFields':{'tool_choice':{'type':'auto',"
      "'disable_parallel_tool_use':true}}", NULL },
    { "one call, and no less", SONNET,
      HI ",'tools':[" TOOL("f") "],'parallel_tool_calls':false,"
      "'tool_choice':{'type':'function','function':{'name':'f'}}",
      "'toolConfig':{'tools':[" SPEC("f") "]}," SENT_HI
      ",'additionalModelRequestFields':{'tool_choice':{'type':'tool','name':"
      "'f','disable_parallel_tool_use':true}}", NULL },
    { "one call at a time, to whom that cannot be told", NOVA,
      HI ",'tools':[" TOOL("f") "],'parallel_tool_calls':false",
      "'toolConfig':{'tools':[" SPEC("f") "]}," SENT_HI,
      "drop=parallel_tool_calls" },
    { "strict tools", SONNET,
      HI ",'tools':[{'type':'function','function':{'name':'f','strict':true,"
      "'parameters':{'type':'object'}}}]",
      "'toolConfig':{'tools':[{'toolSpec':{'name':'f','inputSchema':{'json':"
      "{'type':'object'}},'strict':true}}]}," SENT_HI, NULL },
    { "strict tools, not everywhere", MIDDLE,
      HI ",'tools':[{'type':'function','function':{'name':'f','strict':true,"
      "'parameters':{'type':'object'}}}]",
      "'toolConfig':{'tools':[{'toolSpec':{'name':'f','inputSchema':{'json':"
      "{'type':'object'}}}}]}," SENT_HI, "drop=tools.function.strict" },
    { "a custom tool and its grammar", SONNET,
      HI ",'tools':[{'type':'custom','custom':{'name':'f','description':'d',"
      "'format':{'type':'grammar','grammar':{'syntax':'regex','definition':"
      "'a'}}}}]",
      "'toolConfig':{'tools':[{'toolSpec':{'name':'f','description':'d\\n\\n"
      "The input must have this format: {\\'type\\':\\'grammar\\',"
      "\\'grammar\\':{\\'syntax\\':\\'regex\\',\\'definition\\':\\'a\\'}}',"
      "'inputSchema':{'json':{'type':'object','properties':{'input':{'type':"
      "'string'}},'required':['input']}}}}]}," SENT_HI,
      "approx=tools.custom" },

    { "numbers", LLAMA,
      HI ",'max_tokens':10,'temperature':0.50,'top_p':1,'stop':['a','b']",
      SENT_HI ",'inferenceConfig':{'maxTokens':10,'temperature':0.50,"
      "'topP':1,'stopSequences':['a','b']}", NULL },
    { "hotter than it gets", LLAMA, HI ",'temperature':1.5",
      SENT_HI ",'inferenceConfig':{'temperature':1}", "approx=temperature" },
    { "which sequence stopped it", SONNET, HI ",'stop':'a'",
      SENT_HI ",'inferenceConfig':{'stopSequences':['a']},"
      "'additionalModelResponseFieldPaths':['/stop_sequence',"
      "'/delta/stop_sequence']", NULL },
    { "one of the two, for some", SONNET,
      HI ",'temperature':0.5,'top_p':0.5",
      SENT_HI ",'inferenceConfig':{'temperature':0.5}", "drop=top_p" },
    { "none of the two, for others", OPUS,
      HI ",'temperature':0.5,'top_p':0.5,'top_k':5", SENT_HI,
      "drop=temperature,top_p,top_k" },
    { "their default says nothing", OPUS, HI ",'temperature':1,'top_p':1",
      SENT_HI ",'inferenceConfig':{'topP':1}", NULL },
    { "top_k of Claude's", SONNET, HI ",'top_k':5",
      SENT_HI ",'additionalModelRequestFields':{'top_k':5}", NULL },
    { "top_k of Nova's", NOVA, HI ",'top_k':5",
      SENT_HI ",'additionalModelRequestFields':{'inferenceConfig':{'topK':5}}"
      , NULL },
    { "top_k of nobody's", LLAMA, HI ",'top_k':5", SENT_HI, "drop=top_k" },
    { "what it has no word for", LLAMA,
      HI ",'seed':1,'frequency_penalty':0,'presence_penalty':1,'logit_bias':"
      "{'1':1},'logprobs':true,'top_logprobs':2,'user':'u','metadata':{'a':"
      "'b'},'store':true,'verbosity':'low','new_member':1",
      SENT_HI, "drop=logit_bias,verbosity,user,metadata,store,seed,"
      "presence_penalty,top_logprobs,logprobs,new_member" },
    { "what only it has", LLAMA,
      HI ",'guardrailConfig':{'guardrailIdentifier':'x'},'requestMetadata':{"
      "'a':'b'},'performanceConfig':{'latency':'optimized'}",
      SENT_HI ",'guardrailConfig':{'guardrailIdentifier':'x'},"
      "'requestMetadata':{'a':'b'},'performanceConfig':{'latency':"
      "'optimized'}", NULL },
    { "the model's own words, which count first", SONNET,
      HI ",'additionalModelRequestFields':{'top_k':7,'thinking':{'type':"
      "'disabled'},'new':1},'additionalModelResponseFieldPaths':['/x'],"
      "'reasoning_effort':'low','top_k':5",
      SENT_HI ",'additionalModelRequestFields':{'top_k':7,'thinking':{'type':"
      "'disabled'},'new':1},'additionalModelResponseFieldPaths':['/x']",
      "drop=top_k" },
    { "tiers", LLAMA, HI ",'service_tier':'scale'",
      SENT_HI ",'serviceTier':{'type':'reserved'}", NULL },
    { "the usual tier", LLAMA, HI ",'service_tier':'auto'", SENT_HI, NULL },
    { "a tier that there is not", LLAMA, HI ",'service_tier':'new'", SENT_HI,
      "drop=service_tier" },

    { "an effort is a budget to some", MIDDLE,
      HI ",'reasoning_effort':'low','max_tokens':100",
      SENT_HI ",'inferenceConfig':{'maxTokens':2148},"
      "'additionalModelRequestFields':{'thinking':{'type':'enabled',"
      "'budget_tokens':2048}}", "approx=max_tokens" },
    { "without a maximum there is room enough", MIDDLE,
      HI ",'reasoning_effort':'low'",
      SENT_HI ",'additionalModelRequestFields':{'thinking':{'type':"
      "'enabled','budget_tokens':2048}}", NULL },
    { "an effort is an effort to others", OPUS,
      HI ",'reasoning_effort':'xhigh'",
      SENT_HI ",'additionalModelRequestFields':{'thinking':{'type':"
      "'adaptive'}},'outputConfig':{'effort':'xhigh'}", NULL },
    { "a tool cannot be forced on one who thinks", SONNET,
      HI ",'reasoning_effort':'low','temperature':0.5,'tools':[" TOOL("f")
      "],'tool_choice':'required'",
      "'toolConfig':{'tools':[" SPEC("f") "]}," SENT_HI
      ",'additionalModelRequestFields':{'thinking':{'type':'enabled',"
      "'budget_tokens':2048}}", "drop=temperature; approx=tool_choice" },
    { "Nova's effort", NOVA_2, HI ",'reasoning_effort':'low','top_p':0.5",
      SENT_HI ",'inferenceConfig':{'topP':0.5},"
      "'additionalModelRequestFields':{'reasoningConfig':{'type':'enabled',"
      "'maxReasoningEffort':'low'}}", NULL },
    { "Nova's effort, as much as it wants", NOVA_2,
      HI ",'reasoning_effort':'xhigh','top_p':0.5,'top_k':3",
      SENT_HI ",'additionalModelRequestFields':{'reasoningConfig':{'type':"
      "'enabled','maxReasoningEffort':'high'}}",
      "drop=top_p,top_k; approx=reasoning_effort" },
    { "Nova's effort beside a maximum", NOVA_2,
      HI ",'reasoning_effort':'high','max_tokens':9",
      SENT_HI ",'inferenceConfig':{'maxTokens':9},"
      "'additionalModelRequestFields':{'reasoningConfig':{'type':'enabled',"
      "'maxReasoningEffort':'medium'}}", "approx=reasoning_effort" },
    { "no effort of Nova's", NOVA_2, HI ",'reasoning_effort':'none'",
      SENT_HI ",'additionalModelRequestFields':{'reasoningConfig':{'type':"
      "'disabled'}}", NULL },
    { "OpenAI's effort", GPT, HI ",'reasoning_effort':'minimal'",
      SENT_HI ",'additionalModelRequestFields':{'reasoning_effort':'low'}",
      "approx=reasoning_effort" },
    { "nobody's effort", LLAMA, HI ",'reasoning_effort':'high'", SENT_HI,
      "drop=reasoning_effort" },
    { "nobody's effort, and none is wanted", ARN,
      HI ",'reasoning_effort':'none'", SENT_HI, NULL },

    { "a schema goes as a text", SONNET, HI "," SCHEMA,
      SENT_HI ",'outputConfig':{'textFormat':{'type':'json_schema',"
      "'structure':{'jsonSchema':{'schema':'{\\'type\\':\\'object\\',"
      "\\'properties\\':{\\'a\\':{}}}','name':'n'}}}}", NULL },
    { "a schema by way of a tool", MIDDLE, HI "," SCHEMA,
      "'toolConfig':{'tools':[{'toolSpec':{'name':'llmux_final_answer',"
      "'description':'Gives the final answer. Call it once, with all of the "
      "answer.','inputSchema':{'json':{'type':'object','properties':{'a':{}}}"
      "}}}],'toolChoice':{'tool':{'name':'llmux_final_answer'}}}," SENT_HI,
      "emulate=response_format" },
    { "a schema in words", LLAMA, HI "," SCHEMA,
      "'system':[" TX("Answer with one JSON value that is valid for the "
      "following JSON schema, and nothing else: no other text, no code "
      "fence.\\n{\\'type\\':\\'object\\',\\'properties\\':{\\'a\\':{}}}")
      "]," SENT_HI, "approx=response_format" },
    { "a schema in words, beside tools", NOVA,
      HI "," SCHEMA ",'tools':[" TOOL("f") "]",
      "'toolConfig':{'tools':[" SPEC("f") "]},'system':[" TX("Answer with "
      "one JSON value that is valid for the following JSON schema, and "
      "nothing else: no other text, no code fence.\\n{\\'type\\':\\'object"
      "\\',\\'properties\\':{\\'a\\':{}}}") "]," SENT_HI,
      "approx=response_format" },
    { "JSON", SONNET, HI ",'response_format':{'type':'json_object'}",
      "'system':[" TX("Answer with one JSON object and nothing else: no "
      "other text, no code fence.") "]," SENT_HI, "emulate=response_format" },

    { "an image, whose bytes count", LLAMA,
      "'messages':[{'role':'user','content':[" T("look") ",{'type':"
      "'image_url','image_url':{'detail':'low','url':'data:image/jpeg;base64,"
      PNG "'}}]}]",
      "'messages':[" US(TX("look") ",{'image':{'format':'png','source':{"
      "'bytes':'" PNG "'}}}") "]", "drop=image_url.detail" },
    { "documents: formats and names", LLAMA,
      "'messages':[{'role':'user','content':[" T("read")
      "," FILE_OF("my.report_v1.2.pdf", "application/pdf")
      "," FILE_OF("my report  v1.2.pdf", "application/pdf")
      "," FILE_OF("\xc3\xa9t\xc3\xa9 (1).md", "text/markdown")
      "," FILE_OF("...", "text/x-new") "," FILE_OF("x.CSV", "text/csv")
      "," FILE_OF("y.docx", "application/octet-stream") "]}]",
      "'messages':[" US(TX("read") "," DOC("pdf", "my report v1 2") ","
      DOC("pdf", "my report v1 2 2") "," DOC("md", "t (1)") ","
      DOC("txt", "Document") "," DOC("csv", "x") "," DOC("docx", "y"))
      "]", NULL },
    { "a document alone", LLAMA,
      "'messages':[{'role':'user','content':["
      FILE_OF("x.pdf", "application/pdf") "]}]",
      "'messages':[" US(TX("The document is attached.") ","
      DOC("pdf", "x")) "]", "emulate=messages" },
    { "audio", LLAMA,
      "'messages':[{'role':'user','content':[{'type':'input_audio',"
      "'input_audio':{'format':'wav','data':'SGk='}}]}]",
      "'messages':[" US("{'audio':{'format':'wav','source':{'bytes':'SGk='}}"
      "}") "]", NULL }
};

static const refused_t refused[] = {
    { "an image by its address",
      "'messages':[{'role':'user','content':[" T("look") "," LINK "]}]",
      LLMUX_ERR_UNSUPPORTED, "messages[0].content[1]" },
    { "a file by its id",
      "'messages':[{'role':'user','content':[{'type':'file','file':{"
      "'file_id':'f'}}]}]",
      LLMUX_ERR_UNSUPPORTED, "messages[0].content[0]" },
    { "a file of no kind that it knows",
      "'messages':[{'role':'user','content':["
      FILE_OF("x.zip", "application/zip") "]}]",
      LLMUX_ERR_UNSUPPORTED, "messages[0].content[0]" },
    { "a name that is ours", HI ",'tools':[" TOOL("llmux_final_answer") "]",
      LLMUX_ERR_UNSUPPORTED, "tools[0].function.name" },
    { "a choice of a tool that there is not",
      HI ",'tools':[" TOOL("f") "],'tool_choice':{'type':'allowed_tools',"
      "'allowed_tools':{'mode':'auto','tools':[" TOOL("g") "]}}",
      LLMUX_ERR_INVALID, "tool_choice" },
    { "spoken answers", HI ",'modalities':['text','audio'],'audio':{'voice':"
      "'x','format':'wav'}", LLMUX_ERR_UNSUPPORTED, "modalities" },
    { "searching the web", HI ",'web_search_options':{}",
      LLMUX_ERR_UNSUPPORTED, "web_search_options" }
};

/* ---- chats of Anthropic's clients ------------------------------------ */

#define AU(content) "{'role':'user','content':[" content "]}"
#define AA(content) "{'role':'assistant','content':[" content "]}"
#define MT(text) "{'type':'text','text':'" text "'," MARK "}"
#define THOUGHT "{'type':'thinking','thinking':'Hm','signature':'EqQB'}"
#define HIDDEN "{'type':'redacted_thinking','data':'Eq8='}"
#define SAID "{'reasoningContent':{'reasoningText':{'text':'Hm','signature':" \
    "'EqQB'}}}"

static const case_t anthropic[] = {
    { "cache markers are points of their own", SONNET,
      "'max_tokens':9,'system':[" MT("s") "],'messages':[" AU(MT("a") ","
      T("b")) "," AA("{'type':'tool_use','id':'1','name':'f','input':{},"
      MARK "}") "," AU("{'type':'tool_result','tool_use_id':'1','content':"
      "'x','is_error':true," HOUR "}") "],'tools':[{'name':'f',"
      "'input_schema':{'type':'object'}},{'name':'g','input_schema':{'type':"
      "'object'}}]",
      "'toolConfig':{'tools':[{'toolSpec':{'name':'f','inputSchema':{'json':{"
      "'type':'object'}}}},{'toolSpec':{'name':'g','inputSchema':{'json':{"
      "'type':'object'}}}}]},'system':[" TX("s") "," POINT "],'messages':["
      US(TX("a") "," POINT "," TX("b")) "," AS(USE("1", "f", "{}") "," POINT)
      "," US(BAD("1", TX("x")) ",{'cachePoint':{'type':'default','ttl':'1h'}}")
      "],'inferenceConfig':{'maxTokens':9}", NULL },
    { "four at most, the last ones", SONNET,
      "'max_tokens':9,'messages':[" AU(MT("a") "," MT("b") "," MT("c") ","
      MT("d")) "],'tools':[{'name':'f','input_schema':{'type':'object'},"
      MARK "}]",
      "'toolConfig':{'tools':[{'toolSpec':{'name':'f','inputSchema':{'json':{"
      "'type':'object'}}}}]},'messages':[" US(TX("a") "," POINT "," TX("b")
      "," POINT "," TX("c") "," POINT "," TX("d") "," POINT)
      "],'inferenceConfig':{'maxTokens':9}", "approx=cache_control" },
    { "none among Nova's tools, no hour there", NOVA,
      "'max_tokens':9,'messages':[" AU("{'type':'text','text':'a'," HOUR "}")
      "],'tools':[{'name':'f','input_schema':{'type':'object'}," MARK "}]",
      "'toolConfig':{'tools':[{'toolSpec':{'name':'f','inputSchema':{'json':{"
      "'type':'object'}}}}]},'messages':[" US(TX("a") "," POINT)
      "],'inferenceConfig':{'maxTokens':9}",
      "drop=cache_control" },
    { "none where nobody knows them", LLAMA,
      "'max_tokens':9,'messages':[" AU(MT("a")) "]",
      "'messages':[" US(TX("a")) "],'inferenceConfig':{'maxTokens':9}",
      "drop=cache_control" },
    { "a point does not follow a document at once", SONNET,
      "'max_tokens':9,'messages':[" AU(T("a") ",{'type':'document','source':{"
      "'type':'base64','media_type':'application/pdf','data':'JVBERi0='},"
      MARK "}") "]",
      "'messages':[" US(TX("a") ",{'document':{'format':'pdf','name':"
      "'Document','source':{'bytes':'JVBERi0='}}}," TX("\\n") "," POINT)
      "],'inferenceConfig':{'maxTokens':9}", NULL },
    { "thoughts go back to their maker", SONNET,
      "'max_tokens':9,'messages':[" AU(T("a")) "," AA(THOUGHT "," HIDDEN ","
      T("b")) "," AU(T("c")) "]",
      "'messages':[" US(TX("a")) "," AS(SAID ",{'reasoningContent':{"
      "'redactedContent':'RXE4PQ=='}}," TX("b")) "," US(TX("c"))
      "],'inferenceConfig':{'maxTokens':9}", NULL },
    { "thoughts do not go to others", NOVA_2,
      "'max_tokens':9,'messages':[" AU(T("a")) "," AA(THOUGHT "," T("b"))
      "," AU(T("c")) "," AA(THOUGHT) "," AU(T("d")) "]",
      "'messages':[" US(TX("a")) "," AS(TX("b")) "," US(TX("c")) ","
      AS(TX("(empty message)")) "," US(TX("d")) "],'inferenceConfig':{"
      "'maxTokens':9}", "drop=reasoning_content" },
    { "nor to those who did not think yet", OLD,
      "'max_tokens':9,'messages':[" AU(T("a")) "," AA(THOUGHT "," T("b"))
      "," AU(T("c")) "]",
      "'messages':[" US(TX("a")) "," AS(TX("b")) "," US(TX("c"))
      "],'inferenceConfig':{'maxTokens':9}", "drop=reasoning_content" },
    { "thoughts without a signature go nowhere", SONNET,
      "'max_tokens':9,'messages':[" AU(T("a")) "," AA("{'type':'thinking',"
      "'thinking':'Hm','signature':''}," T("b")) "," AU(T("c")) "]",
      "'messages':[" US(TX("a")) "," AS(TX("b")) "," US(TX("c"))
      "],'inferenceConfig':{'maxTokens':9}", "drop=reasoning_content" },
    { "results with images", SONNET,
      "'max_tokens':9,'messages':[" AU(T("a")) "," AA("{'type':'tool_use',"
      "'id':'1','name':'f','input':{'x':[]}}") "," AU("{'type':'tool_result',"
      "'tool_use_id':'1','content':[" T("x") ",{'type':'image','source':{"
      "'type':'base64','media_type':'image/png','data':'" PNG "'}}]}")
      "],'tools':[{'name':'f','input_schema':{'type':'object'}}]",
      "'toolConfig':{'tools':[{'toolSpec':{'name':'f','inputSchema':{'json':{"
      "'type':'object'}}}}]},'messages':[" US(TX("a")) ","
      AS(USE("1", "f", "{'x':[]}")) "," US(RES("1", TX("x") ",{'image':{"
      "'format':'png','source':{'bytes':'" PNG "'}}}")) "],"
      "'inferenceConfig':{'maxTokens':9}", NULL }
};

/* ---- running them ---------------------------------------------------- */

static llmux_chat_t *read_as(apr_pool_t *p, const llmux_dialect_t *dialect,
                             const char *members)
{
    const char *text = apr_psprintf(p, "{\"model\":\"x\",%s}",
                                    quotes(p, members));
    llmux_chat_t *chat = llmux_chat_create(p);
    const llmux_json_t *body = llmux_json_parse(p, llmux_slice(text), 0,
                                                NULL);
    const llmux_error_t *err = dialect->read(chat, body);

    if (err || !body) {
        printf("# the chat is no good: %s: %s\n",
               err ? err->message : "no JSON", text);
    }
    return chat;
}

/* Twice: a second attempt must not see traces of the first. */
static void is_request(apr_pool_t *p, const llmux_dialect_t *client,
                       const case_t *row)
{
    llmux_target_t target = { .name = "the target", .can = CAN };
    llmux_buf_t *body = llmux_buf_create(p, WRITTEN_MAX);
    llmux_warnings_t *w = llmux_warnings_create(p, 0);
    llmux_chat_t *chat = read_as(p, client, row->chat);
    const llmux_error_t *err = NULL;
    int round;

    target.model = llmux_slice(row->model);
    for (round = 0; round < 2; round++) {
        llmux_buf_reset(body);
        llmux_warnings_clear(w);
        err = llmux_dialect_bedrock.write(body, chat, &target, w, p);
    }
    is_str(err ? err->message : body->data,
           quotes(p, apr_pstrcat(p, "{", row->body, "}", NULL)), row->name);
    ok(llmux_json_is_object(p, llmux_buf_slice(body)), "  ... is JSON");
    is_str(llmux_warnings_header(p, w), row->warnings, "  ... its warnings");
}

/* What the configuration takes away. */
static void limited(apr_pool_t *p)
{
    llmux_target_t target = { .name = "the target" };
    llmux_buf_t *body = llmux_buf_create(p, WRITTEN_MAX);

    target.model = llmux_slice(SONNET);
    llmux_dialect_bedrock.write(body, chat_of(p, HI "," SCHEMA), &target,
                                llmux_warnings_create(p, 0), p);
    ok(strstr(body->data, "llmux_final_answer")
       && !strstr(body->data, "outputConfig"),
       "a deployment may be told that it has no schemas");
}

/* Names that other dialects' tools may have. */
static void names(apr_pool_t *p)
{
    static const char *const bad[] = {
        "", "a.b", "a b", "\xc3\xa9",
        "a1234567890123456789012345678901234567890123456789012345678901234"
    };
    llmux_target_t target = { .name = "the target", .can = CAN };
    apr_size_t i;

    target.model = llmux_slice(SONNET);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        llmux_chat_t *chat = chat_of(p, HI ",'tools':[" TOOL("f") ","
                                     TOOL("g") "]");
        const llmux_error_t *err;

        chat->tools->next->name = llmux_slice(bad[i]);
        err = llmux_dialect_bedrock.write(llmux_buf_create(p, WRITTEN_MAX),
                                          chat, &target,
                                          llmux_warnings_create(p, 0), p);
        ok(err && err->kind == LLMUX_ERR_UNSUPPORTED
           && !strcmp(err->param, "tools[1].function.name"),
           "no name of a tool: %s", bad[i]);
    }
}

/* Tokens of another account stay where they are. */
static void accounts(apr_pool_t *p)
{
    llmux_target_t target = { .name = "the target", .can = CAN,
                              .account = "mine" };
    llmux_chat_t *chat = read_as(p, &llmux_dialect_anthropic,
        "'max_tokens':9,'messages':[" AU(T("a")) "," AA(THOUGHT "," T("b"))
        "," AU(T("c")) "]");
    llmux_buf_t *body = llmux_buf_create(p, WRITTEN_MAX);
    llmux_warnings_t *w = llmux_warnings_create(p, 0);

    target.model = llmux_slice(SONNET);
    chat->messages->next->blocks->token.account = llmux_slice("another's");
    llmux_dialect_bedrock.write(body, chat, &target, w, p);
    ok(!strstr(body->data, "EqQB"), "a token of another account's is kept");
    chat->messages->next->blocks->token.account = llmux_slice("mine");
    llmux_buf_reset(body);
    llmux_dialect_bedrock.write(body, chat, &target, w, p);
    ok(strstr(body->data, "EqQB") != NULL, "... but not one of its own");
}

int main(void)
{
    const llmux_dialect_t *dialect = &llmux_dialect_bedrock;
    apr_pool_t *p;
    apr_size_t i;

    apr_initialize();
    apr_pool_create(&p, NULL);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_request(p, &llmux_dialect_openai, &cases[i]);
    }
    for (i = 0; i < sizeof(anthropic) / sizeof(anthropic[0]); i++) {
        is_request(p, &llmux_dialect_anthropic, &anthropic[i]);
    }
    for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        is_refused(p, dialect, CAN, &refused[i]);
    }
    is_too_large(p, dialect);
    limited(p);
    names(p);
    accounts(p);
    apr_pool_destroy(p);
    return tap_done();
}
