/* warning.c - what the target cannot say, collected and told. */

#include "llmux/core.h"

#include <string.h>

#include <apr_hash.h>
#include <apr_strings.h>

/* The header has no room for more: each takes a letter and a comma. */
#define FIELDS_MAX (LLMUX_WARNINGS_MAX / 2)
#define KINDS      3

/* In the order of llmux_warn_e, which is the header's too. */
static const char *const kind_names[KINDS] = { "drop", "approx", "emulate" };

struct llmux_warnings_t {
    apr_pool_t *parent;
    apr_pool_t *pool;                       /* ours; NULL = none yet */
    int refuse;
    apr_hash_t *seen;
    apr_array_header_t *fields[KINDS];      /* const char * */
};

/* Most requests have none. */
static void begin(llmux_warnings_t *w)
{
    int i;

    if (!w->pool) {
        apr_pool_create(&w->pool, w->parent);
    }
    w->seen = apr_hash_make(w->pool);
    for (i = 0; i < KINDS; i++) {
        w->fields[i] = apr_array_make(w->pool, 4, sizeof(const char *));
    }
}

llmux_warnings_t *llmux_warnings_create(apr_pool_t *p, int refuse)
{
    llmux_warnings_t *w = apr_pcalloc(p, sizeof(*w));

    w->parent = p;
    w->refuse = refuse;
    return w;
}

/* A client's own member name may arrive here: whatever would break the
 * header or its grammar becomes a question mark. */
static void tame(char out[LLMUX_WARNING_FIELD_MAX + 1], const char *field)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_-.[]$/:*";
    char *c;

    apr_cpystrn(out, field, LLMUX_WARNING_FIELD_MAX + 1);
    for (c = out; *c; c++) {
        if (!strchr(plain, *c)) {
            *c = '?';
        }
    }
}

void llmux_warn(llmux_warnings_t *w, llmux_warn_e kind, const char *field)
{
    char name[LLMUX_WARNING_FIELD_MAX + 1];
    const char *kept;

    if (!w || !field || !*field || (unsigned)kind >= KINDS) {
        return;
    }
    if (!w->seen) {
        begin(w);
    }
    if (w->fields[kind]->nelts >= FIELDS_MAX) {
        return;
    }
    tame(name, field);
    if (!apr_hash_get(w->seen, name, APR_HASH_KEY_STRING)) {
        kept = apr_pstrdup(w->pool, name);
        apr_hash_set(w->seen, kept, APR_HASH_KEY_STRING, kept);
        APR_ARRAY_PUSH(w->fields[kind], const char *) = kept;
    }
}

/* Appends "kind=" or "," or "; kind=", and the field, if all of it fits. */
static int add_field(char *out, apr_size_t *len, int kind, int first,
                     const char *field)
{
    const char *group = first ? kind_names[kind] : "";
    const char *before = first && *len ? "; " : "";
    const char *after = first ? "=" : ",";
    apr_size_t more = strlen(before) + strlen(group) + 1 + strlen(field);

    if (more > LLMUX_WARNINGS_MAX - *len) {
        return 0;
    }
    apr_snprintf(out + *len, LLMUX_WARNINGS_MAX + 1 - *len, "%s%s%s%s", before,
                 group, after, field);
    *len += more;
    return 1;
}

const char *llmux_warnings_header(apr_pool_t *p, const llmux_warnings_t *w)
{
    char out[LLMUX_WARNINGS_MAX + 1];
    apr_size_t len = 0;
    int kind, i;

    for (kind = 0; w && w->seen && kind < KINDS; kind++) {
        for (i = 0; i < w->fields[kind]->nelts; i++) {
            const char *f = APR_ARRAY_IDX(w->fields[kind], i, const char *);

            if (!add_field(out, &len, kind, i == 0, f)) {
                return apr_pstrmemdup(p, out, len);
            }
        }
    }
    return len ? apr_pstrmemdup(p, out, len) : NULL;
}

/* "seed, logit_bias", and how many more when that gets too long. */
static const char *listed(apr_pool_t *p, const apr_array_header_t *fields)
{
    llmux_buf_t *out = llmux_buf_create(p, 2 * LLMUX_MESSAGE_MAX);
    int i;

    for (i = 0; i < fields->nelts; i++) {
        if (out->len > LLMUX_MESSAGE_MAX - LLMUX_WARNING_FIELD_MAX) {
            llmux_buf_addf(out, " and %d more", fields->nelts - i);
            break;
        }
        llmux_buf_adds(out, i ? ", " : "");
        llmux_buf_adds(out, APR_ARRAY_IDX(fields, i, const char *));
    }
    return llmux_slice_str(p, llmux_buf_slice(out));
}

const llmux_error_t *llmux_warnings_refusal(apr_pool_t *p,
                                            const llmux_warnings_t *w,
                                            const char *target)
{
    const apr_array_header_t *dropped = w ? w->fields[LLMUX_WARN_DROP] : NULL;

    if (!dropped || !w->refuse || !dropped->nelts) {
        return NULL;
    }
    return llmux_error(p, LLMUX_ERR_UNSUPPORTED,
                       apr_pstrdup(p, APR_ARRAY_IDX(dropped, 0, const char *)),
                       "%s does not support %s: leave out what it does not "
                       "support, or choose another model.",
                       target ? target : "The target", listed(p, dropped));
}

void llmux_warnings_clear(llmux_warnings_t *w)
{
    if (w->seen) {
        apr_pool_clear(w->pool);
        begin(w);
    }
}
