/* responses_decode_items.c - the items of Responses' output: which of them is
 * meant, and what of it has not been said yet. */

#include "responses_decode.h"

typedef llmux_responses_decode_t decoder_t;
typedef llmux_responses_item_t item_t;
typedef llmux_responses_part_t part_t;
typedef llmux_responses_kind_e kind_e;

/* All others are the server's own business (its tools, their results,
 * compaction ...), and no client could do anything with them. */
static const char *const kinds[] = {
    [LLMUX_ITEM_MESSAGE] = "message",
    [LLMUX_ITEM_REASONING] = "reasoning",
    [LLMUX_ITEM_CALL] = "function_call",
    [LLMUX_ITEM_CUSTOM] = "custom_tool_call",
    [LLMUX_ITEM_IMAGE] = "image_generation_call"
};

static kind_e kind_of(const llmux_json_t *v)
{
    const llmux_json_t *type = llmux_json_get(v, "type");
    int i = 0;

    while (i < LLMUX_ITEM_KINDS && !llmux_json_is(type, kinds[i])) {
        i++;
    }
    return (kind_e)i;
}

/* Notes the id that this payload speaks of. @return its hash, 0 for none */
static apr_uint64_t id_of(decoder_t *d, const llmux_json_t *v,
                          const char *name)
{
    d->id = member(d, v, name);
    return d->id.len
        ? llmux_responses_hash(LLMUX_RESPONSES_HASH, d->id) | 1 : 0;
}

static apr_int64_t index_of(const llmux_json_t *v, const char *name)
{
    apr_int64_t n = llmux_json_int(llmux_json_get(v, name), -1);

    return n < 0 ? -1 : n;
}

static item_t *make(decoder_t *d, kind_e kind, apr_int64_t index,
                    apr_uint64_t id)
{
    item_t *item;

    if (++d->count > LLMUX_BLOCKS_MAX) {
        bad(d, "The provider's answer has too many parts.");
        return NULL;
    }
    item = apr_pcalloc(d->base.pool, sizeof(*item));
    item->kind = kind;
    item->index = index;
    item->id = id;
    item->next = d->items;
    d->items = item;
    d->seen[kind]++;
    return item;
}

static void note_phase(decoder_t *d, item_t *item, const llmux_json_t *v)
{
    llmux_slice_t phase = member(d, v, "phase");

    if (!item->phase.data && phase.len
        && phase.len <= LLMUX_RESPONSES_PHASE_MAX) {
        item->phase = llmux_slice_dup(d->base.pool, phase);
    }
}

static item_t *by_index(decoder_t *d, kind_e kind, apr_int64_t index)
{
    item_t *item = d->items;

    while (item && (item->kind != kind || item->index != index)) {
        item = item->next;
    }
    return item;
}

static item_t *by_id(decoder_t *d, kind_e kind, apr_uint64_t id)
{
    item_t *item = id ? d->items : NULL;

    while (item && (item->kind != kind || item->id != id)) {
        item = item->next;
    }
    return item;
}

/* Ids change from event to event with some hosts, places do not. Who names no
 * place may name an id, or neither: then it is the latest of its kind. */
static item_t *find(decoder_t *d, kind_e kind, apr_int64_t index,
                    apr_uint64_t id)
{
    item_t *item = d->items;

    if (index >= 0 || id) {
        return index >= 0 ? by_index(d, kind, index) : by_id(d, kind, id);
    }
    while (item && item->kind != kind) {
        item = item->next;
    }
    return item;
}

item_t *llmux_responses_item(decoder_t *d, const llmux_json_t *event,
                             kind_e kind)
{
    apr_int64_t index = index_of(event, "output_index");
    apr_uint64_t id = id_of(d, event, "item_id");
    item_t *item = find(d, kind, index, id);

    return item ? item : make(d, kind, index, id);
}

/* ---- parts ----------------------------------------------------------- */

part_t *llmux_responses_part(decoder_t *d, part_t **list, apr_int64_t index,
                             llmux_block_e block)
{
    part_t *part;

    while (*list && ((*list)->index < index
                     || ((*list)->index == index
                         && (*list)->block != block))) {
        list = &(*list)->next;
    }
    part = *list;
    if (part && part->index == index) {
        return part;
    }
    if (++d->parts > LLMUX_RESPONSES_PARTS_MAX) {
        bad(d, "The provider's answer has too many parts.");
        return NULL;
    }
    part = apr_pcalloc(d->base.pool, sizeof(*part));
    part->index = index;
    part->block = block;
    part->key = -1;
    part->next = *list;
    *list = part;
    return part;
}

/* Some servers count parts through all items, so that the numbers in events
 * are not the places in the list: then they are in the same order at least. */
static part_t *nth_part(decoder_t *d, part_t **list, int n, int count,
                        llmux_block_e block)
{
    part_t *last = *list, *part = *list;
    int i;

    while (last && last->next) {
        last = last->next;
    }
    if (last && last->index >= count) {
        for (i = 0; part && i < n; i++) {
            part = part->next;
        }
        if (part && part->block == block) {
            return part;
        }
        return llmux_responses_part(d, list, last->index + 1, block);
    }
    return llmux_responses_part(d, list, n, block);
}

static void complete_content(decoder_t *d, item_t *item,
                             const llmux_json_t *list)
{
    int count = llmux_json_count(list), n = 0, refusal;
    const llmux_json_t *v, *type;
    part_t *part;

    if (llmux_json_kind(list) != LLMUX_JSON_ARRAY) {
        return;
    }
    for (v = llmux_json_first(list); v && !d->base.ended;
         v = llmux_json_next(list, v), n++) {
        type = llmux_json_get(v, "type");
        refusal = llmux_json_is(type, "refusal");
        if (!refusal && !llmux_json_is(type, "output_text")
            && !llmux_json_is(type, "text")) {
            continue;
        }
        part = nth_part(d, &item->content, n, count,
                        refusal ? LLMUX_BLOCK_REFUSAL : LLMUX_BLOCK_TEXT);
        if (part) {
            llmux_responses_complete(d, item, part, v);
            llmux_responses_close_part(d, part);
        }
    }
}

static void complete_thoughts(decoder_t *d, item_t *item, part_t **parts,
                              const llmux_json_t *list)
{
    int count = llmux_json_count(list), n = 0;
    const llmux_json_t *v;
    part_t *part;

    if (llmux_json_kind(list) != LLMUX_JSON_ARRAY) {
        return;
    }
    for (v = llmux_json_first(list); v && !d->base.ended;
         v = llmux_json_next(list, v)) {
        part = nth_part(d, parts, n++, count, LLMUX_BLOCK_THINK);
        if (part) {
            llmux_responses_think(d, item, part, llmux_responses_unsaid(
                &part->said, member(d, v, "text")));
        }
    }
}

static void complete_call(decoder_t *d, item_t *item, const llmux_json_t *v)
{
    const llmux_json_t *args = llmux_json_get(
        v, item->kind == LLMUX_ITEM_CUSTOM ? "input" : "arguments");

    llmux_responses_begin_call(d, item, v, 1);
    /* Some servers send an object instead of its text. */
    llmux_responses_args(d, item, llmux_responses_unsaid(
        &item->args, llmux_json_kind(args) == LLMUX_JSON_OBJECT
            ? llmux_json_raw(args)
            : llmux_json_str(d->base.scratch, args)));
}

/* Says what is missing of an item, and ends it. */
static void complete(decoder_t *d, item_t *item, const llmux_json_t *v)
{
    switch (item->kind) {
    case LLMUX_ITEM_MESSAGE:
        note_phase(d, item, v);
        complete_content(d, item, llmux_json_get(v, "content"));
        break;
    case LLMUX_ITEM_REASONING:
        complete_thoughts(d, item, &item->summary,
                          llmux_json_get(v, "summary"));
        complete_thoughts(d, item, &item->content,
                          llmux_json_get(v, "content"));
        llmux_responses_token(d, item, member(d, v, "encrypted_content"));
        break;
    case LLMUX_ITEM_IMAGE:
        llmux_responses_image(d, item, v);
        break;
    default:
        complete_call(d, item, v);
        break;
    }
    llmux_responses_close(d, item);
    item->done = 1;
}

/* ---- events with an item --------------------------------------------- */

void llmux_responses_item_added(decoder_t *d, const llmux_json_t *event)
{
    const llmux_json_t *v = llmux_json_get(event, "item");
    apr_int64_t index = index_of(event, "output_index");
    apr_uint64_t id = id_of(d, v, "id");
    kind_e kind = kind_of(v);
    item_t *item;

    if (kind == LLMUX_ITEM_KINDS) {
        return;
    }
    item = find(d, kind, index, id);
    if (!item || (item->announced && item->id != id)) {
        item = make(d, kind, index, id);
    }
    if (!item) {
        return;
    }
    item->announced = 1;
    item->id = id;
    note_phase(d, item, v);
    if (kind == LLMUX_ITEM_CALL || kind == LLMUX_ITEM_CUSTOM) {
        llmux_responses_begin_call(d, item, v, 0);
    }
}

void llmux_responses_item_done(decoder_t *d, const llmux_json_t *event)
{
    const llmux_json_t *v = llmux_json_get(event, "item");
    apr_int64_t index = index_of(event, "output_index");
    apr_uint64_t id = id_of(d, v, "id");
    kind_e kind = kind_of(v);
    item_t *item;

    if (kind == LLMUX_ITEM_KINDS) {
        return;
    }
    item = find(d, kind, index, id);
    if (!item || (item->done && item->id != id)) {
        item = make(d, kind, index, id);
    }
    if (item) {
        item->id = id;
        complete(d, item, v);
    }
}

/* ---- the whole output ------------------------------------------------ */

static void count_kinds(const llmux_json_t *output, int counts[])
{
    const llmux_json_t *v;
    kind_e kind;

    for (v = llmux_json_first(output); v; v = llmux_json_next(output, v)) {
        kind = kind_of(v);
        if (kind < LLMUX_ITEM_KINDS) {
            counts[kind]++;
        }
    }
}

/* One that was not recalled yet, by its id or (0) its place. */
static item_t *unrecalled(decoder_t *d, kind_e kind, int place,
                          apr_uint64_t id)
{
    item_t *item = d->items;

    while (item && (item->kind != kind || item->recalled
                    || (id ? item->id != id : item->index != place))) {
        item = item->next;
    }
    return item;
}

/* The output may leave out items that the stream had, and then places are
 * other ones; ids may be other ones, too. What neither of them finds is new
 * only if there are more of its kind than the stream had. */
static item_t *recall(decoder_t *d, const llmux_json_t *v, kind_e kind,
                      int place, int all)
{
    apr_uint64_t id = id_of(d, v, "id");
    item_t *item = id ? unrecalled(d, kind, place, id) : NULL;

    item = item ? item : unrecalled(d, kind, place, 0);
    if (!item && d->seen[kind] < all) {
        item = make(d, kind, place, id);
    }
    if (item) {
        item->recalled = 1;
    }
    return item;
}

static void end_items(decoder_t *d)
{
    item_t *item;

    for (item = d->items; item; item = item->next) {
        if ((item->kind == LLMUX_ITEM_CALL || item->kind == LLMUX_ITEM_CUSTOM)
            && !item->began) {
            bad(d, "The provider sent a tool call without a name.");
        }
        llmux_responses_close(d, item);
    }
}

void llmux_responses_output(decoder_t *d, const llmux_json_t *output)
{
    int counts[LLMUX_ITEM_KINDS] = { 0 }, place = 0;
    const llmux_json_t *v;
    item_t *item;
    kind_e kind;

    if (llmux_json_kind(output) == LLMUX_JSON_ARRAY) {
        count_kinds(output, counts);
        for (v = llmux_json_first(output); v && !d->base.ended;
             v = llmux_json_next(output, v), place++) {
            kind = kind_of(v);
            item = kind < LLMUX_ITEM_KINDS && place < LLMUX_BLOCKS_MAX
                ? recall(d, v, kind, place, counts[kind]) : NULL;
            if (item) {
                complete(d, item, v);
            }
        }
    }
    end_items(d);
}
