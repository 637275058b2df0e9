/* count.c - the dialects that count tokens: a chat's request without its
 * limits, and a number for an answer. In the tables ' stands for ". */

#include <apr_strings.h>

#include "tap.h"
#include "transcript.h"

static apr_pool_t *pool;

#define A &llmux_dialect_anthropic_count
#define G &llmux_dialect_gemini_count
#define R &llmux_dialect_responses_count

/* ---- head ------------------------------------------------------------ */

static const struct {
    const llmux_dialect_t *dialect;
    const char *path_model, *json;
    int messages;
    const char *model, *param;
} heads[] = {
    { A, NULL, "{'model':'m','messages':[{},{}],'stream':true}", 2, "m",
      NULL },
    { A, NULL, "{'model':'m'}", 0, NULL, "messages" },
    { R, NULL, "{'model':'m','input':'Hi','stream':true}", 1, "m", NULL },
    { R, NULL, "{'model':'m','input':7}", 0, NULL, "input" },
    { G, "m", "{'contents':[{}]}", 1, "m", NULL },
    { G, "m", "{}", 0, NULL, "contents" },
    { G, "m", "{'generateContentRequest':{'model':'models/x','contents':[{},"
      "{}]}}", 2, "m", NULL },
    { G, NULL, "{'generate_content_request':{'model':'models/x','contents':"
      "[{}]}}", 1, "x", NULL },
    { G, "m", "{'generateContentRequest':{}}", 0, NULL,
      "generateContentRequest.contents" },
    { G, NULL, "{'generateContentRequest':{'contents':[{}]}}", 0, NULL,
      "generateContentRequest.model" },
    { G, "m", "{'generateContentRequest':[]}", 0, NULL,
      "generateContentRequest" },
    { G, "m", "{'generateContentRequest':{'contents':[{}]},'contents':[]}", 0,
      NULL, "contents" },
    { G, "m", "{'GenerateContentRequest':{'contents':[{}]}}", 0, NULL,
      "contents" },
    { G, "m", "{'generateContentRequest':{'contents':[{}],'contents':[{}]}}",
      0, NULL, "generateContentRequest.contents" },
    { G, "m", "{'generateContentRequest':{'contents':[{}],'tools':[],"
      "'Tools':[]}}", 0, NULL, "generateContentRequest.Tools" }
};

static void test_heads(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        llmux_head_t head = { 0 };
        const llmux_error_t *err;

        head.model = llmux_slice(heads[i].path_model);
        err = heads[i].dialect->head(
            pool, llmux_json_parser_create(pool),
            llmux_slice(quotes(pool, heads[i].json)), &head);
        is_str(err ? err->param : NULL, heads[i].param, heads[i].json);
        if (!err) {
            ok(llmux_slice_is(head.model, heads[i].model)
               && head.messages == heads[i].messages
               && head.stream == LLMUX_NO && !head.include_usage,
               "  ... model, messages, no stream");
        }
    }
}

/* ---- edit ------------------------------------------------------------ */

static const llmux_target_t plain = { .name = "t" };
static const llmux_target_t strict = { .name = "t",
                                       .version = "2026-10-21" };
static const llmux_target_t vertex = { .name = "t", .vertex = 1,
                                       .body_version = "v-1" };

#define THOUGHT "{'type':'thinking','thinking':'a','signature':'gw2.k.x'}"

static const struct {
    const llmux_dialect_t *dialect;
    const llmux_target_t *target;
    const char *body, *want, *told;
} edits[] = {
    { A, &plain,
      "{'model':'x','max_tokens':9,'messages':[ {} ],'stream':true,'top_k':1,"
      "'zzz':1}", "{'model':'m','messages':[ {} ],'zzz':1}" },
    { A, &vertex, "{'model':'x','messages':[{}]}",
      "{'anthropic_version':'v-1','model':'m','messages':[{}]}" },
    { A, &vertex, "{'anthropic_version':'v-0','model':'x','messages':[{}]}",
      "{'anthropic_version':'v-0','model':'m','messages':[{}]}" },
    { A, &strict,
      "{'model':'x','temperature':0.5,'service_tier':'auto','messages':[{"
      "'role':'user','content':[{'type':'text','citations':[1]}]}]}",
      "{'model':'m','messages':[{"
      "'role':'user','content':[{'type':'text','citations':[]}]}]}",
      "drop=messages.content.citations" },
    { A, &vertex,
      "{'model':'x','service_tier':'flex','top_k':1,'thinking':{'type':"
      "'enabled'},'messages':[{'role':'assistant','content':[" THOUGHT ",{}"
      "]}]}",
      "{'anthropic_version':'v-1','model':'m','messages':[{'role':"
      "'assistant','content':[{}]}]}", "drop=reasoning_content,thinking" },
    { R, &plain,
      "{'model':'x','input':[{'type':'reasoning','encrypted_content':"
      "'gw2.k.x'}],'top_p':1}", "{'model':'m','input':[]}",
      "drop=reasoning_content" },
    { R, &plain,
      "{'model':'x','input':'Hi','max_output_tokens':9,'store':false,'y':[]}",
      "{'model':'m','input':'Hi','y':[]}" },
    { G, &plain, "{ 'contents' : [{}] }", "{ 'contents' : [{}] }" },
    { G, &plain, "{'contents':[{}],'tools':[1]}",
      "{'generateContentRequest':{'model':'models/m','contents':[{}],"
      "'tools':[1]}}" },
    { G, &plain,
      "{'generateContentRequest':{'model':'models/x','contents':[{}],'y':1}}",
      "{'generateContentRequest':{'model':'models/m','contents':[{}],"
      "'y':1}}" },
    { G, &plain, "{'generate_content_request':{'contents':[{}]}}",
      "{'generateContentRequest':{'model':'models/m','contents':[{}]}}" },
    { G, &vertex,
      "{'contents':[{'role':'user'}],'store':true,'serviceTier':'flex',"
      "'cachedContent':'c','zzz':1}", "{'contents':[{'role':'user'}]}",
      "drop=cachedContent,zzz" },
    { G, &vertex,
      "{'generateContentRequest':{'contents':[{'parts':[{'thoughtSignature':"
      "'Z3cyLmsueA','partMetadata':{'a':1}}]}],'labels':{'a':'b'}}}",
      "{'contents':[{'role':'user','parts':[{}]}]}",
      "drop=reasoning_content,contents.parts.partMetadata" }
};

static const char *told;        /* of the last one that was edited */

static const char *edited(const llmux_dialect_t *dialect,
                          const llmux_target_t *to, const char *json)
{
    llmux_warnings_t *warnings = llmux_warnings_create(pool, 0);
    const char *body = quotes(pool, json);
    llmux_buf_t *out = llmux_buf_create(pool, 1 << 16);
    llmux_head_t head = { 0 };
    llmux_target_t target = *to;

    target.model = llmux_slice("m");
    head.model = llmux_slice("m");
    dialect->head(pool, llmux_json_parser_create(pool), llmux_slice(body),
                  &head);
    dialect->edit(out, pool, &head, llmux_slice(body), &target,
                  warnings);
    told = llmux_warnings_header(pool, warnings);
    return out->failed ? "failed" : out->data;
}

/* The members of a request at Vertex AI, in any order and white space. */
static int has_members(const char *json, const char *const *names)
{
    const llmux_json_t *v = llmux_json_parse(pool, llmux_slice(json), 0,
                                             NULL);
    int n = 0;

    for (; names[n]; n++) {
        if (!llmux_json_get(v, names[n])) {
            return 0;
        }
    }
    return llmux_json_count(v) == n;
}

static void test_edits(void)
{
    static const char *const all[] = {
        "contents", "tools", "systemInstruction", "generationConfig", NULL
    };
    static const char bodies[][200] = {
        "{'contents':[{'parts':[]}],'tools':[],'systemInstruction':{},"
        "'generationConfig':{},'safetySettings':[],'toolConfig':{}}",
        "{'generateContentRequest':{'model':'models/x','contents':"
        "[{'parts':[]}],'tools':[],'systemInstruction':{},"
        "'generationConfig':{},'cachedContent':'c'}}"
    };
    apr_size_t i;

    for (i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        is_str(edited(edits[i].dialect, edits[i].target, edits[i].body),
               quotes(pool, edits[i].want), edits[i].body);
        is_str(told, edits[i].told, "  ... and this is told");
    }
    for (i = 0; i < 2; i++) {
        ok(has_members(edited(G, &vertex, bodies[i]), all),
           "Vertex AI gets what it takes: %s", bodies[i]);
    }
}

/* ---- read and write -------------------------------------------------- */

static const struct {
    const char *name;
    const llmux_dialect_t *from, *to;
    const llmux_target_t *target;
    const char *body, *want, *warnings;
} writes[] = {
    { "Anthropic's: no limits, no words about them", A, A, &plain,
      "{'model':'x','system':'S','max_tokens':5,'temperature':0.5,'top_k':3,"
      "'stop_sequences':['a'],'stream':true,'metadata':{'user_id':'u'},"
      "'messages':[{'role':'user','content':'Hi'}]}",
      "{'model':'m','system':[{'type':'text','text':'S'}],'messages':[{'role':'user','content':"
      "[{'type':'text','text':'Hi'}]}]}", NULL },
    { "... by Vertex AI", A, A, &vertex,
      "{'model':'x','messages':[{'role':'user','content':'Hi'}]}",
      "{'anthropic_version':'v-1','model':'m','messages':[{'role':'user',"
      "'content':[{'type':'text','text':'Hi'}]}]}", NULL },
    { "Responses", R, R, &plain,
      "{'model':'x','input':'Hi','max_output_tokens':20,'store':false,"
      "'temperature':1,'user':'u','metadata':{'a':'b'}}",
      "{'model':'m','input':[{'role':'user','content':'Hi'}]}", NULL },
    { "Gemini, contents alone", G, G, &plain,
      "{'contents':[{'role':'user','parts':[{'text':'Hi'}]}],"
      "'generationConfig':{'maxOutputTokens':5}}",
      "{'contents':[{'role':'user','parts':[{'text':'Hi'}]}]}", NULL },
    { "Gemini, all of it", G, G, &plain,
      "{'generateContentRequest':{'model':'models/x','systemInstruction':"
      "{'parts':[{'text':'S'}]},'contents':[{'role':'user','parts':"
      "[{'text':'Hi'}]}]}}",
      "{'generateContentRequest':{'model':'models/m','systemInstruction':"
      "{'parts':[{'text':'S'}]},'contents':[{'role':'user','parts':"
      "[{'text':'Hi'}]}]}}", NULL },
    { "... by Vertex AI", G, G, &vertex,
      "{'generateContentRequest':{'systemInstruction':{'parts':[{'text':"
      "'S'}]},'contents':[{'role':'user','parts':[{'text':'Hi'}]}]}}",
      "{'systemInstruction':{'parts':[{'text':'S'}]},'contents':[{'role':"
      "'user','parts':[{'text':'Hi'}]}]}", NULL },
    { "an Anthropic client's, counted by Google", A, G, &plain,
      "{'model':'x','messages':[{'role':'user','content':'Hi'}]}",
      "{'contents':[{'role':'user','parts':[{'text':'Hi'}]}]}", NULL },
    { "a Google client's, counted by OpenAI", G, R, &plain,
      "{'contents':[{'role':'user','parts':[{'text':'Hi'}]}]}",
      "{'model':'m','input':[{'role':'user','content':'Hi'}]}", NULL }
};

static void is_written(apr_size_t i)
{
    const llmux_json_t *body = llmux_json_parse(
        pool, llmux_slice(quotes(pool, writes[i].body)), 0, NULL);
    llmux_warnings_t *w = llmux_warnings_create(pool, 0);
    llmux_buf_t *out = llmux_buf_create(pool, 1 << 16);
    llmux_chat_t *chat = llmux_chat_create(pool);
    llmux_target_t target = *writes[i].target;
    const llmux_error_t *err = writes[i].from->read(chat, body);

    target.model = llmux_slice("m");
    err = err ? err : writes[i].to->write(out, chat, &target, w, pool);
    is_str(err ? err->message : out->data, quotes(pool, writes[i].want),
           writes[i].name);
    is_str(llmux_warnings_header(pool, w), writes[i].warnings,
           "  ... its warnings");
}

/* A budget for thinking is part of what is counted, and not made smaller by
 * a limit that there is not. */
static void test_budget(void)
{
    llmux_buf_t *out = llmux_buf_create(pool, 1 << 16);
    llmux_chat_t *chat = llmux_chat_create(pool);
    llmux_target_t target = { .name = "t", .max_tokens = 2000 };
    const char *body = quotes(pool, "{'model':'x','messages':[{'role':'user',"
        "'content':'Hi'}],'thinking':{'type':'enabled','budget_tokens':"
        "8192}}");

    target.model = llmux_slice("claude-haiku-4-5-20251001");
    (A)->read(chat, llmux_json_parse(pool, llmux_slice(body), 0, NULL));
    (A)->write(out, chat, &target, llmux_warnings_create(pool, 0), pool);
    ok(out->len && strstr(out->data, "\"budget_tokens\":8192"),
       "a budget stays as it is");
}

static void test_failures(void)
{
    const llmux_dialect_t *const all[] = { A, R, G };
    apr_size_t i;

    for (i = 0; i < 3; i++) {
        llmux_buf_t *out = llmux_buf_create(pool, 12);
        llmux_chat_t *chat = llmux_chat_create(pool);
        llmux_message_t *m = llmux_chat_message(chat, LLMUX_ROLE_USER);
        const llmux_error_t *err;

        llmux_message_block(chat, m, LLMUX_BLOCK_TEXT)->text =
            llmux_slice("Hi");
        err = all[i]->write(out, chat, &plain,
                            llmux_warnings_create(pool, 0), pool);
        ok(err || out->failed, "%s: a body that does not fit",
           all[i]->name);
    }
}

static const struct { const char *json, *param; } unread[] = {
    { "{'generateContentRequest':{'contents':[{'parts':[{'text':1}]}]}}",
      "generateContentRequest.contents[0].parts[0].text" },
    { "{'contents':[{'parts':[{'text':1}]}]}", "contents[0].parts[0].text" }
};

static void test_reads(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(unread) / sizeof(unread[0]); i++) {
        const llmux_error_t *err = (G)->read(
            llmux_chat_create(pool),
            llmux_json_parse(pool, llmux_slice(quotes(pool, unread[i].json)),
                             0, NULL));

        is_str(err ? err->param : NULL, unread[i].param, unread[i].json);
    }
}

/* ---- answers --------------------------------------------------------- */

static const struct {
    const llmux_dialect_t *dialect;
    const char *body, *events;
} answers[] = {
    { A, "{'input_tokens':14}", "start 0\nusage in=14\nend\n" },
    { A, "{'input_tokens':0,'zzz':{}}", "start 0\nusage in=0\nend\n" },
    { A, "{}", NULL },
    { A, "{'input_tokens':-1}", NULL },
    { A, "{'input_tokens':'14'}", NULL },
    { A, "{'type':'error','error':{'type':'not_found_error','message':"
      "'model: x'}}", "error MODEL: model: x\n" },
    { A, "[]", NULL },
    { R, "{'object':'response.input_tokens','input_tokens':15}",
      "start 0\nusage in=15\nend\n" },
    { R, "{'error':{'message':'no','type':'invalid_request_error'}}",
      "error INVALID: no\n" },
    { R, "{'input_tokens':null}", NULL },
    { G, "{'totalTokens':8,'promptTokensDetails':[]}",
      "start 0\nusage in=8\nend\n" },
    { G, "{'totalTokens':8,'cachedContentTokenCount':5}",
      "start 0\nusage in=3 read=5\nend\n" },
    { G, "{'totalTokens':8,'cachedContentTokenCount':9}",
      "start 0\nusage in=0 read=8\nend\n" },
    { G, "{}", "start 0\nusage in=0\nend\n" },
    { G, "{'promptTokensDetails':[]}", NULL },
    { G, "[]", NULL },
    { G, "{'error':{'code':404,'status':'NOT_FOUND','message':'models/x is "
      "not found'}}", "error MODEL: models/x is not found\n" }
};

static void test_answers(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        const char *bytes = quotes(pool, answers[i].body);
        const char *want = answers[i].events ? answers[i].events
            : "error BAD_UPSTREAM: The provider's answer holds no count of "
              "tokens.\n";

        is_str(transcribe(pool, answers[i].dialect, 0, bytes, strlen(bytes),
                          -1), want, answers[i].body);
        ok(same_at_every_cut(pool, answers[i].dialect, 0, bytes),
           "  ... cut anywhere");
    }
    is_str(transcribe(pool, A, 1, ": wait\n\n", 8, -1),
           "ping\nerror BAD_UPSTREAM: The provider's answer was truncated.\n",
           "an answer that never came");
}

static const struct {
    const llmux_dialect_t *dialect;
    llmux_usage_t usage;
    const char *want;
} encodes[] = {
    { A, { 14, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1 },
      "{'input_tokens':14}" },
    { A, { 3, 5, 4, -1, 2, 7, -1, -1, -1, -1, -1 }, "{'input_tokens':14}" },
    { R, { 3, 5, -1, -1, -1, -1, -1, -1, -1, -1, -1 },
      "{'object':'response.input_tokens','input_tokens':8}" },
    { G, { 3, 5, -1, -1, -1, -1, -1, -1, -1, -1, -1 },
      "{'totalTokens':8,'cachedContentTokenCount':5}" },
    { G, { 0, 0, -1, -1, -1, -1, -1, -1, -1, -1, -1 }, "{'totalTokens':0}" },
    { A, LLMUX_USAGE_NONE, NULL },
    { R, LLMUX_USAGE_NONE, NULL },
    { G, { -1, -1, -1, -1, -1, 7, -1, -1, -1, -1, -1 }, NULL }
};

static void test_encodes(void)
{
    static const llmux_event_t start = { .kind = LLMUX_EV_START };
    static const llmux_event_t ping = { .kind = LLMUX_EV_PING };
    static const llmux_event_t end = { .kind = LLMUX_EV_END };
    apr_size_t i;

    for (i = 0; i < sizeof(encodes) / sizeof(encodes[0]); i++) {
        llmux_encode_t how = { .id = "ours" };
        llmux_encoder_t *e = encodes[i].dialect->encoder(pool, &how);
        llmux_buf_t *out = llmux_buf_create(pool, 1 << 10);
        llmux_event_t usage = { .kind = LLMUX_EV_USAGE,
                                .usage = &encodes[i].usage };

        e->event(e, &start, out);
        e->event(e, &ping, out);
        e->event(e, &usage, out);
        e->event(e, &end, out);
        e->event(e, &end, out);
        is_str(out->failed ? NULL : out->data,
               encodes[i].want ? quotes(pool, encodes[i].want) : NULL,
               encodes[i].dialect->name);
    }
}

/* An error is the caller's to tell. */
static void test_error(void)
{
    llmux_encode_t how = { .id = "ours" };
    llmux_event_t error = { .kind = LLMUX_EV_ERROR };
    llmux_event_t end = { .kind = LLMUX_EV_END };
    llmux_buf_t *out = llmux_buf_create(pool, 1 << 10);
    llmux_encoder_t *e = (A)->encoder(pool, &how);

    error.error = llmux_error(pool, LLMUX_ERR_AUTH, NULL, "no");
    e->event(e, &error, out);
    e->event(e, &end, out);
    ok(!out->len && !out->failed, "behind an error there is nothing");
    is_int((A)->error_status(
               llmux_error(pool, LLMUX_ERR_OVERLOADED, NULL, "later")), 529,
           "statuses are the vendor's");
}

static void test_table(void)
{
    ok(llmux_dialect_openai.complete == &llmux_dialect_completions
       && llmux_dialect_openai.count == R && llmux_dialect_responses.count == R
       && llmux_dialect_anthropic.count == A
       && llmux_dialect_gemini.count == G, "each is somebody's sibling");
    ok((A)->op == LLMUX_OP_COUNT && (G)->op == LLMUX_OP_COUNT
       && (R)->op == LLMUX_OP_COUNT
       && llmux_dialect_completions.op == LLMUX_OP_COMPLETE,
       "and says what it is for");
    ok(llmux_dialect_named("anthropic-count") == A
       && llmux_dialect_named("gemini-count") == G
       && llmux_dialect_named("responses-count") == R
       && llmux_dialect_named("completions") == &llmux_dialect_completions,
       "they are found by name");
}

int main(void)
{
    apr_size_t i;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_heads();
    test_edits();
    for (i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
        is_written(i);
    }
    test_budget();
    test_failures();
    test_reads();
    test_answers();
    test_encodes();
    test_error();
    test_table();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
