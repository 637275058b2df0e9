/* meter.c - counts requests and attempts into their rows. */

#include <apr_strings.h>

#include "llmux/meter.h"
#include "statuses.h"

static const struct {
    int status;
    const char *label;
} statuses[LLMUX_STATUSES] = {
    { 200, "200" }, { 204, "204" }, { 400, "400" }, { 401, "401" },
    { 402, "402" }, { 403, "403" }, { 404, "404" }, { 405, "405" },
    { 408, "408" }, { 409, "409" }, { 413, "413" }, { 415, "415" },
    { 422, "422" }, { 429, "429" }, { 499, "499" }, { 500, "500" },
    { 501, "501" }, { 502, "502" }, { 503, "503" }, { 504, "504" },
    { 529, "529" }, { 0, "other" }
};

_Static_assert(LLMUX_ERR_COUNT <= LLMUX_FAILURES,
               "a row has a counter for each kind of error");

int llmux_status_index(int status)
{
    int i = 0;

    while (statuses[i].status && statuses[i].status != status) {
        i++;
    }
    return i;
}

const char *llmux_status_label(int index)
{
    return statuses[index].label;
}

static void count_tokens(llmux_row_t *row, const llmux_usage_t *u)
{
    const struct {
        llmux_counter_e counter;
        apr_int64_t tokens;
    } counts[] = {
        { LLMUX_COUNT_INPUT, llmux_usage_input(u) },
        { LLMUX_COUNT_OUTPUT, llmux_usage_output(u) },
        { LLMUX_COUNT_TOTAL, llmux_usage_input(u) },
        { LLMUX_COUNT_TOTAL, llmux_usage_output(u) },
        { LLMUX_COUNT_CACHE_READ, u->cache_read },
        { LLMUX_COUNT_CACHE_WRITE, u->cache_write },
        { LLMUX_COUNT_REASONING, u->reasoning },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        if (counts[i].tokens > 0) {
            llmux_state_add(&row->count[counts[i].counter],
                            (apr_uint64_t)counts[i].tokens);
        }
    }
}

static void count_times(llmux_row_t *row, const llmux_record_t *rec)
{
    apr_int64_t output = llmux_usage_output(&rec->usage);

    llmux_state_observe(&row->time[LLMUX_TIME_REQUEST],
                        rec->ended - rec->began);
    if (rec->asked) {
        llmux_state_observe(&row->time[LLMUX_TIME_OVERHEAD],
                            rec->asked - rec->began);
        llmux_state_observe(&row->time[LLMUX_TIME_API],
                            rec->ended - rec->asked);
    }
    if (rec->first) {
        llmux_state_observe(&row->time[LLMUX_TIME_FIRST],
                            rec->first - rec->began);
    }
    if (rec->asked && output > 0) {
        llmux_state_observe(&row->time[LLMUX_TIME_TOKEN],
                            (rec->ended - rec->asked) / output);
    }
}

void llmux_meter_request(llmux_state_t *s, const llmux_record_t *rec)
{
    llmux_row_t *row = llmux_state_at(s, rec->series);

    llmux_state_add(&row->status[llmux_status_index(rec->status)], 1);
    count_tokens(row, &rec->usage);
    count_times(row, rec);
    if (rec->end == LLMUX_END_CLIENT_GONE) {
        llmux_state_add(&row->count[LLMUX_COUNT_GONE], 1);
    }
    else if (rec->switched && rec->end != LLMUX_END_STOPPED) {
        llmux_state_add(&row->count[rec->end == LLMUX_END_OK
                                    ? LLMUX_COUNT_FALLBACK_OK
                                    : LLMUX_COUNT_FALLBACK_BAD], 1);
    }
}

void llmux_meter_attempt(llmux_state_t *s, int series, int failed,
                         llmux_error_e kind)
{
    llmux_row_t *row = llmux_state_at(s, series);

    llmux_state_add(&row->count[LLMUX_COUNT_ATTEMPTS], 1);
    if (failed) {
        llmux_state_add(&row->failure[kind], 1);
    }
    else {
        llmux_state_add(&row->count[LLMUX_COUNT_SUCCESSES], 1);
    }
}
