/* gemini_encode.c - events come out as generateContent's answers: as a stream,
 * as an array, as one document, and all three say the same. */

#include <unistd.h>

#include "dialect/gemini.h"
#include "seals.h"
#include "tap.h"
#include "transcript.h"

#define OUT_MAX (1 << 27)

static apr_pool_t *pool;

/* ---- events from lines ----------------------------------------------- */

/* "open 1 call id=x name=f of 2": what stands behind the word, up to a space;
 * absent if it is not there. */
static llmux_slice_t word_of(const char *line, const char *word)
{
    const char *at = strstr(line, word);
    llmux_slice_t s = { NULL, 0 };

    if (at) {
        s.data = at + strlen(word);
        s.len = strcspn(s.data, " ");
    }
    return s;
}

static int number_of(const char *line, const char *word, int other)
{
    llmux_slice_t s = word_of(line, word);

    return s.data ? (int)apr_atoi64(s.data) : other;
}

static int index_of(const char *const *names, int count, const char *line)
{
    int i;

    for (i = 0; i < count; i++) {
        if (!strncmp(line, names[i], strlen(names[i]))) {
            return i;
        }
    }
    printf("# no such word: %s\n", line);
    return 0;
}

#define INDEX_OF(names, line) \
    index_of(names, (int)(sizeof(names) / sizeof(names[0])), line)

/* The kinds of events that lines may be, as in transcripts. */
static const char *const verbs[] = {
    [LLMUX_EV_START] = "start", [LLMUX_EV_BLOCK_START] = "open",
    [LLMUX_EV_TEXT] = "text", [LLMUX_EV_THINK] = "think",
    [LLMUX_EV_REFUSAL] = "refusal", [LLMUX_EV_ARGS] = "args",
    [LLMUX_EV_CITE] = "cite", [LLMUX_EV_TOKEN] = "token",
    [LLMUX_EV_MEDIA] = "media", [LLMUX_EV_LOGPROBS] = "logprobs",
    [LLMUX_EV_BLOCK_STOP] = "close", [LLMUX_EV_USAGE] = "usage",
    [LLMUX_EV_FINISH] = "finish", [LLMUX_EV_PING] = "ping",
    [LLMUX_EV_ERROR] = "error", [LLMUX_EV_END] = "end"
};

static void fill_usage(llmux_usage_t *u, const char *line)
{
    static const llmux_usage_t none = LLMUX_USAGE_NONE;

    *u = none;
    u->input = number_of(line, "in=", -1);
    u->cache_read = number_of(line, "read=", -1);
    u->cache_write = number_of(line, "write=", -1);
    u->tool_input = number_of(line, "tool=", -1);
    u->output = number_of(line, "out=", -1);
    u->reasoning = number_of(line, "reasoning=", -1);
    u->audio_output = number_of(line, "audio=", -1);
}

static void fill_cite(llmux_cite_t *c, const char *rest)
{
    c->url = word_of(rest, "url=");
    c->title = word_of(rest, "title=");
    c->quote = llmux_slice(NULL);
    c->start = number_of(rest, "from=", -1);
    c->end = number_of(rest, "to=", -1);
}

/* Says one line to the encoder. */
static void say(llmux_encoder_t *e, llmux_buf_t *out, const char *line)
{
    llmux_event_t ev = { .kind = INDEX_OF(verbs, line) };
    const char *rest = line + strlen(verbs[ev.kind]);
    llmux_usage_t usage;
    llmux_cite_t cite;
    int n = 0;

    if (sscanf(rest, " %d%n", &ev.key, &n) == 1) {
        rest += n;
    }
    rest += *rest == ' ';
    ev.text = llmux_slice(rest);
    ev.id = word_of(rest, "id=");
    ev.name = word_of(rest, "name=");
    ev.tier = word_of(rest, "tier=");
    ev.cand = number_of(rest, "of ", 0);
    switch (ev.kind) {
    case LLMUX_EV_BLOCK_START:
        ev.block = INDEX_OF(block_names, rest);
        ev.custom = strstr(rest, " custom") != NULL;
        break;
    case LLMUX_EV_TOKEN:
        ev.token.maker = INDEX_OF(maker_names, rest);
        ev.token.bytes = llmux_slice(strchr(rest, ' ') + 1);
        break;
    case LLMUX_EV_MEDIA:
        ev.name = word_of(line, "type=");
        ev.text = word_of(line, "data=");
        break;
    case LLMUX_EV_USAGE:
        fill_usage(&usage, line);
        ev.usage = &usage;
        break;
    case LLMUX_EV_CITE:
        fill_cite(&cite, rest);
        ev.cite = &cite;
        break;
    case LLMUX_EV_FINISH:
        ev.cand = ev.key;
        ev.finish = INDEX_OF(finish_names, rest);
        ev.text = word_of(rest, "as ");
        ev.blocked = strstr(rest, " blocked") != NULL;
        break;
    case LLMUX_EV_LOGPROBS:
        ev.cand = ev.key;
        break;
    case LLMUX_EV_ERROR:
        ev.error = llmux_error(pool, LLMUX_ERR_OVERLOADED, NULL, "%s", rest);
        break;
    default:
        break;
    }
    e->event(e, &ev, out);
}

/* Lines with ' for ", as what the client gets. */
static const char *encode(const llmux_encode_t *how, const char *lines)
{
    const llmux_encode_t sealing = with_seals(*how);
    llmux_encoder_t *e = llmux_gemini_encoder(pool, &sealing);
    llmux_buf_t *out = llmux_buf_create(pool, OUT_MAX);
    char *line, *last, *all = apr_pstrdup(pool, quotes(pool, lines));

    for (line = apr_strtok(all, "\n", &last); line;
         line = apr_strtok(NULL, "\n", &last)) {
        say(e, out, line);
    }
    return out->len ? unsealed(pool, out->data) : "";
}

static llmux_encode_t how_of(int streamed, int array)
{
    llmux_encode_t how = { .streamed = streamed, .array = array,
                           .show_thinking = 1, .id = "ours" };

    return how;
}

/* ---- streamed -------------------------------------------------------- */

#define START "start id=r name=m tier=default\n"
#define TAIL  ",'modelVersion':'m','responseId':'r'}\n"
#define CHUNK(parts) \
    "{'candidates':[{'content':{'parts':[" parts "],'role':'model'}," \
    "'index':0}]" TAIL
#define LAST(parts, rest) \
    "{'candidates':[{'content':{'parts':[" parts "],'role':'model'}," \
    "'finishReason':" rest "}]" TAIL
#define STOP "'STOP','index':0"

static const struct { const char *name, *lines, *want; } streams[] = {
    { "text but for its last character, which ends the answer",
      START "open 0 text\ntext 0 Hel\ntext 0 l\ntext 0 o\xe2\x82\xac\n"
      "close 0\nfinish 0 stop\nend",
      CHUNK("{'text':'He'}") CHUNK("{'text':'l'}") CHUNK("{'text':'lo'}")
      LAST("{'text':'\xe2\x82\xac'}", STOP) },
    { "usage in every chunk from when it is known",
      START "usage in=5 read=2 write=1\nopen 0 text\ntext 0 ab\nclose 0\n"
      "finish 0 length as length\nusage out=7 reasoning=4 tool=3 audio=2\n"
      "end",
      "{'candidates':[{'content':{'parts':[{'text':'a'}],'role':'model'},"
      "'index':0}],'usageMetadata':{'promptTokenCount':8,'totalTokenCount':8,"
      "'cachedContentTokenCount':2,'serviceTier':'standard'}" TAIL
      "{'candidates':[{'content':{'parts':[{'text':'b'}],'role':'model'},"
      "'finishReason':'MAX_TOKENS','index':0}],'usageMetadata':{"
      "'promptTokenCount':8,'candidatesTokenCount':7,'totalTokenCount':22,"
      "'cachedContentTokenCount':2,'toolUsePromptTokenCount':3,"
      "'thoughtsTokenCount':4,'candidatesTokensDetails':[{'modality':'AUDIO',"
      "'tokenCount':2}],'serviceTier':'standard'}" TAIL },
    { "calls are whole, however they came",
      START "open 0 text\ntext 0 ab\nopen 1 call id=x name=f\n"
      "open 2 call id=y name=g\nargs 1 {'a':\nargs 2  \nargs 1 1}\n"
      "close 1\nclose 2\nclose 0\nfinish 0 calls as tool_calls\nend",
      CHUNK("{'text':'a'}") CHUNK("{'text':'b'}")
      CHUNK("{'functionCall':{'name':'f','args':{'a':1},'id':'x'}}")
      LAST("{'functionCall':{'name':'g','args':{},'id':'y'}}", STOP) },
    { "calls in the order in which they began",
      START "open 0 call id=x name=f\nopen 1 call id=y name=g\nargs 0 {'a':\n"
      "close 1\nargs 0 1}\nclose 0\nfinish 0 calls\nend",
      CHUNK("{'functionCall':{'name':'f','args':{'a':1},'id':'x'}}")
      LAST("{'functionCall':{'name':'g','args':{},'id':'y'}}", STOP) },
    { "a call without an end holds no other one back",
      START "open 0 call id=x name=f\nopen 1 call id=y name=g\nclose 1\n"
      "finish 0 calls\nend",
      LAST("{'functionCall':{'name':'g','args':{},'id':'y'}}", STOP) },
    { "a custom tool's input is its one argument",
      START "open 0 call id=x name=f custom\nargs 0 free 'text'\nclose 0\n"
      "finish 0 calls\nend",
      LAST("{'functionCall':{'name':'f','args':{'input':'free \\'text\\''},"
           "'id':'x'}}", STOP) },
    { "arguments that are none",
      START "open 0 call id=x name=f\nargs 0 {'a':\nclose 0\n"
      "finish 0 calls\nend",
      "{'candidates':[{'content':{'role':'model'},'finishReason':"
      "'MALFORMED_FUNCTION_CALL','finishMessage':'The arguments of a function "
      "call are not a JSON object.','index':0}]" TAIL },
    { "arguments cut off by the limit",
      START "open 0 text\ntext 0 a\nclose 0\nopen 1 call id=x name=f\n"
      "args 1 {'a':\nclose 1\nfinish 0 length\nend",
      LAST("{'text':'a'}", "'MAX_TOKENS','index':0") },
    { "thoughts, Gemini's signature on what follows",
      START "open 0 think\nthink 0 Hm\ntoken 0 gemini SIG\nclose 0\n"
      "open 1 text\ntext 1 Hi\nclose 1\nopen 2 think\ntoken 2 gemini S2\n"
      "close 2\nfinish 0 stop as STOP\nend",
      CHUNK("{'text':'H','thought':true}")
      CHUNK("{'text':'m','thought':true},"
            "{'text':'H','thoughtSignature':'SIG'}")
      LAST("{'text':'i','thoughtSignature':'S2'}", STOP) },
    { "a call with a signature, and one that waited for it",
      START "open 0 call id=x name=f\ntoken 0 gemini S0\nclose 0\n"
      "open 1 think\ntoken 1 gemini S1\nclose 1\nopen 2 call id=y name=g\n"
      "close 2\nopen 3 think\ntoken 3 gemini S3\nclose 3\nopen 4 call id=z "
      "name=h\ntoken 4 gemini S4\nclose 4\nfinish 0 calls\nend",
      CHUNK("{'functionCall':{'name':'f','args':{},'id':'x'},"
            "'thoughtSignature':'S0'}")
      CHUNK("{'functionCall':{'name':'g','args':{},'id':'y'},"
            "'thoughtSignature':'S1'},{'text':'','thoughtSignature':'S3'}")
      LAST("{'functionCall':{'name':'h','args':{},'id':'z'},"
           "'thoughtSignature':'S4'}", STOP) },
    { "another maker's signature on the thought, under a seal",
      START "open 0 think\nthink 0 Hm\ntoken 0 anthropic SIG\nclose 0\n"
      "open 1 think\ntoken 1 redacted RED\nclose 1\nopen 2 think\n"
      "token 2 openai ENC\nclose 2\nopen 3 text\ntext 3 ok\nclose 3\n"
      "finish 0 stop\nend",
      CHUNK("{'text':'H','thought':true}")
      CHUNK("{'text':'m','thought':true,'thoughtSignature':"
            "'<<64 anthropic:SIG>>'}")
      CHUNK("{'text':'','thoughtSignature':'<<64 redacted:RED>>'}")
      CHUNK("{'text':'o','thoughtSignature':'<<64 openai:ENC>>'}")
      LAST("{'text':'k'}", STOP) },
    { "a signature and nothing else",
      START "open 0 think\ntoken 0 gemini SIG\nclose 0\nfinish 0 stop\nend",
      LAST("{'text':'','thoughtSignature':'SIG'}", STOP) },
    { "a picture, and an end without anything to hold",
      START "open 0 text\ntext 0 a\nopen 1 media\n"
      "media 1 type=image/png data=AAAA\nclose 1\nclose 0\nfinish 0 stop\n"
      "end",
      CHUNK("{'text':'a'},{'inlineData':{'mimeType':'image/png',"
            "'data':'AAAA'}}")
      LAST("{'text':''}", STOP) },
    { "a refusal in words",
      START "open 0 refusal\nrefusal 0 No\nclose 0\nfinish 0 refusal\nend",
      CHUNK("{'text':'N'}") LAST("{'text':'o'}", "'SAFETY','index':0") },
    { "sources at the end, in bytes, one of them without a place",
      START "open 0 text\ntext 0 \xc3\xa4\xe2\x82\xac" "b\n"
      "cite 0 url=u title=T from=1 to=2\ncite 0 url=u title=T from=0 to=3\n"
      "cite 0 url=v\nclose 0\nfinish 0 stop\nend",
      CHUNK("{'text':'\xc3\xa4\xe2\x82\xac'}")
      LAST("{'text':'b'}", STOP ",'groundingMetadata':{'groundingChunks':[{"
           "'web':{'uri':'u','title':'T'}},{'web':{'uri':'v'}}],"
           "'groundingSupports':[{'segment':{'startIndex':2,'endIndex':5},"
           "'groundingChunkIndices':[0]},{'segment':{'startIndex':0,"
           "'endIndex':6},'groundingChunkIndices':[0]}]}") },
    { "log probabilities go with the next chunk",
      START "open 0 text\ntext 0 ab\nlogprobs 0 [{'token':'ab','logprob':-0.5,"
      "'bytes':[97],'top_logprobs':[{'token':'x','logprob':-1}]}]\nclose 0\n"
      "finish 0 stop\nend",
      CHUNK("{'text':'a'}")
      LAST("{'text':'b'}", STOP ",'logprobsResult':{'topCandidates':[{"
           "'candidates':[{'token':'x','logProbability':-1}]}],"
           "'chosenCandidates':[{'token':'ab','logProbability':-0.5}]}") },
    { "several candidates",
      START "open 0 text of 0\nopen 1 text of 1\ntext 0 ab\ntext 1 cd\n"
      "close 0\nclose 1\nfinish 0 stop\nfinish 1 filter as RECITATION\nend",
      CHUNK("{'text':'a'}")
      "{'candidates':[{'content':{'parts':[{'text':'c'}],'role':'model'},"
      "'index':1}]" TAIL
      "{'candidates':[{'content':{'parts':[{'text':'b'}],'role':'model'},"
      "'finishReason':'STOP','index':0},{'content':{'parts':[{'text':'d'}],"
      "'role':'model'},'finishReason':'RECITATION','index':1}]" TAIL },
    { "a prompt that was filtered",
      START "usage in=3\nfinish 0 filter as PROHIBITED_CONTENT blocked\nend",
      "{'promptFeedback':{'blockReason':'PROHIBITED_CONTENT'},"
      "'usageMetadata':{'promptTokenCount':3,'totalTokenCount':3,"
      "'serviceTier':'standard'}" TAIL },
    { "an answer that was, and no provider's id",
      "start\nfinish 0 filter as content_filter\nend",
      "{'candidates':[{'content':{'role':'model'},'finishReason':'SAFETY',"
      "'index':0}],'responseId':'ours'}\n" },
    { "what nobody began says nothing",
      "text 9 a\nargs 9 b\nclose 9\nfinish 0 stop\nend\ntext 9 more",
      "{'candidates':[{'content':{'role':'model'},'finishReason':'STOP',"
      "'index':0}],'responseId':'ours'}\n" }
};

/* Lines of JSON as events. */
static const char *as_events(const char *lines)
{
    char *last, *line, *all = apr_pstrdup(pool, quotes(pool, lines));
    const char *out = "";

    for (line = apr_strtok(all, "\n", &last); line;
         line = apr_strtok(NULL, "\n", &last)) {
        out = apr_pstrcat(pool, out, "data: ", line, "\r\n\r\n", NULL);
    }
    return out;
}

static const char *as_array(const char *lines)
{
    char *last, *line, *all = apr_pstrdup(pool, quotes(pool, lines));
    const char *out = "";

    for (line = apr_strtok(all, "\n", &last); line;
         line = apr_strtok(NULL, "\n", &last)) {
        out = apr_pstrcat(pool, out, *out ? "," : "[", line, "\r\n", NULL);
    }
    return apr_pstrcat(pool, out, "]", NULL);
}

static void test_streams(void)
{
    const llmux_encode_t sse = how_of(1, 0), array = how_of(1, 1);
    apr_size_t i;

    for (i = 0; i < sizeof(streams) / sizeof(*streams); i++) {
        is_str(encode(&sse, streams[i].lines), as_events(streams[i].want),
               streams[i].name);
        is_str(encode(&array, streams[i].lines), as_array(streams[i].want),
               "  and as an array");
    }
}

/* ---- whole ----------------------------------------------------------- */

/* Only the last count of tokens counts. */
static int is_superseded(const char *line, const char *rest)
{
    return !strncmp(line, "usage", 5) && rest && strstr(rest, "usage");
}

/* Appends what lines of this sort say, without their keys. */
static void add_lines(llmux_buf_t *b, const char *text, const char *sort)
{
    int words = !strncmp(sort, "text", 4) || !strncmp(sort, "think", 5);
    char *last, *line, *all = apr_pstrdup(pool, text);
    const char *rest;

    for (line = apr_strtok(all, "\n", &last); line;
         line = apr_strtok(NULL, "\n", &last)) {
        rest = strchr(line, ' ');
        rest = rest ? strchr(rest + 1, ' ') : NULL;
        if (strncmp(line, sort, strlen(sort)) || is_superseded(line, last)) {
            continue;
        }
        if (words) {
            llmux_buf_adds(b, rest + 1);
        }
        else if (strcmp(sort, "open ") || strstr(line, "call")) {
            llmux_buf_addf(b, "\n%s%s", sort, rest ? rest : "");
        }
    }
    llmux_buf_adds(b, "\n");
}

/* All that was said, whatever the pieces were. */
static const char *gist(const char *bytes, int streamed)
{
    static const char *const sorts[] = {
        "start ", "args ", "open ", "token ", "media ", "cite ", "logprobs ",
        "usage ", "finish ", "error ", "end"
    };
    llmux_buf_t *b = llmux_buf_create(pool, OUT_MAX);
    const char *text = transcribe(pool, &llmux_dialect_gemini, streamed,
                                  bytes, strlen(bytes), -1);
    apr_size_t i;

    for (i = 0; i < 8; i++) {
        add_lines(b, text, apr_psprintf(pool, "text %d ", (int)i));
        add_lines(b, text, apr_psprintf(pool, "think %d ", (int)i));
    }
    for (i = 0; i < sizeof(sorts) / sizeof(*sorts); i++) {
        add_lines(b, text, sorts[i]);
    }
    return b->data;
}

static void test_alike(void)
{
    const llmux_encode_t whole = how_of(0, 0), sse = how_of(1, 0);
    const llmux_encode_t array = how_of(1, 1);
    apr_size_t i;

    for (i = 0; i < sizeof(streams) / sizeof(*streams); i++) {
        const char *document = encode(&whole, streams[i].lines);

        is_str(gist(encode(&sse, streams[i].lines), 1), gist(document, 0),
               apr_pstrcat(pool, "whole alike: ", streams[i].name, NULL));
        is_str(gist(encode(&array, streams[i].lines), 0), gist(document, 0),
               "  and as an array");
    }
}

static const struct { const char *name, *lines, *want; } documents[] = {
    { "everything in the order in which it began",
      START "open 0 think\nthink 0 Hm\ntoken 0 gemini SIG\nclose 0\n"
      "open 1 text\ntext 1 \xc3\xa4 a\nclose 1\nopen 2 call id=x name=f\n"
      "args 2 {'a':\nopen 3 text\ntext 3 b\nargs 2 1}\nclose 3\nclose 2\n"
      "cite 1 url=u from=3 to=4\nfinish 0 calls\nusage in=1 out=2\nend",
      "{'candidates':[{'content':{'parts':[{'text':'Hm','thought':true},"
      "{'text':'\xc3\xa4 a','thoughtSignature':'SIG'},"
      "{'functionCall':{'name':'f','args':{'a':1},'id':'x'}},{'text':'b'}],"
      "'role':'model'},'finishReason':'STOP','index':0,'groundingMetadata':{"
      "'groundingChunks':[{'web':{'uri':'u'}}],'groundingSupports':[{"
      "'segment':{'partIndex':3,'startIndex':0,'endIndex':1},"
      "'groundingChunkIndices':[0]}]}}],'usageMetadata':{"
      "'promptTokenCount':1,'candidatesTokenCount':2,'totalTokenCount':3,"
      "'serviceTier':'standard'},'modelVersion':'m','responseId':'r'}" },
    { "a call that came to nothing is not there",
      START "open 0 call id=x name=f\nargs 0 [1]\nclose 0\nopen 1 text\n"
      "text 1 a\nclose 1\nfinish 0 stop\nend",
      "{'candidates':[{'content':{'parts':[{'text':'a'}],'role':'model'},"
      "'finishReason':'MALFORMED_FUNCTION_CALL','finishMessage':'The arguments"
      " of a function call are not a JSON object.','index':0}],"
      "'modelVersion':'m','responseId':'r'}" }
};

static void test_documents(void)
{
    const llmux_encode_t whole = how_of(0, 0);
    apr_size_t i;

    for (i = 0; i < sizeof(documents) / sizeof(*documents); i++) {
        is_str(encode(&whole, documents[i].lines),
               quotes(pool, documents[i].want), documents[i].name);
    }
    is_str(encode(&whole, START "open 0 text\ntext 0 a\nping\nerror no"), "",
           "an answer that fails says nothing");
}

/* ---- thoughts that nobody asked for ---------------------------------- */

#define THOUGHTS \
    START "open 0 think\nthink 0 Hm\ntoken 0 anthropic SIG\nclose 0\n" \
    "open 1 think\ntoken 1 anthropic S1\nclose 1\nopen 2 call id=x name=f\n" \
    "token 2 gemini S2\nclose 2\nfinish 0 calls\nend"

static void test_hidden(void)
{
    llmux_encode_t how = how_of(1, 0);
    llmux_chat_t *chat = llmux_chat_create(pool);
    const char *unasked = as_events(
        CHUNK("{'text':'','thoughtSignature':'<<64 anthropic:S1>>'}")
        LAST("{'functionCall':{'name':'f','args':{},'id':'x'},"
             "'thoughtSignature':'S2'}", STOP));

    how.chat = chat;
    chat->show_thinking = LLMUX_NO;
    is_str(encode(&how, THOUGHTS), unasked,
           "who did not ask sees no thoughts, nor what belongs to their "
           "words");
    how.show_thinking = 0;
    is_str(encode(&how, THOUGHTS), as_events(
               LAST("{'functionCall':{'name':'f','args':{},'id':'x'},"
                    "'thoughtSignature':'S2'}", STOP)),
           "where they are hidden nothing is left but what Gemini demands");
}

/* ---- errors and pings ------------------------------------------------ */

#define SAID "{'error':{'code':503,'message':'no','status':'UNAVAILABLE'}}"

static void test_errors(void)
{
    llmux_encode_t sse = how_of(1, 0), array = how_of(1, 1);

    is_str(encode(&sse, START "open 0 text\ntext 0 ab\nerror no\nend"),
           apr_pstrcat(pool, as_events(CHUNK("{'text':'a'}")
                                       CHUNK("{'text':'b'}") SAID "\n"),
                       quotes(pool, SAID "\r\n"), NULL),
           "an error is an event and a bare document, after all that was "
           "said");
    is_str(encode(&array, START "open 0 text\ntext 0 a\nerror no"),
           apr_pstrcat(pool, "[", quotes(pool, "{'candidates':[{'content':{"
                       "'parts':[{'text':'a'}],'role':'model'},'index':0}],"
                       "'modelVersion':'m','responseId':'r'}\r\n," SAID
                       "\r\n]"), NULL),
           "in an array it is the last element");
    is_str(encode(&array, "error no"), quotes(pool, "[" SAID "\r\n]"),
           "or the only one");
    array.begun = 1;
    is_str(encode(&array, "error no"), quotes(pool, "," SAID "\r\n]"),
           "or goes on with what another encoder began");
    is_str(encode(&sse, "ping"), "\r\n\r\n", "a ping is a blank line");
    is_str(transcribe(pool, &llmux_dialect_gemini, 1,
                      encode(&sse, "ping\n" START "ping\nopen 0 text\n"
                             "text 0 a\nping\nclose 0\nfinish 0 stop\nend"),
                      strlen(encode(&sse, "ping\n" START "ping\nopen 0 text\n"
                                    "text 0 a\nping\nclose 0\nfinish 0 stop\n"
                                    "end")), -1),
           "start r m 0\nopen 0 text\ntext 0 a\nclose 0\n"
           "finish 0 stop as STOP\nend\n", "which nobody sees");
    array.begun = 0;
    is_str(encode(&array, "ping\nstart\nping\nfinish 0 stop\nend"),
           quotes(pool, "\r\n\r\n[{'candidates':[{'content':{'role':'model'},"
                  "'finishReason':'STOP','index':0}],'responseId':'ours'}"
                  "\r\n]"), "nor in an array");
}

static const struct {
    llmux_error_e kind;
    const char *param;
    apr_interval_time_t retry;
    const char *id, *want;
} refusals[] = {
    { LLMUX_ERR_INVALID, "contents[0]", -1, NULL,
      "{'error':{'code':400,'message':'m','status':'INVALID_ARGUMENT',"
      "'details':[{'@type':'type.googleapis.com/google.rpc.BadRequest',"
      "'fieldViolations':[{'field':'contents[0]','description':'m'}]}]}}" },
    { LLMUX_ERR_RATE_LIMIT, NULL, 1500000, "i",
      "{'error':{'code':429,'message':'m','status':'RESOURCE_EXHAUSTED',"
      "'details':[{'@type':'type.googleapis.com/google.rpc.RetryInfo',"
      "'retryDelay':'2s'},{'@type':'type.googleapis.com/google.rpc."
      "RequestInfo','requestId':'i'}]}}" },
    { LLMUX_ERR_BILLING, NULL, -1, NULL,
      "{'error':{'code':429,'message':'m','status':'RESOURCE_EXHAUSTED'}}" },
    { LLMUX_ERR_TOO_LARGE, NULL, -1, NULL,
      "{'error':{'code':400,'message':'m','status':'INVALID_ARGUMENT'}}" },
    { LLMUX_ERR_MODEL, NULL, -1, NULL,
      "{'error':{'code':404,'message':'m','status':'NOT_FOUND'}}" },
    { LLMUX_ERR_TIMEOUT, NULL, -1, NULL,
      "{'error':{'code':504,'message':'m','status':'DEADLINE_EXCEEDED'}}" }
};

static void test_refusals(void)
{
    llmux_buf_t *out;
    llmux_error_t *err;
    apr_size_t i;

    for (i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        out = llmux_buf_create(pool, OUT_MAX);
        err = llmux_error(pool, refusals[i].kind, refusals[i].param, "m");
        err->retry_after = refusals[i].retry;
        llmux_gemini_error_write(out, err, refusals[i].id);
        is_str(out->data, quotes(pool, refusals[i].want),
               llmux_error_name(refusals[i].kind));
    }
}

/* ---- memory ---------------------------------------------------------- */

enum {
    WARM = 1000, ROUNDS = 100000,
    SLACK = 256 << 10       /* what is mapped at once; not 3 bytes each */
};

/* AddressSanitizer has an allocator of its own. */
extern size_t __sanitizer_get_current_allocated_bytes(void)
    __attribute__((weak));

static long long allocated(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long long pages = 0;

    if (f && fscanf(f, "%lld", &pages) != 1) {
        pages = 0;
    }
    if (f) {
        fclose(f);
    }
    return pages * sysconf(_SC_PAGESIZE)
        + (__sanitizer_get_current_allocated_bytes
           ? (long long)__sanitizer_get_current_allocated_bytes() : 0);
}

/* What a stream may be made of, again and again. */
static void test_memory(void)
{
    static const char *const lines[] = {
        "open 0 think", "think 0 Hm", "token 0 anthropic SIG", "close 0",
        "open 1 call id=x name=f", "args 1 {}", "token 1 gemini SIG",
        "close 1", "open 2 think", "token 2 redacted RED", "close 2",
        "cite 2 url=u from=0 to=1", "ping", "usage in=1", NULL
    };
    const llmux_encode_t how = how_of(1, 0);
    llmux_encoder_t *e = llmux_gemini_encoder(pool, &how);
    llmux_buf_t *out = llmux_buf_create(pool, OUT_MAX);
    long long before = 0;
    int i, k;

    say(e, out, "start id=r name=m");
    for (i = 0; i < ROUNDS; i++) {
        if (i == WARM) {
            before = allocated();
        }
        for (k = 0; lines[k]; k++) {
            say(e, out, lines[k]);
        }
        llmux_buf_reset(out);
    }
    ok(allocated() - before < SLACK, "a hundred thousand blocks take no more "
       "memory than a thousand: %lld bytes", allocated() - before);
}

/* Arguments have a limit, all open calls together. */
static void test_long_args(void)
{
    const llmux_encode_t how = how_of(1, 0);
    llmux_encoder_t *e = llmux_gemini_encoder(pool, &how);
    llmux_buf_t *out = llmux_buf_create(pool, OUT_MAX);
    char *piece = apr_palloc(pool, (1 << 20) + 8);
    int i;

    memset(piece, ' ', 1 << 20);
    memcpy(piece, "args 0 ", 7);
    piece[1 << 20] = '\0';
    say(e, out, "start");
    say(e, out, "open 0 call id=x name=f");
    say(e, out, "open 1 call id=y name=g");
    for (i = 0; i < 10; i++) {
        say(e, out, piece);
    }
    say(e, out, "close 0");
    say(e, out, "args 1 {}");
    say(e, out, "close 1");
    say(e, out, "finish 0 calls");
    say(e, out, "end");
    ok(strstr(out->data, "too long") && strstr(out->data, "\"g\"")
       && !strstr(out->data, "\"f\"")
       && strstr(out->data, "MALFORMED_FUNCTION_CALL"),
       "a call that is too long is not told, and the next one is");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_streams();
    test_alike();
    test_documents();
    test_hidden();
    test_errors();
    test_refusals();
    test_memory();
    test_long_args();
    apr_pool_destroy(pool);
    return tap_done();
}
