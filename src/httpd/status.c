/* status.c - our section of mod_status: groups and what they did. */

#include "server.h"

#include <apr_strings.h>
#include <mod_status.h>

/* A group's deployments together: accounts are not shown here. */
typedef struct totals_t {
    apr_uint64_t requests, failed, input, output;
} totals_t;

static totals_t totals_of(llmux_state_t *state, const llmux_group_t *g)
{
    totals_t sum = { 0, 0, 0, 0 };
    int i, k;

    for (i = 0; i < g->deployments->nelts; i++) {
        const llmux_deployment_t *d = APR_ARRAY_IDX(g->deployments, i,
                                                    llmux_deployment_t *);
        llmux_row_t row;

        if (d->series < 0) {
            continue;
        }
        llmux_state_read(state, d->series, &row);
        for (k = 0; k < LLMUX_STATUSES; k++) {
            sum.requests += row.status[k];
        }
        for (k = 0; k < LLMUX_FAILURES; k++) {
            sum.failed += row.failure[k];
        }
        sum.input += row.count[LLMUX_COUNT_INPUT];
        sum.output += row.count[LLMUX_COUNT_OUTPUT];
    }
    return sum;
}

static void short_form(request_rec *r, const llmux_service_t *service)
{
    ap_rprintf(r, "LLMuxInFlight: %" APR_INT64_T_FMT "\nLLMuxParked: %"
               APR_INT64_T_FMT "\n",
               llmux_state_in_flight_all(service->state),
               llmux_state_parked_all(service->state));
}

static void row(request_rec *r, const llmux_service_t *service,
                const llmux_group_t *g)
{
    totals_t sum = totals_of(service->state, g);

    ap_rprintf(r, "<tr><td>%s</td><td>%" APR_UINT64_T_FMT "</td><td>%"
               APR_UINT64_T_FMT "</td><td>%" APR_UINT64_T_FMT "</td><td>%"
               APR_UINT64_T_FMT "</td></tr>\n",
               ap_escape_html(r->pool, g->name), sum.requests, sum.failed,
               sum.input, sum.output);
}

int llmux_status_page(request_rec *r, int flags)
{
    const llmux_service_t *service = server_conf(r->server)->service;
    int i;

    if (!service || !service->state) {
        return DECLINED;
    }
    if (flags & AP_STATUS_SHORT) {
        short_form(r, service);
        return OK;
    }
    ap_rputs("<hr>\n<h2>LLMux</h2>\n", r);
    ap_rprintf(r, "<p>%" APR_INT64_T_FMT " requests in flight, %"
               APR_INT64_T_FMT " parked (without a worker)</p>\n",
               llmux_state_in_flight_all(service->state),
               llmux_state_parked_all(service->state));
    ap_rputs("<table><tr><th>Model</th><th>Requests</th><th>Failed "
             "attempts</th><th>Input tokens</th><th>Output tokens</th></tr>\n",
             r);
    for (i = 0; i < service->groups->nelts; i++) {
        row(r, service, APR_ARRAY_IDX(service->groups, i, llmux_group_t *));
    }
    ap_rputs("</table>\n", r);
    return OK;
}
