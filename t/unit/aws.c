/* aws.c - where AWS credentials come from: what is asked, what is made of the
 * answers, and what the environment says. */

#include "llmux/credential.h"

#include <stdlib.h>
#include <unistd.h>

#include <apr_file_io.h>
#include <apr_strings.h>

#include "tap.h"

#define NOW apr_time_from_sec(APR_INT64_C(1767225600))  /* 2026-01-01 */
#define HOUR apr_time_from_sec(3600)

/* In every answer and token below that must not come up in a message. */
#define HIDDEN "HuShHuSh"

static apr_time_t fixed_now(void *host)
{
    return NOW;
}

static const llmux_env_t env = { .now = fixed_now };

static llmux_fetch_t *fetch(apr_pool_t *p, const llmux_credential_t *c)
{
    llmux_fetch_t *f = apr_pcalloc(p, sizeof(*f));

    f->pool = p;
    f->credential = c;
    f->env = &env;
    return f;
}

static llmux_fetch_e answer(llmux_fetch_t *f, int status, const char *body)
{
    f->status = status;
    f->body = llmux_slice(body);
    return llmux_credential_next(f);
}

static llmux_credential_t *of_kind(apr_pool_t *p, llmux_credential_e kind,
                                   const char *url)
{
    llmux_credential_t *c = apr_pcalloc(p, sizeof(*c));

    c->kind = kind;
    c->url = url;
    return c;
}

static const llmux_secret_t *secret(apr_pool_t *p, const char *text)
{
    return llmux_secret_read(p, text, NULL);
}

static const char *header(const llmux_request_t *rq, const char *name)
{
    int i;

    for (i = 0; i < rq->headers->nelts; i++) {
        const llmux_header_t *h = &APR_ARRAY_IDX(rq->headers, i,
                                                 llmux_header_t);

        if (!strcmp(h->name, name)) {
            return h->value;
        }
    }
    return NULL;
}

/* It failed, and says why in these words and without secrets. */
static void failed(const llmux_fetch_t *f, llmux_fetch_e got,
                   const char *words, const char *name)
{
    static const llmux_grant_t none;
    int good = got == LLMUX_FETCH_FAILED && f->why
        && strstr(f->why, words) && !strstr(f->why, HIDDEN)
        && !memcmp(&f->grant, &none, sizeof(none)) && !f->ask;

    if (!ok(good, "%s", name)) {
        printf("#   %d: %s\n", got, f->why ? f->why : "(null)");
    }
}

/* ---- static ----------------------------------------------------------- */

static void static_keys(apr_pool_t *p)
{
    llmux_credential_t *c = llmux_aws_static(p, secret(p, "AKID"),
        secret(p, "key/+="), secret(p, "session"));
    llmux_fetch_t *f = fetch(p, c);

    is_int(llmux_credential_next(f), LLMUX_FETCH_DONE,
           "static keys need not be fetched");
    is_str(f->grant.id, "AKID", "id");
    is_str(f->grant.secret, "key/+=", "secret");
    is_str(f->grant.token, "session", "session token");
    is_int(f->grant.expires, 0, "they do not expire");
    c = llmux_aws_static(p, secret(p, "AKID"), secret(p, "key"), NULL);
    f = fetch(p, c);
    is_int(llmux_credential_next(f), LLMUX_FETCH_DONE, "without a session");
    is_str(f->grant.token, "", "no session token");
    f = fetch(p, llmux_aws_static(p, secret(p, "A,B"), secret(p, "x"), NULL));
    failed(f, llmux_credential_next(f), "access key id has characters",
           "an id with a comma is refused");
    f = fetch(p, llmux_aws_static(p, NULL, secret(p, "x"), NULL));
    failed(f, llmux_credential_next(f), "no access key id", "so is none");
}

/* ---- containers ------------------------------------------------------- */

#define KEYS "\"AccessKeyId\":\"ASIA1\",\"SecretAccessKey\":\"" HIDDEN "/+=\","
#define TOKEN "\"Token\":\"" HIDDEN "//=\""

/* An answer of 200 with a time, and the seconds from now to it; -1: refused
 * with these words. */
static const struct {
    const char *name, *body;
    apr_int64_t seconds;
    const char *why;
} answers[] = {
    { "as ECS says it", "{\"RoleArn\":\"arn:aws:iam::1:role/r\"," KEYS TOKEN
      ",\"Expiration\":\"2026-01-01T01:00:00Z\"}", 3600, NULL },
    { "with parts of a second", "{" KEYS TOKEN
      ",\"Expiration\":\"2026-01-01T00:00:01.359Z\"}", 1, NULL },
    { "with a zone east", "{" KEYS TOKEN
      ",\"Expiration\":\"2026-01-01T01:30:00+01:00\"}", 1800, NULL },
    { "with a zone west", "{" KEYS TOKEN
      ",\"Expiration\":\"2025-12-31T23:30:00-0100\"}", 1800, NULL },
    { "in a leap year", "{" KEYS TOKEN
      ",\"Expiration\":\"2028-02-29T00:00:00Z\"}", 68169600, NULL },
    { "without a time", "{" KEYS TOKEN "}", LLMUX_GRANT_UNSAID, NULL },
    { "expired", "{" KEYS TOKEN ",\"Expiration\":\"2025-12-31T23:59:59Z\"}",
      -1, "expired already" },
    { "expired now", "{" KEYS TOKEN
      ",\"Expiration\":\"2026-01-01T00:00:00Z\"}", -1, "expired already" },
    { "no time", "{" KEYS TOKEN ",\"Expiration\":\"soon\"}", -1,
      "not a time" },
    { "month 13", "{" KEYS TOKEN ",\"Expiration\":\"2026-13-01T00:00:00Z\"}",
      -1, "not a time" },
    { "hour 24", "{" KEYS TOKEN ",\"Expiration\":\"2026-01-02T24:00:00Z\"}",
      -1, "not a time" },
    { "before 1970", "{" KEYS TOKEN
      ",\"Expiration\":\"1969-12-31T23:59:59Z\"}", -1, "not a time" },
    { "1970 itself", "{" KEYS TOKEN
      ",\"Expiration\":\"1970-01-01T00:00:00Z\"}", -1, "not a time" },
    { "no zone", "{" KEYS TOKEN ",\"Expiration\":\"2026-01-01T01:00:00\"}",
      -1, "not a time" },
    { "more behind it", "{" KEYS TOKEN
      ",\"Expiration\":\"2026-01-01T01:00:00Z!\"}", -1, "not a time" },
    { "an odd zone", "{" KEYS TOKEN
      ",\"Expiration\":\"2026-01-01T01:00:00+99:00\"}", -1, "not a time" },
    { "cut", "{" KEYS TOKEN ",\"Expiration\":\"2026-01-01T0\"}", -1,
      "not a time" },
    { "no id", "{\"SecretAccessKey\":\"" HIDDEN "\"," TOKEN "}", -1,
      "no access key id" },
    { "no key", "{\"AccessKeyId\":\"A\"," TOKEN "}", -1,
      "no secret access key" },
    { "a key that is no text", "{\"AccessKeyId\":\"A\","
      "\"SecretAccessKey\":[\"" HIDDEN "\"]}", -1, "no secret access key" },
    { "a null", "{\"AccessKeyId\":null," TOKEN "}", -1, "no access key id" },
    { "a line end in the token", "{" KEYS "\"Token\":\"" HIDDEN
      "\\r\\nX: y\"}", -1, "session token has characters" },
    { "a NUL in the key", "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\""
      HIDDEN "\\u0000\"}", -1, "secret access key has characters" },
    { "an umlaut in the id", "{\"AccessKeyId\":\"" HIDDEN "\\u00e4\","
      "\"SecretAccessKey\":\"x\"}", -1, "access key id has characters" },
    { "an error in its place", "{\"code\":\"NoId\",\"message\":\"" HIDDEN
      "\"}", -1, "no access key id" },
    { "not an object", "[" "{" KEYS TOKEN "}" "]", -1, "not a JSON object" },
    { "not JSON", HIDDEN, -1, "not a JSON object" },
    { "nothing", "", -1, "not a JSON object" },
};

static void container_answers(apr_pool_t *p)
{
    apr_size_t i;

    for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        llmux_fetch_t *f = fetch(p, of_kind(p, LLMUX_CREDENTIAL_AWS_CONTAINER,
                                            "http://127.0.0.1/"));
        llmux_fetch_e got;

        llmux_credential_next(f);
        got = answer(f, 200, answers[i].body);
        if (answers[i].why) {
            failed(f, got, answers[i].why, answers[i].name);
        }
        else if (is_int(got, LLMUX_FETCH_DONE, answers[i].name)) {
            is_int(apr_time_sec(f->grant.expires - NOW), answers[i].seconds,
                   "  and lasts as long as it says");
            is_str(f->grant.secret, HIDDEN "/+=", "  with the key");
            is_str(f->grant.token, HIDDEN "//=", "  and the token");
        }
    }
}

static void container_errors(apr_pool_t *p)
{
    static const struct {
        int status;
        const char *body, *why;
    } rows[] = {
        { 0, NULL, "no answer" },
        { 404, "{\"code\":\"InvalidId\",\"message\":\"" HIDDEN "\"}",
          "status 404, InvalidId" },
        { 400, "{\"code\":\"" HIDDEN " is it\"}", "status 400" },
        { 400, "{\"Code\":7,\"error\":\"unknown\"}", "status 400, unknown" },
        { 500, HIDDEN, "status 500" },
        { 302, "", "status 302" },
        { 201, "{" KEYS TOKEN "}", "status 201" },
    };
    char *long_id = apr_palloc(p, LLMUX_GRANT_ID_MAX + 1);
    llmux_fetch_t *f;
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        f = fetch(p, of_kind(p, LLMUX_CREDENTIAL_AWS_CONTAINER,
                             "http://127.0.0.1/" HIDDEN));
        llmux_credential_next(f);
        failed(f, answer(f, rows[i].status, rows[i].body), rows[i].why,
               rows[i].why);
    }
    memset(long_id, 'A', LLMUX_GRANT_ID_MAX);
    long_id[LLMUX_GRANT_ID_MAX] = '\0';
    f = fetch(p, of_kind(p, LLMUX_CREDENTIAL_AWS_CONTAINER, "http://[::1]/"));
    llmux_credential_next(f);
    failed(f, answer(f, 200, apr_psprintf(p, "{\"AccessKeyId\":\"%s\","
                                          "\"SecretAccessKey\":\"x\"}",
                                          long_id)),
           "more than 127 bytes", "an id too long");
    f = fetch(p, of_kind(p, LLMUX_CREDENTIAL_AWS_CONTAINER, NULL));
    failed(f, llmux_credential_next(f), "nobody to ask", "no address");
    f = fetch(p, of_kind(p, LLMUX_CREDENTIAL_AWS_CONTAINER, "http://[::1]/"));
    llmux_credential_next(f);
    f->status = 200;
    f->body.data = apr_pcalloc(p, LLMUX_GRANT_BODY_MAX + 1);
    f->body.len = LLMUX_GRANT_BODY_MAX + 1;
    failed(f, llmux_credential_next(f), "status 200", "an answer too long");
}

/* A file of the test's own with these bytes. */
static const char *file_with(apr_pool_t *p, const char *bytes)
{
    const char *dir = NULL;
    char *path;
    int fd;

    apr_temp_dir_get(&dir, p);
    path = apr_pstrcat(p, dir ? dir : ".", "/llmux-aws-XXXXXX", NULL);
    fd = mkstemp(path);
    if (fd < 0 || write(fd, bytes, strlen(bytes)) != (ssize_t)strlen(bytes)) {
        printf("# cannot write %s\n", path);
    }
    if (fd >= 0) {
        close(fd);
    }
    return path;
}

static void container_tokens(apr_pool_t *p)
{
    static const struct { const char *bytes, *sent, *why; } rows[] = {
        { "Basic " HIDDEN, "Basic " HIDDEN, NULL },
        { HIDDEN "\n", HIDDEN, NULL },
        { HIDDEN "\r\n", HIDDEN, NULL },
        { HIDDEN "\nX-Evil: yes", NULL, "line ends" },
        { HIDDEN "\rX", NULL, "line ends" },
        { "\n", NULL, "is empty" },
        { "", NULL, "is empty" },
    };
    llmux_credential_t *c = of_kind(p, LLMUX_CREDENTIAL_AWS_CONTAINER,
                                    "http://169.254.170.23/v1/credentials");
    llmux_fetch_t *f;
    llmux_fetch_e got;
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        c->session_file = file_with(p, rows[i].bytes);
        f = fetch(p, c);
        got = llmux_credential_next(f);
        if (rows[i].why) {
            failed(f, got, rows[i].why, "a bad token in a file");
        }
        else if (is_int(got, LLMUX_FETCH_ASK, "a token in a file")) {
            is_str(header(f->ask, "Authorization"), rows[i].sent,
                   "  is sent as it is");
        }
        unlink(c->session_file);
    }
    f = fetch(p, c);
    failed(f, llmux_credential_next(f), "cannot read", "the file is gone");
    c->session_file = file_with(p, apr_pstrcat(p, HIDDEN,
        memset(apr_pcalloc(p, LLMUX_SECRET_MAX), 'a', LLMUX_SECRET_MAX - 1),
        NULL));
    f = fetch(p, c);
    failed(f, llmux_credential_next(f), "more than", "the file is too long");
    unlink(c->session_file);
    c->session_file = NULL;
    c->session = secret(p, "from the environment");
    f = fetch(p, c);
    is_int(llmux_credential_next(f), LLMUX_FETCH_ASK, "a token in a variable");
    is_str(header(f->ask, "Authorization"), "from the environment",
           "is sent too");
    is_str(f->ask->url, "http://169.254.170.23/v1/credentials", "to whom");
    ok(!f->ask->method && !f->ask->body.data, "with GET");
    ok(f->ask->upstream == &c->upstream, "as the credential says");
}

/* ---- instances -------------------------------------------------------- */

#define BASE "http://169.254.169.254/latest/"
#define ROLES BASE "meta-data/iam/security-credentials/"

/* Goes as far as `steps` good answers lead. */
static llmux_fetch_t *at_instance(apr_pool_t *p, int steps)
{
    llmux_fetch_t *f = fetch(p, of_kind(p, LLMUX_CREDENTIAL_AWS_INSTANCE,
                                        NULL));

    llmux_credential_next(f);
    if (steps > 0) {
        answer(f, 200, "se==ion");
    }
    if (steps > 1) {
        answer(f, 200, "my-role");
    }
    return f;
}

static void instance(apr_pool_t *p)
{
    llmux_fetch_t *f = fetch(p, of_kind(p, LLMUX_CREDENTIAL_AWS_INSTANCE,
                                        NULL));

    is_int(llmux_credential_next(f), LLMUX_FETCH_ASK, "first, a session");
    is_str(f->ask->method, "PUT", "with PUT");
    is_str(f->ask->url, BASE "api/token", "as version 2 has it");
    is_str(header(f->ask, "X-aws-ec2-metadata-token-ttl-seconds"), "21600",
           "for six hours");
    is_int(answer(f, 200, "se==ion\n"), LLMUX_FETCH_ASK, "then, the role");
    ok(!f->ask->method && !f->ask->body.data, "with GET");
    is_str(f->ask->url, ROLES, "whatever it is called");
    is_str(header(f->ask, "X-aws-ec2-metadata-token"), "se==ion",
           "in the session");
    is_int(answer(f, 200, "my-role\nother"), LLMUX_FETCH_ASK,
           "then, its keys");
    is_str(f->ask->url, ROLES "my-role", "by the first name");
    is_str(header(f->ask, "X-aws-ec2-metadata-token"), "se==ion",
           "in the session too");
    is_int(answer(f, 200, "{\"Code\":\"Success\",\"LastUpdated\":\"x\","
                  "\"Type\":\"AWS-HMAC\"," KEYS TOKEN ",\"Expiration\":"
                  "\"2026-01-01T06:00:00Z\"}"), LLMUX_FETCH_DONE, "done");
    is_str(f->grant.id, "ASIA1", "the id");
    is_int(f->grant.expires, NOW + 6 * HOUR, "for six hours");
    f = at_instance(p, 2);
    is_int(answer(f, 200, "{\"Code\":\"Success\"," KEYS TOKEN
                  ",\"Expiration\":\"2025-12-31T00:00:00Z\"}"),
           LLMUX_FETCH_DONE, "old keys are better than none");
    is_int(f->grant.expires, NOW + apr_time_from_sec(LLMUX_GRANT_STALE),
           "for a while");
}

static void instance_errors(apr_pool_t *p)
{
    static const struct {
        int steps, status;
        const char *body, *why;
    } rows[] = {
        { 0, 0, NULL, "hop limit" },
        { 0, 403, "", "EC2's metadata service: status 403" },
        { 0, 404, "", "status 404" },
        { 0, 200, "", "no session" },
        { 0, 200, HIDDEN " two", "no session" },
        { 0, 200, "<html>\x80" HIDDEN, "no session" },
        { 1, 0, NULL, "no answer" },
        { 1, 401, HIDDEN, "status 401" },
        { 1, 404, HIDDEN, "has no role" },
        { 1, 200, "", "no role's name" },
        { 1, 200, "../" HIDDEN, "no role's name" },
        { 1, 200, "a?b=" HIDDEN, "no role's name" },
        { 2, 0, NULL, "no answer" },
        { 2, 500, HIDDEN, "status 500" },
        { 2, 200, "{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\""
          HIDDEN "\"}", "AssumeRoleUnauthorizedAccess" },
        { 2, 200, "{\"Code\":\"no " HIDDEN "\"}", "did not succeed" },
        { 2, 200, "{\"Code\":[\"Success\"]," KEYS TOKEN "}",
          "did not succeed" },
    };
    char *name = apr_pcalloc(p, LLMUX_METADATA_TOKEN_MAX + 2);
    apr_size_t i;
    llmux_fetch_t *f;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        f = at_instance(p, rows[i].steps);
        failed(f, answer(f, rows[i].status, rows[i].body), rows[i].why,
               apr_psprintf(p, "step %d, status %d: %s", rows[i].steps,
                            rows[i].status, rows[i].why));
    }
    memset(name, 'a', LLMUX_METADATA_TOKEN_MAX + 1);
    f = at_instance(p, 0);
    failed(f, answer(f, 200, name), "no session", "a session too long");
    f = at_instance(p, 1);
    failed(f, answer(f, 200, name), "no role's name", "a role too long");
    name[LLMUX_METADATA_TOKEN_MAX] = '\0';
    f = at_instance(p, 0);
    is_int(answer(f, 200, name), LLMUX_FETCH_ASK, "a session just so long");
}

/* ---- web identities --------------------------------------------------- */

#define RESPONSE "AssumeRoleWithWebIdentityResponse"
#define RESULT "AssumeRoleWithWebIdentityResult"
#define WRAP(inside) "<" RESPONSE " xmlns=\"https://sts.amazonaws.com/doc/" \
    "2011-06-15/\"><" RESULT ">" inside "</" RESULT ">" \
    "<ResponseMetadata><RequestId>x</RequestId></ResponseMetadata></" \
    RESPONSE ">"
#define ID "<AccessKeyId>ASIA2</AccessKeyId>"
#define KEY "<SecretAccessKey>" HIDDEN "/=</SecretAccessKey>"
#define SESSION "<SessionToken>\n  " HIDDEN "\n</SessionToken>"
#define UNTIL "<Expiration>2026-01-01T01:00:00Z</Expiration>"
#define DEEP(inside) "<a><a><a><a><a><a><a><a><a><a><a><a><a><a>" inside \
    "</a></a></a></a></a></a></a></a></a></a></a></a></a></a>"
#define GOOD "<Credentials>" SESSION KEY UNTIL ID "</Credentials>"

static const struct {
    const char *name, *body, *why;
} xml[] = {
    { "as STS says it", WRAP("<Audience>sts.amazonaws.com</Audience>"
      "<AssumedRoleUser><Arn>arn</Arn></AssumedRoleUser>" GOOD), NULL },
    { "with all that XML may have", "<?xml version='1.0'?>\n<!-- > -->\n"
      WRAP("<a b='>' c=\"<>'\"/><empty/>" GOOD "<!-- - -- -->") "\n ", NULL },
    { "elsewhere in the tree", WRAP("<Other>" GOOD "</Other>"),
      "no access key id" },
    { "twice", WRAP(GOOD GOOD), "not the XML" },
    { "without a key", WRAP("<Credentials>" ID SESSION "</Credentials>"),
      "no secret access key" },
    { "an empty key", WRAP("<Credentials>" ID "<SecretAccessKey/>"
      "</Credentials>"), "no secret access key" },
    { "entities", WRAP("<Credentials>" ID "<SecretAccessKey>" HIDDEN "&amp;"
      "</SecretAccessKey></Credentials>"), "not the XML" },
    { "elements in a key", WRAP("<Credentials>" ID "<SecretAccessKey>" HIDDEN
      "<b/>x</SecretAccessKey></Credentials>"), "not the XML" },
    { "a comment in a key", WRAP("<Credentials>" ID "<SecretAccessKey>" HIDDEN
      "<!---->x</SecretAccessKey></Credentials>"), "not the XML" },
    { "a line end in a key", WRAP("<Credentials>" ID "<SecretAccessKey>" HIDDEN
      "\nx</SecretAccessKey></Credentials>"), "has characters" },
    { "CDATA", WRAP("<Credentials>" ID "<SecretAccessKey><![CDATA[" HIDDEN
      "]]></SecretAccessKey></Credentials>"), "not the XML" },
    { "a DTD", "<!DOCTYPE a [<!ENTITY b \"c\">]>" WRAP(GOOD), "not the XML" },
    { "crossed tags", "<a><b></a></b>", "not the XML" },
    { "an end too many", WRAP(GOOD) "</a>", "not the XML" },
    { "two roots", WRAP(GOOD) WRAP(""), "not the XML" },
    { "text behind it", WRAP(GOOD) HIDDEN, "not the XML" },
    { "an open comment", WRAP(GOOD) "<!--", "not the XML" },
    { "an open tag", WRAP(GOOD) "<", "not the XML" },
    { "an open quote", "<a b=\">", "not the XML" },
    { "a tag in a tag", "<a <b></a>", "not the XML" },
    { "no name", "<></>", "not the XML" },
    { "as deep as it may be", WRAP(DEEP("") GOOD), NULL },
    { "too deep", WRAP(DEEP("<a></a>") GOOD), "not the XML" },
    { "not XML", HIDDEN, "not the XML" },
    { "nothing", "", "not the XML" },
};

static llmux_credential_t *web_identity(apr_pool_t *p, const char *bytes)
{
    llmux_credential_t *c = of_kind(p, LLMUX_CREDENTIAL_AWS_WEB_IDENTITY,
                                    "https://sts.eu-west-1.amazonaws.com/");

    c->role = "arn:aws:iam::1:role/r";
    c->session_file = file_with(p, bytes);
    return c;
}

static void web_identities(apr_pool_t *p)
{
    llmux_credential_t *c = web_identity(p, "ey.J-_~+" HIDDEN "\n");
    llmux_fetch_t *f = fetch(p, c);
    llmux_fetch_e got;
    apr_size_t i;

    is_int(llmux_credential_next(f), LLMUX_FETCH_ASK, "STS is asked");
    is_str(f->ask->url, c->url, "at its address");
    is_str(llmux_slice_str(p, f->ask->body), "Action=AssumeRoleWithWebIdentity"
           "&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr"
           "&RoleSessionName=mod_llmux&WebIdentityToken=ey.J-_~%2B" HIDDEN,
           "with a form");
    is_str(header(f->ask, "Content-Type"),
           "application/x-www-form-urlencoded", "which says so");
    for (i = 0; i < sizeof(xml) / sizeof(xml[0]); i++) {
        f = fetch(p, c);
        llmux_credential_next(f);
        got = answer(f, 200, xml[i].body);
        if (xml[i].why) {
            failed(f, got, xml[i].why, xml[i].name);
        }
        else if (is_int(got, LLMUX_FETCH_DONE, xml[i].name)) {
            is_str(f->grant.id, "ASIA2", "  the id");
            is_str(f->grant.secret, HIDDEN "/=", "  the key");
            is_str(f->grant.token, HIDDEN, "  the token, trimmed");
            is_int(f->grant.expires, NOW + HOUR, "  the time");
        }
    }
    f = fetch(p, c);
    llmux_credential_next(f);
    failed(f, answer(f, 400, "<ErrorResponse><Error><Type>Sender</Type>"
                     "<Code>InvalidIdentityToken</Code><Message>" HIDDEN
                     "</Message></Error></ErrorResponse>"),
           "AWS STS: status 400, InvalidIdentityToken", "an error of STS");
    unlink(c->session_file);
}

static void bad_identities(apr_pool_t *p)
{
    llmux_credential_t *c = web_identity(p, HIDDEN " two");
    llmux_fetch_t *f = fetch(p, c);

    failed(f, llmux_credential_next(f), "is no token", "a blank in a token");
    unlink(c->session_file);
    f = fetch(p, c);
    failed(f, llmux_credential_next(f), "cannot read", "no file");
    c->role = apr_pstrdup(p, memset(apr_pcalloc(p, 5 * LLMUX_WEB_IDENTITY_MAX),
                                    'r', 5 * LLMUX_WEB_IDENTITY_MAX - 1));
    c->session_file = file_with(p, HIDDEN);
    f = fetch(p, c);
    failed(f, llmux_credential_next(f), "too long", "a role too long");
    unlink(c->session_file);
    c->role = NULL;
    f = fetch(p, c);
    failed(f, llmux_credential_next(f), "a role", "no role");
}

/* ---- the environment -------------------------------------------------- */

/* All variables that matter; each row sets some of them. */
static const char *const all[] = {
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL_STS", "AWS_REGION", "AWS_DEFAULT_REGION",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_EC2_METADATA_DISABLED",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"
};

#define STATIC LLMUX_CREDENTIAL_AWS_STATIC
#define CONTAINER LLMUX_CREDENTIAL_AWS_CONTAINER
#define INSTANCE LLMUX_CREDENTIAL_AWS_INSTANCE
#define IDENTITY LLMUX_CREDENTIAL_AWS_WEB_IDENTITY

#define FULL "AWS_CONTAINER_CREDENTIALS_FULL_URI="
#define RELATIVE "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI="
#define IDENTIFIED "AWS_WEB_IDENTITY_TOKEN_FILE=/t AWS_ROLE_ARN=arn "
#define ENDPOINT "AWS_EC2_METADATA_SERVICE_ENDPOINT="

/* Variables, apart by blanks; the kind with its address, or why there is
 * none. */
static const struct {
    const char *set;
    llmux_credential_e kind;
    const char *url, *why;
} rows[] = {
    { "", INSTANCE, "http://169.254.169.254", NULL },
    { "AWS_ACCESS_KEY_ID=A AWS_SECRET_ACCESS_KEY=" HIDDEN, STATIC, NULL,
      NULL },
    { "AWS_ACCESS_KEY_ID=A AWS_SECRET_ACCESS_KEY=" HIDDEN
      " AWS_SESSION_TOKEN=t " IDENTIFIED, STATIC, NULL, NULL },
    { "AWS_ACCESS_KEY_ID=A", STATIC, NULL, "AWS_SECRET_ACCESS_KEY is not" },
    { "AWS_SECRET_ACCESS_KEY=" HIDDEN, STATIC, NULL,
      "AWS_ACCESS_KEY_ID is not" },
    { "AWS_ACCESS_KEY_ID= AWS_SECRET_ACCESS_KEY=", INSTANCE,
      "http://169.254.169.254", NULL },
    { "AWS_ACCESS_KEY_ID=A/" HIDDEN " AWS_SECRET_ACCESS_KEY=x", STATIC, NULL,
      "access key id has" },
    { IDENTIFIED, IDENTITY, "https://sts.amazonaws.com/", NULL },
    { IDENTIFIED "AWS_REGION=eu-central-1 " RELATIVE "/x", IDENTITY,
      "https://sts.eu-central-1.amazonaws.com/", NULL },
    { IDENTIFIED "AWS_DEFAULT_REGION=cn-north-1", IDENTITY,
      "https://sts.cn-north-1.amazonaws.com.cn/", NULL },
    { IDENTIFIED "AWS_REGION=evil.test/", IDENTITY,
      "https://sts.amazonaws.com/", NULL },
    { IDENTIFIED "AWS_ENDPOINT_URL_STS=https://sts.test", IDENTITY,
      "https://sts.test", NULL },
    { IDENTIFIED "AWS_ENDPOINT_URL_STS=http://localhost:4566", IDENTITY,
      "http://localhost:4566", NULL },
    { IDENTIFIED "AWS_ENDPOINT_URL_STS=http://sts.test", IDENTITY, NULL,
      "must be https" },
    { "AWS_WEB_IDENTITY_TOKEN_FILE=/t", IDENTITY, NULL, "AWS_ROLE_ARN" },
    { "AWS_ROLE_ARN=arn", INSTANCE, "http://169.254.169.254", NULL },
    { RELATIVE "/v2/credentials/x?id=1", CONTAINER,
      "http://169.254.170.2/v2/credentials/x?id=1", NULL },
    { RELATIVE "/a " FULL "https://b.test/", CONTAINER,
      "http://169.254.170.2/a", NULL },
    { RELATIVE "@evil.test/", CONTAINER, NULL, "must begin with /" },
    { RELATIVE "/a\rb", CONTAINER, NULL, "is no path" },
    { FULL "https://any.test/x", CONTAINER, "https://any.test/x", NULL },
    { FULL "http://169.254.170.23/v1/credentials", CONTAINER,
      "http://169.254.170.23/v1/credentials", NULL },
    { FULL "http://[fd00:ec2::23]/v1/credentials", CONTAINER,
      "http://[fd00:ec2::23]/v1/credentials", NULL },
    { FULL "http://[fd00:0ec2:0::23]:80/", CONTAINER,
      "http://[fd00:0ec2:0::23]:80/", NULL },
    { FULL "http://127.9.9.9:51679/a", CONTAINER, "http://127.9.9.9:51679/a",
      NULL },
    { FULL "http://localhost:1/", CONTAINER, "http://localhost:1/", NULL },
    { FULL "http://[::1]:8080", CONTAINER, "http://[::1]:8080", NULL },
    { FULL "http://169.254.170.2/", CONTAINER, "http://169.254.170.2/", NULL },
    { FULL "http://169.254.169.254/", CONTAINER, NULL, "must be https" },
    { FULL "http://any.test/", CONTAINER, NULL, "must be https" },
    { FULL "http://127.0.0.1.evil.test/", CONTAINER, NULL, "must be https" },
    { FULL "http://localhost@evil.test/", CONTAINER, NULL, "must be https" },
    { FULL "http://localhost:1@evil.test/", CONTAINER, NULL, "must be https" },
    { FULL "http://[::1]evil.test/", CONTAINER, NULL, "must be https" },
    { FULL "http://[::1", CONTAINER, NULL, "must be https" },
    { FULL "http://[fe80::1]/", CONTAINER, NULL, "must be https" },
    { FULL "http://2130706433/", CONTAINER, NULL, "must be https" },
    { FULL "http://0x7f.1/", CONTAINER, NULL, "must be https" },
    { FULL "https://", CONTAINER, NULL, "must be https" },
    { FULL "file:///x", CONTAINER, NULL, "must be https" },
    { FULL "https://a.test/ AWS_CONTAINER_AUTHORIZATION_TOKEN=a\nb", CONTAINER,
      NULL, "control characters" },
    { "AWS_EC2_METADATA_DISABLED=TRUE", INSTANCE, NULL, "no AWS credentials" },
    { "AWS_EC2_METADATA_DISABLED=false", INSTANCE, "http://169.254.169.254",
      NULL },
    { ENDPOINT "http://127.0.0.1:1338/", INSTANCE, "http://127.0.0.1:1338",
      NULL },
    { ENDPOINT "127.0.0.1", INSTANCE, NULL, "is no URL" },
    { ENDPOINT "http://", INSTANCE, NULL, "is no URL" },
    { ENDPOINT "http://a.test/?b=", INSTANCE, NULL, "is no URL" },
    { "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=ipv6", INSTANCE,
      "http://[fd00:ec2::254]", NULL },
};

static void set_only(apr_pool_t *p, const char *what)
{
    char *word, *equals, *state = NULL;
    apr_size_t i;

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        unsetenv(all[i]);
    }
    for (word = apr_strtok(apr_pstrdup(p, what), " ", &state); word;
         word = apr_strtok(NULL, " ", &state)) {
        equals = strchr(word, '=');
        *equals = '\0';
        setenv(word, equals + 1, 1);
    }
}

static void environment(apr_pool_t *p)
{
    llmux_credential_t *c;
    const char *why;
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        set_only(p, rows[i].set);
        c = llmux_aws_from_environment(p, &why);
        if (rows[i].why) {
            ok(!c && why && strstr(why, rows[i].why) && !strstr(why, HIDDEN),
               "refused: %s (%s)", rows[i].why, why ? why : "no reason");
            continue;
        }
        ok(c && !why && c->kind == rows[i].kind && c->upstream.total > 0,
           "of kind %d: %s", rows[i].kind, rows[i].url ? rows[i].url : "keys");
        is_str(c ? c->url : NULL, rows[i].url, "  at its address");
    }
}

static void what_else(apr_pool_t *p)
{
    llmux_credential_t *c;
    const char *why;

    set_only(p, "AWS_ACCESS_KEY_ID=A AWS_SECRET_ACCESS_KEY=S "
                "AWS_SESSION_TOKEN=T");
    c = llmux_aws_from_environment(p, &why);
    ok(c && llmux_secret_equal(c->id, llmux_slice("A"))
       && llmux_secret_equal(c->secret, llmux_slice("S"))
       && llmux_secret_equal(c->session, llmux_slice("T")), "static keys");
    set_only(p, FULL "https://a.test/ AWS_CONTAINER_AUTHORIZATION_TOKEN=T");
    c = llmux_aws_from_environment(p, &why);
    ok(c && llmux_secret_equal(c->session, llmux_slice("T"))
       && !c->session_file, "a container's token");
    set_only(p, FULL "https://a.test/ AWS_CONTAINER_AUTHORIZATION_TOKEN=T "
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/t");
    c = llmux_aws_from_environment(p, &why);
    ok(c && !c->session && c->session_file && !strcmp(c->session_file, "/t"),
       "its file goes before it");
    set_only(p, IDENTIFIED "AWS_ROLE_SESSION_NAME=me");
    c = llmux_aws_from_environment(p, &why);
    ok(c && !strcmp(c->role, "arn") && !strcmp(c->role_session, "me")
       && !strcmp(c->session_file, "/t"), "a web identity");
    ok(c && !c->upstream.proxy, "which may need a proxy");
    set_only(p, "AWS_REGION=Ev/il AWS_DEFAULT_REGION=us-west-2");
    is_str(llmux_aws_region_from_environment(p), "us-west-2",
           "the region, if it is one");
    set_only(p, "");
    is_str(llmux_aws_region_from_environment(p), NULL, "or none");
    c = llmux_aws_from_environment(p, &why);
    is_str(c ? c->upstream.proxy : NULL, "",
           "the instance's service is not asked through a proxy");
}

int main(void)
{
    apr_pool_t *p;

    apr_initialize();
    apr_pool_create(&p, NULL);
    static_keys(p);
    container_answers(p);
    container_errors(p);
    container_tokens(p);
    instance(p);
    instance_errors(p);
    web_identities(p);
    bad_identities(p);
    environment(p);
    what_else(p);
    apr_pool_destroy(p);
    return tap_done();
}
