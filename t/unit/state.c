/* state.c - shared memory: rows for life, and slots of children that end in
 * every way there is. */

#include "llmux/state.h"
#include "tap.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <apr_strings.h>

static void rows(apr_pool_t *p)
{
    llmux_state_t *s = llmux_state_map(LLMUX_STATE_SIZE_MIN);
    const char *key = llmux_state_key(p, "group", "deployment");
    int first = llmux_state_row(s, key), i, row = 0;

    ok(first > 0, "a deployment gets a row, and not that of all others");
    is_int(llmux_state_row(s, key), first, "the same one each time");
    ok(llmux_state_row(s, llmux_state_key(p, "other", "deployment")) != first,
       "in another group another one");
    for (i = 0; row >= 0 && i < 100000; i++) {
        row = llmux_state_row(s, llmux_state_key(p, apr_psprintf(p, "%d", i),
                                                 "x"));
    }
    ok(i > 100 && i < 100000, "the segment is full some time");
    is_int(llmux_state_row(s, key), first, "who has a row keeps it");
    ok(llmux_state_at(s, -1) == llmux_state_at(s, 0),
       "the others share one");
}

/* A child that takes a slot, begins three requests, says so, and waits to be
 * killed; not for ever, should nobody be left to do so. */
static pid_t start_child(llmux_state_t *s)
{
    int ready[2];
    char c;
    pid_t pid;

    if (pipe(ready) || (pid = fork()) < 0) {
        return -1;
    }
    if (pid == 0) {
        alarm(60);
        llmux_state_child(s);
        llmux_state_in_flight(s, 3);
        llmux_state_add(&llmux_state_at(s, 1)->count[0], 1);
        llmux_state_observe(&llmux_state_at(s, 1)->time[0], 7000);
        _exit(write(ready[1], "x", 1) == 1 && pause());
    }
    close(ready[1]);
    if (read(ready[0], &c, 1) != 1) {
        pid = -1;
    }
    close(ready[0]);
    return pid;
}

static void children(void)
{
    llmux_state_t *s = llmux_state_map(LLMUX_STATE_SIZE_MIN);
    int row = llmux_state_row(s, "theirs");
    pid_t one = start_child(s), two = start_child(s);
    llmux_row_t sum;

    is_int(llmux_state_in_flight_all(s), 6, "requests of two children");
    llmux_state_read(s, row, &sum);
    is_int((long long)sum.count[0], 2, "what both have counted");
    is_int((long long)sum.time[0].sum, 14000, "... and how long it took");
    ok(llmux_state_get(&llmux_state_at(s, row)->count[0]) < 2,
       "... in places of their own");
    ok(!((apr_uintptr_t)llmux_state_at(s, row) % LLMUX_STATE_LINE),
       "... which begin at a line of memory");
    kill(one, SIGKILL);
    waitpid(one, NULL, 0);
    is_int(llmux_state_in_flight_all(s), 3, "those of a dead one are none");
    llmux_state_child_gone(s, two);
    is_int(llmux_state_in_flight_all(s), 0,
           "nor those of one whose end was told, whoever has its number now");
    llmux_state_child_gone(s, 1);
    llmux_state_child_gone(s, getpid());
    is_int(llmux_state_in_flight_all(s), 0, "others that end change nothing");
    kill(two, SIGKILL);
    waitpid(two, NULL, 0);
}

/* The process that took the slot is gone, and its number is ours. */
static void namesake(void)
{
    llmux_state_t *s = llmux_state_map(LLMUX_STATE_SIZE_MIN);
    int i;

    llmux_state_in_flight(s, 1);
    is_int(llmux_state_in_flight_all(s), 0, "who is no child counts nothing");
    llmux_state_child(s);
    llmux_state_in_flight(s, 5);
    llmux_state_child(s);
    is_int(llmux_state_in_flight_all(s), 0,
           "what a process of our number had under way is not ours");
    llmux_state_in_flight(s, 2);
    is_int(llmux_state_in_flight_all(s), 2, "what we have is");
    for (i = 0; i < 2 * LLMUX_STATE_CHILDREN; i++) {
        llmux_state_child(s);
    }
    llmux_state_in_flight(s, 1);
    is_int(llmux_state_in_flight_all(s), 1, "slots are used again");
}

int main(void)
{
    apr_pool_t *p;

    apr_initialize();
    apr_pool_create(&p, NULL);
    rows(p);
    children();
    namesake();
    apr_pool_destroy(p);
    return tap_done();
}
