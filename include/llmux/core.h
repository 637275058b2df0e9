/**
 * core.h - the vocabulary of every layer: slices, buffers, JSON, event
 * streams, errors, warnings, secrets, ids and the environment.
 *
 * Everything here is free of I/O and of httpd. Functions are thread-safe as
 * long as two threads do not share an object. Unless said otherwise results
 * live in the pool given, or point into the bytes given ("slices").
 */

#ifndef LLMUX_CORE_H
#define LLMUX_CORE_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>
#include <stdarg.h>
#include <string.h>

#include "llmux/limits.h"

/* ---- slices ---------------------------------------------------------- */

/* Bytes in someone else's buffer. data == NULL means absent, len 0 empty. */
typedef struct llmux_slice_t {
    const char *data;
    apr_size_t len;
} llmux_slice_t;

/* "Absent", "unset", "not said" as opposed to no and yes. */
typedef enum { LLMUX_UNSET = -1, LLMUX_NO = 0, LLMUX_YES = 1 } llmux_tri_e;

/** The bytes of a C string; absent for NULL. */
llmux_slice_t llmux_slice(const char *s);

/** A copy in `p` (NUL-terminated behind its end); absent stays absent. */
llmux_slice_t llmux_slice_dup(apr_pool_t *p, llmux_slice_t s);

/** The slice as a C string in `p`; "" for absent. */
const char *llmux_slice_str(apr_pool_t *p, llmux_slice_t s);

/** Is it exactly this text? Absent equals nothing. */
int llmux_slice_is(llmux_slice_t s, const char *text);

/** Same, ASCII case aside. */
int llmux_slice_is_nocase(llmux_slice_t s, const char *text);

/** Does it begin with this text? */
int llmux_slice_starts(llmux_slice_t s, const char *text);

/** Are both present and equal? */
int llmux_slice_equal(llmux_slice_t a, llmux_slice_t b);

/** White space as JSON has it; XML has the same. */
static inline int llmux_char_is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/** Is it empty, absent, or only such white space? */
int llmux_slice_blank(llmux_slice_t s);

/** Without such white space at its ends. */
llmux_slice_t llmux_slice_trim(llmux_slice_t s);

/** The slice as a C string in lower case, cut to what `size` bytes hold. */
void llmux_slice_lower(char *to, apr_size_t size, llmux_slice_t s);

/** How many code points it has, if it is UTF-8. */
apr_int64_t llmux_slice_points(llmux_slice_t s);

/* ---- buffers --------------------------------------------------------- */

/* A growing buffer with a maximum. Reading data and len is fine, changing
 * them is not. It frees itself with its pool. */
typedef struct llmux_buf_t {
    char *data;         /* NUL-terminated once anything was added */
    apr_size_t len;
    apr_size_t cap;
    apr_size_t max;
    int failed;         /* something did not fit or memory ran out; sticky */
} llmux_buf_t;

/** @param max no more than this many bytes, ever */
llmux_buf_t *llmux_buf_create(apr_pool_t *p, apr_size_t max);

/** Appends, or sets `failed` and appends nothing. */
void llmux_buf_add(llmux_buf_t *b, const void *data, apr_size_t len);
void llmux_buf_adds(llmux_buf_t *b, const char *s);
void llmux_buf_addf(llmux_buf_t *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void llmux_buf_add_slice(llmux_buf_t *b, llmux_slice_t s);

/** Makes room for `more` bytes at once, where the size is known before. */
void llmux_buf_reserve(llmux_buf_t *b, apr_size_t more);

/** Empties it (also clears `failed`), keeping at most a small allocation. */
void llmux_buf_reset(llmux_buf_t *b);

/** What is in it; valid until the next change. Never absent. */
llmux_slice_t llmux_buf_slice(const llmux_buf_t *b);

/* ---- JSON: reading ---------------------------------------------------
 *
 * A document is validated in one pass (RFC 8259, strict: valid UTF-8, no
 * lone control characters, depth limit, one value and white space) and
 * indexed as an array of nodes in document order. Numbers keep their source
 * text, values their bytes, so that a schema or an argument can be copied as
 * it stands. Every reader answers for every input, NULL included.
 */

typedef enum {
    LLMUX_JSON_NONE,    /* what kind() says of NULL */
    LLMUX_JSON_NULL,
    LLMUX_JSON_BOOL,
    LLMUX_JSON_NUMBER,
    LLMUX_JSON_STRING,
    LLMUX_JSON_ARRAY,
    LLMUX_JSON_OBJECT
} llmux_json_e;

/* A value. Points into the text that was parsed; dies with it. In an object
 * each member is two nodes: its name (a string), then its value. */
typedef struct llmux_json_t {
    const char *at;         /* first byte of the value (strings: the quote) */
    apr_uint32_t len;       /* its bytes (strings: with both quotes) */
    apr_uint32_t skip;      /* nodes from here to the next sibling */
    unsigned char kind;     /* llmux_json_e */
    unsigned char escaped;  /* string with a backslash in it */
} llmux_json_t;

typedef struct llmux_json_error_t {
    apr_size_t offset;      /* byte in the text, 0-based */
    int line, column;       /* 1-based; column in bytes */
    const char *reason;     /* static words, such as "unexpected ','" */
} llmux_json_error_t;

/* A parser whose memory is used again for each text: constant memory over a
 * stream. Values of the previous text die with the next parse. */
typedef struct llmux_json_parser_t llmux_json_parser_t;

llmux_json_parser_t *llmux_json_parser_create(apr_pool_t *p);

/** No more than so many values and names (LLMUX_JSON_NODES_MAX at most). */
void llmux_json_parser_bound(llmux_json_parser_t *parser,
                             apr_uint32_t nodes);

/**
 * Validates and indexes `text`, to be kept alive as long as the result.
 * @param depth record nodes only down to this nesting (1 = the members of
 *        the top value, deeper values are validated and left closed: they
 *        have a kind and raw bytes, but no children); 0 = all
 * @param err filled in on failure, may be NULL
 * @return the top value, or NULL
 */
const llmux_json_t *llmux_json_parse_again(llmux_json_parser_t *parser,
                                           llmux_slice_t text, int depth,
                                           llmux_json_error_t *err);

/** Same with a parser of its own in `p`. */
const llmux_json_t *llmux_json_parse(apr_pool_t *p, llmux_slice_t text,
                                     int depth, llmux_json_error_t *err);

/** The name that an object has twice (escapes decoded), or NULL. In `p`. */
const char *llmux_json_duplicate(apr_pool_t *p, const llmux_json_t *object);

llmux_json_e llmux_json_kind(const llmux_json_t *v);

/** What an error message calls it: "a string", "an object", "nothing". */
const char *llmux_json_kind_name(const llmux_json_t *v);

/** Member by its name of `len` bytes (the last of several), also when its
 * value is JSON null; NULL if there is none, or if `v` is no object. */
const llmux_json_t *llmux_json_member(const llmux_json_t *v, const char *name,
                                      apr_size_t len);

/** Same by a C string. Inline, so that the length of a literal is known. */
static inline const llmux_json_t *llmux_json_get_any(const llmux_json_t *v,
                                                     const char *name)
{
    return llmux_json_member(v, name, strlen(name));
}

/** Same, but JSON null is no answer. */
static inline const llmux_json_t *llmux_json_get(const llmux_json_t *v,
                                                 const char *name)
{
    const llmux_json_t *found = llmux_json_member(v, name, strlen(name));

    return found && found->kind != LLMUX_JSON_NULL ? found : NULL;
}

/** Is this name of a member, met on a walk, these characters? */
int llmux_json_named(const llmux_json_t *m, const char *name, apr_size_t len);

/** Element by number, NULL outside. */
const llmux_json_t *llmux_json_at(const llmux_json_t *v, int index);

/** Walks an array: for (e = first(v); e; e = next(v, e)). On an object the
 * walk visits name, value, name, value; see llmux_json_value(). */
const llmux_json_t *llmux_json_first(const llmux_json_t *v);
const llmux_json_t *llmux_json_next(const llmux_json_t *v,
                                    const llmux_json_t *child);

/** The first element of an array; NULL of anything else, objects too. */
const llmux_json_t *llmux_json_element(const llmux_json_t *v);

/** Walks an object: for (m = first(v); m; m = next_member(v, m)), where m is
 * the name and llmux_json_value(m) what it has. */
const llmux_json_t *llmux_json_next_member(const llmux_json_t *v,
                                           const llmux_json_t *name);
const llmux_json_t *llmux_json_value(const llmux_json_t *name);

/** Number of elements or members; 0 for anything else. */
int llmux_json_count(const llmux_json_t *v);

/** A string's characters, escapes decoded: in place where there are none,
 * else in `p`. Lone surrogates become U+FFFD. Absent unless a string. */
llmux_slice_t llmux_json_str(apr_pool_t *p, const llmux_json_t *v);

/** Same as a C string; "" unless a string; a NUL inside ends it. */
const char *llmux_json_cstr(apr_pool_t *p, const llmux_json_t *v);

/** Is it a string with exactly these characters? */
int llmux_json_is(const llmux_json_t *v, const char *text);

/** An integer that fits (1, 1.0 and 1e2 are), else `other`. */
apr_int64_t llmux_json_int(const llmux_json_t *v, apr_int64_t other);

/** A finite number, else `other`. Not for tokens, ids or money. */
double llmux_json_double(const llmux_json_t *v, double other);

/** true, false, or unset for anything else. */
llmux_tri_e llmux_json_bool(const llmux_json_t *v);

/** The value's bytes as they stand, quotes and all; absent for NULL. */
llmux_slice_t llmux_json_raw(const llmux_json_t *v);

/* ---- JSON: picking ---------------------------------------------------
 *
 * For texts that come by the thousand and of which a few members matter:
 * validated as above in one pass, without an index and without memory.
 */

/* A member that is wanted, and what it may be. A table of them describes an
 * object, quickest in the order they usually come in. */
typedef struct llmux_json_pick_t {
    const char *name;       /* with a quote behind it; NULL in the last row */
    unsigned char len;      /* of that */
    unsigned char slot;     /* where the value goes */
    unsigned char kinds;    /* those it may be: 1 << llmux_json_e, or'ed */
    /* What is wanted of the value if it is an object, or of the one object
     * in it if it is an array; NULL: the inside is only validated. */
    const struct llmux_json_pick_t *inside;
} llmux_json_pick_t;

/* Among the kinds: the array "[]". LLMUX_JSON_ARRAY stands for others. */
#define LLMUX_JSON_PICK_EMPTY (1u << 7)

/* The beginning of a row, and the last row. */
#define LLMUX_JSON_PICK(name, slot) name "\"", sizeof(name), (slot)
#define LLMUX_JSON_PICK_END { NULL, 0, 0, 0, NULL }

/**
 * Fills `slots` with the members of an object, each as a value without
 * children; of kind NONE where there is none.
 * @return 0 if it is not that simple and the text must be parsed to know
 *         more: it is no JSON, no object, or longer than LLMUX_JSON_NODES_MAX;
 *         or, where members are wanted, one is of another kind, one comes
 *         twice, a name has escapes, or an array holds anything but one
 *         object. The slots are then void.
 */
int llmux_json_pick(llmux_slice_t text, const llmux_json_pick_t *picks,
                    llmux_json_t *slots, int count);

/* ---- JSON: writing ---------------------------------------------------
 *
 * Appends to a buffer; commas come by themselves. The buffer's `failed`
 * tells whether all of it fitted. Example:
 *
 *     llmux_jw_t w = llmux_jw(out);
 *     llmux_jw_open(&w, '{');
 *     llmux_jw_key(&w, "role");
 *     llmux_jw_str(&w, llmux_slice("user"));
 *     llmux_jw_close(&w, '}');
 */

typedef struct llmux_jw_t {
    llmux_buf_t *out;
    int comma;          /* the next value needs a comma before it */
} llmux_jw_t;

llmux_jw_t llmux_jw(llmux_buf_t *out);
void llmux_jw_open(llmux_jw_t *w, char bracket);     /* '{' or '[' */
void llmux_jw_close(llmux_jw_t *w, char bracket);    /* '}' or ']' */
void llmux_jw_key(llmux_jw_t *w, const char *name);
void llmux_jw_key_slice(llmux_jw_t *w, llmux_slice_t name);

/** A string; invalid UTF-8 becomes U+FFFD, absent becomes null. */
void llmux_jw_str(llmux_jw_t *w, llmux_slice_t s);
void llmux_jw_cstr(llmux_jw_t *w, const char *s);
void llmux_jw_int(llmux_jw_t *w, apr_int64_t n);
void llmux_jw_bool(llmux_jw_t *w, int yes);
void llmux_jw_null(llmux_jw_t *w);

/** JSON text as it stands; absent or blank becomes null. */
void llmux_jw_raw(llmux_jw_t *w, llmux_slice_t json);

/** key and value in one, left out altogether when the value is absent. */
void llmux_jw_opt_str(llmux_jw_t *w, const char *name, llmux_slice_t s);
void llmux_jw_opt_raw(llmux_jw_t *w, const char *name, llmux_slice_t json);
void llmux_jw_opt_bool(llmux_jw_t *w, const char *name, llmux_tri_e yes);

/** Appends the characters with JSON escapes, without quotes. */
void llmux_json_escape(llmux_buf_t *out, llmux_slice_t s);

/** Appends JSON text without its line ends, which would end an event. They
 * cannot stand within a string, so nothing is lost. */
void llmux_json_one_line(llmux_buf_t *out, llmux_slice_t json);

/** Is this text JSON, and is the value an object? Scratch is in `p`. */
int llmux_json_is_object(apr_pool_t *p, llmux_slice_t text);

/* ---- event streams (text/event-stream) -------------------------------
 *
 * WHATWG HTML, "Server-sent events". Lines end with LF, CRLF or CR; a BOM is
 * skipped; the last event may lack its blank line.
 */

/* One event. Slices die when the callback returns. */
typedef struct llmux_sse_event_t {
    llmux_slice_t name;     /* absent without an `event:` line */
    llmux_slice_t data;     /* `data:` lines joined with LF; absent for none */
    llmux_slice_t raw;      /* its bytes on the wire, blank line included */
} llmux_sse_event_t;

/* Called for each event, and for each block of comments alone (data absent).
 * Returning 0 ends the feed; the parser then takes no more. */
typedef int (*llmux_sse_fn)(void *baton, const llmux_sse_event_t *ev);

typedef struct llmux_sse_t llmux_sse_t;

/** @param max longest event; beyond it feed() fails */
llmux_sse_t *llmux_sse_create(apr_pool_t *p, apr_size_t max,
                              llmux_sse_fn fn, void *baton);

/** @return APR_SUCCESS, APR_ENOSPC (event too long), APR_EGENERAL (stopped) */
apr_status_t llmux_sse_feed(llmux_sse_t *s, const char *data, apr_size_t len);

/** The stream ended: delivers a last event without its blank line. */
apr_status_t llmux_sse_end(llmux_sse_t *s);

/** Does it lie between two events (nothing half-read)? */
int llmux_sse_at_border(const llmux_sse_t *s);

/* ---- errors ---------------------------------------------------------- */

typedef enum {
#define X(kind, status, type, code, atype, gstatus) LLMUX_ERR_##kind,
#include "llmux/errors.def"
#undef X
    LLMUX_ERR_COUNT
} llmux_error_e;

/* What the API's caller must be told. Functions that can fail that way
 * return `const llmux_error_t *`: NULL is fine. Lives in the pool given. */
typedef struct llmux_error_t {
    llmux_error_e kind;
    int status;             /* HTTP status, the kind's own unless changed */
    const char *message;    /* a sentence that says what to do */
    const char *param;      /* the member at fault, such as "messages[2]" */
    const char *code;       /* machine-readable; NULL is JSON null */
    const char *type;       /* OpenAI's `type` */
    apr_interval_time_t retry_after;    /* microseconds; -1 = not said */
    int final;              /* our own attempts are exhausted: the client's
                             * SDK need not multiply them */
} llmux_error_t;

/** @param param may be NULL. The message is made in `p`. */
llmux_error_t *llmux_error(apr_pool_t *p, llmux_error_e kind,
                           const char *param, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/** The kind's own name, such as "RATE_LIMIT": for logs and labels. */
const char *llmux_error_name(llmux_error_e kind);

/** The row of errors.def in Anthropic's and in Gemini's words. */
const char *llmux_error_anthropic(llmux_error_e kind);
const char *llmux_error_gemini(llmux_error_e kind);

/* ---- warnings: what the target cannot say ---------------------------- */

typedef enum {
    LLMUX_WARN_DROP,        /* left out */
    LLMUX_WARN_APPROX,      /* said otherwise, near enough */
    LLMUX_WARN_EMULATE      /* done by us */
} llmux_warn_e;

/* Collected while a request is translated. Also holds the policy. */
typedef struct llmux_warnings_t llmux_warnings_t;

/** @param refuse LLMuxUnsupported refuse: a drop becomes a 400 */
llmux_warnings_t *llmux_warnings_create(apr_pool_t *p, int refuse);

/** Notes it once per field. Field is ASCII, such as "seed".
 * @param w NULL: nobody is told */
void llmux_warn(llmux_warnings_t *w, llmux_warn_e kind, const char *field);

/** The header's value, "drop=seed,logit_bias; approx=top_k", at most
 * LLMUX_WARNINGS_MAX bytes, or NULL when there is nothing to tell. */
const char *llmux_warnings_header(apr_pool_t *p, const llmux_warnings_t *w);

/** With the policy `refuse`: a 400 that names all dropped fields, else NULL.
 * @param target who cannot do it, for the message */
const llmux_error_t *llmux_warnings_refusal(apr_pool_t *p,
                                            const llmux_warnings_t *w,
                                            const char *target);

/** Forgets all of it: the next attempt has another target. */
void llmux_warnings_clear(llmux_warnings_t *w);

/* ---- secrets --------------------------------------------------------- */

/* Something that must never be printed. There is no function that formats
 * one; the one reader is named so that grep finds every use. */
typedef struct llmux_secret_t llmux_secret_t;

/**
 * Reads "env:NAME" or "file:PATH" (first line), or takes a literal.
 * @param err a sentence on failure (never with the secret in it)
 * @return NULL on failure
 */
const llmux_secret_t *llmux_secret_read(apr_pool_t *p, const char *spec,
                                        const char **err);

/** The bytes. For the wire and for comparison only, never for a log. */
llmux_slice_t llmux_secret_reveal(const llmux_secret_t *s);

/** Compares in constant time. */
int llmux_secret_equal(const llmux_secret_t *s, llmux_slice_t with);

/* ---- text helpers ---------------------------------------------------- */

/** Standard base64 in `p`; absent stays absent. */
llmux_slice_t llmux_base64_encode(apr_pool_t *p, llmux_slice_t bytes);

/** The same in the alphabet that is safe in URLs, without padding. */
llmux_slice_t llmux_base64url_encode(apr_pool_t *p, llmux_slice_t bytes);

/** Accepts both alphabets, padded or not, white space ignored.
 * @return absent when it is not base64 */
llmux_slice_t llmux_base64_decode(apr_pool_t *p, llmux_slice_t text);

/** Appends it with all but RFC 3986's unreserved characters encoded (%2F). */
void llmux_url_escape(llmux_buf_t *out, llmux_slice_t s);

/* RFC 2397 "data:image/png;base64,...". */
typedef struct llmux_data_url_t {
    llmux_slice_t type;     /* lower case, without parameters; "text/plain"
                             * when left out */
    llmux_slice_t base64;   /* standard alphabet, padded */
} llmux_data_url_t;

/** Reads one loosely (parameters, upper case, url-safe, unpadded, percent-
 * encoded text). @return 0 if it is none. */
int llmux_data_url(apr_pool_t *p, llmux_slice_t url, llmux_data_url_t *out);

/** The media type that the first bytes of base64 data show (png, jpeg, gif,
 * webp, pdf, wav, mp3), or NULL. */
const char *llmux_media_sniff(llmux_slice_t base64);

/** "5s", "100ms", "2m", "1h", bare numbers are seconds.
 * @return 0 unless it is one, at most a year */
int llmux_duration_parse(const char *text, apr_interval_time_t *out);

/** "32M", "64k", "1G", bare numbers are bytes. @return 0 unless it is one */
int llmux_size_parse(const char *text, apr_int64_t *out);

/** Seconds from a Retry-After value (seconds or HTTP date), -1 if none. */
apr_interval_time_t llmux_retry_after_parse(const char *value,
                                            apr_time_t now);

/* ---- environment ----------------------------------------------------- */

typedef enum {
    LLMUX_LOG_ERR, LLMUX_LOG_WARNING, LLMUX_LOG_INFO, LLMUX_LOG_DEBUG,
    LLMUX_LOG_TRACE
} llmux_log_e;

/* What the core asks of its host: clock, chance, log. Tests bring their own.
 * All functions may be called from any thread. */
typedef struct llmux_env_t {
    apr_time_t (*now)(void *host);
    apr_uint32_t (*chance)(void *host);     /* uniform 32 bits */
    void (*log)(void *host, llmux_log_e level, int number, apr_status_t rv,
                const char *message);
    int log_level;          /* nothing finer than this is worth formatting */
    void *host;
} llmux_env_t;

apr_time_t llmux_now(const llmux_env_t *env);
apr_uint32_t llmux_chance(const llmux_env_t *env);

/** A numbered line; never a key, a prompt or an answer. */
void llmux_log(const llmux_env_t *env, llmux_log_e level, int number,
               apr_status_t rv, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/** The environment of the plain process (clock, getrandom, stderr). */
const llmux_env_t *llmux_env_process(void);

/** UUIDv7 (RFC 9562): 36 characters and NUL. */
void llmux_uuid(const llmux_env_t *env, char out[37]);

/** `prefix` and 24 random letters and digits, such as "call_...". */
const char *llmux_random_id(const llmux_env_t *env, apr_pool_t *p,
                            const char *prefix);

#endif
