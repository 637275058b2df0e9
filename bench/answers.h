/* answers.h - what the mock provider says, made once and sent often. */

#ifndef BENCH_ANSWERS_H
#define BENCH_ANSWERS_H

#include <stddef.h>
#include <stdint.h>

#define MODEL_MAX 64    /* longest name of a model, with its NUL */
#define STAMPED_MAX 8192    /* longest part that carries the time */

/* What a request asked for, as far as it matters here. */
typedef struct question_t {
    char model[MODEL_MAX];
    int anthropic;      /* Messages, else OpenAI chat completions */
    int stream;
    int usage;          /* OpenAI: stream_options.include_usage */
} question_t;

/* One write. */
typedef struct part_t {
    char *data;
    size_t len;
    size_t stamp;       /* where in it the time is written; 0: nowhere */
} part_t;

/* An answer with its header, ready for the wire. Made at the first question
 * of its kind, read-only after, kept for the life of the process. */
typedef struct answer_t {
    question_t question;
    int64_t delay;      /* nanoseconds before the first part */
    int64_t gap;        /* between parts */
    int count;
    part_t *parts;
} answer_t;

/** Names a recording that models with f0, f1 ... in their name answer with. */
void answers_file(const char *path);

/**
 * The answer to a question. The model's name says how: words with a dash
 * between them, b600 (bytes of a whole answer), n50 (parts of a stream), d20
 * (milliseconds before the answer), g5 (between parts), s1 (each part of a
 * stream carries the time at which it is written), f0 (a recording); any other
 * word is only part of the name.
 * @return NULL: too many different questions, or no such recording
 */
const answer_t *answers_find(const question_t *q);

#endif
