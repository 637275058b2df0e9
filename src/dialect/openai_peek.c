/* openai_peek.c - which of chat completions' answers are ordinary. */

#include "openai_peek.h"

#define IS(kind) (1u << LLMUX_JSON_##kind)
#define NULL_ONLY   IS(NULL)
#define TEXT        (IS(NULL) | IS(STRING))
#define OBJECT      (IS(NULL) | IS(OBJECT))
#define LIST        (IS(NULL) | IS(ARRAY) | LLMUX_JSON_PICK_EMPTY)
#define EMPTY_LIST  (IS(NULL) | LLMUX_JSON_PICK_EMPTY)
#define ANY         0xffu

#define ROW(name, slot) LLMUX_JSON_PICK(name, LLMUX_PEEK_##slot)

/* In the order that OpenAI itself keeps to; some rows are there for nothing
 * else. */
static const llmux_json_pick_t function[] = {
    { ROW("arguments", CALL_ARGUMENTS), ANY,  NULL },
    { ROW("name",      CALL_NAME),      TEXT, NULL },
    LLMUX_JSON_PICK_END
};

static const llmux_json_pick_t call[] = {
    { ROW("index",         CALL_INDEX),    ANY,       NULL },
    { ROW("function",      CALL_FUNCTION), OBJECT,    function },
    { ROW("id",            CALL_ID),       TEXT,      NULL },
    { ROW("type",          CALL_TYPE),     TEXT,      NULL },
    { ROW("custom",        CALL_CUSTOM),   NULL_ONLY, NULL },
    { ROW("extra_content", CALL_EXTRA),    NULL_ONLY, NULL },
    LLMUX_JSON_PICK_END
};

static const llmux_json_pick_t message[] = {
    { ROW("role",              ROLE),              ANY,        NULL },
    { ROW("content",           CONTENT),           TEXT,       NULL },
    { ROW("tool_calls",        CALLS),             LIST,       call },
    { ROW("refusal",           REFUSAL),           TEXT,       NULL },
    { ROW("reasoning_content", REASONING_CONTENT), TEXT,       NULL },
    { ROW("reasoning",         REASONING),         TEXT,       NULL },
    { ROW("reasoning_details", DETAILS),           EMPTY_LIST, NULL },
    { ROW("annotations",       ANNOTATIONS),       EMPTY_LIST, NULL },
    { ROW("images",            IMAGES),            EMPTY_LIST, NULL },
    { ROW("audio",             SOUND),             NULL_ONLY,  NULL },
    { ROW("function_call",     OLD_CALL),          NULL_ONLY,  NULL },
    LLMUX_JSON_PICK_END
};

/* A choice says it in one of two members. */
static const llmux_json_pick_t choice[] = {
    { ROW("index",         INDEX),        ANY,       NULL },
    { ROW("delta",         DELTA),        OBJECT,    message },
    { ROW("message",       MESSAGE),      OBJECT,    message },
    { ROW("logprobs",      LOGPROBS),     NULL_ONLY, NULL },
    { ROW("finish_reason", FINISH),       ANY,       NULL },
    { ROW("stop_reason",   STOP),         ANY,       NULL },
    { ROW("error",         CHOICE_ERROR), NULL_ONLY, NULL },
    { ROW("usage",         CHOICE_USAGE), NULL_ONLY, NULL },
    LLMUX_JSON_PICK_END
};

static const llmux_json_pick_t payload[] = {
    { ROW("id",                 ID),          ANY,        NULL },
    { ROW("object",             OBJECT),      ANY,        NULL },
    { ROW("created",            CREATED),     ANY,        NULL },
    { ROW("model",              MODEL),       ANY,        NULL },
    { ROW("service_tier",       TIER),        ANY,        NULL },
    { ROW("system_fingerprint", FINGERPRINT), ANY,        NULL },
    { ROW("choices",            CHOICES),     LIST,       choice },
    { ROW("usage",              USAGE),       OBJECT,     NULL },
    { ROW("obfuscation",        PADDING),     ANY,        NULL },
    { ROW("error",              ERROR),       NULL_ONLY,  NULL },
    { ROW("x_groq",             GROQ),        NULL_ONLY,  NULL },
    { ROW("citations",          CITATIONS),   EMPTY_LIST, NULL },
    { ROW("search_results",     RESULTS),     EMPTY_LIST, NULL },
    LLMUX_JSON_PICK_END
};

static int is_there(const llmux_json_t *v)
{
    return v->kind != LLMUX_JSON_NONE && v->kind != LLMUX_JSON_NULL;
}

int llmux_openai_peek_filled(const llmux_json_t *list)
{
    return list->kind == LLMUX_JSON_ARRAY && list->len > 2;
}

/* A payload with neither choices nor usage may be an error. */
int llmux_openai_peek(llmux_slice_t text, llmux_json_t *v)
{
    return llmux_json_pick(text, payload, v, LLMUX_PEEK_COUNT)
        && (is_there(&v[LLMUX_PEEK_CHOICES])
            || is_there(&v[LLMUX_PEEK_USAGE]))
        && !(is_there(&v[LLMUX_PEEK_DELTA])
             && is_there(&v[LLMUX_PEEK_MESSAGE]))
        && !llmux_json_is(&v[LLMUX_PEEK_CALL_TYPE], "custom");
}
