/* directives.c - prints docs/directives.md from settings.def, the same table
 * from which the module makes its parsers. */

#include <stdio.h>
#include <string.h>

typedef enum { WORD, SIZE, TIME, COUNT, LIST, OTHER } kind_e;
typedef enum { TAKE1, TAKE2, TAKE23, ITERATE, TAKE_ARGV } take_e;

typedef struct {
    const char *name, *where;
    kind_e kind;
    take_e take;
    const char *preset;         /* NULL = none */
    long long low, high;
    const char *words, *help, *example;
} row_t;

#define ANYWHERE "server, virtual host, `<Location>`"

static const row_t rows[] = {
#define REQUEST(member, name, kind, preset, low, high, words, help, example) \
    { name, ANYWHERE, kind, TAKE1, preset, low, high, words, help, example },
#define ACCOUNT(member, name, kind, preset, low, high, words, help, example) \
    { name, "<LLMuxProvider>", kind, TAKE1, preset, low, high, words, help, \
      example },
#define SPECIAL(function, name, take, where, help, example) \
    { name, where, OTHER, take, NULL, 0, 0, NULL, help, example },
#include "llmux/settings.def"
};

static const struct { const char *name, *title, *url; } kinds[] = {
#define X(name, title, url, dialect, address, auth, abilities) \
    { name, title, url },
#include "llmux/providers.def"
};

/* Sections of the page, and whose rows they show. */
static const struct { const char *title, *where, *text; } parts[] = {
    { "For requests", ANYWHERE,
      "In the server, in a virtual host or in a `<Location>`; the inner one "
      "wins." },
    { "For the server", "server",
      "Outside of all sections." },
    { "For a provider", "<LLMuxProvider>",
      "Inside `<LLMuxProvider NAME>`, in the server or a virtual host. The "
      "name is yours; when it is a kind's (below), `LLMuxType` can be left "
      "out. A virtual host sees the server's providers and may add its own; "
      "one of the same name replaces the server's." },
    { "For a model", "<LLMuxModel>",
      "Inside `<LLMuxModel NAME>`, in the server or a virtual host. The name "
      "is what clients ask for." }
};

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

static const char *placeholder(const row_t *r)
{
    static const char *const of_kind[] = {
        NULL, "*size*", "*time*", "*number*", "*word* ...", NULL
    };
    static const char *const of_take[] = {
        "*value*", "*name* *value*", "*value* *value* [*value*]",
        "*word* ...", "*word* ..."
    };

    return r->kind == OTHER ? of_take[r->take] : of_kind[r->kind];
}

/* "off|key|open" as `off`, `key`, `open`. */
static void print_words(const char *words, const char *between)
{
    for (; *words; words++) {
        if (*words == '|') {
            printf("%s", between);
        }
        else {
            putchar(*words);
        }
    }
}

typedef struct {
    long long size;
    const char *name;
} unit_t;

/* The largest unit that leaves a whole number. */
static void print_in(const unit_t *unit, long long n)
{
    if (!n) {
        printf("`0`");
        return;
    }
    while (unit[1].name && (n < unit->size || n % unit->size)) {
        unit++;
    }
    printf("`%lld%s`", n / unit->size, unit->name);
}

static void print_bound(const row_t *r, long long n)
{
    static const unit_t times[] = {
        { 3600000000LL, "h" }, { 60000000LL, "m" }, { 1000000LL, "s" },
        { 1000LL, "ms" }, { 0, NULL }
    };
    static const unit_t sizes[] = {
        { 1LL << 30, "G" }, { 1LL << 20, "M" }, { 1LL << 10, "K" }, { 1LL, "" },
        { 0, NULL }
    };
    static const unit_t counts[] = { { 1LL, "" }, { 0, NULL } };

    print_in(r->kind == TIME ? times : r->kind == SIZE ? sizes : counts, n);
}

static void print_syntax(const row_t *r)
{
    printf("- Syntax: `%s` ", r->name);
    if (r->kind == WORD) {
        printf("`");
        print_words(r->words, "` or `");
        printf("`\n");
    }
    else {
        printf("%s\n", placeholder(r));
    }
    if (r->preset && *r->preset) {
        printf("- Default: `%s`\n", r->preset);
    }
    else if (r->preset) {
        printf("- Default: none\n");
    }
    if (r->low < r->high && r->kind != WORD) {
        printf("- From ");
        print_bound(r, r->low);
        printf(" to ");
        print_bound(r, r->high);
        printf("\n");
    }
}

static void print_row(const row_t *r)
{
    size_t len = strlen(r->help);

    printf("\n### %s\n\n%s%s\n\n", r->name, r->help,
           len && r->help[len - 1] == '.' ? "" : ".");
    print_syntax(r);
    printf("\n```apache\n%s\n```\n", r->example);
}

static void print_anchor(const char *name)
{
    for (; *name; name++) {
        putchar(*name >= 'A' && *name <= 'Z' ? *name - 'A' + 'a' : *name);
    }
}

static void print_index(void)
{
    size_t i;

    printf("| directive | where | default |\n|---|---|---|\n");
    for (i = 0; i < COUNT_OF(rows); i++) {
        const char *code = rows[i].where[0] == '<' ? "`" : "";

        printf("| [%s](#", rows[i].name);
        print_anchor(rows[i].name);
        printf(") | %s%s%s | %s |\n", code, rows[i].where, code,
               rows[i].preset && *rows[i].preset ? rows[i].preset : "");
    }
}

static void print_parts(void)
{
    size_t i, j;

    for (i = 0; i < COUNT_OF(parts); i++) {
        printf("\n## %s\n\n%s\n", parts[i].title, parts[i].text);
        for (j = 0; j < COUNT_OF(rows); j++) {
            if (!strcmp(rows[j].where, parts[i].where)) {
                print_row(&rows[j]);
            }
        }
    }
}

static void print_kinds(void)
{
    size_t i;

    printf("\n## Kinds of providers\n\n"
           "What `LLMuxType` takes. Where no address stands, `LLMuxBaseURL` "
           "must say it.\n\n"
           "| kind | provider | base URL |\n|---|---|---|\n");
    for (i = 0; i < COUNT_OF(kinds); i++) {
        printf("| `%s` | %s | %s |\n", kinds[i].name, kinds[i].title,
               kinds[i].url ? kinds[i].url : "");
    }
}

/* A row that no part shows would be missing from the page. */
static int lost_rows(void)
{
    size_t i, j;
    int lost = 0;

    for (i = 0; i < COUNT_OF(rows); i++) {
        for (j = 0; j < COUNT_OF(parts)
             && strcmp(rows[i].where, parts[j].where); j++) {
        }
        if (j == COUNT_OF(parts)) {
            fprintf(stderr, "%s: no part of the page for \"%s\"\n",
                    rows[i].name, rows[i].where);
            lost = 1;
        }
    }
    return lost;
}

int main(void)
{
    printf("<!-- Written by `make docs` from include/llmux/settings.def. -->\n"
           "# Directives\n\n"
           "`conf/llmux.conf` shows all of them at work. Sizes are bytes or "
           "take `K`, `M`, `G`;\ntimes take `ms`, `s`, `m`, `h`, bare "
           "numbers are seconds; keys are best given as\n`env:NAME` or "
           "`file:PATH`. `apachectl -t` refuses a mistake with its file and "
           "line.\n\n");
    print_index();
    print_parts();
    print_kinds();
    return lost_rows();
}
