/* config.c - configurations made and merged, sections, the command table, and
 * what all directives share. */

#include "config.h"

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
    conf->loops = LOOPS_AUTO;
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
void config_hide(cmd_parms *cmd)
{
    cmd->directive->args = "(secret)";
}

/* Reads a secret; a relative file is below the server root. */
const char *config_secret(cmd_parms *cmd, const char *spec,
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
const char *config_name_refused(const char *name)
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

const char *config_complain(cmd_parms *cmd, const char *value, const char *why)
{
    return apr_psprintf(cmd->pool, "%s '%s': %s", cmd->cmd->name, value, why);
}

/* A file to be read; a relative path is below the server root. */
const char *config_path(cmd_parms *cmd, const char *arg, const char **path)
{
    apr_finfo_t info;

    *path = ap_server_root_relative(cmd->pool, arg);
    if (!*path || apr_stat(&info, *path, APR_FINFO_TYPE, cmd->temp_pool)
        != APR_SUCCESS || info.filetype != APR_REG) {
        return config_complain(cmd, arg, "there is no such file");
    }
    return NULL;
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
    return config_name_refused(word);
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
    return why ? why : config_identity(cmd, sec);
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

/* ---- the command table ----------------------------------------------- */

static const char *set_account(cmd_parms *cmd, void *section, int argc,
                               char *const argv[])
{
    provider_section_t *sec = section;

    return setting_read(cmd->pool, account_setting(cmd->cmd->name),
                        &sec->provider, argc, argv);
}

/* What the table says of a directive that belongs into one place only. */
typedef struct special_t {
    const char *where;          /* "<LLMuxProvider>", "<LLMuxModel>" or
                                 * "server" */
    cmd_func read;              /* gets the section that it stands in where
                                 * httpd would give it `dir` */
} special_t;

/* Where the directive's value goes, or why it must not stand here. */
static const char *find_place(cmd_parms *cmd, void **place)
{
    const special_t *special = cmd->info;
    const server_conf_t *conf = server_conf(cmd->server);

    if (!strcmp(special->where, "<LLMuxProvider>")) {
        *place = conf->provider;
    }
    else if (!strcmp(special->where, "<LLMuxModel>")) {
        *place = conf->model;
    }
    return *place ? NULL
        : apr_psprintf(cmd->pool, "%s belongs into a %s section",
                       cmd->cmd->name, special->where);
}

static const char *place_take1(cmd_parms *cmd, void *dir, const char *arg)
{
    const special_t *special = cmd->info;
    const char *why = find_place(cmd, &dir);

    return why ? why : special->read.take1(cmd, dir, arg);
}

static const char *place_take2(cmd_parms *cmd, void *dir, const char *one,
                               const char *two)
{
    const special_t *special = cmd->info;
    const char *why = find_place(cmd, &dir);

    return why ? why : special->read.take2(cmd, dir, one, two);
}

static const char *place_take3(cmd_parms *cmd, void *dir, const char *one,
                               const char *two, const char *three)
{
    const special_t *special = cmd->info;
    const char *why = find_place(cmd, &dir);

    return why ? why : special->read.take3(cmd, dir, one, two, three);
}

static const char *place_take_argv(cmd_parms *cmd, void *dir, int argc,
                                   char *const argv[])
{
    const special_t *special = cmd->info;
    const char *why = find_place(cmd, &dir);

    return why ? why : special->read.take_argv(cmd, dir, argc, argv);
}

/* Which member of cmd_func reads what a row of settings.def takes. */
#define READ_TAKE1      take1
#define READ_ITERATE    take1
#define READ_TAKE2      take2
#define READ_TAKE23     take3
#define READ_TAKE_ARGV  take_argv

#define PLACE(take, read, name, function, where, help) \
    PLACE_BY(take, read, name, function, where, help)
#define PLACE_BY(take, read, name, function, where, help) \
    AP_INIT_##take( \
        name, place_##read, \
        (void *)&((const special_t){ where, { .read = function } }), \
        RSRC_CONF, help),

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
    PLACE(TAKE_ARGV, take_argv, name, set_account, "<LLMuxProvider>", help)
#define SPECIAL(function, name, take, where, help, example) \
    PLACE(take, READ_##take, name, function, where, help)
#include "llmux/settings.def"
#undef REQUEST
#undef ACCOUNT
#undef SPECIAL
    { NULL }
};
