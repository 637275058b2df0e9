/* hooks.h - the functions that mod_llmux.c hangs into httpd. */

#ifndef LLMUX_HOOKS_H
#define LLMUX_HOOKS_H

#include <httpd.h>
#include <http_config.h>
#include <ap_mpm.h>

/* config.c */
extern const command_rec llmux_commands[];
void *llmux_create_dir(apr_pool_t *p, char *dir);
void *llmux_merge_dir(apr_pool_t *p, void *base, void *add);
void *llmux_create_server(apr_pool_t *p, server_rec *s);
void *llmux_merge_server(apr_pool_t *p, void *base, void *add);

/* start.c: from configuration to running children */
int llmux_pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp);
int llmux_check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                       server_rec *s);
int llmux_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                      server_rec *s);
void llmux_child_init(apr_pool_t *pchild, server_rec *s);
void llmux_child_status(server_rec *s, pid_t pid, ap_generation_t generation,
                        int slot, mpm_child_status status);

/* wait.c */
void llmux_child_stopping(apr_pool_t *pchild, int graceful);

/* mark.c: which requests are ours, and what of them nobody may see */
int llmux_hide_query_key(request_rec *r);
int llmux_translate_name(request_rec *r);
int llmux_map_to_storage(request_rec *r);
int llmux_type_checker(request_rec *r);

/* handler.c */
int llmux_handler(request_rec *r);

/* conn.c */
int llmux_pre_connection(conn_rec *c, void *csd);
int llmux_process_connection(conn_rec *c);
int llmux_pre_close_connection(conn_rec *c);

/* error_page.c */
void llmux_register_filters(void);
void llmux_insert_error_filter(request_rec *r);

/* log.c and status.c */
void llmux_register_log(apr_pool_t *p);
int llmux_status_page(request_rec *r, int flags);

#endif
