/* bedrock.c - damages recorded event streams of Amazon's and looks whether
 * the decoder believes them. For each path on standard input one line of
 * JSON: how often it did.
 *
 *   flips       bytes that were made others, one at a time
 *   believed    ... and what was said in their message came out all the same
 *   endings     streams that were damaged in one of their messages, or whose
 *               end is missing
 *   ended_well  ... and ended as if nothing had happened
 */

#include "../unit/transcript.h"
#include "jobs.h"

/* A stream up to this length is damaged at every byte of it; one that is
 * longer at one byte of each message, and each of its messages by itself at
 * every byte. */
#define SHORT_STREAM (16 << 10)

typedef struct counts_t {
    long flips, believed, endings, ended_well;
} counts_t;

static int ends_well(const char *transcript)
{
    apr_size_t n = strlen(transcript);

    return n >= 4 && !strcmp(transcript + n - 4, "end\n");
}

static const char *read_stream(apr_pool_t *p, llmux_slice_t bytes)
{
    return transcribe(p, &llmux_dialect_bedrock, 1, bytes.data, bytes.len,
                      -1);
}

/* How long the message is that begins here; all that is left if that makes
 * no sense. */
static apr_size_t message_length(llmux_slice_t rest)
{
    const unsigned char *at = (const unsigned char *)rest.data;
    apr_size_t n = 0;
    int i;

    for (i = 0; i < 4 && rest.len >= 4; i++) {
        n = n << 8 | at[i];
    }
    return n < 16 || n > rest.len ? rest.len : n;
}

static llmux_slice_t part(llmux_slice_t s, apr_size_t from, apr_size_t len)
{
    s.data += from;
    s.len = len;
    return s;
}

/* ---- damage ---------------------------------------------------------- */

/* The bytes with one of them changed, in `p`. */
static llmux_slice_t flipped(apr_pool_t *p, llmux_slice_t bytes,
                             apr_size_t at)
{
    char *copy = apr_pmemdup(p, bytes.data, bytes.len);

    copy[at] = (char)~copy[at];
    bytes.data = copy;
    return bytes;
}

/* A message of its own never is a whole answer: an error, and nothing else,
 * is what a damaged one must be. */
static void flip_message(apr_pool_t *p, llmux_slice_t message, counts_t *n)
{
    apr_pool_t *scratch;
    const char *got;
    apr_size_t at;

    for (at = 0; at < message.len; at++) {
        apr_pool_create(&scratch, p);
        got = read_stream(scratch, flipped(scratch, message, at));
        n->flips++;
        n->believed += strncmp(got, "error ", 6) != 0;
        apr_pool_destroy(scratch);
    }
}

static void flip_in_stream(apr_pool_t *p, llmux_slice_t bytes, apr_size_t at,
                           counts_t *n)
{
    apr_pool_t *scratch;

    apr_pool_create(&scratch, p);
    n->endings++;
    n->ended_well += ends_well(read_stream(scratch,
                                           flipped(scratch, bytes, at)));
    apr_pool_destroy(scratch);
}

/* @param over the message before says that it is over: what is still to come
 *        is numbers, without which an answer is one, too */
static void cut_off(apr_pool_t *p, llmux_slice_t bytes, apr_size_t at,
                    int over, counts_t *n)
{
    apr_pool_t *scratch;

    apr_pool_create(&scratch, p);
    bytes.len = at;
    n->endings++;
    n->ended_well += ends_well(read_stream(scratch, bytes)) && !over;
    apr_pool_destroy(scratch);
}

static int is_last_word(llmux_slice_t message)
{
    apr_size_t i;

    for (i = 0; i + 12 <= message.len; i++) {
        if (!memcmp(message.data + i, "\"stopReason\"", 12)) {
            return 1;
        }
    }
    return 0;
}

static void damage(apr_pool_t *p, llmux_slice_t bytes, counts_t *n)
{
    apr_size_t from, len, at;
    int over = 0;

    for (from = 0; from < bytes.len; from += len) {
        llmux_slice_t message = part(bytes, from, bytes.len - from);

        len = message_length(message);
        message.len = len;
        cut_off(p, bytes, from, over, n);
        if (bytes.len <= SHORT_STREAM) {
            for (at = from; at < from + len; at++) {
                flip_in_stream(p, bytes, at, n);
                cut_off(p, bytes, at, over && at == from, n);
            }
        }
        else {
            flip_in_stream(p, bytes, from + from % len, n);
            cut_off(p, bytes, from + 1 + from % (len - 1), 0, n);
        }
        flip_message(p, message, n);
        over |= is_last_word(message);
    }
}

/* ---- jobs ------------------------------------------------------------ */

static int job(apr_pool_t *p, char *line)
{
    llmux_slice_t bytes = { NULL, 0 };
    counts_t n = { 0 };

    line[strcspn(line, "\n")] = '\0';
    if (!read_file(p, line, &bytes)) {
        return 0;
    }
    damage(p, bytes, &n);
    printf("{\"flips\":%ld,\"believed\":%ld,\"endings\":%ld,"
           "\"ended_well\":%ld}\n", n.flips, n.believed, n.endings,
           n.ended_well);
    fflush(stdout);
    return 1;
}

int main(void)
{
    return run_jobs("bedrock", job);
}
