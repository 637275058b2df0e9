/* openai_edit.c - a body for the same dialect passes byte for byte, but for
 * what must change. */

#include <apr_strings.h>

#include "tap.h"
#include "llmux/dialect.h"

static apr_pool_t *pool;
static llmux_json_parser_t *parser;

static const llmux_error_t *head_of(const char *json,
                                    llmux_head_t *head)
{
    memset(head, 0, sizeof(*head));
    return llmux_dialect_openai.head(pool, parser, llmux_slice(json), head);
}

#define M "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

/* ---- head ------------------------------------------------------------ */

static void test_head(void)
{
    llmux_head_t head;

    ok(!head_of("{\"mod\\u0065l\":\"g\\u0070t\",\"stream\":true,"
                "\"stream_options\":{\"include_usage\":true},"
                "\"provider\":\"p\",\"parameters\":{\"n\":1},"
                "\"messages\":[1,{\"a\":[2,3]},[]]}", &head),
       "a full head is read");
    ok(llmux_slice_is(head.model, "gpt"), "the model, escapes decoded");
    is_int(head.stream, LLMUX_YES, "it streams");
    is_int(head.include_usage, 1, "it wants usage");
    ok(llmux_slice_is(head.provider, "p"), "the provider");
    is_int(llmux_json_count(head.parameters), 1, "the parameters");
    is_int(head.messages, 3, "the number of messages");

    ok(!head_of("{\"model\":\"m\",\"stream\":null,\"provider\":null,"
                "\"parameters\":null,\"stream_options\":null," M "}", &head),
       "null is absence");
    ok(head.stream == LLMUX_UNSET && !head.provider.data && !head.parameters
       && !head.include_usage, "all of it");
    ok(!head_of("{\"model\":\"m\",\"provider\":{\"only\":[]}," M "}", &head)
       && !head.provider.data, "an object named provider is not ours");
}

static const struct { const char *json, *param, *says; } bad[] = {
    { "{\"model\":", NULL, "line 1, column 10 (byte 9)" },
    { "{\n \"model\" 1}", NULL, "line 2, column 10 (byte 11)" },
    { "", NULL, "not valid JSON" },
    { "[]", NULL, "expected an object, found an array" },
    { "{" M "}", "model", "expected a string, found nothing" },
    { "{\"model\":null," M "}", "model", "found null" },
    { "{\"model\":7," M "}", "model", "found a number" },
    { "{\"model\":\"\"," M "}", "model", "not empty" },
    { "{\"model\":\"a\\u0000b\"," M "}", "model", "NUL" },
    { "{\"model\":\"m\"}", "messages", "found nothing" },
    { "{\"model\":\"m\",\"messages\":[]}", "messages", "at least one" },
    { "{\"model\":\"m\",\"messages\":\"hi\"}", "messages", "found a string" },
    { "{\"model\":\"m\",\"stream\":1," M "}", "stream", "a boolean" },
    { "{\"model\":\"m\",\"stream_options\":[]," M "}", "stream_options",
      "an object" },
    { "{\"model\":\"m\",\"stream_options\":{\"include_usage\":0}," M "}",
      "stream_options.include_usage", "a boolean" },
    { "{\"model\":\"m\",\"provider\":1," M "}", "provider", "a string" },
    { "{\"model\":\"m\",\"parameters\":[]," M "}", "parameters",
      "an object" },
    { "{\"model\":\"m\"," M ",\"mod\\u0065l\":\"n\"}", "model", "twice" },
    { "{\"model\":\"m\"," M ",\"x\":1,\"x\":1}", "x", "twice" },
    { "{\"model\":\"m\"," M ",\"Model\":\"n\"}", "Model", "spelled 'model'" },
    { "{\"model\":\"m\"," M ",\"parameters\":{\"a\":1,\"a\":2}}",
      "parameters.a", "twice" },
    { "{\"model\":\"m\"," M ",\"stream_options\":{\"a\":1,\"a\":2}}",
      "stream_options.a", "twice" }
};

static void test_bad(void)
{
    llmux_head_t head;
    const llmux_error_t *err;
    apr_size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        err = head_of(bad[i].json, &head);
        if (!ok(err && err->status == 400
                && strstr(err->message, bad[i].says),
                "refused: %s", bad[i].json)) {
            printf("#   message: %s\n", err ? err->message : "(none)");
        }
        is_str(err ? err->param : "(read)", bad[i].param, "  and says where");
    }
    err = head_of("{", &head);
    is_str(err->code, "invalid_json", "no JSON has a code of its own");
}

static void test_long_model(void)
{
    char name[LLMUX_MODEL_NAME_MAX + 2];
    const llmux_error_t *err;
    llmux_head_t head;

    memset(name, 'm', sizeof(name));
    name[LLMUX_MODEL_NAME_MAX] = '\0';
    ok(!head_of(apr_pstrcat(pool, "{\"model\":\"", name, "\"," M "}", NULL),
                &head), "a model's name of the greatest length");
    name[LLMUX_MODEL_NAME_MAX] = 'm';
    name[LLMUX_MODEL_NAME_MAX + 1] = '\0';
    err = head_of(apr_pstrcat(pool, "{\"model\":\"", name, "\"," M "}", NULL),
                  &head);
    ok(err && !strcmp(err->param, "model"), "and one byte more");
}

/* ---- merge ----------------------------------------------------------- */

static const struct { const char *name, *json, *merged; } merges[] = {
    { "nothing of ours: nothing changes",
      " { \"model\" : \"m\" ,\t" M " , \"x\" : 1 }\n",
      " { \"model\" : \"m\" ,\t" M " , \"x\" : 1 }\n" },
    { "provider last",
      "{\"model\":\"m\"," M " , \"provider\" : \"p\" }",
      "{\"model\":\"m\"," M " }" },
    { "provider first",
      "{ \"provider\" : \"p\" ,\n \"model\":\"m\"," M "}",
      "{ \"model\":\"m\"," M "}" },
    { "provider between, its name escaped",
      "{\"model\":\"m\" , \"provid\\u0065r\":\"p\" , " M "}",
      "{\"model\":\"m\" , " M "}" },
    { "all of ours at once, also side by side",
      "{\"tag\\u0073\":[\"a\"],\"tag\":1,\"model\":\"m\",\"provider\":null,"
      " \"parameters\":{}," M "}",
      "{\"model\":\"m\"," M "}" },
    { "an object named provider stays",
      "{\"model\":\"m\"," M ",\"provider\":{\"a\":1}}",
      "{\"model\":\"m\"," M ",\"provider\":{\"a\":1}}" },
    { "parameters go to the end as they stand",
      "{\"parameters\":{ \"a\" : 1.0e0 , \"\\u0062\":[ 1 ]},\"model\":\"m\","
      M " }",
      "{\"model\":\"m\"," M ",\"a\":1.0e0,\"\\u0062\":[ 1 ] }" },
    { "explicit members win, however they are spelled",
      "{\"model\":\"m\"," M ",\"t\\u006fp_p\":0.5,\"parameters\":"
      "{\"top_p\":1,\"model\":\"n\",\"messages\":[],\"n\":2}}",
      "{\"model\":\"m\"," M ",\"t\\u006fp_p\":0.5,\"n\":2}" },
    { "null is not explicit",
      "{\"model\":\"m\",\"top_p\" : null, \"seed\":null," M
      ",\"parameters\":{\"top_p\":1}}",
      "{\"model\":\"m\",\"top_p\" : 1, \"seed\":null," M "}" },
    { "parameters without a value add nothing, nor does what is ours",
      "{\"model\":\"m\"," M ",\"parameters\":{\"top_p\":null,"
      "\"provider\":\"p\",\"parameters\":{\"a\":1},\"tags\":[],\"tag\":1}}",
      "{\"model\":\"m\"," M "}" }
};

static void test_merge(void)
{
    llmux_head_t head;
    llmux_slice_t merged;
    apr_size_t i;

    for (i = 0; i < sizeof(merges) / sizeof(*merges); i++) {
        if (head_of(merges[i].json, &head)) {
            ok(0, "%s", merges[i].name);
            continue;
        }
        merged = llmux_head_merge(pool, &head,
                                    llmux_slice(merges[i].json));
        is_str(apr_pstrmemdup(pool, merged.data, merged.len),
               merges[i].merged, merges[i].name);
        ok(llmux_json_parse(pool, merged, 0, NULL), "  which is JSON");
    }
}

/* ---- edit ------------------------------------------------------------ */

static const struct { const char *name, *json, *edited; } edits[] = {
    { "the model alone",
      "\n{ \"x\" : [ 1.0 ,\"\\u00e9\" ] , \"model\" : \"m\\u0061\" , " M " }  ",
      "\n{ \"x\" : [ 1.0 ,\"\\u00e9\" ] , \"model\" : \"up\\\"m\" , " M
      " }  " },
    { "a member named model further down stays",
      "{\"x\":{\"model\":\"a\"},\"mod\\u0065l\":\"b\"," M "}",
      "{\"x\":{\"model\":\"a\"},\"mod\\u0065l\":\"up\\\"m\"," M "}" },
    { "usage is asked for behind the model",
      "{\"stream\":true,\"model\":\"m\" ," M "}",
      "{\"stream\":true,\"model\":\"up\\\"m\",\"stream_options\":"
      "{\"include_usage\":true} ," M "}" },
    { "not unless it streams",
      "{\"stream\":false,\"model\":\"m\"," M "}",
      "{\"stream\":false,\"model\":\"up\\\"m\"," M "}" },
    { "options that are null are replaced, before the model",
      "{\"stream_options\" : null ,\"stream\":true,\"model\":\"m\"," M "}",
      "{\"stream_options\" : {\"include_usage\":true} ,\"stream\":true,"
      "\"model\":\"up\\\"m\"," M "}" },
    { "options of other kinds stay",
      "{\"stream\":true,\"model\":\"m\"," M ",\"stream_options\":"
      "{ \"include_obfuscation\" : false }}",
      "{\"stream\":true,\"model\":\"up\\\"m\"," M ",\"stream_options\":"
      "{\"include_usage\":true, \"include_obfuscation\" : false }}" },
    { "options without any",
      "{\"stream\":true,\"model\":\"m\"," M ",\"stream_options\":{ }}",
      "{\"stream\":true,\"model\":\"up\\\"m\"," M ",\"stream_options\":"
      "{\"include_usage\":true }}" },
    { "a no becomes a yes",
      "{\"stream\":true,\"model\":\"m\"," M ",\"stream_options\":"
      "{\"a\":1, \"include\\u005fusage\" : false , \"b\":2}}",
      "{\"stream\":true,\"model\":\"up\\\"m\"," M ",\"stream_options\":"
      "{\"a\":1, \"include\\u005fusage\" : true , \"b\":2}}" },
    { "so does a null",
      "{\"stream\":true,\"model\":\"m\"," M ",\"stream_options\":"
      "{\"include_usage\":null}}",
      "{\"stream\":true,\"model\":\"up\\\"m\"," M ",\"stream_options\":"
      "{\"include_usage\":true}}" },
    { "who asked already is left alone",
      "{\"stream\":true,\"model\":\"m\"," M ",\"stream_options\":"
      "{ \"include_usage\" : true }}",
      "{\"stream\":true,\"model\":\"up\\\"m\"," M ",\"stream_options\":"
      "{ \"include_usage\" : true }}" }
};

#define ALL (LLMUX_CAN_STREAM_USAGE | LLMUX_CAN_MAX_COMPLETION \
             | LLMUX_CAN_DEVELOPER)

static const char *told;        /* of the last one that was edited */

static const char *edit(const char *json, unsigned int can)
{
    llmux_warnings_t *warnings = llmux_warnings_create(pool, 0);
    llmux_target_t target = { "test", llmux_slice("up\"m"), can, 0, NULL };
    llmux_buf_t *out = llmux_buf_create(pool, 1 << 20);
    llmux_head_t head;

    if (head_of(json, &head)) {
        return "(refused)";
    }
    llmux_dialect_openai.edit(out, pool, &head, llmux_slice(json), &target,
                              warnings);
    told = llmux_warnings_header(pool, warnings);
    return out->data;
}

/* What servers that know less get; each without one ability. */
static const struct {
    const char *name;
    unsigned int can;
    const char *json, *edited, *told;
} lesser[] = {
    { "an older server gets the older name of the limit",
      ALL & ~(unsigned int)LLMUX_CAN_MAX_COMPLETION,
      "{\"model\":\"m\", \"max_completion_tokens\" : 5," M "}",
      "{\"model\":\"up\\\"m\", \"max_tokens\" : 5," M "}" },
    { "... not twice",
      ALL & ~(unsigned int)LLMUX_CAN_MAX_COMPLETION,
      "{\"model\":\"m\",\"max_completion_tokens\":5,\"max_tokens\":6," M "}",
      "{\"model\":\"up\\\"m\",\"max_completion_tokens\":5,"
      "\"max_tokens\":6," M "}" },
    { "... and a system where it knows no developer",
      ALL & ~(unsigned int)LLMUX_CAN_DEVELOPER,
      "{\"messages\":[ {\"content\":\"developer\",\"role\" :\"developer\"},"
      "{\"role\":\"user\",\"content\":{\"role\":\"developer\"}}],"
      "\"model\":\"m\"}",
      "{\"messages\":[ {\"content\":\"developer\",\"role\" :\"system\"},"
      "{\"role\":\"user\",\"content\":{\"role\":\"developer\"}}],"
      "\"model\":\"up\\\"m\"}" },
    { "stream options go where they are unknown",
      ALL & ~(unsigned int)LLMUX_CAN_STREAM_USAGE,
      "{\"model\":\"m\" , \"stream_options\":{\"include_usage\":true} ,"
      "\"stream\":true," M "}",
      "{\"model\":\"up\\\"m\" ,\"stream\":true," M "}" },
    { "... as the first member",
      ALL & ~(unsigned int)LLMUX_CAN_STREAM_USAGE,
      "{ \"stream_options\":{} , \"model\":\"m\"," M "}",
      "{ \"model\":\"up\\\"m\"," M "}" },
    { "... as the last one",
      ALL & ~(unsigned int)LLMUX_CAN_STREAM_USAGE,
      "{\"model\":\"m\"," M ", \"stream_options\":null }",
      "{\"model\":\"up\\\"m\"," M " }" },
    { "... and what else they ask for is told",
      ALL & ~(unsigned int)LLMUX_CAN_STREAM_USAGE,
      "{\"stream_options\":{\"include_usage\":true,\"a\":false,\"b\":null,"
      "\"include_obfuscation\":true,\"c d\":[1]},\"model\":\"m\"," M "}",
      "{\"model\":\"up\\\"m\"," M "}",
      "drop=stream_options.include_obfuscation,stream_options.c?d" },
    { "a sealed token that cannot be opened goes, and that is told", ALL,
      "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":"
      "\"a\",\"reasoning_details\":[{\"data\":\"gw2.k.x\"}]}]}",
      "{\"model\":\"up\\\"m\",\"messages\":[{\"role\":\"assistant\","
      "\"content\":\"a\",\"reasoning_details\":[]}]}",
      "drop=reasoning_content" },
    { "... also that of a call", ALL,
      "{\"model\":\"m\",\"messages\":[{\"tool_calls\":[{\"extra_content\":"
      "{\"google\":{\"thought_signature\":\"gw2.k.x\"}}}]}]}",
      "{\"model\":\"up\\\"m\",\"messages\":[{\"tool_calls\":["
      "{\"extra_content\":{\"google\":{}}}]}]}",
      "drop=reasoning_content" }
};

static void test_lesser(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(lesser) / sizeof(*lesser); i++) {
        is_str(edit(lesser[i].json, lesser[i].can), lesser[i].edited,
               lesser[i].name);
        is_str(told, lesser[i].told, "  ... and this is told");
    }
}

static void test_edit(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(edits) / sizeof(*edits); i++) {
        is_str(edit(edits[i].json, ALL), edits[i].edited, edits[i].name);
        is_str(told, NULL, "  ... and there is nothing to tell");
    }
    is_str(edit("{\"stream\":true,\"model\":\"m\"," M "}", 0),
           "{\"stream\":true,\"model\":\"up\\\"m\"," M "}",
           "a server that cannot is not asked");
}

/* Merge, look again, edit: as the gateway does it. */
static void test_together(void)
{
    const char *json = "{\"parameters\":{\"stream\":true},\"model\":\"m\","
        M "}";
    llmux_head_t head;
    llmux_slice_t merged;

    head_of(json, &head);
    merged = llmux_head_merge(pool, &head, llmux_slice(json));
    is_str(edit(apr_pstrmemdup(pool, merged.data, merged.len),
                ALL),
           "{\"model\":\"up\\\"m\",\"stream_options\":{\"include_usage\":true},"
           M ",\"stream\":true}", "a stream by parameter is a stream");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    parser = llmux_json_parser_create(pool);
    test_head();
    test_bad();
    test_long_model();
    test_merge();
    test_edit();
    test_lesser();
    test_together();
    apr_pool_destroy(pool);
    return tap_done();
}
