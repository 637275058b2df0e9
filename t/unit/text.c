/* text.c - slices, URLs, base64, data URLs, durations, sizes, Retry-After. */

#include "llmux/core.h"
#include "tap.h"

#include <stdlib.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const llmux_slice_t absent;

static void slices(apr_pool_t *p)
{
    llmux_slice_t s = llmux_slice("Hello"), nul = { "a\0b", 3 };

    ok(!llmux_slice(NULL).data && s.len == 5, "NULL is absent");
    ok(llmux_slice_is(s, "Hello"), "is itself");
    ok(!llmux_slice_is(s, "hello") && !llmux_slice_is(s, "Hell")
       && !llmux_slice_is(s, "Hello!") && !llmux_slice_is(s, NULL),
       "is nothing else");
    ok(!llmux_slice_is(absent, "") && llmux_slice_is(llmux_slice(""), ""),
       "absent is not empty");
    ok(!llmux_slice_is(nul, "a"), "a NUL does not end it");
    ok(llmux_slice_is_nocase(s, "hELLO") && !llmux_slice_is_nocase(s, "hell")
       && !llmux_slice_is_nocase(absent, ""), "without case");
    ok(llmux_slice_starts(s, "He") && llmux_slice_starts(s, "")
       && !llmux_slice_starts(s, "Hello!") && !llmux_slice_starts(absent, "")
       && !llmux_slice_starts(s, NULL), "starts");
    ok(llmux_slice_equal(s, llmux_slice("Hello"))
       && !llmux_slice_equal(absent, absent), "absent equals nothing");
    ok(llmux_slice_blank(absent) && llmux_slice_blank(llmux_slice(" \t\r\n"))
       && !llmux_slice_blank(llmux_slice(" x"))
       && !llmux_slice_blank(llmux_slice("\f")), "blank is JSON's white space");
    s.len = 4;
    is_str(llmux_slice_dup(p, s).data, "Hell", "a copy ends with NUL");
    ok(!llmux_slice_dup(p, absent).data, "a copy of absent is absent");
    is_str(llmux_slice_str(p, s), "Hell", "as a C string");
    is_str(llmux_slice_str(p, absent), "", "absent is an empty C string");
}

static const struct {
    const char *text;
    int points;
} lengths[] = {
    { "", 0 }, { "abc", 3 }, { "\xc3\xa9", 1 }, { "a\xe2\x82\xac" "b", 3 },
    { "\xf0\x9f\x98\x80\xf0\x9f\x98\x80", 2 }, { "e\xcc\x81", 2 },
    { "\xef\xbb\xbf\x7f", 2 }
};

static void points(void)
{
    llmux_slice_t nul = { "a\0b", 3 };
    apr_size_t i;

    for (i = 0; i < COUNT(lengths); i++) {
        is_int(llmux_slice_points(llmux_slice(lengths[i].text)),
               lengths[i].points, "code points");
    }
    is_int(llmux_slice_points(nul), 3, "a NUL is one");
    is_int(llmux_slice_points(absent), 0, "absent has none");
}

/* ---- URLs ------------------------------------------------------------ */

static const struct {
    const char *text, *escaped;
} escapes[] = {
    { "", "" },
    { "AZaz09-._~", "AZaz09-._~" },
    { "a b+c", "a%20b%2Bc" },
    { "/:@[]`{", "%2F%3A%40%5B%5D%60%7B" },
    { "%2F", "%252F" },
    { "&=?#", "%26%3D%3F%23" },
    { "\xc3\xa9\x7f\xff\n", "%C3%A9%7F%FF%0A" }
};

static void url_escapes(apr_pool_t *p)
{
    llmux_slice_t nul = { "a\0b", 3 };
    llmux_buf_t *out = llmux_buf_create(p, 64);
    apr_size_t i;

    for (i = 0; i < COUNT(escapes); i++) {
        llmux_buf_reset(out);
        llmux_url_escape(out, llmux_slice(escapes[i].text));
        is_str(llmux_slice_str(p, llmux_buf_slice(out)), escapes[i].escaped,
               "escaped");
    }
    llmux_url_escape(out, nul);
    is_str(llmux_slice_str(p, llmux_buf_slice(out)),
           "%C3%A9%7F%FF%0Aa%00b", "appended, a NUL too");
    llmux_url_escape(out, absent);
    is_int(llmux_buf_slice(out).len, 20, "nothing of absent");
}

/* ---- base64 ---------------------------------------------------------- */

/* The last one's loose form has stray bits, which are forgiven. */
static const struct {
    const char *text;
    const char *base64;
    const char *url;            /* in the other alphabet */
    const char *loose;
} pairs[] = {
    { "",             "",         "",         " \r\n\t"         },
    { "f",            "Zg==",     "Zg",       "Zg"              },
    { "fo",           "Zm8=",     "Zm8",      "Zm8"             },
    { "foo",          "Zm9v",     "Zm9v",     "Zm 9v\n"         },
    { "foob",         "Zm9vYg==", "Zm9vYg",   "Zm9v Yg= ="      },
    { "fooba",        "Zm9vYmE=", "Zm9vYmE",  "Zm9vYmE"         },
    { "foobar",       "Zm9vYmFy", "Zm9vYmFy", "\fZm9v\vYmFy "   },
    { "\xfb\xff\xfe", "+//+",     "-__-",     "-__-"            },
    { "\xff",         "/w==",     "_w",       "_x"              }
};

static const char *const not_base64[] = {
    "A", "=", "==", "A=", "A==", "A===", "AA=", "AA=A", "AAA==", "AAAA=",
    "AAAA==", "AAAAA", "AA==AA", "AA===", "A!AA", "AA%3D%3D", "\303\244AA",
    "AA,A"
};

static void base64(apr_pool_t *p)
{
    llmux_slice_t nul = { "QQ\0Q", 4 };
    apr_size_t i;

    for (i = 0; i < COUNT(pairs); i++) {
        const char *text = pairs[i].text;

        is_str(llmux_base64_encode(p, llmux_slice(text)).data,
               pairs[i].base64, "encoded");
        is_str(llmux_slice_str(p, llmux_base64url_encode(p,
                                                         llmux_slice(text))),
               pairs[i].url, "encoded for URLs");
        is_str(llmux_base64_decode(p, llmux_slice(pairs[i].base64)).data, text,
               "decoded");
        is_str(llmux_base64_decode(p, llmux_slice(pairs[i].loose)).data, text,
               "decoded loosely");
    }
    for (i = 0; i < COUNT(not_base64); i++) {
        ok(!llmux_base64_decode(p, llmux_slice(not_base64[i])).data,
           "refused: %s", not_base64[i]);
    }
    ok(!llmux_base64_decode(p, nul).data, "refused: a NUL");
    ok(!llmux_base64_encode(p, absent).data
       && !llmux_base64url_encode(p, absent).data
       && !llmux_base64_decode(p, absent).data, "absent stays absent");
}

static void base64_all_bytes(apr_pool_t *p)
{
    char bytes[256];
    llmux_slice_t in = { bytes, 0 }, out;
    int i, same = 1;

    for (i = 0; i < 256; i++) {
        bytes[i] = (char)i;
    }
    for (i = 0; i <= 256; i++) {
        in.len = (apr_size_t)i;
        out = llmux_base64_decode(p, llmux_base64_encode(p, in));
        same &= llmux_slice_equal(in, out);
    }
    ok(same, "every length up to 256 comes back");
}

/* ---- data URLs ------------------------------------------------------- */

static const struct {
    const char *url, *type, *base64;        /* type NULL: it is none */
} urls[] = {
    { "data:image/png;base64,Zm9v",            "image/png",  "Zm9v"     },
    { "data:image/png;base64,Zg==",            "image/png",  "Zg=="     },
    { "data:image/png;base64,Zg",              "image/png",  "Zg=="     },
    { "data:image/png;base64,_x",              "image/png",  "/w=="     },
    { "data:image/png;base64,/x==",            "image/png",  "/w=="     },
    { "data:image/png;base64,-__-",            "image/png",  "+//+"     },
    { "data:image/png;base64,Zm9v%0D%0AYg%3d%3D", "image/png", "Zm9vYg==" },
    { "data:image/png;base64,%2B%2f/+",        "image/png",  "+//+"     },
    { "data:image/png;base64,Zm\n9v",          "image/png",  "Zm9v"     },
    { " DATA:Image/PNG;BASE64,Zm9v\n",         "image/png",  "Zm9v"     },
    { "data:text/plain;charset=utf-8;base64,Zg==", "text/plain", "Zg==" },
    { "data:image/svg+xml; Base64 ,Zg==",      "image/svg+xml", "Zg=="  },
    { "data:;base64,Zm9v",                     "text/plain", "Zm9v"     },
    { "data:,foo",                             "text/plain", "Zm9v"     },
    { "data:,",                                "text/plain", ""         },
    { "data:image/png;base64,",                "image/png",  ""         },
    { "data:text/html,a%20b%",                 "text/html",  "YSBiJQ==" },
    { "data:text/html,%zz%4",                  "text/html",  "JXp6JTQ=" },
    { "data:,a,b",                             "text/plain", "YSxi"     },
    { "data:text/plain;base64x,foo",           "text/plain", "Zm9v"     },
    { "",                                      NULL, NULL },
    { "data",                                  NULL, NULL },
    { "data:",                                 NULL, NULL },
    { "data:image/png;base64",                 NULL, NULL },
    { "data:image/png;base64,Z",               NULL, NULL },
    { "data:image/png;base64,!!!!",            NULL, NULL },
    { "data:base64,Zm9v",                      NULL, NULL },
    { "data:image;base64,Zm9v",                NULL, NULL },
    { "data:image/;base64,Zm9v",               NULL, NULL },
    { "data:/png;base64,Zm9v",                 NULL, NULL },
    { "data:image/p\"g;base64,Zm9v",           NULL, NULL },
    { "data:image/p/g;base64,Zm9v",            NULL, NULL },
    { "data:image/p\r\ng;base64,Zm9v",         NULL, NULL },
    { "https://example.com/data:,x",           NULL, NULL },
    { "Zm9v",                                  NULL, NULL }
};

static void data_urls(apr_pool_t *p)
{
    llmux_data_url_t out;
    llmux_slice_t url;
    apr_size_t i;

    for (i = 0; i < COUNT(urls); i++) {
        int found = llmux_data_url(p, llmux_slice(urls[i].url), &out);

        ok(found == !!urls[i].type, "%s", urls[i].url);
        if (found && urls[i].type) {
            is_str(llmux_slice_str(p, out.type), urls[i].type, "its type");
            is_str(llmux_slice_str(p, out.base64), urls[i].base64, "its data");
        }
    }
    url = llmux_slice("data:image/png;base64,Zm9v");
    llmux_data_url(p, url, &out);
    ok(out.base64.data == url.data + 22, "good data is not copied");
    ok(!llmux_data_url(p, absent, &out), "absent is none");
}

/* ---- sniffing -------------------------------------------------------- */

static const struct {
    const char *bytes;
    apr_size_t len;
    const char *type;
} media[] = {
    { "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16, "image/png" },
    { "\xff\xd8\xff\xe0\0\x10JFIF", 10, "image/jpeg" },
    { "GIF87a\1\0", 8, "image/gif" },
    { "GIF89a", 6, "image/gif" },
    { "RIFF\x24\0\0\0WEBPVP8 ", 16, "image/webp" },
    { "RIFF\x24\0\0\0WAVEfmt ", 16, "audio/wav" },
    { "%PDF-1.7\n", 9, "application/pdf" },
    { "ID3\4\0\0\0\0", 8, "audio/mpeg" },
    { "\xff\xfb\x90\x64", 4, "audio/mpeg" },
    { "\xff\xf3\x84\xc4", 4, "audio/mpeg" },
    { "\xff\xf1\x50\x80", 4, NULL },            /* AAC */
    { "\xff\xff\xff\xff", 4, NULL },
    { "\xff\xfe" "a\0b\0", 6, NULL },           /* UTF-16 */
    { "RIFF\x24\0\0\0AVI LIST", 16, NULL },
    { "RIFF\x24\0\0\0WEB", 11, NULL },
    { "GIF88a", 6, NULL },
    { "\x89PNG", 4, NULL },
    { "hello, world", 12, NULL },
    { "", 0, NULL }
};

static void sniffing(apr_pool_t *p)
{
    apr_size_t i;

    for (i = 0; i < COUNT(media); i++) {
        llmux_slice_t bytes = { media[i].bytes, media[i].len };

        is_str(llmux_media_sniff(llmux_base64_encode(p, bytes)),
               media[i].type, media[i].type ? media[i].type : "unknown bytes");
    }
    is_str(llmux_media_sniff(llmux_slice("_9j_4A")), "image/jpeg",
           "the other alphabet, no padding");
    is_str(llmux_media_sniff(llmux_slice("\n/9 j/\n4A==")), "image/jpeg",
           "white space in it");
    is_str(llmux_media_sniff(llmux_slice("!/9j/4A==")), NULL, "not base64");
    is_str(llmux_media_sniff(absent), NULL, "absent");
}

/* ---- numbers with units ---------------------------------------------- */

static const struct {
    const char *text;
    long long us;           /* -1: refused */
} durations[] = {
    { "5s", 5000000 }, { "100ms", 100000 }, { "2m", 120000000 },
    { "1h", 3600000000LL }, { "7", 7000000 }, { "5S", 5000000 },
    { "005", 5000000 }, { "31536000", 31536000000000LL },
    { "8760h", 31536000000000LL }, { "8761h", -1 }, { "31536001s", -1 },
    { "0", 0 }, { "0s", 0 }, { "-5s", -1 }, { "+5s", -1 }, { "1.5s", -1 },
    { "", -1 }, { "s", -1 }, { "5 s", -1 }, { " 5s", -1 }, { "5s ", -1 },
    { "5x", -1 }, { "5ss", -1 }, { "1h30m", -1 }, { "99999999999999999999", -1 },
    { "9223372036854775807h", -1 }, { "0x10", -1 }, { "1e3", -1 }
};

static const struct {
    const char *text;
    long long bytes;        /* -1: refused */
} sizes[] = {
    { "32M", 33554432 }, { "64k", 65536 }, { "1G", 1073741824 }, { "0", 0 },
    { "17", 17 }, { "1g", 1073741824 }, { "0k", 0 },
    { "9223372036854775807", 9223372036854775807LL },
    { "8589934591G", 9223372035781033984LL }, { "8589934592G", -1 },
    { "9223372036854775808", -1 }, { "-1", -1 }, { "", -1 }, { "M", -1 },
    { "1.5M", -1 }, { "1MB", -1 }, { "1 M", -1 }, { "1T", -1 }, { "0x1", -1 }
};

static void units(void)
{
    apr_interval_time_t us;
    apr_int64_t bytes;
    apr_size_t i;

    for (i = 0; i < COUNT(durations); i++) {
        us = -1;
        ok(llmux_duration_parse(durations[i].text, &us)
           == (durations[i].us >= 0) && us == durations[i].us,
           "duration '%s'", durations[i].text);
    }
    for (i = 0; i < COUNT(sizes); i++) {
        bytes = -1;
        ok(llmux_size_parse(sizes[i].text, &bytes) == (sizes[i].bytes >= 0)
           && bytes == sizes[i].bytes, "size '%s'", sizes[i].text);
    }
    ok(!llmux_duration_parse(NULL, &us) && !llmux_size_parse(NULL, &bytes),
       "NULL is neither");
}

/* Now is Sun, 06 Nov 1994 08:49:37 GMT. */
static const struct {
    const char *value;
    long long us;
} waits[] = {
    { "0", 0 }, { "20", 20000000 }, { " 20\t", 20000000 },
    { "1.5", 1500000 }, { "0.0000019", 1 }, { "0.5", 500000 },
    { "86400", 86400000000LL }, { "86401", 86400000000LL },
    { "99999999999999999999999", 86400000000LL },
    { "-1", -1 }, { "-0", -1 }, { "+5", -1 }, { "", -1 }, { " ", -1 },
    { "1.", -1 }, { ".5", -1 }, { "1.5.5", -1 }, { "1e9", -1 }, { "5s", -1 },
    { "nan", -1 }, { "inf", -1 }, { "soon", -1 },
    { "Sun, 06 Nov 1994 08:49:47 GMT", 10000000 },
    { "Sunday, 06-Nov-94 08:50:37 GMT", 60000000 },
    { "Sun Nov  6 08:49:38 1994", 1000000 },
    { "Sun, 06 Nov 1994 08:49:36 GMT", 0 },
    { "Sun, 06 Nov 2094 08:49:37 GMT", 86400000000LL },
    { "Sun, 99 Nov 1994 08:49:37 GMT", -1 },
    { "Sun, 06 Nov 1994", -1 }
};

static void retry_after(void)
{
    const apr_time_t now = 784111777LL * APR_USEC_PER_SEC;
    char longest[5000];
    apr_size_t i;

    for (i = 0; i < COUNT(waits); i++) {
        is_int(llmux_retry_after_parse(waits[i].value, now), waits[i].us,
               waits[i].value);
    }
    memset(longest, '1', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    is_int(llmux_retry_after_parse(longest, now), -1, "thousands of digits");
    is_int(llmux_retry_after_parse(NULL, now), -1, "no header");
}

int main(void)
{
    apr_pool_t *p;

    apr_initialize();
    apr_pool_create(&p, NULL);
    slices(p);
    points();
    url_escapes(p);
    base64(p);
    base64_all_bytes(p);
    data_urls(p);
    sniffing(p);
    units();
    retry_after();
    apr_pool_destroy(p);
    return tap_done();
}
