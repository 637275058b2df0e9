/* log.c - one JSON object for each request: LogFormat "%^LX".
 *
 * A line put together from mod_log_config's own fields would be no JSON: it
 * writes \xc3 for what it finds unprintable. So one field of ours renders
 * the whole. */

#include "server.h"

#include <apr_strings.h>
#include <mod_log_config.h>

#define LINE_MAX_BYTES 65536

static void put_time(llmux_jw_t *w, const request_rec *r)
{
    char text[40];
    apr_time_exp_t t;

    apr_time_exp_gmt(&t, r->request_time);
    apr_snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                 t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour,
                 t.tm_min, t.tm_sec, t.tm_usec / 1000);
    llmux_jw_key(w, "time");
    llmux_jw_cstr(w, text);
}

static void put_request(llmux_jw_t *w, const request_rec *r)
{
    put_time(w, r);
    llmux_jw_opt_str(w, "remote_ip", llmux_slice(r->useragent_ip));
    llmux_jw_opt_str(w, "user", llmux_slice(r->user));
    llmux_jw_opt_str(w, "method", llmux_slice(r->method));
    llmux_jw_opt_str(w, "path", llmux_slice(r->uri));
    llmux_jw_opt_str(w, "protocol", llmux_slice(r->protocol));
    llmux_jw_opt_str(w, "user_agent",
                     llmux_slice(apr_table_get(r->headers_in,
                                               "User-Agent")));
    llmux_jw_key(w, "bytes_sent");
    llmux_jw_int(w, r->bytes_sent);
}

static const char *log_line(request_rec *r, char *unused)
{
    request_ctx_t *ctx = request_ctx_if_any(r);
    llmux_buf_t *out = llmux_buf_create(r->pool, LINE_MAX_BYTES);
    llmux_jw_t w = llmux_jw(out);
    int status = r->status;

    llmux_jw_open(&w, '{');
    put_request(&w, r);
    if (ctx && ctx->exchange) {
        const llmux_record_t *rec = llmux_exchange_record(ctx->exchange);

        status = rec->status ? rec->status : status;
        llmux_record_write(&w, rec);
    }
    llmux_jw_key(&w, "status");
    llmux_jw_int(&w, status);
    llmux_jw_close(&w, '}');
    return out->failed ? "{\"error\":\"log line too long\"}" : out->data;
}

void llmux_register_log(apr_pool_t *p)
{
    APR_OPTIONAL_FN_TYPE(ap_register_log_handler) *add =
        APR_RETRIEVE_OPTIONAL_FN(ap_register_log_handler);

    if (add) {
        add(p, "^LX", log_line, 0);
    }
}
