/* media.c - pictures and documents that the client named by URL, fetched for
 * a provider who wants bytes. Whoever names a URL chooses whom we connect to:
 * so it is opt-in, the address is checked, and nobody is followed. */

#include <string.h>

#include <apr_general.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "exchange.h"

/* ---- which ------------------------------------------------------------- */

static int is_web(llmux_slice_t url)
{
    return llmux_slice_starts(url, "https://")
        || llmux_slice_starts(url, "http://");
}

static void collect(apr_array_header_t *list, const llmux_block_t *b)
{
    for (; b; b = b->next) {
        if (b->media && is_web(b->media->url)) {
            APR_ARRAY_PUSH(list, llmux_media_t *) = b->media;
        }
        if (b->result) {
            collect(list, b->result->blocks);
        }
    }
}

static apr_array_header_t *list_of(llmux_exchange_t *x)
{
    apr_array_header_t *list = apr_array_make(x->pool, 4,
                                              sizeof(llmux_media_t *));
    const llmux_message_t *m;

    for (m = x->chat->messages; m; m = m->next) {
        collect(list, m->blocks);
    }
    return list;
}

/* ---- the request ------------------------------------------------------- */

static const llmux_upstream_t *way(attempt_t *a)
{
    const llmux_settings_t *settings = a->x->settings;
    llmux_upstream_t *up = apr_pcalloc(a->pool, sizeof(*up));

    up->proxy = "";
    up->reach = &a->x->service->media_reach;
    up->connect = up->first_byte = up->between = up->total =
        settings->media_timeout;
    return up;
}

static void ask(attempt_t *a, const llmux_media_t *media)
{
    llmux_request_t *rq = apr_pcalloc(a->pool, sizeof(*rq));
    llmux_exchange_t *x = a->x;

    rq->upstream = way(a);
    rq->url = llmux_slice_str(a->pool, media->url);
    rq->headers = apr_array_make(a->pool, 2, sizeof(llmux_header_t));
    llmux_header_add(rq->headers, "User-Agent", "mod_llmux");
    a->errand = errand_open(a->pool, x->env, &llmux_transport_http, rq,
                            (apr_size_t)(x->settings->media_max
                                         - x->media_bytes));
}

/* ---- the answer -------------------------------------------------------- */

/* Which the bytes themselves show, else what the server says; one that says
 * no more than "bytes" says nothing. */
static llmux_slice_t type_of(const attempt_t *a, llmux_slice_t base64,
                             llmux_slice_t client)
{
    const char *shown = llmux_media_sniff(base64);
    apr_size_t n = strcspn(a->errand->type, "; \t");
    char *said, *c;

    if (shown) {
        return llmux_slice(shown);
    }
    said = apr_pstrmemdup(a->x->pool, a->errand->type, n);
    for (c = said; *c; c++) {
        *c = (char)apr_tolower(*c);
    }
    return !n || !strcmp(said, "application/octet-stream")
        || !strcmp(said, "binary/octet-stream") ? client
                                                : llmux_slice(said);
}

static int suits(llmux_media_e kind, llmux_slice_t type)
{
    static const char *const begins[] = {
        [LLMUX_MEDIA_IMAGE] = "image/", [LLMUX_MEDIA_AUDIO] = "audio/",
        [LLMUX_MEDIA_VIDEO] = "video/", [LLMUX_MEDIA_PDF] = "application/pdf",
        [LLMUX_MEDIA_TEXT] = "text/",   [LLMUX_MEDIA_OTHER] = ""
    };

    return type.data && llmux_slice_starts(type, begins[kind]);
}

/* What was not to be had for one deployment is not asked for again. */
static go_e give_up(attempt_t *a)
{
    a->failed = LLMUX_FAILED_TARGET;
    a->error = a->x->media_error;
    return GO_FAIL;
}

static go_e refuse(attempt_t *a, const llmux_media_t *media, const char *why)
{
    a->x->media_error = llmux_error(a->x->pool, LLMUX_ERR_INVALID,
                                    media->param ? media->param : "messages",
                                    "What stands at this URL cannot be had "
                                    "for %s: %s.", a->target.name, why);
    return give_up(a);
}

/* What a stranger may know of why; the log knows more. */
static const char *words(attempt_t *a)
{
    const errand_t *e = a->errand;

    if (e->too_large) {
        return apr_psprintf(a->pool, "it is larger than the %" APR_INT64_T_FMT
                            " bytes that one request may have fetched",
                            a->x->settings->media_max);
    }
    if (e->status / 100 == 3) {
        return "it is a redirect, and these are not followed";
    }
    if (!e->status) {
        llmux_log(a->x->env, LLMUX_LOG_DEBUG, 24, 0,
                  "a client's URL cannot be fetched: %s", e->why);
        return "its server did not answer, or may not be asked";
    }
    return apr_psprintf(a->pool, "its server answered %d", e->status);
}

/* In the request's own pool: the next deployment needs it, too. */
static go_e take(attempt_t *a, llmux_media_t *media)
{
    const errand_t *e = a->errand;
    llmux_exchange_t *x = a->x;
    llmux_slice_t base64, type;

    if (e->too_large || e->status != 200) {
        return refuse(a, media, words(a));
    }
    if (!e->body->len) {
        return refuse(a, media, "it is empty");
    }
    base64 = llmux_base64_encode(x->pool, llmux_buf_slice(e->body));
    type = type_of(a, base64, media->type);
    if (!suits(media->kind, type)) {
        return refuse(a, media, "it is of another type");
    }
    x->media_bytes += (apr_int64_t)e->body->len;
    media->base64 = base64;
    media->type = type;
    memset(&media->url, 0, sizeof(media->url));
    return GO_ON;
}

/* ---- one after the other ------------------------------------------------ */

static int may_fetch(const attempt_t *a)
{
    return a->x->settings->media_fetch && a->dialect
        && a->dialect->op == LLMUX_OP_CHAT;
}

static int wants_bytes(const attempt_t *a, const llmux_media_t *media)
{
    if (!media->url.data) {
        return 0;
    }
    return a->dialect->takes_url
        ? !a->dialect->takes_url(media, &a->target)
        : !(a->target.can & LLMUX_CAN_MEDIA_URL);
}

/* Each is a request to somebody whom the client chose, and takes its time. */
static int are_too_many(const attempt_t *a)
{
    const apr_array_header_t *list = a->x->media;
    int i, n = 0;

    for (i = 0; i < list->nelts; i++) {
        n += wants_bytes(a, APR_ARRAY_IDX(list, i, llmux_media_t *));
    }
    return n > LLMUX_MEDIA_FETCHES_MAX;
}

/* The first one that this target cannot take as it is. A request that cannot
 * be read says so itself, later. */
static llmux_media_t *next_media(const attempt_t *a)
{
    llmux_exchange_t *x = a->x;
    int i;

    if (!x->media && !body_read(x)) {
        x->media = list_of(x);
    }
    for (i = 0; x->media && i < x->media->nelts; i++) {
        llmux_media_t *media = APR_ARRAY_IDX(x->media, i, llmux_media_t *);

        if (wants_bytes(a, media)) {
            return media;
        }
    }
    return NULL;
}

/* Most requests name no URL at all. */
int media_is_wanted(const attempt_t *a)
{
    return may_fetch(a) && memmem(a->x->text.data, a->x->text.len, "://", 3)
        && next_media(a);
}

go_e media_fetch(attempt_t *a, llmux_wait_t *wait)
{
    llmux_media_t *media;

    if (!may_fetch(a) || a->same) {
        return GO_ON;
    }
    for (media = next_media(a); media; media = next_media(a)) {
        if (a->x->media_error) {
            return give_up(a);
        }
        if (!a->errand && are_too_many(a)) {
            return refuse(a, media, "these are more than the "
                          APR_STRINGIFY(LLMUX_MEDIA_FETCHES_MAX) " that are "
                          "fetched for one request");
        }
        if (!a->errand) {
            wait_anew(wait);
            ask(a, media);
        }
        if (errand_step(a->errand, wait) == GO_WAIT) {
            return GO_WAIT;
        }
        if (take(a, media) == GO_FAIL) {
            return GO_FAIL;
        }
        a->errand = NULL;
    }
    return GO_ON;
}
