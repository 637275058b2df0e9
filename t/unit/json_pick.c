/* json_pick.c - members picked without an index: what is taken, what is left
 * to the parser, and what the values are. */

#include <stdlib.h>
#include <apr_strings.h>

#include "llmux/core.h"
#include "tap.h"

static apr_pool_t *pool;

/* ---- what is picked -------------------------------------------------- */

enum { ID, NAME, LIST, TREE, DEEP, TWELVE, TWENTY, LONG, SLOTS };

#define ANY  0xffu
#define TEXT (1u << LLMUX_JSON_STRING | 1u << LLMUX_JSON_NULL)

static const llmux_json_pick_t tree[] = {
    { LLMUX_JSON_PICK("deep", DEEP), ANY, NULL },
    LLMUX_JSON_PICK_END
};

static const llmux_json_pick_t top[] = {
    { LLMUX_JSON_PICK("id", ID), ANY, NULL },
    { LLMUX_JSON_PICK("name", NAME), TEXT, NULL },
    { LLMUX_JSON_PICK("list", LIST),
      1u << LLMUX_JSON_ARRAY | LLMUX_JSON_PICK_EMPTY, tree },
    { LLMUX_JSON_PICK("tree", TREE), 1u << LLMUX_JSON_OBJECT, tree },
    { LLMUX_JSON_PICK("twelve_chars", TWELVE), ANY, NULL },
    { LLMUX_JSON_PICK("twenty_chars_in_name", TWENTY), ANY, NULL },
    { LLMUX_JSON_PICK("a_name_of_more_than_24_characters", LONG), ANY, NULL },
    LLMUX_JSON_PICK_END
};

/* In memory of its own, for the sanitizers' sake; and where braces follow,
 * which must make no difference. */
static int pick_both(const char *text, apr_size_t len, llmux_json_t *slots)
{
    char *copy = malloc(len + !len);
    llmux_slice_t s = { apr_pstrcat(pool, text, "}}", NULL), len };
    int yes = llmux_json_pick(s, top, slots, SLOTS), again;

    memcpy(copy, text, len);
    s.data = copy;
    again = llmux_json_pick(s, top, slots, SLOTS);
    free(copy);
    s.data = apr_pmemdup(pool, text, len + 1);
    return again == yes && llmux_json_pick(s, top, slots, SLOTS) == yes
        ? yes : -1;
}

/* With ' for ". */
static int pick(const char *text, llmux_json_t *slots)
{
    char *copy = apr_pstrdup(pool, text), *c;

    for (c = copy; *c; c++) {
        *c = *c == '\'' ? '"' : *c;
    }
    return pick_both(copy, strlen(copy), slots);
}

/* ---- yes or no ------------------------------------------------------- */

#define TEN "[[[[[[[[[["
#define NET "]]]]]]]]]]"
#define NINETY TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define YTENIN NET NET NET NET NET NET NET NET NET

static const struct {
    const char *name, *text;
    int yes;
} verdicts[] = {
    { "an empty object", "{}", 1 },
    { "space around everything",
      " \r\n{ 'id' :\t1 , 'list' : [ { 'deep' : [ ] } ] } \n", 1 },
    { "members nobody asked for", "{'x':{'y':[1,{'z':[]},-0.5e+7]},'id':1}",
      1 },
    { "numbers", "{'x':[0,-0,10,0.5,1e9,1E-9,1.25e+9]}", 1 },
    { "words", "{'x':[true,false,null]}", 1 },
    { "escapes", "{'x':'\\b\\f\\n\\r\\t\\/\\\\\\u00e9\\uD83D\\ude00'}", 1 },
    { "characters of each length",
      "{'id':'\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80','x':'\xf4\x8f\xbf\xbf'}",
      1 },
    { "a brace in a string", "{'id':'}'}", 1 },
    { "a hundred levels", "{'x':" NINETY "[[[[[[[[[]]]]]]]]]" YTENIN "}", 1 },

    { "a hundred and one", "{'x':" NINETY "[[[[[[[[[[]]]]]]]]]]" YTENIN "}",
      0 },
    { "nothing", "", 0 },
    { "space", " \n", 0 },
    { "an array", "[{'id':1}]", 0 },
    { "a string", "'}", 0 },
    { "a lone brace", "}", 0 },
    { "two values", "{'id':1}{}", 0 },
    { "two values with space", "{'id':1} {}", 0 },
    { "a brace too many", "{'id':1}}", 0 },
    { "a brace too few", "{'x':{'id':1}", 0 },
    { "a brace too few, wanted", "{'tree':{'deep':1}", 0 },
    { "a brace too few, empty", "{'x':{}", 0 },
    { "a bracket too few", "{'x':[1}", 0 },
    { "a bracket too few, wanted", "{'list':[{'deep':1}}", 0 },
    { "the wrong bracket", "{'x':[1},'y':2]}", 0 },
    { "a comma at the end", "{'id':1,}", 0 },
    { "a comma alone", "{,}", 0 },
    { "a comma at the end of an array", "{'x':[1,]}", 0 },
    { "no comma", "{'id':1 'x':2}", 0 },
    { "no colon", "{'id' 1}", 0 },
    { "no value", "{'id':}", 0 },
    { "no name", "{1:1}", 0 },
    { "no quotes", "{id:1}", 0 },
    { "no end of a string", "{'id':'}", 0 },
    { "no end of an escape", "{'id':'\\}", 0 },
    { "no end of a long escape", "{'id':'\\u00}", 0 },
    { "no end of a word", "{'id':nul}", 0 },
    { "no end of a character", "{'id':'\xe2\x82}", 0 },
    { "a wrong escape", "{'id':'\\x'}", 0 },
    { "a wrong digit of an escape", "{'id':'\\u00g0'}", 0 },
    { "a control character", "{'id':'\n'}", 0 },
    { "an overlong character", "{'id':'\xc0\x80'}", 0 },
    { "a surrogate", "{'x':'\xed\xa0\x80'}", 0 },
    { "beyond Unicode", "{'x':'\xf4\x90\x80\x80'}", 0 },
    { "a leading zero", "{'id':01}", 0 },
    { "a plus", "{'id':+1}", 0 },
    { "a minus alone", "{'id':-}", 0 },
    { "a point without digits", "{'id':1.}", 0 },
    { "a point first", "{'id':.5}", 0 },
    { "an exponent without digits", "{'id':1e}", 0 },
    { "a word too long", "{'id':truex}", 0 },
    { "NaN", "{'id':NaN}", 0 },

    { "a member twice", "{'id':1,'id':1}", 0 },
    { "one in two places", "{'list':[{'deep':1}],'tree':{'deep':1}}", 0 },
    { "one nobody asked for twice", "{'x':1,'x':2}", 1 },
    { "a name with escapes", "{'\\u0069d':1}", 0 },
    { "... in an object that is wanted", "{'tree':{'d\\u0065ep':1}}", 0 },
    { "... in one that is not", "{'x':{'\\u0069d':1}}", 1 },
    { "another kind", "{'name':1}", 0 },
    { "null for a text", "{'name':null}", 1 },
    { "an array for an object", "{'tree':[{}]}", 0 },
    { "an object for an array", "{'list':{}}", 0 },
    { "an empty array", "{'list':[]}", 1 },
    { "an empty array with space in it", "{'list':[ ]}", 0 },
    { "two objects in an array", "{'list':[{},{}]}", 0 },
    { "something else in an array", "{'list':[1]}", 0 },
    { "a long name", "{'a_name_of_more_than_24_characters':1,'id':2}", 1 }
};

static void verdict(void)
{
    llmux_json_t slots[SLOTS];
    unsigned int i;

    for (i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
        ok(pick(verdicts[i].text, slots) == verdicts[i].yes, "%s: %s",
           verdicts[i].name, verdicts[i].yes ? "taken" : "not taken");
    }
}

/* ---- values ---------------------------------------------------------- */

static const char *raw(const llmux_json_t *v)
{
    return llmux_slice_str(pool, llmux_json_raw(v));
}

static void values(void)
{
    llmux_json_t v[SLOTS];

    ok(pick("{'a_name_of_more_than_24_characters':[1, 2],'zz':{},"
            "'list':[ {'deep':-12} ],'name':'a\\n','id':true}", v),
       "members in any order");
    is_str(raw(&v[LONG]), "[1, 2]", "... a container as it stands");
    is_str(raw(&v[LIST]), "[ {\"deep\":-12} ]", "... also if it was entered");
    is_int(llmux_json_int(&v[DEEP], 0), -12, "... a number");
    is_str(llmux_json_cstr(pool, &v[NAME]), "a\n", "... a string, decoded");
    is_int(llmux_json_bool(&v[ID]), LLMUX_YES, "... a boolean");
    is_int(llmux_json_kind(&v[TREE]), LLMUX_JSON_NONE, "... and none");
    is_int(llmux_json_count(&v[LIST]), 0, "containers have no children");
}

/* One differs at its end, one in its middle, one before its end. */
static void other_names(void)
{
    static const char *const names[] = {
        "i", "ix", "xd", "ids", "nama", "name_", "twelve_charz",
        "twelve_xhars", "xwelve_chars", "twenty_chars_xn_name",
        "twenty_chxrs_in_name", "twenty_chars_in_nam",
        "a_name_of_more_thxn_24_characters", "list]", "tree{"
    };
    llmux_json_t v[SLOTS];
    unsigned int i;
    int k, picked;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        picked = !pick(apr_psprintf(pool, "{'%s':1}", names[i]), v);
        for (k = 0; k < SLOTS; k++) {
            picked |= v[k].kind != LLMUX_JSON_NONE;
        }
        ok(!picked, "\"%s\" is nobody's name", names[i]);
    }
}

static void too_long(void)
{
    apr_size_t len = LLMUX_JSON_NODES_MAX + 1;
    char *text = malloc(len);
    llmux_slice_t s = { text, len };
    llmux_json_t slots[SLOTS];

    memset(text, ' ', len);
    memcpy(text, "{}", 2);
    ok(!llmux_json_pick(s, top, slots, SLOTS),
       "a text that may hold too many values is not taken");
    s.len--;
    ok(llmux_json_pick(s, top, slots, SLOTS), "one byte less is");
    s.data = NULL;
    s.len = 0;
    ok(!llmux_json_pick(s, top, slots, SLOTS), "an absent one is not");
    free(text);
}

int main(void)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    verdict();
    values();
    other_names();
    too_long();
    apr_pool_destroy(pool);
    return tap_done();
}
