/* curl_fail.h - libcurl's failures in our words. */

#ifndef LLMUX_TRANSPORT_CURL_FAIL_H
#define LLMUX_TRANSPORT_CURL_FAIL_H

#include <curl/curl.h>

#include "llmux/transport.h"

/** What a transfer's result means.
 * @param text libcurl's words
 * @param connected whether a connection stood, TLS and proxy included */
llmux_fail_e llmux_curl_failure(CURL *easy, CURLcode code, const char *text,
                                int connected);

#endif
