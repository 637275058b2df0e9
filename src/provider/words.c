/* words.c - a provider's words, without what names our account with him. */

#include <string.h>

#include <apr_lib.h>

#include "llmux/provider.h"

/* Fewer characters behind it are an ordinary word. */
#define NAME_MIN 6

/* How names of accounts and keys begin, such as in "Rate limit reached for
 * gpt-5 in organization org-..." */
static const char *const marks[] = {
    "org-", "org_", "proj_", "acct_", "sk-", "AIza", "project_number:", NULL
};

static apr_size_t name_length(const char *s)
{
    apr_size_t n = 0;

    while (apr_isalnum(s[n]) || (s[n] && strchr("-_*", s[n]))) {
        n++;
    }
    return n;
}

/* The mark that a name at `s` begins with, or NULL. */
static const char *mark_at(const char *s)
{
    int i;

    for (i = 0; marks[i]; i++) {
        apr_size_t n = strlen(marks[i]);

        if (!strncmp(s, marks[i], n) && name_length(s + n) >= NAME_MIN) {
            return marks[i];
        }
    }
    return NULL;
}

const char *llmux_provider_words(apr_pool_t *p, const char *text)
{
    llmux_buf_t *out = llmux_buf_create(p, strlen(text));
    int inside = 0;         /* of a word, where no name begins */

    while (*text) {
        const char *mark = inside ? NULL : mark_at(text);

        inside = apr_isalnum(*text);
        if (!mark) {
            llmux_buf_add(out, text++, 1);
            continue;
        }
        /* Never longer than what it stands for. */
        llmux_buf_adds(out, mark);
        llmux_buf_adds(out, "***");
        text += strlen(mark);
        text += name_length(text);
    }
    return llmux_buf_slice(out).data;
}
