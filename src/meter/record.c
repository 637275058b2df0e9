/* record.c - a request as members of a JSON object, for the access log. */

#include "llmux/meter.h"

static void put_str(llmux_jw_t *w, const char *name, const char *value)
{
    llmux_jw_opt_str(w, name, llmux_slice(value));
}

static void put_count(llmux_jw_t *w, const char *name, apr_int64_t n)
{
    if (n >= 0) {
        llmux_jw_key(w, name);
        llmux_jw_int(w, n);
    }
}

/* Milliseconds from the beginning, where it happened. */
static void put_since(llmux_jw_t *w, const char *name,
                      const llmux_record_t *rec, apr_time_t then)
{
    if (then) {
        put_count(w, name, (then - rec->began) / 1000);
    }
}

static void put_usage(llmux_jw_t *w, const llmux_usage_t *u)
{
    put_count(w, "input_tokens", llmux_usage_input(u));
    put_count(w, "output_tokens", llmux_usage_output(u));
    put_count(w, "cache_read_tokens", u->cache_read);
    put_count(w, "cache_write_tokens", u->cache_write);
    put_count(w, "reasoning_tokens", u->reasoning);
}

static const char *const ends[] = {
    [LLMUX_END_NONE] = NULL,
    [LLMUX_END_OK] = "ok",
    [LLMUX_END_ERROR] = "error",
    [LLMUX_END_CLIENT_GONE] = "client_gone",
    [LLMUX_END_STOPPED] = "server_stopped",
};

void llmux_record_write(llmux_jw_t *w, const llmux_record_t *rec)
{
    put_str(w, "endpoint", rec->endpoint);
    put_str(w, "request_id", rec->request_id);
    put_str(w, "exchange_id", rec->exchange_id);
    put_str(w, "model", rec->model);
    put_str(w, "model_group", rec->group);
    put_str(w, "provider", rec->provider);
    put_str(w, "upstream_model", rec->upstream_model);
    put_str(w, "deployment", rec->deployment);
    put_str(w, "upstream_request_id", rec->upstream_id);
    llmux_jw_key(w, "stream");
    llmux_jw_bool(w, rec->streamed);
    put_count(w, "attempts", rec->attempts);
    if (rec->upstream_status) {
        put_count(w, "upstream_status", rec->upstream_status);
    }
    put_str(w, "end", ends[rec->end]);
    put_str(w, "finish", rec->finish);
    put_str(w, "error", rec->error);
    put_usage(w, &rec->usage);
    put_since(w, "asked_ms", rec, rec->asked);
    put_since(w, "first_token_ms", rec, rec->first);
    put_since(w, "duration_ms", rec, rec->ended);
}
