/* aws.c - the credentials that AWS's requests are signed with: configured, or
 * asked from the container's or the instance's service, or from STS. */

#include "llmux/credential.h"

#include <string.h>

#include <apr_file_io.h>
#include <apr_strings.h>
#include <openssl/crypto.h>

#include "aws_answer.h"
#include "form.h"
#include "vendors.h"

#define METADATA "http://169.254.169.254"
#define SESSION_PATH "/latest/api/token"
#define ROLE_PATH "/latest/meta-data/iam/security-credentials/"
#define SESSION_SECONDS "21600"
#define STS "https://sts.amazonaws.com/"

#define FORM_MAX (4 * LLMUX_WEB_IDENTITY_MAX)

/* ---- how it ends ------------------------------------------------------ */

static llmux_fetch_e fail(llmux_fetch_t *f, const char *why)
{
    OPENSSL_cleanse(&f->grant, sizeof(f->grant));
    f->ask = NULL;
    f->why = why;
    return LLMUX_FETCH_FAILED;
}

/* The answer is no good: `what` was asked from whom. */
static llmux_fetch_e refused(llmux_fetch_t *f, const char *what)
{
    const char *word;

    if (!f->status) {
        return fail(f, apr_psprintf(f->pool, "%s: no answer", what));
    }
    word = f->body.len <= LLMUX_GRANT_BODY_MAX
        ? llmux_aws_error_word(f->pool, f->body) : NULL;
    return fail(f, apr_psprintf(f->pool, "%s: status %d%s%s", what, f->status,
                                word ? ", " : "", word ? word : ""));
}

static int answered(const llmux_fetch_t *f)
{
    return f->status == 200 && f->body.len <= LLMUX_GRANT_BODY_MAX;
}

static llmux_fetch_e done(llmux_fetch_t *f, const char *what, const char *why)
{
    apr_time_t now = llmux_now(f->env);
    apr_time_t *expires = &f->grant.expires;

    if (why) {
        return fail(f, apr_psprintf(f->pool, "%s: %s", what, why));
    }
    if (!*expires) {
        *expires = now + apr_time_from_sec(LLMUX_GRANT_UNSAID);
    }
    /* When its own source is out of order the instance's service repeats the
     * old ones, which AWS's services then go on to take. */
    if (*expires <= now
        && f->credential->kind == LLMUX_CREDENTIAL_AWS_INSTANCE) {
        *expires = now + apr_time_from_sec(LLMUX_GRANT_STALE);
    }
    if (*expires <= now) {
        return fail(f, apr_psprintf(f->pool, "%s: what it gave has expired "
                                    "already; is this machine's clock right?",
                                    what));
    }
    f->ask = NULL;
    return LLMUX_FETCH_DONE;
}

/* ---- what is asked ---------------------------------------------------- */

static llmux_request_t *request(llmux_fetch_t *f, const char *url)
{
    llmux_request_t *rq = apr_pcalloc(f->pool, sizeof(*rq));

    rq->upstream = &f->credential->upstream;
    rq->url = url;
    rq->headers = apr_array_make(f->pool, 3, sizeof(llmux_header_t));
    return rq;
}

static llmux_fetch_e ask(llmux_fetch_t *f, const llmux_request_t *rq)
{
    f->ask = rq;
    f->step++;
    return LLMUX_FETCH_ASK;
}

/* ---- tokens in files -------------------------------------------------- */

/* A token that others renew, in a buffer with room for `max` bytes and one
 * more. A line end behind it is not part of it. */
static const char *read_token(apr_pool_t *p, const char *path, char *out,
                              apr_size_t max, llmux_slice_t *token)
{
    apr_file_t *file;
    apr_status_t rv;
    char why[128];

    token->data = out;
    token->len = 0;
    rv = apr_file_open(&file, path, APR_FOPEN_READ, APR_FPROT_OS_DEFAULT, p);
    if (rv == APR_SUCCESS) {
        rv = apr_file_read_full(file, out, max + 1, &token->len);
        apr_file_close(file);
    }
    if (rv != APR_SUCCESS && !APR_STATUS_IS_EOF(rv)) {
        return apr_psprintf(p, "cannot read the token in %s: %s", path,
                            apr_strerror(rv, why, sizeof(why)));
    }
    if (token->len > max) {
        return apr_psprintf(p, "the token in %s has more than %d bytes", path,
                            (int)max);
    }
    while (token->len && strchr("\r\n", out[token->len - 1])
           && out[token->len - 1]) {
        token->len--;
    }
    return NULL;
}

/* ---- static keys ------------------------------------------------------ */

static llmux_fetch_e next_static(llmux_fetch_t *f)
{
    const llmux_credential_t *c = f->credential;
    llmux_aws_said_t said = { llmux_secret_reveal(c->id),
                              llmux_secret_reveal(c->secret),
                              llmux_secret_reveal(c->session), { NULL, 0 } };
    const char *why = llmux_aws_grant(f->pool, &said, &f->grant);

    return why ? fail(f, apr_psprintf(f->pool, "the AWS keys: %s", why))
        : LLMUX_FETCH_DONE;
}

/* ---- containers ------------------------------------------------------- */

static const char container[] = "the container's credentials";

/* The token may have blanks in it ("Basic ..."), but no line end.
 * @return NULL, or why not */
static const char *authorize(llmux_fetch_t *f, llmux_request_t *rq)
{
    const llmux_credential_t *c = f->credential;
    llmux_slice_t token = llmux_secret_reveal(c->session);
    char bytes[LLMUX_SECRET_MAX + 1];
    const char *why = NULL;
    apr_size_t i;

    if (c->session_file) {
        why = read_token(f->pool, c->session_file, bytes, LLMUX_SECRET_MAX,
                         &token);
    }
    for (i = 0; !why && i < token.len; i++) {
        if (token.data[i] < ' ' || token.data[i] == 0x7f) {
            why = "the authorization token has line ends or the like in it";
        }
    }
    if (!why && c->session_file && !token.len) {
        why = apr_psprintf(f->pool, "the token in %s is empty",
                           c->session_file);
    }
    if (!why && token.len) {
        llmux_header_add(rq->headers, "Authorization",
                         llmux_slice_str(f->pool, token));
    }
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return why;
}

static llmux_fetch_e next_container(llmux_fetch_t *f)
{
    llmux_request_t *rq;
    const char *why;

    if (f->step) {
        return answered(f)
            ? done(f, container, llmux_aws_grant_json(f->pool, f->body,
                                                      &f->grant))
            : refused(f, container);
    }
    if (!f->credential->url) {
        return fail(f, "the container's credentials: nobody to ask");
    }
    rq = request(f, f->credential->url);
    llmux_header_add(rq->headers, "Accept", "application/json");
    why = authorize(f, rq);
    return why ? fail(f, apr_psprintf(f->pool, "%s: %s", container, why))
        : ask(f, rq);
}

/* ---- instances -------------------------------------------------------- */

/* Version 2 of the service only: what somebody could make a server ask with a
 * plain GET is what its first version gave away. */
static const char instance[] = "EC2's metadata service";

static const char *metadata_url(const llmux_fetch_t *f, const char *path,
                                const char *name)
{
    const char *url = f->credential->url;

    return apr_pstrcat(f->pool, url ? url : METADATA, path, name, NULL);
}

static llmux_fetch_e ask_session(llmux_fetch_t *f)
{
    llmux_request_t *rq = request(f, metadata_url(f, SESSION_PATH, ""));

    rq->method = "PUT";
    rq->body = llmux_slice("");
    llmux_header_add(rq->headers, "X-aws-ec2-metadata-token-ttl-seconds",
                     SESSION_SECONDS);
    return ask(f, rq);
}

static llmux_slice_t first_line(llmux_slice_t body)
{
    apr_size_t n = 0;

    while (n < body.len && body.data[n] != '\n' && body.data[n] != '\r') {
        n++;
    }
    body.len = n;
    return body;
}

static llmux_fetch_e ask_role(llmux_fetch_t *f)
{
    llmux_request_t *rq = request(f, metadata_url(f, ROLE_PATH, ""));
    llmux_slice_t session = first_line(f->body);

    if (!answered(f)) {
        /* Docker is one hop more than the service allows by default. */
        return refused(f, f->status ? instance
                       : "EC2's metadata service (in a container, its hop "
                         "limit must be 2)");
    }
    if (session.len > LLMUX_METADATA_TOKEN_MAX
        || !llmux_credential_plain(session, "")) {
        return fail(f, "EC2's metadata service: what it gave is no session's "
                       "token");
    }
    llmux_header_add(rq->headers, "X-aws-ec2-metadata-token",
                     llmux_slice_str(f->pool, session));
    return ask(f, rq);
}

/* IAM's own rule for names of roles; the instance has one. */
static int is_role(llmux_slice_t s)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "_+=,.@-";
    apr_size_t i;

    for (i = 0; i < s.len; i++) {
        if (!s.data[i] || !strchr(letters, s.data[i])) {
            return 0;
        }
    }
    return s.len && s.len <= LLMUX_ROLE_NAME_MAX;
}

static llmux_fetch_e ask_keys(llmux_fetch_t *f)
{
    llmux_slice_t role = first_line(f->body);
    llmux_request_t *rq;

    if (f->status == 404) {
        return fail(f, "EC2's metadata service: the instance has no role");
    }
    if (!answered(f)) {
        return refused(f, instance);
    }
    if (!is_role(role)) {
        return fail(f, "EC2's metadata service: what it gave is no role's "
                       "name");
    }
    rq = request(f, metadata_url(f, ROLE_PATH, llmux_slice_str(f->pool,
                                                               role)));
    rq->headers = f->ask->headers;      /* in the same session */
    return ask(f, rq);
}

static llmux_fetch_e next_instance(llmux_fetch_t *f)
{
    switch (f->step) {
    case 0:
        return ask_session(f);
    case 1:
        return ask_role(f);
    case 2:
        return ask_keys(f);
    default:
        return answered(f)
            ? done(f, instance, llmux_aws_grant_json(f->pool, f->body,
                                                     &f->grant))
            : refused(f, instance);
    }
}

/* ---- web identities --------------------------------------------------- */

static const char sts[] = "AWS STS";

static llmux_slice_t form_of(llmux_fetch_t *f, llmux_slice_t token)
{
    llmux_buf_t *form = llmux_form_create(f->pool, FORM_MAX);
    const char *name = f->credential->role_session;

    llmux_form_add(form, "Action", llmux_slice("AssumeRoleWithWebIdentity"));
    llmux_form_add(form, "Version", llmux_slice("2011-06-15"));
    llmux_form_add(form, "RoleArn", llmux_slice(f->credential->role));
    llmux_form_add(form, "RoleSessionName",
                   llmux_slice(name ? name : "mod_llmux"));
    llmux_form_add(form, "WebIdentityToken", token);
    return form->failed ? llmux_slice(NULL) : llmux_buf_slice(form);
}

static llmux_fetch_e ask_sts(llmux_fetch_t *f)
{
    const llmux_credential_t *c = f->credential;
    llmux_request_t *rq = request(f, c->url ? c->url : STS);
    char bytes[LLMUX_WEB_IDENTITY_MAX + 1];
    llmux_slice_t token;
    const char *why;

    if (!c->role || !c->session_file) {
        return fail(f, "AWS STS: a role and a token's file are needed");
    }
    why = read_token(f->pool, c->session_file, bytes, LLMUX_WEB_IDENTITY_MAX,
                     &token);
    if (!why && !llmux_credential_plain(token, "")) {
        why = apr_psprintf(f->pool, "what is in %s is no token",
                           c->session_file);
    }
    if (!why) {
        rq->body = form_of(f, token);
        why = rq->body.data ? NULL : "the request would be too long";
    }
    OPENSSL_cleanse(bytes, sizeof(bytes));
    if (why) {
        return fail(f, apr_psprintf(f->pool, "%s: %s", sts, why));
    }
    llmux_header_add(rq->headers, "Content-Type",
                     "application/x-www-form-urlencoded");
    llmux_header_add(rq->headers, "Accept", "text/xml");
    return ask(f, rq);
}

static llmux_fetch_e next_web_identity(llmux_fetch_t *f)
{
    if (!f->step) {
        return ask_sts(f);
    }
    return answered(f)
        ? done(f, sts, llmux_aws_grant_xml(f->pool, f->body, &f->grant))
        : refused(f, sts);
}

/* ---- all of them ------------------------------------------------------ */

llmux_fetch_e llmux_aws_next(llmux_fetch_t *f)
{
    switch (f->credential->kind) {
    case LLMUX_CREDENTIAL_AWS_STATIC:
        return next_static(f);
    case LLMUX_CREDENTIAL_AWS_CONTAINER:
        return next_container(f);
    case LLMUX_CREDENTIAL_AWS_INSTANCE:
        return next_instance(f);
    case LLMUX_CREDENTIAL_AWS_WEB_IDENTITY:
        return next_web_identity(f);
    default:
        return fail(f, "this is no credential of AWS");
    }
}
