/* embed_encode.c - vectors are said in each client's way: arrays and base64
 * become each other exactly. In the tables ' stands for ". */

#include <math.h>

#include "tap.h"
#include "transcript.h"
#include "dialect/vector.h"

static apr_pool_t *pool;

/* ---- numbers ------------------------------------------------------------ */

#define ZEROS20  "00000000000000000000"
#define ZEROS140 ZEROS20 ZEROS20 ZEROS20 ZEROS20 ZEROS20 ZEROS20 ZEROS20

static const struct {
    const char *spelled;
    apr_uint32_t bits;
    const char *shortest;
} floats[] = {
    { "0",               0x00000000, "0" },
    { "-0",              0x80000000, "-0" },
    { "-0.0",            0x80000000, "-0" },
    { "1",               0x3f800000, "1" },
    { "-2.50",           0xc0200000, "-2.5" },
    { "0.1",             0x3dcccccd, "0.1" },
    { "1E2",             0x42c80000, "100" },
    { "1e+2",            0x42c80000, "100" },
    { "12345678",        0x4b3c614e, "12345678" },
    { "16777217",        0x4b800000, "16777216" },
    { "16777219",        0x4b800002, "1.677722e+07" },
    { "0.3333333333333", 0x3eaaaaab, "0.33333334" },
    { "-0.0472412109375", 0xbd418000, "-0.04724121" },
    { "3.4028235e38",    0x7f7fffff, "3.4028235e+38" },
    { "3.4028235677973362e38", 0x7f7fffff, "3.4028235e+38" },
    { "1.17549435e-38",  0x00800000, "1.1754944e-38" },
    { "1e-45",           0x00000001, "1.4013e-45" },
    { "7e-46",           0x00000000, "0" },
    { "1e-99999999999999999999", 0x00000000, "0" },
    { "0e99999999999999999999",  0x00000000, "0" },
    /* half way between two, and the least bit more, which a double would not
     * tell */
    { "1.00000005960464477539062500000", 0x3f800000, "1" },
    { "1.00000005960464477539062500001", 0x3f800001, "1.0000001" },
    { "1.000000059604644775390625" ZEROS140 "1", 0x3f800001, "1.0000001" },
    /* longer than what is looked at */
    { "0." ZEROS20 ZEROS140 "25e160", 0x3e800000, "0.25" },
    { "25" ZEROS140 ".0e-142", 0x3e800000, "0.25" },
    { "25" ZEROS140 "1e-143", 0x3e800000, "0.25" }
};

static const char *array_of(const char *number)
{
    return apr_pstrcat(pool, "[", number, "]", NULL);
}

static llmux_slice_t base64_of(apr_uint32_t bits)
{
    char bytes[4];
    llmux_slice_t s = { bytes, sizeof(bytes) };
    int i;

    for (i = 0; i < 4; i++) {
        bytes[i] = (char)(bits >> 8 * i);
    }
    return llmux_base64_encode(pool, s);
}

static const char *str(llmux_slice_t s)
{
    return s.data ? llmux_slice_str(pool, s) : "(none)";
}

static void test_floats(void)
{
    llmux_slice_t array, base64;
    unsigned int i;

    for (i = 0; i < sizeof(floats) / sizeof(floats[0]); i++) {
        array = llmux_slice(array_of(floats[i].spelled));
        base64 = base64_of(floats[i].bits);
        is_str(str(llmux_vector_pack(pool, array)), str(base64),
               floats[i].spelled);
        is_str(str(llmux_vector_unpack(pool, base64)),
               array_of(floats[i].shortest), "  ... and back");
    }
}

/* Every exponent, and bits in all places. */
static void test_round_trip(void)
{
    apr_uint32_t bits = 1, exponent;
    llmux_slice_t base64, array;
    apr_pool_t *scratch;
    int lost = 0, n;

    for (exponent = 0; exponent < 255; exponent++) {
        apr_pool_create(&scratch, pool);
        for (n = 0; n < 40; n++) {
            bits = bits * 1664525u + 1013904223u;
            base64 = base64_of((bits & 0x807fffff) | exponent << 23);
            array = llmux_vector_unpack(scratch, base64);
            lost += !llmux_slice_equal(llmux_vector_pack(scratch, array),
                                       base64);
            lost += isnan(llmux_json_double(llmux_json_at(
                llmux_json_parse(scratch, array, 0, NULL), 0), NAN));
        }
        apr_pool_destroy(scratch);
    }
    is_int(lost, 0, "whatever is in base64 comes back as it was");
}

static void test_no_vectors(void)
{
    static const char *const arrays[] = {
        "[1e39]", "[-1e39]", "[3.4028236e38]", "[1e99999999999999999999]",
        "[null]", "[\"1\"]", "[true]", "[[1]]", "[{}]", "{}", "7", "\"\"",
        "null", ""
    };
    static const apr_uint32_t bits[] = {
        0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7f800001,
        0x7fffffff
    };
    unsigned int i;

    for (i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        ok(llmux_vector_check(llmux_slice(arrays[i])) != NULL
           && !llmux_vector_pack(pool, llmux_slice(arrays[i])).data,
           "no vector: %s", arrays[i]);
    }
    for (i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        ok(!llmux_vector_unpack(pool, base64_of(bits[i])).data,
           "no number: %08x", bits[i]);
    }
    ok(!llmux_vector_unpack(pool, llmux_slice("AACA")).data, "three bytes");
    is_str(str(llmux_vector_unpack(pool, llmux_slice(""))), "[]",
           "an empty vector");
    is_str(str(llmux_vector_pack(pool, llmux_slice("[ ]"))), "",
           "... and back");
}

/* ---- answers ------------------------------------------------------------ */

#define OPENAI &llmux_dialect_embeddings
#define ONE    &llmux_dialect_gemini_embed
#define BATCH  &llmux_dialect_gemini_batch_embed

enum { UNREAD, FLOATS, BASE64 };

#define VECTOR(n, s) { .kind = LLMUX_EV_VECTOR, .cand = (n), \
                       .text = { s, sizeof(s) - 1 } }
#define PACKED(n, s) { .kind = LLMUX_EV_VECTOR, .cand = (n), .base64 = 1, \
                       .text = { s, sizeof(s) - 1 } }
#define START(s) { .kind = LLMUX_EV_START, .name = { s, sizeof(s) - 1 } }
#define NO_NAME { .kind = LLMUX_EV_START }
#define USAGE { .kind = LLMUX_EV_USAGE, .usage = &seven }
#define PING { .kind = LLMUX_EV_PING }
#define FAIL { .kind = LLMUX_EV_ERROR, .error = &wrong }
#define END { .kind = LLMUX_EV_END }

static const llmux_usage_t seven = { 7, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                     -1 };
static const llmux_error_t wrong = { LLMUX_ERR_BAD_UPSTREAM, 502, "No." };

#define ITEM(n, v) "{'object':'embedding','index':" n ",'embedding':" v "}"
#define LIST(items, model, n) "{'object':'list','data':[" items "],'model':'" \
    model "','usage':{'prompt_tokens':" n ",'total_tokens':" n "}}"

static const struct {
    const char *name;
    const llmux_dialect_t *dialect;
    int wanted;
    const char *model;
    llmux_event_t events[8];
    const char *want;
} answers[] = {
    { "numbers keep their spelling", OPENAI, FLOATS, NULL,
      { START("m"), VECTOR(0, "[ 0.10,\n1e2 ]"), USAGE, END },
      LIST(ITEM("0", "[0.10,1e2]"), "m", "7") },
    { "base64 keeps its own", OPENAI, BASE64, NULL,
      { START("m"), PACKED(0, "AACAPw=="), USAGE, END },
      LIST(ITEM("0", "'AACAPw=='"), "m", "7") },
    { "numbers in base64", OPENAI, BASE64, NULL,
      { START("m"), VECTOR(0, "[1,-2, 0.5]"), END },
      LIST(ITEM("0", "'AACAPwAAAMAAAAA/'"), "m", "0") },
    { "base64 in numbers", OPENAI, FLOATS, "ours",
      { START("m"), PACKED(0, "AACAPwAAAMAAAAA/"), END },
      LIST(ITEM("0", "[1,-2,0.5]"), "ours", "0") },
    { "a request that nobody read", OPENAI, UNREAD, NULL,
      { NO_NAME, PACKED(0, "AACAPw=="), VECTOR(1, "[1]"), END },
      LIST(ITEM("0", "'AACAPw=='") "," ITEM("1", "[1]"), "", "0") },
    { "the order is the client's", OPENAI, FLOATS, NULL,
      { START("m"), VECTOR(2, "[3]"), PING, VECTOR(0, "[1]"), USAGE,
        VECTOR(1, "[2]"), END },
      LIST(ITEM("0", "[1]") "," ITEM("1", "[2]") "," ITEM("2", "[3]"), "m",
           "7") },
    { "one that never came", OPENAI, FLOATS, NULL,
      { START("m"), VECTOR(1, "[2]"), END },
      LIST(ITEM("1", "[2]"), "m", "0") },
    { "numbers of no input", OPENAI, FLOATS, NULL,
      { START("m"), VECTOR(-1, "[1]"), VECTOR(2048, "[1]"),
        VECTOR(0, "[2]"), END },
      LIST(ITEM("0", "[2]"), "m", "0") },
    { "an error says nothing", OPENAI, FLOATS, NULL,
      { START("m"), VECTOR(0, "[1]"), FAIL, END }, "" },
    { "nothing comes behind the end", OPENAI, FLOATS, NULL,
      { START("m"), VECTOR(0, "[1]"), END, VECTOR(1, "[1]"), END },
      LIST(ITEM("0", "[1]"), "m", "0") },

    { "Gemini: one", ONE, FLOATS, NULL,
      { START("m"), VECTOR(0, "[1, 2]"), USAGE, END },
      "{'embedding':{'values':[1,2]},'usageMetadata':{'promptTokenCount':7}}"
    },
    { "... from base64, not counted", ONE, FLOATS, NULL,
      { START("m"), PACKED(0, "AACAPw=="), END },
      "{'embedding':{'values':[1]}}" },
    { "... a batch", BATCH, FLOATS, NULL,
      { START("m"), VECTOR(1, "[2]"), PACKED(0, "AACAPw=="), USAGE, END },
      "{'embeddings':[{'values':[1]},{'values':[2]}],'usageMetadata':"
      "{'promptTokenCount':7}}" },
    { "... one that never came keeps its place", BATCH, UNREAD, NULL,
      { START("m"), VECTOR(1, "[2]"), END },
      "{'embeddings':[{'values':[]},{'values':[2]}]}" }
};

static const char *encode(unsigned int i, int streamed)
{
    static llmux_chat_t chat;
    llmux_embed_t embed = { .base64 = answers[i].wanted == BASE64 };
    llmux_encode_t how = { .streamed = streamed };
    llmux_buf_t *out = llmux_buf_create(pool, 1 << 16);
    llmux_encoder_t *e;
    int k;

    chat.embed = &embed;
    how.chat = answers[i].wanted == UNREAD ? NULL : &chat;
    how.model = llmux_slice(answers[i].model);
    e = answers[i].dialect->encoder(pool, &how);
    for (k = 0; k < 8 && (!k || answers[i].events[k].kind); k++) {
        e->event(e, &answers[i].events[k], out);
    }
    return apr_pstrdup(pool, llmux_buf_slice(out).data);
}

static void test_answers(void)
{
    const char *want;
    unsigned int i;

    for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        want = quotes(pool, answers[i].want);
        is_str(encode(i, 0), want, answers[i].name);
        is_str(encode(i, 1), want, "  ... the same if streamed");
    }
}

/* ---- errors -------------------------------------------------------------- */

static void test_errors(void)
{
    llmux_buf_t *out = llmux_buf_create(pool, 1 << 16);
    llmux_error_t err = wrong;

    err.type = "server_error";
    err.retry_after = -1;
    llmux_dialect_embeddings.error_write(out, &err, NULL);
    is_str(out->data, quotes(pool, "{'error':{'message':'No.','type':"
                             "'server_error','param':null,'code':null}}"),
           "an error in OpenAI's words");
    llmux_buf_reset(out);
    llmux_dialect_gemini_embed.error_write(out, &err, NULL);
    ok(strstr(out->data, "\"status\":\"INTERNAL\"") != NULL,
       "... and in Google's");
    is_int(llmux_dialect_gemini_batch_embed.error_status(&err), 502,
           "... with its status");
}

/* An answer that is put together of several is no longer than others, and
 * does not take more memory until that is seen. */
static void test_length(void)
{
    llmux_encode_t how = { .model = { "m", 1 } };
    llmux_event_t ev = { .kind = LLMUX_EV_VECTOR };
    char *vector = malloc(LLMUX_ANSWER_MAX / 4);
    llmux_buf_t *out;
    llmux_encoder_t *e;
    apr_pool_t *p;

    memset(vector, '1', LLMUX_ANSWER_MAX / 4);
    vector[0] = '[';
    vector[LLMUX_ANSWER_MAX / 4 - 1] = ']';
    ev.text.data = vector;
    ev.text.len = LLMUX_ANSWER_MAX / 4;
    apr_pool_create(&p, pool);
    out = llmux_buf_create(p, LLMUX_ANSWER_MAX);
    e = llmux_dialect_embeddings.encoder(p, &how);
    for (; ev.cand < 4; ev.cand++) {
        e->event(e, &ev, out);
    }
    ok(!out->failed, "so much is gathered");
    e->event(e, &ev, out);
    ok(out->failed, "more does not fit, and is told at once");
    apr_pool_destroy(p);
    free(vector);
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    test_floats();
    test_round_trip();
    test_no_vectors();
    test_answers();
    test_length();
    test_errors();
    apr_pool_destroy(pool);
    apr_terminate();
    return tap_done();
}
