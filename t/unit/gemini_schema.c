/* gemini_schema.c - JSON Schema becomes the subset that old models take. */

#include "tap.h"

#include "dialect/gemini.h"

static const struct { const char *name, *schema, *want; } cases[] = {
    { "types and what belongs to them",
      "{\"$schema\":\"x\",\"type\":\"object\",\"properties\":{"
      "\"s\":{\"type\":\"string\",\"minLength\":1,\"pattern\":\"^a\","
      "\"format\":\"uri\",\"description\":\"d\"},"
      "\"t\":{\"type\":\"string\",\"format\":\"date-time\"},"
      "\"i\":{\"type\":\"integer\",\"exclusiveMinimum\":3,\"maximum\":9},"
      "\"n\":{\"type\":\"number\",\"exclusiveMaximum\":1.50},"
      "\"a\":{\"type\":\"array\",\"items\":{\"type\":\"boolean\"},"
      "\"maxItems\":2,\"uniqueItems\":true},"
      "\"any\":{},\"yes\":true},"
      "\"required\":[\"s\",\"gone\"],\"additionalProperties\":false}",
      "{\"type\":\"OBJECT\",\"properties\":{"
      "\"s\":{\"type\":\"STRING\",\"description\":\"d\",\"minLength\":1,"
      "\"pattern\":\"^a\"},"
      "\"t\":{\"type\":\"STRING\",\"format\":\"date-time\"},"
      "\"i\":{\"type\":\"INTEGER\",\"minimum\":4,\"maximum\":9},"
      "\"n\":{\"type\":\"NUMBER\",\"maximum\":1.50},"
      "\"a\":{\"type\":\"ARRAY\",\"items\":{\"type\":\"BOOLEAN\"},"
      "\"maxItems\":2},"
      "\"any\":{\"type\":\"STRING\"},\"yes\":{\"type\":\"STRING\"}},"
      "\"required\":[\"s\"]}" },
    { "null among the types",
      "{\"type\":[\"null\",\"string\"]}",
      "{\"type\":\"STRING\",\"nullable\":true}" },
    { "several types",
      "{\"type\":[\"string\",\"integer\",\"null\"],\"description\":\"d\"}",
      "{\"anyOf\":[{\"type\":\"STRING\",\"description\":\"d\","
      "\"nullable\":true},{\"type\":\"INTEGER\",\"description\":\"d\","
      "\"nullable\":true}]}" },
    { "const",
      "{\"const\":\"a\"}", "{\"type\":\"STRING\",\"enum\":[\"a\"]}" },
    { "an enum of other things than strings",
      "{\"type\":\"integer\",\"enum\":[1,2.50,true,null,\"\"]}",
      "{\"type\":\"STRING\",\"enum\":[\"1\",\"2.50\",\"true\"],"
      "\"nullable\":true}" },
    { "oneOf with null",
      "{\"description\":\"d\",\"oneOf\":[{\"type\":\"null\"},"
      "{\"type\":\"number\"}]}",
      "{\"type\":\"NUMBER\",\"nullable\":true,\"description\":\"d\"}" },
    { "anyOf stands alone",
      "{\"title\":\"t\",\"anyOf\":[{\"type\":\"string\"},"
      "{\"type\":\"number\"}]}",
      "{\"anyOf\":[{\"type\":\"STRING\"},{\"type\":\"NUMBER\"}]}" },
    { "anyOf beside properties only refines them",
      "{\"properties\":{\"a\":{\"type\":\"string\"}},\"anyOf\":["
      "{\"required\":[\"a\"]}]}",
      "{\"type\":\"OBJECT\",\"properties\":{\"a\":{\"type\":\"STRING\"}}}" },
    { "allOf is joined",
      "{\"allOf\":[{\"$ref\":\"#/$defs/A\"},{\"properties\":{\"b\":{\"type\":"
      "\"string\"}},\"required\":[\"b\"]}],\"$defs\":{\"A\":{\"type\":"
      "\"object\",\"properties\":{\"a\":{\"type\":\"string\"}},"
      "\"required\":[\"a\"]}}}",
      "{\"type\":\"OBJECT\",\"properties\":{\"a\":{\"type\":\"STRING\"},"
      "\"b\":{\"type\":\"STRING\"}},\"required\":[\"a\",\"b\"]}" },
    { "variants in an allOf stand alone",
      "{\"allOf\":[{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"number\"}]}],"
      "\"description\":\"d\"}",
      "{\"anyOf\":[{\"type\":\"STRING\"},{\"type\":\"NUMBER\"}]}" },
    { "and beside a type they go",
      "{\"allOf\":[{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"number\"}]},"
      "{\"type\":\"string\",\"maxLength\":3}],\"description\":\"d\"}",
      "{\"type\":\"STRING\",\"maxLength\":3,\"description\":\"d\"}" },
    { "a $ref is written out, its own description wins",
      "{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/a~1b\","
      "\"description\":\"mine\"},\"$defs\":{\"a/b\":{\"type\":\"string\","
      "\"description\":\"theirs\"}}}",
      "{\"type\":\"ARRAY\",\"items\":{\"type\":\"STRING\","
      "\"description\":\"mine\"}}" },
    { "a $ref into itself ends",
      "{\"$ref\":\"#/$defs/N\",\"$defs\":{\"N\":{\"type\":\"object\","
      "\"properties\":{\"next\":{\"$ref\":\"#/$defs/N\"}}}}}",
      "{\"type\":\"OBJECT\",\"properties\":{\"next\":{\"type\":\"OBJECT\"}}}"
    },
    { "a tuple and an array of anything",
      "{\"properties\":{\"t\":{\"prefixItems\":[{\"type\":\"integer\"}]},"
      "\"u\":{\"type\":\"array\"}}}",
      "{\"type\":\"OBJECT\",\"properties\":{\"t\":{\"type\":\"ARRAY\","
      "\"items\":{\"type\":\"INTEGER\"}},\"u\":{\"type\":\"ARRAY\","
      "\"items\":{\"type\":\"STRING\"}}}}" },
    { "an object of nothing in particular",
      "{\"type\":\"object\",\"properties\":{}}", "{\"type\":\"OBJECT\"}" }
};

static const char *why(apr_pool_t *p, const char *schema)
{
    llmux_slice_t out;
    int nodes = 0;

    return llmux_gemini_schema(p, llmux_slice(schema), &nodes, &out);
}

/* Each definition names the next one eight times: 8^8 nodes from 1 kB. */
static const char *bomb(apr_pool_t *p)
{
    llmux_buf_t *b = llmux_buf_create(p, 65536);
    int i, k;

    llmux_buf_adds(b, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{");
    for (i = 0; i < 8; i++) {
        llmux_buf_addf(b, "%s\"d%d\":{\"anyOf\":[", i ? "," : "", i);
        for (k = 0; k < 8; k++) {
            llmux_buf_addf(b, "%s{\"$ref\":\"#/$defs/d%d\"}", k ? "," : "",
                           i + 1);
        }
        llmux_buf_adds(b, "]}");
    }
    llmux_buf_adds(b, ",\"d8\":{\"type\":\"string\"}}}");
    return b->data;
}

/* One long description, named by many. */
static const char *wordy(apr_pool_t *p)
{
    llmux_buf_t *b = llmux_buf_create(p, 1 << 20);
    int i;

    llmux_buf_adds(b, "{\"$defs\":{\"d\":{\"description\":\"");
    for (i = 0; i < 10000; i++) {
        llmux_buf_adds(b, "word ");
    }
    llmux_buf_adds(b, "\"}},\"properties\":{");
    for (i = 0; i < 200; i++) {
        llmux_buf_addf(b, "%s\"p%d\":{\"$ref\":\"#/$defs/d\"}", i ? "," : "",
                       i);
    }
    llmux_buf_adds(b, "}}");
    return b->data;
}

/* Many values in few bytes. */
static const char *crowd(apr_pool_t *p)
{
    llmux_buf_t *b = llmux_buf_create(p, 1 << 20);
    int i;

    llmux_buf_adds(b, "{\"enum\":[{}");
    for (i = 0; i < 100000; i++) {
        llmux_buf_adds(b, ",{}");
    }
    llmux_buf_adds(b, "]}");
    return b->data;
}

int main(void)
{
    apr_pool_t *p;
    llmux_slice_t out;
    apr_size_t i;
    int nodes;

    apr_initialize();
    apr_pool_create(&p, NULL);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        nodes = 0;
        out.data = NULL;
        is_str(llmux_gemini_schema(p, llmux_slice(cases[i].schema), &nodes,
                                   &out), NULL, "can be said");
        is_str(out.data, cases[i].want, cases[i].name);
    }
    is_str(why(p, "{\"$ref\":\"#/$defs/x\"}"),
           "has a $ref that leads nowhere inside the schema",
           "a $ref to nothing");
    is_str(why(p, "{\"$ref\":\"https://e.x/s.json\"}"),
           "has a $ref that leads nowhere inside the schema",
           "a $ref to elsewhere");
    is_str(why(p, "[]"), "is not a JSON object", "no object");
    is_str(why(p, bomb(p)),
           "becomes too large when its $refs are written out",
           "a bomb of $refs");
    is_str(why(p, crowd(p)), "is too large", "a crowd of values");
    is_str(why(p, wordy(p)),
           "becomes too large when its $refs are written out",
           "a bomb of words");
    apr_pool_destroy(p);
    return tap_done();
}
