/* stream_memory.c - a stream of a hundred thousand events needs as much
 * memory as one of a thousand, whoever decodes it, encoded or passed on. */

#include <unistd.h>

#include <apr_allocator.h>

#include "tap.h"
#include "transcript.h"

enum {
    WARM = 1000, EVENTS = 100000,
    SLACK = 256 << 10       /* what is mapped at once; not 3 bytes each */
};

/* AddressSanitizer has an allocator of its own. */
extern size_t __sanitizer_get_current_allocated_bytes(void)
    __attribute__((weak));

/* Bytes mapped: pools take their memory from mmap(), malloc() from both. */
static long long mapped(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long long pages = 0;

    if (f && fscanf(f, "%lld", &pages) != 1) {
        pages = 0;
    }
    if (f) {
        fclose(f);
    }
    return pages * sysconf(_SC_PAGESIZE);
}

static long long allocated(void)
{
    return mapped() + (__sanitizer_get_current_allocated_bytes
                       ? (long long)__sanitizer_get_current_allocated_bytes()
                       : 0);
}

/* ---- what is fed ----------------------------------------------------- */

#define CHUNK(choice) \
    "{'id':'c1','model':'m','created':7,'choices':[{'index':0," choice "}]}"
#define DELTA(delta) CHUNK("'delta':{" delta "},'finish_reason':null")
#define USAGE ",'usage':{'prompt_tokens':9,'completion_tokens':3}}"
#define PART(part) \
    "{'responseId':'r','modelVersion':'m','candidates':[{'index':0," \
    "'content':{'role':'model','parts':[" part "]}}],'usageMetadata':" \
    "{'promptTokenCount':9,'candidatesTokenCount':3}}"
#define G_STOP(reason) \
    "{'candidates':[{'content':{'parts':[{'text':'a'}]},'finishReason':'" \
    reason "'}]}"
#define A_START \
    "{'type':'message_start','message':{'id':'a','model':'m','usage':" \
    "{'input_tokens':9,'output_tokens':1}}}\n"
#define A_BLOCK(block) \
    A_START "{'type':'content_block_start','index':0,'content_block':" block "}"
#define A_DELTA(delta) \
    "{'type':'content_block_delta','index':0,'delta':" delta "}"

#define A_STOP(reason) \
    "{'type':'message_delta','delta':{'stop_reason':'" reason "'}," \
    "'usage':{'output_tokens':3}}"

/* Lines as in transcript.h; `again` is what comes all the time. */
static const struct {
    const char *name;
    const llmux_dialect_t *dialect;
    const char *first, *again;
} streams[] = {
    { "OpenAI, text", &llmux_dialect_openai, "",
      DELTA("'content':' word\\n'") },
    { "OpenAI, text, always parsed", &parsing_openai, "",
      DELTA("'content':' word\\n'") },
    { "OpenAI, thoughts, with usage", &llmux_dialect_openai, "",
      "{'choices':[{'index':0,'delta':{'reasoning_content':'Hm'}}]" USAGE },
    { "OpenAI, arguments", &llmux_dialect_openai,
      DELTA("'tool_calls':[{'index':0,'id':'a','function':{'name':'f'}}]"),
      DELTA("'tool_calls':[{'index':0,'id':'a','function':{'name':'f',"
            "'arguments':'[\\\"x\\\"]'}}]") },
    { "OpenAI, a finish each, log probabilities", &llmux_dialect_openai, "",
      CHUNK("'delta':{'content':'a'},'logprobs':{'content':[{'token':'a'}]},"
            "'finish_reason':'stop','stop_reason':'##'") },
    { "OpenAI, reasons that change", &llmux_dialect_openai, "",
      CHUNK("'delta':{'content':'a'},'finish_reason':'stop'") "\n"
      CHUNK("'delta':{'content':'a'},'finish_reason':'length'") },
    { "OpenAI, details", &llmux_dialect_openai, "",
      DELTA("'reasoning_details':[{'index':0,'text':'Hm'}]") },
    { "Anthropic, text", &llmux_dialect_anthropic,
      A_BLOCK("{'type':'text','text':''}"),
      A_DELTA("{'type':'text_delta','text':' word\\n'}") },
    { "Anthropic, thoughts", &llmux_dialect_anthropic,
      A_BLOCK("{'type':'thinking','thinking':''}"),
      A_DELTA("{'type':'thinking_delta','thinking':'Hm'}") },
    { "Anthropic, arguments", &llmux_dialect_anthropic,
      A_BLOCK("{'type':'tool_use','id':'a','name':'f','input':{}}"),
      A_DELTA("{'type':'input_json_delta','partial_json':'[\\\"x\\\"]'}") },
    { "Anthropic, reasons that change", &llmux_dialect_anthropic, A_START,
      A_STOP("end_turn") "\n" A_STOP("max_tokens") },
    { "Anthropic, keep-alives", &llmux_dialect_anthropic, A_START,
      "{'type':'ping'}" },
    { "Gemini, text", &llmux_dialect_gemini, "", PART("{'text':' word\\n'}") },
    { "Gemini, thoughts", &llmux_dialect_gemini, "",
      PART("{'text':'Hm','thought':true}") },
    { "Gemini, reasons that change", &llmux_dialect_gemini, "",
      G_STOP("STOP") "\n" G_STOP("MAX_TOKENS") }
};

/* ---- feeding it ------------------------------------------------------ */

typedef struct client_t {
    llmux_encoder_t *encoder;       /* NULL: bytes are passed on */
    llmux_buf_t *out;
    int events, frames, ended;
} client_t;

static void take_event(void *baton, const llmux_event_t *ev)
{
    client_t *c = baton;

    c->events++;
    c->ended |= ev->kind == LLMUX_EV_ERROR || ev->kind == LLMUX_EV_END;
    if (c->encoder) {
        c->encoder->event(c->encoder, ev, c->out);
    }
}

static void take_frame(void *baton, llmux_slice_t raw, int done, int comment)
{
    client_t *c = baton;

    c->frames++;
    llmux_buf_add_slice(c->out, raw);
}

static void feed(llmux_stream_t *s, client_t *c, const char *bytes, int times)
{
    apr_size_t len = strlen(bytes);

    while (times--) {
        llmux_stream_feed(s, bytes, len);
        llmux_buf_reset(c->out);
    }
}

/* Which bytes begin a character is noted of so much text, for sources. */
static const char *long_text(apr_pool_t *p)
{
    char *text = apr_palloc(p, LLMUX_CITED_TEXT_MAX + 1);

    memset(text, 'x', LLMUX_CITED_TEXT_MAX);
    text[LLMUX_CITED_TEXT_MAX] = '\0';
    return events(p, apr_psprintf(p, PART("{'text':'%s'}"), text));
}

static void run(apr_pool_t *p, int i, int relay)
{
    const llmux_encode_t how = { .streamed = 1, .include_usage = 1,
                                 .show_thinking = 1, .id = "id" };
    const char *again = events(p, streams[i].again);
    client_t c = { NULL, llmux_buf_create(p, 1 << 24), 0, 0, 0 };
    llmux_stream_t *s;
    long long before, after;

    c.encoder = relay ? NULL : llmux_dialect_openai.encoder(p, &how);
    s = llmux_stream_open(p, &test_env, streams[i].dialect, 1, take_event,
                          relay ? take_frame : NULL, &c);
    feed(s, &c, events(p, streams[i].first), 1);
    if (streams[i].dialect == &llmux_dialect_gemini) {
        feed(s, &c, long_text(p), 1);
    }
    feed(s, &c, again, WARM);
    before = allocated();
    feed(s, &c, again, EVENTS - WARM);
    after = allocated();
    ok(before > 0 && after - before < SLACK, "%s, %s: constant memory",
       streams[i].name, relay ? "passed on" : "encoded");
    if (after - before >= SLACK) {
        printf("#   grew by %lld bytes\n", after - before);
    }
    ok(c.events >= EVENTS && !c.ended && (!relay || c.frames >= EVENTS),
       "... and all of it came");
}

int main(void)
{
    apr_pool_t *pool, *p;
    unsigned int i;
    int relay;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    /* What one of them leaves must not hide what the next one takes. */
    apr_allocator_max_free_set(apr_pool_allocator_get(pool), 1);
    for (i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        for (relay = 0; relay < 2; relay++) {
            apr_pool_create(&p, pool);
            run(p, (int)i, relay);
            apr_pool_destroy(p);
        }
    }
    apr_pool_destroy(pool);
    return tap_done();
}
