/* error.c - errors, warnings, secrets, the log and ids. */

#include "llmux/core.h"
#include "tap.h"

#include <stdlib.h>
#include <unistd.h>

#include <sys/stat.h>

#include <apr_file_io.h>
#include <apr_strings.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- errors ---------------------------------------------------------- */

static void errors(apr_pool_t *p)
{
    const llmux_error_t *e = llmux_error(p, LLMUX_ERR_MODEL, "model",
                                         "There is no %s of %zu.", "gpt-9",
                                         (size_t)3);
    int kind, complete = 1;

    is_int(e->kind, LLMUX_ERR_MODEL, "an error has its kind");
    is_int(e->status, 404, "its status");
    is_str(e->type, "invalid_request_error", "its type");
    is_str(e->code, "model_not_found", "its code");
    is_str(e->param, "model", "the member at fault");
    is_str(e->message, "There is no gpt-9 of 3.", "its message");
    ok(e->retry_after == -1 && !e->final, "and nothing that was not said");
    ok(!llmux_error(p, LLMUX_ERR_INTERNAL, NULL, "x")->code,
       "a code may be null");
    is_str(llmux_error_anthropic(LLMUX_ERR_OVERLOADED), "overloaded_error",
           "Anthropic's word");
    is_str(llmux_error_gemini(LLMUX_ERR_QUOTA), "RESOURCE_EXHAUSTED",
           "Gemini's word");
    for (kind = 0; kind < LLMUX_ERR_COUNT; kind++) {
        e = llmux_error(p, (llmux_error_e)kind, NULL, "x");
        complete &= e->status >= 400 && e->status < 600 && e->type
                    && llmux_error_anthropic((llmux_error_e)kind)
                    && llmux_error_gemini((llmux_error_e)kind);
    }
    ok(complete, "every kind has its row");
    is_int(llmux_error(p, LLMUX_ERR_COUNT, NULL, "x")->status, 500,
           "an unknown kind is our own fault");
}

/* ---- warnings -------------------------------------------------------- */

static void warnings(apr_pool_t *p)
{
    llmux_warnings_t *w = llmux_warnings_create(p, 0);

    is_str(llmux_warnings_header(p, w), NULL, "nothing to tell");
    llmux_warn(w, LLMUX_WARN_EMULATE, "n");
    llmux_warn(w, LLMUX_WARN_DROP, "seed");
    llmux_warn(w, LLMUX_WARN_APPROX, "top_k");
    llmux_warn(w, LLMUX_WARN_DROP, "logit_bias");
    is_str(llmux_warnings_header(p, w),
           "drop=seed,logit_bias; approx=top_k; emulate=n", "in groups");
    llmux_warn(w, LLMUX_WARN_DROP, "seed");
    llmux_warn(w, LLMUX_WARN_APPROX, "seed");
    llmux_warn(w, LLMUX_WARN_DROP, "");
    llmux_warn(w, LLMUX_WARN_DROP, NULL);
    llmux_warn(w, (llmux_warn_e)7, "x");
    llmux_warn(NULL, LLMUX_WARN_DROP, "x");
    is_str(llmux_warnings_header(p, w),
           "drop=seed,logit_bias; approx=top_k; emulate=n",
           "each field once, as first noted");
    ok(!llmux_warnings_refusal(p, w, "x"), "telling refuses nothing");
    llmux_warnings_clear(w);
    is_str(llmux_warnings_header(p, w), NULL, "cleared");
    llmux_warn(w, LLMUX_WARN_APPROX, "seed");
    is_str(llmux_warnings_header(p, w), "approx=seed", "and used again");
    llmux_warn(w, LLMUX_WARN_DROP, "messages[2].name");
    llmux_warn(w, LLMUX_WARN_DROP, "a=b; c,d\r\nX: \xc3\xa4");
    is_str(llmux_warnings_header(p, w),
           "drop=messages[2].name,a?b??c?d??X:???; approx=seed",
           "nothing in a name breaks the header");
    is_str(llmux_warnings_header(p, NULL), NULL, "no collection, no header");
}

static void many_warnings(apr_pool_t *p)
{
    llmux_warnings_t *w = llmux_warnings_create(p, 1);
    const llmux_error_t *e;
    const char *h;
    char *name;
    int i;

    for (i = 0; i < 100000; i++) {
        llmux_warn(w, LLMUX_WARN_DROP, apr_psprintf(p, "field_%05d", i));
    }
    h = llmux_warnings_header(p, w);
    ok(strlen(h) <= LLMUX_WARNINGS_MAX
       && strlen(h) > LLMUX_WARNINGS_MAX - sizeof(",field_00000"),
       "a long header is full but not too long");
    is_str(strrchr(h, ','), ",field_00084", "and ends with a whole field");
    e = llmux_warnings_refusal(p, w, "Model x");
    ok(e && strstr(e->message, "field_00000, field_00001,")
       && strstr(e->message, "more: leave")
       && strlen(e->message) < 2 * LLMUX_MESSAGE_MAX, "so does a refusal");

    llmux_warnings_clear(w);
    name = apr_pcalloc(p, 5001);
    memset(name, 'x', 5000);
    llmux_warn(w, LLMUX_WARN_DROP, name);
    is_int((long long)strlen(llmux_warnings_header(p, w)),
           (long long)strlen("drop=") + LLMUX_WARNING_FIELD_MAX,
           "a long name is cut");

    /* 1024 bytes to the last: "drop=" and fields of 100 with a comma. */
    llmux_warnings_clear(w);
    for (i = 0; i < 10; i++) {
        llmux_warn(w, LLMUX_WARN_DROP,
                   apr_psprintf(p, "%0100d", i));
    }
    llmux_warn(w, LLMUX_WARN_APPROX, "123");
    is_int((long long)strlen(llmux_warnings_header(p, w)), 1014,
           "a group that does not fit is left out");
    llmux_warn(w, LLMUX_WARN_DROP, "123456789");
    is_int((long long)strlen(llmux_warnings_header(p, w)), 1024,
           "the last byte is used");
}

static void refusal(apr_pool_t *p)
{
    llmux_warnings_t *w = llmux_warnings_create(p, 1);
    const llmux_error_t *e;

    llmux_warn(w, LLMUX_WARN_APPROX, "top_k");
    ok(!llmux_warnings_refusal(p, w, "Claude"), "only a drop is refused");
    llmux_warn(w, LLMUX_WARN_DROP, "seed");
    llmux_warn(w, LLMUX_WARN_DROP, "logit_bias");
    e = llmux_warnings_refusal(p, w, "Claude");
    if (!ok(e != NULL, "a drop is refused")) {
        return;
    }
    is_int(e->status, 400, "with 400");
    is_str(e->code, "unsupported_parameter", "its code");
    is_str(e->param, "seed", "param is the first");
    ok(strstr(e->message, "Claude") && strstr(e->message, "seed, logit_bias")
       && !strstr(e->message, "top_k"), "the message names all of them");
    ok(!llmux_warnings_refusal(p, NULL, "x"), "no collection, no refusal");
}

/* ---- secrets --------------------------------------------------------- */

static void spill(const char *path, const char *bytes, apr_size_t len,
                  apr_pool_t *p)
{
    apr_file_t *f;

    apr_file_open(&f, path,
                  APR_FOPEN_WRITE | APR_FOPEN_CREATE | APR_FOPEN_TRUNCATE,
                  APR_FPROT_OS_DEFAULT, p);
    apr_file_write_full(f, bytes, len, NULL);
    apr_file_close(f);
}

/* @param want the secret, or NULL with `says` in the message */
static void reads(apr_pool_t *p, const char *spec, const char *want,
                  const char *says, const char *name)
{
    const char *err = "unset";
    const llmux_secret_t *s = llmux_secret_read(p, spec, &err);

    if (want) {
        ok(s && !err && llmux_slice_is(llmux_secret_reveal(s), want), "%s",
           name);
        return;
    }
    ok(!s && err && strstr(err, says), "%s", name);
    ok(!err || !strstr(err, "s3cr3t"), "and does not tell: %s",
       err ? err : "-");
}

static void secrets(apr_pool_t *p)
{
    setenv("LLMUX_T", "sk-s3cr3t", 1);
    setenv("LLMUX_T_LINE", "sk-s3cr3t \r\n", 1);
    setenv("LLMUX_T_EMPTY", " \n", 1);
    setenv("LLMUX_T_LINES", "sk-s3cr3t\nX: y", 1);
    setenv("LLMUX_T_VAR", "${OTHER}s3cr3t", 1);
    unsetenv("LLMUX_T_NONE");

    reads(p, "sk-s3cr3t", "sk-s3cr3t", NULL, "a literal is itself");
    reads(p, "envy:s3cr3t", "envy:s3cr3t", NULL, "so is one with a colon");
    reads(p, "env:LLMUX_T", "sk-s3cr3t", NULL, "from the environment");
    reads(p, "env:LLMUX_T_LINE", "sk-s3cr3t", NULL, "without its line end");
    reads(p, "", NULL, "empty", "an empty literal fails");
    reads(p, NULL, NULL, "empty", "none at all fails");
    reads(p, "s3cr3t\r\nX: y", NULL, "control", "a line end in it fails");
    reads(p, "${LLMUX_T_NONE}s3cr3t", NULL, "${", "a left-over ${ fails");
    reads(p, "env:LLMUX_T_NONE", NULL, "LLMUX_T_NONE is not set",
          "a variable that is not set fails");
    reads(p, "env:LLMUX_T_EMPTY", NULL, "empty", "an empty variable fails");
    reads(p, "env:LLMUX_T_LINES", NULL, "control", "two lines fail");
    reads(p, "env:LLMUX_T_VAR", NULL, "${", "a left-over ${ in one fails");
    reads(p, "env:", NULL, "env:", "a variable needs a name");
    reads(p, "env:sk-s3cr3t", NULL, "not the name",
          "a key in place of a name is not repeated");
    ok(!llmux_secret_read(p, "", NULL), "nobody need listen to the reason");
}

static void secret_files(apr_pool_t *p)
{
    const char *spec, *missing = "file:/nonexistent/llmux", *dir = ".";
    char *path, *big = apr_pcalloc(p, 100000);
    int fd;

    apr_temp_dir_get(&dir, p);
    path = apr_pstrcat(p, dir, "/llmux-secret.XXXXXX", NULL);
    fd = mkstemp(path);
    if (!ok(fd >= 0, "there is a file to write")) {
        return;
    }
    close(fd);
    spec = apr_pstrcat(p, "file:", path, NULL);
    spill(path, "sk-s3cr3t", 9, p);
    reads(p, spec, "sk-s3cr3t", NULL, "from a file without a line end");
    spill(path, "sk-s3cr3t \t\r\nsecond\n", 20, p);
    reads(p, spec, "sk-s3cr3t", NULL, "its first line, trimmed");
    spill(path, "a${b}c\n", 7, p);
    reads(p, spec, "a${b}c", NULL, "a file may have any characters");
    chmod(path, 0644);
    reads(p, spec, "a${b}c", NULL, "others may read it");
    spill(path, "", 0, p);
    reads(p, spec, NULL, "empty", "an empty file fails");
    spill(path, "\ns3cr3t\n", 8, p);
    reads(p, spec, NULL, "empty", "so does an empty first line");
    spill(path, "s3cr3t\0x\n", 9, p);
    reads(p, spec, NULL, "control", "so does a NUL");
    memset(big, 'x', 99999);
    spill(path, big, 99999, p);
    reads(p, spec, NULL, "longer", "so does a line without end");
    spill(path, big, LLMUX_SECRET_MAX, p);
    big[LLMUX_SECRET_MAX] = '\0';
    reads(p, spec, big, NULL, "the longest is read");
    unlink(path);
    reads(p, spec, NULL, path, "a missing file fails and is named");
    reads(p, missing, NULL, "Cannot read", "so does a missing folder");
    reads(p, "file:", NULL, "path", "a path is needed");
    reads(p, "file:/", NULL, "Cannot read", "a folder is none");
}

/* Runs after the secret's own cleanup, while its memory still stands. */
static apr_status_t after_wipe(void *data)
{
    const char *const *bytes = data;
    int i, left = 0;

    for (i = 0; i < 9; i++) {
        left |= (*bytes)[i];
    }
    ok(!left, "its memory is wiped with its pool");
    return APR_SUCCESS;
}

static void secret_life(apr_pool_t *p)
{
    const llmux_secret_t *s;
    const char *err, *bytes = "";
    apr_pool_t *short_lived;

    apr_pool_create(&short_lived, p);
    apr_pool_cleanup_register(short_lived, &bytes, after_wipe,
                              apr_pool_cleanup_null);
    s = llmux_secret_read(short_lived, "sk-s3cr3t", &err);
    bytes = llmux_secret_reveal(s).data;
    ok(llmux_secret_equal(s, llmux_slice("sk-s3cr3t")), "equals itself");
    ok(!llmux_secret_equal(s, llmux_slice("sk-s3cr3"))
       && !llmux_secret_equal(s, llmux_slice("sk-s3cr3tx"))
       && !llmux_secret_equal(s, llmux_slice("sk-s3cr3u"))
       && !llmux_secret_equal(s, llmux_slice(""))
       && !llmux_secret_equal(s, llmux_slice(NULL))
       && !llmux_secret_equal(NULL, llmux_slice("x")), "and nothing else");
    ok(!llmux_secret_reveal(NULL).data, "no secret is absent");
    apr_pool_destroy(short_lived);
}

/* ---- environment ----------------------------------------------------- */

typedef struct host_t {
    apr_time_t now;
    apr_uint32_t chance[8];
    int next, lines, number;
    char line[LLMUX_LOG_LINE_MAX];
} host_t;

static apr_time_t fixed_now(void *host)
{
    return ((host_t *)host)->now;
}

static apr_uint32_t fixed_chance(void *host)
{
    host_t *h = host;

    return h->chance[h->next++ % 8];
}

static void keep_line(void *host, llmux_log_e level, int number,
                      apr_status_t rv, const char *message)
{
    host_t *h = host;

    h->lines++;
    h->number = number;
    apr_cpystrn(h->line, message, sizeof(h->line));
}

static void logging(apr_pool_t *p)
{
    host_t h = { 0 };
    llmux_env_t env = { fixed_now, fixed_chance, keep_line, LLMUX_LOG_INFO,
                        &h };
    char *big = apr_pcalloc(p, 10000);

    llmux_log(&env, LLMUX_LOG_INFO, 42, APR_SUCCESS, "%s %d", "line", 1);
    ok(h.lines == 1 && h.number == 42, "a line is written");
    is_str(h.line, "line 1", "with its words");
    llmux_log(&env, LLMUX_LOG_DEBUG, 0, APR_SUCCESS, "finer");
    is_int(h.lines, 1, "nothing finer than the level");
    memset(big, 'x', 9999);
    llmux_log(&env, LLMUX_LOG_ERR, 1, APR_SUCCESS, "%s", big);
    is_int((long long)strlen(h.line), LLMUX_LOG_LINE_MAX - 1,
           "a long line is cut");
    llmux_log(NULL, LLMUX_LOG_ERR, 1, APR_SUCCESS, "nowhere");
}

static void uuids(void)
{
    /* The example of RFC 9562, A.6: 0x017F22E279B0 milliseconds. */
    host_t h = { .now = 1645557742000LL * 1000,
                 .chance = { 0xffffdead, 0x0badcafe } };
    llmux_env_t env = { fixed_now, fixed_chance, NULL, 0, &h };
    char a[37], b[37];

    llmux_uuid(&env, a);
    is_str(a, "017f22e2-79b0-7000-bfff-dead0badcafe", "time, version, chance");
    h.now += 999;
    h.next = 2;
    llmux_uuid(&env, b);
    is_str(b, "017f22e2-79b0-7ffb-8000-000000000000",
           "microseconds are in it");
    ok(strcmp(a, b) < 0, "later sorts behind");
    h.now = -1;
    llmux_uuid(&env, a);
    ok(strlen(a) == 36 && !strncmp(a, "00000000-0000-7", 15),
       "a time before 1970 is none");
    llmux_uuid(llmux_env_process(), a);
    llmux_uuid(llmux_env_process(), b);
    ok(strlen(a) == 36 && a[14] == '7' && strchr("89ab", a[19])
       && strcmp(a, b), "the process makes different ones");
}

static void random_ids(apr_pool_t *p)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz0123456789";
    host_t h = { 0 };
    llmux_env_t broken = { fixed_now, fixed_chance, NULL, 0, &h };
    int count[256] = { 0 }, i, fair = 1;
    const char *id = llmux_random_id(llmux_env_process(), p, "call_");

    ok(strlen(id) == 29 && llmux_slice_starts(llmux_slice(id), "call_")
       && strspn(strchr(id, '_') + 1, letters) == 24,
       "a prefix and 24 letters");
    ok(strcmp(id, llmux_random_id(llmux_env_process(), p, "call_")),
       "the next one differs");
    is_int((long long)strlen(llmux_random_id(llmux_env_process(), p, NULL)),
           24, "there need be no prefix");
    for (i = 0; i < 24 * 2000; i++) {
        if (i % 24 == 0) {
            id = llmux_random_id(llmux_env_process(), p, "");
        }
        count[(unsigned char)id[i % 24]]++;
    }
    for (i = 0; i < 62; i++) {
        /* 774 expected, deviation 28: ten of them. */
        fair &= abs(count[(unsigned char)letters[i]] - 774) < 280;
    }
    ok(fair, "all letters are as likely");
    h.chance[0] = 0xffffffffu;
    is_str(llmux_random_id(&broken, p, ""), "AAAAAAAAAAAAAAAAAAAAAAAA",
           "chance that would favour a letter is thrown away");
    memset(h.chance, 0xff, sizeof(h.chance));
    is_int((long long)strlen(llmux_random_id(&broken, p, "")), 24,
           "a source without chance does not hang");
}

int main(void)
{
    apr_pool_t *p;

    apr_initialize();
    apr_pool_create(&p, NULL);
    errors(p);
    warnings(p);
    many_warnings(p);
    refusal(p);
    secrets(p);
    secret_files(p);
    secret_life(p);
    logging(p);
    uuids();
    random_ids(p);
    apr_pool_destroy(p);
    return tap_done();
}
