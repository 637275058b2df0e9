/* json.c - reading and writing JSON. */

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <apr_strings.h>

#include "llmux/core.h"
#include "tap.h"

static apr_pool_t *pool;

static const llmux_json_t *parse(const char *text)
{
    return llmux_json_parse(pool, llmux_slice(text), 0, NULL);
}

static const char *raw(const llmux_json_t *v)
{
    return llmux_slice_str(pool, llmux_json_raw(v));
}

/* In memory of exactly this size, so that a sanitizer sees a read beyond. */
static const llmux_json_t *parse_exact(const char *text, apr_size_t len,
                                       llmux_json_error_t *err)
{
    char *copy = malloc(len ? len : 1);
    llmux_slice_t s = { copy, len };
    const llmux_json_t *v;

    memcpy(copy, text, len);
    v = llmux_json_parse(pool, s, 0, err);
    free(copy);
    return v;
}

static void accepts(void)
{
    static const char *const texts[] = {
        "0", "-0", "12", "-1.5e+3", "1E5", "1e-5", "0.10", "true", "false",
        "null", "\"\"", "\"a\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"",
        "[]", "{}", "[ ]", "{ }", " [1 , 2] ", "\t\r\n{\"a\" : [ {} ] }\n",
        "{\"a\":1,\"a\":2}", "\"\x7f\"", "\"\xc2\x80\"", "\"\xdf\xbf\"",
        "\"\xe0\xa0\x80\"", "\"\xed\x9f\xbf\"", "\"\xee\x80\x80\"",
        "\"\xef\xbf\xbf\"", "\"\xf0\x90\x80\x80\"", "\"\xf4\x8f\xbf\xbf\"",
        "\"0123456789abcdef0123456789abcdef\\n0123456789abcdef\"",
        "\"0123456789abcd\xd0\xb6\xd0\xb6\xd0\xb6\xd0\xb6 \xd0\xb6\"",
        "\"\\ud800\""
    };
    apr_size_t i;

    for (i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        ok(parse_exact(texts[i], strlen(texts[i]), NULL), "takes text %d",
           (int)i);
    }
}

/* Where and why it fails; len 0 means up to the NUL. */
static void refuses(void)
{
    static const char *const end = "unexpected end of text";
    static const char *const character = "unexpected character";
    static const char *const number = "invalid number";
    static const char *const utf8 = "invalid UTF-8";
    static const char *const control = "control character in a string";
    const struct {
        const char *text;
        apr_size_t offset;
        const char *reason;
        apr_size_t len;
    } cases[] = {
        { "", 0, end, 0 },
        { " \n", 2, end, 0 },
        { "[", 1, end, 0 },
        { "[1", 2, end, 0 },
        { "[1,", 3, end, 0 },
        { "{", 1, end, 0 },
        { "{\"a\"", 4, end, 0 },
        { "{\"a\":", 5, end, 0 },
        { "{\"a\":1", 6, end, 0 },
        { "{\"a\":1,", 7, end, 0 },
        { "tru", 3, end, 0 },
        { "-", 1, end, 0 },
        { "1.", 2, end, 0 },
        { "1e", 2, end, 0 },
        { "1e+", 3, end, 0 },
        { "nul1", 3, character, 0 },
        { "True", 0, character, 0 },
        { "NaN", 0, character, 0 },
        { "[,1]", 1, character, 0 },
        { "[1,]", 3, character, 0 },
        { "'a'", 0, character, 0 },
        { "+1", 0, character, 0 },
        { ".5", 0, character, 0 },
        { "]", 0, character, 0 },
        { "// x\n1", 0, character, 0 },
        { "\xef\xbb\xbf{}", 0, character, 0 },
        { "01", 1, number, 0 },
        { "-a", 1, number, 0 },
        { "1.e5", 2, number, 0 },
        { "1ee", 2, number, 0 },
        { "{1:2}", 1, "expected a name in quotes", 0 },
        { "{\"a\":1,}", 7, "expected a name in quotes", 0 },
        { "{\"a\" 1}", 5, "expected ':'", 0 },
        { "[1 2]", 3, "expected ',' or ']'", 0 },
        { "[1}", 2, "expected ',' or ']'", 0 },
        { "{\"a\":1]", 6, "expected ',' or '}'", 0 },
        { "[1x]", 2, "expected ',' or ']'", 0 },
        { "1 2", 2, "text after the value", 0 },
        { "{}}", 2, "text after the value", 0 },
        { "\"abc", 0, "unterminated string", 0 },
        { "[\"abc\\", 1, "unterminated string", 0 },
        { "\"abc\\\"", 0, "unterminated string", 0 },
        { "\"\\u00", 0, "unterminated string", 0 },
        { "\"\\x\"", 2, "invalid escape", 0 },
        { "\"\\u00g0\"", 5, "invalid escape", 0 },
        { "\"\\\0\"", 2, "invalid escape", 4 },
        { "\"a\nb\"", 2, control, 0 },
        { "\"a\x1f\"", 2, control, 0 },
        { "\"a\0b\"", 2, control, 5 },
        { "[1]\0", 3, "text after the value", 4 },
        { "\0", 0, character, 1 },
        { "\"0123456789abcdef0123456789\t\"", 27, control, 0 },
        { "\"\x80\"", 1, utf8, 0 },
        { "\"\xc0\x80\"", 1, utf8, 0 },
        { "\"\xc1\xbf\"", 1, utf8, 0 },
        { "\"\xe0\x9f\xbf\"", 1, utf8, 0 },
        { "\"\xed\xa0\x80\"", 1, utf8, 0 },
        { "\"\xf0\x8f\xbf\xbf\"", 1, utf8, 0 },
        { "\"\xf4\x90\x80\x80\"", 1, utf8, 0 },
        { "\"\xf5\x80\x80\x80\"", 1, utf8, 0 },
        { "\"\xff\"", 1, utf8, 0 },
        { "\"\xc3\"", 1, utf8, 0 },
        { "\"\xe2\x82\"", 1, utf8, 0 },
        { "\"\xe2\x82", 1, utf8, 0 },
        { "\"\xd0\xb6\xd0", 3, utf8, 0 },
        { "\"\xf0\x9f\x98\"", 1, utf8, 0 }
    };
    llmux_json_error_t err;
    const llmux_json_t *v;
    apr_size_t i, len;

    for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        len = cases[i].len ? cases[i].len : strlen(cases[i].text);
        memset(&err, 0, sizeof(err));
        v = parse_exact(cases[i].text, len, &err);
        if (!ok(!v && err.offset == cases[i].offset && err.reason
                && !strcmp(err.reason, cases[i].reason),
                "refuses case %d, %s", (int)i, cases[i].reason)) {
            printf("#   got: %s at %d\n", v ? "a value" : err.reason,
                   (int)err.offset);
        }
    }
}

static void errors(void)
{
    llmux_slice_t absent = { NULL, 0 }, huge = { "1", LLMUX_JSON_TEXT_MAX };
    llmux_json_error_t err;

    llmux_json_parse(pool, llmux_slice("{\n \"a\": 1,\r\n  x}"), 0, &err);
    is_int(err.line, 3, "the line of an error");
    is_int(err.column, 3, "the column of an error");
    ok(!llmux_json_parse(pool, absent, 0, &err), "no text is no JSON");
    is_int((long long)err.offset, 0, "and fails at once");
    ok(!llmux_json_parse(pool, huge, 0, &err), "refuses what is too long");
    is_str(err.reason, "text too long", "and says so");
    ok(!llmux_json_parse(pool, llmux_slice("["), 0, NULL),
       "the error is optional");
}

static const char *nested(int levels, char open, char closer)
{
    char *text = apr_palloc(pool, (apr_size_t)levels * 2 + 1);

    memset(text, open, (apr_size_t)levels);
    memset(text + levels, closer, (apr_size_t)levels);
    text[levels * 2] = '\0';
    return text;
}

static void depth(void)
{
    llmux_slice_t text = llmux_slice("{\"a\":{\"b\":[1,{\"c\":2}]},\"d\":3}");
    const llmux_json_t *v, *a;
    llmux_json_error_t err;

    ok(parse(nested(LLMUX_JSON_DEPTH_MAX, '[', ']')), "100 levels");
    ok(!llmux_json_parse(pool, llmux_slice(nested(101, '[', ']')), 0, &err),
       "no 101 levels");
    is_str(err.reason, "nested deeper than 100 levels", "says why");
    is_int((long long)err.offset, 100, "says where");
    ok(!llmux_json_parse(pool, llmux_slice(nested(101, '[', ']')), 1, NULL),
       "the limit holds for what is not recorded");
    ok(llmux_json_parse(pool, llmux_slice(nested(100, '[', ']')), 1, NULL),
       "and so does its other side");

    v = llmux_json_parse(pool, text, 1, NULL);
    a = llmux_json_get(v, "a");
    is_int(llmux_json_kind(a), LLMUX_JSON_OBJECT, "a closed value has a kind");
    is_str(raw(a), "{\"b\":[1,{\"c\":2}]}", "and its bytes");
    ok(!llmux_json_first(a) && !llmux_json_get(a, "b"), "but no members");
    is_int(llmux_json_count(a), 0, "not one");
    is_int(llmux_json_int(llmux_json_get(v, "d"), 0), 3, "its sibling is open");
    v = llmux_json_parse(pool, text, 2, NULL);
    a = llmux_json_get(llmux_json_get(v, "a"), "b");
    is_str(raw(a), "[1,{\"c\":2}]", "one level more");
    ok(!llmux_json_first(a), "and then no more");
    ok(!llmux_json_parse(pool, llmux_slice("[[1,[tru]]]"), 1, NULL),
       "what is not recorded is validated");
}

static void navigation(void)
{
    const llmux_json_t *v = parse("{\"a\":[1,[],{\"x\":[2]},\"s\"],\"n\":null,"
                                  "\"b\":true,\"b\":false,\"\\u0063\\n\":7}");
    const llmux_json_t *a = llmux_json_get(v, "a"), *e, *m;
    const char *seen = "";

    is_int(llmux_json_count(v), 5, "members");
    is_int(llmux_json_count(a), 4, "elements");
    for (e = llmux_json_first(a); e; e = llmux_json_next(a, e)) {
        seen = apr_pstrcat(pool, seen, raw(e), ";", NULL);
    }
    is_str(seen, "1;[];{\"x\":[2]};\"s\";", "walks an array");
    ok(llmux_json_element(a) == llmux_json_first(a), "from its first element");
    ok(!llmux_json_element(v) && !llmux_json_element(parse("[]"))
       && !llmux_json_element(parse("\"s\"")), "which only an array has");
    seen = "";
    for (m = llmux_json_first(v); m; m = llmux_json_next_member(v, m)) {
        seen = apr_pstrcat(pool, seen, llmux_json_cstr(pool, m), "=",
                           llmux_json_kind_name(llmux_json_value(m)), ";",
                           NULL);
    }
    is_str(seen, "a=an array;n=null;b=a boolean;b=a boolean;c\n=a number;",
           "walks an object");
    is_str(raw(llmux_json_at(a, 3)), "\"s\"", "an element by number");
    ok(!llmux_json_at(a, 4) && !llmux_json_at(a, -1) && !llmux_json_at(v, 0),
       "none outside");
    ok(!llmux_json_get(v, "n"), "null is not had");
    is_int(llmux_json_kind(llmux_json_get_any(v, "n")), LLMUX_JSON_NULL,
           "unless one asks for any");
    is_int(llmux_json_bool(llmux_json_get(v, "b")), LLMUX_NO,
           "the last of several");
    is_int(llmux_json_int(llmux_json_get(v, "c\n"), 0), 7,
           "a name with escapes");
    ok(!llmux_json_get(v, "c") && !llmux_json_get(v, "c\nd")
       && !llmux_json_get(v, "") && !llmux_json_get(a, "a"), "no other");
    is_int(llmux_json_kind(llmux_json_first(parse("[[]]"))), LLMUX_JSON_ARRAY,
           "an empty array inside");
    ok(!llmux_json_first(parse("[]")) && !llmux_json_first(parse("{}")),
       "nothing in what is empty");
}

static void nothing(void)
{
    is_int(llmux_json_kind(NULL), LLMUX_JSON_NONE, "no kind");
    is_str(llmux_json_kind_name(NULL), "nothing", "called nothing");
    ok(!llmux_json_get(NULL, "a") && !llmux_json_get_any(NULL, "a")
       && !llmux_json_at(NULL, 0) && !llmux_json_first(NULL)
       && !llmux_json_element(NULL)
       && !llmux_json_next(NULL, NULL) && !llmux_json_next_member(NULL, NULL)
       && !llmux_json_value(NULL), "nothing in nothing");
    is_int(llmux_json_count(NULL), 0, "none of it");
    ok(!llmux_json_str(pool, NULL).data && !llmux_json_raw(NULL).data,
       "no text");
    is_str(llmux_json_cstr(pool, NULL), "", "but a C string");
    ok(!llmux_json_is(NULL, ""), "is nothing");
    is_int(llmux_json_int(NULL, 5), 5, "no integer");
    ok(llmux_json_double(NULL, 5) == 5, "no number");
    is_int(llmux_json_bool(NULL), LLMUX_UNSET, "neither yes nor no");
    ok(!llmux_json_duplicate(pool, NULL), "no name twice");
    is_str(llmux_json_kind_name(parse("\"\"")), "a string", "a string");
}

static void strings(void)
{
    static const struct { const char *json, *text; } cases[] = {
        { "\"\"", "" },
        { "\"plain\"", "plain" },
        { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
        { "\"\\u0041\\u00e9\\u20AC\"", "A\xc3\xa9\xe2\x82\xac" },
        { "\"\\uD83D\\ude00!\"", "\xf0\x9f\x98\x80!" },
        { "\"\\udbff\\udfff\"", "\xf4\x8f\xbf\xbf" },
        { "\"\\ud800\\udc00\"", "\xf0\x90\x80\x80" },
        { "\"\\ud83d\"", "\xef\xbf\xbd" },
        { "\"\\ud83dx\"", "\xef\xbf\xbdx" },
        { "\"\\ud83d\\n\"", "\xef\xbf\xbd\n" },
        { "\"\\ude00\\ud83d\"", "\xef\xbf\xbd\xef\xbf\xbd" },
        { "\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80" },
        { "\"\\ud83d\\u0041\"", "\xef\xbf\xbd""A" },
        { "\"\\uffff\\u07ff\\u0800\"", "\xef\xbf\xbf\xdf\xbf\xe0\xa0\x80" }
    };
    const llmux_json_t *v;
    llmux_slice_t s;
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        v = parse(cases[i].json);
        s = llmux_json_str(pool, v);
        is_str(llmux_slice_str(pool, s), cases[i].text, cases[i].json);
        is_str(llmux_json_cstr(pool, v), cases[i].text, "as a C string");
        ok(llmux_json_is(v, cases[i].text), "is that");
        ok(!llmux_json_is(v, "plaim") && !llmux_json_is(v, "A"),
           "is no other");
    }
    v = parse("\"a\\u0000b\"");
    s = llmux_json_str(pool, v);
    ok(s.len == 3 && !memcmp(s.data, "a\0b", 3), "a NUL inside");
    is_str(llmux_json_cstr(pool, v), "a", "ends a C string");
    ok(!llmux_json_is(v, "a"), "but no comparison");
    v = parse("\"in place\"");
    ok(llmux_json_str(pool, v).data == v->at + 1, "no copy without escapes");
    ok(!llmux_json_str(pool, parse("1")).data, "a number is no string");
    ok(!llmux_json_is(parse("1"), "1"), "not even the same");
}

static void integers(void)
{
    static const struct { const char *json; apr_int64_t n; } cases[] = {
        { "0", 0 }, { "-0", 0 }, { "42", 42 }, { "-42", -42 },
        { "1.0", 1 }, { "1e2", 100 }, { "1E+2", 100 }, { "100e-2", 1 },
        { "1.50e1", 15 }, { "0e999999999999999999999", 0 }, { "0.000", 0 },
        { "1000000e-6", 1 }, { "12.300e3", 12300 }, { "1.0e0", 1 },
        { "9223372036854775807", APR_INT64_MAX },
        { "-9223372036854775808", APR_INT64_MIN },
        { "9223372036854775.807e3", APR_INT64_MAX },
        { "9223372036854775807.000", APR_INT64_MAX },
        { "9223372036854775808", -7 }, { "-9223372036854775809", -7 },
        { "18446744073709551616", -7 }, { "1e19", -7 }, { "1e20", -7 },
        { "100000000000000000000", -7 }, { "100000000000000000000e-20", 1 },
        { "100000000000000000000.5", -7 },
        { "1.5", -7 }, { "1e-1", -7 }, { "15e-1", -7 }, { "0.1", -7 },
        { "1e999999999999999999999", -7 }, { "1e-999999999999999999999", -7 },
        { "\"1\"", -7 }, { "true", -7 }, { "[1]", -7 }
    };
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        is_int(llmux_json_int(parse(cases[i].json), -7), cases[i].n,
               cases[i].json);
    }
}

static void doubles(void)
{
    static const struct { const char *json; double x; } cases[] = {
        { "0", 0 }, { "0.7", 0.7 }, { "-1.25", -1.25 }, { "1e2", 100 },
        { "0.1e1", 1 }, { "123456789.123456789", 123456789.123456789 },
        { "1.7976931348623157e308", DBL_MAX }, { "1e309", -7 },
        { "-1e309", -7 }, { "1e-400", 0 }, { "4.9e-324", 4.9e-324 },
        { "0e999999999999999999999", 0 }, { "1e999999999999999999999", -7 },
        { "1e-999999999999999999999", 0 }, { "\"1\"", -7 }, { "null", -7 }
    };
    char text[1024];
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        ok(llmux_json_double(parse(cases[i].json), -7) == cases[i].x,
           "the number %s", cases[i].json);
    }
    ok(signbit(llmux_json_double(parse("-0.0"), 1)), "minus zero");
    /* Halfway between 1 and the next double, but for the last digit. */
    memset(text, '0', sizeof(text));
    memcpy(text, "1.00000000000000011102230246251565404236316680908203125",
           55);
    memcpy(text + sizeof(text) - 2, "1", 2);
    ok(llmux_json_double(parse(text), 0) == 1 + DBL_EPSILON,
       "a digit far behind decides");
    text[sizeof(text) - 2] = '0';
    ok(llmux_json_double(parse(text), 0) == 1, "zeros do not");
    memset(text, '9', sizeof(text));
    memcpy(text + sizeof(text) - 7, "e-1000", 7);
    ok(fabs(llmux_json_double(parse(text), 0) / 1e17 - 1) < 1e-9,
       "many digits and a power");
}

static void booleans(void)
{
    is_int(llmux_json_bool(parse("true")), LLMUX_YES, "true");
    is_int(llmux_json_bool(parse("false")), LLMUX_NO, "false");
    is_int(llmux_json_bool(parse("null")), LLMUX_UNSET, "null");
    is_int(llmux_json_bool(parse("\"true\"")), LLMUX_UNSET, "a string");
    is_int(llmux_json_bool(parse("1")), LLMUX_UNSET, "a number");
}

/* An object with `n` names, each written with an escape. */
static const llmux_json_t *big_object(int n, const char *last)
{
    llmux_buf_t *b = llmux_buf_create(pool, 64 << 20);
    int i;

    llmux_buf_adds(b, "{");
    for (i = 0; i < n; i++) {
        llmux_buf_addf(b, "\"\\u006e%d\":0,", i);
    }
    llmux_buf_addf(b, "\"%s\":0}", last);
    return llmux_json_parse(pool, llmux_buf_slice(b), 0, NULL);
}

static void duplicates(void)
{
    const char *twice;

    ok(!llmux_json_duplicate(pool, parse("{}")), "none in nothing");
    ok(!llmux_json_duplicate(pool, parse("[\"a\",\"a\"]")), "an array");
    ok(!llmux_json_duplicate(pool, parse("{\"a\":1,\"b\":{\"a\":2},\"\":3}")),
       "no name twice");
    is_str(llmux_json_duplicate(pool, parse("{\"a\":1,\"b\":2,\"a\":3}")), "a",
           "a name twice");
    is_str(llmux_json_duplicate(pool, parse("{\"ab\":1,\"\\u0061b\":2}")),
           "ab", "the same name written otherwise");
    is_str(llmux_json_duplicate(pool, parse("{\"\":1,\"\":2}")), "",
           "the empty name");
    twice = llmux_json_duplicate(pool, big_object(100000, "n777"));
    is_str(twice, "n777", "among a hundred thousand");
    ok(!llmux_json_duplicate(pool, big_object(100000, "m")),
       "a hundred thousand different ones");
    is_str(llmux_json_duplicate(pool, big_object(17, "n16")), "n16",
           "among a few more than few");
}

static void reuse(void)
{
    llmux_json_parser_t *ps = llmux_json_parser_create(pool);
    llmux_buf_t *b = llmux_buf_create(pool, 64 << 20);
    const llmux_json_t *v;
    int i, good = 1;

    for (i = 0; i < 1000; i++) {
        v = llmux_json_parse_again(ps, llmux_slice("{\"a\":[1,2,3]}"), 0,
                                   NULL);
        good &= llmux_json_count(llmux_json_get(v, "a")) == 3;
        good &= !llmux_json_parse_again(ps, llmux_slice("[1,"), 0, NULL);
    }
    ok(good, "a parser used again, failures between");
    llmux_buf_adds(b, "[0");
    for (i = 0; i < 200000; i++) {
        llmux_buf_adds(b, ",0");
    }
    llmux_buf_adds(b, "]");
    v = llmux_json_parse_again(ps, llmux_buf_slice(b), 0, NULL);
    is_int(llmux_json_count(v), 200001, "many values");
    v = llmux_json_parse_again(ps, llmux_slice("[1]"), 0, NULL);
    is_int(llmux_json_count(v), 1, "and few after them");
}

/* "[0,0]" with so many zeros. */
static const llmux_json_t *zeros(apr_pool_t *p, apr_size_t n,
                                 llmux_json_error_t *err)
{
    llmux_slice_t s = { NULL, 2 * n + 1 };
    const llmux_json_t *v;
    char *text = malloc(s.len);
    apr_size_t i;

    for (i = 0; i < s.len; i++) {
        text[i] = i % 2 ? '0' : ',';
    }
    text[0] = '[';
    text[s.len - 1] = ']';
    s.data = text;
    v = llmux_json_parse(p, s, 0, err);
    free(text);
    return v;
}

static void too_many(void)
{
    llmux_json_error_t err;
    apr_pool_t *scratch;

    apr_pool_create(&scratch, pool);
    ok(zeros(scratch, LLMUX_JSON_NODES_MAX - 1, NULL),
       "as many values as may be");
    apr_pool_clear(scratch);
    ok(!zeros(scratch, LLMUX_JSON_NODES_MAX, &err), "not one more");
    is_str(err.reason, "too many values", "and it says so");
    apr_pool_destroy(scratch);
}

static void objects(void)
{
    ok(llmux_json_is_object(pool, llmux_slice(" {\"a\":[1]} ")), "an object");
    ok(!llmux_json_is_object(pool, llmux_slice("[{}]")), "an array is none");
    ok(!llmux_json_is_object(pool, llmux_slice("{\"a\":}")), "no JSON");
    ok(!llmux_json_is_object(pool, llmux_slice("")), "no text");
    ok(!llmux_json_is_object(pool, llmux_slice(NULL)), "absent");
}

static void writing(void)
{
    llmux_buf_t *b = llmux_buf_create(pool, 4096);
    llmux_jw_t w = llmux_jw(b);
    llmux_slice_t absent = { NULL, 0 };

    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, "a\"b");
    llmux_jw_open(&w, '[');
    llmux_jw_int(&w, 0);
    llmux_jw_int(&w, -1);
    llmux_jw_int(&w, APR_INT64_MAX);
    llmux_jw_int(&w, APR_INT64_MIN);
    llmux_jw_open(&w, '{');
    llmux_jw_close(&w, '}');
    llmux_jw_open(&w, '[');
    llmux_jw_close(&w, ']');
    llmux_jw_bool(&w, 1);
    llmux_jw_bool(&w, 0);
    llmux_jw_null(&w);
    llmux_jw_close(&w, ']');
    llmux_jw_key_slice(&w, llmux_slice("s"));
    llmux_jw_cstr(&w, "text");
    llmux_jw_key(&w, "none");
    llmux_jw_str(&w, absent);
    llmux_jw_key(&w, "raw");
    llmux_jw_raw(&w, llmux_slice("[1, 2]"));
    llmux_jw_key(&w, "blank");
    llmux_jw_raw(&w, llmux_slice(" \n"));
    llmux_jw_opt_str(&w, "x", absent);
    llmux_jw_opt_raw(&w, "x", absent);
    llmux_jw_opt_bool(&w, "x", LLMUX_UNSET);
    llmux_jw_opt_str(&w, "os", llmux_slice(""));
    llmux_jw_opt_raw(&w, "or", llmux_slice("{}"));
    llmux_jw_opt_bool(&w, "ob", LLMUX_NO);
    llmux_jw_close(&w, '}');
    is_str(b->data,
           "{\"a\\\"b\":[0,-1,9223372036854775807,-9223372036854775808,{},[],"
           "true,false,null],\"s\":\"text\",\"none\":null,\"raw\":[1, 2],"
           "\"blank\":null,\"os\":\"\",\"or\":{},\"ob\":false}",
           "writes everything, with its commas");
    ok(parse(b->data) != NULL, "and it is JSON");
}

static void escaping(void)
{
    static const struct { const char *text, *json; } cases[] = {
        { "", "" },
        { "plain text of more than sixteen bytes",
          "plain text of more than sixteen bytes" },
        { "a\"b\\c/d", "a\\\"b\\\\c/d" },
        { "\b\f\n\r\t\x01\x1f\x7f", "\\b\\f\\n\\r\\t\\u0001\\u001f\x7f" },
        { "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
          "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
        { "a\xff""b", "a\xef\xbf\xbd""b" },
        { "\xe2\x82", "\xef\xbf\xbd" },
        { "\xe2\x82x", "\xef\xbf\xbdx" },
        { "\xf0\x9f\x98\xc3\xa9", "\xef\xbf\xbd\xc3\xa9" },
        { "\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" }
    };
    llmux_slice_t nul = { "a\0b", 3 }, absent = { NULL, 0 };
    llmux_buf_t *b = llmux_buf_create(pool, 64);
    llmux_jw_t w;
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        llmux_buf_reset(b);
        llmux_json_escape(b, llmux_slice(cases[i].text));
        is_str(llmux_slice_str(pool, llmux_buf_slice(b)), cases[i].json,
               "escapes what it must");
    }
    llmux_buf_reset(b);
    llmux_json_escape(b, nul);
    llmux_json_escape(b, absent);
    is_str(b->data, "a\\u0000b", "a NUL");
    b = llmux_buf_create(pool, 8);
    w = llmux_jw(b);
    llmux_jw_cstr(&w, "longer than eight");
    ok(b->failed, "says when it does not fit");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    accepts();
    refuses();
    errors();
    depth();
    navigation();
    nothing();
    strings();
    integers();
    doubles();
    booleans();
    duplicates();
    reuse();
    too_many();
    objects();
    writing();
    escaping();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
