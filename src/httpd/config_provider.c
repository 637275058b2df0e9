/* config_provider.c - directives inside <LLMuxProvider>. */

#include "config.h"

#include <apr_lib.h>
#include <apr_strings.h>

const char *set_type(cmd_parms *cmd, void *section, const char *arg)
{
    provider_section_t *sec = section;

    sec->kind_name = arg;
    return NULL;
}

const char *set_base_url(cmd_parms *cmd, void *section, const char *arg)
{
    provider_section_t *sec = section;
    const char *why = llmux_provider_url_refused(cmd->pool, arg);
    char *url;
    apr_size_t n;

    if (strstr(arg, "${")) {
        why = "the variable in it is not defined";
    }
    if (why) {
        return config_complain(cmd, strchr(arg, '@') ? "(hidden)" : arg, why);
    }
    url = apr_pstrdup(cmd->pool, arg);
    for (n = strlen(url); n && url[n - 1] == '/'; n--) {
        url[n - 1] = '\0';
    }
    sec->provider.base_url = url;
    return NULL;
}

const char *set_api_key(cmd_parms *cmd, void *section, const char *arg)
{
    provider_section_t *sec = section;
    const char *why = config_secret(cmd, arg, &sec->provider.key);

    config_hide(cmd);
    return why ? apr_pstrcat(cmd->pool, "LLMuxAPIKey: ", why, NULL) : NULL;
}

/* Becomes a part of host names and paths. */
const char *set_region(cmd_parms *cmd, void *section, const char *arg)
{
    provider_section_t *sec = section;
    const char *s;

    for (s = arg; *s; s++) {
        if (!apr_isalnum(*s) && *s != '-') {
            return config_complain(cmd, arg,
                                   "a region looks like eu-central-1");
        }
    }
    sec->provider.region = arg;
    return NULL;
}

const char *set_project(cmd_parms *cmd, void *section, const char *arg)
{
    provider_section_t *sec = section;
    const char *why = config_name_refused(arg);

    sec->provider.project = arg;
    return why ? config_complain(cmd, arg, why) : NULL;
}

const char *set_credentials(cmd_parms *cmd, void *section, const char *arg)
{
    provider_section_t *sec = section;

    if (!strcasecmp(arg, "environment") || !strcasecmp(arg, "instance")) {
        sec->provider.credentials = strcasecmp(arg, "instance")
            ? "environment" : "instance";
        return NULL;
    }
    return config_path(cmd, arg, &sec->provider.credentials);
}

const char *set_aws_key(cmd_parms *cmd, void *section, const char *id,
                        const char *secret, const char *session)
{
    const char *const words[] = { id, secret, session };
    const llmux_secret_t *keys[] = { NULL, NULL, NULL };
    provider_section_t *sec = section;
    const char *why = NULL;
    int i;

    config_hide(cmd);
    for (i = 0; i < 3 && words[i] && !why; i++) {
        why = config_secret(cmd, words[i], &keys[i]);
    }
    if (why) {
        return apr_pstrcat(cmd->pool, "LLMuxAWSKey: ", why, NULL);
    }
    sec->provider.credential = llmux_aws_static(cmd->pool, keys[0], keys[1],
                                                keys[2]);
    return NULL;
}

const char *set_account_name(cmd_parms *cmd, void *section, const char *arg)
{
    provider_section_t *sec = section;
    const char *why = config_name_refused(arg);

    sec->provider.account = arg;
    return why ? config_complain(cmd, arg, why) : NULL;
}

const char *set_models(cmd_parms *cmd, void *section, const char *arg)
{
    provider_section_t *sec = section;
    const char *why = config_name_refused(arg);

    if (why) {
        return config_complain(cmd, arg, why);
    }
    APR_ARRAY_PUSH(sec->provider.models, const char *) = arg;
    return NULL;
}

/* A header may carry a key, so its value is hidden like one. */
const char *set_header(cmd_parms *cmd, void *section, const char *name,
                       const char *value)
{
    provider_section_t *sec = section;
    const llmux_secret_t *secret;
    const char *why = config_secret(cmd, value, &secret);

    config_hide(cmd);
    if (!why) {
        value = llmux_slice_str(cmd->pool, llmux_secret_reveal(secret));
        why = llmux_provider_header_refused(name, value);
    }
    if (why) {
        return config_complain(cmd, name, why);
    }
    llmux_header_add(sec->provider.headers, name, value);
    return NULL;
}

const char *set_ability(cmd_parms *cmd, void *section, const char *arg)
{
    provider_section_t *sec = section;
    unsigned int bit = llmux_ability_named(arg + (*arg != '\0'));

    if ((*arg != '+' && *arg != '-') || !bit) {
        return config_complain(cmd, arg,
            apr_pstrcat(cmd->pool, "write + or - and one of ",
                        llmux_ability_names(cmd->pool), NULL));
    }
    if (*arg == '+') {
        sec->can |= bit;
        sec->cannot &= ~bit;
    }
    else {
        sec->cannot |= bit;
        sec->can &= ~bit;
    }
    return NULL;
}

const char *set_version(cmd_parms *cmd, void *section, const char *arg)
{
    provider_section_t *sec = section;
    const char *s;

    for (s = arg; *s; s++) {
        if (!apr_isalnum(*s) && *s != '-' && *s != '.') {
            return config_complain(cmd, arg, "a version looks like 2024-10-21");
        }
    }
    sec->provider.version = arg;
    return NULL;
}

const char *set_azure_api(cmd_parms *cmd, void *section, const char *arg)
{
    provider_section_t *sec = section;

    if (strcasecmp(arg, "v1") && strcasecmp(arg, "deployment")) {
        return config_complain(cmd, arg, "it must be deployment or v1");
    }
    sec->provider.azure_v1 = !strcasecmp(arg, "v1");
    return NULL;
}

const char *set_ca_file(cmd_parms *cmd, void *section, const char *arg)
{
    provider_section_t *sec = section;

    return config_path(cmd, arg, &sec->provider.upstream.ca_file);
}

const char *set_client_cert(cmd_parms *cmd, void *section, const char *arg)
{
    provider_section_t *sec = section;

    return config_path(cmd, arg, &sec->provider.upstream.cert_file);
}

const char *set_client_key(cmd_parms *cmd, void *section, const char *arg)
{
    provider_section_t *sec = section;

    return config_path(cmd, arg, &sec->provider.upstream.key_file);
}

const char *set_proxy(cmd_parms *cmd, void *section, const char *arg)
{
    static const char *const schemes[] = {
        "http://", "https://", "socks5://", "socks5h://", NULL
    };
    provider_section_t *sec = section;
    int i;

    if (strchr(arg, '@')) {
        config_hide(cmd);
    }
    if (!strcasecmp(arg, "none") || !strcasecmp(arg, "environment")) {
        sec->provider.upstream.proxy = !strcasecmp(arg, "none") ? "" : NULL;
        return NULL;
    }
    for (i = 0; schemes[i]; i++) {
        if (!strncasecmp(arg, schemes[i], strlen(schemes[i]))
            && arg[strlen(schemes[i])] && !strstr(arg, "${")) {
            sec->provider.upstream.proxy = arg;
            return NULL;
        }
    }
    return "LLMuxProxy must be none, environment, or a URL that begins with "
           "http://, https://, socks5:// or socks5h://";
}

const char *set_no_proxy(cmd_parms *cmd, void *section, const char *arg)
{
    provider_section_t *sec = section;
    const char *so_far = sec->provider.upstream.no_proxy;

    sec->provider.upstream.no_proxy =
        so_far ? apr_pstrcat(cmd->pool, so_far, ",", arg, NULL) : arg;
    return NULL;
}

/* ---- when the section is complete ------------------------------------- */

/* The last line of this name in a section. */
static const ap_directive_t *line_of(const ap_directive_t *section,
                                     const char *name)
{
    const ap_directive_t *line = section->first_child, *found = NULL;

    for (; line; line = line->next) {
        found = strcasecmp(line->directive, name) ? found : line;
    }
    return found;
}

const char *config_identity(cmd_parms *cmd, const provider_section_t *sec)
{
    const llmux_upstream_t *up = &sec->provider.upstream;
    const ap_directive_t *line = line_of(sec->at, up->key_file
                                         ? "LLMuxClientKey"
                                         : "LLMuxClientCertificate");
    const char *why = NULL;

    if (up->key_file && !up->cert_file) {
        why = "it is of no use without LLMuxClientCertificate";
    }
    else if (up->cert_file) {
        why = llmux_tls_check_files(cmd->pool, up);
    }
    if (!why) {
        return NULL;
    }
    cmd->err_directive = line;
    return apr_psprintf(cmd->pool, "%s: %s",
                        line ? line->directive : "LLMuxClientCertificate",
                        why);
}
