/* seals.h - sealed tokens in the texts that tests compare. No seal is like
 * another, so they are written down by what is in them:
 *
 *     <<anthropic:TOKEN>>     a seal
 *     <<gemini:TOKEN@call_1>> that of a call's token
 *     <<64 openai:TOKEN>>     one that is base64 altogether
 */

#ifndef SEALS_H
#define SEALS_H

#include <string.h>

#include <apr_strings.h>

#include "llmux/seal.h"
#include "tap.h"

#define SEAL_TENANT llmux_slice("tenant")
#define SEAL_ACCOUNT "account"

static const char *const seal_makers[] = {
    "none", "anthropic", "redacted", "gemini", "openai"
};

/** "id:key", the key as the configuration takes it.
 * @return NULL, or why not */
static const char *add_key(llmux_sealer_t *s, apr_pool_t *p, const char *text)
{
    const char *colon = strchr(text, ':'), *why = NULL;
    const llmux_secret_t *key = llmux_secret_read(p, colon + 1, &why);

    return key ? llmux_sealer_add(s, apr_pstrmemdup(
                     p, text, (apr_size_t)(colon - text)), key)
               : why;
}

/** One with these keys, white space between them. */
static llmux_sealer_t *sealer_of(apr_pool_t *p, const char *text,
                                 const char **why)
{
    llmux_sealer_t *s = llmux_sealer_create(p);
    char *last, *word, *rest = apr_pstrdup(p, text);

    *why = NULL;
    for (word = apr_strtok(rest, " \t\r\n", &last); word && !*why;
         word = apr_strtok(NULL, " \t\r\n", &last)) {
        *why = add_key(s, p, word);
    }
    return *why ? NULL : s;
}

/** One with two keys, for the whole of a test. */
__attribute__((unused))
static const llmux_sealer_t *test_sealer(void)
{
    static const llmux_sealer_t *sealer;
    const char *why;
    apr_pool_t *p;

    if (!sealer) {
        apr_pool_create(&p, NULL);
        sealer = sealer_of(p,
            "k1:000102030405060708090a0b0c0d0e0f"
            "101112131415161718191a1b1c1d1e1f "
            "old:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", &why);
    }
    return sealer;
}

/** Encoder and reader, with that. */
__attribute__((unused))
static llmux_encode_t with_seals(llmux_encode_t how)
{
    how.sealer = test_sealer();
    how.tenant = SEAL_TENANT;
    how.account = SEAL_ACCOUNT;
    return how;
}

__attribute__((unused))
static llmux_chat_t *chat_with_seals(apr_pool_t *p)
{
    llmux_chat_t *chat = llmux_chat_create(p);

    chat->sealer = test_sealer();
    chat->tenant = SEAL_TENANT;
    return chat;
}

/* What stands between the angles, as a seal. */
static llmux_slice_t seal_of(apr_pool_t *p, const char *note)
{
    llmux_token_t token = { .maker = LLMUX_MAKER_NONE };
    int base64 = !strncmp(note, "64 ", 3);
    char *last, *text = apr_pstrdup(p, base64 ? note + 3 : note);
    const char *maker = apr_strtok(text, ":", &last);

    while (strcmp(seal_makers[token.maker], maker)) {
        token.maker++;
    }
    token.bytes = llmux_slice(apr_strtok(NULL, "@", &last));
    token.call_id = llmux_slice(apr_strtok(NULL, "@", &last));
    return (base64 ? llmux_seal_base64 : llmux_seal)(
        p, test_sealer(), SEAL_TENANT, SEAL_ACCOUNT, &token);
}

/** The text with seals in the place of notes. */
__attribute__((unused))
static const char *sealed(apr_pool_t *p, const char *text)
{
    const char *at = strstr(text, "<<"), *end = at ? strstr(at, ">>") : NULL;

    if (!end) {
        return text;
    }
    return apr_pstrcat(p, apr_pstrmemdup(p, text, (apr_size_t)(at - text)),
                       llmux_slice_str(p, seal_of(p, apr_pstrmemdup(
                           p, at + 2, (apr_size_t)(end - at - 2)))),
                       sealed(p, end + 2), NULL);
}

static const char *note_of(apr_pool_t *p, llmux_slice_t seal)
{
    llmux_token_t token = llmux_unseal(p, test_sealer(), SEAL_TENANT, seal);

    if (token.maker == LLMUX_MAKER_NONE) {
        return llmux_slice_str(p, seal);
    }
    return apr_psprintf(p, "<<%s%s:%s%s%s>>",
                        llmux_slice_starts(seal, "Z3c") ? "64 " : "",
                        seal_makers[token.maker],
                        llmux_slice_str(p, token.bytes),
                        token.call_id.data ? "@" : "",
                        llmux_slice_str(p, token.call_id));
}

/** The text with notes in the place of seals that open. */
__attribute__((unused))
static const char *unsealed(apr_pool_t *p, const char *text)
{
    llmux_buf_t *out = llmux_buf_create(p, 1 << 24);
    llmux_slice_t rest = llmux_slice(text), seal;

    for (; rest.len; rest.data++, rest.len--) {
        if (!llmux_sealed(rest)) {
            llmux_buf_add(out, rest.data, 1);
            continue;
        }
        seal.data = rest.data;
        seal.len = strspn(rest.data, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                          "abcdefghijklmnopqrstuvwxyz0123456789+/=-_.");
        llmux_buf_adds(out, note_of(p, seal));
        rest.data += seal.len - 1;
        rest.len -= seal.len - 1;
    }
    return llmux_slice_str(p, llmux_buf_slice(out));
}

/** The text with tokens in the place of notes. */
__attribute__((unused))
static const char *bare(apr_pool_t *p, const char *text)
{
    char *copy = apr_pstrdup(p, text), *to = copy;
    const char *from = copy, *end;

    while (*from) {
        end = strncmp(from, "<<", 2) ? NULL : strstr(from, ">>");
        if (!end) {
            *to++ = *from++;
            continue;
        }
        for (from = strchr(from, ':') + 1; from < end && *from != '@';) {
            *to++ = *from++;
        }
        from = end + 2;
    }
    *to = '\0';
    return copy;
}

#endif
