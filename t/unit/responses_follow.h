/* responses_follow.h - a client that follows a Responses stream as OpenAI's
 * SDK does, and stricter: it says what is wrong with the first event that it
 * cannot make sense of. */

#ifndef RESPONSES_FOLLOW_H
#define RESPONSES_FOLLOW_H

#include <string.h>

#include <apr_strings.h>

#include "llmux/dialect.h"

enum { FOLLOW_MAX = 1 << 28 };

typedef struct follow_part_t {
    const char *type;           /* of the part, or "summary_text" */
    llmux_buf_t *text;
    int cites, done;
} follow_part_t;

typedef struct follow_item_t {
    const char *type, *id;
    apr_array_header_t *parts;  /* follow_part_t: of messages and summaries */
    llmux_buf_t *text;          /* of calls */
    const char *final;          /* as its item.done said it */
    int late;                   /* sources came after that */
} follow_item_t;

typedef struct follow_t {
    apr_pool_t *pool;
    apr_array_header_t *items;  /* follow_item_t */
    apr_int64_t number;         /* of the next event */
    int created, errors;
    const char *end;            /* type of the last event */
    const char *final;          /* the response in it */
    const char *wrong;
} follow_t;

static void follow_wrong(follow_t *f, const char *what, const char *type)
{
    if (!f->wrong) {
        f->wrong = apr_psprintf(f->pool, "event %ld, %s: %s",
                                (long)f->number - 1, type, what);
    }
}

/* Finds fault unless it holds. */
#define FOLLOW_MUST(cond) \
    do { \
        if (!(cond)) { \
            follow_wrong(f, #cond, type); \
            return; \
        } \
    } while (0)

static const char *follow_str(follow_t *f, const llmux_json_t *v,
                              const char *name)
{
    return llmux_json_cstr(f->pool, llmux_json_get(v, name));
}

static const char *follow_raw(follow_t *f, const llmux_json_t *v)
{
    return llmux_slice_str(f->pool, llmux_json_raw(v));
}

static follow_item_t *follow_item(follow_t *f, const llmux_json_t *v)
{
    apr_int64_t i = llmux_json_int(llmux_json_get(v, "output_index"), -1);

    return i >= 0 && i < f->items->nelts
        ? &APR_ARRAY_IDX(f->items, i, follow_item_t) : NULL;
}

static follow_part_t *follow_part(const follow_item_t *item,
                                  const llmux_json_t *v, const char *place)
{
    apr_int64_t i = llmux_json_int(llmux_json_get(v, place), -1);

    return i >= 0 && i < item->parts->nelts
        ? &APR_ARRAY_IDX(item->parts, i, follow_part_t) : NULL;
}

/* ---- items ------------------------------------------------------------- */

static void follow_added(follow_t *f, const llmux_json_t *v, const char *type)
{
    const llmux_json_t *json = llmux_json_get(v, "item");
    follow_item_t *item;

    FOLLOW_MUST(llmux_json_int(llmux_json_get(v, "output_index"), -1)
                == f->items->nelts);
    FOLLOW_MUST(*follow_str(f, json, "id") && *follow_str(f, json, "type"));
    item = apr_array_push(f->items);
    item->type = follow_str(f, json, "type");
    item->id = follow_str(f, json, "id");
    item->parts = apr_array_make(f->pool, 1, sizeof(follow_part_t));
    item->text = llmux_buf_create(f->pool, FOLLOW_MAX);
    item->final = NULL;
    item->late = 0;
}

static void follow_item_done(follow_t *f, const llmux_json_t *v,
                             const char *type)
{
    const llmux_json_t *json = llmux_json_get(v, "item");
    follow_item_t *item = follow_item(f, v);
    int i;

    FOLLOW_MUST(item && !item->final);
    FOLLOW_MUST(!strcmp(follow_str(f, json, "id"), item->id));
    FOLLOW_MUST(!strcmp(follow_str(f, json, "type"), item->type));
    for (i = 0; i < item->parts->nelts; i++) {
        FOLLOW_MUST(APR_ARRAY_IDX(item->parts, i, follow_part_t).done);
    }
    if (llmux_json_get(json, "content") || llmux_json_get(json, "summary")) {
        FOLLOW_MUST(llmux_json_count(llmux_json_get(json, "content"))
                        + llmux_json_count(llmux_json_get(json, "summary"))
                    == item->parts->nelts);
    }
    item->final = follow_raw(f, json);
}

/* ---- parts ------------------------------------------------------------- */

static void follow_part_added(follow_t *f, const llmux_json_t *v,
                              const char *type)
{
    const char *place = strstr(type, "summary") ? "summary_index"
                                                : "content_index";
    const llmux_json_t *json = llmux_json_get(v, "part");
    follow_item_t *item = follow_item(f, v);
    follow_part_t *part;

    FOLLOW_MUST(item && !item->final);
    FOLLOW_MUST(!strcmp(follow_str(f, v, "item_id"), item->id));
    FOLLOW_MUST(!strcmp(item->type, strstr(type, "summary") ? "reasoning"
                                                            : "message"));
    FOLLOW_MUST(llmux_json_int(llmux_json_get(v, place), -1)
                == item->parts->nelts);
    part = apr_array_push(item->parts);
    part->type = follow_str(f, json, "type");
    part->text = llmux_buf_create(f->pool, FOLLOW_MAX);
    part->cites = part->done = 0;
}

/* Which texts the deltas of a kind belong to. */
static const struct {
    const char *begin, *place, *item, *part, *name;
} follow_texts[] = {
    { "response.output_text.", "content_index", "message", "output_text",
      "text" },
    { "response.refusal.", "content_index", "message", "refusal",
      "refusal" },
    { "response.reasoning_summary_text.", "summary_index", "reasoning",
      "summary_text", "text" },
    { "response.function_call_arguments.", NULL, "function_call", NULL,
      "arguments" },
    { "response.custom_tool_call_input.", NULL, "custom_tool_call", NULL,
      "input" }
};

/* @param row of follow_texts */
static void follow_text(follow_t *f, const llmux_json_t *v, const char *type,
                        unsigned int row)
{
    const char *place = follow_texts[row].place;
    const char *verb = type + strlen(follow_texts[row].begin);
    follow_item_t *item = follow_item(f, v);
    follow_part_t *part = item && place ? follow_part(item, v, place) : NULL;
    llmux_buf_t *text;

    FOLLOW_MUST(item && !item->final);
    FOLLOW_MUST(!strcmp(item->type, follow_texts[row].item));
    FOLLOW_MUST(!strcmp(follow_str(f, v, "item_id"), item->id));
    FOLLOW_MUST(!place || (part && !part->done));
    FOLLOW_MUST(!part || !strcmp(part->type, follow_texts[row].part));
    FOLLOW_MUST(row || llmux_json_get(v, "logprobs"));
    text = part ? part->text : item->text;
    if (!strcmp(verb, "delta")) {
        llmux_buf_adds(text, follow_str(f, v, "delta"));
        return;
    }
    FOLLOW_MUST(!strcmp(verb, "done"));
    FOLLOW_MUST(llmux_slice_is(llmux_buf_slice(text),
                               follow_str(f, v, follow_texts[row].name)));
}

static void follow_part_done(follow_t *f, const llmux_json_t *v,
                             const char *type)
{
    int summary = strstr(type, "summary") != NULL;
    const llmux_json_t *json = llmux_json_get(v, "part");
    follow_item_t *item = follow_item(f, v);
    follow_part_t *part = item ? follow_part(item, v, summary
        ? "summary_index" : "content_index") : NULL;

    FOLLOW_MUST(part && !part->done);
    FOLLOW_MUST(!strcmp(follow_str(f, json, "type"), part->type));
    FOLLOW_MUST(llmux_slice_is(llmux_buf_slice(part->text), follow_str(
        f, json, strcmp(part->type, "refusal") ? "text" : "refusal")));
    FOLLOW_MUST(summary || !strcmp(part->type, "refusal")
                || llmux_json_count(llmux_json_get(json, "annotations"))
                       == part->cites);
    part->done = 1;
}

static void follow_cite(follow_t *f, const llmux_json_t *v, const char *type)
{
    follow_item_t *item = follow_item(f, v);
    follow_part_t *part = item ? follow_part(item, v, "content_index") : NULL;

    FOLLOW_MUST(part && !strcmp(part->type, "output_text"));
    FOLLOW_MUST(llmux_json_int(llmux_json_get(v, "annotation_index"), -1)
                == part->cites);
    FOLLOW_MUST(llmux_json_get(v, "annotation"));
    part->cites++;
    item->late |= item->final != NULL;
}

/* ---- the response ------------------------------------------------------ */

static void follow_created(follow_t *f, const llmux_json_t *v,
                           const char *type)
{
    const llmux_json_t *json = llmux_json_get(v, "response");

    FOLLOW_MUST(f->number == 1 + f->created);
    FOLLOW_MUST(!strcmp(follow_str(f, json, "object"), "response"));
    FOLLOW_MUST(!strcmp(follow_str(f, json, "status"), "in_progress"));
    FOLLOW_MUST(*follow_str(f, json, "id"));
    f->created++;
}

/* All that was said of the output is in the response; a failed one need not
 * have come to an end with any of it. */
static void follow_end(follow_t *f, const llmux_json_t *v, const char *type)
{
    const llmux_json_t *json = llmux_json_get(v, "response");
    const llmux_json_t *output = llmux_json_get(json, "output"), *e;
    follow_item_t *item;
    int i = 0;

    FOLLOW_MUST(!strcmp(type + strlen("response."),
                        follow_str(f, json, "status")));
    FOLLOW_MUST(llmux_json_count(output) == f->items->nelts);
    for (e = llmux_json_first(output); e; e = llmux_json_next(output, e)) {
        item = &APR_ARRAY_IDX(f->items, i++, follow_item_t);
        FOLLOW_MUST(!strcmp(follow_str(f, e, "id"), item->id));
        FOLLOW_MUST(item->final || f->errors);
        FOLLOW_MUST(item->late || !item->final
                    || !strcmp(item->final, follow_raw(f, e)));
    }
    f->end = type;
    f->final = follow_raw(f, json);
}

static void follow_error(follow_t *f, const llmux_json_t *v, const char *type)
{
    FOLLOW_MUST(*follow_str(f, v, "message"));
    FOLLOW_MUST(*follow_str(f, llmux_json_get(v, "error"), "message"));
    f->errors++;
}

static void follow_state(follow_t *f, const llmux_json_t *v, const char *type)
{
    FOLLOW_MUST(follow_item(f, v));
    FOLLOW_MUST(!strcmp(follow_item(f, v)->type, "image_generation_call"));
}

static const struct {
    const char *type;
    void (*follow)(follow_t *f, const llmux_json_t *v, const char *type);
} follow_types[] = {
    { "response.created",                      follow_created    },
    { "response.in_progress",                  follow_created    },
    { "response.output_item.added",            follow_added      },
    { "response.output_item.done",             follow_item_done  },
    { "response.content_part.added",           follow_part_added },
    { "response.content_part.done",            follow_part_done  },
    { "response.reasoning_summary_part.added", follow_part_added },
    { "response.reasoning_summary_part.done",  follow_part_done  },
    { "response.output_text.annotation.added", follow_cite       },
    { "response.image_generation_call.in_progress", follow_state },
    { "response.image_generation_call.completed",   follow_state },
    { "response.completed",                    follow_end        },
    { "response.incomplete",                   follow_end        },
    { "response.failed",                       follow_end        },
    { "error",                                 follow_error      }
};

static void follow_type(follow_t *f, const llmux_json_t *v, const char *type)
{
    unsigned int i;

    for (i = 0; i < sizeof(follow_types) / sizeof(*follow_types); i++) {
        if (!strcmp(follow_types[i].type, type)) {
            follow_types[i].follow(f, v, type);
            return;
        }
    }
    for (i = 0; i < sizeof(follow_texts) / sizeof(*follow_texts); i++) {
        if (!strncmp(type, follow_texts[i].begin,
                     strlen(follow_texts[i].begin))) {
            follow_text(f, v, type, i);
            return;
        }
    }
    follow_wrong(f, "no such event", type);
}

static int follow_event(void *baton, const llmux_sse_event_t *ev)
{
    follow_t *f = baton;
    const llmux_json_t *v;
    const char *type;

    if (!ev->data.data) {
        return 1;       /* a comment */
    }
    v = llmux_json_parse(f->pool, llmux_slice_dup(f->pool, ev->data), 0,
                         NULL);
    type = follow_str(f, v, "type");
    if (!llmux_slice_is(ev->name, type)) {
        follow_wrong(f, "its name is another, or it is no JSON", type);
    }
    if (llmux_json_int(llmux_json_get(v, "sequence_number"), -1)
        != f->number++) {
        follow_wrong(f, "its number is wrong", type);
    }
    if (f->end) {
        follow_wrong(f, "comes after the end", type);
    }
    if (!f->wrong) {
        follow_type(f, v, type);
    }
    return !f->wrong;
}

/** Follows a stream to its end. */
__attribute__((unused))
static follow_t *follow(apr_pool_t *p, llmux_slice_t stream)
{
    follow_t *f = apr_pcalloc(p, sizeof(*f));
    llmux_sse_t *s = llmux_sse_create(p, FOLLOW_MAX, follow_event, f);

    f->pool = p;
    f->items = apr_array_make(p, 4, sizeof(follow_item_t));
    llmux_sse_feed(s, stream.data, stream.len);
    if (!f->wrong && !llmux_sse_at_border(s)) {
        f->wrong = "it ends within an event";
    }
    if (!f->wrong && !f->end) {
        f->wrong = "it has no end";
    }
    return f;
}

#endif
