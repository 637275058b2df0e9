/* config.c - directives: the command table, and what each of them does. */

#include "server.h"

#include <apr_file_info.h>
#include <apr_lib.h>
#include <apr_strings.h>

server_conf_t *server_conf(const server_rec *s)
{
    return ap_get_module_config(s->module_config, &llmux_module);
}

/* ---- creating and merging --------------------------------------------- */

void *llmux_create_dir(apr_pool_t *p, char *dir)
{
    dir_conf_t *conf = apr_pcalloc(p, sizeof(*conf));

    settings_unset(&conf->settings);
    return conf;
}

void *llmux_merge_dir(apr_pool_t *p, void *basev, void *addv)
{
    const dir_conf_t *base = basev, *add = addv;
    dir_conf_t *conf = apr_pcalloc(p, sizeof(*conf));

    settings_merge(&conf->settings, &base->settings, &add->settings);
    conf->mount = add->mount ? add->mount : base->mount;
    return conf;
}

void *llmux_create_server(apr_pool_t *p, server_rec *s)
{
    server_conf_t *conf = apr_pcalloc(p, sizeof(*conf));

    conf->providers = apr_array_make(p, 4, sizeof(provider_section_t *));
    conf->models = apr_array_make(p, 4, sizeof(model_section_t *));
    return conf;
}

/* Where the section of this name is, or the end of the list. */
static int provider_place(const apr_array_header_t *list, const char *name)
{
    int i = 0;

    while (i < list->nelts
           && strcmp(APR_ARRAY_IDX(list, i,
                                   provider_section_t *)->provider.name,
                     name)) {
        i++;
    }
    return i;
}

static int model_place(const apr_array_header_t *list, const char *name)
{
    int i = 0;

    while (i < list->nelts
           && strcmp(APR_ARRAY_IDX(list, i, model_section_t *)->name, name)) {
        i++;
    }
    return i;
}

static void merge_providers(apr_array_header_t *to,
                            const apr_array_header_t *from)
{
    int i, k;

    for (i = 0; i < from->nelts; i++) {
        provider_section_t *add = APR_ARRAY_IDX(from, i,
                                                provider_section_t *);

        k = provider_place(to, add->provider.name);
        if (k == to->nelts) {
            apr_array_push(to);
        }
        APR_ARRAY_IDX(to, k, provider_section_t *) = add;
    }
}

static void merge_models(apr_array_header_t *to,
                         const apr_array_header_t *from)
{
    int i, k;

    for (i = 0; i < from->nelts; i++) {
        model_section_t *add = APR_ARRAY_IDX(from, i, model_section_t *);

        k = model_place(to, add->name);
        if (k == to->nelts) {
            apr_array_push(to);
        }
        APR_ARRAY_IDX(to, k, model_section_t *) = add;
    }
}

/* A virtual host inherits and adds; the same name replaces. */
void *llmux_merge_server(apr_pool_t *p, void *basev, void *addv)
{
    const server_conf_t *base = basev, *add = addv;
    server_conf_t *conf = apr_pcalloc(p, sizeof(*conf));

    *conf = *base;
    conf->providers = apr_array_copy(p, base->providers);
    conf->models = apr_array_copy(p, base->models);
    merge_providers(conf->providers, add->providers);
    merge_models(conf->models, add->models);
    conf->service = NULL;
    return conf;
}

/* ---- helpers --------------------------------------------------------- */

/* mod_info and DUMP_CONFIG print a directive's arguments; not this one's. */
static void hide(cmd_parms *cmd)
{
    cmd->directive->args = "(secret)";
}

/* Reads a secret; a relative file is below the server root. */
static const char *read_secret(cmd_parms *cmd, const char *spec,
                               const llmux_secret_t **secret)
{
    const char *err = NULL;

    if (!strncasecmp(spec, "file:", 5)) {
        const char *path = ap_server_root_relative(cmd->pool, spec + 5);

        if (!path) {
            return "the file's path is not valid";
        }
        spec = apr_pstrcat(cmd->pool, "file:", path, NULL);
    }
    *secret = llmux_secret_read(cmd->pool, spec, &err);
    return *secret ? NULL : err;
}

/* Names stand in URLs, labels and logs. */
static const char *name_refused(const char *name)
{
    const char *s;

    if (!*name || strlen(name) > LLMUX_MODEL_NAME_MAX) {
        return "a name must have 1 to 256 characters";
    }
    for (s = name; *s; s++) {
        if ((unsigned char)*s <= ' ' || *s == 0x7f || *s == '"') {
            return "a name must have no space, quote or control character";
        }
    }
    return NULL;
}

static const char *complain(cmd_parms *cmd, const char *value,
                            const char *why)
{
    return apr_psprintf(cmd->pool, "%s '%s': %s", cmd->cmd->name, value, why);
}

/* ---- settings -------------------------------------------------------- */

static const char *set_request(cmd_parms *cmd, void *dirv, int argc,
                               char *const argv[])
{
    dir_conf_t *dir = dirv;
    const server_conf_t *conf = server_conf(cmd->server);

    if (conf->provider || conf->model) {
        return apr_psprintf(cmd->pool, "%s is a setting of servers and "
                            "locations: it has no place in a %s section",
                            cmd->cmd->name, conf->provider ? "<LLMuxProvider>"
                                                           : "<LLMuxModel>");
    }
    return setting_read(cmd->pool, request_setting(cmd->cmd->name),
                        &dir->settings, argc, argv);
}

/* SetHandler is httpd's own; we look on, to know where our locations begin. */
static const char *note_handler(cmd_parms *cmd, void *dirv, const char *arg)
{
    dir_conf_t *dir = dirv;
    const ap_directive_t *section = cmd->directive->parent;
    apr_size_t n;

    if (!section || strcasecmp(section->directive, "<Location")
        || strcmp(arg, "llmux") || !cmd->path) {
        return NULL;
    }
    for (n = strlen(cmd->path); n && cmd->path[n - 1] == '/'; n--)
        ;
    if (n && *cmd->path == '/') {
        dir->mount = apr_pstrmemdup(cmd->pool, cmd->path, n);
    }
    return NULL;
}

static provider_section_t *open_provider(cmd_parms *cmd)
{
    return server_conf(cmd->server)->provider;
}

static const char *outside(cmd_parms *cmd, const char *section)
{
    return apr_psprintf(cmd->pool, "%s belongs into a %s section",
                        cmd->cmd->name, section);
}

static const char *set_account(cmd_parms *cmd, void *dir, int argc,
                               char *const argv[])
{
    provider_section_t *sec = open_provider(cmd);

    if (!sec) {
        return outside(cmd, "<LLMuxProvider>");
    }
    return setting_read(cmd->pool, account_setting(cmd->cmd->name),
                        &sec->provider, argc, argv);
}

/* ---- inside <LLMuxProvider> ------------------------------------------- */

static const char *set_type(cmd_parms *cmd, void *dir, const char *arg)
{
    provider_section_t *sec = open_provider(cmd);

    if (!sec) {
        return outside(cmd, "<LLMuxProvider>");
    }
    sec->kind_name = arg;
    return NULL;
}

static const char *set_base_url(cmd_parms *cmd, void *dir, const char *arg)
{
    provider_section_t *sec = open_provider(cmd);
    const char *why = llmux_provider_url_refused(cmd->pool, arg);
    char *url;
    apr_size_t n;

    if (!sec) {
        return outside(cmd, "<LLMuxProvider>");
    }
    if (strstr(arg, "${")) {
        why = "the variable in it is not defined";
    }
    if (why) {
        return complain(cmd, strchr(arg, '@') ? "(hidden)" : arg, why);
    }
    url = apr_pstrdup(cmd->pool, arg);
    for (n = strlen(url); n && url[n - 1] == '/'; n--) {
        url[n - 1] = '\0';
    }
    sec->provider.base_url = url;
    return NULL;
}

static const char *set_api_key(cmd_parms *cmd, void *dir, const char *arg)
{
    provider_section_t *sec = open_provider(cmd);
    const char *why;

    hide(cmd);
    if (!sec) {
        return outside(cmd, "<LLMuxProvider>");
    }
    why = read_secret(cmd, arg, &sec->provider.key);
    return why ? apr_pstrcat(cmd->pool, "LLMuxAPIKey: ", why, NULL) : NULL;
}

static const char *set_models(cmd_parms *cmd, void *dir, const char *arg)
{
    provider_section_t *sec = open_provider(cmd);
    const char *why = name_refused(arg);

    if (!sec) {
        return outside(cmd, "<LLMuxProvider>");
    }
    if (why) {
        return complain(cmd, arg, why);
    }
    APR_ARRAY_PUSH(sec->provider.models, const char *) = arg;
    return NULL;
}

/* A header may carry a key, so its value is hidden like one. */
static const char *set_header(cmd_parms *cmd, void *dir, const char *name,
                              const char *value)
{
    provider_section_t *sec = open_provider(cmd);
    const llmux_secret_t *secret;
    llmux_header_t *h;
    const char *why;

    hide(cmd);
    if (!sec) {
        return outside(cmd, "<LLMuxProvider>");
    }
    why = read_secret(cmd, value, &secret);
    if (!why) {
        value = llmux_slice_str(cmd->pool, llmux_secret_reveal(secret));
        why = llmux_provider_header_refused(name, value);
    }
    if (why) {
        return complain(cmd, name, why);
    }
    h = apr_array_push(sec->provider.headers);
    h->name = name;
    h->value = value;
    return NULL;
}

static const char *set_ability(cmd_parms *cmd, void *dir, const char *arg)
{
    provider_section_t *sec = open_provider(cmd);
    unsigned int bit = llmux_ability_named(arg + (*arg != '\0'));

    if (!sec) {
        return outside(cmd, "<LLMuxProvider>");
    }
    if ((*arg != '+' && *arg != '-') || !bit) {
        return complain(cmd, arg, apr_pstrcat(cmd->pool,
                        "write + or - and one of ",
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

static const char *set_version(cmd_parms *cmd, void *dir, const char *arg)
{
    provider_section_t *sec = open_provider(cmd);
    const char *s;

    if (!sec) {
        return outside(cmd, "<LLMuxProvider>");
    }
    for (s = arg; *s; s++) {
        if (!apr_isalnum(*s) && *s != '-' && *s != '.') {
            return complain(cmd, arg, "a version looks like 2024-10-21");
        }
    }
    sec->provider.version = arg;
    return NULL;
}

static const char *set_azure_api(cmd_parms *cmd, void *dir, const char *arg)
{
    provider_section_t *sec = open_provider(cmd);

    if (!sec) {
        return outside(cmd, "<LLMuxProvider>");
    }
    if (strcasecmp(arg, "v1") && strcasecmp(arg, "deployment")) {
        return complain(cmd, arg, "it must be deployment or v1");
    }
    sec->provider.azure_v1 = !strcasecmp(arg, "v1");
    return NULL;
}

/* A file of certificates or keys; a relative path is below the server root. */
static const char *read_path(cmd_parms *cmd, const char *arg,
                             const char **path)
{
    apr_finfo_t info;

    *path = ap_server_root_relative(cmd->pool, arg);
    if (!*path || apr_stat(&info, *path, APR_FINFO_TYPE, cmd->temp_pool)
                  != APR_SUCCESS || info.filetype != APR_REG) {
        return complain(cmd, arg, "there is no such file");
    }
    return NULL;
}

static const char *set_ca_file(cmd_parms *cmd, void *dir, const char *arg)
{
    provider_section_t *sec = open_provider(cmd);

    if (!sec) {
        return outside(cmd, "<LLMuxProvider>");
    }
    return read_path(cmd, arg, &sec->provider.upstream.ca_file);
}

static const char *set_client_cert(cmd_parms *cmd, void *dir,
                                   const char *arg)
{
    provider_section_t *sec = open_provider(cmd);

    if (!sec) {
        return outside(cmd, "<LLMuxProvider>");
    }
    return read_path(cmd, arg, &sec->provider.upstream.cert_file);
}

static const char *set_client_key(cmd_parms *cmd, void *dir, const char *arg)
{
    provider_section_t *sec = open_provider(cmd);

    if (!sec) {
        return outside(cmd, "<LLMuxProvider>");
    }
    return read_path(cmd, arg, &sec->provider.upstream.key_file);
}

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

/* When the section is complete: the two may stand in any order. */
static const char *check_identity(cmd_parms *cmd,
                                  const provider_section_t *sec)
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

static const char *set_proxy(cmd_parms *cmd, void *dir, const char *arg)
{
    static const char *const schemes[] = {
        "http://", "https://", "socks5://", "socks5h://", NULL
    };
    provider_section_t *sec = open_provider(cmd);
    int i;

    if (strchr(arg, '@')) {
        hide(cmd);
    }
    if (!sec) {
        return outside(cmd, "<LLMuxProvider>");
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

static const char *set_no_proxy(cmd_parms *cmd, void *dir, const char *arg)
{
    provider_section_t *sec = open_provider(cmd);
    const char *so_far;

    if (!sec) {
        return outside(cmd, "<LLMuxProvider>");
    }
    so_far = sec->provider.upstream.no_proxy;
    sec->provider.upstream.no_proxy =
        so_far ? apr_pstrcat(cmd->pool, so_far, ",", arg, NULL) : arg;
    return NULL;
}

/* ---- inside <LLMuxModel> ---------------------------------------------- */

static const char *read_weight(cmd_parms *cmd, const char *text, int *weight)
{
    apr_int64_t n = -1;
    char *end = NULL;

    if (apr_isdigit(*text)) {
        n = apr_strtoi64(text, &end, 10);
    }
    if (n < 1 || n > 10000 || *end) {
        return complain(cmd, text, "a weight is a whole number from 1 to "
                        "10000");
    }
    *weight = (int)n;
    return NULL;
}

static void read_tags(apr_pool_t *p, const char *text,
                      apr_array_header_t *tags)
{
    char *rest = apr_pstrdup(p, text), *state;
    char *tag = apr_strtok(rest, ",", &state);

    while (tag) {
        APR_ARRAY_PUSH(tags, const char *) = tag;
        tag = apr_strtok(NULL, ",", &state);
    }
}

static const char *read_option(cmd_parms *cmd, deployment_line_t *line,
                               const char *word)
{
    if (strchr(word, '"')) {
        return complain(cmd, word, "a stray quote: write \"tags=a b\" with "
                        "the quotes around the whole word");
    }
    if (!strncasecmp(word, "weight=", 7)) {
        return read_weight(cmd, word + 7, &line->weight);
    }
    if (!strncasecmp(word, "tags=", 5)) {
        read_tags(cmd->pool, word + 5, line->tags);
        return NULL;
    }
    return complain(cmd, word, "it must be weight=N or tags=a,b");
}

static const char *set_deployment(cmd_parms *cmd, void *dir, int argc,
                                  char *const argv[])
{
    model_section_t *sec = server_conf(cmd->server)->model;
    deployment_line_t *line;
    const char *why = NULL;
    int i;

    if (!sec) {
        return outside(cmd, "<LLMuxModel>");
    }
    if (argc < 2) {
        return "LLMuxDeployment wants a provider and its name for the model";
    }
    line = apr_array_push(sec->deployments);
    line->provider = argv[0];
    line->model = argv[1];
    line->weight = 1;
    line->tags = apr_array_make(cmd->pool, 2, sizeof(char *));
    line->at = cmd->directive;
    for (i = 2; i < argc && !why; i++) {
        why = read_option(cmd, line, argv[i]);
    }
    return why ? why : name_refused(argv[1]);
}

static const char *set_fallback(cmd_parms *cmd, void *dir, const char *arg)
{
    model_section_t *sec = server_conf(cmd->server)->model;

    if (!sec) {
        return outside(cmd, "<LLMuxModel>");
    }
    APR_ARRAY_PUSH(sec->fallbacks, const char *) = arg;
    return NULL;
}

static const char *set_strategy(cmd_parms *cmd, void *dir, const char *arg)
{
    if (!server_conf(cmd->server)->model) {
        return outside(cmd, "<LLMuxModel>");
    }
    if (strcasecmp(arg, "weighted-shuffle")
        && strcasecmp(arg, "simple-shuffle")) {
        return complain(cmd, arg, "the strategy must be weighted-shuffle");
    }
    return NULL;
}

/* ---- server ---------------------------------------------------------- */

static const char *set_master_key(cmd_parms *cmd, void *dir, const char *arg)
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
    hide(cmd);
    why = read_secret(cmd, arg, &conf->master_key);
    return why ? apr_pstrcat(cmd->pool, "LLMuxMasterKey: ", why, NULL) : NULL;
}

static const char *set_shared_memory(cmd_parms *cmd, void *dir,
                                     const char *arg)
{
    server_conf_t *conf = server_conf(cmd->server);
    const char *why = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    if (why) {
        return why;
    }
    if (!llmux_size_parse(arg, &conf->shared_memory)
        || conf->shared_memory < LLMUX_STATE_SIZE_MIN
        || conf->shared_memory > ((apr_int64_t)1 << 34)) {
        return complain(cmd, arg, "it must be a size from 1M to 16G, such as "
                        "32M");
    }
    return NULL;
}

/* ---- sections -------------------------------------------------------- */

/* "<LLMuxProvider openai>" as its one word. */
static const char *section_name(cmd_parms *cmd, const char *args,
                                const char **name)
{
    const char *end = ap_strrchr_c(args, '>');
    const char *word;

    if (!end) {
        return apr_pstrcat(cmd->pool, cmd->cmd->name, "> lacks its closing >",
                           NULL);
    }
    args = apr_pstrmemdup(cmd->pool, args, (apr_size_t)(end - args));
    word = ap_getword_conf(cmd->pool, &args);
    if (!*word || *args) {
        return apr_pstrcat(cmd->pool, cmd->cmd->name, " NAME> takes one name",
                           NULL);
    }
    *name = word;
    return name_refused(word);
}

static const char *provider_section(cmd_parms *cmd, void *dir,
                                    const char *args)
{
    server_conf_t *conf = server_conf(cmd->server);
    provider_section_t *sec = apr_pcalloc(cmd->pool, sizeof(*sec));
    const char *why = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);

    if (!why) {
        why = section_name(cmd, args, &sec->provider.name);
    }
    if (!why && strchr(sec->provider.name, '/')) {
        why = "the name of a provider must have no slash";
    }
    if (!why && provider_place(conf->providers, sec->provider.name)
                < conf->providers->nelts) {
        why = "there is a provider of this name already";
    }
    if (why) {
        return why;
    }
    account_default(&sec->provider, cmd->pool);
    sec->provider.headers = apr_array_make(cmd->pool, 2,
                                           sizeof(llmux_header_t));
    sec->provider.models = apr_array_make(cmd->pool, 4, sizeof(char *));
    sec->at = cmd->directive;
    APR_ARRAY_PUSH(conf->providers, provider_section_t *) = sec;
    conf->provider = sec;
    why = ap_walk_config(cmd->directive->first_child, cmd, cmd->context);
    conf->provider = NULL;
    return why ? why : check_identity(cmd, sec);
}

static const char *model_section(cmd_parms *cmd, void *dir, const char *args)
{
    server_conf_t *conf = server_conf(cmd->server);
    model_section_t *sec = apr_pcalloc(cmd->pool, sizeof(*sec));
    const char *why = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT);

    if (!why) {
        why = section_name(cmd, args, &sec->name);
    }
    if (!why && model_place(conf->models, sec->name) < conf->models->nelts) {
        why = "there is a model of this name already";
    }
    if (why) {
        return why;
    }
    sec->deployments = apr_array_make(cmd->pool, 4,
                                      sizeof(deployment_line_t));
    sec->fallbacks = apr_array_make(cmd->pool, 2, sizeof(char *));
    sec->at = cmd->directive;
    APR_ARRAY_PUSH(conf->models, model_section_t *) = sec;
    conf->model = sec;
    why = ap_walk_config(cmd->directive->first_child, cmd, cmd->context);
    conf->model = NULL;
    return why;
}

const command_rec llmux_commands[] = {
    AP_INIT_RAW_ARGS("<LLMuxProvider", provider_section, NULL, RSRC_CONF,
                     "An account with a provider: <LLMuxProvider NAME>"),
    AP_INIT_RAW_ARGS("<LLMuxModel", model_section, NULL, RSRC_CONF,
                     "A model that clients may ask for: <LLMuxModel NAME>"),
    AP_INIT_TAKE1("SetHandler", note_handler, NULL, OR_FILEINFO,
                  "llmux, where the API shall be"),
#define REQUEST(member, name, kind, dflt, low, high, words, help, example) \
    AP_INIT_TAKE_ARGV(name, set_request, NULL, RSRC_CONF | ACCESS_CONF, help),
#define ACCOUNT(member, name, kind, dflt, low, high, words, help, example) \
    AP_INIT_TAKE_ARGV(name, set_account, NULL, RSRC_CONF, help),
#define SPECIAL(function, name, take, where, help, example) \
    AP_INIT_##take(name, function, NULL, RSRC_CONF, help),
#include "llmux/settings.def"
#undef REQUEST
#undef ACCOUNT
#undef SPECIAL
    { NULL }
};
