/* http_parse.c - a provider's HTTP/1.1 response, byte by byte, strictly. */

#include <string.h>

#include <apr_cstr.h>

#include "http_inflate.h"
#include "http_parse.h"

enum {
    SIZE_DIGITS_MAX = 15,       /* hexadecimal: 60 bits */
    LENGTH_DIGITS_MAX = 18      /* decimal: less than 60 bits */
};

/* What the next byte belongs to. */
typedef enum {
    AT_HEAD,
    AT_SIZED_BODY,
    AT_OPEN_BODY,               /* ends with the connection */
    AT_CHUNK_SIZE,
    AT_CHUNK_BLANK,             /* white space behind the size */
    AT_CHUNK_EXTENSION,
    AT_CHUNK_LINE_LF,
    AT_CHUNK,
    AT_CHUNK_CR,
    AT_CHUNK_LF,
    AT_TRAILER,
    AT_END
} state_e;

/* What a head says about the message, gathered while it is read. */
typedef struct said_t {
    const char *type;           /* the first Content-Type */
    const char *coding;         /* what to inflate the body with, or NULL */
    apr_uint64_t length;        /* the last Content-Length */
    int lengths, transfers;     /* how many Content-Length, -Encoding */
    int layers;                 /* of coding, 2 for one unknown */
    int chunked, close, keep_alive;
} said_t;

/* Returns the end, where all loops stop. */
static const char *broken(llmux_http_parser_t *ps, const char *problem,
                          const char *end)
{
    ps->problem = problem;
    ps->result = LLMUX_PARSE_BROKEN;
    return end;
}

/* ---- characters ------------------------------------------------------- */

enum { TOKEN = 1, CONTROL = 2 };

/* RFC 9110 5.6.2: what a name is made of; and what a value is not. */
static const unsigned char kinds[256] = {
    [0x00 ... 0x1f] = CONTROL, [0x7f] = CONTROL,
    ['0' ... '9'] = TOKEN, ['A' ... 'Z'] = TOKEN, ['a' ... 'z'] = TOKEN,
    ['!'] = TOKEN, ['#'] = TOKEN, ['$'] = TOKEN, ['%'] = TOKEN,
    ['&'] = TOKEN, ['\''] = TOKEN, ['*'] = TOKEN, ['+'] = TOKEN,
    ['-'] = TOKEN, ['.'] = TOKEN, ['^'] = TOKEN, ['_'] = TOKEN,
    ['`'] = TOKEN, ['|'] = TOKEN, ['~'] = TOKEN
};

static int is_kind(char c, int kind)
{
    return kinds[(unsigned char)c] & kind;
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* 0 to 15, or -1. */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#define EACH_BYTE (~(apr_uint64_t)0 / 255)

/* How many bytes a word has. */
enum { WORD = sizeof(apr_uint64_t) };

/* The next bytes, the first one lowest. */
static apr_uint64_t word_at(const char *s)
{
    apr_uint64_t w;

    memcpy(&w, s, WORD);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap64(w);
#endif
    return w;
}

/* The highest bit of each byte that is a control character: one that borrows
 * when ' ' is taken away, or is zero when DEL is. Right up to the first such
 * byte; what it borrows may show in those behind it. */
static apr_uint64_t controls(apr_uint64_t w)
{
    apr_uint64_t del = w ^ EACH_BYTE * 0x7f;

    return (((w - EACH_BYTE * ' ') & ~w) | ((del - EACH_BYTE) & ~del))
           & EACH_BYTE * 0x80;
}

/* The first control character that is no tab. There is one: see copied(). */
static char *text_end(char *s)
{
    apr_uint64_t found;

    for (;;) {
        found = controls(word_at(s));
        if (!found) {
            s += WORD;
            continue;
        }
        s += __builtin_ctzll(found) / 8;
        if (*s != '\t') {
            return s;
        }
        s++;
    }
}

/* ---- what headers mean ------------------------------------------------ */

/* Values stand trimmed and end with NUL. Each returns NULL or what is wrong. */

/* A plain number. A list ("5, 5") is refused, see objection(). */
static const char *note_length(said_t *said, const char *value)
{
    const char *s = value;

    said->length = 0;
    while (*s >= '0' && *s <= '9' && s - value < LENGTH_DIGITS_MAX) {
        said->length = said->length * 10 + (apr_uint64_t)(*s++ - '0');
    }
    said->lengths++;
    return s == value || *s ? "a Content-Length that is no plain number"
                            : NULL;
}

static const char *note_transfer(said_t *said, const char *value)
{
    said->transfers++;
    said->chunked = !apr_cstr_casecmp(value, "chunked");
    return said->chunked || !apr_cstr_casecmp(value, "identity")
               ? NULL : "a body coded in a way not asked for";
}

/* One layer that comes off with little memory. Layers upon layers are how a
 * few bytes become terabytes. */
static const struct { const char *coding; int layers; } codings[] = {
    { "gzip",     1 },
    { "x-gzip",   1 },
    { "deflate",  1 },
    { "identity", 0 },
    { "none",     0 },
    { "",         0 },
    { NULL,       2 }
};

static const char *note_coding(said_t *said, const char *value)
{
    int i = 0;

    while (codings[i].coding && apr_cstr_casecmp(value, codings[i].coding)) {
        i++;
    }
    said->layers += codings[i].layers;
    if (codings[i].layers) {
        said->coding = value;
    }
    return NULL;
}

static const char *note_connection(said_t *said, const char *value)
{
    const char *end;

    for (; *value; value = end) {
        while (is_blank(*value) || *value == ',') {
            value++;
        }
        for (end = value; *end && !is_blank(*end) && *end != ','; end++) {
        }
        said->close |= end - value == 5
                       && !apr_cstr_casecmpn(value, "close", 5);
        said->keep_alive |= end - value == 10
                            && !apr_cstr_casecmpn(value, "keep-alive", 10);
    }
    return NULL;
}

static const char *note_type(said_t *said, const char *value)
{
    said->type = said->type ? said->type : value;
    return NULL;
}

/* By the length of the name, which tells them apart. */
static const struct {
    const char *name;
    const char *(*note)(said_t *said, const char *value);
} meanings[] = {
    [10] = { "connection",        note_connection },
    [12] = { "content-type",      note_type },
    [14] = { "content-length",    note_length },
    [16] = { "content-encoding",  note_coding },
    [17] = { "transfer-encoding", note_transfer }
};

static const char *note(said_t *said, const llmux_header_t *h,
                        apr_size_t name_len)
{
    if (name_len >= sizeof(meanings) / sizeof(meanings[0])
        || !meanings[name_len].name
        || (*h->name | 0x20) != *meanings[name_len].name
        || apr_cstr_casecmp(h->name, meanings[name_len].name)) {
        return NULL;
    }
    return meanings[name_len].note(said, h->value);
}

/* ---- the lines of a head ---------------------------------------------- */

/* Lines in memory that may be written to: NULs go where names and values
 * end. They end with LF, and a word more may be read. */
static char *copied(apr_pool_t *p, const char *lines, apr_size_t len)
{
    char *copy = apr_palloc(p, len + WORD);

    memcpy(copy, lines, len);
    memset(copy + len, 0, WORD);
    return copy;
}

/* The next line, or NULL if this one does not end here. RFC 9112 2.2 lets a
 * bare LF end a line, which some small servers write. Not so in trailers:
 * these are part of the chunks' framing, where two readers could see two
 * ends. A bare CR is nowhere an end. */
static char *line_after(const llmux_http_parser_t *ps, char *s)
{
    if (s[0] == '\r' && s[1] == '\n') {
        return s + 2;
    }
    return *s == '\n' && ps->state != AT_TRAILER ? s + 1 : NULL;
}

/* "HTTP/1.1 200 OK" and no other spacing; the reason may be missing. */
static char *status_line(llmux_http_parser_t *ps, char *s)
{
    int i, status = 0;

    if (memcmp(s, "HTTP/1.", 7) || (s[7] != '0' && s[7] != '1')
        || s[8] != ' ') {
        return NULL;
    }
    for (i = 9; i < 12 && s[i] >= '0' && s[i] <= '9'; i++) {
        status = status * 10 + s[i] - '0';
    }
    if (i < 12 || status < 100 || status > 599) {
        return NULL;
    }
    ps->minor = s[7] - '0';
    ps->response.status = status;
    return line_after(ps, s[12] == ' ' ? text_end(s + 13) : s + 12);
}

/* What goes wrong when a name does not end in a colon at once. White space in
 * front of that is how a header hides from another reader: RFC 9112 5.1. */
static const char *name_problem(const char *name)
{
    return is_blank(*name) ? "a folded header" : "a malformed header";
}

/* One header; the line behind it, or NULL with `problem` set. Trailers mean
 * nothing to `said`. */
static char *header_line(llmux_http_parser_t *ps, char *s, llmux_header_t *h,
                         said_t *said)
{
    char *end, *next;

    h->name = s;
    while (is_kind(*s, TOKEN)) {
        s++;
    }
    if (*s != ':' || s == h->name) {
        ps->problem = name_problem(h->name);
        return NULL;
    }
    end = s++;
    *end = '\0';
    while (is_blank(*s)) {
        s++;
    }
    h->value = s;
    s = text_end(s);
    next = line_after(ps, s);
    while (s > h->value && is_blank(s[-1])) {
        s--;
    }
    *s = '\0';
    if (!next) {
        ps->problem = "a control character in a header";
    }
    else if (said) {
        ps->problem = note(said, h, (apr_size_t)(end - h->name));
    }
    return ps->problem ? NULL : next;
}

/* All of them down to the empty line, into `to` unless that is NULL; it has
 * room for as many as there are lines. */
static int header_lines(llmux_http_parser_t *ps, char *s, said_t *said,
                        apr_array_header_t *to)
{
    llmux_header_t unused, *h = &unused;

    while (s && !line_after(ps, s)) {
        if (to) {
            h = &APR_ARRAY_IDX(to, to->nelts++, llmux_header_t);
        }
        s = header_line(ps, s, h, said);
    }
    return s != NULL;
}

/* ---- what the message is ---------------------------------------------- */

static int announces_body(const said_t *said)
{
    return said->transfers || said->length;
}

/* What two readers could take for two different messages. That several equal
 * Content-Lengths may be read as one (RFC 9110 8.6) is of use to nobody but
 * a smuggler: no provider sends them, and two hops that each add one are a
 * step from disagreeing. */
static const char *objection(const llmux_http_parser_t *ps,
                             const said_t *said)
{
    if (said->transfers && !ps->minor) {
        return "Transfer-Encoding in HTTP/1.0";
    }
    if (said->transfers && said->lengths) {
        return "Transfer-Encoding and Content-Length";
    }
    if (said->transfers > 1) {
        return "more than one Transfer-Encoding";
    }
    if (said->lengths > 1) {
        return "more than one Content-Length";
    }
    if (ps->response.status == 101) {
        return "unasked switch of protocols";
    }
    if (ps->response.status < 200) {
        return announces_body(said) ? "an interim answer with a body" : NULL;
    }
    return said->layers > 1 ? "a body coded in a way not asked for" : NULL;
}

/* A 204 or 304 has no body (RFC 9112 6.3). One that announces it may be
 * followed by it all the same, so nothing else is read from there. */
static state_e framing(llmux_http_parser_t *ps, const said_t *said)
{
    ps->persistent = ps->minor ? !said->close
                               : said->keep_alive && !said->close;
    if (ps->response.status == 204 || ps->response.status == 304) {
        ps->persistent &= !announces_body(said);
        return AT_END;
    }
    if (said->chunked) {
        return AT_CHUNK_SIZE;
    }
    if (said->lengths) {
        ps->left = said->length;
        return ps->left ? AT_SIZED_BODY : AT_END;
    }
    ps->persistent = 0;
    return AT_OPEN_BODY;
}

/* ---- the body --------------------------------------------------------- */

static void finish(llmux_http_parser_t *ps)
{
    if (ps->inflate && !llmux_inflate_complete(ps->inflate)) {
        broken(ps, "a compressed body that ends too early", NULL);
        return;
    }
    ps->state = AT_END;
    ps->result = LLMUX_PARSE_DONE;
    ps->keep = ps->persistent;
}

/* Hands out bytes of the body that stand here; what follows them. */
static const char *give(llmux_http_parser_t *ps, const char *at,
                        apr_size_t len, const char *end)
{
    const char *problem = NULL;

    if (ps->inflate) {
        problem = llmux_inflate_feed(ps->inflate, at, len, &ps->to);
    }
    else if (ps->to.body) {
        ps->to.body(ps->to.baton, at, len);
    }
    return problem ? broken(ps, problem, end) : at + len;
}

/* As many of the bytes that are left to come as are here. */
static const char *give_counted(llmux_http_parser_t *ps, const char *at,
                                const char *end)
{
    apr_size_t n = (apr_size_t)(end - at);

    if (n > ps->left) {
        n = (apr_size_t)ps->left;
    }
    ps->left -= n;
    return give(ps, at, n, end);
}

static const char *sized_body(llmux_http_parser_t *ps, const char *at,
                              const char *end)
{
    at = give_counted(ps, at, end);
    if (!ps->left && ps->result == LLMUX_PARSE_MORE) {
        finish(ps);
    }
    return at;
}

static const char *open_body(llmux_http_parser_t *ps, const char *at,
                             const char *end)
{
    return give(ps, at, (apr_size_t)(end - at), end);
}

/* ---- chunks ----------------------------------------------------------- *
 *
 * RFC 9112 7.1 to the letter: whoever takes a bare LF, a blank or a sign for
 * part of a chunk's line can be made to see other chunks than we do.
 */

/* This one byte and no other. */
static const char *expect(llmux_http_parser_t *ps, const char *at,
                          const char *end, char c, state_e next)
{
    if (*at != c) {
        return broken(ps, "a malformed chunk", end);
    }
    ps->state = next;
    return at + 1;
}

static const char *chunk_size(llmux_http_parser_t *ps, const char *at,
                              const char *end)
{
    int digit = hex_digit(*at);

    while (digit >= 0 && ps->digits < SIZE_DIGITS_MAX) {
        ps->left = ps->left << 4 | (apr_uint64_t)digit;
        ps->digits++;
        if (++at == end) {
            return at;
        }
        digit = hex_digit(*at);
    }
    if (!ps->digits) {
        return broken(ps, "a chunk without a size", end);
    }
    ps->extra = 0;
    ps->state = *at == '\r' ? AT_CHUNK_LINE_LF : AT_CHUNK_BLANK;
    return *at == '\r' ? at + 1 : at;
}

/* White space only in front of an extension. */
static const char *chunk_blank(llmux_http_parser_t *ps, const char *at,
                               const char *end)
{
    while (at < end && is_blank(*at) && ps->extra < LLMUX_CHUNK_EXTRA_MAX) {
        ps->extra++;
        at++;
    }
    return at < end ? expect(ps, at, end, ';', AT_CHUNK_EXTENSION) : at;
}

/* Nobody asked for any, so they are not looked into. */
static const char *chunk_extension(llmux_http_parser_t *ps, const char *at,
                                   const char *end)
{
    while (at < end && (*at == '\t' || !is_kind(*at, CONTROL))
           && ps->extra < LLMUX_CHUNK_EXTRA_MAX) {
        ps->extra++;
        at++;
    }
    return at < end ? expect(ps, at, end, '\r', AT_CHUNK_LINE_LF) : at;
}

static const char *chunk_line_lf(llmux_http_parser_t *ps, const char *at,
                                 const char *end)
{
    return expect(ps, at, end, '\n', ps->left ? AT_CHUNK : AT_TRAILER);
}

static const char *chunk(llmux_http_parser_t *ps, const char *at,
                         const char *end)
{
    at = give_counted(ps, at, end);
    if (!ps->left) {
        ps->state = AT_CHUNK_CR;
    }
    return at;
}

static const char *chunk_cr(llmux_http_parser_t *ps, const char *at,
                            const char *end)
{
    return expect(ps, at, end, '\r', AT_CHUNK_LF);
}

static const char *chunk_lf(llmux_http_parser_t *ps, const char *at,
                            const char *end)
{
    ps->digits = 0;
    return expect(ps, at, end, '\n', AT_CHUNK_SIZE);
}

/* ---- gathering lines -------------------------------------------------- */

/* Bytes down to the first empty line and with it, or 0. Lines are counted,
 * and what was searched is not searched again. */
static apr_size_t lines_end(llmux_http_parser_t *ps, const char *s,
                            apr_size_t len)
{
    const char *lf = memchr(s + ps->seen, '\n', len - ps->seen), *last;

    for (; lf; lf = memchr(lf + 1, '\n', len - (apr_size_t)(lf + 1 - s))) {
        ps->lines++;
        last = lf > s && lf[-1] == '\r' ? lf - 1 : lf;
        if (last == s || last[-1] == '\n') {
            return (apr_size_t)(lf + 1 - s);
        }
    }
    ps->seen = len;
    return 0;
}

static void gather(llmux_http_parser_t *ps, const char *at, apr_size_t len)
{
    if (!ps->gathered) {
        ps->gathered = llmux_buf_create(ps->p, LLMUX_HEADERS_MAX);
    }
    llmux_buf_add(ps->gathered, at, len);
    if (ps->gathered->failed) {
        broken(ps, "no memory for the head", NULL);
    }
}

typedef void (*use_lines)(llmux_http_parser_t *ps, const char *lines,
                          apr_size_t len);

/* Gives `use` all lines down to the empty one as soon as they are there:
 * where they stand if they came in one, which they mostly do. */
static const char *take_lines(llmux_http_parser_t *ps, const char *at,
                              const char *end, use_lines use)
{
    apr_size_t room = LLMUX_HEADERS_MAX - ps->head_bytes, n;
    apr_size_t before = ps->gathered ? ps->gathered->len : 0;
    apr_size_t here = (apr_size_t)(end - at);
    const char *lines = at;

    here = here < room - before ? here : room - before;
    if (before) {
        gather(ps, at, here);
        lines = ps->gathered->data;
    }
    n = lines_end(ps, lines, before + here);
    if (!n && before + here == room) {
        return broken(ps, "the head is too long", end);
    }
    if (!n && !before) {
        gather(ps, at, here);
    }
    if (!n || ps->result != LLMUX_PARSE_MORE) {
        return end;
    }
    ps->head_bytes += n;
    use(ps, lines, n);
    ps->seen = 0;
    ps->lines = 0;
    if (before) {
        llmux_buf_reset(ps->gathered);
    }
    return at + n - before;
}

/* ---- heads and trailers ----------------------------------------------- */

/* Out with it, and on to the body. */
static void conclude(llmux_http_parser_t *ps, const said_t *said)
{
    ps->state = framing(ps, said);
    if (said->layers) {
        ps->inflate = llmux_inflate_open(ps->p, said->coding);
    }
    ps->response.content_type = said->type ? said->type : "";
    ps->headed = 1;
    if (ps->to.head) {
        ps->to.head(ps->to.baton, &ps->response);
    }
    if (ps->state == AT_END) {
        finish(ps);
    }
}

static void use_head(llmux_http_parser_t *ps, const char *lines,
                     apr_size_t len)
{
    char *s = status_line(ps, copied(ps->p, lines, len));
    said_t said = { 0 };

    if (!s) {
        broken(ps, "not the answer of an HTTP/1.1 server", NULL);
        return;
    }
    if (ps->response.status >= 200) {
        ps->response.headers = apr_array_make(ps->p, ps->lines,
                                              sizeof(llmux_header_t));
    }
    if (header_lines(ps, s, &said, ps->response.headers)) {
        ps->problem = objection(ps, &said);
    }
    if (ps->problem) {
        broken(ps, ps->problem, NULL);
    }
    else if (ps->response.status >= 200) {
        conclude(ps, &said);
    }
}

/* Whoever speaks another language need not come to an empty line. */
static const char *head(llmux_http_parser_t *ps, const char *at,
                        const char *end)
{
    static const char start[] = "HTTP/1.";
    apr_size_t n;

    at = take_lines(ps, at, end, use_head);
    n = ps->gathered ? ps->gathered->len : 0;
    n = n < sizeof(start) - 1 ? n : sizeof(start) - 1;
    if (n && memcmp(ps->gathered->data, start, n)) {
        return broken(ps, "not the answer of an HTTP/1.1 server", end);
    }
    return at;
}

/* Well-formed, and of no use. */
static void use_trailer(llmux_http_parser_t *ps, const char *lines,
                        apr_size_t len)
{
    if (header_lines(ps, copied(ps->p, lines, len), NULL, NULL)) {
        finish(ps);
    }
    else {
        broken(ps, ps->problem, NULL);
    }
}

static const char *trailer(llmux_http_parser_t *ps, const char *at,
                           const char *end)
{
    return take_lines(ps, at, end, use_trailer);
}

/* ---- the parser ------------------------------------------------------- */

static const char *behind(llmux_http_parser_t *ps, const char *at,
                          const char *end)
{
    ps->keep = 0;
    return broken(ps, "bytes behind the answer", end);
}

/* Each takes one byte at least, of one that is there. */
static const char *(*const steps[])(llmux_http_parser_t *ps, const char *at,
                                    const char *end) = {
    [AT_HEAD]            = head,
    [AT_SIZED_BODY]      = sized_body,
    [AT_OPEN_BODY]       = open_body,
    [AT_CHUNK_SIZE]      = chunk_size,
    [AT_CHUNK_BLANK]     = chunk_blank,
    [AT_CHUNK_EXTENSION] = chunk_extension,
    [AT_CHUNK_LINE_LF]   = chunk_line_lf,
    [AT_CHUNK]           = chunk,
    [AT_CHUNK_CR]        = chunk_cr,
    [AT_CHUNK_LF]        = chunk_lf,
    [AT_TRAILER]         = trailer,
    [AT_END]             = behind
};

void llmux_http_parser_init(llmux_http_parser_t *ps, apr_pool_t *p,
                            const llmux_receiver_t *to)
{
    memset(ps, 0, sizeof(*ps));
    ps->p = p;
    ps->to = *to;
    ps->state = AT_HEAD;
    ps->result = LLMUX_PARSE_MORE;
}

llmux_parse_e llmux_http_parse(llmux_http_parser_t *ps, const char *data,
                               apr_size_t len)
{
    const char *at = data, *end = data + len;

    ps->begun |= len > 0;
    while (at < end && ps->result != LLMUX_PARSE_BROKEN) {
        at = steps[ps->state](ps, at, end);
    }
    return ps->result;
}

llmux_parse_e llmux_http_parse_eof(llmux_http_parser_t *ps)
{
    if (ps->result == LLMUX_PARSE_MORE && ps->state == AT_OPEN_BODY) {
        finish(ps);
    }
    if (ps->result == LLMUX_PARSE_MORE) {
        broken(ps, ps->headed ? "closed inside the answer"
                              : "closed before the answer", NULL);
    }
    return ps->result;
}
