/* count.c - texts to numbers of tokens: cut, look up, else merge. */

#include "bpe.h"

void llmux_counter_init(llmux_counter_t *c, const llmux_bpe_t *bpe,
                        apr_pool_t *p, llmux_encoding_e encoding)
{
    memset(c, 0, sizeof(*c));
    c->bpe = bpe;
    if (bpe && encoding != LLMUX_ENCODING_NONE) {
        c->ranks = &bpe->encodings[encoding];
    }
    c->pool = p;
    c->left = LLMUX_TOKENS_TEXT_MAX;
    c->merge.pool = p;
    c->sum.exact = c->ranks != NULL;
}

static void estimate(llmux_counter_t *c, llmux_slice_t text)
{
    c->sum.count += llmux_tokens_estimate(text);
    c->sum.exact = 0;
}

/* A word that nobody writes: as its beginning, so many times. */
static void add_monster(llmux_counter_t *c, const char *piece, apr_size_t len)
{
    apr_int64_t n = llmux_merge_count(&c->merge, c->ranks, piece,
                                      LLMUX_TOKENS_PIECE_MAX);

    c->sum.count += n * (apr_int64_t)len / LLMUX_TOKENS_PIECE_MAX;
    c->sum.exact = 0;
}

/* Most pieces are a token. */
static void add_piece(llmux_counter_t *c, const char *piece, apr_size_t len)
{
    if (llmux_ranks_find(c->ranks, piece, len) != LLMUX_RANK_NONE) {
        c->sum.count++;
    }
    else if (len > LLMUX_TOKENS_PIECE_MAX) {
        add_monster(c, piece, len);
    }
    else {
        c->sum.count += llmux_merge_count(&c->merge, c->ranks, piece, len);
    }
}

/* The end of the piece at `from`; 0 if there is none to be found. The whole
 * text is looked over for UTF-8 when the first piece is sought, not again. */
static apr_size_t piece_end(llmux_counter_t *c, llmux_slice_t text,
                            apr_size_t from)
{
    const PCRE2_SIZE *span = pcre2_get_ovector_pointer(c->match);
    int rc = pcre2_match(c->ranks->pattern, (PCRE2_SPTR)text.data, text.len,
                         from, from ? PCRE2_NO_UTF_CHECK : 0, c->match,
                         c->bpe->limits);

    return rc > 0 && span[1] > from ? span[1] : 0;
}

/* @return how many bytes of it were counted */
static apr_size_t add_pieces(llmux_counter_t *c, llmux_slice_t text)
{
    apr_size_t from = 0, to;

    while (from < text.len) {
        to = piece_end(c, text, from);
        if (!to) {
            return from;
        }
        add_piece(c, text.data + from, to - from);
        from = to;
    }
    return text.len;
}

/* With U+FFFD for what is no UTF-8: the writer of JSON does that. */
static llmux_slice_t repaired(apr_pool_t *p, llmux_slice_t text)
{
    llmux_buf_t *out = llmux_buf_create(p, 6 * text.len + 3);
    llmux_jw_t w = llmux_jw(out);

    llmux_jw_str(&w, text);
    return llmux_json_str(p, llmux_json_parse(p, llmux_buf_slice(out), 1,
                                              NULL));
}

static int has_match(llmux_counter_t *c)
{
    if (!c->match) {
        c->match = pcre2_match_data_create(1, llmux_pcre2_of_pool(c->pool));
    }
    return c->match != NULL;
}

/* Cut between two characters. */
static llmux_slice_t first_bytes(llmux_slice_t text, apr_size_t n)
{
    if (n < text.len) {
        while (n && ((unsigned char)text.data[n] & 0xc0) == 0x80) {
            n--;
        }
        text.len = n;
    }
    return text;
}

static llmux_slice_t rest_of(llmux_slice_t text, apr_size_t n)
{
    text.data += n;
    text.len -= n;
    return text;
}

void llmux_counter_add(llmux_counter_t *c, llmux_slice_t text)
{
    llmux_slice_t part;
    apr_size_t done;

    if (!text.len) {
        return;
    }
    if (!c->ranks || !has_match(c)) {
        estimate(c, text);
        return;
    }
    part = first_bytes(text, c->left);
    c->left -= part.len;
    done = add_pieces(c, part);
    if (!done && part.len) {
        c->sum.exact = 0;
        part = repaired(c->pool, part);
        done = add_pieces(c, part);
    }
    if (done < part.len) {
        estimate(c, rest_of(part, done));
    }
    if (part.len < text.len) {
        estimate(c, rest_of(text, part.len));
    }
}

llmux_tokens_t llmux_bpe_count(const llmux_bpe_t *bpe, apr_pool_t *p,
                               llmux_encoding_e encoding, llmux_slice_t text)
{
    llmux_counter_t c;
    apr_pool_t *scratch;

    apr_pool_create(&scratch, p);
    llmux_counter_init(&c, bpe, scratch, encoding);
    llmux_counter_add(&c, text);
    apr_pool_destroy(scratch);
    return c.sum;
}
