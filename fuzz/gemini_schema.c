/* gemini_schema.c - fuzzes the conversion of JSON Schema into what Gemini's
 * old models take. Whatever comes out has nothing in it that they refuse.
 *
 * covers: src/dialect/gemini_schema.c
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>

#include "dialect/gemini.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) ((cond) ? (void)0 : abort())

static void check_schema(apr_pool_t *p, const llmux_json_t *v);

static void check_type(apr_pool_t *p, const llmux_json_t *v)
{
    static const char *const types[] = {
        "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT"
    };
    size_t i, found = 0;

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        found += llmux_json_is(v, types[i]) != 0;
    }
    MUST(found == 1);
}

static void check_list(apr_pool_t *p, const llmux_json_t *v)
{
    const llmux_json_t *e;

    MUST(llmux_json_kind(v) == LLMUX_JSON_ARRAY && llmux_json_count(v));
    for (e = llmux_json_first(v); e; e = llmux_json_next(v, e)) {
        check_schema(p, e);
    }
}

static void check_properties(apr_pool_t *p, const llmux_json_t *v)
{
    const llmux_json_t *m;

    MUST(llmux_json_kind(v) == LLMUX_JSON_OBJECT && llmux_json_count(v));
    for (m = llmux_json_first(v); m; m = llmux_json_next_member(v, m)) {
        check_schema(p, llmux_json_value(m));
    }
}

/* Empty strings are refused, and so is an empty list. */
static void check_enum(apr_pool_t *p, const llmux_json_t *v)
{
    const llmux_json_t *e;

    MUST(llmux_json_kind(v) == LLMUX_JSON_ARRAY && llmux_json_count(v));
    for (e = llmux_json_first(v); e; e = llmux_json_next(v, e)) {
        MUST(llmux_json_str(p, e).len > 0);
    }
}

static void check_strings(apr_pool_t *p, const llmux_json_t *v)
{
    const llmux_json_t *e;

    MUST(llmux_json_kind(v) == LLMUX_JSON_ARRAY && llmux_json_count(v));
    for (e = llmux_json_first(v); e; e = llmux_json_next(v, e)) {
        MUST(llmux_json_kind(e) == LLMUX_JSON_STRING);
    }
}

static void check_string(apr_pool_t *p, const llmux_json_t *v)
{
    MUST(llmux_json_kind(v) == LLMUX_JSON_STRING);
}

static void check_number(apr_pool_t *p, const llmux_json_t *v)
{
    MUST(llmux_json_kind(v) == LLMUX_JSON_NUMBER);
}

static void check_bool(apr_pool_t *p, const llmux_json_t *v)
{
    MUST(llmux_json_kind(v) == LLMUX_JSON_BOOL);
}

/* All that Schema has of what we make. */
static const struct {
    const char *name;
    void (*check)(apr_pool_t *p, const llmux_json_t *v);
} members[] = {
    { "type",          check_type       },
    { "format",        check_string     },
    { "title",         check_string     },
    { "description",   check_string     },
    { "nullable",      check_bool       },
    { "enum",          check_enum       },
    { "properties",    check_properties },
    { "required",      check_strings    },
    { "minProperties", check_number     },
    { "maxProperties", check_number     },
    { "items",         check_schema     },
    { "minItems",      check_number     },
    { "maxItems",      check_number     },
    { "minimum",       check_number     },
    { "maximum",       check_number     },
    { "minLength",     check_number     },
    { "maxLength",     check_number     },
    { "pattern",       check_string     },
    { "anyOf",         check_list       }
};

static void check_member(apr_pool_t *p, const llmux_json_t *m)
{
    size_t i = 0;

    while (!llmux_json_is(m, members[i].name)) {
        i++;
        MUST(i < sizeof(members) / sizeof(members[0]));
    }
    members[i].check(p, llmux_json_value(m));
}

/* Either anyOf, which stands alone, or a type. */
static void check_schema(apr_pool_t *p, const llmux_json_t *v)
{
    const llmux_json_t *m;

    MUST(llmux_json_kind(v) == LLMUX_JSON_OBJECT);
    MUST(llmux_json_get(v, "anyOf") ? llmux_json_count(v) == 1
                                    : llmux_json_get(v, "type") != NULL);
    for (m = llmux_json_first(v); m; m = llmux_json_next_member(v, m)) {
        check_member(p, m);
    }
}

static void fuzz(apr_pool_t *p, llmux_slice_t text)
{
    llmux_slice_t out = { NULL, 0 };
    const llmux_json_t *v;
    int nodes = 0;
    const char *why;

    /* As from a client: no schema that is no JSON comes so far. */
    if (!llmux_json_parse(p, text, 0, NULL)) {
        return;
    }
    why = llmux_gemini_schema(p, text, &nodes, &out);
    MUST(nodes >= 0 && nodes <= LLMUX_SCHEMA_NODES_MAX);
    if (why) {
        MUST(*why && !out.data);
        return;
    }
    v = llmux_json_parse(p, out, 0, NULL);
    MUST(v != NULL);
    check_schema(p, v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *root;
    llmux_slice_t text = { NULL, size };
    char *copy = malloc(size ? size : 1);
    apr_pool_t *p;

    if (!root) {
        apr_initialize();
        apr_pool_create(&root, NULL);
    }
    apr_pool_create(&p, root);
    if (copy && size) {
        memcpy(copy, data, size);
        text.data = copy;
        fuzz(p, text);
    }
    free(copy);
    apr_pool_destroy(p);
    return 0;
}
