/* seal.c - fuzzes sealed tokens. The first byte says what the others are: a
 * seal to be opened, a token to be sealed and opened again with one byte of it
 * changed, keys as configured, or a client's body, whose bytes pass or which
 * is written anew for providers of all dialects.
 *
 * covers: src/dialect/seal.c src/dialect/token.c
 *         src/dialect/openai_edit_tokens.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>
#include <apr_strings.h>

#include "dialect/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define OLD "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static const llmux_slice_t tenant = { "tenant", 6 };

static const char *add_key(llmux_sealer_t *s, apr_pool_t *p, const char *kid,
                           const char *text)
{
    const char *why = NULL;
    const llmux_secret_t *key = llmux_secret_read(p, text, &why);

    return key ? llmux_sealer_add(s, kid, key) : why;
}

static llmux_sealer_t *sealer(apr_pool_t *p)
{
    llmux_sealer_t *s = llmux_sealer_create(p);

    MUST(!add_key(s, p, "k1", KEY) && !add_key(s, p, "old", OLD));
    return s;
}

static void check_nothing(const llmux_token_t *t)
{
    MUST(!t->bytes.data && !t->account.data && !t->call_id.data);
}

static int same(llmux_slice_t a, llmux_slice_t b)
{
    return a.len == b.len && (!a.len || !memcmp(a.data, b.data, a.len));
}

/* ---- opening --------------------------------------------------------- */

static void check_opens(apr_pool_t *p, const llmux_sealer_t *s,
                        llmux_slice_t seal, const llmux_token_t *want)
{
    llmux_token_t t = llmux_unseal(p, s, tenant, seal);

    MUST(llmux_sealed(seal) && llmux_seal_mentioned(seal));
    MUST(t.maker == want->maker && same(t.bytes, want->bytes));
    MUST(same(t.account, want->account) && same(t.call_id, want->call_id));
}

/* What opens can be sealed again. */
static void open_any(apr_pool_t *p, llmux_slice_t text)
{
    const llmux_sealer_t *s = sealer(p);
    llmux_token_t t = llmux_unseal(p, s, tenant, text);
    const char *account = t.account.data ? llmux_slice_str(p, t.account)
                                         : NULL;

    if (t.maker == LLMUX_MAKER_NONE) {
        check_nothing(&t);
        return;
    }
    MUST(t.bytes.len > 0);
    check_opens(p, s, llmux_seal(p, s, tenant, account, &t), &t);
}

/* ---- sealing --------------------------------------------------------- */

/* Takes a line off the front. */
static llmux_slice_t line(llmux_slice_t *rest)
{
    llmux_slice_t s = *rest;
    const char *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;

    s.len = end ? (apr_size_t)(end - rest->data) : rest->len;
    rest->data += s.len + (end != NULL);
    rest->len -= s.len + (end != NULL);
    if (!s.len || memchr(s.data, '\0', s.len)) {
        s.data = NULL;
        s.len = 0;
    }
    return s;
}

static void change(apr_pool_t *p, const llmux_sealer_t *s, llmux_slice_t seal,
                   unsigned int at)
{
    char *copy = apr_pmemdup(p, seal.data, seal.len);
    llmux_token_t t;

    copy[at % seal.len] ^= (char)(1 + at % 127);
    seal.data = copy;
    t = llmux_unseal(p, s, tenant, seal);
    MUST(t.maker == LLMUX_MAKER_NONE);
    check_nothing(&t);
}

/* What a client gets, he can bring back. */
static void carry(apr_pool_t *p, const llmux_sealer_t *s,
                  const llmux_token_t *t)
{
    const llmux_encode_t how = { .sealer = s, .tenant = tenant };
    llmux_chat_t *chat = llmux_chat_create(p);
    llmux_token_t closed = llmux_token_close(p, &how, t, 0), again;

    chat->sealer = s;
    chat->tenant = tenant;
    again = llmux_token_open(chat, closed.bytes, LLMUX_MAKER_NONE);
    MUST(again.maker == t->maker && same(again.bytes, t->bytes));
    MUST(same(again.call_id, t->call_id) && !chat->unopened);
    again = llmux_token_close(p, &how, t, LLMUX_MADE_BY_ANY);
    MUST(same(again.bytes, t->bytes));
}

/* Maker and place, then account, call id and token, a line each. */
static void seal_any(apr_pool_t *p, llmux_slice_t text)
{
    const llmux_sealer_t *s = sealer(p);
    llmux_token_t t = { .maker = LLMUX_MAKER_NONE };
    llmux_slice_t seal;
    unsigned int at;

    if (text.len < 3) {
        return;
    }
    t.maker = (llmux_maker_e)((unsigned char)text.data[0] % 5);
    at = (unsigned int)(unsigned char)text.data[1] << 8
         | (unsigned char)text.data[2];
    text.data += 3;
    text.len -= 3;
    t.account = line(&text);
    t.call_id = line(&text);
    t.bytes = text;
    seal = llmux_seal(p, s, tenant, t.account.data
                                        ? llmux_slice_str(p, t.account) : NULL,
                      &t);
    MUST(!seal.data == (t.maker == LLMUX_MAKER_NONE || !t.bytes.len
                        || t.account.len > LLMUX_SEAL_NAME_MAX
                        || t.call_id.len > LLMUX_SEAL_NAME_MAX));
    if (seal.data) {
        check_opens(p, s, seal, &t);
        check_opens(p, s, llmux_seal_base64(
                              p, s, tenant, t.account.data
                                  ? llmux_slice_str(p, t.account) : NULL, &t),
                    &t);
        change(p, s, seal, at);
        carry(p, s, &t);
    }
}

/* ---- keys ------------------------------------------------------------ */

/* "id:key", and nothing that makes us open files. */
static void configure(apr_pool_t *p, llmux_slice_t text)
{
    char *kid = apr_pstrdup(p, llmux_slice_str(p, text));
    char *key = strchr(kid, ':');
    llmux_sealer_t *s = llmux_sealer_create(p);
    llmux_token_t t = { LLMUX_MAKER_GEMINI, { "S", 1 } }, none;

    if (!key || strstr(key, "file:")) {
        return;
    }
    *key++ = '\0';
    if (!add_key(s, p, kid, key)) {
        check_opens(p, s, llmux_seal(p, s, tenant, NULL, &t), &t);
        none = llmux_unseal(p, llmux_sealer_create(p), tenant,
                            llmux_seal(p, s, tenant, NULL, &t));
        MUST(none.maker == LLMUX_MAKER_NONE);
    }
}

/* ---- bytes that pass ------------------------------------------------- */

static void edit(apr_pool_t *p, const llmux_dialect_t *d, llmux_slice_t body,
                 const llmux_sealer_t *s, const char *account)
{
    llmux_target_t target = { .name = "fuzz", .model = { "m", 1 },
                              .can = 0xfff, .account = account };
    llmux_head_t head = { .model = { "m", 1 } };
    llmux_buf_t *out = llmux_buf_create(p, 64 << 20);

    if (d->head(p, llmux_json_parser_create(p), body, &head)) {
        return;
    }
    head.sealer = s;
    head.tenant = tenant;
    d->edit(out, p, &head, body, &target, llmux_warnings_create(p, 0));
    MUST(!out->failed && llmux_json_is_object(p, llmux_buf_slice(out)));
}

static const llmux_dialect_t *const all[] = {
    &llmux_dialect_openai, &llmux_dialect_anthropic, &llmux_dialect_gemini,
    &llmux_dialect_responses
};

/* What a provider of this dialect gets of it; JSON, if anything. */
static void write_for(apr_pool_t *p, const llmux_dialect_t *d,
                      const llmux_chat_t *chat, const char *account)
{
    llmux_target_t target = { .name = "fuzz", .model = { "m", 1 },
                              .can = 0xfff, .account = account };
    llmux_buf_t *out = llmux_buf_create(p, 64 << 20);

    if (!d->write(out, chat, &target, llmux_warnings_create(p, 0), p)) {
        MUST(llmux_json_is_object(p, llmux_buf_slice(out)));
    }
}

static void translate(apr_pool_t *p, const llmux_dialect_t *from,
                      llmux_slice_t body)
{
    const llmux_json_t *v = llmux_json_parse(p, body, 0, NULL);
    llmux_chat_t *chat = llmux_chat_create(p);
    int i;

    chat->sealer = sealer(p);
    chat->tenant = tenant;
    if (llmux_json_kind(v) != LLMUX_JSON_OBJECT || from->read(chat, v)) {
        return;
    }
    for (i = 0; i < 4; i++) {
        write_for(p, all[i], chat, "account");
        write_for(p, all[i], chat, "another");
    }
}

static void pass(apr_pool_t *p, llmux_slice_t body)
{
    int i;

    for (i = 0; i < 4; i++) {
        edit(p, all[i], body, sealer(p), "account");
        edit(p, all[i], body, sealer(p), "another");
        edit(p, all[i], body, NULL, NULL);
        translate(p, all[i], body);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const ways[])(apr_pool_t *p, llmux_slice_t text) = {
        open_any, seal_any, configure, pass
    };
    llmux_slice_t text = { (const char *)data + 1, size - 1 };
    static apr_pool_t *root;
    apr_pool_t *p;

    if (!size) {
        return 0;
    }
    if (!root) {
        apr_initialize();
        apr_pool_create(&root, NULL);
    }
    apr_pool_create(&p, root);
    ways[*data % 4](p, text);
    apr_pool_destroy(p);
    return 0;
}
