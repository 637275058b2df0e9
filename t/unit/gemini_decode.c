/* gemini_decode.c - Gemini's answers come out as events, wherever the bytes
 * are cut. */

#include "tap.h"

#include "llmux/dialect.h"

/* Events as text: one word for the kind, then what it says. */
static void trace(void *baton, const llmux_event_t *ev)
{
    static const char *const kinds[] = {
        "start", "open", "text", "think", "refusal", "args", "cite", "token",
        "media", "logprobs", "close", "usage", "finish", "ping", "error", "end"
    };
    static const char *const blocks[] = {
        "text", "media", "call", "result", "think", "refusal"
    };
    static const char *const finishes[] = {
        "stop", "stop_sequence", "length", "context", "calls", "filter",
        "refusal", "malformed", "pause", "other"
    };
    llmux_buf_t *out = baton;

#define SAY(s) do { llmux_buf_adds(out, " "); llmux_buf_add_slice(out, s); } \
               while (0)
    llmux_buf_addf(out, "%s", kinds[ev->kind]);
    switch (ev->kind) {
    case LLMUX_EV_START:
        SAY(ev->id);
        SAY(ev->name);
        SAY(ev->tier);
        llmux_buf_addf(out, " %ld", (long)ev->created);
        break;
    case LLMUX_EV_BLOCK_START:
        llmux_buf_addf(out, " %d/%d %s", ev->cand, ev->key, blocks[ev->block]);
        if (ev->block == LLMUX_BLOCK_CALL) {
            SAY(llmux_slice_starts(ev->id, "call_") ? llmux_slice("minted")
                                                    : ev->id);
            SAY(ev->name);
        }
        break;
    case LLMUX_EV_TOKEN:
        llmux_buf_addf(out, " %d", ev->key);
        SAY(ev->token.bytes);
        break;
    case LLMUX_EV_CITE:
        llmux_buf_addf(out, " %d %ld-%ld", ev->key, (long)ev->cite->start,
                       (long)ev->cite->end);
        SAY(ev->cite->url);
        SAY(ev->cite->title);
        break;
    case LLMUX_EV_USAGE:
        llmux_buf_addf(out, " %ld+%ld+%ld %ld+%ld a%ld,%ld",
                       (long)ev->usage->input, (long)ev->usage->cache_read,
                       (long)ev->usage->tool_input, (long)ev->usage->output,
                       (long)ev->usage->reasoning,
                       (long)ev->usage->audio_input,
                       (long)ev->usage->audio_output);
        break;
    case LLMUX_EV_FINISH:
        llmux_buf_addf(out, " %d %s", ev->cand, finishes[ev->finish]);
        SAY(ev->text);
        break;
    case LLMUX_EV_ERROR:
        llmux_buf_addf(out, " %d %ld %s", ev->error->status,
                       (long)ev->error->retry_after, ev->error->message);
        break;
    case LLMUX_EV_MEDIA:
        SAY(ev->name);
        SAY(ev->text);
        break;
    case LLMUX_EV_LOGPROBS:
    case LLMUX_EV_TEXT:
    case LLMUX_EV_THINK:
    case LLMUX_EV_ARGS:
        SAY(ev->text);
        break;
    case LLMUX_EV_BLOCK_STOP:
        llmux_buf_addf(out, " %d", ev->key);
        break;
    default:
        break;
    }
    llmux_buf_adds(out, "\n");
}

/* The events of `text`, fed as two pieces. */
static const char *events(apr_pool_t *p, const char *text, int streamed,
                          apr_size_t cut)
{
    llmux_buf_t *out = llmux_buf_create(p, 1 << 20);
    llmux_stream_t *s = llmux_stream_open(p, llmux_env_process(),
                                          &llmux_dialect_gemini, streamed,
                                          trace, NULL, out);

    llmux_stream_feed(s, text, cut);
    llmux_stream_feed(s, text + cut, strlen(text) - cut);
    llmux_stream_end(s);
    return out->data ? out->data : "";
}

#define C(parts) "{\"candidates\":[{\"content\":{\"role\":\"model\"," \
                 "\"parts\":[" parts "]}"
#define D "data: "
#define N "\r\n\r\n"

static const struct {
    const char *name, *bytes, *want;
    int whole;
} cases[] = {
    { "thinking, text, a call, an empty signed text",
      D C("{\"text\":\"Plan\",\"thought\":true}") ",\"index\":0}],"
        "\"usageMetadata\":{\"promptTokenCount\":9,\"totalTokenCount\":9,"
        "\"trafficType\":\"ON_DEMAND\"},\"modelVersion\":\"m\","
        "\"createTime\":\"2026-07-22T23:37:37.029264Z\","
        "\"responseId\":\"r1\"}" N
      D C("{\"text\":\"Hi \"}") ",\"index\":0}],\"usageMetadata\":{"
        "\"promptTokenCount\":9,\"candidatesTokenCount\":1,"
        "\"thoughtsTokenCount\":5}}" N
      D C("{\"text\":\"you\"}") "}]}" N
      D C("{\"functionCall\":{\"name\":\"f\",\"args\":{\"a\": 1.50}},"
          "\"thoughtSignature\":\"Eo0B\"},"
          "{\"functionCall\":{\"name\":\"g\",\"id\":\"x7\"}}") "}]}" N
      D C("{\"text\":\"\",\"thoughtSignature\":\"EpAI\"}")
        ",\"finishReason\":\"STOP\"}],\"usageMetadata\":{"
        "\"promptTokenCount\":9,\"cachedContentTokenCount\":4,"
        "\"toolUsePromptTokenCount\":3,\"candidatesTokenCount\":\"7\","
        "\"candidatesTokensDetails\":[{\"modality\":\"AUDIO\","
        "\"tokenCount\":2}]}}" N,
      "start r1 m default 1784763457\n"
      "open 0/0 think\nthink Plan\nusage 9+-1+-1 -1+-1 a-1,-1\n"
      "close 0\nopen 0/1 text\ntext Hi \nusage 9+-1+-1 1+5 a-1,-1\n"
      "text you\nclose 1\n"
      "open 0/2 call minted f\ntoken 2 Eo0B\nargs {\"a\":1.50}\nclose 2\n"
      "open 0/3 call x7 g\nclose 3\n"
      "open 0/4 think\ntoken 4 EpAI\nclose 4\n"
      "usage 5+4+3 7+5 a-1,2\n"
      "finish 0 calls STOP\nend\n", 0 },
    { "signatures on thoughts and on text",
      D C("{\"text\":\"T\",\"thought\":true,\"thoughtSignature\":\"s1\"},"
          "{\"text\":\"A\",\"thoughtSignature\":\"s2\"},"
          "{\"text\":\"B\",\"thoughtSignature\":\"s3\"},{\"text\":\"C\"}")
        ",\"finishReason\":\"STOP\"}]}" N,
      "start    0\nopen 0/0 think\nthink T\ntoken 0 s1\ntoken 0 s2\nclose 0\n"
      "open 0/1 text\ntext A\n"
      "open 0/2 think\ntoken 2 s3\nclose 2\ntext B\ntext C\nclose 1\n"
      "finish 0 stop STOP\nend\n", 0 },
    { "arguments in pieces",
      D C("{\"functionCall\":{\"name\":\"f\",\"willContinue\":true},"
          "\"thoughtSignature\":\"s\"}") "}]}" N
      D C("{\"functionCall\":{\"partialArgs\":[{\"jsonPath\":\"$.a.b[0]\","
          "\"stringValue\":\"Bos\",\"willContinue\":true}],"
          "\"willContinue\":true}}") "}]}" N
      D C("{\"functionCall\":{\"partialArgs\":[{\"jsonPath\":\"$.a.b[0]\","
          "\"stringValue\":\"\"}],\"willContinue\":true}}") "}]}" N
      D C("{\"functionCall\":{\"willContinue\":true}}") "}]}" N
      D C("{\"functionCall\":{\"partialArgs\":["
          "{\"jsonPath\":\"$['a']['x y']\",\"numberValue\":1.0},"
          "{\"jsonPath\":\"$.a.b[1]\",\"boolValue\":true},"
          "{\"jsonPath\":\"$.n\",\"nullValue\":\"NULL_VALUE\"},"
          "{\"jsonPath\":\"$.w\",\"stringValue\":\"whole/\"}],"
          "\"willContinue\":true}}") "}]}" N
      D C("{\"functionCall\":{}}") ",\"finishReason\":\"STOP\"}]}" N,
      "start    0\nopen 0/0 call minted f\ntoken 0 s\n"
      "args {\"a\":{\"b\":[\"Bos\",true],\"x y\":1.0},\"n\":null,"
      "\"w\":\"whole/\"}\nclose 0\nfinish 0 calls STOP\nend\n", 0 },
    { "pieces without a closing one, then another call",
      D C("{\"functionCall\":{\"name\":\"f\",\"willContinue\":true}},"
          "{\"functionCall\":{\"partialArgs\":[{\"jsonPath\":\"$.s\","
          "\"stringValue\":\"a\",\"willContinue\":true},"
          "{\"jsonPath\":\"$.t\",\"stringValue\":\"b\"},"
          "{\"jsonPath\":\"$.s\",\"stringValue\":\"c\"}],"
          "\"willContinue\":true}},"
          "{\"functionCall\":{\"name\":\"g\",\"willContinue\":true}}")
        ",\"finishReason\":\"MAX_TOKENS\"}]}" N,
      "start    0\nopen 0/0 call minted f\n"
      "args {\"s\":\"ac\",\"t\":\"b\"}\nclose 0\n"
      "open 0/1 call minted g\nclose 1\n"
      "finish 0 length MAX_TOKENS\nend\n", 0 },
    { "a path that is a trap",
      D C("{\"functionCall\":{\"name\":\"f\",\"partialArgs\":[{\"jsonPath\":"
          "\"$.__proto__.x\",\"boolValue\":true}]}}") "}]}" N,
      "start    0\nopen 0/0 call minted f\n"
      "error 502 -1 A path of a tool call's arguments is not understood.\n",
      0 },
    { "an index that is too large",
      D C("{\"functionCall\":{\"name\":\"f\",\"partialArgs\":[{\"jsonPath\":"
          "\"$.x[10001]\",\"boolValue\":true}]}}") "}]}" N,
      "start    0\nopen 0/0 call minted f\n"
      "error 502 -1 A path of a tool call's arguments is not understood.\n",
      0 },
    { "a path that contradicts another",
      D C("{\"functionCall\":{\"name\":\"f\",\"partialArgs\":[{\"jsonPath\":"
          "\"$.x\",\"boolValue\":true},{\"jsonPath\":\"$.x.y\","
          "\"boolValue\":true}]}}") "}]}" N,
      "start    0\nopen 0/0 call minted f\n"
      "error 502 -1 The paths of a tool call's arguments contradict each "
      "other.\n", 0 },
    { "several candidates, one filtered for an unknown reason",
      D "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},"
        "\"index\":0},{\"content\":{\"parts\":[{\"text\":\"b\"}]},"
        "\"index\":1}]}" N
      D "{\"candidates\":[{\"index\":1,\"finishReason\":\"NEW_REASON\"},"
        "{\"finishReason\":\"SPII\"}]}" N,
      "start    0\nopen 0/0 text\ntext a\nopen 1/1 text\ntext b\n"
      "close 0\nfinish 0 filter SPII\nclose 1\nfinish 1 other NEW_REASON\n"
      "end\n", 0 },
    { "a candidate that never finished",
      D C("{\"text\":\"a\"}") ",\"index\":1}]}" N
      D C("{\"text\":\"b\"}") ",\"finishReason\":\"STOP\"}]}" N,
      "start    0\nopen 1/0 text\ntext a\nopen 0/1 text\ntext b\n"
      "error 502 -1 The provider's answer was truncated.\n", 0 },
    { "an impossible candidate",
      D C("{\"text\":\"a\"}") ",\"index\":128}]}" N,
      "start    0\nerror 502 -1 The provider's answer has a candidate with an "
      "impossible number.\n", 0 },
    { "a prompt that is blocked",
      D "{\"promptFeedback\":{\"blockReason\":\"SAFETY\"},\"usageMetadata\":"
        "{\"promptTokenCount\":9}}" N,
      "start    0\nusage 9+-1+-1 -1+-1 a-1,-1\nfinish 0 filter SAFETY\nend\n",
      0 },
    { "nothing but a length while thinking",
      D "{\"candidates\":[{\"finishReason\":\"MAX_TOKENS\"}],"
        "\"responseId\":\"r\"}" N,
      "start r   0\nfinish 0 length MAX_TOKENS\nend\n", 0 },
    { "hosted tools are not the client's",
      D C("{\"executableCode\":{\"code\":\"1\"},\"thoughtSignature\":\"s\"},"
          "{\"codeExecutionResult\":{\"output\":\"1\"}},"
          "{\"toolCall\":{\"id\":\"1\"}},{\"toolResponse\":{\"id\":\"1\"}},"
          "{\"text\":\"done\"}") ",\"finishReason\":\"STOP\"}]}" N,
      "start    0\nopen 0/0 text\ntext done\nclose 0\nfinish 0 stop STOP\n"
      "end\n", 0 },
    { "a picture",
      D C("{\"text\":\"see\"},{\"inlineData\":{\"mimeType\":\"image/png\","
          "\"data\":\"aGk=\"}}") ",\"finishReason\":\"STOP\"}]}" N,
      "start    0\nopen 0/0 text\ntext see\nclose 0\nopen 0/1 media\n"
      "media image/png aGk=\nclose 1\nfinish 0 stop STOP\nend\n", 0 },
    { "citations count code points, once",
      D C("{\"text\":\"\xc3\x84\xc3\xb6 \"}") "}]}" N
      D C("{\"text\":\"\xe2\x82\xac" "5 and more\"}")
        ",\"groundingMetadata\":{"
        "\"groundingChunks\":[{\"web\":{\"uri\":\"u0\",\"title\":\"t0\"}},"
        "{\"retrievedContext\":{\"title\":\"no address\"}}],"
        "\"groundingSupports\":[{\"segment\":{\"startIndex\":5,"
        "\"endIndex\":9},\"groundingChunkIndices\":[0,1,7]}]}}]}" N
      D "{\"candidates\":[{\"finishReason\":\"STOP\",\"groundingMetadata\":{"
        "\"groundingChunks\":[{\"web\":{\"uri\":\"u0\",\"title\":\"t0\"}}],"
        "\"groundingSupports\":[{\"segment\":{\"startIndex\":5,"
        "\"endIndex\":9},\"groundingChunkIndices\":[0]},{\"segment\":{"
        "\"startIndex\":10,\"endIndex\":13},\"groundingChunkIndices\":[0]},"
        "{\"segment\":{\"startIndex\":10,\"endIndex\":999},"
        "\"groundingChunkIndices\":[0]}]}}]}" N,
      "start    0\nopen 0/0 text\ntext \xc3\x84\xc3\xb6 \n"
      "text \xe2\x82\xac" "5 and more\n"
      "cite 0 3-5 u0 t0\ncite 0 6-9 u0 t0\ncite 0 -1--1 u0 t0\n"
      "close 0\nfinish 0 stop STOP\nend\n", 0 },
    { "log probabilities",
      D C("{\"text\":\"\xc3\xa4\"}") ",\"finishReason\":\"STOP\","
        "\"logprobsResult\":{\"chosenCandidates\":[{\"token\":\"\xc3\xa4\","
        "\"logProbability\":-0.10}],\"topCandidates\":[{\"candidates\":["
        "{\"token\":\"\xc3\xa4\",\"logProbability\":-0.10},{\"token\":\"b\"}"
        "]}]}}]}" N,
      "start    0\nopen 0/0 text\ntext \xc3\xa4\n"
      "logprobs [{\"token\":\"\xc3\xa4\",\"logprob\":-0.10,"
      "\"bytes\":[195,164],\"top_logprobs\":[{\"token\":\"\xc3\xa4\","
      "\"logprob\":-0.10,\"bytes\":[195,164]},{\"token\":\"b\",\"logprob\":0,"
      "\"bytes\":[98]}]}]\nclose 0\nfinish 0 stop STOP\nend\n", 0 },
    { "an error in the stream",
      D C("{\"text\":\"a\"}") "}]}" N
      D "{\"error\":{\"code\":503,\"message\":\"Busy.\","
        "\"status\":\"UNAVAILABLE\",\"details\":[{\"@type\":"
        "\"type.googleapis.com/google.rpc.RetryInfo\","
        "\"retryDelay\":\"1.5s\"}]}}" N
      D C("{\"text\":\"b\"}") "}]}" N,
      "start    0\nopen 0/0 text\ntext a\nerror 503 1500000 Busy.\n", 0 },
    { "the end without a reason",
      D C("{\"text\":\"a\"}") "}]}" N,
      "start    0\nopen 0/0 text\ntext a\n"
      "error 502 -1 The provider's answer was truncated.\n", 0 },
    { "nothing at all", "\n",
      "error 502 -1 The provider's answer was truncated.\n", 0 },
    { "a whole answer",
      C("{\"text\":\"Hm\",\"thought\":true},{\"text\":\"Hi\"},"
        "{\"functionCall\":{\"name\":\"f\",\"args\": {\n  \"q\\\"\": "
        "\" a\\\\ b \"\n}}}") ",\"finishReason\":1,\"groundingMetadata\":{"
        "\"groundingChunks\":[{\"web\":{\"uri\":\"u\"}}],"
        "\"groundingSupports\":[{\"segment\":{\"partIndex\":1,"
        "\"endIndex\":2},\"groundingChunkIndices\":[0]}]}}],"
        "\"usageMetadata\":{\"promptTokenCount\":1,"
        "\"serviceTier\":\"priority\"}}",
      "start   priority 0\nopen 0/0 think\nthink Hm\nclose 0\n"
      "open 0/1 text\ntext Hi\nclose 1\n"
      "open 0/2 call minted f\nargs {\"q\\\"\":\" a\\\\ b \"}\nclose 2\n"
      "cite 1 0-2 u \nusage 1+-1+-1 -1+-1 a-1,-1\n"
      "finish 0 calls 1\nend\n", 1 },
    { "a stream that is an array",
      "[" C("{\"text\":\"a\"}") "}]}\n,\r\n" C("{\"text\":\"b\"}")
      ",\"finishReason\":\"STOP\"}]}\n]\n",
      "start    0\nopen 0/0 text\ntext a\ntext b\nclose 0\n"
      "finish 0 stop STOP\nend\n", 1 },
    { "an error in an array",
      "[{\"error\":{\"code\":400,\"message\":\"No.\","
      "\"status\":\"INVALID_ARGUMENT\"}}]",
      "error 400 -1 No.\n", 1 }
};

static void cut_everywhere(apr_pool_t *p, const char *bytes, int streamed,
                           const char *want, const char *name)
{
    apr_size_t i, bad = 0;
    apr_pool_t *one;

    for (i = 1; i < strlen(bytes) && !bad; i++) {
        apr_pool_create(&one, p);
        if (strcmp(events(one, bytes, streamed, i), want)) {
            bad = i;
        }
        apr_pool_destroy(one);
    }
    is_int((long long)bad, 0, name);
}

static const struct {
    const char *name, *body;
    int status;
    llmux_error_e kind;
    long retry;
} errors[] = {
    { "a wrong key",
      "{\"error\":{\"code\":400,\"message\":\"m\",\"status\":"
      "\"INVALID_ARGUMENT\",\"details\":[{\"@type\":\"type.googleapis.com/"
      "google.rpc.ErrorInfo\",\"reason\":\"API_KEY_INVALID\"}]}}",
      400, LLMUX_ERR_AUTH, -1 },
    { "a limit of this minute",
      "{\"error\":{\"code\":429,\"message\":\"m\",\"status\":"
      "\"RESOURCE_EXHAUSTED\",\"details\":[{\"@type\":\"type.googleapis.com/"
      "google.rpc.RetryInfo\",\"retryDelay\":\"34.4s\"}]}}",
      429, LLMUX_ERR_RATE_LIMIT, 34400000 },
    { "a quota of the day",
      "[{\"error\":{\"code\":429,\"message\":\"m\",\"status\":"
      "\"RESOURCE_EXHAUSTED\",\"details\":[{\"@type\":\"type.googleapis.com/"
      "google.rpc.QuotaFailure\",\"violations\":[{\"quotaId\":"
      "\"RequestsPerDay\"}]}]}}]",
      429, LLMUX_ERR_QUOTA, -1 },
    { "a prompt too long",
      "{\"error\":{\"message\":\"The input token count (9) exceeds\","
      "\"status\":\"INVALID_ARGUMENT\"}}", 400, LLMUX_ERR_CONTEXT, -1 },
    { "a model that is not there",
      "{\"error\":{\"message\":\"models/x is not found\",\"status\":"
      "\"NOT_FOUND\"}}", 404, LLMUX_ERR_MODEL, -1 },
    { "a status without a word",
      "{\"error\":{\"message\":\"m\"}}", 503, LLMUX_ERR_OVERLOADED, -1 },
    { "no JSON", "<html>", 504, LLMUX_ERR_TIMEOUT, -1 },
    { "a delay that is none",
      "{\"error\":{\"status\":\"UNAVAILABLE\",\"details\":[{\"@type\":"
      "\"google.rpc.RetryInfo\",\"retryDelay\":\"99999999999999999999s\"}]}}",
      503, LLMUX_ERR_OVERLOADED, -1 }
};

static void error_bodies(apr_pool_t *p)
{
    apr_size_t i;

    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        const llmux_json_t *body = llmux_json_parse(
            p, llmux_slice(errors[i].body), 0, NULL);
        const llmux_error_t *err = llmux_dialect_gemini.error_read(
            p, errors[i].status, body);

        is_int(err->kind, errors[i].kind, errors[i].name);
        is_int((long long)err->retry_after, errors[i].retry, "and its delay");
    }
}

static void error_written(apr_pool_t *p)
{
    llmux_error_t *err = llmux_error(p, LLMUX_ERR_RATE_LIMIT, NULL, "Wait.");
    llmux_buf_t *out = llmux_buf_create(p, 4096);

    err->retry_after = 1200000;
    llmux_dialect_gemini.error_write(out, err, "req_1");
    is_str(out->data,
           "{\"error\":{\"code\":429,\"message\":\"Wait.\",\"status\":"
           "\"RESOURCE_EXHAUSTED\",\"details\":[{\"@type\":"
           "\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":"
           "\"2s\"},{\"@type\":\"type.googleapis.com/google.rpc.RequestInfo\","
           "\"requestId\":\"req_1\"}]}}", "an error for a client");
}

int main(void)
{
    apr_pool_t *p;
    apr_size_t i;

    apr_initialize();
    apr_pool_create(&p, NULL);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int streamed = !cases[i].whole;

        is_str(events(p, cases[i].bytes, streamed, 0), cases[i].want,
               cases[i].name);
        cut_everywhere(p, cases[i].bytes, streamed, cases[i].want,
                       "and the same cut anywhere");
    }
    error_bodies(p);
    error_written(p);
    apr_pool_destroy(p);
    return tap_done();
}
