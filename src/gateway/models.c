/* models.c - the models that may be asked for, in the shape of each API. */

#include <string.h>
#include <strings.h>

#include <apr_strings.h>

#include "exchange.h"

#define JSON_TYPE "application/json"
#define LIST_MAX  (16u << 20)

static void member(llmux_jw_t *w, const char *name, const char *value)
{
    llmux_jw_key(w, name);
    llmux_jw_cstr(w, value);
}

/* ---- one model ------------------------------------------------------- */

/* Who owns it: the kind of the first provider that serves it. */
static const char *owner(const llmux_group_t *g)
{
    if (g->deployments->nelts == 0) {
        return "llmux";
    }
    return APR_ARRAY_IDX(g->deployments, 0,
                         llmux_deployment_t *)->provider->kind->name;
}

static void openai_model(llmux_jw_t *w, const llmux_exchange_t *x,
                         const llmux_group_t *g)
{
    llmux_jw_open(w, '{');
    member(w, "id", g->name);
    member(w, "object", "model");
    llmux_jw_key(w, "created");
    llmux_jw_int(w, x->service->created);
    member(w, "owned_by", owner(g));
    llmux_jw_close(w, '}');
}

/* RFC 3339, as Anthropic's SDKs parse it. */
static const char *created_at(const llmux_exchange_t *x)
{
    apr_time_exp_t t;

    apr_time_exp_gmt(&t, apr_time_from_sec(x->service->created));
    return apr_psprintf(x->pool, "%04d-%02d-%02dT%02d:%02d:%02dZ",
                        t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour,
                        t.tm_min, t.tm_sec);
}

static void anthropic_model(llmux_jw_t *w, const llmux_exchange_t *x,
                            const llmux_group_t *g)
{
    llmux_jw_open(w, '{');
    member(w, "type", "model");
    member(w, "id", g->name);
    member(w, "display_name", g->name);
    member(w, "created_at", created_at(x));
    llmux_jw_close(w, '}');
}

/* What a model is for is known by its name alone. */
static void gemini_model(llmux_jw_t *w, const llmux_exchange_t *x,
                         const llmux_group_t *g)
{
    static const char *const speaking[] = {
        "generateContent", "streamGenerateContent", "countTokens", NULL
    };
    static const char *const embedding[] = {
        "embedContent", "batchEmbedContents", "countTokens", NULL
    };
    const char *const *methods = strstr(g->name, "embed") ? embedding
                                                          : speaking;
    int i;

    llmux_jw_open(w, '{');
    member(w, "name", apr_pstrcat(x->pool, "models/", g->name, NULL));
    member(w, "displayName", g->name);
    llmux_jw_key(w, "supportedGenerationMethods");
    llmux_jw_open(w, '[');
    for (i = 0; methods[i]; i++) {
        llmux_jw_cstr(w, methods[i]);
    }
    llmux_jw_close(w, ']');
    llmux_jw_close(w, '}');
}

/* ---- all of them ----------------------------------------------------- */

static void openai_end(llmux_jw_t *w, const llmux_exchange_t *x)
{
    member(w, "object", "list");
}

/* All of them are on the first page. */
static void anthropic_end(llmux_jw_t *w, const llmux_exchange_t *x)
{
    const apr_array_header_t *all = x->service->groups;

    llmux_jw_key(w, "has_more");
    llmux_jw_bool(w, 0);
    if (all->nelts) {
        member(w, "first_id", APR_ARRAY_IDX(all, 0, llmux_group_t *)->name);
        member(w, "last_id", APR_ARRAY_IDX(all, all->nelts - 1,
                                           llmux_group_t *)->name);
    }
}

static void gemini_end(llmux_jw_t *w, const llmux_exchange_t *x)
{
}

typedef struct shape_t {
    const char *list;           /* the member that has them */
    void (*model)(llmux_jw_t *w, const llmux_exchange_t *x,
                  const llmux_group_t *g);
    void (*end)(llmux_jw_t *w, const llmux_exchange_t *x);
} shape_t;

static const shape_t openai_shape = { "data", openai_model, openai_end };
static const shape_t anthropic_shape = { "data", anthropic_model,
                                         anthropic_end };
static const shape_t gemini_shape = { "models", gemini_model, gemini_end };

/* OpenAI and Anthropic have one path; the second's clients say so. */
static const shape_t *shape_of(const llmux_exchange_t *x)
{
    if (x->dialect == &llmux_dialect_gemini) {
        return &gemini_shape;
    }
    return version_of(x) ? &anthropic_shape : &openai_shape;
}

const llmux_error_t *page_models(llmux_exchange_t *x)
{
    const apr_array_header_t *groups = x->service->groups;
    llmux_buf_t *out = llmux_buf_create(x->pool, LIST_MAX);
    const shape_t *shape = shape_of(x);
    llmux_jw_t w = llmux_jw(out);
    int i;

    llmux_jw_open(&w, '{');
    llmux_jw_key(&w, shape->list);
    llmux_jw_open(&w, '[');
    for (i = 0; i < groups->nelts; i++) {
        shape->model(&w, x, APR_ARRAY_IDX(groups, i, llmux_group_t *));
    }
    llmux_jw_close(&w, ']');
    shape->end(&w, x);
    llmux_jw_close(&w, '}');
    reply_page(x, 200, JSON_TYPE, llmux_buf_slice(out));
    return NULL;
}

/* A name may have slashes, which SDKs escape; httpd hands them on as they are
 * where AllowEncodedSlashes NoDecode lets it. */
const char *model_of_path(apr_pool_t *p, const char *s)
{
    char *out = apr_pstrdup(p, s), *to = out;

    while (*s) {
        if (!strncasecmp(s, "%2F", 3)) {
            *to++ = '/';
            s += 3;
        }
        else {
            *to++ = *s++;
        }
    }
    *to = '\0';
    return out;
}

const llmux_error_t *page_model(llmux_exchange_t *x)
{
    const char *name = model_of_path(x->pool, x->tail);
    const llmux_group_t *g = llmux_service_group(x->service,
                                                 llmux_slice(name));
    llmux_buf_t *out;
    llmux_jw_t w;

    if (!g) {
        return llmux_error(x->pool, LLMUX_ERR_MODEL, "model",
                           "The model '%.256s' does not exist.", name);
    }
    out = llmux_buf_create(x->pool, LIST_MAX);
    w = llmux_jw(out);
    shape_of(x)->model(&w, x, g);
    reply_page(x, 200, JSON_TYPE, llmux_buf_slice(out));
    return NULL;
}
