/* answers.c - bodies as providers send them, of any size and in any rhythm. */

#define _GNU_SOURCE
#include "answers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stamp.h"
#include "timers.h"

#define ANSWERS_MAX 128
#define FILES_MAX   8
#define PARTS_MAX   4096
#define BYTES_MAX   (8 << 20)

static answer_t answers[ANSWERS_MAX];
static int answer_count;

static const char *files[FILES_MAX];
static int file_count;

/* What a model's name says. */
typedef struct recipe_t {
    long bytes, parts, delay, gap, stamped, file;
} recipe_t;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- templates ------------------------------------------------------- */

/* ' stands for a double quote, %M for the model, %T for a piece of text. */
#define OPENAI_ID    "chatcmpl-CkM2b7Vq1XtRz0dLwYh3sPf9JaGeU"
#define OPENAI_CHUNK                                                          \
    "data: {'id':'" OPENAI_ID "','object':'chat.completion.chunk',"           \
    "'created':1765000000,'model':'%M','service_tier':'default',"             \
    "'system_fingerprint':'fp_5a1c0e72d9',"
#define OPENAI_USAGE                                                          \
    "'usage':{'prompt_tokens':74,'completion_tokens':50,'total_tokens':124,"  \
    "'prompt_tokens_details':{'cached_tokens':0,'audio_tokens':0},"           \
    "'completion_tokens_details':{'reasoning_tokens':0,'audio_tokens':0,"     \
    "'accepted_prediction_tokens':0,'rejected_prediction_tokens':0}}"

#define CLAUDE_ID    "msg_01Vt9QmXk3BzLw7RfYd2HsNc"
#define CLAUDE_USAGE                                                          \
    "'usage':{'input_tokens':74,'cache_creation_input_tokens':0,"             \
    "'cache_read_input_tokens':0,'cache_creation':"                           \
    "{'ephemeral_5m_input_tokens':0,'ephemeral_1h_input_tokens':0},"          \
    "'output_tokens':50,'service_tier':'standard'}"

typedef struct dialect_t {
    const char *header;
    const char *whole;
    const char *start;      /* of a stream; goes with its first words */
    const char *delta;
    const char *end;
    const char *usage;      /* after the end, when it was asked for */
    const char *done;
} dialect_t;

static const dialect_t openai = {
    .header =
        "openai-organization: bench-org\r\n"
        "openai-processing-ms: 12\r\n"
        "openai-version: 2020-10-01\r\n"
        "x-ratelimit-limit-requests: 10000\r\n"
        "x-ratelimit-limit-tokens: 2000000\r\n"
        "x-ratelimit-remaining-requests: 9999\r\n"
        "x-ratelimit-remaining-tokens: 1999926\r\n"
        "x-ratelimit-reset-requests: 6ms\r\n"
        "x-ratelimit-reset-tokens: 2ms\r\n"
        "x-request-id: req_4f1d0c9be2a74f0c8a6b51d2e07c93aa\r\n",
    .whole =
        "{'id':'" OPENAI_ID "','object':'chat.completion',"
        "'created':1765000000,'model':'%M','choices':[{'index':0,"
        "'message':{'role':'assistant','content':'%T','refusal':null,"
        "'annotations':[]},'logprobs':null,'finish_reason':'stop'}],"
        OPENAI_USAGE ",'service_tier':'default'}\n",
    .start =
        OPENAI_CHUNK "'choices':[{'index':0,'delta':{'role':'assistant',"
        "'content':'','refusal':null},'logprobs':null,"
        "'finish_reason':null}],'usage':null}\n\n",
    .delta =
        OPENAI_CHUNK "'choices':[{'index':0,'delta':{'content':'%T'},"
        "'logprobs':null,'finish_reason':null}],'usage':null}\n\n",
    .end =
        OPENAI_CHUNK "'choices':[{'index':0,'delta':{},'logprobs':null,"
        "'finish_reason':'stop'}],'usage':null}\n\n",
    .usage =
        OPENAI_CHUNK "'choices':[]," OPENAI_USAGE "}\n\n",
    .done =
        "data: [DONE]\n\n"
};

static const dialect_t anthropic = {
    .header =
        "anthropic-organization-id: 00000000-0000-4000-8000-000000000000\r\n"
        "anthropic-ratelimit-requests-limit: 4000\r\n"
        "anthropic-ratelimit-requests-remaining: 3999\r\n"
        "anthropic-ratelimit-requests-reset: 2026-01-01T00:00:00Z\r\n"
        "anthropic-ratelimit-tokens-limit: 480000\r\n"
        "anthropic-ratelimit-tokens-remaining: 480000\r\n"
        "anthropic-ratelimit-tokens-reset: 2026-01-01T00:00:00Z\r\n"
        "request-id: req_011CVr8yPq5TnZk2WbXd4mHs\r\n",
    .whole =
        "{'model':'%M','id':'" CLAUDE_ID "','type':'message',"
        "'role':'assistant','content':[{'type':'text','text':'%T'}],"
        "'stop_reason':'end_turn','stop_sequence':null," CLAUDE_USAGE "}",
    .start =
        "event: message_start\n"
        "data: {'type':'message_start','message':{'model':'%M',"
        "'id':'" CLAUDE_ID "','type':'message','role':'assistant',"
        "'content':[],'stop_reason':null,'stop_sequence':null,"
        CLAUDE_USAGE "}}\n\n"
        "event: content_block_start\n"
        "data: {'type':'content_block_start','index':0,'content_block':"
        "{'type':'text','text':''}}\n\n"
        "event: ping\n"
        "data: {'type': 'ping'}\n\n",
    .delta =
        "event: content_block_delta\n"
        "data: {'type':'content_block_delta','index':0,'delta':"
        "{'type':'text_delta','text':'%T'}}\n\n",
    .end =
        "event: content_block_stop\n"
        "data: {'type':'content_block_stop','index':0}\n\n"
        "event: message_delta\n"
        "data: {'type':'message_delta','delta':{'stop_reason':'end_turn',"
        "'stop_sequence':null},'usage':{'output_tokens':50}}\n\n"
        "event: message_stop\n"
        "data: {'type':'message_stop'}\n\n",
    .usage = "",
    .done = ""
};

static const dialect_t *dialect(const question_t *q)
{
    return q->anthropic ? &anthropic : &openai;
}

static void expand(FILE *out, const char *template, const char *model,
                   const char *text)
{
    for (; *template; template++) {
        if (*template == '\'') {
            fputc('"', out);
        }
        else if (*template == '%') {
            template++;
            fputs(*template == 'M' ? model : text, out);
        }
        else {
            fputc(*template, out);
        }
    }
}

/* ---- text ------------------------------------------------------------ */

static const char *const words[] = {
    " the", " server", " answers", " each", " question", " with", " a",
    " few", " words", " that", " nobody", " reads", ",", " because", " only",
    " their", " way", " is", " of", " interest", " here", ".\\n\\n", " In",
    " between", ",", " it", " waits", " \\\"patiently\\\"", " for",
    " whoever", " comes", "."
};

#define WORDS ((int)(sizeof(words) / sizeof(words[0])))

/* About `n` bytes of text, as JSON has it. */
static char *prose(long n)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    long have = 0;
    int i;

    if (!out) {
        fail("open_memstream");
    }
    for (i = 0; have < n; i = (i + 1) % WORDS) {
        have += fprintf(out, "%s", words[i]);
    }
    fclose(out);
    return text;
}

/* ---- parts ----------------------------------------------------------- */

/* A part that is being written. */
typedef struct draft_t {
    part_t *part;
    char *data;
    size_t len;
    FILE *out;
} draft_t;

static void draft_open(draft_t *d, answer_t *a)
{
    a->parts = realloc(a->parts, (a->count + 1) * sizeof(*a->parts));
    if (!a->parts) {
        fail("realloc");
    }
    d->part = &a->parts[a->count++];
    d->data = NULL;
    d->out = open_memstream(&d->data, &d->len);
    if (!d->out) {
        fail("open_memstream");
    }
}

static void draft_close(draft_t *d)
{
    fclose(d->out);
    d->part->data = d->data;
    d->part->len = d->len;
    d->part->stamp = 0;
}

/* The header and the line of the chunk's size move the stamp behind them. */
static void find_stamp(part_t *part)
{
    const char *mark = memmem(part->data, part->len, STAMP_TEXT,
                              strlen(STAMP_TEXT));

    if (!mark || part->len > STAMPED_MAX) {
        fprintf(stderr, "a part has no room for the time\n");
        exit(2);
    }
    part->stamp = mark + 1 - part->data;
}

static void add_header(FILE *out, const question_t *q, const char *type)
{
    fprintf(out, "HTTP/1.1 200 OK\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            "content-type: %s\r\n%s", type, dialect(q)->header);
}

static void add_whole(answer_t *a, const char *body, size_t len)
{
    draft_t d;

    draft_open(&d, a);
    add_header(d.out, &a->question, "application/json");
    fprintf(d.out, "content-length: %zu\r\n\r\n", len);
    fwrite(body, 1, len, d.out);
    draft_close(&d);
}

/* One part of a stream is one HTTP chunk; the first brings the header, the
 * last the end of the body. */
static void add_chunk(answer_t *a, const char *data, size_t len, int last)
{
    int first = a->count == 0;
    draft_t d;

    draft_open(&d, a);
    if (first) {
        add_header(d.out, &a->question, "text/event-stream");
        fputs("transfer-encoding: chunked\r\n\r\n", d.out);
    }
    fprintf(d.out, "%zx\r\n", len);
    fwrite(data, 1, len, d.out);
    fputs(last ? "\r\n0\r\n\r\n" : "\r\n", d.out);
    draft_close(&d);
}

/* ---- made up --------------------------------------------------------- */

static void make_whole(answer_t *a, const recipe_t *r)
{
    const char *template = dialect(&a->question)->whole;
    char *text = prose(r->bytes - (long)strlen(template)
                       - (long)strlen(a->question.model));
    char *body = NULL;
    size_t len;
    FILE *out = open_memstream(&body, &len);

    if (!out) {
        fail("open_memstream");
    }
    expand(out, template, a->question.model, text);
    fclose(out);
    add_whole(a, body, len);
    free(body);
    free(text);
}

/* The role comes together with the first words, and what ends a stream with
 * the last ones: every part is content, so that the time to the first token
 * means the same whoever passes it on. */
static void make_part(answer_t *a, int i, const recipe_t *r)
{
    const question_t *q = &a->question;
    const dialect_t *say = dialect(q);
    int last = i == r->parts - 1;
    char *data = NULL;
    size_t len;
    FILE *out = open_memstream(&data, &len);

    if (!out) {
        fail("open_memstream");
    }
    if (i == 0) {
        expand(out, say->start, q->model, "");
    }
    expand(out, say->delta, q->model,
           r->stamped ? STAMP_TEXT : words[i % WORDS]);
    if (last) {
        expand(out, say->end, q->model, "");
        expand(out, q->usage ? say->usage : "", q->model, "");
        expand(out, say->done, q->model, "");
    }
    fclose(out);
    add_chunk(a, data, len, last);
    if (r->stamped) {
        find_stamp(&a->parts[i]);
    }
    free(data);
}

static void make_stream(answer_t *a, const recipe_t *r)
{
    int i;

    for (i = 0; i < r->parts; i++) {
        make_part(a, i, r);
    }
}

/* ---- recorded -------------------------------------------------------- */

void answers_file(const char *path)
{
    if (file_count == FILES_MAX) {
        fprintf(stderr, "more than %d recordings\n", FILES_MAX);
        exit(2);
    }
    files[file_count++] = path;
}

static char *read_file(const char *path, size_t *len)
{
    char *data = malloc(BYTES_MAX);
    FILE *in = fopen(path, "rb");

    if (!data || !in) {
        fail(path);
    }
    *len = fread(data, 1, BYTES_MAX, in);
    fclose(in);
    return data;
}

/* A recorded stream is cut where its events end. */
static void make_recorded_stream(answer_t *a, const char *data, size_t len)
{
    const char *end = data + len;
    const char *border;

    while (data < end) {
        border = memmem(data, end - data, "\n\n", 2);
        border = border ? border + 2 : end;
        if (a->count == PARTS_MAX) {
            border = end;
        }
        add_chunk(a, data, border - data, border == end);
        data = border;
    }
}

static void make_recorded(answer_t *a, const recipe_t *r)
{
    size_t len;
    char *data = read_file(files[r->file], &len);

    if (a->question.stream) {
        make_recorded_stream(a, data, len);
    }
    else {
        add_whole(a, data, len);
    }
    free(data);
}

/* ---- which ----------------------------------------------------------- */

static long *ingredient(recipe_t *r, char letter)
{
    switch (letter) {
    case 'b':
        return &r->bytes;
    case 'n':
        return &r->parts;
    case 'd':
        return &r->delay;
    case 'g':
        return &r->gap;
    case 's':
        return &r->stamped;
    case 'f':
        return &r->file;
    }
    return NULL;
}

static long bounded(long n, long low, long high)
{
    return n < low ? low : n > high ? high : n;
}

static void read_recipe(recipe_t *r, const char *model)
{
    const char *word = model;

    while (word) {
        long *n = ingredient(r, word[0]);
        char *end;
        long value = strtol(word + 1, &end, 10);

        if (n && end > word + 1 && (*end == '-' || !*end)) {
            *n = value;
        }
        word = strchr(word, '-');
        word += word != NULL;
    }
    r->bytes = bounded(r->bytes, 0, BYTES_MAX);
    r->parts = bounded(r->parts, 1, PARTS_MAX);
    r->delay = bounded(r->delay, 0, 60000);
    r->gap = bounded(r->gap, 0, 60000);
}

static const answer_t *make(const question_t *q)
{
    recipe_t r = { .bytes = 600, .parts = 50, .file = -1 };
    answer_t *a = &answers[answer_count];

    read_recipe(&r, q->model);
    if (answer_count == ANSWERS_MAX || r.file >= file_count) {
        return NULL;
    }
    answer_count++;
    a->question = *q;
    a->delay = r.delay * MS;
    a->gap = r.gap * MS;
    if (r.file >= 0) {
        make_recorded(a, &r);
    }
    else if (q->stream) {
        make_stream(a, &r);
    }
    else {
        make_whole(a, &r);
    }
    return a;
}

static int is_same(const question_t *a, const question_t *b)
{
    return a->stream == b->stream && a->usage == b->usage
        && a->anthropic == b->anthropic && !strcmp(a->model, b->model);
}

const answer_t *answers_find(const question_t *q)
{
    int i;

    for (i = 0; i < answer_count; i++) {
        if (is_same(&answers[i].question, q)) {
            return &answers[i];
        }
    }
    return make(q);
}
