/**
 * curl_trust.h - what handles with the same CA file share in a child: the
 * certificates (read once, not once per connection), TLS sessions, names.
 *
 * Sessions are not shared between CA files, nor between certificates of our
 * own: who resumes one inherits the verdict that was made under the other
 * file, and is to the provider who showed the other certificate.
 */

#ifndef LLMUX_TRANSPORT_CURL_TRUST_H
#define LLMUX_TRANSPORT_CURL_TRUST_H

#include <curl/curl.h>

#include "llmux/core.h"

typedef struct llmux_trust_t llmux_trust_t;

/* All of a child's. Any thread. */
typedef struct llmux_trusts_t llmux_trusts_t;

/** Lives until its free; users of it must be gone by then. */
llmux_trusts_t *llmux_trusts_create(void);
void llmux_trusts_free(llmux_trusts_t *all);

/** The one for this CA file (NULL = the system's) and our certificate (NULL
 * = none); NULL if memory is out. The CA file is read when a connection first
 * needs it. */
llmux_trust_t *llmux_trust_get(llmux_trusts_t *all, const char *ca_file,
                               const char *cert_file);

/** Makes a handle use it. Without one (NULL) libcurl reads `ca_file`. */
void llmux_trust_apply(llmux_trust_t *t, const char *ca_file, CURL *easy);

#endif
