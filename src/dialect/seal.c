/* seal.c - opaque tokens under AES-256-GCM: keys, sealing, opening. */

#include "llmux/seal.h"

#include <string.h>

#include <apr_strings.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

#define VERSION "gw2."

/* What makes a configured key the key of this use and no other. */
#define LABEL "mod_llmux gw2 token seal"

enum { KEY_LEN = 32, NONCE_LEN = 12, TAG_LEN = 16 };

typedef struct seal_key_t {
    char kid[LLMUX_SEAL_KID_MAX + 1];
    unsigned char bytes[KEY_LEN];       /* derived */
} seal_key_t;

struct llmux_sealer_t {
    apr_pool_t *pool;
    int count;
    seal_key_t keys[LLMUX_SEAL_KEYS_MAX];
};

static const llmux_slice_t none = { NULL, 0 };
static const llmux_token_t no_token = { .maker = LLMUX_MAKER_NONE };

/* ---- keys ------------------------------------------------------------ */

static apr_status_t wipe(void *data)
{
    llmux_sealer_t *s = data;

    OPENSSL_cleanse(s->keys, sizeof(s->keys));
    return APR_SUCCESS;
}

llmux_sealer_t *llmux_sealer_create(apr_pool_t *p)
{
    llmux_sealer_t *s = apr_pcalloc(p, sizeof(*s));

    apr_pool_cleanup_register(p, s, wipe, apr_pool_cleanup_null);
    s->pool = p;
    return s;
}

static int is_kid(const char *kid, apr_size_t len)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

    return len && len <= LLMUX_SEAL_KID_MAX && strspn(kid, letters) >= len;
}

static const seal_key_t *key_of(const llmux_sealer_t *s, llmux_slice_t kid)
{
    int i;

    for (i = 0; s && i < s->count; i++) {
        if (llmux_slice_is(kid, s->keys[i].kid)) {
            return &s->keys[i];
        }
    }
    return NULL;
}

/* HKDF (RFC 5869) with SHA-256 and no salt. */
static int derive(const unsigned char *key, unsigned char *out)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
    size_t len = KEY_LEN;
    int good = ctx && EVP_PKEY_derive_init(ctx) > 0
        && EVP_PKEY_CTX_set_hkdf_md(ctx, EVP_sha256()) > 0
        && EVP_PKEY_CTX_set1_hkdf_key(ctx, key, KEY_LEN) > 0
        && EVP_PKEY_CTX_add1_hkdf_info(ctx, (const unsigned char *)LABEL,
                                       sizeof(LABEL) - 1) > 0
        && EVP_PKEY_derive(ctx, out, &len) > 0 && len == KEY_LEN;

    EVP_PKEY_CTX_free(ctx);
    return good;
}

static const char *add(llmux_sealer_t *s, const char *kid,
                       const unsigned char *bytes)
{
    seal_key_t *key = &s->keys[s->count];

    if (!is_kid(kid, strlen(kid))) {
        return apr_psprintf(s->pool, "A key's id has letters, digits, '-' "
                            "and '_' only, %d at most.", LLMUX_SEAL_KID_MAX);
    }
    if (key_of(s, llmux_slice(kid))) {
        return apr_psprintf(s->pool, "There are two keys of the id '%s'.",
                            kid);
    }
    if (s->count == LLMUX_SEAL_KEYS_MAX) {
        return apr_psprintf(s->pool, "There are more than %d keys.",
                            LLMUX_SEAL_KEYS_MAX);
    }
    if (!derive(bytes, key->bytes)) {
        return "OpenSSL does not derive keys by HKDF with SHA-256.";
    }
    apr_cpystrn(key->kid, kid, sizeof(key->kid));
    s->count++;
    return NULL;
}

static int hex_value(char c)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *at = c ? strchr(digits, c) : NULL;

    return !at ? -1 : at - digits < 16 ? (int)(at - digits)
                                       : (int)(at - digits) - 6;
}

static int from_hex(llmux_slice_t text, unsigned char *out)
{
    int i, high, low;

    if (text.len != 2 * KEY_LEN) {
        return 0;
    }
    for (i = 0; i < KEY_LEN; i++) {
        high = hex_value(text.data[2 * i]);
        low = hex_value(text.data[2 * i + 1]);
        if (high < 0 || low < 0) {
            return 0;
        }
        out[i] = (unsigned char)(high << 4 | low);
    }
    return 1;
}

/* The longest spelling is that of base64 with its sign of the end. */
static int from_base64(llmux_slice_t text, unsigned char *out)
{
    apr_pool_t *scratch;
    llmux_slice_t bytes;
    int good;

    if (text.len > (KEY_LEN + 2) / 3 * 4) {
        return 0;
    }
    apr_pool_create(&scratch, NULL);
    bytes = llmux_base64_decode(scratch, text);
    good = bytes.len == KEY_LEN;
    if (good) {
        memcpy(out, bytes.data, KEY_LEN);
    }
    OPENSSL_cleanse((void *)bytes.data, bytes.len);
    apr_pool_destroy(scratch);
    return good;
}

const char *llmux_sealer_add(llmux_sealer_t *s, const char *kid,
                             const llmux_secret_t *key)
{
    llmux_slice_t text = llmux_secret_reveal(key);
    unsigned char bytes[KEY_LEN];
    const char *why;

    if (!from_hex(text, bytes) && !from_base64(text, bytes)) {
        return "A key is 32 bytes, as 64 hexadecimal digits or as base64; "
               "`openssl rand -base64 32` makes one.";
    }
    why = add(s, kid, bytes);
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return why;
}

/* ---- what is sealed -------------------------------------------------- */

/* Letters stay the same when the enumeration grows. */
static const struct { char letter; llmux_maker_e maker; } makers[] = {
    { 'a', LLMUX_MAKER_ANTHROPIC },
    { 'd', LLMUX_MAKER_ANTHROPIC_REDACTED },
    { 'g', LLMUX_MAKER_GEMINI },
    { 'o', LLMUX_MAKER_OPENAI }
};

#define MAKERS (sizeof(makers) / sizeof(makers[0]))

static char letter_of(llmux_maker_e maker)
{
    apr_size_t i;

    for (i = 0; i < MAKERS && makers[i].maker != maker; i++) {
    }
    return i < MAKERS ? makers[i].letter : '\0';
}

static llmux_maker_e maker_of(char letter)
{
    apr_size_t i;

    for (i = 0; i < MAKERS && makers[i].letter != letter; i++) {
    }
    return i < MAKERS ? makers[i].maker : LLMUX_MAKER_NONE;
}

/* A name with its length in front, in two bytes. */
static void put_name(llmux_buf_t *b, llmux_slice_t name)
{
    char len[2] = { (char)(name.len >> 8), (char)(name.len & 0xff) };

    llmux_buf_add(b, len, sizeof(len));
    llmux_buf_add_slice(b, name);
}

static int take_name(llmux_slice_t *rest, llmux_slice_t *name)
{
    const unsigned char *at = (const unsigned char *)rest->data;
    apr_size_t len = rest->len < 2 ? 0 : (apr_size_t)at[0] << 8 | at[1];

    if (rest->len < 2 || len > rest->len - 2) {
        return 0;
    }
    if (len) {
        name->data = rest->data + 2;
        name->len = len;
    }
    rest->data += 2 + len;
    rest->len -= 2 + len;
    return 1;
}

static int too_long(llmux_slice_t name)
{
    return name.len > LLMUX_SEAL_NAME_MAX;
}

/* The plaintext; absent if it cannot be one. */
static llmux_slice_t pack(apr_pool_t *p, llmux_slice_t account,
                          const llmux_token_t *token)
{
    char letter = letter_of(token->maker);
    llmux_buf_t *b;

    if (!letter || !token->bytes.len || too_long(account)
        || token->bytes.len > LLMUX_SEAL_TOKEN_MAX
        || too_long(token->call_id)) {
        return none;
    }
    b = llmux_buf_create(p, LLMUX_SEAL_TOKEN_MAX
                            + 2 * LLMUX_SEAL_NAME_MAX + 5);
    llmux_buf_add(b, &letter, 1);
    put_name(b, account);
    put_name(b, token->call_id);
    llmux_buf_add_slice(b, token->bytes);
    return b->failed ? none : llmux_buf_slice(b);
}

static llmux_token_t unpack(llmux_slice_t plain)
{
    llmux_token_t token = { .maker = LLMUX_MAKER_NONE };

    if (!plain.len) {
        return no_token;
    }
    token.maker = maker_of(plain.data[0]);
    plain.data++;
    plain.len--;
    if (token.maker == LLMUX_MAKER_NONE || !take_name(&plain, &token.account)
        || !take_name(&plain, &token.call_id) || !plain.len) {
        return no_token;
    }
    token.bytes = plain;
    return token;
}

/* ---- the cipher ------------------------------------------------------ */

/* One thing cannot be mistaken for another: lengths stand before them. */
static llmux_slice_t associated(apr_pool_t *p, const seal_key_t *key,
                                llmux_slice_t tenant)
{
    llmux_buf_t *b = llmux_buf_create(p, LLMUX_SEAL_NAME_MAX + 64);

    llmux_buf_adds(b, VERSION);
    put_name(b, llmux_slice(key->kid));
    put_name(b, tenant);
    return llmux_buf_slice(b);
}

typedef const unsigned char *bytes_t;

/* @param out nonce, ciphertext and tag */
static int encrypt(EVP_CIPHER_CTX *ctx, const seal_key_t *key,
                   llmux_slice_t aad, llmux_slice_t plain, unsigned char *out)
{
    unsigned char *body = out + NONCE_LEN, *tag = body + plain.len;
    int n;

    return RAND_bytes(out, NONCE_LEN) == 1
        && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes,
                              out) > 0
        && EVP_EncryptUpdate(ctx, NULL, &n, (bytes_t)aad.data,
                             (int)aad.len) > 0
        && EVP_EncryptUpdate(ctx, body, &n, (bytes_t)plain.data,
                             (int)plain.len) > 0
        && n == (int)plain.len && EVP_EncryptFinal_ex(ctx, tag, &n) > 0
        && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_LEN, tag) > 0;
}

/* @param sealed nonce, ciphertext and tag */
static int decrypt(EVP_CIPHER_CTX *ctx, const seal_key_t *key,
                   llmux_slice_t aad, llmux_slice_t sealed,
                   unsigned char *out)
{
    int n, len = (int)(sealed.len - NONCE_LEN - TAG_LEN);
    bytes_t nonce = (bytes_t)sealed.data, body = nonce + NONCE_LEN;

    return EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes,
                              nonce) > 0
        && EVP_DecryptUpdate(ctx, NULL, &n, (bytes_t)aad.data,
                             (int)aad.len) > 0
        && EVP_DecryptUpdate(ctx, out, &n, body, len) > 0
        && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_LEN,
                               (void *)(body + len)) > 0
        && EVP_DecryptFinal_ex(ctx, out + n, &n) > 0;
}

/* ---- seals ----------------------------------------------------------- */

/* All that a seal consists of, as bytes: "gw2.", kid, ".", the rest. */
static llmux_slice_t close_seal(apr_pool_t *p, const llmux_sealer_t *s,
                                llmux_slice_t tenant, const char *account,
                                const llmux_token_t *token)
{
    const seal_key_t *key = s && s->count ? &s->keys[0] : NULL;
    llmux_slice_t plain = key ? pack(p, llmux_slice(account), token) : none;
    llmux_slice_t out;
    EVP_CIPHER_CTX *ctx;
    apr_size_t head;
    char *text;
    int good;

    if (!plain.data || too_long(tenant)) {
        return none;
    }
    head = strlen(VERSION) + strlen(key->kid) + 1;
    text = apr_palloc(p, head + NONCE_LEN + plain.len + TAG_LEN);
    memcpy(text, VERSION, strlen(VERSION));
    memcpy(text + strlen(VERSION), key->kid, strlen(key->kid));
    text[head - 1] = '.';
    ctx = EVP_CIPHER_CTX_new();
    good = ctx && encrypt(ctx, key, associated(p, key, tenant), plain,
                          (unsigned char *)text + head);
    EVP_CIPHER_CTX_free(ctx);
    out.data = text;
    out.len = head + NONCE_LEN + plain.len + TAG_LEN;
    return good ? out : none;
}

/* The second dot: kids have none. @return 0 if there is none */
static apr_size_t head_len(llmux_slice_t seal)
{
    apr_size_t version = strlen(VERSION);
    const char *dot;

    if (!llmux_slice_starts(seal, VERSION)) {
        return 0;
    }
    dot = memchr(seal.data + version, '.', seal.len - version);
    return dot ? (apr_size_t)(dot + 1 - seal.data) : 0;
}

static llmux_slice_t part(llmux_slice_t s, apr_size_t from, apr_size_t to)
{
    llmux_slice_t out = { s.data + from, to - from };

    return out;
}

llmux_slice_t llmux_seal(apr_pool_t *p, const llmux_sealer_t *s,
                         llmux_slice_t tenant, const char *account,
                         const llmux_token_t *token)
{
    llmux_slice_t seal = close_seal(p, s, tenant, account, token);
    apr_size_t head = head_len(seal);
    llmux_buf_t *b;

    if (!head) {
        return none;
    }
    b = llmux_buf_create(p, 2 * seal.len);
    llmux_buf_add(b, seal.data, head);
    llmux_buf_add_slice(b, llmux_base64url_encode(
                               p, part(seal, head, seal.len)));
    return b->failed ? none : llmux_buf_slice(b);
}

llmux_slice_t llmux_seal_base64(apr_pool_t *p, const llmux_sealer_t *s,
                                llmux_slice_t tenant, const char *account,
                                const llmux_token_t *token)
{
    return llmux_base64_encode(p, close_seal(p, s, tenant, account, token));
}

/* "gw", a digit, a dot. */
static int is_text(llmux_slice_t s)
{
    return s.len >= 4 && !memcmp(s.data, "gw", 2) && s.data[2] >= '0'
           && s.data[2] <= '9' && s.data[3] == '.';
}

/* The same in base64: six bits of the dot make the fifth character. */
static int is_base64(llmux_slice_t s)
{
    return s.len >= 5 && !memcmp(s.data, "Z3c", 3)
           && s.data[3] && strchr("wxyz012345", s.data[3])
           && s.data[4] == 'L';
}

int llmux_sealed(llmux_slice_t text)
{
    return is_text(text) || is_base64(text);
}

/* Whole requests are looked through: memchr() for a letter that is rare in
 * them is several times as fast as memmem(). `at` is its place in the seal. */
static int mentions(llmux_slice_t text, char letter, apr_size_t at)
{
    const char *from = text.data + at, *end = text.data + text.len;
    llmux_slice_t rest;

    while (text.len > at && from < end) {
        from = memchr(from, letter, (apr_size_t)(end - from));
        if (!from) {
            return 0;
        }
        rest.data = from - at;
        rest.len = (apr_size_t)(end - rest.data);
        if (llmux_sealed(rest)) {
            return 1;
        }
        from++;
    }
    return 0;
}

int llmux_seal_mentioned(llmux_slice_t text)
{
    return text.data && (mentions(text, 'w', 1) || mentions(text, 'Z', 0));
}

/* A text that is spelled otherwise than we spell it was altered; what came
 * as base64 may have been through a decoder. */
static llmux_slice_t body_of_text(apr_pool_t *p, llmux_slice_t text)
{
    llmux_slice_t bytes = llmux_base64_decode(p, text);
    llmux_slice_t again = llmux_base64url_encode(p, bytes);

    return llmux_slice_equal(again, text) ? bytes : none;
}

/* The plaintext, in `p`. */
static llmux_slice_t open_body(apr_pool_t *p, apr_pool_t *scratch,
                               const seal_key_t *key, llmux_slice_t tenant,
                               llmux_slice_t sealed)
{
    llmux_slice_t plain;
    EVP_CIPHER_CTX *ctx;
    unsigned char *out;
    int good;

    if (sealed.len <= NONCE_LEN + TAG_LEN) {
        return none;
    }
    plain.len = sealed.len - NONCE_LEN - TAG_LEN;
    plain.data = (const char *)(out = apr_palloc(p, plain.len));
    ctx = EVP_CIPHER_CTX_new();
    good = ctx && decrypt(ctx, key, associated(scratch, key, tenant), sealed,
                          out);
    EVP_CIPHER_CTX_free(ctx);
    return good ? plain : none;
}

static llmux_token_t open_seal(apr_pool_t *p, apr_pool_t *scratch,
                               const llmux_sealer_t *s, llmux_slice_t tenant,
                               llmux_slice_t text)
{
    llmux_slice_t seal = is_text(text) ? text
                                       : llmux_base64_decode(scratch, text);
    apr_size_t head = head_len(seal);
    const seal_key_t *key = head
        ? key_of(s, part(seal, strlen(VERSION), head - 1)) : NULL;

    if (!key) {
        return no_token;
    }
    seal = part(seal, head, seal.len);
    if (is_text(text)) {
        seal = body_of_text(scratch, seal);
    }
    return unpack(open_body(p, scratch, key, tenant, seal));
}

/* The longest that we ever make, in base64. */
static apr_size_t longest(void)
{
    apr_size_t bytes = LLMUX_SEAL_TOKEN_MAX + 2 * LLMUX_SEAL_NAME_MAX
                       + LLMUX_SEAL_KID_MAX + 64;

    return bytes / 3 * 4 + 4;
}

llmux_token_t llmux_unseal(apr_pool_t *p, const llmux_sealer_t *s,
                           llmux_slice_t tenant, llmux_slice_t text)
{
    llmux_token_t token;
    apr_pool_t *scratch;

    if (!s || too_long(tenant) || text.len > longest()
        || !llmux_sealed(text)) {
        return no_token;
    }
    apr_pool_create(&scratch, p);
    token = open_seal(p, scratch, s, tenant, text);
    apr_pool_destroy(scratch);
    return token;
}
