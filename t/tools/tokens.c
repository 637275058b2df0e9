/* tokens.c - counts tokens, a line of input each, with tabs between:
 *
 *     text  ENCODING  JSON string             o200k_base or cl100k_base
 *     chat  DIALECT   MODEL          PATH     of a recorded request's body
 *
 * Its argument is the folder of ranks, or "-" for estimates. It answers each
 * with the number, and "exact" or "about".
 */

#include <apr_strings.h>

#include "llmux/tokens.h"
#include "jobs.h"

/* NULL: all are estimates. */
static const llmux_bpe_t *bpe;

static void answer(llmux_tokens_t t)
{
    printf("%" APR_INT64_T_FMT " %s\n", t.count, t.exact ? "exact" : "about");
}

static void count_text(apr_pool_t *p, char **field)
{
    llmux_slice_t json = llmux_slice(field[2]);
    const llmux_json_t *v = llmux_json_parse(p, json, 0, NULL);

    if (llmux_json_kind(v) != LLMUX_JSON_STRING) {
        printf("no string\n");
        return;
    }
    answer(llmux_bpe_count(bpe, p, strcmp(field[1], "o200k_base")
                                       ? LLMUX_ENCODING_CL100K
                                       : LLMUX_ENCODING_O200K,
                           llmux_json_str(p, v)));
}

static const llmux_error_t *read_chat(llmux_chat_t *chat,
                                      const llmux_dialect_t *d,
                                      llmux_slice_t body)
{
    llmux_head_t head = { 0 };
    const llmux_error_t *err;

    err = d->head(chat->pool, llmux_json_parser_create(chat->pool), body,
                  &head);
    if (err) {
        return err;
    }
    return d->read(chat, llmux_json_parse(chat->pool, body, 0, NULL));
}

static void count_chat(apr_pool_t *p, char **field)
{
    const llmux_dialect_t *d = llmux_dialect_named(field[1]);
    llmux_slice_t body = { NULL, 0 };
    llmux_chat_t *chat = llmux_chat_create(p);
    const llmux_error_t *err;

    if (!read_file(p, field[3], &body)) {
        printf("no file\n");
        return;
    }
    if (!d || !d->head) {
        printf("no dialect\n");
        return;
    }
    err = read_chat(chat, d, body);
    if (err) {
        printf("no request: %s\n", err->message);
        return;
    }
    answer(llmux_tokens_of_chat(bpe, chat, llmux_slice(field[2])));
}

/* What it cannot do it says in its answer. */
static int job(apr_pool_t *p, char *line)
{
    char *field[4] = { line, NULL, NULL, NULL };
    int n;

    line[strcspn(line, "\n")] = '\0';
    for (n = 1; n < 4 && field[n - 1]; n++) {
        field[n] = strchr(field[n - 1], '\t');
        if (field[n]) {
            *field[n]++ = '\0';
        }
    }
    if (!strcmp(field[0], "text") && field[2]) {
        count_text(p, field);
    }
    else if (!strcmp(field[0], "chat") && field[3]) {
        count_chat(p, field);
    }
    else {
        printf("no such order\n");
    }
    return 1;
}

int main(int argc, char **argv)
{
    apr_pool_t *pool;
    const char *why;
    int status;

    if (argc != 2) {
        fprintf(stderr, "usage: tokens FOLDER_OF_RANKS\n");
        return 1;
    }
    apr_initialize();
    apr_pool_create(&pool, NULL);
    if (strcmp(argv[1], "-")) {
        bpe = llmux_bpe_load(pool, argv[1], &why);
        if (!bpe) {
            fprintf(stderr, "%s\n", why);
            return 1;
        }
    }
    status = run_jobs("tokens", job);
    apr_pool_destroy(pool);
    apr_terminate();
    return status;
}
