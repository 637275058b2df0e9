/* mark.c - which requests are ours: no file is looked for, and a key in the
 * URL is taken out before any log sees it. */

#include "server.h"

#include <apr_strings.h>
#include <http_core.h>

request_ctx_t *request_ctx_if_any(request_rec *r)
{
    return ap_get_module_config(r->request_config, &llmux_module);
}

request_ctx_t *request_ctx(request_rec *r)
{
    request_ctx_t *ctx = request_ctx_if_any(r);

    if (!ctx) {
        ctx = apr_pcalloc(r->pool, sizeof(*ctx));
        ctx->r = r;
        ap_set_module_config(r->request_config, &llmux_module, ctx);
    }
    return ctx;
}

/* Does the location that this request fell into belong to us? SetHandler is
 * an expression, even where it is one word. */
static int is_ours(request_rec *r)
{
    core_dir_config *core = ap_get_core_module_config(r->per_dir_config);
    const char *handler = core->handler, *err = NULL;

    if (core->expr_handler) {
        handler = ap_expr_str_exec(r, core->expr_handler, &err);
    }
    return handler && !err && !strcmp(handler, "llmux");
}

/* The path as it will be matched: httpd takes the escapes out later. */
static char *decoded_path(request_rec *r)
{
    char *path = apr_pstrdup(r->pool, r->uri);

    return ap_unescape_url(path) == OK ? path : r->uri;
}

int will_be_ours(request_rec *r)
{
    ap_conf_vector_t *before = r->per_dir_config;
    char *uri = r->uri;
    int ours;

    if (!uri || *uri != '/') {
        return 0;
    }
    r->uri = decoded_path(r);
    ours = ap_location_walk(r) == OK && is_ours(r);
    r->uri = uri;
    r->per_dir_config = before;
    return ours;
}

/* ---- keys in the URL ------------------------------------------------- */

/* Names under which clients put secrets into a query. */
static const char *const secret_names[] = {
    "key", "api_key", "api-key", "apikey", "access_token", "token", NULL
};

static int is_secret(const char *pair, apr_size_t len)
{
    int i;

    for (i = 0; secret_names[i]; i++) {
        apr_size_t n = strlen(secret_names[i]);

        if (len > n && pair[n] == '=' && !strncasecmp(pair, secret_names[i],
                                                      n)) {
            return 1;
        }
    }
    return 0;
}

static int has_secret(const char *args)
{
    while (*args) {
        apr_size_t n = strcspn(args, "&");

        if (is_secret(args, n)) {
            return 1;
        }
        args += n + (args[n] != '\0');
    }
    return 0;
}

/* The query without secrets, or NULL when nothing is left. `key` is Gemini's
 * way to show a key; ours too. */
static char *without_secrets(request_ctx_t *ctx, const char *args)
{
    char *kept = NULL;

    while (*args) {
        apr_size_t n = strcspn(args, "&");
        char *pair = apr_pstrmemdup(ctx->r->pool, args, n);

        if (!is_secret(pair, n)) {
            kept = kept ? apr_pstrcat(ctx->r->pool, kept, "&", pair, NULL)
                        : pair;
        }
        else if (!strncasecmp(pair, "key=", 4)
                 && ap_unescape_urlencoded(pair + 4) == OK) {
            ctx->query_key = pair + 4;
        }
        args += n + (args[n] != '\0');
    }
    return kept;
}

/* The request line as logs and mod_status show it. */
static void rewrite_line(request_rec *r)
{
    const char *query = r->args ? apr_pstrcat(r->pool, "?", r->args, NULL)
                                : "";
    const char *path = apr_pstrndup(r->pool, r->unparsed_uri,
                                    strcspn(r->unparsed_uri, "?"));

    r->unparsed_uri = apr_pstrcat(r->pool, path, query, NULL);
    r->parsed_uri.query = r->args;
    r->the_request = apr_pstrcat(r->pool, r->method, " ", r->unparsed_uri,
                                 r->assbackwards ? NULL : " ", r->protocol,
                                 NULL);
}

/* The location is not known yet when httpd first shows the request around
 * (mod_status does), so it is found here, and only for requests that carry
 * something worth hiding. */
int llmux_hide_query_key(request_rec *r)
{
    if (!r->args || !has_secret(r->args)) {
        return DECLINED;
    }
    if (will_be_ours(r)) {
        r->args = without_secrets(request_ctx(r), r->args);
        rewrite_line(r);
    }
    return DECLINED;
}

/* ---- no file --------------------------------------------------------- */

/* httpd forgets a location's settings before it maps to storage: the mark
 * must be set here. */
int llmux_translate_name(request_rec *r)
{
    if (!is_ours(r)) {
        return DECLINED;
    }
    request_ctx(r)->ours = 1;
    r->filename = apr_pstrcat(r->pool, "llmux:", r->uri, NULL);
    return OK;
}

/* Saves the directory walk: nine system calls for each request. */
int llmux_map_to_storage(request_rec *r)
{
    request_ctx_t *ctx = request_ctx_if_any(r);

    return ctx && ctx->ours ? OK : DECLINED;
}

/* Keeps mod_mime from guessing by what looks like a suffix of the path. */
int llmux_type_checker(request_rec *r)
{
    request_ctx_t *ctx = request_ctx_if_any(r);

    return ctx && ctx->ours ? OK : DECLINED;
}
