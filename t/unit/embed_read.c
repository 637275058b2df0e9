/* embed_read.c - what clients want to be embedded is understood, or refused
 * with its place; their bytes pass with another model. */

#include "tap.h"
#include "transcript.h"

static apr_pool_t *pool;

#define OPENAI &llmux_dialect_embeddings
#define ONE    &llmux_dialect_gemini_embed
#define BATCH  &llmux_dialect_gemini_batch_embed

#define SAY(text) "'content':{'parts':[{'text':'" text "'}]}"
#define PNG "iVBORw0KGgo="

/* ---- what is understood ------------------------------------------------ */

static void write_input(llmux_buf_t *b, const llmux_input_t *in)
{
    llmux_buf_addf(b, "%s:", in->param);
    write_word(b, " ", in->text);
    write_word(b, " tokens=", in->tokens);
    write_word(b, " task=", in->task);
    write_word(b, " title=", in->title);
    if (in->media) {
        write_word(b, " media=", in->media->type);
        write_word(b, ",", in->media->base64);
        write_word(b, ",", in->media->url);
    }
    llmux_buf_adds(b, "\n");
}

static const char *chat_text(const llmux_chat_t *chat)
{
    llmux_buf_t *b = llmux_buf_create(pool, 1 << 20);
    const llmux_extra_t *e;
    int i;

    for (i = 0; i < chat->embed->inputs->nelts; i++) {
        write_input(b, &APR_ARRAY_IDX(chat->embed->inputs, i, llmux_input_t));
    }
    llmux_buf_adds(b, chat->embed->base64 ? "base64 " : "floats ");
    llmux_buf_adds(b, chat->embed->truncate ? "cut" : "whole");
    write_word(b, " of ", chat->embed->dimensions);
    write_word(b, " for ", chat->user_id);
    for (e = chat->extra; e; e = e->next) {
        write_word(b, " +", e->name);
    }
    for (e = chat->lost; e; e = e->next) {
        write_word(b, " -", e->name);
    }
    return apr_pstrdup(pool, llmux_buf_slice(b).data);
}

static const llmux_error_t *read_body(const llmux_dialect_t *dialect,
                                      const char *json, llmux_chat_t **chat)
{
    const llmux_json_t *body = llmux_json_parse(pool, llmux_slice(json), 0,
                                                NULL);

    *chat = llmux_chat_create(pool);
    return dialect->read(*chat, body);
}

static const struct {
    const char *name;
    const llmux_dialect_t *dialect;
    const char *json, *want;
} good[] = {
    { "a text", OPENAI, "{'model':'m','input':'hi'}",
      "input: hi\nfloats whole" },
    { "texts, and all members", OPENAI,
      "{'model':'m','input':['a','b\\u0000\\u00e9'],'encoding_format':"
      "'base64','dimensions':256,'user':'u'}",
      "input[0]: a\ninput[1]: b" },
    { "absent and null are the same", OPENAI,
      "{'model':null,'input':'hi','encoding_format':null,'dimensions':null,"
      "'user':null,'x':null}",
      "input: hi\nfloats whole" },
    { "tokens", OPENAI, "{'input':[1, 2,1e2],'encoding_format':'float'}",
      "input: tokens=[1, 2,1e2]\nfloats whole" },
    { "arrays of tokens", OPENAI, "{'input':[[1],[2,3]]}",
      "input[0]: tokens=[1]\ninput[1]: tokens=[2,3]\nfloats whole" },
    { "what it does not know is kept, our own is not", OPENAI,
      "{'input':'hi','output_dtype':'int8','provider':'p','parameters':{},"
      "'tags':[]}",
      "input: hi\nfloats whole +output_dtype" },
    { "OpenRouter's provider is its own", OPENAI,
      "{'input':'hi','provider':{'only':[]}}",
      "input: hi\nfloats whole +provider" },
    { "what others know as the task", OPENAI,
      "{'input_type':'query','input':['a','b']}",
      "input[0]: a task=RETRIEVAL_QUERY\ninput[1]: b task=RETRIEVAL_QUERY\n"
      "floats whole +input_type" },
    { "Cohere's word, and whether it may be cut", OPENAI,
      "{'input':'a','input_type':'search_document','truncate':'END'}",
      "input: a task=RETRIEVAL_DOCUMENT\nfloats cut +input_type +truncate" },
    { "a task that nobody knows", OPENAI,
      "{'input':'a','input_type':'haiku','truncation':false}",
      "input: a\nfloats whole +input_type +truncation" },

    { "one content", ONE, "{" SAY("hi") "}",
      "content: hi\nfloats cut" },
    { "all members", ONE,
      "{'model':'models/m'," SAY("hi") ",'taskType':'RETRIEVAL_DOCUMENT',"
      "'title':'t','outputDimensionality':'256','autoTruncate':false}",
      "content: hi task=RETRIEVAL_DOCUMENT title=t\nfloats whole of 256" },
    { "in snake case, in any case", ONE,
      "{" SAY("hi") ",'task_type':'clustering','output_dimensionality':8}",
      "content: hi task=CLUSTERING\nfloats cut of 8" },
    { "one deeper", ONE,
      "{" SAY("hi") ",'embedContentConfig':{'taskType':'CLASSIFICATION',"
      "'outputDimensionality':9,'new':1}}",
      "content: hi task=CLASSIFICATION\nfloats cut of 9"
      " -embedContentConfig.new" },
    { "no task in particular", ONE,
      "{" SAY("hi") ",'taskType':'TASK_TYPE_UNSPECIFIED'}",
      "content: hi\nfloats cut" },
    { "parts are one text", ONE,
      "{'content':{'role':'user','parts':[{'text':'a'},{'text':'b'}]}}",
      "content: a\nb\nfloats cut" },
    { "a part without brackets, a picture", ONE,
      "{'content':{'parts':{'inlineData':{'mimeType':'image/png','data':'"
      PNG "'}}},'odd':1}",
      "content: media=image/png," PNG "\nfloats cut -odd" },

    { "a batch", BATCH,
      "{'requests':[{'model':'models/m'," SAY("a") "},{" SAY("b")
      ",'title':'t'}]}",
      "requests[0].content: a\nrequests[1].content: b title=t\nfloats cut" },
    { "a batch of one, of one size, that must not be cut", BATCH,
      "{'requests':{" SAY("a") ",'outputDimensionality':3,'autoTruncate':"
      "false},'parameters':{}}",
      "requests[0].content: a\nfloats whole of 3" }
};

static void test_good(void)
{
    const llmux_error_t *err;
    llmux_chat_t *chat;
    const char *text;
    unsigned int i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        err = read_body(good[i].dialect, quotes(pool, good[i].json), &chat);
        text = err ? err->message : chat_text(chat);
        if (i == 1) {
            /* a NUL in a text stays in it */
            ok(!err && APR_ARRAY_IDX(chat->embed->inputs, 1,
                                     llmux_input_t).text.len == 4,
               "a text with a NUL");
            ok(chat->embed->base64
               && llmux_slice_is(chat->embed->dimensions, "256")
               && llmux_slice_is(chat->user_id, "u"), "its members");
        }
        is_str(text, good[i].want, good[i].name);
    }
}

/* ---- what is refused --------------------------------------------------- */

static const struct {
    const llmux_dialect_t *dialect;
    const char *json, *param, *says;
} bad[] = {
    { OPENAI, "{}", "input", "found nothing" },
    { OPENAI, "{'input':null}", "input", "found null" },
    { OPENAI, "{'input':7}", "input", "found a number" },
    { OPENAI, "{'input':{}}", "input", "found an object" },
    { OPENAI, "{'input':''}", "input", "not empty" },
    { OPENAI, "{'input':[]}", "input", "at least one input" },
    { OPENAI, "{'input':['a','']}", "input[1]", "not empty" },
    { OPENAI, "{'input':['a',null]}", "input[1]", "found null" },
    { OPENAI, "{'input':['a',[1]]}", "input[1]", "found an array" },
    { OPENAI, "{'input':[null]}", "input[0]", "expected a string" },
    { OPENAI, "{'input':[[1],'a']}", "input[1]", "an array of tokens" },
    { OPENAI, "{'input':[[1],[]]}", "input[1]", "at least one token" },
    { OPENAI, "{'input':[1,'a']}", "input[1]", "expected a number" },
    { OPENAI, "{'input':[1,-2]}", "input[1]", "expected an integer" },
    { OPENAI, "{'input':[[1,2.5]]}", "input[0][1]", "expected an integer" },
    { OPENAI, "{'input':[1,4294967296]}", "input[1]", "an integer from 0" },
    { OPENAI, "{'input':'a','dimensions':0}", "dimensions", "from 1" },
    { OPENAI, "{'input':'a','dimensions':'8'}", "dimensions", "a number" },
    { OPENAI, "{'input':'a','dimensions':65537}", "dimensions", "to 65536" },
    { OPENAI, "{'input':'a','encoding_format':'int8'}", "encoding_format",
      "one of 'float', 'base64'" },
    { OPENAI, "{'input':'a','encoding_format':1}", "encoding_format",
      "one of" },
    { OPENAI, "{'input':'a','user':1}", "user", "a string" },
    { OPENAI, "[]", NULL, "an object" },

    { ONE, "{}", "content", "an object, found nothing" },
    { ONE, "{'content':'hi'}", "content", "an object, found a string" },
    { ONE, "{'content':{}}", "content.parts", "not empty" },
    { ONE, "{'content':{'parts':[{'text':''}]}}", "content.parts",
      "not empty" },
    { ONE, "{'content':{'parts':[{'text':7}]}}", "content.parts[0].text",
      "a string" },
    { ONE, "{'content':{'parts':[{'functionCall':{'name':'f'}}]}}",
      "content.parts[0]", "expected 'text'" },
    { ONE, "{" SAY("a") ",'taskType':'DANCE'}", "taskType", "one of" },
    { ONE, "{" SAY("a") ",'outputDimensionality':0}", "outputDimensionality",
      "from 1" },
    { ONE, "{" SAY("a") ",'taskType':'CLUSTERING','task_type':"
      "'CLUSTERING'}", "task_type", "once" },
    { ONE, "[]", NULL, "an object" },

    { BATCH, "{}", "requests", "at least one" },
    { BATCH, "{'requests':[]}", "requests", "at least one" },
    { BATCH, "{'requests':'a'}", "requests", "an array" },
    { BATCH, "{'requests':[7]}", "requests[0]", "an object" },
    { BATCH, "{'requests':[{" SAY("a") "},{'content':{}}]}",
      "requests[1].content.parts", "not empty" },
    { BATCH, "{'requests':[{" SAY("a") "},{" SAY("b")
      ",'outputDimensionality':3}]}", "requests[1]", "different sizes" }
};

static void test_bad(void)
{
    const llmux_error_t *err;
    llmux_chat_t *chat;
    unsigned int i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        err = read_body(bad[i].dialect, quotes(pool, bad[i].json), &chat);
        ok(err && err->status == 400 && strstr(err->message, bad[i].says),
           "refused: %s", bad[i].json);
        is_str(err ? err->param : "no error", bad[i].param, "  ... place");
    }
}

/* An array of so many of these. */
static const char *many(const char *head, const char *each, int n,
                        const char *tail)
{
    llmux_buf_t *b = llmux_buf_create(pool, 1 << 24);

    llmux_buf_adds(b, head);
    while (n--) {
        llmux_buf_adds(b, each);
        llmux_buf_adds(b, n ? "," : "");
    }
    llmux_buf_adds(b, tail);
    return quotes(pool, llmux_buf_slice(b).data);
}

static void test_limits(void)
{
    llmux_chat_t *chat;

    ok(!read_body(OPENAI, many("{'input':[", "'a'", 2048, "]}"), &chat),
       "2048 inputs");
    ok(read_body(OPENAI, many("{'input':[", "'a'", 2049, "]}"), &chat),
       "... and no more");
    ok(!read_body(BATCH, many("{'requests':[", "{" SAY("a") "}", 2048, "]}"),
                  &chat), "the same in a batch");
    ok(read_body(BATCH, many("{'requests':[", "{" SAY("a") "}", 2049, "]}"),
                 &chat),
       "... and no more");
    ok(!read_body(OPENAI, many("{'input':[[1],[", "1", (1 << 20) - 1, "]]}"),
                  &chat), "a million tokens in all");
    ok(read_body(OPENAI, many("{'input':[[1],[", "1", 1 << 20, "]]}"),
                 &chat), "... and no more");
}

/* ---- bytes that pass --------------------------------------------------- */

static const struct {
    const char *name;
    const llmux_dialect_t *dialect;
    const char *path_model;
    const char *json, *want;
} edits[] = {
    { "a model, and nothing else", OPENAI, NULL,
      "{ 'model' : 'm', 'input':[ 'a' ],'odd':1.50 }",
      "{ 'model' : 'x/y', 'input':[ 'a' ],'odd':1.50 }" },
    { "a model that stands in the path", OPENAI, "m",
      "{'input':[[1,2]]}", "{'model':'x/y','input':[[1,2]]}" },
    { "one content", ONE, "m",
      "{'model':'models/m', 'content' : {'parts':[]}}",
      "{'content' : {'parts':[]}}" },
    { "a batch names it each time", BATCH, "m",
      "{'requests':[ {'model':'models/m','content':{'model':1}},"
      "{'content':{},'mod\\u0065l': null}, {}, {'a':[]}]}",
      "{'requests':[ {'model':'models/x/y','content':{'model':1}},"
      "{'content':{},'mod\\u0065l': 'models/x/y'}, {'model':'models/x/y'}, "
      "{'model':'models/x/y','a':[]}]}" },
    { "a batch of one", BATCH, "m",
      "{'model':'models/m','requests':{'model':'m','model':'models/m'}}",
      "{'requests':{'model':'models/x/y','model':'models/x/y'}}" },
    { "a batch with what is no request", BATCH, "m",
      "{'requests':[7,{}]}", "{'requests':[7,{'model':'models/x/y'}]}" }
};

static void test_edit(void)
{
    llmux_target_t target = { .name = "the target" };
    llmux_json_parser_t *parser = llmux_json_parser_create(pool);
    const llmux_error_t *err;
    llmux_head_t head;
    llmux_buf_t *out;
    llmux_slice_t body;
    unsigned int i;

    target.model = llmux_slice("x/y");
    for (i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        memset(&head, 0, sizeof(head));
        head.model = llmux_slice(edits[i].path_model);
        out = llmux_buf_create(pool, 1 << 16);
        body = llmux_slice(quotes(pool, edits[i].json));
        err = edits[i].dialect->head(pool, parser, body, &head);
        if (!err) {
            edits[i].dialect->edit(out, pool, &head, body, &target, NULL);
        }
        is_str(err ? err->message : out->data, quotes(pool, edits[i].want),
               edits[i].name);
    }
}

static const struct {
    const llmux_dialect_t *dialect;
    const char *json, *model;
    int inputs;
} heads[] = {
    { OPENAI, "{'model':'m','input':'a'}", "m", 1 },
    { OPENAI, "{'model':'m','input':[1,2,3]}", "m", 1 },
    { OPENAI, "{'model':'m','input':[[1],[2,3]]}", "m", 2 },
    { OPENAI, "{'model':'m','input':['a','b','c']}", "m", 3 },
    { ONE, "{'model':'models/m','content':{}}", "m", 1 },
    { BATCH, "{'model':'m','requests':[{},{}]}", "m", 2 },
    { BATCH, "{'model':'m','requests':{}}", "m", 1 },
    { BATCH, "{'model':'m','requests':[{},{'model':'models/m'},{'model':"
      "null}]}", "m", 3 },
    { BATCH, "{'model':'m','requests':[{},{'model':'models/o'}]}", NULL, 0 },
    { BATCH, "{'model':'m','requests':{'model':7}}", NULL, 0 },
    { OPENAI, "{'model':'m'}", NULL, 0 },
    { OPENAI, "{'model':'m','input':[]}", NULL, 0 },
    { OPENAI, "{'input':'a'}", NULL, 0 },
    { OPENAI, "{'model':'m','input':'a','Input':'b'}", NULL, 0 },
    { OPENAI, "{'model':'m','input':'a','model':'b'}", NULL, 0 },
    { ONE, "{'model':'m','content':[]}", NULL, 0 },
    { ONE, "{'content':{}}", NULL, 0 },
    { BATCH, "{'model':'m','requests':[]}", NULL, 0 },
    { BATCH, "{'model':'m','requests':1}", NULL, 0 }
};

static void test_head(void)
{
    llmux_json_parser_t *parser = llmux_json_parser_create(pool);
    const llmux_error_t *err;
    llmux_head_t head;
    unsigned int i;

    for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        memset(&head, 0, sizeof(head));
        err = heads[i].dialect->head(
            pool, parser, llmux_slice(quotes(pool, heads[i].json)), &head);
        ok(heads[i].model ? !err && llmux_slice_is(head.model, heads[i].model)
                            && head.messages == heads[i].inputs
                          : err != NULL,
           "head of %s", heads[i].json);
    }
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_good();
    test_bad();
    test_limits();
    test_edit();
    test_head();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
