/* mod_llmux.c - the table of contents: what the module is, and where it
 * hangs in httpd. */

#include <httpd.h>
#include <http_config.h>
#include <http_connection.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mod_status.h>
#include <mpm_common.h>

#include "src/httpd/hooks.h"

/* Starting and stopping: values are read, checked, and handed to the
 * children; those who are told to go wait for nobody. */
static void register_start(void)
{
    ap_hook_pre_config(llmux_pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(llmux_check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(llmux_post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(llmux_child_init, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_status(llmux_child_status, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_stopping(llmux_child_stopping, NULL, NULL,
                           APR_HOOK_MIDDLE);
}

/* A connection: its worker's time on it is ours to spend, before mod_ssl or
 * mod_http2 look at the socket. */
static void register_connection(void)
{
    ap_hook_pre_connection(llmux_pre_connection, NULL, NULL,
                           APR_HOOK_MIDDLE);
    ap_hook_process_connection(llmux_process_connection, NULL, NULL,
                               APR_HOOK_REALLY_FIRST);
    ap_hook_pre_close_connection(llmux_pre_close_connection, NULL, NULL,
                                 APR_HOOK_REALLY_FIRST);
}

/* A request: its key is hidden before any log sees it, it is marked so that
 * nobody looks for a file, and answered. Whoever moves requests elsewhere is
 * asked first: an operator's Redirect holds in our locations too. */
static void register_request(void)
{
    static const char *const movers[] = {
        "mod_rewrite.c", "mod_alias.c", "mod_proxy.c", NULL
    };

    ap_hook_post_read_request(llmux_hide_query_key, NULL, NULL,
                              APR_HOOK_REALLY_FIRST);
    ap_hook_translate_name(llmux_translate_name, movers, NULL,
                           APR_HOOK_FIRST);
    ap_hook_map_to_storage(llmux_map_to_storage, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_type_checker(llmux_type_checker, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_handler(llmux_handler, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_insert_error_filter(llmux_insert_error_filter, NULL, NULL,
                                APR_HOOK_LAST);
    llmux_register_filters();
}

static void register_hooks(apr_pool_t *p)
{
    register_start();
    register_connection();
    register_request();
    APR_OPTIONAL_HOOK(ap, status_hook, llmux_status_page, NULL, NULL,
                      APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(llmux) = {
    STANDARD20_MODULE_STUFF,
    llmux_create_dir,
    llmux_merge_dir,
    llmux_create_server,
    llmux_merge_server,
    llmux_commands,
    register_hooks
#ifdef AP_MODULE_FLAG_NONE
    , AP_MODULE_FLAG_NONE
#endif
};
