/* openai_encode.c - tests of writing chat completions, as chunks and whole. */

#include "dialect/openai_answer.h"
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

    pipe.encoder = llmux_dialect_openai.encoder(p, &sealing);
    pipe.out = llmux_buf_create(p, 1 << 26);
    return pipe;
}

static const llmux_encode_t streamed = {
    .streamed = 1, .include_usage = 1, .show_thinking = 1, .id = "ours",
    .created = 99
};
static const llmux_encode_t whole = {
    .show_thinking = 1, .id = "ours", .created = 99
};

/* From a stream of chunks to what the client gets. */
static const char *translate(apr_pool_t *p, const llmux_encode_t *how,
                             const char *lines)
{
    pipe_t pipe = open_pipe(p, how);
    llmux_stream_t *s = llmux_stream_open(p, &test_env, &llmux_dialect_openai,
                                          1, encode, NULL, &pipe);
    const char *bytes = events(p, lines);

    llmux_stream_feed(s, bytes, strlen(bytes));
    llmux_stream_end(s);
    return unsealed(p, llmux_slice_str(p, llmux_buf_slice(pipe.out)));
}

#define C0 "{'id':'c1','model':'m','created':7,'choices':[{'index':0,"
#define STOP C0 "'delta':{},'finish_reason':'stop'}]}\n[DONE]"
#define CALLS C0 "'delta':{},'finish_reason':'tool_calls'}]}\n[DONE]"
#define TOOL(fragment) C0 "'delta':{'tool_calls':[" fragment "]}}]}\n"
#define USAGE "{'choices':[],'usage':{'prompt_tokens':9,'completion_tokens':3}}"

/* ---- streamed -------------------------------------------------------- */

/* An expected chunk: choice `i`, delta, log probabilities, finish. */
#define OUT(i, delta, logprobs, finish) \
    "{'id':'c1','object':'chat.completion.chunk','created':7,'model':'m'," \
    "'choices':[{'index':" i ",'delta':{" delta "},'logprobs':" logprobs \
    ",'finish_reason':" finish "}],'usage':null}\n"
#define ROLE(i, content) \
    OUT(i, "'role':'assistant','content':" content ",'refusal':null", "null", \
        "null")
#define DELTA(delta) OUT("0", delta, "null", "null")
#define FRAGMENT(inner) DELTA("'tool_calls':[{" inner "}]")
#define DETAIL(inner) "'reasoning_details':[{" inner "}]"

static const struct {
    const char *name, *lines, *want;
} chunks[] = {
    { "text, usage, one [DONE]",
      C0 "'delta':{'role':'assistant','content':''}}]}\n"
      C0 "'delta':{'content':'Hi'}}]}\n" USAGE "\n" STOP,
      ROLE("0", "''") DELTA("'content':'Hi'")
      OUT("0", "", "null", "'stop'")
      "{'id':'c1','object':'chat.completion.chunk','created':7,'model':'m',"
      "'choices':[],'usage':{'prompt_tokens':9,'completion_tokens':3,"
      "'total_tokens':12}}\n[DONE]" },
    { "calls are numbered from 0, one without arguments has {}",
      TOOL("{'index':3,'id':'a','function':{'name':'f'}}")
      TOOL("{'index':5,'id':'b','type':'custom','custom':{'name':'g'}}")
      TOOL("{'index':5,'custom':{'input':'x'}}") STOP,
      ROLE("0", "null")
      FRAGMENT("'index':0,'id':'a','type':'function','function':{'name':'f',"
               "'arguments':''}")
      FRAGMENT("'index':1,'id':'b','type':'custom','custom':{'name':'g',"
               "'input':''}")
      FRAGMENT("'index':1,'custom':{'input':'x'}")
      FRAGMENT("'index':0,'function':{'arguments':'{}'}")
      OUT("0", "", "null", "'tool_calls'") "[DONE]" },
    { "a call's token stands in its first fragment, or comes later",
      TOOL("{'index':0,'id':'a','extra_content':{'google':"
           "{'thought_signature':'S1'}},'function':{'name':'f',"
           "'arguments':'{}'}}")
      TOOL("{'index':0,'extra_content':{'google':{'thought_signature':'S2'}}}")
      CALLS,
      ROLE("0", "null")
      FRAGMENT("'index':0,'id':'a','type':'function','function':{'name':'f',"
               "'arguments':''},'extra_content':{'google':"
               "{'thought_signature':'<<gemini:S1>>'}}")
      FRAGMENT("'index':0,'function':{'arguments':'{}'}")
      FRAGMENT("'index':0,'extra_content':{'google':{'thought_signature':"
               "'<<gemini:S2>>'}}")
      OUT("0", "", "null", "'tool_calls'") "[DONE]" },
    { "thoughts with what their makers want back",
      C0 "'delta':{" DETAIL("'text':'Hm','index':0") "}}]}\n"
      C0 "'delta':{" DETAIL("'signature':'SIG','format':"
      "'anthropic-claude-v1','index':0") "}}]}\n"
      C0 "'delta':{" DETAIL("'data':'RED','format':'anthropic-claude-v1',"
      "'index':1") "}}]}\n"
      C0 "'delta':{'content':'Hi'}}]}\n" STOP,
      ROLE("0", "''")
      DELTA("'reasoning_content':'Hm'," DETAIL("'type':'reasoning.text',"
            "'text':'Hm','index':0"))
      DELTA(DETAIL("'type':'reasoning.text','signature':"
                   "'<<anthropic:SIG>>','format':"
                   "'anthropic-claude-v1','index':0"))
      DELTA(DETAIL("'type':'reasoning.encrypted','data':"
                   "'<<redacted:RED>>','format':"
                   "'anthropic-claude-v1','index':1"))
      DELTA("'content':'Hi'") OUT("0", "", "null", "'stop'") "[DONE]" },
    { "a refusal, citations, log probabilities, images",
      C0 "'delta':{'content':'Hi'},'logprobs':{'content':[{'token':'Hi'}]}}]}"
      "\n" C0 "'delta':{'annotations':[{'type':'url_citation','url_citation':{"
      "'url':'u'}}]}}]}\n"
      C0 "'delta':{'images':[{'image_url':{'url':'data:image/png;base64,AAAA'}"
      "}]}}]}\n" C0 "'delta':{'refusal':'no'}}]}\n" STOP,
      ROLE("0", "''") DELTA("'content':'Hi'")
      OUT("0", "", "{'content':[{'token':'Hi'}],'refusal':null}", "null")
      DELTA("'annotations':[{'index':0,'type':'url_citation',"
            "'url_citation':{'url':'u',"
            "'title':'','start_index':0,'end_index':0}}]")
      DELTA("'images':[{'index':0,'type':'image_url','image_url':{'url':"
            "'data:image/png;base64,AAAA'}}]")
      DELTA("'refusal':'no'") OUT("0", "", "null", "'stop'") "[DONE]" },
    { "each choice has its role once",
      C0 "'delta':{'role':'assistant','content':'a'}}]}\n"
      "{'choices':[{'index':1,'delta':{'role':'assistant','content':'b'},"
      "'finish_reason':'length'}]}\n" STOP,
      ROLE("0", "''") DELTA("'content':'a'")
      ROLE("1", "''") OUT("1", "'content':'b'", "null", "null")
      OUT("0", "", "null", "'stop'") OUT("1", "", "null", "'length'")
      "[DONE]" },
    { "a keep-alive does not take the role away",
      ": hi\n" C0 "'delta':{'content':'a'}}]}\n" STOP,
      ": keep-alive\n" ROLE("0", "''") DELTA("'content':'a'")
      OUT("0", "", "null", "'stop'") "[DONE]" },
    { "nothing follows an error",
      C0 "'delta':{'content':'a'}}]}\n{'error':{'message':'no','type':"
      "'overloaded_error'}}\n" STOP,
      ROLE("0", "''") DELTA("'content':'a'")
      "{'error':{'message':'no','type':'server_error','param':null,'code':"
      "'overloaded'}}" },
    { "an answer that says nothing", STOP,
      ROLE("0", "''") OUT("0", "", "null", "'stop'") "[DONE]" }
};

static void chunk_by_chunk(apr_pool_t *p)
{
    unsigned int i;

    for (i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        is_str(translate(p, &streamed, chunks[i].lines),
               events(p, chunks[i].want), chunks[i].name);
    }
}

/* What is decoded, encoded and decoded again is the same: the cases above
 * but those that are made more regular on the way. */
static void there_and_back(apr_pool_t *p)
{
    static const int which[] = { 0, 2, 3, 4, 5, 6, 8 };
    unsigned int i;

    for (i = 0; i < sizeof(which) / sizeof(which[0]); i++) {
        const char *first = events(p, chunks[which[i]].lines);
        const char *second = bare(p, translate(p, &streamed,
                                               chunks[which[i]].lines));
        const llmux_dialect_t *openai = &llmux_dialect_openai;

        is_str(transcribe(p, openai, 1, second, strlen(second), -1),
               transcribe(p, openai, 1, first, strlen(first), -1),
               apr_pstrcat(p, "there and back: ", chunks[which[i]].name,
                           NULL));
    }
}

/* ---- whole ----------------------------------------------------------- */

#define WHOLE(choices, usage) \
    "{'id':'c1','object':'chat.completion','created':7,'model':'m'," \
    "'choices':[" choices "]" usage "}"
#define CHOICE(i, message, logprobs, finish) \
    "{'index':" i ",'message':{'role':'assistant'," message "},'logprobs':" \
    logprobs ",'finish_reason':'" finish "'}"

static const struct {
    const char *name, *lines, *want;
} documents[] = {
    { "text and usage",
      C0 "'delta':{'content':'H'}}]}\n" C0 "'delta':{'content':'i'}}]}\n"
      USAGE "\n" STOP,
      WHOLE(CHOICE("0", "'content':'Hi','refusal':null", "null", "stop"),
            ",'usage':{'prompt_tokens':9,'completion_tokens':3,"
            "'total_tokens':12}") },
    { "thoughts and calls keep what a client must send back",
      C0 "'delta':{" DETAIL("'text':'H','index':0") "}}]}\n"
      C0 "'delta':{" DETAIL("'text':'m','index':0") "}}]}\n"
      C0 "'delta':{" DETAIL("'signature':'SIG','format':"
      "'anthropic-claude-v1','index':0") "}}]}\n"
      C0 "'delta':{" DETAIL("'data':'RED','format':'anthropic-claude-v1',"
      "'index':1") "}}]}\n"
      TOOL("{'index':0,'id':'a','function':{'name':'f'}}")
      TOOL("{'index':1,'id':'b','extra_content':{'google':"
           "{'thought_signature':'S'}},'function':{'name':'g','arguments':"
           "'{'}}")
      TOOL("{'index':1,'function':{'arguments':'}'}}")
      TOOL("{'index':2,'id':'c','custom':{'name':'h'}}") STOP,
      WHOLE(CHOICE("0", "'content':null,'refusal':null,'reasoning_content':"
          "'Hm','reasoning_details':[{'type':'reasoning.text','text':'Hm',"
          "'signature':'<<anthropic:SIG>>','format':'anthropic-claude-v1',"
          "'index':0},"
          "{'type':'reasoning.encrypted','data':'<<redacted:RED>>','format':"
          "'anthropic-claude-v1','index':1}],'tool_calls':[{'id':'a','type':"
          "'function','function':{'name':'f','arguments':'{}'}},{'id':'b',"
          "'type':'function','function':{'name':'g','arguments':'{}'},"
          "'extra_content':{'google':{'thought_signature':'<<gemini:S>>'}}},"
          "{'id':'c',"
          "'type':'custom','custom':{'name':'h','input':''}}]", "null",
          "tool_calls"), "") },
    { "a refusal has no content",
      C0 "'delta':{'refusal':'no'}}]}\n" STOP,
      WHOLE(CHOICE("0", "'content':null,'refusal':'no'", "null", "stop"), "")
    },
    { "citations, log probabilities and images are joined",
      C0 "'delta':{'content':'a'},'logprobs':{'content':[{'token':'a'}]}}]}\n"
      C0 "'delta':{'content':'b'},'logprobs':{'content':[{'token':'b'}]}}]}\n"
      C0 "'delta':{'annotations':[{'type':'url_citation','url_citation':{"
      "'url':'u','title':'t','start_index':0,'end_index':1}},{'type':"
      "'url_citation','url_citation':{'url':'v','content':'q'}}]}}]}\n"
      C0 "'delta':{'images':[{'image_url':{'url':'data:image/png;base64,AAAA'}"
      "}]}}]}\n" STOP,
      WHOLE(CHOICE("0", "'content':'ab','refusal':null,'annotations':[{'type':"
          "'url_citation','url_citation':{'url':'u','title':'t',"
          "'start_index':0,'end_index':1}},{'type':'url_citation',"
          "'url_citation':{'url':'v','title':'','content':'q','start_index':0,"
          "'end_index':0}}],'images':[{'type':'image_url','image_url':{'url':"
          "'data:image/png;base64,AAAA'}}]",
          "{'content':[{'token':'a'},{'token':'b'}],'refusal':null}", "stop"),
          "") },
    { "two choices",
      C0 "'delta':{'content':'a'}},{'index':1,'delta':{'content':'b'},"
      "'finish_reason':'content_filter'}]}\n" STOP,
      WHOLE(CHOICE("0", "'content':'a','refusal':null", "null", "stop") ","
            CHOICE("1", "'content':'b','refusal':null", "null",
                   "content_filter"), "") },
    { "nothing", STOP,
      WHOLE(CHOICE("0", "'content':'','refusal':null", "null", "stop"), "") },
    { "an error is the caller's to tell",
      C0 "'delta':{'content':'a'}}]}\n{'error':{'message':'no'}}", "" },
    { "a truncated answer is none", C0 "'delta':{'content':'a'}}]}", "" }
};

static void all_at_once(apr_pool_t *p)
{
    unsigned int i;

    for (i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        const char *got = translate(p, &whole, documents[i].lines);

        is_str(got, quotes(p, documents[i].want), documents[i].name);
        ok(!*got || llmux_json_is_object(p, llmux_slice(got)), "... is JSON");
    }
}

/* A whole answer, read and written anew, is the same text. */
static void whole_again(apr_pool_t *p)
{
    unsigned int i;

    for (i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        const char *want = quotes(p, documents[i].want);
        const char *body = bare(p, want);
        pipe_t pipe = open_pipe(p, &whole);
        llmux_stream_t *s = llmux_stream_open(p, &test_env,
                                              &llmux_dialect_openai, 0,
                                              encode, NULL, &pipe);

        llmux_stream_feed(s, body, strlen(body));
        llmux_stream_end(s);
        is_str(unsealed(p, llmux_slice_str(p, llmux_buf_slice(pipe.out))), want,
               apr_pstrcat(p, "again: ", documents[i].name, NULL));
    }
}

/* ---- what the client asked for --------------------------------------- */

static void wishes(apr_pool_t *p)
{
    static const char lines[] =
        C0 "'delta':{'reasoning':'Hm'}}]}\n" USAGE "\n" STOP;
    llmux_encode_t how = streamed;
    const char *got;

    how.include_usage = how.show_thinking = 0;
    how.model = llmux_slice("alias");
    got = translate(p, &how, lines);
    ok(!strstr(got, "usage"), "usage only if asked for");
    ok(!strstr(got, "reasoning") && !strstr(got, "Hm"),
       "thoughts only if asked for");
    ok(strstr(got, "\"model\":\"alias\"") && !strstr(got, "\"m\""),
       "the model may have another name");
    how.streamed = 0;
    got = translate(p, &how, lines);
    ok(!strstr(got, "reasoning") && !strstr(got, "Hm"),
       "... also in one document");
}

/* An answer of which the provider told next to nothing. */
static void anonymous(apr_pool_t *p)
{
    llmux_event_t start = { .kind = LLMUX_EV_START };
    llmux_event_t open = { .kind = LLMUX_EV_BLOCK_START };
    pipe_t pipe = open_pipe(p, &streamed);

    encode(&pipe, &start);
    encode(&pipe, &open);
    is_str(llmux_buf_slice(pipe.out).data, quotes(p,
           "data: {'id':'ours','object':'chat.completion.chunk','created':99,"
           "'model':'','choices':[{'index':0,'delta':{'role':'assistant',"
           "'content':'','refusal':null},'logprobs':null,'finish_reason':null}"
           "],'usage':null}\n\n"), "the answer gets our id and time");
}

/* A provider may have written them on several lines. */
static void logprobs_on_one_line(apr_pool_t *p)
{
    llmux_event_t ev = { .kind = LLMUX_EV_LOGPROBS };
    pipe_t pipe = open_pipe(p, &streamed);

    ev.text = llmux_slice("[\n{\"token\":\"\\n\"}\r\n]");
    encode(&pipe, &ev);
    ok(strstr(llmux_buf_slice(pipe.out).data,
              "\"logprobs\":{\"content\":[{\"token\":\"\\n\"}],") != NULL,
       "log probabilities do not break the event");
}

/* Gemini tells its sources when the text is over. */
static void late_citation(apr_pool_t *p)
{
    llmux_cite_t cite = { llmux_slice("u"), llmux_slice("t"),
                          llmux_slice(NULL), 0, 2 };
    llmux_event_t open = { .kind = LLMUX_EV_BLOCK_START };
    llmux_event_t stop = { .kind = LLMUX_EV_BLOCK_STOP };
    llmux_event_t late = { .kind = LLMUX_EV_CITE, .cite = &cite };
    llmux_event_t end = { .kind = LLMUX_EV_END };
    pipe_t a = open_pipe(p, &streamed), b = open_pipe(p, &whole);
    const llmux_event_t *all[] = { &open, &stop, &late, &end };
    unsigned int i;

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        encode(&a, all[i]);
        encode(&b, all[i]);
    }
    ok(strstr(llmux_buf_slice(a.out).data, "\"annotations\":[{") != NULL,
       "a citation after its text is told");
    ok(strstr(llmux_buf_slice(b.out).data, "\"annotations\":[{") != NULL,
       "... also in one document");
}

static const struct { llmux_finish_e finish; const char *want; } finishes[] = {
    { LLMUX_FINISH_STOP, "stop" }, { LLMUX_FINISH_STOP_SEQUENCE, "stop" },
    { LLMUX_FINISH_LENGTH, "length" }, { LLMUX_FINISH_CONTEXT, "length" },
    { LLMUX_FINISH_CALLS, "tool_calls" },
    { LLMUX_FINISH_FILTER, "content_filter" },
    { LLMUX_FINISH_REFUSAL, "content_filter" },
    { LLMUX_FINISH_MALFORMED, "stop" }, { LLMUX_FINISH_PAUSE, "stop" },
    { LLMUX_FINISH_OTHER, "stop" }
};

static void reasons(apr_pool_t *p)
{
    unsigned int i;

    for (i = 0; i < sizeof(finishes) / sizeof(finishes[0]); i++) {
        llmux_event_t ev = { .kind = LLMUX_EV_FINISH };
        pipe_t pipe = open_pipe(p, &streamed);

        ev.finish = finishes[i].finish;
        encode(&pipe, &ev);
        ok(strstr(llmux_buf_slice(pipe.out).data,
                  apr_psprintf(p, "\"finish_reason\":\"%s\"",
                               finishes[i].want)) != NULL,
           "%s ends as %s", finish_names[ev.finish], finishes[i].want);
    }
}

/* Many blocks, opened and closed, in memory that stays the same. */
static void constant_memory(apr_pool_t *p)
{
    llmux_event_t open = { .kind = LLMUX_EV_BLOCK_START };
    llmux_event_t text = { .kind = LLMUX_EV_TEXT };
    llmux_event_t stop = { .kind = LLMUX_EV_BLOCK_STOP };
    pipe_t pipe = open_pipe(p, &streamed);
    const char *first = NULL, *last;

    text.text = llmux_slice("x");
    for (open.key = 0; open.key < 100000; open.key++) {
        text.key = stop.key = open.key;
        encode(&pipe, &open);
        encode(&pipe, &text);
        encode(&pipe, &stop);
        llmux_buf_reset(pipe.out);
        if (open.key == 10) {
            first = apr_palloc(p, 8);
        }
    }
    last = apr_palloc(p, 8);
    ok(are_neighbours(first, last), "streaming takes no memory from the pool");
}

int main(void)
{
    apr_pool_t *p;

    apr_initialize();
    apr_pool_create(&p, NULL);
    chunk_by_chunk(p);
    there_and_back(p);
    all_at_once(p);
    whole_again(p);
    wishes(p);
    anonymous(p);
    logprobs_on_one_line(p);
    late_citation(p);
    reasons(p);
    constant_memory(p);
    apr_pool_destroy(p);
    return tap_done();
}
