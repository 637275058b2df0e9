/* merge.c - byte-pair merging of one piece.
 *
 * Parts are a linked list, named by where they begin. Of all neighbours that
 * make a token together, those of the lowest rank are merged, the leftmost
 * first, until there are none. A heap finds them: a piece of n bytes takes
 * n log n steps, whatever it is made of. An entry of the heap whose rank is no
 * longer that of its part is stale and is skipped.
 */

#include "bpe.h"

enum { ROOM_MIN = 64 };

static void make_room(llmux_merge_t *m, apr_size_t len)
{
    if (len <= m->room) {
        return;
    }
    m->room = m->room ? m->room : ROOM_MIN;
    while (m->room < len) {
        m->room *= 2;
    }
    m->next = apr_palloc(m->pool, m->room * sizeof(*m->next));
    m->prev = apr_palloc(m->pool, (m->room + 1) * sizeof(*m->prev));
    m->rank = apr_palloc(m->pool, m->room * sizeof(*m->rank));
    /* One pair for each byte, and two more for each merge. */
    m->heap = apr_palloc(m->pool, 3 * m->room * sizeof(*m->heap));
}

static void push(llmux_merge_t *m, llmux_pair_t pair)
{
    apr_uint32_t i = m->pairs++;

    while (i && m->heap[(i - 1) / 2] > pair) {
        m->heap[i] = m->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    m->heap[i] = pair;
}

static llmux_pair_t pop(llmux_merge_t *m)
{
    llmux_pair_t top = m->heap[0], last = m->heap[--m->pairs];
    apr_uint32_t i = 0, child = 1;

    while (child < m->pairs) {
        child += child + 1 < m->pairs && m->heap[child + 1] < m->heap[child];
        if (m->heap[child] >= last) {
            break;
        }
        m->heap[i] = m->heap[child];
        i = child;
        child = 2 * i + 1;
    }
    m->heap[i] = last;
    return top;
}

/* What the part at `at` and its next would be in one. */
static void rate(llmux_merge_t *m, const llmux_ranks_t *r, const char *piece,
                 apr_size_t len, apr_uint32_t at)
{
    apr_uint32_t next = m->next[at];

    m->rank[at] = next < len
        ? llmux_ranks_find(r, piece + at, m->next[next] - at)
        : LLMUX_RANK_NONE;
    if (m->rank[at] != LLMUX_RANK_NONE) {
        push(m, (llmux_pair_t)m->rank[at] << 32 | at);
    }
}

static void begin(llmux_merge_t *m, const llmux_ranks_t *r, const char *piece,
                  apr_size_t len)
{
    apr_uint32_t i;

    make_room(m, len);
    m->pairs = 0;
    for (i = 0; i < len; i++) {
        m->next[i] = (apr_uint16_t)(i + 1);
        m->prev[i + 1] = (apr_uint16_t)i;
    }
    for (i = 0; i < len; i++) {
        rate(m, r, piece, len, i);
    }
}

static void join(llmux_merge_t *m, const llmux_ranks_t *r, const char *piece,
                 apr_size_t len, apr_uint32_t at)
{
    apr_uint32_t gone = m->next[at];

    m->rank[gone] = LLMUX_RANK_NONE;
    m->next[at] = m->next[gone];
    m->prev[m->next[at]] = (apr_uint16_t)at;
    rate(m, r, piece, len, at);
    if (at) {
        rate(m, r, piece, len, m->prev[at]);
    }
}

apr_uint32_t llmux_merge_count(llmux_merge_t *m, const llmux_ranks_t *r,
                               const char *piece, apr_size_t len)
{
    apr_uint32_t parts = (apr_uint32_t)len;

    begin(m, r, piece, len);
    while (m->pairs) {
        llmux_pair_t pair = pop(m);
        apr_uint32_t at = (apr_uint32_t)pair;

        if (m->rank[at] == (apr_uint32_t)(pair >> 32)) {
            join(m, r, piece, len, at);
            parts--;
        }
    }
    return parts;
}
