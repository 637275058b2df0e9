/* words.c - a provider's words, without what names our account with him. */

#include <string.h>

#include <apr_lib.h>

#include "llmux/provider.h"

/* Fewer characters behind it are an ordinary word. */
#define NAME_MIN 6

/* How names of accounts and keys begin, such as in "Rate limit reached for
 * gpt-5 in organization org-...", and what they are made of beside letters,
 * digits and "-_*". */
static const struct { const char *begin, *more; } marks[] = {
    { "org-", "" },     { "org_", "" },     { "proj_", "" },
    { "acct_", "" },    { "sk-", "" },      { "AIza", "" },
    { "AKIA", "" },     { "ASIA", "" },     { "ya29.", "." },
    { "project_number:", "" },              { "projects/", "" },
    { "arn:aws", ":/." }
};

#define MARKS ((int)(sizeof(marks) / sizeof(marks[0])))

/* A dot at its end is that of the sentence. */
static apr_size_t name_length(const char *s, const char *more)
{
    apr_size_t n = 0;

    while (apr_isalnum(s[n])
           || (s[n] && (strchr("-_*", s[n]) || strchr(more, s[n])))) {
        n++;
    }
    while (n && (s[n - 1] == '.' || s[n - 1] == ':')) {
        n--;
    }
    return n;
}

/* The mark that a name at `s` begins with, or MARKS. */
static int mark_at(const char *s)
{
    int i;

    for (i = 0; i < MARKS; i++) {
        apr_size_t n = strlen(marks[i].begin);

        if (!strncmp(s, marks[i].begin, n)
            && name_length(s + n, marks[i].more) >= NAME_MIN) {
            break;
        }
    }
    return i;
}

const char *llmux_provider_words(apr_pool_t *p, const char *text)
{
    llmux_buf_t *out = llmux_buf_create(p, strlen(text));
    int inside = 0;         /* of a word, where no name begins */

    while (*text) {
        int mark = inside ? MARKS : mark_at(text);

        inside = apr_isalnum(*text);
        if (mark == MARKS) {
            llmux_buf_add(out, text++, 1);
            continue;
        }
        /* Never longer than what it stands for. */
        llmux_buf_adds(out, marks[mark].begin);
        llmux_buf_adds(out, "***");
        text += strlen(marks[mark].begin);
        text += name_length(text, marks[mark].more);
    }
    return llmux_buf_slice(out).data;
}
