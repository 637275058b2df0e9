/* config_model.c - directives inside <LLMuxModel>. */

#include "config.h"

#include <apr_lib.h>
#include <apr_strings.h>

static const char *read_weight(cmd_parms *cmd, const char *text, int *weight)
{
    apr_int64_t n = -1;
    char *end = NULL;

    if (apr_isdigit(*text)) {
        n = apr_strtoi64(text, &end, 10);
    }
    if (n < 1 || n > 10000 || *end) {
        return config_complain(cmd, text, "a weight is a whole number from 1 "
                               "to 10000");
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
        return config_complain(cmd, word, "a stray quote: write \"tags=a b\" "
                               "with the quotes around the whole word");
    }
    if (!strncasecmp(word, "weight=", 7)) {
        return read_weight(cmd, word + 7, &line->weight);
    }
    if (!strncasecmp(word, "tags=", 5)) {
        read_tags(cmd->pool, word + 5, line->tags);
        return NULL;
    }
    return config_complain(cmd, word, "it must be weight=N or tags=a,b");
}

const char *set_deployment(cmd_parms *cmd, void *section, int argc,
                           char *const argv[])
{
    model_section_t *sec = section;
    deployment_line_t *line;
    const char *why = NULL;
    int i;

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
    return why ? why : config_name_refused(argv[1]);
}

const char *set_fallback(cmd_parms *cmd, void *section, const char *arg)
{
    model_section_t *sec = section;

    APR_ARRAY_PUSH(sec->fallbacks, const char *) = arg;
    return NULL;
}

const char *set_strategy(cmd_parms *cmd, void *section, const char *arg)
{
    if (strcasecmp(arg, "weighted-shuffle")
        && strcasecmp(arg, "simple-shuffle")) {
        return config_complain(cmd, arg,
                               "the strategy must be weighted-shuffle");
    }
    return NULL;
}
