/* embed_write.c - what clients want to be embedded becomes the requests of
 * each provider; what one cannot say is told, or refused. In the tables '
 * stands for ". */

#include "tap.h"
#include "transcript.h"

static apr_pool_t *pool;

#define OPENAI  &llmux_dialect_embeddings
#define ONE     &llmux_dialect_gemini_embed
#define BATCH   &llmux_dialect_gemini_batch_embed
#define VERTEX  &llmux_dialect_vertex_embed
#define COHERE  &llmux_dialect_cohere_embed
#define OLLAMA  &llmux_dialect_ollama_embed
#define BEDROCK &llmux_dialect_bedrock_embed

#define TITAN   "us.amazon.titan-embed-text-v2:0"
#define PNG     "iVBORw0KGgo="
#define SAY(text) "'content':{'parts':[{'text':'" text "'}]}"
#define SEE "'content':{'parts':[{'text':'see'},{'inlineData':{'mimeType':" \
    "'image/png','data':'" PNG "'}}]}"

static llmux_chat_t *chat_of(const llmux_dialect_t *client, const char *json)
{
    llmux_chat_t *chat = llmux_chat_create(pool);
    const llmux_error_t *err = client->read(
        chat, llmux_json_parse(pool, llmux_slice(quotes(pool, json)), 0,
                               NULL));

    if (err) {
        printf("# the request is no good: %s: %s\n", err->message, json);
    }
    return chat;
}

/* ---- what is written --------------------------------------------------- */

static const struct {
    const char *name;
    const llmux_dialect_t *client;
    const char *json;
    const llmux_dialect_t *dialect;
    const char *model;
    const char *want, *warnings;
} cases[] = {
    { "OpenAI's own: a text", OPENAI, "{'input':'hi'}", OPENAI, "m",
      "{'model':'m','input':'hi'}", NULL },
    { "... texts, all members, and what nobody knows", OPENAI,
      "{'input':['a'],'dimensions':8,'encoding_format':'base64','user':'u',"
      "'input_type':'query','x':[1.50]}", OPENAI, "m",
      "{'model':'m','input':['a'],'dimensions':8,'encoding_format':'base64',"
      "'user':'u','input_type':'query','x':[1.50]}", NULL },
    { "... tokens", OPENAI, "{'input':[1,2],'encoding_format':'float'}",
      OPENAI, "m", "{'model':'m','input':[1,2]}", NULL },
    { "... arrays of them", OPENAI, "{'input':[[1],[2, 3]]}", OPENAI, "m",
      "{'model':'m','input':[[1],[2, 3]]}", NULL },
    { "Google's to OpenAI", ONE,
      "{" SAY("a") ",'taskType':'CLUSTERING','title':'t','new':1}", OPENAI,
      "m", "{'model':'m','input':'a'}", "drop=taskType,title,new" },
    { "... a batch", BATCH,
      "{'requests':[{" SAY("a") ",'outputDimensionality':3},{" SAY("b")
      ",'outputDimensionality':3}]}", OPENAI, "m",
      "{'model':'m','input':['a','b'],'dimensions':3}", NULL },

    { "Gemini: a batch, the model in each", OPENAI,
      "{'input':['a','b'],'dimensions':8,'user':'u'}", BATCH, "g",
      "{'requests':[{'model':'models/g'," SAY("a")
      ",'outputDimensionality':8},{'model':'models/g'," SAY("b")
      ",'outputDimensionality':8}]}", "drop=user" },
    { "... a model that says what it is", OPENAI, "{'input':'a'}", BATCH,
      "tunedModels/g", "{'requests':[{'model':'tunedModels/g'," SAY("a")
      "}]}", NULL },
    { "... one", OPENAI, "{'input':'a','input_type':'query'}", ONE, "g",
      "{" SAY("a") ",'taskType':'RETRIEVAL_QUERY'}", NULL },
    { "... task, title, a picture", ONE,
      "{" SEE ",'taskType':'RETRIEVAL_DOCUMENT','title':'t'}", BATCH, "g",
      "{'requests':[{'model':'models/g'," SEE ",'taskType':"
      "'RETRIEVAL_DOCUMENT','title':'t'}]}", NULL },
    { "... a model that wants its task in words", OPENAI,
      "{'input':'a','input_type':'query'}", BATCH, "gemini-embedding-2",
      "{'requests':[{'model':'models/gemini-embedding-2',"
      SAY("task: search result | query: a") "}]}", "emulate=taskType" },
    { "... and its title", ONE,
      "{" SAY("a") ",'taskType':'RETRIEVAL_DOCUMENT','title':'t'}", BATCH,
      "gemini-embedding-2-preview", "{'requests':[{'model':"
      "'models/gemini-embedding-2-preview'," SAY("title: t | text: a")
      "}]}", "emulate=taskType" },
    { "... or none", OPENAI, "{'input':'a','input_type':'document'}", ONE,
      "gemini-embedding-2", "{" SAY("title: none | text: a") "}",
      "emulate=taskType" },
    { "... and without a task as it is", OPENAI, "{'input':'a'}", ONE,
      "gemini-embedding-2", "{" SAY("a") "}", NULL },

    { "Vertex", OPENAI, "{'input':['a','b'],'dimensions':8}", VERTEX, "g",
      "{'instances':[{'content':'a'},{'content':'b'}],'parameters':"
      "{'autoTruncate':false,'outputDimensionality':8}}", NULL },
    { "... tasks and titles; Google's clients expect it to cut", BATCH,
      "{'requests':[{" SAY("a") ",'taskType':'QUESTION_ANSWERING'},{" SAY("b")
      ",'title':'t'}]}", VERTEX, "g", "{'instances':[{'content':'a',"
      "'task_type':'QUESTION_ANSWERING'},{'content':'b','title':'t'}],"
      "'parameters':{'autoTruncate':true}}", NULL },

    { "Cohere", OPENAI, "{'input':'a','user':'u','x':1}", COHERE, "c",
      "{'model':'c','texts':['a'],'input_type':'search_document',"
      "'embedding_types':['float'],'truncate':'NONE'}", "drop=x,user" },
    { "... all of it", OPENAI,
      "{'input':['a','b'],'dimensions':256,'input_type':'search_query',"
      "'truncate':'END'}", COHERE, "c",
      "{'model':'c','texts':['a','b'],'input_type':'search_query',"
      "'embedding_types':['float'],'truncate':'END','output_dimension':256}",
      NULL },
    { "... a task that is nearly one of its own", ONE,
      "{" SAY("a") ",'taskType':'SEMANTIC_SIMILARITY','title':'t'}", COHERE,
      "c", "{'model':'c','texts':['a'],'input_type':'clustering',"
      "'embedding_types':['float'],'truncate':'END'}",
      "drop=title; approx=taskType" },
    { "... a picture", BATCH, "{'requests':[{" SEE "},{" SAY("a") "}]}",
      COHERE, "c", "{'model':'c','inputs':[{'content':[{'type':'text','text':"
      "'see'},{'type':'image_url','image_url':{'url':"
      "'data:image/png;base64," PNG "'}}]},{'content':[{'type':'text',"
      "'text':'a'}]}],'input_type':'search_document','embedding_types':"
      "['float'],'truncate':'END'}", NULL },

    { "Ollama", OPENAI,
      "{'input':'a','dimensions':8,'keep_alive':'5m','input_type':'query',"
      "'truncate':true}", OLLAMA, "o",
      "{'model':'o','input':['a'],'truncate':true,'dimensions':8,"
      "'keep_alive':'5m'}", "drop=input_type" },
    { "... a task from Google", ONE,
      "{" SAY("a") ",'taskType':'CLUSTERING'}", OLLAMA, "o",
      "{'model':'o','input':['a'],'truncate':true}", "drop=taskType" },

    { "Bedrock: Titan", OPENAI, "{'input':'a','dimensions':256}", BEDROCK,
      TITAN, "{'inputText':'a','dimensions':256}", NULL },
    { "... the older one", OPENAI, "{'input':'a','user':'u'}", BEDROCK,
      "amazon.titan-embed-text-v1", "{'inputText':'a'}", "drop=user" },
    { "... that sees", ONE, "{" SEE ",'outputDimensionality':384}", BEDROCK,
      "amazon.titan-embed-image-v1", "{'inputText':'see','inputImage':'" PNG
      "','embeddingConfig':{'outputEmbeddingLength':384}}", NULL },
    { "... Cohere", OPENAI, "{'input':['a','b']}", BEDROCK,
      "cohere.embed-english-v3", "{'texts':['a','b'],'input_type':"
      "'search_document','embedding_types':['float'],'truncate':'NONE'}",
      NULL },
    { "... Cohere's newer one, by ARN", OPENAI,
      "{'input':['a'],'dimensions':512,'input_type':'query'}", BEDROCK,
      "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.cohere.embed-v4:0",
      "{'texts':['a'],'input_type':'search_query','embedding_types':"
      "['float'],'truncate':'NONE','output_dimension':512}", NULL }
};

/* Twice: a second attempt must not see traces of the first. */
static void test_cases(void)
{
    llmux_target_t target = { .name = "the target" };
    llmux_warnings_t *w = llmux_warnings_create(pool, 0);
    llmux_buf_t *out = llmux_buf_create(pool, 1 << 16);
    const llmux_error_t *err = NULL;
    llmux_chat_t *chat;
    unsigned int i;
    int round;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        chat = chat_of(cases[i].client, cases[i].json);
        target.model = llmux_slice(cases[i].model);
        for (round = 0; round < 2; round++) {
            llmux_buf_reset(out);
            llmux_warnings_clear(w);
            err = cases[i].dialect->write(out, chat, &target, w, pool);
        }
        is_str(err ? err->message : out->data, quotes(pool, cases[i].want),
               cases[i].name);
        is_str(llmux_warnings_header(pool, w), cases[i].warnings,
               "  ... its warnings");
    }
}

/* ---- what is refused --------------------------------------------------- */

static const struct {
    const char *name;
    const llmux_dialect_t *client;
    const char *json;
    const llmux_dialect_t *dialect;
    const char *model;
    llmux_error_e kind;
    const char *param;
} refused[] = {
    { "tokens for Gemini", OPENAI, "{'input':[[1],[2]]}", BATCH, "g",
      LLMUX_ERR_INVALID, "input[0]" },
    { "tokens for Vertex", OPENAI, "{'input':[1]}", VERTEX, "g",
      LLMUX_ERR_INVALID, "input" },
    { "tokens for Cohere", OPENAI, "{'input':[[1]]}", COHERE, "c",
      LLMUX_ERR_INVALID, "input[0]" },
    { "tokens for Ollama", OPENAI, "{'input':[1]}", OLLAMA, "o",
      LLMUX_ERR_INVALID, "input" },
    { "tokens for Titan", OPENAI, "{'input':[1]}", BEDROCK, TITAN,
      LLMUX_ERR_INVALID, "input" },
    { "a picture for OpenAI", ONE, "{" SEE "}", OPENAI, "m",
      LLMUX_ERR_UNSUPPORTED, "content.parts[1].inlineData" },
    { "a picture for Vertex", ONE, "{" SEE "}", VERTEX, "m",
      LLMUX_ERR_UNSUPPORTED, "content.parts[1].inlineData" },
    { "tasks that Cohere cannot do together", BATCH,
      "{'requests':[{" SAY("a") ",'taskType':'CLASSIFICATION'},{" SAY("b")
      "}]}", COHERE, "c", LLMUX_ERR_UNSUPPORTED, "requests[1].content" },
    { "several inputs at once for Titan", OPENAI, "{'input':['a','b']}",
      BEDROCK, TITAN, LLMUX_ERR_UNSUPPORTED, "input[1]" },
    { "... and for embedContent", OPENAI, "{'input':['a','b']}", ONE, "g",
      LLMUX_ERR_UNSUPPORTED, "input[1]" },
    { "a size of vectors where there is one alone", OPENAI,
      "{'input':'a','dimensions':8}", BEDROCK, "amazon.titan-embed-text-v1",
      LLMUX_ERR_UNSUPPORTED, "dimensions" },
    { "... the same at Cohere", OPENAI, "{'input':'a','dimensions':8}",
      BEDROCK, "cohere.embed-multilingual-v3", LLMUX_ERR_UNSUPPORTED,
      "dimensions" },
    { "a model at Bedrock that makes no vectors", OPENAI, "{'input':'a'}",
      BEDROCK, "anthropic.claude-3", LLMUX_ERR_UNSUPPORTED, "model" }
};

static void test_refused(void)
{
    llmux_target_t target = { .name = "the target" };
    const llmux_error_t *err;
    unsigned int i;

    for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        target.model = llmux_slice(refused[i].model);
        err = refused[i].dialect->write(
            llmux_buf_create(pool, 1 << 16),
            chat_of(refused[i].client, refused[i].json), &target,
            llmux_warnings_create(pool, 0), pool);
        ok(err && err->kind == refused[i].kind, "refused: %s",
           refused[i].name);
        is_str(err ? err->param : NULL, refused[i].param, "  ... its place");
    }
}

static void test_too_large(void)
{
    const llmux_dialect_t *const all[] = {
        OPENAI, ONE, BATCH, VERTEX, COHERE, OLLAMA, BEDROCK
    };
    llmux_target_t target = { .name = "the target" };
    const llmux_error_t *err;
    unsigned int i;

    target.model = llmux_slice(TITAN);
    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        err = all[i]->write(llmux_buf_create(pool, 10),
                            chat_of(OPENAI, "{'input':'hello'}"), &target,
                            llmux_warnings_create(pool, 0), pool);
        ok(err && err->kind == LLMUX_ERR_TOO_LARGE, "%s: a body that does "
           "not fit is an error", all[i]->name);
    }
}

/* ---- several requests -------------------------------------------------- */

static const struct {
    const llmux_dialect_t *dialect;
    const char *model;
    int most;
} limits[] = {
    { OPENAI, "m", 2048 },
    { ONE, "m", 1 },
    { BATCH, "m", 100 },
    { VERTEX, "gemini-embedding-001", 1 },
    { VERTEX, "text-embedding-005", 250 },
    { COHERE, "m", 96 },
    { OLLAMA, "m", 2048 },
    { BEDROCK, TITAN, 1 },
    { BEDROCK, "eu.cohere.embed-v4:0", 96 }
};

/* "a b|c" for a chain of two. */
static const char *chain_text(const llmux_chat_t *chat)
{
    const char *text = "";
    int i;

    for (; chat; chat = chat->next) {
        for (i = 0; i < chat->embed->inputs->nelts; i++) {
            text = apr_pstrcat(pool, text, i ? " " : "", llmux_slice_str(
                pool, APR_ARRAY_IDX(chat->embed->inputs, i,
                                    llmux_input_t).text), NULL);
        }
        text = apr_pstrcat(pool, text, chat->next ? "|" : "", NULL);
    }
    return text;
}

static void test_split(void)
{
    llmux_chat_t *chat = chat_of(OPENAI, "{'input':['a','b','c','d','e'],"
                                 "'dimensions':8,'user':'u'}"), *part;
    unsigned int i;

    is_str(chain_text(llmux_embed_split(pool, chat, 2)), "a b|c d|e",
           "five inputs by two");
    is_str(chain_text(llmux_embed_split(pool, chat, 1)), "a|b|c|d|e",
           "... by one");
    ok(llmux_embed_split(pool, chat, 5) == chat
       && llmux_embed_split(pool, chat, 0) == chat, "... all of them");
    is_str(chain_text(chat), "a b c d e", "the chat is as it was");
    part = llmux_embed_split(pool, chat, 4)->next;
    ok(llmux_slice_is(part->embed->dimensions, "8")
       && llmux_slice_is(part->user_id, "u"), "each part asks for the same");
    is_str(APR_ARRAY_IDX(part->embed->inputs, 0, llmux_input_t).param,
           "input[4]", "... and knows where it stood");
    for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        is_int(llmux_embed_most(limits[i].dialect,
                                llmux_slice(limits[i].model)),
               limits[i].most, limits[i].dialect->name);
    }
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_cases();
    test_refused();
    test_too_large();
    test_split();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
