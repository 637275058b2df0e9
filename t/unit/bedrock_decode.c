/* bedrock_decode.c - Converse's answers come out as events, wherever the
 * bytes are cut, and a damaged one never as a good one. */

#include "tap.h"
#include "transcript.h"

#include "aws_message.h"

/* Events, a line each: name and payload; ' stands for ". */
#define BEGIN "messageStart {'role':'assistant','p':'abc'}\n"
#define SAY(n, text) "contentBlockDelta {'contentBlockIndex':" n ",'delta':{" \
    "'text':'" text "'},'p':'ab'}\n"
#define THINK(n, what) "contentBlockDelta {'contentBlockIndex':" n \
    ",'delta':{'reasoningContent':{" what "}}}\n"
#define CALL(n, more) "contentBlockStart {'contentBlockIndex':" n \
    ",'start':{'toolUse':{" more "}}}\n"
#define ARGS(n, text) "contentBlockDelta {'contentBlockIndex':" n \
    ",'delta':{'toolUse':{'input':'" text "'}}}\n"
#define CITE(n, more) "contentBlockDelta {'contentBlockIndex':" n \
    ",'delta':{'citation':{" more "}}}\n"
#define SHUT(n) "contentBlockStop {'contentBlockIndex':" n ",'p':'abc'}\n"
#define STOP(word) "messageStop {'stopReason':'" word "'}\n"
#define COUNTS "'usage':{'inputTokens':5,'outputTokens':2,'totalTokens':7}"
#define META "metadata {" COUNTS ",'metrics':{'latencyMs':9},'p':'x'}\n"

#define START "start 0\n"
#define USED "usage in=5 out=2\n"
#define CUT "error BAD_UPSTREAM: The provider's answer was truncated.\n"

static const struct {
    const char *name, *lines, *want;
} cases[] = {
    { "text, which begins without a word",
      BEGIN SAY("0", "O") SAY("0", "K") SHUT("0") STOP("end_turn") META,
      START "open 0 text\ntext 0 O\ntext 0 K\nclose 0\n" USED
      "finish 0 stop as end_turn\nend\n" },
    { "the numbers before the end of the message",
      BEGIN SAY("0", "a") SHUT("0") META STOP("max_tokens"),
      START "open 0 text\ntext 0 a\nclose 0\n" USED
      "finish 0 length as max_tokens\nend\n" },
    { "no numbers, empty pieces, a block that nobody ends",
      BEGIN SAY("0", "") SAY("0", "a") SAY("0", "") STOP("stop_sequence"),
      START "open 0 text\ntext 0 a\nclose 0\n"
      "finish 0 sequence as stop_sequence\nend\n" },
    { "the sequence, where it is said",
      BEGIN SAY("0", "a") SHUT("0") "messageStop {'stopReason':"
      "'stop_sequence','additionalModelResponseFields':{'delta':{"
      "'stop_sequence':'X'}}}\n",
      START "open 0 text\ntext 0 a\nclose 0\n"
      "finish 0 sequence as stop_sequence at X\nend\n" },
    { "thoughts, and their signature in two pieces",
      BEGIN THINK("0", "'text':'Hm'") THINK("0", "'signature':'Eq'")
      THINK("0", "'signature':'QB'") SHUT("0") SAY("1", "a") SHUT("1")
      STOP("end_turn") META,
      START "open 0 think\nthink 0 Hm\ntoken 0 anthropic EqQB\nclose 0\n"
      "open 1 text\ntext 1 a\nclose 1\n" USED
      "finish 0 stop as end_turn\nend\n" },
    { "redacted thoughts: of Anthropic's, and of somebody else's bytes",
      BEGIN THINK("0", "'redactedContent':'RXE4PQ=='") SHUT("0")
      THINK("1", "'redactedContent':'/wA='") SHUT("1") STOP("end_turn"),
      START "open 0 think\ntoken 0 redacted Eq8=\nclose 0\nopen 1 think\n"
      "close 1\nfinish 0 stop as end_turn\nend\n" },
    { "calls; one without arguments, one without an id",
      BEGIN SAY("0", "I look.") SHUT("0")
      CALL("1", "'toolUseId':'t1','name':'f'") ARGS("1", "")
      ARGS("1", "{\\'x\\':") ARGS("1", "1}") SHUT("1")
      CALL("2", "'toolUseId':'t2','name':'g'") SHUT("2")
      CALL("3", "'name':'h'") SHUT("3") STOP("tool_use") META,
      START "open 0 text\ntext 0 I look.\nclose 0\n"
      "open 1 call id=t1 name=f\nargs 1 {\"x\":\nargs 1 1}\nclose 1\n"
      "open 2 call id=t2 name=g\nclose 2\n"
      "open 3 call id=call_AAAAAAAAAAAAAAAAAAAAAAAA name=h\nclose 3\n" USED
      "finish 0 calls as tool_use\nend\n" },
    { "calls side by side",
      BEGIN CALL("0", "'toolUseId':'t1','name':'f'")
      CALL("1", "'toolUseId':'t2','name':'g'") ARGS("0", "{") ARGS("1", "[")
      ARGS("0", "}") SHUT("0") SHUT("1") STOP("end_turn"),
      START "open 0 call id=t1 name=f\nopen 1 call id=t2 name=g\nargs 0 {\n"
      "args 1 [\nargs 0 }\nclose 0\nclose 1\n"
      "finish 0 calls as end_turn\nend\n" },
    { "the service's own tools are its own business",
      BEGIN CALL("0", "'toolUseId':'t1','name':'nova_grounding','type':"
                 "'server_tool_use'") ARGS("0", "{}") SHUT("0")
      "contentBlockStart {'contentBlockIndex':1,'start':{'toolResult':{"
      "'toolUseId':'t1'}}}\ncontentBlockDelta {'contentBlockIndex':1,"
      "'delta':{'toolResult':[{'text':'x'}]}}\n" SHUT("1") SAY("2", "a")
      CITE("2", "'title':'T','location':{'web':{'url':'https://u','domain':"
           "'u'}}") SHUT("2") STOP("end_turn"),
      START "open 0 text\ntext 0 a\ncite 0 https://u title=T 0..1\nclose 0\n"
      "finish 0 stop as end_turn\nend\n" },
    { "citations: the block is what they support",
      BEGIN SAY("0", "\xc3\xa9t\xc3\xa9") SHUT("0")
      CITE("1", "'title':'T','source':'https://s','sourceContent':[{'text':"
           "'q'}]") SAY("1", "bc")
      CITE("1", "'source':'file 1','sourceContent':[]") SHUT("1")
      STOP("end_turn"),
      START "open 0 text\ntext 0 \xc3\xa9t\xc3\xa9\nclose 0\nopen 1 text\n"
      "text 1 bc\ncite 1 https://s title=T quote=q 3..5\ncite 1 3..5\n"
      "close 1\nfinish 0 stop as end_turn\nend\n" },
    { "an image",
      BEGIN "contentBlockStart {'contentBlockIndex':0,'start':{'image':{"
      "'format':'png'}}}\ncontentBlockDelta {'contentBlockIndex':0,'delta':{"
      "'image':{'source':{'bytes':'AAAA'}}}}\n" SHUT("0") STOP("end_turn"),
      START "open 0 media\nmedia 0 image/png AAAA\nclose 0\n"
      "finish 0 stop as end_turn\nend\n" },
    { "an answer asked for by a tool is a text",
      BEGIN CALL("0", "'toolUseId':'t1','name':'llmux_final_answer'")
      ARGS("0", "{\\'a\\':") ARGS("0", "1}") SHUT("0") STOP("tool_use"),
      START "open 0 text\ntext 0 {\"a\":\ntext 0 1}\nclose 0\n"
      "finish 0 stop as tool_use\nend\n" },
    { "an answer without a word",
      BEGIN STOP("content_filtered") META,
      START USED "finish 0 filter as content_filtered\nend\n" },
    { "events that nobody knows, or that say nothing",
      BEGIN "initial-response {}\nnewEvent {'contentBlockIndex':0}\n"
      "contentBlockDelta {}\ncontentBlockDelta {'delta':{'new':1}}\n"
      "contentBlockDelta []\nmetadata {'usage':[]}\nempty\n"
      "contentBlockStop {'contentBlockIndex':9}\n" SAY("0", "a")
      STOP("new_reason"),
      START "ping\nopen 0 text\ntext 0 a\nclose 0\n"
      "finish 0 other as new_reason\nend\n" },
    { "it stops being itself: another kind of block by the same number",
      BEGIN SAY("0", "a") THINK("0", "'text':'b'") SAY("0", "c")
      STOP("end_turn"),
      START "open 0 text\ntext 0 a\nclose 0\nopen 1 think\nthink 1 b\n"
      "close 1\nopen 2 text\ntext 2 c\nclose 2\n"
      "finish 0 stop as end_turn\nend\n" },
    { "no end of the message", BEGIN SAY("0", "a") SHUT("0") META,
      START "open 0 text\ntext 0 a\nclose 0\n" USED CUT },
    { "nothing but a beginning", BEGIN, START CUT },
    { "nothing", "", CUT },
    { "another answer inside", BEGIN SAY("0", "a") BEGIN,
      START "open 0 text\ntext 0 a\nerror BAD_UPSTREAM: The provider began "
      "another answer inside this one.\n" },
    { "arguments of no call", BEGIN ARGS("0", "{}"),
      START "error BAD_UPSTREAM: The provider's answer has arguments of no "
      "call.\n" },
    { "no JSON", BEGIN "contentBlockDelta {'a\n" SAY("0", "a"),
      START "error BAD_UPSTREAM: The provider's answer is not valid JSON.\n" },
    { "too busy, at once", "!throttlingException {'message':'Slow down.'}\n",
      "error RATE_LIMIT: Slow down.\n" },
    { "too busy, midway",
      BEGIN SAY("0", "a") "!serviceUnavailableException {'message':'Gone.'}\n"
      SAY("0", "b"),
      START "open 0 text\ntext 0 a\nerror OVERLOADED: Gone.\n" },
    { "after the end of the message",
      BEGIN SAY("0", "a") SHUT("0") STOP("end_turn")
      "!internalServerException {'message':'Oh.'}\n",
      START "open 0 text\ntext 0 a\nclose 0\nerror INTERNAL: Oh.\n" },
    { "the model failed, for a reason that may pass",
      "!modelStreamErrorException {'message':'m','originalStatusCode':429}\n",
      "error RATE_LIMIT: m\n" },
    { "the model failed, for a reason that may not",
      "!modelStreamErrorException {'message':'m','originalStatusCode':400}\n",
      "error BAD_UPSTREAM: m\n" },
    { "the model took too long",
      "!modelTimeoutException {'message':'m'}\n", "error TIMEOUT: m\n" },
    { "what it disliked", "!validationException {'Message':'M'}\n",
      "error INVALID: M\n" },
    { "a word that nobody knows, and no words",
      "!newException\n", "error BAD_UPSTREAM: The provider broke off its "
      "answer and did not say why.\n" },
    { "no JSON in an exception", "!throttlingException <html>\n",
      "error RATE_LIMIT: The provider broke off its answer and did not say "
      "why.\n" }
};

/* Whole answers. */
#define WHOLE(content, more) "{'output':{'message':{'role':'assistant'," \
    "'content':[" content "]}}," more "}"
#define ENDED "'stopReason':'end_turn'," COUNTS

static const struct {
    const char *name, *body, *want;
} wholes[] = {
    { "text", WHOLE("{'text':'a'},{'text':'b'}", ENDED),
      START "open 0 text\ntext 0 a\nclose 0\nopen 1 text\ntext 1 b\nclose 1\n"
      USED "finish 0 stop as end_turn\nend\n" },
    { "nothing, and no numbers",
      WHOLE("{'text':''}", "'stopReason':'end_turn'"),
      START "open 0 text\nclose 0\nfinish 0 stop as end_turn\nend\n" },
    { "thoughts, calls, the tier, all numbers",
      WHOLE("{'reasoningContent':{'reasoningText':{'text':'Hm','signature':"
            "'EqQB'}}},{'reasoningContent':{'redactedContent':'RXE4PQ=='}},"
            "{'toolUse':{'toolUseId':'t','name':'f','input':{'x':1}}},"
            "{'toolUse':{'toolUseId':'u','name':'g','input':{}}}",
            "'stopReason':'tool_use','serviceTier':{'type':'reserved'},"
            "'usage':{'inputTokens':3,'outputTokens':4,"
            "'cacheReadInputTokens':10,'cacheReadInputTokenCount':9,"
            "'cacheWriteInputTokens':20,'cacheDetails':[{'ttl':'5m',"
            "'inputTokens':12},{'ttl':'1h','inputTokens':8}]}"),
      "start 0 tier=scale\nopen 0 think\nthink 0 Hm\ntoken 0 anthropic EqQB\n"
      "close 0\nopen 1 think\ntoken 1 redacted Eq8=\nclose 1\n"
      "open 2 call id=t name=f\nargs 2 {\"x\":1}\nclose 2\n"
      "open 3 call id=u name=g\nclose 3\n"
      "usage in=3 read=10 write=20 write1h=8 out=4\n"
      "finish 0 calls as tool_use\nend\n" },
    { "citations",
      WHOLE("{'citationsContent':{'content':[{'text':'ab'},{'text':'c'}],"
            "'citations':[{'title':'T','source':'http://s','sourceContent':["
            "{'text':'q'}]}]}}", ENDED),
      START "open 0 text\ntext 0 abc\ncite 0 http://s title=T quote=q 0..3\n"
      "close 0\n" USED "finish 0 stop as end_turn\nend\n" },
    { "the answer by way of a tool",
      WHOLE("{'toolUse':{'toolUseId':'t','name':'llmux_final_answer','input':"
            "{'a':1}}}", "'stopReason':'tool_use'"),
      START "open 0 text\ntext 0 {\"a\":1}\nclose 0\n"
      "finish 0 stop as tool_use\nend\n" },
    { "an image; blocks that nobody knows; the service's own tools",
      WHOLE("{'image':{'format':'jpeg','source':{'bytes':'AAAA'}}},{'new':1},"
            "7,{'toolUse':{'toolUseId':'t','name':'x','input':{},'type':"
            "'server_tool_use'}}", ENDED),
      START "open 0 media\nmedia 0 image/jpeg AAAA\nclose 0\n" USED
      "finish 0 stop as end_turn\nend\n" },
    { "which sequence",
      WHOLE("{'text':'a'}", "'stopReason':'stop_sequence',"
            "'additionalModelResponseFields':{'stop_sequence':'X'}"),
      START "open 0 text\ntext 0 a\nclose 0\n"
      "finish 0 sequence as stop_sequence at X\nend\n" },
    { "no reason", WHOLE("{'text':'a'}", COUNTS),
      START "open 0 text\ntext 0 a\nclose 0\n" USED CUT },
    { "an error", "{'message':'No.'}", "error BAD_UPSTREAM: No.\n" },
    { "an error with its name",
      "{'__type':'ThrottlingException','message':'No.'}",
      "error RATE_LIMIT: No.\n" },
    { "nothing that makes sense", "{'new':1}",
      "error BAD_UPSTREAM: {\"new\":1}\n" },
    { "no JSON", "<html>",
      "error BAD_UPSTREAM: The provider's answer is not valid JSON.\n" }
};

/* Reasons, and what they are to us. */
static const struct { const char *word, *finish; } reasons[] = {
    { "end_turn", "stop" }, { "tool_use", "stop" },
    { "max_tokens", "length" }, { "stop_sequence", "sequence" },
    { "guardrail_intervened", "filter" }, { "content_filtered", "filter" },
    { "malformed_model_output", "malformed" },
    { "malformed_tool_use", "malformed" },
    { "model_context_window_exceeded", "context" }
};

static void finishes(apr_pool_t *p)
{
    apr_size_t i;

    for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        const char *body = quotes(p, apr_psprintf(p,
            WHOLE("{'text':'a'}", "'stopReason':'%s'"), reasons[i].word));
        const char *got = transcribe(p, &llmux_dialect_bedrock, 0, body,
                                     strlen(body), -1);

        ok(strstr(got, apr_psprintf(p, "finish 0 %s as %s\n",
                                    reasons[i].finish, reasons[i].word))
           != NULL, "%s", reasons[i].word);
    }
}

/* ---- streams --------------------------------------------------------- */

static const char *read_stream(apr_pool_t *p, llmux_slice_t bytes, long cut)
{
    return transcribe(p, &llmux_dialect_bedrock, 1, bytes.data, bytes.len,
                      cut);
}

static int same_everywhere(apr_pool_t *p, llmux_slice_t bytes)
{
    const char *want = read_stream(p, bytes, -1);
    long cut;
    int same = 1;

    for (cut = -2; same && cut <= (long)bytes.len; cut++) {
        apr_pool_t *scratch;

        apr_pool_create(&scratch, p);
        same = !strcmp(want, read_stream(scratch, bytes, cut));
        apr_pool_destroy(scratch);
    }
    return same;
}

static int ends_well(const char *transcript)
{
    apr_size_t n = strlen(transcript);

    return n >= 4 && !strcmp(transcript + n - 4, "end\n");
}

/* A byte that is another one, and a stream that ends before its time, must
 * both come out as errors. */
static void damage(apr_pool_t *p)
{
    llmux_slice_t bytes = aws_events(p, llmux_slice(quotes(p, cases[4].lines)));
    apr_size_t last = bytes.len, i, believed = 0, unfinished = 0;
    char *copy = apr_pstrmemdup(p, bytes.data, bytes.len);
    llmux_slice_t s = { copy, bytes.len };

    for (i = 0; i < bytes.len; i++) {
        apr_pool_t *scratch;
        unsigned int flip;

        for (flip = 1; flip < 256; flip = flip * 2 + 1) {
            apr_pool_create(&scratch, p);
            copy[i] = (char)(bytes.data[i] ^ flip);
            believed += ends_well(read_stream(scratch, s, -1));
            apr_pool_destroy(scratch);
        }
        copy[i] = bytes.data[i];
    }
    is_int((long long)believed, 0, "no damaged stream ends well");
    for (s.len = 0; s.len < last; s.len++) {
        apr_pool_t *scratch;

        apr_pool_create(&scratch, p);
        unfinished += ends_well(read_stream(scratch, s, -1));
        apr_pool_destroy(scratch);
    }
    /* The one border behind the end of the message, before the numbers. */
    is_int((long long)unfinished, 1, "nor does one that was broken off, but "
           "for its last event");
}

/* A proxy may answer a stream with a document, and a service with messages
 * that are no events. */
static void otherwise(apr_pool_t *p)
{
    llmux_buf_t *b = llmux_buf_create(p, 1 << 16), *h;
    const char *body = quotes(p, wholes[0].body);

    is_str(transcribe(p, &llmux_dialect_bedrock, 1, body, strlen(body), -1),
           wholes[0].want, "a document in place of a stream");
    body = " {\"message\":\"No.\"}";
    is_str(transcribe(p, &llmux_dialect_bedrock, 1, body, strlen(body), -2),
           "error BAD_UPSTREAM: No.\n", "an error in place of a stream");
    body = "data: {}\n\n";
    is_str(transcribe(p, &llmux_dialect_bedrock, 1, body, strlen(body), -1),
           CUT, "a few bytes of something else");
    body = "data: {\"text\":\"a\"}\n\n";
    is_str(transcribe(p, &llmux_dialect_bedrock, 1, body, strlen(body), -1),
           "error BAD_UPSTREAM: The provider's answer was damaged on the "
           "way.\n", "another event stream");

    h = llmux_buf_create(p, 1 << 16);
    aws_string(h, ":message-type", "error");
    aws_string(h, ":error-code", "InternalError");
    aws_string(h, ":error-message", "Oh no.");
    aws_message(b, llmux_buf_slice(h), llmux_slice(""));
    is_str(read_stream(p, llmux_buf_slice(b), -1), "error INTERNAL: Oh no.\n",
           "an error of the service's");
    llmux_buf_reset(b);
    aws_event(p, b, "gossip", "x", llmux_slice("{}"));
    is_str(read_stream(p, llmux_buf_slice(b), -1),
           "error BAD_UPSTREAM: The provider's answer has a message of no "
           "known type.\n", "a message that is neither");
}

/* ---- limits ---------------------------------------------------------- */

static int says(const char *transcript, const char *words)
{
    return strstr(transcript, words) != NULL;
}

static void limits(apr_pool_t *p)
{
    llmux_buf_t *lines = llmux_buf_create(p, 1 << 24);
    apr_size_t n;

    llmux_buf_adds(lines, quotes(p, BEGIN));
    for (n = 0; n < 70; n++) {
        llmux_buf_addf(lines, "contentBlockStart {\"contentBlockIndex\":%d,"
                       "\"start\":{\"toolUse\":{\"name\":\"f\"}}}\n", (int)n);
    }
    ok(says(read_stream(p, aws_events(p, llmux_buf_slice(lines)), -1),
            "too many blocks"), "blocks that are open at once have a limit");

    llmux_buf_reset(lines);
    llmux_buf_adds(lines, quotes(p, BEGIN));
    for (n = 0; n <= LLMUX_TOKEN_MAX; n += 1 << 16) {
        llmux_buf_adds(lines, "contentBlockDelta {\"delta\":{"
                       "\"reasoningContent\":{\"signature\":\"");
        llmux_buf_addf(lines, "%0*d", 1 << 16, 7);
        llmux_buf_adds(lines, "\"}}}\n");
    }
    ok(says(read_stream(p, aws_events(p, llmux_buf_slice(lines)), -1),
            "signature in the provider's answer is too long"),
       "a signature has a limit");
}

/* ---- errors ---------------------------------------------------------- */

static const struct {
    int status;
    const char *body;
    llmux_error_e kind;
    const char *message;
} errors[] = {
    { 400, "{'message':'No.'}", LLMUX_ERR_INVALID, "No." },
    { 400, "{'Message':'No.'}", LLMUX_ERR_INVALID, "No." },
    { 400, "{'message':'The provided model identifier is invalid.'}",
      LLMUX_ERR_MODEL, "The provided model identifier is invalid." },
    { 400, "{'message':'Input is too long for requested model.'}",
      LLMUX_ERR_CONTEXT, "Input is too long for requested model." },
    { 400, "{'message':'The model returned the following errors: prompt is "
      "too long: 9 tokens > 8 maximum'}", LLMUX_ERR_CONTEXT, NULL },
    { 400, "{'message':'x','__type':'ServiceQuotaExceededException'}",
      LLMUX_ERR_QUOTA, "x" },
    { 403, "{'message':'The security token included in the request is "
      "invalid.'}", LLMUX_ERR_AUTH, NULL },
    { 403, "{'message':'The request signature we calculated does not match "
      "the signature you provided.'}", LLMUX_ERR_AUTH, NULL },
    { 403, "{'message':'You are not allowed.'}", LLMUX_ERR_PERMISSION, NULL },
    { 404, "{'message':'This model version has reached the end of its "
      "life.'}", LLMUX_ERR_MODEL, NULL },
    { 404, "{'Output':{'__type':'com.amazon.coral.service#"
      "UnknownOperationException'},'Version':'1.0'}", LLMUX_ERR_NOT_FOUND,
      NULL },
    { 408, "{'message':'x'}", LLMUX_ERR_TIMEOUT, "x" },
    { 424, "{'message':'x'}", LLMUX_ERR_BAD_UPSTREAM, "x" },
    { 429, "{'message':'Too many tokens'}", LLMUX_ERR_RATE_LIMIT, NULL },
    { 429, "{'message':'Model is not ready for inference.'}",
      LLMUX_ERR_OVERLOADED, NULL },
    { 500, "{'message':'x'}", LLMUX_ERR_INTERNAL, "x" },
    { 503, "{'message':'x'}", LLMUX_ERR_OVERLOADED, "x" },
    { 400, "{'__type':'com.amazon.x#AccessDeniedException','message':'x'}",
      LLMUX_ERR_PERMISSION, "x" },
    { 502, NULL, LLMUX_ERR_BAD_UPSTREAM, NULL }
};

static void refusals(apr_pool_t *p)
{
    apr_size_t i;

    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        const char *body = errors[i].body ? quotes(p, errors[i].body) : NULL;
        const llmux_json_t *v = body
            ? llmux_json_parse(p, llmux_slice(body), 0, NULL) : NULL;
        llmux_error_t *err = llmux_dialect_bedrock.error_read(
            p, errors[i].status, v);

        is_int(err->kind, errors[i].kind, body ? body : "no body");
        if (errors[i].message) {
            is_str(err->message, errors[i].message, "... its words");
        }
    }
}

int main(void)
{
    const llmux_dialect_t *dialect = &llmux_dialect_bedrock;
    llmux_slice_t bytes;
    const char *body;
    apr_pool_t *p;
    apr_size_t i;

    apr_initialize();
    apr_pool_create(&p, NULL);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes = aws_events(p, llmux_slice(quotes(p, cases[i].lines)));
        is_str(read_stream(p, bytes, -1), cases[i].want, cases[i].name);
        ok(same_everywhere(p, bytes), "... at every cut");
    }
    for (i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++) {
        body = quotes(p, wholes[i].body);
        is_str(transcribe(p, dialect, 0, body, strlen(body), -1),
               wholes[i].want, wholes[i].name);
        ok(same_at_every_cut(p, dialect, 0, body), "... at every cut");
    }
    finishes(p);
    damage(p);
    otherwise(p);
    limits(p);
    refusals(p);
    apr_pool_destroy(p);
    return tap_done();
}
