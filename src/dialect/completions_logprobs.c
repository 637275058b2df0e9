/* completions_logprobs.c - log probabilities in the legacy shape, and in that
 * of chat completions. Legacy has lists side by side, and writes tokens that
 * are no whole characters as "bytes:\xe2\x80". */

#include <string.h>

#include <apr_lib.h>

#include "completions.h"

#define BYTES "bytes:"

enum {
    TOPS_MAX = 20           /* likely tokens in one place, that anybody tells */
};

static int continues(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* ---- from legacy ----------------------------------------------------- */

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* "\xe2" at the beginning? */
static int is_escape(const char *s, apr_size_t len)
{
    return len >= 4 && s[0] == '\\' && s[1] == 'x' && apr_isxdigit(s[2])
        && apr_isxdigit(s[3]);
}

static void put_bytes(llmux_jw_t *w, llmux_slice_t token)
{
    int escaped = llmux_slice_starts(token, BYTES);
    apr_size_t i = escaped ? strlen(BYTES) : 0;

    llmux_jw_key(w, "bytes");
    llmux_jw_open(w, '[');
    while (i < token.len) {
        if (escaped && is_escape(token.data + i, token.len - i)) {
            llmux_jw_int(w, digit(token.data[i + 2]) * 16
                            + digit(token.data[i + 3]));
            i += 4;
        }
        else {
            llmux_jw_int(w, (unsigned char)token.data[i++]);
        }
    }
    llmux_jw_close(w, ']');
}

/* The first token of a prompt that is repeated has no number. */
static void put_number(llmux_jw_t *w, const llmux_json_t *v)
{
    if (llmux_json_kind(v) == LLMUX_JSON_NUMBER) {
        llmux_jw_raw(w, llmux_json_raw(v));
    }
    else {
        llmux_jw_null(w);
    }
}

static void put_token(llmux_jw_t *w, llmux_slice_t token,
                      const llmux_json_t *number)
{
    llmux_jw_key(w, "token");
    llmux_jw_str(w, token.data ? token : llmux_slice(""));
    llmux_jw_key(w, "logprob");
    put_number(w, number);
    put_bytes(w, token);
}

static void put_top(llmux_jw_t *w, apr_pool_t *p, const llmux_json_t *top)
{
    const llmux_json_t *m = llmux_json_kind(top) == LLMUX_JSON_OBJECT
        ? llmux_json_first(top) : NULL;

    llmux_jw_key(w, "top_logprobs");
    llmux_jw_open(w, '[');
    for (; m; m = llmux_json_next_member(top, m)) {
        llmux_jw_open(w, '{');
        put_token(w, llmux_json_str(p, m), llmux_json_value(m));
        llmux_jw_close(w, '}');
    }
    llmux_jw_close(w, ']');
}

static const llmux_json_t *next(const llmux_json_t *list,
                                const llmux_json_t *v)
{
    return v ? llmux_json_next(list, v) : NULL;
}

static const llmux_json_t *list_of(const llmux_json_t *v, const char *name)
{
    const llmux_json_t *list = llmux_json_get(v, name);

    return llmux_json_kind(list) == LLMUX_JSON_ARRAY ? list : NULL;
}

llmux_slice_t llmux_completions_logprobs_read(apr_pool_t *p,
                                              const llmux_json_t *legacy)
{
    const llmux_json_t *tokens = list_of(legacy, "tokens");
    const llmux_json_t *numbers = list_of(legacy, "token_logprobs");
    const llmux_json_t *tops = list_of(legacy, "top_logprobs");
    const llmux_json_t *v = llmux_json_first(tokens);
    const llmux_json_t *number = llmux_json_first(numbers);
    const llmux_json_t *top = llmux_json_first(tops);
    llmux_buf_t *out;
    llmux_jw_t w;

    if (!v) {
        return llmux_slice(NULL);
    }
    out = llmux_buf_create(p, LLMUX_ANSWER_MAX);
    w = llmux_jw(out);
    llmux_jw_open(&w, '[');
    for (; v; v = next(tokens, v)) {
        llmux_jw_open(&w, '{');
        put_token(&w, llmux_json_str(p, v), number);
        put_top(&w, p, top);
        llmux_jw_close(&w, '}');
        number = next(numbers, number);
        top = next(tops, top);
    }
    llmux_jw_close(&w, ']');
    return out->failed ? llmux_slice(NULL) : llmux_buf_slice(out);
}

/* ---- to legacy ------------------------------------------------------- */

void llmux_completions_logprobs_init(llmux_completions_logprobs_t *l,
                                     apr_pool_t *p)
{
    l->tokens = llmux_buf_create(p, LLMUX_ANSWER_MAX);
    l->numbers = llmux_buf_create(p, LLMUX_ANSWER_MAX);
    l->tops = llmux_buf_create(p, LLMUX_ANSWER_MAX);
    l->offsets = llmux_buf_create(p, LLMUX_ANSWER_MAX);
}

void llmux_completions_logprobs_reset(llmux_completions_logprobs_t *l)
{
    llmux_buf_reset(l->tokens);
    llmux_buf_reset(l->numbers);
    llmux_buf_reset(l->tops);
    llmux_buf_reset(l->offsets);
}

/* A writer for one more element. */
static llmux_jw_t element(llmux_buf_t *to)
{
    llmux_jw_t w = llmux_jw(to);

    w.comma = to->len > 0;
    return w;
}

/* Its text; where chat completions have "\xe2\x80" for bytes that are no
 * character, legacy says so. */
static llmux_slice_t name_of(apr_pool_t *p, const llmux_json_t *v)
{
    llmux_slice_t name = llmux_json_str(p, llmux_json_get(v, "token")), out;
    int bytes = llmux_json_count(llmux_json_get(v, "bytes"));
    char *text;

    if (!name.data || !is_escape(name.data, name.len)
        || (apr_size_t)bytes * 4 != name.len) {
        return name.data ? name : llmux_slice("");
    }
    out.len = strlen(BYTES) + name.len;
    out.data = text = apr_palloc(p, out.len);
    memcpy(text, BYTES, strlen(BYTES));
    memcpy(text + strlen(BYTES), name.data, name.len);
    return out;
}

/* Code points that begin in it. */
static apr_int64_t points_of(const llmux_json_t *v, llmux_slice_t name)
{
    const llmux_json_t *bytes = llmux_json_get(v, "bytes"), *b;
    apr_int64_t n = 0;

    if (llmux_json_kind(bytes) != LLMUX_JSON_ARRAY) {
        return llmux_slice_points(name);
    }
    for (b = llmux_json_first(bytes); b; b = llmux_json_next(bytes, b)) {
        n += !continues((unsigned char)llmux_json_int(b, 0));
    }
    return n;
}

static int seen(const llmux_slice_t *names, int n, llmux_slice_t name)
{
    int i;

    for (i = 0; i < n; i++) {
        if (llmux_slice_equal(names[i], name)) {
            return 1;
        }
    }
    return 0;
}

/* The token itself is always among them, and each has a name of its own. */
static void add_top(llmux_completions_logprobs_t *l, apr_pool_t *p,
                    const llmux_json_t *v)
{
    const llmux_json_t *list = list_of(v, "top_logprobs");
    const llmux_json_t *top = llmux_json_first(list);
    llmux_slice_t names[TOPS_MAX + 1];
    llmux_jw_t w = element(l->tops);
    int n = 0;

    llmux_jw_open(&w, '{');
    for (; top && n < TOPS_MAX; top = llmux_json_next(list, top)) {
        names[n] = name_of(p, top);
        if (!seen(names, n, names[n])) {
            llmux_jw_key_slice(&w, names[n++]);
            put_number(&w, llmux_json_get(top, "logprob"));
        }
    }
    if (!seen(names, n, name_of(p, v))) {
        llmux_jw_key_slice(&w, name_of(p, v));
        put_number(&w, llmux_json_get(v, "logprob"));
    }
    llmux_jw_close(&w, '}');
}

static void add(llmux_completions_logprobs_t *l, apr_pool_t *p,
                const llmux_json_t *v)
{
    llmux_slice_t name = name_of(p, v);
    llmux_jw_t token = element(l->tokens), number = element(l->numbers);
    llmux_jw_t offset = element(l->offsets);

    llmux_jw_str(&token, name);
    put_number(&number, llmux_json_get(v, "logprob"));
    llmux_jw_int(&offset, l->at);
    add_top(l, p, v);
    l->at += points_of(v, name);
}

void llmux_completions_logprobs_add(llmux_completions_logprobs_t *l,
                                    apr_pool_t *p, const llmux_json_t *list)
{
    const llmux_json_t *v = llmux_json_element(list);

    for (; v; v = llmux_json_next(list, v)) {
        add(l, p, v);
    }
}

static void put_list(llmux_jw_t *w, const char *name, const llmux_buf_t *list)
{
    llmux_jw_key(w, name);
    llmux_jw_open(w, '[');
    llmux_jw_raw(w, llmux_buf_slice(list));
    llmux_jw_close(w, ']');
}

void llmux_completions_logprobs_write(llmux_jw_t *w,
                                      const llmux_completions_logprobs_t *l)
{
    if (!l->tokens || !l->tokens->len) {
        llmux_jw_null(w);
        return;
    }
    llmux_jw_open(w, '{');
    put_list(w, "tokens", l->tokens);
    put_list(w, "token_logprobs", l->numbers);
    put_list(w, "top_logprobs", l->tops);
    put_list(w, "text_offset", l->offsets);
    llmux_jw_close(w, '}');
    w->out->failed |= l->tokens->failed | l->numbers->failed
        | l->tops->failed | l->offsets->failed;
}
