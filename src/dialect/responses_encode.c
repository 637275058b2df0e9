/* responses_encode.c - events become a Responses answer: which items there
 * are, and when each begins and ends.
 *
 * An item ends when the next one begins, or with the answer, not with its
 * block: sources may be told late, and only the end says whether the last
 * item was cut off. */

#include <apr_strings.h>
#include <string.h>

#include "responses_encode.h"

typedef llmux_responses_encode_t encoder_t;
typedef llmux_responses_output_t item_t;
typedef llmux_responses_said_t part_t;
typedef llmux_responses_block_t block_t;

enum {
    TAIL_MAX = 44,      /* of the response's id in its items': OpenAI takes
                         * no ids above 64 characters back */
    ITEM_ID_MAX = 64,
    CITE_MAX = 128      /* of an annotation, beside address and title */
};

/* ---- what is kept ------------------------------------------------------ */

/* Is there room for `n` more bytes? An answer beyond fails as a whole. */
static int room(encoder_t *e, apr_size_t n)
{
    if (e->overflow || n > LLMUX_ANSWER_MAX - e->kept) {
        e->overflow = 1;
        return 0;
    }
    e->kept += n;
    return 1;
}

static llmux_buf_t *buffer(encoder_t *e, llmux_buf_t **to)
{
    if (!*to) {
        *to = llmux_buf_create(e->pool, LLMUX_ANSWER_MAX);
    }
    return *to;
}

static void keep(encoder_t *e, llmux_buf_t **to, llmux_slice_t s)
{
    if (room(e, s.len)) {
        llmux_buf_add_slice(buffer(e, to), s);
        e->overflow |= (*to)->failed;
    }
}

/* In the pool; absent for an empty one. */
static llmux_slice_t keep_word(encoder_t *e, llmux_slice_t s)
{
    return s.len && room(e, s.len) ? llmux_slice_dup(e->pool, s)
                                   : llmux_slice(NULL);
}

static void *keep_struct(encoder_t *e, apr_size_t size)
{
    room(e, size);
    return apr_pcalloc(e->pool, size);
}

/* ---- ids --------------------------------------------------------------- */

static int is_id_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* The response's own, in as many characters as an item's has room for. */
static const char *tail_of(const encoder_t *e)
{
    const char *id = e->id;
    apr_size_t n = strlen(id);

    if (!strncmp(id, "resp_", 5)) {
        id += 5;
        n -= 5;
    }
    return n > TAIL_MAX ? id + n - TAIL_MAX : id;
}

static const char *make_id(const encoder_t *e, const item_t *item)
{
    static const char *const prefixes[] = {
        [LLMUX_OUTPUT_MESSAGE] = "msg", [LLMUX_OUTPUT_REASONING] = "rs",
        [LLMUX_OUTPUT_FUNCTION] = "fc", [LLMUX_OUTPUT_CUSTOM] = "ctc",
        [LLMUX_OUTPUT_IMAGE] = "ig"
    };
    char *id = apr_psprintf(e->pool, "%s_%s_%d", prefixes[item->kind],
                            tail_of(e), item->index), *c;

    for (c = id; *c; c++) {
        *c = is_id_char(*c) ? *c : '_';
    }
    return id;
}

/* The provider's, if that is one. */
static const char *given_id(encoder_t *e, llmux_slice_t id)
{
    apr_size_t i;

    for (i = 0; i < id.len && is_id_char(id.data[i]); i++) {
    }
    return id.len && i == id.len && id.len <= ITEM_ID_MAX
        ? llmux_slice_str(e->pool, id) : NULL;
}

/* ---- items end --------------------------------------------------------- */

static void close_parts(encoder_t *e, item_t *item, int all, llmux_buf_t *out)
{
    part_t *part;

    for (part = item->parts; part; part = part->next) {
        if (!part->closed && (part->stopped || all)) {
            part->closed = 1;
            llmux_responses_say_part_done(e, item, part, out);
        }
    }
}

static int has_open_part(const item_t *item)
{
    const part_t *part = item->parts;

    while (part && part->closed) {
        part = part->next;
    }
    return part != NULL;
}

/* A call without arguments has those of an empty object. */
static void complete_call(encoder_t *e, item_t *item, llmux_buf_t *out)
{
    if (item->kind == LLMUX_OUTPUT_FUNCTION && !item->text) {
        keep(e, &item->text, llmux_slice("{}"));
        llmux_responses_say_more(e, item, llmux_slice("{}"), out);
    }
}

static void close_item(encoder_t *e, item_t *item, int all, llmux_buf_t *out)
{
    if (item->kind == LLMUX_OUTPUT_MESSAGE) {
        close_parts(e, item, all, out);
        if (has_open_part(item)) {
            return;
        }
    }
    else if (!item->stopped && !all) {
        return;
    }
    complete_call(e, item, out);
    item->closed = 1;
    llmux_responses_say_item_done(e, item, out);
}

/* Ends what has stopped, or all. */
static void settle(encoder_t *e, int all, llmux_buf_t *out)
{
    item_t *item;

    for (item = e->open; item; item = item->next) {
        if (!item->closed) {
            close_item(e, item, all, out);
        }
    }
    while (e->open && e->open->closed) {
        e->open = e->open->next;
    }
}

/* ---- items begin ------------------------------------------------------- */

static item_t *make_item(encoder_t *e, llmux_responses_output_e kind)
{
    item_t *item = keep_struct(e, sizeof(*item));

    item->kind = kind;
    return item;
}

/* Gives it its place in the output. */
static void link_item(encoder_t *e, item_t *item, llmux_buf_t *out)
{
    settle(e, 0, out);
    item->index = e->count++;
    if (!item->id) {
        item->id = make_id(e, item);
    }
    if (e->last) {
        e->last->next = item;
    }
    else {
        e->items = item;
    }
    e->last = item;
    e->open = e->open ? e->open : item;
    llmux_responses_say_item(e, item, out);
}

static void link_block(encoder_t *e, block_t *b, llmux_buf_t *out)
{
    if (!b->linked) {
        b->linked = 1;
        link_item(e, b->item, out);
    }
}

/* Texts that follow each other are parts of one message, as long as its
 * phase is the same. */
static int goes_on(const item_t *item, const block_t *b)
{
    return item && item->kind == LLMUX_OUTPUT_MESSAGE && !item->closed
        && (!b->phase.data || llmux_slice_equal(item->phase, b->phase));
}

static item_t *message_for(encoder_t *e, const block_t *b, llmux_buf_t *out)
{
    item_t *item = e->last;

    if (goes_on(item, b)) {
        close_parts(e, item, 0, out);
        return item;
    }
    item = make_item(e, LLMUX_OUTPUT_MESSAGE);
    item->phase = b->phase;
    link_item(e, item, out);
    return item;
}

static void begin_part(encoder_t *e, block_t *b, llmux_buf_t *out)
{
    item_t *item = message_for(e, b, out);
    part_t *part = keep_struct(e, sizeof(*part));

    part->index = item->last ? item->last->index + 1 : 0;
    part->refusal = b->kind == LLMUX_BLOCK_REFUSAL;
    part->from = e->points;
    e->refused |= part->refusal;
    *(item->last ? &item->last->next : &item->parts) = part;
    item->last = part;
    b->item = item;
    b->part = part;
    if (!part->refusal) {
        e->text = part;
        e->text_item = item;
    }
    llmux_responses_say_part(e, item, part, out);
}

/* ---- blocks ------------------------------------------------------------ */

static block_t *find_block(const encoder_t *e, int key)
{
    block_t *b = e->blocks;

    while (b && b->key != key) {
        b = b->next;
    }
    return b;
}

static block_t *open_block(encoder_t *e, const llmux_event_t *ev)
{
    block_t *b = e->unused;

    if (b) {
        e->unused = b->next;
        memset(b, 0, sizeof(*b));
    }
    else {
        b = apr_pcalloc(e->pool, sizeof(*b));
    }
    b->kind = ev->block;
    b->key = ev->key;
    b->next = e->blocks;
    e->blocks = b;
    return b;
}

static void free_block(encoder_t *e, block_t *b)
{
    block_t **at = &e->blocks;

    while (*at != b) {
        at = &(*at)->next;
    }
    *at = b->next;
    b->next = e->unused;
    e->unused = b;
}

/* ---- calls ------------------------------------------------------------- */

static const llmux_tool_t *tool_of(const encoder_t *e, llmux_slice_t name)
{
    const llmux_tool_t *tool = e->how.tools;

    while (tool && !llmux_slice_equal(tool->name, name)) {
        tool = tool->next;
    }
    return tool;
}

/* A tool of a namespace goes by its own name again. */
static void name_call(encoder_t *e, item_t *item, const llmux_tool_t *tool,
                      llmux_slice_t name)
{
    if (tool && tool->space.len && name.len > tool->space.len + 2) {
        item->space = tool->space;
        name.data += tool->space.len + 2;
        name.len -= tool->space.len + 2;
    }
    item->name = keep_word(e, name);
}

/* Who knows functions alone got a custom tool as one of a single member. */
static void begin_call(encoder_t *e, block_t *b, const llmux_event_t *ev)
{
    const llmux_tool_t *tool = tool_of(e, ev->name);
    int custom = ev->custom || (tool && tool->custom);

    b->item = make_item(e, custom ? LLMUX_OUTPUT_CUSTOM
                                  : LLMUX_OUTPUT_FUNCTION);
    b->item->wrapped = custom && !ev->custom;
    b->item->call_id = keep_word(e, ev->id);
    name_call(e, b->item, tool, ev->name);
    e->pending = b;
    e->calls++;
}

/* The text in `input`; what is no such object goes to the client as it came,
 * since nobody else could make more of it. */
static void unwrap(encoder_t *e, item_t *item, llmux_buf_t *out)
{
    const llmux_json_t *input;
    apr_pool_t *scratch;
    llmux_slice_t text;

    apr_pool_create(&scratch, e->pool);
    text = llmux_slice_dup(scratch, llmux_buf_slice(buffer(e, &item->text)));
    input = llmux_json_get(llmux_json_parse(scratch, text, 0, NULL), "input");
    if (llmux_json_kind(input) == LLMUX_JSON_STRING) {
        text = llmux_json_str(scratch, input);
    }
    e->kept -= item->text->len;
    llmux_buf_reset(item->text);
    keep(e, &item->text, text);
    llmux_responses_say_more(e, item, text, out);
    apr_pool_destroy(scratch);
}

/* ---- tokens ------------------------------------------------------------ */

static void keep_token(encoder_t *e, item_t *item, llmux_token_t token)
{
    if (item->token) {
        e->kept -= item->token->len;
        llmux_buf_reset(item->token);
    }
    keep(e, &item->token, token.bytes);
}

/* Calls have no place for one: it is carried by reasoning of its own. */
static void say_call_token(encoder_t *e, const item_t *call,
                           llmux_token_t token, llmux_buf_t *out)
{
    item_t *item;

    if (token.maker == LLMUX_MAKER_GEMINI && token.bytes.len
        && call->call_id.data) {
        item = make_item(e, LLMUX_OUTPUT_REASONING);
        item->stopped = 1;
        keep_token(e, item, token);
        link_item(e, item, out);
    }
}

/* The call that was held back goes out.
 * @return whether that took care of the event */
static int flush_call(encoder_t *e, const llmux_event_t *ev, llmux_buf_t *out)
{
    block_t *b = e->pending;
    int token = ev->kind == LLMUX_EV_TOKEN && ev->key == b->key;

    e->pending = NULL;
    if (token) {
        say_call_token(e, b->item, ev->token, out);
    }
    link_block(e, b, out);
    return token;
}

/* ---- events ------------------------------------------------------------ */

typedef void (*event_fn)(encoder_t *e, const llmux_event_t *ev, block_t *b,
                         llmux_buf_t *out);

static void on_open(encoder_t *e, const llmux_event_t *ev)
{
    block_t *b;

    if (ev->cand != 0) {
        return;         /* this API knows one answer */
    }
    b = open_block(e, ev);
    switch (b->kind) {
    case LLMUX_BLOCK_CALL:
        begin_call(e, b, ev);
        break;
    case LLMUX_BLOCK_THINK:
        b->item = make_item(e, LLMUX_OUTPUT_REASONING);
        b->item->id = given_id(e, ev->id);
        break;
    case LLMUX_BLOCK_TEXT:
        b->phase = keep_word(e, ev->name);
        break;
    default:
        break;
    }
}

/* OpenAI's decoder puts an empty line between messages, for clients who know
 * one message only. */
static int is_gap(const encoder_t *e, const llmux_event_t *ev,
                  const block_t *b)
{
    return !b->part && b->phase.data && e->text && !goes_on(e->last, b)
        && llmux_slice_is(ev->text, "\n\n");
}

static void on_text(encoder_t *e, const llmux_event_t *ev, block_t *b,
                    llmux_buf_t *out)
{
    apr_int64_t points;

    if (!ev->text.len
        || (b->kind != LLMUX_BLOCK_TEXT && b->kind != LLMUX_BLOCK_REFUSAL)) {
        return;
    }
    if (is_gap(e, ev, b)) {
        e->points += (apr_int64_t)ev->text.len;
        return;
    }
    if (!b->part) {
        begin_part(e, b, out);
    }
    keep(e, &b->part->text, ev->text);
    if (!b->part->refusal) {
        points = llmux_slice_points(ev->text);
        b->part->points += points;
        e->points += points;
    }
    llmux_responses_say_text(e, b->item, b->part, ev->text, out);
}

static void on_think(encoder_t *e, const llmux_event_t *ev, block_t *b,
                     llmux_buf_t *out)
{
    if (e->how.show_thinking && b->kind == LLMUX_BLOCK_THINK
        && ev->text.len) {
        link_block(e, b, out);
        keep(e, &b->item->text, ev->text);
        llmux_responses_say_more(e, b->item, ev->text, out);
    }
}

static void on_args(encoder_t *e, const llmux_event_t *ev, block_t *b,
                    llmux_buf_t *out)
{
    if (b->kind == LLMUX_BLOCK_CALL && ev->text.len) {
        keep(e, &b->item->text, ev->text);
        if (!b->item->wrapped) {
            llmux_responses_say_more(e, b->item, ev->text, out);
        }
    }
}

static void on_token(encoder_t *e, const llmux_event_t *ev, block_t *b,
                     llmux_buf_t *out)
{
    if (b->kind == LLMUX_BLOCK_CALL) {
        say_call_token(e, b->item, ev->token, out);
    }
    else if (b->kind == LLMUX_BLOCK_THINK && e->how.show_thinking
             && ev->token.maker != LLMUX_MAKER_NONE && ev->token.bytes.len) {
        link_block(e, b, out);
        keep_token(e, b->item, ev->token);
    }
}

/* Sound has no place here. */
static void on_media(encoder_t *e, const llmux_event_t *ev, block_t *b,
                     llmux_buf_t *out)
{
    llmux_slice_t format = ev->name;
    item_t *item;

    if (!llmux_slice_starts(ev->name, "image/") || !ev->text.len) {
        return;
    }
    format.data += strlen("image/");
    format.len -= strlen("image/");
    item = make_item(e, LLMUX_OUTPUT_IMAGE);
    item->format = keep_word(e, format);
    item->stopped = 1;
    link_item(e, item, out);
    keep(e, &item->text, ev->text);
}

static void on_stop(encoder_t *e, const llmux_event_t *ev, block_t *b,
                    llmux_buf_t *out)
{
    if (b->part) {
        b->part->stopped = 1;
    }
    else if (b->item) {
        b->item->stopped = 1;
        if (b->item->wrapped) {
            unwrap(e, b->item, out);
        }
    }
    free_block(e, b);
}

static const event_fn block_events[] = {
    [LLMUX_EV_TEXT]       = on_text,
    [LLMUX_EV_REFUSAL]    = on_text,
    [LLMUX_EV_THINK]      = on_think,
    [LLMUX_EV_ARGS]       = on_args,
    [LLMUX_EV_TOKEN]      = on_token,
    [LLMUX_EV_MEDIA]      = on_media,
    [LLMUX_EV_BLOCK_STOP] = on_stop
};

static void on_block(encoder_t *e, const llmux_event_t *ev, llmux_buf_t *out)
{
    block_t *b = find_block(e, ev->key);

    if (b && (unsigned)ev->kind < sizeof(block_events) / sizeof(event_fn)
        && block_events[ev->kind]) {
        block_events[ev->kind](e, ev, b, out);
    }
}

/* ---- what goes with a text --------------------------------------------- */

typedef struct place_t {
    item_t *item;
    part_t *part;
} place_t;

/* The part that has this code point of the answer's text. */
static place_t place_of(encoder_t *e, apr_int64_t point)
{
    place_t place = { e->text_item, e->text };
    item_t *item;
    part_t *part;

    for (item = point < 0 ? NULL : e->items; item; item = item->next) {
        for (part = item->parts; part; part = part->next) {
            if (!part->refusal && part->from <= point
                && point < part->from + part->points) {
                place.item = item;
                place.part = part;
            }
        }
    }
    return place;
}

/* Some servers name their sources before the text. */
static void begin_text(encoder_t *e, const llmux_event_t *ev,
                       llmux_buf_t *out)
{
    block_t *b = find_block(e, ev->key);

    if (!e->text && b && b->kind == LLMUX_BLOCK_TEXT && !b->part) {
        begin_part(e, b, out);
    }
}

static void on_cite(encoder_t *e, const llmux_event_t *ev, llmux_buf_t *out)
{
    place_t at;
    llmux_buf_t *json;
    apr_size_t before;
    llmux_jw_t w;

    if (ev->cand != 0 || !ev->cite || !ev->cite->url.len) {
        return;
    }
    begin_text(e, ev, out);
    at = place_of(e, ev->cite->start);
    if (!at.part
        || !room(e, ev->cite->url.len + ev->cite->title.len + CITE_MAX)) {
        return;
    }
    json = buffer(e, &at.part->annotations);
    w = llmux_jw(json);
    w.comma = json->len > 0;
    before = json->len + (json->len > 0);
    llmux_responses_put_cite(&w, ev->cite, at.part);
    e->overflow |= json->failed;
    llmux_responses_say_cite(e, at.item, at.part, before, out);
    at.part->cites++;
}

/* The array's elements, to be joined with those of other pieces. */
static void on_logprobs(encoder_t *e, const llmux_event_t *ev,
                        llmux_buf_t *out)
{
    llmux_slice_t inner = ev->text;
    apr_size_t before;
    llmux_buf_t *b;

    if (ev->cand != 0 || !e->text || inner.len < 2 || *inner.data != '[') {
        return;
    }
    inner.data++;
    inner.len -= 2;
    if (llmux_slice_blank(inner) || !room(e, inner.len + 1)) {
        return;
    }
    b = buffer(e, &e->text->logprobs);
    llmux_buf_adds(b, b->len ? "," : "");
    before = b->len;
    llmux_json_one_line(b, inner);
    e->overflow |= b->failed;
    if (!e->text->closed) {
        llmux_responses_say_logprobs(e, e->text_item, e->text, before, out);
    }
}

/* ---- beginning and end -------------------------------------------------- */

/* A client may insist on the model's name that it asked for; a model without
 * a name has an empty one, since clients' types know no other. Ids of other
 * APIs are none that a client could use here. */
static void begin(encoder_t *e, const llmux_event_t *ev)
{
    const char *id = llmux_slice_starts(ev->id, "resp_")
        ? given_id(e, ev->id) : NULL;

    e->begun = 1;
    e->id = id ? id : e->how.id ? e->how.id : "resp_0";
    e->model = llmux_slice_dup(e->pool, e->how.model.data ? e->how.model
                                        : ev->name.data ? ev->name
                                        : llmux_slice(""));
    e->tier = keep_word(e, ev->tier);
    e->created = ev->created > 0 ? ev->created : e->how.created;
}

static int cuts(llmux_finish_e finish)
{
    return finish == LLMUX_FINISH_LENGTH || finish == LLMUX_FINISH_CONTEXT
           || finish == LLMUX_FINISH_FILTER;
}

static void on_finish(encoder_t *e, const llmux_event_t *ev,
                      llmux_buf_t *out)
{
    if (ev->cand != 0 || e->finished) {
        return;
    }
    e->finished = 1;
    e->finish = ev->finish;
    if (e->last && !e->last->closed) {
        e->last->incomplete = cuts(e->finish);
    }
    settle(e, 0, out);
}

static void on_end(encoder_t *e, llmux_buf_t *out)
{
    settle(e, 1, out);
    llmux_responses_say_end(e, out);
}

static void dispatch(encoder_t *e, const llmux_event_t *ev, llmux_buf_t *out)
{
    if (e->pending && flush_call(e, ev, out)) {
        return;
    }
    switch (ev->kind) {
    case LLMUX_EV_BLOCK_START:
        on_open(e, ev);
        break;
    case LLMUX_EV_CITE:
        on_cite(e, ev, out);
        break;
    case LLMUX_EV_LOGPROBS:
        on_logprobs(e, ev, out);
        break;
    case LLMUX_EV_USAGE:
        llmux_usage_merge(&e->usage, ev->usage);
        break;
    case LLMUX_EV_FINISH:
        on_finish(e, ev, out);
        break;
    case LLMUX_EV_ERROR:
        llmux_responses_say_error(e, ev->error, out);
        break;
    case LLMUX_EV_END:
        on_end(e, out);
        break;
    default:
        on_block(e, ev, out);
    }
}

/* What is another maker's goes under a seal, together with the call that it
 * belongs to: calls have no place for it. */
static void on_closed(encoder_t *e, const llmux_event_t *ev, llmux_buf_t *out)
{
    const block_t *b = find_block(e, ev->key);
    llmux_event_t closed = *ev;
    apr_pool_t *scratch;

    if (b && b->kind == LLMUX_BLOCK_CALL) {
        closed.token.call_id = b->item->call_id;
    }
    apr_pool_create(&scratch, e->pool);
    closed.token = llmux_token_close(scratch, &e->how, &closed.token,
                                     LLMUX_MADE_BY(LLMUX_MAKER_OPENAI));
    dispatch(e, &closed, out);
    apr_pool_destroy(scratch);
}

/* An error before all else may come behind what another encoder said: it
 * brings no beginning along. */
static void event(llmux_encoder_t *base, const llmux_event_t *ev,
                  llmux_buf_t *out)
{
    static const llmux_event_t none = { .kind = LLMUX_EV_START };
    encoder_t *e = (encoder_t *)base;

    if (e->ended) {
        return;
    }
    if (ev->kind == LLMUX_EV_PING) {
        llmux_buf_adds(out, e->how.streamed ? ": keep-alive\n\n" : "");
        return;
    }
    e->ended = ev->kind == LLMUX_EV_ERROR || ev->kind == LLMUX_EV_END;
    if (!e->begun) {
        begin(e, ev->kind == LLMUX_EV_START ? ev : &none);
        if (ev->kind != LLMUX_EV_ERROR) {
            llmux_responses_say_begin(e, out);
        }
    }
    if (ev->kind == LLMUX_EV_TOKEN) {
        on_closed(e, ev, out);
    }
    else if (ev->kind != LLMUX_EV_START) {
        dispatch(e, ev, out);
    }
    if (e->overflow) {
        out->failed = 1;    /* the buffer's way to say: it did not fit */
    }
}

llmux_encoder_t *llmux_responses_encoder(apr_pool_t *p,
                                         const llmux_encode_t *how)
{
    static const llmux_usage_t unknown = LLMUX_USAGE_NONE;
    encoder_t *e = apr_pcalloc(p, sizeof(*e));

    e->base.event = event;
    e->pool = p;
    e->how = *how;
    e->usage = unknown;
    return &e->base;
}
