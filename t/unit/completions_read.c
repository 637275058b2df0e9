/* completions_read.c - a body of legacy completions means a chat for each of
 * its prompts; and what a chat cannot do in its place. */

#include <apr_strings.h>

#include "tap.h"
#include "chat_dump.h"
#include "dialect/completions.h"
#include "transcript.h"

static apr_pool_t *pool;

/* ---- head ------------------------------------------------------------ */

static const struct {
    const char *json;
    int prompts;
    const char *wrong;      /* "param: what it says" */
} heads[] = {
    { "{'model':'m','prompt':'Hi'}", 1, NULL },
    { "{'model':'m'}", 0, NULL },
    { "{'model':'m','prompt':null,'messages':[]}", 0, NULL },
    { "{'model':'m','prompt':['a','b','c']}", 3, NULL },
    { "{'model':'m','prompt':[1,2,3]}", 1, NULL },
    { "{'model':'m','prompt':[[1,2],[3]]}", 2, NULL },
    { "{'model':'m','prompt':[]}", 0, "prompt: at least one prompt" },
    { "{'model':'m','prompt':7}", 0, "prompt: found a number" },
    { "{'model':'m','prompt':{}}", 0, "prompt: found an object" },
    { "{'prompt':'Hi'}", 0, "model: found nothing" },
    { "{'model':'m','Prompt':'Hi'}", 0, "Prompt: spelled 'prompt'" },
    { "{'model':'m','prompt':'a','prompt':'b'}", 0, "prompt: found it twice" },
    { "{'model':'m','prompt':'a','stream':1}", 0, "stream: found a number" },
    { "{'model':'m',", 0, "-: not valid JSON" }
};

static const llmux_error_t *head_of(const char *json, llmux_head_t *head)
{
    memset(head, 0, sizeof(*head));
    return llmux_dialect_completions.head(
        pool, llmux_json_parser_create(pool),
        llmux_slice(quotes(pool, json)), head);
}

static void test_heads(void)
{
    llmux_head_t head;
    apr_size_t i;

    for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        const llmux_error_t *err = head_of(heads[i].json, &head);
        const char *says = heads[i].wrong ? strchr(heads[i].wrong, ':') + 2
                                          : NULL;
        const char *param = err && err->param ? err->param : "-";

        ok(!says == !err && (!err || (strstr(err->message, says)
           && !strncmp(heads[i].wrong, param, strlen(param)))),
           "head of %s", heads[i].json);
        if (err && says && !strstr(err->message, says)) {
            printf("# %s: %s\n", param, err->message);
        }
        is_int(err ? 0 : head.messages, heads[i].prompts,
               "  ... so many prompts");
    }
    ok(!head_of("{'model':'m','stream':true,'stream_options':"
                "{'include_usage':true},'provider':'p'}", &head)
       && head.stream == LLMUX_YES && head.include_usage
       && llmux_slice_is(head.provider, "p"),
       "stream, usage and what is ours");
    memset(&head, 0, sizeof(head));
    head.model = llmux_slice("path");
    ok(!llmux_dialect_completions.head(pool, llmux_json_parser_create(pool),
                                       llmux_slice("{\"prompt\":\"a\"}"),
                                       &head)
       && llmux_slice_is(head.model, "path"), "a path may have the model");
}

/* ---- edit ------------------------------------------------------------ */

static const struct {
    const char *body, *want;
    unsigned int can;
} edits[] = {
    { "{ 'model' : 'x', 'prompt':['a'], 'zzz' : 1.0 }",
      "{ 'model' : 'm', 'prompt':['a'], 'zzz' : 1.0 }", 0 },
    { "{'prompt':'a'}", "{'model':'m','prompt':'a'}", 0 },
    { "{'model':'x','prompt':'a','stream':true}",
      "{'model':'m','stream_options':{'include_usage':true},"
      "'prompt':'a','stream':true}", LLMUX_CAN_STREAM_USAGE },
    { "{'model':'x','prompt':'a','stream':true,'stream_options':"
      "{'include_usage':true}}",
      "{'model':'m','prompt':'a','stream':true}", 0 },
    { "{'model':'x','prompt':'a','max_tokens':5}",
      "{'model':'m','prompt':'a','max_tokens':5}", LLMUX_CAN_MAX_COMPLETION },
    { "{'model':'x','prompt':'a','max_completion_tokens':5}",
      "{'model':'m','prompt':'a','max_tokens':5}", LLMUX_CAN_MAX_COMPLETION }
};

static void test_edits(void)
{
    llmux_target_t target = { .name = "t" };
    apr_size_t i;

    target.model = llmux_slice("m");
    for (i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
        const char *body = quotes(pool, edits[i].body);
        llmux_buf_t *out = llmux_buf_create(pool, 1 << 16);
        llmux_head_t head = { 0 };

        head.model = llmux_slice("x");
        target.can = edits[i].can;
        llmux_dialect_completions.head(pool, llmux_json_parser_create(pool),
                                       llmux_slice(body), &head);
        llmux_dialect_completions.edit(out, pool, &head, llmux_slice(body),
                                       &target, NULL);
        is_str(out->data, quotes(pool, edits[i].want), edits[i].body);
    }
}

/* ---- read ------------------------------------------------------------ */

static const llmux_error_t *read_body(const char *json, llmux_chat_t **chat)
{
    const llmux_json_t *body = llmux_json_parse(
        pool, llmux_slice(quotes(pool, json)), 0, NULL);

    if (!body) {
        printf("# the test's own JSON is broken: %s\n", json);
    }
    *chat = llmux_chat_create(pool);
    return llmux_dialect_completions.read(*chat, body);
}

static void dump_prompt(llmux_buf_t *out, const llmux_chat_t *chat)
{
    const llmux_prompt_t *p = chat->prompt;

    if (chat->messages) {
        llmux_buf_addf(out, "%s%s", chat->messages->param,
                       p->listed ? " listed" : "");
    }
    dump_slice(out, "tokens", p->tokens);
    dump_slice(out, "suffix", p->suffix);
    dump_slice(out, "best_of", p->best_of);
    if (p->echo >= 0) {
        llmux_buf_addf(out, " echo=%d", p->echo);
    }
    llmux_buf_addf(out, "%s\n", chat->include_usage ? " usage" : "");
}

/* All chats; of those behind the first one only the prompt, since the rest is
 * the same. */
static const char *meaning(const char *json)
{
    llmux_buf_t *out = llmux_buf_create(pool, 1 << 24);
    const llmux_error_t *err;
    llmux_chat_t *chat, *first;

    err = read_body(json, &first);
    if (err) {
        return apr_pstrcat(pool, "error at ", err->param, NULL);
    }
    for (chat = first; chat; chat = chat->next) {
        dump_prompt(out, chat);
        llmux_buf_adds(out, chat == first ? chat_dump(pool, chat) : "");
        if (chat != first) {
            dump_messages(out, chat);
        }
    }
    return out->data;
}

static const struct { const char *name, *json, *want; } reads[] = {
    { "a text", "{'model':'m','prompt':'Hi'}",
      "prompt\nuser\n  text text=Hi\n model=m\n" },
    { "no text", "{'model':'m','prompt':''}",
      "prompt\nuser\n  text text=\n model=m\n" },
    { "no prompt at all", "{'model':'m','prompt':null}", "\n model=m\n" },
    { "a list of one", "{'model':'m','prompt':['Hi']}",
      "prompt[0] listed\nuser\n  text text=Hi\n model=m\n" },
    { "several are several chats",
      "{'model':'m','prompt':['a','b','c']}",
      "prompt[0] listed\nuser\n  text text=a\n model=m\n"
      "prompt[1] listed\nuser\n  text text=b\n"
      "prompt[2] listed\nuser\n  text text=c\n" },
    { "tokens", "{'model':'m','prompt':[755, 16178]}",
      "prompt tokens=[755, 16178]\nuser\n model=m\n" },
    { "lists of tokens", "{'model':'m','prompt':[[1,2],[3]]}",
      "prompt[0] listed tokens=[1,2]\nuser\n model=m\n"
      "prompt[1] listed tokens=[3]\nuser\n" },
    { "all the rest",
      "{'model':'m','prompt':'Hi','suffix':' end','best_of':3,'echo':true,"
      "'n':2,'logprobs':0,'max_tokens':0,'temperature':0.5,'top_p':1,"
      "'frequency_penalty':-1,'presence_penalty':2,'seed':-7,'stop':'.',"
      "'logit_bias':{'50256':-100},'user':'u','stream':true,'stream_options':"
      "{'include_usage':true},'top_k':-1,'min_p':0.1,'provider':'p'}",
      "prompt suffix= end best_of=3 echo=1 usage\nuser\n  text text=Hi\n"
      " model=m stream=1 max_tokens=0 temperature=0.5 top_p=1 "
      "frequency_penalty=-1 presence_penalty=2 seed=-7 n=2 "
      "logit_bias={\"50256\":-100} logprobs=1 top_logprobs=0 stop=. user_id=u "
      "extra:min_p =0.1\n" },
    { "what a chat has is no part of it",
      "{'model':'m','prompt':'Hi','messages':[{'role':'user'}],'tools':[],"
      "'max_completion_tokens':9,'min_p':0.1}",
      "prompt\nuser\n  text text=Hi\n model=m extra:min_p =0.1\n" },
    { "null is absence",
      "{'model':'m','prompt':'Hi','suffix':null,'best_of':null,'echo':null,"
      "'logprobs':null,'stop':null,'n':null,'stream_options':null,'zzz':null}",
      "prompt\nuser\n  text text=Hi\n model=m\n" },
    { "usage is for streams",
      "{'model':'m','prompt':'Hi','stream_options':{'include_usage':true}}",
      "prompt\nuser\n  text text=Hi\n model=m\n" },
    { "several sequences, none of them empty",
      "{'model':'m','prompt':'Hi','stop':['a','','b']}",
      "prompt\nuser\n  text text=Hi\n model=m stop=a stop=b\n" },

    { "an empty list", "{'prompt':[]}", "error at prompt" },
    { "an object", "{'prompt':{}}", "error at prompt" },
    { "a list of objects", "{'prompt':[{}]}", "error at prompt" },
    { "texts and tokens", "{'prompt':['a',[1]]}", "error at prompt[1]" },
    { "texts and numbers", "{'prompt':['a',1]}", "error at prompt[1]" },
    { "tokens and texts", "{'prompt':[1,'a']}", "error at prompt[1]" },
    { "a token below 0", "{'prompt':[0,-1]}", "error at prompt[1]" },
    { "half a token", "{'prompt':[[1],[2.5]]}", "error at prompt[1][0]" },
    { "a huge token", "{'prompt':[4294967296]}", "error at prompt[0]" },
    { "no tokens", "{'prompt':[[]]}", "error at prompt[0]" },
    { "too many probabilities", "{'prompt':'a','logprobs':6}",
      "error at logprobs" },
    { "probabilities as chats want them", "{'prompt':'a','logprobs':true}",
      "error at logprobs" },
    { "the best of fewer", "{'prompt':'a','n':3,'best_of':2}",
      "error at best_of" },
    { "n", "{'prompt':'a','n':129}", "error at n" },
    { "a suffix", "{'prompt':'a','suffix':1}", "error at suffix" },
    { "an echo", "{'prompt':'a','echo':'yes'}", "error at echo" },
    { "a bias", "{'prompt':'a','logit_bias':{'1':101}}",
      "error at logit_bias" },
    { "a stop", "{'prompt':'a','stop':['a',1]}", "error at stop[1]" },
    { "tokens wanted", "{'prompt':'a','max_tokens':-1}",
      "error at max_tokens" }
};

static void test_reads(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
        is_str(meaning(reads[i].json), reads[i].want, reads[i].name);
    }
}

/* A list of `count` prompts. */
static const char *many(int count, const char *rest)
{
    llmux_buf_t *out = llmux_buf_create(pool, 1 << 20);
    int i;

    llmux_buf_adds(out, "{'prompt':[");
    for (i = 0; i < count; i++) {
        llmux_buf_adds(out, i ? ",'a'" : "'a'");
    }
    llmux_buf_addf(out, "]%s}", rest);
    return out->data;
}

static void test_limits(void)
{
    llmux_chat_t *chat;
    int n = 0;

    ok(!read_body(many(LLMUX_PROMPTS_MAX, ""), &chat),
       "so many prompts may come");
    for (; chat; chat = chat->next) {
        n++;
    }
    is_int(n, LLMUX_PROMPTS_MAX, "... each is a chat");
    is_str(meaning(many(LLMUX_PROMPTS_MAX + 1, "")), "error at prompt",
           "one more is too many");
    is_str(meaning(many(100, ",'n':41")), "error at prompt",
           "too many choices of them");
}

/* They share all but the prompt. */
static void test_shared(void)
{
    llmux_chat_t *chat, *second;

    ok(!read_body("{'model':'m','prompt':['a','b'],'n':2,'stop':'x',"
                  "'echo':true,'logprobs':3}", &chat), "two prompts are read");
    second = chat->next;
    ok(second && !second->next && second != chat, "they are two chats");
    ok(second->stop == chat->stop && llmux_slice_is(second->n, "2")
       && llmux_slice_is(second->model, "m") && second->logprobs == LLMUX_YES
       && second->prompt->echo == LLMUX_YES, "which share what was said once");
    ok(second->messages == second->last && second->messages->number == 0
       && second->calls != chat->calls, "and nothing else");
}

/* ---- refusal --------------------------------------------------------- */

static const struct {
    const char *name, *json, *param;
    const char *warnings;
} refusals[] = {
    { "a text", "{'prompt':'a'}", NULL, NULL },
    { "texts", "{'prompt':['a','b']}", NULL, "emulate=prompt" },
    { "an echo", "{'prompt':['a'],'echo':true}", NULL, "emulate=echo" },
    { "log probabilities", "{'prompt':'a','logprobs':2}", NULL, NULL },
    { "the best of all", "{'prompt':'a','n':2,'best_of':2}", NULL, NULL },
    { "an empty suffix", "{'prompt':'a','suffix':''}", NULL, NULL },
    { "nothing", "{}", "prompt", NULL },
    { "tokens", "{'prompt':[1]}", "prompt", NULL },
    { "tokens in the second one", "{'prompt':[[1],[2]]}", "prompt",
      "emulate=prompt" },
    { "a suffix", "{'prompt':'a','suffix':'b'}", "suffix", NULL },
    { "the best of more", "{'prompt':'a','best_of':2}", "best_of", NULL },
    { "a prompt's probabilities", "{'prompt':'a','echo':true,'logprobs':0}",
      "echo", "emulate=echo" },
    { "no token", "{'prompt':'a','max_tokens':0}", "max_tokens", NULL }
};

static void test_refusals(void)
{
    const llmux_target_t target = { .name = "The target" };
    llmux_chat_t *chat;
    apr_size_t i;

    for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        llmux_warnings_t *w = llmux_warnings_create(pool, 0);
        const llmux_error_t *err = read_body(refusals[i].json, &chat);

        err = err ? err : llmux_completions_refusal(chat, &target);
        is_str(err ? err->param : NULL, refusals[i].param, refusals[i].name);
        ok(!err || (err->kind == LLMUX_ERR_UNSUPPORTED
                    && !strncmp(err->message, "The target ", 11)),
           "  ... in words");
        llmux_completions_emulated(chat, w);
        is_str(llmux_warnings_header(pool, w), refusals[i].warnings,
               "  ... what is emulated");
    }
    ok(!llmux_completions_refusal(llmux_chat_create(pool), &target),
       "a chat is no completion");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_heads();
    test_edits();
    test_reads();
    test_limits();
    test_shared();
    test_refusals();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
