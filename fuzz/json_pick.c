/* json_pick.c - fuzzes picking: it must say yes to what the parser takes, as
 * long as that is simple, to nothing else, and bring the same values.
 *
 * covers: src/core/json_pick.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#include "llmux/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

/* ---- what is picked -------------------------------------------------- */

#define ANY   0xffu
#define TEXT  (1u << LLMUX_JSON_STRING | 1u << LLMUX_JSON_NULL)
#define TREE  (1u << LLMUX_JSON_OBJECT | 1u << LLMUX_JSON_NULL)
#define LIST  (1u << LLMUX_JSON_ARRAY | 1u << LLMUX_JSON_NUMBER)

/* Two of the long ones share a slot. */
enum { A, BC, DEF, LONG, LONGER, LONGEST, LISTS, TREES, CLOSED, SHARED, SLOTS };

static const llmux_json_pick_t inner[] = {
    { LLMUX_JSON_PICK("a", SHARED), ANY, NULL },
    { LLMUX_JSON_PICK("none", CLOSED), LLMUX_JSON_PICK_EMPTY, NULL },
    LLMUX_JSON_PICK_END
};

static const llmux_json_pick_t outer[] = {
    { LLMUX_JSON_PICK("a", A), ANY, NULL },
    { LLMUX_JSON_PICK("bc", BC), TEXT, NULL },
    { LLMUX_JSON_PICK("def", DEF), TEXT, NULL },
    { LLMUX_JSON_PICK("tree", TREES), TREE, inner },
    { LLMUX_JSON_PICK("list", LISTS), LIST, inner },
    { LLMUX_JSON_PICK("closed", CLOSED), LIST | TREE, NULL },
    { LLMUX_JSON_PICK("twelve_chars", LONG), ANY, NULL },
    { LLMUX_JSON_PICK("twelve_chart", LONG), ANY, NULL },
    { LLMUX_JSON_PICK("twenty_chars_in_name", LONGER), ANY, NULL },
    { LLMUX_JSON_PICK("more_than_24_chars_altogether", LONGEST), ANY, NULL },
    LLMUX_JSON_PICK_END
};

/* ---- what the parser says of it -------------------------------------- */

static const llmux_json_pick_t *row_of(const llmux_json_pick_t *picks,
                                       const llmux_json_t *name)
{
    for (; picks->name; picks++) {
        if (llmux_slice_equal(
                llmux_json_raw(name),
                (llmux_slice_t){ name->at, picks->len + 1u })
            && !memcmp(name->at + 1, picks->name, picks->len)) {
            return picks;
        }
    }
    return NULL;
}

static unsigned kind_bit(const llmux_json_t *v)
{
    return llmux_slice_is(llmux_json_raw(v), "[]") ? LLMUX_JSON_PICK_EMPTY
                                                   : 1u << v->kind;
}

static int is_simple(const llmux_json_t *object,
                     const llmux_json_pick_t *picks,
                     const llmux_json_t **slots);

static int is_simple_inside(const llmux_json_t *v,
                            const llmux_json_pick_t *picks,
                            const llmux_json_t **slots)
{
    if (v->kind == LLMUX_JSON_ARRAY) {
        v = llmux_json_count(v) == 1 ? llmux_json_first(v) : NULL;
    }
    return llmux_json_kind(v) == LLMUX_JSON_OBJECT
        && is_simple(v, picks, slots);
}

/* Notes where the values are. */
static int is_simple(const llmux_json_t *object,
                     const llmux_json_pick_t *picks,
                     const llmux_json_t **slots)
{
    const llmux_json_t *m, *v;
    const llmux_json_pick_t *pick;

    for (m = llmux_json_first(object); m;
         m = llmux_json_next_member(object, m)) {
        pick = row_of(picks, m);
        v = llmux_json_value(m);
        if (m->escaped || (pick && (slots[pick->slot]
                                    || !(pick->kinds & kind_bit(v))))) {
            return 0;
        }
        if (!pick) {
            continue;
        }
        slots[pick->slot] = v;
        if (pick->inside && !llmux_slice_is(llmux_json_raw(v), "[]")
            && (v->kind == LLMUX_JSON_ARRAY || v->kind == LLMUX_JSON_OBJECT)
            && !is_simple_inside(v, pick->inside, slots)) {
            return 0;
        }
    }
    return 1;
}

/* ---- both ------------------------------------------------------------ */

static void same(apr_pool_t *p, const llmux_json_t *got,
                 const llmux_json_t *want)
{
    MUST(got->kind == llmux_json_kind(want));
    MUST(!want || llmux_slice_equal(llmux_json_raw(got),
                                    llmux_json_raw(want)));
    MUST(!llmux_json_first(got) && !llmux_json_count(got));
    MUST(llmux_json_int(got, 7) == llmux_json_int(want, 7));
    if (got->kind == LLMUX_JSON_STRING) {
        MUST(llmux_slice_equal(llmux_json_str(p, got),
                               llmux_json_str(p, want)));
    }
}

static void fuzz(apr_pool_t *p, llmux_slice_t text)
{
    const llmux_json_t *want[SLOTS] = { NULL };
    llmux_json_t got[SLOTS];
    const llmux_json_t *v = llmux_json_parse(p, text, 0, NULL);
    int i, yes = llmux_json_pick(text, outer, got, SLOTS);

    MUST(yes == (llmux_json_kind(v) == LLMUX_JSON_OBJECT
                 && is_simple(v, outer, want)));
    for (i = 0; yes && i < SLOTS; i++) {
        same(p, &got[i], want[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *pool;
    llmux_slice_t text = { (const char *)data, size };
    apr_pool_t *p;

    if (!pool) {
        apr_initialize();
        apr_pool_create(&pool, NULL);
    }
    if (!size) {
        text.data = "";
    }
    apr_pool_create(&p, pool);
    fuzz(p, text);
    apr_pool_destroy(p);
    return 0;
}
