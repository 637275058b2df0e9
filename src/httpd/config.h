/* config.h - what the files of configuration share: words for mistakes,
 * secrets and paths, and the directives that the command table lists.
 *
 * A directive returns NULL, or a sentence on what is wrong with it. */

#ifndef LLMUX_HTTPD_CONFIG_H
#define LLMUX_HTTPD_CONFIG_H

#include "server.h"

/* ---- for all of them (config.c) ---------------------------------------- */

/** mod_info and DUMP_CONFIG print a directive's arguments; not this one's. */
void config_hide(cmd_parms *cmd);

/** Reads a secret; a relative file is below the server root. */
const char *config_secret(cmd_parms *cmd, const char *spec,
                          const llmux_secret_t **secret);

/** A file to be read; a relative path is below the server root. */
const char *config_path(cmd_parms *cmd, const char *arg, const char **path);

/** May this be a name? They stand in URLs, labels and logs. */
const char *config_name_refused(const char *name);

/** "LLMuxRegion 'x': why". */
const char *config_complain(cmd_parms *cmd, const char *value, const char *why);

/* ---- inside <LLMuxProvider> (config_provider.c) -------------------- */

/* `section` is the provider_section_t that is being read. */

const char *set_type(cmd_parms *cmd, void *section, const char *arg);
const char *set_base_url(cmd_parms *cmd, void *section, const char *arg);
const char *set_api_key(cmd_parms *cmd, void *section, const char *arg);
const char *set_region(cmd_parms *cmd, void *section, const char *arg);
const char *set_project(cmd_parms *cmd, void *section, const char *arg);
const char *set_credentials(cmd_parms *cmd, void *section, const char *arg);
const char *set_aws_key(cmd_parms *cmd, void *section, const char *id,
                        const char *secret, const char *session);
const char *set_account_name(cmd_parms *cmd, void *section, const char *arg);
const char *set_models(cmd_parms *cmd, void *section, const char *arg);
const char *set_header(cmd_parms *cmd, void *section, const char *name,
                       const char *value);
const char *set_ability(cmd_parms *cmd, void *section, const char *arg);
const char *set_version(cmd_parms *cmd, void *section, const char *arg);
const char *set_azure_api(cmd_parms *cmd, void *section, const char *arg);
const char *set_ca_file(cmd_parms *cmd, void *section, const char *arg);
const char *set_client_cert(cmd_parms *cmd, void *section, const char *arg);
const char *set_client_key(cmd_parms *cmd, void *section, const char *arg);
const char *set_proxy(cmd_parms *cmd, void *section, const char *arg);
const char *set_no_proxy(cmd_parms *cmd, void *section, const char *arg);

/** When the section is complete: certificate and key may stand in any
 * order. */
const char *config_identity(cmd_parms *cmd, const provider_section_t *sec);

/* ---- inside <LLMuxModel> (config_model.c) -------------------------- */

/* `section` is the model_section_t that is being read. */

const char *set_deployment(cmd_parms *cmd, void *section, int argc,
                           char *const argv[]);
const char *set_fallback(cmd_parms *cmd, void *section, const char *arg);
const char *set_strategy(cmd_parms *cmd, void *section, const char *arg);

/* ---- the server (config_server.c) ----------------------------------- */

const char *set_master_key(cmd_parms *cmd, void *dir, const char *arg);
const char *set_shared_memory(cmd_parms *cmd, void *dir, const char *arg);
const char *set_loops(cmd_parms *cmd, void *dir, const char *arg);
const char *set_media_network(cmd_parms *cmd, void *dir, const char *arg);
const char *set_data_dir(cmd_parms *cmd, void *dir, const char *arg);
const char *set_seal_key(cmd_parms *cmd, void *dir, const char *kid,
                         const char *spec);

#endif
