/**
 * demo_answer.h - what the demo provider has to say to a request.
 */

#ifndef LLMUX_TRANSPORT_DEMO_ANSWER_H
#define LLMUX_TRANSPORT_DEMO_ANSWER_H

#include "llmux/transport.h"

/* An answer before it is written in OpenAI's words. Lives in the pool. */
typedef struct llmux_demo_t {
    const llmux_error_t *error;     /* nothing else counts if there is one */
    llmux_slice_t model;            /* as the client spelled it */
    int stream, usage;              /* usage = in a chunk of its own */
    int choices;                    /* 1 to 8, all the same */
    llmux_slice_t text;             /* absent with a call */
    llmux_slice_t tool;             /* absent with a text */
    llmux_slice_t args;             /* the call's, JSON */
    int custom;                     /* a custom tool: args are plain text */
    const char *finish;
    apr_int64_t words_in, words_out;
} llmux_demo_t;

/** Reads the request and makes up an answer. */
void llmux_demo_answer(apr_pool_t *p, const llmux_request_t *rq,
                       llmux_demo_t *out);

/** Appends a small value that satisfies a JSON schema (an object when the
 * schema does not say), required members only.
 * @return 0 when the schema asks for too much */
int llmux_demo_example(apr_pool_t *p, llmux_buf_t *out,
                       const llmux_json_t *schema);

#endif
