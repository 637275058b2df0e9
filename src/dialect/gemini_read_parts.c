/* gemini_read_parts.c - what a content consists of: text, media, calls and
 * their results. */

#include <string.h>
#include <strings.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "gemini_read.h"

typedef llmux_gemini_in_t in_t;
typedef llmux_gemini_row_t row_t;
typedef llmux_gemini_got_t got_t;
typedef llmux_gemini_part_t part_t;

#define COUNT(table) ((int)(sizeof(table) / sizeof((table)[0])))

/* ---- a part, sorted -------------------------------------------------- */

static const row_t rows[LLMUX_GEMINI_PART_MEMBERS] = {
    [LLMUX_GEMINI_PART_TEXT]     = { "text", LLMUX_GEMINI_STR },
    [LLMUX_GEMINI_PART_INLINE]   = { "inlineData", LLMUX_GEMINI_OBJ },
    [LLMUX_GEMINI_PART_FILE]     = { "fileData", LLMUX_GEMINI_OBJ },
    [LLMUX_GEMINI_PART_CALL]     = { "functionCall", LLMUX_GEMINI_OBJ },
    [LLMUX_GEMINI_PART_RESPONSE] = { "functionResponse", LLMUX_GEMINI_OBJ },
    [LLMUX_GEMINI_PART_CODE]     = { "executableCode", LLMUX_GEMINI_OBJ },
    [LLMUX_GEMINI_PART_OUTPUT]   = { "codeExecutionResult",
                                     LLMUX_GEMINI_OBJ },
    [LLMUX_GEMINI_PART_HOSTED]   = { "toolCall", LLMUX_GEMINI_OBJ },
    [LLMUX_GEMINI_PART_HOSTED_ANSWER] = { "toolResponse", LLMUX_GEMINI_OBJ },
    [LLMUX_GEMINI_PART_THOUGHT]  = { "thought", LLMUX_GEMINI_BOOL },
    [LLMUX_GEMINI_PART_SIGNATURE] = { "thoughtSignature", LLMUX_GEMINI_STR },
    [LLMUX_GEMINI_PART_RESOLUTION] = { "mediaResolution", LLMUX_GEMINI_OBJ }
};

static void find_kind(in_t *in, const llmux_at_t *at, part_t *part)
{
    int i;

    part->kind = LLMUX_GEMINI_PART_KINDS;
    for (i = 0; i < LLMUX_GEMINI_PART_KINDS; i++) {
        if (!part->got[i].v) {
            continue;
        }
        if (part->kind != LLMUX_GEMINI_PART_KINDS) {
            llmux_reader_fail(&in->r, at, "expected one of '%s' and '%s', "
                              "found both", part->got[part->kind].name,
                              part->got[i].name);
        }
        part->kind = i;
    }
    if (part->kind == LLMUX_GEMINI_PART_KINDS
        && !part->got[LLMUX_GEMINI_PART_SIGNATURE].v) {
        llmux_reader_fail(&in->r, at, "expected 'text', 'inlineData', "
                          "'fileData', 'functionCall' or "
                          "'functionResponse', found none of them");
    }
}

void llmux_gemini_read_part(in_t *in, const llmux_at_t *at,
                            const llmux_json_t *v, part_t *part)
{
    memset(part, 0, sizeof(*part));
    if (!llmux_reader_expect(&in->r, at, v, LLMUX_JSON_OBJECT)) {
        return;
    }
    llmux_gemini_members(in, at, v, "contents.parts", rows,
                         LLMUX_GEMINI_PART_MEMBERS, part->got);
    if (in->r.err) {
        return;
    }
    find_kind(in, at, part);
    part->thought =
        llmux_json_bool(part->got[LLMUX_GEMINI_PART_THOUGHT].v) == LLMUX_YES;
    part->token = llmux_gemini_token_open(
        in->r.chat,
        llmux_gemini_text(in, &part->got[LLMUX_GEMINI_PART_SIGNATURE]));
}

/* ---- media ----------------------------------------------------------- */

static const struct { const char *alias, *type; } aliases[] = {
    { "image/jpg",         "image/jpeg"      },
    { "audio/mp3",         "audio/mpeg"      },
    { "audio/x-wav",       "audio/wav"       },
    { "audio/wave",        "audio/wav"       },
    { "audio/m4a",         "audio/mp4"       },
    { "audio/x-m4a",       "audio/mp4"       },
    { "application/x-pdf", "application/pdf" }
};

static const struct { const char *prefix; llmux_media_e kind; } kinds[] = {
    { "image/",          LLMUX_MEDIA_IMAGE },
    { "audio/",          LLMUX_MEDIA_AUDIO },
    { "video/",          LLMUX_MEDIA_VIDEO },
    { "application/pdf", LLMUX_MEDIA_PDF   },
    { "text/",           LLMUX_MEDIA_TEXT  }
};

static llmux_media_e kind_of(llmux_slice_t type)
{
    int i;

    for (i = 0; i < COUNT(kinds); i++) {
        if (llmux_slice_starts(type, kinds[i].prefix)) {
            return kinds[i].kind;
        }
    }
    return LLMUX_MEDIA_OTHER;
}

/* In lower case and without parameters. */
static llmux_slice_t plain_type(in_t *in, llmux_slice_t s)
{
    llmux_slice_t type = llmux_slice_dup(in->r.pool, s);
    apr_size_t i;

    for (i = 0; i < type.len && type.data[i] != ';'; i++) {
        ((char *)type.data)[i] = (char)apr_tolower(type.data[i]);
    }
    while (i && type.data[i - 1] == ' ') {
        i--;
    }
    type.len = i;
    return type;
}

static void settle_type(in_t *in, const llmux_at_t *at, llmux_slice_t said,
                        llmux_media_t *media)
{
    const char *seen = llmux_media_sniff(media->base64);
    int i;

    if (said.len > LLMUX_MEDIA_TYPE_MAX) {
        llmux_reader_fail(&in->r, at, "expected a media type of at most %d "
                          "bytes", LLMUX_MEDIA_TYPE_MAX);
        return;
    }
    media->type = seen ? llmux_slice(seen) : plain_type(in, said);
    for (i = 0; i < COUNT(aliases); i++) {
        if (llmux_slice_is(media->type, aliases[i].alias)) {
            media->type = llmux_slice(aliases[i].type);
        }
    }
    media->kind = kind_of(media->type);
    if (!media->type.len) {
        media->type.data = NULL;
    }
}

enum { DATA_TYPE, DATA_BYTES, DATA_NAME, DATAS };

static const row_t inline_rows[] = {
    [DATA_TYPE]  = { "mimeType", LLMUX_GEMINI_STR },
    [DATA_BYTES] = { "data", LLMUX_GEMINI_STR },
    [DATA_NAME]  = { "displayName", LLMUX_GEMINI_STR }
};

static const row_t file_rows[] = {
    [DATA_TYPE]  = { "mimeType", LLMUX_GEMINI_STR },
    [DATA_BYTES] = { "fileUri", LLMUX_GEMINI_STR },
    [DATA_NAME]  = { "displayName", LLMUX_GEMINI_STR }
};

static void take_base64(in_t *in, const llmux_at_t *at, const got_t *got,
                        llmux_media_t *media)
{
    llmux_slice_t text = llmux_gemini_text(in, got);
    llmux_at_t here = llmux_at(at, got->name ? got->name : "data");

    media->base64 = llmux_reader_base64(&in->r, text);
    if (!media->base64.len) {
        llmux_reader_fail(&in->r, &here, "expected base64 data, found %s",
                          text.len ? "something else"
                          : text.data ? "an empty string" : "nothing");
    }
}

/* Files that only Google can open go by their name, so that nobody else is
 * sent there; what anybody can fetch is a link. */
static void take_uri(in_t *in, const llmux_at_t *at, const got_t *got,
                     llmux_media_t *media)
{
    llmux_slice_t uri = llmux_gemini_text(in, got);
    llmux_at_t here = llmux_at(at, got->name ? got->name : "fileUri");

    if (!uri.len) {
        llmux_reader_fail(&in->r, &here, "expected a URI, found %s",
                          uri.data ? "an empty string" : "nothing");
    }
    else if (llmux_slice_starts(uri,
                                "https://generativelanguage.googleapis.com/")
             || (!llmux_slice_starts(uri, "https://")
                 && !llmux_slice_starts(uri, "http://"))) {
        media->file_id = uri;
    }
    else {
        media->url = uri;
    }
}

static void read_resolution(in_t *in, const llmux_at_t *at, const got_t *got,
                            llmux_media_t *media)
{
    static const char *const words[] = {
        "MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM",
        "MEDIA_RESOLUTION_HIGH", "MEDIA_RESOLUTION_ULTRA_HIGH", NULL
    };
    static const char *const details[] = { "low", "auto", "high", "high" };
    const llmux_json_t *level = llmux_json_get(got->v, "level");
    llmux_at_t here = llmux_at(at, got->name), inner;
    int i;

    if (media->kind != LLMUX_MEDIA_IMAGE) {
        return;
    }
    media->detail = in->detail;
    if (level) {
        inner = llmux_at(&here, "level");
        i = llmux_gemini_word(in, &inner, level, words);
        media->detail = llmux_slice(i >= 0 ? details[i] : NULL);
    }
}

void llmux_gemini_read_media(in_t *in, const llmux_at_t *at,
                             const part_t *part, llmux_message_t *m)
{
    int bytes = part->kind == LLMUX_GEMINI_PART_INLINE;
    const got_t *member = &part->got[part->kind];
    llmux_at_t here = llmux_at(at, member->name), type;
    llmux_block_t *b = llmux_message_block(in->r.chat, m, LLMUX_BLOCK_MEDIA);
    got_t got[DATAS];

    b->media = apr_pcalloc(in->r.pool, sizeof(*b->media));
    b->media->param = llmux_at_text(in->r.pool, &here);
    llmux_gemini_members(in, &here, member->v, "contents.parts.data",
                         bytes ? inline_rows : file_rows, DATAS, got);
    if (bytes) {
        take_base64(in, &here, &got[DATA_BYTES], b->media);
    }
    else {
        take_uri(in, &here, &got[DATA_BYTES], b->media);
    }
    type = llmux_at(&here, got[DATA_TYPE].name ? got[DATA_TYPE].name
                                               : "mimeType");
    settle_type(in, &type, llmux_gemini_text(in, &got[DATA_TYPE]), b->media);
    b->media->filename = llmux_gemini_text(in, &got[DATA_NAME]);
    read_resolution(in, at, &part->got[LLMUX_GEMINI_PART_RESOLUTION],
                    b->media);
}

/* ---- calls ----------------------------------------------------------- */

enum { CALL_NAME, CALL_ARGS, CALL_ID, CALL_PIECES, CALL_MORE, CALLS };

static const row_t call_rows[] = {
    [CALL_NAME]   = { "name", LLMUX_GEMINI_STR },
    [CALL_ARGS]   = { "args", LLMUX_GEMINI_OBJ },
    [CALL_ID]     = { "id", LLMUX_GEMINI_STR },
    [CALL_PIECES] = { "partialArgs", LLMUX_GEMINI_LIST },
    [CALL_MORE]   = { "willContinue", LLMUX_GEMINI_BOOL }
};

/* What came in pieces is for the client to put together. */
static void refuse_pieces(in_t *in, const llmux_at_t *at, const got_t *got)
{
    llmux_at_t here = llmux_at(at, got->name);

    if (got->v && (llmux_json_count(got->v)
                   || llmux_json_bool(got->v) == LLMUX_YES)) {
        llmux_gemini_refuse(in, &here, "This is a piece of something: send "
                            "all of it as one part.");
    }
}

/* An id that is empty is none. */
static llmux_slice_t id_of(in_t *in, const got_t *got)
{
    llmux_slice_t id = llmux_gemini_text(in, got);

    return id.len ? id : llmux_slice(NULL);
}

llmux_call_t *llmux_gemini_read_call(in_t *in, const llmux_at_t *at,
                                     const part_t *part)
{
    const got_t *member = &part->got[LLMUX_GEMINI_PART_CALL];
    llmux_at_t here = llmux_at(at, member->name);
    llmux_call_t *call = apr_pcalloc(in->r.pool, sizeof(*call));
    got_t got[CALLS];

    llmux_gemini_members(in, &here, member->v, "contents.parts.functionCall",
                         call_rows, CALLS, got);
    refuse_pieces(in, &here, &got[CALL_PIECES]);
    refuse_pieces(in, &here, &got[CALL_MORE]);
    call->name = llmux_reader_need_str(&in->r, &here, member->v, "name");
    call->args = got[CALL_ARGS].v ? llmux_json_raw(got[CALL_ARGS].v)
                                  : llmux_slice("{}");
    call->id = id_of(in, &got[CALL_ID]);
    return in->r.err ? NULL : call;
}

/* ---- results --------------------------------------------------------- */

enum {
    RESULT_NAME, RESULT_RESPONSE, RESULT_ID, RESULT_PARTS, RESULT_MORE,
    RESULTS
};

static const row_t result_rows[] = {
    [RESULT_NAME]     = { "name", LLMUX_GEMINI_STR },
    [RESULT_RESPONSE] = { "response", LLMUX_GEMINI_OBJ },
    [RESULT_ID]       = { "id", LLMUX_GEMINI_STR },
    [RESULT_PARTS]    = { "parts", LLMUX_GEMINI_LIST },
    [RESULT_MORE]     = { "willContinue", LLMUX_GEMINI_BOOL }
};

/* A string is said as it is, anything else as JSON. */
static llmux_slice_t said(in_t *in, const llmux_json_t *v)
{
    return llmux_json_kind(v) == LLMUX_JSON_STRING
        ? llmux_json_str(in->r.pool, v) : llmux_json_raw(v);
}

/* "If the keys `output` and `error` are not there, the whole response is
 * output", says the API's reference. So it is where there is more beside. */
static llmux_slice_t response_text(in_t *in, const llmux_json_t *response,
                                   llmux_tri_e *is_error)
{
    const llmux_json_t *output = llmux_json_get_any(response, "output");
    const llmux_json_t *error = llmux_json_get_any(response, "error");

    *is_error = LLMUX_UNSET;
    if (llmux_json_count(response) == 1 && error) {
        *is_error = LLMUX_YES;
        return said(in, error);
    }
    if (llmux_json_count(response) == 1 && output) {
        return said(in, output);
    }
    return llmux_json_count(response) ? llmux_json_raw(response)
                                      : llmux_slice(NULL);
}

static void read_result_parts(in_t *in, const llmux_at_t *at,
                              const llmux_json_t *list, llmux_message_t *m)
{
    const llmux_json_t *e;
    llmux_at_t each;
    part_t part;
    int i = 0;

    for (e = llmux_gemini_first(list); e && !in->r.err;
         e = llmux_gemini_next(list, e)) {
        each = llmux_at_index(at, i++);
        llmux_gemini_read_part(in, &each, e, &part);
        if (in->r.err) {
            return;
        }
        if (part.kind != LLMUX_GEMINI_PART_INLINE
            && part.kind != LLMUX_GEMINI_PART_FILE) {
            llmux_reader_fail(&in->r, &each, "expected 'inlineData' or "
                              "'fileData'");
            return;
        }
        llmux_gemini_read_media(in, &each, &part, m);
    }
}

llmux_result_t *llmux_gemini_read_result(in_t *in, const llmux_at_t *at,
                                         const part_t *part,
                                         llmux_slice_t *name)
{
    const got_t *member = &part->got[LLMUX_GEMINI_PART_RESPONSE];
    llmux_at_t here = llmux_at(at, member->name), parts;
    llmux_result_t *result = apr_pcalloc(in->r.pool, sizeof(*result));
    llmux_message_t list = { 0 };
    llmux_slice_t text;
    got_t got[RESULTS];

    llmux_gemini_members(in, &here, member->v,
                         "contents.parts.functionResponse", result_rows,
                         RESULTS, got);
    refuse_pieces(in, &here, &got[RESULT_MORE]);
    *name = llmux_reader_need_str(&in->r, &here, member->v, "name");
    text = response_text(in, got[RESULT_RESPONSE].v, &result->is_error);
    if (text.data) {
        llmux_message_block(in->r.chat, &list, LLMUX_BLOCK_TEXT)->text = text;
    }
    if (got[RESULT_PARTS].v) {
        parts = llmux_at(&here, got[RESULT_PARTS].name);
        read_result_parts(in, &parts, got[RESULT_PARTS].v, &list);
    }
    result->blocks = list.blocks;
    result->call_id = id_of(in, &got[RESULT_ID]);
    return in->r.err ? NULL : result;
}

/* ---- code ------------------------------------------------------------ */

enum { CODE_LANGUAGE, CODE_CODE, CODE_OUTCOME, CODE_OUTPUT, CODE_ID, CODES };

static const row_t code_rows[] = {
    [CODE_LANGUAGE] = { "language", LLMUX_GEMINI_STR },
    [CODE_CODE]     = { "code", LLMUX_GEMINI_STR },
    [CODE_OUTCOME]  = { "outcome", LLMUX_GEMINI_STR },
    [CODE_OUTPUT]   = { "output", LLMUX_GEMINI_STR },
    [CODE_ID]       = { "id", LLMUX_GEMINI_STR }
};

/* Another model cannot run it, but should know what was run. */
llmux_slice_t llmux_gemini_read_code(in_t *in, const llmux_at_t *at,
                                     const part_t *part)
{
    llmux_at_t here = llmux_at(at, part->got[part->kind].name);
    int is_code = part->kind == LLMUX_GEMINI_PART_CODE;
    const char *word = "";
    got_t got[CODES];

    llmux_gemini_members(in, &here, part->got[part->kind].v,
                         "contents.parts.executableCode", code_rows, CODES,
                         got);
    if (llmux_json_is(got[CODE_LANGUAGE].v, "PYTHON")) {
        word = "python";
    }
    if (got[CODE_OUTCOME].v
        && !llmux_json_is(got[CODE_OUTCOME].v, "OUTCOME_OK")) {
        word = llmux_json_cstr(in->r.pool, got[CODE_OUTCOME].v);
    }
    return llmux_slice(apr_pstrcat(
        in->r.pool, "\n```", word, "\n",
        llmux_json_cstr(in->r.pool, got[is_code ? CODE_CODE
                                                : CODE_OUTPUT].v),
        "\n```\n", NULL));
}
