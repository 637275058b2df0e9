/* transport_answers.c - what both transports make of a provider's bytes: each
 * answer in one packet, and again byte by byte. What two readers could take
 * for two different answers is refused. */

#include "conform.h"

#define OK "HTTP/1.1 200 OK\r\n"
#define TEXT "Content-Type: text/plain\r\n"
#define SIZED(...) "Content-Length: " #__VA_ARGS__ "\r\n"
#define CHUNKED "Transfer-Encoding: chunked\r\n"
#define GZIP "Content-Encoding: gzip\r\n"
#define END "\r\n"

/* "hello, gzip" and "hello", compressed. */
#define ZIPPED_SIZE 31
static const char zipped[] =
    "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\xd7\x51"
    "\x48\xaf\xca\x2c\x00\x00\x4a\x9b\xb1\x5c\x0b\x00\x00\x00";

/* What the connection does behind the answer. */
enum { STAYS, CLOSES };

static const struct {
    const char *name;
    int then;
    const char *said;
    int status;                 /* 0 = no head is handed out */
    const char *body;
    llmux_fail_e fail;
} answers[] = {
    /* ---- understood */
    { "a sized body", STAYS, OK TEXT SIZED(5) END "hello",
      200, "hello", LLMUX_FAIL_NONE },
    { "an empty one", STAYS, OK SIZED(0) END, 200, "", LLMUX_FAIL_NONE },
    { "chunks, with extensions and trailers", STAYS,
      OK TEXT CHUNKED END "3;x=y\r\nhel\r\n002\r\nlo\r\n"
      "0;last=\"yes\"\r\nX-Trailer: 1\r\nX-More: 2\r\n\r\n",
      200, "hello", LLMUX_FAIL_NONE },
    { "a chunk's size in hexadecimal", STAYS,
      OK "Transfer-Encoding: Chunked\r\n" END
      "B\r\nhello hello\r\na\r\n0123456789\r\n0\r\n\r\n",
      200, "hello hello0123456789", LLMUX_FAIL_NONE },
    { "chunks, but none", STAYS, OK CHUNKED END "0\r\n\r\n",
      200, "", LLMUX_FAIL_NONE },
    { "a body that ends with the connection", CLOSES, OK TEXT END "hello",
      200, "hello", LLMUX_FAIL_NONE },
    { "the same, called identity", CLOSES,
      OK "Transfer-Encoding: identity\r\n" END "hello",
      200, "hello", LLMUX_FAIL_NONE },
    { "HTTP/1.0", CLOSES, "HTTP/1.0 200 OK\r\n\r\nhello",
      200, "hello", LLMUX_FAIL_NONE },
    { "HTTP/1.0 with a size", STAYS, "HTTP/1.0 200 OK\r\n" SIZED(5) END
      "hello", 200, "hello", LLMUX_FAIL_NONE },
    { "204 has no body", STAYS, "HTTP/1.1 204 No Content\r\n\r\n",
      204, "", LLMUX_FAIL_NONE },
    { "nor has 304, whatever it announces", STAYS,
      "HTTP/1.1 304 Not Modified\r\n" SIZED(5) END,
      304, "", LLMUX_FAIL_NONE },
    { "interim answers in front", STAYS,
      "HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\n"
      "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
      OK SIZED(5) END "hello", 200, "hello", LLMUX_FAIL_NONE },
    { "a redirection is an answer", STAYS,
      "HTTP/1.1 302 Found\r\nLocation: /whole\r\n" SIZED(5) END "hello",
      302, "hello", LLMUX_FAIL_NONE },
    { "so is an error", STAYS,
      "HTTP/1.1 429 Slow Down\r\nRetry-After: 7\r\n" SIZED(5) END "hello",
      429, "hello", LLMUX_FAIL_NONE },
    { "no reason", STAYS, "HTTP/1.1 200 \r\n" SIZED(5) END "hello",
      200, "hello", LLMUX_FAIL_NONE },
    { "nor the blank in front of it", STAYS,
      "HTTP/1.1 200\r\n" SIZED(5) END "hello", 200, "hello", LLMUX_FAIL_NONE },
    { "lines that end with LF alone", STAYS,
      "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
      200, "hello", LLMUX_FAIL_NONE },
    { "a coding that is none", STAYS,
      OK "Content-Encoding: identity\r\n" SIZED(5) END "hello",
      200, "hello", LLMUX_FAIL_NONE },

    /* ---- cut */
    { "a sized body is cut", CLOSES, OK SIZED(50) END "hello",
      200, "hello", LLMUX_FAIL_RESET },
    { "a chunk is cut", CLOSES, OK CHUNKED END "9\r\nhello",
      200, "hello", LLMUX_FAIL_RESET },
    { "the last chunk is missing", CLOSES, OK CHUNKED END "5\r\nhello\r\n",
      200, "hello", LLMUX_FAIL_RESET },
    { "the end behind the last chunk is missing", CLOSES,
      OK CHUNKED END "5\r\nhello\r\n0\r\n", 200, "hello", LLMUX_FAIL_RESET },
    { "the head is cut", CLOSES, OK TEXT, 0, "", LLMUX_FAIL_RESET },
    { "the first line is cut", CLOSES, "HTTP/1.1 20", 0, "",
      LLMUX_FAIL_RESET },
    { "nothing behind an interim answer", CLOSES,
      "HTTP/1.1 100 Continue\r\n\r\n", 0, "", LLMUX_FAIL_RESET },
    { "nothing at all", CLOSES, "", 0, "", LLMUX_FAIL_RESET },

    /* ---- something else */
    { "another language", CLOSES,
      "\x16\x03\x01 I am not HTTP at all\r\n\r\nhello",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "an unasked switch of protocols", CLOSES,
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nhi",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "a status of two digits", CLOSES, "HTTP/1.1 42 What\r\n\r\nhello",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "a body packed twice", CLOSES,
      OK "Content-Encoding: gzip, gzip\r\n" END "hello",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "packed in two lines", CLOSES, OK GZIP GZIP END "hello",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "packed as nobody asked", CLOSES,
      OK "Content-Encoding: br\r\n" END "hello", 0, "", LLMUX_FAIL_PROTOCOL },
    { "packed for the transfer", CLOSES,
      OK "Transfer-Encoding: gzip, chunked\r\n" END "hello",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "gzip that is none", CLOSES, OK GZIP SIZED(5) END "hello",
      200, "", LLMUX_FAIL_PROTOCOL },

    /* ---- what could be taken for another answer */
    { "a size, and chunks", STAYS,
      OK SIZED(5) CHUNKED END "5\r\nhello\r\n0\r\n\r\n",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "chunks, and a size", STAYS,
      OK CHUNKED SIZED(5) END "5\r\nhello\r\n0\r\n\r\n",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "chunks in HTTP/1.0", STAYS,
      "HTTP/1.0 200 OK\r\n" CHUNKED END "5\r\nhello\r\n0\r\n\r\n",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "chunks, said twice", STAYS,
      OK CHUNKED CHUNKED END "5\r\nhello\r\n0\r\n\r\n",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "chunks, said twice in one line", STAYS,
      OK "Transfer-Encoding: chunked, chunked\r\n" END
      "5\r\nhello\r\n0\r\n\r\n", 0, "", LLMUX_FAIL_PROTOCOL },
    { "two sizes", STAYS, OK SIZED(5) SIZED(6) END "hello!",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "two sizes, the same", STAYS, OK SIZED(5) SIZED(5) END "hello",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "two sizes in one line", STAYS, OK SIZED(5, 6) END "hello!",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "a size with a plus", STAYS, OK SIZED(+5) END "hello",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "a size with a minus", STAYS, OK SIZED(-5) END "hello",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "a size in hexadecimal", STAYS, OK SIZED(0x5) END "hello",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "a size and something", STAYS, OK SIZED(5 x) END "hello",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "a size that says nothing", STAYS, OK "Content-Length:\r\n" END "hello",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "a size beyond 64 bits", STAYS, OK SIZED(18446744073709551621) END
      "hello", 0, "", LLMUX_FAIL_PROTOCOL },
    { "a chunk's size beyond 64 bits", STAYS,
      OK CHUNKED END "10000000000000005\r\nhello\r\n0\r\n\r\n",
      200, "", LLMUX_FAIL_PROTOCOL },
    { "a chunk's size that is none", STAYS, OK CHUNKED END "zz\r\nhello\r\n",
      200, "", LLMUX_FAIL_PROTOCOL },
    { "a chunk's size with a minus", STAYS, OK CHUNKED END "-5\r\nhello\r\n",
      200, "", LLMUX_FAIL_PROTOCOL },
    { "a chunk's size with 0x", STAYS, OK CHUNKED END "0x5\r\nhello\r\n",
      200, "", LLMUX_FAIL_PROTOCOL },
    { "a chunk without a size", STAYS, OK CHUNKED END "\r\nhello\r\n",
      200, "", LLMUX_FAIL_PROTOCOL },
    { "a chunk longer than it says", STAYS,
      OK CHUNKED END "3\r\nhello\r\n0\r\n\r\n",
      200, "hel", LLMUX_FAIL_PROTOCOL },
    { "a bare CR in a header", STAYS, OK "X-A: b\rc\r\n" SIZED(5) END "hello",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "one that could begin another", STAYS,
      OK "X-A: b\r" CHUNKED SIZED(5) END "hello", 0, "", LLMUX_FAIL_PROTOCOL },
    { "a control character in a header", STAYS,
      OK "X-A: b\001c\r\n" SIZED(5) END "hello", 0, "", LLMUX_FAIL_PROTOCOL },
    { "a folded header", STAYS,
      OK "X-A: b\r\n c\r\n" SIZED(5) END "hello", 0, "", LLMUX_FAIL_PROTOCOL },
    { "a folded size", STAYS, OK "X-A: b\r\n " SIZED(50) SIZED(5) END "hello",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "white space in front of a colon", STAYS,
      OK "Transfer-Encoding : chunked\r\n" SIZED(5) END "hello",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "white space in front of the headers", STAYS,
      OK " X-A: b\r\n" SIZED(5) END "hello", 0, "", LLMUX_FAIL_PROTOCOL },
    { "a header without a colon", STAYS, OK "X-A\r\n" SIZED(5) END "hello",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "a header without a name", STAYS, OK ": b\r\n" SIZED(5) END "hello",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "a name that is none", STAYS, OK "X(A): b\r\n" SIZED(5) END "hello",
      0, "", LLMUX_FAIL_PROTOCOL },
    { "an interim answer with a body", STAYS,
      "HTTP/1.1 103 Early Hints\r\n" SIZED(5) END "hello"
      OK SIZED(5) END "hello", 0, "", LLMUX_FAIL_PROTOCOL }
};

#define COUNT ((int)(sizeof(answers) / sizeof(answers[0])))

/* "/answer/7", or "/slowly/7". */
static int answer_of(const conn_t *c)
{
    int i = -1;

    sscanf(c->head, "POST /%*[a-z]/%d", &i);
    return i < 0 || i >= COUNT ? 0 : i;
}

static int answer(conn_t *c)
{
    int i = answer_of(c);

    return say(c, answers[i].said) && answers[i].then == STAYS;
}

static int slowly(conn_t *c)
{
    int i = answer_of(c);

    return say_slowly(c, answers[i].said) && answers[i].then == STAYS;
}

static void test_answer(int i, const char *folder)
{
    outcome_t o = get(&patient, apr_psprintf(pool, "/%s/%d", folder, i));
    int good = o.fail == answers[i].fail && o.status == answers[i].status
               && o.heads == !!answers[i].status
               && (o.end == LLMUX_STEP_DONE) == !answers[i].fail
               && !strcmp(text_of(&o), answers[i].body)
               && !*o.detail == !o.fail;

    if (!holds(good, "%s (%s)", answers[i].name, folder)) {
        printf("#   %s (%s), status %d, body '%s', %d ms\n",
               llmux_fail_name(o.fail), o.detail, o.status, text_of(&o),
               (int)(o.took / 1000));
    }
}

static void test_answers(void)
{
    int i;

    for (i = 0; i < COUNT; i++) {
        test_answer(i, "answer");
        test_answer(i, "slowly");
    }
}

/* ---- answers that are made -------------------------------------------- */

static int whole(conn_t *c)
{
    return say(c, OK SIZED(5) END "hello");
}

static int password(conn_t *c)
{
    return say(c, "HTTP/1.1 407 Who\r\n" SIZED(0) END);
}

static int packed(conn_t *c)
{
    return say(c, OK GZIP SIZED(31) END)
           && say_bytes(c, zipped, ZIPPED_SIZE);
}

static int packed_open(conn_t *c)
{
    return say(c, OK GZIP END) && say_bytes(c, zipped, ZIPPED_SIZE) && 0;
}

/* The checksum is missing. */
static int packed_cut(conn_t *c)
{
    return say(c, OK GZIP END) && say_bytes(c, zipped, 20) && 0;
}

static int packed_wrong(conn_t *c)
{
    char wrong[ZIPPED_SIZE];

    memcpy(wrong, zipped, sizeof(wrong));
    wrong[24] ^= 1;
    return say(c, OK GZIP SIZED(31) END) && say_bytes(c, wrong, sizeof(wrong));
}

/* A NUL is not text, so it is said apart. */
static int nul(conn_t *c)
{
    static const char said[] = OK "X-A: b\0c\r\n" SIZED(5) END "hello";

    return say_bytes(c, said, sizeof(said) - 1);
}

/* An answer that nobody asked for comes with the one asked for. */
static int two_answers(conn_t *c)
{
    return say(c, OK SIZED(5) END "hello" OK SIZED(6) END "forged");
}

/* One fixed block of "258 times the byte before", 13 bits each. */
static int bomb(conn_t *c)
{
    static const char start[] = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03";
    unsigned char bits[16384] = { 0 };
    const char *run = "1100010100000";
    size_t at = 3, i;
    int on;

    bits[0] = 3;        /* last block, fixed codes; then a literal 0 */
    bits[0] |= 1 << 5 | 1 << 6;
    for (at = 11; at + 13 < sizeof(bits) * 8; at += 13) {
        for (i = 0; i < 13; i++) {
            bits[(at + i) / 8] |= (run[i] == '1') << ((at + i) % 8);
        }
    }
    on = say(c, OK GZIP END)
         && say_bytes(c, start, 10) && say_bytes(c, bits, 13 * 1024);
    /* The runs go on over the seam: 13 times 16 KiB is whole again. */
    for (i = 0; i < 40 && on; i++) {
        on = say_bytes(c, bits + 13, 13 * 1024);
    }
    return 0;
}

static int many_headers(conn_t *c)
{
    char line[64];
    int i;

    say(c, OK TEXT);
    for (i = 0; i < 500; i++) {
        apr_snprintf(line, sizeof(line), "X-Header-%d: value %d\r\n", i, i);
        say(c, line);
    }
    return say(c, SIZED(5) END "hello");
}

static int endless_head(conn_t *c)
{
    say(c, OK TEXT);
    while (say(c, "X-More: and more and more and more and more\r\n")) {
    }
    return 0;
}

static int endless_line(conn_t *c)
{
    say(c, OK TEXT "X-More: ");
    while (say(c, "and more and more and more and more ")) {
    }
    return 0;
}

static int endless_interim(conn_t *c)
{
    while (say(c, "HTTP/1.1 100 Continue\r\nX-More: and more\r\n\r\n")) {
    }
    return 0;
}

static const script_t scripts[] = {
    { "/answer/*", answer }, { "/slowly/*", slowly }, { "/whole", whole },
    { "/password", password },
    { "/packed", packed }, { "/packed-open", packed_open },
    { "/packed-cut", packed_cut }, { "/packed-wrong", packed_wrong },
    { "/nul", nul }, { "/two", two_answers }, { "/bomb", bomb },
    { "/many-headers", many_headers }, { "/endless-head", endless_head },
    { "/endless-line", endless_line }, { "/endless-interim", endless_interim },
    { NULL, whole }
};

static const struct {
    const char *path;
    int over;
    int status;                 /* 0 = no head is handed out */
    const char *body;           /* NULL = whatever */
    llmux_fail_e fail;
    const char *why;            /* it is for one only */
} made[] = {
    { "/packed",          BOTH, 200, "hello, gzip", LLMUX_FAIL_NONE, NULL },
    { "/packed-open",     BOTH, 200, "hello, gzip", LLMUX_FAIL_NONE, NULL },
    { "/packed-wrong",    BOTH, 200, NULL,    LLMUX_FAIL_PROTOCOL, NULL },
    { "/packed-cut",      LEAN, 200, NULL,    LLMUX_FAIL_RESET,
      "libcurl does not ask whether what is packed came to its end" },
    { "/nul",             BOTH, 0,   "",      LLMUX_FAIL_PROTOCOL, NULL },
    { "/many-headers",    BOTH, 200, "hello", LLMUX_FAIL_NONE, NULL },
    { "/endless-head",    BOTH, 0,   "",      LLMUX_FAIL_PROTOCOL, NULL },
    { "/endless-line",    BOTH, 0,   "",      LLMUX_FAIL_PROTOCOL, NULL },
    { "/endless-interim", BOTH, 0,   "",      LLMUX_FAIL_PROTOCOL, NULL },
    { "/password",        LEAN, 407, "",      LLMUX_FAIL_NONE,
      "without proxies it is an answer like others" },
    { "/password",        CURL, 0,   "",      LLMUX_FAIL_PROXY,
      "with proxies it is theirs" }
};

static void test_made(void)
{
    outcome_t o;
    size_t i;
    int good;

    for (i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
        if (!is_over(made[i].over)) {
            continue;
        }
        o = get(&patient, made[i].path);
        good = o.fail == made[i].fail && o.status == made[i].status
               && o.heads == !!made[i].status
               && (!made[i].body || !strcmp(text_of(&o), made[i].body));
        if (!holds(good, "%s%s%s", made[i].path, made[i].why ? ": " : "",
                   made[i].why ? made[i].why : "")) {
            printf("#   %s (%s), status %d, body '%s'\n",
                   llmux_fail_name(o.fail), o.detail, o.status, text_of(&o));
        }
    }
}

/* ---- what is in an answer --------------------------------------------- */

static const char *named(const char *name)
{
    int i = 0;

    while (strcmp(answers[i].name, name)) {
        i++;
    }
    return apr_psprintf(pool, "/answer/%d", i);
}

static void test_head(void)
{
    outcome_t o = get(&patient, "/many-headers");

    holds(o.headers->nelts == 502, "all headers arrive");
    holds(header_of(&o, "x-hEADER-499")
          && !strcmp(header_of(&o, "x-hEADER-499"), "value 499"),
          "a header is found, case aside");
    holds(!header_of(&o, "X-Header"), "and no other");
    holds(!strcmp(o.type, "text/plain"), "the content type stands by itself");
    o = get(&patient, named("interim answers in front"));
    holds(!header_of(&o, "X-Interim") && !header_of(&o, "Link"),
          "headers of 1xx are not the answer's");
    holds(!*o.type, "no content type is an empty one");
    o = get(&patient, named("chunks, with extensions and trailers"));
    holds(!header_of(&o, "X-Trailer") && o.headers->nelts == 2,
          "neither are trailers");
}

/* The one asked for has come or has not; the other is nobody's. */
static void test_two(void)
{
    llmux_upstream_t up = with_pool("two");
    outcome_t o = get(&up, "/two");

    holds(o.end == LLMUX_STEP_DONE ? !strcmp(text_of(&o), "hello")
                                   : o.fail == LLMUX_FAIL_PROTOCOL,
          "bytes behind an answer are not part of it (%s)",
          llmux_fail_name(o.fail));
    o = get(&up, "/whole");
    holds(!o.reused && !strcmp(text_of(&o), "hello"),
          "nor are they the next one's");
}

static void test_bomb(void)
{
    outcome_t o = get(&patient, "/bomb");

    holds(o.fail == LLMUX_FAIL_PROTOCOL && strstr(o.detail, "proportion")
          && o.body->len < 8 << 20, "a bomb is put out (%s, %lu bytes)",
          o.detail, (unsigned long)o.body->len);
}

static void tests(void)
{
    test_answers();
    test_made();
    test_head();
    test_two();
    test_bomb();
}

int main(void)
{
    apr_pool_t *child = conform_start(scripts);

    over_both(tests);
    return conform_done(child);
}
