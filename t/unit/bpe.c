/* bpe.c - tokens of texts, by byte-pair encoding and without. */

#include <unistd.h>

#include <apr_file_io.h>
#include <apr_strings.h>

#include "tap.h"
#include "tokens/bpe.h"

#define CL LLMUX_ENCODING_CL100K
#define O2 LLMUX_ENCODING_O200K

static apr_pool_t *pool;
static llmux_bpe_t *bpe;

/* Checked with OpenAI's own tiktoken. */
static const struct { const char *text; int cl100k, o200k; } texts[] = {
    { "", 0, 0 },
    { "a", 1, 1 },
    { "hello world", 2, 2 },
    { "Hello, world! How's it going?", 9, 9 },
    { "I'LL we'Ve 's x's y'\xc5\xbf", 14, 13 },
    { "tiktoken is great!", 6, 6 },
    { "antidisestablishmentarianism", 6, 6 },
    { "2 + 2 = 4, 1234567.89", 14, 14 },
    { "   leading,   inner  and trailing   ", 9, 9 },
    { "line\n\n\n  next\r\n\r\nlast\n", 7, 7 },
    { "\t\tif (x) {\n\t\t\treturn 0;\n\t\t}\n", 14, 14 },
    { "Gr\xc3\xbc\xc3\x9f Gott", 4, 4 },
    { "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe3\x81\xae\xe6\x96\x87", 6, 4 },
    { "\xf0\x9f\x91\x8d\xf0\x9f\x8f\xbd", 6, 3 },
    { "a\xc2\x85" "b\xef\xbb\xbf" "c\xe1\xa0\x8e" "d", 10, 10 },
    { "A'DAx", 3, 3 },
    { " \xc2\x85!", 4, 4 },
    { "\xe1\xa0\x8e\n \n.", 6, 6 },
    { " \xef\xbb\xbf.", 2, 2 },
    { "<|endoftext|>", 7, 7 },
    { "e\xcc\x81\xcc\x81 \xcc\x81", 5, 5 }
};

static llmux_tokens_t count(llmux_encoding_e encoding, llmux_slice_t text)
{
    return llmux_bpe_count(bpe, pool, encoding, text);
}

static void known_texts(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        llmux_slice_t s = llmux_slice(texts[i].text);
        llmux_tokens_t cl = count(CL, s), o2 = count(O2, s);

        ok(cl.count == texts[i].cl100k && o2.count == texts[i].o200k,
           "text %d: %d and %d", (int)i, (int)cl.count, (int)o2.count);
        ok(cl.exact && o2.exact, "exactly");
    }
}

/* `n` times the same. */
static llmux_slice_t many(const char *of, apr_size_t n)
{
    apr_size_t len = strlen(of), i;
    char *text = apr_palloc(pool, n * len);
    llmux_slice_t s = { text, n * len };

    for (i = 0; i < n; i++) {
        memcpy(text + i * len, of, len);
    }
    return s;
}

/* Without a place to cut, or with very many. */
static void hostile_texts(void)
{
    static const struct { const char *of; int exact; } rows[] = {
        { "a", 0 }, { "A", 0 }, { " ", 0 }, { "\n", 0 }, { "=", 0 },
        { "\xe4\xb8\xad", 0 }, { "\xcc\x81", 0 }, { "7", 1 }, { "a ", 1 },
        { "aA", 1 }, { "'s", 1 }, { " \n", 0 }
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        llmux_slice_t text = many(rows[i].of, (1 << 20) / strlen(rows[i].of));
        llmux_tokens_t t = count(O2, text);

        ok(t.count > 0 && (apr_size_t)t.count <= text.len,
           "a megabyte of text %d: %d", (int)i, (int)t.count);
        is_int(t.exact, rows[i].exact, "exactness");
    }
}

/* The interpreter of PCRE2 must not need more steps than it may have. */
static void without_jit(void)
{
    llmux_slice_t words = llmux_slice(texts[3].text);
    llmux_slice_t spaces = many(" ", 1 << 20);
    int i;

    for (i = 1; i < LLMUX_ENCODINGS; i++) {
        pcre2_code *jit = bpe->encodings[i].pattern;
        pcre2_code *plain = pcre2_code_copy(jit);

        ok(plain != NULL, "a copy has no machine code");
        bpe->encodings[i].pattern = plain;
        is_int(count(i, words).count, 9, "it counts the same");
        is_int(count(i, words).exact, 1, "exactly");
        is_int(count(i, spaces).count, 8192, "and comes to an end");
        bpe->encodings[i].pattern = jit;
        pcre2_code_free(plain);
    }
}

static void limits(void)
{
    llmux_slice_t text = llmux_slice("word ");
    llmux_slice_t bad = { "a\xff\xf0\x9f" "b\xed\xa0\x80", 8 };
    llmux_slice_t good = llmux_slice("a\xef\xbf\xbd\xef\xbf\xbd" "b"
        "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    llmux_slice_t long_text = many("seven! ", LLMUX_TOKENS_TEXT_MAX / 7 + 9);
    llmux_tokens_t t = count(O2, bad);

    ok(t.count == count(O2, good).count && !t.exact,
       "faults of UTF-8 are U+FFFD, and no exact count");
    t = count(O2, long_text);
    ok(!t.exact && t.count > (apr_int64_t)long_text.len / 7,
       "a text that is too long is estimated from there");
    t = llmux_bpe_count(NULL, pool, O2, text);
    ok(!t.exact && t.count == llmux_tokens_estimate(text),
       "without ranks everything is");
    t = count(LLMUX_ENCODING_NONE, text);
    ok(!t.exact && t.count == llmux_tokens_estimate(text),
       "and without an encoding");
    t = count(O2, llmux_slice(NULL));
    ok(t.exact && !t.count, "no text has no tokens");
}

/* Any pair of the same merges as the heap finds them as a plain search does. */
static apr_uint32_t plain_merge(const llmux_ranks_t *r, const char *s,
                                apr_uint32_t len)
{
    apr_uint32_t starts[65], n = len, i, best, rank, at = 0;

    for (i = 0; i <= len; i++) {
        starts[i] = i;
    }
    for (;;) {
        best = LLMUX_RANK_NONE;
        for (i = 0; i + 1 < n; i++) {
            rank = llmux_ranks_find(r, s + starts[i],
                                    starts[i + 2] - starts[i]);
            if (rank < best) {
                best = rank;
                at = i;
            }
        }
        if (best == LLMUX_RANK_NONE) {
            return n;
        }
        memmove(starts + at + 1, starts + at + 2,
                (n - at - 1) * sizeof(*starts));
        n--;
    }
}

static void merges(void)
{
    llmux_merge_t m = { pool };
    apr_uint32_t seed = 7, i, k, len, wrong = 0;
    char piece[64];

    for (i = 0; i < 3000; i++) {
        len = 1 + i % 64;
        for (k = 0; k < len; k++) {
            seed = seed * 1664525u + 1013904223u;
            piece[k] = "etaoin "[(seed >> 24) % 7];
        }
        wrong += llmux_merge_count(&m, &bpe->encodings[O2], piece, len)
                 != plain_merge(&bpe->encodings[O2], piece, len);
    }
    is_int(wrong, 0, "merging by a heap and by plain search are the same");
}

/* ---- files ------------------------------------------------------------- */

static void write_file(const char *path, const char *bytes, apr_size_t len)
{
    apr_file_t *file;

    apr_file_open(&file, path, APR_FOPEN_WRITE | APR_FOPEN_CREATE
                               | APR_FOPEN_TRUNCATE, APR_FPROT_OS_DEFAULT,
                  pool);
    apr_file_write_full(file, bytes, len, NULL);
    apr_file_close(file);
}

static llmux_slice_t read_file(const char *path)
{
    llmux_slice_t s = { NULL, 0 };
    apr_file_t *file;
    apr_finfo_t info;
    char *bytes;

    apr_file_open(&file, path, APR_FOPEN_READ, 0, pool);
    apr_file_info_get(&info, APR_FINFO_SIZE, file);
    s.len = (apr_size_t)info.size;
    bytes = apr_palloc(pool, s.len);
    apr_file_read_full(file, bytes, s.len, NULL);
    apr_file_close(file);
    s.data = bytes;
    return s;
}

/* Files that are not what they should be: a byte changed, bytes missing. */
static void bad_files(void)
{
    static const struct {
        const char *what;
        apr_size_t at, len;         /* len 0: all of it */
    } rows[] = {
        { "another magic",         0,  0  },
        { "another version",       8,  0  },
        { "too many buckets",      18, 0  },
        { "longer entries",        24, 0  },
        { "another name",          28, 0  },
        { "offsets that go back",  50, 0  },
        { "the head alone",        0,  44 },
        { "half a head",           0,  20 },
        { "one byte too few",      0,  1307045 },
        { "nothing",               0,  0  }
    };
    llmux_slice_t whole = read_file("data/cl100k_base.bpe");
    char *bytes = apr_palloc(pool, whole.len);
    const char *dir, *path, *why;
    apr_size_t i;

    apr_temp_dir_get(&dir, pool);
    dir = apr_psprintf(pool, "%s/llmux-bpe-%ld", dir, (long)getpid());
    path = apr_pstrcat(pool, dir, "/cl100k_base.bpe", NULL);
    apr_dir_make(dir, APR_FPROT_OS_DEFAULT, pool);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        apr_size_t len = rows[i].len ? rows[i].len : whole.len;

        memcpy(bytes, whole.data, whole.len);
        bytes[rows[i].at] = (char)(bytes[rows[i].at] + !rows[i].len);
        write_file(path, bytes, strcmp(rows[i].what, "nothing") ? len : 0);
        why = NULL;
        ok(!llmux_bpe_load(pool, dir, &why) && why && strstr(why, path),
           "%s is refused: %s", rows[i].what, why ? why : "?");
    }
    apr_file_remove(path, pool);
    why = NULL;
    ok(!llmux_bpe_load(pool, dir, &why) && why && strstr(why, path),
       "a file that is not there is named");
    apr_dir_remove(dir, pool);
}

/* ---- estimates --------------------------------------------------------- */

static void estimates(void)
{
    static const struct { const char *text; int tokens; } rows[] = {
        { "", 0 },
        { "a", 1 },
        { "The quick brown fox jumps over the lazy dog.", 10 },
        { "1234567890", 7 },
        { "        ", 1 },
        { "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82", 3 },
        { "\xe4\xbd\xa0\xe5\xa5\xbd", 2 },
        { "\xf0\x9f\x91\x8d", 2 },
        { "\xe4", 1 },
        { "\xff\xff", 4 }
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        is_int(llmux_tokens_estimate(llmux_slice(rows[i].text)),
               rows[i].tokens, apr_psprintf(pool, "estimate of \"%s\"",
                                            rows[i].text));
    }
}

int main(void)
{
    const char *why = NULL;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    bpe = llmux_bpe_load(pool, "data", &why);
    if (!ok(bpe != NULL, "the ranks load: %s", why ? why : "fine")) {
        return tap_done();
    }
    known_texts();
    merges();
    limits();
    hostile_texts();
    without_jit();
    bad_files();
    estimates();
    apr_pool_destroy(pool);
    return tap_done();
}
