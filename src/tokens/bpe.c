/* bpe.c - the files of ranks: mapped, checked, looked up. */

#include <apr_file_io.h>
#include <apr_mmap.h>
#include <apr_strings.h>

#include "bpe.h"

enum { HEAD = 44, VERSION = 1, BUCKETS_MAX = 1 << 20 };

static const char *const names[LLMUX_ENCODINGS] = {
    [LLMUX_ENCODING_CL100K] = "cl100k_base",
    [LLMUX_ENCODING_O200K] = "o200k_base"
};

/* The files are little-endian, whatever the machine. */
static apr_uint32_t le32(const unsigned char *b)
{
    return (apr_uint32_t)b[0] | (apr_uint32_t)b[1] << 8
           | (apr_uint32_t)b[2] << 16 | (apr_uint32_t)b[3] << 24;
}

/* FNV-1a, as in tools/ranks.pl. */
static apr_uint32_t hash(const char *s, apr_size_t len)
{
    apr_uint32_t h = 0x811c9dc5u;
    apr_size_t i;

    for (i = 0; i < len; i++) {
        h = (h ^ (unsigned char)s[i]) * 0x01000193u;
    }
    return h;
}

/* An entry is rank << 8 | length, then the token. */
apr_uint32_t llmux_ranks_find(const llmux_ranks_t *r, const char *token,
                              apr_size_t len)
{
    const unsigned char *offset, *at, *end;

    if (len > r->longest) {
        return LLMUX_RANK_NONE;
    }
    offset = r->offsets + 4 * (apr_size_t)(hash(token, len) & r->mask);
    at = r->entries + le32(offset);
    end = r->entries + le32(offset + 4);
    while (end - at > 4 && end - at - 4 >= at[0]) {
        if (at[0] == len && !memcmp(at + 4, token, len)) {
            return le32(at) >> 8;
        }
        at += 4 + at[0];
    }
    return LLMUX_RANK_NONE;
}

/* ---- loading ----------------------------------------------------------- */

static int are_offsets(const llmux_ranks_t *r)
{
    apr_uint32_t i, last = 0;

    for (i = 0; i <= r->mask + 1; i++) {
        apr_uint32_t offset = le32(r->offsets + 4 * (apr_size_t)i);

        if (offset < last || offset > r->size) {
            return 0;
        }
        last = offset;
    }
    return last == r->size;
}

/* Each byte must be a token, so that every text has tokens. */
static int has_bytes(const llmux_ranks_t *r)
{
    int i;

    for (i = 0; i < 256; i++) {
        char byte = (char)i;

        if (llmux_ranks_find(r, &byte, 1) == LLMUX_RANK_NONE) {
            return 0;
        }
    }
    return 1;
}

static int read_head(llmux_ranks_t *r, const unsigned char *b, apr_size_t size,
                     const char *name)
{
    apr_uint32_t buckets;

    if (size < HEAD || memcmp(b, "LLMUXBPE", 8) || le32(b + 8) != VERSION
        || strncmp((const char *)b + 28, name, 16)) {
        return 0;
    }
    buckets = le32(b + 16);
    r->longest = le32(b + 20);
    r->size = le32(b + 24);
    if (!buckets || buckets > BUCKETS_MAX || buckets & (buckets - 1)
        || size - HEAD != 4 * ((apr_size_t)buckets + 1) + r->size) {
        return 0;
    }
    r->mask = buckets - 1;
    r->offsets = b + HEAD;
    r->entries = r->offsets + 4 * ((apr_size_t)buckets + 1);
    return are_offsets(r) && has_bytes(r);
}

/* The whole file, to be read only; the map outlives the descriptor. */
static apr_status_t map_file(apr_mmap_t **map, apr_pool_t *p, const char *path)
{
    apr_file_t *file;
    apr_finfo_t info;
    apr_status_t rv;

    rv = apr_file_open(&file, path, APR_FOPEN_READ | APR_FOPEN_BINARY, 0, p);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    rv = apr_file_info_get(&info, APR_FINFO_SIZE, file);
    if (rv == APR_SUCCESS && info.size <= 0) {
        rv = APR_EOF;
    }
    if (rv == APR_SUCCESS) {
        rv = apr_mmap_create(map, file, 0, (apr_size_t)info.size,
                             APR_MMAP_READ, p);
    }
    apr_file_close(file);
    return rv;
}

static const char *load_one(llmux_ranks_t *r, apr_pool_t *p, const char *dir,
                            llmux_encoding_e encoding)
{
    const char *path = apr_psprintf(p, "%s/%s.bpe", dir, names[encoding]);
    apr_mmap_t *map;
    apr_status_t rv = map_file(&map, p, path);
    char text[120];

    if (rv != APR_SUCCESS) {
        return apr_psprintf(p, "%s: %s", path,
                            apr_strerror(rv, text, sizeof(text)));
    }
    if (!read_head(r, map->mm, map->size, names[encoding])) {
        return apr_psprintf(p, "%s is not a file of ranks for %s", path,
                            names[encoding]);
    }
    if (!llmux_pattern_compile(r, p, encoding)) {
        return apr_psprintf(p, "libpcre2 does not take the pattern of %s",
                            names[encoding]);
    }
    return NULL;
}

static pcre2_match_context *limits(apr_pool_t *p)
{
    pcre2_match_context *c =
        pcre2_match_context_create(llmux_pcre2_of_pool(p));

    if (c) {
        pcre2_set_match_limit(c, LLMUX_TOKENS_STEPS_MAX);
        pcre2_set_depth_limit(c, LLMUX_TOKENS_DEPTH_MAX);
    }
    return c;
}

llmux_bpe_t *llmux_bpe_load(apr_pool_t *p, const char *dir, const char **why)
{
    llmux_bpe_t *bpe = apr_pcalloc(p, sizeof(*bpe));
    llmux_encoding_e encoding;

    bpe->limits = limits(p);
    *why = bpe->limits ? NULL : "no memory";
    for (encoding = LLMUX_ENCODING_NONE + 1;
         encoding < LLMUX_ENCODINGS && !*why; encoding++) {
        *why = load_one(&bpe->encodings[encoding], p,
                        dir ? dir : LLMUX_DATA_DIR, encoding);
    }
    return *why ? NULL : bpe;
}
