/* seal.c - tests of sealing opaque tokens: what was made by others opens, and
 * what was altered, carried over or grown old does not. */

#include <stdlib.h>

#include "seals.h"
#include "transcript.h"

static apr_pool_t *pool;

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define OTHER "1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100"

static const llmux_slice_t nobody = { NULL, 0 };

static llmux_sealer_t *keys(const char *text)
{
    const char *why;

    return sealer_of(pool, text, &why);
}

static int is_nothing(llmux_token_t t)
{
    return t.maker == LLMUX_MAKER_NONE && !t.bytes.data && !t.account.data
           && !t.call_id.data;
}

/* "maker account call_id bytes", "-" for what is absent. */
static const char *told(llmux_token_t t)
{
    const char *dash = "-";

    return apr_pstrcat(pool, maker_names[t.maker], " ",
        t.account.data ? llmux_slice_str(pool, t.account) : dash, " ",
        t.call_id.data ? llmux_slice_str(pool, t.call_id) : dash, " ",
        t.bytes.data ? llmux_slice_str(pool, t.bytes) : dash, NULL);
}

static const char *opened(const llmux_sealer_t *s, llmux_slice_t tenant,
                          const char *seal)
{
    return told(llmux_unseal(pool, s, tenant, llmux_slice(seal)));
}

/* ---- what the bytes are ---------------------------------------------- */

/* Sealed by another program, as seal.h says it is done. */
static const struct { const char *seal, *tenant, *want; } foreign[] = {
    { "gw2.k1.ZGVmZ2hpamtsbW5v_-nLGg_l5yyzA-ETmoPcOhpyCEudRapa_yi0Rx1lV8nC"
      "qmmF3QiWlo9C", "tenant", "gemini account call_1 EqQB+/==" },
    { "Z3cyLmsxLmRlZmdoaWprbG1ub//pyxoP5ecsswPhE5qD3DoacghLnUWqWv8otEcdZVfJ"
      "wqpphd0IlpaPQg==", "tenant", "gemini account call_1 EqQB+/==" },
    { "Z3cyLmsxLmRlZmdoaWprbG1ub__pyxoP5ecsswPhE5qD3DoacghLnUWqWv8otEcdZVfJ"
      "wqpphd0IlpaPQg", "tenant", "gemini account call_1 EqQB+/==" },
    { "gw2.k1.ZGVmZ2hpamtsbW5v-enMe2zVakT348u5oUFl3QH4kFCHwQ", NULL,
      "anthropic - - S" },
    { "gw2.k1.ZGVmZ2hpamtsbW5v-enMe2zVakT348u5oUFl3QH4kFCHwQ", "tenant",
      "none - - -" }
};

static void test_format(void)
{
    const llmux_sealer_t *s = keys("k1:" KEY);
    apr_size_t i;

    for (i = 0; i < sizeof(foreign) / sizeof(*foreign); i++) {
        is_str(opened(s, llmux_slice(foreign[i].tenant), foreign[i].seal),
               foreign[i].want, "a seal that was not made here");
    }
}

/* ---- there and back -------------------------------------------------- */

static const struct {
    llmux_maker_e maker;
    const char *account, *call_id, *bytes, *want;
} tokens[] = {
    { LLMUX_MAKER_ANTHROPIC, "acc", NULL, "EqQB", "anthropic acc - EqQB" },
    { LLMUX_MAKER_ANTHROPIC_REDACTED, "acc", NULL, "R", "redacted acc - R" },
    { LLMUX_MAKER_GEMINI, NULL, "call.1", "\xff\x01", "gemini - call.1 "
      "\xff\x01" },
    { LLMUX_MAKER_OPENAI, "a b", NULL, "gAAAAAB-_", "openai a b - gAAAAAB-_" }
};

static llmux_token_t token_of(int i)
{
    llmux_token_t t = { tokens[i].maker, llmux_slice(tokens[i].bytes) };

    t.call_id = llmux_slice(tokens[i].call_id);
    return t;
}

static void test_there_and_back(void)
{
    const llmux_sealer_t *s = keys("k1:" KEY);
    llmux_slice_t seal, base64, again;
    llmux_token_t t;
    int i;

    for (i = 0; i < 4; i++) {
        t = token_of(i);
        seal = llmux_seal(pool, s, SEAL_TENANT, tokens[i].account, &t);
        base64 = llmux_seal_base64(pool, s, SEAL_TENANT, tokens[i].account,
                                   &t);
        again = llmux_seal(pool, s, SEAL_TENANT, tokens[i].account, &t);
        ok(llmux_slice_starts(seal, "gw2.k1.") && llmux_sealed(seal)
           && llmux_sealed(base64), "a seal is known as one");
        is_int((long)strspn(seal.data + 7, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                            "abcdefghijklmnopqrstuvwxyz0123456789-_"),
               (long)seal.len - 7, "it is safe anywhere");
        ok(!llmux_slice_equal(seal, again), "no two are the same");
        is_str(opened(s, SEAL_TENANT, seal.data), tokens[i].want, "opens");
        is_str(opened(s, SEAL_TENANT, base64.data), tokens[i].want,
               "... as base64 too");
    }
}

/* ---- altered --------------------------------------------------------- */

/* Each character becomes another one of the same alphabet. */
static int all_refused(const llmux_sealer_t *s, const char *seal, int base64)
{
    char *copy = apr_pstrdup(pool, seal), *c;
    llmux_token_t t;
    int good = 1;

    for (c = copy; *c; c++) {
        char was = *c;

        if (base64 && was == '=') {
            continue;           /* a decoder may do without */
        }
        *c = was == 'A' ? 'Q' : was == '.' ? '-' : 'A';
        t = llmux_unseal(pool, s, SEAL_TENANT, llmux_slice(copy));
        if (!is_nothing(t)) {
            printf("# opened with '%c' at %ld\n", *c, (long)(c - copy));
            good = 0;
        }
        *c = was;
    }
    return good;
}

static int all_cut_refused(const llmux_sealer_t *s, const char *seal)
{
    llmux_slice_t cut = llmux_slice(seal);
    int good = 1;

    while (cut.len--) {
        good &= is_nothing(llmux_unseal(pool, s, SEAL_TENANT, cut));
    }
    return good;
}

/* The last character's bits that decode to nothing: another text, the same
 * bytes. */
static const char *stray(const char *seal)
{
    char *copy = apr_pstrdup(pool, seal);

    copy[strlen(copy) - 1]++;
    return copy;
}

static void test_altered(void)
{
    const llmux_sealer_t *s = keys("k1:" KEY " k2:" OTHER " k3:" KEY);
    llmux_token_t t = { LLMUX_MAKER_ANTHROPIC, { "EqQB", 4 } };
    const char *seal = llmux_seal(pool, s, SEAL_TENANT, "acc", &t).data;
    const char *base64 = llmux_seal_base64(pool, s, SEAL_TENANT, "acc",
                                           &t).data;

    ok(all_refused(s, seal, 0), "no character can be changed");
    ok(all_refused(s, base64, 1), "... in base64 neither");
    ok(all_cut_refused(s, seal), "nothing can be cut off");
    ok(all_cut_refused(s, apr_pstrmemdup(pool, base64, strlen(base64) - 2)),
       "... in base64 neither");
    ok(is_nothing(llmux_unseal(pool, s, SEAL_TENANT, llmux_slice(
           apr_pstrcat(pool, seal, "A", NULL)))), "nothing can be added");
    ok(is_nothing(llmux_unseal(pool, s, SEAL_TENANT, llmux_slice(
           apr_pstrcat(pool, seal, " ", NULL)))), "... not even space");
    ok(is_nothing(llmux_unseal(pool, s, SEAL_TENANT,
                               llmux_slice(stray(foreign[3].seal)))),
       "one spelling is good");
    ok(is_nothing(llmux_unseal(pool, s, SEAL_TENANT, llmux_slice(
           apr_pstrcat(pool, "gw2.k2.", seal + 7, NULL)))),
       "another key does not open it");
    ok(is_nothing(llmux_unseal(pool, s, SEAL_TENANT, llmux_slice(
           apr_pstrcat(pool, "gw2.k3.", seal + 7, NULL)))),
       "nor does the same key under another id");
    ok(is_nothing(llmux_unseal(pool, s, SEAL_TENANT, llmux_slice(
           apr_pstrcat(pool, "gw3.", seal + 4, NULL)))),
       "nor is another version one");
}

static void test_tenants(void)
{
    static const char *const others[] = {
        "", "tenan", "tenant2", "Tenant", "k1tenant", "tenant\n", NULL
    };
    const llmux_sealer_t *s = keys("k1:" KEY);
    llmux_token_t t = { LLMUX_MAKER_GEMINI, { "EqQB", 4 } };
    const char *seal = llmux_seal(pool, s, SEAL_TENANT, "acc", &t).data;
    int i;

    is_str(opened(s, SEAL_TENANT, seal), "gemini acc - EqQB", "its tenant");
    for (i = 0; others[i]; i++) {
        is_str(opened(s, llmux_slice(others[i]), seal), "none - - -",
               "another tenant");
    }
    is_str(opened(s, nobody, seal), "none - - -", "no tenant");
}

/* ---- keys ------------------------------------------------------------ */

static void test_rotation(void)
{
    llmux_token_t t = { LLMUX_MAKER_OPENAI, { "gAAAA", 5 } };
    const char *old = llmux_seal(pool, keys("k1:" KEY), SEAL_TENANT, "acc",
                                 &t).data;
    const llmux_sealer_t *both = keys("k2:" OTHER "\n\t k1:" KEY " ");

    ok(llmux_slice_starts(llmux_seal(pool, both, SEAL_TENANT, NULL, &t),
                          "gw2.k2."), "the first key seals");
    is_str(opened(both, SEAL_TENANT, old), "openai acc - gAAAA",
           "an older one opens");
    is_str(opened(keys("k2:" OTHER), SEAL_TENANT, old), "none - - -",
           "one that is gone does not");
    is_str(opened(keys("k1:" OTHER), SEAL_TENANT, old), "none - - -",
           "nor does another one of its name");
}

static const struct { const char *text, *why; } refused[] = {
    { ":" KEY, "letters" }, { "a.b:" KEY, "letters" },
    { "12345678901234567:" KEY, "letters" },
    { "k1:", "empty" }, { "k1:s3cr3t", "32 bytes" },
    { "k1:" KEY "00", "32 bytes" }, { "k1:0" KEY, "32 bytes" },
    { "k1:g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
      "32 bytes" },
    { "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==", "32 bytes" },
    { "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "32 bytes" },
    { "k1:env:LLMUX_TEST_NO_SUCH_VARIABLE", "not set" },
    { "k1:file:/nonexistent/key", "Cannot read" },
    { "k1:" KEY " k1:" OTHER, "two keys" }
};

static const char *const accepted[] = {
    ("k1:" KEY),
    "k1:000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
    "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
    "k1:env:LLMUX_TEST_SEAL_KEY"
};

static void test_keys(void)
{
    const char *why;
    apr_size_t i;

    for (i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
        ok(!sealer_of(pool, refused[i].text, &why)
           && strstr(why, refused[i].why), "refused: %s", refused[i].why);
        ok(!strstr(why, "0102") && !strstr(why, "AAAA")
           && !strstr(why, "s3cr3t"), "... without saying the key");
    }
    setenv("LLMUX_TEST_SEAL_KEY", KEY, 1);
    for (i = 0; i < sizeof(accepted) / sizeof(*accepted); i++) {
        is_str(opened(keys(accepted[i]), SEAL_TENANT, foreign[0].seal),
               foreign[0].want, "a key in one of its spellings");
    }
}

static void test_many_keys(void)
{
    llmux_sealer_t *s = llmux_sealer_create(pool);
    const char *why = NULL;
    int i;

    for (i = 0; i < LLMUX_SEAL_KEYS_MAX && !why; i++) {
        why = add_key(s, pool, apr_psprintf(pool, "k%d:" KEY, i));
    }
    is_str(why, NULL, "as many keys as there may be");
    why = add_key(s, pool, "more:" KEY);
    ok(why && strstr(why, "more than 16"), "and not one more");
    is_str(opened(s, llmux_slice("tenant"), foreign[0].seal),
           foreign[0].want, "all of them open");
}

/* ---- sizes ----------------------------------------------------------- */

static llmux_slice_t filled(apr_size_t len)
{
    llmux_slice_t s = { memset(apr_palloc(pool, len), 'x', len), len };

    return s;
}

static int seals(llmux_token_t t, llmux_slice_t tenant, apr_size_t account)
{
    const llmux_sealer_t *s = test_sealer();
    llmux_slice_t name = filled(account + 1), seal;

    *(char *)(name.data + account) = '\0';
    seal = llmux_seal(pool, s, tenant, name.data, &t);
    return seal.data && !is_nothing(llmux_unseal(pool, s, tenant, seal));
}

static void test_sizes(void)
{
    llmux_token_t t = { LLMUX_MAKER_GEMINI, { "S", 1 } }, big = t, odd = t;
    llmux_sealer_t *none = llmux_sealer_create(pool);

    big.bytes = filled(LLMUX_SEAL_TOKEN_MAX);
    big.call_id = filled(LLMUX_SEAL_NAME_MAX);
    ok(seals(big, filled(LLMUX_SEAL_NAME_MAX), LLMUX_SEAL_NAME_MAX),
       "all at its longest");
    ok(!seals(t, filled(LLMUX_SEAL_NAME_MAX + 1), 1), "the tenant too long");
    ok(!seals(t, nobody, LLMUX_SEAL_NAME_MAX + 1), "the account too long");
    odd.call_id = filled(LLMUX_SEAL_NAME_MAX + 1);
    ok(!seals(odd, nobody, 1), "the call's id too long");
    big.bytes = filled(LLMUX_SEAL_TOKEN_MAX + 1);
    ok(!seals(big, nobody, 1), "the token too long");
    odd = t;
    odd.bytes = nobody;
    ok(!seals(odd, nobody, 1), "no token");
    odd = t;
    odd.maker = LLMUX_MAKER_NONE;
    ok(!seals(odd, nobody, 1), "no maker");
    ok(!llmux_seal(pool, NULL, nobody, NULL, &t).data
       && !llmux_seal_base64(pool, none, nobody, NULL, &t).data
       && is_nothing(llmux_unseal(pool, NULL, nobody,
                                  llmux_slice(foreign[0].seal)))
       && is_nothing(llmux_unseal(pool, none, nobody,
                                  llmux_slice(foreign[0].seal))), "no key");
    ok(is_nothing(llmux_unseal(pool, test_sealer(), nobody, nobody))
       && is_nothing(llmux_unseal(pool, test_sealer(), nobody,
                                  filled(LLMUX_SEAL_TOKEN_MAX * 2))),
       "nothing, and more than there can be");
}

/* ---- is it one? ------------------------------------------------------ */

static const struct { const char *text; int seal, mentioned; } looks[] = {
    { "gw2.", 1, 1 }, { "gw1.a.X", 1, 1 }, { "gw9.x", 1, 1 },
    { "gw2", 0, 0 }, { "gwx.", 0, 0 }, { "", 0, 0 }, { "gw", 0, 0 },
    { "Z3cyLm", 1, 1 }, { "Z3cxL", 1, 1 }, { "Z3c1L", 1, 1 },
    { "Z3cyM", 0, 0 }, { "Z3c", 0, 0 }, { "Z3cvL", 0, 0 },
    { "EqQB", 0, 0 }, { "gAAAA", 0, 0 },
    { "\"signature\":\"gw2.k1.AA\"", 0, 1 }, { "gwgwgw7.", 0, 1 },
    { "xZ3cZ3cyL", 0, 1 }, { "gw 2.", 0, 0 }
};

static void test_looks(void)
{
    llmux_slice_t s;
    apr_size_t i;

    for (i = 0; i < sizeof(looks) / sizeof(*looks); i++) {
        s = llmux_slice(looks[i].text);
        is_int(llmux_sealed(s), looks[i].seal, "is it a seal?");
        is_int(llmux_seal_mentioned(s), looks[i].mentioned,
               "is there one in it?");
    }
    ok(!llmux_sealed(nobody) && !llmux_seal_mentioned(nobody), "nothing");
}

/* ---- whom it fits ---------------------------------------------------- */

static const struct {
    llmux_maker_e maker;
    const char *account, *target;
    unsigned int makers;
    int want;
} fits[] = {
    { LLMUX_MAKER_ANTHROPIC, "a", "a", LLMUX_MADE_BY_CLAUDE, 1 },
    { LLMUX_MAKER_ANTHROPIC_REDACTED, "a", "a", LLMUX_MADE_BY_CLAUDE, 1 },
    { LLMUX_MAKER_ANTHROPIC, NULL, "a", LLMUX_MADE_BY_CLAUDE, 1 },
    { LLMUX_MAKER_ANTHROPIC, "a", NULL, LLMUX_MADE_BY_CLAUDE, 1 },
    { LLMUX_MAKER_ANTHROPIC, "a", "b", LLMUX_MADE_BY_CLAUDE, 0 },
    { LLMUX_MAKER_ANTHROPIC, "a", "aa", LLMUX_MADE_BY_CLAUDE, 0 },
    { LLMUX_MAKER_GEMINI, "a", "a", LLMUX_MADE_BY_CLAUDE, 0 },
    { LLMUX_MAKER_GEMINI, "a", "a", LLMUX_MADE_BY(LLMUX_MAKER_GEMINI), 1 },
    { LLMUX_MAKER_OPENAI, "a", "a", LLMUX_MADE_BY_ANY, 1 },
    { LLMUX_MAKER_OPENAI, "a", "b", LLMUX_MADE_BY_ANY, 0 },
    { LLMUX_MAKER_OPENAI, "a", "a", 0, 0 },
    { LLMUX_MAKER_NONE, "a", "a", LLMUX_MADE_BY_ANY, 0 }
};

static void test_fits(void)
{
    llmux_target_t target = { .name = "t" };
    llmux_token_t t = { LLMUX_MAKER_NONE, { "S", 1 } };
    apr_size_t i;

    for (i = 0; i < sizeof(fits) / sizeof(*fits); i++) {
        t.maker = fits[i].maker;
        t.account = llmux_slice(fits[i].account);
        target.account = fits[i].target;
        is_int(llmux_token_fits(&t, fits[i].makers, &target), fits[i].want,
               "may it go there?");
    }
    t.bytes = nobody;
    t.maker = LLMUX_MAKER_OPENAI;
    ok(!llmux_token_fits(&t, LLMUX_MADE_BY_ANY, &target), "nothing goes");
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_format();
    test_there_and_back();
    test_altered();
    test_tenants();
    test_rotation();
    test_keys();
    test_many_keys();
    test_sizes();
    test_looks();
    test_fits();
    apr_pool_destroy(pool);
    return tap_done();
}
