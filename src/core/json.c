/* json.c - validates a JSON text in one pass and indexes its values. */

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "llmux/core.h"
#include "scan.h"

#define STRING_OF(x) #x
#define TEXT_OF(x) STRING_OF(x)

enum {
    NODES_FIRST = 32,       /* room made for the first value */
    NODES_KEPT = 1 << 16    /* room kept from one text to the next */
};

/* An array or object that is not closed yet. */
typedef struct frame_t {
    apr_uint32_t node;      /* its own, if it is recorded */
    char closer;            /* '}' or ']' */
} frame_t;

struct llmux_json_parser_t {
    apr_pool_t *pool;
    llmux_json_t *nodes;    /* malloc's, freed with the pool */
    int guarded;            /* the cleanup is registered */
    apr_uint32_t count, cap;
    apr_uint32_t most;      /* nodes; 0 = LLMUX_JSON_NODES_MAX */
    const char *start, *end;    /* the text */
    int limit;              /* values nested deeper are not recorded */
    int level;              /* containers open now */
    int more;               /* a value must follow */
    const char *bad;        /* where it fails */
    const char *reason;
    frame_t *open;          /* those; on the stack of whoever parses */
};

static const char *fail(llmux_json_parser_t *ps, const char *at,
                        const char *reason)
{
    ps->bad = at;
    ps->reason = at == ps->end ? "unexpected end of text" : reason;
    return NULL;
}

static apr_status_t release(void *data)
{
    llmux_json_parser_t *ps = data;

    free(ps->nodes);
    ps->nodes = NULL;
    ps->cap = 0;
    return APR_SUCCESS;
}

static int grow(llmux_json_parser_t *ps)
{
    apr_uint32_t cap = ps->cap ? ps->cap * 2 : NODES_FIRST;
    llmux_json_t *nodes;

    if (cap > (ps->most ? ps->most : LLMUX_JSON_NODES_MAX) || !ps->pool) {
        return 0;
    }
    nodes = realloc(ps->nodes, cap * sizeof(*nodes));
    if (!nodes) {
        return 0;
    }
    if (!ps->guarded) {
        apr_pool_cleanup_register(ps->pool, ps, release,
                                  apr_pool_cleanup_null);
        ps->guarded = 1;
    }
    ps->nodes = nodes;
    ps->cap = cap;
    return 1;
}

/* Notes a value that reaches from `at` to `past`. */
static inline const char *record(llmux_json_parser_t *ps, const char *at,
                                 const char *past, llmux_json_e kind,
                                 int escaped)
{
    llmux_json_t *n;

    if (ps->level > ps->limit) {
        return past;
    }
    if (ps->count == ps->cap && !grow(ps)) {
        return fail(ps, at, "too many values");
    }
    n = &ps->nodes[ps->count++];
    n->at = at;
    n->len = (apr_uint32_t)(past - at);
    n->skip = 1;
    n->kind = (unsigned char)kind;
    n->escaped = (unsigned char)escaped;
    return past;
}

static inline const char *skip_space(const char *p, const char *end)
{
    while (p < end && llmux_char_is_space(*p)) {
        p++;
    }
    return p;
}

static inline int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* `p` is behind the backslash. At the end of the text it stays there, for
 * read_string() to say what is missing. */
static const char *read_escape(llmux_json_parser_t *ps, const char *p)
{
    int i;

    switch (p < ps->end ? *p : '"') {
    case '"': case '\\': case '/':
    case 'b': case 'f': case 'n': case 'r': case 't':
        return p + (p < ps->end);
    case 'u':
        break;
    default:
        return fail(ps, p, "invalid escape");
    }
    for (i = 0, p++; i < 4 && p < ps->end; i++, p++) {
        if (!is_hex(*p)) {
            return fail(ps, p, "invalid escape");
        }
    }
    return p;
}

/* Characters outside ASCII rarely come alone. */
static const char *read_utf8(llmux_json_parser_t *ps, const char *p)
{
    int n;

    do {
        n = llmux_scan_utf8(p, ps->end);
        if (n < 0) {
            return fail(ps, p, "invalid UTF-8");
        }
        p += n;
    } while (p < ps->end && (*p & 0x80));
    return p;
}

/* A name or a value; `p` is at the quote. */
static const char *read_string(llmux_json_parser_t *ps, const char *at)
{
    const char *p = at + 1;
    int escaped = 0;

    while (p) {
        p = llmux_scan_plain(p, ps->end);
        if (p == ps->end) {
            return fail(ps, at, "unterminated string");
        }
        if (*p == '"') {
            return record(ps, at, p + 1, LLMUX_JSON_STRING, escaped);
        }
        if (*p == '\\') {
            escaped = 1;
            p = read_escape(ps, p + 1);
        }
        else if (*p & 0x80) {
            p = read_utf8(ps, p);
        }
        else {
            p = fail(ps, p, "control character in a string");
        }
    }
    return NULL;
}

/* At least one digit. */
static const char *read_digits(llmux_json_parser_t *ps, const char *p)
{
    if (p == ps->end || !is_digit(*p)) {
        return fail(ps, p, "invalid number");
    }
    while (p < ps->end && is_digit(*p)) {
        p++;
    }
    return p;
}

static const char *read_number(llmux_json_parser_t *ps, const char *at)
{
    const char *p = at + (*at == '-');

    if (p < ps->end && *p == '0') {
        p++;
        if (p < ps->end && is_digit(*p)) {
            return fail(ps, p, "invalid number");
        }
    }
    else {
        p = read_digits(ps, p);
    }
    if (p && p < ps->end && *p == '.') {
        p = read_digits(ps, p + 1);
    }
    if (p && p < ps->end && (*p == 'e' || *p == 'E')) {
        p++;
        p = read_digits(ps, p + (p < ps->end && (*p == '+' || *p == '-')));
    }
    return p ? record(ps, at, p, LLMUX_JSON_NUMBER, 0) : NULL;
}

static const char *read_word(llmux_json_parser_t *ps, const char *at,
                             const char *word, llmux_json_e kind)
{
    const char *p = at;

    for (; *word; word++, p++) {
        if (p == ps->end || *p != *word) {
            return fail(ps, p, "unexpected character");
        }
    }
    return record(ps, at, p, kind, 0);
}

/* A member's name and its colon. */
static const char *read_name(llmux_json_parser_t *ps, const char *p)
{
    p = skip_space(p, ps->end);
    if (p == ps->end || *p != '"') {
        return fail(ps, p, "expected a name in quotes");
    }
    p = read_string(ps, p);
    if (!p) {
        return NULL;
    }
    p = skip_space(p, ps->end);
    if (p == ps->end || *p != ':') {
        return fail(ps, p, "expected ':'");
    }
    return p + 1;
}

/* `past` is behind the closing bracket of the innermost container. */
static const char *close_container(llmux_json_parser_t *ps, const char *past)
{
    frame_t *f = &ps->open[--ps->level];
    llmux_json_t *n;

    if (ps->level <= ps->limit) {
        n = &ps->nodes[f->node];
        n->len = (apr_uint32_t)(past - n->at);
        n->skip = ps->count - f->node;
    }
    return past;
}

/* Goes into a container, up to where its first value begins. */
static const char *open_container(llmux_json_parser_t *ps, const char *p,
                                  llmux_json_e kind)
{
    frame_t *f = &ps->open[ps->level];

    if (ps->level == LLMUX_JSON_DEPTH_MAX) {
        return fail(ps, p, "nested deeper than "
                           TEXT_OF(LLMUX_JSON_DEPTH_MAX) " levels");
    }
    f->node = ps->count;
    f->closer = kind == LLMUX_JSON_OBJECT ? '}' : ']';
    p = record(ps, p, p + 1, kind, 0);
    if (!p) {
        return NULL;
    }
    ps->level++;
    p = skip_space(p, ps->end);
    if (p < ps->end && *p == f->closer) {
        return close_container(ps, p + 1);
    }
    ps->more = 1;
    return kind == LLMUX_JSON_OBJECT ? read_name(ps, p) : p;
}

/* A whole scalar, or the beginning of a container. */
static const char *read_value(llmux_json_parser_t *ps, const char *p)
{
    ps->more = 0;
    p = skip_space(p, ps->end);
    switch (p < ps->end ? *p : 0) {
    case '"':
        return read_string(ps, p);
    case '{':
        return open_container(ps, p, LLMUX_JSON_OBJECT);
    case '[':
        return open_container(ps, p, LLMUX_JSON_ARRAY);
    case 't':
        return read_word(ps, p, "true", LLMUX_JSON_BOOL);
    case 'f':
        return read_word(ps, p, "false", LLMUX_JSON_BOOL);
    case 'n':
        return read_word(ps, p, "null", LLMUX_JSON_NULL);
    case '-': case '0': case '1': case '2': case '3': case '4':
    case '5': case '6': case '7': case '8': case '9':
        return read_number(ps, p);
    default:
        return fail(ps, p, "unexpected character");
    }
}

/* Closes what ends behind a value, up to where the next one begins. */
static const char *read_after(llmux_json_parser_t *ps, const char *p)
{
    char closer;

    while (p && ps->level) {
        closer = ps->open[ps->level - 1].closer;
        p = skip_space(p, ps->end);
        if (p < ps->end && *p == ',') {
            ps->more = 1;
            return closer == '}' ? read_name(ps, p + 1) : p + 1;
        }
        if (p == ps->end || *p != closer) {
            return fail(ps, p, closer == '}' ? "expected ',' or '}'"
                                             : "expected ',' or ']'");
        }
        p = close_container(ps, p + 1);
    }
    return p;
}

static int read_text(llmux_json_parser_t *ps, llmux_slice_t text)
{
    const char *p = text.data ? text.data : "";
    frame_t open[LLMUX_JSON_DEPTH_MAX];

    ps->open = open;
    ps->start = p;
    ps->end = p + text.len;
    ps->count = 0;
    ps->level = 0;
    if (text.len >= LLMUX_JSON_TEXT_MAX) {
        fail(ps, p, "text too long");
        return 0;
    }
    do {
        p = read_value(ps, p);
        if (p && !ps->more) {
            p = read_after(ps, p);
        }
    } while (p && ps->more);
    p = p ? skip_space(p, ps->end) : NULL;
    if (p && p < ps->end) {
        p = fail(ps, p, "text after the value");
    }
    ps->open = NULL;
    return p != NULL;
}

static void locate(const llmux_json_parser_t *ps, llmux_json_error_t *err)
{
    const char *line = ps->start, *p;

    err->offset = (apr_size_t)(ps->bad - ps->start);
    err->reason = ps->reason;
    err->line = 1;
    for (p = line; p < ps->bad; p++) {
        if (*p == '\n') {
            err->line++;
            line = p + 1;
        }
    }
    err->column = (int)(ps->bad - line) + 1;
}

llmux_json_parser_t *llmux_json_parser_create(apr_pool_t *p)
{
    llmux_json_parser_t *ps = apr_pcalloc(p, sizeof(*ps));

    ps->pool = p;
    return ps;
}

void llmux_json_parser_bound(llmux_json_parser_t *parser, apr_uint32_t nodes)
{
    parser->most = nodes;
}

const llmux_json_t *llmux_json_parse_again(llmux_json_parser_t *parser,
                                           llmux_slice_t text, int depth,
                                           llmux_json_error_t *err)
{
    if (parser->cap > NODES_KEPT) {
        release(parser);
    }
    parser->limit = depth > 0 ? depth : LLMUX_JSON_DEPTH_MAX;
    if (read_text(parser, text)) {
        return parser->nodes;
    }
    if (err) {
        locate(parser, err);
    }
    return NULL;
}

const llmux_json_t *llmux_json_parse(apr_pool_t *p, llmux_slice_t text,
                                     int depth, llmux_json_error_t *err)
{
    return llmux_json_parse_again(llmux_json_parser_create(p), text, depth,
                                  err);
}

int llmux_json_is_object(apr_pool_t *p, llmux_slice_t text)
{
    llmux_json_t top = { 0 };
    /* With nothing below the top recorded, one node is room enough. */
    llmux_json_parser_t ps = { .nodes = &top, .cap = 1, .limit = 0 };

    return read_text(&ps, text) && top.kind == LLMUX_JSON_OBJECT;
}
