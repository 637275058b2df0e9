/**
 * seal.h - opaque tokens on their way through a client and back.
 *
 * A provider's signature, thought signature or encrypted reasoning is good to
 * that provider alone, and he refuses whatever else stands in its place. A
 * client of the same dialect carries it as it is, in the member that the
 * dialect has for it: same dialect, the provider's own bytes. Everybody else
 * gets it under a seal: AES-256-GCM, which tells who made it and for which
 * account, opens for the tenant alone who got it, and for nobody if as much
 * as a bit of it was changed.
 *
 *     gw2.<kid>.<nonce, ciphertext, tag>
 *
 * where what is behind the second dot is in URL-safe base64; or all of it as
 * bytes in standard base64, for members that have room for base64 only.
 *
 *     key         HKDF-SHA-256 of the configured one, a label of our own
 *     nonce       96 random bits: one key is good for 2^32 tokens
 *     associated  version, kid, tenant
 *     plaintext   maker, account, call id, the token as its maker spelled it
 */

#ifndef LLMUX_SEAL_H
#define LLMUX_SEAL_H

#include "llmux/dialect.h"

/* ---- keys ------------------------------------------------------------ */

/* Keys by their ids: the first one seals, all of them open, so that a new one
 * is put in front and the old one goes when nobody brings its tokens back any
 * more. Filled at configuration, read-only after: any thread may use it.
 * Wiped with its pool. */
typedef struct llmux_sealer_t llmux_sealer_t;

/** One without keys: it seals nothing and opens nothing. */
llmux_sealer_t *llmux_sealer_create(apr_pool_t *p);

/**
 * Adds a key.
 * @param kid letters, digits, "-" and "_": at most LLMUX_SEAL_KID_MAX; stands
 *        in every token that it seals, for all to see
 * @param key 32 bytes, as 64 hexadecimal digits or as base64
 * @return NULL, or why not: a sentence in the sealer's pool, without the key
 */
const char *llmux_sealer_add(llmux_sealer_t *s, const char *kid,
                             const llmux_secret_t *key);

/* ---- seals ----------------------------------------------------------- */

/**
 * Seals the token: its maker, bytes and call_id.
 * @param s NULL is fine: nothing is sealed
 * @param tenant who may bring it back; absent is a tenant, too
 * @param account whose it is, instead of token->account; NULL: not said
 * @return the text, in `p`; absent if there is no key, no maker, no token, or
 *         one that is too long (LLMUX_SEAL_TOKEN_MAX, LLMUX_SEAL_NAME_MAX)
 */
llmux_slice_t llmux_seal(apr_pool_t *p, const llmux_sealer_t *s,
                         llmux_slice_t tenant, const char *account,
                         const llmux_token_t *token);

/** The same in standard base64 altogether. */
llmux_slice_t llmux_seal_base64(apr_pool_t *p, const llmux_sealer_t *s,
                                llmux_slice_t tenant, const char *account,
                                const llmux_token_t *token);

/** Is it one of our seals, of any version and in either spelling? No maker's
 * token begins so. */
int llmux_sealed(llmux_slice_t text);

/** Can there be one of them in this text? For a look before the work. */
int llmux_seal_mentioned(llmux_slice_t text);

/**
 * Opens it, in either spelling. The result is in `p`.
 * @return maker NONE, and nothing else, for all that is not to be opened: no
 *         seal, another version, altered, another tenant's, an unknown key
 */
llmux_token_t llmux_unseal(apr_pool_t *p, const llmux_sealer_t *s,
                           llmux_slice_t tenant, llmux_slice_t text);

/* ---- what dialects do with tokens ------------------------------------ */

/* Makers as bits. */
#define LLMUX_MADE_BY(maker) (1u << (maker))
#define LLMUX_MADE_BY_CLAUDE (LLMUX_MADE_BY(LLMUX_MAKER_ANTHROPIC) \
                              | LLMUX_MADE_BY(LLMUX_MAKER_ANTHROPIC_REDACTED))
#define LLMUX_MADE_BY_ANY    (~LLMUX_MADE_BY(LLMUX_MAKER_NONE))

/** Encoders: the token as the client is to carry it. That of `own` makers is
 * as it was; another's is sealed, in `p`, or maker NONE if it cannot be. */
llmux_token_t llmux_token_close(apr_pool_t *p, const llmux_encode_t *how,
                                const llmux_token_t *token, unsigned int own);

/** Readers: what a client brought back. One that is not sealed is its
 * dialect's own: the maker's, as it stands. One that cannot be opened is
 * counted in chat->unopened, and has maker NONE. */
llmux_token_t llmux_token_open(llmux_chat_t *chat, llmux_slice_t text,
                               llmux_maker_e maker);

/** Writers: may it go to this target? It must have been made by one of these,
 * and for the target's account, as far as both are known. */
int llmux_token_fits(const llmux_token_t *token, unsigned int makers,
                     const llmux_target_t *target);

/** Writers, once for each request: tells that tokens are left out
 * ("reasoning_content"), because they do not fit or could not be opened. */
void llmux_tokens_tell(const llmux_chat_t *chat, unsigned int makers,
                       const llmux_target_t *target, llmux_warnings_t *w);

#endif
