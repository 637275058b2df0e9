/* jobs.h - how the programs of this folder work: a job is a line of their
 * input, and a line of output answers it. */

#ifndef JOBS_H
#define JOBS_H

#include <stdio.h>

#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_general.h>

#include "llmux/core.h"

#define TEXT_MAX  (1u << 26)
#define LINE_SIZE (1 << 20)

/** @return 0 if the line makes no sense or its file cannot be read */
typedef int (*job_fn)(apr_pool_t *p, char *line);

static inline int read_file(apr_pool_t *p, const char *path,
                            llmux_slice_t *bytes)
{
    apr_file_t *file;
    apr_finfo_t info;
    apr_status_t rv = apr_file_open(&file, path, APR_READ | APR_BINARY,
                                    APR_OS_DEFAULT, p);

    if (rv == APR_SUCCESS) {
        rv = apr_file_info_get(&info, APR_FINFO_SIZE, file);
    }
    if (rv == APR_SUCCESS) {
        char *data = apr_palloc(p, (apr_size_t)info.size + 1);

        bytes->data = data;
        rv = apr_file_read_full(file, data, (apr_size_t)info.size,
                                &bytes->len);
    }
    return rv == APR_SUCCESS;
}

/* A job's answer in one line: JSON that stands as somebody wrote it may have
 * several, but never within a value. */
static inline int print_line(llmux_buf_t *json)
{
    apr_size_t i;

    for (i = 0; i < json->len; i++) {
        if (json->data[i] == '\n' || json->data[i] == '\r') {
            json->data[i] = ' ';
        }
    }
    fwrite(json->data, 1, json->len, stdout);
    putchar('\n');
    fflush(stdout);
    return !json->failed;
}

/* Why not, as two members of an object. */
static inline void put_refusal(llmux_jw_t *w, const llmux_error_t *err)
{
    llmux_jw_key(w, "param");
    llmux_jw_cstr(w, err->param);
    llmux_jw_key(w, "message");
    llmux_jw_cstr(w, err->message);
}

static inline int refuse_job(const char *program)
{
    fprintf(stderr, "%s: a job that cannot be done\n", program);
    return 1;
}

/**
 * All jobs of standard input, up to the first that cannot be done.
 * @return the program's status
 * APR counts its starts: a program that needs it before starts it, too.
 */
static inline int run_jobs(const char *program, job_fn job)
{
    static char line[LINE_SIZE];
    apr_pool_t *p;
    int good = 1;

    apr_initialize();
    apr_pool_create(&p, NULL);
    while (good && fgets(line, sizeof(line), stdin)) {
        good = job(p, line);
        apr_pool_clear(p);
    }
    apr_pool_destroy(p);
    apr_terminate();
    return good ? 0 : refuse_job(program);
}

#endif
