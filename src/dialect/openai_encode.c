/* openai_encode.c - events become chat completions: chunks as they come, or
 * one document at the end. */

#include <string.h>

#include "openai_answer.h"

/* ---- state ----------------------------------------------------------- */

typedef struct choice_t choice_t;

/* A block of the answer. Streamed: kept while it is open, then used again,
 * so that memory does not grow with the answer. Whole: kept to the end. */
typedef struct block_t {
    struct block_t *next;
    choice_t *choice;
    llmux_block_e kind;
    int key;
    int index;              /* of a call among calls, of a thought likewise */
    int custom;
    int said;               /* arguments came */
    llmux_buf_t *id, *name, *text, *token;  /* whole only */
    llmux_maker_e maker;    /* of the token */
} block_t;

struct choice_t {
    int index;
    int introduced;         /* streamed: the role was said */
    int calls, thoughts;    /* so far */
    int refused;
    block_t *blocks, *last; /* whole: calls and thoughts in order */
    llmux_buf_t *text, *reasoning, *refusal;        /* whole: characters */
    llmux_buf_t *annotations, *images, *logprobs;   /* whole: JSON elements */
    const char *finish;
};

typedef struct encoder_t {
    llmux_encoder_t base;
    apr_pool_t *pool;
    llmux_encode_t how;
    llmux_slice_t head;     /* of each document, up to its choices */
    const char *tail;       /* streamed: what ends each chunk */
    llmux_slice_t tier, fingerprint;
    llmux_usage_t usage;
    choice_t *choices[LLMUX_CANDIDATES_MAX];
    block_t *open, *unused;
    block_t *pending;       /* a call whose first fragment is in `held` */
    llmux_buf_t *held;
    apr_size_t kept;        /* whole: bytes so far */
    int overflow;           /* whole: they were too many */
    int ended;
} encoder_t;

static choice_t *find_choice(encoder_t *e, int cand)
{
    if (cand < 0 || cand >= LLMUX_CANDIDATES_MAX) {
        return NULL;
    }
    if (!e->choices[cand]) {
        e->choices[cand] = apr_pcalloc(e->pool, sizeof(choice_t));
        e->choices[cand]->index = cand;
    }
    return e->choices[cand];
}

static block_t *find_block(const encoder_t *e, int key)
{
    block_t *b = e->open;

    while (b && b->key != key) {
        b = b->next;
    }
    return b;
}

static block_t *open_block(encoder_t *e, choice_t *c,
                           const llmux_event_t *ev)
{
    block_t *b = e->unused;

    if (b) {
        e->unused = b->next;
        memset(b, 0, sizeof(*b));
    }
    else {
        b = apr_pcalloc(e->pool, sizeof(*b));
    }
    b->choice = c;
    b->kind = ev->block;
    b->key = ev->key;
    b->custom = ev->custom;
    b->index = ev->block == LLMUX_BLOCK_CALL ? c->calls++
        : ev->block == LLMUX_BLOCK_THINK ? c->thoughts++ : 0;
    b->next = e->open;
    e->open = b;
    return b;
}

static void forget_block(encoder_t *e, block_t *b)
{
    block_t **at = &e->open;

    while (*at && *at != b) {
        at = &(*at)->next;
    }
    if (*at) {
        *at = b->next;
    }
}

/* What begins every document. A client may insist on the model's name that
 * it asked for. */
static void set_head(encoder_t *e, const llmux_event_t *ev)
{
    llmux_buf_t *b = llmux_buf_create(e->pool, LLMUX_EVENT_MAX);
    llmux_jw_t w = llmux_jw(b);

    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "id");
    llmux_jw_str(&w, ev->id.data && ev->id.len ? ev->id
                                               : llmux_slice(e->how.id));
    llmux_jw_key(&w, "object");
    llmux_jw_cstr(&w, e->how.streamed ? "chat.completion.chunk"
                                      : "chat.completion");
    llmux_jw_key(&w, "created");
    llmux_jw_int(&w, ev->created > 0 ? ev->created : e->how.created);
    llmux_jw_key(&w, "model");
    llmux_jw_str(&w, e->how.model.data ? e->how.model : ev->name);
    llmux_jw_opt_str(&w, "service_tier", ev->tier);
    llmux_jw_opt_str(&w, "system_fingerprint", ev->fingerprint);
    llmux_jw_key(&w, "choices");
    llmux_jw_open(&w, '[');
    e->head = llmux_buf_slice(b);
}

/* ---- what both forms share ------------------------------------------- */

static const char *const finishes[] = {
    [LLMUX_FINISH_STOP]          = "stop",
    [LLMUX_FINISH_STOP_SEQUENCE] = "stop",
    [LLMUX_FINISH_LENGTH]        = "length",
    [LLMUX_FINISH_CONTEXT]       = "length",
    [LLMUX_FINISH_CALLS]         = "tool_calls",
    [LLMUX_FINISH_FILTER]        = "content_filter",
    [LLMUX_FINISH_REFUSAL]       = "content_filter",
    [LLMUX_FINISH_MALFORMED]     = "stop",
    [LLMUX_FINISH_PAUSE]         = "stop",
    [LLMUX_FINISH_OTHER]         = "stop"
};

/* With a refusal in words the reason is "stop", as OpenAI has it. */
static const char *finish_name(const choice_t *c, llmux_finish_e finish)
{
    if (finish == LLMUX_FINISH_REFUSAL && c->refused) {
        return "stop";
    }
    if (c->calls && (finish == LLMUX_FINISH_STOP
                     || finish == LLMUX_FINISH_OTHER)) {
        return "tool_calls";
    }
    return (unsigned)finish < sizeof(finishes) / sizeof(finishes[0])
        ? finishes[finish] : "stop";
}

static const char *const formats[] = {
    [LLMUX_MAKER_NONE]               = NULL,
    [LLMUX_MAKER_ANTHROPIC]          = "anthropic-claude-v1",
    [LLMUX_MAKER_ANTHROPIC_REDACTED] = "anthropic-claude-v1",
    [LLMUX_MAKER_GEMINI]             = "google-gemini-v1",
    [LLMUX_MAKER_OPENAI]             = "openai-responses-v1"
};

/* One entry of reasoning_details. */
static void detail(llmux_jw_t *w, int index, llmux_slice_t text,
                   llmux_maker_e maker, llmux_slice_t token)
{
    int sealed = maker == LLMUX_MAKER_ANTHROPIC_REDACTED;

    llmux_jw_open(w, '{');
    llmux_jw_key(w, "type");
    llmux_jw_cstr(w, sealed ? "reasoning.encrypted" : "reasoning.text");
    llmux_jw_opt_str(w, "text", text);
    if (maker != LLMUX_MAKER_NONE) {
        llmux_jw_opt_str(w, sealed ? "data" : "signature", token);
        llmux_jw_opt_str(w, "format", llmux_slice(formats[maker]));
    }
    llmux_jw_key(w, "index");
    llmux_jw_int(w, index);
    llmux_jw_close(w, '}');
}

/* Google's own way to hang a signature on a call. */
static void extra_content(llmux_jw_t *w, llmux_slice_t token)
{
    llmux_jw_key(w, "extra_content");
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "google");
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "thought_signature");
    llmux_jw_str(w, token);
    llmux_jw_close(w, '}');
    llmux_jw_close(w, '}');
}

/* Clients' types have title and offsets always: "" and 0 when not known. */
static void annotation(llmux_jw_t *w, const llmux_cite_t *cite)
{
    int known = cite->start >= 0 && cite->end >= cite->start;

    llmux_jw_open(w, '{');
    llmux_jw_key(w, "type");
    llmux_jw_cstr(w, "url_citation");
    llmux_jw_key(w, "url_citation");
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "url");
    llmux_jw_str(w, cite->url);
    llmux_jw_key(w, "title");
    llmux_jw_str(w, cite->title.data ? cite->title : llmux_slice(""));
    llmux_jw_opt_str(w, "content", cite->quote);
    llmux_jw_key(w, "start_index");
    llmux_jw_int(w, known ? cite->start : 0);
    llmux_jw_key(w, "end_index");
    llmux_jw_int(w, known ? cite->end : 0);
    llmux_jw_close(w, '}');
    llmux_jw_close(w, '}');
}

/* A source without an address is none that an annotation can name. */
static int citable(const llmux_event_t *ev)
{
    return ev->cite && ev->cite->url.data && ev->cite->url.len;
}

static void image(llmux_jw_t *w, const llmux_event_t *ev)
{
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "type");
    llmux_jw_cstr(w, "image_url");
    llmux_jw_key(w, "image_url");
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "url");
    /* A string made of three: written by hand. */
    llmux_buf_adds(w->out, "\"data:");
    llmux_json_escape(w->out, ev->name);
    llmux_buf_adds(w->out, ";base64,");
    llmux_json_escape(w->out, ev->text);
    llmux_buf_adds(w->out, "\"");
    llmux_jw_close(w, '}');
    llmux_jw_close(w, '}');
}

static int is_image(const llmux_event_t *ev)
{
    return llmux_slice_starts(ev->name, "image/") && ev->text.data;
}

/* ---- streamed -------------------------------------------------------- */

static void begin(encoder_t *e, choice_t *c, llmux_buf_t *out,
                  llmux_jw_t *w)
{
    llmux_buf_adds(out, "data: ");
    llmux_buf_add_slice(out, e->head);
    *w = llmux_jw(out);
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "index");
    llmux_jw_int(w, c->index);
    llmux_jw_key(w, "delta");
    llmux_jw_open(w, '{');
}

/* JSON text without its line ends, which would end the event. They cannot
 * stand within a string, so nothing is lost. */
static void one_line(llmux_jw_t *w, llmux_slice_t json)
{
    apr_size_t i, from = 0;

    for (i = 0; i <= json.len; i++) {
        if (i == json.len || json.data[i] == '\n' || json.data[i] == '\r') {
            llmux_buf_add(w->out, json.data + from, i - from);
            from = i + 1;
        }
    }
    w->comma = 1;
}

static void end(encoder_t *e, llmux_jw_t *w, llmux_slice_t logprobs,
                const char *finish)
{
    llmux_jw_close(w, '}');
    llmux_jw_key(w, "logprobs");
    if (logprobs.data) {
        llmux_jw_open(w, '{');
        llmux_jw_key(w, "content");
        one_line(w, logprobs);
        llmux_jw_key(w, "refusal");
        llmux_jw_null(w);
        llmux_jw_close(w, '}');
    }
    else {
        llmux_jw_null(w);
    }
    llmux_jw_key(w, "finish_reason");
    llmux_jw_cstr(w, finish);
    llmux_jw_close(w, '}');
    llmux_buf_adds(w->out, e->tail);
}

static const llmux_slice_t none = { NULL, 0 };

/* The role, once. A choice that begins with a call has no content yet. */
static void introduce(encoder_t *e, choice_t *c, llmux_buf_t *out, int speaks)
{
    llmux_jw_t w;

    if (c->introduced) {
        return;
    }
    c->introduced = 1;
    begin(e, c, out, &w);
    llmux_jw_key(&w, "role");
    llmux_jw_cstr(&w, "assistant");
    llmux_jw_key(&w, "content");
    llmux_jw_str(&w, speaks ? llmux_slice("") : none);
    llmux_jw_key(&w, "refusal");
    llmux_jw_null(&w);
    end(e, &w, none, NULL);
}

static void delta_str(encoder_t *e, choice_t *c, llmux_buf_t *out,
                      const char *name, llmux_slice_t text)
{
    llmux_jw_t w;

    begin(e, c, out, &w);
    llmux_jw_key(&w, name);
    llmux_jw_str(&w, text);
    end(e, &w, none, NULL);
}

/* The beginning of a call's first fragment, held until the next event: when
 * that is the call's token, it must stand in the same fragment. */
static void hold_call(encoder_t *e, block_t *b, const llmux_event_t *ev)
{
    llmux_jw_t w;

    llmux_buf_reset(e->held);
    w = llmux_jw(e->held);
    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "index");
    llmux_jw_int(&w, b->index);
    llmux_jw_key(&w, "id");
    llmux_jw_str(&w, ev->id);
    llmux_jw_key(&w, "type");
    llmux_jw_cstr(&w, b->custom ? "custom" : "function");
    llmux_jw_key(&w, b->custom ? "custom" : "function");
    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "name");
    llmux_jw_str(&w, ev->name);
    llmux_jw_key(&w, b->custom ? "input" : "arguments");
    llmux_jw_cstr(&w, "");
    llmux_jw_close(&w, '}');
    e->pending = b;
}

static int is_call_token(const block_t *b, const llmux_event_t *ev)
{
    return ev->kind == LLMUX_EV_TOKEN && b->kind == LLMUX_BLOCK_CALL
        && b->key == ev->key && ev->token.maker == LLMUX_MAKER_GEMINI
        && ev->token.bytes.data;
}

/* Sends what hold_call() held.
 * @return whether that took care of the event */
static int flush_call(encoder_t *e, const llmux_event_t *ev, llmux_buf_t *out)
{
    block_t *b = e->pending;
    llmux_jw_t w, fragment;
    int with_token = is_call_token(b, ev);

    e->pending = NULL;
    begin(e, b->choice, out, &w);
    llmux_jw_key(&w, "tool_calls");
    llmux_jw_open(&w, '[');
    llmux_buf_add_slice(out, llmux_buf_slice(e->held));
    fragment = llmux_jw(out);
    fragment.comma = 1;
    if (with_token) {
        extra_content(&fragment, ev->token.bytes);
    }
    llmux_jw_close(&fragment, '}');
    llmux_jw_close(&w, ']');
    end(e, &w, none, NULL);
    return with_token;
}

/* A further fragment of a call: arguments, or a token if they are absent. */
static void call_fragment(encoder_t *e, const block_t *b, llmux_buf_t *out,
                          llmux_slice_t args, llmux_slice_t token)
{
    llmux_jw_t w;

    begin(e, b->choice, out, &w);
    llmux_jw_key(&w, "tool_calls");
    llmux_jw_open(&w, '[');
    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "index");
    llmux_jw_int(&w, b->index);
    if (args.data) {
        llmux_jw_key(&w, b->custom ? "custom" : "function");
        llmux_jw_open(&w, '{');
        llmux_jw_key(&w, b->custom ? "input" : "arguments");
        llmux_jw_str(&w, args);
        llmux_jw_close(&w, '}');
    }
    if (token.data) {
        extra_content(&w, token);
    }
    llmux_jw_close(&w, '}');
    llmux_jw_close(&w, ']');
    end(e, &w, none, NULL);
}

static void stream_start(encoder_t *e, const llmux_event_t *ev,
                         llmux_buf_t *out)
{
    choice_t *c = find_choice(e, ev->cand);
    block_t *b;

    if (!c) {
        return;
    }
    b = open_block(e, c, ev);
    if (b->kind == LLMUX_BLOCK_THINK && !e->how.show_thinking) {
        return;
    }
    introduce(e, c, out, b->kind != LLMUX_BLOCK_CALL);
    if (b->kind == LLMUX_BLOCK_CALL) {
        hold_call(e, b, ev);
    }
}

static void stream_text(encoder_t *e, const llmux_event_t *ev, block_t *b,
                        llmux_buf_t *out)
{
    delta_str(e, b->choice, out, "content", ev->text);
}

static void stream_refusal(encoder_t *e, const llmux_event_t *ev, block_t *b,
                           llmux_buf_t *out)
{
    b->choice->refused = 1;
    delta_str(e, b->choice, out, "refusal", ev->text);
}

static void stream_detail(encoder_t *e, const llmux_event_t *ev, block_t *b,
                          llmux_buf_t *out)
{
    llmux_jw_t w;

    if (!e->how.show_thinking) {
        return;
    }
    begin(e, b->choice, out, &w);
    llmux_jw_opt_str(&w, "reasoning_content", ev->text);
    llmux_jw_key(&w, "reasoning_details");
    llmux_jw_open(&w, '[');
    detail(&w, b->index, ev->text, ev->token.maker, ev->token.bytes);
    llmux_jw_close(&w, ']');
    end(e, &w, none, NULL);
}

static void stream_token(encoder_t *e, const llmux_event_t *ev, block_t *b,
                         llmux_buf_t *out)
{
    if (is_call_token(b, ev)) {
        call_fragment(e, b, out, none, ev->token.bytes);
    }
    else if (b->kind == LLMUX_BLOCK_THINK
             && ev->token.maker != LLMUX_MAKER_NONE && ev->token.bytes.data) {
        stream_detail(e, ev, b, out);
    }
}

static void stream_args(encoder_t *e, const llmux_event_t *ev, block_t *b,
                        llmux_buf_t *out)
{
    if (ev->text.len) {
        b->said = 1;
        call_fragment(e, b, out, ev->text, none);
    }
}

/* Sources may be told at the very end, when the text they belong to has long
 * been closed. */
static void stream_cite(encoder_t *e, const llmux_event_t *ev,
                        llmux_buf_t *out)
{
    choice_t *c = find_choice(e, ev->cand);
    llmux_jw_t w;

    if (c && citable(ev)) {
        introduce(e, c, out, 1);
        begin(e, c, out, &w);
        llmux_jw_key(&w, "annotations");
        llmux_jw_open(&w, '[');
        annotation(&w, ev->cite);
        llmux_jw_close(&w, ']');
        end(e, &w, none, NULL);
    }
}

static void stream_media(encoder_t *e, const llmux_event_t *ev, block_t *b,
                         llmux_buf_t *out)
{
    llmux_jw_t w;

    if (is_image(ev)) {
        begin(e, b->choice, out, &w);
        llmux_jw_key(&w, "images");
        llmux_jw_open(&w, '[');
        image(&w, ev);
        llmux_jw_close(&w, ']');
        end(e, &w, none, NULL);
    }
}

/* A call without arguments has those of an empty object. */
static void stream_stop(encoder_t *e, const llmux_event_t *ev, block_t *b,
                        llmux_buf_t *out)
{
    if (b->kind == LLMUX_BLOCK_CALL && !b->said && !b->custom) {
        call_fragment(e, b, out, llmux_slice("{}"), none);
    }
    forget_block(e, b);
    b->next = e->unused;
    e->unused = b;
}

static void stream_logprobs(encoder_t *e, const llmux_event_t *ev,
                            llmux_buf_t *out)
{
    choice_t *c = find_choice(e, ev->cand);
    llmux_jw_t w;

    if (c) {
        introduce(e, c, out, 1);
        begin(e, c, out, &w);
        end(e, &w, ev->text, NULL);
    }
}

static void stream_finish(encoder_t *e, const llmux_event_t *ev,
                          llmux_buf_t *out)
{
    choice_t *c = find_choice(e, ev->cand);
    llmux_jw_t w;

    if (c && !c->finish) {
        introduce(e, c, out, 1);
        c->finish = finish_name(c, ev->finish);
        begin(e, c, out, &w);
        end(e, &w, none, c->finish);
    }
}

static int counted(const llmux_usage_t *u)
{
    return llmux_usage_input(u) >= 0 || llmux_usage_output(u) >= 0;
}

static void stream_end(encoder_t *e, llmux_buf_t *out)
{
    llmux_jw_t w;

    if (e->how.include_usage && counted(&e->usage)) {
        llmux_buf_adds(out, "data: ");
        llmux_buf_add_slice(out, e->head);
        llmux_buf_adds(out, "],\"usage\":");
        w = llmux_jw(out);
        llmux_openai_usage_write(&w, &e->usage);
        llmux_buf_adds(out, "}\n\n");
    }
    llmux_buf_adds(out, "data: [DONE]\n\n");
}

static void stream_error(const llmux_event_t *ev, llmux_buf_t *out)
{
    llmux_buf_adds(out, "data: ");
    llmux_openai_error_write(out, ev->error, NULL);
    llmux_buf_adds(out, "\n\n");
}

static void (*const stream_of[])(encoder_t *e, const llmux_event_t *ev,
                                 block_t *b, llmux_buf_t *out) = {
    [LLMUX_EV_TEXT]       = stream_text,
    [LLMUX_EV_THINK]      = stream_detail,
    [LLMUX_EV_REFUSAL]    = stream_refusal,
    [LLMUX_EV_ARGS]       = stream_args,
    [LLMUX_EV_TOKEN]      = stream_token,
    [LLMUX_EV_MEDIA]      = stream_media,
    [LLMUX_EV_BLOCK_STOP] = stream_stop
};

static void stream_block(encoder_t *e, const llmux_event_t *ev,
                         llmux_buf_t *out)
{
    block_t *b = find_block(e, ev->key);

    if (b && (unsigned)ev->kind < sizeof(stream_of) / sizeof(stream_of[0])
        && stream_of[ev->kind]) {
        stream_of[ev->kind](e, ev, b, out);
    }
}

static void stream_event(encoder_t *e, const llmux_event_t *ev,
                         llmux_buf_t *out)
{
    if (e->pending && flush_call(e, ev, out)) {
        return;
    }
    switch (ev->kind) {
    case LLMUX_EV_BLOCK_START:
        stream_start(e, ev, out);
        break;
    case LLMUX_EV_CITE:
        stream_cite(e, ev, out);
        break;
    case LLMUX_EV_LOGPROBS:
        stream_logprobs(e, ev, out);
        break;
    case LLMUX_EV_FINISH:
        stream_finish(e, ev, out);
        break;
    case LLMUX_EV_PING:
        llmux_buf_adds(out, ": keep-alive\n\n");
        break;
    case LLMUX_EV_ERROR:
        stream_error(ev, out);
        break;
    case LLMUX_EV_END:
        stream_end(e, out);
        break;
    default:
        stream_block(e, ev, out);
    }
}

/* ---- whole ----------------------------------------------------------- */

/* The buffer to which `n` more bytes go, made when first needed. Their sum
 * is limited; an answer beyond it fails as a whole. */
static llmux_buf_t *room(encoder_t *e, llmux_buf_t **to, apr_size_t n)
{
    if (n > LLMUX_ANSWER_MAX - e->kept) {
        e->overflow = 1;
        return NULL;
    }
    e->kept += n;
    if (!*to) {
        *to = llmux_buf_create(e->pool, LLMUX_ANSWER_MAX);
    }
    return *to;
}

static void keep(encoder_t *e, llmux_buf_t **to, llmux_slice_t s)
{
    llmux_buf_t *b = s.data ? room(e, to, s.len) : NULL;

    if (b) {
        llmux_buf_add_slice(b, s);
    }
}

static llmux_slice_t kept(const llmux_buf_t *b)
{
    return b ? llmux_buf_slice(b) : none;
}

/* A writer for one more element of an array that is kept as JSON text. */
static int element(encoder_t *e, llmux_buf_t **to, apr_size_t n,
                   llmux_jw_t *w)
{
    llmux_buf_t *b = room(e, to, n);

    if (b) {
        *w = llmux_jw(b);
        w->comma = b->len > 0;
    }
    return b != NULL;
}

static void whole_start(encoder_t *e, const llmux_event_t *ev)
{
    choice_t *c = find_choice(e, ev->cand);
    block_t *b;

    if (!c) {
        return;
    }
    b = open_block(e, c, ev);
    if (b->kind == LLMUX_BLOCK_CALL) {
        keep(e, &b->id, ev->id);
        keep(e, &b->name, ev->name);
    }
}

/* Blocks that are shown one by one are kept when they end. */
static void whole_stop(encoder_t *e, block_t *b)
{
    choice_t *c = b->choice;

    forget_block(e, b);
    b->next = NULL;
    if (b->kind != LLMUX_BLOCK_CALL && b->kind != LLMUX_BLOCK_THINK) {
        b->next = e->unused;
        e->unused = b;
        return;
    }
    if (c->last) {
        c->last->next = b;
    }
    else {
        c->blocks = b;
    }
    c->last = b;
}

static void whole_think(encoder_t *e, const llmux_event_t *ev, block_t *b)
{
    if (e->how.show_thinking) {
        keep(e, &b->text, ev->text);
        keep(e, &b->choice->reasoning, ev->text);
    }
}

static void whole_token(encoder_t *e, const llmux_event_t *ev, block_t *b)
{
    if (b->token) {
        e->kept -= b->token->len;
        llmux_buf_reset(b->token);
    }
    b->maker = ev->token.maker;
    keep(e, &b->token, ev->token.bytes);
}

static void whole_cite(encoder_t *e, const llmux_event_t *ev)
{
    choice_t *c = find_choice(e, ev->cand);
    llmux_jw_t w;

    if (c && citable(ev)
        && element(e, &c->annotations, ev->cite->url.len + ev->cite->title.len
                   + ev->cite->quote.len + 128, &w)) {
        annotation(&w, ev->cite);
    }
}

static void whole_media(encoder_t *e, const llmux_event_t *ev, block_t *b)
{
    llmux_jw_t w;

    if (is_image(ev) && element(e, &b->choice->images,
                                ev->name.len + ev->text.len + 64, &w)) {
        image(&w, ev);
    }
}

/* The array's elements, to be joined with those of other pieces. */
static void whole_logprobs(encoder_t *e, const llmux_event_t *ev)
{
    choice_t *c = find_choice(e, ev->cand);
    llmux_slice_t inner = ev->text;
    llmux_jw_t w;

    if (!c || inner.len < 2 || inner.data[0] != '[') {
        return;
    }
    inner.data++;
    inner.len -= 2;
    if (!llmux_slice_blank(inner)
        && element(e, &c->logprobs, inner.len + 1, &w)) {
        llmux_jw_raw(&w, inner);
    }
}

static void whole_block(encoder_t *e, const llmux_event_t *ev)
{
    block_t *b = find_block(e, ev->key);

    if (!b) {
        return;
    }
    switch (ev->kind) {
    case LLMUX_EV_TEXT:
        keep(e, &b->choice->text, ev->text);
        break;
    case LLMUX_EV_THINK:
        whole_think(e, ev, b);
        break;
    case LLMUX_EV_REFUSAL:
        b->choice->refused = 1;
        keep(e, &b->choice->refusal, ev->text);
        break;
    case LLMUX_EV_ARGS:
        keep(e, &b->text, ev->text);
        break;
    case LLMUX_EV_TOKEN:
        whole_token(e, ev, b);
        break;
    case LLMUX_EV_MEDIA:
        whole_media(e, ev, b);
        break;
    case LLMUX_EV_BLOCK_STOP:
        whole_stop(e, b);
        break;
    default:
        break;
    }
}

static void opt_array(llmux_jw_t *w, const char *name, const llmux_buf_t *b)
{
    if (b) {
        llmux_jw_key(w, name);
        llmux_jw_open(w, '[');
        llmux_jw_raw(w, llmux_buf_slice(b));
        llmux_jw_close(w, ']');
    }
}

static void write_call(llmux_jw_t *w, const block_t *b)
{
    llmux_slice_t args = kept(b->text);

    llmux_jw_open(w, '{');
    llmux_jw_key(w, "id");
    llmux_jw_str(w, kept(b->id));
    llmux_jw_key(w, "type");
    llmux_jw_cstr(w, b->custom ? "custom" : "function");
    llmux_jw_key(w, b->custom ? "custom" : "function");
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "name");
    llmux_jw_str(w, kept(b->name));
    llmux_jw_key(w, b->custom ? "input" : "arguments");
    llmux_jw_str(w, args.len ? args : llmux_slice(b->custom ? "" : "{}"));
    llmux_jw_close(w, '}');
    if (b->token && b->maker == LLMUX_MAKER_GEMINI) {
        extra_content(w, kept(b->token));
    }
    llmux_jw_close(w, '}');
}

static void write_thought(llmux_jw_t *w, const block_t *b)
{
    detail(w, b->index, kept(b->text), b->token ? b->maker : LLMUX_MAKER_NONE,
           kept(b->token));
}

/* The blocks of one kind as an array; a thought that says nothing and is
 * not signed is left out. */
static void write_blocks(llmux_jw_t *w, const char *name, const choice_t *c,
                         llmux_block_e kind,
                         void (*write)(llmux_jw_t *w, const block_t *b))
{
    const block_t *b;
    int open = 0;

    for (b = c->blocks; b; b = b->next) {
        if (b->kind != kind
            || (kind == LLMUX_BLOCK_THINK && !b->text && !b->token)) {
            continue;
        }
        if (!open++) {
            llmux_jw_key(w, name);
            llmux_jw_open(w, '[');
        }
        write(w, b);
    }
    if (open) {
        llmux_jw_close(w, ']');
    }
}

static void write_message(encoder_t *e, llmux_jw_t *w, const choice_t *c)
{
    int silent = c->calls || c->refusal;

    llmux_jw_open(w, '{');
    llmux_jw_key(w, "role");
    llmux_jw_cstr(w, "assistant");
    llmux_jw_key(w, "content");
    llmux_jw_str(w, c->text || silent ? kept(c->text) : llmux_slice(""));
    llmux_jw_key(w, "refusal");
    llmux_jw_str(w, kept(c->refusal));
    if (e->how.show_thinking) {
        llmux_jw_opt_str(w, "reasoning_content", kept(c->reasoning));
        write_blocks(w, "reasoning_details", c, LLMUX_BLOCK_THINK,
                     write_thought);
    }
    write_blocks(w, "tool_calls", c, LLMUX_BLOCK_CALL, write_call);
    opt_array(w, "annotations", c->annotations);
    opt_array(w, "images", c->images);
    llmux_jw_close(w, '}');
}

static void write_choice(encoder_t *e, llmux_jw_t *w, const choice_t *c)
{
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "index");
    llmux_jw_int(w, c->index);
    llmux_jw_key(w, "message");
    write_message(e, w, c);
    llmux_jw_key(w, "logprobs");
    if (c->logprobs) {
        llmux_jw_open(w, '{');
        opt_array(w, "content", c->logprobs);
        llmux_jw_key(w, "refusal");
        llmux_jw_null(w);
        llmux_jw_close(w, '}');
    }
    else {
        llmux_jw_null(w);
    }
    llmux_jw_key(w, "finish_reason");
    llmux_jw_cstr(w, c->finish);
    llmux_jw_close(w, '}');
}

static void whole_end(encoder_t *e, llmux_buf_t *out)
{
    llmux_jw_t w;
    int i;

    if (e->overflow) {
        out->failed = 1;    /* the buffer's way to say: it did not fit */
        return;
    }
    llmux_buf_add_slice(out, e->head);
    w = llmux_jw(out);
    for (i = 0; i < LLMUX_CANDIDATES_MAX; i++) {
        if (e->choices[i]) {
            write_choice(e, &w, e->choices[i]);
        }
    }
    llmux_jw_close(&w, ']');
    if (counted(&e->usage)) {
        llmux_jw_key(&w, "usage");
        llmux_openai_usage_write(&w, &e->usage);
    }
    llmux_jw_close(&w, '}');
}

static void whole_finish(encoder_t *e, const llmux_event_t *ev)
{
    choice_t *c = find_choice(e, ev->cand);

    if (c && !c->finish) {
        c->finish = finish_name(c, ev->finish);
    }
}

static void whole_event(encoder_t *e, const llmux_event_t *ev,
                        llmux_buf_t *out)
{
    switch (ev->kind) {
    case LLMUX_EV_BLOCK_START:
        whole_start(e, ev);
        break;
    case LLMUX_EV_CITE:
        whole_cite(e, ev);
        break;
    case LLMUX_EV_LOGPROBS:
        whole_logprobs(e, ev);
        break;
    case LLMUX_EV_FINISH:
        whole_finish(e, ev);
        break;
    case LLMUX_EV_END:
        whole_end(e, out);
        break;
    default:
        whole_block(e, ev);
    }
}

/* ---- the encoder ----------------------------------------------------- */

static void event(llmux_encoder_t *base, const llmux_event_t *ev,
                  llmux_buf_t *out)
{
    static const llmux_event_t nothing = { .kind = LLMUX_EV_START };
    encoder_t *e = (encoder_t *)base;

    if (e->ended) {
        return;
    }
    e->ended = ev->kind == LLMUX_EV_ERROR || ev->kind == LLMUX_EV_END;
    if (!e->head.data && ev->kind != LLMUX_EV_PING) {
        set_head(e, ev->kind == LLMUX_EV_START ? ev : &nothing);
    }
    if (ev->kind == LLMUX_EV_START) {
        return;
    }
    if (ev->kind == LLMUX_EV_USAGE) {
        llmux_usage_merge(&e->usage, ev->usage);
    }
    else if (e->how.streamed) {
        stream_event(e, ev, out);
    }
    else {
        whole_event(e, ev, out);
    }
}

llmux_encoder_t *llmux_openai_encoder(apr_pool_t *p,
                                      const llmux_encode_t *how)
{
    static const llmux_usage_t unknown = LLMUX_USAGE_NONE;
    encoder_t *e = apr_pcalloc(p, sizeof(*e));

    e->base.event = event;
    e->pool = p;
    e->how = *how;
    e->usage = unknown;
    e->tail = how->include_usage ? "],\"usage\":null}\n\n" : "]}\n\n";
    e->held = llmux_buf_create(p, LLMUX_EVENT_MAX);
    return &e->base;
}
