/**
 * ca_store.h - certificates that vouch for providers: read once for each CA
 * file, not once per connection (20 ms and a megabyte for the system's).
 */

#ifndef LLMUX_TRANSPORT_CA_STORE_H
#define LLMUX_TRANSPORT_CA_STORE_H

#include <openssl/x509_vfy.h>

/* All that were read. Any thread. */
typedef struct llmux_stores_t llmux_stores_t;

/** NULL when memory is out. */
llmux_stores_t *llmux_stores_create(void);

/** What get() gave stays. */
void llmux_stores_free(llmux_stores_t *all);

/**
 * The certificates in this file (NULL = the system's). Only who needs the
 * same file waits while it is read; when that fails, the next one tries anew.
 * @return to be freed by the caller; NULL: there are none
 */
X509_STORE *llmux_store_get(llmux_stores_t *all, const char *ca_file);

#endif
