/* aws_answer.c - what AWS's services answer, read into a grant. */

#include "aws_answer.h"

#include <stddef.h>
#include <string.h>

#include <apr_strings.h>

#include "vendors.h"
#include "xml.h"

#define WORD_MAX 64

/* ---- times ------------------------------------------------------------ */

/* @return so many digits' value, -1 if they are none; moves on */
static int number(llmux_slice_t *s, int digits)
{
    int n = 0;

    for (; digits; digits--) {
        if (!s->len || *s->data < '0' || *s->data > '9') {
            return -1;
        }
        n = n * 10 + (*s->data - '0');
        s->data++;
        s->len--;
    }
    return n;
}

static int passes(llmux_slice_t *s, const char *any)
{
    if (!s->len || !*s->data || !strchr(any, *s->data)) {
        return 0;
    }
    s->data++;
    s->len--;
    return 1;
}

/* "Z" or "+01:00". @return 0 if it is neither, or something follows */
static int read_zone(llmux_slice_t s, int *seconds)
{
    int minus = s.len && *s.data == '-', hours, minutes;

    *seconds = 0;
    if (passes(&s, "Zz")) {
        return !s.len;
    }
    if (!passes(&s, "+-")) {
        return 0;
    }
    hours = number(&s, 2);
    passes(&s, ":");
    minutes = number(&s, 2);
    *seconds = (hours * 60 + minutes) * (minus ? -60 : 60);
    return hours >= 0 && hours < 24 && minutes >= 0 && minutes < 60 && !s.len;
}

/* Each field of "2017-05-17T15:09:54", what follows it, and its range. */
static const struct {
    int digits;
    const char *then;
    int from, to;
} parts[] = {
    { 4, "-", 1970, 9999 }, { 2, "-", 1, 12 }, { 2, "Tt ", 1, 31 },
    { 2, ":", 0, 23 },      { 2, ":", 0, 59 }, { 2, NULL, 0, 60 }
};

/* RFC 3339, as AWS writes it. Parts of a second are not of interest. */
static int read_time(llmux_slice_t s, apr_time_t *out)
{
    int field[sizeof(parts) / sizeof(parts[0])], zone;
    apr_time_exp_t t = { 0 };
    apr_size_t i;

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        field[i] = number(&s, parts[i].digits);
        if (field[i] < parts[i].from || field[i] > parts[i].to
            || (parts[i].then && !passes(&s, parts[i].then))) {
            return 0;
        }
    }
    if (passes(&s, ".")) {
        while (passes(&s, "0123456789")) {
        }
    }
    t.tm_year = field[0] - 1900;
    t.tm_mon = field[1] - 1;
    t.tm_mday = field[2];
    t.tm_hour = field[3];
    t.tm_min = field[4];
    t.tm_sec = field[5];
    if (!read_zone(s, &zone) || apr_time_exp_get(out, &t) != APR_SUCCESS) {
        return 0;
    }
    *out -= apr_time_from_sec(zone);
    return *out > 0;
}

/* ---- the grant -------------------------------------------------------- */

/* What is said, where it goes and how much room there is. The id stands in
 * a header between signs of its own. */
static const struct {
    const char *what;
    apr_size_t from, to, size;
    int needed;
    const char *without;
} fields[] = {
    { "access key id", offsetof(llmux_aws_said_t, id),
      offsetof(llmux_grant_t, id), LLMUX_GRANT_ID_MAX, 1, ",/=" },
    { "secret access key", offsetof(llmux_aws_said_t, secret),
      offsetof(llmux_grant_t, secret), LLMUX_GRANT_SECRET_MAX, 1, "" },
    { "session token", offsetof(llmux_aws_said_t, token),
      offsetof(llmux_grant_t, token), LLMUX_GRANT_TOKEN_MAX, 0, "" }
};

const char *llmux_aws_grant(apr_pool_t *p, const llmux_aws_said_t *said,
                            llmux_grant_t *grant)
{
    apr_size_t i;

    memset(grant, 0, sizeof(*grant));
    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        llmux_slice_t s = *(const llmux_slice_t *)((const char *)said
                                                   + fields[i].from);

        if (!s.len && !fields[i].needed) {
            continue;
        }
        if (!s.len) {
            return apr_psprintf(p, "there is no %s in it", fields[i].what);
        }
        if (s.len >= fields[i].size) {
            return apr_psprintf(p, "the %s has more than %d bytes",
                                fields[i].what, (int)fields[i].size - 1);
        }
        if (!llmux_credential_plain(s, fields[i].without)) {
            return apr_psprintf(p, "the %s has characters that cannot be in "
                                "one", fields[i].what);
        }
        memcpy((char *)grant + fields[i].to, s.data, s.len);
    }
    if (said->expires.len && !read_time(said->expires, &grant->expires)) {
        return "when they expire is not a time";
    }
    return NULL;
}

/* ---- words ------------------------------------------------------------ */

/* Only what is plainly a word is repeated in a log. */
static const char *as_word(apr_pool_t *p, llmux_slice_t s)
{
    apr_size_t i;

    for (i = 0; i < s.len; i++) {
        if (!((s.data[i] >= 'a' && s.data[i] <= 'z')
              || (s.data[i] >= 'A' && s.data[i] <= 'Z') || s.data[i] == '.'
              || s.data[i] == '_' || s.data[i] == '-')) {
            return NULL;
        }
    }
    return s.len && s.len <= WORD_MAX ? llmux_slice_str(p, s) : NULL;
}

const char *llmux_aws_error_word(apr_pool_t *p, llmux_slice_t body)
{
    static const char *const names[] = { "Code", "code", "error" };
    llmux_xml_pick_t pick = { "ErrorResponse/Error/Code", { NULL, 0 } };
    const llmux_json_t *root = llmux_json_parse(p, body, 0, NULL);
    const char *word = NULL;
    apr_size_t i;

    for (i = 0; !word && i < sizeof(names) / sizeof(names[0]); i++) {
        word = as_word(p, llmux_json_str(p, llmux_json_get(root, names[i])));
    }
    if (!root && llmux_xml_pick(body, &pick, 1)) {
        word = as_word(p, pick.text);
    }
    return word;
}

/* ---- answers ---------------------------------------------------------- */

const char *llmux_aws_grant_json(apr_pool_t *p, llmux_slice_t body,
                                 llmux_grant_t *grant)
{
    const llmux_json_t *root = llmux_json_parse(p, body, 0, NULL);
    const llmux_json_t *code = llmux_json_get(root, "Code");
    llmux_aws_said_t said;
    const char *word;

    if (llmux_json_kind(root) != LLMUX_JSON_OBJECT) {
        return "it is not a JSON object";
    }
    /* The instance's service says what went wrong with status 200. */
    if (code && !llmux_json_is(code, "Success")) {
        word = llmux_aws_error_word(p, body);
        return word ? apr_psprintf(p, "it says %s", word)
            : "it says that it did not succeed";
    }
    said.id = llmux_json_str(p, llmux_json_get(root, "AccessKeyId"));
    said.secret = llmux_json_str(p, llmux_json_get(root, "SecretAccessKey"));
    said.token = llmux_json_str(p, llmux_json_get(root, "Token"));
    said.expires = llmux_json_str(p, llmux_json_get(root, "Expiration"));
    return llmux_aws_grant(p, &said, grant);
}

#define CREDENTIALS "AssumeRoleWithWebIdentityResponse/" \
                    "AssumeRoleWithWebIdentityResult/Credentials/"

const char *llmux_aws_grant_xml(apr_pool_t *p, llmux_slice_t body,
                                llmux_grant_t *grant)
{
    llmux_xml_pick_t picks[] = {
        { CREDENTIALS "AccessKeyId", { NULL, 0 } },
        { CREDENTIALS "SecretAccessKey", { NULL, 0 } },
        { CREDENTIALS "SessionToken", { NULL, 0 } },
        { CREDENTIALS "Expiration", { NULL, 0 } }
    };
    llmux_aws_said_t said;

    if (!llmux_xml_pick(body, picks, 4)) {
        return "it is not the XML that was expected";
    }
    said.id = picks[0].text;
    said.secret = picks[1].text;
    said.token = picks[2].text;
    said.expires = picks[3].text;
    return llmux_aws_grant(p, &said, grant);
}
