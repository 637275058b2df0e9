/* openai_write.c - the canonical request as a chat-completions body; read
 * again, it is the same request. */

#include <stdlib.h>
#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_fnmatch.h>
#include <apr_strings.h>

#include "tap.h"
#include "chat_dump.h"
#include "dialect/openai.h"

static apr_pool_t *pool;

#define ALL  0xffffu
#define NONE 0u

static llmux_warnings_t *warnings;

static const llmux_error_t *write_chat(apr_pool_t *p, llmux_chat_t *chat,
                                       unsigned int can, llmux_slice_t *body)
{
    llmux_target_t target = { "test", chat->model, can, 0, NULL };
    llmux_buf_t *out = llmux_buf_create(p, 64u << 20);
    const llmux_error_t *err;

    warnings = llmux_warnings_create(p, 0);
    err = llmux_openai_write(out, chat, &target, warnings, p);
    *body = llmux_buf_slice(out);
    return err;
}

static const llmux_error_t *read_body(apr_pool_t *p, llmux_slice_t json,
                                      llmux_chat_t **chat)
{
    const llmux_json_t *body = llmux_json_parse(p, json, 0, NULL);

    *chat = llmux_chat_create(p);
    return llmux_openai_read(*chat, body);
}

/* Cases are written with ' for ". */
static char *quotes(const char *text)
{
    char *s = apr_pstrdup(pool, text), *c;

    for (c = s; *c; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    return s;
}

/* ---- read and written ------------------------------------------------ */

#define BUDGET(tokens) \
    "{" ASK ",'thinking':{'type':'enabled','budget_tokens':" tokens "}}"
#define EFFORT(effort) \
    "{" ASK ",'reasoning_effort':'" effort "'}", "approx=thinking.budget_tokens"
#define U   "{'role':'user','content':'hi'}"
#define ASK "'model':'m','messages':[" U "]"
#define MSG(list) "{'model':'m','messages':[" list "]}"
#define CALLS "{'role':'assistant','content':null,'tool_calls':[" \
    "{'id':'a','type':'function','function':{'name':'f','arguments':'{}'}}]}"
#define CALLS2 "{'role':'assistant','content':null,'tool_calls':[" \
    "{'id':'a','type':'function','function':{'name':'f','arguments':'{}'}}," \
    "{'id':'b','type':'function','function':{'name':'f','arguments':'{}'}}]}"
#define TOOL(id, text) \
    "{'role':'tool','tool_call_id':'" id "','content':'" text "'}"
#define NO_ANSWER "Error: this call was not executed."

static const struct {
    const char *name;
    unsigned int can;
    const char *json, *written;     /* NULL: as it was read */
    const char *told;               /* the warnings */
} cases[] = {
    { "a question", NONE, "{" ASK "}", NULL, NULL },
    { "the order is ours", NONE,
      "{'stream':true,'seed':1,'x':{'a': 1},'temperature':1.0,'messages':["
      "{'content':'hi','role':'user'}],'model':'m'}",
      "{" ASK ",'temperature':1.0,'seed':1,'stream':true,'x':{'a': 1}}",
      NULL },
    { "usage is asked for where it can be", LLMUX_CAN_STREAM_USAGE,
      "{" ASK ",'stream':true}",
      "{" ASK ",'stream':true,'stream_options':{'include_usage':true}}",
      NULL },
    { "developer where it is known", LLMUX_CAN_DEVELOPER,
      MSG("{'role':'system','content':'s'}," U),
      MSG("{'role':'developer','content':'s'}," U), NULL },
    { "system where it is not", NONE,
      MSG("{'role':'developer','name':'n','content':'s'}," U),
      MSG("{'role':'system','name':'n','content':'s'}," U), NULL },
    { "one text alone is a string", NONE,
      MSG("{'role':'user','content':[{'type':'text','text':'hi'}]}"),
      MSG(U), NULL },
    { "several are parts", NONE,
      MSG("{'role':'user','content':[{'type':'text','text':'a'},"
          "{'type':'text','text':'b'}]}"), NULL, NULL },
    { "a marker needs a part", LLMUX_CAN_CACHE_MARK,
      MSG("{'role':'user','content':[{'type':'text','text':'hi',"
          "'prompt_cache_breakpoint':{'mode':'explicit'}}]}"), NULL, NULL },
    { "unless nobody heeds it", NONE,
      MSG("{'role':'user','content':[{'type':'text','text':'hi',"
          "'prompt_cache_breakpoint':{'mode':'explicit'}}]}"),
      MSG(U), NULL },
    { "media of all kinds", LLMUX_CAN_FILE | LLMUX_CAN_MEDIA_URL,
      MSG("{'role':'user','content':["
          "{'type':'image_url','image_url':{'url':'https://x/','detail':"
          "'low'}},"
          "{'type':'image_url','image_url':{'url':'data:image/png;base64,"
          "AAAA'}},"
          "{'type':'video_url','video_url':{'url':'https://x/'}},"
          "{'type':'input_audio','input_audio':{'data':'AAAA','format':"
          "'mp3'}},"
          "{'type':'file','file':{'filename':'a.pdf','file_data':"
          "'data:application/pdf;base64,AAAA'}},"
          "{'type':'file','file':{'file_id':'file-1'}}]}"), NULL, NULL },
    { "a text file is told as text", NONE,
      MSG("{'role':'user','content':[{'type':'file','file':{'filename':"
          "'a.txt','file_data':'aGk='}}]}"),
      MSG("{'role':'user','content':[{'type':'text','text':"
          "'File a.txt:\\n\\nhi'}]}"), NULL },
    { "calls and their answers", NONE,
      MSG(CALLS2 "," TOOL("b", "B") "," TOOL("a", "A") "," U), NULL, NULL },
    { "custom calls", NONE,
      MSG("{'role':'assistant','content':'t','tool_calls':[{'id':'a','type':"
          "'custom','custom':{'name':'f','input':'free'}}]}"), NULL, NULL },
    { "answers that stand elsewhere come to their call", NONE,
      MSG(CALLS2 ",{'role':'system','content':'s'}," TOOL("b", "B") ","
          U "," TOOL("a", "A")),
      MSG(CALLS2 "," TOOL("a", "A") "," TOOL("b", "B")
          ",{'role':'system','content':'s'}," U), NULL },
    { "an id used twice: to each call its own answer", NONE,
      MSG(CALLS "," TOOL("a", "1") "," CALLS "," U "," TOOL("a", "2")),
      MSG(CALLS "," TOOL("a", "1") "," CALLS "," TOOL("a", "2") "," U),
      NULL },
    { "and none to the first that answers the second", NONE,
      MSG(CALLS "," U "," CALLS "," U "," TOOL("a", "2")),
      MSG(CALLS "," TOOL("a", NO_ANSWER) "," U "," CALLS "," TOOL("a", "2")
          "," U), "emulate=messages.tool_call_id" },
    { "a call without an answer gets one", NONE,
      MSG(CALLS2 "," TOOL("b", "B") "," U),
      MSG(CALLS2 "," TOOL("b", "B") "," TOOL("a", NO_ANSWER) "," U),
      "emulate=messages.tool_call_id" },
    { "but not the last one", NONE, MSG(U "," CALLS), NULL, NULL },
    { "an answer without a call goes", NONE,
      MSG(U "," TOOL("z", "Z") "," U), MSG(U "," U),
      "drop=messages.tool_call_id" },
    { "a tool's picture goes into the next user message",
      LLMUX_CAN_MEDIA_URL,
      MSG(CALLS ",{'role':'tool','tool_call_id':'a','content':["
          "{'type':'text','text':'A'},{'type':'image_url','image_url':"
          "{'url':'https://x/'}}]}," U),
      MSG(CALLS ",{'role':'tool','tool_call_id':'a','content':["
          "{'type':'text','text':'A'},{'type':'text','text':"
          "'[image: see the next user message]'}]},{'role':'user','content':["
          "{'type':'text','text':'From the result of tool call a:'},"
          "{'type':'image_url','image_url':{'url':'https://x/'}},"
          "{'type':'text','text':'hi'}]}"),
      "emulate=messages.tool.content" },
    { "or into one of its own",
      LLMUX_CAN_MEDIA_URL,
      MSG(CALLS ",{'role':'tool','tool_call_id':'a','content':["
          "{'type':'image_url','image_url':{'url':'https://x/'}}]}"),
      MSG(CALLS "," TOOL("a", "[image: see the next user message]")
          ",{'role':'user','content':["
          "{'type':'text','text':'From the result of tool call a:'},"
          "{'type':'image_url','image_url':{'url':'https://x/'}}]}"),
      "emulate=messages.tool.content" },
    { "an empty answer, an empty result", NONE,
      MSG(CALLS "," TOOL("a", "") ",{'role':'assistant','content':''}"),
      NULL, NULL },
    { "a refusal", NONE,
      MSG("{'role':'assistant','content':null,'refusal':'no'}"), NULL, NULL },
    { "earlier speech", NONE,
      MSG("{'role':'assistant','content':null,'audio':{'id':'x'}}"), NULL,
      NULL },
    { "thoughts for those who take them", LLMUX_CAN_REASONING,
      MSG("{'role':'assistant','content':'a','reasoning_content':'hm'}"),
      NULL, NULL },
    { "and for nobody else", NONE,
      MSG("{'role':'assistant','content':'a','reasoning_content':'hm'}"),
      MSG("{'role':'assistant','content':'a'}"), "drop=reasoning_content" },
    { "thoughts with tokens", LLMUX_CAN_REASONING,
      MSG("{'role':'assistant','content':'a','reasoning_content':'to',"
          "'reasoning_details':["
          "{'type':'reasoning.text','text':'t','signature':'s','format':"
          "'anthropic-claude-v1','index':0},"
          "{'type':'reasoning.encrypted','data':'d','format':"
          "'anthropic-claude-v1','index':1},"
          "{'type':'reasoning.text','text':'','signature':'s','format':"
          "'anthropic-claude-v1','index':2},"
          "{'type':'reasoning.encrypted','data':'d','format':"
          "'google-gemini-v1','index':3},"
          "{'type':'reasoning.text','text':'o','signature':'d','format':"
          "'openai-responses-v1','index':4}]}"), NULL, NULL },
    { "a call's token", LLMUX_CAN_REASONING,
      MSG("{'role':'assistant','content':null,'tool_calls':[{'id':'a','type':"
          "'function','function':{'name':'f','arguments':'{}'},"
          "'extra_content':{'google':{'thought_signature':'s'}}}]}"),
      NULL, NULL },
    { "tools", LLMUX_CAN_STRICT,
      "{" ASK ",'tools':[{'type':'function','function':{'name':'f',"
      "'description':'d','parameters':{'b': 1,'a':2},'strict':false}},"
      "{'type':'custom','custom':{'name':'g','format':{'type':'text'}}}],"
      "'tool_choice':{'type':'allowed_tools','allowed_tools':{'mode':'auto',"
      "'tools':[{'type':'function','function':{'name':'f'}},"
      "{'type':'custom','custom':{'name':'g'}}]}},"
      "'parallel_tool_calls':false}", NULL, NULL },
    { "strict for those who know it", NONE,
      "{" ASK ",'tools':[{'type':'function','function':{'name':'f',"
      "'strict':true}}],'tool_choice':{'type':'function','function':{'name':"
      "'f'}}}",
      "{" ASK ",'tools':[{'type':'function','function':{'name':'f'}}],"
      "'tool_choice':{'type':'function','function':{'name':'f'}}}",
      "drop=tools.function.strict" },
    { "no tools, no choice", NONE,
      "{" ASK ",'tools':[],'tool_choice':'auto','parallel_tool_calls':true}",
      "{" ASK "}", NULL },
    { "max_completion_tokens", LLMUX_CAN_MAX_COMPLETION,
      "{" ASK ",'max_tokens':5}", "{" ASK ",'max_completion_tokens':5}",
      NULL },
    { "max_tokens", NONE,
      "{" ASK ",'max_completion_tokens':5}", "{" ASK ",'max_tokens':5}",
      NULL },
    { "numbers", NONE,
      "{" ASK ",'temperature':0.10,'top_p':1.0,'frequency_penalty':1e-1,"
      "'presence_penalty':-2,'seed':-9223372036854775808,'n':2,'stop':['a',"
      "'b'],'logit_bias':{'1': 1},'logprobs':true,'top_logprobs':3,"
      "'reasoning_effort':'none','verbosity':'low'}", NULL, NULL },
    { "top_k is dropped, the fifth stop too", NONE,
      "{" ASK ",'top_k':5,'stop':['a','b','c','d','e']}",
      "{" ASK ",'stop':['a','b','c','d']}", "drop=top_k,stop" },
    { "a budget is the nearest effort", NONE, BUDGET("9000"), EFFORT("medium") },
    { "... 1535", NONE, BUDGET("1535"), EFFORT("minimal") },
    { "... 1536", NONE, BUDGET("1536"), EFFORT("low") },
    { "... 5119", NONE, BUDGET("5119"), EFFORT("low") },
    { "... 5120", NONE, BUDGET("5120"), EFFORT("medium") },
    { "... 12287", NONE, BUDGET("12287"), EFFORT("medium") },
    { "... 12288", NONE, BUDGET("12288"), EFFORT("high") },
    { "... 24575", NONE, BUDGET("24575"), EFFORT("high") },
    { "... 24576", NONE, BUDGET("24576"), EFFORT("xhigh") },
    { "a schema", LLMUX_CAN_SCHEMA,
      "{" ASK ",'response_format':{'type':'json_schema','json_schema':"
      "{'name':'n','description':'d','schema':{'b': 1},'strict':true}}}",
      NULL, NULL },
    { "a schema without a name", LLMUX_CAN_SCHEMA,
      "{" ASK ",'response_format':{'type':'json_schema','json_schema':"
      "{'schema':{}}}}",
      "{" ASK ",'response_format':{'type':'json_schema','json_schema':"
      "{'name':'output','schema':{}}}}", NULL },
    { "a schema that has to be asked for", NONE,
      "{'model':'m','messages':[{'role':'system','content':'s'}," U "],"
      "'response_format':{'type':'json_schema','json_schema':{'name':'n',"
      "'schema':{}}}}",
      "{'model':'m','messages':[{'role':'system','content':'s'},"
      "{'role':'system','content':'Answer with one JSON object and nothing "
      "else. It must match this JSON Schema: {}'}," U "],"
      "'response_format':{'type':'json_object'}}", "approx=response_format" },
    { "json_object needs the word", NONE,
      "{" ASK ",'response_format':{'type':'json_object'}}",
      "{'model':'m','messages':[{'role':'system','content':"
      "'Answer with one JSON object and nothing else.'}," U "],"
      "'response_format':{'type':'json_object'}}", NULL },
    { "json_object has the word", NONE,
      "{'model':'m','messages':[{'role':'user','content':'as Json'}],"
      "'response_format':{'type':'json_object'}}", NULL, NULL },
    { "who asks, in the new word", LLMUX_CAN_DEVELOPER,
      "{" ASK ",'user':'u'}", "{" ASK ",'safety_identifier':'u'}", NULL },
    { "and in the old one", NONE,
      "{" ASK ",'safety_identifier':'u'}", "{" ASK ",'user':'u'}", NULL },
    { "metadata go with the store", NONE,
      "{" ASK ",'metadata':{'a':'b'}}", "{" ASK "}", "drop=metadata" },
    { "the rest", NONE,
      "{" ASK ",'service_tier':'flex','prompt_cache_key':'k','store':true,"
      "'metadata':{'a': 'b'},'modalities':['text'],'audio':{},"
      "'prediction':{},'moderation':{},'web_search_options':{},'min_p':0.10,"
      "'thinking':{'clear_thinking':false}}", NULL, NULL }
};

static void test_cases(void)
{
    const char *json, *written;
    llmux_slice_t body;
    llmux_chat_t *chat;
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        json = quotes(cases[i].json);
        written = cases[i].written ? quotes(cases[i].written) : json;
        if (read_body(pool, llmux_slice(json), &chat)
            || write_chat(pool, chat, cases[i].can, &body)) {
            ok(0, "%s", cases[i].name);
            continue;
        }
        is_str(llmux_slice_str(pool, body), written, cases[i].name);
        is_str(llmux_warnings_header(pool, warnings), cases[i].told,
               "  and its warnings");
    }
}

/* ---- what must not be lost ------------------------------------------- */

#define PART(part) MSG("{'role':'user','content':[" part "]}")

static const struct { const char *name, *json; } refused[] = {
    { "a link where nobody fetches",
      PART("{'type':'image_url','image_url':{'url':'https://x/'}}") },
    { "a file where there are none",
      PART("{'type':'file','file':{'file_id':'x'}}") }
};

static void test_refused(void)
{
    const llmux_error_t *err;
    llmux_slice_t body;
    llmux_chat_t *chat;
    apr_size_t i;

    for (i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        read_body(pool, llmux_slice(quotes(refused[i].json)), &chat);
        err = write_chat(pool, chat, NONE, &body);
        ok(err && err->kind == LLMUX_ERR_UNSUPPORTED && err->status == 400
           && err->param && !strcmp(err->param, "messages[0].content[0]"),
           "refused: %s", refused[i].name);
    }
}

/* What no OpenAI client can say, but those of other dialects. */
static void test_errors_of_tools(void)
{
    llmux_chat_t *chat;
    llmux_slice_t body;
    llmux_block_t *result;

    read_body(pool, llmux_slice(quotes(MSG(CALLS "," TOOL("a", "bad")))),
              &chat);
    result = chat->messages->next->blocks;
    result->result->is_error = LLMUX_YES;
    write_chat(pool, chat, NONE, &body);
    is_str(llmux_slice_str(pool, body),
           quotes(MSG(CALLS "," TOOL("a", "Error: bad"))),
           "a failed call says so in its text");
    result->result->blocks->cache_ttl = "5m";
    write_chat(pool, chat, LLMUX_CAN_CACHE_MARK, &body);
    is_str(llmux_slice_str(pool, body),
           quotes(MSG(CALLS ",{'role':'tool','tool_call_id':'a','content':["
                      "{'type':'text','text':'Error:'},{'type':'text','text':"
                      "'bad','prompt_cache_breakpoint':{'mode':'explicit'}}]}"
                      )), "also when it has parts");
}

static void test_room(void)
{
    llmux_buf_t *out = llmux_buf_create(pool, 32);
    llmux_target_t target = { "test", llmux_slice("m"), 0, 0, NULL };
    const llmux_error_t *err;
    llmux_chat_t *chat;

    read_body(pool, llmux_slice(quotes("{" ASK "}")), &chat);
    err = llmux_openai_write(out, chat, &target,
                             llmux_warnings_create(pool, 0), pool);
    ok(err && err->kind == LLMUX_ERR_TOO_LARGE, "a body that does not fit");
}

/* ---- recordings ------------------------------------------------------ */

/* What these recordings hold is refused by us as it was there, or is a
 * hosted tool of one provider, which only its own bytes can say. */
static const char *const exceptions[] = {
    "*-error-*", "openrouter-chat-web-search-*"
};

static int is_exception(const char *name)
{
    apr_size_t i;

    for (i = 0; i < sizeof(exceptions) / sizeof(*exceptions); i++) {
        if (apr_fnmatch(exceptions[i], name, 0) == APR_SUCCESS) {
            return 1;
        }
    }
    return 0;
}

static llmux_slice_t slurp(apr_pool_t *p, const char *path)
{
    llmux_slice_t text = { NULL, 0 };
    apr_finfo_t info;
    apr_file_t *f;
    char *data;

    if (apr_file_open(&f, path, APR_READ, APR_OS_DEFAULT, p) != APR_SUCCESS) {
        return text;
    }
    if (apr_file_info_get(&info, APR_FINFO_SIZE, f) == APR_SUCCESS) {
        data = apr_palloc(p, (apr_size_t) info.size + 1);
        if (apr_file_read_full(f, data, (apr_size_t) info.size, &text.len)
            == APR_SUCCESS) {
            text.data = data;
        }
    }
    apr_file_close(f);
    return text;
}

/* What is meant to change: a marker's hour, a thing of Anthropic's, comes
 * back as 5 minutes, and a choice of no tools is left out. */
static void forget(llmux_chat_t *chat)
{
    llmux_message_t *m;
    llmux_block_t *b;

    for (m = chat->messages; m; m = m->next) {
        for (b = m->blocks; b; b = b->next) {
            b->cache_ttl = b->cache_ttl ? "5m" : NULL;
        }
    }
    if (!chat->tools) {
        chat->choice = LLMUX_CHOICE_UNSET;
        chat->parallel = LLMUX_UNSET;
    }
}

/* @return what went wrong, or NULL */
static const char *round_trip(apr_pool_t *p, llmux_slice_t json)
{
    const llmux_error_t *err;
    llmux_chat_t *one, *two;
    const char *before, *after;
    llmux_slice_t body;

    err = read_body(p, json, &one);
    if (!err) {
        err = write_chat(p, one, ALL, &body);
    }
    if (!err) {
        err = read_body(p, body, &two);
    }
    if (err) {
        return apr_psprintf(p, "%s (%s)", err->message, err->param);
    }
    forget(one);
    before = chat_dump(p, one);
    after = chat_dump(p, two);
    return strcmp(before, after)
        ? apr_psprintf(p, "%.2000s\nbecame\n%.2000s", before, after) : NULL;
}

static int try_recording(const char *path, const char *name)
{
    const char *wrong;
    llmux_slice_t json;
    apr_pool_t *p;
    int is_chat;

    apr_pool_create(&p, pool);
    json = slurp(p, path);
    is_chat = json.data && llmux_json_get(llmux_json_parse(p, json, 1, NULL),
                                          "messages");
    wrong = is_chat ? round_trip(p, json) : NULL;
    if (wrong) {
        ok(is_exception(name), "%s", name);
        printf("#   %s\n", wrong);
    }
    apr_pool_destroy(p);
    return is_chat && !wrong;
}

static int try_folder(const char *corpus, const char *folder)
{
    const char *path = apr_pstrcat(pool, corpus, "/", folder, NULL);
    apr_finfo_t entry;
    apr_dir_t *dir;
    int n = 0;

    if (apr_dir_open(&dir, path, pool) != APR_SUCCESS) {
        ok(0, "%s is there", path);
        return 0;
    }
    while (apr_dir_read(&entry, APR_FINFO_NAME, dir) == APR_SUCCESS) {
        if (apr_fnmatch("*.request.json", entry.name, 0) == APR_SUCCESS) {
            n += try_recording(apr_pstrcat(pool, path, "/", entry.name, NULL),
                               entry.name);
        }
    }
    apr_dir_close(dir);
    return n;
}

static void test_recordings(void)
{
    const char *corpus = getenv("LLMUX_CORPUS");
    int n;

    if (!corpus) {
        ok(!getenv("LLMUX_REQUIRE"),
           "recordings # SKIP LLMUX_CORPUS names no folder of them");
        return;
    }
    n = try_folder(corpus, "openai-chat") + try_folder(corpus,
                                                       "openai-compat");
    ok(n > 0, "%d recorded requests survive reading, writing and reading", n);
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_cases();
    test_refused();
    test_errors_of_tools();
    test_room();
    test_recordings();
    apr_pool_destroy(pool);
    return tap_done();
}
