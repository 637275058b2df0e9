/* metrics.c - the rows as Prometheus text, one family after the other. */

#include <string.h>

#include "llmux/meter.h"
#include "statuses.h"

#define PREFIX "llmux_"

/* What one family reads from a row. */
typedef struct text_t {
    llmux_buf_t *out;
    const llmux_series_t *series;
    const llmux_row_t *rows;    /* of each: all children's together */
    int count;
} text_t;

static const char *const counter_names[][2] = {
#define COUNTER(member, name, help) { name, help },
#define HISTOGRAM(member, name, help)
#include "llmux/metrics.def"
#undef COUNTER
#undef HISTOGRAM
};

static const char *const histogram_names[][2] = {
#define COUNTER(member, name, help)
#define HISTOGRAM(member, name, help) { name, help },
#include "llmux/metrics.def"
#undef COUNTER
#undef HISTOGRAM
};

/* ---- parts of a line ------------------------------------------------- */

static void family(const text_t *t, const char *name, const char *type,
                   const char *help)
{
    llmux_buf_addf(t->out, "# HELP " PREFIX "%s %s.\n# TYPE " PREFIX
                   "%s %s\n", name, help, name, type);
}

/* A label's value: backslash, quote and line end are escaped. */
static void label(const text_t *t, const char *name, const char *value)
{
    llmux_buf_addf(t->out, "%s=\"", name);
    for (; *value; value++) {
        if (*value == '\n') {
            llmux_buf_adds(t->out, "\\n");
            continue;
        }
        if (*value == '\\' || *value == '"') {
            llmux_buf_adds(t->out, "\\");
        }
        llmux_buf_add(t->out, value, 1);
    }
    llmux_buf_adds(t->out, "\"");
}

static void labels(const text_t *t, const llmux_series_t *s)
{
    label(t, "model", s->model);
    llmux_buf_adds(t->out, ",");
    label(t, "model_group", s->group);
    llmux_buf_adds(t->out, ",");
    label(t, "api_provider", s->provider);
    llmux_buf_adds(t->out, ",");
    label(t, "deployment_id", s->deployment);
}

static const llmux_row_t *row_of(const text_t *t, int i)
{
    return &t->rows[i];
}

/* ---- families with a row each ---------------------------------------- */

static void write_counter(const text_t *t, llmux_counter_e c)
{
    int i;

    family(t, counter_names[c][0], "counter", counter_names[c][1]);
    for (i = 0; i < t->count; i++) {
        llmux_buf_addf(t->out, PREFIX "%s{", counter_names[c][0]);
        labels(t, &t->series[i]);
        llmux_buf_addf(t->out, "} %" APR_UINT64_T_FMT "\n",
                       row_of(t, i)->count[c]);
    }
}

static void write_buckets(const text_t *t, int i, const char *name,
                          const llmux_histogram_t *h)
{
    apr_uint64_t sum = 0;
    int b;

    for (b = 0; b <= LLMUX_BUCKETS; b++) {
        sum += h->bucket[b];
        llmux_buf_addf(t->out, PREFIX "%s_bucket{", name);
        labels(t, &t->series[i]);
        if (b < LLMUX_BUCKETS) {
            llmux_buf_addf(t->out, ",le=\"%g\"",
                           (double)llmux_bucket_bounds[b] / 1e6);
        }
        else {
            llmux_buf_adds(t->out, ",le=\"+Inf\"");
        }
        llmux_buf_addf(t->out, "} %" APR_UINT64_T_FMT "\n", sum);
    }
    llmux_buf_addf(t->out, PREFIX "%s_sum{", name);
    labels(t, &t->series[i]);
    llmux_buf_addf(t->out, "} %.6f\n" PREFIX "%s_count{",
                   (double)h->sum / 1e6, name);
    labels(t, &t->series[i]);
    llmux_buf_addf(t->out, "} %" APR_UINT64_T_FMT "\n", sum);
}

/* A row that never saw a request has no histogram: 35 lines of zeros each
 * would drown the rest. */
static int is_idle(const llmux_histogram_t *h)
{
    int b;

    for (b = 0; b <= LLMUX_BUCKETS; b++) {
        if (h->bucket[b]) {
            return 0;
        }
    }
    return 1;
}

static void write_histogram(const text_t *t, llmux_histogram_e k)
{
    int i;

    family(t, histogram_names[k][0], "histogram", histogram_names[k][1]);
    for (i = 0; i < t->count; i++) {
        const llmux_histogram_t *h = &row_of(t, i)->time[k];

        if (!is_idle(h)) {
            write_buckets(t, i, histogram_names[k][0], h);
        }
    }
}

static void write_statuses(const text_t *t, const char *name,
                           const char *label_name, int only_failed,
                           const char *help)
{
    int i, k;

    family(t, name, "counter", help);
    for (i = 0; i < t->count; i++) {
        for (k = 0; k < LLMUX_STATUSES && llmux_status_label(k); k++) {
            apr_uint64_t n = row_of(t, i)->status[k];

            if (!n || (only_failed && llmux_status_label(k)[0] == '2')) {
                continue;
            }
            llmux_buf_addf(t->out, PREFIX "%s{", name);
            labels(t, &t->series[i]);
            llmux_buf_addf(t->out, ",%s=\"%s\"} %" APR_UINT64_T_FMT "\n",
                           label_name, llmux_status_label(k), n);
        }
    }
}

static void write_failures(const text_t *t)
{
    int i, k;

    family(t, "deployment_failure_responses", "counter",
           "Attempts that failed, by what failed");
    for (i = 0; i < t->count; i++) {
        for (k = 0; k < LLMUX_ERR_COUNT; k++) {
            apr_uint64_t n = row_of(t, i)->failure[k];

            if (n) {
                llmux_buf_adds(t->out, PREFIX "deployment_failure_responses{");
                labels(t, &t->series[i]);
                llmux_buf_addf(t->out, ",exception_class=\"%s\"} %"
                               APR_UINT64_T_FMT "\n",
                               llmux_error_name((llmux_error_e)k), n);
            }
        }
    }
}

/* ---- families summed over groups ------------------------------------- */

static int same_model(const llmux_series_t *a, const llmux_series_t *b)
{
    return !strcmp(a->provider, b->provider) && !strcmp(a->model, b->model);
}

/* Is it the first of those with its provider and model? */
static int is_first(const text_t *t, int i)
{
    int k;

    for (k = 0; k < i; k++) {
        if (same_model(&t->series[k], &t->series[i])) {
            return 0;
        }
    }
    return 1;
}

static void provider_labels(const text_t *t, const llmux_series_t *s)
{
    label(t, "provider", s->provider);
    llmux_buf_adds(t->out, ",");
    label(t, "model", s->model);
}

static void write_requests(const text_t *t)
{
    int i, j, k;

    family(t, "requests_total", "counter", "Requests by their final status");
    for (i = 0; i < t->count; i++) {
        if (!is_first(t, i)) {
            continue;
        }
        for (k = 0; k < LLMUX_STATUSES && llmux_status_label(k); k++) {
            apr_uint64_t n = 0;

            for (j = i; j < t->count; j++) {
                if (same_model(&t->series[i], &t->series[j])) {
                    n += row_of(t, j)->status[k];
                }
            }
            if (n) {
                llmux_buf_adds(t->out, PREFIX "requests_total{");
                provider_labels(t, &t->series[i]);
                llmux_buf_addf(t->out, ",status=\"%s\"} %" APR_UINT64_T_FMT
                               "\n", llmux_status_label(k), n);
            }
        }
    }
}

static void write_tokens(const text_t *t)
{
    static const struct {
        const char *type;
        llmux_counter_e counter;
    } types[] = {
        { "input", LLMUX_COUNT_INPUT }, { "output", LLMUX_COUNT_OUTPUT }
    };
    int i, j, k;

    family(t, "token_usage_total", "counter", "Tokens by direction");
    for (i = 0; i < t->count; i++) {
        for (k = 0; k < 2 && is_first(t, i); k++) {
            apr_uint64_t n = 0;

            for (j = i; j < t->count; j++) {
                if (same_model(&t->series[i], &t->series[j])) {
                    n += llmux_state_get(
                        &row_of(t, j)->count[types[k].counter]);
                }
            }
            llmux_buf_adds(t->out, PREFIX "token_usage_total{");
            provider_labels(t, &t->series[i]);
            llmux_buf_addf(t->out, ",type=\"%s\"} %" APR_UINT64_T_FMT "\n",
                           types[k].type, n);
        }
    }
}

static void write_gauge(const text_t *t, const char *name, const char *help,
                        apr_int64_t value)
{
    family(t, name, "gauge", help);
    llmux_buf_addf(t->out, PREFIX "%s %" APR_INT64_T_FMT "\n", name, value);
}

/* Pools align to less than a row wants. */
static const llmux_row_t *read_rows(apr_pool_t *p, llmux_state_t *s,
                                    const llmux_series_t *series, int count)
{
    char *block = apr_palloc(p, ((apr_size_t)count + 1)
                                * sizeof(llmux_row_t));
    llmux_row_t *rows = (llmux_row_t *)APR_ALIGN((apr_uintptr_t)block,
                                                 LLMUX_STATE_LINE);
    int i;

    for (i = 0; i < count; i++) {
        llmux_state_read(s, series[i].row, &rows[i]);
    }
    return rows;
}

void llmux_metrics_write(apr_pool_t *p, llmux_buf_t *out, llmux_state_t *s,
                         const llmux_series_t *series, int count)
{
    const text_t t = { out, series, read_rows(p, s, series, count), count };
    int i;

    write_requests(&t);
    write_tokens(&t);
    write_statuses(&t, "proxy_total_requests", "status_code", 0,
                   "Requests by group and final status");
    write_statuses(&t, "proxy_failed_requests", "exception_status", 1,
                   "Requests that were not answered with 200");
    write_failures(&t);
    for (i = 0; i < LLMUX_COUNTERS; i++) {
        write_counter(&t, (llmux_counter_e)i);
    }
    for (i = 0; i < LLMUX_HISTOGRAMS; i++) {
        write_histogram(&t, (llmux_histogram_e)i);
    }
    write_gauge(&t, "http_requests_in_flight",
                "Requests being answered by all children",
                llmux_state_in_flight_all(s));
    write_gauge(&t, "http_requests_parked",
                "Requests that wait without a worker thread, also for slow "
                "clients to take the rest",
                llmux_state_parked_all(s));
}
