/* json_pick.c - validates a JSON text and picks a few members of it, in one
 * pass and without an index. Takes what json.c takes: fuzz/json_pick.c. */

#include <string.h>

#include "llmux/core.h"
#include "scan.h"

/* Functions that read go from where a thing begins to behind it; NULL: it is
 * no JSON, or not as simple as asked for.
 *
 * The text ends with the brace of its one object. So whatever is being read
 * stops at that byte at the latest, and nothing looks beyond it, if only
 * whoever closes an inner object sees that it was not the last one. */
typedef struct pick_t {
    const char *end;
    llmux_json_t *slots;
    llmux_json_t other;     /* what nobody asked for */
    int level;              /* containers open now */
    int more;               /* a value must follow */
    char closers[LLMUX_JSON_DEPTH_MAX];
} pick_t;

static const char *skip_spaces(const char *p)
{
    while (llmux_char_is_space(*p)) {
        p++;
    }
    return p;
}

/* Programs rarely write any. */
static inline const char *skip_space(const char *p)
{
    return *p > ' ' ? p : skip_spaces(p);
}

/* The colon behind a name, up to the value. */
static inline const char *skip_colon(const char *p)
{
    p = *p == ':' ? p : skip_spaces(p);
    return *p == ':' ? skip_space(p + 1) : NULL;
}

/* The brace of an object that is not the outermost. */
static inline const char *close_object(const pick_t *ps, const char *p)
{
    return *p == '}' && p + 1 < ps->end ? p + 1 : NULL;
}

/* ---- scalars --------------------------------------------------------- */

static inline int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int is_hex(char c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* `p` is behind the backslash. */
static const char *skip_escape(const char *p)
{
    int i;

    if (*p != 'u') {
        return *p && strchr("\"\\/bfnrt", *p) ? p + 1 : NULL;
    }
    for (i = 1; i <= 4; i++) {
        if (!is_hex(p[i])) {
            return NULL;
        }
    }
    return p + 5;
}

/* `p` is at a byte that is not plain, within a string. */
static const char *skip_special(const char *p, const char *end)
{
    int n;

    if (*p == '\\') {
        return skip_escape(p + 1);
    }
    if (!(*p & 0x80)) {
        return NULL;
    }
    do {
        n = llmux_scan_utf8(p, end);
        if (n < 0) {
            return NULL;
        }
        p += n;
    } while (*p & 0x80);
    return p;
}

static const char *read_string(const char *p, const char *end,
                               llmux_json_t *v)
{
    v->escaped = 0;
    for (p = llmux_scan_plain(p + 1, end); p < end && *p != '"';
         p = llmux_scan_plain(p, end)) {
        v->escaped |= *p == '\\';
        p = skip_special(p, end);
        if (!p) {
            return NULL;
        }
    }
    return p < end ? p + 1 : NULL;
}

/* At least one digit. */
static const char *skip_digits(const char *p)
{
    if (!is_digit(*p)) {
        return NULL;
    }
    while (is_digit(*p)) {
        p++;
    }
    return p;
}

/* A digit behind a leading zero is no comma or bracket: it ends there. */
static const char *skip_number(const char *p)
{
    p += *p == '-';
    p = *p == '0' ? p + 1 : skip_digits(p);
    if (p && *p == '.') {
        p = skip_digits(p + 1);
    }
    if (p && (*p == 'e' || *p == 'E')) {
        p++;
        p = skip_digits(p + (*p == '+' || *p == '-'));
    }
    return p;
}

static inline const char *skip_word(const char *p, const char *end,
                                    const char *word, apr_size_t len)
{
    return (apr_size_t)(end - p) >= len && !memcmp(p, word, len) ? p + len
                                                                 : NULL;
}

static const char *read_scalar(const char *p, const char *end,
                               llmux_json_t *v)
{
    switch (*p) {
    case '"':
        v->kind = LLMUX_JSON_STRING;
        return read_string(p, end, v);
    case 't':
        v->kind = LLMUX_JSON_BOOL;
        return skip_word(p, end, "true", 4);
    case 'f':
        v->kind = LLMUX_JSON_BOOL;
        return skip_word(p, end, "false", 5);
    case 'n':
        v->kind = LLMUX_JSON_NULL;
        return skip_word(p, end, "null", 4);
    case '-': case '0': case '1': case '2': case '3': case '4':
    case '5': case '6': case '7': case '8': case '9':
        v->kind = LLMUX_JSON_NUMBER;
        return skip_number(p);
    default:
        return NULL;
    }
}

/* ---- values that are only validated ---------------------------------- */

/* A member's name and its colon, up to the value. */
static const char *skip_name(pick_t *ps, const char *p)
{
    p = *p == '"' ? read_string(p, ps->end, &ps->other) : NULL;
    return p ? skip_colon(p) : NULL;
}

/* Goes into a container, up to where its first value begins, or behind its
 * end when it has none. */
static const char *open_container(pick_t *ps, const char *p)
{
    char closer = *p == '{' ? '}' : ']';

    if (ps->level == LLMUX_JSON_DEPTH_MAX) {
        return NULL;
    }
    p = skip_space(p + 1);
    if (*p == closer) {
        return closer == '}' ? close_object(ps, p) : p + 1;
    }
    ps->closers[ps->level++] = closer;
    ps->more = 1;
    return closer == '}' ? skip_name(ps, p) : p;
}

/* Closes what ends behind a value, up to where the next one begins. */
static const char *close_containers(pick_t *ps, const char *p, int floor)
{
    char closer;

    while (p && ps->level > floor) {
        closer = ps->closers[ps->level - 1];
        p = skip_space(p);
        if (*p == ',') {
            ps->more = 1;
            p = skip_space(p + 1);
            return closer == '}' ? skip_name(ps, p) : p;
        }
        if (*p != closer) {
            return NULL;
        }
        ps->level--;
        p = closer == '}' ? close_object(ps, p) : p + 1;
    }
    return p;
}

static const char *skip_value(pick_t *ps, const char *p)
{
    int floor = ps->level;

    do {
        ps->more = 0;
        p = *p == '{' || *p == '[' ? open_container(ps, p)
                                   : read_scalar(p, ps->end, &ps->other);
        if (p && !ps->more) {
            p = close_containers(ps, p, floor);
        }
    } while (p && ps->more);
    return p;
}

/* ---- values that are wanted ------------------------------------------ */

static const char *read_members(pick_t *ps, const char *p,
                                const llmux_json_pick_t *picks);

static const char *read_object(pick_t *ps, const char *p,
                               const llmux_json_pick_t *picks)
{
    p = read_members(ps, p, picks);
    return p ? close_object(ps, p) : NULL;
}

/* An array that holds one object. */
static const char *read_array(pick_t *ps, const char *p,
                              const llmux_json_pick_t *picks)
{
    p = skip_space(p + 1);
    if (*p != '{' || ps->level == LLMUX_JSON_DEPTH_MAX) {
        return NULL;
    }
    ps->level++;
    p = read_object(ps, p, picks);
    p = p ? skip_space(p) : NULL;
    ps->level--;
    return p && *p == ']' ? p + 1 : NULL;
}

/* An array without anything in it, not even space, is so common and so short
 * that it is a kind of its own. */
static const char *read_container(pick_t *ps, const char *p,
                                  const llmux_json_pick_t *pick,
                                  llmux_json_t *v)
{
    v->kind = *p == '{' ? LLMUX_JSON_OBJECT : LLMUX_JSON_ARRAY;
    if (p[0] == '[' && p[1] == ']' && ps->level < LLMUX_JSON_DEPTH_MAX) {
        return pick->kinds & LLMUX_JSON_PICK_EMPTY ? p + 2 : NULL;
    }
    if (!(pick->kinds & 1u << v->kind)) {
        return NULL;
    }
    if (!pick->inside) {
        return skip_value(ps, p);
    }
    return *p == '{' ? read_object(ps, p, pick->inside)
                     : read_array(ps, p, pick->inside);
}

static const char *read_any(pick_t *ps, const char *p,
                            const llmux_json_pick_t *pick, llmux_json_t *v)
{
    if (*p == '{' || *p == '[') {
        p = read_container(ps, p, pick, v);
    }
    else {
        p = read_scalar(p, ps->end, v);
        p = pick->kinds & 1u << v->kind ? p : NULL;
    }
    v->len = p ? (apr_uint32_t)(p - v->at) : 0;
    return p;
}

/* Most are strings of plain characters: shortest way. */
static inline const char *read_wanted(pick_t *ps, const char *p,
                                      const llmux_json_pick_t *pick)
{
    llmux_json_t *v = &ps->slots[pick->slot];
    const char *past;

    if (v->kind != LLMUX_JSON_NONE) {
        return NULL;
    }
    v->at = p;
    past = *p == '"' ? llmux_scan_plain(p + 1, ps->end) : ps->end;
    if (past == ps->end || *past != '"'
        || !(pick->kinds & 1u << LLMUX_JSON_STRING)) {
        return read_any(ps, p, pick, v);
    }
    v->kind = LLMUX_JSON_STRING;
    v->len = (apr_uint32_t)(past + 1 - p);
    return past + 1;
}

/* ---- members --------------------------------------------------------- */

/* `a` and `b` are `len` bytes long, at least 2. They are names: too short to
 * call memcmp() for them. */
static inline int is_same(const char *a, const char *b, apr_size_t len)
{
    if (len < 4) {
        return !memcmp(a, b, 2) && a[len - 1] == b[len - 1];
    }
    if (len < 8) {
        return !memcmp(a, b, 4) && !memcmp(a + len - 4, b + len - 4, 4);
    }
    return !memcmp(a, b, 8) && !memcmp(a + len - 8, b + len - 8, 8)
        && (len <= 16 || !memcmp(a + 8, b + 8, len - 16));
}

static inline int is_at(const char *p, const char *end,
                        const llmux_json_pick_t *pick)
{
    return (apr_size_t)(end - p) >= pick->len
        && is_same(p, pick->name, pick->len);
}

/* Which of the wanted members' names stands at `p`, behind the quote? Most
 * senders keep to one order, so the search begins where the last one ended.
 * NULL for none, or for one that must be decoded to know it. */
static inline const llmux_json_pick_t *find(const llmux_json_pick_t *picks,
                                            const llmux_json_pick_t *next,
                                            const char *p, const char *end)
{
    const llmux_json_pick_t *pick;

    for (pick = next; pick->name; pick++) {
        if (is_at(p, end, pick)) {
            return pick;
        }
    }
    for (pick = picks; pick < next; pick++) {
        if (is_at(p, end, pick)) {
            return pick;
        }
    }
    return NULL;
}

/* A member nobody asked for; one whose name has escapes might be another. */
static const char *skip_member(pick_t *ps, const char *p)
{
    p = skip_name(ps, p);
    return p && !ps->other.escaped ? skip_value(ps, p) : NULL;
}

static inline const char *read_member(pick_t *ps, const char *p,
                                      const llmux_json_pick_t *picks,
                                      const llmux_json_pick_t **next)
{
    const llmux_json_pick_t *pick;

    pick = *p == '"' ? find(picks, *next, p + 1, ps->end) : NULL;
    if (!pick) {
        return skip_member(ps, p);
    }
    *next = pick + 1;
    p = skip_colon(p + 1 + pick->len);
    return p ? read_wanted(ps, p, pick) : NULL;
}

/* From the object's first brace up to its last. */
static const char *read_members(pick_t *ps, const char *p,
                                const llmux_json_pick_t *picks)
{
    const llmux_json_pick_t *next = picks;

    /* cppcheck-suppress ctuuninitvar; closers are written before read */
    if (ps->level == LLMUX_JSON_DEPTH_MAX) {
        return NULL;
    }
    ps->level++;
    p = skip_space(p + 1);
    while (*p != '}') {
        p = read_member(ps, p, picks, &next);
        p = p ? skip_space(p) : NULL;
        if (!p || *p != ',') {
            break;
        }
        p = skip_space(p + 1);
        if (*p == '}') {
            return NULL;
        }
    }
    ps->level--;
    return p;
}

/* ---- all of it ------------------------------------------------------- */

/* A value takes a byte at least: so short a text cannot hold more of them
 * than json.c would index. */
int llmux_json_pick(llmux_slice_t text, const llmux_json_pick_t *picks,
                    llmux_json_t *slots, int count)
{
    const char *p = text.data ? text.data : "", *end = p + text.len;
    pick_t ps;

    memset(slots, 0, (apr_size_t)count * sizeof(*slots));
    while (end > p && llmux_char_is_space(end[-1])) {
        end--;
    }
    if (end == p || end[-1] != '}' || text.len > LLMUX_JSON_NODES_MAX) {
        return 0;
    }
    ps.end = end;
    ps.slots = slots;
    ps.level = 0;
    p = skip_space(p);
    p = *p == '{' ? read_members(&ps, p, picks) : NULL;
    return p && *p == '}' && p + 1 == end;
}
