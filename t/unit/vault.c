/* vault.c - one grant for all: who fetches it, who waits, who goes on with
 * the old one; in one process and in many. */

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "llmux/credential.h"
#include "tap.h"

#define T0 apr_time_from_sec(1000000)

static llmux_grant_t grant(const char *token, apr_time_t expires)
{
    llmux_grant_t g;

    memset(&g, 0, sizeof(g));
    memcpy(g.token, token, strlen(token));
    g.expires = expires;
    return g;
}

static const char *const names[] = { "HAVE", "FETCH", "WAIT", "FAILED" };

static void expect(llmux_vault_t *v, apr_time_t now, llmux_vault_e want,
                   const char *token, const char *what)
{
    llmux_grant_t g = grant("", 0);
    llmux_vault_e got = llmux_vault_take(v, now, &g);

    ok(got == want && !strcmp(g.token, token), "%s: %s %s", what, names[got],
       g.token);
}

static void test_life(apr_pool_t *p)
{
    llmux_vault_t *v = llmux_vault_create(p);
    apr_time_t hour = apr_time_from_sec(3600), end = T0 + hour;
    llmux_grant_t g = grant("one", end);

    expect(v, T0, LLMUX_VAULT_FETCH, "", "the first one fetches");
    expect(v, T0 + 1, LLMUX_VAULT_WAIT, "", "the second one waits");
    llmux_vault_put(v, T0, &g);
    expect(v, T0 + 2, LLMUX_VAULT_HAVE, "one", "there it is");
    expect(v, end - LLMUX_VAULT_EARLY - 1, LLMUX_VAULT_HAVE, "one",
           "as long as it lasts");
    expect(v, end - LLMUX_VAULT_EARLY, LLMUX_VAULT_FETCH, "",
           "early enough somebody fetches a new one");
    expect(v, end - LLMUX_VAULT_EARLY + 1, LLMUX_VAULT_HAVE, "one",
           "... and the others go on");
    g = grant("two", end + hour);
    llmux_vault_put(v, end, &g);
    expect(v, end + 1, LLMUX_VAULT_HAVE, "two", "the new one");
    g = grant("three", end + hour + apr_time_from_sec(60));
    llmux_vault_put(v, end + hour, &g);
    expect(v, end + hour + 1, LLMUX_VAULT_HAVE, "three",
           "a short one is not fetched with each request");
    expect(v, end + hour + LLMUX_VAULT_REST, LLMUX_VAULT_FETCH, "",
           "... but in a while");
}

static void test_failures(apr_pool_t *p)
{
    llmux_vault_t *v = llmux_vault_create(p);
    llmux_grant_t g = grant("one", T0 + apr_time_from_sec(100)), out;

    expect(v, T0, LLMUX_VAULT_FETCH, "", "fetching");
    ok(!llmux_vault_fail(v, T0, &out), "it fails, and nothing is there");
    expect(v, T0 + 1, LLMUX_VAULT_FAILED, "", "not again at once");
    expect(v, T0 + LLMUX_VAULT_PAUSE, LLMUX_VAULT_FETCH, "", "but soon");
    llmux_vault_drop(v);
    expect(v, T0 + LLMUX_VAULT_PAUSE, LLMUX_VAULT_FETCH, "",
           "given up: the next one may");
    expect(v, T0 + LLMUX_VAULT_PAUSE + LLMUX_VAULT_LEASE - 1,
           LLMUX_VAULT_WAIT, "", "a child that died holds up");
    expect(v, T0 + LLMUX_VAULT_PAUSE + LLMUX_VAULT_LEASE, LLMUX_VAULT_FETCH,
           "", "... not for ever");
    llmux_vault_put(v, T0 - LLMUX_VAULT_REST, &g);
    expect(v, T0 + 5, LLMUX_VAULT_FETCH, "", "short-lived");
    ok(llmux_vault_fail(v, T0 + 5, &out) && !strcmp(out.token, "one"),
       "failed, but the old one is good");
    expect(v, T0 + 6, LLMUX_VAULT_HAVE, "one", "... for the others too");
    out = grant("other", 0);
    llmux_vault_refused(v, T0 + 6, &out);
    expect(v, T0 + 7, LLMUX_VAULT_HAVE, "one", "another one was refused");
    llmux_vault_refused(v, T0 + 6, &g);
    expect(v, T0 + 5 + LLMUX_VAULT_PAUSE, LLMUX_VAULT_FETCH, "",
           "this one was");
    g = grant("for ever", 0);
    llmux_vault_put(v, T0, &g);
    expect(v, T0 + apr_time_from_sec(1000000000), LLMUX_VAULT_HAVE,
           "for ever", "one that does not expire");
}

/* A model that the account does not have is refused as a bad grant is. */
static void test_refusals(apr_pool_t *p)
{
    llmux_vault_t *v = llmux_vault_create(p);
    llmux_grant_t g;
    int i, fetched = 0;

    for (i = 0; i < 100; i++) {
        fetched += llmux_vault_take(v, T0 + i, &g) == LLMUX_VAULT_FETCH;
        g = grant("one", 0);
        llmux_vault_put(v, T0 + i, &g);
        llmux_vault_refused(v, T0 + i, &g);
    }
    is_int(fetched, LLMUX_VAULT_REFUSALS + 1, "it is not fetched for ever");
    expect(v, T0 + 100, LLMUX_VAULT_HAVE, "one", "others go on with it");
    llmux_vault_refused(v, T0 + LLMUX_VAULT_REST, &g);
    expect(v, T0 + LLMUX_VAULT_REST, LLMUX_VAULT_FETCH, "",
           "in a while a refusal counts again");
}

/* Each child counts how often it was told to fetch. */
static int child_fetches(llmux_vault_t *v)
{
    llmux_grant_t g;
    int i, n = 0;

    for (i = 0; i < 2000; i++) {
        if (llmux_vault_take(v, T0, &g) == LLMUX_VAULT_FETCH) {
            n++;
            g = grant("ours", 0);
            llmux_vault_put(v, T0, &g);
        }
    }
    return n;
}

static void test_children(apr_pool_t *p)
{
    llmux_vault_t *v = llmux_vault_create(p);
    int i, status, total = 0;

    for (i = 0; i < 8; i++) {
        if (fork() == 0) {
            _exit(child_fetches(v));
        }
    }
    for (i = 0; i < 8; i++) {
        wait(&status);
        total += WEXITSTATUS(status);
    }
    ok(total == 1, "of eight children one fetches (%d)", total);
    expect(v, T0, LLMUX_VAULT_HAVE, "ours", "... and all have it");
}

/* It takes the lease and is no more. */
static void test_dead_child(apr_pool_t *p)
{
    llmux_vault_t *v = llmux_vault_create(p);
    llmux_grant_t g;
    int status;

    if (fork() == 0) {
        _exit(llmux_vault_take(v, T0, &g));
    }
    wait(&status);
    ok(WEXITSTATUS(status) == LLMUX_VAULT_FETCH, "a child fetches, and dies");
    expect(v, T0 + 1, LLMUX_VAULT_FETCH, "", "nobody waits for it");
}

int main(void)
{
    apr_pool_t *p;

    apr_initialize();
    apr_pool_create(&p, NULL);
    test_life(p);
    test_failures(p);
    test_refusals(p);
    test_children(p);
    test_dead_child(p);
    apr_pool_destroy(p);
    return tap_done();
}
