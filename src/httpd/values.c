/* values.c - settings.def made into rows, and a reader for each kind. */

#include "server.h"

#include <stddef.h>
#include <stdlib.h>

#include <apr_lib.h>
#include <apr_strings.h>

static const setting_t request_rows[] = {
#define REQUEST(member, name, kind, dflt, low, high, words, help, example) \
    { name, KIND_##kind, offsetof(llmux_settings_t, member), dflt, low, high, \
      words },
#define ACCOUNT(member, name, kind, dflt, low, high, words, help, example)
#define SPECIAL(function, name, take, where, help, example)
#include "llmux/settings.def"
#undef REQUEST
#undef ACCOUNT
#undef SPECIAL
};

static const setting_t account_rows[] = {
#define REQUEST(member, name, kind, dflt, low, high, words, help, example)
#define ACCOUNT(member, name, kind, dflt, low, high, words, help, example) \
    { name, KIND_##kind, offsetof(llmux_provider_t, member), dflt, low, high, \
      words },
#define SPECIAL(function, name, take, where, help, example)
#include "llmux/settings.def"
#undef REQUEST
#undef ACCOUNT
#undef SPECIAL
};

#define ROWS(table) (sizeof(table) / sizeof(table[0]))

static const setting_t *find(const setting_t *rows, apr_size_t n,
                             const char *name)
{
    apr_size_t i;

    for (i = 0; i < n; i++) {
        if (!strcasecmp(rows[i].name, name)) {
            return &rows[i];
        }
    }
    return NULL;
}

const setting_t *request_setting(const char *name)
{
    return find(request_rows, ROWS(request_rows), name);
}

const setting_t *account_setting(const char *name)
{
    return find(account_rows, ROWS(account_rows), name);
}

/* ---- one value ------------------------------------------------------- */

static apr_int64_t *number_at(const setting_t *row, void *base)
{
    return (apr_int64_t *)((char *)base + row->offset);
}

static apr_array_header_t **list_at(const setting_t *row, void *base)
{
    return (apr_array_header_t **)((char *)base + row->offset);
}

/* "tell|refuse" and "refuse" make 1; -1 for none of them. */
static apr_int64_t word_place(const char *words, const char *word)
{
    apr_size_t n = strlen(word);
    apr_int64_t place = 0;

    for (;;) {
        const char *bar = strchr(words, '|');
        apr_size_t len = bar ? (apr_size_t)(bar - words) : strlen(words);

        if (len == n && !strncasecmp(words, word, n)) {
            return place;
        }
        if (!bar) {
            return -1;
        }
        words = bar + 1;
        place++;
    }
}

static int read_number(const setting_t *row, const char *text,
                       apr_int64_t *value)
{
    char *end;

    switch (row->kind) {
    case KIND_WORD:
        *value = word_place(row->words, text);
        break;
    case KIND_SIZE:
        if (!llmux_size_parse(text, value)) {
            return 0;
        }
        break;
    case KIND_TIME:
        if (!llmux_duration_parse(text, value)) {
            return 0;
        }
        break;
    default:
        *value = apr_strtoi64(text, &end, 10);
        if (!apr_isdigit(text[0]) || *end) {
            return 0;
        }
    }
    return *value >= row->low && *value <= row->high;
}

/* 16 MiB is written 16M, 90 seconds 90s: as the operator would. */
static const char *show(apr_pool_t *p, const setting_t *row, apr_int64_t n)
{
    if (row->kind == KIND_TIME) {
        return n % 1000000 ? apr_psprintf(p, "%" APR_INT64_T_FMT "ms",
                                          n / 1000)
                           : apr_psprintf(p, "%" APR_INT64_T_FMT "s",
                                          n / 1000000);
    }
    if (row->kind == KIND_SIZE && n % (1 << 20) == 0) {
        return apr_psprintf(p, "%" APR_INT64_T_FMT "M", n >> 20);
    }
    return apr_psprintf(p, "%" APR_INT64_T_FMT, n);
}

static const char *accepted(apr_pool_t *p, const setting_t *row)
{
    static const char *const samples[] = {
        [KIND_SIZE] = "a size such as 64k or 32M",
        [KIND_TIME] = "a time such as 500ms, 15s or 2m",
        [KIND_COUNT] = "a whole number",
    };

    if (row->kind == KIND_WORD) {
        return apr_psprintf(p, "one of %s", row->words);
    }
    return apr_psprintf(p, "%s, from %s to %s", samples[row->kind],
                        show(p, row, row->low), show(p, row, row->high));
}

static const char *read_list(apr_pool_t *p, const setting_t *row, void *base,
                             int argc, char *const argv[])
{
    apr_array_header_t *list = apr_array_make(p, argc, sizeof(char *));
    int i;

    for (i = 0; i < argc; i++) {
        APR_ARRAY_PUSH(list, const char *) = argv[i];
    }
    *list_at(row, base) = list;
    return NULL;
}

const char *setting_read(apr_pool_t *p, const setting_t *row, void *base,
                         int argc, char *const argv[])
{
    apr_int64_t value;

    if (argc == 0) {
        return apr_psprintf(p, "%s wants a value", row->name);
    }
    if (row->kind == KIND_LIST) {
        return read_list(p, row, base, argc, argv);
    }
    if (argc > 1) {
        return apr_psprintf(p, "%s takes one value: %s", row->name,
                            accepted(p, row));
    }
    if (!read_number(row, argv[0], &value)) {
        return apr_psprintf(p, "%s: '%s' is not %s", row->name, argv[0],
                            accepted(p, row));
    }
    *number_at(row, base) = value;
    return NULL;
}

/* ---- all of them ----------------------------------------------------- */

void settings_unset(llmux_settings_t *s)
{
    apr_size_t i;

    for (i = 0; i < ROWS(request_rows); i++) {
        if (request_rows[i].kind == KIND_LIST) {
            *list_at(&request_rows[i], s) = NULL;
        }
        else {
            *number_at(&request_rows[i], s) = SETTING_UNSET;
        }
    }
}

static int is_set(const setting_t *row, const llmux_settings_t *s)
{
    void *base = (void *)(apr_uintptr_t)s;

    return row->kind == KIND_LIST ? *list_at(row, base) != NULL
                                  : *number_at(row, base) != SETTING_UNSET;
}

void settings_merge(llmux_settings_t *to, const llmux_settings_t *base,
                    const llmux_settings_t *add)
{
    apr_size_t i;

    *to = *base;
    for (i = 0; i < ROWS(request_rows); i++) {
        const setting_t *row = &request_rows[i];

        if (is_set(row, add)) {
            apr_size_t size = row->kind == KIND_LIST ? sizeof(void *)
                                                     : sizeof(apr_int64_t);

            memcpy((char *)to + row->offset, (const char *)add + row->offset,
                   size);
        }
    }
}

static void set_default(apr_pool_t *p, const setting_t *row, void *base)
{
    if (row->kind == KIND_LIST) {
        *list_at(row, base) = apr_array_make(p, 1, sizeof(char *));
    }
    else {
        read_number(row, row->dflt, number_at(row, base));
    }
}

static llmux_settings_t usual;

void settings_init(apr_pool_t *pconf)
{
    apr_size_t i;

    for (i = 0; i < ROWS(request_rows); i++) {
        set_default(pconf, &request_rows[i], &usual);
    }
}

void settings_resolve(llmux_settings_t *to, const llmux_settings_t *said)
{
    settings_merge(to, &usual, said);
}

void account_default(llmux_provider_t *pr, apr_pool_t *p)
{
    apr_size_t i;

    for (i = 0; i < ROWS(account_rows); i++) {
        set_default(p, &account_rows[i], pr);
    }
}
