/* cross.c - takes recorded answers of any dialect and says them in others, a
 * line each.
 *
 * The arguments name the dialects of the clients. A job is a line of input:
 * mode, dialect and path, with a tab between them.
 *
 *     whole    the file is an answer in one document
 *     stream   it came in a streamed answer
 *     error    {"status", "body"} of a refused request
 *
 * The answer is a line of JSON: for each dialect of a client who can be given
 * such an answer "whole" and, of words, "stream", of vectors, "base64", each
 * with the status and the bytes that the client gets. An answer that failed is
 * an error body for those who wait for all of it.
 */

#include "../unit/transcript.h"
#include "jobs.h"

#define CLIENTS_MAX 16

static const llmux_dialect_t *clients[CLIENTS_MAX];
static int client_count;

/* ---- who is given what ----------------------------------------------- */

/* Words for words, vectors for vectors, counts for counts. */
static int is_for(const llmux_dialect_t *client, const llmux_dialect_t *from)
{
    static const llmux_op_e alike[] = {
        [LLMUX_OP_CHAT]     = LLMUX_OP_CHAT,
        [LLMUX_OP_COMPLETE] = LLMUX_OP_CHAT,
        [LLMUX_OP_EMBED]    = LLMUX_OP_EMBED,
        [LLMUX_OP_COUNT]    = LLMUX_OP_COUNT
    };

    return alike[client->op] == alike[from->op];
}

/* How an answer is said beside "whole"; NULL for no other way. */
static const char *other_form(const llmux_dialect_t *d)
{
    static const char *const forms[] = {
        [LLMUX_OP_CHAT]     = "stream",
        [LLMUX_OP_COMPLETE] = "stream",
        [LLMUX_OP_EMBED]    = "base64",
        [LLMUX_OP_COUNT]    = NULL
    };

    return forms[d->op];
}

/* ---- what a client gets ---------------------------------------------- */

/* One answer for all clients at once: [0] is whole, [1] the other form. */
typedef struct answer_t {
    llmux_encoder_t *encoders[CLIENTS_MAX][2];
    llmux_buf_t *bytes[CLIENTS_MAX][2];
    const llmux_error_t *error;
} answer_t;

static void encode(void *baton, const llmux_event_t *ev)
{
    answer_t *a = baton;
    int i, form;

    for (i = 0; i < client_count; i++) {
        for (form = 0; form < 2; form++) {
            llmux_encoder_t *e = a->encoders[i][form];

            if (e) {
                e->event(e, ev, a->bytes[i][form]);
            }
        }
    }
    if (ev->kind == LLMUX_EV_ERROR) {
        a->error = ev->error;
    }
}

static llmux_encoder_t *new_encoder(apr_pool_t *p, const llmux_dialect_t *d,
                                    int form)
{
    llmux_embed_t *embed = apr_pcalloc(p, sizeof(*embed));
    llmux_chat_t *chat = llmux_chat_create(p);
    llmux_encode_t how = { .include_usage = 1, .show_thinking = 1,
                           .created = 1700000000 };

    how.id = apr_pstrcat(p, d->id_prefix, "ours", NULL);
    if (d->op == LLMUX_OP_EMBED) {
        embed->base64 = form;
        chat->embed = embed;
        how.chat = chat;
    }
    else {
        how.streamed = form;
    }
    return d->encoder(p, &how);
}

static answer_t *new_answer(apr_pool_t *p, const llmux_dialect_t *from)
{
    answer_t *a = apr_pcalloc(p, sizeof(*a));
    int i, form, forms = 1 + (other_form(from) != NULL);

    for (i = 0; i < client_count; i++) {
        for (form = 0; is_for(clients[i], from) && form < forms; form++) {
            a->encoders[i][form] = new_encoder(p, clients[i], form);
            a->bytes[i][form] = llmux_buf_create(p, TEXT_MAX);
        }
    }
    return a;
}

static void put_form(llmux_jw_t *w, const char *name, int status,
                     const llmux_buf_t *bytes)
{
    llmux_jw_key(w, name);
    llmux_jw_open(w, '{');
    llmux_jw_key(w, "status");
    llmux_jw_int(w, bytes->failed ? 0 : status);
    llmux_jw_key(w, "bytes");
    llmux_jw_str(w, bytes->len ? llmux_buf_slice(bytes) : llmux_slice(""));
    llmux_jw_close(w, '}');
}

static void put_error(apr_pool_t *p, llmux_jw_t *w,
                      const llmux_dialect_t *client, const char *name,
                      const llmux_error_t *err)
{
    llmux_buf_t *body = llmux_buf_create(p, TEXT_MAX);

    client->error_write(body, err, "req_ours");
    put_form(w, name, client->error_status ? client->error_status(err)
                                           : err->status, body);
}

/* ---- answers --------------------------------------------------------- */

static void put_client(apr_pool_t *p, llmux_jw_t *w, const answer_t *a, int i)
{
    llmux_jw_key(w, clients[i]->name);
    llmux_jw_open(w, '{');
    if (a->error) {
        put_error(p, w, clients[i], "whole", a->error);
    }
    else {
        put_form(w, "whole", 200, a->bytes[i][0]);
    }
    if (a->encoders[i][1] && clients[i]->op == LLMUX_OP_EMBED && a->error) {
        put_error(p, w, clients[i], other_form(clients[i]), a->error);
    }
    else if (a->encoders[i][1]) {
        put_form(w, other_form(clients[i]), 200, a->bytes[i][1]);
    }
    llmux_jw_close(w, '}');
}

static void answer(apr_pool_t *p, llmux_jw_t *w, const llmux_dialect_t *from,
                   int streamed, llmux_slice_t bytes)
{
    answer_t *a = new_answer(p, from);
    llmux_stream_t *s = llmux_stream_open(p, &test_env, from, streamed,
                                          encode, NULL, a);
    int i;

    llmux_stream_feed(s, bytes.data, bytes.len);
    llmux_stream_end(s);
    for (i = 0; i < client_count; i++) {
        if (a->encoders[i][0]) {
            put_client(p, w, a, i);
        }
    }
}

static const llmux_error_t *read_error(apr_pool_t *p,
                                       const llmux_dialect_t *from,
                                       llmux_slice_t bytes)
{
    const llmux_json_t *file = llmux_json_parse(p, bytes, 0, NULL);
    const llmux_json_t *body = llmux_json_get(file, "body");
    int status = (int)llmux_json_int(llmux_json_get(file, "status"), 0);

    if (llmux_json_kind(body) == LLMUX_JSON_STRING) {
        body = llmux_json_parse(p, llmux_json_str(p, body), 0, NULL);
    }
    return from->error_read(p, status, body);
}

static void refusal(apr_pool_t *p, llmux_jw_t *w, const llmux_dialect_t *from,
                    llmux_slice_t bytes)
{
    const llmux_error_t *err = read_error(p, from, bytes);
    int i;

    for (i = 0; i < client_count; i++) {
        if (!is_for(clients[i], from)) {
            continue;
        }
        llmux_jw_key(w, clients[i]->name);
        llmux_jw_open(w, '{');
        put_error(p, w, clients[i], "whole", err);
        if (other_form(from)) {
            put_error(p, w, clients[i], other_form(from), err);
        }
        llmux_jw_close(w, '}');
    }
}

/* ---- jobs ------------------------------------------------------------ */

static int job(apr_pool_t *p, char *line)
{
    char *last;
    const char *mode = apr_strtok(line, "\t\n", &last);
    const char *name = apr_strtok(NULL, "\t\n", &last);
    const char *path = apr_strtok(NULL, "\t\n", &last);
    const llmux_dialect_t *from = llmux_dialect_named(name);
    llmux_buf_t *out = llmux_buf_create(p, TEXT_MAX);
    llmux_jw_t w = llmux_jw(out);
    llmux_slice_t bytes = { NULL, 0 };

    if (!from || !path || !read_file(p, path, &bytes)) {
        return 0;
    }
    llmux_jw_open(&w, '{');
    if (!strcmp(mode, "error")) {
        refusal(p, &w, from, bytes);
    }
    else {
        answer(p, &w, from, !strcmp(mode, "stream"), bytes);
    }
    llmux_jw_close(&w, '}');
    return print_line(out);
}

/** @return 0 if there is no such front door */
static int read_clients(char **names)
{
    const llmux_dialect_t *d = NULL;

    for (; *names && client_count < CLIENTS_MAX; names++) {
        d = llmux_dialect_named(*names);
        if (!d || !d->encoder) {
            return 0;
        }
        clients[client_count++] = d;
    }
    return !*names;
}

int main(int argc, char **argv)
{
    return read_clients(argv + 1) ? run_jobs("cross", job)
                                  : refuse_job("cross");
}
