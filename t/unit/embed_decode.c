/* embed_decode.c - answers with vectors become events, wherever their bytes
 * are cut; and what is no vector becomes an error. In the tables ' stands
 * for ". */

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

/* 1, -2 and 0.5 in base64. */
#define THREE "AACAPwAAAMAAAAA/"

#define EMBEDDING(more) "{'object':'embedding'," more "}"
#define LIST(data) "{'object':'list','data':[" data "],'model':'m'}"
#define NO(what) "error BAD_UPSTREAM: The provider's vector " what ".\n"

static const struct {
    const char *name;
    const llmux_dialect_t *dialect;
    const char *body, *want;
} cases[] = {
    { "OpenAI", OPENAI,
      "{'object':'list','data':[" EMBEDDING("'index':0,'embedding':"
      "[0.10, -2e-3,\n3]") "],'model':'m','usage':{'prompt_tokens':7,"
      "'total_tokens':7}}",
      "start m 0\nvector 0 [0.10, -2e-3,\n3]\nusage in=7\nend\n" },
    { "... base64, and an id", OPENAI,
      "{'id':'x','data':[{'index':0,'embedding':'" THREE "'}],'model':'m',"
      "'usage':{'total_tokens':3}}",
      "start x m 0\nvector 0 base64 " THREE "\nusage in=3\nend\n" },
    { "... base64 in another spelling", OPENAI,
      LIST("{'embedding':'AACAPw'},{'embedding':'__9_fw'},"
           "{'embedding':' AACA\\nPw= ='},{'embedding':'\\/\\/9\\/fw=='}"),
      "start m 0\nvector 0 base64 AACAPw==\nvector 1 base64 //9/fw==\n"
      "vector 2 base64 AACAPw==\nvector 3 base64 //9/fw==\nend\n" },
    { "... by their numbers", OPENAI,
      LIST("{'index':1,'embedding':[1]},{'index':0,'embedding':[0]}"),
      "start m 0\nvector 1 [1]\nvector 0 [0]\nend\n" },
    { "... by their places, where the numbers are no good", OPENAI,
      LIST("{'index':0,'embedding':[1]},{'index':0,'embedding':[2]}"),
      "start m 0\nvector 0 [1]\nvector 1 [2]\nend\n" },
    { "... where they are too great", OPENAI,
      LIST("{'index':2,'embedding':[1]},{'index':1,'embedding':[2]}"),
      "start m 0\nvector 0 [1]\nvector 1 [2]\nend\n" },
    { "... where there are none", OPENAI,
      LIST("{'embedding':[1]},{'index':1,'embedding':[]}"),
      "start m 0\nvector 0 [1]\nvector 1 []\nend\n" },
    { "... says what went wrong", OPENAI,
      "{'error':{'message':'No.','type':'invalid_request_error'}}",
      "error INVALID: No.\n" },
    { "... says nothing", OPENAI, "{}",
      "start 0\nerror BAD_UPSTREAM: The provider's answer has no vectors.\n"
    },
    { "... no list", OPENAI, "{'data':{'embedding':[1]}}",
      "start 0\nerror BAD_UPSTREAM: The provider's answer has no vectors.\n"
    },
    { "... no object", OPENAI, "[1]",
      "start 0\nerror BAD_UPSTREAM: The provider's answer has no vectors.\n"
    },
    { "... no vector", OPENAI, LIST("{'embedding':[1]},{'embedding':null}"),
      "start m 0\nvector 0 [1]\n" NO("1 is no array of numbers") },
    { "... several in one", OPENAI, LIST("{'embedding':[[1],[2]]}"),
      "start m 0\n" NO("0 is no array of numbers") },
    { "... no numbers", OPENAI, LIST("{'embedding':[1,'a']}"),
      "start m 0\n" NO("0 is no array of numbers") },
    { "... a number that is too large", OPENAI,
      LIST("{'embedding':[1,-3.5e38]}"),
      "start m 0\n" NO("0 has a number that is no float32") },
    { "... without an exponent", OPENAI,
      LIST("{'embedding':[1000000000000000000000000000000000000000]}"),
      "start m 0\n" NO("0 has a number that is no float32") },
    { "... the largest", OPENAI,
      LIST("{'embedding':[3.4028235e38,340282350000000000000000000000000000"
           "000,1e-99999999999]}"),
      "start m 0\nvector 0 [3.4028235e38,340282350000000000000000000000000000"
      "000,1e-99999999999]\nend\n" },
    { "... base64 of what is no number", OPENAI,
      LIST("{'embedding':'AADAfw=='}"),
      "start m 0\n" NO("0 has a number that is no float32") },
    { "... of infinity", OPENAI, LIST("{'embedding':'AACA/w=='}"),
      "start m 0\n" NO("0 has a number that is no float32") },
    { "... of a byte too few", OPENAI, LIST("{'embedding':'AACA'}"),
      "start m 0\n" NO("0 is no float32 in base64") },
    { "... no base64", OPENAI, LIST("{'embedding':'!!!!'}"),
      "start m 0\n" NO("0 is no float32 in base64") },
    { "... of nothing", OPENAI, LIST("{'embedding':''}"),
      "start m 0\nvector 0 base64 \nend\n" },

    { "Perplexity's signed bytes", OPENAI,
      "{'data':[{'index':0,'embedding':'AH+A/w=='}],'model':'pplx-embed-v1'}",
      "start pplx-embed-v1 0\nvector 0 [0,127,-128,-1]\nend\n" },
    { "... no base64", OPENAI,
      "{'data':[{'index':0,'embedding':'!'}],'model':'pplx-embed-v1'}",
      "start pplx-embed-v1 0\n" NO("0 is no array of numbers") },
    { "... numbers after all", OPENAI,
      "{'data':[{'index':0,'embedding':[1]}],'model':'pplx-embed-v1'}",
      "start pplx-embed-v1 0\nvector 0 [1]\nend\n" },

    { "Gemini: one", ONE, "{'embedding':{'values':[1, 2]}}",
      "start 0\nvector 0 [1, 2]\nend\n" },
    { "... a batch, counted", BATCH,
      "{'embeddings':[{'values':[1]},{'values':[2]}],'usageMetadata':"
      "{'promptTokenCount':4,'promptTokenDetails':[]}}",
      "start 0\nvector 0 [1]\nvector 1 [2]\nusage in=4\nend\n" },
    { "... an error", BATCH,
      "{'error':{'code':400,'message':'No.','status':'INVALID_ARGUMENT'}}",
      "error INVALID: No.\n" },
    { "... one without values", BATCH, "{'embeddings':[{}]}",
      "start 0\n" NO("0 is no array of numbers") },

    { "Vertex", VERTEX,
      "{'predictions':[{'embeddings':{'values':[1],'statistics':"
      "{'token_count':3,'truncated':false}}},{'embeddings':{'statistics':"
      "{'token_count':4},'values':[2]}}],'metadata':"
      "{'billableCharacterCount':9}}",
      "start 0\nvector 0 [1]\nvector 1 [2]\nusage in=7\nend\n" },
    { "... counts to the end", VERTEX,
      "{'predictions':[{'embeddings':{'values':[1],'statistics':"
      "{'token_count':9223372036854775807}}},{'embeddings':{'values':[2],"
      "'statistics':{'token_count':1}}}]}",
      "start 0\nvector 0 [1]\nvector 1 [2]\nusage in=9223372036854775807\n"
      "end\n" },
    { "... does not count", VERTEX,
      "{'predictions':[{'embeddings':{'values':[1]}}]}",
      "start 0\nvector 0 [1]\nend\n" },

    { "Cohere", COHERE,
      "{'id':'x','embeddings':{'float':[[1],[2]]},'texts':['a','b'],'meta':"
      "{'billed_units':{'input_tokens':5}},'response_type':"
      "'embeddings_by_type'}",
      "start x 0\nvector 0 [1]\nvector 1 [2]\nusage in=5\nend\n" },
    { "... as it was", COHERE,
      "{'embeddings':[[1]],'response_type':'embeddings_floats'}",
      "start 0\nvector 0 [1]\nend\n" },
    { "... of other types alone", COHERE, "{'embeddings':{'int8':[[1]]}}",
      "start 0\nerror BAD_UPSTREAM: The provider's answer has no vectors.\n"
    },

    { "Ollama", OLLAMA,
      "{'model':'o','embeddings':[[0.1],[0.2]],'total_duration':1,"
      "'prompt_eval_count':8}",
      "start o 0\nvector 0 [0.1]\nvector 1 [0.2]\nusage in=8\nend\n" },
    { "... an error", OLLAMA, "{'error':'model not found'}",
      "error BAD_UPSTREAM: model not found\n" },

    { "Bedrock: Titan", BEDROCK,
      "{'embedding':[1,2],'embeddingsByType':{'float':[1,2]},"
      "'inputTextTokenCount':3}",
      "start 0\nvector 0 [1,2]\nusage in=3\nend\n" },
    { "... Cohere", BEDROCK,
      "{'id':'x','embeddings':{'float':[[1],[2]]},'texts':['a','b']}",
      "start x 0\nvector 0 [1]\nvector 1 [2]\nend\n" }
};

/* The same without the short way past the numbers. */
static const llmux_dialect_t *indexed;

static llmux_decoder_t *indexing(apr_pool_t *p, const llmux_env_t *env,
                                 llmux_emit_fn emit, void *baton)
{
    llmux_decoder_t *d = indexed->decoder(p, env, emit, baton);

    d->peek = NULL;
    return d;
}

static void test_cases(void)
{
    const llmux_dialect_t slow = { .decoder = indexing };
    const char *body, *got;
    unsigned int i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        body = quotes(pool, cases[i].body);
        got = transcribe(pool, cases[i].dialect, 0, body, strlen(body), -1);
        is_str(got, cases[i].want, cases[i].name);
        ok(same_at_every_cut(pool, cases[i].dialect, 0, body),
           "  ... at every cut");
        indexed = cases[i].dialect;
        is_str(transcribe(pool, &slow, 0, body, strlen(body), -1), got,
               "  ... with an index of all");
        is_str(transcribe(pool, cases[i].dialect, 1, body, strlen(body), -1),
               got, "  ... where a stream was asked for");
    }
}

/* ---- limits and ends --------------------------------------------------- */

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

static int ends_with(const char *s, const char *end)
{
    apr_size_t n = strlen(s), m = strlen(end);

    return n >= m && !strcmp(s + n - m, end);
}

static const struct {
    const char *name;
    const char *head, *each, *tail;
    int most;
    const char *says;
} limits[] = {
    { "vectors", "{'data':[", "{'embedding':[1]}", "]}", 2048,
      NO("2048 is one too many") },
    { "numbers", "{'data':[{'embedding':[", "0.5", "]}]}", 65536,
      NO("0 has more than 65536 numbers") }
};

static void test_limits(void)
{
    const char *body, *got;
    unsigned int i;
    int over;

    for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        for (over = 0; over < 2; over++) {
            body = many(limits[i].head, limits[i].each,
                        limits[i].most + over, limits[i].tail);
            got = transcribe(pool, OPENAI, 0, body, strlen(body), -1);
            ok(ends_with(got, over ? limits[i].says : "\nend\n"),
               "%d %s", limits[i].most + over, limits[i].name);
        }
    }
}

static void test_ends(void)
{
    static const char half[] = "{\"data\":[{\"embedding\":[1";

    is_str(transcribe(pool, OPENAI, 0, half, sizeof(half) - 1, -1),
           "error BAD_UPSTREAM: The provider's answer is not valid JSON.\n",
           "half an answer");
    is_str(transcribe(pool, OPENAI, 0, "", 0, -1),
           "error BAD_UPSTREAM: The provider's answer is not valid JSON.\n",
           "no answer");
    is_str(transcribe(pool, OPENAI, 1, "", 0, -1),
           "error BAD_UPSTREAM: The provider's answer was truncated.\n",
           "no stream");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_cases();
    test_limits();
    test_ends();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
