/* config_server.c - directives for the server as a whole. */

#include "config.h"

#include <apr_lib.h>
#include <apr_network_io.h>
#include <apr_strings.h>

const char *set_master_key(cmd_parms *cmd, void *dir, const char *arg)
{
    server_conf_t *conf = server_conf(cmd->server);
    const char *why = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (why) {
        return why;
    }
    if (!strcasecmp(arg, "off")) {
        conf->no_key_meant = 1;
        return NULL;
    }
    config_hide(cmd);
    why = config_secret(cmd, arg, &conf->master_key);
    return why ? apr_pstrcat(cmd->pool, "LLMuxMasterKey: ", why, NULL) : NULL;
}

const char *set_shared_memory(cmd_parms *cmd, void *dir, const char *arg)
{
    server_conf_t *conf = server_conf(cmd->server);
    const char *why = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (why) {
        return why;
    }
    if (!llmux_size_parse(arg, &conf->shared_memory)
        || conf->shared_memory < LLMUX_STATE_SIZE_MIN
        || conf->shared_memory > ((apr_int64_t)1 << 34)) {
        return config_complain(cmd, arg,
                               "it must be a size from 1M to 16G, such "
                               "as 32M");
    }
    return NULL;
}

const char *set_loops(cmd_parms *cmd, void *dir, const char *arg)
{
    server_conf_t *conf = server_conf(cmd->server);
    const char *why = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    apr_int64_t count;
    char *end;

    if (why) {
        return why;
    }
    if (!strcasecmp(arg, "auto")) {
        conf->loops = LOOPS_AUTO;
        return NULL;
    }
    count = apr_strtoi64(arg, &end, 10);
    if (!apr_isdigit(arg[0]) || *end || count > LOOPS_MAX) {
        return config_complain(cmd, arg, "it must be auto, or a number from "
                               "0 to 64");
    }
    conf->loops = (int)count;
    return NULL;
}

const char *set_media_network(cmd_parms *cmd, void *dir, const char *arg)
{
    server_conf_t *conf = server_conf(cmd->server);
    const char *why = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    char *net = apr_pstrdup(cmd->temp_pool, arg);
    char *bits = strchr(net, '/');
    apr_ipsubnet_t *subnet;

    if (why) {
        return why;
    }
    if (bits) {
        *bits++ = '\0';
    }
    if (!bits || apr_ipsubnet_create(&subnet, net, bits, cmd->pool)
        != APR_SUCCESS) {
        return config_complain(cmd, arg, "a network looks like 10.20.0.0/16");
    }
    if (!conf->media_networks) {
        conf->media_networks = apr_array_make(cmd->pool, 2,
                                              sizeof(apr_ipsubnet_t *));
    }
    APR_ARRAY_PUSH(conf->media_networks, apr_ipsubnet_t *) = subnet;
    return NULL;
}

const char *set_data_dir(cmd_parms *cmd, void *dir, const char *arg)
{
    server_conf_t *conf = server_conf(cmd->server);
    const char *why = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (why) {
        return why;
    }
    conf->data_dir = ap_server_root_relative(cmd->pool, arg);
    if (!conf->data_dir || !ap_is_directory(cmd->temp_pool, conf->data_dir)) {
        return config_complain(cmd, arg, "there is no such folder");
    }
    return NULL;
}

const char *set_seal_key(cmd_parms *cmd, void *dir, const char *kid,
                         const char *spec)
{
    server_conf_t *conf = server_conf(cmd->server);
    const char *why = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    const llmux_secret_t *key;

    if (why) {
        return why;
    }
    config_hide(cmd);
    why = config_secret(cmd, spec, &key);
    if (!why) {
        conf->sealer = conf->sealer ? conf->sealer
                                    : llmux_sealer_create(cmd->pool);
        why = llmux_sealer_add(conf->sealer, kid, key);
    }
    return why ? apr_pstrcat(cmd->pool, "LLMuxSealKey: ", why, NULL) : NULL;
}
