/* completions_write.c - a completion for a provider that has them: what a
 * client said is said again. */

#include <apr_strings.h>

#include "tap.h"
#include "transcript.h"

static apr_pool_t *pool;

static llmux_chat_t *chat_of(const char *json)
{
    const llmux_json_t *body = llmux_json_parse(
        pool, llmux_slice(quotes(pool, json)), 0, NULL);
    llmux_chat_t *chat = llmux_chat_create(pool);
    const llmux_error_t *err = llmux_dialect_completions.read(chat, body);

    if (err || !body) {
        printf("# the request is no good: %s\n", err ? err->message : json);
    }
    return chat;
}

static const struct {
    const char *name, *json, *want, *warnings;
} cases[] = {
    { "a text", "{'model':'x','prompt':'Hi'}",
      "{'model':'m','prompt':'Hi'}", NULL },
    { "no prompt", "{'model':'x'}", "{'model':'m'}", NULL },
    { "a list of one stays a list", "{'prompt':['Hi']}",
      "{'model':'m','prompt':['Hi']}", NULL },
    { "a list", "{'prompt':['a','b','c'],'n':2}",
      "{'model':'m','prompt':['a','b','c'],'n':2}", NULL },
    { "tokens", "{'prompt':[1, 2]}", "{'model':'m','prompt':[1, 2]}", NULL },
    { "lists of tokens", "{'prompt':[[1],[2,3]]}",
      "{'model':'m','prompt':[[1],[2,3]]}", NULL },
    { "all the rest, numbers as they were spelled",
      "{'user':'u','logit_bias':{},'seed':7,'presence_penalty':0.0,"
      "'frequency_penalty':1,'stop':['a'],'logprobs':0,'echo':false,"
      "'best_of':2,'n':1,'top_p':1.0,'temperature':0,'max_tokens':16,"
      "'suffix':'s','prompt':'p','zzz':[1]}",
      "{'model':'m','prompt':'p','suffix':'s','max_tokens':16,"
      "'temperature':0,'top_p':1.0,'n':1,'best_of':2,'echo':false,"
      "'logprobs':0,'stop':['a'],'frequency_penalty':1,"
      "'presence_penalty':0.0,'seed':7,'logit_bias':{},'user':'u','zzz':[1]}",
      NULL },
    { "what is not OpenAI's, and too many stops",
      "{'prompt':'p','top_k':3,'stop':['a','b','c','d','e']}",
      "{'model':'m','prompt':'p','stop':['a','b','c','d']}",
      "drop=top_k,stop" }
};

static const char *written(const llmux_chat_t *chat, unsigned int can,
                           llmux_warnings_t *w)
{
    llmux_target_t target = { .name = "the target", .can = can };
    llmux_buf_t *out = llmux_buf_create(pool, 1 << 16);
    const llmux_error_t *err;

    target.model = llmux_slice("m");
    err = llmux_dialect_completions.write(out, chat, &target, w, pool);
    return err ? err->message : out->data;
}

static void test_cases(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        llmux_warnings_t *w = llmux_warnings_create(pool, 0);

        is_str(written(chat_of(cases[i].json), 0, w),
               quotes(pool, cases[i].want), cases[i].name);
        is_str(llmux_warnings_header(pool, w), cases[i].warnings,
               "  ... its warnings");
    }
}

static void test_stream(void)
{
    const llmux_chat_t *chat = chat_of("{'prompt':'p','stream':true}");
    llmux_warnings_t *w = llmux_warnings_create(pool, 0);

    is_str(written(chat, LLMUX_CAN_STREAM_USAGE, w),
           "{\"model\":\"m\",\"prompt\":\"p\",\"stream\":true,"
           "\"stream_options\":{\"include_usage\":true}}",
           "a stream is asked to tell its usage");
    is_str(written(chat, 0, w),
           "{\"model\":\"m\",\"prompt\":\"p\",\"stream\":true}",
           "... not where that is unknown");
}

static void test_refused(void)
{
    llmux_target_t target = { .name = "the target" };
    llmux_warnings_t *w = llmux_warnings_create(pool, 0);
    const llmux_error_t *err = llmux_dialect_completions.write(
        llmux_buf_create(pool, 1 << 16), llmux_chat_create(pool), &target, w,
        pool);

    ok(err && err->kind == LLMUX_ERR_UNSUPPORTED, "a chat is refused");
    err = llmux_dialect_completions.write(
        llmux_buf_create(pool, 8), chat_of("{'prompt':'p'}"), &target, w,
        pool);
    ok(err && err->kind == LLMUX_ERR_TOO_LARGE,
       "a body that does not fit is an error");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_cases();
    test_stream();
    test_refused();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
