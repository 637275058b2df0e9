/* tokens.c - tokens of requests: models, messages, images, tools. */

#include <apr_strings.h>

#include "tap.h"
#include "tokens/family.h"

#define NO LLMUX_ENCODING_NONE
#define CL LLMUX_ENCODING_CL100K
#define O2 LLMUX_ENCODING_O200K

static apr_pool_t *pool;
static llmux_bpe_t *bpe;

static void models(void)
{
    static const struct { const char *name; llmux_encoding_e encoding; }
    rows[] = {
        { "gpt-4o", O2 }, { "gpt-4o-mini-2024-07-18", O2 },
        { "chatgpt-4o-latest", O2 }, { "gpt-4.1-nano", O2 },
        { "gpt-4.5-preview", O2 }, { "gpt-5", O2 }, { "gpt-5.4-mini", O2 },
        { "gpt-5-chat-latest", O2 }, { "o1", O2 }, { "o1-mini", O2 },
        { "o3-pro", O2 }, { "o4-mini-2025-04-16", O2 }, { "gpt-oss:20b", O2 },
        { "openai/gpt-oss-120b", O2 }, { "openai.gpt-oss-20b-1:0", O2 },
        { "ft:gpt-4o-2024-08-06:me::1", O2 }, { "gpt-4", CL },
        { "gpt-4-32k", CL }, { "gpt-4-turbo-2024-04-09", CL },
        { "ft:gpt-4-0613:me::1", CL }, { "gpt-3.5-turbo", CL },
        { "gpt-3.5-turbo-instruct", CL }, { "gpt-35-turbo-16k", CL },
        { "text-embedding-3-large", CL }, { "text-embedding-ada-002", CL },
        { "babbage-002", CL }, { "openai/gpt-4o", O2 },
        { "accounts/fireworks/models/gpt-oss-20b", O2 },
        { "claude-sonnet-4-5", NO }, { "us.anthropic.claude-3-haiku", NO },
        { "gemini-2.5-flash", NO }, { "llama-3.3-70b", NO }, { "o10", NO },
        { "gpt-4ever", NO }, { "my-gpt-4", NO }, { "gpt", NO }, { "", NO },
        { "gpt-4o/", NO }, { "ft:", NO }, { "a.b", NO }
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        is_int(llmux_family_of(llmux_slice(rows[i].name))->encoding,
               rows[i].encoding, rows[i].name);
    }
    is_int(llmux_family_of(llmux_slice(NULL))->encoding, NO, "no model");
    is_int(llmux_family_of(llmux_slice("us.anthropic.claude-x"))->image,
           LLMUX_IMAGE_AREA, "Bedrock's name of a family");
}

/* ---- chats ------------------------------------------------------------- */

static const llmux_chat_t *read_chat(const char *dialect, const char *json)
{
    const llmux_dialect_t *d = llmux_dialect_named(dialect);
    llmux_chat_t *chat = llmux_chat_create(pool);
    const llmux_json_t *v = llmux_json_parse(pool, llmux_slice(json), 0, NULL);
    const llmux_error_t *err = v ? d->read(chat, v) : NULL;

    ok(v && !err, "it is read%s%s", err ? ": " : "", err ? err->message : "");
    return chat;
}

#define USER(text) "{\"messages\":[{\"role\":\"user\",\"content\":" text "}]"
#define PNG(size) "iVBORw0KGgoAAAANSUhEUgAA" size "CAYAAAAfFcSJ"
#define IMAGE(size, detail) \
    "[{\"type\":\"text\",\"text\":\"see\"},{\"type\":\"image_url\"," \
    "\"image_url\":{\"url\":\"data:image/png;base64," PNG(size) "\"" \
    detail "}}]"

/* The arithmetic of each family; "see" and "hello" are a token. */
static void chats(void)
{
    static const struct {
        const char *what, *model, *json;
        int count, exact;
    } rows[] = {
        { "one message", "gpt-4o", USER("\"hello\"") "}", 8, 1 },
        { "in parts", "gpt-4o",
          USER("[{\"type\":\"text\",\"text\":\"hello\"},"
               "{\"type\":\"text\",\"text\":\" world\"}]") "}", 9, 1 },
        { "an older model", "gpt-4", USER("\"hello\"") "}", 8, 1 },
        { "a model with channels", "gpt-5", USER("\"hello\"") "}", 7, 1 },
        { "who has not shown it", "o1", USER("\"hello\"") "}", 7, 0 },
        { "three messages", "gpt-4o", "{\"messages\":["
          "{\"role\":\"developer\",\"content\":\"hello\"},"
          "{\"role\":\"user\",\"content\":\"hello\"},"
          "{\"role\":\"assistant\",\"content\":\"hello\"}]}", 18, 1 },
        { "the same with channels", "o3-mini", "{\"messages\":["
          "{\"role\":\"system\",\"content\":\"hello\"},"
          "{\"role\":\"user\",\"content\":\"hello\"},"
          "{\"role\":\"assistant\",\"content\":\"hello\"}]}", 19, 1 },
        { "a name", "gpt-4o", "{\"messages\":[{\"role\":\"user\","
          "\"name\":\"bob\",\"content\":\"hello\"}]}", 10, 1 },
        { "a JSON object is asked for", "gpt-4o", USER("\"hello\"")
          ",\"response_format\":{\"type\":\"json_object\"}}", 8, 1 },
        { "an image of a pixel", "gpt-4o", USER(IMAGE("AAEAAAAB", "")) "}",
          8 + 255, 1 },
        { "by another model", "gpt-4o-mini",
          USER(IMAGE("AAEAAAAB", "")) "}", 8 + 8500, 1 },
        { "in less detail", "gpt-4o",
          USER(IMAGE("BAAAABAA", ",\"detail\":\"low\"")) "}", 8 + 85, 1 },
        { "1024 x 1024", "gpt-4o", USER(IMAGE("BAAAAAQA", "")) "}",
          8 + 765, 1 },
        { "patches", "gpt-4.1-mini", USER(IMAGE("AEAAAABA", "")) "}",
          8 + 7, 0 },
        { "an image that is elsewhere", "gpt-4o",
          USER("[{\"type\":\"image_url\",\"image_url\":"
               "{\"url\":\"https://example.com/a.png\"}}]") "}",
          7 + 765, 0 },
        { "a tool", "gpt-4o", USER("\"hello\"") ",\"tools\":[{\"type\":"
          "\"function\",\"function\":{\"name\":\"f\"}}]}", 28, 0 },
        { "a schema", "gpt-4o", USER("\"hello\"") ",\"response_format\":"
          "{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"s\","
          "\"schema\":{}}}}", 14, 0 },
        { "a call and its result", "gpt-4o", "{\"messages\":["
          "{\"role\":\"user\",\"content\":\"hello\"},"
          "{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"1\",\"type\":"
          "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
          "{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"hello\"}]}",
          3 + 5 + 4 + 7 + 2 + 5, 0 },
        { "nobody's model", "llama", USER("\"hello\"") "}", 9, 0 }
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const llmux_chat_t *chat = read_chat("openai", rows[i].json);
        llmux_slice_t model = llmux_slice(rows[i].model);
        llmux_tokens_t t = llmux_tokens_of_chat(bpe, chat, model);

        is_int(t.count, rows[i].count, rows[i].what);
        is_int(t.exact, rows[i].exact, rows[i].exact ? "exact" : "about");
        t = llmux_tokens_of_chat(NULL, chat, model);
        ok(!t.exact && t.count > 0, "without ranks: about %d", (int)t.count);
    }
}

/* Texts alone: prompts, and inputs to be embedded. */
static void texts(void)
{
    llmux_chat_t *chat = llmux_chat_create(pool);
    llmux_chat_t *more = llmux_chat_create(pool);
    llmux_prompt_t plain = { { NULL, 0 } }, numbers = { { NULL, 0 } };
    llmux_embed_t embed = { apr_array_make(pool, 2, sizeof(llmux_input_t)) };
    llmux_slice_t model = llmux_slice("gpt-3.5-turbo-instruct");
    llmux_message_t *m = llmux_chat_message(chat, LLMUX_ROLE_USER);
    llmux_tokens_t t;

    llmux_message_block(chat, m, LLMUX_BLOCK_TEXT)->text =
        llmux_slice("hello world");
    numbers.tokens = llmux_slice("[1, 2, 3]");
    chat->prompt = &plain;
    chat->next = more;
    more->prompt = &numbers;
    t = llmux_tokens_of_chat(bpe, chat, model);
    ok(t.count == 5 && t.exact, "prompts are texts or tokens");
    plain.suffix = llmux_slice("hello");
    t = llmux_tokens_of_chat(bpe, chat, model);
    ok(t.count == 6 && !t.exact, "a suffix makes it an estimate");

    chat->prompt = NULL;
    chat->next = NULL;
    chat->embed = &embed;
    memset(apr_array_push(embed.inputs), 0, sizeof(llmux_input_t));
    memset(apr_array_push(embed.inputs), 0, sizeof(llmux_input_t));
    APR_ARRAY_IDX(embed.inputs, 0, llmux_input_t).text = llmux_slice("hello");
    APR_ARRAY_IDX(embed.inputs, 1, llmux_input_t).tokens = numbers.tokens;
    t = llmux_tokens_of_chat(bpe, chat, llmux_slice("text-embedding-3-small"));
    ok(t.count == 4 && t.exact, "inputs are texts or tokens, too");
}

/* ---- images ------------------------------------------------------------ */

static llmux_slice_t base64(const char *bytes, apr_size_t len)
{
    llmux_slice_t s = { bytes, len };

    return llmux_base64_encode(pool, s);
}

#define JPEG "\xff\xd8\xff\xe0\0\4xx\xff\xff\xc4\0\3x"

static void sizes(void)
{
    static const struct {
        const char *what, *bytes;
        int len, w, h;
    } rows[] = {
        { "PNG", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\2\0\0\0\3", 24, 258, 3 },
        { "PNG, cut", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\2\0\0\0", 23, 0, 0 },
        { "PNG, other chunk", "\x89PNG\r\n\x1a\n\0\0\0\rIHDX\0\0\1\2\0\0\0\3",
          24, 0, 0 },
        { "PNG, no width", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\0\0\0\0\3", 24,
          0, 0 },
        { "PNG, too wide", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\0\0\3", 24,
          0, 0 },
        { "GIF", "GIF89a\2\1\3\0xx", 12, 258, 3 },
        { "GIF, cut", "GIF89a\2\1\3", 9, 0, 0 },
        { "WebP, lossy", "RIFFxxxxWEBPVP8 xxxxxxx\x9d\1\x2a\2\1\3\0xx", 32, 258,
          3 },
        { "WebP, lossless", "RIFFxxxxWEBPVP8Lxxxx\x2f\1\x81\0\0xxxxxxx", 32,
          258, 3 },
        { "WebP, extended", "RIFFxxxxWEBPVP8Xxxxxxxxx\1\1\0\2\0\0xx", 32, 258,
          3 },
        { "WebP, other", "RIFFxxxxWEBPVP8Yxxxxxxxx\1\1\0\2\0\0xx", 32, 0, 0 },
        { "WebP, cut", "RIFFxxxxWEBPVP8Xxxxxxxxx\1\1\0", 27, 0, 0 },
        { "JPEG", JPEG "\xff\xc2\0\x11\x8\0\3\1\2xxxx", 14 + 13, 258, 3 },
        { "JPEG, cut", JPEG "\xff\xc2\0\x11\x8\0\3\1", 14 + 8, 0, 0 },
        { "JPEG, lost", JPEG "x\xff\xc2\0\x11\x8\0\3\1\2xxxx", 14 + 14, 0, 0 },
        { "nothing", "", 0, 0, 0 },
        { "text", "what is this?", 13, 0, 0 }
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        apr_int64_t w = 0, h = 0;
        int found = llmux_image_size(base64(rows[i].bytes,
                                            (apr_size_t)rows[i].len), pool,
                                     &w, &h);

        ok(found == (rows[i].w > 0) && (!found || (w == rows[i].w
                                                   && h == rows[i].h)),
           "%s: %d x %d", rows[i].what, (int)w, (int)h);
    }
}

static llmux_slice_t png(int w, int h)
{
    unsigned char b[24] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    b[18] = (unsigned char)(w >> 8);
    b[19] = (unsigned char)w;
    b[22] = (unsigned char)(h >> 8);
    b[23] = (unsigned char)h;
    return base64((const char *)b, sizeof(b));
}

/* As the vendors' documents have them, and where they round. */
static void costs(void)
{
    static const struct {
        const char *model;
        int w, h, tokens;
    } rows[] = {
        { "gpt-4o", 512, 512, 255 },
        { "gpt-4o", 513, 512, 425 },
        { "gpt-4o", 800, 400, 425 },
        { "gpt-4o", 1024, 1024, 765 },
        { "gpt-4o", 2048, 4096, 1105 },
        { "gpt-4o", 65535, 1, 85 + 4 * 170 },
        { "gpt-4o-mini", 1024, 1024, 25501 },
        { "o3", 1024, 1024, 75 + 4 * 150 },
        { "gpt-4.1-mini", 1024, 1024, 1659 },
        { "gpt-4.1-mini", 1800, 2400, 2353 },
        { "gpt-5-nano", 65535, 65535, 3742 },
        { "gpt-5-nano", 65535, 1, 3779 },
        { "claude-x", 1092, 1092, 1590 },
        { "claude-x", 4000, 4000, 3279 },
        { "gemini-x", 384, 384, 258 },
        { "gemini-x", 960, 540, 6 * 258 },
        { "gemini-x", 65535, 65535, 86 * 86 * 258 }
    };
    llmux_media_t media = { LLMUX_MEDIA_IMAGE };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        llmux_slice_t model = llmux_slice(rows[i].model);

        media.base64 = png(rows[i].w, rows[i].h);
        is_int(llmux_image_tokens(llmux_family_of(model), &media, pool).count,
               rows[i].tokens,
               apr_psprintf(pool, "%s: %d x %d", rows[i].model, rows[i].w,
                            rows[i].h));
    }
}

/* ---- tools ------------------------------------------------------------- */

static void tools(void)
{
    llmux_buf_t *out = llmux_buf_create(pool, 1 << 16);
    llmux_tool_t a = { NULL }, b = { NULL };

    a.next = &b;
    a.name = llmux_slice("look");
    a.description = llmux_slice("Looks.");
    a.schema = llmux_slice(
        "{\"type\":\"object\",\"properties\":{"
        "\"at\":{\"type\":\"string\",\"title\":\"At\","
        "\"description\":\"Where.\"},"
        "\"how\":{\"enum\":[\"x\",\"y\"],\"default\":\"x\"},"
        "\"list\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}},"
        "\"some\":{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"object\","
        "\"properties\":{\"k\":{}}}]},"
        "\"more\":{\"type\":[\"string\",\"null\"]}}}");
    b.name = llmux_slice("free");
    b.schema = llmux_slice("no JSON");
    b.grammar = llmux_slice("[a-z]+");
    llmux_tools_text(out, &a, pool);
    is_str(out->data,
           "# Tools\n\n## functions\n\nnamespace functions {\n\n"
           "// Looks.\n"
           "type look = (_: {\n"
           "// At\n//\n// Where.\nat: string,\n"
           "how: \"x\" | \"y\", // default: \"x\"\n"
           "list: integer[],\n"
           "some: null | {\nk: any,\n},\n"
           "more: string | null,\n"
           "}) => any;\n\n"
           "type free = () => any;\n\n[a-z]+"
           "} // namespace functions", "a tool as models see it");
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
    models();
    chats();
    texts();
    sizes();
    costs();
    tools();
    apr_pool_destroy(pool);
    return tap_done();
}
