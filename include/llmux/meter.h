/**
 * meter.h - what a request was: the record behind the access log and the
 * metrics, and the metrics' text.
 */

#ifndef LLMUX_METER_H
#define LLMUX_METER_H

#include "llmux/dialect.h"
#include "llmux/state.h"

/* How a request ended. */
typedef enum {
    LLMUX_END_NONE,             /* has not yet */
    LLMUX_END_OK,               /* answered to the end */
    LLMUX_END_ERROR,            /* answered with an error, status or event */
    LLMUX_END_CLIENT_GONE,      /* the client left before its end */
    LLMUX_END_STOPPED           /* the server was stopped before it */
} llmux_end_e;

/* One request, for the log. Strings live as long as the request. */
typedef struct llmux_record_t {
    const char *endpoint;       /* "chat", "models" ... */
    const char *request_id;     /* the client's or ours: correlation */
    const char *exchange_id;    /* ours, UUIDv7 */
    const char *model;          /* as the client wrote it; NULL = unread */
    const char *group;          /* configured name; NULL = none found */
    const char *provider;
    const char *upstream_model;
    const char *deployment;     /* id */
    const char *finish;         /* of candidate 0, the provider's spelling */
    const char *error;          /* kind of error, or NULL */
    const char *upstream_id;    /* the provider's request id */
    llmux_usage_t usage;
    int series;                 /* row of the deployment, -1 = none */
    int streamed;
    int status;                 /* what the client was told */
    int upstream_status;        /* of the last attempt; 0 = none came */
    int attempts;
    int switched;               /* not all of them with one deployment */
    llmux_end_e end;
    apr_time_t began, asked, first, ended;  /* 0 = did not happen */
} llmux_record_t;

/** Appends the record's members to an open JSON object. */
void llmux_record_write(llmux_jw_t *w, const llmux_record_t *rec);

/** Counts a request that has ended. */
void llmux_meter_request(llmux_state_t *s, const llmux_record_t *rec);

/** Counts an attempt: answered, or failed in this way. */
void llmux_meter_attempt(llmux_state_t *s, int series, int failed,
                         llmux_error_e kind);

/* The labels of one row, from configured names only. */
typedef struct llmux_series_t {
    const char *group, *model, *provider, *deployment;
    int row;
} llmux_series_t;

/** Appends the Prometheus text (format 0.0.4); scratch in `p`. */
void llmux_metrics_write(apr_pool_t *p, llmux_buf_t *out, llmux_state_t *s,
                         const llmux_series_t *series, int count);

#define LLMUX_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

#endif
