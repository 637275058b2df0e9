/* curl_fail.c - libcurl's failures in our words. */

#include <string.h>

#include "curl_fail.h"

/* Before and after the connection stood. */
static const struct { CURLcode code; llmux_fail_e early, late; } fails[] = {
    { CURLE_URL_MALFORMAT,         LLMUX_FAIL_LOCAL,   LLMUX_FAIL_LOCAL },
    { CURLE_LOGIN_DENIED,          LLMUX_FAIL_LOCAL,   LLMUX_FAIL_LOCAL },
    { CURLE_UNSUPPORTED_PROTOCOL,  LLMUX_FAIL_LOCAL,   LLMUX_FAIL_PROTOCOL },
    { CURLE_COULDNT_RESOLVE_HOST,  LLMUX_FAIL_RESOLVE, LLMUX_FAIL_RESOLVE },
    { CURLE_COULDNT_RESOLVE_PROXY, LLMUX_FAIL_PROXY,   LLMUX_FAIL_PROXY },
    { CURLE_PROXY,                 LLMUX_FAIL_PROXY,   LLMUX_FAIL_PROXY },
    { CURLE_COULDNT_CONNECT,       LLMUX_FAIL_CONNECT, LLMUX_FAIL_CONNECT },
    /* libcurl has no other clock from us than the one for connecting. */
    { CURLE_OPERATION_TIMEDOUT,    LLMUX_FAIL_CONNECT_TIMEOUT,
                                   LLMUX_FAIL_CONNECT_TIMEOUT },
    { CURLE_SSL_CONNECT_ERROR,     LLMUX_FAIL_TLS,     LLMUX_FAIL_TLS },
    { CURLE_PEER_FAILED_VERIFICATION, LLMUX_FAIL_TLS,  LLMUX_FAIL_TLS },
    { CURLE_SSL_CACERT_BADFILE,    LLMUX_FAIL_TLS,     LLMUX_FAIL_TLS },
    { CURLE_SSL_CERTPROBLEM,       LLMUX_FAIL_TLS,     LLMUX_FAIL_TLS },
    { CURLE_SSL_CIPHER,            LLMUX_FAIL_TLS,     LLMUX_FAIL_TLS },
    { CURLE_SSL_ISSUER_ERROR,      LLMUX_FAIL_TLS,     LLMUX_FAIL_TLS },
    { CURLE_SSL_INVALIDCERTSTATUS, LLMUX_FAIL_TLS,     LLMUX_FAIL_TLS },
    { CURLE_SSL_CLIENTCERT,        LLMUX_FAIL_TLS,     LLMUX_FAIL_TLS },
    /* Only a proxy talks before the connection stands. */
    { CURLE_RECV_ERROR,            LLMUX_FAIL_PROXY,   LLMUX_FAIL_RESET },
    { CURLE_SEND_ERROR,            LLMUX_FAIL_PROXY,   LLMUX_FAIL_RESET },
    { CURLE_GOT_NOTHING,           LLMUX_FAIL_PROXY,   LLMUX_FAIL_RESET },
    { CURLE_PARTIAL_FILE,          LLMUX_FAIL_PROXY,   LLMUX_FAIL_RESET },
    { CURL_LAST,                   LLMUX_FAIL_LOCAL,   LLMUX_FAIL_PROTOCOL }
};

llmux_fail_e llmux_curl_failure(CURL *easy, CURLcode code, const char *text,
                                int connected)
{
    long tunnel = 0;
    int i = 0;

    curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &tunnel);
    if (tunnel >= 300) {
        return LLMUX_FAIL_PROXY;
    }
    /* A broken chunk has the code of a broken connection. */
    if (code == CURLE_RECV_ERROR && strstr(text, "chunked-encoding")) {
        return LLMUX_FAIL_PROTOCOL;
    }
    while (fails[i].code != code && fails[i].code != CURL_LAST) {
        i++;
    }
    return connected ? fails[i].late : fails[i].early;
}
