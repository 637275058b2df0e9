/* anthropic_read.c - tests of reading a client's Messages body. */

#include "chat_dump.h"
#include "seals.h"
#include "tap.h"
#include "transcript.h"

#define STRICT "2026-10-21"

/* ' for ", so that JSON can be read here. */
static const llmux_error_t *read_body(apr_pool_t *p, const char *version,
                                      const char *body, llmux_chat_t **chat)
{
    const llmux_json_t *v = llmux_json_parse(
        p, llmux_slice(sealed(p, quotes(p, body))), 0, NULL);

    *chat = chat_with_seals(p);
    (*chat)->version = version;
    return llmux_dialect_anthropic.read(*chat, v);
}

/* What was read, or the error; then what was lost. */
static const char *outcome(apr_pool_t *p, const char *version,
                           const char *body)
{
    const llmux_extra_t *lost;
    llmux_chat_t *chat;
    const llmux_error_t *err = read_body(p, version, body, &chat);
    const char *text;

    if (err) {
        return apr_psprintf(p, "%s %s: %s", error_names[err->kind],
                            err->param ? err->param : "-", err->message);
    }
    text = chat_dump(p, chat);
    for (lost = chat->lost; lost; lost = lost->next) {
        text = apr_pstrcat(p, text, "lost ", llmux_slice_str(p, lost->name),
                           "\n", NULL);
    }
    return text;
}

/* ---- requests -------------------------------------------------------- */

/* A body with these messages; with this content of a user's; and what the
 * members come to when nothing else is said. */
#define SAYS(messages) "{'model':'m','max_tokens':9,'messages':[" messages "]}"
#define USER(content) SAYS("{'role':'user','content':" content "}")
#define WITH(members) \
    "{'model':'m','messages':[{'role':'user','content':'q'}]," members "}"
#define PLAIN " model=m max_tokens=9\n"
#define Q "user\n  text text=q\n"
#define SCHEMA "'input_schema':{'type':'object'}"
#define IS_SCHEMA " schema={'type':'object'}"
#define TOOL "'tools':[{'name':'f'," SCHEMA "}]"
#define IS_TOOL "tool name=f" IS_SCHEMA "\n"

static const struct {
    const char *name, *body, *want;
} reads[] = {
    { "a text", USER("'Hi'"), "user\n  text text=Hi\n" PLAIN },
    { "texts with markers",
      USER("[{'type':'text','text':'a','cache_control':{'type':'ephemeral'}},"
           "{'type':'text','text':'b','cache_control':{'type':'ephemeral',"
           "'ttl':'1h'}}]"),
      "user\n  text text=a cache=5m\n  text text=b cache=1h\n" PLAIN },
    { "a system prompt as a string", WITH("'system':'be brief'"),
      "system\n  text text=be brief\n" Q " model=m\n" },
    { "... as blocks",
      WITH("'system':[{'type':'text','text':'a'},{'type':'text','text':'b',"
           "'cache_control':{'type':'ephemeral'}}]"),
      "system\n  text text=a\n  text text=b cache=5m\n" Q " model=m\n" },
    { "... and none", WITH("'system':''"), Q " model=m\n" },
    { "a system message between others",
      SAYS("{'role':'user','content':'q'},{'role':'system','content':'s'},"
           "{'role':'assistant','content':'a'}"),
      Q "system\n  text text=s\nassistant\n  text text=a\n" PLAIN },

    { "an image in base64",
      USER("[{'type':'image','source':{'type':'base64','media_type':"
           "'image/gif','data':'R0lGODlh'}}]"),
      "user\n  media image type=image/gif base64=R0lGODlh\n" PLAIN },
    { "... whose bytes know better than its type, unpadded",
      USER("[{'type':'image','source':{'type':'base64','media_type':"
           "'image/jpg','data':'iVBORw0KGgo'}}]"),
      "user\n  media image type=image/png base64=iVBORw0KGgo=\n" PLAIN },
    { "... in another alphabet",
      USER("[{'type':'image','source':{'type':'base64','media_type':"
           "'IMAGE/JPG','data':'-_-_'}}]"),
      "user\n  media image type=image/jpeg base64=+/+/\n" PLAIN },
    { "an image by address, by file, in a data URL",
      USER("[{'type':'image','source':{'type':'url','url':'https://x/y'}},"
           "{'type':'image','source':{'type':'file','file_id':'file_1'}},"
           "{'type':'image','source':{'type':'url','url':"
           "'data:image/webp;base64,AAAA'}}]"),
      "user\n  media image url=https://x/y\n  media image file_id=file_1\n"
      "  media image type=image/webp base64=AAAA\n" PLAIN },
    { "documents",
      USER("[{'type':'document','title':'T','context':'C','source':{'type':"
           "'base64','media_type':'application/pdf','data':'AAAA'}},"
           "{'type':'document','source':{'type':'url','url':'https://x'}},"
           "{'type':'document','source':{'type':'file','file_id':'f'}},"
           "{'type':'document','citations':{'enabled':true},'source':"
           "{'type':'text','media_type':'text/plain','data':'Hi'}}]"),
      "user\n  text text=C\n"
      "  media pdf type=application/pdf base64=AAAA filename=T\n"
      "  media pdf url=https://x\n  media other file_id=f\n"
      "  media text type=text/plain base64=SGk=\n" PLAIN
      "lost messages.content.citations\n" },
    { "a document of blocks is these blocks",
      USER("[{'type':'document','title':'T','source':{'type':'content',"
           "'content':[{'type':'text','text':'a'},{'type':'text','text':"
           "'b'}]},'cache_control':{'type':'ephemeral'}}]"),
      "user\n  text text=T\n  text text=a\n  text text=b cache=5m\n" PLAIN },
    { "a search result is a text",
      USER("[{'type':'search_result','source':'https://x','title':'T',"
           "'content':[{'type':'text','text':'a'},{'type':'text','text':"
           "'b'}]}]"),
      "user\n  text text=T\nhttps://x\n\na\nb\n" PLAIN },

    { "calls and results",
      SAYS("{'role':'assistant','content':[{'type':'text','text':'t'},"
           "{'type':'tool_use','id':'toolu_1','name':'f','input':{'a': 1}}]},"
           "{'role':'user','content':[{'type':'tool_result','tool_use_id':"
           "'toolu_1','content':'r','is_error':true},{'type':'text','text':"
           "'u'}]}"),
      "assistant\n  text text=t\n  call id=toolu_1 name=f args={'a': 1}\n"
      "user\n  result id=toolu_1 error=1\n    text text=r\n  text text=u\n"
      PLAIN },
    { "results of several parts, of none",
      USER("[{'type':'tool_result','tool_use_id':'a','is_error':false,"
           "'content':[{'type':'text','text':'x','cache_control':{'type':"
           "'ephemeral'}},{'type':'image','source':{'type':'url','url':"
           "'https://x'}},{'type':'tool_reference','tool_name':'g'}]},"
           "{'type':'tool_result','tool_use_id':'b','cache_control':{'type':"
           "'ephemeral'}},{'type':'tool_result','tool_use_id':'c',"
           "'content':[]}]"),
      "user\n  result id=a error=0\n    text text=x cache=5m\n"
      "    media image url=https://x\n    text text=Tool: g\n"
      "  result id=b cache=5m\n  result id=c\n" PLAIN },
    { "thinking, and whose it is",
      SAYS("{'role':'assistant','content':["
           "{'type':'thinking','thinking':'Hm','signature':'EqQB'},"
           "{'type':'redacted_thinking','data':'EmwK'},"
           "{'type':'thinking','thinking':'','signature':'<<gemini:SIG>>'},"
           "{'type':'thinking','thinking':'x','signature':'<<openai:ENC>>'},"
           "{'type':'thinking','thinking':'y','signature':'gw1.g.AAAA'},"
           "{'type':'thinking','thinking':'z'}]}"),
      "assistant\n  think text=Hm anthropic=EqQB\n  think redacted=EmwK\n"
      "  think text= gemini=SIG\n  think text=x openai=ENC\n"
      "  think text=y\n  think text=z\n" PLAIN },
    { "what the vendor's servers did is lost, but said to be",
      SAYS("{'role':'assistant','content':[{'type':'server_tool_use','id':"
           "'s','name':'web_search','input':{}},{'type':"
           "'web_search_tool_result','tool_use_id':'s','content':[]},"
           "{'type':'server_tool_use','id':'t','name':'web_search','input':"
           "{}},{'type':'text','text':'a','citations':[{}]},"
           "{'type':'compaction','content':'sum'},"
           "{'type':'compaction','content':null}]}"),
      "assistant\n  text text=a\n  text text=sum\n" PLAIN
      "lost messages.content.server_tool_use\n"
      "lost messages.content.web_search_tool_result\n"
      "lost messages.content.compaction\n" },

    { "a tool",
      WITH("'tools':[{'name':'f','description':'d'," SCHEMA ",'strict':true,"
           "'cache_control':{'type':'ephemeral'},'defer_loading':true,"
           "'input_examples':[{}]},{'type':'custom','name':'g'," SCHEMA "}]"),
      Q "tool name=f description=d" IS_SCHEMA " strict=1 cache=5m\n"
      "tool name=g" IS_SCHEMA "\n model=m\nlost tools.input_examples\n" },
    { "web search, and a search for tools",
      WITH("'tools':[{'type':'web_search_20250305','name':'web_search',"
           "'max_uses':3,'allowed_domains':null,'blocked_domains':[],"
           "'user_location':{'type':'approximate','city':'B','country':'DE'}},"
           "{'type':'tool_search_tool_bm25_20251119','name':'s'}]"),
      Q " model=m web_search={'user_location':{'type':'approximate',"
      "'approximate':{'city':'B','country':'DE'}}}\n"
      "lost tools.max_uses\nlost tools.tool_search\n" },
    { "choices: auto", WITH(TOOL ",'tool_choice':{'type':'auto',"
                            "'disable_parallel_tool_use':true}"),
      Q IS_TOOL " model=m choice=1 parallel=0\n" },
    { "... any", WITH(TOOL ",'tool_choice':{'type':'any',"
                      "'disable_parallel_tool_use':false}"),
      Q IS_TOOL " model=m choice=3\n" },
    { "... none", WITH(TOOL ",'tool_choice':{'type':'none'}"),
      Q IS_TOOL " model=m choice=2\n" },
    { "... this one", WITH("'tool_choice':{'type':'tool','name':'f'}," TOOL),
      Q IS_TOOL " model=m choice=4 choose=f\n" },

    { "numbers as they are written",
      WITH("'max_tokens':1e2,'temperature':0.50,'top_p':1.0,'top_k':40"),
      Q " model=m max_tokens=100 temperature=0.50 top_p=1.0 top_k=40\n" },
    { "stops, user, tier",
      WITH("'stop_sequences':['a','','b'],'metadata':{'user_id':'u'},"
           "'service_tier':'standard_only'"),
      Q " model=m stop=a stop=b user_id=u service_tier=default\n" },
    { "thinking by budget", WITH("'thinking':{'type':'enabled',"
                                 "'budget_tokens':2048}"),
      Q " model=m budget=2048\n" },
    { "... with an effort, not shown",
      WITH("'output_config':{'effort':'low'},'thinking':{'type':'enabled',"
           "'budget_tokens':2048,'display':'omitted'}"),
      Q " model=m effort=low budget=2048 show_thinking=0\n" },
    { "... adaptive", WITH("'thinking':{'type':'adaptive','display':"
                           "'summarized'}"),
      Q " model=m effort=high show_thinking=1\n" },
    { "... adaptive, by effort",
      WITH("'thinking':{'type':'adaptive'},'output_config':{'effort':'max'}"),
      Q " model=m effort=max\n" },
    { "... none", WITH("'thinking':{'type':'disabled'},'output_config':"
                       "{'effort':'max'}"),
      Q " model=m effort=none\n" },
    { "... next to none", WITH("'thinking':{'type':'between_tools'}"),
      Q " model=m effort=none\n" },
    { "a schema for the answer, now and before",
      WITH("'output_config':{'format':{'type':'json_schema','schema':"
           "{'a':1}},'task_budget':{}}"),
      Q " model=m format=3 format_schema={'a':1}\n"
      "lost output_config.task_budget\n" },
    { "...", WITH("'output_format':{'type':'json_schema','schema':{}}"),
      Q " model=m format=3 format_schema={}\n" },
    { "a marker on all of it is one on the last block",
      WITH("'cache_control':{'type':'ephemeral','ttl':'1h'}"),
      "user\n  text text=q cache=1h\n model=m\n" },
    { "what is null is absent",
      WITH("'system':null,'tools':null,'temperature':null,'thinking':null,"
           "'mcp_servers':null,'stop_sequences':null,'whatever':null"),
      Q " model=m\n" },
    { "what nobody else can say, and what is ours",
      WITH("'speed':'fast','context_management':{},'new':1,'provider':'p',"
           "'parameters':{},'tag':'t','mcp_servers':[]"),
      Q " model=m\nlost context_management\nlost new\nlost speed\n" }
};

static void test_reads(apr_pool_t *p)
{
    apr_size_t i;

    for (i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
        is_str(outcome(p, NULL, reads[i].body), quotes(p, reads[i].want),
               reads[i].name);
    }
}

/* ---- tools that Claude knows by heart -------------------------------- */

static void test_known_tools(apr_pool_t *p)
{
    static const char *const types[] = {
        "bash_20250124", "text_editor_20250728", "memory_20250818"
    };
    llmux_chat_t *chat;
    apr_size_t i;

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        const llmux_error_t *err = read_body(p, NULL, apr_psprintf(p,
            WITH("'tools':[{'name':'t','type':'%s'}]"), types[i]), &chat);

        ok(!err && chat->tools->description.len
           && llmux_json_is_object(p, chat->tools->schema),
           "%s is told to others", types[i]);
    }
}

/* ---- mistakes -------------------------------------------------------- */

static const struct {
    const char *version, *body, *want;
} mistakes[] = {
    { NULL, "[]", "INVALID -:" },
    { NULL, "{'model':'m'}", "INVALID messages:" },
    { NULL, "{'model':'m','messages':[]}", "INVALID messages:" },
    { NULL, "{'model':'m','messages':{}}", "INVALID messages:" },
    { NULL, SAYS("1"), "INVALID messages[0]:" },
    { NULL, SAYS("{'content':'x'}"), "INVALID messages[0].role:" },
    { NULL, SAYS("{'role':'tool','content':'x'}"),
      "INVALID messages[0].role:" },
    { NULL, SAYS("{'role':'user'}"), "INVALID messages[0].content:" },
    { NULL, USER("[]"), "INVALID messages[0].content:" },
    { NULL, USER("[1]"), "INVALID messages[0].content[0]:" },
    { NULL, USER("[{}]"), "INVALID messages[0].content[0].type:" },
    { NULL, USER("[{'type':'tool_use','id':'a','name':'b','input':{}}]"),
      "INVALID messages[0].content[0].type:" },
    { NULL, USER("[{'type':'text'}]"), "INVALID messages[0].content[0].text:" },
    { NULL, USER("[{'type':'text','text':'a','cache_control':{'type':'x'}}]"),
      "INVALID messages[0].content[0].cache_control.type:" },
    { NULL, USER("[{'type':'text','text':'a','cache_control':{'type':"
                 "'ephemeral','ttl':'2h'}}]"),
      "INVALID messages[0].content[0].cache_control.ttl:" },
    { NULL, USER("[{'type':'image'}]"),
      "INVALID messages[0].content[0].source:" },
    { NULL, USER("[{'type':'image','source':{'type':'text','data':'x'}}]"),
      "INVALID messages[0].content[0].source.type:" },
    { NULL, USER("[{'type':'image','source':{'type':'base64','media_type':"
                 "'image/png','data':'?'}}]"),
      "INVALID messages[0].content[0].source.data:" },
    { NULL, USER("[{'type':'image','source':{'type':'base64','media_type':"
                 "'image/svg+xml','data':'AAAA'}}]"),
      "INVALID messages[0].content[0].source.media_type:" },
    { NULL, USER("[{'type':'image','source':{'type':'url','url':'/x'}}]"),
      "INVALID messages[0].content[0].source.url:" },
    { NULL, USER("[{'type':'container_upload','file_id':'f'}]"),
      "UNSUPPORTED messages[0].content[0]:" },
    { NULL, USER("[{'type':'tool_result'}]"),
      "INVALID messages[0].content[0].tool_use_id:" },
    { NULL, USER("[{'type':'tool_result','tool_use_id':'a','content':1}]"),
      "INVALID messages[0].content[0].content:" },
    { NULL, USER("[{'type':'tool_result','tool_use_id':'a','is_error':1}]"),
      "INVALID messages[0].content[0].is_error:" },
    { NULL, SAYS("{'role':'assistant','content':[{'type':'tool_use','id':'',"
                 "'name':'f','input':{}}]}"),
      "INVALID messages[0].content[0].id:" },
    { NULL, SAYS("{'role':'assistant','content':[{'type':'tool_use','id':'a',"
                 "'name':'f','input':'{}'}]}"),
      "INVALID messages[0].content[0].input:" },
    { NULL, WITH("'system':[{'type':'image'}]"), "INVALID system[0].type:" },
    { NULL, WITH("'system':1"), "INVALID system:" },
    { NULL, WITH("'max_tokens':-1"), "INVALID max_tokens:" },
    { NULL, WITH("'max_tokens':1.5"), "INVALID max_tokens:" },
    { NULL, WITH("'temperature':1.1"), "INVALID temperature:" },
    { NULL, WITH("'top_k':'x'"), "INVALID top_k:" },
    { NULL, WITH("'stop_sequences':'x'"), "INVALID stop_sequences:" },
    { NULL, WITH("'stop_sequences':[1]"), "INVALID stop_sequences[0]:" },
    { NULL, WITH("'stream':'yes'"), "INVALID stream:" },
    { NULL, WITH("'thinking':{'type':'much'}"), "INVALID thinking.type:" },
    { NULL, WITH("'thinking':{'type':'enabled'}"),
      "INVALID thinking.budget_tokens:" },
    { NULL, WITH("'output_config':{'effort':'none'}"),
      "INVALID output_config.effort:" },
    { NULL, WITH("'output_config':{'format':{'type':'text'}}"),
      "INVALID output_config.format.type:" },
    { NULL, WITH("'output_format':{'type':'json_schema'}"),
      "INVALID output_format.schema:" },
    { NULL, WITH("'metadata':{'user_id':1}"), "INVALID metadata.user_id:" },
    { NULL, WITH("'service_tier':'flex'"), "INVALID service_tier:" },
    { NULL, WITH("'tools':[{'name':'f'}]"), "INVALID tools[0].input_schema:" },
    { NULL, WITH("'tools':[{'name':'f g'," SCHEMA "}]"),
      "INVALID tools[0].name:" },
    { NULL, WITH("'tools':[{'type':'code_execution_20250825','name':'c'}]"),
      "UNSUPPORTED tools[0]:" },
    { NULL, WITH("'tools':[{'type':'web_search_20250305','name':'s',"
                 "'allowed_domains':['x.org']}]"),
      "UNSUPPORTED tools[0].allowed_domains:" },
    { NULL, WITH("'tool_choice':'auto'"), "INVALID tool_choice:" },
    { NULL, WITH("'tool_choice':{'type':'required'}"),
      "INVALID tool_choice.type:" },
    { NULL, WITH(TOOL ",'tool_choice':{'type':'tool'}"),
      "INVALID tool_choice.name:" },
    { NULL, WITH(TOOL ",'tool_choice':{'type':'tool','name':'g'}"),
      "INVALID tool_choice.name:" },
    { NULL, WITH("'mcp_servers':[{}]"), "UNSUPPORTED mcp_servers:" },
    { NULL, WITH("'container':'c'"), "UNSUPPORTED container:" },
    { NULL, WITH("'inference_geo':'eu'"), "UNSUPPORTED inference_geo:" },
    { STRICT, WITH("'temperature':1"), "INVALID temperature:" },
    { STRICT, WITH("'top_p':1"), "INVALID top_p:" },
    { STRICT, WITH("'top_k':1"), "INVALID top_k:" },
    { STRICT, USER("[{'type':'text','text':'a','citations':[{}]}]"),
      "INVALID messages[0].content[0].citations:" },
    { STRICT, USER("[{'type':'search_result','source':'s','title':'t',"
                   "'content':[{'type':'text','text':'a','citations':[{}]}]"
                   "}]"),
      "INVALID messages[0].content[0].content[0].citations:" },
    { STRICT, SAYS("{'role':'assistant','content':[{'type':'document',"
                   "'source':{'type':'url','url':'https://x'}}]}"),
      "INVALID messages[0].content[0]:" }
};

static void test_mistakes(apr_pool_t *p)
{
    apr_size_t i;

    for (i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        const char *got = outcome(p, mistakes[i].version, mistakes[i].body);
        const char *want = mistakes[i].want;

        if (!ok(!strncmp(got, want, strlen(want)), "%s", want)) {
            printf("#   got: %s\n#   for: %s\n", got, mistakes[i].body);
        }
    }
}

/* ---- versions -------------------------------------------------------- */

static void test_versions(apr_pool_t *p)
{
    static const char cited[] =
        SAYS("{'role':'assistant','content':[{'type':'text','text':'a',"
             "'citations':[{}]}]}");

    is_str(outcome(p, STRICT, WITH("'temperature':null,'max_tokens':3")),
           Q " model=m max_tokens=3\n",
           "the newer version takes what it knows");
    is_str(outcome(p, STRICT, cited), "assistant\n  text text=a\n" PLAIN,
           "... and its own sources back");
    is_str(outcome(p, "2023-06-01", WITH("'temperature':1")),
           Q " model=m temperature=1\n", "the older one is said, or not");
}

/* ---- all the way ----------------------------------------------------- */

/* What the front door read, an OpenAI-like provider can be told. */
static void test_translation(apr_pool_t *p)
{
    static const char body[] =
        "{'model':'m','max_tokens':5,'system':'s','messages':[{'role':'user',"
        "'content':'q'},{'role':'assistant','content':[{'type':'thinking',"
        "'thinking':'Hm','signature':'EqQB'},{'type':'tool_use','id':'t1',"
        "'name':'f','input':{'a':1}}]},{'role':'user','content':[{'type':"
        "'tool_result','tool_use_id':'t1','content':'no','is_error':true},"
        "{'type':'text','text':'go on'}]}],'tools':[{'name':'f'," SCHEMA "}],"
        "'tool_choice':{'type':'any','disable_parallel_tool_use':true},"
        "'stop_sequences':['.'],'stream':true}";
    llmux_buf_t *out = llmux_buf_create(p, 1 << 16);
    llmux_target_t target = { .name = "x", .model = llmux_slice("g"),
                              .can = LLMUX_CAN_STREAM_USAGE };
    llmux_chat_t *chat;

    ok(!read_body(p, NULL, body, &chat), "a whole conversation is read");
    ok(!llmux_dialect_openai.write(out, chat, &target,
                                   llmux_warnings_create(p, 0), p),
       "and written for an OpenAI-like provider");
    is_str(out->data, quotes(p,
        "{'model':'g','messages':[{'role':'system','content':'s'},{'role':"
        "'user','content':'q'},{'role':'assistant','content':null,"
        "'tool_calls':[{'id':'t1','type':'function','function':{'name':'f',"
        "'arguments':'{\\'a\\':1}'}}]},{'role':'tool','tool_call_id':'t1',"
        "'content':'Error: no'},{'role':'user','content':'go on'}],'tools':"
        "[{'type':'function','function':{'name':'f','parameters':{'type':"
        "'object'}}}],'tool_choice':'required','parallel_tool_calls':false,"
        "'max_tokens':5,'stop':['.'],'stream':true,'stream_options':"
        "{'include_usage':true}}"), "as that provider knows it");
}

int main(void)
{
    apr_pool_t *p;

    apr_initialize();
    apr_pool_create(&p, NULL);
    test_reads(p);
    test_known_tools(p);
    test_mistakes(p);
    test_versions(p);
    test_translation(p);
    apr_pool_destroy(p);
    return tap_done();
}
